"""Long sequences in eager mode: a segment of time steps is one row of the tape, and is computed again on the way back.

The row keeps the state before its first step and nothing of what the steps computed.  When the walk back comes by, the
steps run a second time, now recorded, and the walk goes on through them; then that piece of tape is let go.  So a tape of
T steps cut into segments of k holds T/k states and, at any time, the results of k steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy

from tinymem.engine.backend import Array, namespace_of
from tinymem.engine.errors import OperandError, RecordingError
from tinymem.engine.graph import Leaf, Node, leaves, recording, walk_back
from tinymem.engine.notes import recorder, setting
from tinymem.engine.ops import sum_to
from tinymem.engine.primitive import primitive
from tinymem.engine.several import Bundle, forked, never, picked
from tinymem.engine.structure import flatten
from tinymem.engine.tensor import Tensor, wrap

Run = Callable[[Any, Any], tuple[Any, Any]]


def run_again_on_the_way_back(run: Run, state: Any, inputs: Any) -> tuple[Any, Any]:
    """run(state, inputs) = (state after, outputs), as one row of the tape that keeps only what goes in."""
    outer, seam = recorder.get(), Seam()
    with setting(recorder, seam):
        after, outputs = run(state, inputs)
    (states, rebuild_state), (results, rebuild_outputs) = flatten(after), flatten(outputs)
    found = [*states, *results]
    made = {i: x.node for i, x in enumerate(found) if isinstance(x, Tensor) and x.node in seam.own_nodes}
    reached = set[Any]().union(*[leaves(root, frozenset(seam.outside)) for root in made.values()])
    nodes = [node for node in seam.outside if node in reached]  # in the order of first use
    arrays = [seam.outside[node] for node in nodes]
    again = _Again(run, state, inputs, nodes, [x.data if isinstance(x, Tensor) else x for x in states])
    row = Node(primitive("segment(*operands)", never, each=again.gradient), nodes, [array.shape for array in arrays], None, {})
    for i in made:
        found[i] = wrap(found[i].data, picked(row, i))
    if outer is not None and made:  # a row of the segment around this one
        outer.tape_row(row, nodes, arrays)
        outer.own_nodes |= {row, *[found[i].node for i in made]}
    return rebuild_state(found[: len(states)]), rebuild_outputs(found[len(states) :])


class Seam:
    """Stands where a recorder would while a segment runs: knows its own rows from those it reads from outside."""

    compiles = outermost = False

    def __init__(self) -> None:
        self.own_nodes: set[Node | Leaf] = set()
        self.outside: dict[Node | Leaf, Array] = {}

    @property
    def scope(self) -> Seam:
        return self

    def lifted(self, operands: Sequence[Any]) -> Sequence[Any]:
        return operands

    def tape_row(self, row: Any, parents: Sequence[Node | Leaf | None], arrays: Sequence[Any]) -> Any:
        self.outside.update({p: a for p, a in zip(parents, arrays, strict=True) if p is not None and p not in self.own_nodes})
        return row

    def draw(self, *_: Any) -> Any:
        raise RecordingError(
            "scan with checkpoint_every: random numbers are drawn inside a step, which runs twice and would draw others the second time. "
            "Draw (time, ...) numbers before it and scan over them"
        )


class _Again:
    """The derivative of one segment: computed when the first of its operands asks for its cotangent."""

    def __init__(self, run: Run, state: Any, inputs: Any, nodes: Sequence[Node | Leaf], after: Sequence[Any]) -> None:
        self.run, self.state, self.inputs, self.nodes, self.after = run, state, inputs, nodes, after
        self.asked: Any = None
        self.found: dict[Node | Leaf, Any] = {}

    def gradient(self, g: Bundle, out: Any, position: int, *shapes: tuple[int, ...]) -> Any:
        if self.asked is not g:  # one walk hands the same bundle to all operands; another walk brings another
            self.asked, self.found = g, self._cotangents(g)
        found = self.found.pop(self.nodes[position], None)
        if position == len(self.nodes) - 1:  # the last to be asked
            self.asked = None
        if found is not None:
            return found
        part = next(iter(g.parts.values()))  # what is asked for does not depend on this operand
        xp = namespace_of(part.data if isinstance(part, Tensor) else part)
        zeros = xp.zeros(shapes[position], dtype=part.dtype)
        return wrap(zeros, None) if isinstance(part, Tensor) else zeros

    def _cotangents(self, g: Bundle) -> dict[Node | Leaf, Any]:
        with recording(), setting(recorder, None):
            after, outputs = self.run(self.state, self.inputs)
        states, results = flatten(after)[0], flatten(outputs)[0]
        self._require_same(states)
        nodes = [(*states, *results)[i].node for i in g.parts]
        root = forked(nodes, list(g.parts.values()))
        differentiated = any(isinstance(part, Tensor) for part in g.parts.values())  # is this gradient's own graph wanted?
        found, _ = walk_back(root, None, sum_to, wrap if differentiated else None, frozenset(self.nodes), beyond=False)
        if not found.keys() <= set(self.nodes):
            raise OperandError(CHANGED.format("used other Tensors"))
        return found

    def _require_same(self, states: Sequence[Any]) -> None:
        """OperandError if the second run came to another state, as far as that can be seen without waiting for a device."""
        for before, x in zip(self.after, states, strict=True):
            now = x.data if isinstance(x, Tensor) else x
            if isinstance(before, numpy.ndarray) and before.size:
                room = 1e-3 * numpy.abs(before[numpy.isfinite(before)]).max(initial=0)  # rounding may differ, as a library's threads do
                if before.shape != now.shape or not numpy.allclose(before, now, rtol=1e-3, atol=room, equal_nan=True):
                    raise OperandError(CHANGED.format("came to another state"))


CHANGED = (
    "scan with checkpoint_every: a step {} when it was computed again on the way back. It must give the same result each time: draw random "
    "numbers before the scan, count outside of it, and call backward before anything that the step uses is changed"
)
