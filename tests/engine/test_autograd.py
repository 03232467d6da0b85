"""Reverse mode itself: order and depth of the walk, accumulation, second derivatives, the life of a tape."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tinymem as tm
from tinymem.engine import ops
from tinymem.engine.graph import Leaf, Node
from tinymem.testing.check import check_grad


def leaf(*values: float) -> tm.Tensor:
    return tm.Tensor(np.array(values), requires_grad=True)


# -- the walk ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("depth", [20_000, 200_000])
def test_a_deep_chain_needs_no_recursion(depth: int) -> None:
    x = leaf(1.0)
    y = x
    for _ in range(depth):
        y = y * 1.00001
    y.backward()
    np.testing.assert_allclose(x.grad, [1.00001**depth], rtol=1e-9)
    del y  # nor does forgetting it


def test_a_deep_chain_is_differentiated_twice() -> None:
    x = leaf(0.5)
    y = x
    for _ in range(5_000):
        y = y + 0.001 * (x * x)
    (slope,) = tm.gradients(y, [x], create_graph=True)
    np.testing.assert_allclose(slope.data, [1 + 10 * 0.5])
    np.testing.assert_allclose(tm.gradients(slope, [x])[0].data, [10.0])


def test_shared_results_are_visited_once_each() -> None:
    """As many paths as 2^60: only a walk in topological order ends."""
    x = leaf(1.0)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad == [2.0**60]


def test_a_result_is_served_after_all_of_its_consumers() -> None:
    """The long way round from y to z must be walked before y's own gradient is passed on."""
    x = leaf(3.0)
    y = x * x
    long_way = y
    for _ in range(10):
        long_way = long_way + 1.0
    (y * long_way).backward()  # x² (x² + 10)
    assert x.grad == [4 * 3.0**3 + 20 * 3.0]


@st.composite
def programs(draw: Any) -> Callable[..., Any]:
    """A random program of three vectors: results are used again, in whole and in parts, and some are not used at all."""
    rows: dict[str, Callable[[Any, Any], Any]] = {
        "add": lambda a, b: a + b,
        "subtract": lambda a, b: a - b,
        "multiply": lambda a, b: a * b,
        "tanh": lambda a, b: tm.tanh(a),
        "first with all": lambda a, b: a[0] * b,
        "parts swapped": lambda a, b: tm.concatenate([a[1:], b[:1]]),
        "part twice": lambda a, b: tm.stack([a[0], b[1], a[0]]),
        "rows by number": lambda a, b: tm.take(a, tm.asarray(np.array([2, 2, 0])), 0) - b,
        "reversed": lambda a, b: tm.flip(a, 0),
        "centred": lambda a, b: a - b.mean(),
    }
    number = st.integers(0, 30)
    steps = draw(st.lists(st.tuples(st.sampled_from(sorted(rows)), number, number), min_size=1, max_size=12))

    def program(*leaves: Any) -> Any:
        results = list(leaves)
        for row, i, j in steps:
            results.append(rows[row](results[i % len(results)], results[j % len(results)]) * 0.7)
        return tuple(results[-2:])

    return program


@given(program=programs(), seed=st.integers(0, 100))
def test_random_programs(program: Callable[..., Any], seed: int) -> None:
    inputs = np.random.default_rng(seed).normal(size=(3, 3))
    check_grad(program, *inputs, title="a random program", seed=seed)


# -- backward ------------------------------------------------------------------------------------------------------------
def test_backward_twice_accumulates_on_leaves_only() -> None:
    x = leaf(2.0, 3.0)
    y = x * x
    z = y * 2.0
    z.backward(np.ones(2))
    first = x.grad
    z.backward(np.ones(2))
    np.testing.assert_array_equal(x.grad, [16.0, 24.0])
    np.testing.assert_array_equal(first, [8.0, 12.0])  # what somebody kept of the first is not changed by the second
    assert y.grad is None
    assert z.grad is None


def test_only_a_leaf_keeps_a_gradient() -> None:
    y = leaf(1.0) * 2.0
    with pytest.raises(TypeError, match="only a leaf"):
        y.grad = np.ones(1)
    with pytest.raises(TypeError, match="only a leaf"):
        tm.Tensor([1.0]).grad = np.ones(1)


def test_a_gradient_can_be_taken_away() -> None:
    x = leaf(1.0)
    (x * 3.0).backward()
    x.grad = None
    (x * 5.0).backward()
    assert x.grad == [5.0]


