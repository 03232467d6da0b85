"""The one training loop: seeded, logged, resumable bit for bit, stopped cleanly.

A run lives in a folder: `metrics.jsonl` (one line a window of updates), `last.safetensors` (everything needed to go
on), `best.safetensors` (the parameters that did best on validation).  Running into the same folder goes on from there.
"""

from __future__ import annotations

import gc
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy

from tinymem.engine.backend import Array, namespace_of, to_host
from tinymem.engine.compile.compiled import compile
from tinymem.engine.tensor import Tensor
from tinymem.models.module import Module
from tinymem.training.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from tinymem.training.fields import ADDED_LATER
from tinymem.training.optimisers import Optimiser, apply_update, clip_by_norm, clip_elementwise
from tinymem.training.runfolder import BEST, LAST, METRICS, locked, read_log, write_log

SLOWEST = 0.05  # factor on a learning rate that slows down, at the end


class NonFiniteError(FloatingPointError):
    """Loss or gradient became NaN or infinite; the message names the update, the parameter and the last finite checkpoint."""


class Stopped(RuntimeError):
    """The user asked to stop (Ctrl-C); the state was saved, and the same command goes on from it."""


@dataclass(frozen=True)
class Schedule:
    """How long a run lasts and how often it reports."""

    updates: int
    """optimiser updates"""
    batch: int = 1
    """sequences in one update"""
    log_every: int = 100
    """updates in one line of the log (the mean loss over them)"""
    validate_every: int = 500
    """updates between validations; the best parameters are kept"""
    checkpoint_every: int = 1000
    """updates between checkpoints"""
    clip: float = 10.0
    """bound on gradients: elementwise, or on their joint norm"""
    clip_by: str = "element"
    """"element" or "norm" """
    slows_down: bool = field(default=False, metadata=ADDED_LATER)
    """does the learning rate fall to a twentieth, linearly through the second half?"""

    def __post_init__(self) -> None:
        counts = self.updates, self.batch, self.log_every, self.validate_every, self.checkpoint_every
        if any(type(count) is not int or count < 1 for count in counts) or self.clip <= 0:
            raise ValueError(f"every count of a schedule must be a whole number, at least 1, and clip positive: {self}")
        if self.clip_by not in ("element", "norm"):
            raise ValueError(f"clip_by must be 'element' or 'norm', got {self.clip_by!r}")

    def pace(self, update: int) -> float:
        """The factor on the learning rate of this update, counted from 1."""
        return slowing(update, self.updates) if self.slows_down else 1.0


def slowing(update: int, updates: int) -> float:
    """A learning rate's factor that stays at 1 through the first half of a run and falls linearly to a twentieth through the second."""
    return min(1.0, max(2 * (1 - update / updates), SLOWEST))


class Course(Protocol):
    """What a run learns from, and what else goes on as it goes on: a curriculum's level, a stream's place, a state carried over."""

    @property
    def pace(self) -> float:
        """The factor on the learning rate, beside the schedule's."""
        ...

    @property
    def carried(self) -> dict[str, Tensor]:
        """Part of the step's state: the loss rebinds their data."""
        ...

    def draw(self, rng: numpy.random.Generator) -> Any:
        """The next batch."""
        ...

    def loss(self, model: Any, batch: Any) -> Tensor:
        """What is minimised, a scalar."""
        ...

    def validate(self, model: Any) -> float | None:
        """By what parameters are compared, the lower the better; None if they are not."""
        ...

    def report(self) -> dict[str, float]:
        """What a line of the log says of it."""
        ...

    def progress(self) -> dict[str, Any]:
        """All of it but `carried`, as JSON knows it, for the checkpoint."""
        ...

    def go_on(self, progress: dict[str, Any]) -> None:
        """Go on from what `progress` said."""
        ...


@dataclass(frozen=True)
class Steady:
    """A course on which nothing goes on but the parameters: every batch is drawn alike."""

    draw: Callable[[numpy.random.Generator], Any]
    loss: Callable[[Any, Any], Tensor]
    measure: Callable[[Any], float] | None = None
    pace: float = 1.0
    carried: dict[str, Tensor] = field(default_factory=dict)

    def validate(self, model: Any) -> float | None:
        return self.measure(model) if self.measure else None

    def report(self) -> dict[str, float]:
        return {}

    def progress(self) -> dict[str, Any]:
        return {}

    def go_on(self, progress: dict[str, Any]) -> None:
        pass


