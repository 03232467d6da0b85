"""The decoder alone: its layers put together, the words it may see, what order means to it, learning, configurations it refuses."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymem as tm
from tinymem.engine.backend import to_host, use
from tinymem.engine.compile.compiled import compile
from tinymem.equations.transformer import layer_norm, multi_head, positional_encoding
from tinymem.models.language_model import LanguageModelConfig
from tinymem.models.transformer_layers import NORMS
from tinymem.testing import strict

T, V = 4, 7
SMALL = LanguageModelConfig(V, layers=2, width=6, heads=3)
KINDS = {norm: dataclasses.replace(SMALL, norm=norm) for norm in NORMS}
KINDS |= {
    "with a network": dataclasses.replace(SMALL, norm="post", inner=5),
    "no residual": dataclasses.replace(SMALL, residual=False),
    "no positions": dataclasses.replace(SMALL, positions=False),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
COTANGENT = np.random.default_rng(3).normal(size=(T, 2, V))
WORDS = np.array([[0, 1], [2, 3], [4, 5], [6, 0]])  # (T, batch)


def build(config, dtype="float64"):
    """A model whose weights are large enough for its heads to look at each word differently."""
    rng = np.random.default_rng(0)
    model = config.build(rng, dtype)
    model.load_state({name: (array + rng.normal(scale=0.5, size=array.shape)).astype(dtype) for name, array in model.state().items()})
    return model


def test_one_layer_is_the_slides_equations():
    model = build(dataclasses.replace(SMALL, layers=1))
    x = tm.Tensor(model.embedding.data[WORDS].swapaxes(0, 1) * 6**0.5 + positional_encoding(T, 6).data)  # (B, T, d)
    (layer,) = model.layers
    (norm,), attention = layer.norms, layer.attention
    h = layer_norm(x, norm.gain, norm.bias)
    x = x + multi_head(h, h, h, attention.W_Q, attention.W_K, attention.W_V, attention.W_O, np.tril(np.ones((T, T), bool)))
    expected = layer_norm(x, model.norm.gain, model.norm.bias).data @ model.out.W.data.T + model.out.b.data
    np.testing.assert_allclose(model.logits(WORDS).data, expected.swapaxes(0, 1), rtol=1e-12)


@every_kind
@pytest.mark.parametrize("k", range(T))
def test_no_gradient_comes_from_the_future(kind, k):
    """Logits at k know the words up to k: exact zeros beyond, for every word its own row of the embeddings."""
    model, words = build(KINDS[kind]), WORDS[:, :1]
    logits = model.logits(words)
    (logits[k] * COTANGENT[k, :1]).sum().backward()
    gradient = to_host(model.embedding.grad)
    assert (gradient[words[k + 1 :]] == 0).all()
    assert gradient[words[: k + 1]].any(-1).all()
    other = words.copy()
    other[k + 1 :] = 1
    np.testing.assert_array_equal(model.logits(other).data[: k + 1], logits.data[: k + 1])
    np.testing.assert_allclose(model.logits(words[: k + 1]).data, logits.data[: k + 1], rtol=1e-10)


@given(st.permutations(range(T - 1)))
def test_without_positions_the_last_word_does_not_know_the_order_of_those_before(order):
    """In one layer; a second one knows it by the causal mask alone, as the words it sees have seen different words."""
    moved = WORDS[[*order, T - 1]]
    for config, knows in (
        (dataclasses.replace(SMALL, positions=False, layers=1), False),
        (dataclasses.replace(SMALL, positions=False), True),
        (dataclasses.replace(SMALL, layers=1), True),
    ):
        model = build(config)
        difference = abs(model.logits(moved).data[-1] - model.logits(WORDS).data[-1]).max()
        assert (difference > 1e-9) == (knows and order != sorted(order))


@every_kind
def test_what_a_head_looks_at(kind):
    model, shown = build(KINDS[kind]), []
    logits = model.logits(WORDS, shown=shown)
    np.testing.assert_array_equal(logits.data, model.logits(WORDS).data)
    assert [weights.shape for weights in shown] == [(2, 3, T, T)] * 2
    for weights in shown:
        np.testing.assert_allclose(weights.data.sum(3), 1, rtol=1e-12)
        assert (np.triu(weights.data, 1) == 0).all()


@every_kind
def test_gradients_reach_every_parameter(kind):
    model = build(KINDS[kind])
    (model.logits(WORDS) * COTANGENT).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert np.abs(to_host(parameter.grad)).max() > 0, name


def test_a_compiled_training_step_equals_the_eager_one_and_drops_anew():
    config = dataclasses.replace(KINDS["with a network"], dropout=0.3)

    def trained(compiled):
        model, rng = build(config), np.random.default_rng(5)

        def step(words):
            for parameter in model.parameters().values():
                parameter.grad = None
            logits = model.logits(words, rng)
            (logits * COTANGENT).sum().backward()
            for parameter in model.parameters().values():
                parameter.data = parameter.data - 1e-3 * parameter.grad
            return logits

        run = compile(step, state=model, lowering="numpy") if compiled else step
        return [to_host(run(WORDS)) for _ in range(3)], model.state()

    (eager, after), (compiled, also_after) = trained(False), trained(True)
    np.testing.assert_allclose(compiled, eager, rtol=1e-9)
    for name, array in after.items():
        np.testing.assert_allclose(also_after[name], array, rtol=1e-9, atol=1e-12, err_msg=name)
    plain = build(config).logits(WORDS).data
    assert min(abs(eager[i] - other).max() for i, other in enumerate([plain, eager[0], eager[1]])) > 1e-2


def test_dropout_happens_only_with_a_generator():
    model = build(dataclasses.replace(SMALL, dropout=0.5))
    plain = model.logits(WORDS).data
    np.testing.assert_array_equal(plain, build(SMALL).logits(WORDS).data)
    dropped = [model.logits(WORDS, np.random.default_rng(seed)).data for seed in (0, 0, 1)]
    np.testing.assert_array_equal(dropped[0], dropped[1])
    assert abs(dropped[0] - dropped[2]).max() > 1e-3 < abs(dropped[0] - plain).max()


@every_kind
def test_it_runs_where_only_the_device_is_allowed_and_float32_stays(kind):
    expected = build(KINDS[kind], "float32").logits(WORDS)
    with use(strict.namespace):
        model = build(KINDS[kind], "float32")
        with strict.synchronisations() as seen:
            found = model.logits(WORDS)
            (found * tm.asarray(COTANGENT.astype("float32"))).sum().backward()
        host = to_host(found)
    assert seen.reasons == []
    assert expected.dtype == host.dtype == model.embedding.grad.dtype == np.float32
    np.testing.assert_allclose(host, expected.data, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"words": 0}, "every size of a language model must be a whole number, at least 1"),
        ({"layers": 2.0}, "every size of a language model"),
        ({"inner": -1}, "inner: at least 0"),
        ({"heads": 4}, "even, and a multiple of the number of heads"),
        ({"width": 3}, "even, and a multiple of the number of heads"),
        ({"norm": None}, "norm must be one of pre, post, none"),
        ({"dropout": 1.5}, "dropout must be in 0"),
    ],
)
def test_what_makes_no_language_model_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **changes)
