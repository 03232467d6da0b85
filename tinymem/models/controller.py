"""What drives the heads of a machine with a memory: a feed-forward layer, which carries nothing, or an LSTM."""

from __future__ import annotations

from typing import Literal

import numpy

from tinymem.engine.ops import tanh
from tinymem.engine.tensor import Tensor
from tinymem.models.lstm import LSTMCell
from tinymem.models.module import Linear

Kind = Literal["feedforward", "lstm"]
Carried = tuple[Tensor, ...]
"""(h, c) of an LSTM, (batch, H) each; empty for a feed-forward layer"""

MEMORY_START = 1e-6  # Collier & Beel 2018: a constant start converges fastest; not 0, where the cosine has no direction


def require_kind(kind: str) -> None:
    """ValueError unless there is such a controller."""
    if kind not in ("feedforward", "lstm"):
        raise ValueError(f"controller must be 'feedforward' or 'lstm', got {kind!r}")


def build_controller(kind: Kind, inputs: int, hidden: int, rng: numpy.random.Generator, dtype: str) -> Linear | LSTMCell:
    """The weights of a controller with so many inputs and `hidden` units."""
    return (LSTMCell if kind == "lstm" else Linear)(inputs, hidden, rng, dtype)


def first_carried(unit: Linear | LSTMCell, batch: int) -> Carried:
    """What it carries before the first step."""
    return unit.initial_state(batch) if isinstance(unit, LSTMCell) else ()


def control(unit: Linear | LSTMCell, seen: Tensor, carried: Carried) -> tuple[Tensor, Carried]:
    """One step: what is seen (batch, X) -> the hidden vector (batch, H), and what is carried to the next step."""
    if isinstance(unit, LSTMCell):
        h, c = unit(seen, *carried)
        return h, (h, c)
    return tanh(unit(seen)), ()
