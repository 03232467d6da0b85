"""The elementary functions of native code against NumPy at a higher precision, over all numbers there are."""

import numpy as np
import pytest

import tinymem as tm

# errors measured over 10^6 numbers (GCC 12, with FMA), in units in the last place: the bounds asserted are a little above
BOUNDS = {
    ("exp", "float32"): 1.2,  # measured 1.00
    ("exp", "float64"): 1.2,  # 0.99
    ("log", "float32"): 1.0,  # 0.78
    ("log", "float64"): 2.3,  # 1.96, near 1
    ("log1p", "float32"): 2.8,  # 2.38, near -0.39
    ("log1p", "float64"): 2.8,  # 2.44
    ("tanh", "float32"): 1.7,  # 1.33, near 0.63
    ("tanh", "float64"): 1.7,  # 1.32
}
FUNCTIONS = {"exp": (tm.exp, np.exp), "log": (tm.log, np.log), "log1p": (tm.log1p, np.log1p), "tanh": (tm.tanh, np.tanh)}
CASES = pytest.mark.parametrize(("name", "dtype"), BOUNDS)


@pytest.fixture(scope="module")
def native():
    made = {}

    def function(f):
        return lambda x: made.setdefault((f, x.dtype), tm.compile(lambda x: f(x), lowering="c"))(tm.Tensor(x)).data

    return function


def finer(x):
    return x.astype(np.float64 if x.dtype == np.float32 else np.longdouble)


def numbers(dtype, n=40000):
    """Every bit pattern alike; then where the functions turn: around 0 and ±1, to underflow and overflow, tiny ones of both signs."""
    rng = np.random.default_rng(0)
    single = dtype == "float32"
    bits = (
        rng.integers(0, 2 ** (32 if single else 64), n, dtype=np.uint64, endpoint=False)
        .astype("uint32" if single else "uint64")
        .view(dtype)
    )
    parts = [
        rng.uniform(-1, 1, n),
        rng.uniform(-25, 25, n),
        rng.uniform(-110, 100, n) if single else rng.uniform(-760, 720, n),
        rng.choice([-1, 1], n) * 10.0 ** rng.uniform(-44 if single else -320, 0, n),
        1 + rng.uniform(-1e-3, 1e-3, n),
        -1 + 10.0 ** rng.uniform(-7 if single else -15, 0, n),
    ]
    return np.concatenate([bits, *[part.astype(dtype) for part in parts]])


@CASES
def test_errors_in_units_in_the_last_place(native, name, dtype):
    f, reference = FUNCTIONS[name]
    x = numbers(dtype)
    with np.errstate(all="ignore"):
        exact = reference(finer(x))
        rounded = exact.astype(dtype)
        got = native(f)(x)
    finite = np.isfinite(rounded)
    assert got.dtype == dtype
    assert np.array_equal(got[~finite], rounded[~finite], equal_nan=True)
    errors = np.abs(got[finite].astype(exact.dtype) - exact[finite]) / np.spacing(np.abs(rounded[finite])).astype(exact.dtype)
    worst = int(np.argmax(errors))
    assert errors[worst] <= BOUNDS[name, dtype], (float(errors[worst]), float(x[finite][worst]))


