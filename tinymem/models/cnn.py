"""A small convolutional encoder: a picture becomes a grid of annotation vectors, one for each location (Xu et al. 2015, section 3.1.1).

It is trained as a classifier of small pictures and then frozen, as the paper's VGG was: a decoder reads `annotations`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from tinymem.engine.conv import conv2d
from tinymem.engine.errors import OperandError
from tinymem.engine.ops import relu, reshape
from tinymem.engine.tensor import Tensor
from tinymem.models.module import Linear, Module, parameter


@dataclass(frozen=True)
class EncoderConfig:
    """Size of a convolutional encoder: layers that halve the picture, each twice as wide as the one before, then one more at that size.

    Windows that move by 2 pixels have an even side, so that an annotation is centred on its own part of the picture; the last of them
    has 2 pixels only, lest an annotation see much more than an object.
    """

    size: int = 64
    """pixels of a side of a picture"""
    channels: int = 3
    """colours of a picture"""
    width: int = 16
    """outputs of the first layer"""
    halvings: int = 3
    """layers that halve the picture"""
    classes: int = 48
    """classes it tells apart while it is being trained"""

    def __post_init__(self) -> None:
        sizes = self.size, self.channels, self.width, self.halvings, self.classes
        if any(type(size) is not int or size < 1 for size in sizes):
            raise ValueError(f"every size of an encoder must be a whole number, at least 1: {self}")
        if self.size % self.cell:
            raise ValueError(f"a picture of {self.size} pixels cannot be halved {self.halvings} times: take a multiple of {self.cell}")

    @property
    def cell(self) -> int:
        """Pixels of a side of a location's own part of the picture."""
        return int(2**self.halvings)

    @property
    def grid(self) -> int:
        """Locations along a side: an 8 × 8 grid of a picture of 64 pixels."""
        return self.size // self.cell

    @property
    def locations(self) -> int:
        """L, locations of a picture."""
        return self.grid**2

    @property
    def features(self) -> int:
        """F, length of an annotation vector."""
        return int(self.width * 2 ** (self.halvings - 1))

    @property
    def windows(self) -> tuple[tuple[int, int], ...]:
        """Of each layer, the pixels of a side of its window and by how many it moves."""
        return ((4, 2),) * (self.halvings - 1) + ((2, 2), (3, 1))

    @property
    def receptive_field(self) -> int:
        """Pixels of a side of the square that an annotation sees: more than its location's own part of the picture."""
        seen, step = 1, 1
        for window, stride in self.windows:
            seen, step = seen + (window - 1) * step, step * stride
        return seen

    def build(self, rng: numpy.random.Generator, dtype: str = "float32") -> Encoder:
        return Encoder(self, rng, dtype)


class Convolution(Module):
    """relu(x * filters + b); filters normal with variance 2 / (numbers in a window) (He et al. 2015)."""

    def __init__(self, inputs: int, outputs: int, window: int, stride: int, rng: numpy.random.Generator, dtype: str) -> None:
        self.stride, self.padding = stride, (window - 1) // 2
        scale = (2.0 / (window * window * inputs)) ** 0.5
        self.filters = parameter(rng.normal(scale=scale, size=(outputs, window, window, inputs)), dtype)
        self.b = parameter(numpy.zeros(outputs), dtype)

    def __call__(self, x: Tensor) -> Tensor:
        return relu(conv2d(x, self.filters, self.stride, self.padding) + self.b)  # (B, H, W, inputs) -> (B, H/stride, W/stride, outputs)


class Encoder(Module):
    """Convolutions, and a linear classifier of the mean annotation for the time of its training."""

    def __init__(self, config: EncoderConfig, rng: numpy.random.Generator, dtype: str = "float32") -> None:
        self.config = config
        widths = [config.channels, *(config.width * 2**k for k in range(config.halvings)), config.features]
        sizes = zip(widths[:-1], widths[1:], config.windows, strict=True)
        self.layers = [Convolution(inputs, outputs, *window, rng, dtype) for inputs, outputs, window in sizes]
        self.out = Linear(config.features, config.classes, rng, dtype)

    def __call__(self, pictures: Tensor) -> Tensor:
        """Logits (B, classes) of pictures of any size, from the mean over their locations."""
        return self.out(self.feature_maps(pictures).mean((1, 2)))  # (B, F) -> (B, classes)

    def annotations(self, pictures: Tensor) -> Tensor:
        """a_1 … a_L: pictures (B, size, size, channels) with colours in [0, 1] -> (B, L, F), locations row by row.

        To use it frozen, ask within `tinymem.no_grad()`: no gradient then reaches its parameters.
        """
        size, channels = self.config.size, self.config.channels
        if tuple(pictures.shape[1:]) != (size, size, channels):
            raise OperandError(
                f"annotations: pictures must be (batch, {size}, {size}, {channels}), got {tuple(pictures.shape)}; "
                "a single picture needs a leading axis: picture[None]"
            )
        return reshape(self.feature_maps(pictures), pictures.shape[0], self.config.locations, self.config.features)

    def feature_maps(self, pictures: Tensor) -> Tensor:
        """The last layer's outputs, (B, H / cell, W / cell, F)."""
        x = 2.0 * pictures - 1.0  # so that grey is 0, as outside of the picture
        for layer in self.layers:
            x = layer(x)
        return x
