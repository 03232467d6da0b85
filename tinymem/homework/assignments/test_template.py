"""The public checks of the assignment in this folder as pytest tests, one a task: pytest, or one task alone: pytest -m task3_1."""

from pathlib import Path

import pytest

from tinymem.homework.answers import InChild
from tinymem.homework.checking import run
from tinymem.homework.report import failure
from tinymem.homework.tasks import chosen

HERE = Path(__file__).parent
ASSIGNMENT = chosen("WHICH")


@pytest.mark.parametrize("task", [pytest.param(task, id=task.number, marks=getattr(pytest.mark, task.marker)) for task in ASSIGNMENT.tasks])
def test_task(task):
    answers = InChild(HERE / ASSIGNMENT.file)  # a new child for each task: what hangs or dies in one costs no other
    wrong = [outcome for outcome in run((one for one in ASSIGNMENT.properties if one.task is task), answers) if not outcome.passed]
    answers.close()
    if wrong:
        pytest.fail(failure(wrong), pytrace=False)
