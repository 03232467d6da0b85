"""The NTM in JAX, with lax.scan over time.

The memory may be laid out (B, N, M) as on the slides or (B, M, N), locations innermost: XLA's loops differ in speed.
The backward pass may compute a time step's values again instead of keeping them (jax.checkpoint): slower at batch 1,
twice as fast at batches 16 and 64, where keeping them is what costs.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.step_in_jax import Recomputed, recomputing
from benchmarks.workloads.ntm_copy.workload import Sizes
from tinymem.equations.ntm import LOG_EPSILON, NORM_EPSILON
from tinymem.models.ntm import MEMORY_START


def loss(p: Any, data: Any, sizes: Sizes, width_last: bool, recompute: Recomputed = "nothing") -> Any:
    inputs, (N, M) = data["inputs"], (sizes.locations, sizes.width)
    batch = inputs.shape[1]
    weightings = jax.nn.softmax(p["initial_logits"], 1)
    state = (
        jnp.full((batch, N, M) if width_last else (batch, M, N), MEMORY_START, inputs.dtype),
        jnp.broadcast_to(weightings[0], (batch, N)),
        jnp.broadcast_to(weightings[1], (batch, N)),
        jnp.broadcast_to(p["initial_reads"], (batch, M)),
        jnp.broadcast_to(p["controller.h0"], (batch, sizes.hidden)),
        jnp.broadcast_to(p["controller.c0"], (batch, sizes.hidden)),
    )
    one_step = recomputing(partial(step, sizes, width_last), recompute)
    _, logits = jax.lax.scan(partial(one_step, p), state, inputs)
    nats = (jax.nn.softplus(logits) - logits * data["targets"]) * data["mask"][:, :, None]
    return nats.sum() / (math.log(2.0) * batch)


def step(sizes: Sizes, width_last: bool, p: Any, state: Any, x: Any) -> tuple[Any, Any]:
    memory, read_weighting, write_weighting, read, h, c = state
    M = sizes.width
    h, c = lstm_step(jnp.concatenate([x, read], 1), h, c, p["controller.W"], p["controller.U"], p["controller.b"])
    interface = h @ p["interface.W"].T + p["interface.b"]
    bounded, opened, scaled, moved = jnp.split(interface, [3 * M, 4 * M + 2, 4 * M + 6], 1)
    read_key, write_key, add_vector = jnp.split(jnp.tanh(bounded), 3, 1)
    read_gate, write_gate, erase_vector = jnp.split(jax.nn.sigmoid(opened), [1, 2], 1)
    read_strength, write_strength, read_sharpening, write_sharpening = jnp.split(jax.nn.softplus(scaled), 4, 1)
    shifts = jax.nn.softmax(moved.reshape(-1, 2, sizes.shifts), 2)
    aim = partial(address, width_last)
    write_weighting = aim(memory, write_weighting, write_key, write_strength, write_gate, shifts[:, 1], 1 + write_sharpening)
    if width_last:
        erased, added = write_weighting[:, :, None] * erase_vector[:, None], write_weighting[:, :, None] * add_vector[:, None]
    else:
        erased, added = erase_vector[:, :, None] * write_weighting[:, None], add_vector[:, :, None] * write_weighting[:, None]
    memory = memory * (1 - erased) + added
    read_weighting = aim(memory, read_weighting, read_key, read_strength, read_gate, shifts[:, 0], 1 + read_sharpening)
    read = jnp.einsum("bn,bnm->bm" if width_last else "bn,bmn->bm", read_weighting, memory)
    logits = jnp.concatenate([h, read], 1) @ p["out.W"].T + p["out.b"]
    return (memory, read_weighting, write_weighting, read, h, c), logits


def lstm_step(x: Any, h: Any, c: Any, W: Any, U: Any, b: Any) -> tuple[Any, Any]:
    gates, candidate = jnp.split(x @ W.T + h @ U.T + b, [3 * h.shape[1]], 1)
    i, f, o = jnp.split(jax.nn.sigmoid(gates), 3, 1)
    c = f * c + i * jnp.tanh(candidate)
    return o * jnp.tanh(c), c


def address(width_last: bool, memory: Any, previous: Any, key: Any, strength: Any, gate: Any, shift: Any, sharpening: Any) -> Any:
    row_norms = jnp.sqrt((memory * memory).sum(2 if width_last else 1) + NORM_EPSILON)
    key_norm = jnp.sqrt((key * key).sum(1, keepdims=True) + NORM_EPSILON)
    similarity = jnp.einsum("bnm,bm->bn" if width_last else "bmn,bm->bn", memory, key) / (row_norms * key_norm)
    content = jax.nn.softmax(strength * similarity, 1)
    gated = gate * content + (1 - gate) * previous
    reach = shift.shape[1] // 2
    shifted = sum(jnp.roll(gated, offset, 1) * shift[:, offset + reach, None] for offset in range(-reach, reach + 1))
    return jax.nn.softmax(sharpening * jnp.log(shifted + LOG_EPSILON), 1)
