"""Doubles of Windows and macOS for the homework kit: Linux without what they lack, and with their own ways.

In the tests' process the kit's modules see stand-ins for `os`, `signal`, `sys` and others (`stand_ins`), since the rest of Python is
Linux's and needs the real ones.  The child process becomes the other system as a whole: this file is run in it before `child.py`, under
-I and -S, so that nothing but Python may be imported here at the top.  The same file is the Windows double's taskkill.exe.
"""

from __future__ import annotations

import enum
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import types
from pathlib import Path

WINDOWS, MACOS = "windows", "macos"
PLATFORMS = {WINDOWS: "win32", MACOS: "darwin"}

# what Python's documentation does not give for the system; what is not here either does not matter
WINDOWS_LACKS = """
    chown chroot confstr copy_file_range ctermid eventfd fchdir fchmod fchown fdatasync fork forkpty fpathconf fstatvfs getegid
    geteuid getgid getgrouplist getgroups getloadavg getpgid getpgrp getpriority getrandom getresgid getresuid getsid getuid getxattr
    initgroups killpg lchown lockf login_tty major makedev memfd_create minor mkfifo mknod nice openpty pathconf pidfd_open pipe2
    posix_fadvise posix_fallocate posix_openpt posix_spawn posix_spawnp pread preadv pwrite pwritev readv register_at_fork
    sched_getaffinity sched_setaffinity sched_yield sendfile setegid seteuid setgid setgroups setpgid setpriority setregid setresgid
    setresuid setreuid setsid setuid setxattr splice statvfs sync sysconf tcgetpgrp tcsetpgrp ttyname uname unshare wait wait3 wait4
    waitid writev WEXITSTATUS WIFEXITED WIFSIGNALED WIFSTOPPED WNOHANG WTERMSIG O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_TMPFILE
"""
MACOS_LACKS = """
    copy_file_range eventfd fdatasync getrandom getresgid getresuid getxattr memfd_create pidfd_open pipe2 posix_fadvise
    posix_fallocate sched_getaffinity sched_setaffinity setns setresgid setresuid setxattr splice unshare waitid O_TMPFILE
"""
WINDOWS_LACKS_MODULES = "_curses curses crypt fcntl grp nis posix pty pwd readline resource spwd syslog termios tty"
LACKING_FUNCTIONS = {WINDOWS: WINDOWS_LACKS.split(), MACOS: MACOS_LACKS.split()}
LACKING_MODULES = {WINDOWS: WINDOWS_LACKS_MODULES.split(), MACOS: ["spwd"]}
WINDOWS_SIGNALS = {"CTRL_C_EVENT": 0, "CTRL_BREAK_EVENT": 1, "SIGINT": 2, "SIGILL": 4, "SIGFPE": 8, "SIGSEGV": 11, "SIGTERM": 15}
WINDOWS_SIGNALS |= {"SIGBREAK": 21, "SIGABRT": 22}
LACKING_SIGNALS = [name for name in dir(signal) if name.startswith(("SIG", "ITIMER")) and name not in WINDOWS_SIGNALS]
LACKING_SIGNALS += [
    "alarm",
    "pause",
    "pthread_kill",
    "pthread_sigmask",
    "setitimer",
    "sigpending",
    "sigtimedwait",
    "sigwait",
    "siginterrupt",
]


class StandIn:
    """A module without some of its names, and with others in their place."""

    def __init__(self, module, lacking=(), **others):
        self.__dict__.update(others, _module=module, _lacking=frozenset(lacking) - set(others))

    def __getattr__(self, name):
        if name in self._lacking:
            raise AttributeError(f"module {self._module.__name__!r} of this double has no attribute {name!r}")
        return getattr(self._module, name)


def stand_ins(system):
    """The modules that the kit finds on that system, by name."""
    found = {
        "os": StandIn(os, LACKING_FUNCTIONS[system], name="nt" if system == WINDOWS else "posix"),
        "sys": StandIn(sys, platform=PLATFORMS[system]),
        "shutil": StandIn(shutil, which=lambda name: None),
    }
    if system == WINDOWS:
        signals = enum.IntEnum("Signals", WINDOWS_SIGNALS)
        found |= {
            "signal": StandIn(signal, LACKING_SIGNALS, Signals=signals, **signals.__members__),
            "shutil": StandIn(shutil, which=lambda name: in_current_folder(name) or None),
            "subprocess": StandIn(subprocess, Popen=windows_popen, run=windows_run),
            "tempfile": StandIn(tempfile, TemporaryFile=tempfile.NamedTemporaryFile),  # a name, and no way to append for both sides
        }
    return found


