"""What grows with the sequence: memory and time to compile of an NTM copy step at batch 16, for sequences of different length.

A fresh process and an empty kernel cache for each length; memory is the peak of resident pages, libraries included, and the
program's own, which it says itself.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from typing import Any

from benchmarks.cold_start import CACHE_VARIABLES, peak_megabytes
from benchmarks.machine import settle, timed
from benchmarks.workloads import load

LENGTHS, BATCH = (20, 60, 200), 16
MODES = ("tinymem compiled", "tinymem eager")


def start(name: str, length: int) -> dict[str, float]:
    """In the fresh process: one step, and what it took."""
    import numpy

    from benchmarks.step_in_tinymem import MODES as STEPS

    workload = load("ntm-copy")
    workload = dataclasses.replace(workload, sizes=dataclasses.replace(workload.sizes, length=length))
    rng = numpy.random.default_rng(1)
    contestant = STEPS[name](workload, workload.start(rng), workload.draw(workload.sizes, rng, BATCH), "float32")
    before = peak_megabytes()
    seconds, _ = timed(contestant.step)
    report = {"first_step_seconds": seconds, "grown_megabytes": peak_megabytes() - before}
    if contestant.stats is not None:
        found = contestant.stats()
        report |= {"program_megabytes": found.bytes / 1e6, "rows": found.passes[-1].rows, "kernels": found.kernels}
    return report


def measure(rounds: int) -> dict[str, Any]:
    rows: dict[str, dict[int, dict[str, float]]] = {}
    for name in MODES:
        for length in LENGTHS:
            with tempfile.TemporaryDirectory() as cache:
                process = subprocess.run(
                    [sys.executable, "-m", "benchmarks.length", name, str(length)],
                    env=os.environ | dict.fromkeys(CACHE_VARIABLES, cache),
                    capture_output=True,
                    text=True,
                    check=True,
                )
            rows.setdefault(name, {})[length] = json.loads(process.stdout)
    first, *_, last = LENGTHS
    steps = 2 * (last - first)  # an episode of L vectors has 2 L + 1 time steps
    grown = {name: (of[last]["grown_megabytes"] - of[first]["grown_megabytes"]) / steps for name, of in rows.items()}
    return {"batch": BATCH, "rows": rows, "megabytes_a_time_step": grown}


def table(result: dict[str, Any]) -> list[str]:
    """The result as lines of a Markdown table."""
    lines = [
        f"| NTM copy, batch {result['batch']}, a fresh process | vectors (time steps) | first step, CPU s | peak memory grew by, MB "
        "| program's own, MB | rows | kernels |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, of in result["rows"].items():
        for length, row in of.items():
            own = [f"{row[key]:.4g}" if key in row else "" for key in ("program_megabytes", "rows", "kernels")]
            lines.append(
                f"| {name} | {length} ({2 * int(length) + 1}) | {row['first_step_seconds']:.2f} | {row['grown_megabytes']:.1f} | "
                + " | ".join(own)
                + " |"
            )
    return [*lines, "", *[f"- {name}: {grown:.2f} MB a time step" for name, grown in result["megabytes_a_time_step"].items()]]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="One training step at one length in this process, as JSON.")
    parser.add_argument("name", choices=MODES)
    parser.add_argument("length", type=int)
    given = parser.parse_args()
    settle(None)
    print(json.dumps(start(given.name, given.length)))
