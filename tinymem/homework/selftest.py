"""Proof that the checks are good: a skeleton fails every task, a solution passes, a hole fails its own task alone, and each wrong
solution of the gallery is rejected by the property it names.  Everything here is ours, so it runs in this process."""

from __future__ import annotations

import ast
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tinymem.homework.answers import InProcess
from tinymem.homework.checking import Outcome, run
from tinymem.homework.mutants import MUTANTS, Mutant
from tinymem.homework.properties import Property
from tinymem.homework.skeleton import solution_file, without_solutions
from tinymem.homework.tasks import EXAMPLES, Assignment, Task
from tinymem.lesson import table

FEW = 2  # inputs that show whether a task is written at all


@dataclass(frozen=True)
class Evidence:
    """What was found for one assignment: what is wrong with the checks, and how many of each proof there were."""

    assignment: Assignment
    problems: tuple[str, ...]
    mutants: int


def examine(assignment: Assignment, examples: int = EXAMPLES) -> Evidence:
    """Run every proof for one assignment."""
    source = solution_file(assignment).read_text(encoding="utf-8")
    mutants = [mutant for mutant in MUTANTS if mutant.task.partition(".")[0] == str(assignment.number)]
    problems = [
        *_skeleton(assignment, without_solutions(source, assignment.tasks)),
        *_solution(assignment, source, examples),
        *(problem for task in assignment.tasks for problem in _hole(assignment, task, source)),
        *(problem for mutant in mutants for problem in _mutant(assignment, mutant, source, examples)),
    ]
    return Evidence(assignment, tuple(problems), len(mutants))


def report(evidence: Sequence[Evidence]) -> str:
    """The figures of all assignments in a table, and what is wrong."""
    rows = [("assignment", "tasks", "properties", "wrong solutions", "verdict")]
    for one in evidence:
        counts = (len(one.assignment.tasks), len(one.assignment.properties), one.mutants)
        rows.append((f"{one.assignment.number}", *map(str, counts), f"{len(one.problems)} problems" if one.problems else "holds"))  # type: ignore[arg-type]
    lines = [table(rows), *(problem for one in evidence for problem in one.problems)]
    if not any(one.problems for one in evidence):
        tasks, mutants = sum(len(one.assignment.tasks) for one in evidence), sum(one.mutants for one in evidence)
        lines.append(
            f"Every skeleton fails all its tasks and every solution passes; each of {tasks} holes fails its own task alone; "
            f"each of {mutants} wrong solutions is rejected by the property it names."
        )
    return "\n".join(lines)


def outcomes_of(source: str, name: str, properties: Sequence[Property], examples: int) -> list[Outcome]:
    """What the properties say of a submission with this text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(source, encoding="utf-8")
        return list(run(properties, InProcess(path), examples=examples, shrink=False))


def mutated(source: str, function: str, mutant: Mutant) -> str:
    """The solutions with the mistake in one of them; ValueError unless what it replaces is there exactly once."""
    [node] = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == function]
    lines = source.splitlines(keepends=True)
    before, body, after = lines[: node.lineno - 1], "".join(lines[node.lineno - 1 : node.end_lineno]), lines[node.end_lineno :]
    if body.count(mutant.right) != 1:
        raise ValueError(f"{mutant.task}, {mutant.mistake}: {mutant.right!r} is {body.count(mutant.right)} times in the solution")
    return "".join([*before, body.replace(mutant.right, mutant.wrong), *after])


def _skeleton(assignment: Assignment, skeleton: str) -> list[str]:
    passed = [outcome for outcome in outcomes_of(skeleton, assignment.file, assignment.properties, FEW) if outcome.passed]
    return [f"{one.task}: the skeleton passes {one.property!r}" for one in passed]


def _solution(assignment: Assignment, source: str, examples: int) -> list[str]:
    failed = [outcome for outcome in outcomes_of(source, assignment.file, assignment.properties, examples) if not outcome.passed]
    return [f"{one.task}: the solution fails {one.property!r}\n{one.output}" for one in failed]


def _hole(assignment: Assignment, task: Task, source: str) -> list[str]:
    """Whoever calls a function that is not written fails at the first input, so one property of each task will do."""
    one_each = list({one.task.number: one for one in assignment.properties}.values())
    outcomes = outcomes_of(without_solutions(source, (task,)), assignment.file, one_each, FEW)
    failed = {outcome.task for outcome in outcomes if not outcome.passed}
    return [] if failed == {task.number} else [f"{task.number}: without its solution these tasks fail: {sorted(failed)}"]


def _mutant(assignment: Assignment, mutant: Mutant, source: str, examples: int) -> list[str]:
    task = assignment.task(mutant.task)
    named = [one for one in assignment.properties if one.task is task and one.name == mutant.rejected_by]
    if len(named) != 1:
        return [f"{mutant.task}, {mutant.mistake}: the task has no property {mutant.rejected_by!r}"]
    [outcome] = outcomes_of(mutated(source, task.name, mutant), assignment.file, named, examples)
    if outcome.passed:
        return [f"{mutant.task}, {mutant.mistake}: not rejected by {mutant.rejected_by!r}"]
    if "\n  hint\n" not in outcome.output:
        return [f"{mutant.task}, {mutant.mistake}: not wrong but broken\n{outcome.output}"]
    return []
