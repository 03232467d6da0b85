"""What a student gets: the solution file with its solutions cut out, the public checks as pytest tests, and what to do.

One source of truth: a solution stands between ### BEGIN SOLUTION and ### END SOLUTION, all else is the student's too.  A teacher's own
assignment needs no solution file: its tasks say all that a skeleton says.
"""

from __future__ import annotations

import re
import textwrap
from importlib import resources
from pathlib import Path

from tinymem.homework.tasks import Assignment, Task
from tinymem.lesson import UsageError, table
from tinymem.training.checkpoints import CheckpointError, write_atomically

MANNERS = "Each function takes NumPy arrays and returns new ones; none changes what it is given, and float32 stays float32."
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
FILES = Path(str(resources.files("tinymem.homework"))) / "assignments"


def solution_file(assignment: Assignment) -> Path:
    """Where the solutions of an assignment lie."""
    return FILES / assignment.file


def without_solutions(source: str, tasks: tuple[Task, ...]) -> str:
    """The source with the solutions of these tasks cut out; ValueError where one of them is not marked."""
    for task in tasks:
        marked = re.compile(rf"(\ndef {task.name}\((?:(?!\ndef ).)*?\n    ){BEGIN}\n.*?\n    {END}\n", re.DOTALL)
        source, count = marked.subn(lambda found, task=task: f"{found[1]}{_missing(task)}\n", source)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"task {task.number}: def {task.name} holds {count} solutions between {BEGIN} and {END}, expected one")
    return source


def write(assignment: Assignment, folder: Path, own: Path | None = None) -> list[Path]:
    """Write the student's folder; UsageError, and nothing written, where a file of it is there already.

    `own` is the teacher's file that defines the assignment, where it is none of ours: a copy goes into the folder, for the checks.
    """
    which = f"str(HERE / {own.name!r})" if own else f'"{assignment.number}"'
    texts = {
        assignment.file: _skeleton(assignment) if own else without_solutions(_read(solution_file(assignment)), assignment.tasks),
        f"test_{assignment.file}": _read(FILES / "test_template.py").replace('"WHICH"', which),
        "pytest.ini": _markers(assignment),
        "README.md": _readme(assignment, f" --assignment {typed(Path(own.name))}" if own else ""),
    }
    files = {name: text.encode() for name, text in texts.items()}
    if own:
        if own.name.casefold() in map(str.casefold, texts):  # Windows and macOS take HW6.py and hw6.py for one file
            raise UsageError(f"{own}: the student's folder has a file of that name; call yours otherwise")
        files[own.name] = own.read_bytes()
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise UsageError(f"{folder} holds {', '.join(there)} already, and nothing is overwritten: name a new folder")
    try:
        for name, payload in files.items():
            write_atomically(folder / name, payload)
    except CheckpointError as error:
        raise UsageError(f"{folder}: cannot write there ({error.__cause__})") from None
    return [folder / name for name in files]


def typed(path: Path) -> str:
    """A path as one types it in a command, whatever the shell."""
    return f'"{path}"' if " " in str(path) else str(path)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _missing(task: Task) -> str:
    return f'raise NotImplementedError("Task {task.number}: {task.equation.title}")'


def _skeleton(assignment: Assignment) -> str:
    """What students write into where there is no solution file: the tasks alone."""
    parts = [f'"""Assignment {assignment.number}.  {assignment.title}\n\n{MANNERS}\n"""\n\nimport numpy as np\n']
    for task in assignment.tasks:
        body = textwrap.indent(f'r"""{task.description}\n"""\n{_missing(task)}\n', "    ")
        parts.append(f"\n\ndef {task.name}({', '.join(task.operands)}):\n{body}")
    return "".join(parts)


def _markers(assignment: Assignment) -> str:
    lines = [f"    {task.marker}: {task.equation.title}" for task in assignment.tasks]
    return "\n".join(["[pytest]", "addopts = -q --strict-markers", "markers =", *lines]) + "\n"


def _readme(assignment: Assignment, own: str) -> str:
    rows = [(task.number, task.name, task.equation.title, f"{task.public_points} + {task.hidden_points}") for task in assignment.tasks]
    first = assignment.tasks[0]
    return f"""# Assignment {assignment.number}. {assignment.title}

Write the functions in `{assignment.file}`: NumPy arrays in, new NumPy arrays out. What each has to compute stands in its docstring.

```
{table([("task", "function", "equation", "points: public + hidden"), *rows])}
```

Check your work; one task alone; one task as a pytest test:

    tinymem hw check .{own}
    tinymem hw check .{own} --task {first.number}
    pytest -m {first.marker}

A check tries many inputs. When one refutes your function you see the equation, the smallest such input, your answer beside the
expected one, a hint, and what your function printed. The same command tries the same inputs; `--seed 1` tries others. The hidden
points are given by checks that you do not have. A function may be finished without the others: no task needs another one.

Hand in `{assignment.file}`.
"""
