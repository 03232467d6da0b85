"""NumPy or CuPy: the one place that knows there are two.

*Data decides, context creates.*  An operation finds its array module from its operands (`xp_of`);
only the making of new arrays asks the context (`with use("cupy"):`).  There is one door in (`asarray`)
and one door out (`to_host`).  Nothing else in tinymem may move an array between host and device.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy

Array = Any  # numpy.ndarray, cupy.ndarray, or the strict double of tinymem.testing
Namespace = Any  # numpy, cupy, or anything that offers the same names

_creation: ContextVar[Namespace] = ContextVar("tinymem_backend", default=numpy)


class BackendError(RuntimeError):
    """The asked-for backend cannot be used on this machine; the message says why and what to do."""


@dataclass(frozen=True)
class Probe:
    """What a backend said when it was tried: usable or not, its version, and the reason in plain words."""

    name: str
    usable: bool
    version: str
    reason: str


def probe_cupy() -> Probe:
    """Try CuPy for real: import it, ask for a device, run one kernel.

    `import cupy` succeeds on a machine without a GPU and the first *use* fails, so an import alone proves nothing.
    """
    try:
        import cupy
    except ImportError as error:
        return Probe("cupy", False, "", f"CuPy is not installed ({error}); pip install 'tinymem[cuda12]' or 'tinymem[cuda13]'")
    version = str(cupy.__version__)
    try:
        if not cupy.is_available():
            return Probe("cupy", False, version, f"CuPy {version} is installed, but it finds no CUDA device on this machine")
        if float(cupy.ones(2).sum()) != 2.0:
            return Probe("cupy", False, version, f"CuPy {version} ran a kernel and got a wrong sum")
    except Exception as error:  # CuPy raises several unrelated types here, by what is missing: driver, NVRTC, cuRAND
        return Probe("cupy", False, version, f"CuPy {version} is installed, but its first kernel failed: {error}")
    return Probe("cupy", True, version, f"CuPy {version} runs kernels on this machine")


def namespace_named(name: str) -> Namespace:
    """The array module called `name`; BackendError with the reason when it is not usable here."""
    if name == "numpy":
        return numpy
    if name == "cupy":
        probe = probe_cupy()
        if not probe.usable:
            raise BackendError(f"backend 'cupy' cannot be used: {probe.reason}. Run 'tinymem doctor', or use the backend 'numpy'")
        import cupy

        return cupy
    raise BackendError(f"unknown backend {name!r}; the backends are 'numpy' and 'cupy'")


@contextmanager
def use(backend: str | Namespace) -> Iterator[Namespace]:
    """Within this context new arrays are made by `backend`: "numpy", "cupy", or an array module.

    >>> with use("numpy") as xp:
    ...     xp.__name__
    'numpy'
    """
    namespace = namespace_named(backend) if isinstance(backend, str) else backend
    token = _creation.set(namespace)
    try:
        yield namespace
    finally:
        _creation.reset(token)


def creation_namespace() -> Namespace:
    """The array module that makes new arrays in this context (NumPy unless `use` says otherwise)."""
    return _creation.get()


SCALAR_TYPES = frozenset({float, int, bool, complex})
HOST_TYPES = SCALAR_TYPES | {numpy.ndarray} | {numpy.dtype(code).type for code in "?bhiqBHIQefdFD"}  # what NumPy computes with


def namespace_of(array: Array) -> Namespace:
    """The array module one array belongs to."""
    kind = type(array)
    if issubclass(kind, (numpy.ndarray, numpy.generic)):
        return numpy
    own = getattr(kind, "tinymem_namespace", None)  # the strict double says its own
    if own is not None:
        return own
    if kind.__module__.partition(".")[0] == "cupy":
        return sys.modules["cupy"]
    raise TypeError(f"expected an array of NumPy or CuPy, got {kind.__module__}.{kind.__qualname__}; wrap it: tinymem.Tensor(value)")


def is_device(value: Any) -> bool:
    """Is this an array that lives on a device: of CuPy, or the strict double's?"""
    kind = type(value)
    return hasattr(kind, "tinymem_namespace") or kind.__module__.partition(".")[0] == "cupy"


@cache
def _smallest(dtype: Any) -> float:
    return float(numpy.finfo(dtype).tiny)


def representable(value: float, like: Array) -> float:
    """`value`, or the smallest normal number of `like`'s dtype if that is larger: an ε that does not vanish in float16."""
    return max(value, _smallest(like.dtype))


def xp_of(*operands: Array, function: str = "this operation", names: tuple[str, ...] = ()) -> Namespace:
    """The one array module of all operands; scalars fit any.  A mixture is a TypeError that names the operands."""
    found: Namespace = None
    first = ""
    for position, operand in enumerate(operands):
        if isinstance(operand, (float, int, bool, complex, numpy.generic)):
            continue
        name = names[position] if position < len(names) else f"operand {position}"
        try:
            namespace = namespace_of(operand)
        except TypeError as error:
            raise TypeError(f"{function}: {name}: {error}") from None
        if found is None:
            found, first = namespace, name
        elif namespace is not found and hasattr(namespace, "captures"):
            found = namespace
        elif namespace is not found and not hasattr(found, "captures"):
            raise TypeError(
                f"{function}: {first} is an array of {found.__name__}, {name} of {namespace.__name__}; "
                "they live on different devices. Make both under one 'with tinymem.use(...)', or move one with tinymem.to_host"
            )
    return numpy if found is None else found


def asarray(data: Any, dtype: Any = None) -> Array:
    """The one door in: a fresh array of the context's backend holding `data` (never an alias of it)."""
    return creation_namespace().array(data, dtype=dtype)


def to_host(value: Any) -> numpy.ndarray[Any, Any]:
    """The one door out: the value of an array or Tensor as a NumPy array (a device is waited for)."""
    array = getattr(value, "data", value) if hasattr(value, "node") else value
    if isinstance(array, (numpy.ndarray, numpy.generic, float, int, bool, complex)):
        return numpy.asarray(array)
    namespace_of(array)  # a foreign type gets its error here
    host: numpy.ndarray[Any, Any] = array.get()
    return host
