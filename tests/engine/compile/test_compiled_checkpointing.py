"""scan(..., checkpoint_every=k) compiled: a loop of loops that computes what the plain scan does, in little memory."""

import dataclasses
from functools import partial

import hypothesis.strategies as st
import numpy as np
import pytest
from agree import agree, close, training_step
from hypothesis import assume, given
from programs import scanned
from test_compiled_scan import FORMS, GIVEN, MODELS, H, normal, used_by

import tinymem as tm
from tinymem.engine import notes
from tinymem.engine.compile import loops
from tinymem.engine.compile.compiled import PROGRAM_PASSES, SWITCHES
from tinymem.engine.compile.program import Loop, whole
from tinymem.engine.scan import scan
from tinymem.engine.structure import flatten
from tinymem.models.ntm import NTMConfig
from tinymem.models.sequence import run
from tinymem.tasks.algorithms import CopyTask
from tinymem.testing import strict
from tinymem.training.objectives import bits_per_sequence


@pytest.fixture
def checkpoint(monkeypatch):
    """From now on every scan that is being recorded keeps the state at every k-th step; the eager ones, compared with, keep all."""

    def every(k):
        def chosen(step, state, inputs):
            return scan(step, state, inputs, None if notes.recorder.get() is None else k)

        monkeypatch.setattr(tm, "scan", chosen)

    return every


def others(reached):
    return {key: tm.Tensor(value) for key, value in GIVEN.items() if key not in reached}


# -- equal ------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", FORMS)
def test_forms(checkpoint, name):
    """Of four steps: each a segment, two segments, one and a step left over."""
    f, reached = FORMS[name], used_by(FORMS[name])
    for k in (1, 2, 3):
        checkpoint(k)
        agree(lambda p: f({**others(reached), **p}), reached, lowerings=["numpy"])
    checkpoint(3)
    agree(lambda p: f({**others(reached), **p}), reached, lowerings=["c"])


@pytest.mark.parametrize("name", ["swapped_carries", "encoder_and_decoder", "batched_outer_products"])
@pytest.mark.parametrize(("length", "k"), [(9, 3), (8, 3), (7, 6), (7, 100)])
def test_lengths(checkpoint, name, length, k):
    f = FORMS[name]
    given_arrays = {**used_by(f)}
    given_arrays |= {key: normal(11, length, 3, H) for key in ("x", "v") if key in given_arrays}
    checkpoint(k)
    agree(lambda p: f({**others(given_arrays), **p}), given_arrays)


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
    found = scanned(lambda n: draw(st.integers(0, n - 1)) if n > 1 else 0, length=draw(st.integers(1, 8)))
    return dataclasses.replace(found, length=draw(st.integers(2, 9))), draw(st.integers(1, 5))


@pytest.mark.parametrize("lowering", ["numpy", "c"])
@given(drawn=random_scans())
def test_random_bodies(lowering, drawn):
    found, k = drawn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tm, "scan", lambda *given: scan(*given, None if notes.recorder.get() is None else k))
        assume(agree_on(found, lowering))


@pytest.mark.parametrize("without", [*PROGRAM_PASSES, *SWITCHES])
def test_each_pass_left_out(checkpoint, without):
    checkpoint(2)
    for name in ("batched_outer_products", "weights_of_every_kind"):
        reached = used_by(FORMS[name])
        lowering = "c" if without in SWITCHES else "numpy"
        agree(lambda p, f=FORMS[name], reached=reached: f({**others(reached), **p}), reached, lowerings=[lowering], without=(without,))


@pytest.mark.parametrize("name", ["dataclass_state", "encoder_and_decoder", "batched_outer_products"])
def test_on_a_device(name):
    """On the double: row by row; what waits for a result would be an error."""
    f, reached = FORMS[name], used_by(FORMS[name])
    with tm.use(strict.namespace):
        p = {key: tm.Tensor(value, requires_grad=True) for key, value in reached.items()}
        rest = others(reached)
        found = []
        for k in (None, 3):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(tm, "scan", partial(scan, checkpoint_every=k))
                step = tm.compile(training_step(lambda p, f=f: f({**rest, **p}), p), state=p)
                found.append([tm.to_host(x) for x in flatten(step())[0]])
    close(found[0], found[1], 1e-12)


@pytest.mark.parametrize("name", ["lstm-3", "ntm-lstm-1-1"])
def test_models(name):
    model = MODELS[name].build(np.random.default_rng(0), "float64")
    state = {"x": tm.Tensor(normal(7, 10, 2, 3), requires_grad=True), **model.parameters()}
    expected = [np.array(tm.to_host(x)) for x in flatten(training_step(lambda p: run(model, p["x"]), state)())[0]]
    for lowering in ("numpy", "c"):
        compiled = tm.compile(training_step(lambda p: run(model, p["x"], checkpoint_every=3), state), state=state, lowering=lowering)
        for _ in range(2):
            close(expected, flatten(compiled())[0], 1e-9)


