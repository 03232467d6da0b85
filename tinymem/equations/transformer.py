"""The equations of the Transformer in the order of the slides: input, self-attention, heads, per-word network, residual and norm.

All positions of a sentence at once: x (batch, T, D), a row for each of T words.  Self-attention asks with the words and is
answered by the same words; attention over encoder outputs asks with those of the translation.  Sublayer stands for either, or
for the network that follows.
"""

from __future__ import annotations

import math
from typing import Any

from tinymem.engine.backend import creation_namespace
from tinymem.engine.errors import OperandError
from tinymem.engine.ops import broadcast_to, concatenate, cos, mean, relu, sin, sqrt, stack, swapaxes
from tinymem.engine.tensor import Tensor
from tinymem.equations.attention import attention_weights
from tinymem.equations.registry import equation

SLOWEST_PERIOD = 10_000  # the wave lengths go from 2π to 10000 · 2π words
NORM_EPSILON = 1e-5  # under the root: a row of equal numbers has no direction


# -- the input layer ---------------------------------------------------------------------------------------------------------
@equation(
    "Positional encoding",
    paper="Vaswani et al. 2017, section 3.5",
    latex=r"PE_{(pos, 2i)} = \sin(pos / 10000^{2i/d}),\ PE_{(pos, 2i+1)} = \cos(pos / 10000^{2i/d})",
    lesson="transformer",
    static={"length": 6, "width": 4, "dtype": "float64"},
    returns="(T, D)",
)
def positional_encoding(length: int, width: int, dtype: Any = "float64") -> Tensor:
    """PE(pos, 2i) = sin(pos / 10000^(2i/d)), PE(pos, 2i+1) = cos(pos / 10000^(2i/d)), pos = 0 … length - 1.

    `length` words, `width` d, even; returns (length, width), a constant, without a gradient.  Moving by k words turns each
    pair (sin, cos) by an angle that depends on k alone, so PE(pos)ᵀ PE(pos + k) depends on the offset k and not on pos.
    OperandError if there is no word, or d is not an even number of at least 2.  Source: Vaswani et al. 2017, section 3.5.
    """
    if length < 1 or width < 2 or width % 2:
        raise OperandError(f"Positional encoding: needs a length of at least 1 and an even width, got {length} and {width}")
    xp = creation_namespace()
    angles = xp.arange(length)[:, None] / SLOWEST_PERIOD ** (xp.arange(0, width, 2) / width)  # (T, 1) / (D/2,) -> (T, D/2)
    pairs = stack([sin(angles), cos(angles)], 2)  # (T, D/2, 2)
    return Tensor(pairs.reshape(length, width), dtype=dtype)


# -- attention of all words at once --------------------------------------------------------------------------------------------
@equation(
    "Weights of self-attention",
    paper="Vaswani et al. 2017, eq. 1",
    latex=r"\alpha_{ki} = \frac{\exp(x_k^T x_i / \sqrt{d})}{\sum_{j=1}^L \exp(x_k^T x_j / \sqrt{d})}",
    lesson="transformer",
    symbols={"Q": "Q", "K": "K"},
    static={"mask": None},
    Q="(batch, T, D)",
    K="(batch, L, D)",
    returns="simplex (batch, T, L)",
)
def scaled_dot_weights(Q: Tensor, K: Tensor, mask: Any = None) -> Tensor:
    """α = softmax(Q Kᵀ / √d_k): how much each of T words looks at each of L; with x for both it is the slide's α_ki.

    Q (batch, T, d_k), K (batch, L, d_k); returns α (batch, T, L), each row on the simplex.  `mask`, boolean, of shape (batch, T, L)
    or one that broadcasts to it: True where a word may look.  A masked place gets a weight and a gradient of exactly 0; a row that
    may look nowhere is all 0.  OperandError if the mask does not fit or is not boolean.  Source: Vaswani et al. 2017, eq. 1.
    """
    scores = Q @ swapaxes(K, 1, 2) / math.sqrt(Q.shape[2])  # (B, T, D) x (B, D, L) -> (B, T, L)
    if mask is not None:
        mask = broadcast_to(mask, scores.shape).reshape(-1, scores.shape[2])
    return attention_weights(scores.reshape(-1, scores.shape[2]), mask).reshape(*scores.shape)


@equation(
    "Scaled dot-product attention",
    paper="Vaswani et al. 2017, eq. 1",
    latex=r"\mathrm{Attention}(Q, K, V) = \mathrm{softmax}\left(\frac{Q K^T}{\sqrt{d_k}}\right) V",
    lesson="transformer",
    symbols={"Q": "Q", "K": "K", "V": "V"},
    static={"mask": None},
    Q="(batch, T, D)",
    K="(batch, L, D)",
    V="(batch, L, E)",
    returns="(batch, T, E)",
)
def scaled_dot_product(Q: Tensor, K: Tensor, V: Tensor, mask: Any = None) -> Tensor:
    """Attention(Q, K, V) = softmax(Q Kᵀ / √d_k) V: every word takes the weighted mean of the values.

    Q (batch, T, d_k), K (batch, L, d_k), V (batch, L, d_v); returns (batch, T, d_v).  `mask` as in `scaled_dot_weights`.
    Source: Vaswani et al. 2017, eq. 1.
    """
    return scaled_dot_weights(Q, K, mask) @ V  # (B, T, L) x (B, L, E) -> (B, T, E)


