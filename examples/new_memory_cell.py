"""Build a memory of your own from the lecture's equations and train it: a queue that is read with a delay.

The cell writes each input to a row of its memory and reads with a head that moves one location a step, using nothing but
`ntm.add`, `ntm.shift` and `ntm.read`.  What it must learn is where to start reading: the answer is `delay` steps behind.
Run it: python examples/new_memory_cell.py
"""

import numpy as np

import tinymem as tm
from tinymem.equations import ntm
from tinymem.models.module import Module, parameter
from tinymem.training.optimisers import Adam, apply_update

LOCATIONS, WIDTH, STEPS, DELAY, BATCH = 8, 3, 6, 2, 16


class DelayLine(Module):
    """A write head that starts at location 0, a read head whose start is learned; both step forward."""

    def __init__(self):
        self.start = parameter(np.zeros((1, LOCATIONS)), "float64")  # logits of the read head's first location

    def __call__(self, inputs):
        memory = tm.Tensor(np.zeros((BATCH, LOCATIONS, WIDTH)))
        forward = tm.Tensor(np.tile([0.0, 0.0, 1.0], (BATCH, 1)))  # one-hot at offset +1
        write = tm.Tensor(np.eye(1, LOCATIONS).repeat(BATCH, 0))
        read = tm.broadcast_to(tm.softmax(self.start, 1), (BATCH, LOCATIONS))
        outputs = []
        for x in inputs:
            memory = ntm.add(memory, write, x)
            outputs.append(ntm.read(memory, read))
            write, read = ntm.shift(write, forward), ntm.shift(read, forward)
        return tm.stack(outputs)


rng, model, optimiser = np.random.default_rng(0), DelayLine(), Adam(0.1)
parameters = model.parameters()
slots = {name: optimiser.start(p.data) for name, p in parameters.items()}
for step in range(1, 201):
    inputs = rng.normal(size=(STEPS, BATCH, WIDTH))
    error = model(tm.Tensor(inputs))[DELAY:] - inputs[:-DELAY]
    loss = (error * error).mean()
    model.start.grad = None
    loss.backward()
    apply_update(optimiser, parameters, {"start": model.start.grad}, slots, step)
    if step in (1, 10, 50, 200):
        print(f"update {step:3}: mean squared error {loss.item():.4f}")

learned = tm.softmax(model.start, 1).data[0]
print("the read head learned to start at", np.round(learned, 2))
print(f"(location {learned.argmax()} is {LOCATIONS - learned.argmax()} behind the write head's 0, around the end of the memory)")
assert loss.item() < 0.01
assert LOCATIONS - learned.argmax() == DELAY
