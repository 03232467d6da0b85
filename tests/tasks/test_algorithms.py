"""The copy task, against its own definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymem.tasks.algorithms import CopyTask


@given(bits=st.integers(1, 9), longest=st.integers(1, 12), size=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_what_goes_in_before_the_delimiter_is_asked_after_it(bits, longest, size, seed):
    task = CopyTask(bits=bits, longest=longest)
    episode = task.batch(np.random.default_rng(seed), size)
    steps = len(episode.inputs)
    length = (steps - 1) // 2
    assert steps == 2 * length + 1
    assert 1 <= length <= longest
    assert episode.inputs.shape == (steps, size, task.inputs)
    assert ((np.arange(steps) == length) == episode.inputs[..., bits].T).all()  # the delimiter: once, on its own channel
    np.testing.assert_array_equal(episode.targets[length + 1 :], episode.inputs[:length, :, :bits])
    assert not episode.inputs[length + 1 :].any()
    assert ((np.arange(steps) > length) == episode.mask.T).all()
    assert set(np.unique(episode.inputs)) <= {0.0, 1.0}
    assert episode.target_bits == length * bits
    assert {episode.inputs.dtype, episode.targets.dtype, episode.mask.dtype} == {np.dtype(np.float32)}


def test_lengths_and_bits_are_uniform_and_seeded():
    rng = np.random.default_rng(0)
    lengths = [len(CopyTask().batch(rng, 1).inputs) // 2 for _ in range(2000)]
    assert set(lengths) == set(range(1, 21))
    assert abs(np.mean(lengths) - 10.5) < 0.5
    one, two = (CopyTask().batch(np.random.default_rng(5), 3).inputs for _ in range(2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("sizes", [{"bits": 0}, {"longest": 6.5}, {"shortest": 0}, {"shortest": 5, "longest": 4}])
def test_impossible_tasks_are_refused(sizes):
    with pytest.raises(ValueError, match="copy needs"):
        CopyTask(**sizes)


@pytest.mark.parametrize(("size", "length"), [(0, None), (1, 0)])
def test_empty_batches_are_refused(size, length):
    with pytest.raises(ValueError, match="at least"):
        CopyTask().batch(np.random.default_rng(0), size, length)
