"""One workload, all contestants: first they must agree, then they are timed, then there is a table.

Agreement is checked twice.  In float64, at a small batch of the full size otherwise (the equations do not know the batch):
loss, every gradient, and the parameters after two updates.  And in float32 in every run that is timed: the losses of
its first two steps, of which the second has gone through the gradients and the update.
"""

from __future__ import annotations

import importlib.util
import statistics
from functools import partial
from typing import Any

import numpy

from benchmarks.contestant import Arrays, Contestant, Make, Peer, Workload, largest_difference
from benchmarks.machine import interleaved, median_ratio, timed
from benchmarks.step_in_tinymem import MODES
from tinymem.training.loop import collecting_rarely

TOLERANCE = 1e-9  # float64; a wrong equation differs by far more, another order of summation by far less
TOLERANCE_OF_TIMED = 1e-3  # float32, losses
CHECKED_BATCH = 4
REFERENCE = "tinymem eager"
SEED = 1


def contestants(workload: Workload) -> tuple[dict[str, Make], dict[str, str]]:
    """Who takes part, by name; and who is missing, with the reason.  A library is imported when its contestant is made."""
    present: dict[str, Make] = {name: partial(mode, workload) for name, mode in MODES.items()}
    missing = {}
    for name, peer in workload.peers.items():
        if importlib.util.find_spec(peer.library):
            present[name] = partial(_make_peer, workload, peer)
        else:
            missing[name] = f"{peer.library} is not installed"
    return present, missing


def _make_peer(workload: Workload, peer: Peer, parameters: Arrays, data: Arrays, dtype: str) -> Contestant:
    if peer.library == "torch":
        from benchmarks.step_in_torch import in_torch

        return in_torch(workload, peer, parameters, data, dtype)
    from benchmarks.step_in_jax import in_jax

    return in_jax(workload, peer, parameters, data, dtype)


def agreement(workload: Workload, present: dict[str, Make], batch: int = CHECKED_BATCH) -> dict[str, dict[str, float]]:
    """Largest relative differences from tinymem in float64, by contestant; SystemExit where one computes something else."""
    rng = numpy.random.default_rng(SEED)
    parameters, data = workload.start(rng), workload.draw(workload.sizes, rng, batch)
    loss, gradients, updated = _results(present[REFERENCE], parameters, data)
    found = {}
    for name, make in present.items():
        if name == REFERENCE:
            continue
        their_loss, their_gradients, their_updated = _results(make, parameters, data)
        found[name] = {
            "loss": abs(loss - their_loss) / abs(loss),
            "gradients": largest_difference(gradients, their_gradients),
            "updated parameters": largest_difference(updated, their_updated),
        }
        if not max(found[name].values()) <= TOLERANCE:
            raise SystemExit(f"{workload.title}, {name}: differs from tinymem in float64, so nothing is timed: {found[name]}")
    return found


def _results(make: Make, parameters: Arrays, data: Arrays) -> tuple[float, Arrays, Arrays]:
    contestant = make(parameters, data, "float64")
    loss, gradients = contestant.gradients()
    for _ in range(2):
        contestant.step()
    return loss, gradients, contestant.parameters()


def measure(workload: Workload, rounds: int) -> dict[str, Any]:
    """Check, then time, at every batch size of the workload."""
    present, missing = contestants(workload)
    result: dict[str, Any] = {"title": workload.title, "missing": missing, "agreement": agreement(workload, present), "batches": {}}
    for batch in workload.batches:
        rng = numpy.random.default_rng(SEED)
        parameters, data = workload.start(rng), workload.draw(workload.sizes, rng, batch)
        with collecting_rarely():  # the training loop's setting of the cycle collector, for all contestants alike
            steps = {name: make(parameters, data, "float32").step for name, make in present.items()}
            first = {name: timed(step) for name, step in steps.items()}
            _check_losses(workload.title, batch, {name: [loss, steps[name]()] for name, (_, loss) in first.items()})
            times = interleaved(steps, rounds)
        result["batches"][batch] = {
            name: {
                "first_step_seconds": first[name][0],
                "median_ms": 1e3 * statistics.median(seconds),
                "lowest_ms": 1e3 * min(seconds),
                "rounds": len(seconds),
                "over_tinymem": {mode: median_ratio(seconds, times[mode]) for mode in MODES},
            }
            for name, seconds in times.items()
        }
    return result


def _check_losses(title: str, batch: int, losses: dict[str, list[float]]) -> None:
    for name, found in losses.items():
        pairs = list(zip(losses[REFERENCE], found, strict=True))
        if not all(abs(mine - theirs) <= TOLERANCE_OF_TIMED * abs(mine) for mine, theirs in pairs):
            raise SystemExit(f"{title}, batch {batch}, {name}: losses of the first steps {found}, of tinymem {losses[REFERENCE]}")


def table(result: dict[str, Any]) -> list[str]:
    """The result as lines of a Markdown table.  A ratio above 1: tinymem is faster."""
    ratios = [f"this ÷ {mode}" for mode in MODES]
    lines = [
        f"| {result['title']}, one training step | batch | CPU ms, median | lowest | " + " | ".join(ratios) + " | first step, s | rounds |",
        "|---|" + "---|" * (5 + len(ratios)),
    ]
    for batch, rows in result["batches"].items():
        for name, row in rows.items():
            over = " | ".join(f"{row['over_tinymem'][mode]:.3f}" for mode in MODES)
            lines.append(
                f"| {name} | {batch} | {row['median_ms']:.2f} | {row['lowest_ms']:.2f} | {over} "
                f"| {row['first_step_seconds']:.2f} | {row['rounds']} |"
            )
        lines += [f"| {name} | {batch} | not measured: {why}" + " |" * (4 + len(ratios)) for name, why in result["missing"].items()]
    if result["agreement"]:
        lines += ["", f"Largest relative difference from tinymem in float64 (refused above {TOLERANCE:g}):", ""]
    for name, found in result["agreement"].items():
        lines.append(f"- {name}: " + ", ".join(f"{what} {value:.1e}" for what, value in found.items()))
    return lines
