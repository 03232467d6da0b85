"""Assignment 4, attention: scores, weights, the soft and the hard way to use them, and the gradient of REINFORCE."""

from __future__ import annotations

import numpy
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinymem.engine.ops import einsum, log, softmax
from tinymem.engine.tensor import Tensor
from tinymem.equations.attention import (
    additive_score,
    attention_weights,
    chosen_place,
    dot_score,
    doubly_stochastic_penalty,
    reinforce_surrogate,
    scaled_dot_score,
    soft_context,
)
from tinymem.equations.contracts import parse_domain
from tinymem.equations.registry import equation
from tinymem.homework.gradients import by_complex_step
from tinymem.homework.properties import LONGEST, Ask, Mismatch, agree, holds, of_every, only
from tinymem.homework.tasks import Array, Assignment, Inputs, Task
from tinymem.testing.strategies import inputs_of, values_in

SLIDE = "Hard & soft attention"
SCORES = parse_domain("(batch, L)")


# -- a gradient that is no slide of its own --------------------------------------------------------------------------------------
@equation(
    "Gradient of REINFORCE in the scores",
    paper="of Xu et al. 2015, section 4.1",
    latex=r"\frac{1}{N} (R_n - b_n) (z_n - \alpha_n),\ \alpha_n = \mathrm{softmax}(\mathrm{score}_n)",
    lesson="captions",
    symbols={"scores": "score_n", "chosen": "z_n", "reward": "R_n", "baseline": "b_n"},
    scores="(batch, L)",
    chosen="one-hot (batch, L)",
    reward="(batch)",
    baseline="(batch)",
    returns="(batch, L)",
)
def reinforce_gradient(scores: Array, chosen: Array, reward: Array, baseline: Array) -> Array:
    """The gradient in the scores of 1/N Σ_n (R_n - b_n) log p(z_n), where p(z_n) is the weight α = softmax(score) of the place drawn."""

    def surrogate(scores: Array) -> Tensor:
        return reinforce_surrogate(log(einsum("bl,bl->b", softmax(scores, 1), chosen)), Tensor(reward), Tensor(baseline))

    return by_complex_step(surrogate, (scores,), numpy.array(1.0))[0]


@st.composite
def padded(draw: st.DrawFn, whole_rows: bool = False) -> Inputs:
    """Scores and a mask of padding, also of `whole_rows` where that is asked for."""
    shape = draw(st.tuples(st.integers(1, LONGEST), st.integers(1, LONGEST)))
    mask = draw(hnp.arrays(bool, shape, elements=st.booleans(), fill=st.nothing()))
    return {"scores": draw(values_in(SCORES, shape)), "mask": mask if whole_rows else mask | ~mask.any(1, keepdims=True)}


# -- the tasks ---------------------------------------------------------------------------------------------------------------
# fmt: off
ADDITIVE = Task("4.1", additive_score, f"{SLIDE}: [1]", public_points=2,
    hint="W_1 h is the same for all places: (batch, 1, A) + (batch, L, A), then tanh, then w_3.")
DOT = Task("4.2", dot_score, f"{SLIDE}: [2]", hidden_points=0,
    hint="The sum runs over the features, the last axis of both.")
SCALED = Task("4.3", scaled_dot_score, f"{SLIDE}: [3]", hidden_points=0,
    hint="d is the length of the query, F: divide by its root.")
WEIGHTS = Task("4.4", attention_weights, SLIDE, public_points=2, hidden_points=2, inputs=padded(),
    others={"mask": "(batch, L), boolean: True where there is a place, False where a batch was padded"},
    note="Padding gets a weight of exactly 0; a row that is all padding gets weights of 0.",
    hint="Leave the padding out of the sum: give it a score of -inf before the softmax, not a weight of 0 after it.")
CONTEXT = Task("4.5", soft_context, "Translation with attention", hidden_points=0,
    hint="Σ runs over the places: the context has as many numbers as a place has features.")
CHOSEN = Task("4.6", chosen_place, SLIDE, public_points=2,
    note="A place of weight 0 is never chosen; u = 1, or rounding, belongs to the last place that has a weight.",
    hint="numpy.cumsum gives where the shares end; the first that ends beyond u is chosen.")
REINFORCE = Task("4.7", reinforce_gradient, SLIDE, public_points=2, hidden_points=2,
    note="R and b are held constant; N is the number of rows.",
    hint="∇ log softmax(score)[z] = onehot(z) - softmax(score): the chosen score goes up, all others down.")
PENALTY = Task("4.8", doubly_stochastic_penalty, "Soft vs. hard attention",
    hint="First the sum over the time steps, axis 0, then the square of what is missing to 1, then the sum over places.")
# fmt: on
TASKS = (ADDITIVE, DOT, SCALED, WEIGHTS, CONTEXT, CHOSEN, REINFORCE, PENALTY)


# -- the invariants ------------------------------------------------------------------------------------------------------------
@holds(ADDITIVE, "places may change places", "Every place is scored by itself: nothing may mix along L.")
def places_may_change_places(ask: Ask, given: Inputs) -> None:
    turned = {**given, "features": numpy.roll(given["features"], 1, 1)}
    before = only(ask(*given.values()))
    agree(ask(*turned.values()).results, [numpy.roll(before, 1, 1)], "moving the places does not move their scores")


