"""The NTM's training step in JAX: the whole of it, update included, compiled by jit, with lax.scan over time.

The memory may be laid out (B, N, M) as on the slides or (B, M, N), locations innermost: XLA's loops differ in speed.
With `recompute` the backward pass computes a time step's elementwise values again instead of keeping them
(jax.checkpoint): slower at batch 1, twice as fast at batch 16, where keeping them is what costs.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy

from benchmarks.contestant import Arrays, Contestant
from benchmarks.ntm_copy_workload import CLIP, CONFIG, OPTIMISER
from tinymem.equations.ntm import LOG_EPSILON, NORM_EPSILON
from tinymem.models.ntm import MEMORY_START
from tinymem.tasks.algorithms import Episode

M, N, HIDDEN, SHIFTS = CONFIG.width, CONFIG.locations, CONFIG.hidden, CONFIG.shifts


def in_jax(parameters: Arrays, episode: Episode, dtype: str, width_last: bool, recompute: bool) -> Contestant:
    wide = dtype == "float64"
    with jax.enable_x64(wide):
        owned = {name: jnp.asarray(array, dtype) for name, array in parameters.items()}
        slots = {name: (jnp.zeros_like(parameter),) * 3 for name, parameter in owned.items()}
        slots = jax.tree.map(jnp.array, slots)  # buffers of their own, for they are donated
    loss_of = partial(bits_per_sequence, width_last=width_last, recompute=recompute)
    data = [array.astype(dtype) for array in (episode.inputs, episode.targets, episode.mask)]

    @partial(jax.jit, donate_argnums=(0, 1))
    def compiled(owned: Any, slots: Any, inputs: Any, targets: Any, mask: Any) -> Any:
        loss, found = jax.value_and_grad(loss_of)(owned, inputs, targets, mask)
        updated = {name: update(owned[name], found[name], *slots[name]) for name in owned}
        return loss, {name: new[0] for name, new in updated.items()}, {name: new[1:] for name, new in updated.items()}

    def gradients() -> tuple[float, Arrays]:
        with jax.enable_x64(wide):
            loss, found = jax.jit(jax.value_and_grad(loss_of))(owned, *data)
            return float(loss), {name: numpy.asarray(gradient) for name, gradient in found.items()}

    def step() -> float:
        nonlocal owned, slots
        with jax.enable_x64(wide):
            loss, owned, slots = compiled(owned, slots, *data)
            jax.block_until_ready((loss, owned, slots))
            return float(loss)

    return Contestant(gradients, step, lambda: {name: numpy.asarray(parameter, numpy.float64) for name, parameter in owned.items()})


def bits_per_sequence(p: Any, inputs: Any, targets: Any, mask: Any, width_last: bool, recompute: bool) -> Any:
    batch = inputs.shape[1]
    weightings = jax.nn.softmax(p["initial_logits"], 1)
    state = (
        jnp.full((batch, N, M) if width_last else (batch, M, N), MEMORY_START, inputs.dtype),
        jnp.broadcast_to(weightings[0], (batch, N)),
        jnp.broadcast_to(weightings[1], (batch, N)),
        jnp.broadcast_to(p["initial_reads"], (batch, M)),
        jnp.broadcast_to(p["controller.h0"], (batch, HIDDEN)),
        jnp.broadcast_to(p["controller.c0"], (batch, HIDDEN)),
    )
    one_step = partial(step, width_last)
    if recompute:
        one_step = jax.checkpoint(one_step, policy=jax.checkpoint_policies.dots_saveable)
    _, logits = jax.lax.scan(partial(one_step, p), state, inputs)
    nats = (jax.nn.softplus(logits) - logits * targets) * mask[:, :, None]
    return nats.sum() / (math.log(2.0) * batch)


def step(width_last: bool, p: Any, state: Any, x: Any) -> tuple[Any, Any]:
    memory, read_weighting, write_weighting, read, h, c = state
    h, c = lstm_step(jnp.concatenate([x, read], 1), h, c, p["controller.W"], p["controller.U"], p["controller.b"])
    interface = h @ p["interface.W"].T + p["interface.b"]
    bounded, opened, scaled, moved = jnp.split(interface, [3 * M, 4 * M + 2, 4 * M + 6], 1)
    read_key, write_key, add_vector = jnp.split(jnp.tanh(bounded), 3, 1)
    read_gate, write_gate, erase_vector = jnp.split(jax.nn.sigmoid(opened), [1, 2], 1)
    read_strength, write_strength, read_sharpening, write_sharpening = jnp.split(jax.nn.softplus(scaled), 4, 1)
    shifts = jax.nn.softmax(moved.reshape(-1, 2, SHIFTS), 2)
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
    gates, candidate = jnp.split(x @ W.T + h @ U.T + b, [3 * HIDDEN], 1)
    i, f, o = jnp.split(jax.nn.sigmoid(gates), 3, 1)
    c = f * c + i * jnp.tanh(candidate)
    return o * jnp.tanh(c), c


def address(width_last: bool, memory: Any, previous: Any, key: Any, strength: Any, gate: Any, shift: Any, sharpening: Any) -> Any:
    row_norms = jnp.sqrt((memory * memory).sum(2 if width_last else 1) + NORM_EPSILON)
    key_norm = jnp.sqrt((key * key).sum(1, keepdims=True) + NORM_EPSILON)
    similarity = jnp.einsum("bnm,bm->bn" if width_last else "bmn,bm->bn", memory, key) / (row_norms * key_norm)
    content = jax.nn.softmax(strength * similarity, 1)
    gated = gate * content + (1 - gate) * previous
    reach = SHIFTS // 2
    shifted = sum(jnp.roll(gated, offset, 1) * shift[:, offset + reach, None] for offset in range(-reach, reach + 1))
    return jax.nn.softmax(sharpening * jnp.log(shifted + LOG_EPSILON), 1)


def update(parameter: Any, g: Any, square: Any, mean: Any, delta: Any) -> tuple[Any, Any, Any, Any]:
    """Graves' RMSProp after the elementwise clip: the new parameter and slots."""
    rho = OPTIMISER.decay
    g = jnp.clip(g, -CLIP, CLIP)
    square = rho * square + (1 - rho) * g * g
    mean = rho * mean + (1 - rho) * g
    delta = OPTIMISER.momentum * delta - OPTIMISER.learning_rate * g / jnp.sqrt(square - mean * mean + OPTIMISER.epsilon)
    return parameter + delta, square, mean, delta
