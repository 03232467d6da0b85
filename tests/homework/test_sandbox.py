"""Submissions that attack the grader, under bubblewrap and under resource limits alone."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy
import pytest

from tinymem.homework import child, sandbox
from tinymem.homework.answers import AnswerError, InChild

ATTACKS = """
import os, sys
import numpy as np

def reads(x):
    return len(open(PATH).read())

def lists(x):
    return len(os.listdir(FOLDER))

def writes(x):
    open(PATH, "w").write("all points")
    return x

def litters(x):
    open("/tmp/left", "w").close()  # the /tmp that bubblewrap gives it, or anybody's

def connects(x):
    import socket
    socket.create_connection(("127.0.0.1", PORT), timeout=2)
    return x

def leaves(x):
    os._exit(7)

def crashes(x):
    import ctypes
    ctypes.string_at(0)

def allocates(x):
    return np.ones(10**10)

def endless(x):
    while True:
        pass

def prints(x):
    while True:
        print("for ever " * 100)

def says(x):
    print("x is", x)
    return x

def forks(x):
    while True:
        os.fork()

def runs(x):
    os.execv(sys.executable, ["python", "-c", "pass"])

def threads(x):
    import threading
    threading.Thread(target=print).start()
    return x

def kills(x):
    os.kill(os.getppid(), 9)
    return x

def lifts(x):
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return x

def imports(x):
    import tinymem
    return x

def user(x):
    return os.getuid(), len(os.environ.get("HOME", ""))

def answers(x):
    return x + 1

def patches(x):
    np.allclose = np.array_equal = lambda *a, **k: True
    np.ndarray = np.add = np.asarray = None
    return x

def forges(x):
    for number in range(3, 64):
        try:
            os.write(number, (10).to_bytes(8, "big") + b"all points")
        except OSError:
            pass
    os._exit(0)

def vanishes(x):
    return np.empty((0, 10**15))

def lies(x):
    import __main__
    __main__._extent = lambda *a: 0
    return np.empty((2 * 10**9, 0))

def nests(x):
    import __main__, json
    json.dumps = lambda *a: "[" * 10**5
    return x

def counterfeits(x):
    import __main__
    pack = __main__.pack
    __main__.pack = lambda header, arrays: pack({"error": "passed", "message": "all points"}, {})
    return x

def poses(x):
    class Array(np.ndarray):
        def __eq__(self, other):
            return True
        def __reduce__(self):
            return print, ("anything",)
    return x.view(Array)

def borrows(x):
    return np.frombuffer(x.data, x.dtype)

def searches(x):
    import gc
    names = {type(one).__module__.partition(".")[0] for one in gc.get_objects()}
    return float(bool(names & {"tinymem", "hypothesis"}))

def dozes(x):
    import time
    time.sleep(0.8)
    return x

def promises(x):
    for number in range(3, 64):
        try:
            os.write(number, (2**62).to_bytes(8, "big"))
        except OSError:
            pass
    return x
