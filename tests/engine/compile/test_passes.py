"""The passes: each on small programs written by hand, each alone and each left out on whole models."""

import hypothesis.strategies as st
import numpy as np
import pytest
from agree import agree, training_step
from hypothesis import given

import tinymem as tm
from tinymem.engine.compile.compiled import settled
from tinymem.engine.compile.layout import lay_out
from tinymem.engine.compile.lower_numpy import Replay
from tinymem.engine.compile.passes import PROGRAM_PASSES, SWITCHES
from tinymem.engine.compile.passes.defer import defer
from tinymem.engine.compile.passes.fold import fold, without_dead_rows
from tinymem.engine.compile.passes.pieces import pieces
from tinymem.engine.compile.passes.plan import plan
from tinymem.engine.compile.program import (
    Carry,
    Collected,
    Literal,
    Loop,
    Program,
    Row,
    Slice,
    Summed,
    Value,
    View,
    broadcast,
    relocated,
    whole,
)
from tinymem.equations.recurrent import lstm_step, rnn_step
from tinymem.models.ntm import NTMConfig
from tinymem.models.sequence import run

EVERY = (*PROGRAM_PASSES, *SWITCHES)


# -- on whole models ----------------------------------------------------------------------------------------------------------------
def ntm_step():
    model = NTMConfig(3, 2, "lstm", hidden=6, locations=7, width=4, read_heads=2).build(np.random.default_rng(0), "float64")
    return training_step(lambda p, x: run(model, x), model.parameters()), model


X = tm.Tensor(np.random.default_rng(1).standard_normal((4, 2, 3)))


@pytest.mark.parametrize("lowering", ["numpy", "c"])
@pytest.mark.parametrize(
    "without",
    [(), *[(name,) for name in EVERY], *[tuple(n for n in EVERY if n != name) for name in EVERY], EVERY],
    ids=lambda w: "-".join(w) if len(w) < 2 else f"{len(w)} of them",
)
def test_each_pass_alone_and_each_left_out(without, lowering):
    step, model = ntm_step()
    expected = step(X)
    loss, outputs, gradients = tm.compile(step, state=model, lowering=lowering, without=without)(X)
    np.testing.assert_allclose(loss.data, expected[0].data, rtol=1e-11)
    np.testing.assert_allclose(outputs.data, expected[1].data, rtol=1e-9, atol=1e-12)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, expected[2][name], rtol=1e-8, atol=1e-11, err_msg=name)


def passes_of(f, parameters, *arguments, without=(), lowering="numpy"):
    """The program after each pass, by name."""
    state = {name: tm.Tensor(value, requires_grad=True) for name, value in parameters.items()}
    step = tm.compile(training_step(f, state), state=state, lowering=lowering, without=without)
    step(*arguments)
    return dict(step._latest.after), step


# -- programs by hand ---------------------------------------------------------------------------------------------------------
def run_program(program, *arrays):
    """The outputs of a program by a replay."""
    program = settled(program)
    given_arrays = {value: np.array(a, value.dtype) for value, a in zip(program.inputs, arrays, strict=True)}
    lowered = Replay(lay_out(program, given_arrays))
    lowered.run()
    return [lowered.read(o) for o in program.outputs]


def value(*shape, dtype="float64"):
    return Value(shape, dtype)


def map_row(op, out, *ins):
    return Row(
        op, tuple(broadcast(whole(x) if isinstance(x, Value) else x, out.shape) for x in ins), out, {"loop": (np.dtype(float),) * len(ins)}
    )


def number(x):
    return Literal(float(x), (), np.dtype(float))


def program(inputs, rows, outputs):
    return Program(tuple(inputs), tuple(rows), tuple(whole(o) if isinstance(o, Value) else o for o in outputs), ())


