"""Grading: points and results.json, whatever is handed in."""

import csv
import json
import os
import sys
from importlib import resources
from pathlib import Path

import jsonschema
import numpy
import pytest
from hypothesis import strategies as st

from tinymem.equations.ntm import interpolate, sharpen
from tinymem.homework import grading
from tinymem.homework.grading import Rules, grade, grade_all, points
from tinymem.homework.properties import Ask, Mismatch, Property, values
from tinymem.homework.tasks import Assignment, Inputs, Task
from tinymem.lesson import UsageError

RIGHT = """
def sharpen(weighting, sharpening):
    powers = weighting**sharpening
    return powers / powers.sum(-1, keepdims=True)

def interpolate(content, previous, gate):
    return gate * content + (1 - gate) * previous
"""
HANGS = RIGHT.replace("    powers = ", "    while True: pass\n    powers = ")
WRONG = RIGHT.replace("(1 - gate) * previous", "previous")
BROKEN = "def sharpen(:"

SHARPEN = Task("9.1", sharpen, "slide", "hint", public_points=2, hidden_points=3)
INTERPOLATE = Task("9.2", interpolate, "slide", "hint", public_points=1, hidden_points=0)


def only_the_teacher_knows(ask: Ask, given: Inputs) -> None:
    weights = given["weights"]
    if not numpy.allclose(ask(weights, numpy.ones((1, 1))).results[0], weights):
        raise Mismatch("it is not the same")


HIDDEN = Property(SHARPEN, "a telling name", st.just({"weights": numpy.array([[0.25, 0.75]])}), only_the_teacher_knows, "hint", hidden=True)
RULES = Rules(
    Assignment(9, "two rows", (SHARPEN, INTERPOLATE), (values(SHARPEN), values(INTERPOLATE))), (HIDDEN,), "secret", examples=5, seconds=2
)
SCHEMA = json.loads(resources.files("tinymem.homework").joinpath("gradescope.json").read_text(encoding="utf-8"))


def hand_in(folder: Path, source: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "hw9.py").write_text(source)
    return folder


def read(path: Path) -> grading.Results:
    results: grading.Results = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.validate(results, SCHEMA)
    return results


def scores(results: grading.Results) -> list[int]:
    return [test["score"] for test in results["tests"]]


@pytest.mark.parametrize(
    ("source", "expected", "output"),
    [
        (RIGHT, [2, 1, 3], "All public checks passed (3 of 6 points); 3 points are graded by hidden checks."),
        (WRONG, [2, 0, 3], "Not all public checks passed (2 of 6 points); 3 points are graded by hidden checks."),
        (HANGS, [0, 1, 0], "Not all public checks passed (1 of 6 points); 3 points are graded by hidden checks."),
        (BROKEN, [0, 0, 0], "Not all public checks passed (0 of 6 points); 3 points are graded by hidden checks."),
    ],
)
def test_points_by_task_and_a_hang_costs_its_own_task_only(tmp_path: Path, source: str, expected: list[int], output: str) -> None:
    out = tmp_path / "results.json"
    results = grade(hand_in(tmp_path / "submission", source), RULES, out, student="ada")
    assert read(out) == results
    assert (scores(results), results["output"]) == (expected, output)
    assert points(results) == (sum(expected), 6)
    assert results["extra_data"]["finished"]


def test_nothing_of_the_hidden_checks_is_visible(tmp_path: Path) -> None:
    results = grade(hand_in(tmp_path / "submission", WRONG.replace("powers.sum", "2 * powers.sum")), RULES, tmp_path / "results.json")
    hidden = results["tests"].pop()
    assert (hidden["name"], hidden["visibility"], hidden["score"]) == ("Task 9.1: hidden checks", "after_published", 0)
    assert "0.25" in hidden["output"]
    assert "a telling name" not in json.dumps(results)
    assert {test["visibility"] for test in results["tests"]} == {"visible"}


def test_no_part_knows_what_another_was_asked(tmp_path: Path) -> None:
    remembers = RIGHT.replace("    powers = ", "    seen.append(weighting)\n    powers = ")
    tells = "seen = []\n" + remembers.replace("    return gate", "    if seen: raise ValueError(seen)\n    return gate")
    assert scores(grade(hand_in(tmp_path / "submission", tells), RULES, tmp_path / "results.json")) == [2, 1, 3]


