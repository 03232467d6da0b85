"""The Neural Turing Machine: a controller, an external memory, and heads that address it (Graves et al. 2014).

One step: the controller reads the input and the previous read vectors and emits every head's parameters; all write
heads address the old memory, their erases multiply, their adds sum; then the read heads address the *new* memory.
(The paper leaves the order of writing and reading open; this one is fixed here.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy

from tinymem.engine.backend import creation_namespace
from tinymem.engine.ops import broadcast_to, concatenate, sigmoid, softmax, softplus, split, stack, tanh
from tinymem.engine.structure import SHOWN
from tinymem.engine.tensor import Tensor, wrap
from tinymem.equations.ntm import add, address, erase, read
from tinymem.models.controller import MEMORY_START, Carried, Kind, build_controller, control, first_carried, require_kind
from tinymem.models.module import Linear, Module, parameter

ONE_HOT_LOGIT = 10.0  # softmax of (10, 0, …, 0): 0.994 of the weight on location 0 of 128


@dataclass(frozen=True)
class NTMConfig:
    """Size of a Neural Turing Machine."""

    inputs: int
    """length of an input vector"""
    outputs: int
    """length of an output vector (logits)"""
    controller: Kind = "feedforward"
    """what reads the input and drives the heads"""
    hidden: int = 100
    """units of the controller"""
    locations: int = 128
    """N, rows of the memory; more than the longest sequence needs"""
    width: int = 20
    """M, length of one row"""
    read_heads: int = 1
    """read heads"""
    write_heads: int = 1
    """write heads"""
    shifts: int = 3
    """S, allowed shifts: odd; 3 means -1, 0, +1"""
    initial_weighting: Literal["one-hot", "uniform"] = "one-hot"
    """where the learned initial weightings start: on location 0 (learns), or everywhere alike (does not)"""

    def __post_init__(self) -> None:
        heads = self.read_heads, self.write_heads
        sizes = self.inputs, self.outputs, self.hidden, self.locations, self.width, self.shifts, *heads
        if any(type(size) is not int or size < 1 for size in sizes):
            raise ValueError(f"every size of an NTM must be a whole number, at least 1: {self}")
        if self.shifts % 2 == 0 or self.shifts > self.locations:
            raise ValueError(f"shifts must be odd and at most locations ({self.locations}), got {self.shifts}")
        require_kind(self.controller)
        if self.initial_weighting not in ("one-hot", "uniform"):
            raise ValueError(f"initial_weighting must be 'one-hot' or 'uniform', got {self.initial_weighting!r}")

    def build(self, rng: numpy.random.Generator, dtype: str = "float32") -> NTM:
        return NTM(self, rng, dtype)


@dataclass(frozen=True)
class HeadParameters:
    """What the controller emits for one head at one step."""

    key: Tensor  # k_t (batch, M)
    strength: Tensor  # β_t (batch, 1)
    gate: Tensor  # g_t (batch, 1)
    shift: Tensor  # s_t (batch, S)
    sharpening: Tensor  # γ_t (batch, 1)


@dataclass(frozen=True)
class NTMState:
    """Everything the machine carries from one step to the next, and what its heads were told at this one."""

    memory: Tensor  # M_t (batch, N, M)
    read_weightings: tuple[Tensor, ...]  # (batch, N) each
    write_weightings: tuple[Tensor, ...]
    reads: tuple[Tensor, ...]  # r_t (batch, M) each
    controller: Carried
    hidden: Tensor | None = field(default=None, metadata=SHOWN)  # the controller's output at this step
    heads: tuple[HeadParameters, ...] = field(default=(), metadata=SHOWN)  # read heads first
    erase_vectors: tuple[Tensor, ...] = field(default=(), metadata=SHOWN)
    add_vectors: tuple[Tensor, ...] = field(default=(), metadata=SHOWN)

    def quantities(self) -> dict[str, Tensor]:
        """Heads are stacked on axis 1: read_weighting (batch, heads, N), add_vector (batch, heads, M), gate (batch, heads, 1), …"""
        named = {
            "memory": self.memory,
            "read_weighting": stack(self.read_weightings, 1),
            "write_weighting": stack(self.write_weightings, 1),
            "read_vector": stack(self.reads, 1),
        }
        if self.hidden is not None:
            named["hidden"] = self.hidden
            named["erase_vector"] = stack(self.erase_vectors, 1)
            named["add_vector"] = stack(self.add_vectors, 1)
            readers = len(self.read_weightings)
            for kind, heads in (("read", self.heads[:readers]), ("write", self.heads[readers:])):
                for name in ("key", "strength", "gate", "shift", "sharpening"):
                    named[f"{kind}_{name}"] = stack([getattr(head, name) for head in heads], 1)
        return named


class NTM(Module):
    """A Neural Turing Machine of any number of read and write heads, with a feed-forward or an LSTM controller."""

    def __init__(self, config: NTMConfig, rng: numpy.random.Generator, dtype: str = "float32") -> None:
        self.config = config
        heads, width = config.read_heads + config.write_heads, config.width
        seen = config.inputs + config.read_heads * width
        self.controller = build_controller(config.controller, seen, config.hidden, rng, dtype)
        # the interface vector in four blocks, one for each squashing function
        self.blocks = [
            (heads + config.write_heads) * width,  # tanh: keys, add vectors
            heads + config.write_heads * width,  # sigmoid: gates, erase vectors
            2 * heads,  # softplus: strengths, sharpenings
            heads * config.shifts,  # softmax: shift weightings
        ]
        self.interface = Linear(config.hidden, sum(self.blocks), rng, dtype)
        self.out = Linear(config.hidden + config.read_heads * width, config.outputs, rng, dtype)
        self.initial_reads = parameter(numpy.zeros((1, config.read_heads * width)), dtype)
        logits = numpy.zeros((heads, config.locations))
        if config.initial_weighting == "one-hot":
            logits[:, 0] = ONE_HOT_LOGIT
        self.initial_logits = parameter(logits, dtype)

    def initial_state(self, batch: int) -> NTMState:
        """Memory at 1e-6; the learned initial weightings (a softmax of logits), read vectors and controller state."""
        config, readers = self.config, self.config.read_heads
        memory = creation_namespace().full((batch, config.locations, config.width), MEMORY_START, dtype=self.out.b.dtype)
        start = softmax(self.initial_logits, 1)  # (heads, N)
        weightings = [broadcast_to(start[head : head + 1], (batch, config.locations)) for head in range(start.shape[0])]
        reads = broadcast_to(self.initial_reads, (batch, readers * config.width))
        return NTMState(
            memory=wrap(memory, None),
            read_weightings=tuple(weightings[:readers]),
            write_weightings=tuple(weightings[readers:]),
            reads=tuple(split(reads, [config.width] * readers, 1)),
            controller=first_carried(self.controller, batch),
        )

    def step(self, state: NTMState, x: Tensor) -> tuple[NTMState, Tensor]:
        """One time step: x (batch, X) -> logits (batch, Y)."""
        seen = concatenate([x, *state.reads], 1)
        hidden, controller = control(self.controller, seen, state.controller)
        heads, erase_vectors, add_vectors = self._head_parameters(hidden)
        readers = self.config.read_heads

        memory = state.memory
        write_weightings = tuple(
            address(state.memory, previous, head.key, head.strength, head.gate, head.shift, head.sharpening)
            for head, previous in zip(heads[readers:], state.write_weightings, strict=True)
        )
        for weighting, vector in zip(write_weightings, erase_vectors, strict=True):
            memory = erase(memory, weighting, vector)
        for weighting, vector in zip(write_weightings, add_vectors, strict=True):
            memory = add(memory, weighting, vector)

        read_weightings = tuple(
            address(memory, previous, head.key, head.strength, head.gate, head.shift, head.sharpening)
            for head, previous in zip(heads[:readers], state.read_weightings, strict=True)
        )
        reads = tuple(read(memory, weighting) for weighting in read_weightings)
        output = self.out(concatenate([hidden, *reads], 1))
        return NTMState(memory, read_weightings, write_weightings, reads, controller, hidden, heads, erase_vectors, add_vectors), output

    def _head_parameters(self, h: Tensor) -> tuple[tuple[HeadParameters, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The controller's output cut into parameters, each squashed into its domain: (batch, H) -> heads, erases, adds."""
        writers, width, shifts = self.config.write_heads, self.config.width, self.config.shifts
        count = self.config.read_heads + writers
        bounded, opened, scaled, moved = split(self.interface(h), self.blocks, 1)
        keys_and_adds = split(tanh(bounded), [width] * (count + writers), 1)
        gates_and_erases = split(sigmoid(opened), [1] * count + [width] * writers, 1)
        strengths_and_sharpenings = split(softplus(scaled), [1] * (2 * count), 1)
        shift_weightings = softmax(moved.reshape(-1, count, shifts), 2)
        heads = tuple(
            HeadParameters(
                key=keys_and_adds[head],
                strength=strengths_and_sharpenings[head],
                gate=gates_and_erases[head],
                shift=shift_weightings[:, head],
                sharpening=1 + strengths_and_sharpenings[count + head],
            )
            for head in range(count)
        )
        return heads, tuple(gates_and_erases[count:]), tuple(keys_and_adds[count:])