def train(
    model: Module,
    course: Course,
    optimiser: Optimiser,
    schedule: Schedule,
    folder: Path,
    *,
    rng: numpy.random.Generator,
    note: dict[str, Any] | None = None,
    unit: str = "bits per sequence",
    progress: bool = True,
    eager: bool = False,
) -> list[dict[str, float]]:
    """Train `model` on its `course` until `schedule.updates`, and return the log (the lines of metrics.jsonl).

    The course's loss is in `unit`.  Updates are compiled steps, unless `eager`.  `rng` is the only source of randomness; its state
    and the course's progress are part of the checkpoint, so an interrupted run that is resumed ends in exactly the state of an
    uninterrupted one.
    Raises NonFiniteError, Stopped (after Ctrl-C), CheckpointError.
    """
    with locked(folder), _stop_on_interrupt() as stop_requested, collecting_rarely():
        run = _Run(model, course, optimiser, folder, rng, note or {})
        run.resume()
        update = update_step(model, course.loss, optimiser, schedule, run.slots)
        if not eager:
            update = compile(update, state={"parameter": model, "slot": run.slots, "carried": course.carried})
        bar = _progress_bar(schedule.updates, run.update, progress)
        while run.update < schedule.updates:
            started = time.process_time()
            batch = course.draw(rng)
            value = _checked_loss(update(batch, run.update + 1, course.pace * schedule.pace(run.update + 1)), run)
            run.update += 1
            run.window_loss += value
            run.window_seconds += time.process_time() - started
            run.window_updates += 1
            if run.update % schedule.validate_every == 0:
                run.validated(course.validate(model))
            if run.update % schedule.log_every == 0 or run.update == schedule.updates:
                line = run.log(schedule.batch)
                bar.update(run.update - bar.n)
                bar.set_postfix_str(f"{line['loss']:.3g} {unit}")
            if run.update % schedule.checkpoint_every == 0 or run.update == schedule.updates or stop_requested():
                run.save()
            if stop_requested():
                bar.close()
                raise Stopped(
                    f"stopped at update {run.update} of {schedule.updates}; the state is in {run.folder / LAST}. "
                    "The same command goes on from there"
                )
        bar.close()
    return run.history


Slots = dict[str, dict[str, Tensor]]  # by parameter and name: the optimiser's memory, as Tensors so that a step can rebind them


def update_step(
    model: Module, loss_of: Callable[[Any, Any], Tensor], optimiser: Optimiser, schedule: Schedule, slots: Slots
) -> Callable[..., Array]:
    """The step that is trained with: (batch, number of the update, pace) -> the loss, then the sum of each parameter's gradient.

    Forward, backward, clip, update.  Where the loss or a gradient is not finite, nothing is changed.
    """
    parameters = model.parameters()
    clip = clip_elementwise if schedule.clip_by == "element" else clip_by_norm

    def step(batch: Any, number: int, pace: float = 1.0) -> Array:
        for parameter in parameters.values():
            parameter.grad = None
        loss = loss_of(model, batch)
        loss.backward()
        xp = namespace_of(loss.data)
        gradients = {name: xp.zeros_like(p.data) if p.grad is None else p.grad for name, p in parameters.items()}
        report = xp.stack([loss.data.reshape(()), *[gradient.sum() for gradient in gradients.values()]])
        finite = xp.isfinite((report * 0).sum())  # inf · 0 is NaN; a sum of large numbers alone must not stop the update
        before = {name: parameter.data for name, parameter in parameters.items()}
        arrays = {name: {slot: tensor.data for slot, tensor in own.items()} for name, own in slots.items()}
        apply_update(optimiser, parameters, clip(gradients, schedule.clip), arrays, number, pace)
        for name, parameter in parameters.items():
            parameter.data = xp.where(finite, parameter.data, before[name])
            for slot, tensor in slots[name].items():
                tensor.data = xp.where(finite, arrays[name][slot], tensor.data)
        return report

    return step


