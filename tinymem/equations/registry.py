"""The registry: every equation of the lecture, with what is needed to check it, show it and set it as homework."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import Any, TypeVar

from tinymem.engine.notes import equation_name, recorder, setting
from tinymem.equations.contracts import Domain, check_shapes, parse_domain, shapes_of

Function = TypeVar("Function", bound=Callable[..., Any])

MODULES = ("recurrent", "stack", "ntm", "dnc", "attention", "transformer")


@dataclass(frozen=True)
class Equation:
    """One equation: the function that is it, and everything the slide and the checks say of it.

    `domains` maps each operand to its declared domain and shape, `returns` lists those of the results; `symbols` maps
    operands to the slide's letters; `static` maps arguments that are plain Python values to an example; `lesson` is
    the lesson that shows it; `seen` the operands' shapes that were checked before.
    """

    name: str
    title: str
    paper: str
    latex: str
    lesson: str
    domains: dict[str, Domain]
    returns: tuple[Domain, ...]
    symbols: dict[str, str]
    static: dict[str, Any]
    function: Callable[..., Any]
    seen: set[tuple[Any, ...]] = field(default_factory=set, repr=False)

    @property
    def module(self) -> str:
        return self.function.__module__.rpartition(".")[2]


_registered: dict[tuple[str, str], Equation] = {}  # by module and name: what others register never hides the lecture's


def equation(
    title: str,
    *,
    paper: str,
    latex: str,
    lesson: str,
    returns: str | tuple[str, ...],
    symbols: dict[str, str] | None = None,
    static: dict[str, Any] | None = None,
    **domains: str,
) -> Callable[[Function], Function]:
    """Register a function as an equation of the lecture and execute its declared shapes at every call.

    The shapes of one call are checked once and remembered, so a training loop pays for them in its first step only.
    """

    def register(function: Function) -> Function:
        arguments = [name for name in inspect.signature(function).parameters if name not in (static or {})]
        if arguments != list(domains):
            raise TypeError(f"equation {title}: declared {list(domains)}, but the function takes {arguments}")
        entry = Equation(
            name=function.__name__,
            title=title,
            paper=paper,
            latex=latex,
            lesson=lesson,
            domains={name: parse_domain(text) for name, text in domains.items()},
            returns=tuple(parse_domain(text) for text in ((returns,) if isinstance(returns, str) else returns)),
            symbols=dict(symbols or {}),
            static=dict(static or {}),
            function=function,
        )
        count, seen = len(arguments), entry.seen

        @functools.wraps(function)
        def checked(*operands: Any, **keywords: Any) -> Any:
            if len(operands) < count:  # some given by name: bring them into order
                bound = inspect.signature(function).bind(*operands, **keywords)
                bound.apply_defaults()
                operands, keywords = bound.args, bound.kwargs
            try:
                key = tuple([operand.shape for operand in operands[:count]])
            except AttributeError:
                key = tuple(shapes_of(title, entry.symbols, dict(zip(arguments, operands, strict=False))).values())
            if key not in seen:
                check_shapes(title, entry.symbols, entry.domains, dict(zip(arguments, key, strict=True)))
                seen.add(key)
            if recorder.get() is None:
                return function(*operands, **keywords)
            with setting(equation_name, title):  # a compiled step's rows know their equation
                return function(*operands, **keywords)

        _registered[function.__module__, entry.name] = entry
        checked.equation = entry  # type: ignore[attr-defined]
        return checked  # type: ignore[return-value]

    return register


def equations() -> MappingProxyType[str, Equation]:
    """All equations of the lecture by name, in lecture order."""
    homes = [import_module(f"tinymem.equations.{module}").__name__ for module in MODULES]
    return MappingProxyType({name: entry for home in homes for (module, name), entry in _registered.items() if module == home})
