"""The program inside the child process: it loads a submission, calls its functions and gives arrays back.

It runs as a plain file, `python -I -S child.py PACKAGES LIMITS`, and may import NumPy and the standard library only: whatever can be
imported here, a submission can read.  The parent imports the same file for the form of the messages and for trusted code.

A message is eight bytes of length and an npz of numeric arrays; "header" is JSON as bytes.  Requests come and replies go by the
standard input and output that the process was started with; before a submission is loaded both are moved away, so that what it
prints goes to the standard error, which the parent has made a bounded file.
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import struct
import sys
import traceback
import types
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, BinaryIO, Literal, get_args

if __name__ == "__main__":
    sys.path.append(sys.argv[1])  # where NumPy lies; -I and -S leave no other way to it

import numpy

Array = numpy.ndarray[Any, Any]
Operand = Array | float | int
Kind = Literal[
    "not written",
    "raised",
    "no such function",
    "not numbers",
    "took too long",
    "too much memory",
    "ended the process",
    "too much output",
    "does not load",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
LARGEST_MESSAGE = 2**24  # bytes; homework's arrays are small
MOST_ARRAYS = 64
NUMERIC = "biufc"  # kinds of dtype: truth values, integers, floats, complex
FORBIDDEN_CALLS = {  # numbers of Linux: the architecture's own; clone, (fork, vfork,) execve, kill, tkill, tgkill, ptrace, socket,
    # setrlimit, prlimit64, process_vm_readv, process_vm_writev, execveat, pidfd_send_signal, io_uring_setup, clone3, pidfd_open
    "x86_64": (0xC000003E, (56, 57, 58, 59, 62, 200, 234, 101, 41, 160, 302, 310, 311, 322, 424, 425, 435, 434)),
    "aarch64": (0xC00000B7, (220, 221, 129, 130, 131, 117, 198, 164, 261, 270, 271, 281, 424, 425, 435, 434)),
}


class AnswerError(Exception):
    """No usable answer; the message is for the student, with their own file and line."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


# the submission


def load(source: bytes, name: str) -> types.ModuleType:
    """The submission as a module; AnswerError where it does not load."""
    module = types.ModuleType("submission_" + name.removesuffix(".py"))
    module.__file__ = name
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(source, name, "exec", dont_inherit=True), module.__dict__)
    except (Exception, SystemExit) as error:
        raise AnswerError("does not load", f"{name} does not load: {_told(error, name, source)}") from None
    module.__dict__["__source__"] = source
    return module


def call(module: types.ModuleType, function: str, operands: Sequence[Operand]) -> tuple[Array, ...]:
    """What one function of the submission returns, as arrays; AnswerError where it returns none."""
    name, callee = str(module.__file__), getattr(module, function, None)
    if not callable(callee):
        raise AnswerError("no such function", f"{name} has no function {function!r}: write `def {function}(…)`")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = callee(*operands)
        return _arrays(result, function)
    except AnswerError:
        raise
    except NotImplementedError as error:
        raise AnswerError("not written", str(error) or f"{function} is not written yet") from None
    except (Exception, SystemExit) as error:
        raise AnswerError(_kind(error), _told(error, name, module.__dict__["__source__"])) from None


def _kind(error: BaseException) -> Kind:
    if isinstance(error, MemoryError):
        return "too much memory"
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return "too much output"
    return "ended the process" if isinstance(error, SystemExit) else "raised"


def _told(error: BaseException, name: str, source: bytes) -> str:
    """The error and the submission's own last line in it, without a library's traceback."""
    if _kind(error) == "too much output":
        error = OSError("one call printed more than is kept")
    try:
        said = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}".removesuffix(": ")
    except Exception:
        said = type(error).__name__  # an exception that cannot be printed
    line, inside = (error.lineno or 0, "") if isinstance(error, SyntaxError) and error.filename == name else (0, "")
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename == name:
            line, inside = number, f", in {frame.f_code.co_name}"
    lines = io.TextIOWrapper(io.BytesIO(source), "utf-8-sig", "replace").read().split("\n")  # line ends as Python counts them
    where = f"\n  {name}, line {line}{inside}:  {lines[line - 1].strip()}" if 0 < line <= len(lines) else ""
    advice = f"\n{name} may import numpy and what comes with Python; all else must stand in it" if isinstance(error, ImportError) else ""
    if isinstance(error, SyntaxError | ValueError) and ("null bytes" in said or "(unicode error) 'utf-8'" in said):
        advice = f"\nsave {name} as UTF-8: that is what Python reads"  # editors on Windows offer UTF-16 and others
    return said + where + advice


def _arrays(result: object, function: str) -> tuple[Array, ...]:
    results = result if isinstance(result, tuple) else (result,)
    for one in results:
        if not isinstance(one, numpy.ndarray | numpy.generic | bool | int | float | complex):
            what = "None: is a `return` missing?" if one is None else f"{type(one).__name__}: return an array, a number, or a tuple of them"
            raise AnswerError("not numbers", f"{function} returned {what}")
    arrays = tuple(numpy.asarray(one) for one in results)
    for array in arrays:
        if array.dtype.kind not in NUMERIC:
            raise AnswerError("not numbers", f"{function} returned an array of dtype {array.dtype}: return numbers")
    if len(arrays) > MOST_ARRAYS // 2 or sum(_extent(array.shape, array.dtype) for array in arrays) > LARGEST_MESSAGE // 2:
        raise AnswerError("not numbers", f"{function} returned far too much: {', '.join(str(array.shape) for array in arrays[:5])}")
    return arrays


