"""The Differentiable Neural Computer's equations in the order of a step (Graves et al. 2016, Methods).

An NTM moves its heads by shifts, so what it writes lies side by side and is never given back.  A DNC is told instead which
locations are *used*: it writes to free ones, frees what it has read, and remembers in a link matrix what was written after what.
Content addressing, erasing, adding and reading are those of the NTM.  A write weighting may sum to less than 1: nothing
written where it is 0.
"""

from __future__ import annotations

from tinymem.engine.backend import creation_namespace
from tinymem.engine.ops import argsort, concatenate, cumprod, einsum, take_along_axis, where
from tinymem.engine.tensor import Tensor, wrap
from tinymem.equations.registry import equation


@equation(
    "Retention",
    paper="Graves et al. 2016, Methods, Dynamic memory allocation",
    latex=r"\psi_t = \prod_{r=1}^{R} (1 - f_t^r\, w_{t-1}^{r})",
    lesson="dnc-copy",
    symbols={"free_gates": "f_t", "read_weightings": "w^r_{t-1}"},
    free_gates="unit (batch, R)",
    read_weightings="simplex (batch, R, N)",
    returns="unit (batch, N)",
)
def retention(free_gates: Tensor, read_weightings: Tensor) -> Tensor:
    """ψ_t(i) = Π_r (1 - f_t^r w_{t-1}^r(i)): what no read head gives free stays in use.

    f_t (batch, R) in (0, 1), a gate for each of R read heads; w^r_{t-1} (batch, R, N), what they read a step ago; returns ψ_t
    (batch, N) in [0, 1].  Source: Graves et al. 2016, Methods.
    """
    kept = 1 - einsum("br,brn->brn", free_gates, read_weightings)
    product = kept[:, 0]
    for head in range(1, kept.shape[1]):
        product = product * kept[:, head]
    return product


@equation(
    "Usage",
    paper="Graves et al. 2016, Methods, Dynamic memory allocation",
    latex=r"u_t = (u_{t-1} + w^w_{t-1} - u_{t-1} \circ w^w_{t-1}) \circ \psi_t",
    lesson="dnc-copy",
    symbols={"previous": "u_{t-1}", "weighting": "w^w_{t-1}", "retained": "ψ_t"},
    previous="unit (batch, N)",
    weighting="subsimplex (batch, N)",
    retained="unit (batch, N)",
    returns="unit (batch, N)",
)
def usage(previous: Tensor, weighting: Tensor, retained: Tensor) -> Tensor:
    """u_t = (u_{t-1} + w^w_{t-1} - u_{t-1} ∘ w^w_{t-1}) ∘ ψ_t: writing uses a location, freeing gives it back.

    u_{t-1} (batch, N) in [0, 1], w^w_{t-1} (batch, N) of the last write, ψ_t (batch, N) from `retention`; returns u_t (batch, N) in
    [0, 1].  Source: Graves et al. 2016, Methods.
    """
    return (previous + weighting - previous * weighting) * retained


@equation(
    "Allocation",
    paper="Graves et al. 2016, Methods, Dynamic memory allocation, eq. 1",
    latex=r"a_t[\phi_t[j]] = (1 - u_t[\phi_t[j]]) \prod_{i<j} u_t[\phi_t[i]]",
    lesson="dnc-copy",
    symbols={"used": "u_t"},
    used="unequal (batch, N)",
    returns="subsimplex (batch, N)",
)
def allocation(used: Tensor) -> Tensor:
    """a_t[φ_t[j]] = (1 - u_t[φ_t[j]]) Π_{i<j} u_t[φ_t[i]] with φ_t the locations in ascending order of usage: the freest one gets it.

    u_t (batch, N) in [0, 1]; returns a_t (batch, N), which sums to 1 - Π_i u_t(i): to 0 once all is in use.  The order has no
    gradient, and where two usages are equal the two shares jump (the location of the lower number comes first).
    Source: Graves et al. 2016, Methods, eq. 1.
    """
    order = argsort(used, 1)  # φ_t
    ascending = take_along_axis(used, order, 1)
    nothing_before = creation_namespace().ones((used.shape[0], 1), dtype=used.dtype)
    before = cumprod(concatenate([wrap(nothing_before, None), ascending[:, :-1]], 1), 1)  # Π_{i<j}
    return take_along_axis((1 - ascending) * before, argsort(order, 1), 1)  # back to where each location is


@equation(
    "Write weighting",
    paper="Graves et al. 2016, Methods, Write weighting",
    latex=r"w^w_t = g^w_t\,[g^a_t\, a_t + (1 - g^a_t)\, c^w_t]",
    lesson="dnc-copy",
    symbols={"content": "c^w_t", "allocated": "a_t", "allocation_gate": "g^a_t", "write_gate": "g^w_t"},
    content="simplex (batch, N)",
    allocated="subsimplex (batch, N)",
    allocation_gate="unit (batch, 1)",
    write_gate="unit (batch, 1)",
    returns="subsimplex (batch, N)",
)
def write_weighting(content: Tensor, allocated: Tensor, allocation_gate: Tensor, write_gate: Tensor) -> Tensor:
    """w^w_t = g^w_t [g^a_t a_t + (1 - g^a_t) c^w_t]: to a free location, to one that resembles the key, or nowhere.

    c^w_t (batch, N) on the simplex, a_t (batch, N) from `allocation`, the gates g^a_t and g^w_t (batch, 1) in (0, 1); returns w^w_t
    (batch, N), which sums to at most g^w_t.  Source: Graves et al. 2016, Methods.
    """
    return write_gate * (allocation_gate * allocated + (1 - allocation_gate) * content)