def same(before, after, *arrays):
    for a, b in zip(run_program(before, *arrays), run_program(after, *arrays), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


A = np.arange(1.0, 7.0).reshape(2, 3)


@pytest.mark.parametrize(
    ("op", "left", "neutral"),
    [("multiply", False, 1), ("multiply", True, 1), ("add", False, 0), ("add", True, 0), ("subtract", False, 0), ("divide", False, 1)],
)
def test_fold_leaves_out_neutral_elements(op, left, neutral):
    x, y, z = value(2, 3), value(2, 3), value(2, 3)
    ins = (number(neutral), x) if left else (x, number(neutral))
    before = program([x], [map_row(op, y, *ins), map_row("exp", z, y)], [z])
    after = fold(before)
    assert [row.op for row in after.rows] == ["exp"]
    same(before, after, A)


@pytest.mark.parametrize(("op", "literal"), [("subtract", 0), ("divide", 1), ("power", 1), ("multiply", 0), ("add", 1), ("multiply", 2)])
def test_fold_keeps_what_is_not_neutral(op, literal):
    """0 - x and 1 / x are something, and 0 · x is not 0 where x is infinite."""
    x, y = value(2, 3), value(2, 3)
    before = program([x], [map_row(op, y, number(literal), x)], [y])
    after = fold(before)
    assert [row.op for row in after.rows] == [op]
    same(before, after, A)


def test_fold_computes_literals_and_equal_rows_once_and_drops_dead_ones():
    x, a, b, c, d, e, dead = value(3), value(3), value(3), value(3), value(3), value(3), value(3)
    before = program(
        [x],
        [
            map_row("add", a, number(1), number(2)),
            map_row("multiply", b, x, a),
            map_row("multiply", c, x, number(3)),
            map_row("add", d, b, c),
            map_row("exp", dead, d),
            map_row("sin", e, d),
        ],
        [e],
    )
    after = fold(before)
    assert [row.op for row in after.rows] == ["multiply", "add", "sin"]
    same(before, after, [1.0, 2.0, 3.0])


def test_fold_keeps_apart_what_only_looks_equal():
    x, a, b, c = value(3, 3), value(3), value(3), value(3, 3)
    before = program(
        [x],
        [
            Row("sum", (whole(x),), a, {"axes": (0,)}),
            Row("sum", (whole(x),), b, {"axes": (1,)}),
            map_row("subtract", c, View(a, (3, 3), (0, 1)), View(b, (3, 3), (1, 0))),
        ],
        [a, b, c],
    )
    after = fold(before)
    assert [row.op for row in after.rows] == ["sum", "sum", "subtract"]
    same(before, after, np.arange(9.0).reshape(3, 3) ** 2)


def test_fold_chooses_at_once_where_the_condition_is_known():
    x, y, z = value(2, 3), value(2, 3), value(2, 3)
    rows = [
        Row(
            "where",
            (Literal(True, (2, 3), np.dtype(bool)), whole(x), Literal(0.0, (2, 3), np.dtype(float))),
            y,
            {"loop": (np.dtype(bool), np.dtype(float), np.dtype(float))},
        ),
        map_row("exp", z, y),
    ]
    assert [row.op for row in fold(program([x], rows, [z])).rows] == ["exp"]


def counting_loop(length=4, n=3):
    """h ← h w + x_t with an unused output, a constant carry and a row that nobody needs."""
    start, constant, xs, w = value(n), value(n), value(length, n), value(n)
    h, k, x, p, q, dead = value(n), value(n), value(n), value(n), value(n), value(n)
    final, k_final, seen, unused = value(n), value(n), value(length, n), value(length, n)
    loop = Loop(
        length,
        False,
        (map_row("multiply", p, h, w), map_row("add", q, p, x), map_row("multiply", dead, q, k)),
        (Carry(whole(start), h, whole(q), final), Carry(whole(constant), k, whole(k), k_final)),
        (Slice(whole(xs), x),),
        (Collected(whole(h), seen), Collected(whole(dead), unused)),
        (),
    )
    return program([start, constant, xs, w], [loop], [final, seen, k_final]), loop


def test_fold_leaves_dead_carries_and_collections_out_of_loops():
    before, _ = counting_loop()
    after = fold(before)
    (loop,) = after.rows
    assert [row.op for row in loop.rows] == ["multiply", "add"]
    assert (len(loop.carries), len(loop.collected), len(loop.slices)) == (1, 1, 1)
    rng = np.random.default_rng(0)
    same(before, after, *[rng.standard_normal(v.shape) for v in before.inputs])


def test_dead_rows_only():
    before, _ = counting_loop()
    after = without_dead_rows(before)
    assert len(after.rows[0].rows) == 2
    assert len(after.rows[0].carries) == 2  # its final value is an output, and only fold knows that it never changes


# -- pieces ---------------------------------------------------------------------------------------------------------------------
def region(shape, index):
    canvas = np.zeros(shape, np.int8)
    part = canvas[index]
    return part.shape, part.strides, part.__array_interface__["data"][0] - canvas.__array_interface__["data"][0]


def add_at_chain(shape, indices):
    parts, rows, total = [], [], Literal(0.0, shape, np.dtype(float))
    for index in indices:
        part = value(*np.zeros(shape)[index].shape)
        out = value(*shape)
        rows.append(Row("add_at", (total, whole(part)), out, {"region": region(shape, index)}))
        parts.append(part)
        total = whole(out)
    return program(parts, rows, [total])


ROWS = slice(None)
APART = {
    "columns": [(ROWS, slice(0, 2)), (ROWS, slice(2, 5)), (ROWS, slice(5, 6))],
    "rows": [slice(0, 1), slice(1, 4)],
    "interleaved": [(ROWS, slice(0, None, 2)), (ROWS, slice(1, None, 2))],
    "blocks": [(slice(0, 2), slice(0, 3)), (slice(0, 2), slice(3, 6)), (slice(2, 4), slice(0, 6))],
    "backwards": [(ROWS, slice(2, None, -1)), (ROWS, slice(3, None))],
    "gaps": [(ROWS, slice(1, 2)), (ROWS, slice(4, 5))],
    "one": [(slice(1, 2), slice(1, 2))],
}
TOGETHER = {
    "same": [(ROWS, slice(0, 2)), (ROWS, slice(0, 2))],
    "touching": [(ROWS, slice(0, 3)), (ROWS, slice(2, 5))],
    "crossing": [(slice(1, 2),), (ROWS, slice(1, 2))],
    "diagonal": [(slice(0, None, 2), slice(0, None, 3)), (slice(0, None, 1), slice(3, 4))],
}


@pytest.mark.parametrize("name", APART)
def test_pieces_that_do_not_overlap_become_one_assembly(name):
    before = add_at_chain((4, 6), APART[name])
    after = pieces(before)
    if name not in ("interleaved", "backwards"):  # there it may say: not shown to be apart
        assert [row.op for row in after.rows] == ["assemble"]
    rng = np.random.default_rng(0)
    same(before, after, *[rng.standard_normal(v.shape) for v in before.inputs])


@pytest.mark.parametrize("name", TOGETHER)
def test_pieces_that_overlap_are_added(name):
    before = add_at_chain((4, 6), TOGETHER[name])
    after = pieces(before)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(v.shape) for v in before.inputs]
    same(before, after, *arrays)
    expected = np.zeros((4, 6))
    for index, array in zip(TOGETHER[name], arrays, strict=True):
        expected[index] += array
    np.testing.assert_allclose(run_program(after, *arrays)[0], expected)


