"""What a stack-augmented network did with one sequence: tables of its actions and tops, and the depth of a stack over time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from tinymem.figures.checks import Array, check_shares, checked
from tinymem.figures.panels import axes_at, plain
from tinymem.figures.style import GREEN, GREY, PALE, SHARES, SLIDE, VERMILLION, styled

ACTIONS = {"PUSH": GREEN, "POP": VERMILLION, "NO-OP": "#A0A0A0"}
"""The colour of each action: the paper's green, red and grey."""

EMPTY = -1.0  # what the paper's stacks hold below their bottom
MARGIN = 0.3  # inches left and right of a table
ROW, ACTION_WIDTH, TOP_WIDTH = 0.28, 1.05, 0.68  # inches, in the table of a trace


def tint(colour: str, strength: float) -> tuple[float, float, float]:
    """The colour on white: at strength 1 itself, at 0 white."""
    red, green, blue = (1 - min(max(strength, 0.0), 1.0) * (1 - part) for part in to_rgb(colour))
    return red, green, blue


class Board:
    """A slide to put cells and words on: inches from its left edge and down from its top."""

    def __init__(self, height: float, title: str) -> None:
        self.figure = Figure(figsize=(SLIDE, height))
        self.figure.suptitle(title, x=0.13 / SLIDE, y=1 - 0.16 / height, ha="left", va="top")
        self.axes = axes_at(self.figure, 0, 0, SLIDE, height)
        self.axes.set(xlim=(0, SLIDE), ylim=(height, 0))
        self.axes.set_axis_off()

    def cell(self, left: float, top: float, width: float, height: float, colour: str | tuple[float, float, float], name: str = "") -> None:
        """A filled rectangle; the name is for whoever looks for it in the figure."""
        self.axes.add_patch(Rectangle((left, top), width, height, facecolor=colour, linewidth=0, label=name or "_cell"))

    def word(self, x: float, y: float, text: str, *, size: float = 12, colour: str = "black", bold: bool = False,
             align: str = "center", mono: bool = False, mathematics: bool = False) -> None:  # fmt: skip
        """A text whose middle lies at the height y; a dollar is a dollar unless it is mathematics."""
        family = "monospace" if mono else "sans-serif"
        self.axes.text(x, y, text, fontsize=size, color=colour, fontweight="bold" if bold else "normal", ha=align,
                       va="center_baseline", family=family, parse_math=mathematics)  # fmt: skip

    def rule(self, left: float, right: float, y: float, colour: str = "#444444", width: float = 0.8) -> None:
        """A horizontal line."""
        self.axes.plot([left, right], [y, y], color=colour, linewidth=width, solid_capstyle="butt")

    def key(self, y: float, names: Sequence[str], notes: Sequence[str] = ()) -> None:
        """The colours of the actions, then notes, on one line."""
        x = MARGIN
        for name in names:
            self.cell(x, y - 0.1, 0.3, 0.2, ACTIONS[name], f"key {name}")
            self.word(x + 0.38, y, name, align="left")
            x += 0.62 + 0.115 * len(name)
        self.word(x, y, "   ".join(("(paler: less probable)", *notes)), align="left", colour=GREY)


def _checked_actions(given: object, letters: str, names: Sequence[str] | None) -> tuple[Array, Sequence[str]]:
    """Probabilities (…, A) of the named actions, and the names: PUSH and POP, and NO-OP where there is a third action."""
    (actions,) = checked(actions=(given, letters))
    if names is None:
        names = tuple(ACTIONS)[: max(actions.shape[-1], 2)]
    if not {*names} <= {*ACTIONS} or len({*names}) != len(names):
        raise ValueError(f"names must be different actions out of {', '.join(ACTIONS)}, got {', '.join(names)}")
    if actions.shape[-1] != len(names):
        raise ValueError(f"actions must have one probability for each of {', '.join(names)}, got the shape {actions.shape}")
    check_shares(actions=actions)
    sums = actions.sum(-1)
    if (abs(sums - 1) > 1e-3).any():
        raise ValueError(f"the probabilities of the actions must sum to 1, got {sums.min():.4g} … {sums.max():.4g}")
    return actions, names


def _checked_texts(steps: int, **texts: Sequence[str]) -> None:
    for name, given in texts.items():
        if isinstance(given, str) and len(given) == steps:
            continue
        if len(given) != steps or not all(isinstance(text, str) for text in given):
            raise ValueError(f"{name} must be {steps} texts, one a time step, got {len(given)} of {type(given).__name__}")


