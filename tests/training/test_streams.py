"""Endless streams: the scoring protocol against predictors made by hand, and a course whose chunks join."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
from types import SimpleNamespace

import numpy as np
import pytest
from test_loop import everything
from tiny import experiment

import tinymem as tm
from tinymem.engine.structure import flatten
from tinymem.models.lstm import LSTMConfig
from tinymem.models.rnn import RNNConfig
from tinymem.models.sequence import run
from tinymem.models.stack_rnn import StackRNNConfig
from tinymem.tasks.languages import StreamTask
from tinymem.testing import strict
from tinymem.training import streams
from tinymem.training.experiment import run_experiment
from tinymem.training.loop import Schedule, Stopped
from tinymem.training.objectives import bits_per_symbol, one_hot
from tinymem.training.optimisers import Adam
from tinymem.training.streams import StreamCourse, reader, score

EQUAL = StreamTask("a^n b^n")
STACK = StackRNNConfig(2, 2, hidden=6, stacks=2, depth=12, no_op=True)
LENGTHS = range(2, 20)


def rng(seed=0):
    return np.random.default_rng(seed)


# -- predictors made by hand ---------------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Memory:
    """Letters not yet answered (batch, 50), how many they are (batch,), and whether the answer has begun (batch,)."""

    letters: tm.Tensor
    size: tm.Tensor
    answering: tm.Tensor


class Predictor:
    """Someone who has understood: he keeps what he reads, says it back from its end, and knows what comes then.  Some of them err."""

    def __init__(self, language="a^n b^n", most=50, after_the_end=0, while_reading=0, at_the_start=0):
        self.config = SimpleNamespace(inputs=len(StreamTask(language).symbols))
        self.out = SimpleNamespace(b=tm.Tensor(np.zeros(self.config.inputs)))
        self.remembers = language == "memorisation"
        self.most, self.after_the_end, self.while_reading, self.at_the_start = most, after_the_end, while_reading, at_the_start

    def initial_state(self, batch):
        return Memory(
            *(tm.Tensor(np.full(shape, value)) for shape, value in (((batch, 50), 0.0), (batch, self.at_the_start), (batch, 0.0)))
        )

    def step(self, state, x):
        letters, size, answering = (np.array(leaf.data) for leaf in (state.letters, state.size, state.answering))
        said = np.empty(len(size), int)
        for i, symbol in enumerate(x.data.argmax(1)):
            marker = self.remembers and symbol == 0
            if (self.remembers and not marker and not answering[i]) or (not self.remembers and symbol == 0):
                if answering[i]:  # another sequence already
                    size[i] = answering[i] = 0.0
                if size[i] < self.most:
                    letters[i, int(size[i])] = symbol
                    size[i] += 1
                said[i] = self.while_reading
                continue
            answering[i] = 1.0
            size[i] -= not marker
            if size[i] > 0:
                said[i] = letters[i, int(size[i]) - 1] if self.remembers else 1
            else:
                size[i] = answering[i] = 0.0
                said[i] = self.after_the_end
        return Memory(*map(tm.Tensor, (letters, size, answering))), tm.Tensor(10.0 * np.eye(self.config.inputs)[said])


def scored(model, task=EQUAL, lengths=LENGTHS, sequences=4):
    return score(model, task, lengths, sequences, rng(), reader(model, eager=True))


@pytest.mark.parametrize("language", ["a^n b^n", "memorisation"])
def test_who_understands_a_language_solves_every_length(language):
    found = scored(Predictor(language), StreamTask(language))
    assert found.lengths.tolist() == list(LENGTHS)
    assert (found.right == 1).all()
    assert found.solved == 1
    assert 0 < found.bits < 1e-3  # sure of it


def test_who_can_count_to_ten_solves_the_lengths_up_to_ten():
    found = scored(Predictor(most=10))
    assert found.right.tolist() == [1.0] * 9 + [0.0] * 9
    assert found.solved == 0.5
    assert found.bits > 0.5


def test_the_first_symbol_of_the_next_sequence_belongs_to_this_one():
    """All b's right, and then another one said: every sequence is wrong."""
    found = scored(Predictor(after_the_end=1))
    assert not found.right.any()
    assert found.solved == 0


def test_a_symbol_that_nobody_can_know_costs_nothing():
    """How long the a's go on is not to be known, nor the first letter of the next word."""
    assert scored(Predictor(while_reading=1)).right.all()
    for guess in (0, 1, 2):
        assert scored(Predictor("memorisation", while_reading=guess, after_the_end=guess), StreamTask("memorisation")).right.all()


