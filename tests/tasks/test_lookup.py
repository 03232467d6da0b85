"""Keys that come again with the value they had, and where heads have to look for it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymem.tasks.lookup import LookupTask, answers, weight_on, word_before

tasks = st.builds(LookupTask, st.integers(1, 6), st.integers(1, 6), st.integers(2, 9))
seeds = st.integers(0, 2**32 - 1)
sequences = st.lists(st.integers(0, 3), min_size=1, max_size=12).map(lambda words: np.array(words)[:, None])


@given(task=tasks, size=st.integers(1, 4), seed=seeds)
def test_a_key_that_comes_again_has_its_value_and_only_there_it_is_asked_for(task, size, seed):
    batch = task.batch(np.random.default_rng(seed), size)
    assert batch.words.shape == batch.targets.shape == batch.mask.shape == (2 * task.pairs, size)
    assert batch.mask.dtype == np.float32
    np.testing.assert_array_equal(batch.targets[:-1], batch.words[1:])
    for words, mask in zip(batch.words.T, batch.mask.T, strict=True):
        known = {}
        for place in range(0, len(words), 2):
            key, value = words[place : place + 2].tolist()
            assert 0 <= key < task.keys <= value < task.words
            assert mask[place] == (key in known)
            assert mask[place + 1] == 0
            assert known.setdefault(key, value) == value
    np.testing.assert_array_equal(batch.values, batch.words >= task.keys)
    np.testing.assert_array_equal(batch.words, task.batch(np.random.default_rng(seed), size).words)


def test_keys_and_values_are_drawn_evenly():
    task = LookupTask()
    batch = task.batch(np.random.default_rng(0), 4000)
    counts = np.bincount(batch.words.ravel(), minlength=task.words)
    np.testing.assert_allclose(counts, 4000, rtol=0.1)
    expected = task.pairs - task.keys * (1 - (1 - 1 / task.keys) ** task.pairs)  # pairs less the different keys among them
    assert math.isclose(batch.mask.sum() / 4000, expected, rel_tol=0.02)


@given(words=sequences)
def test_an_answer_is_the_word_after_an_earlier_same_word(words):
    found = answers(words)
    assert found.shape == (1, len(words), len(words))
    row = words[:, 0]
    for k in range(len(row)):
        for j in range(len(row)):
            assert found[0, k, j] == (1 <= j <= k and row[j - 1] == row[k])


@given(words=sequences)
def test_the_word_before_is_one_place_back(words):
    assert {tuple(place) for place in np.argwhere(word_before(words)[0])} == {(k, k - 1) for k in range(1, len(words))}


@given(task=tasks, seed=seeds)
def test_weights_where_they_should_be_score_1_and_elsewhere_0(task, seed):
    batch = task.batch(np.random.default_rng(seed), 3)
    before = word_before(batch.words)
    weights = np.stack([before, np.roll(before, -1, axis=2), 0.25 * before], axis=1)  # one head right, one beside it, one with a quarter
    np.testing.assert_allclose(weight_on(weights, before, batch.values), [1, 0, 0.25])


def test_only_the_asked_words_count():
    words = np.array([[0, 3, 1, 4, 0, 3]]).T
    asked = (np.arange(6) == 4)[:, None]
    weights = np.zeros((1, 1, 6, 6))
    weights[0, 0, 4, 1] = 0.5  # the word after the same key, by half
    weights[0, 0, 2, 1] = 1.0  # nobody asked
    np.testing.assert_array_equal(weight_on(weights, answers(words), asked), [0.5])


@pytest.mark.parametrize("sizes", [(0, 3, 4), (3, 0, 4), (3, 3, 1), (3, 3, True), (3.0, 3, 4)])
def test_sizes_that_make_no_task_are_refused(sizes):
    with pytest.raises(ValueError, match="at least 2 pairs"):
        LookupTask(*sizes)


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="at least one sequence"):
        LookupTask().batch(np.random.default_rng(0), 0)