@CASES
def test_special_numbers(native, name, dtype):
    f, reference = FUNCTIONS[name]
    tiny, least = np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal
    x = np.array(
        [0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, -2, tiny, -tiny, least, -least, np.finfo(dtype).max, np.finfo(dtype).min], dtype
    )
    with np.errstate(all="ignore"):
        expected = reference(finer(x)).astype(dtype)
    got = native(f)(x)
    assert np.array_equal(np.isnan(got), np.isnan(expected))
    known = np.isfinite(expected)
    assert np.array_equal(got[~known], expected[~known], equal_nan=True)
    np.testing.assert_allclose(got[known], expected[known], rtol=3 * np.finfo(dtype).eps, atol=2 * least)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_overflow_and_underflow_of_exp(native, dtype):
    edge = {"float32": (88.72283, 88.72284, -103.97, -103.98, -87.5), "float64": (709.78271, 709.78272, -745.13, -745.14, -708.5)}[dtype]
    with np.errstate(all="ignore"):
        expected = np.exp(finer(np.array(edge, dtype))).astype(dtype)
    got = native(tm.exp)(np.array(edge, dtype))
    assert np.isinf(got[1]) == np.isinf(expected[1])
    np.testing.assert_allclose(
        got[np.isfinite(expected)],
        expected[np.isfinite(expected)],
        rtol=1e-6 if dtype == "float32" else 1e-15,
        atol=np.finfo(dtype).smallest_subnormal,
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["tanh", "exp", "log1p"])
def test_monotone_where_two_formulas_meet(native, name, dtype):
    """At the borders between a polynomial and the general formula nothing jumps."""
    for border in (0.625, -0.3, 0.42, 0.45, -0.625, np.log(2) / 2):
        steps = np.arange(-2000, 2000)
        x = np.dtype(dtype).type(border) + steps * np.spacing(np.dtype(dtype).type(border))
        got = native(FUNCTIONS[name][0])(np.asarray(x, dtype)).astype(np.longdouble)
        slack = 5 * np.spacing(np.abs(got[0].astype(dtype)))
        assert (np.diff(got) >= -slack).all()


# -- reductions -------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [2, 5, 16, 17, 40])
@pytest.mark.parametrize("place", [0, 1, -1])
@pytest.mark.parametrize("axis", [0, 1])
def test_nan_is_not_lost(dtype, n, place, axis):
    x = np.linspace(-1, 1, 3 * n, dtype=dtype).reshape(3, n)
    x = x if axis else np.ascontiguousarray(x.T)
    x[(1, place) if axis else (place, 1)] = np.nan
    step = tm.compile(
        lambda x: (
            tm.max(x, axis),
            tm.min(x, axis),
            tm.sum(x, axis),
            tm.softmax(x, axis),
            tm.logsumexp(x, axis),
            tm.maximum(x, 0),
            tm.minimum(0, x),
            tm.relu(x),
        ),
        lowering="c",
    )
    results = [r.data for r in step(tm.Tensor(x))]
    for r in (results[0], results[1], results[2], results[4]):
        assert np.isnan(r).tolist() == [False, True, False]
    assert np.isnan(results[3]).any(axis).tolist() == [False, True, False]
    assert np.isnan(results[3]).all(axis).tolist() == [False, True, False]
    for r in results[5:]:
        assert np.array_equal(np.isnan(r), np.isnan(x))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [3, 16, 33])
def test_a_mask_of_minus_infinity_gives_exactly_zero(dtype, n):
    scores = np.random.default_rng(0).standard_normal((4, n)).astype(dtype)
    mask = np.arange(n) < 2
    p = tm.Tensor(scores, requires_grad=True)

    def step():
        p.grad = None
        weights = tm.softmax(tm.where(mask, p, -np.inf), 1)
        (weights * np.arange(n, dtype=dtype)).sum().backward()
        return weights, tm.logsumexp(tm.where(mask, p, -np.inf), 1), p.grad, tm.logsumexp(tm.where(mask & False, p, -np.inf), 1)

    with np.errstate(divide="ignore"):  # ln 0
        expected = step()[:3]
    weights, total, gradient, nothing = tm.compile(step, state=[p], lowering="c")()
    assert (weights.data[:, 2:] == 0).all()
    assert (gradient[:, 2:] == 0).all()
    assert (nothing.data == -np.inf).all()
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    for got, e in zip((weights.data, total.data, gradient), expected, strict=True):
        np.testing.assert_allclose(got, tm.to_host(e), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("lowering", ["numpy", "c"])
def test_infinities_pass_through_arithmetic(lowering):
    x = tm.Tensor(np.array([np.inf, -np.inf, np.nan, 0.0, 1.0]))
    f = lambda x: (x - x, x * 0, 1 / x, x + 1, x / x, x > 0, x == x, tm.maximum(x, -x), tm.where(x == x, x, 0), tm.sqrt(x), x**2, 0 - x)  # noqa: E731
    with np.errstate(all="ignore"):
        expected = [tm.to_host(e) for e in f(x)]
    for position, (got, e) in enumerate(zip(tm.compile(f, lowering=lowering)(x), expected, strict=True)):
        assert np.array_equal(got.data, e, equal_nan=e.dtype.kind == "f"), position
