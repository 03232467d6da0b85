"""A training step of any workload in PyTorch, eager: the loss is the workload's, everything around it is here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

import numpy
import torch

from benchmarks.contestant import Arrays, Contestant, Peer, Workload, cast
from tinymem.training.optimisers import Adam, GravesRMSProp


def in_torch(workload: Workload, peer: Peer, parameters: Arrays, data: Arrays, dtype: str) -> Contestant:
    torch.set_num_threads(1)
    loss_of = import_module(f"{workload.package}.in_torch").loss
    owned = {name: torch.tensor(array, dtype=getattr(torch, dtype), requires_grad=True) for name, array in parameters.items()}
    batch = cast(data, dtype)
    update = updater(workload.optimiser, owned.values())

    def backward() -> float:
        for parameter in owned.values():
            parameter.grad = None
        loss = loss_of(owned, {name: torch.from_numpy(array) for name, array in batch.items()}, workload.sizes, **peer.options)
        loss.backward()
        return float(loss.item())

    def gradients() -> tuple[float, Arrays]:
        loss = backward()
        return loss, {name: parameter.grad.numpy().copy() for name, parameter in owned.items() if parameter.grad is not None}

    def step() -> float:
        loss = backward()
        torch.nn.utils.clip_grad_value_(owned.values(), workload.clip)
        update()
        return loss

    def now() -> Arrays:
        return {name: parameter.detach().numpy().astype(numpy.float64) for name, parameter in owned.items()}

    return Contestant(gradients, step, now)


def updater(optimiser: Adam | GravesRMSProp, parameters: Iterable[Any]) -> Callable[[], object]:
    """The update from the parameters' gradients, in place."""
    owned = list(parameters)
    if isinstance(optimiser, Adam):
        betas = optimiser.beta1, optimiser.beta2
        return torch.optim.Adam(owned, lr=optimiser.learning_rate, betas=betas, eps=optimiser.epsilon, fused=True).step
    slots = [tuple(torch.zeros_like(parameter) for _ in range(3)) for parameter in owned]

    @torch.no_grad()
    def graves() -> None:
        rho = optimiser.decay
        for parameter, (square, mean, delta) in zip(owned, slots, strict=True):
            g = parameter.grad
            square.mul_(rho).addcmul_(g, g, value=1 - rho)
            mean.mul_(rho).add_(g, alpha=1 - rho)
            root = torch.addcmul(square, mean, mean, value=-1).add_(optimiser.epsilon).sqrt_()
            delta.mul_(optimiser.momentum).addcdiv_(g, root, value=-optimiser.learning_rate)
            parameter.add_(delta)

    return graves
