"""The captioner as a whole: the paper's equations, what hard attention looks at, gradients, dtype, device, a recorded update, refusals."""

from __future__ import annotations

import numpy
import pytest

import tinymem as tm
from tinymem.models.captioner import CaptionerConfig
from tinymem.testing import strict
from tinymem.testing.check import check_grad

SMALL = {"words": 5, "locations": 4, "features": 3, "embedding": 2, "hidden": 3, "score_hidden": 2, "scale": 0.5}
TIME, BATCH = 3, 2
ATTENTIONS = ["start", "none", "soft", "hard"]


def build(attention="soft", dtype="float64", seed=0, **changes):
    rng = numpy.random.default_rng(seed)
    model = CaptionerConfig(**{**SMALL, "attention": attention, **changes}).build(rng, dtype)
    model.load_state({name: array + rng.normal(scale=0.5, size=array.shape) for name, array in model.state().items()})
    return model


def annotations_of(batch=BATCH, dtype="float64", seed=1, locations=4):
    return tm.Tensor(numpy.random.default_rng(seed).normal(size=(batch, locations, 3)), dtype=dtype)


def words_of(batch=BATCH, time=TIME, seed=2):
    return numpy.random.default_rng(seed).integers(0, 5, (time, batch))


def points_of(batch=BATCH, time=TIME, dtype="float64", seed=3):
    return tm.Tensor(numpy.random.default_rng(seed).random((time, batch, 1)), dtype=dtype)


def sigmoid(x):
    return 1 / (1 + numpy.exp(-x))


def by_hand(model, annotations, words, looked=None):
    """The paper's equations for one picture, word by word in NumPy; `looked` gives what is looked at, else the expectation."""
    p = model.state()
    a = annotations * model.config.scale
    if model.config.coordinates:
        side = round(len(a) ** 0.5)
        grid = [(2 * row / (side - 1) - 1, 2 * column / (side - 1) - 1) for row in range(side) for column in range(side)]
        a = numpy.concatenate([a, grid], 1)
    h, c = (numpy.tanh(p[f"start_{x}.W"] @ a.mean(0) + p[f"start_{x}.b"]) for x in "hc")
    logits, weights = [], []
    for time, word in enumerate(words):
        if model.config.attention in ("start", "none"):
            alpha = numpy.full(len(a), 1 / len(a))
        else:
            scores = numpy.array([p["w3"] @ numpy.tanh(p["W1"] @ h + p["W2"] @ place) for place in a])
            alpha = numpy.exp(scores) / numpy.exp(scores).sum()
        share = alpha if looked is None else looked[time]
        z = sigmoid(p["gate.W"] @ h + p["gate.b"]) * sum(weight * place for weight, place in zip(share, a, strict=True))
        if model.config.attention == "start":
            z = numpy.zeros(a.shape[1])
        i, f, o, candidate = numpy.split(p["W"] @ numpy.concatenate([p["E"][word], z]) + p["U"] @ h + p["b"], 4)
        c = sigmoid(f) * c + sigmoid(i) * numpy.tanh(candidate)
        h = sigmoid(o) * numpy.tanh(c)
        logits.append(p["out.W"] @ (p["E"][word] + p["L_h"] @ h + p["L_z"] @ z) + p["out.b"])
        weights.append(alpha)
    return numpy.array(logits), numpy.array(weights)


@pytest.mark.parametrize("coordinates", [True, False])
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_it_is_the_papers_equations(attention, coordinates):
    model, annotations, words = build(attention, coordinates=coordinates), annotations_of(), words_of()
    told = model.told(annotations, words)
    for lane in range(BATCH):
        logits, weights = by_hand(model, annotations.data[lane], words[:, lane])
        numpy.testing.assert_allclose(told.logits.data[:, lane], logits, rtol=1e-10)
        numpy.testing.assert_allclose(told.weights.data[:, lane], weights, rtol=1e-10)


