"""Counted operations: by hand for single rows, loops and whole steps; and a rule for every kind of row there is."""

import ast
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from agree import training_step
from hypothesis import given

import tinymem as tm
from tinymem.engine.compile import record, recorded
from tinymem.engine.compile.lower_numpy import OTHERS, REDUCTIONS
from tinymem.engine.compile.maps import MAPS
from tinymem.engine.compile.operations import RULES, Operations, operations_of
from tinymem.engine.compile.program import Literal, Loop, Note, Program, Row, Summed, Value, whole
from tinymem.equations.recurrent import rnn_step

SIZE = st.integers(1, 6)


def tensor(*shape, dtype="float32"):
    return tm.Tensor(np.ones(shape, dtype))


def forward(function, *arguments):
    """The operations of a function without parameters."""
    return tm.compile(function).operations(*arguments)


# -- a rule for every kind of row -----------------------------------------------------------------------------------------------------
def kinds_of_rows():
    """Every name that is recorded as a row's operation: those written out in `emit("…")` and `Row("…")`, and those of the tables."""
    found = {*MAPS, *REDUCTIONS, *OTHERS}
    folder = Path(record.__file__).parent
    for path in (Path(record.__file__), Path(recorded.__file__), *(folder / "passes").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in ("emit", "Row"):
                    found.add(node.args[0].value)
    return found


def test_every_kind_of_row_has_a_rule_and_every_rule_a_kind_of_row():
    assert kinds_of_rows() == set(RULES)


def test_a_row_without_a_rule_is_not_counted_as_nothing():
    out = Value((2,), "float32")
    with pytest.raises(KeyError, match="unheard"):
        operations_of(Program((), (Row("unheard", (Literal(1.0, (2,)),), out),), (whole(out),), ()))


# -- single rows ----------------------------------------------------------------------------------------------------------------------
@given(SIZE, SIZE, SIZE, SIZE)
def test_a_product_is_a_multiplication_and_an_addition_for_each_pair(batch, m, k, n):
    found = forward(lambda x, y: x @ y, tensor(batch, m, k), tensor(batch, k, n))
    if k > 1:
        assert found == Operations(2 * batch * m * k * n, 0, 0, products=2 * batch * m * k * n)
    else:  # an outer product is a multiplication alone, and is done as such
        assert found == Operations(batch * m * n, 0, 0, products=0)


@given(SIZE, SIZE, SIZE)
def test_an_einsum_counts_as_the_product_it_is(m, k, n):
    found = forward(lambda x, y: tm.einsum("mk,kn->mn", x, y), tensor(m, k), tensor(k, n))
    assert found.total == 2 * m * k * n


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x + 1, 12),
        (lambda x: tm.exp(x) * x, 24),
        (lambda x: tm.where(x > 0, x, 0), 24),
        (lambda x: x.sum(), 12),
        (lambda x: tm.max(x, 0), 12),
        (lambda x: tm.cumsum(x, 0), 12),
        (lambda x: tm.softmax(x, 1), 5 * 12),  # maximum, difference, exponential, sum, quotient
        (lambda x: tm.argsort(x, 1), 12 * 2),  # four numbers: two rounds of comparisons
        (lambda x: tm.concatenate([x, x], 0), 0),
        (lambda x: tm.take(x, np.array([0, 2]), 0), 0),
        (lambda x: x.reshape(4, 3)[1:].T, 0),
    ],
)
def test_one_for_each_number_and_none_for_moving_it(function, expected):
    assert forward(function, tensor(3, 4)).total == expected


def test_arithmetic_of_integers_is_no_floating_point_operation():
    assert forward(lambda i: (i + 1) * 2, np.arange(5)).total == 0


def test_gradients_of_indexing_are_additions():
    table = tm.Tensor(np.ones((9, 4)), requires_grad=True)
    looked_up = training_step(lambda p, i: tm.take(p["table"], i, 0), {"table": table})
    found = tm.compile(looked_up, {"table": table}).operations(np.array([1, 1, 2]))
    assert found.backward >= 3 * 4


