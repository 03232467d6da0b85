"""The recurrent steps that the lecture's baselines and controllers are made of.

Matrices act as on the slide, W x with W of shape (out, in); operands are batches of rows, so the code says `x @ W.T`.
"""

from __future__ import annotations

from tinymem.engine.ops import sigmoid, split, tanh
from tinymem.engine.tensor import Tensor
from tinymem.equations.registry import equation


@equation(
    "Recurrent step",
    paper="Elman 1990",
    latex=r"h_t = \tanh(W x_t + U h_{t-1} + b)",
    lesson="ntm-copy",
    symbols={"x": "x_t", "h": "h_{t-1}", "W": "W", "U": "U", "b": "b"},
    x="(batch, X)",
    h="(batch, H)",
    W="(H, X)",
    U="(H, H)",
    b="(H)",
    returns="(batch, H)",
)
def rnn_step(x: Tensor, h: Tensor, W: Tensor, U: Tensor, b: Tensor) -> Tensor:
    """h_t = tanh(W x_t + U h_{t-1} + b).

    x_t (batch, X), h_{t-1} (batch, H), W (H, X), U (H, H), b (H,); returns h_t (batch, H), each in (-1, 1).
    Source: the simple recurrent network of Elman 1990.
    """
    return tanh(x @ W.T + h @ U.T + b)  # (batch, X) x (X, H) + (batch, H) x (H, H) -> (batch, H)


@equation(
    "LSTM step",
    paper="Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000",
    latex=r"(i, f, o, \tilde c) = (\sigma, \sigma, \sigma, \tanh)(W x_t + U h_{t-1} + b),\ "
    r"c_t = f \odot c_{t-1} + i \odot \tilde c,\ h_t = o \odot \tanh c_t",
    lesson="ntm-copy",
    symbols={"x": "x_t", "h": "h_{t-1}", "c": "c_{t-1}", "W": "W", "U": "U", "b": "b"},
    x="(batch, X)",
    h="(batch, H)",
    c="(batch, H)",
    W="(4*H, X)",
    U="(4*H, H)",
    b="(4*H)",
    returns=("(batch, H)", "(batch, H)"),
)
def lstm_step(x: Tensor, h: Tensor, c: Tensor, W: Tensor, U: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """One step of long short-term memory, returning (h_t, c_t).

        i, f, o = σ(W x_t + U h_{t-1} + b)      input, forget, output gate: the first three of four row blocks of W, U, b
        c̃       = tanh(W x_t + U h_{t-1} + b)   candidate: the fourth row block
        c_t     = f c_{t-1} + i c̃
        h_t     = o tanh c_t

    x_t (batch, X), h_{t-1} and c_{t-1} (batch, H), W (4H, X), U (4H, H), b (4H,); returns two of (batch, H).
    Source: Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000, without peepholes.
    """
    hidden = h.shape[1]
    gates, candidate = split(x @ W.T + h @ U.T + b, [3 * hidden, hidden], axis=1)
    i, f, o = split(sigmoid(gates), [hidden, hidden, hidden], axis=1)
    c = f * c + i * tanh(candidate)
    return o * tanh(c), c


@equation(
    "GRU step",
    paper="Cho et al. 2014, eqs. 5-8",
    latex=r"(z, r) = \sigma(W x_t + U h_{t-1} + b),\ \tilde h = \tanh(W_h x_t + U_h (r \odot h_{t-1}) + b_h),\ "
    r"h_t = z \odot h_{t-1} + (1 - z) \odot \tilde h",
    lesson="ntm-copy",
    symbols={"x": "x_t", "h": "h_{t-1}", "W": "W", "U": "U", "b": "b"},
    x="(batch, X)",
    h="(batch, H)",
    W="(3*H, X)",
    U="(3*H, H)",
    b="(3*H)",
    returns="(batch, H)",
)
def gru_step(x: Tensor, h: Tensor, W: Tensor, U: Tensor, b: Tensor) -> Tensor:
    """One step of the gated recurrent unit.

        z, r = σ(W x_t + U h_{t-1} + b)          update and reset gate: the first two of three row blocks
        h̃    = tanh(W x_t + U (r h_{t-1}) + b)   candidate: the third row block; the reset gate acts before U
        h_t  = z h_{t-1} + (1 - z) h̃

    x_t (batch, X), h_{t-1} (batch, H), W (3H, X), U (3H, H), b (3H,); returns h_t (batch, H).
    Source: Cho et al. 2014, eqs. 5-8 (z keeps the old state, as in the paper; some libraries swap z and 1 - z).
    """
    hidden = h.shape[1]
    from_input = x @ W.T + b
    gates = sigmoid(from_input[:, : 2 * hidden] + h @ U[: 2 * hidden].T)
    z, r = split(gates, [hidden, hidden], axis=1)
    candidate = tanh(from_input[:, 2 * hidden :] + (r * h) @ U[2 * hidden :].T)
    return z * h + (1 - z) * candidate
