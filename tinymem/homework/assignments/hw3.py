"""Assignment 3.  NTM: memory and addressing, forward and backward.

Each function takes NumPy arrays and returns new ones; none changes what it is given, and float32 stays float32.
Batches come first.  Check your work: tinymem hw check .
"""

import numpy as np


def read(memory, weighting):
    r"""Task 3.1: Read (Graves et al. 2014, eq. 2).

    r_t = Σ_i w_t(i) M_t(i): the read vector is the weighted mean of the memory's rows.

    LaTeX: r_t \leftarrow \sum_i w_t(i)\, M_t(i)
    Slide: Neural Turing Machines: Reading.
    Points: 1 by the public checks, 0 by hidden ones.

    memory: M_t, (batch, N, M)
    weighting: w_t, (batch, N), non-negative, summing to 1 along the last axis
    Returns (batch, M).
    """
    ### BEGIN SOLUTION
    return np.einsum("bn,bnm->bm", weighting, memory)
    ### END SOLUTION


def erase(memory, weighting, erase_vector):
    r"""Task 3.2: Erase (Graves et al. 2014, eq. 3).

    M̃_t(i) = M_{t-1}(i) [1 - w_t(i) e_t]: where the weighting and the erase vector are both 1, the cell becomes 0.

    LaTeX: \tilde M_t(i) \leftarrow M_{t-1}(i)\,[1 - w_t(i)\, e_t]
    Slide: Neural Turing Machines: Writing.
    Points: 1 by the public checks, 0 by hidden ones.

    memory: M_{t-1}, (batch, N, M)
    weighting: w_t, (batch, N), non-negative, summing to 1 along the last axis
    erase_vector: e_t, (batch, M), between 0 and 1
    Returns (batch, N, M).
    """
    ### BEGIN SOLUTION
    return memory * (1 - weighting[:, :, None] * erase_vector[:, None, :])
    ### END SOLUTION


def add(memory, weighting, add_vector):
    r"""Task 3.3: Add (Graves et al. 2014, eq. 4).

    M_t(i) = M̃_t(i) + w_t(i) a_t.

    LaTeX: M_t(i) \leftarrow \tilde M_t(i) + w_t(i)\, a_t
    Slide: Neural Turing Machines: Writing.
    Points: 1 by the public checks, 0 by hidden ones.

    memory: M̃_t, (batch, N, M)
    weighting: w_t, (batch, N), non-negative, summing to 1 along the last axis
    add_vector: a_t, (batch, M)
    Returns (batch, N, M).
    """
    ### BEGIN SOLUTION
    return memory + weighting[:, :, None] * add_vector[:, None, :]
    ### END SOLUTION


def cosine_similarity(memory, key):
    r"""Task 3.4: Cosine similarity (Graves et al. 2014, eq. 6).

    K[k_t, M_t(i)] = k_t · M_t(i) / (‖k_t‖ ‖M_t(i)‖), with norms √(Σ x² + 1e-8).

    LaTeX: K[k_t, M_t(i)] = \frac{k_t \cdot M_t(i)}{\|k_t\|\, \|M_t(i)\|}
    Slide: Neural Turing Machines: Addressing Mechanisms.
    Points: 1 by the public checks, 1 by hidden ones.

    memory: M_t, (batch, N, M)
    key: k_t, (batch, M)
    Returns (batch, N).

    The norms are √(Σ x² + 1e-8), with the 1e-8 inside the root, so that a row of zeros has a norm.
    """
    ### BEGIN SOLUTION
    row_norms = np.sqrt((memory * memory).sum(2) + 1e-8)  # (batch, N)
    key_norm = np.sqrt((key * key).sum(1, keepdims=True) + 1e-8)  # (batch, 1)
    return np.einsum("bnm,bm->bn", memory, key) / (row_norms * key_norm)
    ### END SOLUTION


