"""Assignment 1, the engine: five rows of the table of derivatives, and the reverse pass over a tape.

A vector-Jacobian product (VJP) maps g, the gradient of the loss in a row's result, to its gradients in the row's operands.
"""

from __future__ import annotations

from typing import Any

import numpy
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinymem.engine import ops
from tinymem.equations.contracts import Domain
from tinymem.equations.registry import equation
from tinymem.homework.gradients import by_complex_step
from tinymem.homework.properties import LONGEST, Ask, Mismatch, agree, holds, of_every, only
from tinymem.homework.tasks import Array, Assignment, Inputs, Task
from tinymem.testing.strategies import values_in

ENGINE: dict[str, Any] = {"paper": "Baydin et al. 2018, section 3.2", "lesson": "engine"}  # reverse mode
SLIDE = "before the lecture: what trains every model of it"
LEAF, ADD, MULTIPLY, TANH = range(4)  # what made a value of the tape
REAL = Domain("", ())


# -- the equations -----------------------------------------------------------------------------------------------------------
@equation(
    "VJP of the product, with broadcasting",
    latex=r"\bar x = \mathrm{sum\_to}(\bar z\, y),\ \bar y = \mathrm{sum\_to}(\bar z\, x)\ \mathrm{for}\ z = x\, y",
    symbols={"x": "x", "y": "y", "g": "z̄"},
    x="(N, M)",
    y="(K, M)",
    g="(N, M)",
    returns=("(N, M)", "(K, M)"),
    **ENGINE,
)
def multiply_vjp(x: Array, y: Array, g: Array) -> tuple[Array, ...]:
    """x̄ = z̄ y and ȳ = z̄ x for z = x y elementwise, each summed back to its operand's shape: what was repeated adds up.

    x (N, M), y (N, M) or (1, M), z̄ (N, M); returns x̄ (N, M) and ȳ of y's shape.
    """
    return by_complex_step(ops.multiply, (x, y), g)


@equation(
    "VJP of the matrix product",
    latex=r"\bar x = \bar z\, y^T,\ \bar y = x^T \bar z\ \mathrm{for}\ z = x\, y",
    symbols={"x": "x", "y": "y", "g": "z̄"},
    x="(N, K)",
    y="(K, M)",
    g="(N, M)",
    returns=("(N, K)", "(K, M)"),
    **ENGINE,
)
def matmul_vjp(x: Array, y: Array, g: Array) -> tuple[Array, ...]:
    """x̄ = z̄ yᵀ and ȳ = xᵀ z̄ for the matrix product z = x y.

    x (N, K), y (K, M), z̄ (N, M); returns x̄ (N, K) and ȳ (K, M).
    """
    return by_complex_step(ops.matmul, (x, y), g)


@equation(
    "VJP of tanh",
    latex=r"\bar x = \bar z\, (1 - \tanh^2 x)\ \mathrm{for}\ z = \tanh x",
    symbols={"x": "x", "g": "z̄"},
    x="(N, M)",
    g="(N, M)",
    returns="(N, M)",
    **ENGINE,
)
def tanh_vjp(x: Array, g: Array) -> Array:
    """x̄ = z̄ (1 - tanh² x) for z = tanh x.

    x and z̄ (N, M); returns x̄ (N, M).
    """
    return by_complex_step(ops.tanh, (x,), g)[0]


@equation(
    "VJP of the softmax",
    latex=r"\bar x_i = z_i\, (\bar z_i - \sum_j \bar z_j z_j)\ \mathrm{for}\ z_i = e^{x_i} / \sum_j e^{x_j}",
    symbols={"x": "x", "g": "z̄"},
    x="(N, M)",
    g="(N, M)",
    returns="(N, M)",
    **ENGINE,
)
def softmax_vjp(x: Array, g: Array) -> Array:
    """x̄_i = z_i (z̄_i - Σ_j z̄_j z_j) for z = softmax(x) of each row: every output depends on every input of its row.

    x and z̄ (N, M), the softmax along the last axis; returns x̄ (N, M).
    """
    return by_complex_step(lambda scores: ops.softmax(scores, 1), (x,), g)[0]


