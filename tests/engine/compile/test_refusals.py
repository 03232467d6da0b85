"""What cannot be recorded is refused with its reason and its line, and leaves no trace."""

import math
import re

import numpy as np
import pytest

import tinymem as tm

X = tm.Tensor([[1.0, -2.0], [3.0, 4.0]])


def fresh(shape=(2, 2)):
    p = tm.Tensor(np.arange(1.0, 1 + np.prod(shape)).reshape(shape), requires_grad=True)
    p.grad = np.full(shape, 7.0)
    return p


def refused(step, *arguments, match, p=None, line=True):
    """The step is refused with these words and with the name of this file; the state is as it was."""
    p = fresh() if p is None else p
    numbers, gradient = p.data.copy(), p.grad
    with pytest.raises(tm.RecordingError, match=match) as error:
        tm.compile(step, state={"p": p}, lowering="numpy")(*arguments)
    if line:
        assert re.search(r"test_refusals\.py:\d+", str(error.value)), str(error.value)
    assert type(p.data) is np.ndarray
    assert p.grad is gradient
    assert np.array_equal(p.data, numbers)
    assert (p * 2).data.tolist() == (numbers * 2).tolist()  # and nothing is being recorded any more
    return str(error.value)


def branch(x):
    if (x.sum() > 0).item():
        return x
    return -x


def implicit_branch(x):
    return x if x.sum() > 0 else -x


def loop_until(x):
    while x.sum() < 100:
        x = x * 2
    return x


HOST = {
    "branch": branch,
    "implicit branch": implicit_branch,
    "while": loop_until,
    "item": lambda x: x * x.sum().item(),
    "float": lambda x: x * float(x.sum()),
    "int": lambda x: x * int(x.sum()),
    "format": lambda x: (f"{x.sum():.3f}", x)[1],
    "math": lambda x: x * math.sqrt(x[0, 0]),
    "tolist": lambda x: x.data.tolist(),
    "to_host": lambda x: tm.Tensor(tm.to_host(x) * 2),
    "index": lambda x: [1.0, 2.0][x[0, 0].data],
}


@pytest.mark.parametrize("name", HOST)
def test_numbers_on_the_host(name):
    refused(HOST[name], X, match="cannot be compiled")


@pytest.mark.parametrize("name", ["branch", "implicit branch", "item", "float"])
def test_the_remedy_is_where(name):
    message = refused(HOST[name], X, match=r"reads a number on the host")
    assert "tinymem.where" in message


NUMPY = {
    "a function": lambda x: np.linalg.norm(x.data),
    "a function of the namespace": lambda x: tm.Tensor(np.sum(x.data)),
    "asarray": lambda x: np.asarray(x.data) * 2,
    "sorting": lambda x: np.sort(x.data),
    "an assignment": lambda x: np.zeros((2, 2)).__setitem__(0, x.data[0]),
    "an unknown ufunc": lambda x: np.arctan(x.data),
}


@pytest.mark.parametrize("name", NUMPY)
def test_functions_of_numpy(name):
    refused(NUMPY[name], X, match="numpy|NumPy")


def test_an_array_function_that_compiled_steps_do_not_know():
    from tinymem.engine.backend import namespace_of

    refused(lambda x: tm.Tensor(namespace_of(x.data).fft(x.data)), X, match="the array function fft is used")


@pytest.mark.parametrize(
    "index", [np.array([True, False]), np.array([[True, False], [False, True]]), [0, 1], (slice(None), np.array([0, 1]))], ids=str
)
def test_masks_and_index_lists(index):
    message = refused(lambda x: x[index], X, match="it indexes with")
    assert {"tinymem.take", "tinymem.where"} <= set(re.findall(r"tinymem\.\w+", message))


def test_a_mask_computed_in_the_step():
    refused(lambda x: x[x > 0], X, match="it indexes with")


# -- what changes from call to call -------------------------------------------------------------------------------------------------
def test_a_random_array():
    rng = np.random.default_rng(0)
    message = refused(lambda x: x * rng.random((2, 2)), X, match="other numbers when it was recorded a second time")
    assert "tinymem.draw" in message


def test_a_random_number():
    rng = np.random.default_rng(0)
    refused(lambda x: x * rng.random(), X, match=r"the number 0\.\d+ was 0\.\d+")


