"""The stack-RNN in JAX, with lax.scan over time."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.step_in_jax import Recomputed, recomputing
from benchmarks.workloads.stack_rnn.workload import EMPTY, Sizes


def loss(p: Any, data: Any, sizes: Sizes, recompute: Recomputed = "nothing", unroll: int = 1) -> Any:
    inputs = data["inputs"]
    batch = inputs.shape[1]

    def step(state: Any, seen: Any) -> Any:
        h, stacks = state
        tops = stacks[:, :, : sizes.seen].reshape(batch, -1)
        h = jax.nn.sigmoid(seen + h @ p["R"].T + tops @ p["P"].T)
        actions = jax.nn.softmax((h @ p["A"].T).reshape(batch, sizes.stacks, 3), 2)
        push, pop, keep = jnp.split(actions, 3, 2)
        value = jax.nn.sigmoid(h @ p["D"].T)[:, :, None]
        pushed = jnp.concatenate([value, stacks[:, :, :-1]], 2)
        popped = jnp.concatenate([stacks[:, :, 1:], jnp.full_like(value, EMPTY)], 2)
        return (h, push * pushed + pop * popped + keep * stacks), h

    start = jnp.zeros((batch, sizes.hidden), inputs.dtype), jnp.full((batch, sizes.stacks, sizes.depth), EMPTY, inputs.dtype)
    _, hidden = jax.lax.scan(recomputing(step, recompute), start, inputs @ p["U"].T, unroll=unroll)
    scores = jax.nn.log_softmax(hidden @ p["V"].T)
    return -jnp.take_along_axis(scores, data["targets"][:, :, None], 2).mean()
