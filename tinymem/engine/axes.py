"""Axis arguments as NumPy takes them, made static: non-negative integers, refused with the range that would do."""

from __future__ import annotations

import operator
from typing import Any

from tinymem.engine.errors import OperandError


def number_of_axes(x: Any, function: str) -> int:
    ndim: int | None = getattr(x, "ndim", None)
    if ndim is None:
        raise TypeError(f"{function}: expected a Tensor or an array, got {type(x).__name__}; wrap it: tinymem.Tensor(value)")
    return ndim


def one_axis(x: Any, axis: Any, function: str) -> int:
    """One axis, given as an integer of either sign, as a non-negative one."""
    ndim = number_of_axes(x, function)
    if type(axis) is not int:
        try:
            axis = operator.index(axis)
        except TypeError:
            raise TypeError(f"{function}: axis must be one integer, got {axis!r}") from None
    if not -ndim <= axis < ndim:
        raise OperandError(f"{function}: x has shape {tuple(x.shape)}, so axis {axis} does not exist; use {-ndim} … {ndim - 1}")
    return axis % ndim


def several_axes(x: Any, axis: Any, function: str) -> tuple[int, ...]:
    """The axis argument of NumPy (None, an integer, several) as a tuple of non-negative integers."""
    if axis is None:
        return tuple(range(number_of_axes(x, function)))
    if isinstance(axis, (tuple, list)):
        return tuple([one_axis(x, one, function) for one in axis])
    return (one_axis(x, axis, function),)


def new_axis(x: Any, axis: int, function: str) -> int:
    """The place of an axis to be inserted, as a non-negative integer: there is one more of them than there are axes."""
    places = number_of_axes(x, function) + 1
    if not -places <= axis < places:
        raise OperandError(
            f"{function}: x has shape {tuple(x.shape)}, so an axis cannot be inserted at {axis}; use {-places} … {places - 1}"
        )
    return axis % places
