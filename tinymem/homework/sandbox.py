"""A process in which a stranger's code may run: what it may see, how much it may use, and how it is ended.

Under bubblewrap where that works: no network, no files but Python's and NumPy's (read-only), a user and a process table of its own.
Elsewhere with resource limits alone (on Linux also a filter of system calls, on Windows only the parent's clock), which keep accidents
in bounds but no thief out; the kind says so.  Nothing about homework may enter.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy

from tinymem.homework import child

BUBBLEWRAP, LIMITS_ONLY = "bubblewrap", "resource limits only: not sandboxed"
NOBODY = 65534
START_SECONDS = 60.0  # for Python and NumPy alone, on a busy machine
NUMPY_BYTES = 2**29  # address space that Python and NumPy take before a submission does anything
PRINTED_BYTES, TAIL_BYTES = 2**20, 4000
CPU_SECONDS = 900  # a second line of defence: the clock for each call is the parent's
KEPT_VARIABLES = ("SYSTEMROOT", "LD_LIBRARY_PATH", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class SandboxError(RuntimeError):
    """The child process could not be started."""


class TookTooLong(Exception):
    """No reply came in time; the process was ended."""


class Ended(Exception):
    """The process ended instead of replying; the message says how."""


class Confined:
    """A running child process."""

    def __init__(self, command: list[str], kind: str, user: int | None) -> None:
        self.kind, self._last_words = kind, ""
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 outlives this; both sides share one position in it
        try:
            self._process = self._popen(command, user)
        except (OSError, subprocess.SubprocessError) as error:
            self._errors.close()
            raise SandboxError(f"the child process could not be started: {error}") from None
        self._finalizer = weakref.finalize(self, _end, self._process, self._errors)
        try:
            self.exchange(b"", START_SECONDS)
        except (TookTooLong, Ended) as error:
            raise SandboxError(f"the child process did not become ready ({error}): {self.printed()}") from None

    def _popen(self, command: list[str], user: int | None) -> subprocess.Popen[bytes]:
        environment = {**ONE_THREAD, **{name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}}
        others: dict[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            env=environment,
            cwd=os.path.abspath(os.sep),
            start_new_session=True,
            **others,
        )

    def exchange(self, message: bytes, seconds: float) -> bytes:
        """Send one message and return the reply to it.

        In a thread, because neither a pipe nor Windows knows a time limit: where time is up, the process is ended.
        """
        replies: list[bytes] = []
        thread = threading.Thread(target=_talk, args=(self._process, message, replies), daemon=True)
        thread.start()
        thread.join(seconds)
        if thread.is_alive():
            self.end()
            raise TookTooLong(f"no reply within {seconds:g} seconds")
        if not replies:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1)  # how it ended is known a moment after its pipes are closed
            self.end()
            raise Ended(_how(self._process.returncode))
        return replies[0]

    def printed(self) -> str:
        """The tail of what the process has printed."""
        if self._errors.closed:
            return self._last_words
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - TAIL_BYTES))
        return self._errors.read(TAIL_BYTES).decode(errors="replace")

    def end(self) -> None:
        """Kill the process and everything that it started."""
        if self._errors.closed:
            return
        _kill(self._process)  # first: whoever reads moves the place where a running process writes next
        self._last_words = self.printed()
        self._finalizer()


def start(memory: int, sandbox: bool = True) -> Confined:
    """A child that is ready for its first message, in the best sandbox of this machine."""
    if sandbox and bubblewrap_works():
        return _bubblewrapped(memory)
    return _limited(memory, NOBODY if _nobody_can_run() else None)


@cache
def bubblewrap_works() -> bool:
    """Whether Python and NumPy start under bubblewrap here: it may be missing, or user namespaces forbidden (as in most containers)."""
    # not asked elsewhere: Windows would find a bwrap.exe that was handed in, in the folder where it is graded
    return sys.platform == "linux" and shutil.which("bwrap") is not None and _starts(lambda: _bubblewrapped(2**30))


@cache
def _nobody_can_run() -> bool:
    """Whether root can hand the child to the user nobody: Python may lie where only root can read."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and _starts(lambda: _limited(2**30, NOBODY))


