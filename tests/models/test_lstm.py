"""The stacked LSTM as a whole: shapes, trace, gradient through time, dtype, device, and configurations it refuses."""

from __future__ import annotations

import numpy
import pytest

import tinymem as tm
from tinymem.equations.recurrent import lstm_step
from tinymem.models.lstm import LSTMConfig
from tinymem.models.sequence import run, trace
from tinymem.tasks.algorithms import CopyTask
from tinymem.testing import strict
from tinymem.testing.check import check_grad
from tinymem.training.objectives import bits_per_sequence
from tinymem.training.optimisers import Adam, apply_update, clip_by_norm

TIME, BATCH, HIDDEN = 4, 2, 4


def build(dtype="float64", layers=2, seed=0, **changes):
    rng = numpy.random.default_rng(seed)
    model = LSTMConfig(**{"inputs": 3, "outputs": 2, "hidden": HIDDEN, "layers": layers, **changes}).build(rng, dtype)
    model.load_state({name: array + rng.normal(scale=0.3, size=array.shape) for name, array in model.state().items()})
    return model


def inputs_of(batch=BATCH, time=TIME, dtype="float64", seed=1):
    return tm.Tensor(numpy.random.default_rng(seed).normal(size=(time, batch, 3)), dtype=dtype)


def test_outputs_and_trace_have_their_shapes():
    seen = trace(build(), inputs_of())
    assert {name: array.shape for name, array in seen.items()} == {
        "input": (TIME, BATCH, 3),
        "output": (TIME, BATCH, 2),
        **{f"{name}.{layer}": (TIME, BATCH, HIDDEN) for name in "hc" for layer in (0, 1)},
    }
    numpy.testing.assert_array_equal(seen["output"], run(build(), inputs_of()).data)


def test_each_layer_is_the_equation_on_the_layer_below():
    model, inputs = build(), inputs_of()
    seen, parameters = trace(model, inputs), model.state()
    for t in range(TIME):
        x = inputs.data[t]
        for layer in (0, 1):
            W, U, b, h0, c0 = (parameters[f"cells.{layer}.{name}"] for name in ("W", "U", "b", "h0", "c0"))
            h = seen[f"h.{layer}"][t - 1] if t else numpy.repeat(h0, BATCH, 0)
            c = seen[f"c.{layer}"][t - 1] if t else numpy.repeat(c0, BATCH, 0)
            h, c = (tensor.data for tensor in lstm_step(*map(tm.Tensor, (x, h, c, W, U, b))))
            numpy.testing.assert_allclose(seen[f"h.{layer}"][t], h, rtol=1e-12)
            numpy.testing.assert_allclose(seen[f"c.{layer}"][t], c, rtol=1e-12)
            x = h
        numpy.testing.assert_allclose(seen["output"][t], x @ parameters["out.W"].T + parameters["out.b"], rtol=1e-12)


def test_a_batch_is_its_sequences_one_by_one():
    model, inputs = build(), inputs_of(batch=3)
    together = trace(model, inputs)
    for n in range(3):
        for name, array in trace(model, inputs[:, n : n + 1]).items():
            numpy.testing.assert_allclose(together[name][:, n : n + 1], array, rtol=1e-12, atol=1e-14, err_msg=name)


def test_the_forget_gate_starts_open():
    model = LSTMConfig(inputs=3, outputs=2, hidden=4, layers=2).build(numpy.random.default_rng(0))
    for cell in model.cells:
        numpy.testing.assert_array_equal(cell.b.data, [0] * 4 + [1] * 4 + [0] * 8)
    assert model.count_parameters() == 16 * (3 + 4 + 1) + 16 * (4 + 4 + 1) + 2 * 2 * 4 + 2 * 4 + 2


@pytest.mark.parametrize("layers", [1, 2])
def test_the_gradient_through_a_whole_sequence_is_right_for_every_parameter(layers):
    model, inputs = build(layers=layers), inputs_of()
    start = model.state()

    def outputs(*parameters):
        for name, parameter in zip(start, parameters, strict=True):
            home, _, last = name.rpartition(".")
            setattr(model.out if home == "out" else model.cells[int(home.rpartition(".")[2])], last, parameter)
        return run(model, inputs)

    report = check_grad(outputs, *start.values(), names=list(start), title="LSTM")
    assert report.methods == ("complex step", "complex step")


def test_float32_stays_float32_everywhere():
    model, inputs = build("float32"), inputs_of(dtype="float32")
    assert {str(array.dtype) for array in trace(model, inputs).values()} == {"float32"}
    outputs = run(model, inputs)
    outputs.backward(numpy.ones(outputs.shape, "float32"))
    assert {str(parameter.grad.dtype) for parameter in model.parameters().values()} == {"float32"}


def training_step():
    task = CopyTask(bits=2, longest=3)
    model = build(inputs=task.inputs, outputs=task.outputs)
    optimiser = Adam()
    slots = {name: optimiser.start(parameter.data) for name, parameter in model.parameters().items()}
    episode = task.batch(numpy.random.default_rng(5), BATCH, length=2)
    with strict.synchronisations() as seen:
        loss = bits_per_sequence(model, episode)
        loss.backward()
        value = loss.item()
        gradients = {name: parameter.grad for name, parameter in model.parameters().items()}
        apply_update(optimiser, model.parameters(), clip_by_norm(gradients, 0.1), slots, step=1)
    return value, model.state(), seen.reasons


def test_on_a_device_a_training_step_gives_the_same_numbers_and_waits_once():
    value, parameters, _ = training_step()
    with tm.use(strict.namespace):
        value_there, parameters_there, reasons = training_step()
    assert reasons == ["item()"]
    assert value_there == value
    for name, array in parameters.items():
        numpy.testing.assert_array_equal(parameters_there[name], array, err_msg=name)


@pytest.mark.parametrize("field", ["inputs", "outputs", "hidden", "layers"])
@pytest.mark.parametrize("size", [0, -1])
def test_a_configuration_that_cannot_be_built(field, size):
    with pytest.raises(ValueError, match="every size of an LSTM must be a whole number, at least 1"):
        LSTMConfig(**{"inputs": 3, "outputs": 2, field: size})
