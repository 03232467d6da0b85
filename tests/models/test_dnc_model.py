"""The Differentiable Neural Computer as a whole: what it returns, how its equations are wired, and its gradient through time."""

from __future__ import annotations

import dataclasses
import re

import numpy
import pytest

import tinymem as tm
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
from tinymem.models.controller import MEMORY_START
from tinymem.models.dnc import DNCConfig
from tinymem.models.module import ParameterError
from tinymem.models.sequence import advance, run, trace
from tinymem.tasks.algorithms import CopySeriesTask
from tinymem.testing import strict
from tinymem.testing.check import check_grad
from tinymem.training.loop import Schedule, Steady, train
from tinymem.training.objectives import bits_per_sequence
from tinymem.training.optimisers import GravesRMSProp, apply_update, clip_elementwise

CONTROLLERS = ["feedforward", "lstm"]
TIME, BATCH, X, Y, N, M, HIDDEN, READERS = 4, 2, 3, 2, 5, 3, 4, 2
SIZES = DNCConfig(inputs=X, outputs=Y, hidden=HIDDEN, locations=N, width=M, read_heads=READERS)

every_controller = pytest.mark.parametrize("controller", CONTROLLERS)


def build(controller="feedforward", dtype="float64", seed=0, **changes):
    """A small machine with parameters large enough for its gates and modes to differ from step to step."""
    config = dataclasses.replace(SIZES, controller=controller, **changes)
    rng = numpy.random.default_rng(seed)
    model = config.build(rng, dtype)
    model.load_state({name: array + rng.normal(scale=0.7, size=array.shape) for name, array in model.state().items()})
    return model


def inputs_of(batch=BATCH, time=TIME, features=X, dtype="float64", seed=1):
    return tm.Tensor(numpy.random.default_rng(seed).normal(size=(time, batch, features)), dtype=dtype)


def install(model, name, tensor):
    """Put `tensor` in the place of the parameter of this dotted name."""
    *path, last = name.split(".")
    place = model
    for step in path:
        place = getattr(place, step)
    assert hasattr(place, last)
    setattr(place, last, tensor)


# -- what it returns -----------------------------------------------------------------------------------------------------
@every_controller
def test_outputs_are_time_batch_outputs(controller):
    assert run(build(controller), inputs_of()).shape == (TIME, BATCH, Y)


@every_controller
def test_the_trace_names_every_quantity_of_every_step(controller):
    shapes = {name: array.shape[2:] for name, array in trace(build(controller), inputs_of()).items()}
    assert shapes == {
        "input": (X,),
        "output": (Y,),
        "memory": (N, M),
        "usage": (N,),
        "link": (N, N),
        "precedence": (N,),
        "allocation": (N,),
        "write_weighting": (N,),
        "write_key": (M,),
        "write_strength": (1,),
        "write_vector": (M,),
        "erase_vector": (M,),
        "free_gates": (READERS,),
        "allocation_gate": (1,),
        "write_gate": (1,),
        "read_weighting": (READERS, N),
        "read_vector": (READERS, M),
        "read_key": (READERS, M),
        "read_strength": (READERS, 1),
        "read_modes": (READERS, 3),
    }
    assert {array.shape[:2] for array in trace(build(controller), inputs_of()).values()} == {(TIME, BATCH)}


@every_controller
def test_the_trace_is_what_the_run_computed(controller):
    model, inputs = build(controller), inputs_of()
    seen = trace(model, inputs)
    numpy.testing.assert_array_equal(seen["output"], run(model, inputs).data)
    numpy.testing.assert_array_equal(seen["input"], inputs.data)
    assert all(type(array) is numpy.ndarray for array in seen.values())


@every_controller
def test_every_quantity_lies_in_its_domain_at_every_step(controller):
    seen = trace(build(controller), inputs_of(time=15))
    for name in ("free_gates", "allocation_gate", "write_gate", "erase_vector"):
        assert numpy.all((seen[name] > 0) & (seen[name] < 1)), name
    for name in ("read_strength", "write_strength"):
        assert numpy.all(seen[name] > 1), name
    for name in ("read_key", "write_key", "write_vector"):
        assert numpy.all(numpy.abs(seen[name]) < 1), name
    numpy.testing.assert_allclose(seen["read_modes"].sum(-1), 1, rtol=1e-12)
    for name in ("usage", "allocation", "write_weighting", "read_weighting", "precedence", "link"):
        assert numpy.all((seen[name] >= 0) & (seen[name] <= 1)), name
    for name in ("allocation", "write_weighting", "read_weighting", "precedence", "link"):
        assert numpy.all(seen[name].sum(-1) <= 1 + 1e-12), name
    assert numpy.all(seen["link"].sum(-2) <= 1 + 1e-12)
    assert not numpy.diagonal(seen["link"], axis1=-2, axis2=-1).any()


