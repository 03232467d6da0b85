"""One core, one thread, and a clock: the conditions under which everything here is measured.

`settle` must run before NumPy, PyTorch or JAX is imported: their thread pools read the environment once.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
SINGLE_THREADED_XLA = "--xla_cpu_multi_thread_eigen=false"


def settle(cpu: int | None) -> str:
    """Pin this process to one CPU and every library to one thread; returns what was done, for the table's head."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {SINGLE_THREADED_XLA}".strip()
    os.environ["JAX_PLATFORMS"] = "cpu"
    if not hasattr(os, "sched_setaffinity"):
        return "one thread; this system cannot pin a process to a CPU"
    chosen = max(os.sched_getaffinity(0)) if cpu is None else cpu
    os.sched_setaffinity(0, {chosen})
    return f"one thread, pinned to CPU {chosen}"


def interleaved(runs: dict[str, Callable[[], object]], rounds: int, shortest: float = 0.05) -> dict[str, list[float]]:
    """CPU seconds a call, one number per round and contestant, in rounds A B C, A B C, …: a slow minute hits all alike.

    CPU seconds are the whole process's, worker threads included.  Calls too short for the clock are repeated within
    their turn until about `shortest` seconds; the first call of each contestant is a warm-up and not counted.
    """
    calls = {}
    for name, run in runs.items():
        run()
        calls[name] = max(1, round(shortest / max(cpu_seconds(run), 1e-9)))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            started = time.process_time()
            for _ in range(calls[name]):
                run()
            times[name].append((time.process_time() - started) / calls[name])
    return times


def cpu_seconds(run: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    started = time.process_time()
    run()
    return time.process_time() - started


def median_ratio(mine: list[float], theirs: list[float]) -> float:
    """The median over rounds of mine / theirs: both numbers of a ratio were measured next to each other."""
    return statistics.median(a / b for a, b in zip(mine, theirs, strict=True))
