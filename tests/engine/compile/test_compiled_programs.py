"""Random programs: the compiled step computes what the step computes, whichever operations it is made of."""

import hypothesis.strategies as st
import numpy as np
import pytest
from agree import agree
from hypothesis import given
from programs import Expression, Leaf, compare, expression

import tinymem as tm

WITHOUT = ("fold", "recompute", "defer", "pieces")  # what may change the order of additions, or the sign of a zero


@st.composite
def expressions(draw, **options):
    """Built by Hypothesis's own choices, so that a failing program is made smaller."""
    return expression(lambda n: draw(st.integers(0, n - 1)) if n > 1 else 0, length=draw(st.integers(1, 12)), **options)


@given(expressions())
def test_native_code_equals_eager(found):
    compare(found, "c", tolerance=1e-12)


@given(expressions())
def test_a_replay_equals_eager(found):
    compare(found, "numpy", tolerance=1e-12)


@given(expressions(exact=True))
def test_a_replay_without_reordering_equals_eager_to_the_last_bit(found):
    compare(found, "numpy", WITHOUT, tolerance=0)


@given(expressions(empty=True))
def test_arrays_without_elements_by_native_code(found):
    compare(found, "c", tolerance=1e-12)


@given(expressions(empty=True))
def test_arrays_without_elements_by_a_replay(found):
    compare(found, "numpy", tolerance=1e-12)


@given(expressions(dtype="float32"))
def test_single_precision_by_native_code(found):
    compare(found, "c", tolerance=1e-5)


@given(expressions(dtype="float32"))
def test_single_precision_by_a_replay(found):
    compare(found, "numpy", tolerance=1e-5)


@pytest.mark.parametrize("seed", range(40))
def test_longer_programs(seed):
    """Fixed seeds: more operations than Hypothesis likes to draw, each lowering and a pass left out."""
    rng = np.random.default_rng(seed)
    found = expression(lambda n: int(rng.integers(n)), length=25)
    compare(found, "numpy", tolerance=1e-11, calls=1)
    compare(found, "c", [(), ("fuse",), ("stores",), ("plan",), ("pieces",), ("fold",), ("defer",)][seed % 7], tolerance=1e-11, calls=1)


# -- found by such programs -------------------------------------------------------------------------------------------------------
X = np.linspace(-1.0, 1.2, 24).reshape(2, 3, 4)


