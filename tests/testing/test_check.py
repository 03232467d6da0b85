"""Who checks the checker: it must accept what is right, and refuse, with the right words, each way of being wrong."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinymem as tm
from tinymem.engine import ops
from tinymem.testing.check import EVERY_ELEMENT, GradientError, NotDifferentiable, Report, check_grad
from tinymem.testing.witnesses import COMPLEX_STEP, FINITE_DIFFERENCES, is_honest, kink

random = np.random.default_rng(7)
x34, y34 = random.normal(size=(3, 4)), random.normal(size=(3, 4))


def without_mean(x: Any) -> Any:
    return _without_mean(x, axis=1)


_without_mean = ops._softmax.with_vjp("x", lambda g, out, x, axis: g * out)


# -- what is right ---------------------------------------------------------------------------------------------------------
def test_the_report_says_what_was_measured() -> None:
    report = check_grad(tm.softmax, x34)
    assert report == Report("softmax", (COMPLEX_STEP, COMPLEX_STEP), report.errors)
    assert 0 < report.largest_error < 1e-14
    assert check_grad(tm.softmax, x34, order=1).methods == (COMPLEX_STEP,)
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.title = "another"  # type: ignore[misc]


def test_it_is_deterministic() -> None:
    assert check_grad(tm.softmax, x34, seed=3) == check_grad(tm.softmax, x34, seed=3)
    assert check_grad(tm.softmax, x34, seed=3).errors != check_grad(tm.softmax, x34, seed=4).errors


def test_several_results_and_mixed_arguments() -> None:
    def f(x: Any, index: Any, y: Any, flag: bool, mask: Any) -> Any:
        assert flag is True
        assert index.dtype == np.int64
        return tm.take(x, index, 0) * y[:2], tm.where(mask, x, y), tm.argmax(x, 0)

    report = check_grad(f, x34, np.array([2, 2]), y34, True, x34 > 0)
    assert set(report.methods) == {COMPLEX_STEP}


def test_numbers_without_axes() -> None:
    assert check_grad(lambda x, y: tm.exp(x * y), 0.5, np.array(2.0)).largest_error < 1e-14


def test_an_empty_argument_has_nothing_to_be_wrong() -> None:
    assert check_grad(lambda x, y: tm.concatenate([x, y]), np.zeros((0, 4)), x34).largest_error < 1e-14


def test_a_result_that_does_not_depend_on_an_argument() -> None:
    assert check_grad(lambda x, y: (x * 2.0, tm.Tensor(np.ones(3))), x34, y34).errors[1] < 1e-15


def test_large_arguments_take_few_evaluations() -> None:
    calls = 0

    def f(x: Any, y: Any) -> Any:
        nonlocal calls
        calls += 1
        return tm.tanh(x @ y)

    x, y = random.normal(size=(60, 50)), random.normal(size=(50, 2))
    assert x.size + y.size > EVERY_ELEMENT
    assert check_grad(f, x, y).largest_error < 1e-13
    assert calls < 60


def test_values_of_every_size() -> None:
    for scale in (1e-6, 1e6):
        assert set(check_grad(lambda x: x * x * x, x34 * scale, order=2).methods) == {COMPLEX_STEP}


def test_the_backend_of_the_context_is_used() -> None:
    from tinymem.testing import strict

    with tm.use(strict.namespace):
        seen = []
        check_grad(lambda x, i: (seen.append(type(x.data)), tm.take(x, i, 0) * x[0])[1], x34, np.array([1, 1]))
    assert np.ndarray not in seen


# -- what is wrong: order 1 ------------------------------------------------------------------------------------------------
def test_the_message_says_everything() -> None:
    with pytest.raises(GradientError) as error:
        check_grad(lambda memory, w: without_mean(memory) * w, x34, y34, title="Content addressing")
    lines = str(error.value).splitlines()
    assert lines[0] == "Content addressing: wrong gradient of order 1"
    assert lines[1] == "  argument: memory[0, 0]"
    assert lines[2].startswith("  got:      ")
    assert lines[3].startswith("  expected: ")
    assert lines[3].endswith("(complex step)")
    assert lines[4] == "  inputs: memory (3, 4), w (3, 4)"
    assert not math.isclose(float(lines[2].split()[1]), float(lines[3].split()[1]), rel_tol=1e-6)
    assert isinstance(error.value, AssertionError)


def test_the_expected_number_is_the_true_one() -> None:
    halved = ops.multiply.with_vjp("y", lambda g, out, x, y: g * x / 2)
    with pytest.raises(GradientError) as error:
        check_grad(halved, 3.0, 5.0)
    got, expected = (float(line.split()[1]) for line in str(error.value).splitlines()[2:4])
    assert "argument: y\n" in str(error.value)
    assert expected == pytest.approx(2 * got, rel=1e-12)


def test_names_and_title_can_be_given_and_are_found_where_they_are_not() -> None:
    with pytest.raises(GradientError, match=r"(?s)^softmax: .* argument: key\["):
        check_grad(without_mean, x34, names=["key"], title="softmax")
    with pytest.raises(GradientError, match=r"(?s)^without_mean: .* argument: x\["):
        check_grad(without_mean, x34)
    with pytest.raises(GradientError, match=r"(?s)^softmax: .* argument: x\["):
        check_grad(lambda *parts: without_mean(parts[0]), x34, title="softmax", names=["x"])
    with pytest.raises(GradientError, match=r"argument: argument 0\["):
        check_grad(lambda *parts: without_mean(parts[0]), x34)


@pytest.mark.parametrize("place", [(0, 0), (17, 3), (39, 4)])
def test_one_wrong_element_among_many_is_found(place: tuple[int, int]) -> None:
    def vjp(g: Any, out: Any, x: Any) -> Any:
        error = np.zeros((40, 5))
        error[place] = 1e-6
        return g * x * 2 + g * error

    square = tm.primitive("square(x) = x^2", lambda xp, x: x * x, saves="x", x=vjp)
    with pytest.raises(GradientError) as error:
        check_grad(square, random.normal(size=(40, 5)))
    assert f"argument: x[{place[0]}, {place[1]}]" in str(error.value)


def test_a_missing_dependence_is_found() -> None:
    with pytest.raises(GradientError, match=r"(?s)order 1.*got: +0\n"):
        check_grad(lambda x: x.detach() * 2.0, x34)


def test_a_gradient_that_is_not_a_number_is_found() -> None:
    bad = tm.primitive("copy(x) = x", lambda xp, x: x * 1, saves="x", x=lambda g, out, x: g * np.where(np.arange(12) == 5, np.nan, 1))
    with pytest.raises(GradientError, match=r"(?s)argument: x\[5\].*got: +nan"):
        check_grad(bad, np.arange(12.0), order=1)


def test_an_error_in_a_backward_pass_is_a_wrong_gradient() -> None:
    bad = tm.primitive("copy(x) = x", lambda xp, x: x * 1, x=lambda g, out, x: x.nothing)
    with pytest.raises(GradientError, match="order 1 cannot be computed: AttributeError"):
        check_grad(bad, x34)


def test_an_error_in_the_function_is_the_functions_own() -> None:
    with pytest.raises(tm.OperandError, match="matmul"):
        check_grad(lambda x, y: x @ y, x34, y34)


def test_a_ones_cotangent_would_have_been_blind() -> None:
    """Each row of a softmax sums to 1, so its sum has the gradient 0, which is what the wrong row returns."""
    zero = ops._softmax.with_vjp("x", lambda g, out, x, axis: g * 0.0)
    assert check_grad(lambda x: zero(x, axis=1).sum(), x34).largest_error < 1e-15
    with pytest.raises(GradientError, match="order 1"):
        check_grad(lambda x: zero(x, axis=1), x34)


# -- what is wrong: order 2 ------------------------------------------------------------------------------------------------
def test_a_saved_value_taken_off_the_tape() -> None:
    def vjp(g: Any, out: Any, x: Any) -> Any:
        out = out.data if isinstance(out, tm.Tensor) else out
        return g * out

    frozen = tm.primitive("exp(x) = e^x", lambda xp, x: xp.exp(x), saves="out", x=vjp)
    assert check_grad(frozen, x34, order=1).largest_error < 1e-14
    with pytest.raises(GradientError, match=r"(?s)wrong gradient of order 2.*argument: x\[.*got: +0\n"):
        check_grad(frozen, x34)


def test_a_mixed_term_that_is_missing() -> None:
    def off_tape(x: Any) -> Any:
        return x.data if isinstance(x, tm.Tensor) else x

    product = tm.primitive(
        "product(x, y) = x y",
        lambda xp, x, y: x * y,
        saves="x y",
        x=lambda g, out, x, y: g * off_tape(y),
        y=lambda g, out, x, y: g * off_tape(x),
    )
    with pytest.raises(GradientError, match="order 2"):
        check_grad(product, x34, y34)


def test_the_recorded_gradient_must_be_the_plain_one() -> None:
    forked = tm.primitive("copy(x) = x", lambda xp, x: x * 1, x=lambda g, out, x: g * 1.5 if isinstance(g, tm.Tensor) else g)
    with pytest.raises(GradientError, match="the same gradient without create_graph"):
        check_grad(forked, x34)


# -- manners ---------------------------------------------------------------------------------------------------------------
def copying(vjp: Callable[..., Any], saves: str = "") -> Any:
    return tm.primitive("copy(x) = x", lambda xp, x: x * 1, saves=saves, x=vjp)


def test_shared_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine copies; were it to stop, this check would say so."""
    from tinymem.testing import check

    monkeypatch.setattr(check, "gradients", lambda y, leaves, u, **_: [tm.engine.tensor.wrap(u, None) for _ in leaves])
    with pytest.raises(GradientError, match="the gradient of x shares its memory"):
        check_grad(lambda x, y: x + y, x34, y34)


