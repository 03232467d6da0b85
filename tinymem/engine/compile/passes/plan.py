"""Buffer planning: a buffer lives from its first write to its last read, and then its memory is another's.

*What it does to your gradient.*  Eager reverse mode keeps everything until Python lets go of it.  A program knows when
each number is read for the last time, so the arrays of the forward pass, the gradients and the update share one block.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Key = TypeVar("Key")
ALIGNMENT = 64  # bytes: a cache line, and the widest vector


def plan(intervals: Sequence[tuple[Key, int, int, int]], share: bool = True) -> tuple[dict[Key, int], int]:
    """Offsets in one block, and its size, for (key, bytes, first, last): two that live at the same time never overlap.

    The largest are placed first, each at the lowest place that is free during its life.  Without `share` nothing overlaps.
    """
    placed: list[tuple[int, int, int, int]] = []  # offset, end, first, last
    offsets: dict[Key, int] = {}
    total = 0
    for key, size, first, last in sorted(intervals, key=lambda entry: -entry[1]):
        room = -(-size // ALIGNMENT) * ALIGNMENT
        offset = 0 if share else total
        if share:
            for start, end, begins, ends in sorted(placed):
                if begins <= last and first <= ends:
                    if offset + room <= start:
                        break
                    offset = max(offset, end)
        placed.append((offset, offset + room, first, last))
        offsets[key] = offset
        total = max(total, offset + room)
    return offsets, total
