"""The Differentiable Neural Computer: a controller and a memory that knows what is in use and what was written after what.

One step: the controller reads the input and the previous read vectors and emits the interface; usage and allocation say where
there is room, one write head writes there or by content, the link matrix notes the order, and the read heads read the *new*
memory by content, forwards or backwards in time (Graves et al. 2016).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy

from tinymem.engine.backend import creation_namespace
from tinymem.engine.ops import broadcast_to, concatenate, sigmoid, softmax, softplus, split, stack, tanh
from tinymem.engine.structure import SHOWN
from tinymem.engine.tensor import Tensor, wrap
from tinymem.equations.dnc import (
    allocation,
    backward_weighting,
    forward_weighting,
    link,
    precedence,
    read_weighting,
    retention,
    usage,
    write_weighting,
)
from tinymem.equations.ntm import add, content_weighting, erase, read
from tinymem.models.controller import MEMORY_START, Carried, Kind, build_controller, control, first_carried, require_kind
from tinymem.models.module import Linear, Module, parameter


@dataclass(frozen=True)
class DNCConfig:
    """Size of a Differentiable Neural Computer."""

    inputs: int
    """length of an input vector"""
    outputs: int
    """length of an output vector (logits)"""
    controller: Kind = "feedforward"
    """what reads the input and drives the heads"""
    hidden: int = 64
    """units of the controller"""
    locations: int = 16
    """N, rows of the memory; may be fewer than are written in one sequence"""
    width: int = 16
    """M, length of one row (W in the paper)"""
    read_heads: int = 1
    """R, read heads; there is one write head"""

    def __post_init__(self) -> None:
        sizes = self.inputs, self.outputs, self.hidden, self.locations, self.width, self.read_heads
        if any(type(size) is not int or size < 1 for size in sizes):
            raise ValueError(f"every size of a DNC must be a whole number, at least 1: {self}")
        require_kind(self.controller)

    def build(self, rng: numpy.random.Generator, dtype: str = "float32") -> DNC:
        return DNC(self, rng, dtype)


@dataclass(frozen=True)
class Interface:
    """What the controller emits at one step."""

    read_keys: tuple[Tensor, ...]  # k^r_t (batch, M) each
    read_strengths: tuple[Tensor, ...]  # β^r_t (batch, 1) each
    read_modes: tuple[Tensor, ...]  # π_t (batch, 3) each: backward, content, forward
    free_gates: Tensor  # f_t (batch, R)
    write_key: Tensor  # k^w_t (batch, M)
    write_strength: Tensor  # β^w_t (batch, 1)
    write_vector: Tensor  # v_t (batch, M)
    erase_vector: Tensor  # e_t (batch, M)
    allocation_gate: Tensor  # g^a_t (batch, 1)
    write_gate: Tensor  # g^w_t (batch, 1)


@dataclass(frozen=True)
class DNCState:
    """Everything the machine carries from one step to the next, and what its heads were told at this one."""

    memory: Tensor  # M_t (batch, N, M)
    used: Tensor  # u_t (batch, N)
    linked: Tensor  # L_t (batch, N, N)
    last: Tensor  # p_t (batch, N), the precedence
    write_weighting: Tensor  # w^w_t (batch, N)
    read_weightings: tuple[Tensor, ...]  # w^r_t (batch, N) each
    reads: tuple[Tensor, ...]  # r_t (batch, M) each
    controller: Carried
    allocated: Tensor | None = field(default=None, metadata=SHOWN)  # a_t (batch, N)
    told: Interface | None = field(default=None, metadata=SHOWN)

    def quantities(self) -> dict[str, Tensor]:
        """memory, usage, link, precedence, write_weighting; read heads are stacked on axis 1: read_weighting (batch, R, N), …"""
        named = {
            "memory": self.memory,
            "usage": self.used,
            "link": self.linked,
            "precedence": self.last,
            "write_weighting": self.write_weighting,
            "read_weighting": stack(self.read_weightings, 1),
            "read_vector": stack(self.reads, 1),
        }
        if self.told is not None and self.allocated is not None:
            named["allocation"] = self.allocated
            for name in ("free_gates", "write_key", "write_strength", "write_vector", "erase_vector", "allocation_gate", "write_gate"):
                named[name] = getattr(self.told, name)
            named["read_key"] = stack(self.told.read_keys, 1)
            named["read_strength"] = stack(self.told.read_strengths, 1)
            named["read_modes"] = stack(self.told.read_modes, 1)
        return named


class DNC(Module):
    """A Differentiable Neural Computer with one write head and R read heads."""

    def __init__(self, config: DNCConfig, rng: numpy.random.Generator, dtype: str = "float32") -> None:
        self.config = config
        readers, width = config.read_heads, config.width
        seen = config.inputs + readers * width
        self.controller = build_controller(config.controller, seen, config.hidden, rng, dtype)
        # the interface vector in four blocks, one for each squashing function
        self.blocks = [
            (readers + 2) * width,  # tanh: read keys, write key, write vector
            width + readers + 2,  # sigmoid: erase vector, free gates, allocation gate, write gate
            readers + 1,  # oneplus: strengths
            3 * readers,  # softmax: read modes
        ]
        self.interface = Linear(config.hidden, sum(self.blocks), rng, dtype)
        self.out = Linear(config.hidden + readers * width, config.outputs, rng, dtype)
        self.initial_reads = parameter(numpy.zeros((1, readers * width)), dtype)

    def initial_state(self, batch: int) -> DNCState:
        """Memory at 1e-6 and nothing in use, nothing linked, nothing read; the learned controller state and read vectors."""
        config, xp, dtype = self.config, creation_namespace(), self.out.b.dtype
        nothing = wrap(xp.zeros((batch, config.locations), dtype=dtype), None)
        reads = broadcast_to(self.initial_reads, (batch, config.read_heads * config.width))
        return DNCState(
            memory=wrap(xp.full((batch, config.locations, config.width), MEMORY_START, dtype=dtype), None),
            used=nothing,
            linked=wrap(xp.zeros((batch, config.locations, config.locations), dtype=dtype), None),
            last=nothing,
            write_weighting=nothing,
            read_weightings=(nothing,) * config.read_heads,
            reads=tuple(split(reads, [config.width] * config.read_heads, 1)),
            controller=first_carried(self.controller, batch),
        )

    def step(self, state: DNCState, x: Tensor) -> tuple[DNCState, Tensor]:
        """One time step: x (batch, X) -> logits (batch, Y)."""
        seen = concatenate([x, *state.reads], 1)
        hidden, controller = control(self.controller, seen, state.controller)
        told = self._told(hidden)

        retained = retention(told.free_gates, stack(state.read_weightings, 1))
        used = usage(state.used, state.write_weighting, retained)
        allocated = allocation(used)
        by_content = content_weighting(state.memory, told.write_key, told.write_strength)
        written = write_weighting(by_content, allocated, told.allocation_gate, told.write_gate)
        memory = add(erase(state.memory, written, told.erase_vector), written, told.write_vector)

        linked = link(state.linked, written, state.last)
        last = precedence(state.last, written)
        read_weightings = tuple(
            read_weighting(
                backward_weighting(linked, previous), content_weighting(memory, key, strength), forward_weighting(linked, previous), modes
            )
            for previous, key, strength, modes in zip(
                state.read_weightings, told.read_keys, told.read_strengths, told.read_modes, strict=True
            )
        )
        reads = tuple(read(memory, weighting) for weighting in read_weightings)
        output = self.out(concatenate([hidden, *reads], 1))
        return DNCState(memory, used, linked, last, written, read_weightings, reads, controller, allocated, told), output

    def _told(self, hidden: Tensor) -> Interface:
        """The controller's output cut into parameters, each squashed into its domain."""
        readers, width = self.config.read_heads, self.config.width
        bounded, opened, scaled, chosen = split(self.interface(hidden), self.blocks, 1)
        *read_keys, write_key, write_vector = split(tanh(bounded), [width] * (readers + 2), 1)
        erase_vector, free_gates, allocation_gate, write_gate = split(sigmoid(opened), [width, readers, 1, 1], 1)
        *read_strengths, write_strength = split(1 + softplus(scaled), [1] * (readers + 1), 1)  # oneplus
        modes = softmax(chosen.reshape(-1, readers, 3), 2)
        return Interface(
            read_keys=tuple(read_keys),
            read_strengths=tuple(read_strengths),
            read_modes=tuple(modes[:, head] for head in range(readers)),
            free_gates=free_gates,
            write_key=write_key,
            write_strength=write_strength,
            write_vector=write_vector,
            erase_vector=erase_vector,
            allocation_gate=allocation_gate,
            write_gate=write_gate,
        )
