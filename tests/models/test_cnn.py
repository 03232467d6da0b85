"""The convolutional encoder as a whole: shapes, what an annotation sees, gradient, dtype, device, a recorded step, and what it refuses."""

from __future__ import annotations

import numpy
import pytest

import tinymem as tm
from tinymem.models.cnn import EncoderConfig
from tinymem.testing import strict
from tinymem.testing.check import check_grad

SMALL = EncoderConfig(size=8, width=2, halvings=2, classes=3)


def build(config=SMALL, dtype="float64", seed=0):
    rng = numpy.random.default_rng(seed)
    model = config.build(rng, dtype)
    model.load_state({name: array + rng.normal(scale=0.1, size=array.shape) for name, array in model.state().items()})
    return model


def pictures_of(config=SMALL, batch=2, dtype="float64", seed=1):
    shape = batch, config.size, config.size, config.channels
    return tm.Tensor(numpy.random.default_rng(seed).uniform(size=shape), dtype=dtype)


def test_the_lectures_encoder_has_64_locations_of_64_features():
    config = EncoderConfig()
    assert (config.grid, config.locations, config.features, config.cell, config.receptive_field) == (8, 64, 64, 8, 30)
    model = build(config, "float32")
    annotations = model.annotations(pictures_of(config, dtype="float32"))
    assert annotations.shape == (2, 64, 64)
    assert annotations.dtype == numpy.float32
    assert model(pictures_of(config, dtype="float32")).shape == (2, 48)


@pytest.mark.parametrize("config", [EncoderConfig(size=24, width=2, halvings=2), EncoderConfig(size=64, width=2)], ids=["24", "64"])
def test_an_annotation_sees_its_receptive_field_around_its_own_cell(config):
    """The gradient of an annotation is zero outside of a square of `receptive_field` pixels with its cell in the middle, and fills it."""
    place = config.grid // 2
    seen = numpy.zeros((config.size, config.size), bool)
    pictures = pictures_of(config, batch=1)
    for seed in range(8):  # a relu may be shut: several weights find the way
        tracked = tm.Tensor(pictures.data, requires_grad=True)
        annotation = build(config, seed=seed).annotations(tracked)[0, place * config.grid + place]
        annotation.backward(numpy.random.default_rng(seed).normal(size=config.features))
        seen |= (tracked.grad[0] != 0).any(-1)
    start = place * config.cell - (config.receptive_field - config.cell) // 2
    square = slice(start, start + config.receptive_field)
    assert 0 <= start < start + config.receptive_field <= config.size
    assert seen[square, square].all()
    assert seen.sum() == config.receptive_field**2


def test_locations_go_row_by_row():
    model, pictures = build(), pictures_of()
    maps = model.feature_maps(pictures).data  # (B, 2, 2, F)
    annotations = model.annotations(pictures).data
    for row, column in numpy.ndindex(2, 2):
        numpy.testing.assert_array_equal(annotations[:, row * 2 + column], maps[:, row, column])


def test_the_classifier_reads_the_mean_annotation():
    model, pictures = build(), pictures_of()
    mean = model.annotations(pictures).data.mean(1)
    numpy.testing.assert_allclose(model(pictures).data, mean @ model.out.W.data.T + model.out.b.data, rtol=1e-12)


def test_a_smaller_picture_is_classified_too():
    model = build()
    assert model(pictures_of(EncoderConfig(size=4, width=2, halvings=2))).shape == (2, 3)


def test_a_batch_is_its_pictures_one_by_one():
    model, pictures = build(), pictures_of(batch=3)
    together = model.annotations(pictures).data
    for lane in range(3):
        numpy.testing.assert_allclose(model.annotations(pictures[lane : lane + 1]).data[0], together[lane], rtol=1e-12)


def test_gradients_of_pictures_and_parameters_are_right(backend):
    config = EncoderConfig(size=4, width=2, halvings=1, classes=2)
    model = build(config)
    names, values = zip(*model.state().items(), strict=True)

    def logits(pictures, *parameters):
        for name, value in zip(names, parameters, strict=True):
            owner = model
            *path, last = name.split(".")
            for part in path:
                owner = owner[int(part)] if part.isdigit() else getattr(owner, part)
            setattr(owner, last, value)
        return model(pictures)

    check_grad(logits, pictures_of(config).data, *values)


def test_frozen_it_leaves_no_tape():
    model = build()
    with tm.no_grad():
        annotations = model.annotations(pictures_of())
    assert not annotations.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters().values())


def test_training_runs_on_the_device_with_no_synchronisation():
    with tm.use(strict.namespace):
        model, pictures, classes = build(dtype="float32"), pictures_of(dtype="float32"), tm.asarray(numpy.array([0, 2]))
        with strict.forbid_synchronisation():
            tm.categorical_loss(model(pictures), classes).sum().backward()
        assert all(parameter.grad is not None for parameter in model.parameters().values())


@pytest.mark.parametrize("lowering", ["numpy", "c"])
def test_a_recorded_update_is_the_eager_one(lowering):
    def updated(compiled):
        model = build()

        def step(pictures, classes):
            for parameter in model.parameters().values():
                parameter.grad = None
            loss = tm.categorical_loss(model(tm.Tensor(pictures)), classes).mean()
            loss.backward()
            for parameter in model.parameters().values():
                parameter.data = parameter.data - 0.1 * parameter.grad
            return loss

        run = tm.compile(step, state=model, lowering=lowering) if compiled else step
        for seed in range(3):
            run(pictures_of(seed=seed).data, numpy.array([seed, 1]))
        return model.state()

    eager, recorded = updated(False), updated(True)
    for name, array in eager.items():
        numpy.testing.assert_allclose(recorded[name], array, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"width": 0}, "whole number, at least 1"), ({"size": 2.0}, "whole number, at least 1"), ({"size": 60}, "take a multiple of 8")],
)
def test_sizes_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        EncoderConfig(**changes)


@pytest.mark.parametrize("shape", [(8, 8, 3), (2, 8, 4, 3), (2, 8, 8, 1), (2, 3, 8, 8)])
def test_pictures_of_another_size_are_refused(shape):
    with pytest.raises(tm.OperandError, match=r"pictures must be \(batch, 8, 8, 3\), got .*picture\[None\]"):
        build().annotations(tm.Tensor(numpy.zeros(shape)))
