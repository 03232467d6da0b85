"""Buffer planning: a buffer lives from its first write to its last read, and then its memory is another's.

*What it does to your gradient.*  Eager reverse mode keeps everything until Python lets go of it.  A program knows when
each number is read for the last time, so the arrays of the forward pass, the gradients and the update share one block.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tinymem.engine.compile.layout import Buffer, Order, steps_through_time

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


@dataclass(frozen=True)
class Touch:
    """A buffer is read or written in a stretch; `position` counts what runs, a loop's body once."""

    buffer: Buffer
    stretch: int
    position: int
    moving: bool
    """at a place that moves with the stretch's own time"""
    fresh: bool
    """the stretch writes it before it reads it, each time it runs"""


def lifetimes(
    order: Order, touches: Sequence[Touch], bounds: Sequence[tuple[int, int]], returned: Iterable[Buffer]
) -> dict[Buffer, tuple[int, int]]:
    """First and last position of every buffer that is to be planned; `bounds` are those of each stretch.

    What outlives a time step lives all of its loop, and what outlives a segment all of the loop over segments.
    """
    returned = {buffer for buffer in returned if buffer.array is None}
    touched = [touch for touch in touches if touch.buffer.array is None]
    stretches_of: dict[Buffer, set[int]] = {}
    outlives_a_segment: dict[Buffer, bool] = {}
    for touch in touched:
        stretches_of.setdefault(touch.buffer, set()).add(touch.stretch)
        loop, _ = order.stretches[touch.stretch]
        outlives_a_segment.setdefault(touch.buffer, not touch.fresh)
        outlives_a_segment[touch.buffer] |= touch.moving and not steps_through_time(loop)
    lives: dict[Buffer, tuple[int, int]] = {}

    def seen(buffer: Buffer, first: int, last: int) -> None:
        old = lives.get(buffer, (first, last))
        lives[buffer] = (min(old[0], first), max(old[1], last))

    for touch in touched:
        loop, _ = order.stretches[touch.stretch]
        region = order.regions.get(touch.stretch)
        everywhere = stretches_of[touch.buffer]
        if region and (outlives_a_segment[touch.buffer] or touch.buffer in returned or not everywhere <= set(region)):
            seen(touch.buffer, bounds[region[0]][0], bounds[region[-1]][1])
        elif steps_through_time(loop) and (touch.moving or not touch.fresh or len(everywhere) > 1):
            seen(touch.buffer, *bounds[touch.stretch])
        else:
            seen(touch.buffer, touch.position, touch.position)
    end = bounds[-1][1] + 1 if bounds else 0
    for buffer in returned:
        seen(buffer, end, end)
    return lives
