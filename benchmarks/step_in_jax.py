"""A training step of any workload in JAX: the whole of it, update included, compiled by jit, buffers donated."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from importlib import import_module
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy

from benchmarks.contestant import Arrays, Contestant, Peer, Workload, cast
from tinymem.training.optimisers import Adam, GravesRMSProp

Recomputed = Literal["nothing", "elementwise", "all"]  # products of matrices are kept, or not even these


def in_jax(workload: Workload, peer: Peer, parameters: Arrays, data: Arrays, dtype: str) -> Contestant:
    loss_of = partial(import_module(f"{workload.package}.in_jax").loss, sizes=workload.sizes, **peer.options)
    precision = partial(jax.enable_x64, True) if dtype == "float64" else nullcontext  # entering costs: not where it is not needed
    batch = cast(data, dtype)
    count = 2 if isinstance(workload.optimiser, Adam) else 3
    updates = 0
    with precision():
        owned = {name: jnp.asarray(array, dtype) for name, array in parameters.items()}
        slots = {name: tuple(jnp.zeros(array.shape, dtype) for _ in range(count)) for name, array in parameters.items()}

    @partial(jax.jit, donate_argnums=(0, 1))
    def compiled(owned: Any, slots: Any, number: Any, batch: Any) -> Any:
        loss, found = jax.value_and_grad(loss_of)(owned, batch)
        clipped = {name: jnp.clip(gradient, -workload.clip, workload.clip) for name, gradient in found.items()}
        new = {name: update(workload.optimiser, owned[name], clipped[name], slots[name], number) for name in owned}
        return loss, {name: pair[0] for name, pair in new.items()}, {name: pair[1] for name, pair in new.items()}

    def gradients() -> tuple[float, Arrays]:
        with precision():
            loss, found = jax.jit(jax.value_and_grad(loss_of))(owned, batch)
            return float(loss), {name: numpy.asarray(gradient) for name, gradient in found.items()}

    def step() -> float:
        nonlocal owned, slots, updates
        updates += 1
        with precision():
            loss, owned, slots = compiled(owned, slots, float(updates), batch)
            jax.block_until_ready((loss, owned, slots))
            return float(loss)

    return Contestant(gradients, step, lambda: {name: numpy.asarray(parameter, numpy.float64) for name, parameter in owned.items()})


def recomputing(step: Callable[..., Any], what: Recomputed, **options: Any) -> Callable[..., Any]:
    """`step` (of a scan, or a layer), whose backward pass computes these values again instead of keeping them."""
    if what == "nothing":
        return step
    policies = jax.checkpoint_policies
    return jax.checkpoint(step, policy=policies.dots_saveable if what == "elementwise" else policies.nothing_saveable, **options)


def update(optimiser: Adam | GravesRMSProp, parameter: Any, g: Any, slots: tuple[Any, ...], number: Any) -> tuple[Any, tuple[Any, ...]]:
    """The new parameter and slots after update `number`, counted from 1."""
    if isinstance(optimiser, Adam):
        m = optimiser.beta1 * slots[0] + (1 - optimiser.beta1) * g
        v = optimiser.beta2 * slots[1] + (1 - optimiser.beta2) * g * g
        m_hat, v_hat = m / (1 - optimiser.beta1**number), v / (1 - optimiser.beta2**number)
        return parameter - optimiser.learning_rate * m_hat / (jnp.sqrt(v_hat) + optimiser.epsilon), (m, v)
    rho, (square, mean, delta) = optimiser.decay, slots
    square = rho * square + (1 - rho) * g * g
    mean = rho * mean + (1 - rho) * g
    delta = optimiser.momentum * delta - optimiser.learning_rate * g / jnp.sqrt(square - mean * mean + optimiser.epsilon)
    return parameter + delta, (square, mean, delta)
