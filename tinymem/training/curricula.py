"""Curricula: which examples a network sees when (Zaremba & Sutskever 2014), and a run that follows one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy

from tinymem.engine.backend import asarray
from tinymem.engine.graph import no_grad
from tinymem.engine.ops import argmax
from tinymem.engine.tensor import Tensor
from tinymem.models.sequence import run
from tinymem.tasks.characters import CharacterBatch, batch_of
from tinymem.tasks.programs import AdditionTask, ExecutionTask, Hardness, MemorisationTask
from tinymem.training.answers import Accuracy, accuracy, answerer
from tinymem.training.objectives import bits_per_symbol, one_hot

Level = tuple[int, int]  # (length, nesting)

MIXED = 0.2  # the share of "combined" that is drawn as by "mix"
ENOUGH = 0.95  # validation accuracy at which a level is passed
PATIENCE = 5  # checks: one without a better training accuracy than so many checks ago also passes the level
SLOWER = 0.8  # at the full hardness, the factor on the learning rate instead
SLOWEST = 0.05  # the paper stops at lr < 1e-3, having begun with 0.5; our runs are compared at equal examples, so they go on
CHECKED = 512  # validation examples of one check


@dataclass(frozen=True)
class Curriculum:
    """A task and the order in which its examples come."""

    task: AdditionTask | ExecutionTask | MemorisationTask
    strategy: Literal["baseline", "naive", "mix", "combined"] = "combined"
    """baseline: the hardest from the first example on; naive: harder step by step; mix: every hardness at any time;
    combined: a fifth of mix, the rest naive"""

    def __post_init__(self) -> None:
        if self.strategy not in ("baseline", "naive", "mix", "combined"):
            raise ValueError(f"strategy must be 'baseline', 'naive', 'mix' or 'combined', got {self.strategy!r}")

    @property
    def start(self) -> Level:
        """The level at the first example."""
        return self.task.easiest if self.strategy in ("naive", "combined") else self.task.hardest

    def harder(self, level: Level) -> Level:
        """The next level: one digit more; after the longest, the shortest again with one operation more."""
        (length, nesting), (shortest, _), (longest, deepest) = level, self.task.easiest, self.task.hardest
        if length < longest:
            return length + 1, nesting
        return (shortest, nesting + 1) if nesting < deepest else level

    def hardness(self, rng: numpy.random.Generator, level: Level) -> Hardness:
        """What draws a (length, nesting) for each integer of a program at this level of the curriculum."""
        if self.strategy in ("baseline", "naive"):
            return lambda: level
        (shortest, shallowest), (longest, deepest) = self.task.easiest, self.task.hardest
        uniforms = iter(lambda: rng.random(256).tolist(), None)  # many with one call
        uniform = (number for block in uniforms for number in block).__next__
        mixed = 1.0 if self.strategy == "mix" else MIXED

        def draw() -> Level:
            if mixed < 1.0 and uniform() >= mixed:
                return level
            length = shortest + int(uniform() * (longest - shortest + 1))
            return length, shallowest + int(uniform() * (deepest - shallowest + 1))

        return draw


class CurriculumCourse:
    """A run that follows a curriculum: its level, what decides when the next one comes, and the accuracies of its checks."""

    def __init__(self, curriculum: Curriculum, size: int, seed: int, eager: bool) -> None:
        self.curriculum, self.size, self.seed, self.eager = curriculum, size, seed, eager
        self.level, self.pace, self.check = curriculum.start, 1.0, 0
        self.trained: list[float] = []  # training accuracies of the checks at this level
        self.reached: dict[str, float] = {}
        self.carried = {name: Tensor(numpy.zeros(()), dtype="float32") for name in ("right", "asked")}  # characters since the last check
        self.measure: Callable[..., Any] | None = None
        rng = numpy.random.default_rng([seed, 2])
        task = curriculum.task
        self.held_out = [task.example(rng, lambda: task.hardest, "validation") for _ in range(CHECKED)]

    def draw(self, rng: numpy.random.Generator) -> CharacterBatch:
        """The next batch, of the training split."""
        task, hardness = self.curriculum.task, self.curriculum.hardness(rng, self.level)
        return batch_of([task.example(rng, hardness, "train") for _ in range(self.size)], task.alphabet, round_to=4)

    def loss(self, model: Any, batch: CharacterBatch) -> Tensor:
        """Bits per character of the answers, which are given to the network as far as it should have written them (teacher forcing)."""
        logits = run(model, one_hot(asarray(batch.inputs), model.config.inputs, model.out.b.dtype))
        with no_grad():
            counts = Tensor(batch.mask)
            right = (argmax(logits, 2) == Tensor(batch.targets)) * counts
            self.carried["right"].data = (self.carried["right"] + right.sum()).data
            self.carried["asked"].data = (self.carried["asked"] + counts.sum()).data
        return bits_per_symbol(logits, asarray(batch.targets), batch.mask)

    def validate(self, model: Any) -> float:
        """One check: advance if it is time; the share of wrong characters at the full hardness."""
        if self.measure is None:
            self.measure = answerer(model, self.eager)
        self.check += 1
        at_target = accuracy(self.measure, self.curriculum.task, self.held_out)
        at_level = at_target if self.level == self.curriculum.task.hardest else self._at_level()
        self.reached = {
            "length": self.level[0], "nesting": self.level[1], "level_accuracy": at_level.characters,
            "accuracy": at_target.characters, "exact": at_target.answers,
        }  # fmt: skip
        right, asked = (float(self.carried[name].item()) for name in ("right", "asked"))
        for tensor in self.carried.values():
            tensor.data = tensor.data * 0
        self.trained.append(right / asked)
        if at_level.characters > ENOUGH or (len(self.trained) > PATIENCE and self.trained[-1] <= self.trained[-1 - PATIENCE]):
            if self.level == self.curriculum.task.hardest:
                self.pace = max(SLOWER * self.pace, SLOWEST)
            self.level = self.curriculum.harder(self.level)
            self.trained = []
        return 1 - at_target.characters

    def _at_level(self) -> Accuracy:
        assert self.measure is not None
        rng = numpy.random.default_rng([self.seed, 3, self.check])
        hardness = self.curriculum.hardness(rng, self.level)
        examples = [self.curriculum.task.example(rng, hardness, "validation") for _ in range(CHECKED)]
        return accuracy(self.measure, self.curriculum.task, examples)

    def report(self) -> dict[str, float]:
        return {**self.reached, "pace": self.pace}

    def progress(self) -> dict[str, Any]:
        return {"level": self.level, "pace": self.pace, "check": self.check, "trained": self.trained, "reached": self.reached}

    def go_on(self, progress: dict[str, Any]) -> None:
        self.level = (progress["level"][0], progress["level"][1])
        self.pace, self.check = progress["pace"], progress["check"]
        self.trained, self.reached = progress["trained"], progress["reached"]
