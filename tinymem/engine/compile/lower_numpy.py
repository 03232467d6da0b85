"""The lowering that is always there: the program replayed by its array module, each row into its planned memory.

Every view of every time step is made once; a run is then a list of calls of the form ufunc(x, y, out).  It saves the
tape, the dispatch and the allocation, and keeps the array module's own arithmetic, so it agrees with eager mode to the
last bit where the passes keep the order of operations.  The array module is NumPy, or that of a device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy
from numpy.lib.stride_tricks import as_strided

from tinymem.engine.arrays import put_along, put_taken
from tinymem.engine.compile.layout import Access, Buffer, Home, LaidOut
from tinymem.engine.compile.maps import MAPS
from tinymem.engine.compile.passes.plan import plan
from tinymem.engine.compile.program import Literal, Loop, Operand, Row, View

Call = Callable[[], Any]


class Replay:
    """A laid-out program as a list of calls on fixed arrays of the module `xp`."""

    name = "numpy"
    kernels = compiled = 0

    def __init__(self, laid_out: LaidOut, share: bool = True, xp: Any = numpy, memory: Callable[[int], Any] | None = None) -> None:
        self.laid_out, self.xp = laid_out, xp
        self.block = memory or (lambda size: xp.zeros(size, numpy.uint8))
        self._allocate(lifetimes(laid_out), share)
        self.calls: list[Call] = []
        for step in laid_out.steps:
            if isinstance(step, Row):
                self.add(step, 0)
            else:
                loop, rows = step
                for t in times(loop):
                    for row in rows:
                        self.add(row, t)
        for value, new in laid_out.updates:
            self.add(Row("copy", (new,), value), 0)
        self.calls_in_a_run = len(self.calls)

    def run(self) -> None:
        """One step: the inputs' arrays are read, the updated ones written."""
        with numpy.errstate(all="ignore"):
            for call in self.calls:
                call()

    def read(self, operand: Operand) -> Any:
        """The content of an output, in memory of its own, where the program runs."""
        if isinstance(operand, Literal):
            return self.xp.full(operand.shape, operand.number, operand.dtype)
        return self.xp.array(self.view(self.laid_out.access(operand)))

    def view(self, access: Access, t: int = 0) -> Any:
        """The array at an access, at time step t."""
        return self.window(access.home.buffer, access.offset + access.home.step * access.home.slot(t), access.shape, access.strides)

    def window(self, buffer: Buffer, start: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
        """Elements start + Σ i_k strides[k] of a buffer's memory."""
        base = self.arrays[buffer]
        item = base.itemsize
        return self.xp.lib.stride_tricks.as_strided(base[start:] if start else base, shape, tuple(s * item for s in strides))

    def operand(self, operand: Operand, t: int) -> Any:
        """What a ufunc reads: an array, or a number of the literal's own dtype."""
        if isinstance(operand, Literal):
            return numpy.dtype(operand.strong).type(operand.number) if operand.strong is not None else operand.number
        return self.view(self.laid_out.access(operand), t)

    def array(self, operand: Operand, t: int) -> Any:
        """What every other function reads: an array of the operand's full shape."""
        if isinstance(operand, Literal):
            return self.xp.full(operand.shape, operand.number, operand.dtype)
        return self.operand(operand, t)

    def add(self, row: Row, t: int) -> None:
        """The call that computes one row at one time step."""
        out = self.view(_access(self.laid_out, row.out), t)
        if out.size == 0:
            return
        form = self.operand if row.op in UFUNC_LIKE else self.array
        ins = [form(operand, t) for operand in row.ins]
        call = _plain_call(row, ins, out) if self.xp is numpy else None
        self.calls.append(call or _call(self.xp, row, ins, out))

    def _allocate(self, lives: Mapping[Buffer, tuple[int, int]], share: bool) -> None:
        """One block for all buffers but the inputs, by their lifetimes."""
        offsets, total = plan([(buffer, buffer.nbytes, first, last) for buffer, (first, last) in lives.items()], share)
        self.memory = self.block(total + 64)
        self.bytes = total
        self.arrays = {buffer: self.memory[offset : offset + buffer.nbytes].view(buffer.dtype) for buffer, offset in offsets.items()}
        self.arrays |= {
            home.buffer: home.buffer.array.reshape(-1) for home in self.laid_out.homes.values() if home.buffer.array is not None
        }


def _access(laid_out: LaidOut, value: Any) -> Access:
    home = laid_out.homes[value]
    return Access(home, home.shape, home.strides, home.offset)


def times(loop: Loop) -> range:
    return range(loop.length - 1, -1, -1) if loop.backwards else range(loop.length)


def lifetimes(laid_out: LaidOut) -> dict[Buffer, tuple[int, int]]:
    """First and last position of every planned buffer.  Rows of a loop count on; what outlives a time step lives all of it."""
    lives: dict[Buffer, tuple[int, int]] = {}
    inside_only: dict[Buffer, tuple[int, int]] = {}

    def seen(buffer: Buffer, first: int, last: int) -> None:
        if buffer.array is None:
            old = lives.get(buffer, (first, last))
            lives[buffer] = (min(old[0], first), max(old[1], last))

    def homes_of(row: Row) -> list[Home]:
        return [laid_out.homes[row.out], *[laid_out.homes[o.value] for o in row.ins if isinstance(o, View)]]

    position = 0
    for step in laid_out.steps:
        if isinstance(step, Row):
            for home in homes_of(step):
                seen(home.buffer, position, position)
            position += 1
            continue
        _, rows = step
        start, written_first = position, set()
        for row in rows:
            out, *ins = homes_of(row)
            for home in ins:
                persistent = home.step or home.buffer in lives or home.buffer not in written_first
                seen_in(inside_only, home.buffer, position) if not persistent else seen(home.buffer, start, start + len(rows) - 1)
            if out.step or out.buffer in lives or (row.op == "accumulate" and out.buffer not in written_first):
                seen(out.buffer, start, start + len(rows) - 1)
            else:
                written_first.add(out.buffer)
                seen_in(inside_only, out.buffer, position)
            position += 1
    for buffer, (first, last) in inside_only.items():
        seen(buffer, first, last)
    end = position
    for operand in [*laid_out.outputs, *[new for _, new in laid_out.updates]]:
        if isinstance(operand, View):
            seen(laid_out.homes[operand.value].buffer, end, end)
    return lives


def seen_in(table: dict[Buffer, tuple[int, int]], buffer: Buffer, position: int) -> None:
    first, _ = table.get(buffer, (position, position))
    table[buffer] = (first, position)


UFUNC_LIKE = frozenset({*MAPS, "copy", "accumulate"})  # these take a number for an operand


def _call(xp: Any, row: Row, ins: list[Any], out: Any) -> Call:
    """The call of the array module that computes one row into `out`."""
    op, attributes = row.op, row.attributes
    if op in MAPS:
        return partial(getattr(xp, op), *ins, out=out)
    if op in ("copy", "accumulate"):
        (x,) = ins
        if isinstance(row.ins[0], Literal):
            return partial(out.fill, x) if op == "copy" else partial(xp.add, out, x, out=out)
        x = x if x.shape == out.shape else x.reshape(out.shape)  # axes of length 1 that only one of the two has
        return partial(xp.copyto, out, x, casting="unsafe") if op == "copy" else partial(xp.add, out, x, out=out)
    if op == "where":
        condition, x, y = ins
        return partial(_where, xp, condition, x, y, out)
    if op in ("sum", "max", "min"):
        axes = attributes["axes"]
        return partial(getattr(ins[0], op), axis=axes if len(axes) > 1 else axes[0], out=out)
    if op == "matmul":
        return partial(xp.matmul, *ins, out=out)
    if op in OTHERS:
        return partial(_copy_of, OTHERS[op], xp, out, ins, attributes, row.out.shape)
    raise AssertionError(f"no array function computes the row {op}: a row that can be recorded is missing here")


def _plain_call(row: Row, ins: list[Any], out: Any) -> Call | None:
    """The same call on arrays with as few axes as possible: NumPy takes its shortest way through one contiguous axis."""
    if row.op in MAPS:
        *ins, out = _collapsed([*ins, out])
        if row.op in ("maximum", "minimum"):
            return partial(MAPS[row.op], *ins, out=out)
        return partial(MAPS[row.op], *ins, out)
    if row.op in ("sum", "max", "min"):
        axes = row.attributes["axes"]
        kept = as_strided(out, ins[0].shape, _spread(out.strides, axes, ins[0].ndim))  # the result, standing still along the axes summed
        x, result = _collapsed([ins[0], kept], axes)
        over = tuple(k for k, (n, s) in enumerate(zip(x.shape, result.strides, strict=True)) if s == 0 and n > 1)
        result = result[(*(0 if k in over else slice(None) for k in range(x.ndim)), ...)]
        return partial(REDUCTIONS[row.op], x, over if len(over) > 1 else over[0], None, result)
    if row.op == "matmul" and all(n == 1 for n in out.shape[:-2]):
        x, y, out = [a[(0,) * (a.ndim - 2)] for a in (*ins, out)]
        return partial(numpy.matmul, x, y, out)
    return None


REDUCTIONS = {"sum": numpy.add.reduce, "max": numpy.maximum.reduce, "min": numpy.minimum.reduce}


def _spread(strides: tuple[int, ...], axes: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    rest = iter(strides)
    return tuple(0 if k in axes else next(rest) for k in range(ndim))


def _collapsed(arrays: list[Any], axes: tuple[int, ...] = ()) -> list[Any]:
    """Arrays of one shape (numbers stay), without axes of length 1, and adjacent axes made one where all allow; `axes` keep apart."""
    shape: list[int] = []
    strides: list[list[int]] = []
    views = [a for a in arrays if isinstance(a, numpy.ndarray) and a.ndim]
    summed = None
    for k, n in enumerate(views[0].shape if views else ()):
        if n == 1:
            continue
        steps = [a.strides[k] for a in views]
        if shape and (k in axes) == summed and all(old == s * n for old, s in zip(strides[-1], steps, strict=True)):
            shape[-1] *= n
            strides[-1] = steps
        else:
            shape.append(n)
            strides.append(steps)
        summed = k in axes
    found = iter(as_strided(a, shape, [s[i] for s in strides]) for i, a in enumerate(views))
    return [next(found) if isinstance(a, numpy.ndarray) and a.ndim else a for a in arrays]


def _where(xp: Any, condition: Any, x: Any, y: Any, out: Any) -> None:
    xp.copyto(out, y, casting="unsafe")
    xp.copyto(out, x, casting="unsafe", where=condition if condition.dtype == bool else condition != 0)


OTHERS: dict[str, Callable[..., Any]] = {
    "take": lambda xp, ins, a, shape: xp.take(ins[0], ins[1], axis=a["axis"]),
    "take_along": lambda xp, ins, a, shape: xp.take_along_axis(ins[0], ins[1], axis=a["axis"]),
    "put_taken": lambda xp, ins, a, shape: put_taken(xp, ins[0], ins[1], a["axis"], shape),
    "put_along": lambda xp, ins, a, shape: put_along(xp, ins[0], ins[1], a["axis"], shape),
    "argmax": lambda xp, ins, a, shape: ins[0].argmax(axis=a["axis"]),
    "argsort": lambda xp, ins, a, shape: xp.argsort(ins[0], axis=a["axis"], kind="stable"),
    "cumsum": lambda xp, ins, a, shape: xp.cumsum(ins[0], axis=a["axis"]),
    "cumprod": lambda xp, ins, a, shape: xp.cumprod(ins[0], axis=a["axis"]),
}


def _copy_of(function: Callable[..., Any], xp: Any, out: Any, ins: list[Any], attributes: Any, shape: Any) -> None:
    out[...] = function(xp, ins, attributes, shape)
