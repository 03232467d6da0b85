"""Indices among the arguments, and the lengths they must fit: asked before a run, so that a wrong one changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinymem.engine.compile.program import AnyRow, Loop, Program, Value, View

INDEXED = ("take", "take_along", "put_taken", "put_along")


@dataclass(frozen=True)
class Bound:
    """Every number of an input lies in -length … length - 1; `line` is where it is used."""

    value: Value
    length: int
    line: str

    def require(self, array: Any) -> None:
        """IndexError with the number that does not fit."""
        if array.size and not -self.length <= array.min() <= array.max() < self.length:
            wrong = array.min() if array.min() < -self.length else array.max()
            raise IndexError(
                f"{self.value.name} of a compiled step holds the index {wrong}, used in {self.line} on an axis of length {self.length}: "
                f"indices (classes, words) must lie in 0 … {self.length - 1}"
            )


def bounds(program: Program) -> list[Bound]:
    """What must hold of the inputs that are used as indices."""
    found: dict[tuple[Value, int], Bound] = {}
    _collect(program.rows, {value: value for value in program.inputs}, found)
    return list(found.values())


def _collect(rows: Sequence[AnyRow], source: dict[Value, Value], found: dict[tuple[Value, int], Bound]) -> None:
    """`source` maps values that show numbers of an input, sliced or copied, to that input."""
    for row in rows:
        if isinstance(row, Loop):
            for s in row.slices:
                if isinstance(s.outside, View) and s.outside.value in source:
                    source[s.inside] = source[s.outside.value]
            _collect(row.rows, source, found)
        elif row.op == "copy" and isinstance(row.ins[0], View) and row.ins[0].value in source:
            source[row.out] = source[row.ins[0].value]
        elif row.op in INDEXED and isinstance(row.ins[1], View) and row.ins[1].value in source:
            value = source[row.ins[1].value]
            length = (row.out if row.op.startswith("put") else row.ins[0]).shape[row.attributes["axis"]]
            found.setdefault((value, length), Bound(value, length, row.note.line))
