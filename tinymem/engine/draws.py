"""Random numbers inside a step: drawn on the host from an explicit generator, and drawn anew in every run of a compiled step."""

from __future__ import annotations

from typing import Any

import numpy

from tinymem.engine.backend import asarray
from tinymem.engine.notes import recorder
from tinymem.engine.ops import where
from tinymem.engine.tensor import Tensor, wrap

METHODS = ("random", "standard_normal", "standard_exponential")


def draw(generator: numpy.random.Generator, method: str, shape: tuple[int, ...], dtype: Any = "float32") -> Tensor:
    """An untracked Tensor of numbers from `generator`: method "random" (uniform in [0, 1)), "standard_normal" or "standard_exponential".

    Drawn in float64 and rounded, so that every dtype, backend and lowering sees the same numbers.
    """
    if method not in METHODS:
        raise ValueError(f"draw: unknown method {method!r}; the methods are {', '.join(METHODS)}")
    if not isinstance(generator, numpy.random.Generator):
        raise TypeError(f"draw: expected a numpy.random.Generator, got {type(generator).__name__}; write numpy.random.default_rng(seed)")
    active = recorder.get()
    if active is not None:
        return wrap(active.draw(generator, method, tuple(shape), dtype), None)
    return wrap(asarray(getattr(generator, method)(size=shape), dtype=dtype), None)


def dropout(x: Tensor, rate: float, generator: numpy.random.Generator | None) -> Tensor:
    """x with each element set to 0 with probability `rate` and the others divided by 1 - rate; x itself without a generator.

    So the mean stays as it is, and a model needs no other scale when nothing is dropped (Srivastava et al. 2014).
    """
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: the rate must be in 0 … 1, below 1, got {rate}")
    if generator is None or rate == 0:
        return x
    kept = draw(generator, "random", tuple(x.shape), x.dtype) >= rate
    return where(kept, x / (1 - rate), 0)
