"""A program as text: numbered rows, each with its operation, shapes, equation and memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tinymem.engine.compile.program import Literal, Operand, Program, Row, Value, contiguous


def listing(program: Program, place: Callable[[Value], str] = lambda value: "") -> str:
    """Numbered rows: result, operation, operands with shapes | equation | buffer and bytes; loops indented."""
    return "\n".join(_Lines(program, place).lines())


class _Lines:
    def __init__(self, program: Program, place: Callable[[Value], str]) -> None:
        self.program, self.place = program, place
        self.names: dict[Value, str] = {value: value.name.replace(" ", "") for value in program.inputs}
        self.count = 0
        self.phase = ""

    def name(self, value: Value) -> str:
        return self.names.setdefault(value, f"v{len(self.names)}")

    def operand(self, operand: Operand) -> str:
        if isinstance(operand, Literal):
            return f"{operand.number:g}"
        name = self.name(operand.value)
        if operand.shape == operand.value.shape and operand.strides == contiguous(operand.shape) and not operand.offset:
            return name
        view = "x".join(map(str, operand.shape)) or "1"
        plain = operand.dense
        details = (
            ""
            if plain and not operand.offset
            else f" strides {','.join(map(str, operand.strides))}" + (f" from {operand.offset}" if operand.offset else "")
        )
        return f"{name}[{view}{details}]"

    def lines(self) -> Iterator[str]:
        for value in self.program.inputs:
            yield f"      input   {self.name(value)} {_kind(value)}"
        yield from self._rows(self.program.rows, "")
        for value, new in self.program.updates:
            yield f"      update  {self.name(value)} = {self.operand(new)}"
        for operand in self.program.outputs:
            yield f"      return  {self.operand(operand)} {operand.dtype}{list(operand.shape)}"

    def _rows(self, rows: Any, indent: str) -> Iterator[str]:
        for row in rows:
            if row.note.phase != self.phase:
                self.phase = row.note.phase
                yield f"-- {self.phase} --"
            self.count += 1
            number = f"{self.count:5d} "
            if isinstance(row, Row):
                yield self._row(row, number + indent)
                continue
            yield f"{number}{indent}loop t = {'T-1 … 0' if row.backwards else '0 … T-1'}, T = {row.length}"
            pad = "      " + indent + "  "
            for c in row.carries:
                yield f"{pad}carry   {self.name(c.inside)} {_kind(c.inside)}, at first {self.operand(c.start)}{self.place(c.inside)}"
            for s in row.slices:
                yield f"{pad}slice   {self.name(s.inside)} = {self.operand(s.outside)}[t] {_kind(s.inside)}"
            yield from self._rows(row.rows, indent + "  ")
            for c in row.carries:
                yield f"{pad}next    {self.name(c.inside)} = {self.operand(c.next)}; after the loop {self.name(c.final)}"
            for k in row.collected:
                yield f"{pad}collect {self.name(k.outside)}[t] = {self.operand(k.inside)}{self.place(k.outside)}"
            for s in row.summed:
                yield f"{pad}sum     {self.name(s.outside)} += {self.operand(s.inside)}"

    def _row(self, row: Row, start: str) -> str:
        attributes = "".join(f", {key} {value}" for key, value in row.attributes.items() if key in ("axes", "axis"))
        text = f"{start}{self.name(row.out)} {_kind(row.out)} = {row.op}({', '.join(map(self.operand, row.ins))}{attributes})"
        origin = " · ".join(part for part in (row.note.equation, row.note.line) if part)
        return f"{text:<100} | {origin}{self.place(row.out)}"


def _kind(value: Value) -> str:
    return f"{value.dtype}{list(value.shape)}"
