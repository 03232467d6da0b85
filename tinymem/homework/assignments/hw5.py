"""Assignment 5.  The Transformer: attention of all words at once, and what holds a block together.

Each function takes NumPy arrays and returns new ones; none changes what it is given, and float32 stays float32.
Batches come first.  Check your work: tinymem hw check .
"""

import math

import numpy as np


def positional_encoding(length, width):
    r"""Task 5.1: Positional encoding (Vaswani et al. 2017, section 3.5).

    PE(pos, 2i) = sin(pos / 10000^(2i/d)), PE(pos, 2i+1) = cos(pos / 10000^(2i/d)), pos = 0 … length - 1.

    LaTeX: PE_{(pos, 2i)} = \sin(pos / 10000^{2i/d}),\ PE_{(pos, 2i+1)} = \cos(pos / 10000^{2i/d})
    Slide: Input layer.
    Points: 2 by the public checks, 1 by hidden ones.

    length: the number of words, an integer
    width: d, an even integer
    Returns (T, D).
    """
    ### BEGIN SOLUTION
    positions = np.arange(length)[:, None]  # (T, 1)
    frequencies = 10000.0 ** (-np.arange(0, width, 2) / width)  # (D/2,)
    encoding = np.zeros((length, width))
    encoding[:, 0::2] = np.sin(positions * frequencies)
    encoding[:, 1::2] = np.cos(positions * frequencies)
    return encoding
    ### END SOLUTION


def scaled_dot_product(Q, K, V, mask):
    r"""Task 5.2: Scaled dot-product attention (Vaswani et al. 2017, eq. 1).

    Attention(Q, K, V) = softmax(Q Kᵀ / √d_k) V: every word takes the weighted mean of the values.

    LaTeX: \mathrm{Attention}(Q, K, V) = \mathrm{softmax}\left(\frac{Q K^T}{\sqrt{d_k}}\right) V
    Slide: Multi-head attention.
    Points: 2 by the public checks, 2 by hidden ones.

    Q: Q, (batch, T, D)
    K: K, (batch, L, D)
    V: V, (batch, L, E)
    mask: (1, T, L) or (batch, T, L), boolean: True where a word (row) may look (column)
    Returns (batch, T, E).

    A masked place gets a weight of exactly 0; a word that may look nowhere gets weights of 0.
    """
    ### BEGIN SOLUTION
    scores = Q @ K.swapaxes(1, 2) / math.sqrt(Q.shape[2])  # (batch, T, L)
    scores = np.where(mask, scores, -np.inf)
    largest = scores.max(2, keepdims=True)
    e = np.exp(scores - np.where(np.isfinite(largest), largest, 0))
    total = e.sum(2, keepdims=True)
    return e / np.where(total > 0, total, 1) @ V
    ### END SOLUTION


def multi_head(Q, K, V, W_Q, W_K, W_V, W_O, mask):
    r"""Task 5.3: Multi-head attention (Vaswani et al. 2017, section 3.2.2).

    MultiHead(Q, K, V) = Concat(head_1, …, head_h) W^O, head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V): h feature spaces.

    LaTeX: \mathrm{MultiHead}(Q, K, V) = \mathrm{Concat}(\mathrm{head}_1, \dots, \mathrm{head}_h) W^O,\
    \mathrm{head}_i = \mathrm{Attention}(Q W_i^Q, K W_i^K, V W_i^V)
    Slide: Multi-head attention.
    Points: 2 by the public checks, 2 by hidden ones.

    Q: Q, (batch, T, D)
    K: K, (batch, L, D)
    V: V, (batch, L, D)
    W_Q: W^Q, (H, A, D)
    W_K: W^K, (H, A, D)
    W_V: W^V, (H, E, D)
    W_O: W^O, (O, H * E)
    mask: (1, T, L) or (batch, T, L), boolean: True where a word (row) may look (column)
    Returns (batch, T, O).

    Matrices act as W h, so a row is multiplied by a transpose: Q @ W_Q[i].T.  A masked place gets a weight of
    exactly 0; a word that may look nowhere gets weights of 0.
    """
    ### BEGIN SOLUTION
    heads = []
    for i in range(len(W_Q)):
        queries, keys, values = Q @ W_Q[i].T, K @ W_K[i].T, V @ W_V[i].T
        scores = queries @ keys.swapaxes(1, 2) / math.sqrt(queries.shape[2])
        scores = np.where(mask, scores, -np.inf)
        largest = scores.max(2, keepdims=True)
        e = np.exp(scores - np.where(np.isfinite(largest), largest, 0))
        total = e.sum(2, keepdims=True)
        heads.append(e / np.where(total > 0, total, 1) @ values)  # (batch, T, E)
    return np.concatenate(heads, 2) @ W_O.T  # (batch, T, H E) x (H E, O)
    ### END SOLUTION


def feed_forward(x, W1, b1, W2, b2):
    r"""Task 5.4: Per-word feed-forward network (Vaswani et al. 2017, eq. 2).

    G(x) = Dense(ReLU(Dense(x))) = W_2 max(0, W_1 x + b_1) + b_2, the same network for every word.

    LaTeX: G(x) = \mathrm{Dense}(\mathrm{ReLU}(\mathrm{Dense}(x))) = W_2 \max(0, W_1 x + b_1) + b_2
    Slide: Per-word feedforward.
    Points: 1 by the public checks, 0 by hidden ones.

    x: x, (batch, T, D)
    W1: W_1, (F, D)
    b1: b_1, (F,)
    W2: W_2, (O, F)
    b2: b_2, (O,)
    Returns (batch, T, O).
    """
    ### BEGIN SOLUTION
    return np.maximum(x @ W1.T + b1, 0) @ W2.T + b2
    ### END SOLUTION


