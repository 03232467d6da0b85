"""The baseline: a stack of LSTM layers with a linear output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from tinymem.engine.ops import broadcast_to
from tinymem.engine.tensor import Tensor
from tinymem.equations.recurrent import lstm_step
from tinymem.models.module import Linear, Module, glorot, parameter


@dataclass(frozen=True)
class LSTMConfig:
    """Size of a stacked LSTM."""

    inputs: int
    """length of an input vector"""
    outputs: int
    """length of an output vector (logits)"""
    hidden: int = 256
    """cells in each layer"""
    layers: int = 3
    """layers on top of each other"""

    def __post_init__(self) -> None:
        if any(type(size) is not int or size < 1 for size in (self.inputs, self.outputs, self.hidden, self.layers)):
            raise ValueError(f"every size of an LSTM must be a whole number, at least 1: {self}")

    def build(self, rng: numpy.random.Generator, dtype: str = "float32") -> LSTM:
        return LSTM(self, rng, dtype)


@dataclass(frozen=True)
class LSTMState:
    """Hidden and cell vectors of every layer, (batch, H) each."""

    h: tuple[Tensor, ...]
    c: tuple[Tensor, ...]

    def quantities(self) -> dict[str, Tensor]:
        return {f"{name}.{layer}": value for name in ("h", "c") for layer, value in enumerate(getattr(self, name))}


class LSTMCell(Module):
    """The weights of one layer, with a learned initial state; the forget gate's bias starts at 1 (Gers et al. 2000)."""

    def __init__(self, inputs: int, hidden: int, rng: numpy.random.Generator, dtype: str) -> None:
        self.W = glorot(rng, hidden, inputs, dtype, blocks=4)
        self.U = glorot(rng, hidden, hidden, dtype, blocks=4)
        self.b = parameter(numpy.repeat([0.0, 1.0, 0.0, 0.0], hidden), dtype)
        self.h0 = parameter(numpy.zeros((1, hidden)), dtype)
        self.c0 = parameter(numpy.zeros((1, hidden)), dtype)

    def initial_state(self, batch: int) -> tuple[Tensor, Tensor]:
        shape = (batch, self.h0.shape[1])
        return broadcast_to(self.h0, shape), broadcast_to(self.c0, shape)

    def __call__(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        return lstm_step(x, h, c, self.W, self.U, self.b)


class LSTM(Module):
    """Stacked LSTM: each layer reads the hidden vector of the layer below; the output is linear in the top one."""

    def __init__(self, config: LSTMConfig, rng: numpy.random.Generator, dtype: str = "float32") -> None:
        self.config = config
        widths = [config.inputs, *[config.hidden] * (config.layers - 1)]
        self.cells = [LSTMCell(width, config.hidden, rng, dtype) for width in widths]
        self.out = Linear(config.hidden, config.outputs, rng, dtype)

    def initial_state(self, batch: int) -> LSTMState:
        """The learned initial state of every layer, repeated over the batch."""
        h, c = zip(*(cell.initial_state(batch) for cell in self.cells), strict=True)
        return LSTMState(h, c)

    def step(self, state: LSTMState, x: Tensor) -> tuple[LSTMState, Tensor]:
        """One time step: x (batch, X) -> logits (batch, Y)."""
        hs, cs = [], []
        for cell, h, c in zip(self.cells, state.h, state.c, strict=True):
            x, c = cell(x, h, c)
            hs.append(x)
            cs.append(c)
        return LSTMState(tuple(hs), tuple(cs)), self.out(x)
