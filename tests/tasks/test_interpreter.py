"""What somebody typed: it prints what Python prints, or is refused with the line and the reason."""

import contextlib
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_programs import SLIDE, printed

from tinymem.tasks import interpreter
from tinymem.tasks.interpreter import ProgramError, run_program
from tinymem.tasks.programs import ALPHABET, Program


@pytest.mark.parametrize(("source", "value"), SLIDE)
def test_the_programs_of_the_slide(source, value):
    assert run_program(source) == value
    assert printed(source) == f"{value}\n"
    assert ALPHABET.decode(ALPHABET.encode(Program(source, value).text))[-1] == "@"


@pytest.mark.parametrize(
    "source",
    [
        "print(5)\n",
        "a=3;a*=-4;print(a)",
        "a=1\nfor b in range(3):\n  for x in range(b+1):\n    a+=x\n    a*=2\nprint(a)",
        "for x in range(4):a=x\nprint(a)",
        "a=7\nfor x in range(-3):a=1\nprint(a)",
        "print(1 if 1<=2<3 else 0)",
        "print(1 if 1>=2 else 3 if 1==1 else 4)",
        "print(1if 2<3 else 4)",  # Python warns here; the student need not know
        "for x in range(10000):a=x\nprint(a)",
    ],
)
def test_the_language_runs_as_in_python(source):
    with contextlib.redirect_stderr(io.StringIO()):
        assert f"{run_program(source)}\n" == printed(source.replace("1if", "1 if"))


