"""Convolution: the sum of its definition, both derivatives, dtype, device, and what it refuses."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import tinymem as tm
from tinymem.engine.conv import conv2d
from tinymem.engine.ops import _col2im, im2col
from tinymem.testing.check import check_grad

GEOMETRIES = [((3, 3), 1, 1), ((3, 3), 2, 1), ((2, 3), 1, 0), ((3, 1), 2, 2), ((1, 1), 3, 0), ((2, 2), 2, 0)]
geometry = pytest.mark.parametrize(("size", "stride", "padding"), GEOMETRIES)


def by_definition(x: Any, filters: Any, stride: int, padding: int) -> Any:
    """Σ over the pixels of a window, written as loops; outside of the picture is zero."""
    batch, height, width, _ = x.shape
    outputs, rows, columns, _ = filters.shape
    down, across = (height + 2 * padding - rows) // stride + 1, (width + 2 * padding - columns) // stride + 1
    out = np.zeros((batch, down, across, outputs))
    for i, j, k, m in np.ndindex(down, across, rows, columns):
        y, z = i * stride + k - padding, j * stride + m - padding
        if 0 <= y < height and 0 <= z < width:
            out[:, i, j] += x[:, y, z] @ filters[:, k, m].T
    return out


def operands(seed: int, size: tuple[int, int], height: int = 5, width: int = 4, channels: int = 2, outputs: int = 3) -> Any:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(2, height, width, channels)), rng.normal(size=(outputs, *size, channels))


@given(
    seed=st.integers(0, 1000),
    size=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    extra=st.tuples(st.integers(0, 4), st.integers(0, 4)),
)
def test_it_is_the_sum_over_the_window(seed: int, size: tuple[int, int], stride: int, padding: int, extra: tuple[int, int]) -> None:
    x, filters = operands(seed, size, *(k + n for k, n in zip(size, extra, strict=True)))
    out = conv2d(tm.Tensor(x), tm.Tensor(filters), stride, padding)
    np.testing.assert_allclose(out.data, by_definition(x, filters, stride, padding), rtol=1e-12, atol=1e-12)


@geometry
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=3)
@given(seed=st.integers(0, 1000))
def test_first_and_second_derivatives_are_right(backend: Any, seed: int, size: Any, stride: int, padding: int) -> None:
    report = check_grad(lambda x, filters: conv2d(x, filters, stride, padding), *operands(seed, size))
    assert report.methods == ("complex step",) * 2


def test_two_layers_with_a_nonlinearity_differentiate_twice() -> None:
    x, first = operands(0, (3, 3))
    second = np.random.default_rng(1).normal(size=(2, 3, 3, 3))
    check_grad(lambda x, f, g: conv2d(tm.tanh(conv2d(x, f, 2, 1)), g, 1, 1), x, first, second)


def test_gathering_and_adding_windows_are_transposes() -> None:
    """<u, im2col x> = <col2im u, x> for all u and x, which is what makes each the gradient of the other."""
    rng = np.random.default_rng(0)
    for size, stride, padding in GEOMETRIES:
        x = tm.Tensor(rng.normal(size=(2, 5, 4, 3)), requires_grad=True)
        windows = im2col(x, size, stride, padding)
        u = rng.normal(size=windows.shape)
        windows.backward(u)
        np.testing.assert_allclose((u * windows.data).sum(), (x.grad * x.data).sum(), rtol=1e-12)


def test_each_pixel_counts_as_often_as_windows_cover_it() -> None:
    x = tm.Tensor(np.ones((1, 4, 4, 1)), requires_grad=True)
    im2col(x, (3, 3), 1, 1).backward(np.ones((1, 4, 4, 9)))
    once = np.array([2, 3, 3, 2])
    np.testing.assert_array_equal(x.grad[0, :, :, 0], np.outer(once, once))


@pytest.mark.parametrize("create_graph", [False, True])
def test_single_precision_stays_single(create_graph: bool) -> None:
    x, filters = (tm.Tensor(a, requires_grad=True, dtype="float32") for a in operands(0, (3, 3)))
    out = conv2d(x, filters, 2, 1)
    assert out.dtype == np.float32
    for gradient in tm.gradients(out, [x, filters], np.ones(out.shape, "float32"), create_graph=create_graph):
        assert gradient.dtype == np.float32


def test_what_does_not_fit_is_refused_with_what_to_do() -> None:
    x, filters = (tm.Tensor(a) for a in operands(0, (3, 3)))
    with pytest.raises(tm.OperandError, match=r"2 channels, filters \(3, 3, 3, 5\) expect 5; channels come last"):
        conv2d(x, tm.Tensor(np.zeros((3, 3, 3, 5))))
    with pytest.raises(tm.OperandError, match=r"filters must be \(outputs, rows, columns, channels\), got shape \(3, 18\)"):
        conv2d(x, tm.reshape(filters, 3, 18))
    with pytest.raises(tm.OperandError, match=r"x must be pictures \(batch, height, width, channels\), got shape \(5, 4, 2\)"):
        conv2d(x[0], filters)
    with pytest.raises(tm.OperandError, match=r"a window of \(3, 3\) does not fit in pictures \(2, 2, 4, 2\) with padding 0"):
        conv2d(x[:, :2], filters)
    for stride, padding in ((0, 0), (1, -1), (1.5, 0), (True, 0)):
        with pytest.raises(tm.OperandError, match="whole numbers from 1, padding from 0"):
            conv2d(x, filters, stride, padding)


def test_windows_of_another_number_do_not_make_a_picture() -> None:
    with pytest.raises(tm.OperandError, match=r"windows \(2, 3, 4, 18\) do not make pictures \(2, 5, 4, 2\): expected \(2, 5, 4, 18\)"):
        _col2im(tm.Tensor(np.zeros((2, 3, 4, 18))), shape=(2, 5, 4, 2), size=(3, 3), stride=1, padding=1)
