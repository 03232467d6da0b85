"""The NTM in PyTorch, eager: plain operators, what a PyTorch user would write for the same equations."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional

from benchmarks.workloads.ntm_copy.workload import Sizes
from tinymem.equations.ntm import LOG_EPSILON, NORM_EPSILON
from tinymem.models.ntm import MEMORY_START


def loss(p: dict[str, Any], data: dict[str, Any], sizes: Sizes) -> Any:
    inputs, (N, M, S) = data["inputs"], (sizes.locations, sizes.width, sizes.shifts)
    batch = inputs.shape[1]
    memory = torch.full((batch, N, M), MEMORY_START, dtype=inputs.dtype)
    read_weighting, write_weighting = (row.expand(batch, N) for row in functional.softmax(p["initial_logits"], 1).split(1))
    read = p["initial_reads"].expand(batch, M)
    h, c = p["controller.h0"].expand(batch, -1), p["controller.c0"].expand(batch, -1)
    logits = []
    for x in inputs:
        h, c = lstm_step(torch.cat([x, read], 1), h, c, p["controller.W"], p["controller.U"], p["controller.b"])
        bounded, opened, scaled, moved = functional.linear(h, p["interface.W"], p["interface.b"]).split([3 * M, 2 + M, 4, 2 * S], 1)
        read_key, write_key, add_vector = torch.tanh(bounded).split(M, 1)
        read_gate, write_gate, erase_vector = torch.sigmoid(opened).split([1, 1, M], 1)
        read_strength, write_strength, read_sharpening, write_sharpening = functional.softplus(scaled).split(1, 1)
        read_shift, write_shift = functional.softmax(moved.view(batch, 2, S), 2).unbind(1)
        write_weighting = address(memory, write_weighting, write_key, write_strength, write_gate, write_shift, 1 + write_sharpening)
        shares = write_weighting.unsqueeze(2)  # (B, N, 1)
        memory = memory * (1 - shares * erase_vector.unsqueeze(1)) + shares * add_vector.unsqueeze(1)
        read_weighting = address(memory, read_weighting, read_key, read_strength, read_gate, read_shift, 1 + read_sharpening)
        read = torch.bmm(read_weighting.unsqueeze(1), memory).squeeze(1)
        logits.append(functional.linear(torch.cat([h, read], 1), p["out.W"], p["out.b"]))
    weight = data["mask"].unsqueeze(2)
    nats = functional.binary_cross_entropy_with_logits(torch.stack(logits), data["targets"], weight=weight, reduction="sum")
    return nats / (math.log(2.0) * batch)


def lstm_step(x: Any, h: Any, c: Any, W: Any, U: Any, b: Any) -> tuple[Any, Any]:
    hidden = h.shape[1]
    gates, candidate = (functional.linear(x, W, b) + functional.linear(h, U)).split([3 * hidden, hidden], 1)
    i, f, o = torch.sigmoid(gates).split(hidden, 1)
    c = f * c + i * torch.tanh(candidate)
    return o * torch.tanh(c), c


def address(memory: Any, previous: Any, key: Any, strength: Any, gate: Any, shift: Any, sharpening: Any) -> Any:
    row_norms = torch.sqrt((memory * memory).sum(2) + NORM_EPSILON)
    key_norm = torch.sqrt((key * key).sum(1, keepdim=True) + NORM_EPSILON)
    similarity = torch.bmm(memory, key.unsqueeze(2)).squeeze(2) / (row_norms * key_norm)
    content = functional.softmax(strength * similarity, 1)
    gated = gate * content + (1 - gate) * previous
    reach = shift.shape[1] // 2
    moved = torch.stack([torch.roll(gated, offset, 1) for offset in range(-reach, reach + 1)], 1)  # (B, S, N)
    shifted = torch.bmm(shift.unsqueeze(1), moved).squeeze(1)
    return functional.softmax(sharpening * torch.log(shifted + LOG_EPSILON), 1)
