"""What the heads of a trained Transformer look at, for sentences and translations that are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from tinymem.engine.backend import to_host
from tinymem.engine.graph import no_grad
from tinymem.tasks.translation.batches import batches
from tinymem.tasks.translation.pairs import Pair
from tinymem.tasks.translation.words import Vocabulary
from tinymem.training.translation import SIDE_BY_SIDE

Host = numpy.ndarray[Any, Any]


@dataclass(frozen=True)
class HeadWeights:
    """The weights of every head for a sentence of S words and its translation into T words, `<end>` counted in both.

    The words of the translation ask when they are written, so their row is that of the word before, the first that of `<begin>`.
    """

    encoder: Host
    """(layers, heads, S, S): from the sentence to the sentence"""
    decoder: Host
    """(layers, heads, T, T): from `<begin>` and the translation to those of them before"""
    cross: Host
    """(layers, heads, T, S): from the translation and its `<end>` to the sentence"""


def heads_of(model: Any, pairs: Sequence[Pair], vocabularies: tuple[Vocabulary, Vocabulary]) -> list[HeadWeights]:
    """What every head looks at in each pair, the decoder being told the words of the translation."""
    found: dict[int, HeadWeights] = {}
    for places, batch in batches(pairs, vocabularies, min(SIDE_BY_SIDE, len(pairs))):
        with no_grad():
            looks = model.looks(batch.source, batch.source_mask, batch.target_in)
        kinds = {kind: numpy.stack([to_host(layer) for layer in layers], 1) for kind, layers in looks.items()}  # (B, layers, H, T, L)
        for column, place in enumerate(places.tolist()):
            S, T = len(pairs[place].source) + 1, len(pairs[place].target) + 1
            lengths = {"encoder": (S, S), "decoder": (T, T), "cross": (T, S)}
            found[place] = HeadWeights(**{kind: kinds[kind][column, :, :, :t, :s] for kind, (t, s) in lengths.items()})
    return [found[place] for place in range(len(pairs))]
