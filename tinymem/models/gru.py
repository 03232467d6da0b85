"""The weights of a gated recurrent unit."""

from __future__ import annotations

import numpy

from tinymem.engine.tensor import Tensor
from tinymem.equations.recurrent import gru_step
from tinymem.models.module import Module, glorot, parameter


class GRUCell(Module):
    """h_t = GRU(x_t, h_{t-1}) with X inputs and H units."""

    def __init__(self, inputs: int, hidden: int, rng: numpy.random.Generator, dtype: str) -> None:
        self.W = glorot(rng, hidden, inputs, dtype, blocks=3)
        self.U = glorot(rng, hidden, hidden, dtype, blocks=3)
        self.b = parameter(numpy.zeros(3 * hidden), dtype)

    def __call__(self, x: Tensor, h: Tensor) -> Tensor:
        return gru_step(x, h, self.W, self.U, self.b)
