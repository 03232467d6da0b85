"""Priority sort, against its own definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymem.tasks.algorithms import SortTask


@st.composite
def tasks(draw):
    vectors = draw(st.integers(1, 9))
    return SortTask(draw(st.integers(1, 9)), vectors, draw(st.integers(1, vectors)))


@given(task=tasks(), size=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_the_vectors_of_highest_priority_are_asked_for_whole_and_in_order(task, size, seed):
    episode = task.batch(np.random.default_rng(seed), size)
    for lane in range(size):
        said = [(float(row[task.bits]), row[: task.bits].tolist()) for row in episode.inputs[: task.vectors, lane]]
        highest_first = sorted(said, key=lambda pair: -pair[0])  # Python's own sort, of whole rows
        asked = episode.targets[task.vectors + 1 :, lane].tolist()
        assert asked == [vector for _, vector in highest_first[: task.asked]]


@given(task=tasks(), size=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_what_stands_where_in_an_episode(task, size, seed):
    episode = task.batch(np.random.default_rng(seed), size)
    steps, n, bits = task.vectors + 1 + task.asked, task.vectors, task.bits
    assert episode.inputs.shape == (steps, size, bits + 2) == (steps, size, task.inputs)
    assert episode.targets.shape == (steps, size, bits) == (steps, size, task.outputs)
    assert set(np.unique(episode.inputs[:n, :, :bits])) <= {0.0, 1.0}
    assert (abs(episode.inputs[:n, :, bits]) <= 1).all()
    assert ((np.arange(steps) == n) == episode.inputs[..., bits + 1].T).all()  # the delimiter: once, on its own channel
    assert not episode.inputs[n, :, : bits + 1].any()
    assert not episode.inputs[n + 1 :].any()
    assert not episode.targets[: n + 1].any()
    assert ((np.arange(steps) > n) == episode.mask.T).all()
    assert episode.target_bits == task.asked * bits
    assert {episode.inputs.dtype, episode.targets.dtype, episode.mask.dtype} == {np.dtype(np.float32)}


def test_rows_are_sorted_not_columns():
    """Sorting each channel by itself would keep how many ones a column has, and lose the vectors."""
    task = SortTask(bits=8, vectors=8, asked=8)
    episode = task.batch(np.random.default_rng(0), 200)
    vectors, answers = episode.inputs[:8, :, :8], episode.targets[9:]
    rows = [sorted(map(bytes, lane.astype(np.uint8))) for lane in vectors.swapaxes(0, 1)]
    assert rows == [sorted(map(bytes, lane.astype(np.uint8))) for lane in answers.swapaxes(0, 1)]
    by_column = -np.sort(-vectors, axis=0)
    assert (by_column != answers).any((0, 2)).all()  # in every one of the sequences
    assert abs(vectors[0].mean() - answers[0].mean()) < 0.05  # the first answer has as many ones as any vector


def test_the_papers_sizes_ask_for_16_of_20():
    episode = SortTask().batch(np.random.default_rng(0), 1)
    assert (len(episode.inputs), SortTask().inputs, SortTask().outputs, episode.target_bits) == (37, 10, 8, 128)


def test_priorities_are_uniform_know_nothing_of_the_bits_and_are_seeded():
    task = SortTask(bits=8, vectors=10, asked=10)
    episode = task.batch(np.random.default_rng(1), 1000)
    priorities, vectors = episode.inputs[:10, :, 8], episode.inputs[:10, :, :8]
    share = np.histogram(priorities, np.linspace(-1, 1, 11))[0] / priorities.size
    assert share == pytest.approx(0.1, abs=0.012)  # four standard deviations of 10,000 draws
    assert vectors.mean() == pytest.approx(0.5, abs=0.008)
    for channel in range(8):
        assert abs(np.corrcoef(priorities.ravel(), vectors[..., channel].ravel())[0, 1]) < 0.04
    places = (priorities == priorities.max(0)).argmax(0)  # where the highest one stands
    assert np.bincount(places, minlength=10) == pytest.approx(100, abs=38)
    one, two = (task.batch(np.random.default_rng(5), 3) for _ in range(2))
    np.testing.assert_array_equal(one.inputs, two.inputs)
    np.testing.assert_array_equal(one.targets, two.targets)


@pytest.mark.parametrize(
    "sizes", [{"bits": 0}, {"vectors": 0}, {"asked": 0}, {"vectors": 8.0, "asked": 8}, {"vectors": 8, "asked": 9}, {"bits": True}]
)
def test_impossible_tasks_are_refused(sizes):
    with pytest.raises(ValueError, match=r"priority sort needs whole numbers, each at least 1.* got SortTask\("):
        SortTask(**sizes)


@pytest.mark.parametrize("size", [0, -1, 2.0, None])
def test_empty_batches_are_refused(size):
    with pytest.raises(ValueError, match=f"priority sort: a batch needs at least one sequence, got size {size!r}"):
        SortTask().batch(np.random.default_rng(0), size)
