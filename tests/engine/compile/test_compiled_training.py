"""The training loop by compiled steps: the same run as by eager ones, resumed bit for bit, and stopped before a poisoned update."""

import dataclasses

import numpy as np
import pytest

import tinymem as tm
from tinymem.models.lstm import LSTMConfig
from tinymem.models.module import Module, parameter
from tinymem.models.ntm import NTMConfig
from tinymem.tasks.algorithms import CopyTask
from tinymem.training.checkpoints import load_checkpoint
from tinymem.training.loop import NonFiniteError, Schedule, Steady, train, update_step
from tinymem.training.objectives import bits_per_sequence
from tinymem.training.optimisers import SGD, Adam, GravesRMSProp
from tinymem.training.runfolder import LAST

TASK = CopyTask(bits=3, shortest=2, longest=2)
NTM = NTMConfig(TASK.inputs, TASK.outputs, hidden=12, locations=6, width=5)
SHORT = Schedule(20, batch=2, log_every=1, validate_every=50, checkpoint_every=5)


def trained(folder, *, model=NTM, loss=bits_per_sequence, optimiser=None, schedule=SHORT, **options):
    network = model.build(np.random.default_rng(0))
    history = train(
        network,
        Steady(lambda rng: TASK.batch(rng, schedule.batch), loss),
        optimiser or GravesRMSProp(1e-3),
        schedule,
        folder,
        rng=np.random.default_rng(1),
        progress=False,
        **options,
    )
    return [line["loss"] for line in history], network


@pytest.mark.parametrize(
    ("model", "optimiser", "clip_by"),
    [
        (NTM, GravesRMSProp(1e-3), "element"),
        (dataclasses.replace(NTM, controller="lstm", read_heads=2), Adam(1e-3), "norm"),
        (LSTMConfig(TASK.inputs, TASK.outputs, hidden=8, layers=2), SGD(1e-2, momentum=0.9), "element"),
    ],
)
def test_compiled_training_is_eager_training(tmp_path, model, optimiser, clip_by):
    schedule = dataclasses.replace(SHORT, clip_by=clip_by, clip=0.5)
    compiled, network = trained(tmp_path / "compiled", model=model, optimiser=optimiser, schedule=schedule)
    eager, twin = trained(tmp_path / "eager", model=model, optimiser=optimiser, schedule=schedule, eager=True)
    assert len(compiled) == 20
    np.testing.assert_allclose(compiled, eager, rtol=1e-5)
    assert eager[0] != pytest.approx(eager[-1], rel=1e-4)  # something was learned
    for (name, a), b in zip(network.state().items(), twin.state().values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("optimiser", [GravesRMSProp(1e-3), Adam(1e-3), SGD(1e-2, momentum=0.9)])
def test_a_resumed_run_ends_bit_for_bit_as_an_uninterrupted_one(tmp_path, optimiser):
    trained(tmp_path / "whole", optimiser=optimiser)
    for updates in (5, 10, 20):
        trained(tmp_path / "parts", optimiser=optimiser, schedule=dataclasses.replace(SHORT, updates=updates))
    whole, note = load_checkpoint(tmp_path / "whole" / LAST)
    parts, other = load_checkpoint(tmp_path / "parts" / LAST)
    assert {name: a.tobytes() for name, a in whole.items()} == {name: a.tobytes() for name, a in parts.items()}
    assert note["rng"] == other["rng"]


def test_a_run_begun_eagerly_goes_on_compiled(tmp_path):
    eager, _ = trained(tmp_path / "eager", eager=True)
    trained(tmp_path / "mixed", eager=True, schedule=dataclasses.replace(SHORT, updates=10))
    mixed, _ = trained(tmp_path / "mixed")
    np.testing.assert_allclose(mixed, eager, rtol=1e-5)


def poisoned_loss(model, episode):
    return bits_per_sequence(model, episode) + tm.log(0 * tm.sum(model.out.b) - 1)


def poisoned_gradient(model, episode):
    return bits_per_sequence(model, episode) + (model.out.b * 0).sum() ** 0.5  # a square root at 0: its slope is infinite


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize(
    ("loss", "named"), [(poisoned_loss, "update 1: the loss"), (poisoned_gradient, r"update 1: the gradient of out\.b is not finite")]
)
def test_a_loss_or_gradient_that_is_not_finite_names_update_and_parameter_and_changes_nothing(tmp_path, loss, named, eager):
    before = NTM.build(np.random.default_rng(0))
    network = NTM.build(np.random.default_rng(0))
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError, match=named):
        train(
            network,
            Steady(lambda rng: TASK.batch(rng, 2), loss),
            SGD(),
            SHORT,
            tmp_path,
            rng=np.random.default_rng(1),
            progress=False,
            eager=eager,
        )
    for (name, a), b in zip(network.state().items(), before.state().values(), strict=True):
        assert np.array_equal(a, b), name


