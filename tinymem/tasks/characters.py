"""Text as numbers: what every task that is read and written one character at a time shares.

Only NumPy here: an alphabet numbers its symbols, and a batch of examples becomes arrays for teacher forcing: at every step the true
character goes in and the next one is asked for; only the characters of the answer count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy
import numpy.typing

Numbers = numpy.typing.NDArray[numpy.int64]
Floats = numpy.typing.NDArray[numpy.float32]


class CharacterError(ValueError):
    """A character that the alphabet does not have; the message says which, where, and what is allowed."""


@dataclass(frozen=True)
class Alphabet:
    """The characters a task is written in; a character's number is its place in `symbols`."""

    symbols: str

    def __post_init__(self) -> None:
        if not self.symbols or len(set(self.symbols)) != len(self.symbols):
            raise ValueError(f"an alphabet needs at least one symbol and each only once, got {self.symbols!r}")

    def __len__(self) -> int:
        return len(self.symbols)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {symbol: number for number, symbol in enumerate(self.symbols)}

    def encode(self, text: str) -> Numbers:
        """The numbers of the characters, (length,); a character that is not a symbol raises CharacterError."""
        numbers = self._numbers
        try:
            return numpy.fromiter((numbers[character] for character in text), numpy.int64, len(text))
        except KeyError:
            place = next(place for place, character in enumerate(text) if character not in numbers)
            line, column = text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)
            raise CharacterError(
                f"line {line}, column {column}: the character {text[place]!r} is not in the alphabet; allowed are {self.symbols!r}"
            ) from None

    def decode(self, numbers: Iterable[int] | Numbers) -> str:
        """The text of the numbers: the inverse of `encode`."""
        numbers = [int(number) for number in numbers]
        if not all(0 <= number < len(self) for number in numbers):
            raise ValueError(f"the alphabet has the numbers 0 to {len(self) - 1}, got {numbers}")
        return "".join(self.symbols[number] for number in numbers)


@dataclass(frozen=True)
class Example:
    """What is read and what is to be written after it, both with their end marks."""

    text: str
    answer: str

    def __post_init__(self) -> None:
        if not self.text or not self.answer:
            raise ValueError(f"an example needs a text and an answer of at least one character each, got {self}")


@dataclass(frozen=True)
class CharacterBatch:
    """Examples side by side, time first; behind its end a shorter one is filled up with symbol 0, where nothing counts."""

    inputs: Numbers  # (time, batch), the character that is read
    targets: Numbers  # (time, batch), the character that follows
    mask: Floats  # (time, batch), 1 where the target is a character of the answer


def batch_of(examples: Sequence[Example], alphabet: Alphabet, round_to: int = 8) -> CharacterBatch:
    """The examples as arrays; text + answer is one stream, its first character is never a target and its last never an input.

    The time of the longest is rounded up to a multiple of `round_to`, so that a compiled step meets few shapes.
    """
    if not examples:
        raise ValueError("a batch needs at least one example")
    if type(round_to) is not int or round_to < 1:
        raise ValueError(f"round_to is a whole number of at least 1, got {round_to!r}")
    longest = max(len(example.text) + len(example.answer) for example in examples) - 1
    time = -(-longest // round_to) * round_to
    inputs = numpy.zeros((time, len(examples)), numpy.int64)
    targets = numpy.zeros((time, len(examples)), numpy.int64)
    mask = numpy.zeros((time, len(examples)), numpy.float32)
    for column, example in enumerate(examples):
        stream = alphabet.encode(example.text + example.answer)  # (length + 1,)
        length = len(stream) - 1
        inputs[:length, column] = stream[:-1]
        targets[:length, column] = stream[1:]
        mask[len(example.text) - 1 : length, column] = 1.0  # the answer begins where the text's last character is read
    return CharacterBatch(inputs, targets, mask)
