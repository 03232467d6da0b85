"""Module: a thing with named parameters.  The only base class of the house; nothing inherits below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy

from tinymem.engine.backend import asarray, to_host
from tinymem.engine.tensor import Tensor


class ParameterError(ValueError):
    """Given parameters do not belong to this model; the message lists which are missing, unknown or of another shape."""


class Module:
    """Parameters are the tracked Tensors among a module's attributes, and those of the modules among them."""

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Pairs of dotted name and Tensor, in the order the attributes were set."""
        for name, value in vars(self).items():
            for suffix, item in enumerate(value) if isinstance(value, (list, tuple)) else ((None, value),):
                full = f"{prefix}{name}" if suffix is None else f"{prefix}{name}.{suffix}"
                if isinstance(item, Tensor) and item.requires_grad:
                    yield full, item
                elif isinstance(item, Module):
                    yield from item.named_parameters(f"{full}.")

    def parameters(self) -> dict[str, Tensor]:
        """All parameters by dotted name."""
        return dict(self.named_parameters())

    def count_parameters(self) -> int:
        """How many numbers are learned."""
        return sum(parameter.size for parameter in self.parameters().values())

    def state(self) -> dict[str, numpy.ndarray[Any, Any]]:
        """All parameters as host arrays of their own, for a checkpoint: training goes on without touching them."""
        return {name: numpy.array(to_host(parameter)) for name, parameter in self.named_parameters()}

    def load_state(self, arrays: Mapping[str, Any]) -> None:
        """Take parameters from arrays by name; all or nothing."""
        own = self.parameters()
        problems = [f"missing: {name}" for name in own if name not in arrays]
        problems += [f"unknown: {name}" for name in arrays if name not in own]
        problems += [
            f"{name} has shape {tuple(arrays[name].shape)}, the model {own[name].shape}"
            for name in own
            if name in arrays and tuple(arrays[name].shape) != own[name].shape
        ]
        if problems:
            raise ParameterError(f"these parameters do not belong to this {type(self).__name__}: {'; '.join(problems)}")
        for name, parameter in own.items():
            parameter.data = asarray(arrays[name], dtype=parameter.dtype)


def parameter(values: Any, dtype: str) -> Tensor:
    """A tracked Tensor on the context's backend; `values` are drawn on the host, so both backends see the same ones."""
    return Tensor(values, requires_grad=True, dtype=dtype)


def glorot(rng: numpy.random.Generator, rows: int, columns: int, dtype: str, blocks: int = 1) -> Tensor:
    """A weight matrix (blocks * rows, columns), uniform in ±√(6 / (rows + columns)) (Glorot & Bengio 2010); blocks share one scale."""
    bound = (6.0 / (rows + columns)) ** 0.5
    return parameter(rng.uniform(-bound, bound, size=(blocks * rows, columns)), dtype)


class Linear(Module):
    """y = W x + b with W of shape (outputs, inputs)."""

    def __init__(self, inputs: int, outputs: int, rng: numpy.random.Generator, dtype: str) -> None:
        self.W = glorot(rng, outputs, inputs, dtype)
        self.b = parameter(numpy.zeros(outputs), dtype)

    def __call__(self, x: Tensor) -> Tensor:
        return x @ self.W.T + self.b  # (batch, inputs) x (inputs, outputs) -> (batch, outputs)
