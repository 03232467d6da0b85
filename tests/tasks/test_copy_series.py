"""The copy of a series, against its own definition: copies in a row, and nothing between them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymem.tasks.algorithms import CopySeriesTask


@st.composite
def tasks(draw):
    most = draw(st.integers(1, 6))
    return CopySeriesTask(draw(st.integers(1, 9)), draw(st.integers(1, 6)), draw(st.integers(1, most)), most)


@given(task=tasks(), size=st.integers(1, 4), sequences=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
def test_each_sequence_is_asked_for_before_the_next_one_comes(task, size, sequences, seed):
    episode = task.batch(np.random.default_rng(seed), size, sequences)  # also beyond what the task draws
    bits, length = task.bits, task.length
    one = 2 * length + 1
    assert episode.inputs.shape == (sequences * one, size, bits + 1) == (sequences * one, size, task.inputs)
    assert episode.targets.shape == (sequences * one, size, bits) == (sequences * one, size, task.outputs)
    assert episode.mask.shape == (sequences * one, size)
    for start in range(0, sequences * one, one):
        vectors, turn, answers = slice(start, start + length), start + length, slice(start + length + 1, start + one)
        np.testing.assert_array_equal(episode.targets[answers], episode.inputs[vectors, :, :bits])
        np.testing.assert_array_equal(episode.inputs[turn], np.eye(bits + 1)[[bits] * size])  # the delimiter, alone
        assert not episode.inputs[vectors, :, bits].any()
        assert not episode.inputs[answers].any()
        assert not episode.targets[start : turn + 1].any()
        assert not episode.mask[start : turn + 1].any()
        assert episode.mask[answers].all()
    assert set(np.unique(episode.inputs)) <= {0.0, 1.0}
    assert set(np.unique(episode.mask)) == {0.0, 1.0}
    assert episode.target_bits == sequences * length * bits
    assert {episode.inputs.dtype, episode.targets.dtype, episode.mask.dtype} == {np.dtype(np.float32)}


@given(task=tasks(), seed=st.integers(0, 2**32 - 1))
def test_what_is_drawn_lies_in_the_tasks_range(task, seed):
    episode = task.batch(np.random.default_rng(seed), 2)
    assert task.fewest <= episode.inputs[:, 0, task.bits].sum() <= task.most
    np.testing.assert_array_equal(episode.inputs[..., task.bits].sum(0), [len(episode.inputs) / (2 * task.length + 1)] * 2)


def test_the_number_of_sequences_and_the_bits_are_uniform_and_seeded():
    task, rng = CopySeriesTask(), np.random.default_rng(0)
    episodes = [task.batch(rng, 1) for _ in range(2000)]
    counts = np.bincount([int(episode.inputs[:, 0, task.bits].sum()) for episode in episodes])
    assert counts[0] == 0
    assert counts[1:] == pytest.approx([500] * 4, abs=80)  # four standard deviations
    assert np.mean(np.concatenate([episode.targets[episode.mask > 0] for episode in episodes])) == pytest.approx(0.5, abs=0.01)
    one, two = (task.batch(np.random.default_rng(5), 3) for _ in range(2))
    np.testing.assert_array_equal(one.inputs, two.inputs)
    np.testing.assert_array_equal(one.targets, two.targets)


def test_the_sequences_of_a_series_and_of_a_batch_are_different():
    answers = CopySeriesTask(bits=8, length=8).batch(np.random.default_rng(0), 4, 5)
    asked = answers.targets[answers.mask[:, 0] > 0].reshape(5, 8, 4, 8).transpose(0, 2, 1, 3).reshape(20, 64)
    assert len(np.unique(asked, axis=0)) == 20


@pytest.mark.parametrize(
    "sizes",
    [{"bits": 0}, {"length": 0}, {"length": 2.5}, {"fewest": 0}, {"fewest": 5, "most": 4}, {"most": 2.0}, {"length": True}],
)
def test_impossible_tasks_are_refused(sizes):
    with pytest.raises(ValueError, match=r"the copy of a series needs whole numbers, each at least 1.* got CopySeriesTask\("):
        CopySeriesTask(**sizes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "the copy of a series: a batch needs at least one sequence, got size 0"),
        ({"size": 2.0}, "the copy of a series: a batch needs at least one sequence, got size 2.0"),
        ({"size": 1, "sequences": 0}, "the copy of a series: the number of sequences must be a whole number, at least 1, got 0"),
        ({"size": 1, "sequences": 1.5}, "the copy of a series: the number of sequences must be a whole number, at least 1, got 1.5"),
    ],
)
def test_impossible_batches_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        CopySeriesTask().batch(np.random.default_rng(0), **arguments)
