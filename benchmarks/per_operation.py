"""Microseconds a recorded operation: chains of small operations, forward and backward, beside PyTorch eager.

At these shapes the arithmetic is nearly free, so what is measured is the price of recording a row of the tape and of
walking back over it.  Every operand is tracked, parameters (shared by the whole chain) included.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy

from benchmarks.machine import median_ratio
from tinymem.engine import ops
from tinymem.engine.tensor import Tensor
from tinymem.training.loop import collecting_rarely

LENGTH = 200  # operations in a chain
WIDTH = 4  # M of the einsum's memory (B, N, M)
SHAPES = ((4, 4), (1, 128), (16, 128))
CALLS = 5  # chains in one turn


@dataclass(frozen=True)
class Library:
    """The few names a chain needs, under one spelling."""

    tensor: Callable[[numpy.ndarray[Any, Any]], Any]
    tanh: Callable[[Any], Any]
    softmax: Callable[[Any, int], Any]
    einsum: Callable[..., Any]
    broadcast_to: Callable[[Any, tuple[int, ...]], Any]
    backward: Callable[[Any, Any], None]


# name -> (what one link does to y, operations in one link).  A link keeps y's shape, so that links make a chain.
Link = Callable[[Library, Any, dict[str, Any]], Any]
LINKS: dict[str, tuple[Link, int]] = {
    "add": (lambda lib, y, p: y + p["c"], 1),
    "multiply": (lambda lib, y, p: y * p["c"], 1),
    "tanh": (lambda lib, y, p: lib.tanh(y), 1),
    "matmul": (lambda lib, y, p: y @ p["W"], 1),
    "softmax": (lambda lib, y, p: lib.softmax(y, 1), 1),
    "getitem": (lambda lib, y, p: y[:, : y.shape[1]], 1),
    "einsum 'bn,bnm->bm' and 'bm,bnm->bn'": (lambda lib, y, p: lib.einsum("bm,bnm->bn", lib.einsum("bn,bnm->bm", y, p["M"]), p["M"]), 2),
    "sum and broadcast_to": (lambda lib, y, p: lib.broadcast_to(y.sum(1, True), y.shape), 2),
}


def libraries() -> tuple[dict[str, Library], dict[str, str]]:
    """Who takes part, by name; and who is missing, with the reason."""
    mine = Library(
        lambda array: Tensor(array, requires_grad=True), ops.tanh, ops.softmax, ops.einsum, ops.broadcast_to, lambda y, g: y.backward(g)
    )
    if not importlib.util.find_spec("torch"):
        return {"tinymem": mine}, {"PyTorch": "torch is not installed"}
    import torch

    torch.set_num_threads(1)
    theirs = Library(
        lambda array: torch.tensor(array, requires_grad=True),
        torch.tanh,
        torch.softmax,
        torch.einsum,
        lambda y, shape: y.expand(shape),
        lambda y, g: y.backward(torch.from_numpy(g)),
    )
    return {"tinymem": mine, "PyTorch": theirs}, {}


def _operands(library: Library, shape: tuple[int, int]) -> dict[str, Any]:
    """Values that neither grow nor vanish along a chain: W orthogonal, M with orthonormal columns, c close to 1."""
    rng = numpy.random.default_rng(2)
    rows, columns = shape
    orthogonal = numpy.linalg.qr(rng.standard_normal((columns, columns)))[0]
    arrays = {
        "y": rng.standard_normal(shape),
        "c": 1 + 0.001 * rng.standard_normal(shape),
        "W": orthogonal,
        "M": numpy.repeat(orthogonal[None, :, :WIDTH], rows, axis=0),
    }
    return {name: library.tensor(array.astype("float32")) for name, array in arrays.items()}


def _turn(library: Library, link: Link, operands: dict[str, Any], links: int, start: Any, cotangent: Any) -> tuple[float, float]:
    """CPU seconds of one chain: forward, and backward with the freeing of the tape."""
    forward = backward = 0.0
    for _ in range(CALLS):
        for operand in operands.values():
            operand.grad = None
        started = time.process_time()
        y = start
        for _ in range(links):
            y = link(library, y, operands)
        recorded = time.process_time()
        library.backward(y, cotangent)
        del y
        backward += time.process_time() - recorded
        forward += recorded - started
    return forward / CALLS, backward / CALLS


def measure(rounds: int) -> dict[str, Any]:
    present, missing = libraries()
    rows = []
    with collecting_rarely():
        for name, (link, width) in LINKS.items():
            for shape in SHAPES:
                cotangent = numpy.zeros(shape, "float32") if name.startswith("sum") else numpy.ones(shape, "float32")
                times: dict[str, list[tuple[float, float]]] = {library: [] for library in present}
                operands = {key: _operands(library, shape) for key, library in present.items()}
                if name.startswith("sum"):  # n sums of n numbers overflow, sums of zeros do not
                    for key, library in present.items():
                        operands[key]["y"] = library.tensor(numpy.zeros(shape, "float32"))
                for _ in range(rounds + 1):
                    for key, library in present.items():
                        times[key].append(_turn(library, link, operands[key], LENGTH // width, operands[key]["y"], cotangent))
                counted = {key: turns[1:] for key, turns in times.items()}  # the first round warms up
                row: dict[str, Any] = {"operation": name, "shape": list(shape)}
                for key, turns in counted.items():
                    row[key] = [1e6 / LENGTH * statistics.median(part) for part in zip(*turns, strict=True)]
                if "PyTorch" in counted:
                    row["ratio"] = median_ratio([f + b for f, b in counted["tinymem"]], [f + b for f, b in counted["PyTorch"]])
                rows.append(row)
    return {"missing": missing, "rows": rows}


def table(result: dict[str, Any]) -> list[str]:
    """The result as lines of a Markdown table."""
    lines = [
        "| µs an operation | shape | tinymem forward + backward | PyTorch forward + backward | tinymem ÷ PyTorch |",
        "|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        cells = [
            f"{row[key][0]:.2f} + {row[key][1]:.2f} = {sum(row[key]):.2f}" if key in row else f"not measured: {result['missing'][key]}"
            for key in ("tinymem", "PyTorch")
        ]
        ratio = f"{row['ratio']:.2f}" if "ratio" in row else ""
        lines.append(f"| {row['operation']} | {tuple(row['shape'])} | {cells[0]} | {cells[1]} | {ratio} |")
    return lines
