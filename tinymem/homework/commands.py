"""The command `tinymem hw`: for students new and check, for teachers grade and selftest."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from tinymem.lesson import UsageError, table

if TYPE_CHECKING:
    from tinymem.homework.tasks import Assignment

HERE = Path(".")


def new(
    assignment: Annotated[str, tyro.conf.Positional], folder: Annotated[Path | None, tyro.conf.Positional] = None, debug: bool = False
) -> int:
    """Begin an assignment: tinymem hw new 3 my-ntm writes hw3.py, its public checks and a README; nothing is overwritten.

    Args:
        assignment: its number, 1 to 5, or a teacher's Python file that defines ASSIGNMENT; 0 lists ours
        folder: where to; hwN if it is not said
        debug: show the traceback of an error
    """
    from tinymem.homework import skeleton, tasks

    if assignment == "0":
        rows = [(str(one.number), one.title, f"{one.public_points} + {one.hidden_points}") for one in tasks.assignments()]
        print(table([("assignment", "about", "points: public + hidden"), *rows]))
        return 0
    chosen = tasks.chosen(assignment)
    own = None if assignment.isdecimal() else Path(assignment)
    written = skeleton.write(chosen, Path(f"hw{chosen.number}") if folder is None else folder, own)
    print("\n".join(f"written: {path}" for path in written))
    option = f" --assignment {skeleton.typed(written[-1])}" if own else ""
    print(f"Write the functions in {written[0]}, then: tinymem hw check {skeleton.typed(written[0].parent)}{option}")
    return 0


def check(
    folder: Annotated[Path, tyro.conf.Positional] = HERE,
    task: str = "",
    assignment: str = "",
    seed: int = 0,
    examples: int = 0,
    seconds: float = 10.0,
    debug: bool = False,
) -> int:
    """Check your work with the public checks: tinymem hw check my-ntm, or one task alone: tinymem hw check my-ntm --task 3.2.

    Args:
        folder: the folder with hw1.py … hw5.py in it, or one such file
        task: check one task alone
        assignment: the Python file that your teacher gave you, if it is none of the five
        seed: other inputs are tried; the same seed tries the same ones
        examples: inputs that are tried for each check; 0 tries as many as the grader does
        seconds: after which one call of a function is stopped
        debug: show the traceback of an error
    """
    from tqdm import tqdm

    from tinymem.homework.answers import InChild
    from tinymem.homework.checking import Outcome, run
    from tinymem.homework.properties import public
    from tinymem.homework.report import summary
    from tinymem.homework.tasks import EXAMPLES

    if examples < 0 or seconds <= 0:
        raise UsageError("--examples and --seconds must be greater than 0")
    good = True
    for path, chosen in _submitted(folder, assignment, task):
        outcomes: list[Outcome] = []
        for one in tqdm((chosen.task(task),) if task else chosen.tasks, desc=path.name, unit="task", leave=False, disable=None):
            answers = InChild(path, seconds)  # a new child for each task: what hangs or dies in one costs no other
            try:
                outcomes += run((check for check in public(chosen) if check.task is one), answers, seed, examples or EXAMPLES)
            finally:
                answers.close()
        print(summary(chosen, outcomes))
        good = good and all(outcome.passed for outcome in outcomes)
    return 0 if good else 1


def grade(
    submission: Annotated[Path, tyro.conf.Positional],
    hidden: Path | None = None,
    out: Path = Path("results.json"),
    every: bool = False,
    assignment: str = "",
    student: str = "",
    secret: str = "",
    visibility: Literal["hidden", "after_published"] = "after_published",
    debug: bool = False,
) -> int:
    """Grade a submission for Gradescope: tinymem hw grade SUBMISSION --hidden HIDDEN --out results.json.

    Args:
        submission: the folder that holds hwN.py; with --every a folder of such folders
        hidden: your folder with hwN_hidden.py, which defines PROPERTIES; without it the public checks alone
        out: the results.json; with --every a folder for all of them and grades.csv
        every: grade each folder in SUBMISSION
        assignment: its number, where HIDDEN or SUBMISSION do not tell, or your Python file that defines ASSIGNMENT
        student: who it is; with the secret it makes the seed of the hidden checks
        secret: known to you alone
        visibility: when students see what the hidden checks found
        debug: show the traceback of an error
    """
    from tinymem.homework import grading, properties, tasks

    if not submission.is_dir():
        raise UsageError(f"{submission} is not a folder: a submission is the folder that holds hwN.py, and --every wants a folder of those")
    chosen = tasks.chosen(assignment or _told_by(submission, hidden, every))
    hidden_properties = () if hidden is None else properties.hidden(hidden, chosen)
    rules = grading.Rules(chosen, hidden_properties, secret, visibility)
    if rules.ungraded:
        print(f"hidden points are not given for tasks without hidden checks: {', '.join(task.number for task in rules.ungraded)}")
    if every:
        rows = grading.grade_all(submission, rules, out)
        columns = ("submission", "points", "of", "sandbox", "problem")
        print(table([columns, *(tuple(str(row.get(column, "")) for column in columns) for row in rows)]))
        print(f"{len(rows)} submissions: {out / 'grades.csv'}")
        return 0
    results = grading.grade(submission, rules, out, student)
    given, total = grading.points(results)
    print(f"{given} of {total} points, {results['extra_data']['sandbox']}: {out}")
    return 0


def selftest(assignment: Annotated[int, tyro.conf.Positional] = 0, debug: bool = False) -> int:
    """Prove the checks: skeletons fail, solutions pass, and each of many wrong solutions is rejected by the check that names it.

    Args:
        assignment: one alone
        debug: show the traceback of an error
    """
    from tinymem.homework import tasks
    from tinymem.homework.selftest import examine, report

    evidence = [examine(one) for one in (tasks.assignments() if assignment == 0 else (tasks.assignment(assignment),))]
    print(report(evidence))
    return 1 if any(one.problems for one in evidence) else 0


def main(arguments: Sequence[str]) -> int:
    """Run `tinymem hw …`; returns the exit code."""
    if find_spec("hypothesis") is None:
        raise UsageError("the homework's checks need Hypothesis: pip install 'tinymem[homework]'")
    code: int = tyro.extras.subcommand_cli_from_dict(
        {"new": new, "check": check, "grade": grade, "selftest": selftest},
        prog="tinymem hw",
        description="Homework: write the equations yourself, and be told the smallest input that proves you wrong.",
        args=list(arguments),
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    return code


# -- which assignment is meant -------------------------------------------------------------------------------------------------
def _submitted(folder: Path, which: str, task: str) -> list[tuple[Path, Assignment]]:
    """The files of a folder, or the one file that was named, each with its assignment; UsageError if none has the task."""
    from tinymem.homework.skeleton import typed
    from tinymem.homework.tasks import assignments, chosen

    possible = {one.file: one for one in ((chosen(which),) if which else assignments())}
    names = ", ".join(possible) if which else "hw1.py … hw5.py (if your teacher gave you a file for it: --assignment FILE.py)"
    begin = f"begin with: tinymem hw new {typed(Path(which)) if which else 3}"
    if not folder.exists():
        raise UsageError(f"{folder} does not exist; {begin} {typed(folder)}")
    if folder.is_file() and folder.name not in possible:
        raise UsageError(f"{folder} is not named {names}; the name tells what it is checked for")
    found = [(path, possible[path.name]) for path in ([folder] if folder.is_file() else map(folder.joinpath, possible)) if path.is_file()]
    if not found:
        below = sorted(path.parent for name in possible for path in folder.glob(f"*/{name}"))
        advice = f"below it there is: tinymem hw check {typed(below[0])}" if below else f"{begin} FOLDER"
        raise UsageError(f"{folder} holds no {names}; {advice}")
    if not task:
        return found
    having = [(path, one) for path, one in found if task in {each.number for each in one.tasks}]
    return having or [(path, one) for path, one in found[:1] if one.task(task)]  # which says what there is


def _told_by(submission: Path, hidden: Path | None, every: bool) -> str:
    """The assignment whose file is there; UsageError unless there is exactly one."""
    from tinymem.homework.tasks import assignments

    def is_there(file: str) -> bool:
        named = hidden is not None and (hidden / file.replace(".py", "_hidden.py")).is_file()
        return named or any(submission.glob(f"*/{file}" if every else file))

    found = [str(one.number) for one in assignments() if is_there(one.file)]
    if len(found) != 1:
        raise UsageError(f"which assignment is to be graded? {'several' if found else 'none'} could be meant: name it, --assignment 3")
    return found[0]
