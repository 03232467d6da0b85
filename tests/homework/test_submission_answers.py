"""Asking a submission: what comes back, in this process and in a child, and how failures are told."""

from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinymem.homework import child
from tinymem.homework.answers import Answer, AnswerError, Answers, InChild, InProcess

SUBMISSION = '''
import dataclasses
import numpy as np
from numpy import random

@dataclasses.dataclass
class Pair:
    one: "float"

def both(x, y):
    return x, y

def kinds(x, n, scale):
    return type(x) is np.ndarray, type(n) is int, type(scale) is float

def doubled(x, y):
    y *= 2
    return x

def reshaped(x):
    x.shape = -1
    return x

def divided(x):
    """A docstring."""
    return helper(x)

def helper(x):
    return np.linalg.inv(x)

def unwritten(x):
    raise NotImplementedError("Task 3.2: sharpening")

def nothing(x):
    x + 1

def listed(x):
    return [x]

def words(x):
    return np.array(["one"])

def endless(x):
    return np.broadcast_to(x[0, 0], (10**5, 10**5))

def leaves(x):
    raise SystemExit(0)

class Mute(Exception):
    def __str__(self):
        raise ValueError

def mute(x):
    raise Mute

def coloured(x):
    raise ValueError("\\x1b[31mred\\x00")

def says(x):
    print("x is", x)
    return x
'''


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("submission") / "hw3.py"
    path.write_text(SUBMISSION)
    return path


@pytest.fixture(scope="module", params=["in this process", "in a child"])
def answers(request: pytest.FixtureRequest, path: Path) -> Iterator[Answers]:
    asked: Answers = InProcess(path) if request.param == "in this process" else InChild(path, sandbox=False)
    yield asked
    asked.close()


def failure(answers: Answers, function: str) -> AnswerError:
    with pytest.raises(AnswerError) as caught:
        answers.ask(function, numpy.zeros((2, 2)))
    return caught.value


@given(
    x=hnp.arrays(st.sampled_from(["f4", "f8", "i8", "c16", "?"]), hnp.array_shapes(min_dims=0, min_side=0)),
    y=hnp.arrays("f8", (3, 2), elements=st.floats(allow_nan=True, width=64)),
)
def test_arrays_arrive_and_return_as_they_are(answers: Answers, x: numpy.ndarray, y: numpy.ndarray) -> None:
    answer = answers.ask("both", x, y.T)
    numpy.testing.assert_array_equal(answer.results[0], x)
    numpy.testing.assert_array_equal(answer.results[1], y.T)
    assert (answer.results[0].dtype, answer.changed) == (x.dtype, ())


def test_python_numbers_stay_python_numbers(answers: Answers) -> None:
    assert all(answers.ask("kinds", numpy.array(1.0), 2, 0.5).results)


def test_changed_operands_are_told_by_position_and_the_caller_keeps_its_own(answers: Answers) -> None:
    x, y = numpy.ones(3), numpy.ones(3, "float32")
    assert answers.ask("doubled", x, y).changed == (1,)
    assert answers.ask("doubled", x, numpy.zeros(3)).changed == ()
    assert answers.ask("reshaped", numpy.ones((2, 2))).changed == (0,)
    assert y.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        ("divided", "raised", "LinAlgError: Singular matrix\n  hw3.py, line 29, in helper:  return np.linalg.inv(x)"),
        ("unwritten", "not written", "Task 3.2: sharpening"),
        ("missing", "no such function", "hw3.py has no function 'missing': write `def missing(…)`"),
        ("nothing", "not numbers", "nothing returned None: is a `return` missing?"),
        ("listed", "not numbers", "listed returned list: return an array, a number, or a tuple of them"),
        ("words", "not numbers", "words returned an array of dtype <U3: return numbers"),
        ("endless", "not numbers", "endless returned far too much: (100000, 100000)"),
        ("mute", "raised", "Mute\n  hw3.py, line 54, in mute:  raise Mute"),
    ],
)
def test_failures_name_the_students_own_line(answers: Answers, function: str, kind: str, message: str) -> None:
    error = failure(answers, function)
    assert (error.kind, error.message) == (kind, message)
    assert isinstance(answers.ask("both", numpy.ones(2), numpy.ones(2)), Answer), "a failure is no strike"


def test_control_characters_stay_in_the_child(path: Path) -> None:
    answers = InChild(path, sandbox=False)
    assert failure(answers, "coloured").message.startswith("ValueError: [31mred\n  hw3.py")
    answers.ask("says", 7)
    assert answers.printed() == "x is 7"
    answers.close()
    assert answers.printed() == "x is 7"


def test_leaving_is_a_strike(path: Path) -> None:
    answers = InChild(path, sandbox=False)
    first, second = failure(answers, "leaves"), failure(answers, "both")
    assert first.kind == second.kind == "ended the process"
    assert first.message == second.message == "SystemExit: 0\n  hw3.py, line 47, in leaves:  raise SystemExit(0)"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def both(x:\n  pass", "hw3.py does not load: SyntaxError: '(' was never closed\n  hw3.py, line 1:  def both(x:"),
        ("x = 1\nimport torch_of_nowhere", "No module named 'torch_of_nowhere'\n  hw3.py, line 2, in <module>:  import torch_of_nowhere"),
        ("raise SystemExit", "hw3.py does not load: SystemExit\n  hw3.py, line 1, in <module>:  raise SystemExit"),
        ("x = '\0'", "hw3.py does not load: "),
    ],
)
def test_a_file_that_does_not_load(tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "hw3.py").write_text(source)
    with pytest.raises(AnswerError) as caught:
        InProcess(tmp_path / "hw3.py")
    assert caught.value.kind == "does not load"
    assert message in caught.value.message
    answers = InChild(tmp_path / "hw3.py", sandbox=False)
    assert failure(answers, "both").message == failure(answers, "both").message == caught.value.message


def npz(header: object = None, **arrays: numpy.ndarray) -> bytes:
    return child.pack({} if header is None else header, arrays)[8:]  # type: ignore[arg-type]


def with_header(shape: tuple[int, ...], body: bytes) -> bytes:
    """An npz whose one array claims a shape that its bytes do not have."""
    honest = npz(x=numpy.zeros(4))
    old, new = b"(4,), }", (f"{shape}, }}").encode()
    start = honest.index(old)
    return honest[:start] + new + honest[start + len(new) :] + body


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"no archive",
        npz(x=numpy.zeros(3))[:-30],
        npz(x=numpy.array(["text"])),
        npz(x=numpy.zeros(2, dtype=[("a", "f8")])),
        npz([1, 2]),
        npz(**{f"x{place}": numpy.zeros(1) for place in range(child.MOST_ARRAYS + 1)}),
        with_header((10**9,), b""),
    ],
)
def test_whatever_is_no_message_is_refused(payload: bytes) -> None:
    with pytest.raises(Exception, match=r".+"):
        child.unpack(payload)


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "bomb.npz").open("wb") as file:
        numpy.savez_compressed(file, x=numpy.zeros(10**6))
    with pytest.raises(ValueError, match="stored"):
        child.unpack((tmp_path / "bomb.npz").read_bytes())