def test_an_unfinished_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[grading.Results] = []
    write = grading._write

    def stops(out: Path, results: grading.Results) -> None:
        write(out, results)
        written.append(read(out))
        if len(written) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(grading, "_write", stops)
    with pytest.raises(KeyboardInterrupt):
        grade(hand_in(tmp_path / "submission", RIGHT), RULES, tmp_path / "results.json")
    assert [scores(results) for results in written] == [[], [2], [2, 1]]
    left = read(tmp_path / "results.json")
    assert left["output"].startswith("Grading has not finished: 2 of 3 parts are done.")
    assert not left["extra_data"]["finished"]


def test_a_seed_of_ones_own(tmp_path: Path) -> None:
    assert RULES.seed("ada") == RULES.seed("ada") != RULES.seed("bob")
    assert RULES.seed("ada") != Rules(RULES.assignment).seed("ada")
    results = grade(hand_in(tmp_path / "submission", RIGHT), RULES, tmp_path / "results.json", student="ada")
    assert results["extra_data"]["hidden_seed"] == RULES.seed("ada")


def test_not_sandboxed_is_said(tmp_path: Path) -> None:
    rules = Rules(RULES.assignment, sandbox=False, examples=1)
    results = grade(hand_in(tmp_path / "submission", RIGHT), rules, tmp_path / "results.json")
    assert results["extra_data"]["sandbox"] == "resource limits only: not sandboxed"
    assert results["output"] == "All public checks passed (3 of 3 points)."


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: None, "hw9.py is missing: hand in that one file, not in a folder"),
        (lambda path: path.mkdir(), "hw9.py is not a plain file: hand in the file itself"),
        (lambda path: path.symlink_to("/etc/passwd"), "hw9.py is not a plain file: hand in the file itself"),
        (lambda path: path.write_bytes(b"#" * (grading.LARGEST_SUBMISSION + 1)), "hw9.py is larger than 1 MiB"),
    ],
)
def test_what_is_no_submission_gets_a_file_too(tmp_path: Path, make, problem: str) -> None:
    folder = tmp_path / "submission"
    folder.mkdir()
    make(folder / "hw9.py")
    grade(folder, RULES, tmp_path / "results.json")
    results = read(tmp_path / "results.json")
    assert (results["output"], scores(results)) == (problem, [0, 0, 0])


def test_a_batch_goes_on_whatever_one_submission_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submissions, out = tmp_path / "submissions", tmp_path / "out"
    for name, source in {"ada": RIGHT, "bob": HANGS, "cyd": BROKEN, "dan": RIGHT, "eva": WRONG}.items():
        hand_in(submissions / name, source)
    (submissions / "notes.txt").write_text("no submission")
    graded = grading.grade
    monkeypatch.setattr(grading, "grade", lambda folder, *rest, **named: 1 / 0 if folder.name == "dan" else graded(folder, *rest, **named))
    rows = grade_all(submissions, RULES, out)
    assert [row.get("points", "none") for row in rows] == [6, 1, 0, "none", 5]
    table = list(csv.DictReader((out / "grades.csv").read_text().splitlines()))
    assert [(row["submission"], row["points"], row["9.1"], row["9.1 hidden"]) for row in table][:2] == [
        ("ada", "6", "2", "3"),
        ("bob", "1", "0", "0"),
    ]
    assert table[3]["problem"] == "the grader failed: ZeroDivisionError: division by zero"
    assert sorted(path.parent.name for path in out.glob("*/results.json")) == ["ada", "bob", "cyd", "eva"]
    assert read(out / "ada" / "results.json")["extra_data"]["student"] == "ada"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_folders_name_breaks_no_table(tmp_path: Path) -> None:
    submissions, out = tmp_path / "submissions", tmp_path / "out"
    names = ["=1+1", 'a"b,c', "new\nline", "学生", os.fsdecode(b"not text \xff")]
    for name in names:
        hand_in(submissions / name, BROKEN)
    grade_all(submissions, RULES, out)
    with (out / "grades.csv").open(encoding="utf-8", newline="") as file:
        told = {row["submission"] for row in csv.DictReader(file)}
    assert told == {"'=1+1", 'a"b,c', "new\nline", "学生", "not text �"}
    assert {read(out / name / "results.json")["extra_data"]["student"] for name in names} == told - {"'=1+1"} | {"=1+1"}


def test_wrong_use_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a submission is the folder that holds hw9\.py"):
        grade(tmp_path / "nowhere", RULES, tmp_path / "results.json")
    with pytest.raises(UsageError, match="holds no folders"):
        grade_all(tmp_path, RULES, tmp_path / "out")
