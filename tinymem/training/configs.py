"""Frozen dataclasses to JSON and back, so that a run folder and a checkpoint say how they were made.  Nothing is unpickled."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

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
from tinymem.tasks.programs import AdditionTask, ExecutionTask, MemorisationTask
from tinymem.tasks.scenes import CropTask, SceneTask
from tinymem.tasks.translation.dates import DateTask
from tinymem.tasks.translation.libreoffice import LibreOfficeTask
from tinymem.tasks.translation.numbers import NumberTask
from tinymem.training.fields import ADDED_LATER
from tinymem.training.optimisers import SGD, Adam, GravesRMSProp

RECURRENT = LSTMConfig, NTMConfig, DNCConfig, RNNConfig, StackRNNConfig
MODELS = *RECURRENT, TranslatorConfig, EncoderConfig, CaptionerConfig, TransformerConfig, LanguageModelConfig
EPISODIC = CopyTask, RepeatCopyTask, RecallTask, SortTask, NGramTask, CopySeriesTask
PROGRAMS = AdditionTask, ExecutionTask, MemorisationTask
TASKS = *EPISODIC, *PROGRAMS, StreamTask, NumberTask, DateTask, LibreOfficeTask, SceneTask, CropTask, LookupTask
KNOWN: dict[str, type] = {kind.__name__: kind for kind in (*MODELS, *TASKS, SGD, Adam, GravesRMSProp)}


class ConfigError(ValueError):
    """A stored configuration names a type or a field this version does not know."""


def to_plain(config: Any) -> dict[str, Any]:
    """A dataclass as a dictionary with its type under "type"; nested ones likewise."""
    fields = {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if not _as_before(f, config)}
    return {"type": type(config).__name__, **{k: to_plain(v) if dataclasses.is_dataclass(v) else v for k, v in fields.items()}}


def _as_before(field: dataclasses.Field[Any], config: Any) -> bool:
    """Was this field added later, and does it say what held before?"""
    return ADDED_LATER.items() <= field.metadata.items() and getattr(config, field.name) == field.default


def from_plain(plain: dict[str, Any]) -> Any:
    """The dataclass that `to_plain` wrote."""
    rest = dict(plain)
    name = rest.pop("type", None)
    if name not in KNOWN:
        raise ConfigError(f"unknown configuration type {name!r}; this version of tinymem knows {', '.join(sorted(KNOWN))}")
    kind = KNOWN[name]
    unknown = set(rest) - {f.name for f in dataclasses.fields(kind)}
    if unknown:
        raise ConfigError(f"{name} has no field {', '.join(sorted(unknown))}; was this written by another version of tinymem?")
    return kind(**{k: from_plain(v) if isinstance(v, dict) else v for k, v in rest.items()})


def dumps(config: Any) -> str:
    """One configuration as JSON text; equal configurations give equal text."""
    return json.dumps(to_plain(config), sort_keys=True, indent=1)


def register(kind: type) -> type:
    """Make a further dataclass readable by `from_plain` (a decorator)."""
    KNOWN[kind.__name__] = kind
    return kind
