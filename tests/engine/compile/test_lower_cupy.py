"""Compiled steps on a device: on the strict double row by row, and by kernels whose text the host's compiler runs."""

from __future__ import annotations

import ctypes
import math
import random

import numpy as np
import programs
import pytest
from tiny import NTM, TASK

import tinymem as tm
from tinymem.engine.backend import BackendError, probe_cupy
from tinymem.engine.compile import cache, lower_cupy
from tinymem.engine.compile.compiled import compile
from tinymem.engine.compile.kernel_cuda import TYPES, Launch, elementwise, is_supported, map_reduce, number
from tinymem.engine.compile.layout import Buffer
from tinymem.engine.compile.lower_cupy import MOST, Fused, Makers
from tinymem.engine.compile.maps import MAPS, result_type
from tinymem.engine.compile.program import Literal
from tinymem.engine.compile.statements import Place, Statement
from tinymem.engine.structure import flatten
from tinymem.engine.tensor import wrap
from tinymem.models.lstm import LSTMConfig
from tinymem.testing import strict
from tinymem.training.loop import Schedule, update_step
from tinymem.training.objectives import bits_per_sequence
from tinymem.training.optimisers import SGD, Adam, GravesRMSProp

LSTM = LSTMConfig(TASK.inputs, TASK.outputs, hidden=8, layers=2)
XP = strict.namespace


# -- the kernel call, emulated: CuPy's two classes for arrays of the double, their text compiled by the host's compiler -------
PRELUDE = "#include <math.h>\n#include <stdbool.h>\n#include <stdint.h>\n#define __device__ static\n"


class HostKernel:
    """What ElementwiseKernel and ReductionKernel share: parameters, and the text as a C function over n elements."""

    waiting: dict[str, HostKernel] = {}  # noqa: RUF012  # compiled together, at the first call

    def __init__(self, in_params, out_params, body, preamble, result=""):
        self.ins = [entry.split() for entry in in_params.split(", ") if entry]
        self.outs = [entry.split() for entry in out_params.split(", ") if entry]
        assert len(self.ins) + len(self.outs) <= 2 * MOST
        parameters = [(TYPES[np.dtype(kind).str[1:]], name) for kind, name in (self.ins if result else self.ins + self.outs)]
        loads = [f"{kind} {name} = (({kind} *)p[{k}])[i];" for k, (kind, name) in enumerate(parameters)]
        stores = [f"(({kind} *)p[{k}])[i] = {name};" for k, (kind, name) in enumerate(parameters) if k >= len(self.ins)]
        if result:
            stores = [f"(({result} *)p[{len(self.ins)}])[i] = {body};"]
            body = ""
        lines = "\n".join([*loads, body, *stores])
        self.text = f"{preamble}\nvoid KERNEL(char **p, const int64_t *c) {{ for (int64_t i = 0; i < c[0]; i++) {{\n{lines}\n}} }}\n"
        HostKernel.waiting[f"kernel {id(self)}"] = self
        self.function = None

    def run(self, arrays):
        if self.function is None:
            texts = {name: kernel.text for name, kernel in HostKernel.waiting.items()}
            addresses, _ = cache.kernels(texts, PRELUDE)
            for name, kernel in HostKernel.waiting.items():
                kernel.function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(addresses[name])
            HostKernel.waiting = {}
        pointers = np.array([array.ctypes.data for array in arrays], np.int64)
        count = np.array([arrays[0].size], np.int64)
        self.function(pointers.ctypes.data, count.ctypes.data)

    @staticmethod
    def hosts(given, parameters):
        arrays = [x._host for x in given]
        for array, (kind, name) in zip(arrays, parameters, strict=True):
            assert array.dtype == kind, f"{name} is {array.dtype}, the kernel says {kind}"
        return arrays


def same_memory(a, b):
    return a.ctypes.data == b.ctypes.data and a.strides == b.strides and a.dtype == b.dtype


