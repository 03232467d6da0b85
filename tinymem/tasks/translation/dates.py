"""Dates from English into French: the day goes before the month, so that their links cross.

march 3 , 1994                  3 mars 1994
friday , march 1 , 1991         vendredi 1er mars 1991
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy

from tinymem.tasks.programs import Split
from tinymem.tasks.translation.pairs import Links, Pair, Words, draw_in
from tinymem.tasks.translation.words import Vocabulary

_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_JOURS = ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"]
_MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"]
_MOIS = ["janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"]
_NUMBERS = [str(number) for number in range(1, 32)]


def date_pair(day: date, weekday: bool = False) -> Pair:
    """A date in English and in French, with its links, all of them sure; English commas have none.

    >>> " ".join(date_pair(date(1994, 3, 3)).target)
    '3 mars 1994'
    """
    source: Words = (_MONTHS[day.month - 1], str(day.day), ",", str(day.year))
    target: Words = ("1er" if day.day == 1 else str(day.day), _MOIS[day.month - 1], str(day.year))
    links = {(0, 1), (1, 0), (2, 3)}
    if weekday:
        source = (_DAYS[day.weekday()], ",", *source)
        target = (_JOURS[day.weekday()], *target)
        links = {(0, 0)} | {(i + 1, j + 2) for i, j in links}
    return Pair(source, target, Links(frozenset(links), frozenset(links)))


@dataclass(frozen=True)
class DateTask:
    """The days of some years, half of them with the day of the week; the day decides the split, in both forms."""

    first: int = 1900
    """first year"""
    last: int = 2099
    """last year"""

    def __post_init__(self) -> None:
        whole = type(self.first) is int and type(self.last) is int
        if not whole or not 1000 <= self.first <= self.last <= 9999:
            raise ValueError(f"dates need whole years and 1000 <= first <= last <= 9999, got {self}")

    @cached_property
    def vocabularies(self) -> tuple[Vocabulary, Vocabulary]:
        """English and French."""
        years = [str(year) for year in range(self.first, self.last + 1)]
        english = Vocabulary((*_DAYS, *_MONTHS, ",", *_NUMBERS, *years))
        return english, Vocabulary((*_JOURS, *_MOIS, "1er", *_NUMBERS[1:], *years))

    def pair(self, rng: numpy.random.Generator, split: Split) -> Pair:
        """A random day of the split."""
        first, last = date(self.first, 1, 1).toordinal(), date(self.last, 12, 31).toordinal()
        day = draw_in(split, lambda: date.fromordinal(int(rng.integers(first, last + 1))), date.isoformat)
        return date_pair(day, weekday=bool(rng.integers(2)))

    def pairs(self, rng: numpy.random.Generator, split: Split, count: int) -> Sequence[Pair]:
        """So many random days of the split."""
        return [self.pair(rng, split) for _ in range(count)]
