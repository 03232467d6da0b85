"""What is true of the equations of attention whatever the numbers, from the variance of a score to the mean of REINFORCE."""

from __future__ import annotations

import itertools
import math

import numpy
import pytest
import transcriptions
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinymem as tm
from tinymem.equations.attention import (
    additive_score,
    attention_weights,
    chosen_place,
    dot_score,
    doubly_stochastic_penalty,
    entropy,
    general_score,
    hard_sample,
    location_window,
    predicted_position,
    reinforce_surrogate,
    scaled_dot_score,
    soft_context,
)
from tinymem.equations.registry import equations
from tinymem.testing.check import check_grad
from tinymem.testing.strategies import inputs_of

seeds = st.integers(0, 999)
LOWERINGS = pytest.mark.parametrize("lowering", ["numpy", "c"])


def normal(seed, *shape):
    return numpy.random.default_rng(seed).normal(size=shape)


def softmax(scores):
    powers = numpy.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


# -- scores --------------------------------------------------------------------------------------------------------------
def test_an_additive_score_worked_out_by_hand():
    """w_3 = 2, W_1 = 1, W_2 = -1, h = 1: 2 tanh(1 - f) is 0 where f is 1."""
    h, f = tm.Tensor([[1.0]]), tm.Tensor([[[0.0], [1.0], [3.0]]])
    scores = additive_score(h, f, tm.Tensor([[1.0]]), tm.Tensor([[-1.0]]), tm.Tensor([2.0]))
    numpy.testing.assert_allclose(scores.data, [[2 * math.tanh(1), 0.0, -2 * math.tanh(2)]], rtol=1e-15)


@given(seeds)
def test_luongs_concat_score_is_the_additive_one(seed):
    query, features, w3 = normal(seed, 2, 3), normal(seed + 1, 2, 5, 4), normal(seed + 2, 6)
    W = normal(seed + 3, 6, 3 + 4)
    both = numpy.concatenate([numpy.repeat(query[:, None], 5, 1), features], 2)  # [h; f]
    ours = additive_score(*map(tm.Tensor, (query, features, W[:, :3], W[:, 3:], w3)))
    numpy.testing.assert_allclose(ours.data, numpy.tanh(both @ W.T) @ w3, rtol=1e-12, atol=1e-14)


@given(seeds)
def test_the_general_score_with_the_unit_matrix_is_the_dot_product(seed):
    query, features = tm.Tensor(normal(seed, 2, 3)), tm.Tensor(normal(seed + 1, 2, 5, 3))
    numpy.testing.assert_allclose(general_score(query, features, tm.Tensor(numpy.eye(3))).data, dot_score(query, features).data, rtol=1e-14)


@pytest.mark.parametrize("d", [1, 16, 256])
def test_a_dot_product_has_variance_d_and_a_scaled_one_variance_1(d):
    """E(qk)^4 = 3d² + 6d for standard normal vectors, so the sample variance of n of them has the variance (2d² + 6d) / n."""
    n = 20_000
    query, features = tm.Tensor(normal(d, n, d)), tm.Tensor(normal(d + 1, n, 1, d))
    five_sigma = 5 * math.sqrt((2 * d**2 + 6 * d) / n)
    assert abs(numpy.var(dot_score(query, features).data) - d) < five_sigma
    assert abs(numpy.var(scaled_dot_score(query, features).data) - 1) < five_sigma / d


# -- weights and masks ---------------------------------------------------------------------------------------------------
@given(seeds, st.integers(-100, 100))
def test_what_is_added_to_all_scores_changes_nothing(seed, constant):
    scores = normal(seed, 3, 6)
    once, shifted = attention_weights(tm.Tensor(scores)), attention_weights(tm.Tensor(scores + constant))
    numpy.testing.assert_allclose(shifted.data, once.data, rtol=1e-12)


@st.composite
def masked_scores(draw, every_row_has_a_place=True):
    batch, places = draw(st.integers(1, 3)), draw(st.integers(1, 5))
    mask = draw(hnp.arrays(bool, (batch, places)))
    if every_row_has_a_place:
        mask[:, draw(st.integers(0, places - 1))] = True
    return normal(draw(seeds), batch, places), mask


@given(masked_scores(every_row_has_a_place=False))
def test_masked_weights_are_a_softmax_over_the_places_that_are_there(drawn):
    scores, mask = drawn
    for given_mask in (mask, tm.Tensor(mask)):
        ours = attention_weights(tm.Tensor(scores), given_mask).data
        numpy.testing.assert_allclose(ours, transcriptions.attention_weights(scores, mask), rtol=1e-12)
        assert numpy.all(ours[~mask] == 0)


