"""Recomputation: what is cheap to compute again is not kept for the way back.

*What it does to your gradient.*  Reverse mode keeps every operand of a product until the walk back comes by.  1 - w eᵀ is
as large as the whole memory, at every time step, but follows from two short vectors: the derivative's loop computes it
again, and neither has to write it nor to read it.
"""

from __future__ import annotations

from dataclasses import replace

from tinymem.engine.compile.program import AnyRow, Collected, Literal, Loop, Operand, Program, Row, Slice, Value, View, whole, with_operands

CHEAP = {"add", "subtract", "multiply", "negative", "maximum", "minimum", "copy", "assemble"}
WORTH = 3  # times larger than what must be kept for it instead


def recompute(program: Program) -> Program:
    """Elementwise values are computed again in the loop backwards, where their operands are kept anyway or are much smaller."""
    return replace(program, rows=_with_lighter_pairs(program.rows))


def _with_lighter_pairs(given: tuple[AnyRow, ...]) -> tuple[AnyRow, ...]:
    rows = list(given)
    for place, row in enumerate(rows):
        if isinstance(row, Loop) and row.holds_loops:
            rows[place] = replace(row, rows=_with_lighter_pairs(row.rows))
        elif isinstance(row, Loop) and row.backwards:
            for before in range(place):
                forward = rows[before]
                if isinstance(forward, Loop) and not forward.backwards and not forward.holds_loops:
                    rows[before], rows[place] = _lighter(forward, rows[place])  # type: ignore[arg-type]
    return tuple(rows)


def _lighter(forward: Loop, backward: Loop) -> tuple[Loop, Loop]:
    made = {row.out: row for row in forward.rows if isinstance(row, Row)}
    kept = {c.outside: c.inside for c in forward.collected}
    slices, collected = list(backward.slices), list(forward.collected)
    waiting: dict[Value, list[AnyRow]] = {}
    own = {s.inside: s.outside for s in forward.slices}
    inside = set(made) | set(forward.own)
    entries: dict[Value, Value] = {}
    for s in backward.slices:
        if isinstance(s.outside, View) and s.outside.value in kept and s.outside == whole(s.outside.value):
            source = kept[s.outside.value]
            if isinstance(source, View) and source == whole(source.value):
                entries[source.value] = s.inside

    def entry(value: Value) -> Value:
        """The backward body's name for a value of the forward body."""
        if value not in entries:
            inner = Value(value.shape, value.dtype, value.name)
            if value in own:
                slices.append(Slice(own[value], inner))
            else:
                stacked = Value((forward.length, *value.shape), value.dtype)
                collected.append(Collected(whole(value), stacked))
                slices.append(Slice(whole(stacked), inner))
            entries[value] = inner
        return entries[value]

    def again(value: Value, out: Value) -> list[AnyRow]:
        """The rows that compute `value` of the forward body in the backward one, as `out`."""
        row = made[value]
        rows: list[AnyRow] = []
        names: dict[Value, Value] = {}
        for operand in row.ins:
            if isinstance(operand, View) and operand.value in inside and operand.value not in names:
                if operand.value not in entries and _worth(operand.value):
                    names[operand.value] = Value(operand.value.shape, operand.value.dtype)
                    rows += again(operand.value, names[operand.value])
                else:
                    names[operand.value] = entry(operand.value)

        def here(operand: Operand) -> Operand:
            return operand.of(names[operand.value]) if isinstance(operand, View) and operand.value in names else operand

        rows.append(replace(with_operands(row, here), out=out))  # type: ignore[arg-type]
        return rows

    def _worth(value: Value) -> bool:
        row = made.get(value)
        if row is None or row.op not in CHEAP:
            return False
        return value.size >= WORTH * sum(leaf.size for leaf in leaves(value) if leaf not in entries and leaf not in own)

    def leaves(value: Value) -> set[Value]:
        """What a cheap row is computed from, through cheap rows as large as itself and through pieces that are only moved."""
        found: set[Value] = set()
        for operand in made[value].ins:
            if isinstance(operand, Literal) or operand.value not in inside:
                continue
            source = made.get(operand.value)
            if source is not None and (source.op == "assemble" or (source.op in CHEAP and operand.value.size >= value.size)):
                found |= leaves(operand.value)
            else:
                found.add(operand.value)
        return found

    for value, inner in sorted(entries.items(), key=lambda entry: -entry[0].size):
        if value in made and _worth(value) and value not in leaves(value):
            slices = [s for s in slices if s.inside is not inner]
            del entries[value]
            waiting[inner] = again(value, inner)
    if not waiting:
        return forward, backward
    rows: list[AnyRow] = []

    def put(row: AnyRow) -> None:
        """Each value that is computed again stands right before it is read for the first time."""
        for operand in row.ins:
            for source in waiting.pop(operand.value, ()) if isinstance(operand, View) else ():
                put(source)
        rows.append(row)

    for row in backward.rows:
        put(row)
    for inner in list(waiting):  # read by nothing but the loop's results
        for row in waiting.pop(inner, ()):
            put(row)
    return replace(forward, collected=tuple(collected)), replace(backward, slices=tuple(slices), rows=tuple(rows))
