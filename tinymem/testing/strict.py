"""The strict device double: an array module that lives on the host and refuses what a GPU would refuse.

    with tinymem.use(strict.namespace), strict.synchronisations() as seen:
        loss.item()
    assert seen.count == 1

Tests run on it where there is no device.  It refuses what CuPy refuses (silent conversion to NumPy, NumPy arrays as
operands, names CuPy does not have), and some of what CuPy does in silence though it costs: index arrays copied from the
host, NumPy functions that dispatch.  As on a device, reductions give arrays without axes, out-of-range indices wrap
without a word, and what waits for a result is counted.  By composition, not a subclass of ndarray: whatever NumPy would
do on its own with a subclass, it cannot do here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy

from tinymem.testing.cupy_names import cupy_version, names_in_cupy

Host = numpy.ndarray[Any, Any]


# -- waiting for the device ----------------------------------------------------------------------------------------------
class SynchronisationError(RuntimeError):
    """A result was waited for where that is forbidden."""


@dataclass
class Synchronisations:
    """What waited for the device, in order: `reasons` such as "item()", and how many there were."""

    reasons: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.reasons)


_watching: ContextVar[tuple[Callable[[str], None], ...]] = ContextVar("tinymem_strict_watching", default=())


@contextmanager
def _watch(tell: Callable[[str], None]) -> Iterator[None]:
    token = _watching.set((*_watching.get(), tell))
    try:
        yield
    finally:
        _watching.reset(token)


@contextmanager
def synchronisations() -> Iterator[Synchronisations]:
    """Count, within this context, every time something waits for a result of the device."""
    seen = Synchronisations()
    with _watch(seen.reasons.append):
        yield seen


@contextmanager
def forbid_synchronisation() -> Iterator[None]:
    """Within this context, waiting for a result is a SynchronisationError."""

    def refuse(reason: str) -> None:
        raise SynchronisationError(f"{reason} waits for the device; here nothing may. Keep the value as an array without axes")

    with _watch(refuse):
        yield


def _synchronise(reason: str) -> None:
    for tell in _watching.get():
        tell(reason)


# -- in and out of the double --------------------------------------------------------------------------------------------
def _inside(value: Any, function: str) -> Any:
    """What NumPy computes with in place of one argument; a TypeError for an array that is still on the host."""
    if type(value) is StrictArray:
        return value._host
    if isinstance(value, numpy.ndarray):
        raise TypeError(
            f"{function}: Unsupported type <class 'numpy.ndarray'>: an array {value.shape} of NumPy among arrays of the device. "
            "Move it once with tinymem.asarray"
        )
    if type(value) in (list, tuple):
        return type(value)(_inside(item, function) for item in value)
    return value


def _outside(value: Any) -> Any:
    """The result of NumPy as the device would give it: every number an array, for to read a number is to wait for it."""
    if isinstance(value, (numpy.ndarray, numpy.generic)):
        return StrictArray._of(numpy.asarray(value))
    if type(value) in (list, tuple):
        return type(value)(_outside(item) for item in value)
    return value


def _operand(value: Any, function: str) -> Any:
    """An operand of elementwise arithmetic: an array of the device, or a scalar."""
    if type(value) is StrictArray or isinstance(value, (bool, int, float, complex, numpy.ndarray, numpy.generic)):
        return _inside(value, function)
    raise TypeError(f"{function}: Unsupported type {type(value)}; operands are arrays of the device and numbers")


def _function(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function or method of NumPy for arrays of the double."""

    def on_device(*arguments: Any, **keywords: Any) -> Any:
        if name in _WAITING:
            _synchronise(f"{name}()")
        given = [_inside(argument, name) for argument in arguments]
        named = {key: _inside(argument, name) for key, argument in keywords.items()}
        result = function(*given, **named)
        if name in _ANSWER_AS_ARRAY:
            result = numpy.asarray(result)
        return keywords["out"] if keywords.get("out") is not None else _outside(result)

    return on_device


