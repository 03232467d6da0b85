"""Several runs side by side, each in a process of its own with one BLAS thread.

On matrices of this size two processes of one thread beat one process of two.  A run is described by the JSON file in
its folder and by nothing else, so a sweep that is started again goes on where each run stopped.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinymem.engine.backend import use
from tinymem.training.checkpoints import write_atomically
from tinymem.training.configs import dumps, from_plain
from tinymem.training.experiment import Experiment, run_experiment
from tinymem.training.loop import Stopped
from tinymem.training.runfolder import read_log

DESCRIPTION, ERRORS = "experiment.json", "errors.txt"
INTERRUPTED = 130  # exit code of a run that was asked to stop, and saved its state
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1")


class RunFailed(RuntimeError):
    """A run of a sweep ended with an error; the message carries the run's own."""


def sweep(
    experiments: Sequence[Experiment],
    out: Path,
    processes: int | None = None,
    progress: bool = True,
    backend: str = "numpy",
    eager: bool = False,
) -> list[Path]:
    """Train all experiments, `processes` at a time (default: the machine's cores), and return their folders in order.

    By compiled steps, unless `eager`.
    Says what it does with threads.  Raises RunFailed with the first failing run's message after the others have
    finished, and Stopped on Ctrl-C after every run has saved its state.
    """
    from tqdm.auto import tqdm

    cores = os.cpu_count() or 1
    processes = processes or cores
    threads = max(1, cores // max(1, min(processes, len(experiments))))  # of a compiled step: the cores that no other run wants
    folders = [out / experiment.folder for experiment in experiments]
    waiting = []
    for experiment, folder in zip(experiments, folders, strict=True):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / DESCRIPTION, dumps(experiment).encode())
        waiting.append((experiment, folder))
    print(f"training {len(experiments)} runs, {min(processes, len(experiments))} at a time, one BLAS thread each, into {out}")
    running: list[tuple[Experiment, Path, subprocess.Popen[bytes], Any]] = []
    failures: list[str] = []
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                experiment, folder = waiting.pop(0)
                bar = tqdm(
                    total=experiment.schedule.updates, desc=f"{experiment.name} seed {experiment.seed}", disable=None if progress else True
                )
                running.append((experiment, folder, _start(folder, backend, eager, threads), bar))
            time.sleep(0.3)
            for entry in list(running):
                experiment, folder, process, bar = entry
                log = read_log(folder)
                if log:
                    bar.update(log[-1]["update"] - bar.n)
                    bar.set_postfix_str(f"{log[-1]['loss']:.3g} {experiment.unit}")
                if process.poll() is not None:
                    running.remove(entry)
                    bar.close()
                    if process.returncode == INTERRUPTED:  # we ignore such signals where a shell has put us into its background
                        raise KeyboardInterrupt
                    if process.returncode:
                        said = (folder / ERRORS).read_text(encoding="utf-8").strip().splitlines()
                        failures.append(f"run {folder.name}: {said[-1] if said else f'ended with exit code {process.returncode}'}")
    except BaseException as reason:
        for _, _, process, _ in running:  # a terminal sends Ctrl-C to all of us; somebody else's signal reaches only this process
            process.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)
        for _, _, process, bar in running:
            process.wait()  # for its checkpoint
            bar.close()
        if not isinstance(reason, KeyboardInterrupt):
            raise
        raise Stopped(f"stopped; every run saved its state under {out}. The same command goes on from there") from None
    if failures:
        raise RunFailed("; ".join(failures))
    return folders


def _start(folder: Path, backend: str, eager: bool, threads: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tinymem.training.sweep", str(folder), backend, *["eager"] * eager]
    with open(folder / ERRORS, "w", encoding="utf-8") as errors:
        return subprocess.Popen(command, env={**os.environ, **ONE_THREAD, "TINYMEM_THREADS": str(threads)}, stderr=errors)


def main(folder: Path, backend: str = "numpy", mode: str = "compiled") -> int:
    """Run the experiment described in `folder`, "compiled" or "eager": what each process of a sweep executes."""
    experiment = from_plain(json.loads((folder / DESCRIPTION).read_text(encoding="utf-8")))
    try:
        with use(backend):
            run_experiment(experiment, folder, progress=False, eager=mode == "eager")
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return INTERRUPTED if isinstance(error, Stopped) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
