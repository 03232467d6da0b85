"""The lowering to a device: groups of rows as kernels of CuPy, the rest as its array functions, nothing waiting for anything.

The same program, the same fusion, the same plan as on the host.  Statements over one space are one ElementwiseKernel;
a sum is one ReductionKernel together with what only it needs; matrix products, gathers, sorts and maxima are the
library's own.  CuPy takes strided and broadcast views as they are, so a call is a kernel and its views, both made once.
Where the arrays' module has no kernels (the strict double of the tests), each row is replayed by its functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tinymem.engine.compile.kernel_cuda import Launch, Text, elementwise, handed_on, is_supported, map_reduce
from tinymem.engine.compile.layout import Buffer, LaidOut, steps_through_time
from tinymem.engine.compile.lower_numpy import Call, Replay
from tinymem.engine.compile.passes.fuse import Kernel, Nest, Opaque, fuse
from tinymem.engine.compile.passes.plan import Touch, lifetimes
from tinymem.engine.compile.program import Literal, Loop, Row, View
from tinymem.engine.compile.statements import Place, Statement, place_of, statement_of, written_place

MOST = 24  # parameters of a kernel: each passes shape and strides, and all together have 4 KB


def on_device(laid_out: LaidOut, xp: Any, without: frozenset[str] = frozenset()) -> Replay:
    """The program where the arrays of `xp` live: by kernels if it has them, else row by row."""
    kinds = kernel_makers(xp)
    if kinds is None or "fuse" in without:
        replay = Replay(laid_out, "plan" not in without, xp)
        replay.name = xp.__name__
        return replay
    return Fused(laid_out, xp, kinds, without)


@dataclass(frozen=True)
class Makers:
    """The two classes that make a kernel from its text."""

    elementwise: Callable[..., Any]
    reduction: Callable[..., Any]

    def kernel(self, text: Text) -> Any:
        if text.sums:
            parts = text.map_expression, "a + b", "o0 = a", "0"
            return self.reduction(text.in_params, text.out_params, *parts, text.name, text.sums, preamble=text.preamble)
        return self.elementwise(text.in_params, text.out_params, text.operation, text.name, no_return=True)


def kernel_makers(xp: Any) -> Makers | None:
    """What this array module makes kernels with, if it does."""
    makes_elementwise, makes_reductions = (getattr(xp, name, None) for name in ("ElementwiseKernel", "ReductionKernel"))
    return Makers(makes_elementwise, makes_reductions) if makes_elementwise and makes_reductions else None


# -- grouping ---------------------------------------------------------------------------------------------------------------
@dataclass(eq=False)
class Group:
    """Statements that become one kernel: elementwise ones, or a sum at the end and what only it needs."""

    statements: list[Statement]

    @property
    def sums(self) -> bool:
        return bool(self.statements[-1].reduced)

    def loads(self) -> Iterator[Place]:
        """What it reads from memory: operands that none of its own statements has just computed."""
        for index, s in enumerate(self.statements):
            yield from (x for x in s.ins if isinstance(x, Place) and handed_on(self.statements, index, x) is None)
            if s.add:
                yield s.out


Unit = Group | Row
Local = Callable[[Buffer], bool]


def grouped(laid_out: LaidOut) -> list[tuple[Loop | None, list[Unit]]]:
    """The program's rows as groups and single rows, in an order that keeps every dependence."""
    row_of: dict[Statement, Row] = {}
    stretches = [(loop, _fused(laid_out, rows, steps_through_time(loop), row_of)) for loop, rows in laid_out.order.stretches]
    users: dict[Buffer, set[Any]] = {buffer: {"returned"} for buffer in _returned(laid_out)}
    for _, parts in stretches:
        for part in parts:
            for place in _touched(laid_out, part):
                users.setdefault(place.buffer, set()).add(id(part))

    def local(buffer: Buffer) -> bool:
        """Does only one nest ever touch it?"""
        return buffer.array is None and len(users[buffer]) == 1

    return [
        (loop, [unit for part in parts for unit in ([part] if isinstance(part, Row) else _of_nest(part, row_of, local))])
        for loop, parts in stretches
    ]


