"""A compiled step from outside: when it records, what it reads anew at each call, its state, its face."""

import dataclasses
import gc
import weakref

import numpy as np
import pytest

import tinymem as tm
from tinymem.engine.backend import creation_namespace
from tinymem.engine.compile.compiled import CompiledStep
from tinymem.engine.tensor import wrap
from tinymem.models.lstm import LSTMConfig
from tinymem.models.ntm import NTMConfig
from tinymem.models.sequence import run
from tinymem.training.optimisers import SGD, Adam, GravesRMSProp

LOWERINGS = pytest.mark.parametrize("lowering", ["numpy", "c"])


class Counted:
    """A step that counts how often it runs in Python: twice for each recording."""

    def __init__(self, f):
        self.f, self.runs = f, 0

    def __call__(self, *arguments, **keywords):
        self.runs += 1
        return self.f(*arguments, **keywords)

    @property
    def recordings(self):
        assert self.runs % 2 == 0
        return self.runs // 2


# -- signatures ---------------------------------------------------------------------------------------------------------------------
def recordings(calls, f=lambda *a, **k: None):
    counted = Counted(f)
    step = tm.compile(counted, lowering="numpy")
    for arguments in calls:
        step(*arguments) if isinstance(arguments, tuple) else step(**arguments)
    return counted.recordings


ONE, TWO, SINGLE = np.ones(2), np.ones((2, 2)), np.ones(2, np.float32)


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        pytest.param([(ONE,), (ONE * 2,), (np.zeros(2),)], 1, id="other numbers"),
        pytest.param([(ONE,), (TWO,), (ONE,), (TWO,)], 2, id="other shapes, each once"),
        pytest.param([(ONE,), (SINGLE,)], 2, id="other dtypes"),
        pytest.param([(ONE,), (tm.Tensor(ONE),)], 1, id="array or Tensor is one signature or two, but works"),
        pytest.param([((ONE, ONE),), ([ONE, ONE],)], 2, id="tuple or list"),
        pytest.param([({"a": ONE},), ({"a": ONE * 3},), ({"b": ONE},)], 2, id="names in a dictionary"),
        pytest.param([(1,), (2,), (2.5,), (-1,)], 2, id="whole numbers and others"),
        pytest.param([(True,), (False,), (True,)], 2, id="booleans are static"),
        pytest.param([("a",), ("b",), ("a",)], 2, id="strings are static"),
        pytest.param([(None,), (ONE,)], 2, id="nothing or an array"),
        pytest.param([{"x": ONE}, {"x": TWO}, {"x": ONE}], 2, id="keywords"),
        pytest.param([(ONE[::2],), (np.ones(1),)], 1, id="strides of an argument do not matter"),
    ],
)
def test_a_new_signature_is_a_new_recording_and_an_old_one_is_not(calls, expected):
    if expected == 1 and any(isinstance(a, tm.Tensor) for c in calls if isinstance(c, tuple) for a in c):
        assert recordings(calls) in (1, 2)
    else:
        assert recordings(calls) == expected


def test_an_array_stays_an_array_and_a_tensor_a_tensor():
    """Whichever signature came first."""
    for first, second in ((ONE, tm.Tensor(ONE)), (tm.Tensor(ONE), ONE)):
        step = tm.compile(lambda x: x * 2, lowering="numpy")
        assert type(step(first)) is type(first)
        assert type(step(second)) is type(second)


@dataclasses.dataclass(frozen=True)
class Batch:
    inputs: np.ndarray
    extra: tuple
    name: str = "a"