def content_weighting(memory, key, strength):
    r"""Task 3.5: Content addressing (Graves et al. 2014, eq. 5).

    w^c_t(i) = exp(β_t K[k_t, M_t(i)]) / Σ_j exp(β_t K[k_t, M_t(j)]): locations that resemble the key.

    LaTeX: w_t^c(i) \leftarrow \frac{\exp(\beta_t K[k_t, M_t(i)])}{\sum_j \exp(\beta_t K[k_t, M_t(j)])}
    Slide: Neural Turing Machines: Addressing Mechanisms: Focusing by Content.
    Points: 1 by the public checks, 1 by hidden ones.

    memory: M_t, (batch, N, M)
    key: k_t, (batch, M)
    strength: β_t, (batch, 1), greater than 0
    Returns (batch, N), non-negative, summing to 1 along the last axis.

    K is the cosine similarity of task 3.4: norms are √(Σ x² + 1e-8).
    """
    ### BEGIN SOLUTION
    row_norms = np.sqrt((memory * memory).sum(2) + 1e-8)  # (batch, N)
    key_norm = np.sqrt((key * key).sum(1, keepdims=True) + 1e-8)  # (batch, 1)
    scores = strength * np.einsum("bnm,bm->bn", memory, key) / (row_norms * key_norm)
    e = np.exp(scores - scores.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)
    ### END SOLUTION


def interpolate(content, previous, gate):
    r"""Task 3.6: Interpolation gate (Graves et al. 2014, eq. 7).

    w^g_t = g_t w^c_t + (1 - g_t) w_{t-1}: g = 1 looks by content, g = 0 stays where the head was.

    LaTeX: w_t^g \leftarrow g_t w_t^c + (1 - g_t) w_{t-1}
    Slide: Neural Turing Machines: Addressing Mechanisms: Focusing by Location.
    Points: 1 by the public checks, 0 by hidden ones.

    content: w^c_t, (batch, N), non-negative, summing to 1 along the last axis
    previous: w_{t-1}, (batch, N), non-negative, summing to 1 along the last axis
    gate: g_t, (batch, 1), between 0 and 1
    Returns (batch, N), non-negative, summing to 1 along the last axis.
    """
    ### BEGIN SOLUTION
    return gate * content + (1 - gate) * previous
    ### END SOLUTION


def shift(weighting, shift_weighting):
    r"""Task 3.7: Shift (Graves et al. 2014, eq. 8).

    w̃_t(i) = Σ_j w^g_t(j) s_t(i - j), indices modulo N: a circular convolution moves the head.

    LaTeX: \tilde w_t(i) \leftarrow \sum_{j=0}^{N-1} w_t^g(j)\, s_t(i - j)
    Slide: Neural Turing Machines: Addressing Mechanisms: Shifting.
    Points: 2 by the public checks, 1 by hidden ones.

    weighting: w^g_t, (batch, N), non-negative, summing to 1 along the last axis
    shift_weighting: s_t, (batch, 2*R + 1), non-negative, summing to 1 along the last axis
    Returns (batch, N), non-negative, summing to 1 along the last axis.

    The entries of s belong to the offsets -R … R, in that order; locations are counted modulo N.
    """
    ### BEGIN SOLUTION
    reach = shift_weighting.shape[1] // 2
    moved = np.zeros_like(weighting)
    for place in range(2 * reach + 1):
        offset = place - reach
        moved = moved + shift_weighting[:, place : place + 1] * np.roll(weighting, offset, 1)
    return moved
    ### END SOLUTION


def sharpen(weighting, sharpening):
    r"""Task 3.8: Sharpening (Graves et al. 2014, eq. 9).

    w_t(i) = w̃_t(i)^γ / Σ_j w̃_t(j)^γ: undoes the blur that repeated shifting leaves; γ = 1 changes nothing.

    LaTeX: w_t(i) \leftarrow \frac{\tilde w_t(i)^{\gamma_t}}{\sum_j \tilde w_t(j)^{\gamma_t}}
    Slide: Neural Turing Machines: Addressing Mechanisms: Sharpening.
    Points: 2 by the public checks, 1 by hidden ones.

    weighting: w̃_t, (batch, N), non-negative, summing to 1 along the last axis
    sharpening: γ_t, (batch, 1), at least 1
    Returns (batch, N), non-negative, summing to 1 along the last axis.

    Weights down to 0, and γ up to some hundreds, must not give 0/0: compute softmax(γ ln(w̃ + 1e-16)), the same
    number.
    """
    ### BEGIN SOLUTION
    scores = sharpening * np.log(weighting + 1e-16)
    e = np.exp(scores - scores.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)
    ### END SOLUTION


