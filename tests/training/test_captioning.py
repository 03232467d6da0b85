"""The encoder's training as a classifier of crops, annotations computed once, and the decoders' courses."""

import itertools
import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest

import tinymem as tm
from tinymem.equations.attention import doubly_stochastic_penalty
from tinymem.models.captioner import CaptionerConfig
from tinymem.models.cnn import EncoderConfig
from tinymem.tasks.scenes import (
    CaptionBatch,
    Crops,
    CropTask,
    SceneError,
    SceneTask,
    captions_of,
    encode,
    longest_caption,
    pictures_of,
    split_of,
    vocabulary,
)
from tinymem.testing import strict
from tinymem.training import captioning
from tinymem.training.caption_writing import END_NUMBER, CaptionScore, Writer, attention_of, score_captions
from tinymem.training.captioning import (
    Annotated,
    CaptionCourse,
    Captioning,
    Minibatch,
    Reinforce,
    annotations_of,
    bits_per_picture,
    classifier,
    crop_accuracy,
    crop_course,
    looked_at,
    shipped_encoder,
    training_scenes,
)
from tinymem.training.checkpoints import CheckpointError, load_checkpoint
from tinymem.training.experiment import Experiment, run_experiment
from tinymem.training.loop import Schedule, Stopped, train
from tinymem.training.optimisers import Adam, apply_update

TASK = CropTask(side=20)
SMALL = EncoderConfig(width=4, halvings=2)


@pytest.fixture
def few_held_out(monkeypatch):
    monkeypatch.setattr(captioning, "HELD_OUT", 24)


def build(config=SMALL, dtype="float32", seed=0):
    return config.build(np.random.default_rng(seed), dtype)


def test_an_encoder_that_says_nothing_costs_the_bits_of_its_classes():
    model = build()
    model.out.W.data = np.zeros_like(model.out.W.data)
    assert bits_per_picture(model, TASK.batch(np.random.default_rng(0), 5)).item() == pytest.approx(np.log2(48), rel=1e-6)


def test_accuracy_is_the_share_of_right_answers_whatever_the_number_of_crops():
    crops = TASK.batch(np.random.default_rng(0), 70)  # more than fit side by side
    answers = iter([crops.classes[:64], np.concatenate([crops.classes[64:] + 1, np.zeros(58, int)])])
    assert crop_accuracy(lambda pictures: next(answers), crops) == pytest.approx(64 / 70)


@pytest.mark.parametrize("eager", [True, False])
def test_annotations_are_those_of_the_model_picture_by_picture(eager):
    model, pictures = build(dtype="float64"), pictures_of(SceneTask().scenes(np.random.default_rng(0), 67))
    found = annotations_of(model, pictures, eager)
    assert found.shape == (67, 256, 8)
    for lane in (0, 63, 64, 66):
        np.testing.assert_allclose(found[lane], model.annotations(tm.Tensor(pictures[lane : lane + 1])).data[0], rtol=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match="at least one picture"):
        annotations_of(model, pictures[:0])


def test_held_out_crops_are_of_validation_scenes_and_those_of_the_seed(few_held_out, monkeypatch):
    asked = []
    batch = CropTask.batch
    monkeypatch.setattr(
        CropTask, "batch", lambda self, rng, size, split="train": asked.append((size, split)) or batch(self, rng, size, split)
    )
    course = crop_course(TASK, 3, seed=0, eager=True)
    crops = course.draw(np.random.default_rng(0))
    assert asked == [(24, "validation"), (3, "train")]
    assert isinstance(crops, Crops)
    model = build()
    assert course.validate(model) == crop_course(TASK, 3, seed=0, eager=True).validate(model)


