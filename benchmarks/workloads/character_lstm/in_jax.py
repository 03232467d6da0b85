"""The character model in JAX: lax.scan over time for each layer, its product with the inputs done before, for all steps at once."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.step_in_jax import Recomputed, recomputing
from benchmarks.workloads.character_lstm.workload import Sizes


def loss(p: Any, data: Any, sizes: Sizes, recompute: Recomputed = "nothing") -> Any:
    x = p["embedding"][data["characters"]]  # (time, batch, H)
    for layer in range(sizes.layers):
        x = over_time(p, f"cells.{layer}", x, recompute)
    scores = jax.nn.log_softmax(x @ p["out.W"].T + p["out.b"])
    return -jnp.take_along_axis(scores, data["targets"][:, :, None], 2).mean()


def over_time(p: Any, cell: str, x: Any, recompute: Recomputed) -> Any:
    shape = x.shape[1:]

    def step(state: Any, seen: Any) -> Any:
        h, c = state
        gates, candidate = jnp.split(seen + h @ p[f"{cell}.U"].T, [3 * shape[1]], 1)
        i, f, o = jnp.split(jax.nn.sigmoid(gates), 3, 1)
        c = f * c + i * jnp.tanh(candidate)
        h = o * jnp.tanh(c)
        return (h, c), h

    start = jnp.broadcast_to(p[f"{cell}.h0"], shape), jnp.broadcast_to(p[f"{cell}.c0"], shape)
    return jax.lax.scan(recomputing(step, recompute), start, x @ p[f"{cell}.W"].T + p[f"{cell}.b"])[1]
