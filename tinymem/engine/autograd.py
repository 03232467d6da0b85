"""The face of reverse mode: `backward`, `gradients`, `grad`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinymem.engine.backend import asarray, namespace_of, xp_of
from tinymem.engine.errors import OperandError
from tinymem.engine.graph import Leaf, is_recording, leaves, no_grad, walk_back
from tinymem.engine.ops import sum_to
from tinymem.engine.tensor import Tensor, wrap


def _cotangent(output: Tensor, cotangent: Any, caller: str) -> Tensor:
    """The given cotangent as a Tensor of the output's shape and dtype; one for a scalar output."""
    if not isinstance(output, Tensor):
        raise TypeError(f"{caller}: the output must be a Tensor, got {type(output).__name__}")
    if output.node is None:
        raise TypeError(
            f"{caller}: this Tensor of shape {output.shape} was computed from nothing that requires a gradient. "
            "Make the parameters with Tensor(data, requires_grad=True), and do not compute under no_grad()"
        )
    if cotangent is None:
        if output.size != 1:
            raise OperandError(
                f"{caller}: the output has shape {output.shape}; a gradient belongs to one number. "
                "Pass a cotangent of that shape, or reduce to a scalar loss first"
            )
        return wrap(namespace_of(output.data).ones(output.shape, dtype=output.dtype), None)
    if not isinstance(cotangent, Tensor):
        array = cotangent if hasattr(cotangent, "dtype") else asarray(cotangent)
        cotangent = wrap(array if array.dtype == output.dtype else array.astype(output.dtype), None)
    xp_of(output.data, cotangent.data, function=caller, names=("the output", "the cotangent"))
    if cotangent.shape != output.shape:
        raise OperandError(f"{caller}: the cotangent has shape {cotangent.shape}, the output {output.shape}; they must be equal")
    return cotangent


def backward(output: Tensor, cotangent: Any = None) -> None:
    """Add the gradient of <cotangent, output> to `.grad` of every leaf the output was computed from."""
    g = _cotangent(output, cotangent, "backward")
    assert output.node is not None
    found, summed_here = walk_back(output.node, g.data, sum_to)
    for leaf, gradient in found.items():
        assert isinstance(leaf, Leaf)
        if gradient.dtype != leaf.dtype:  # a float64 constant in a float32 model must not make its parameters float64
            gradient = (gradient.real if leaf.dtype.kind == "f" else gradient).astype(leaf.dtype)
        if leaf.grad is not None:
            leaf.grad = leaf.grad + gradient
        elif leaf in summed_here:
            leaf.grad = gradient
        else:
            leaf.grad = namespace_of(gradient).array(gradient)  # no .grad is a view of anything else


def gradients(output: Tensor, inputs: Sequence[Tensor], cotangent: Any = None, create_graph: bool = False) -> list[Tensor]:
    """The gradients of <cotangent, output> with respect to `inputs` (leaves or results on the tape), as Tensors.

    With create_graph the gradients stand on the tape themselves, so they can be differentiated again.
    An input the output does not depend on gets zeros.
    """
    g = _cotangent(output, cotangent, "gradients")
    for position, tensor in enumerate(inputs):
        if not isinstance(tensor, Tensor) or tensor.node is None:
            raise TypeError(f"gradients: input {position} is not tracked; make it with Tensor(data, requires_grad=True)")
    assert output.node is not None
    keep = frozenset(tensor.node for tensor in inputs if tensor.node is not None)
    if create_graph:
        found, _ = walk_back(output.node, g, sum_to, wrap, keep)
    else:
        with no_grad():
            found, _ = walk_back(output.node, g.data, sum_to, None, keep)
        found = {node: wrap(namespace_of(gradient).array(gradient), None) for node, gradient in found.items()}
    result = []
    for tensor in inputs:
        assert tensor.node is not None
        gradient = found.get(tensor.node)
        result.append(_zeros_like(tensor) if gradient is None else gradient)
    return result


def _zeros_like(tensor: Tensor) -> Tensor:
    return wrap(namespace_of(tensor.data).zeros(tensor.shape, dtype=tensor.dtype), None)


def grad(f: Callable[..., Tensor], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The function that computes the gradient of scalar-valued f in the arguments numbered by `argnums`.

    >>> square = grad(lambda x: x * x)
    >>> float(square(3.0)), float(grad(square)(3.0))
    (6.0, 2.0)

    Arguments may be arrays, numbers or Tensors; the gradient is a Tensor (a tuple of them for several argnums).
    Given tracked Tensors, the result is tracked too: so grad(grad(f)) works.
    """
    positions = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    def gradient_of_f(*arguments: Any, **keywords: Any) -> Any:
        if positions and max(positions) >= len(arguments):
            raise TypeError(f"grad: argnums {argnums} but only {len(arguments)} positional arguments were given")
        given = list(arguments)
        for p in positions:
            if not (isinstance(given[p], Tensor) and given[p].requires_grad):
                given[p] = Tensor(given[p], requires_grad=True)
        output = f(*given, **keywords)
        fresh = {given[p].node for p in positions if given[p] is not arguments[p]}
        node = getattr(output, "node", None)
        if node is None and isinstance(output, Tensor) and is_recording():  # does not depend on them
            zeros = [_zeros_like(given[p]) for p in positions]
            return zeros[0] if isinstance(argnums, int) else tuple(zeros)
        again = is_recording() and node is not None and not leaves(node) <= fresh  # somebody outside may differentiate the gradient
        found = gradients(output, [given[p] for p in positions], create_graph=again)
        return found[0] if isinstance(argnums, int) else tuple(found)

    return gradient_of_f
