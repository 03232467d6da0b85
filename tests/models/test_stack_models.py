"""The stack RNN, the list RNN and the plain RNN as a whole: what they carry, what they show, rounding, and configurations they refuse."""

from __future__ import annotations

import numpy
import pytest

import tinymem as tm
from tinymem.equations.recurrent import rnn_step
from tinymem.equations.stack import EMPTY, controller_hidden, list_update, push_value, stack_actions, stack_update
from tinymem.models.rnn import RNNConfig
from tinymem.models.sequence import advance, run, trace
from tinymem.models.stack_rnn import StackRNNConfig
from tinymem.testing import strict
from tinymem.testing.check import check_grad

TIME, BATCH, X, Y, HIDDEN, STACKS, DEPTH, SEEN = 5, 2, 3, 4, 6, 2, 7, 2
SIZES = {"inputs": X, "outputs": Y, "hidden": HIDDEN, "stacks": STACKS, "depth": DEPTH, "seen": SEEN}
MACHINES = {
    "stack": StackRNNConfig(**SIZES),
    "stack with no-op": StackRNNConfig(**SIZES, no_op=True),
    "stack with recurrence": StackRNNConfig(**SIZES, no_op=True, recurrence=True),
    "list": StackRNNConfig(**SIZES, memory="list"),
}
every_machine = pytest.mark.parametrize("name", MACHINES)


def build(name, dtype="float64", seed=0):
    """A machine whose parameters are large enough for its actions to differ."""
    rng = numpy.random.default_rng(seed)
    model = MACHINES[name].build(rng, dtype)
    model.load_state({key: array + rng.normal(scale=1.0, size=array.shape) for key, array in model.state().items()})
    return model


def inputs_of(batch=BATCH, time=TIME, dtype="float64", seed=1):
    return tm.Tensor(numpy.random.default_rng(seed).normal(size=(time, batch, X)), dtype=dtype)


def cells_of(name):
    return 2 * DEPTH + 1 if name == "list" else DEPTH


@every_machine
def test_at_the_start_every_cell_is_empty_and_the_hidden_layer_zero(name):
    state = build(name).initial_state(3)
    numpy.testing.assert_array_equal(state.cells.data, numpy.full((3, STACKS, cells_of(name)), EMPTY))
    numpy.testing.assert_array_equal(state.h.data, numpy.zeros((3, HIDDEN)))
    assert {*state.quantities()} == {"hidden", "cells"}  # nothing was done yet


@every_machine
def test_the_trace_names_every_quantity_of_every_step(name):
    model = build(name)
    seen = trace(model, inputs_of())
    assert {key: array.shape for key, array in seen.items()} == {
        "input": (TIME, BATCH, X),
        "hidden": (TIME, BATCH, HIDDEN),
        "cells": (TIME, BATCH, STACKS, cells_of(name)),
        "action": (TIME, BATCH, STACKS, 3),
        "pushed": (TIME, BATCH, STACKS),
        "output": (TIME, BATCH, Y),
    }
    numpy.testing.assert_allclose(seen["action"].sum(-1), 1)
    numpy.testing.assert_array_equal(seen["output"], run(model, inputs_of()).data)


@every_machine
def test_a_step_is_the_equations_one_after_the_other(name):
    model, inputs = build(name), inputs_of()
    seen = trace(model, inputs)
    no_op = MACHINES[name].no_op
    for t in range(TIME):
        h = tm.Tensor(seen["hidden"][t - 1] if t else numpy.zeros((BATCH, HIDDEN)))
        cells = tm.Tensor(seen["cells"][t - 1] if t else numpy.full((BATCH, STACKS, cells_of(name)), EMPTY))
        visible = slice(DEPTH - 1, DEPTH + 1) if name == "list" else slice(2)  # of a list: the head's left neighbour, then the head
        tops = cells[:, :, visible].reshape(BATCH, -1)
        h = controller_hidden(inputs[t], h, tops, model.U, model.R, model.P)
        action, pushed = stack_actions(h, model.A), push_value(h, model.D)
        numpy.testing.assert_allclose(seen["hidden"][t], h.data, rtol=1e-12)
        numpy.testing.assert_allclose(seen["pushed"][t], pushed.data, rtol=1e-12)
        if name == "list":
            after = list_update(cells, action, pushed, DEPTH)
        else:
            if not no_op:
                action = tm.concatenate([action, tm.Tensor(numpy.zeros((BATCH, STACKS, 1)))], 2)
            after = stack_update(cells, action, pushed)
        numpy.testing.assert_allclose(seen["action"][t], action.data, rtol=1e-12)
        numpy.testing.assert_allclose(seen["cells"][t], after.data, rtol=1e-12)
        numpy.testing.assert_allclose(seen["output"][t], h.data @ model.out.W.data.T + model.out.b.data, rtol=1e-12)


