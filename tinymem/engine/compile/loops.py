"""Recording a `scan`: its body once, and, when the walk back comes by, the body of its derivative once.

The loop is one node of the tape.  Its several results are picked from it, their cotangents come back in one bundle,
and the vector-Jacobian product is a loop through the same time steps backwards, which reads what the forward body
computed at each step.

A long sequence may be cut into segments: a loop over segments around one over the steps of a segment.  The outer loop's
derivative then keeps nothing of what the inner one computed but runs it again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tinymem.engine.compile.program import (
    Carry,
    Collected,
    Literal,
    Loop,
    Slice,
    Summed,
    Value,
    View,
    read_values,
    reads,
    renewed,
    substitute_rows,
    whole,
    written_values,
)
from tinymem.engine.compile.record import Recorder, Scope
from tinymem.engine.compile.recorded import Recorded
from tinymem.engine.compile.refusals import refuse
from tinymem.engine.errors import OperandError
from tinymem.engine.graph import Leaf, Node, is_recording, leaves, walk_back
from tinymem.engine.ops import concatenate, sum_to
from tinymem.engine.primitive import primitive
from tinymem.engine.several import Bundle, forked, never, picked
from tinymem.engine.structure import describe, flatten
from tinymem.engine.tensor import Tensor, wrap

Step = Callable[[Any, Any], tuple[Any, Any]]


def record_segments(recorder: Recorder, step: Step, state: Any, inputs: Any, length: int, every: int) -> tuple[Any, Any]:
    """`scan` with `checkpoint_every` in a step that is being recorded: whole segments as a loop of loops, then the steps left over."""
    sliced, rebuild = flatten(inputs)
    sliced = [_tensor(recorder, x) for x in sliced]
    count, rest = divmod(length, every)
    whole_ones = rebuild([x[: length - rest].reshape(count, every, *x.shape[1:]) for x in sliced])

    def segment(state: Any, inputs: Any) -> tuple[Any, Any]:
        return record_scan(recorder, step, state, inputs, every)

    state, outputs = record_scan(recorder, segment, state, whole_ones, count, again=True)
    found, rebuild_output = flatten(outputs)
    found = [y.reshape(length - rest, *y.shape[2:]) for y in found]
    if rest:
        state, last = record_scan(recorder, step, state, rebuild([x[length - rest :] for x in sliced]), rest)
        found = [concatenate([y, z]) for y, z in zip(found, flatten(last)[0], strict=True)]
    return state, rebuild_output(found)


def record_scan(recorder: Recorder, step: Step, state: Any, inputs: Any, length: int, again: bool = False) -> tuple[Any, Any]:
    """`scan` in a step that is being recorded.  `again`: its derivative computes the body again, from the state before it."""
    starts, rebuild_state = flatten(state)
    sliced, rebuild_inputs = flatten(inputs)
    starts, sliced = [_tensor(recorder, x) for x in starts], [_tensor(recorder, x) for x in sliced]
    with recorder.inside() as scope:
        carried = [_inside(scope, Value(x.shape, x.dtype, "carried"), x.node) for x in starts]
        entries = [_inside(scope, Value(x.shape[1:], x.dtype, "entry"), x.node) for x in sliced]
        after, output = step(rebuild_state(carried), rebuild_inputs(entries))
        if describe(flatten(after)[1]([_tensor(recorder, x) for x in flatten(after)[0]])) != describe(rebuild_state(starts)):
            raise OperandError(
                f"scan: the state changes its form: {describe(rebuild_state(starts))} before a step, {describe(after)} after it. "
                "A field that is only shown, not carried, has metadata=tinymem.engine.structure.SHOWN"
            )
        nexts, results = [[_local(recorder, x) for x in flatten(part)[0]] for part in (after, output)]
    rebuild_output = flatten(output)[1]
    finals = [Value(x.shape, x.dtype) for x in nexts]
    collected = [Value((length, *x.shape), x.dtype) for x in results]
    loop = Loop(
        length,
        False,
        tuple(scope.rows),
        tuple(
            Carry(s.data.operand, c.data.operand.value, n.data.operand, f)
            for s, c, n, f in zip(starts, carried, nexts, finals, strict=True)
        ),
        tuple(Slice(x.data.operand, e.data.operand.value) for x, e in zip(sliced, entries, strict=True)),
        tuple(Collected(x.data.operand, value) for x, value in zip(results, collected, strict=True)),
        (),
        recorder.note(),
    )
    home = recorder.scope
    place = len(home.rows)
    home.rows.append(loop)
    arrays = [Recorded(whole(value)) for value in (*finals, *collected)]
    nodes: list[Node | None] = [None] * len(arrays)
    roots = [x.node for x in (*nexts, *results)]
    if is_recording() and any(roots):
        outside = [tensor for _, tensor in scope.proxies.values()]
        back = _Backwards(recorder, home, place, scope, loop, carried, entries, roots, [leaf for leaf, _ in scope.proxies.values()], again)
        operands = [*starts, *sliced, *outside]
        reached = set[Any]().union(*[leaves(root) for root in roots if root is not None])
        inner = [*[x.node for x in carried], *[x.node for x in entries], *[leaf for leaf, _ in scope.proxies.values()]]
        parents = [
            recorder.local(x.node, x.data) if x.node is not None and leaf in reached else None
            for x, leaf in zip(operands, inner, strict=True)
        ]
        row = Node(primitive("scan(*operands)", never, each=back.gradient), parents, [x.shape for x in operands], None, {})
        home.own_nodes.add(row)
        for position, root in enumerate(roots):
            if root is not None:
                found = nodes[position] = picked(row, position)
                home.own_nodes.add(found)
    tensors = [wrap(array, node) for array, node in zip(arrays, nodes, strict=True)]
    return rebuild_state(tensors[: len(finals)]), rebuild_output(tensors[len(finals) :])


def _tensor(recorder: Recorder, x: Any) -> Tensor:
    if isinstance(x, Tensor):
        if type(x.data) is Recorded:
            return x
        return wrap(Recorded(recorder.operand(x.data)), x.node)
    return wrap(Recorded(recorder.operand(x)), None)


def _local(recorder: Recorder, x: Any) -> Tensor:
    """A result of the body; one that was only handed in from outside stands on the body's tape too."""
    tensor = _tensor(recorder, x)
    return wrap(tensor.data, None if tensor.node is None else recorder.local(tensor.node, tensor.data))


