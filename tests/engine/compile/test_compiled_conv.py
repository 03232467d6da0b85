"""Convolution in a recorded step: the same numbers as eagerly, without an array function of its own."""

import numpy as np
import pytest
from agree import agree

import tinymem as tm
from tinymem.engine.conv import conv2d
from tinymem.engine.ops import im2col

GEOMETRIES = [((3, 3), 1, 1), ((3, 3), 2, 1), ((2, 3), 1, 0), ((3, 1), 2, 2), ((1, 1), 3, 0), ((2, 2), 2, 0)]
geometry = pytest.mark.parametrize(("size", "stride", "padding"), GEOMETRIES)


def operands(size):
    rng = np.random.default_rng(3)
    return rng.normal(size=(2, 5, 4, 2)), rng.normal(size=(3, *size, 2))


@geometry
def test_two_layers_and_their_gradients(size, stride, padding):
    picture, filters = operands(size)
    second = np.random.default_rng(4).normal(size=(2, 1, 2, 3))

    def network(state, x):
        hidden = tm.tanh(conv2d(state["scale"] * tm.Tensor(x), state["filters"], stride, padding))
        return conv2d(hidden, state["second"], 1, 1)

    agree(network, {"scale": picture, "filters": filters, "second": second}, picture + 1.0)


@geometry
def test_gathering_and_adding_windows_agree_bit_for_bit(size, stride, padding):
    """Nothing is rounded where numbers only move, and the additions of the replay keep their order."""

    def windows(state):
        return im2col(state["x"], size, stride, padding)

    agree(windows, {"x": operands(size)[0]}, tolerance=0.0, lowerings=("numpy",))


def test_a_second_derivative_is_recorded_too():
    picture, filters = operands((3, 3))

    def penalised(state, x):
        out = conv2d(state["x"] * tm.Tensor(x), state["filters"], 2, 1)
        (slope,) = tm.gradients((out * out).sum(), [state["x"]], create_graph=True)
        return slope

    agree(penalised, {"x": picture, "filters": filters}, picture)
