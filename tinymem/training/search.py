"""Writing a sentence: word by word the most probable one (greedy), or the best of several sentences kept side by side (beam search).

A model that writes offers `encode(words, mask)`, `begin(encoded)` and `word(encoded, state, previous) -> (state, logits)`; its
states have `weights`, what it looked at before the word.  If they grow with each word, as kept keys and values do, it says
`state_grows = True`, and its words are written eagerly: a compiled step is made for given shapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy

from tinymem.engine.backend import asarray, to_host
from tinymem.engine.compile.compiled import compile
from tinymem.engine.graph import no_grad
from tinymem.engine.ops import log_softmax, take
from tinymem.engine.structure import flatten
from tinymem.tasks.translation.words import BEGIN, END

Host = numpy.ndarray[Any, Any]


@dataclass(frozen=True)
class Sentence:
    """What a model wrote."""

    numbers: tuple[int, ...]
    """words by number, with `<end>` if it came"""
    log_probability: float
    """Σ ln p(word), in nats"""
    weights: Host
    """(words, S): the attention before each word"""


class Search:
    """Greedy and beam search with one model; its compiled steps are kept, so that many sentences cost little."""

    def __init__(self, model: Any, eager: bool = False) -> None:
        def encode(words: Any, mask: Any) -> Any:
            with no_grad():
                encoded = model.encode(words, mask)
                return encoded, model.begin(encoded)

        def write(encoded: Any, state: Any, previous: Any) -> Any:
            with no_grad():
                state, logits = model.word(encoded, state, previous)
                return state, log_softmax(logits, 1), state.weights

        self._encode = encode if eager else compile(encode, state=model)
        self._write = write if eager or getattr(model, "state_grows", False) else compile(write, state=model)

    def __call__(self, words: Host, mask: Host, longest: int, width: int = 1, length_penalty: float = 0.0) -> list[Sentence]:
        """The best sentence for each column of source words (S, batch), of at most `longest` words, `<end>` included.

        `width` sentences are kept for each source; ended ones are compared by Σ ln p / ((5 + length) / 6)^α with α the
        `length_penalty` (Wu et al. 2016).  Those that have not ended by then are compared as they are.
        """
        if longest < 1 or width < 1:
            raise ValueError(f"a search writes at least one word and keeps at least one sentence, got longest {longest}, width {width}")
        batch = words.shape[1]
        encoded, state = self._encode(words, mask)
        first = numpy.repeat(numpy.arange(batch), width)  # (B W,), which source each row belongs to
        encoded, state = _rows(encoded, first), _rows(state, first)
        written = numpy.zeros((0, batch * width), numpy.int64)
        attended = numpy.zeros((0, batch * width, words.shape[0]), numpy.float32)
        scores = numpy.where(numpy.arange(width) > 0, -numpy.inf, numpy.zeros((batch, 1)))  # all rows are alike at first: one counts
        ended = numpy.zeros(batch * width, bool)
        previous = numpy.full(batch * width, BEGIN)
        while len(written) < longest and not ended.all():
            state, logs, weights = self._write(encoded, state, previous)
            rows, previous, scores = _best(scores, to_host(logs), ended)
            state, ended = _rows(state, rows), ended[rows] | (previous == END)
            written = numpy.concatenate([written[:, rows], previous[None]])
            attended = numpy.concatenate([attended[:, rows], to_host(weights)[rows][None]])
        lengths = numpy.array([_length(column) for column in written.T]).reshape(batch, width)
        chosen = (scores / ((5 + lengths) / 6) ** length_penalty).argmax(1)
        found = []
        for sentence, place in enumerate(chosen):
            row, length = sentence * width + place, int(lengths[sentence, place])
            numbers = tuple(written[:length, row].tolist())
            found.append(Sentence(numbers, float(scores[sentence, place]), attended[:length, row]))
        return found


def _best(scores: Host, logs: Host, ended: Host) -> tuple[Host, Host, Host]:
    """The rows (B W,) from which the best sentences go on, their next words (B W,), and their scores (B, W)."""
    batch, width = scores.shape
    vocabulary = logs.shape[1]
    only_end = numpy.where(numpy.arange(vocabulary) == END, 0.0, -numpy.inf)  # what has ended stays as it is
    total = scores[:, :, None] + numpy.where(ended[:, None], only_end, logs).reshape(batch, width, vocabulary)
    flat = total.reshape(batch, -1)
    best = numpy.argpartition(-flat, width - 1, axis=1)[:, :width] if width < flat.shape[1] else numpy.arange(flat.shape[1])[None]
    best = numpy.take_along_axis(best, numpy.argsort(-numpy.take_along_axis(flat, best, 1), axis=1, kind="stable"), 1)  # (B, W)
    rows = (best // vocabulary + numpy.arange(batch)[:, None] * width).ravel()
    return rows, (best % vocabulary).ravel(), numpy.take_along_axis(flat, best, 1)


def _rows(structure: Any, rows: Host) -> Any:
    """Every leaf's rows (batch first) in this order."""
    leaves, rebuild = flatten(structure)
    with no_grad():
        return rebuild([take(leaf, asarray(rows), 0) for leaf in leaves])


def _length(numbers: Host) -> int:
    """Words of a written column, the first `<end>` included."""
    ends = numpy.flatnonzero(numbers == END)
    return int(ends[0]) + 1 if len(ends) else len(numbers)
