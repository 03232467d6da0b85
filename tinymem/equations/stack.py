"""The stack-augmented recurrent network's equations in the order of the slides (Joulin & Mikolov 2015, section 3).

A stack s_t has D cells, each a number; cell 0 is the top, and an empty cell is -1.  K stacks stand side by side.  Pushing and
popping are shares that sum to 1, so every cell becomes a mean of what it would be after each action, and has a gradient.
"""

from __future__ import annotations

from tinymem.engine.backend import creation_namespace
from tinymem.engine.errors import OperandError
from tinymem.engine.ops import argmax, concatenate, sigmoid, softmax, split, take
from tinymem.engine.tensor import Tensor, wrap
from tinymem.equations.registry import equation

EMPTY = -1.0  # an empty cell: no pushed value, which lies in (0, 1), can be taken for it


@equation(
    "Hidden layer with stacks",
    paper="Joulin & Mikolov 2015, eq. 6",
    latex=r"h_t = \sigma(U x_t + R h_{t-1} + P s_{t-1}^k)",
    lesson="stack-counting",
    symbols={"x": "x_t", "h": "h_{t-1}", "tops": "s_{t-1}^k", "U": "U", "R": "R", "P": "P"},
    x="(batch, X)",
    h="(batch, H)",
    tops="(batch, S)",
    U="(H, X)",
    R="(H, H)",
    P="(H, S)",
    returns="unit (batch, H)",
)
def controller_hidden(x: Tensor, h: Tensor, tops: Tensor, U: Tensor, R: Tensor, P: Tensor) -> Tensor:
    """h_t = σ(U x_t + R h_{t-1} + P s_{t-1}^k): the controller sees the input, itself, and the k topmost cells of every stack.

    x_t (batch, X), h_{t-1} (batch, H), s_{t-1}^k (batch, S) with S = K k, U (H, X), R (H, H), P (H, S); returns h_t (batch, H)
    in (0, 1).  In the paper's toy tasks R = 0: what is remembered is remembered by the stacks.  Source: Joulin & Mikolov 2015.
    """
    return sigmoid(x @ U.T + h @ R.T + tops @ P.T)


@equation(
    "Actions",
    paper="Joulin & Mikolov 2015, eq. 2",
    latex=r"a_t = f(A h_t),\ f = \mathrm{softmax}",
    lesson="stack-counting",
    symbols={"h": "h_t", "A": "A"},
    h="(batch, H)",
    A="(K, C, H)",
    returns="simplex (batch, K, C)",
)
def stack_actions(h: Tensor, A: Tensor) -> Tensor:
    """a_t = softmax(A h_t) for each of K stacks: how much to PUSH, to POP and, if there are C = 3 choices, to do nothing (NO-OP).

    h_t (batch, H), A (K, C, H); returns a_t (batch, K, C), on the simplex for each stack.  Source: Joulin & Mikolov 2015, eq. 2.
    """
    stacks, choices, hidden = A.shape
    scores = h @ A.reshape(stacks * choices, hidden).T  # (batch, H) x (H, K C) -> (batch, K C): one product for all stacks
    return softmax(scores.reshape(h.shape[0], stacks, choices), 2)


@equation(
    "Pushed value",
    paper="Joulin & Mikolov 2015, eq. 3",
    latex=r"\sigma(D h_t)",
    lesson="stack-counting",
    symbols={"h": "h_t", "D": "D"},
    h="(batch, H)",
    D="(K, H)",
    returns="unit (batch, K)",
)
def push_value(h: Tensor, D: Tensor) -> Tensor:
    """σ(D h_t): the number that a PUSH puts on top of each stack.

    h_t (batch, H), D (K, H); returns (batch, K) in (0, 1).  Source: Joulin & Mikolov 2015, eq. 3.
    """
    return sigmoid(h @ D.T)


@equation(
    "Stack update",
    paper="Joulin & Mikolov 2015, eqs. 3-5",
    latex=r"s_t[0] = a_t[\mathrm{PUSH}]\,\sigma(D h_t) + a_t[\mathrm{POP}]\, s_{t-1}[1] + a_t[\mathrm{NO\text{-}OP}]\, s_{t-1}[0],\ "
    r"s_t[i] = a_t[\mathrm{PUSH}]\, s_{t-1}[i-1] + a_t[\mathrm{POP}]\, s_{t-1}[i+1] + a_t[\mathrm{NO\text{-}OP}]\, s_{t-1}[i]",
    lesson="stack-counting",
    symbols={"stack": "s_{t-1}", "action": "a_t", "pushed": "σ(D h_t)"},
    stack="(batch, K, D)",
    action="simplex (batch, K, 3)",
    pushed="unit (batch, K)",
    returns="(batch, K, D)",
)
def stack_update(stack: Tensor, action: Tensor, pushed: Tensor) -> Tensor:
    """s_t: every cell becomes the mean of what PUSH, POP and NO-OP would make of it.

        s_t[0] = a[PUSH] σ(D h) + a[POP] s_{t-1}[1] + a[NO-OP] s_{t-1}[0]
        s_t[i] = a[PUSH] s_{t-1}[i-1] + a[POP] s_{t-1}[i+1] + a[NO-OP] s_{t-1}[i]

    s_{t-1} (batch, K, D), top first; a_t (batch, K, 3) in the order PUSH, POP, NO-OP; σ(D h_t) (batch, K); returns s_t
    (batch, K, D).  A POP shifts an empty cell, -1, in at the bottom; a PUSH loses the lowest cell.
    Source: Joulin & Mikolov 2015, eqs. 3-5.
    """
    push, pop, keep = split(action, [1, 1, 1], 2)  # (batch, K, 1) each
    if_pushed = concatenate([pushed[:, :, None], stack[:, :, :-1]], 2)
    if_popped = concatenate([stack[:, :, 1:], _empty_like(pushed)], 2)
    return push * if_pushed + pop * if_popped + keep * stack


