"""The passes, in the order they run: each takes a program and returns one that computes the same with less.

Passes on programs are functions; the others are switches of the layout and the lowering.  All can be left out by name.
"""

from __future__ import annotations

from collections.abc import Callable

from tinymem.engine.compile.passes.defer import defer
from tinymem.engine.compile.passes.fold import fold, without_dead_rows
from tinymem.engine.compile.passes.pieces import pieces
from tinymem.engine.compile.passes.recompute import recompute
from tinymem.engine.compile.program import Program

PROGRAM_PASSES: dict[str, Callable[[Program], Program]] = {
    "fold": fold,
    "recompute": lambda program: without_dead_rows(recompute(program)),
    "defer": lambda program: without_dead_rows(defer(program)),
    "pieces": pieces,
}
SWITCHES = {
    "plan": "buffer planning: memory is used again after its last read",
    "turn": "matrices with short rows are stored column after column",
    "fuse": "elementwise chains fused with their reductions",
    "stores": "values nobody reads from memory are not written to it",
}
