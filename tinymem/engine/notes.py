"""What a recorder wants to know of a row that the row itself does not say: the slide's equation, and the way the walk goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

recorder: ContextVar[Any] = ContextVar("tinymem_recorder", default=None)  # of a step that is being recorded just now
equation_name: ContextVar[str] = ContextVar("tinymem_equation", default="")
walking_back: ContextVar[bool] = ContextVar("tinymem_walking_back", default=False)


@contextmanager
def setting(variable: ContextVar[Any], value: Any) -> Iterator[None]:
    """Within this context `variable` has that value."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
