"""The training loop: it learns, it resumes bit for bit, it stops cleanly, it names what became NaN."""

import dataclasses
import json
import os
import signal

import numpy as np
import pytest
from tiny import NTM, SHORT, TASK, experiment

import tinymem as tm
from tinymem.models.lstm import LSTMConfig
from tinymem.tasks.algorithms import CopyTask
from tinymem.training.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from tinymem.training.experiment import load_trained, run_experiment
from tinymem.training.loop import NonFiniteError, Schedule, Steady, Stopped, train
from tinymem.training.objectives import bits_per_sequence, wrong_bits
from tinymem.training.optimisers import SGD, Adam, GravesRMSProp
from tinymem.training.runfolder import BEST, LAST, METRICS, locked, read_log


def everything(folder):
    """All that a run leaves, without the seconds."""
    arrays, note = load_checkpoint(folder / LAST)
    lines = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
    for of in (note, *lines):
        of.pop("window_seconds", None)
        of.pop("cpu_seconds", None)
    best, best_note = load_checkpoint(folder / BEST)
    return {name: a.tobytes() for name, a in arrays.items()}, note, lines, {name: a.tobytes() for name, a in best.items()}, best_note


def at_draw(monkeypatch, number, act):
    """Call `act` when training batch `number` is drawn, which happens once an update; a compiled loss is only called to be recorded."""
    drawn, batch = 0, CopyTask.batch

    def counting(task, rng, size, length=None):
        nonlocal drawn
        drawn += size == SHORT.batch  # validation's batches are larger
        if drawn == number and size == SHORT.batch:
            act()
        return batch(task, rng, size, length)

    monkeypatch.setattr(CopyTask, "batch", counting)


@pytest.mark.parametrize("optimiser", [GravesRMSProp(1e-3), Adam(1e-3), SGD(1e-3, momentum=0.9)])
def test_an_interrupted_run_ends_in_the_state_of_an_uninterrupted_one(tmp_path, monkeypatch, optimiser):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run_experiment(experiment(optimiser=optimiser), whole, progress=False)

    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)

    at_draw(monkeypatch, 5, interrupt)  # within a window of the log, between two checkpoints
    with pytest.raises(Stopped, match="stopped at update 5 of 12"):
        run_experiment(experiment(optimiser=optimiser), parts, progress=False)
    run_experiment(experiment(optimiser=optimiser), parts, progress=False)
    assert everything(parts) == everything(whole)


