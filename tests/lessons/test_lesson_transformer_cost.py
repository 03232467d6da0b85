"""The lesson on what attention costs: counts and paths grow as the paper says; times are this machine's, so none is asserted."""

import json
import os
import subprocess
import sys

import pytest

from tinymem import cli
from tinymem.lesson import lesson_files

LAYERS = ("self-attention", "recurrent", "convolutional", "restricted")
GROWTH = {
    "operations grow as n to the power of": (2, 1, 1, 1),
    "operations grow as d to the power of": (1, 2, 2, 1),
    "what must wait grows as n to the power of": (0, 1, 0, 0),
    "the path grows as n to the power of": (0, 1, 1, 1),
}
PAPER = (  # Vaswani et al. 2017, Table 2, as on the slide: BLEU of EN-DE and EN-FR, FLOPs of both
    "ByteNet 23.75",
    "Deep-Att + PosUnk 39.2 1.0e+20",
    "GNMT + RL 24.6 39.92 2.3e+19 1.4e+20",
    "ConvS2S 25.16 40.46 9.6e+18 1.5e+20",
    "MoE 26.03 40.56 2.0e+19 1.2e+20",
    "Deep-Att + PosUnk Ensemble 40.4 8.0e+20",
    "GNMT + RL Ensemble 26.3 41.16 1.8e+20 1.1e+21",
    "ConvS2S Ensemble 26.36 41.29 7.7e+19 1.2e+21",
    "Transformer (base model) 27.3 38.1 3.3e+18 3.3e+18",
    "Transformer (big) 28.4 41.0 2.3e+19 2.3e+19",
)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """(what was printed, the rows by their names, the folder), in full and from an empty folder."""
    folder = tmp_path_factory.mktemp("lesson")
    command = [sys.executable, "-m", "tinymem.cli", "lesson", "transformer-cost"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, encoding="utf-8")
    assert found.returncode == 0, found.stderr
    assert not found.stderr
    results = folder / "tinymem-out" / "transformer-cost"
    rows = json.loads((results / "results.json").read_text(encoding="utf-8"))["rows"]
    assert len({row["name"] for row in rows}) == len(rows)
    return found.stdout, {row["name"]: row for row in rows}, results


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_draws_its_figures(done):
    _, _, folder = done
    for suffix in ("png", "svg"):
        figures = sorted(path.stem for path in folder.glob(f"*.{suffix}"))
        assert figures == ["bleu-and-flops", "bleu-by-flops", "operations-and-seconds", "path-lengths"]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("what", GROWTH)
def test_counts_and_paths_grow_as_in_table_1(done, what):
    _, rows, _ = done
    for layer, power in zip(LAYERS, GROWTH[what], strict=True):
        row = rows[f"{layer}: {what}"]
        assert row["value"] == pytest.approx(power, abs=0.01), row
        assert row["paper"] == power


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_positions_are_connected(done):
    printed, rows, _ = done
    shortest = {layer: rows[f"{layer}: shortest path at n = 128"]["value"] for layer in (*LAYERS, "dilated")}
    assert shortest["self-attention"] < shortest["dilated"] < shortest["restricted"] < shortest["convolutional"] < shortest["recurrent"]
    assert rows["dilated: rows added where n is tripled"]["value"] == 3
    assert printed.count("shortest=None") == 3  # a single layer of limited reach does not connect the ends
    assert float(printed.split("convolutional   differs from its array form by ")[1].split()[0]) < 1e-5
    assert printed.count("differs from its array form by") == 4


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_operations_cross_at_n_equals_d_and_time_is_only_reported(done):
    printed, rows, _ = done
    for d in (32, 64, 128, 256):
        assert rows[f"d = {d}: self-attention takes more operations than recurrent from"]["value"] == pytest.approx(d, rel=0.05)
    counted, by_hand = printed.split("self-attention: ", 1)[1].splitlines()[0].split("  by hand 4 n²d + 6 n²: ")
    assert int(counted) == int(by_hand) == 2_620_000
    assert rows["multi-head attention with its matrices, n = d = 64: operations of a recurrent layer"]["value"] > 3
    for layer in LAYERS:
        assert rows[f"{layer}: CPU time, n = 1024, d = 64"]["value"] > 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_table_of_the_slide_and_ours(done):
    printed, rows, _ = done
    lines = {" ".join(line.split()) for line in printed.splitlines()}
    assert set(PAPER) <= lines
    checkpoints = lesson_files()["transformer-cost"].parent / "checkpoints"
    systems = {"RNNencdec": "without attention", "RNNsearch": "additive attention"}
    published = {row["name"]: row["value"] for row in json.loads((checkpoints / "translation" / "results.json").read_text())["rows"]}
    for system, told in systems.items():
        assert rows[f"LibreOffice, {system}: BLEU"]["value"] == published[f"LibreOffice, {told}, beam of 4: BLEU of all test sentences"]
    trained = [name for name in ("RNNencdec", "RNNsearch", "Transformer") if f"LibreOffice, {name}: BLEU" in rows]
    assert len({rows[f"LibreOffice, {name}: asked for"]["value"] for name in trained}) == 1  # at equal data
    for name in trained:
        flops, words = (rows[f"LibreOffice, {name}: {what}"]["value"] for what in ("training", "asked for"))
        assert rows[f"LibreOffice, {name}: a target word"]["value"] == pytest.approx(flops / words)
        assert 1e12 < flops < 1e14
    until = {name: rows[f"LibreOffice, {name}: until validation BLEU 20"]["value"] for name in trained}
    assert until["RNNsearch"] < until["RNNencdec"] < rows["LibreOffice, RNNencdec: training"]["value"]


def test_it_is_about_the_cpu(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tinymem.lesson.use", lambda _: __import__("contextlib").nullcontext())  # no GPU is needed in order to ask
    assert cli.main(["lesson", "transformer-cost", "--backend", "cupy", "--out", str(tmp_path)]) == 2
    assert "measures the CPU: run it without --backend" in capsys.readouterr().err
