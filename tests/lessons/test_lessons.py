"""Every lesson, from its shipped checkpoints, in an empty folder; and the numbers published with them, computed again."""

import json
import math
import os
import subprocess
import sys

import pytest

from tinymem.lesson import lesson_files, lesson_title
from tinymem.training.checkpoints import load_checkpoint
from tinymem.training.experiment import load_trained

LESSONS = sorted(lesson_files())
UNTRAINED = ["compiled-step"]  # trains nothing and publishes no number: it has a test file of its own
TRAINED = [name for name in LESSONS if name not in UNTRAINED]
ONE_THREAD = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}


def checkpoints(name):
    return lesson_files()[name].parent / "checkpoints" / name


@pytest.mark.parametrize("name", TRAINED)
def test_a_lesson_runs_from_an_empty_folder_and_repeats_its_published_numbers(name, tmp_path):
    command = [sys.executable, "-m", "tinymem.cli", "lesson", name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=ONE_THREAD)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "tinymem-out" / name
    results = json.loads((folder / "results.json").read_text())
    published = json.loads((checkpoints(name) / "results.json").read_text())
    assert [row["name"] for row in results["rows"]] == [row["name"] for row in published["rows"]]
    for row, known in zip(results["rows"], published["rows"], strict=True):
        if row["unit"] == "%":  # counted bits: another BLAS may round one the other way
            assert math.isclose(row["value"], known["value"], abs_tol=0.5), row
        elif isinstance(known["value"], float):
            assert math.isclose(row["value"], known["value"], rel_tol=0.02), row
        else:
            assert row["value"] == known["value"], row
    figures = sorted(path.stem for path in folder.glob("*.png"))
    assert figures
    assert figures == sorted(path.stem for path in folder.glob("*.svg"))
    assert all(path.stat().st_size > 5_000 for path in folder.glob("*.png"))


@pytest.mark.parametrize(
    "path", [p for name in LESSONS for p in sorted(checkpoints(name).rglob("*.safetensors"))], ids=lambda p: p.parent.name
)
def test_a_shipped_checkpoint_says_how_it_was_made(path):
    model, experiment, note = load_trained(path)
    assert path.parent.name == experiment.folder  # the very configuration that the folder is named after
    assert model.count_parameters() > 0
    assert 0 < note["update"] <= experiment.schedule.updates
    assert path.stat().st_size < 3_000_000
    assert not any("slot" in name for name in load_checkpoint(path)[0])


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_is_a_percent_script_with_a_title(name):
    text = lesson_files()[name].read_text()
    assert lesson_title(lesson_files()[name])
    assert text.count("# %%") > 5
    assert f'Lesson("{name}")' in text
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


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_a_lesson_runs_where_only_the_device_is_allowed(name, tmp_path, monkeypatch):
    from tinymem import lesson
    from tinymem.engine.backend import use
    from tinymem.testing import strict

    monkeypatch.setattr(lesson, "use", lambda _: use(strict.namespace))
    lesson.run_lesson(name, lesson.Options(out=tmp_path))
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
    logs = list((tmp_path / "tinymem-out" / name / "runs").glob("*-seed*/metrics.jsonl"))
    assert logs
    for metrics in logs:
        losses = [json.loads(line)["loss"] for line in metrics.read_text().splitlines()]
        if "uniform" not in metrics.parent.name:
            assert losses[-1] < 0.1 * losses[0]


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
