"""How a Neural Turing Machine copies again and again: its answers, its count, its jump back (Graves et al. 2014, Figs. 8 and 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from tinymem.figures.checks import Array, check_shares, checked
from tinymem.figures.copying import READING, TURNING, WRITING, memory_panels, written_algorithm
from tinymem.figures.panels import axes_at, colour_bar, heat_map
from tinymem.figures.style import GREY, SLIDE, SYSTEMS, VERMILLION, colour_of, styled

REPEAT_ALGORITHM = (
    (WRITING, ("move head to start location", "while input delimiter not seen do", "    write input to head location",
               "    increment head location by 1")),
    (TURNING, ("keep the number of repeats", "mark this location as the last")),
    (READING, ("for each repeat do", "    return head to start location", "    while mark not read do", "        emit what is read",
               "        increment head location", "emit end marker")),
)  # fmt: skip
"""The nested loop that repeat copy asks for, by phase; its jump is the slide's "another memory location"."""


@styled
def repeat_generalisation(
    episodes: Sequence[tuple[int, int, Array, Mapping[str, Array]]],
    title: str = "Repeat copy: longer, and more often, than in training",
) -> Figure:
    """Graves et al. 2014, Fig. 8: targets, and below them what each system put out, a column an episode.

    An episode is (length, repeats, targets (T, Y), {system: outputs (T, Y)}) of its T = length × repeats + 1 answer steps, bits
    and probabilities; the last channel, the end marker, has a strip of its own above the bits, with a triangle at each
    marker.  Below the outputs, the share of wrong bits of each step; half wrong is guessing.  All episodes have one time scale.
    """
    if not episodes:
        raise ValueError("repeat_generalisation: no episode to draw")
    drawn = [_checked_episode(index, *episode) for index, episode in enumerate(episodes)]
    systems = list(drawn[0][3])
    if any(list(outputs) != systems for *_, outputs in drawn):
        raise ValueError(f"every episode needs the outputs of the same systems, {', '.join(systems)}")

    left, right, gap, bottom, panel, strip, share, apart = 1.45, 1.3, 0.45, 0.82, 0.86, 0.17, 0.36, 0.74
    answers, asked = panel + strip + share + 0.14, panel + strip + 0.07
    height = bottom + len(systems) * (answers + apart) + asked + 1.05
    figure = Figure(figsize=(SLIDE, height))
    figure.suptitle(title, x=0.13 / SLIDE, y=1 - 0.16 / height, ha="left", va="top")
    step = (SLIDE - left - right - (len(drawn) - 1) * gap) / sum(len(targets) for _, _, targets, _ in drawn)  # inches a time step
    x = left
    for length, repeats, targets, outputs in drawn:
        wide = len(targets) * step
        low = bottom
        for system in reversed(systems):
            missed = numpy.not_equal(outputs[system] > 0.5, targets > 0.5)
            axes = axes_at(figure, x, low, wide, share)
            axes.fill_between(numpy.arange(1, len(targets) + 1), missed[:, :-1].mean(1), step="mid", color=VERMILLION, linewidth=0)
            axes.set(xlim=(0.5, len(targets) + 0.5), ylim=(0, 1), yticks=(0, 1))
            _repeat_ticks(axes, length, repeats, labelled=low == bottom)
            if x == left:
                axes.set_ylabel("wrong", rotation=0, ha="right", va="center", color=VERMILLION)
            else:
                axes.tick_params(labelleft=False)
            _bits_and_marker(figure, (x, low + share + 0.07, wide), (panel, strip), outputs[system], targets, system if x == left else "")
            _told(figure, x, low + answers + 0.14, missed, outputs[system], length)
            low += answers + apart
        _bits_and_marker(figure, (x, low, wide), (panel, strip), targets, targets, "Targets" if x == left else "")
        figure.text(x / SLIDE, (low + asked + 0.14) / height, f"length {length}, repeated {repeats} times", fontweight="bold", va="bottom")
        x += wide + gap
    figure.text(0.5, 0.12 / height, "time of the answer (steps; a tick a repeat)", ha="center", va="bottom")
    colour_bar(figure, axes_at(figure, SLIDE - right + 0.3, height / 2 - 1, 0.2, 2), "bit, or its probability")
    return figure


