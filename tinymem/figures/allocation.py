"""What a Differentiable Neural Computer did with its memory: written, freed, written again, and in what order (Graves et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from tinymem.figures.checks import Array, check_shares, checked
from tinymem.figures.curves import FLOOR, SEQUENCES
from tinymem.figures.panels import axes_at, checked_runs, colour_bar, draw_runs, heat_map, name_ends, plain, plain_ticks
from tinymem.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, PALE, PURPLE, SLIDE, SYSTEMS, VERMILLION, styled

WRITING, TURNING, READING = ORANGE, VERMILLION, BLUE  # the three phases of each copy
WRITTEN = 0.5  # a location is written to where a write weighting has more than half of all weight

COLOURS = {"DNC": BLACK, "DNC, up to 8": PURPLE, "NTM": SYSTEMS["NTM-FF"], "LSTM": SYSTEMS["LSTM"]}
"""The colour of each system here; "up to 8": trained on series of up to 8 sequences."""


@styled
def series_copied(
    runs: Mapping[str, Sequence[Array]],
    tests: Sequence[tuple[str, int, int, int]],
    title: str = "Copies in series, ten locations: what is learned, and how long it lasts",
    *,
    trained: tuple[int, int] = (1, 4),
    chance: float | None = None,
) -> Figure:
    """Left the learning curves, right the fraction of wrong bits in the first, second, … sequence of long series.

    runs {system: one array (n, 2) a seed}: thousands of series, bits per series; thin lines and their bold median.
    tests (system, which sequence, wrong bits, all bits), one a seed and sequence: a dot each, the line adds them up over the seeds.
    trained: the numbers of sequences in training, shaded; chance: the loss of an ignorant model, dotted.
    """
    if not runs or not tests:
        raise ValueError("series_copied: neither the runs nor the tests may be empty")
    for system in (*runs, *(name for name, *_ in tests)):
        if system not in COLOURS:
            raise ValueError(f"no colour is fixed for the system {system!r}; the systems are {', '.join(COLOURS)}")
    for system, which, wrong, total in tests:
        if which < 1 or total < 1 or not 0 <= wrong <= total:
            raise ValueError(f"a test is (system, sequence >= 1, 0 <= wrong <= total, total >= 1), got {(system, which, wrong, total)}")
    curves = {system: checked_runs(f"runs[{system!r}]", runs[system]) for system in COLOURS if system in runs}

    figure = Figure(figsize=(SLIDE, 6.4), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    learning, lasting = figure.subplots(1, 2)
    for system, of in curves.items():
        seeds = "1 seed" if len(of) == 1 else f"median of {len(of)} seeds"
        draw_runs(learning, of, COLOURS[system], f"{system}, {seeds}", floor=FLOOR)
    learning.set(xscale="log", yscale="log", xlabel=SEQUENCES.replace("sequences", "series"), ylabel="bits per series")
    learning.set_ylim(bottom=FLOOR * 0.8)
    plain_ticks(learning)
    if chance is not None:
        learning.axhline(chance, color=GREY, linestyle=":", linewidth=1.5, zorder=1)
        learning.annotate(
            f"guessing: {plain(chance)} bits", (1, chance), (-2, 4), ("axes fraction", "data"), "offset points", ha="right", color=GREY
        )
    learning.set_title("thin: each seed")
    learning.grid(True)
    learning.legend(loc="lower left")
    _by_place(lasting, tests, trained)
    return figure


def _by_place(axes: Axes, tests: Sequence[tuple[str, int, int, int]], trained: tuple[int, int]) -> None:
    last = max(which for _, which, _, _ in tests)
    axes.axvspan(*trained, color=PALE, linewidth=0, zorder=0)
    axes.text(sum(trained) / 2, 0.985, f"trained: {trained[0]}…{trained[1]}", transform=axes.get_xaxis_transform(), ha="center", va="top")
    axes.axhline(0.5, color=GREY, linestyle=":", linewidth=1.5)
    axes.annotate("guessing", (trained[1], 0.5), (6, 4), textcoords="offset points", color=GREY)
    ends = []
    for system, colour in COLOURS.items():
        mine = sorted((which, wrong, total) for name, which, wrong, total in tests if name == system)
        if not mine:
            continue
        which, wrong, total = numpy.array(mine).T
        axes.plot(which, wrong / total, "o", color=colour, alpha=0.3, markersize=4, clip_on=False)
        places = numpy.unique(which)
        fractions = [float(wrong[which == place].sum() / total[which == place].sum()) for place in places]
        axes.plot(places, fractions, color=colour, label=system, clip_on=False)
        ends.append((fractions[-1], f"{system}\n{100 * fractions[-1]:.2g} %", colour))
    axes.set(xlim=(0, last * 1.01), ylim=(-0.012, 0.56), xlabel="which sequence of the series", ylabel="fraction of wrong bits in it")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title("tests; a dot for each seed, lines: all seeds")
    axes.grid(True, axis="y")
    name_ends(axes, ends, gap=0.13)


@styled
def memory_management(
    inputs: Array,
    outputs: Array,
    write_weightings: Array,
    usage: Array,
    read_weightings: Array,
    gates: Mapping[str, Array],
    modes: Array,
    length: int,
    title: str = "DNC: a series of copies through ten locations",
) -> Figure:
    """Graves et al. 2016, Extended Data Fig. 1: one series over time, from the inputs to the gates, on one time axis.

    inputs (T, X), outputs (T, Y) as probabilities, write_weightings, usage, read_weightings (T, N), gates {name: (T,)}, modes (T, 3)
    backward, content, forward; length: vectors of one sequence, T a multiple of 2 length + 1.  A ring marks a write to a
    location that was written to before.
    """
    inputs, outputs, writing, used, reading, modes = checked(
        inputs=(inputs, "T X"), outputs=(outputs, "T Y"), write_weightings=(write_weightings, "T N"), usage=(usage, "T N"),
        read_weightings=(read_weightings, "T N"), modes=(modes, "T 3"),
    )  # fmt: skip
    given = dict(zip(gates, checked(modes=(modes, "T 3"), **{name: (gate, "T") for name, gate in gates.items()})[1:], strict=True))
    check_shares(inputs=inputs, outputs=outputs, write_weightings=writing, usage=used, read_weightings=reading, modes=modes, **given)
    steps, one = len(inputs), 2 * length + 1
    if length < 1 or steps % one:
        raise ValueError(f"sequences of {length} vectors take {one} steps each, but there are {steps} steps")

    panels = [("inputs", inputs, 0.62), ("outputs", outputs, 0.62), ("write\nweighting", writing, 1.15), ("usage", used, 1.15),
              ("read\nweighting", reading, 1.15), *((name, gate, 0.38) for name, gate in given.items()),
              ("read mode", modes, 0.75)]  # fmt: skip
    head, gap, foot = 1.05, 0.13, 0.62
    up = head + sum(height + gap for _, _, height in panels) + foot
    figure = Figure(figsize=(SLIDE, up))
    figure.suptitle(title, x=0.13 / SLIDE, y=1 - 0.16 / up, ha="left", va="top")
    top, drawn = up - head, {}
    for name, values, height in panels:
        axes = drawn[name] = axes_at(figure, 2.75, top - height, 8.3, height)
        if values.ndim == 2:
            heat_map(axes, values.T)
            axes.set_aspect("auto")
            axes.set_yticks([])
        else:
            axes.bar(numpy.arange(steps), values, width=1, color=GREEN, linewidth=0)
            axes.set(ylim=(0, 1), yticks=[])
        axes.set_xlim(-0.5, steps - 0.5)
        axes.tick_params(labelbottom=False)
        figure.text(1.6 / SLIDE, (top - height / 2) / up, name, ha="right", va="center")
        for start in range(one, steps, one):
            axes.axvline(start - 0.5, color=GREY, linewidth=0.9)
        top -= height + gap
    for name in ("write\nweighting", "usage", "read\nweighting"):
        drawn[name].set_yticks([0, writing.shape[1] - 1], ["location 0", str(writing.shape[1] - 1)])
    drawn["read mode"].set_yticks(range(3), ["backward", "content", "forward"])
    drawn["read mode"].tick_params(labelbottom=True)
    drawn["read mode"].set_xlabel("time (steps)")
    again = rewritten(writing)
    if len(again):
        drawn["write\nweighting"].plot(*again.T, "o", markerfacecolor="none", markeredgecolor=VERMILLION, markersize=9, markeredgewidth=1.6)
    _phases(drawn["inputs"], length, steps)
    lines = ((WRITING, "■ vectors come"), (TURNING, "■ delimiter"), (READING, "■ they are asked for"), (VERMILLION, "○ written again"))
    for number, (colour, text) in enumerate(lines):
        figure.text(11.25 / SLIDE, (up - 0.99 - 0.27 * number) / up, text, color=colour, va="center", fontsize=12)
    colour_bar(figure, axes_at(figure, 11.4, up - 4.5, 0.2, 2), "bit, probability, weight, usage")
    return figure


def rewritten(writing: Array) -> Array:
    """(step, location) of each write to a location that an earlier, separate write had been to; writing (T, N)."""
    before: dict[int, int] = {}
    found = []
    for step, weights in enumerate(writing):
        place = int(weights.argmax())
        if weights[place] > WRITTEN:
            if before.get(place, step) < step - 1:
                found.append((step, place))
            before[place] = step
    return numpy.array(found, int).reshape(-1, 2)


def _phases(axes: Axes, length: int, steps: int) -> None:
    """Coloured bars over the time axis, and the number of each sequence."""
    for number, start in enumerate(range(0, steps, 2 * length + 1)):
        turn = start + length
        for first, end, colour in ((start, turn, WRITING), (turn, turn + 1, TURNING), (turn + 1, turn + length + 1, READING)):
            corner = (first - 0.5, 1.06)
            axes.add_patch(
                Rectangle(corner, end - first, 0.14, transform=axes.get_xaxis_transform(), color=colour, linewidth=0, clip_on=False)
            )
        axes.text(turn, 1.32, f"sequence {number + 1}", transform=axes.get_xaxis_transform(), ha="center", va="bottom", clip_on=False)


@styled
def order_of_writing(
    write_weightings: Array, linked: Array, order: Sequence[int], recent: int, title: str = "The link matrix follows the order of writing"
) -> Figure:
    """The last writes, the link matrix by the number of the location, and the same matrix by the time of writing.

    write_weightings (T, N): the steps in which the last sequence was written; linked (N, N): L[i, j], was i written right after j;
    order: locations from the one written longest ago to the one written last; the `recent` last of them are boxed.
    """
    writing, links = checked(write_weightings=(write_weightings, "T N"), linked=(linked, "N N"))
    check_shares(write_weightings=writing, linked=links)
    places = list(order)
    if not 2 <= recent <= len(places) or len({*places}) < len(places) or not {*places} <= {*range(len(links))}:
        raise ValueError(f"order must name at least {max(recent, 2)} different locations of 0 … {len(links) - 1}, got {places}")
    sorted_links = links[numpy.ix_(places, places)]

    figure = Figure(figsize=(SLIDE, 5.6), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    steps, by_number, by_time, key = figure.subplots(1, 4, width_ratios=[0.62, 1, 1, 0.045])
    heat_map(steps, writing.T)
    steps.set_title("what was written last")
    steps.set(xlabel="step of writing", ylabel="location", yticks=range(len(links)), xticks=range(len(writing)))
    steps.set_xticklabels(range(1, len(writing) + 1))
    heat_map(by_number, links)
    by_number.set_title("L, as it is kept")
    by_number.set(xlabel="j: location before", ylabel="i: location after", xticks=range(len(links)), yticks=range(len(links)))
    heat_map(by_time, sorted_links)
    by_time.set_title("L, in the order of writing")
    by_time.set(xlabel="j: written before", ylabel="i: written after", xticks=range(len(places)), yticks=range(len(places)))
    by_time.set_xticklabels(places)
    by_time.set_yticklabels(places)
    for place in range(len(places) - recent, len(places) - 1):  # i one later than j
        by_time.add_patch(Rectangle((place - 0.5, place + 0.5), 1, 1, fill=False, edgecolor=VERMILLION, linewidth=2, zorder=5))
    colour_bar(figure, key, "weight, or strength of a link")
    return figure