slices = st.tuples(st.integers(0, 5), st.integers(0, 6), st.sampled_from([1, 1, 1, 2, 3, -1, -2])).map(
    lambda t: slice(*sorted(t[:2])[:: 1 if t[2] > 0 else -1], t[2])
)


@given(st.lists(st.tuples(slices, slices), min_size=1, max_size=5), st.integers(0, 99))
def test_pieces_of_any_kind(indices, seed):
    indices = [index for index in indices if np.zeros((5, 6))[index].size]
    if not indices:
        return
    before = add_at_chain((5, 6), indices)
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(v.shape) for v in before.inputs]
    expected = np.zeros((5, 6))
    for index, array in zip(indices, arrays, strict=True):
        expected[index] += array
    for changed in (before, pieces(before)):
        np.testing.assert_allclose(run_program(changed, *arrays)[0], expected, rtol=1e-13)


def test_no_add_at_is_left_for_a_split():
    def f(p):
        a, b, c = tm.split(p["x"], [2, 3, 1], 1)
        return tm.tanh(a), b * 2, tm.sin(c)

    after, _ = passes_of(f, {"x": np.ones((4, 6))})
    assert "add_at" in [row.op for row in after["recorded"].rows]
    ops = [row.op for row in after["pieces"].rows]
    assert (ops.count("add_at"), ops.count("assemble")) == (0, 1)
    agree(f, {"x": np.linspace(-1, 1, 24).reshape(4, 6)})