@holds(SCALED, "as many equal features, √d times the score", "hᵀ f grows with d, and 1 / √d takes half of that back.")
def four_times_the_features(ask: Ask, given: Inputs) -> None:
    before = only(ask(*given.values()))
    longer = ask(numpy.tile(given["query"], (1, 4)), numpy.tile(given["features"], (1, 1, 4)))
    agree(longer.results, [2 * before], "repeating h and f four times must double the score")


@holds(WEIGHTS, "softmax shift-invariance", "Adding a number to all scores of a row changes nothing: e^(x+c) / Σ e^(x+c).")
def softmax_is_shift_invariant(ask: Ask, given: Inputs) -> None:
    moved = given["scores"] + numpy.arange(1.0, 1 + len(given["scores"]))[:, None]
    before = ask(*given.values()).results
    agree(ask(moved, given["mask"]).results, before, "adding 1, 2, … to the rows changes the weights")


@holds(WEIGHTS, "large scores do not overflow", "exp(710) is infinite: subtract the row's maximum before exp; the softmax is the same.")
def large_scores(ask: Ask, given: Inputs) -> None:
    large = {**given, "scores": 1000 * given["scores"]}
    agree(ask(*large.values()).results, WEIGHTS.reference(large), "with 1000 times the scores, the values are wrong")


@holds(WEIGHTS, "padding gets exactly nothing", WEIGHTS.hint, padded(whole_rows=True))
def padding_gets_nothing(ask: Ask, given: Inputs) -> None:
    found = only(ask(*given.values()))
    agree([found[~given["mask"]]], [numpy.zeros((~given["mask"]).sum())], "the weights of the padding are not 0")
    there = given["mask"].any(1)
    agree([found.sum(1)], [there.astype(float)], "the weights of the places that are there do not sum to 1")


@holds(CONTEXT, "one-hot weights choose a place", "With all the weight on one place, the context is that place's features.")
def one_hot_chooses(ask: Ask, given: Inputs) -> None:
    features = given["features"]
    for place in range(features.shape[1]):
        one_hot = numpy.zeros_like(given["weights"])
        one_hot[:, place] = 1
        agree(ask(one_hot, features).results, [features[:, place]], f"all the weight is on place {place}")


@holds(CHOSEN, "a place of weight 0 is never chosen", "The first share may have no length: is u = 0 beyond its end?")
def nothing_is_never_chosen(ask: Ask, given: Inputs) -> None:
    for point in (given["point"], numpy.zeros_like(given["point"]), numpy.ones_like(given["point"])):
        found = only(ask(given["weights"], point))
        if (found[given["weights"] == 0] != 0).any():
            raise Mismatch("a place of weight 0 is chosen", [found])


@holds(CHOSEN, "chosen as often as its weight says", "Over all points from 0 to 1, each place is chosen by its share.",
    st.fixed_dictionaries({"shares": st.lists(st.integers(0, 4), min_size=1, max_size=5).filter(any)}))  # fmt: skip
def chosen_by_weight(ask: Ask, given: Inputs) -> None:
    shares = numpy.array(given["shares"], float)
    count = int(shares.sum())
    points = (numpy.arange(count) + 0.5) / count
    found = only(ask(numpy.tile(shares / count, (count, 1)), points[:, None]))
    agree([found.sum(0)], [shares], "of evenly spread points, the places got other numbers than their shares")


@holds(REINFORCE, "a reward as expected teaches nothing", "The factor is R - b, the reward beyond the baseline.")
def nothing_to_learn(ask: Ask, given: Inputs) -> None:
    found = ask(given["scores"], given["chosen"], given["reward"], given["reward"])
    agree(found.results, [numpy.zeros_like(given["scores"])], "with R = b the gradient is not 0")


@holds(REINFORCE, "large scores do not overflow", "exp(710) is infinite: subtract the row's maximum before exp; the softmax is the same.")
def rewarded_large_scores(ask: Ask, given: Inputs) -> None:
    larger = {**given, "scores": given["scores"] + 1000}
    agree(ask(*larger.values()).results, ask(*given.values()).results, "adding 1000 to the scores changes the gradient")


@holds(REINFORCE, "every row of the gradient sums to 0", "A softmax does not change when all scores grow: what one gains, the others lose.")
def rows_sum_to_nothing(ask: Ask, given: Inputs) -> None:
    found = only(ask(*given.values()))
    agree([found.sum(1)], [numpy.zeros(len(found))], "the rows of the gradient do not sum to 0")


@holds(PENALTY, "its share for every place costs nothing", "Σ_t α_ti = 1 for every place gives (1 - 1)² = 0.",
    inputs_of(doubly_stochastic_penalty.equation, LONGEST))  # type: ignore[attr-defined]  # fmt: skip
def fair_shares(ask: Ask, given: Inputs) -> None:
    _, batch, places = given["weights"].shape
    fair = numpy.tile(numpy.eye(places)[:, None], (1, batch, 1))  # as many steps as places, each looks at its own
    agree(ask(fair).results, [numpy.zeros(batch)], "every place was looked at once, but the penalty is not 0")


ASSIGNMENT = Assignment(
    4,
    "Attention: scores, soft and hard, REINFORCE",
    TASKS,
    of_every(
        TASKS,
        places_may_change_places,
        four_times_the_features,
        softmax_is_shift_invariant,
        large_scores,
        padding_gets_nothing,
        one_hot_chooses,
        nothing_is_never_chosen,
        chosen_by_weight,
        nothing_to_learn,
        rewarded_large_scores,
        rows_sum_to_nothing,
        fair_shares,
    ),
)
