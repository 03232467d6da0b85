"""Fusion: statements that walk the same indices become one loop, and loops that share the batch become one kernel.

*What it does to your gradient.*  One at a time, each operation reads its operands from memory and writes its result
back, although the next one wants just that number.  In one loop the number stays in a register; in one kernel, which
takes one sequence of the batch after another, whole intermediate arrays stay in the nearest cache, or vanish.

Two levels.  A *kernel* loops over the leading index of all its statements; within one turn of it they run nest by nest.
A statement may join a kernel if whatever it shares with the others stays within one turn.  A *nest* is one loop over
the remaining indices: a statement may join it if it reads from the others only what they computed at the same point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tinymem.engine.compile.program import Literal, Row
from tinymem.engine.compile.statements import Place, Statement, overlap, span

LONGEST_KERNEL = 160  # statements: the C compiler's time grows faster than their number
CROWDED = 60  # statements of a kernel that only what shares an array with it may still join: no chain is cut in the middle


@dataclass
class Nest:
    """Statements over one inner space."""

    space: tuple[int, ...]
    statements: list[Statement] = field(default_factory=list)


@dataclass
class Kernel:
    """Nests that run one after another for each of `outer` leading indices."""

    outer: int
    nests: list[Nest] = field(default_factory=list)

    @property
    def statements(self) -> list[Statement]:
        return [statement for nest in self.nests for statement in nest.statements]


@dataclass
class Opaque:
    """A row that is no loop nest, with the memory it reads and writes."""

    row: Row
    reads: list[tuple[Place, tuple[int, ...]]]
    writes: list[tuple[Place, tuple[int, ...]]]


Unit = Kernel | Opaque
Touch = tuple[Place, tuple[int, ...]]


def touches(unit: Statement | Opaque) -> tuple[list[Touch], list[Touch]]:
    """What a unit reads and what it writes, with the spaces walked."""
    if isinstance(unit, Opaque):
        return unit.reads, unit.writes
    reads = [(place, unit.space) for place in unit.ins if isinstance(place, Place)]
    written = (unit.out, unit.space)
    return ([*reads, written] if unit.add else reads), [written]


def conflicts(a: Statement | Opaque, b: Statement | Opaque) -> list[tuple[Touch, Touch]]:
    """Pairs of touches because of which the two must keep their order."""
    a_reads, a_writes = touches(a)
    b_reads, b_writes = touches(b)
    pairs = [(x, y) for x in a_writes for y in b_reads + b_writes] + [(x, y) for x in a_reads for y in b_writes]
    return [(x, y) for x, y in pairs if x[0].buffer is y[0].buffer and overlap(*x, *y)]


def fuse(units: Sequence[Statement | Opaque], together: bool = True, inside_loop: bool = False) -> list[Unit]:
    """Kernels and opaque rows in an order that keeps every dependence.  Not `together`: one statement, one kernel."""
    groups: list[Unit] = []
    members: list[list[Any]] = []
    for unit in units:
        if isinstance(unit, Opaque):
            groups.append(unit)
            members.append([unit])
            continue
        earliest, inside = 0, []
        for index in range(len(groups) - 1, -1, -1):
            inside = [pair for member in members[index] for pair in conflicts(member, unit)]
            if inside:
                earliest = index
                break
        chosen = None
        if together:
            for index in reversed(range(earliest, len(groups))):  # the latest: nearest to what reads the result
                group = groups[index]
                if (
                    isinstance(group, Kernel)
                    and group.outer == unit.space[0]
                    and len(members[index]) < LONGEST_KERNEL
                    and (inside_loop or (index == earliest and inside) or (len(members[index]) < CROWDED and _same_space(group, unit)))
                    and (index > earliest or all(_within_a_turn(*pair, group.outer) for pair in inside))
                ):
                    chosen = index
                    break
        if chosen is None:
            groups.append(Kernel(unit.space[0]))
            members.append([])
            chosen = len(groups) - 1
        members[chosen].append(unit)
        kernel = groups[chosen]
        assert isinstance(kernel, Kernel)
        _into_nest(kernel, unit)
    return groups


def _same_space(group: Kernel, unit: Statement) -> bool:
    return any(nest.space == unit.space[1:] for nest in group.nests)


def _within_a_turn(a: Touch, b: Touch, outer: int) -> bool:
    """Do the two touch only elements of the same turn of the kernel's loop?"""
    if outer == 1:
        return True
    step = a[0].strides[0]
    if step != b[0].strides[0] or step <= 0:
        return False
    turns = set()
    for place, space in (a, b):
        low, high = span(place, space, slice(1, None))
        turns |= {low // step, high // step}
    return len(turns) == 1


def _into_nest(kernel: Kernel, unit: Statement) -> None:
    inner = unit.space[1:]
    earliest = 0
    for index in range(len(kernel.nests) - 1, -1, -1):
        pairs = [(other, pair) for other in kernel.nests[index].statements for pair in conflicts(other, unit)]
        if pairs:
            same = kernel.nests[index].space == inner and all(_at_the_same_point(other, unit, pair) for other, pair in pairs)
            earliest = index if same else index + 1
            break
    for nest in kernel.nests[earliest:]:
        if nest.space == inner:
            nest.statements.append(unit)
            return
    kernel.nests.append(Nest(inner, [unit]))


def _at_the_same_point(other: Statement, unit: Statement, pair: tuple[Touch, Touch]) -> bool:
    (a, _), (b, _) = pair
    if other.reduced or (unit.reduced and unit.out in (a, b)):
        return False
    return a == b


def forwarded(nest: Nest, index: int, place: Place) -> int | None:
    """The statement before `index` of this nest that just computed what stands at `place`, if there is one."""
    for before in range(index - 1, -1, -1):
        statement = nest.statements[before]
        if statement.out == place:
            return None if statement.add or statement.reduced else before
    return None


def arranged(statement: Statement, inside_loop: bool, batch: int | None) -> Statement:
    """The same statement with a leading index, of the batch where it has one, and the others in memory's order.

    Axes of length 1 go; the order is that of the place which moves along most of them, so that statements over the same
    arrays have the same space.
    """
    space, places = statement.space, [p for p in (*statement.ins, statement.out) if isinstance(p, Place)]
    leads = len(space) >= 2 or (len(space) == 1 and (space[0] == batch or (not inside_loop and space[0] <= 16)))
    inner = [k for k in range(1 if leads else 0, len(space)) if space[k] > 1]
    guide = max(places, key=lambda p: (sum(p.strides[k] != 0 for k in inner), p is statement.out))
    inner.sort(key=lambda k: -abs(guide.strides[k]))
    order = [0, *inner] if leads else inner

    def moved(place: Place) -> Place:
        strides = tuple(place.strides[k] for k in order)
        return Place(place.buffer, place.slot, place.offset, strides if leads else (0, *strides))

    return replace(
        statement,
        space=tuple(space[k] for k in order) if leads else (1, *(space[k] for k in order)),
        ins=tuple(p if isinstance(p, Literal) else moved(p) for p in statement.ins),
        out=moved(statement.out),
    )
