"""What was asked of the lesson on associative recall, in the numbers published with it."""

import json

import pytest

from tinymem.lesson import lesson_files

PUBLISHED = lesson_files()["ntm-recall"].parent / "checkpoints" / "ntm-recall" / "results.json"
PAPER = {"NTM-FF": {6: 0.01, 10: 0.12, 15: 1.46, 20: 7.99}, "LSTM": {6: 2.26, 10: 36.55, 15: 39.84, 20: 38.07}}  # Fig. 11, by its vectors


def rows(name):
    found = [row for row in json.loads(PUBLISHED.read_text())["rows"] if row["name"] == name]
    assert found, name
    return found


def best(system, items):
    """Bits per sequence of the seed that was best on sequences that only choose."""
    (row,) = rows(f"{system}, best of the seeds: loss at {items} items")
    return row["value"]


def test_every_loss_is_a_mean_over_two_hundred_sequences_beside_the_papers():
    for system, points in PAPER.items():
        for items in (2, 6, 10, 12, 15, 20):
            for row in rows(f"{system}: loss at {items} items"):
                assert row["n"] == 200
                assert row["paper"] == points.get(items)
    assert rows("NTM-FF, best of the seeds: loss at 20 items")[0]["paper"] == 7.99


def test_a_memory_recalls_among_more_items_than_it_was_trained_on():
    assert best("NTM-LSTM", 6) < 1
    assert best("NTM-LSTM", 12) < 2
    assert best("LSTM", 12) > 10 * best("NTM-LSTM", 12)


def test_the_feed_forward_controller_recalls_too():
    assert best("NTM-FF", 6) < 1
    assert best("NTM-FF", 12) < 2


def test_the_lstm_learns_its_six_items_and_is_surely_wrong_beyond():
    assert max(row["value"] for row in rows("LSTM: loss at 6 items")) < 1
    assert min(row["value"] for row in rows("LSTM: loss at 10 items")) > 20  # guessing costs 18
    assert min(row["value"] for row in rows("LSTM: loss at 20 items")) > 20


def test_the_seeds_that_solve_it_are_counted():
    for system in ("NTM-FF", "NTM-LSTM"):
        (solved,) = rows(f"{system}: seeds below 1 bit at 6 items")
        assert solved["unit"] == "of 3 seeds"
        assert solved["value"] == sum(row["value"] < 1 for row in rows(f"{system}: loss at 6 items"))


@pytest.mark.parametrize(("system", "heads"), [("NTM-FF", 4), ("NTM-LSTM", 1)])
def test_the_slides_explanation_holds_on_the_trace(system, heads):
    """One read head looks one shift from the queried item's key, in nearly every episode; from another item's key it does not."""
    shares = {}
    for row in json.loads(PUBLISHED.read_text())["rows"]:
        if row["name"].startswith(f"{system}: read head ") and row["unit"] == "% of episodes":
            head, _, what = row["name"].rpartition(": ")
            assert row["n"] >= 200
            shares.setdefault(head, {})[what.partition("(")[0].strip() + what.partition(")")[2]] = row["value"]
    assert len(shares) == heads
    rule = max(shares.values(), key=lambda found: found["one shift away"])
    assert rule["one shift away"] > 95
    assert rule["one shift from another item's key"] < 5
    assert rule["at the key itself"] < 5
