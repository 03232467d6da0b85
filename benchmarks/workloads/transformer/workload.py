"""The Transformer in tinymem.  No time loop: the mask keeps a target word from seeing those after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from benchmarks.contestant import Arrays, Peer, Workload
from tinymem.engine.losses import categorical_loss
from tinymem.engine.ops import relu, softmax, sqrt, take
from tinymem.engine.tensor import Tensor
from tinymem.models.module import Linear, Module, glorot, parameter
from tinymem.training.optimisers import Adam

NORM_EPSILON = 1e-5
HIDDEN_FROM = -1e9  # added to a score that must not count: its softmax is 0


@dataclass(frozen=True)
class Sizes:
    words: int = 1000
    width: int = 128
    heads: int = 4
    inner: int = 512
    layers: int = 2
    length: int = 20


class Attention(Module):
    """softmax(Q Kᵀ / √d_k) V in every head, the heads joined and mixed."""

    def __init__(self, sizes: Sizes, rng: numpy.random.Generator, dtype: str) -> None:
        self.heads = sizes.heads
        self.Q, self.K, self.V, self.O = (glorot(rng, sizes.width, sizes.width, dtype) for _ in range(4))

    def split(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        return x.reshape(batch, length, self.heads, width // self.heads).swapaxes(1, 2)  # (batch, heads, L, d_k)

    def __call__(self, x: Tensor, seen: Tensor, mask: Tensor | None = None) -> Tensor:
        """x (batch, L, d) asks, `seen` (batch, J, d) answers; mask (L, J) is added to the scores."""
        q, k, v = self.split(x @ self.Q.T), self.split(seen @ self.K.T), self.split(seen @ self.V.T)
        scores = q @ k.swapaxes(2, 3) / q.shape[3] ** 0.5  # (batch, heads, L, J)
        if mask is not None:
            scores = scores + mask
        return (softmax(scores, 3) @ v).swapaxes(1, 2).reshape(*x.shape) @ self.O.T


class Norm(Module):
    """Each vector moved to mean 0 and scaled to variance 1, then scaled and moved as learned (Ba et al. 2016)."""

    def __init__(self, width: int, dtype: str) -> None:
        self.gain = parameter(numpy.ones(width), dtype)
        self.bias = parameter(numpy.zeros(width), dtype)

    def __call__(self, x: Tensor) -> Tensor:
        centred = x - x.mean(2, keepdims=True)
        variance = (centred * centred).mean(2, keepdims=True)
        return self.gain * centred / sqrt(variance + NORM_EPSILON) + self.bias


class Layer(Module):
    """Self-attention, attention to the encoder in the decoder's layers, and a network for each word; each added, then normalised."""

    def __init__(self, sizes: Sizes, decodes: bool, rng: numpy.random.Generator, dtype: str) -> None:
        self.attention = Attention(sizes, rng, dtype)
        self.cross = Attention(sizes, rng, dtype) if decodes else None
        self.inner = Linear(sizes.width, sizes.inner, rng, dtype)
        self.outer = Linear(sizes.inner, sizes.width, rng, dtype)
        self.norms = [Norm(sizes.width, dtype) for _ in range(3 if decodes else 2)]

    def __call__(self, x: Tensor, seen: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        x = self.norms[0](x + self.attention(x, x, mask))
        if self.cross is not None and seen is not None:
            x = self.norms[1](x + self.cross(x, seen))
        return self.norms[-1](x + self.outer(relu(self.inner(x))))


class Transformer(Module):
    def __init__(self, sizes: Sizes, rng: numpy.random.Generator, dtype: str) -> None:
        self.scale = sizes.width**0.5
        self.source = parameter(rng.standard_normal((sizes.words, sizes.width)) / self.scale, dtype)
        self.target = parameter(rng.standard_normal((sizes.words, sizes.width)) / self.scale, dtype)
        self.encoder = [Layer(sizes, False, rng, dtype) for _ in range(sizes.layers)]
        self.decoder = [Layer(sizes, True, rng, dtype) for _ in range(sizes.layers)]
        self.out = Linear(sizes.width, sizes.words, rng, dtype)
        self.positions = Tensor(sinusoids(sizes.length, sizes.width), dtype=dtype)
        self.causal = Tensor(numpy.triu(numpy.full((sizes.length, sizes.length), HIDDEN_FROM), 1), dtype=dtype)

    def __call__(self, source: Tensor, given: Tensor) -> Tensor:
        """Logits (batch, L, words) of every target word; source words and target words before it (batch, L)."""
        seen = take(self.source, source, 0) * self.scale + self.positions  # (batch, L, d)
        for layer in self.encoder:
            seen = layer(seen)
        x = take(self.target, given, 0) * self.scale + self.positions
        for layer in self.decoder:
            x = layer(x, seen, self.causal)
        return self.out(x)


def sinusoids(length: int, width: int) -> numpy.ndarray:
    """sin(t / 10000^(2i/d)) in the even columns 2i, the cosine in the odd ones; (length, width)."""
    angles = numpy.arange(length)[:, None] / 10000 ** (numpy.arange(0, width, 2) / width)
    return numpy.stack([numpy.sin(angles), numpy.cos(angles)], 2).reshape(length, width)


def draw(sizes: Sizes, rng: numpy.random.Generator, batch: int) -> Arrays:
    source, target = rng.integers(1, sizes.words, (2, batch, sizes.length))
    given = numpy.concatenate([numpy.zeros_like(target[:, :1]), target[:, :-1]], 1)  # word 0 begins a sentence
    return {"source": source, "given": given, "target": target}


def loss(model: Transformer, data: dict[str, Tensor]) -> Tensor:
    return categorical_loss(model(data["source"], data["given"]), data["target"]).mean()


WORKLOAD = Workload(
    title="Transformer",
    package=__package__,
    sizes=Sizes(),
    tiny=Sizes(words=7, width=8, heads=2, inner=6, layers=2, length=3),
    build=Transformer,
    draw=draw,
    loss=loss,
    optimiser=Adam(),
    clip=1.0,
    batches=(64,),
    peers={
        "PyTorch eager": Peer("torch"),
        "PyTorch eager, its attention": Peer("torch", {"fused": True}),
        "JAX jit": Peer("jax"),
        "JAX jit, elementwise recomputed": Peer("jax", {"recompute": "elementwise"}),
        "JAX jit, all recomputed": Peer("jax", {"recompute": "all"}),
    },
)