@given(masked_scores(every_row_has_a_place=False))
def test_gradients_under_a_mask_are_right_and_exactly_0_at_padding(drawn):
    scores, mask = drawn
    check_grad(lambda given: attention_weights(given, mask), scores, title="attention_weights under a mask")
    leaf = tm.Tensor(scores, requires_grad=True)
    (gradient,) = tm.gradients(attention_weights(leaf, mask), [leaf], normal(0, *scores.shape), create_graph=True)
    assert numpy.all(gradient.data[~mask] == 0)
    gradient.backward(normal(1, *scores.shape))
    assert numpy.all(leaf.grad[~mask] == 0)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_score_of_padding_does_not_matter(dtype, backend):
    mask = tm.asarray([[True, True, False], [False, True, False]])
    largest = float(numpy.finfo(dtype).max)
    kept = attention_weights(tm.Tensor([[0.5, -0.5, 0.0], [0.0, -3.0, 0.0]], dtype=dtype), mask)
    for score in (largest, -largest, math.inf, -math.inf, math.nan):
        leaf = tm.Tensor([[0.5, -0.5, score], [score, -3.0, score]], dtype=dtype, requires_grad=True)
        weights = attention_weights(leaf, mask)
        assert weights.dtype == dtype
        numpy.testing.assert_array_equal(tm.to_host(weights), tm.to_host(kept))
        weights.backward(tm.asarray(normal(0, 2, 3)))
        assert numpy.all(tm.to_host(leaf.grad)[[0, 1, 1], [2, 0, 2]] == 0)
        assert numpy.all(numpy.isfinite(tm.to_host(leaf.grad)))


def test_a_row_of_padding_attends_to_nothing(backend):
    scores = tm.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    weights = attention_weights(scores, tm.asarray([[False, False], [True, False]]))
    context = soft_context(weights, tm.Tensor(numpy.ones((2, 2, 3))))
    assert tm.to_host(weights).tolist() == [[0.0, 0.0], [1.0, 0.0]]
    assert tm.to_host(context).tolist() == [[0.0] * 3, [1.0] * 3]
    context.backward(tm.asarray(normal(0, 2, 3)))
    assert tm.to_host(scores.grad).tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("mask", [numpy.ones((2, 3)), numpy.ones((2, 3), int), numpy.ones((1, 3), bool), numpy.ones(3, bool)])
def test_a_mask_that_could_be_misread_is_refused(mask):
    with pytest.raises(tm.OperandError, match=r"boolean and of the scores' shape \(2, 3\), True where there is a place"):
        attention_weights(tm.Tensor(numpy.zeros((2, 3))), mask)


# -- soft and hard -------------------------------------------------------------------------------------------------------
@given(seeds)
def test_with_one_place_soft_is_hard(seed):
    features = tm.Tensor(normal(seed, 3, 1, 4))
    alpha = attention_weights(tm.Tensor(normal(seed, 3, 1)))
    z = hard_sample(alpha, numpy.random.default_rng(seed))
    numpy.testing.assert_array_equal(z.data, alpha.data)
    numpy.testing.assert_array_equal(soft_context(z, features).data, soft_context(alpha, features).data)


def test_a_hard_context_is_the_chosen_feature():
    features = normal(0, 2, 3, 4)
    z = tm.Tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    numpy.testing.assert_array_equal(soft_context(z, tm.Tensor(features)).data, features[[0, 1], [1, 2]])


@given(hnp.arrays(numpy.int64, st.integers(1, 6), elements=st.integers(0, 50)).filter(lambda whole: whole.sum() > 0))
def test_every_place_is_chosen_by_its_share_of_the_points(whole):
    """Of N points evenly spread over [0, 1] a place of weight n / N gets exactly n, in float64 and float32."""
    total = int(whole.sum())
    points = (numpy.arange(total) + 0.5)[:, None] / total
    for dtype in ("float64", "float32"):
        weights = tm.Tensor(numpy.repeat(whole[None] / total, total, 0), dtype=dtype)
        z = chosen_place(weights, tm.Tensor(points, dtype=dtype))
        assert z.data.sum(0).tolist() == whole.tolist()


