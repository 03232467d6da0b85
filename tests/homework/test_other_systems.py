"""The homework kit on Windows and macOS, as far as doubles of them can tell; and what students on those systems hand in."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import socket
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import doubles
import numpy
import pytest

from tinymem import cli
from tinymem.homework import commands, grading, sandbox, selftest, skeleton
from tinymem.homework.answers import AnswerError, InChild, InProcess
from tinymem.homework.mutants import MUTANTS
from tinymem.homework.tasks import Assignment, assignment, assignments
from tinymem.lesson import UsageError
from tinymem.training.checkpoints import CheckpointError

HERE = "this system"
OTHERS = [pytest.param(name, marks=pytest.mark.skipif(sys.platform != "linux", reason="made from Linux")) for name in doubles.PLATFORMS]
SYSTEMS = [HERE, *OTHERS]
NTM, STACK = assignment(3), assignment(2)
RIGHT = {one.number: skeleton.solution_file(one).read_text(encoding="utf-8") for one in (NTM, STACK)}
FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)
OWN = Path(__file__).parents[2] / "examples" / "own_assignment.py"


def wrong(number: str) -> str:
    """The solutions with the gallery's first mistake in one task, which tells what it does."""
    mutant = next(one for one in MUTANTS if one.task == number)
    source, name = RIGHT[int(number[0])], assignment(int(number[0])).task(number).name
    before, head, body = selftest.mutated(source, name, mutant).partition(f"def {name}(")
    return before + head + body.replace(f"    {skeleton.BEGIN}\n", "    print('γ →', 1 / 4)\n", 1)


def as_on_windows(source: str) -> bytes:
    """As editors there save it: a byte-order mark, and two signs at each line's end."""
    return b"\xef\xbb\xbf" + source.replace("\n", "\r\n").encode()


def write(folder: Path, name: str, source: str | bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(source if isinstance(source, bytes) else source.encode())
    return folder


# -- the doubles -----------------------------------------------------------------------------------------------------------------
def no_socket(*_: object, **__: object) -> None:
    raise AssertionError("nothing of this may ask the network")


@contextmanager
def on(system: str, folder: Path, windows: Path | None = None) -> Iterator[Path]:
    """This process as it is on that system, in `folder` and offline.

    Gives the file with what the Windows double's taskkill was asked for; with a folder of `windows`, nothing is put there.
    """
    probes = (sandbox.bubblewrap_works, sandbox._nobody_can_run) if system != HERE else ()
    root = folder.parent / f"{folder.name} of Windows" if windows is None else windows
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("__init__", "connect"):
            patch.setattr(socket.socket, name, no_socket)
        patch.setattr(socket, "getaddrinfo", no_socket)
        if system != HERE:
            patch.setenv("SYSTEMROOT", str(root))
            pretend(system, patch)
        for probe in probes:
            probe.cache_clear()
        try:
            yield doubles.install_taskkill(root) if system == doubles.WINDOWS and windows is None else root
        finally:
            for probe in probes:
                probe.cache_clear()


def pretend(system: str, patch: pytest.MonkeyPatch) -> None:
    """Give the kit's modules the stand-ins, and its children the double of a whole process."""
    kit = ("tinymem.homework", "tinymem.cli", "tinymem.lesson", "tinymem.training.checkpoints")
    modules = [module for name, module in sys.modules.items() if name.startswith(kit)]
    for name, stand_in in doubles.stand_ins(system).items():
        for module in modules:
            if name in vars(module):
                patch.setattr(module, name, stand_in)
    python = sandbox._python

    def in_a_child(program: str, *rest: object) -> list[str]:
        return doubles.in_child(system, python(program, *rest), program)

    patch.setattr(sandbox, "_python", in_a_child)


def console(system: str) -> io.TextIOWrapper:
    """Where a command prints: Windows' may be a file in the code page of old."""
    return io.TextIOWrapper(io.BytesIO(), *(("cp1252", "strict", "\r\n") if system == doubles.WINDOWS else ("utf-8", "strict", "\n")))


def hw(system: str, *arguments: object) -> tuple[int, str]:
    """Exit code and print of a command."""
    screen = console(system)
    with redirect_stdout(screen):
        code = cli.main(["hw", *map(str, arguments)])
    screen.flush()
    raw = screen.buffer.getvalue()  # type: ignore[attr-defined]
    assert (b"\r\n" in raw) == (system == doubles.WINDOWS)
    return code, raw.decode(screen.encoding).replace("\r\n", "\n")


# -- from new to the points -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Walk:
    """What a student and a teacher saw on one system."""

    system: str
    said: dict[str, tuple[int, str]]
    files: dict[str, bytes]
    written: str
    names: set[str]

    @property
    def results(self) -> grading.Results:
        """What is in results.json."""
        results: grading.Results = json.loads(self.written)
        return results


def walk(system: str, folder: Path) -> Walk:
    dressed = str.encode if system == HERE else as_on_windows
    unwritten = tuple(task for task in STACK.tasks if task.number not in ("2.3", "2.5"))
    handed_in = {
        write(folder / "die Lösung", "hw3.py", dressed(RIGHT[3])),
        write(folder / "falsch", "hw3.py", dressed(wrong("3.2"))),
        write(folder / "abgegeben von Åsa", "hw2.py", dressed(skeleton.without_solutions(wrong("2.3"), unwritten))),
    }
    check = ("check", "--examples", 5, "--task", "3.2")
    with on(system, folder):
        said = {
            "new": hw(system, "new", 3, "meine Übung"),
            "skeleton": hw(system, *check, "meine Übung"),
            "right": hw(system, *check, "die Lösung"),
            "wrong": hw(system, *check, Path("falsch", "hw3.py")),
            "grade": hw(system, "grade", "abgegeben von Åsa", "--student", "Åsa", "--out", Path("Noten", "results.json")),
        }
    files = {path.name: path.read_bytes() for path in (folder / "meine Übung").iterdir()}
    written = (folder / "Noten" / "results.json").read_bytes().decode()
    names = {path.name for path in folder.rglob("*") if path.parent not in handed_in}
    return Walk(system, said, files, written, names)


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Walk]:
    return cache(lambda system: walk(system, tmp_path_factory.mktemp("zweites Semester")))


