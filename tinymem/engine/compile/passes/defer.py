"""Deferral: what a time loop computes but does not need for its next step is computed for all time steps at once.

*What it does to your gradient.*  Backpropagation through time adds one small product to each weight's gradient at every
step: Σ_t g_tᵀ x_t.  That sum is one product of two tall matrices, [g_1; …; g_T]ᵀ [x_1; …; x_T], which runs at the
machine's full speed.  In the same way an output layer that nothing feeds back is applied after the loop, and the
projection of inputs that are known beforehand is applied before it.
"""

from __future__ import annotations

from dataclasses import replace

from tinymem.engine.compile.maps import MAPS
from tinymem.engine.compile.program import (
    AnyRow,
    Collected,
    Literal,
    Loop,
    Operand,
    Program,
    Row,
    Slice,
    Summed,
    Value,
    View,
    broadcast,
    composed,
    relocated,
    substitute_rows,
    swapping,
    whole,
)
from tinymem.engine.compile.statements import is_loop_nest


def defer(program: Program) -> Program:
    """Matrix products moved out of loops: before where they depend on no state, after where no state depends on them."""
    table: dict[Value, Operand] = {}
    rows = _deferred(program.rows, table)
    swap = swapping(table)
    return replace(
        program,
        rows=substitute_rows(rows, table),
        outputs=tuple(map(swap, program.outputs)),
        updates=tuple((value, swap(new)) for value, new in program.updates),
    )


def _deferred(given: tuple[AnyRow, ...], table: dict[Value, Operand]) -> list[AnyRow]:
    """Out of a loop over segments nothing moves: what leaves a segment's loop is computed for that segment's time steps at once."""
    rows: list[AnyRow] = []
    for row in given:
        if isinstance(row, Loop) and row.holds_loops:
            rows.append(replace(row, rows=tuple(_deferred(row.rows, table))))
        elif isinstance(row, Loop):
            before, loop = _hoisted(substitute_rows((row,), table)[0])  # type: ignore[arg-type]
            loop, last = _summed_apart(loop)
            loop, after = _sunk(loop, table)
            rows += [*before, loop, *after, *last]
        else:
            rows.append(row)
    return rows


class _NotLiftable(Exception):
    """No strides express an operand over all time steps."""


class _OverTime:
    """Rows of a body as rows over all its time steps: every array gets a leading axis of time."""

    def __init__(self, loop: Loop) -> None:
        self.length = loop.length
        self.inside = {row.out for row in loop.rows if isinstance(row, Row)} | set(loop.own)
        self.stacked: dict[Value, View] = {s.inside: s.outside for s in loop.slices if isinstance(s.outside, View)}
        self.rows: list[Row] = []

    def lifted(self, operand: Operand) -> Operand:
        """The operand of all time steps, (time, ...)."""
        shape = (self.length, *operand.shape)
        if isinstance(operand, Literal) or operand.value not in self.inside:
            return broadcast(operand, shape)
        stack = self.stacked[operand.value]
        one = View(stack.value, stack.shape[1:], stack.strides[1:], stack.offset)
        found = composed(operand, one) if one.dense else relocated(operand, one)
        if found is None:
            raise _NotLiftable
        return View(stack.value, shape, (stack.strides[0], *found.strides), found.offset)  # type: ignore[union-attr]

    def lift(self, row: Row) -> None:
        """Append what `row` computes at all time steps."""
        shape = (self.length, *row.out.shape)
        attributes = dict(row.attributes)
        if row.op == "matmul":
            self.stacked[row.out] = self._product(row)
            return
        ins = tuple(self.lifted(operand) for operand in row.ins)
        if row.op in ("sum", "max", "min"):
            attributes["axes"] = tuple(axis + 1 for axis in attributes["axes"])
        elif row.op == "assemble":
            attributes["regions"] = tuple(((self.length, *s), (row.out.size, *t), o) for s, t, o in attributes["regions"])
        elif row.op == "take":
            if attributes["axis"] or row.ins[0].value in self.inside:  # type: ignore[union-attr]
                raise _NotLiftable
            ins = (row.ins[0], ins[1])
        elif row.op not in MAPS and row.op not in ("where", "copy"):
            raise _NotLiftable
        out = Value(shape, row.out.dtype, row.out.name)
        self.rows.append(Row(row.op, ins, out, attributes, row.note))
        self.stacked[row.out] = whole(out)

    def _product(self, row: Row) -> View:
        x, y = row.ins
        fixed = isinstance(y, View) and y.value not in self.inside
        *_, m, k = x.shape
        if fixed and len(x.shape) == 2:  # the same matrix at every step: one product of (time · batch) rows
            tall = self.lifted(x)
            flat = tall.through(lambda a: a.reshape(self.length * m, k)) if isinstance(tall, View) else None
            if flat is not None:
                out = Value((self.length * m, y.shape[-1]), row.out.dtype)
                self.rows.append(Row("matmul", (flat, y), out, {}, row.note))
                found = whole(out).through(lambda a: a.reshape(self.length, m, y.shape[-1]))
                assert found is not None
                return found
        out = Value((self.length, *row.out.shape), row.out.dtype)
        self.rows.append(Row("matmul", (self.lifted(x), self.lifted(y)), out, {}, row.note))
        return whole(out)

    def summed_product(self, x: Operand, y: Operand, row: Row) -> Value:
        """Σ_t x_t y_t as one product, summing over time and the inner index together."""
        tall, wide = self.lifted(x), self.lifted(y)
        *batch, m, k = x.shape
        n = y.shape[-1]
        lead = len(batch)
        order_x = (*range(1, lead + 1), lead + 1, 0, lead + 2)
        order_y = (*range(1, lead + 1), 0, lead + 1, lead + 2)
        if isinstance(tall, Literal) or isinstance(wide, Literal):
            raise _NotLiftable
        a = tall.through(lambda array: array.transpose(order_x).reshape(*batch, m, self.length * k))
        b = wide.through(lambda array: array.transpose(order_y).reshape(*batch, self.length * k, n))
        if a is None or b is None:
            raise _NotLiftable
        out = Value(row.out.shape, row.out.dtype)
        self.rows.append(Row("matmul", (a, b), out, {}, row.note))
        return out


