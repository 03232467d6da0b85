"""The formal languages, each against its own definition: its form, and which of its symbols can be known beforehand."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymem.tasks.languages import COUNTING, SMALLEST, StreamTask

sizes, seeds = st.integers(SMALLEST, 40), st.integers(0, 2**32 - 1)
BLOCKS = {"a^n b^n": (1, 1), "a^n b^n c^n": (1, 1, 1), "a^n b^n c^n d^n": (1, 1, 1, 1), "a^n b^2n": (1, 2)}


def drawn(language, n, seed=0):
    """(its text, a string with ! below each determined symbol, one with * below each that counts)"""
    task = StreamTask(language)
    sequence = task.sequence(np.random.default_rng(seed), n)
    assert len(sequence.symbols) == len(sequence.determined) == len(sequence.counted)
    marks = ("".join(mark if flag else "." for flag in of) for of, mark in ((sequence.determined, "!"), (sequence.counted, "*")))
    return task.write(sequence.symbols), *marks


@pytest.mark.parametrize(
    ("language", "n", "text", "determined"),
    [
        ("a^n b^n", 3, "aaabbb", "!...!!"),  # how many a's there are is not known; the second b and the next a are
        ("a^n b^n c^n", 2, "aabbcc", "!..!!!"),
        ("a^n b^n c^n d^n", 2, "aabbccdd", "!..!!!!!"),
        ("a^n b^2n", 2, "aabbbb", "!..!!!"),
        ("a^n b^m c^(n+m)", 2, "abcc", "!..!"),
    ],
)
def test_a_short_sequence_by_hand(language, n, text, determined):
    assert drawn(language, n) == (text, determined, "*" * len(text))


@given(language=st.sampled_from(sorted(BLOCKS)), n=sizes, seed=seeds)
def test_blocks_are_multiples_of_n_and_all_after_the_first_b_is_determined(language, n, seed):
    text, determined, counted = drawn(language, n, seed)
    multiples = BLOCKS[language]
    assert [(symbol, len(list(run))) for symbol, run in itertools.groupby(text)] == [
        (symbol, multiple * n) for symbol, multiple in zip("abcd", multiples, strict=False)
    ]
    assert determined == "!" + "." * n + "!" * (len(text) - n - 1)
    assert counted == "*" * len(text)


@given(n=sizes, seed=seeds)
def test_a_sum_has_as_many_c_as_a_and_b_together(n, seed):
    text, determined, counted = drawn("a^n b^m c^(n+m)", n, seed)
    first, second, third = map(len, re.fullmatch("(a+)(b+)(c+)", text).groups())
    assert first + second == third == n
    assert determined == "!" + "." * n + "!" * (n - 1)  # not the first c: another b might have come
    assert counted == "*" * len(text)


def test_a_sum_is_split_in_all_ways():
    splits = {drawn("a^n b^m c^(n+m)", 5, seed)[0].count("a") for seed in range(60)}
    assert splits == {1, 2, 3, 4}


@given(n=sizes, seed=seeds)
def test_memorisation_gives_the_word_back_from_its_end(n, seed):
    text, determined, counted = drawn("memorisation", n, seed)
    word, _, again = text.partition("a")
    assert len(word) == n
    assert {*word} <= {"b", "c"}
    assert again == word[::-1]
    assert determined == "." * (n + 1) + "!" * n  # neither the word nor when it ends; nor the first letter of the next word
    assert counted == "*" * len(text)


def test_words_use_both_letters_evenly():
    letters = "".join(drawn("memorisation", 40, seed)[0].partition("a")[0] for seed in range(50))
    assert 0.45 < letters.count("b") / len(letters) < 0.55


@given(n=sizes, seed=seeds)
def test_an_addition_is_right_and_its_sum_begins_with_the_lowest_digit(n, seed):
    text, determined, counted = drawn("binary addition", n, seed)
    first, second, total = re.fullmatch(r"(1[01]*)\+(1[01]*)=([01]*1)\.", text).groups()
    assert len(first) + len(second) == n
    assert int(first, 2) + int(second, 2) == int(total[::-1], 2)
    assert determined == "." * (n + 2) + "!" * (len(total) + 1)  # what is asked: the sum and the full stop
    assert counted == determined.replace("!", "*")


def test_the_papers_addition():
    seen = {drawn("binary addition", 4, seed)[0] for seed in range(200)}
    assert "101+1=011." in seen  # 5 + 1 = 6


def test_equal_seeds_draw_equal_sequences():
    assert drawn("memorisation", 20, 1) == drawn("memorisation", 20, 1) != drawn("memorisation", 20, 2)


def test_the_counting_tasks_are_the_papers_five():
    assert COUNTING == ("a^n b^n", "a^n b^n c^n", "a^n b^n c^n d^n", "a^n b^2n", "a^n b^m c^(n+m)")


@pytest.mark.parametrize("language", [*COUNTING, "memorisation", "binary addition"])
def test_symbols_are_one_hot_inputs(language):
    task = StreamTask(language)
    assert task.inputs == task.outputs == len(task.symbols) == len({*task.symbols})
    assert {*drawn(language, 12)[0]} <= {*task.symbols}


def test_sequences_get_longer_as_training_goes_on():
    task = StreamTask("a^n b^n", first=3, longest=5, grow_every=100)
    assert [task.largest(update) for update in (1, 100, 101, 200, 201, 301, 10_000)] == [3, 3, 4, 4, 5, 5, 5]


@pytest.mark.parametrize("n", [0, 1, -3, 2.0, True])
@pytest.mark.parametrize("language", ["a^n b^n", "memorisation", "binary addition"])
def test_a_size_that_no_sequence_has_is_refused(language, n):
    with pytest.raises(ValueError, match=re.escape(f"{language}: a sequence needs a whole number n of at least 2, got {n}")):
        StreamTask(language).sequence(np.random.default_rng(0), n)


def test_an_unknown_language_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"there is no language 'anbn'; the languages are a\^n b\^n, .*binary addition"):
        StreamTask("anbn")


@pytest.mark.parametrize("change", [{"chunk": 0}, {"reset_every": 0}, {"grow_every": 1.5}, {"validated": -1}, {"longest": True}])
def test_impossible_counts_are_refused(change):
    with pytest.raises(ValueError, match="every count of a stream must be a whole number, at least 1"):
        StreamTask("a^n b^n", **change)


@pytest.mark.parametrize(("first", "longest"), [(1, 5), (6, 5)])
def test_impossible_ranges_are_refused(first, longest):
    with pytest.raises(ValueError, match="2 <= first <= longest"):
        StreamTask("a^n b^n", first=first, longest=longest)
