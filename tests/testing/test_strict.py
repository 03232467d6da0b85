"""The strict double refuses what CuPy refuses, counts what waits, and otherwise computes as NumPy does."""

from __future__ import annotations

import copy
import operator

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinymem.testing import strict

xp = strict.namespace
HOST = numpy.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])


def device(values=HOST, dtype=None):
    return xp.array(values, dtype=dtype)


# -- what is refused -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "convert",
    [numpy.asarray, numpy.array, numpy.float64, lambda a: numpy.array([a, a]), lambda a: numpy.zeros(2).__setitem__(slice(None), a[0, :2])],
)
def test_silent_conversion_to_numpy_is_refused_in_the_words_of_cupy(convert):
    with pytest.raises(TypeError, match="Implicit conversion to a NumPy array is not allowed"):
        convert(device())


@pytest.mark.parametrize("apply", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.lt, operator.eq])
def test_arrays_of_numpy_do_not_mix_on_either_side(apply):
    with pytest.raises(TypeError, match=r"Unsupported type <class 'numpy\.ndarray'>.*tinymem\.asarray"):
        apply(device(), HOST)
    with pytest.raises(TypeError, match=r"Unsupported type <class 'numpy\.ndarray'>"):
        apply(HOST, device())


@pytest.mark.parametrize("apply", [operator.iadd, operator.imul, operator.imatmul])
def test_arrays_of_numpy_do_not_mix_in_place(apply):
    with pytest.raises(TypeError, match="Unsupported type"):
        apply(device(), HOST)
    with pytest.raises(TypeError):  # in NumPy's words, which come first here
        apply(HOST.copy(), device())


@pytest.mark.parametrize(
    "call",
    [
        lambda: xp.exp(HOST),
        lambda: xp.maximum(device(), HOST),
        lambda: xp.concatenate([device(), HOST]),
        lambda: xp.where(device() > 0, device(), HOST),
        lambda: xp.einsum("ij,ij->i", device(), HOST),
        lambda: xp.exp(device(), out=HOST.copy()),
        lambda: xp.add.at(device(), device([0], "int64"), HOST),
        lambda: device().__setitem__(0, HOST[0]),
        lambda: device().dot(HOST.T),
        lambda: device() * [1.0, 2.0, 3.0],
        lambda: device() + None,
        lambda: xp.exp([1.0]),
    ],
)
def test_neither_functions_nor_methods_take_arrays_of_numpy_or_lists(call):
    with pytest.raises(TypeError, match="Unsupported type"):
        call()


@pytest.mark.parametrize(
    "call", [lambda a: numpy.exp(a), lambda a: numpy.add(a, 1.0), lambda a: numpy.concatenate([a, a]), lambda a: numpy.sum(a)]
)
def test_functions_of_numpy_do_not_take_arrays_of_the_device(call):
    with pytest.raises(TypeError, match=r"does not support ufuncs|take the function from its own module"):
        call(device())


@pytest.mark.parametrize("name", ["errstate", "nditer", "frompyfunc", "vecdot", "no_such_name"])
def test_names_that_cupy_lacks_are_not_there(name):
    with pytest.raises(AttributeError, match=f"CuPy .* has no '{name}'"):
        getattr(xp, name)
    assert not hasattr(xp, name)


@pytest.mark.parametrize("name", ["asnumpy", "ElementwiseKernel", "random", "linalg", "vectorize"])
def test_names_that_are_not_portable_are_not_there(name):
    with pytest.raises(AttributeError, match=name):
        getattr(xp, name)


@pytest.mark.parametrize("name", ["setflags", "ctypes", "__array_interface__", "no_such_name", "scatter_add", "data", "flat"])
def test_attributes_that_are_not_portable_are_not_there(name):
    with pytest.raises(AttributeError, match=name):
        getattr(device(), name)


@pytest.mark.parametrize("index", [numpy.array([0, 1]), [0, 1], (slice(None), [0, 1]), numpy.array([True, False]), True, 1.0])
def test_index_arrays_must_be_on_the_device(index):
    for call in (lambda: device()[index], lambda: device().__setitem__(index, 0.0), lambda: xp.add.at(device(), index, 1.0)):
        with pytest.raises(TypeError, match="copied to the device in secret"):
            call()


@pytest.mark.parametrize(
    "take", [lambda i: xp.take(device(), i, axis=0), lambda i: device().take(i), lambda i: xp.take_along_axis(device(), i, 0)]
)
def test_taking_needs_an_index_on_the_device(take):
    with pytest.raises(TypeError, match="the index must be an array of the device"):
        take(numpy.array([[0, 1, 0]]))