@LOWERINGS
def test_structures_go_in_and_come_out(lowering):
    def step(batch, scale=1.0):
        return {
            "sum": batch.inputs + batch.extra[0],
            "batch": Batch(batch.inputs * scale, (batch.extra[1],), batch.name),
            "rate": 0.5,
            "none": None,
        }

    compiled = tm.compile(step, lowering=lowering)
    for _ in range(2):
        out = compiled(Batch(tm.Tensor(ONE), (tm.Tensor(ONE), TWO)), scale=3.0)
        assert out["sum"].data.tolist() == [2, 2]
        assert (out["batch"].inputs.data.tolist(), out["batch"].name, out["rate"], out["none"]) == ([3, 3], "a", 0.5, None)
        assert type(out["batch"].extra[0]) is np.ndarray
    assert compiled(Batch(tm.Tensor(ONE), (tm.Tensor(ONE), TWO), "b"))["batch"].name == "b"


# -- numbers ------------------------------------------------------------------------------------------------------------------------
@LOWERINGS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_python_numbers_are_read_at_each_call_and_adapt_to_the_dtype(lowering, dtype):
    def f(x, n):
        return x * n, x + 1 / n, x / (1 - 0.9**n), x - 0.5**n * 2, (x * n > 1) * x, tm.where(x > n, x, n), n * x * n

    step = tm.compile(f, lowering=lowering)
    x = tm.Tensor(np.linspace(-1, 1, 5), dtype=dtype)
    for n in (1, 2, 3.5, 1000, -0.25):
        for got, expected in zip(step(x, n), f(x, n), strict=True):
            assert got.dtype == expected.dtype == dtype
            np.testing.assert_allclose(got.data, expected.data, rtol=1e-6 if dtype == "float32" else 1e-14)


@LOWERINGS
def test_numbers_of_numpy_are_strong(lowering):
    step = tm.compile(lambda x, n: x * n, lowering=lowering)
    x = tm.Tensor(np.ones(2, np.float32))
    assert step(x, np.float64(2)).dtype == np.float64
    assert step(x, np.float32(2)).dtype == np.float32
    assert step(x, 2.0).dtype == np.float32


