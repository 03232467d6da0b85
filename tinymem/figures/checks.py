"""What a figure asks of its data before it draws: shapes that agree, finite numbers, shares between 0 and 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy

Array = numpy.ndarray[Any, Any]

ROUNDING = 1e-4  # how far float32 may carry a share outside 0 … 1


def checked(**arrays: tuple[object, str]) -> tuple[Array, ...]:
    """Each (value, letters) as a float array; equal letters are equal sizes, a digit is that size: weights=(w, "T N")."""
    sizes: dict[str, tuple[int, str]] = {}
    result = []
    for name, (value, letters) in arrays.items():
        wanted = letters.split()
        expected = f"{name} must be an array of numbers ({', '.join(wanted)}{',' if len(wanted) == 1 else ''})"
        try:
            array = numpy.asarray(value, dtype=float)
        except (TypeError, ValueError):
            raise ValueError(f"{expected}, got {type(value).__name__}") from None
        if array.ndim != len(wanted):
            raise ValueError(f"{expected}, got the shape {array.shape}")
        if 0 in array.shape:
            raise ValueError(f"{expected} with something in it, got the empty shape {array.shape}")
        for letter, size in zip(wanted, array.shape, strict=True):
            known, where = (int(letter), "") if letter.isdigit() else sizes.setdefault(letter, (size, f"as in {name}"))
            if size != known:
                meant = "" if letter.isdigit() else f" with {letter} = {known} ({where})"
                raise ValueError(f"{expected}{meant}, got the shape {array.shape}")
        if not numpy.isfinite(array).all():
            raise ValueError(f"{name} holds NaN or infinity; a figure would hide it")
        result.append(array)
    return tuple(result)


def check_shares(**arrays: Array) -> None:
    """Every value lies in 0 … 1, the fixed scale on which it is drawn."""
    for name, array in arrays.items():
        low, high = array.min(), array.max()
        if low < -ROUNDING or high > 1 + ROUNDING:
            raise ValueError(f"{name} must lie between 0 and 1, got {low:.4g} … {high:.4g}; outputs are probabilities here, not logits")


def picked(what: str, given: Mapping[str, object], names: tuple[str, ...]) -> list[object]:
    """The named entries of a mapping, in this order."""
    missing = [name for name in names if name not in given]
    if missing:
        raise ValueError(f"{what} lacks {', '.join(missing)}; it needs {', '.join(names)}")
    return [given[name] for name in names]
