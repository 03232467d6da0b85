"""The attending encoder-decoder in tinymem, with teacher forcing; the encoder reads in one direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from benchmarks.contestant import Arrays, Peer, Workload
from tinymem.engine.backend import creation_namespace
from tinymem.engine.losses import categorical_loss
from tinymem.engine.ops import concatenate, einsum, softmax, take, tanh
from tinymem.engine.scan import scan
from tinymem.engine.tensor import Tensor
from tinymem.equations.recurrent import gru_step
from tinymem.models.module import Linear, Module, glorot, parameter
from tinymem.training.optimisers import Adam


@dataclass(frozen=True)
class Sizes:
    words: int = 1000
    width: int = 128  # of embeddings, hidden vectors and the alignment's layer
    length: int = 15


class GRUCell(Module):
    """The weights of one GRU."""

    def __init__(self, inputs: int, hidden: int, rng: numpy.random.Generator, dtype: str) -> None:
        self.W = glorot(rng, hidden, inputs, dtype, blocks=3)
        self.U = glorot(rng, hidden, hidden, dtype, blocks=3)
        self.b = parameter(numpy.zeros(3 * hidden), dtype)

    def __call__(self, x: Tensor, h: Tensor) -> Tensor:
        return gru_step(x, h, self.W, self.U, self.b)


class Attention(Module):
    """e_ij = v · tanh(W s_{i-1} + U h_j),  α_i = softmax(e_i),  c_i = Σ_j α_ij h_j."""

    def __init__(self, width: int, rng: numpy.random.Generator, dtype: str) -> None:
        self.W = glorot(rng, width, width, dtype)
        self.U = glorot(rng, width, width, dtype)
        self.v = parameter(rng.standard_normal(width) / width**0.5, dtype)

    def keys(self, annotations: Tensor) -> Tensor:
        """U h_j of every source word, (batch, J, A): the same for every target word."""
        return annotations @ self.U.T

    def __call__(self, s: Tensor, keys: Tensor, annotations: Tensor) -> Tensor:
        alignment = tanh(keys + (s @ self.W.T)[:, None, :]) @ self.v  # (batch, J)
        return einsum("bj,bjh->bh", softmax(alignment, 1), annotations)


class Translator(Module):
    def __init__(self, sizes: Sizes, rng: numpy.random.Generator, dtype: str) -> None:
        words, width = sizes.words, sizes.width
        self.source = glorot(rng, words, width, dtype)
        self.target = glorot(rng, words, width, dtype)
        self.encoder = GRUCell(width, width, rng, dtype)
        self.attention = Attention(width, rng, dtype)
        self.decoder = GRUCell(2 * width, width, rng, dtype)
        self.out = Linear(2 * width, words, rng, dtype)

    def __call__(self, read: Tensor, given: Tensor) -> Tensor:
        """Logits (I, batch, words) of every target word; words read (J, batch), target words before it (I, batch)."""

        def encode(h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
            h = self.encoder(x, h)
            return h, h

        def decode(s: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            context = self.attention(s, keys, annotations)
            s = self.decoder(concatenate([y, context], 1), s)
            return s, concatenate([s, context], 1)

        start = Tensor(creation_namespace().zeros((read.shape[1], self.source.shape[1]), dtype=self.source.dtype))
        last, annotations = scan(encode, start, take(self.source, read, 0))
        annotations = annotations.swapaxes(0, 1)  # (batch, J, H)
        keys = self.attention.keys(annotations)
        _, decoded = scan(decode, last, take(self.target, given, 0))  # (I, batch, 2 H)
        return self.out(decoded)


def draw(sizes: Sizes, rng: numpy.random.Generator, batch: int) -> Arrays:
    source, target = rng.integers(1, sizes.words, (2, sizes.length, batch))
    given = numpy.concatenate([numpy.zeros_like(target[:1]), target[:-1]])  # word 0 begins a sentence
    return {"source": source, "given": given, "target": target}


def loss(model: Translator, data: dict[str, Tensor]) -> Tensor:
    return categorical_loss(model(data["source"], data["given"]), data["target"]).mean()


WORKLOAD = Workload(
    title="GRU with attention",
    package=__package__,
    sizes=Sizes(),
    tiny=Sizes(words=7, width=4, length=3),
    build=Translator,
    draw=draw,
    loss=loss,
    optimiser=Adam(),
    clip=1.0,
    batches=(64,),
    peers={
        "PyTorch eager": Peer("torch"),
        "JAX jit": Peer("jax"),
        "JAX jit, elementwise recomputed": Peer("jax", {"recompute": "elementwise"}),
        "JAX jit, all recomputed": Peer("jax", {"recompute": "all"}),
    },
)