def _fused(laid_out: LaidOut, rows: list[Row], inside_loop: bool, row_of: dict[Statement, Row]) -> list[Nest | Row]:
    units: list[Statement | Opaque] = []
    for row in rows:
        s = statement_of(laid_out, row)
        if s is None or not is_supported(s) or not math.prod(s.space):
            reads, written = _row_touches(laid_out, row)
            units.append(Opaque(row, reads, written))
        else:
            s = _led(s)
            row_of[s] = row
            units.append(s)
    found: list[Nest | Row] = []
    for unit in fuse(units, True, inside_loop):
        if isinstance(unit, Kernel):
            found += [Nest((unit.outer, *nest.space), nest.statements) for nest in unit.nests]
        else:
            found.append(unit.row)
    return found


def _led(s: Statement) -> Statement:
    """The statement with a leading index of one turn: what a kernel of the host shares within a turn, a device shares in a nest."""

    def moved(place: Place) -> Place:
        return replace(place, strides=(0, *place.strides))

    ins = tuple(x if isinstance(x, Literal) else moved(x) for x in s.ins)
    return replace(s, space=(1, *s.space), ins=ins, out=moved(s.out))


def _row_touches(laid_out: LaidOut, row: Row) -> tuple[list[Any], list[Any]]:
    """What a single row reads and writes: places and the shapes walked."""
    reads = [(place_of(laid_out, operand), operand.shape) for operand in row.ins if isinstance(operand, View)]
    written = (written_place(laid_out, row), laid_out.homes[row.out].shape)
    return ([*reads, written] if row.op == "accumulate" else reads), [written]


def _touched(laid_out: LaidOut, part: Nest | Row) -> list[Place]:
    if isinstance(part, Row):
        return [place for touches in _row_touches(laid_out, part) for place, _ in touches]
    return [place for s in part.statements for place in (*s.ins, s.out) if isinstance(place, Place)]


def _returned(laid_out: LaidOut) -> list[Buffer]:
    return [laid_out.homes[operand.value].buffer for operand in laid_out.outputs if isinstance(operand, View)]


def _of_nest(nest: Nest, row_of: dict[Statement, Row], local: Local) -> list[Unit]:
    """A nest's elementwise statements, then its reductions, each with those that only it needs."""
    reductions: list[Unit] = []
    taken: set[Statement] = set()
    for s in nest.statements:
        if not s.reduced:
            continue
        cone = _cone(nest, s, local) if s.reduce == "sum" else []
        taken |= {s, *cone}
        alone = s.reduce != "sum" or (not cone and s.op == "copy")  # the library's own reduction
        reductions.append(row_of[s] if alone else Group([*cone, s]))
    rest = [s for s in nest.statements if s not in taken]
    return [Group(rest), *reductions] if rest else reductions


def _cone(nest: Nest, reduction: Statement, local: Local) -> list[Statement]:
    """The statements whose results only this reduction needs, directly or through each other."""
    statements = nest.statements
    end = statements.index(reduction)
    readers: dict[int, set[int]] = {}
    loaded: set[Buffer] = set()
    writers: dict[Buffer, list[int]] = {}
    for index, s in enumerate(statements):
        writers.setdefault(s.out.buffer, []).append(index)
        for x in s.ins:
            source = handed_on(statements, index, x) if isinstance(x, Place) else None
            if source is not None:
                readers.setdefault(source, set()).add(index)
            elif isinstance(x, Place):
                loaded.add(x.buffer)
    inside = {end}
    for index in range(end - 1, -1, -1):
        s = statements[index]
        private = local(s.out.buffer) and s.out.buffer not in loaded and len(writers[s.out.buffer]) == 1
        if private and not (s.reduced or s.add) and readers.get(index) and readers[index] <= inside:
            inside.add(index)
    for index in inside:  # it runs later than it stood: nobody may overwrite in between what it reads
        for x in statements[index].ins:
            if isinstance(x, Place) and any(w > index and w not in inside for w in writers.get(x.buffer, ())):
                return []
    return [statements[index] for index in sorted(inside - {end})]


# -- launching --------------------------------------------------------------------------------------------------------------
Step = Launch | Row


