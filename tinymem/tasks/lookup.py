"""Looking up: a sequence of keys and values, in which a key that came before has the value that it had then.

"k v k v … k v", all words numbers of one vocabulary.  Which value a key has is drawn anew for each sequence, so it can only be looked
up in the sequence itself.  Only NumPy here: a task is data, drawn on the host from an explicit generator, and knows no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy
import numpy.typing

from tinymem.tasks.algorithms import Floats, require_size
from tinymem.tasks.characters import Numbers

Places = numpy.typing.NDArray[numpy.bool_]


@dataclass(frozen=True)
class Lookups:
    """A batch of sequences, time first."""

    words: Numbers  # (time, batch), keys at even places, values at odd ones
    targets: Numbers  # (time, batch), the word that follows; at the end the last word once more
    mask: Floats  # (time, batch), 1 at a key that came before: there the value is asked for

    @property
    def values(self) -> Places:
        """Where the values are, (time, batch)."""
        places = numpy.zeros(self.words.shape, bool)
        places[1::2] = True
        return places


@dataclass(frozen=True)
class LookupTask:
    """Keys 0 … keys - 1 and values keys … keys + values - 1, both drawn evenly and with repetition."""

    keys: int = 16
    """different keys"""
    values: int = 16
    """different values"""
    pairs: int = 16
    """pairs of a sequence"""

    def __post_init__(self) -> None:
        if any(type(count) is not int or count < 1 for count in (self.keys, self.values, self.pairs)) or self.pairs < 2:
            raise ValueError(f"looking up needs whole numbers, each at least 1, and at least 2 pairs, got {self}")

    @property
    def words(self) -> int:
        """Words of the vocabulary."""
        return self.keys + self.values

    def batch(self, rng: numpy.random.Generator, size: int) -> Lookups:
        """`size` random sequences of 2 · pairs words, each with values of its own for the keys."""
        require_size("looking up", size)
        value_of = rng.integers(self.keys, self.words, size=(self.keys, size))
        keys = rng.integers(0, self.keys, size=(self.pairs, size))
        words = numpy.empty((2 * self.pairs, size), numpy.int64)
        words[::2], words[1::2] = keys, value_of[keys, numpy.arange(size)]
        mask = numpy.zeros(words.shape, numpy.float32)
        mask[::2] = answers(words)[:, ::2].any(2).T
        return Lookups(words, numpy.concatenate([words[1:], words[-1:]]), mask)


# --- where a head has to look for this, of words (time, batch): (batch, time, time), from the row's place to the column's ---


def word_before(words: Any) -> Places:
    """The word before: what a previous-token head looks at."""
    time, batch = numpy.shape(words)
    return numpy.broadcast_to(numpy.eye(time, k=-1, dtype=bool), (batch, time, time))


def answers(words: Any) -> Places:
    """The words that came after the same word, earlier: what an induction head looks at (Elhage et al. 2021)."""
    rows = numpy.asarray(words).T  # (B, T)
    same = numpy.tril(rows[:, :, None] == rows[:, None], k=-1)
    after: Places = numpy.roll(same, 1, axis=2)  # the last column has no earlier word, so nothing comes round
    return after


def weight_on(weights: Any, places: Places, asked: Any) -> Floats:
    """Weights (batch, heads, time, time) of each head on `places` (batch, time, time): the mean over the `asked` (time, batch) words."""
    found = (numpy.asarray(weights) * places[:, None]).sum(3)  # (B, H, T)
    mean: Floats = numpy.moveaxis(found, 1, 2)[numpy.asarray(asked).T > 0].mean(0)
    return mean
