"""The stack's equations where actions are certain: then they are Python's list and a gap buffer."""

import numpy
import pytest
import transcriptions
from hypothesis import given
from hypothesis import strategies as st

import tinymem as tm
from tinymem.equations.stack import EMPTY, discretize, list_update, stack_update
from tinymem.testing.check import check_grad

PUSH, POP, NO_OP = LEFT, RIGHT, INSERT = range(3)
certain = st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1, width=32)), max_size=30)


def one_hot(action):
    return tm.Tensor(numpy.eye(3)[action][None, None])  # (1, 1, 3)


def value_of(number):
    return tm.Tensor(numpy.array([[number]]))


@given(actions=certain, depth=st.integers(1, 40))
def test_a_stack_with_certain_actions_is_a_list(actions, depth):
    stack, model = tm.Tensor(numpy.full((1, 1, depth), EMPTY)), []
    for action, number in actions:
        stack = stack_update(stack, one_hot(action), value_of(number))
        if action == PUSH:
            model.append(number)
            del model[:-depth]  # what is pushed below the bottom is gone
        elif action == POP and model:
            model.pop()
        assert stack.data[0, 0].tolist() == model[::-1] + [EMPTY] * (depth - len(model))


@given(actions=certain, left=st.integers(0, 20), right=st.integers(0, 20))
def test_a_list_with_certain_actions_is_a_gap_buffer(actions, left, right):
    """A text with a cursor: what is before the head, what is under it and after it; cells beyond the ends are empty and get lost."""
    cells = tm.Tensor(numpy.full((1, 1, left + 1 + right), EMPTY))
    before, after = [EMPTY] * left, [EMPTY] * (1 + right)  # the head stands on after[0]
    for action, number in actions:
        cells = list_update(cells, one_hot(action), value_of(number), left)
        if action == LEFT:
            after.insert(0, before.pop() if before else EMPTY)
            before.insert(0, EMPTY)
        elif action == RIGHT:
            before.append(after.pop(0))
            after.append(EMPTY)
        else:  # what the head stood on goes to the left
            before.append(after[0])
            after[0] = number
        before, after = before[len(before) - left :], after[: 1 + right]
        assert cells.data[0, 0].tolist() == before + after


@st.composite
def lists(draw):
    batch, stacks, depth = draw(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 6)))
    rng = numpy.random.default_rng(draw(st.integers(0, 999)))
    action = rng.dirichlet(numpy.ones(3), size=(batch, stacks))
    return rng.normal(size=(batch, stacks, depth)), action, rng.uniform(size=(batch, stacks)), draw(st.integers(0, depth - 1))


@given(lists())
def test_a_list_under_any_head_is_that_of_the_paper(drawn):
    *operands, head = drawn
    ours = list_update(*map(tm.Tensor, operands), head)
    numpy.testing.assert_allclose(ours.data, transcriptions.list_update(*operands, head), rtol=1e-12, atol=1e-14)
    check_grad(lambda *given: list_update(*given, head), *operands, names=("cells", "action", "inserted"), title="list_update")


@pytest.mark.parametrize("head", [-1, 3])
def test_a_head_beside_the_list_is_refused(head):
    with pytest.raises(tm.OperandError, match=rf"one of the 3 cells, 0 … 2, got {head}"):
        list_update(tm.Tensor(numpy.zeros((1, 1, 3))), one_hot(LEFT), value_of(0.5), head)


def test_rounding_takes_the_first_of_equal_shares_and_has_no_gradient():
    action = tm.Tensor([[[0.4, 0.4, 0.2], [0.1, 0.2, 0.7]]], requires_grad=True)
    rounded = discretize(action)
    assert rounded.data.tolist() == [[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]]
    assert not rounded.requires_grad


def test_a_blurred_stack_forgets_and_a_rounded_one_does_not():
    """The reason for rounding: what 0.95 of a PUSH and 0.95 of a POP leave after 60 of each."""
    shares = {PUSH: [0.95, 0.05], POP: [0.05, 0.95]}

    def top_after(convert):
        stack = tm.Tensor(numpy.full((1, 1, 200), EMPTY))
        for action in [PUSH] * 60 + [POP] * 59:
            told = tm.Tensor(numpy.array([[[*shares[action], 0.0]]]))
            stack = stack_update(stack, convert(told), value_of(1.0))
        return stack.data[0, 0, 0]

    assert top_after(discretize) == 1.0
    assert top_after(lambda action: action) < 0.9
