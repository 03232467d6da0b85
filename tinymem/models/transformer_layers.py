"""The layers of a Transformer: attention with parameters, the normalised word, and what stands around each sublayer.

Whole models are put together from these in `transformer` (encoder and decoder) and `language_model` (decoder only).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy

from tinymem.engine.backend import creation_namespace
from tinymem.engine.draws import dropout
from tinymem.engine.ops import concatenate, stack
from tinymem.engine.tensor import Tensor
from tinymem.equations.transformer import feed_forward, layer_norm, multi_head, residual, scaled_dot_weights
from tinymem.models.module import Linear, Module, parameter

Norm = Literal["pre", "post", "none"]
NORMS = ("pre", "post", "none")
Rng = numpy.random.Generator


class LayerConfig(Protocol):
    """What a layer wants to know of its model's configuration."""

    @property
    def width(self) -> int: ...
    @property
    def heads(self) -> int: ...
    @property
    def inner(self) -> int: ...
    @property
    def norm(self) -> Norm: ...
    @property
    def residual(self) -> bool: ...
    @property
    def dropout(self) -> float: ...


def check_layer(config: LayerConfig) -> None:
    """ValueError, with the whole configuration, where no layer can be built from it."""
    if config.width % config.heads or config.width % 2:
        raise ValueError(f"the width must be even, and a multiple of the number of heads: {config}")
    if config.norm not in NORMS:
        raise ValueError(f"norm must be one of {', '.join(NORMS)}: {config}")
    if not 0 <= config.dropout < 1:
        raise ValueError(f"dropout must be in 0 … 1, below 1, got {config.dropout}")


def causal_mask(length: int) -> Any:
    """(length, length), True where word k may see word i: those up to itself."""
    places = creation_namespace().arange(length)
    return places[None, :] <= places[:, None]


@dataclass(frozen=True)
class KeysAndValues:
    """The words that can be attended to, as every head sees them: computed once, asked often."""

    keys: Tensor  # (batch, H, L, A)
    values: Tensor  # (batch, H, L, A)

    def and_then(self, later: KeysAndValues) -> KeysAndValues:
        """With further words behind them."""
        return KeysAndValues(concatenate([self.keys, later.keys], 2), concatenate([self.values, later.values], 2))


class Attention(Module):
    """Multi-head attention of d features in H heads of d/H."""

    def __init__(self, width: int, heads: int, rng: Rng, dtype: str) -> None:
        bound = (6.0 / (width + width)) ** 0.5  # as if the heads were one matrix (Glorot & Bengio 2010)
        shape = heads, width // heads, width
        self.W_Q, self.W_K, self.W_V = (parameter(rng.uniform(-bound, bound, shape), dtype) for _ in range(3))
        self.W_O = parameter(rng.uniform(-bound, bound, (width, width)), dtype)

    def __call__(self, x: Tensor, seen: Tensor, mask: Any, shown: list[Tensor] | None = None) -> Tensor:
        """x (batch, T, d) asks, `seen` (batch, L, d) answers; the weights (batch, H, T, L) are appended to `shown`."""
        if shown is not None:
            shown.append(self.ask(x, self.keys_and_values(seen), mask)[1])
        return multi_head(x, seen, seen, self.W_Q, self.W_K, self.W_V, self.W_O, mask)

    def keys_and_values(self, seen: Tensor) -> KeysAndValues:
        """What `seen` (batch, L, d) is to each head."""
        keys, values = (stack([seen @ W[i].T for i in range(W.shape[0])], 1) for W in (self.W_K, self.W_V))
        return KeysAndValues(keys, values)

    def ask(self, x: Tensor, known: KeysAndValues, mask: Any = None) -> tuple[Tensor, Tensor]:
        """The same as a call, from keys and values that are there already: (batch, T, d), and the weights (batch, H, T, L)."""
        weights = [scaled_dot_weights(x @ self.W_Q[i].T, known.keys[:, i], mask) for i in range(self.W_Q.shape[0])]
        heads = [weights[i] @ known.values[:, i] for i in range(len(weights))]
        return concatenate(heads, 2) @ self.W_O.T, stack(weights, 1)


