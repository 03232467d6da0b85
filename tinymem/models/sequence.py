"""What every recurrent system offers, and the loop over time that they share.

A system is `initial_state(batch)` and `step(state, x) -> (state, output)`; its states are frozen dataclasses that can
name their `quantities()`.  So any system can be run, and any system can be watched.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy

from tinymem.engine.backend import to_host
from tinymem.engine.graph import no_grad
from tinymem.engine.scan import scan
from tinymem.engine.tensor import Tensor

Trace = dict[str, numpy.ndarray[Any, Any]]


class State(Protocol):
    def quantities(self) -> dict[str, Tensor]:
        """The named quantities of the equations at this step, batch first."""
        ...


class SequenceModel(Protocol):
    config: Any
    """the model's sizes; `config.inputs` is the length of an input vector"""

    def initial_state(self, batch: int) -> Any: ...

    def step(self, state: Any, x: Tensor) -> tuple[Any, Tensor]: ...


def run(model: SequenceModel, inputs: Tensor, checkpoint_every: int | None = None) -> Tensor:
    """Outputs (time, batch, Y) of the model for inputs (time, batch, X), from its initial state.

    `checkpoint_every`: about √time bounds the memory that a gradient through a long sequence needs (see `scan`).
    """
    _check_inputs(model, inputs)
    return advance(model, model.initial_state(inputs.shape[1]), inputs, checkpoint_every)[1]


def advance(model: SequenceModel, state: Any, inputs: Tensor, checkpoint_every: int | None = None) -> tuple[Any, Tensor]:
    """(state after, outputs (time, batch, Y)) of the model for inputs (time, batch, X), from `state`: a stream read in chunks."""
    _check_inputs(model, inputs)
    return scan(model.step, state, inputs, checkpoint_every)


def trace(model: SequenceModel, inputs: Tensor) -> Trace:
    """Run without gradients and return every quantity of every step as host arrays (time, batch, ...), outputs included."""
    _check_inputs(model, inputs)
    seen: dict[str, list[numpy.ndarray[Any, Any]]] = {}
    with no_grad():
        state = model.initial_state(inputs.shape[1])
        for x in inputs:
            state, y = model.step(state, x)
            for name, value in {"input": x, **state.quantities(), "output": y}.items():
                seen.setdefault(name, []).append(to_host(value))
    return {name: numpy.stack(values) for name, values in seen.items()}


def _check_inputs(model: SequenceModel, inputs: Tensor) -> None:
    shape = getattr(inputs, "shape", None)
    if shape is None or len(shape) != 3 or 0 in shape:
        raise ValueError(
            f"a sequence model needs inputs (time, batch, features), each at least 1; got {'no array' if shape is None else tuple(shape)}. "
            "One sequence is a batch of 1: inputs[:, None, :]"
        )
    if shape[2] != model.config.inputs:
        raise ValueError(
            f"this {type(model).__name__} takes input vectors of length {model.config.inputs}, "
            f"got inputs {tuple(shape)} (time, batch, features)"
        )
