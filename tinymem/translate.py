"""Asking a trained model for a sentence in French, and where it looked: `tinymem translate "do you want to save the changes now ?"`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinymem.lesson import Run, UsageError, find_lesson
from tinymem.tasks.translation.libreoffice import LibreOfficeTask, libreoffice
from tinymem.tasks.translation.pairs import Words
from tinymem.tasks.translation.words import END, SPECIALS, tokenise
from tinymem.training.checkpoints import CheckpointError, load_checkpoint
from tinymem.training.configs import from_plain
from tinymem.training.experiment import Experiment
from tinymem.training.search import Search, Sentence
from tinymem.training.ship import load_shipped
from tinymem.training.translation import Translation, translations

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LESSON = "translation"
EXAMPLE = "do you want to save the changes now ?"
LEAST_SHOWN = 0.05  # a weight below it is a dot in the text, which has no grey


@dataclass(frozen=True)
class Translated:
    """A sentence, what a model makes of it, and where it looked."""

    source: Words
    words: Words
    """the translation"""
    sentence: Sentence
    """as the search found it, with the attention before each word"""
    reader: str
    """which model, and what it was trained on"""
    warnings: tuple[str, ...]
    """in what the sentence differs from those the model was trained on"""

    @property
    def read(self) -> Words:
        """The words across the matrix."""
        return (*self.source, SPECIALS[END])

    @property
    def written(self) -> Words:
        """The words down the matrix; `<end>` is missing where the search had to be cut off."""
        ended = len(self.sentence.numbers) > len(self.words)
        return (*self.words, SPECIALS[END]) if ended else self.words

    @property
    def figure(self) -> Figure:
        """The alignment matrix as a picture."""
        from tinymem.figures.aligning import Alignment, alignment_matrices

        return alignment_matrices([Alignment(self.read, self.written, self.sentence.weights)], " ".join(self.words))

    def __str__(self) -> str:
        rows = [["", *self.read]]
        for word, weights in zip(self.written, self.sentence.weights, strict=True):
            rows.append([word, *(f"{100 * weight:.0f}" if weight >= LEAST_SHOWN else "·" for weight in weights)])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        matrix = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
        said = [f"sentence:     {' '.join(self.source)}", f"read by:      {self.reader}", ""]
        said += [f"translation:  {' '.join(self.words) or '(no word)'}", ""]
        said += [f"where it looked before each word, in % (· is under {LEAST_SHOWN:.0%})", "", *matrix]
        said += ["", *(f"beware:       {warning}" for warning in self.warnings)] if self.warnings else []
        return "\n".join(said)


def translate(typed: str, reader: Run | None = None, width: int = 1) -> Translated:
    """The sentence in French, by the shipped model with attention unless another is given; `width` sentences are kept in a beam search.

    UsageError for an empty sentence, for one of which no word is known, and for one longer than any of the training.
    """
    source = tokenise(typed)
    if not source:
        raise UsageError(f'the sentence is empty; give one as in tinymem translate "{EXAMPLE}", or - to read it from the standard input')
    if width < 1:
        raise UsageError(f"a search keeps at least one sentence, got {width}")
    corpus = libreoffice()
    english, french = corpus.vocabularies
    lengths = [len(pair.source) for pair in corpus.train]
    shortest, longest = min(lengths), max(lengths)
    if len(source) > longest:
        raise UsageError(
            f"the sentence has {len(source)} words, punctuation marks counted, and the model was trained on {shortest} to {longest}; "
            "write a shorter one"
        )
    unknown = english.unknown(source)
    if set(source) == set(unknown):
        raise UsageError(
            f"no word of the sentence is among the {len(english.words)} that the model knows, those of an office program and its help "
            f"({', '.join(word for word in english.words[:60] if len(word) > 3)}, …); try: {EXAMPLE}"
        )
    run = _shipped() if reader is None else reader
    ((words, sentence),) = translations(Search(run.model, eager=True), [source], (english, french), width, size=1)
    experiment: Any = run.experiment
    told = (
        f"{experiment.name}, seed {experiment.seed}: trained on {len(corpus.train)} sentences of LibreOffice; "
        f"BLEU {run.history[-1]['bleu']:.1f} in validation"
    )
    return Translated(source, words, sentence, told, tuple(_unlike_the_training(source, unknown, shortest)))


def _unlike_the_training(source: Words, unknown: Sequence[str], shortest: int) -> list[str]:
    warnings = []
    if unknown:
        what = "this word is" if len(unknown) == 1 else "these words are"
        warnings.append(f"{what} unknown, and read as {SPECIALS[-1]}, of which the model has learned nothing: {', '.join(unknown)}")
    if len(source) < shortest:
        warnings.append(f"the model was trained on sentences of at least {shortest} words, punctuation marks counted")
    return warnings


def _shipped() -> Run:
    """Of the shipped translators of LibreOffice with attention the one that was best in validation."""
    folder = find_lesson(LESSON).parent / "checkpoints" / LESSON
    found: list[Experiment] = []
    for path in sorted(folder.glob("*.safetensors")):
        for note in load_checkpoint(path)[1]["seeds"].values():
            experiment: Any = from_plain(note["run"])
            if experiment.task == Translation(LibreOfficeTask(), experiment.task.smoothing) and experiment.model.score != "none":
                found.append(experiment)
    if not found:
        raise CheckpointError(f"{folder}: no translator of LibreOffice with attention; train one: tinymem lesson {LESSON} --train")
    runs = [Run(e, model, log, note["validation"]) for e, (model, log, note) in zip(found, load_shipped(folder, found), strict=True)]
    return min(runs, key=lambda run: run.validation)
