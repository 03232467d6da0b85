"""The Neural Turing Machine's equations in the order of the slides (Graves, Wayne & Danihelka 2014, section 3).

Memory M_t has N locations (rows) of width M; a weighting w_t gives each location a share, so it lies on the simplex.
Two errors of the slide "Input / Output" are put right here: r, e, a, k have the memory's *width* M, and the shift
weighting runs over the allowed *shifts*; only the erase vector and the gate lie in (0, 1), key and add vector are free.
"""

from __future__ import annotations

from tinymem.engine.backend import representable
from tinymem.engine.ops import einsum, log, roll, softmax, sqrt, stack
from tinymem.engine.tensor import Tensor
from tinymem.equations.registry import equation

NORM_EPSILON = 1e-8  # inside the square root of the cosine: an all-zero row has a finite norm, and the norm a gradient there
LOG_EPSILON = 1e-16  # inside the logarithm of the sharpening: 0^γ stays 0, and d/dγ = w ln w stays finite


@equation(
    "Read",
    paper="Graves et al. 2014, eq. 2",
    latex=r"r_t \leftarrow \sum_i w_t(i)\, M_t(i)",
    lesson="ntm-copy",
    symbols={"memory": "M_t", "weighting": "w_t"},
    memory="(batch, N, M)",
    weighting="simplex (batch, N)",
    returns="(batch, M)",
)
def read(memory: Tensor, weighting: Tensor) -> Tensor:
    """r_t = Σ_i w_t(i) M_t(i): the read vector is the weighted mean of the memory's rows.

    M_t (batch, N, M), w_t (batch, N) on the simplex; returns r_t (batch, M).  Source: Graves et al. 2014, eq. 2.
    """
    return einsum("bn,bnm->bm", weighting, memory)


@equation(
    "Erase",
    paper="Graves et al. 2014, eq. 3",
    latex=r"\tilde M_t(i) \leftarrow M_{t-1}(i)\,[1 - w_t(i)\, e_t]",
    lesson="ntm-copy",
    symbols={"memory": "M_{t-1}", "weighting": "w_t", "erase_vector": "e_t"},
    memory="(batch, N, M)",
    weighting="simplex (batch, N)",
    erase_vector="unit (batch, M)",
    returns="(batch, N, M)",
)
def erase(memory: Tensor, weighting: Tensor, erase_vector: Tensor) -> Tensor:
    """M̃_t(i) = M_{t-1}(i) [1 - w_t(i) e_t]: where the weighting and the erase vector are both 1, the cell becomes 0.

    M_{t-1} (batch, N, M), w_t (batch, N) on the simplex, e_t (batch, M) in (0, 1); returns M̃_t (batch, N, M).
    Source: Graves et al. 2014, eq. 3.
    """
    return memory * (1 - einsum("bn,bm->bnm", weighting, erase_vector))


@equation(
    "Add",
    paper="Graves et al. 2014, eq. 4",
    latex=r"M_t(i) \leftarrow \tilde M_t(i) + w_t(i)\, a_t",
    lesson="ntm-copy",
    symbols={"memory": "M̃_t", "weighting": "w_t", "add_vector": "a_t"},
    memory="(batch, N, M)",
    weighting="simplex (batch, N)",
    add_vector="(batch, M)",
    returns="(batch, N, M)",
)
def add(memory: Tensor, weighting: Tensor, add_vector: Tensor) -> Tensor:
    """M_t(i) = M̃_t(i) + w_t(i) a_t.

    M̃_t (batch, N, M), w_t (batch, N) on the simplex, a_t (batch, M) free; returns M_t (batch, N, M).
    Source: Graves et al. 2014, eq. 4.
    """
    return memory + einsum("bn,bm->bnm", weighting, add_vector)


@equation(
    "Cosine similarity",
    paper="Graves et al. 2014, eq. 6",
    latex=r"K[k_t, M_t(i)] = \frac{k_t \cdot M_t(i)}{\|k_t\|\, \|M_t(i)\|}",
    lesson="ntm-copy",
    symbols={"memory": "M_t", "key": "k_t"},
    memory="(batch, N, M)",
    key="(batch, M)",
    returns="(batch, N)",
)
def cosine_similarity(memory: Tensor, key: Tensor) -> Tensor:
    """K[k_t, M_t(i)] = k_t · M_t(i) / (‖k_t‖ ‖M_t(i)‖), with norms √(Σ x² + 1e-8).

    M_t (batch, N, M), k_t (batch, M); returns (batch, N) in [-1, 1].  The ε stands inside the root: the gradient of
    √ at 0 is infinite, and NTM memory starts close to 0.  Source: Graves et al. 2014, eq. 6.
    """
    row_norms = sqrt(einsum("bnm,bnm->bn", memory, memory) + representable(NORM_EPSILON, memory))
    key_norm = sqrt((key * key).sum(1, keepdims=True) + representable(NORM_EPSILON, key))  # (batch, 1)
    return einsum("bnm,bm->bn", memory, key) / (row_norms * key_norm)


@equation(
    "Content addressing",
    paper="Graves et al. 2014, eq. 5",
    latex=r"w_t^c(i) \leftarrow \frac{\exp(\beta_t K[k_t, M_t(i)])}{\sum_j \exp(\beta_t K[k_t, M_t(j)])}",
    lesson="ntm-copy",
    symbols={"memory": "M_t", "key": "k_t", "strength": "β_t"},
    memory="(batch, N, M)",
    key="(batch, M)",
    strength="positive (batch, 1)",
    returns="simplex (batch, N)",
)
def content_weighting(memory: Tensor, key: Tensor, strength: Tensor) -> Tensor:
    """w^c_t(i) = exp(β_t K[k_t, M_t(i)]) / Σ_j exp(β_t K[k_t, M_t(j)]): locations that resemble the key.

    M_t (batch, N, M), k_t (batch, M), β_t (batch, 1) > 0; returns w^c_t (batch, N) on the simplex.
    Source: Graves et al. 2014, eq. 5.
    """
    return softmax(strength * cosine_similarity(memory, key), 1)


