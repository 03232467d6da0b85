"""The character model in PyTorch, eager: the equations step by step, or the kernel of torch.nn.LSTM (`fused`).

Step by step, a layer's product with its inputs is done before its loop, for all steps at once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from benchmarks.workloads.character_lstm.workload import Sizes


def loss(p: dict[str, Any], data: dict[str, Any], sizes: Sizes, fused: bool = False) -> Any:
    x = functional.embedding(data["characters"], p["embedding"])  # (time, batch, H)
    if fused:
        x = all_layers(p, x, sizes)
    else:
        for layer in range(sizes.layers):
            x = over_time(p, f"cells.{layer}", x)
    logits = functional.linear(x, p["out.W"], p["out.b"])
    return functional.cross_entropy(logits.flatten(0, 1), data["targets"].flatten())


def over_time(p: dict[str, Any], cell: str, x: Any) -> Any:
    batch, hidden = x.shape[1:]
    h, c = p[f"{cell}.h0"].expand(batch, -1), p[f"{cell}.c0"].expand(batch, -1)
    hs = []
    for seen in functional.linear(x, p[f"{cell}.W"], p[f"{cell}.b"]).unbind(0):
        gates, candidate = (seen + functional.linear(h, p[f"{cell}.U"])).split([3 * hidden, hidden], 1)
        i, f, o = torch.sigmoid(gates).split(hidden, 1)
        c = f * c + i * torch.tanh(candidate)
        h = o * torch.tanh(c)
        hs.append(h)
    return torch.stack(hs)


def all_layers(p: dict[str, Any], x: Any, sizes: Sizes) -> Any:
    """What torch.nn.LSTM calls.  It orders the blocks input, forget, candidate, output, and has a second bias, here 0."""
    batch, hidden = x.shape[1:]
    weights, cells = [], [f"cells.{layer}" for layer in range(sizes.layers)]
    for cell in cells:
        for name in ("W", "U", "b"):
            i, f, o, candidate = p[f"{cell}.{name}"].split(hidden)
            weights.append(torch.cat([i, f, candidate, o]))
        weights.append(torch.zeros_like(weights[-1]))
    start = [torch.stack([p[f"{cell}.{name}"].expand(batch, -1) for cell in cells]) for name in ("h0", "c0")]
    return torch.lstm(x, start, weights, True, sizes.layers, 0.0, True, False, False)[0]
