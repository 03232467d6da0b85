"""The Transformer in PyTorch, eager: attention in plain operators, or functional.scaled_dot_product_attention (`fused`)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch.nn import functional

from benchmarks.workloads.transformer.workload import HIDDEN_FROM, NORM_EPSILON, Sizes, sinusoids


def loss(p: dict[str, Any], data: dict[str, Any], sizes: Sizes, fused: bool = False) -> Any:
    attend = partial(attention, p, sizes.heads, fused)
    positions = torch.from_numpy(sinusoids(sizes.length, sizes.width)).to(p["source"].dtype)
    seen = functional.embedding(data["source"], p["source"]) * sizes.width**0.5 + positions
    for number in range(sizes.layers):
        name = f"encoder.{number}"
        seen = norm(p, f"{name}.norms.0", seen + attend(f"{name}.attention", seen, seen))
        seen = norm(p, f"{name}.norms.1", seen + feed_forward(p, name, seen))
    x = functional.embedding(data["given"], p["target"]) * sizes.width**0.5 + positions
    for number in range(sizes.layers):
        name = f"decoder.{number}"
        x = norm(p, f"{name}.norms.0", x + attend(f"{name}.attention", x, x, causal=True))
        x = norm(p, f"{name}.norms.1", x + attend(f"{name}.cross", x, seen))
        x = norm(p, f"{name}.norms.2", x + feed_forward(p, name, x))
    logits = functional.linear(x, p["out.W"], p["out.b"])
    return functional.cross_entropy(logits.flatten(0, 1), data["target"].flatten())


def attention(p: dict[str, Any], heads: int, fused: bool, name: str, x: Any, seen: Any, causal: bool = False) -> Any:
    q, k, v = (
        functional.linear(given, p[f"{name}.{matrix}"]).unflatten(2, (heads, -1)).transpose(1, 2)  # (batch, heads, L, d_k)
        for given, matrix in ((x, "Q"), (seen, "K"), (seen, "V"))
    )
    if fused:
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
    else:
        scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5
        if causal:
            scores = scores + torch.full(scores.shape[2:], HIDDEN_FROM, dtype=scores.dtype).triu_(1)
        mixed = functional.softmax(scores, 3) @ v
    return functional.linear(mixed.transpose(1, 2).flatten(2), p[f"{name}.O"])


def norm(p: dict[str, Any], name: str, x: Any) -> Any:
    return functional.layer_norm(x, x.shape[2:], p[f"{name}.gain"], p[f"{name}.bias"], NORM_EPSILON)


def feed_forward(p: dict[str, Any], name: str, x: Any) -> Any:
    inner = functional.relu(functional.linear(x, p[f"{name}.inner.W"], p[f"{name}.inner.b"]))
    return functional.linear(inner, p[f"{name}.outer.W"], p[f"{name}.outer.b"])