class _Run:
    """The resumable state of one run and its folder."""

    def __init__(
        self, model: Module, course: Course, optimiser: Optimiser, folder: Path, rng: numpy.random.Generator, note: dict[str, Any]
    ) -> None:
        self.model, self.course, self.folder, self.rng, self.note = model, course, folder, rng, note
        self.update = 0
        self.best = math.inf
        self.latest_validation: float | None = None
        self.window_loss = self.window_seconds = 0.0
        self.window_updates = 0
        self.history: list[dict[str, float]] = []
        self.slots: Slots = {
            name: {slot: Tensor(array) for slot, array in optimiser.start(p.data).items()} for name, p in model.named_parameters()
        }

    _COUNTERS = ("update", "best", "latest_validation", "window_loss", "window_seconds", "window_updates")

    def resume(self) -> None:
        """Go on from the folder's last checkpoint, if it has one of the same configuration."""
        last = self.folder / LAST
        if not last.exists():
            (self.folder / METRICS).unlink(missing_ok=True)
            return
        arrays, note = load_checkpoint(last)
        if note.get("run") != self.note:
            raise CheckpointError(
                f"{last}: belongs to a run with another configuration or seed; choose another --out, or delete that folder"
            )
        try:
            self.model.load_state({name.removeprefix("parameter/"): a for name, a in arrays.items() if name.startswith("parameter/")})
            for name, slots in self.slots.items():
                for slot, tensor in slots.items():
                    tensor.data = namespace_of(tensor.data).asarray(arrays[f"slot/{name}/{slot}"])
            for name, tensor in self.course.carried.items():
                tensor.data = namespace_of(tensor.data).asarray(arrays[f"carried/{name}"])
            self.course.go_on(note["course"])
            for counter in self._COUNTERS:
                setattr(self, counter, note[counter])
            self.rng.bit_generator.state = note["rng"]
        except (KeyError, ValueError, TypeError) as error:
            raise CheckpointError(f"{last}: is no complete state of a run ({error}); delete that folder and train again") from error
        self.best = math.inf if self.best is None else self.best
        self.history = [line for line in read_log(self.folder) if line["update"] <= self.update]
        write_log(self.folder, self.history)

    def save(self) -> None:
        arrays = {f"parameter/{name}": array for name, array in self.model.state().items()}
        arrays |= {f"slot/{name}/{slot}": to_host(tensor) for name, slots in self.slots.items() for slot, tensor in slots.items()}
        counters = {counter: getattr(self, counter) for counter in self._COUNTERS}
        counters["best"] = None if math.isinf(self.best) else self.best  # JSON knows no infinity
        arrays |= {f"carried/{name}": to_host(tensor) for name, tensor in self.course.carried.items()}
        counters["course"] = self.course.progress()
        save_checkpoint(self.folder / LAST, arrays, {"run": self.note, "rng": self.rng.bit_generator.state, **counters})

    def validated(self, value: float | None) -> None:
        self.latest_validation = value
        if value is not None and value < self.best:
            self.best = value
            save_checkpoint(self.folder / BEST, self.model.state(), {"run": self.note, "update": self.update, "validation": value})

    def log(self, batch: int) -> dict[str, float]:
        line: dict[str, Any] = {
            "update": self.update,
            "sequences": self.update * batch,
            "loss": self.window_loss / self.window_updates,
            "validation": self.latest_validation,
            "cpu_seconds": round(self.window_seconds, 3),
            **self.course.report(),
        }
        self.window_loss = self.window_seconds = 0.0
        self.window_updates = 0
        self.history.append(line)
        with open(self.folder / METRICS, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        return line


def _checked_loss(report: Array, run: _Run) -> float:
    """The loss as a number, once it and every gradient are known to be finite: the one synchronisation of an update."""
    value, *sums = to_host(report).tolist()
    if not all(map(math.isfinite, [value, *sums])):
        bad = [] if math.isfinite(value) else ["the loss"]
        bad += [
            f"the gradient of {name}"
            for (name, _), total in zip(run.model.named_parameters(), sums, strict=True)
            if not math.isfinite(total)
        ]
        last = run.folder / LAST
        where = f"the last finite checkpoint is {last}" if last.exists() else "there is no earlier checkpoint"
        raise NonFiniteError(
            f"update {run.update + 1}: {', '.join(bad)} is not finite; {where}. "
            "Try a smaller learning rate or a tighter clip, or check the data for NaN"
        )
    return float(value)


@contextmanager
def _stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C into a request that is honoured after the current update (only the main thread can)."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    previous = signal.signal(signal.SIGINT, lambda *_: asked.set())
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """A tape is many thousand objects without a cycle: Python's cycle collector costs 10 % of a step and finds nothing."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.set_threshold(200_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


def _progress_bar(total: int, initial: int, show: bool) -> Any:
    from tqdm.auto import tqdm

    return tqdm(total=total, initial=initial, unit="update", disable=None if show else True, dynamic_ncols=True)
