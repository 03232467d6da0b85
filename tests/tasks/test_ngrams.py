"""Dynamic N-grams and their Bayes optimum, against their own definitions."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymem.tasks.ngrams import NGramTask


@st.composite
def tasks(draw):
    context = draw(st.integers(1, 6))
    return NGramTask(context, context + draw(st.integers(1, 60)))


def bits_paid(probability, bits):
    """-log₂ of what was said about each bit, (time, batch)."""
    return -np.log2(np.where(bits > 0, probability, 1 - probability))


@given(task=tasks(), size=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_each_bit_is_asked_for_and_then_shown(task, size, seed):
    episode = task.batch(np.random.default_rng(seed), size)
    assert episode.inputs.shape == episode.targets.shape == (task.length, size, 1)
    assert (task.inputs, task.outputs, episode.target_bits) == (1, 1, task.length)
    assert not episode.inputs[0].any()  # nothing to see before the first bit
    np.testing.assert_array_equal(episode.inputs[1:], episode.targets[:-1])
    assert set(np.unique(episode.targets)) <= {0.0, 1.0}
    assert (episode.mask == 1).all()
    assert {episode.inputs.dtype, episode.targets.dtype, episode.mask.dtype} == {np.dtype(np.float32)}
    again = task.batch(np.random.default_rng(seed), size)
    np.testing.assert_array_equal(episode.targets, again.targets)


@given(task=tasks(), size=st.integers(1, 3), seed=st.integers(0, 2**32 - 1))
def test_the_optimum_is_what_counting_in_a_dictionary_says(task, size, seed):
    episode = task.batch(np.random.default_rng(seed), size)
    optimum = task.optimum(episode)
    assert optimum.shape == (task.length, size)
    assert optimum.dtype == np.float32
    for lane in range(size):
        bits = "".join(str(int(bit)) for bit in episode.targets[:, lane, 0])
        followed = Counter()
        for t in range(task.length):
            if t < task.context:
                assert optimum[t, lane] == 0.5
                continue
            before = bits[t - task.context : t]
            zeros, ones = followed[before, "0"], followed[before, "1"]
            assert optimum[t, lane] == pytest.approx((ones + 0.5) / (ones + zeros + 1))
            followed[before, bits[t]] += 1


@given(task=tasks(), seed=st.integers(0, 2**32 - 1))
def test_the_optimum_pays_the_marginal_likelihood_of_the_whole_sequence(task, seed):
    """The table integrated out: a Beta function for each context, and a bit for each of the first bits."""
    episode = task.batch(np.random.default_rng(seed), 1)
    paid = bits_paid(task.optimum(episode).astype(float), episode.targets[:, :, 0]).sum()

    def log_beta(a, b):
        return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)

    bits = "".join(str(int(bit)) for bit in episode.targets[:, 0, 0])
    ones, zeros = (
        Counter(bits[t - task.context : t] for t in range(task.context, task.length) if bits[t] == symbol) for symbol in ("1", "0")
    )
    contexts = {*ones, *zeros}
    nats = -sum(log_beta(ones[c] + 0.5, zeros[c] + 0.5) - log_beta(0.5, 0.5) for c in contexts)
    assert paid == pytest.approx(task.context + nats / math.log(2), rel=1e-4)


@given(task=tasks(), seed=st.integers(0, 2**32 - 1))
def test_contexts_are_the_bits_before_oldest_first(task, seed):
    bits = task.batch(np.random.default_rng(seed), 2).targets[:, :, 0]
    found = task.contexts(bits)
    assert found.shape == (task.length - task.context, 2)
    for row, lane in np.ndindex(found.shape):
        written = "".join(str(int(bit)) for bit in bits[row : row + task.context, lane])
        assert found[row, lane] == int(written, 2)


def test_the_optimum_costs_133_bits_and_so_leaves_67_to_learn():
    """Another program's simulation gave 133.16 ± 0.25 bits; the paper draws 131.6, of its own 1,000 sequences, uncertain by 1.1."""
    task = NGramTask()
    episode = task.batch(np.random.default_rng(0), 20_000)
    paid = bits_paid(task.optimum(episode), episode.targets[:, :, 0]).sum(0)
    error = paid.std() / math.sqrt(len(paid))
    assert error < 0.3
    assert abs(paid.mean() - 133.16) < 3 * math.hypot(error, 0.25)
    assert abs(paid.mean() - 131.6) < 3 * math.hypot(error, paid.std() / math.sqrt(1000))


def test_nobody_who_counts_otherwise_is_better():
    """Other pseudo-counts, shorter memories, counts over all contexts: all pay more on average."""
    task = NGramTask()
    episode = task.batch(np.random.default_rng(1), 2000)
    bits = episode.targets[:, :, 0]
    best = bits_paid(task.optimum(episode), bits).sum(0)
    rivals = {f"{context} bits of context": NGramTask(context, 200).optimum(episode) for context in (3, 4, 6)}
    for pseudo in (0.25, 1.0):
        rivals[f"pseudo-count {pseudo}"] = probability = np.full(bits.shape, 0.5)
        counts = np.zeros((2000, 32, 2))
        lanes = np.arange(2000)
        for t, seen in enumerate(task.contexts(bits), start=5):
            zeros, ones = counts[lanes, seen].T
            probability[t] = (ones + pseudo) / (zeros + ones + 2 * pseudo)
            counts[lanes, seen, bits[t].astype(int)] += 1
    for name, probability in rivals.items():
        more = bits_paid(probability, bits).sum(0) - best
        assert more.mean() > 4 * more.std() / math.sqrt(2000), name


def test_the_source_is_calibrated():
    """Whenever the optimum says p, a share p of the bits is 1: true of a table from Beta(1/2, 1/2) and of no other."""
    task = NGramTask()
    episode = task.batch(np.random.default_rng(2), 3000)
    said, bits = task.optimum(episode), episode.targets[:, :, 0]
    for value in (0.25, 0.75, 1 / 6, 5 / 6, 0.5):  # after one visit, after two alike, at the start
        here = np.isclose(said, value)
        assert here.sum() > 1000
        assert abs(bits[here].mean() - value) < 4 * math.sqrt(value * (1 - value) / here.sum())


@pytest.mark.parametrize("sizes", [{"context": 0}, {"length": 5}, {"length": 200.0}, {"context": True}])
def test_impossible_tasks_are_refused(sizes):
    with pytest.raises(ValueError, match=r"N-grams need whole numbers with 1 <= context < length, got NGramTask\("):
        NGramTask(**sizes)


@pytest.mark.parametrize("size", [0, 1.5])
def test_empty_batches_are_refused(size):
    with pytest.raises(ValueError, match=f"N-grams: a batch needs at least one sequence, got size {size}"):
        NGramTask().batch(np.random.default_rng(0), size)
