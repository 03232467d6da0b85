"""Losses in logit form against the formula on the slide, where that can be computed, and beyond, where it cannot."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes

import tinymem as tm
from tinymem.testing.check import COMPLEX_STEP, check_grad


@given(shape=array_shapes(max_dims=3, max_side=4), seed=st.integers(0, 1000))
def test_bernoulli_is_the_negative_log_probability(shape: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, targets = rng.normal(size=shape), rng.uniform(size=shape)
    p = 1 / (1 + np.exp(-logits))
    loss = tm.bernoulli_loss(tm.Tensor(logits), tm.Tensor(targets))
    np.testing.assert_allclose(loss.data, -targets * np.log(p) - (1 - targets) * np.log(1 - p), rtol=1e-12)
    report = check_grad(tm.bernoulli_loss, logits, targets)
    assert report.methods == (COMPLEX_STEP, COMPLEX_STEP)


def test_the_bernoulli_gradient_is_probability_minus_target() -> None:
    logits = tm.Tensor([-2.0, 0.0, 3.0], requires_grad=True)
    targets = np.array([1.0, 0.0, 1.0])
    tm.bernoulli_loss(logits, targets).sum().backward()
    np.testing.assert_allclose(logits.grad, 1 / (1 + np.exp(-logits.data)) - targets, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bernoulli_of_extreme_logits(dtype: str) -> None:
    """As -ln σ(x) this would be ln 0: with logits the loss is the logit itself, exactly."""
    logits = tm.Tensor([1e4, 1e4, -1e4, -1e4, 0.0], requires_grad=True, dtype=dtype)
    targets = np.array([1, 0, 1, 0, 0], dtype)
    loss = tm.bernoulli_loss(logits, targets)
    np.testing.assert_allclose(loss.data, np.array([0, 1e4, 1e4, 0, np.log(2)]), rtol=1e-6, atol=0)
    assert loss.dtype == np.dtype(dtype)
    loss.sum().backward()
    np.testing.assert_array_equal(logits.grad, [0, 1, -1, 0, 0.5])


def test_bernoulli_at_logit_zero_is_one_bit() -> None:
    for target in (0.0, 1.0, 0.5):
        np.testing.assert_allclose(tm.bernoulli_loss(np.zeros(1), np.array([target])) / np.log(2), 1.0, rtol=1e-15)


def test_bernoulli_near_zero_has_no_kink() -> None:
    """softplus is written with max(x, 0) and |x|, which both have a kink at 0; together they have none."""
    slopes = [tm.grad(tm.bernoulli_loss)(np.array(x), np.array(0.0)).item() for x in (-1e-9, 0.0, 1e-9)]
    np.testing.assert_allclose(slopes, 0.5, atol=1e-9)


@given(leading=st.lists(st.integers(1, 3), max_size=2), classes=st.integers(1, 5), seed=st.integers(0, 1000))
def test_categorical_is_the_negative_log_probability(leading: list[int], classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, chosen = rng.normal(size=(*leading, classes)), rng.integers(0, classes, leading)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    loss = tm.categorical_loss(tm.Tensor(logits), np.asarray(chosen))
    assert loss.shape == tuple(leading)
    np.testing.assert_allclose(loss.data, -np.log(np.take_along_axis(p, np.asarray(chosen)[..., None], -1)[..., 0]), rtol=1e-12, atol=1e-15)
    report = check_grad(tm.categorical_loss, logits, np.asarray(chosen))
    assert report.methods == (COMPLEX_STEP, COMPLEX_STEP)


def test_the_categorical_gradient_is_softmax_minus_one_hot() -> None:
    logits = tm.Tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    tm.categorical_loss(logits, np.array([1])).backward()
    p = np.exp(logits.data) / np.exp(logits.data).sum()
    np.testing.assert_allclose(logits.grad, p - [[0, 1, 0]], rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_categorical_of_extreme_logits(dtype: str) -> None:
    logits = tm.Tensor([[1e4, 0.0, -1e4], [1e4, 0.0, -1e4]], requires_grad=True, dtype=dtype)
    loss = tm.categorical_loss(logits, np.array([0, 2]))
    np.testing.assert_allclose(loss.data, [0.0, 2e4])
    loss.sum().backward()
    np.testing.assert_array_equal(logits.grad, [[0, 0, 0], [1, 0, -1]])


def test_two_classes_are_a_bit() -> None:
    logits, bits = np.random.default_rng(3).normal(size=6), np.array([0, 1, 1, 0, 1, 0])
    pairs = np.stack([np.zeros(6), logits], -1)
    np.testing.assert_allclose(tm.categorical_loss(pairs, bits), tm.bernoulli_loss(logits, bits.astype(float)), rtol=1e-14)


def test_both_run_on_a_device(backend: Any) -> None:
    logits, bits, classes = np.array([[0.5, -1.0], [2.0, 0.1]]), np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1, 0])
    check_grad(tm.bernoulli_loss, logits, bits)
    check_grad(tm.categorical_loss, logits, classes)


@pytest.mark.parametrize("targets", [np.zeros(3), np.zeros((3, 2)), np.zeros((2, 3, 1))])
def test_bernoulli_refuses_other_shapes(targets: np.ndarray) -> None:
    """Broadcasting would give a loss, of the wrong thing."""
    with pytest.raises(tm.OperandError, match=r"logits \(2, 3\) and targets .* must have equal shapes"):
        tm.bernoulli_loss(np.zeros((2, 3)), targets)


@pytest.mark.parametrize("classes", [np.zeros(3, int), np.zeros((2, 1), int), np.zeros(2), np.zeros((2, 3))])
def test_categorical_refuses_what_are_no_classes(classes: np.ndarray) -> None:
    with pytest.raises(tm.OperandError, match=r"classes must be integers of shape \(2,\) for logits \(2, 3\), got"):
        tm.categorical_loss(np.zeros((2, 3)), classes)


@pytest.mark.parametrize("wrong", [3, -1])
def test_categorical_refuses_a_class_there_is_not(wrong: int) -> None:
    with pytest.raises(tm.OperandError, match=r"classes must lie in 0 … 2, got"):
        tm.categorical_loss(np.zeros((2, 3)), np.array([0, wrong]))
