"""The state of a compiled step: its Tensors, and the memory that its programs read and write for them."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import numpy

from tinymem.engine.errors import RecordingError
from tinymem.engine.tensor import Tensor

_memory_of_steps: Any = weakref.WeakValueDictionary()  # arrays that compiled steps made for their states, by identity
OFTEN, RARELY = 4, 64  # calls at first, and between later ones, at which the state is looked through again


def named_state(state: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Pairs of dotted name and Tensor: of a Module, a Tensor, or a dictionary or sequence of these."""
    if isinstance(state, Tensor):
        yield prefix or "tensor", state
    elif hasattr(state, "named_parameters"):
        for name, tensor in state.named_parameters():
            yield f"{prefix}.{name}".lstrip("."), tensor
    elif isinstance(state, (Mapping, list, tuple)):
        for name, part in state.items() if isinstance(state, Mapping) else enumerate(state):
            yield from named_state(part, f"{prefix}.{name}".lstrip("."))
    elif state is not None:
        raise TypeError(
            f"compile: state must be Modules, Tensors, or dictionaries and lists of them, got {type(state).__name__} at {prefix!r}"
        )


class State:
    """The Tensors a step reads and changes, by name, and their arrays, which are the programs' own memory."""

    def __init__(self, given: Any) -> None:
        self.given = given
        self.tensors = dict(named_state(given))
        self.arrays: dict[str, Any] = {}
        self._calls = 0

    def bound(self) -> bool:
        """Do all Tensors hold the programs' memory?"""
        return all(tensor.data is self.arrays.get(name) for name, tensor in self.tensors.items())

    def require_same_tensors(self) -> None:
        """RecordingError if a Module got other parameters; looked for in the first calls, and now and then later."""
        self._calls += 1
        if self._calls > OFTEN and self._calls % RARELY:
            return
        now = dict(named_state(self.given))
        if now.keys() != self.tensors.keys() or any(now[name] is not tensor for name, tensor in self.tensors.items()):
            other = sorted(name for name in now.keys() | self.tensors.keys() if now.get(name) is not self.tensors.get(name))
            raise RecordingError(f"the state of this compiled step has other Tensors than when it was compiled: {other}; compile it again")

    def take_over(self) -> None:
        """What somebody else put into the Tensors goes into the programs' memory, and that into the Tensors; all or nothing."""
        foreign = []
        for name, tensor in self.tensors.items():
            mine = self.arrays.get(name)
            if mine is None or mine is tensor.data:  # not recorded yet, or as it should be
                continue
            if mine.shape != tensor.shape or mine.dtype != tensor.dtype:
                raise RecordingError(
                    f"compile: {name} was {mine.dtype} {mine.shape}, now {tensor.dtype} {tensor.shape}; compile the step again"
                )
            foreign.append((tensor, mine, tensor.data))
        ours = {id(array) for array in self.arrays.values()}
        copies = [array.copy() if id(array) in ours else array for _, _, array in foreign]  # two Tensors may have changed places
        for (tensor, mine, _), array in zip(foreign, copies, strict=True):
            mine[...] = array
            tensor.data = mine

    def adopt(self, xp: Any) -> None:
        """Memory for what is recorded for the first time: shared with another compiled step that has it, else a copy of its own."""
        for name, tensor in self.tensors.items():
            if name not in self.arrays:
                array = tensor.data
                if _memory_of_steps.get(id(array)) is not array or any(array is mine for mine in self.arrays.values()):
                    array = xp.array(array, order="C")
                    if xp is numpy:
                        _memory_of_steps[id(array)] = array
                self.arrays[name] = tensor.data = array

    def forget(self) -> None:
        """The Tensors moved to another device."""
        self.arrays.clear()
