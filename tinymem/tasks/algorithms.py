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


def _silence(time: int, size: int, inputs: int, outputs: int) -> Episode:
    """An episode in which nothing is said and nothing asked, to be filled in."""
    shapes = (time, size, inputs), (time, size, outputs), (time, size)
    return Episode(*(numpy.zeros(shape, numpy.float32) for shape in shapes))


def _vectors(rng: numpy.random.Generator, *shape: int) -> Floats:
    return rng.integers(0, 2, size=shape).astype(numpy.float32)


def _require_range(task: str, described: object, least: int, most: int, *counts: int) -> None:
    """A task draws a whole number in least … most; its other sizes are whole numbers, at least 1."""
    if any(type(count) is not int or count < 1 for count in (least, most, *counts)) or least > most:
        raise ValueError(f"{task} needs whole numbers, each at least 1, and its smallest size at most its largest, got {described}")


def _drawn(task: str, what: str, rng: numpy.random.Generator, given: int | None, least: int, most: int, smallest: int = 1) -> int:
    """`given`, or a number in least … most."""
    if given is None:
        return int(rng.integers(least, most + 1))
    if type(given) is not int or given < smallest:
        raise ValueError(f"{task}: {what} must be a whole number, at least {smallest}, got {given!r}")
    return given


def require_size(task: str, size: int) -> None:
    if type(size) is not int or size < 1:
        raise ValueError(f"{task}: a batch needs at least one sequence, got size {size!r}")


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
        _require_range("copy", self, self.shortest, self.longest, self.bits)

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
        require_size("copy", size)
        length = _drawn("copy", "the length", rng, length, self.shortest, self.longest)
        vectors = _vectors(rng, length, size, self.bits)
        episode = _silence(2 * length + 1, size, self.inputs, self.outputs)
        episode.inputs[:length, :, : self.bits] = vectors
        episode.inputs[length, :, self.bits] = 1.0
        episode.targets[length + 1 :] = vectors
        episode.mask[length + 1 :] = 1.0
        return episode


@dataclass(frozen=True)
class RepeatCopyTask:
    """Repeat copy: vectors, then how often they must be written, then an end marker on an output channel of its own.

    With L vectors and R repeats an episode has L + 1 + L R + 1 steps.  The number of repeats is normalised to mean 0 and
    variance 1 over the training range; a delimiter stands beside it, for the mean itself would be silence
    (Graves et al. 2014, section 4.2).
    """

    bits: int = 8
    """bits of one vector"""
    shortest: int = 1
    """fewest vectors drawn"""
    longest: int = 10
    """most vectors drawn"""
    fewest: int = 1
    """fewest repeats drawn"""
    most: int = 10
    """most repeats drawn"""

    def __post_init__(self) -> None:
        _require_range("repeat copy", self, self.shortest, self.longest, self.bits)
        _require_range("repeat copy", self, self.fewest, self.most)

    @property
    def inputs(self) -> int:
        """Length of an input vector: the bits, the delimiter, the number of repeats."""
        return self.bits + 2

    @property
    def outputs(self) -> int:
        """Length of an output vector: the bits and the end marker."""
        return self.bits + 1

    def normalised(self, repeats: int) -> float:
        """The number of repeats as the machine sees it: uniform on fewest … most has mean 0 and variance 1."""
        deviation: float = (((self.most - self.fewest + 1) ** 2 - 1) / 12) ** 0.5
        return (repeats - (self.fewest + self.most) / 2) / (deviation or 1.0)

    def batch(self, rng: numpy.random.Generator, size: int, length: int | None = None, repeats: int | None = None) -> Episode:
        """`size` random sequences of one length, all to be repeated equally often; both are drawn uniformly unless given."""
        require_size("repeat copy", size)
        length = _drawn("repeat copy", "the length", rng, length, self.shortest, self.longest)
        repeats = _drawn("repeat copy", "the number of repeats", rng, repeats, self.fewest, self.most)
        vectors = _vectors(rng, length, size, self.bits)
        episode = _silence(length + 1 + length * repeats + 1, size, self.inputs, self.outputs)
        episode.inputs[:length, :, : self.bits] = vectors
        episode.inputs[length, :, self.bits :] = 1.0, self.normalised(repeats)
        episode.targets[length + 1 : -1, :, : self.bits] = numpy.tile(vectors, (repeats, 1, 1))
        episode.targets[-1, :, self.bits] = 1.0
        episode.mask[length + 1 :] = 1.0
        return episode


