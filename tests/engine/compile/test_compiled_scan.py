"""A scan compiled as one loop against the same scan unrolled by eager mode: values, and the gradients of all that it uses."""

import dataclasses

import hypothesis.strategies as st
import numpy as np
import pytest
from agree import agree, close, training_step
from hypothesis import assume, given
from programs import scanned

import tinymem as tm
from tinymem.engine.compile.program import Loop
from tinymem.engine.compile.stats import count_rows
from tinymem.engine.structure import SHOWN, flatten
from tinymem.equations.recurrent import gru_step, lstm_step, rnn_step
from tinymem.models.lstm import LSTMConfig
from tinymem.models.ntm import NTMConfig
from tinymem.models.sequence import run


def normal(seed, *shape, scale=0.5):
    return scale * np.random.default_rng(seed).standard_normal(shape)


def cell_weights(blocks, inputs, hidden):
    return {"W": normal(1, blocks * hidden, inputs), "U": normal(2, blocks * hidden, hidden), "b": normal(3, blocks * hidden)}


def loops(program):
    return [row for row in program.rows if isinstance(row, Loop)]


# -- the lecture's models ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_recurrent_cells(cell, length, batch):
    def f(p, _):
        if cell == "lstm":

            def step(state, x):
                h, c = lstm_step(x, *state, p["W"], p["U"], p["b"])
                return (h, c), h

            return tm.scan(step, (p["h"], p["c"]), p["x"])
        function = rnn_step if cell == "rnn" else gru_step

        def step(h, x):
            h = function(x, h, p["W"], p["U"], p["b"])
            return h, h

        return tm.scan(step, p["h"], p["x"])

    given = cell_weights({"rnn": 1, "gru": 3, "lstm": 4}[cell], 4, 5)
    given |= {"h": normal(4, batch, 5), "x": normal(5, length, batch, 4)} | ({"c": normal(6, batch, 5)} if cell == "lstm" else {})
    agree(f, given, np.zeros(1))


MODELS = {
    "lstm-1": LSTMConfig(3, 2, hidden=5, layers=1),
    "lstm-3": LSTMConfig(3, 2, hidden=4, layers=3),
    **{
        f"ntm-{controller}-{r}-{w}": NTMConfig(3, 2, controller, hidden=6, locations=7, width=4, read_heads=r, write_heads=w)
        for controller in ("feedforward", "lstm")
        for r, w in ((1, 1), (2, 1), (1, 2), (2, 3))
    },
    "ntm-uniform-5": NTMConfig(3, 2, hidden=6, locations=8, width=3, shifts=5, initial_weighting="uniform"),
}


@pytest.mark.parametrize("name", MODELS)
def test_models(name):
    config = MODELS[name]
    model = config.build(np.random.default_rng(0), "float64")
    parameters = model.parameters()

    def f(p, _):
        return run(model, p["x"])

    state = {"x": tm.Tensor(normal(7, 4, 2, 3), requires_grad=True), **parameters}
    step = training_step(f, state)
    expected = [np.array(tm.to_host(x)) for x in flatten(step(np.zeros(1)))[0]]
    assert len(expected) == 2 + len(state)  # every parameter and the inputs have a gradient
    for lowering in ("numpy", "c"):
        compiled = tm.compile(step, state=state, lowering=lowering)
        for _ in range(2):
            close(expected, flatten(compiled(np.zeros(1)))[0], 1e-9)


# -- forms of scans -----------------------------------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Machine:
    memory: tm.Tensor
    pair: tuple
    seen: tm.Tensor | None = dataclasses.field(default=None, metadata=SHOWN)


def tuple_state(p):
    def step(state, x):
        a, (b, c) = state
        return (tm.tanh(a + x), (b * 0.5 + a, c - b * x)), (a * x, b)

    return tm.scan(step, (p["a"], (p["b"], p["c"])), p["x"])