@pytest.mark.parametrize(
    ("source", "line", "shown"),
    [
        ("import os\nprint(1)", 1, "import os"),
        ("from os import path\nprint(1)", 1, "from os import path"),
        ("a=1\nprint(a.real)", 2, "a.real"),
        ("a=open(1)\nprint(a)", 1, "open(1)"),
        ("open(1)\nprint(a)", 1, "open(1)"),
        ("1+2\nprint(3)", 1, "1 + 2"),
        ("print(print(1))", 1, "print(1)"),
        ("a=range(3)\nprint(a)", 1, "range(3)"),
        ("a=print\nprint(a)", 1, "print"),
        ("print=3\nprint(1)", 1, "print"),
        ("for range in range(2):a=1\nprint(a)", 1, "range"),
        ("a=1\nwhile a<9:\n  a+=1\nprint(a)", 2, "while a < 9:"),
        ("if 1<2:a=1\nprint(a)", 1, "if 1 < 2:"),
        ("def f():\n  a=1\nprint(1)", 1, "def f():"),
        ("print('word')", 1, "'word'"),
        ("print(1.5)", 1, "1.5"),
        ("print(1j)", 1, "1j"),
        ("print(True)", 1, "True"),
        ("print([1])", 1, "[1]"),
        ("print(4/2)", 1, "4 / 2"),
        ("print(4//2)", 1, "4 // 2"),
        ("print(9**9)", 1, "9 ** 9"),
        ("a=1\na/=2\nprint(a)", 2, "a /= 2"),
        ("print(+1)", 1, "+1"),
        ("print(1<2)", 1, "1 < 2"),
        ("print(1 if 2 else 3)", 1, "1 if 2 else 3"),
        ("print(1 if 2!=3 else 4)", 1, "1 if 2 != 3 else 4"),
        ("a=b=1\nprint(a)", 1, "a = b = 1"),
        ("a,b=1,2\nprint(a)", 1, "a, b = (1, 2)"),
        ("a=1\na[0]=2\nprint(a)", 2, "a[0] = 2"),
        ("print(lambda:1)", 1, "lambda: 1"),
        ("print(*a)", 1, "*a"),
        ("for x in range(1,3):a=1\nprint(a)", 1, "for x in range(1, 3):"),
        ("for x in 5:a=1\nprint(a)", 1, "for x in 5:"),
        ("for x in range(3):\n  a=1\nelse:\n  a=2\nprint(a)", 1, "for x in range(3):"),
        ("for x in range(3):break\nprint(1)", 1, "break"),
        ("print(__builtins__)", 1, "__builtins__"),
        ("print((a:=1))", 1, "(a := 1)"),
    ],
)
def test_what_is_not_in_the_language_is_shown_and_refused(source, line, shown):
    with pytest.raises(ProgramError, match=r"not in the language; write whole numbers") as error:
        run_program(source)
    assert str(error.value).startswith(f"line {line}: `{shown}` is not")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a=1\nprint((a+1)", "line 2: this is not Python ('(' was never closed); correct the spelling there"),
        ("a=1\n  print(a)", "line 2: this is not Python (unexpected indent); correct the spelling there"),
        ("a=1\nprint(a+b)", "line 2: the name 'b' has no value yet; assign one before this line"),
        ("for x in range(0):a=1\n\nprint(a)", "line 3: the name 'a' has no value yet; assign one before this line"),
        ("a+=1\nprint(a)", "line 1: the name 'a' has no value yet; assign one before this line"),
        ("", "line 1: nothing is printed; end the program with print(…)"),
        ("a=1\nb=2", "line 2: nothing is printed; end the program with print(…)"),
        ("print(1)\na=2", "line 1: print(…) is not last; move it to the end and print only once"),
        ("a=1\nprint(1)\nprint(2)", "line 2: print(…) is not last; move it to the end and print only once"),
        ("for x in range(2):\n  print(x)", "line 2: print(…) is not last; move it out of the loop to the end and print only once"),
        ("print()", "line 1: print takes exactly one value here, as in print(a+1)"),
        ("print(1,2)", "line 1: print takes exactly one value here, as in print(a+1)"),
        ("print(1,end=2)", "line 1: print takes exactly one value here, as in print(a+1)"),
        ("a=1\nfor x in range(10001):a+=1\nprint(a)", "line 2: the loops run more than 10000 rounds in all; make the range smaller"),
        (
            "a=1\nfor x in range(101):\n  for b in range(99):\n    a+=1\nprint(a)",
            "line 3: the loops run more than 10000 rounds in all; make the range smaller",
        ),
        (
            "a=1\nfor x in range(-9):a=2\nfor x in range(10001):a+=1\nprint(a)",  # a loop that never runs saves nothing
            "line 3: the loops run more than 10000 rounds in all; make the range smaller",
        ),
        ("a=1\nprint(len)", "line 2: the name 'len' has no value yet; assign one before this line"),
        (f"a=2\nfor x in range({10**29}):a+=1\nprint(a)", "line 2: the loops run more than 10000 rounds in all; make the range smaller"),
        ("a=9\nb=1\nfor x in range(99):\n  a*=a\nprint(a)", "line 4: a value is beyond ±10^30; use smaller numbers or fewer rounds"),
        (f"a={10**30}\nprint(a+1)", "line 2: a value is beyond ±10^30; use smaller numbers or fewer rounds"),
        (f"a={10**30}\nprint(-a-1)", "line 2: a value is beyond ±10^30; use smaller numbers or fewer rounds"),
        (f"a=1\nprint({10**30 + 1})", "line 2: a number is beyond 10^30; use smaller numbers"),
        ("a=1" + "+1" * 500, "line 1: the program has 1003 characters, more than 1000; shorten it"),
    ],
)
def test_a_program_that_cannot_run_is_told_where_and_why(source, message):
    with pytest.raises(ProgramError) as error:
        run_program(source)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("source", "place", "character"),
    [
        ("a=1\nprint(A)", "line 2, column 7", "A"),
        ("a=1 # one\nprint(a)", "line 1, column 5", "#"),  # in a stream it would end a line
        ("print(1\t)", "line 1, column 8", "\t"),
        ("print(1_000)", "line 1, column 8", "_"),
        ("a=1\nprint(2×3)", "line 2, column 8", "×"),
        ("print(1)\0", "line 1, column 9", "\0"),
        ("print('\ud800')", "line 1, column 7", "'"),
    ],
)
def test_what_a_model_could_not_read_does_not_run(source, place, character):
    with pytest.raises(ProgramError, match="allowed are") as error:
        run_program(source)
    assert str(error.value).startswith(f"{place}: the character {character!r} is not in the alphabet")


def test_an_expression_too_deep_for_python_is_refused(monkeypatch):
    monkeypatch.setattr(interpreter, "LONGEST_SOURCE", 10**6)
    for source in (f"print({'-' * 5000}1)", f"print(1{'+1' * 5000})"):
        with pytest.raises(ProgramError, match="nested too deeply; split"):
            run_program(source)


@given(st.text("ab1(){}[]:=+-*<>.,;'\"\n _#@!ifelsrngpt\t\0é", max_size=40))
def test_whatever_is_typed_runs_or_is_refused(source):
    message = ""
    try:
        value = run_program(source)
    except ProgramError as error:
        message = str(error)
    assert re.match(r"line \d+(, column \d+)?: .+; ", message) if message else f"{value}\n" == printed(source)