# -- recompute --------------------------------------------------------------------------------------------------------------------
def test_what_erases_is_computed_again():
    """1 - w eᵀ is as large as the memory, and is not kept for the way back."""

    def f(p):
        def step(memory, x):
            w, e = tm.softmax(x @ p["w"].T, 1), tm.sigmoid(x @ p["e"].T)
            return memory * (1 - tm.einsum("bn,bm->bnm", w, e)), tm.sum(memory, 1)

        return tm.scan(step, p["memory"], p["x"])

    rng = np.random.default_rng(0)
    given_arrays = {
        "w": rng.standard_normal((9, 3)),
        "e": rng.standard_normal((8, 3)),
        "memory": rng.standard_normal((2, 9, 8)),
        "x": rng.standard_normal((5, 2, 3)),
    }
    after, _ = passes_of(f, given_arrays, lowering="c")

    def kept(program):
        forward = next(row for row in program.rows if isinstance(row, Loop) and not row.backwards)
        return [c.outside.shape for c in forward.collected if c.outside.size == 5 * 2 * 9 * 8]

    assert len(kept(after["fold"])) == 2  # the memory, and what it is multiplied with
    assert len(kept(after["recompute"])) == 1
    agree(f, given_arrays)
    agree(f, given_arrays, without=("recompute",))


def test_what_is_not_cheap_is_kept():
    def f(p):
        return tm.scan(lambda h, x: (h * tm.exp(tm.expand_dims(x, 1) * p["v"]), tm.sum(h)), p["h"], p["x"])

    rng = np.random.default_rng(0)
    after, _ = passes_of(
        f, {"v": rng.standard_normal((9, 1)), "h": rng.standard_normal((2, 9, 4)), "x": rng.standard_normal((3, 2, 4))}, lowering="c"
    )
    for name in ("fold", "recompute"):
        forward = next(row for row in after[name].rows if isinstance(row, Loop) and not row.backwards)
        backward = next(row for row in after[name].rows if isinstance(row, Loop) and row.backwards)
        assert "exp" in [row.op for row in forward.rows]
        assert "exp" not in [row.op for row in backward.rows]


# -- defer --------------------------------------------------------------------------------------------------------------------------
def loops(program):
    return [row for row in program.rows if isinstance(row, Loop)]


def rnn(p):
    return tm.scan(lambda h, x: (rnn_step(x, h, p["W"], p["U"], p["b"]),) * 2, p["h"], p["x"])[1]


def rnn_arrays(length=6, batch=5, inputs=7, hidden=8):
    rng = np.random.default_rng(0)
    weights = {
        "W": rng.standard_normal((hidden, inputs)),
        "U": 0.3 * rng.standard_normal((hidden, hidden)),
        "b": rng.standard_normal(hidden),
    }
    return weights | {"h": rng.standard_normal((batch, hidden)), "x": rng.standard_normal((length, batch, inputs))}


def test_the_gradients_of_a_recurrent_networks_weights_are_one_product_each():
    after, _ = passes_of(rnn, rnn_arrays())
    forward, backward = loops(after["defer"])
    products = lambda rows: [row for row in rows if row.op == "matmul"]  # noqa: E731
    assert len(products(loops(after["fold"])[0].rows)) == 2  # W x and U h
    assert len(products(loops(after["fold"])[1].rows)) == 4  # back to x and h, and one for each weight
    assert len(products(forward.rows)) == 1  # U h: what the next step waits for
    assert len(products(backward.rows)) == 1  # its transpose
    assert not backward.summed  # the bias too
    outside = [row for row in after["defer"].rows if isinstance(row, Row) and row.op == "matmul"]
    shapes = sorted(row.out.shape for row in outside)
    assert {(8, 7), (8, 8)} <= set(shapes)  # the weights' gradients
    inner = {row.out.shape: row.ins[0].shape[-1] for row in outside}
    assert inner[8, 7] == inner[8, 8] == 6 * 5  # summed over time and batch at once
    agree(rnn, rnn_arrays())


