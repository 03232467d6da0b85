"""What a model answers: its accuracy counts the answer's characters and no others, and what it writes is greedy decoding."""

from types import SimpleNamespace

import numpy as np
import pytest

import tinymem as tm
from tinymem.models.lstm import LSTMConfig
from tinymem.models.sequence import run
from tinymem.tasks.characters import Alphabet, CharacterError, Example
from tinymem.tasks.programs import ALPHABET, AdditionTask, ExecutionTask
from tinymem.training.answers import TOGETHER, Accuracy, accuracy, answerer, write
from tinymem.training.objectives import one_hot

TASK = AdditionTask(2)


def told(examples, wrong):
    """A hand-made measure: it names the next character of each example, except at `wrong`, {example: places in its stream}."""
    streams = {example.text + example.answer: index for index, example in enumerate(examples)}

    def measure(inputs):
        predicted = np.full(inputs.shape, ALPHABET.encode("z")[0])  # never right where nothing counts
        for column in range(inputs.shape[1]):
            text = ALPHABET.decode(inputs[:, column])
            stream = max((stream for stream in streams if text.startswith(stream[:-1])), key=len)
            for place, due in enumerate(ALPHABET.encode(stream[1:])):
                predicted[place, column] = due if place + 1 not in wrong.get(streams[stream], ()) else (due + 1) % len(ALPHABET)
        return predicted

    return measure


EXAMPLES = [Example("print(12+34)@", "46."), Example("print(98+76)@", "174."), Example("print(5+1)@", "6.")]


@pytest.mark.parametrize(
    ("wrong", "characters", "answers"),
    [
        ({}, 9, 3),
        ({0: [len(EXAMPLES[0].text)]}, 8, 2),  # its first character
        ({1: [len(EXAMPLES[1].text) + 3]}, 8, 2),  # an end mark
        ({1: range(20)}, 5, 2),
        ({0: [1, 5, 12], 1: [3], 2: [10]}, 9, 3),  # the program itself, its end too, does not count
        ({0: [13], 1: [13], 2: [11, 12]}, 5, 0),
        ({0: range(20), 1: range(20), 2: range(20)}, 0, 0),
    ],
)
def test_the_characters_of_the_answer_count_and_no_others(wrong, characters, answers):
    assert accuracy(told(EXAMPLES, wrong), TASK, EXAMPLES) == Accuracy(characters / 9, answers / 3, 3)


def test_more_examples_than_are_read_together():
    rng = np.random.default_rng(0)
    task = ExecutionTask(2, 2)
    examples = list({e.text: e for e in (task.example(rng, lambda: task.hardest, "test") for _ in range(2 * TOGETHER + 40))}.values())
    assert len(examples) > 2 * TOGETHER
    wrong = {index: [len(examples[index].text)] for index in range(0, len(examples), 3)}
    asked = sum(len(example.answer) for example in examples)
    found = accuracy(told(examples, wrong), task, examples)
    assert found == Accuracy((asked - len(wrong)) / asked, (len(examples) - len(wrong)) / len(examples), len(examples))


def constant(character):
    """A model that says one character, whatever it reads."""
    model = LSTMConfig(len(ALPHABET), len(ALPHABET), hidden=3, layers=1).build(np.random.default_rng(0))
    model.out.W.data = model.out.W.data * 0
    model.out.b.data = np.eye(len(ALPHABET), dtype=np.float32)[ALPHABET.encode(character)[0]]
    return model


@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize(("character", "right", "whole"), [("6", 2, 0), (".", 3, 0), ("9", 0, 0)])
def test_an_answerer_names_the_most_probable_character_at_every_step(eager, character, right, whole):
    assert accuracy(answerer(constant(character), eager), TASK, EXAMPLES) == Accuracy(right / 9, whole / 3, 3)


def test_an_answerer_agrees_with_its_model():
    model = LSTMConfig(len(ALPHABET), len(ALPHABET), hidden=8, layers=2).build(np.random.default_rng(3))
    inputs = np.random.default_rng(0).integers(0, len(ALPHABET), (9, 4))
    with tm.no_grad():
        logits = run(model, one_hot(inputs, len(ALPHABET), "float32")).data
    for eager in (True, False):
        assert np.array_equal(tm.to_host(answerer(model, eager)(inputs)), logits.argmax(2))


