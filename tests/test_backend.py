"""NumPy or CuPy: choosing, mixing, moving, and what is said where there is no device."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy
import pytest

import tinymem as tm
from tinymem.engine.backend import creation_namespace, namespace_of, probe_cupy, xp_of
from tinymem.testing import strict


# -- choosing ------------------------------------------------------------------------------------------------------------
def test_numpy_is_the_default():
    assert creation_namespace() is numpy
    assert type(tm.Tensor([1.0]).data) is numpy.ndarray


def test_use_chooses_and_gives_back():
    with tm.use(strict.namespace) as xp:
        assert xp is strict.namespace
        assert creation_namespace() is strict.namespace
        with tm.use("numpy") as inner:
            assert inner is numpy
            assert creation_namespace() is numpy
        assert creation_namespace() is strict.namespace
    assert creation_namespace() is numpy


def test_use_gives_back_after_an_error():
    with pytest.raises(KeyError), tm.use(strict.namespace):
        raise KeyError
    assert creation_namespace() is numpy


@pytest.mark.parametrize("name", ["jax", "", "NumPy", "strict"])
def test_an_unknown_backend_is_named_beside_the_known(name):
    with pytest.raises(tm.BackendError, match=f"unknown backend '{name}'; the backends are 'numpy' and 'cupy'"), tm.use(name):
        pass


def test_data_decides_where_an_operation_runs():
    with tm.use(strict.namespace):
        there = tm.Tensor([1.0, 2.0])
    assert type((there + 1.0).data) is strict.StrictArray  # outside the context
    with tm.use(strict.namespace):
        here = tm.Tensor(numpy.ones(2)).data
        assert type((tm.exp(tm.Tensor(here)) * 2).data) is strict.StrictArray
    assert type(tm.Tensor(there).data) is strict.StrictArray, "a Tensor of a Tensor stays on its device"


# -- CuPy, present or absent, with a device or without -------------------------------------------------------------------
def test_cupy_without_a_device_is_refused_with_a_plain_reason():
    probe = probe_cupy()
    if probe.usable:
        pytest.skip("this machine has a device; the test of it is marked gpu")
    with pytest.raises(tm.BackendError) as caught, tm.use("cupy"):
        pass
    message = str(caught.value)
    assert message.startswith("backend 'cupy' cannot be used: CuPy ")
    assert "is not installed" in message or "no CUDA device" in message or "first kernel failed" in message
    assert "use the backend 'numpy'" in message
    assert creation_namespace() is numpy


class Lone:
    """A stand-in for the module: whatever is installed here, these are the ways in which it can be unusable."""

    __version__ = "14.0"

    def __init__(self, available=True, total=2.0, error=None):
        self.is_available = lambda: available
        self.ones = lambda n: SimpleNamespace(sum=lambda: total)
        if error is not None:
            self.is_available = lambda: self.fail(error)

    def fail(self, error):
        raise error


@pytest.mark.parametrize(
    ("module", "says"),
    [
        (None, "CuPy is not installed"),
        (Lone(available=False), "CuPy 14.0 is installed, but it finds no CUDA device on this machine"),
        (Lone(error=RuntimeError("driver too old")), "CuPy 14.0 is installed, but its first kernel failed: driver too old"),
        (Lone(error=ImportError("libnvrtc")), "CuPy 14.0 is installed, but its first kernel failed: libnvrtc"),
        (Lone(total=0.0), "CuPy 14.0 ran a kernel and got a wrong sum"),
    ],
)
def test_every_way_to_be_unusable_has_its_reason(monkeypatch, module, says):
    monkeypatch.setitem(sys.modules, "cupy", module)
    probe = probe_cupy()
    assert not probe.usable
    assert probe.reason.startswith(says)
    with pytest.raises(tm.BackendError) as caught, tm.use("cupy"):
        pass
    assert says in str(caught.value)


def test_a_usable_cupy_is_used(monkeypatch):
    module = Lone()
    monkeypatch.setitem(sys.modules, "cupy", module)
    assert probe_cupy().usable
    with tm.use("cupy") as xp:
        assert xp is module


@pytest.mark.gpu
def test_on_a_real_device_the_numbers_are_those_of_the_host():
    rng = numpy.random.default_rng(0)
    x, w = rng.normal(size=(3, 4)), rng.normal(size=(4, 2))

    def everything():
        a, b = tm.Tensor(x, requires_grad=True), tm.Tensor(w, requires_grad=True)
        loss = (tm.softmax(a @ b, 1) * tm.take(b, tm.asarray([0, 0, 2]), 0)).sum()
        loss.backward()
        return [tm.to_host(array) for array in (loss.data, a.grad, b.grad)]

    on_host = everything()
    with tm.use("cupy") as xp:
        assert type(tm.Tensor(x).data) is xp.ndarray
        on_device = everything()
    for ours, theirs in zip(on_device, on_host, strict=True):
        numpy.testing.assert_allclose(ours, theirs, rtol=1e-10)


# -- mixing --------------------------------------------------------------------------------------------------------------
def on_device(*values):
    with tm.use(strict.namespace):
        return tm.Tensor([*values])


@pytest.mark.parametrize(
    ("operation", "names"),
    [
        (lambda host, device: host + device, ("add: x is an array of numpy", "y of strict")),
        (lambda host, device: device * host, ("multiply: x is an array of strict", "y of numpy")),
        (lambda host, device: tm.where(host, 1.0, device), ("where: condition is an array of numpy", "y of strict")),
        (lambda host, device: tm.concatenate([device, host]), ("concatenate: ", "of strict", "of numpy")),
        (lambda host, device: host.data * device, ("multiply: x is an array of numpy", "y of strict")),
        (lambda host, device: device - host.data, ("subtract: x is an array of strict", "y of numpy")),
    ],
)
def test_a_mixture_names_both_operands_and_the_remedy(operation, names):
    with pytest.raises(TypeError) as caught:
        operation(tm.Tensor([1.0, 2.0]), on_device(1.0, 2.0))
    for name in (*names, "different devices", "tinymem.use", "tinymem.to_host"):
        assert name in str(caught.value)


def test_numbers_fit_any_device():
    device = on_device(1.0, 2.0)
    for result in (2 * device, device - 1, numpy.float64(2) * device, device**2, 2**device, tm.maximum(device, 0)):
        assert type(result.data) is strict.StrictArray
    assert xp_of(1.0, 2, numpy.float32(3)) is numpy
    assert xp_of(1.0, device.data) is strict.namespace


@pytest.mark.parametrize("foreign", [[1.0, 2.0], "12", object(), memoryview(b"12")])
def test_an_operand_of_no_array_module_is_refused(foreign):
    with pytest.raises(TypeError, match=r"wrap it: tinymem\.Tensor"):
        tm.exp(foreign)
    with pytest.raises(TypeError, match="expected an array of NumPy or CuPy"):
        namespace_of(foreign)


# -- the two doors -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("backend", ["numpy", strict.namespace], ids=["numpy", "strict"])
def test_asarray_copies(backend):
    source = numpy.arange(3.0)
    with tm.use(backend):
        array, tensor = tm.asarray(source), tm.Tensor(source)
        again = tm.asarray(array)
        source[:] = 7
        array[0] = 5
    numpy.testing.assert_array_equal(tm.to_host(array), [5, 1, 2])
    numpy.testing.assert_array_equal(tm.to_host(tensor), [0, 1, 2])
    numpy.testing.assert_array_equal(tm.to_host(again), [0, 1, 2])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "complex128"])
def test_asarray_takes_a_dtype(dtype, backend):
    array = tm.asarray([1, 2, 3], dtype)
    assert array.dtype == dtype
    assert tm.to_host(array).dtype == dtype


def test_to_host_gives_an_array_of_numpy_and_waits_once():
    with tm.use(strict.namespace):
        tensor = tm.Tensor([[1.0, 2.0]], requires_grad=True)
    with strict.synchronisations() as seen:
        host = tm.to_host(tensor * 2)
    assert seen.reasons == ["get()"]
    assert type(host) is numpy.ndarray
    numpy.testing.assert_array_equal(host, [[2.0, 4.0]])


@pytest.mark.parametrize("value", [1.5, 2, True, numpy.float32(1.5), numpy.arange(3), tm.Tensor([1.0])])
def test_to_host_takes_whatever_is_on_the_host(value):
    assert type(tm.to_host(value)) is numpy.ndarray


def test_to_host_refuses_what_is_no_array():
    with pytest.raises(TypeError, match="expected an array of NumPy or CuPy"):
        tm.to_host([1.0, 2.0])


def test_item_is_the_one_synchronisation():
    with tm.use(strict.namespace):
        loss = (tm.Tensor([1.0, 2.0], requires_grad=True) ** 2).sum()
        with strict.forbid_synchronisation():
            loss.backward()
        with strict.synchronisations() as seen:
            assert loss.item() == 5.0
    assert seen.reasons == ["item()"]
