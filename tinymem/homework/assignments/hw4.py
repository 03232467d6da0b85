"""Assignment 4.  Attention: scores, soft and hard, REINFORCE.

Each function takes NumPy arrays and returns new ones; none changes what it is given, and float32 stays float32.
Batches come first.  Check your work: tinymem hw check .
"""

import math

import numpy as np


def additive_score(query, features, W1, W2, w3):
    r"""Task 4.1: Additive score (Bahdanau et al. 2014, appendix A.1.2).

    score(h, f) = w_3ᵀ tanh(W_1 h + W_2 f): a small network looks at both, so dim(h) and dim(f) may differ.

    LaTeX: \mathrm{score}(h, f) = w_3^T \tanh(W_1 h + W_2 f)
    Slide: Hard & soft attention: [1].
    Points: 2 by the public checks, 1 by hidden ones.

    query: h, (batch, H)
    features: f, (batch, L, F)
    W1: W_1, (A, H)
    W2: W_2, (A, F)
    w3: w_3, (A,)
    Returns (batch, L).
    """
    ### BEGIN SOLUTION
    hidden = np.tanh((query @ W1.T)[:, None, :] + features @ W2.T)  # (batch, 1, A) + (batch, L, A)
    return hidden @ w3  # (batch, L)
    ### END SOLUTION


def dot_score(query, features):
    r"""Task 4.2: Dot-product score (Luong et al. 2015, section 3.1).

    score(h, f) = hᵀ f: no parameters, and dim(h) = dim(f).

    LaTeX: \mathrm{score}(h, f) = h^T f
    Slide: Hard & soft attention: [2].
    Points: 1 by the public checks, 0 by hidden ones.

    query: h, (batch, F)
    features: f, (batch, L, F)
    Returns (batch, L).
    """
    ### BEGIN SOLUTION
    return np.einsum("bf,blf->bl", query, features)
    ### END SOLUTION


def scaled_dot_score(query, features):
    r"""Task 4.3: Scaled dot-product score (Vaswani et al. 2017, eq. 1).

    score(h, f) = hᵀ f / √d, d = dim(h): for h and f of independent standard numbers hᵀ f has variance d, and this has 1.

    LaTeX: \mathrm{score}(h, f) = h^T f / \sqrt{d},\ d = \dim(h)
    Slide: Hard & soft attention: [3].
    Points: 1 by the public checks, 0 by hidden ones.

    query: h, (batch, F)
    features: f, (batch, L, F)
    Returns (batch, L).
    """
    ### BEGIN SOLUTION
    return np.einsum("bf,blf->bl", query, features) / math.sqrt(query.shape[1])
    ### END SOLUTION


def attention_weights(scores, mask):
    r"""Task 4.4: Attention weights (Bahdanau et al. 2014, eq. 6).

    α_i = exp(score_i) / Σ_j exp(score_j), over the places that are there.

    LaTeX: \alpha_i = \frac{\exp(\mathrm{score}(h, f_i))}{\sum_{j=1}^L \exp(\mathrm{score}(h, f_j))}
    Slide: Hard & soft attention.
    Points: 2 by the public checks, 2 by hidden ones.

    scores: score(h, f_i), (batch, L)
    mask: (batch, L), boolean: True where there is a place, False where a batch was padded
    Returns (batch, L), non-negative, summing to 1 along the last axis.

    Padding gets a weight of exactly 0; a row that is all padding gets weights of 0.
    """
    ### BEGIN SOLUTION
    scores = np.where(mask, scores, -np.inf)  # e^-inf = 0: what is not there is not in the sum
    largest = scores.max(1, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0)  # of a row that is all padding
    e = np.exp(scores - largest)
    total = e.sum(1, keepdims=True)
    return e / np.where(total > 0, total, 1)
    ### END SOLUTION


def soft_context(weights, features):
    r"""Task 4.5: Context (Bahdanau et al. 2014, eq. 5).

    c = Σ_j α_j h_j: the expectation of the features under the weights, so backprop goes through.

    LaTeX: c = \sum_{j=1}^L \alpha_j h_j
    Slide: Translation with attention.
    Points: 1 by the public checks, 0 by hidden ones.

    weights: α, (batch, L), non-negative, summing to at most 1 along the last axis
    features: h_j, (batch, L, F)
    Returns (batch, F).
    """
    ### BEGIN SOLUTION
    return np.einsum("bl,blf->bf", weights, features)
    ### END SOLUTION


def chosen_place(weights, point):
    r"""Task 4.6: Chosen place (Xu et al. 2015, section 4.1).

    z = onehot(i) for the place whose share of the interval from 0 to 1 holds the point u: the shares lie there end to end.

    LaTeX: z = \mathrm{onehot}(i),\ \sum_{j<i} \alpha_j \le u < \sum_{j \le i} \alpha_j
    Slide: Hard & soft attention.
    Points: 2 by the public checks, 1 by hidden ones.

    weights: α, (batch, L), non-negative, summing to 1 along the last axis
    point: u, (batch, 1), between 0 and 1
    Returns (batch, L), one 1 and otherwise 0 along the last axis.

    A place of weight 0 is never chosen; u = 1, or rounding, belongs to the last place that has a weight.
    """
    ### BEGIN SOLUTION
    ends = np.cumsum(weights, 1)  # the share of place i ends at ends[:, i]
    last = ends >= ends[:, -1:]  # no place behind has a weight: this share goes on for ever
    place = (last | (ends > point)).argmax(1)  # the first that ends beyond the point
    return np.eye(weights.shape[1], dtype=weights.dtype)[place]
    ### END SOLUTION


def reinforce_gradient(scores, chosen, reward, baseline):
    r"""Task 4.7: Gradient of REINFORCE in the scores (of Xu et al. 2015, section 4.1).

    The gradient in the scores of 1/N Σ_n (R_n - b_n) log p(z_n), where p(z_n) is the weight α = softmax(score) of the place drawn.

    LaTeX: \frac{1}{N} (R_n - b_n) (z_n - \alpha_n),\ \alpha_n = \mathrm{softmax}(\mathrm{score}_n)
    Slide: Hard & soft attention.
    Points: 2 by the public checks, 2 by hidden ones.

    scores: score_n, (batch, L)
    chosen: z_n, (batch, L), one 1 and otherwise 0 along the last axis
    reward: R_n, (batch,)
    baseline: b_n, (batch,)
    Returns (batch, L).

    R and b are held constant; N is the number of rows.
    """
    ### BEGIN SOLUTION
    e = np.exp(scores - scores.max(1, keepdims=True))
    weights = e / e.sum(1, keepdims=True)
    return (reward - baseline)[:, None] * (chosen - weights) / len(reward)
    ### END SOLUTION


def doubly_stochastic_penalty(weights):
    r"""Task 4.8: Doubly stochastic penalty (Xu et al. 2015, section 4.2.1).

    Σ_i (1 - Σ_t α_ti)²: over a whole sentence every place should get its share of attention, about 1.

    LaTeX: \sum_{i=1}^L \left(1 - \sum_{t=1}^T \alpha_{ti}\right)^2
    Slide: Soft vs. hard attention.
    Points: 1 by the public checks, 1 by hidden ones.

    weights: α_ti, (T, batch, L), non-negative, summing to at most 1 along the last axis
    Returns (batch,).
    """
    ### BEGIN SOLUTION
    return ((1 - weights.sum(0)) ** 2).sum(1)  # over time, then over places
    ### END SOLUTION
