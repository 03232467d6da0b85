"""The algorithmic tasks of the Neural Turing Machine: sequences of random bit vectors and what is asked about them.

Only NumPy here: a task is data, drawn on the host from an explicit generator, and knows no model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy
import numpy.typing

Floats = numpy.typing.NDArray[numpy.float32]


@dataclass(frozen=True)
class Episode:
    """A batch of sequences of equal length, time first."""

    inputs: Floats  # (time, batch, X)
    targets: Floats  # (time, batch, Y), bits; zero where nothing is asked
    mask: Floats  # (time, batch), 1 where the output counts

    @property
    def target_bits(self) -> int:
        """How many bits are asked for in one sequence: the loss of an ignorant model in bits."""
        return int(self.mask[:, 0].sum()) * int(self.targets.shape[2])


@dataclass(frozen=True)
class CopyTask:
    """Copy: vectors of random bits, a delimiter on its own channel, then silence in which the vectors must be recalled.

    With L vectors an episode has 2 L + 1 steps: L inputs, the delimiter, L answers (Graves et al. 2014, section 4.1).
    """

    bits: int = 8
    """bits of one vector"""
    shortest: int = 1
    """shortest sequence drawn"""
    longest: int = 20
    """longest sequence drawn"""

    def __post_init__(self) -> None:
        whole = all(type(size) is int for size in (self.bits, self.shortest, self.longest))
        if not whole or self.bits < 1 or not 1 <= self.shortest <= self.longest:
            raise ValueError(f"copy needs whole numbers, bits >= 1 and 1 <= shortest <= longest, got {self}")

    @property
    def inputs(self) -> int:
        """Length of an input vector: the bits and the delimiter's channel."""
        return self.bits + 1

    @property
    def outputs(self) -> int:
        """Length of an output vector."""
        return self.bits

    def batch(self, rng: numpy.random.Generator, size: int, length: int | None = None) -> Episode:
        """`size` random sequences of one length, drawn uniformly from shortest … longest unless given."""
        if size < 1 or (length is not None and length < 1):
            raise ValueError(f"copy: a batch needs at least one sequence of at least one vector, got size {size}, length {length}")
        if length is None:
            length = int(rng.integers(self.shortest, self.longest + 1))
        vectors = rng.integers(0, 2, size=(length, size, self.bits)).astype(numpy.float32)
        inputs = numpy.zeros((2 * length + 1, size, self.inputs), numpy.float32)
        inputs[:length, :, : self.bits] = vectors
        inputs[length, :, self.bits] = 1.0
        targets = numpy.zeros((2 * length + 1, size, self.bits), numpy.float32)
        targets[length + 1 :] = vectors
        mask = numpy.zeros((2 * length + 1, size), numpy.float32)
        mask[length + 1 :] = 1.0
        return Episode(inputs, targets, mask)
