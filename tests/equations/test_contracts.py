"""What a wrong call says: which equation, which operand with its symbol, what was declared, what came, and what to do."""

from __future__ import annotations

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymem as tm
from tinymem.equations.contracts import ContractError, evaluate, names_in, parse_domain
from tinymem.equations.ntm import content_weighting, interpolate, read, sharpen, shift
from tinymem.equations.recurrent import gru_step, lstm_step
from tinymem.equations.registry import equation


def ones(*shape):
    return tm.Tensor(numpy.ones(shape))


def message(function, *operands, **named):
    with pytest.raises(ContractError) as caught:
        function(*operands, **named)
    return str(caught.value)


def test_a_missing_axis_names_what_to_insert():
    assert message(sharpen, ones(2, 4), ones(2)) == (
        "Sharpening: sharpening (γ_t) must have the 2 axes >=1 (batch, 1), got shape (2,) with 1. "
        "Insert an axis of length 1 with x[:, None]"
    )


def test_a_superfluous_axis_gets_no_such_advice():
    assert message(read, ones(2, 4, 3), ones(2, 4, 1)) == (
        "Read: weighting (w_t) must have the 2 axes simplex (batch, N), got shape (2, 4, 1) with 3"
    )


def test_a_number_without_axes():
    assert message(interpolate, ones(2, 4), ones(2, 4), tm.Tensor(0.5)).startswith(
        "Interpolation gate: gate (g_t) must have the 2 axes unit (batch, 1), got shape () with 0"
    )


def test_another_batch_names_who_set_it():
    assert message(content_weighting, ones(2, 5, 3), ones(4, 3), ones(2, 1)) == (
        "Content addressing: key (k_t) must be (batch, M), got shape (4, 3): axis 0 is 4, not batch (batch = 2 from memory)"
    )


def test_memory_and_weighting_of_different_length():
    assert message(read, ones(2, 5, 3), ones(2, 6)) == (
        "Read: weighting (w_t) must be simplex (batch, N), got shape (2, 6): axis 1 is 6, not N (N = 5 from memory)"
    )


def test_memory_and_key_of_different_width():
    assert "key (k_t) must be (batch, M), got shape (2, 4): axis 1 is 4, not M (M = 3 from memory)" in message(
        content_weighting, ones(2, 5, 3), ones(2, 4), ones(2, 1)
    )


def test_one_parameter_a_head_is_not_one_a_location():
    assert message(sharpen, ones(2, 4), ones(2, 4)) == (
        "Sharpening: sharpening (γ_t) must be >=1 (batch, 1), got shape (2, 4): axis 1 is 4, not 1"
    )


@pytest.mark.parametrize("even", [2, 4, 6])
def test_an_even_number_of_shifts(even):
    text = message(shift, ones(2, 5), ones(2, even))
    assert text == f"Shift: shift_weighting (s_t) must be simplex (batch, 2*R + 1), got shape (2, {even}): axis 1 is {even}, not 2*R + 1"


@pytest.mark.parametrize("odd", [1, 3, 5])
def test_an_odd_number_of_shifts_is_fine(odd):
    assert shift(ones(2, 5), ones(2, odd)).shape == (2, 5)


def test_weights_of_the_wrong_number_of_blocks():
    text = message(gru_step, ones(2, 3), ones(2, 4), ones(16, 3), ones(12, 4), ones(12))
    assert text == "GRU step: W must be (3*H, X), got shape (16, 3): axis 0 is 16, not 3*H (H = 4 from h)"


def test_weights_given_transposed():
    assert "LSTM step: W must be (4*H, X), got shape (3, 16): axis 0 is 3, not 4*H (H = 4 from h)" in message(
        lstm_step, ones(2, 3), ones(2, 4), ones(2, 4), ones(3, 16), ones(16, 4), ones(16)
    )


@pytest.mark.parametrize("operand", [0.5, [[0.5], [0.5]], None], ids=["number", "list", "none"])
def test_an_operand_that_is_no_array(operand):
    text = message(interpolate, ones(2, 4), ones(2, 4), operand)
    kind = type(operand).__name__
    assert text == f"Interpolation gate: gate (g_t) must be a Tensor or an array, got {kind}; wrap it: tinymem.Tensor(value)"


def test_a_length_of_several_names_is_settled_by_the_axes_that_know_them():
    @equation("Join", paper="", latex="", lesson="", whole="(D + E)", first="(D)", second="(E)", returns="(D + E)")
    def join(whole, first, second):
        return whole

    assert join(ones(5), ones(2), ones(3)).shape == (5,)
    assert message(join, ones(6), ones(2), ones(3)) == (
        "Join: whole must be (D + E,), got shape (6,): axis 0 is 6, not D + E (D = 2 from first, E = 3 from second)"
    )


def test_the_mistake_is_found_again_and_after_a_good_call():
    good, bad = (ones(2, 5, 3), ones(2, 5)), (ones(2, 5, 3), ones(2, 6))
    read(*good)
    first, second = message(read, *bad), message(read, *bad)
    assert first == second
    read(*good)


def test_operands_may_be_given_by_name_in_any_order():
    assert read(weighting=ones(2, 5), memory=ones(2, 5, 3)).shape == (2, 3)
    assert "Read: weighting (w_t)" in message(read, weighting=ones(2, 6), memory=ones(2, 5, 3))


def test_a_missing_operand_is_named():
    with pytest.raises(TypeError, match="weighting"):
        read(ones(2, 5, 3))


def test_too_many_operands_are_refused():
    with pytest.raises(TypeError, match="argument"):
        read(ones(2, 5, 3), ones(2, 5), ones(2, 5))


# -- the language of declarations ----------------------------------------------------------------------------------------
def test_declarations_are_read():
    domain = parse_domain("simplex (batch, 2*R + 1)")
    assert (domain.kind, domain.lengths) == ("simplex", ("batch", "2*R + 1"))
    assert str(domain) == "simplex (batch, 2*R + 1)"
    assert str(parse_domain("(H)")) == "(H,)"
    assert parse_domain(">=1 (batch, 1)").kind == ">=1"
    assert names_in("4*H + D") == ("D", "H")
    assert names_in("1") == ()


@pytest.mark.parametrize("declaration", ["simplx (batch, N)", "simplex batch, N", "simplex", ""])
def test_a_declaration_that_cannot_be_read(declaration):
    with pytest.raises(ValueError, match="write 'word"):
        parse_domain(declaration)


@given(st.integers(0, 9), st.integers(0, 9))
def test_lengths_are_computed(r, d):
    assert evaluate("2*R + D*3 + 1", {"R": r, "D": d}) == 2 * r + 3 * d + 1


@pytest.mark.parametrize("length", ["R - 1", "R / 2", "R ** 2", "f(R)"])
def test_lengths_that_are_not_understood(length):
    with pytest.raises(ValueError, match="only names, numbers"):
        evaluate(length, {"R": 3})
