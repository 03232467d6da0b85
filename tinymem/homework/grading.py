"""Grading submissions that nobody has read: points, and Gradescope's results.json.

The reference, the hidden properties and Hypothesis stay in this process; a submission runs in a confined child (`answers.InChild`), a
fresh one for each part of a task, so that a hang costs the task it is in and nothing seen in a hidden check can be told in a public one.
The file is written again after every part: whatever happens to the grader, what was known until then is on disk.

    rules = Rules(assignment(3), hidden=hidden(Path("HIDDEN"), assignment(3)), secret="the course's own")
    results = grade(Path("SUBMISSION"), rules, Path("results.json"), student="id")
    grade_all(Path("SUBMISSIONS"), rules, Path("OUT"))  # OUT/NAME/results.json for each folder NAME, and OUT/grades.csv
"""

from __future__ import annotations

import csv
import hmac
import io
import json
import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from tinymem.homework.answers import InChild
from tinymem.homework.checking import run
from tinymem.homework.properties import Property, public
from tinymem.homework.report import failure
from tinymem.homework.tasks import EXAMPLES, Assignment, Task
from tinymem.lesson import UsageError
from tinymem.training.checkpoints import write_atomically

PUBLIC_SEED = 0  # that of `tinymem hw check`: a public verdict is the same at home and here
LARGEST_SUBMISSION = 2**20  # bytes

Results = dict[str, Any]  # what is written to results.json


@dataclass(frozen=True)
class Part:
    """What is graded at once, all or nothing: the public or the hidden properties of one task."""

    task: Task
    properties: tuple[Property, ...]
    hidden: bool

    @property
    def name(self) -> str:
        """What the student reads; of hidden checks it tells no more than that there are some."""
        return f"Task {self.task.number}: {'hidden checks' if self.hidden else self.task.equation.title}"

    @property
    def points(self) -> int:
        return self.task.hidden_points if self.hidden else self.task.public_points


@dataclass(frozen=True)
class Rules:
    """How the submissions of a course are graded."""

    assignment: Assignment
    hidden: tuple[Property, ...] = ()
    secret: str = ""
    """with the student's id it makes the seed of the hidden checks, so that no inputs can be known beforehand"""
    visibility: Literal["hidden", "after_published"] = "after_published"
    """when students see the results of the hidden checks, which show inputs"""
    examples: int = EXAMPLES
    """inputs tried for each property"""
    seconds: float = 10.0
    """for one call"""
    memory: int = 2**30
    """bytes, beside what NumPy needs"""
    sandbox: bool = True
    """use bubblewrap where it works"""

    def seed(self, student: str) -> int:
        """The seed of a student's hidden checks."""
        name = unicodedata.normalize("NFC", student)  # macOS may write the é of a folder's name as two signs
        return int.from_bytes(hmac.digest(self.secret.encode(), name.encode(), "sha256")[:4], "big")

    @property
    def parts(self) -> tuple[Part, ...]:
        """The public part of every task, then the hidden ones."""
        kinds = ((public(self.assignment), False), (self.hidden, True))
        tasks = self.assignment.tasks
        found = [
            Part(task, tuple(one for one in kind if one.task.number == task.number), hidden) for kind, hidden in kinds for task in tasks
        ]
        return tuple(part for part in found if part.properties)

    @property
    def ungraded(self) -> tuple[Task, ...]:
        """Tasks whose hidden points nobody can get, since they have no hidden property."""
        checked = {one.task.number for one in self.hidden}
        return tuple(task for task in self.assignment.tasks if task.hidden_points and task.number not in checked)


def grade(submission: Path, rules: Rules, out: Path, student: str = "") -> Results:
    """Grade one submission's folder and write `out`; UsageError if there is no such folder."""
    if not submission.is_dir():
        raise UsageError(f"{submission} is not a folder: a submission is the folder that holds {rules.assignment.file}")
    path, tests, sandboxed = submission / rules.assignment.file, list[Results](), "not run"
    problem = _problem(path)
    for part in rules.parts:
        _write(out, _results(rules, tests, sandboxed, student, problem))
        if problem:
            tests.append(_test(part, rules, problem))
            continue
        answers = InChild(path, rules.seconds, rules.memory, rules.sandbox)
        try:
            outcomes = run(part.properties, answers, rules.seed(student) if part.hidden else PUBLIC_SEED, rules.examples)
            failed = [outcome for outcome in outcomes if not outcome.passed]
        finally:
            answers.close()
        tests.append(_test(part, rules, failure(failed) if failed else ""))
        sandboxed = answers.sandboxed
    results = _results(rules, tests, sandboxed, student, problem)
    _write(out, results)
    return results


