"""Curricula: what each draws, when a level is passed, and a run that follows one and goes on from where it stopped."""

import dataclasses
import os
import re
import signal
from collections import Counter

import numpy as np
import pytest
from test_loop import everything

import tinymem as tm
from tinymem.models.lstm import LSTMConfig
from tinymem.models.sequence import run
from tinymem.tasks.programs import ALPHABET, AdditionTask, ExecutionTask, MemorisationTask, split_of
from tinymem.training import curricula
from tinymem.training.answers import Accuracy
from tinymem.training.checkpoints import load_checkpoint
from tinymem.training.curricula import ENOUGH, PATIENCE, SLOWER, SLOWEST, Curriculum, CurriculumCourse
from tinymem.training.experiment import Experiment, run_experiment
from tinymem.training.loop import Schedule, Stopped
from tinymem.training.objectives import one_hot
from tinymem.training.optimisers import Adam
from tinymem.training.runfolder import LAST

STRATEGIES = ["baseline", "naive", "mix", "combined"]
LSTM = LSTMConfig(len(ALPHABET), len(ALPHABET), hidden=10, layers=1)
SHORT = Schedule(14, batch=4, log_every=2, validate_every=2, checkpoint_every=4, clip=5.0, clip_by="norm")


def experiment(strategy="combined", **changes):
    return dataclasses.replace(Experiment("tiny", LSTM, Curriculum(AdditionTask(2), strategy), Adam(1e-2), SHORT, seed=3), **changes)


@pytest.fixture
def small_checks(monkeypatch):
    """Checks of few examples; a level lasts three of them at most."""
    monkeypatch.setattr(curricula, "CHECKED", 24)
    monkeypatch.setattr(curricula, "PATIENCE", 2)


# --- what is drawn ---


@pytest.mark.parametrize(
    ("task", "path"),
    [
        (ExecutionTask(3, 2), [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2)]),
        (ExecutionTask(1, 3), [(1, 1), (1, 2), (1, 3)]),
        (AdditionTask(4), [(1, 1), (2, 1), (3, 1), (4, 1)]),
        (MemorisationTask(5, 8), [(5, 1), (6, 1), (7, 1), (8, 1)]),
    ],
)
def test_harder_is_one_digit_more_and_then_one_operation_more(task, path):
    curriculum = Curriculum(task, "naive")
    assert curriculum.start == path[0]
    assert [curriculum.harder(level) for level in path] == [*path[1:], path[-1]]


@pytest.mark.parametrize(("strategy", "start"), [("baseline", (3, 2)), ("mix", (3, 2)), ("naive", (1, 1)), ("combined", (1, 1))])
def test_where_a_strategy_starts(strategy, start):
    assert Curriculum(ExecutionTask(3, 2), strategy).start == start


def drawn(strategy, level, task=None, count=12_000):
    draw = Curriculum(task or ExecutionTask(3, 2), strategy).hardness(np.random.default_rng(0), level)
    return Counter(draw() for _ in range(count))


def test_baseline_and_naive_draw_their_level_and_nothing_else():
    assert set(drawn("baseline", (3, 2))) == {(3, 2)}
    assert set(drawn("naive", (2, 1))) == {(2, 1)}


def test_mix_draws_every_hardness_alike():
    counts = drawn("mix", (3, 2))
    assert set(counts) == {(length, nesting) for length in (1, 2, 3) for nesting in (1, 2)}
    assert all(1800 < count < 2200 for count in counts.values()), counts  # 2000 expected, standard deviation 41
    assert set(drawn("mix", (9, 1), MemorisationTask(7, 9))) == {(7, 1), (8, 1), (9, 1)}


def test_combined_is_a_fifth_of_mix_and_the_rest_naive():
    counts = drawn("combined", (2, 1))
    assert len(counts) == 6
    own = counts.pop((2, 1)) / 12_000
    assert own == pytest.approx(0.8 + 0.2 / 6, abs=0.015)
    assert all(300 < count < 500 for count in counts.values()), counts  # 400 expected


def test_a_hardness_is_drawn_anew_for_every_number():
    texts = [
        ExecutionTask(3, 1).example(rng, Curriculum(ExecutionTask(3, 1), "mix").hardness(rng, (3, 1)), "train").text
        for rng in [np.random.default_rng(0)]
        for _ in range(200)
    ]
    lengths = [
        tuple(sorted(len(number) for number in re.findall(r"\d+", text))) for text in texts if re.fullmatch(r"print\(\(.*\)\)@", text)
    ]
    assert {(1, 2), (1, 3), (2, 3)} <= set(lengths)


def test_an_unknown_strategy_is_refused():
    with pytest.raises(ValueError, match="'baseline', 'naive', 'mix' or 'combined', got 'random'"):
        Curriculum(AdditionTask(3), "random")


# --- the course of a run ---


