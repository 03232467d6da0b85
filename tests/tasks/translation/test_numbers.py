"""Number names: against num2words, and their links against the values of the words."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tinymem.tasks.programs import SPLITS, split_of
from tinymem.tasks.translation.numbers import VOCABULARIES, NumberTask, number_pair, number_words

LARGEST = 10**9 - 1
numbers = st.integers(1, 9).flatmap(lambda digits: st.integers(0, 10**digits - 1))
seeds = st.integers(0, 2**32 - 1)


def written(number):
    """The names and the words each French word comes from: (surely, and else possibly)."""
    pair = number_pair(number)

    def origins(links, i):
        return " ".join(pair.source[j] for at, j in sorted(links) if at == i)

    links = pair.links
    return [(word, origins(links.sure, i), origins(links.possible - links.sure, i)) for i, word in enumerate(pair.target)]


@pytest.mark.parametrize(
    ("number", "rows"),
    [
        (0, [("zéro", "zero", "")]),
        (17, [("dix", "seventeen", ""), ("sept", "seventeen", "")]),
        (21, [("vingt", "twenty", ""), ("et", "", "twenty one"), ("un", "one", "")]),
        (71, [("soixante", "seventy", ""), ("et", "", "seventy one"), ("onze", "seventy one", "")]),
        (80, [("quatre", "eighty", ""), ("vingts", "eighty", "")]),
        (81, [("quatre", "eighty", ""), ("vingt", "eighty", ""), ("un", "one", "")]),
        (90, [("quatre", "ninety", ""), ("vingt", "ninety", ""), ("dix", "ninety", "")]),
        (92, [("quatre", "ninety", ""), ("vingt", "ninety", ""), ("douze", "ninety two", "")]),
        (97, [("quatre", "ninety", ""), ("vingt", "ninety", ""), ("dix", "ninety", ""), ("sept", "seven", "")]),
        (1100, [("mille", "thousand", "one"), ("cent", "hundred", "one")]),
        (
            200_300,
            [("deux", "two", ""), ("cent", "hundred", ""), ("mille", "thousand", ""), ("trois", "three", ""), ("cents", "hundred", "")],
        ),
        (1_000_001, [("un", "one", ""), ("million", "million", ""), ("un", "one", "")]),
        (80_000_000, [("quatre", "eighty", ""), ("vingts", "eighty", ""), ("millions", "million", "")]),
    ],
)
def test_names_and_links_by_hand(number, rows):
    assert written(number) == rows


@pytest.mark.parametrize(
    ("number", "english", "french"),
    [
        (80_071, "eighty thousand and seventy one", "quatre vingt mille soixante et onze"),
        (1_000_080, "one million and eighty", "un million quatre vingts"),
        (80_180, "eighty thousand one hundred and eighty", "quatre vingt mille cent quatre vingts"),
        (3_017_000, "three million seventeen thousand", "trois millions dix sept mille"),
    ],
)
def test_whole_names_by_hand(number, english, french):
    pair = number_pair(number)
    assert (" ".join(pair.source), " ".join(pair.target)) == (english, french)


@given(numbers)
@example(80_080_080)
@example(200_200_200)
@example(180_000_081)
@example(71_071_071)
@example(LARGEST)
def test_they_are_the_names_num2words_gives(number):
    num2words = pytest.importorskip("num2words", reason="num2words is in the extra test").num2words
    pair = number_pair(number)
    assert pair.source == number_words(num2words(number))
    assert pair.target == tuple(num2words(number, lang="fr").replace("-", " ").split())


def test_all_names_below_ten_thousand_are_those_num2words_gives():
    num2words = pytest.importorskip("num2words", reason="num2words is in the extra test").num2words
    for number in range(10_000):
        assert number_pair(number).target == tuple(num2words(number, lang="fr").replace("-", " ").split())
        assert number_pair(number).source == number_words(num2words(number))


VALUES = {word: value for value, word in enumerate(VOCABULARIES[0].words[:20])}
VALUES |= {word: 10 * tens for tens, word in enumerate(VOCABULARIES[0].words[20:28], 2)}
VALUES |= {"hundred": 100, "thousand": 1000, "million": 10**6}
VALEURS = {word: value for value, word in enumerate(VOCABULARIES[1].words[:17])}
VALEURS |= {"vingt": 20, "vingts": 20, "trente": 30, "quarante": 40, "cinquante": 50, "soixante": 60, "cent": 100, "cents": 100}
VALEURS |= {"mille": 1000, "million": 10**6, "millions": 10**6}


def value_of(words, values):
    """The number a name stands for, read from left to right, in either language."""
    total = group = 0
    last = ""
    for word in words:
        if word in ("and", "et"):
            continue
        value = values[word]
        if value >= 1000:
            total, group = total + max(group, 1) * value, 0
        elif value == 100 or (value == 20 and last == "quatre"):
            below = group % 100
            group += -below + max(below, 1) * value
        else:
            group += value
        last = word
    return total + group


@given(numbers)
def test_both_names_stand_for_the_number(number):
    pair = number_pair(number)
    assert value_of(pair.source, VALUES) == number
    assert value_of(pair.target, VALEURS) == number


@given(numbers)
def test_links_cover_every_word_and_keep_to_their_group(number):
    pair = number_pair(number)
    assert {i for i, _ in pair.links.possible} == set(range(len(pair.target)))
    assert {i for i, _ in pair.links.sure} == {i for i, word in enumerate(pair.target) if word != "et"}
    assert {j for _, j in pair.links.possible} == {j for j, word in enumerate(pair.source) if word != "and"}
    assert pair.links.crossings == 0  # both languages say the large first
    english = [sum(word in ("thousand", "million") for word in pair.source[:j]) for j in range(len(pair.source))]
    french = [sum(word in ("mille", "million", "millions") for word in pair.target[:i]) for i in range(len(pair.target))]
    assert all(english[j] == french[i] for i, j in pair.links.possible)


@given(numbers)
def test_linked_words_have_their_digits_in_common(number):
    """The value of a French word is that of its English words, or a part of it, or what is left of it after sixty or eighty."""
    pair = number_pair(number)
    for i, word in enumerate(pair.target):
        values = [VALUES[pair.source[j]] for at, j in pair.links.sure if at == i]
        if word == "et":
            assert not values
        elif len(values) == 2:
            assert VALEURS[word] == sum(values) % 20
        elif VALEURS[word] >= 100 or values[0] < 17 or values[0] in (20, 30, 40, 50, 60):
            assert values == [VALEURS[word]]
        elif values[0] < 20:
            assert VALEURS[word] in (10, values[0] - 10)
        else:
            assert VALEURS[word] in ((60, 10) if values[0] == 70 else (4, 20, 10))


def test_the_vocabularies_are_the_words_of_the_names():
    rng = np.random.default_rng(0)
    some = [number_pair(number) for number in (*range(2000), 80_000, 10**6, *rng.integers(0, 10**9, 300))]
    for side, vocabulary in zip(("source", "target"), VOCABULARIES, strict=True):
        assert {word for pair in some for word in getattr(pair, side)} == set(vocabulary.words)
    assert [len(vocabulary) for vocabulary in VOCABULARIES] == [36, 33]
    assert max(len(pair.source) for pair in some) <= len(number_pair(LARGEST).source) == 17


@given(seeds, st.sampled_from(SPLITS), st.integers(1, 9))
def test_a_drawn_number_has_its_digits_and_its_split(seed, split, digits):
    pair = NumberTask().pair(np.random.default_rng(seed), split, digits)
    number = value_of(pair.source, VALUES)
    assert len(str(number)) == digits
    assert split_of(str(number)) == split


def test_the_number_of_digits_is_drawn_evenly_and_the_draw_is_seeded():
    task = NumberTask(3, 5)
    pairs = task.pairs(np.random.default_rng(0), "train", 900)
    digits = [len(str(value_of(pair.source, VALUES))) for pair in pairs]
    assert all(abs(digits.count(count) - 300) < 60 for count in (3, 4, 5))
    assert set(digits) == {3, 4, 5}
    assert task.pairs(np.random.default_rng(0), "train", 900) == pairs != task.pairs(np.random.default_rng(1), "train", 900)


def test_no_number_is_in_two_splits():
    drawn = {split: set(NumberTask(1, 3).pairs(np.random.default_rng(0), split, 500)) for split in SPLITS}
    assert all(drawn.values())
    assert not any(drawn[one] & drawn[other] for one, other in [*pairwise(SPLITS), (SPLITS[0], SPLITS[2])])


def test_a_typed_name_may_have_hyphens_and_commas():
    assert number_words("Ninety-nine million, Two thousand") == ("ninety", "nine", "million", "two", "thousand")


def test_impossible_numbers_are_refused():
    for number in (-1, 10**9, 1.0, True, "7"):
        with pytest.raises(ValueError, match="0 to 999,999,999"):
            number_pair(number)
    for sizes in ((0, 1), (2, 1), (1, 10), (1, 2.0)):
        with pytest.raises(ValueError, match="shortest <= longest <= 9"):
            NumberTask(*sizes)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="3 to 5 digits, got 6"):
        NumberTask(3, 5).pair(rng, "train", 6)
    with pytest.raises(ValueError, match="one of train, validation, test"):
        NumberTask().pair(rng, "exam")
