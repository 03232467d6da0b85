"""How the rows of a tape hang together: how many there are, and how far it is from an input to a result.

Only the form of the graph is looked at, never a number.  A row is one step here, however much it computes.
"""

from __future__ import annotations

from dataclasses import dataclass

from tinymem.engine.errors import OperandError
from tinymem.engine.graph import Leaf, Node
from tinymem.engine.tensor import Tensor


@dataclass(frozen=True)
class Paths:
    """The tape behind one result, in rows."""

    rows: int
    """all rows that the result was computed by"""
    longest: int
    """rows of the longest chain: each must wait for the one before, so with any number of processors it takes that long"""
    shortest: int | None
    """rows between the input and the result on the shortest way; None: the result does not depend on that input"""


def paths(result: Tensor, source: Tensor) -> Paths:
    """The tape between `source`, a tensor with requires_grad=True, and `result`.  OperandError if one of them is on no tape."""
    if result.node is None or source.node is None:
        raise OperandError("paths: needs a result computed on the tape, and the tensor with requires_grad=True that it starts from")
    longest: dict[Node | Leaf, int] = {}
    shortest = {source.node: 0}
    for node in _operands_first(result.node):
        longest[node] = 0 if isinstance(node, Leaf) else 1 + max(longest[parent] for parent in node.parents if parent is not None)
        reached = [shortest[parent] for parent in node.parents if parent in shortest]
        if reached:
            shortest[node] = 1 + min(reached)
    rows = sum(not isinstance(node, Leaf) for node in longest)
    return Paths(rows, longest[result.node], shortest.get(result.node))


def _operands_first(root: Node | Leaf) -> list[Node | Leaf]:
    """Every row and leaf behind `root`, each after those it was computed from.  Iterative: a tape is deep."""
    order: dict[Node | Leaf, None] = {}
    seen = {root}
    to_visit = [(root, iter(root.parents))]
    while to_visit:
        node, parents = to_visit[-1]
        parent = next((parent for parent in parents if parent is not None and parent not in seen), None)
        if parent is None:
            order[node] = None
            to_visit.pop()
        else:
            seen.add(parent)
            to_visit.append((parent, iter(parent.parents)))
    return list(order)
