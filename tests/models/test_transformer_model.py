"""The Transformer as a whole: its layers against the equations, order, the future and padding, kept keys and values, their cost."""

import copy
import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_translator import S, T, V, W, batch, stepwise

import tinymem as tm
from tinymem.engine.backend import to_host, use
from tinymem.engine.compile.compiled import compile
from tinymem.engine.graph import no_grad
from tinymem.equations.transformer import feed_forward, layer_norm, multi_head, positional_encoding, scaled_dot_weights
from tinymem.models.transformer import TransformerConfig
from tinymem.models.transformer_layers import NORMS, Attention, Layer, causal_mask
from tinymem.testing import strict
from tinymem.testing.check import check_grad

SMALL = TransformerConfig(W, V, layers=2, width=6, heads=3, inner=5)
KINDS = {norm: dataclasses.replace(SMALL, norm=norm) for norm in NORMS}
KINDS |= {
    "no residual": dataclasses.replace(SMALL, norm="post", residual=False),
    "no positions": dataclasses.replace(SMALL, positions=False),
    "untied": dataclasses.replace(SMALL, tied=False),
    "attention alone": dataclasses.replace(SMALL, norm="post", inner=0, heads=1),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
both_norms = pytest.mark.parametrize("norm", ["pre", "post"])
COTANGENT = np.random.default_rng(3).normal(size=(T, 2, V))


def build(config, dtype="float64", seed=0):
    """A Transformer whose weights are large enough for its heads to look at each word differently."""
    rng = np.random.default_rng(seed)
    model = config.build(rng, dtype)
    model.load_state({name: (array + rng.normal(scale=0.5, size=array.shape)).astype(dtype) for name, array in model.state().items()})
    return model


def features(seed, *shape):
    return tm.Tensor(np.random.default_rng(seed).normal(size=shape))


# --- a layer ---


def by_hand(layer, x, seen):
    """A decoder's layer as the slide draws it, or with the norms before the sublayers, or without norms and residuals."""

    def attend(attention, x, seen, mask):
        return multi_head(x, seen, seen, attention.W_Q, attention.W_K, attention.W_V, attention.W_O, mask)

    def G(x):
        first, second = layer.networks
        return feed_forward(x, first.W, first.b, second.W, second.b)

    def itself(x):
        return attend(layer.attention, x, x, np.tril(np.ones((x.shape[1], x.shape[1]), bool)))

    if layer.config.norm == "none":
        return G(attend(layer.cross, itself(x), seen, None))
    n_1, n_2, n_3 = (lambda x, norm=norm: layer_norm(x, norm.gain, norm.bias) for norm in layer.norms)
    if layer.config.norm == "post":
        x = n_1(x + itself(x))
        x = n_2(x + attend(layer.cross, x, seen, None))
        return n_3(x + G(x))
    x = x + itself(n_1(x))
    x = x + attend(layer.cross, n_2(x), seen, None)
    return x + G(n_3(x))


@pytest.mark.parametrize("norm", NORMS)
def test_a_layer_is_the_slides(norm):
    model = build(dataclasses.replace(SMALL, norm=norm, residual=norm != "none"))
    layer, x, seen = model.decoder[0], features(0, 2, 3, 6), features(1, 2, 4, 6)
    found = layer(x, causal_mask(3), seen)
    np.testing.assert_allclose(found.data, by_hand(layer, x, seen).data, rtol=1e-12)
    assert found.shape == (2, 3, 6)


@given(st.integers(0, 99), st.sampled_from([1, 2, 3, 6]))
def test_attention_that_shows_its_weights_and_attention_to_kept_words_are_the_equation(seed, heads):
    attention = Attention(6, heads, np.random.default_rng(seed), "float64")
    x, seen, shown = features(seed, 2, 3, 6), features(seed + 1, 2, 4, 6), []
    mask = np.random.default_rng(seed).random((2, 3, 4)) < 0.7
    plain = attention(x, seen, mask)
    np.testing.assert_array_equal(attention(x, seen, mask, shown).data, plain.data)
    first, rest = attention.keys_and_values(seen[:, :1]), attention.keys_and_values(seen[:, 1:])
    kept, weights = attention.ask(x, first.and_then(rest), mask)
    np.testing.assert_allclose(kept.data, plain.data, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(weights.data, shown[0].data, rtol=1e-10)
    for head in range(heads):
        alpha = scaled_dot_weights(x @ attention.W_Q[head].T, seen @ attention.W_K[head].T, mask)
        np.testing.assert_allclose(weights.data[:, head], alpha.data, rtol=1e-10)


def test_a_decoders_layer_without_encoder_outputs_says_so():
    with pytest.raises(ValueError, match="attends to encoder outputs, and got none"):
        build(SMALL).decoder[0](features(0, 2, 3, 6), causal_mask(3))


# --- order, the future, padding ---


@pytest.mark.parametrize("norm", NORMS)
@given(st.permutations(range(S)))
def test_without_positions_the_order_of_the_source_makes_no_difference(norm, order):
    """Self-attention and the whole encoder are equivariant, so the decoder's logits are the same; with positions they are not."""
    model, (words, mask, target) = build(dataclasses.replace(KINDS[norm], positions=False)), batch(lengths=(4, 4))
    words[:, 0] = range(4, W)  # four words that differ
    layer, x = model.encoder[0], features(0, 2, S, 6)
    np.testing.assert_allclose(layer(x[:, order], None).data, layer(x, None).data[:, order], rtol=1e-9, atol=1e-11)
    encoded = model.encode(words, mask).features.data
    np.testing.assert_allclose(model.encode(words[order], mask).features.data, encoded[:, order], rtol=1e-9, atol=1e-11)
    logits = model.logits(words, mask, target).data
    np.testing.assert_allclose(model.logits(words[order], mask, target).data, logits, rtol=1e-9, atol=1e-11)
    if order != sorted(order):
        placed = build(KINDS[norm])
        moved = placed.encode(words[order], mask).features.data - placed.encode(words, mask).features.data[:, order]
        assert abs(moved[0]).max() > 1e-3


@pytest.mark.parametrize("kind", [*NORMS, "no residual", "attention alone"])
@pytest.mark.parametrize("k", range(T))
def test_no_gradient_comes_from_the_future(kind, k):
    """Logits at k know the words of the target up to k: exact zeros beyond, for every word its own row of the embeddings."""
    model, (words, mask, _) = build(dataclasses.replace(KINDS[kind], tied=False)), batch()
    target = np.array([[4, 7], [5, 8], [6, 3]])
    logits = model.logits(words, mask, target)
    (logits[k] * COTANGENT[k]).sum().backward()
    gradient = to_host(model.target.grad)
    assert (gradient[target[k + 1 :]] == 0).all()
    assert gradient[target[: k + 1]].any(-1).all()
    other = target.copy()
    other[k + 1 :] = 1
    np.testing.assert_array_equal(model.logits(words, mask, other).data[: k + 1], logits.data[: k + 1])


@every_kind
def test_padding_changes_nothing_and_gets_nothing(kind):
    """Alone, or padded beside a longer one with any word number in the padding: the same logits, weights of 0, no gradient."""
    model, (words, mask, target) = build(KINDS[kind]), batch()
    words = words.clip(max=W - 2)
    words[2:, 1] = W - 1  # padding that is a word nobody reads
    alone = words[:2, 1:], mask[:2, 1:], target[:, 1:]
    together = model.logits(words, mask, target)
    np.testing.assert_allclose(together.data[:, 1], model.logits(*alone).data[:, 0], rtol=1e-10)
    looks, own = model.looks(words, mask, target), model.looks(*alone)
    for padded, short in zip(looks["encoder"] + looks["cross"], own["encoder"] + own["cross"], strict=True):
        np.testing.assert_allclose(padded.data[1:, :, : short.shape[2], :2], short.data, rtol=1e-10)
        assert (padded.data[1, ..., 2:] == 0).all()
    (together * COTANGENT).sum().backward()
    gradient = to_host(model.source.grad)
    assert (gradient[W - 1] == 0).all()
    assert gradient.any()


@every_kind
def test_a_sentence_without_words_does_no_harm(kind):
    model, (words, mask, target) = build(KINDS[kind]), batch()
    mask[:, 1] = 0
    logits = model.logits(words, mask, target)
    (logits * COTANGENT).sum().backward()
    assert np.isfinite(logits.data).all()
    assert all(np.isfinite(to_host(parameter.grad)).all() for parameter in model.parameters().values())


# --- word by word ---


@st.composite
def configs(draw):
    return TransformerConfig(
        W,
        V,
        layers=draw(st.integers(1, 3)),
        width=12,
        heads=draw(st.sampled_from([1, 2, 3, 4, 6, 12])),
        inner=draw(st.sampled_from([0, 7])),
        norm=draw(st.sampled_from(NORMS)),
        residual=draw(st.booleans()),
        positions=draw(st.booleans()),
        tied=draw(st.booleans()),
        dropout=draw(st.sampled_from([0.0, 0.5])),
    )


@given(configs(), st.integers(0, 99))
def test_with_kept_keys_and_values_it_is_the_same_as_all_at_once(config, seed):
    model, of = config.build(np.random.default_rng(seed), "float64"), batch(seed=seed)
    logits, weights = stepwise(model, *of)
    assert logits.shape == (T, 2, V)
    np.testing.assert_allclose(logits, model.logits(*of).data, rtol=1e-9, atol=1e-11)
    mean_of_heads = model.looks(*of)["cross"][-1].data.mean(1)  # (B, T, S)
    np.testing.assert_allclose(weights, mean_of_heads.swapaxes(0, 1), rtol=1e-9)
    np.testing.assert_allclose(weights.sum(2), 1, rtol=1e-12)


@pytest.mark.parametrize("changes", [{}, {"heads": 1}, {"layers": 3, "inner": 0}], ids=["small", "one head", "deep, attention alone"])
def test_a_further_word_costs_the_model_once_and_a_look_at_each_word_before(changes):
    """Products, counted from their shapes: the model's matrices and the source take the same each time, each earlier word 4 d a layer."""
    config = dataclasses.replace(SMALL, **changes)
    d, F, B = config.width, config.inner, 2
    model, (words, mask, target) = config.build(np.random.default_rng(0), "float64"), batch()

    def word(encoded, state, previous):
        with no_grad():
            return model.word(encoded, state, previous)[1]

    counted, step = [], compile(word, state=model)
    with no_grad():
        encoded = model.encode(words, mask)
        state = model.begin(encoded)
        for _ in range(9):
            counted.append(step.operations(encoded, state, target[0]))
            state, _ = model.word(encoded, state, target[0])
    in_a_layer = 12 * d * d + 4 * d * F + 4 * S * d  # six projections, the network, the look at the source
    expected = [B * (config.layers * (in_a_layer + 4 * d * (1 + before)) + 2 * d * V) for before in range(9)]
    assert [count.products for count in counted[1:]] == expected[1:]  # to look at oneself alone is no product
    assert len(set(np.diff([count.total for count in counted[1:]]))) == 1, "all operations together grow linearly too"


def test_what_a_head_looks_at():
    model, (words, mask, target) = build(KINDS["pre"]), batch()
    looks = model.looks(words, mask, target)
    shapes = {kind: [weights.shape for weights in layers] for kind, layers in looks.items()}
    assert shapes == {"encoder": [(2, 3, S, S)] * 2, "decoder": [(2, 3, T, T)] * 2, "cross": [(2, 3, T, S)] * 2}
    for weights in (*looks["encoder"], *looks["decoder"], *looks["cross"]):
        np.testing.assert_allclose(weights.data.sum(3), 1, rtol=1e-12)
    assert all((np.triu(weights.data, 1) == 0).all() for weights in looks["decoder"])
    norm, attention = model.encoder[0].norms[0], model.encoder[0].attention
    embedded = model.source.data[words].swapaxes(0, 1) * 6**0.5 + positional_encoding(S, 6).data
    x = layer_norm(tm.Tensor(embedded), norm.gain, norm.bias)
    alpha = scaled_dot_weights(x @ attention.W_Q[1].T, x @ attention.W_K[1].T, mask.T[:, None] > 0)
    np.testing.assert_allclose(looks["encoder"][0].data[:, 1], alpha.data, rtol=1e-10)


# --- learning ---


@every_kind
def test_gradients_reach_every_parameter(kind):
    model = build(KINDS[kind])
    (model.logits(*batch()) * COTANGENT).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert np.abs(to_host(parameter.grad)).max() > 0, name


@both_norms
@pytest.mark.parametrize(
    "name", ["target", "encoder.0.attention.W_K", "encoder.1.norms.0.gain", "decoder.0.cross.W_V", "decoder.1.networks.0.b"]
)
def test_gradients_are_right(norm, name):
    model, of = build(dataclasses.replace(KINDS[norm], heads=2)), batch()
    check_grad(lambda value: with_parameter(model, name, value).logits(*of), model.parameters()[name].data, order=1)


def with_parameter(model, name, tensor):
    """A copy of the model with another Tensor in place of one parameter."""
    owner = changed = copy.deepcopy(model)
    *path, last = name.split(".")
    for part in path:
        owner = owner[int(part)] if part.isdigit() else getattr(owner, part)
    setattr(owner, last, tensor)
    return changed


@pytest.mark.parametrize(("norm", "lowering"), [("pre", "numpy"), ("post", "c")])
def test_a_compiled_training_step_equals_the_eager_one_and_drops_anew(norm, lowering):
    config, of = dataclasses.replace(KINDS[norm], layers=1, dropout=0.3), batch()

    def trained(compiled):
        model, rng = build(config), np.random.default_rng(5)

        def step(words, mask, target):
            for parameter in model.parameters().values():
                parameter.grad = None
            logits = model.logits(words, mask, target, rng)
            (logits * COTANGENT).sum().backward()
            for parameter in model.parameters().values():
                parameter.data = parameter.data - 1e-3 * parameter.grad
            return logits

        run = compile(step, state=model, lowering=lowering) if compiled else step
        return [to_host(run(*of)) for _ in range(3)], model.state()

    (eager, after), (compiled, also_after) = trained(False), trained(True)
    np.testing.assert_allclose(compiled, eager, rtol=1e-9)
    for name, array in after.items():
        np.testing.assert_allclose(also_after[name], array, rtol=1e-9, atol=1e-12, err_msg=name)
    plain = build(config).logits(*of).data
    assert min(abs(eager[i] - other).max() for i, other in enumerate([plain, eager[0], eager[1]])) > 1e-2


def test_dropout_happens_only_with_a_generator():
    model, of = build(dataclasses.replace(SMALL, dropout=0.5)), batch()
    plain = model.logits(*of).data
    np.testing.assert_array_equal(plain, build(SMALL).logits(*of).data)
    dropped = [model.logits(*of, np.random.default_rng(seed)).data for seed in (0, 0, 1)]
    np.testing.assert_array_equal(dropped[0], dropped[1])
    assert abs(dropped[0] - dropped[2]).max() > 1e-3 < abs(dropped[0] - plain).max()


# --- what it runs on ---


@every_kind
def test_it_runs_where_only_the_device_is_allowed_and_float32_stays(kind):
    def everything(model):
        logits = model.logits(*batch())
        (logits * tm.asarray(COTANGENT.astype("float32"))).sum().backward()
        return logits, [parameter.grad for parameter in model.parameters().values()]

    expected, gradients = everything(build(KINDS[kind], "float32"))
    with use(strict.namespace):
        model = build(KINDS[kind], "float32")
        with strict.synchronisations() as seen:
            logits, device_gradients = everything(model)
        _, weights = stepwise(model, *batch())
        found = to_host(logits)
    assert expected.dtype == found.dtype == weights.dtype == np.float32
    assert {str(gradient.dtype) for gradient in (*gradients, *device_gradients)} == {"float32"}
    assert seen.reasons == []
    np.testing.assert_allclose(found, expected.data, rtol=1e-4, atol=1e-5)


def test_tied_logits_have_no_matrix_of_their_own():
    tied, untied = (dataclasses.replace(SMALL, tied=tied).build(np.random.default_rng(0)) for tied in (True, False))
    assert untied.count_parameters() - tied.count_parameters() == V * 6 + V
    assert not hasattr(tied, "out")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "every size of a Transformer must be a whole number, at least 1"),
        ({"heads": True}, "every size of a Transformer"),
        ({"source_words": 3.0}, "every size of a Transformer"),
        ({"inner": -1}, "inner: at least 0"),
        ({"heads": 4}, "even, and a multiple of the number of heads"),
        ({"width": 9}, "even, and a multiple of the number of heads"),
        ({"norm": "batch"}, "norm must be one of pre, post, none"),
        ({"dropout": 1.0}, "dropout must be in 0"),
        ({"dropout": -0.1}, "dropout must be in 0"),
    ],
)
def test_what_makes_no_transformer_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **changes)


def test_a_layer_of_an_encoder_attends_to_nothing_else():
    names = {name.partition(".")[0] for name, _ in Layer(SMALL, np.random.default_rng(0), "float32").named_parameters()}
    assert names == {"attention", "networks", "norms"}