def _checked_flags(steps: int, name: str, given: object) -> Array:
    (flags,) = checked(**{name: (given, str(steps))})
    if not numpy.isin(flags, (0, 1)).all():
        raise ValueError(f"{name} must be true or false at each step")
    return flags.astype(bool)


def _likeliest(probabilities: Array, names: Sequence[str]) -> tuple[str, tuple[float, float, float]]:
    """The name of the most probable action, and its colour, the paler the less probable."""
    index = int(probabilities.argmax())
    return names[index], tint(ACTIONS[names[index]], float(probabilities[index]))


@styled
def trace_table(
    characters: Sequence[str],
    following: Sequence[str],
    predicted: Sequence[str],
    probability: Array,
    certain: Array,
    actions: Array,
    tops: Array,
    title: str = "Stack RNN: one sequence, step by step",
    *,
    names: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
) -> Figure:
    """Joulin & Mikolov 2015, Table 3: a row a time step, with what each of K stacks does and holds on its top.

    characters, following, predicted: T texts, the current character, the next one and the model's most probable next one;
    probability (T,): what the model gave the next one; certain (T,) true where the next one is determined: bold, and a
    wrong prediction is crossed; elsewhere the prediction is grey.  actions (T, K, A): probabilities of `names`, by default
    PUSH, POP and, where A = 3, NO-OP.  tops (T, K, k): the k uppermost values of each stack after the action, -1 if empty.
    labels: K texts, what the stacks are called; by default stack 1, stack 2, ….
    """
    actions, names = _checked_actions(actions, "T K A", names)
    _, tops, probability = checked(actions=(actions, "T K A"), tops=(tops, "T K k"), probability=(probability, "T"))
    check_shares(probability=probability)
    steps, stacks, shown = tops.shape
    labels = [f"stack {stack + 1}" for stack in range(stacks)] if labels is None else labels
    if len(labels) != stacks:
        raise ValueError(f"labels must be {stacks} texts, one a stack, got {len(labels)}")
    certain = _checked_flags(steps, "certain", certain)
    _checked_texts(steps, characters=characters, following=following, predicted=predicted)

    step, head = ROW, 1.4
    texts = {"current": 0.9, "next": 0.75, "predicted": 1.15, "p(next)": 1.5}
    width = sum(texts.values()) + stacks * (0.25 + ACTION_WIDTH + TOP_WIDTH * shown)
    scale = min((SLIDE - 2 * MARGIN) / width, 1.6)
    if scale < 1:
        raise ValueError(f"{stacks} stacks with {shown} values each are too many for a slide; stack_tops shows more")
    board = Board(head + steps * step + 0.6, title)
    heights = [head + step * (row + 0.5) for row in range(steps)]
    x = MARGIN
    for name, size in texts.items():
        board.word(x + size * scale / 2, head - 0.22, name, bold=True)
        for row, y in enumerate(heights):
            if name == "p(next)":
                room = size * scale - 0.85
                board.cell(x + 0.12, y - 0.07, room, 0.14, PALE)
                board.cell(x + 0.12, y - 0.07, room * float(probability[row]), 0.14, GREY if certain[row] else "#B8B8B8", "p(next)")
                board.word(x + size * scale - 0.12, y, f"{probability[row]:.2f}", align="right", colour="black" if certain[row] else GREY)
            elif name == "predicted":
                wrong = bool(certain[row]) and predicted[row] != following[row]
                colour = GREY if not certain[row] else VERMILLION if wrong else "black"
                board.word(x + size * scale / 2, y, predicted[row], size=14, mono=True, colour=colour, bold=bool(certain[row]))
                if wrong:
                    board.word(x + size * scale / 2 + 0.3, y, "✗", colour=VERMILLION, bold=True)
            else:
                text = characters[row] if name == "current" else following[row]
                board.word(x + size * scale / 2, y, text, size=14, mono=True, bold=name == "next" and bool(certain[row]))
        x += size * scale
    for stack in range(stacks):
        x += 0.25 * scale
        x = _stack_columns(board, x, scale, heights, labels[stack], actions[:, stack], tops[:, stack], names)
    board.rule(MARGIN, x, head - 0.03)
    board.rule(MARGIN, x, heights[-1] + step / 2 + 0.03)
    board.key(heights[-1] + step / 2 + 0.3, names, ("bold: the next character is determined", "−1: empty"))
    return board.figure


