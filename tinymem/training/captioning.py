"""Learning to write captions: the encoder's training as a classifier of crops, its annotations, and then the decoders' courses.

An encoder is trained first, shipped, and frozen: every decoder reads the same annotations, computed once at the start of a run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy

from tinymem.engine.backend import asarray, to_host
from tinymem.engine.compile.compiled import compile
from tinymem.engine.graph import no_grad
from tinymem.engine.losses import categorical_loss
from tinymem.engine.ops import argmax, log, reshape, where
from tinymem.engine.tensor import Tensor
from tinymem.equations.attention import doubly_stochastic_penalty, entropy, reinforce_surrogate
from tinymem.models.captioner import Captioner, Told
from tinymem.models.cnn import Encoder
from tinymem.tasks.scenes import (
    CaptionBatch,
    Crops,
    CropTask,
    Floats,
    Numbers,
    Scene,
    SceneTask,
    captions_of,
    longest_caption,
    pictures_of,
    require_pictures,
)
from tinymem.training.checkpoints import CheckpointError, load_checkpoint
from tinymem.training.configs import from_plain
from tinymem.training.loop import Schedule, Steady
from tinymem.training.objectives import LN2
from tinymem.training.optimisers import Adam

TOGETHER = 64  # pictures side by side when nothing is learned
HELD_OUT = 16 * TOGETHER  # crops by which parameters are compared
VALIDATED = 4 * TOGETHER  # scenes by which decoders are compared

PRETRAINING = Schedule(updates=2000, batch=64, log_every=50, validate_every=250, checkpoint_every=500, clip=5.0, clip_by="norm")
"""Of the encoder: 98.7 % of 2,048 crops of test scenes right (seed 0), after 55 CPU seconds."""
PRETRAINING_OPTIMISER = Adam(2e-3)
ENCODERS: dict[str, str] = {"both": "captions-encoder-c5a0a6ef", "noto": "captions-encoder-noto-68edde8c"}
"""The shipped encoder that is read for the scenes of these artists: one never sees an artist that is held out."""


# --- the encoder ---


def bits_per_picture(model: Encoder, crops: Crops) -> Tensor:
    """-log₂ p(class), mean over the pictures; a scalar Tensor."""
    bits: Tensor = categorical_loss(model(Tensor(crops.pictures)), crops.classes).mean() / LN2
    return bits


def crop_course(task: CropTask, size: int, seed: int, eager: bool = False) -> Steady:
    """The encoder's training: crops of training scenes, compared by the share of wrong answers on crops of validation scenes."""
    held_out = task.batch(numpy.random.default_rng([seed, 2]), HELD_OUT, "validation")
    classify: Any = None

    def measure(model: Encoder) -> float:
        nonlocal classify
        classify = classify or classifier(model, eager)  # compiled once a run
        return 1.0 - crop_accuracy(classify, held_out)

    return Steady(lambda rng: task.batch(rng, size), bits_per_picture, measure)


def classifier(model: Encoder, eager: bool = False) -> Callable[[Any], Any]:
    """The step of an evaluation: pictures -> the most probable class of each."""

    def classify(pictures: Any) -> Any:
        with no_grad():
            return argmax(model(Tensor(pictures)), 1)

    return classify if eager else compile(classify, state=model)


def crop_accuracy(classify: Callable[[Any], Any], crops: Crops) -> float:
    """The share of crops that a `classifier` names rightly."""
    return float((_side_by_side(classify, crops.pictures) == crops.classes).mean())


def annotations_of(model: Encoder, pictures: Floats, eager: bool = False) -> Floats:
    """The frozen encoder's annotations of pictures (B, H, W, colours) as a host array (B, L, F): computed once, read by every decoder."""

    def look(some: Any) -> Any:
        with no_grad():
            return model.annotations(Tensor(some))

    found: Floats = _side_by_side(look if eager else compile(look, state=model), pictures)
    return found


