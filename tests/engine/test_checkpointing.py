"""scan(..., checkpoint_every=k) in eager mode: equal to the plain scan in values and derivatives, and small in memory."""

import dataclasses
import gc
import tracemalloc

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import tinymem as tm
from tinymem.engine import segments
from tinymem.engine.graph import Node
from tinymem.engine.structure import SHOWN
from tinymem.models.lstm import LSTMConfig
from tinymem.models.ntm import NTMConfig
from tinymem.models.sequence import advance, run
from tinymem.tasks.algorithms import CopyTask
from tinymem.testing import strict
from tinymem.testing.check import check_grad
from tinymem.training.objectives import bits_per_sequence


@dataclasses.dataclass(frozen=True)
class Machine:
    memory: tm.Tensor
    pair: tuple
    seen: tm.Tensor | None = dataclasses.field(default=None, metadata=SHOWN)


def plain_state(p, k):
    return tm.scan(lambda h, x: (tm.tanh(h @ p["w"].T + x),) * 2, p["a"], p["x"], checkpoint_every=k)


def structured(p, k):
    keys = tm.sin(p["w"])  # computed outside, and needed again at every step

    def step(state, x):
        memory = tm.tanh(state.memory @ keys + x["u"] * p["g"])
        return Machine(memory, (state.pair[1] * x["v"], state.pair[0]), x["u"]), {"y": memory * x["v"], "z": tm.softmax(state.pair[0], 1)}

    state, out = tm.scan(step, Machine(p["a"], (p["b"], p["a"])), {"u": p["x"], "v": tm.cos(p["x"])}, checkpoint_every=k)
    assert (state.seen is None) == (k is not None and k < p["x"].shape[0])  # a field that is only shown is not kept
    return state.memory, state.pair, out


def no_state(p, k):
    return tm.scan(lambda s, x: ((), tm.tanh(x @ p["w"])), (), p["x"], checkpoint_every=k)[1]


def handed_through(p, k):
    """A state that never changes, one that becomes a parameter, and an output that is the input."""
    return tm.scan(lambda s, x: ((s[0], p["b"] * 1, s[0] * x + s[1]), (x, s[2])), (p["a"], p["a"], p["b"]), p["x"], checkpoint_every=k)


def some_outputs(p, k):
    return tm.scan(lambda h, x: (tm.tanh(h + x * p["g"]), (h, tm.sin(h) @ p["w"])), p["a"], p["x"], checkpoint_every=k)[1][0]


def layers(p, k):
    _, below = tm.scan(lambda h, x: (tm.tanh(h + x @ p["w"]),) * 2, p["a"], p["x"], checkpoint_every=k)
    return tm.scan(lambda h, x: (tm.tanh(h @ p["w"] + x),) * 2, p["b"], below, checkpoint_every=k)


def nested(p, k):
    def outer(h, x):
        pieces = tm.stack([x, h * p["g"], x * 2])
        h, seen = tm.scan(lambda s, y: (tm.tanh(s @ p["w"] + y * x),) * 2, h, pieces, checkpoint_every=min(k or 3, 2))
        return h, tm.sum(seen, 0)

    return tm.scan(outer, p["a"], p["x"], checkpoint_every=k)


FORMS = {f.__name__: f for f in (plain_state, structured, no_state, handed_through, some_outputs, layers, nested)}


def arrays(length, dtype="float64", seed=0, batch=2, hidden=3):
    rng = np.random.default_rng(seed)
    shapes = {"a": (batch, hidden), "b": (batch, hidden), "g": (hidden,), "w": (hidden, hidden), "x": (length, batch, hidden)}
    return {name: rng.uniform(-1, 1, shape).astype(dtype) for name, shape in shapes.items()}


def loss_of(out):
    """A fixed random sum of everything that f returned."""
    rng, total = np.random.default_rng(5), 0.0
    for part in tm.engine.structure.flatten(out)[0]:
        total = total + (part * tm.Tensor(rng.uniform(-1, 1, part.shape), dtype=part.dtype)).sum()
    return total


def computed(f, given_arrays, k):
    """The values f returns, and the gradient of each parameter (zeros where none came), as host arrays."""
    p = {name: tm.Tensor(value, requires_grad=True) for name, value in given_arrays.items()}
    out = f(p, k)
    loss_of(out).backward()
    gradients = {name: np.zeros(t.shape, t.dtype) if t.grad is None else tm.to_host(t.grad) for name, t in p.items()}
    return [tm.to_host(part) for part in tm.engine.structure.flatten(out)[0]], gradients


