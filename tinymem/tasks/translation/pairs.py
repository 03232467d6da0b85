"""A sentence and its translation, the links between their words, and the split a drawn pair belongs to.

A link (i, j) says that word i of the translation comes from word j of the sentence, in the order of α_ij on the slide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tinymem.tasks.programs import ATTEMPTS, SPLITS, Split, split_of

Link = tuple[int, int]
Words = tuple[str, ...]
Drawn = TypeVar("Drawn")


@dataclass(frozen=True)
class Links:
    """Which words belong together (Och & Ney 2003): the sure links are those nobody doubts, the possible ones those that are no mistake."""

    sure: frozenset[Link]
    possible: frozenset[Link]
    """the sure ones are among them"""

    def __post_init__(self) -> None:
        if not self.sure <= self.possible:
            raise ValueError(f"a sure link is possible too; these are not: {sorted(self.sure - self.possible)}")

    @property
    def crossings(self) -> int:
        """How many pairs of sure links cross: what comes later in one language comes earlier in the other."""
        return sum(i < other_i and j > other_j for i, j in self.sure for other_i, other_j in self.sure)


@dataclass(frozen=True)
class Pair:
    """A sentence, its translation, and the links where they are known."""

    source: Words
    target: Words
    links: Links | None = None

    def __post_init__(self) -> None:
        if not self.source or not self.target:
            raise ValueError(f"a pair needs at least one word on either side, got {self.source} and {self.target}")
        possible: frozenset[Link] = self.links.possible if self.links else frozenset()
        outside = sorted((i, j) for i, j in possible if not (0 <= i < len(self.target) and 0 <= j < len(self.source)))
        if outside:
            raise ValueError(
                f"a link (i, j) leads from word i of the {len(self.target)} of the translation to word j of the {len(self.source)} of the "
                f"sentence; these lead outside: {outside}"
            )


def draw_in(split: Split, draw: Callable[[], Drawn], text: Callable[[Drawn], str]) -> Drawn:
    """Draws until `text` of what was drawn falls into the split: the splits share nothing, on every machine and for ever."""
    if split not in SPLITS:
        raise ValueError(f"a split is one of {', '.join(SPLITS)}, got {split!r}")
    for _ in range(ATTEMPTS):
        drawn = draw()
        if split_of(text(drawn)) == split:
            return drawn
    raise ValueError(f"none of {ATTEMPTS} draws is in the split {split!r}; allow more of them to choose from")
