"""Batches of pairs: nothing is lost, and masks say exactly what is real."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymem.tasks.translation.batches import batch_of, batches, epoch, sources_of
from tinymem.tasks.translation.libreoffice import libreoffice
from tinymem.tasks.translation.pairs import Links, Pair
from tinymem.tasks.translation.words import BEGIN, END, Vocabulary

VOCABULARIES = Vocabulary(tuple("abc")), Vocabulary(tuple("xyz"))
pairs = st.builds(
    Pair,
    st.lists(st.sampled_from("abc?"), min_size=1, max_size=9).map(tuple),
    st.lists(st.sampled_from("xyz?"), min_size=1, max_size=9).map(tuple),
)
some_pairs = st.lists(pairs, min_size=1, max_size=12)


def test_one_batch_by_hand():
    batch = batch_of([Pair(("a", "b"), ("z",)), Pair(("c",), ("x", "y", "q"))], VOCABULARIES, size=3, round_to=3)
    assert batch.source.T.tolist() == [[4, 5, 2], [6, 2, 0], [2, 0, 0]]
    assert batch.source_mask.T.tolist() == [[1, 1, 1], [1, 1, 0], [1, 0, 0]]
    assert batch.target_in.T.tolist() == [[1, 6, 0, 0, 0, 0], [1, 4, 5, 3, 0, 0], [1, 0, 0, 0, 0, 0]]
    assert batch.target_out.T.tolist() == [[6, 2, 0, 0, 0, 0], [4, 5, 3, 2, 0, 0], [0, 0, 0, 0, 0, 0]]
    assert batch.target_mask.T.tolist() == [[1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0]]


@given(some_pairs, st.integers(0, 3), st.integers(1, 5))
def test_masks_are_exact_and_the_decoder_reads_what_it_was_asked_before(some, empty, round_to):
    batch = batch_of(some, VOCABULARIES, len(some) + empty, round_to)
    arrays = batch.source, batch.source_mask, batch.target_in, batch.target_out, batch.target_mask
    assert [array.dtype for array in arrays] == [np.int64, np.float32, np.int64, np.int64, np.float32]
    for array, longest in zip(arrays, np.repeat([max(len(p.source) for p in some), max(len(p.target) for p in some)], [2, 3]), strict=True):
        assert array.shape[0] % round_to == 0
        assert 0 <= array.shape[0] - (longest + 1) < round_to
        assert array.shape[1] == len(some) + empty
    for column, pair in enumerate(some):
        source, source_mask, target_in, target_out, target_mask = (array[:, column] for array in arrays)
        read, written = len(pair.source) + 1, len(pair.target) + 1
        assert source[:read].tolist() == [*VOCABULARIES[0].encode(pair.source), END]
        assert target_out[:written].tolist() == [*VOCABULARIES[1].encode(pair.target), END]
        assert target_in[:written].tolist() == [BEGIN, *target_out[: written - 1]]
        assert source_mask.tolist() == [1.0] * read + [0.0] * (len(source) - read)
        assert target_mask.tolist() == [1.0] * written + [0.0] * (len(target_in) - written)
        assert not any(array[length:].any() for array, length in ((source, read), (target_in, written), (target_out, written)))
    assert (batch.source_mask[:, len(some) :].sum(0) == 1).all()  # something to attend to
    assert not batch.target_mask[:, len(some) :].any()


@given(some_pairs, st.integers(1, 5), st.integers(1, 3), st.none() | st.integers(0, 9))
def test_no_pair_is_lost_and_none_comes_twice(some, size, pool, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    found = list(batches(some, VOCABULARIES, size, rng, pool=pool))
    assert sorted(np.concatenate([places for places, _ in found])) == list(range(len(some)))
    for places, batch in found:
        assert batch.source.shape[1] == size
        for column, place in enumerate(places):
            expected = batch_of([some[place]], VOCABULARIES, round_to=1)
            assert batch.source[batch.source_mask[:, column] > 0, column].tolist() == expected.source[:, 0].tolist()
            assert batch.target_out[batch.target_mask[:, column] > 0, column].tolist() == expected.target_out[:, 0].tolist()


def test_a_sentence_without_a_translation_is_read_as_in_a_pair():
    batch = batch_of([Pair(("a", "b"), ("z",)), Pair(("?",), ("x",))], VOCABULARIES, size=3)
    source, mask = sources_of([("a", "b"), ("?",)], VOCABULARIES[0], size=3)
    assert np.array_equal(source, batch.source)
    assert np.array_equal(mask, batch.source_mask)
    with pytest.raises(ValueError, match="nothing to read"):
        sources_of([("a",), ()], VOCABULARIES[0])


def test_an_epoch_is_seeded_and_the_next_one_is_another():
    some = libreoffice().validation

    def plan(rng):
        return [places.tolist() for places in epoch(some, 16, rng, pool=5)]

    rng = np.random.default_rng(0)
    first, second = plan(rng), plan(rng)
    assert first == plan(np.random.default_rng(0)) != second
    assert sorted(map(len, first)) == [12] + [16] * 18


def test_lengths_go_together_and_shapes_are_few():
    corpus = libreoffice()
    shapes, real, full = set(), 0.0, 0
    for _, batch in batches(corpus.train, corpus.vocabularies, 64, np.random.default_rng(0)):
        shapes.add((len(batch.source), len(batch.target_in)))
        real += batch.source_mask.sum() + batch.target_mask.sum()
        full += batch.source_mask.size + batch.target_mask.size
    assert len(shapes) <= 16
    assert real / full > 0.8
    unsorted = [batch_of(corpus.train[first : first + 64], corpus.vocabularies) for first in range(0, 6400, 64)]
    assert sum(b.target_mask.sum() for b in unsorted) / sum(b.target_mask.size for b in unsorted) < 0.6


def test_impossible_batches_are_refused():
    pair = Pair(("a",), ("x",))
    for some, size in (([], None), ([pair, pair], 1), ([pair], 1.0)):
        with pytest.raises(ValueError, match="room for all"):
            batch_of(some, VOCABULARIES, size)
    for round_to in (0, 2.0):
        with pytest.raises(ValueError, match="round_to"):
            batch_of([pair], VOCABULARIES, round_to=round_to)
        with pytest.raises(ValueError, match="whole numbers of at least 1"):
            epoch([pair], 1, round_to=round_to)
    with pytest.raises(ValueError, match="needs pairs, got 0"):
        epoch([], 1)


def test_impossible_pairs_are_refused():
    for source, target in (((), ("x",)), (("a",), ())):
        with pytest.raises(ValueError, match="at least one word"):
            Pair(source, target)
    with pytest.raises(ValueError, match=r"\[\(0, 1\)\]"):
        Pair(("a",), ("x",), Links(frozenset(), frozenset({(0, 0), (0, 1)})))
    with pytest.raises(ValueError, match="possible too"):
        Links(frozenset({(0, 0)}), frozenset())
