"""What the passes did to a program, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from tinymem.engine.compile.layout import lay_out
from tinymem.engine.compile.lower_numpy import row_lifetimes
from tinymem.engine.compile.passes.plan import plan
from tinymem.engine.compile.program import Program, Row


@dataclass(frozen=True)
class PassStats:
    """One pass: how many rows it left (a loop's body counted once), and the bytes of their buffers."""

    name: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Stats:
    """One program in numbers."""

    passes: list[PassStats]
    unplanned: int
    """bytes if no buffer shared its memory with another"""
    lowering: str
    kernels: int
    """distinct compiled functions (NumPy: none)"""
    compiled: int
    """of these, how many were not in the cache"""
    calls: int
    """calls in one run, time steps included"""
    bytes: int
    """of the program's memory as it runs, without arguments and state"""
    seconds: dict[str, float]
    """record, passes, lowering (compilation included)"""

    def __str__(self) -> str:
        lines = ["pass        rows      memory"]
        lines += [f"{p.name:<10} {p.rows:5d} {p.bytes / 1e6:8.2f} MB" for p in self.passes]
        lines.append(f"without planning  {self.unplanned / 1e6:8.2f} MB")
        lines.append(
            f"lowered to {self.lowering}: {self.kernels} kernels, {self.compiled} compiled now, {self.calls} calls a run, "
            f"{self.bytes / 1e6:.2f} MB"
        )
        lines.append("seconds: " + ", ".join(f"{name} {seconds:.3f}" for name, seconds in self.seconds.items()))
        return "\n".join(lines)


def stats_of(after: Sequence[tuple[str, Program]], lowered: Any, seconds: dict[str, float]) -> Stats:
    """The numbers of one signature: its program after each pass, and as it was lowered."""
    return Stats(
        passes=[PassStats(name, count_rows(program.rows), planned_bytes(program, True)) for name, program in after],
        unplanned=planned_bytes(after[-1][1], False),
        lowering=lowered.name,
        kernels=lowered.kernels,
        compiled=lowered.compiled,
        calls=lowered.calls_in_a_run,
        bytes=lowered.bytes,
        seconds=dict(seconds),
    )


def count_rows(rows: Any) -> int:
    """Rows of a program, those of a loop's body counted once."""
    return sum(1 if isinstance(row, Row) else 1 + count_rows(row.rows) for row in rows)


def planned_bytes(program: Program, share: bool) -> int:
    """Bytes of all buffers but the inputs, each row on its own."""
    given = {value: numpy.empty(0, value.dtype) for value in program.inputs}
    lives = row_lifetimes(lay_out(program, given))
    return plan([(buffer, buffer.nbytes, *life) for buffer, life in lives.items()], share)[1]
