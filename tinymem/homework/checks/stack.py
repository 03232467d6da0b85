"""Assignment 2, the stack: actions, pushed value, stack and list update, and the switches of test time."""

from __future__ import annotations

import numpy
from hypothesis import strategies as st

from tinymem.equations.contracts import parse_domain
from tinymem.equations.stack import EMPTY, discretize, list_update, push_value, stack_actions, stack_update
from tinymem.homework.properties import LONGEST, Ask, agree, holds, of_every, only
from tinymem.homework.tasks import Array, Assignment, Inputs, Task
from tinymem.testing.strategies import values_in

SLIDE = "Stack-Augmented Recurrent Nets"
PUSH, POP, KEEP = numpy.eye(3)
LEFT, RIGHT, INSERT = numpy.eye(3)


@st.composite
def lists(draw: st.DrawFn) -> Inputs:
    """A list, its action and what may be inserted, with the head on any of its cells."""
    batch, lists, cells = (draw(st.integers(1, LONGEST)) for _ in range(3))
    return {
        "cells": draw(values_in(parse_domain("(batch, K, D)"), (batch, lists, cells))),
        "action": draw(values_in(parse_domain("simplex (batch, K, 3)"), (batch, lists, 3), boundary=draw(st.booleans()))),
        "inserted": draw(values_in(parse_domain("unit (batch, K)"), (batch, lists))),
        "head": draw(st.integers(0, cells - 1)),
    }


# -- the tasks ---------------------------------------------------------------------------------------------------------------
# fmt: off
ACTIONS = Task("2.1", stack_actions, SLIDE,
    hint="Each stack has its own matrix A[k] (C, H) and its own softmax, over its C choices: the last axis.")
PUSHED = Task("2.2", push_value, SLIDE,
    hint="One row of D for each stack: h (batch, H) times Dᵀ (H, K), then σ(x) = 1 / (1 + e^-x).")
STACK = Task("2.3", stack_update, SLIDE, public_points=3, hidden_points=2,
    note="Cell 0 is the top; the actions come in the order PUSH, POP, NO-OP.  A POP shifts -1, an empty cell, in at the bottom; "
         "a PUSH loses the lowest cell.",
    hint="Build three stacks, as each action would leave them, and take their mean by the shares in `action`.")
LIST = Task("2.4", list_update, f"{SLIDE}: doubly-linked lists", public_points=2, hidden_points=2, inputs=lists(),
    others={"head": "the place of the head, 0 … D - 1, an integer"},
    note="The actions come in the order LEFT, RIGHT, INSERT; at both ends -1, an empty cell, is shifted in.",
    hint="INSERT leaves what is right of the head (i > head) alone, and moves what is left of it and under it one to the left.")
SWITCHES = Task("2.5", discretize, f"{SLIDE}: discretizing the controllers at test time",
    note="Of equal shares the first wins.",
    hint="numpy.eye(C)[argmax over the last axis], in the dtype of the actions.")
# fmt: on
TASKS = (ACTIONS, PUSHED, STACK, LIST, SWITCHES)


# -- the invariants ------------------------------------------------------------------------------------------------------------
@holds(ACTIONS, "large scores do not overflow", "exp(710) is infinite: subtract the largest score before exp; the softmax is the same.")
def actions_do_not_overflow(ask: Ask, given: Inputs) -> None:
    large = {"h": 1000 * given["h"], "A": given["A"]}
    agree(ask(*large.values()).results, ACTIONS.reference(large), "with 1000 h for h, the values are wrong")


@holds(ACTIONS, "softmax shift-invariance", "One number more on all scores of a stack changes nothing: is every softmax over C alone?")
def softmax_is_shift_invariant(ask: Ask, given: Inputs) -> None:
    moved = given["A"] + 0.5 * given["A"][:, :1]  # the same row added to every choice of a stack
    before = ask(*given.values()).results
    agree(ask(given["h"], moved).results, before, "adding one row to A[k, c] for all c changes the actions")