def shipped_encoder(artist: str = "both") -> Encoder:
    """The frozen encoder that the decoders read; CheckpointError if there is none for these artists."""
    if artist not in ENCODERS:
        raise CheckpointError(f"no encoder was shipped for the artist {artist!r}; there is one for {' and one for '.join(ENCODERS)}")
    folder = Path(str(resources.files("tinymem.lessons"))) / "checkpoints" / "captions"
    arrays, note = load_checkpoint(folder / f"{ENCODERS[artist]}.safetensors")
    model: Encoder = from_plain(note["seeds"]["0"]["run"]["model"]).build(numpy.random.default_rng(0))
    model.load_state({name.removeprefix("0/"): array for name, array in arrays.items() if name.startswith("0/")})
    return model


def looked_at(pictures: Any, artist: str = "both") -> Floats:
    """The shipped encoder's annotations (B, L, F) of a picture or several; SceneError if they are no pictures of 64 × 64 × 3."""
    return annotations_of(shipped_encoder(artist), require_pictures(pictures), eager=True)


def _side_by_side(step: Callable[[Any], Any], pictures: Floats) -> Any:
    """step(pictures) in portions of one size, so that one program does for all: the last portion is filled up with its last picture."""
    if not len(pictures):
        raise ValueError("there must be at least one picture")
    found = []
    for start in range(0, len(pictures), TOGETHER):
        some = pictures[start : start + TOGETHER]
        filled = numpy.concatenate([some, numpy.repeat(some[-1:], TOGETHER - len(some), 0)])
        found.append(to_host(step(asarray(filled)))[: len(some)])
    return numpy.concatenate(found)


# --- what a decoder learns from ---


@dataclass(frozen=True)
class Reinforce:
    """How hard attention is trained: places are drawn, and log p(place) is pushed by what it earned."""

    factor: float = 0.1
    """λ_r, on the REINFORCE term; 0 is the control: places are drawn, but nothing tells the attention which were good"""
    credit: Literal["sentence", "word"] = "sentence"
    """what a place earns: the mean ln p of the caption's words, or that of the word it was drawn for"""
    baseline: Literal["moving", "expectation"] = "moving"
    """from what is earned is subtracted: a moving average, or what the expectation would have earned at that word"""
    decay: float = 0.9
    """of the moving average"""
    warm_up: int = 0
    """updates of soft attention before the first place is drawn"""
    soft_share: float = 0.0
    """share of minibatches that take the expectation all the same"""
    entropy: float = 0.0
    """λ_e, on the entropy of the attention"""

    def __post_init__(self) -> None:
        if self.credit not in ("sentence", "word") or self.baseline not in ("moving", "expectation"):
            raise ValueError(f"credit is 'sentence' or 'word', and baseline 'moving' or 'expectation': {self}")
        if self.baseline == "expectation" and self.credit != "word":
            raise ValueError("what the expectation would have earned is known for a word, not for a sentence: credit='word'")
        if type(self.warm_up) is not int or self.warm_up < 0 or min(self.factor, self.entropy) < 0:
            raise ValueError(f"warm_up is a whole number of updates, and the factors are not negative: {self}")
        if not (0 <= self.decay < 1 and 0 <= self.soft_share <= 1):
            raise ValueError(f"decay is in 0 … 1, below 1, and soft_share in 0 … 1: {self}")


@dataclass(frozen=True)
class Captioning:
    """What is captioned, and how it is learned."""

    scenes: int = 6000
    """training scenes, drawn from the run's seed"""
    task: SceneTask = field(default_factory=SceneTask)
    doubly_stochastic: float = 0.0
    """λ of the penalty that asks every place to get its share of attention"""
    reinforce: Reinforce | None = None
    """for hard attention"""

    def __post_init__(self) -> None:
        if type(self.scenes) is not int or self.scenes < 1 or self.doubly_stochastic < 0:
            raise ValueError(f"there is at least one scene, and λ is not negative: {self}")
        if self.doubly_stochastic and self.reinforce:
            raise ValueError("the doubly stochastic penalty belongs to soft attention")