class HostElementwise(HostKernel):
    def __init__(self, in_params, out_params, operation, name, no_return):
        assert name.isidentifier()
        assert no_return
        super().__init__(in_params, out_params, operation, "")

    def __call__(self, *given):
        arrays = self.hosts(given, self.ins + self.outs)
        shapes = {array.shape for array in arrays}
        assert len(shapes) == 1, "a view was not brought to the kernel's space"
        ins, outs = arrays[: len(self.ins)], arrays[len(self.ins) :]
        for k, out in enumerate(outs):  # all elements at once, in no order
            assert all(n == 1 or s for n, s in zip(out.shape, out.strides, strict=True)), "two elements write to one place"
            for other in [*ins, *outs[:k]]:
                assert same_memory(out, other) or not np.shares_memory(out, other), "an element reads what another one writes"
        copies = [np.array(array, order="C") for array in arrays]
        self.run(copies)
        for out, copy in zip(outs, copies[len(self.ins) :], strict=True):
            out[...] = copy


class HostReduction(HostKernel):
    def __init__(self, in_params, out_params, map_expr, reduce_expr, post_map_expr, identity, name, reduce_type, preamble):
        assert (reduce_expr, post_map_expr, identity) == ("a + b", "o0 = a", "0")
        assert name.isidentifier()
        preamble = preamble.replace(f"{name}_map(", "MAP_KERNEL(", 1)
        self.dtype = next(np.dtype(code) for code, kind in TYPES.items() if kind == reduce_type)
        super().__init__(in_params, out_params, map_expr.replace(f"{name}_map(", "MAP_KERNEL("), preamble, reduce_type)

    def __call__(self, *given, axis):
        *ins, out = self.hosts(given, self.ins + self.outs)
        assert not any(np.shares_memory(out, array) for array in ins)
        mapped = np.empty(ins[0].shape, self.dtype)
        self.run([*[np.array(array, order="C") for array in ins], mapped])
        total = mapped.sum(axis=axis)
        assert out.shape == total.shape
        out[...] = total


@pytest.fixture
def kernels(monkeypatch):
    """The double with kernels."""
    monkeypatch.setattr(lower_cupy, "kernel_makers", lambda xp: Makers(HostElementwise, HostReduction))


# -- training steps -----------------------------------------------------------------------------------------------------------
def trained(where, config, compiled, optimiser=None, updates=3, dtype="float64", **options):
    """The reports of a few updates, the model's state after them, and the step."""
    optimiser = optimiser or GravesRMSProp(1e-3)
    with tm.use(where):
        model = config.build(np.random.default_rng(0), dtype)
        slots = {n: {s: tm.Tensor(a) for s, a in optimiser.start(p.data).items()} for n, p in model.named_parameters()}
        step = update_step(model, bits_per_sequence, optimiser, Schedule(5), slots)
        step = compile(step, state={"parameter": model, "slot": slots}, **options) if compiled else step
        rng = np.random.default_rng(1)
        reports = [step(TASK.batch(rng, 2, length=2), k + 1) for k in range(updates)]
        return [tm.to_host(report) for report in reports], model.state(), step


def assert_agree(found, expected, **tolerance):
    for a, b in zip(found[0], expected[0], strict=True):
        np.testing.assert_allclose(a, b, **tolerance)
    assert found[1].keys() == expected[1].keys()
    for name in found[1]:
        np.testing.assert_allclose(tm.to_host(found[1][name]), tm.to_host(expected[1][name]), err_msg=name, **tolerance)


@pytest.mark.parametrize("optimiser", [GravesRMSProp(1e-3), Adam(1e-3), SGD(1e-3, momentum=0.9)], ids=lambda o: type(o).__name__)
@pytest.mark.parametrize("config", [NTM, LSTM], ids=["ntm", "lstm"])
def test_a_step_on_the_double_equals_eager(config, optimiser):
    found = trained(XP, config, True, optimiser)
    assert_agree(found, trained(XP, config, False, optimiser), rtol=1e-10, atol=1e-12)
    assert found[2].stats().lowering == "strict"


