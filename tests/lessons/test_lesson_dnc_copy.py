"""What the lesson dnc-copy must show, from its published numbers (`test_lessons.py` computes them again)."""

import json

import pytest

from tinymem.lesson import lesson_files

SYSTEMS = ("DNC", "NTM", "LSTM", "DNC, up to 8")


@pytest.fixture(scope="module")
def rows():
    path = lesson_files()["dnc-copy"].parent / "checkpoints" / "dnc-copy" / "results.json"
    listed = json.loads(path.read_text(encoding="utf-8"))["rows"]
    named = {row["name"]: row for row in listed}
    assert len(named) == len(listed)
    return named


def test_most_seeds_learn_and_the_dnc_learns_from_the_fewest_series(rows):
    learned = {name: next(row for label, row in rows.items() if label.startswith(f"{name}: seeds below 0.1 bit")) for name in SYSTEMS}
    assert {name: row["n"] for name, row in learned.items()} == {"DNC": 10, "NTM": 10, "LSTM": 3, "DNC, up to 8": 5}
    assert learned["DNC"]["value"] >= 8
    until = {name: rows[f"{name}: series until < 1 bit, median seed"]["value"] for name in ("DNC", "NTM", "LSTM")}
    assert until["DNC"] < until["NTM"] < until["LSTM"]


def test_it_copies_as_many_sequences_as_in_training(rows):
    assert rows["DNC: wrong bits in sequences 1 to 4"]["value"] < 1
    assert rows["DNC: wrong bits in sequences 1 to 4"]["n"] == 10 * 20


def test_it_says_that_more_sequences_than_in_training_are_too_many(rows):
    """Not what one would wish for; the paper shows no longer series than it trained on."""
    wrong = {name: rows[f"{name}: wrong bits in sequences 9 to 20"]["value"] for name in SYSTEMS}
    assert wrong["DNC"] > 30
    assert wrong["DNC, up to 8"] < 0.5 * wrong["DNC"]
    assert wrong["NTM"] < 10
    assert wrong["LSTM"] < 10
    left = [rows[f"DNC: usage left at sequence {place}"]["value"] for place in (4, 10)]
    sharp = [rows[f"DNC: largest write weighting in sequence {place}"]["value"] for place in (4, 10)]
    assert left[0] < 2 < left[1]
    assert sharp[0] > 0.9 > sharp[1]


def test_memory_is_freed_and_used_again(rows):
    again = rows["DNC: locations written to more than once"]
    assert again["unit"] == "of 10"
    assert again["value"] >= 5
    assert rows["DNC: mean largest write weighting, writing"]["value"] > 0.95
    assert rows["DNC: largest sum of usage"]["value"] < 7
    assert rows["DNC: sum of usage after the first answer"]["value"] < 0.3 * rows["DNC: largest sum of usage"]["value"]
    assert rows["DNC: the same, free gate shut"]["value"] > 9.9


def test_the_gates_do_what_the_paper_says(rows):
    for gate, when in (("allocation gate", "writing"), ("free gate", "answering")):
        row = rows[f"DNC: mean {gate}, {when}"]
        assert (row["paper"], row["source"]) == ("active", "Ext. Data Fig. 1")
        assert row["value"] > 0.9
    assert rows["DNC: mean allocation gate, answering"]["value"] < 0.2
    assert rows["DNC: mean write gate, writing"]["value"] > 0.9 > 3 * rows["DNC: mean write gate, answering"]["value"]


def test_reads_and_links_follow_the_order_of_writing(rows):
    assert rows["DNC: reads in the order of writing"]["value"] == 1
    assert rows["DNC: read mode content, at the delimiter"]["value"] > 0.9  # the first vector is found …
    assert rows["DNC: read mode forward, answering"]["value"] > 0.9  # … and the others follow
    for sequence, strength in ((1, 0.99), (4, 0.9)):
        assert rows[f"DNC: mean link from one write to the next, sequence {sequence}"]["value"] > strength
        assert rows[f"DNC: share of its links right above the diagonal, sequence {sequence}"]["value"] > 0.95


def test_the_ntm_goes_round_in_a_circle(rows):
    assert rows["NTM: steps in which its write head makes the usual move"]["value"] > 0.9
    assert rows["NTM: times around the memory in one series"]["value"] > 3
