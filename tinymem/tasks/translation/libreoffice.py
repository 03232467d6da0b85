"""LibreOffice: English sentences of an office program and its help, and their French translations (data/LIBREOFFICE.md).

Pairs of 3 to 16 English words, in small letters.  The vocabulary was closed before the pairs were split: every pair of which a word was
rare was left out, so that minutes of training are enough.  Of many test sentences a similar one is trained on, so results are
reported twice: on all, and on the clean ones alone.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy
import numpy.typing

from tinymem.tasks.translation.pairs import Pair
from tinymem.tasks.translation.words import Vocabulary

Flags = numpy.typing.NDArray[numpy.bool_]

VALIDATION = 300  # the first pairs of the file's training part, which is in random order
SIMILAR = 3, 5  # two sentences are similar if 3 of 5 of their different words are in both


class CorpusError(RuntimeError):
    """A corpus that is missing or damaged; the message says which file, what is wrong and what to do."""


@dataclass(frozen=True)
class Corpus:
    """The pairs to learn from, to choose by, and to be tested on."""

    train: tuple[Pair, ...]
    validation: tuple[Pair, ...]
    test: tuple[Pair, ...]

    @cached_property
    def vocabularies(self) -> tuple[Vocabulary, Vocabulary]:
        """English and French: all words of the training pairs, and no others."""
        return Vocabulary.of(pair.source for pair in self.train), Vocabulary.of(pair.target for pair in self.train)

    @cached_property
    def clean(self) -> Flags:
        """(test pairs,): is no English sentence that is trained on similar to this one?"""
        return ~similar([pair.source for pair in self.test], [pair.source for pair in self.train])


def similar(sentences: Sequence[Sequence[str]], others: Sequence[Sequence[str]]) -> Flags:
    """Has the sentence at least 3/5 of the different words of both in common (Jaccard) with any of the others?  (sentences,)"""
    places: dict[str, list[int]] = {}  # of the others in which a word occurs
    for place, other in enumerate(others):
        for word in set(other):
            places.setdefault(word, []).append(place)
    having = {word: numpy.array(some) for word, some in places.items()}
    sizes = numpy.array([len(set(other)) for other in others])
    found = numpy.zeros(len(sentences), bool)
    share, of = SIMILAR
    for row, sentence in enumerate(sentences):
        words = set(sentence)
        common = numpy.zeros(len(others), int)
        for word in words & having.keys():
            common[having[word]] += 1
        found[row] = (of * common >= share * (len(words) + sizes - common)).any()
    return found


def read_corpus(path: Path | Traversable, validation: int = VALIDATION) -> Corpus:
    """A gzipped file of lines "train" or "test", a sentence, its translation, with tabs between them and spaces between words."""
    advice = "install tinymem again, or give the path of a whole file"
    try:
        with path.open("rb") as file:
            lines = gzip.decompress(file.read()).decode("utf-8").removesuffix("\n").split("\n")
    except FileNotFoundError:
        raise CorpusError(f"{path}: no such corpus; {advice}") from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: the corpus cannot be read ({error or type(error).__name__}); {advice}") from error
    parts: dict[str, list[Pair]] = {"train": [], "test": []}
    for number, line in enumerate(lines, 1):
        match line.split("\t"):
            case [("train" | "test") as part, source, target] if source.split() and target.split():
                parts[part].append(Pair(tuple(source.split()), tuple(target.split())))
            case _:
                raise CorpusError(
                    f"{path}, line {number}: expected train or test, a sentence and its translation, got {line[:80]!r}; {advice}"
                )
    if not 0 < validation < len(parts["train"]) or not parts["test"]:
        raise CorpusError(
            f"{path}: {len(parts['train'])} training and {len(parts['test'])} test pairs, and {validation} of the training pairs are to be "
            f"for validation; there must be at least one of each kind; {advice}"
        )
    train = parts["train"]
    return Corpus(tuple(train[validation:]), tuple(train[:validation]), tuple(parts["test"]))


@cache
def libreoffice() -> Corpus:
    """The shipped corpus, read once."""
    return read_corpus(resources.files("tinymem.tasks") / "data" / "libreoffice.en-fr.tsv.gz")


@dataclass(frozen=True)
class LibreOfficeTask:
    """The shipped corpus as a task that has a name."""

    @property
    def vocabularies(self) -> tuple[Vocabulary, Vocabulary]:
        """English and French."""
        return libreoffice().vocabularies
