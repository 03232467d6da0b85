"""What is set as homework: a task is one equation that a student writes again, an assignment a handful of them with their checks.

A task's title, paper, LaTeX, operands and reference are those of a registered equation; what a student is asked for that is no
slide of its own (a gradient derived by hand, a row of the engine's table) is declared in the same way beside its checks, and not
registered with the lecture.  Nothing here knows the student's code.
"""

from __future__ import annotations

import importlib.util
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy

from tinymem.engine.backend import to_host
from tinymem.engine.tensor import Tensor
from tinymem.equations.contracts import DOMAINS, Domain
from tinymem.equations.registry import Equation
from tinymem.lesson import UsageError

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from tinymem.homework.properties import Property

Array = numpy.ndarray[Any, Any]
Inputs = dict[str, Any]  # operands by name, in the order of the call

EXAMPLES = 40  # inputs that are tried for each property, at home and by the grader
MODULES = ("engine", "stack", "ntm", "attention", "transformer")  # assignment 1 is checks.engine, and so on


@dataclass(frozen=True)
class Task:
    """One function to write.

    `number` is "3.2"; `function` is an equation, the lecture's or one declared for the homework; `hint` is what to look at when
    the values are wrong; `note` says what the equation leaves open; `others` describes operands that are no real numbers (a mask,
    indices), and `inputs` then draws all operands, since the declared domains do not say it all.
    """

    number: str
    function: Callable[..., Any]
    slide: str
    hint: str
    public_points: int = 1
    hidden_points: int = 1
    note: str = ""
    others: Mapping[str, str] = field(default_factory=dict)
    inputs: SearchStrategy[Inputs] | None = None

    def __post_init__(self) -> None:
        needed = [name for name, one in self._parameters.items() if one.default is one.empty and name not in self.equation.domains]
        if not set(needed) <= set(self.others) or (self.others and self.inputs is None):
            names = ", ".join(needed or self.others)
            raise UsageError(
                f"task {self.number}: no domain says what {names} may be: describe it in `others`, and draw all operands in `inputs`"
            )

    @property
    def equation(self) -> Equation:
        declared: Equation = self.function.equation  # type: ignore[attr-defined]
        return declared

    @property
    def name(self) -> str:
        """What the student's function is called."""
        return self.equation.name

    @property
    def text(self) -> str:
        """The equation in plain text: the first paragraph of the function's description, and the lines set apart below it."""
        blocks = inspect.cleandoc(self.equation.function.__doc__ or "").split("\n\n")
        apart = blocks[1:2] if len(blocks) > 1 and blocks[1].startswith("    ") else []
        return "\n\n".join([blocks[0], *apart])

    @property
    def operands(self) -> dict[str, str]:
        """What each argument of the student's function is, in order: "w̃_t, (batch, N), non-negative, summing to 1 …"."""
        declared, symbols = self.equation.domains, self.equation.symbols
        arguments = [name for name in self._parameters if name in declared or name in self.others]
        return {
            name: self.others[name] if name in self.others else f"{symbols.get(name, name)}, {in_words(declared[name])}"
            for name in arguments
        }

    @property
    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.equation.function).parameters

    @property
    def description(self) -> str:
        """The docstring that a student finds: title, equation in text and LaTeX, slide, points, and what comes in and out."""
        about = self.equation
        returns = "; ".join(in_words(declared) for declared in about.returns)
        parts = [
            f"Task {self.number}: {about.title} ({about.paper}).",
            self.text,
            "\n".join(
                [
                    *_wrapped(f"LaTeX: {about.latex}"),
                    f"Slide: {self.slide}.",
                    f"Points: {self.public_points} by the public checks, {self.hidden_points} by hidden ones.",
                ]
            ),
            "\n".join([*(f"{name}: {what}" for name, what in self.operands.items()), f"Returns {returns}."]),
            *(["\n".join(_wrapped(self.note))] if self.note else []),
        ]
        return "\n\n".join(parts)

    @property
    def marker(self) -> str:
        """The pytest marker of the task: task3_2."""
        return "task" + self.number.replace(".", "_")

    def reference(self, inputs: Mapping[str, Any]) -> tuple[Array, ...]:
        """What a right solution returns."""
        result = self.function(**inputs)
        results = result if isinstance(result, tuple) else (result,)
        return tuple(numpy.asarray(to_host(one) if isinstance(one, Tensor) else one) for one in results)


@dataclass(frozen=True)
class Assignment:
    """Tasks of one number and the public properties that check them."""

    number: int
    title: str
    tasks: tuple[Task, ...]
    properties: tuple[Property, ...]

    @property
    def file(self) -> str:
        """The file that a student hands in: hw3.py."""
        return f"hw{self.number}.py"

    @property
    def public_points(self) -> int:
        return sum(task.public_points for task in self.tasks)

    @property
    def hidden_points(self) -> int:
        return sum(task.hidden_points for task in self.tasks)

    def task(self, number: str) -> Task:
        """The task of a number; UsageError if there is none."""
        for task in self.tasks:
            if task.number == number:
                return task
        raise UsageError(f"assignment {self.number} has no task {number!r}; its tasks are {', '.join(task.number for task in self.tasks)}")


def in_words(declared: Domain) -> str:
    """A declared domain as a student reads it: "(batch, 1), at least 1"."""
    shape = str(Domain("", declared.lengths))
    return f"{shape}, {DOMAINS[declared.kind]}" if declared.kind else shape


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 110, break_long_words=False, break_on_hyphens=False)


def assignment(number: int) -> Assignment:
    """The assignment of a number, 1 to 5; UsageError if there is none."""
    if not 1 <= number <= len(MODULES):
        raise UsageError(f"there is no assignment {number}; the assignments are 1 … {len(MODULES)}")
    found: Assignment = import_module(f"tinymem.homework.checks.{MODULES[number - 1]}").ASSIGNMENT
    return found


def chosen(which: str) -> Assignment:
    """The assignment of a number, or the ASSIGNMENT of a teacher's Python file; UsageError if there is none."""
    if which.isdecimal():
        return assignment(int(which))
    if not which.endswith(".py"):
        raise UsageError(f"{which!r} is no assignment: give a number from 1 to {len(MODULES)}, or a Python file that defines ASSIGNMENT")
    found = defined_in(Path(which), "ASSIGNMENT")
    if not isinstance(found, Assignment):
        raise UsageError(f"{which} must define ASSIGNMENT, a tinymem.homework.tasks.Assignment")
    return found


def defined_in(path: Path, name: str) -> Any:
    """What a teacher's Python file defines by this name, or None; it is run here, so never give it a submission."""
    if not path.is_file():
        raise UsageError(f"{path} is missing: a Python file that defines {name}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name, None)


def assignments() -> tuple[Assignment, ...]:
    """All assignments, in lecture order."""
    return tuple(assignment(number) for number in range(1, len(MODULES) + 1))