@dataclass(frozen=True)
class Annotated:
    """Scenes with their annotations and captions."""

    scenes: tuple[Scene, ...]
    annotations: Floats  # (scenes, L, F)
    captions: CaptionBatch


def annotated(scenes: list[Scene], artist: str = "both", eager: bool = False) -> Annotated:
    """Scenes as the shipped encoder for these artists sees them, and their captions, all of one length in time."""
    found = annotations_of(shipped_encoder(artist), pictures_of(scenes), eager)
    return Annotated(tuple(scenes), found, captions_of(scenes, longest_caption()))


@lru_cache(maxsize=2)
def training_scenes(task: SceneTask, count: int, seed: int) -> Annotated:
    """The training scenes of a run, by its seed; kept, for runs one after the other."""
    return annotated(task.scenes(numpy.random.default_rng([seed, 3]), count, "train"), task.artist)


@lru_cache(maxsize=2)
def validation_scenes(task: SceneTask, seed: int) -> Annotated:
    """The scenes by which parameters are compared."""
    return annotated(task.scenes(numpy.random.default_rng([seed, 2]), VALIDATED, "validation"), task.artist)


@dataclass(frozen=True)
class Minibatch:
    """Captions with the annotations of their pictures, and the luck of hard attention."""

    annotations: Floats  # (batch, L, F)
    captions: CaptionBatch
    points: Floats  # (T, batch, 1): uniform numbers, by which places are drawn
    sampled: numpy.ndarray[Any, Any]  # (1, 1), bool: are places drawn in this minibatch?


class CaptionCourse:
    """A run on annotated scenes: without attention, soft, or hard."""

    def __init__(self, captioning: Captioning, model: Captioner, schedule: Schedule, seed: int, eager: bool) -> None:
        hard = model.config.attention == "hard"
        if hard != (captioning.reinforce is not None):
            raise ValueError("hard attention is trained with `reinforce`, and no other is")
        self.captioning, self.schedule, self.eager, self.hard = captioning, schedule, eager, hard
        self.update = 0
        self.pace = 1.0
        self.luck = numpy.random.default_rng([seed, 4])
        self.carried = {"baseline": Tensor(numpy.zeros((), model.E.dtype))} if hard else {}
        self.seen = training_scenes(captioning.task, captioning.scenes, seed)
        self.held_out = _minibatches(validation_scenes(captioning.task, seed), schedule.batch, numpy.random.default_rng([seed, 5]))
        self.measured: Callable[..., Any] | None = None

    def draw(self, rng: numpy.random.Generator) -> Minibatch:
        """Some training scenes; whether their places will be drawn, and by which points."""
        lanes = rng.integers(0, len(self.seen.scenes), self.schedule.batch)
        reinforce, sampled = self.captioning.reinforce, False
        if reinforce:
            sampled = self.luck.random() >= reinforce.soft_share and self.update >= reinforce.warm_up
        self.update += 1
        return _minibatch(self.seen, lanes, self.luck, sampled)

    def loss(self, model: Captioner, batch: Minibatch) -> Tensor:
        """Bits per word.  Its gradient is that of the whole objective: what only steers the attention adds 0 to the value."""
        told, captioning = _told(model, batch, self.hard), self.captioning
        mask = Tensor(batch.captions.mask)
        costs = word_costs(told, batch)
        bits = costs.sum() / (LN2 * mask.sum())
        if captioning.reinforce:
            steering = self._reinforce(captioning.reinforce, told, batch, costs)
        elif captioning.doubly_stochastic:
            steering = captioning.doubly_stochastic * doubly_stochastic_penalty(told.weights * mask[:, :, None]).mean()
        else:
            return bits
        steering = steering * (batch.annotations.shape[0] / (LN2 * mask.sum()))  # of a sentence, in nats: in the unit of the bits
        objective: Tensor = bits + (steering - steering.detach())
        return objective

    def _reinforce(self, reinforce: Reinforce, told: Told, batch: Minibatch, costs: Tensor) -> Tensor:
        """-λ_r Σ (reward - baseline) ln p(places) - λ_e Σ entropy, mean over the captions; where no place was drawn without λ_r."""
        mask = Tensor(batch.captions.mask)
        log_prob = log((told.weights * told.places.detach()).sum(2)) * mask  # (T, B), ln p of the place drawn for each word
        sampled = Tensor(batch.sampled)[0, 0]
        sentences = -(costs.sum(0) / mask.sum(0)).detach()  # (B,): the mean ln p of each caption's words
        if reinforce.credit == "sentence":
            reward, earned = sentences, log_prob.sum(0)
        else:
            reward, earned = reshape(-costs, -1), reshape(log_prob, -1)
        if reinforce.baseline == "moving":
            baseline = self.carried["baseline"]
            usual = -(costs.sum() / mask.sum()).detach() if reinforce.credit == "word" else sentences.mean()
            moved = reinforce.decay * baseline + (1 - reinforce.decay) * usual
            before = reward * 0 + baseline
            baseline.data = where(sampled, moved, baseline).data  # on drawn minibatches only
        else:
            before = reshape(-_costs(told.expected, batch), -1)
        pushed = reinforce_surrogate(earned, reward, before) * (earned.shape[0] / costs.shape[1])  # a sum over words, a mean over captions
        steering = where(sampled, -reinforce.factor * pushed, 0)
        if reinforce.entropy:
            flat = entropy(reshape(told.weights, -1, told.weights.shape[2]))  # (T B,)
            steering = steering - reinforce.entropy * (flat * reshape(mask, -1)).sum() / costs.shape[1]
        return steering

    def validate(self, model: Captioner) -> float:
        """Bits per word of scenes that are not trained on; hard attention draws its places, every time by the same points."""
        if self.measured is None:

            def without_graph(batch: Minibatch) -> Any:
                with no_grad():
                    return word_costs(_told(model, batch, self.hard), batch).sum()

            self.measured = without_graph if self.eager else compile(without_graph, state=model)
        nats = sum(float(self.measured(batch).item()) for batch in self.held_out)
        return nats / (LN2 * sum(float(batch.captions.mask.sum()) for batch in self.held_out))

    def report(self) -> dict[str, float]:
        return {name: float(to_host(tensor)) for name, tensor in self.carried.items()}

    def progress(self) -> dict[str, Any]:
        return {"update": self.update, "luck": self.luck.bit_generator.state}

    def go_on(self, progress: dict[str, Any]) -> None:
        self.update = progress["update"]
        self.luck.bit_generator.state = progress["luck"]


