"""A decoder alone: each word of a sequence is told from those before it, by layers of causal self-attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy

from tinymem.engine.backend import asarray
from tinymem.engine.draws import dropout
from tinymem.engine.ops import swapaxes, take
from tinymem.engine.tensor import Tensor
from tinymem.equations.transformer import positional_encoding
from tinymem.models.module import Linear, Module, parameter
from tinymem.models.transformer_layers import Layer, LayerNorm, Norm, causal_mask, check_layer


@dataclass(frozen=True)
class LanguageModelConfig:
    """Size and kind of a decoder-only Transformer."""

    words: int
    """words of its vocabulary"""
    layers: int = 2
    """layers of self-attention"""
    width: int = 64
    """d, features of a word between the layers"""
    heads: int = 2
    """heads of each attention; each has d/heads features"""
    inner: int = 0
    """units between the two parts of the network for each word; 0: nothing but attention"""
    norm: Norm = "pre"
    """"post", the slide's LayerNorm(x + Sublayer(x)); "pre", x + Sublayer(LayerNorm(x)); or "none" """
    residual: bool = True
    """is x added to what a sublayer makes of it?"""
    positions: bool = True
    """is the positional encoding added to the embeddings?"""
    dropout: float = 0.0
    """share of embeddings and sublayers' outputs that is dropped in training"""

    def __post_init__(self) -> None:
        sizes = self.words, self.layers, self.width, self.heads
        if any(type(size) is not int or size < 1 for size in sizes) or type(self.inner) is not int or self.inner < 0:
            raise ValueError(f"every size of a language model must be a whole number, at least 1 (inner: at least 0): {self}")
        check_layer(self)

    def build(self, rng: numpy.random.Generator, dtype: str = "float32") -> LanguageModel:
        return LanguageModel(self, rng, dtype)


class LanguageModel(Module):
    """Embeddings, causal layers, logits of the next word."""

    def __init__(self, config: LanguageModelConfig, rng: numpy.random.Generator, dtype: str = "float32") -> None:
        self.config = config
        self.embedding = parameter(rng.normal(size=(config.words, config.width)) / config.width**0.5, dtype)
        self.layers = [Layer(config, rng, dtype) for _ in range(config.layers)]
        if config.norm == "pre":
            self.norm = LayerNorm(config.width, dtype)
        self.out = Linear(config.width, config.words, rng, dtype)

    def logits(self, words: Any, rng: numpy.random.Generator | None = None, shown: list[Tensor] | None = None) -> Tensor:
        """Words (T, batch) by number -> logits (T, batch, V) of the word after each; `rng` only in training, for the dropout.

        The weights of each layer's heads, (batch, H, T, T), are appended to `shown`.
        """
        d = self.config.width
        x = swapaxes(take(self.embedding, asarray(words), 0), 0, 1) * d**0.5  # (B, T, d)
        if self.config.positions:
            x = x + positional_encoding(x.shape[1], d, x.dtype)
        x = dropout(x, self.config.dropout, rng)
        mask = causal_mask(x.shape[1])
        for layer in self.layers:
            x = layer(x, mask, rng=rng, shown=shown)
        return self.out(swapaxes(self.norm(x) if self.config.norm == "pre" else x, 0, 1))