@equation(
    "VJP of taking rows",
    latex=r"\bar x_i = \sum_{k: n_k = i} \bar z_k\ \mathrm{for}\ z_k = x_{n_k}",
    symbols={"x": "x", "g": "z̄"},
    static={"rows": [0, 0]},
    x="(N, M)",
    g="(K, M)",
    returns="(N, M)",
    **ENGINE,
)
def take_vjp(x: Array, g: Array, rows: Array) -> Array:
    """x̄_i = Σ of the z̄_k with rows[k] = i, for z = x[rows]: a row that was taken twice gets both gradients.

    x (N, M), z̄ (K, M), rows (K,) integers from 0 to N - 1; returns x̄ (N, M).
    """
    return by_complex_step(lambda table: ops.take(table, rows, 0), (x,), g)[0]


@equation(
    "Reverse pass",
    latex=r"\bar v_i = \sum_{j: i \in \mathrm{operands}(j)} \bar v_j\, \frac{\partial v_j}{\partial v_i},\ \bar v_{n-1} = 1",
    symbols={"values": "v"},
    static={"operations": [0], "left": [0], "right": [0]},
    values="(n)",
    returns="(n)",
    **ENGINE,
)
def reverse_pass(values: Array, operations: Array, left: Array, right: Array) -> Array:
    """v̄_i = Σ_j v̄_j ∂v_j/∂v_i over the rows j that use v_i; the last value is the loss, with the gradient 1.

        operations[i]   v_i
        0  leaf         given
        1  add          v_left[i] + v_right[i]
        2  multiply     v_left[i] · v_right[i]
        3  tanh         tanh v_left[i]

    v (n,) the values in the order in which they were computed; operations, left, right (n,) integers, the operands always
    earlier rows (and 0 where there is none); returns v̄ (n,), of every row.
    """
    return by_complex_step(lambda start: _continued(start, values, operations, left, right), (numpy.zeros(len(values)),), _last(values))[0]


def _last(values: Array) -> Array:
    last: Array = numpy.eye(len(values))[-1]
    return last


def _continued(moved: Array, values: Array, operations: Array, left: Array, right: Array) -> Array:
    """The tape run again, each of its values moved by a little as soon as it is there."""
    found: list[Array] = []
    for row, operation in enumerate(operations):
        first, second = (found[left[row]], found[right[row]]) if row else (values[0], values[0])
        value = (values[row], first + second, first * second, numpy.tanh(first))[operation]
        found.append(value + moved[row])
    return numpy.array(found)


# -- inputs ----------------------------------------------------------------------------------------------------------------
@st.composite
def products(draw: st.DrawFn) -> Inputs:
    """x and y of one shape, or y one row that is repeated."""
    rows, columns = draw(st.integers(1, LONGEST)), draw(st.integers(1, LONGEST))
    shapes = {"x": (rows, columns), "y": (draw(st.sampled_from([1, rows])), columns), "g": (rows, columns)}
    return {name: draw(values_in(REAL, shape)) for name, shape in shapes.items()}


@st.composite
def lookups(draw: st.DrawFn) -> Inputs:
    """A table, rows to be taken from it, some of them twice, and a gradient for each."""
    length, columns, taken = (draw(st.integers(1, LONGEST)) for _ in range(3))
    return {
        "x": draw(values_in(REAL, (length, columns))),
        "g": draw(values_in(REAL, (taken, columns))),
        "rows": draw(hnp.arrays(numpy.int64, (taken,), elements=st.integers(0, length - 1))),
    }


@st.composite
def tapes(draw: st.DrawFn) -> Inputs:
    """One to three leaves, and up to five rows that use what is above them."""
    leaves = draw(values_in(REAL, (draw(st.integers(1, 3)),)))
    rows = [(LEAF, 0, 0)] * len(leaves)
    for _ in range(draw(st.integers(0, 5))):
        above = st.integers(0, len(rows) - 1)
        operation = draw(st.sampled_from([ADD, MULTIPLY, TANH]))
        rows.append((operation, draw(above), 0 if operation == TANH else draw(above)))
    operations, left, right = numpy.array(rows).T
    start = numpy.concatenate([leaves, numpy.zeros(len(rows) - len(leaves))])
    values = _continued(numpy.zeros(len(rows)), start, operations, left, right)
    return {"values": values, "operations": operations, "left": left, "right": right}


# -- the tasks ---------------------------------------------------------------------------------------------------------------
# fmt: off
MULTIPLY_VJP = Task("1.1", multiply_vjp, SLIDE, inputs=products(),
    hint="A y with one row was used by every row of x: sum its gradient over them, keepdims=True.",
    note="y has as many rows as x, or one that is repeated.")
MATMUL_VJP = Task("1.2", matmul_vjp, SLIDE,
    hint="Let the shapes lead: which product of z̄ (N, M) and yᵀ (M, K) has the shape of x?")