@pytest.mark.parametrize("choice", ["argmax", "sample"])
def test_hard_attention_looks_at_one_place_and_tells_from_it(choice):
    model, annotations, words = build("hard"), annotations_of(), words_of()
    told = model.told(annotations, words, choice, points_of() if choice == "sample" else None)
    places = told.places.data
    assert set(numpy.unique(places)) == {0.0, 1.0}
    assert (places.sum(2) == 1).all()
    if choice == "argmax":
        numpy.testing.assert_array_equal(places.argmax(2), told.weights.data.argmax(2))
    for lane in range(BATCH):
        logits, weights = by_hand(model, annotations.data[lane], words[:, lane], places[:, lane])
        numpy.testing.assert_allclose(told.logits.data[:, lane], logits, rtol=1e-10)
        numpy.testing.assert_allclose(told.weights.data[:, lane], weights, rtol=1e-10)


def test_places_are_drawn_by_their_weights():
    model, lanes = build("hard"), 4000
    annotations = tm.Tensor(numpy.repeat(annotations_of(1).data, lanes, 0))
    told = model.told(annotations, numpy.zeros((1, lanes), int), "sample", points_of(lanes, 1))
    numpy.testing.assert_allclose(told.places.data[0].mean(0), told.weights.data[0, 0], atol=4 * 0.5 / lanes**0.5)


def test_with_one_place_hard_is_soft():
    annotations, words = annotations_of(locations=1), words_of()
    model = build("hard", locations=1)
    soft = model.told(annotations, words)
    for told in (model.told(annotations, words, "argmax"), model.told(annotations, words, "sample", points_of())):
        numpy.testing.assert_array_equal(told.logits.data, soft.logits.data)
        numpy.testing.assert_array_equal(told.places.data, soft.weights.data)


def test_where_nothing_is_drawn_the_expectation_is_taken_gradient_included():
    model, annotations, words = build("hard"), annotations_of(), words_of()
    found = {}
    for drawn in (True, False, None):
        for parameter in model.parameters().values():
            parameter.grad = None
        flag = None if drawn is None else tm.Tensor(numpy.array([[drawn]]))
        told = model.told(annotations, words) if drawn is None else model.told(annotations, words, "sample", points_of(), flag)
        told.logits.backward(numpy.random.default_rng(0).normal(size=told.logits.shape))
        found[drawn] = told.logits.data, {name: p.grad for name, p in model.parameters().items()}
    numpy.testing.assert_array_equal(found[False][0], found[None][0])
    for name, gradient in found[None][1].items():
        numpy.testing.assert_allclose(found[False][1][name], gradient, rtol=1e-10, atol=1e-13, err_msg=name)
    assert not numpy.allclose(found[True][0], found[None][0])
    assert found[True][1]["w3"] is None or not found[True][1]["w3"].any()  # a drawn place tells the scores nothing


def test_what_the_expectation_would_have_told_is_told_from_the_state_that_was_reached():
    """At the first word it is soft attention's; later the states differ, for other places were looked at before."""
    model, annotations, words = build("hard"), annotations_of(), words_of()
    told, soft = model.told(annotations, words, "sample", points_of()), model.told(annotations, words)
    numpy.testing.assert_allclose(told.expected.data[0], soft.logits.data[0], rtol=1e-12)
    looked = told.places.data.copy()
    for lane in range(BATCH):
        mixed = looked[:, lane].copy()
        mixed[1] = told.weights.data[1, lane]
        numpy.testing.assert_allclose(
            told.expected.data[1, lane], by_hand(model, annotations.data[lane], words[:, lane], mixed)[0][1], rtol=1e-10
        )


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_batch_is_its_pictures_one_by_one(attention):
    model, annotations, words = build(attention), annotations_of(3), words_of(3)
    together = model.told(annotations, words).logits.data
    for lane in range(3):
        alone = model.told(annotations[lane : lane + 1], words[:, lane : lane + 1]).logits.data
        numpy.testing.assert_allclose(together[:, lane : lane + 1], alone, rtol=1e-10)


def test_writing_word_by_word_is_telling():
    model, annotations, words = build(), annotations_of(), words_of()
    told, view = model.told(annotations, words), model.view(annotations)
    state = model.begin(view)
    for time in range(TIME):
        state, logits = model.word(view, state, words[time])
        numpy.testing.assert_allclose(logits.data, told.logits.data[time], rtol=1e-12)
        assert {name: value.shape for name, value in state.quantities().items()} == {
            "h": (2, 3), "c": (2, 3), "weights": (2, 4), "place": (2, 4), "gate": (2, 1),
        }  # fmt: skip
        numpy.testing.assert_array_equal(state.weights.data, told.weights.data[time])
        numpy.testing.assert_array_equal(state.gate.data, told.gates.data[time])