def test_other_refusals():
    with pytest.raises(ValueError, match="Unsupported dtype <U1"):
        xp.array(["a"])
    with pytest.raises(TypeError, match="the condition must be an array"):
        xp.where(True, device(), 0.0)
    with pytest.raises(NotImplementedError, match=r"multiply\.at"):
        xp.multiply.at(device(), device([0], "int64"), 2.0)
    with pytest.raises(TypeError, match="the array must be on the device"):
        xp.add.at(HOST, device([0], "int64"), 2.0)
    with pytest.raises(TypeError, match="make an array of the double with"):
        strict.StrictArray(HOST)
    with pytest.raises(TypeError, match="unhashable"):
        hash(device())
    with pytest.raises(IndexError):
        device()[5]


# -- what waits ----------------------------------------------------------------------------------------------------------
WAITS = {
    "item()": lambda a: a.item(),
    "get()": lambda a: a.get(),
    "float()": float,
    "int()": int,
    "bool()": bool,
    "complex()": complex,
    "repr()": repr,
    "str()": str,
    "tolist()": lambda a: a.tolist(),
    "nonzero()": lambda a: xp.nonzero(a.reshape(1)),
    "unique()": lambda a: xp.unique(a),
    "iteration": lambda a: list(a.reshape(1)),
    "a mask as index": lambda a: a.reshape(1)[a.reshape(1) > 0],
}


@pytest.mark.parametrize("reason", WAITS)
def test_what_waits_is_counted(reason):
    with strict.synchronisations() as seen:
        WAITS[reason](device(1.5))
    assert seen.reasons == [reason]
    assert seen.count == 1


@pytest.mark.parametrize("reason", WAITS)
def test_what_waits_can_be_forbidden(reason):
    with strict.forbid_synchronisation(), pytest.raises(strict.SynchronisationError, match="waits for the device"):
        WAITS[reason](device(1.5))


def test_computing_does_not_wait():
    with strict.forbid_synchronisation():
        a = xp.exp(device()) @ device().T + xp.maximum(device().sum(), 0)
        a[0] = a.max(axis=1, keepdims=True)[0]
        a -= a.mean()
        xp.add.at(a, xp.asarray([0, 0]), 1.0)
        assert (a.shape, a.ndim, a.size, len(a), a.dtype) == ((2, 2), 2, 4, 2, "float64")
        xp.where(a > 0, a, 0.0)[:, None].reshape(-1).astype("float32")
        xp.allclose(a, a)


def test_counters_nest():
    with strict.synchronisations() as outer:
        device(1.0).item()
        with strict.synchronisations() as inner:
            float(device(2.0))
    device(3.0).item()
    assert inner.reasons == ["float()"]
    assert outer.reasons == ["item()", "float()"]


# -- as on a device ------------------------------------------------------------------------------------------------------
def test_every_number_is_an_array_without_axes():
    a = device()
    for number in (a.sum(), a.max(), a[0, 0], a.argmax(), xp.sum(a), xp.exp(1.0), xp.allclose(a, a), a.mean() * 2, xp.einsum("ij->", a)):
        assert type(number) is strict.StrictArray
        assert number.shape == ()


def test_an_element_is_a_view():
    a = device([1.0, 2.0])
    first = a[0]
    first += 5
    assert a.get().tolist() == [6, 2]


def test_indices_out_of_range_wrap_without_a_word():
    a = device([10.0, 11.0, 12.0])
    wild = xp.asarray([3, -4, 7])
    assert a[wild].get().tolist() == [10, 12, 11]
    assert xp.take(a, wild, axis=0).get().tolist() == [10, 12, 11]
    assert xp.take_along_axis(a, wild, 0).get().tolist() == [10, 12, 11]
    assert device(HOST)[..., wild].shape == (2, 3)
    xp.add.at(a, wild, 1.0)
    assert a.get().tolist() == [11, 12, 13]
    a[wild] = 0.0
    assert a.get().tolist() == [0, 0, 0]


def test_one_number_as_index_comes_from_the_host():
    a = device([10.0, 11.0, 12.0])
    for one in (a[1], a[numpy.int64(1)], xp.take(a, 1, axis=0), a.take(numpy.int64(1)), a[xp.asarray(1)]):
        assert one.shape == ()
        assert one.item() == 11


