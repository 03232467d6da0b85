"""The proof that the checks are good, and that the proof itself can fail."""

from __future__ import annotations

import dataclasses

import pytest

from tinymem.homework.mutants import MUTANTS, Mutant
from tinymem.homework.selftest import examine, mutated, report
from tinymem.homework.skeleton import solution_file
from tinymem.homework.tasks import assignment, assignments

ASSIGNMENTS = assignments()
STACK = assignment(2)


@pytest.mark.parametrize("one", ASSIGNMENTS, ids=lambda one: f"assignment {one.number}")
def test_the_checks_of_an_assignment_are_good(one):
    evidence = examine(one)
    assert not evidence.problems, "\n".join(evidence.problems)
    assert evidence.mutants >= 15
    assert "is rejected by the property it names" in report([evidence])


def test_there_are_enough_wrong_solutions_and_all_of_them_are_run():
    assert len(MUTANTS) >= 40
    tasks = {task.number for one in ASSIGNMENTS for task in one.tasks}
    assert {mutant.task for mutant in MUTANTS} == tasks, "a task without a wrong solution, or one that does not exist"
    assert len({(mutant.task, mutant.mistake) for mutant in MUTANTS}) == len(MUTANTS)
    named = {(mutant.task, mutant.rejected_by) for mutant in MUTANTS}
    assert {name for _, name in named} >= {"values", "domain", "inputs unchanged", "float32 kept"}


def test_a_check_that_is_too_weak_is_found():
    weak = dataclasses.replace(STACK, properties=tuple(dataclasses.replace(one, judge=lambda ask, given: None) for one in STACK.properties))
    problems = examine(weak, examples=1).problems
    assert any("the skeleton passes 'values'" in problem for problem in problems)
    assert any("without its solution these tasks fail: []" in problem for problem in problems)
    assert any("the popped cell is 0, not -1: not rejected by 'a popped stack ends in -1'" in problem for problem in problems)
    assert "problems" in report([examine(weak, examples=1)])


def test_a_wrong_solution_must_be_a_mistake_and_not_a_typing_error(monkeypatch):
    broken = Mutant("2.5", "a name that does not exist", "np.eye", "np.ey")
    unnamed = Mutant("2.5", "a property that does not exist", "np.eye", "0 * np.eye", "no such property")
    monkeypatch.setattr("tinymem.homework.selftest.MUTANTS", (broken, unnamed))
    problems = "\n".join(examine(STACK, examples=1).problems)
    assert "a name that does not exist: not wrong but broken" in problems
    assert "the task has no property 'no such property'" in problems


def test_what_a_wrong_solution_replaces_must_be_there_once():
    source = solution_file(STACK).read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="is 0 times in the solution"):
        mutated(source, "discretize", Mutant("2.5", "", "scores", ""))
    changed = mutated(source, "discretize", Mutant("2.5", "", "np.eye", "np.ones"))
    assert changed.replace("np.ones", "np.eye") == source
