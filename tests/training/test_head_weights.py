"""Every head of a Transformer for pairs of different lengths: as if each were alone, and none looks at padding."""

import numpy as np
import pytest

from tinymem.models.transformer import TransformerConfig
from tinymem.tasks.translation.numbers import NumberTask, number_pair
from tinymem.training import heads
from tinymem.training.heads import heads_of
from tinymem.training.translation import forced_attention

NUMBERS = NumberTask()
MODEL = TransformerConfig(*map(len, NUMBERS.vocabularies), layers=2, width=8, heads=2, inner=8).build(np.random.default_rng(0), "float64")
PAIRS = [number_pair(number) for number in (7, 123_456_789, 97, 20)]


def test_weights_are_of_the_words_of_each_pair():
    for pair, found in zip(PAIRS, heads_of(MODEL, PAIRS, NUMBERS.vocabularies), strict=True):
        S, T = len(pair.source) + 1, len(pair.target) + 1
        assert found.encoder.shape == (2, 2, S, S)
        assert found.decoder.shape == (2, 2, T, T)
        assert found.cross.shape == (2, 2, T, S)
        for weights in (found.encoder, found.decoder, found.cross):
            np.testing.assert_allclose(weights.sum(3), 1)  # so padding, which was cut off, had nothing
        assert not np.triu(found.decoder, 1).any()


@pytest.mark.parametrize("side_by_side", [1, 3])
def test_who_stands_beside_a_pair_does_not_matter(side_by_side, monkeypatch):
    together = heads_of(MODEL, PAIRS, NUMBERS.vocabularies)
    monkeypatch.setattr(heads, "SIDE_BY_SIDE", side_by_side)
    for one, other in zip(together, heads_of(MODEL, PAIRS, NUMBERS.vocabularies), strict=True):
        for kind in ("encoder", "decoder", "cross"):
            np.testing.assert_allclose(getattr(one, kind), getattr(other, kind), atol=1e-12)


def test_the_mean_of_the_last_layer_is_what_a_search_shows():
    """The rows are those before the same words: the attention with which a word is written."""
    asked = MODEL, PAIRS, NUMBERS.vocabularies
    for found, weights in zip(heads_of(*asked), forced_attention(*asked), strict=True):
        np.testing.assert_allclose(found.cross[-1].mean(0), weights, atol=1e-12)