@pytest.fixture(params=SYSTEMS)
def walked(request: pytest.FixtureRequest, walks: Callable[[str], Walk]) -> Walk:
    return walks(request.param)


def test_from_new_to_the_verdicts(walked: Walk, walks: Callable[[str], Walk]) -> None:
    assert [walked.said[step][0] for step in ("new", "skeleton", "right", "wrong", "grade")] == [0, 1, 0, 1, 0]
    assert "not written yet" in walked.said["skeleton"][1]
    assert "All public checks of task 3.2 passed" in walked.said["right"][1]
    assert 'tinymem hw check "meine Übung"' in walked.said["new"][1]
    here = walks(HERE)
    for step in ("new", "skeleton", "right", "wrong"):
        expected = here.said[step][1]
        assert walked.said[step][1] == (
            expected.encode("cp1252", "replace").decode("cp1252") if walked.system == doubles.WINDOWS else expected
        )


def test_what_a_call_prints_is_shown(walked: Walk) -> None:
    sign = "?" if walked.system == doubles.WINDOWS else "γ"
    assert f"what your function printed\n    {sign} " in walked.said["wrong"][1]
    assert "what your function printed\n    γ → 0.25\n" in walked.results["tests"][2]["output"]


def test_results_are_the_same_and_say_that_nothing_is_sandboxed(walked: Walk, walks: Callable[[str], Walk]) -> None:
    kind = walked.results["extra_data"]["sandbox"]
    assert walked.said["grade"][1].splitlines()[-1].startswith(f"1 of 8 points, {kind}: ")
    if walked.system != HERE:
        assert kind == "resource limits only: not sandboxed"
    here = walks(HERE)
    assert walked.written == here.written.replace(here.results["extra_data"]["sandbox"], kind)
    assert "\r" not in walked.written