def layer_norm(x, gain, bias):
    r"""Task 5.5: Layer normalization (Ba et al. 2016, eq. 4).

    γ (x - μ) / √(σ² + ε) + β: each word's vector moved to mean 0 and scaled to variance 1, then scaled and moved as learned.

    LaTeX: \mathrm{LayerNorm}(x) = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta,\ \mu = \frac1d
    \sum_i x_i,\ \sigma^2 = \frac1d \sum_i (x_i - \mu)^2
    Slide: Attention Is All You Need: Residual connection + layer normalization.
    Points: 2 by the public checks, 1 by hidden ones.

    x: x, (batch, T, D)
    gain: γ, (D,)
    bias: β, (D,)
    Returns (batch, T, D).

    ε = 1e-5, inside the root.
    """
    ### BEGIN SOLUTION
    centred = x - x.mean(2, keepdims=True)
    variance = (centred * centred).mean(2, keepdims=True)
    return gain * centred / np.sqrt(variance + 1e-5) + bias
    ### END SOLUTION


def layer_norm_gradient(x, gain, g):
    r"""Task 5.6: Gradient of the layer normalization (of Ba et al. 2016, eq. 4).

    The gradients in x, γ and β of γ (x - μ) / √(σ² + ε) + β, where g is the loss's gradient in the result; μ and σ depend on x.

    LaTeX: \bar x_i = \frac{1}{\sigma} \left(h_i - \frac1d \sum_j h_j - \hat x_i \frac1d \sum_j h_j \hat
    x_j\right),\ h = g\, \gamma,\ \hat x = (x - \mu) / \sigma,\ \bar \gamma = \sum g\, \hat x,\ \bar \beta = \sum
    g
    Slide: Attention Is All You Need: Residual connection + layer normalization.
    Points: 3 by the public checks, 2 by hidden ones.

    x: x, (batch, T, D)
    gain: γ, (D,)
    g: g, (batch, T, D)
    Returns (batch, T, D); (D,); (D,).

    ε = 1e-5, inside the root.  Return the gradients in the order x, gain, bias.
    """
    ### BEGIN SOLUTION
    centred = x - x.mean(2, keepdims=True)
    deviation = np.sqrt((centred * centred).mean(2, keepdims=True) + 1e-5)  # (batch, T, 1)
    normalised = centred / deviation
    h = g * gain
    mean_term = h.mean(2, keepdims=True)
    variance_term = normalised * (h * normalised).mean(2, keepdims=True)
    x_gradient = (h - mean_term - variance_term) / deviation
    return x_gradient, (g * normalised).sum((0, 1)), g.sum((0, 1))
    ### END SOLUTION


def scaled_dot_product_gradient(Q, K, V, g, mask):
    r"""Task 5.7: Gradient of scaled dot-product attention (of Vaswani et al. 2017, eq. 1).

    The gradients in Q, K and V of softmax(Q Kᵀ / √d_k) V, where g is the loss's gradient in the result.

    LaTeX: \bar V = \alpha^T g,\ \bar \alpha = g V^T,\ \bar S = \alpha \odot (\bar \alpha - \mathrm{rowsum}(\bar
    \alpha \odot \alpha)),\ \bar Q = \bar S K / \sqrt{d_k},\ \bar K = \bar S^T Q / \sqrt{d_k}
    Slide: Multi-head attention.
    Points: 3 by the public checks, 2 by hidden ones.

    Q: Q, (batch, T, D)
    K: K, (batch, L, D)
    V: V, (batch, L, E)
    g: g, (batch, T, E)
    mask: (1, T, L) or (batch, T, L), boolean: True where a word (row) may look (column)
    Returns (batch, T, D); (batch, L, D); (batch, L, E).

    A masked place gets a weight of exactly 0; a word that may look nowhere gets weights of 0.  Return the
    gradients in the order Q, K, V.
    """
    ### BEGIN SOLUTION
    scale = 1 / math.sqrt(Q.shape[2])
    scores = np.where(mask, Q @ K.swapaxes(1, 2) * scale, -np.inf)  # (batch, T, L)
    largest = scores.max(2, keepdims=True)
    e = np.exp(scores - np.where(np.isfinite(largest), largest, 0))
    total = e.sum(2, keepdims=True)
    weights = e / np.where(total > 0, total, 1)
    V_gradient = weights.swapaxes(1, 2) @ g
    weights_gradient = g @ V.swapaxes(1, 2)  # (batch, T, L)
    scores_gradient = weights * (weights_gradient - (weights_gradient * weights).sum(2, keepdims=True))
    Q_gradient = scores_gradient @ K * scale
    K_gradient = scores_gradient.swapaxes(1, 2) @ Q * scale
    return Q_gradient, K_gradient, V_gradient
    ### END SOLUTION


def post_norm(x, change, gain, bias):
    r"""Task 5.8: Post-norm layer (Vaswani et al. 2017, section 3.1).

    LayerNorm(x + Sublayer(x)): the residual connection first, then the normalisation of each word's vector.

    LaTeX: y = \mathrm{LayerNorm}(x + \mathrm{Sublayer}(x))
    Slide: Attention Is All You Need: Residual connection + layer normalization.
    Points: 1 by the public checks, 1 by hidden ones.

    x: x, (batch, T, D)
    change: Sublayer(x), (batch, T, D)
    gain: γ, (D,)
    bias: β, (D,)
    Returns (batch, T, D).

    ε = 1e-5, inside the root.
    """
    ### BEGIN SOLUTION
    y = x + change
    centred = y - y.mean(2, keepdims=True)
    variance = (centred * centred).mean(2, keepdims=True)
    return gain * centred / np.sqrt(variance + 1e-5) + bias
    ### END SOLUTION
