"""The gallery of wrong gradients: every falsification is rejected, every right row beside it is accepted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymem as tm
from tinymem.testing.check import COMPLEX_STEP, GradientError, check_grad
from tinymem.testing.mutants import CONTROLS, MUTANTS, Mutant

# What the checker must say where it is not simply "wrong gradient of order 1".
VERDICTS = {
    "right once, wrong twice": "wrong gradient of order 2",
    "cotangent off the tape": r"wrong gradient of order 2\n  argument: the cotangent",
    "running product by division": r"wrong gradient of order 1\n  argument: x\[1, 1\]\n  got: +nan",
    "changes its cotangent": "changes its cotangent in place",
    "changes its operand": "x is changed in place",
    "loses half the digits": "the gradient of x is float32",
}


def by_name(mutants: list[Mutant]) -> Any:
    return pytest.mark.parametrize("mutant", [pytest.param(mutant, id=mutant.name) for mutant in mutants])


@by_name(MUTANTS)
def test_every_mutant_is_rejected(mutant: Mutant) -> None:
    with np.errstate(all="ignore"), pytest.raises(GradientError, match=VERDICTS.get(mutant.name, "wrong gradient of order 1")) as error:
        check_grad(mutant.function, *mutant.inputs, title=mutant.name)
    assert str(error.value).startswith(f"{mutant.name}: ")


@by_name(MUTANTS)
def test_every_mutant_is_rejected_whatever_the_cotangent(mutant: Mutant) -> None:
    for seed in range(1, 6):
        with np.errstate(all="ignore"), pytest.raises(GradientError):
            check_grad(mutant.function, *mutant.inputs, seed=seed)


@by_name(CONTROLS)
def test_every_right_row_is_accepted(mutant: Mutant) -> None:
    report = check_grad(mutant.function, *mutant.inputs)
    assert report.methods == (COMPLEX_STEP, COMPLEX_STEP)
    assert report.largest_error < 1e-13


@by_name(MUTANTS)
def test_a_mutant_computes_the_right_values(mutant: Mutant) -> None:
    """Its mistake is in the gradient alone: so no test of values could ever find it."""
    (right,) = [control for control in CONTROLS if control.function.func.equation == mutant.function.func.equation]  # type: ignore[attr-defined]
    result, expected = (function(*map(tm.Tensor, mutant.inputs)) for function in (mutant.function, right.function))
    np.testing.assert_array_equal(result.data, expected.data)


def test_the_gallery_is_well_hung() -> None:
    assert len(MUTANTS) >= 24
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert len({control.name for control in CONTROLS}) == len(CONTROLS)
    assert set(VERDICTS) <= {mutant.name for mutant in MUTANTS}
    for mutant in MUTANTS:
        assert len(mutant.mistake) > 20
        assert all(array.dtype == np.float64 for array in mutant.inputs)


def test_a_ones_cotangent_sees_no_zero_softmax() -> None:
    """The checkers that sum the result before they differentiate accept this mutant: the very layer attention is made of."""
    (zero,) = [mutant for mutant in MUTANTS if mutant.name == "zero softmax"]
    x = tm.Tensor(zero.inputs[0], requires_grad=True)
    (by_ones,) = tm.gradients(zero.function(x), [x], np.ones(x.shape))
    (true,) = tm.gradients(tm.softmax(x, 1), [x], np.ones(x.shape))
    np.testing.assert_allclose(by_ones.data, true.data, atol=1e-15)
    assert check_grad(lambda x: zero.function(x).sum(), *zero.inputs).largest_error < 1e-15
    with pytest.raises(GradientError):
        check_grad(zero.function, *zero.inputs)


def test_order_1_alone_does_not_see_everything() -> None:
    subtle = [mutant for mutant in MUTANTS if mutant.name in ("right once, wrong twice", "cotangent off the tape")]
    assert len(subtle) == 2
    for mutant in subtle:
        assert check_grad(mutant.function, *mutant.inputs, order=1).largest_error < 1e-13
