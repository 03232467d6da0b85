"""The DNC's bookkeeping where everything is certain: then usage is a set, allocation a free list, and links an order of writing."""

import itertools

import numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinymem as tm
from tinymem.equations.dnc import (
    allocation,
    backward_weighting,
    forward_weighting,
    link,
    precedence,
    retention,
    usage,
    write_weighting,
)

LOCATIONS = 6
places = st.integers(0, LOCATIONS - 1)


def certain(*places):
    """One-hot weightings, a row each."""
    return tm.Tensor(numpy.eye(LOCATIONS)[list(places)])


def nothing(*shape):
    return tm.Tensor(numpy.zeros(shape))


@given(st.lists(st.tuples(st.sampled_from(["write", "free"]), places), max_size=20))
def test_usage_is_the_set_of_what_was_written_and_not_freed(history):
    used, model = nothing(1, LOCATIONS), set()
    for what, place in history:
        written = certain(place) if what == "write" else nothing(1, LOCATIONS)
        gate = tm.Tensor([[1.0 if what == "free" else 0.0]])
        used = usage(used, written, retention(gate, tm.Tensor(numpy.eye(LOCATIONS)[place][None, None])))
        model = model | {place} if what == "write" else model - {place}
        assert set(numpy.flatnonzero(used.data[0])) == model
        assert set(used.data[0]) <= {0.0, 1.0}


@given(hnp.arrays(bool, LOCATIONS))
def test_the_free_location_of_the_lowest_number_is_allocated_and_none_if_all_is_used(used):
    share = allocation(tm.Tensor(used[None].astype(float))).data[0]
    expected = numpy.zeros(LOCATIONS)
    if not used.all():
        expected[used.argmin()] = 1
    numpy.testing.assert_array_equal(share, expected)


@given(hnp.arrays(numpy.int64, (3, LOCATIONS), elements=st.integers(0, 1000)))
def test_what_is_allocated_is_what_is_not_in_use_everywhere(thousandths):
    used = thousandths / 1000
    share = allocation(tm.Tensor(used)).data
    numpy.testing.assert_allclose(share.sum(1), 1 - used.prod(1), atol=1e-12)
    assert (share >= 0).all()


@given(st.lists(places, unique=True, min_size=2))
def test_links_follow_the_order_of_writing(order):
    linked, last = nothing(1, LOCATIONS, LOCATIONS), nothing(1, LOCATIONS)
    for place in order:
        linked, last = link(linked, certain(place), last), precedence(last, certain(place))
        numpy.testing.assert_array_equal(last.data, certain(place).data)
    for before, after in itertools.pairwise(order):
        numpy.testing.assert_array_equal(forward_weighting(linked, certain(before)).data, certain(after).data)
        numpy.testing.assert_array_equal(backward_weighting(linked, certain(after)).data, certain(before).data)
    assert not forward_weighting(linked, certain(order[-1])).data.any()  # nothing was written after the last
    assert not backward_weighting(linked, certain(order[0])).data.any()


@given(hnp.arrays(numpy.int64, (12, LOCATIONS + 1), elements=st.integers(0, 100)))
def test_whatever_is_written_links_stay_shares(wholes):
    linked, last = nothing(1, LOCATIONS, LOCATIONS), nothing(1, LOCATIONS)
    for whole in wholes:
        written = tm.Tensor((whole / max(whole.sum(), 1))[None, :-1])  # the last share is written nowhere
        linked, last = link(linked, written, last), precedence(last, written)
        L = linked.data[0]
        assert (L >= -1e-12).all()
        assert (L.sum(0) <= 1 + 1e-9).all()
        assert (L.sum(1) <= 1 + 1e-9).all()
        assert not L.diagonal().any()


def test_a_closed_write_gate_writes_nowhere():
    content, allocated = certain(2), certain(4)
    one, half, zero = (tm.Tensor([[gate]]) for gate in (1.0, 0.5, 0.0))
    numpy.testing.assert_array_equal(write_weighting(content, allocated, half, zero).data, nothing(1, LOCATIONS).data)
    numpy.testing.assert_array_equal(write_weighting(content, allocated, one, one).data, allocated.data)
    numpy.testing.assert_array_equal(write_weighting(content, allocated, zero, one).data, content.data)
