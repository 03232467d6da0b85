"""Translation without recurrence: the Transformer, encoder and decoder (Vaswani et al. 2017).

All words of a sentence are read at once, and in training all words of its translation too, each seeing only those before it.
A search writes one word after the other; the keys and values of the words so far are kept, so a further word costs the model's
products once, and a look at each word before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy

from tinymem.engine.backend import asarray
from tinymem.engine.draws import dropout
from tinymem.engine.ops import mean, swapaxes, take
from tinymem.engine.structure import SHOWN
from tinymem.engine.tensor import Tensor
from tinymem.equations.transformer import positional_encoding
from tinymem.models.module import Linear, Module, parameter
from tinymem.models.transformer_layers import KeysAndValues, Layer, LayerNorm, Norm, causal_mask, check_layer


@dataclass(frozen=True)
class TransformerConfig:
    """Size and kind of a Transformer that translates."""

    source_words: int
    """words of the source's vocabulary"""
    target_words: int
    """words of the target's vocabulary"""
    layers: int = 2
    """layers of the encoder, and of the decoder"""
    width: int = 128
    """d, features of a word between the layers"""
    heads: int = 4
    """heads of each attention; each has d/heads features"""
    inner: int = 512
    """units between the two parts of the network for each word; 0: no such network"""
    norm: Norm = "pre"
    """"post", the slide's LayerNorm(x + Sublayer(x)); "pre", x + Sublayer(LayerNorm(x)); or "none" """
    residual: bool = True
    """is x added to what a sublayer makes of it?"""
    positions: bool = True
    """is the positional encoding added to the embeddings?"""
    tied: bool = True
    """is the matrix of the logits that of the target's embeddings?"""
    dropout: float = 0.0
    """share of embeddings and sublayers' outputs that is dropped in training"""

    def __post_init__(self) -> None:
        sizes = self.source_words, self.target_words, self.layers, self.width, self.heads
        if any(type(size) is not int or size < 1 for size in sizes) or type(self.inner) is not int or self.inner < 0:
            raise ValueError(f"every size of a Transformer must be a whole number, at least 1 (inner: at least 0): {self}")
        check_layer(self)

    def build(self, rng: numpy.random.Generator, dtype: str = "float32") -> Transformer:
        return Transformer(self, rng, dtype)


@dataclass(frozen=True)
class Encoded:
    """A batch of source sentences as the decoder sees it."""

    features: Tensor  # encoder outputs (batch, S, d)
    mask: Tensor  # (batch, S), True where there is a word
    cached: tuple[KeysAndValues, ...]  # the same for each layer of the decoder


@dataclass(frozen=True)
class WrittenState:
    """The words written so far, as each layer sees them, and how the sentence was attended before the last."""

    cached: tuple[KeysAndValues, ...] = ()
    weights: Tensor | None = field(default=None, metadata=SHOWN)  # (batch, S), the mean over the heads of the last layer