@equation(
    "List update",
    paper="Joulin & Mikolov 2015, section 3.2",
    latex=r"L_t[i] = a_t[\mathrm{RIGHT}]\, L_{t-1}[i+1] + a_t[\mathrm{LEFT}]\, L_{t-1}[i-1] + a_t[\mathrm{INSERT}] \cdot "
    r"\{\sigma(D h_t)\ \mathrm{if}\ i = \mathrm{HEAD},\ L_{t-1}[i+1]\ \mathrm{if}\ i < \mathrm{HEAD},\ "
    r"L_{t-1}[i]\ \mathrm{if}\ i > \mathrm{HEAD}\}",
    lesson="stack-counting",
    symbols={"cells": "L_{t-1}", "action": "a_t", "inserted": "σ(D h_t)"},
    static={"head": 0},
    cells="(batch, K, D)",
    action="simplex (batch, K, 3)",
    inserted="unit (batch, K)",
    returns="(batch, K, D)",
)
def list_update(cells: Tensor, action: Tensor, inserted: Tensor, head: int) -> Tensor:
    """L_t: a doubly-linked list under a head that stands still; the list moves.

        i = HEAD:  L_t[i] = a[RIGHT] L_{t-1}[i+1] + a[LEFT] L_{t-1}[i-1] + a[INSERT] σ(D h)
        i < HEAD:  L_t[i] = a[RIGHT] L_{t-1}[i+1] + a[LEFT] L_{t-1}[i-1] + a[INSERT] L_{t-1}[i+1]
        i > HEAD:  L_t[i] = a[RIGHT] L_{t-1}[i+1] + a[LEFT] L_{t-1}[i-1] + a[INSERT] L_{t-1}[i]

    L_{t-1} (batch, K, D); a_t (batch, K, 3) in the order LEFT, RIGHT, INSERT; σ(D h_t) (batch, K); `head` the head's place,
    0 … D-1; returns L_t (batch, K, D).  LEFT brings the left neighbour under the head; INSERT puts a value there, and what was
    there becomes its left neighbour.  At both ends empty cells, -1, are shifted in.  OperandError if the head is not in the list.
    Source: Joulin & Mikolov 2015, section 3.2.
    """
    if not 0 <= head < cells.shape[2]:
        raise OperandError(f"List update: the head must stand on one of the {cells.shape[2]} cells, 0 … {cells.shape[2] - 1}, got {head}")
    left, right, insert = split(action, [1, 1, 1], 2)  # (batch, K, 1) each
    empty = _empty_like(inserted)
    from_left = concatenate([empty, cells[:, :, :-1]], 2)  # what stood at i - 1
    from_right = concatenate([cells[:, :, 1:], empty], 2)  # what stood at i + 1
    if_inserted = concatenate([cells[:, :, 1 : head + 1], inserted[:, :, None], cells[:, :, head + 1 :]], 2)
    return left * from_left + right * from_right + insert * if_inserted


@equation(
    "Discretised actions",
    paper="Joulin & Mikolov 2015, section 3.3",
    latex=r"a_t \leftarrow \mathrm{onehot}(\arg\max a_t)",
    lesson="stack-counting",
    symbols={"action": "a_t"},
    action="simplex (batch, K, C)",
    returns="one-hot (batch, K, C)",
)
def discretize(action: Tensor) -> Tensor:
    """onehot(argmax a_t): at test time the controllers act like switches, so that 0.999 of a push stays a push for ever.

    a_t (batch, K, C) on the simplex; returns (batch, K, C), one 1 for each stack; of equal shares the first wins.  Piecewise
    constant, so its gradient is 0: it is for a trained machine.  Source: Joulin & Mikolov 2015, section 3.3 ("rounding").
    """
    choices = range(action.shape[2])
    switches = Tensor([[float(row == column) for column in choices] for row in choices], dtype=action.dtype)
    return take(switches, argmax(action, 2), 0)  # (C, C) at (batch, K) -> (batch, K, C)


def _empty_like(values: Tensor) -> Tensor:
    """Empty cells (batch, K, 1) for values (batch, K)."""
    return wrap(creation_namespace().full((*values.shape, 1), EMPTY, dtype=values.dtype), None)
