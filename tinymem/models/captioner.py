"""Writing a caption while looking at a picture: an LSTM that asks L annotated places before each word (Xu et al. 2015).

    α_t = attention(h_{t-1}, a);   z_t = β_t · context,  β_t = σ(w h_{t-1} + b);   h_t = LSTM([E y_{t-1}; z_t], h_{t-1})
    word t from  L_o (E y_{t-1} + L_h h_t + L_z z_t)

Soft attention takes the expectation Σ_i α_ti a_i as the context, hard attention the annotation of one place, drawn with the
probabilities α_t.  Without attention all weights are alike: the context is the mean annotation, at every word ("none") or in
the first state alone ("start", as in Vinyals et al. 2015, with which the paper compares).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy

from tinymem.engine.backend import asarray, creation_namespace
from tinymem.engine.errors import OperandError
from tinymem.engine.ops import argmax, broadcast_to, concatenate, equal, sigmoid, take, tanh, where
from tinymem.engine.scan import scan
from tinymem.engine.structure import SHOWN
from tinymem.engine.tensor import Tensor, wrap
from tinymem.equations.attention import additive_score, attention_weights, chosen_place, soft_context
from tinymem.equations.recurrent import lstm_step
from tinymem.models.module import Linear, Module, glorot, parameter

Choice = Literal["expectation", "argmax", "sample"]
CHOICES = ("expectation", "argmax", "sample")
ATTENTIONS = ("start", "none", "soft", "hard")
WITHOUT_ATTENTION = ("start", "none")  # those that look at no place in particular


@dataclass(frozen=True)
class CaptionerConfig:
    """Size and kind of a decoder that writes captions."""

    words: int
    """words of the vocabulary"""
    attention: Literal["start", "none", "soft", "hard"] = "soft"
    """"soft": the expectation over the places; "hard": one place; "none": the mean annotation; "start": that too, but only at the start"""
    locations: int = 64
    """L, annotated places of a picture"""
    features: int = 64
    """length of an annotation vector"""
    embedding: int = 48
    """length of a word's vector"""
    hidden: int = 96
    """cells of the LSTM"""
    score_hidden: int = 64
    """units of the small network that scores a place"""
    scale: float = 1 / 7
    """factor on the annotations: those of a relu network are large numbers"""
    coordinates: bool = True
    """does an annotation also say where it lies?  A convolution sees the same everywhere, and so cannot tell left from right"""

    def __post_init__(self) -> None:
        sizes = self.words, self.locations, self.features, self.embedding, self.hidden, self.score_hidden
        if any(type(size) is not int or size < 1 for size in sizes) or not self.scale > 0:
            raise ValueError(f"every size of a captioner must be a whole number, at least 1, and its scale positive: {self}")
        if self.attention not in ATTENTIONS:
            raise ValueError(f"attention must be one of {', '.join(ATTENTIONS)}, got {self.attention!r}")
        if self.coordinates and math.isqrt(self.locations) ** 2 != self.locations:
            raise ValueError(f"coordinates are those of a square grid, and {self.locations} locations fill none: coordinates=False")

    @property
    def seen(self) -> int:
        """Numbers by which the decoder sees a place: its annotation, and two coordinates."""
        return self.features + (2 if self.coordinates else 0)

    def build(self, rng: numpy.random.Generator, dtype: str = "float32") -> Captioner:
        return Captioner(self, rng, dtype)


@dataclass(frozen=True)
class CaptionState:
    """What is carried from one word to the next, and how the picture was looked at for this one."""

    h: Tensor  # (batch, H)
    c: Tensor  # (batch, H)
    weights: Tensor | None = field(default=None, metadata=SHOWN)  # α_t (batch, L)
    place: Tensor | None = field(default=None, metadata=SHOWN)  # what was looked at: a one-hot row, or α_t itself for the expectation
    gate: Tensor | None = field(default=None, metadata=SHOWN)  # β_t (batch, 1)

    def quantities(self) -> dict[str, Tensor]:
        named = {"h": self.h, "c": self.c, "weights": self.weights, "place": self.place, "gate": self.gate}
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True)
class Told:
    """A caption told word by word, time first."""

    logits: Tensor  # (T, batch, words)
    weights: Tensor  # α (T, batch, L)
    places: Tensor  # what was looked at, (T, batch, L)
    gates: Tensor  # β (T, batch, 1)
    expected: Tensor  # logits (T, batch, words), had the expectation been looked at for this one word


