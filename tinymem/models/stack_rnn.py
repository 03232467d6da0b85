"""Recurrent networks with stacks or lists for a memory (Joulin & Mikolov 2015).

One step: the hidden layer sees the input and the topmost cells of every stack; from it come the actions, the values to
push and the output.  So what is pushed at this step is seen at the next one.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Literal

import numpy

from tinymem.engine.backend import creation_namespace
from tinymem.engine.ops import concatenate
from tinymem.engine.structure import SHOWN
from tinymem.engine.tensor import Tensor, wrap
from tinymem.equations.stack import EMPTY, controller_hidden, discretize, list_update, push_value, stack_actions, stack_update
from tinymem.models.module import Linear, Module, glorot, parameter


@dataclass(frozen=True)
class StackRNNConfig:
    """Size of a stack-augmented recurrent network."""

    inputs: int
    """length of an input vector: the number of symbols"""
    outputs: int
    """length of an output vector (logits): the number of symbols"""
    memory: Literal["stack", "list"] = "stack"
    """stacks (PUSH, POP, perhaps NO-OP), or doubly-linked lists (LEFT, RIGHT, INSERT)"""
    hidden: int = 40
    """units of the hidden layer"""
    stacks: int = 10
    """K, stacks (or lists) side by side"""
    depth: int = 200
    """D, cells of a stack, or on either side of a list's head"""
    seen: int = 2
    """k, topmost cells of each stack that the hidden layer sees; of a list, the head and its left neighbours"""
    no_op: bool = False
    """may a stack also be left as it is?"""
    recurrence: bool = False
    """does the hidden layer see itself (R)?  In the paper's toy tasks it does not: R = 0"""

    def __post_init__(self) -> None:
        sizes = self.inputs, self.outputs, self.hidden, self.stacks, self.depth, self.seen
        if any(type(size) is not int or size < 1 for size in sizes):
            raise ValueError(f"every size of a stack RNN must be a whole number, at least 1: {self}")
        if self.memory not in ("stack", "list"):
            raise ValueError(f"memory must be 'stack' or 'list', got {self.memory!r}")
        if self.seen > self.depth:
            raise ValueError(f"a stack of depth {self.depth} has no {self.seen} topmost cells to see")
        if self.memory == "list" and self.no_op:
            raise ValueError("the paper's list has no NO-OP; its actions are LEFT, RIGHT and INSERT")

    def build(self, rng: numpy.random.Generator, dtype: str = "float32") -> StackRNN:
        return StackRNN(self, rng, dtype)


@dataclass(frozen=True)
class StackState:
    """What is carried from one step to the next, and what was done at this one."""

    h: Tensor  # (batch, H)
    cells: Tensor  # (batch, K, D): stacks, top first, or lists
    action: Tensor | None = field(default=None, metadata=SHOWN)  # (batch, K, 3)
    pushed: Tensor | None = field(default=None, metadata=SHOWN)  # (batch, K)

    def quantities(self) -> dict[str, Tensor]:
        """hidden, cells, and for a step that was made: action (batch, K, 3), pushed (batch, K)."""
        named = {"hidden": self.h, "cells": self.cells}
        return named if self.action is None or self.pushed is None else {**named, "action": self.action, "pushed": self.pushed}


class StackRNN(Module):
    """A hidden layer with K stacks or lists; `rounded()` gives the same machine with controllers that act like switches."""

    def __init__(self, config: StackRNNConfig, rng: numpy.random.Generator, dtype: str = "float32") -> None:
        self.config = config
        self.rounding = False
        hidden, stacks = config.hidden, config.stacks
        choices = 2 if config.memory == "stack" and not config.no_op else 3
        self.U = glorot(rng, hidden, config.inputs, dtype)
        self.R = glorot(rng, hidden, hidden, dtype) if config.recurrence else Tensor(numpy.zeros((hidden, hidden)), dtype=dtype)
        self.P = glorot(rng, hidden, stacks * config.seen, dtype)
        bound = (6.0 / (hidden + choices)) ** 0.5
        self.A = parameter(rng.uniform(-bound, bound, size=(stacks, choices, hidden)), dtype)
        self.D = glorot(rng, stacks, hidden, dtype)
        self.out = Linear(hidden, config.outputs, rng, dtype)

    @property
    def head(self) -> int:
        """The place of the cell that is read first: a stack's top, a list's head."""
        return 0 if self.config.memory == "stack" else self.config.depth

    def rounded(self) -> StackRNN:
        """This machine with discretised actions, for tests; the parameters are shared."""
        other = copy.copy(self)
        other.rounding = True
        return other

    def initial_state(self, batch: int) -> StackState:
        """Empty stacks: every cell is -1."""
        xp, dtype, config = creation_namespace(), self.out.b.dtype, self.config
        depth = config.depth if config.memory == "stack" else 2 * config.depth + 1
        h = xp.zeros((batch, config.hidden), dtype=dtype)
        return StackState(wrap(h, None), wrap(xp.full((batch, config.stacks, depth), EMPTY, dtype=dtype), None))

    def tops(self, cells: Tensor) -> Tensor:
        """The cells that the hidden layer sees: (batch, K, D) -> (batch, K, k)."""
        head, seen = self.head, self.config.seen
        return cells[:, :, :seen] if self.config.memory == "stack" else cells[:, :, head - seen + 1 : head + 1]

    def step(self, state: StackState, x: Tensor) -> tuple[StackState, Tensor]:
        """One time step: x (batch, X) -> logits (batch, Y)."""
        batch = x.shape[0]
        tops = self.tops(state.cells).reshape(batch, -1)  # (batch, K k)
        h = controller_hidden(x, state.h, tops, self.U, self.R, self.P)
        action = stack_actions(h, self.A)
        if self.rounding:
            action = discretize(action)
        value = push_value(h, self.D)
        if self.config.memory == "list":
            cells = list_update(state.cells, action, value, self.head)
        else:
            if not self.config.no_op:  # two choices: the third is never taken
                never = creation_namespace().zeros((batch, self.config.stacks, 1), dtype=action.dtype)
                action = concatenate([action, wrap(never, None)], 2)
            cells = stack_update(state.cells, action, value)
        return StackState(h, cells, action, value), self.out(h)
