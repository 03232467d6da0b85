"""The student's folder: solutions cut out, nothing overwritten, and checks that pytest runs task by task."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import pytest

from tinymem.homework.skeleton import BEGIN, END, solution_file, without_solutions, write
from tinymem.homework.tasks import assignment
from tinymem.lesson import UsageError

STACK = assignment(2)
SOURCE = solution_file(STACK).read_text(encoding="utf-8")


def test_a_skeleton_keeps_all_but_the_solutions():
    skeleton = without_solutions(SOURCE, STACK.tasks)
    assert BEGIN not in skeleton
    assert END not in skeleton
    for task in STACK.tasks:
        assert f'raise NotImplementedError("Task {task.number}: {task.equation.title}")' in skeleton
        assert task.description.splitlines()[0] in skeleton
    kept = iter(SOURCE.splitlines())
    assert all("NotImplementedError" in line or line in kept for line in skeleton.splitlines() if line.strip())
    compile(skeleton, "hw2.py", "exec")


def test_one_solution_can_be_cut_out():
    task = STACK.task("2.3")
    hole = without_solutions(SOURCE, (task,))
    assert hole.count(BEGIN) == len(STACK.tasks) - 1
    assert hole.count("NotImplementedError") == 1


def test_a_solution_that_is_not_marked_is_noticed():
    with pytest.raises(ValueError, match=r"2\.1.*0 solutions"):
        without_solutions(SOURCE.replace(BEGIN, "#", 1), STACK.tasks)


def test_the_folder_has_all_a_student_needs(tmp_path):
    folder = tmp_path / "new" / "folder"
    written = write(STACK, folder)
    assert [path.name for path in written] == ["hw2.py", "test_hw2.py", "pytest.ini", "README.md"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in written)
    readme = (folder / "README.md").read_text(encoding="utf-8")
    for task in STACK.tasks:
        assert task.name in readme
        assert f"{task.marker}: " in (folder / "pytest.ini").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["hw2.py", "README.md"])
def test_nothing_is_overwritten_and_nothing_half_written(name, tmp_path):
    (tmp_path / name).write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=rf"holds {name} already, and nothing is overwritten"):
        write(STACK, tmp_path)
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["mine"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot write there"):
        write(STACK, tmp_path / "file" / "below")


def test_a_teachers_own_file_goes_into_the_folder_and_must_not_be_in_the_way(tmp_path):
    own = tmp_path / "own.py"
    own.write_text("ASSIGNMENT = ...", encoding="utf-8")
    written = write(STACK, tmp_path / "mine", own)
    assert written[-1].read_text(encoding="utf-8") == "ASSIGNMENT = ..."
    assert "chosen(str(HERE / 'own.py'))" in written[1].read_text(encoding="utf-8")
    for text in (skeleton := written[0].read_text(encoding="utf-8")), without_solutions(SOURCE, STACK.tasks):
        functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
        assert [ast.get_docstring(node) for node in functions] == [task.description for task in STACK.tasks]
    assert "def list_update(cells, action, inserted, head):" in skeleton
    with pytest.raises(UsageError, match="call yours otherwise"):
        write(STACK, tmp_path / "other", own.rename(tmp_path / "hw2.py"))


def test_pytest_runs_one_task_by_its_marker(tmp_path):
    write(STACK, tmp_path)
    wrong = SOURCE.replace("pushed[:, :, None], stack[:, :, :-1]", "pushed[:, :, None], stack[:, :, 1:]")
    (tmp_path / "hw2.py").write_text(wrong, encoding="utf-8")
    environment = {**os.environ, "PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-m", "task2_3 or task2_5", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Task 2.3, Stack update: values" in done.stdout
    assert "also failing: a stack with one-hot actions is a list" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
    assert "Task 2.5" not in done.stdout
    for word in ("Traceback", "Falsifying", "site-packages", "checking.py"):
        assert word not in done.stdout
    assert not (tmp_path / ".hypothesis").exists()