@pytest.mark.parametrize("without", [(), ("stores",), ("plan",), ("pieces", "defer", "recompute"), ("fuse",)], ids=str)
@pytest.mark.parametrize("config", [NTM, LSTM], ids=["ntm", "lstm"])
def test_a_step_by_kernels_equals_eager(kernels, config, without):
    found = trained(XP, config, True, without=without)
    assert_agree(found, trained("numpy", config, False), rtol=1e-9, atol=1e-12)
    stats = found[2].stats()
    assert (stats.lowering, len(found[2].kernels) > 10) == (("strict", False) if "fuse" in without else ("cupy", True))


def test_a_step_by_kernels_in_float32(kernels):
    assert_agree(trained(XP, NTM, True, dtype="float32"), trained("numpy", NTM, False, dtype="float32"), rtol=1e-4, atol=1e-5)


def test_fusion_makes_fewer_calls_and_stores_less(kernels):
    rows, fused, stored = (trained(XP, NTM, True, updates=1, without=w)[2].stats() for w in (("fuse",), (), ("stores",)))
    assert fused.calls < rows.calls / 2
    assert fused.bytes < stored.bytes


@pytest.mark.parametrize("seed", range(12))
def test_random_programs_by_kernels(kernels, seed):
    choices = random.Random(seed)
    found = programs.expression(choices.randrange, length=12)
    results = []
    for where in ("numpy", XP):
        with tm.use(where):
            step, state, arguments = programs.step_of(found)
            step = step if where == "numpy" else compile(step, state=state)
            results.append([flatten(step(*arguments))[0] for _ in range(2)])
    for eager, compiled in zip(*(first + second for first, second in results), strict=True):
        np.testing.assert_allclose(tm.to_host(compiled), tm.to_host(eager), rtol=1e-10, atol=1e-12)


# -- where things are ---------------------------------------------------------------------------------------------------------
def affine(W):
    return lambda x: tm.tanh(tm.Tensor(x) @ W).sum()


@pytest.fixture(params=["replay", "kernels"])
def either(request):
    """Both ways to run on the double."""
    if request.param == "kernels":
        request.getfixturevalue("kernels")


def test_nothing_waits_and_results_stay_on_the_device(either):
    with tm.use(XP):
        W = tm.Tensor(np.eye(3, dtype="float32"))

        def step(x, scale):
            y = tm.Tensor(x) @ W * scale
            W.data = W.data + 1
            return y, y.sum().data

        compiled = compile(step, state=W)
        compiled(np.ones((2, 3), "float32"), 2.0)
        with strict.forbid_synchronisation():
            y, total = compiled(np.full((2, 3), 2, "float32"), 2.0)
    assert type(y.data) is type(total) is type(W.data) is strict.StrictArray
    with strict.synchronisations() as seen:
        assert total.item() == 96.0
    assert seen.count == 1
    np.testing.assert_array_equal(tm.to_host(W), np.eye(3) + 2)


def test_a_training_update_waits_once(either):
    _, _, step = trained(XP, NTM, True, updates=1)
    batch = TASK.batch(np.random.default_rng(5), 2, length=2)
    with tm.use(XP), strict.synchronisations() as seen:
        tm.to_host(step(batch, 2))
    assert seen.count == 1


def test_arguments_decide_where_there_is_no_state():
    compiled = compile(lambda x: x * 2)
    host, device = np.ones(3), XP.array([1.0, 2.0, 3.0])
    assert type(compiled(tm.Tensor(host)).data) is np.ndarray
    result = compiled(tm.Tensor(device))
    assert type(result.data) is strict.StrictArray
    np.testing.assert_array_equal(result.data.get(), [2, 4, 6])
    assert compiled.stats().lowering == "strict"
    with tm.use(XP):  # as Tensor(array) does it
        assert type(compile(lambda x: tm.Tensor(x) * 2)(host).data) is strict.StrictArray


