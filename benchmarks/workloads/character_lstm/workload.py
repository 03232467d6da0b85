"""The character model in tinymem: layer by layer, a scan over time for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from benchmarks.contestant import Arrays, Peer, Workload
from tinymem.engine.losses import categorical_loss
from tinymem.engine.ops import take
from tinymem.engine.scan import scan
from tinymem.engine.tensor import Tensor
from tinymem.models.lstm import LSTMCell
from tinymem.models.module import Linear, Module, glorot
from tinymem.training.optimisers import Adam


@dataclass(frozen=True)
class Sizes:
    characters: int = 50
    hidden: int = 400
    layers: int = 2
    length: int = 50


class CharacterModel(Module):
    """Characters, by number, to the logits of the character that follows each."""

    def __init__(self, sizes: Sizes, rng: numpy.random.Generator, dtype: str) -> None:
        self.embedding = glorot(rng, sizes.characters, sizes.hidden, dtype)
        self.cells = [LSTMCell(sizes.hidden, sizes.hidden, rng, dtype) for _ in range(sizes.layers)]
        self.out = Linear(sizes.hidden, sizes.characters, rng, dtype)

    def __call__(self, characters: Tensor) -> Tensor:
        """Logits (time, batch, characters) for characters (time, batch)."""
        x = take(self.embedding, characters, 0)  # (time, batch, H)
        for cell in self.cells:
            x = over_time(cell, x)
        return self.out(x)


def over_time(cell: LSTMCell, inputs: Tensor) -> Tensor:
    """The hidden vectors (time, batch, H) of one layer."""

    def step(state: tuple[Tensor, Tensor], x: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        h, c = cell(x, *state)
        return (h, c), h

    return scan(step, cell.initial_state(inputs.shape[1]), inputs)[1]


def draw(sizes: Sizes, rng: numpy.random.Generator, batch: int) -> Arrays:
    characters = rng.integers(0, sizes.characters, (sizes.length + 1, batch))
    return {"characters": characters[:-1], "targets": characters[1:]}


def loss(model: CharacterModel, data: dict[str, Tensor]) -> Tensor:
    return categorical_loss(model(data["characters"]), data["targets"]).mean()


WORKLOAD = Workload(
    title="Character LSTM",
    package=__package__,
    sizes=Sizes(),
    tiny=Sizes(characters=4, hidden=5, length=3),
    build=CharacterModel,
    draw=draw,
    loss=loss,
    optimiser=Adam(),
    clip=1.0,
    batches=(100,),
    peers={
        "PyTorch eager": Peer("torch"),
        "PyTorch eager, its LSTM": Peer("torch", {"fused": True}),
        "JAX jit": Peer("jax"),
        "JAX jit, elementwise recomputed": Peer("jax", {"recompute": "elementwise"}),
        "JAX jit, all recomputed": Peer("jax", {"recompute": "all"}),
    },
)
