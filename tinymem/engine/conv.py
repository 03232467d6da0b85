"""Convolution of pictures: windows as rows of a matrix (im2col), then one matrix product."""

from __future__ import annotations

from typing import Any

from tinymem.engine.errors import OperandError
from tinymem.engine.ops import im2col, matmul, reshape, transpose
from tinymem.engine.tensor import Tensor


def conv2d(x: Any, filters: Any, stride: int = 1, padding: int = 0) -> Tensor:
    """out[b, i, j, o] = Σ_{k, l, c} filters[o, k, l, c] x[b, i stride + k - padding, j stride + l - padding, c], x zero outside.

    x (B, H, W, C) pictures, channels last; filters (O, K, L, C); result (B, H', W', O) with H' = ⌊(H + 2 padding - K) / stride⌋ + 1.
    As in every such network the filter is not turned around: strictly, this is a cross-correlation.
    """
    if getattr(filters, "ndim", 0) != 4:
        raise OperandError(f"conv2d: filters must be (outputs, rows, columns, channels), got shape {tuple(getattr(filters, 'shape', ()))}")
    outputs, rows, columns, channels = filters.shape
    windows = im2col(x, (rows, columns), stride, padding)  # (B, H', W', K L C)
    if x.shape[3] != channels:
        raise OperandError(
            f"conv2d: x {tuple(x.shape)} has {x.shape[3]} channels, filters {tuple(filters.shape)} expect {channels}; "
            "channels come last in both"
        )
    return matmul(windows, transpose(reshape(filters, outputs, rows * columns * channels)))
