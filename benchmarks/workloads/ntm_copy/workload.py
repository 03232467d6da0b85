"""The NTM's copy task in tinymem: the model and the optimiser of the lesson, a scan over time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy

from benchmarks.contestant import Arrays, Peer, Workload
from tinymem.engine.losses import bernoulli_loss
from tinymem.engine.scan import scan
from tinymem.engine.tensor import Tensor
from tinymem.models.ntm import NTM, NTMConfig
from tinymem.tasks.algorithms import CopyTask
from tinymem.training.optimisers import GravesRMSProp


@dataclass(frozen=True)
class Sizes:
    locations: int = 128
    width: int = 20
    hidden: int = 100
    shifts: int = 3
    bits: int = 8
    length: int = 20  # vectors to copy: 2 length + 1 time steps


def build(sizes: Sizes, rng: numpy.random.Generator, dtype: str) -> NTM:
    config = NTMConfig(
        inputs=sizes.bits + 1,
        outputs=sizes.bits,
        controller="lstm",
        hidden=sizes.hidden,
        locations=sizes.locations,
        width=sizes.width,
        shifts=sizes.shifts,
    )
    return config.build(rng, dtype)


def draw(sizes: Sizes, rng: numpy.random.Generator, batch: int) -> Arrays:
    episode = CopyTask(bits=sizes.bits, longest=sizes.length).batch(rng, batch, sizes.length)
    return {"inputs": episode.inputs, "targets": episode.targets, "mask": episode.mask}


def bits_per_sequence(model: NTM, data: dict[str, Tensor]) -> Tensor:
    inputs, targets, mask = data["inputs"], data["targets"], data["mask"]  # (time, batch, X), (time, batch, Y), (time, batch)
    batch = inputs.shape[1]
    _, logits = scan(model.step, model.initial_state(batch), inputs)  # (time, batch, Y)
    return (bernoulli_loss(logits, targets) * mask[:, :, None]).sum() / (math.log(2.0) * batch)


WORKLOAD = Workload(
    title="NTM copy",
    package=__package__,
    sizes=Sizes(),
    tiny=Sizes(locations=5, width=4, hidden=6, bits=2, length=2),
    build=build,
    draw=draw,
    loss=bits_per_sequence,
    optimiser=GravesRMSProp(),
    clip=10.0,
    batches=(1, 16, 64),
    peers={
        "PyTorch eager": Peer("torch"),
        "JAX jit, memory (B, N, M)": Peer("jax", {"width_last": True}),
        "JAX jit, memory (B, N, M), elementwise recomputed": Peer("jax", {"width_last": True, "recompute": "elementwise"}),
        "JAX jit, memory (B, M, N)": Peer("jax", {"width_last": False}),
        "JAX jit, memory (B, M, N), elementwise recomputed": Peer("jax", {"width_last": False, "recompute": "elementwise"}),
        "JAX jit, memory (B, M, N), all recomputed": Peer("jax", {"width_last": False, "recompute": "all"}),
    },
)
