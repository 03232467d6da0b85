"""What the rows of `ops` compute with where one array function is not enough.  Arrays in, arrays out: no Tensor enters."""

from __future__ import annotations

from functools import cache
from typing import Any

from tinymem.engine.errors import OperandError


@cache
def repeated_axes(larger: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes along which broadcasting from `shape` to `larger` repeats."""
    extra = len(larger) - len(shape)
    return tuple(i for i, n in enumerate(larger) if i < extra or (shape[i - extra] == 1 and n != 1))


def sum_array_to(x: Any, shape: tuple[int, ...]) -> Any:
    extra = x.ndim - len(shape)
    total = x.sum(axis=repeated_axes(x.shape, shape), keepdims=True)
    if total.shape[max(extra, 0) :] != shape:  # equally many elements is not enough: reshape would shuffle them in silence
        raise OperandError(
            f"sum_to: x has shape {tuple(x.shape)}, which broadcasting from {shape} never gives. "
            "If x is a gradient, the VJP that computed it returned a wrong shape"
        )
    return total.reshape(shape)


BASIC = frozenset({slice, int, type(None), type(...)})  # not bool: x[True] is a copy


def put_into_zeros(xp: Any, x: Any, index: Any, shape: tuple[int, ...]) -> Any:
    out = xp.zeros(shape, dtype=x.dtype)
    if is_basic(index):
        out[index] = x  # a slice names no place twice
    else:
        xp.add.at(out, index, x)
    return out


def is_basic(index: Any) -> bool:
    return all(map(BASIC.__contains__, map(type, index if type(index) is tuple else (index,))))  # types of parts that name no place twice


def grid(xp: Any, index: Any, axis: int) -> tuple[Any, ...]:
    ranges = [xp.arange(n).reshape([-1 if i == k else 1 for k in range(index.ndim)]) for i, n in enumerate(index.shape)]
    return tuple(index if i == axis else grid for i, grid in enumerate(ranges))


def add_at(total: Any, g: Any, index: Any) -> Any:
    if hasattr(total, "plus_at"):  # a recorded array: it has no elements to change
        return total.plus_at(index, g)
    part = total[index]
    if part.ndim:
        part += g  # a view
    else:
        total[index] = part + g
    return total


def put_taken(xp: Any, x: Any, index: Any, axis: int, shape: tuple[int, ...]) -> Any:
    recorded = getattr(xp, "put_taken", None)
    return recorded(x, index, axis, shape) if recorded else put_into_zeros(xp, x, (slice(None),) * axis + (index,), shape)


def put_along(xp: Any, x: Any, index: Any, axis: int, shape: tuple[int, ...]) -> Any:
    recorded = getattr(xp, "put_along", None)
    return recorded(x, index, axis, shape) if recorded else put_into_zeros(xp, x, grid(xp, index, axis), shape)


def roll_array(xp: Any, x: Any, shift: int, axis: int) -> Any:
    n = x.shape[axis]
    cut = -shift % n if n else 0
    before = (slice(None),) * axis
    return xp.concatenate((x[(*before, slice(cut, None))], x[(*before, slice(None, cut))]), axis=axis)


def stable_softmax(xp: Any, x: Any, axis: int) -> Any:
    exponentials = xp.exp(x - x.max(axis=axis, keepdims=True))
    exponentials /= exponentials.sum(axis=axis, keepdims=True)
    return exponentials


def stable_logsumexp(xp: Any, x: Any, axis: int) -> Any:
    top = x.max(axis=axis, keepdims=True)
    top = xp.where(xp.isfinite(top), top, 0)  # all -inf, as under a mask: the sum is 0 and its logarithm -inf, not NaN
    return xp.log(xp.exp(x - top).sum(axis=axis)) + xp.squeeze(top, axis=axis)