def test_a_short_training_learns_to_tell_objects_apart(few_held_out, tmp_path):
    """From 1 of 48 right to better than 1 of 5 within 60 updates, by compiled steps."""
    model = build(EncoderConfig(width=8, halvings=2))
    schedule = Schedule(60, 48, log_every=20, validate_every=60, checkpoint_every=60)
    log = train(model, crop_course(TASK, 48, 0), Adam(1e-2), schedule, tmp_path, rng=np.random.default_rng(1), progress=False)
    assert log[-1]["loss"] < log[0]["loss"] - 1
    assert crop_accuracy(classifier(model), TASK.batch(np.random.default_rng(2), 256, "test")) > 0.2


# --- decoders ---

LOCATIONS, FEATURES, SCENES, WORDS = 4, 3, 10, len(vocabulary())
HARD = Captioning(reinforce=Reinforce(factor=0.5))


def captioner(attention="hard", dtype="float64", seed=0, words=WORDS, locations=LOCATIONS, coordinates=True):
    config = CaptionerConfig(words, attention, locations, FEATURES, 4, 5, 3, scale=1.0, coordinates=coordinates)
    return config.build(np.random.default_rng(seed), dtype)


@pytest.fixture
def tiny(monkeypatch):
    """Ten scenes whose annotations are chance: no encoder is asked."""

    def few(task, *rest):
        scenes = tuple(task.scenes(np.random.default_rng(0), SCENES))
        features = np.random.default_rng(1).normal(size=(SCENES, LOCATIONS, FEATURES)).astype(np.float32)
        return Annotated(scenes, features, captions_of(scenes, longest_caption()))

    monkeypatch.setattr(captioning, "training_scenes", few)
    monkeypatch.setattr(captioning, "validation_scenes", few)
    return few(SceneTask())


def course_of(model, captioning=HARD, updates=20, batch=4, seed=0, eager=True):
    return CaptionCourse(captioning, model, Schedule(updates, batch), seed, eager)


def gradients(model, loss):
    for parameter in model.parameters().values():
        parameter.grad = None
    loss.backward()
    return {name: np.zeros(p.shape) if p.grad is None else np.array(p.grad) for name, p in model.parameters().items()}


def sampled(batch, drawn):
    return Minibatch(batch.annotations, batch.captions, batch.points, np.array([[drawn]]))


@pytest.mark.parametrize(
    ("attention", "how"),
    [
        ("none", Captioning()),
        ("soft", Captioning()),
        ("soft", Captioning(doubly_stochastic=2.0)),
        ("hard", HARD),
        ("hard", Captioning(reinforce=Reinforce(credit="word", baseline="expectation", entropy=0.1))),
    ],
)
def test_the_loss_is_bits_per_word_whatever_steers_the_attention(tiny, attention, how):
    model = captioner(attention)
    course = course_of(model, how)
    batch = course.draw(np.random.default_rng(0))
    told = captioning._told(model, batch, attention == "hard")
    logs = tm.log_softmax(told.logits, 2).data
    bits = [-logs[t, b, batch.captions.targets[t, b]] / np.log(2) for t, b in zip(*np.nonzero(batch.captions.mask), strict=True)]
    assert course.loss(model, batch).item() == pytest.approx(np.mean(bits), rel=1e-7)  # the number of words is counted in float32


def test_a_model_that_says_nothing_costs_the_bits_of_the_vocabulary(tiny):
    model = captioner("soft")
    model.out.W.data = np.zeros_like(model.out.W.data)
    course = course_of(model, Captioning())
    assert course.validate(model) == pytest.approx(np.log2(len(vocabulary())), rel=1e-6)


def enumerated(model, annotations, words):
    """Points that draw each possible sequence of places, with its probability as a Tensor and what was told: one picture."""
    time, found = len(words), []
    for wanted in itertools.product(range(annotations.shape[1]), repeat=time):
        points = np.zeros((time, 1, 1))
        for t, place in enumerate(wanted):  # the weights at t depend on the places before
            weights = model.told(annotations, words, "sample", tm.Tensor(points)).weights.data[t, 0]
            points[t] = weights[:place].sum() + weights[place] / 2
        told = model.told(annotations, words, "sample", tm.Tensor(points))
        assert tuple(told.places.data[:, 0].argmax(1)) == wanted
        found.append((points, (told.weights * told.places.detach()).sum(2), told))
    return found


