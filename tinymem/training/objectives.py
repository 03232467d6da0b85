"""What is minimised, in the unit the papers print: bits per sequence."""

from __future__ import annotations

import math
from typing import Any

import numpy

from tinymem.engine.backend import to_host
from tinymem.engine.graph import no_grad
from tinymem.engine.losses import bernoulli_loss, categorical_loss
from tinymem.engine.ops import maximum, take
from tinymem.engine.tensor import Tensor
from tinymem.models.sequence import SequenceModel, run
from tinymem.tasks.algorithms import Episode

LN2 = math.log(2.0)


def bits_per_sequence(model: SequenceModel, episode: Episode, checkpoint_every: int | None = None) -> Tensor:
    """-log₂ p(target bits), summed over the target bits of a sequence, mean over the batch; a scalar Tensor.

    `checkpoint_every`: about √time for long sequences, whose gradient then needs little memory (see `scan`).
    """
    logits = run(model, Tensor(episode.inputs), checkpoint_every)
    nats = (bernoulli_loss(logits, Tensor(episode.targets)) * Tensor(episode.mask[:, :, None])).sum()
    bits: Tensor = nats / (LN2 * episode.inputs.shape[1])
    return bits


def predicted_bits(model: SequenceModel, episode: Episode) -> numpy.ndarray[Any, Any]:
    """The model's probability of a 1 for each output bit, (time, batch, Y), as a host array."""
    with no_grad():
        logits = to_host(run(model, Tensor(episode.inputs)))
    result: numpy.ndarray[Any, Any] = 0.5 * numpy.tanh(0.5 * logits) + 0.5
    return result


def wrong_bits(model: SequenceModel, episode: Episode) -> tuple[int, int]:
    """How many target bits are wrong when each probability is rounded, and how many were asked for, over the whole batch."""
    asked = episode.mask[:, :, None] > 0
    wrong = ((predicted_bits(model, episode) > 0.5) != (episode.targets > 0.5)) & asked
    return int(wrong.sum()), int(asked.sum()) * episode.targets.shape[2]


def one_hot(numbers: Any, count: int, dtype: Any) -> Tensor:
    """Symbols by number, (time, batch), as input vectors (time, batch, count)."""
    return take(Tensor(numpy.eye(count), dtype=dtype), numbers, 0)


def bits_per_symbol(logits: Tensor, targets: Any, mask: Any, smoothing: float = 0.0) -> Tensor:
    """-log₂ p(target symbol), mean over the symbols that count; a scalar Tensor.

    logits (time, batch, symbols); targets (time, batch) integers; mask (time, batch), 1 where a symbol counts; `smoothing`: see
    `categorical_loss`.
    """
    weight = Tensor(mask)
    bits: Tensor = (categorical_loss(logits, targets, smoothing) * weight).sum() / (LN2 * maximum(weight.sum(), 1.0))
    return bits