def _checked_episode(
    index: int, length: int, repeats: int, targets: Array, outputs: Mapping[str, Array]
) -> tuple[int, int, Array, dict[str, Array]]:
    named = {f"outputs of {system} in episode {index}": (values, "T Y") for system, values in outputs.items()}
    if not named:
        raise ValueError(f"episode {index}: no system's outputs to draw")
    arrays = dict(zip(("targets", *outputs), checked(**{f"targets of episode {index}": (targets, "T Y")}, **named), strict=True))
    for system, values in arrays.items():
        check_shares(**{f"{system} of episode {index}": values})
    steps = len(arrays["targets"])
    if steps != length * repeats + 1:
        raise ValueError(
            f"episode {index}: {repeats} repeats of {length} vectors and an end have {length * repeats + 1} steps, got {steps}"
        )
    for system in outputs:
        colour_of(system)
    return length, repeats, arrays.pop("targets"), arrays


def _bits_and_marker(
    figure: Figure, place: tuple[float, float, float], heights: tuple[float, float], values: Array, targets: Array, name: str
) -> None:
    """The bits as an image, above them the strip of the end marker: a triangle where it is more likely than not."""
    x, low, wide = place
    panel, strip = heights
    bits = axes_at(figure, x, low, wide, panel)
    heat_map(bits, values[:, :-1].T, first_column=1)
    end = axes_at(figure, x, low + panel + 0.07, wide, strip)
    heat_map(end, values[:, -1:].T, first_column=1)
    for axes in (bits, end):
        axes.set(xticks=[], yticks=[])
    ends = numpy.flatnonzero(values[:, -1] > 0.5)
    for right, colour in ((True, "black"), (False, VERMILLION)):
        these = ends[(targets[ends, -1] > 0.5) == right]
        end.plot(these + 1, numpy.full(len(these), 1.15), "v", color=colour, markersize=5, markeredgewidth=0, clip_on=False,
                 transform=end.get_xaxis_transform())  # fmt: skip
    if name:
        bits.set_ylabel(name, rotation=0, ha="right", va="center", color=SYSTEMS.get(name, "black"), fontweight="bold")
        end.set_ylabel("end", rotation=0, ha="right", va="center")


def _repeat_ticks(axes: Axes, length: int, repeats: int, *, labelled: bool) -> None:
    """A small tick at the end of each repeat, the step's number at every fifth."""
    every = 5 if repeats >= 10 else 1
    axes.set_xticks([length * repeat for repeat in range(every, repeats + 1, every)])
    axes.set_xticks([length * repeat for repeat in range(1, repeats + 1)], minor=True)
    axes.tick_params(labelbottom=labelled)


def _told(figure: Figure, x: float, low: float, missed: Array, outputs: Array, length: int) -> None:
    """Two lines above a system's outputs: its wrong bits, and when its end marker came."""
    wrong, ends = int(missed[:, :-1].sum()), numpy.flatnonzero(outputs[:, -1] > 0.5)
    when = f"after {ends[0] / length:.3g} repeats" if len(ends) else ""
    marker = f"end marker {when}" if len(ends) == 1 else f"{len(ends)} end markers, the first {when}" if len(ends) else "no end marker"
    across, up = figure.get_size_inches()
    for line, text, bad in ((1, f"{wrong} of {missed[:, :-1].size} bits wrong", wrong), (0, marker, missed[:, -1].any())):
        figure.text(x / across, (low + 0.23 * line) / up, text, color=VERMILLION if bad else "black", va="bottom")


