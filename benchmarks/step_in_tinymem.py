"""A training step of any workload in tinymem: forward, backward, clip and update, eager or compiled."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy

import tinymem
from benchmarks.contestant import Arrays, Contestant, Workload, cast
from tinymem.engine.tensor import Tensor
from tinymem.training.optimisers import apply_update, clip_elementwise


def in_tinymem(workload: Workload, parameters: Arrays, data: Arrays, dtype: str, lowering: str | None = None) -> Contestant:
    """The lines of the training loop, without its log and its check for non-finite numbers; eager without a `lowering`."""
    model = workload.build(workload.sizes, numpy.random.default_rng(0), dtype)
    model.load_state(parameters)
    owned = model.parameters()
    slots = {name: {slot: Tensor(a) for slot, a in workload.optimiser.start(p.data).items()} for name, p in owned.items()}
    batch = cast(data, dtype)
    updates = 0

    def loss_and_gradients(batch: Arrays) -> tuple[Tensor, dict[str, Any]]:
        for parameter in owned.values():
            parameter.grad = None
        loss = workload.loss(model, {name: Tensor(array) for name, array in batch.items()})
        loss.backward()
        return loss, {name: parameter.grad for name, parameter in owned.items() if parameter.grad is not None}

    def train(batch: Arrays, number: int) -> Tensor:
        loss, found = loss_and_gradients(batch)
        arrays = {name: {slot: tensor.data for slot, tensor in own.items()} for name, own in slots.items()}
        apply_update(workload.optimiser, owned, clip_elementwise(found, workload.clip), arrays, number)
        for name, own in slots.items():
            for slot, tensor in own.items():
                tensor.data = arrays[name][slot]
        return loss

    if lowering is None:
        of_gradients, of_training = loss_and_gradients, train
    else:
        state = {"parameter": model, "slot": slots}
        of_gradients = tinymem.compile(loss_and_gradients, state, lowering=lowering)
        of_training = tinymem.compile(train, state, lowering=lowering)

    def gradients() -> tuple[float, Arrays]:
        loss, found = of_gradients(batch)
        return float(loss.item()), found

    def step() -> float:
        nonlocal updates
        updates += 1
        return float(of_training(batch, updates).item())

    return Contestant(gradients, step, model.state, getattr(of_training, "stats", None))


# tinymem's own contestants, by the name in the tables
MODES = {
    "tinymem compiled": partial(in_tinymem, lowering="c"),
    "tinymem compiled, by NumPy": partial(in_tinymem, lowering="numpy"),
    "tinymem eager": in_tinymem,
}
