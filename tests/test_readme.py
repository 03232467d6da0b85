"""The README keeps its word: its programs run and print what it says; its paths and commands exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = [block for block in re.findall(r"```python\n(.*?)```", README, re.S) if "cupy" not in block]


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_a_program_prints_what_its_comments_say(program, capsys):
    exec(compile(program, "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    promised = re.findall(r"^print\(.*\)\s+# (.*)$", program, re.M)
    assert printed[: len(promised)] == promised


def test_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing


def test_the_two_commands_stand_in_the_readme_and_in_ci():
    for command in ("tinymem lesson ntm-copy", 'pip install -e ".[test]"', "pytest"):
        assert command in README
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "lesson ntm-copy" in ci
    assert '-e ".[test]"' in ci