@equation(
    "Interpolation gate",
    paper="Graves et al. 2014, eq. 7",
    latex=r"w_t^g \leftarrow g_t w_t^c + (1 - g_t) w_{t-1}",
    lesson="ntm-copy",
    symbols={"content": "w^c_t", "previous": "w_{t-1}", "gate": "g_t"},
    content="simplex (batch, N)",
    previous="simplex (batch, N)",
    gate="unit (batch, 1)",
    returns="simplex (batch, N)",
)
def interpolate(content: Tensor, previous: Tensor, gate: Tensor) -> Tensor:
    """w^g_t = g_t w^c_t + (1 - g_t) w_{t-1}: g = 1 looks by content, g = 0 stays where the head was.

    w^c_t and w_{t-1} (batch, N) on the simplex, g_t (batch, 1) in (0, 1); returns w^g_t (batch, N) on the simplex.
    Source: Graves et al. 2014, eq. 7.
    """
    return gate * content + (1 - gate) * previous


@equation(
    "Shift",
    paper="Graves et al. 2014, eq. 8",
    latex=r"\tilde w_t(i) \leftarrow \sum_{j=0}^{N-1} w_t^g(j)\, s_t(i - j)",
    lesson="ntm-copy",
    symbols={"weighting": "w^g_t", "shift_weighting": "s_t"},
    weighting="simplex (batch, N)",
    shift_weighting="simplex (batch, 2*R + 1)",
    returns="simplex (batch, N)",
)
def shift(weighting: Tensor, shift_weighting: Tensor) -> Tensor:
    """w̃_t(i) = Σ_j w^g_t(j) s_t(i - j), indices modulo N: a circular convolution moves the head.

    w^g_t (batch, N) on the simplex; s_t (batch, S) on the simplex over the allowed offsets -S//2 … S//2 in that order,
    S odd.  s_t one-hot at offset +1 moves every weight to the next higher location.  Returns w̃_t (batch, N) on the
    simplex.  Source: Graves et al. 2014, eq. 8.
    """
    reach = shift_weighting.shape[1] // 2
    moved = stack([roll(weighting, offset, 1) for offset in range(-reach, reach + 1)], 1)  # moved[:, o, i] = w(i - offset)
    return einsum("bsn,bs->bn", moved, shift_weighting)


@equation(
    "Sharpening",
    paper="Graves et al. 2014, eq. 9",
    latex=r"w_t(i) \leftarrow \frac{\tilde w_t(i)^{\gamma_t}}{\sum_j \tilde w_t(j)^{\gamma_t}}",
    lesson="ntm-copy",
    symbols={"weighting": "w̃_t", "sharpening": "γ_t"},
    weighting="simplex (batch, N)",
    sharpening=">=1 (batch, 1)",
    returns="simplex (batch, N)",
)
def sharpen(weighting: Tensor, sharpening: Tensor) -> Tensor:
    """w_t(i) = w̃_t(i)^γ / Σ_j w̃_t(j)^γ: undoes the blur that repeated shifting leaves; γ = 1 changes nothing.

    w̃_t (batch, N) on the simplex, γ_t (batch, 1) >= 1; returns w_t (batch, N) on the simplex.  Computed as
    softmax(γ ln(w̃ + 1e-16)), the same number: as written on the slide, all weights can underflow to 0/0 and d/dγ meets
    ln 0.  Source: Graves et al. 2014, eq. 9.
    """
    return softmax(sharpening * log(weighting + representable(LOG_EPSILON, weighting)), 1)


@equation(
    "Addressing",
    paper="Graves et al. 2014, Fig. 2",
    latex=r"w_t = \mathrm{sharpen}(\mathrm{shift}(\mathrm{interpolate}(w_t^c, w_{t-1}, g_t), s_t), \gamma_t)",
    lesson="ntm-copy",
    symbols={
        "memory": "M_t",
        "previous": "w_{t-1}",
        "key": "k_t",
        "strength": "β_t",
        "gate": "g_t",
        "shift_weighting": "s_t",
        "sharpening": "γ_t",
    },
    memory="(batch, N, M)",
    previous="simplex (batch, N)",
    key="(batch, M)",
    strength="positive (batch, 1)",
    gate="unit (batch, 1)",
    shift_weighting="simplex (batch, 2*R + 1)",
    sharpening=">=1 (batch, 1)",
    returns="simplex (batch, N)",
)
def address(
    memory: Tensor, previous: Tensor, key: Tensor, strength: Tensor, gate: Tensor, shift_weighting: Tensor, sharpening: Tensor
) -> Tensor:
    """The flow diagram of the addressing mechanism: content → interpolation → shift → sharpening.

    M_t (batch, N, M), w_{t-1} (batch, N), k_t (batch, M), β_t, g_t, γ_t (batch, 1), s_t (batch, S); returns w_t
    (batch, N) on the simplex.  Source: Graves et al. 2014, Fig. 2.
    """
    content = content_weighting(memory, key, strength)
    gated = interpolate(content, previous, gate)
    shifted = shift(gated, shift_weighting)
    return sharpen(shifted, sharpening)
