"""Assignment 3, the Neural Turing Machine: memory and addressing, and three of their gradients derived by hand."""

from __future__ import annotations

import numpy
from hypothesis import strategies as st

from tinymem.equations.contracts import parse_domain
from tinymem.equations.ntm import add, content_weighting, cosine_similarity, erase, interpolate, read, sharpen, shift
from tinymem.equations.registry import equation
from tinymem.homework.gradients import by_complex_step
from tinymem.homework.properties import LONGEST, Ask, Mismatch, agree, either, holds, of_every, only
from tinymem.homework.tasks import Array, Assignment, Inputs, Task
from tinymem.testing.strategies import inputs_of, values_in

READING, WRITING = "Neural Turing Machines: Reading", "Neural Turing Machines: Writing"
ADDRESSING = "Neural Turing Machines: Addressing Mechanisms"


# -- gradients that are no slide of their own ----------------------------------------------------------------------------------
@equation(
    "Gradient of the erase",
    paper="of Graves et al. 2014, eq. 3",
    latex=r"\bar M(i) = \bar{\tilde M}(i)\,[1 - w(i)\, e],\ \bar w(i) = -\sum_m \bar{\tilde M}(i)_m M(i)_m e_m,\ "
    r"\bar e = -\sum_i w(i)\, \bar{\tilde M}(i)\, M(i)",
    lesson="ntm-copy",
    symbols={"memory": "M_{t-1}", "weighting": "w_t", "erase_vector": "e_t", "g": "g"},
    memory="(batch, N, M)",
    weighting="simplex (batch, N)",
    erase_vector="unit (batch, M)",
    g="(batch, N, M)",
    returns=("(batch, N, M)", "(batch, N)", "(batch, M)"),
)
def erase_gradient(memory: Array, weighting: Array, erase_vector: Array, g: Array) -> tuple[Array, ...]:
    """The gradients in M, w and e of M̃(i) = M(i) [1 - w(i) e], where g is the loss's gradient in M̃."""
    return by_complex_step(erase, (memory, weighting, erase_vector), g)


@equation(
    "Gradient of the shift",
    paper="of Graves et al. 2014, eq. 8",
    latex=r"\bar w(j) = \sum_i \bar{\tilde w}(i)\, s(i - j),\ \bar s(k) = \sum_j \bar{\tilde w}(j + k)\, w(j)",
    lesson="ntm-copy",
    symbols={"weighting": "w^g_t", "shift_weighting": "s_t", "g": "g"},
    weighting="simplex (batch, N)",
    shift_weighting="simplex (batch, 2*R + 1)",
    g="(batch, N)",
    returns=("(batch, N)", "(batch, 2*R + 1)"),
)
def shift_gradient(weighting: Array, shift_weighting: Array, g: Array) -> tuple[Array, ...]:
    """The gradients in w and s of w̃(i) = Σ_j w(j) s(i - j), indices modulo N, where g is the loss's gradient in w̃."""
    return by_complex_step(shift, (weighting, shift_weighting), g)


@equation(
    "Gradient of the sharpening",
    paper="of Graves et al. 2014, eq. 9",
    latex=r"\bar{\tilde w}(i) = \gamma\, \frac{w(i)}{\tilde w(i)} \left(\bar w(i) - \sum_j \bar w(j) w(j)\right),\ "
    r"\bar \gamma = \sum_i \ln \tilde w(i)\, w(i) \left(\bar w(i) - \sum_j \bar w(j) w(j)\right)",
    lesson="ntm-copy",
    symbols={"weighting": "w̃_t", "sharpening": "γ_t", "g": "g"},
    weighting="simplex (batch, N)",
    sharpening=">=1 (batch, 1)",
    g="(batch, N)",
    returns=("(batch, N)", "(batch, 1)"),
)
def sharpen_gradient(weighting: Array, sharpening: Array, g: Array) -> tuple[Array, ...]:
    """The gradients in w̃ and γ of w(i) = w̃(i)^γ / Σ_j w̃(j)^γ, where g is the loss's gradient in w."""
    return by_complex_step(sharpen, (weighting, sharpening), g)


