"""`tinymem.compile`: a step recorded once per signature, improved by the passes, run by a lowering."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy

from tinymem.engine.backend import HOST_TYPES, BackendError, creation_namespace, is_device, namespace_named, namespace_of, xp_of
from tinymem.engine.compile.bounds import Bound, bounds
from tinymem.engine.compile.cache import NoCompiler
from tinymem.engine.compile.closure import Closure, called
from tinymem.engine.compile.layout import lay_out
from tinymem.engine.compile.listing import listing
from tinymem.engine.compile.lower_c import Native, runtime
from tinymem.engine.compile.lower_cupy import on_device
from tinymem.engine.compile.lower_numpy import Replay
from tinymem.engine.compile.operations import Operations, operations_of
from tinymem.engine.compile.passes import PROGRAM_PASSES, SWITCHES
from tinymem.engine.compile.passes.prepare import prepare
from tinymem.engine.compile.program import Literal, Operand, Program, Row, Value, whole
from tinymem.engine.compile.recording import Recording, is_argument, record, require_equal, same_memory
from tinymem.engine.compile.state import State
from tinymem.engine.compile.stats import Stats, stats_of
from tinymem.engine.errors import RecordingError
from tinymem.engine.notes import recorder
from tinymem.engine.structure import walked
from tinymem.engine.tensor import Tensor, wrap

Step = Callable[..., Any]
LOWERINGS = ("auto", "c", "numpy", "cupy")
RECORDING = threading.RLock()  # while a step is recorded, its Tensors hold arrays without numbers


@dataclass
class Captured:
    """An array from outside of the step, and the program's copy of it.  A device gets its numbers again only when they changed."""

    buffer: Any
    array: Any
    tensor: Tensor | None = None  # the untracked Tensor that held the array: what it holds now counts
    seen: Any = None  # the numbers the device has

    def refresh(self) -> None:
        if self.tensor is not None and self.tensor.data is not self.array:
            self.array = self.tensor.data
            if self.array.shape != self.buffer.shape or self.array.dtype != self.buffer.dtype:
                raise RecordingError(
                    f"compile: a Tensor from outside of the step was {self.buffer.dtype} {self.buffer.shape}, now {self.array.dtype} "
                    f"{self.array.shape}; compile the step again"
                )
        if not is_device(self.buffer) or is_device(self.array):
            self.buffer[...] = self.array
        elif self.seen is None or not numpy.array_equal(self.array, self.seen, equal_nan=self.array.dtype.kind == "f"):
            self.seen = numpy.array(self.array)
            _fill(self.buffer, self.array)


@dataclass
class Ready:
    """A signature's program, lowered, with its input buffers."""

    recording: Recording
    program: Program
    lowered: Any
    arguments: list[Any]
    captured: list[Captured]
    draws: list[Any]
    bounds: list[tuple[Bound, Any]]
    seconds: dict[str, float]
    after: list[tuple[str, Program]]  # what each pass made
    stats: Stats | None = None


