"""check_grad: is this gradient right?  Four witnesses, in the order in which they are believed.

1. The *complex step* runs f itself at x + ihv with h = 1e-20.  The imaginary part over h is the derivative along v to the
   last digit, because nothing is subtracted.  Run through the backward pass it gives the second derivative as exactly.
2. *Finite differences* are called when the complex step raises, disagrees with the engine or is caught lying: through NumPy's
   abs, norm, sign and conj it is silently wrong.  Good for six digits only, they decide where the two contradict each other.
3. *One-sided differences* are called when both disagree with the engine: they tell a kink from a mistake.
4. The *manners*: shapes and dtypes kept, nothing changed in place, no two gradients in one memory, the same result twice.

The cotangent is random, never ones: a ones cotangent cannot see a wrong softmax, whose outputs always sum to 1.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import numpy

from tinymem.engine.autograd import gradients
from tinymem.engine.backend import asarray, to_host
from tinymem.engine.primitive import Primitive
from tinymem.engine.tensor import Tensor
from tinymem.testing.witnesses import COMPLEX_STEP, FINITE_DIFFERENCES, Host, Verdict, is_honest, judge, kink, size

EVERY_ELEMENT = 64  # up to so many input elements each is stepped alone; beyond, random directions


class GradientError(AssertionError):
    """The gradient is wrong; the message names the equation, argument and element, both numbers, and who said so."""


class NotDifferentiable(ValueError):
    """The point, not the gradient, is at fault: there is a kink or a jump at it."""


@dataclass(frozen=True)
class Report:
    """What an accepted gradient was measured with: per order the method and the largest relative error."""

    title: str
    methods: tuple[str, ...]
    errors: tuple[float, ...]

    @property
    def largest_error(self) -> float:
        return max(self.errors)


def check_grad(
    f: Callable[..., Any],
    *inputs: Any,
    order: int = 2,
    seed: int = 0,
    names: Sequence[str] | None = None,
    title: str | None = None,
    tolerance: float = 1e-10,
) -> Report:
    """Prove the gradients of f at `inputs`, or raise GradientError (wrong) or NotDifferentiable (a kink at this point).

    f maps Tensors to a Tensor, or to several.  Float64 arrays are differentiated; integers and booleans are handed on as
    they are.  Errors count relative to the largest gradient of the argument, or to 1 where that is smaller.
    """
    if order not in (1, 2):
        raise ValueError(f"check_grad: order must be 1 or 2, got {order}")
    case = _Case(f, inputs, seed, names, title)
    found = _well_mannered_gradient(case)
    checks = [_check_first(case, found, tolerance)]
    if order == 2:
        checks.append(_check_second(case, found, tolerance))
    return Report(case.title, tuple(method for method, _ in checks), tuple(error for _, error in checks))


# -- the function under test, as functions from vectors to vectors ------------------------------------------------------------
class _Case:
    """f with its arguments and its random cotangents: all that one check holds fixed."""

    def __init__(self, f: Callable[..., Any], inputs: Sequence[Any], seed: int, names: Sequence[str] | None, title: str | None) -> None:
        self.f = f
        self.title = title or _title(f)
        self.inputs: list[Any] = [value if isinstance(value, int) else numpy.array(to_host(value)) for value in inputs]
        self.input_names = tuple(names) if names is not None else _names(f, len(inputs))
        self.places = [place for place, value in enumerate(self.inputs) if not isinstance(value, int) and value.dtype.kind not in "iub"]
        for place in self.places:
            if self.inputs[place].dtype != numpy.float64:
                raise TypeError(f"check_grad: {self.input_names[place]} is {self.inputs[place].dtype}; a gradient is checked in float64")
        if not self.places:
            raise TypeError("check_grad: none of the inputs is a float64 array, so there is nothing to differentiate")
        self.names = [self.input_names[place] for place in self.places]
        self.values: list[Host] = [self.inputs[place] for place in self.places]
        self.random = numpy.random.default_rng(seed)
        outputs = self.run(self.values)[1]
        for output in outputs:
            if output.dtype != numpy.float64:
                self.fail(f"float64 arguments gave a {output.dtype} result")
        self.cotangents = [self.draw(output.shape) for output in outputs]

    def draw(self, shape: tuple[int, ...]) -> Host:
        """Random numbers none of which is small: an element that weighs nothing would not be tested."""
        return numpy.asarray(self.random.uniform(0.5, 1.5, shape) * self.random.choice([-1.0, 1.0], shape))

    def run(self, values: list[Host], tracked: bool = False) -> tuple[list[Any], list[Tensor]]:
        """All operands of one call, on the context's backend, and its floating-point results."""
        operands = [value if isinstance(value, int) else asarray(value) for value in self.inputs]
        for place, value in zip(self.places, values, strict=True):
            operands[place] = Tensor(value, requires_grad=tracked)
        result = self.f(*operands)
        outputs = list(result) if isinstance(result, (tuple, list)) else [result]
        for output in outputs:
            if not isinstance(output, Tensor):
                raise TypeError(f"check_grad: {self.title} must return a Tensor or several, got {type(output).__name__}")
        return operands, [output for output in outputs if output.dtype.kind in "fc"]

    def loss(self, values: list[Host]) -> Host:
        """<u, f(x)>: the one number whose gradient the engine is asked for."""
        terms = [numpy.sum(u * to_host(y)) for u, y in zip(self.cotangents, self.run(values)[1], strict=True)]
        return numpy.array([sum(terms)])

    def gradient(self, values: list[Host]) -> list[Host]:
        """The engine's gradient of `loss`, of every argument."""
        operands, outputs = self.run(values, tracked=True)
        leaves = [operands[place] for place in self.places]
        total = [numpy.zeros(value.shape, value.dtype) for value in values]
        for u, y in zip(self.cotangents, outputs, strict=True):
            if y.node is not None:
                total = [t + to_host(g) for t, g in zip(total, gradients(y, leaves, asarray(u)), strict=True)]
        return total

    def gradient_and_outputs(self, values: list[Host]) -> Host:
        """The vector whose derivative along v is (Hessian v, Jacobian v): what a double backward pass computes."""
        return _flat([*self.gradient(values), *map(to_host, self.run(values)[1])])

    def shapes(self) -> str:
        return ", ".join(
            f"{name} = {value}" if isinstance(value, int) else f"{name} {value.shape}"
            for name, value in zip(self.input_names, self.inputs, strict=True)
        )

    def fail(self, what: str) -> NoReturn:
        raise GradientError(f"{self.title}: {what}\n  inputs: {self.shapes()}")

    def element(self, flat_index: int) -> str:
        """The name of one component of (all arguments, all cotangents)."""
        arrays = [*self.values, *self.cotangents]
        names = [*self.names, *(f"the cotangent of result {k}" for k in range(len(self.cotangents)))]
        for name, array in zip(names, arrays, strict=True):
            if flat_index < array.size:
                index = ", ".join(str(int(i)) for i in numpy.unravel_index(flat_index, array.shape))
                return f"{name}[{index}]" if index else name
            flat_index -= array.size
        raise IndexError(flat_index)