@LOWERINGS
@pytest.mark.parametrize("optimiser", [Adam(1e-2), SGD(0.1), SGD(0.1, momentum=0.9), GravesRMSProp(1e-3)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_optimisers_with_the_number_of_the_update(lowering, optimiser, dtype):
    def trained(compiled):
        p = tm.Tensor(np.linspace(-1, 1, 7), requires_grad=True, dtype=dtype)
        slots = {name: tm.Tensor(array) for name, array in optimiser.start(p.data).items()}

        def update(x, number):
            p.grad = None
            loss = ((p - x) ** 2).sum()
            loss.backward()
            p.data, new = optimiser.update(p.data, p.grad, {name: slot.data for name, slot in slots.items()}, number)
            for name, slot in slots.items():
                slot.data = new[name]
            return loss

        if compiled:
            update = tm.compile(update, state={"p": p, "slots": slots}, lowering=lowering)
        x = np.full(7, 0.5, dtype)
        losses = [float(update(tm.Tensor(x), n).item()) for n in range(1, 8)]
        assert p.data.dtype == dtype
        return losses, p.data, [slot.data for slot in slots.values()]

    (losses, p, slots), (e_losses, e_p, e_slots) = trained(True), trained(False)
    tolerance = 2e-6 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(losses, e_losses, rtol=tolerance)
    np.testing.assert_allclose(p, e_p, rtol=tolerance, atol=tolerance)
    for got, expected in zip(slots, e_slots, strict=True):
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


@LOWERINGS
def test_integers(lowering):
    def f(x, i):
        return (
            tm.sum(i),
            i * 2 + 1,
            i / 2,
            tm.take(x, i, 0),
            tm.max(i, 0),
            tm.argmax(i, 0),
            tm.sort(i, 0),
            i > 1,
            tm.cumsum(i, 0),
            x * i,
            -i,
        )

    rng = np.random.default_rng(0)
    for kind in ("int64", "int32", "uint8"):
        i = tm.Tensor(rng.integers(0, 4, 9).astype(kind))
        x = tm.Tensor(rng.standard_normal(9))
        for got, expected in zip(tm.compile(f, lowering=lowering)(x, i), f(x, i), strict=True):
            assert got.data.tolist() == pytest.approx(expected.data.tolist())
            assert got.dtype == expected.dtype, kind


@LOWERINGS
def test_negative_integers_are_ordered_as_numbers(lowering):
    i = tm.Tensor(np.array([3, -1, 2, -7, 0, -2]))
    f = lambda i: (tm.argmax(i, 0), tm.argsort(i, 0), tm.cumsum(i, 0), tm.max(i, 0), tm.min(i, 0), tm.sort(i, 0))  # noqa: E731
    for got, expected in zip(tm.compile(f, lowering=lowering)(i), f(i), strict=True):
        assert got.data.tolist() == expected.data.tolist()


@LOWERINGS
def test_booleans(lowering):
    def f(a, b):
        return a + b, a * b, tm.sum(a), a > b, tm.where(a, b, a), tm.max(a, 0), tm.min(a, 0), tm.maximum(a, b), a == b, a * 2.0, tm.mean(a)

    a, b = tm.Tensor(np.array([True, True, False, False])), tm.Tensor(np.array([True, False, True, False]))
    for position, (got, expected) in enumerate(zip(tm.compile(f, lowering=lowering)(a, b), f(a, b), strict=True)):
        assert got.dtype == expected.dtype, position
        assert got.data.tolist() == expected.data.tolist(), position


@LOWERINGS
def test_a_condition_need_not_be_boolean(lowering):
    c, x = tm.Tensor([0.0, 2.0, -1.0, 0.0]), tm.Tensor(np.arange(4.0))
    assert tm.compile(lambda c, x: tm.where(c, x, -x), lowering=lowering)(c, x).data.tolist() == [0, 1, 2, -3]


@LOWERINGS
def test_an_index_out_of_range_is_an_error_and_the_next_call_works(lowering):
    step = tm.compile(lambda x, i: tm.take(x, i, 0), lowering=lowering)
    x = tm.Tensor(np.arange(4.0))
    with pytest.raises(IndexError):
        step(x, np.array([0, 4]))
    with pytest.raises(IndexError):
        step(x, np.array([-5, 0]))
    assert step(x, np.array([3, -4])).data.tolist() == [3, 0]


# -- what comes from outside ---------------------------------------------------------------------------------------------------------
@LOWERINGS
def test_an_outside_array_changed_in_place_is_seen(lowering):
    table, tensor = np.ones(3), tm.Tensor(np.ones(3))
    step = tm.compile(lambda x: x * table + tensor, lowering=lowering)
    x = tm.Tensor(np.ones(3))
    assert step(x).data.tolist() == [2, 2, 2]
    table[1] = 5
    tensor.data[2] = 7
    assert step(x).data.tolist() == [2, 6, 8]


@LOWERINGS
def test_a_view_of_an_outside_array_changed_in_place_is_seen(lowering):
    """The view is made anew in each recording; the numbers are the array's."""
    table = np.arange(6.0).reshape(2, 3)
    step = tm.compile(lambda x: x * table[1] + table.T[:, 1], lowering=lowering)
    x = tm.Tensor(np.ones(3))
    assert step(x).data.tolist() == [6, 8, 10]
    table[1] = 10
    assert step(x).data.tolist() == [20, 20, 20]


@LOWERINGS
def test_drawn_numbers_are_those_of_eager_mode(lowering):
    def f(rng):
        def step(x):
            a = tm.draw(rng, "random", (3,), "float64")
            b = tm.draw(rng, "standard_normal", (2, 3))
            return x * a, b, tm.draw(rng, "standard_exponential", (1,), "float64") + a

        return step

    eager, compiled = f(np.random.default_rng(3)), tm.compile(f(np.random.default_rng(3)), lowering=lowering)
    x = tm.Tensor(np.ones(3))
    for _ in range(3):
        for got, expected in zip(compiled(x), eager(x), strict=True):
            assert got.dtype == expected.dtype
            assert got.data.tolist() == expected.data.tolist()


def test_recording_draws_nothing():
    """After its first call, which records twice, the generator has given what one run needs."""
    rng, twin = np.random.default_rng(3), np.random.default_rng(3)
    tm.compile(lambda x: x + tm.draw(rng, "random", (2,)), lowering="numpy")(ONE)
    twin.random(size=(2,))
    assert rng.bit_generator.state == twin.bit_generator.state


@LOWERINGS
def test_dropout_by_drawn_numbers_has_the_gradient_of_its_mask(lowering):
    rng = np.random.default_rng(0)
    p = tm.Tensor(np.ones(50), requires_grad=True)

    def step():
        p.grad = None
        kept = tm.draw(rng, "random", (50,), "float64") < 0.5
        y = tm.where(kept, p, 0)
        y.sum().backward()
        return y, p.grad

    compiled = tm.compile(step, state=[p], lowering=lowering)
    y, gradient = compiled()
    assert gradient.tolist() == y.data.tolist()
    assert 0 < gradient.sum() < 50
    assert compiled()[1].tolist() != gradient.tolist()


# -- state --------------------------------------------------------------------------------------------------------------------
def small_model():
    return LSTMConfig(2, 1, hidden=3, layers=1).build(np.random.default_rng(0), "float64")


def sgd_step(model, rate=0.1):
    parameters = model.parameters()

    def step(x):
        for p in parameters.values():
            p.grad = None
        loss = (run(model, x) ** 2).sum()
        loss.backward()
        for p in parameters.values():
            p.data = p.data - rate * p.grad
        return loss

    return step


SEQUENCE = tm.Tensor(np.random.default_rng(1).standard_normal((4, 2, 2)))


@LOWERINGS
def test_state_put_there_from_outside_is_taken_over(lowering):
    model, twin = small_model(), small_model()
    step, eager = tm.compile(sgd_step(model), state=model, lowering=lowering), sgd_step(twin)
    step(SEQUENCE), eager(SEQUENCE)
    saved = twin.state()
    for _ in range(3):
        step(SEQUENCE), eager(SEQUENCE)
    for m in (model, twin):
        m.load_state(saved)
    for _ in range(2):
        assert step(SEQUENCE).item() == pytest.approx(eager(SEQUENCE).item(), rel=1e-12)
    for (name, got), expected in zip(model.state().items(), twin.state().values(), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, err_msg=name)
    model.out.b.data = model.out.b.data + 1.0  # rebinding one
    twin.out.b.data = twin.out.b.data + 1.0
    assert step(SEQUENCE).item() == pytest.approx(eager(SEQUENCE).item(), rel=1e-12)
    model.out.b.data[...] = 0  # writing into one
    twin.out.b.data[...] = 0
    assert step(SEQUENCE).item() == pytest.approx(eager(SEQUENCE).item(), rel=1e-12)


@LOWERINGS
def test_a_loaded_array_is_not_written_to(lowering):
    model = small_model()
    step = tm.compile(sgd_step(model), state=model, lowering=lowering)
    step(SEQUENCE)
    saved = {name: array.copy() for name, array in model.state().items()}
    held = {name: array.copy() for name, array in saved.items()}
    for name, p in model.parameters().items():
        p.data = held[name]
    step(SEQUENCE)
    assert all(np.array_equal(saved[name], held[name]) for name in saved)


@LOWERINGS
def test_two_steps_and_eager_calls_share_one_model(lowering):
    model, twin = small_model(), small_model()
    fast, slow = (
        tm.compile(sgd_step(model, 0.1), state=model, lowering=lowering),
        tm.compile(sgd_step(model, 0.01), state=model, lowering=lowering),
    )
    measure = tm.compile(lambda x: (run(model, x) ** 2).sum(), state=model, lowering=lowering)
    e_fast, e_slow = sgd_step(twin, 0.1), sgd_step(twin, 0.01)
    for one, other in [
        (fast, e_fast),
        (slow, e_slow),
        (fast, e_fast),
        (sgd_step(model, 0.05), sgd_step(twin, 0.05)),
        (slow, e_slow),
        (fast, e_fast),
    ]:
        assert one(SEQUENCE).item() == pytest.approx(other(SEQUENCE).item(), rel=1e-12)
        assert measure(SEQUENCE).item() == pytest.approx((run(twin, SEQUENCE) ** 2).sum().item(), rel=1e-12)


@LOWERINGS
def test_several_lengths_share_one_state(lowering):
    model, twin = small_model(), small_model()
    counted = Counted(sgd_step(model))
    step, eager = tm.compile(counted, state=model, lowering=lowering), sgd_step(twin)
    rng = np.random.default_rng(2)
    for length in (3, 5, 3, 1, 5):
        x = tm.Tensor(rng.standard_normal((length, 2, 2)))
        assert step(x).item() == pytest.approx(eager(x).item(), rel=1e-12)
    assert counted.recordings == 3


@LOWERINGS
def test_two_tensors_that_start_as_one_array_are_two(lowering):
    """A target network starts as `target.data = online.data`; nothing says that it stays so."""
    online, target = tm.Tensor(np.ones(2)), tm.Tensor(np.zeros(2))
    target.data = online.data

    def step():
        online.data = online.data * 2
        return online.data, target.data

    compiled = tm.compile(step, state=[online, target], lowering=lowering)
    for factor in (2, 4):
        got = compiled()
        assert (got[0].tolist(), got[1].tolist()) == ([factor] * 2, [1, 1])
    assert target.data.tolist() == [1, 1]


@LOWERINGS
def test_a_tensor_named_twice_is_one(lowering):
    p = tm.Tensor(np.ones(2), requires_grad=True)

    def step():
        p.grad = None
        (p * p).sum().backward()
        p.data = p.data - 0.25 * p.grad
        return p.data

    compiled = tm.compile(step, state={"a": p, "b": [p]}, lowering=lowering)
    assert [compiled().tolist(), compiled().tolist()] == [[0.5, 0.5], [0.25, 0.25]]


@LOWERINGS
@pytest.mark.parametrize(
    "start",
    [np.ones((3, 2)).T, np.ones((4, 3))[::2], np.broadcast_to(np.ones(3), (2, 3)), np.asfortranarray(np.ones((2, 3)))],
    ids=["T", "step", "broadcast", "Fortran"],
)
def test_a_state_of_any_layout(lowering, start):
    p = tm.Tensor(np.zeros((2, 3)))
    p.data = start
    untouched = start.copy()

    def step():
        p.data = p.data * 2 + np.arange(3.0)

    compiled = tm.compile(step, state=[p], lowering=lowering)
    compiled()
    compiled()
    assert p.data.tolist() == [[4, 7, 10]] * 2
    if start.base is not None:
        assert np.array_equal(start, untouched)


@LOWERINGS
def test_gradients_kept_by_the_parameters_are_left_alone(lowering):
    """`.grad` belongs to eager mode: a compiled step returns the gradients somebody wants."""
    model = small_model()
    for p in model.parameters().values():
        p.grad = np.ones_like(p.data)
    tm.compile(sgd_step(model), state=model, lowering=lowering)(SEQUENCE)
    assert all(np.array_equal(p.grad, np.ones_like(p.data)) for p in model.parameters().values())


@LOWERINGS
def test_integers_and_counts_in_the_state(lowering):
    count = tm.Tensor(np.array(0))
    seen = tm.Tensor(np.zeros(3, np.int64))

    def step(x):
        count.data = count.data + 1
        seen.data = seen.data + (x.data > 0) * 1
        return count

    compiled = tm.compile(step, state={"count": count, "seen": seen}, lowering=lowering)
    for n in (1, 2, 3):
        assert compiled(tm.Tensor([1.0, -1.0, 0.5])).item() == n
    assert (count.item(), seen.data.tolist()) == (3, [3, 0, 3])


def test_a_step_and_its_memory_die_together():
    model = small_model()
    step = tm.compile(sgd_step(model), state=model, lowering="numpy")
    step(SEQUENCE)
    alive = weakref.ref(step._latest.lowered)
    del step
    gc.collect()
    assert alive() is None


# -- its face -------------------------------------------------------------------------------------------------------------------
@LOWERINGS
def test_the_program_as_text(lowering):
    model = NTMConfig(3, 2, hidden=6, locations=7, width=4).build(np.random.default_rng(0), "float64")
    step = tm.compile(sgd_step(model), state=model, lowering=lowering)
    with pytest.raises(RuntimeError, match="not called yet"):
        _ = step.program
    with pytest.raises(RuntimeError, match="not called yet"):
        step.stats()
    step(tm.Tensor(np.random.default_rng(0).standard_normal((5, 2, 3))))
    text = step.program
    for phase in ("forward", "backward", "update"):
        assert f"-- {phase} --" in text
    for title in ("Cosine similarity", "Interpolation gate", "Erase", "Read"):
        assert title.lower() in text.lower(), title
    assert "T = 5" in text
    assert all(word in text for word in ("input", "return", "update"))
    assert "interface.W" in text
    assert "test_compiled_step.py:" in text or "ntm.py:" in text
    numbers = [int(line.split()[0]) for line in text.splitlines() if line.split() and line.split()[0].isdigit()]
    assert numbers == list(range(1, len(numbers) + 1))


@LOWERINGS
def test_stats(lowering):
    model = NTMConfig(3, 2, hidden=6, locations=7, width=4).build(np.random.default_rng(0), "float64")
    step = tm.compile(sgd_step(model), state=model, lowering=lowering)
    step(tm.Tensor(np.random.default_rng(0).standard_normal((5, 2, 3))))
    stats = step.stats()
    assert [p.name for p in stats.passes][:2] == ["recorded", "fold"]
    assert stats.passes[1].rows < stats.passes[0].rows
    assert 0 < stats.bytes <= stats.unplanned * 1.5
    assert stats.lowering == lowering
    assert stats.calls > 5
    assert (stats.kernels > 0) == (lowering == "c")
    assert set(stats.seconds) == {"record", "passes", "lowering"}
    assert f"lowered to {lowering}" in str(stats)
    assert len(str(stats).splitlines()) == len(stats.passes) + 4


def test_planning_saves_memory():
    def memory(without):
        model = NTMConfig(3, 2, hidden=6, locations=20, width=8).build(np.random.default_rng(0))
        step = tm.compile(sgd_step(model), state=model, lowering="numpy", without=without)
        step(tm.Tensor(np.zeros((6, 2, 3), np.float32)))
        return step.stats().bytes

    assert memory(()) < 0.9 * memory(("plan",))


def test_compile_is_what_it_says():
    step = tm.compile(lambda x: x)
    assert type(step) is CompiledStep is tm.CompiledStep


@LOWERINGS
@pytest.mark.parametrize("subscripts", ["bl,blf->bf", "bl,lf->bf", "bl,bl->b"])
def test_a_product_with_one_number_everywhere(lowering, subscripts):
    """`full` is no array in a program; a product needs one."""
    shape = {"blf": (4, 3, 2), "lf": (3, 2), "bl": (4, 3)}[subscripts[3 : subscripts.index("-")]]
    x = tm.Tensor(np.random.default_rng(0).normal(size=shape), requires_grad=True)

    def step():
        x.grad = None
        weights = tm.Tensor(np.full((4, 3), 0.5)) if eager else wrap(creation_namespace().full((4, 3), 0.5), None)
        loss = (tm.einsum(subscripts, weights, x) ** 2).sum()
        loss.backward()
        return loss, x.grad

    eager = True
    expected, gradient = step()
    eager = False
    found, recorded = tm.compile(step, state=x, lowering=lowering)()
    np.testing.assert_allclose(found.data, expected.data, rtol=1e-12)
    np.testing.assert_allclose(recorded, gradient, rtol=1e-12)