def grade_all(submissions: Path, rules: Rules, out: Path) -> list[dict[str, Any]]:
    """Grade every folder in `submissions`, by name; what goes wrong with one is told in its row, and the next one follows."""
    found = [folder for folder in submissions.iterdir() if folder.is_dir()] if submissions.is_dir() else []
    folders = sorted(found, key=lambda folder: folder.name)  # paths are sorted otherwise on Windows
    if not folders:
        raise UsageError(f"{submissions} holds no folders: each submission is a folder with {rules.assignment.file} in it")
    rows: list[dict[str, Any]] = []
    for folder in tqdm(folders, unit="submission", leave=False, disable=None):
        name = os.fsencode(folder.name).decode(errors="replace")  # a name need not be text
        try:
            row = _row(grade(folder, rules, out / folder.name / "results.json", student=name))
        except Exception as error:
            row = {"problem": f"the grader failed: {type(error).__name__}: {error}"}
        rows.append({"submission": name, **row})
        _write_table(out / "grades.csv", rules, rows)  # where even this fails the disk is full, and nothing more could be written
    return rows


def points(results: Results) -> tuple[int, int]:
    """How many points were given so far, and how many there are."""
    return sum(test["score"] for test in results["tests"]), results["extra_data"]["points"]


def _problem(path: Path) -> str:
    """Why a submission's file is not opened at all: a link could make the grader read out a file of the teacher's."""
    if not path.exists() and not path.is_symlink():
        return f"{path.name} is missing: hand in that one file, not in a folder"
    if path.is_symlink() or not path.is_file():
        return f"{path.name} is not a plain file: hand in the file itself"
    return f"{path.name} is larger than 1 MiB" if path.stat().st_size > LARGEST_SUBMISSION else ""


def _test(part: Part, rules: Rules, problem: str) -> Results:
    """One entry of results.json."""
    hold = "1 property holds" if len(part.properties) == 1 else f"{len(part.properties)} properties hold"
    return {
        "number": part.task.number,
        "name": part.name,
        "score": 0 if problem else part.points,
        "max_score": part.points,
        "status": "failed" if problem else "passed",
        "output": problem or f"{hold} for {rules.examples} inputs each.",
        "visibility": rules.visibility if part.hidden else "visible",
    }


def _results(rules: Rules, tests: list[Results], sandboxed: str, student: str, problem: str) -> Results:
    parts = rules.parts
    if problem:
        output = problem
    elif len(tests) < len(parts):
        output = f"Grading has not finished: {len(tests)} of {len(parts)} parts are done. Tell your teacher; these points are not final."
    else:
        output = _told(parts, tests)
    about = {
        "assignment": rules.assignment.number,
        "points": sum(part.points for part in parts),
        "sandbox": sandboxed,
        "student": student,
        "hidden_seed": rules.seed(student),
        "problem": problem,
        "finished": len(tests) == len(parts),
    }
    return {"output": output, "stdout_visibility": "hidden", "tests": tests, "extra_data": about}


def _told(parts: tuple[Part, ...], tests: list[Results]) -> str:
    """The line that a student reads first; it says nothing of what the hidden checks found."""
    shown = [test for part, test in zip(parts, tests, strict=True) if not part.hidden]
    given, most, total = sum(test["score"] for test in shown), sum(test["max_score"] for test in shown), sum(part.points for part in parts)
    verdict = "All public checks passed" if given == most else "Not all public checks passed"
    hidden = f"; {total - most} points are graded by hidden checks" if total > most else ""
    return f"{verdict} ({given} of {total} points){hidden}."


def _row(results: Results) -> dict[str, Any]:
    given, total = points(results)
    each = {_column(test["number"], "hidden checks" in test["name"]): test["score"] for test in results["tests"]}
    about = results["extra_data"]
    return {"points": given, "of": total, **each, "sandbox": about["sandbox"], "seed": about["hidden_seed"], "problem": about["problem"]}


def _column(number: str, hidden: bool) -> str:
    return f"{number} hidden" if hidden else number


def _cell(value: object) -> object:
    """What a spreadsheet shows and does not compute: "=1+1" may be the name of a folder."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _write(out: Path, results: Results) -> None:
    write_atomically(out, (json.dumps(results, indent=1, ensure_ascii=False) + "\n").encode())


def _write_table(path: Path, rules: Rules, rows: list[dict[str, Any]]) -> None:
    columns = [_column(part.task.number, part.hidden) for part in rules.parts]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, ["submission", "points", "of", *columns, "sandbox", "seed", "problem"], restval="")
    writer.writeheader()
    writer.writerows({column: _cell(value) for column, value in row.items()} for row in rows)
    write_atomically(path, stream.getvalue().encode())
