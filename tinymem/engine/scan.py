"""Time as a loop: `scan` runs a step along the leading axis of its inputs and carries a state.

In eager mode it is the Python loop of the slide, every time step on the tape, to be read and traced.  In a recorded
step it is one row with its own vector-Jacobian product, so that the program does not grow with the sequence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinymem.engine.errors import OperandError
from tinymem.engine.notes import recorder
from tinymem.engine.ops import stack
from tinymem.engine.structure import flatten
from tinymem.engine.tensor import Tensor

Step = Callable[[Any, Any], tuple[Any, Any]]


def scan(step: Step, state: Any, inputs: Any) -> tuple[Any, Any]:
    """(state_T, outputs) of state_t, output_t = step(state_{t-1}, inputs[t]) for t = 0 … T-1.

    `inputs` is a Tensor (time, ...) or a structure of them; `state` and `output_t` are Tensors or structures of them
    (tuples, dictionaries, frozen dataclasses).  `outputs` has output_t's structure, each Tensor stacked to (time, ...).
    A state's fields with metadata `structure.SHOWN` are not carried.  The step may use Tensors from outside, as parameters.
    """
    leaves, rebuild = flatten(inputs)
    lengths = {x.shape[0] if x.shape else 0 for x in leaves}
    if len(lengths) != 1 or 0 in lengths:
        raise OperandError(
            f"scan: every input needs the same leading axis, time, of at least 1; got shapes {[tuple(x.shape) for x in leaves]}"
        )
    length = lengths.pop()
    active = recorder.get()
    if active is not None and active.scope.outer is None:  # a loop within a recorded loop is unrolled
        from tinymem.engine.compile.loops import record_scan

        return record_scan(active, step, state, inputs, length)
    outputs = []
    for t in range(length):
        state, output = step(state, inputs[t] if type(inputs) is Tensor else rebuild([x[t] for x in leaves]))
        outputs.append(output)
    if type(outputs[0]) is Tensor:
        return state, stack(outputs)
    again = flatten(outputs[0])[1]
    return state, again([stack(column) for column in zip(*[flatten(output)[0] for output in outputs], strict=True)])
