"""The plainest baseline: one recurrent layer with a linear output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from tinymem.engine.ops import broadcast_to
from tinymem.engine.tensor import Tensor
from tinymem.equations.recurrent import rnn_step
from tinymem.models.module import Linear, Module, glorot, parameter


@dataclass(frozen=True)
class RNNConfig:
    """Size of a recurrent network."""

    inputs: int
    """length of an input vector"""
    outputs: int
    """length of an output vector (logits)"""
    hidden: int = 40
    """units of the recurrent layer"""

    def __post_init__(self) -> None:
        if any(type(size) is not int or size < 1 for size in (self.inputs, self.outputs, self.hidden)):
            raise ValueError(f"every size of an RNN must be a whole number, at least 1: {self}")

    def build(self, rng: numpy.random.Generator, dtype: str = "float32") -> RNN:
        return RNN(self, rng, dtype)


@dataclass(frozen=True)
class RNNState:
    """The hidden vector (batch, H)."""

    h: Tensor

    def quantities(self) -> dict[str, Tensor]:
        return {"hidden": self.h}


class RNN(Module):
    """h_t = tanh(W x_t + U h_{t-1} + b), with a learned h_0 and a linear output."""

    def __init__(self, config: RNNConfig, rng: numpy.random.Generator, dtype: str = "float32") -> None:
        self.config = config
        self.W = glorot(rng, config.hidden, config.inputs, dtype)
        self.U = glorot(rng, config.hidden, config.hidden, dtype)
        self.b = parameter(numpy.zeros(config.hidden), dtype)
        self.h0 = parameter(numpy.zeros((1, config.hidden)), dtype)
        self.out = Linear(config.hidden, config.outputs, rng, dtype)

    def initial_state(self, batch: int) -> RNNState:
        """The learned initial state, repeated over the batch."""
        return RNNState(broadcast_to(self.h0, (batch, self.config.hidden)))

    def step(self, state: RNNState, x: Tensor) -> tuple[RNNState, Tensor]:
        """One time step: x (batch, X) -> logits (batch, Y)."""
        h = rnn_step(x, state.h, self.W, self.U, self.b)
        return RNNState(h), self.out(h)
