"""Asking a trained model for a sentence in French, and where it looked: `tinymem translate "do you want to save the changes now ?"`.

A recurrent translator has one attention; a Transformer has many heads, and a picture of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tinymem.lesson import Run, UsageError, shipped, shipped_in
from tinymem.models.transformer import TransformerConfig
from tinymem.models.translator import TranslatorConfig
from tinymem.tasks.translation.libreoffice import LibreOfficeTask, libreoffice
from tinymem.tasks.translation.pairs import Pair, Words
from tinymem.tasks.translation.words import BEGIN, END, SPECIALS, tokenise
from tinymem.training.checkpoints import CheckpointError, load_checkpoint
from tinymem.training.configs import from_plain
from tinymem.training.experiment import Experiment
from tinymem.training.heads import HeadWeights, heads_of
from tinymem.training.search import Search, Sentence
from tinymem.training.translation import translations

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Kind = Literal["recurrent", "transformer"]
LESSONS: dict[Kind, str] = {"recurrent": "translation", "transformer": "transformer"}
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
    heads: HeadWeights | None = None
    """of a Transformer that wrote at least one word: what every head looks at when it is told what it wrote"""

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

    @property
    def heads_figure(self) -> Figure:
        """Every head as two columns of words joined by lines; UsageError where there is none."""
        from tinymem.figures.heads import Head, grid_of_heads

        if self.heads is None:
            raise UsageError("there are no heads to draw: the Transformer has some, once it has written a word")
        written = (*self.words, SPECIALS[END])
        before = (SPECIALS[BEGIN], *self.words)
        kinds = {
            "encoder": (self.read, self.read, self.heads.encoder),
            "decoder": (before, before, self.heads.decoder),
            "cross": (written, self.read, self.heads.cross),
        }
        rows = [
            [Head(asking, seen, head, told=f"{kind}, layer {layer}, head {number}") for number, head in enumerate(heads, 1)]
            for kind, (asking, seen, layers) in kinds.items()
            for layer, heads in enumerate(layers, 1)
        ]
        return grid_of_heads(rows, " ".join(self.words))

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


def translate(typed: str, reader: Run | None = None, width: int = 1, kind: Kind = "recurrent") -> Translated:
    """The sentence in French, by the shipped model of this kind unless another is given; `width` sentences are kept in a beam search.

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
    run = trained(kind) if reader is None else reader
    ((words, sentence),) = translations(Search(run.model, eager=True), [source], (english, french), width, size=1)
    experiment: Any = run.experiment
    told = (
        f"{experiment.name}, seed {experiment.seed}: trained on {len(corpus.train)} sentences of LibreOffice; "
        f"BLEU {run.history[-1]['bleu']:.1f} in validation"
    )
    has_heads = words and isinstance(experiment.model, TransformerConfig)
    heads = heads_of(run.model, [Pair(source, words)], (english, french))[0] if has_heads else None
    return Translated(source, words, sentence, told, tuple(_unlike_the_training(source, unknown, shortest)), heads)


def _unlike_the_training(source: Words, unknown: Sequence[str], shortest: int) -> list[str]:
    warnings = []
    if unknown:
        what = "this word is" if len(unknown) == 1 else "these words are"
        warnings.append(f"{what} unknown, and read as {SPECIALS[-1]}, of which the model has learned nothing: {', '.join(unknown)}")
    if len(source) < shortest:
        warnings.append(f"the model was trained on sentences of at least {shortest} words, punctuation marks counted")
    return warnings


def trained(kind: Kind) -> Run:
    """Of the shipped translators of LibreOffice with attention, of this kind, the one that was best in validation."""
    name = LESSONS[kind]
    folder = shipped_in(name)
    found: list[Experiment] = []
    for path in sorted(folder.glob("*.safetensors")):
        for note in load_checkpoint(path)[1]["seeds"].values():
            experiment: Any = from_plain(note["run"])
            if getattr(experiment.task, "task", None) == LibreOfficeTask() and _attends(experiment.model, kind):
                found.append(experiment)
    if not found:
        what = "Transformer" if kind == "transformer" else "translator of LibreOffice with attention"
        raise CheckpointError(f"{folder}: no {what}; train one: tinymem lesson {name} --train")
    return min(shipped(name, found), key=lambda run: run.validation)


def _attends(config: Any, kind: Kind) -> bool:
    if kind == "transformer":
        return isinstance(config, TransformerConfig)
    return isinstance(config, TranslatorConfig) and config.score != "none"