def test_arrays_of_two_places_are_refused():
    with tm.use(XP):
        W = tm.Tensor(np.eye(3))
    compiled = compile(affine(W), state=W)
    with pytest.raises(TypeError, match="an argument is an array of NumPy, its state is of strict"):
        compiled(np.ones((2, 3)))
    with tm.use(XP), pytest.raises(TypeError, match=r"they live on different devices"):
        compiled(wrap(np.ones((2, 3)), None))


def test_a_state_that_moves_is_followed():
    W = tm.Tensor(np.eye(3))
    compiled = compile(affine(W), state=W)
    x = np.ones((2, 3))
    first = compiled(x).item()
    W.data = XP.array(W.data)
    with tm.use(XP):
        assert compiled(x).item() == pytest.approx(first)
    W.data = 2 * W.data.get()
    assert compiled(x).item() == pytest.approx(6 * math.tanh(2))


def test_a_state_that_is_part_of_something_is_copied_once():
    whole = XP.array(np.arange(12.0).reshape(3, 4))
    W = wrap(whole[:, :2], None)

    def step():
        W.data = W.data * 2

    compiled = compile(step, state=W)
    compiled()
    mine = W.data
    compiled()
    assert W.data is mine
    np.testing.assert_array_equal(mine.get(), 4 * np.arange(12.0).reshape(3, 4)[:, :2])


def test_constants_from_the_host_are_uploaded_when_they_change():
    constant = np.arange(3.0)
    with tm.use(XP):
        compiled = compile(lambda x: x + tm.Tensor(constant))
        x = tm.Tensor(np.zeros(3))
        np.testing.assert_array_equal(tm.to_host(compiled(x)), [0, 1, 2])
        constant[0] = 7
        np.testing.assert_array_equal(tm.to_host(compiled(x)), [7, 1, 2])


def test_draws_are_those_of_the_host(either):
    def step(x, generator):
        return x + tm.draw(generator, "standard_normal", (3,), "float64")

    with tm.use(XP):
        generator = np.random.default_rng(3)
        x = tm.Tensor(np.zeros(3))
        compiled = compile(lambda x: step(x, generator))
        found = [tm.to_host(compiled(x)) for _ in range(2)]
    again = np.random.default_rng(3)
    np.testing.assert_array_equal(found, [again.standard_normal(3) for _ in range(2)])


def test_every_kind_of_row(either):
    """Gathers, sorts, maxima, masks, cumulative sums, and their gradients."""
    index = np.array([[0, 2, 1], [3, 3, 0]])

    def step(x, i, mask):
        i, mask = tm.Tensor(i), tm.Tensor(mask)
        x.grad = None
        parts = [
            tm.take(x, i, axis=1).sum(),
            (tm.take_along_axis(x, i, axis=1) * x[:, :3]).sum(),
            (tm.cumsum(x, axis=1) * x).sum(),
            (x.max(axis=1) * x.min(axis=0)[:2]).sum(),
            tm.where(mask, x, -math.inf).max(axis=1).sum(),
            tm.softmax(tm.where(mask, x, -1e9), axis=-1)[:, 1].sum(),
            (x**3 / (1 + x * x)).sum(),
            tm.concatenate([x[:, 1:], x[:, :1] * 2], axis=1)[:, ::2].sum(),
        ]
        loss = tm.stack(parts)
        loss.sum().backward()
        return loss, x.grad, tm.argmax(x, axis=1), tm.argsort(x, axis=1)

    values = np.random.default_rng(2).standard_normal((2, 5))
    mask = values > -0.5
    eager = step(tm.Tensor(values, requires_grad=True), index, mask)
    with tm.use(XP):
        x = tm.Tensor(values, requires_grad=True)
        found = compile(step_with(step, x), state=x)(index, mask)
    for a, b in zip(found, eager, strict=True):
        np.testing.assert_allclose(tm.to_host(a), tm.to_host(b), rtol=1e-12)


def step_with(step, x):
    def bound(*arguments):
        return step(x, *arguments)

    return bound