def test_the_students_files_are_the_same_bytes(walked: Walk, walks: Callable[[str], Walk]) -> None:
    assert sorted(walked.files) == ["README.md", "hw3.py", "pytest.ini", "test_hw3.py"]
    assert walked.files == walks(HERE).files
    assert not any(b"\r" in payload for payload in walked.files.values())


def test_no_name_is_forbidden_on_windows(walked: Walk, tmp_path: Path) -> None:
    assert FORBIDDEN.search("aux.txt")
    assert {"results.json", "hw3.py"} <= walked.names
    written = [path.name for one in assignments() for path in skeleton.write(one, tmp_path / str(one.number))]
    assert not [name for name in (*walked.names, *written) if FORBIDDEN.search(name)]


# -- submissions that go astray ---------------------------------------------------------------------------------------------------
HANGS = """
import subprocess, sys, time

def interpolate(*operands):
    try:
        below = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(300)"]).pid
    except OSError:
        below = 0
    print("started", below)
    time.sleep(300)
"""


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_submission_that_hangs_is_ended_with_all_it_started_and_stops_nothing(system: str, tmp_path: Path) -> None:
    task = NTM.task("3.6")
    one_task = Assignment(3, "one task", (task,), tuple(one for one in NTM.properties if one.task is task))
    for name, source in {"=1+1 hängt": HANGS, "Zoë (fertig)": RIGHT[3], "ada": ""}.items():
        write(tmp_path / "alle" / name, "hw3.py", as_on_windows(source))
    with on(system, tmp_path) as taskkill:
        rows = grading.grade_all(Path("alle"), grading.Rules(one_task, examples=3, seconds=2), Path("Noten"))
    assert [(row["submission"], row["points"]) for row in rows] == [("=1+1 hängt", 0), ("Zoë (fertig)", 1), ("ada", 0)]
    told = (tmp_path / "Noten" / "grades.csv").read_bytes().decode()
    assert [row["submission"] for row in csv.DictReader(io.StringIO(told, newline=""))] == ["'=1+1 hängt", "Zoë (fertig)", "ada"]
    output = json.loads((tmp_path / "Noten" / "=1+1 hängt" / "results.json").read_bytes())["tests"][0]["output"]
    assert "interpolate took longer than 2 seconds and was stopped" in output
    [below] = map(int, re.findall(r"started (\d+)", output))
    if system != HERE:
        assert below, "the double has no filter of system calls"
        assert {row["sandbox"] for row in rows} == {"resource limits only: not sandboxed"}
        assert wait_for_the_end_of(below)
    if system == doubles.WINDOWS:
        assert len(taskkill.read_text(encoding="utf-8").split()) == 3, "one child for each submission"
    if sys.platform == "linux":
        assert not doubles.below(os.getpid())


def wait_for_the_end_of(number: int) -> bool:
    """A killed process ends a moment later."""
    until = time.monotonic() + 10
    while doubles.alive(number) and time.monotonic() < until:
        time.sleep(0.01)
    return not doubles.alive(number)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_next_call_prints_from_the_beginning(system: str, tmp_path: Path) -> None:
    write(tmp_path, "hw3.py", "def says(times):\n    print('γ', times * '.')\n    return times\n")
    with on(system, tmp_path):
        answers = InChild(Path("hw3.py"))
        answers.ask("says", 10**5)
        assert not answers.printed().strip(".")
        answers.ask("says", 3)
        raw = answers._child.printed()
        answers.close()
    assert raw.replace("\r\n", "\n") == "γ ...\n", "not behind as many zeros"


# -- Windows alone ----------------------------------------------------------------------------------------------------------------
on_windows = pytest.mark.skipif(sys.platform != "linux", reason="made from Linux")


@on_windows
def test_no_program_that_was_handed_in_is_started(tmp_path: Path) -> None:
    write(tmp_path, "hw3.py", RIGHT[3])
    for name in ("bwrap.exe", "taskkill.exe"):
        write(tmp_path, name, f'#!/bin/sh\necho started > "{tmp_path / "stolen"}"\n')
        (tmp_path / name).chmod(0o755)
    with on(doubles.WINDOWS, tmp_path):
        assert doubles.stand_ins(doubles.WINDOWS)["shutil"].which("bwrap"), "Windows looks into the current folder first"
        InChild(Path("hw3.py")).close()
    assert not (tmp_path / "stolen").exists()


