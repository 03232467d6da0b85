"""The walk over the table of derivatives: every row, found by enumeration, against NumPy and against its own complex step.

A row without an entry in EXAMPLES fails the suite by name, so that no primitive can be added unproven.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import tinymem as tm
from tinymem.engine import ops
from tinymem.engine.primitive import Primitive
from tinymem.testing.check import FINITE_DIFFERENCES, check_grad

PRIMITIVES = {value.name: value for value in vars(ops).values() if isinstance(value, Primitive)}


@dataclass(frozen=True)
class Case:
    """Operands of one row, its static attributes, and what plain NumPy says the result is."""

    operands: tuple[Any, ...]
    expected: Any
    attributes: dict[str, Any] = field(default_factory=dict)


# -- numbers -------------------------------------------------------------------------------------------------------------
# Drawn from a seed and not one by one: Hypothesis shrinks the shapes, which is what errors hang on.
generators = st.integers(0, 2**32 - 1).map(np.random.default_rng)
shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)


def between(low: float, high: float) -> Callable[[Any, tuple[int, ...]], Any]:
    return lambda rng, shape: np.asarray(rng.uniform(low, high, shape))


def away_from_zero(rng: Any, shape: tuple[int, ...]) -> Any:
    return np.asarray(rng.uniform(0.2, 2, shape) * rng.choice([-1, 1], shape))


def even_tenths(rng: Any, shape: tuple[int, ...]) -> Any:
    return np.asarray(0.1 * rng.choice(np.arange(-20, 21, 2), shape))


def odd_tenths(rng: Any, shape: tuple[int, ...]) -> Any:
    """Never equal to an even tenth: so no pair of operands stands on the kink of max and min."""
    return np.asarray(0.1 * rng.choice(np.arange(-21, 21, 2), shape))


def all_different(rng: Any, shape: tuple[int, ...]) -> Any:
    """No two elements nearer than 0.05: so a largest and an order are well defined."""
    n = int(np.prod(shape))
    return ((rng.permutation(n) - n / 2) * 0.1 + rng.uniform(-0.02, 0.02, n)).reshape(shape)


anything = between(-2, 2)
positive = between(0.2, 3)


# -- examples ------------------------------------------------------------------------------------------------------------
def elementwise(expected: Callable[..., Any], *makers: Callable[[Any, tuple[int, ...]], Any]) -> st.SearchStrategy[Case]:
    """Operands of mutually broadcastable shapes, one maker of numbers for each; empty axes included."""

    @st.composite
    def build(draw: Any) -> Case:
        drawn = draw(mutually_broadcastable_shapes(num_shapes=len(makers), min_side=0, max_side=3, max_dims=3)).input_shapes
        rng = draw(generators)
        operands = tuple(maker(rng, shape) for maker, shape in zip(makers, drawn, strict=True))
        return Case(operands, expected(*operands))

    return build()


def over_axis(expected: Callable[..., Any], maker: Callable[..., Any] = anything) -> st.SearchStrategy[Case]:
    """One operand and one axis."""

    @st.composite
    def build(draw: Any) -> Case:
        shape = draw(shapes)
        axis = draw(st.integers(0, len(shape) - 1))
        x = maker(draw(generators), shape)
        return Case((x,), expected(x, axis), {"axis": axis})

    return build()


def reduction(expected: Callable[..., Any], maker: Callable[..., Any] = anything) -> st.SearchStrategy[Case]:
    """One operand, any set of axes, kept or not."""

    @st.composite
    def build(draw: Any) -> Case:
        shape = draw(shapes)
        axis = tuple(draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True)))
        keepdims = draw(st.booleans())
        x = maker(draw(generators), shape)
        return Case((x,), expected(x, axis=axis, keepdims=keepdims), {"axis": axis, "keepdims": keepdims})

    return build()


@st.composite
def matrices(draw: Any) -> Case:
    leading = draw(mutually_broadcastable_shapes(num_shapes=2, min_side=1, max_side=3, max_dims=1)).input_shapes
    n, k, m = draw(st.tuples(*[st.integers(1, 4)] * 3))
    rng = draw(generators)
    x, y = anything(rng, (*leading[0], n, k)), anything(rng, (*leading[1], k, m))
    return Case((x, y), np.matmul(x, y))


@st.composite
def einsums(draw: Any) -> Case:
    sizes = {"b": 2, "n": 3, "m": 4, "k": 1}
    subscripts = draw(st.sampled_from(["bn,bnm->bm", "bn,bm->bnm", "nm->mn", "bnm->n", "bn,bn->", "nk,km->nm", "bn,m->nb", "bnm,nm->b"]))
    rng = draw(generators)
    operands = tuple(anything(rng, tuple(sizes[c] for c in term)) for term in subscripts.split("->")[0].split(","))
    return Case(operands, np.einsum(subscripts, *operands), {"subscripts": subscripts})


@st.composite
def einsums_of_squares(draw: Any) -> Case:
    subscripts, shape = draw(st.sampled_from([("bnm,bnm->bn", (2, 3, 2)), ("ij,ij->j", (3, 2)), ("i,i->", (4,)), ("ij,ij->ji", (2, 3))]))
    x = anything(draw(generators), shape)
    return Case((x,), np.einsum(subscripts, x, x), {"subscripts": subscripts})


def broadcast(forward: bool) -> st.SearchStrategy[Case]:
    """A shape and one it broadcasts to, in either direction."""

    @st.composite
    def build(draw: Any) -> Case:
        wide = draw(shapes)
        narrow = tuple(1 if draw(st.booleans()) else n for n in wide)[draw(st.integers(0, len(wide))) :]
        rng = draw(generators)
        if forward:
            x = anything(rng, narrow)
            return Case((x,), np.broadcast_to(x, wide), {"shape": wide})
        x = anything(rng, wide)
        axes = tuple(i for i in range(len(wide)) if i < len(wide) - len(narrow) or narrow[i - len(wide) + len(narrow)] == 1)
        return Case((x,), x.sum(axis=axes).reshape(narrow), {"shape": narrow})

    return build()


@st.composite
def reshapes(draw: Any) -> Case:
    x = anything(draw(generators), draw(shapes))
    shape = draw(st.sampled_from([(-1,), (x.size,), (1, *x.shape), (*x.shape, 1), x.shape[::-1], (x.shape[0], -1)]))
    return Case((x,), x.reshape(shape), {"shape": shape})


@st.composite
def transposes(draw: Any) -> Case:
    x = anything(draw(generators), draw(shapes))
    axes = tuple(draw(st.permutations(range(x.ndim))))
    return Case((x,), x.transpose(axes), {"axes": axes})


@st.composite
def indices(draw: Any) -> Any:
    """An index into a (4, 3) array: numbers, slices of both directions, new axes, repeated integers, a mask."""
    return draw(st.sampled_from([*SLICES, *INDEX_ARRAYS]))


SLICES = [1, -1, (2, 0), slice(1, 3), slice(None, None, -2), (slice(None), 1), (..., 0), (None, 2), (slice(0, 0),)]
REPEATED, MASK = np.array([1, 3, 3, 0]), np.array([True, False, True, True])
INDEX_ARRAYS = [MASK, REPEATED, (REPEATED, np.array([0, 1, 1, 2])), (slice(None), np.array([2, 2])), (np.array([[0, 1], [1, 1]]), 0)]


@st.composite
def getitems(draw: Any, of: list[Any]) -> Case:
    x, index = anything(draw(generators), (4, 3)), draw(st.sampled_from(of))
    return Case((x,), x[index], {"index": index})


@st.composite
def puts(draw: Any) -> Case:
    index = draw(indices())
    x = anything(draw(generators), np.zeros((4, 3))[index].shape)
    expected = np.zeros((4, 3))
    np.add.at(expected, index, x)
    return Case((x,), expected, {"index": index, "shape": (4, 3)})


def takes(forward: bool) -> st.SearchStrategy[Case]:
    """take, and its transpose put_taken; index arrays of one and two axes, repetitions included."""

    @st.composite
    def build(draw: Any) -> Case:
        shape, rng = draw(shapes), draw(generators)
        axis = draw(st.integers(0, len(shape) - 1))
        index = rng.integers(0, shape[axis], draw(st.sampled_from([(3,), (2, 2)])))
        x = anything(rng, shape)
        if forward:
            return Case((x, index), np.take(x, index, axis), {"axis": axis})
        x, expected = anything(rng, np.take(x, index, axis).shape), np.zeros(shape)
        np.add.at(expected, (slice(None),) * axis + (index,), x)
        return Case((x, index), expected, {"axis": axis, "shape": shape})

    return build()


def takes_along(forward: bool) -> st.SearchStrategy[Case]:
    @st.composite
    def build(draw: Any) -> Case:
        shape, rng = draw(shapes), draw(generators)
        axis = draw(st.integers(0, len(shape) - 1))
        index = rng.integers(0, shape[axis], (*shape[:axis], draw(st.integers(1, 4)), *shape[axis + 1 :]))
        x = anything(rng, shape)
        if forward:
            return Case((x, index), np.take_along_axis(x, index, axis), {"axis": axis})
        x, expected = anything(rng, index.shape), np.zeros(shape)
        for place in np.ndindex(*index.shape):
            expected[(*place[:axis], index[place], *place[axis + 1 :])] += x[place]
        return Case((x, index), expected, {"axis": axis, "shape": shape})

    return build()


def windows(forward: bool) -> st.SearchStrategy[Case]:
    """im2col, and its transpose col2im: windows wider than high and higher than wide, which overlap, touch or leave pixels out."""

    @st.composite
    def build(draw: Any) -> Case:
        size, stride, padding = draw(st.tuples(*[st.integers(1, 3)] * 2)), draw(st.integers(1, 3)), draw(st.integers(0, 2))
        height, width = (max(1, k - 2 * padding) + draw(st.integers(0, 3)) for k in size)
        shape = (draw(st.integers(1, 2)), height, width, draw(st.integers(1, 2)))
        rng, attributes = draw(generators), {"size": size, "stride": stride, "padding": padding}
        down, across = ((n + 2 * padding - k) // stride + 1 for n, k in zip(shape[1:3], size, strict=True))
        columns = anything(rng, (shape[0], down, across, size[0] * size[1] * shape[3]))
        x = anything(rng, shape) if forward else np.zeros(shape)
        for b, i, j, k, m, c in np.ndindex(shape[0], down, across, *size, shape[3]):  # element by element, as defined
            place, column = (b, i * stride + k - padding, j * stride + m - padding, c), (b, i, j, (k * size[1] + m) * shape[3] + c)
            inside = 0 <= place[1] < height and 0 <= place[2] < width
            if forward:
                columns[column] = x[place] if inside else 0
            elif inside:
                x[place] += columns[column]
        return Case((x,), columns, attributes) if forward else Case((columns,), x, {"shape": shape, **attributes})

    return build()


@st.composite
def rolls(draw: Any) -> Case:
    x = anything(draw(generators), draw(shapes))
    axis, shift = draw(st.integers(0, x.ndim - 1)), draw(st.integers(-6, 6))
    return Case((x,), np.roll(x, shift, axis), {"axis": axis, "shift": shift})


@st.composite
def stacks(draw: Any) -> Case:
    shape, rng = draw(shapes), draw(generators)
    parts = tuple(anything(rng, shape) for _ in range(draw(st.integers(1, 3))))
    axis = draw(st.integers(0, len(shape)))
    return Case(parts, np.stack(parts, axis), {"axis": axis})


@st.composite
def concatenations(draw: Any) -> Case:
    shape, rng = draw(shapes), draw(generators)
    axis = draw(st.integers(0, len(shape) - 1))
    lengths = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    parts = tuple(anything(rng, (*shape[:axis], n, *shape[axis + 1 :])) for n in lengths)
    return Case(parts, np.concatenate(parts, axis), {"axis": axis})


def some_zeros(rng: Any, shape: tuple[int, ...]) -> Any:
    """Where a gradient by division would fail."""
    return away_from_zero(rng, shape) * rng.choice([0, 1, 1], shape)


def numpy_softmax(x: Any, axis: int) -> Any:
    return np.exp(x) / np.exp(x).sum(axis, keepdims=True)


EXAMPLES: dict[str, st.SearchStrategy[Case]] = {
    "add": elementwise(np.add, anything, anything),
    "subtract": elementwise(np.subtract, anything, anything),
    "multiply": elementwise(np.multiply, anything, anything),
    "divide": elementwise(np.divide, anything, away_from_zero),
    "negative": elementwise(np.negative, anything),
    "power": elementwise(np.power, positive, anything),
    "exp": elementwise(np.exp, anything),
    "log": elementwise(np.log, positive),
    "log1p": elementwise(np.log1p, between(-0.8, 3)),
    "sqrt": elementwise(np.sqrt, positive),
    "sin": elementwise(np.sin, anything),
    "cos": elementwise(np.cos, anything),
    "tanh": elementwise(np.tanh, anything),
    "sigmoid": elementwise(lambda x: 1 / (1 + np.exp(-x)), between(-5, 5)),
    "softplus": elementwise(lambda x: np.log(1 + np.exp(x)), away_from_zero),
    "absolute": elementwise(np.abs, away_from_zero),
    "maximum": elementwise(np.maximum, even_tenths, odd_tenths),
    "minimum": elementwise(np.minimum, even_tenths, odd_tenths),
    "where": elementwise(np.where, lambda rng, shape: np.asarray(rng.random(shape) < 0.5), anything, anything),
    "equal": elementwise(np.equal, even_tenths, even_tenths),
    "not_equal": elementwise(np.not_equal, even_tenths, even_tenths),
    "less": elementwise(np.less, even_tenths, even_tenths),
    "less_equal": elementwise(np.less_equal, even_tenths, even_tenths),
    "greater": elementwise(np.greater, even_tenths, even_tenths),
    "greater_equal": elementwise(np.greater_equal, even_tenths, even_tenths),
    "argmax": over_axis(np.argmax, all_different),
    "argsort": over_axis(np.argsort, all_different),
    "matmul": matrices(),
    "einsum": einsums(),
    "einsum_of_square": einsums_of_squares(),
    "sum": reduction(np.sum),
    "max": reduction(np.max, all_different),
    "min": reduction(np.min, all_different),
    "cumsum": over_axis(np.cumsum),
    "cumprod": over_axis(np.cumprod, some_zeros),
    "softmax": over_axis(numpy_softmax),
    "logsumexp": over_axis(lambda x, axis: np.log(np.exp(x).sum(axis))),
    "broadcast_to": broadcast(forward=True),
    "sum_to": broadcast(forward=False),
    "reshape": reshapes(),
    "transpose": transposes(),
    "getitem": getitems(INDEX_ARRAYS),
    "slice": getitems(SLICES),
    "put": puts(),
    "take": takes(forward=True),
    "put_taken": takes(forward=False),
    "take_along": takes_along(forward=True),
    "put_along": takes_along(forward=False),
    "im2col": windows(forward=True),
    "col2im": windows(forward=False),
    "roll": rolls(),
    "stack": stacks(),
    "concatenate": concatenations(),
}

every_primitive = pytest.mark.parametrize("name", sorted(PRIMITIVES))
every_differentiable = pytest.mark.parametrize("name", sorted(name for name, row in PRIMITIVES.items() if row.differentiable))
BINARY = ["add", "subtract", "multiply", "divide", "power", "maximum", "minimum"]


def case_of(data: st.DataObject, name: str) -> Case:
    if name not in EXAMPLES:
        pytest.fail(f"primitive '{name}' has no example: add one to EXAMPLES in {__file__.rpartition('/')[2]}, or it stays unproven")
    return data.draw(EXAMPLES[name])


def test_the_table_and_its_examples_name_the_same_rows() -> None:
    assert len(PRIMITIVES) > 40
    assert sorted(EXAMPLES) == sorted(PRIMITIVES)


@every_primitive
@given(data=st.data())
def test_forward_is_that_of_numpy(name: str, data: st.DataObject) -> None:
    case = case_of(data, name)
    copies = [operand.copy() for operand in case.operands]
    on_arrays = PRIMITIVES[name](*case.operands, **case.attributes)
    on_tensors = PRIMITIVES[name](*map(tm.Tensor, case.operands), **case.attributes)
    assert isinstance(on_tensors, tm.Tensor)
    assert not isinstance(on_arrays, tm.Tensor)
    for result in (on_arrays, on_tensors.data):
        assert np.shape(result) == np.shape(case.expected)
        assert result.dtype == np.asarray(case.expected).dtype
        np.testing.assert_allclose(result, case.expected, rtol=1e-13, atol=1e-13)
    for operand, copy in zip(case.operands, copies, strict=True):
        np.testing.assert_array_equal(operand, copy)


@every_differentiable
@given(data=st.data())
def test_gradients_of_order_1_and_2_are_right(name: str, data: st.DataObject) -> None:
    case = case_of(data, name)
    report = check_grad(lambda *operands: PRIMITIVES[name](*operands, **case.attributes), *case.operands, title=name)
    assert FINITE_DIFFERENCES not in report.methods  # every row is analytic, so nothing weaker than the complex step will do


@every_primitive
@given(data=st.data())
def test_single_precision_stays_single(name: str, data: st.DataObject) -> None:
    case = case_of(data, name)
    operands = [tm.Tensor(x, x.dtype.kind == "f", "float32" if x.dtype.kind == "f" else None) for x in case.operands]
    result = PRIMITIVES[name](*operands, **case.attributes)
    if not PRIMITIVES[name].differentiable:
        assert result.dtype == np.asarray(case.expected).dtype
        return
    assert result.dtype == np.float32
    tracked = [operand for operand in operands if operand.requires_grad]
    for create_graph in (False, True):
        for gradient in tm.gradients(result, tracked, np.ones(result.shape, "float32"), create_graph=create_graph):
            assert gradient.dtype == np.float32


@pytest.mark.parametrize("name", BINARY)
@given(seed=st.integers(0, 1000))
def test_a_python_number_leaves_single_precision_single(name: str, seed: int) -> None:
    x = tm.Tensor(positive(np.random.default_rng(seed), (2, 3)), requires_grad=True, dtype="float32")
    for result in (PRIMITIVES[name](x, 0.7), PRIMITIVES[name](0.7, x), PRIMITIVES[name](x, 2), PRIMITIVES[name](3, x)):
        assert result.dtype == np.float32
        for create_graph in (False, True):
            assert tm.gradients(result, [x], np.ones((2, 3), "float32"), create_graph=create_graph)[0].dtype == np.float32


@pytest.mark.parametrize("name", BINARY)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1000))
def test_gradient_beside_a_python_number(backend: Any, name: str, seed: int) -> None:
    x = odd_tenths(np.random.default_rng(seed), (2, 3)) + 2.4  # positive, and no kink at the numbers below
    assert check_grad(lambda x: PRIMITIVES[name](x, 2) * PRIMITIVES[name](2.0, x), x).methods == ("complex step",) * 2


@every_primitive
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=5)
@given(data=st.data())
def test_rows_and_gradients_run_where_only_the_device_is_allowed(backend: Any, name: str, data: st.DataObject) -> None:
    case = case_of(data, name)
    attributes = {key: on_device(value) for key, value in case.attributes.items()}
    result = PRIMITIVES[name](*map(tm.Tensor, case.operands), **attributes)
    np.testing.assert_allclose(tm.to_host(result), case.expected, rtol=1e-13, atol=1e-13)
    if PRIMITIVES[name].differentiable:
        check_grad(lambda *operands: PRIMITIVES[name](*operands, **attributes), *case.operands, title=name)


def on_device(index: Any) -> Any:
    """Index arrays among the attributes live where the data lives."""
    if isinstance(index, np.ndarray):
        return tm.asarray(index)
    return tuple(map(on_device, index)) if isinstance(index, tuple) else index


@pytest.mark.parametrize("name", [name for name, row in PRIMITIVES.items() if not row.differentiable])
def test_a_question_has_no_gradient(name: str) -> None:
    x = tm.Tensor([3.0, 1.0, 2.0], requires_grad=True)
    result = PRIMITIVES[name](x, axis=0) if name.startswith("arg") else PRIMITIVES[name](x, 2.0)
    assert not result.requires_grad


@pytest.mark.parametrize(("name", "share"), [("maximum", 0.5), ("minimum", 0.5)])
def test_a_tie_is_shared(name: str, share: float) -> None:
    x, y = tm.Tensor([1.0], requires_grad=True), tm.Tensor([1.0], requires_grad=True)
    PRIMITIVES[name](x, y).backward(np.array([3.0]))
    assert x.grad == y.grad == [3 * share]


@pytest.mark.parametrize("function", [tm.max, tm.min])
def test_equal_winners_share_the_gradient(function: Any) -> None:
    x = tm.Tensor(np.zeros((2, 4)), requires_grad=True)
    function(x, 1).backward(np.array([4.0, 8.0]))
    np.testing.assert_array_equal(x.grad, [[1.0] * 4, [2.0] * 4])


def test_absolute_at_zero_has_the_gradient_zero() -> None:
    x = tm.Tensor([0.0, 0.0], requires_grad=True)
    tm.absolute(x).backward(np.ones(2))
    np.testing.assert_array_equal(x.grad, [0.0, 0.0])


# -- the names users call ------------------------------------------------------------------------------------------------
x34 = np.random.default_rng(5).normal(size=(3, 4))
COMPOSED: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "sum of everything": (lambda x: tm.sum(x), x34.sum()),
    "sum, negative axis": (lambda x: tm.sum(x, -1), x34.sum(-1)),
    "mean": (lambda x: tm.mean(x, 0, True), x34.mean(0, keepdims=True)),
    "mean of everything": (lambda x: x.mean(), x34.mean()),
    "max of everything": (lambda x: x.max(), x34.max()),
    "min, negative axis": (lambda x: x.min(-2), x34.min(-2)),
    "sort": (tm.sort, np.sort(x34)),
    "sort over rows": (lambda x: tm.sort(x, 0), np.sort(x34, 0)),
    "log_softmax": (tm.log_softmax, x34 - np.log(np.exp(x34).sum(-1, keepdims=True))),
    "log_softmax over rows": (lambda x: tm.log_softmax(x, 0), x34 - np.log(np.exp(x34).sum(0))),
    "swapaxes": (lambda x: x.swapaxes(0, -1), x34.T),
    "T": (lambda x: x.T, x34.T),
    "transpose with a tuple": (lambda x: x.transpose((1, 0)), x34.T),
    "expand_dims": (lambda x: tm.expand_dims(x, -1), x34[..., None]),
    "expand_dims inside": (lambda x: tm.expand_dims(x, 1), x34[:, None]),
    "squeeze": (lambda x: tm.squeeze(tm.expand_dims(x, 1), 1), x34),
    "flip": (lambda x: tm.flip(x, 1), x34[:, ::-1]),
    "roll": (lambda x: tm.roll(x, -1, -1), np.roll(x34, -1, -1)),
    "take": (lambda x: tm.take(x, tm.asarray(np.array([[1, 1], [0, 3]])), -1), np.take(x34, [[1, 1], [0, 3]], -1)),
    "index array": (lambda x: x[tm.asarray(np.array([2, 2, 0]))], x34[[2, 2, 0]]),
    "index Tensor": (lambda x: x[tm.argmax(x, 0)], x34[x34.argmax(0)]),
    "index of Tensors": (lambda x: x[(tm.argmax(x, 0), slice(0, 2))], x34[x34.argmax(0), 0:2]),
    "split": (lambda x: tuple(tm.split(x, [1, 3])), x34),
    "split over rows": (lambda x: tuple(tm.split(x, [2, 1], axis=0)), x34),
    "stack, negative axis": (lambda x: tm.stack([x, x * x], -1), np.stack([x34, x34 * x34], -1)),
    "concatenate": (lambda x: tm.concatenate([x, x, x * x], -1), np.concatenate([x34, x34, x34 * x34], -1)),
    "relu": (tm.relu, np.maximum(x34, 0)),
    "reshape with a tuple": (lambda x: x.reshape((2, 6)), x34.reshape(2, 6)),
    "reshape with -1": (lambda x: x.reshape(-1, 2), x34.reshape(-1, 2)),
    "vector times matrix": (lambda x: x[0] @ x.T, x34[0] @ x34.T),
    "matrix times vector": (lambda x: x @ x[1], x34 @ x34[1]),
    "vector times vector": (lambda x: x[0] @ x[1], x34[0] @ x34[1]),
    "stack of matrices times vector": (lambda x: tm.stack([x, x]) @ x[1], np.stack([x34, x34]) @ x34[1]),
    "stack of matrices times matrix": (lambda x: tm.stack([x, 2 * x]) @ x.T, np.stack([x34, 2 * x34]) @ x34.T),
    "vector times stack of matrices": (lambda x: x[:, 0] @ tm.stack([x, x]), x34[:, 0] @ np.stack([x34, x34])),
    "outer product": (lambda x: x[:, 1:2] @ x[1:2], x34[:, 1:2] @ x34[1:2]),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_composed_functions(backend: Any, name: str) -> None:
    function, expected = COMPOSED[name]
    result = function(tm.Tensor(x34))
    parts = [tm.to_host(part) for part in result] if isinstance(result, tuple) else [tm.to_host(result)]
    if isinstance(result, tuple):
        parts = [np.concatenate(parts, axis=0 if "rows" in name else 1)]
    assert parts[0].shape == np.shape(expected)
    np.testing.assert_allclose(parts[0], expected, rtol=1e-13, atol=1e-13)
    report = check_grad(function, x34, title=name)
    assert FINITE_DIFFERENCES not in report.methods


@pytest.mark.parametrize("extreme", [1e3, 1e30])
@pytest.mark.parametrize("function", [tm.softmax, tm.logsumexp, tm.sigmoid, tm.softplus, tm.tanh, tm.log_softmax])
def test_extreme_arguments_stay_finite(function: Any, extreme: float) -> None:
    """Warnings are errors here, so an overflow on the way would fail too."""
    x = tm.Tensor([[-extreme, 0.0, extreme]], requires_grad=True)
    result = function(x)
    assert np.isfinite(result.data).all()
    result.backward(np.array([[0.5, -1.0, 2.0]]) if result.shape == (1, 3) else np.array([2.0]))
    assert np.isfinite(x.grad).all()


def test_a_power_of_zero_has_a_finite_gradient() -> None:
    x, y = tm.Tensor([0.0], requires_grad=True), tm.Tensor([2.0], requires_grad=True)
    (x**y).backward()
    assert x.grad == [0.0]
    assert y.grad == [0.0]


def test_a_negative_base_with_a_whole_exponent() -> None:
    assert check_grad(lambda x: x**3, np.array([-1.5, -0.2, 0.0, 2.0])).methods == ("complex step",) * 2
