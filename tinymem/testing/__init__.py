"""Public tools for checking an equation of one's own: the gradient check, inputs from declared domains, a device double.

    from tinymem.testing import check_grad, inputs_of, strict

Names load when asked for: `check_grad` needs NumPy alone, the strategies need Hypothesis.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinymem.testing.check import GradientError, NotDifferentiable, check_grad
    from tinymem.testing.strategies import in_domain, inputs_of, shapes_that_do_not_fit, values_in

_HOMES = {
    "GradientError": "check",
    "NotDifferentiable": "check",
    "check_grad": "check",
    "in_domain": "strategies",
    "inputs_of": "strategies",
    "shapes_that_do_not_fit": "strategies",
    "values_in": "strategies",
}

__all__ = ["GradientError", "NotDifferentiable", "check_grad", "in_domain", "inputs_of", "shapes_that_do_not_fit", "values_in"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
