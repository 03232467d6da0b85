"""A check finds the smallest input that refutes a function, says so in the student's words, and is the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
from hypothesis import strategies as st

from tinymem.homework.answers import Answer, AnswerError, InChild, InProcess
from tinymem.homework.checking import run
from tinymem.homework.checks.ntm import CONTENT, COSINE, SHARPEN, SHIFT
from tinymem.homework.properties import Mismatch, agree, hidden, holds, public, values
from tinymem.homework.report import summary
from tinymem.homework.selftest import outcomes_of
from tinymem.homework.skeleton import solution_file
from tinymem.homework.tasks import assignment
from tinymem.lesson import UsageError

NTM = assignment(3)


def checked(text, task, folder, seed=0, name="values"):
    """The outcome of one property for a submission with this text."""
    (folder / "hw3.py").write_text("import numpy as np\n" + text, encoding="utf-8")
    [check] = [one for one in public(NTM) if one.task is task and one.name == name]
    [outcome] = run([check], InProcess(folder / "hw3.py"), seed)
    return outcome


BACKWARDS = """
def shift(weighting, shift_weighting):
    reach = shift_weighting.shape[1] // 2
    return sum(shift_weighting[:, [p]] * np.roll(weighting, reach - p, 1) for p in range(2 * reach + 1))
"""


def test_a_failure_shows_equation_input_both_answers_and_one_hint(tmp_path):
    outcome = checked(BACKWARDS, SHIFT, tmp_path)
    assert not outcome.passed
    assert (outcome.task, outcome.property, outcome.points, outcome.hidden) == ("3.7", "values", 2, False)
    for part in ("w̃_t(i) = Σ_j w^g_t(j) s_t(i - j)", "(Graves et al. 2014, eq. 8)", "weighting = [[1., 0., 0.]]", "yours  expected"):
        assert part in outcome.output
    assert outcome.output.count(SHIFT.hint) == 1
    for word in ("Traceback", "hypothesis", "Falsifying", "site-packages"):
        assert word not in outcome.output


def test_the_input_is_shrunk(tmp_path):
    text = "def sharpen(w, gamma):\n    p = w**gamma\n    return p / np.where(gamma > 2.5, 2, 1) / p.sum(1, keepdims=True)\n"
    assert "sharpening = [[2.501]]" in checked(text, SHARPEN, tmp_path).output


def test_a_check_is_deterministic_and_the_seed_changes_it(tmp_path):
    asked = []

    class Listening:
        sandboxed = ""

        def ask(self, function, *operands):
            asked.append([operand.tolist() for operand in operands])
            return Answer(SHIFT.reference(dict(zip(SHIFT.operands, operands, strict=True))), ())

        def printed(self):
            return ""

        def close(self):
            pass

    runs = []
    for seed in (0, 0, 1):
        asked.clear()
        [outcome] = run([values(SHIFT)], Listening(), seed)
        assert outcome.passed
        runs.append(list(asked))
    assert runs[0] == runs[1] != runs[2]
    assert len(runs[0]) >= 40


TOO_SHARP = """
def sharpen(w, gamma):
    if gamma.max() > 3:
        raise KeyError("too sharp")
    return w**gamma / (w**gamma).sum(1, keepdims=True)
