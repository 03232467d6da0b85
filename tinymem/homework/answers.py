"""Asking a submission: a function's name and operands in, arrays out.

`InProcess` is for code that is trusted (our solutions and planted mistakes), `InChild` for everything that a student wrote.  No reference
and no check may enter here: this room knows what was answered, never whether it is right.
"""

from __future__ import annotations

import time
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy

from tinymem.homework.child import KINDS, AnswerError, Array, Kind, Operand, call, load, pack, unpack
from tinymem.homework.sandbox import Ended, TookTooLong, start

__all__ = ["Answer", "AnswerError", "Answers", "Array", "InChild", "InProcess", "Kind", "Operand"]

PATIENCE = 6  # times the limit for one call: what all calls together may take
LASTING: tuple[Kind, ...] = ("took too long", "ended the process", "does not load")


@dataclass(frozen=True)
class Answer:
    """What one call gave."""

    results: tuple[Array, ...]
    """what the function returned: an array, a number, or a tuple of them"""
    changed: tuple[int, ...]
    """positions of the operands that the function changed in place, which it must not"""


class Answers(Protocol):
    """Whoever can be asked."""

    @property
    def sandboxed(self) -> str:
        """How the code that answers is confined."""
        ...

    def ask(self, function: str, *operands: Operand) -> Answer:
        """What the submission's `function` returns for `operands`; AnswerError where there is no usable answer."""
        ...

    def printed(self) -> str:
        """The last lines that the last call printed."""
        ...

    def close(self) -> None:
        """End what was started."""
        ...


class InProcess:
    """Answers of trusted code, called in this process."""

    sandboxed = "in this process: not sandboxed"

    def __init__(self, path: Path) -> None:
        self._module = load(path.read_bytes(), path.name)

    def ask(self, function: str, *operands: Operand) -> Answer:
        handed = [operand.copy() if isinstance(operand, numpy.ndarray) else operand for operand in operands]
        results = call(self._module, function, handed)
        return Answer(tuple(result.copy() for result in results), _changed(operands, dict(enumerate(handed))))

    def printed(self) -> str:
        return ""  # it went where this process prints

    def close(self) -> None:
        pass


class InChild:
    """Answers of a submission, called in a confined process that lives for many calls.

    One strike: once the submission took too long or ended its process, no further call is made; the same error comes at once.
    """

    def __init__(self, path: Path, seconds: float = 10.0, memory: int = 2**30, sandbox: bool = True, patience: float = 0.0) -> None:
        """`seconds` for a call, `patience` for all together, `memory` in bytes beside what NumPy needs; without `sandbox` no bubblewrap."""
        self._path, self._seconds, self._patience, self._spent = path, seconds, patience or PATIENCE * seconds, 0.0
        self._strike: AnswerError | None = None
        self._loaded = False
        self._child = start(memory, sandbox)
        self.sandboxed = self._child.kind

    def ask(self, function: str, *operands: Operand) -> Answer:
        if self._strike is not None:
            raise AnswerError(self._strike.kind, self._strike.message)
        try:
            if not self._loaded:
                source = numpy.frombuffer(self._path.read_bytes(), dtype=numpy.uint8)
                self._exchange(f"loading {self._path.name}", {"submission": self._path.name}, {"source": source})
                self._loaded = True
            arrays = {f"operand{place}": numpy.asarray(operand) for place, operand in enumerate(operands)}
            numbers = [f"operand{place}" for place, operand in enumerate(operands) if not isinstance(operand, numpy.ndarray)]
            returned = self._exchange(function, {"function": function, "numbers": numbers}, arrays)
        except AnswerError as error:
            if error.kind in LASTING:
                self._strike = error
                self.close()
            raise
        results = [returned[f"result{place}"] for place in range(len(returned)) if f"result{place}" in returned]
        return Answer(tuple(results), _changed(operands, {place: returned.get(f"operand{place}") for place in range(len(operands))}))

    def printed(self) -> str:
        return _plain(self._child.printed())

    def close(self) -> None:
        self._child.end()

    def _exchange(self, what: str, header: dict[str, Any], arrays: dict[str, Array]) -> dict[str, Array]:
        """One question and its reply, of which no word is believed."""
        question = pack(header, arrays)
        seconds, began = max(0.0, min(self._seconds, self._patience - self._spent)), time.monotonic()
        try:
            reply, returned = unpack(self._child.exchange(question, seconds))
        except TookTooLong:
            all_calls = f"all calls up to {what} took longer than {self._patience:g} seconds together; it"
            one_call = f"{what} took longer than {seconds:g} seconds and"
            raise AnswerError("took too long", f"{one_call if seconds == self._seconds else all_calls} was stopped") from None
        except Ended as error:
            raise AnswerError("ended the process", f"{what} ended the process ({error})") from None
        except Exception:  # whatever can be wrong with bytes that a stranger wrote
            raise AnswerError("ended the process", f"{what} broke the connection: the reply is not arrays") from None
        self._spent += time.monotonic() - began
        if reply:
            kind: Kind = next((kind for kind in KINDS if kind == reply.get("error")), "ended the process")
            raise AnswerError(kind, _plain(str(reply.get("message"))))
        return returned


def _changed(operands: tuple[Operand, ...], after: dict[int, Any]) -> tuple[int, ...]:
    arrays = [(place, operand) for place, operand in enumerate(operands) if isinstance(operand, numpy.ndarray)]
    return tuple(place for place, operand in arrays if not _same(operand, after[place]))


def _same(before: Array, after: Array | None) -> bool:
    if after is None or (before.shape, before.dtype) != (after.shape, after.dtype):
        return False
    return before.tobytes() == after.tobytes()  # bytes, so that NaN equals NaN


def _plain(text: str) -> str:
    """Text of a stranger, fit for a terminal: no control characters, not too long."""
    kept = "".join(sign for sign in text[:4000] if sign == "\n" or unicodedata.category(sign)[0] != "C")
    return "\n".join(kept.splitlines()[-20:])
