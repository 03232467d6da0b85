"""What is true of the Neural Turing Machine's equations whatever the numbers: each invariant under its name."""

from __future__ import annotations

import numpy
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tinymem as tm
from tinymem.equations.contracts import parse_domain
from tinymem.equations.ntm import add, address, content_weighting, cosine_similarity, erase, interpolate, read, sharpen, shift
from tinymem.equations.registry import equations
from tinymem.testing.check import check_grad
from tinymem.testing.strategies import inputs_of, values_in

batches, lengths = st.integers(1, 3), st.integers(1, 6)


def one_hot(place, length):
    return numpy.eye(length)[[place]]


def tensors(*arrays):
    return [tm.Tensor(array) for array in arrays]


def value_of(function, *arrays):
    return function(*tensors(*arrays)).data


def gradients_of(function, *arrays, seed=0):
    """The gradient of every argument for one random cotangent."""
    leaves = [tm.Tensor(array, requires_grad=True) for array in arrays]
    result = function(*leaves)
    result.backward(numpy.random.default_rng(seed).normal(size=result.shape))
    return [leaf.grad for leaf in leaves]


@st.composite
def weightings(draw, boundary=True):
    """A weighting (batch, N)."""
    shape = (draw(batches), draw(lengths))
    return draw(values_in(parse_domain("simplex (batch, N)"), shape, boundary))