@every_controller
def test_a_batch_is_its_sequences_one_by_one(controller):
    """Only what has no location's name is compared: which of several equal locations comes first is left to rounding."""
    model, inputs = build(controller), inputs_of(batch=3)
    together = trace(model, inputs)
    for n in range(3):
        alone = trace(model, inputs[:, n : n + 1])
        for name in ("output", "read_vector", "write_vector", "allocation_gate", "read_modes"):
            numpy.testing.assert_allclose(together[name][:, n : n + 1], alone[name], rtol=1e-10, atol=1e-13, err_msg=name)
        for name in ("usage", "allocation", "write_weighting", "precedence", "read_weighting"):
            numpy.testing.assert_allclose(
                numpy.sort(together[name][:, n : n + 1]), numpy.sort(alone[name]), rtol=1e-10, atol=1e-13, err_msg=name
            )


@every_controller
def test_later_inputs_do_not_change_earlier_outputs(controller):
    model, inputs = build(controller), inputs_of()
    numpy.testing.assert_array_equal(run(model, inputs[:2]).data, run(model, inputs).data[:2])


# -- how it starts -------------------------------------------------------------------------------------------------------
def test_it_starts_with_constant_memory_nothing_in_use_nothing_linked_nothing_read():
    state = build().initial_state(3)
    assert numpy.all(state.memory.data == MEMORY_START)
    named = state.quantities()
    assert named["memory"].shape == (3, N, M)
    for name, shape in {"usage": (N,), "link": (N, N), "precedence": (N,), "write_weighting": (N,), "read_weighting": (READERS, N)}.items():
        numpy.testing.assert_array_equal(named[name].data, numpy.zeros((3, *shape)), err_msg=name)
    assert "free_gates" not in named  # nothing was told yet


def test_the_first_read_vectors_are_learned():
    model = build()
    start = model.state()["initial_reads"]
    numpy.testing.assert_array_equal(
        model.initial_state(2).quantities()["read_vector"].data, numpy.tile(start.reshape(1, READERS, M), (2, 1, 1))
    )


@every_controller
def test_the_same_seed_makes_the_same_machine(controller):
    first, second = build(controller).state(), build(controller).state()
    assert list(first) == list(second)
    for name, array in first.items():
        numpy.testing.assert_array_equal(second[name], array)
    assert any(not numpy.array_equal(build(controller, seed=7).state()[name], array) for name, array in first.items())


@pytest.mark.parametrize("readers", [1, 3])
@every_controller
def test_parameters_are_counted_and_the_interface_is_as_wide_as_the_papers(controller, readers):
    seen = X + readers * M
    interface = readers * M + 3 * M + 5 * readers + 3  # R W + 3 W + 5 R + 3
    cell = {"feedforward": HIDDEN * seen + HIDDEN, "lstm": 4 * HIDDEN * (seen + HIDDEN + 1) + 2 * HIDDEN}[controller]
    out = (HIDDEN + readers * M) * Y + Y
    model = build(controller, read_heads=readers)
    assert model.count_parameters() == cell + interface * (HIDDEN + 1) + out + readers * M


# -- how its equations are wired -----------------------------------------------------------------------------------------
@every_controller
def test_a_step_is_the_equations_in_the_papers_order(controller):
    """Usage from what was read and written a step ago, write, link with the precedence before it, read the new memory."""
    model, inputs = build(controller), inputs_of(time=8)
    start = {name: value.data for name, value in model.initial_state(BATCH).quantities().items()}
    seen = trace(model, inputs)
    for t in range(8):
        before = {name: tm.Tensor(seen[name][t - 1] if t else start[name]) for name in start}
        told = {name: tm.Tensor(values[t]) for name, values in seen.items()}
        used = usage(before["usage"], before["write_weighting"], retention(told["free_gates"], before["read_weighting"]))
        allocated = allocation(used)
        by_content = content_weighting(before["memory"], told["write_key"], told["write_strength"])
        written = write_weighting(by_content, allocated, told["allocation_gate"], told["write_gate"])
        memory = add(erase(before["memory"], written, told["erase_vector"]), written, told["write_vector"])
        linked = link(before["link"], written, before["precedence"])
        expected = {
            "usage": used,
            "allocation": allocated,
            "write_weighting": written,
            "memory": memory,
            "link": linked,
            "precedence": precedence(before["precedence"], written),
        }
        for name, value in expected.items():
            numpy.testing.assert_allclose(told[name].data, value.data, rtol=1e-12, atol=1e-15, err_msg=f"{name} at {t}")
        for head in range(READERS):
            previous = before["read_weighting"][:, head]
            weighting = read_weighting(
                backward_weighting(linked, previous),
                content_weighting(memory, told["read_key"][:, head], told["read_strength"][:, head]),
                forward_weighting(linked, previous),
                told["read_modes"][:, head],
            )
            numpy.testing.assert_allclose(told["read_weighting"].data[:, head], weighting.data, rtol=1e-12, atol=1e-15)
            numpy.testing.assert_allclose(told["read_vector"].data[:, head], read(memory, weighting).data, rtol=1e-12, atol=1e-15)


