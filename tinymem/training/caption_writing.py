"""Captions as a trained decoder writes them, what it looks at meanwhile, and how good they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from tinymem.engine.backend import to_host
from tinymem.engine.compile.compiled import compile
from tinymem.engine.graph import no_grad
from tinymem.engine.ops import argmax
from tinymem.engine.tensor import Tensor
from tinymem.models.captioner import Captioner, Choice
from tinymem.tasks.bleu import bleu
from tinymem.tasks.scenes import Floats, Scene, decode, longest_caption
from tinymem.training.captioning import TOGETHER, Annotated

END_NUMBER = 0  # of `<end>` among the words


@dataclass(frozen=True)
class Written:
    """A caption as a model wrote it."""

    words: tuple[str, ...]
    """without `<end>`"""
    weights: Floats  # α (words, L) before each word, `<end>` included if it came
    places: Floats  # what was looked at, (words, L)
    gates: Floats  # β (words,)

    @property
    def text(self) -> str:
        return " ".join(self.words)


class Writer:
    """Writes captions word by word, each time the most probable one; its compiled step is kept."""

    def __init__(self, model: Captioner, choice: Choice | None = None, eager: bool = False) -> None:
        """`choice`: what is looked at; without one, hard attention draws a place and any other takes the expectation."""
        self.choice: Choice = choice or ("sample" if model.config.attention == "hard" else "expectation")

        def write(annotations: Any, state: Any, words: Any, points: Any) -> Any:
            with no_grad():
                view = model.view(Tensor(annotations))
                state = model.begin(view) if state is None else state
                point = Tensor(points) if self.choice == "sample" else None
                state, logits = model.word(view, state, words, self.choice, point)
                return state, argmax(logits, 1), state.weights, state.place, state.gate

        self._write = write if eager else compile(write, state=model)

    def __call__(self, annotations: Floats, seed: int = 0) -> list[Written]:
        """The caption of each picture, (B, L, F); `seed` for the places drawn."""
        found = []
        for start in range(0, len(annotations), TOGETHER):
            some = annotations[start : start + TOGETHER]
            filled = numpy.concatenate([some, numpy.repeat(some[-1:], TOGETHER - len(some), 0)])
            found += self._together(filled, numpy.random.default_rng([seed, start]))[: len(some)]
        return found

    def _together(self, annotations: Floats, rng: numpy.random.Generator) -> list[Written]:
        state, previous = None, numpy.full(len(annotations), END_NUMBER)
        seen: list[tuple[Any, ...]] = []
        for _ in range(longest_caption()):
            points = rng.random((len(annotations), 1)).astype(numpy.float32)
            state, previous, *looked = self._write(annotations, state, previous, points)
            previous = to_host(previous)
            seen.append((previous, *map(to_host, looked)))
        words, weights, places, gates = (numpy.stack(column, 1) for column in zip(*seen, strict=True))  # (B, T, …)
        written = []
        for lane, row in enumerate(words):
            ends = numpy.flatnonzero(row == END_NUMBER)
            length, looked_for = (int(ends[0]), int(ends[0]) + 1) if len(ends) else (len(row), len(row))
            told = tuple(decode(row[:length].tolist()))
            written.append(Written(told, *(rows[lane, :looked_for] for rows in (weights, places, gates[..., 0]))))
        return written


def attention_of(model: Captioner, seen: Annotated, eager: bool = False) -> Floats:
    """α (T, scenes, L) with which each word of the *true* caption would be told; what is looked at: the likeliest place if hard."""
    choice: Choice = "argmax" if model.config.attention == "hard" else "expectation"

    def tell(annotations: Any, words: Any) -> Any:
        with no_grad():
            return model.told(annotations, words, choice).weights

    step = tell if eager else compile(tell, state=model)
    found, count = [], len(seen.scenes)
    for start in range(0, count, TOGETHER):
        lanes = numpy.arange(start, start + TOGETHER).clip(max=count - 1)  # the last scene fills up
        weights = to_host(step(seen.annotations[lanes], seen.captions.inputs[:, lanes]))
        found.append(weights[:, : count - start])
    return numpy.concatenate(found, 1)


@dataclass(frozen=True)
class CaptionScore:
    """How well captions were written."""

    exact: float
    """share of scenes whose caption is right word for word"""
    bleu: float
    """0 … 100"""
    captions: int
    """how many were written"""


def score_captions(written: Sequence[Written], scenes: Sequence[Scene]) -> CaptionScore:
    """Captions against those of their scenes."""
    exact = [one.words == scene.words for one, scene in zip(written, scenes, strict=True)]
    score = bleu([one.words for one in written], [scene.words for scene in scenes]).score
    return CaptionScore(float(numpy.mean(exact)), score, len(exact))