def import_from_now_on(system):
    """Whatever is imported from now on in this process finds the stand-ins, and not what the system lacks."""
    sys.modules.update(stand_ins(system))
    sys.modules.update(dict.fromkeys(LACKING_MODULES[system]))


# -- programs on Windows -------------------------------------------------------------------------------------------------------
def in_current_folder(name):
    """Where Windows looks first for a program that is named without its folder."""
    path = Path(f"{name}.exe")
    return str(path.absolute()) if os.sep not in name and path.exists() else ""


def windows_popen(command, *, start_new_session=False, **named):
    """Windows knows no sessions and says nothing of it, but refuses what POSIX does between fork and exec."""
    for name in ("preexec_fn", "user", "group", "extra_groups", "umask", "pass_fds"):
        if named.get(name) is not None:
            raise ValueError(f"{name} is not supported on Windows platforms")
    return subprocess.Popen([in_current_folder(command[0]) or command[0], *command[1:]], **named)


def windows_run(command, **named):
    return subprocess.run([in_current_folder(command[0]) or command[0], *command[1:]], **named)


def install_taskkill(root):
    """taskkill.exe below the folder of Windows; the numbers it was called with are in taskkill.txt beside it."""
    path = root / "System32" / "taskkill.exe"
    path.parent.mkdir(parents=True)
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{__file__}" taskkill "$0" "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path.with_name("taskkill.txt")


def taskkill(program, *arguments):
    """End a process, with /T also what it started; without /F Windows asks politely, and a program without a window does not hear it."""
    number = int(arguments[arguments.index("/PID") + 1])
    with open(Path(program).with_name("taskkill.txt"), "a", encoding="utf-8") as file:
        file.write(f"{number}\n")
    if "/F" not in arguments:
        return 1
    if not alive(number):
        return 128
    for one in [number, *(below(number) if "/T" in arguments else [])]:
        os.kill(one, signal.SIGKILL)
    return 0


# -- processes, as Linux tells them ---------------------------------------------------------------------------------------------
def status(number):
    """State and parent of a process; a dead one, of parent 0, where there is none."""
    try:
        said = Path(f"/proc/{number}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return "Z", 0
    return said[0].decode(), int(said[1])


def alive(number):
    return status(number)[0] not in "ZX"


def below(number):
    """The living processes that a process started, and those that they started."""
    numbers = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    children = [one for one in numbers if status(one)[1] == number and alive(one)]
    return [*children, *(further for child in children for further in below(child))]


# -- the child process ----------------------------------------------------------------------------------------------------------
def become(system, packages):
    """Make this process one of that system; what has a version of its own there stays as it is on Linux: NumPy, subprocess."""
    sys.path.append(packages)
    import numpy  # noqa: F401

    subprocess.os = types.SimpleNamespace(**vars(os))
    sys.modules.update(dict.fromkeys(LACKING_MODULES[system]))
    for name in LACKING_FUNCTIONS[system]:
        vars(os).pop(name, None)
    sys.platform = PLATFORMS[system]
    sys.addaudithook(no_proc_and_no_library)
    if system == WINDOWS:
        os.name = "nt"
        for name in LACKING_SIGNALS:
            vars(signal).pop(name, None)
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(newline="\r\n")
    else:
        import resource

        limits_of_macos(resource)


def no_proc_and_no_library(event, arguments):
    """There is no /proc elsewhere; and a library of C, which the filter of system calls is set by, shall not be loaded at all."""
    if event in ("open", "os.listdir", "os.scandir") and str(arguments[0]).startswith("/proc"):
        raise FileNotFoundError(2, "No such file or directory", arguments[0])
    if event == "ctypes.dlopen":
        raise RuntimeError("the filter of system calls is Linux's")


def limits_of_macos(resource):
    """Address space cannot be limited, and the limit on processes binds nobody here."""
    setrlimit = resource.setrlimit

    def limited(which, limits):
        if which == resource.RLIMIT_AS:
            raise ValueError("current limit exceeds maximum limit")
        if which != resource.RLIMIT_NPROC:
            setrlimit(which, limits)

    resource.setrlimit = limited


def in_child(system, command, program):
    """The command that starts `program` in a child of that system."""
    place = command.index(program)
    return [*command[:place], str(Path(__file__).resolve()), system, *command[place:]]


def _main():
    what, *sys.argv = sys.argv[1:]
    if what == "taskkill":
        sys.exit(taskkill(*sys.argv))
    become(what, sys.argv[1])
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    with open(sys.argv[0], "rb") as file:
        exec(compile(file.read(), sys.argv[0], "exec"), main.__dict__)


if __name__ == "__main__":
    _main()