class Transformer(Module):
    """An encoder and a decoder of the same depth."""

    state_grows = True  # with every word: a search that compiled its steps would compile each of them anew

    def __init__(self, config: TransformerConfig, rng: numpy.random.Generator, dtype: str = "float32") -> None:
        self.config = config
        d = config.width
        self.source = parameter(rng.normal(size=(config.source_words, d)) / d**0.5, dtype)
        self.target = parameter(rng.normal(size=(config.target_words, d)) / d**0.5, dtype)
        self.encoder = [Layer(config, rng, dtype) for _ in range(config.layers)]
        self.decoder = [Layer(config, rng, dtype, decodes=True) for _ in range(config.layers)]
        if config.norm == "pre":  # there nothing has normalised what comes out at the end
            self.encoder_norm, self.decoder_norm = LayerNorm(d, dtype), LayerNorm(d, dtype)
        if not config.tied:
            self.out = Linear(d, config.target_words, rng, dtype)

    # -- the encoder -----------------------------------------------------------------------------------------------------
    def encode(self, words: Any, mask: Any, rng: numpy.random.Generator | None = None) -> Encoded:
        """Source words (S, batch) by number, mask (S, batch), 1 where there is one; `rng` only in training, for the dropout."""
        features, present = self._read(words, mask, rng)
        cached = tuple(layer.cross.keys_and_values(features) for layer in self.decoder if layer.cross is not None)
        return Encoded(features, present, cached)

    def _read(self, words: Any, mask: Any, rng: numpy.random.Generator | None, shown: list[Tensor] | None = None) -> tuple[Tensor, Tensor]:
        present = swapaxes(Tensor(mask) > 0, 0, 1)  # (B, S)
        x = self._embed(self.source, words, rng)
        for layer in self.encoder:
            x = layer(x, present[:, None], rng=rng, shown=shown)
        return (self.encoder_norm(x) if self.config.norm == "pre" else x), present

    def _embed(self, table: Tensor, words: Any, rng: numpy.random.Generator | None, before: int = 0) -> Tensor:
        """Words (T, batch) by number, `before` of them seen earlier -> √d E[word] + PE(position), (batch, T, d)."""
        x = swapaxes(take(table, asarray(words), 0), 0, 1) * self.config.width**0.5
        if self.config.positions:
            x = x + positional_encoding(before + x.shape[1], self.config.width, x.dtype)[before:]
        return dropout(x, self.config.dropout, rng)

    # -- the decoder -----------------------------------------------------------------------------------------------------
    def logits(
        self, source: Any, mask: Any, target: Any, rng: numpy.random.Generator | None = None, shown: dict[str, list[Tensor]] | None = None
    ) -> Tensor:
        """Logits (T, batch, V) of every next word, given source words (S, batch) and the target so far (T, batch), teacher forced.

        `rng` only in training, for the dropout.  Weights are appended to the lists "encoder" and "decoder" of `shown`: see `looks`.
        """
        by_encoder, by_decoder = (None, None) if shown is None else (shown["encoder"], shown["decoder"])
        seen, present = self._read(source, mask, rng, by_encoder)
        x = self._embed(self.target, target, rng)
        causal = causal_mask(x.shape[1])
        for layer in self.decoder:
            x = layer(x, causal, seen, present[:, None], rng, by_decoder)
        return self._words(swapaxes(x, 0, 1))

    def _words(self, x: Tensor) -> Tensor:
        """Features (..., d) -> logits (..., V)."""
        x = self.decoder_norm(x) if self.config.norm == "pre" else x
        return x @ self.target.T if self.config.tied else self.out(x)

    def begin(self, encoded: Encoded) -> WrittenState:
        """Nothing is written yet."""
        return WrittenState()

    def word(self, encoded: Encoded, state: WrittenState, words: Any) -> tuple[WrittenState, Tensor]:
        """One word, as a search does it: the previous words (batch,) by number -> logits of the next ones (batch, V)."""
        before = state.cached[0].keys.shape[2] if state.cached else 0
        x = self._embed(self.target, asarray(words)[None], None, before)  # (B, 1, d)
        cached, mask = [], encoded.mask[:, None]
        for number, layer in enumerate(self.decoder):
            known = state.cached[number] if state.cached else None
            x, cache, weights = layer.step(x, known, encoded.cached[number], mask)
            cached.append(cache)
        return WrittenState(tuple(cached), mean(weights, 1)[:, 0]), self._words(x)[:, 0]

    # -- what the heads look at --------------------------------------------------------------------------------------------
    def looks(self, source: Any, mask: Any, target: Any) -> dict[str, list[Tensor]]:
        """The weights of every head for given sentences: a list of layers, (batch, H, T, L) each, of three kinds.

        "encoder": source to source; "decoder": target to target before it; "cross": target to source.  Arguments as in `logits`.
        """
        shown: dict[str, list[Tensor]] = {"encoder": [], "decoder": []}
        self.logits(source, mask, target, None, shown)
        return {"encoder": shown["encoder"], "decoder": shown["decoder"][::2], "cross": shown["decoder"][1::2]}