def dict_state(p):
    def step(state, x):
        return {"h": tm.tanh(state["h"] @ p["w"].T + x["u"]), "n": state["n"] + x["v"]}, {"y": state["h"], "z": state["n"] * 2}

    return tm.scan(step, {"h": p["a"], "n": p["b"]}, {"u": p["x"], "v": p["v"]})


def dataclass_state(p):
    def step(state, x):
        memory = tm.tanh(state.memory * x + state.pair[0])
        return Machine(memory, (state.pair[1], memory), x), memory * x

    state, out = tm.scan(step, Machine(p["a"], (p["b"], p["c"])), p["x"])
    return state.memory, state.pair, out


def swapped_carries(p):
    return tm.scan(lambda s, x: ((s[1], s[0]), s[0] * x), (p["a"], p["b"]), p["x"])


def rotated_carries(p):
    return tm.scan(lambda s, x: ((s[1], s[2], s[0] * x), s[0]), (p["a"], p["b"], p["c"]), p["x"])


def unchanged_carry(p):
    return tm.scan(lambda s, x: ((s[0] + s[1] * x, s[1]), s[0]), (p["a"], p["b"]), p["x"])


def output_is_the_state(p):
    def step(h, x):
        h = tm.tanh(h * x)
        return h, h

    return tm.scan(step, p["a"], p["x"])


def output_is_the_old_state(p):
    return tm.scan(lambda h, x: (tm.tanh(h * x), h), p["a"], p["x"])


def output_is_both_states(p):
    def step(h, x):
        new = tm.tanh(h * x)
        return new, (h, new, new, h)

    return tm.scan(step, p["a"], p["x"])


def output_is_the_input(p):
    return tm.scan(lambda h, x: (h + x, (x, x * 2)), p["a"], p["x"])


def output_is_constant(p):
    return tm.scan(lambda h, x: (h * x, (p["b"], tm.sin(p["b"]))), p["a"], p["x"])


def state_becomes_the_input(p):
    return tm.scan(lambda h, x: (x, h * x), p["a"], p["x"])


def state_becomes_a_constant(p):
    return tm.scan(lambda h, x: (p["b"], h * x), p["a"], p["x"])


def state_becomes_a_part_of_it(p):
    def step(h, x):
        return tm.concatenate([h[:, 1:], tm.sum(x * h, 1, True)], 1), h[:, 0]

    return tm.scan(step, p["a"], p["x"])


def transposed_state(p):
    return tm.scan(lambda h, x: (tm.swapaxes(h @ h.T + 0 * p["m"], 0, 1) * 0.3, h), p["m"], p["x"])


def only_the_last_state(p):
    return tm.scan(lambda h, x: (tm.tanh(h + x), h), p["a"], p["x"])[0]


def only_the_outputs(p):
    return tm.scan(lambda h, x: (tm.tanh(h + x), h), p["a"], p["x"])[1]


def only_some_outputs(p):
    return tm.scan(lambda h, x: (tm.tanh(h + x), (h, tm.sin(h), x * h)), p["a"], p["x"])[1][1]


def the_last_output(p):
    return tm.scan(lambda h, x: (tm.tanh(h + x), tm.sin(h)), p["a"], p["x"])[1][-1]


def no_state(p):
    return tm.scan(lambda s, x: ((), tm.tanh(x @ p["w"].T)), (), p["x"])


def closed_over_a_computed_tensor(p):
    keys = tm.tanh(p["x"] @ p["w"].T)  # (time, batch, H): attention over what was encoded

    def step(h, x):
        scores = tm.softmax(tm.einsum("tbh,bh->tb", keys, h), 0)
        read = tm.einsum("tb,tbh->bh", scores, keys)
        h = tm.tanh(read + h * x)
        return h, (h, scores)

    return tm.scan(step, p["a"], p["x"])


def encoder_and_decoder(p):
    encode = lambda h, x: (tm.tanh(h @ p["w"].T + x),) * 2  # noqa: E731
    state, hidden = tm.scan(encode, p["a"], p["x"])

    def decode(h, x):
        scores = tm.softmax(tm.einsum("tbh,bh->bt", hidden, h), 1)
        h = tm.tanh(tm.einsum("bt,tbh->bh", scores, hidden) @ p["w"].T + h * x)
        return h, h

    return tm.scan(decode, state, p["v"])


