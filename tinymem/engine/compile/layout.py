"""Where every value lives: the bridge from a program of values to one of memory.

Each value gets a *home*: a place in a buffer, which inside a loop may move with time.  What a time step hands to the
next, and what is collected over time, is computed straight into its place; so are the parts of an array that is
assembled from pieces.  The rows that remain to be copied are written out as rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from tinymem.engine.compile.program import (
    AnyRow,
    Carry,
    Literal,
    Loop,
    Operand,
    Program,
    Row,
    Value,
    View,
    contiguous,
    read_values,
    reads,
    relocated,
    substitute_rows,
    whole,
)

NARROW = 32  # rows of at most this many elements are short


class Buffer:
    """Memory for `size` elements; `array` if it is somebody's (an input), else to be planned."""

    __slots__ = ("array", "dtype", "name", "size")

    def __init__(self, size: int, dtype: Any, name: str = "", array: Any = None) -> None:
        self.size, self.dtype, self.name, self.array = size, dtype, name, array

    @property
    def nbytes(self) -> int:
        return self.size * int(self.dtype.itemsize)


@dataclass(frozen=True)
class Home:
    """Elements `offset + step * slot + Σ i_k strides[k]` of a buffer; slot = t + shift, or that modulo `period`."""

    buffer: Buffer
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0
    step: int = 0
    shift: int = 0
    period: int = 0

    def slot(self, t: int) -> int:
        return (t + self.shift) % self.period if self.period else t + self.shift


@dataclass(frozen=True)
class Access:
    """Where a row reads or writes: like a home, in the shape the row wants."""

    home: Home
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    @property
    def dtype(self) -> Any:
        return self.home.buffer.dtype


@dataclass
class Order:
    """A program's rows in stretches, each the body of a loop or what stands between loops, and when which of them runs.

    What stands between the loops of a loop over segments is a stretch of that one.
    """

    stretches: list[tuple[Loop | None, list[Row]]] = field(default_factory=list)
    turns: list[tuple[int, range]] = field(default_factory=list)
    """number of a stretch, and the time steps it runs through"""
    regions: dict[int, range] = field(default_factory=dict)
    """for a stretch within a loop over segments, the numbers of all stretches in it"""


@dataclass
class LaidOut:
    """A program whose values have homes.  A loop is a pair of it and its body's rows, in order."""

    homes: dict[Value, Home] = field(default_factory=dict)
    steps: list[Any] = field(default_factory=list)
    """rows, and loops as (Loop, its rows and loops)"""
    outputs: tuple[Operand, ...] = ()
    updates: tuple[tuple[Value, Operand], ...] = ()

    @cached_property
    def order(self) -> Order:
        """Rows between loops together, each loop by itself; the updates of the state at the end."""
        order = Order()
        updates = [Row("copy", (new,), value) for value, new in self.updates]
        for part in _parts([*self.steps, *updates]):
            first = len(order.stretches)
            if isinstance(part, list):
                order.stretches.append((None, part))
                order.turns.append((first, range(1)))
            elif not part[0].holds_loops:
                order.stretches.append(part)
                order.turns.append((first, part[0].times))
            else:
                around, body = part
                order.stretches += [(around, inner) if isinstance(inner, list) else inner for inner in _parts(body)]
                region = range(first, len(order.stretches))
                order.regions |= dict.fromkeys(region, region)
                loops = {number: order.stretches[number][0] or around for number in region}
                order.turns += [(n, range(s, s + 1) if loop is around else loop.times) for s in around.times for n, loop in loops.items()]
        return order

    def access(self, operand: View) -> Access:
        """The memory that a view shows."""
        home = self.homes[operand.value]
        if home.strides == contiguous(home.shape):
            return Access(home, operand.shape, operand.strides, home.offset + operand.offset)
        found = relocated(operand, View(operand.value, home.shape, home.strides, home.offset))
        assert found is not None, f"{operand} cannot be read at {home}"
        return Access(home, found.shape, found.strides, found.offset)


