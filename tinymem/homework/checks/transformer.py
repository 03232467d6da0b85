"""Assignment 5, the Transformer's block: positions, attention of all words at once, heads, feed-forward, normalised residuals."""

from __future__ import annotations

import numpy
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinymem.engine.tensor import Tensor
from tinymem.equations.registry import Equation, equation
from tinymem.equations.transformer import feed_forward, layer_norm, multi_head, positional_encoding, residual, scaled_dot_product
from tinymem.homework.gradients import by_complex_step
from tinymem.homework.properties import Ask, Property, agree, holds, of_every, only
from tinymem.homework.tasks import Array, Assignment, Inputs, Task
from tinymem.testing.strategies import inputs_of

WHOLE = "Attention Is All You Need"
NORMALISED = f"{WHOLE}: Residual connection + layer normalization"


# -- what is no slide of its own ---------------------------------------------------------------------------------------------
@equation(
    "Gradient of scaled dot-product attention",
    paper="of Vaswani et al. 2017, eq. 1",
    latex=r"\bar V = \alpha^T g,\ \bar \alpha = g V^T,\ \bar S = \alpha \odot (\bar \alpha - \mathrm{rowsum}(\bar \alpha \odot \alpha)),\ "
    r"\bar Q = \bar S K / \sqrt{d_k},\ \bar K = \bar S^T Q / \sqrt{d_k}",
    lesson="transformer",
    symbols={"Q": "Q", "K": "K", "V": "V", "g": "g"},
    static={"mask": None},
    Q="(batch, T, D)",
    K="(batch, L, D)",
    V="(batch, L, E)",
    g="(batch, T, E)",
    returns=("(batch, T, D)", "(batch, L, D)", "(batch, L, E)"),
)
def scaled_dot_product_gradient(Q: Array, K: Array, V: Array, g: Array, mask: Array) -> tuple[Array, ...]:
    """The gradients in Q, K and V of softmax(Q Kᵀ / √d_k) V, where g is the loss's gradient in the result."""
    return by_complex_step(lambda Q, K, V: scaled_dot_product(Q, K, V, mask), (Q, K, V), g)


@equation(
    "Gradient of the layer normalization",
    paper="of Ba et al. 2016, eq. 4",
    latex=r"\bar x_i = \frac{1}{\sigma} \left(h_i - \frac1d \sum_j h_j - \hat x_i \frac1d \sum_j h_j \hat x_j\right),\ "
    r"h = g\, \gamma,\ \hat x = (x - \mu) / \sigma,\ \bar \gamma = \sum g\, \hat x,\ \bar \beta = \sum g",
    lesson="transformer",
    symbols={"x": "x", "gain": "γ", "g": "g"},
    x="(batch, T, D)",
    gain="(D)",
    g="(batch, T, D)",
    returns=("(batch, T, D)", "(D)", "(D)"),
)
def layer_norm_gradient(x: Array, gain: Array, g: Array) -> tuple[Array, ...]:
    """The gradients in x, γ and β of γ (x - μ) / √(σ² + ε) + β, where g is the loss's gradient in the result; μ and σ depend on x."""
    return by_complex_step(layer_norm, (x, gain, numpy.zeros_like(gain)), g)


