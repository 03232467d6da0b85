"""What changes outside of a compiled step is seen, or refused; never silently forgotten."""

import threading

import numpy as np
import pytest

import tinymem as tm
from tinymem.models.module import Linear

X = np.ones(3)


def parameter(values):
    return tm.Tensor(values, requires_grad=True)


@pytest.mark.parametrize("lowering", ["numpy", "c"])
def test_a_scan_that_is_walked_back_twice(lowering):
    W = parameter(np.array([0.5, -0.3, 0.8]))

    def step(x):
        _, ys = tm.scan(lambda h, x: (tm.tanh(h * W + x),) * 2, tm.Tensor(np.zeros(3)), x)
        once, thrice = tm.gradients(ys.sum(), [W])[0], tm.gradients((ys * 3).sum(), [W])[0]
        return once, thrice

    x = np.random.default_rng(0).standard_normal((4, 3))
    once, thrice = tm.compile(step, W, lowering=lowering)(tm.Tensor(x))
    np.testing.assert_allclose(thrice.data, 3 * once.data, rtol=1e-12)
    np.testing.assert_allclose(once.data, step(tm.Tensor(x))[0].data, rtol=1e-12)


def test_functions_given_as_arguments_are_told_apart():
    step = tm.compile(lambda x, f: f(x))
    assert [step(X, lambda v, k=k: v * k)[0] for k in (2, 3, 4)] == [2, 3, 4]


def test_an_argument_that_is_neither_data_nor_hashable():
    with pytest.raises(tm.RecordingError, match=r"neither data .* nor hashable"):
        tm.compile(lambda x, names: x)(X, {1, 2})


def test_tensors_that_change_places_between_calls():
    a, b = tm.Tensor(np.full(3, 1.0)), tm.Tensor(np.full(3, 2.0))
    step = tm.compile(lambda: a * 10 + b, state=[a, b])
    assert step().data[0] == 12
    a.data, b.data = b.data, a.data
    assert step().data[0] == 21
    assert (a.data[0], b.data[0]) == (2, 1)


def test_an_untracked_tensor_from_outside_is_read_anew():
    mean = tm.Tensor(np.zeros(3))
    step = tm.compile(lambda x: x - mean)
    assert step(tm.Tensor(X)).data[0] == 1
    mean.data = np.full(3, 5.0)
    assert step(tm.Tensor(X)).data[0] == -4
    step = tm.compile(lambda x: x - mean * 2)  # of nothing but what comes from outside, and yet no constant
    assert step(tm.Tensor(X)).data[0] == -9
    mean.data = np.full(3, 1.0)
    assert step(tm.Tensor(X)).data[0] == -1
    mean.data = np.zeros(4)
    with pytest.raises(tm.RecordingError, match=r"was float64 \(3,\), now float64 \(4,\)"):
        step(tm.Tensor(X))


def test_a_converted_array_from_outside_is_read_anew():
    table = np.ones(3)
    step = tm.compile(lambda x: x * tm.Tensor(table, dtype="float32"))
    assert step(tm.Tensor(X.astype("float32"))).data[0] == 1
    table[:] = 7
    assert step(tm.Tensor(X.astype("float32"))).data[0] == 7


def test_attributes_helpers_and_modules_that_change():
    class Settings:
        rate = 1.0

        def __init__(self):
            self.rate = 2.0

    settings = Settings()
    step = tm.compile(lambda x: x * settings.rate)
    assert step(X)[0] == 2
    settings.rate = 3.0
    with pytest.raises(tm.RecordingError, match=r"'settings.rate'.* from 2.0 to 3.0"):
        step(X)

    scale = 2.0

    def helper(x):
        return x * scale

    step = tm.compile(lambda x: helper(x))
    assert step(X)[0] == 2
    scale = 5.0
    with pytest.raises(tm.RecordingError, match=r"'scale'.* from 2.0 to 5.0"):
        step(X)


def test_a_name_that_is_only_an_attribute_is_no_variable():
    space = {"tm": tm, "data": None}
    exec("def step(x):\n    return x.data * 2\n", space)
    step = tm.compile(space["step"])
    assert step(tm.Tensor(X))[0] == 2
    space["data"] = 3
    assert step(tm.Tensor(X))[0] == 2