# -- what is asked for --------------------------------------------------------------------------------------------------------
def test_cupy_that_is_asked_for_and_unusable_is_an_error():
    if probe_cupy().usable:
        pytest.skip("CuPy is usable here")
    with pytest.raises(BackendError, match="backend 'cupy' cannot be used"):
        compile(lambda x: x * 2, lowering="cupy")(tm.Tensor([1.0]))


def test_a_device_program_may_be_asked_for_by_name():
    x = tm.Tensor(XP.array([1.0, 2.0]))
    assert compile(lambda x: x * 2, lowering="cupy")(x).data.get().tolist() == [2, 4]
    for lowering in ("c", "numpy"):
        with pytest.raises(BackendError, match=f"lowering '{lowering}' computes on the host"):
            compile(lambda x: x * 2, lowering=lowering)(x)
    with pytest.raises(ValueError, match="unknown lowering 'cuda'"):
        compile(lambda x: x * 2, lowering="cuda")


# -- the text of kernels ------------------------------------------------------------------------------------------------------
def place(dtype, size=8, buffer=None, strides=(1,), offset=0):
    return Place(buffer or Buffer(size, np.dtype(dtype)), (0, 0, 0), offset, strides)


def test_the_text_of_a_chain():
    x, y, between, out = (place("float32") for _ in range(4))
    loop = (np.dtype("float32"),) * 2
    statements = [
        Statement("multiply", (8,), (x, y), between, loop=loop),
        Statement("exp", (8,), (between,), between2 := place("float32"), loop=loop[:1]),
        Statement("add", (8,), (between2, Literal(0.5)), out, add=True, loop=loop),
    ]
    launch = elementwise(statements, lambda s: s.out is out)
    assert launch.text.in_params == "float32 a0, float32 a1"
    assert launch.text.out_params == "float32 o0"
    assert launch.text.operation.splitlines() == [
        "const float v0 = (float)a0 * (float)a1;",
        "const float v1 = expf((float)v0);",
        "const float v2 = o0 + (float)((float)v1 + (0.5f));",
        "o0 = v2;",
    ]
    assert (launch.ins, launch.outs, launch.added) == ((x, y), (out,), (out,))
    assert launch.text.name == "tinymem_multiply_exp_add"


def test_what_is_added_to_is_read_on_as_the_sum():
    x, out, later = place("float64"), place("float64"), place("float64")
    kind = (np.dtype("float64"),)
    statements = [Statement("copy", (8,), (x,), out, add=True, loop=kind), Statement("negative", (8,), (out,), later, loop=kind)]
    operation = elementwise(statements, lambda s: True).text.operation.splitlines()
    assert operation[0] == "const double v0 = o0 + (double)((double)a0);"
    assert operation[2] == "const double v1 = -(double)v0;"


def test_the_text_of_a_sum():
    x, y, product = place("float32", strides=(4, 1)), place("float32", strides=(0, 1)), place("float32", strides=(4, 1))
    out = place("float32", strides=(1, 0))
    cone = [Statement("multiply", (2, 4), (x, y), product, loop=(np.dtype("float32"),) * 2)]
    launch = map_reduce(cone, Statement("copy", (2, 4), (product,), out, "sum", loop=(np.dtype("float32"),)))
    assert launch.axes == (1,)
    assert launch.text.map_expression == "sum_of_tinymem_multiply_copy_map(a0, a1)"
    assert launch.text.preamble.splitlines() == [
        "__device__ float sum_of_tinymem_multiply_copy_map(const float a0, const float a1) {",
        "const float v0 = (float)a0 * (float)a1;",
        "const float v1 = (float)v0;",
        "return v1;",
        "}",
    ]


def test_equal_work_has_equal_text():
    def text():
        kind = (np.dtype("float32"),)
        return elementwise([Statement("tanh", (8,), (place("float32"),), place("float32"), loop=kind)], lambda s: True).text

    assert text() == text()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", [*MAPS, "where", "copy"])
