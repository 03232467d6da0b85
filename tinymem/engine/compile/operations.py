"""Floating-point operations of a program, counted from the shapes of its rows.

A count of arithmetic, not of time: an exponential counts as one operation, like an addition, and moving numbers counts as none.
A row of integers and truth values alone is no floating-point operation.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tinymem.engine.compile.maps import MAPS
from tinymem.engine.compile.program import AnyRow, Loop, Program, Row


@dataclass(frozen=True)
class Operations:
    """How many operations one run takes, by what they are for."""

    forward: int
    backward: int
    update: int
    products: int
    """those of the three that are part of matrix products"""

    @property
    def total(self) -> int:
        return self.forward + self.backward + self.update


def _nothing(row: Row) -> int:
    return 0


def _each_result(row: Row) -> int:
    return row.out.size


def _each_read(row: Row) -> int:
    return math.prod(row.ins[0].shape)


def _each_added(row: Row) -> int:
    return math.prod(row.ins[1].shape)


def _product(row: Row) -> int:
    return 2 * row.out.size * row.ins[0].shape[-1]  # (m, k) x (k, n): a multiplication and an addition for each of m k n


def _comparisons(row: Row) -> int:
    length = row.out.shape[row.attributes["axis"]]
    return row.out.size * math.ceil(math.log2(length)) if length > 1 else 0


RULES: dict[str, Callable[[Row], int]] = {
    **dict.fromkeys((*MAPS, "where"), _each_result),
    **dict.fromkeys(("sum", "max", "min", "argmax", "cumsum", "cumprod", "put_taken", "put_along"), _each_read),
    **dict.fromkeys(("copy", "assemble", "take", "take_along"), _nothing),
    "add_at": _each_added,
    "matmul": _product,
    "argsort": _comparisons,
}
"""Of every kind of row that a recorded program holds: its operations."""


def operations_of(program: Program) -> Operations:
    """The operations of one run: those of a loop's body once for each time step."""
    counted: Counter[tuple[str, bool]] = Counter()
    _count(program.rows, 1, counted)
    forward, backward, update = (counted[phase, True] + counted[phase, False] for phase in ("forward", "backward", "update"))
    return Operations(forward, backward, update, sum(n for (_, product), n in counted.items() if product))


def _count(rows: Iterable[AnyRow], times: int, counted: Counter[tuple[str, bool]]) -> None:
    for row in rows:
        phase = row.note.phase or "forward"
        if isinstance(row, Loop):
            _count(row.rows, times * row.length, counted)
            counted[phase, False] += times * row.length * sum(math.prod(s.inside.shape) for s in row.summed)
        elif any(operand.dtype.kind == "f" for operand in (row.out, *row.ins)):
            counted[phase, row.op == "matmul"] += times * RULES[row.op](row)
