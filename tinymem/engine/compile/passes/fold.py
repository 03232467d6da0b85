"""Constant folding, common subexpressions, and dead code: what nobody needs to compute is not computed.

*What it does to your gradient.*  Reverse mode starts from a cotangent of 1 and adds to zeros: x·1, x+0.  Two derivatives
often need the same intermediate.  And gradients of things nobody asked about (the data, the first state) are computed
by the walk like all others: here they go.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy

from tinymem.engine.compile.maps import MAPS
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
    reads,
    relocated,
    swapping,
    whole,
)


def fold(program: Program) -> Program:
    """Literals computed, neutral elements and needless copies left out, equal rows computed once, dead rows dropped."""
    table: dict[Value, Operand] = {}
    rows = _folded(program.rows, table, {}, views_of(program))
    swap = swapping(table)
    folded = replace(
        program, rows=rows, outputs=tuple(map(swap, program.outputs)), updates=tuple((value, swap(new)) for value, new in program.updates)
    )
    return without_dead_rows(folded)


def views_of(program: Program) -> dict[Value, list[View]]:
    """Every view of every value that the program reads."""
    found: dict[Value, list[View]] = {}
    operands = [*program.outputs, *[new for _, new in program.updates], *[operand for row in program.rows for operand in reads(row)]]
    for operand in operands:
        if isinstance(operand, View):
            found.setdefault(operand.value, []).append(operand)
    return found


def _folded(
    rows: tuple[AnyRow, ...], table: dict[Value, Operand], known: dict[Any, Value], views: dict[Value, list[View]]
) -> tuple[AnyRow, ...]:
    kept: list[AnyRow] = []
    swap = swapping(table)
    for given in rows:
        if isinstance(given, Loop):
            kept.append(_folded_loop(given, table, known, views))
            continue
        row = replace(given, ins=tuple(map(swap, given.ins)))
        simpler = _simplified(row)
        if simpler is not None and _expressible(views.get(row.out, []), simpler):
            table[row.out] = simpler
            continue
        spelled = tuple(repr(o.number) if isinstance(o, Literal) else "" for o in row.ins)  # 0.0 is not -0.0, nor 1 True
        key = (row.op, row.ins, spelled, tuple(sorted(row.attributes.items())), row.out.dtype, row.out.shape)
        if key in known:
            table[row.out] = whole(known[key])
            continue
        known[key] = row.out
        kept.append(row)
    return tuple(kept)


def _expressible(views: list[View], inner: Operand) -> bool:
    return isinstance(inner, Literal) or inner.dense or all(relocated(view, inner) is not None for view in views)


def _folded_loop(loop: Loop, table: dict[Value, Operand], known: dict[Any, Value], views: dict[Value, list[View]]) -> Loop:
    swap = swapping(table)
    carries = []
    for c in loop.carries:
        start, after = swap(c.start), swap(c.next)
        # handed on unchanged, or the same literal before and after: no state at all
        same = isinstance(after, View) and after.value is c.inside and after.whole
        if same or (isinstance(start, Literal) and isinstance(after, Literal) and start.number == after.number):
            table[c.inside] = table[c.final] = start if isinstance(start, View) else replace(start, strong=c.inside.dtype)
        else:
            carries.append(replace(c, start=start))
    first_of: dict[Operand, Value] = {}
    slices = []
    for s in loop.slices:
        outside = swap(s.outside)
        if outside in first_of:
            table[s.inside] = whole(first_of[outside])
        elif isinstance(outside, Literal):
            table[s.inside] = replace(outside, shape=s.inside.shape, strong=s.inside.dtype)
        else:
            first_of[outside] = s.inside
            slices.append(replace(s, outside=outside))
    rows = _folded(loop.rows, table, dict(known), views)
    swap = swapping(table)
    collected, summed = [], []
    seen: dict[Operand, Value] = {}
    for entry in loop.collected:
        inside = swap(entry.inside)
        if isinstance(inside, Literal):
            table[entry.outside] = replace(inside, shape=entry.outside.shape, strong=entry.outside.dtype)
        elif inside in seen:
            table[entry.outside] = whole(seen[inside])
        else:
            seen[inside] = entry.outside
            collected.append(replace(entry, inside=inside))
    for total in loop.summed:
        inside = swap(total.inside)
        if isinstance(inside, Literal):
            table[total.outside] = Literal(inside.number * loop.length, total.outside.shape, total.outside.dtype)
        else:
            summed.append(replace(total, inside=inside))
    return replace(
        loop,
        rows=rows,
        carries=tuple(replace(c, next=swap(c.next)) for c in carries),
        slices=tuple(slices),
        collected=tuple(collected),
        summed=tuple(summed),
    )


NEUTRAL = {"add": (0, True), "subtract": (0, False), "multiply": (1, True), "divide": (1, False)}


def _simplified(row: Row) -> Operand | None:
    """An operand that is what the row would compute, if there is one."""
    ins, out = row.ins, row.out
    strong = None if out.weak else out.dtype
    if row.op in MAPS and all(isinstance(x, Literal) for x in ins):
        numbers = [kind.type(x.number) for kind, x in zip(row.attributes["loop"], ins, strict=True)]  # type: ignore[union-attr]
        with numpy.errstate(all="ignore"):
            return Literal(MAPS[row.op](*numbers).item(), out.shape, strong)
    if row.op in NEUTRAL:
        neutral, either = NEUTRAL[row.op]
        for x, other in ((ins[0], ins[1]), (ins[1], ins[0]))[: 2 if either else 1]:
            if isinstance(other, Literal) and other.number == neutral and isinstance(x, View) and x.dtype == out.dtype:
                return x
    if row.op == "copy" and ins[0].dtype == out.dtype and (isinstance(ins[0], Literal) or ins[0].dense):
        return ins[0] if isinstance(ins[0], View) else replace(ins[0], strong=strong)
    if row.op == "where" and isinstance(ins[0], Literal):
        chosen = ins[1] if ins[0].number else ins[2]
        if isinstance(chosen, Literal):
            return replace(chosen, strong=strong)
        return chosen if chosen.dtype == out.dtype else None
    if row.op in ("max", "min") and isinstance(ins[0], Literal):
        return Literal(ins[0].number, out.shape, strong)
    if row.op == "sum" and isinstance(ins[0], Literal) and ins[0].number == 0:
        return Literal(0.0 if out.dtype.kind == "f" else 0, out.shape, strong)
    return None


def without_dead_rows(program: Program) -> Program:
    """Only the rows that an output or an update depends on."""
    needed = _values((*program.outputs, *[new for _, new in program.updates]))
    return replace(program, rows=_live(program.rows, needed))


def _values(operands: Any) -> set[Value]:
    return {operand.value for operand in operands if isinstance(operand, View)}


def _live(rows: tuple[AnyRow, ...], needed: set[Value]) -> tuple[AnyRow, ...]:
    """The rows that compute what is in `needed`, which grows by what they read."""
    kept: list[AnyRow] = []
    for row in reversed(rows):
        if isinstance(row, Row):
            if row.out in needed:
                needed |= _values(row.ins)
                kept.append(row)
        elif needed & set(row.outs):
            kept.append(_live_loop(row, needed))
    return tuple(reversed(kept))


def _live_loop(loop: Loop, needed: set[Value]) -> Loop:
    collected = tuple(c for c in loop.collected if c.outside in needed)
    summed = tuple(s for s in loop.summed if s.outside in needed)
    live: list[Carry] = [c for c in loop.carries if c.final in needed]
    while True:
        inner = _values([c.next for c in live]) | _values([c.inside for c in collected]) | _values([s.inside for s in summed])
        rows = _live(loop.rows, inner)
        more = [c for c in loop.carries if c not in live and c.inside in inner]
        if not more:
            break
        live += more
    carries = tuple(c for c in loop.carries if c in live)
    slices = tuple(s for s in loop.slices if s.inside in inner)
    own = {c.inside for c in carries} | {s.inside for s in slices}
    inside = {value for row in rows for value in row.outs} | own
    needed |= (inner - inside) | _values([c.start for c in carries]) | _values([s.outside for s in slices])
    return replace(loop, rows=rows, carries=carries, slices=slices, collected=collected, summed=summed)
