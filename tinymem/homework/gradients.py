"""Who knows the right gradient: the complex step through the lecture's own equation, so that no derivation is trusted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy

from tinymem.engine.backend import to_host
from tinymem.homework.tasks import Array
from tinymem.testing.witnesses import complex_step


def by_complex_step(function: Callable[..., Any], operands: Sequence[Array], g: Array) -> tuple[Array, ...]:
    """The vector-Jacobian products gᵀ ∂f/∂operand, one array for each operand, element by element."""

    def weighed(values: list[Array]) -> Array:
        return numpy.array([numpy.sum(g * to_host(function(*values)))])

    found = []
    for place, operand in enumerate(operands):
        gradient = numpy.zeros(operand.shape)
        for index in numpy.ndindex(operand.shape):
            direction = [numpy.zeros(other.shape) for other in operands]
            direction[place][index] = 1
            slope = complex_step(weighed, list(operands), direction)
            if slope is None:
                raise ArithmeticError(f"{function.__name__} takes no complex numbers, so the complex step cannot tell its gradient")
            gradient[index] = slope[0]
        found.append(gradient)
    return tuple(found)
