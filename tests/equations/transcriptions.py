"""Every equation once more, straight from the slide: loops over locations and cells, NumPy and `math`, nothing of the engine.

One function an equation, under the same name and with the same arguments, on float64 arrays.  These are the independent
witnesses of the values: where a slide says Σ_j, here stands a loop over j.
"""

from __future__ import annotations

import math

import numpy


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _affine(W, x, U, h, b, row):
    """Row `row` of W x + U h + b."""
    return sum(W[row, j] * x[j] for j in range(len(x))) + sum(U[row, j] * h[j] for j in range(len(h))) + b[row]


# -- recurrent -----------------------------------------------------------------------------------------------------------
def rnn_step(x, h, W, U, b):
    new = numpy.zeros_like(h)
    for n in range(h.shape[0]):
        for i in range(h.shape[1]):
            new[n, i] = math.tanh(_affine(W, x[n], U, h[n], b, i))
    return new


def lstm_step(x, h, c, W, U, b):
    batch, hidden = h.shape
    new_h, new_c = numpy.zeros_like(h), numpy.zeros_like(c)
    for n in range(batch):
        for i in range(hidden):
            input_gate = _sigmoid(_affine(W, x[n], U, h[n], b, i))
            forget_gate = _sigmoid(_affine(W, x[n], U, h[n], b, hidden + i))
            output_gate = _sigmoid(_affine(W, x[n], U, h[n], b, 2 * hidden + i))
            candidate = math.tanh(_affine(W, x[n], U, h[n], b, 3 * hidden + i))
            new_c[n, i] = forget_gate * c[n, i] + input_gate * candidate
            new_h[n, i] = output_gate * math.tanh(new_c[n, i])
    return new_h, new_c


def gru_step(x, h, W, U, b):
    batch, hidden = h.shape
    new = numpy.zeros_like(h)
    for n in range(batch):
        reset = [_sigmoid(_affine(W, x[n], U, h[n], b, hidden + i)) for i in range(hidden)]
        remembered = [reset[i] * h[n, i] for i in range(hidden)]
        for i in range(hidden):
            update = _sigmoid(_affine(W, x[n], U, h[n], b, i))
            candidate = math.tanh(_affine(W, x[n], U, remembered, b, 2 * hidden + i))
            new[n, i] = update * h[n, i] + (1 - update) * candidate
    return new


# -- stack ---------------------------------------------------------------------------------------------------------------
def controller_hidden(x, h, tops, U, R, P):
    new = numpy.zeros_like(h)
    for n in range(h.shape[0]):
        for i in range(h.shape[1]):
            seen = sum(P[i, j] * tops[n, j] for j in range(tops.shape[1]))
            new[n, i] = _sigmoid(_affine(U, x[n], R, h[n], numpy.zeros(h.shape[1]), i) + seen)
    return new


def stack_actions(h, A):
    stacks, choices, hidden = A.shape
    shares = numpy.zeros((h.shape[0], stacks, choices))
    for n in range(h.shape[0]):
        for k in range(stacks):
            powers = [math.exp(sum(A[k, c, j] * h[n, j] for j in range(hidden))) for c in range(choices)]
            shares[n, k] = [power / sum(powers) for power in powers]
    return shares


def push_value(h, D):
    return numpy.array([[_sigmoid(sum(D[k, j] * row[j] for j in range(len(row)))) for k in range(len(D))] for row in h])


def _cell(cells, i):
    """A cell of a stack or list, -1 beyond its ends."""
    return cells[i] if 0 <= i < len(cells) else -1.0


def stack_update(stack, action, pushed):
    new = numpy.zeros_like(stack)
    for n, k, i in numpy.ndindex(stack.shape):
        (push, pop, keep), old = action[n, k], stack[n, k]
        above = pushed[n, k] if i == 0 else old[i - 1]
        new[n, k, i] = push * above + pop * _cell(old, i + 1) + keep * old[i]
    return new