@pytest.mark.parametrize(
    "f",
    [
        pytest.param(lambda x: tm.stack([x[0, 1, 2], x[1, 0, 0] * 2], 0), id="single elements"),
        pytest.param(lambda x: tm.max(x, 1) * 2, id="winners of float64"),
        pytest.param(lambda x: x * np.float64(2) ** np.float64(0.5), id="numpy numbers"),
        pytest.param(lambda x: tm.roll(x[:1], -1, 0), id="roll of one"),
        pytest.param(lambda x: tm.concatenate([x[:0], x, x[:1, :0].sum(1, True) + x[:1]], 0), id="parts without elements"),
        pytest.param(lambda x: tm.cumsum(x, 0), id="cumsum of ones backwards"),
        pytest.param(lambda x: tm.where(np.arange(4) > 1, x, 0 * x), id="where"),
        pytest.param(lambda x: x[:, :, 3:1] + x[:, :, :1], id="a slice of nothing"),
        pytest.param(lambda x: tm.sum(x[:, 3:], (1, 2)) + tm.sum(x, (1, 2)), id="a sum of nothing"),
        pytest.param(lambda x: x[:, :, 4:] @ tm.swapaxes(x, 1, 2)[:, 4:, :], id="a product over nothing"),
        pytest.param(lambda x: x[0, :, 4:] @ np.ones((0, 5)) + tm.sum(x), id="a plain product over nothing"),
        pytest.param(lambda x: tm.take((x - 1)[::-1, :0, ::2], np.array([0, 1]), 2).sum() + tm.sum(x), id="taken from nothing"),
        pytest.param(lambda x: tm.broadcast_to(x[:, :1], (5, 2, 3, 4)), id="broadcast"),
        pytest.param(lambda x: tm.einsum("bnm,bkm->bnk", x, x), id="products of itself"),
        pytest.param(lambda x: tm.einsum("bnm,m->n", x, x[0, 0]), id="summed over the batch"),
        pytest.param(lambda x: tm.einsum("abc->ca", x), id="one operand"),
        pytest.param(lambda x: x @ np.ones(4), id="a vector on the right"),
        pytest.param(lambda x: tm.matmul(np.ones(3), x), id="a vector on the left"),
        pytest.param(lambda x: x.T @ x.transpose(0, 2, 1).swapaxes(0, 1)[:, :, :].reshape(4, 2, 3), id="odd strides"),
        pytest.param(lambda x: tm.softmax(tm.where(np.arange(4) < 2, x, -np.inf), 2), id="a mask of -inf"),
        pytest.param(lambda x: tm.logsumexp(x * 800, 1), id="large scores"),
        pytest.param(lambda x: tm.minimum(x, tm.flip(x, 2)) + tm.maximum(x, 0), id="ties"),
        pytest.param(lambda x: tm.sort(tm.concatenate([x, x], 1), 1), id="sorting equal numbers"),
        pytest.param(lambda x: x**2 + x**3 + (x * x + 1) ** 0.5 + (x * x + 1) ** -1 + x**0 + x**1, id="powers"),
        pytest.param(lambda x: 2.0**x + (x * x + 0.1) ** x, id="exponents"),
        pytest.param(lambda x: x.reshape(4, 6)[::-2, 1::2], id="views of views"),
        pytest.param(lambda x: x.transpose(2, 0, 1).reshape(8, 3) * 2, id="a reshape that copies"),
        pytest.param(lambda x: tm.take(x, np.array([[0, -1], [2, 2]]), 1), id="taken twice and from the end"),
        pytest.param(lambda x: x[np.array([1, 0, 1])], id="rows by number"),
        pytest.param(lambda x: (x > 0) * x + (x >= 0.5) * 2 - (x == x) * 1, id="comparisons as numbers"),
        pytest.param(lambda x: tm.squeeze(tm.expand_dims(x, 1), 1), id="squeeze"),
        pytest.param(lambda x: [part * i for i, part in enumerate(x)][1], id="iteration"),
        pytest.param(lambda x: tm.absolute(x) + abs(x) + tm.relu(-x), id="kinks"),
        pytest.param(lambda x: x / tm.sum(x * x, -1, True) ** 0.5, id="unit vectors"),
        pytest.param(lambda x: tm.mean(x) + x, id="a mean of all"),
        pytest.param(lambda x: tm.log1p(tm.exp(x)) + tm.softplus(x) + tm.sigmoid(x), id="functions"),
    ],
)
def test_single_operations(f):
    agree(lambda p: f(p["x"]), {"x": X})


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1)])
def test_shapes_of_one_element(shape):
    agree(lambda p: tm.tanh(p["x"]) * 2 + tm.sum(p["x"]), {"x": np.full(shape, 0.3)})


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 64, 100, 1023, 1025, 2050])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_remainder_of_the_vector_width(n, dtype):
    x = np.random.default_rng(n).standard_normal((2, n)).astype(dtype)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    f = lambda p: (tm.softmax(p["x"], 1), tm.max(p["x"], 1), tm.min(p["x"], 0) * 2, tm.sum(tm.exp(p["x"]), 1))  # noqa: E731
    agree(f, {"x": x}, tolerance=tolerance, lowerings=["c"])


@pytest.mark.parametrize("lead", [(), (1,), (3,), (2, 3)])
@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (1, 5, 7), (5, 1, 7), (5, 7, 1), (4, 4, 4), (5, 6, 7), (1, 8, 1)])
def test_products_of_all_sizes(lead, m, k, n):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((*lead, m, k)), rng.standard_normal((*lead, k, n))

    def f(p):
        plain = tm.matmul(p["x"], p["y"])
        turned = tm.matmul(tm.swapaxes(p["y"], -1, -2), tm.swapaxes(p["x"], -1, -2))
        return plain * 2 + tm.swapaxes(turned, -1, -2), tm.matmul(p["x"], p["y"][..., ::-1])

    agree(f, {"x": x, "y": y})


