"""The repeat copy task, against its own definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymem.tasks.algorithms import RepeatCopyTask


@st.composite
def tasks(draw):
    longest, most = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    return RepeatCopyTask(draw(st.integers(1, 9)), draw(st.integers(1, longest)), longest, draw(st.integers(1, most)), most)


@given(task=tasks(), size=st.integers(1, 4), length=st.integers(1, 9), repeats=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
def test_the_vectors_are_asked_for_as_often_as_said_and_then_an_end(task, size, length, repeats, seed):
    episode = task.batch(np.random.default_rng(seed), size, length, repeats)  # also beyond what the task draws
    bits, steps = task.bits, length + 1 + length * repeats + 1
    assert episode.inputs.shape == (steps, size, bits + 2) == (steps, size, task.inputs)
    assert episode.targets.shape == (steps, size, bits + 1) == (steps, size, task.outputs)
    vectors = episode.inputs[:length, :, :bits]
    assert set(np.unique(vectors)) <= {0.0, 1.0}
    for repeat in range(repeats):
        start = length + 1 + repeat * length
        np.testing.assert_array_equal(episode.targets[start : start + length, :, :bits], vectors)
    assert ((np.arange(steps) == steps - 1) == episode.targets[..., bits].T).all()  # the end marker: once, last, on its own channel
    assert not episode.targets[-1, :, :bits].any()
    assert not episode.targets[: length + 1].any()
    assert ((np.arange(steps) > length) == episode.mask.T).all()
    assert episode.target_bits == (length * repeats + 1) * (bits + 1)
    assert {episode.inputs.dtype, episode.targets.dtype, episode.mask.dtype} == {np.dtype(np.float32)}


@given(task=tasks(), length=st.integers(1, 5), repeats=st.integers(1, 9))
def test_the_delimiter_and_the_count_come_once_and_then_there_is_silence(task, length, repeats):
    episode = task.batch(np.random.default_rng(0), 2, length, repeats)
    asked = episode.inputs[length]
    assert not asked[:, : task.bits].any()
    assert (asked[:, task.bits] == 1).all()
    assert asked[:, task.bits + 1] == pytest.approx(task.normalised(repeats))
    assert not episode.inputs[:length, :, task.bits :].any()
    assert not episode.inputs[length + 1 :].any()


@given(fewest=st.integers(1, 20), more=st.integers(1, 20))
def test_the_count_has_mean_0_and_variance_1_over_the_training_range_and_goes_on_beyond(fewest, more):
    task = RepeatCopyTask(fewest=fewest, most=fewest + more)
    seen = [task.normalised(repeats) for repeats in range(fewest, fewest + more + 1)]
    assert np.mean(seen) == pytest.approx(0, abs=1e-12)
    assert np.var(seen) == pytest.approx(1)
    steps = np.diff([*seen, task.normalised(fewest + more + 1)])
    assert (steps > 0).all()
    assert np.ptp(steps) == pytest.approx(0, abs=1e-9)


def test_a_task_with_one_number_of_repeats_says_zero():
    assert RepeatCopyTask(fewest=4, most=4).normalised(4) == 0


@given(task=tasks(), seed=st.integers(0, 2**32 - 1))
def test_what_is_drawn_lies_in_the_tasks_ranges(task, seed):
    episode = task.batch(np.random.default_rng(seed), 1)
    length = int(episode.inputs[:, 0, task.bits].argmax())
    repeats, rest = divmod(int(episode.mask.sum()) - 1, length)
    assert rest == 0
    assert task.shortest <= length <= task.longest
    assert task.fewest <= repeats <= task.most
    assert episode.inputs[length, 0, -1] == pytest.approx(task.normalised(repeats))


def test_lengths_and_repeats_are_uniform_independent_and_seeded():
    task, rng = RepeatCopyTask(), np.random.default_rng(0)
    lengths, repeats = np.empty(4000), np.empty(4000)
    for index in range(len(lengths)):
        episode = task.batch(rng, 1)
        lengths[index] = episode.inputs[:, 0, task.bits].argmax()
        repeats[index] = (episode.mask.sum() - 1) / lengths[index]
    for drawn in (lengths, repeats):
        assert set(drawn) == set(range(1, 11))
        assert np.histogram(drawn, range(1, 12))[0] == pytest.approx(400, abs=80)  # four standard deviations
    assert abs(np.corrcoef(lengths, repeats)[0, 1]) < 0.06
    one, two = (task.batch(np.random.default_rng(5), 3) for _ in range(2))
    np.testing.assert_array_equal(one.inputs, two.inputs)
    np.testing.assert_array_equal(one.targets, two.targets)


def test_sequences_of_a_batch_are_different():
    vectors = RepeatCopyTask().batch(np.random.default_rng(0), 8, 10, 1).inputs[:10, :, :8]
    assert len(np.unique(vectors.swapaxes(0, 1), axis=0)) == 8


@pytest.mark.parametrize(
    "sizes",
    [
        {"bits": 0},
        {"longest": 6.5},
        {"shortest": 0},
        {"shortest": 5, "longest": 4},
        {"fewest": 0},
        {"fewest": 3, "most": 2},
        {"most": True},
    ],
)
def test_impossible_tasks_are_refused(sizes):
    with pytest.raises(ValueError, match=r"repeat copy needs whole numbers, each at least 1.* got RepeatCopyTask\("):
        RepeatCopyTask(**sizes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "repeat copy: a batch needs at least one sequence, got size 0"),
        ({"size": 1, "length": 0}, "repeat copy: the length must be a whole number, at least 1, got 0"),
        ({"size": 1, "length": 2.0}, "repeat copy: the length must be a whole number, at least 1, got 2.0"),
        ({"size": 1, "repeats": 0}, "repeat copy: the number of repeats must be a whole number, at least 1, got 0"),
        ({"size": 1, "repeats": "3"}, "repeat copy: the number of repeats must be a whole number, at least 1, got '3'"),
    ],
)
def test_impossible_batches_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RepeatCopyTask().batch(np.random.default_rng(0), **arguments)