def test_locations_have_no_names():
    """Exchange the locations in a state, and what follows is exchanged alike: the outputs are the same.

    This is why ties in usage do no harm at the start of a sequence: locations that were never told apart are equal in everything,
    so whichever of them the sort puts first, the machine does the same.
    """
    model, inputs = build(), inputs_of(time=12)
    half, _ = advance(model, model.initial_state(BATCH), inputs[:7])
    order = numpy.random.default_rng(2).permutation(N)
    assert min(abs(numpy.diff(numpy.sort(half.used.data))).ravel()) > 1e-9  # by now no two are equally used
    exchanged = dataclasses.replace(
        half,
        memory=tm.Tensor(half.memory.data[:, order]),
        linked=tm.Tensor(half.linked.data[:, order][:, :, order]),
        read_weightings=tuple(tm.Tensor(w.data[:, order]) for w in half.read_weightings),
        **{name: tm.Tensor(getattr(half, name).data[:, order]) for name in ("used", "last", "write_weighting")},
    )
    after, outputs = advance(model, half, inputs[7:])
    after_exchanged, outputs_exchanged = advance(model, exchanged, inputs[7:])
    numpy.testing.assert_allclose(outputs_exchanged.data, outputs.data, rtol=1e-10)
    numpy.testing.assert_allclose(after_exchanged.used.data, after.used.data[:, order], rtol=1e-10)
    assert not numpy.allclose(after_exchanged.used.data, after.used.data)


def test_at_the_start_all_locations_are_equal_and_the_sort_decides():
    seen = trace(build(), inputs_of())
    assert not seen["usage"][0].any()
    numpy.testing.assert_array_equal(seen["allocation"][0], numpy.eye(N)[[0] * BATCH])  # all free: the first one


# -- its gradient --------------------------------------------------------------------------------------------------------
@every_controller
@pytest.mark.parametrize("later", [False, True], ids=["from the start", "from a memory in use"])
def test_the_gradient_through_a_whole_sequence_is_right_for_every_parameter(controller, later):
    """From the start there are ties, among locations that are equal in everything; later there are none."""
    model, inputs = build(controller), inputs_of()
    state = advance(model, model.initial_state(BATCH), inputs_of(time=N + 2, seed=5))[0] if later else None
    if state is not None:
        assert min(abs(numpy.diff(numpy.sort(state.used.data))).ravel()) > 1e-6
    start = model.state()

    def outputs(*parameters):
        for name, parameter in zip(start, parameters, strict=True):
            install(model, name, parameter)
        return run(model, inputs) if state is None else advance(model, state, inputs)[1]

    report = check_grad(outputs, *start.values(), names=list(start), title=f"DNC, {controller} controller")
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
    task = CopySeriesTask(bits=2, length=2)
    model = build(controller, inputs=task.inputs, outputs=task.outputs)
    optimiser = GravesRMSProp(learning_rate=1e-2)
    slots = {name: optimiser.start(parameter.data) for name, parameter in model.parameters().items()}
    episode = task.batch(numpy.random.default_rng(5), BATCH, sequences=2)
    with strict.synchronisations() as seen:
        loss = bits_per_sequence(model, episode)
        loss.backward()
        value = loss.item()
        gradients = {name: parameter.grad for name, parameter in model.parameters().items()}
        apply_update(optimiser, model.parameters(), clip_elementwise(gradients, 10.0), slots, step=1)
    return value, bits_per_sequence(model, episode).item(), model.state(), seen.reasons


@every_controller
def test_a_training_step_lowers_the_loss(controller):
    before, after, _, _ = training_step(controller)
    assert after < before


