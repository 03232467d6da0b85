"""The stack-RNN in tinymem, predicting the next symbol."""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from benchmarks.contestant import Arrays, Peer, Workload
from tinymem.engine.backend import creation_namespace
from tinymem.engine.losses import categorical_loss
from tinymem.engine.scan import scan
from tinymem.engine.tensor import Tensor
from tinymem.equations.stack import EMPTY, controller_hidden, push_value, stack_actions, stack_update
from tinymem.models.module import Module, glorot
from tinymem.training.optimisers import Adam


@dataclass(frozen=True)
class Sizes:
    symbols: int = 8
    hidden: int = 40
    stacks: int = 10
    depth: int = 60
    seen: int = 2  # k: the top cells of each stack that the hidden layer reads
    length: int = 50


class StackRNN(Module):
    """h_t = σ(U x_t + R h_{t-1} + P s^k_{t-1}); every stack is pushed to, popped from and kept, in shares that add up to 1."""

    def __init__(self, sizes: Sizes, rng: numpy.random.Generator, dtype: str) -> None:
        self.sizes = sizes
        self.U = glorot(rng, sizes.hidden, sizes.symbols, dtype)
        self.R = glorot(rng, sizes.hidden, sizes.hidden, dtype)
        self.P = glorot(rng, sizes.hidden, sizes.stacks * sizes.seen, dtype)
        self.A = glorot(rng, 3 * sizes.stacks, sizes.hidden, dtype)
        self.D = glorot(rng, sizes.stacks, sizes.hidden, dtype)
        self.V = glorot(rng, sizes.symbols, sizes.hidden, dtype)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Logits (time, batch, symbols) of the next symbol for one-hot inputs (time, batch, symbols)."""
        sizes, batch, xp, dtype = self.sizes, inputs.shape[1], creation_namespace(), self.U.dtype
        stacks = Tensor(xp.full((batch, sizes.stacks, sizes.depth), EMPTY, dtype=dtype))
        h = Tensor(xp.zeros((batch, sizes.hidden), dtype=dtype))

        def step(state: tuple[Tensor, Tensor], x: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
            h, stacks = state  # (batch, H), (batch, S, depth)
            tops = stacks[:, :, : sizes.seen].reshape(batch, sizes.stacks * sizes.seen)
            h = controller_hidden(x, h, tops, self.U, self.R, self.P)
            actions = stack_actions(h, self.A.reshape(sizes.stacks, 3, sizes.hidden))
            return (h, stack_update(stacks, actions, push_value(h, self.D))), h

        _, hidden = scan(step, (h, stacks), inputs)  # (time, batch, H)
        return hidden @ self.V.T


def draw(sizes: Sizes, rng: numpy.random.Generator, batch: int) -> Arrays:
    symbols = rng.integers(0, sizes.symbols, (sizes.length + 1, batch))
    return {"inputs": numpy.eye(sizes.symbols)[symbols[:-1]], "targets": symbols[1:]}


def loss(model: StackRNN, data: dict[str, Tensor]) -> Tensor:
    return categorical_loss(model(data["inputs"]), data["targets"]).mean()


WORKLOAD = Workload(
    title="Stack-RNN",
    package=__package__,
    sizes=Sizes(),
    tiny=Sizes(symbols=3, hidden=5, stacks=2, depth=4, length=4),
    build=StackRNN,
    draw=draw,
    loss=loss,
    optimiser=Adam(),
    clip=1.0,
    batches=(1, 32),
    peers={
        "PyTorch eager": Peer("torch"),
        "JAX jit": Peer("jax"),
        "JAX jit, elementwise recomputed": Peer("jax", {"recompute": "elementwise"}),
        "JAX jit, all recomputed": Peer("jax", {"recompute": "all"}),
        "JAX jit, elementwise recomputed, unroll 2": Peer("jax", {"recompute": "elementwise", "unroll": 2}),
    },
)
