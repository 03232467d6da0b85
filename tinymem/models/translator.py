"""Translation with a recurrent encoder and decoder, and attention between them (Bahdanau et al. 2014, Luong et al. 2015).

The encoder reads the source in both directions; each word gets an annotation h_j, the two states there side by side.  The
decoder writes one word after the other, and before each it asks the annotations.  Two orders of that:

    Bahdanau:  α from s_{i-1};  s_i = GRU([E y_{i-1}; c_i], s_{i-1});  the word from tanh(W [s_i; E y_{i-1}; c_i])
    Luong:     s_i = GRU([E y_{i-1}; (h̃_{i-1})], s_{i-1});  α from s_i;  the word from h̃_i = tanh(W [s_i; c_i])

Without attention c is the same for every word: the encoder's two last states.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy

from tinymem.engine.backend import asarray, creation_namespace
from tinymem.engine.draws import dropout
from tinymem.engine.ops import absolute, concatenate, flip, swapaxes, take, tanh, where
from tinymem.engine.scan import scan
from tinymem.engine.structure import SHOWN
from tinymem.engine.tensor import Tensor, wrap
from tinymem.equations.attention import (
    additive_score,
    attention_weights,
    dot_score,
    general_score,
    location_score,
    location_window,
    predicted_position,
    scaled_dot_score,
    soft_context,
)
from tinymem.models.gru import GRUCell
from tinymem.models.module import Linear, Module, glorot, parameter

Score = Literal["none", "additive", "dot", "scaled-dot", "general", "location"]
SCORES = ("none", "additive", "dot", "scaled-dot", "general", "location")


@dataclass(frozen=True)
class TranslatorConfig:
    """Size and kind of a recurrent translator."""

    source_words: int
    """words of the source's vocabulary"""
    target_words: int
    """words of the target's vocabulary"""
    score: Score = "additive"
    """how an annotation answers the decoder's state; "none": no attention, the plain encoder-decoder"""
    order: Literal["bahdanau", "luong"] = "bahdanau"
    """asks the previous state (Bahdanau) or the current one (Luong)"""
    embedding: int = 128
    """length of a word's vector"""
    hidden: int = 128
    """units of the decoder"""
    encoder_hidden: int = 128
    """units of the encoder in each direction"""
    half_width: float = 0.0
    """D of Luong's local-p, in words: attention only around a predicted position; 0: over the whole sentence"""
    input_feeding: bool = False
    """does the decoder see its last h̃?  Luong's order only"""
    longest: int = 20
    """words of the longest source; only the location score has a row of weights for each"""
    dropout: float = 0.0
    """share of embeddings and readouts that is dropped in training"""

    def __post_init__(self) -> None:
        sizes = self.source_words, self.target_words, self.embedding, self.hidden, self.encoder_hidden, self.longest
        if any(type(size) is not int or size < 1 for size in sizes):
            raise ValueError(f"every size of a translator must be a whole number, at least 1: {self}")
        if self.score not in SCORES or self.order not in ("bahdanau", "luong"):
            raise ValueError(f"score must be one of {', '.join(SCORES)}, and order 'bahdanau' or 'luong': {self}")
        if self.score in ("dot", "scaled-dot") and self.hidden != 2 * self.encoder_hidden:
            raise ValueError(f"a dot product needs dim(h) = dim(f), that is hidden = 2 encoder_hidden: {self}")
        if self.input_feeding and self.order != "luong":
            raise ValueError("input feeding belongs to Luong's order; Bahdanau's decoder sees the context anyway")
        if self.half_width and (self.half_width < 1 or self.score == "none"):
            raise ValueError(f"half_width is 0, or at least 1 word and with a score: {self}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in 0 … 1, below 1, got {self.dropout}")

    def build(self, rng: numpy.random.Generator, dtype: str = "float32") -> Translator:
        return Translator(self, rng, dtype)


@dataclass(frozen=True)
class Encoded:
    """A batch of source sentences as the decoder sees it."""

    features: Tensor  # h_j (batch, S, F)
    mask: Tensor  # (batch, S), True where there is a word
    lengths: Tensor  # (batch, 1), words of each sentence
    last: Tensor  # (batch, F), both directions' last states


@dataclass(frozen=True)
class DecoderState:
    """What is carried from one word to the next, and how it was attended before this one."""

    s: Tensor  # (batch, H)
    fed: Tensor  # h̃ (batch, H), zeros before the first word
    weights: Tensor | None = field(default=None, metadata=SHOWN)  # α (batch, S)


