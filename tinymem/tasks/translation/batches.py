"""Pairs side by side: arrays of numbers, time first, filled up to a common length, with masks that say what is real.

Sentences of about the same length go together, so that little is filled up; the lengths are rounded up and every batch has the same
size, so that a compiled step meets few shapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy

from tinymem.tasks.characters import Floats, Numbers
from tinymem.tasks.translation.pairs import Pair
from tinymem.tasks.translation.words import BEGIN, END, PADDING, Vocabulary

ROUND_TO = 4
POOL = 50  # batches that are sorted by length together; more would mix lengths, and so batches, less


@dataclass(frozen=True)
class PairBatch:
    """Pairs as numbers.  Behind the columns that are pairs may come empty sentences, of which nothing is asked."""

    source: Numbers  # (source time, batch), the words and <end>
    source_mask: Floats  # (source time, batch), 1 at the words and at <end>
    target_in: Numbers  # (target time, batch), <begin> and the words: what the decoder has written so far
    target_out: Numbers  # (target time, batch), the words and <end>: what it is asked for
    target_mask: Floats  # (target time, batch), 1 where something is asked


def _columns(rows: Sequence[Numbers], size: int, round_to: int) -> tuple[Numbers, Floats]:
    """Numbers side by side as columns, (time, size), and where they are; time is rounded up."""
    time = -(-max(map(len, rows)) // round_to) * round_to
    numbers = numpy.full((time, size), PADDING, numpy.int64)
    mask = numpy.zeros((time, size), numpy.float32)
    for column, row in enumerate(rows):
        numbers[: len(row), column] = row
        mask[: len(row), column] = 1.0
    return numbers, mask


def _ended(sentences: Sequence[Sequence[str]], vocabulary: Vocabulary) -> list[Numbers]:
    return [numpy.append(vocabulary.encode(sentence), END) for sentence in sentences]


def sources_of(
    sentences: Sequence[Sequence[str]], vocabulary: Vocabulary, size: int | None = None, round_to: int = ROUND_TO
) -> tuple[Numbers, Floats]:
    """Sentences to be translated as the `source` and `source_mask` of a batch; see `batch_of`."""
    size = len(sentences) if size is None else size
    if not sentences or type(size) is not int or size < len(sentences):
        raise ValueError(f"a batch needs at least one sentence and room for all: got {len(sentences)} for size {size!r}")
    if type(round_to) is not int or round_to < 1:
        raise ValueError(f"round_to is a whole number of at least 1, got {round_to!r}")
    if not all(sentences):
        raise ValueError("there is nothing to read: each sentence needs at least one word")
    # an empty column has its <end> to attend to: a weighting over no place at all is not a number
    empty = [numpy.array([END])] * (size - len(sentences))
    return _columns(_ended(sentences, vocabulary) + empty, size, round_to)


def batch_of(
    pairs: Sequence[Pair], vocabularies: tuple[Vocabulary, Vocabulary], size: int | None = None, round_to: int = ROUND_TO
) -> PairBatch:
    """The pairs as arrays, filled up with empty sentences to `size` columns (as many as pairs if it is not given).

    `vocabularies` are those of the source and of the target; both lengths, `<end>` included, are rounded up to multiples of `round_to`.
    """
    source, source_mask = sources_of([pair.source for pair in pairs], vocabularies[0], size, round_to)
    target_out, target_mask = _columns(_ended([pair.target for pair in pairs], vocabularies[1]), source.shape[1], round_to)
    target_in = numpy.roll(numpy.where(target_out == END, PADDING, target_out), 1, 0)
    target_in[0] = BEGIN  # where the last row came round; it is no word's: a column ends in <end> or in padding
    return PairBatch(source, source_mask, target_in, target_out, target_mask)


def epoch(
    pairs: Sequence[Pair], size: int, rng: numpy.random.Generator | None = None, round_to: int = ROUND_TO, pool: int = POOL
) -> list[Numbers]:
    """Each pair once: the places of those that form a batch, for every batch.  All have `size` places but the last of a sorted pool.

    With `rng` the pairs are shuffled, those of `pool` batches sorted by length, and the batches shuffled; without it all pairs are sorted
    by length, to be measured.
    """
    if not pairs or any(type(count) is not int or count < 1 for count in (size, round_to, pool)):
        raise ValueError(
            f"an epoch needs pairs, got {len(pairs)}, and size, round_to and pool are whole numbers of at least 1, "
            f"got {size!r}, {round_to!r} and {pool!r}"
        )
    source, target = numpy.array([(len(pair.source), len(pair.target)) for pair in pairs]).T
    order = numpy.arange(len(pairs)) if rng is None else rng.permutation(len(pairs))
    together = len(pairs) if rng is None else pool * size
    plan: list[Numbers] = []
    for start in range(0, len(pairs), together):
        some = order[start : start + together]
        some = some[numpy.lexsort((source[some], target[some] // round_to))]  # what is asked for has an <end> more, so it rounds up
        plan += [some[first : first + size] for first in range(0, len(some), size)]
    return plan if rng is None else [plan[place] for place in rng.permutation(len(plan))]


def batches(
    pairs: Sequence[Pair],
    vocabularies: tuple[Vocabulary, Vocabulary],
    size: int,
    rng: numpy.random.Generator | None = None,
    round_to: int = ROUND_TO,
    pool: int = POOL,
) -> Iterator[tuple[Numbers, PairBatch]]:
    """One `epoch` of batches, each with the places of its pairs; always `size` columns."""
    for places in epoch(pairs, size, rng, round_to, pool):
        yield places, batch_of([pairs[place] for place in places], vocabularies, size, round_to)
