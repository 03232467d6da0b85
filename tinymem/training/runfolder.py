"""The folder of a run: its log, read even if its last line was torn, and the lock that keeps a second writer out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tinymem.training.checkpoints import CheckpointError, write_atomically

LAST, BEST, METRICS, LOCK = "last.safetensors", "best.safetensors", "metrics.jsonl", ".lock"


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log so far; a line that was cut off by a crash ends it."""
    path = folder / METRICS
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return lines


def write_log(folder: Path, lines: list[dict[str, Any]]) -> None:
    """The whole log anew."""
    write_atomically(folder / METRICS, "".join(json.dumps(line) + "\n" for line in lines).encode())


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; CheckpointError if another one trains in it.  The system frees it when we end, however."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "a+", encoding="utf-8") as file:
        try:
            _lock(file)
        except OSError:
            raise CheckpointError(f"{folder}: another process is training here; wait for it or stop it, or choose another --out") from None
        yield


def _lock(file: IO[str]) -> None:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
