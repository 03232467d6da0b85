"""Tensor: an array that may stand on a tape, and the operators the slides are written in.

No mathematics lives here: an operator hands over to the primitive of its name in `ops`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinymem.engine.backend import Array, asarray, is_device, namespace_of
from tinymem.engine.graph import Leaf, Node

_NO_IN_PLACE = (
    "a Tensor never changes in place, for its old value may be needed by a gradient. {instead} "
    "(to overwrite the numbers of a leaf, outside any recorded computation, rebind them: t.data = new_array)"
)


class Tensor:
    """An n-dimensional array with an optional place on the tape.

    Tensor(data, requires_grad=False): `data` is copied; `.data` is the raw backend array, `.grad` the raw gradient that
    `backward` left (only where requires_grad was asked for), `.node` the tape's row, None if untracked.
    """

    __slots__ = ("data", "node")
    __array_ufunc__ = None  # so that ndarray * tensor reaches Tensor.__rmul__

    def __init__(self, data: Any, requires_grad: bool = False, dtype: Any = None) -> None:
        if type(data) is Tensor:
            data = data.data
        try:
            array = namespace_of(data).array(data, dtype=dtype) if is_device(data) else asarray(data, dtype)  # stays on its device
        except ValueError as error:
            raise TypeError(f"Tensor: cannot hold this data ({error}); give numbers or booleans, in rows of equal length") from None
        if array.dtype.kind not in "fiubc":
            raise TypeError(f"Tensor: cannot hold {array.dtype} data; give numbers or booleans, in rows of equal length")
        if requires_grad and array.dtype.kind not in "fc":
            raise TypeError(
                f"Tensor: requires_grad=True needs floating-point data, got {array.dtype}: an integer has no derivative. "
                "Write Tensor(data, requires_grad=True, dtype='float32')"
            )
        self.data: Array = array
        self.node: Node | Leaf | None = Leaf(array.dtype) if requires_grad else None

    # -- what it is -------------------------------------------------------------------------------------------------
    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def ndim(self) -> int:
        return self.data.ndim

    @property
    def size(self) -> int:
        return self.data.size

    @property
    def dtype(self) -> Any:
        return self.data.dtype

    @property
    def requires_grad(self) -> bool:
        return self.node is not None

    @property
    def grad(self) -> Array | None:
        return self.node.grad if type(self.node) is Leaf else None

    @grad.setter
    def grad(self, value: Array | None) -> None:
        if type(self.node) is not Leaf:
            raise TypeError("only a leaf (Tensor(data, requires_grad=True)) keeps a gradient")
        self.node.grad = value

    def item(self) -> Any:
        """The one number of a one-element Tensor as a Python number.  On a device this waits: the documented synchronisation."""
        if self.size != 1:
            raise ValueError(f"item() needs exactly one element, this Tensor has shape {self.shape}; take .data, or tinymem.to_host(t)")
        return self.data.item()

    def detach(self) -> Tensor:
        """The same numbers, off the tape."""
        return wrap(self.data, None)

    def backward(self, cotangent: Any = None) -> None:
        """Add d<cotangent, self>/d leaf to `.grad` of every leaf this Tensor was computed from."""
        from tinymem.engine.autograd import backward

        backward(self, cotangent)

    def __repr__(self) -> str:
        made_by = f", from {self.node.primitive.name}" if type(self.node) is Node else ", requires_grad=True" if self.node else ""
        return f"Tensor({self.data!r}{made_by})"

    def __format__(self, specification: str) -> str:
        return format(self.item(), specification) if specification else repr(self)

    __hash__ = object.__hash__

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a Tensor without axes")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a Tensor is not converted to an array silently: take t.data, or tinymem.to_host(t) for a NumPy array")

    # -- operators --------------------------------------------------------------------------------------------------
    def __add__(self, other: Any) -> Tensor:
        return ops.add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return ops.add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return ops.subtract(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return ops.subtract(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return ops.multiply(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return ops.multiply(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return ops.divide(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return ops.divide(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return ops.power(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return ops.power(other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return ops.matmul(other, self)

    def __neg__(self) -> Tensor:
        return ops.negative(self)

    def __abs__(self) -> Tensor:
        return ops.absolute(self)

    def __getitem__(self, index: Any) -> Tensor:
        return ops.getitem(self, index)

    # comparisons are elementwise and carry no gradient
    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]
        return ops.equal(self, other)

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        return ops.not_equal(self, other)

    def __lt__(self, other: Any) -> Tensor:
        return ops.less(self, other)

    def __le__(self, other: Any) -> Tensor:
        return ops.less_equal(self, other)

    def __gt__(self, other: Any) -> Tensor:
        return ops.greater(self, other)

    def __ge__(self, other: Any) -> Tensor:
        return ops.greater_equal(self, other)

    # -- the methods an array of NumPy has under the same name, so that a VJP reads the same on arrays and on Tensors ---
    @property
    def T(self) -> Tensor:
        return ops.transpose(self)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return ops.sum(self, axis, keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return ops.mean(self, axis, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return ops.max(self, axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return ops.min(self, axis, keepdims)

    def reshape(self, *shape: Any) -> Tensor:
        return ops.reshape(self, *shape)

    def transpose(self, *axes: Any) -> Tensor:
        return ops.transpose(self, *axes)

    def swapaxes(self, first: int, second: int) -> Tensor:
        return ops.swapaxes(self, first, second)

    # -- refusals, each with what to write instead -------------------------------------------------------------------
    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "t[index] = value: "
            + _NO_IN_PLACE.format(instead="Write t = tinymem.where(mask, value, t), or build t with stack or concatenate")
        )

    def _refuse(self, operator: str) -> Any:
        raise TypeError(f"t {operator}= value: " + _NO_IN_PLACE.format(instead=f"Write t = t {operator} value"))

    def __iadd__(self, other: Any) -> Tensor:
        return self + other if self.node is None else self._refuse("+")

    def __isub__(self, other: Any) -> Tensor:
        return self - other if self.node is None else self._refuse("-")

    def __imul__(self, other: Any) -> Tensor:
        return self * other if self.node is None else self._refuse("*")

    def __itruediv__(self, other: Any) -> Tensor:
        return self / other if self.node is None else self._refuse("/")

    def __ipow__(self, other: Any) -> Tensor:
        return self**other if self.node is None else self._refuse("**")

    def __imatmul__(self, other: Any) -> Tensor:
        return self @ other if self.node is None else self._refuse("@")


def wrap(array: Array, node: Node | Leaf | None) -> Tensor:
    """A Tensor around an existing array, without a copy: for the engine's own results."""
    tensor = Tensor.__new__(Tensor)
    tensor.data = array
    tensor.node = node
    return tensor


from tinymem.engine import ops  # noqa: E402  # last: the table is written in Tensors, so it needs the class above