def test_the_text_computes_what_numpy_does(op, dtype):
    rng = np.random.default_rng(4)
    special = [0.0, 1.0, -2.5, np.inf, -np.inf, np.nan]
    a, b = (np.array([*rng.permutation(special), *rng.uniform(0.1, 3, 4)], dtype) for _ in range(2))
    nin = 1 if op == "copy" else MAPS[op].nin if op in MAPS else 3
    ins = [a, b][:nin] if op != "where" else [a > b, a, b]
    kinds = result_type(op, tuple(x.dtype for x in ins)) if op in MAPS else (*[x.dtype for x in ins], np.dtype(dtype))
    out = np.zeros(10, kinds[-1])
    places = [place(x.dtype, 10) for x in ins]
    s = Statement(op, (10,), tuple(places), place(out.dtype, 10), loop=kinds[:-1])
    assert is_supported(s)
    text = elementwise([s], lambda s: True).text
    HostElementwise(text.in_params, text.out_params, text.operation, text.name, no_return=True)(
        *[XP.array(x) for x in ins], wrapped := XP.array(out)
    )
    with np.errstate(all="ignore"):
        expected = MAPS[op](*ins) if op in MAPS else np.where(*ins) if op == "where" else a
    np.testing.assert_allclose(wrapped.get(), expected, rtol=1e-6 if dtype == "float32" else 1e-14)


@pytest.mark.parametrize("value", [0.0, 1e-30, -3.0, 1e20, math.inf, -math.inf, math.nan, 7])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_literals(value, dtype):
    if np.dtype(dtype).kind != "f" and not (math.isfinite(value) and abs(value) < 1e9):
        return
    out = XP.zeros(1, dtype)
    HostElementwise("", f"{dtype} o0", f"o0 = {number(value, dtype)};", "literal", no_return=True)(out)
    np.testing.assert_array_equal(out.get(), np.dtype(dtype).type(value))


def test_kernels_have_few_parameters(kernels):
    """Many sums of many arrays of one shape, as an optimiser's: more than one kernel can take."""
    with tm.use(XP):
        xs = [tm.Tensor(np.full(3, float(k))) for k in range(60)]

        def step(xs):
            total = xs[0]
            for x in xs[1:]:
                total = total * 0.5 + x
            return total, [x * 2 for x in xs]

        compiled = compile(step)
        found, eager = compiled(xs), step(xs)
    np.testing.assert_allclose(tm.to_host(found[0]), tm.to_host(eager[0]))
    for a, b in zip(found[1], eager[1], strict=True):
        np.testing.assert_array_equal(tm.to_host(a), tm.to_host(b))
    lowered = compiled._latest.lowered
    assert type(lowered) is Fused
    assert all(len(s.ins) + len(s.outs) <= MOST for _, steps in lowered.stretches for s in steps if isinstance(s, Launch))


def test_cupy_takes_the_texts(kernels, monkeypatch):
    """CuPy's two classes parse the parameters, which needs no device."""
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed here (it needs no GPU): pip install cupy-cuda12x")
    _, _, step = trained(XP, NTM, True, updates=1)
    texts = {s.text for _, steps in step._latest.lowered.stretches for s in steps if isinstance(s, Launch)}
    made = [Makers(cupy.ElementwiseKernel, cupy.ReductionKernel).kernel(text) for text in texts]
    assert len(made) == step.stats().kernels


# -- a real device ------------------------------------------------------------------------------------------------------------
@pytest.mark.gpu
@pytest.mark.parametrize("config", [NTM, LSTM], ids=["ntm", "lstm"])
def test_a_step_on_a_real_device(config):
    probe = probe_cupy()
    if not probe.usable:
        pytest.fail(probe.reason)
    for dtype, tolerance in (("float64", {"rtol": 1e-8, "atol": 1e-10}), ("float32", {"rtol": 1e-3, "atol": 1e-4})):
        expected = trained("numpy", config, False, dtype=dtype)
        for without in ((), ("fuse",)):
            found = trained("cupy", config, True, dtype=dtype, without=without)
            assert_agree(found, expected, **tolerance)
            assert found[2].stats().lowering == "cupy"
