"""The lowering to C: kernels compiled by the system's compiler, and a table of calls run by a small C loop."""

from __future__ import annotations

import ctypes
import math
import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy

from tinymem.engine.compile import cache as disk
from tinymem.engine.compile.kernel_c import Source, source_of
from tinymem.engine.compile.layout import Buffer, LaidOut, steps_through_time
from tinymem.engine.compile.passes.fuse import Kernel, Opaque, Unit, arranged, fuse, touches
from tinymem.engine.compile.passes.plan import Touch, lifetimes, plan
from tinymem.engine.compile.program import Loop, Operand, Row, View, whole
from tinymem.engine.compile.statements import Place, Statement, is_loop_nest, place_of, statement_of, written_place

HERE = Path(__file__).parent
WORTH_SHARING = 30_000  # elements computed: some ten times what it costs to ask the other thread
VECTORISE = """
#if defined(__clang__)
#define VECTORISE _Pragma("clang loop vectorize(assume_safety)")
#else
#define VECTORISE _Pragma("GCC ivdep")
#endif
"""


@cache
def prelude() -> str:
    return (HERE / "vector_math.h").read_text(encoding="utf-8") + VECTORISE


@cache
def runtime() -> tuple[ctypes.CDLL, bool]:
    """The compiled native.c, connected to the BLAS of this NumPy; whether one was found."""
    found = None
    for pattern, kind in (("scipy_cblas_{}64_", "int64_t"), ("cblas_{}64_", "int64_t"), ("cblas_{}", "int")):
        try:
            host = ctypes.CDLL(numpy._core._multiarray_umath.__file__)  # type: ignore[attr-defined]
            found = [getattr(host, pattern.format(name)) for name in ("sgemm", "dgemm", "sgemv", "dgemv")], kind
            break
        except (AttributeError, OSError):
            continue
    kind = found[1] if found else "int"
    library = disk.whole_library((HERE / "native.c").read_text(encoding="utf-8").replace("BLAS_INT", kind), "run_program")
    if found:
        library.use_blas(*[ctypes.cast(function, ctypes.c_void_p) for function in found[0]])
    return library, found is not None


class _Threads:
    """One thread or two, whichever the clock says: both compute the same, and the other core may be somebody else's."""

    TRIALS, AGAIN = 3, 500  # runs of each, and how many runs later to ask again

    def __init__(self, most: int) -> None:
        self.most = min(most, 2)
        self.chosen = 1
        self.runs = 0
        self.best = {1: math.inf, 2: math.inf}

    def timed(self, run: Any) -> None:
        if self.most == 1:
            run(1)
            return
        asking = self.runs % self.AGAIN
        if asking < 2 * self.TRIALS:
            threads = 1 + asking % 2
            started = time.perf_counter()
            run(threads)
            self.best[threads] = min(self.best[threads], time.perf_counter() - started)
            if asking > 3 and self.best[2] > 2 * self.best[1]:
                self.runs += 2 * self.TRIALS - 1 - asking  # the other core is taken: no more trials
                asking = 2 * self.TRIALS - 1
            if asking == 2 * self.TRIALS - 1:
                self.chosen = 2 if self.best[2] < 0.95 * self.best[1] else 1
                self.best = {1: math.inf, 2: math.inf}
        else:
            run(self.chosen)
        self.runs += 1


