"""Optimisers against their papers' formulas, worked by hand; clipping; no array changed in place."""

import numpy as np
import pytest

import tinymem as tm
from tinymem.training.optimisers import SGD, Adam, GravesRMSProp, apply_update, clip_by_norm, clip_elementwise

START, GRADIENTS = np.array([1.0, -2.0]), [np.array([0.5, -4.0]), np.array([0.1, 3.0]), np.array([0.0, 1.0])]


def trajectory(optimiser):
    parameter, slots = START, optimiser.start(START)
    for step, gradient in enumerate(GRADIENTS, start=1):
        parameter, slots = optimiser.update(parameter, gradient, slots, step)
    return parameter


def test_sgd_with_momentum():
    theta, velocity = START.copy(), np.zeros(2)
    for g in GRADIENTS:
        velocity = 0.5 * velocity - 0.1 * g
        theta = theta + velocity
    np.testing.assert_allclose(trajectory(SGD(0.1, momentum=0.5)), theta, rtol=1e-14)
    np.testing.assert_allclose(trajectory(SGD(0.1)), START - 0.1 * sum(GRADIENTS), rtol=1e-14)


def test_graves_rmsprop_subtracts_the_squared_mean():
    theta, n, mean, delta = START.copy(), 0.0, 0.0, 0.0
    for g in GRADIENTS:
        n = 0.95 * n + 0.05 * g**2
        mean = 0.95 * mean + 0.05 * g
        delta = 0.9 * delta - 1e-2 * g / np.sqrt(n - mean**2 + 1e-4)
        theta = theta + delta
    np.testing.assert_allclose(trajectory(GravesRMSProp(1e-2)), theta, rtol=1e-12)


def test_adam_is_bias_corrected():
    parameter, _ = Adam(0.1).update(START, GRADIENTS[0], Adam().start(START), 1)
    np.testing.assert_allclose(parameter, START - 0.1 * np.sign(GRADIENTS[0]), rtol=1e-6)  # the first step has the length lr
    theta, m, v = START.copy(), 0.0, 0.0
    for t, g in enumerate(GRADIENTS, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        theta = theta - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(trajectory(Adam(0.1)), theta, rtol=1e-12)


@pytest.mark.parametrize("optimiser", [SGD(0.1, 0.9), GravesRMSProp(), Adam()])
def test_an_update_changes_nothing_in_place_and_keeps_float32(optimiser):
    parameter, gradient = np.ones(3, np.float32), np.full(3, 0.5, np.float32)
    slots = optimiser.start(parameter)
    new, new_slots = optimiser.update(parameter, gradient, slots, 1)
    assert (parameter == 1).all()
    assert (gradient == 0.5).all()
    assert all((slot == 0).all() for slot in slots.values())
    assert {new.dtype, *(slot.dtype for slot in new_slots.values())} == {np.dtype(np.float32)}


def test_apply_update_rebinds_only_parameters_with_a_gradient():
    parameters = {"a": tm.Tensor(np.ones(2), requires_grad=True), "b": tm.Tensor(np.ones(2), requires_grad=True)}
    before = parameters["a"].data
    apply_update(SGD(1.0), parameters, {"a": np.ones(2)}, {"a": {}, "b": {}}, 1)
    assert (parameters["a"].data == 0).all()
    assert (before == 1).all()
    assert (parameters["b"].data == 1).all()


def test_clip_elementwise_and_by_norm():
    gradients = {"a": np.array([3.0, -30.0]), "b": np.array([4.0])}
    assert clip_elementwise(gradients, 10.0)["a"].tolist() == [3.0, -10.0]
    small = {"a": np.array([3.0]), "b": np.array([4.0])}
    assert clip_by_norm(small, 5.0)["b"].tolist() == [4.0]  # exactly at the bound: untouched
    halved = clip_by_norm(small, 2.5)
    np.testing.assert_allclose([halved["a"][0], halved["b"][0]], [1.5, 2.0])
    assert small["a"][0] == 3.0