def _title(f: Callable[..., Any]) -> str:
    f = f.func if isinstance(f, partial) else f
    if isinstance(f, Primitive):
        return f.name
    own: str | None = getattr(getattr(f, "equation", None), "title", None)
    return own or getattr(f, "__name__", None) or type(f).__name__


def _names(f: Callable[..., Any], count: int) -> tuple[str, ...]:
    """The argument names f itself uses, where they can be known."""
    f = f.func if isinstance(f, partial) and not f.args else f
    try:
        own = getattr(f, "names", None) or [p.name for p in inspect.signature(f).parameters.values() if p.kind <= p.POSITIONAL_OR_KEYWORD]
    except (TypeError, ValueError):
        own = []
    if len(own) < count or any(name.startswith("*") for name in own):
        return tuple(f"argument {i}" for i in range(count))
    return tuple(own[:count])


def _flat(arrays: Sequence[Any]) -> Host:
    return numpy.concatenate([numpy.ravel(array) for array in (numpy.zeros(0), *arrays)])


# -- manners ------------------------------------------------------------------------------------------------------------------
def _well_mannered_gradient(case: _Case) -> list[Host]:
    """The engine's gradient at the inputs, after checking everything about it but its numbers."""
    operands, outputs = case.run(case.values, tracked=True)
    leaves = [operands[place] for place in case.places]
    for u, y in zip(case.cotangents, outputs, strict=True):
        if y.node is None:
            continue
        given = asarray(u)
        found = _guarded(case, 1, lambda y=y, given=given: gradients(y, leaves, given))  # type: ignore[misc]
        if not numpy.array_equal(to_host(given), u):
            case.fail("the gradient changes its cotangent in place; others may still need that array")
        for name, value, gradient in zip(case.names, case.values, found, strict=True):
            if gradient.shape != value.shape or gradient.dtype != value.dtype:
                case.fail(f"the gradient of {name} is {gradient.dtype} {gradient.shape}, but {name} is {value.dtype} {value.shape}")
        _refuse_shared_memory(case, [*found, given, *operands])
    for place, value in enumerate(case.inputs):
        if not isinstance(value, int) and not numpy.array_equal(to_host(operands[place]), value):
            case.fail(f"{case.input_names[place]} is changed in place, by the function or by its gradient")
    first, second = case.gradient(case.values), case.gradient(case.values)
    if not all(numpy.array_equal(a, b, equal_nan=True) for a, b in zip(first, second, strict=True)):
        case.fail("a second run gives another gradient")
    return first


