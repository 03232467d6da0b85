"""The recorded program: values, views of them, rows that compute them, and loops of rows.

A *value* is written once, by one row (static single assignment), and stands for a buffer of its size.  An operand is a
*view* of a value (shape, strides and offset counted in elements: slicing, transposing, reshaping and repeating cost no
row) or a *literal*.  The rows of a loop are a program of their own, which may also read the values of the one around it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy


class Value:
    """What one row computes, or a program's input.  `weak`: a Python number, which adapts to the dtype it meets."""

    __slots__ = ("dtype", "name", "shape", "weak")

    def __init__(self, shape: Sequence[int], dtype: Any, name: str = "", weak: bool = False) -> None:
        self.shape = tuple(shape)
        self.dtype = numpy.dtype(dtype)
        self.name = name
        self.weak = weak

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __repr__(self) -> str:
        return f"<{self.name or 'value'} {self.dtype}{list(self.shape)}>"


@cache
def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides in elements of an array laid out row after row."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


@dataclass(frozen=True)
class Literal:
    """One number everywhere: what full, zeros and Python numbers become.  No dtype means a Python number."""

    number: float | int | bool
    shape: tuple[int, ...] = ()
    strong: Any = None

    @property
    def dtype(self) -> numpy.dtype[Any]:
        return numpy.dtype(self.strong if self.strong is not None else type(self.number))

    @property
    def weak(self) -> bool:
        return self.strong is None


@dataclass(frozen=True)
class View:
    """Elements offset + Σ i_k strides[k] of a value, for i_k < shape[k]."""

    value: Value
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0

    @property
    def dtype(self) -> numpy.dtype[Any]:
        return self.value.dtype

    @property
    def weak(self) -> bool:
        return self.value.weak

    @property
    def whole(self) -> bool:
        """Does it show all of its value in the value's own order (though perhaps in another shape)?"""
        return self.offset == 0 and math.prod(self.shape) == self.value.size and self.dense

    @property
    def dense(self) -> bool:
        """Is it laid out row after row, without gaps or repetition?"""
        own = contiguous(self.shape)
        return all(n == 1 or s == t for n, s, t in zip(self.shape, self.strides, own, strict=True))

    def of(self, value: Value) -> View:
        """The same view of another value of equal shape."""
        return View(value, self.shape, self.strides, self.offset)

    def through(self, function: Callable[[Any], Any]) -> View | None:
        """The view that `function` (NumPy indexing, transposing, …) makes of this one; None where NumPy would copy.

        NumPy itself does the arithmetic, on an array of bytes nobody writes.
        """
        canvas = numpy.empty(max(1, self.value.size), numpy.int8)
        before = numpy.ndarray(self.shape, numpy.int8, canvas, self.offset if math.prod(self.shape) else 0, self.strides)
        after = function(before)
        start = after.__array_interface__["data"][0] - canvas.__array_interface__["data"][0]
        if after.size and not numpy.may_share_memory(after, canvas):
            return None
        return View(self.value, after.shape, after.strides, start if after.size else 0)


Operand = View | Literal


def whole(value: Value) -> View:
    """All of a value."""
    return View(value, value.shape, contiguous(value.shape))


def broadcast(operand: Operand, shape: tuple[int, ...]) -> Operand:
    """The operand repeated to `shape`."""
    if operand.shape == shape:
        return operand
    if isinstance(operand, Literal):
        return replace(operand, shape=shape)
    extra = len(shape) - len(operand.shape)
    strides = tuple(
        0 if i < extra or (operand.shape[i - extra] == 1 and shape[i] != 1) else operand.strides[i - extra] for i in range(len(shape))
    )
    return View(operand.value, shape, strides, operand.offset)


@dataclass(frozen=True)
class Note:
    """Where a row comes from: forward, backward or update; the slide's equation; the line of the caller's code."""

    phase: str = ""
    equation: str = ""
    line: str = ""


NOWHERE = Note()