def test_a_crash_between_checkpoints_repeats_and_logs_nothing_twice(tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run_experiment(experiment(), whole, progress=False)

    def crash():
        raise MemoryError

    at_draw(monkeypatch, 9, crash)  # after the checkpoint at 6 and the log line at 8
    with pytest.raises(MemoryError):
        run_experiment(experiment(), parts, progress=False)
    assert load_checkpoint(parts / LAST)[1]["update"] == 6
    run_experiment(experiment(), parts, progress=False)
    assert everything(parts) == everything(whole)


def test_a_finished_run_is_not_trained_again(tmp_path):
    first = run_experiment(experiment(), tmp_path, progress=False)
    stamp = (tmp_path / LAST).stat().st_mtime_ns
    assert run_experiment(experiment(), tmp_path, progress=False) == first
    assert (tmp_path / LAST).stat().st_mtime_ns == stamp


def test_another_configuration_is_refused(tmp_path):
    run_experiment(experiment(), tmp_path, progress=False)
    with pytest.raises(CheckpointError, match="another configuration or seed"):
        run_experiment(experiment(seed=4), tmp_path, progress=False)


def test_a_damaged_checkpoint_is_named(tmp_path):
    run_experiment(experiment(), tmp_path, progress=False)
    (tmp_path / LAST).write_bytes(b"half a file")
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        run_experiment(experiment(), tmp_path, progress=False)


def test_seeds_differ_and_repeat(tmp_path):
    def losses(seed, folder):
        return [line["loss"] for line in run_experiment(experiment(seed=seed), tmp_path / folder, progress=False)]

    assert losses(0, "a") == losses(0, "b") != losses(1, "c")


def test_it_learns_and_the_best_parameters_are_kept(tmp_path):
    lstm = LSTMConfig(TASK.inputs, TASK.outputs, hidden=24, layers=1)
    learner = experiment(model=lstm, optimiser=Adam(1e-2), schedule=Schedule(450, batch=16, validate_every=50))
    history = run_experiment(learner, tmp_path, progress=False)
    assert history[0]["loss"] > 1.0 > 0.3 > history[-1]["loss"]
    model, again, note = load_trained(tmp_path / BEST)
    assert again == learner
    held_out = TASK.batch(np.random.default_rng(99), 32)
    assert bits_per_sequence(model, held_out).item() < 0.3
    assert wrong_bits(model, held_out)[0] == 0
    assert note["validation"] <= min(line["validation"] for line in history)


@pytest.mark.parametrize(("poison", "expected"), [("loss", "update 1: the loss"), ("parameter", "the gradient of out.b")])
def test_non_finite_numbers_stop_the_run_with_step_and_parameter(tmp_path, poison, expected):
    model = NTM.build(np.random.default_rng(0))
    tripped = {
        "loss": lambda m, e: bits_per_sequence(m, e) * float("nan"),
        "parameter": lambda m, e: bits_per_sequence(m, e) + (m.out.b * 0).sum() ** 0.5,  # a square root at 0: its slope is infinite
    }
    with pytest.raises(NonFiniteError, match=expected) as error, np.errstate(all="ignore"):
        train(
            model,
            Steady(lambda rng: TASK.batch(rng, 1), tripped[poison]),
            SGD(),
            SHORT,
            tmp_path,
            rng=np.random.default_rng(0),
            progress=False,
        )
    assert "no earlier checkpoint" in str(error.value)
    assert all(np.isfinite(array).all() for array in model.state().values())  # the poisoned update was not applied


def test_the_last_finite_checkpoint_is_named(tmp_path):
    model, drawn = NTM.build(np.random.default_rng(0)), 0

    def late(rng):
        nonlocal drawn
        drawn += 1
        episode = TASK.batch(rng, 1)
        return dataclasses.replace(episode, inputs=episode.inputs * np.float32("nan" if drawn > 7 else 1))

    with pytest.raises(NonFiniteError, match=r"update 8: .*last finite checkpoint is .*last\.safetensors"):
        train(model, Steady(late, bits_per_sequence), SGD(), SHORT, tmp_path, rng=np.random.default_rng(0), progress=False)
    assert load_checkpoint(tmp_path / LAST)[1]["update"] == 6


@pytest.mark.parametrize("change", [{"updates": 0}, {"updates": 10.5}, {"batch": 0}, {"clip": 0.0}, {"clip_by": "value"}])
def test_impossible_schedules_are_refused(change):
    with pytest.raises(ValueError, match=r"schedule|clip_by"):
        Schedule(**{"updates": 1, **change})


def test_loss_is_in_bits_summed_over_target_bits():
    model, episode = NTM.build(np.random.default_rng(0), "float64"), TASK.batch(np.random.default_rng(0), 5, length=2)
    model.out.W.data, model.out.b.data = np.zeros_like(model.out.W.data), np.zeros_like(model.out.b.data)
    assert bits_per_sequence(model, episode).item() == pytest.approx(episode.target_bits) == 6  # an ignorant model pays one bit each


def test_training_under_the_strict_device_equals_numpy(tmp_path):
    from tinymem.testing import strict

    plain = run_experiment(experiment(schedule=dataclasses.replace(SHORT, updates=4)), tmp_path / "numpy", progress=False)
    with tm.use(strict.namespace):
        device = run_experiment(experiment(schedule=dataclasses.replace(SHORT, updates=4)), tmp_path / "strict", progress=False)
    assert [line["loss"] for line in device] == pytest.approx([line["loss"] for line in plain], rel=1e-5)


def test_one_folder_has_one_writer(tmp_path):
    with locked(tmp_path), pytest.raises(CheckpointError, match="another process is training here"):
        run_experiment(experiment(), tmp_path, progress=False)
    assert len(run_experiment(experiment(), tmp_path, progress=False)) == 3


def test_a_torn_last_line_of_the_log_does_not_stop_a_run(tmp_path):
    whole = run_experiment(experiment(), tmp_path, progress=False)
    with open(tmp_path / METRICS, "a", encoding="utf-8") as file:
        file.write('{"update": 99, "lo')
    assert read_log(tmp_path) == whole
    assert run_experiment(experiment(), tmp_path, progress=False) == whole
    assert len((tmp_path / METRICS).read_text().splitlines()) == 3


@pytest.mark.parametrize("missing", ["slot/out.b/mean", "parameter/out.b"])
def test_an_incomplete_state_is_refused(tmp_path, missing):
    run_experiment(experiment(), tmp_path, progress=False)
    arrays, note = load_checkpoint(tmp_path / LAST)
    save_checkpoint(tmp_path / LAST, {name: a for name, a in arrays.items() if name != missing}, note)
    with pytest.raises(CheckpointError, match="no complete state of a run"):
        run_experiment(experiment(), tmp_path, progress=False)
