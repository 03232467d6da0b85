"""The Neural Turing Machine as a whole: what it returns, what its heads do together, and its gradient through time."""

from __future__ import annotations

import re

import numpy
import pytest

import tinymem as tm
from tinymem.equations.ntm import address, read
from tinymem.models.controller import MEMORY_START
from tinymem.models.module import ParameterError
from tinymem.models.ntm import NTMConfig
from tinymem.models.sequence import run, trace
from tinymem.tasks.algorithms import CopyTask
from tinymem.testing import strict
from tinymem.testing.check import check_grad
from tinymem.training.objectives import bits_per_sequence
from tinymem.training.optimisers import GravesRMSProp, apply_update, clip_elementwise

CONTROLLERS = ["feedforward", "lstm"]
TIME, BATCH, N, M, HIDDEN, READERS, WRITERS, SHIFTS = 4, 2, 5, 3, 4, 2, 2, 3
SIZES = NTMConfig(inputs=3, outputs=2, hidden=HIDDEN, locations=N, width=M, read_heads=READERS, write_heads=WRITERS, shifts=SHIFTS)

every_controller = pytest.mark.parametrize("controller", CONTROLLERS)


def build(controller, dtype="float64", seed=0, **changes):
    """A small machine whose learned starts are moved off their special values, so that nothing about it is symmetric."""
    config = NTMConfig(**{**vars(SIZES), "controller": controller, **changes})
    rng = numpy.random.default_rng(seed)
    model = config.build(rng, dtype)
    model.load_state({name: array + rng.normal(scale=0.5, size=array.shape) for name, array in model.state().items()})
    return model


def inputs_of(batch=BATCH, time=TIME, features=3, dtype="float64", seed=1):
    return tm.Tensor(numpy.random.default_rng(seed).normal(size=(time, batch, features)), dtype=dtype)


def install(model, name, tensor):
    """Put `tensor` in the place of the parameter of this dotted name."""
    *path, last = name.split(".")
    place = model
    for step in path:
        place = place[int(step)] if step.isdigit() else getattr(place, step)
    assert hasattr(place, last)
    setattr(place, last, tensor)


# -- what it returns -----------------------------------------------------------------------------------------------------
@every_controller
def test_outputs_are_time_batch_outputs(controller):
    assert run(build(controller), inputs_of()).shape == (TIME, BATCH, 2)


@every_controller
def test_the_trace_names_every_quantity_of_every_step(controller):
    shapes = {name: array.shape for name, array in trace(build(controller), inputs_of()).items()}
    heads = {
        f"{kind}_{name}": (TIME, BATCH, count, length)
        for kind, count in (("read", READERS), ("write", WRITERS))
        for name, length in (("weighting", N), ("key", M), ("strength", 1), ("gate", 1), ("shift", SHIFTS), ("sharpening", 1))
    }
    assert shapes == {
        "input": (TIME, BATCH, 3),
        "output": (TIME, BATCH, 2),
        "hidden": (TIME, BATCH, HIDDEN),
        "memory": (TIME, BATCH, N, M),
        "read_vector": (TIME, BATCH, READERS, M),
        "erase_vector": (TIME, BATCH, WRITERS, M),
        "add_vector": (TIME, BATCH, WRITERS, M),
        **heads,
    }


@every_controller
def test_the_trace_is_what_the_run_computed(controller):
    model, inputs = build(controller), inputs_of()
    seen = trace(model, inputs)
    numpy.testing.assert_array_equal(seen["output"], run(model, inputs).data)
    numpy.testing.assert_array_equal(seen["input"], inputs.data)
    assert all(type(array) is numpy.ndarray for array in seen.values())


@every_controller
def test_every_quantity_lies_in_its_domain_at_every_step(controller):
    seen = trace(build(controller), inputs_of(time=12))
    for name in ("read_weighting", "write_weighting", "read_shift", "write_shift"):
        assert numpy.all(seen[name] >= 0), name
        numpy.testing.assert_allclose(seen[name].sum(-1), 1.0, rtol=1e-12, err_msg=name)
    for name in ("read_gate", "write_gate", "erase_vector"):
        assert numpy.all((seen[name] > 0) & (seen[name] < 1)), name
    for name in ("read_strength", "write_strength"):
        assert numpy.all(seen[name] > 0), name
    for name in ("read_sharpening", "write_sharpening"):
        assert numpy.all(seen[name] > 1), name
    for name in ("read_key", "write_key", "add_vector"):
        assert numpy.all(numpy.abs(seen[name]) < 1), name


@every_controller
def test_a_batch_is_its_sequences_one_by_one(controller):
    model, inputs = build(controller), inputs_of(batch=3)
    together = trace(model, inputs)
    for n in range(3):
        alone = trace(model, inputs[:, n : n + 1])
        for name, array in alone.items():
            numpy.testing.assert_allclose(together[name][:, n : n + 1], array, rtol=1e-10, atol=1e-13, err_msg=name)