def list_update(cells, action, inserted, head):
    new = numpy.zeros_like(cells)
    for n, k, i in numpy.ndindex(cells.shape):
        (left, right, insert), old = action[n, k], cells[n, k]
        value = inserted[n, k] if i == head else old[i + 1] if i < head else old[i]
        new[n, k, i] = right * _cell(old, i + 1) + left * _cell(old, i - 1) + insert * value
    return new


def discretize(action):
    new = numpy.zeros_like(action)
    for n, k in numpy.ndindex(action.shape[:2]):
        shares = list(action[n, k])
        new[n, k, shares.index(max(shares))] = 1.0
    return new


# -- ntm -----------------------------------------------------------------------------------------------------------------
def read(memory, weighting):
    batch, locations, width = memory.shape
    r = numpy.zeros((batch, width))
    for n in range(batch):
        for i in range(locations):
            for m in range(width):
                r[n, m] += weighting[n, i] * memory[n, i, m]
    return r


def erase(memory, weighting, erase_vector):
    new = numpy.zeros_like(memory)
    for n, i, m in numpy.ndindex(*memory.shape):
        new[n, i, m] = memory[n, i, m] * (1 - weighting[n, i] * erase_vector[n, m])
    return new


def add(memory, weighting, add_vector):
    new = numpy.zeros_like(memory)
    for n, i, m in numpy.ndindex(*memory.shape):
        new[n, i, m] = memory[n, i, m] + weighting[n, i] * add_vector[n, m]
    return new


def cosine_similarity(memory, key):
    batch, locations, width = memory.shape
    K = numpy.zeros((batch, locations))
    for n in range(batch):
        for i in range(locations):
            dot = sum(key[n, m] * memory[n, i, m] for m in range(width))
            key_norm = math.sqrt(sum(key[n, m] ** 2 for m in range(width)) + 1e-8)
            row_norm = math.sqrt(sum(memory[n, i, m] ** 2 for m in range(width)) + 1e-8)
            K[n, i] = dot / (key_norm * row_norm)
    return K


def content_weighting(memory, key, strength):
    K = cosine_similarity(memory, key)
    w = numpy.zeros_like(K)
    for n, i in numpy.ndindex(*K.shape):
        w[n, i] = math.exp(strength[n, 0] * K[n, i]) / sum(math.exp(strength[n, 0] * K[n, j]) for j in range(K.shape[1]))
    return w


def interpolate(content, previous, gate):
    w = numpy.zeros_like(content)
    for n, i in numpy.ndindex(*content.shape):
        w[n, i] = gate[n, 0] * content[n, i] + (1 - gate[n, 0]) * previous[n, i]
    return w


def shift(weighting, shift_weighting):
    """Σ_j w(j) s(i - j): entry p of s belongs to the offset p - S//2, and i is j + offset around the circle."""
    locations, reach = weighting.shape[1], shift_weighting.shape[1] // 2
    w = numpy.zeros_like(weighting)
    for n in range(weighting.shape[0]):
        for j in range(locations):
            for place in range(shift_weighting.shape[1]):
                i = (j + place - reach) % locations
                w[n, i] += weighting[n, j] * shift_weighting[n, place]
    return w


def sharpen(weighting, sharpening):
    """The slide's own form; safe here, because no weight that is drawn is small enough to underflow all at once."""
    w = numpy.zeros_like(weighting)
    for n, i in numpy.ndindex(*weighting.shape):
        gamma = sharpening[n, 0]
        w[n, i] = weighting[n, i] ** gamma / sum(weighting[n, j] ** gamma for j in range(weighting.shape[1]))
    return w


def address(memory, previous, key, strength, gate, shift_weighting, sharpening):
    content = content_weighting(memory, key, strength)
    gated = interpolate(content, previous, gate)
    shifted = shift(gated, shift_weighting)
    return sharpen(shifted, sharpening)