def test_a_function_that_changes_its_argument_is_refused() -> None:
    def f(x: Any) -> Any:
        y = x * 2.0
        x.data[0, 0] = 0.0
        return y

    with pytest.raises(GradientError, match="x is changed in place"):
        check_grad(f, x34)
    assert x34[0, 0] != 0.0


def test_a_function_that_changes_its_index_is_refused() -> None:
    def f(x: Any, index: Any) -> Any:
        index += 0 if index[0] else 1
        return tm.take(x, index, 0)

    with pytest.raises(GradientError, match="index is changed in place"):
        check_grad(f, x34, np.array([0, 1]))


def test_single_precision_results_are_refused() -> None:
    single = tm.primitive("single(x) = x", lambda xp, x: x.astype("float32"), x=lambda g, out, x: g)
    with pytest.raises(GradientError, match="float64 arguments gave a float32 result"):
        check_grad(single, x34)


def test_chance_is_refused() -> None:
    dice = np.random.default_rng(0)
    with pytest.raises(GradientError, match="a second run gives another gradient"):
        check_grad(lambda x: x * float(dice.random()), x34)


# -- the complex step's traps ------------------------------------------------------------------------------------------------
def sign(x: Any) -> Any:
    return tm.where(x > 0, 1.0, 0.0) - tm.where(x < 0, 1.0, 0.0)