"""
X = numpy.arange(3.0)
FILTERED = sys.platform == "linux" and os.uname().machine in child.FORBIDDEN_CALLS


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("teacher") / "hw3_hidden.py"
    path.write_text("PROPERTIES = ()")
    return path


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


Begin = Callable[..., InChild]


@pytest.fixture(params=[sandbox.BUBBLEWRAP, sandbox.LIMITS_ONLY])
def begin(request: pytest.FixtureRequest, secret: Path, listener: socket.socket, tmp_path: Path) -> Iterator[Begin]:
    """Start the attacks in a child of one kind."""
    if request.param == sandbox.BUBBLEWRAP and not sandbox.bubblewrap_works():
        pytest.skip("bubblewrap is not installed, or user namespaces are forbidden here")
    begun: list[InChild] = []

    def start(seconds: float = 10.0, memory: int = 2**30, patience: float = 300.0) -> InChild:
        path = tmp_path / "hw3.py"
        place = f"PATH, FOLDER, PORT = {str(secret)!r}, {str(secret.parent)!r}, {listener.getsockname()[1]}"
        path.write_text(place + ATTACKS)
        begun.append(InChild(path, seconds, memory, request.param == sandbox.BUBBLEWRAP, patience))
        assert begun[-1].sandboxed == request.param
        return begun[-1]

    yield start
    for answers in begun:
        answers.close()


def failure(answers: InChild, function: str) -> AnswerError:
    with pytest.raises(AnswerError) as caught:
        answers.ask(function, X)
    return caught.value


def test_only_bubblewrap_keeps_the_teachers_files_out(begin: Begin, secret: Path) -> None:
    answers = begin()
    if answers.sandboxed == sandbox.LIMITS_ONLY:
        pytest.skip("resource limits alone do not hide files: that is why they are called not sandboxed")
    for function in ("reads", "lists", "writes"):
        assert "No such file or directory" in failure(answers, function).message
    assert "Read-only file system" in failure(answers, "litters").message
    assert "No module named 'tinymem'" in failure(answers, "imports").message
    assert secret.read_text(encoding="utf-8") == "PROPERTIES = ()"
    assert [int(result) for result in answers.ask("user", X).results] == [sandbox.NOBODY, 0]


def test_nothing_is_told_of_the_environment(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/teacher")
    assert begin().ask("user", X).results[1] == 0


def test_no_network(begin: Begin) -> None:
    answers = begin()
    if answers.sandboxed == sandbox.LIMITS_ONLY and not FILTERED:
        pytest.skip("without bubblewrap only Linux's system call filter forbids sockets")
    assert failure(answers, "connects").message.startswith(("PermissionError", "ConnectionRefusedError"))


@pytest.mark.skipif(not FILTERED, reason="the system call filter is Linux's, for x86-64 and ARM")
@pytest.mark.parametrize("function", ["forks", "runs", "threads", "kills", "lifts"])
def test_no_process_no_thread_no_signal_even_as_root(begin: Begin, function: str) -> None:
    answers = begin()
    error = failure(answers, function)
    assert error.kind == "raised"
    assert any(refusal in error.message for refusal in ("not permitted", "can't start new thread", "not allowed to raise maximum limit"))
    assert answers.ask("answers", X).results[0].tolist() == [1, 2, 3]


def test_an_end_is_told_and_is_a_strike(begin: Begin) -> None:
    answers = begin()
    assert failure(answers, "leaves").message == "leaves ended the process (exit code 7)"
    assert failure(answers, "answers").message == "leaves ended the process (exit code 7)"
    crash = failure(begin(), "crashes")
    assert (crash.kind, crash.message) == ("ended the process", "crashes ended the process (SIGSEGV)")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces the limit on address space")
def test_75_gigabytes(begin: Begin) -> None:
    answers = begin()
    error = failure(answers, "allocates")
    assert error.kind == "too much memory"
    assert error.message.startswith("MemoryError: Unable to allocate 74.5 GiB")
    assert answers.ask("answers", X).results[0].tolist() == [1, 2, 3], "refused memory is no strike"


def test_an_endless_loop_costs_one_wait(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = begin(seconds=2)
    waits = []
    exchange = sandbox.Confined.exchange
    monkeypatch.setattr(sandbox.Confined, "exchange", lambda *given: (waits.append(given), exchange(*given))[1])
    for _ in range(50):
        error = failure(answers, "endless")
        assert (error.kind, error.message) == ("took too long", "endless took longer than 2 seconds and was stopped")
    assert len(waits) == 2, "one to load the file, one that hung"


def test_all_calls_together_have_a_limit_too(begin: Begin) -> None:
    answers = begin(patience=2)
    error = failure(answers, "endless")
    assert error.message == "all calls up to endless took longer than 2 seconds together; it was stopped"


def test_endless_output_is_cut_and_the_next_call_prints_again(begin: Begin) -> None:
    answers = begin()
    error = failure(answers, "prints")
    assert error.kind == "too much output"
    assert "one call printed more than is kept" in error.message
    assert len(answers.printed()) <= sandbox.TAIL_BYTES
    assert answers.ask("says", X).results[0].tolist() == [0, 1, 2]
    assert answers._child.printed() == "x is [0. 1. 2.]\n", "the file is empty again, and written from its beginning"


def test_patching_numpy_spoils_the_submissions_own_answers_only(begin: Begin) -> None:
    answers = begin()
    failure(answers, "patches")
    assert failure(answers, "answers").message == "answers ended the process (exit code 1)"
    assert not numpy.allclose(X, X + 1)
    assert isinstance(X, numpy.ndarray)


@pytest.mark.parametrize("function", ["forges", "promises"])
def test_writing_to_the_graders_pipe_spoils_the_submissions_own_answers_only(begin: Begin, function: str) -> None:
    answers = begin()
    assert failure(answers, function).kind == failure(answers, "answers").kind == "ended the process"
    assert begin().ask("answers", X).results[0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("function", "kind"),
    [("vanishes", "not numbers"), ("lies", "ended the process"), ("nests", "ended the process"), ("counterfeits", "ended the process")],
)
def test_a_reply_is_believed_in_nothing(begin: Begin, function: str, kind: str) -> None:
    assert failure(begin(), function).kind == kind


def test_only_plain_arrays_come_back(begin: Begin) -> None:
    answers = begin()
    for function in ("poses", "borrows"):
        [found] = answers.ask(function, X).results
        assert (type(found), found.tolist()) == (numpy.ndarray, X.tolist())


def test_nothing_of_the_grader_is_in_the_childs_memory(begin: Begin) -> None:
    assert begin().ask("searches", X).results[0] == 0


def test_dozing_below_the_limit_of_each_call_meets_that_of_all(begin: Begin) -> None:
    answers = begin(seconds=1.0, patience=2.0)
    answers.ask("dozes", X)
    answers.ask("dozes", X)
    assert failure(answers, "dozes").message == "all calls up to dozes took longer than 2 seconds together; it was stopped"


@pytest.mark.skipif(os.name == "nt", reason="a signal's number is POSIX's")
def test_closing_ends_the_process_and_may_be_repeated(begin: Begin) -> None:
    answers = begin()
    process = answers._child._process
    answers.close()
    answers.close()
    assert process.returncode == -signal.SIGKILL
    assert failure(answers, "answers").kind == "ended the process"


def test_a_python_that_does_not_start_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_executable", lambda: "/nowhere/python")
    with pytest.raises(sandbox.SandboxError, match="could not be started"):
        sandbox._limited(2**30, None)
