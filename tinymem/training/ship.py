"""Trained runs as a project keeps them: `python -m tinymem.training.ship RUNS CHECKPOINTS`.

Runs that differ in their seed alone are a family: one file with the best parameters of every seed, one with their logs.
A file over 1 MB is stored in float16.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy

from tinymem.training.checkpoints import Arrays, CheckpointError, load_checkpoint, save_checkpoint, write_atomically
from tinymem.training.configs import from_plain
from tinymem.training.experiment import Experiment, rebuild
from tinymem.training.runfolder import BEST, read_log
from tinymem.training.sweep import DESCRIPTION

LARGEST = 1_000_000  # bytes


def ship(runs: Path, checkpoints: Path) -> list[Path]:
    """Bring every run below `runs` to `checkpoints`; returns the files with their parameters.

    ValueError, before anything is written, if one is unfinished.
    """
    families: dict[str, list[tuple[Experiment, Path]]] = {}
    for folder in sorted(folder for folder in runs.iterdir() if (folder / DESCRIPTION).exists()):
        experiment: Experiment = from_plain(json.loads((folder / DESCRIPTION).read_text(encoding="utf-8")))
        log = read_log(folder)
        if not log or log[-1]["update"] < experiment.schedule.updates or not (folder / BEST).exists():
            raise ValueError(f"{folder}: this run is not finished; the command that began it goes on from where it stopped")
        families.setdefault(experiment.family, []).append((experiment, folder))
    shipped = []
    for family, members in families.items():
        arrays: Arrays = {}
        notes: dict[str, Any] = {}
        lines = []
        for experiment, folder in sorted(members, key=lambda member: member[0].seed):
            own, note = load_checkpoint(folder / BEST)
            arrays |= {f"{experiment.seed}/{name}": array for name, array in own.items()}
            notes[str(experiment.seed)] = note
            lines += [json.dumps({"seed": experiment.seed, **line}) for line in read_log(folder)]
        if sum(array.nbytes for array in arrays.values()) > LARGEST:
            arrays = {name: array.astype(numpy.float16) for name, array in arrays.items()}
        shipped.append(checkpoints / f"{family}.safetensors")
        save_checkpoint(shipped[-1], arrays, {"seeds": notes})
        write_atomically(checkpoints / f"{family}.jsonl", ("\n".join(lines) + "\n").encode())
    return shipped


def load_shipped(checkpoints: Path, experiments: Sequence[Experiment]) -> list[tuple[Any, list[dict[str, Any]], dict[str, Any]]]:
    """(model, log, note) of each experiment, in order; CheckpointError if one was not shipped."""
    opened: dict[str, tuple[Arrays, dict[str, Any], list[dict[str, Any]]]] = {}
    found = []
    for experiment in experiments:
        path = checkpoints / f"{experiment.family}.safetensors"
        if experiment.family not in opened:
            arrays, note = load_checkpoint(path)
            log = [json.loads(line) for line in path.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()]
            opened[experiment.family] = arrays, note, log
        arrays, note, log = opened[experiment.family]
        own = note["seeds"].get(str(experiment.seed))
        if own is None:
            raise CheckpointError(f"{path}: holds the seeds {', '.join(note['seeds'])}, not {experiment.seed}; train it with --train")
        prefix = f"{experiment.seed}/"
        model, _ = rebuild(path, {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}, own)
        lines = [{name: value for name, value in line.items() if name != "seed"} for line in log if line["seed"] == experiment.seed]
        found.append((model, lines, own))
    return found


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m tinymem.training.ship RUNS CHECKPOINTS")
    for shipped_file in ship(Path(sys.argv[1]), Path(sys.argv[2])):
        print(shipped_file)
