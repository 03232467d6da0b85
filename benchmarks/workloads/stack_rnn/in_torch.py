"""The stack-RNN in PyTorch, eager; what does not wait for the previous step is done before the loop, for all steps at once."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from benchmarks.workloads.stack_rnn.workload import EMPTY, Sizes


def loss(p: dict[str, Any], data: dict[str, Any], sizes: Sizes) -> Any:
    inputs = data["inputs"]
    batch = inputs.shape[1]
    stacks = torch.full((batch, sizes.stacks, sizes.depth), EMPTY, dtype=inputs.dtype)
    below = torch.full((batch, sizes.stacks, 1), EMPTY, dtype=inputs.dtype)
    h = torch.zeros(batch, sizes.hidden, dtype=inputs.dtype)
    hidden = []
    for seen in functional.linear(inputs, p["U"]).unbind(0):
        tops = stacks[:, :, : sizes.seen].reshape(batch, -1)
        h = torch.sigmoid(seen + functional.linear(h, p["R"]) + functional.linear(tops, p["P"]))
        push, pop, keep = functional.softmax(functional.linear(h, p["A"]).view(batch, sizes.stacks, 3), 2).split(1, 2)
        value = torch.sigmoid(functional.linear(h, p["D"])).unsqueeze(2)
        padded = torch.cat([value, stacks, below], 2)  # (B, S, depth + 2): pushed, kept and popped are three views of it
        stacks = push * padded[:, :, :-2] + pop * padded[:, :, 2:] + keep * stacks
        hidden.append(h)
    logits = functional.linear(torch.stack(hidden), p["V"])
    return functional.cross_entropy(logits.flatten(0, 1), data["targets"].flatten())
