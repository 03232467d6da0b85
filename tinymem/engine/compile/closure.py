"""What a step uses from outside of itself, and whether that is still what it was when the step was recorded.

Seen: the variables of enclosing functions and of the module that the step's code names, its own helper functions'
among them; plain attributes (numbers, strings) of the objects these hold; the length of lists.  Not seen: what lies deeper.
"""

from __future__ import annotations

import dis
import types
from collections.abc import Callable, Iterator
from typing import Any

from tinymem.engine.errors import RecordingError

SIMPLE = (int, float, bool, str, type(None))
ABSENT = object()
Entry = tuple[str, Callable[[], Any], Any]  # name, how to look it up now, what it was


def called(step: Any) -> str:
    """The step's name, for messages."""
    return getattr(step, "__name__", type(step).__name__)


class Closure:
    """The variables that a step's code names from outside, as they were."""

    def __init__(self, step: Callable[..., Any]) -> None:
        self.step = step
        self._entries = list(_entries(step, set()))

    def changed(self) -> tuple[str, str, str] | None:
        """The first variable that is another one now: its name, what it was and what it is; None if there is none."""
        for name, look_up, old in self._entries:
            now = look_up()
            if now is not old and not (type(old) is type(now) and isinstance(old, SIMPLE) and old == now):
                return name, _brief(old), _brief(now)
        return None

    def require_unchanged(self) -> None:
        """RecordingError if a variable was changed since the step was recorded."""
        found = self.changed()
        if found is not None:
            name, old, now = found
            raise RecordingError(
                f"the variable {name!r}, which the compiled step {called(self.step)} uses, was changed from {old} to {now} since it was "
                "recorded. Pass it as an argument, or compile the step again"
            )

    def require_untouched(self) -> None:
        """RecordingError if the step itself changed a variable while it was recorded."""
        found = self.changed()
        if found is not None:
            name, old, now = found
            raise RecordingError(
                f"the step {called(self.step)} cannot be compiled: it changes the variable {name!r} outside of itself, from {old} to "
                f"{now}, which would happen in its first call only. Keep it outside: pass it as an argument, or return it from the step"
            )


def _entries(function: Any, seen: set[int]) -> Iterator[Entry]:
    while hasattr(function, "func") and hasattr(function, "args"):  # functools.partial
        function = function.func
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if code is None or id(code) in seen or _is_ours(function):
        return
    seen.add(id(code))
    shared = function.__globals__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        yield from _variable(name, lambda cell=cell: _content(cell), seen)  # type: ignore[misc]
    for name in sorted(_global_names(code)):
        if name in shared:
            yield from _variable(name, lambda name=name: shared.get(name, ABSENT), seen)  # type: ignore[misc]


def _variable(name: str, look_up: Callable[[], Any], seen: set[int]) -> Iterator[Entry]:
    """A variable, and what is plain in what it holds."""
    value = look_up()
    if value is ABSENT:
        return
    yield name, look_up, value
    if isinstance(value, types.FunctionType):
        yield from _entries(value, seen)
    elif isinstance(value, list):
        yield f"len({name})", lambda: len(value), len(value)
    elif not isinstance(value, (type, types.ModuleType)) and isinstance(getattr(value, "__dict__", None), dict):
        held = vars(value)
        for attribute, plain in held.items():
            if isinstance(plain, SIMPLE):
                yield f"{name}.{attribute}", lambda attribute=attribute: held.get(attribute, ABSENT), plain  # type: ignore[misc]


def _global_names(code: types.CodeType) -> set[str]:
    """Names that the code, and the functions written inside it, look up in the module."""
    found = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _global_names(constant)
    return found


def _is_ours(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).partition(".")[0] == "tinymem"


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet assigned
        return ABSENT


def _brief(value: Any) -> str:
    return repr(value) if isinstance(value, SIMPLE) else f"another {type(value).__name__}"