def test_no_place_without_a_weight_is_chosen_at_either_end():
    weights = tm.Tensor([[0.0, 0.5, 0.0, 0.5, 0.0]] * 2 + [[0.0] * 5] * 2)
    z = chosen_place(weights, tm.Tensor([[0.0], [1.0]] * 2))
    assert z.data.tolist() == [[0, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0] * 5, [0] * 5]


def test_rounding_leaves_no_gap_below_1():
    weights = numpy.full((1, 10), 0.1, "float32")
    assert 1 - weights.cumsum()[-1] != 0  # the shares do not sum to 1 in float32
    short = weights * numpy.float32(1 - 1e-6)
    z = chosen_place(tm.Tensor(short), tm.Tensor([[1 - 2.0**-24]], dtype="float32"))
    assert z.data.tolist() == [[0.0] * 9 + [1.0]]


def test_the_frequencies_of_a_sample_are_the_weights():
    """Pearson's chi-square: with 4 degrees of freedom it is above 18.47 in one sample of a thousand."""
    n = 20_000
    weights = numpy.array([[0.05, 0.4, 0.0, 0.25, 0.2, 0.1], [0.2, 0.2, 0.2, 0.0, 0.2, 0.2]])
    rng = numpy.random.default_rng(15)
    counts = sum(hard_sample(tm.Tensor(numpy.repeat(weights, 100, 0)), rng).data.reshape(2, 100, 6).sum(1) for _ in range(n // 100))
    assert numpy.all(counts[weights == 0] == 0)
    for row, seen in zip(weights, counts, strict=True):
        expected = n * row[row > 0]
        assert ((seen[row > 0] - expected) ** 2 / expected).sum() < 18.47


def test_a_sample_follows_its_generator_and_has_no_gradient():
    alpha = tm.Tensor(softmax(normal(0, 8, 5)), requires_grad=True)
    draws = [hard_sample(alpha, numpy.random.default_rng(seed)).data.tolist() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    assert not hard_sample(alpha, numpy.random.default_rng(1)).requires_grad
    with pytest.raises(TypeError, match=r"expected a numpy\.random\.Generator, got int"):
        hard_sample(alpha, 1)


# -- REINFORCE -------------------------------------------------------------------------------------------------------------
class TwoGlimpses:
    """Two places are chosen one after the other, the second depending on the first; all L² ways to do so, with their rewards."""

    def __init__(self, seed, places=3, offset=0.0):
        self.scores = normal(seed, places + 1, places)  # of the first choice, then of the second given the first
        self.rewards = normal(seed + 1, places, places) + offset
        self.ways = list(itertools.product(range(places), repeat=2))

    def log_prob(self, scores, first, second):
        return (tm.log_softmax(scores[0])[first] + tm.log_softmax(scores[1 + first])[second]).reshape(1)

    def probability(self, first, second):
        return softmax(self.scores[0])[first] * softmax(self.scores[1 + first])[second]

    def exact(self):
        """The gradient of E[R] = Σ_z p(z) R(z), by backprop through the sum."""
        leaf = tm.Tensor(self.scores, requires_grad=True)
        sum(tm.exp(self.log_prob(leaf, *way)) * float(self.rewards[way]) for way in self.ways).backward()
        return leaf.grad

    def estimates(self, baseline):
        """The gradient that each way to choose would give, with its probability."""
        for way in self.ways:
            leaf = tm.Tensor(self.scores, requires_grad=True)
            reinforce_surrogate(self.log_prob(leaf, *way), tm.Tensor([self.rewards[way]]), tm.Tensor([baseline])).backward()
            yield self.probability(*way), leaf.grad

    def mean(self, baseline):
        return sum(p * gradient for p, gradient in self.estimates(baseline))

    def variance(self, baseline):
        return sum(p * ((gradient - self.exact()) ** 2).sum() for p, gradient in self.estimates(baseline))


@given(seeds, st.sampled_from([0.0, -1.5, 40.0]))
def test_the_mean_of_reinforce_is_the_gradient_of_the_expected_reward_with_any_baseline(seed, baseline):
    game = TwoGlimpses(seed)
    numpy.testing.assert_allclose(game.mean(baseline), game.exact(), rtol=0, atol=1e-12)


@given(seeds)
def test_a_baseline_near_the_mean_reward_makes_reinforce_vary_less(seed):
    game = TwoGlimpses(seed, offset=10.0)
    assert game.variance(10.0) < 0.2 * game.variance(0.0)


def test_the_estimate_of_a_batch_is_the_mean_of_its_examples():
    log_prob = tm.Tensor([-1.0, -2.0, -3.0, -4.0], requires_grad=True)
    surrogate = reinforce_surrogate(log_prob, tm.Tensor([1.0, 2.0, 3.0, 4.0]), tm.Tensor([0.0, 0.0, 1.0, 2.0]))
    surrogate.backward()
    assert surrogate.shape == ()
    assert log_prob.grad.tolist() == [0.25, 0.5, 0.5, 0.5]


def test_no_gradient_reaches_what_reward_and_baseline_were_computed_from():
    parameter, log_prob = tm.Tensor([2.0], requires_grad=True), tm.Tensor([-1.0], requires_grad=True)
    reinforce_surrogate(log_prob, parameter * 3, parameter * 2).backward()
    assert parameter.grad is None
    assert log_prob.grad.tolist() == [2.0]


# -- entropy and the doubly stochastic penalty ----------------------------------------------------------------------------
@given(inputs_of(equations()["entropy"], boundary=True))
def test_entropy_lies_between_0_and_ln_L(inputs):
    weights = inputs["weights"]
    assert numpy.all(entropy(tm.Tensor(weights)).data >= -1e-15)
    assert numpy.all(entropy(tm.Tensor(weights)).data <= math.log(weights.shape[1]) + 1e-12)


def test_entropy_at_its_ends():
    weights = tm.Tensor([[0.0, 1.0, 0.0, 0.0], [0.25] * 4, [0.5, 0.5, 0.0, 0.0]], requires_grad=True)
    numpy.testing.assert_allclose(entropy(weights).data, [0.0, math.log(4), math.log(2)], atol=1e-15)
    entropy(weights).backward(numpy.ones(3))
    assert numpy.all(numpy.isfinite(weights.grad))


def test_entropy_leaves_padding_alone():
    scores, mask = tm.Tensor(normal(0, 2, 4), requires_grad=True), numpy.array([[True, True, False, False], [True] * 4])
    entropy(attention_weights(scores, mask)).backward(numpy.ones(2))
    assert numpy.all(scores.grad[~mask] == 0)
    assert numpy.all(scores.grad[mask] != 0)


def test_the_penalty_is_0_where_every_place_had_its_turn():
    turns = numpy.stack([numpy.eye(4), numpy.eye(4)[[2, 0, 3, 1]]], 1)  # (T, B, L): each place once, in two orders
    assert doubly_stochastic_penalty(tm.Tensor(turns)).data.tolist() == [0.0, 0.0]


@given(seeds, st.integers(1, 6), st.integers(1, 6))
def test_with_fewer_words_than_places_the_penalty_wants_attention_spread_out(seed, steps, places):
    """It is never below (L - T)² / L, and that is reached where all places get the same."""
    drawn = tm.Tensor(softmax(normal(seed, steps, 2, places)))
    spread = tm.Tensor(numpy.full((steps, 2, places), 1 / places))
    least = (places - steps) ** 2 / places
    assert numpy.all(doubly_stochastic_penalty(drawn).data >= least - 1e-12)
    numpy.testing.assert_allclose(doubly_stochastic_penalty(spread).data, least, atol=1e-12)


# -- Luong's window ------------------------------------------------------------------------------------------------------
@given(st.integers(0, 8000), st.sampled_from([1.0, 2, 5.0]))
def test_the_window_is_highest_at_the_place_nearest_to_p(thousandths, half_width):
    p, places = thousandths / 1000, 9
    window = location_window(tm.Tensor(numpy.full((1, places), 1 / places)), tm.Tensor([[p]]), half_width).data[0] * places
    assert abs(window.argmax() - p) <= 0.5
    assert window[numpy.argsort(abs(numpy.arange(places) - p))].tolist() == sorted(window, reverse=True)


def test_the_window_is_1_at_p_and_falls_to_e_to_the_minus_2_at_its_edge():
    window = location_window(tm.Tensor(numpy.full((1, 11), 1 / 11)), tm.Tensor([[5.0]]), 4).data[0] * 11
    numpy.testing.assert_allclose(window[[1, 5, 9]], [math.exp(-2), 1, math.exp(-2)], rtol=1e-12)


def test_local_attention_as_in_the_paper_looks_at_places_within_reach_only():
    """The softmax over |s - p| <= D and no padding, then the window; p keeps its gradient through the window."""
    half_width, lengths = 2, numpy.array([[9.0], [4.0]])
    query, W, v = tm.Tensor(normal(0, 2, 3)), tm.Tensor(normal(1, 4, 3)), tm.Tensor(normal(2, 4), requires_grad=True)
    position = predicted_position(query, W, v, tm.Tensor(lengths))
    assert numpy.all((position.data > 0) & (position.data < lengths))
    places = numpy.arange(9.0)
    reached = (abs(places - position.data) <= half_width) & (places < lengths)
    scores = normal(3, 2, 9)
    local = location_window(attention_weights(tm.Tensor(scores), reached), position, half_width)
    for n in range(2):
        p, inside = position.data[n, 0], [s for s in range(9) if reached[n, s]]
        assert 0 < len(inside) < 9
        total = sum(math.exp(scores[n, s]) for s in inside)
        expected = [math.exp(scores[n, s]) / total * math.exp(-2 * (s - p) ** 2 / half_width**2) if s in inside else 0 for s in range(9)]
        numpy.testing.assert_allclose(local.data[n], expected, rtol=1e-12)
    local.backward(normal(4, 2, 9))
    assert numpy.all(v.grad != 0)


@pytest.mark.parametrize("half_width", [0, -1.0, math.nan])
def test_a_window_without_width_is_refused(half_width):
    with pytest.raises(tm.OperandError, match="half width D must be greater than 0"):
        location_window(tm.Tensor([[1.0]]), tm.Tensor([[0.0]]), half_width)


# -- in a compiled step ----------------------------------------------------------------------------------------------------
@LOWERINGS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_compiled_step_samples_and_learns_like_the_eager_one(lowering, dtype):
    """Hard attention under a mask, REINFORCE and the entropy: the same places, the same parameters after five updates."""
    features, targets = normal(0, 6, 4, 3), normal(1, 6, 3)
    mask = numpy.array([[True] * 4, [True, False, True, True], [False, False, True, False]] * 2)

    def trained(compiled):
        rng = numpy.random.default_rng(7)
        W = tm.Tensor(normal(2, 5, 3), requires_grad=True, dtype=dtype)

        def step(query, features, targets, mask):
            W.grad = None
            alpha = attention_weights(general_score(query, features, W), mask)
            z = hard_sample(alpha, rng)
            reward = -((soft_context(z, features) - targets) ** 2).sum(1)
            log_prob = tm.log((z * alpha).sum(1))
            surrogate = reinforce_surrogate(log_prob, reward, tm.broadcast_to(reward.mean(0, True), reward.shape))
            (-(surrogate + 0.01 * entropy(alpha).mean())).backward()
            W.data = W.data - 0.1 * W.grad
            return z, alpha

        run = tm.compile(step, state=[W], lowering=lowering) if compiled else step
        seen = []
        for number in range(5):
            operands = [tm.Tensor(array, dtype=dtype) for array in (normal(10 + number, 6, 5), features, targets)]
            seen.append([result.data for result in run(*operands, mask)])
        return seen, W.data

    (eager, after), (compiled, also_after) = trained(False), trained(True)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for (z, alpha), (other_z, other_alpha) in zip(eager, compiled, strict=True):
        numpy.testing.assert_array_equal(other_z, z)
        numpy.testing.assert_allclose(other_alpha, alpha, atol=tolerance)
        assert numpy.all(other_alpha[~mask] == 0)
    numpy.testing.assert_allclose(also_after, after, atol=tolerance)
    assert len({z.tobytes() for z, _ in eager}) == 5, "every step must draw anew"


@LOWERINGS
def test_a_time_loop_samples_with_points_drawn_before_it(lowering):
    features = tm.Tensor(normal(0, 3, 4, 5))

    def step(rng):
        def look(query, point):
            z = chosen_place(attention_weights(dot_score(query, features)), point)
            return soft_context(z, features), z

        def run(start):
            return tm.scan(look, start, tm.draw(rng, "random", (6, 3, 1), "float64"))

        return run

    start = tm.Tensor(normal(1, 3, 5))
    eager, compiled = step(numpy.random.default_rng(5)), tm.compile(step(numpy.random.default_rng(5)), lowering=lowering)
    for _ in range(3):
        (last, chosen), (also_last, also_chosen) = eager(start), compiled(start)
        numpy.testing.assert_array_equal(also_chosen.data, chosen.data)
        numpy.testing.assert_array_equal(also_last.data, last.data)
        assert chosen.data.sum(2).tolist() == numpy.ones((6, 3)).tolist()