def _is_product(row: AnyRow) -> bool:
    return isinstance(row, Row) and row.op == "matmul" and (len(row.out.shape) == 2 or not is_loop_nest(row))


# -- before the loop ----------------------------------------------------------------------------------------------------------------
def _hoisted(loop: Loop) -> tuple[list[AnyRow], Loop]:
    """Rows that depend on no time step go before; products and gathers of what is sliced are computed there for all steps."""
    inside = {row.out for row in loop.rows if isinstance(row, Row)} | set(loop.own)
    fixed: list[AnyRow] = []
    rest: list[Row] = []
    for row in loop.rows:
        assert isinstance(row, Row)
        if all(isinstance(o, Literal) or o.value not in inside for o in row.ins):
            fixed.append(row)
            inside.discard(row.out)
        else:
            rest.append(row)
    known = {s.inside for s in loop.slices}
    ready: dict[Value, Row] = {}
    for row in rest:
        if all(isinstance(o, Literal) or o.value not in inside or o.value in known or o.value in ready for o in row.ins):
            ready[row.out] = row
    wanted: set[Value] = set()
    elsewhere = {o.value for row in rest for o in row.ins if isinstance(o, View)} | {
        o.value for o in (*[c.next for c in loop.carries], *[c.inside for c in loop.collected]) if isinstance(o, View)
    }
    for row in reversed(rest):
        only_summed = row.out not in elsewhere  # one product after the loop instead of one for each time step
        if row.out in ready and (row.out in wanted or (_is_product(row) and not only_summed) or row.op == "take"):
            wanted.add(row.out)
            wanted |= {o.value for o in row.ins if isinstance(o, View) and o.value in ready}
    for row in rest:  # an elementwise row that only adds something fixed to what is hoisted goes along
        if row.op in MAPS and row.out in ready and row.out not in wanted:
            moving = [o.value for o in row.ins if isinstance(o, View) and o.value in inside]
            if moving and all(value in wanted for value in moving):
                wanted.add(row.out)
    over_time = _OverTime(replace(loop, rows=tuple(rest)))
    moved: set[Value] = set()
    for row in rest:
        if row.out in wanted and all(isinstance(o, Literal) or o.value not in ready or o.value in moved for o in row.ins):
            count = len(over_time.rows)
            try:
                over_time.lift(row)
                moved.add(row.out)
            except _NotLiftable:
                del over_time.rows[count:]
    rest = [row for row in rest if row.out not in moved]
    used = {o.value for row in rest for o in row.ins if isinstance(o, View)} | {o.value for o in loop.results if isinstance(o, View)}
    slices, table = list(loop.slices), {}
    for value in moved:
        if value in used:
            entry = Value(value.shape, value.dtype, value.name)
            slices.append(Slice(over_time.stacked[value], entry))
            table[value] = whole(entry)
    changed = replace(loop, rows=tuple(rest), slices=tuple(slices))
    return [*fixed, *over_time.rows], substitute_rows((changed,), table)[0] if table else changed  # type: ignore[return-value]


