"""The equations of attention in the order of the slides: scores, weights, the soft and the hard way to use them.

A query asks L annotated places, each described by F features: the state h of a decoder asks the words of a source sentence
(Bahdanau et al. 2014, Luong et al. 2015) or the regions of a picture (Xu et al. 2015).  Which state asks is the model's
affair: Bahdanau's score takes the previous one, s_{i-1}, Luong's the current one, h_t.
"""

from __future__ import annotations

import math
from typing import Any

import numpy

from tinymem.engine.backend import creation_namespace, representable
from tinymem.engine.draws import draw
from tinymem.engine.errors import OperandError
from tinymem.engine.ops import argmax, cumsum, einsum, equal, exp, log, max, mean, sigmoid, softmax, tanh, where
from tinymem.engine.tensor import Tensor
from tinymem.equations.registry import equation

LOG_EPSILON = 1e-16  # inside the logarithm of the entropy: 0 ln 0 is 0, and has a finite slope


# -- scores: how well does a place answer the query? ----------------------------------------------------------------------
@equation(
    "Additive score",
    paper="Bahdanau et al. 2014, appendix A.1.2",
    latex=r"\mathrm{score}(h, f) = w_3^T \tanh(W_1 h + W_2 f)",
    lesson="attention-scores",
    symbols={"query": "h", "features": "f", "W1": "W_1", "W2": "W_2", "w3": "w_3"},
    query="(batch, H)",
    features="(batch, L, F)",
    W1="(A, H)",
    W2="(A, F)",
    w3="(A)",
    returns="(batch, L)",
)
def additive_score(query: Tensor, features: Tensor, W1: Tensor, W2: Tensor, w3: Tensor) -> Tensor:
    """score(h, f) = w_3ᵀ tanh(W_1 h + W_2 f): a small network looks at both, so dim(h) and dim(f) may differ.

    h (batch, H), f (batch, L, F), W_1 (A, H), W_2 (A, F), w_3 (A,); returns (batch, L).  Luong's "concat" score, with one
    matrix for [h; f], is the same: W_1 and W_2 side by side.  Source: Bahdanau et al. 2014, appendix A.1.2.
    """
    return tanh((query @ W1.T)[:, None, :] + features @ W2.T) @ w3  # (B, 1, A) + (B, L, A), then x (A,) -> (B, L)


@equation(
    "Dot-product score",
    paper="Luong et al. 2015, section 3.1",
    latex=r"\mathrm{score}(h, f) = h^T f",
    lesson="attention-scores",
    symbols={"query": "h", "features": "f"},
    query="(batch, F)",
    features="(batch, L, F)",
    returns="(batch, L)",
)
def dot_score(query: Tensor, features: Tensor) -> Tensor:
    """score(h, f) = hᵀ f: no parameters, and dim(h) = dim(f).

    h (batch, F), f (batch, L, F); returns (batch, L).  Source: Luong et al. 2015, section 3.1.
    """
    return einsum("bf,blf->bl", query, features)


@equation(
    "Scaled dot-product score",
    paper="Vaswani et al. 2017, eq. 1",
    latex=r"\mathrm{score}(h, f) = h^T f / \sqrt{d},\ d = \dim(h)",
    lesson="attention-scores",
    symbols={"query": "h", "features": "f"},
    query="(batch, F)",
    features="(batch, L, F)",
    returns="(batch, L)",
)
def scaled_dot_score(query: Tensor, features: Tensor) -> Tensor:
    """score(h, f) = hᵀ f / √d, d = dim(h): for h and f of independent standard numbers hᵀ f has variance d, and this has 1.

    h (batch, F), f (batch, L, F), d = F; returns (batch, L).  Source: Vaswani et al. 2017, eq. 1.
    """
    return dot_score(query, features) / math.sqrt(query.shape[1])


