"""`python -m benchmarks [--only NAME] [--repeats N] [--cpu N] [--json FILE]`: measure and print the tables."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from benchmarks.machine import settle
from benchmarks.workloads import NAMES as WORKLOADS
from benchmarks.workloads import load

OTHERS = {"cold-start": "benchmarks.cold_start", "length": "benchmarks.length", "per-operation": "benchmarks.per_operation"}
NAMES = (*WORKLOADS, *OTHERS)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What tinymem costs, beside PyTorch and JAX.")
    parser.add_argument("--only", choices=NAMES, help="one benchmark instead of all")
    parser.add_argument(
        "--repeats", type=_at_least_one, default=15, metavar="N", help="rounds of interleaved measurements (default 15; slow ones do fewer)"
    )
    parser.add_argument("--cpu", type=int, metavar="N", help="the CPU to be pinned to (default: the last one allowed)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all numbers here")
    given = parser.parse_args()
    try:
        conditions = settle(given.cpu)
    except OSError as error:
        parser.error(f"--cpu {given.cpu}: {error.strerror}; choose another CPU or leave it out")
    versions = {"python": platform.python_version()} | {name: _version(name) for name in ("numpy", "torch", "jax")}
    print(f"{platform.machine()}, {conditions}; " + ", ".join(f"{name} {version}" for name, version in versions.items()))
    print(f"CPU time, medians of at most {given.repeats} interleaved rounds; cycle collector as in tinymem's training loop\n", flush=True)
    results: dict[str, object] = {"conditions": conditions, "versions": versions, "repeats": given.repeats}
    for name in [given.only] if given.only else NAMES:
        results[name], lines = _run(name, given.repeats)
        print("\n".join(lines) + "\n", flush=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def _run(name: str, rounds: int) -> tuple[dict[str, Any], list[str]]:
    """The result of one benchmark and its table.  Imports only now: libraries read the number of threads when they are imported."""
    if name in WORKLOADS:
        comparison = import_module("benchmarks.comparison")
        result = comparison.measure(load(name), rounds)
        return result, comparison.table(result)
    benchmark = import_module(OTHERS[name])
    result = benchmark.measure(rounds)
    return result, benchmark.table(result)


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    sys.exit(main())
