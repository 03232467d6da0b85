"""Dates: against the standard library's reading of the English, and by hand in French."""

from datetime import date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymem.tasks.programs import SPLITS, split_of
from tinymem.tasks.translation.dates import DateTask, date_pair

days = st.dates(date(1900, 1, 1), date(2099, 12, 31))


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ((1994, 1, 3), "lundi 3 janvier 1994"),
        ((1956, 2, 29), "mercredi 29 février 1956"),
        ((1991, 3, 1), "vendredi 1er mars 1991"),
        ((1900, 4, 30), "lundi 30 avril 1900"),
        ((1945, 5, 8), "mardi 8 mai 1945"),
        ((2099, 6, 21), "dimanche 21 juin 2099"),
        ((1989, 7, 14), "vendredi 14 juillet 1989"),
        ((2019, 8, 3), "samedi 3 août 2019"),
        ((2001, 9, 11), "mardi 11 septembre 2001"),
        ((1929, 10, 24), "jeudi 24 octobre 1929"),
        ((1989, 11, 9), "jeudi 9 novembre 1989"),
        ((1999, 12, 31), "vendredi 31 décembre 1999"),
    ],
)
def test_french_by_hand(day, expected):
    assert " ".join(date_pair(date(*day), weekday=True).target) == expected
    assert " ".join(date_pair(date(*day)).target) == expected.partition(" ")[2]


@given(days, st.booleans())
def test_the_english_is_the_day(day, weekday):
    text = " ".join(date_pair(day, weekday).source)
    assert datetime.strptime(text, "%A , %B %d , %Y" if weekday else "%B %d , %Y").date() == day
    if weekday:
        assert text.partition(" ")[0] == day.strftime("%A").lower()


@given(days, st.booleans())
def test_every_word_is_linked_to_its_own_and_day_and_month_cross(day, weekday):
    pair = date_pair(day, weekday)
    assert sorted(i for i, _ in pair.links.sure) == list(range(len(pair.target)))
    assert sorted(j for _, j in pair.links.sure) == [j for j, word in enumerate(pair.source) if word != ","]
    assert pair.links.possible == pair.links.sure
    assert pair.links.crossings == 1
    for i, j in pair.links.sure:
        digits = pair.target[i].removesuffix("er")
        assert digits == pair.source[j] if digits.isdigit() else not pair.source[j].isdigit()


@given(st.integers(0, 2**32 - 1), st.sampled_from(SPLITS))
def test_the_day_decides_the_split_in_both_forms(seed, split):
    pair = DateTask().pair(np.random.default_rng(seed), split)
    day = datetime.strptime(" ".join(pair.source[-4:]), "%B %d , %Y").date()
    assert split_of(day.isoformat()) == split


def test_all_words_are_known_and_both_forms_drawn():
    task = DateTask(1999, 2004)
    pairs = task.pairs(np.random.default_rng(0), "train", 2000)
    assert pairs == task.pairs(np.random.default_rng(0), "train", 2000)
    assert 900 < sum(len(pair.target) == 4 for pair in pairs) < 1100
    for side, vocabulary in zip(("source", "target"), task.vocabularies, strict=True):
        assert {word for pair in pairs for word in getattr(pair, side)} == set(vocabulary.words)


def test_impossible_years_are_refused():
    for years in ((999, 2000), (2000, 1999), (1900, 10_000), (1900, 2000.0)):
        with pytest.raises(ValueError, match="1000 <= first <= last"):
            DateTask(*years)