def test_backward_from_a_leaf_is_its_cotangent() -> None:
    x, cotangent = leaf(1.0, 2.0), np.array([3.0, 4.0])
    x.backward(cotangent)
    np.testing.assert_array_equal(x.grad, cotangent)
    assert not np.shares_memory(x.grad, cotangent)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: x + y,
        lambda x, y: x + x + y,
        lambda x, y: x.reshape(3, 2).reshape(2, 3) + y,
        lambda x, y: x.T.T - (-y),
        lambda x, y: tm.stack([x, y])[0] + tm.stack([x, y])[1],
        lambda x, y: tm.concatenate([x, y])[:2] + tm.concatenate([x, y])[2:],
        lambda x, y: (x[0] + x[1]) * 1.0 + y,
    ],
    ids=["add", "twice", "reshape", "transpose", "stack", "concatenate", "slices"],
)
def test_no_gradient_is_a_view_of_anything_else(function: Callable[..., tm.Tensor]) -> None:
    x, y = (tm.Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True) for _ in range(2))
    cotangent = np.arange(6.0).reshape(2, 3) + 1
    function(x, y).backward(cotangent)
    assert x.grad is not None
    assert y.grad is not None
    assert not np.shares_memory(x.grad, y.grad)
    for gradient in (x.grad, y.grad):
        for other in (cotangent, x.data, y.data):
            assert not np.shares_memory(gradient, other)
        gradient += 1.0  # writable, as an optimiser may want
    np.testing.assert_array_equal(cotangent, np.arange(6.0).reshape(2, 3) + 1)


def test_many_slices_of_one_tensor_add_up() -> None:
    """Slices write into one sum of their operand's gradient; uses of the whole in between must survive that."""
    coefficients = np.random.default_rng(0).normal(size=(6, 2))

    def function(x: Any) -> Any:
        total = x.sum(0) * x[0]
        for i in range(6):
            total = total + x[i] * coefficients[i] + x[i:].sum(0) * x[-1]
        return total * x.sum()

    check_grad(function, np.random.default_rng(1).normal(size=(6, 2)), title="many slices")


