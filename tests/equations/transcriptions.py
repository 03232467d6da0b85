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


# -- dnc -----------------------------------------------------------------------------------------------------------------
def retention(free_gates, read_weightings):
    batch, heads, locations = read_weightings.shape
    kept = numpy.ones((batch, locations))
    for n, r, i in numpy.ndindex(batch, heads, locations):
        kept[n, i] *= 1 - free_gates[n, r] * read_weightings[n, r, i]
    return kept


def usage(previous, weighting, retained):
    used = numpy.zeros_like(previous)
    for n, i in numpy.ndindex(*previous.shape):
        used[n, i] = (1 - (1 - previous[n, i]) * (1 - weighting[n, i])) * retained[n, i]  # in use before, or written to; and kept
    return used


def allocation(used):
    share = numpy.zeros_like(used)
    for n in range(len(used)):
        still_wanted = 1.0
        for i in sorted(range(used.shape[1]), key=lambda i: (used[n, i], i)):  # the freest location first
            share[n, i] = still_wanted * (1 - used[n, i])
            still_wanted *= used[n, i]
    return share


def write_weighting(content, allocated, allocation_gate, write_gate):
    w = numpy.zeros_like(content)
    for n, i in numpy.ndindex(*content.shape):
        w[n, i] = write_gate[n, 0] * (allocation_gate[n, 0] * allocated[n, i] + (1 - allocation_gate[n, 0]) * content[n, i])
    return w


def precedence(previous, weighting):
    p = numpy.zeros_like(previous)
    for n, i in numpy.ndindex(*previous.shape):
        p[n, i] = (1 - sum(weighting[n])) * previous[n, i] + weighting[n, i]
    return p


def link(previous, weighting, preceding):
    L = numpy.zeros_like(previous)
    for n, i, j in numpy.ndindex(*previous.shape):
        if i != j:
            L[n, i, j] = (1 - weighting[n, i] - weighting[n, j]) * previous[n, i, j] + weighting[n, i] * preceding[n, j]
    return L


def forward_weighting(linked, weighting):
    locations = weighting.shape[1]
    return numpy.array(
        [[sum(L[i, j] * w[j] for j in range(locations)) for i in range(locations)] for L, w in zip(linked, weighting, strict=True)]
    )


def backward_weighting(linked, weighting):
    locations = weighting.shape[1]
    return numpy.array(
        [[sum(L[j, i] * w[j] for j in range(locations)) for i in range(locations)] for L, w in zip(linked, weighting, strict=True)]
    )


def read_weighting(backward, content, forward, modes):
    w = numpy.zeros_like(content)
    for n, i in numpy.ndindex(*content.shape):
        w[n, i] = modes[n, 0] * backward[n, i] + modes[n, 1] * content[n, i] + modes[n, 2] * forward[n, i]
    return w


# -- attention -----------------------------------------------------------------------------------------------------------
def _score_of_each(query, features, score):
    """score(h, f) for every place of every example."""
    return numpy.array([[score(h, f) for f in places] for h, places in zip(query, features, strict=True)])


def additive_score(query, features, W1, W2, w3):
    def score(h, f):
        return sum(w3[a] * math.tanh(_affine(W1, h, W2, f, numpy.zeros(len(w3)), a)) for a in range(len(w3)))

    return _score_of_each(query, features, score)


def dot_score(query, features):
    return _score_of_each(query, features, lambda h, f: sum(h[i] * f[i] for i in range(len(h))))


def scaled_dot_score(query, features):
    return _score_of_each(query, features, lambda h, f: sum(h[i] * f[i] for i in range(len(h))) / math.sqrt(len(h)))


def general_score(query, features, W):
    return _score_of_each(query, features, lambda h, f: sum(h[i] * W[i, j] * f[j] for i, j in numpy.ndindex(*W.shape)))


def location_score(query, W):
    return numpy.array([[sum(W[s, i] * h[i] for i in range(len(h))) for s in range(len(W))] for h in query])


def attention_weights(scores, mask=None):
    alpha = numpy.zeros_like(scores)
    for n in range(len(scores)):
        there = [i for i in range(scores.shape[1]) if mask is None or mask[n, i]]
        for i in there:
            alpha[n, i] = math.exp(scores[n, i]) / sum(math.exp(scores[n, j]) for j in there)
    return alpha


def soft_context(weights, features):
    batch, places, width = features.shape
    c = numpy.zeros((batch, width))
    for n, j, k in numpy.ndindex(batch, places, width):
        c[n, k] += weights[n, j] * features[n, j, k]
    return c


