"""What grows with the sequence: time and memory of an NTM copy step, with all kept for the way back and with `checkpoint_every` √T.

Time is of the whole training step, divided by the sequence's time steps.  Memory is that of a fresh process for each row: how
far the peak of resident pages rose in its first two steps, and the program's own, which a compiled step says itself.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from benchmarks.cold_start import CACHE_VARIABLES, peak_megabytes
from benchmarks.machine import interleaved, median_ratio, settle, timed
from benchmarks.workloads import load

VECTORS, BATCHES = (20, 120, 1000), (1, 16)  # an episode of n vectors has 2 n + 1 time steps
MODES = ("tinymem compiled", "tinymem eager")


def time_steps(vectors: int) -> int:
    return 2 * vectors + 1


def contestant(name: str, vectors: int, batch: int, checkpointed: bool) -> Any:
    """One training step of the copy task at this length."""
    import numpy

    from benchmarks.step_in_tinymem import MODES as STEPS
    from tinymem.training.objectives import bits_per_sequence

    every = round(math.sqrt(time_steps(vectors))) if checkpointed else None

    def loss(model: Any, data: dict[str, Any]) -> Any:
        return bits_per_sequence(model, SimpleNamespace(**data), every)  # type: ignore[arg-type]

    workload = load("ntm-copy")
    workload = dataclasses.replace(workload, sizes=dataclasses.replace(workload.sizes, length=vectors), loss=loss)
    rng = numpy.random.default_rng(1)
    return STEPS[name](workload, workload.start(rng), workload.draw(workload.sizes, rng, batch), "float32")


def start(name: str, vectors: int, batch: int, checkpointed: bool) -> dict[str, float]:
    """In the fresh process: two steps, and what they took."""
    made = contestant(name, vectors, batch, checkpointed)
    before = peak_megabytes()
    seconds, loss = timed(made.step)
    made.step()
    report = {"first_step_seconds": seconds, "loss": loss, "grown_megabytes": peak_megabytes() - before}
    if made.stats is not None:
        found = made.stats()
        report |= {"program_megabytes": found.bytes / 1e6, "rows": found.passes[-1].rows, "kernels": found.kernels}
    return report


def _in_a_fresh_process(name: str, vectors: int, batch: int, checkpointed: bool) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as cache:
        process = subprocess.run(
            [sys.executable, "-m", "benchmarks.length", name, str(vectors), str(batch), *["--checkpointed"] * checkpointed],
            env=os.environ | dict.fromkeys(CACHE_VARIABLES, cache),
            capture_output=True,
            text=True,
            check=True,
        )
    report: dict[str, float] = json.loads(process.stdout)
    return report


def measure(rounds: int) -> dict[str, Any]:
    rows = []
    for batch in BATCHES:
        for vectors in VECTORS:
            kinds = [(name, checkpointed) for name in MODES for checkpointed in (False, True)]
            memory = {kind: _in_a_fresh_process(kind[0], vectors, batch, kind[1]) for kind in kinds}
            losses = [report["loss"] for report in memory.values()]
            if max(losses) - min(losses) > 1e-3 * max(losses):
                raise SystemExit(f"length: the losses of one sequence differ: {losses}")
            steps: dict[str, Callable[[], object]] = {
                f"{name} {checkpointed}": contestant(name, vectors, batch, checkpointed).step for name, checkpointed in kinds
            }
            times = interleaved(steps, rounds)
            for name, checkpointed in kinds:
                own = times[f"{name} {checkpointed}"]
                rows.append(
                    {
                        "name": name,
                        "batch": batch,
                        "time_steps": time_steps(vectors),
                        "checkpoint_every": round(math.sqrt(time_steps(vectors))) if checkpointed else None,
                        "microseconds_a_time_step": 1e6 * statistics.median(own) / time_steps(vectors),
                        "over_plain": median_ratio(own, times[f"{name} False"]),
                        "rounds": len(own),
                        **memory[name, checkpointed],
                    }
                )
    return {"rows": rows}


def table(result: dict[str, Any]) -> list[str]:
    """The result as lines of a Markdown table."""
    lines = [
        "| NTM copy, one training step | batch | time steps | `checkpoint_every` | CPU µs a time step, median | this ÷ without | rounds "
        "| peak memory grew by, MB | program's own, MB | rows | kernels | first step, CPU s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        own = [f"{row['program_megabytes']:.2f}", str(row["rows"]), str(row["kernels"])] if "rows" in row else ["", "", ""]
        lines.append(
            f"| {row['name']} | {row['batch']} | {row['time_steps']} | {row['checkpoint_every'] or '–'} "
            f"| {row['microseconds_a_time_step']:.1f} | {row['over_plain']:.2f} | {row['rounds']} | {row['grown_megabytes']:.1f} | "
            + " | ".join(own)
            + f" | {row['first_step_seconds']:.2f} |"
        )
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Two training steps at one length in this process, as JSON.")
    parser.add_argument("name", choices=MODES)
    parser.add_argument("vectors", type=int)
    parser.add_argument("batch", type=int)
    parser.add_argument("--checkpointed", action="store_true", help="checkpoint_every about the root of the number of time steps")
    given = parser.parse_args()
    settle(None)
    print(json.dumps(start(given.name, given.vectors, given.batch, given.checkpointed)))
