"""Optimisers as functions of arrays: (parameter, gradient, slots) -> (new parameter, new slots).

Nothing is changed in place, so an update can be recorded, replayed and resumed; the slots are named arrays that go
into the checkpoint beside the parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tinymem.engine.backend import Array, namespace_of
from tinymem.engine.tensor import Tensor

Slots = dict[str, Array]


class Optimiser(Protocol):
    def start(self, parameter: Array) -> Slots:
        """The slots before the first update."""
        ...

    def update(self, parameter: Array, gradient: Array, slots: Slots, step: int, pace: float = 1.0) -> tuple[Array, Slots]:
        """The parameter and slots after update number `step`, counted from 1, with `pace` times the learning rate."""
        ...


def _zeros(parameter: Array, *names: str) -> Slots:
    xp = namespace_of(parameter)
    return {name: xp.zeros_like(parameter) for name in names}


@dataclass(frozen=True)
class SGD:
    """θ ← θ - lr g, with momentum μ: v ← μ v - lr g, θ ← θ + v."""

    learning_rate: float = 0.1
    momentum: float = 0.0

    def start(self, parameter: Array) -> Slots:
        return _zeros(parameter, "velocity") if self.momentum else {}

    def update(self, parameter: Array, gradient: Array, slots: Slots, step: int, pace: float = 1.0) -> tuple[Array, Slots]:
        if not self.momentum:
            return parameter - pace * self.learning_rate * gradient, slots
        velocity = self.momentum * slots["velocity"] - pace * self.learning_rate * gradient
        return parameter + velocity, {"velocity": velocity}


@dataclass(frozen=True)
class GravesRMSProp:
    """The centred RMSProp with momentum of Graves 2013 (eqs. 38-45), used for every network of the NTM paper.

    n ← ρ n + (1-ρ) g²,  ḡ ← ρ ḡ + (1-ρ) g,  Δ ← μ Δ - lr g / √(n - ḡ² + ε),  θ ← θ + Δ.   It is *minus* ḡ² under the root.
    """

    learning_rate: float = 1e-4
    decay: float = 0.95
    momentum: float = 0.9
    epsilon: float = 1e-4

    def start(self, parameter: Array) -> Slots:
        return _zeros(parameter, "square", "mean", "delta")

    def update(self, parameter: Array, gradient: Array, slots: Slots, step: int, pace: float = 1.0) -> tuple[Array, Slots]:
        xp, rho = namespace_of(parameter), self.decay
        square = rho * slots["square"] + (1 - rho) * (gradient * gradient)
        mean = rho * slots["mean"] + (1 - rho) * gradient
        delta = self.momentum * slots["delta"] - pace * self.learning_rate * gradient / xp.sqrt(square - mean * mean + self.epsilon)
        return parameter + delta, {"square": square, "mean": mean, "delta": delta}


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015): m ← β₁ m + (1-β₁) g,  v ← β₂ v + (1-β₂) g²,  θ ← θ - lr m̂ / (√v̂ + ε), m̂ and v̂ bias-corrected."""

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def start(self, parameter: Array) -> Slots:
        return _zeros(parameter, "m", "v")

    def update(self, parameter: Array, gradient: Array, slots: Slots, step: int, pace: float = 1.0) -> tuple[Array, Slots]:
        xp = namespace_of(parameter)
        m = self.beta1 * slots["m"] + (1 - self.beta1) * gradient
        v = self.beta2 * slots["v"] + (1 - self.beta2) * (gradient * gradient)
        m_hat, v_hat = m / (1 - self.beta1**step), v / (1 - self.beta2**step)
        return parameter - pace * self.learning_rate * m_hat / (xp.sqrt(v_hat) + self.epsilon), {"m": m, "v": v}


def clip_elementwise(gradients: Mapping[str, Array], bound: float) -> dict[str, Array]:
    """Every element of every gradient cut to [-bound, bound] (Graves 2013 clips at 10)."""
    return {name: namespace_of(gradient).clip(gradient, -bound, bound) for name, gradient in gradients.items()}


def clip_by_norm(gradients: Mapping[str, Array], bound: float) -> dict[str, Array]:
    """All gradients scaled by one factor so that their joint Euclidean norm is at most `bound` (Pascanu et al. 2013)."""
    norm = sum((gradient * gradient).sum() for gradient in gradients.values()) ** 0.5
    xp = namespace_of(norm)
    factor = bound / xp.maximum(norm, bound)
    return {name: gradient * factor for name, gradient in gradients.items()}


def apply_update(
    optimiser: Optimiser,
    parameters: Mapping[str, Tensor],
    gradients: Mapping[str, Any],
    slots: dict[str, Slots],
    step: int,
    pace: float = 1.0,
) -> None:
    """One update of every parameter that has a gradient, with `pace` times the learning rate: rebinds its data and its slots."""
    for name, gradient in gradients.items():
        parameter = parameters[name]
        parameter.data, slots[name] = optimiser.update(parameter.data, gradient, slots[name], step, pace)