def erase_gradient(memory, weighting, erase_vector, g):
    r"""Task 3.9: Gradient of the erase (of Graves et al. 2014, eq. 3).

    The gradients in M, w and e of M̃(i) = M(i) [1 - w(i) e], where g is the loss's gradient in M̃.

    LaTeX: \bar M(i) = \bar{\tilde M}(i)\,[1 - w(i)\, e],\ \bar w(i) = -\sum_m \bar{\tilde M}(i)_m M(i)_m e_m,\
    \bar e = -\sum_i w(i)\, \bar{\tilde M}(i)\, M(i)
    Slide: Neural Turing Machines: Writing.
    Points: 2 by the public checks, 1 by hidden ones.

    memory: M_{t-1}, (batch, N, M)
    weighting: w_t, (batch, N), non-negative, summing to 1 along the last axis
    erase_vector: e_t, (batch, M), between 0 and 1
    g: g, (batch, N, M)
    Returns (batch, N, M); (batch, N); (batch, M).

    Return the gradients in the order memory, weighting, erase_vector.
    """
    ### BEGIN SOLUTION
    w, e = weighting[:, :, None], erase_vector[:, None, :]  # (batch, N, 1), (batch, 1, M)
    memory_gradient = g * (1 - w * e)
    weighting_gradient = -(g * memory * e).sum(2)
    erase_vector_gradient = -(g * memory * w).sum(1)
    return memory_gradient, weighting_gradient, erase_vector_gradient
    ### END SOLUTION


def shift_gradient(weighting, shift_weighting, g):
    r"""Task 3.10: Gradient of the shift (of Graves et al. 2014, eq. 8).

    The gradients in w and s of w̃(i) = Σ_j w(j) s(i - j), indices modulo N, where g is the loss's gradient in w̃.

    LaTeX: \bar w(j) = \sum_i \bar{\tilde w}(i)\, s(i - j),\ \bar s(k) = \sum_j \bar{\tilde w}(j + k)\, w(j)
    Slide: Neural Turing Machines: Addressing Mechanisms: Shifting.
    Points: 2 by the public checks, 2 by hidden ones.

    weighting: w^g_t, (batch, N), non-negative, summing to 1 along the last axis
    shift_weighting: s_t, (batch, 2*R + 1), non-negative, summing to 1 along the last axis
    g: g, (batch, N)
    Returns (batch, N); (batch, 2*R + 1).

    Return the gradients in the order weighting, shift_weighting.
    """
    ### BEGIN SOLUTION
    reach = shift_weighting.shape[1] // 2
    weighting_gradient = np.zeros_like(weighting)
    shift_gradient = np.zeros_like(shift_weighting)
    for place in range(2 * reach + 1):
        back = np.roll(g, reach - place, 1)  # back[:, j] = g(j + offset): where the weight of j went
        weighting_gradient = weighting_gradient + shift_weighting[:, place : place + 1] * back
        shift_gradient[:, place] = (back * weighting).sum(1)
    return weighting_gradient, shift_gradient
    ### END SOLUTION


def sharpen_gradient(weighting, sharpening, g):
    r"""Task 3.11: Gradient of the sharpening (of Graves et al. 2014, eq. 9).

    The gradients in w̃ and γ of w(i) = w̃(i)^γ / Σ_j w̃(j)^γ, where g is the loss's gradient in w.

    LaTeX: \bar{\tilde w}(i) = \gamma\, \frac{w(i)}{\tilde w(i)} \left(\bar w(i) - \sum_j \bar w(j) w(j)\right),\
    \bar \gamma = \sum_i \ln \tilde w(i)\, w(i) \left(\bar w(i) - \sum_j \bar w(j) w(j)\right)
    Slide: Neural Turing Machines: Addressing Mechanisms: Sharpening.
    Points: 2 by the public checks, 2 by hidden ones.

    weighting: w̃_t, (batch, N), non-negative, summing to 1 along the last axis
    sharpening: γ_t, (batch, 1), at least 1
    g: g, (batch, N)
    Returns (batch, N); (batch, 1).

    Return the gradients in the order weighting, sharpening.
    """
    ### BEGIN SOLUTION
    scores = sharpening * np.log(weighting)
    e = np.exp(scores - scores.max(1, keepdims=True))
    w = e / e.sum(1, keepdims=True)
    score_gradient = w * (g - (g * w).sum(1, keepdims=True))  # of the softmax
    weighting_gradient = score_gradient * sharpening / weighting
    sharpening_gradient = (score_gradient * np.log(weighting)).sum(1, keepdims=True)
    return weighting_gradient, sharpening_gradient
    ### END SOLUTION
