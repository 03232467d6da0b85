"""From nothing to a first training step: seconds and memory of a fresh process, NTM copy at batch 16.

Each contestant gets processes of its own: `python -m benchmarks.cold_start NAME` makes two steps and says what they
took.  Memory is the peak of resident pages of that process, its libraries included; a compiler that it starts counts
in its seconds and not in its memory.  Every process has an empty folder as its cache; a contestant with a "warm" row
runs once more with the folder that its first process left.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import settle, timed
from benchmarks.workloads import load

WORKLOAD, BATCH, SEED = "ntm-copy", 16, 1
MOST_ROUNDS = 3
CACHE_VARIABLES = "TINYMEM_CACHE", "XDG_CACHE_HOME"  # where compiled kernels are kept between processes
# Who starts, and whether it starts again with the kernels that the process before left.
CONTESTANTS: dict[str, tuple[bool, ...]] = {
    "tinymem compiled": (False, True),
    "tinymem eager": (False,),
    "PyTorch eager": (False,),
    "JAX jit, memory (B, M, N), elementwise recomputed": (False,),  # JAX's fastest at this batch
}


def start(name: str) -> dict[str, float]:
    """In the fresh process: import, make two steps, and report."""
    import numpy

    from benchmarks.comparison import contestants

    workload = load(WORKLOAD)
    present, missing = contestants(workload)
    if name not in present:
        raise SystemExit(missing.get(name, "no such contestant"))
    rng = numpy.random.default_rng(SEED)
    step = present[name](workload.start(rng), workload.draw(workload.sizes, rng, BATCH), "float32").step
    report = {"ready_seconds": time.process_time()}  # since the interpreter started
    for which in ("first", "second"):
        started = time.perf_counter()
        report[f"{which}_step_seconds"], loss = timed(step)
        report[f"{which}_step_wall_seconds"] = time.perf_counter() - started
        if not abs(loss) < float("inf"):
            raise SystemExit(f"the loss is {loss}")
    return report | {"peak_megabytes": peak_megabytes()}


def peak_megabytes() -> float:
    """Peak resident memory of this process.  Not ru_maxrss where /proc has it: Linux lets that start at the parent's peak."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


def measure(rounds: int) -> dict[str, Any]:
    found: dict[str, list[dict[str, float]]] = {}
    missing: dict[str, str] = {}
    for _ in range(min(rounds, MOST_ROUNDS)):
        for name, states in CONTESTANTS.items():
            if name in missing:
                continue
            with tempfile.TemporaryDirectory() as cache:
                for warm in states:
                    label = name if len(states) == 1 else f"{name}, {'warm' if warm else 'empty'} cache"
                    process = subprocess.run(
                        [sys.executable, "-m", "benchmarks.cold_start", name],
                        env=os.environ | dict.fromkeys(CACHE_VARIABLES, cache),
                        capture_output=True,
                        text=True,
                    )
                    if process.returncode:
                        missing[name] = (process.stderr.strip().splitlines() or ["it failed"])[-1]
                        break
                    found.setdefault(label, []).append(json.loads(process.stdout))
    rows = {label: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for label, runs in found.items()}
    return {"workload": WORKLOAD, "batch": BATCH, "processes": min(rounds, MOST_ROUNDS), "missing": missing, "rows": rows}


def table(result: dict[str, Any]) -> list[str]:
    """The result as lines of a Markdown table."""
    lines = [
        f"| {result['workload']}, batch {result['batch']}, a fresh process (median of {result['processes']}) | imports and model, CPU s "
        "| first step, CPU s | by the clock, s | second step, CPU s | peak memory, MB |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in result["rows"].items():
        lines.append(
            f"| {name} | {row['ready_seconds']:.2f} | {row['first_step_seconds']:.2f} | {row['first_step_wall_seconds']:.2f} "
            f"| {row['second_step_seconds']:.3f} | {row['peak_megabytes']:.0f} |"
        )
    return lines + [f"| {name} | not measured: {reason} | | | | |" for name, reason in result["missing"].items()]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Two training steps of one contestant in this process, as JSON.")
    parser.add_argument("name", choices=CONTESTANTS)
    parser.add_argument("--cpu", type=int, metavar="N", help="the CPU to be pinned to (default: the last one allowed)")
    given = parser.parse_args()
    settle(given.cpu)
    print(json.dumps(start(given.name)))
