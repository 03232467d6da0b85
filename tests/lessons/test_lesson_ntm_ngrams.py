"""The lesson on dynamic N-grams: what it was asked to show, in its published numbers."""

import json
import math

import pytest

from tinymem.lesson import lesson_files


def rows():
    folder = lesson_files()["ntm-ngrams"].parent / "checkpoints" / "ntm-ngrams"
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))["rows"]


def by_seed(name):
    found = {row["seed"]: row["value"] for row in rows() if row["name"] == name}
    assert found, name
    return found


def test_the_optimum_is_the_one_known_and_the_papers_is_within_its_error():
    (found,) = by_seed("Bayes optimum").values()
    (error,) = by_seed("Bayes optimum, standard error").values()
    assert error < 0.15
    assert abs(found - 133.16) < 3 * math.hypot(error, 0.25)  # another simulation, of 20,000 sequences
    assert abs(found - 131.6) < 3 * 1.1  # the paper's is a mean of 1,000


def test_gaps_are_measured_on_a_thousand_equal_sequences_with_their_error():
    gaps = [row for row in rows() if row["name"].endswith(": gap to the optimum")]
    assert {row["name"].split(":")[0] for row in gaps} == {"NTM-FF", "NTM-LSTM", "LSTM"}
    for row in gaps:
        error = by_seed(row["name"].replace("gap to the optimum", "gap, standard error"))[row["seed"]]
        assert row["n"] >= 1000
        assert 0 < error < 0.1 * row["value"]
        assert row["value"] > 3 * error  # nobody beats the optimum
        assert row["unit"] == "bits per sequence"
    papers = {row["name"].split(":")[0]: row["paper"] for row in gaps}
    assert papers["NTM-FF"] == pytest.approx(1.7, abs=0.1)
    assert papers["NTM-LSTM"] == pytest.approx(1.7, abs=0.1)
    assert papers["LSTM"] == pytest.approx(4.1, abs=0.1)


def test_a_machine_with_a_memory_comes_near_the_optimum_and_ahead_of_the_lstm():
    ntm, lstm = by_seed("NTM-LSTM: gap to the optimum"), by_seed("LSTM: gap to the optimum")
    assert sum(gap < 3 for gap in ntm.values()) >= 2  # of 3 seeds
    assert max(ntm.values()) < 0.5 * min(lstm.values())
    assert max(by_seed("NTM-LSTM: share of what can be found out").values()) > 94


def test_its_memory_depends_on_the_context_as_published():
    """No counter that is written again, as in the paper: a log that is read by content."""
    again = "NTM-LSTM: a context comes again, the {} head too"
    read, by_chance = by_seed(again.format("read")), by_seed(again.format("read") + ", by chance")
    gaps = by_seed("NTM-LSTM: gap to the optimum")
    seed = min(gaps, key=gaps.get)
    assert read[seed] > 2 * by_chance[seed]
    assert by_seed(again.format("write"))[seed] < 20
    assert by_seed("NTM-LSTM: the write head stays or goes one on")[seed] > 99
    own = "NTM-LSTM: read weight on entries of the same context"
    assert by_seed(own)[seed] > 3 * by_seed(f"{own}, by chance")[seed]
