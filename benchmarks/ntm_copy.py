"""One training step of the Neural Turing Machine on copy: forward, backward, clip, Graves' RMSProp.

Memory 128 x 20, LSTM controller of 100, one read and one write head, sequences of 20 vectors (41 time steps).  tinymem
runs its own model, objective and optimiser, as the training loop does; the peers are written out beside it
(`ntm_copy_torch`, `ntm_copy_jax`) from the same equations, and must agree in float64 before anything is timed.
"""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy

from benchmarks.contestant import Arrays, Contestant, largest_difference
from benchmarks.machine import cpu_seconds, interleaved, median_ratio
from benchmarks.ntm_copy_workload import BATCHES, CLIP, CONFIG, LENGTH, OPTIMISER, TASK, TOLERANCE
from tinymem.tasks.algorithms import Episode
from tinymem.training.loop import collecting_rarely
from tinymem.training.objectives import bits_per_sequence
from tinymem.training.optimisers import apply_update, clip_elementwise

Make = Callable[[Arrays, Episode, str], Contestant]


def in_tinymem(parameters: Arrays, episode: Episode, dtype: str) -> Contestant:
    """tinymem in eager mode, made of the lines of `tinymem.training.loop.train`."""
    model = CONFIG.build(numpy.random.default_rng(0), dtype)
    model.load_state(parameters)
    owned = model.parameters()
    slots = {name: OPTIMISER.start(parameter.data) for name, parameter in owned.items()}
    updates = 0

    def gradients() -> tuple[float, Arrays]:
        for parameter in owned.values():
            parameter.grad = None
        loss = bits_per_sequence(model, episode)
        loss.backward()
        return float(loss.item()), {name: parameter.grad for name, parameter in owned.items() if parameter.grad is not None}

    def step() -> float:
        nonlocal updates
        loss, found = gradients()
        updates += 1
        apply_update(OPTIMISER, owned, clip_elementwise(found, CLIP), slots, updates)
        return loss

    return Contestant(gradients, step, model.state)


def contestants() -> tuple[dict[str, Make], dict[str, str]]:
    """Who takes part, by name; and who is missing, with the reason."""
    present: dict[str, Make] = {"tinymem eager": in_tinymem}
    missing = {}
    if importlib.util.find_spec("torch"):
        from benchmarks.ntm_copy_torch import in_torch

        present["PyTorch eager"] = in_torch
    else:
        missing["PyTorch eager"] = "torch is not installed"
    if importlib.util.find_spec("jax"):
        from benchmarks.ntm_copy_jax import in_jax

        for layout, width_last in (("(B, N, M)", True), ("(B, M, N)", False)):
            present[f"JAX jit, memory {layout}"] = partial(in_jax, width_last=width_last, recompute=False)
            present[f"JAX jit, memory {layout}, checkpointed"] = partial(in_jax, width_last=width_last, recompute=True)
    else:
        missing["JAX jit"] = "jax is not installed"
    return present, missing


def starting_point(rng: numpy.random.Generator) -> Arrays:
    """Initial parameters with noise on all of them: no gradient is 0 by symmetry, so every one is compared."""
    fresh = CONFIG.build(rng, "float64").state()
    return {name: array + 0.1 * rng.standard_normal(array.shape) for name, array in fresh.items()}


def disagreement(make: Make, parameters: Arrays, episode: Episode) -> dict[str, float]:
    """Largest relative differences from tinymem in float64: loss, gradients, and parameters after two updates."""
    mine, theirs = in_tinymem(parameters, episode, "float64"), make(parameters, episode, "float64")
    (my_loss, my_gradients), (their_loss, their_gradients) = mine.gradients(), theirs.gradients()
    differences = {"loss": abs(my_loss - their_loss) / abs(my_loss), "gradients": largest_difference(my_gradients, their_gradients)}
    for _ in range(2):
        mine.step()
        theirs.step()
    differences["updated parameters"] = largest_difference(mine.parameters(), theirs.parameters())
    return differences


def measure(rounds: int) -> dict[str, Any]:
    """Check, then time; SystemExit with the differences when an implementation computes something else."""
    present, missing = contestants()
    result: dict[str, Any] = {"missing": missing, "batches": {}, "agreement": {}}
    for batch in BATCHES:
        rng = numpy.random.default_rng(1)
        parameters, episode = starting_point(rng), TASK.batch(rng, batch, LENGTH)
        for name, make in present.items():
            if make is not in_tinymem:
                found = result["agreement"][f"{name}, batch {batch}"] = disagreement(make, parameters, episode)
                if not max(found.values()) <= TOLERANCE:
                    raise SystemExit(f"{name}, batch {batch}: differs from tinymem in float64, so it is not timed: {found}")
        with collecting_rarely():  # the training loop's setting of the cycle collector, for all contestants alike
            steps = {name: make(parameters, episode, "float32").step for name, make in present.items()}
            first = {name: cpu_seconds(step) for name, step in steps.items()}
            times = interleaved(steps, rounds)
        mine = times["tinymem eager"]
        result["batches"][batch] = {
            name: {
                "first_step_seconds": first[name],
                "median_ms": 1e3 * statistics.median(seconds),
                "lowest_ms": 1e3 * min(seconds),
                "tinymem_over_this": median_ratio(mine, seconds),
            }
            for name, seconds in times.items()
        }
    return result


def table(result: dict[str, Any]) -> list[str]:
    """The result as lines of a Markdown table."""
    lines = [
        "| NTM copy, one training step | batch | CPU ms, median | lowest | tinymem ÷ this | first step, s |",
        "|---|---|---|---|---|---|",
    ]
    for batch, rows in result["batches"].items():
        for name, row in rows.items():
            lines.append(
                f"| {name} | {batch} | {row['median_ms']:.2f} | {row['lowest_ms']:.2f} "
                f"| {row['tinymem_over_this']:.2f} | {row['first_step_seconds']:.2f} |"
            )
        lines += [f"| {name} | {batch} | not measured: {reason} | | | |" for name, reason in result["missing"].items()]
    if result["agreement"]:
        lines += ["", f"Largest relative difference from tinymem in float64 (refused above {TOLERANCE:g}):", ""]
    for name, found in result["agreement"].items():
        lines.append(f"- {name}: " + ", ".join(f"{what} {value:.1e}" for what, value in found.items()))
    return lines