def equal(f, given_arrays, k, tolerance=1e-12):
    values, gradients = computed(f, given_arrays, None)
    again, found = computed(f, given_arrays, k)
    assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(values, again, strict=True))  # to the last bit
    for name, g in gradients.items():  # sums over time are added up segment by segment
        assert (g.shape, g.dtype) == (found[name].shape, found[name].dtype)
        np.testing.assert_allclose(found[name], g, rtol=tolerance, atol=tolerance * (1 + np.abs(g).max()), err_msg=name)


# -- equal ------------------------------------------------------------------------------------------------------------------------
@settings(max_examples=60)
@given(st.sampled_from(sorted(FORMS)), st.integers(1, 13), st.integers(1, 15), st.integers(0, 99))
def test_values_and_gradients_are_those_of_the_plain_scan(name, length, k, seed):
    equal(FORMS[name], arrays(length, seed=seed), k)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("k", [1, 3])
def test_on_a_device(name, k):
    with tm.use(strict.namespace), strict.forbid_synchronisation():
        p = {key: tm.Tensor(value, requires_grad=True) for key, value in arrays(7).items()}
        loss_of(FORMS[name](p, k)).backward()
    with tm.use(strict.namespace):
        equal(FORMS[name], arrays(7), k)


@pytest.mark.parametrize("config", [LSTMConfig(3, 2, hidden=5, layers=2), NTMConfig(3, 2, "lstm", hidden=6, locations=7, width=4)])
def test_models(config):
    model = config.build(np.random.default_rng(0), "float64")
    x = np.random.default_rng(1).standard_normal((9, 2, 3))
    found = {}
    for k in (None, 4):
        for parameter in model.parameters().values():
            parameter.grad = None
        state, outputs = advance(model, model.initial_state(2), tm.Tensor(x), k)
        loss_of((state, outputs)).backward()
        found[k] = {name: p.grad for name, p in model.parameters().items()}
        np.testing.assert_array_equal(outputs.data, run(model, tm.Tensor(x), checkpoint_every=k).data)
    for name, g in found[None].items():
        np.testing.assert_allclose(found[4][name], g, rtol=1e-11, atol=1e-12, err_msg=name)


def test_float32_stays_float32():
    equal(structured, arrays(11, "float32"), 4, tolerance=1e-5)


@pytest.mark.parametrize("name", FORMS)
def test_second_derivatives(name):
    """Of the loss, by differentiating the gradient in every parameter."""

    def second(k):
        p = {key: tm.Tensor(value, requires_grad=True) for key, value in arrays(5).items()}
        first = tm.gradients(loss_of(FORMS[name](p, k)), list(p.values()), create_graph=True)
        sum((g * g * (i + 1)).sum() for i, g in enumerate(first) if g.node is not None).backward()
        return {key: np.zeros(t.shape) if t.grad is None else t.grad for key, t in p.items()}

    expected, got = second(None), second(2)
    assert any(np.abs(g).max() > 1e-3 for g in expected.values())
    for key, g in expected.items():
        np.testing.assert_allclose(got[key], g, rtol=1e-10, atol=1e-11, err_msg=key)


def test_the_gradient_checker_says_so_too():
    w, x = arrays(5)["w"], arrays(5)["x"]

    def f(w, x):
        return tm.scan(lambda h, x: (tm.tanh(h @ w + x),) * 2, tm.Tensor(np.zeros((2, 3)), dtype=x.dtype), x, checkpoint_every=2)[1]

    check_grad(f, w, x)


def test_a_tape_may_be_walked_twice():
    p = {name: tm.Tensor(value, requires_grad=True) for name, value in arrays(7).items()}
    loss = loss_of(plain_state(p, 3))
    loss.backward()
    once = np.array(p["w"].grad)
    loss.backward()
    np.testing.assert_array_equal(p["w"].grad, 2 * once)


def test_what_a_step_does_not_need_gets_no_gradient():
    p = {name: tm.Tensor(value, requires_grad=True) for name, value in arrays(7).items()}

    def step(h, x):
        tm.sin(p["b"])  # computed, and used for nothing
        return tm.tanh(h + x), h

    loss_of(tm.scan(step, p["a"], p["x"], checkpoint_every=3)).backward()
    assert p["b"].grad is None
    assert p["a"].grad is not None


