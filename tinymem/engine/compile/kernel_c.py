"""A fused kernel as the text of a C function.

Pointers are named in the order they are first needed and sizes that may be large come as arguments, so that kernels
that do the same have the same text, and are compiled once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from tinymem.engine.compile.layout import Buffer
from tinymem.engine.compile.passes.fuse import Kernel, Nest, conflicts, forwarded
from tinymem.engine.compile.program import Literal
from tinymem.engine.compile.statements import Place, Statement, span

C_TYPES = {"f4": "float", "f8": "double", "i8": "int64_t", "i4": "int32_t", "i2": "int16_t", "i1": "int8_t"} | {
    "u8": "uint64_t", "u4": "uint32_t", "u2": "uint16_t", "u1": "uint8_t", "b1": "uint8_t"
}  # fmt: skip
LANES = 16  # of a maximum: as many as the widest vector has, and no fewer than two of the narrow ones
LARGE = 1024  # an extent beyond this is an argument, so that kernels for other sizes share their text
SCRATCH = 1 << 16  # bytes a kernel may keep on its stack

# in every loop but the innermost: GCC 12 may vectorise such a loop instead, with masks, and gets it wrong
OUTER = ' __asm__ volatile("");'

BINARY = {"add": "{0} + {1}", "subtract": "{0} - {1}", "multiply": "{0} * {1}", "divide": "{0} / {1}", "equal": "{0} == {1}"} | {
    "not_equal": "{0} != {1}", "less": "{0} < {1}", "less_equal": "{0} <= {1}", "greater": "{0} > {1}", "greater_equal": "{0} >= {1}",
    "maximum": "({0} > {1} || {0} != {0}) ? {0} : {1}", "minimum": "({0} < {1} || {0} != {0}) ? {0} : {1}",
    "negative": "-{0}", "copy": "{0}", "where": "{0} ? {1} : {2}", "isfinite": "{0} - {0} == 0",
    "logical_and": "{0} && {1}", "logical_or": "{0} || {1}", "logical_not": "!{0}",
}  # fmt: skip
OWN = {"exp", "log", "log1p", "tanh"}  # of vector_math.h
LIBRARY = {"sqrt": "sqrt", "sin": "sin", "cos": "cos", "power": "pow"}


@dataclass(frozen=True)
class Source:
    """A kernel's text and what its call passes: (buffer, slot, element offset) for each pointer, and its constants."""

    text: str
    turns: int
    """of the outer loop"""
    divisible: bool
    """may its turns be shared out among threads?"""
    pointers: tuple[tuple[Buffer, tuple[int, int, int], int], ...]
    constants: tuple[int, ...]


def c_type(dtype: Any) -> str:
    return C_TYPES[numpy.dtype(dtype).str[1:]]


def source_of(kernel: Kernel, is_local: Callable[[Buffer], bool], store_all: bool = False) -> Source:
    """The C function of one kernel; `is_local` says whether nobody outside of it needs a buffer."""
    return _Writer(kernel, is_local, store_all).source()


