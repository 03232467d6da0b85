"""A gallery of wrong gradients, each a mistake somebody makes by hand; `check_grad` must reject every one of them.

A specimen is a primitive whose row was derived by hand.  The right row is hung in CONTROLS, its falsifications in
MUTANTS: so what the checker rejects is the mistake, not the specimen.  The wrong derivatives are written to look plausible:
all have the right shape, and several are right for special inputs or special cotangents.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy

from tinymem.engine.ops import concatenate, cumsum, einsum, exp, expand_dims, flip, greater, log, roll, sigmoid, softmax, sqrt, stack, where
from tinymem.engine.primitive import Primitive, primitive
from tinymem.engine.tensor import Tensor

Host = numpy.ndarray[Any, Any]


@dataclass(frozen=True)
class Mutant:
    """A function of Tensors with a wrong gradient (in CONTROLS: a right one), the mistake in one sentence, and example inputs."""

    name: str
    mistake: str
    function: Callable[..., Tensor]
    inputs: tuple[Host, ...]


MUTANTS: list[Mutant] = []
CONTROLS: list[Mutant] = []


class _Specimen:
    """One right row, its static attributes and example inputs; each call of `mutate` hangs a falsification of it."""

    def __init__(self, row: Primitive, *inputs: Host, **attributes: Any) -> None:
        self.row = row
        self.inputs = inputs
        self.attributes = attributes
        CONTROLS.append(Mutant(row.name, "none", partial(row, **attributes), inputs))

    def mutate(self, name: str, mistake: str, operand: str, vjp: Callable[..., Any], saves: str | None = None) -> None:
        function = partial(self.row.with_vjp(operand, vjp, saves), **self.attributes)
        MUTANTS.append(Mutant(name, mistake, function, self.inputs))


_random = numpy.random.default_rng(2014)


def _normal(*shape: int) -> Host:
    return _random.normal(size=shape)


def _unit(*shape: int) -> Host:
    return _random.uniform(0.1, 0.9, shape)


def _simplex(*shape: int) -> Host:
    positive = _unit(*shape)
    return numpy.asarray(positive / positive.sum(-1, keepdims=True))


# fmt: off
# -- signs and factors ---------------------------------------------------------------------------------------------------
_subtract = _Specimen(primitive("subtract(x, y) = x - y", lambda xp, x, y: x - y,
    x=lambda g, out, x, y: g,
    y=lambda g, out, x, y: -g), _normal(3, 4), _normal(3, 4))
_subtract.mutate("wrong sign", "d(x - y)/dy is -1, not 1", "y", lambda g, out, x, y: g)

_divide = _Specimen(primitive("divide(x, y) = x / y", lambda xp, x, y: x / y, saves="x y",
    x=lambda g, out, x, y: g / y,
    y=lambda g, out, x, y: -g * x / (y * y)), _normal(3, 4), 2 + _unit(3, 4))
_divide.mutate("division without the square", "d(x / y)/dy is -x / y², not -x / y", "y", lambda g, out, x, y: -g * x / y)

_sqrt = _Specimen(primitive("sqrt(x) = x^(1/2)", lambda xp, x: xp.sqrt(x), saves="out",
    x=lambda g, out, x: g * 0.5 / out), _unit(3, 4))
_sqrt.mutate("root without the half", "d√x/dx is 1 / (2√x), not 1 / √x", "x", lambda g, out, x: g / out)

_log = _Specimen(primitive("log(x) = ln x", lambda xp, x: xp.log(x), saves="x",
    x=lambda g, out, x: g / x), 2 + _unit(3, 4))
_log.mutate("logarithm of the wrong saved value", "divides by the saved result instead of the saved operand", "x",
    lambda g, out, x: g / out, saves="out")

# -- nonlinearities --------------------------------------------------------------------------------------------------------
_sigmoid = _Specimen(primitive("sigmoid(x) = 1 / (1 + e^-x)", lambda xp, x: 1 / (1 + xp.exp(-x)), saves="out",
    x=lambda g, out, x: g * out * (1 - out)), _normal(3, 4))
_sigmoid.mutate("sigmoid without 1 - s", "σ' is σ (1 - σ), not σ", "x", lambda g, out, x: g * out)

_tanh = _Specimen(primitive("tanh(x) = tanh x", lambda xp, x: xp.tanh(x), saves="out",
    x=lambda g, out, x: g * (1 - out * out)), _normal(3, 4))
_tanh.mutate("tanh without the square", "tanh' is 1 - tanh², not 1 - tanh", "x", lambda g, out, x: g * (1 - out))
_tanh.mutate("right once, wrong twice", "the saved result was taken off the tape: order 1 is right, order 2 lacks tanh''", "x",
    lambda g, out, x: g * (1 - _detached(out) * _detached(out)))
_tanh.mutate("cotangent off the tape", "in a longer computation the cotangent depends on x too, and has a derivative", "x",
    lambda g, out, x: _detached(g) * (1 - out * out))

_relu = _Specimen(primitive("relu(x) = max(x, 0)", lambda xp, x: xp.maximum(x, 0), saves="x",
    x=lambda g, out, x: where(greater(x, 0), g, 0.0)), _normal(3, 4))
_relu.mutate("relu open everywhere", "passes the gradient where x < 0 too", "x", lambda g, out, x: g)

# -- products ---------------------------------------------------------------------------------------------------------------
_matmul = _Specimen(primitive("matmul(x, y) = x y", lambda xp, x, y: x @ y, saves="x y",
    x=lambda g, out, x, y: g @ y.T,
    y=lambda g, out, x, y: x.T @ g), _normal(3, 3), _normal(3, 3))
_matmul.mutate("missing transpose", "g y instead of g yᵀ: for square matrices the shapes fit", "x", lambda g, out, x, y: g @ y)
_matmul.mutate("swapped operands", "g xᵀ instead of xᵀ g: for square matrices the shapes fit", "y", lambda g, out, x, y: g @ x.T)

# -- broadcasting: a bias of shape (n,) was repeated over the rows, so its gradient is the sum over the rows ----------------
_bias = _Specimen(primitive("add_bias(x, b) = x + b", lambda xp, x, b: x + b,
    x=lambda g, out, x, b: g,
    b=lambda g, out, x, b: g.sum(0)), _normal(3, 3), _normal(3))
_bias.mutate("sum over the wrong axis", "sums over the columns: for square matrices the shape is right", "b", lambda g, out, x, b: g.sum(1))
_bias.mutate("no sum over the batch", "takes the first row's gradient for all rows'", "b", lambda g, out, x, b: g[0])
_bias.mutate("mean over the batch", "the rows' gradients add up, they are not averaged", "b", lambda g, out, x, b: g.mean(0))

# -- softmax and its kin ----------------------------------------------------------------------------------------------------
_softmax = _Specimen(primitive("softmax(x) = e^x / sum e^x", lambda xp, x: xp.exp(x) / xp.exp(x).sum(1, keepdims=True), saves="out",
    x=lambda g, out, x: out * _centred(g, out)), _normal(3, 4))
_softmax.mutate("zero softmax", "returns zeros: right for a cotangent of ones, since the outputs always sum to 1", "x",
    lambda g, out, x: g * 0.0)
_softmax.mutate("softmax without the mean", "each output depends on all inputs; the term -out Σ g out is missing", "x",
    lambda g, out, x: out * g)
_softmax.mutate("softmax mean over the wrong axis", "the term Σ g out was summed over the batch", "x",
    lambda g, out, x: out * (g - (g * out).sum(0, keepdims=True)))

_logsumexp = _Specimen(primitive("logsumexp(x) = ln sum e^x", lambda xp, x: xp.log(xp.exp(x).sum(1)), saves="x",
    x=lambda g, out, x: expand_dims(g, 1) * softmax(x, 1)), _normal(3, 4))
_logsumexp.mutate("logsumexp without softmax", "treats the logarithm of a sum of exponentials as a sum", "x",
    lambda g, out, x: expand_dims(g, 1) * _ones_like(x))

_bernoulli = _Specimen(primitive("bernoulli(x, t) = ln(1 + e^x) - t x", lambda xp, x, t: xp.log1p(xp.exp(x)) - t * x, saves="x t",
    x=lambda g, out, x, t: g * (sigmoid(x) - t),
    t=lambda g, out, x, t: -g * x), _normal(3, 4), _unit(3, 4))
_bernoulli.mutate("loss that pushes away from its target", "σ(x) + t instead of σ(x) - t", "x", lambda g, out, x, t: g * (sigmoid(x) + t))

_max = _Specimen(primitive("max(x) = largest of a row", lambda xp, x: x.max(1), saves="x out",
    x=lambda g, out, x: where(greater(expand_dims(out, 1), x), 0.0, expand_dims(g, 1))), _normal(3, 4))
_max.mutate("maximum for everyone", "gives every element the winner's gradient", "x", lambda g, out, x: expand_dims(g, 1) * _ones_like(x))

_cumprod = _Specimen(primitive("cumprod(x) = running product", lambda xp, x: xp.cumprod(x, axis=1), saves="x out",
    x=lambda g, out, x: stack([
        g[:, 0] + g[:, 1] * x[:, 1] + g[:, 2] * x[:, 1] * x[:, 2],
        g[:, 1] * x[:, 0] + g[:, 2] * x[:, 0] * x[:, 2],
        g[:, 2] * x[:, 0] * x[:, 1]], 1)), numpy.array([[1.5, -0.5, 2.0], [0.7, 0.0, 1.2]]))
_cumprod.mutate("running product by division", "out / x is the product without x, except where x is 0", "x",
    lambda g, out, x: flip(cumsum(flip(g * out, 1), 1), 1) / x)

# -- layer normalisation: (x - mean) / deviation; both the mean and the deviation depend on x --------------------------------
_layer_norm = _Specimen(primitive("layer_norm(x) = (x - mean) / deviation",
    lambda xp, x: (x - x.mean(1, keepdims=True)) / xp.sqrt(((x - x.mean(1, keepdims=True)) ** 2).mean(1, keepdims=True)), saves="x out",
    x=lambda g, out, x: (g - g.mean(1, keepdims=True) - out * (g * out).mean(1, keepdims=True)) / _deviation(x)), _normal(3, 4))
_layer_norm.mutate("layer norm with a constant variance", "the term of the deviation's own derivative is missing", "x",
    lambda g, out, x: (g - g.mean(1, keepdims=True)) / _deviation(x))
_layer_norm.mutate("layer norm with a constant mean", "the term of the mean's own derivative is missing", "x",
    lambda g, out, x: (g - out * (g * out).mean(1, keepdims=True)) / _deviation(x))

# -- the Neural Turing Machine ----------------------------------------------------------------------------------------------
_shift = _Specimen(primitive("shift(w, s) = sum_j w(j) s(i - j)", lambda xp, w, s: _convolve(w, s, 1), saves="w s",
    w=lambda g, out, w, s: _convolve(g, s, -1),
    s=lambda g, out, w, s: stack([(g * roll(w, k - 1, 1)).sum(1) for k in range(3)], 1)), _simplex(2, 5), _simplex(2, 3))
_shift.mutate("shift in the wrong direction", "the gradient must move against the shift, not with it", "w",
    lambda g, out, w, s: _convolve(g, s, 1))
_shift.mutate("shifts in the reverse order", "the gradient of offset +1 is given to offset -1", "s",
    lambda g, out, w, s: stack([(g * roll(w, 1 - k, 1)).sum(1) for k in range(3)], 1))

_sharpen = _Specimen(primitive("sharpen(w, gamma) = w^gamma / sum w^gamma",
    lambda xp, w, gamma: w**gamma / (w**gamma).sum(1, keepdims=True), saves="w gamma out",
    w=lambda g, out, w, gamma: gamma / w * out * _centred(g, out),
    gamma=lambda g, out, w, gamma: (log(w) * out * _centred(g, out)).sum(1, keepdims=True)), _simplex(2, 5), 1 + _unit(2, 1))
_sharpen.mutate("sharpening without the logarithm", "d w^γ / dγ is w^γ ln w: the factor ln w is missing", "gamma",
    lambda g, out, w, gamma: (w * out * _centred(g, out)).sum(1, keepdims=True))

_erase = _Specimen(primitive("erase(M, w, e) = M (1 - w e)", lambda xp, M, w, e: M * (1 - w[:, :, None] * e[:, None, :]), saves="M w e",
    M=lambda g, out, M, w, e: g * (1 - einsum("bn,bm->bnm", w, e)),
    w=lambda g, out, M, w, e: -einsum("bnm,bm->bn", g * M, e),
    e=lambda g, out, M, w, e: -einsum("bnm,bn->bm", g * M, w)), _normal(2, 3, 3), _simplex(2, 3), _unit(2, 3))
_erase.mutate("erase that forgets 1 - w e", "passes the gradient to the old memory as if nothing had been erased", "M",
    lambda g, out, M, w, e: g)
_erase.mutate("erase that ignores what was erased", "how much the weighting matters depends on the memory it erases", "w",
    lambda g, out, M, w, e: -einsum("bnm,bm->bn", g, e))

_add = _Specimen(primitive("add(M, w, a) = M + w a", lambda xp, M, w, a: M + w[:, :, None] * a[:, None, :], saves="w a",
    M=lambda g, out, M, w, a: g,
    w=lambda g, out, M, w, a: einsum("bnm,bm->bn", g, a),
    a=lambda g, out, M, w, a: einsum("bnm,bn->bm", g, w)), _normal(2, 3, 3), _simplex(2, 3), _normal(2, 3))
_add.mutate("weighting and add vector swapped", "for as many locations as columns the shapes fit", "w",
    lambda g, out, M, w, a: einsum("bnm,bn->bm", g, w))

_cosine = _Specimen(primitive("cosine(k, m) = k m / (|k| |m|)",
    lambda xp, k, m: (k * m).sum(1) / xp.sqrt((k * k).sum(1) * (m * m).sum(1)), saves="k m out",
    k=lambda g, out, k, m: expand_dims(g, 1) * (m / _norm(m) - expand_dims(out, 1) * k / _norm(k)) / _norm(k),
    m=lambda g, out, k, m: expand_dims(g, 1) * (k / _norm(k) - expand_dims(out, 1) * m / _norm(m)) / _norm(m)),
    _normal(2, 4), _normal(2, 4))
_cosine.mutate("cosine with a constant norm", "the key's own norm depends on the key", "k",
    lambda g, out, k, m: expand_dims(g, 1) * m / (_norm(m) * _norm(k)))

_interpolate = _Specimen(primitive("interpolate(c, p, gate) = gate c + (1 - gate) p", lambda xp, c, p, gate: gate * c + (1 - gate) * p,
    saves="c p gate",
    c=lambda g, out, c, p, gate: g * gate,
    p=lambda g, out, c, p, gate: g * (1 - gate),
    gate=lambda g, out, c, p, gate: (g * (c - p)).sum(1, keepdims=True)), _simplex(2, 4), _simplex(2, 4), _unit(2, 1))
_interpolate.mutate("gate with the wrong sign", "opening the gate moves towards the content, not away from it", "gate",
    lambda g, out, c, p, gate: (g * (p - c)).sum(1, keepdims=True))

# -- the other memories ----------------------------------------------------------------------------------------------------
_stack_update = _Specimen(primitive("stack_update(s, value, push, pop) = push s[i - 1] + pop s[i + 1]",
    lambda xp, s, value, push, pop: push * xp.concatenate([value, s[:, :-1]], 1) + pop * xp.concatenate([s[:, 1:], s[:, :1] * 0], 1),
    saves="s value push pop",
    s=lambda g, out, s, value, push, pop: push * _up(g) + pop * _down(g),
    value=lambda g, out, s, value, push, pop: push * g[:, :1],
    push=lambda g, out, s, value, push, pop: (g * concatenate([value, s[:, :-1]], 1)).sum(1, keepdims=True),
    pop=lambda g, out, s, value, push, pop: (g * _up(s)).sum(1, keepdims=True)), _normal(2, 4), _normal(2, 1), _unit(2, 1), _unit(2, 1))
_stack_update.mutate("stack off by one", "what was pushed down came from one place higher, so its gradient goes back up", "s",
    lambda g, out, s, value, push, pop: push * g + pop * _down(g))
_stack_update.mutate("push and pop in each other's direction", "moves the gradient with the stack instead of against it", "s",
    lambda g, out, s, value, push, pop: push * _down(g) + pop * _up(g))

_cell = _Specimen(primitive("cell(f, c, i, candidate) = f c + i candidate", lambda xp, f, c, i, candidate: f * c + i * candidate,
    saves="f c i candidate out",
    f=lambda g, out, f, c, i, candidate: g * c,
    c=lambda g, out, f, c, i, candidate: g * f,
    i=lambda g, out, f, c, i, candidate: g * candidate,
    candidate=lambda g, out, f, c, i, candidate: g * i), _unit(2, 3), _normal(2, 3), _unit(2, 3), _normal(2, 3))
_cell.mutate("forget gate of the new cell", "the forget gate scales the old cell state, not the new one", "f",
    lambda g, out, f, c, i, candidate: g * out)

_rows = _Specimen(primitive("rows(x) = x[0, 2, 2, 1]", lambda xp, x: x[xp.asarray([0, 2, 2, 1])],
    x=lambda g, out, shape: stack([g[0], g[3], g[1] + g[2]])), _normal(3, 2))
_rows.mutate("repeated index overwrites", "a row that was looked up twice gets both gradients, not the last", "x",
    lambda g, out, shape: stack([g[0], g[3], g[2]]))

# -- manners: the numbers may be right, the conduct is not ---------------------------------------------------------------------
_exp = _Specimen(primitive("exp(x) = e^x", lambda xp, x: xp.exp(x), saves="x",
    x=lambda g, out, x: g * exp(x)), _normal(3, 4))
_exp.mutate("changes its cotangent", "multiplies into g in place, which others still need", "x", lambda g, out, x: _into(g, exp(x)))
_exp.mutate("changes its operand", "multiplies into the saved operand in place: the second backward is wrong", "x",
    lambda g, out, x: g * exp(_into(x, 1.0 + 1e-15)))
_exp.mutate("loses half the digits", "computes in float32 what came in float64", "x", lambda g, out, x: _single(g * exp(x)))
# fmt: on


# -- what the rows are written in ------------------------------------------------------------------------------------------
def _ones_like(x: Any) -> Any:
    return x * 0 + 1


def _detached(x: Any) -> Any:
    """The same numbers off the tape: on arrays, the array."""
    return x.detach() if isinstance(x, Tensor) else x


def _into(x: Any, factor: Any) -> Any:
    """x times factor; an array is overwritten, as a Tensor cannot be."""
    if isinstance(x, Tensor):
        return x * factor
    x *= factor
    return x


def _single(x: Any) -> Any:
    return Tensor(x, dtype="float32") if isinstance(x, Tensor) else x.astype("float32")


def _centred(g: Any, weights: Any) -> Any:
    return g - (g * weights).sum(1, keepdims=True)


def _deviation(x: Any) -> Any:
    centred = x - x.mean(1, keepdims=True)
    return sqrt((centred * centred).mean(1, keepdims=True))


def _norm(x: Any) -> Any:
    return sqrt((x * x).sum(1, keepdims=True))


def _convolve(w: Any, s: Any, direction: int) -> Any:
    return s[:, 0:1] * roll(w, -direction, 1) + s[:, 1:2] * w + s[:, 2:3] * roll(w, direction, 1)


def _up(x: Any) -> Any:
    return concatenate([x[:, 1:], x[:, :1] * 0], 1)


def _down(x: Any) -> Any:
    return concatenate([x[:, :1] * 0, x[:, :-1]], 1)