@pytest.mark.parametrize("k", [5, 6, 100])
def test_one_segment_is_the_plain_scan(k):
    def rows(k):
        p = {name: tm.Tensor(value, requires_grad=True) for name, value in arrays(5).items()}
        return reachable(loss_of(plain_state(p, k)))

    assert rows(k) == rows(None)


def test_without_gradients_nothing_is_run_twice():
    calls = []

    def step(h, x):
        calls.append(0)
        return tm.tanh(h + x), h

    h, x = tm.Tensor(np.zeros(3), requires_grad=True), tm.Tensor(np.ones((6, 3)))
    with tm.no_grad():
        state, _ = tm.scan(step, h, x, checkpoint_every=2)
    assert not state.requires_grad
    state, _ = tm.scan(step, h.detach(), x, checkpoint_every=2)
    assert not state.requires_grad
    assert len(calls) == 12
    state, _ = tm.scan(step, h, x, checkpoint_every=2)
    assert len(calls) == 18
    state.sum().backward()
    assert len(calls) == 24  # the forward part of each step once more


# -- memory -----------------------------------------------------------------------------------------------------------------------
def reachable(tensor):
    """How many rows the tape holds behind a result."""
    seen, waiting = set(), [tensor.node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Node) and node not in seen:
            seen.add(node)
            waiting += node.parents
    return len(seen)


def rows_alive_at_most(length, k):
    """The most rows of any tape that exist at once, looked at in every step, forwards and on the way back."""
    p = {name: tm.Tensor(value, requires_grad=True) for name, value in arrays(length).items()}
    most = 0

    def step(h, x):
        nonlocal most
        most = max(most, sum(type(thing) is Node for thing in gc.get_objects()) - before)
        return tm.tanh(h @ p["w"] + x), h

    gc.collect()
    before = sum(type(thing) is Node for thing in gc.get_objects())
    loss = tm.scan(step, p["a"], p["x"], checkpoint_every=k)[0].sum()
    loss.backward()
    return most


def test_the_tape_holds_the_segments_and_the_steps_of_one():
    steps = 5 * 4  # rows of four steps: sliced, multiplied, added, tanh, and the output's share of the stack
    a_segment = 8  # segment, its slices of the inputs, and what is picked from it
    for count in (4, 8, 16):
        assert rows_alive_at_most(4 * count, 4) <= a_segment * count + steps
        assert rows_alive_at_most(4 * count, None) >= 4 * (4 * count - 2)  # the plain scan holds every step's


def peak(length, k, size=4096):
    """Bytes at most allocated by a loss and its gradient; a step computes seven arrays of `size` numbers."""
    h = tm.Tensor(np.full(size, 0.1), requires_grad=True)
    x = tm.Tensor(np.linspace(0, 1, length)[:, None])

    def step(h, x):
        for _ in range(6):
            h = tm.tanh(h + x)
        return h, h[:1]

    gc.collect()
    tracemalloc.start()
    tm.scan(step, h, x, checkpoint_every=k)[0].sum().backward()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / (8 * size)


def test_memory_grows_with_the_root_of_time():
    """In units of one state: T/k states, and what k steps compute (six arrays each here), and a few in flight."""
    for k in (4, 8, 16):
        assert peak(k * k, k) < k + 7 * k + 12
        assert peak(k * k, None) > 6 * k * k
    assert peak(64, 8) < peak(16, 4) * 2.5  # four times as long
    assert peak(64, None) > peak(16, None) * 3.5


# -- bad input --------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("k", [0, -1, 2.0, 1.5, "3", True, False, (2,), float("nan")])
def test_what_is_no_number_of_steps_is_refused(k):
    x = tm.Tensor(np.ones((100, 2)))
    with pytest.raises(tm.OperandError, match=r"checkpoint_every must be a whole number of time steps, at least 1.*100 steps 10, about √T"):
        tm.scan(lambda h, x: (h, x), (), x, checkpoint_every=k)


def test_a_whole_number_of_numpy_will_do():
    equal(plain_state, arrays(7), np.int64(3))