def _starts(begin: Callable[[], Confined]) -> bool:
    try:
        begin().end()
    except SandboxError:
        return False
    return True


def _limited(memory: int, user: int | None) -> Confined:
    packages = str(Path(numpy.__file__).parent.parent)
    return Confined(_python(str(child.__file__), packages, memory), LIMITS_ONLY, user)


def _bubblewrapped(memory: int) -> Confined:
    numpy_folder = Path(numpy.__file__).parent
    command = [str(shutil.which("bwrap")), "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    command += ["--uid", str(NOBODY), "--gid", str(NOBODY)]
    for folder in ("/lib", "/lib64"):
        linked = os.path.islink(folder)
        command += ["--symlink", os.readlink(folder), folder] if linked else ["--ro-bind-try", folder, folder]
    prefixes = {"/usr/lib", "/usr/lib64", sys.base_prefix, sys.base_exec_prefix, str(Path(_executable()).parent.parent)}
    for place in (*sorted(prefixes), "/etc/ld.so.cache", "/nix/store"):
        command += ["--ro-bind-try", place, place]
    for prefix in sorted({"/usr", "/usr/local", *prefixes}):
        for packages in sorted(Path(prefix).glob("lib*/python3*/*-packages")):  # what is installed, tinymem too, is none of its business
            command += ["--tmpfs", str(packages), "--remount-ro", str(packages)]
    command += ["--ro-bind", str(numpy_folder), "/packages/numpy"]
    command += ["--ro-bind-try", str(numpy_folder.with_name("numpy.libs")), "/packages/numpy.libs"]
    command += ["--ro-bind", str(child.__file__), "/child.py", "--dev-bind", "/dev/null", "/dev/null", "--dir", "/tmp"]
    command += ["--remount-ro", "/", "--chdir", "/"]
    return Confined([*command, *_python("/child.py", "/packages", memory)], BUBBLEWRAP, None)


def _python(program: str, packages: str, memory: int) -> list[str]:
    limits = {
        "RLIMIT_AS": memory + NUMPY_BYTES,
        "RLIMIT_FSIZE": PRINTED_BYTES,
        "RLIMIT_CPU": CPU_SECONDS,
        "RLIMIT_NPROC": 0,  # no further process or thread; the one that runs is not counted
        "RLIMIT_CORE": 0,
    }  # -u: what a call prints is there even if it never returns
    return [_executable(), "-I", "-S", "-B", "-u", "-X", "utf8", program, packages, json.dumps(limits)]


def _executable() -> str:
    """Python itself, not a virtual environment's link to it."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def _talk(process: subprocess.Popen[bytes], message: bytes, replies: list[bytes]) -> None:
    assert process.stdin is not None
    with suppress(OSError, ValueError):  # the pipe is broken, or was closed: there is no reply
        view = memoryview(message)
        while view:
            view = view[process.stdin.write(view) :]
        size = int.from_bytes(_receive(process, 8), "big")
        if size <= child.LARGEST_MESSAGE:
            replies.append(_receive(process, size))


def _receive(process: subprocess.Popen[bytes], size: int) -> bytes:
    assert process.stdout is not None
    received = bytearray()
    while len(received) < size:
        piece = process.stdout.read(size - len(received))
        if not piece:
            raise BrokenPipeError
        received += piece
    return bytes(received)


def _end(process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    _kill(process)
    for stream in (process.stdin, process.stdout, errors):
        if stream is not None:
            stream.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is not None:
        return
    if os.name == "nt":
        # by its full name, since Windows looks into the current folder first; without pipes, since those need threads even at the end
        program = os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe")
        with suppress(OSError):
            subprocess.run(
                [program, "/F", "/T", "/PID", str(process.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
            )
    else:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # never after wait(): the number may be another's by then
    process.kill()
    process.wait()


def _how(code: int) -> str:
    """An exit code in words; bubblewrap reports a signal as 128 and its number, Windows a crash as a large number known in hexadecimal."""
    if os.name == "nt":
        return f"exit code {code if code < 256 else f'0x{code:08X}'}"
    number = -code if code < 0 else code - 128
    return signal.Signals(number).name if number in {known.value for known in signal.Signals} else f"exit code {code}"