def _stack_columns(
    board: Board, left: float, scale: float, heights: Sequence[float], title: str, actions: Array, tops: Array, names: Sequence[str]
) -> float:
    """Actions (T, A) and tops (T, k) of one stack, in rows at these heights; returns where they end."""
    wide, narrow, step = ACTION_WIDTH * scale, TOP_WIDTH * scale, ROW
    head, right = heights[0] - step / 2, float(left + wide + tops.shape[1] * narrow)
    board.word((left + right) / 2, head - 0.58, title, bold=True, size=13)
    board.rule(left, right, head - 0.4)
    board.word(left + wide / 2, head - 0.22, "action", bold=True)
    board.word((left + wide + right) / 2, head - 0.22, "top" if tops.shape[1] == 1 else f"top {tops.shape[1]}", bold=True)
    for y, probabilities, values in zip(heights, actions, tops, strict=True):
        name, ground = _likeliest(probabilities, names)
        board.cell(left, y - step / 2 + 0.012, wide, step - 0.024, ground, name)
        board.word(left + wide / 2, y, name)
        for place, value in enumerate(values):
            colour = GREY if _is_empty(value) else "black"
            board.word(left + wide + (place + 0.5) * narrow + 0.22, y, _written(value, 2), align="right", colour=colour)
    return right


def _is_empty(value: float) -> bool:
    return bool(value < EMPTY + 0.005)


def _written(value: float, digits: int) -> str:
    """A top with so many digits behind the point, a true minus, no minus before a zero; −1 without a point is an empty stack."""
    text = f"{value:.{0 if _is_empty(value) else digits}f}"
    return (text.lstrip("-") if float(text) == 0 else text).replace("-", "−")


@styled
def stack_tops(
    characters: Sequence[str],
    actions: Array,
    tops: Array,
    title: str = "Stack RNN: the tops of its stacks during one addition",
    *,
    answers: Array | None = None,
    meanings: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
) -> Figure:
    """Joulin & Mikolov 2015, Fig. 3: a column a character, such as `101+1=011.`, a row a stack, in each cell the top value.

    characters: T texts; actions (T, K, A): probabilities of `names`, by default PUSH, POP and, where A = 3, NO-OP; the cell
    has the colour of the most probable one.  tops (T, K), -1 where the stack is empty.  answers (T,): true where a character
    has to be predicted: bold and underlined.  meanings: K texts, what each stack is for, in a last column.
    """
    actions, names = _checked_actions(actions, "T K A", names)
    _, tops = checked(actions=(actions, "T K A"), tops=(tops, "T K"))
    steps, stacks = tops.shape
    asked = numpy.zeros(steps, dtype=bool) if answers is None else _checked_flags(steps, "answers", answers)
    _checked_texts(steps, characters=characters)
    if meanings is not None and len(meanings) != stacks:
        raise ValueError(f"meanings must be {stacks} texts, one a stack, got {len(meanings)}")

    said = 0.0 if meanings is None else 0.3 + 0.105 * max(len(text) for text in meanings)
    left, top = MARGIN + 1.0, 1.2
    width = min((SLIDE - left - MARGIN - said) / steps, 1.2)
    if width < 0.4:
        raise ValueError(f"{steps} characters are too many for a slide" + (" with these meanings" if said else ""))
    height = min(0.5, max(0.3, 5.0 / stacks))
    digits = 2 if width >= 0.6 else 1
    board = Board(top + stacks * height + 0.65, title)
    for column in range(steps):
        x = left + width * (column + 0.5)
        board.word(x, top - 0.25, characters[column], size=18, mono=True, bold=bool(asked[column]))
        if asked[column]:
            board.rule(left + width * column + 0.015, left + width * (column + 1) - 0.015, top - 0.06, "black", 2.0)
        for stack in range(stacks):
            name, ground = _likeliest(actions[column, stack], names)
            y = top + height * stack
            board.cell(x - width / 2 + 0.015, y + 0.015, width - 0.03, height - 0.03, ground, name)
            board.word(x, y + height / 2, _written(tops[column, stack], digits))
    for stack in range(stacks):
        y = top + height * (stack + 0.5)
        board.word(left - 0.12, y, f"stack {stack + 1}", align="right", size=13)
        if meanings is not None:
            board.word(left + width * steps + 0.25, y, meanings[stack], align="left", size=13, colour=GREY)
    board.key(top + stacks * height + 0.32, names, ("−1: empty", *(["underlined: to be predicted"] if asked.any() else [])))
    return board.figure


