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
from tinymem.engine.compile.passes.plan import Touch, lifetimes, plan
from tinymem.engine.compile.program import Literal, Operand, Row, View

Call = Callable[[], Any]


class Replay:
    """A laid-out program as a list of calls on fixed arrays of the module `xp`."""

    name = "numpy"
    kernels = compiled = 0

    def __init__(self, laid_out: LaidOut, share: bool = True, xp: Any = numpy, memory: Callable[[int], Any] | None = None) -> None:
        self.laid_out, self.xp = laid_out, xp
        self.block = memory or (lambda size: xp.zeros(size, numpy.uint8))
        self._allocate(row_lifetimes(laid_out), share)
        self._line_up(lambda number, t: [call for row in laid_out.order.stretches[number][1] for call in self.calls_of(row, t)])

    def run(self) -> None:
        """One step: the inputs' arrays are read, the updated ones written."""
        with numpy.errstate(all="ignore"):
            for calls in self.turns:
                for call in calls:
                    call()

    def _line_up(self, calls_at: Callable[[int, int], list[Call]]) -> None:
        """The calls of every time step in order; those of a segment's time step are made once for all segments."""
        made: dict[tuple[int, int], list[Call]] = {}
        self.turns: list[list[Call]] = []
        for number, times in self.laid_out.order.turns:
            for t in times:
                if (number, t) not in made:
                    made[number, t] = calls_at(number, t)
                self.turns.append(made[number, t])
        self.calls_in_a_run = sum(map(len, self.turns))

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

    def calls_of(self, row: Row, t: int) -> list[Call]:
        """The call that computes one row at one time step; none where it has no elements."""
        out = self.view(_access(self.laid_out, row.out), t)
        if out.size == 0:
            return []
        form = self.operand if row.op in UFUNC_LIKE else self.array
        ins = [form(operand, t) for operand in row.ins]
        call = _plain_call(row, ins, out) if self.xp is numpy else None
        return [call or _call(self.xp, row, ins, out)]

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


def row_lifetimes(laid_out: LaidOut) -> dict[Buffer, tuple[int, int]]:
    """First and last row of every planned buffer."""
    touched: list[Touch] = []
    bounds, position = [], 0
    for number, (_, rows) in enumerate(laid_out.order.stretches):
        bounds.append((position, position + len(rows) - 1))
        seen: list[tuple[int, Home]] = []
        stale: set[Buffer] = set()  # read before they are written
        fresh: set[Buffer] = set()
        for row in rows:
            out, ins = laid_out.homes[row.out], [laid_out.homes[o.value] for o in row.ins if isinstance(o, View)]
            if row.op == "accumulate":
                ins.append(out)
            stale |= {home.buffer for home in ins} - fresh
            fresh |= {out.buffer} - stale
            seen += [(position, home) for home in (*ins, out)]
            position += 1
        touched += [Touch(home.buffer, number, at, home.step != 0, home.buffer in fresh) for at, home in seen]
    returned = [laid_out.homes[operand.value].buffer for operand in laid_out.outputs if isinstance(operand, View)]
    return lifetimes(laid_out.order, touched, bounds, returned)


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
