"""Number names from English into French, 0 … 999,999,999, with the links between their words.

    ninety seven    quatre vingt dix sept       quatre, vingt and dix from ninety, sept from seven
    seventy one     soixante et onze            onze from both

French counts by twenties between 60 and 99, agrees (deux cents, but deux cent un and deux cent mille; quatre vingts, but quatre vingt
un) and joins one and eleven by `et`.  Hyphens are written as spaces and commas left out, so that a few dozen words are enough.

A word's link is sure where it says the same digits as the English word, or as much of them as its digits' place holds.  Two kinds of
links are only possible: `et` comes from the tens and the one together, and in "cent" for "one hundred" and "mille" for "one thousand"
nothing is left of the one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from tinymem.tasks.programs import Split
from tinymem.tasks.translation.pairs import Links, Pair, draw_in
from tinymem.tasks.translation.words import Vocabulary, tokenise

MOST_DIGITS = 9

_ENGLISH = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_ENGLISH += ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_ENGLISH_TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_FRENCH = ["zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf"]
_FRENCH += ["dix", "onze", "douze", "treize", "quatorze", "quinze", "seize"]
_FRENCH_TENS = {2: "vingt", 3: "trente", 4: "quarante", 5: "cinquante", 6: "soixante", 8: "quatre vingt"}

VOCABULARIES = (
    Vocabulary((*_ENGLISH, *_ENGLISH_TENS[2:], "hundred", "thousand", "million", "and")),
    Vocabulary((*_FRENCH, *list(_FRENCH_TENS.values())[:5], "vingts", "et", "cent", "cents", "mille", "million", "millions")),
)
"""The words of all number names, English and French."""

Roles = tuple[str, ...]  # what English words are for: digit and hundred, tens, unit, scale (thousand or million)
Row = tuple[str, Roles, Roles]  # a French word, where it surely comes from, and where else it possibly comes from


def _say_group(value: int, words: list[str]) -> dict[str, int]:
    """Appends the English name of 1 … 999; gives back at which place each role is."""
    places: dict[str, int] = {}

    def say(role: str, word: str) -> None:
        places[role] = len(words)
        words.append(word)

    hundreds, rest = divmod(value, 100)
    if hundreds:
        say("digit", _ENGLISH[hundreds])
        say("hundred", "hundred")
    if hundreds and rest:
        say("and", "and")
    if rest >= 20:
        say("tens", _ENGLISH_TENS[rest // 10])
        rest %= 10
    if rest:
        say("unit", _ENGLISH[rest])
    return places


def _below_hundred(value: int, before_mille: bool) -> list[Row]:
    """The French name of 0 … 99; nothing for 0, which is only ever said alone."""
    if value <= 16:
        return [(_FRENCH[value], ("unit",), ())] if value else []
    tens, unit = divmod(value, 10)
    if tens == 1:
        return [("dix", ("unit",), ()), (_FRENCH[unit], ("unit",), ())]  # seventeen is one word in English
    if tens in (7, 9):
        tens, unit = tens - 1, unit + 10
    rows: list[Row] = [(word, ("tens",), ()) for word in _FRENCH_TENS[tens].split()]
    if value == 80 and not before_mille:
        rows[-1] = ("vingts", ("tens",), ())
    if unit in (1, 11) and tens != 8:
        rows.append(("et", (), ("tens", "unit")))
    if unit == 10 or unit > 16:
        rows.append(("dix", ("tens",), ()))
        unit -= 10
    if unit:
        rows.append((_FRENCH[unit], ("tens", "unit") if unit > 10 else ("unit",), ()))
    return rows


def _write_group(value: int, before_mille: bool = False) -> list[Row]:
    """The French name of 1 … 999."""
    hundreds, rest = divmod(value, 100)
    rows: list[Row] = []
    if hundreds == 1:
        rows = [("cent", ("hundred",), ("digit",))]
    elif hundreds:
        agrees = not rest and not before_mille
        rows = [(_FRENCH[hundreds], ("digit",), ()), ("cents" if agrees else "cent", ("hundred",), ())]
    return rows + _below_hundred(rest, before_mille)


def _write_scaled(value: int, scale: str) -> list[Row]:
    """The French name of so many millions, thousands, or ones."""
    if scale == "million":
        return [*_write_group(value), ("millions" if value > 1 else "million", ("scale",), ())]
    if scale == "thousand" and value == 1:
        return [("mille", ("scale",), ("unit",))]
    if scale == "thousand":
        return [*_write_group(value, before_mille=True), ("mille", ("scale",), ())]
    return _write_group(value)


def number_pair(number: int) -> Pair:
    """The English and the French name of a number, with their links.

    >>> " ".join(number_pair(80_071).target)
    'quatre vingt mille soixante et onze'
    """
    if not isinstance(number, (int, numpy.integer)) or isinstance(number, bool) or not 0 <= number < 10**MOST_DIGITS:
        raise ValueError(f"numbers with a name are the whole numbers 0 to {10**MOST_DIGITS - 1:,}, got {number!r}")
    if number == 0:
        return Pair(("zero",), ("zéro",), Links(frozenset({(0, 0)}), frozenset({(0, 0)})))
    source: list[str] = []
    target: list[str] = []
    sure: set[tuple[int, int]] = set()
    possible: set[tuple[int, int]] = set()
    for scale, value in (("million", number // 10**6), ("thousand", number // 1000 % 1000), ("", number % 1000)):
        if not value:
            continue
        if not scale and source and value < 100:
            source.append("and")  # one thousand and five
        places = _say_group(value, source)
        if scale:
            places["scale"] = len(source)
            source.append(scale)
        for i, (word, surely, perhaps) in enumerate(_write_scaled(value, scale), len(target)):
            target.append(word)
            sure |= {(i, places[role]) for role in surely}
            possible |= {(i, places[role]) for role in surely + perhaps}
    return Pair(tuple(source), tuple(target), Links(frozenset(sure), frozenset(possible)))


def number_words(typed: str) -> tuple[str, ...]:
    """The words of a number name as somebody types it: with hyphens and commas, or without.

    >>> number_words("One thousand, ninety-seven")
    ('one', 'thousand', 'ninety', 'seven')
    """
    return tokenise(typed.replace("-", " ").replace(",", " "))


@dataclass(frozen=True)
class NumberTask:
    """Number names by how many digits they have; the number, written in digits, decides the split."""

    shortest: int = 1
    """fewest digits"""
    longest: int = MOST_DIGITS
    """most digits"""

    def __post_init__(self) -> None:
        whole = type(self.shortest) is int and type(self.longest) is int
        if not whole or not 1 <= self.shortest <= self.longest <= MOST_DIGITS:
            raise ValueError(f"number names need whole numbers and 1 <= shortest <= longest <= {MOST_DIGITS}, got {self}")

    @property
    def vocabularies(self) -> tuple[Vocabulary, Vocabulary]:
        """English and French."""
        return VOCABULARIES

    def pair(self, rng: numpy.random.Generator, split: Split, digits: int | None = None) -> Pair:
        """A random number of the split; how many digits it has is drawn too if not given, each as likely."""
        if digits is not None and not self.shortest <= digits <= self.longest:
            raise ValueError(f"these number names have {self.shortest} to {self.longest} digits, got {digits!r}")

        def draw() -> int:
            length = int(rng.integers(self.shortest, self.longest + 1)) if digits is None else digits
            return int(rng.integers(10 ** (length - 1) if length > 1 else 0, 10**length))

        return number_pair(draw_in(split, draw, str))

    def pairs(self, rng: numpy.random.Generator, split: Split, count: int, digits: int | None = None) -> Sequence[Pair]:
        """So many random numbers of the split."""
        return [self.pair(rng, split, digits) for _ in range(count)]