def test_an_output_layer_goes_after_the_loop():
    def f(p):
        return tm.scan(lambda h, x: (tm.tanh(h @ p["U"].T + x), tm.softmax(h @ p["O"].T, 1)), p["h"], p["x"])[1]

    rng = np.random.default_rng(0)
    arrays = {
        "U": 0.3 * rng.standard_normal((8, 8)),
        "O": rng.standard_normal((9, 8)),
        "h": rng.standard_normal((5, 8)),
        "x": rng.standard_normal((6, 5, 8)),
    }
    after, _ = passes_of(f, arrays)
    forward = loops(after["defer"])[0]
    assert [row.op for row in forward.rows].count("matmul") == 1
    assert "exp" not in [row.op for row in forward.rows]
    agree(f, arrays)


def test_what_each_step_needs_stays_in_the_loop():
    """A product of the state with itself cannot leave, in either direction."""

    def f(p):
        return tm.scan(lambda h, x: (tm.tanh(tm.matmul(h, h) * 0.2 + x), tm.sum(h)), p["h"], p["x"])

    rng = np.random.default_rng(0)
    arrays = {"h": rng.standard_normal((6, 6)), "x": rng.standard_normal((4, 6, 6))}
    after, _ = passes_of(f, arrays)
    assert [row.op for row in loops(after["defer"])[0].rows].count("matmul") == 1
    agree(f, arrays)


def test_defer_computes_the_same_with_a_tied_weight():
    """One matrix in three places: its gradient is a sum of products that were deferred and of one that was not."""

    def f(p):
        w = p["w"]
        return tm.scan(lambda h, x: (tm.tanh(h @ w.T + x @ w), tm.softmax(h @ w, 1) @ w), p["h"], p["x"])

    rng = np.random.default_rng(0)
    arrays = {"w": 0.3 * rng.standard_normal((6, 6)), "h": rng.standard_normal((5, 6)), "x": rng.standard_normal((4, 5, 6))}
    for without in ((), ("defer",), ("recompute", "pieces")):
        agree(f, arrays, without=without)


def test_defer_of_an_lstm_by_hand_written_gradient_counts():
    def f(p):
        def step(state, x):
            h, c = lstm_step(x, *state, p["W"], p["U"], p["b"])
            return (h, c), h

        return tm.scan(step, (p["h"], p["c"]), p["x"])[1]

    rng = np.random.default_rng(0)
    arrays = {"W": rng.standard_normal((24, 7)), "U": 0.3 * rng.standard_normal((24, 6)), "b": rng.standard_normal(24)}
    arrays |= {"h": rng.standard_normal((5, 6)), "c": rng.standard_normal((5, 6)), "x": rng.standard_normal((4, 5, 7))}
    after, _ = passes_of(f, arrays)
    before, done = (sum(row.op == "matmul" for loop in loops(after[name]) for row in loop.rows) for name in ("fold", "defer"))
    assert (before, done) == (6, 2)
    agree(f, arrays)


def test_the_gradient_of_an_output_layer_is_one_product():
    def f(p):
        return tm.scan(lambda h, x: (tm.tanh(h @ p["U"].T + x), h @ p["O"].T), p["h"], p["x"])[1]

    rng = np.random.default_rng(0)
    arrays = {
        "U": 0.3 * rng.standard_normal((8, 8)),
        "O": rng.standard_normal((9, 8)),
        "h": rng.standard_normal((5, 8)),
        "x": rng.standard_normal((6, 5, 8)),
    }
    after, _ = passes_of(f, arrays)
    assert not loops(after["defer"])[1].summed
    assert all(len(row.out.shape) == 2 for row in after["defer"].rows if row.op == "matmul")


def test_defer_on_a_program_by_hand():
    """Σ_t g_t x_tᵀ in a loop becomes one product."""
    length, n, m, batch = 4, 5, 6, 7
    xs, gs = value(length, batch, m), value(length, batch, n)
    x, g, product, total = value(batch, m), value(batch, n), value(n, m), value(n, m)
    loop = Loop(
        length,
        True,
        (Row("matmul", (View(g, (n, batch), (1, n)), whole(x)), product),),
        (),
        (Slice(whole(xs), x), Slice(whole(gs), g)),
        (),
        (Summed(whole(product), total),),
    )
    before = program([xs, gs], [loop], [total])
    after = without_dead_rows(defer(before))
    assert [row.op for row in after.rows] == ["matmul"]
    assert after.rows[0].ins[0].shape == (n, length * batch)
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(xs.shape), rng.standard_normal(gs.shape)
    for changed in (before, after):
        np.testing.assert_allclose(run_program(changed, a, b)[0], np.einsum("tbn,tbm->nm", b, a), rtol=1e-12)