def test_a_random_shape():
    rng = np.random.default_rng(0)
    refused(lambda x: tm.broadcast_to(x[0, 0], (int(rng.integers(1000)),)).sum(), X, match="records differently")


def test_another_path_the_second_time():
    seen = {"calls": 0}

    def step(x):
        seen["calls"] += 1
        return tm.tanh(x) if seen["calls"] % 2 else tm.sin(x)

    refused(step, X, match="records differently")


def test_an_attribute_that_counts():
    class Counter:
        n = 0

    counter = Counter()

    def step(x):
        counter.n += 1
        return x * counter.n

    refused(step, X, match=r"the number 1 was 2 when it was recorded a second time")


def test_a_variable_that_counts():
    n = 0

    def step(x):
        nonlocal n
        n += 1
        return x * n

    refused(step, X, match=r"changes the variable 'n' outside of itself, from 0 to 1", line=False)


def test_a_variable_changed_between_calls():
    rate = 0.5
    step = tm.compile(lambda x: x * rate, lowering="numpy")
    assert step(X).data.tolist() == (X.data * 0.5).tolist()
    rate = 0.25
    with pytest.raises(tm.RecordingError, match=r"the variable 'rate'.* was changed from 0.5 to 0.25"):
        step(X)
    rate = 0.5
    assert step(X).data.tolist() == (X.data * 0.5).tolist()


RATE = 0.5


def test_a_global_changed_between_calls(monkeypatch):
    def step(x):
        return x * RATE

    compiled = tm.compile(step, lowering="numpy")
    compiled(X)
    monkeypatch.setitem(globals(), "RATE", 0.25)
    with pytest.raises(tm.RecordingError, match=r"'RATE'.* from 0.5 to 0.25"):
        compiled(X)


def test_another_array_in_a_variable():
    table = np.ones((2, 2))
    step = tm.compile(lambda x: x * table, lowering="numpy")
    step(X)
    table = np.full((2, 2), 3.0)
    with pytest.raises(tm.RecordingError, match=r"'table'.* to another ndarray"):
        step(X)


# -- state --------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("inside", ["plain", "scan", "no_grad"])
def test_a_parameter_the_step_was_not_told_of(inside):
    untold = tm.Tensor(np.ones((2, 2)), requires_grad=True)

    def step(x):
        if inside == "no_grad":
            with tm.no_grad():
                return x @ untold
        if inside == "scan":
            return tm.scan(lambda h, x: (h @ untold + x, h), X, tm.stack([x, x], 0))[0]
        return x @ untold

    message = refused(step, X, match=r"uses a parameter of shape \(2, 2\) that the compiled step was not told of")
    assert "state=" in message
    assert untold.grad is None


@pytest.mark.parametrize(
    "write",
    [
        lambda p, x: p.data.__setitem__(0, x.data[0]),
        lambda p, x: p.data.__setitem__((slice(None), 0), 1.0),
        lambda p, x: p.data.__setitem__(p.data > 0, 0.0),
    ],
)
def test_writing_into_an_array(write):
    p = fresh()
    refused(lambda x: write(p, x), X, match=r"writes into an array|indexes with|cannot be compiled", p=p)


def test_writing_into_a_captured_array_is_seen_or_refused():
    counts = np.zeros((2, 2))

    def step(x):
        counts[...] += 1
        return x * counts

    refused(step, X, match="cannot be compiled")


@pytest.mark.parametrize(
    "new", [lambda p: p.data[:1], lambda p: p.data.reshape(4), lambda p: p.data.astype("float32"), lambda p: p.data > 0]
)
def test_a_state_of_another_shape_or_dtype(new):
    p = fresh()

    def step(x):
        p.data = new(p)

    refused(step, X, match=r"it turns p from float64 \(2, 2\) into", p=p, line=False)


def test_a_state_replaced_from_outside_by_another_shape():
    p = fresh()
    step = tm.compile(lambda: p * 2, state={"p": p}, lowering="numpy")
    step()
    p.data = np.ones((3, 3))
    with pytest.raises(tm.RecordingError, match=r"p was float64 \(2, 2\), now float64 \(3, 3\)"):
        step()


