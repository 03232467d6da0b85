"""Dynamic N-grams: predict the next bit of a source whose table of probabilities is drawn anew for each sequence.

Here the best that anybody can do is known: the Bayes estimator, which counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy
import numpy.typing

from tinymem.tasks.algorithms import Episode, Floats, require_size

Integers = numpy.typing.NDArray[numpy.int64]


@dataclass(frozen=True)
class NGramTask:
    """The next bit depends on the last five, by a table of 32 probabilities from Beta(1/2, 1/2) (Graves et al. 2014, section 4.4).

    Step t shows bit t - 1 (the first step nothing, a 0) and asks for bit t.  The first `context` bits are fair coins: they are
    asked for as well, one bit each, for the paper's 131.6 bits hold them.  An episode has `length` steps.
    """

    context: int = 5
    """bits on which the next one depends"""
    length: int = 200
    """bits of a sequence"""

    def __post_init__(self) -> None:
        if any(type(count) is not int or count < 1 for count in (self.context, self.length)) or self.length <= self.context:
            raise ValueError(f"N-grams need whole numbers with 1 <= context < length, got {self}")

    @property
    def inputs(self) -> int:
        """Length of an input vector: the bit."""
        return 1

    @property
    def outputs(self) -> int:
        """Length of an output vector: the next bit."""
        return 1

    def batch(self, rng: numpy.random.Generator, size: int) -> Episode:
        """`size` random sequences, each from a table of its own."""
        require_size("N-grams", size)
        table = rng.beta(0.5, 0.5, size=(size, 2**self.context))
        bits = numpy.empty((self.length, size), numpy.int64)
        bits[: self.context] = rng.integers(0, 2, size=(self.context, size))
        uniform, lanes = rng.random((self.length, size)), numpy.arange(size)
        seen = self.contexts(bits[: self.context + 1])[0]  # (size,), which row of the table
        for t in range(self.context, self.length):
            bits[t] = uniform[t] < table[lanes, seen]
            seen = (2 * seen + bits[t]) % 2**self.context
        targets = bits[:, :, None].astype(numpy.float32)
        inputs = numpy.concatenate([numpy.zeros_like(targets[:1]), targets[:-1]])
        return Episode(inputs, targets, numpy.ones((self.length, size), numpy.float32))

    def contexts(self, bits: numpy.typing.ArrayLike) -> Integers:
        """The number of the context of every bit but the first ones, oldest bit first: (length, size) -> (length - context, size)."""
        whole = numpy.asarray(bits, numpy.int64)
        windows = numpy.lib.stride_tricks.sliding_window_view(whole[:-1], self.context, axis=0)  # (length - context, size, context)
        return windows @ (1 << numpy.arange(self.context)[::-1])

    def optimum(self, episode: Episode) -> Floats:
        """The Bayes estimator's probability of a 1, (time, size): (N1 + 1/2) / (N1 + N0 + 1) of the counts in this context so far.

        1/2 for the first `context` bits.  Source: Murphy 2012, as given in the paper's section 4.4.
        """
        bits = episode.targets[:, :, 0].astype(numpy.int64)
        counts = numpy.zeros((bits.shape[1], 2**self.context, 2))
        lanes = numpy.arange(bits.shape[1])
        probability = numpy.full(bits.shape, 0.5, numpy.float32)
        for t, seen in enumerate(self.contexts(bits), start=self.context):
            zeros, ones = counts[lanes, seen].T
            probability[t] = (ones + 0.5) / (zeros + ones + 1)
            counts[lanes, seen, bits[t]] += 1
        return probability
