"""Learning to look up: a model of the next word, asked only where the sequence itself has the answer."""

from __future__ import annotations

from typing import Any

import numpy

from tinymem.engine.backend import asarray, to_host
from tinymem.engine.graph import no_grad
from tinymem.engine.tensor import Tensor
from tinymem.tasks.lookup import Lookups, LookupTask, answers, weight_on, word_before
from tinymem.training.objectives import bits_per_symbol

HELD_OUT = 256  # sequences


def bits_per_answer(model: Any, batch: Lookups) -> Tensor:
    """-log₂ p(value), mean over the keys that came before; a scalar Tensor."""
    return bits_per_symbol(model.logits(batch.words), asarray(batch.targets), batch.mask)


def head_weights(model: Any, batch: Lookups) -> numpy.ndarray[Any, Any]:
    """What every head looks at, (layers, batch, heads, time, time)."""
    shown: list[Tensor] = []
    with no_grad():
        model.logits(batch.words, shown=shown)
    return numpy.stack([to_host(weights) for weights in shown])


class LookupCourse:
    """A run on fresh sequences; how far the best heads are is reported while they learn."""

    pace = 1.0

    def __init__(self, task: LookupTask, size: int, seed: int) -> None:
        self.task, self.size = task, size
        self.held_out = task.batch(numpy.random.default_rng([seed, 2]), HELD_OUT)
        self.carried: dict[str, Tensor] = {}
        self.found: dict[str, float] = {}

    def draw(self, rng: numpy.random.Generator) -> Lookups:
        return self.task.batch(rng, self.size)

    def loss(self, model: Any, batch: Lookups) -> Tensor:
        return bits_per_answer(model, batch)

    def validate(self, model: Any) -> float:
        """Bits per asked word of sequences that are never trained on; on them the best previous-token and the best induction head."""
        batch = self.held_out
        before, after = word_before(batch.words), answers(batch.words)
        layers = head_weights(model, batch)
        self.found = {
            "previous_token": max(float(weight_on(weights, before, batch.values).max()) for weights in layers),
            "induction": max(float(weight_on(weights, after, batch.mask).max()) for weights in layers),
        }
        with no_grad():
            return float(bits_per_answer(model, batch).item())

    def report(self) -> dict[str, float]:
        return self.found

    def progress(self) -> dict[str, Any]:
        return self.found

    def go_on(self, progress: dict[str, Any]) -> None:
        self.found = progress