@dataclass(frozen=True, eq=False)
class Row:
    """`out = op(ins; attributes)`: one array operation."""

    op: str
    ins: tuple[Operand, ...]
    out: Value
    attributes: dict[str, Any] = field(default_factory=dict)
    note: Note = NOWHERE

    @property
    def outs(self) -> tuple[Value, ...]:
        return (self.out,)


@dataclass(frozen=True)
class Carry:
    """A value handed from one time step to the next: `start` before the first; the body reads `inside`, computes `next`."""

    start: Operand
    inside: Value
    next: Operand
    final: Value


@dataclass(frozen=True)
class Slice:
    """The body reads `inside`: entry t of `outside` along its leading axis."""

    outside: Operand
    inside: Value


@dataclass(frozen=True)
class Collected:
    """`outside[t]` is the body's `inside` of time step t."""

    inside: Operand
    outside: Value


@dataclass(frozen=True)
class Summed:
    """`outside` is the sum over time of the body's `inside`."""

    inside: Operand
    outside: Value


@dataclass(frozen=True, eq=False)
class Loop:
    """Time as a loop: `rows` run for t = 0 … length-1, or backwards in time.

    Arrays that are sliced and collected are always in the order of time, whichever way the loop runs.
    """

    length: int
    backwards: bool
    rows: tuple[AnyRow, ...]
    carries: tuple[Carry, ...]
    slices: tuple[Slice, ...]
    collected: tuple[Collected, ...]
    summed: tuple[Summed, ...]
    note: Note = NOWHERE

    op = "loop"
    attributes: Any = field(default_factory=dict)

    @property
    def outs(self) -> tuple[Value, ...]:
        return (*[c.final for c in self.carries], *[c.outside for c in self.collected], *[s.outside for s in self.summed])

    @property
    def ins(self) -> tuple[Operand, ...]:
        """What it reads before or beside its body's rows: starts and sliced arrays."""
        return (*[c.start for c in self.carries], *[s.outside for s in self.slices])

    @property
    def results(self) -> tuple[Operand, ...]:
        """What the body must have computed at the end of a time step."""
        return (*[c.next for c in self.carries], *[c.inside for c in self.collected], *[s.inside for s in self.summed])

    @property
    def times(self) -> range:
        """Its time steps in the order they run."""
        return range(self.length - 1, -1, -1) if self.backwards else range(self.length)

    @property
    def holds_loops(self) -> bool:
        """Is this a loop over segments of time, with a loop over the steps of one inside?"""
        return any(isinstance(row, Loop) for row in self.rows)

    @property
    def own(self) -> tuple[Value, ...]:
        """Values that exist inside without a row: the carried and the sliced ones."""
        return (*[c.inside for c in self.carries], *[s.inside for s in self.slices])


AnyRow = Row | Loop


@dataclass(frozen=True)
class Program:
    """`inputs` are filled before a run; then the rows; `outputs` are read, and each updated input takes its new content."""

    inputs: tuple[Value, ...]
    rows: tuple[AnyRow, ...]
    outputs: tuple[Operand, ...]
    updates: tuple[tuple[Value, Operand], ...]


def reads(row: AnyRow) -> Iterator[Operand]:
    """Every operand a row reads, those of a loop's body included."""
    yield from row.ins
    if isinstance(row, Loop):
        yield from row.results
        for inner in row.rows:
            yield from reads(inner)


def read_values(row: AnyRow) -> set[Value]:
    """Every value a row reads from outside itself."""
    found = {operand.value for operand in reads(row) if isinstance(operand, View)}
    if isinstance(row, Loop):
        found -= written_values(row.rows) | set(row.own)
    return found


def written_values(rows: Sequence[AnyRow]) -> set[Value]:
    """Every value that these rows and the loops among them write."""
    found: set[Value] = set()
    for row in rows:
        found.update(row.outs)
        if isinstance(row, Loop):
            found |= written_values(row.rows) | set(row.own)
    return found