# -- shift ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shifts", [3, 5, 7])
def test_a_one_hot_shift_moves_every_weight_by_its_offset(shifts):
    weighting = numpy.array([[0.5, 0.3, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    for place in range(shifts):
        offset = place - shifts // 2
        moved = value_of(shift, weighting, one_hot(place, shifts))
        for i in range(9):
            assert moved[0, (i + offset) % 9] == weighting[0, i]


def test_the_offset_plus_one_moves_to_the_next_higher_location():
    assert value_of(shift, one_hot(2, 6), numpy.array([[0.0, 0.0, 1.0]])).argmax() == 3
    assert value_of(shift, one_hot(2, 6), numpy.array([[1.0, 0.0, 0.0]])).argmax() == 1


def test_the_shift_is_circular():
    assert value_of(shift, one_hot(5, 6), numpy.array([[0.0, 0.0, 1.0]])).argmax() == 0
    assert value_of(shift, one_hot(0, 6), numpy.array([[1.0, 0.0, 0.0]])).argmax() == 5


def test_a_blurred_shift_spreads_a_sharp_weighting():
    numpy.testing.assert_allclose(value_of(shift, one_hot(2, 5), numpy.array([[0.1, 0.8, 0.1]])), [[0.0, 0.1, 0.8, 0.1, 0.0]])


@given(weightings())
def test_there_and_back_is_where_it_was(weighting):
    moved = value_of(shift, weighting, numpy.repeat([[0.0, 0.0, 1.0]], len(weighting), 0))
    back = value_of(shift, moved, numpy.repeat([[1.0, 0.0, 0.0]], len(weighting), 0))
    numpy.testing.assert_array_equal(back, weighting)


# -- sharpening ----------------------------------------------------------------------------------------------------------
@given(weightings())
def test_sharpening_by_one_changes_nothing(weighting):
    numpy.testing.assert_allclose(value_of(sharpen, weighting, numpy.ones((len(weighting), 1))), weighting, atol=1e-14)


@given(inputs_of(equations()["sharpen"]))
def test_sharpening_is_the_slides_power_over_the_sum_of_powers(inputs):
    weighting, gamma = inputs["weighting"], inputs["sharpening"]
    powers = weighting**gamma
    numpy.testing.assert_allclose(value_of(sharpen, weighting, gamma), powers / powers.sum(1, keepdims=True), rtol=1e-10)


@given(inputs_of(equations()["sharpen"], boundary=True))
def test_sharpening_keeps_the_order_and_never_lowers_the_largest(inputs):
    weighting, gamma = inputs["weighting"], inputs["sharpening"]
    sharp = value_of(sharpen, weighting, gamma)
    assert numpy.all(sharp.max(1) >= weighting.max(1) - 1e-14)
    order = numpy.argsort(weighting, axis=1, kind="stable")
    assert numpy.all(numpy.diff(numpy.take_along_axis(sharp, order, 1), axis=1) >= -1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("gamma", [1.0, 20.0, 1000.0])
@pytest.mark.parametrize(
    "weighting", [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [1e-300, 1e-200, 1e-250], [0.25, 0.25, 0.25]], ids=["one-hot", "two", "tiny", "flat"]
)
def test_sharpening_stays_finite_with_exact_zeros_and_large_gamma(weighting, gamma, dtype):
    operands = [tm.Tensor([weighting], True, dtype), tm.Tensor([[gamma]], True, dtype)]
    result = sharpen(*operands)
    result.backward(numpy.array([[1.0, -2.0, 0.5]], dtype))
    numpy.testing.assert_allclose(result.data.sum(), 1.0, rtol=1e-6)
    for array in (result.data, operands[0].grad, operands[1].grad):
        assert numpy.all(numpy.isfinite(array))


def test_why_sharpening_is_not_computed_as_written():
    weighting, gamma = tm.Tensor([[0.2, 0.3, 0.5]], requires_grad=True), tm.Tensor([[2000.0]], requires_grad=True)
    powers = weighting**gamma
    assert powers.data.sum() == 0  # all weights underflow, and the slide's form is 0/0
    numpy.testing.assert_allclose(sharpen(weighting, gamma).data, [[0.0, 0.0, 1.0]], atol=1e-12)


# -- gate ----------------------------------------------------------------------------------------------------------------
@given(inputs_of(equations()["interpolate"], boundary=True))
def test_an_open_gate_looks_by_content_and_a_shut_one_stays(inputs):
    content, previous = inputs["content"], inputs["previous"]
    numpy.testing.assert_array_equal(value_of(interpolate, content, previous, numpy.ones_like(inputs["gate"])), content)
    numpy.testing.assert_array_equal(value_of(interpolate, content, previous, numpy.zeros_like(inputs["gate"])), previous)


# -- content -------------------------------------------------------------------------------------------------------------
@given(inputs_of(equations()["content_weighting"]))
def test_a_large_strength_is_an_argmax(inputs):
    similarity = value_of(cosine_similarity, inputs["memory"], inputs["key"])
    ranked = numpy.sort(similarity, 1)
    assume(similarity.shape[1] == 1 or numpy.all(ranked[:, -1] - ranked[:, -2] > 1e-3))
    weighting = value_of(content_weighting, inputs["memory"], inputs["key"], numpy.full_like(inputs["strength"], 1e5))
    numpy.testing.assert_allclose(weighting, numpy.eye(similarity.shape[1])[similarity.argmax(1)], atol=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(2, 8))
def test_content_addressing_ignores_the_length_of_the_key(seed, factor):
    rng = numpy.random.default_rng(seed)
    memory, key, strength = rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 3)), rng.uniform(0.1, 5.0, size=(2, 1))
    assume(numpy.all(numpy.abs(key).max(1) > 0.1))  # where ε = 1e-8 under the root does not count
    long = value_of(content_weighting, memory, factor * key, strength)
    numpy.testing.assert_allclose(value_of(content_weighting, memory, key, strength), long, rtol=1e-5)


@given(inputs_of(equations()["cosine_similarity"]))
def test_the_cosine_lies_between_minus_one_and_one(inputs):
    assert numpy.all(numpy.abs(value_of(cosine_similarity, *inputs.values())) <= 1 + 1e-12)


def test_the_cosine_of_a_row_with_itself_is_one():
    memory = numpy.array([[[3.0, -4.0], [4.0, 3.0], [-3.0, 4.0]]])
    numpy.testing.assert_allclose(value_of(cosine_similarity, memory, memory[:, 0]), [[1.0, 0.0, -1.0]], atol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("zero", ["row", "memory", "key"])
def test_zeros_have_a_finite_cosine_and_a_finite_gradient(zero, dtype):
    memory, key = numpy.array([[[1.0, 2.0], [0.5, -1.0]]]), numpy.array([[1.0, -1.0]])
    if zero == "key":
        key[:] = 0
    else:
        memory[:, 0 if zero == "row" else slice(None)] = 0
    operands = [tm.Tensor(array, True, dtype) for array in (memory, key)]
    result = cosine_similarity(*operands)
    result.backward(numpy.array([[1.0, -2.0]], dtype))
    assert result.data[0, 0] == 0 if zero != "memory" else numpy.all(result.data == 0)
    for operand in operands:
        assert numpy.all(numpy.isfinite(operand.grad))


def test_the_gradient_at_a_zero_row_is_right_and_not_only_finite():
    check_grad(cosine_similarity, numpy.array([[[0.0, 0.0], [0.3, -0.7]]]), numpy.array([[0.4, 0.9]]))


# -- writing and reading -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("place", range(4))
def test_a_full_erase_zeroes_exactly_its_row(place):
    memory = numpy.random.default_rng(0).normal(size=(1, 4, 3))
    erased = value_of(erase, memory, one_hot(place, 4), numpy.ones((1, 3)))
    numpy.testing.assert_array_equal(erased[0, place], 0)
    others = [i for i in range(4) if i != place]
    numpy.testing.assert_array_equal(erased[0, others], memory[0, others])


def test_erase_spares_the_cells_whose_erase_element_is_zero():
    memory = numpy.arange(1.0, 7.0).reshape(1, 2, 3)
    numpy.testing.assert_array_equal(
        value_of(erase, memory, numpy.array([[1.0, 0.0]]), numpy.array([[1.0, 0.0, 1.0]])), [[[0, 2, 0], [4, 5, 6]]]
    )


@given(inputs_of(equations()["erase"], boundary=True))
def test_erasing_never_makes_a_cell_larger(inputs):
    assert numpy.all(numpy.abs(value_of(erase, *inputs.values())) <= numpy.abs(inputs["memory"]))


@given(inputs_of(equations()["read"]), st.data())
def test_reading_with_a_one_hot_weighting_returns_the_row(inputs, data):
    memory = inputs["memory"]
    places = [data.draw(st.integers(0, memory.shape[1] - 1)) for _ in memory]
    rows = value_of(read, memory, numpy.eye(memory.shape[1])[places])
    numpy.testing.assert_array_equal(rows, memory[range(len(memory)), places])


@pytest.mark.parametrize("place", range(4))
def test_what_was_written_is_read_back(place):
    rng = numpy.random.default_rng(1)
    memory, vector = rng.normal(size=(1, 4, 3)), rng.normal(size=(1, 3))
    weighting = one_hot(place, 4)
    memory, weighting, vector, everything = tensors(memory, weighting, vector, numpy.ones((1, 3)))
    written = add(erase(memory, weighting, everything), weighting, vector)
    numpy.testing.assert_array_equal(read(written, weighting).data, vector.data)


@given(inputs_of(equations()["add"], boundary=True))
def test_adding_and_subtracting_leaves_nothing(inputs):
    memory, weighting, vector = tensors(*inputs.values())
    numpy.testing.assert_allclose(add(add(memory, weighting, vector), weighting, -vector).data, inputs["memory"], atol=1e-15)


@given(inputs_of(equations()["erase"], boundary=True), st.data())
def test_erases_of_several_writers_commute(inputs, data):
    memory, weighting, vector = tensors(*inputs.values())
    other = tm.Tensor(data.draw(values_in(parse_domain("unit (batch, M)"), vector.shape, True)))
    first, second = erase(erase(memory, weighting, vector), weighting, other), erase(erase(memory, weighting, other), weighting, vector)
    numpy.testing.assert_allclose(first.data, second.data, atol=1e-15)


# -- the flow diagram ----------------------------------------------------------------------------------------------------
@given(inputs_of(equations()["address"], boundary=True))
def test_addressing_is_its_four_parts_in_order(inputs):
    memory, previous, key, strength, gate, shift_weighting, sharpening = tensors(*inputs.values())
    content = content_weighting(memory, key, strength)
    by_parts = sharpen(shift(interpolate(content, previous, gate), shift_weighting), sharpening)
    whole = address(memory, previous, key, strength, gate, shift_weighting, sharpening)
    numpy.testing.assert_array_equal(whole.data, by_parts.data)


def test_a_shut_gate_and_a_shift_step_through_the_memory():
    """The copy task's reading: g = 0, s = +1, whatever the content."""
    rng = numpy.random.default_rng(2)
    weighting = one_hot(0, 5)
    for step in range(1, 8):
        weighting = value_of(
            address,
            rng.normal(size=(1, 5, 3)),
            weighting,
            rng.normal(size=(1, 3)),
            numpy.array([[3.0]]),
            numpy.zeros((1, 1)),
            numpy.array([[0.0, 0.0, 1.0]]),
            numpy.array([[2.0]]),
        )
        numpy.testing.assert_allclose(weighting, one_hot(step % 5, 5), atol=1e-12)


def test_a_shut_gate_gives_the_key_no_gradient():
    rng = numpy.random.default_rng(3)
    inputs = [rng.normal(size=(1, 4, 3)), numpy.full((1, 4), 0.25), rng.normal(size=(1, 3)), numpy.array([[2.0]]), numpy.zeros((1, 1))]
    by_memory, _, by_key, by_strength, by_gate, *_ = gradients_of(address, *inputs, numpy.array([[0.2, 0.5, 0.3]]), numpy.array([[2.0]]))
    for gradient in (by_memory, by_key, by_strength):
        numpy.testing.assert_array_equal(gradient, 0)
    assert by_gate[0, 0] != 0