def two_layers(p):
    _, below = tm.scan(lambda h, x: (tm.tanh(h + x @ p["w"].T),) * 2, p["a"], p["x"])
    return tm.scan(lambda h, x: (tm.tanh(h @ p["w"].T + x),) * 2, p["b"], below)


def backwards_in_time(p):
    _, there = tm.scan(lambda h, x: (tm.tanh(h + x),) * 2, p["a"], p["x"])
    _, back = tm.scan(lambda h, x: (tm.tanh(h - x),) * 2, p["b"], tm.flip(p["x"], 0))
    return tm.concatenate([there, tm.flip(back, 0)], 2)


def every_second_step(p):
    return tm.scan(lambda h, x: (tm.tanh(h + x),) * 2, p["a"], p["x"][::2])


def inputs_in_another_order(p):
    return tm.scan(lambda h, x: (tm.tanh(h @ p["w"].T + x),) * 2, p["a"], p["x"].transpose(2, 1, 0))


def a_leaf_is_the_output(p):
    return tm.scan(lambda h, x: (h + x, p["b"]), p["a"], p["x"])


def a_leaf_is_the_next_state(p):
    return tm.scan(lambda h, x: (p["b"], h * x), p["a"], p["x"])


def nothing_but_leaves(p):
    return tm.scan(lambda h, x: (p["b"], (p["c"], p["b"])), p["a"], p["x"])


def the_same_input_twice(p):
    return tm.scan(lambda h, x: (tm.tanh(h + x[0] * x[1]), x[0]), p["a"], (p["x"], p["x"]))


def a_scalar_state(p):
    return tm.scan(lambda s, x: (s * 0.5 + tm.sum(x), s), tm.sum(p["a"]), p["x"])


def weights_of_every_kind(p):
    def step(h, x):
        h = tm.tanh(x @ p["w"].T + h @ p["w"] + p["g"])
        y = tm.concatenate([h, x * p["g"]], 1) @ p["o"].T
        return h * tm.sigmoid(p["g"]), tm.softmax(y, 1)

    return tm.scan(step, p["a"], p["x"])


def batched_outer_products(p):
    def step(memory, x):
        u, v = tm.tanh(x @ p["w"].T), tm.sigmoid(x)
        erased = memory * (1 - tm.einsum("bn,bm->bnm", u, v))
        memory = erased + tm.einsum("bn,bm->bnm", v, u)
        return memory, tm.einsum("bn,bnm->bm", u, memory)

    return tm.scan(step, tm.einsum("bn,bm->bnm", p["a"], p["b"]), p["x"])


def numbers_in_the_body(p):
    return tm.scan(lambda h, x: (0.5 * h + 1 / (x * x + 1), h**2), p["a"], p["x"])


def sorted_and_summed(p):
    return tm.scan(lambda h, x: (tm.cumsum(tm.sort(h + x, 1), 1) * 0.3, tm.cumprod(h, 1)), p["a"], p["x"])


FORMS = {
    f.__name__: f
    for f in (
        tuple_state,
        dict_state,
        dataclass_state,
        swapped_carries,
        rotated_carries,
        unchanged_carry,
        output_is_the_state,
        output_is_the_old_state,
        output_is_both_states,
        output_is_the_input,
        output_is_constant,
        state_becomes_the_input,
        state_becomes_a_constant,
        state_becomes_a_part_of_it,
        transposed_state,
        only_the_last_state,
        only_the_outputs,
        only_some_outputs,
        the_last_output,
        no_state,
        closed_over_a_computed_tensor,
        encoder_and_decoder,
        two_layers,
        backwards_in_time,
        every_second_step,
        inputs_in_another_order,
        a_leaf_is_the_output,
        a_leaf_is_the_next_state,
        nothing_but_leaves,
        the_same_input_twice,
        a_scalar_state,
        weights_of_every_kind,
        batched_outer_products,
        numbers_in_the_body,
        sorted_and_summed,
    )
}
T, B, H = 4, 3, 4
GIVEN = {
    "a": normal(1, B, H),
    "b": normal(2, B, H),
    "c": normal(3, B, H),
    "x": normal(4, T, B, H),
    "v": normal(5, T, B, H),
    "w": normal(6, H, H),
    "g": normal(7, H),
    "o": normal(8, 5, 2 * H),
    "m": normal(9, H, H),
}


