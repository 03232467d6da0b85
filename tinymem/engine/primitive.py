"""A primitive: the forward array function and, beside it, one vector-Jacobian product per operand.

A primitive called on Tensors records a row of the tape; called on plain arrays it is just the array function.
That one rule lets each VJP be written once, in operators and primitives: it runs on arrays when nobody needs the
graph of the gradient, and on Tensors when somebody does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy

from tinymem.engine.backend import HOST_TYPES, SCALAR_TYPES, xp_of
from tinymem.engine.errors import OperandError, RecordingError
from tinymem.engine.graph import Leaf, Node, is_recording
from tinymem.engine.notes import recorder as _recorder
from tinymem.engine.tensor import Tensor, wrap

Vjp = Callable[..., Any]


EVERY: Any = range(sys.maxsize)
ndarray = numpy.ndarray
active_recorder = _recorder.get  # asked once per operation


class Primitive:
    """`name`, one-line `equation`, `forward(xp, *operands, **attributes)`, and a VJP per differentiable operand.

    A VJP is called as `vjp(g, out, *operands, **attributes)`; an operand (or out) that `saves` does not list arrives
    as its shape (out as None).  A variadic primitive has the one VJP `each`, which is told the operand's position.
    """

    __slots__ = (
        "_saves_out",
        "_saves_positions",
        "_undifferentiable",
        "add_into",
        "each",
        "equation",
        "forward",
        "name",
        "names",
        "vjps",
    )

    def __init__(
        self, equation: str, forward: Callable[..., Any], saves: str, vjps: dict[str, Vjp], add_into: Callable[..., None] | None = None
    ) -> None:
        self.equation = equation
        self.forward = forward
        self.add_into = add_into
        self.name = equation.partition("(")[0].strip()
        signature = equation.partition("(")[2].partition(")")[0]
        self.names = tuple(word.strip() for word in signature.split(";")[0].split(","))
        self.each = vjps.get("each")
        saved = saves.split()
        unknown = {*saved, *vjps} - {*self.names, "out", "each"}
        if unknown:
            raise ValueError(f"primitive {self.name}: {sorted(unknown)} are no operands of '{equation}'")
        self.vjps = tuple(vjps.get(name) for name in self.names)
        self._undifferentiable = () if self.variadic else tuple(i for i, vjp in enumerate(self.vjps) if vjp is None)
        self._saves_out = "out" in saved
        positions = frozenset(position for position, name in enumerate(self.names) if name in saved)
        self._saves_positions = EVERY if len(positions) == len(self.names) else positions

    def __repr__(self) -> str:
        return f"<primitive {self.equation}>"

    @property
    def variadic(self) -> bool:
        return self.each is not None

    @property
    def differentiable(self) -> tuple[int, ...]:
        """Positions of the operands that have a VJP (a variadic primitive answers for its first)."""
        return (0,) if self.variadic else tuple(i for i, vjp in enumerate(self.vjps) if vjp is not None)

    def with_vjp(self, name: str, vjp: Vjp, saves: str | None = None) -> Primitive:
        """The same primitive with another derivative for one operand: for homework and for the gallery of wrong gradients.

        A slice's short cut `add_into` is left behind, so that the given VJP is the one that runs.
        """
        table = {"each": vjp} if name == "each" else {n: v for n, v in zip(self.names, self.vjps, strict=True) if v is not None}
        table[name] = vjp
        if saves is None:
            listed = [name for position, name in enumerate(self.names) if position in self._saves_positions]
            saves = " ".join(listed + ["out"] * self._saves_out)
        return Primitive(self.equation, self.forward, saves, table)

    def __call__(self, *operands: Any, **attributes: Any) -> Tensor:
        if len(operands) < 3 and type(operands[0]) is ndarray is type(operands[-1]):  # most calls of a plain backward pass
            try:
                return self.forward(numpy, *operands, **attributes)
            except (ValueError, TypeError, IndexError) as error:
                raise self._explain(operands, attributes, error) from error
        recorder = active_recorder()
        if recorder is not None:
            operands = recorder.lifted(operands)
        arrays = []
        parents: list[Node | Leaf | None] = []
        lifted = tracked = foreign = False
        for operand in operands:
            if type(operand) is Tensor:
                lifted = True
                node = operand.node
                operand = operand.data
                if node is not None:
                    tracked = True
                parents.append(node)
            else:
                parents.append(None)
            arrays.append(operand)
            if type(operand) is not ndarray and type(operand) not in HOST_TYPES:
                foreign = True
        xp = xp_of(*arrays, function=self.name, names=self.names) if foreign else numpy
        try:
            out = self.forward(xp, *arrays, **attributes)
        except (ValueError, TypeError, IndexError) as error:
            raise self._explain(arrays, attributes, error) from error
        if not lifted:
            return out  # arrays in, array out
        if type(out) is not ndarray and xp is numpy:
            out = numpy.asarray(out)  # NumPy reductions return scalars
        if not tracked:
            return wrap(out, None)
        row: Any = self
        if recorder is not None:
            row = recorder.tape_row(self, parents, arrays)
        if not is_recording():
            return wrap(out, None)
        saves = self._saves_positions
        saved: list[Any] = arrays
        if saves is not EVERY:
            saved = []
            for position, array in enumerate(arrays):
                if position in saves:
                    saved.append(array)
                else:
                    saved.append(array.shape if type(array) not in SCALAR_TYPES else ())
        if self._undifferentiable:
            for position in self._undifferentiable:
                parents[position] = None
            if not any(parents):
                return wrap(out, None)
        node = Node(row, parents, saved, out if self._saves_out else None, attributes)
        if recorder is not None:
            recorder.scope.own_nodes.add(node)
        return wrap(out, node)

    def _explain(self, arrays: Sequence[Any], attributes: dict[str, Any], error: Exception) -> Exception:
        if isinstance(error, (OperandError, RecordingError)):
            return error
        names = self.names if not self.variadic else tuple(f"{self.names[0].lstrip('*')}[{i}]" for i in range(len(arrays)))
        described = ", ".join(
            f"{name} {tuple(array.shape)} {array.dtype}" if hasattr(array, "shape") else f"{name} = {array!r}"
            for name, array in zip(names, arrays, strict=False)
        )
        given = "".join(f", {key}={value!r}" for key, value in attributes.items())
        kind = TypeError if isinstance(error, TypeError) else OperandError
        return kind(f"{self.equation}: the operands do not fit: {described}{given}. {_remedy(self.name, error)}")


def _remedy(name: str, error: Exception) -> str:
    text = str(error)
    if "broadcast" in text:
        return "Shapes must be equal or 1 on each axis, counted from the last; insert an axis with x[:, None] or check the order of axes"
    if name == "matmul":
        return "The last axis of x must be as long as the second-last of y; weights are (out, in), so write h @ W.T"
    return f"The array library said: {text}"


def primitive(
    equation: str, forward: Callable[..., Any], saves: str = "", add_into: Callable[..., None] | None = None, **vjps: Vjp
) -> Primitive:
    """Declare a primitive: `primitive("multiply(x, y) = x y", forward, saves="x y", x=vjp_of_x, y=vjp_of_y)`."""
    return Primitive(equation, forward, saves, vjps, add_into)