def test_cotangents_of_another_precision_are_converted() -> None:
    x = tm.Tensor(np.ones(2), requires_grad=True, dtype="float32")
    (x * 2.0).backward(np.array([1.0, 2.0]))
    assert x.grad.dtype == np.float32
    x.grad = None
    (x * 2.0).backward([1, 2])
    np.testing.assert_array_equal(x.grad, np.array([2.0, 4.0], "float32"))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda x: (x * 2.0).backward(), tm.OperandError, r"output has shape \(2,\).*Pass a cotangent"),
        (lambda x: (x * 2.0).backward(np.ones(3)), tm.OperandError, r"cotangent has shape \(3,\), the output \(2,\)"),
        (lambda x: (x * 2.0).backward(np.ones((2, 1))), tm.OperandError, r"\(2, 1\)"),
        (lambda x: tm.Tensor([1.0]).backward(), TypeError, "nothing that requires a gradient.*requires_grad=True"),
        (lambda x: x.detach().sum().backward(), TypeError, "nothing that requires a gradient"),
        (lambda x: tm.backward(np.ones(1)), TypeError, "must be a Tensor, got ndarray"),
        (lambda x: tm.gradients(x.sum(), [tm.Tensor([1.0])]), TypeError, "input 0 is not tracked"),
        (lambda x: tm.gradients(x.sum(), [x, np.ones(2)]), TypeError, "input 1 is not tracked"),
        (lambda x: tm.gradients(x * 2.0, [x]), tm.OperandError, "gradients: the output has shape"),
        (lambda x: tm.grad(lambda a: a.sum(), argnums=1)(x), TypeError, "argnums 1 but only 1 positional"),
        (lambda x: tm.grad(lambda a: a * 2.0)(x), tm.OperandError, "reduce to a scalar loss"),
        (lambda x: tm.grad(lambda a: 1.0)(x), TypeError, "must be a Tensor, got float"),
    ],
)
def test_what_backward_refuses(make: Callable[[tm.Tensor], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(leaf(1.0, 2.0))


# -- gradients and grad ----------------------------------------------------------------------------------------------------
def test_gradients_with_respect_to_results_on_the_way() -> None:
    x = leaf(2.0)
    y = x * x
    z = y * y + x
    to_x, to_y, to_z = tm.gradients(z, [x, y, z])
    assert (to_x.data, to_y.data, to_z.data) == ([4 * 2.0**3 + 1], [2 * 4.0], [1.0])
    assert x.grad is None  # asked for, not accumulated


def test_an_input_that_does_not_matter_has_zeros() -> None:
    x, other = leaf(1.0, 2.0), tm.Tensor(np.ones((3, 2)), requires_grad=True, dtype="float32")
    _, zeros = tm.gradients(x.sum(), [x, other])
    np.testing.assert_array_equal(zeros.data, np.zeros((3, 2)))
    assert zeros.dtype == np.float32


def test_the_same_input_twice() -> None:
    x = leaf(3.0)
    first, second = tm.gradients(x * x, [x, x])
    assert first.data == second.data == [6.0]


@pytest.mark.parametrize("create_graph", [False, True])
def test_create_graph_decides_whether_gradients_are_tracked(create_graph: bool) -> None:
    x = leaf(3.0)
    (gradient,) = tm.gradients(x * x, [x], create_graph=create_graph)
    assert gradient.requires_grad is create_graph
    assert gradient.data == [6.0]


def test_a_gradient_is_differentiable_in_its_cotangent() -> None:
    x, u = leaf(2.0, 3.0), leaf(1.0, -1.0)
    (gradient,) = tm.gradients(x * x * x, [x], u, create_graph=True)  # 3 x² u
    to_x, to_u = tm.gradients(gradient, [x, u], np.array([1.0, 10.0]))
    np.testing.assert_allclose(to_x.data, [6 * 2.0, -10 * 6 * 3.0])
    np.testing.assert_allclose(to_u.data, [3 * 4.0, 10 * 3 * 9.0])


def test_grad_of_grad_of_grad() -> None:
    def fourth_power(x: Any) -> Any:
        return x * x * x * x

    slope = tm.grad(fourth_power)
    curvature = tm.grad(slope)
    third = tm.grad(curvature)
    for x in (2.0, np.array(2.0), np.float64(2.0), tm.Tensor(2.0), tm.Tensor(2.0, requires_grad=True)):
        assert [float(f(x)) for f in (slope, curvature, third)] == [32.0, 48.0, 48.0]


def test_argnums() -> None:
    def f(x: Any, y: Any, factor: float = 1.0) -> Any:
        return (x * y * y).sum() * factor

    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    np.testing.assert_array_equal(tm.grad(f)(x, y).data, [9.0, 16.0])
    np.testing.assert_array_equal(tm.grad(f, 1)(x, y, factor=2.0).data, [12.0, 32.0])
    to_y, to_x = tm.grad(f, (1, 0))(x, y)
    np.testing.assert_array_equal(to_x.data, [9.0, 16.0])
    np.testing.assert_array_equal(to_y.data, [6.0, 16.0])
    assert isinstance(tm.grad(f, (0,))(x, y), tuple)


def test_grad_of_plain_numbers_is_not_tracked_and_of_tracked_ones_is() -> None:
    square = tm.grad(lambda x: x * x)
    assert not square(3.0).requires_grad
    assert square(leaf(3.0)).requires_grad


def test_mixed_second_derivatives() -> None:
    mixed = tm.grad(lambda x, y: tm.grad(lambda a: a * a * y)(x), 1)  # d/dy d/dx x² y = 2 x
    assert float(mixed(3.0, 5.0)) == 6.0


def test_an_inner_gradient_depends_on_what_it_closes_over() -> None:
    """Where only part of the dependence was lost, nothing would say so: d/dy (2 x y + y) is 2 x + 1, not 1."""
    outer = tm.grad(lambda y: tm.grad(lambda x: x * x * y)(3.0) + y)
    assert float(outer(5.0)) == 7.0


# -- no_grad ---------------------------------------------------------------------------------------------------------------
def test_no_grad_records_nothing_and_ends() -> None:
    x = leaf(1.0)
    with tm.no_grad():
        y = x * 2.0
        with tm.no_grad():
            pass
        z = x * 2.0
    assert not y.requires_grad
    assert not z.requires_grad
    assert (x * 2.0).requires_grad


def test_no_grad_ends_after_an_error() -> None:
    x = leaf(1.0)
    with pytest.raises(ZeroDivisionError), tm.no_grad():
        raise ZeroDivisionError
    assert (x * 2.0).requires_grad


def test_no_grad_holds_in_its_own_thread_only() -> None:
    x, seen = leaf(1.0), []
    with tm.no_grad():
        thread = threading.Thread(target=lambda: seen.append((x * 2.0).requires_grad))
        thread.start()
        thread.join()
    assert seen == [True]


def test_detach_cuts_the_tape() -> None:
    x = leaf(3.0)
    (x * x.detach()).backward()
    assert x.grad == [3.0]


# -- the life of a tape ------------------------------------------------------------------------------------------------------
@pytest.fixture
def without_collector() -> Iterator[None]:
    """Reference counting alone must do: a tape that waits for the collector doubles a training step's memory."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def rows_alive() -> int:
    return sum(type(thing) is Node for thing in gc.get_objects())


@pytest.mark.usefixtures("without_collector")
def test_a_tape_dies_with_its_last_tensor() -> None:
    before = rows_alive()
    x = leaf(1.0, 2.0)
    y = tm.softmax(x) * tm.exp(x)
    loss = (y * y).sum()
    assert rows_alive() == before + 5
    loss.backward()
    assert rows_alive() == before + 5  # backward keeps it, for one may ask again
    del loss
    assert rows_alive() == before + 3  # y still stands on it
    del y
    assert rows_alive() == before


@pytest.mark.usefixtures("without_collector")
def test_a_double_backward_leaves_nothing_behind() -> None:
    before = rows_alive()
    x = leaf(1.0, 2.0)
    (gradient,) = tm.gradients(tm.softmax(x) * x, [x], np.array([1.0, 2.0]), create_graph=True)
    (gradient * gradient).sum().backward()
    assert rows_alive() > before
    del gradient
    assert rows_alive() == before


@pytest.mark.usefixtures("without_collector")
def test_an_error_inside_a_step_leaves_no_tape() -> None:
    before = rows_alive()
    try:
        tm.exp(leaf(1.0, 2.0)) + leaf(1.0, 2.0, 3.0)
    except tm.OperandError:
        pass
    else:
        pytest.fail("the shapes do not fit")
    assert rows_alive() == before


def test_a_row_saves_what_it_declares_and_no_more() -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    total, product, wave = (x + y).node, (x * y).node, tm.tanh(x).node
    assert isinstance(total, Node)
    assert isinstance(product, Node)
    assert isinstance(wave, Node)
    assert list(total.saved) == [(2,), (2,)]
    assert product.saved[0] is x.data
    assert wave.saved[0] == (2,)
    assert wave.output is not None
    assert isinstance(total.parents[0], Leaf)


# -- rows made by hand -------------------------------------------------------------------------------------------------------
def test_a_new_primitive_needs_nothing_but_its_row() -> None:
    cube = tm.primitive("cube(x) = x^3", lambda xp, x: x**3, saves="x", x=lambda g, out, x: g * 3 * x * x)
    assert check_grad(cube, np.array([1.0, -2.0])).title == "cube"
    np.testing.assert_array_equal(cube(np.array([2.0])), [8.0])  # on arrays it is the array function
    assert repr(cube) == "<primitive cube(x) = x^3>"


def test_a_row_of_unknown_operands_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\['z'\] are no operands"):
        tm.primitive("cube(x) = x^3", lambda xp, x: x**3, saves="z")
    with pytest.raises(ValueError, match=r"\['y'\] are no operands"):
        tm.primitive("cube(x) = x^3", lambda xp, x: x**3, y=lambda g, out, x: g)


def test_another_derivative_leaves_the_original_alone() -> None:
    wrong = ops.multiply.with_vjp("x", lambda g, out, x, y: g)
    for row, expected in ((wrong, [1.0]), (ops.multiply, [5.0])):
        x = leaf(2.0)
        row(x, leaf(5.0)).backward()
        assert x.grad == expected


def test_a_gradient_of_a_wrong_shape_is_refused() -> None:
    """(2, 3) and (3, 2) have equally many elements; a reshape would have hidden the missing transpose."""
    wrong = tm.primitive("transpose(x) = x transposed", lambda xp, x: x.T, x=lambda g, out, x: g)
    x = tm.Tensor(np.ones((2, 3)), requires_grad=True)
    with pytest.raises(tm.OperandError, match="VJP that computed it returned a wrong shape"):
        wrong(x).backward(np.ones((3, 2)))