def test_random_numbers_inside_a_step():
    rng = np.random.default_rng(0)
    p = {name: tm.Tensor(value, requires_grad=True) for name, value in arrays(6).items()}

    def drawn(h, x):
        return tm.tanh(h + tm.draw(rng, "random", (2, 3), "float64")), h

    with pytest.raises(tm.RecordingError, match=r"runs twice and would draw others the second time.*scan over them"):
        tm.scan(drawn, p["a"], p["x"], checkpoint_every=2)
    state, _ = tm.scan(lambda h, x: (tm.tanh(h + rng.random((2, 3))), h), p["a"], p["x"], checkpoint_every=2)
    with pytest.raises(tm.OperandError, match="came to another state when it was computed again"):
        state.sum().backward()


def test_a_parameter_that_is_changed_before_the_way_back():
    p = {name: tm.Tensor(value, requires_grad=True) for name, value in arrays(6).items()}
    loss = loss_of(plain_state(p, 2))
    p["w"].data = p["w"].data * 2
    with pytest.raises(tm.OperandError, match=r"another state.*call backward before anything that the step uses is changed"):
        loss.backward()


def test_another_tensor_the_second_time():
    p = {name: tm.Tensor(value, requires_grad=True) for name, value in arrays(6).items()}
    loss = loss_of(plain_state(p, 2))
    p["w"] = tm.Tensor(p["w"].data, requires_grad=True)
    with pytest.raises(tm.OperandError, match="used other Tensors"):
        loss.backward()


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_numbers_that_are_not_finite_go_through(odd):
    """It is for the training loop to say so, not for the scan to take them for a change."""

    def summing(p, k):
        return tm.scan(lambda h, x: (h + x * p["g"], h), p["a"], p["x"], checkpoint_every=k)

    start = arrays(6)
    start["a"][0, 0] = odd
    with np.errstate(invalid="ignore"):
        (_, expected), (_, found) = computed(summing, start, None), computed(summing, start, 2)
    np.testing.assert_allclose(found["g"], expected["g"], rtol=1e-12)


def test_shapes_are_refused_as_in_the_plain_scan():
    with pytest.raises(tm.OperandError, match="same leading axis"):
        tm.scan(lambda h, x: (h, x[0]), (), (tm.Tensor(np.ones(3)), tm.Tensor(np.ones(4))), checkpoint_every=2)


# -- wrong ideas are caught -------------------------------------------------------------------------------------------------------
def wrong_state(run, state, inputs):
    """Starts from the state after the segment's first step."""
    again, _ = run(state, tm.engine.structure.flatten(inputs)[1]([x[:1] for x in tm.engine.structure.flatten(inputs)[0]]))
    return run(again, inputs)


def wrong_inputs(run, state, inputs):
    """Reads the segment's inputs in the wrong order."""
    leaves, rebuild = tm.engine.structure.flatten(inputs)
    return run(state, rebuild([tm.flip(x, 0) for x in leaves]))


def detached_state(run, state, inputs):
    """Forgets that the segment's first state depends on something."""
    leaves, rebuild = tm.engine.structure.flatten(state)
    return run(rebuild([x.detach() for x in leaves]), inputs)


@pytest.mark.parametrize("mutant", [wrong_state, wrong_inputs, detached_state])
def test_mutants(monkeypatch, mutant):
    original = segments._Again.__init__

    def wrong(self, run, *rest):
        original(self, lambda state, inputs: mutant(run, state, inputs), *rest)

    monkeypatch.setattr(segments._Again, "__init__", wrong)
    if mutant is not detached_state:  # the values show it at once
        with pytest.raises(tm.OperandError, match="another state"):
            equal(plain_state, arrays(7), 3)
    monkeypatch.setattr(segments._Again, "_require_same", lambda self, states: None)
    with pytest.raises(AssertionError):
        equal(plain_state, arrays(7), 3)


def test_the_loss_of_a_task():
    task = CopyTask(bits=3, longest=6)
    episode = task.batch(np.random.default_rng(0), 2, 6)
    model = NTMConfig(task.inputs, task.outputs, hidden=6, locations=7, width=4).build(np.random.default_rng(0), "float64")
    found = []
    for k in (None, 3):
        for p in model.parameters().values():
            p.grad = None
        loss = bits_per_sequence(model, episode, checkpoint_every=k)
        rows = reachable(loss)
        loss.backward()
        found.append((loss.item(), rows, [p.grad for p in model.parameters().values()]))
    (a, many, expected), (b, few, got) = found
    assert a == b
    assert few < many / 5
    for x, y in zip(expected, got, strict=True):
        np.testing.assert_allclose(y, x, rtol=1e-10, atol=1e-12)
