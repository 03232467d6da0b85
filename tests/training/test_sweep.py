"""Runs side by side in processes of their own."""

import dataclasses
import signal
import sys
import time

import numpy as np
import pytest
from tiny import experiment

import tinymem.training.sweep as sweep_module
from tinymem.training.checkpoints import CheckpointError, load_checkpoint
from tinymem.training.configs import ConfigError, dumps, from_plain, to_plain
from tinymem.training.experiment import load_trained, run_experiment
from tinymem.training.loop import Schedule, Stopped
from tinymem.training.runfolder import BEST, LAST, METRICS, read_log
from tinymem.training.ship import load_shipped, ship
from tinymem.training.sweep import RunFailed, sweep


def test_a_process_trains_exactly_as_this_one(tmp_path, capsys):
    (folder,) = sweep([experiment()], tmp_path, progress=False)
    assert "one BLAS thread each" in capsys.readouterr().out
    here = run_experiment(experiment(), tmp_path / "here", progress=False)
    assert [line["loss"] for line in read_log(folder)] == pytest.approx([line["loss"] for line in here], rel=1e-6)
    assert sweep([experiment()], tmp_path, progress=False) == [folder]  # finished: nothing to do


def test_a_failing_run_is_named_and_the_others_finish(tmp_path):
    good, bad = experiment(), experiment(seed=9)
    (tmp_path / bad.folder).mkdir()
    (tmp_path / bad.folder / LAST).write_bytes(b"damaged")
    with pytest.raises(RunFailed, match=rf"run {bad.folder}: CheckpointError: .*not a readable checkpoint"):
        sweep([bad, good], tmp_path, processes=1, progress=False)
    assert len(read_log(tmp_path / good.folder)) == 3


def test_runs_that_differ_in_their_seed_are_shipped_together(tmp_path):
    family = [experiment(seed=seed) for seed in (1, 0)]
    folders = sweep(family, tmp_path / "runs", progress=False)
    (shipped,) = ship(tmp_path / "runs", tmp_path / "checkpoints")
    assert sorted(path.suffix for path in shipped.parent.iterdir()) == [".jsonl", ".safetensors"]
    assert not any("slot" in name for name in load_checkpoint(shipped)[0])
    for folder, made_by, (model, log, note) in zip(folders, family, load_shipped(shipped.parent, family), strict=True):
        best, _, its_note = load_trained(folder / BEST)
        assert note == its_note
        assert from_plain(note["run"]) == made_by
        assert log == read_log(folder)
        for name, array in best.state().items():
            assert np.array_equal(model.state()[name], array), name
    with pytest.raises(CheckpointError, match="holds the seeds 0, 1, not 2"):
        load_shipped(shipped.parent, [experiment(seed=2)])
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_shipped(shipped.parent, [experiment(dtype="float64")])


def test_a_large_family_is_stored_in_half_precision(tmp_path, monkeypatch):
    monkeypatch.setattr("tinymem.training.ship.LARGEST", 1000)
    sweep([experiment()], tmp_path / "runs", progress=False)
    (shipped,) = ship(tmp_path / "runs", tmp_path / "checkpoints")
    assert {str(array.dtype) for array in load_checkpoint(shipped)[0].values()} == {"float16"}
    ((model, _, _),) = load_shipped(tmp_path / "checkpoints", [experiment()])
    assert {str(array.dtype) for array in model.state().values()} == {"float32"}


def test_only_finished_runs_are_shipped(tmp_path):
    (folder,) = sweep([experiment()], tmp_path / "runs", progress=False)
    log = (folder / METRICS).read_text().splitlines(keepends=True)
    (folder / METRICS).write_text("".join(log[:-1]))
    with pytest.raises(ValueError, match="this run is not finished"):
        ship(tmp_path / "runs", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_folders_follow_the_configuration():
    assert experiment().folder == experiment().folder
    assert len({experiment().folder, experiment(seed=4).folder, experiment(dtype="float64").folder}) == 3


def test_configurations_survive_json():
    assert from_plain(to_plain(experiment())) == experiment()
    assert dumps(experiment()) == dumps(dataclasses.replace(experiment()))
    with pytest.raises(ConfigError, match="unknown configuration type 'Evil'"):
        from_plain({"type": "Evil"})
    with pytest.raises(ConfigError, match="CopyTask has no field colour"):
        from_plain({"type": "CopyTask", "colour": 1})


@pytest.mark.skipif(sys.platform == "win32", reason="a process of Windows cannot be sent SIGINT")
def test_a_run_that_was_asked_to_stop_stops_the_sweep_though_nobody_asked_that(tmp_path, monkeypatch):
    """In a shell's background the sweep ignores Ctrl-C; the run does not, and its exit code says what was asked."""
    started = sweep_module._start

    def interrupted(folder, *arguments):
        process = started(folder, *arguments)
        while not (folder / "metrics.jsonl").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        return process

    monkeypatch.setattr(sweep_module, "_start", interrupted)
    long = experiment(schedule=Schedule(100_000, log_every=5, validate_every=10**6, checkpoint_every=10**6))
    with pytest.raises(Stopped, match="every run saved its state"):
        sweep([long], tmp_path, progress=False)
