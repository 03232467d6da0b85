"""How long the ways on a tape are: on graphs drawn by hand, and on random ones, against another way of counting."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

import tinymem as tm
from tinymem.engine.errors import OperandError
from tinymem.engine.paths import Paths, paths


def leaf():
    return tm.Tensor([1.0, 2.0], requires_grad=True)


def test_a_chain_has_one_way():
    x = leaf()
    assert paths(tm.exp(tm.tanh(tm.sin(x))), x) == Paths(rows=3, longest=3, shortest=3)


def test_the_short_way_and_the_long_one():
    x = leaf()
    assert paths(tm.tanh(tm.sin(x)) + x, x) == Paths(rows=3, longest=3, shortest=1)


def test_the_longest_chain_may_begin_elsewhere():
    x, y = leaf(), leaf()
    assert paths(tm.tanh(tm.sin(y)) + x, x) == Paths(rows=3, longest=3, shortest=1)


def test_what_is_not_connected_has_no_way():
    x, y = leaf(), leaf()
    assert paths(tm.sin(y), x).shortest is None
    assert paths(tm.sin(y) + x.detach(), x).shortest is None


def test_the_input_itself_is_at_no_distance():
    x = leaf()
    assert paths(x, x) == Paths(rows=0, longest=0, shortest=0)


def test_a_tape_deeper_than_python_recurses():
    x = y = leaf()
    for _ in range(5000):
        y = y + 1
    assert paths(y, x) == Paths(5000, 5000, 5000)


def test_what_is_on_no_tape_is_refused():
    x = leaf()
    with pytest.raises(OperandError, match="requires_grad=True"):
        paths(tm.sin(x), tm.Tensor([1.0]))
    with pytest.raises(OperandError, match="requires_grad=True"):
        paths(tm.Tensor([1.0]), x)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=12))
def test_random_graphs_against_every_way_walked(pairs):
    """Each row adds two earlier tensors, chosen at random; ways are walked one by one."""
    tensors = [leaf(), leaf()]
    operands = [(), ()]
    for a, b in pairs:
        a, b = a % len(tensors), b % len(tensors)
        tensors.append(tensors[a] + tensors[b])
        operands.append((a, b))

    def ways(place):
        """(length, where it began) of every way from this tensor back to an input."""
        if not operands[place]:
            return {(0, place)}
        return {(length + 1, start) for parent in operands[place] for length, start in ways(parent)}

    last = len(tensors) - 1
    behind, to_visit = set(), [last]
    while to_visit:
        place = to_visit.pop()
        behind.add(place)
        to_visit += operands[place]
    found = paths(tensors[last], tensors[0])
    assert found.rows == len([place for place in behind if operands[place]])
    assert found.longest == max(length for length, _ in ways(last))
    assert found.shortest == min((length for length, start in ways(last) if start == 0), default=None)