"""


def test_an_exception_is_shown_with_the_students_line(tmp_path):
    output = checked(TOO_SHARP, SHARPEN, tmp_path).output
    assert "KeyError: 'too sharp'" in output
    assert "hw3.py, line 5, in sharpen" in output
    assert "sharpening = [[3.001]]" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("w[0]", "your result has the shape"),
        ("w.sum()", "your result has the shape"),
        ("(w, w)", "returns 2 results, expected 1"),
        ("np.ones((2,) * 9)", "1., 1.] and 496 numbers more  (2, 2,"),
        ("None", "is a `return` missing?"),
        ("w * 1j", "complex128, expected real numbers"),
        ("w * np.nan", "nan"),
        ("w > 0.5", "the values are wrong"),
    ],
)
def test_an_answer_of_the_wrong_form_is_told(result, said, tmp_path):
    assert said in checked(f"def shift(w, s):\n    return {result}\n", SHIFT, tmp_path).output


@pytest.mark.parametrize("name", ["domain", "inputs unchanged", "float32 kept", "the largest weight grows"])
def test_an_answer_of_another_shape_leads_no_judge_astray(name, tmp_path):
    for result in ("w[0]", "w.sum()", "(w, w)", "w[None]", "5"):
        assert "Traceback" not in checked(f"def sharpen(w, gamma):\n    return {result}\n", SHARPEN, tmp_path, name=name).output


def test_what_is_not_written_is_told_in_one_line(tmp_path):
    text = 'def shift(w, s):\n    raise NotImplementedError("Task 3.7: Shift")\n'
    assert checked(text, SHIFT, tmp_path).output == "not written yet: Task 3.7: Shift\n"
    assert "no function 'sharpen'" in checked(text, SHARPEN, tmp_path).output


def test_a_task_that_calls_another_which_is_not_written_says_which(tmp_path):
    text = 'def shift(w, s):\n    raise NotImplementedError("Task 3.7: Shift")\ndef sharpen(w, gamma):\n    return shift(w, gamma)\n'
    output = checked(text, SHARPEN, tmp_path).output
    assert output.startswith("Task 3.8, Sharpening: values")
    assert "not written yet: Task 3.7: Shift" in output


def test_arrays_of_several_lines_are_aligned(tmp_path):
    output = checked("def shift(w, s):\n    return w if len(w) < 2 else 0 * w[..., None]\n", SHIFT, tmp_path, name="domain").output
    assert "    weighting = [[1.],\n                 [1.]]  (2, 1)\n" in output
    assert "    yours:    [[[0.]]" in output


def test_a_function_that_answers_one_question_in_two_ways_is_refuted(tmp_path):
    text = "calls = []\ndef shift(w, s):\n    calls.append(0)\n    return w + len(calls) % 2\n"
    assert not checked(text, SHIFT, tmp_path).passed


class Refusing:
    """Answers nothing, and counts how often it was asked."""

    sandboxed = ""

    def __init__(self, kind):
        self.kind, self.calls = kind, 0

    def ask(self, function, *operands):
        self.calls += 1
        raise AnswerError(self.kind, "that was it")

    def printed(self):
        return "the last line"

    def close(self):
        pass


@pytest.mark.parametrize("kind", ["took too long", "ended the process", "too much memory", "does not load"])
def test_after_a_hang_nothing_more_is_asked(kind):
    answers = Refusing(kind)
    [outcome] = run([values(SHIFT)], answers)
    assert answers.calls == 1
    assert "that was it" in outcome.output
    assert ("the last line" in outcome.output) == (kind in ("took too long", "too much memory"))


def test_the_input_that_is_shown_is_the_one_that_was_asked(tmp_path):
    output = checked(BACKWARDS, SHIFT, tmp_path, name="a one-hot shift moves by one").output
    assert "shift_weighting = [[1., 0., 0.]]" in output


def test_hypothesis_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checked(BACKWARDS, SHIFT, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["hw3.py"]


def test_changes_in_place_and_lost_dtypes_are_told(tmp_path):
    output = checked("def shift(w, s):\n    w[:] = 0\n    return w\n", SHIFT, tmp_path, name="inputs unchanged").output
    assert "changes weighting in place" in output
    output = checked("def shift(w, s):\n    return w.astype(float)\n", SHIFT, tmp_path, name="float32 kept").output
    assert "float32 operands gave a float64 result" in output


def test_what_a_function_printed_is_shown_of_the_smallest_input(tmp_path):
    (tmp_path / "hw3.py").write_text("def shift(w, s):\n    print('w is', w)\n    return 2 * w\n", encoding="utf-8")
    answers = InChild(tmp_path / "hw3.py")
    [outcome] = run([values(SHIFT)], answers)
    answers.close()
    assert "what your function printed\n    w is [[1.]]\n" in outcome.output


def test_infinite_answers_warn_nobody(tmp_path):
    wrong = "def cosine_similarity(memory, key):\n    return np.inf * memory.sum(2)\n"
    for check in public(NTM):
        if check.task is COSINE and check.name != "float32 kept":
            assert not checked(wrong, COSINE, tmp_path, name=check.name).passed or check.name == "inputs unchanged"


def test_a_judge_that_is_wrong_itself_blames_no_student(tmp_path):
    @holds(SHIFT, "a mistake of the teacher's", "none", st.just({}))
    def asks_too_little(ask, given):
        ask(numpy.ones((1, 1)))

    (tmp_path / "hw3.py").write_text("def shift(w, s):\n    return w\n", encoding="utf-8")
    with pytest.raises(ValueError, match="zip"):
        list(run([asks_too_little], InProcess(tmp_path / "hw3.py")))


# -- the whole check -----------------------------------------------------------------------------------------------------------
def test_the_verdict_never_says_that_all_tests_passed():
    outcomes = list(run(public(NTM), InProcess(solution_file(NTM)), examples=1))
    text = summary(NTM, outcomes)
    assert text.endswith("All public checks passed (16 of 25 points); 9 points are graded by hidden checks")
    assert "All tests" not in text
    alone = summary(NTM, [outcome for outcome in outcomes if outcome.task == "3.2"])
    assert alone.endswith("All public checks of task 3.2 passed (1 of 25 points); the other tasks were not checked")


def test_a_tasks_points_are_given_only_if_all_its_properties_hold(tmp_path):
    source = solution_file(NTM).read_text(encoding="utf-8")
    (tmp_path / "hw3.py").write_text(source.replace("scores - scores.max(1, keepdims=True)", "scores", 1), encoding="utf-8")
    two = [one for one in public(NTM) if one.task in (COSINE, CONTENT)]
    text = summary(NTM, list(run(two, InProcess(tmp_path / "hw3.py"), examples=5)))
    assert "1 of 2 tasks pass (1 of 25 points)" in text
    assert "Task 3.5, Content addressing: a great strength does not overflow" in text


def test_a_file_that_does_not_load_is_told_once():
    text = summary(NTM, list(run(public(NTM), Refusing("does not load"))))
    assert text.count("that was it") == 1
    assert "0 of 11 tasks pass (0 of 25 points)" in text


# -- what properties are made of -----------------------------------------------------------------------------------------------
def test_agree_compares_numbers_shapes_and_counts():
    one = numpy.ones(2)
    agree([one], [one])
    for yours in ([], [one, one], [numpy.ones(3)], [one + 1e-6], [one * numpy.nan], [one.astype(complex)]):
        with pytest.raises(Mismatch):
            agree(yours, [one])


def test_a_teacher_adds_hidden_properties(tmp_path):
    with pytest.raises(UsageError, match=r"hw3_hidden\.py is missing"):
        hidden(tmp_path, NTM)
    (tmp_path / "hw3_hidden.py").write_text("PROPERTIES = ()\n", encoding="utf-8")
    with pytest.raises(UsageError, match="must define PROPERTIES"):
        hidden(tmp_path, NTM)
    (tmp_path / "hw3_hidden.py").write_text(
        "from tinymem.homework.checks.ntm import SHIFT\n"
        "from tinymem.homework.properties import either, values\n"
        "PROPERTIES = (values(SHIFT, 'larger memories', either(SHIFT.equation, 9)),)\n",
        encoding="utf-8",
    )
    (tmp_path / "hw2_hidden.py").write_text((tmp_path / "hw3_hidden.py").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(UsageError, match=r"assignment 2 has no task '3\.7'"):
        hidden(tmp_path, assignment(2))
    found = hidden(tmp_path, NTM)
    [outcome] = run(found, InProcess(solution_file(NTM)), examples=5)
    assert (outcome.hidden, outcome.property, outcome.points, outcome.passed) == (True, "larger memories", SHIFT.hidden_points, True)


def test_the_example_of_hidden_checks_grades_all_hidden_points():
    found = hidden(Path(__file__).parents[2] / "examples" / "hidden", NTM)
    assert {check.task.number for check in found} == {task.number for task in NTM.tasks if task.hidden_points}
    assert all(outcome.passed for outcome in run(found, InProcess(solution_file(NTM)), examples=5))
    wrong = solution_file(NTM).read_text(encoding="utf-8").replace("np.roll(weighting, offset, 1)", "np.roll(weighting, 1, 1)")
    failed = [one.property for one in outcomes_of(wrong, NTM.file, found, examples=5) if not one.passed]
    assert failed == ["larger memories", "there and back again"]


def test_hidden_checks_that_would_count_for_nothing_are_refused(tmp_path):
    (tmp_path / "hw3_hidden.py").write_text(
        "from tinymem.homework.checks.ntm import READ\nfrom tinymem.homework.properties import values\nPROPERTIES = (values(READ),)\n",
        encoding="utf-8",
    )
    with pytest.raises(UsageError, match=r"task 3\.1 has no hidden points"):
        hidden(tmp_path, NTM)


def test_a_property_of_ones_own(tmp_path):
    one = {name: numpy.ones((1, 1)) for name in SHIFT.operands}

    @holds(SHIFT, "of one location", "A single location has nowhere to go.", st.just(one))
    def of_one(ask, given):
        agree(ask(*given.values()).results, [numpy.ones((1, 1))], "it went away")

    (tmp_path / "hw3.py").write_text("def shift(w, s):\n    return 0 * w\n", encoding="utf-8")
    [outcome] = run([of_one], InProcess(tmp_path / "hw3.py"))
    assert "it went away" in outcome.output
    assert "A single location has nowhere to go." in outcome.output