# Their result, or its shape, depends on values: the host waits.
# fmt: off
_WAITING = frozenset({
    "argwhere", "array2string", "array_repr", "array_str", "compress", "dump", "dumps", "extract", "flatnonzero", "item", "nonzero",
    "save", "savez", "tobytes", "tofile", "tolist", "unique",
})
# fmt: on
_ANSWER_AS_ARRAY = frozenset({"allclose", "array_equal", "array_equiv"})  # NumPy answers these with a bool


# -- indices -------------------------------------------------------------------------------------------------------------
def _index_inside(index: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """The index for NumPy: index arrays wrap around their axis as on a device, host arrays and lists are refused."""
    parts = index if type(index) is tuple else (index,)
    used = sum(_axes_used(part) for part in parts)
    if not any(part is Ellipsis for part in parts):
        parts = (*parts, Ellipsis)  # also makes x[0] of a vector a view without axes, as on a device
    inside: list[Any] = []
    axis = 0
    for part in parts:
        if type(part) is StrictArray:
            integers = part.dtype.kind in "iu" and axis < len(shape)
            inside.append(part._host % shape[axis] if integers and shape[axis] else part._host)
        else:
            inside.append(part)
        axis += len(shape) - used if part is Ellipsis else _axes_used(part)
    return tuple(inside)


def _axes_used(part: Any) -> int:
    """How many axes one part of an index speaks of (an Ellipsis takes the rest)."""
    if part is None or part is Ellipsis:
        return 0
    if type(part) is StrictArray:
        return part.ndim if part.dtype.kind == "b" else 1
    if isinstance(part, slice) or (isinstance(part, (int, numpy.integer)) and not isinstance(part, bool)):
        return 1
    raise TypeError(
        f"an index of {type(part).__module__}.{type(part).__qualname__} would be copied to the device in secret; "
        "make index arrays there: tinymem.asarray(index)"
    )


def _is_mask(index: Any) -> bool:
    parts = index if type(index) is tuple else (index,)
    return any(type(part) is StrictArray and part.dtype.kind == "b" for part in parts)


def _index_array(index: Any, function: str) -> Any:
    if type(index) is StrictArray or isinstance(index, (int, numpy.integer)):
        return index
    raise TypeError(f"{function}: the index must be an array of the device, got {type(index).__qualname__}; move it with tinymem.asarray")


def _take(array: Any, index: Any, axis: int | None = None) -> Any:
    array = array.reshape(-1) if axis is None else array
    place = 0 if axis is None else axis % array.ndim
    return array[(*(slice(None),) * place, _index_array(index, "take"))]


def _take_along_axis(array: Any, index: Any, axis: int) -> Any:
    places = _inside(_index_array(index, "take_along_axis"), "take_along_axis")
    return _outside(numpy.take_along_axis(array._host, places % array.shape[axis], axis))


def _where(condition: Any, *choices: Any) -> Any:
    if type(condition) is not StrictArray:
        raise TypeError(f"where: the condition must be an array of the device, got {type(condition).__qualname__}")
    if not choices:
        return condition.nonzero()
    return _outside(numpy.where(condition._host, *(_operand(choice, "where") for choice in choices)))


# -- the module ----------------------------------------------------------------------------------------------------------
class _Ufunc:
    """An elementwise function: operands and `out` on the device or numbers; of the methods, `add.at` and its kin."""

    def __init__(self, ufunc: numpy.ufunc) -> None:
        self._ufunc = ufunc

    def __call__(self, *operands: Any, out: Any = None, **keywords: Any) -> Any:
        name = self._ufunc.__name__
        given = [_operand(operand, name) for operand in operands]
        if out is None:
            return _outside(self._ufunc(*given, **keywords))
        self._ufunc(*given, out=_inside(out, name), **keywords)
        return out

    def at(self, array: Any, index: Any, value: Any) -> None:
        """array[index] = ufunc(array[index], value), a repeated index counting every time."""
        name = self._ufunc.__name__
        if name not in ("add", "maximum", "minimum"):
            raise NotImplementedError(f"{name}.at: CuPy has no kernel for it; there are add.at, maximum.at and minimum.at")
        if type(array) is not StrictArray:
            raise TypeError(f"{name}.at: the array must be on the device, got {type(array).__qualname__}")
        self._ufunc.at(array._host, _index_inside(index, array.shape), _operand(value, f"{name}.at"))


class _Namespace:
    """The names that NumPy and CuPy share, for arrays of the double."""

    __name__ = "strict"

    @property
    def ndarray(self) -> type[StrictArray]:
        return StrictArray

    def array(self, data: Any, dtype: Any = None, copy: bool = True, order: Any = "K") -> StrictArray:
        """The door in: a copy of host data (or of an array of the device) on the device."""
        if type(data) is StrictArray and not copy and dtype in (None, data.dtype):
            return data
        return StrictArray._of(numpy.array(data._host if type(data) is StrictArray else data, dtype=dtype, order=order))

    def asarray(self, data: Any, dtype: Any = None) -> StrictArray:
        return self.array(data, dtype, copy=False)

    @property
    def lib(self) -> Any:
        """Of the library's own corner only what is asked of it: lib.stride_tricks.as_strided."""
        return _LIB

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in names_in_cupy():
            raise AttributeError(f"CuPy {cupy_version()} has no '{name}'; use a name that NumPy and CuPy share")
        if not hasattr(numpy, name):
            raise AttributeError(f"'{name}' is CuPy's alone, NumPy has it not; use a name that both share")
        if name in _OWN:
            return _OWN[name]
        value = getattr(numpy, name)
        if isinstance(value, numpy.ufunc):
            return _Ufunc(value)
        if isinstance(value, type):
            if issubclass(value, (numpy.generic, numpy.dtype, numpy.finfo, numpy.iinfo)):
                return value
        elif callable(value):
            return _function(name, value)
        elif value is None or isinstance(value, (int, float)):
            return value
        raise AttributeError(f"the double offers functions, dtypes and constants, not '{name}'; random numbers are drawn on the host")

    def __repr__(self) -> str:
        return "<namespace strict>"


namespace = _Namespace()
_OWN = {"take": _take, "take_along_axis": _take_along_axis, "where": _where}


def _as_strided(array: StrictArray, shape: tuple[int, ...] | None = None, strides: tuple[int, ...] | None = None) -> StrictArray:
    """A view with these strides: CuPy's function has no further arguments, and does not look whether it stays inside."""
    return StrictArray._of(numpy.lib.stride_tricks.as_strided(array._host, shape, strides))


_LIB = SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=_as_strided))


