"""Associative recall, against its own definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymem.tasks.algorithms import RecallTask

SIZES = {"bits": st.integers(1, 8), "vectors": st.integers(1, 4), "fewest": st.integers(2, 4), "extra": st.integers(0, 3)}


def drawn(bits, vectors, fewest, extra, size, seed, **given_):
    task = RecallTask(bits, vectors, fewest, fewest + extra)
    return task, task.batch(np.random.default_rng(seed), size, **given_)


@given(**SIZES, size=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_an_episode_is_items_a_query_between_its_delimiters_and_silence(bits, vectors, fewest, extra, size, seed):
    task, episode = drawn(bits, vectors, fewest, extra, size, seed)
    steps = len(episode.inputs)
    items, left_over = divmod(steps - 2 * vectors - 2, vectors + 1)
    assert left_over == 0
    assert fewest <= items <= fewest + extra
    assert (episode.inputs.shape, episode.targets.shape) == ((steps, size, task.inputs), (steps, size, task.outputs))
    queried = items * (vectors + 1)  # the first of the two delimiters of the query
    starts = np.isin(np.arange(steps), [number * (vectors + 1) for number in range(items)])
    ends = np.isin(np.arange(steps), [queried, queried + vectors + 1])
    np.testing.assert_array_equal(episode.inputs[..., bits], np.repeat(starts[:, None], size, 1))
    np.testing.assert_array_equal(episode.inputs[..., bits + 1], np.repeat(ends[:, None], size, 1))
    assert not episode.inputs[starts | ends, :, :bits].any()  # a delimiter stands alone
    assert not episode.inputs[queried + vectors + 2 :].any()  # silence while the answer is asked for
    assert ((np.arange(steps) >= steps - vectors) == episode.mask.T).all()
    assert not episode.targets[:-vectors].any()
    assert episode.target_bits == vectors * bits
    assert set(np.unique(episode.inputs)) | set(np.unique(episode.targets)) <= {0.0, 1.0}
    assert {episode.inputs.dtype, episode.targets.dtype, episode.mask.dtype} == {np.dtype(np.float32)}


def parts(task, episode, items):
    """The vectors of each item (items, V, batch, bits), of the query and of the answer (V, batch, bits)."""
    vectors = episode.inputs[..., : task.bits]
    shown = np.stack([vectors[task.item(number)] for number in range(items)])
    return shown, vectors[task.query(items)], episode.targets[task.answer(items)]


@given(**SIZES, size=st.integers(1, 5), seed=st.integers(0, 2**32 - 1), data=st.data())
def test_the_answer_is_the_item_after_the_query(bits, vectors, fewest, extra, size, seed, data):
    items = data.draw(st.integers(2, 7), label="items")
    asked = data.draw(st.integers(0, items - 2), label="asked")
    task, episode = drawn(bits, vectors, fewest, extra, size, seed, items=items, asked=asked)
    shown, query, answer = parts(task, episode, items)
    assert len(episode.inputs) == task.answer(items).stop == items * (vectors + 1) + (vectors + 2) + vectors
    np.testing.assert_array_equal(query, shown[asked])
    np.testing.assert_array_equal(answer, shown[asked + 1])


@given(**SIZES, size=st.integers(1, 5), seed=st.integers(0, 2**32 - 1), items=st.integers(2, 7))
def test_each_sequence_of_a_batch_has_a_query_of_its_own_never_the_last_item(bits, vectors, fewest, extra, size, seed, items):
    task, episode = drawn(bits, vectors, fewest, extra, size, seed, items=items)
    shown, query, answer = parts(task, episode, items)
    for lane in range(size):
        pairs = [(shown[number, :, lane].tolist(), shown[number + 1, :, lane].tolist()) for number in range(items - 1)]
        assert (query[:, lane].tolist(), answer[:, lane].tolist()) in pairs


def test_items_and_queries_are_uniform_and_seeded():
    task, rng = RecallTask(), np.random.default_rng(0)
    steps = [len(task.batch(rng, 1).inputs) for _ in range(2000)]
    counts = np.bincount([(length - 8) // 4 for length in steps])
    assert (counts[:2] == 0).all()
    assert len(counts) == 7
    assert (abs(counts[2:] - 400) < 80).all()  # four standard deviations and more
    shown, query, _ = parts(task, task.batch(rng, 3000, items=6), 6)
    about = np.bincount(np.all(shown == query, axis=(1, 3)).argmax(0))
    assert len(about) == 5  # of six items never the last
    assert (abs(about - 600) < 100).all()
    assert abs(shown.mean() - 0.5) < 0.01
    one, two = (task.batch(np.random.default_rng(5), 3).inputs for _ in range(2))
    np.testing.assert_array_equal(one, two)


@given(seed=st.integers(0, 2**32 - 1), items=st.integers(3, 6))
def test_which_item_is_asked_about_does_not_change_the_items(seed, items):
    task = RecallTask()
    first, second = (parts(task, task.batch(np.random.default_rng(seed), 2, items, asked), items)[0] for asked in (0, 1))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("sizes", [{"bits": 0}, {"vectors": 0}, {"most": 6.5}, {"fewest": 5, "most": 4}, {"fewest": 0}])
def test_impossible_tasks_are_refused(sizes):
    with pytest.raises(ValueError, match="associative recall needs whole numbers"):
        RecallTask(**sizes)


def test_one_item_has_no_item_after_it():
    with pytest.raises(ValueError, match="at least 2 items: one to ask about and the one after it"):
        RecallTask(fewest=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "associative recall: a batch needs at least one sequence, got size 0"),
        ({"size": 1, "items": 1}, "the number of items must be a whole number, at least 2, got 1"),
        ({"size": 1, "items": 2.5}, "the number of items must be a whole number, at least 2, got 2.5"),
        ({"size": 1, "items": 4, "asked": 3}, "of 4 items, those asked about are 0 … 2, got 3"),
        ({"size": 1, "items": 4, "asked": -1}, "got -1"),
        ({"size": 1, "items": 4, "asked": True}, "got True"),
        ({"size": 1, "items": 4, "asked": 1.0}, "got 1.0"),
    ],
)
def test_bad_batches_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RecallTask().batch(np.random.default_rng(0), **arguments)
