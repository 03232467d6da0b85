"""The text of a device's kernels: what CuPy's ElementwiseKernel and ReductionKernel are made from.

Pure functions from statements to text, so that the text is read, compiled and tested where there is no device.  One
element's work is C that CUDA and a host compiler both understand.  Parameters are named in the order they are first
needed, so that kernels that do the same have the same text, and are compiled once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from tinymem.engine.compile.kernel_c import BINARY
from tinymem.engine.compile.program import Literal
from tinymem.engine.compile.statements import Place, Statement

TYPES = {"f4": "float", "f8": "double", "i8": "long long", "i4": "int", "i2": "short", "i1": "signed char", "b1": "bool"} | {
    "u8": "unsigned long long", "u4": "unsigned int", "u2": "unsigned short", "u1": "unsigned char",
}  # fmt: skip
FUNCTIONS = {"exp": "exp", "log": "log", "log1p": "log1p", "tanh": "tanh", "sqrt": "sqrt", "sin": "sin", "cos": "cos", "power": "pow"}
LONGEST_NAME = 5  # operations that a kernel's name tells


@dataclass(frozen=True)
class Text:
    """One kernel.  Elementwise: `operation` is run for each element.  With `sums`, a reduction: it returns what is summed."""

    name: str
    in_params: str
    out_params: str
    operation: str
    sums: str = ""  # the C type of the sum

    def __str__(self) -> str:
        body = f"{self.preamble}\no0 = sum of {self.map_expression};" if self.sums else self.operation
        return f"{self.name}({self.in_params}) -> {self.out_params}\n{body}"

    @property
    def preamble(self) -> str:
        """The function that a reduction maps with."""
        parameters = ", ".join(f"const {TYPES[numpy.dtype(kind).str[1:]]} {name}" for kind, name in self._inputs())
        return f"__device__ {self.sums} {self.name}_map({parameters}) {{\n{self.operation}\n}}"

    @property
    def map_expression(self) -> str:
        return f"{self.name}_map({', '.join(name for _, name in self._inputs())})"

    def _inputs(self) -> list[list[str]]:
        return [entry.split() for entry in self.in_params.split(", ") if entry]


@dataclass(frozen=True)
class Launch:
    """One call of a kernel: its text, and the memory its parameters stand for, over one space of indices."""

    text: Text
    ins: tuple[Place, ...]
    outs: tuple[Place, ...]
    space: tuple[int, ...]
    axes: tuple[int, ...] = ()
    """the axes a reduction sums over"""
    added: tuple[Place, ...] = ()
    """those of `outs` that are read before they are written"""


def is_supported(s: Statement) -> bool:
    """Can a kernel compute this statement?  Else the array module's own function does."""
    kinds = [*(x.dtype for x in s.ins), *s.loop, s.out.dtype]
    if any(numpy.dtype(kind).str[1:] not in TYPES for kind in kinds):
        return False
    if s.op in FUNCTIONS:
        return all(numpy.dtype(kind).kind == "f" for kind in s.loop[:-1])
    return s.op in BINARY


def handed_on(statements: Sequence[Statement], index: int, place: Place) -> int | None:
    """The statement before `index` that just computed what stands at `place` (or added to it: its value is the sum)."""
    for before in range(index - 1, -1, -1):
        if statements[before].out == place and not statements[before].reduced:
            return before
    return None


def elementwise(statements: Sequence[Statement], stored: Callable[[Statement], bool]) -> Launch:
    """Statements over one space, none of them a reduction, as one kernel; `stored` says whose result must go to memory."""
    writer = _Writer(statements)
    for index, s in enumerate(statements):
        value = writer.compute(index)
        if s.add or stored(s):
            writer.store(s, value)
    added = tuple(dict.fromkeys(s.out for s in statements if s.add))
    return Launch(writer.text("", ""), tuple(writer.ins), tuple(writer.outs), statements[0].space, added=added)


def map_reduce(cone: Sequence[Statement], reduction: Statement) -> Launch:
    """A sum over `reduction.reduced` of what the cone's statements make of each element, as one kernel."""
    writer = _Writer([*cone, reduction])
    for index in range(len(cone) + 1):
        value = writer.compute(index)
    writer.lines.append(f"return {value};")
    kind = _kind(reduction.out.dtype)
    writer.outs[reduction.out] = "o0"
    return Launch(writer.text("sum_of_", kind), tuple(writer.ins), (reduction.out,), reduction.space, reduction.reduced)


class _Writer:
    """One element's work, line by line."""

    def __init__(self, statements: Sequence[Statement]) -> None:
        self.statements = statements
        self.ins: dict[Place, str] = {}
        self.outs: dict[Place, str] = {}
        self.values: list[str] = []
        self.lines: list[str] = []

    def compute(self, index: int) -> str:
        """The lines for one statement; the name of its value."""
        s = self.statements[index]
        operands = []
        for k, x in enumerate(s.ins):
            kind = s.loop[min(k, len(s.loop) - 1)] if s.loop else s.out.dtype
            if isinstance(x, Literal):
                operands.append(number(x.number, kind))
                continue
            source = handed_on(self.statements, index, x)
            name = self.values[source] if source is not None else self.ins.setdefault(x, f"a{len(self.ins)}")
            operands.append(name if s.op == "where" and k == 0 else f"({_kind(kind)}){name}")
        value = f"v{len(self.values)}"
        text = _expression(s, operands)
        if s.add:
            text = f"{self.outs.setdefault(s.out, f'o{len(self.outs)}')} + ({_kind(s.out.dtype)})({text})"
        self.lines.append(f"const {_kind(s.out.dtype)} {value} = {text};")
        self.values.append(value)
        return value

    def store(self, s: Statement, value: str) -> None:
        self.lines.append(f"{self.outs.setdefault(s.out, f'o{len(self.outs)}')} = {value};")

    def text(self, prefix: str, sums: str) -> Text:
        operations = [s.op for s in self.statements]
        more = len(operations) - LONGEST_NAME
        name = "_".join(["tinymem", *operations[:LONGEST_NAME]]) + (f"_and_{more}" if more > 0 else "")
        return Text(prefix + name, _parameters(self.ins), _parameters(self.outs), "\n".join(self.lines), sums)


def _parameters(places: dict[Place, str]) -> str:
    return ", ".join(f"{numpy.dtype(place.dtype).name} {name}" for place, name in places.items())


def _kind(dtype: Any) -> str:
    return TYPES[numpy.dtype(dtype).str[1:]]


def number(value: Any, dtype: Any) -> str:
    """A literal of one dtype in C."""
    dtype = numpy.dtype(dtype)
    if dtype.kind != "f":
        return f"({_kind(dtype)})({int(bool(value) if dtype.kind == 'b' else value)})"
    value, suffix = float(dtype.type(value)), "f" if dtype.itemsize == 4 else ""
    if math.isnan(value):
        return f"(0.0{suffix} * log{suffix}(0.0{suffix}))"  # CUDA and C share no name for it
    if math.isinf(value):
        return f"({'' if value < 0 else '-'}log{suffix}(0.0{suffix}))"
    text = repr(value)
    return f"({text if '.' in text or 'e' in text else text + '.0'}{suffix})"


def _expression(s: Statement, operands: list[str]) -> str:
    if s.op in BINARY:
        return BINARY[s.op].format(*operands)
    kind = numpy.dtype(s.loop[0])
    return f"{FUNCTIONS[s.op]}{'f' if kind.itemsize == 4 else ''}({', '.join(operands)})"
