"""Learning to translate: fresh pairs or epochs of a corpus, teacher forcing, dropout, smoothed labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy

from tinymem.engine.backend import asarray, to_host
from tinymem.engine.compile.compiled import compile
from tinymem.engine.graph import no_grad
from tinymem.engine.tensor import Tensor
from tinymem.tasks.bleu import bleu
from tinymem.tasks.translation.batches import PairBatch, batch_of, batches, epoch, sources_of
from tinymem.tasks.translation.dates import DateTask
from tinymem.tasks.translation.libreoffice import LibreOfficeTask, libreoffice
from tinymem.tasks.translation.numbers import NumberTask
from tinymem.tasks.translation.pairs import Pair, Words
from tinymem.tasks.translation.words import Vocabulary
from tinymem.training.fields import ADDED_LATER
from tinymem.training.loop import SLOWEST, Schedule
from tinymem.training.objectives import bits_per_symbol
from tinymem.training.search import Search, Sentence

VALIDATED = 256  # pairs, of tasks that draw theirs
SIDE_BY_SIDE = 64  # sentences that are translated together


@dataclass(frozen=True)
class Translation:
    """What is translated, and how it is learned."""

    task: NumberTask | DateTask | LibreOfficeTask
    smoothing: float = 0.1
    """ε of the smoothed labels"""
    warm_up: int = field(default=0, metadata=ADDED_LATER)
    """updates through which the learning rate rises (Noam's schedule); 0: it falls linearly from the start"""

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"smoothing must be in 0 … 1, below 1, got {self.smoothing}")
        if type(self.warm_up) is not int or self.warm_up < 0:
            raise ValueError(f"warm_up is a whole number of updates, at least 0, got {self.warm_up!r}")


class TranslationCourse:
    """A run on pairs of sentences; the learning rate falls linearly to its twentieth, or follows Noam's schedule."""

    def __init__(self, translation: Translation, schedule: Schedule, seed: int, eager: bool) -> None:
        self.task, self.smoothing, self.warm_up = translation.task, translation.smoothing, translation.warm_up
        self.schedule, self.eager = schedule, eager
        self.vocabularies = self.task.vocabularies
        self.update = 0
        self.plan: list[list[int]] = []  # batches of this epoch that are still to come, the next one last
        self.dropped = numpy.random.default_rng([seed, 4])
        self.carried: dict[str, Tensor] = {}
        self.bleu: float | None = None
        self.measured: Callable[..., Any] | None = None
        self.search: Search | None = None
        self.pairs = self._held_out(numpy.random.default_rng([seed, 2]))
        self.held_out = [batch for _, batch in batches(self.pairs, self.vocabularies, schedule.batch)]

    def _held_out(self, rng: numpy.random.Generator) -> Sequence[Pair]:
        if isinstance(self.task, LibreOfficeTask):
            return libreoffice().validation
        return self.task.pairs(rng, "validation", VALIDATED)

    def draw(self, rng: numpy.random.Generator) -> PairBatch:
        """The next batch of the training split."""
        self.update += 1
        size = self.schedule.batch
        if not isinstance(self.task, LibreOfficeTask):
            return batch_of(self.task.pairs(rng, "train", size), self.vocabularies)
        pairs = libreoffice().train
        if not self.plan:
            self.plan = [places.tolist() for places in epoch(pairs, size, rng)][::-1]
        return batch_of([pairs[place] for place in self.plan.pop()], self.vocabularies, size)

    def loss(self, model: Any, batch: PairBatch) -> Tensor:
        """Bits per word, with smoothed labels and dropout."""
        return bits_per_word(model, batch, self.smoothing, self.dropped)

    @property
    def pace(self) -> float:
        """The factor on the learning rate."""
        if self.warm_up:
            return noam(self.update, self.warm_up)
        return max(1 - self.update / self.schedule.updates, SLOWEST)

    def validate(self, model: Any) -> float:
        """Bits per word of pairs that are not trained on, without smoothing and dropout; their BLEU, by greedy search, is reported."""
        if self.measured is None or self.search is None:

            def without_graph(batch: PairBatch) -> Any:
                with no_grad():
                    return bits_per_word(model, batch)

            self.measured = without_graph if self.eager else compile(without_graph, state=model)
            self.search = Search(model, self.eager)
        written = translations(self.search, [pair.source for pair in self.pairs], self.vocabularies)
        self.bleu = bleu([words for words, _ in written], [pair.target for pair in self.pairs]).score
        asked = [float(batch.target_mask.sum()) for batch in self.held_out]
        found = [self.measured(batch).item() for batch in self.held_out]
        return float(numpy.average(found, weights=asked))

    def report(self) -> dict[str, float]:
        return {"pace": self.pace} | ({} if self.bleu is None else {"bleu": self.bleu})

    def progress(self) -> dict[str, Any]:
        return {"update": self.update, "plan": self.plan, "bleu": self.bleu, "dropped": self.dropped.bit_generator.state}

    def go_on(self, progress: dict[str, Any]) -> None:
        self.update, self.plan, self.bleu = progress["update"], progress["plan"], progress["bleu"]
        self.dropped.bit_generator.state = progress["dropped"]


