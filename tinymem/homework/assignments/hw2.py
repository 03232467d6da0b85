"""Assignment 2.  The stack: actions, stack and list update.

Each function takes NumPy arrays and returns new ones; none changes what it is given, and float32 stays float32.
Batches come first.  Check your work: tinymem hw check .
"""

import numpy as np


def stack_actions(h, A):
    r"""Task 2.1: Actions (Joulin & Mikolov 2015, eq. 2).

    a_t = softmax(A h_t) for each of K stacks: how much to PUSH, to POP and, if there are C = 3 choices, to do nothing (NO-OP).

    LaTeX: a_t = f(A h_t),\ f = \mathrm{softmax}
    Slide: Stack-Augmented Recurrent Nets.
    Points: 1 by the public checks, 1 by hidden ones.

    h: h_t, (batch, H)
    A: A, (K, C, H)
    Returns (batch, K, C), non-negative, summing to 1 along the last axis.
    """
    ### BEGIN SOLUTION
    scores = np.einsum("bh,kch->bkc", h, A)
    e = np.exp(scores - scores.max(2, keepdims=True))
    return e / e.sum(2, keepdims=True)
    ### END SOLUTION


def push_value(h, D):
    r"""Task 2.2: Pushed value (Joulin & Mikolov 2015, eq. 3).

    σ(D h_t): the number that a PUSH puts on top of each stack.

    LaTeX: \sigma(D h_t)
    Slide: Stack-Augmented Recurrent Nets.
    Points: 1 by the public checks, 1 by hidden ones.

    h: h_t, (batch, H)
    D: D, (K, H)
    Returns (batch, K), between 0 and 1.
    """
    ### BEGIN SOLUTION
    return 0.5 * (1 + np.tanh(0.5 * (h @ D.T)))  # the sigmoid, in a form that never overflows
    ### END SOLUTION


def stack_update(stack, action, pushed):
    r"""Task 2.3: Stack update (Joulin & Mikolov 2015, eqs. 3-5).

    s_t: every cell becomes the mean of what PUSH, POP and NO-OP would make of it.

        s_t[0] = a[PUSH] σ(D h) + a[POP] s_{t-1}[1] + a[NO-OP] s_{t-1}[0]
        s_t[i] = a[PUSH] s_{t-1}[i-1] + a[POP] s_{t-1}[i+1] + a[NO-OP] s_{t-1}[i]

    LaTeX: s_t[0] = a_t[\mathrm{PUSH}]\,\sigma(D h_t) + a_t[\mathrm{POP}]\, s_{t-1}[1] +
    a_t[\mathrm{NO\text{-}OP}]\, s_{t-1}[0],\ s_t[i] = a_t[\mathrm{PUSH}]\, s_{t-1}[i-1] + a_t[\mathrm{POP}]\,
    s_{t-1}[i+1] + a_t[\mathrm{NO\text{-}OP}]\, s_{t-1}[i]
    Slide: Stack-Augmented Recurrent Nets.
    Points: 3 by the public checks, 2 by hidden ones.

    stack: s_{t-1}, (batch, K, D)
    action: a_t, (batch, K, 3), non-negative, summing to 1 along the last axis
    pushed: σ(D h_t), (batch, K), between 0 and 1
    Returns (batch, K, D).

    Cell 0 is the top; the actions come in the order PUSH, POP, NO-OP.  A POP shifts -1, an empty cell, in at the
    bottom; a PUSH loses the lowest cell.
    """
    ### BEGIN SOLUTION
    empty = np.full_like(stack[:, :, :1], -1)  # (batch, K, 1)
    if_pushed = np.concatenate([pushed[:, :, None], stack[:, :, :-1]], 2)
    if_popped = np.concatenate([stack[:, :, 1:], empty], 2)
    push, pop, keep = action[:, :, 0:1], action[:, :, 1:2], action[:, :, 2:3]  # (batch, K, 1) each
    return push * if_pushed + pop * if_popped + keep * stack
    ### END SOLUTION


def list_update(cells, action, inserted, head):
    r"""Task 2.4: List update (Joulin & Mikolov 2015, section 3.2).

    L_t: a doubly-linked list under a head that stands still; the list moves.

        i = HEAD:  L_t[i] = a[RIGHT] L_{t-1}[i+1] + a[LEFT] L_{t-1}[i-1] + a[INSERT] σ(D h)
        i < HEAD:  L_t[i] = a[RIGHT] L_{t-1}[i+1] + a[LEFT] L_{t-1}[i-1] + a[INSERT] L_{t-1}[i+1]
        i > HEAD:  L_t[i] = a[RIGHT] L_{t-1}[i+1] + a[LEFT] L_{t-1}[i-1] + a[INSERT] L_{t-1}[i]

    LaTeX: L_t[i] = a_t[\mathrm{RIGHT}]\, L_{t-1}[i+1] + a_t[\mathrm{LEFT}]\, L_{t-1}[i-1] + a_t[\mathrm{INSERT}]
    \cdot \{\sigma(D h_t)\ \mathrm{if}\ i = \mathrm{HEAD},\ L_{t-1}[i+1]\ \mathrm{if}\ i < \mathrm{HEAD},\
    L_{t-1}[i]\ \mathrm{if}\ i > \mathrm{HEAD}\}
    Slide: Stack-Augmented Recurrent Nets: doubly-linked lists.
    Points: 2 by the public checks, 2 by hidden ones.

    cells: L_{t-1}, (batch, K, D)
    action: a_t, (batch, K, 3), non-negative, summing to 1 along the last axis
    inserted: σ(D h_t), (batch, K), between 0 and 1
    head: the place of the head, 0 … D - 1, an integer
    Returns (batch, K, D).

    The actions come in the order LEFT, RIGHT, INSERT; at both ends -1, an empty cell, is shifted in.
    """
    ### BEGIN SOLUTION
    empty = np.full_like(cells[:, :, :1], -1)  # (batch, K, 1)
    from_left = np.concatenate([empty, cells[:, :, :-1]], 2)  # what stood at i - 1
    from_right = np.concatenate([cells[:, :, 1:], empty], 2)  # what stood at i + 1
    if_inserted = np.concatenate([from_right[:, :, :head], inserted[:, :, None], cells[:, :, head + 1 :]], 2)
    left, right, insert = action[:, :, 0:1], action[:, :, 1:2], action[:, :, 2:3]  # (batch, K, 1) each
    return left * from_left + right * from_right + insert * if_inserted
    ### END SOLUTION


def discretize(action):
    r"""Task 2.5: Discretised actions (Joulin & Mikolov 2015, section 3.3).

    onehot(argmax a_t): at test time the controllers act like switches, so that 0.999 of a push stays a push for ever.

    LaTeX: a_t \leftarrow \mathrm{onehot}(\arg\max a_t)
    Slide: Stack-Augmented Recurrent Nets: discretizing the controllers at test time.
    Points: 1 by the public checks, 1 by hidden ones.

    action: a_t, (batch, K, C), non-negative, summing to 1 along the last axis
    Returns (batch, K, C), one 1 and otherwise 0 along the last axis.

    Of equal shares the first wins.
    """
    ### BEGIN SOLUTION
    switches = np.eye(action.shape[2], dtype=action.dtype)
    return switches[action.argmax(2)]  # (C, C) at (batch, K) -> (batch, K, C)
    ### END SOLUTION
