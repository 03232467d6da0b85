"""Recording a `scan`: its body once, and, when the walk back comes by, the body of its derivative once.

The loop is one node of the tape.  Its several results are picked from it, their cotangents come back in one bundle,
and the vector-Jacobian product is a loop through the same time steps backwards, which reads what the forward body
computed at each step.
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
    substitute_rows,
    whole,
    written_values,
)
from tinymem.engine.compile.record import Recorder, Scope
from tinymem.engine.compile.recorded import Recorded
from tinymem.engine.compile.refusals import refuse
from tinymem.engine.errors import OperandError
from tinymem.engine.graph import Leaf, Node, is_recording, leaves, walk_back
from tinymem.engine.ops import sum_to
from tinymem.engine.primitive import primitive
from tinymem.engine.structure import describe, flatten
from tinymem.engine.tensor import Tensor, wrap

Step = Callable[[Any, Any], tuple[Any, Any]]


def record_scan(recorder: Recorder, step: Step, state: Any, inputs: Any, length: int) -> tuple[Any, Any]:
    """`scan` in a step that is being recorded."""
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
        back = _Backwards(recorder, home, place, scope, loop, carried, entries, roots, [leaf for leaf, _ in scope.proxies.values()])
        operands = [*starts, *sliced, *outside]
        reached = set[Any]().union(*[leaves(root) for root in roots if root is not None])
        inner = [*[x.node for x in carried], *[x.node for x in entries], *[leaf for leaf, _ in scope.proxies.values()]]
        parents = [
            recorder.local(x.node, x.data) if x.node is not None and leaf in reached else None
            for x, leaf in zip(operands, inner, strict=True)
        ]
        row = Node(primitive("scan(*operands)", _never, each=back.gradient), parents, [x.shape for x in operands], None, {})
        home.own_nodes.add(row)
        for position, root in enumerate(roots):
            if root is not None:
                picked = nodes[position] = Node(_pick, [row], [()], None, {"position": position})
                home.own_nodes.add(picked)
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


def _never(xp: Any, *operands: Any) -> Any:
    raise AssertionError("a recorded loop is not computed by a primitive")


class Bundle:
    """The cotangents of several results of one row, by position."""

    __slots__ = ("parts",)
    shape = ()

    def __init__(self, parts: dict[int, Any]) -> None:
        self.parts = parts

    def __add__(self, other: Bundle) -> Bundle:
        both = {position: self.parts[position] + part for position, part in other.parts.items() if position in self.parts}
        return Bundle({**self.parts, **other.parts, **both})


_pick = primitive("pick(x; position) = one result of a row that has several", _never, x=lambda g, out, x, position: Bundle({position: g}))


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
    ) -> None:
        self.recorder, self.home, self.place, self.scope, self.loop = recorder, home, place, scope, loop
        self.carried, self.entries, self.roots, self.proxies = carried, entries, roots, proxies
        self.asked: Any = None
        self.found: list[Any] = []

    def gradient(self, g: Any, out: Any, position: int, *shapes: Any) -> Any:
        if self.asked is not g:  # one walk hands the same bundle to all operands; another walk brings another
            if not isinstance(g, Bundle) or any(isinstance(part, Tensor) for part in g.parts.values()):
                raise refuse("a gradient of a scan is itself differentiated", "Run this step eagerly: there the loop is unrolled")
            self.asked, self.found = g, self._record(g.parts)
        return self.found[position]

    def _record(self, parts: dict[int, Any]) -> list[Any]:
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
            positions = list(cotangents)
            fork = primitive(
                "fork(*results)",
                _never,
                each=lambda g, out, position, *shapes: cotangents[positions[position]],
            )
            root = Node(fork, [self.roots[p] for p in positions], [cotangents[p].shape for p in positions], None, {})
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
        outs: list[Any] = [c.final for c in carries]
        outs += [None if c is None else c.outside for c in collected]
        outs += [None if s is None else s.outside for s in summed]
        shapes = [c.inside.shape for c in loop.carries] + [(loop.length, *x.shape) for x in self.entries]
        return [
            Recorded(whole(out)) if out is not None else Recorded(Literal(0.0, shapes[i] if i < len(shapes) else (), None))
            for i, out in enumerate(outs)
        ]

    def _hand_over(self, backward: Loop) -> None:
        """What the backward body reads of the forward body is collected over time by the one and sliced by the other."""
        forward = self.home.rows[self.place]
        assert isinstance(forward, Loop)
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
