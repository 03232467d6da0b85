"""The lesson on compiled steps: what it says holds with and without a C compiler; its times are this machine's, so none is asserted."""

import json
import os
import re
import subprocess
import sys

import pytest

from tinymem import cli
from tinymem.engine.compile.cache import NoCompiler, compiler
from tinymem.engine.compile.passes import PROGRAM_PASSES, SWITCHES

NUMPY_STAGES = ["eager", "recorded, by NumPy", *[f"+ {name}" for name in PROGRAM_PASSES], "+ plan"]


def run(folder, *options, **environment):
    command = [sys.executable, "-m", "tinymem.cli", "lesson", "compiled-step", *options]
    settings = {**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=settings, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    results = json.loads((folder / "tinymem-out" / "compiled-step" / "results.json").read_text(encoding="utf-8"))
    return done.stdout, done.stderr, {row["name"]: row for row in results["rows"]}


def stages(printed):
    """The first column of the first table of section 7."""
    lines = printed.split("batch 1\n", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [re.split(r"  +", line)[0] for line in lines]


def check(printed, rows, batches):
    assert rows["compiled and eager gradients differ by, float64"]["value"] < 1e-10
    assert rows["compiled and eager gradients differ by, float32"]["value"] < 1e-2
    assert all(row["paper"] is None and row["source"] == "measured here" for row in rows.values())
    for batch in batches:
        of = {name.removeprefix(f"batch {batch}: "): row["value"] for name, row in rows.items() if name.startswith(f"batch {batch}: ")}
        assert list(of) == [
            "eager", "compiled", "eager / compiled", "first call", "kernels compiled in it (the others were on disk)",
            "memory, eager", "memory, compiled", "rows recorded", "rows after the passes",
        ]  # fmt: skip
        assert all(value > 0 for name, value in of.items() if not name.startswith("kernels"))
        assert of["memory, compiled"] < of["memory, eager"]
    grown = re.findall(r"(?:20|200) vectors: (\d+ rows recorded, \d+ after the passes), (\S+) MB", printed)
    assert grown[0][0] == grown[1][0]  # ten times the time steps, the same program
    assert float(grown[1][1]) > 5 * float(grown[0][1])
    for name in ("a_branch", "leaves_the_engine", "hidden_dice"):
        assert f"{name}: this step cannot be compiled: " in printed
    assert "changes the variable 'calls' outside of itself, from 0 to 1" in printed
    assert "refused: the variable 'rate'" in printed
    assert "loss: nan  parameters unchanged: True" in printed
    assert printed.count("Content addressing · ntm.py") == 6
    assert "sqrt" in printed.split("## 4")[0]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_runs_from_an_empty_folder_and_shows_every_stage(tmp_path):
    printed, errors, rows = run(tmp_path)
    check(printed, rows, (1, 16))
    try:
        compiler()
    except NoCompiler:
        assert rows["lowered to"]["value"] == "numpy"
    else:
        assert not errors
        assert rows["lowered to"]["value"] == "c"
        assert stages(printed) == [
            "eager", "recorded, by NumPy", "recorded, in C", *[f"+ {name}" for name in (*PROGRAM_PASSES, *SWITCHES)], "all passes, by NumPy"
        ]  # fmt: skip
        assert "is NaN a finite number?  False" in printed
        assert "log_32(" in printed  # the C text of the sharpening
    for suffix in ("png", "svg"):
        assert (tmp_path / "tinymem-out" / "compiled-step" / f"compiled-ladder.{suffix}").stat().st_size > 5_000


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_without_a_c_compiler_it_says_so_in_one_line_and_replays_by_numpy(tmp_path):
    printed, errors, rows = run(tmp_path, "--quick", CC="/nonexistent")
    assert errors.splitlines() == ["tinymem: compiled steps run by NumPy, for CC='/nonexistent' is no command here"]
    assert printed.count("No C compiler was found here") == 1
    assert rows["lowered to"]["value"] == "numpy"
    assert stages(printed) == NUMPY_STAGES
    assert "KERNEL" not in printed
    check(printed, rows, (1,))


def test_it_is_about_the_cpu(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tinymem.lesson.use", lambda _: __import__("contextlib").nullcontext())  # no GPU is needed in order to ask
    assert cli.main(["lesson", "compiled-step", "--backend", "cupy", "--out", str(tmp_path)]) == 2
    assert "measures the CPU: run it without --backend" in capsys.readouterr().err
