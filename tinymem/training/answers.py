"""What a character model answers: how much of it is right when it is told its answer so far, and what it writes on its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy

from tinymem.engine.backend import asarray, to_host
from tinymem.engine.compile.compiled import compile
from tinymem.engine.graph import no_grad
from tinymem.engine.ops import argmax, softmax
from tinymem.models.sequence import advance, run
from tinymem.tasks.characters import Alphabet, Example, batch_of
from tinymem.training.objectives import one_hot

TOGETHER = 256  # examples read side by side
END = "."


class CharacterTask(Protocol):
    @property
    def alphabet(self) -> Alphabet: ...


@dataclass(frozen=True)
class Accuracy:
    """Shares of what was right under teacher forcing: of the answers' characters, and of whole answers."""

    characters: float
    answers: float
    count: int
    """how many answers"""


def answerer(model: Any, eager: bool = False) -> Callable[..., Any]:
    """The step of an evaluation: characters read (time, batch) -> the most probable character after each."""

    def answer(inputs: Any) -> Any:
        with no_grad():
            return argmax(run(model, one_hot(inputs, model.config.inputs, model.out.b.dtype)), 2)

    return answer if eager else compile(answer, state=model)


def accuracy(measure: Callable[..., Any], task: CharacterTask, examples: Sequence[Example]) -> Accuracy:
    """How many characters and how many whole answers an `answerer` gets right; the characters are those of the answer, its end mark too."""
    if not examples:
        raise ValueError("an accuracy needs at least one example")
    right = asked = whole = 0
    in_order = sorted(examples, key=lambda example: len(example.text) + len(example.answer))  # little filling up
    for start in range(0, len(in_order), TOGETHER):
        some = in_order[start : start + TOGETHER]
        batch = batch_of(some + [some[-1]] * (TOGETHER - len(some)), task.alphabet)  # always as many: one program for each length
        hit = (to_host(measure(asarray(batch.inputs))) == batch.targets)[:, : len(some)]
        counts = batch.mask[:, : len(some)] > 0
        right += int((hit & counts).sum())
        asked += int(counts.sum())
        whole += int((hit | ~counts).all(0).sum())
    return Accuracy(right / asked, whole / len(examples), len(examples))


@dataclass(frozen=True)
class Written:
    """An answer that a model wrote on its own, character by character."""

    text: str
    probabilities: numpy.ndarray[Any, Any]
    """(length of the text, alphabet): how probable each character was at each place"""


def write(model: Any, alphabet: Alphabet, text: str, longest: int = 20) -> Written:
    """Read `text` and write until the end mark: each time the most probable character, which is then read in turn.

    Stops after `longest` characters.  CharacterError for a character the model cannot read; ValueError for an empty text.
    """
    if not text:
        raise ValueError("there is nothing to read; give a text of at least one character")
    written, shares = "", []
    with no_grad():
        read, state = alphabet.encode(text)[:, None], model.initial_state(1)
        while len(written) < longest and not written.endswith(END):
            state, logits = advance(model, state, one_hot(asarray(read), len(alphabet), model.out.b.dtype))
            shares.append(to_host(softmax(logits[-1], 1))[0])
            read = shares[-1].argmax()[None, None]
            written += alphabet.decode(read[0])
    return Written(written, numpy.array(shares))
