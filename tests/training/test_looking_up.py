"""The course of looking up: what is asked, what is reported of the heads, and a stop that is not seen in the result."""

import json
import math

import numpy as np
import pytest

import tinymem as tm
from tinymem.models.language_model import LanguageModelConfig
from tinymem.tasks.lookup import LookupTask
from tinymem.training import looking_up
from tinymem.training.checkpoints import load_checkpoint
from tinymem.training.configs import from_plain, to_plain
from tinymem.training.experiment import Experiment, course_of, run_experiment
from tinymem.training.looking_up import LookupCourse, bits_per_answer, head_weights
from tinymem.training.loop import Schedule
from tinymem.training.optimisers import Adam
from tinymem.training.runfolder import LAST, METRICS

TASK = LookupTask(keys=3, values=4, pairs=4)
SMALL = LanguageModelConfig(TASK.words, width=8)
SCHEDULE = Schedule(6, batch=4, log_every=2, validate_every=2, checkpoint_every=3)
EXPERIMENT = Experiment("tiny", SMALL, TASK, Adam(1e-2), SCHEDULE, seed=3)


@pytest.fixture(autouse=True)
def few_held_out(monkeypatch):
    monkeypatch.setattr(looking_up, "HELD_OUT", 8)


class Told:
    """A model that gives one word all the probability that `sure` says."""

    def __init__(self, targets, sure):
        self.targets, self.sure = targets, sure

    def logits(self, words):
        return tm.Tensor(np.where(np.arange(TASK.words) == self.targets[:, :, None], self.sure, 0.0))


def test_bits_are_of_the_asked_words_alone():
    batch = TASK.batch(np.random.default_rng(0), 5)
    assert bits_per_answer(Told(batch.targets, 0.0), batch).item() == pytest.approx(math.log2(TASK.words))
    right_where_asked = np.where(batch.mask > 0, batch.targets, -1)
    assert bits_per_answer(Told(right_where_asked, 50.0), batch).item() == pytest.approx(0, abs=1e-6)


def test_every_head_is_shown_and_looks_back_only():
    batch = TASK.batch(np.random.default_rng(0), 5)
    weights = head_weights(SMALL.build(np.random.default_rng(0)), batch)
    assert weights.shape == (2, 5, 2, 8, 8)
    np.testing.assert_allclose(weights.sum(4), 1, rtol=1e-5)
    assert not np.triu(weights, 1).any()


def test_an_experiment_knows_the_task_its_unit_and_its_course():
    assert from_plain(to_plain(EXPERIMENT)) == EXPERIMENT
    assert EXPERIMENT.unit == "bits per asked word"
    assert isinstance(course_of(EXPERIMENT, SMALL.build(np.random.default_rng(0))), LookupCourse)


def test_the_log_says_how_far_the_best_heads_are(tmp_path):
    history = run_experiment(EXPERIMENT, tmp_path, progress=False)
    assert all(0 <= line["previous_token"] <= 1 and 0 <= line["induction"] <= 1 for line in history)
    course = LookupCourse(TASK, 4, EXPERIMENT.seed)
    model = SMALL.build(np.random.default_rng([EXPERIMENT.seed, 0]))
    assert course.validate(model) > 0
    assert course.report() == course.progress()
    again = LookupCourse(TASK, 4, EXPERIMENT.seed)
    again.go_on(json.loads(json.dumps(course.progress())))
    assert again.report() == course.report()


def test_a_run_that_goes_on_ends_as_one_that_was_not_stopped(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run_experiment(EXPERIMENT, whole, progress=False)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(LookupCourse, "draw", stopping_after(3))
        with pytest.raises(KeyboardInterrupt):
            run_experiment(EXPERIMENT, parts, progress=False)
    run_experiment(EXPERIMENT, parts, progress=False)

    def lines(folder):
        return [{**json.loads(line), "cpu_seconds": 0} for line in (folder / METRICS).read_text().splitlines()]

    assert lines(parts) == lines(whole)
    one, other = (load_checkpoint(folder / LAST)[0] for folder in (parts, whole))
    assert {name: array.tobytes() for name, array in one.items()} == {name: array.tobytes() for name, array in other.items()}


def stopping_after(updates):
    """`draw`, until it has been asked so often."""
    draw, asked = LookupCourse.draw, []

    def drawn(course, rng):
        asked.append(1)
        if len(asked) > updates:
            raise KeyboardInterrupt
        return draw(course, rng)

    return drawn
