"""Random numbers inside a step: drawn on the host from an explicit generator, and drawn anew in every run of a compiled step."""

from __future__ import annotations

from typing import Any

import numpy

from tinymem.engine.backend import asarray
from tinymem.engine.notes import recorder
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
