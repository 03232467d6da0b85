"""Gradient copies removed: the parts of an array's gradient are computed where they belong.

*What it does to your gradient.*  An array that was cut into pieces gets its gradient piece by piece: zeros, plus the
first piece at its place, plus the second at its place, and so on, each time the whole array.  If the places do not
overlap, that is one array assembled from its pieces; the layout then lets each piece be computed straight into it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from tinymem.engine.compile.program import AnyRow, Literal, Loop, Program, Row, Value, View, reads, whole


def pieces(program: Program) -> Program:
    """Chains of `add_at` on zeros, at places that do not overlap, as one `assemble`."""
    used = Counter(
        operand.value
        for operand in (*program.outputs, *[new for _, new in program.updates], *[o for row in program.rows for o in reads(row)])
        if isinstance(operand, View)
    )
    return replace(program, rows=_merged(program.rows, used))


def _merged(rows: tuple[AnyRow, ...], used: Counter[Value]) -> tuple[AnyRow, ...]:
    found: list[AnyRow] = []
    place: dict[Value, int] = {}
    for row in rows:
        if isinstance(row, Loop):
            found.append(replace(row, rows=_merged(row.rows, used)))
            continue
        if row.op == "add_at":
            base, piece = row.ins
            regions: tuple[Any, ...] = ()
            parts: tuple[Any, ...] = ()
            start = None
            if isinstance(base, View) and base == whole(base.value) and used[base.value] == 1 and base.value in place:
                start = place[base.value]
                before = found[start]
                assert isinstance(before, Row)
                if before.attributes["fill"] == 0:
                    regions, parts = before.attributes["regions"], before.ins
            if parts or (isinstance(base, Literal) and base.number == 0):
                region = row.attributes["region"]
                if not any(_overlap(region, other) for other in regions):
                    if start is not None:
                        found[start] = None  # type: ignore[call-overload]
                    row = Row("assemble", (*parts, piece), row.out, {"regions": (*regions, region), "fill": 0}, row.note)
        if row.op == "assemble":
            place[row.out] = len(found)
        found.append(row)
    return tuple(row for row in found if row is not None)


def _forward(shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """The same elements, with no axis walked backwards."""
    return shape, tuple(map(abs, strides)), offset + sum(s * (n - 1) for n, s in zip(shape, strides, strict=True) if s < 0)


def _overlap(a: Any, b: Any) -> bool:
    """Do two regions of one contiguous array share an element?  True unless it is shown that they do not."""
    (a_shape, a_strides, a_offset), (b_shape, b_strides, b_offset) = _forward(*a), _forward(*b)
    a_last = a_offset + sum(s * (n - 1) for n, s in zip(a_shape, a_strides, strict=True))
    b_last = b_offset + sum(s * (n - 1) for n, s in zip(b_shape, b_strides, strict=True))
    if a_last < b_offset or b_last < a_offset:
        return False
    for step in sorted({*a_strides} & {*b_strides} - {0}, reverse=True):
        low_a, low_b = a_offset % step, b_offset % step
        wide_a = sum(s * (n - 1) for n, s in zip(a_shape, a_strides, strict=True) if s % step)
        wide_b = sum(s * (n - 1) for n, s in zip(b_shape, b_strides, strict=True) if s % step)
        if low_a + wide_a < step and low_b + wide_b < step and (low_a + wide_a < low_b or low_b + wide_b < low_a):
            return False
    return True