def test_an_error_of_the_step_itself_leaves_no_trace():
    p = fresh()
    data, gradient = p.data.copy(), p.grad

    def step(x):
        p.data = p.data * 2
        p.grad = None
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        tm.compile(step, state={"p": p})(X)
    assert np.array_equal(p.data, data)
    assert p.grad is gradient
    with pytest.raises(tm.OperandError, match="the operands do not fit"):
        tm.compile(lambda x: p @ x[:1], state={"p": p})(X)
    assert (p + 1).data.tolist() == (data + 1).tolist()


def test_a_step_that_is_refused_can_be_called_again_once_it_is_mended():
    flag = tm.Tensor(1.0)
    p = fresh()

    class Switch:
        on = True

    def step(x):
        if Switch.on:
            return x * float(x.sum())
        return x * p

    compiled = tm.compile(step, state={"p": p, "flag": flag})
    with pytest.raises(tm.RecordingError):
        compiled(X)
    Switch.on = False
    assert compiled(X).data.tolist() == (X.data * p.data).tolist()


# -- derivatives and kinds of numbers -----------------------------------------------------------------------------------------------
def test_a_second_derivative_through_a_scan():
    p = fresh()

    def step(x):
        total = tm.scan(lambda h, x: (tm.tanh(h * x), h), p, tm.stack([x, x], 0))[0].sum()
        (first,) = tm.gradients(total, [p], create_graph=True)
        first.sum().backward()
        return p.grad

    message = refused(step, X, match=r"a gradient of a scan is itself differentiated", p=p)
    assert "eagerly" in message


def test_a_second_derivative_without_a_scan_is_compiled():
    p = fresh()

    def step(x):
        p.grad = None
        (first,) = tm.gradients(tm.tanh(0.1 * p * x).sum(), [p], create_graph=True)
        (first * first).sum().backward()
        return p.grad

    expected = np.array(step(X))
    p.grad = None
    for lowering in ("numpy", "c"):
        np.testing.assert_allclose(tm.compile(step, state={"p": p}, lowering=lowering)(X), expected, rtol=1e-12)


@pytest.mark.parametrize("lowering", ["numpy", "c"])
@pytest.mark.parametrize("dtype", ["float16", "complex64", "complex128"])
@pytest.mark.parametrize(
    "f",
    [lambda x: x * 2, tm.tanh, lambda x: x[::-1], lambda x: tm.concatenate([x, x], 0), lambda x: x.sum(), lambda x: x @ x],
    ids=range(6),
)
def test_half_precision_and_complex_numbers(dtype, f, lowering):
    with pytest.raises(tm.RecordingError, match=rf"{dtype}|real numbers|floats"):
        tm.compile(f, lowering=lowering)(tm.Tensor(np.ones((2, 2), dtype)))


def test_random_numbers_inside_a_scan():
    rng = np.random.default_rng(0)
    step = lambda x: tm.scan(lambda h, x: (h + tm.draw(rng, "random", (2,), "float64"), h), tm.Tensor(np.zeros(2)), x)[0]  # noqa: E731
    message = refused(step, X, match="random numbers are drawn inside a scan")
    assert "before it" in message


def test_a_generator_made_inside_the_step():
    """Eagerly it gives the same numbers at each call; a compiled step must not go on drawing from it in silence."""

    def step(x):
        return x + tm.draw(np.random.default_rng(0), "random", (2, 2), "float64")

    refused(step, X, match="a random generator is made inside the step", line=False)


def test_arrays_of_a_recording_do_not_work_afterwards():
    kept = {}

    def step(x):
        kept[0] = x * 2
        return x

    tm.compile(step, lowering="numpy")(X)
    with pytest.raises(tm.RecordingError, match="used outside of it: something kept it"):
        kept[0] + 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"step": 3}, TypeError),
        ({"step": abs, "state": 3}, TypeError),
        ({"step": abs, "state": {"x": [3]}}, TypeError),
        ({"step": abs, "without": ["fuss"]}, ValueError),
        ({"step": abs, "lowering": "fortran"}, ValueError),
    ],
)
def test_wrong_arguments_of_compile(arguments, error):
    with pytest.raises(error):
        tm.compile(**arguments)
