"""An experiment: one frozen description from which a run follows, seed included."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy

from tinymem.engine.compile.compiled import compile
from tinymem.engine.graph import no_grad
from tinymem.models.captioner import CaptionerConfig
from tinymem.models.cnn import EncoderConfig
from tinymem.models.dnc import DNCConfig
from tinymem.models.language_model import LanguageModelConfig
from tinymem.models.lstm import LSTMConfig
from tinymem.models.ntm import NTMConfig
from tinymem.models.rnn import RNNConfig
from tinymem.models.stack_rnn import StackRNNConfig
from tinymem.models.transformer import TransformerConfig
from tinymem.models.translator import TranslatorConfig
from tinymem.tasks.algorithms import CopySeriesTask, CopyTask, RecallTask, RepeatCopyTask, SortTask
from tinymem.tasks.languages import StreamTask
from tinymem.tasks.lookup import LookupTask
from tinymem.tasks.ngrams import NGramTask
from tinymem.tasks.scenes import CropTask
from tinymem.training.captioning import CaptionCourse, Captioning, Reinforce, crop_course
from tinymem.training.checkpoints import CheckpointError, load_checkpoint
from tinymem.training.configs import ConfigError, dumps, from_plain, register, to_plain
from tinymem.training.curricula import Curriculum, CurriculumCourse
from tinymem.training.looking_up import LookupCourse
from tinymem.training.loop import Course, Schedule, Steady, train
from tinymem.training.objectives import bits_per_sequence
from tinymem.training.optimisers import SGD, Adam, GravesRMSProp
from tinymem.training.streams import StreamCourse
from tinymem.training.translation import Translation, TranslationCourse

RecurrentConfig = NTMConfig | DNCConfig | LSTMConfig | RNNConfig | StackRNNConfig
AttentionConfig = TranslatorConfig | EncoderConfig | CaptionerConfig | TransformerConfig | LanguageModelConfig
EpisodicTask = CopyTask | RepeatCopyTask | RecallTask | SortTask | NGramTask | CopySeriesTask

UNITS = {
    StreamTask: "bits per symbol",
    Curriculum: "bits per character",
    Translation: "bits per word",
    CropTask: "bits per picture",
    Captioning: "bits per word",
    LookupTask: "bits per asked word",
}

VALIDATION_BATCHES, VALIDATION_BATCH = 8, 8

register(Schedule)
register(Curriculum)
register(Translation)
register(Captioning)
register(Reinforce)


@register
@dataclass(frozen=True)
class Experiment:
    """A model, a task, an optimiser, a schedule and a seed."""

    name: str
    model: RecurrentConfig | AttentionConfig
    task: EpisodicTask | StreamTask | Curriculum | Translation | CropTask | Captioning | LookupTask
    optimiser: GravesRMSProp | Adam | SGD
    schedule: Schedule
    seed: int = 0
    dtype: str = "float32"

    @property
    def folder(self) -> str:
        """A folder name that is the same for equal experiments and differs for different ones."""
        return f"{self.name}-seed{self.seed}-{hashlib.sha1(dumps(self).encode()).hexdigest()[:8]}"

    @property
    def family(self) -> str:
        """A name that is the same for experiments that differ in their seed alone."""
        return f"{self.name}-{hashlib.sha1(dumps(replace(self, seed=0)).encode()).hexdigest()[:8]}"

    @property
    def unit(self) -> str:
        """The unit of its loss."""
        return UNITS.get(type(self.task), "bits per sequence")


def episodes(task: EpisodicTask, size: int, seed: int, eager: bool) -> Steady:
    """A run on episodes, compared by the mean bits per sequence of some that are never trained on."""
    rng = numpy.random.default_rng([seed, 2])
    held_out = [task.batch(rng, VALIDATION_BATCH) for _ in range(VALIDATION_BATCHES)]
    loss: Any = None

    def measure(model: Any) -> float:
        nonlocal loss

        def loss_without_graph(episode: Any) -> Any:
            with no_grad():
                return bits_per_sequence(model, episode)

        if loss is None:  # compiled once a run
            loss = loss_without_graph if eager else compile(loss_without_graph, state=model)
        return float(numpy.mean([loss(episode).item() for episode in held_out]))

    return Steady(lambda rng: task.batch(rng, size), bits_per_sequence, measure)


def course_of(experiment: Experiment, model: Any, eager: bool = False) -> Course:
    """What the run draws, minimises and is compared by."""
    task, size, seed = experiment.task, experiment.schedule.batch, experiment.seed
    if isinstance(task, StreamTask):
        return StreamCourse(task, model, experiment.schedule, seed, eager)
    if isinstance(task, Translation):
        return TranslationCourse(task, experiment.schedule, seed, eager)
    if isinstance(task, CropTask):
        return crop_course(task, size, seed, eager)
    if isinstance(task, LookupTask):
        return LookupCourse(task, size, seed)
    if isinstance(task, Captioning):
        return CaptionCourse(task, model, experiment.schedule, seed, eager)
    if isinstance(task, Curriculum):
        return CurriculumCourse(task, size, seed, eager)
    return episodes(task, size, seed, eager)


def run_experiment(experiment: Experiment, folder: Path, progress: bool = True, eager: bool = False) -> list[dict[str, float]]:
    """Train (or go on training) in `folder`, by compiled steps unless `eager`; returns the log.

    Three independent streams come from the seed: parameters, training data, validation data.
    """
    for_model, for_data = (numpy.random.default_rng([experiment.seed, stream]) for stream in range(2))
    model = experiment.model.build(for_model, experiment.dtype)
    return train(
        model,
        course_of(experiment, model, eager),
        experiment.optimiser,
        experiment.schedule,
        folder,
        rng=for_data,
        note=to_plain(experiment),
        unit=experiment.unit,
        progress=progress,
        eager=eager,
    )


def load_trained(path: Path) -> tuple[Any, Experiment, dict[str, Any]]:
    """The model of a best.safetensors checkpoint, the experiment that made it, and the checkpoint's note."""
    arrays, note = load_checkpoint(path)
    return (*rebuild(path, arrays, note), note)


def rebuild(path: Path, arrays: dict[str, Any], note: dict[str, Any]) -> tuple[Any, Experiment]:
    """A trained model and its experiment from what a checkpoint holds; CheckpointError, naming `path`, if this version cannot."""
    try:
        experiment: Experiment = from_plain(note["run"])
        model = experiment.model.build(numpy.random.default_rng(0), experiment.dtype)
        model.load_state(arrays)
    except (ConfigError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: does not hold a model this version can build: {error}") from error
    return model, experiment