def texts(batch):
    """The examples of a batch, text and answer parted by `@`."""
    streams = np.vstack([batch.inputs, batch.targets[-1:]])  # the last target is never read
    lengths = [int(np.flatnonzero(counts)[-1]) + 1 for counts in batch.mask.T]
    streams[lengths, range(len(lengths))] = [batch.targets[length - 1, column] for column, length in enumerate(lengths)]
    return [ALPHABET.decode(streams[: length + 1, column]).partition("@")[::2] for column, length in enumerate(lengths)]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_batch_is_drawn_from_the_training_split_at_its_level(strategy):
    course = CurriculumCourse(Curriculum(AdditionTask(3), strategy), 32, 0, eager=True)
    rng = np.random.default_rng(0)
    found = [example for _ in range(4) for example in texts(course.draw(rng))]
    assert len(found) == 4 * 32
    sums = [re.fullmatch(r"print\((\d+)\+(\d+)\)", text).groups() for text, _ in found]
    assert [answer for _, answer in found] == [f"{int(a) + int(b)}." for a, b in sums]
    assert {split_of(f"{text}@") for text, _ in found} == {"train"}
    assert {len(a) for a, _ in sums} == {"baseline": {3}, "naive": {1}}.get(strategy, {1, 2, 3})


def test_held_out_examples_have_the_full_hardness_and_are_never_trained_on():
    course = CurriculumCourse(Curriculum(AdditionTask(3), "naive"), 4, 0, eager=True)
    assert len(course.held_out) == curricula.CHECKED
    assert {(len(example.text), split_of(example.text)) for example in course.held_out} == {(len("print(123+456)@"), "validation")}
    again, other = (CurriculumCourse(Curriculum(AdditionTask(3), "naive"), 4, seed, eager=True) for seed in (0, 1))
    assert again.held_out == course.held_out != other.held_out


class Checks:
    """A course whose checks find what they are told: accuracies of the validation at the level, and of the training."""

    def __init__(self, monkeypatch, strategy, task=None):
        self.course = CurriculumCourse(Curriculum(task or ExecutionTask(2, 2), strategy), 4, 0, eager=True)
        self.course.measure = lambda inputs: inputs
        self.asked = []
        monkeypatch.setattr(curricula, "accuracy", self.accuracy)

    def accuracy(self, measure, task, examples):
        self.asked.append(examples)
        return Accuracy(0.25 if examples is self.course.held_out else self.found, 0.125, len(examples))

    def __call__(self, validation, training):
        self.found = validation
        for name, count in (("right", training), ("asked", 1.0)):
            self.course.carried[name].data = self.course.carried[name].data * 0 + count
        assert self.course.validate(None) == 0.75
        return self.course.level


def test_a_level_is_passed_with_95_percent_of_the_characters(monkeypatch):
    check = Checks(monkeypatch, "combined")
    assert ENOUGH == 0.95
    assert check(0.95, 0.1) == (1, 1)  # not more than 95 %
    assert check(0.951, 0.2) == (2, 1)
    assert check(0.99, 0.3) == (1, 2)
    assert check(0.5, 0.4) == (1, 2)
    report = {"length": 1, "nesting": 2, "level_accuracy": 0.5, "accuracy": 0.25, "exact": 0.125, "pace": 1.0}
    assert check.course.report() == report


def test_validation_at_a_level_draws_new_examples_of_it(monkeypatch):
    check = Checks(monkeypatch, "naive", AdditionTask(2))
    check(0.5, 0.1)
    check(0.5, 0.2)
    held_out, one, again, other = check.asked
    assert again is held_out is check.course.held_out
    assert one != other
    for examples in (one, other):
        assert len(examples) == curricula.CHECKED
        assert {(len(example.text), split_of(example.text)) for example in examples} == {(len("print(1+2)@"), "validation")}


def test_a_level_is_passed_when_training_is_no_better_than_five_checks_ago(monkeypatch):
    check = Checks(monkeypatch, "naive")
    assert PATIENCE == 5
    for training in (0.5, 0.4, 0.3, 0.2, 0.1):  # worse and worse, but five checks ago there was none
        assert check(0.5, training) == (1, 1)
    assert check(0.5, 0.5) == (2, 1)  # as good as five checks ago
    for training in (0.1, 0.5, 0.5, 0.5, 0.5, 0.11, 0.51, 0.52):  # the level before does not count; each better than five checks ago
        assert check(0.5, training) == (2, 1)
    assert check(0.5, 0.5) == (1, 2)


@pytest.mark.parametrize("strategy", ["baseline", "mix"])
def test_at_the_full_hardness_the_same_event_slows_the_learning(monkeypatch, strategy):
    check = Checks(monkeypatch, strategy)
    for number in range(20):
        assert check(0.5, 0.0) == (2, 2)
        assert check.course.pace == (
            1.0 if number < 5 else pytest.approx(SLOWER if number < 11 else SLOWER**2 if number < 17 else SLOWER**3)
        )
    for _ in range(200):
        check(0.5, 0.0)
    assert check.course.pace == SLOWEST
    assert check.course.report()["pace"] == SLOWEST