def _refuse_shared_memory(case: _Case, values: Sequence[Any]) -> None:
    arrays = [value.data if isinstance(value, Tensor) else value for value in values]
    for i, name in enumerate(case.names):
        for other in arrays[i + 1 :]:
            if isinstance(other, numpy.ndarray) and isinstance(arrays[i], numpy.ndarray) and numpy.shares_memory(arrays[i], other):
                case.fail(f"the gradient of {name} shares its memory with another gradient, an argument or the cotangent")


def _guarded(case: _Case, order: int, compute: Callable[[], Any]) -> Any:
    """An exception in a backward pass is a wrong gradient too."""
    try:
        return compute()
    except Exception as error:
        raise GradientError(
            f"{case.title}: the gradient of order {order} cannot be computed: {type(error).__name__}: {error}\n  inputs: {case.shapes()}"
        ) from error


# -- order 1 ------------------------------------------------------------------------------------------------------------------
def _check_first(case: _Case, found: list[Host], tolerance: float) -> tuple[str, float]:
    """Each argument by itself, along its unit vectors if there are few, else along one random direction."""
    each = sum(value.size for value in case.values) <= EVERY_ELEMENT
    method, largest = COMPLEX_STEP, 0.0
    for argument, value in enumerate(case.values):
        whole = case.draw(value.shape)
        trusted = is_honest(case.loss, case.values, _along(case, argument, whole))
        for direction in (_unit(value.shape, i) for i in range(value.size)) if each else [whole]:
            verdict = _first_verdict(case, found, argument, direction, tolerance, trusted)
            if not verdict.agrees:
                _blame_first(case, found, argument, direction, tolerance, trusted)
            method = verdict.method if verdict.method == FINITE_DIFFERENCES else method
            largest = max(largest, verdict.error)
    return method, largest


def _first_verdict(case: _Case, found: list[Host], argument: int, direction: Host, tolerance: float, trusted: bool) -> Verdict:
    slopes = numpy.where(direction != 0, found[argument] * direction, 0.0)  # a NaN elsewhere is not this direction's fault
    scale = size(found[argument], numpy.sum(numpy.abs(slopes)))
    got = numpy.sum(slopes, keepdims=True).reshape(1)
    return judge(case.loss, case.values, _along(case, argument, direction), got, scale, tolerance, trusted)


