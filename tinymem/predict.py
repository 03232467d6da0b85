"""Asking a trained model of Learning to Execute what a program prints: `tinymem predict "print(123+456)"`."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from tinymem.lesson import Run, UsageError, find_lesson, table
from tinymem.tasks.interpreter import run_program
from tinymem.tasks.programs import ALPHABET, VARIABLES, AdditionTask, ExecutionTask, Program
from tinymem.training.answers import Written, write
from tinymem.training.checkpoints import CheckpointError, load_checkpoint
from tinymem.training.configs import from_plain
from tinymem.training.experiment import Experiment
from tinymem.training.ship import load_shipped

LESSON = "learning-to-execute"

_SUM = re.compile(r"print\(([1-9]\d*)\+([1-9]\d*)\)")
_SIGNS: dict[type[ast.AST], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Lt: "<", ast.Gt: ">"}


@dataclass(frozen=True)
class Prediction:
    """A program, what Python and what a model say it prints; as text, the answer character by character."""

    source: str
    reader: str
    """which model, and what it was trained on"""
    answer: str
    """what Python prints, with the end mark"""
    written: Written
    warnings: tuple[str, ...]
    """in what the program differs from those the model was trained on"""

    @property
    def right(self) -> bool:
        return self.written.text == self.answer

    def __str__(self) -> str:
        rows = [("place", "character", "probability", "runner-up", "")]
        for place, (chosen, shares) in enumerate(zip(self.written.text, self.written.probabilities, strict=True)):
            second = int(numpy.argsort(shares)[-2])
            due = self.answer[place : place + 1]
            told = "" if chosen == due else f"wrong: {due} is right" if due else "wrong: the answer is over"
            rows.append((str(place + 1), chosen, f"{shares.max():.1%}", f"{ALPHABET.symbols[second]}  {shares[second]:.1%}", told))
        verdict = "right" if self.right else "wrong"
        said = [f"program:  {line}" if number == 0 else f"          {line}" for number, line in enumerate(self.source.splitlines())]
        said += [f"read by:  {self.reader}", "", table(rows), "", f"LSTM:     {self.written.text}  {verdict}", f"Python:   {self.answer}"]
        said += [f"beware:   {warning}" for warning in self.warnings]
        return "\n".join(line.rstrip() for line in "\n".join(said).splitlines())


def predict(program: str, readers: Sequence[Run] | None = None) -> Prediction:
    r"""What a trained model says that a program prints, and what Python says.

    Lines may be parted by `\n` typed as two characters.  A sum of two numbers of equal length goes to the addition model, all else to a
    program model: of `readers`, by default the shipped ones, to the one for the least hardness that covers the program.
    UsageError for an empty program and for one longer than any of the training; ProgramError for one that does not run.
    """
    source = program.replace("\\n", "\n").replace("\r\n", "\n").strip()
    if not source:
        raise UsageError('the program is empty; give one as in tinymem predict "print(123+456)", or - to read it from the standard input')
    asked = Program(source, run_program(source))
    numbers = _SUM.fullmatch(source)
    if numbers is not None and len(numbers[1]) == len(numbers[2]):
        run = _reader(AdditionTask, (len(numbers[1]), 1), asked.text, readers)
    else:
        run = _reader(ExecutionTask, _hardness(source), asked.text, readers)
    experiment: Any = run.experiment
    task = experiment.task.task
    if len(asked.text) > task.longest_text:
        raise UsageError(
            f"the program has {len(asked.text)} characters, its end mark included, and the model for {_trained_on(task)} "
            f"was trained on at most {task.longest_text}; write a shorter one"
        )
    reader = (
        f"{experiment.name}, seed {experiment.seed}: an LSTM of {experiment.model.hidden} cells trained on {_trained_on(task)}; "
        f"{1 - run.validation:.1%} of characters right in validation"
    )
    warnings = tuple(_unlike_the_training(source, task)) if isinstance(task, ExecutionTask) else ()
    return Prediction(source, reader, asked.answer, write(run.model, ALPHABET, asked.text), warnings)


def _trained_on(task: AdditionTask | ExecutionTask) -> str:
    if isinstance(task, AdditionTask):
        return f"sums of two numbers of equal length, up to {_count(task.digits, 'digit')}"
    return f"programs of up to {_count(task.nesting, 'operation')} with numbers of up to {_count(task.length, 'digit')}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


# --- which model ---


def _reader(kind: type, hardness: tuple[int, int], text: str, readers: Sequence[Run] | None) -> Run:
    """The model for the least hardness that covers this one and the text, else for the greatest; of several, the best in validation.

    A baseline has seen one hardness only, and is not asked about an easier program if another model can be.
    """
    known = _shipped(kind) if readers is None else readers
    fitting = [run for run in known if isinstance(getattr(run.experiment.task, "task", None), kind)]
    if not fitting:
        what = "sums of two numbers of equal length" if kind is AdditionTask else "programs"
        raise UsageError(f"there is no model for {what} here; ask for something else, or train one: tinymem lesson {LESSON} --train")

    def fitness(run: Run) -> tuple[Any, ...]:
        curriculum: Any = run.experiment.task
        length, nesting = curriculum.task.hardest
        covers = hardness[0] <= length and hardness[1] <= nesting and len(text) <= curriculum.task.longest_text
        practised = curriculum.strategy != "baseline" or hardness == (length, nesting)
        return covers, practised, (-nesting, -length) if covers else (nesting, length), -run.validation

    return max(fitting, key=fitness)


def _shipped(kind: type) -> list[Run]:
    """The shipped models of a task."""
    folder = find_lesson(LESSON).parent / "checkpoints" / LESSON
    found: list[Experiment] = []
    for path in sorted(folder.glob("*.safetensors")):
        for note in load_checkpoint(path)[1]["seeds"].values():
            experiment: Experiment = from_plain(note["run"])
            if isinstance(getattr(experiment.task, "task", None), kind):
                found.append(experiment)
    if not found:
        raise CheckpointError(f"{folder}: no such checkpoint; train one first with --train")
    return [Run(e, model, log, note["validation"]) for e, (model, log, note) in zip(found, load_shipped(folder, found), strict=True)]


# --- how hard, and what is unlike the training ---


def _counts(source: str) -> tuple[int, int, int]:
    """The largest number, the operations and the most rounds of a loop."""
    nodes = list(ast.walk(ast.parse(source)))
    loops = [node.iter.args[0] for node in nodes if isinstance(node, ast.For) and isinstance(node.iter, ast.Call)]
    return _largest(nodes), sum(isinstance(node, ast.BinOp | ast.AugAssign | ast.IfExp) for node in nodes), _largest(loops)


def _largest(nodes: Sequence[ast.AST]) -> int:
    return max((node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, int)), default=0)


def _hardness(source: str) -> tuple[int, int]:
    """The least (length, nesting) at which such numbers, loops and as many operations are drawn."""
    largest, operations, rounds = _counts(source)
    return max(1, len(str(max(largest - 1, 0))), -(-rounds // 4)), max(1, operations)


def _unlike_the_training(source: str, task: ExecutionTask) -> list[str]:
    """In what a program that runs is harder than those of the task, or written in another way."""
    names = "numbers up to", "operations:", "rounds of a loop:"
    limits = 10**task.length, task.nesting, 4 * task.length
    warnings = [
        f"harder than the training ({name} {here}, trained on at most {most})"
        for name, here, most in zip(names, _counts(source), limits, strict=True)
        if here > most
    ]
    tree = ast.parse(source)
    try:
        usual = "\n".join(map(_as_drawn, tree.body))
    except LookupError:
        return [*warnings, "it holds something that no program of the training holds"]
    if usual != source:
        typed = usual.replace("\n", "\\n")
        warnings.append(f"the programs of the training are spelled otherwise, like {typed}")
    return warnings


def _as_drawn(node: ast.AST) -> str:
    """A statement or an expression as `draw_program` spells it; LookupError if it never draws such a thing."""
    match node:
        case ast.Constant(int(value)):
            return str(value)
        case ast.Name(name) if name in VARIABLES:
            return name
        case ast.BinOp(left, sign, right):
            return f"({_as_drawn(left)}{_SIGNS[type(sign)]}{_as_drawn(right)})"
        case ast.IfExp(ast.Compare(left, [sign], [right]), value, other):
            return f"({_as_drawn(value)} if {_as_drawn(left)}{_SIGNS[type(sign)]}{_as_drawn(right)} else {_as_drawn(other)})"
        case ast.Assign([variable], value):
            return f"{_as_drawn(variable)}={_as_drawn(value)}"
        case ast.For(
            ast.Name("x"), ast.Call(_, [ast.Constant(int(count))]), [ast.AugAssign(variable, ast.Add() | ast.Sub() as sign, value)]
        ):
            return f"for x in range({count}):{_as_drawn(variable)}{_SIGNS[type(sign)]}={_as_drawn(value)}"
        case ast.Expr(ast.Call(ast.Name("print"), [value])):
            return f"print({_as_drawn(value)})"
    raise LookupError(type(node).__name__)