def exact_and_mean_gradient(model, reinforce, time):
    """That of Σ_z p(z) (-log₂ p(words | z)) per word, by backprop through the sum; and the course's, its mean over z ~ p(z)."""
    rng = np.random.default_rng(0)
    annotations = rng.normal(size=(1, 3, FEATURES))
    words, targets = rng.integers(0, 4, (2, time, 1))
    captions = CaptionBatch(words, targets, np.ones((time, 1)))
    course = CaptionCourse.__new__(CaptionCourse)
    course.captioning, course.hard = Captioning(reinforce=reinforce), True
    course.carried = {"baseline": tm.Tensor(np.array(-0.7))}
    exact, mean, total = 0.0, {name: np.zeros(p.shape) for name, p in model.parameters().items()}, 0.0
    for points, chances, told in enumerated(model, annotations, words):
        batch = Minibatch(annotations, captions, points, np.array([[True]]))
        probability = 1.0
        for t in range(time):
            probability = probability * chances[t, 0]
        exact = exact + probability * captioning.word_costs(told, batch).sum() / (time * np.log(2))
        course.carried["baseline"].data = np.array(-0.7)
        for name, gradient in gradients(model, course.loss(model, batch)).items():
            mean[name] += probability.item() * gradient
        total += probability.item()
    assert total == pytest.approx(1, rel=1e-12)
    return gradients(model, exact), mean


def test_the_mean_reinforce_gradient_is_the_exact_one_for_the_captioners_own_loss():
    """λ_r is the number of words here: the reward is their mean log-likelihood, the objective their sum.  The baseline changes nothing."""
    model = captioner(words=4, locations=3, coordinates=False)
    exact, mean = exact_and_mean_gradient(model, Reinforce(factor=2.0), time=2)
    for name, gradient in exact.items():
        np.testing.assert_allclose(mean[name], gradient, rtol=1e-8, atol=1e-12, err_msg=name)
    assert np.abs(exact["w3"]).max() > 1e-4
    _, without = exact_and_mean_gradient(model, Reinforce(factor=0.0), time=2)
    assert not np.allclose(without["w3"], exact["w3"], rtol=0.1)


def test_with_credit_for_its_own_word_and_the_expectation_as_baseline_it_is_exact_for_one_word():
    model = captioner(words=4, locations=3, coordinates=False)
    exact, mean = exact_and_mean_gradient(model, Reinforce(factor=1.0, credit="word", baseline="expectation"), time=1)
    for name, gradient in exact.items():
        np.testing.assert_allclose(mean[name], gradient, rtol=1e-8, atol=1e-12, err_msg=name)
    assert np.abs(exact["w3"]).max() > 1e-4


@pytest.mark.parametrize("time", [2, 3])
def test_the_expectation_as_baseline_leaves_the_mean_gradient_as_it_is(time):
    """It depends on the places drawn before, never on the one it is compared with."""
    model = captioner(words=4, locations=3, coordinates=False)
    means = [
        exact_and_mean_gradient(model, Reinforce(factor=1.0, credit="word", baseline=baseline), time)[1]
        for baseline in ("expectation", "moving")
    ]
    for name, gradient in means[0].items():
        np.testing.assert_allclose(means[1][name], gradient, rtol=1e-8, atol=1e-12, err_msg=name)


def test_the_control_learns_nothing_about_where_to_look(tiny):
    model = captioner()
    for factor, learns in ((0.0, False), (0.5, True)):
        course = course_of(model, Captioning(reinforce=Reinforce(factor=factor)))
        found = gradients(model, course.loss(model, sampled(course.draw(np.random.default_rng(0)), True)))
        assert found["W"].any()
        for name in ("W1", "W2", "w3"):
            assert found[name].any() == learns, name