@pytest.mark.parametrize("attention", ["none", "soft"])
def test_the_gradient_is_right_for_every_parameter_and_the_annotations(attention):
    model, annotations, words = build(attention), annotations_of(), words_of(time=2)
    start = model.state()

    def logits(features, *parameters):
        for name, value in zip(start, parameters, strict=True):
            home, _, last = name.rpartition(".")
            setattr(getattr(model, home) if home else model, last, value)
        return model.told(features, words[:2]).logits

    check_grad(logits, annotations.data, *start.values(), names=["annotations", *start])


def test_float32_stays_float32_everywhere():
    model = build("hard", "float32")
    told = model.told(annotations_of(dtype="float32"), words_of(), "sample", points_of(dtype="float32"), tm.Tensor(numpy.array([[False]])))
    assert {str(value.dtype) for value in vars(told).values()} == {"float32"}
    told.logits.backward(numpy.ones(told.logits.shape, "float32"))
    assert {str(parameter.grad.dtype) for parameter in model.parameters().values()} == {"float32"}


@pytest.mark.parametrize("choice", ["expectation", "argmax", "sample"])
def test_on_a_device_it_gives_the_same_numbers_and_does_not_wait(choice):
    def logits(model):
        told = model.told(annotations_of(), tm.asarray(words_of()), choice, points_of() if choice == "sample" else None)
        told.logits.backward(tm.asarray(numpy.ones(told.logits.shape)))
        return told.logits, model.out.W.grad

    here = logits(build("hard"))
    with tm.use(strict.namespace):
        model = build("hard")
        with strict.forbid_synchronisation():
            there = logits(model)
        for ours, theirs in zip(here, there, strict=True):
            numpy.testing.assert_allclose(tm.to_host(theirs), tm.to_host(ours), rtol=1e-12)


@pytest.mark.parametrize("lowering", ["numpy", "c"])
def test_a_recorded_update_is_the_eager_one(lowering):
    def updated(compiled):
        model = build("hard")

        def step(annotations, words, points, sampled):
            for parameter in model.parameters().values():
                parameter.grad = None
            told = model.told(annotations, words, "sample", tm.Tensor(points), tm.Tensor(sampled))
            loss = (told.logits * told.logits).mean()
            loss.backward()
            for parameter in model.parameters().values():
                if parameter.grad is not None:
                    parameter.data = parameter.data - 0.1 * parameter.grad
            return loss

        run = tm.compile(step, state=model, lowering=lowering) if compiled else step
        for seed in range(4):
            run(annotations_of(seed=seed).data, words_of(seed=seed), points_of(seed=seed).data, numpy.array([[seed % 2 == 0]]))
        return model.state()

    eager, recorded = updated(False), updated(True)
    for name, array in eager.items():
        numpy.testing.assert_allclose(recorded[name], array, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"words": 0}, "whole number, at least 1"),
        ({"hidden": 2.0}, "whole number, at least 1"),
        ({"scale": 0}, "scale positive"),
        ({"locations": 5}, "5 locations fill none"),
        ({"attention": "strong"}, "start, none, soft, hard, got 'strong'"),
    ],
)
def test_configurations_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        CaptionerConfig(**{**SMALL, **changes})


@pytest.mark.parametrize("shape", [(4, 3), (2, 5, 3), (2, 4, 4)])
def test_annotations_of_another_shape_are_refused(shape):
    with pytest.raises(tm.OperandError, match=r"annotations must be \(batch, 4, 3\), got .*annotations\[None\]"):
        build().told(tm.Tensor(numpy.zeros(shape)), words_of())


def test_a_draw_needs_its_points_and_nothing_else_takes_them():
    with pytest.raises(ValueError, match="'sample' needs points"):
        build("hard").told(annotations_of(), words_of(), "sample")
    with pytest.raises(ValueError, match="'sample' needs points"):
        build("hard").told(annotations_of(), words_of(), "argmax", points_of())
    with pytest.raises(ValueError, match="expectation, argmax, sample"):
        build("hard").told(annotations_of(), words_of(), "best")
