"""What is true of the equations of the Transformer whatever the numbers: offsets and angles, order and masks, heads, invariances."""

from __future__ import annotations

import math

import numpy
import pytest
import transcriptions
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinymem as tm
from tinymem.equations import transformer
from tinymem.equations.registry import equations
from tinymem.equations.transformer import (
    NORM_EPSILON,
    feed_forward,
    layer_norm,
    multi_head,
    positional_encoding,
    residual,
    scaled_dot_product,
    scaled_dot_weights,
)
from tinymem.testing.check import GradientError, NotDifferentiable, check_grad
from tinymem.testing.strategies import inputs_of

seeds = st.integers(0, 999)
offsets = st.integers(0, 30)
even_widths = st.integers(1, 12).map(lambda half: 2 * half)


def normal(seed, *shape):
    return numpy.random.default_rng(seed).normal(size=shape)


def causal(length):
    return numpy.tril(numpy.ones((length, length), bool))


# -- the input layer -----------------------------------------------------------------------------------------------------
@given(even_widths, offsets, st.integers(0, 30), st.integers(0, 30))
def test_the_product_of_two_positions_depends_on_their_offset_alone(width, k, one, other):
    PE = positional_encoding(61, width).data
    assert PE[one] @ PE[one + k] == pytest.approx(PE[other] @ PE[other + k], rel=1e-12, abs=1e-12)
    assert PE[one] @ PE[one] == pytest.approx(width / 2, rel=1e-14)


@given(even_widths, offsets, st.integers(0, 30))
def test_an_offset_turns_each_pair_by_an_angle_that_depends_on_the_offset_alone(width, k, pos):
    PE = positional_encoding(61, width).data.reshape(61, -1, 2)  # (T, D/2, sin and cos)
    for i in range(width // 2):
        angle = k / 10_000 ** (2 * i / width)
        turned = numpy.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]) @ PE[pos, i]
        numpy.testing.assert_allclose(PE[pos + k, i], turned, atol=1e-13)


def test_no_two_positions_are_alike_and_a_longer_sentence_begins_like_a_shorter_one():
    PE = positional_encoding(500, 16).data
    assert len(numpy.unique(PE.round(6), axis=0)) == 500
    numpy.testing.assert_array_equal(positional_encoding(7, 16).data, PE[:7])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_positions_are_constants_of_the_dtype_asked_for(dtype, backend):
    PE = positional_encoding(5, 4, dtype)
    assert PE.dtype == dtype
    assert not PE.requires_grad
    numpy.testing.assert_allclose(tm.to_host(PE), transcriptions.positional_encoding(5, 4, "float64"), atol=numpy.finfo(dtype).eps)


@pytest.mark.parametrize(("length", "width"), [(0, 4), (3, 0), (3, 5)])
def test_positions_that_cannot_be_told_are_refused(length, width):
    with pytest.raises(tm.OperandError, match=f"a length of at least 1 and an even width, got {length} and {width}"):
        positional_encoding(length, width)