def noam(update: int, warm_up: int) -> float:
    """√w min(1/√n, n / √w³): a learning rate's factor at update n, rising through the first w to 1, then falling as 1/√n.

    Times the learning rate lr it is the paper's factor · d^-0.5 · min(n^-0.5, n · w^-1.5), for lr = factor / √(d w), the highest rate.
    """
    return min(math.sqrt(warm_up / update), update / warm_up)


def bits_per_word(model: Any, batch: PairBatch, smoothing: float = 0.0, rng: numpy.random.Generator | None = None) -> Tensor:
    """-log₂ p(next word), mean over the words of a batch, each told all words before it."""
    logits = model.logits(batch.source, batch.source_mask, batch.target_in, rng)
    return bits_per_symbol(logits, asarray(batch.target_out), batch.target_mask, smoothing)


def translations(
    search: Search,
    sentences: Sequence[Words],
    vocabularies: tuple[Vocabulary, Vocabulary],
    width: int = 1,
    length_penalty: float = 0.0,
    size: int = SIDE_BY_SIDE,
) -> list[tuple[Words, Sentence]]:
    """What a model makes of each sentence, as words and as its search found it, in their order; sentences of similar length go together.

    The rows of attention are cut to the sentence and its `<end>`: what lies beyond was padding, and has weight 0.
    """
    order = sorted(range(len(sentences)), key=lambda place: len(sentences[place]))
    found: dict[int, tuple[Words, Sentence]] = {}
    for first in range(0, len(order), size):
        places = order[first : first + size]
        source, mask = sources_of([sentences[place] for place in places], vocabularies[0], size)
        for place, written in zip(places, search(source, mask, 2 * len(source) + 8, width, length_penalty), strict=False):
            attended = written.weights[:, : len(sentences[place]) + 1]
            found[place] = vocabularies[1].decode(written.numbers), replace(written, weights=attended)
    return [found[place] for place in range(len(sentences))]


def forced_attention(
    model: Any, pairs: Sequence[Pair], vocabularies: tuple[Vocabulary, Vocabulary], size: int = SIDE_BY_SIDE
) -> list[numpy.ndarray[Any, Any]]:
    """α (T, S) of each pair, a row for each word of its translation and for `<end>`, when the decoder is told the words before.

    So every model is asked about the same words, and links between the words of a pair say how well it aligns; of its own words there
    are no links unless they happen to be the translation's.
    """
    found: dict[int, numpy.ndarray[Any, Any]] = {}
    for places, batch in batches(pairs, vocabularies, size):
        with no_grad():
            encoded = model.encode(batch.source, batch.source_mask)
            state, rows = model.begin(encoded), []
            for words in batch.target_in:
                state, _ = model.word(encoded, state, words)
                rows.append(to_host(state.weights))
        for place, weights in zip(places.tolist(), numpy.stack(rows, 1), strict=False):  # (B, T, S); empty sentences come last
            found[place] = weights[: len(pairs[place].target) + 1, : len(pairs[place].source) + 1]
    return [found[place] for place in range(len(pairs))]