def word_costs(told: Told, batch: Minibatch) -> Tensor:
    """-ln p of each word of the captions, (T, batch), 0 behind their ends."""
    return _costs(told.logits, batch)


def _costs(logits: Tensor, batch: Minibatch) -> Tensor:
    costs: Tensor = categorical_loss(logits, asarray(batch.captions.targets)) * Tensor(batch.captions.mask)
    return costs


def _told(model: Captioner, batch: Minibatch, hard: bool) -> Told:
    if not hard:
        return model.told(batch.annotations, batch.captions.inputs)
    return model.told(batch.annotations, batch.captions.inputs, "sample", Tensor(batch.points), Tensor(batch.sampled))


def _minibatch(seen: Annotated, lanes: Numbers, luck: numpy.random.Generator, sampled: bool) -> Minibatch:
    """These scenes side by side."""
    told = seen.captions
    captions = CaptionBatch(told.inputs[:, lanes], told.targets[:, lanes], told.mask[:, lanes])
    points = luck.random((len(captions.mask), len(lanes), 1)).astype(numpy.float32)
    return Minibatch(seen.annotations[lanes], captions, points, numpy.array([[sampled]]))


def _minibatches(seen: Annotated, size: int, luck: numpy.random.Generator) -> list[Minibatch]:
    """All scenes in minibatches of one size; what is left over is left out."""
    starts = range(0, len(seen.scenes) - size + 1, size) if size <= len(seen.scenes) else [0]
    return [_minibatch(seen, numpy.arange(start, min(start + size, len(seen.scenes))), luck, True) for start in starts]