@every_controller
def test_later_inputs_do_not_change_earlier_outputs(controller):
    model, inputs = build(controller), inputs_of()
    numpy.testing.assert_array_equal(run(model, inputs[:2]).data, run(model, inputs).data[:2])


# -- how it starts -------------------------------------------------------------------------------------------------------
def test_it_starts_with_constant_memory_and_its_heads_on_location_zero():
    model = NTMConfig(inputs=3, outputs=2, hidden=4, locations=128, width=3).build(numpy.random.default_rng(0))
    state = model.initial_state(2)
    assert numpy.all(state.memory.data == numpy.float32(MEMORY_START))
    for weighting in (*state.read_weightings, *state.write_weightings):
        assert weighting.shape == (2, 128)
        assert numpy.all(weighting.data[:, 0] > 0.99)


def test_the_uniform_start_is_uniform():
    config = NTMConfig(inputs=3, outputs=2, hidden=4, locations=8, width=3, initial_weighting="uniform")
    weighting = config.build(numpy.random.default_rng(0), "float64").initial_state(1).read_weightings[0]
    numpy.testing.assert_allclose(weighting.data, 1 / 8)


@every_controller
def test_the_same_seed_makes_the_same_machine(controller):
    first, second = build(controller).state(), build(controller).state()
    assert list(first) == list(second)
    for name, array in first.items():
        numpy.testing.assert_array_equal(second[name], array)
    assert any(not numpy.array_equal(build(controller, seed=7).state()[name], array) for name, array in first.items())


@every_controller
def test_parameters_are_counted(controller):
    seen, heads = 3 + READERS * M, READERS + WRITERS
    interface = (heads + WRITERS) * M + heads + WRITERS * M + 2 * heads + heads * SHIFTS
    cell = {"feedforward": HIDDEN * seen + HIDDEN, "lstm": 4 * HIDDEN * (seen + HIDDEN + 1) + 2 * HIDDEN}[controller]
    out = (HIDDEN + READERS * M) * 2 + 2
    assert build(controller).count_parameters() == cell + interface * (HIDDEN + 1) + out + READERS * M + heads * N


# -- what its heads do together ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("writers", [1, 2, 3])
def test_erases_of_several_writers_multiply_and_their_adds_sum(writers):
    seen = trace(build("lstm", write_heads=writers), inputs_of())
    memory = numpy.full((BATCH, N, M), MEMORY_START)
    for t in range(TIME):
        kept, added = numpy.ones_like(memory), numpy.zeros_like(memory)
        for head in range(writers):
            weighting = seen["write_weighting"][t, :, head, :, None]
            kept = kept * (1 - weighting * seen["erase_vector"][t, :, head, None, :])
            added = added + weighting * seen["add_vector"][t, :, head, None, :]
        memory = memory * kept + added
        numpy.testing.assert_allclose(seen["memory"][t], memory, rtol=1e-12, atol=1e-15)


def test_reading_sees_what_was_written_in_the_same_step():
    seen = trace(build("feedforward"), inputs_of())
    for t in range(TIME):
        for head in range(READERS):
            expected = read(tm.Tensor(seen["memory"][t]), tm.Tensor(seen["read_weighting"][t, :, head])).data
            numpy.testing.assert_allclose(seen["read_vector"][t, :, head], expected, rtol=1e-12)


@pytest.mark.parametrize(("kind", "heads", "when"), [("write", WRITERS, 0), ("read", READERS, 1)], ids=["before", "after"])
def test_writers_address_the_memory_before_this_steps_writing_and_readers_after(kind, heads, when):
    seen = trace(build("feedforward"), inputs_of())
    memory = seen["memory"][when]  # of the step before, or of this one
    for head in range(heads):
        previous = seen[f"{kind}_weighting"][0, :, head]
        parameters = [seen[f"{kind}_{name}"][1, :, head] for name in ("key", "strength", "gate", "shift", "sharpening")]
        expected = address(tm.Tensor(memory), tm.Tensor(previous), *map(tm.Tensor, parameters)).data
        numpy.testing.assert_allclose(seen[f"{kind}_weighting"][1, :, head], expected, rtol=1e-12)


# -- its gradient --------------------------------------------------------------------------------------------------------
@every_controller
def test_the_gradient_through_a_whole_sequence_is_right_for_every_parameter(controller):
    model, inputs = build(controller), inputs_of()
    start = model.state()

    def outputs(*parameters):
        for name, parameter in zip(start, parameters, strict=True):
            install(model, name, parameter)
        return run(model, inputs)

    report = check_grad(outputs, *start.values(), names=list(start), title=f"NTM, {controller} controller")
    assert report.methods == ("complex step", "complex step")