def test_one_wrong_sequence_of_four_is_a_quarter():
    """He believes that an a was there before the beginning, so he is wrong once in each stream; after that he has found his feet."""
    found = scored(Predictor(at_the_start=1))
    np.testing.assert_allclose(found.right, 0.75)
    assert found.solved == 0


@pytest.mark.parametrize(("lengths", "sequences"), [([], 3), (range(2, 4), 0)])
def test_an_empty_score_is_refused(lengths, sequences):
    with pytest.raises(ValueError, match="at least one n and one sequence of each"):
        score(Predictor(), EQUAL, lengths, sequences, rng())


# -- how the streams are read --------------------------------------------------------------------------------------------
MODELS = {
    "stack": STACK,
    "list": StackRNNConfig(2, 2, memory="list", hidden=6, stacks=2, depth=12),
    "RNN": RNNConfig(2, 2, hidden=6),
    "LSTM": LSTMConfig(2, 2, hidden=6, layers=1),
}


def build(name="stack", dtype="float64"):
    """A model with something to remember, and with a start that is no zero where it is learned."""
    model = MODELS[name].build(rng(), dtype)
    model.load_state({key: array + rng(3).normal(scale=0.7, size=array.shape) for key, array in model.state().items()})
    return model


@pytest.mark.parametrize("name", MODELS)
def test_streams_that_share_a_lane_are_read_as_if_alone(name, monkeypatch):
    """Chunks of 8: long streams need many, and short ones follow each other in a lane.  Each stands for itself all the same."""
    monkeypatch.setattr(streams, "CHUNK", 8)
    model, read = build(name), reader(build(name), eager=True)
    widths = []

    def watched(state, fresh, inputs, targets):
        widths.append((len(fresh), int(fresh.sum())))
        return read(state, fresh, inputs, targets)

    together = score(model, EQUAL, LENGTHS, 3, rng(), watched)
    (lanes,) = {width for width, _ in widths}
    assert lanes < len(LENGTHS) == sum(begun for _, begun in widths)
    monkeypatch.setattr(streams, "CHUNK", 256)
    alone = [score(model, EQUAL, [n], 3, rng(), read) for n in LENGTHS]
    np.testing.assert_array_equal(together.right, [one.right[0] for one in alone])
    asked = [3 * n for n in LENGTHS]  # of each sequence n - 1 b's, and the next a
    assert together.bits == pytest.approx(np.average([one.bits for one in alone], weights=asked), rel=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_reader_predicts_what_the_eager_one_does(name):
    model = build(name)
    eager = score(model, EQUAL, range(2, 8), 5, rng(), reader(model, eager=True))
    compiled = score(model, EQUAL, range(2, 8), 5, rng())
    np.testing.assert_array_equal(compiled.right, eager.right)
    assert compiled.bits == pytest.approx(eager.bits, rel=1e-9)
    again = reader(model)
    for _ in range(2):  # a reader that is used again remembers nothing
        assert score(model, EQUAL, range(2, 8), 5, rng(), again).bits == compiled.bits


def test_a_reader_follows_the_parameters():
    model = build()
    read = reader(model)
    before = score(model, EQUAL, [3], 2, rng(), read).bits
    model.load_state({name: 0 * array for name, array in model.state().items()})
    assert score(model, EQUAL, [3], 2, rng(), read).bits == pytest.approx(1) != before


@pytest.mark.parametrize("name", MODELS)
def test_a_score_is_the_same_where_only_the_device_is_allowed(name):
    expected = score(build(name, "float32"), EQUAL, range(2, 6), 2, rng())
    with tm.use(strict.namespace):
        model = build(name, "float32")
        there = score(model, EQUAL, range(2, 6), 2, rng(), reader(model, eager=True))
        compiled = score(model, EQUAL, range(2, 6), 2, rng())
    for found in (there, compiled):
        np.testing.assert_array_equal(found.right, expected.right)
        assert found.bits == pytest.approx(expected.bits, rel=1e-5)


# -- the course of a run -------------------------------------------------------------------------------------------------
def course(task, streams=3, model=None, updates=100, eager=True):
    return StreamCourse(task, model or build(), Schedule(updates, batch=streams), 0, eager)


def texts(task, chunks):
    """What each stream was given, as texts, cut where it began anew; and whether every target is the symbol that follows."""
    found = []
    for place in range(chunks[0].inputs.shape[1]):
        parts: list[str] = []
        for number, chunk in enumerate(chunks):
            inputs, targets = chunk.inputs[:, place], chunk.targets[:, place]
            np.testing.assert_array_equal(inputs[1:], targets[:-1])
            if chunk.fresh[place]:
                parts.append("")
            else:
                assert inputs[0] == chunks[number - 1].targets[-1, place]  # the last target is the next chunk's first input
            parts[-1] += task.write(inputs)
        found.append(parts)
    return found


def test_chunks_join_without_a_gap():
    task = StreamTask("a^n b^n", chunk=7, longest=6, first=6, reset_every=1_000_000)
    of, draws = course(task), rng()
    chunks = [of.draw(draws) for _ in range(40)]
    assert [chunk.fresh.tolist() for chunk in chunks] == [[True] * 3] + [[False] * 3] * 39
    for (text,) in texts(task, chunks):
        assert len(text) == 280
        runs = [(len(a), len(b)) for a, b in re.findall("(a+)(b*)", text)]
        assert "".join("a" * a + "b" * b for a, b in runs) == text
        assert all(a == b for a, b in runs[:-1])  # the last one goes on
        assert {a for a, _ in runs[:-1]} == {2, 3, 4, 5, 6}
    assert len({text for (text,) in texts(task, chunks)}) == 3


def test_a_stream_begins_anew_after_its_sequences():
    task = StreamTask("a^n b^n", chunk=7, longest=6, first=6, reset_every=4)
    of, draws = course(task), rng()
    chunks = [of.draw(draws) for _ in range(60)]
    assert not all(chunk.fresh.all() == chunk.fresh.any() for chunk in chunks)  # each stream in its own time
    for parts in texts(task, chunks):
        assert len(parts) > 5
        for part in parts:
            assert re.match("aab|aaa", part)  # the beginning of a sequence, not the rest of one
            assert part.count("ba") <= 4 + 1


def test_what_does_not_count_is_masked():
    task = StreamTask("binary addition", chunk=200, first=6, longest=6)
    (chunk,) = [course(task, 1, RNNConfig(5, 5, hidden=4).build(rng())).draw(rng())]
    text = task.write(chunk.inputs[:, 0]) + task.write(chunk.targets[-1:, 0])
    for at, (character, counts) in enumerate(zip(text[1:], chunk.mask[:, 0], strict=True), 1):
        asked = text.rfind("=", 0, at) > text.rfind(".", 0, at)
        assert counts == asked, (at, character)


@pytest.mark.parametrize("name", MODELS)
def test_the_carried_state_equals_one_long_run(name):
    task = StreamTask("a^n b^n", chunk=7, reset_every=1_000_000)
    model = build(name)
    of, draws = course(task, model=model), rng()
    chunks = [of.draw(draws) for _ in range(6)]
    in_chunks = [of.loss(model, chunk).item() for chunk in chunks]
    inputs, targets = (np.concatenate([getattr(chunk, part) for chunk in chunks]) for part in ("inputs", "targets"))
    logits = run(model, one_hot(inputs, 2, "float64"))
    at_once = bits_per_symbol(logits, targets, np.ones(targets.shape)).item()
    assert np.mean(in_chunks) == pytest.approx(at_once, rel=1e-6)  # the mask is float32
    assert in_chunks[1] != pytest.approx(of.loss(model, dataclasses.replace(chunks[1], fresh=np.full(3, True))).item(), rel=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_a_stream_that_begins_anew_has_an_empty_memory(name):
    model, task = build(name), StreamTask("a^n b^n", chunk=3)
    chunk = course(task, model=model).draw(rng())
    clean, full = course(task, model=model), course(task, model=model)
    for tensor in full.carried.values():  # what another stream left
        tensor.data = tensor.data + 0.5
    anew = dataclasses.replace(chunk, fresh=np.array([True, False, True]))
    clean.loss(model, anew)
    full.loss(model, anew)
    for expected, tensor in zip(clean.carried.values(), full.carried.values(), strict=True):
        np.testing.assert_array_equal(tensor.data[[0, 2]], expected.data[[0, 2]])
    assert any(
        (tensor.data[1] != expected.data[1]).any() for expected, tensor in zip(clean.carried.values(), full.carried.values(), strict=True)
    )


def test_gradients_stop_where_a_chunk_begins():
    """A learned start has a gradient in a stream that begins anew, and none in one that goes on."""
    model = build("RNN")
    of = course(EQUAL, model=model)
    chunk = of.draw(rng())
    of.loss(model, chunk).backward()
    assert model.h0.grad.any()
    model.h0.grad = None
    of.loss(model, of.draw(rng())).backward()
    assert model.h0.grad is None or not model.h0.grad.any()
    assert all(not tensor.requires_grad for tensor in of.carried.values())


def test_the_learning_rate_falls_through_the_second_half():
    of = course(EQUAL, updates=100)
    paces = []
    for update in (1, 50, 75, 90, 100):
        of.update = update
        paces.append(of.pace)
    assert paces == pytest.approx([1, 1, 0.5, 0.2, 0.05])


def test_validation_reads_with_rounding_and_only_training_lengths(monkeypatch):
    asked = {}

    def watched(model, task, lengths, *rest):
        asked.update(rounding=model.rounding, lengths=lengths)
        return score(model, task, lengths, *rest)

    monkeypatch.setattr(streams, "score", watched)
    model = build()
    value = course(EQUAL, model=model).validate(model)
    assert asked == {"rounding": True, "lengths": range(2, 20)}
    assert value == course(EQUAL, model=model).validate(model)  # the same sequences each time
    assert 0 < value < 1 + 1e-3


# -- a whole run ---------------------------------------------------------------------------------------------------------
SHORT = Schedule(12, batch=2, log_every=4, validate_every=4, checkpoint_every=6, clip=1.0, clip_by="norm")


def stream_run(model=STACK, **changes):
    task = StreamTask("a^n b^n", chunk=9, reset_every=2, longest=4)
    return experiment(**{"model": model, "task": task, "optimiser": Adam(0.01), "schedule": SHORT, **changes})


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("update", [3, 5, 8])
def test_an_interrupted_run_on_streams_ends_in_the_state_of_an_uninterrupted_one(tmp_path, monkeypatch, name, update):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run_experiment(stream_run(MODELS[name]), whole, progress=False)
    draw = StreamCourse.draw

    def interrupting(self, draws):
        if self.update == update - 1:
            os.kill(os.getpid(), signal.SIGINT)
        return draw(self, draws)

    with monkeypatch.context() as patch:
        patch.setattr(StreamCourse, "draw", interrupting)
        with pytest.raises(Stopped, match=f"stopped at update {update} of 12"):
            run_experiment(stream_run(MODELS[name]), parts, progress=False)
    run_experiment(stream_run(MODELS[name]), parts, progress=False)
    assert everything(parts) == everything(whole)


def test_compiled_updates_learn_what_eager_ones_do(tmp_path):
    compiled = run_experiment(stream_run(dtype="float64"), tmp_path / "compiled", progress=False)
    eager = run_experiment(stream_run(dtype="float64"), tmp_path / "eager", progress=False, eager=True)
    for line, other in zip(compiled, eager, strict=True):
        assert line["loss"] == pytest.approx(other["loss"], rel=1e-8)
        assert line["validation"] == pytest.approx(other["validation"], rel=1e-8)
        assert line["largest"] == other["largest"]


@pytest.mark.parametrize("eager", [False, True])
def test_a_run_on_streams_is_the_same_where_only_the_device_is_allowed(tmp_path, eager):
    plain = run_experiment(stream_run(), tmp_path / "numpy", progress=False)
    with tm.use(strict.namespace):
        device = run_experiment(stream_run(), tmp_path / "strict", progress=False, eager=eager)
    for line, other in zip(device, plain, strict=True):
        assert line["loss"] == pytest.approx(other["loss"], rel=1e-4)
        assert line["validation"] == pytest.approx(other["validation"], rel=1e-4)


def test_the_state_that_goes_on_is_the_one_of_the_streams(tmp_path):
    """In a checkpoint: the state after the last chunk, for as many streams as the schedule has."""
    run_experiment(stream_run(), tmp_path, progress=False)
    carried = {
        name: shape
        for name, shape in ((n, np.frombuffer(a, np.float32).size) for n, a in everything(tmp_path)[0].items())
        if "carried" in name
    }
    leaves, _ = flatten(STACK.build(rng()).initial_state(2))
    assert [*carried.values()] == [leaf.size for leaf in leaves]
