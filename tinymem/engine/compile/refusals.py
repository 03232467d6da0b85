"""Saying no: what a step does that cannot be compiled, in which line, and what to write instead."""

from __future__ import annotations

import contextlib
import linecache
import os
import sys
from typing import Any

import numpy

from tinymem.engine.errors import RecordingError

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _outside() -> Any:
    """The innermost frame that is not the engine's own."""
    frame = sys._getframe(1)
    while frame.f_back is not None and (frame.f_code.co_filename.startswith(HERE) or frame.f_code.co_filename == contextlib.__file__):
        frame = frame.f_back
    return frame


def place() -> str:
    frame = _outside()
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


def calling_line() -> str:
    """'file.py:12: the code' of the innermost frame that is not the engine's own."""
    frame = _outside()
    code = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    return f"{place()}: {code}" if code else place()


def require_known(dtype: Any, what: str) -> None:
    """RecordingError for a dtype that compiled steps do not know."""
    if not (dtype.kind in "iub" or dtype in (numpy.float32, numpy.float64)) or not dtype.isnative:
        raise refuse(f"{what} of {dtype}", "Compiled steps know float32, float64, integers and booleans, in this machine's byte order")


def refuse(what: str, instead: str) -> RecordingError:
    return RecordingError(f"this step cannot be compiled: {what}, in {calling_line()}. {instead}")