def launches(laid_out: LaidOut, store_all: bool = False) -> list[tuple[Loop | None, list[Step]]]:
    """The program as calls of kernels and single rows.  What is only handed on within a kernel is not stored."""
    stretches = grouped(laid_out)
    while True:
        loaded = set(_returned(laid_out))
        for _, units in stretches:
            for unit in units:
                places = unit.loads() if isinstance(unit, Group) else (place for place, _ in _row_touches(laid_out, unit)[0])
                loaded |= {place.buffer for place in places}

        def stored(s: Statement, loaded: set[Buffer] = loaded) -> bool:
            return store_all or s.out.buffer.array is not None or s.out.buffer in loaded

        fits = True
        found: list[tuple[Loop | None, list[Step]]] = []
        smaller: list[tuple[Loop | None, list[Unit]]] = []
        for loop, units in stretches:
            found.append((loop, []))
            smaller.append((loop, []))
            for unit in units:
                step = unit if isinstance(unit, Row) else _launch(unit, stored)
                if (
                    isinstance(unit, Group)
                    and isinstance(step, Launch)
                    and len(step.ins) + len(step.outs) > MOST
                    and len(unit.statements) > 1
                ):
                    fits = False
                    cut = len(unit.statements) - 1 if unit.sums else len(unit.statements) // 2
                    smaller[-1][1].extend([Group(unit.statements[:cut]), Group(unit.statements[cut:])])
                else:
                    smaller[-1][1].append(unit)
                if isinstance(step, Row) or step.outs:
                    found[-1][1].append(step)
        if fits:
            return found
        stretches = smaller


def _launch(group: Group, stored: Callable[[Statement], bool]) -> Launch:
    *before, last = group.statements
    return map_reduce(before, last) if group.sums else elementwise(group.statements, stored)


def step_lifetimes(laid_out: LaidOut, stretches: list[tuple[Loop | None, list[Step]]]) -> dict[Buffer, tuple[int, int]]:
    """First and last step of every planned buffer."""
    touched: list[Touch] = []
    bounds, position = [], 0
    for number, (_, steps) in enumerate(stretches):
        bounds.append((position, position + len(steps) - 1))
        seen: list[tuple[int, Place]] = []
        stale: set[Buffer] = set()  # read before they are written
        fresh: set[Buffer] = set()
        for step in steps:
            if isinstance(step, Row):
                reads, writes = ([place for place, _ in touches] for touches in _row_touches(laid_out, step))
            else:
                reads, writes = [*step.ins, *step.added], list(step.outs)
            stale |= {place.buffer for place in reads} - fresh
            fresh |= {place.buffer for place in writes} - stale
            seen += [(position, place) for place in (*reads, *writes)]
            position += 1
        touched += [Touch(place.buffer, number, at, place.slot[0] != 0, place.buffer in fresh) for at, place in seen]
    return lifetimes(laid_out.order, touched, bounds, _returned(laid_out))


class Fused(Replay):
    """A laid-out program as calls of kernels on fixed views."""

    name = "cupy"

    def __init__(self, laid_out: LaidOut, xp: Any, makers: Makers, without: frozenset[str] = frozenset()) -> None:
        self.laid_out, self.xp = laid_out, xp
        self.block = lambda size: xp.zeros(size, xp.uint8)
        self.stretches = launches(laid_out, "stores" in without)
        self._allocate(step_lifetimes(laid_out, self.stretches), "plan" not in without)
        made: dict[Text, Any] = {}
        for _, steps in self.stretches:
            for step in steps:
                if isinstance(step, Launch) and step.text not in made:
                    made[step.text] = makers.kernel(step.text)

        def calls_at(number: int, t: int) -> list[Call]:
            calls: list[Call] = []
            for step in self.stretches[number][1]:
                calls += self.calls_of(step, t) if isinstance(step, Row) else [self._launched(made[step.text], step, t)]
            return calls

        self._line_up(calls_at)
        self.texts = {f"kernel {number}": str(text) for number, text in enumerate(made)}
        self.kernels = len(made)

    def _launched(self, kernel: Any, launch: Launch, t: int) -> Call:
        ins = [self._seen(place, launch.space, t) for place in launch.ins]
        if not launch.axes:
            return partial(kernel, *ins, *[self._seen(place, launch.space, t) for place in launch.outs])
        (out,) = launch.outs
        kept = [k for k in range(len(launch.space)) if k not in launch.axes]
        total = self._seen(replace(out, strides=tuple(out.strides[k] for k in kept)), tuple(launch.space[k] for k in kept), t)
        return partial(kernel, *ins, total, axis=launch.axes)

    def _seen(self, place: Place, space: tuple[int, ...], t: int) -> Any:
        """The view of a place at time step t, in the shape of the space."""
        step, shift, period = place.slot
        slot = (t + shift) % period if period else t + shift
        return self.window(place.buffer, place.offset + step * slot, space, place.strides)
