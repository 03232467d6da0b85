"""A function of parameters and arguments, run eagerly and compiled: values and all gradients must agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import tinymem as tm
from tinymem.engine.structure import flatten

LOWERINGS = ("numpy", "c")


def training_step(f: Callable[..., Any], state: Mapping[str, Any]) -> Callable[..., Any]:
    """(arguments) -> the loss (a fixed random sum of everything f returns), what f returns, and every gradient."""

    def step(*arguments: Any) -> Any:
        for parameter in state.values():
            parameter.grad = None
        out = f(dict(state), *arguments)
        loss, rng = 0.0, np.random.default_rng(1)
        for part in flatten(out)[0]:
            if part.dtype.kind == "f":
                loss = loss + (part * fixed(rng.uniform(-1, 1, part.shape), part.dtype)).sum()
        if getattr(loss, "node", None) is not None:
            loss.backward()
        return loss, out, {name: p.grad for name, p in state.items() if p.grad is not None}

    return step


def fixed(values: Any, dtype: Any) -> Any:
    return np.asarray(values, dtype)


def agree(
    f: Callable[..., Any],
    parameters: Mapping[str, Any],
    *arguments: Any,
    lowerings: Any = LOWERINGS,
    without: Any = (),
    tolerance: float = 1e-11,
    expect_gradients: Any = None,
) -> list[Any]:
    """Compare for each lowering, twice; returns the compiled steps."""
    state = {name: tm.Tensor(value, requires_grad=True) for name, value in parameters.items()}
    step = training_step(f, state)
    expected = [np.array(tm.to_host(x)) for x in flatten(step(*arguments))[0]]
    names = {name for name, p in state.items() if p.grad is not None}
    assert names == set(parameters if expect_gradients is None else expect_gradients), names
    compiled = []
    for lowering in lowerings:
        compiled.append(tm.compile(step, state=state, lowering=lowering, without=without))
        for _ in range(2):
            close(expected, flatten(compiled[-1](*arguments))[0], tolerance)
    return compiled


def close(expected: list[Any], got: list[Any], tolerance: float) -> None:
    assert len(expected) == len(got)
    for position, (e, g) in enumerate(zip(expected, map(tm.to_host, got), strict=True)):
        assert (e.shape, e.dtype) == (g.shape, g.dtype), position
        np.testing.assert_allclose(g, e, rtol=tolerance, atol=tolerance * (1 + np.abs(e).max(initial=0)), err_msg=f"result {position}")
