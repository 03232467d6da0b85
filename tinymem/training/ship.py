"""Bring trained runs into the project: `python -m tinymem.training.ship RUNS CHECKPOINTS`.

A shipped run is its description, its log and its best parameters; a file over 3 MB is stored in float16.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy

from tinymem.training.checkpoints import load_checkpoint, save_checkpoint
from tinymem.training.loop import BEST, METRICS
from tinymem.training.sweep import DESCRIPTION

LARGEST = 3_000_000  # bytes


def ship(runs: Path, checkpoints: Path) -> list[Path]:
    """Copy every finished run below `runs` to `checkpoints`; returns the new folders."""
    shipped = []
    for best in sorted(runs.glob(f"*/{BEST}")):
        folder = checkpoints / best.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        arrays, note = load_checkpoint(best)
        if best.stat().st_size > LARGEST:
            arrays = {name: array.astype(numpy.float16) for name, array in arrays.items()}
        save_checkpoint(folder / BEST, arrays, note)
        for name in (METRICS, DESCRIPTION):
            shutil.copyfile(best.parent / name, folder / name)
        shipped.append(folder)
    return shipped


if __name__ == "__main__":
    for shipped_folder in ship(Path(sys.argv[1]), Path(sys.argv[2])):
        print(shipped_folder)
