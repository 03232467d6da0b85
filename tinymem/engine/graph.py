"""Reverse mode: the tape's rows and the walk back over them.

Nothing here knows a derivative (those stand in `ops`) or a number: a row remembers which primitive ran, on whose
results, and what that primitive declared it must save; the walk hands cotangents to the primitives' VJPs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from tinymem.engine.backend import Array, namespace_of
from tinymem.engine.notes import setting, walking_back

if TYPE_CHECKING:
    from tinymem.engine.primitive import Primitive

_recording: ContextVar[bool] = ContextVar("tinymem_recording", default=True)
is_recording = _recording.get  # asked once per operation, so without a wrapper around it


@contextmanager
def no_grad() -> Iterator[None]:
    """Within this context operations are computed but not recorded."""
    token = _recording.set(False)
    try:
        yield
    finally:
        _recording.reset(token)


class Leaf:
    """A tensor the user asked gradients for: where a walk back ends, and the only place that keeps a gradient."""

    __slots__ = ("dtype", "grad")
    parents = ()

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype  # of the tensor, and so of its gradient, whatever it was computed with
        self.grad: Array | None = None


class Node:
    """One row of the tape.

    `saved` holds per operand the array if the primitive declared it needs it, else only the operand's shape;
    `output` the result, if declared.  Arrays, not Tensors: so no row refers to itself and a tape dies with its last Tensor.
    """

    __slots__ = ("attributes", "output", "parents", "primitive", "saved")

    def __init__(
        self,
        primitive: Primitive,
        parents: Sequence[Node | Leaf | None],
        saved: Sequence[Any],
        output: Array | None,
        attributes: dict[str, Any],
    ) -> None:
        self.primitive = primitive
        self.parents = parents
        self.saved = saved
        self.output = output
        self.attributes = attributes


@contextmanager
def recording() -> Iterator[None]:
    """Within this context operations are recorded, whatever is the case around it."""
    token = _recording.set(True)
    try:
        yield
    finally:
        _recording.reset(token)


def shared_results(root: Node | Leaf, ends: frozenset[Node | Leaf] = frozenset()) -> dict[Node | Leaf, int]:
    """How many times the result of a reachable row is used, for those used more than once; what lies behind `ends` is not reached.

    Iterative: a tape is deep.
    """
    seen: set[Node | Leaf] = {root}
    shared: dict[Node | Leaf, int] = {}
    to_visit = [root]
    while to_visit:
        for parent in to_visit.pop().parents:
            if parent in seen:
                shared[parent] = shared.get(parent, 1) + 1
            elif parent is not None:
                seen.add(parent)
                if parent not in ends:
                    to_visit.append(parent)
    return shared


def leaves(root: Node | Leaf, ends: frozenset[Node | Leaf] = frozenset()) -> set[Node | Leaf]:
    """Every leaf that a result was computed from; where a row of `ends` is reached, that row."""
    seen: set[Node | Leaf] = {root}
    to_visit = [root]
    while to_visit:
        for parent in to_visit.pop().parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                if parent not in ends:
                    to_visit.append(parent)
    return {node for node in seen if type(node) is Leaf or node in ends}


def walk_back(
    root: Node | Leaf,
    cotangent: Any,
    sum_to: Callable[[Any, tuple[int, ...]], Any],
    wrap: Callable[[Array, Node | Leaf | None], Any] | None = None,
    keep: frozenset[Node | Leaf] = frozenset(),
    beyond: bool = True,
) -> tuple[dict[Node | Leaf, Any], set[Node | Leaf]]:
    """Cotangents of every leaf (and of the rows in `keep`), from the cotangent of `root`.  Not `beyond`: it ends at those.

    A row is served when its last consumer has been: reverse topological order.  Its cotangent is let go then, so memory
    falls as the walk proceeds: most results have one consumer and their cotangent goes straight on; only those of
    several wait in `sums`.  With `wrap` the walk runs on Tensors and is itself recorded (create_graph); without, the
    same VJPs run on plain arrays.  Also returns the rows whose sums were made here and alias nothing.
    """
    with setting(walking_back, True):
        return _walk_back(root, cotangent, sum_to, wrap, keep, beyond)


def _walk_back(
    root: Any, cotangent: Any, sum_to: Any, wrap: Any, keep: Any, beyond: bool
) -> tuple[dict[Node | Leaf, Any], set[Node | Leaf]]:
    awaited = shared_results(root) if beyond else shared_results(root, keep)
    sums: dict[Node | Leaf, Any] = {}
    summed_here: set[Node | Leaf] = set()
    kept: dict[Node | Leaf, Any] = {}
    ready = [(root, cotangent)]
    while ready:
        node, g = ready.pop()
        if type(node) is Leaf:
            kept[node] = g
            continue
        if node in keep:
            kept[node] = g
            if not beyond:
                continue
        primitive, parents, output, saved, attributes = node.primitive, node.parents, node.output, node.saved, node.attributes
        each, vjps = primitive.each, primitive.vjps
        if wrap is not None:
            output = None if output is None else wrap(output, node)
            saved = [
                value if parent is None or type(value) is tuple else wrap(value, parent)
                for value, parent in zip(saved, parents, strict=True)
            ]
        for position, parent in enumerate(parents):
            if parent is None:
                continue
            shape = saved[position]
            if type(shape) is not tuple:
                shape = shape.shape
            still = awaited.get(parent)
            if still is not None and shape and primitive.add_into is not None and wrap is None:
                sums[parent] = _added_into(sums.get(parent), parent in summed_here, node, g, shape)
                summed_here.add(parent)
            else:
                if each is None:
                    gradient = vjps[position](g, output, *saved, **attributes)
                else:
                    gradient = each(g, output, position, *saved, **attributes)
                if gradient.shape != shape:
                    gradient = sum_to(gradient, shape)
                if still is None:
                    ready.append((parent, gradient))
                    continue
                if parent not in sums:
                    sums[parent] = gradient
                elif parent in summed_here and wrap is None:
                    total = sums[parent]
                    total += gradient  # our own sum, seen by nobody else yet
                    sums[parent] = total
                else:
                    sums[parent] = sums[parent] + gradient
                    summed_here.add(parent)
            if still > 1:
                awaited[parent] = still - 1
            else:
                ready.append((parent, sums.pop(parent)))
    return kept, summed_here


def _added_into(total: Any, ours: bool, node: Node, g: Array, shape: tuple[int, ...]) -> Any:
    """Add the cotangent of a slice to that part of its operand's: without an array of the operand's size for each slice."""
    if total is None:
        total = namespace_of(g).zeros(shape, dtype=g.dtype)
    elif not ours:
        total = total + 0  # a copy of our own
    assert node.primitive.add_into is not None
    return node.primitive.add_into(total, g, **node.attributes)