# -- the array -----------------------------------------------------------------------------------------------------------
def _yields(other: Any) -> bool:
    """Does `other` ask to be the one who computes, as a Tensor does?"""
    return type(other) is not StrictArray and getattr(type(other), "__array_ufunc__", False) is None


def _operator(apply: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def method(self: StrictArray, other: Any) -> Any:
        return NotImplemented if _yields(other) else _outside(apply(self._host, _operand(other, apply.__name__)))

    return method


def _reflected(apply: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def method(self: StrictArray, other: Any) -> Any:
        return NotImplemented if _yields(other) else _outside(apply(_operand(other, apply.__name__), self._host))

    return method


def _in_place(apply: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def method(self: StrictArray, other: Any) -> Any:
        if _yields(other):
            return NotImplemented
        apply(self._host, _operand(other, apply.__name__))  # an array without axes changes in place too
        return self

    return method


def _single(apply: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda self: _outside(apply(self._host))


def _waiting(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def method(self: StrictArray) -> Any:
        _synchronise(f"{convert.__name__}()")
        return convert(self._host)

    return method


class StrictArray:
    """An array of the strict double.  Made by `namespace.array(...)`, read back by `.get()` or `.item()`."""

    __slots__ = ("_host",)
    _host: Host

    __array_ufunc__ = None  # numpy.exp(a) is refused, ndarray * a comes to __rmul__ and is refused there
    tinymem_namespace: ClassVar[_Namespace] = namespace

    def __init__(self, *_: Any) -> None:
        raise TypeError("make an array of the double with strict.namespace.array(data)")

    @classmethod
    def _of(cls, host: Host) -> StrictArray:
        if host.dtype.kind not in "?biufc":
            raise ValueError(f"Unsupported dtype {host.dtype}")  # CuPy's words
        array = cls.__new__(cls)
        array._host = host
        return array

    # the door out
    def get(self) -> Host:
        """A copy on the host.  Waits."""
        _synchronise("get()")
        return self._host.copy()

    # the doors that are shut
    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly.")

    def __array_function__(self, function: Any, types: Any, arguments: Any, keywords: Any) -> Any:
        name = function.__name__
        raise TypeError(f"numpy.{name} was given an array of the device; take the function from its own module: xp.{name}")

    def __getattr__(self, name: str) -> Any:
        if name not in names_in_cupy("cupy.ndarray"):
            raise AttributeError(f"an array of CuPy {cupy_version()} has no '{name}'")
        if name in ("base", "data", "device", "flat") or not hasattr(numpy.ndarray, name):
            raise AttributeError(f"'{name}' means another thing on the device than in NumPy; the double does not offer it")
        value = getattr(self._host, name)
        return _function(name, value) if callable(value) else _outside(value)

    def take(self, indices: Any, axis: int | None = None) -> StrictArray:
        return _take(self, indices, axis)  # type: ignore[no-any-return]

    # indexing
    def __getitem__(self, index: Any) -> StrictArray:
        inside = _index_inside(index, self.shape)
        if _is_mask(index):
            _synchronise("a mask as index")  # the result's length is known only when the mask is
        return StrictArray._of(numpy.asarray(self._host[inside]))

    def __setitem__(self, index: Any, value: Any) -> None:
        self._host[_index_inside(index, self.shape)] = _operand(value, "a[index] = value")

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Iterator[StrictArray]:
        _synchronise("iteration")
        return (self[i] for i in range(len(self)))

    # what waits
    __bool__ = _waiting(bool)
    __int__ = _waiting(int)
    __float__ = _waiting(float)
    __complex__ = _waiting(complex)
    __repr__ = _waiting(repr)
    __str__ = _waiting(str)

    def __format__(self, specification: str) -> str:
        return format(self.item(), specification) if specification else str(self)

    # operators: those of CuPy's arrays (which have no @=, so Python makes it a = a @ b)
    __add__, __radd__, __iadd__ = _operator(operator.add), _reflected(operator.add), _in_place(operator.iadd)
    __sub__, __rsub__, __isub__ = _operator(operator.sub), _reflected(operator.sub), _in_place(operator.isub)
    __mul__, __rmul__, __imul__ = _operator(operator.mul), _reflected(operator.mul), _in_place(operator.imul)
    __truediv__, __rtruediv__, __itruediv__ = _operator(operator.truediv), _reflected(operator.truediv), _in_place(operator.itruediv)
    __floordiv__, __rfloordiv__, __ifloordiv__ = _operator(operator.floordiv), _reflected(operator.floordiv), _in_place(operator.ifloordiv)
    __mod__, __rmod__, __imod__ = _operator(operator.mod), _reflected(operator.mod), _in_place(operator.imod)
    __pow__, __rpow__, __ipow__ = _operator(operator.pow), _reflected(operator.pow), _in_place(operator.ipow)
    __matmul__, __rmatmul__ = _operator(operator.matmul), _reflected(operator.matmul)
    __and__, __rand__, __iand__ = _operator(operator.and_), _reflected(operator.and_), _in_place(operator.iand)
    __or__, __ror__, __ior__ = _operator(operator.or_), _reflected(operator.or_), _in_place(operator.ior)
    __xor__, __rxor__, __ixor__ = _operator(operator.xor), _reflected(operator.xor), _in_place(operator.ixor)
    __neg__, __pos__, __abs__, __invert__ = _single(operator.neg), _single(operator.pos), _single(abs), _single(operator.invert)
    __lt__, __le__, __gt__, __ge__ = _operator(operator.lt), _operator(operator.le), _operator(operator.gt), _operator(operator.ge)
    __eq__ = _operator(operator.eq)
    __ne__ = _operator(operator.ne)
    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> StrictArray:
        return namespace.array(self)

    def __deepcopy__(self, _: Any) -> StrictArray:
        return namespace.array(self)
