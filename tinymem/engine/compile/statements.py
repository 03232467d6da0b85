"""Rows as loop nests: each elementwise row, reduction and small product is one statement over a space of indices.

A statement reads and writes memory at affine places, `offset + Σ i_k strides[k]`, for every point of its space.  A
reduction writes with stride 0 along the axes it sums over.  What is no statement (large matrix products, gathers,
sorts) stays a row of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tinymem.engine.compile.layout import Buffer, Home, LaidOut
from tinymem.engine.compile.maps import MAPS
from tinymem.engine.compile.program import Literal, Operand, Row

SMALL = 64 * 64  # elements of a matrix whose product with one vector costs less than the call of a BLAS
THIN = 4  # a matrix product with a side of at most this many, one for each index before, is a loop nest


@dataclass(frozen=True)
class Place:
    """Memory a statement touches: elements offset + Σ i_k strides[k] of a buffer, at a slot that may move with time."""

    buffer: Buffer
    slot: tuple[int, int, int]  # step, shift, period of the home
    offset: int
    strides: tuple[int, ...]

    @property
    def dtype(self) -> Any:
        return self.buffer.dtype


@dataclass(frozen=True, eq=False)
class Statement:
    """`out[...] ∘= op(ins[...])` for every point of `space`; ∘ is assignment unless `reduce` names a sum, max or min.

    `add`: the result is added to what is there.  `loop`: the dtypes op computes with.
    """

    op: str
    space: tuple[int, ...]
    ins: tuple[Place | Literal, ...]
    out: Place
    reduce: str | None = None
    add: bool = False
    loop: tuple[Any, ...] = ()

    @property
    def reduced(self) -> tuple[int, ...]:
        """The axes summed over."""
        return tuple(k for k, n in enumerate(self.space) if self.out.strides[k] == 0 and n > 1) if self.reduce else ()


def slot_of(home: Home) -> tuple[int, int, int]:
    return (home.step, home.shift, home.period) if home.step else (0, 0, 0)


def place_of(laid_out: LaidOut, operand: Operand) -> Place | Literal:
    if isinstance(operand, Literal):
        return operand
    access = laid_out.access(operand)
    strides = tuple(0 if n == 1 else s for n, s in zip(access.shape, access.strides, strict=True))
    return Place(access.home.buffer, slot_of(access.home), access.offset, strides)


def written_place(laid_out: LaidOut, row: Row) -> Place:
    home = laid_out.homes[row.out]
    strides = tuple(0 if n == 1 else s for n, s in zip(home.shape, home.strides, strict=True))
    return Place(home.buffer, slot_of(home), home.offset, strides)


def statement_of(laid_out: LaidOut, row: Row) -> Statement | None:
    """The statement a row is, or None."""
    out = written_place(laid_out, row)
    shape = laid_out.homes[row.out].shape
    ins = tuple(place_of(laid_out, operand) for operand in row.ins)
    if row.op in MAPS:
        return Statement(row.op, shape, ins, out, loop=row.attributes["loop"])
    if row.op == "where":
        return Statement("where", shape, ins, out, loop=row.attributes["loop"])
    if row.op in ("copy", "accumulate"):
        shaped = row.ins[0].shape
        if shaped != shape and isinstance(ins[0], Place):
            assert math.prod(shaped) == math.prod(shape), f"{row.op}: {shaped} is not {shape}"
            shape, ins, out = _same_axes(row.ins[0], ins[0], shape, out)
        return Statement("copy", shape, ins, out, add=row.op == "accumulate", loop=(out.dtype,))
    if row.op in ("sum", "max", "min"):
        space, axes = row.ins[0].shape, row.attributes["axes"]
        rest = iter(out.strides)
        strides = tuple(0 if k in axes else next(rest) for k in range(len(space)))
        return Statement("copy", space, ins, _restrided(out, strides), row.op, loop=(out.dtype,))
    if row.op == "matmul":
        return _product(row, ins, out)
    return None


def _restrided(place: Place, strides: tuple[int, ...]) -> Place:
    return Place(place.buffer, place.slot, place.offset, strides)


def _same_axes(operand: Operand, source: Place, shape: tuple[int, ...], out: Place) -> Any:
    """Two shapes that differ by axes of length 1 only."""
    theirs = [(n, s) for n, s in zip(operand.shape, source.strides, strict=True) if n != 1]
    ours = [(n, s) for n, s in zip(shape, out.strides, strict=True) if n != 1]
    assert [n for n, _ in theirs] == [n for n, _ in ours], f"{operand.shape} is not {shape}"
    space = tuple(n for n, _ in theirs)
    return space, (_restrided(source, tuple(s for _, s in theirs)),), _restrided(out, tuple(s for _, s in ours))


def is_loop_nest(row: Row) -> bool:
    """Is this matrix product a loop nest: a small matrix times a vector, or one thin product for each index before?  Of two arrays."""
    if any(isinstance(operand, Literal) for operand in row.ins):
        return False
    *batch, m, k = row.ins[0].shape
    n = row.ins[1].shape[-1]
    return min(m, n, k) <= THIN if batch else m == 1 and n * k <= SMALL


def _product(row: Row, ins: tuple[Any, ...], out: Place) -> Statement | None:
    """A thin matrix product as a sum of products, where BLAS has nothing to gain."""
    x, y = ins
    *batch, m, k = row.ins[0].shape
    n = row.ins[1].shape[-1]
    if not is_loop_nest(row):
        return None
    lead = len(batch)
    axes = [(b, x.strides[i], y.strides[i], out.strides[i]) for i, b in enumerate(batch)] or [(1, 0, 0, 0)]
    inner = [
        (m, x.strides[lead], 0, out.strides[lead]),
        (n, 0, y.strides[lead + 1], out.strides[lead + 1]),
        (k, x.strides[lead + 1], y.strides[lead], 0),
    ]
    inner = [axis for axis in inner if axis[0] > 1]
    largest = 1 if m * k >= k * n else 2
    inner.sort(key=lambda axis: (-axis[largest], -axis[3 - largest]))  # in the order of the larger operand in memory
    while len(inner) > 1 and inner[-1][largest] == 0:  # what the larger operand lacks goes outside
        inner.insert(0, inner.pop())
    space = tuple(axis[0] for axis in axes + inner)
    places = [_restrided(p, tuple(axis[i + 1] for axis in axes + inner)) for i, p in enumerate((x, y, out))]
    reduce = "sum" if k > 1 else None
    return Statement("multiply", space, (places[0], places[1]), places[2], reduce, loop=(out.dtype,) * 2)


# -- who may stand in whose way ---------------------------------------------------------------------------------------------------
def span(place: Place, space: tuple[int, ...], axes: slice = slice(None)) -> tuple[int, int]:
    """Lowest and highest element touched, over some of the axes."""
    low = high = place.offset
    for n, s in list(zip(space, place.strides, strict=True))[axes]:
        low, high = (low, high + s * (n - 1)) if s >= 0 else (low + s * (n - 1), high)
    return low, high


def overlap(a: Place, a_space: tuple[int, ...], b: Place, b_space: tuple[int, ...]) -> bool:
    """Can the two touch the same element at the same time step?  True unless shown otherwise."""
    if a.buffer is not b.buffer:
        return False
    if a.slot != b.slot:
        # the same array at this time step and at the next, or its halves
        return not (a.slot[0] == b.slot[0] != 0 and a.slot[2] == b.slot[2] and a.slot[1] != b.slot[1])
    a_low, a_high = span(a, a_space)
    b_low, b_high = span(b, b_space)
    if a_high < b_low or b_high < a_low:
        return False
    steps = {s for n, s in zip(a_space, a.strides, strict=True) if n > 1 and s > 0} & {
        s for n, s in zip(b_space, b.strides, strict=True) if n > 1 and s > 0
    }
    for step in sorted(steps, reverse=True):  # columns of one matrix: compare within a row
        within = []
        for place, space in ((a, a_space), (b, b_space)):
            rest = [(n, s) for n, s in zip(space, place.strides, strict=True) if s % step]
            if any(s < 0 for _, s in rest):
                break
            low = place.offset % step
            within.append((low, low + sum(s * (n - 1) for n, s in rest)))
        if len(within) == 2 and all(high < step for _, high in within):
            (p, q), (r, s) = within
            if q < r or s < p:
                return False
    return True