def test_wrapping_finds_the_axis_behind_masks_ellipses_and_new_axes():
    host = numpy.arange(24.0).reshape(2, 3, 4)
    a, five = xp.array(host), xp.asarray([5])
    numpy.testing.assert_array_equal(a[:, five].get(), host[:, [2]])
    numpy.testing.assert_array_equal(a[..., five].get(), host[..., [1]])
    numpy.testing.assert_array_equal(a[None, :, five].get(), host[None, :, [2]])
    numpy.testing.assert_array_equal(a[..., five, :].get(), host[..., [2], :])
    numpy.testing.assert_array_equal(a[five, ..., five].get(), host[[1], ..., [1]])
    mask = numpy.array([[True, False, False], [False, False, False]])
    numpy.testing.assert_array_equal(a[xp.array(mask), five].get(), host[mask, [1]])


def test_the_doors_copy():
    source = HOST.copy()
    a = xp.asarray(source)
    source[:] = 0
    out = a.get()
    out[:] = 0
    numpy.testing.assert_array_equal(a.get(), HOST)
    assert xp.asarray(a) is a
    assert xp.array(a) is not a
    for twin in (xp.array(a), copy.copy(a), copy.deepcopy(a)):
        twin += 1
    numpy.testing.assert_array_equal(a.get(), HOST)


def test_in_place_keeps_the_array_and_its_dtype():
    a = same = device(dtype="float32")
    a += 1
    a *= device(dtype="float32")
    a[0, :2] -= 1.0
    assert a is same
    assert a.dtype == "float32"
    expected = (HOST + 1) * HOST
    expected[0, :2] -= 1
    numpy.testing.assert_array_equal(a.get(), expected)
    total = target = device(2.0)
    total += 1
    assert total is target
    assert total.get() == 3


def test_out_is_filled_and_returned():
    out = xp.zeros_like(device())
    assert xp.exp(device(), out=out) is out
    assert xp.cumsum(device(), axis=1, out=out) is out
    numpy.testing.assert_array_equal(out.get(), HOST.cumsum(1))


floats = hnp.arrays(numpy.float64, hnp.array_shapes(max_dims=3, max_side=4), elements=st.integers(-8, 8).map(lambda n: n / 4))


@given(floats, st.sampled_from(["add", "subtract", "multiply", "maximum", "minimum", "less", "equal", "greater_equal"]), st.data())
def test_elementwise_functions_are_those_of_numpy(host, name, data):
    other = data.draw(st.just(0.5) | hnp.arrays(numpy.float64, host.shape[1:], elements=st.integers(-4, 4)))
    given = xp.array(other) if isinstance(other, numpy.ndarray) else other
    result = getattr(xp, name)(xp.array(host), given)
    numpy.testing.assert_array_equal(result.get(), getattr(numpy, name)(host, other))


@given(floats, st.sampled_from(["sum", "max", "min", "argmax", "cumsum", "argsort", "mean"]), st.data())
def test_reductions_and_orders_are_those_of_numpy(host, name, data):
    axis = data.draw(st.integers(-host.ndim, host.ndim - 1))
    expected = getattr(numpy, name)(host, axis=axis)
    numpy.testing.assert_array_equal(getattr(xp, name)(xp.array(host), axis=axis).get(), expected)
    numpy.testing.assert_array_equal(getattr(xp.array(host), name)(axis=axis).get(), expected)


@given(floats, st.data())
def test_indexing_is_that_of_numpy(host, data):
    index = data.draw(hnp.basic_indices(host.shape, allow_newaxis=True))
    numpy.testing.assert_array_equal(xp.array(host)[index].get(), host[index])
    there, here = xp.array(host), host.copy()
    there[index] = 7.0
    here[index] = 7.0
    numpy.testing.assert_array_equal(there.get(), here)


@given(floats, st.data())
def test_index_arrays_are_those_of_numpy(host, data):
    places = data.draw(hnp.arrays(numpy.int64, hnp.array_shapes(max_dims=2, max_side=3), elements=st.integers(0, host.shape[0] - 1)))
    numpy.testing.assert_array_equal(xp.array(host)[xp.array(places)].get(), host[places])
    numpy.testing.assert_array_equal(xp.take(xp.array(host), xp.array(places), axis=0).get(), numpy.take(host, places, axis=0))
    there, here = xp.array(host), host.copy()
    xp.add.at(there, xp.array(places), 1.0)
    numpy.add.at(here, places, 1.0)
    numpy.testing.assert_array_equal(there.get(), here)


def test_complex_numbers_pass():
    a = xp.array(HOST + 1j)
    numpy.testing.assert_allclose((xp.exp(a) * a.conj()).imag.get(), (numpy.exp(HOST + 1j) * (HOST - 1j)).imag)
    assert xp.zeros(2, dtype="complex128").dtype == "complex128"
    assert xp.float32 is numpy.float32
    assert xp.newaxis is None
    assert xp.pi == numpy.pi
    assert xp.finfo("float32").eps == numpy.finfo("float32").eps
