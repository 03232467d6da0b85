"""One recording of a step, and the comparison of two: what differs between them depends on something that is no argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy

from tinymem.engine.backend import to_host, use
from tinymem.engine.compile.closure import called
from tinymem.engine.compile.program import Literal, Loop, Operand, Program, Value, whole
from tinymem.engine.compile.record import Recorder
from tinymem.engine.compile.recorded import Recorded, namespace
from tinymem.engine.compile.refusals import require_known
from tinymem.engine.errors import RecordingError
from tinymem.engine.graph import Leaf
from tinymem.engine.notes import recorder, setting
from tinymem.engine.structure import describe, flatten, is_array
from tinymem.engine.tensor import Tensor, wrap


@dataclass(frozen=True)
class Recording:
    """One recording of a step: its program, and what must be done around a run of it."""

    program: Program
    arguments: tuple[Value, ...]
    state: tuple[Value, ...]
    captured: list[tuple[Any, Value, str, Any]]  # array from outside, the line that used it, its numbers then
    draws: list[tuple[Value, Any, str, tuple[int, ...], str]]  # generator, method, shape, line
    kinds: tuple[bool, ...]  # of the results: is it a Tensor?
    form: Any  # what is static about the result
    rebuild: Callable[[list[Any]], Any]
    tensors: dict[int, tuple[Tensor, Any]]  # untracked Tensors from outside, by the identity of their arrays


def is_argument(value: Any) -> bool:
    """Is this part of the arguments copied in at each call: an array, a Tensor or a number?"""
    return is_array(value) or (isinstance(value, (int, float)) and not isinstance(value, bool))


def record(step: Callable[..., Any], arguments: Any, keywords: Any, state: Mapping[str, Tensor]) -> Recording:
    """Run the step once on arrays without numbers; the state is put back as it was."""
    leaves, rebuild = flatten((arguments, keywords), is_argument)
    active = Recorder()
    inputs, stand_ins = [], []
    for position, leaf in enumerate(leaves):
        number = not is_array(leaf)
        if type(leaf) is Tensor and leaf.node is not None:
            raise RecordingError(
                f"compile: argument {position} of {called(step)} is a tracked Tensor of shape {leaf.shape}, but no gradient leaves a "
                "compiled step. What it trains belongs in its state: tinymem.compile(step, state=...); other data: pass tensor.detach()"
            )
        kind = numpy.int64 if isinstance(leaf, int) else numpy.float64
        value = Value(() if number else leaf.shape, kind if number else leaf.dtype, f"argument {position}", weak=number)
        inputs.append(value)
        array = Recorded(whole(value))
        stand_ins.append(wrap(array, None) if type(leaf) is Tensor else array)
    own = {name: Value(tensor.shape, tensor.dtype, name) for name, tensor in state.items()}
    for name, value in {**{value.name: value for value in inputs}, **own}.items():
        require_known(value.dtype, f"{name} holds numbers")
    before = {name: (tensor.data, tensor.grad) for name, tensor in state.items()}
    try:
        for name, tensor in state.items():
            tensor.data = Recorded(whole(own[name]))
            if type(tensor.node) is Leaf:
                tensor.grad = None
        again, words = rebuild(stand_ins)
        with setting(recorder, active), use(namespace):
            result = step(*again, **words)
            found, rebuild_result = flatten(result)
            outputs = [active.operand(x.data if type(x) is Tensor else x) for x in found]
            updates = [(own[name], active.operand(tensor.data)) for name, tensor in state.items()]
    finally:
        for name, tensor in state.items():
            tensor.data, gradient = before[name]
            if type(tensor.node) is Leaf:
                tensor.grad = gradient
        rebound = [(tensor, array) for tensor, array in active.tensors.values() if type(tensor.data) is Recorded]
        for tensor, array in rebound:
            tensor.data = array
    if rebound:
        raise RecordingError(
            f"this step cannot be compiled: it rebinds the data of a Tensor of shape {rebound[0][0].shape} that it was not told of. "
            "Name everything it changes: tinymem.compile(step, state=...)"
        )
    for value, new in updates:
        if new.shape != value.shape or new.dtype != value.dtype:
            raise RecordingError(
                f"this step cannot be compiled: it turns {value.name} from {value.dtype} {value.shape} into {new.dtype} {new.shape}"
            )
    program = Program(
        (*inputs, *own.values(), *[value for _, value, *_ in active.captured], *[value for value, *_ in active.draws]),
        tuple(active.scope.rows),
        tuple(outputs),
        tuple((value, new) for value, new in updates if new != whole(value)),
    )
    kinds = tuple(type(x) is Tensor for x in found)
    around = active.captured, active.draws, kinds, describe(result), rebuild_result, active.tensors
    return Recording(program, tuple(inputs), tuple(own.values()), *around)


def require_equal(first: Recording, second: Recording) -> None:
    """RecordingError unless both recordings are the same program on the same arrays."""
    for (_, a_generator, _, _, line), (_, another, *_) in zip(first.draws, second.draws, strict=False):
        if a_generator is not another:
            raise RecordingError(
                f"this step cannot be compiled: a random generator is made inside the step, in {line}; it would draw the same numbers at "
                "each call. Make it outside: numpy.random.default_rng(seed)"
            )
    for array, value, line, copied in first.captured:
        if not _equal(array, copied):
            raise RecordingError(
                f"this step cannot be compiled: it writes into an array of shape {value.shape} from outside, used in {line}. "
                "Rebind a Tensor of its state instead: tensor.data = new"
            )
    for (before, value, line, _), (after, *_) in zip(first.captured, second.captured, strict=False):
        if before is not after and not _equal(before, after):
            raise RecordingError(
                f"this step cannot be compiled: an array of shape {value.shape} that is made inside the step had other numbers when it was "
                f"recorded a second time, in {line}. Random numbers: use tinymem.draw(generator, ...); data: pass it as an argument"
            )
    if first.form != second.form:
        raise RecordingError(
            "this step cannot be compiled: it returns a number or an object that was another one when it was recorded a second time, "
            "and would be the same at every call. Return Tensors and arrays; keep clocks and counters outside of the step"
        )
    ours, theirs = fingerprint(first.program), fingerprint(second.program)
    for (a, note), (b, _) in zip(ours, theirs, strict=False):
        if a != b:
            numbers = [(x, y) for x, y in zip(a, b, strict=False) if isinstance(x, Spelled) and isinstance(y, Spelled) and x != y]
            what = (
                f"the number {numbers[0][0].number} was {numbers[0][1].number} when it was recorded a second time"
                if numbers
                else "it records differently a second time"
            )
            where = f", in {note.line}" if note else ""
            raise RecordingError(
                f"this step cannot be compiled: {what}{where}. It depends on something that changes from call to call: pass that as "
                "an argument"
            )
    if len(ours) != len(theirs) or len(first.captured) != len(second.captured):
        raise RecordingError("this step cannot be compiled: it records differently a second time. Pass what changes as an argument")


def same_memory(a: Any, b: Any) -> bool:
    """Is it one array, or the same part of one?"""
    if a is b:
        return True
    if not (type(a) is type(b) is numpy.ndarray):
        return False
    return bool(a.__array_interface__["data"] == b.__array_interface__["data"] and a.shape == b.shape and a.strides == b.strides)


def _equal(a: Any, b: Any) -> bool:
    a, b = to_host(a), to_host(b)
    return bool(numpy.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


@dataclass(frozen=True)
class Spelled:
    """A literal as it is written: NaN equals itself, and 0.0 is not -0.0."""

    number: str
    shape: tuple[int, ...]
    dtype: Any


def fingerprint(program: Program) -> list[tuple[Any, Any]]:
    """One entry a row that is equal for equal programs, with the row's note."""
    numbers: dict[Value, int] = {}

    def name(value: Value) -> int:
        return numbers.setdefault(value, len(numbers))

    def written(operand: Operand) -> Any:
        if isinstance(operand, Literal):
            return Spelled(repr(operand.number), operand.shape, operand.strong)
        return (name(operand.value), operand.shape, operand.strides, operand.offset)

    lines: list[tuple[Any, Any]] = [(tuple((name(v), v.shape, v.dtype) for v in program.inputs), None)]

    def visit(rows: Any) -> None:
        for row in rows:
            if isinstance(row, Loop):
                lines.append(((row.length, row.backwards, *map(name, row.own), *map(written, row.ins)), row.note))
                visit(row.rows)
                lines.append(((*map(written, row.results), *map(name, row.outs)), row.note))
            else:
                attributes = tuple(sorted(row.attributes.items()))
                lines.append(((row.op, *map(written, row.ins), name(row.out), row.out.shape, row.out.dtype, attributes), row.note))

    visit(program.rows)
    lines.append((tuple(map(written, program.outputs)), None))
    lines.append((tuple((name(v), written(new)) for v, new in program.updates), None))
    return lines
