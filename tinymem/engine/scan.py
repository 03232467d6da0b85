"""Time as a loop: `scan` runs a step along the leading axis of its inputs and carries a state.

In eager mode it is the Python loop of the slide, every time step on the tape, to be read and traced.  In a recorded
step it is one row with its own vector-Jacobian product, so that the program does not grow with the sequence.  Either way
the memory for the way back grows with it, unless `checkpoint_every` bounds it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import partial
from typing import Any

from tinymem.engine.errors import OperandError, RecordingError
from tinymem.engine.graph import is_recording
from tinymem.engine.notes import recorder
from tinymem.engine.ops import concatenate, stack
from tinymem.engine.structure import flatten
from tinymem.engine.tensor import Tensor

Step = Callable[[Any, Any], tuple[Any, Any]]


def scan(step: Step, state: Any, inputs: Any, checkpoint_every: int | None = None) -> tuple[Any, Any]:
    """(state_T, outputs) of state_t, output_t = step(state_{t-1}, inputs[t]) for t = 0 … T-1.

    `inputs` is a Tensor (time, ...) or a structure of them; `state` and `output_t` are Tensors or structures of them
    (tuples, dictionaries, frozen dataclasses).  `outputs` has output_t's structure, each Tensor stacked to (time, ...).
    A state's fields with metadata `structure.SHOWN` are not carried.  The step may use Tensors from outside, as parameters.

    `checkpoint_every=k`, for long sequences: of what the steps compute only the state at every k-th step is kept, and on
    the way back each segment of k steps is computed again.  Memory is T/k states and the results of k steps, least for k
    about √T, instead of the results of T steps; the way there is computed twice.  Values are the same; gradients are the
    same sums, added up segment by segment, so they may differ by rounding.  The step must compute the same both times.
    A gradient that is differentiated itself is right too, but its own graph is kept in full.
    """
    leaves, rebuild = flatten(inputs)
    lengths = {x.shape[0] if x.shape else 0 for x in leaves}
    if len(lengths) != 1 or 0 in lengths:
        raise OperandError(
            f"scan: every input needs the same leading axis, time, of at least 1; got shapes {[tuple(x.shape) for x in leaves]}"
        )
    length = lengths.pop()
    every = length if checkpoint_every is None else _whole_steps(checkpoint_every, length)
    active = recorder.get()
    if active is not None and active.outermost:  # a loop within a recorded loop is unrolled
        from tinymem.engine.compile.loops import record_scan, record_segments

        if every < length:
            return record_segments(active, step, state, inputs, length, every)
        return record_scan(active, step, state, inputs, length)
    if every < length and is_recording() and (active is None or not active.compiles):
        from tinymem.engine.segments import run_again_on_the_way_back

        parts = []
        for first in range(0, length, every):
            piece = rebuild([x[first : first + every] for x in leaves])
            state, outputs = run_again_on_the_way_back(partial(_unrolled, step), state, piece)
            parts.append(outputs)
        return state, _columnwise(partial(concatenate, axis=0), parts)
    return _unrolled(step, state, inputs)


def _unrolled(step: Step, state: Any, inputs: Any) -> tuple[Any, Any]:
    """Every time step by itself."""
    leaves, rebuild = flatten(inputs)
    outputs = []
    for t in range(leaves[0].shape[0]):
        state, output = step(state, inputs[t] if type(inputs) is Tensor else rebuild([x[t] for x in leaves]))
        outputs.append(output)
    return state, _columnwise(stack, outputs)


def _columnwise(join: Callable[[list[Any]], Any], parts: list[Any]) -> Any:
    """One structure like each of `parts`, every leaf joined from theirs."""
    if type(parts[0]) is Tensor:
        return join(parts)
    again = flatten(parts[0])[1]
    return again([join(list(column)) for column in zip(*[flatten(part)[0] for part in parts], strict=True)])


def _whole_steps(checkpoint_every: Any, length: int) -> int:
    try:
        every = 0 if isinstance(checkpoint_every, bool) else operator.index(checkpoint_every)
    except RecordingError:  # an argument of a compiled step, which says so
        raise
    except TypeError:
        every = 0
    if every < 1:
        raise OperandError(
            f"scan: checkpoint_every must be a whole number of time steps, at least 1, or None; got {checkpoint_every!r}. "
            f"For these {length} steps {round(math.sqrt(length))}, about √T, needs the least memory"
        )
    return every
