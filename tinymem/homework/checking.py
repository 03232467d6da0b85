"""Runs properties against a submission: Hypothesis looks for an input that refutes each, and shrinks it; nothing of Hypothesis is seen.

Deterministic: what is drawn follows from the seed, the task and the property's name alone.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import NoReturn

import hypothesis
import numpy
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.errors import Flaky

from tinymem.homework.answers import Answer, AnswerError, Answers, Operand
from tinymem.homework.properties import Mismatch, Property
from tinymem.homework.report import DEPENDS_ON_THE_INPUT, describe
from tinymem.homework.tasks import EXAMPLES, Inputs


@dataclass(frozen=True)
class Outcome:
    """What became of one property.

    `points` are those of its task that it guards: they are given only if all properties of the task (all public ones, or all
    hidden ones) hold.  `output` is what the student reads where it does not.
    """

    task: str
    property: str
    points: float
    passed: bool
    output: str
    hidden: bool


@cache
def _notes() -> tempfile.TemporaryDirectory[str]:
    """Where Hypothesis may keep its notes: not in the student's folder."""
    return tempfile.TemporaryDirectory(prefix="tinymem-")


class _Refuted(Exception):
    """One type at one place, so that all refutations of a property are one to Hypothesis, and are shrunk together."""


class _Hopeless(BaseException):
    """No other input can do better, so that the search ends at once: Hypothesis lets only a BaseException pass."""


class _Search:
    """The search for an input that refutes a property; remembers the last refutation, which is the smallest at the end."""

    def __init__(self, property: Property, answers: Answers) -> None:
        self.property, self.answers = property, answers
        self.asked: Inputs = {}  # in the last call: a judge may ask with other operands than were drawn
        self.found: tuple[Inputs, Mismatch | AnswerError, str] | None = None

    def ask(self, *operands: Operand) -> Answer:
        self.asked = dict(zip(self.property.task.operands, operands, strict=True))
        return self.answers.ask(self.property.task.name, *operands)

    def attempt(self, given: Inputs) -> None:
        self.asked = {}
        try:
            with numpy.errstate(all="ignore"):  # an answer may hold whatever it likes: what is said of it, the judge says
                self.property.judge(self.ask, given)
        except Mismatch as wrong:
            self._refuted(wrong)
        except AnswerError as error:
            self._refuted(error, hopeless=error.kind not in DEPENDS_ON_THE_INPUT)  # all else would come again, or hang again
        except (
            ArithmeticError,
            IndexError,
            MemoryError,
            TypeError,
            ValueError,
        ) as error:  # led astray by an answer of another shape
            if not self.asked:
                raise  # there was no answer yet: it is the judge that is wrong
            self._refuted(Mismatch(f"your answer cannot be compared with what is expected ({error}); see to its shape first"))

    def _refuted(self, wrong: Mismatch | AnswerError, hopeless: bool = False) -> NoReturn:
        self.found = self.asked, wrong, self.answers.printed()
        raise (_Hopeless if hopeless else _Refuted) from None

    def run(self, seed: int, examples: int, shrink: bool) -> None:
        settings = hypothesis.settings(
            max_examples=min(examples, self.property.most),
            database=None,
            deadline=None,
            derandomize=False,
            print_blob=False,
            report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
            suppress_health_check=tuple(HealthCheck),
            verbosity=Verbosity.quiet,
        )
        set_hypothesis_home_dir(_notes().name)
        search = hypothesis.seed(seed)(settings(hypothesis.given(self.property.inputs)(self.attempt)))
        try:
            with suppress(_Refuted, _Hopeless, Flaky):  # flaky: a function that answers one question in two ways
                search()
        finally:
            set_hypothesis_home_dir(None)


def run(
    properties: Iterable[Property], answers: Answers, seed: int = 0, examples: int = EXAMPLES, shrink: bool = True
) -> Iterator[Outcome]:
    """One outcome for each property, in their order, as soon as it is known; without `shrink` the first input that refutes will do."""
    for property in properties:
        task = property.task
        search = _Search(property, answers)
        search.run(zlib.crc32(f"{seed} {task.number} {property.name}".encode()), examples, shrink)
        points = task.hidden_points if property.hidden else task.public_points
        output = "" if search.found is None else describe(property, *search.found)
        yield Outcome(task.number, property.name, points, search.found is None, output, property.hidden)
