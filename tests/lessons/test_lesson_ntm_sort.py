"""The lesson on priority sort: what it was asked to show, in its published numbers; and the paper's size, which is only measured."""

import json
import os
import subprocess
import sys

import pytest

from tinymem.figures import paper_curves
from tinymem.lesson import lesson_files

CHANCE, SEEDS = 64, (0, 1, 2)


def rows():
    folder = lesson_files()["ntm-sort"].parent / "checkpoints" / "ntm-sort"
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))["rows"]


def by_seed(name):
    found = {row["seed"]: row["value"] for row in rows() if row["name"] == name}
    assert found, name
    return found


def test_the_machine_with_a_memory_is_below_the_lstm_at_equal_sequences():
    end = "loss at 300,000 sequences"
    ntm, lstm = by_seed(f"NTM-FF: {end}"), by_seed(f"LSTM: {end}")[0]
    assert sorted(ntm) == [*SEEDS]
    assert all(bits < lstm for bits in ntm.values())
    assert all(bits < by_seed("LSTM: loss, test")[0] for bits in by_seed("NTM-FF: loss, test").values())
    ((seed, best),) = by_seed("NTM-FF: loss, test, of the seed that is best on validation").items()
    assert best == by_seed("NTM-FF: loss, test")[seed]
    assert best < 0.5 * by_seed("LSTM: loss, test")[0]  # well below
    assert by_seed("NTM-FF: wrong bits, test")[seed] < 0.5 * by_seed("LSTM: wrong bits, test")[0]


def test_losses_of_different_tasks_are_compared_as_shares_of_chance():
    for system in ("NTM-FF", "LSTM"):
        for row in rows():
            if row["name"] == f"{system}: loss at 300,000 sequences":
                assert row["paper"] is None  # 64 bits here, 128 there
            if row["name"] == f"{system}: loss at 300,000 sequences, of chance":
                assert row["value"] == pytest.approx(100 * by_seed(f"{system}: loss at 300,000 sequences")[row["seed"]] / CHANCE)
                curve = paper_curves("fig18_sort")[system]
                near = curve[(curve[:, 0] > 280) & (curve[:, 0] < 320), 1] / 128
                assert 100 * near.min() <= row["paper"] <= 100 * near.max()


def test_one_machine_writes_by_priority_and_reads_in_order():
    fits, moves = by_seed("NTM-FF: R² of write location against priority"), by_seed("NTM-FF: reads that move on to lower priorities")
    sorter = max(fits, key=fits.get)
    assert fits[sorter] > 0.65
    assert moves[sorter] > 95


def test_the_best_machine_writes_in_order_of_arrival_and_finds_by_content():
    ((best, _),) = by_seed("NTM-FF: loss, test, of the seed that is best on validation").items()
    assert by_seed("NTM-FF: R² of write location against order of arrival")[best] > 0.99
    assert by_seed("NTM-FF: R² of write location against priority")[best] < 0.1
    found = by_seed("NTM-FF: reads that stand where the vector was written")
    assert found[best] > 75  # one in eight by chance
    assert all(share < 20 for seed, share in found.items() if seed != best)


@pytest.mark.slow
def test_the_papers_size_is_measured_and_claims_no_result(tmp_path):
    command = [sys.executable, "-m", "tinymem.cli", "lesson", "ntm-sort", "--size", "paper"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert "nothing was trained, so no result is claimed" in done.stdout
    found = json.loads((tmp_path / "tinymem-out" / "ntm-sort" / "results.json").read_text(encoding="utf-8"))["rows"]
    assert [row["unit"] for row in found] == ["numbers", "CPU ms", "CPU hours"]
    assert found[0]["paper"] == 508_305
    assert all(row["value"] > 0 for row in found)
    assert not (tmp_path / "tinymem-out" / "ntm-sort" / "runs").exists()