@pytest.mark.parametrize("eager", [False, True])
def test_a_poisoned_batch_later_on_is_named_and_not_applied(tmp_path, eager):
    network, seen = NTM.build(np.random.default_rng(0)), []

    def draw(rng):
        seen.append(network.state())
        episode = TASK.batch(rng, 2)
        return dataclasses.replace(episode, inputs=episode.inputs * np.float32("nan")) if len(seen) == 8 else episode

    with np.errstate(all="ignore"), pytest.raises(NonFiniteError, match=r"update 8: the loss.*last finite checkpoint is"):
        train(
            network, Steady(draw, bits_per_sequence), Adam(1e-3), SHORT, tmp_path, rng=np.random.default_rng(1), progress=False, eager=eager
        )
    for name, array in network.state().items():
        assert np.isfinite(array).all(), name
        assert np.array_equal(array, seen[-1][name]), name
    assert load_checkpoint(tmp_path / LAST)[1]["update"] == 5


def test_a_loss_is_recorded_twice_for_each_length_and_never_called_again(tmp_path):
    lengths, calls = iter([1, 2, 1, 2, 2, 1, 3, 3]), []

    def loss(model, episode):
        calls.append(episode.inputs.shape[0])
        return bits_per_sequence(model, episode)

    network = NTM.build(np.random.default_rng(0))
    schedule = Schedule(8, batch=2, log_every=1)
    train(
        network,
        Steady(lambda rng: TASK.batch(rng, 2, length=next(lengths)), loss),
        SGD(1e-3),
        schedule,
        tmp_path,
        rng=np.random.default_rng(0),
        progress=False,
    )
    assert calls == [3, 3, 5, 5, 7, 7]


def test_a_loss_that_cannot_be_compiled_is_refused_with_its_line_and_runs_eagerly(tmp_path):
    def loss(model, episode):
        value = bits_per_sequence(model, episode)
        return value * 2 if value.item() > 0 else value

    with pytest.raises(tm.RecordingError, match=r"test_compiled_training\.py:\d+"):
        trained(tmp_path / "compiled", loss=loss)
    assert len(trained(tmp_path / "eager", loss=loss, eager=True)[0]) == 20


def test_drawn_numbers_in_a_loss_are_part_of_the_run(tmp_path):
    """Noise drawn with `draw` from a generator of its own is the same stream in both modes."""

    def noisy(seed):
        rng = np.random.default_rng(seed)

        def loss(model, episode):
            noise = tm.draw(rng, "standard_normal", episode.inputs.shape)
            return bits_per_sequence(model, dataclasses.replace(episode, inputs=tm.Tensor(episode.inputs) + 0.1 * noise))

        return loss

    compiled, _ = trained(tmp_path / "compiled", loss=noisy(5))
    eager, _ = trained(tmp_path / "eager", loss=noisy(5), eager=True)
    other, _ = trained(tmp_path / "other", loss=noisy(6))
    np.testing.assert_allclose(compiled, eager, rtol=1e-5)
    assert compiled != other


@pytest.mark.parametrize("eager", [True, False])
def test_finite_gradients_whose_sum_overflows_are_applied(eager):
    class Pair(Module):
        def __init__(self):
            self.a, self.b = parameter([0.0], "float32"), parameter([0.0], "float32")

    model, optimiser = Pair(), SGD(0.1)
    slots = {name: {} for name in model.parameters()}
    step = update_step(model, lambda model, x: ((model.a + model.b) * tm.Tensor(x)).sum(), optimiser, Schedule(1), slots)
    if not eager:
        step = tm.compile(step, state={"parameter": model, "slot": slots})
    report = step(np.array([3e38], "float32"), 1)
    assert np.isfinite(report).all()
    assert model.a.data[0] == model.b.data[0] == np.float32(-1.0)  # clipped at 10, times the learning rate