def _blame_first(case: _Case, found: list[Host], argument: int, direction: Host, tolerance: float, trusted: bool) -> NoReturn:
    """Halve the failing direction until one element is left, then say what is wrong with it."""
    suspects = numpy.flatnonzero(direction)
    while suspects.size > 1:
        halves = numpy.array_split(suspects, 2)
        first, second = (
            _first_verdict(case, found, argument, numpy.where(_mask(direction.shape, half), direction, 0.0), tolerance, trusted)
            for half in halves
        )
        suspects = halves[0] if not first.error < second.error else halves[1]
    index = int(suspects[0])
    unit = _unit(direction.shape, index)
    verdict = _first_verdict(case, found, argument, unit, tolerance, trusted)
    name = case.element(sum(value.size for value in case.values[:argument]) + index)
    bend = kink(case.loss, case.values, _along(case, argument, unit))
    if bend is not None:
        raise NotDifferentiable(f"{case.title}: not differentiable in {name} at this point: {bend[1]}\n  inputs: {case.shapes()}")
    _fail(case, 1, name, found[argument].flat[index], verdict.expected[0], verdict.method)


# -- order 2 ------------------------------------------------------------------------------------------------------------------
def _check_second(case: _Case, found: list[Host], tolerance: float) -> tuple[str, float]:
    """Double backward along one random direction v through all arguments at once, so that mixed terms count.

    It gives Hessian v, one number per argument element, and in the cotangent Jacobian v: a gradient must stay
    differentiable in its cotangent, since in a longer computation that depends on the arguments too.
    """
    direction = [case.draw(value.shape) for value in case.values]
    once, twice = _guarded(case, 2, lambda: _double_backward(case, direction))
    plain, recorded = _flat(found), _flat(once)
    if not numpy.all(numpy.abs(plain - recorded) <= tolerance * size(plain)):
        worst = int(numpy.argmax(numpy.abs(plain - recorded)))
        _fail(case, 1, case.element(worst), recorded[worst], plain[worst], "the same gradient without create_graph")
    verdict = judge(case.gradient_and_outputs, case.values, direction, twice, size(twice), tolerance)
    if verdict.agrees:
        return verdict.method, verdict.error
    bend = kink(case.gradient_and_outputs, case.values, direction)
    if bend is not None:
        what = f"the gradient of {case.element(bend[0])} has a kink or a jump at this point: {bend[1]}"
        raise NotDifferentiable(f"{case.title}: {what}\n  inputs: {case.shapes()}")
    worst = int(numpy.argmax(numpy.abs(twice - verdict.expected)))
    _fail(case, 2, case.element(worst), twice[worst], verdict.expected[worst], verdict.method)


def _double_backward(case: _Case, direction: list[Host]) -> tuple[list[Host], Host]:
    """The gradient G of <u, f>, made with create_graph, and the gradient of <v, G> in the arguments and in u."""
    operands, outputs = case.run(case.values, tracked=True)
    leaves = [operands[place] for place in case.places]
    cotangents = [Tensor(u, requires_grad=True) for u in case.cotangents]
    once = [numpy.zeros(value.shape) for value in case.values]
    twice = [numpy.zeros(tensor.shape) for tensor in (*leaves, *cotangents)]
    for u, y in zip(cotangents, outputs, strict=True):
        if y.node is None:
            continue
        for i, g in enumerate(gradients(y, leaves, u, create_graph=True)):
            once[i] = once[i] + to_host(g)
            if g.node is not None:
                again = gradients(g, [*leaves, *cotangents], asarray(direction[i]))
                twice = [total + to_host(part) for total, part in zip(twice, again, strict=True)]
    return once, _flat(twice)


# -- directions and messages --------------------------------------------------------------------------------------------------
def _mask(shape: tuple[int, ...], indices: Host) -> Host:
    mask = numpy.zeros(shape, bool)
    mask.flat[indices] = True
    return mask


def _unit(shape: tuple[int, ...], index: int) -> Host:
    return _mask(shape, numpy.array([index])).astype(float)


def _along(case: _Case, argument: int, direction: Host) -> list[Host]:
    """`direction` in one argument, nothing in the others."""
    return [direction if i == argument else numpy.zeros(value.shape) for i, value in enumerate(case.values)]


def _fail(case: _Case, order: int, name: str, got: float, expected: float, method: str) -> NoReturn:
    case.fail(f"wrong gradient of order {order}\n  argument: {name}\n  got:      {got:.15g}\n  expected: {expected:.15g}  ({method})")