def predicted_position(query, W, v, lengths):
    p = numpy.zeros_like(lengths)
    for n, h in enumerate(query):
        p[n, 0] = lengths[n, 0] * _sigmoid(sum(v[a] * math.tanh(sum(W[a, i] * h[i] for i in range(len(h)))) for a in range(len(v))))
    return p


def location_window(weights, position, half_width):
    alpha = numpy.zeros_like(weights)
    for n, s in numpy.ndindex(*weights.shape):
        alpha[n, s] = weights[n, s] * math.exp(-((s - position[n, 0]) ** 2) / (2 * (half_width / 2) ** 2))
    return alpha


def chosen_place(weights, point):
    """Walk along the shares until the next step would pass the point; the last place that has a share is never passed."""
    z = numpy.zeros_like(weights)
    for n, alpha in enumerate(weights):
        candidates = [i for i in range(len(alpha)) if alpha[i] > 0]
        for i in candidates:
            if i == candidates[-1] or numpy.cumsum(alpha)[i] > point[n, 0]:
                z[n, i] = 1
                break
    return z


def hard_sample(weights, rng):
    return chosen_place(weights, rng.random(size=(len(weights), 1)))


def reinforce_surrogate(log_prob, reward, baseline):
    count = len(log_prob)
    return numpy.array(sum((reward[n] - baseline[n]) * log_prob[n] for n in range(count)) / count)


def entropy(weights):
    return numpy.array([-sum(alpha * math.log(alpha) for alpha in row if alpha > 0) for row in weights])


def doubly_stochastic_penalty(weights):
    steps, batch, places = weights.shape
    return numpy.array([sum((1 - sum(weights[t, n, i] for t in range(steps))) ** 2 for i in range(places)) for n in range(batch)])


# -- transformer ---------------------------------------------------------------------------------------------------------
def positional_encoding(length, width, dtype):
    PE = numpy.zeros((length, width), dtype)
    for pos, i in numpy.ndindex(length, width // 2):
        PE[pos, 2 * i] = math.sin(pos / 10000 ** (2 * i / width))
        PE[pos, 2 * i + 1] = math.cos(pos / 10000 ** (2 * i / width))
    return PE


def scaled_dot_weights(Q, K, mask=None):
    alpha = numpy.zeros((*Q.shape[:2], K.shape[1]))
    for k in range(Q.shape[1]):
        scores = scaled_dot_score(Q[:, k], K)
        largest = scores.max(1, keepdims=True)  # divides above and below by the same number: e^1000 is beyond float64
        alpha[:, k] = attention_weights(scores - largest, None if mask is None else mask[:, k])
    return alpha


def scaled_dot_product(Q, K, V, mask=None):
    alpha = scaled_dot_weights(Q, K, mask)
    return numpy.stack([soft_context(alpha[:, k], V) for k in range(Q.shape[1])], 1)


def _dense(W, x, b):
    """W x + b of every word x."""
    y = numpy.zeros((*x.shape[:2], len(W)))
    for n, t, o in numpy.ndindex(*y.shape):
        y[n, t, o] = sum(W[o, j] * x[n, t, j] for j in range(x.shape[2])) + b[o]
    return y


def multi_head(Q, K, V, W_Q, W_K, W_V, W_O, mask=None):
    heads = []
    for i in range(len(W_Q)):
        projected = [_dense(W[i], x, numpy.zeros(W.shape[1])) for W, x in ((W_Q, Q), (W_K, K), (W_V, V))]
        heads.append(scaled_dot_product(*projected, mask))
    return _dense(W_O, numpy.concatenate(heads, 2), numpy.zeros(len(W_O)))


def feed_forward(x, W1, b1, W2, b2):
    return _dense(W2, numpy.maximum(0, _dense(W1, x, b1)), b2)


def layer_norm(x, gain, bias):
    y, d = numpy.zeros_like(x), x.shape[2]
    for n, t in numpy.ndindex(*x.shape[:2]):
        mu = sum(x[n, t]) / d
        variance = sum((x[n, t, i] - mu) ** 2 for i in range(d)) / d
        for i in range(d):
            y[n, t, i] = gain[i] * (x[n, t, i] - mu) / math.sqrt(variance + 1e-5) + bias[i]
    return y


def residual(x, change):
    return numpy.array([x[place] + change[place] for place in numpy.ndindex(*x.shape)]).reshape(x.shape)
