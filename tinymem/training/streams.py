"""Learning from endless streams: chunks with a state carried over, and the scoring protocol of Joulin & Mikolov 2015."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from tinymem.engine.backend import asarray, to_host
from tinymem.engine.compile.compiled import compile
from tinymem.engine.graph import no_grad
from tinymem.engine.losses import categorical_loss
from tinymem.engine.ops import argmax, where
from tinymem.engine.structure import flatten
from tinymem.engine.tensor import Tensor
from tinymem.models.sequence import advance
from tinymem.models.stack_rnn import StackRNN
from tinymem.tasks.languages import SMALLEST, Integers, StreamTask
from tinymem.training.loop import Schedule, slowing
from tinymem.training.objectives import LN2, bits_per_symbol, one_hot

VALIDATION_SEQUENCES = 5  # of each length
CHUNK = 256  # steps of one evaluated chunk: any length of stream is a few calls of one program


@dataclass(frozen=True)
class Chunk:
    """The next symbols of several streams, time first."""

    inputs: numpy.ndarray[Any, Any]  # (time, batch) integers
    targets: numpy.ndarray[Any, Any]  # (time, batch) integers
    mask: numpy.ndarray[Any, Any]  # (time, batch), 1 where the target counts
    fresh: numpy.ndarray[Any, Any]  # (batch,) bool: this stream begins anew


class StreamCourse:
    """A run on streams: what each has pending, and the model's state at its end."""

    def __init__(self, task: StreamTask, model: Any, schedule: Schedule, seed: int, eager: bool) -> None:
        self.task, self.seed, self.eager, self.updates, self.update = task, seed, eager, schedule.updates, 0
        streams = schedule.batch
        self.measured: tuple[Any, Callable[..., Any]] | None = None
        self.pending: list[list[tuple[int, int]]] = [[] for _ in range(streams)]  # symbols (with: counts it?) that no update has seen
        self.sequences = [0] * streams  # since a stream began
        with no_grad():
            leaves, _ = flatten(model.initial_state(streams))
        self.carried = {str(place): Tensor(leaf.data) for place, leaf in enumerate(leaves)}

    def draw(self, rng: numpy.random.Generator) -> Chunk:
        """The next chunk of every stream."""
        self.update += 1
        largest, chunk = self.task.largest(self.update), self.task.chunk
        read, fresh = [], [not stream for stream in self.pending]
        for place, stream in enumerate(self.pending):
            if self.sequences[place] >= self.task.reset_every:
                stream.clear()
                self.sequences[place], fresh[place] = 0, True
            while len(stream) <= chunk:
                sequence = self.task.sequence(rng, int(rng.integers(SMALLEST, largest + 1)))
                stream.extend(zip(sequence.symbols.tolist(), sequence.counted.tolist(), strict=True))
                self.sequences[place] += 1
            read.append(stream[: chunk + 1])
            del stream[:chunk]  # the last symbol, so far only a target, is the next chunk's first input
        symbols, counted = numpy.array(read).transpose(2, 1, 0)
        return Chunk(symbols[:-1], symbols[1:], counted[1:].astype(numpy.float32), numpy.array(fresh))

    def loss(self, model: Any, chunk: Chunk) -> Tensor:
        """Bits per symbol of a chunk; the state after it is carried over, without its history."""
        state = _begun_anew(model, chunk.fresh, list(self.carried.values()))
        state, logits = advance(model, state, one_hot(asarray(chunk.inputs), self.task.inputs, model.out.b.dtype))
        for tensor, new in zip(self.carried.values(), flatten(state)[0], strict=True):
            tensor.data = new.data
        return bits_per_symbol(logits, asarray(chunk.targets), chunk.mask)

    @property
    def pace(self) -> float:
        """The factor on the learning rate."""
        return slowing(self.update, self.updates)

    def validate(self, model: Any) -> float:
        """The share of wrong sequences with n up to the task's `validated`; among equals, the bits decide.

        These are the paper's training lengths, a little beyond what is drawn here; its test lengths choose nothing.
        """
        if self.measured is None:
            tested = model.rounded() if isinstance(model, StackRNN) and self.task.rounded else model
            self.measured = tested, reader(tested, self.eager)
        lengths, rng = range(SMALLEST, self.task.validated + 1), numpy.random.default_rng([self.seed, 2])
        found = score(self.measured[0], self.task, lengths, VALIDATION_SEQUENCES, rng, self.measured[1])
        return 1 - float(found.right.mean()) + 1e-3 * found.bits / (1 + found.bits)

    def report(self) -> dict[str, float]:
        return {"largest": self.task.largest(max(self.update, 1))}

    def progress(self) -> dict[str, Any]:
        return {"update": self.update, "pending": self.pending, "sequences": self.sequences}

    def go_on(self, progress: dict[str, Any]) -> None:
        self.update, self.sequences = progress["update"], progress["sequences"]
        self.pending = [[(symbol, counted) for symbol, counted in stream] for stream in progress["pending"]]


@dataclass(frozen=True)
class Score:
    """How a model did on streams of sequences of one length each."""

    lengths: numpy.ndarray[Any, Any]  # (N,), n
    right: numpy.ndarray[Any, Any]  # (N,), share of the sequences of which every determined symbol was predicted
    bits: float  # -log₂ p of the determined symbols, mean over all

    @property
    def solved(self) -> float:
        """The share of n for which every sequence was right: the number of the paper's Table 2."""
        return float((self.right == 1).mean())


