"""The translator as a whole: both orders against the equations, padding that does not count, options, configurations it refuses."""

import copy
import dataclasses

import numpy as np
import pytest

import tinymem as tm
from tinymem.engine.backend import to_host, use
from tinymem.engine.compile.compiled import compile
from tinymem.equations.attention import additive_score, attention_weights, dot_score, general_score, scaled_dot_score, soft_context
from tinymem.models.translator import SCORES, TranslatorConfig
from tinymem.testing import strict
from tinymem.testing.check import check_grad

S, T, V, W = 4, 3, 9, 8
SMALL = TranslatorConfig(W, V, embedding=3, hidden=6, encoder_hidden=3, longest=6)
ORDERS = ("bahdanau", "luong")
KINDS = {f"{order} {score}": dataclasses.replace(SMALL, order=order, score=score) for order in ORDERS for score in SCORES}
KINDS |= {
    "input feeding": dataclasses.replace(SMALL, order="luong", input_feeding=True),
    "local-p": dataclasses.replace(SMALL, order="luong", score="general", half_width=1.0),
    "local-p, input feeding": dataclasses.replace(SMALL, order="luong", score="dot", half_width=2.0, input_feeding=True),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def build(kind, dtype="float64", seed=0):
    """A translator whose weights are large enough for its attention to differ from word to word."""
    rng = np.random.default_rng(seed)
    model = KINDS[kind].build(rng, dtype)
    model.load_state({name: (array + rng.normal(scale=0.7, size=array.shape)).astype(dtype) for name, array in model.state().items()})
    return model


def batch(lengths=(4, 2), time=S, seed=1):
    """Source words, their mask, and words of the target so far."""
    rng = np.random.default_rng(seed)
    words, target = rng.integers(4, W, (time, len(lengths))), rng.integers(4, V, (T, len(lengths)))
    mask = (np.arange(time)[:, None] < np.array(lengths)).astype(np.float32)
    return np.where(mask > 0, words, 0), mask, target


def stepwise(model, words, mask, target):
    """Logits and attention, word by word."""
    encoded = model.encode(words, mask)
    state, logits, weights = model.begin(encoded), [], []
    for previous in target:
        state, some = model.word(encoded, state, previous)
        logits.append(to_host(some))
        weights.append(to_host(state.weights))
    return np.stack(logits), np.stack(weights)


@every_kind
def test_word_by_word_is_the_same_as_all_at_once(kind):
    model, of = build(kind), batch()
    logits, weights = stepwise(model, *of)
    assert logits.shape == (T, 2, V)
    np.testing.assert_allclose(to_host(model.logits(*of)), logits, rtol=1e-12)
    assert np.ptp(logits, axis=0).max() > 1e-3  # the words of the target make a difference
    total = weights.sum(2)
    if model.config.score == "none":
        assert not weights.any()
    elif model.config.half_width:
        assert ((total > 0) & (total <= 1 + 1e-12)).all()
    else:
        np.testing.assert_allclose(total, 1, rtol=1e-12)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("score", [score for score in SCORES if score not in ("none", "location")])
def test_bahdanau_asks_with_the_previous_state_and_luong_with_the_current_one(order, score):
    model, (words, mask, target) = build(f"{order} {score}"), batch()
    encoded = model.encode(words, mask)
    before = model.begin(encoded)
    after, _ = model.word(encoded, before, target[0])
    asking, other = (before.s, after.s) if order == "bahdanau" else (after.s, before.s)
    equation = {
        "additive": lambda h: additive_score(h, encoded.features, model.W1, model.W2, model.w3),
        "general": lambda h: general_score(h, encoded.features, model.W),
        "dot": lambda h: dot_score(h, encoded.features),
        "scaled-dot": lambda h: scaled_dot_score(h, encoded.features),
    }[score]
    np.testing.assert_allclose(after.weights.data, attention_weights(equation(asking), encoded.mask).data, rtol=1e-12)
    assert abs(after.weights.data - attention_weights(equation(other), encoded.mask).data).max() > 1e-4


def test_bahdanaus_step_is_the_slides_equations():
    model, (words, mask, target) = build("bahdanau additive"), batch()
    encoded = model.encode(words, mask)
    s = np.tanh(encoded.last.data[:, 3:] @ model.start.W.data.T + model.start.b.data)
    np.testing.assert_allclose(model.begin(encoded).s.data, s, rtol=1e-12)
    after, logits = model.word(encoded, model.begin(encoded), target[0])
    context = soft_context(after.weights, encoded.features).data
    y = model.target.data[target[0]]
    s_1 = model.decoder(tm.Tensor(np.concatenate([y, context], 1)), tm.Tensor(s)).data
    np.testing.assert_allclose(after.s.data, s_1, rtol=1e-12)
    told = np.tanh(np.concatenate([s_1, y, context], 1) @ model.readout.W.data.T + model.readout.b.data)
    np.testing.assert_allclose(logits.data, told @ model.out.W.data.T + model.out.b.data, rtol=1e-12)


def test_annotations_are_the_states_of_both_directions():
    model, (words, mask, _) = build("bahdanau none"), batch()
    features = model.encode(words, mask).features.data  # (B, S, F)
    for column, length in enumerate((4, 2)):
        embedded = model.source.data[words[:length, column]]
        h, ahead = tm.Tensor(np.zeros((1, 3))), []
        for x in embedded:
            h = model.forwards(tm.Tensor(x[None]), h)
            ahead.append(h.data[0])
        h, back = tm.Tensor(np.zeros((1, 3))), []
        for x in embedded[::-1]:
            h = model.backwards(tm.Tensor(x[None]), h)
            back.append(h.data[0])
        np.testing.assert_allclose(features[column, :length], np.concatenate([ahead, back[::-1]], 1), rtol=1e-10)


@every_kind
def test_padding_changes_nothing_and_gets_nothing(kind):
    """Alone, or padded beside a longer one with any word number in the padding: the same logits, weights of 0, no gradient."""
    model, (words, mask, target) = build(kind), batch()
    words[2:, 1] = W - 1  # padding that is a word nobody reads
    words[:, 0] = words[:, 0].clip(max=W - 2)
    words[:2, 1] = words[:2, 1].clip(max=W - 2)
    together, weights = stepwise(model, words, mask, target)
    alone, own = stepwise(model, words[:2, 1:], mask[:2, 1:], target[:, 1:])
    np.testing.assert_allclose(together[:, 1], alone[:, 0], rtol=1e-10)
    np.testing.assert_allclose(weights[:, 1, :2], own[:, 0], rtol=1e-10)
    assert (weights[:, 1, 2:] == 0).all()
    (model.logits(words, mask, target) * np.random.default_rng(3).normal(size=(T, 2, V))).sum().backward()
    gradient = to_host(model.source.grad)
    assert (gradient[W - 1] == 0).all()
    assert gradient.any()


@every_kind
def test_a_compiled_step_equals_the_eager_one(kind):
    model, of = build(kind), batch()
    cotangent = np.random.default_rng(3).normal(size=(T, 2, V))

    def step(words, mask, target):
        for parameter in model.parameters().values():
            parameter.grad = None
        logits = model.logits(words, mask, target)
        (logits * cotangent).sum().backward()
        return logits, {name: p.grad for name, p in model.parameters().items() if p.grad is not None}

    logits, gradients = step(*of)
    found, compiled = compile(step, state=model)(*of)
    np.testing.assert_allclose(to_host(found), to_host(logits), rtol=1e-10)
    assert gradients.keys() == compiled.keys()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(to_host(compiled[name]), to_host(gradient), rtol=1e-8, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("kind", ["bahdanau additive", "luong general", "luong location", "input feeding", "local-p, input feeding"])
def test_gradients_reach_every_parameter_and_are_right(kind):
    model, of = build(kind), batch()
    names = ("W_p", "v_p", "decoder.W", "readout.W", "start.W", "forwards.U", "backwards.W", "W1", "w3", "W")
    (model.logits(*of) * np.random.default_rng(3).normal(size=(T, 2, V))).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert np.abs(to_host(parameter.grad)).max() > 0, name
    for name in names:
        if name in model.parameters():
            check_grad(lambda value, name=name: with_parameter(model, name, value).logits(*of), model.parameters()[name].data, order=1)


def with_parameter(model, name, tensor):
    """A copy of the model with another Tensor in place of one parameter."""
    changed = copy.deepcopy(model)
    *owner, last = name.split(".")
    setattr(getattr(changed, owner[0]) if owner else changed, last, tensor)
    return changed


@every_kind
def test_it_runs_where_only_the_device_is_allowed_and_float32_stays(kind):
    expected = to_host(build(kind, "float32").logits(*batch()))
    with use(strict.namespace):
        found = build(kind, "float32").logits(*batch())
        host = to_host(found)
    assert expected.dtype == host.dtype == np.float32
    np.testing.assert_allclose(host, expected, rtol=1e-4, atol=1e-5)


# --- the options ---


def test_without_attention_the_context_is_the_same_for_every_word():
    model, (words, mask, _) = build("bahdanau none"), batch()
    encoded = model.encode(words, mask)
    weights, context = model._attend(encoded, model.begin(encoded).s)
    np.testing.assert_array_equal(context.data, encoded.last.data)
    assert not weights.data.any()


def test_local_attention_looks_at_no_word_beyond_its_half_width():
    model, (words, mask, target) = build("local-p"), batch((6, 3), time=6)
    _, weights = stepwise(model, words, mask, target)
    assert ((weights > 0).sum(2) <= 3).all()  # |s - p| <= 1
    assert (weights.sum(2) > 0).all()
    assert (weights[:, 1, 3:] == 0).all()


def test_input_feeding_remembers_the_last_readout():
    fed, plain = build("input feeding"), build("luong additive")
    words, mask, target = batch()
    for model, differs in ((fed, True), (plain, False)):
        encoded = model.encode(words, mask)
        state, _ = model.word(encoded, model.begin(encoded), target[0])
        forgot = dataclasses.replace(state, fed=tm.Tensor(np.zeros_like(state.fed.data)))
        difference = abs(model.word(encoded, state, target[1])[1].data - model.word(encoded, forgot, target[1])[1].data).max()
        assert (difference > 1e-4) == differs


def test_dropout_happens_only_with_a_generator():
    config = dataclasses.replace(SMALL, dropout=0.5)
    model, of = config.build(np.random.default_rng(0), "float64"), batch()
    plain = model.logits(*of).data
    np.testing.assert_array_equal(plain, model.logits(*of).data)
    dropped = [model.logits(*of, np.random.default_rng(seed)).data for seed in (0, 0, 1)]
    np.testing.assert_array_equal(dropped[0], dropped[1])
    assert abs(dropped[0] - dropped[2]).max() > 1e-3 < abs(dropped[0] - plain).max()


def test_the_location_score_says_how_long_a_sentence_it_knows():
    with pytest.raises(ValueError, match="knows the places of 6 words, got 8, padding counted"):
        build("luong location").logits(*batch((7, 8), time=8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": 0}, "every size of a translator"),
        ({"source_words": 3.0}, "every size of a translator"),
        ({"score": "cosine"}, "score must be one of none, additive"),
        ({"order": "vaswani"}, "order 'bahdanau' or 'luong'"),
        ({"score": "dot", "hidden": 5}, "hidden = 2 encoder_hidden"),
        ({"input_feeding": True}, "input feeding belongs to Luong's order"),
        ({"half_width": 0.5}, "half_width is 0, or at least 1 word"),
        ({"half_width": 2.0, "score": "none"}, "and with a score"),
        ({"dropout": 1.0}, "dropout must be in 0"),
    ],
)
def test_what_makes_no_translator_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **changes)