@styled
def end_markers(
    counts: Mapping[str, Array],
    trained: int,
    title: str = "Repeat copy: when does it say that it is done?",
    *,
    first_asked: int = 1,
) -> Figure:
    """The slide's "unable to keep count": after how many repeats the first end marker came, for each number asked for.

    counts {name: (asked, 1 + listened)}: in column k the share of sequences whose first end marker came in the steps after repeat
    k - 1 up to the one after repeat k (column 0: before any vector), in rows from `first_asked` repeats asked for.  Right is
    the diagonal, framed; a row of less than 1 in all is of sequences without a marker.  trained: the most repeats of the training, a
    line.  No figure of the paper: its Fig. 8 shows one sequence of one row.
    """
    if not counts:
        raise ValueError("end_markers: no machine to draw")
    grids = dict(zip(counts, checked(**{f"counts[{name!r}]": (grid, "asked listened") for name, grid in counts.items()}), strict=True))
    for name, grid in grids.items():
        check_shares(**{f"counts[{name!r}]": grid, f"the sum of a row of counts[{name!r}]": grid.sum(1)})

    figure = Figure(figsize=(SLIDE, 6.2), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    grid_of = figure.add_gridspec(1, len(grids) + 1, width_ratios=[*[1] * len(grids), 0.04])
    for column, (name, grid) in enumerate(grids.items()):
        axes = figure.add_subplot(grid_of[column])
        heat_map(axes, grid, first_row=first_asked)
        last = first_asked + len(grid) - 1
        for asked in range(first_asked, min(last, grid.shape[1] - 1) + 1):
            axes.add_patch(Rectangle((asked - 0.5, asked - 0.5), 1, 1, fill=False, edgecolor=VERMILLION, linewidth=1.2))
        if first_asked <= trained < last:
            axes.axhline(trained + 0.5, color=GREY, linestyle=":", linewidth=1.8)
            axes.set_title(f"trained up to {trained}", loc="right", color=GREY, fontsize=12)
        axes.set_title(name, color=SYSTEMS.get(name, "black"), fontweight="bold")
        axes.set_xlabel("first end marker after … repeats")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
        if column == 0:
            axes.set_ylabel("repeats asked for")
        else:
            axes.tick_params(labelleft=False)
    colour_bar(figure, figure.add_subplot(grid_of[len(grids)]), "share of sequences")
    return figure


def jumps_back(read_weightings: Array, phase: int) -> list[tuple[int, int]]:
    """(step, location) where each jump back between two repeats begins: the "goto" of Fig. 9.

    The rule: the head is where its weighting (T, N) is largest.  Its usual move is the one it makes most often in the answer, the
    steps after `phase`.  A jump is a run of other moves; it begins at the location that it leaves, which holds at least half of
    the weight.  (The return at the delimiter is none: nothing has been repeated yet.)
    """
    (weightings,) = checked(read_weightings=(read_weightings, "T N"))
    steps, count = weightings.shape
    at = weightings.argmax(1)
    moved = (numpy.diff(at) + count // 2) % count - count // 2  # circular, signed; moved[t] leads from step t to step t + 1
    values, often = numpy.unique(moved[phase:], return_counts=True)
    other = moved != values[often.argmax()]
    begins = [step for step in range(phase + 1, steps - 1) if other[step] and not other[step - 1]]
    return [(step, int(at[step])) for step in begins if weightings[step].max() >= 0.5]


@styled
def repeat_memory_use(
    inputs: Array,
    outputs: Array,
    adds: Array,
    reads: Array,
    write_weightings: Array,
    read_weightings: Array,
    phase: int,
    locations: tuple[int, int] | None = None,
    title: str = "NTM: how it copies again and again",
) -> Figure:
    """Graves et al. 2014, Fig. 9: `memory_use` of a repeat copy, the goto location ringed.

    Rings: in the read weightings where each jump back begins (`jumps_back`); in the write weightings, at the delimiter, if a
    quarter of that weighting or more was on the same location.
    """
    figure = Figure(figsize=(SLIDE, 7.5))
    figure.suptitle(title, x=0.13 / SLIDE, y=1 - 0.16 / 7.5, ha="left", va="top")
    panels = memory_panels(figure, inputs, outputs, adds, reads, write_weightings, read_weightings, phase, locations)
    written_algorithm(figure, REPEAT_ALGORITHM)
    jumps = jumps_back(read_weightings, phase)
    for step, location in jumps:
        _ring(panels["Read weightings"], step, location)
    for location in {location for _, location in jumps}:
        if write_weightings[phase, location] >= 0.25:
            _ring(panels["Write weightings"], phase, location)
    for axes in panels.values():
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    if jumps:
        figure.text(9.45 / SLIDE, 2.95 / 7.5, "○ goto: read before a jump back", color=VERMILLION, va="center")
    return figure


def _ring(axes: Axes, step: int, location: int) -> None:
    axes.plot(step, location, "o", markersize=11, markerfacecolor="none", markeredgecolor=VERMILLION, markeredgewidth=1.8, clip_on=False)
