"""Windows of a picture as rows of a matrix, and back: what the rows im2col and col2im of `ops` compute with.  Arrays in, arrays out.

Pictures are (batch, height, width, channels).  A window of K × L pixels is moved by `stride` pixels over the picture, which is
surrounded by `padding` pixels of zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinymem.engine.arrays import add_at
from tinymem.engine.errors import OperandError

Index = tuple[slice, ...]


def places(length: int, size: int, stride: int, padding: int) -> int:
    """How many places a window has along an axis: ⌊(length + 2 padding - size) / stride⌋ + 1."""
    return (length + 2 * padding - size) // stride + 1


def gather_windows(xp: Any, x: Any, size: tuple[int, int], stride: int, padding: int) -> Any:
    """(B, H, W, C) -> (B, H', W', K L C): the pixels of the window at each place, row by row."""
    batch, height, width, channels = x.shape
    padded = xp.zeros((batch, height + 2 * padding, width + 2 * padding, channels), dtype=x.dtype)
    padded[_middle(padding, height, width)] = x
    return xp.concatenate([padded[pixel] for pixel in _pixels(x.shape, size, stride, padding)], axis=3)


def add_windows(xp: Any, columns: Any, shape: tuple[int, ...], size: tuple[int, int], stride: int, padding: int) -> Any:
    """(B, H', W', K L C) -> the picture (B, H, W, C) in which each window has been added at its place."""
    batch, height, width, channels = shape
    _require_columns(columns.shape, shape, size, stride, padding)
    padded = xp.zeros((batch, height + 2 * padding, width + 2 * padding, channels), dtype=columns.dtype)
    for number, pixel in enumerate(_pixels(shape, size, stride, padding)):
        padded = add_at(padded, columns[..., number * channels : (number + 1) * channels], pixel)
    return padded[_middle(padding, height, width)]


def _pixels(shape: tuple[int, ...], size: tuple[int, int], stride: int, padding: int) -> Iterator[Index]:
    """For each pixel of the window, where in the padded picture it stands at all places: a slice, so that a whole picture moves at once."""
    rows, columns = (places(n, k, stride, padding) for n, k in zip(shape[1:3], size, strict=True))
    for i in range(size[0]):
        for j in range(size[1]):
            yield slice(None), _every(i, rows, stride), _every(j, columns, stride)


def _every(first: int, count: int, stride: int) -> slice:
    return slice(first, first + (count - 1) * stride + 1, stride)


def _middle(padding: int, height: int, width: int) -> Index:
    return slice(None), slice(padding, padding + height), slice(padding, padding + width)


def _require_columns(given: tuple[int, ...], shape: tuple[int, ...], size: tuple[int, int], stride: int, padding: int) -> None:
    expected = (shape[0], *(places(n, k, stride, padding) for n, k in zip(shape[1:3], size, strict=True)), size[0] * size[1] * shape[3])
    if tuple(given) != expected:  # a slice would fit a wrong number of windows in silence
        raise OperandError(f"col2im: windows {tuple(given)} do not make pictures {shape}: expected {expected}")