def numpy_abs(vjp: Callable[..., Any]) -> Any:
    """|x| by the function that throws the imaginary part away."""
    return tm.primitive("abs(x) = |x|", lambda xp, x: xp.abs(x), saves="x", x=vjp)


def test_through_abs_finite_differences_take_over() -> None:
    right = numpy_abs(lambda g, out, x: g * sign(x))
    report = check_grad(right, x34)
    assert report.methods[0] == FINITE_DIFFERENCES
    assert report.largest_error < 1e-6
    assert check_grad(lambda x: right(x) * x, x34).methods[0] == FINITE_DIFFERENCES


def test_a_gradient_as_wrong_as_the_complex_step_is_still_refused() -> None:
    """Through abs the complex step says 0, and so does this row: believing it unexamined would accept the mistake."""
    with pytest.raises(GradientError, match=r"(?s)got: +0\n.*finite differences"):
        check_grad(numpy_abs(lambda g, out, x: g * 0.0), x34)
    conjugate = tm.primitive("conj(x) = x", lambda xp, x: xp.conj(x), x=lambda g, out, x: -g)
    with pytest.raises(GradientError, match="finite differences"):
        check_grad(conjugate, x34)


def test_a_norm_written_with_numpys_norm() -> None:
    norm = tm.primitive(
        "norm(x) = |x|",
        lambda xp, x: xp.linalg.norm(x, axis=1),
        saves="x out",
        x=lambda g, out, x: tm.expand_dims(g / out, 1) * x,
    )
    assert check_grad(norm, x34).methods[0] == FINITE_DIFFERENCES


def test_what_takes_no_complex_numbers_is_checked_by_finite_differences() -> None:
    def forward(xp: Any, x: Any, y: Any) -> Any:
        return xp.logaddexp(x, y)

    logaddexp = tm.primitive(
        "logaddexp(x, y) = ln(e^x + e^y)",
        forward,
        saves="x y",
        x=lambda g, out, x, y: g * tm.sigmoid(x - y),
        y=lambda g, out, x, y: g * tm.sigmoid(y - x),
    )
    report = check_grad(logaddexp, x34, y34)
    assert report.methods == (FINITE_DIFFERENCES, FINITE_DIFFERENCES)
    wrong = logaddexp.with_vjp("y", lambda g, out, x, y: g * tm.sigmoid(x - y))
    with pytest.raises(GradientError, match=r"argument: y\["):
        check_grad(wrong, x34, y34)


