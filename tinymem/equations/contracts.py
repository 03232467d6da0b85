"""Declared domains: what an equation says of each operand, parsed, executed at each call, and open to generators.

A declaration is a domain word and a shape: "simplex (batch, N)", ">=1 (batch, 1)", "unit (batch, M)", "(4*H, X)".
Without a word any real number will do.  A length is a letter-name, a number, or arithmetic over names such as
"2*R + 1" (an odd length).  Shapes are checked at every call; domains of values are checked by the tests, since a
value is not read from a device without need.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

DOMAINS = {
    "": "any real number",
    "unit": "between 0 and 1",
    "positive": "greater than 0",
    ">=1": "at least 1",
    "unequal": "between 0 and 1; the result may jump where two along the last axis are equal",
    "simplex": "non-negative, summing to 1 along the last axis",
    "subsimplex": "non-negative, summing to at most 1 along the last axis",
    "one-hot": "one 1 and otherwise 0 along the last axis",
}


class ContractError(ValueError):
    """An operand does not have the shape its equation declares."""


@dataclass(frozen=True)
class Domain:
    """One declaration: `kind` (a key of DOMAINS) and the lengths of the axes as written."""

    kind: str
    lengths: tuple[str, ...]

    def __str__(self) -> str:
        shape = "(" + ", ".join(self.lengths) + ("," if len(self.lengths) == 1 else "") + ")"
        return f"{self.kind} {shape}".strip()


@cache
def parse_domain(declaration: str) -> Domain:
    """Domain of "simplex (batch, N)"; ValueError on an unknown word or a shape that is not written in brackets."""
    match = re.fullmatch(r"\s*([a-z>=1-]*)\s*\((.*)\)\s*", declaration)
    if match is None or match[1] not in DOMAINS:
        raise ValueError(f"domain {declaration!r}: write 'word (length, …)' with a word of {sorted(DOMAINS)} or none")
    return Domain(match[1], tuple(length.strip() for length in match[2].split(",") if length.strip()))


@cache
def names_in(length: str) -> tuple[str, ...]:
    """The names a length is made of: ("R",) for "2*R + 1"."""
    return tuple(sorted({node.id for node in ast.walk(ast.parse(length, mode="eval")) if isinstance(node, ast.Name)}))


def evaluate(length: str, sizes: Mapping[str, int]) -> int:
    """The number a length stands for, given the sizes of its names."""

    def value(node: ast.expr) -> int:
        match node:
            case ast.Constant(value=int(number)):
                return number
            case ast.Name(id=name):
                return sizes[name]
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return value(left) + value(right)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return value(left) * value(right)
        raise ValueError(f"length {length!r}: only names, numbers, + and * are understood")

    return value(ast.parse(length, mode="eval").body)


def _bind(length: str, actual: int, sizes: dict[str, int]) -> bool:
    """Does `actual` fit `length`?  Learns the one name that is still free, if there is one."""
    free = [name for name in names_in(length) if name not in sizes]
    if not free:
        return evaluate(length, sizes) == actual
    if len(free) > 1:
        return True  # no other axis tells them apart
    for candidate in range(actual + 1):
        if evaluate(length, {**sizes, free[0]: candidate}) == actual:
            sizes[free[0]] = candidate
            return True
    return False


def check_shapes(title: str, symbols: Mapping[str, str], domains: Mapping[str, Domain], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """ContractError unless all shapes fit the declared lengths together.

    The error names the equation, the operand with its symbol on the slide, the declared and the actual shape, and what
    the names of lengths were bound to by the operands before it.
    """
    sizes: dict[str, int] = {}
    bound_by: dict[str, str] = {}
    axes: list[tuple[str, int, str, int]] = []
    for operand, shape in shapes.items():
        domain = domains[operand]
        if len(shape) != len(domain.lengths):
            advice = ". Insert an axis of length 1 with x[:, None]" if len(shape) < len(domain.lengths) else ""
            raise ContractError(
                f"{title}: {_called(operand, symbols)} must have the {len(domain.lengths)} axes {domain}, "
                f"got shape {shape} with {len(shape)}{advice}"
            )
        axes += [(operand, axis, length, actual) for axis, (length, actual) in enumerate(zip(domain.lengths, shape, strict=True))]
    # a length of several names is asked last, when the other axes have told what they can
    for operand, axis, length, actual in sorted(axes, key=lambda entry: len(names_in(entry[2])) > 1):
        if _bind(length, actual, sizes):
            for name in names_in(length):
                bound_by.setdefault(name, operand)
            continue
        known = ", ".join(f"{name} = {sizes[name]} from {bound_by.get(name, operand)}" for name in names_in(length) if name in sizes)
        raise ContractError(
            f"{title}: {_called(operand, symbols)} must be {domains[operand]}, got shape {shapes[operand]}: "
            f"axis {axis} is {actual}, not {length}" + (f" ({known})" if known else "")
        )


def _called(operand: str, symbols: Mapping[str, str]) -> str:
    """The operand's name with its symbol on the slide, where that says more: "gate (g_t)", "W"."""
    symbol = symbols.get(operand, operand)
    return operand if symbol == operand else f"{operand} ({symbol})"


def shapes_of(title: str, symbols: Mapping[str, str], operands: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of every operand; ContractError for something that has none."""
    found = {}
    for name, operand in operands.items():
        shape = getattr(operand, "shape", None)
        if shape is None:
            raise ContractError(
                f"{title}: {_called(name, symbols)} must be a Tensor or an array, got {type(operand).__name__}; "
                "wrap it: tinymem.Tensor(value)"
            )
        found[name] = tuple(shape)
    return found