# -- the tasks ---------------------------------------------------------------------------------------------------------------
INSIDE = inputs_of(sharpen_gradient.equation, LONGEST)  # type: ignore[attr-defined]
# fmt: off
READ = Task("3.1", read, READING, hidden_points=0,
    hint="Σ runs over the locations i: the read vector has the memory's width, not its number of rows.")
ERASE = Task("3.2", erase, WRITING, hidden_points=0,
    hint="w(i) e is an outer product, (batch, N, 1) times (batch, 1, M), and stands after a 1 -.")
ADD = Task("3.3", add, WRITING, hidden_points=0,
    hint="w(i) a is an outer product, (batch, N, 1) times (batch, 1, M), added to the memory.")
COSINE = Task("3.4", cosine_similarity, ADDRESSING,
    note="The norms are √(Σ x² + 1e-8), with the 1e-8 inside the root, so that a row of zeros has a norm.",
    hint="Each row has a norm of its own: sum over the width M, the last axis of the memory.")
CONTENT = Task("3.5", content_weighting, f"{ADDRESSING}: Focusing by Content",
    note="K is the cosine similarity of task 3.4: norms are √(Σ x² + 1e-8).",
    hint="β stands inside the exponential, and the sum runs over the locations of one memory, axis 1.")
INTERPOLATE = Task("3.6", interpolate, f"{ADDRESSING}: Focusing by Location", hidden_points=0,
    hint="g = 1 takes the content weighting, g = 0 the previous one.")
SHIFT = Task("3.7", shift, f"{ADDRESSING}: Shifting", public_points=2, inputs=either(shift.equation, 5),  # type: ignore[attr-defined]
    note="The entries of s belong to the offsets -R … R, in that order; locations are counted modulo N.",
    hint="A weight at j goes to j + offset: numpy.roll(w, offset, 1), and entry p of s has the offset p - R.")
SHARPEN = Task("3.8", sharpen, f"{ADDRESSING}: Sharpening", public_points=2,
    note="Weights down to 0, and γ up to some hundreds, must not give 0/0: compute softmax(γ ln(w̃ + 1e-16)), the same number.",
    hint="First every weight to the power γ, then the sum: normalising before the power changes nothing.")
ERASE_GRADIENT = Task("3.9", erase_gradient, WRITING, public_points=2,
    note="Return the gradients in the order memory, weighting, erase_vector.",
    hint="Sum over whatever the operand does not have: w has no width, e no locations.  Both have a minus.")
SHIFT_GRADIENT = Task("3.10", shift_gradient, f"{ADDRESSING}: Shifting", public_points=2, hidden_points=2,
    inputs=either(shift_gradient.equation, 5),  # type: ignore[attr-defined]
    note="Return the gradients in the order weighting, shift_weighting.",
    hint="A gradient goes back where its weight came from: against the shift, numpy.roll(g, -offset, 1).")
SHARPEN_GRADIENT = Task("3.11", sharpen_gradient, f"{ADDRESSING}: Sharpening", public_points=2, hidden_points=2, inputs=INSIDE,
    note="Return the gradients in the order weighting, sharpening.",
    hint="d w̃^γ / dγ = w̃^γ ln w̃; and as in a softmax, a larger share for one is a smaller for the others.")
# fmt: on
TASKS = (READ, ERASE, ADD, COSINE, CONTENT, INTERPOLATE, SHIFT, SHARPEN, ERASE_GRADIENT, SHIFT_GRADIENT, SHARPEN_GRADIENT)