def test_a_minibatch_of_the_expectation_is_soft_attentions(tiny):
    hard, soft = captioner("hard"), captioner("soft")
    soft.load_state(hard.state())
    course = course_of(hard)
    batch = sampled(course.draw(np.random.default_rng(0)), False)
    found = gradients(hard, course.loss(hard, batch))
    expected = gradients(soft, course_of(soft, Captioning()).loss(soft, batch))
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("credit", ["sentence", "word"])
def test_the_moving_average_moves_on_drawn_minibatches_only_and_towards_their_reward(tiny, credit):
    model = captioner()
    course = course_of(model, Captioning(reinforce=Reinforce(credit=credit, decay=0.75)))
    expected = 0.0
    for drawn in (True, False, True):
        batch = sampled(course.draw(np.random.default_rng(0)), drawn)
        costs = captioning.word_costs(captioning._told(model, batch, True), batch).data
        mask = batch.captions.mask
        reward = -costs.sum() / mask.sum() if credit == "word" else -(costs.sum(0) / mask.sum(0)).mean()
        expected = 0.75 * expected + 0.25 * reward if drawn else expected
        course.loss(model, batch)
        assert course.report()["baseline"] == pytest.approx(expected, rel=1e-9)


def test_the_penalty_has_the_gradient_of_the_equation(tiny):
    model = captioner("soft")
    plain, steered = (course_of(model, Captioning(doubly_stochastic=factor)) for factor in (0.0, 0.3))
    batch = plain.draw(np.random.default_rng(0))
    told = model.told(batch.annotations, batch.captions.inputs)
    penalty = doubly_stochastic_penalty(told.weights * tm.Tensor(batch.captions.mask[:, :, None])).mean()
    per_word = len(batch.annotations) / (np.log(2) * batch.captions.mask.sum())
    alone = gradients(model, penalty * 0.3 * per_word)
    found, without = (gradients(model, course.loss(model, batch)) for course in (steered, plain))
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, without[name] + alone[name], rtol=1e-6, atol=1e-8, err_msg=name)


def test_warm_up_and_soft_minibatches_come_as_configured(tiny):
    model = captioner()
    warm = course_of(model, Captioning(reinforce=Reinforce(warm_up=3)))
    assert [bool(warm.draw(np.random.default_rng(0)).sampled) for _ in range(5)] == [False] * 3 + [True] * 2
    half = course_of(model, Captioning(reinforce=Reinforce(soft_share=0.5)))
    share = np.mean([bool(half.draw(np.random.default_rng(0)).sampled) for _ in range(400)])
    assert 0.4 < share < 0.6


def experiment(attention="hard", **changes):
    how = Captioning(reinforce=Reinforce(soft_share=0.5, warm_up=2)) if attention == "hard" else Captioning()
    config = captioner(attention, "float32").config
    return Experiment("tiny", config, how, Adam(1e-2), Schedule(8, 4, 2, 4, 3), seed=3, **changes)


