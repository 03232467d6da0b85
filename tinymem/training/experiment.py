"""An experiment: one frozen description from which a run follows, seed included."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from tinymem.engine.compile.compiled import compile
from tinymem.engine.graph import no_grad
from tinymem.models.lstm import LSTMConfig
from tinymem.models.ntm import NTMConfig
from tinymem.tasks.algorithms import CopyTask
from tinymem.training.checkpoints import CheckpointError, load_checkpoint
from tinymem.training.configs import ConfigError, dumps, from_plain, register, to_plain
from tinymem.training.loop import Schedule, train
from tinymem.training.objectives import bits_per_sequence
from tinymem.training.optimisers import SGD, Adam, GravesRMSProp

VALIDATION_BATCHES, VALIDATION_BATCH = 8, 8

register(Schedule)


@register
@dataclass(frozen=True)
class Experiment:
    """A model, a task, an optimiser, a schedule and a seed."""

    name: str
    model: NTMConfig | LSTMConfig
    task: CopyTask
    optimiser: GravesRMSProp | Adam | SGD
    schedule: Schedule
    seed: int = 0
    dtype: str = "float32"

    @property
    def folder(self) -> str:
        """A folder name that is the same for equal experiments and differs for different ones."""
        return f"{self.name}-seed{self.seed}-{hashlib.sha1(dumps(self).encode()).hexdigest()[:8]}"


def run_experiment(experiment: Experiment, folder: Path, progress: bool = True, eager: bool = False) -> list[dict[str, float]]:
    """Train (or go on training) in `folder`, by compiled steps unless `eager`; returns the log.

    Three independent streams come from the seed: parameters, training data, validation data.
    """
    for_model, for_data, for_validation = (numpy.random.default_rng([experiment.seed, stream]) for stream in range(3))
    model = experiment.model.build(for_model, experiment.dtype)
    held_out = [experiment.task.batch(for_validation, VALIDATION_BATCH) for _ in range(VALIDATION_BATCHES)]

    def loss_without_graph(episode: Any) -> Any:
        with no_grad():
            return bits_per_sequence(model, episode)

    measure = loss_without_graph if eager else compile(loss_without_graph, state=model)

    def validate(_: Any) -> float:
        return float(numpy.mean([measure(episode).item() for episode in held_out]))

    return train(
        model,
        lambda rng: experiment.task.batch(rng, experiment.schedule.batch),
        bits_per_sequence,
        experiment.optimiser,
        experiment.schedule,
        folder,
        rng=for_data,
        validate=validate,
        note=to_plain(experiment),
        progress=progress,
        eager=eager,
    )


def load_trained(path: Path) -> tuple[Any, Experiment, dict[str, Any]]:
    """The model of a best.safetensors (or shipped) checkpoint, the experiment that made it, and the checkpoint's note."""
    arrays, note = load_checkpoint(path)
    try:
        experiment: Experiment = from_plain(note["run"])
        model = experiment.model.build(numpy.random.default_rng(0), experiment.dtype)
        model.load_state(arrays)
    except (ConfigError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: does not hold a model this version can build: {error}") from error
    return model, experiment, note