# -- loops and steps ------------------------------------------------------------------------------------------------------------------
def test_a_loop_counts_its_body_once_for_each_time_step():
    out, total = Value((3,), "float32"), Value((3,), "float32")
    body = Row("add", (Literal(1.0, (3,)), Literal(2.0, (3,))), out, note=Note("backward"))
    loop = Loop(7, True, (body,), (), (), (), (Summed(whole(out), total),), Note("backward"))
    outer = Loop(5, False, (loop,), (), (), (), ())
    assert operations_of(Program((), (loop,), (), ())) == Operations(0, 7 * (3 + 3), 0, 0)  # the sum over time adds 3 each time
    assert operations_of(Program((), (outer,), (), ())).total == 5 * 7 * (3 + 3)


def recurrent(length, batch, size):
    """A step with a recurrent layer, and its state."""
    shapes = {"W": (size, size), "U": (size, size), "b": (size,)}
    state = {name: tm.Tensor(np.ones(shape, "float32"), requires_grad=True) for name, shape in shapes.items()}

    def layer(p, x):
        def step(h, x_t):
            h = rnn_step(x_t, h, p["W"], p["U"], p["b"])
            return h, h

        return tm.scan(step, tensor(batch, size), x)[1]

    return layer, state, np.ones((length, batch, size), np.float32)


@given(st.integers(2, 9), st.integers(2, 4), st.integers(2, 5))
def test_a_recurrent_layer_by_hand(length, batch, size):
    layer, state, x = recurrent(length, batch, size)
    found = tm.compile(lambda x: layer(state, x), state).operations(x)
    products = length * batch * 4 * size * size
    assert found == Operations(products + 3 * length * batch * size, 0, 0, products)


def test_a_scan_counts_what_the_unrolled_layer_does():
    """Products of a whole step, forward and backward: the loop's, and those of every time step by itself."""
    layer, state, x = recurrent(6, 2, 3)
    step = training_step(layer, state)
    scanned = tm.compile(step, state).operations(x)

    def unrolled(p, x):
        h, found = tensor(2, 3), []
        for t in range(6):
            h = rnn_step(x[t], h, p["W"], p["U"], p["b"])
            found.append(h)
        return tm.stack(found)

    unrolled_step = tm.compile(training_step(unrolled, state), state)
    beyond = 2 * 2 * 3 * 3  # the loop hands a cotangent to the state before the first step too, which is a constant
    assert scanned.products == unrolled_step.operations(x).products + beyond
    assert scanned.backward > scanned.forward > 0


def test_phases_and_passes():
    """A step's parts; a product that is the same at each time step is counted once, as it is done once."""
    w = tm.Tensor(np.ones((5, 5), "float32"), requires_grad=True)

    def step(x):
        w.grad = None
        ((x @ w) ** 2).sum().backward()
        w.data = w.data - 0.1 * w.grad

    found = tm.compile(step, {"w": w}).operations(np.ones((4, 5), np.float32))
    assert (found.forward, found.update) == (2 * 4 * 5 * 5, 2 * 5 * 5)  # nobody asks for the loss itself: square and sum are left out
    assert found.backward >= 2 * 4 * 5 * 5
    assert found.total == found.forward + found.backward + found.update

    def same_each_time(x):
        return tm.scan(lambda s, x_t: (s + x_t @ x[0], s), tensor(3, 3), x)[0]

    x = np.ones((4, 3, 3), np.float32)
    assert tm.compile(same_each_time).operations(x).products == 4 * 54


def test_counting_runs_nothing_and_changes_nothing():
    layer, state, x = recurrent(3, 2, 3)
    before = {name: p.data for name, p in state.items()}
    drawn = np.random.default_rng(0)
    compiled = tm.compile(lambda x: layer(state, x) * tm.draw(drawn, "random", x.shape), state)
    first = compiled.operations(x)
    assert all(p.data is before[name] for name, p in state.items())
    assert drawn.random() == np.random.default_rng(0).random()
    compiled(x)
    assert compiled.operations(x) == first
    with pytest.raises(tm.RecordingError):
        tm.compile(lambda x: x if x.sum() > 0 else -x).operations(x)