# -- the invariants ------------------------------------------------------------------------------------------------------------
@holds(READ, "a one-hot weighting reads its row", "With all the weight on one location, the read vector is that row.")
def reads_one_row(ask: Ask, given: Inputs) -> None:
    memory = given["memory"]
    for row in range(memory.shape[1]):
        weighting = numpy.zeros_like(given["weighting"])
        weighting[:, row] = 1
        agree(ask(memory, weighting).results, [memory[:, row]], f"all the weight is on location {row}, but another vector is read")


@holds(ERASE, "full weight and e = 1 empty the row", "1 - w(i) e is 0 where both are 1, and 1 where one of them is 0.")
def erases_one_row(ask: Ask, given: Inputs) -> None:
    first = numpy.zeros_like(given["weighting"])
    first[:, 0] = 1
    emptied = given["memory"].copy()
    emptied[:, 0] = 0
    agree(ask(given["memory"], first, numpy.ones_like(given["erase_vector"])).results, [emptied], "location 0 alone should become 0")


@holds(ADD, "a weighting of 0 adds nothing", "Where the weight is 0, the memory stays as it is.")
def adds_nothing(ask: Ask, given: Inputs) -> None:
    agree(ask(given["memory"], numpy.zeros_like(given["weighting"]), given["add_vector"]).results, [given["memory"]], "the memory changed")


@holds(COSINE, "the key's length does not matter", "The cosine compares directions: divide by the norm of the key too.")
def length_does_not_matter(ask: Ask, given: Inputs) -> None:
    key = numpy.where(given["key"] >= 0, 1, -1) + given["key"]  # away from 0, where the 1e-8 under the root counts
    once, twice = ask(given["memory"], key).results, ask(given["memory"], 2 * key).results
    agree(twice, once, "a key of twice the length has another similarity", rtol=1e-6)


@holds(COSINE, "a row of zeros is like nothing", "An all-zero row has the norm √1e-8, and the similarity 0, not 0/0.")
def zeros_are_like_nothing(ask: Ask, given: Inputs) -> None:
    memory = numpy.zeros_like(given["memory"])
    agree(ask(memory, given["key"]).results, [numpy.zeros(memory.shape[:2])], "the similarity with zeros is not 0")


@holds(CONTENT, "a great strength does not overflow", "exp(710) is infinite: subtract the largest β K before exp; the softmax is the same.")
def strength_does_not_overflow(ask: Ask, given: Inputs) -> None:
    strong = {**given, "strength": 1000 * given["strength"]}
    agree(ask(*strong.values()).results, CONTENT.reference(strong), "with 1000 β for β, the values are wrong")


@holds(CONTENT, "locations may change places", "The softmax of each batch element runs over its own locations, axis 1.")
def locations_may_change_places(ask: Ask, given: Inputs) -> None:
    turned = numpy.roll(only(ask(*given.values())), 1, 1)
    moved = ask(numpy.roll(given["memory"], 1, 1), given["key"], given["strength"])
    agree(moved.results, [turned], "moving the rows of the memory does not move their weights")


@holds(INTERPOLATE, "an open gate takes the content, a closed one stays", INTERPOLATE.hint)
def gate_takes_one(ask: Ask, given: Inputs) -> None:
    gate = numpy.zeros_like(given["gate"])
    agree(ask(given["content"], given["previous"], gate + 1).results, [given["content"]], "g = 1 must give the content weighting")
    agree(ask(given["content"], given["previous"], gate).results, [given["previous"]], "g = 0 must give the previous weighting")


@holds(SHIFT, "a one-hot shift moves by one", "s one-hot at offset +1 moves every weight to the next higher location.")
def moves_by_one(ask: Ask, given: Inputs) -> None:
    weighting = given["weighting"]
    for offset in (-1, 0, 1):
        one_hot = numpy.zeros((len(weighting), 3))
        one_hot[:, 1 + offset] = 1
        right = numpy.roll(weighting, offset, 1)
        agree(ask(weighting, one_hot).results, [right], f"all of s is on the offset {offset:+d}, but the weights moved otherwise")


