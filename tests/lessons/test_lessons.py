"""Every lesson, from its shipped checkpoints, in an empty folder; and the numbers published with them, computed again."""

import itertools
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest

from tinymem.lesson import lesson_files, lesson_title
from tinymem.tasks.algorithms import CopyTask
from tinymem.tasks.ngrams import NGramTask
from tinymem.training.checkpoints import load_checkpoint
from tinymem.training.configs import from_plain
from tinymem.training.ship import load_shipped
from tinymem.training.sweep import DESCRIPTION

LESSONS = sorted(lesson_files())
UNTRAINED = ["compiled-step", "transformer-cost"]  # they train nothing, and measure this machine: each has a test file of its own
TRAINED = [name for name in LESSONS if name not in UNTRAINED]
SHORT = ["ntm-copy", "stack-addition", "dnc-copy"]  # the README's first command, and two of a few seconds; the others are slow tests
STREAMS = ["stack-counting", "stack-memorisation", "stack-addition"]  # what they evaluate is endless: hundred thousands of steps
ONE_THREAD = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}


def checkpoints(name):
    return lesson_files()[name].parent / "checkpoints" / name


def may_differ(row, name):
    """How far a published number may be off: another BLAS, or no compiler, rounds in another order, and a symbol may tip over."""
    if name in STREAMS and row["unit"] == "%":
        return 3.5  # two of 58 n: one wrong symbol in 200 sequences, and an n is not solved
    if name in STREAMS and row["unit"].startswith("of "):
        return 1
    if row["unit"] == "0 … 1":
        return 0.01
    return 1.0 if row["unit"] in ("%", "points") else 0.02 * abs(row["value"]) if isinstance(row["value"], float) else 0


@pytest.mark.timeout(900)  # half a minute, where nobody else wants the cores
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in SHORT)) for name in TRAINED])
def test_a_lesson_runs_from_an_empty_folder_and_repeats_its_published_numbers(name, tmp_path):
    command = [sys.executable, "-m", "tinymem.cli", "lesson", name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=ONE_THREAD)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "tinymem-out" / name
    results = json.loads((folder / "results.json").read_text())
    published = json.loads((checkpoints(name) / "results.json").read_text())
    assert [row["name"] for row in results["rows"]] == [row["name"] for row in published["rows"]]
    for row, known in zip(results["rows"], published["rows"], strict=True):
        if isinstance(known["value"], str):
            assert row["value"] == known["value"], row
        else:
            assert abs(row["value"] - known["value"]) <= may_differ(known, name), (row, known)
    figures = sorted(path.stem for path in folder.glob("*.png"))
    assert figures
    assert figures == sorted(path.stem for path in folder.glob("*.svg"))
    assert all(path.stat().st_size > 5_000 for path in folder.glob("*.png"))


@pytest.mark.parametrize("path", [p for name in LESSONS for p in sorted(checkpoints(name).rglob("*.safetensors"))], ids=lambda p: p.stem)
def test_a_shipped_family_says_how_its_seeds_were_made(path):
    arrays, note = load_checkpoint(path)
    experiments = [from_plain(own["run"]) for own in note["seeds"].values()]
    assert {experiment.family for experiment in experiments} == {path.stem}  # the very configuration that the file is named after
    assert [str(experiment.seed) for experiment in experiments] == [*note["seeds"]]
    for experiment, (model, log, own) in zip(experiments, load_shipped(path.parent, experiments), strict=True):
        assert model.count_parameters() > 0
        assert 0 < own["update"] <= experiment.schedule.updates == log[-1]["update"]
    assert path.stat().st_size < 3_000_000
    assert not any("slot" in name for name in arrays)


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_is_a_percent_script_with_a_title(name):
    text = lesson_files()[name].read_text()
    assert lesson_title(lesson_files()[name])
    assert text.count("# %%") > 5
    assert f'Lesson("{name}"' in text
    code_cells = [cell for cell in text.split("# %%")[1:] if not cell.startswith(" [markdown]")]
    assert all(cell.strip() for cell in code_cells)


def test_ntm_copy_keeps_what_was_asked_of_it():
    rows = json.loads((checkpoints("ntm-copy") / "results.json").read_text())["rows"]

    def values(name):
        found = [row["value"] for row in rows if row["name"] == name]
        assert found, name
        return found

    assert values("NTM-FF: seeds below 0.1 bit within 20k sequences")[0] >= 2
    assert values("NTM-FF: wrong bits at 10 and 20 vectors") == values("NTM-FF: wrong bits at 30 and 50 vectors") == [0.0] * 3
    assert values("NTM-FF: seeds with at most 2 % wrong at 120 vectors")[0] >= 2
    assert values("NTM-FF: mean largest write weighting, writing")[0] > 0.9
    assert values("LSTM: wrong bits at 30 and 50 vectors")[0] > 20
    assert values("LSTM: wrong bits at 10 and 20 vectors")[0] < 10


