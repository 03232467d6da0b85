"""What a student reads: of a failure the equation, the smallest input, both answers side by side and one hint; of a check the points."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy

from tinymem.homework.answers import AnswerError
from tinymem.homework.properties import Mismatch, Property
from tinymem.homework.tasks import Assignment, Inputs
from tinymem.lesson import table

if TYPE_CHECKING:
    from tinymem.homework.checking import Outcome

NOT_WRITTEN = "not written yet"
DEPENDS_ON_THE_INPUT = ("raised", "not numbers")  # so that a smaller input is looked for
MOST_ROWS = 16  # of numbers that are shown side by side
MOST_NUMBERS = 200  # of an array that is shown whole


# -- one failure -------------------------------------------------------------------------------------------------------------
def describe(property: Property, given: Inputs, wrong: Mismatch | AnswerError, printed: str = "") -> str:
    """The report of one refuted property."""
    task = property.task
    kind = wrong.kind if isinstance(wrong, AnswerError) else ""
    said = f"{NOT_WRITTEN}: {wrong}" if kind == "not written" else str(wrong)
    if kind in ("no such function", "does not load") or said.startswith(f"{NOT_WRITTEN}: Task {task.number}:"):
        return f"{said}\n"  # whatever the input is
    title = f"Task {task.number}, {task.equation.title}: {property.name}"
    shrunk = not kind or kind in DEPENDS_ON_THE_INPUT
    parts = {
        "the equation": f"{task.text}\n({task.equation.paper})",
        "the smallest input that was found" if shrunk else "the input": "\n".join(_shown(f"{name} = ", one) for name, one in given.items()),
        "what is wrong": said,
    }
    if isinstance(wrong, Mismatch):
        parts["what is wrong"] += _side_by_side(wrong)
        parts["hint"] = property.hint
    if printed and kind != "ended the process":  # there it is Python that says how it died
        parts["what your function printed"] = printed
    return title + "\n" + "".join(f"\n  {heading}\n{_indented(text)}\n" for heading, text in parts.items())


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


def _shown(before: str, value: Any) -> str:
    """A value as one would type it, with its shape where that is not plain to see, and what stands before it."""
    if not isinstance(value, numpy.ndarray):
        return f"{before}{value!r}"
    cut = value.ravel()[:MOST_ROWS] if value.size > MOST_NUMBERS else value
    text = numpy.array2string(cut, precision=6, separator=", ", threshold=MOST_NUMBERS, max_line_width=100, prefix=before.strip("\n"))
    more = f" and {value.size - cut.size} numbers more" if cut is not value else ""
    return before + re.sub(r"\n\n+", "\n", text) + more + (f"  {value.shape}" if value.ndim > 1 else "")


def _side_by_side(wrong: Mismatch) -> str:
    """Lines with both answers, place by place; of long ones the places that differ."""
    if not wrong.expected:
        return "".join(_shown("\nyours:    ", mine) for mine in wrong.yours)
    pairs = list(zip(wrong.yours, wrong.expected, strict=True))
    shapes = [_shown("\nyours:    ", mine) + _shown("\nexpected: ", right) for mine, right in pairs if mine.shape != right.shape]
    if shapes:
        return "".join(shapes)
    rows = [row for place in range(len(wrong.yours)) for row in _elements(place, wrong)]
    if len(rows) > MOST_ROWS:
        rows = [row for row in rows if row[3]]
    more = [] if len(rows) <= MOST_ROWS else [f"and {len(rows) - MOST_ROWS} places more"]
    header = ("place", "yours", "expected", "")
    shown = [header, *rows[:MOST_ROWS]]
    widths = [max(len(row[column]) for row in shown) for column in range(len(header))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in shown]
    return "".join(f"\n{line}" for line in [*lines, *more])


def _elements(place: int, wrong: Mismatch) -> list[tuple[str, str, str, str]]:
    """A row for each element of one result: its place, both numbers, and a mark where they differ."""
    mine, right = wrong.yours[place], wrong.expected[place]
    name = f"result {place}" if len(wrong.yours) > 1 else ""
    rows = []
    for index in numpy.ndindex(mine.shape):
        one, other = float(mine[index]), float(right[index])
        differ = not numpy.isclose(one, other, rtol=1e-8, atol=1e-9)
        digits = ".6g" if not differ or f"{one:.6g}" != f"{other:.6g}" else ".15g"
        where = f"{name}{list(index) if index else ''}".strip() or "number"
        rows.append((where, f"{one:{digits}}", f"{other:{digits}}", "<--" if differ else ""))
    return rows


def failure(wrong: Sequence[Outcome]) -> str:
    """Of one task: the first refuted property in full, and the names of the others."""
    others = ", ".join(outcome.property for outcome in wrong[1:] if outcome.output != wrong[0].output)
    return wrong[0].output + (f"\n  also failing: {others}\n" if others else "")


# -- a whole check -----------------------------------------------------------------------------------------------------------
def summary(assignment: Assignment, outcomes: Sequence[Outcome]) -> str:
    """What is wrong with each task that is written, a table of the tasks, and the points."""
    failures, lines, points = dict[str, None](), [], 0  # of a file that does not load, every task says the same
    for task in assignment.tasks:
        mine = [outcome for outcome in outcomes if outcome.task == task.number]
        if not mine:
            continue
        wrong = [outcome for outcome in mine if not outcome.passed]
        points += 0 if wrong else task.public_points
        verdict = f"{len(wrong)} of {len(mine)} checks fail" if wrong else f"{len(mine)} checks passed"
        if wrong and wrong[0].output.startswith(NOT_WRITTEN):
            verdict = NOT_WRITTEN
        elif wrong:
            failures[failure(wrong)] = None
        lines.append((f"{task.number} {task.equation.title}", verdict, f"{0 if wrong else task.public_points} of {task.public_points}"))
    return "\n".join([*failures, table([("task", "public checks", "points"), *lines]), "", _verdict(assignment, outcomes, points)])


def _verdict(assignment: Assignment, outcomes: Sequence[Outcome], points: int) -> str:
    """Never "all tests passed": what is hidden is not known here."""
    checked = list(dict.fromkeys(outcome.task for outcome in outcomes))
    failed = {outcome.task for outcome in outcomes if not outcome.passed}
    sum_of = f"{points} of {assignment.public_points + assignment.hidden_points} points"
    complete = len(checked) == len(assignment.tasks)
    hidden = assignment.hidden_points
    rest = f"{hidden} point{' is' if hidden == 1 else 's are'} graded by hidden checks" if complete else "the other tasks were not checked"
    if failed:
        return f"{len(checked) - len(failed)} of {len(checked)} tasks pass ({sum_of}); {rest}"
    return f"All public checks{'' if complete else ' of task ' + ', '.join(checked)} passed ({sum_of}); {rest}"