def test_no_example_has_no_accuracy():
    with pytest.raises(ValueError, match="at least one example"):
        accuracy(told([], {}), TASK, [])


# --- writing ---


def greedy(model, text, longest):
    """Everything is read again for every character: what `write` does, without a state that is carried on."""
    written, rows = "", []
    while len(written) < longest and not written.endswith("."):
        with tm.no_grad():
            logits = run(model, one_hot(ALPHABET.encode(text + written)[:, None], len(ALPHABET), "float64")).data[-1, 0]
        rows.append(np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum())
        written += ALPHABET.symbols[logits.argmax()]
    return written, np.array(rows)


def decided(seed):
    """A random model that writes this and that."""
    model = LSTMConfig(len(ALPHABET), len(ALPHABET), hidden=12, layers=1 + seed % 2).build(np.random.default_rng(seed), "float64")
    for cell in model.cells:
        cell.W.data, cell.U.data = 8 * cell.W.data, 4 * cell.U.data
    model.out.W.data = 6 * model.out.W.data
    return model


@pytest.mark.parametrize("seed", range(6))
def test_writing_is_greedy_decoding(seed):
    text, probabilities = greedy(decided(seed), "a=5#print((a+3))@", 12)
    written = write(decided(seed), ALPHABET, "a=5#print((a+3))@", longest=12)
    assert len(set(text)) > 3
    assert written.text == text
    assert written.probabilities == pytest.approx(probabilities)
    assert written.probabilities.shape == (len(text), len(ALPHABET))
    assert [ALPHABET.symbols[row.argmax()] for row in written.probabilities] == list(text)


class Counting:
    """A model that says 0, 1, 2, … from the first character on that it reads, whatever it is; its state is the step."""

    config = SimpleNamespace(inputs=len(ALPHABET))
    out = SimpleNamespace(b=tm.Tensor([0.0]))

    def initial_state(self, batch):
        return tm.Tensor(np.zeros((batch, 1)))

    def step(self, state, x):
        places = tm.Tensor(np.arange(len(ALPHABET), dtype=float))
        return state + 1, -((state - places) ** 2)


def test_the_first_character_is_the_one_after_the_last_that_was_read():
    assert write(Counting(), ALPHABET, "@", longest=5).text == "01234"
    assert write(Counting(), ALPHABET, "abc", longest=5).text == "23456"  # it has read three


def test_writing_stops_at_the_end_mark():
    written = write(constant("."), ALPHABET, "print(1+2)@")
    assert written.text == "."
    assert written.probabilities.shape == (1, len(ALPHABET))
    late = ALPHABET.symbols.index(".")  # Counting comes to it at last
    assert write(Counting(), ALPHABET, "@", longest=200).text == ALPHABET.symbols[: late + 1]


@pytest.mark.parametrize("longest", [1, 7, 20])
def test_writing_stops_at_the_longest(longest):
    assert write(constant("7"), ALPHABET, "1@", longest).text == "7" * longest
    assert write(constant("7"), ALPHABET, "1@").text == "7" * 20


def test_what_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match="nothing to read"):
        write(constant("7"), ALPHABET, "")
    with pytest.raises(CharacterError, match="line 1, column 7: the character 'A'"):
        write(constant("7"), ALPHABET, "print(A)@")
    with pytest.raises(CharacterError, match=r"the character '@' is not in the alphabet; allowed are '01\.'"):
        write(constant("7"), Alphabet("01."), "10@")


def test_where_only_the_device_is_allowed_the_answers_are_the_same():
    from tinymem.testing import strict

    def answers():
        model = decided(2)
        return accuracy(answerer(model, eager=True), TASK, EXAMPLES), write(model, ALPHABET, "print(12+34)@")

    plain, written = answers()
    with tm.use(strict.namespace):
        device, there = answers()
    assert device == plain
    assert there.text == written.text
    assert there.probabilities == pytest.approx(written.probabilities)