@equation(
    "Post-norm layer",
    paper="Vaswani et al. 2017, section 3.1",
    latex=r"y = \mathrm{LayerNorm}(x + \mathrm{Sublayer}(x))",
    lesson="transformer",
    symbols={"x": "x", "change": "Sublayer(x)", "gain": "γ", "bias": "β"},
    x="(batch, T, D)",
    change="(batch, T, D)",
    gain="(D)",
    bias="(D)",
    returns="(batch, T, D)",
)
def post_norm(x: Tensor, change: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    """LayerNorm(x + Sublayer(x)): the residual connection first, then the normalisation of each word's vector."""
    return layer_norm(residual(x, change), gain, bias)


# -- inputs ----------------------------------------------------------------------------------------------------------------
@st.composite
def masked(draw: st.DrawFn, equation: Equation, max_length: int = 3) -> Inputs:
    """Operands of an equation with queries Q and keys K, and a mask: a causal one, one for all sentences, or one for each."""
    given = draw(inputs_of(equation, max_length, boundary=draw(st.booleans())))
    batch, words, seen = len(given["Q"]), given["Q"].shape[1], given["K"].shape[1]
    shape = draw(st.sampled_from([(1, words, seen), (batch, words, seen)]))
    mask = st.just(numpy.tri(words, seen, dtype=bool)[None]) | hnp.arrays(bool, shape, elements=st.booleans(), fill=st.nothing())
    return {**given, "mask": draw(mask)}


@st.composite
def sizes(draw: st.DrawFn) -> Inputs:
    return {"length": draw(st.integers(1, 12)), "width": 2 * draw(st.integers(1, 6))}


MASK = {"mask": "(1, T, L) or (batch, T, L), boolean: True where a word (row) may look (column)"}
ALL_MASKED = "A masked place gets a weight of exactly 0; a word that may look nowhere gets weights of 0."

# -- the tasks ---------------------------------------------------------------------------------------------------------------
# fmt: off
POSITIONS = Task("5.1", positional_encoding, "Input layer", public_points=2, inputs=sizes(),
    others={"length": "the number of words, an integer", "width": "d, an even integer"},
    hint="Columns come in pairs: sin in the even ones, cos in the odd ones, both of pos / 10000^(2i/d).")
ATTENTION = Task("5.2", scaled_dot_product, "Multi-head attention", public_points=2, hidden_points=2,
    inputs=masked(scaled_dot_product.equation), others=MASK, note=ALL_MASKED,  # type: ignore[attr-defined]
    hint="Q Kᵀ / √d_k, d_k the width of a query; -inf where the mask is False; softmax over the last axis; times V.")
HEADS = Task("5.3", multi_head, "Multi-head attention", public_points=2, hidden_points=2,
    inputs=masked(multi_head.equation, 2), others=MASK,  # type: ignore[attr-defined]
    note=f"Matrices act as W h, so a row is multiplied by a transpose: Q @ W_Q[i].T.  {ALL_MASKED}",
    hint="Each head has its own three matrices and its own softmax; d_k is the width of a head's queries, A.")
FEED_FORWARD = Task("5.4", feed_forward, "Per-word feedforward", hidden_points=0,
    hint="x @ W1.T + b1, the ReLU, then W2 and b2 in the same way.")
NORM = Task("5.5", layer_norm, NORMALISED, public_points=2, note="ε = 1e-5, inside the root.",
    hint="μ and σ² are those of each word's vector alone, the last axis; σ² is the mean of squares, divided by d.")
NORM_GRADIENT = Task("5.6", layer_norm_gradient, NORMALISED, public_points=3, hidden_points=2,
    note="ε = 1e-5, inside the root.  Return the gradients in the order x, gain, bias.",
    hint="Three ways lead from x_i to the result: itself, μ and σ; each subtracts a term.")
ATTENTION_GRADIENT = Task("5.7", scaled_dot_product_gradient, "Multi-head attention", public_points=3, hidden_points=2,
    inputs=masked(scaled_dot_product_gradient.equation, 2), others=MASK,  # type: ignore[attr-defined]
    note=f"{ALL_MASKED}  Return the gradients in the order Q, K, V.",
    hint="Backwards through the product with V, then the softmax of each row, then the scores: 1 / √d_k comes along.")
POST_NORM = Task("5.8", post_norm, NORMALISED, note="ε = 1e-5, inside the root.",
    hint="Add first, then normalise the sum: x itself is not normalised before.")
# fmt: on
TASKS = (POSITIONS, ATTENTION, HEADS, FEED_FORWARD, NORM, NORM_GRADIENT, ATTENTION_GRADIENT, POST_NORM)


# -- the invariants ------------------------------------------------------------------------------------------------------------
@holds(POSITIONS, "a step turns every pair alike", "PE(pos)ᵀ PE(pos + 1) depends on the offset alone, since sin² + cos² = 1.")
def a_step_is_a_turn(ask: Ask, given: Inputs) -> None:
    found = only(ask(given["length"] + 1, given["width"]))
    products = (found[1:] * found[:-1]).sum(1)
    agree([products], [numpy.full_like(products, products[0])], "PE(pos)ᵀ PE(pos + 1) is not the same for all pos")


def no_overflow(task: Task) -> Property:
    """A property of the three tasks that hold a softmax."""

    def judge(ask: Ask, given: Inputs) -> None:
        large = {**given, "Q": 1000 * given["Q"]}
        agree(ask(*large.values()).results, task.reference(large), "with 1000 Q for Q, the values are wrong", rtol=1e-6)

    hint = "exp(710) is infinite: subtract each row's maximum before exp; the softmax is the same."
    return holds(task, "large scores do not overflow", hint)(judge)


def causal(given: Inputs) -> Inputs:
    """The same operands with as many keys as queries, where word t sees words 0 … t."""
    words = min(given["Q"].shape[1], given["K"].shape[1])
    cut: Inputs = {name: given[name][:, :words] for name in ("Q", "K", "V", "g") if name in given}
    return {**given, **cut, "mask": numpy.tri(words, dtype=bool)[None]}


@holds(ATTENTION, "a causal mask hides the future", "Mask the scores before the softmax: after it, the future is still in the sum.")
def the_future_is_hidden(ask: Ask, given: Inputs) -> None:
    now = causal(given)
    other = {**now, "K": now["K"].copy(), "V": now["V"].copy()}
    other["K"][:, -1] += 1
    other["V"][:, -1] += 1
    before, after = (only(ask(*operands.values()))[:, :-1] for operands in (now, other))
    agree([after], [before], "another last word changes what the words before it get")


@holds(ATTENTION_GRADIENT, "a causal mask lets no gradient from the future", "α is 0 where the mask is False, and so is its gradient.")
def no_gradient_from_the_future(ask: Ask, given: Inputs) -> None:
    now = causal(given)
    now["g"] = now["g"].copy()
    now["g"][:, -1] = 0  # the loss looks at all words but the last, which none of them may see
    answers = [one[:, -1] for one in ask(*now.values()).results]
    agree(answers, [numpy.zeros_like(one) for one in answers], "the last word gets a gradient from words before it")


@holds(HEADS, "one head with W = 1 is plain attention", "For one head and identity matrices MultiHead(Q, K, V) = Attention(Q, K, V).")
def one_head_is_attention(ask: Ask, given: Inputs) -> None:
    eye = numpy.eye(given["Q"].shape[2])
    plain = scaled_dot_product(given["Q"], given["K"], given["V"], given["mask"])
    found = ask(given["Q"], given["K"], given["V"], eye[None], eye[None], eye[None], eye, given["mask"])
    agree(found.results, [numpy.asarray(getattr(plain, "data", plain))], "one head with identity matrices is not Attention(Q, K, V)")


@holds(FEED_FORWARD, "the same network for every word", "No word may look at another here: nothing may mix along T.")
def every_word_alone(ask: Ask, given: Inputs) -> None:
    turned = {**given, "x": numpy.roll(given["x"], 1, 1)}
    before = only(ask(*given.values()))
    agree(ask(*turned.values()).results, [numpy.roll(before, 1, 1)], "moving the words does not move the results")


@holds(NORM, "one number more on every x changes nothing", "The mean μ is subtracted: is it the mean over the last axis?")
def moving_changes_nothing(ask: Ask, given: Inputs) -> None:
    moved = {**given, "x": given["x"] + 1}
    before = ask(*given.values()).results
    agree(ask(*moved.values()).results, before, "adding 1 to x changes the result", rtol=1e-6)


@holds(NORM, "words do not mix", "μ and σ² are those of one word's vector: axis 2, not the batch's.")
def words_do_not_mix(ask: Ask, given: Inputs) -> None:
    alone = only(ask(given["x"][:1, :1], given["gain"], given["bias"]))
    together = only(ask(*given.values()))[:1, :1]
    agree([together], [alone], "a word is normalised otherwise when there are others beside it")


@holds(NORM_GRADIENT, "moving x gives no gradient", "μ is subtracted, so a common part of g γ leads nowhere: the rows of x̄ sum to 0.")
def common_part_leads_nowhere(ask: Ask, given: Inputs) -> None:
    found = ask(*given.values()).results[0]
    agree([found.sum(-1)], [numpy.zeros(found.shape[:-1])], "the gradient in x has a part that is common to a word's vector", rtol=1e-6)


@holds(POST_NORM, "without a change it is the norm of x", "LayerNorm(x + 0) = LayerNorm(x).")
def nothing_added(ask: Ask, given: Inputs) -> None:
    normalised = layer_norm(given["x"], given["gain"], given["bias"])
    found = ask(given["x"], numpy.zeros_like(given["x"]), given["gain"], given["bias"])
    agree(found.results, [numpy.asarray(getattr(normalised, "data", normalised))], "with Sublayer(x) = 0, the result is not LayerNorm(x)")


ASSIGNMENT = Assignment(
    5,
    "The Transformer: attention of all words at once, and what holds a block together",
    TASKS,
    of_every(
        TASKS,
        a_step_is_a_turn,
        *map(no_overflow, (ATTENTION, HEADS, ATTENTION_GRADIENT)),
        the_future_is_hidden,
        one_head_is_attention,
        every_word_alone,
        moving_changes_nothing,
        words_do_not_mix,
        common_part_leads_nowhere,
        no_gradient_from_the_future,
        nothing_added,
    ),
)