def steps_through_time(loop: Loop | None) -> bool:
    """Does a stretch of this loop run at every time step, rather than once or between the loops of a segment?"""
    return loop is not None and not loop.holds_loops


def _parts(steps: Sequence[Any]) -> list[Any]:
    """Loops, and the rows between them as lists."""
    found: list[Any] = []
    for step in steps:
        if isinstance(step, tuple):
            found.append(step)
        elif found and isinstance(found[-1], list):
            found[-1].append(step)
        else:
            found.append([step])
    return found


def lay_out(
    program: Program, given: dict[Value, Any], in_place: bool = True, rigid: dict[Value, str] | None = None, turn_narrow: bool = False
) -> LaidOut:
    """Homes for all values; `given` are the arrays of the inputs.  Without `in_place`, pieces are copied together.

    With `turn_narrow` matrices with short rows are stored column after column.
    `rigid` values must be "whole" (contiguous) or consist of "rows" of adjacent elements.
    """
    return _Layout(program, given, in_place, rigid or {}, turn_narrow).result


class _Layout:
    def __init__(self, program: Program, given: dict[Value, Any], in_place: bool, rigid: dict[Value, str], turn_narrow: bool) -> None:
        program = replace(program, rows=_standing_still(program.rows))
        self.result = LaidOut(outputs=program.outputs, updates=program.updates)
        self.homes = self.result.homes
        self.in_place = in_place
        self.rigid = rigid
        self.changing: set[Value] = set()  # values whose memory a later row adds to: nobody else may read them there
        self.moved: set[Value] = set()  # copies that are not made, for their source is computed there
        self.remaining: dict[Value, tuple[bool, list[Any]]] = {}
        self.views: dict[Value, list[View]] = {}
        for operand in [*program.outputs, *[new for _, new in program.updates], *[o for row in program.rows for o in reads(row)]]:
            if isinstance(operand, View):
                self.views.setdefault(operand.value, []).append(operand)
        for value in program.inputs:
            array = given[value]
            self.homes[value] = Home(Buffer(value.size, value.dtype, value.name, array), value.shape, contiguous(value.shape))
        self.turned: dict[Value, tuple[int, ...]] = {}
        if turn_narrow:
            self._turn(program.rows)
        self._rows(program.rows, {row.out for row in program.rows if isinstance(row, Row)}, self.result.steps)

    # -- homes ------------------------------------------------------------------------------------------------------------
    def _home(self, value: Value) -> Home:
        if value not in self.homes:
            self.homes[value] = Home(Buffer(value.size, value.dtype, value.name), value.shape, self._strides(value))
        return self.homes[value]

    def _strides(self, value: Value) -> tuple[int, ...]:
        return self.turned.get(value, contiguous(value.shape))

    def _turn(self, rows: Sequence[AnyRow]) -> None:
        for row in rows:
            if isinstance(row, Loop) and row.holds_loops:
                self._turn(row.rows)
            elif isinstance(row, Loop):
                self._turn_loop(row)

    def _turn_loop(self, loop: Loop) -> None:
        """Matrices with short rows are stored column after column, where every reader can follow.

        N locations of width M, M short: a loop over the locations fills the machine's vectors, one over the width does not.
        """
        for value in (*loop.own, *[row.out for row in loop.rows]):  # type: ignore[union-attr]
            if len(value.shape) >= 3 and value.shape[-1] <= NARROW < value.shape[-2]:
                self._try_turn(value, (*contiguous(value.shape)[:-2], 1, value.shape[-2]))
        for inside, outside in [(c.inside, c.outside) for c in loop.collected] + [(whole(c.inside), c.final) for c in loop.carries]:
            if isinstance(inside, View) and inside.value in self.turned and inside == whole(inside.value):
                lead = (inside.value.size,) * (len(outside.shape) - len(inside.shape))
                self._try_turn(outside, (*lead, *self.turned[inside.value]))

    def _try_turn(self, value: Value, strides: tuple[int, ...]) -> None:
        frame = View(value, value.shape, strides, 0)
        if value not in self.rigid and all(relocated(view, frame) is not None for view in self.views.get(value, [])):
            self.turned[value] = strides

    def _try_home(self, operand: Operand, home: Home, own: set[Value]) -> bool:
        """Let the row that computes `operand` write it at `home`; False if it has a home, or is read in a way that forbids."""
        if not self.in_place or not isinstance(operand, View) or not operand.whole:
            return False
        value = operand.value
        if value in self.homes or value not in own or value.dtype != home.buffer.dtype:
            return False
        if operand.shape != value.shape:  # seen in another shape: the home in the value's own shape
            moved = relocated(View(value, value.shape, contiguous(value.shape), 0), View(value, home.shape, home.strides, home.offset))
            if moved is None:
                return False
            home = replace(home, shape=value.shape, strides=moved.strides, offset=moved.offset)
        if not self._fits(value, home):
            return False
        self.homes[value] = home
        return True

    def _fits(self, value: Value, home: Home) -> bool:
        """Can everybody read the value at this home?"""
        if home.strides == contiguous(home.shape):
            return True
        form = self.rigid.get(value)
        if form == "whole":
            return False
        if form == "rows" and not (
            (home.shape[-1] == 1 or home.strides[-1] == 1) and (home.shape[-2] == 1 or home.strides[-2] >= home.shape[-1])
        ):
            return False
        frame = View(value, home.shape, home.strides, home.offset)
        return all(relocated(view, frame) is not None for view in self.views.get(value, []))

    def _assembled_in_place(self, row: Row, own: set[Value]) -> None:
        """Pieces are computed straight into the assembled array, where nothing forbids."""
        home = self._home(row.out)
        if row.op == "copy":
            source = row.ins[0]
            if isinstance(source, View) and row.out not in self.changing and self._try_permuted(source, home, own):
                self.moved.add(row.out)
            return
        if row.op == "add_at":
            base = row.ins[0]
            if isinstance(base, View) and self._read_once(base) and self._try_home(base, home, own):
                self.changing.add(base.value)
            return
        remaining = []
        gaps = sum(_count(region[0]) for region in row.attributes["regions"]) < row.out.size
        for piece, region in zip(row.ins, row.attributes["regions"], strict=True):
            if gaps or (row.out in self.changing and not self._read_once(piece)):
                remaining.append((piece, region))
                continue
            found = relocated(View(row.out, *region), View(row.out, home.shape, home.strides, home.offset))
            if found is None or not self._try_home(
                piece, replace(home, shape=found.shape, strides=found.strides, offset=found.offset), own
            ):
                remaining.append((piece, region))
            elif row.out in self.changing:
                self.changing.add(piece.value)  # type: ignore[union-attr]
        self.remaining[row.out] = (gaps, remaining)

    def _try_permuted(self, source: View, home: Home, own: set[Value]) -> bool:
        """Let a value whose axes are copied in another order be computed in that order."""
        value = source.value
        if not self.in_place or value in self.homes or value not in own or value.dtype != home.buffer.dtype:
            return False
        if source.offset or source.shape != home.shape or math.prod(source.shape) != value.size:
            return False
        steps = {s: t for n, s, t in zip(source.shape, source.strides, home.strides, strict=True) if n > 1}
        own_axes = [(s, n) for n, s in zip(value.shape, contiguous(value.shape), strict=True)]
        if sorted((s, n) for n, s in zip(source.shape, source.strides, strict=True) if n > 1) != sorted(a for a in own_axes if a[1] > 1):
            return False
        there = replace(home, shape=value.shape, strides=tuple(0 if n == 1 else steps[s] for s, n in own_axes))
        if not self._fits(value, there):
            return False
        self.homes[value] = there
        return True

    def _read_once(self, operand: Operand) -> bool:
        return isinstance(operand, View) and len(self.views.get(operand.value, [])) == 1

    # -- rows -------------------------------------------------------------------------------------------------------------
    def _rows(self, rows: Sequence[AnyRow], own: set[Value], steps: list[Any]) -> None:
        """Append what remains to be done of these rows to `steps`."""
        for row in reversed(rows):
            if isinstance(row, Row) and row.op in ("assemble", "add_at", "copy"):
                self._assembled_in_place(row, own)
        for row in rows:
            if isinstance(row, Row):
                steps += self._row(row)
            else:
                self._loop(row, steps)

    def _row(self, row: Row) -> list[Row]:
        home = self._home(row.out)
        if row.out in self.moved:
            return []
        if row.op == "assemble":
            rows = []
            gaps, remaining = self.remaining[row.out]
            if gaps:
                rows.append(self._copy(Literal(row.attributes["fill"], row.out.shape, row.out.dtype), home, row))
            for piece, region in remaining:
                rows.append(self._copy(piece, self._part(row.out, region), row))
            return rows
        if row.op == "add_at":
            base, piece = row.ins
            rows = []
            if not (isinstance(base, View) and self._home(base.value) == home):
                rows.append(self._copy(base, home, row))
            part = self._part(row.out, row.attributes["region"])
            target = self._alias(part)
            rows.append(Row("accumulate", (piece,), target, {}, row.note))
            return rows
        return [row]

    def _part(self, value: Value, region: Any) -> Home:
        home = self._home(value)
        found = relocated(View(value, *region), View(value, home.shape, home.strides, home.offset))
        assert found is not None
        return replace(home, shape=found.shape, strides=found.strides, offset=found.offset)

    def _alias(self, home: Home) -> Value:
        value = Value(home.shape, home.buffer.dtype)
        self.homes[value] = home
        return value

    def _copy(self, operand: Operand, home: Home, like: AnyRow) -> Row:
        if operand.shape != home.shape:
            operand = replace(operand, shape=home.shape) if isinstance(operand, Literal) else operand
        return Row("copy", (operand,), self._alias(home), {}, like.note)

    # -- loops ------------------------------------------------------------------------------------------------------------
    def _loop(self, loop: Loop, steps: list[Any]) -> None:
        """Append a loop to `steps`, and before it what is done once."""
        own = {row.out for row in loop.rows if isinstance(row, Row)}
        own -= _read_by_loops(loop)  # these must not move with the segments
        length, back = loop.length, loop.backwards
        last: list[tuple[Operand, Home]] = []  # to be copied at the end of a time step
        body: list[Row] = []
        for slice_ in loop.slices:
            self._slice(slice_.outside, slice_.inside, loop, body)
        collected: dict[Operand, Value] = {}
        for entry in loop.collected:
            collected.setdefault(entry.inside, entry.outside)
        for c in loop.carries:
            size = c.inside.size
            plain = self._carried_strides(c)
            kept_inside, kept_next = collected.pop(whole(c.inside), None), None
            if isinstance(c.next, View) and c.next.whole and c.next.value in own and c.next.value not in self.homes:
                kept_next = collected.pop(c.next, None)
            stacked = kept_inside is not None or kept_next is not None
            buffer = Buffer(size * ((length + 1) if stacked else 2), c.inside.dtype, c.inside.name)
            period = 0 if stacked else 2
            self.homes[c.inside] = Home(buffer, c.inside.shape, plain, 0, size, int(back), period)
            after = Home(buffer, c.inside.shape, plain, 0, size, int(not back), period)
            first, final = (length, 0) if back else (0, length)
            if period:
                first, final = first % 2, final % 2
            self.homes[c.final] = Home(buffer, c.inside.shape, plain, final * size)
            for kept, shift in ((kept_inside, int(back)), (kept_next, int(not back))):
                if kept is not None:
                    self.homes[kept] = Home(buffer, kept.shape, (size, *plain), shift * size)
            steps.append(self._copy(c.start, Home(buffer, c.inside.shape, plain, first * size), loop))
            if not self._try_home(c.next, after, own):
                last.append((c.next, after))
        for entry in loop.collected:
            if entry.outside in self.homes and collected.get(entry.inside) is not entry.outside:
                continue  # a part of what is carried
            outside = self._home(entry.outside)
            inside_shape = entry.outside.shape[1:]
            home = Home(outside.buffer, inside_shape, outside.strides[1:], outside.offset, outside.strides[0])
            if not self._try_home(entry.inside, home, own):
                last.append((entry.inside, home))
        self._rows(loop.rows, own, body)
        for total in loop.summed:
            home = self._home(total.outside)
            steps.append(self._copy(Literal(0.0, home.shape, home.buffer.dtype), home, loop))
            body.append(Row("accumulate", (total.inside,), self._alias(home), {}, loop.note))
        body += [self._copy(operand, home, loop) for operand, home in last]
        steps.append((loop, body))

    def _carried_strides(self, c: Carry) -> tuple[int, ...]:
        """One layout for what is carried in and out."""
        found = {self._strides(value) for value in (c.inside, c.final)}
        if isinstance(c.next, View) and c.next.value.shape == c.inside.shape:
            found.add(self._strides(c.next.value))
        return found.pop() if len(found) == 1 else contiguous(c.inside.shape)

    def _slice(self, outside: Operand, inside: Value, loop: Loop, body: list[Row]) -> None:
        """The sliced value's home moves through the array from outside; where a reader cannot follow it there, it is copied."""
        if isinstance(outside, Literal):
            body.append(self._copy(outside, self._home(inside), loop))
            return
        home = self._home(outside.value)
        if home.strides == contiguous(home.shape):
            view = replace(outside, offset=home.offset + outside.offset)
        else:
            found = relocated(outside, View(outside.value, home.shape, home.strides, home.offset))
            assert found is not None
            view = found
        moving = Home(home.buffer, inside.shape, view.strides[1:], view.offset, view.strides[0])
        if self._fits(inside, moving):
            self.homes[inside] = moving
        else:
            entry = self._alias(moving)
            body.append(self._copy(whole(entry), self._home(inside), loop))


