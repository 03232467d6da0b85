"""The assignments say of their equations what the registry says, and the solution files what a task says."""

from __future__ import annotations

import ast
import configparser
import importlib
from pathlib import Path

import pytest

from tinymem.equations.registry import equations
from tinymem.equations.stack import list_update
from tinymem.homework.answers import Answer
from tinymem.homework.checking import run
from tinymem.homework.properties import of_every
from tinymem.homework.skeleton import BEGIN, END, FILES, solution_file
from tinymem.homework.tasks import MODULES, Task, assignment, assignments
from tinymem.lesson import UsageError

ASSIGNMENTS = assignments()
TASKS = [task for one in ASSIGNMENTS for task in one.tasks]
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.number)
every_assignment = pytest.mark.parametrize("one", ASSIGNMENTS, ids=lambda one: f"assignment {one.number}")

# What is asked for beyond the slides: declared in the same way, but no equation of the lecture.
DERIVED = {
    *("multiply_vjp", "matmul_vjp", "tanh_vjp", "softmax_vjp", "take_vjp", "reverse_pass"),
    *("erase_gradient", "shift_gradient", "sharpen_gradient", "reinforce_gradient"),
    *("layer_norm_gradient", "scaled_dot_product_gradient", "post_norm"),
}


def solutions(one):
    """The functions of a solution file, by name."""
    source = solution_file(one).read_text(encoding="utf-8")
    return {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}


@every_task
def test_an_equation_of_the_lecture_is_the_registered_one(task):
    registered = equations().get(task.name)
    if task.name in DERIVED:
        assert registered is None
    else:
        assert task.equation is registered, f"{task.name} is not registered, so list it in DERIVED"


@every_task
def test_a_description_holds_what_is_declared(task):
    words = " ".join(task.description.split())
    declared = task.equation
    for part in (declared.title, declared.paper, " ".join(declared.latex.split()), task.slide, f"Task {task.number}:"):
        assert part in words
    for operand, domain in declared.domains.items():
        assert f"{operand}: " in task.description
        assert str(domain).partition("(")[2] in task.operands[operand]
    assert task.hint
    assert task.public_points >= 1


@every_assignment
def test_a_solution_file_has_the_tasks_and_says_what_they_say(one):
    functions = solutions(one)
    assert list(functions) == [task.name for task in one.tasks]
    for task in one.tasks:
        assert ast.get_docstring(functions[task.name]) == task.description
        assert [argument.arg for argument in functions[task.name].args.args] == list(task.operands)


@every_assignment
def test_every_solution_is_marked(one):
    source = solution_file(one).read_text(encoding="utf-8")
    assert source.count(BEGIN) == source.count(END) == len(one.tasks)


@every_assignment
def test_tasks_are_numbered_and_their_properties_named_apart(one):
    assert [task.number for task in one.tasks] == [f"{one.number}.{place}" for place in range(1, len(one.tasks) + 1)]
    names = [(check.task.number, check.name) for check in one.properties]
    assert len(set(names)) == len(names)
    for task in one.tasks:
        mine = {name for number, name in names if number == task.number}
        assert "values" in mine
        assert not task.equation.domains or {"inputs unchanged", "float32 kept"} <= mine
        assert mine - {"values", "domain", "inputs unchanged", "float32 kept"} or task.name in PLAIN, f"{task.number} has no invariant"


PLAIN = {"matmul_vjp", "tanh_vjp", "dot_score"}  # nothing holds of them that the values do not say


def test_every_solution_file_belongs_to_an_assignment():
    assert {path.name for path in FILES.glob("hw*.py")} == {one.file for one in ASSIGNMENTS}
    assert len(ASSIGNMENTS) == len(MODULES) == 5


def test_a_wheel_carries_the_files_of_the_assignments():
    parser = configparser.ConfigParser()
    parser.read(Path(__file__).parents[2] / "setup.cfg", encoding="utf-8")
    patterns = parser["options.package_data"]["tinymem.homework"].split(", ")
    for path in FILES.iterdir():
        assert path.suffix == ".pyc" or path.is_dir() or any(path.relative_to(FILES.parent).match(pattern) for pattern in patterns), path


@pytest.mark.parametrize("number", [0, 6, -1])
def test_an_unknown_assignment_is_refused(number):
    with pytest.raises(UsageError, match=r"no assignment .*1 … 5"):
        assignment(number)


def test_an_unknown_task_is_refused():
    with pytest.raises(UsageError, match=r"no task '3\.99'.*3\.1"):
        assignment(3).task("3.99")


def test_a_task_whose_operands_cannot_all_be_drawn_is_refused():
    with pytest.raises(UsageError, match=r"task 6\.1: no domain says what head may be"):
        Task("6.1", list_update, "slide", "hint")
    with pytest.raises(UsageError, match="draw all operands in `inputs`"):
        Task("6.1", list_update, "slide", "hint", others={"head": "where the head is"})


class Faithful:
    """Answers as the equation does, in float32 where it is asked so."""

    sandboxed = ""

    def __init__(self, task):
        self.task = task

    def ask(self, function, *operands):
        results = self.task.reference(dict(zip(self.task.operands, operands, strict=True)))
        single = any(operand.dtype == "float32" for operand in operands)
        return Answer(tuple(result.astype("float32") if single else result for result in results), ())


@pytest.mark.parametrize("name", sorted(set(equations()) - {"list_update", "location_window", "hard_sample", "positional_encoding"}))
def test_any_equation_of_the_lecture_makes_a_task(name):
    task = Task("6.1", importlib.import_module(equations()[name].function.__module__).__dict__[name], "slide", "hint")
    for outcome in run(of_every((task,)), Faithful(task), examples=2):
        assert outcome.passed, outcome.output
    assert task.equation.title in task.description
