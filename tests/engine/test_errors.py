"""Errors name the function, the operands, their shapes, and what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinymem as tm
from tinymem.testing import strict


def zeros(*shape: int) -> tm.Tensor:
    return tm.Tensor(np.zeros(shape), requires_grad=True)


SHAPES: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "add": (lambda: zeros(2, 3) + zeros(4), ["add(x, y)", "x (2, 3) float64", "y (4,) float64", "insert an axis with x[:, None]"]),
    "multiply": (lambda: zeros(2, 3) * np.zeros(2), ["multiply(x, y)", "x (2, 3)", "y (2,)", "Shapes must be equal or 1"]),
    "power": (lambda: zeros(2) ** zeros(3), ["power(x, y) = x^y", "x (2,)", "y (3,)"]),
    "maximum": (lambda: tm.maximum(zeros(2), zeros(3)), ["maximum(x, y)", "x (2,)", "y (3,)"]),
    "where": (lambda: tm.where(zeros(2) > 0, zeros(3), 1.0), ["where(condition, x, y)", "condition (2,) bool", "x (3,)", "y = 1.0"]),
    "matmul": (lambda: zeros(2, 3) @ zeros(2, 3), ["matmul(x, y)", "x (2, 3)", "y (2, 3)", "second-last of y", "write h @ W.T"]),
    "matmul with a number": (lambda: zeros(2, 3) @ 2.0, ["matmul(x, y)", "at least one axis", "write x * number"]),
    "index": (lambda: zeros(2, 3)[5], ["slice(x; index)", "x (2, 3)", "index=5", "out of bounds for axis 0 with size 2"]),
    "too many indices": (lambda: zeros(2)[0, 0], ["slice(x; index)", "x (2,)", "index=(0, 0)", "too many indices"]),
    "take": (lambda: zeros(2, 3)[np.array([0, 9])], ["take(x, index; axis)", "x (2, 3)", "index (2,) int64", "axis=0", "index 9"]),
    "take along": (
        lambda: tm.take_along_axis(zeros(2, 3), np.array([[5], [0]]), 1),
        ["take_along(x, index; axis)", "x (2, 3)", "index (2, 1)", "index 5"],
    ),
    "concatenate": (
        lambda: tm.concatenate([zeros(2, 3), zeros(2, 4)]),
        ["concatenate(*parts; axis)", "parts[0] (2, 3)", "parts[1] (2, 4)", "axis=0"],
    ),
    "concatenate nothing": (lambda: tm.concatenate([]), ["concatenate", "at least one part"]),
    "stack": (lambda: tm.stack([zeros(2, 3), zeros(2, 4)]), ["stack(*parts; axis)", "parts[0] (2, 3)", "parts[1] (2, 4)"]),
    "stack nothing": (lambda: tm.stack([]), ["stack", "at least one part"]),
    "stack axis": (lambda: tm.stack([zeros(2)], 7), ["stack", "(2,)", "cannot be inserted at 7", "-2 … 1"]),
    "expand_dims": (lambda: tm.expand_dims(zeros(2, 3), -4), ["expand_dims", "(2, 3)", "cannot be inserted at -4", "-3 … 2"]),
    "squeeze": (lambda: tm.squeeze(zeros(2, 3), 1), ["squeeze", "axis 1 of x (2, 3)", "length 3", "index it"]),
    "split": (lambda: tm.split(zeros(2, 3), [1, 1]), ["split", "lengths [1, 1] add up to 2", "x (2, 3)"]),
    "mean": (lambda: tm.mean(zeros(0, 3), 0), ["mean", "(0, 3)", "no elements"]),
    "max": (lambda: tm.max(zeros(0, 3), 0), ["max(x; axis, keepdims)", "x (0, 3)", "axis=(0,)"]),
    "softmax axis": (lambda: tm.softmax(zeros(2, 3), 2), ["softmax", "(2, 3)", "axis 2 does not exist", "-2 … 1"]),
    "sum axis": (lambda: zeros(2, 3).sum((0, 2)), ["sum", "(2, 3)", "axis 2 does not exist"]),
    "sum axis, negative": (lambda: zeros(2, 3).sum(-3), ["sum", "axis -3 does not exist"]),
    "roll axis": (lambda: tm.roll(zeros(2), 1, 1), ["roll", "(2,)", "axis 1 does not exist"]),
    "reshape": (lambda: zeros(2, 3).reshape(4), ["reshape(x; shape)", "x (2, 3)", "shape=(4,)"]),
    "transpose": (lambda: zeros(2, 3).transpose(0, 2), ["transpose", "(2, 3)", "axis 2 does not exist"]),
    "transpose twice": (lambda: zeros(2, 3).transpose(0, 0), ["transpose(x; axes)", "x (2, 3)", "axes=(0, 0)", "repeated axis"]),
    "broadcast_to": (lambda: tm.broadcast_to(zeros(2, 3), (3, 2)), ["broadcast_to(x; shape)", "x (2, 3)", "shape=(3, 2)"]),
    "sum_to": (lambda: tm.sum_to(zeros(2, 3), (3, 2)), ["sum_to", "(2, 3)", "(3, 2)", "VJP"]),
    "sum_to more axes": (lambda: tm.sum_to(zeros(3), (2, 3)), ["sum_to", "(3,)", "(2, 3)"]),
    "einsum": (
        lambda: tm.einsum("ij,jk->ik", zeros(2, 3), zeros(2, 3)),
        ["einsum(*operands; subscripts)", "operands[0] (2, 3)", "operands[1] (2, 3)", "subscripts='ij,jk->ik'"],
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_that_do_not_fit(name: str) -> None:
    make, parts = SHAPES[name]
    with pytest.raises(tm.OperandError) as error:
        make()
    for part in parts:
        assert part in str(error.value)


TYPES: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "a string": (lambda: zeros(2) + "a", ["add: y:", "builtins.str", "tinymem.Tensor(value)"]),
    "a list": (lambda: [1.0, 2.0] * zeros(2), ["multiply: x:", "builtins.list", "tinymem.Tensor(value)"]),
    "none": (lambda: zeros(2) == None, ["equal: y:", "NoneType"]),  # noqa: E711
    "a function": (lambda: tm.exp(abs), ["exp: x:", "builtin_function_or_method"]),
    "fractional places": (lambda: tm.take(zeros(2), np.array([0.5]), 0), ["take", "integer array", "float64"]),
    "a list of places": (lambda: tm.take(zeros(2), [0], 0), ["take", "integer array", "list"]),
    "a fractional shift": (lambda: tm.roll(zeros(2, 3), 1.5, 0), ["roll(x; shift, axis)", "x (2, 3)", "shift=1.5"]),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", TYPES)
def test_types_that_do_not_fit(name: str) -> None:
    make, parts = TYPES[name]
    with pytest.raises(TypeError) as error:
        make()
    for part in parts:
        assert part in str(error.value)


def test_an_operand_error_is_a_value_error_and_names_its_cause() -> None:
    with pytest.raises(ValueError, match="matmul") as error:
        zeros(2, 3) @ zeros(2, 3)
    assert isinstance(error.value.__cause__, ValueError)


def test_operands_on_two_devices_are_both_named() -> None:
    host = zeros(2)
    with tm.use(strict.namespace):
        device = tm.Tensor([1.0, 2.0])
    for make in (lambda: host * device, lambda: device * host, lambda: device + np.zeros(2)):
        with pytest.raises(TypeError, match=r"x is an array of .*, y of .*different devices.*tinymem\.use.*tinymem\.to_host"):
            make()
    with pytest.raises(TypeError, match="different devices"):
        tm.concatenate([host, device])


def test_an_unknown_backend_is_named_with_those_there_are() -> None:
    with pytest.raises(tm.BackendError, match=r"unknown backend 'torch'.*'numpy' and 'cupy'"), tm.use("torch"):
        pass


def test_after_an_error_the_backend_is_the_one_before() -> None:
    with pytest.raises(ZeroDivisionError), tm.use(strict.namespace):
        raise ZeroDivisionError
    assert isinstance(tm.asarray([1.0]), np.ndarray)