TANH_VJP = Task("1.3", tanh_vjp, SLIDE,
    hint="The derivative of tanh x is 1 - tanh² x; the chain rule multiplies it by z̄.")
SOFTMAX_VJP = Task("1.4", softmax_vjp, SLIDE,
    hint="Raising one x lowers all other outputs of its row: do not forget -z_i Σ_j z̄_j z_j.")
TAKE_VJP = Task("1.5", take_vjp, SLIDE, inputs=lookups(), others={"rows": "(K,), integers from 0 to N - 1"},
    hint="x̄[rows] += z̄ writes each row once, however often it was taken; numpy.add.at adds every time.")
REVERSE_PASS = Task("1.6", reverse_pass, SLIDE, public_points=3, hidden_points=2, inputs=tapes(),
    others={"operations": "(n,), integers: 0 leaf, 1 add, 2 multiply, 3 tanh",
            "left": "(n,), integers: the row of the first operand",
            "right": "(n,), integers: the row of the second operand, 0 where there is none"},
    hint="Go from the last row to the first, and add to an operand's gradient: another row may use it too.")
# fmt: on
TASKS = (MULTIPLY_VJP, MATMUL_VJP, TANH_VJP, SOFTMAX_VJP, TAKE_VJP, REVERSE_PASS)


# -- the invariants ------------------------------------------------------------------------------------------------------------
@holds(MULTIPLY_VJP, "each gradient has its operand's shape", "Sum over the axis along which y was repeated.")
def shapes_are_kept(ask: Ask, given: Inputs) -> None:
    found, wanted = [one.shape for one in ask(*given.values()).results], [given["x"].shape, given["y"].shape]
    if found != wanted:
        raise Mismatch(f"your gradients have the shapes {found}, the operands {wanted}")


@holds(SOFTMAX_VJP, "a gradient of ones gives nothing", "The outputs of a row sum to 1 whatever x is, so their sum has no gradient.")
def ones_give_nothing(ask: Ask, given: Inputs) -> None:
    zeros = numpy.zeros_like(given["x"])
    agree(ask(given["x"], zeros + 1).results, [zeros], "with z̄ = 1 everywhere, the gradient is not 0")


@holds(SOFTMAX_VJP, "large scores do not overflow", "exp(710) is infinite: subtract the row's maximum before exp; the softmax is the same.")
def nothing_overflows(ask: Ask, given: Inputs) -> None:
    large = {**given, "x": 1000 * given["x"]}
    agree(ask(*large.values()).results, SOFTMAX_VJP.reference(large), "with 1000 x for x, the values are wrong")


@holds(TAKE_VJP, "taken twice, twice the gradient", TAKE_VJP.hint)
def twice_the_gradient(ask: Ask, given: Inputs) -> None:
    once = only(ask(*given.values()))
    twice = ask(given["x"], numpy.tile(given["g"], (2, 1)), numpy.tile(given["rows"], 2))
    agree(twice.results, [2 * once], "taking every row once more does not double the gradient")


@holds(REVERSE_PASS, "a value used twice gets both gradients", "left and right may be the same row: add, do not assign.",
    st.fixed_dictionaries({"x": st.integers(1, 9).map(float)}))  # fmt: skip
def used_twice(ask: Ask, given: Inputs) -> None:
    x = given["x"]
    tape = [numpy.array(column) for column in ([LEAF, MULTIPLY], [0, 0], [0, 0])]
    agree(ask(numpy.array([x, x * x]), *tape).results, [numpy.array([2 * x, 1.0])], "for v_1 = v_0 · v_0 the gradient of v_0 is not 2 v_0")


@holds(REVERSE_PASS, "a chain of doublings", "A row's gradient must be complete before it is handed on: go from the last row to the first.",
    st.fixed_dictionaries({"length": st.integers(0, 9)}))  # fmt: skip
def doublings(ask: Ask, given: Inputs) -> None:
    length = given["length"]
    column = numpy.array([0, *range(length)])
    found = ask(2.0 ** numpy.arange(length + 1), numpy.array([LEAF] + [ADD] * length), column, column)
    agree(found.results, [2.0 ** numpy.arange(length, -1, -1)], "v_i = v_{i-1} + v_{i-1} does not double the gradient")


ASSIGNMENT = Assignment(
    1,
    "The engine: five vector-Jacobian products and the reverse pass",
    TASKS,
    of_every(TASKS, shapes_are_kept, ones_give_nothing, nothing_overflows, twice_the_gradient, used_twice, doublings),
)
