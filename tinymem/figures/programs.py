"""Programs as text: what the LSTM reads, and what it answers (Zaremba & Sutskever 2014)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from tinymem.figures.checks import Array, check_shares, checked
from tinymem.figures.panels import axes_at, colour_bar, heat_map
from tinymem.figures.style import BLACK, BLUE, GREEN, GREY, PALE, SKY, SLIDE, VERMILLION, styled

RIGHT, WRONG, UNKNOWN = GREEN, VERMILLION, SKY
ANSWERING = ".-0123456789"
"""The characters that answers are made of, bottom to top."""

SMALLEST, LARGEST = 12.0, 20.0  # points, of a listing
ADVANCE = 0.6021  # em: a character's width in DejaVu Sans Mono
HINTING = 0.36  # points: half a pixel at 100 dpi, by which a picture may widen a character to whole pixels
LINE = 1.4  # em: from line to line
PADDING = 0.16  # inches between a listing and its box
ANSWER = 0.85  # inches from the edge of a listing to the answer below it
HEADINGS = ("what we see", "what the LSTM sees: the same, each character replaced by a fixed other one")
LONGEST = 24  # places of an answer that can still be told apart
NAMED, GIVEN = 1.125, 1.045  # heights above the heat map: the character chosen, its probability


@styled
def programs_seen(programs: Sequence[tuple[str, str, str, str]], title: str = "Can an LSTM learn to execute Python code?") -> Figure:
    """Zaremba & Sutskever 2014, Figs. 1 and 2: programs and their targets as we read them, and below as the LSTM sees them.

    programs: one to three of (source, answer, scrambled source, scrambled answer), a column each; in the scrambled ones
    each character is replaced by a fixed other one.  The longest line decides the size of the letters, 20 points at most
    and 12 at least; a line that is still too long goes on after ↪.
    """
    if not 1 <= len(programs) <= 3:
        raise ValueError(f"programs_seen draws one to three programs, got {len(programs)}")
    for index, program in enumerate(programs):
        if isinstance(program, str) or len(program) != 4:
            raise ValueError(f"programs[{index}] must be (source, answer, scrambled source, scrambled answer)")
    left, gap, head, under, between = 0.13, 0.45, 0.45, 0.1, 0.35  # inches
    wide = (SLIDE - 2 * left - (len(programs) - 1) * gap) / len(programs)
    texts = [[_lines(f"programs[{index}]", text) for text in program] for index, program in enumerate(programs)]
    room = [wide, wide - ANSWER, wide, wide - ANSWER]
    size = min(_letter_size([program[part] for program in texts], room[part]) for part in range(4))
    folded = [[_folded(lines, room[part], size) for part, lines in enumerate(program)] for program in texts]
    deep = [max(len(program[part]) for program in folded) for part in range(4)]  # lines of the longest of each part
    heights = [head + _tall(deep[part], size) + under + deep[part + 1] * LINE * size / 72 for part in (0, 2)]
    up = 0.75 + sum(heights) + between + 0.12
    figure = Figure(figsize=(SLIDE, up))
    figure.suptitle(title, x=0.13 / SLIDE, y=1 - 0.16 / up, ha="left", va="top")
    top = up - 0.75
    for part, height, heading, colour in zip((0, 2), heights, HEADINGS, (BLUE, VERMILLION), strict=True):
        _say(figure, left, top - 0.2, heading, color=colour, fontweight="bold", va="center")
        for column, lines in enumerate(folded):
            x = left + column * (wide + gap)
            _listing(figure, x, top - head, wide, lines[part], size, deep[part])
            below = top - head - _tall(deep[part], size) - under
            _say(figure, x + PADDING, _baseline(below, 0, size), "target", color=GREY, va="baseline")
            _write(figure, x + PADDING + ANSWER, below, lines[part + 1], size, fontweight="bold")
        top -= height + between
    return figure


def _lines(name: str, text: object) -> list[str]:
    """The lines of a program, of an answer: what can be printed, at least one character of it."""
    if not isinstance(text, str):
        raise ValueError(f"{name} must be text, got {type(text).__name__}")
    lines = text.expandtabs(4).rstrip("\n").split("\n")
    if not any(line.strip() for line in lines):
        raise ValueError(f"{name} holds an empty text")
    for line in lines:
        if not line.isprintable():
            raise ValueError(f"{name} holds a character that cannot be printed: {line!r}")
    return lines


def _letter_size(texts: Iterable[Sequence[str]], wide: float) -> float:
    """The size in points at which the longest line fills a box so many inches wide, within SMALLEST … LARGEST."""
    longest = max(len(line) for lines in texts for line in lines)
    return min(max(((wide - 2 * PADDING) * 72 / longest - HINTING) / ADVANCE, SMALLEST), LARGEST)


def _folded(lines: Sequence[str], wide: float, size: float) -> list[str]:
    """The lines, those too long for the box broken."""
    fits = int((wide - 2 * PADDING) * 72 / (ADVANCE * size + HINTING) + 1e-9)
    folded = []
    for line in lines:
        folded.append(line[:fits])
        folded += [f"↪ {line[start : start + fits - 2]}" for start in range(fits, len(line), fits - 2)]
    return folded


def _tall(lines: int, size: float) -> float:
    return 2 * PADDING + lines * LINE * size / 72


def _listing(figure: Figure, x: float, top: float, wide: float, lines: Sequence[str], size: float, deepest: int) -> None:
    """Lines in monospace in a pale box, whose upper left corner is given in inches, `deepest` lines tall."""
    across, up = figure.get_size_inches()
    tall = _tall(deepest, size)
    figure.add_artist(Rectangle((x / across, (top - tall) / up), wide / across, tall / up, color=PALE, linewidth=0, zorder=0))
    _write(figure, x + PADDING, top - PADDING, lines, size)


def _write(figure: Figure, x: float, top: float, lines: Sequence[str], size: float, **look: Any) -> None:
    for number, line in enumerate(lines):
        if line.strip():
            _say(figure, x, _baseline(top, number, size), line, family="monospace", fontsize=size, va="baseline", **look)


def _baseline(top: float, line: int, size: float) -> float:
    return top - (LINE * (line + 0.5) + 0.36) * size / 72


def _say(figure: Figure, x: float, y: float, text: str, **look: Any) -> None:
    """Text at a place in inches; a $ is a $."""
    across, up = figure.get_size_inches()
    figure.text(x / across, y / up, text, parse_math=False, **look)


@styled
def answer_probabilities(
    alphabet: Sequence[str],
    probabilities: Array,
    answer: str | None,
    predicted: str,
    program: str,
    title: str = "What the LSTM answers, character by character",
) -> Figure:
    """The probability of each character at each place of an answer, the program beside it; no figure of the paper.

    alphabet: A characters; probabilities (T, A): a row a place, each adds up to 1; predicted: the T characters chosen,
    ringed, each with its probability above it; answer: what Python prints, framed, of any length, or None if unknown.
    Drawn are the digits, - and ., what else was chosen or right, and the sum of all the others if it reaches half a percent.
    """
    letters = list(alphabet)
    if len(set(letters)) != len(letters) or any(len(letter) != 1 for letter in letters):
        raise ValueError("alphabet must hold different single characters")
    places = len(predicted)
    (rows,) = checked(probabilities=(probabilities, f"{places} {len(letters)}"))
    check_shares(probabilities=rows)
    sums = rows.sum(1)
    if numpy.abs(sums - 1).max() > 1e-3:
        raise ValueError(f"each row of probabilities must add up to 1, got {sums.min():.4g} … {sums.max():.4g}")
    if places > LONGEST:
        raise ValueError(f"predicted has {places} characters; {LONGEST} places can be told apart")
    for name, text in (("predicted", predicted), ("answer", answer)):
        strange = sorted(set(text or "") - set(letters))
        if strange or text == "":
            raise ValueError(f"{name} must be made of characters of the alphabet, got {text!r}")

    also = [letter for letter in letters if letter in predicted + (answer or "") and letter not in ANSWERING]
    shown = [*also, *(letter for letter in ANSWERING if letter in letters)]
    table = rows[:, [letters.index(letter) for letter in shown]]
    rest = numpy.clip(1 - table.sum(1), 0, 1)
    names = [_visible(letter) for letter in shown]
    if rest.max() >= 0.005:
        shown, names, table = ["", *shown], ["others", *names], numpy.column_stack([rest, table])

    left, low, wide, tall = 6.3, 0.95, min(5.8, 1.1 * places), 4.9  # inches
    figure = Figure(figsize=(SLIDE, 7.5))
    figure.suptitle(title, x=0.13 / SLIDE, y=1 - 0.16 / 7.5, ha="left", va="top")
    _program_and_answers(figure, 0.13, 6.65, 4.6, program, answer, predicted)
    axes = axes_at(figure, left, low, wide, tall)
    image = heat_map(axes, table.T, first_column=1)
    axes.set(xticks=range(1, places + 1), yticks=range(len(shown)), xlabel="place in the answer", ylabel="character")
    axes.set_yticklabels(names, family="monospace")
    axes.tick_params(length=0)
    ring = min(wide / places, tall / len(shown)) * 72 * 0.86
    number: dict[str, Any] = {"fontsize": 12, "rotation": "horizontal" if wide / places > 0.45 else "vertical"}
    for place, chosen in enumerate(predicted):
        due = None if answer is None else answer[place : place + 1]
        colour = UNKNOWN if due is None else RIGHT if chosen == due else WRONG
        ink = BLACK if due is None else colour
        row = shown.index(chosen)
        axes.plot(place + 1, row, "o", color="none", markeredgecolor=colour, markersize=ring, markeredgewidth=2.6,
                  clip_on=False, label="chosen")  # fmt: skip
        _above(axes, place + 1, NAMED, _visible(chosen), color=ink, family="monospace", fontsize=17, fontweight="bold")
        _above(axes, place + 1, GIVEN, percent(table[place, row]), color=ink, **number)
        if due and due != chosen:
            at = shown.index(due)
            axes.add_patch(Rectangle((place + 0.5, at - 0.5), 1, 1, fill=False, edgecolor=RIGHT, linewidth=2.6, label="right", zorder=3))
            value = table[place, at]
            axes.text(place + 1, at, percent(value), color=ink_on(image, value), ha="center", va="center", **number)
    for height, text in ((NAMED, "chosen"), (GIVEN, "probability, %")):
        axes.text(-0.1 / wide, height, text, transform=axes.transAxes, ha="right", va="center", color=GREY, fontsize=12)
    colour_bar(figure, axes_at(figure, left + wide + 0.2, low, 0.16, 1.6), "probability")
    return figure


def _above(axes: Axes, x: float, height: float, text: str, **look: Any) -> None:
    axes.text(x, height, text, transform=axes.get_xaxis_transform(), ha="center", va="center", parse_math=False, **look)


def _visible(letter: str) -> str:
    return {" ": "␣", "\n": "↵"}.get(letter, letter)


def _program_and_answers(figure: Figure, x: float, top: float, wide: float, program: str, answer: str | None, predicted: str) -> None:
    """The program in its box, below it what Python and what the LSTM say, and what the marks of the heat map mean."""
    lines = _lines("program", program)
    size = _letter_size([lines], wide)
    folded = _folded(lines, wide, size)
    lowest = 2.75  # inches: below it the two answers and the marks
    if top - _tall(len(folded), size) < lowest:
        size = max(SMALLEST, ((top - lowest - 2 * PADDING) * 72) / (LINE * len(folded)))
        folded = _folded(lines, wide, size)
    if top - _tall(len(folded), size) < lowest - 0.02:
        raise ValueError(f"program takes {len(folded)} lines, more than fit on a slide")
    _listing(figure, x, top, wide, folded, size, len(folded))
    y = top - _tall(len(folded), size) - 0.5
    right = answer is not None and predicted == answer
    colour = BLACK if answer is None else RIGHT if right else WRONG
    for who, what, ink in (("right answer", answer, BLACK), ("LSTM's answer", predicted, colour)):
        if what is not None:
            _say(figure, x, y, who, va="baseline", color=GREY)
            shown = "".join(map(_visible, what))
            _say(figure, x + 1.55, y, shown, va="baseline", family="monospace", fontsize=15, fontweight="bold", color=ink)
            y -= 0.42
    marks = [("o", UNKNOWN if answer is None else RIGHT, "chosen")]
    if answer is not None and not right:
        marks = [("o", RIGHT, "chosen, right"), ("o", WRONG, "chosen, wrong"), ("s", RIGHT, "what was right, with its %")]
    key = axes_at(figure, x, 0.6, wide, 0.3 * len(marks))
    key.set(xlim=(0, wide), ylim=(len(marks) - 0.5, -0.5))
    key.set_axis_off()
    for row, (marker, ink, meaning) in enumerate(marks):
        key.plot(0.12, row, marker, color="none", markeredgecolor=ink, markersize=13, markeredgewidth=2.6)
        key.text(0.35, row, meaning, va="center")


def percent(share: float) -> str:
    """A share in whole percent, but what falls short of all is never 100, and what is more than nothing never 0."""
    hundred = 100 * min(max(float(share), 0.0), 1.0)
    if 99.5 <= hundred < 100:
        return f"{math.floor(10 * hundred + 1e-9) / 10:.1f}" if hundred < 99.9 else "99.9"
    if 0 < hundred < 0.5:
        return f"{max(hundred, 0.1):.1f}"
    return f"{hundred:.0f}"


def ink_on(image: AxesImage, value: float) -> str:
    """Black or white, whichever stands out more on the shade of this value (relative luminance as in WCAG 2)."""
    channels = numpy.array(image.cmap(image.norm(numpy.asarray(value)))[:3])
    linear = numpy.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "white" if float(linear @ (0.2126, 0.7152, 0.0722)) < 0.179 else "black"
