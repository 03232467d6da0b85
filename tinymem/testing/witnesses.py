"""Who says that a derivative is right: the complex step, finite differences, one-sided differences.

All of them look at a function from a list of arrays to a vector, along one direction; none knows the engine.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy

Host = numpy.ndarray[Any, Any]
Function = Callable[[list[Host]], Host]

COMPLEX_STEP = "complex step"
FINITE_DIFFERENCES = "finite differences"
_STEP = 1e-20  # of the complex step: so small that its square vanishes
_LOOSE = 1e-6  # what finite differences can promise


@dataclass(frozen=True)
class Verdict:
    """Does the number agree, who was asked, what that witness says, and the largest error relative to the scale."""

    agrees: bool
    method: str
    expected: Host
    error: float


def judge(
    function: Function, values: list[Host], direction: list[Host], got: Host, scale: float, tolerance: float, trusted: bool = True
) -> Verdict:
    """Compare `got` with the derivative along `direction`: by the complex step, and where that is no witness by finite differences.

    When the two witnesses agree with each other, the sharper one is believed: a small mistake is not excused by the blunt one.
    """
    exact = complex_step(function, values, direction) if trusted else None
    if exact is not None and (error := _distance(got, exact) / scale) <= tolerance:
        return Verdict(True, COMPLEX_STEP, exact, error)
    rough = _central(function, values, direction, numpy.finfo(float).eps ** (1 / 3) * _reach(values, direction))
    wide, loose = max(scale, size(function(values))), max(tolerance, _LOOSE)
    if exact is not None and _distance(exact, rough) <= loose * wide:
        return Verdict(False, COMPLEX_STEP, exact, _distance(got, exact) / scale)
    error = _distance(got, rough) / wide
    return Verdict(error <= loose, FINITE_DIFFERENCES, rough, error)


def complex_step(function: Function, values: list[Host], direction: list[Host]) -> Host | None:
    """The derivative along `direction` to the last digit: imag f(x + ihv) / h.  None where f takes no complex numbers."""
    try:
        with warnings.catch_warnings(), numpy.errstate(all="ignore"):
            warnings.simplefilter("error", numpy.exceptions.ComplexWarning)
            return numpy.imag(function(_moved(values, direction, 1j * _STEP))) / _STEP
    except Exception:  # whatever it is, f is not made for complex numbers, and finite differences will tell
        return None


def is_honest(function: Function, values: list[Host], direction: list[Host]) -> bool:
    """Cross-examine the complex step: through abs or conj it is silently wrong, and a wrong gradient could agree with it."""
    exact = complex_step(function, values, direction)
    if exact is None:
        return False
    coarse, fine = (_central(function, values, direction, step * _reach(values, direction)) for step in (1e-4, 1e-5))
    scale = size(exact, fine, function(values))
    converged = _distance(coarse, fine) <= _LOOSE * scale  # else finite differences prove nothing here
    return not (converged and _distance(fine, exact) > 1e-4 * scale)


def kink(function: Function, values: list[Host], direction: list[Host]) -> tuple[int, str] | None:
    """The component of y = function(x) that has a kink or a jump here, and y at x-h, x, x+h; None if there is none.

    As h shrinks, the slopes to the two sides do not approach each other at a kink, and the mean slope explodes at a jump.
    """
    here, gaps, slopes = function(values), [], []
    for step in (1e-3 * _reach(values, direction), 1e-5 * _reach(values, direction)):
        with numpy.errstate(all="ignore"):
            before, after = function(_moved(values, direction, -step)), function(_moved(values, direction, step))
        gaps.append(numpy.abs((after - here) - (here - before)) / step)
        slopes.append(numpy.abs(after - before) / step)
    visible = 1e-4 * numpy.maximum(1, numpy.abs(here))  # well above the rounding errors of the smaller step
    bent = ((gaps[1] > visible) & (gaps[1] > 0.5 * gaps[0])) | ((slopes[1] > visible) & (slopes[1] > 50 * slopes[0]))
    if not bent.any():
        return None
    worst = int(numpy.argmax(numpy.where(bent, gaps[1] + slopes[1], 0.0)))
    return worst, f"y(x-h) = {before[worst]:.12g}, y(x) = {here[worst]:.12g}, y(x+h) = {after[worst]:.12g} with h = {step:.1g}"


def size(*arrays: Any) -> float:
    """The largest magnitude, at least 1: what errors are relative to."""
    return max([1.0, *(float(numpy.max(numpy.abs(array), initial=0.0)) for array in arrays)])


def _central(function: Function, values: list[Host], direction: list[Host], step: float) -> Host:
    with numpy.errstate(all="ignore"):
        quotient: Host = (function(_moved(values, direction, step)) - function(_moved(values, direction, -step))) / (2 * step)
    return quotient


def _moved(values: list[Host], direction: list[Host], step: complex) -> list[Host]:
    return [value + step * v for value, v in zip(values, direction, strict=True)]


def _reach(values: list[Host], direction: list[Host]) -> float:
    """How large the elements are that a step moves."""
    return size(*(x * (v != 0) for x, v in zip(values, direction, strict=True)))


def _distance(a: Host, b: Host) -> float:
    """The largest difference; not a number counts as infinitely wrong."""
    return float(numpy.nan_to_num(numpy.max(numpy.abs(a - b), initial=0.0), nan=numpy.inf))