@equation(
    "General score",
    paper="Luong et al. 2015, section 3.1",
    latex=r"\mathrm{score}(h, f) = h^T W f",
    lesson="attention-scores",
    symbols={"query": "h", "features": "f", "W": "W"},
    query="(batch, H)",
    features="(batch, L, F)",
    W="(H, F)",
    returns="(batch, L)",
)
def general_score(query: Tensor, features: Tensor, W: Tensor) -> Tensor:
    """score(h, f) = hᵀ W f: the dot product after W has brought the query among the features.

    h (batch, H), f (batch, L, F), W (H, F); returns (batch, L).  Source: Luong et al. 2015, section 3.1.
    """
    return dot_score(query @ W, features)


@equation(
    "Location score",
    paper="Luong et al. 2015, section 3.1",
    latex=r"\mathrm{score}_s(h) = (W h)_s",
    lesson="attention-scores",
    symbols={"query": "h", "W": "W"},
    query="(batch, H)",
    W="(L, H)",
    returns="(batch, L)",
)
def location_score(query: Tensor, W: Tensor) -> Tensor:
    """score_s(h) = (W h)_s: a place is chosen by its number, without a look at what is there.

    h (batch, H), W (L, H) with a row for each place of the longest sentence (shorter ones take the first rows); returns
    (batch, L).  Source: Luong et al. 2015, section 3.1.
    """
    return query @ W.T


# -- weights ---------------------------------------------------------------------------------------------------------------
@equation(
    "Attention weights",
    paper="Bahdanau et al. 2014, eq. 6",
    latex=r"\alpha_i = \frac{\exp(\mathrm{score}(h, f_i))}{\sum_{j=1}^L \exp(\mathrm{score}(h, f_j))}",
    lesson="attention-scores",
    symbols={"scores": "score(h, f_i)"},
    static={"mask": None},
    scores="(batch, L)",
    returns="simplex (batch, L)",
)
def attention_weights(scores: Tensor, mask: Any = None) -> Tensor:
    """α_i = exp(score_i) / Σ_j exp(score_j), over the places that are there.

    score (batch, L); returns α (batch, L) on the simplex.  `mask` (batch, L), boolean: True where there is a place, False where
    a batch was padded.  Padding gets a weight and a gradient of exactly 0, whatever its score.  Where a whole row is padding
    there is nothing to attend to: its weights are all 0.  OperandError if the mask has another shape or is not boolean.
    Source: Bahdanau et al. 2014, eq. 6.
    """
    if mask is None:
        return softmax(scores, 1)
    if tuple(mask.shape) != tuple(scores.shape) or mask.dtype.kind != "b":
        raise OperandError(
            f"Attention weights: mask must be boolean and of the scores' shape {tuple(scores.shape)}, True where there is a place, "
            f"got {mask.dtype} {tuple(mask.shape)}"
        )
    not_padding = equal(mask, max(mask, 1, keepdims=True))  # all True in a row that is nothing but padding: softmax needs one
    return where(mask, softmax(where(not_padding, scores, -math.inf), 1), 0)


# -- soft attention ----------------------------------------------------------------------------------------------------------
@equation(
    "Context",
    paper="Bahdanau et al. 2014, eq. 5",
    latex=r"c = \sum_{j=1}^L \alpha_j h_j",
    lesson="translation",
    symbols={"weights": "α", "features": "h_j"},
    weights="subsimplex (batch, L)",
    features="(batch, L, F)",
    returns="(batch, F)",
)
def soft_context(weights: Tensor, features: Tensor) -> Tensor:
    """c = Σ_j α_j h_j: the expectation of the features under the weights, so backprop goes through.

    α (batch, L), h_j (batch, L, F); returns c (batch, F).  Source: Bahdanau et al. 2014, eq. 5.
    """
    return einsum("bl,blf->bf", weights, features)