@holds(
    PUSHED,
    "large scores do not overflow",
    "e^-x is infinite for x = -710; σ(x) = (1 + tanh(x/2)) / 2 is the same and never overflows.",
)
def pushed_value_does_not_overflow(ask: Ask, given: Inputs) -> None:
    large = {"h": 1000 * given["h"], "D": given["D"]}
    agree(ask(*large.values()).results, PUSHED.reference(large), "with 1000 h for h, the values are wrong")


ACTS = st.lists(st.sampled_from(["push", "pop", "keep"]), min_size=1, max_size=6)


@holds(STACK, "a stack with one-hot actions is a list", "Push, pop and keep on paper: which cell comes from where?",
    st.fixed_dictionaries({"acts": ACTS}))  # fmt: skip
def one_hot_actions_make_a_stack(ask: Ask, given: Inputs) -> None:
    depth = 4
    cells, expected = numpy.full((1, 1, depth), EMPTY), [EMPTY] * depth
    for step, act in enumerate(given["acts"], start=1):
        value = step / 10
        action = {"push": PUSH, "pop": POP, "keep": KEEP}[act].reshape(1, 1, 3)
        cells = only(ask(cells, action, numpy.array([[value]])))
        expected = {"push": [value, *expected[:-1]], "pop": [*expected[1:], EMPTY], "keep": expected}[act]
        agree([cells], [numpy.array([[expected]])], f"after {step} acts (step n pushes n/10) the stack is not a Python list")


@holds(STACK, "a popped stack ends in -1", "A POP shifts an empty cell in at the bottom, and an empty cell is -1, not 0.")
def popped_is_empty(ask: Ask, given: Inputs) -> None:
    popping = numpy.zeros_like(given["action"]) + POP
    bottom = only(ask(given["stack"], popping, given["pushed"]))[..., -1:]
    agree([bottom], [numpy.full((*given["pushed"].shape, 1), EMPTY)], "after a POP the lowest cell is not -1")


@holds(LIST, "an inserted value is under the head", LIST.hint)
def inserted_under_the_head(ask: Ask, given: Inputs) -> None:
    found = only(ask(given["cells"], numpy.zeros_like(given["action"]) + INSERT, given["inserted"], given["head"]))
    cells, head = given["cells"], given["head"]
    right = numpy.concatenate([cells[..., 1 : head + 1], given["inserted"][..., None], cells[..., head + 1 :]], 2)
    agree([found], [right], "after an INSERT the list is wrong")


@holds(
    LIST,
    "right undoes left, but for the end",
    "LEFT brings the left neighbour under the head: L_t[i] = L_{t-1}[i - 1].",
)
def right_undoes_left(ask: Ask, given: Inputs) -> None:
    def moved(cells: Array, action: Array) -> Array:
        return only(ask(cells, numpy.zeros_like(given["action"]) + action, given["inserted"], given["head"]))

    back = moved(moved(given["cells"], LEFT), RIGHT)
    right = numpy.concatenate([given["cells"][..., :-1], numpy.full((*given["inserted"].shape, 1), EMPTY)], 2)
    agree([back], [right], "LEFT and then RIGHT must lose the last cell alone")


@holds(SWITCHES, "of equal shares the first wins", "argmax gives one place; comparing with the maximum gives all that are equal to it.")
def first_wins(ask: Ask, given: Inputs) -> None:
    equal = numpy.full_like(given["action"], 1 / given["action"].shape[2])
    first = numpy.zeros_like(equal)
    first[..., 0] = 1
    agree(ask(equal).results, [first], "with equal shares it is not the first that wins")


ASSIGNMENT = Assignment(
    2,
    "The stack: actions, stack and list update",
    TASKS,
    of_every(
        TASKS,
        actions_do_not_overflow,
        softmax_is_shift_invariant,
        pushed_value_does_not_overflow,
        one_hot_actions_make_a_stack,
        popped_is_empty,
        inserted_under_the_head,
        right_undoes_left,
        first_wins,
    ),
)
