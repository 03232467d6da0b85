"""What a check is made of: a property that holds for all inputs of a task, how it is judged, and those that every task has.

The generic properties follow from what the equation declares: values, domain, nothing changed in place, float32 kept.  The
invariants of single equations are in `tinymem.homework.checks`, one file an assignment.  A judge asks the student's function
through an `Ask` and raises `Mismatch`; it never sees the student's code, and knows no Hypothesis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy
from hypothesis import strategies as st

from tinymem.equations.contracts import DOMAINS
from tinymem.equations.registry import Equation
from tinymem.homework.answers import Answer
from tinymem.homework.tasks import Array, Assignment, Inputs, Task, defined_in
from tinymem.lesson import UsageError
from tinymem.testing.strategies import in_domain, inputs_of

Ask = Callable[..., Answer]  # the student's function of one task, called with its operands in order
Judge = Callable[[Ask, Inputs], None]

LONGEST = 3  # of any axis that is drawn: enough to tell the mistakes, and small enough for the blackboard


class Mismatch(Exception):
    """The student's answer is wrong: what about it, and the numbers side by side where there are any."""

    def __init__(self, what: str, yours: Sequence[Array] = (), expected: Sequence[Array] = ()) -> None:
        super().__init__(what)
        self.yours, self.expected = tuple(yours), tuple(expected)


@dataclass(frozen=True)
class Property:
    """One check of a task: for all `inputs`, `judge` finds nothing wrong; `hint` is the one thing said to whom it refutes.

    More than `most` inputs are never worth trying: whoever breaks a rule of conduct breaks it soon.
    """

    task: Task
    name: str
    inputs: st.SearchStrategy[Inputs]
    judge: Judge
    hint: str
    most: int = 1000
    hidden: bool = False


def public(assignment: Assignment) -> tuple[Property, ...]:
    """The properties that students may run themselves."""
    return assignment.properties


def hidden(folder: Path, assignment: Assignment) -> tuple[Property, ...]:
    """A teacher's own: PROPERTIES of FOLDER/hw3_hidden.py, which is run here, in the grader; UsageError if it does not define them."""
    path = folder / f"hw{assignment.number}_hidden.py"
    found = tuple(defined_in(path, "PROPERTIES") or ())
    if not found or not all(isinstance(one, Property) for one in found):
        raise UsageError(f"{path} must define PROPERTIES, a tuple of tinymem.homework.properties.Property")
    for number in {one.task.number for one in found}:
        if assignment.task(number).hidden_points == 0:
            raise UsageError(f"{path}: task {number} has no hidden points, so that hidden checks of it would count for nothing")
    return tuple(replace(one, hidden=True) for one in found)


# -- inputs ----------------------------------------------------------------------------------------------------------------
def either(equation: Equation, max_length: int = LONGEST) -> st.SearchStrategy[Inputs]:
    """Operands well inside their declared domains, or on the edge of them."""
    return inputs_of(equation, max_length) | inputs_of(equation, max_length, boundary=True)


def inputs_for(task: Task) -> st.SearchStrategy[Inputs]:
    """The operands that a task is checked with, unless a property says otherwise."""
    return either(task.equation) if task.inputs is None else task.inputs


# -- what a judge says ------------------------------------------------------------------------------------------------------
def only(answer: Answer) -> Array:
    """The one array that a function returned."""
    if len(answer.results) != 1:
        raise Mismatch(f"your function returns {_counted(answer.results)}, expected one array")
    return answer.results[0]


def _counted(results: Sequence[Array]) -> str:
    return "1 result" if len(results) == 1 else f"{len(results)} results"