# -- attention of all words at once ----------------------------------------------------------------------------------------
def test_self_attention_worked_out_by_hand():
    """Two words (2, 0) and (0, 0), d = 4 of which two are not used: the first scores 4/2 with itself, the other has no preference."""
    x = tm.Tensor([[[2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]])
    share = 1 / (1 + math.exp(-2))
    numpy.testing.assert_allclose(scaled_dot_weights(x, x).data, [[[share, 1 - share], [0.5, 0.5]]], rtol=1e-14)
    numpy.testing.assert_allclose(scaled_dot_product(x, x, x).data[..., 0], [[2 * share, 1.0]], rtol=1e-14)


def attends(x, seed=0, mask=None):
    """Self-attention of two heads with random matrices."""
    d = x.shape[2]
    W_Q, W_K, W_V, W_O = (tm.Tensor(normal(seed + i, *shape)) for i, shape in enumerate([(2, 3, d)] * 3 + [(d, 6)]))
    return multi_head(x, x, x, W_Q, W_K, W_V, W_O, mask)


@given(seeds, st.permutations(range(5)))
def test_without_positions_the_order_of_words_makes_no_difference(seed, order):
    """f(P x) = P f(x), and with the positions added it is not."""
    x = normal(seed, 2, 5, 4)
    PE = positional_encoding(5, 4).data
    numpy.testing.assert_allclose(attends(tm.Tensor(x[:, order])).data, attends(tm.Tensor(x)).data[:, order], rtol=1e-10, atol=1e-12)
    if order != sorted(order):
        assert abs(attends(tm.Tensor(x[:, order] + PE)).data - attends(tm.Tensor(x + PE)).data[:, order]).max() > 1e-6


@given(seeds, st.integers(1, 6), st.data())
def test_a_causal_mask_lets_no_gradient_from_the_future(seed, length, data):
    k = data.draw(st.integers(0, length - 1))
    x = tm.Tensor(normal(seed, 2, length, 4), requires_grad=True)
    attends(x, seed, causal(length))[:, k].sum().backward()
    assert numpy.all(x.grad[:, k + 1 :] == 0)
    assert numpy.all(x.grad[:, : k + 1] != 0)


@st.composite
def masked(draw):
    """Queries, keys, and a mask of one of the shapes that broadcast, in which some word may look nowhere."""
    B, T, L = (draw(st.integers(1, 4)) for _ in range(3))
    shape = draw(st.sampled_from([(B, T, L), (1, T, L), (T, L), (B, 1, L), (L,)]))
    seed = draw(seeds)
    return normal(seed, B, T, 3), normal(seed + 1, B, L, 3), draw(hnp.arrays(bool, shape))


@given(masked())
def test_masked_attention_is_that_of_the_words_that_may_be_seen(drawn):
    Q, K, mask = drawn
    everywhere = numpy.broadcast_to(mask, (*Q.shape[:2], K.shape[1]))
    for given_mask in (mask, tm.Tensor(mask)):
        alpha = scaled_dot_weights(tm.Tensor(Q), tm.Tensor(K), given_mask).data
        numpy.testing.assert_allclose(alpha, transcriptions.scaled_dot_weights(Q, K, everywhere), rtol=1e-10)
        assert numpy.all(alpha[~everywhere] == 0)
        numpy.testing.assert_allclose(alpha.sum(2), everywhere.any(2), rtol=1e-12)


@given(masked())
def test_gradients_under_a_mask_are_right_to_second_order(drawn):
    Q, K, mask = drawn
    report = check_grad(lambda Q, K: scaled_dot_product(Q, K, K, mask), Q, K, title="attention under a mask")
    assert set(report.methods) == {"complex step"}


@pytest.mark.parametrize("mask", [numpy.ones((2, 2, 3)), numpy.ones((2, 3), int)])
def test_a_mask_that_could_be_misread_is_refused(mask):
    Q, K = tm.Tensor(normal(0, 2, 2, 4)), tm.Tensor(normal(1, 2, 3, 4))
    with pytest.raises(tm.OperandError, match="mask must be boolean"):
        scaled_dot_weights(Q, K, mask)


def test_a_mask_of_other_words_is_refused():
    Q, K = tm.Tensor(normal(0, 2, 2, 4)), tm.Tensor(normal(1, 2, 3, 4))
    with pytest.raises(tm.OperandError, match="broadcast_to"):
        scaled_dot_weights(Q, K, numpy.ones((2, 2, 4), bool))


# -- several heads ---------------------------------------------------------------------------------------------------------
@given(seeds, st.booleans())
def test_with_identity_projections_the_heads_are_single_ones_side_by_side(seed, is_causal):
    """W_i^Q, W_i^K, W_i^V pick the features of head i, and W^O is the identity."""
    H, A, T = 3, 2, 4
    Q, K, V = (normal(seed + i, 2, T, H * A) for i in range(3))
    mask = causal(T) if is_causal else None
    pick = tm.Tensor(numpy.eye(H * A).reshape(H, A, H * A))
    together = multi_head(*map(tm.Tensor, (Q, K, V)), pick, pick, pick, tm.Tensor(numpy.eye(H * A)), mask)
    features = [slice(i * A, (i + 1) * A) for i in range(H)]
    single = [scaled_dot_product(*(tm.Tensor(x[..., mine]) for x in (Q, K, V)), mask).data for mine in features]
    numpy.testing.assert_allclose(together.data, numpy.concatenate(single, 2), rtol=1e-12, atol=1e-14)


@given(seeds)
def test_one_head_of_full_width_is_plain_attention(seed):
    Q, K, V = tm.Tensor(normal(seed, 2, 3, 4)), tm.Tensor(normal(seed + 1, 2, 5, 4)), tm.Tensor(normal(seed + 2, 2, 5, 4))
    whole = tm.Tensor(numpy.eye(4)[None])
    one = multi_head(Q, K, V, whole, whole, whole, tm.Tensor(numpy.eye(4)))
    numpy.testing.assert_allclose(one.data, scaled_dot_product(Q, K, V).data, rtol=1e-12, atol=1e-14)


@given(seeds, st.permutations(range(4)))
def test_the_order_of_the_heads_does_not_matter_if_the_last_matrix_follows_them(seed, order):
    x, d, A = tm.Tensor(normal(seed, 2, 3, 5)), 5, 2
    Ws, W_O = [normal(seed + i, 4, A, d) for i in range(1, 4)], normal(seed + 4, d, 4, A)
    once = multi_head(x, x, x, *map(tm.Tensor, Ws), tm.Tensor(W_O.reshape(d, -1)))
    other = multi_head(x, x, x, *(tm.Tensor(W[order]) for W in Ws), tm.Tensor(W_O[:, order].reshape(d, -1)))
    numpy.testing.assert_allclose(other.data, once.data, rtol=1e-10, atol=1e-12)


# -- what else a layer is made of --------------------------------------------------------------------------------------------
@given(inputs_of(equations()["feed_forward"]), st.data())
def test_every_word_has_the_same_network_to_itself(inputs, data):
    x, *network = map(tm.Tensor, inputs.values())
    k = data.draw(st.integers(0, x.shape[1] - 1))
    alone = feed_forward(x[:, k : k + 1], *network).data
    numpy.testing.assert_allclose(feed_forward(x, *network).data[:, k : k + 1], alone, rtol=1e-12, atol=1e-12)


def test_the_check_knows_the_kink_of_the_rectifier_from_a_mistake(monkeypatch):
    """The walk keeps away from W_1 x + b_1 = 0; there the check says so, and elsewhere it finds a rectifier whose gradient is wrong."""
    one, bias, network = numpy.ones((1, 1, 1)), numpy.array([-1.0]), (numpy.ones((1, 1)), numpy.zeros(1))
    with pytest.raises(NotDifferentiable, match="y\\(x-h\\)"):
        check_grad(feed_forward, one, one[0], bias, *network)
    assert check_grad(feed_forward, 2 * one, one[0], bias, *network).methods == ("complex step",) * 2
    leaky = tm.engine.ops.maximum.with_vjp("x", lambda g, out, x, y: g)
    monkeypatch.setattr(transformer, "relu", lambda x: leaky(x, 0))
    with pytest.raises(GradientError, match="wrong gradient of order 1"):
        check_grad(feed_forward, 0.5 * one, one[0], bias, *network)


@given(inputs_of(equations()["layer_norm"], boundary=True))
def test_a_normalised_word_has_mean_0_and_nearly_variance_1(inputs):
    x = inputs["x"]
    d = x.shape[2]
    y = layer_norm(tm.Tensor(x), tm.Tensor(numpy.ones(d)), tm.Tensor(numpy.zeros(d))).data
    numpy.testing.assert_allclose(y.mean(2), 0, atol=1e-12)
    numpy.testing.assert_allclose(y.var(2), x.var(2) / (x.var(2) + NORM_EPSILON), rtol=1e-9, atol=1e-12)


@given(seeds, st.floats(-100, 100), st.floats(1, 1000))
def test_neither_a_shift_nor_a_scale_of_a_word_is_seen(seed, shift, scale):
    """Up to ε, which matters the less the larger the numbers are."""
    x, gain, bias = 100 * normal(seed, 2, 3, 4), tm.Tensor(normal(seed + 1, 4)), tm.Tensor(normal(seed + 2, 4))
    once = layer_norm(tm.Tensor(x), gain, bias).data
    each = numpy.array([[[shift], [0.0], [-shift]]])  # each word its own
    numpy.testing.assert_allclose(layer_norm(tm.Tensor(x + each), gain, bias).data, once, rtol=1e-9, atol=1e-9)
    numpy.testing.assert_allclose(layer_norm(tm.Tensor(x * scale), gain, bias).data, once, rtol=0, atol=1e-5)
    numpy.testing.assert_allclose(layer_norm(tm.Tensor(x * -scale), -gain, bias).data, once, rtol=0, atol=1e-5)


@given(inputs_of(equations()["layer_norm"], max_length=4, boundary=True), st.booleans())
def test_the_gradient_of_layer_norm_is_right_to_second_order_also_where_all_numbers_are_equal(inputs, is_flat):
    x, gain, bias = inputs.values()
    if is_flat:
        x[:, 0] = 0.5
    report = check_grad(layer_norm, x, gain, bias)
    assert report.methods == ("complex step",) * 2


def test_a_word_is_normalised_by_its_own_numbers():
    x = tm.Tensor(normal(0, 2, 3, 4), requires_grad=True)
    (layer_norm(x, tm.Tensor(normal(1, 4)), tm.Tensor(normal(2, 4)))[1, 1] * normal(3, 4)).sum().backward()
    assert numpy.all(x.grad[1, 1] != 0)
    x.grad[1, 1] = 0
    assert numpy.all(x.grad == 0)


def test_a_residual_connection_lets_the_gradient_through_as_it_is():
    x, cotangent = tm.Tensor(normal(0, 2, 3, 4), requires_grad=True), normal(1, 2, 3, 4)
    residual(x, x * 0).backward(cotangent)
    numpy.testing.assert_array_equal(x.grad, cotangent)