@dataclass(frozen=True)
class RecallTask:
    """Associative recall: items, then one of them again as a query; the answer is the item that came after it.

    An item is a delimiter and then its vectors; the query stands between two delimiters of another channel.  With n items of
    V vectors an episode has n (V + 1) + (V + 2) + V steps (Graves et al. 2014, section 4.3).
    """

    bits: int = 6
    """bits of one vector"""
    vectors: int = 3
    """V, vectors of one item"""
    fewest: int = 2
    """fewest items drawn"""
    most: int = 6
    """most items drawn"""

    def __post_init__(self) -> None:
        _require_range("associative recall", self, self.fewest, self.most, self.bits, self.vectors)
        if self.fewest < 2:
            raise ValueError(f"associative recall needs at least 2 items: one to ask about and the one after it, got {self}")

    @property
    def inputs(self) -> int:
        """Length of an input vector: the bits, the delimiter of items, the delimiter of queries."""
        return self.bits + 2

    @property
    def outputs(self) -> int:
        """Length of an output vector."""
        return self.bits

    def item(self, number: int) -> slice:
        """The steps of the vectors of item `number`, counted from 0."""
        start = number * (self.vectors + 1) + 1
        return slice(start, start + self.vectors)

    def query(self, items: int) -> slice:
        """The steps of the query's vectors after so many items."""
        return self.item(items)

    def answer(self, items: int) -> slice:
        """The steps of the answer after so many items."""
        start = self.query(items).stop + 1
        return slice(start, start + self.vectors)

    def batch(self, rng: numpy.random.Generator, size: int, items: int | None = None, asked: int | None = None) -> Episode:
        """`size` sequences of equally many items, drawn unless given; asked about is a random item (or `asked`), never the last."""
        require_size("associative recall", size)
        items = _drawn("associative recall", "the number of items", rng, items, self.fewest, self.most, smallest=2)
        if asked is not None and not (type(asked) is int and 0 <= asked < items - 1):
            raise ValueError(f"associative recall: of {items} items, those asked about are 0 … {items - 2}, got {asked!r}")
        drawn = _vectors(rng, items, self.vectors, size, self.bits)
        about = rng.integers(0, items - 1, size) if asked is None else numpy.full(size, asked)
        lanes = numpy.arange(size)
        query, answer = self.query(items), self.answer(items)
        episode = _silence(answer.stop, size, self.inputs, self.outputs)
        for number in range(items):
            steps = self.item(number)
            episode.inputs[steps.start - 1, :, self.bits] = 1.0
            episode.inputs[steps, :, : self.bits] = drawn[number]
        episode.inputs[[query.start - 1, query.stop], :, self.bits + 1] = 1.0
        episode.inputs[query, :, : self.bits] = drawn[about, :, lanes].swapaxes(0, 1)
        episode.targets[answer] = drawn[about + 1, :, lanes].swapaxes(0, 1)
        episode.mask[answer] = 1.0
        return episode


@dataclass(frozen=True)
class SortTask:
    """Priority sort: vectors, each with a priority in [-1, 1]; asked for are the ones of highest priority, the highest first.

    Whole vectors are sorted, by their priority alone.  With n vectors, of which k are asked for, an episode has n + 1 + k
    steps (Graves et al. 2014, section 4.5).
    """

    bits: int = 8
    """bits of one vector"""
    vectors: int = 20
    """n, vectors of one sequence"""
    asked: int = 16
    """k, vectors asked for"""

    def __post_init__(self) -> None:
        _require_range("priority sort", self, self.asked, self.vectors, self.bits)

    @property
    def inputs(self) -> int:
        """Length of an input vector: the bits, the priority, the delimiter."""
        return self.bits + 2

    @property
    def outputs(self) -> int:
        """Length of an output vector."""
        return self.bits

    def batch(self, rng: numpy.random.Generator, size: int) -> Episode:
        """`size` random sequences."""
        require_size("priority sort", size)
        vectors = _vectors(rng, self.vectors, size, self.bits)
        priorities = rng.uniform(-1, 1, size=(self.vectors, size)).astype(numpy.float32)
        order = numpy.argsort(-priorities, axis=0, kind="stable")[: self.asked]  # (k, size)
        episode = _silence(self.vectors + 1 + self.asked, size, self.inputs, self.outputs)
        episode.inputs[: self.vectors, :, : self.bits] = vectors
        episode.inputs[: self.vectors, :, self.bits] = priorities
        episode.inputs[self.vectors, :, self.bits + 1] = 1.0
        episode.targets[self.vectors + 1 :] = vectors[order, numpy.arange(size)]
        episode.mask[self.vectors + 1 :] = 1.0
        return episode


@dataclass(frozen=True)
class CopySeriesTask:
    """Copy, again and again without a fresh memory: each sequence is asked for before the next one comes.

    A machine with fewer locations than vectors must free what it has read and use it again.  With S sequences of L vectors
    an episode has S (2 L + 1) steps (Graves et al. 2016, Extended Data Fig. 1).
    """

    bits: int = 6
    """bits of one vector"""
    length: int = 5
    """L, vectors of one sequence"""
    fewest: int = 1
    """fewest sequences drawn"""
    most: int = 4
    """most sequences drawn"""

    def __post_init__(self) -> None:
        _require_range("the copy of a series", self, self.fewest, self.most, self.bits, self.length)

    @property
    def inputs(self) -> int:
        """Length of an input vector: the bits and the delimiter."""
        return self.bits + 1

    @property
    def outputs(self) -> int:
        """Length of an output vector."""
        return self.bits

    def batch(self, rng: numpy.random.Generator, size: int, sequences: int | None = None) -> Episode:
        """`size` series of equally many sequences, drawn uniformly from fewest … most unless given."""
        require_size("the copy of a series", size)
        sequences = _drawn("the copy of a series", "the number of sequences", rng, sequences, self.fewest, self.most)
        one = CopyTask(self.bits, self.length, self.length)
        parts = [one.batch(rng, size) for _ in range(sequences)]
        return Episode(*(numpy.concatenate([getattr(part, name) for part in parts]) for name in ("inputs", "targets", "mask")))
