"""Learning to Execute: short programs as text, and the number they print (Zaremba & Sutskever 2014, arXiv 1410.4615).

An LSTM reads a Python program character by character and has to write what it prints. Two numbers say how hard a program is: `length`,
the digits of its integers, and `nesting`, how many operations are combined. The three tasks of the paper are here (addition, programs,
memorising digits), and their split into training, validation and test.

In a stream of characters a line ends in `#`, what is read ends in `@`, and an answer in `.`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from string import ascii_lowercase, digits
from typing import Literal, get_args

import numpy

from tinymem.tasks.characters import Alphabet, Example

ALPHABET = Alphabet(digits + ascii_lowercase + " ()+-*=<>:;#@.")

Hardness = Callable[[], tuple[int, int]]
"""Draws (length, nesting); called again for every integer literal, so that one program may mix lengths."""

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

MOST_DIGITS = 15  # a float64 times 10**15 still reaches every whole number
VARIABLES = "abcdefghij"  # x is the loop's
ATTEMPTS = 1000  # two of three examples lie in another split: (2/3)**1000 is never


def split_of(text: str) -> Split:
    """The split a text belongs to, for ever and on every machine (Python's own hash is salted), so that no test program was trained on."""
    return SPLITS[zlib.crc32(text.encode()) % len(SPLITS)]


def scrambled(text: str, rng: numpy.random.Generator) -> str:
    """The text as a network sees it that knows no Python: each character stands for another one, always the same (LTE Fig. 2).

    Line breaks (`#` in a stream) stay, everything else changes, spaces too: nothing hints at where a word ends.
    """
    text = text.replace("#", "\n")
    Alphabet(ALPHABET.symbols + "\n").encode(text)  # refuses what has no number
    order = rng.permutation([symbol for symbol in ALPHABET.symbols if symbol != "#"]).tolist()
    following = [symbol.replace(" ", "#") for symbol in order[1:] + order[:1]]  # `#` is free, and is seen where a space is not
    return text.translate(str.maketrans(dict(zip(order, following, strict=True))))


# --- drawing programs ---


@dataclass(frozen=True)
class Program:
    """A Python program and the number it prints."""

    source: str
    value: int

    @property
    def text(self) -> str:
        """The stream of characters that is read."""
        return self.source.replace("\n", "#") + "@"

    @property
    def answer(self) -> str:
        """The characters that are to be written."""
        return f"{self.value}."


Operand = tuple[str, int]  # an expression and its value
_SYMBOL = {1: "+", -1: "-"}


def _uniforms(rng: numpy.random.Generator) -> Iterator[float]:
    """Numbers in [0, 1), many with one call: a call costs more than a program's other work."""
    while True:
        yield from rng.random(32).tolist()


def _length_of(hardness: Hardness) -> int:
    length, _ = hardness()
    if not 1 <= length <= MOST_DIGITS:
        raise ValueError(f"the length of an integer is 1 to {MOST_DIGITS} digits, got {length}")
    return length


class _Draft:
    """A program being written: its lines so far, and the expression that the next operation takes up.

    The six operations take operands and give back an expression with its value; an assignment or a loop also adds its lines.
    """

    def __init__(self, rng: numpy.random.Generator, hardness: Hardness):
        self.hardness = hardness
        self.uniform = _uniforms(rng).__next__
        self.variables = list(VARIABLES)
        self.lines: list[str] = []
        self.stack: list[Operand] = []

    def up_to(self, largest: int) -> int:
        """A whole number in 1 … largest, each as likely."""
        return 1 + int(self.uniform() * largest)

    def small(self) -> int:
        """A factor or the rounds of a loop."""
        return self.up_to(4 * _length_of(self.hardness))

    def sign(self) -> int:
        return 1 if self.uniform() < 0.5 else -1

    def variable(self) -> str:
        return self.variables.pop(self.up_to(len(self.variables)) - 1)

    def operand(self) -> Operand:
        """The expression written last; where there is none, a new integer."""
        if self.stack:
            return self.stack.pop()
        value = self.up_to(10 ** _length_of(self.hardness))
        return str(value), value

    def operands(self, count: int) -> list[Operand]:
        """Operands in random order."""
        return sorted([self.operand() for _ in range(count)], key=lambda operand: self.uniform())

    def pair(self) -> Operand:
        (a, a_value), (b, b_value) = self.operands(2)
        sign = self.sign()
        return f"({a}{_SYMBOL[sign]}{b})", a_value + sign * b_value

    def small_multiplication(self) -> Operand:
        a, a_value = self.operand()
        b = self.small()
        return (f"({a}*{b})" if self.sign() > 0 else f"({b}*{a})"), a_value * b

    def equality(self) -> Operand:
        return self.operand()

    def assignment(self) -> Operand:
        v = self.variable()
        (a, a_value), (b, b_value) = self.operands(2)
        sign = self.sign()
        self.lines.append(f"{v}={a}")
        return f"({v}{_SYMBOL[sign]}{b})", a_value + sign * b_value

    def small_loop(self) -> Operand:
        v = self.variable()
        (a, a_value), (b, b_value) = self.operands(2)
        rounds, sign = self.small(), self.sign()
        self.lines += [f"{v}={a}", f"for x in range({rounds}):{v}{_SYMBOL[sign]}={b}"]
        return v, a_value + sign * rounds * b_value

    def conditional(self) -> Operand:
        (a, a_value), (b, b_value), (c, c_value), (d, d_value) = self.operands(4)
        sign = self.sign()
        return f"({c} if {a}{'>' if sign > 0 else '<'}{b} else {d})", c_value if sign * a_value > sign * b_value else d_value


_OPERATIONS = (_Draft.pair, _Draft.small_multiplication, _Draft.equality, _Draft.assignment, _Draft.small_loop, _Draft.conditional)


def draw_program(rng: numpy.random.Generator, hardness: Hardness) -> Program:
    """A random program by the rules of the authors' generator.

    `nesting` times one of six operations is drawn, each as likely. It takes the expression of the one before, fills up with integers, each
    uniform in [1, 10^length], puts its operands in random order, and leaves a new expression; the last one is printed:

    - pair: `(a+b)` or `(a-b)`
    - small multiplication: `(a*b)` or `(b*a)`, b in [1, 4 length]
    - equality: `a`; nothing is written, so a program may show fewer operations than its nesting
    - assignment: a line `v=a`, then `(v+b)` or `(v-b)`
    - small loop: lines `v=a` and `for x in range(k):v+=b` (or `-=`), k in [1, 4 length], then `v`
    - conditional: `(c if a>b else d)` or `<`

    Three spellings differ between the authors' code and the figures of the paper. A loop's body stands on the loop's line, as in the code
    (the figures break the line); a conditional has parentheses, as in the code; an assignment has no semicolon, as in the figures.
    """
    _, nesting = hardness()
    if not 1 <= nesting <= len(VARIABLES):  # each operation may need a variable of its own
        raise ValueError(f"the nesting of a program is 1 to {len(VARIABLES)} operations, got {nesting}")
    draft = _Draft(rng, hardness)
    for _ in range(nesting):
        operation = _OPERATIONS[draft.up_to(len(_OPERATIONS)) - 1]
        draft.stack.append(operation(draft))
    expression, value = draft.stack.pop()
    return Program("\n".join([*draft.lines, f"print({expression})"]), value)


# --- the three tasks ---


def _in_split(split: Split, draw: Callable[[], tuple[str, Example]]) -> Example:
    """Draws until the text that decides, the first of the two, falls into the split."""
    if split not in SPLITS:
        raise ValueError(f"a split is one of {', '.join(SPLITS)}, got {split!r}")
    for _ in range(ATTEMPTS):
        decisive, example = draw()
        if split_of(decisive) == split:
            return example
    raise ValueError(f"none of {ATTEMPTS} examples of this hardness is in the split {split!r}; make it harder, so that there are more")


@dataclass(frozen=True)
class AdditionTask:
    """Two numbers of the same length are added: `print(12+34)@`, answer `46.`. The hardness gives their digits, without a leading zero."""

    digits: int = 3
    """digits of each number at the hardest"""

    def __post_init__(self) -> None:
        if type(self.digits) is not int or not 1 <= self.digits <= MOST_DIGITS:
            raise ValueError(f"addition needs a whole number of 1 to {MOST_DIGITS} digits, got {self}")

    @property
    def alphabet(self) -> Alphabet:
        """The characters of all examples."""
        return ALPHABET

    @property
    def easiest(self) -> tuple[int, int]:
        """(digits, 1), where a curriculum begins."""
        return 1, 1

    @property
    def hardest(self) -> tuple[int, int]:
        """(digits, 1), where it ends."""
        return self.digits, 1

    @property
    def longest_text(self) -> int:
        """Characters of the longest text that is ever drawn."""
        return len("print(+)@") + 2 * self.digits

    def example(self, rng: numpy.random.Generator, hardness: Hardness, split: Split) -> Example:
        """A random sum of the split."""

        def draw() -> tuple[str, Example]:
            length = _length_of(hardness)
            a, b = rng.integers(10 ** (length - 1), 10**length, 2).tolist()
            text = f"print({a}+{b})@"
            return text, Example(text, f"{a + b}.")

        return _in_split(split, draw)


@dataclass(frozen=True)
class ExecutionTask:
    """A program is executed: `a=5#print((a+3))@`, answer `8.`."""

    length: int = 3
    """digits of the integers at the hardest"""
    nesting: int = 2
    """operations of a program at the hardest"""

    def __post_init__(self) -> None:
        whole = type(self.length) is int and type(self.nesting) is int
        if not whole or not 1 <= self.length <= MOST_DIGITS or not 1 <= self.nesting <= len(VARIABLES):
            raise ValueError(f"execution needs whole numbers, length 1 to {MOST_DIGITS} and nesting 1 to {len(VARIABLES)}, got {self}")

    @property
    def alphabet(self) -> Alphabet:
        """The characters of all examples."""
        return ALPHABET

    @property
    def easiest(self) -> tuple[int, int]:
        """(length, nesting), where a curriculum begins."""
        return 1, 1

    @property
    def hardest(self) -> tuple[int, int]:
        """(length, nesting), where it ends."""
        return self.length, self.nesting

    @property
    def longest_text(self) -> int:
        """Characters that no text drawn exceeds: every operation a loop or a conditional expression, every integer the largest."""
        integer, rounds = len(str(10**self.length)), len(str(4 * self.length))
        loop = len("a=#for x in range():a+=#a") + rounds + integer
        conditional = len("( if > else )") + 3 * integer
        return len("print()@") + integer + self.nesting * max(loop, conditional)

    def example(self, rng: numpy.random.Generator, hardness: Hardness, split: Split) -> Example:
        """A random program of the split."""

        def draw() -> tuple[str, Example]:
            program = draw_program(rng, hardness)
            return program.text, Example(program.text, program.answer)

        return _in_split(split, draw)


@dataclass(frozen=True)
class MemorisationTask:
    """Digits are read and written again: `12345@`, answer `12345.`. The hardness gives how many.

    The input may be turned round (`54321@`), which brings the first digit close to where it is asked for, or come twice (`12345;12345@`),
    or both. The digits alone decide the split, so that all four forms are trained and tested on the same ones.
    """

    shortest: int = 5
    """fewest digits"""
    longest: int = 20
    """most digits"""
    inverted: bool = False
    """last digit first"""
    doubled: bool = False
    """the input twice"""

    def __post_init__(self) -> None:
        whole = type(self.shortest) is int and type(self.longest) is int
        if not whole or not 1 <= self.shortest <= self.longest:
            raise ValueError(f"memorisation needs whole numbers and 1 <= shortest <= longest, got {self}")
        if type(self.inverted) is not bool or type(self.doubled) is not bool:
            raise ValueError(f"memorisation: inverted and doubled are True or False, got {self}")

    @property
    def alphabet(self) -> Alphabet:
        """The characters of all examples."""
        return ALPHABET

    @property
    def easiest(self) -> tuple[int, int]:
        """(digits, 1), where a curriculum begins."""
        return self.shortest, 1

    @property
    def hardest(self) -> tuple[int, int]:
        """(digits, 1), where it ends."""
        return self.longest, 1

    @property
    def longest_text(self) -> int:
        """Characters of the longest text that is ever drawn."""
        return len(";@") + 2 * self.longest if self.doubled else len("@") + self.longest

    def example(self, rng: numpy.random.Generator, hardness: Hardness, split: Split) -> Example:
        """Random digits of the split."""

        def draw() -> tuple[str, Example]:
            length, _ = hardness()
            if length < 1:
                raise ValueError(f"memorisation: at least one digit, got {length}")
            remembered = "".join(map(str, rng.integers(0, 10, length).tolist()))
            read = remembered[::-1] if self.inverted else remembered
            return remembered, Example(f"{read};{read}@" if self.doubled else f"{read}@", f"{remembered}.")

        return _in_split(split, draw)