def everything(folder):
    last, best = (load_checkpoint(folder / f"{name}.safetensors") for name in ("last", "best"))
    log = [line.split('"cpu_seconds"')[0] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    arrays = [{name: array.tobytes() for name, array in part[0].items()} for part in (last, best)]
    return arrays, log, {name: value for name, value in last[1].items() if name != "window_seconds"}


@pytest.mark.parametrize("update", [1, 5, 7])
def test_an_interrupted_run_ends_in_the_state_of_an_uninterrupted_one(tiny, tmp_path, monkeypatch, update):
    run_experiment(experiment(), tmp_path / "whole", progress=False)
    draw = CaptionCourse.draw

    def interrupting(self, rng):
        if self.update == update - 1:
            os.kill(os.getpid(), signal.SIGINT)
        return draw(self, rng)

    with monkeypatch.context() as patch:
        patch.setattr(CaptionCourse, "draw", interrupting)
        with pytest.raises(Stopped, match=f"stopped at update {update} of 8"):
            run_experiment(experiment(), tmp_path / "parts", progress=False)
    run_experiment(experiment(), tmp_path / "parts", progress=False)
    assert everything(tmp_path / "parts") == everything(tmp_path / "whole")


@pytest.mark.parametrize("attention", ["start", "none", "soft", "hard"])
def test_compiled_updates_learn_what_eager_ones_do(tiny, tmp_path, attention):
    runs = [run_experiment(experiment(attention, dtype="float64"), tmp_path / str(eager), progress=False, eager=eager) for eager in (0, 1)]
    for line, other in zip(*runs, strict=True):
        assert line["loss"] == pytest.approx(other["loss"], rel=1e-8)
        assert (line["validation"] is None) == (other["validation"] is None)
        if line["validation"]:
            assert line["validation"] == pytest.approx(other["validation"], rel=1e-8)


def test_a_run_is_the_same_where_only_the_device_is_allowed(tiny, tmp_path):
    plain = run_experiment(experiment(), tmp_path / "numpy", progress=False)
    with tm.use(strict.namespace):
        device = run_experiment(experiment(), tmp_path / "strict", progress=False)
    for line, other in zip(device, plain, strict=True):
        assert line["loss"] == pytest.approx(other["loss"], rel=1e-4)
        assert line["baseline"] == pytest.approx(other["baseline"], rel=1e-4)


def test_ten_captions_are_learned_by_heart(tiny):
    model = captioner("soft", "float32")
    course = course_of(model, Captioning(), batch=10)
    before = course.validate(model)
    optimiser, rng = Adam(2e-2), np.random.default_rng(0)
    slots = {name: optimiser.start(p.data) for name, p in model.parameters().items()}
    for step in range(60):
        found = gradients(model, course.loss(model, course.draw(rng)))
        apply_update(optimiser, model.parameters(), {k: v.astype("float32") for k, v in found.items()}, slots, step + 1)
    assert course.validate(model) < 0.5 * before


# --- writing ---


@pytest.mark.parametrize(
    ("attention", "choice"), [("start", None), ("none", None), ("soft", None), ("hard", "argmax"), ("hard", "expectation")]
)
def test_what_is_written_is_the_likeliest_next_word_each_time(tiny, attention, choice):
    model = captioner(attention, seed=5)
    (written, *_) = Writer(model, choice, eager=True)(tiny.annotations[:3])
    words = np.array([0, *encode(written.words)])[:, None]
    told = model.told(tiny.annotations[:1], words, choice or "expectation")
    best = told.logits.data[:, 0].argmax(1)
    length = len(written.weights)
    np.testing.assert_array_equal(best[: len(written.words)], encode(written.words))
    if length > len(written.words):
        assert best[len(written.words)] == END_NUMBER
    np.testing.assert_allclose(written.weights, told.weights.data[:length, 0], rtol=1e-6)
    np.testing.assert_allclose(written.gates, told.gates.data[:length, 0, 0], rtol=1e-6)


def test_hard_attention_writes_by_drawing_places_and_the_seed_says_which(tiny):
    writer = Writer(captioner("hard"), eager=True)
    first, again, other = (writer(tiny.annotations, seed) for seed in (0, 0, 1))
    for one, same in zip(first, again, strict=True):
        assert one.words == same.words
        np.testing.assert_array_equal(one.places, same.places)
    assert all(set(np.unique(one.places)) == {0, 1} for one in first)
    assert any(one.places.shape != two.places.shape or (one.places != two.places).any() for one, two in zip(first, other, strict=True))


def test_many_pictures_are_written_as_one_by_one_and_compiled_as_eager(tiny, monkeypatch):
    monkeypatch.setattr(captioning, "TOGETHER", 4)
    model = captioner("soft")
    together = Writer(model)(tiny.annotations)
    assert len(together) == SCENES
    for lane, one in enumerate(together):
        (alone,) = Writer(model, eager=True)(tiny.annotations[lane : lane + 1])
        assert one.words == alone.words
        np.testing.assert_allclose(one.weights, alone.weights, rtol=1e-5)


def test_attention_to_the_true_captions_has_a_row_for_each_word_whatever_the_number_of_scenes(tiny, monkeypatch):
    monkeypatch.setattr(captioning, "TOGETHER", 4)
    model = captioner("soft")
    weights = attention_of(model, tiny)
    assert weights.shape == (longest_caption(), SCENES, LOCATIONS)
    for lane in (0, 3, 4, 9):
        alone = model.told(tiny.annotations[lane : lane + 1], tiny.captions.inputs[:, lane : lane + 1]).weights.data
        np.testing.assert_allclose(weights[:, lane : lane + 1], alone, rtol=1e-5)


def test_captions_are_scored_word_for_word(tiny):
    right = [SimpleNamespace(words=scene.words) for scene in tiny.scenes]
    assert score_captions(right, tiny.scenes) == CaptionScore(1.0, pytest.approx(100), SCENES)
    wrong = [SimpleNamespace(words=(*scene.words[:-1], "an")) for scene in tiny.scenes[:2]] + right[2:]
    score = score_captions(wrong, tiny.scenes)
    assert score.exact == 0.8
    assert 50 < score.bleu < 100


# --- the shipped encoders, and refusals ---


def test_the_shipped_encoders_know_their_artists():
    """Of 512 crops of test scenes; the second one never saw the other artist."""
    for artist, known in (("both", 0.95), ("noto", 0.95)):
        crops = CropTask(SceneTask(artist)).batch(np.random.default_rng(5), 512, "test")
        assert crop_accuracy(classifier(shipped_encoder(artist)), crops) > known


def test_scenes_of_a_run_come_from_its_seed_and_are_training_scenes():
    first, again, other = (training_scenes(SceneTask(), 3, seed) for seed in (0, 0, 1))
    assert first.scenes == again.scenes != other.scenes
    assert first.annotations.shape == (3, 64, 64)
    assert all(split_of(scene.caption) == "train" for scene in first.scenes)
    np.testing.assert_allclose(first.annotations, looked_at(pictures_of(first.scenes)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(32, 32, 3), (64, 64), (1, 64, 64, 4)])
def test_pictures_of_another_size_are_refused(shape):
    with pytest.raises(SceneError, match=r"a picture has 64 × 64 pixels of 3 colours"):
        looked_at(np.zeros(shape, np.float32))


def test_an_artist_without_an_encoder_is_refused():
    with pytest.raises(CheckpointError, match="no encoder was shipped for the artist 'twemoji'"):
        shipped_encoder("twemoji")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"credit": "all"}, "credit is 'sentence' or 'word'"),
        ({"baseline": "none"}, "baseline 'moving' or 'expectation'"),
        ({"baseline": "expectation"}, "credit='word'"),
        ({"factor": -1.0}, "not negative"),
        ({"warm_up": 1.5}, "whole number"),
        ({"decay": 1.0}, "decay is in 0 … 1, below 1"),
        ({"soft_share": 2}, "soft_share in 0 … 1"),
    ],
)
def test_recipes_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Reinforce(**changes)


def test_captioning_that_cannot_be_is_refused(tiny):
    with pytest.raises(ValueError, match="at least one scene"):
        Captioning(scenes=0)
    with pytest.raises(ValueError, match="belongs to soft attention"):
        Captioning(doubly_stochastic=1.0, reinforce=Reinforce())
    for attention, how in (("hard", Captioning()), ("soft", HARD)):
        with pytest.raises(ValueError, match="hard attention is trained with `reinforce`"):
            course_of(captioner(attention), how)
