"""Hypothesis strategies made from what an equation declares: inputs of every shape and value it takes, and shapes it must refuse.

All numbers are thousandths of whole numbers (or shares of whole numbers), so a counterexample shrinks to one a student
can put into the slide by hand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinymem.equations.contracts import Domain, evaluate, names_in
from tinymem.equations.registry import Equation

Host = numpy.ndarray[Any, Any]
Shapes = dict[str, tuple[int, ...]]


# -- sizes ---------------------------------------------------------------------------------------------------------------
def sizes_of(equation: Equation, max_length: int = 5) -> st.SearchStrategy[dict[str, int]]:
    """A size for every named length of the equation, such that no axis is empty and no name is above `max_length`."""
    lengths = [length for domain in equation.domains.values() for length in domain.lengths]
    names = list(dict.fromkeys(name for length in lengths for name in names_in(length)))
    return st.fixed_dictionaries({name: st.integers(*_range_of(name, lengths, max_length)) for name in names})


def _range_of(name: str, lengths: list[str], max_length: int) -> tuple[int, int]:
    """From 1 to max_length; where 0 already gives an axis an element, as in 2*R + 1, from 0 to what keeps the axis within max_length."""
    mine = [length for length in lengths if name in names_in(length)]
    others = {other: 1 for length in mine for other in names_in(length)}
    if any(evaluate(length, {**others, name: 0}) < 1 for length in mine):
        return 1, max_length
    fitting = [size for size in range(max_length + 1) if all(evaluate(length, {**others, name: size}) <= max_length for length in mine)]
    return 0, max(fitting, default=0)


def shapes_of_sizes(equation: Equation, sizes: Mapping[str, int]) -> Shapes:
    """The shape of every operand once the named lengths are known."""
    return {name: tuple(evaluate(length, sizes) for length in domain.lengths) for name, domain in equation.domains.items()}


# -- values --------------------------------------------------------------------------------------------------------------
def _thousandths(shape: tuple[int, ...], low: int, high: int, either_sign: bool = False) -> st.SearchStrategy[Host]:
    whole = st.integers(low, high)
    return hnp.arrays(numpy.int64, shape, elements=whole | whole.map(lambda n: -n) if either_sign else whole).map(lambda n: n / 1000)


def _shares(whole: Host) -> Host:
    total = whole.sum(-1, keepdims=True)
    shares: Host = numpy.where(total > 0, whole, 1) / numpy.where(total > 0, total, whole.shape[-1])  # all zero: everywhere alike
    return shares


def _one_hot(shape: tuple[int, ...]) -> st.SearchStrategy[Host]:
    places = hnp.arrays(numpy.int64, shape[:-1], elements=st.integers(0, shape[-1] - 1))
    return places.map(lambda place: numpy.eye(shape[-1])[place])


def values_in(domain: Domain, shape: tuple[int, ...], boundary: bool = False) -> st.SearchStrategy[Host]:
    """Float64 arrays of this shape in the domain.

    Well inside it unless `boundary` is asked for: then simplexes hold exact zeros and one-hots, units exact zeros and
    ones, and real numbers come as close to 0 as they like, where norms have no direction and derivatives may be huge.
    """
    match domain.kind:
        case "" if boundary:
            return _thousandths(shape, -2000, 2000)
        case "":
            return _thousandths(shape, 100, 2000, either_sign=True)
        case "unit":
            return _thousandths(shape, 0, 1000) if boundary else _thousandths(shape, 21, 979)
        case "unequal" if boundary:
            return _thousandths(shape, 0, 1000)
        case "unequal":
            count = math.prod(shape)
            different = st.lists(st.integers(21, 979), min_size=count, max_size=count, unique=True)
            return different.map(lambda whole: numpy.array(whole).reshape(shape) / 1000)
        case "positive":
            return _thousandths(shape, 50, 5000)
        case ">=1":
            return _thousandths(shape, 1000, 5000)
        case "simplex" if boundary:
            return _one_hot(shape) | hnp.arrays(numpy.int64, shape, elements=st.integers(0, 3)).map(_shares)
        case "simplex":
            return hnp.arrays(numpy.int64, shape, elements=st.integers(20, 1000)).map(_shares)
        case "subsimplex":  # shares with one more for nobody, which is left out
            return values_in(Domain("simplex", domain.lengths), (*shape[:-1], shape[-1] + 1), boundary).map(lambda all: all[..., :-1])
        case "one-hot":
            return _one_hot(shape)
    raise NotImplementedError(f"no values can be drawn for the domain {domain.kind!r}; add it to tinymem.testing.strategies")


@st.composite
def inputs_of(draw: st.DrawFn, equation: Equation, max_length: int = 5, boundary: bool = False) -> dict[str, Host]:
    """Operands of an equation by name in the declared order: float64 arrays, each in its domain, their named lengths shared."""
    shapes = shapes_of_sizes(equation, draw(sizes_of(equation, max_length)))
    return {name: draw(values_in(domain, shapes[name], boundary)) for name, domain in equation.domains.items()}


def in_domain(array: Any, domain: Domain) -> bool:
    """Does a host array lie in the declared domain, up to the rounding of its dtype?  No element may be NaN or infinite."""
    array = numpy.asarray(array)
    if array.ndim != len(domain.lengths) or not numpy.all(numpy.isfinite(array)):
        return False
    slack = 8 * float(numpy.finfo(array.dtype).eps) * max(1, array.shape[-1] if array.ndim else 1)
    match domain.kind:
        case "":
            return True
        case "unit" | "unequal":
            return bool(numpy.all((array >= -slack) & (array <= 1 + slack)))
        case "positive":
            return bool(numpy.all(array > 0))
        case ">=1":
            return bool(numpy.all(array >= 1 - slack))
        case "simplex":
            return bool(numpy.all(array >= 0) and numpy.all(numpy.abs(array.sum(-1) - 1) <= slack))
        case "subsimplex":
            return bool(numpy.all(array >= -slack) and numpy.all(array.sum(-1) <= 1 + slack))
        case "one-hot":
            return bool(numpy.all((array == 0) | (array == 1)) and numpy.all(array.sum(-1) == 1))
    raise NotImplementedError(f"the domain {domain.kind!r} cannot be decided; add it to tinymem.testing.strategies")


# -- what does not fit ---------------------------------------------------------------------------------------------------
@st.composite
def shapes_that_do_not_fit(draw: st.DrawFn, equation: Equation, max_length: int = 5) -> tuple[str, Shapes]:
    """Shapes of all operands of which one, named first, was given a wrong rank or a length that contradicts the others."""
    shapes = shapes_of_sizes(equation, draw(sizes_of(equation, max_length)))
    operand = draw(st.sampled_from(list(shapes)))
    shape = shapes[operand]
    wrong: list[tuple[int, ...]] = [shape[1:], (1, *shape), (*shape, 1)]
    for axis, length in enumerate(equation.domains[operand].lengths):
        wrong += [
            (*shape[:axis], other, *shape[axis + 1 :])
            for other in (shape[axis] + 1, shape[axis] + 2)
            if not _can_be(equation, operand, axis, length, other)
        ]
    return operand, {**shapes, operand: draw(st.sampled_from(wrong))}


def _can_be(equation: Equation, operand: str, axis: int, length: str, actual: int) -> bool:
    """Could this axis have another length with all other axes as they are?  Only if none of them knows its name, and the sum works out."""
    names = names_in(length)
    if not names:
        return False
    elsewhere = {
        name
        for other, domain in equation.domains.items()
        for place, text in enumerate(domain.lengths)
        if (other, place) != (operand, axis)
        for name in names_in(text)
    }
    if set(names) <= elsewhere:
        return False
    return len(names) > 1 or any(evaluate(length, {names[0]: size}) == actual for size in range(actual + 1))
