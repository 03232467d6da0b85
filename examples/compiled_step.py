"""A training step of your own, compiled: the same function, recorded once and run as native code.

Run it: python examples/compiled_step.py
"""

import time

import numpy as np

import tinymem as tm
from tinymem.equations.recurrent import rnn_step
from tinymem.models.module import Linear, glorot, parameter

rng = np.random.default_rng(0)
HIDDEN, TIME, BATCH = 32, 50, 8
weights = {
    "W": glorot(rng, HIDDEN, 1, "float32"),
    "U": glorot(rng, HIDDEN, HIDDEN, "float32"),
    "b": parameter(np.zeros(HIDDEN), "float32"),
}
out = Linear(HIDDEN, 1, rng, "float32")
state = {**weights, "out": out}  # everything the step trains
parameters = [*weights.values(), *out.parameters().values()]


def step(x, y, rate):
    """One update of a recurrent network that adds up what it hears: x, y (time, batch, 1); `rate` may change from call to call."""
    for p in parameters:
        p.grad = None

    def cell(h, x):
        h = rnn_step(x, h, weights["W"], weights["U"], weights["b"])
        return h, out(h)

    _, heard = tm.scan(cell, tm.Tensor(np.zeros((BATCH, HIDDEN), "float32")), tm.Tensor(x))  # one row of the program, whatever the length
    loss = ((heard - tm.Tensor(y)) * (heard - tm.Tensor(y))).mean()
    loss.backward()
    for p in parameters:
        p.data = p.data - rate * p.grad
    return loss


def batch():
    x = rng.normal(scale=0.1, size=(TIME, BATCH, 1)).astype("float32")
    return x, np.tanh(x.cumsum(0))


fast = tm.compile(step, state=state)
start = [np.array(p.data) for p in parameters]
for name, function in (("eager", step), ("compiled", fast)):
    for p, array in zip(parameters, start, strict=True):
        p.data = np.array(array)
    function(*batch(), 0.0)  # the first call records and compiles
    losses, began = [], time.process_time()
    while time.process_time() - began < 1:
        losses.append(function(*batch(), 0.1).item())
    print(f"one second {name:>8}: {len(losses):6d} steps, loss {np.mean(losses[:20]):.4f} -> {np.mean(losses[-20:]):.4f}")
print(fast.stats())
print("\n".join(fast.program.splitlines()[:16]), "\n...")