def test_without_no_op_a_stack_is_never_left_as_it_is():
    assert (trace(build("stack"), inputs_of())["action"][..., 2] == 0).all()
    assert (trace(build("stack with no-op"), inputs_of())["action"][..., 2] > 0).all()
    assert build("stack").A.shape == (STACKS, 2, HIDDEN)
    assert build("stack with no-op").A.shape == (STACKS, 3, HIDDEN)


def test_without_recurrence_R_is_zero_and_not_learned():
    for name in ("stack", "list"):
        model = build(name)
        assert "R" not in model.parameters()
        assert not model.R.data.any()
        run(model, inputs_of()).backward(numpy.ones((TIME, BATCH, Y)))
        assert model.R.grad is None
    model = build("stack with recurrence")
    assert "R" in model.parameters()
    assert model.R.data.any()


def test_what_is_pushed_at_this_step_is_seen_at_the_next_one():
    """Without recurrence the output depends on earlier inputs through the stacks alone: emptied, they tell nothing."""
    model, inputs = build("stack with no-op"), inputs_of()
    state, _ = advance(model, model.initial_state(BATCH), inputs[:-1])
    emptied = type(state)(state.h, model.initial_state(BATCH).cells)
    last = inputs[TIME - 1 :]
    numpy.testing.assert_array_equal(advance(model, emptied, last)[1].data, run(model, last).data)
    assert abs(advance(model, state, last)[1].data - run(model, last).data).max() > 1e-3


@every_machine
def test_rounded_controllers_are_switches_and_the_parameters_are_shared(name):
    model = build(name)
    switched = model.rounded()
    actions = trace(switched, inputs_of())["action"]
    assert ((actions == 0) | (actions == 1)).all()
    assert (actions.sum(-1) == 1).all()
    first = trace(model, inputs_of())["action"][0]
    numpy.testing.assert_array_equal(actions[0].argmax(-1), first.argmax(-1))
    own, other = model.parameters(), switched.parameters()
    assert all(own[key] is other[key] for key in own)
    assert not model.rounding  # the machine itself goes on as it was
    assert not ((trace(model, inputs_of())["action"] == 1).any())
    model.out.b.data = model.out.b.data + 1.0
    numpy.testing.assert_array_equal(switched.out.b.data, model.out.b.data)


@every_machine
@pytest.mark.parametrize("rounding", [False, True])
def test_compiled_steps_do_what_eager_ones_do(name, rounding):
    model = build(name).rounded() if rounding else build(name)
    state, inputs = model.initial_state(BATCH), inputs_of()
    with tm.no_grad():
        expected_state, expected = advance(model, state, inputs)

        def read(state, inputs):
            with tm.no_grad():
                return advance(model, state, inputs)

        again, outputs = tm.compile(read, state=model)(state, inputs)
    numpy.testing.assert_allclose(outputs.data, expected.data, rtol=1e-10, atol=1e-12)
    numpy.testing.assert_allclose(again.cells.data, expected_state.cells.data, rtol=1e-10, atol=1e-12)
    numpy.testing.assert_allclose(again.h.data, expected_state.h.data, rtol=1e-10, atol=1e-12)


@every_machine
def test_the_gradient_through_a_whole_sequence_is_right_for_every_parameter(name):
    model, inputs = build(name), inputs_of(time=3)
    start = model.state()

    def outputs(*parameters):
        for key, value in zip(start, parameters, strict=True):
            place = model.out if key.startswith("out.") else model
            setattr(place, key.rpartition(".")[2], value)
        return run(model, inputs)

    report = check_grad(outputs, *start.values(), names=list(start), title=name)
    assert report.methods == ("complex step", "complex step")


