"""Structures: Tensors and arrays inside tuples, lists, dictionaries and dataclasses, taken apart and put together again.

A field of a dataclass with `metadata=SHOWN` belongs to a step's trace and not to its state: it is left out, and comes
back as the field's default.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy

from tinymem.engine.backend import is_device
from tinymem.engine.tensor import Tensor

_SHOWN = "tinymem: shown, not carried"
SHOWN = {_SHOWN: True}
"""metadata of a dataclass field: `field(default=(), metadata=SHOWN)` says what happened at this step, and is not needed for the next"""


def is_array(value: Any) -> bool:
    """Is this a leaf of a structure: a Tensor or an array of any backend?"""
    kind = type(value)
    if kind is Tensor or kind is numpy.ndarray:  # most often
        return True
    return isinstance(value, Tensor) or (hasattr(value, "dtype") and hasattr(value, "shape")) or is_device(value)


def flatten(structure: Any, is_leaf: Callable[[Any], bool] = is_array) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The leaves of a structure in order, and the function that builds the structure around other leaves."""
    leaves: list[Any] = []
    plan = _plan(structure, is_leaf, leaves)

    def rebuild(others: list[Any]) -> Any:
        if len(others) != len(leaves):
            raise ValueError(f"this structure has {len(leaves)} leaves, got {len(others)}")
        return plan(iter(others))

    return leaves, rebuild


def _plan(structure: Any, is_leaf: Callable[[Any], bool], leaves: list[Any]) -> Callable[[Any], Any]:
    if is_leaf(structure):
        leaves.append(structure)
        return next
    kind: Any = type(structure)
    if isinstance(structure, (tuple, list)):
        parts = [_plan(part, is_leaf, leaves) for part in structure]
        if hasattr(kind, "_fields"):
            return lambda given: kind(*[part(given) for part in parts])
        return lambda given: kind([part(given) for part in parts])
    if isinstance(structure, dict):
        entries = {key: _plan(value, is_leaf, leaves) for key, value in structure.items()}
        return lambda given: {key: value(given) for key, value in entries.items()}
    if dataclasses.is_dataclass(structure) and not isinstance(structure, type):
        members = {name: _plan(getattr(structure, name), is_leaf, leaves) for name in _carried_fields(kind)}
        return lambda given: kind(**{name: member(given) for name, member in members.items()})
    return lambda given: structure  # a static part: a number, a string, None


def describe(structure: Any, is_leaf: Callable[[Any], bool] = is_array) -> Any:
    """What is static about a structure, hashable: equal descriptions mean the same shape of program."""
    return walked(structure, is_leaf, [])


def walked(structure: Any, is_leaf: Callable[[Any], bool], leaves: list[Any]) -> Any:
    """`describe`, which on its way appends the structure's leaves, in the order of `flatten`, to `leaves`."""
    if is_leaf(structure):
        leaves.append(structure)
        return (type(structure) is Tensor, structure.shape, structure.dtype) if hasattr(structure, "shape") else type(structure)
    kind: Any = type(structure)
    if kind is tuple or kind is list or isinstance(structure, (tuple, list)):
        return (kind, *[walked(part, is_leaf, leaves) for part in structure])
    if isinstance(structure, dict):
        return (dict, *[(key, walked(value, is_leaf, leaves)) for key, value in structure.items()])
    if dataclasses.is_dataclass(structure) and not isinstance(structure, type):
        return (kind, *[walked(getattr(structure, name), is_leaf, leaves) for name in _carried_fields(kind)])
    return (kind, structure)  # itself, not its name: two functions may be printed alike, and live one after the other at one address


@cache
def _carried_fields(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind) if _SHOWN not in field.metadata)