class Captioner(Module):
    """An LSTM with attention to the annotations of a picture."""

    def __init__(self, config: CaptionerConfig, rng: numpy.random.Generator, dtype: str = "float32") -> None:
        self.config = config
        self.grid = _coordinates(config.locations) if config.coordinates else None  # (1, L, 2)
        words, hidden, features, scored = config.embedding, config.hidden, config.seen, config.score_hidden
        self.E = parameter(rng.normal(scale=words**-0.5, size=(config.words, words)), dtype)
        self.start_h, self.start_c = (Linear(features, hidden, rng, dtype) for _ in range(2))
        self.W = glorot(rng, hidden, words + features, dtype, blocks=4)
        self.U = glorot(rng, hidden, hidden, dtype, blocks=4)
        self.b = parameter(numpy.repeat([0.0, 1.0, 0.0, 0.0], hidden), dtype)  # the forget gate starts open
        self.gate = Linear(hidden, 1, rng, dtype)
        self.L_h, self.L_z = glorot(rng, words, hidden, dtype), glorot(rng, words, features, dtype)
        self.out = Linear(words, config.words, rng, dtype)  # L_o
        if config.attention not in WITHOUT_ATTENTION:
            self.W1, self.W2 = glorot(rng, scored, hidden, dtype), glorot(rng, scored, features, dtype)
            self.w3 = parameter(rng.uniform(-1, 1, scored) / scored**0.5, dtype)

    def view(self, annotations: Tensor) -> Tensor:
        """What the decoder sees of annotations (batch, L, F): scaled, and with the coordinates of each place."""
        expected = self.config.locations, self.config.features
        if tuple(annotations.shape[1:]) != expected:
            raise OperandError(
                f"captioner: annotations must be (batch, {expected[0]}, {expected[1]}), got {tuple(annotations.shape)}; "
                "those of one picture need a leading axis: annotations[None]"
            )
        scaled = annotations * self.config.scale
        if self.grid is None:
            return scaled
        places = broadcast_to(Tensor(self.grid, dtype=scaled.dtype), (scaled.shape[0], *self.grid.shape[1:]))
        return concatenate([scaled, places], 2)

    def begin(self, view: Tensor) -> CaptionState:
        """The state before the first word, from the mean of what is seen."""
        mean = view.mean(1)  # (B, F)
        return CaptionState(tanh(self.start_h(mean)), tanh(self.start_c(mean)))

    def step(
        self,
        view: Tensor,
        state: CaptionState,
        embedded: Tensor,
        choice: Choice = "expectation",
        point: Tensor | None = None,
        sampled: Tensor | None = None,
    ) -> tuple[CaptionState, Tensor, Tensor]:
        """One word: the embedded previous one (batch, E) -> state, its readout (batch, E), and the readout of the expectation.

        `choice` says what is looked at.  "sample" takes a point (batch, 1) in 0 … 1 for each row (see `chosen_place`); where
        `sampled` (1, 1) is false it takes the expectation all the same.
        """
        weights = self._weights(view, state.h)
        if choice == "expectation":
            place = weights
        elif choice == "argmax":
            numbers = creation_namespace().arange(weights.shape[1])
            place = where(equal(numbers, argmax(weights, 1)[:, None]), weights.dtype.type(1), 0)
        else:
            place = chosen_place(weights, point)  # type: ignore[arg-type]
            place = place if sampled is None else where(sampled, place, weights)
        gate = sigmoid(self.gate(state.h))
        h, c, readout = self._look(view, state, embedded, gate, place)
        expected = readout if choice == "expectation" else self._look(view, state, embedded, gate, weights)[2]
        return CaptionState(h, c, weights, place, gate), readout, expected

    def told(
        self, annotations: Any, words: Any, choice: Choice = "expectation", points: Tensor | None = None, sampled: Tensor | None = None
    ) -> Told:
        """Logits of every next word and what was looked at, given annotations (batch, L, F) and the words so far (T, batch) by number.

        For "sample" points (T, batch, 1), drawn before: within a time loop nothing is drawn.
        """
        if choice not in CHOICES or (choice == "sample") != (points is not None):
            raise ValueError(f"choice must be one of {', '.join(CHOICES)}, and 'sample' needs points (T, batch, 1); got {choice!r}")
        view = self.view(annotations if isinstance(annotations, Tensor) else Tensor(annotations, dtype=self.E.dtype))
        embedded = take(self.E, asarray(words), 0)  # (T, B, E)

        def step(state: CaptionState, x: tuple[Tensor, ...]) -> tuple[CaptionState, tuple[Any, ...]]:
            state, readout, expected = self.step(view, state, x[0], choice, x[1] if len(x) > 1 else None, sampled)
            return state, (readout, state.weights, state.place, state.gate, expected)

        _, seen = scan(step, self.begin(view), (embedded,) if points is None else (embedded, points))
        readouts, weights, places, gates, expected = seen
        return Told(self.out(readouts), weights, places, gates, self.out(expected))

    def word(
        self, view: Tensor, state: CaptionState, words: Any, choice: Choice = "expectation", point: Tensor | None = None
    ) -> tuple[CaptionState, Tensor]:
        """One word, as it is written: previous words (batch,) by number -> state, logits (batch, words)."""
        state, readout, _ = self.step(view, state, take(self.E, asarray(words), 0), choice, point)
        return state, self.out(readout)

    def _weights(self, view: Tensor, h: Tensor) -> Tensor:
        """α (batch, L): who is asked is h_{t-1}."""
        if self.config.attention not in WITHOUT_ATTENTION:
            return attention_weights(additive_score(h, view, self.W1, self.W2, self.w3))
        batch, locations = view.shape[:2]
        return wrap(creation_namespace().full((batch, locations), 1 / locations, dtype=view.dtype), None)

    def _look(self, view: Tensor, state: CaptionState, embedded: Tensor, gate: Tensor, place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """h_t, c_t and the readout E y_{t-1} + L_h h_t + L_z z_t, having looked at `place`."""
        context = view.mean(1) if self.config.attention in WITHOUT_ATTENTION else soft_context(place, view)
        z = gate * context  # (B, F)
        if self.config.attention == "start":
            z = z * 0  # what was seen went into the first state
        h, c = lstm_step(concatenate([embedded, z], 1), state.h, state.c, self.W, self.U, self.b)
        return h, c, embedded + h @ self.L_h.T + z @ self.L_z.T


def _coordinates(locations: int) -> numpy.ndarray[Any, Any]:
    """Row and column, -1 … 1, of each place of a square grid, row by row: (1, L, 2)."""
    side = math.isqrt(locations)
    line = numpy.linspace(-1, 1, side) if side > 1 else numpy.zeros(1)
    return numpy.stack(numpy.meshgrid(line, line, indexing="ij"), 2).reshape(1, locations, 2)