@pytest.mark.parametrize("index", [np.s_[::-1], np.s_[:, ::-1], np.s_[::-1, ::-1], np.s_[::2], np.s_[:, ::2], np.s_[1:, 1:]], ids=str)
@pytest.mark.parametrize("columns", [1, 5])
def test_products_added_into_odd_places(index, columns):
    """The gradient of a part, a matrix product, is added into the gradient of the whole: where BLAS can write, and where not."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 7))
    y = rng.standard_normal((x[index].shape[1], columns))

    def f(p):
        part = p["x"][index]
        turned = tm.swapaxes(p["x"], 0, 1)[index]
        return tm.tanh(p["x"]), part @ p["y"], tm.sin(turned)[:, : y.shape[0]] @ p["y"][: turned.shape[1]]

    agree(f, {"x": x, "y": y})


def test_a_short_inner_loop_with_where():
    """GCC 12 vectorised the outer loop of this kernel wrongly: the gradient was garbage."""
    rng = np.random.default_rng(0)
    p = tm.Tensor(rng.standard_normal((4, 2)), requires_grad=True)
    w = rng.standard_normal((4, 2))

    def step(x):
        p.grad = None
        y = tm.where(p > 0, p, 0)
        c = tm.sin(x) * 0.0
        ((c + y) * w).sum().backward()
        gradient = p.grad
        p.data = p.data - 0.125 * gradient
        return y + c, c, gradient

    for _ in range(3):
        before = p.data.copy()
        expected = np.where(before > 0, w, 0)
        gradient = tm.compile(step, state={"p": p}, lowering="c")(tm.Tensor(0.3))[2]
        assert gradient.tolist() == expected.tolist()
        p.data = rng.standard_normal((4, 2))


def test_a_sum_that_is_read_again_is_the_sum():
    """A kernel once read the last increment of an accumulation instead of the total."""
    mask = np.random.default_rng(0).uniform(size=(4, 4, 1)) < 0.5
    p = tm.Tensor(np.random.default_rng(1).standard_normal((4, 4, 1)), requires_grad=True)

    def step():
        p.grad = None
        (2 * tm.max(tm.where(mask, p[:, :, ::-1], p), 0) * np.arange(4.0)[:, None]).sum().backward()
        gradient = p.grad
        p.data = p.data - 0.125 * gradient
        return gradient

    before = p.data.copy()
    gradient = tm.compile(step, state={"p": p}, lowering="c")()
    np.testing.assert_allclose(p.data, before - 0.125 * gradient, rtol=1e-15)


# -- whose memory is it -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("lowering", ["numpy", "c"])
def test_results_are_the_callers_own(lowering):
    step = tm.compile(lambda x, y: (x, x[:, ::-1], y * 2, (x + y).sum(), x.T), lowering=lowering)
    x, y = tm.Tensor(np.arange(6.0).reshape(2, 3)), np.ones((2, 3))
    first = step(x, y)
    kept = [tm.to_host(part).copy() for part in first]
    step(tm.Tensor(x.data * 10), y * 5)
    assert all(np.array_equal(a, tm.to_host(b)) for a, b in zip(kept, first, strict=True))
    for part in first:  # and may be written to
        tm.to_host(part)[...] = -1
    assert x.data.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert y.tolist() == [[1, 1, 1]] * 2
    assert np.array_equal(tm.to_host(step(x, y)[2]), y * 2)


@pytest.mark.parametrize("lowering", ["numpy", "c"])
@pytest.mark.parametrize("old", ["p.data", "p * 1", "p + 0", "p.detach()", "p[::-1]", "p.reshape(3, 1)"])
def test_a_result_that_shows_the_state_is_from_before_its_update(lowering, old):
    p = tm.Tensor([1.0, 2.0, 3.0], requires_grad=True)

    def step():
        before = {
            "p.data": lambda: p.data,
            "p * 1": lambda: p * 1,
            "p + 0": lambda: p + 0,
            "p.detach()": lambda: p.detach(),
            "p[::-1]": lambda: p[::-1],
            "p.reshape(3, 1)": lambda: p.reshape(3, 1),
        }[old]()
        p.data = p.data * 2
        return before

    compiled = tm.compile(step, state={"p": p}, lowering=lowering)
    for factor in (1, 2, 4):
        assert sorted(tm.to_host(compiled()).ravel().tolist()) == [factor, 2 * factor, 3 * factor]


@pytest.mark.parametrize("lowering", ["numpy", "c"])
def test_two_tensors_of_the_state_change_places(lowering):
    a, b, c = tm.Tensor([1.0]), tm.Tensor([2.0]), tm.Tensor([3.0])

    def step():
        a.data, b.data, c.data = b.data, c.data, a.data + 0

    compiled = tm.compile(step, state=[a, b, c], lowering=lowering)
    for expected in ([2, 3, 1], [3, 1, 2], [1, 2, 3]):
        compiled()
        assert [a.item(), b.item(), c.item()] == expected


@pytest.mark.parametrize("lowering", ["numpy", "c"])
def test_a_part_of_the_state_moves_within_it(lowering):
    a = tm.Tensor(np.arange(6.0))

    def step():
        a.data = a.data.reshape(2, 3)[::-1].reshape(6)

    compiled = tm.compile(step, state=[a], lowering=lowering)
    compiled()
    assert a.data.tolist() == [3, 4, 5, 0, 1, 2]


def test_the_programs_of_this_file_are_not_trivial():
    """The generator reaches every kind of instruction."""
    seen = set()
    for seed in range(150):
        rng = np.random.default_rng(seed)
        found = expression(lambda n, rng=rng: int(rng.integers(n)), length=12)
        seen |= {text.split()[0].split("[")[0] for _, _, text in found.instructions}
    for name in ("softmax", "max", "einsum", "split", "take", "stack", "sort", "cumprod", "where(mask)", "matmul", "reshape", "transpose"):
        assert name in seen or any(name in text or "->" in text for text in seen), name


def test_a_program_prints_what_it_is():
    found = Expression([Leaf(np.ones(2), "parameter")], [(tm.tanh, (0,), "tanh")], (1,))
    assert repr(found) == "x0 = parameter (2,)\nx1 = tanh of x0\nresults (1,)"