def test_a_checkpointed_scan_inside_a_scan_is_unrolled():
    def f(p):
        def outer(h, x):
            h, seen = tm.scan(lambda s, y: (tm.tanh(s + y @ p["w"].T),) * 2, h, tm.stack([x, x * 2, x]), checkpoint_every=2)
            return h, tm.sum(seen, 0)

        return tm.scan(outer, p["a"], p["x"], checkpoint_every=2)

    agree(f, {key: GIVEN[key] for key in ("a", "x", "w")})


def test_two_losses_of_one_scan():
    """Two walks back: the segments are computed again for each."""
    w, x = tm.Tensor(GIVEN["w"], requires_grad=True), tm.Tensor(GIVEN["x"])

    def step():
        w.grad = None
        state, out = tm.scan(lambda h, x: (tm.tanh(h @ w.T + x),) * 2, tm.Tensor(GIVEN["a"]), x, checkpoint_every=2)
        (first,) = tm.gradients((state * state).sum(), [w])
        tm.sin(out).sum().backward()
        return first, w.grad

    expected = [np.array(tm.to_host(part)) for part in step()]
    for lowering in ("numpy", "c"):
        close(expected, list(tm.compile(step, state=[w], lowering=lowering)()), 1e-11)


def test_a_training_step():
    """Three updates with the optimiser, compiled, with and without."""
    task = CopyTask(bits=3, longest=5)
    config = NTMConfig(task.inputs, task.outputs, hidden=6, locations=7, width=4)
    episode = task.batch(np.random.default_rng(0), 2, 5)
    found = []
    for k in (None, 3):
        model = config.build(np.random.default_rng(0), "float64")
        parameters = model.parameters()

        def train(parameters=parameters, model=model, k=k):
            for p in parameters.values():
                p.grad = None
            loss = bits_per_sequence(model, episode, checkpoint_every=k)
            loss.backward()
            for p in parameters.values():
                p.data = p.data - 0.01 * p.grad
            return loss

        step = tm.compile(train, state=model)
        found.append([*[np.array(step().item()) for _ in range(3)], *[np.array(p.data) for p in parameters.values()]])
    close(found[0], found[1], 1e-9)


@pytest.mark.parametrize("lowering", ["numpy", "c"])
@pytest.mark.parametrize("k", [None, 2])
def test_a_cotangent_that_is_one_number(lowering, k):
    """The derivative of a sum: without `fold` the loop backwards slices a literal."""
    w = tm.Tensor(GIVEN["w"], requires_grad=True)

    def step():
        w.grad = None
        tm.scan(lambda h, x: (tm.tanh(h @ w + x),) * 2, tm.Tensor(GIVEN["a"]), tm.Tensor(GIVEN["x"]), checkpoint_every=k)[
            1
        ].sum().backward()
        return w.grad

    compiled = tm.compile(step, state=[w], lowering=lowering, without=("fold",))
    np.testing.assert_allclose(compiled(), step(), rtol=1e-12)
    assert compiled.stats().passes[0].bytes > 0


# -- memory -----------------------------------------------------------------------------------------------------------------------
def erasing(length, k, lowering, without=()):
    """A scan over a memory that is written and read at each step: its loss and gradients, and the compiled step."""
    p = {"w": tm.Tensor(normal(6, H, H), requires_grad=True), "m": tm.Tensor(normal(1, 2, H, 48), requires_grad=True)}
    x = tm.Tensor(normal(4, length, 2, H))

    def write_and_read(memory, x):
        weighting, words = tm.softmax(x @ p["w"].T, 1), tm.tanh(tm.einsum("bn,bnm->bm", x, memory))
        memory = memory * (1 - tm.einsum("bn,bm->bnm", weighting, tm.sigmoid(words))) + tm.einsum("bn,bm->bnm", weighting, words)
        return memory, tm.sum(tm.einsum("bn,bnm->bm", weighting, memory) ** 2, 1)  # outputs of all steps exist in any case: small

    def step():
        p["w"].grad = p["m"].grad = None
        loss = tm.scan(write_and_read, p["m"], x, checkpoint_every=k)[1].sum()
        loss.backward()
        return loss, p["w"].grad, p["m"].grad

    compiled = tm.compile(step, state=p, lowering=lowering, without=without)
    results = [np.array(tm.to_host(part)) for part in compiled()]
    return results, compiled


@pytest.mark.parametrize("lowering", ["numpy", "c"])
def test_planned_memory_grows_with_the_root_of_time(lowering):
    planned = {k: erasing(k * k, k, lowering)[1]._latest.lowered.bytes for k in (5, 10, 20)}
    plain = {k: erasing(k * k, None, lowering)[1]._latest.lowered.bytes for k in (5, 10, 20)}
    assert planned[20] < 2.3 * planned[10] < 2.3 * 2.3 * planned[5]  # four times as long, twice the memory
    assert plain[20] > 3.5 * plain[10]
    assert planned[20] < plain[20] / 4


