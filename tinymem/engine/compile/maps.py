"""Elementwise operations: their names, and the dtypes they compute with, which NumPy itself says."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy

from tinymem.engine.compile.program import Literal, Operand

# name of a map row -> the ufunc that says its dtypes and, in a replay, computes it
MAPS: dict[str, numpy.ufunc] = {
    name: getattr(numpy, name)
    for name in (
        *("add", "subtract", "multiply", "divide", "negative", "power", "exp", "log", "log1p", "sqrt", "sin", "cos", "tanh"),
        *("maximum", "minimum", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
        *("isfinite", "logical_and", "logical_or", "logical_not"),
    )
}


@cache
def result_type(op: str, kinds: tuple[Any, ...]) -> tuple[numpy.dtype[Any], ...]:
    """The dtypes a ufunc computes with, its result's last; a Python type stands for a number that adapts."""
    resolved: tuple[numpy.dtype[Any], ...] = MAPS[op].resolve_dtypes((*kinds, None))
    return resolved


@cache
def summed_dtype(dtype: Any) -> Any:
    """The dtype of NumPy's sum of such numbers."""
    return numpy.add.reduce(numpy.zeros(1, dtype)).dtype


def kind_of(operand: Operand) -> Any:
    if operand.weak:
        return type(operand.number) if isinstance(operand, Literal) else int if operand.dtype.kind == "i" else float
    return operand.dtype
