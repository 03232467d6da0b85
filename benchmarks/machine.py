"""One core, one thread, and a clock: the conditions under which everything here is measured.

`settle` must run before NumPy, PyTorch or JAX is imported: their thread pools read the environment once.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
SINGLE_THREADED_XLA = "--xla_cpu_multi_thread_eigen=false"
FEWEST_ROUNDS = 3
LONGEST = 60.0  # seconds of rounds for one batch of one workload; a slow one gets fewer rounds

Result = TypeVar("Result")


def settle(cpu: int | None) -> str:
    """Pin this process to one CPU and every library to one thread; returns what was done, for the table's head."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = flags if SINGLE_THREADED_XLA in flags else f"{flags} {SINGLE_THREADED_XLA}".strip()
    os.environ["JAX_PLATFORMS"] = "cpu"
    if not hasattr(os, "sched_setaffinity"):
        return "one thread; this system cannot pin a process to a CPU"
    chosen = max(os.sched_getaffinity(0)) if cpu is None else cpu
    os.sched_setaffinity(0, {chosen})
    return f"one thread, pinned to CPU {chosen}"


def interleaved(runs: Mapping[str, Callable[[], object]], rounds: int, shortest: float = 0.05) -> dict[str, list[float]]:
    """CPU seconds a call, one number per round and contestant, in rounds A B C, A B C, …: a slow minute hits all alike.

    CPU seconds are the whole process's, worker threads included.  Calls too short for the clock are repeated within
    their turn until about `shortest` seconds; the first call of each contestant is a warm-up and not counted.  Rounds
    that would take longer than LONGEST together are made fewer, but not fewer than FEWEST_ROUNDS.
    """
    calls, a_round = {}, 0.0
    for name, run in runs.items():
        run()
        seconds = max(timed(run)[0], 1e-9)
        calls[name] = max(1, round(shortest / seconds))
        a_round += calls[name] * seconds
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(min(rounds, max(FEWEST_ROUNDS, int(LONGEST / a_round)))):
        for name, run in runs.items():
            started = time.process_time()
            for _ in range(calls[name]):
                run()
            times[name].append((time.process_time() - started) / calls[name])
    return times


def timed(run: Callable[[], Result]) -> tuple[float, Result]:
    """CPU seconds of one call, those of programs that it started (a compiler) included; and what it returned."""
    started = _with_children()
    result = run()
    return _with_children() - started, result


def _with_children() -> float:
    spent = os.times()
    return time.process_time() + spent.children_user + spent.children_system


def median_ratio(mine: list[float], theirs: list[float]) -> float:
    """The median over rounds of mine / theirs: both numbers of a ratio were measured next to each other."""
    return statistics.median(a / b for a, b in zip(mine, theirs, strict=True))
