"""Checkpoints: named arrays and a JSON note in one safetensors file, written whole or not at all.

Any framework can open them; nothing in them is executed.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy

FORMAT = "tinymem-1"
Arrays = dict[str, numpy.ndarray[Any, Any]]


class CheckpointError(RuntimeError):
    """A checkpoint cannot be read or written, or is not one of ours; the message says which file, why, and what to do."""


def save_checkpoint(path: Path, arrays: Mapping[str, Any], note: Mapping[str, Any]) -> None:
    """Write `arrays` (host arrays) and the JSON-able `note` to `path`; an old file stays until the new one is complete."""
    from safetensors.numpy import save

    # safetensors 0.8 writes wrong data for arrays that are not C-contiguous, without a word
    contiguous = {name: numpy.array(array, order="C", copy=True) for name, array in arrays.items()}
    payload = save(contiguous, metadata={"format": FORMAT, "note": json.dumps(note)})
    write_atomically(path, payload)


def write_atomically(path: Path, payload: bytes) -> None:
    """Write a file through a temporary neighbour and a rename, so that a reader sees the old or the new one, never half."""
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        raise CheckpointError(
            f"{path}: could not be written ({error.strerror or error}); nothing was changed. Free space, or choose another --out"
        ) from error


def load_checkpoint(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and the note of a checkpoint; CheckpointError if it is missing, truncated, damaged or not ours."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                said = metadata.get("format")
                raise CheckpointError(
                    f"{path}: a safetensors file, but no checkpoint of tinymem (its format says {said!r}, ours is {FORMAT!r})"
                )
            note = json.loads(metadata["note"])
            if not isinstance(note, dict):
                raise KeyError("note")
            return {name: file.get_tensor(name) for name in file.keys()}, note  # noqa: SIM118  # not a mapping
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint; train one first (--train), or check the path") from None
    except (SafetensorError, OSError, KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(
            f"{path}: not a readable checkpoint ({error}); it may be truncated. Delete it, and train or copy it again"
        ) from error
