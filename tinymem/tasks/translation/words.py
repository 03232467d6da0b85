"""Words as numbers: the vocabulary of one language, and how a typed sentence falls into words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy

from tinymem.tasks.characters import Numbers

SPECIALS = ("<padding>", "<begin>", "<end>", "<unknown>")
PADDING, BEGIN, END, UNKNOWN = range(len(SPECIALS))

_SPELLINGS = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "«": '"', "»": '"', "–": "-", "—": "-"})
_WORD = re.compile(
    r"""  \w+(?=n't\b) | n't\b              # do n't
        | '(?:s|re|ve|ll|d|m)\b           # the macro 's name
        | \w+(?:-\w+)*                    # double-click
        | [^\w\s]                         # each mark is a word""",
    re.VERBOSE,
)


def tokenise(sentence: str) -> tuple[str, ...]:
    """The words of an English sentence, as the shipped corpus writes them: small letters, each punctuation mark a word of its own.

    >>> tokenise("Don't save the macro's name.")
    ('do', "n't", 'save', 'the', 'macro', "'s", 'name', '.')
    """
    return tuple(_WORD.findall(sentence.lower().translate(_SPELLINGS).replace("...", "…")))


@dataclass(frozen=True)
class Vocabulary:
    """The words of a language that have a number of their own: the specials come first, then `words`."""

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        taken = set(self.words) & set(SPECIALS)
        if not self.words or len(set(self.words)) != len(self.words) or taken:
            raise ValueError(
                f"a vocabulary needs at least one word, each only once, and none of {', '.join(SPECIALS)}; got {self.words[:20]}"
            )

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]], min_count: int = 1) -> Vocabulary:
        """The words that occur at least `min_count` times, the most frequent first; to be built from what is trained on alone."""
        if type(min_count) is not int or min_count < 1:
            raise ValueError(f"min_count is a whole number of at least 1, got {min_count!r}")
        counts = Counter(word for sentence in sentences for word in sentence)
        often = [word for word, count in counts.items() if count >= min_count]
        return cls(tuple(sorted(often, key=lambda word: (-counts[word], word))))

    def __len__(self) -> int:
        """How many numbers there are, with those of the specials."""
        return len(SPECIALS) + len(self.words)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, len(SPECIALS))}

    def encode(self, words: Sequence[str]) -> Numbers:
        """The numbers of the words, (length,); a word without one becomes UNKNOWN, and `unknown` says which those are."""
        numbers = self._numbers
        return numpy.fromiter((numbers.get(word, UNKNOWN) for word in words), numpy.int64, len(words))

    def unknown(self, words: Iterable[str]) -> tuple[str, ...]:
        """The words that have no number, each once, in their order."""
        return tuple(dict.fromkeys(word for word in words if word not in self._numbers))

    def decode(self, numbers: Iterable[int] | Numbers) -> tuple[str, ...]:
        """The words before the first `<end>`: the inverse of `encode`; other specials are written as they are."""
        symbols, words = SPECIALS + self.words, []
        for number in numbers:
            if not 0 <= number < len(self):
                raise ValueError(f"the vocabulary has the numbers 0 to {len(self) - 1}, got {number}")
            if number == END:
                break
            words.append(symbols[number])
        return tuple(words)
