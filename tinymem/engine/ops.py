"""The table of derivatives: every primitive of tinymem, each with its gradient beside it.

How to read a row: the equation, the array function, what it saves, then for each operand the vector-Jacobian product
g ↦ gᵀ ∂out/∂operand.  `g` is the cotangent of the result.  No row thinks of broadcasting: the engine sums a gradient
back to its operand's shape.  VJPs use operators and rows of this table only, so they differentiate again.
An operand that a row does not save arrives as its shape.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

from tinymem.engine.arrays import (
    add_at,
    is_basic,
    put_along,
    put_into_zeros,
    put_taken,
    roll_array,
    stable_logsumexp,
    stable_softmax,
    sum_array_to,
)
from tinymem.engine.axes import new_axis, number_of_axes, one_axis, several_axes
from tinymem.engine.backend import SCALAR_TYPES, namespace_of
from tinymem.engine.einsum import contract, einsum_vjp
from tinymem.engine.errors import OperandError
from tinymem.engine.primitive import primitive
from tinymem.engine.tensor import Tensor
from tinymem.engine.windows import add_windows, gather_windows, places

# fmt: off
# -- arithmetic ----------------------------------------------------------------------------------------------------------
add = primitive("add(x, y) = x + y", lambda xp, x, y: x + y,
    x=lambda g, out, x, y: g,
    y=lambda g, out, x, y: g)

subtract = primitive("subtract(x, y) = x - y", lambda xp, x, y: x - y,
    x=lambda g, out, x, y: g,
    y=lambda g, out, x, y: -g)

multiply = primitive("multiply(x, y) = x y", lambda xp, x, y: x * y, saves="x y",
    x=lambda g, out, x, y: g * y,
    y=lambda g, out, x, y: g * x)

divide = primitive("divide(x, y) = x / y", lambda xp, x, y: x / y, saves="y out",
    x=lambda g, out, x, y: g / y,
    y=lambda g, out, x, y: -g * out / y)

negative = primitive("negative(x) = -x", lambda xp, x: -x,
    x=lambda g, out, x: -g)

power = primitive("power(x, y) = x^y", lambda xp, x, y: x ** y, saves="x y out",
    x=lambda g, out, x, y: g * _power_slope(x, y),
    y=lambda g, out, x, y: g * out * _log_or_zero(x))  # 0^y stays 0: no gradient, and no log 0

# -- elementwise functions -----------------------------------------------------------------------------------------------
exp = primitive("exp(x) = e^x", lambda xp, x: xp.exp(x), saves="out",
    x=lambda g, out, x: g * out)

log = primitive("log(x) = ln x", lambda xp, x: xp.log(x), saves="x",
    x=lambda g, out, x: g / x)

log1p = primitive("log1p(x) = ln(1 + x)", lambda xp, x: xp.log1p(x), saves="x",
    x=lambda g, out, x: g / (x + 1))

sqrt = primitive("sqrt(x) = x^(1/2)", lambda xp, x: xp.sqrt(x), saves="out",
    x=lambda g, out, x: g / (out + out))

sin = primitive("sin(x) = sin x", lambda xp, x: xp.sin(x), saves="x",
    x=lambda g, out, x: g * cos(x))

cos = primitive("cos(x) = cos x", lambda xp, x: xp.cos(x), saves="x",
    x=lambda g, out, x: -g * sin(x))

tanh = primitive("tanh(x) = (e^x - e^-x) / (e^x + e^-x)", lambda xp, x: xp.tanh(x), saves="out",
    x=lambda g, out, x: g - g * (out * out))

sigmoid = primitive("sigmoid(x) = 1 / (1 + e^-x)", lambda xp, x: xp.tanh(x * 0.5) * 0.5 + 0.5, saves="out",  # never overflows
    x=lambda g, out, x: g * (out - out * out))

softplus = primitive("softplus(x) = ln(1 + e^x)",
    lambda xp, x: xp.maximum(x, 0) + xp.log1p(xp.exp(xp.minimum(x, -x))), saves="x",  # min(x, -x) = -|x|, but analytic
    x=lambda g, out, x: g * sigmoid(x))

absolute = primitive("absolute(x) = |x|", lambda xp, x: xp.maximum(x, -x), saves="x",  # analytic on each side of 0
    x=lambda g, out, x: where(greater(x, 0), g, 0) - where(less(x, 0), g, 0))

maximum = primitive("maximum(x, y) = max(x, y)", lambda xp, x, y: xp.maximum(x, y), saves="x y",  # a tie is shared
    x=lambda g, out, x, y: 0.5 * (where(greater(x, y), g, 0) + where(greater_equal(x, y), g, 0)),
    y=lambda g, out, x, y: 0.5 * (where(less(x, y), g, 0) + where(less_equal(x, y), g, 0)))

minimum = primitive("minimum(x, y) = min(x, y)", lambda xp, x, y: xp.minimum(x, y), saves="x y",
    x=lambda g, out, x, y: 0.5 * (where(less(x, y), g, 0) + where(less_equal(x, y), g, 0)),
    y=lambda g, out, x, y: 0.5 * (where(greater(x, y), g, 0) + where(greater_equal(x, y), g, 0)))

where = primitive("where(condition, x, y) = x if condition else y", lambda xp, condition, x, y: xp.where(condition, x, y),
    saves="condition",
    x=lambda g, out, condition, x, y: where(condition, g, 0),
    y=lambda g, out, condition, x, y: where(condition, 0, g))

# -- questions: no gradient ----------------------------------------------------------------------------------------------
equal = primitive("equal(x, y) = [x = y]", lambda xp, x, y: xp.equal(x, y))
not_equal = primitive("not_equal(x, y) = [x != y]", lambda xp, x, y: xp.not_equal(x, y))
less = primitive("less(x, y) = [x < y]", lambda xp, x, y: xp.less(x, y))
less_equal = primitive("less_equal(x, y) = [x <= y]", lambda xp, x, y: xp.less_equal(x, y))
greater = primitive("greater(x, y) = [x > y]", lambda xp, x, y: xp.greater(x, y))
greater_equal = primitive("greater_equal(x, y) = [x >= y]", lambda xp, x, y: xp.greater_equal(x, y))
_argmax = primitive("argmax(x; axis) = position of the largest", lambda xp, x, axis: x.argmax(axis=axis))
_argsort = primitive("argsort(x; axis) = positions in ascending order", lambda xp, x, axis: xp.argsort(x, axis=axis, kind="stable"))

# -- products ------------------------------------------------------------------------------------------------------------
def _multiply_matrices(xp: Any, x: Any, y: Any) -> Any:
    if x.shape[-1] == 1 == y.shape[-2]:  # an outer product: BLAS is slow at these, broadcasting is not
        return x * y
    return x @ y

_matmul = primitive("matmul(x, y) = x y, a matrix product over the last two axes", _multiply_matrices, saves="x y",
    x=lambda g, out, x, y: _matmul(g, y.swapaxes(-1, -2)),
    y=lambda g, out, x, y: _matmul(g.swapaxes(-1, -2), x).swapaxes(-1, -2))  # (gᵀ x)ᵀ: for y = W.T, laid out in memory as W is

_einsum = primitive("einsum(*operands; subscripts) = sum of products over the indices not in the result",
    contract, saves="*operands",
    each=lambda g, out, position, *operands, subscripts: einsum_vjp(_einsum, broadcast_to, subscripts, position, g, operands))

_einsum_of_square = primitive("einsum_of_square(x; subscripts) = einsum of x with itself, each index of x in the same place",
    lambda xp, x, subscripts: contract(xp, x, x, subscripts=subscripts), saves="x",
    x=lambda g, out, x, subscripts: 2 * einsum_vjp(_einsum, broadcast_to, subscripts, 0, g, (x, x)))

# -- sums and orders -----------------------------------------------------------------------------------------------------
_sum = primitive("sum(x; axis, keepdims) = sum over axis", lambda xp, x, axis, keepdims: x.sum(axis=axis, keepdims=keepdims),
    x=lambda g, out, shape, axis, keepdims: broadcast_to(_with_axes(g, shape, axis, keepdims), shape))

_max = primitive("max(x; axis, keepdims) = largest over axis", lambda xp, x, axis, keepdims: x.max(axis=axis, keepdims=keepdims),
    saves="x out",
    x=lambda g, out, x, axis, keepdims: _share_among_winners(g, out, x, axis, keepdims))

_min = primitive("min(x; axis, keepdims) = smallest over axis", lambda xp, x, axis, keepdims: x.min(axis=axis, keepdims=keepdims),
    saves="x out",
    x=lambda g, out, x, axis, keepdims: _share_among_winners(g, out, x, axis, keepdims))

_cumsum = primitive("cumsum(x; axis) = running sum", lambda xp, x, axis: xp.cumsum(x, axis=axis),
    x=lambda g, out, x, axis: flip(cumsum(flip(g, axis), axis), axis))

_cumprod = primitive("cumprod(x; axis) = running product", lambda xp, x, axis: xp.cumprod(x, axis=axis), saves="x",
    x=lambda g, out, x, axis: _cumprod_vjp(g, x, axis))

_softmax = primitive("softmax(x; axis) = e^x / sum e^x", lambda xp, x, axis: stable_softmax(xp, x, axis), saves="out",
    x=lambda g, out, x, axis: (g - (g * out).sum(axis, keepdims=True)) * out)

_logsumexp = primitive("logsumexp(x; axis) = ln sum e^x", lambda xp, x, axis: stable_logsumexp(xp, x, axis), saves="x out",
    x=lambda g, out, x, axis: expand_dims(g, axis) * exp(x - expand_dims(out, axis)))

# -- shapes: sum_to and broadcast_to are each other's gradients, and so are getitem and put, im2col and col2im -------------
_broadcast_to = primitive("broadcast_to(x; shape) = x repeated to shape", lambda xp, x, shape: xp.broadcast_to(x, shape),
    x=lambda g, out, x_shape, shape: sum_to(g, x_shape))

_sum_to = primitive("sum_to(x; shape) = x summed to shape", lambda xp, x, shape: sum_array_to(x, shape),
    x=lambda g, out, x_shape, shape: broadcast_to(g, x_shape))

_reshape = primitive("reshape(x; shape) = the same elements in another shape", lambda xp, x, shape: x.reshape(shape),
    x=lambda g, out, x_shape, shape: g.reshape(x_shape))

_transpose = primitive("transpose(x; axes) = axes in another order", lambda xp, x, axes: x.transpose(axes),
    x=lambda g, out, x, axes: g.transpose([axes.index(i) for i in range(len(axes))]))

_slice = primitive("slice(x; index) = x[index], index of slices and integers", lambda xp, x, index: x[index],
    add_into=lambda total, g, index: add_at(total, g, index),
    x=lambda g, out, shape, index: _put(g, index=index, shape=shape))

_getitem = primitive("getitem(x; index) = x[index]", lambda xp, x, index: x[index],
    x=lambda g, out, shape, index: _put(g, index=index, shape=shape))

_put = primitive("put(x; index, shape) = zeros of shape, with x added at index", lambda xp, x, index, shape: put_into_zeros(xp, x, index, shape),
    x=lambda g, out, x, index, shape: getitem(g, index))

_take = primitive("take(x, index; axis) = x[..., index, ...], index an integer array", lambda xp, x, index, axis: xp.take(x, index, axis=axis),
    saves="index",
    x=lambda g, out, shape, index, axis: _put_taken(g, index, axis=axis, shape=shape))

_put_taken = primitive("put_taken(x, index; axis, shape) = zeros of shape, with x added at index along axis",
    lambda xp, x, index, axis, shape: put_taken(xp, x, index, axis, shape), saves="index",
    x=lambda g, out, x, index, axis, shape: _take(g, index, axis=axis))

_take_along = primitive("take_along(x, index; axis) = x[i, index[i, j]] along axis",
    lambda xp, x, index, axis: xp.take_along_axis(x, index, axis=axis), saves="index",
    x=lambda g, out, shape, index, axis: _put_along(g, index, axis=axis, shape=shape))

_put_along = primitive("put_along(x, index; axis, shape) = zeros of shape, with x added at index[i, j]",
    lambda xp, x, index, axis, shape: put_along(xp, x, index, axis, shape), saves="index",
    x=lambda g, out, x, index, axis, shape: _take_along(g, index, axis=axis))

_im2col = primitive("im2col(x; size, stride, padding) = the window of x at each place as a row", gather_windows,
    x=lambda g, out, shape, size, stride, padding: _col2im(g, shape=shape, size=size, stride=stride, padding=padding))

_col2im = primitive("col2im(x; shape, size, stride, padding) = zeros of shape, with each window added at its place", add_windows,
    x=lambda g, out, x, shape, size, stride, padding: _im2col(g, size=size, stride=stride, padding=padding))

_roll = primitive("roll(x; shift, axis) = x[i - shift] along axis, circular", lambda xp, x, shift, axis: roll_array(xp, x, shift, axis),
    x=lambda g, out, x, shift, axis: _roll(g, shift=-shift, axis=axis))

_stack = primitive("stack(*parts; axis) = parts joined along a new axis",
    lambda xp, *parts, axis: xp.concatenate([part[(slice(None),) * axis + (None,)] for part in parts], axis=axis),
    each=lambda g, out, position, *shapes, axis: g[(slice(None),) * axis + (position,)])

_concatenate = primitive("concatenate(*parts; axis) = parts joined along axis", lambda xp, *parts, axis: xp.concatenate(parts, axis=axis),
    each=lambda g, out, position, *shapes, axis: _slice_along(g, axis, builtins.sum([s[axis] for s in shapes[:position]]), shapes[position][axis]))
# fmt: on


# -- VJPs and attributes that take more than a line ---------------------------------------------------------------------------
def _slice_along(x: Any, axis: int, start: int, length: int) -> Any:
    return _slice(x, index=(slice(None),) * axis + (slice(start, start + length),))


def _log_or_zero(x: Any) -> Any:
    if isinstance(x, (int, float)):  # stays a Python number: an array made of it would be float64, and on the host
        return math.log(x) if x > 0 else 0.0 if x == 0 else math.nan
    return log(where(equal(x, 0), 1, x))


def _power_slope(x: Any, y: Any) -> Any:
    # y x^(y-1), and 0 where y is 0: not 0 times 0^-1
    if type(y) in SCALAR_TYPES:
        return y * x ** (y - 1) if y else 0
    nonzero = not_equal(y, 0)
    return where(nonzero, y * x ** where(nonzero, y - 1, 1), 0)


def _with_axes(g: Any, shape: tuple[int, ...], axis: tuple[int, ...], keepdims: bool) -> Any:
    return g if keepdims else g.reshape(tuple(1 if i in axis else n for i, n in enumerate(shape)))


def _share_among_winners(g: Any, out: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    winners = where(equal(x, _with_axes(out, x.shape, axis, keepdims)), x.dtype.type(1), 0)  # a plain 1.0 would make it float64
    return _with_axes(g, x.shape, axis, keepdims) * winners / sum(winners, axis, True)


def _cumprod_vjp(g: Any, x: Any, axis: int) -> Any:
    # d out_j / d x_i = the product of x_0 … x_j without x_i.  Never by dividing out_j / x_i: x_i may be 0.
    if 0 in x.shape:
        return g
    n = x.shape[axis]
    rows, columns = [[k == i for k in range(n)] for i in range(n)], [[j >= i for j in range(n)] for i in range(n)]
    xp = namespace_of(x.data if type(x) is Tensor else x)
    last = swapaxes(x, axis, -1)[..., None, :]  # (..., 1, k)
    without = cumprod(where(xp.asarray(rows), 1.0, last), -1)  # (..., i, j)
    pulled = sum(where(xp.asarray(columns), without, 0.0) * swapaxes(g, axis, -1)[..., None, :], -1)
    return swapaxes(pulled, axis, -1)


# -- the names users call: arguments as in NumPy, axes made static and non-negative ------------------------------------------
def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Σ over `axis` (all axes if None)."""
    return _sum(x, axis=several_axes(x, axis, "sum"), keepdims=keepdims)


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The mean over `axis`: Σ x / n."""
    axes = several_axes(x, axis, "mean")
    count = 1
    for one in axes:
        count *= x.shape[one]
    if count == 0:
        raise OperandError(f"mean: x has shape {tuple(x.shape)}; the mean of no elements is undefined")
    return _sum(x, axis=axes, keepdims=keepdims) / count


def max(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The largest over `axis`; equal winners share the gradient."""
    return _max(x, axis=several_axes(x, axis, "max"), keepdims=keepdims)


