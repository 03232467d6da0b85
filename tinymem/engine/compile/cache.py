"""Native code on disk: each kernel is compiled once for this compiler, its flags and this CPU, and found again by its text.

A kernel's entry is a small file that names the library it is in; both are written under another name and renamed, so
that two processes that compile at once disturb nobody.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

# not -ffast-math: it would hide NaN, and when linked may set flush-to-zero for the whole process
FLAGS = (
    *("-O3", "-fPIC", "-shared", "-ffp-contract=fast", "-fwrapv"),
    *("-fno-math-errno", "-fno-trapping-math", "-fassociative-math", "-fno-signed-zeros"),
)


class NoCompiler(RuntimeError):
    """No C compiler was found, or it failed; the message says what to do."""


@cache
def compiler() -> tuple[str, ...]:
    """The command of a C compiler: $CC, the system's, or that of the ziglang wheel."""
    chosen = os.environ.get("CC")
    if chosen:
        command = tuple(shlex.split(chosen))
        if command and shutil.which(command[0]):
            return command
        raise NoCompiler(f"CC={chosen!r} is no command here")
    for name in ("cc", "gcc", "clang"):
        found = shutil.which(name)
        if found:
            return (found,)
    if importlib.util.find_spec("ziglang") is None:
        raise NoCompiler("no C compiler was found: install one, or pip install 'tinymem[compile]'")
    return (sys.executable, "-m", "ziglang", "cc")


@cache
def flags() -> tuple[str, ...]:
    """FLAGS, and this CPU's own instructions."""
    machine = platform.machine().lower()
    if machine in ("arm64", "aarch64"):
        return (*FLAGS, "-mcpu=native")
    return (*FLAGS, "-march=native", "-mprefer-vector-width=256")  # rows of 20 or 100 numbers fill wider vectors badly


@cache
def identity() -> str:
    """What a kernel's code depends on beside its text: the compiler, its flags, and this CPU's instructions."""
    try:
        said = subprocess.run([*compiler(), "--version"], capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoCompiler(f"the C compiler {' '.join(compiler())} does not run: {error}") from None
    return "\n".join([*compiler(), said, *flags(), platform.platform(), _instructions()])


def _instructions() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(("flags", "model name", "Features"))}))


@cache
def folder() -> Path:
    """Where native code is kept: $TINYMEM_CACHE, else the user's cache folder, else a temporary one."""
    home = Path(os.environ.get("TINYMEM_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinymem")
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            return home
    except OSError:
        return Path(tempfile.mkdtemp(prefix="tinymem-"))


def key_of(text: str) -> str:
    return hashlib.sha256(f"{identity()}\n{text}".encode()).hexdigest()[:24]


_libraries: dict[Path, ctypes.CDLL] = {}


def library(path: Path) -> ctypes.CDLL:
    if path not in _libraries:
        _libraries[path] = ctypes.CDLL(str(path))
    return _libraries[path]


def kernels(texts: Mapping[str, str], prelude: str) -> tuple[dict[str, int], int]:
    """The address of each kernel, by name in `texts`, and how many had to be compiled.

    A text defines the function KERNEL; `prelude` stands before it.
    """
    keys = {name: key_of(prelude + text) for name, text in texts.items()}
    missing = {key: texts[name] for name, key in keys.items() if _found(key) is None}
    if missing:
        _build(missing, prelude)
    addresses = {}
    for name, key in keys.items():
        found = _found(key)
        if found is None:
            raise NoCompiler(
                f"what the C compiler {compiler()[0]} made cannot be loaded from {folder()}; set TINYMEM_CACHE to another folder"
            )
        addresses[name] = ctypes.cast(getattr(found, f"k_{key}"), ctypes.c_void_p).value or 0
    return addresses, len(missing)


def _found(key: str, symbol: str | None = None) -> ctypes.CDLL | None:
    """The library that has a kernel; None if there is none, or what is there is broken: then it is built anew."""
    try:
        name, size = (folder() / f"{key}.entry").read_text(encoding="utf-8").split()
        path = folder() / name
        if path.stat().st_size != int(size):  # cut short by a full disk: loading it would kill the process
            return None
        found = library(path)
    except (OSError, ValueError):
        return None
    return found if hasattr(found, symbol or f"k_{key}") else None


def _build(missing: Mapping[str, str], prelude: str) -> None:
    """Compile all missing kernels, in as many pieces as there are cores to do it, and enter them."""
    count = max(1, min(os.cpu_count() or 1, len(missing) // 4))
    order = sorted(missing, key=lambda key: -len(missing[key]))
    pieces = [order[start::count] for start in range(count)]
    running: list[tuple[list[str], _Compilation]] = []
    try:
        for keys in pieces:
            source = prelude + "\n".join(missing[key].replace("KERNEL", f"k_{key}") for key in keys)
            running.append((keys, _Compilation(source)))
        for keys, compilation in running:
            compilation.enter(keys)
    finally:  # after a failure or Ctrl-C no compiler is left running, and no half of a library lies about
        for _, compilation in running:
            compilation.abandon()


class _Compilation:
    """One run of the compiler: from a source to a library under its final name."""

    def __init__(self, source: str) -> None:
        handle, name = tempfile.mkstemp(suffix=".c", dir=folder())
        with os.fdopen(handle, "w") as file:
            file.write(source)
        self.source, self.part = Path(name), Path(name).with_suffix(".so.part")
        command = [*compiler(), *flags(), "-o", str(self.part), name, "-lm"]
        try:
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        except OSError as error:
            self.source.unlink(missing_ok=True)
            raise NoCompiler(f"the C compiler {compiler()[0]} does not start: {error}") from None

    def enter(self, keys: list[str]) -> None:
        """Wait for the library and enter it for these kernels; NoCompiler with the compiler's words if it failed."""
        _, errors = self.process.communicate()
        if self.process.returncode:
            raise NoCompiler(f"the C compiler {compiler()[0]} failed\n{errors.decode(errors='replace').strip()[:2000]}")
        final = self.source.with_suffix(".so")
        os.replace(self.part, final)
        for key in keys:
            _write(folder() / f"{key}.entry", f"{final.name} {final.stat().st_size}")

    def abandon(self) -> None:
        """Leave nothing behind but what was entered."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        self.source.unlink(missing_ok=True)
        self.part.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    os.replace(name, path)


def whole_library(source: str, symbol: str) -> ctypes.CDLL:
    """A library compiled from one source, kept like a kernel; it must have `symbol`."""
    key = key_of(source)
    found = _found(key, symbol)
    if found is None:
        compilation = _Compilation(source)
        try:
            compilation.enter([key])
        finally:
            compilation.abandon()
        found = _found(key, symbol)
        if found is None:
            raise NoCompiler(
                f"what the C compiler {compiler()[0]} made cannot be loaded from {folder()}; set TINYMEM_CACHE to another folder"
            )
    return found
