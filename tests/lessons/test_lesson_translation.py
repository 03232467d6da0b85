"""What was asked of the lesson on translation, in the numbers published with it."""

import json
import math

import pytest

from tinymem.lesson import lesson_files

PUBLISHED = lesson_files()["translation"].parent / "checkpoints" / "translation" / "results.json"
ALL, CLEAN = "all test sentences", "clean test sentences"


def rows(name):
    found = [row for row in json.loads(PUBLISHED.read_text())["rows"] if row["name"] == name]
    assert found, name
    return found


def value(name):
    (row,) = rows(name)
    return row["value"]


def bleu(system, how, which):
    return value(f"LibreOffice, {system}, {how}: BLEU of {which}")


@pytest.mark.parametrize("how", ["greedy", "beam of 4"])
def test_attention_brings_at_least_fifteen_bleu_on_all_and_on_the_clean_sentences(how):
    for which, count in ((ALL, 1000), (CLEAN, 588)):
        gain = value(f"LibreOffice, gain from attention, {how}: {which}")
        assert math.isclose(gain, bleu("additive attention", how, which) - bleu("without attention", how, which))
        assert gain >= 15
        assert rows(f"LibreOffice, gain from attention, {how}: {which}")[0]["n"] == count


@pytest.mark.parametrize("how", ["greedy", "beam of 4"])
def test_bleu_of_fifty_is_reached(how):
    assert bleu("additive attention", how, ALL) >= 50
    assert bleu("additive attention", how, CLEAN) >= 43


def test_attention_learns_in_fewer_updates():
    with_it, without = (value(f"LibreOffice, {system}: updates until BLEU 20") for system in ("additive attention", "without attention"))
    assert with_it <= 0.6 * without


def test_without_attention_long_sentences_suffer_most():
    short, long = (
        value(f"LibreOffice, additive attention: BLEU at {length} words") / value(f"LibreOffice, without attention: BLEU at {length} words")
        for length in ("3-4", "13-16")
    )
    assert long > short > 1


def test_numbers_of_nine_digits_are_translated_with_attention_and_not_without():
    right = {
        (updates, told): value(f"numbers, {updates} updates, {told}: right at 9 digits")
        for updates in (250, 1000)
        for told in ("without attention", "additive attention")
    }
    assert right[1000, "additive attention"] >= 95
    assert right[250, "without attention"] < 5 < 50 < right[1000, "without attention"]  # part of the gap is speed of learning
    assert right[1000, "without attention"] < right[1000, "additive attention"] - 10


def test_the_largest_weight_is_on_the_word_a_word_comes_from():
    for row in rows("Luong, general, 1000 updates: largest weight on the linked word"):
        assert row["value"] >= 0.95
    for row in rows("Luong, general, 1000 updates: right at 9 digits"):
        assert row["value"] >= 95
    assert value("dates: largest weight on the linked word") >= 0.95
    for row in rows("numbers, 1000 updates: the same, or a word beside it"):
        assert row["value"] >= 0.95


@pytest.mark.xfail(strict=True, reason="the additive score looks beside the word: its neighbour's annotation knows it too")
def test_the_additive_score_looks_at_the_very_word():
    assert min(row["value"] for row in rows("numbers, 1000 updates: largest weight on the linked word")) >= 0.95


def test_scores_that_multiply_align_better_than_one_that_looks_at_no_word():
    location = value("Luong, location: alignment error rate")
    for kind in ("dot", "general", "general, input feeding", "general, local-p"):
        assert value(f"Luong, {kind}: alignment error rate") < 0.5 * location


@pytest.mark.xfail(strict=True, reason="of words that IBM model 1 links surely, attention is exactly on 66 %, and on or beside 84 %")
def test_attention_on_real_sentences_is_where_ibm_model_1_has_its_links():
    assert value("LibreOffice, against IBM model 1: largest weight on the linked word") >= 0.70


def test_attention_on_real_sentences_is_at_most_one_word_from_the_links():
    exact = value("LibreOffice, against IBM model 1: largest weight on the linked word")
    near = value("LibreOffice, against IBM model 1: the same, or a word beside it")
    assert near >= 0.8 > exact > 0.6