def _inside(scope: Scope, value: Value, node: Any) -> Tensor:
    leaf = Leaf(value.dtype) if node is not None or value.dtype.kind == "f" else None
    if leaf is not None:
        scope.own_nodes.add(leaf)
    return wrap(Recorded(whole(value)), leaf)


class _Backwards:
    """The derivative of one recorded loop: recorded once, when the first of its operands asks for its cotangent."""

    def __init__(
        self,
        recorder: Recorder,
        home: Scope,
        place: int,
        scope: Scope,
        loop: Loop,
        carried: Sequence[Tensor],
        entries: Sequence[Tensor],
        roots: Sequence[Any],
        proxies: Sequence[Leaf],
        again: bool,
    ) -> None:
        self.recorder, self.home, self.place, self.scope, self.loop = recorder, home, place, scope, loop
        self.carried, self.entries, self.roots, self.proxies, self.again = carried, entries, roots, proxies, again
        self.asked: Any = None
        self.found: list[Value | None] = []

    def gradient(self, g: Any, out: Any, position: int, *shapes: tuple[int, ...]) -> Any:
        if self.asked is not g:  # one walk hands the same bundle to all operands; another walk brings another
            if not isinstance(g, Bundle) or any(isinstance(part, Tensor) for part in g.parts.values()):
                raise refuse("a gradient of a scan is itself differentiated", "Run this step eagerly: there the loop is unrolled")
            self.asked, self.found = g, self._record(g.parts)
        found = self.found[position]  # none where what it goes into is collected, and asked for by nobody
        return Recorded(Literal(0.0, shapes[position], None) if found is None else whole(found))

    def _record(self, parts: dict[int, Any]) -> list[Value | None]:
        loop, recorder = self.loop, self.recorder
        count = len(loop.carries)
        with recorder.inside() as scope:
            # cotangents: of the carried state, handed backwards; of the collected results, sliced
            heirs = [Value(c.inside.shape, c.inside.dtype, "cotangent") for c in loop.carries]
            slices, cotangents = [], {}
            for position, node in enumerate(self.roots):
                if node is None:
                    continue
                if position < count:
                    cotangents[position] = Recorded(whole(heirs[position]))
                elif position in parts:
                    outside = recorder.operand(parts[position])
                    entry = Value(outside.shape[1:], outside.dtype, "cotangent")
                    slices.append(Slice(outside, entry))
                    cotangents[position] = Recorded(whole(entry))
            root = forked([self.roots[p] for p in cotangents], list(cotangents.values()))
            found, _ = walk_back(root, Recorded(Literal(1.0, (), heirs[0].dtype if heirs else None)), sum_to)
        of_carried = [found.get(x.node) if x.node is not None else None for x in self.carried]
        of_entries = [found.get(x.node) if x.node is not None else None for x in self.entries]
        of_proxies = [found.get(leaf) for leaf in self.proxies]
        carries = tuple(
            Carry(
                recorder.operand(parts[i]) if i in parts else Literal(0.0, heir.shape, heir.dtype),
                heir,
                _operand(of_carried[i], heir.shape, heir.dtype),
                Value(heir.shape, heir.dtype),
            )
            for i, heir in enumerate(heirs)
        )
        collected = [None if g is None else Collected(g.operand, Value((loop.length, *g.shape), g.dtype)) for g in of_entries]
        summed = [None if g is None else Summed(g.operand, Value(g.shape, g.dtype)) for g in of_proxies]
        backward = Loop(
            loop.length,
            True,
            tuple(scope.rows),
            carries,
            tuple(slices),
            tuple(c for c in collected if c is not None),
            tuple(s for s in summed if s is not None),
            recorder.note(),
        )
        self._hand_over(backward)
        outs: list[Value | None] = [c.final for c in carries]
        outs += [None if c is None else c.outside for c in collected]
        outs += [None if s is None else s.outside for s in summed]
        return outs

    def _hand_over(self, backward: Loop) -> None:
        """What the backward body reads of the forward body is collected over time by the one and sliced by the other."""
        forward = self.home.rows[self.place]
        assert isinstance(forward, Loop)
        if self.again:  # only the states are: the rest is computed in front of what reads it
            rows, new = renewed(self.scope.rows)
            backward = substitute_rows((backward,), {old: whole(value) for old, value in new.items()})[0]  # type: ignore[assignment]
            backward = replace(backward, rows=(*rows, *backward.rows))
        inner = written_values(forward.rows) | set(forward.own)
        sliced_already = {s.inside: s.outside for s in forward.slices}
        collected, slices, table = list(forward.collected), list(backward.slices), {}
        needed = [value for value in _in_order(backward) if value in inner]
        for value in needed:
            entry = Value(value.shape, value.dtype, value.name or "kept")
            if value in sliced_already:
                slices.append(Slice(sliced_already[value], entry))
            else:
                stacked = Value((forward.length, *value.shape), value.dtype)
                collected.append(Collected(whole(value), stacked))
                slices.append(Slice(whole(stacked), entry))
            table[value] = whole(entry)
        self.home.rows[self.place] = replace(forward, collected=tuple(collected))
        self.recorder.scope.rows.append(substitute_rows((replace(backward, slices=tuple(slices)),), table)[0])


def _in_order(loop: Loop) -> list[Value]:
    """The values a loop reads from outside itself, in the order of first use: the same in every recording."""
    outside = read_values(loop)
    return list(dict.fromkeys(o.value for o in reads(loop) if isinstance(o, View) and o.value in outside))


def _operand(g: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    return Literal(0.0, shape, dtype) if g is None else g.operand
