"""The command line as a user meets it: what is printed, and the exit code.  Each case of bad input gets one clear message."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from tiny import experiment

from tinymem import cli
from tinymem.lesson import Lesson, Options, UsageError, lesson_files, run_lesson, table
from tinymem.version import __version__


def tinymem(*arguments, capsys):
    code = cli.main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_version_and_list(capsys):
    assert tinymem("--version", capsys=capsys)[:2] == (0, f"tinymem {__version__}\n")
    code, out, err = tinymem("lesson", "list", capsys=capsys)
    assert code == 0
    assert not err
    for name in lesson_files():
        assert name in out


def test_unknown_lesson_suggests_the_nearest(capsys):
    code, _, err = tinymem("lesson", "ntm-cpoy", capsys=capsys)
    assert code == 2
    assert "there is no lesson 'ntm-cpoy'. Did you mean 'ntm-copy'?" in err
    assert "Traceback" not in err


def test_unknown_option_is_a_usage_error():
    with pytest.raises(SystemExit) as exit_:
        cli.main(["lesson", "ntm-copy", "--sead", "3"])
    assert exit_.value.code == 2


def test_train_and_quick_exclude_each_other(capsys):
    code, _, err = tinymem("lesson", "ntm-copy", "--train", "--quick", capsys=capsys)
    assert code == 2
    assert "exclude each other" in err


def test_cupy_without_a_gpu_says_why(capsys):
    from tinymem.engine.backend import probe_cupy

    if probe_cupy().usable:  # on a machine with a GPU the message cannot be provoked
        assert "runs kernels" in probe_cupy().reason
        return
    code, _, err = tinymem("lesson", "ntm-copy", "--backend", "cupy", capsys=capsys)
    assert code == 1
    assert "backend 'cupy' cannot be used" in err
    assert "tinymem doctor" in err


def test_unknown_backend(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["lesson", "ntm-copy", "--backend", "torch"])
    assert exit_.value.code == 2
    assert "numpy" in capsys.readouterr().err


def test_out_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    code, _, err = tinymem("lesson", "ntm-copy", "--out", str(tmp_path / "file"), capsys=capsys)
    assert code == 2
    assert "cannot write there" in err
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_read_only_out(tmp_path, capsys):
    folder = tmp_path / "read-only"
    folder.mkdir()
    folder.chmod(0o500)
    try:
        if os.access(folder, os.W_OK):  # root may write anywhere: /proc refuses even root
            folder = "/proc/tinymem" if os.path.isdir("/proc") else tmp_path / "file" / "below"
        code, _, err = tinymem("lesson", "ntm-copy", "--out", str(folder), capsys=capsys)
        assert code == 2
        assert "cannot write there" in err
    finally:
        (tmp_path / "read-only").chmod(0o700)


def test_an_unexpected_error_has_no_traceback_without_debug(monkeypatch, capsys):
    monkeypatch.setattr(cli, "run_lesson", lambda *_: (_ for _ in ()).throw(RuntimeError("boom")))
    code, _, err = tinymem("lesson", "ntm-copy", capsys=capsys)
    assert (code, "Traceback" in err) == (1, False)
    assert "RuntimeError: boom (run again with --debug for the traceback)" in err
    with pytest.raises(RuntimeError, match="boom"):
        cli.main(["lesson", "ntm-copy", "--debug"])


def test_doctor_answers_each_question(capsys):
    code, out, _ = tinymem("doctor", capsys=capsys)
    assert code == 0
    for question in ("Python", "NumPy", "BLAS", "threads", "CuPy", "usable", "safetensors", "lessons"):
        assert question in out


def test_import_needs_numpy_alone():
    heavy = ["matplotlib", "safetensors", "tqdm", "tyro", "hypothesis", "pytest", "cupy"]
    code = f"import sys, tinymem; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to one process")
def test_ctrl_c_in_training_then_resume(tmp_path):
    from tinymem.training.checkpoints import load_checkpoint
    from tinymem.training.loop import Schedule
    from tinymem.training.runfolder import LAST

    long = experiment(schedule=Schedule(100_000, log_every=5, validate_every=10**6, checkpoint_every=10**6))
    script = tmp_path / "train.py"
    script.write_text(
        "import json, sys\nfrom pathlib import Path\nfrom tinymem import cli, lesson\nfrom tinymem.training.configs import from_plain\n"
        "from tinymem.training.sweep import sweep\n"
        "run = from_plain(json.loads(Path(sys.argv[1]).read_text()))\n"
        "cli.run_lesson = lambda name, options: sweep([run], options.out, progress=False)\n"
        "sys.exit(cli.main(['lesson', 'ntm-copy', '--out', sys.argv[2]]))\n"
    )
    from tinymem.training.configs import dumps

    (tmp_path / "run.json").write_text(dumps(long))
    metrics = tmp_path / "out" / long.folder / "metrics.jsonl"

    def heed_interrupts():  # tests that a shell runs in its background ignore them, and so would what they start
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def until(lines, kill):
        command = [sys.executable, str(script), str(tmp_path / "run.json"), str(tmp_path / "out")]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=heed_interrupts)
        while process.poll() is None and (not metrics.exists() or len(metrics.read_text().splitlines()) < lines):
            time.sleep(0.05)
        kill(process.pid, signal.SIGINT)
        return process.communicate(timeout=60)[1], process.returncode

    err, code = until(lines=2, kill=os.killpg)  # what a terminal does on Ctrl-C: the whole group
    assert code == 130
    assert "every run saved its state" in err
    assert "Traceback" not in err
    stopped_at = load_checkpoint(tmp_path / "out" / long.folder / LAST)[1]["update"]
    assert stopped_at >= 10
    err, code = until(lines=stopped_at // 5 + 2, kill=os.kill)  # what another program does: the parent alone
    assert (code, "every run saved its state" in err) == (130, True)
    assert load_checkpoint(tmp_path / "out" / long.folder / LAST)[1]["update"] > stopped_at
    updates = [json.loads(line)["update"] for line in metrics.read_text().splitlines()]
    assert updates == sorted(set(updates))


def test_results_json_and_the_printed_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tinymem.lesson._options_of_script", lambda: Options(out=tmp_path))
    lesson = Lesson("ntm-copy")
    lesson.row("a number", 1.5, "bits", 2.0, "Fig. 3", 0, 10)
    lesson.row("never", float("inf"), "sequences")
    lesson.finish()
    results = json.loads((tmp_path / "ntm-copy" / "results.json").read_text())
    assert set(results) == {"lesson", "version", "rows"}
    assert results["rows"][0] == {"name": "a number", "value": 1.5, "unit": "bits", "paper": 2.0, "source": "Fig. 3", "seed": 0, "n": 10}
    assert results["rows"][1]["value"] == "not reached"
    out = capsys.readouterr().out
    assert "a number" in out
    assert "1.5" in out


def test_table_is_aligned():
    lines = table([("a", "b"), ("long name", "1"), ("x", "22")]).splitlines()
    assert lines[0].index("b") == lines[2].index("1") == lines[3].index("22")


def test_missing_checkpoints_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("tinymem.lesson.find_lesson", lambda name: tmp_path / "05_ntm_copy.py")
    monkeypatch.setattr("tinymem.lesson._options_of_script", lambda: Options(out=tmp_path))
    from tinymem.training.checkpoints import CheckpointError

    with pytest.raises(CheckpointError, match="no such checkpoint; train one first"):
        Lesson("ntm-copy").runs([experiment()])


def test_run_lesson_refuses_before_anything_is_written(tmp_path):
    with pytest.raises(UsageError, match="there is no lesson"):
        run_lesson("nothing", Options(out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()