def renewed(rows: Sequence[AnyRow]) -> tuple[tuple[AnyRow, ...], dict[Value, Value]]:
    """The same rows computing new values, and which new value stands for which old one."""
    new = {value: Value(value.shape, value.dtype, value.name, value.weak) for value in written_values(rows)}

    def named(row: AnyRow) -> AnyRow:
        if isinstance(row, Row):
            return replace(row, out=new[row.out])
        return replace(
            row,
            rows=tuple(map(named, row.rows)),
            carries=tuple(replace(c, inside=new[c.inside], final=new[c.final]) for c in row.carries),
            slices=tuple(replace(s, inside=new[s.inside]) for s in row.slices),
            collected=tuple(replace(c, outside=new[c.outside]) for c in row.collected),
            summed=tuple(replace(s, outside=new[s.outside]) for s in row.summed),
        )

    return tuple(map(named, substitute_rows(rows, {old: whole(value) for old, value in new.items()}))), new


Swap = Callable[[Operand], Operand]


def with_operands(row: AnyRow, swap: Swap) -> AnyRow:
    """The same row with every operand exchanged by `swap`, those of a loop's body included."""
    if isinstance(row, Row):
        return replace(row, ins=tuple(map(swap, row.ins)))
    return replace(
        row,
        rows=tuple(with_operands(inner, swap) for inner in row.rows),
        carries=tuple(replace(c, start=swap(c.start), next=swap(c.next)) for c in row.carries),
        slices=tuple(replace(s, outside=swap(s.outside)) for s in row.slices),
        collected=tuple(replace(c, inside=swap(c.inside)) for c in row.collected),
        summed=tuple(replace(s, inside=swap(s.inside)) for s in row.summed),
    )


def substitute_rows(rows: Sequence[AnyRow], table: Mapping[Value, Operand]) -> tuple[AnyRow, ...]:
    """These rows with views of the values in `table` replaced."""
    swap = swapping(table)
    return tuple(with_operands(row, swap) for row in rows)


def swapping(table: Mapping[Value, Operand]) -> Swap:
    """The function that replaces views of the values in `table`."""

    def swap(operand: Operand) -> Operand:
        while isinstance(operand, View) and operand.value in table:
            operand = composed(operand, table[operand.value])
        return operand

    return swap


def composed(view: View, inner: Operand) -> Operand:
    """The view of a value, when that value is itself only a view: `inner` must show the value in its own shape."""
    if isinstance(inner, Literal):
        return replace(inner, shape=view.shape, strong=inner.dtype)
    if inner.dense:
        return View(inner.value, view.shape, view.strides, view.offset + inner.offset)
    found = relocated(view, inner)
    if found is None:
        raise ValueError("this view cannot be expressed through the other")
    return found


def relocated(view: View, home: View) -> View | None:
    """`view` (of a contiguous value) when that value lives at `home`, of the value's shape; None if no strides express it."""
    if 0 in view.shape:
        return View(home.value, view.shape, contiguous(view.shape), home.offset)
    shape, strides = home.shape, home.strides
    blocks: list[list[int]] = []  # [elements, stride of one element in home], axes that follow each other at home made one
    for n, s in zip(shape, strides, strict=True):
        if n == 1:
            continue
        if blocks and blocks[-1][1] == s * n:
            blocks[-1] = [blocks[-1][0] * n, s]
        else:
            blocks.append([n, s])
    steps, size = [], 1  # of the value's own elements, for each block
    for n, _ in reversed(blocks):
        steps.append(size)
        size *= n
    steps.reverse()
    offset, rest, room = home.offset, view.offset, []
    for (n, s), step in zip(blocks, steps, strict=True):
        index, rest = divmod(rest, step)
        if index >= n:
            return None
        offset += index * s
        room.append([index, index, n])  # the lowest and highest element touched, and how many there are
    found = []
    for n, s in zip(view.shape, view.strides, strict=True):
        if n == 1 or s == 0:
            found.append(0)
            continue
        block = next((number for number, step in enumerate(steps) if abs(s) >= step), None)
        if block is None:
            return None
        jump, odd = divmod(s, steps[block])
        if odd:
            return None
        room[block][jump > 0] += jump * (n - 1)
        if room[block][0] < 0 or room[block][1] >= room[block][2]:
            return None
        found.append(jump * blocks[block][1])
    return View(home.value, view.shape, tuple(found), offset)