@on_windows
def test_a_child_is_ended_without_taskkill_too(tmp_path: Path) -> None:
    with on(doubles.WINDOWS, tmp_path, windows=tmp_path / "nowhere"):
        child = sandbox.start(2**30)
        child.end()
        child.end()
    assert child._process.returncode is not None


def test_a_process_is_ended_before_its_last_words_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = []
    printed = sandbox.Confined.printed
    monkeypatch.setattr(sandbox.Confined, "printed", lambda child: (states.append(child._process.returncode), printed(child))[1])
    sandbox.start(2**30, sandbox=False).end()
    assert states
    assert None not in states, "reading moves the place where a running process writes next"


@on_windows
@pytest.mark.parametrize(("code", "said"), [(7, "exit code 7"), (129, "exit code 129"), (3221225477, "exit code 0xC0000005")])
def test_an_exit_code_of_windows_is_no_signal(tmp_path: Path, code: int, said: str) -> None:
    with on(doubles.WINDOWS, tmp_path):
        assert sandbox._how(code) == said


IMPORTS = """
import importlib, locale, pkgutil, subprocess, sys
import hypothesis.extra.numpy, numpy, safetensors.numpy, tqdm.auto, tyro
import doubles

assert locale.getpreferredencoding(False).upper() not in ("UTF-8", "UTF8")
doubles.import_from_now_on("windows")
import tinymem.homework.checks
from tinymem import cli
from tinymem.homework import sandbox

for package in (tinymem.homework, tinymem.homework.checks):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
assert "resource" in sys.modules and sys.modules["resource"] is None and not hasattr(sandbox.os, "fork")
python = sandbox._python
sandbox._python = lambda program, *rest: doubles.in_child("windows", python(program, *rest), program)
assert cli.main(["hw", "new", "3", "mine"]) == 0
sys.exit(cli.main(["hw", "check", "mine", "--task", "3.2", "--debug"]))
"""


@on_windows
def test_the_kit_is_imported_where_posix_is_missing_and_text_is_not_utf_8(tmp_path: Path) -> None:
    doubles.install_taskkill(tmp_path)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    environment |= {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "SYSTEMROOT": str(tmp_path)}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(doubles.__file__).parent), *filter(None, sys.path)])
    done = subprocess.run([sys.executable, "-c", IMPORTS], cwd=tmp_path, env=environment, capture_output=True)
    assert (done.returncode, done.stderr) == (1, b""), done.stderr.decode(errors="replace")
    assert b"not written yet" in done.stdout
    assert (tmp_path / "System32" / "taskkill.txt").exists()


# -- what editors and file systems elsewhere make of files ------------------------------------------------------------------------
@pytest.mark.parametrize("dressed", [as_on_windows, lambda source: source.replace("\n", "\r").encode()], ids=["CRLF and BOM", "CR"])
def test_other_line_ends_change_no_line(dressed: Callable[[str], bytes], tmp_path: Path) -> None:
    source = 'def broken(x):\n    """One\n    two."""\n    y = "\x0c"  # a page\n    return x + nothing\n'
    write(tmp_path, "hw3.py", dressed(source))
    with pytest.raises(AnswerError) as caught:
        InProcess(tmp_path / "hw3.py").ask("broken", numpy.zeros(2))
    assert caught.value.message == "NameError: name 'nothing' is not defined\n  hw3.py, line 5, in broken:  return x + nothing"
    write(tmp_path, "hw3.py", dressed("import nothing_of_that_name\n"))
    with pytest.raises(AnswerError, match=r"line 1, in <module>:  import nothing_of_that_name\n"):
        InProcess(tmp_path / "hw3.py")


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_another_encoding_is_told(encoding: str, tmp_path: Path) -> None:
    write(tmp_path, "hw3.py", "x = 'für'\n".encode(encoding))
    with pytest.raises(AnswerError, match=r"hw3\.py does not load: .*\n(.*\n)?save hw3\.py as UTF-8: that is what Python reads$"):
        InProcess(tmp_path / "hw3.py")
    write(tmp_path, "hw3.py", "# coding: cp1252\nx = 'für'\n".encode("cp1252"))
    InProcess(tmp_path / "hw3.py")