def min(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The smallest over `axis`; equal winners share the gradient."""
    return _min(x, axis=several_axes(x, axis, "min"), keepdims=keepdims)


def argmax(x: Any, axis: int = -1) -> Tensor:
    """Position of the largest along `axis` (no gradient)."""
    return _argmax(x, axis=one_axis(x, axis, "argmax"))


def argsort(x: Any, axis: int = -1) -> Tensor:
    """Positions that put x in ascending order along `axis` (no gradient)."""
    return _argsort(x, axis=one_axis(x, axis, "argsort"))


def sort(x: Any, axis: int = -1) -> Tensor:
    """x in ascending order along `axis`.  Piecewise linear: at ties the gradient follows the order `argsort` chose."""
    return take_along_axis(x, argsort(x, axis), axis)


def cumsum(x: Any, axis: int) -> Tensor:
    """Running sum along `axis`."""
    return _cumsum(x, axis=one_axis(x, axis, "cumsum"))


def cumprod(x: Any, axis: int) -> Tensor:
    """Running product along `axis`; its gradient is right at zeros too (at a cost of n² memory along that axis)."""
    return _cumprod(x, axis=one_axis(x, axis, "cumprod"))


def softmax(x: Any, axis: int = -1) -> Tensor:
    """e^x / Σ e^x along `axis`; shifted by the maximum, so it never overflows."""
    return _softmax(x, axis=one_axis(x, axis, "softmax"))


def logsumexp(x: Any, axis: int = -1) -> Tensor:
    """ln Σ e^x along `axis`; shifted by the maximum, so it never overflows."""
    return _logsumexp(x, axis=one_axis(x, axis, "logsumexp"))


def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """x - ln Σ e^x along `axis`."""
    return x - expand_dims(logsumexp(x, axis), axis)


def matmul(x: Any, y: Any) -> Tensor:
    """Matrix product over the last two axes; leading axes broadcast; a vector is a row on the left, a column on the right."""
    if not getattr(x, "ndim", 0) or not getattr(y, "ndim", 0):
        raise OperandError("matmul(x, y): both operands need at least one axis; to scale by a number, write x * number")
    if x.ndim == 1:
        return getitem(matmul(getitem(x, (None,)), y), (Ellipsis, 0, slice(None)) if y.ndim > 1 else 0)
    if y.ndim == 1:
        return getitem(matmul(x, getitem(y, (slice(None), None))), (Ellipsis, 0))
    if x.ndim > 2 and y.ndim == 2:  # one product, and one weight gradient, instead of one per leading index
        return reshape(_matmul(reshape(x, math.prod(x.shape[:-1]), x.shape[-1]), y), *x.shape[:-1], y.shape[-1])
    return _matmul(x, y)


def einsum(subscripts: str, *operands: Any) -> Tensor:
    """Einstein summation with an explicit result: einsum("bn,bnm->bm", w, M) is r_bm = Σ_n w_bn M_bnm.

    One or two operands; letters only; an index may not repeat within one operand.
    """
    spelled = subscripts.replace(" ", "")
    if len(operands) == 2 and operands[0] is operands[1]:
        left, right = spelled.partition("->")[0].split(",")
        if left == right:  # both factors have the same gradient: computed once
            return _einsum_of_square(operands[0], subscripts=spelled)
    return _einsum(*operands, subscripts=spelled)


def broadcast_to(x: Any, shape: tuple[int, ...]) -> Tensor:
    """x repeated along new axes and axes of length 1 up to `shape`: the gradient of sum_to."""
    return x if x.shape == shape else _broadcast_to(x, shape=shape)


def sum_to(x: Any, shape: tuple[int, ...]) -> Tensor:
    """x summed over the axes that broadcasting from `shape` would have repeated: the gradient of broadcast_to."""
    return x if x.shape == shape else _sum_to(x, shape=shape)


def reshape(x: Any, *shape: Any) -> Tensor:
    """The same elements in another shape; one length may be -1."""
    return _reshape(x, shape=tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape)


def transpose(x: Any, *axes: Any) -> Tensor:
    """Axes in the order given (reversed if none is)."""
    if len(axes) == 1 and not isinstance(axes[0], int):
        axes = tuple(axes[0])
    return _transpose(x, axes=several_axes(x, axes, "transpose") if axes else tuple(reversed(range(x.ndim))))


def swapaxes(x: Any, first: int, second: int) -> Tensor:
    """x with two axes exchanged."""
    order = list(range(x.ndim))
    i, j = one_axis(x, first, "swapaxes"), one_axis(x, second, "swapaxes")
    order[i], order[j] = j, i
    return _transpose(x, axes=tuple(order))


def expand_dims(x: Any, axis: int) -> Tensor:
    """x with an axis of length 1 inserted at `axis`."""
    place = new_axis(x, axis, "expand_dims")
    return _reshape(x, shape=(*x.shape[:place], 1, *x.shape[place:]))


def squeeze(x: Any, axis: int) -> Tensor:
    """x without the axis of length 1 at `axis`."""
    place = one_axis(x, axis, "squeeze")
    if x.shape[place] != 1:
        raise OperandError(f"squeeze: axis {axis} of x {tuple(x.shape)} has length {x.shape[place]}, not 1; to pick one entry, index it")
    return _reshape(x, shape=(*x.shape[:place], *x.shape[place + 1 :]))


def flip(x: Any, axis: int) -> Tensor:
    """x in reverse order along `axis`."""
    place = one_axis(x, axis, "flip")
    return getitem(x, (slice(None),) * place + (slice(None, None, -1),))


def roll(x: Any, shift: int, axis: int) -> Tensor:
    """x moved by `shift` places along `axis`, what falls off one end coming back at the other: out[i] = x[i - shift]."""
    place = one_axis(x, axis, "roll")
    return _roll(x, shift=shift, axis=place) if shift else x


def im2col(x: Any, size: tuple[int, int], stride: int = 1, padding: int = 0) -> Tensor:
    """Windows of pictures as rows: x (B, H, W, C) -> (B, H', W', K L C) for windows of `size` (K, L), moved by `stride` pixels.

    The picture is surrounded by `padding` pixels of zeros.  H' = ⌊(H + 2 padding - K) / stride⌋ + 1.
    """
    if number_of_axes(x, "im2col") != 4:
        raise OperandError(f"im2col: x must be pictures (batch, height, width, channels), got shape {tuple(x.shape)}")
    if any(type(n) is not int or n < least for n, least in ((size[0], 1), (size[1], 1), (stride, 1), (padding, 0))):
        raise OperandError(f"im2col: size and stride must be whole numbers from 1, padding from 0: got {size}, {stride} and {padding}")
    if builtins.min(places(n, k, stride, padding) for n, k in zip(x.shape[1:3], size, strict=True)) < 1:
        raise OperandError(f"im2col: a window of {size} does not fit in pictures {tuple(x.shape)} with padding {padding}")
    return _im2col(x, size=tuple(size), stride=stride, padding=padding)


def getitem(x: Any, index: Any) -> Tensor:
    """x[index] as in NumPy.  Integer arrays may repeat an index (their gradients add up); out of range is an error."""
    if type(index) is Tensor:
        return getitem(x, index.data)
    if type(index) is tuple:
        if Tensor in map(type, index):
            index = tuple([part.data if type(part) is Tensor else part for part in index])
    elif not isinstance(index, (int, slice)) and getattr(index, "dtype", None) is not None and index.dtype.kind in "iu":
        return take(x, index, 0)
    return (_slice if is_basic(index) else _getitem)(x, index=index)


def take(x: Any, index: Any, axis: int) -> Tensor:
    """Rows of x by number: out[..., i, ...] = x[..., index[i], ...] along `axis`; index an integer array of any shape."""
    place = one_axis(x, axis, "take")
    kind = getattr(getattr(index, "dtype", None), "kind", "")
    if kind not in ("i", "u"):
        raise TypeError(f"take: index must be an integer array, got {getattr(index, 'dtype', type(index).__name__)}")
    return _take(x, index, axis=place)


def take_along_axis(x: Any, index: Any, axis: int) -> Tensor:
    """out[i, j] = x[i, index[i, j]] along `axis`: one index array per row, as argsort returns."""
    return _take_along(x, index, axis=one_axis(x, axis, "take_along_axis"))


def concatenate(parts: Sequence[Any], axis: int = 0) -> Tensor:
    """Parts joined along an existing axis."""
    if not len(parts):
        raise OperandError("concatenate: needs at least one part")
    return _concatenate(*parts, axis=one_axis(parts[0], axis, "concatenate"))


def stack(parts: Sequence[Any], axis: int = 0) -> Tensor:
    """Parts joined along a new axis."""
    if not len(parts):
        raise OperandError("stack: needs at least one part")
    return _stack(*parts, axis=new_axis(parts[0], axis, "stack"))


def split(x: Any, lengths: Sequence[int], axis: int = -1) -> list[Tensor]:
    """x cut along `axis` into pieces of the given lengths, which must add up to the whole."""
    place = one_axis(x, axis, "split")
    if builtins.sum(lengths) != x.shape[place] or builtins.min(lengths, default=0) < 0:
        raise OperandError(
            f"split: lengths {list(lengths)} add up to {builtins.sum(lengths)}, but axis {axis} of x {tuple(x.shape)} is {x.shape[place]}"
        )
    pieces, start = [], 0
    for length in lengths:
        pieces.append(_slice_along(x, place, start, length))
        start += length
    return pieces


def relu(x: Any) -> Tensor:
    """max(x, 0).  At exactly 0 the gradient is 1/2, the mean of both sides, as for every tie of `maximum`."""
    return maximum(x, 0)
