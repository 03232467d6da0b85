"""What was asked of the lesson on the score functions, in the numbers published with it."""

import json

import pytest

from tinymem.lesson import lesson_files

PUBLISHED = lesson_files()["attention-scores"].parent / "checkpoints" / "attention-scores" / "results.json"
SCORES = ("additive", "dot", "scaled-dot", "general")
SIZES = (16, 32, 64, 128, 256)


def value(name):
    (found,) = [row["value"] for row in json.loads(PUBLISHED.read_text())["rows"] if row["name"] == name]
    return found


def right(score, d):
    return value(f"number names, d = {d}, {score}: translated without a mistake")


def test_the_variance_of_a_dot_product_is_d_and_the_scaled_ones_is_one():
    assert value("random h and f, d = 256, dot: variance of the score") == pytest.approx(256, rel=0.1)
    assert value("random h and f, d = 256, scaled-dot: variance of the score") == pytest.approx(1, rel=0.1)


def test_without_the_scale_the_softmax_saturates():
    assert value("random h and f, d = 256, dot: mean largest of 10 weights") > 0.9
    assert value("random h and f, d = 256, scaled-dot: mean largest of 10 weights") < 0.5
    assert value("random h and f, d = 256, dot: slope of the weights") < 0.2
    assert value("random h and f, d = 256, scaled-dot: slope of the weights") > 1


def test_every_score_is_tested_at_every_size_and_learns_where_the_model_is_large():
    for score in SCORES:
        shares = [right(score, d) for d in SIZES]
        assert all(0 <= share <= 100 for share in shares)
        assert shares[-1] >= 95
        assert shares[0] < shares[-1]


def test_dividing_by_the_root_of_d_delays_what_starts_small():
    """The lesson says so, against what the slide leads one to expect."""
    assert right("dot", 64) > right("scaled-dot", 64)
    for d in SIZES:
        assert value(f"before training, d = {d}, dot: deviation of the scores") < d**0.5