def test_the_complex_step_is_examined() -> None:
    assert is_honest(lambda values: np.tanh(values[0]), [x34[0]], [y34[0]])
    assert not is_honest(lambda values: np.abs(values[0]), [x34[0]], [y34[0]])
    assert not is_honest(lambda values: np.logaddexp(values[0], 0), [x34[0]], [y34[0]])


# -- kinks -------------------------------------------------------------------------------------------------------------------
def test_a_kink_is_not_called_a_mistake() -> None:
    with pytest.raises(NotDifferentiable) as error:
        check_grad(tm.max, np.array([1.0, 3.0, 3.0, 3.0]), title="largest")
    message = str(error.value)
    assert message.startswith("largest: not differentiable in argument 0[1] at this point") or "x[1]" in message
    for part in ("y(x-h) = ", "y(x) = ", "y(x+h) = ", "inputs: "):
        assert part in message
    assert not isinstance(error.value, AssertionError)


@pytest.mark.parametrize("f", [tm.relu, tm.absolute, lambda x: tm.maximum(x, -x), lambda x: tm.minimum(x, 2 * x)])
def test_a_kink_at_zero(f: Callable[..., Any]) -> None:
    with pytest.raises(NotDifferentiable, match=r"x\[1\]|argument 0\[1\]"):
        check_grad(f, np.array([0.5, 0.0, -0.5]), names=["x"])


def test_beside_a_kink_all_is_well() -> None:
    for x in (1e-3, 1e-6, 1e-9):
        assert check_grad(tm.relu, np.array([x, -x])).methods == (COMPLEX_STEP, COMPLEX_STEP)


def test_a_kink_among_many_elements_is_located() -> None:
    x = random.normal(size=(20, 10))
    x[13, 4] = 0.0
    with pytest.raises(NotDifferentiable, match=r"x\[13, 4\]"):
        check_grad(lambda x: tm.maximum(x, 3.0 * x), x)


def test_a_kink_of_the_gradient_is_seen_at_order_2() -> None:
    assert check_grad(lambda x: x * tm.relu(x), np.array([0.0, 1.0]), order=1).methods[0] == COMPLEX_STEP
    with pytest.raises(NotDifferentiable, match=r"the gradient of x\[0\] has a kink"):
        check_grad(lambda x: x * tm.relu(x), np.array([0.0, 1.0]))


def test_a_mistake_is_not_called_a_kink() -> None:
    steep = tm.primitive("steep(x) = e^9x", lambda xp, x: xp.exp(9 * x), saves="out", x=lambda g, out, x: g * out)
    with pytest.raises(GradientError):
        check_grad(steep, np.array([0.5, 1.0]))


def test_what_a_kink_is() -> None:
    at, along = [np.array([0.0])], [np.array([1.0])]
    assert kink(lambda values: np.abs(values[0]), at, along) == (0, "y(x-h) = 1e-05, y(x) = 0, y(x+h) = 1e-05 with h = 1e-05")
    assert kink(lambda values: np.sign(values[0]), at, along) is not None
    assert kink(lambda values: np.heaviside(values[0], 1.0), at, along) is not None
    assert kink(lambda values: np.array([values[0][0] ** 2, abs(values[0][0])]), at, along)[0] == 1  # type: ignore[index]
    for smooth in (np.sin, np.cos, np.exp, np.square, lambda x: 100 * x**2, lambda x: x * 0):
        assert kink(lambda values, smooth=smooth: smooth(values[0]), at, along) is None


# -- bad questions -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda: check_grad(tm.exp, x34, order=3), ValueError, "order must be 1 or 2, got 3"),
        (lambda: check_grad(tm.exp, x34.astype("float32")), TypeError, "is float32; a gradient is checked in float64"),
        (lambda: check_grad(tm.exp, x34 + 0j), TypeError, "complex128"),
        (lambda: check_grad(tm.exp, np.arange(3)), TypeError, "none of the inputs is a float64 array"),
        (lambda: check_grad(tm.exp), TypeError, "none of the inputs"),
        (lambda: check_grad(lambda x: x.data, x34), TypeError, "must return a Tensor or several, got ndarray"),
        (lambda: check_grad(lambda x: [x, 1.0], x34), TypeError, "must return a Tensor or several, got float"),
    ],
)
def test_questions_without_an_answer(ask: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ask()