def test_our_own_files_may_have_the_other_line_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = [path.read_bytes() for path in skeleton.write(STACK, tmp_path / "LF")]
    for path in skeleton.FILES.glob("*.py"):
        write(tmp_path / "checkout", path.name, path.read_bytes().replace(b"\n", b"\r\n"))
    monkeypatch.setattr(skeleton, "FILES", tmp_path / "checkout")
    assert [path.read_bytes() for path in skeleton.write(STACK, tmp_path / "CRLF")] == before


def test_a_teachers_own_file_is_copied_as_it_is_and_named_as_one_types_it(tmp_path: Path) -> None:
    source = as_on_windows(OWN.read_text(encoding="utf-8"))
    write(tmp_path, "Blatt Ä.py", source)
    with on(HERE, tmp_path):
        code, said = hw(HERE, "new", "Blatt Ä.py", "Übung 6")
        assert (code, said.splitlines()[-1].partition("then: ")[2]) == (
            0,
            f'tinymem hw check "Übung 6" --assignment "{Path("Übung 6", "Blatt Ä.py")}"',
        )
        assert (Path("Übung 6") / "Blatt Ä.py").read_bytes() == source
        assert 'tinymem hw check . --assignment "Blatt Ä.py"\n' in (Path("Übung 6") / "README.md").read_text(encoding="utf-8")
        write(tmp_path, "HW6.py", source)
        with pytest.raises(UsageError, match="call yours otherwise"):  # one file with hw6.py there
            commands.new("HW6.py", Path("another"))


def missing(*names: str, folder: Path) -> Path:
    """Submissions without a file, which need no child."""
    for name in names:
        (folder / name).mkdir(parents=True)
    return folder


def test_a_path_that_is_too_long_for_the_system_costs_its_own_row_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically = grading.write_atomically

    def short(path: Path, payload: bytes) -> None:
        if len(path.parent.name) > 200:
            raise CheckpointError(f"{path}: could not be written (No such file or directory)")
        write_atomically(path, payload)

    monkeypatch.setattr(grading, "write_atomically", short)
    rows = grading.grade_all(missing("a" * 201, "b", folder=tmp_path / "all"), grading.Rules(STACK), tmp_path / "out")
    assert ["CheckpointError" in row["problem"] for row in rows] == [True, False]
    with (tmp_path / "out" / "grades.csv").open(encoding="utf-8", newline="") as file:
        assert [row["problem"].partition(":")[0] for row in csv.DictReader(file)] == [
            "the grader failed",
            rows[1]["problem"].partition(":")[0],
        ]
    monkeypatch.setattr(grading, "write_atomically", lambda *_: short(Path("a" * 201, "full disk"), b""))
    with pytest.raises(CheckpointError, match="full disk"):
        grading.grade_all(tmp_path / "all", grading.Rules(STACK), tmp_path / "out")


class CaseBlind(type(Path())):  # type: ignore[misc]
    """A path that is sorted as on Windows."""

    def __lt__(self, other: Path) -> bool:
        return self.name.casefold() < other.name.casefold()


def test_a_table_has_one_order_on_all_systems(tmp_path: Path) -> None:
    folder = missing("ada", "Bob", "cyd", folder=tmp_path / "all")
    assert [path.name for path in sorted(CaseBlind(folder).iterdir())] == ["ada", "Bob", "cyd"]
    rows = grading.grade_all(CaseBlind(folder), grading.Rules(STACK), tmp_path / "out")
    assert [row["submission"] for row in rows] == ["Bob", "ada", "cyd"]


def test_a_name_gives_the_same_inputs_however_the_system_writes_it() -> None:
    rules = grading.Rules(STACK, secret="ours")
    composed, decomposed = (unicodedata.normalize(form, "Zoë Müller") for form in ("NFC", "NFD"))
    assert composed != decomposed
    assert rules.seed(composed) == rules.seed(decomposed) != rules.seed("Zoe Muller")
