"""Does attention lie on what a word names?  In a scene the places of the objects are known, so it can be scored.

Only NumPy here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import numpy.typing

from tinymem.tasks.scenes import OBJECT, SIZE, Scene, SceneError


def object_mask(scene: Scene, number: int, grid: int = 8, margin: float = 4.0) -> numpy.typing.NDArray[numpy.bool_]:
    """Which cells of a grid over the picture belong to an object: (grid, grid), rows from above.

    Those whose centre is less than `margin` pixels from it, for an annotation sees more than its own cell.  With 8 × 8 cells of 8 pixels
    and a margin of 4 these are the cells that the object touches.
    """
    if not 0 <= number < len(scene.objects):
        raise SceneError(f"this scene has the objects 0 … {len(scene.objects) - 1}, got {number}")
    one = scene.objects[number]
    centres = (numpy.arange(grid) + 0.5) * (SIZE / grid)
    rows, columns = ((at - margin < centres) & (centres < at + OBJECT + margin) for at in (one.y, one.x))
    return rows[:, None] & columns[None, :]


@dataclass(frozen=True)
class AttentionScore:
    """How well attention lies on what each word names, the mean over the words that name an object."""

    mass: float
    """share of the attention on the object"""
    pointing: float
    """how often the most attended location lies on the object"""
    chance: float
    """share of the locations that lie on the object: mass of even attention, and pointing of a random location"""
    words: int
    """how many words were scored"""


def score_attention(scenes: Sequence[Scene], weights: Any, margin: float = 4.0) -> AttentionScore:
    """Score attention weights (time, batch, L) on square grids: weights[t] are those with which word t of the true caption was emitted."""
    weights = numpy.asarray(weights)
    grid = round(weights.shape[-1] ** 0.5) if weights.ndim == 3 else 0
    longest = max((len(scene.words) for scene in scenes), default=0)
    if not scenes or weights.ndim != 3 or grid**2 != weights.shape[2] or weights.shape[1] != len(scenes) or weights.shape[0] < longest:
        raise SceneError(
            f"weights must be (time, batch, locations of a square grid), with a row for each of the {longest} words of {len(scenes)} "
            f"scenes, got shape {weights.shape}"
        )
    found = []
    for lane, scene in enumerate(scenes):
        masks = [object_mask(scene, number, grid, margin).reshape(-1) for number in (0, 1)]
        for time, number in enumerate(scene.about):
            if number >= 0:
                mask, row = masks[number], weights[time, lane]
                found.append((row[mask].sum(), mask[row.argmax()], mask.mean()))
    mass, pointing, chance = numpy.mean(found, axis=0).tolist()
    return AttentionScore(mass, pointing, chance, len(found))