class Translator(Module):
    """A bidirectional GRU encoder and a GRU decoder with attention."""

    def __init__(self, config: TranslatorConfig, rng: numpy.random.Generator, dtype: str = "float32") -> None:
        self.config = config
        words, hidden, features = config.embedding, config.hidden, 2 * config.encoder_hidden
        self.source = parameter(rng.normal(size=(config.source_words, words)), dtype)
        self.target = parameter(rng.normal(size=(config.target_words, words)), dtype)
        self.forwards = GRUCell(words, config.encoder_hidden, rng, dtype)
        self.backwards = GRUCell(words, config.encoder_hidden, rng, dtype)
        self.start = Linear(config.encoder_hidden, hidden, rng, dtype)
        bahdanau = config.order == "bahdanau"
        seen = features if bahdanau else hidden if config.input_feeding else 0
        self.decoder = GRUCell(words + seen, hidden, rng, dtype)
        self.readout = Linear(hidden + features + (words if bahdanau else 0), hidden, rng, dtype)
        self.out = Linear(hidden, config.target_words, rng, dtype)
        if config.score == "additive":
            self.W1, self.W2 = glorot(rng, hidden, hidden, dtype), glorot(rng, hidden, features, dtype)
            self.w3 = parameter(rng.uniform(-1, 1, hidden) / hidden**0.5, dtype)
        elif config.score == "general":
            self.W = glorot(rng, hidden, features, dtype)
        elif config.score == "location":
            self.W = glorot(rng, config.longest, hidden, dtype)
        if config.half_width:
            self.W_p, self.v_p = glorot(rng, hidden, hidden, dtype), parameter(rng.uniform(-1, 1, hidden) / hidden**0.5, dtype)

    # -- the encoder -----------------------------------------------------------------------------------------------------
    def encode(self, words: Any, mask: Any, rng: numpy.random.Generator | None = None) -> Encoded:
        """Source words (S, batch) by number, mask (S, batch), 1 where there is one; `rng` only in training, for the dropout."""
        embedded = dropout(take(self.source, asarray(words), 0), self.config.dropout, rng)  # (S, B, E)
        present = Tensor(mask) > 0
        there = present.data[:, :, None]  # (S, B, 1)
        ahead = self._read(self.forwards, embedded, there)
        back = flip(self._read(self.backwards, flip(embedded, 0), there[::-1]), 0)
        features = swapaxes(concatenate([ahead, back], 2), 0, 1)  # (S, B, F) -> (B, S, F)
        lengths = where(present, embedded.dtype.type(1), 0).sum(0)[:, None]
        by_sentence = swapaxes(present, 0, 1)
        return Encoded(features, by_sentence, lengths, concatenate([ahead[-1], back[0]], 1))

    def _read(self, cell: GRUCell, embedded: Tensor, there: Any) -> Tensor:
        """The states (S, batch, H) of one direction; where a sentence is padded, its state stays as it was."""

        def step(h: Tensor, word: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            x, present = word
            h = where(present, cell(x, h), h)
            return h, h

        nothing = creation_namespace().zeros((embedded.shape[1], self.config.encoder_hidden), dtype=embedded.dtype)
        return scan(step, wrap(nothing, None), (embedded, wrap(there, None)))[1]  # type: ignore[no-any-return]

    # -- the decoder -----------------------------------------------------------------------------------------------------
    def begin(self, encoded: Encoded) -> DecoderState:
        """s_0 = tanh(W ←h_1): the backward state at the first word has read the whole sentence."""
        s = tanh(self.start(encoded.last[:, self.config.encoder_hidden :]))
        return DecoderState(s, wrap(creation_namespace().zeros(s.shape, dtype=s.dtype), None))

    def step(self, encoded: Encoded, state: DecoderState, embedded: Tensor) -> tuple[DecoderState, Tensor]:
        """One word: the embedded previous one (batch, E) -> the readout (batch, H) from which the next one is told."""
        if self.config.order == "bahdanau":
            weights, context = self._attend(encoded, state.s)
            s = self.decoder(concatenate([embedded, context], 1), state.s)
            readout = tanh(self.readout(concatenate([s, embedded, context], 1)))
        else:
            s = self.decoder(concatenate([embedded, state.fed], 1) if self.config.input_feeding else embedded, state.s)
            weights, context = self._attend(encoded, s)
            readout = tanh(self.readout(concatenate([s, context], 1)))
        return DecoderState(s, readout, weights), readout

    def word(self, encoded: Encoded, state: DecoderState, words: Any) -> tuple[DecoderState, Tensor]:
        """One word, as a search does it: the previous words (batch,) by number -> logits of the next ones (batch, V)."""
        state, readout = self.step(encoded, state, take(self.target, asarray(words), 0))
        return state, self.out(readout)

    def logits(self, source: Any, mask: Any, target: Any, rng: numpy.random.Generator | None = None) -> Tensor:
        """Logits (T, batch, V) of every next word, given source words (S, batch) and the target so far (T, batch), teacher forced."""
        rate = self.config.dropout
        encoded = self.encode(source, mask, rng)
        embedded = dropout(take(self.target, asarray(target), 0), rate, rng)  # (T, B, E)
        _, readouts = scan(lambda state, x: self.step(encoded, state, x), self.begin(encoded), embedded)
        return self.out(dropout(readouts, rate, rng))

    def _attend(self, encoded: Encoded, query: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (batch, S) and context (batch, F); without attention zeros, and the encoder's last states."""
        features, config = encoded.features, self.config
        if config.score == "none":
            return wrap(creation_namespace().zeros(features.shape[:2], dtype=features.dtype), None), encoded.last
        scores = self._score(query, features)
        if not config.half_width:
            weights = attention_weights(scores, encoded.mask)
            return weights, soft_context(weights, features)
        position = predicted_position(query, self.W_p, self.v_p, encoded.lengths)
        places = creation_namespace().arange(features.shape[1], dtype=features.dtype)
        near = absolute(places - position.detach()) <= config.half_width  # there is a word: p lies in the sentence, and D >= 1
        weights = attention_weights(where(near, scores, -math.inf), encoded.mask)
        weights = location_window(weights, position, config.half_width)
        return weights, soft_context(weights, features)

    def _score(self, query: Tensor, features: Tensor) -> Tensor:
        match self.config.score:
            case "additive":
                return additive_score(query, features, self.W1, self.W2, self.w3)
            case "general":
                return general_score(query, features, self.W)
            case "location":
                if features.shape[1] > self.config.longest:
                    raise ValueError(
                        f"the location score knows the places of {self.config.longest} words, got {features.shape[1]}, padding counted; "
                        "build the translator with a larger `longest`"
                    )
                return location_score(query, self.W[: features.shape[1]])
            case "dot":
                return dot_score(query, features)
            case _:
                return scaled_dot_score(query, features)