# -- sums over time, taken apart --------------------------------------------------------------------------------------------------------
def _summed_apart(loop: Loop) -> tuple[Loop, list[AnyRow]]:
    """A sum over time of what is assembled or added together: each part is summed by itself, and put together after the loop."""
    made = {row.out: row for row in loop.rows if isinstance(row, Row)}
    readers: dict[Value, int] = {}
    for operand in [*[o for row in loop.rows for o in row.ins], *loop.results]:
        if isinstance(operand, View):
            readers[operand.value] = readers.get(operand.value, 0) + 1
    waiting, summed, after = list(loop.summed), [], []
    dropped: set[Value] = set()
    while waiting:
        total = waiting.pop()
        row = made.get(total.inside.value) if isinstance(total.inside, View) and total.inside == whole(total.inside.value) else None
        if (
            row is None
            or readers[row.out] > 1
            or not (row.op in ("assemble", "add") or (row.op == "add_at" and isinstance(row.ins[0], View)))
        ):
            summed.append(total)
            continue
        parts = [Summed(operand, Value(operand.shape, row.out.dtype)) for operand in row.ins]
        if row.op == "assemble" and row.attributes["fill"]:
            summed.append(total)
            continue
        waiting += parts
        after.append(replace(row, ins=tuple(whole(part.outside) for part in parts), out=total.outside))
        dropped.add(row.out)
    rows = tuple(row for row in loop.rows if not (isinstance(row, Row) and row.out in dropped))
    return replace(loop, rows=rows, summed=tuple(reversed(summed))), list(reversed(after))


# -- after the loop -----------------------------------------------------------------------------------------------------------------
def _sunk(loop: Loop, table: dict[Value, Operand]) -> tuple[Loop, list[AnyRow]]:
    """Products that no later time step needs are computed after the loop; `table` learns what stands for their results."""
    kept_busy = {c.next.value for c in loop.carries if isinstance(c.next, View)}
    free: dict[Value, Row] = {}
    for row in reversed(loop.rows):
        assert isinstance(row, Row)
        if row.out not in kept_busy:
            free[row.out] = row
        else:
            kept_busy |= {o.value for o in row.ins if isinstance(o, View)}
    rows = [row for row in loop.rows if isinstance(row, Row)]
    summed_by_view = {s.inside.value: s for s in loop.summed if isinstance(s.inside, View)}
    roots = {row.out for row in rows if row.out in free and (_is_product(row) or (row.out in summed_by_view and _outer_product(row)))}
    sunk = set(roots)
    for row in rows:
        if row.out in free and any(isinstance(o, View) and o.value in sunk for o in row.ins):
            sunk.add(row.out)
    stacked_anyway = {o.value for row in rows if row.out in sunk for o in row.ins if isinstance(o, View)}
    stacked_anyway |= {c.inside.value for c in loop.collected if isinstance(c.inside, View)}
    for row in rows:  # a bias's gradient: the sum of what the weight's gradient keeps
        if (
            row.op == "sum"
            and row.out in summed_by_view
            and row.out in free
            and isinstance(row.ins[0], View)
            and row.ins[0].value in stacked_anyway
        ):
            sunk.add(row.out)
    while sunk:
        try:
            return _with_rows_after(loop, sunk, table)
        except _NotLiftable as problem:
            sunk.discard(problem.args[0])
            before = None
            while before != sunk:  # what it reads or is read by stays in the loop with it
                before = set(sunk)
                for row in rows:
                    read = {o.value for o in row.ins if isinstance(o, View)}
                    if row.out not in sunk:
                        sunk -= read
                    elif row.out not in roots and not read & sunk and row.op != "sum":
                        sunk.discard(row.out)
    return loop, []


def _outer_product(row: Row) -> bool:
    """x_i y_j, elementwise over the last two axes: a product with an inner index of length 1."""
    if row.op != "multiply" or len(row.out.shape) < 2 or min(row.out.shape[-2:]) == 1:
        return False
    x, y = row.ins
    if not (isinstance(x, View) and isinstance(y, View)):
        return False
    return (x.strides[-1] == 0 and y.strides[-2] == 0) or (y.strides[-1] == 0 and x.strides[-2] == 0)