COUNTING = ("a^n b^n", "a^n b^n c^n", "a^n b^n c^n d^n", "a^n b^2n", "a^n b^m c^(n+m)")
READINGS = ("RNN", "LSTM", "List RNN", "List RNN + rounding", "Stack RNN", "Stack RNN + rounding")


def published(name):
    """The rows of a lesson by their name; here no two have the same."""
    rows = json.loads((checkpoints(name) / "results.json").read_text())["rows"]
    found = {row["name"]: row for row in rows}
    assert len(found) == len(rows)
    return found


def test_stack_counting_keeps_what_was_asked_of_it():
    rows = published("stack-counting")
    for language in COUNTING:
        solved = {reading: rows[f"{language}: {reading}: n solved"] for reading in READINGS}
        assert solved["Stack RNN + rounding"]["value"] == 100, language
        assert solved["RNN"]["value"] < 50, language
        assert {row["n"] for row in solved.values()} == {200 * 58}  # the paper's protocol
        assert {row["source"] for row in solved.values()} == {"Table 2"}
        for reading in ("Stack RNN + rounding", "List RNN + rounding", "RNN", "LSTM"):
            wins = rows[f"{language}: {reading}: seeds that solve every n"]
            assert (wins["unit"], wins["n"]) == ("of 10 seeds", 5 * 58)
            assert 0 <= wins["value"] <= 10
        assert rows[f"{language}: Stack RNN + rounding: seeds that solve every n"]["value"] >= 1
        assert solved["RNN"]["paper"] < solved["Stack RNN + rounding"]["paper"] == 100
    gain = rows["a^n b^m c^(n+m): gain from rounding"]["value"]
    plain, rounded = (rows[f"a^n b^m c^(n+m): Stack RNN{how}: n solved"]["value"] for how in ("", " + rounding"))
    assert math.isclose(gain, rounded - plain)


def test_stack_memorisation_keeps_what_was_asked_of_it():
    rows = published("stack-memorisation")
    right = {reading: rows[f"{reading}: words right at n = 50"]["value"] for reading in READINGS}
    assert max(right["Stack RNN"], right["Stack RNN + rounding"]) >= 95
    assert right["RNN"] < 5
    assert right["LSTM"] < 5


def test_stack_addition_keeps_what_was_asked_of_it():
    rows = published("stack-addition")
    for n in (10, 20, 40, 60):
        for system in ("Stack RNN", "Stack RNN + rounding"):
            row = rows[f"{system}: right additions at n = {n}"]
            assert row["n"] == 200
            assert row["value"] >= (90 if n <= 20 or "rounding" in system else 50), row
    found = {way: rows[f"{way}: seeds with at least 90 % right at n = 20"] for way in ("every size from the start", "sizes that grow")}
    assert found["every size from the start"]["value"] >= 2
    assert found["every size from the start"]["unit"] == "of 6 seeds"
    assert found["sizes that grow"]["value"] == 0
    assert rows["sizes that grow: right additions at n = 20"]["value"] < 50


def test_learning_to_execute_keeps_what_was_asked_of_it():
    rows = json.loads((checkpoints("learning-to-execute") / "results.json").read_text())["rows"]

    def value(name):
        (found,) = [row["value"] for row in rows if row["name"] == name]
        return found

    curricula = ("baseline", "naive", "mix", "combined")
    for what in ("characters", "whole answers"):
        means = {name: value(f"addition, {name}: {what} right, mean of the seeds") for name in curricula}
        for name in curricula:
            seeds = [row["value"] for row in rows if row["name"] == f"addition, {name}: {what} right"]
            assert len(seeds) == 3
            assert math.isclose(sum(seeds) / 3, means[name])
        assert means["combined"] >= means["baseline"] + 10
        assert math.isclose(value(f"addition, combined - baseline: {what} right"), means["combined"] - means["baseline"])
    for length, nesting in itertools.product((1, 2, 3), (1, 2)):
        program = f"programs of length {length}, nesting {nesting}"
        blind = value(f"{program}: right without a look at the program")
        for strategy in ("baseline", "combined"):
            right = value(f"{program}, {strategy}: characters right")
            assert right > 3 * 10  # the paper's chance
            assert right > blind + 5
    for digits, behind in ((20, 2), (25, 0)):  # asked was: not worse than plain
        memories = {
            form: [row["value"] for row in rows if row["name"] == f"memorisation, {form}: characters right at {digits} digits"]
            for form in ("plain", "doubled + inverted")
        }
        assert all(len(seeds) == 2 for seeds in memories.values())
        gain = value(f"memorisation, doubled + inverted - plain at {digits} digits")
        assert math.isclose(gain, (sum(memories["doubled + inverted"]) - sum(memories["plain"])) / 2)
        assert gain > -behind
    assert value("memorisation, doubled + inverted - plain, mean of the lengths shown") > 0


