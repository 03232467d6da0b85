"""Recording: what a step does to its arrays, written down as rows.

A `Recorder` is active while a step runs once on arrays without numbers (`recorded`).  The engine's primitives, their
derivatives and the optimisers run on these unchanged, so there is one definition of each equation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy

from tinymem.engine.backend import is_device
from tinymem.engine.compile.maps import MAPS, kind_of, result_type
from tinymem.engine.compile.program import AnyRow, Literal, Note, Operand, Row, Value, broadcast, whole
from tinymem.engine.compile.recorded import Recorded
from tinymem.engine.compile.refusals import calling_line, place, refuse, require_known
from tinymem.engine.graph import Leaf, Node
from tinymem.engine.notes import equation_name, setting, walking_back
from tinymem.engine.tensor import Tensor, wrap


class Scope:
    """The rows of one program, or of one loop's body, as they come."""

    def __init__(self, outer: Scope | None = None) -> None:
        self.outer = outer
        self.rows: list[AnyRow] = []
        self.proxies: dict[Node | Leaf, tuple[Leaf, Tensor]] = {}  # a body's own leaf for each tracked tensor from outside
        self.own_nodes: set[Node | Leaf] = set()


class Recorder:
    """What is known while a step is being recorded."""

    compiles = True

    def __init__(self) -> None:
        self.scope = Scope()
        self.walked = False
        self.captured: list[tuple[Any, Value, str, Any]] = []  # arrays from outside, by reference; the line that used them; a copy
        self.draws: list[tuple[Value, Any, str, tuple[int, ...], str]] = []
        self._by_identity: dict[int, Value] = {}
        self.tensors: dict[int, tuple[Tensor, Any]] = {}  # untracked Tensors from outside and their arrays, by the array's identity

    @property
    def outermost(self) -> bool:
        """Is what comes now part of no loop?"""
        return self.scope.outer is None

    # -- rows -------------------------------------------------------------------------------------------------------------
    def note(self) -> Note:
        walking = walking_back.get()
        self.walked |= walking
        return Note("backward" if walking else "update" if self.walked else "forward", equation_name.get(), place())

    def emit(self, op: str, ins: Sequence[Operand], shape: Sequence[int], dtype: Any, weak: bool = False, **attributes: Any) -> Recorded:
        out = Value(shape, dtype, weak=weak)
        self.scope.rows.append(Row(op, tuple(ins), out, attributes, self.note()))
        return Recorded(whole(out))

    def map(self, op: str, *given: Any) -> Recorded:
        operands = [self.operand(x) for x in given]
        kinds = tuple(map(kind_of, operands))
        try:
            *loop, dtype = result_type(op, kinds)
        except TypeError:
            raise refuse(f"{op} of {' and '.join(str(operand.dtype) for operand in operands)}", "Use real numbers") from None
        require_known(dtype, f"{op} computes numbers")
        if op == "power" and dtype.kind != "f":
            raise refuse("it takes a power of integers", "Convert to floats first, or multiply")
        if op == "add" and dtype.kind == "b":
            op = "logical_or"  # which is what NumPy's sum of two booleans is
        shape = numpy.broadcast_shapes(*[operand.shape for operand in operands])
        weak = all(operand.weak for operand in operands) and dtype.kind != "b"
        if all(isinstance(operand, Literal) for operand in operands):
            with numpy.errstate(all="ignore"):
                number = MAPS[op](*[operand.number for operand in operands]).item()  # type: ignore[union-attr]
            return Recorded(Literal(number, shape, None if weak else dtype))
        return self.emit(op, [broadcast(operand, shape) for operand in operands], shape, dtype, weak, loop=tuple(loop))

    def operand(self, x: Any) -> Operand:
        """What a row reads: a recorded array's operand, a number, or an array from outside."""
        if type(x) is Recorded:
            return x.operand
        if isinstance(x, numpy.generic):  # first: a float64 of NumPy is a float too
            return Literal(x.item(), (), x.dtype)
        if isinstance(x, (bool, int, float)):
            return Literal(x)
        if isinstance(x, numpy.ndarray) or is_device(x):
            return whole(self.capture(x))
        raise refuse(f"{type(x).__name__} is used as an operand", "Use Tensors, arrays and numbers")

    def capture(self, array: Any) -> Value:
        """An array that comes from outside of the step: bound by reference, its numbers are copied anew before each run."""
        value = self._by_identity.get(id(array))
        if value is None:
            require_known(array.dtype, "an array")
            value = self._by_identity[id(array)] = Value(array.shape, array.dtype, f"constant {len(self.captured)}")
            self.captured.append((array, value, calling_line(), array.copy()))
        return value

    def draw(self, generator: Any, method: str, shape: tuple[int, ...], dtype: Any) -> Recorded:
        """Numbers from a generator, drawn anew before each run into a buffer of the program."""
        if self.scope.outer is not None:
            raise refuse("random numbers are drawn inside a scan", "Draw (time, ...) numbers before it and scan over them")
        value = Value(shape, dtype, f"draw {len(self.draws)}")
        self.draws.append((value, generator, method, shape, calling_line()))
        return Recorded(whole(value))

    def lifted(self, operands: Sequence[Any]) -> Sequence[Any]:
        """Untracked Tensors from outside of the step as recorded ones: a run reads what they hold then."""
        found = []
        for x in operands:
            if type(x) is Tensor and x.node is None and type(x.data) is not Recorded:
                self.tensors.setdefault(id(x.data), (x, x.data))
                x = wrap(Recorded(self.operand(x.data)), None)
            found.append(x)
        return found

    # -- the tape ---------------------------------------------------------------------------------------------------------
    def tape_row(self, primitive: Any, parents: list[Any], arrays: Sequence[Any]) -> Any:
        """Called when a primitive is about to record a node: keeps a body's tape its own, and remembers the equation."""
        for position, (parent, array) in enumerate(zip(parents, arrays, strict=True)):
            if parent is None:
                continue
            if type(array) is not Recorded:
                raise refuse(
                    f"it uses a parameter of shape {tuple(array.shape)} that the compiled step was not told of",
                    "Name everything it trains: tinymem.compile(step, state=model)",
                )
            parents[position] = self.local(parent, array)
        title = equation_name.get()
        return Titled(primitive, title) if title else primitive

    def local(self, parent: Node | Leaf, array: Recorded) -> Node | Leaf:
        """The tape's end for a tensor from outside of the loop body being recorded, or the node itself if it is inside."""
        scope = self.scope
        if scope.outer is None or parent in scope.own_nodes:
            return parent
        if parent not in scope.proxies:
            leaf = Leaf(array.dtype)
            scope.own_nodes.add(leaf)
            outside = Tensor.__new__(Tensor)
            outside.data, outside.node = array, parent
            scope.proxies[parent] = (leaf, outside)
        return scope.proxies[parent][0]

    @contextmanager
    def inside(self) -> Iterator[Scope]:
        """Rows recorded within this context belong to a loop's body."""
        outer, self.scope = self.scope, Scope(self.scope)
        try:
            yield self.scope
        finally:
            self.scope = outer


class Titled:
    """A primitive whose derivatives are recorded under the equation that used it."""

    __slots__ = ("add_into", "each", "name", "vjps")

    def __init__(self, primitive: Any, title: str) -> None:
        self.name, self.add_into = primitive.name, primitive.add_into

        def under_title(vjp: Callable[..., Any]) -> Callable[..., Any]:
            def titled(*operands: Any, **attributes: Any) -> Any:
                with setting(equation_name, title):
                    return vjp(*operands, **attributes)

            return titled

        self.each = primitive.each and under_title(primitive.each)
        self.vjps = tuple(vjp and under_title(vjp) for vjp in primitive.vjps)
