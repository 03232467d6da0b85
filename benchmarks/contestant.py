"""What every implementation of a workload offers, so that all are checked and timed by the same lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy

Arrays = dict[str, numpy.ndarray[Any, Any]]


@dataclass(frozen=True)
class Contestant:
    """One implementation of a training step, at one batch of data and one precision."""

    gradients: Callable[[], tuple[float, Arrays]]  # loss and gradient by parameter name, at the given parameters
    step: Callable[[], object]  # one training step: forward, backward, clip, update; changes the parameters
    parameters: Callable[[], Arrays]  # as they are now


def largest_difference(mine: Arrays, theirs: Arrays) -> float:
    """max over parameters of max |a - b| / max |a|."""
    if set(mine) != set(theirs):
        raise ValueError(f"different parameters: {sorted(set(mine) ^ set(theirs))}")
    return max(float(numpy.abs(mine[name] - theirs[name]).max() / numpy.abs(mine[name]).max()) for name in mine)
