"""The attending encoder-decoder in JAX: lax.scan for each side, the products with the words done before, for all steps at once."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.step_in_jax import Recomputed, recomputing
from benchmarks.workloads.gru_attention.workload import Sizes


def loss(p: Any, data: Any, sizes: Sizes, recompute: Recomputed = "nothing") -> Any:
    width = sizes.width

    def encode(h: Any, seen: Any) -> Any:
        h = gru_step(seen, h, p["encoder.U"])
        return h, h

    def decode(s: Any, seen: Any) -> Any:
        alignment = jnp.tanh(keys + (s @ p["attention.W"].T)[:, None]) @ p["attention.v"]  # (batch, J)
        context = jnp.einsum("bj,bjh->bh", jax.nn.softmax(alignment, 1), annotations)
        s = gru_step(seen + context @ p["decoder.W"][:, width:].T, s, p["decoder.U"])
        return s, jnp.concatenate([s, context], 1)

    words, given = p["source"][data["source"]], p["target"][data["given"]]
    start = jnp.zeros(words.shape[1:], words.dtype)
    last, annotations = jax.lax.scan(recomputing(encode, recompute), start, words @ p["encoder.W"].T + p["encoder.b"])
    annotations = annotations.swapaxes(0, 1)  # (batch, J, H)
    keys = annotations @ p["attention.U"].T
    _, decoded = jax.lax.scan(recomputing(decode, recompute), last, given @ p["decoder.W"][:, :width].T + p["decoder.b"])
    scores = jax.nn.log_softmax(decoded @ p["out.W"].T + p["out.b"])
    return -jnp.take_along_axis(scores, data["target"][:, :, None], 2).mean()


def gru_step(seen: Any, h: Any, U: Any) -> Any:
    width = h.shape[1]
    z, r = jnp.split(jax.nn.sigmoid(seen[:, : 2 * width] + h @ U[: 2 * width].T), 2, 1)
    candidate = jnp.tanh(seen[:, 2 * width :] + (r * h) @ U[2 * width :].T)
    return z * h + (1 - z) * candidate
