"""The edges: no axes, no elements, masks of -inf, half precision, constants of another precision, axes that are none."""

import numpy as np
import pytest

import tinymem as tm
from tinymem.equations import ntm
from tinymem.testing import check_grad


def leaf(value, dtype=None):
    return tm.Tensor(value, requires_grad=True, dtype=dtype)


@pytest.mark.parametrize("index", [None, (), ..., (None, ...), True])
def test_gradients_of_slices_of_a_scalar_add_up(index):
    x = leaf(3.0)
    (x[index].sum() * 5 + x * 2 + x[index].sum()).backward()
    assert x.grad == 8.0


def test_a_boolean_index_takes_a_copy_and_its_gradient_adds_up():
    x = leaf([1.0, 2.0])
    (x[True].sum() + x.sum()).backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_the_second_derivative_of_something_linear_is_zero():
    assert tm.grad(tm.grad(lambda x: 3 * x))(2.0).item() == 0.0
    first, second = tm.grad(lambda x, y: tm.Tensor(1.0), argnums=(0, 1))(np.ones(2), np.ones(3))
    assert (first.shape, second.shape) == ((2,), (3,))
    assert tm.grad(lambda x: tm.Tensor(1.0))(np.inf).item() == 0.0
    with tm.no_grad(), pytest.raises(TypeError, match="no_grad"):
        tm.grad(lambda x: x * x)(1.0)


def test_a_gradient_has_the_precision_of_its_leaf():
    x = leaf([1.0, 2.0], "float32")
    (x * np.array([1.0, 2.0])).sum().backward()  # a float64 constant
    assert x.grad.dtype == np.float32
    (x * (1 + 2j)).sum().backward()
    assert x.grad.dtype == np.float32


@pytest.mark.parametrize("exponent", [0, 1, 2, 0.0, 1.0])
def test_powers_at_zero_have_all_derivatives(exponent):
    f = lambda x: (x**exponent).sum()  # noqa: E731
    for _ in range(3):
        value = f(leaf([0.0, 2.0]))
        assert np.isfinite(tm.to_host(value)).all()
        f = lambda x, g=f: tm.grad(g)(x).sum()  # noqa: E731
    x, y = leaf([0.0, 2.0]), leaf([0.0, 0.0])
    (x**y).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]


def test_a_power_of_zero_has_no_slope_even_at_infinity():
    x = leaf([np.inf, 1.0])
    (x**0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]


def test_logsumexp_of_nothing_but_masked_scores_is_minus_infinity():
    x = leaf(np.array([[-np.inf, -np.inf], [0.0, -np.inf]]))
    with np.errstate(divide="ignore"):  # ln 0
        assert tm.logsumexp(x, 1).data.tolist() == [-np.inf, 0.0]


@pytest.mark.parametrize(
    "f", [tm.softmax, tm.logsumexp, tm.sort, tm.argmax, tm.argsort, tm.flip, tm.cumsum, tm.cumprod], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("axis", [None, (0, 1), 1.0])
def test_one_axis_is_one_integer(f, axis):
    with pytest.raises(TypeError, match="axis must be one integer"):
        f(np.ones((2, 2)), axis)


def test_axes_may_be_numpy_integers():
    x = np.arange(6.0).reshape(2, 3)
    assert tm.sum(leaf(x), np.int64(1)).data.tolist() == [3.0, 12.0]
    assert tm.softmax(leaf(x), np.int64(-1)).shape == (2, 3)
    assert tm.reshape(leaf(x), np.int64(6)).shape == (6,)


@pytest.mark.parametrize(
    "f", [lambda x: tm.sum(x), lambda x: tm.softmax(x), lambda x: tm.expand_dims(x, 0)], ids=["sum", "softmax", "expand_dims"]
)
def test_a_list_is_no_operand(f):
    with pytest.raises(TypeError, match="got list; wrap it"):
        f([1.0, 2.0])


def test_split_takes_no_negative_length():
    with pytest.raises(tm.OperandError, match="split"):
        tm.split(leaf(np.ones((2, 3))), [4, -1])


@pytest.mark.parametrize("name", ["sharpen", "cosine_similarity"])
def test_half_precision_has_finite_gradients(name):
    weighting, gamma = leaf([[1.0, 0.0, 0.0]], "float16"), leaf([[2.0]], "float16")
    memory, key = leaf(np.full((1, 3, 2), 1e-6), "float16"), leaf([[0.5, -0.5]], "float16")
    operands = (weighting, gamma) if name == "sharpen" else (memory, key)
    result = getattr(ntm, name)(*operands)
    result.backward(np.ones(result.shape))
    assert result.dtype == np.float16
    assert all(np.isfinite(operand.grad).all() for operand in operands)


def test_products_and_running_products_of_nothing():
    x, w = leaf(np.ones((2, 3, 0))), leaf(np.ones((0, 5)))
    y = x @ w
    y.backward(np.ones(y.shape))
    assert (y.shape, x.grad.shape, w.grad.shape) == ((2, 3, 5), (2, 3, 0), (0, 5))
    for shape in ((0, 2), (2, 0)):
        z = leaf(np.ones(shape))
        tm.cumprod(z, 0).backward(np.ones(shape))
        assert z.grad.shape == shape


def test_classes_may_come_as_a_tensor_but_not_as_a_list():
    with pytest.raises(tm.OperandError, match="must lie in 0 … 2"):
        tm.categorical_loss(np.zeros((1, 3)), tm.Tensor([-1]))
    with pytest.raises(TypeError, match=r"numpy\.array\(classes\)"):
        tm.categorical_loss(np.zeros((1, 3)), [1])


def test_a_tensor_formats_as_its_number():
    assert f"{leaf(0.12345):.3f}" == "0.123"
    assert f"{leaf(1.0)}".startswith("Tensor(")


def test_a_memory_mapped_file_is_data_like_any_other(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3.0))
    x = tm.Tensor(np.load(tmp_path / "a.npy", mmap_mode="r"), requires_grad=True)
    assert type(x.data) is np.ndarray
    check_grad(tm.tanh, np.load(tmp_path / "a.npy", mmap_mode="r"))


def test_einsum_checks_the_number_of_axes():
    with pytest.raises(tm.OperandError, match="'ij' names 2 axes, its operand has shape"):
        tm.einsum("ij,jk->ik", np.ones((2, 3, 3)), np.ones((3, 5)))