class CompiledStep:
    """A step that is recorded at its first call with a new signature and replayed from then on.

    Call it as the step itself.  `program` prints the recorded rows, `stats()` what the passes did.
    """

    def __init__(self, step: Step, state: Any, lowering: str, without: Iterable[str], threads: int) -> None:
        self.step = step
        self.state = State(state)
        self.lowering = lowering
        self.without = frozenset(without)
        self.threads = threads
        unknown = self.without - {*PROGRAM_PASSES, *SWITCHES}
        if unknown:
            raise ValueError(f"compile: unknown passes {sorted(unknown)}; the passes are {[*PROGRAM_PASSES, *SWITCHES]}")
        if lowering not in LOWERINGS:
            raise ValueError(f"compile: unknown lowering {lowering!r}; the lowerings are {', '.join(LOWERINGS)}")
        self._xp: Any = None  # the array module of the state
        self._memory: Any = None
        self._ready: dict[Any, Ready] = {}
        self._closure = Closure(step)
        self._latest: Ready | None = None
        self._lock = threading.RLock()  # a run releases Python's own lock, and its buffers are one run's at a time

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        if recorder.get() is not None:  # within the recording of another step: a part of that
            return self.step(*arguments, **keywords)
        with self._lock:
            return self._run(arguments, keywords)

    def _run(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        leaves: list[Any] = []
        form = walked((arguments, keywords), is_argument, leaves)
        self._closure.require_unchanged()
        self.state.require_same_tensors()
        xp = self._array_module(leaves)
        if xp is not self._xp:  # the state moved: no program has the new arrays
            self._xp = xp
            self.state.forget()
            self._ready.clear()
        self.state.take_over()
        ready = self._ready_for(xp, form, arguments, keywords)
        for buffer, given in zip(ready.arguments, leaves, strict=True):
            _fill(buffer, given.data if type(given) is Tensor else given)
        for captured in ready.captured:
            captured.refresh()
        for buffer, generator, method, shape in ready.draws:
            _fill(buffer, getattr(generator, method)(size=shape))
        for bound, buffer in ready.bounds:
            bound.require(buffer)
        ready.lowered.run()
        results = [ready.lowered.read(operand) for operand in ready.program.outputs]
        wrapped = [wrap(array, None) if tensor else array for array, tensor in zip(results, ready.recording.kinds, strict=True)]
        return ready.recording.rebuild(wrapped)

    def _ready_for(self, xp: Any, form: Any, arguments: Any, keywords: Any) -> Ready:
        """The program of this signature, recorded now if it is a new one."""
        try:
            ready = self._ready.get((xp, form))
        except TypeError:
            raise RecordingError(
                f"compile: an argument of {called(self.step)} is neither data (arrays, Tensors, numbers, structures of them) nor hashable, "
                "so it cannot be told whether it is the same at the next call; use it from outside of the step, or give it as a tuple"
            ) from None
        if ready is None:
            with RECORDING:
                ready = self._ready[xp, form] = self._compile(arguments, keywords)
        self._latest = ready
        return ready

    @property
    def program(self) -> str:
        """The program of the latest call as numbered rows: operation, shapes, equation and line, buffer and bytes."""
        ready = self._called()
        homes = ready.lowered.laid_out.homes
        numbers: dict[Any, int] = {}

        def place(value: Value) -> str:
            home = homes.get(value)
            if home is None or home.buffer not in ready.lowered.arrays:
                return ", in a register"
            number = numbers.setdefault(home.buffer, len(numbers))
            return f", buffer {number}, {value.nbytes} B"

        return listing(ready.program, place)

    @property
    def kernels(self) -> dict[str, str]:
        """The C text of every distinct kernel of the latest call's program; empty where NumPy runs it."""
        return dict(getattr(self._called().lowered, "texts", {}))

    def stats(self) -> Stats:
        """What the passes and the lowering did for the latest call's signature."""
        ready = self._called()
        if ready.stats is None:
            ready.stats = stats_of(ready.after, ready.lowered, ready.seconds)
        return ready.stats

    def operations(self, *arguments: Any, **keywords: Any) -> Operations:
        """Floating-point operations of a call with these arguments.  The step is recorded, not run, and nothing changes.

        Counted after the passes but `recompute`: each number is counted once, also where a run saves memory by computing it again.
        """
        with self._lock, RECORDING:
            program = record(self.step, arguments, keywords, self.state.tensors).program
        for name, one_pass in PROGRAM_PASSES.items():
            if name not in {*self.without, "recompute"}:
                program = one_pass(program)
        return operations_of(program)

    def _called(self) -> Ready:
        if self._latest is None:
            raise RuntimeError("this compiled step was not called yet; it is recorded at its first call")
        return self._latest

    # -- the state ------------------------------------------------------------------------------------------------------------
    def _array_module(self, leaves: list[Any]) -> Any:
        """Where the step runs: where its state and its arguments are.  Data of the host go where Tensor(data) would put them."""
        creating = creation_namespace()
        on_host = self._xp is numpy is creating and self.lowering != "cupy"
        if (  # most often
            on_host and all(type(x.data if type(x) is Tensor else x) in HOST_TYPES for x in leaves) and self.state.bound()
        ):
            return numpy
        named = {
            **self.state.tensors,
            **{f"argument {k}": leaf for k, leaf in enumerate(leaves) if type(leaf) is Tensor or is_device(leaf)},
        }
        placed = [x.data if type(x) is Tensor else x for x in named.values()]
        host = any(isinstance(leaf, numpy.ndarray) for leaf in leaves)
        xp = xp_of(*placed, function=f"compiled {called(self.step)}", names=tuple(named)) if placed else creating
        if host and xp is not numpy and creating is not xp:
            raise TypeError(
                f"compiled {called(self.step)}: an argument is an array of NumPy, its state is of {xp.__name__}. "
                "Call it under 'with tinymem.use(...)', which moves arrays, or move it with tinymem.asarray"
            )
        if self.lowering == "cupy" and xp is numpy:
            namespace_named("cupy")  # says why, where it cannot be used
            raise BackendError(
                "lowering 'cupy' runs where the arrays are, and these are NumPy's; make the state under 'with use(\"cupy\")'"
            )
        if self.lowering in ("c", "numpy") and xp is not numpy:
            raise BackendError(f"lowering {self.lowering!r} computes on the host, the arrays are of {xp.__name__}; leave it at 'auto'")
        return xp

    # -- compiling ------------------------------------------------------------------------------------------------------------
    def _compile(self, arguments: Any, keywords: Any) -> Ready:
        started = time.perf_counter()
        first = record(self.step, arguments, keywords, self.state.tensors)
        self._closure.require_untouched()
        recording = record(self.step, arguments, keywords, self.state.tensors)
        require_equal(first, recording)
        self.state.adopt(self._xp)
        seconds = {"record": time.perf_counter() - started}
        started = time.perf_counter()
        target = self._target()  # builds the runtime, where there is a compiler
        seconds["lowering"] = time.perf_counter() - started
        program, after = recording.program, [("recorded", recording.program)]
        started = time.perf_counter()
        for name, one_pass in PROGRAM_PASSES.items():
            if name not in self.without and not (name == "recompute" and target == "numpy"):  # a replay pays for each row anew
                program = one_pass(program)
                after.append((name, program))
        program = settled(program)
        xp = self._xp
        given = {value: xp.zeros(value.shape, value.dtype) for value in program.inputs}
        given |= {value: self.state.arrays[name] for name, value in zip(self.state.tensors, recording.state, strict=True)}
        seconds["passes"] = time.perf_counter() - started
        started = time.perf_counter()
        lowered = self._lower(program, given, target)
        seconds["lowering"] += time.perf_counter() - started
        captured = []
        for (array, value, *_), (before, *_) in zip(recording.captured, first.captured, strict=True):
            kept = Captured(given[value], array, *_same_tensor(first, recording, before, array))
            kept.refresh()
            if same_memory(array, before):  # somebody outside holds it, and may write to it
                captured.append(kept)
        draws = [(given[value], generator, method, shape) for value, generator, method, shape, _ in recording.draws]
        inputs = [given[value] for value in recording.arguments]
        checked = [(bound, given[bound.value]) for bound in bounds(recording.program)] if xp is numpy else []
        return Ready(recording, program, lowered, inputs, captured, draws, checked, seconds, after)

    def _target(self) -> str:
        """Which lowering is used: what was asked for, or the best there is."""
        if self._xp is not numpy:
            return "cupy"
        if self.lowering == "numpy":
            return "numpy"
        try:
            runtime()
        except NoCompiler as error:
            if self.lowering == "c":
                raise
            _say_once(f"tinymem: compiled steps run by NumPy, for {str(error).splitlines()[0]}")
            return "numpy"
        return "c"

    def _lower(self, program: Program, given: dict[Value, Any], target: str) -> Any:
        in_place, turn = "pieces" not in self.without, "turn" not in self.without
        if target == "cupy":
            return on_device(lay_out(program, given, in_place), self._xp, self.without)
        if target == "numpy":
            return Replay(lay_out(program, given, in_place, {}, turn), "plan" not in self.without, memory=self._block)
        ready, rigid = prepare(program)
        try:
            return Native(lay_out(ready, given, in_place, rigid, turn), self.without, self.threads, self._block)
        except NoCompiler as error:
            if self.lowering == "c":
                raise
            _say_once(f"tinymem: compiled steps run by NumPy, for {str(error).splitlines()[0]}")
            return self._lower(program, given, "numpy")

    def _block(self, size: int) -> Any:
        """Memory of at least `size` bytes on the host, shared by the programs of later signatures: one of them runs at a time."""
        if self._memory is None or self._memory.nbytes < size:
            self._memory = numpy.zeros(size, numpy.uint8)
        return self._memory


def compile(
    step: Step, state: Any = None, *, lowering: str = "auto", without: Iterable[str] = (), threads: int | None = None
) -> CompiledStep:
    """The same step, recorded at its first call and run as a program from then on.

    `state` names everything the step reads or changes that is no argument: a Module, Tensors, or dictionaries and lists
    of these.  The step may call `.backward()`, and changes a Tensor of its state by rebinding `tensor.data`.  Arguments
    (arrays, Tensors, numbers, structures of them) are copied in at each call; a new shape, dtype or structure is a new
    recording.  From the first call on the state's arrays are the program's own memory: each call writes into it, so take a
    copy (`numpy.array(tensor.data)`) of what must stay.  What cannot be recorded is a RecordingError with the reason and the line.

    The step runs as Python only while it is recorded, twice: what it prints or appends happens then and never again, and what
    differs between the two recordings is refused.  Variables it uses from outside are compared at each call (closure.py says
    which), arrays from outside are read anew; an array computed from one outside of tinymem (`table * 2`) is a constant.
    `.grad` is empty when the step begins, and is not left behind: return gradients that are wanted.

    `lowering`: "auto" (on a device where the state is there; else native code where a C compiler is found; else NumPy), "c",
    "numpy" or "cupy".  On a device results stay there, and nothing waits for them.
    `without`: names of passes to leave out, to see what they do.  `threads`: 2 lets a second thread do half of large kernels and
    products, if that turns out to be faster here; the default is $TINYMEM_THREADS, else 1.
    """
    if not callable(step):
        raise TypeError(f"compile: expected a function, got {type(step).__name__}")
    if threads is None:
        threads = int(os.environ.get("TINYMEM_THREADS", "1"))
    return CompiledStep(step, state, lowering, without, threads)


def settled(program: Program) -> Program:
    """What is read after the rows have run is copied where it is an input that the run changes."""
    updates = [(value, new) for value, new in program.updates if new != whole(value)]
    changed = {value for value, _ in updates}
    copies: list[Row] = []

    def apart(operand: Operand) -> Operand:
        if isinstance(operand, Literal) or operand.value not in changed:
            return operand
        copies.append(Row("copy", (operand,), Value(operand.shape, operand.dtype)))
        return whole(copies[-1].out)

    outputs, updates = tuple(map(apart, program.outputs)), [(value, apart(new)) for value, new in updates]
    return Program(program.inputs, (*program.rows, *copies), outputs, tuple(updates))


@cache
def _say_once(text: str) -> None:
    print(text, file=sys.stderr)


def _same_tensor(first: Recording, second: Recording, before: Any, array: Any) -> list[Tensor]:
    """The untracked Tensor from outside through which both recordings came to a captured array, if there is one."""
    (a, _), (b, _) = first.tensors.get(id(before), (None, None)), second.tensors.get(id(array), (None, None))
    return [a] if a is not None and a is b else []


def _fill(buffer: Any, given: Any) -> None:
    """New numbers in an input's memory; those of the host take the door in."""
    on_host = is_device(buffer) and isinstance(given, numpy.ndarray)
    buffer[...] = namespace_of(buffer).asarray(numpy.asarray(given, buffer.dtype)) if on_host else given