def test_a_course_that_reached_the_full_hardness_slows_only_from_then_on(monkeypatch):
    check = Checks(monkeypatch, "combined", AdditionTask(2))
    check(0.99, 0.1)
    assert (check.course.level, check.course.pace) == ((2, 1), 1.0)
    for training in (0.9, 0.9, 0.9, 0.9, 0.9):
        check(0.5, training)
    assert check.course.pace == 1.0
    check(0.5, 0.9)
    assert (check.course.level, check.course.pace) == ((2, 1), SLOWER)


def test_the_characters_of_a_step_are_counted_as_one_counts_them():
    course = CurriculumCourse(Curriculum(ExecutionTask(2, 2), "mix"), 16, 0, eager=True)
    model, rng = LSTM.build(np.random.default_rng(1)), np.random.default_rng(2)
    model.out.b.data = np.where([symbol in "0123456789." for symbol in ALPHABET.symbols], 1.0, 0.0).astype(np.float32)  # or none is right
    right = asked = written = 0
    for _ in range(3):
        batch = course.draw(rng)
        written += sum(len(answer) for _, answer in texts(batch))
        loss = course.loss(model, batch)
        with tm.no_grad():
            logits = run(model, one_hot(batch.inputs, len(ALPHABET), "float32")).data
        shares = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
        bits = []
        for step, column in zip(*np.nonzero(batch.mask), strict=True):
            due = batch.targets[step, column]
            right += logits[step, column].argmax() == due
            asked += 1
            bits.append(-np.log2(shares[step, column, due]))
        assert loss.item() == pytest.approx(np.mean(bits), rel=1e-4)
    assert (course.carried["right"].item(), course.carried["asked"].item()) == (right, asked)
    assert 0 < right < asked == written


# --- whole runs ---


def interrupted_at(monkeypatch, number):
    """Ctrl-C while training batch `number` is drawn."""
    count, draw = 0, CurriculumCourse.draw

    def counting(course, rng):
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGINT)
        return draw(course, rng)

    monkeypatch.setattr(CurriculumCourse, "draw", counting)


@pytest.mark.parametrize("number", [5, 9])  # in the middle of a level and of a window; of another
def test_an_interrupted_course_ends_in_the_state_of_an_uninterrupted_one(tmp_path, monkeypatch, small_checks, number):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    history = run_experiment(experiment(), whole, progress=False)
    assert {line["length"] for line in history} == {1, 2}  # a level was passed on the way
    assert history[-1]["pace"] < 1  # and the learning slowed at the last one
    interrupted_at(monkeypatch, number)
    with pytest.raises(Stopped, match=f"stopped at update {number} of 14"):
        run_experiment(experiment(), parts, progress=False)
    run_experiment(experiment(), parts, progress=False)
    assert everything(parts) == everything(whole)


def test_eager_equals_compiled(tmp_path, monkeypatch, small_checks):
    counted, validate = [], CurriculumCourse.validate

    def counting(course, model):
        counted.append(tuple(course.carried[name].item() for name in ("right", "asked")))
        return validate(course, model)

    monkeypatch.setattr(CurriculumCourse, "validate", counting)
    compiled = run_experiment(experiment(), tmp_path / "compiled", progress=False)
    eager = run_experiment(experiment(), tmp_path / "eager", progress=False, eager=True)
    for one, other in zip(compiled, eager, strict=True):
        assert one.keys() == other.keys()
        for name in one.keys() - {"cpu_seconds"}:
            assert one[name] == pytest.approx(other[name], rel=1e-4), name
    assert counted[:7] == counted[7:]  # a check counts anew
    assert all(0 <= right < asked < 2 * 4 * 5 for right, asked in counted)
    assert any(right > 0 for right, _ in counted)
    courses = [load_checkpoint(tmp_path / name / LAST)[1]["course"] for name in ("compiled", "eager")]
    assert courses[0] == courses[1]


@pytest.mark.parametrize("eager", [False, True])
def test_a_course_under_the_strict_device_equals_numpy(tmp_path, small_checks, eager):
    from tinymem.testing import strict

    short = experiment(schedule=dataclasses.replace(SHORT, updates=4))
    plain = run_experiment(short, tmp_path / "numpy", progress=False, eager=eager)
    with tm.use(strict.namespace):
        device = run_experiment(short, tmp_path / "strict", progress=False, eager=eager)
    assert [line["loss"] for line in device] == pytest.approx([line["loss"] for line in plain], rel=1e-5)
    assert [line["accuracy"] for line in device] == [line["accuracy"] for line in plain]