class _Writer:
    def __init__(self, kernel: Kernel, is_local: Callable[[Buffer], bool], store_all: bool) -> None:
        self.kernel = kernel
        self.written = {(s.out.buffer, s.out.slot) for s in kernel.statements}
        self.pointers: dict[tuple[Buffer, tuple[int, int, int], int], tuple[str, str, bool]] = {}
        self.scratch: dict[Buffer, tuple[str, int, int]] = {}  # name, elements, outer stride
        self.constants: list[int] = []
        self.lines: list[str] = []
        self.names = 0
        local = {s.out.buffer for s in kernel.statements if is_local(s.out.buffer) and s.out.slot == (0, 0, 0)} if not store_all else set()
        self.turns = {buffer: turn for buffer in local if (turn := self._turn(buffer)) is not None}

    def _turn(self, buffer: Buffer) -> tuple[int, int] | None:
        """(elements of one turn, outer stride) of a buffer that can shrink to one turn's part; None if it cannot."""
        places = [(p, s.space) for s in self.kernel.statements for p in (*s.ins, s.out) if isinstance(p, Place) and p.buffer is buffer]
        if self.kernel.outer == 1:
            size = 1 + max(span(p, space)[1] for p, space in places)
            return (size, 0) if size * buffer.dtype.itemsize <= SCRATCH else None
        steps = {p.strides[0] for p, _ in places}
        if len(steps) != 1 or (step := steps.pop()) <= 0:
            return None
        turns = {bound // step for p, space in places for bound in span(p, space, slice(1, None))}
        return (step, step) if len(turns) == 1 and step * buffer.dtype.itemsize <= SCRATCH else None

    def source(self) -> Source:
        body: list[str] = []
        before: list[str] = []
        for nest in self.kernel.nests:
            self.lines = []
            before += self._nest(nest)
            body += self.lines
        declared = [f"  {kind} *restrict {name} = ({kind} *)p[{i}];" for i, (name, kind, _) in enumerate(self.pointers.values())]
        scratch = [f"    {c_type(buffer.dtype)} {name}[{size}];" for buffer, (name, size, _) in self.scratch.items()]
        constants = [f"  const int64_t n{i} = c[{i}];" for i in range(len(self.constants))]
        text = "\n".join(
            [
                "void KERNEL(char **p, const int64_t *c, int64_t first, int64_t last) {",
                *constants,
                *declared,
                *before,
                "  for (int64_t b = first; b < last; b++) {",
                OUTER,
                *scratch,
                *body,
                "  }",
                "}",
                "",
            ]
        )
        return Source(text, self.kernel.outer, not before, tuple(self.pointers), tuple(self.constants))

    # -- memory -----------------------------------------------------------------------------------------------------------------
    def _element(self, place: Place, strides: Sequence[int], indices: Sequence[str]) -> str:
        """The C expression of one element; `strides` are those of the (merged) inner axes."""
        if place.buffer in self.turns:
            size, step = self.turns[place.buffer]
            if place.buffer not in self.scratch:
                self.scratch[place.buffer] = (f"s{len(self.scratch)}", size, step)
            name, _, step = self.scratch[place.buffer]
            offset, lead = (place.offset % step if step else place.offset), 0
        else:
            written = (place.buffer, place.slot) in self.written
            key = (place.buffer, place.slot, 0 if written else place.offset)
            if key not in self.pointers:
                kind = c_type(place.dtype)
                self.pointers[key] = (f"a{len(self.pointers)}", kind if written else f"const {kind}", written)
            name, offset, lead = self.pointers[key][0], place.offset if written else 0, place.strides[0]
        terms = [f"b * {lead}"] if lead and self.kernel.outer > 1 else []
        terms += [index if s == 1 else f"{index} * {s}" for index, s in zip(indices, strides, strict=True) if s]
        if offset or not terms:
            terms.append(str(offset))
        return f"{name}[{' + '.join(terms)}]"

    def _fresh(self) -> str:
        self.names += 1
        return f"x{self.names}"

    # -- one nest ---------------------------------------------------------------------------------------------------------------
    def _nest(self, nest: Nest) -> list[str]:
        """Write the loops of one nest to `lines`; returns what must stand before the kernel's loop."""
        space, axes = _merged(nest)
        depth = len(space)
        before: list[str] = []
        inner = {(s, k): [place.strides[1 + a] for a in axes] for s in nest.statements for k, place in _places(s)}
        extents = []
        for n in space:
            if n > LARGE:
                self.constants.append(n)
            extents.append(f"n{len(self.constants) - 1}" if n > LARGE else str(n))
        indices = [f"i{k}" for k in range(depth)]
        reductions = [s for s in nest.statements if s.reduce and s.reduced]
        accumulators: dict[Statement, tuple[str, int]] = {}
        for s in reductions:
            strides = inner[s, -1]
            start = depth
            while start and strides[start - 1] == 0 and space[start - 1] > 1:
                start -= 1
            accumulators[s] = (self._fresh(), start)
            if self._in_memory(s, space, strides, start):  # its place must hold the neutral element first
                target = before if s.out.strides[0] == 0 and self.kernel.outer > 1 else self.lines
                if not s.add:
                    target += self._fill(s, space, strides, extents)
        lanes = any(s.reduce in ("max", "min") and accumulators[s][1] < depth and space[-1] >= LANES for s in reductions)
        self._loops(nest, 0, space, extents, indices, inner, accumulators, lanes)
        return before

    def _in_memory(self, s: Statement, space: Sequence[int], strides: Sequence[int], start: int) -> bool:
        """Is the reduction gathered in memory: over an index outside of one that remains, or over the kernel's own?"""
        outer = s.out.strides[0] == 0 and self.kernel.outer > 1
        return outer or any(strides[k] == 0 and space[k] > 1 for k in range(start))

    def _fill(self, s: Statement, space: Sequence[int], strides: Sequence[int], extents: Sequence[str]) -> list[str]:
        kept = [k for k in range(len(space)) if strides[k]]
        indices = [f"i{k}" for k in kept]
        target = self._element(s.out, [strides[k] for k in kept], indices)
        loops = "".join(f"for (int64_t {i} = 0; {i} < {extents[k]}; {i}++) " for i, k in zip(indices, kept, strict=True))
        return [f"    {loops}{target} = {_neutral(s)};"]

    def _loops(
        self, nest: Nest, level: int, space: Any, extents: Any, indices: list[str], inner: Any, accumulators: Any, lanes: bool
    ) -> None:
        pad = "    " + "  " * level
        depth = len(space)
        opened = [s for s, (_, start) in accumulators.items() if start == level and start < depth]
        blocked = lanes and level == depth - 1
        for s in opened:
            name, kind = accumulators[s][0], c_type(s.out.dtype)
            if lanes and accumulators[s][1] < depth:
                self.lines.append(f"{pad}{kind} {name}[{LANES}]; for (int l = 0; l < {LANES}; l++) {name}[l] = {_neutral(s)};")
            else:
                self.lines.append(f"{pad}{kind} {name} = {_neutral(s)};")
        if level == depth:
            self._body(nest, pad, indices, inner, accumulators, None, depth, lanes)
            return
        i, n = indices[level], extents[level]
        if blocked:
            whole = f"{n} / {LANES} * {LANES}" if not n.isdigit() else str(int(n) // LANES * LANES)
            self.lines.append(f"{pad}for (int64_t j = 0; j < {whole}; j += {LANES}) {{")
            self.lines.append(f"{pad}  VECTORISE\n{pad}  for (int l = 0; l < {LANES}; l++) {{ const int64_t {i} = j + l;")
            self._body(nest, pad + "    ", indices, inner, accumulators, "l", depth, lanes)
            self.lines.append(f"{pad}  }} }}")
            if not (n.isdigit() and int(n) % LANES == 0):
                self.lines.append(f"{pad}for (int64_t {i} = {whole}; {i} < {n}; {i}++) {{")
                self._body(nest, pad + "  ", indices, inner, accumulators, "0", depth, lanes)
                self.lines.append(f"{pad}}}")
        else:
            if level == depth - 1:
                self.lines.append(f"{pad}VECTORISE")
            self.lines.append(f"{pad}for (int64_t {i} = 0; {i} < {n}; {i}++) {{{'' if level == depth - 1 else OUTER}")
            self._loops(nest, level + 1, space, extents, indices, inner, accumulators, lanes)
            self.lines.append(f"{pad}}}")
        for s in opened:
            name = accumulators[s][0]
            if lanes and accumulators[s][1] < depth:
                self.lines.append(f"{pad}for (int l = 1; l < {LANES}; l++) {name}[0] = {_combine(s, f'{name}[0]', f'{name}[l]')};")
                name += "[0]"
            self._finish(s, name, pad, indices[:level], inner[s, -1][:level], space, accumulators[s][1])

    def _finish(self, s: Statement, name: str, pad: str, indices: Any, strides: Any, space: Any, start: int) -> None:
        target = self._element(s.out, strides, indices)
        if self._in_memory(s, space, [*strides, *[0] * (len(space) - len(strides))], start):
            self.lines.append(f"{pad}{target} = {_combine(s, target, name)};")
        else:
            self.lines.append(f"{pad}{target} {'+=' if s.add else '='} {name};")

    def _body(
        self, nest: Nest, pad: str, indices: list[str], inner: Any, accumulators: Any, lane: str | None, depth: int, lanes: bool
    ) -> None:
        computed: dict[int, str] = {}
        loaded: dict[Any, str] = {}
        for number, s in enumerate(nest.statements):
            operands = []
            for k, x in enumerate(s.ins):
                if isinstance(x, Literal):
                    operands.append(_number(x.number, s.loop[k] if k < len(s.loop) else s.out.dtype))
                    continue
                source = forwarded(nest, number, x)
                if source is not None:
                    operands.append(computed[source])
                    continue
                key = (x, tuple(inner[s, k]))
                if key not in loaded or self._changed(nest, number, x):
                    name = loaded[key] = self._fresh()
                    self.lines.append(f"{pad}const {c_type(x.dtype)} {name} = {self._element(x, inner[s, k], indices)};")
                operands.append(loaded[key])
            kind = c_type(s.out.dtype)
            value = self._fresh()
            self.lines.append(f"{pad}const {kind} {value} = {_expression(s, operands)};")
            computed[number] = value
            if s in accumulators and accumulators[s][1] < depth:
                name = accumulators[s][0]
                if lanes and accumulators[s][1] < depth:
                    name = f"{name}[{lane}]"
                self.lines.append(f"{pad}{name} = {_combine(s, name, value)};")
            elif s in accumulators:
                target = self._element(s.out, inner[s, -1], indices)
                self.lines.append(f"{pad}{target} = {_combine(s, target, value)};")
            elif s.add:
                target = self._element(s.out, inner[s, -1], indices)
                self.lines.append(f"{pad}{target} += {value};")
            elif self._needed(nest, number, s):
                self.lines.append(f"{pad}{self._element(s.out, inner[s, -1], indices)} = {value};")

    def _changed(self, nest: Nest, number: int, place: Place) -> bool:
        return any(s.out.buffer is place.buffer and s.out.slot == place.slot for s in nest.statements[:number])

    def _needed(self, nest: Nest, number: int, s: Statement) -> bool:
        """Must the result be written to memory: is it read outside of the kernel, or other than from the register?"""
        if s.out.buffer not in self.turns:
            return True
        for other_nest in self.kernel.nests:
            for index, other in enumerate(other_nest.statements):
                if other is s:
                    continue
                if other.add and other.out.buffer is s.out.buffer:
                    return True
                for x in other.ins:
                    if not isinstance(x, Place) or x.buffer is not s.out.buffer:
                        continue
                    here = other_nest is nest and forwarded(nest, index, x) == number
                    if not here and conflicts(s, other):
                        return True
        return False


def _places(s: Statement) -> list[tuple[int, Place]]:
    return [(k, x) for k, x in enumerate(s.ins) if isinstance(x, Place)] + [(-1, s.out)]


def _merged(nest: Nest) -> tuple[list[int], list[int]]:
    """The inner space with adjacent axes made one where every place allows; and, for each axis left, the innermost it was made of."""
    space: list[int] = []
    axes: list[int] = []
    places = [place for s in nest.statements for _, place in _places(s)]
    for k in _loop_order(nest, places):
        n = nest.space[k]
        if space and all(p.strides[1 + axes[-1]] == p.strides[1 + k] * n for p in places):
            space[-1] *= n
            axes[-1] = k
        else:
            space.append(n)
            axes.append(k)
    return space, axes


def _loop_order(nest: Nest, places: list[Place]) -> list[int]:
    """The axes longer than 1, innermost last: the one along which most places step to the next element in memory."""
    order = [k for k, n in enumerate(nest.space) if n > 1]
    if len(order) > 1:

        def smooth(k: int) -> tuple[int, int]:
            steps = [p.strides[1 + k] for p in places]
            return sum(abs(s) == 1 for s in steps) - sum(abs(s) > 1 for s in steps), k

        innermost = max(order, key=smooth)
        order.remove(innermost)
        order.append(innermost)
    return order


def _neutral(s: Statement) -> str:
    if s.reduce == "sum":
        return "0"
    if s.out.dtype.kind == "b":
        return "0" if s.reduce == "max" else "1"
    if s.out.dtype.kind == "f":
        return "-__builtin_inff()" if s.reduce == "max" else "__builtin_inff()"
    info = numpy.iinfo(s.out.dtype)
    return f"{info.min + 1} - 1" if s.reduce == "max" else str(info.max)


def _combine(s: Statement, total: str, value: str) -> str:
    if s.reduce == "sum":
        return f"{total} + {value}"
    sign = ">" if s.reduce == "max" else "<"
    return f"({value} {sign} {total} || {value} != {value}) ? {value} : {total}"


def _number(number: Any, dtype: Any) -> str:
    dtype = numpy.dtype(dtype)
    if dtype.kind == "f":
        value = float(dtype.type(number))
        if math.isnan(value):
            return '__builtin_nan("")'
        if math.isinf(value):
            return f"{'-' if value < 0 else ''}__builtin_inf()"
        text = repr(value)
        text = text if "." in text or "e" in text else text + ".0"
        return f"({text}{'f' if dtype.itemsize == 4 else ''})"
    return f"({int(number)})"


def _expression(s: Statement, operands: list[str]) -> str:
    kinds = [c_type(kind) for kind in s.loop] or [c_type(s.out.dtype)]
    cast = [x if x.startswith("(") else f"({kinds[min(k, len(kinds) - 1)]}){x}" for k, x in enumerate(operands)]
    if s.op == "where":
        cast[0] = operands[0]
    kind = numpy.dtype(s.loop[0]) if s.loop else s.out.dtype
    if s.op in BINARY:
        return BINARY[s.op].format(*cast)
    width = 32 if kind.itemsize == 4 else 64
    if s.op in OWN:
        return f"{s.op}_{width}({cast[0]})"
    return f"__builtin_{LIBRARY[s.op]}{'f' if width == 32 else ''}({', '.join(cast)})"
