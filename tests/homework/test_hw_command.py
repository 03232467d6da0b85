"""`tinymem hw` as students and teachers meet it: what is printed, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tinymem import cli
from tinymem.homework.skeleton import solution_file, without_solutions
from tinymem.homework.tasks import assignment

EXAMPLES = Path(__file__).parents[2] / "examples"


def hw(*arguments, capsys):
    code = cli.main(["hw", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_from_new_to_the_points(tmp_path, capsys):
    folder = tmp_path / "mine"
    code, out, _ = hw("new", 2, folder, capsys=capsys)
    assert code == 0
    assert f"tinymem hw check {folder}" in out
    code, out, _ = hw("check", folder, "--examples", 3, capsys=capsys)
    assert code == 1
    assert "2.3 Stack update         not written yet  0 of 3" in out
    assert "NotImplementedError" not in out
    assert out.strip().endswith("0 of 5 tasks pass (0 of 15 points); 7 points are graded by hidden checks")
    (folder / "hw2.py").write_bytes(solution_file(assignment(2)).read_bytes())
    code, out, _ = hw("check", folder, "--examples", 3, capsys=capsys)
    assert code == 0
    assert out.strip().endswith("All public checks passed (8 of 15 points); 7 points are graded by hidden checks")


def test_one_task_alone(tmp_path, capsys):
    (tmp_path / "hw2.py").write_bytes(solution_file(assignment(2)).read_bytes())
    code, out, _ = hw("check", tmp_path, "--task", "2.5", "--examples", 3, "--seed", 4, capsys=capsys)
    assert code == 0
    assert "All public checks of task 2.5 passed (1 of 15 points)" in out
    assert "2.4" not in out


def test_a_task_that_hangs_costs_no_other(tmp_path, capsys):
    source = solution_file(assignment(2)).read_text(encoding="utf-8")
    (tmp_path / "hw2.py").write_text(source.replace("return 0.5 * (1 + np.tanh", "while True: 0.5 * (1 + np.tanh"), encoding="utf-8")
    code, out, _ = hw("check", tmp_path, "--examples", 2, "--seconds", 0.5, capsys=capsys)
    assert code == 1
    assert "push_value took longer than 0.5 seconds" in out
    assert "4 of 5 tasks pass (7 of 15 points)" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("new", 6), "there is no assignment 6"),
        (("check", "nowhere"), "nowhere does not exist; begin with: tinymem hw new 3 nowhere"),
        (("new", "own.py"), "own.py is missing: a Python file that defines ASSIGNMENT"),
        (("new", "three"), "'three' is no assignment: give a number from 1 to 5"),
        (("check", "."), "holds no hw1.py … hw5.py"),
        (("check", ".", "--examples", -1), "must be greater than 0"),
        (("check", ".", "--seconds", 0), "must be greater than 0"),
        (("check", ".", "--assignment", "own.py"), "own.py is missing"),
        (("grade", "."), "which assignment is to be graded? none could be meant"),
        (("grade", "hw3.py"), "hw3.py is not a folder: a submission is the folder that holds hwN.py"),
    ],
)
def test_wrong_use_is_told_in_a_sentence(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, _, err = hw(*arguments, capsys=capsys)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_the_wrong_folder_name_or_task_is_told_in_a_sentence(tmp_path, capsys):
    hw("new", 2, tmp_path / "mine", capsys=capsys)
    (tmp_path / "mine" / "stack.py").write_text("", encoding="utf-8")
    for arguments, said in (
        ((tmp_path,), f"below it there is: tinymem hw check {tmp_path / 'mine'}"),
        ((tmp_path / "mine" / "stack.py",), "stack.py is not named hw1.py … hw5.py"),
        ((tmp_path / "mine", "--task", "9.9"), "assignment 2 has no task '9.9'; its tasks are 2.1, 2.2"),
    ):
        code, _, err = hw("check", *arguments, capsys=capsys)
        assert (code, said in err) == (2, True), err


def test_without_hypothesis_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr("tinymem.homework.commands.find_spec", lambda name: None)
    code, _, err = hw("new", 3, capsys=capsys)
    assert code == 2
    assert "pip install 'tinymem[homework]'" in err


def test_the_list_and_the_help(capsys):
    code, out, _ = hw("new", 0, capsys=capsys)
    assert code == 0
    for number in range(1, 6):
        assert assignment(number).title in out
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--help"])
    assert exit_.value.code == 0
    assert "tinymem hw --help" in " ".join(capsys.readouterr().out.split())


def test_grade_writes_results(tmp_path, capsys):
    submission, hidden = tmp_path / "submission", tmp_path / "hidden"
    submission.mkdir()
    hidden.mkdir()
    stack = assignment(2)
    only_one = without_solutions(
        solution_file(stack).read_text(encoding="utf-8"), tuple(task for task in stack.tasks if task.number != "2.2")
    )
    (submission / "hw2.py").write_text(only_one, encoding="utf-8")
    (hidden / "hw2_hidden.py").write_text(
        "from tinymem.homework.checks.stack import PUSHED\nfrom tinymem.homework.properties import either, values\n"
        "PROPERTIES = (values(PUSHED, 'more stacks', either(PUSHED.equation, 6)),)\n",
        encoding="utf-8",
    )
    out = tmp_path / "results.json"
    code, printed, _ = hw("grade", submission, "--hidden", hidden, "--out", out, "--student", "s1", capsys=capsys)
    assert code == 0
    assert "2 of 9 points" in printed
    results = json.loads(out.read_text(encoding="utf-8"))
    assert [test["name"] for test in results["tests"] if test["status"] == "passed"] == [
        "Task 2.2: Pushed value",
        "Task 2.2: hidden checks",
    ]


def test_grade_goes_through_a_folder_of_submissions(tmp_path, capsys):
    (tmp_path / "all" / "empty").mkdir(parents=True)
    code, printed, _ = hw("grade", tmp_path / "all", "--every", "--assignment", 2, "--out", tmp_path / "graded", capsys=capsys)
    assert code == 0
    assert "hw2.py is missing" in printed
    assert printed.startswith(
        "hidden points are not given for tasks without hidden checks: 2.1, 2.2, 2.3, 2.4, 2.5\nsubmission  points  of  sandbox"
    )
    assert "empty" in (tmp_path / "graded" / "grades.csv").read_text(encoding="utf-8")


OWN = EXAMPLES / "own_assignment.py"
RIGHT = "def precedence(previous, weighting):\n    return (1 - weighting.sum(1, keepdims=True)) * previous + weighting\n"


def test_a_teachers_own_assignment_goes_through_the_same_commands(tmp_path, capsys):
    folder = tmp_path / "mine"
    code, out, _ = hw("new", OWN, folder, capsys=capsys)
    assert code == 0
    assert f"tinymem hw check {folder} --assignment {folder / OWN.name}" in out
    assert f"tinymem hw check . --assignment {OWN.name} --task 6.1" in (folder / "README.md").read_text(encoding="utf-8")
    own = ("--assignment", folder / OWN.name)
    code, out, _ = hw("check", folder, *own, capsys=capsys)
    assert code == 1
    assert "6.1 Precedence  not written yet  0 of 1" in out
    (folder / "hw6.py").write_text(RIGHT, encoding="utf-8")
    code, out, _ = hw("check", folder, *own, "--task", "6.1", capsys=capsys)
    assert code == 0
    assert out.strip().endswith("All public checks passed (1 of 2 points); 1 point is graded by hidden checks")
    code, out, _ = hw("grade", folder, "--assignment", OWN, "--out", tmp_path / "results.json", capsys=capsys)
    assert code == 0
    assert "1 of 1 points" in out
    code, _, err = hw("check", folder, capsys=capsys)
    assert code == 2
    assert "--assignment FILE.py" in err