def _extent(shape: Sequence[int], dtype: numpy.dtype[Any]) -> int:
    """Bytes of an array, were its empty axes of length 1: a sum over the other axis of (10**9, 0) has a billion numbers."""
    return math.prod(max(1, length) for length in shape) * dtype.itemsize


# messages


def pack(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """One message: its length, and an npz."""
    stream = io.BytesIO()
    text = numpy.frombuffer(json.dumps(header).encode(), dtype=numpy.uint8)
    numpy.savez(stream, allow_pickle=False, **{"header": text, **arrays})
    return len(stream.getbuffer()).to_bytes(8, "big") + stream.getvalue()


def unpack(payload: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """The header and the arrays of one npz.  Nobody's word is taken: sizes are compared with the bytes before memory is asked for."""
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        members = archive.infolist()
        stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
        if not stored or len(members) > MOST_ARRAYS + 1 or sum(member.file_size for member in members) > len(payload):
            raise ValueError("not an npz of a few stored arrays")
        arrays = {member.filename.removesuffix(".npy"): _array(archive.read(member)) for member in members}
    header = json.loads(arrays.pop("header").tobytes())
    if not isinstance(header, dict):
        raise ValueError("the header is not a JSON object")
    return header, arrays


def _array(data: bytes) -> Array:
    stream = io.BytesIO(data)
    if numpy.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("not an npy file of version 1.0")
    shape, by_columns, dtype = numpy.lib.format.read_array_header_1_0(stream)
    body = data[stream.tell() :]
    if dtype.kind not in NUMERIC or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(body):
        raise ValueError("not a numeric array of the size that its header says")
    if _extent(shape, dtype) > LARGEST_MESSAGE:
        raise ValueError("an empty array with far too long axes")
    order: Literal["F", "C"] = "F" if by_columns else "C"
    return numpy.ndarray(shape, dtype, body, order=order).copy(order=order)  # a copy, since bytes cannot be written to


# the process


def _read(stream: BinaryIO) -> tuple[dict[str, Any], dict[str, Array]]:
    size = stream.read(8)
    if len(size) < 8:
        os._exit(0)  # the parent has no further question
    return unpack(stream.read(int.from_bytes(size, "big")))


def _limit(limits: Mapping[str, int]) -> None:
    with suppress(ImportError):  # Windows has no such module
        import resource

        for name, most in limits.items():
            with suppress(AttributeError, ValueError, OSError):  # a system without this limit, or with a lower one
                resource.setrlimit(getattr(resource, name), (most, most))


def _forbid() -> None:
    """On Linux, no further process, program or socket and no signal, by a system call filter.

    The limit on processes does not bind root, not even as another user under bubblewrap.
    """
    if sys.platform != "linux" or sys.maxsize < 2**32:
        return
    with suppress(ImportError, AttributeError, KeyError, OSError):  # another processor, or no ctypes
        import ctypes

        architecture, forbidden = FORBIDDEN_CALLS[os.uname().machine]
        refuse = 0x00050000 | errno.EPERM
        after = len(forbidden) + 1  # how many instructions lie between the first of these tests and the refusal
        program = [(0x20, 0, 0, 4), (0x15, 1, 0, architecture), (0x06, 0, 0, 0x80000000)]  # another architecture's call: end the process
        program += [(0x20, 0, 0, 0), (0x35, after, 0, 0x40000000)]  # the number of the call; x86 has a second table far up
        program += [(0x15, after - place, 0, number) for place, number in enumerate(forbidden, 1)]
        program += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, refuse)]  # allow, refuse
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *instruction) for instruction in program))
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_ulong]
        prctl(38, 1, None, 0, 0)  # PR_SET_NO_NEW_PRIVS
        prctl(22, 2, struct.pack("HP", len(program), ctypes.addressof(code)), 0, 0)  # PR_SET_SECCOMP, by a filter


def _answer(module: types.ModuleType, header: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    operands = [array.item() if name in header["numbers"] else array for name, array in arrays.items()]
    results = {f"result{place}": array for place, array in enumerate(call(module, header["function"], operands))}
    return pack({}, {**results, **arrays})  # the operands go back as they are now: the parent sees which were changed


def main() -> None:
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    _limit(json.loads(sys.argv[2]))
    _forbid()
    reply, module = pack({}, {}), types.ModuleType("none")  # the first reply says that the process is ready
    while True:
        replies.write(reply)
        replies.flush()
        header, arrays = _read(requests)
        with suppress(OSError):
            os.ftruncate(2, 0)  # each call may print as much as the file holds
            os.lseek(2, 0, os.SEEK_SET)  # the place to write at stays where it was otherwise
        try:
            if "submission" in header:
                module = load(arrays["source"].tobytes(), header["submission"])
                reply = pack({}, {})
            else:
                reply = _answer(module, header, arrays)
        except AnswerError as error:
            reply = pack({"error": error.kind, "message": error.message[:4000]}, {})


if __name__ == "__main__":
    main()