# -- plan -----------------------------------------------------------------------------------------------------------------------------
intervals = st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 20), st.integers(0, 8)), max_size=30)


@given(intervals, st.booleans())
def test_no_two_that_live_at_once_overlap(drawn, share):
    entries = [(key, size, first, first + more) for key, (size, first, more) in enumerate(drawn)]
    offsets, total = plan(entries, share)
    assert set(offsets) == {key for key, *_ in entries}
    for key, size, first, last in entries:
        assert offsets[key] % 64 == 0
        assert 0 <= offsets[key] <= total - size
        for other, other_size, begins, ends in entries:
            if key < other and size and other_size and (not share or (begins <= last and first <= ends)):
                assert offsets[key] + size <= offsets[other] or offsets[other] + other_size <= offsets[key]
    if not share:
        assert total == sum(-(-size // 64) * 64 for _, size, *_ in entries)


def test_memory_is_used_again():
    entries = [(key, 640, key, key + 1) for key in range(10)]
    assert plan(entries)[1] == 1280
    assert plan(entries, share=False)[1] == 6400


# -- views of views -----------------------------------------------------------------------------------------------------------------
@given(st.data())
def test_a_view_of_a_value_that_lives_elsewhere_shows_the_same_elements(data):
    """`relocated`: exact where it answers."""
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    inner = Value(shape, "int64")
    padded = tuple(n + data.draw(st.integers(0, 2)) for n in shape)
    order = data.draw(st.permutations(range(len(shape))))
    canvas = np.arange(int(np.prod(padded)), dtype=np.int64)
    big = canvas.reshape([padded[k] for k in order]).transpose(np.argsort(order))
    part = big[tuple(slice(p - n, p) for p, n in zip(padded, shape, strict=True))]
    start = int(part.ravel()[0]) if part.size else 0
    home = View(Value((canvas.size,), "int64"), shape, tuple(s // 8 for s in part.strides), start)
    step = [data.draw(st.sampled_from([1, -1, 2])) for _ in shape]
    index = tuple(slice(None, None, s) for s in step)
    axes = data.draw(st.permutations(range(len(shape))))
    view = whole(inner).through(lambda x: x[index].transpose(axes))
    found = relocated(view, home)
    expected = part[index].transpose(axes)
    assert found is not None
    got = np.lib.stride_tricks.as_strided(canvas[found.offset :], found.shape, tuple(8 * s for s in found.strides))
    assert got.tolist() == expected.tolist()


# -- fuse -----------------------------------------------------------------------------------------------------------------------------
def stats_of(f, parameters, without=()):
    state = {name: tm.Tensor(v, requires_grad=True) for name, v in parameters.items()}
    step = tm.compile(training_step(f, state), state=state, lowering="c", without=without)
    step()
    return step.stats(), step


def test_a_chain_of_elementwise_rows_is_one_kernel():
    f = lambda p: tm.tanh(tm.exp(p["x"] * 0.5) + tm.sin(p["x"])) * 2  # noqa: E731
    x = {"x": np.linspace(-1, 1, 300).reshape(30, 10)}
    fused, _ = stats_of(f, x)
    alone, _ = stats_of(f, x, without=("fuse",))
    assert fused.calls < alone.calls / 2
    agree(f, x, lowerings=["c"])
    agree(f, x, lowerings=["c"], without=("fuse",))


def test_equal_kernels_are_compiled_once():
    f = lambda p: [tm.exp(p[f"w{i}"] @ np.ones((20, 20))) for i in range(8)]  # noqa: E731
    stats, step = stats_of(f, {f"w{i}": np.ones((40, 20)) for i in range(8)})
    assert stats.kernels < stats.calls
    assert len(set(step._latest.lowered.texts.values())) == stats.kernels


def test_intermediate_values_are_not_stored():
    f = lambda p: tm.sum(tm.tanh(tm.exp(p["x"]) + 1) * p["x"])  # noqa: E731
    x = {"x": np.ones((64, 256))}
    assert stats_of(f, x)[0].bytes < stats_of(f, x, without=("stores",))[0].bytes