def _as_product(row: Row) -> tuple[Operand, Operand]:
    x, y = row.ins
    if row.op == "matmul":
        return x, y
    assert isinstance(x, View)
    assert isinstance(y, View)
    if x.strides[-1] != 0:
        x, y = y, x
    *batch, m, n = row.out.shape
    return View(x.value, (*batch, m, 1), x.strides, x.offset), View(y.value, (*batch, 1, n), y.strides, y.offset)


def _with_rows_after(loop: Loop, sunk: set[Value], table: dict[Value, Operand]) -> tuple[Loop, list[AnyRow]]:
    rows = [row for row in loop.rows if isinstance(row, Row)]
    over_time = _OverTime(loop)
    collected = [c for c in loop.collected if not (isinstance(c.inside, View) and c.inside.value in sunk)]
    for c in collected:
        if isinstance(c.inside, View) and c.inside.whole and c.inside.shape == c.inside.value.shape:
            over_time.stacked.setdefault(c.inside.value, whole(c.outside))
    for row in rows:  # what the sunk rows read of the body is collected
        for operand in row.ins if row.out in sunk else ():
            if isinstance(operand, View) and operand.value in over_time.inside - sunk and operand.value not in over_time.stacked:
                kept = Value((loop.length, *operand.value.shape), operand.value.dtype, operand.value.name)
                collected.append(Collected(whole(operand.value), kept))
                over_time.stacked[operand.value] = whole(kept)
    readers: dict[Value, int] = {}
    for row in rows:
        for operand in row.ins:
            if isinstance(operand, View) and row.out in sunk:
                readers[operand.value] = readers.get(operand.value, 0) + 1
    summed: list[Summed] = []
    learned: dict[Value, Operand] = {}
    by_value: dict[Value, list[Summed]] = {}
    for s in loop.summed:
        if isinstance(s.inside, View) and s.inside.value in sunk:
            by_value.setdefault(s.inside.value, []).append(s)
        else:
            summed.append(s)
    for row in rows:
        if row.out not in sunk:
            continue
        totals = by_value.get(row.out, [])
        only_summed = totals and not readers.get(row.out) and not any(_shows(c.inside, row.out) for c in loop.collected)
        try:
            if only_summed and (_is_product(row) or _outer_product(row)):
                total = over_time.summed_product(*_as_product(row), row)
                for s in totals:
                    _learn(learned, over_time, s.outside, s.inside.of(total), row)  # type: ignore[union-attr]
                continue
            if only_summed and row.op == "sum" and all(s.inside.whole for s in totals):  # type: ignore[union-attr]
                x = over_time.lifted(row.ins[0])
                axes = (0, *[axis + 1 for axis in row.attributes["axes"]])
                for s in totals:
                    out = Value(row.out.shape, row.out.dtype)
                    over_time.rows.append(Row("sum", (x,), out, {"axes": axes}, row.note))
                    _learn(learned, over_time, s.outside, s.inside.of(out), row)  # type: ignore[union-attr]
                continue
            over_time.lift(row)
        except _NotLiftable:
            raise _NotLiftable(row.out) from None
        for s in totals:
            over_time.rows.append(Row("sum", (over_time.lifted(s.inside),), s.outside, {"axes": (0,)}, row.note))
    for c in loop.collected:
        if isinstance(c.inside, View) and c.inside.value in sunk:
            row = next(row for row in rows if row.out is c.inside.value)
            try:
                _learn(learned, over_time, c.outside, over_time.lifted(c.inside), row)
            except _NotLiftable:
                raise _NotLiftable(row.out) from None
    table |= learned
    rest = tuple(row for row in rows if row.out not in sunk)
    return replace(loop, rows=rest, collected=tuple(collected), summed=tuple(summed)), list(over_time.rows)


def _shows(operand: Operand, value: Value) -> bool:
    return isinstance(operand, View) and operand.value is value


def _learn(table: dict[Value, Operand], over_time: _OverTime, outside: Value, found: Operand, row: Row) -> None:
    """`outside` is `found`; by a copy where it is no plain part of it, since views of `outside` may be of any kind."""
    if isinstance(found, View) and found.dense:
        table[outside] = found
    else:
        over_time.rows.append(Row("copy", (found,), outside, {}, row.note))
