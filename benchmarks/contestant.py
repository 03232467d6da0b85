"""What every workload and every implementation of one offers, so that all are checked and timed by the same lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy

from tinymem.engine.tensor import Tensor
from tinymem.training.optimisers import Adam, GravesRMSProp

Arrays = dict[str, numpy.ndarray[Any, Any]]


@dataclass(frozen=True)
class Contestant:
    """One implementation of a training step, at one batch of data and one precision."""

    gradients: Callable[[], tuple[float, Arrays]]  # loss and gradient by parameter name, at the parameters as they are now
    step: Callable[[], float]  # one training step: forward, backward, clip, update; changes the parameters, returns the loss
    parameters: Callable[[], Arrays]  # as they are now
    stats: Callable[[], Any] | None = None  # of a compiled step: what tinymem.compile says of it


Make = Callable[[Arrays, Arrays, str], Contestant]  # (parameters, data, dtype) -> Contestant


@dataclass(frozen=True)
class Peer:
    """A variant of a workload in another library: `loss(p, data, sizes, **options)` of the workload's module in_<library>."""

    library: Literal["torch", "jax"]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Workload:
    """A model, its data, its loss and its optimiser; and who else computes it."""

    title: str
    package: str  # where in_torch and in_jax are
    sizes: Any  # a frozen dataclass of whole numbers
    tiny: Any  # the same at sizes for a test
    build: Callable[[Any, numpy.random.Generator, str], Any]  # (sizes, rng, dtype) -> a tinymem Module
    draw: Callable[[Any, numpy.random.Generator, int], Arrays]  # (sizes, rng, batch) -> data by name
    loss: Callable[[Any, dict[str, Tensor]], Tensor]  # (model, data) -> a scalar
    optimiser: Adam | GravesRMSProp
    clip: float  # elementwise bound of the gradients
    batches: tuple[int, ...]
    peers: Mapping[str, Peer]

    def start(self, rng: numpy.random.Generator) -> Arrays:
        """Initial parameters with noise on all of them: no gradient is 0 by symmetry, so every one is compared."""
        fresh = self.build(self.sizes, rng, "float64").state()
        return {name: array + 0.02 * rng.standard_normal(array.shape) for name, array in fresh.items()}


def cast(data: Arrays, dtype: str) -> Arrays:
    """Data at a precision: floating-point arrays in `dtype`, integers as they are."""
    return {name: array.astype(dtype) if array.dtype.kind == "f" else array for name, array in data.items()}


def largest_difference(mine: Arrays, theirs: Arrays) -> float:
    """max over parameters of max |a - b| / max |a|."""
    if set(mine) != set(theirs):
        raise ValueError(f"different parameters: {sorted(set(mine) ^ set(theirs))}")
    return max(float(numpy.abs(mine[name] - theirs[name]).max() / numpy.abs(mine[name]).max()) for name in mine)