def test_the_program_does_not_grow_with_the_sequence():
    """Rows, kernels, and the views that a replay makes: as many as for a segment."""
    short, long = (erasing(length, 5, "c")[1].stats() for length in (12, 52))
    assert [p.rows for p in short.passes] == [p.rows for p in long.passes]
    assert short.kernels == long.kernels

    def views(length, k):
        return sum(map(len, {id(calls): calls for calls in erasing(length, k, "numpy")[1]._latest.lowered.turns}.values()))

    between = views(52, 5) - views(12, 5)  # what stands between the loops, once for each of eight more segments
    assert between < (views(52, None) - views(12, None)) / 3


@pytest.mark.parametrize("lowering", ["numpy", "c"])
@pytest.mark.parametrize(("length", "k"), [(10, 3), (9, 3), (7, 1)])
def test_shared_memory_changes_no_bit(lowering, length, k):
    """A buffer whose memory was another's too early would show here."""
    planned, alone = erasing(length, k, lowering)[0], erasing(length, k, lowering, without=("plan",))[0]
    assert all(np.array_equal(a, b) for a, b in zip(planned, alone, strict=True))


def test_a_program_shows_its_segments():
    _, compiled = erasing(12, 5, "numpy")
    assert "T = 2\n" in compiled.program  # two segments of
    assert "T = 5\n" in compiled.program  # five steps, and two steps left over
    outer = [row for row in compiled._latest.recording.program.rows if isinstance(row, Loop) and row.holds_loops]
    assert [loop.backwards for loop in outer] == [False, True]
    there, back = ([row for row in loop.rows if isinstance(row, Loop)] for loop in outer)
    assert [loop.backwards for loop in there] == [False]
    assert [loop.backwards for loop in back] == [False, True]  # again, and back
    assert len(there[0].collected) == 1  # the outputs; when it runs again also what the way back reads
    assert len(back[0].collected) > 1


# -- refused ----------------------------------------------------------------------------------------------------------------------
def test_a_second_derivative_is_refused():
    p = tm.Tensor(GIVEN["a"], requires_grad=True)

    def step(x):
        total = tm.scan(lambda h, x: (tm.tanh(h * x), h), p, x, checkpoint_every=2)[0].sum()
        (first,) = tm.gradients(total, [p], create_graph=True)
        first.sum().backward()
        return p.grad

    with pytest.raises(tm.RecordingError, match=r"a gradient of a scan is itself differentiated.*eagerly"):
        tm.compile(step, state={"p": p})(tm.Tensor(GIVEN["x"]))


@pytest.mark.parametrize("k", [0, -3, 1.5, True])
def test_what_is_no_number_of_steps_is_refused(k):
    with pytest.raises(tm.OperandError, match="checkpoint_every must be a whole number of time steps"):
        tm.compile(lambda x: tm.scan(lambda h, x: (h, x), (), x, checkpoint_every=k))(tm.Tensor(GIVEN["x"]))


def test_a_number_that_is_an_argument_is_refused():
    step = tm.compile(lambda x, k: tm.scan(lambda h, x: (h, x), (), x, checkpoint_every=k))
    with pytest.raises(tm.RecordingError, match="used as a size, a count or an index"):
        step(tm.Tensor(GIVEN["x"]), 2)


# -- a wrong idea is caught ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mutant", ["the state after", "the first state", "other segments"])
def test_mutants(monkeypatch, checkpoint, mutant):
    """A segment computed again from another state than its own, or from another segment's inputs."""
    original = loops._Backwards._hand_over

    def wrong(self, backward):
        original(self, backward)
        if not self.again:
            return
        rows, place = self.recorder.scope.rows, self.place
        forward, back = self.home.rows[place], rows[-1]
        states = {whole(c.inside): c for c in forward.carries}
        if mutant == "the state after":
            collected = [dataclasses.replace(c, inside=states[c.inside].next) if c.inside in states else c for c in forward.collected]
            self.home.rows[place] = dataclasses.replace(forward, collected=tuple(collected))
        else:
            mine = [c.outside for c in forward.collected if c.inside in states] if mutant == "the first state" else []
            inputs = [s.outside for s in forward.slices] if mutant == "other segments" else []

            def moved(s):
                if s.outside in inputs:
                    return dataclasses.replace(s, outside=s.outside.through(lambda x: x[::-1]))
                if s.outside in [whole(value) for value in mine]:
                    return dataclasses.replace(s, outside=s.outside.through(lambda x: np.broadcast_to(x[:1], x.shape)))
                return s

            rows[-1] = dataclasses.replace(back, slices=tuple(map(moved, back.slices)))

    monkeypatch.setattr(loops._Backwards, "_hand_over", wrong)
    checkpoint(2)
    reached = used_by(FORMS["batched_outer_products"])
    with pytest.raises(AssertionError):
        agree(lambda p: FORMS["batched_outer_products"]({**others(reached), **p}), reached, lowerings=["numpy"])