@every_controller
def test_on_a_device_a_training_step_gives_the_same_numbers_and_waits_once(controller):
    before, after, parameters, _ = training_step(controller)
    with tm.use(strict.namespace):
        before_there, after_there, parameters_there, reasons = training_step(controller)
    assert reasons == ["item()"]
    assert (before_there, after_there) == (before, after)
    for name, array in parameters.items():
        numpy.testing.assert_array_equal(parameters_there[name], array, err_msg=name)


@every_controller
def test_on_a_device_the_trace_is_the_same(controller):
    on_host = trace(build(controller), inputs_of())
    with tm.use(strict.namespace):
        on_device = trace(build(controller), inputs_of())
    for name, array in on_host.items():
        numpy.testing.assert_array_equal(on_device[name], array, err_msg=name)


# -- compiled steps ------------------------------------------------------------------------------------------------------
@every_controller
def test_compiled_training_is_eager_training(controller, tmp_path):
    task = CopySeriesTask(bits=3, length=2, most=2)
    config = DNCConfig(task.inputs, task.outputs, controller, hidden=12, locations=4, width=5, read_heads=2)
    schedule = Schedule(20, batch=2, log_every=1, validate_every=50, checkpoint_every=20)

    def trained(eager):
        network = config.build(numpy.random.default_rng(0))
        course = Steady(lambda rng: task.batch(rng, schedule.batch), bits_per_sequence)
        folder = tmp_path / f"eager is {eager}"
        optimiser, rng = GravesRMSProp(1e-3), numpy.random.default_rng(1)
        history = train(network, course, optimiser, schedule, folder, rng=rng, progress=False, eager=eager)
        return [line["loss"] for line in history], network.state()

    (losses, parameters), (eager_losses, eager_parameters) = trained(False), trained(True)
    assert len(losses) == 20
    assert eager_losses[0] != pytest.approx(eager_losses[-1], rel=1e-4)  # something was learned
    numpy.testing.assert_allclose(losses, eager_losses, rtol=1e-5)
    for name, array in eager_parameters.items():
        numpy.testing.assert_allclose(parameters[name], array, rtol=1e-3, atol=1e-5, err_msg=name)


@every_controller
@pytest.mark.parametrize("batch", [1, 3])
def test_a_compiled_gradient_is_the_eager_one_to_the_last_digits(controller, batch):
    model, inputs = build(controller), inputs_of(batch, time=9)
    cotangent = numpy.random.default_rng(3).normal(size=(9, batch, Y))

    def step(inputs):
        for parameter in model.parameters().values():
            parameter.grad = None
        outputs = run(model, inputs)
        outputs.backward(cotangent)
        return outputs, {name: parameter.grad for name, parameter in model.parameters().items()}

    outputs, gradients = step(inputs)
    compiled = tm.compile(step, state=model)
    for _ in range(2):  # recorded, then run again
        again, gradients_again = compiled(inputs)
        numpy.testing.assert_allclose(again.data, outputs.data, rtol=1e-10, atol=1e-12)
        for name, gradient in gradients.items():
            numpy.testing.assert_allclose(tm.to_host(gradients_again[name]), gradient, rtol=1e-8, atol=1e-10, err_msg=name)


# -- bad input -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        *[
            ({name: bad}, "every size of a DNC must be a whole number, at least 1: DNCConfig(")
            for name in ("inputs", "outputs", "hidden", "locations", "width", "read_heads")
            for bad in (0, -1, 6.5, True)
        ],
        ({"controller": "lstn"}, "controller must be 'feedforward' or 'lstm', got 'lstn'"),
    ],
)
def test_a_configuration_that_cannot_be_built(changes, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        dataclasses.replace(SIZES, **changes)


@pytest.mark.parametrize("shape", [(4, 3), (4, 2, 3, 1), (0, 2, 3), (4, 0, 3)])
def test_inputs_that_are_no_sequence(shape):
    with pytest.raises(ValueError, match="needs inputs \\(time, batch, features\\)"):
        run(build(), tm.Tensor(numpy.ones(shape)))


@every_controller
def test_inputs_of_another_width_are_refused(controller):
    with pytest.raises(ValueError, match=r"this DNC takes input vectors of length 3, got inputs \(4, 2, 5\) \(time, batch, features\)"):
        run(build(controller), inputs_of(features=5))


def test_parameters_of_another_machine_are_refused_as_a_whole():
    model, other = build("feedforward"), build("lstm")
    before = model.state()
    with pytest.raises(ParameterError, match=r"missing: controller\.b.*|unknown: controller\.U") as caught:
        model.load_state(other.state())
    assert "controller.W has shape (16, 9), the model (4, 9)" in str(caught.value)
    for name, array in before.items():
        numpy.testing.assert_array_equal(model.state()[name], array)