@holds(SHARPEN, "γ = 1 changes nothing", "w^1 / Σ w^1 = w.")
def gamma_of_one(ask: Ask, given: Inputs) -> None:
    agree(ask(given["weighting"], numpy.ones_like(given["sharpening"])).results, [given["weighting"]], "γ = 1 changes the weighting")


@holds(SHARPEN, "a great γ leaves a weighting", "0.1^400 is 0 in floating point: take the logarithm, softmax(γ ln(w̃ + 1e-16)).")
def great_gamma(ask: Ask, given: Inputs) -> None:
    sharp = {**given, "sharpening": 400 * given["sharpening"]}
    agree(ask(*sharp.values()).results, SHARPEN.reference(sharp), "with 400 γ for γ, the values are wrong", rtol=1e-6)


@holds(SHARPEN, "the largest weight grows", "γ > 1 makes the large larger: w̃^γ, not w̃^(1/γ).")
def the_largest_grows(ask: Ask, given: Inputs) -> None:
    found = only(ask(*given.values()))
    if not (found.max(1) >= given["weighting"].max(1) - 1e-9).all():
        raise Mismatch("the largest weight became smaller", [found])


@holds(ERASE_GRADIENT, "nothing comes back from what was erased", "Where w(i) e = 1, M̃ is 0 whatever M was: M̄ = g (1 - w e).")
def nothing_from_the_erased(ask: Ask, given: Inputs) -> None:
    weighting = numpy.zeros_like(given["weighting"])
    weighting[:, 0] = 1
    answer = ask(given["memory"], weighting, numpy.ones_like(given["erase_vector"]), given["g"])
    right = given["g"].copy()
    right[:, 0] = 0
    agree(answer.results[:1], [right], "the gradient in the memory is wrong where location 0 was erased")


@st.composite
def one_hot_shifts(draw: st.DrawFn) -> Inputs:
    """A shift by -1, 0 or 1 with a gradient for each location."""
    batch, locations = draw(st.integers(1, 2)), draw(st.integers(1, LONGEST))
    return {
        "weighting": draw(values_in(parse_domain("simplex (batch, N)"), (batch, locations))),
        "shift_weighting": draw(values_in(parse_domain("one-hot (batch, 3)"), (batch, 3))),
        "g": draw(values_in(parse_domain("(batch, N)"), (batch, locations))),
    }


@holds(SHIFT_GRADIENT, "the gradient moves against the shift", SHIFT_GRADIENT.hint, one_hot_shifts())
def gradient_moves_back(ask: Ask, given: Inputs) -> None:
    offsets = given["shift_weighting"].argmax(1) - 1
    right = numpy.stack([numpy.roll(row, -offset) for row, offset in zip(given["g"], offsets, strict=True)])
    agree(ask(*given.values()).results[:1], [right], "the gradient in the weighting did not go back where the weights came from")


@holds(SHARPEN_GRADIENT, "a gradient of ones gives nothing", "The weights sum to 1 whatever w̃ and γ are, so their sum has no gradient.")
def ones_give_nothing(ask: Ask, given: Inputs) -> None:
    ones = {**given, "g": numpy.ones_like(given["g"])}
    zeros = [numpy.zeros_like(given["weighting"]), numpy.zeros_like(given["sharpening"])]
    agree(ask(*ones.values()).results, zeros, "with g = 1 everywhere, the gradient is not 0")


ASSIGNMENT = Assignment(
    3,
    "NTM: memory and addressing, forward and backward",
    TASKS,
    of_every(
        TASKS,
        reads_one_row,
        erases_one_row,
        adds_nothing,
        length_does_not_matter,
        zeros_are_like_nothing,
        strength_does_not_overflow,
        locations_may_change_places,
        gate_takes_one,
        moves_by_one,
        gamma_of_one,
        great_gamma,
        the_largest_grows,
        nothing_from_the_erased,
        gradient_moves_back,
        ones_give_nothing,
    ),
)
