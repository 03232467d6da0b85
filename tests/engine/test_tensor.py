"""The Tensor as an array a user handles: construction, operators from both sides, and its refusals with their remedies."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinymem as tm

OPERATORS: list[Callable[[Any, Any], Any]] = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
values = np.array([[1.0, 2.0], [3.0, 4.0]])


# -- construction --------------------------------------------------------------------------------------------------------
def test_data_is_copied_on_entry() -> None:
    array = values.copy()
    t = tm.Tensor(array)
    array[0, 0] = 99.0
    assert t.data[0, 0] == 1.0
    again = tm.Tensor(t)
    assert not np.shares_memory(again.data, t.data)


@pytest.mark.parametrize(
    ("data", "dtype", "shape"),
    [
        (1, "int64", ()),
        (1.5, "float64", ()),
        (True, "bool", ()),
        ([1, 2], "int64", (2,)),
        ([[1.0], [2.0]], "float64", (2, 1)),
        (np.float32(1), "float32", ()),
        (np.zeros((0, 3), "float32"), "float32", (0, 3)),
    ],
)
def test_what_a_tensor_is_made_of(data: Any, dtype: str, shape: tuple[int, ...]) -> None:
    t = tm.Tensor(data)
    assert (t.dtype, t.shape, t.ndim, t.size) == (np.dtype(dtype), shape, len(shape), int(np.prod(shape)))
    assert isinstance(t.data, np.ndarray)
    assert not t.requires_grad
    assert t.grad is None


def test_the_precision_can_be_asked_for() -> None:
    assert tm.Tensor([1, 2], requires_grad=True, dtype="float32").dtype == np.float32
    assert tm.Tensor(values, dtype="float32").dtype == np.float32


@pytest.mark.parametrize("data", [1, [1, 2], True, np.array([1], "uint8")])
def test_an_integer_has_no_derivative(data: Any) -> None:
    with pytest.raises(TypeError, match=r"floating-point data, got (int64|bool|uint8).*dtype='float32'"):
        tm.Tensor(data, requires_grad=True)


@pytest.mark.parametrize("data", ["text", ["a", "b"], None, [1, None], {"a": 1}, object()])
def test_data_that_are_no_numbers_are_refused(data: Any) -> None:
    with pytest.raises(TypeError, match=r"cannot hold .* data; give numbers or booleans"):
        tm.Tensor(data)


def test_ragged_rows_are_refused() -> None:
    with pytest.raises((TypeError, ValueError), match=r"inhomogeneous|equal length"):
        tm.Tensor([[1.0], [1.0, 2.0]])


def test_a_tensor_remembers_where_it_came_from() -> None:
    x = tm.Tensor([1.0], requires_grad=True)
    assert "requires_grad=True" in repr(x)
    assert "from tanh" in repr(tm.tanh(x))
    assert repr(tm.Tensor([1.0])) == "Tensor(array([1.]))"


# -- operators from both sides -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("operate", OPERATORS)
@pytest.mark.parametrize("other", [2, 2.5, np.float64(2), np.array([[1.5, 2.5]]), values + 1])
def test_arithmetic_with_numbers_and_arrays_from_both_sides(operate: Callable[[Any, Any], Any], other: Any) -> None:
    t = tm.Tensor(values, requires_grad=True)
    for result, expected in ((operate(t, other), operate(values, other)), (operate(other, t), operate(other, values))):
        assert isinstance(result, tm.Tensor)
        np.testing.assert_allclose(result.data, expected, rtol=1e-15)
        result.backward(np.ones(result.shape))
    assert t.grad.shape == (2, 2)


@pytest.mark.parametrize("left", [values, values[:1], values[0]])
def test_array_times_matrix(left: np.ndarray) -> None:
    t = tm.Tensor(values, requires_grad=True)
    result = left @ t
    assert isinstance(result, tm.Tensor)
    np.testing.assert_array_equal(result.data, left @ values)
    np.testing.assert_array_equal((t @ values).data, values @ values)


def test_signs() -> None:
    t = tm.Tensor([-1.5, 2.0])
    np.testing.assert_array_equal((-t).data, [1.5, -2.0])
    np.testing.assert_array_equal(abs(t).data, [1.5, 2.0])


@pytest.mark.parametrize("compare", COMPARISONS)
@pytest.mark.parametrize("other", [2.0, np.array([[2.0, 2.0]]), np.float64(3)])
def test_comparisons_are_elementwise(compare: Callable[[Any, Any], Any], other: Any) -> None:
    t = tm.Tensor(values)
    assert compare(t, other).dtype == np.bool_
    np.testing.assert_array_equal(compare(t, other).data, compare(values, other))
    np.testing.assert_array_equal(compare(other, t).data, compare(other, values))
    np.testing.assert_array_equal(compare(t, tm.Tensor(other)).data, compare(values, other))


def test_a_tensor_can_be_a_key_in_spite_of_elementwise_equality() -> None:
    a, b = tm.Tensor([1.0]), tm.Tensor([1.0])
    assert {a: 1, b: 2}[b] == 2
    assert len({a, b}) == 2


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min"])
@pytest.mark.parametrize(("axis", "keepdims"), [(None, False), (0, False), (1, True), ((0, 1), False), (-1, False)])
def test_methods_are_those_of_an_array(name: str, axis: Any, keepdims: bool) -> None:
    expected = getattr(values, name)(axis=axis, keepdims=keepdims)
    np.testing.assert_array_equal(getattr(tm.Tensor(values), name)(axis, keepdims).data, expected)


def test_shapes_are_those_of_an_array() -> None:
    t = tm.Tensor(np.arange(6.0).reshape(1, 2, 3))
    assert t.T.shape == (3, 2, 1)
    assert t.transpose(0, 2, 1).shape == (1, 3, 2)
    assert t.swapaxes(0, 2).shape == (3, 2, 1)
    assert t.reshape(2, -1).shape == (2, 3)
    assert t.reshape((6,)).shape == (6,)


# -- out of the Tensor -----------------------------------------------------------------------------------------------------
def test_one_element_is_a_number() -> None:
    for t in (tm.Tensor(2.5), tm.Tensor([2.5]), tm.Tensor([[2.5]])):
        assert (t.item(), float(t), int(t), bool(t)) == (2.5, 2.5, 2, True)
        assert type(t.item()) is float
    assert not tm.Tensor(0.0)


@pytest.mark.parametrize("convert", [float, int, bool, lambda t: t.item()])
def test_several_elements_are_not_a_number(convert: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match=r"exactly one element, this Tensor has shape \(2, 2\)"):
        convert(tm.Tensor(values))


def test_iteration_and_length() -> None:
    x = tm.Tensor(values, requires_grad=True)
    first, second = x
    assert len(x) == 2
    (first * second).sum().backward()
    np.testing.assert_array_equal(x.grad, values[::-1])
    with pytest.raises(TypeError, match="without axes"):
        len(tm.Tensor(1.0))
    with pytest.raises(TypeError, match="without axes"):
        list(tm.Tensor(1.0))


@pytest.mark.parametrize("convert", [np.asarray, np.array, lambda t: np.stack([t, t]), lambda t: np.zeros((2, 2)).__setitem__(0, t)])
def test_numpy_does_not_take_a_tensor_silently(convert: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"not converted to an array silently: take t\.data"):
        convert(tm.Tensor(values))


@pytest.mark.parametrize("function", [np.exp, np.sqrt, lambda t: np.add(values, t), lambda t: np.multiply(t, t)])
def test_numpys_functions_refuse_a_tensor(function: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="does not support ufuncs"):
        function(tm.Tensor(values))


def test_detach_shares_the_numbers_and_leaves_the_tape() -> None:
    x = tm.Tensor(values, requires_grad=True)
    y = (x * 2.0).detach()
    assert not y.requires_grad
    np.testing.assert_array_equal(y.data, 2 * values)


def test_to_host_takes_tensors_arrays_and_numbers() -> None:
    for value in (tm.Tensor(2.0), np.array(2.0), 2.0, np.float32(2)):
        assert type(tm.to_host(value)) is np.ndarray
    with pytest.raises(TypeError, match=r"expected an array.*list"):
        tm.to_host([1.0])


# -- refusals ----------------------------------------------------------------------------------------------------------------
IN_PLACE: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.iadd,
    "-": operator.isub,
    "*": operator.imul,
    "/": operator.itruediv,
    "**": operator.ipow,
    "@": operator.imatmul,
}


@pytest.mark.parametrize("sign", IN_PLACE)
def test_a_tracked_tensor_does_not_change_in_place(sign: str) -> None:
    x = tm.Tensor(values, requires_grad=True)
    for t in (x, x * 1.0):
        with pytest.raises(TypeError) as refusal:
            IN_PLACE[sign](t, values)
        assert f"t {sign}= value: a Tensor never changes in place" in str(refusal.value)
        assert f"Write t = t {sign} value" in str(refusal.value)
        np.testing.assert_array_equal(t.data, values)


@pytest.mark.parametrize("sign", IN_PLACE)
def test_for_an_untracked_tensor_the_name_is_bound_again(sign: str) -> None:
    t = before = tm.Tensor(values)
    t = IN_PLACE[sign](t, values)
    assert t is not before
    np.testing.assert_array_equal(before.data, values)


@pytest.mark.parametrize("index", [0, (0, 1), slice(None), ...])
@pytest.mark.parametrize("tracked", [True, False])
def test_elements_are_not_assigned(index: Any, tracked: bool) -> None:
    t = tm.Tensor(values, requires_grad=tracked)
    with pytest.raises(TypeError, match=r"t\[index\] = value.*Write t = tinymem\.where\(mask, value, t\)"):
        t[index] = 0.0


def test_a_tensor_takes_no_new_attributes() -> None:
    with pytest.raises(AttributeError):
        tm.Tensor(1.0).gard = 1.0  # type: ignore[attr-defined]