def used_by(f):
    """The parameters a function's gradients reach, found by eager mode."""
    state = {name: tm.Tensor(value, requires_grad=True) for name, value in GIVEN.items()}
    training_step(lambda p: f(p), state)()
    return {name: GIVEN[name] for name, p in state.items() if p.grad is not None}


@pytest.mark.parametrize("name", FORMS)
def test_forms(name):
    f = FORMS[name]
    reached = used_by(f)
    others = {key: value for key, value in GIVEN.items() if key not in reached}
    agree(lambda p: f({**{key: tm.Tensor(value) for key, value in others.items()}, **p}), reached)


@pytest.mark.parametrize("tracked", [("x",), ("a",), ("w",), ("x", "w"), ("a", "w")])
def test_gradients_to_some_of_the_operands_only(tracked):
    def f(p):
        return encoder_and_decoder({**{key: tm.Tensor(value) for key, value in GIVEN.items()}, **p})

    agree(f, {name: GIVEN[name] for name in tracked})


def test_what_goes_into_an_unasked_result_alone_gets_nothing_from_the_scan():
    def f(p, _):
        def step(h, x):
            h = tm.tanh(h @ p["W"].T + x)
            return h, (h, tm.sigmoid(h @ p["V"].T + p["b"]))

        return tm.scan(step, p["h"], p["x"])[1][0], p["V"] * 2, p["b"] * 3

    given = {"W": normal(1, 3, 3), "V": normal(2, 1, 3), "b": normal(3, 1), "h": normal(4, 2, 3), "x": normal(5, 4, 2, 3)}
    agree(f, given, np.zeros(1))


def test_without_gradients():
    def step(x):
        with tm.no_grad():
            return encoder_and_decoder({key: tm.Tensor(value) for key, value in GIVEN.items() if key != "x"} | {"x": x})

    x = tm.Tensor(GIVEN["x"])
    expected = step(x)
    for lowering in ("numpy", "c"):
        got = tm.compile(step, lowering=lowering)(x)
        np.testing.assert_allclose(got[1].data, expected[1].data, rtol=1e-12)
        assert not got[0].requires_grad


def test_time_major_integers():
    tokens = np.random.default_rng(0).integers(0, 6, (5, 3))

    def f(p, tokens):
        return tm.scan(lambda h, t: (tm.tanh(tm.take(p["e"], t, 0) + h @ p["w"].T),) * 2, p["a"], tokens)

    given = {"e": normal(1, 6, H), "w": GIVEN["w"], "a": GIVEN["a"]}
    agree(f, given, tm.Tensor(tokens))
    agree(f, given, tm.Tensor(tokens.astype(np.int32)))


def test_the_loss_of_classes_in_the_body():
    tokens = np.random.default_rng(0).integers(0, H, (5, 3))

    def f(p, tokens):
        def step(h, t):
            h = tm.tanh(h @ p["w"].T)
            return h, tm.categorical_loss(h, t)

        return tm.scan(step, p["a"], tokens)[1]

    agree(f, {"w": GIVEN["w"], "a": GIVEN["a"]}, tm.Tensor(tokens))


def test_a_scan_inside_a_scan():
    """Ponder steps inside of each time step: as a program, or refused with a reason, but never a crash."""

    def f(p):
        def outer(h, x):
            inner_state, seen = tm.scan(lambda s, y: (tm.tanh(s + y @ p["w"].T),) * 2, h, tm.stack([x, x * 2], 0))
            return inner_state, tm.sum(seen, 0)

        return tm.scan(outer, p["a"], p["x"])

    agree(f, {key: GIVEN[key] for key in ("a", "x", "w")})