def agree(yours: Sequence[Array], expected: Sequence[Array], what: str = "the values are wrong", rtol: float = 1e-8) -> None:
    """Mismatch unless the answers have the number, shapes and values of what is expected."""
    if len(yours) != len(expected):
        raise Mismatch(f"your function returns {_counted(yours)}, expected {len(expected)}")
    for place, (mine, right) in enumerate(zip(yours, expected, strict=True)):
        which = f"result {place}" if len(expected) > 1 else "your result"
        if mine.shape != right.shape:
            raise Mismatch(f"{which} has the shape {mine.shape}, expected {right.shape}", yours, expected)
        if mine.dtype.kind not in "fiub":
            raise Mismatch(f"{which} is {mine.dtype}, expected real numbers")
    if not all(numpy.allclose(mine, right, rtol, atol=1e-9) for mine, right in zip(yours, expected, strict=True)):
        raise Mismatch(what, yours, expected)


def holds(task: Task, name: str, hint: str, inputs: st.SearchStrategy[Inputs] | None = None) -> Callable[[Judge], Property]:
    """Make a judge into a property of a task; without `inputs` for all that the task takes."""
    return lambda judge: Property(task, name, inputs_for(task) if inputs is None else inputs, judge, hint)


# -- the properties that every task has --------------------------------------------------------------------------------------
def values(task: Task, name: str = "values", inputs: st.SearchStrategy[Inputs] | None = None) -> Property:
    """The reference's numbers, in the reference's shape."""

    def judge(ask: Ask, given: Inputs) -> None:
        agree(ask(*given.values()).results, task.reference(given))

    return Property(task, name, inputs_for(task) if inputs is None else inputs, judge, task.hint)


def domain(task: Task) -> Property:
    """Every result lies in its declared domain: a weighting stays on the simplex."""

    def judge(ask: Ask, given: Inputs) -> None:
        results = ask(*given.values()).results
        if len(results) != len(task.equation.returns):
            raise Mismatch(f"your function returns {_counted(results)}, expected {len(task.equation.returns)}")
        for result, declared in zip(results, task.equation.returns, strict=True):
            if result.dtype.kind not in "fiub" or not in_domain(numpy.asarray(result, float), declared):
                raise Mismatch(f"the result is not {declared}: {DOMAINS[declared.kind]}", results)

    return Property(task, "domain", inputs_for(task), judge, "Put the smallest input into the equation by hand.", most=20)


def inputs_unchanged(task: Task) -> Property:
    """No operand is changed in place: the caller still needs it."""

    def judge(ask: Ask, given: Inputs) -> None:
        changed = [list(given)[place] for place in ask(*given.values()).changed]
        if changed:
            raise Mismatch(f"your function changes {' and '.join(changed)} in place")

    hint = "x -= y and x[i] = y change the caller's array, which is needed again: write x = x - y, or work on x.copy()."
    return Property(task, "inputs unchanged", inputs_for(task), judge, hint, most=10)


def float32_kept(task: Task) -> Property:
    """Float32 operands give float32 results: half the memory, and what a GPU is fast at."""

    def judge(ask: Ask, given: Inputs) -> None:
        single = {name: value.astype("float32") if is_float(value) else value for name, value in given.items()}
        for result in ask(*single.values()).results:
            if result.dtype != numpy.float32:
                raise Mismatch(f"float32 operands gave a {result.dtype} result")

    hint = "numpy.zeros, eye and linspace make float64 and draw the rest along: give them dtype=x.dtype; Python numbers are harmless."
    return Property(task, "float32 kept", inputs_for(task), judge, hint, most=10)


def is_float(value: object) -> bool:
    return isinstance(value, numpy.ndarray) and value.dtype.kind == "f"


def of_every(tasks: Sequence[Task], *invariants: Property) -> tuple[Property, ...]:
    """The generic properties of each task that apply to it, then its invariants, task by task."""
    found: list[Property] = []
    for task in tasks:
        operands = task.equation.domains
        found.append(values(task))
        if any(declared.kind for declared in task.equation.returns):
            found.append(domain(task))
        if operands:
            found += [inputs_unchanged(task), float32_kept(task)]
        found += [invariant for invariant in invariants if invariant.task is task]
    return tuple(found)
