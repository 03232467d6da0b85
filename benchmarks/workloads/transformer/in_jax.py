"""The Transformer in JAX, attention in plain operators: jax.nn.dot_product_attention takes its softmax in float32 even for float64.

The backward pass may compute a layer's values again instead of keeping them (jax.checkpoint).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.step_in_jax import Recomputed, recomputing
from benchmarks.workloads.transformer.workload import HIDDEN_FROM, NORM_EPSILON, Sizes, sinusoids


def loss(p: Any, data: Any, sizes: Sizes, recompute: Recomputed = "nothing") -> Any:
    def attend(name: str, x: Any, seen: Any, causal: bool = False) -> Any:
        pairs = ((x, "Q"), (seen, "K"), (seen, "V"))
        q, k, v = ((given @ p[f"{name}.{matrix}"].T).reshape(*given.shape[:2], sizes.heads, -1) for given, matrix in pairs)
        scores = jnp.einsum("blhd,bjhd->bhlj", q, k) / q.shape[3] ** 0.5
        if causal:
            scores = scores + jnp.triu(jnp.full(scores.shape[2:], HIDDEN_FROM, scores.dtype), 1)
        mixed = jnp.einsum("bhlj,bjhd->blhd", jax.nn.softmax(scores, 3), v)  # (batch, L, heads, d_k)
        return mixed.reshape(x.shape) @ p[f"{name}.O"].T

    def norm(name: str, x: Any) -> Any:
        centred = x - x.mean(2, keepdims=True)
        variance = (centred * centred).mean(2, keepdims=True)
        return p[f"{name}.gain"] * centred / jnp.sqrt(variance + NORM_EPSILON) + p[f"{name}.bias"]

    def feed_forward(name: str, x: Any) -> Any:
        inner = jax.nn.relu(x @ p[f"{name}.inner.W"].T + p[f"{name}.inner.b"])
        return inner @ p[f"{name}.outer.W"].T + p[f"{name}.outer.b"]

    def encode(name: str, x: Any) -> Any:
        x = norm(f"{name}.norms.0", x + attend(f"{name}.attention", x, x))
        return norm(f"{name}.norms.1", x + feed_forward(name, x))

    def decode(name: str, x: Any, seen: Any) -> Any:
        x = norm(f"{name}.norms.0", x + attend(f"{name}.attention", x, x, causal=True))
        x = norm(f"{name}.norms.1", x + attend(f"{name}.cross", x, seen))
        return norm(f"{name}.norms.2", x + feed_forward(name, x))

    encode, decode = (recomputing(layer, recompute, static_argnums=0) for layer in (encode, decode))
    positions = jnp.asarray(sinusoids(sizes.length, sizes.width), p["source"].dtype)
    seen = p["source"][data["source"]] * sizes.width**0.5 + positions
    for number in range(sizes.layers):
        seen = encode(f"encoder.{number}", seen)
    x = p["target"][data["given"]] * sizes.width**0.5 + positions
    for number in range(sizes.layers):
        x = decode(f"decoder.{number}", x, seen)
    scores = jax.nn.log_softmax(x @ p["out.W"].T + p["out.b"])
    return -jnp.take_along_axis(scores, data["target"][:, :, None], 2).mean()