@every_controller
def test_every_parameter_gets_a_gradient(controller):
    model = build(controller)
    outputs = run(model, inputs_of())
    outputs.backward(numpy.random.default_rng(3).normal(size=outputs.shape))
    for name, parameter in model.parameters().items():
        assert parameter.grad is not None, name
        assert numpy.all(numpy.isfinite(parameter.grad)), name
        assert numpy.any(parameter.grad != 0), name


# -- dtypes and devices --------------------------------------------------------------------------------------------------
@every_controller
def test_float32_stays_float32_everywhere(controller):
    model, inputs = build(controller, "float32"), inputs_of(dtype="float32")
    assert {str(array.dtype) for array in trace(model, inputs).values()} == {"float32"}
    outputs = run(model, inputs)
    outputs.backward(numpy.ones(outputs.shape, "float32"))
    assert {str(parameter.grad.dtype) for parameter in model.parameters().values()} == {"float32"}
    exact = trace(build(controller), inputs_of())
    numpy.testing.assert_allclose(outputs.data, exact["output"], rtol=1e-3, atol=1e-4)


def training_step(controller):
    """One update as the training loop does it; returns the loss and all parameters on the host."""
    rng = numpy.random.default_rng(5)
    task = CopyTask(bits=2, longest=3)
    model = build(controller, inputs=task.inputs, outputs=task.outputs)
    optimiser = GravesRMSProp(learning_rate=1e-2)
    slots = {name: optimiser.start(parameter.data) for name, parameter in model.parameters().items()}
    episode = task.batch(rng, BATCH, length=2)
    with strict.synchronisations() as seen:
        loss = bits_per_sequence(model, episode)
        loss.backward()
        value = loss.item()
        gradients = {name: parameter.grad for name, parameter in model.parameters().items()}
        apply_update(optimiser, model.parameters(), clip_elementwise(gradients, 10.0), slots, step=1)
    return value, model.state(), seen.reasons


@every_controller
def test_on_a_device_a_training_step_gives_the_same_numbers_and_waits_once(controller):
    value, parameters, _ = training_step(controller)
    with tm.use(strict.namespace):
        value_there, parameters_there, reasons = training_step(controller)
    assert reasons == ["item()"]
    assert value_there == value
    for name, array in parameters.items():
        numpy.testing.assert_array_equal(parameters_there[name], array, err_msg=name)


@every_controller
def test_on_a_device_the_trace_is_the_same(controller):
    on_host = trace(build(controller), inputs_of())
    with tm.use(strict.namespace):
        on_device = trace(build(controller), inputs_of())
    for name, array in on_host.items():
        numpy.testing.assert_array_equal(on_device[name], array, err_msg=name)


# -- bad input -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"shifts": 4}, "shifts must be odd and at most locations (5), got 4"),
        ({"shifts": 7}, "shifts must be odd and at most locations (5), got 7"),
        ({"shifts": -1}, "every size of an NTM must be a whole number, at least 1"),
        ({"locations": 0}, "every size of an NTM must be a whole number, at least 1"),
        ({"hidden": 0}, "every size of an NTM must be a whole number, at least 1"),
        ({"hidden": 6.5}, "every size of an NTM must be a whole number, at least 1"),
        ({"width": 0}, "every size of an NTM must be a whole number, at least 1"),
        ({"inputs": 0}, "every size of an NTM must be a whole number, at least 1"),
        ({"outputs": 0}, "every size of an NTM must be a whole number, at least 1"),
        ({"read_heads": 0}, "every size of an NTM must be a whole number, at least 1"),
        ({"write_heads": 0}, "every size of an NTM must be a whole number, at least 1"),
        ({"controller": "lstn"}, "controller must be 'feedforward' or 'lstm', got 'lstn'"),
        ({"initial_weighting": "onehot"}, "initial_weighting must be 'one-hot' or 'uniform', got 'onehot'"),
    ],
)
def test_a_configuration_that_cannot_be_built(changes, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        NTMConfig(**{**vars(SIZES), **changes})


@pytest.mark.parametrize("shape", [(4, 3), (4, 2, 3, 1), (0, 2, 3), (4, 0, 3)])
def test_inputs_that_are_no_sequence(shape):
    with pytest.raises(ValueError, match="needs inputs \\(time, batch, features\\)"):
        run(build("lstm"), tm.Tensor(numpy.ones(shape)))


@every_controller
def test_inputs_of_another_width_are_refused(controller):
    with pytest.raises(ValueError, match=r"this NTM takes input vectors of length 3, got inputs \(4, 2, 5\) \(time, batch, features\)"):
        run(build(controller), inputs_of(features=5))


def test_parameters_of_another_machine_are_refused_as_a_whole():
    model, other = build("feedforward"), build("lstm")
    before = model.state()
    with pytest.raises(ParameterError, match=r"missing: controller\.b.*|unknown: controller\.U") as caught:
        model.load_state(other.state())
    assert "controller.W has shape (16, 9), the model (4, 9)" in str(caught.value)
    for name, array in before.items():
        numpy.testing.assert_array_equal(model.state()[name], array)