@styled
def stack_depth(
    contents: Array,
    characters: Sequence[str],
    actions: Array,
    title: str = "A stack that counts",
    *,
    deepest: int | None = None,
    names: Sequence[str] | None = None,
) -> Figure:
    """All that one stack holds, over time: how high the grey reaches is the count (Joulin & Mikolov 2015 only show the top).

    contents (T, D) in -1 … 1 after each step, entry 0 the top, -1 empty and white; characters: T texts; actions (T, A):
    probabilities of `names`, by default PUSH, POP and, where A = 3, NO-OP, as lines above.  deepest: how many of the D
    entries to draw, by default those ever used and one more.  Long runs of one character are written `a×60`.
    """
    actions, names = _checked_actions(actions, "T A", names)
    _, contents = checked(actions=(actions, "T A"), contents=(contents, "T D"))
    if abs(contents).max() > 1 + 1e-4:
        raise ValueError(f"contents must lie between -1 (empty) and 1, got {contents.min():.4g} … {contents.max():.4g}")
    steps, depth = contents.shape
    _checked_texts(steps, characters=characters)
    used = numpy.flatnonzero((contents > EMPTY + 0.05).any(0))
    deepest = min((int(used[-1]) if len(used) else 0) + 2, depth) if deepest is None else deepest
    if not 1 <= deepest <= depth:
        raise ValueError(f"deepest must be 1 … {depth}, got {deepest}")

    figure = Figure(figsize=(SLIDE, 6.8))
    figure.suptitle(title, x=0.13 / SLIDE, y=1 - 0.16 / 6.8, ha="left", va="top")
    across = 10.8
    above, below = axes_at(figure, 0.95, 4.85, across, 1.2), axes_at(figure, 0.95, 0.95, across, 3.6)
    for index in sorted(range(len(names)), key=lambda index: -list(ACTIONS).index(names[index])):
        above.step(numpy.arange(steps), actions[:, index], where="mid", color=ACTIONS[names[index]], label=names[index])
    above.set(ylim=(-0.05, 1.05), yticks=(0, 0.5, 1), xlim=(-0.5, steps - 0.5), ylabel="probability")
    above.tick_params(labelbottom=False, bottom=False)
    above.grid(True, axis="y")
    handles, labels = above.get_legend_handles_labels()
    above.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1.005, 0.5), handlelength=1.4)
    below.imshow(
        contents[:, :deepest].T, cmap=SHARES, vmin=EMPTY, vmax=1.0, extent=(-0.5, steps - 0.5, -0.5, deepest - 0.5), label="contents"
    )
    below.spines[["top", "right"]].set_visible(True)
    below.set(ylabel="depth (0: the top)", xlabel="the sequence, character by character", xlim=(-0.5, steps - 0.5))
    below.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    _character_ticks(below, characters, across / steps)
    bar = figure.colorbar(below.images[0], cax=axes_at(figure, 0.95 + across + 0.25, 1.65, 0.2, 2.0))
    bar.set_ticks([-1, 0, 1], labels=[f"{plain(EMPTY)} empty", "0", "1"])
    bar.ax.set_title("entry", fontsize=12, pad=13)
    bar.ax.set_label("colour bar")
    return figure


def _character_ticks(axes: Axes, characters: Sequence[str], step: float) -> None:
    """Each character below its step; where a step is too narrow for that, each long run of a character in its middle."""
    if step >= 0.125:
        axes.set_xticks(range(len(characters)), characters, family="monospace")
        axes.tick_params(axis="x", length=0)
        return
    runs = [list(run) for _, run in groupby(enumerate(characters), key=lambda pair: pair[1])]
    long = [run for run in runs if len(run) * step >= 0.14 * len(_run_name(run))]
    axes.set_xticks([run[0][0] - 0.5 for run in runs[1:]])
    axes.tick_params(axis="x", labelbottom=False)
    axes.set_xticks([(run[0][0] + run[-1][0]) / 2 for run in long], [_run_name(run) for run in long], minor=True, family="monospace")
    axes.tick_params(axis="x", which="minor", length=0, labelsize=13)


def _run_name(run: Sequence[tuple[int, str]]) -> str:
    return f"{run[0][1]}×{len(run)}" if len(run) > 1 else run[0][1]