@pytest.mark.slow
def test_learning_to_execute_measures_the_papers_size_and_claims_no_result(tmp_path):
    command = [sys.executable, "-m", "tinymem.cli", "lesson", "learning-to-execute", "--size", "paper"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=ONE_THREAD)
    assert done.returncode == 0, done.stderr
    assert "nothing was trained, so no result is claimed" in done.stdout
    rows = json.loads((tmp_path / "tinymem-out" / "learning-to-execute" / "results.json").read_text())["rows"]
    assert [row["unit"] for row in rows] == ["numbers", "CPU ms", "examples", "CPU hours"]
    assert all(row["value"] > 0 and row["paper"] is None for row in rows)
    assert not (tmp_path / "tinymem-out" / "learning-to-execute" / "runs").exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", TRAINED)
def test_a_lesson_runs_where_only_the_device_is_allowed(name, tmp_path, monkeypatch):
    """Evaluations of streams are too long for the double: there the small training, done by processes of their own, is evaluated."""
    from tinymem import lesson
    from tinymem.engine.backend import use
    from tinymem.testing import strict

    monkeypatch.setattr(lesson, "use", lambda _: use(strict.namespace))
    lesson.run_lesson(name, lesson.Options(out=tmp_path, quick=name in STREAMS))
    assert (tmp_path / name / "results.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_runs_as_a_notebook_and_shows_every_picture(name, tmp_path):
    jupytext = pytest.importorskip("jupytext", reason="jupytext and nbclient are development tools")
    nbclient = pytest.importorskip("nbclient", reason="jupytext and nbclient are development tools")
    notebook = jupytext.read(lesson_files()[name])
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = sum("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))
    assert shown == len(list((tmp_path / "tinymem-out" / name).glob("*.png"))) > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", TRAINED)
def test_quick_mode_visibly_learns(name, tmp_path):
    done = subprocess.run([sys.executable, "-m", "tinymem.cli", "lesson", name, "--quick"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    families = {}
    for folder in sorted((tmp_path / "tinymem-out" / name / "runs").glob("*-seed*")):
        experiment = from_plain(json.loads((folder / DESCRIPTION).read_text()))
        log = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        families.setdefault((experiment.name, experiment.task), []).append(log)
    assert families
    for (run, task), logs in families.items():
        if isinstance(task, CopyTask):
            assert "uniform" in run or all(log[-1]["loss"] < 0.1 * log[0]["loss"] for log in logs), run
            continue
        if run == "lookup-1-layer":  # a control: it is shown that one layer cannot learn this
            continue
        # part of the symbols cannot be known, and not every seed gets there: the best one, on validation
        least = optimum(task) if isinstance(task, NGramTask) else 0.0
        found = [[line["validation"] for line in log if line.get("validation") is not None] for log in logs]
        assert min((min(values) - least) / (values[0] - least) for values in found) < 0.5, run


def optimum(task):
    """Bits per sequence of the Bayes estimator of N-grams: nobody gets below."""
    episode = task.batch(np.random.default_rng(0), 1000)
    right = np.where(episode.targets[:, :, 0] > 0.5, task.optimum(episode), 1 - task.optimum(episode))
    return float(-np.log2(right).sum(0).mean())


def test_a_plain_script_keeps_its_backend(tmp_path):
    """`python lessons/NN_name.py --backend …`: the backend holds for the rest of the script."""
    program = (
        "import sys\n"
        "from tinymem import lesson\n"
        "from tinymem.engine import backend\n"
        "from tinymem.testing import strict\n"
        "backend.namespace_named = lambda name: strict.namespace if name == 'cupy' else __import__('numpy')\n"
        f"sys.argv = [str(lesson.find_lesson('ntm-copy')), '--backend', 'cupy', '--out', {str(tmp_path)!r}]\n"
        "lesson.Lesson('ntm-copy')\n"
        "assert backend.creation_namespace() is strict.namespace\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