def test_a_layer_that_is_replaced():
    rng = np.random.default_rng(0)

    class Holder:
        def __init__(self):
            self.out = Linear(3, 2, rng, "float64")

        def named_parameters(self):
            yield from self.out.named_parameters("out.")

    model = Holder()
    step = tm.compile(lambda x: model.out(x), state=model)
    step(tm.Tensor(np.ones((1, 3))))
    model.out = Linear(3, 2, rng, "float64")
    with pytest.raises(tm.RecordingError, match=r"other Tensors than when it was compiled.*out\.W"):
        step(tm.Tensor(np.ones((1, 3))))


def test_a_tensor_that_is_rebound_without_being_named():
    mean = tm.Tensor(np.zeros(3))
    before = mean.data

    def step(x):
        mean.data = (mean * 0.9 + x * 0.1).data
        return x - mean

    with pytest.raises(tm.RecordingError, match="rebinds the data of a Tensor"):
        tm.compile(step)(tm.Tensor(X))
    assert mean.data is before


def test_results_that_are_clocks():
    calls = iter(range(10))
    with pytest.raises(tm.RecordingError, match="returns a number or an object that was another one"):
        tm.compile(lambda x: (x, next(calls)))(X)


@pytest.mark.parametrize("lowering", ["numpy", "c"])
def test_a_wrong_index_changes_nothing(lowering):
    W = parameter(np.ones((4, 2)))

    def step(index):
        W.grad = None
        tm.take(W, index, 0).sum().backward()
        W.data = W.data - W.grad

    compiled = tm.compile(step, W, lowering=lowering)
    compiled(np.array([0, 3, -4]))
    before = W.data.copy()
    with pytest.raises(IndexError, match=r"argument 0 .* index 7, used in test_stale_values.py:\d+ on an axis of length 4"):
        compiled(np.array([2, 7, 0]))
    np.testing.assert_array_equal(W.data, before)


@pytest.mark.parametrize("lowering", ["numpy", "c"])
def test_a_compiled_step_in_a_compiled_step(lowering):
    inner = tm.compile(lambda x: tm.tanh(x) * 2, lowering=lowering)
    outer = tm.compile(lambda x: inner(x) + 1, lowering=lowering)
    np.testing.assert_allclose(outer(tm.Tensor(X)).data, np.tanh(X) * 2 + 1, rtol=1e-12)


@pytest.mark.parametrize("lowering", ["numpy", "c"])
def test_one_step_called_from_two_threads(lowering):
    step = tm.compile(lambda x: tm.exp(x) * 0 + x.sum(), lowering=lowering)
    step(np.zeros((50, 40)))
    wrong = []

    def call(number):
        found = [step(np.full((50, 40), float(number))) for _ in range(100)]
        wrong.extend(number for array in found if not (array == 2000.0 * number).all())

    threads = [threading.Thread(target=call, args=(n,)) for n in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("lowering", ["numpy", "c"])
def test_whole_numbers_stay_whole(lowering):
    step = tm.compile(lambda x, n: x * n + n, lowering=lowering)
    found = step(np.array([1, 2]), 3)
    assert found.dtype == np.int64
    assert found.tolist() == [6, 9]
    assert step(np.array([1.0, 2.0], "float32"), 3).dtype == np.float32


@pytest.mark.parametrize("lowering", ["numpy", "c"])
def test_to_booleans(lowering):
    step = tm.compile(lambda x: x.astype(bool), lowering=lowering)
    assert step(np.array([0.5, 0.0, 256.0])).tolist() == [True, False, True]


def test_tracked_arguments_foreign_bytes_and_sizes():
    with pytest.raises(tm.RecordingError, match=r"argument 0 .* is a tracked Tensor"):
        tm.compile(lambda x: x * 2)(parameter(X))
    with pytest.raises(tm.RecordingError, match="byte order"):
        tm.compile(lambda x: x * 2)(np.arange(4, dtype=">i4"))
    with pytest.raises(tm.RecordingError, match="used as a size, a count or an index"):
        tm.compile(lambda x, n: x[:n])(X, 2)
    with pytest.raises(tm.RecordingError, match="remainder"):
        tm.compile(lambda x, n: x * (n % 2))(X, 2)
