"""Bring trained runs into the project: `python -m tinymem.training.ship RUNS CHECKPOINTS`.

A shipped run is its description, its log and its best parameters; a file over 3 MB is stored in float16.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy

from tinymem.training.checkpoints import load_checkpoint, save_checkpoint
from tinymem.training.runfolder import BEST, METRICS, read_log
from tinymem.training.sweep import DESCRIPTION

LARGEST = 3_000_000  # bytes


def ship(runs: Path, checkpoints: Path) -> list[Path]:
    """Copy every run below `runs` to `checkpoints`; returns the new folders.

    ValueError, before anything is copied, if one is unfinished.
    """
    found = sorted(folder for folder in runs.iterdir() if (folder / DESCRIPTION).exists())
    for folder in found:
        updates, log = json.loads((folder / DESCRIPTION).read_text())["schedule"]["updates"], read_log(folder)
        if not log or log[-1]["update"] < updates or not (folder / BEST).exists():
            raise ValueError(f"{folder}: this run is not finished; the command that began it goes on from where it stopped")
    shipped = []
    for best in (folder / BEST for folder in found):
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
    if len(sys.argv) != 3:
        sys.exit("usage: python -m tinymem.training.ship RUNS CHECKPOINTS")
    for shipped_folder in ship(Path(sys.argv[1]), Path(sys.argv[2])):
        print(shipped_folder)
