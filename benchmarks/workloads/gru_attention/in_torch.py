"""The attending encoder-decoder in PyTorch, eager.

torch.nn.GRU is another equation (its reset gate acts after the product with U), so the steps are written out; the
products with the words are done before the loops, for all steps at once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from benchmarks.workloads.gru_attention.workload import Sizes


def loss(p: dict[str, Any], data: dict[str, Any], sizes: Sizes) -> Any:
    width = sizes.width
    words = functional.embedding(data["source"], p["source"])
    h = torch.zeros(words.shape[1], width, dtype=words.dtype)
    gates_of, candidate_of = p["encoder.U"].split([2 * width, width])
    annotations = []
    for seen in functional.linear(words, p["encoder.W"], p["encoder.b"]).unbind(0):
        h = gru_step(seen, h, gates_of, candidate_of)
        annotations.append(h)
    annotations = torch.stack(annotations, 1)  # (batch, J, H)
    keys = functional.linear(annotations, p["attention.U"])

    of_word, of_context = p["decoder.W"].split(width, 1)
    gates_of, candidate_of = p["decoder.U"].split([2 * width, width])
    given = functional.linear(functional.embedding(data["given"], p["target"]), of_word, p["decoder.b"])
    decoded = []
    for seen in given.unbind(0):
        query = functional.linear(h, p["attention.W"]).unsqueeze(1)
        alignment = torch.tanh(keys + query) @ p["attention.v"]  # (batch, J)
        context = torch.bmm(functional.softmax(alignment, 1).unsqueeze(1), annotations).squeeze(1)
        h = gru_step(seen + functional.linear(context, of_context), h, gates_of, candidate_of)
        decoded.append(torch.cat([h, context], 1))
    logits = functional.linear(torch.stack(decoded), p["out.W"], p["out.b"])
    return functional.cross_entropy(logits.flatten(0, 1), data["target"].flatten())


def gru_step(seen: Any, h: Any, gates_of: Any, candidate_of: Any) -> Any:
    width = h.shape[1]
    for_gates, for_candidate = seen.split([2 * width, width], 1)
    z, r = torch.sigmoid(for_gates + functional.linear(h, gates_of)).split(width, 1)
    candidate = torch.tanh(for_candidate + functional.linear(r * h, candidate_of))
    return candidate + z * (h - candidate)