@equation(
    "Precedence",
    paper="Graves et al. 2016, Methods, Temporal memory linkage",
    latex=r"p_t = \Bigl(1 - \sum_i w^w_t[i]\Bigr) p_{t-1} + w^w_t",
    lesson="dnc-copy",
    symbols={"previous": "p_{t-1}", "weighting": "w^w_t"},
    previous="subsimplex (batch, N)",
    weighting="subsimplex (batch, N)",
    returns="subsimplex (batch, N)",
)
def precedence(previous: Tensor, weighting: Tensor) -> Tensor:
    """p_t = (1 - Σ_i w^w_t[i]) p_{t-1} + w^w_t: how much each location was the last one written to.

    p_{t-1} (batch, N), w^w_t (batch, N); returns p_t (batch, N), which sums to at most 1.  p_0 = 0.
    Source: Graves et al. 2016, Methods.
    """
    return (1 - weighting.sum(1, keepdims=True)) * previous + weighting


@equation(
    "Temporal link",
    paper="Graves et al. 2016, Methods, Temporal memory linkage",
    latex=r"L_t[i,j] = (1 - w^w_t[i] - w^w_t[j])\, L_{t-1}[i,j] + w^w_t[i]\, p_{t-1}[j],\quad L_t[i,i] = 0",
    lesson="dnc-copy",
    symbols={"previous": "L_{t-1}", "weighting": "w^w_t", "preceding": "p_{t-1}"},
    previous="unit (batch, N, N)",
    weighting="subsimplex (batch, N)",
    preceding="subsimplex (batch, N)",
    returns="unit (batch, N, N)",
)
def link(previous: Tensor, weighting: Tensor, preceding: Tensor) -> Tensor:
    """L_t[i,j] = (1 - w^w_t[i] - w^w_t[j]) L_{t-1}[i,j] + w^w_t[i] p_{t-1}[j], L_t[i,i] = 0: was i written right after j?

    L_{t-1} (batch, N, N), w^w_t (batch, N), p_{t-1} (batch, N): the precedence *before* this write; returns L_t (batch, N, N).
    Begun with L_0 = 0, rows and columns sum to at most 1.  Source: Graves et al. 2016, Methods.
    """
    locations = range(weighting.shape[1])
    elsewhere = creation_namespace().asarray([[i != j for j in locations] for i in locations])  # no location follows itself
    after, before = weighting[:, :, None], weighting[:, None, :]  # w^w_t[i] (batch, N, 1), w^w_t[j] (batch, 1, N)
    return where(elsewhere, (1 - after - before) * previous + after * preceding[:, None, :], 0)


@equation(
    "Forward weighting",
    paper="Graves et al. 2016, Methods, Temporal memory linkage",
    latex=r"f_t^i = L_t\, w_{t-1}^{r,i}",
    lesson="dnc-copy",
    symbols={"linked": "L_t", "weighting": "w^r_{t-1}"},
    linked="unit (batch, N, N)",
    weighting="simplex (batch, N)",
    returns="unit (batch, N)",
)
def forward_weighting(linked: Tensor, weighting: Tensor) -> Tensor:
    """f_t = L_t w^r_{t-1}: the locations written right after the ones that were read.

    L_t (batch, N, N), w^r_{t-1} (batch, N); returns f_t (batch, N).  Source: Graves et al. 2016, Methods.
    """
    return einsum("bij,bj->bi", linked, weighting)


@equation(
    "Backward weighting",
    paper="Graves et al. 2016, Methods, Temporal memory linkage",
    latex=r"b_t^i = L_t^\top w_{t-1}^{r,i}",
    lesson="dnc-copy",
    symbols={"linked": "L_t", "weighting": "w^r_{t-1}"},
    linked="unit (batch, N, N)",
    weighting="simplex (batch, N)",
    returns="unit (batch, N)",
)
def backward_weighting(linked: Tensor, weighting: Tensor) -> Tensor:
    """b_t = L_tᵀ w^r_{t-1}: the locations written right before the ones that were read.

    L_t (batch, N, N), w^r_{t-1} (batch, N); returns b_t (batch, N).  Source: Graves et al. 2016, Methods.
    """
    return einsum("bji,bj->bi", linked, weighting)


@equation(
    "Read weighting",
    paper="Graves et al. 2016, Methods, Read weighting",
    latex=r"w_t^{r,i} = \pi_t^i[1]\, b_t^i + \pi_t^i[2]\, c_t^{r,i} + \pi_t^i[3]\, f_t^i",
    lesson="dnc-copy",
    symbols={"backward": "b_t", "content": "c^r_t", "forward": "f_t", "modes": "π_t"},
    backward="unit (batch, N)",
    content="simplex (batch, N)",
    forward="unit (batch, N)",
    modes="simplex (batch, 3)",
    returns="unit (batch, N)",
)
def read_weighting(backward: Tensor, content: Tensor, forward: Tensor, modes: Tensor) -> Tensor:
    """w^r_t = π_t[1] b_t + π_t[2] c^r_t + π_t[3] f_t: backwards in time, by content, or forwards in time.

    b_t, c^r_t, f_t (batch, N), the read modes π_t (batch, 3) on the simplex; returns w^r_t (batch, N).
    Source: Graves et al. 2016, Methods.
    """
    return modes[:, 0:1] * backward + modes[:, 1:2] * content + modes[:, 2:3] * forward