@equation(
    "Predicted position",
    paper="Luong et al. 2015, section 3.2",
    latex=r"p_t = S \cdot \sigma(v_p^T \tanh(W_p h_t))",
    lesson="translation",
    symbols={"query": "h_t", "W": "W_p", "v": "v_p", "lengths": "S"},
    query="(batch, H)",
    W="(P, H)",
    v="(P)",
    lengths="positive (batch, 1)",
    returns="positive (batch, 1)",
)
def predicted_position(query: Tensor, W: Tensor, v: Tensor, lengths: Tensor) -> Tensor:
    """p_t = S σ(v_pᵀ tanh(W_p h_t)): where in the source to look, a real number between 0 and S.

    h_t (batch, H), W_p (P, H), v_p (P,), S (batch, 1) the length of each sentence without its padding, in the dtype of the
    query; returns p_t (batch, 1).  Source: Luong et al. 2015, section 3.2 (local-p).
    """
    return lengths * sigmoid(tanh(query @ W.T) @ v)[:, None]


@equation(
    "Window around a position",
    paper="Luong et al. 2015, section 3.2",
    latex=r"\alpha_t(s) \leftarrow \alpha_t(s) \exp\left(-\frac{(s - p_t)^2}{2 \sigma^2}\right),\ \sigma = D / 2",
    lesson="translation",
    symbols={"weights": "α_t", "position": "p_t"},
    static={"half_width": 2.5},
    weights="subsimplex (batch, L)",
    position="(batch, 1)",
    returns="subsimplex (batch, L)",
)
def location_window(weights: Tensor, position: Tensor, half_width: float) -> Tensor:
    """α_t(s) exp(-(s - p_t)² / 2σ²), σ = D/2, s = 0 … L-1: what is far from p_t counts less, and p_t has a gradient.

    α_t (batch, L), p_t (batch, 1), `half_width` D > 0 in places; returns (batch, L), each row with a sum of at most 1: like the
    paper we do not normalise again.  The paper's softmax runs over |s - p_t| <= D alone, beyond which the factor is under e^-2:
    hand that to `attention_weights` as its mask.  OperandError if D is not positive.  Source: Luong et al. 2015, section 3.2.
    """
    if not half_width > 0:
        raise OperandError(f"Window around a position: the half width D must be greater than 0, got {half_width}")
    sigma = half_width / 2
    places = creation_namespace().arange(weights.shape[1], dtype=weights.dtype)
    return weights * exp(-((places - position) ** 2) / (2 * sigma**2))  # (L,) - (B, 1) -> (B, L)


# -- hard attention ----------------------------------------------------------------------------------------------------------
@equation(
    "Chosen place",
    paper="Xu et al. 2015, section 4.1",
    latex=r"z = \mathrm{onehot}(i),\ \sum_{j<i} \alpha_j \le u < \sum_{j \le i} \alpha_j",
    lesson="captions",
    symbols={"weights": "α", "point": "u"},
    weights="simplex (batch, L)",
    point="unit (batch, 1)",
    returns="one-hot (batch, L)",
)
def chosen_place(weights: Tensor, point: Tensor) -> Tensor:
    """z = onehot(i) for the place whose share of the interval from 0 to 1 holds the point u: the shares lie there end to end.

    α (batch, L) on the simplex, u (batch, 1); returns z (batch, L).  With u uniform, z ~ Discrete(α).  A place of weight
    0 is never chosen, and u = 1 belongs to the last that has some; a row of zeros gives zeros.  Piecewise constant, so without
    a gradient.  Source: Xu et al. 2015, section 4.1.
    """
    ends = cumsum(weights, 1)
    ends = where(ends < ends[:, -1:], ends, 2)  # the last share has no end: a sum of 0.9999999 leaves no gap below 1
    place = argmax(ends > point, 1)  # (B,): the first that ends beyond the point
    numbers = creation_namespace().arange(weights.shape[1])
    one = where(weights > 0, weights.dtype.type(1), 0)
    return where(equal(numbers, place[:, None]), one, 0)


