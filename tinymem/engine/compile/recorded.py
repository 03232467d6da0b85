"""Arrays without numbers, which write down what is asked of them.

A `Recorded` stands where an array would: it has a shape and a dtype, and every operation on it appends a row to the
program of the active recorder.  What would need a number (a branch, `.item()`) is refused with the line that asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy

from tinymem.engine.backend import is_device
from tinymem.engine.compile.maps import MAPS, kind_of, result_type, summed_dtype
from tinymem.engine.compile.program import Literal, Operand, Value, View, broadcast, whole
from tinymem.engine.compile.refusals import refuse, require_known
from tinymem.engine.errors import RecordingError
from tinymem.engine.notes import recorder
from tinymem.engine.tensor import Tensor

if TYPE_CHECKING:
    from tinymem.engine.compile.record import Recorder


def current() -> Recorder:
    found: Recorder | None = recorder.get()
    if found is None:
        raise RecordingError(
            "an array of a step that was compiled earlier is used outside of it: something kept it, as a list or an attribute. "
            "Return from the step what you need"
        )
    return found


def _operator(op: str, swapped: bool = False) -> Callable[[Any, Any], Any]:
    """The method of an arithmetic operator, or with `swapped` that of the right operand."""

    def apply(self: Any, other: Any) -> Any:
        if type(other) is Tensor:
            return NotImplemented
        return current().map(op, other, self) if swapped else current().map(op, self, other)

    return apply


class Recorded:
    """An array of a known shape and dtype and unknown numbers."""

    __slots__ = ("operand",)
    __hash__ = object.__hash__
    tinymem_namespace: Any = None  # set below

    def __init__(self, operand: Operand) -> None:
        self.operand = operand

    # -- what it is -----------------------------------------------------------------------------------------------------------
    @property
    def shape(self) -> tuple[int, ...]:
        return self.operand.shape

    @property
    def dtype(self) -> Any:
        return self.operand.dtype

    @property
    def ndim(self) -> int:
        return len(self.operand.shape)

    @property
    def size(self) -> int:
        return math.prod(self.operand.shape)

    @property
    def real(self) -> Recorded:
        return self

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Recorded]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"<recorded {self.dtype}{list(self.shape)}>"

    # -- numbers it does not have ----------------------------------------------------------------------------------------------
    def item(self) -> Any:
        current()
        raise refuse(
            "it reads a number on the host (.item(), float(), a comparison in an 'if' or 'while')",
            "The program is the same for all numbers: choose with tinymem.where, or return the value and look at it afterwards",
        )

    __bool__ = __float__ = __int__ = __complex__ = tolist = item

    def __index__(self) -> int:
        current()
        raise refuse(
            "a number that is an argument of the step is used as a size, a count or an index",
            "Arguments are data of the program, and sizes are fixed in it: take them from a shape, or from a variable outside of the step",
        )

    def __format__(self, specification: str) -> str:
        return repr(self) if not specification else self.item()

    def _no_operator(self, *_: Any) -> Any:
        raise refuse(
            "it computes a remainder or a whole-number quotient", "Compiled steps do not know these; compute them outside of the step"
        )

    __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = __divmod__ = __rdivmod__ = _no_operator

    def __array__(self, *_: Any, **__: Any) -> Any:
        current()
        raise refuse("it hands an array to NumPy", "Use tinymem's functions inside the step")

    def __array_ufunc__(self, ufunc: Any, method: str, *operands: Any, **keywords: Any) -> Any:
        """What NumPy asks when an array of its own stands to the left, or when one of its functions is called."""
        if any(type(operand) is Tensor for operand in operands):
            return NotImplemented
        if ufunc is numpy.matmul and method == "__call__" and not keywords:
            return _matmul(*operands)
        if method != "__call__" or keywords or ufunc.__name__ not in MAPS:
            raise refuse(f"it calls numpy.{ufunc.__name__}", "Use tinymem's functions inside the step")
        return current().map(ufunc.__name__, *operands)

    def __array_function__(self, function: Any, *_: Any) -> Any:
        raise refuse(f"it calls numpy.{function.__name__}", "Use tinymem's functions inside the step")

    def get(self) -> Any:
        current()
        raise refuse("it moves an array to the host (to_host)", "Return the value from the step and look at it afterwards")

    # -- views --------------------------------------------------------------------------------------------------------------------
    def viewed(self, function: Callable[[Any], Any]) -> Recorded:
        """The view `function` makes; a copy is recorded first where no strides express it."""
        operand = self.operand
        if isinstance(operand, Literal):
            shape = function(numpy.broadcast_to(numpy.int8(0), operand.shape)).shape
            return Recorded(Literal(operand.number, shape, operand.strong))
        found = operand.through(function)
        if found is None:
            return self.copy().viewed(function)
        return Recorded(found)

    def __getitem__(self, index: Any) -> Recorded:
        parts = index if type(index) is tuple else (index,)
        if any(isinstance(part, (numpy.ndarray, Recorded, list)) for part in parts):
            raise refuse(
                f"it indexes with {', '.join(type(part).__name__ for part in parts)}",
                "Use tinymem.take or tinymem.take_along_axis with integers, tinymem.where with a mask",
            )
        return self.viewed(lambda x: x[_as_view(index)])

    def reshape(self, *shape: Any) -> Recorded:
        wanted = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return self.viewed(lambda x: x.reshape(wanted))

    def transpose(self, *axes: Any) -> Recorded:
        return self.viewed(lambda x: x.transpose(*axes))

    def swapaxes(self, first: int, second: int) -> Recorded:
        return self.viewed(lambda x: x.swapaxes(first, second))

    @property
    def T(self) -> Recorded:
        return self.viewed(lambda x: x.T)

    # -- operators ------------------------------------------------------------------------------------------------------------------
    __add__, __radd__ = _operator("add"), _operator("add", swapped=True)
    __sub__, __rsub__ = _operator("subtract"), _operator("subtract", swapped=True)
    __mul__, __rmul__ = _operator("multiply"), _operator("multiply", swapped=True)
    __truediv__, __rtruediv__ = _operator("divide"), _operator("divide", swapped=True)
    __rpow__ = _operator("power", swapped=True)
    __eq__, __ne__ = _operator("equal"), _operator("not_equal")
    __lt__, __le__, __gt__, __ge__ = _operator("less"), _operator("less_equal"), _operator("greater"), _operator("greater_equal")

    # -- arithmetic -----------------------------------------------------------------------------------------------------------------
    def __setitem__(self, index: Any, part: Any) -> None:
        """Only the filling of fresh zeros, as `put` does it; the array then stands for the filled one."""
        if not isinstance(self.operand, Literal):
            raise refuse("it writes into an array", "Write y = tinymem.where(mask, value, x), or build it with stack or concatenate")
        region = whole(Value(self.shape, self.dtype)).through(lambda x: x[_as_view(index)])
        assert region is not None
        if 0 in region.shape:
            return
        piece, fill = broadcast(current().operand(part), region.shape), self.operand.number
        self.operand = current().emit("assemble", [piece], self.shape, self.dtype, regions=(_region(region),), fill=fill).operand

    def plus_at(self, index: Any, part: Recorded) -> Recorded:
        """This array with `part` added at a basic index."""
        region = whole(Value(self.shape, self.dtype)).through(lambda x: x[_as_view(index)])
        assert region is not None
        if 0 in region.shape:
            return self
        base = self.operand
        if isinstance(base, Literal) and base.number == 0:
            filled = Recorded(base)
            filled[index] = part
            return filled
        return current().emit("add_at", [base, part.operand], self.shape, self.dtype, region=_region(region))

    def copy(self) -> Recorded:
        return current().emit("copy", [self.operand], self.shape, self.dtype)

    def astype(self, dtype: Any, **_: Any) -> Recorded:
        dtype = numpy.dtype(dtype)
        if isinstance(self.operand, Literal):
            return Recorded(Literal(dtype.type(self.operand.number).item(), self.shape, dtype))
        if dtype == self.dtype and not self.operand.weak:
            return self
        require_known(dtype, "an array is converted to numbers")
        if dtype.kind == "b":
            return current().map("not_equal", self, 0)
        return current().emit("copy", [self.operand], self.shape, dtype)

    def _reduced(self, op: str, axis: Any, keepdims: bool) -> Recorded:
        axes = tuple(range(self.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        axes = tuple(sorted(a % self.ndim for a in axes)) if self.ndim else ()
        shape = tuple(n for i, n in enumerate(self.shape) if i not in axes)
        dtype = summed_dtype(self.dtype) if op == "sum" else self.dtype
        if op != "sum" and any(self.shape[i] == 0 for i in axes):
            raise ValueError(f"{op} of no elements")
        kept = tuple(1 if i in axes else n for i, n in enumerate(self.shape))
        if op == "sum" and 0 in self.shape:
            found = namespace.zeros(shape, dtype)
        elif not axes or all(self.shape[i] == 1 for i in axes):
            found = self.astype(dtype).reshape(shape)
        else:
            found = current().emit(op, [self.operand], shape, dtype, axes=axes)
        return found.reshape(kept) if keepdims else found

    def sum(self, axis: Any = None, keepdims: bool = False) -> Recorded:
        return self._reduced("sum", axis, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Recorded:
        return self._reduced("max", axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Recorded:
        return self._reduced("min", axis, keepdims)

    def argmax(self, axis: int) -> Recorded:
        axis %= self.ndim
        shape = self.shape[:axis] + self.shape[axis + 1 :]
        return current().emit("argmax", [self.operand], shape, numpy.int64, axis=axis)

    def __matmul__(self, other: Any) -> Any:
        return NotImplemented if type(other) is Tensor else _matmul(self, other)

    def __rmatmul__(self, other: Any) -> Recorded:
        return _matmul(other, self)

    def __neg__(self) -> Recorded:
        return current().map("negative", self)

    def __pow__(self, other: Any) -> Recorded:
        if isinstance(other, (int, float)) and not isinstance(other, bool):  # as NumPy does, so that both agree to the last bit
            if other == 2:
                return self * self
            if other == 0.5:
                return current().map("sqrt", self)
            if other == 1:
                return self.copy()
        return current().map("power", self, other)


def _as_view(index: Any) -> Any:
    """The same index, with which NumPy returns a view even where it would return a number."""
    parts = index if type(index) is tuple else (index,)
    return index if any(part is Ellipsis for part in parts) else (*parts, ...)


def _region(view: View) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    return view.shape, view.strides, view.offset


def _matmul(x: Any, y: Any) -> Recorded:
    record = current()
    a, b = record.operand(x), record.operand(y)
    if len(a.shape) < 2 or len(b.shape) < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit")
    batch = numpy.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    dtype = numpy.result_type(a.dtype, b.dtype)
    if dtype.kind != "f":
        raise refuse(f"a matrix product of {dtype}", "Compiled steps multiply matrices of floats")
    if 0 in a.shape or 0 in b.shape:
        return namespace.zeros((*batch, a.shape[-2], b.shape[-1]), dtype)
    a, b = broadcast(a, (*batch, *a.shape[-2:])), broadcast(b, (*batch, *b.shape[-2:]))
    return record.emit("matmul", [a, b], (*batch, a.shape[-2], b.shape[-1]), dtype)


class RecordingNamespace:
    """The array module of recorded arrays: the names of NumPy that the engine and the optimisers use."""

    __name__ = "a recorded step"
    captures = True  # arrays of NumPy may stand beside recorded ones: they come from outside of the step

    float32, float64, int64, bool_ = numpy.float32, numpy.float64, numpy.int64, numpy.bool_

    def __getattr__(self, name: str) -> Any:
        if name in MAPS:
            return lambda *operands: current().map(name, *operands)
        if name.startswith("__"):
            raise AttributeError(name)
        raise refuse(f"the array function {name} is used", "Compiled steps do not know it; run this step eagerly")

    def asarray(self, data: Any, dtype: Any = None) -> Any:
        if type(data) is Recorded:
            return data if dtype is None else data.astype(dtype)
        if isinstance(data, (bool, int, float)):
            return Recorded(Literal(numpy.asarray(data).item(), (), numpy.asarray(data, dtype).dtype))
        if isinstance(data, numpy.ndarray) or is_device(data):  # by reference, so that its numbers are those it has at each call
            found = Recorded(whole(current().capture(data)))
            return found if dtype is None else found.astype(dtype)
        return Recorded(whole(current().capture(numpy.asarray(data, dtype))))

    array = asarray

    def full(self, shape: Any, number: Any, dtype: Any = None) -> Recorded:
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        if type(number) is Recorded:
            return Recorded(broadcast(number.operand, shape))
        return Recorded(Literal(numpy.asarray(number, dtype).item(), shape, numpy.asarray(number, dtype).dtype))

    def zeros(self, shape: Any, dtype: Any = float) -> Recorded:
        return self.full(shape, 0.0 if numpy.dtype(dtype).kind == "f" else 0, dtype)

    def ones(self, shape: Any, dtype: Any = float) -> Recorded:
        return self.full(shape, 1.0 if numpy.dtype(dtype).kind == "f" else 1, dtype)

    def zeros_like(self, x: Recorded) -> Recorded:
        return self.zeros(x.shape, x.dtype)

    def arange(self, *arguments: Any, dtype: Any = None) -> Recorded:
        return Recorded(whole(current().capture(numpy.arange(*arguments, dtype=dtype))))

    def broadcast_to(self, x: Recorded, shape: tuple[int, ...]) -> Recorded:
        if numpy.broadcast_shapes(x.shape, shape) != tuple(shape):
            raise ValueError(f"cannot broadcast {x.shape} to {shape}")
        return Recorded(broadcast(x.operand, tuple(shape)))

    def squeeze(self, x: Recorded, axis: int) -> Recorded:
        return x.viewed(lambda array: numpy.squeeze(array, axis))

    def where(self, condition: Any, x: Any, y: Any) -> Recorded:
        record = current()
        operands = [record.operand(part) for part in (condition, x, y)]
        dtype = result_type("maximum", (kind_of(operands[1]), kind_of(operands[2])))[-1]
        shape = numpy.broadcast_shapes(*[operand.shape for operand in operands])
        return record.emit(
            "where", [broadcast(operand, shape) for operand in operands], shape, dtype, loop=(numpy.dtype(bool), dtype, dtype)
        )

    def clip(self, x: Recorded, lowest: Any, highest: Any) -> Recorded:
        record = current()
        return record.map("minimum", record.map("maximum", x, lowest), highest)

    def concatenate(self, parts: Sequence[Any], axis: int = 0) -> Recorded:
        record = current()
        operands = [record.operand(part) for part in parts]
        first = operands[0].shape
        for operand in operands:
            if len(operand.shape) != len(first) or operand.shape[:axis] + operand.shape[axis + 1 :] != first[:axis] + first[axis + 1 :]:
                raise ValueError(f"concatenate: shapes {[o.shape for o in operands]} differ off axis {axis}")
        dtype = numpy.result_type(*[operand.dtype for operand in operands])
        shape = (*first[:axis], sum(operand.shape[axis] for operand in operands), *first[axis + 1 :])
        frame, start, regions = whole(Value(shape, dtype)), 0, []
        operands = [operand for operand in operands if operand.shape[axis]] or operands[:1]
        if 0 in shape:
            return self.zeros(shape, dtype)
        for operand in operands:
            stop = start + operand.shape[axis]
            part = frame.through(lambda x, start=start, stop=stop: x[(slice(None),) * axis + (slice(start, stop),)])  # type: ignore[misc]
            assert part is not None
            regions.append(_region(part))
            start = stop
        return record.emit("assemble", operands, shape, dtype, regions=tuple(regions), fill=0)

    def stack(self, parts: Sequence[Any], axis: int = 0) -> Recorded:
        shaped = [part if type(part) is Recorded else self.asarray(part) for part in parts]
        return self.concatenate([part[(slice(None),) * axis + (None,)] for part in shaped], axis)

    def take(self, x: Any, index: Any, axis: int) -> Recorded:
        record = current()
        a, i = record.operand(x), record.operand(index)
        return record.emit("take", [a, i], (*a.shape[:axis], *i.shape, *a.shape[axis + 1 :]), a.dtype, axis=axis)

    def take_along_axis(self, x: Any, index: Any, axis: int) -> Recorded:
        record = current()
        a, i = record.operand(x), record.operand(index)
        shape = tuple(j if k == axis else max(n, j) for k, (n, j) in enumerate(zip(a.shape, i.shape, strict=True)))
        wide = tuple(a.shape[axis] if k == axis else n for k, n in enumerate(shape))
        return record.emit("take_along", [broadcast(a, wide), broadcast(i, shape)], shape, a.dtype, axis=axis)

    def put_taken(self, x: Any, index: Any, axis: int, shape: tuple[int, ...]) -> Recorded:
        record = current()
        g, i = record.operand(x), record.operand(index)
        return record.emit("put_taken", [broadcast(g, (*shape[:axis], *i.shape, *shape[axis + 1 :])), i], shape, g.dtype, axis=axis)

    def put_along(self, x: Any, index: Any, axis: int, shape: tuple[int, ...]) -> Recorded:
        record = current()
        g, i = record.operand(x), record.operand(index)
        return record.emit("put_along", [broadcast(g, i.shape), i], shape, g.dtype, axis=axis)

    def argsort(self, x: Recorded, axis: int, kind: str = "stable") -> Recorded:
        return current().emit("argsort", [x.operand], x.shape, numpy.int64, axis=axis % x.ndim)

    def cumsum(self, x: Recorded, axis: int) -> Recorded:
        return current().emit("cumsum", [x.operand], x.shape, summed_dtype(x.dtype), axis=axis % x.ndim)

    def cumprod(self, x: Recorded, axis: int) -> Recorded:
        return current().emit("cumprod", [x.operand], x.shape, summed_dtype(x.dtype), axis=axis % x.ndim)

    def einsum(self, subscripts: str, *operands: Any) -> Recorded:
        """As a sum of a product, over axes brought into one order: what a loop nest computes without the product in memory."""
        terms, result = subscripts.split("->")[0].split(","), subscripts.split("->")[1]
        summed = [c for c in dict.fromkeys("".join(terms)) if c not in result]
        order = [*result, *summed]
        arranged = []
        for term, given in zip(terms, operands, strict=True):
            x = given if type(given) is Recorded else self.asarray(given)
            mine = [c for c in order if c in term]
            arranged.append(x.transpose([term.index(c) for c in mine])[tuple(slice(None) if c in term else None for c in order)])
        product = arranged[0] if len(arranged) == 1 else arranged[0] * arranged[1]
        axes = tuple(range(len(result), len(order)))
        return product.sum(axes) if axes else product


namespace = RecordingNamespace()
Recorded.tinymem_namespace = namespace
