"""The formal languages of stack-augmented networks: endless streams of sequences without a mark between them.

Only NumPy here.  A symbol of a sequence is *determined* if whoever has understood the language can know it before he sees
it: in aaabbb the second b is, the first is not, and after the last b the a of the next sequence is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy
import numpy.typing

Integers = numpy.typing.NDArray[numpy.int64]
Flags = numpy.typing.NDArray[numpy.bool_]

SMALLEST = 2  # the smallest n that is drawn and tested


class Sequence(NamedTuple):
    """One sequence: its symbols by number, which of them are determined, and which count in the loss."""

    symbols: Integers  # (time,)
    determined: Flags  # (time,)
    counted: Flags  # (time,)


def _blocks(*multiples: int) -> Callable[[numpy.random.Generator, int], Sequence]:
    """a^(i n) b^(j n) …: everything after the first b follows from n, and so does the a after the end."""

    def draw(rng: numpy.random.Generator, n: int) -> Sequence:
        lengths = [multiple * n for multiple in multiples]
        symbols = numpy.repeat(numpy.arange(len(multiples)), lengths)
        determined = numpy.ones(len(symbols), bool)
        determined[1 : lengths[0] + 1] = False  # how many a's come is not known, nor when the first b comes
        return Sequence(symbols, determined, numpy.ones(len(symbols), bool))

    return draw


def _sum(rng: numpy.random.Generator, n: int) -> Sequence:
    """a^i b^j c^(i+j) with i + j = n: everything after the first c follows."""
    first = int(rng.integers(1, n))
    symbols = numpy.repeat([0, 1, 2], [first, n - first, n])
    determined = numpy.arange(2 * n) > n
    determined[0] = True
    return Sequence(symbols, determined, numpy.ones(2 * n, bool))


def _memorisation(rng: numpy.random.Generator, n: int) -> Sequence:
    """A random word of n letters b and c, the marker a, the word backwards."""
    word = rng.integers(1, 3, n)
    symbols = numpy.concatenate([word, [0], word[::-1]])
    return Sequence(symbols, numpy.arange(2 * n + 1) > n, numpy.ones(2 * n + 1, bool))


def _addition(rng: numpy.random.Generator, n: int) -> Sequence:
    """Two binary numbers of n digits together, each beginning with 1, and their sum with the lowest digit first: 101+1=011."""
    first = int(rng.integers(1, n))
    numbers = [numpy.concatenate([[1], rng.integers(0, 2, length - 1)]) for length in (first, n - first)]
    total = sum(int("".join(map(str, number)), 2) for number in numbers)
    answer = [int(digit) for digit in bin(total)[:1:-1]]  # "0b110" from its end to the b
    symbols = numpy.concatenate([numbers[0], [2], numbers[1], [3], answer, [4]])
    asked = numpy.arange(len(symbols)) > n + 1
    return Sequence(symbols, asked, asked)


_LANGUAGES: dict[str, tuple[str, Callable[[numpy.random.Generator, int], Sequence]]] = {
    "a^n b^n": ("ab", _blocks(1, 1)),
    "a^n b^n c^n": ("abc", _blocks(1, 1, 1)),
    "a^n b^n c^n d^n": ("abcd", _blocks(1, 1, 1, 1)),
    "a^n b^2n": ("ab", _blocks(1, 2)),
    "a^n b^m c^(n+m)": ("abc", _sum),
    "memorisation": ("abc", _memorisation),
    "binary addition": ("01+=.", _addition),
}
COUNTING = tuple(_LANGUAGES)[:5]
"""The counting tasks of the paper's Table 1."""


@dataclass(frozen=True)
class StreamTask:
    """Endless streams of one language, cut into chunks; sequences get longer as training goes on."""

    language: str
    """one of the names in `tasks.languages`, such as "a^n b^n" """
    first: int = 3
    """the largest n at the beginning"""
    longest: int = 15
    """the largest n at the end"""
    grow_every: int = 100
    """updates after which the largest n grows by 1"""
    validated: int = 19
    """the largest n on which runs are compared; the paper's training range, never its test range"""
    reset_every: int = 20
    """sequences after which a stream begins anew with an empty memory, as tests do"""
    chunk: int = 50
    """symbols of each stream in one update; gradients stop at its borders, the state goes on"""

    def __post_init__(self) -> None:
        if self.language not in _LANGUAGES:
            raise ValueError(f"there is no language {self.language!r}; the languages are {', '.join(_LANGUAGES)}")
        counts = self.first, self.longest, self.grow_every, self.validated, self.reset_every, self.chunk
        if any(type(count) is not int or count < 1 for count in counts):
            raise ValueError(f"every count of a stream must be a whole number, at least 1: {self}")
        if not SMALLEST <= self.first <= self.longest:
            raise ValueError(f"sequences have n of at least {SMALLEST}, so it must hold that {SMALLEST} <= first <= longest: {self}")

    @property
    def symbols(self) -> str:
        """The alphabet; a symbol's number is its place in it."""
        return _LANGUAGES[self.language][0]

    @property
    def inputs(self) -> int:
        """Length of an input vector: one-hot symbols."""
        return len(self.symbols)

    @property
    def outputs(self) -> int:
        """Length of an output vector."""
        return len(self.symbols)

    @property
    def rounded(self) -> bool:
        """Are machines with stacks compared with rounded actions?  Not adders: a carry may be a share of an action."""
        return self.language != "binary addition"

    def sequence(self, rng: numpy.random.Generator, n: int) -> Sequence:
        """One sequence of size n (for a^n b^m c^(n+m) and additions, n is what both parts have together)."""
        if type(n) is not int or n < SMALLEST:
            raise ValueError(f"{self.language}: a sequence needs a whole number n of at least {SMALLEST}, got {n}")
        return _LANGUAGES[self.language][1](rng, n)

    def largest(self, update: int) -> int:
        """The largest n that is drawn for update number `update`, counted from 1."""
        return min(self.first + (update - 1) // self.grow_every, self.longest)

    def write(self, symbols: Integers) -> str:
        """Symbols as text."""
        return "".join(self.symbols[symbol] for symbol in symbols)