@equation(
    "Hard attention",
    paper="Xu et al. 2015, section 4.1",
    latex=r"z \sim \mathrm{Discrete}(\alpha_1, \dots, \alpha_L)",
    lesson="captions",
    symbols={"weights": "α"},
    static={"rng": 0},  # the seed of a generator
    weights="simplex (batch, L)",
    returns="one-hot (batch, L)",
)
def hard_sample(weights: Tensor, rng: numpy.random.Generator) -> Tensor:
    """z ~ Discrete(α): one place, drawn by its weight, as a one-hot row, so that `soft_context(z, f)` is the chosen f.

    α (batch, L) on the simplex, `rng` a generator, of which a row takes one number (anew in every run of a compiled step);
    returns z (batch, L), without a gradient: that is what `reinforce_surrogate` is for.  Within a `scan` nothing is drawn: draw
    the points (time, batch, 1) before it, and take `chosen_place`.  Source: Xu et al. 2015, section 4.1.
    """
    return chosen_place(weights, draw(rng, "random", (weights.shape[0], 1), weights.dtype))


@equation(
    "REINFORCE",
    paper="Williams 1992; Xu et al. 2015, section 4.1",
    latex=r"\nabla E[R] \approx \frac{1}{N} \sum_{n=1}^N (R_n - b_n)\, \nabla \log p(z_n)",
    lesson="captions",
    symbols={"log_prob": "log p(z_n)", "reward": "R_n", "baseline": "b_n"},
    log_prob="(batch)",
    reward="(batch)",
    baseline="(batch)",
    returns="()",
)
def reinforce_surrogate(log_prob: Tensor, reward: Tensor, baseline: Tensor) -> Tensor:
    """1/N Σ_n (R_n - b_n) log p(z_n), whose *gradient* estimates that of the expected reward; to be made large (a loss has a minus).

    log p(z_n) of the sample drawn, in nats, R_n its reward, b_n a baseline that does not depend on z_n, (batch,) each; returns
    one number, itself without a meaning.  R_n and b_n are held constant, so no gradient reaches what they were computed from.
    Any baseline leaves the mean of the gradient as it is; one near the mean reward makes it vary less.
    Source: Williams 1992; Xu et al. 2015, section 4.1.
    """
    return mean((_constant(reward) - _constant(baseline)) * log_prob)


@equation(
    "Entropy of the attention",
    paper="Xu et al. 2015, section 4.1",
    latex=r"H[z] = -\sum_i \alpha_i \ln \alpha_i",
    lesson="captions",
    symbols={"weights": "α"},
    weights="simplex (batch, L)",
    returns="(batch)",
)
def entropy(weights: Tensor) -> Tensor:
    """H[z] = -Σ_i α_i ln α_i: with a small factor added to the objective, it keeps hard attention from settling too soon.

    α (batch, L) on the simplex; returns (batch,) in nats, from 0 (one place) to ln L (all alike), 0 ln 0 = 0; computed with
    ln(α + 1e-16).  Source: Xu et al. 2015, section 4.1.
    """
    return -(weights * log(weights + representable(LOG_EPSILON, weights))).sum(1)


@equation(
    "Doubly stochastic penalty",
    paper="Xu et al. 2015, section 4.2.1",
    latex=r"\sum_{i=1}^L \left(1 - \sum_{t=1}^T \alpha_{ti}\right)^2",
    lesson="captions",
    symbols={"weights": "α_ti"},
    weights="subsimplex (T, batch, L)",
    returns="(batch)",
)
def doubly_stochastic_penalty(weights: Tensor) -> Tensor:
    """Σ_i (1 - Σ_t α_ti)²: over a whole sentence every place should get its share of attention, about 1.

    α_ti (T, batch, L), rows of zeros for steps after a sentence's end; returns one number for each sentence, (batch,).  It is at
    least (L - T)²/L, so it can reach 0 only where there are as many words as places; with fewer it spreads the attention.
    Source: Xu et al. 2015, section 4.2.1.
    """
    return ((1 - weights.sum(0)) ** 2).sum(1)


def _constant(x: Any) -> Any:
    """x off the tape."""
    return x.detach() if isinstance(x, Tensor) else x