@every_machine
def test_a_batch_is_its_sequences_one_by_one(name):
    model, inputs = build(name), inputs_of(batch=3)
    together = trace(model, inputs)
    for n in range(3):
        for key, array in trace(model, inputs[:, n : n + 1]).items():
            numpy.testing.assert_allclose(together[key][:, n : n + 1], array, rtol=1e-12, atol=1e-14, err_msg=key)


@every_machine
def test_on_a_device_the_numbers_are_the_same_and_stay_in_float32(name):
    expected = trace(build(name, "float32"), inputs_of(dtype="float32"))
    assert {str(array.dtype) for array in expected.values()} == {"float32"}
    with tm.use(strict.namespace):
        there = (
            trace(build(name, "float32").rounded(), inputs_of(dtype="float32")),
            trace(build(name, "float32"), inputs_of(dtype="float32")),
        )
    rounded = trace(build(name, "float32").rounded(), inputs_of(dtype="float32"))
    for key in expected:
        numpy.testing.assert_array_equal(there[1][key], expected[key], err_msg=key)
        numpy.testing.assert_array_equal(there[0][key], rounded[key], err_msg=key)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": 0}, "every size of a stack RNN must be a whole number, at least 1"),
        ({"stacks": 2.0}, "every size of a stack RNN"),
        ({"inputs": True}, "every size of a stack RNN"),
        ({"memory": "queue"}, "memory must be 'stack' or 'list', got 'queue'"),
        ({"depth": 3, "seen": 4}, "a stack of depth 3 has no 4 topmost cells to see"),
        ({"memory": "list", "no_op": True}, "list has no NO-OP"),
    ],
)
def test_impossible_stack_rnns_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        StackRNNConfig(**{**SIZES, **change})


def test_the_papers_size():
    config = StackRNNConfig(2, 2)
    assert (config.hidden, config.stacks, config.depth, config.seen, config.no_op, config.recurrence) == (40, 10, 200, 2, False, False)
    assert config.build(numpy.random.default_rng(0)).count_parameters() == 40 * 2 + 40 * 20 + 10 * 2 * 40 + 10 * 40 + 2 * 40 + 2


# -- the plain RNN -------------------------------------------------------------------------------------------------------
def rnn(dtype="float64"):
    rng = numpy.random.default_rng(0)
    model = RNNConfig(X, Y, hidden=HIDDEN).build(rng, dtype)
    model.load_state({name: array + rng.normal(scale=0.3, size=array.shape) for name, array in model.state().items()})
    return model


def test_the_rnn_is_its_equation_from_a_learned_start():
    model, inputs = rnn(), inputs_of()
    seen = trace(model, inputs)
    assert {name: array.shape for name, array in seen.items()} == {
        "input": (TIME, BATCH, X),
        "hidden": (TIME, BATCH, HIDDEN),
        "output": (TIME, BATCH, Y),
    }
    h = tm.Tensor(numpy.repeat(model.h0.data, BATCH, 0))
    numpy.testing.assert_array_equal(model.initial_state(BATCH).h.data, h.data)
    for t in range(TIME):
        h = rnn_step(inputs[t], h, model.W, model.U, model.b)
        numpy.testing.assert_allclose(seen["hidden"][t], h.data, rtol=1e-12)
        numpy.testing.assert_allclose(seen["output"][t], h.data @ model.out.W.data.T + model.out.b.data, rtol=1e-12)
    numpy.testing.assert_array_equal(run(model, inputs).data, seen["output"])


def test_the_rnns_compiled_step_does_what_the_eager_one_does():
    model, inputs = rnn(), inputs_of()

    def read(inputs):
        with tm.no_grad():
            return run(model, inputs)

    numpy.testing.assert_allclose(tm.compile(read, state=model)(inputs).data, run(model, inputs).data, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("change", [{"hidden": 0}, {"inputs": 2.0}, {"outputs": True}])
def test_impossible_rnns_are_refused(change):
    with pytest.raises(ValueError, match="every size of an RNN must be a whole number, at least 1"):
        RNNConfig(**{"inputs": X, "outputs": Y, **change})