class Native:
    """A laid-out program as compiled kernels and a table of calls."""

    name = "c"

    def __init__(self, laid_out: LaidOut, without: frozenset[str], threads: int, memory: Callable[[int], Any]) -> None:
        self.laid_out = laid_out
        self.block = memory
        self.threads = threads
        library, self.has_blas = runtime()
        stretches = [self._stretch(step, without) for step in laid_out.order.stretches]
        local = self._local_buffers(stretches)
        store_all = "stores" in without
        self.sources: list[list[tuple[Unit, Source | None]]] = [
            [(unit, source_of(unit, local, store_all) if isinstance(unit, Kernel) else None) for unit in units] for _, units in stretches
        ]
        names: dict[str, str] = {}
        for units in self.sources:
            for _, source in units:
                if source is not None:
                    names.setdefault(source.text, f"kernel {len(names)}")
        self.texts = {name: text for text, name in names.items()}
        addresses, self.compiled = disk.kernels(self.texts, prelude())
        self.kernels = len(self.texts)
        self.arrays, self.bytes = self._allocate(stretches, share="plan" not in without)
        self.report = numpy.zeros(1, numpy.int64)
        self._tabulate(names, addresses, library)

    # -- grouping -----------------------------------------------------------------------------------------------------------------
    def _stretch(self, step: tuple[Loop | None, list[Row]], without: frozenset[str]) -> tuple[Loop | None, list[Unit]]:
        loop, rows = step
        inside_loop = steps_through_time(loop)
        rows = _added_products(self.laid_out, rows)
        units: list[Statement | Opaque] = []
        for row in rows:
            statement = statement_of(self.laid_out, row)
            if statement is None:
                units.append(Opaque(row, [self._touch(o) for o in row.ins if isinstance(o, View)], [self._written(row)]))
            elif math.prod(statement.space):
                units.append(statement)
        leading = Counter(u.space[0] for u in units if isinstance(u, Statement) and len(u.space) > 1)
        batch = leading.most_common(1)[0][0] if leading and inside_loop else None
        units = [arranged(u, inside_loop, batch) if isinstance(u, Statement) else u for u in units]
        return loop, fuse(units, "fuse" not in without, inside_loop)

    def _touch(self, operand: View) -> Any:
        place = place_of(self.laid_out, operand)
        return place, operand.shape

    def _written(self, row: Row) -> Any:
        return written_place(self.laid_out, row), self.laid_out.homes[row.out].shape

    def _local_buffers(self, stretches: list[tuple[Loop | None, list[Unit]]]) -> Any:
        """Which buffers only one kernel ever touches."""
        users: dict[Buffer, set[int]] = {}
        for _, units in stretches:
            for unit in units:
                for place in _places(unit):
                    users.setdefault(place.buffer, set()).add(id(unit))
        for operand in self.laid_out.outputs:
            if isinstance(operand, View):
                users.setdefault(self.laid_out.homes[operand.value].buffer, set()).add(0)
        return lambda buffer: buffer.array is None and len(users.get(buffer, ())) == 1

    # -- memory ---------------------------------------------------------------------------------------------------------------------
    def _allocate(self, stretches: list[tuple[Loop | None, list[Unit]]], share: bool) -> tuple[dict[Buffer, Any], int]:
        inputs: dict[Buffer, Any] = {}
        for home in self.laid_out.homes.values():
            if home.buffer.array is not None:
                inputs[home.buffer] = home.buffer.array.reshape(-1)
        touched: list[Touch] = []
        fresh = self._written_first(stretches)
        bounds, position = [], 0
        for number, units in enumerate(self.sources):
            bounds.append((position, position + len(units) - 1))
            for unit, source in units:
                buffers = [(b, slot) for b, slot, _ in source.pointers] if source else [(p.buffer, p.slot) for p in _places(unit)]
                touched += [Touch(b, number, position, slot != (0, 0, 0), (number, b) in fresh) for b, slot in buffers]
                position += 1
        returned = [self.laid_out.homes[o.value].buffer for o in self.laid_out.outputs if isinstance(o, View)]
        lives = lifetimes(self.laid_out.order, touched, bounds, returned)
        offsets, total = plan([(buffer, buffer.nbytes, *life) for buffer, life in lives.items()], share)
        self.memory = self.block(total + 64)
        start = -self.memory.ctypes.data % 64
        arrays = {buffer: self.memory[start + o : start + o + buffer.nbytes].view(buffer.dtype) for buffer, o in offsets.items()}
        return arrays | inputs, total

    def _written_first(self, stretches: list[tuple[Loop | None, list[Unit]]]) -> set[tuple[int, Buffer]]:
        """Buffers of a loop that each time step writes before it reads them."""
        found: set[tuple[int, Buffer]] = set()
        for number, (_, units) in enumerate(stretches):
            seen: set[Buffer] = set()
            for unit in units:
                for part in unit.statements if isinstance(unit, Kernel) else [unit]:
                    reads, writes = touches(part)
                    seen |= {place.buffer for place, _ in reads}
                    for place, _ in writes:
                        if place.buffer not in seen:
                            seen.add(place.buffer)
                            found.add((number, place.buffer))
        return found

    # -- the table --------------------------------------------------------------------------------------------------------------------
    def _tabulate(self, names: dict[str, str], addresses: dict[str, int], library: ctypes.CDLL) -> None:
        calls: list[int] = []
        pointers: list[int] = []
        constants: list[int] = []
        table: list[int] = []
        ranges: list[tuple[int, int]] = []  # the calls of each stretch
        count = 0
        for units in self.sources:
            first = count
            for unit, source in units:
                turns = grain = 1
                if source is not None:
                    run, passed, fixed = addresses[names[source.text]], list(source.pointers), list(source.constants)
                    assert isinstance(unit, Kernel)
                    work = sum([math.prod(s.space) for s in unit.statements])
                    turns, grain = source.turns, int(source.divisible and work >= WORTH_SHARING)
                else:
                    name, passed, fixed = self._opaque(unit)  # type: ignore[arg-type]
                    run = ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
                    if "product" in name:
                        turns, grain = fixed[1], 16 * (math.prod(fixed[:4]) * fixed[14] >= 8 * WORTH_SHARING)
                calls += [run, len(passed), len(pointers) // 4, len(constants), turns, grain]
                for buffer, (step, shift, period), offset in passed:
                    array = self.report if buffer is None else self.arrays[buffer]
                    item = array.itemsize
                    pointers += [array.ctypes.data + offset * item, step * item, shift, period]
                constants += fixed
                count += 1
            ranges.append((first, count))
        for number, times in self.laid_out.order.turns:
            table += [*ranges[number], times.start, len(times), times.step]
        self.tables = [numpy.array(part or [0], numpy.int64) for part in (table, calls, pointers, constants)]
        shared = any(calls[5::6])
        self.calls_in_a_run = sum((last - first) * length for first, last, _, length, _ in zip(*[iter(table)] * 5, strict=True))
        self._run = library.run_program
        self._run.restype = None
        self._arguments = [
            ctypes.c_void_p(self.tables[0].ctypes.data),
            ctypes.c_int64(len(table) // 5),
            *[ctypes.c_void_p(part.ctypes.data) for part in self.tables[1:]],
        ]
        self._threads = _Threads(self.threads if shared else 1)

    def _opaque(self, unit: Opaque) -> tuple[str, list[Any], list[int]]:
        """The function of native.c for a row that is no loop nest: its name, pointers and constants."""
        row = unit.row
        operands = [(place.buffer, place.slot, place.offset) for place, _ in unit.reads]
        out_place, _ = unit.writes[0]
        out = (out_place.buffer, out_place.slot, out_place.offset)
        width = 64 if row.out.dtype.itemsize == 8 else 32
        if row.op in ("matmul", "add_matmul"):
            (x, x_shape), (y, y_shape) = unit.reads[:2]
            *batch, m, k = x_shape
            n = y_shape[-1]
            outer, inner = _batches(batch, [place.strides for place in (x, y, out_place)])
            fixed = [outer[0], m, n, k]
            flags = []
            for which, (place, shape) in enumerate(((x, x_shape), (y, y_shape))):
                rows, columns = place.strides[-2:]
                plain = columns == 1 or shape[-1] == 1
                flags.append(int(not plain))
                fixed += [outer[1 + which], max(rows if plain else columns, shape[-1] if plain else shape[-2])]
            fixed += [outer[3], max(out_place.strides[-2], n)]
            fixed += [*flags, int(row.op == "add_matmul"), int(m == 1), *inner]
            return f"{'' if self.has_blas else 'plain_'}product_{width}", [*operands[:2], out], fixed
        axis = row.attributes["axis"]
        shape = row.ins[0].shape
        if row.op in ("take", "take_along", "put_taken", "put_along"):
            index_shape = row.ins[1].shape
            length = (row.out.shape if row.op.startswith("put") else shape)[axis]
            along = row.op.endswith("along")
            before = math.prod((index_shape if along else row.out.shape)[:axis])
            after = (
                math.prod(index_shape[axis + 1 :]) if along else math.prod((row.out.shape if row.op == "put_taken" else shape)[axis + 1 :])
            )
            indices = index_shape[axis] if along else math.prod(index_shape)
            suffix = f"_{width}" if row.op.startswith("put") else ""
            report = (None, (0, 0, 0), 0)
            return row.op + suffix, [*operands, out, report], [before, length, indices, after, row.out.dtype.itemsize]
        kind = row.ins[0].dtype
        suffix = "whole" if kind.kind in "iu" else "64" if kind.itemsize == 8 else "32"
        return f"{row.op}_{suffix}", [*operands, out], [math.prod(shape[:axis]), shape[axis], 0, math.prod(shape[axis + 1 :])]

    # -- running ------------------------------------------------------------------------------------------------------------------------
    def run(self) -> None:
        self._threads.timed(lambda threads: self._run(*self._arguments, ctypes.c_int64(threads)))
        if self.report[0]:
            self.report[0] = 0
            raise IndexError("an index of a compiled step is out of range for the axis it indexes; check the data (classes, token numbers)")

    def read(self, operand: Operand) -> Any:
        """The content of an output, in memory of its own."""
        if not isinstance(operand, View):
            return numpy.full(operand.shape, operand.number, operand.dtype)
        access = self.laid_out.access(operand)
        base = self.arrays[access.home.buffer]
        strides = tuple(s * base.itemsize for s in access.strides)
        return numpy.array(numpy.lib.stride_tricks.as_strided(base[access.offset :], access.shape, strides))


def _added_products(laid_out: LaidOut, rows: list[Row]) -> list[Row]:
    """A matrix product that is only computed to be added to something is added by BLAS itself."""
    readers = Counter(o.value for row in rows for o in row.ins if isinstance(o, View))
    products = {row.out: row for row in rows if row.op == "matmul" and not is_loop_nest(row) and readers[row.out] == 1}
    added = {}
    for row in rows:
        source = row.ins[0] if row.op == "accumulate" else None
        if isinstance(source, View) and source.value in products and source == whole(source.value):
            home = laid_out.homes[row.out]
            by_rows = (home.strides[-1] == 1 or home.shape[-1] == 1) and (home.strides[-2] >= home.shape[-1] or home.shape[-2] == 1)
            if home.shape == source.shape and by_rows:
                added[source.value] = row
    found = []
    for row in rows:
        if row.out in added:
            continue
        source = row.ins[0] if row.op == "accumulate" else None
        if isinstance(source, View) and added.get(source.value) is row:
            row = Row("add_matmul", products[source.value].ins, row.out, {}, row.note)
        found.append(row)
    return found


def _places(unit: Unit) -> list[Place]:
    if isinstance(unit, Opaque):
        return [place for place, _ in (*unit.reads, *unit.writes)]
    return [p for s in unit.statements for p in (*s.ins, s.out) if isinstance(p, Place)]


def _batches(batch: list[int], strides: list[tuple[int, ...]]) -> tuple[list[int], list[int]]:
    """The leading axes of a product as an outer and an inner batch: (length, stride of x, y, out) each."""
    axes = [[n, *steps] for n, *steps in zip(batch, *[s[:-2] for s in strides], strict=True) if n > 1]
    merged: list[list[int]] = []
    for axis in axes:
        if merged and all(old == s * axis[0] for old, s in zip(merged[-1][1:], axis[1:], strict=True)):
            merged[-1] = [merged[-1][0] * axis[0], *axis[1:]]
        else:
            merged.append(axis)
    assert len(merged) <= 2, "prepare copies what has more"
    return ([1, 0, 0, 0], *merged)[-2:] if len(merged) == 1 else tuple(merged) or ([1, 0, 0, 0],) * 2  # type: ignore[return-value]