@equation(
    "Multi-head attention",
    paper="Vaswani et al. 2017, section 3.2.2",
    latex=r"\mathrm{MultiHead}(Q, K, V) = \mathrm{Concat}(\mathrm{head}_1, \dots, \mathrm{head}_h) W^O,\ "
    r"\mathrm{head}_i = \mathrm{Attention}(Q W_i^Q, K W_i^K, V W_i^V)",
    lesson="transformer",
    symbols={"Q": "Q", "K": "K", "V": "V", "W_Q": "W^Q", "W_K": "W^K", "W_V": "W^V", "W_O": "W^O"},
    static={"mask": None},
    Q="(batch, T, D)",
    K="(batch, L, D)",
    V="(batch, L, D)",
    W_Q="(H, A, D)",
    W_K="(H, A, D)",
    W_V="(H, E, D)",
    W_O="(O, H * E)",
    returns="(batch, T, O)",
)
def multi_head(Q: Tensor, K: Tensor, V: Tensor, W_Q: Tensor, W_K: Tensor, W_V: Tensor, W_O: Tensor, mask: Any = None) -> Tensor:
    """MultiHead(Q, K, V) = Concat(head_1, …, head_h) W^O, head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V): h feature spaces.

    Q (batch, T, d), K and V (batch, L, d); W^Q and W^K (h, d_k, d), W^V (h, d_v, d), a matrix for each head; W^O (o, h d_v);
    returns (batch, T, o).  `mask` as in `scaled_dot_weights`, the same for all heads.  Matrices act as W h on the lecture's
    other slides, so a row is multiplied by their transposes.  Source: Vaswani et al. 2017, section 3.2.2.
    """
    heads = [
        scaled_dot_product(Q @ W_Q[i].T, K @ W_K[i].T, V @ W_V[i].T, mask)  # (B, T, E)
        for i in range(W_Q.shape[0])
    ]
    return concatenate(heads, 2) @ W_O.T  # (B, T, H E) x (H E, O) -> (B, T, O)


# -- what else a layer is made of ----------------------------------------------------------------------------------------------
@equation(
    "Per-word feed-forward network",
    paper="Vaswani et al. 2017, eq. 2",
    latex=r"G(x) = \mathrm{Dense}(\mathrm{ReLU}(\mathrm{Dense}(x))) = W_2 \max(0, W_1 x + b_1) + b_2",
    lesson="transformer",
    symbols={"x": "x", "W1": "W_1", "b1": "b_1", "W2": "W_2", "b2": "b_2"},
    x="(batch, T, D)",
    W1="(F, D)",
    b1="(F)",
    W2="(O, F)",
    b2="(O)",
    returns="(batch, T, O)",
)
def feed_forward(x: Tensor, W1: Tensor, b1: Tensor, W2: Tensor, b2: Tensor) -> Tensor:
    """G(x) = Dense(ReLU(Dense(x))) = W_2 max(0, W_1 x + b_1) + b_2, the same network for every word.

    x (batch, T, d), W_1 (d_ff, d), b_1 (d_ff,), W_2 (o, d_ff), b_2 (o,); returns (batch, T, o).
    Source: Vaswani et al. 2017, eq. 2.
    """
    return relu(x @ W1.T + b1) @ W2.T + b2


@equation(
    "Layer normalization",
    paper="Ba et al. 2016, eq. 4",
    latex=r"\mathrm{LayerNorm}(x) = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta,\ "
    r"\mu = \frac1d \sum_i x_i,\ \sigma^2 = \frac1d \sum_i (x_i - \mu)^2",
    lesson="transformer",
    symbols={"x": "x", "gain": "γ", "bias": "β"},
    x="(batch, T, D)",
    gain="(D)",
    bias="(D)",
    returns="(batch, T, D)",
)
def layer_norm(x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    """γ (x - μ) / √(σ² + ε) + β: each word's vector moved to mean 0 and scaled to variance 1, then scaled and moved as learned.

    x (batch, T, d), γ and β (d,), μ and σ² those of each vector alone, ε = 1e-5; returns (batch, T, d).  So what other words, or
    other sentences, are like does not matter.  Source: Ba et al. 2016, eq. 4.
    """
    centred = x - mean(x, 2, keepdims=True)
    variance = mean(centred * centred, 2, keepdims=True)
    return gain * centred / sqrt(variance + NORM_EPSILON) + bias


@equation(
    "Residual connection",
    paper="He et al. 2016; Vaswani et al. 2017, section 3.1",
    latex=r"y = x + \mathrm{Sublayer}(x)",
    lesson="transformer",
    symbols={"x": "x", "change": r"Sublayer(x)"},
    x="(batch, T, D)",
    change="(batch, T, D)",
    returns="(batch, T, D)",
)
def residual(x: Tensor, change: Tensor) -> Tensor:
    """x + Sublayer(x): a sublayer says how x is to change, and what it does not touch goes through, with its gradient.

    x and Sublayer(x) (batch, T, d); returns (batch, T, d).  The slide's layer is LayerNorm(x + Sublayer(x)) (post-norm); most later
    models take x + Sublayer(LayerNorm(x)) (pre-norm), where nothing stands in the way of x.  Source: Vaswani et al. 2017, section 3.1.
    """
    return x + change