def _standing_still(rows: Sequence[AnyRow]) -> tuple[AnyRow, ...]:
    """What a loop over segments carries or slices moves with the segments; loops inside of it read a copy that stays in one place.

    So no memory moves with two loops at once.
    """
    found: list[AnyRow] = []
    for row in rows:
        if isinstance(row, Loop) and row.holds_loops:
            moving = _read_by_loops(row) & set(row.own)
            copies = [Row("copy", (whole(value),), Value(value.shape, value.dtype), {}, row.note) for value in row.own if value in moving]
            table: dict[Value, Operand] = {copy.ins[0].value: whole(copy.out) for copy in copies}  # type: ignore[union-attr]
            row = replace(row, rows=(*copies, *[_reading(inner, table) if isinstance(inner, Loop) else inner for inner in row.rows]))
        found.append(row)
    return tuple(found)


def _reading(loop: Loop, table: dict[Value, Operand]) -> Loop:
    """The loop with other operands, but for its carries' starts: those are copied in anyway."""
    changed = substitute_rows((loop,), table)[0]
    assert isinstance(changed, Loop)
    return replace(changed, carries=tuple(replace(c, start=old.start) for c, old in zip(changed.carries, loop.carries, strict=True)))


def _read_by_loops(loop: Loop) -> set[Value]:
    """What the loops inside of a loop read from outside of themselves, but for their carries' starts."""
    found: set[Value] = set()
    for row in loop.rows:
        if isinstance(row, Loop):
            found |= read_values(replace(row, carries=tuple(replace(c, start=Literal(0.0)) for c in row.carries)))
    return found


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for n in shape:
        total *= n
    return total