class LayerNorm(Module):
    """γ and β of a normalised word."""

    def __init__(self, width: int, dtype: str) -> None:
        self.gain, self.bias = parameter(numpy.ones(width), dtype), parameter(numpy.zeros(width), dtype)

    def __call__(self, x: Tensor) -> Tensor:
        return layer_norm(x, self.gain, self.bias)


class Layer(Module):
    """Self-attention, attention over encoder outputs if it is a decoder's, and the network for each word (if it has inner units)."""

    def __init__(self, config: LayerConfig, rng: Rng, dtype: str, decodes: bool = False) -> None:
        self.config = config
        self.attention = Attention(config.width, config.heads, rng, dtype)
        self.cross = Attention(config.width, config.heads, rng, dtype) if decodes else None
        ends = ((config.width, config.inner), (config.inner, config.width)) if config.inner else ()
        self.networks = [Linear(inputs, outputs, rng, dtype) for inputs, outputs in ends]
        sublayers = 1 + decodes + bool(config.inner)
        self.norms = [LayerNorm(config.width, dtype) for _ in range(sublayers)] if config.norm != "none" else []

    def __call__(
        self,
        x: Tensor,
        mask: Any,
        seen: Tensor | None = None,
        seen_mask: Any = None,
        rng: Rng | None = None,
        shown: list[Tensor] | None = None,
    ) -> Tensor:
        """x (batch, T, d) -> (batch, T, d); `seen` (batch, L, d) are encoder outputs; `rng` only in training, for the dropout."""
        x = self._around(0, x, lambda x: self.attention(x, x, mask, shown), rng)
        if self.cross is not None:
            cross = self.cross
            x = self._around(1, x, lambda x: cross(x, _given(seen), seen_mask, shown), rng)
        return self._around(-1, x, self._network, rng) if self.networks else x

    def step(
        self, x: Tensor, before: KeysAndValues | None, seen: KeysAndValues | None, seen_mask: Any
    ) -> tuple[Tensor, KeysAndValues, Tensor]:
        """One word more: x (batch, 1, d) -> (batch, 1, d), the words that the next one can see, and the last weights (batch, H, 1, L)."""
        kept: dict[str, Any] = {}

        def itself(x: Tensor) -> Tensor:
            own = self.attention.keys_and_values(x)
            kept["cache"] = own if before is None else before.and_then(own)
            answer, kept["weights"] = self.attention.ask(x, kept["cache"])
            return answer

        def encoded(x: Tensor) -> Tensor:
            assert self.cross is not None
            assert seen is not None
            answer, kept["weights"] = self.cross.ask(x, seen, seen_mask)
            return answer

        x = self._around(0, x, itself, None)
        if self.cross is not None:
            x = self._around(1, x, encoded, None)
        x = self._around(-1, x, self._network, None) if self.networks else x
        return x, kept["cache"], kept["weights"]

    def _network(self, x: Tensor) -> Tensor:
        inner, outer = self.networks
        return feed_forward(x, inner.W, inner.b, outer.W, outer.b)

    def _around(self, number: int, x: Tensor, sublayer: Callable[[Tensor], Tensor], rng: Rng | None) -> Tensor:
        """Post-norm, the slide's: LayerNorm(x + Sublayer(x)); pre-norm: x + Sublayer(LayerNorm(x)).  Without a residual: no x."""
        change = dropout(sublayer(self.norms[number](x) if self.config.norm == "pre" else x), self.config.dropout, rng)
        y = residual(x, change) if self.config.residual else change
        return self.norms[number](y) if self.config.norm == "post" else y


def _given(seen: Tensor | None) -> Tensor:
    if seen is None:
        raise ValueError("a decoder's layer attends to encoder outputs, and got none")
    return seen
