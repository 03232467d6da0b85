"""Rows with several results: each result is picked from its row, and the row's cotangent is a bundle of theirs.

A loop recorded as one row needs this, and a segment of a long sequence that is computed again on the way back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinymem.engine.graph import Leaf, Node
from tinymem.engine.primitive import primitive


class Bundle:
    """The cotangents of several results of one row, by position."""

    __slots__ = ("parts",)
    shape = ()

    def __init__(self, parts: dict[int, Any]) -> None:
        self.parts = parts

    def __add__(self, other: Bundle) -> Bundle:
        both = {position: self.parts[position] + part for position, part in other.parts.items() if position in self.parts}
        return Bundle({**self.parts, **other.parts, **both})


def never(xp: Any, *operands: Any) -> Any:
    """The forward function of a row that no primitive computes."""
    raise AssertionError("this row is not computed by a primitive")


_pick = primitive("pick(x; position) = one result of a row that has several", never, x=lambda g, out, x, position: Bundle({position: g}))


def picked(row: Node, position: int) -> Node:
    """The tape's row of one result."""
    return Node(_pick, [row], [()], None, {"position": position})


def forked(results: Sequence[Node | Leaf], cotangents: Sequence[Any]) -> Node:
    """A row from which a walk back hands each of the results its cotangent."""
    fork = primitive("fork(*results)", never, each=lambda g, out, position, *shapes: cotangents[position])
    return Node(fork, results, [cotangent.shape for cotangent in cotangents], None, {})