def reader(model: Any, eager: bool = False) -> Callable[..., Any]:
    """The step of an evaluation: (state, fresh, symbols read, symbols that follow) -> (state, predicted symbols, bits).

    fresh (batch,) is true where a stream begins here, with an empty memory.
    """

    def read(state: Any, fresh: Any, inputs: Any, targets: Any) -> Any:
        with no_grad():
            state = _begun_anew(model, fresh, flatten(state)[0])
            state, logits = advance(model, state, one_hot(asarray(inputs), model.config.inputs, model.out.b.dtype))
            return state, argmax(logits, 2), categorical_loss(logits, asarray(targets)) / LN2

    return read if eager else compile(read, state=model)


def score(
    model: Any,
    task: StreamTask,
    lengths: Sequence[int],
    sequences: int,
    rng: numpy.random.Generator,
    read: Callable[..., Any] | None = None,
) -> Score:
    """The paper's protocol: for each n one stream of sequences of that length, read from an empty state and without a mark between them.

    A sequence is right if every determined symbol of it is, and so is the first symbol of the next one where that is
    determined.  `read` is a `reader(model)` to be used again.
    """
    if not lengths or sequences < 1:
        raise ValueError(f"a score needs at least one n and one sequence of each, got n = {list(lengths)} and {sequences}")
    streams = []
    for n in lengths:
        drawn = [task.sequence(rng, n) for _ in range(sequences + 1)]
        symbols = numpy.concatenate([sequence.symbols for sequence in drawn])
        determined = numpy.concatenate([sequence.determined for sequence in drawn])
        owner = numpy.repeat(numpy.arange(sequences + 1), [len(sequence.symbols) for sequence in drawn])
        starts = numpy.flatnonzero(numpy.diff(owner, prepend=0))
        owner[starts] -= 1  # the first symbol of the next sequence belongs to this one's score
        end = starts[-1] + 1
        streams.append((symbols[:end], determined[:end], owner[:end]))
    right = numpy.empty(len(streams))
    total = counted = 0.0
    read_streams = _read_all(model, [symbols for symbols, _, _ in streams], read or reader(model))
    for place, ((symbols, determined, owner), (predicted, bits)) in enumerate(zip(streams, read_streams, strict=True)):
        asked = determined[1:]
        right[place] = 1 - len(numpy.unique(owner[1:][asked & (predicted != symbols[1:])])) / sequences
        total += float(bits[asked].sum())
        counted += int(asked.sum())
    return Score(numpy.array(lengths), right, total / counted)


def _read_all(model: Any, streams: Sequence[Integers], read: Callable[..., Any]) -> list[tuple[Any, Any]]:
    """Predicted symbols and bits of each stream, (its length - 1,) both, read chunk by chunk, in as many lanes as keep all of them busy.

    Where a stream ends the lane's next one begins, at the next chunk's border and from an empty state.
    """
    chunks = [-(-(len(symbols) - 1) // CHUNK) for symbols in streams]
    lanes: list[list[int]] = []
    for place in sorted(range(len(streams)), key=lambda place: -chunks[place]):  # the longest first, each into the first lane with room
        lane = next((lane for lane in lanes if sum(chunks[other] for other in [*lane, place]) <= max(chunks)), None)
        if lane is None:
            lanes.append([place])
        else:
            lane.append(place)
    symbols = numpy.zeros((max(chunks), CHUNK + 1, len(lanes)), numpy.int64)
    fresh = numpy.zeros((max(chunks), len(lanes)), bool)
    places: dict[int, tuple[int, int]] = {}  # of each stream: its first chunk, its lane
    for number, lane in enumerate(lanes):
        at = 0
        for place in lane:
            places[place], fresh[at, number] = (at, number), True
            for chunk in range(chunks[place]):
                part = streams[place][chunk * CHUNK : (chunk + 1) * CHUNK + 1]  # the last symbol is the next chunk's first
                symbols[at + chunk, : len(part), number] = part
            at += chunks[place]
    with no_grad():
        state = model.initial_state(len(lanes))
    predicted, bits = [], []
    for begin, piece in zip(fresh, symbols, strict=True):
        state, chosen, cost = read(state, begin, piece[:-1], piece[1:])
        predicted.append(to_host(chosen))
        bits.append(to_host(cost))

    def of_stream(place: int, parts: Sequence[Any]) -> Any:
        at, number = places[place]
        return numpy.concatenate([part[:, number] for part in parts[at : at + chunks[place]]])[: len(streams[place]) - 1]

    return [(of_stream(place, predicted), of_stream(place, bits)) for place in range(len(streams))]


def _begun_anew(model: Any, fresh: Any, leaves: Sequence[Any]) -> Any:
    """The state of these leaves, with the model's initial one where a stream begins anew."""
    initial, rebuild = flatten(model.initial_state(fresh.shape[0]))
    begins = [asarray(fresh).reshape(-1, *[1] * (leaf.ndim - 1)) for leaf in initial]  # (batch, 1, …), as many axes as the leaf
    return rebuild([where(begin, leaf, Tensor(of.data)) for begin, leaf, of in zip(begins, initial, leaves, strict=True)])