@pytest.mark.parametrize("name", ["swapped_carries", "encoder_and_decoder", "batched_outer_products", "weights_of_every_kind"])
@pytest.mark.parametrize("time", [1, 2, 7])
def test_lengths(name, time):
    f = FORMS[name]
    given = {**used_by(f)}
    given |= {key: normal(11, time, B, H) for key in ("x", "v") if key in given}
    others = {key: value for key, value in GIVEN.items() if key not in given}
    agree(lambda p: f({**{key: tm.Tensor(value) for key, value in others.items()}, **p}), given)


def test_the_program_does_not_grow_with_the_sequence():
    rows = set()
    for time in (2, 50):
        (compiled,) = agree(
            lambda p: encoder_and_decoder(p),
            {**{k: GIVEN[k] for k in "aw"}, "x": normal(1, time, B, H), "v": normal(2, time, B, H)},
            lowerings=["numpy"],
        )
        assert len(loops(compiled._latest.recording.program)) == 4  # two there, two back
        rows.add(count_rows(compiled._latest.recording.program.rows))
    assert len(rows) == 1


def test_float32():
    given = {key: value.astype(np.float32) for key, value in GIVEN.items() if key in "axwv"}
    agree(encoder_and_decoder, given, tolerance=1e-5)


def test_a_state_that_changes_its_form_is_an_error_as_in_eager_mode():
    step = lambda x: tm.scan(lambda h, x: (tm.concatenate([h, x], 1), h), tm.Tensor(np.ones((2, 1))), x)  # noqa: E731
    with pytest.raises(tm.OperandError, match="changes its form"):
        tm.compile(step)(tm.Tensor(np.ones((3, 2, 1))))


def test_inputs_of_different_lengths_are_refused():
    step = lambda x, y: tm.scan(lambda h, x: (h, x[0]), (), (x, y))  # noqa: E731
    with pytest.raises(tm.OperandError, match="same leading axis"):
        tm.compile(step)(tm.Tensor(np.ones((3, 2))), tm.Tensor(np.ones((4, 2))))


def test_a_tensor_used_for_nothing():
    """Its gradient stays None, as in eager mode, whatever its shape."""

    def f(p):
        def step(h, x):
            tm.sum(tm.cos(p["unused"]) @ p["unused"].swapaxes(1, 2))
            return h * x, h

        return tm.scan(step, p["a"], p["x"])

    agree(f, {"a": GIVEN["a"], "x": GIVEN["x"], "unused": normal(1, 3, 4, 3)}, expect_gradients={"a", "x"})


def agree_on(found, lowering):
    """Compare a random scan by eager mode and compiled; False where its numbers grow too large to be compared."""
    parameters = found.parameters()
    state = {name: tm.Tensor(value, requires_grad=True) for name, value in parameters.items()}
    with np.errstate(all="ignore"):
        results = [tm.to_host(x) for x in flatten(training_step(found, state)())[0]]
    if not all(np.isfinite(x).all() and np.abs(x).max(initial=0) < 1e4 for x in results):
        return False
    reached = {name for name, p in state.items() if p.grad is not None}
    agree(found, parameters, lowerings=[lowering], tolerance=1e-9, expect_gradients=reached)
    return True


@st.composite
def random_scans(draw):
    return scanned(lambda n: draw(st.integers(0, n - 1)) if n > 1 else 0, length=draw(st.integers(1, 8)))


@given(random_scans())
def test_random_bodies_by_a_replay(found):
    assume(agree_on(found, "numpy"))


@given(random_scans())
def test_random_bodies_by_native_code(found):
    assume(agree_on(found, "c"))


def test_larger_random_bodies():
    compared = 0
    for seed in range(24):
        rng = np.random.default_rng(seed)
        found = scanned(lambda n, rng=rng: int(rng.integers(n)), length=12)
        compared += agree_on(found, "numpy" if seed % 2 else "c")
    assert compared > 12
