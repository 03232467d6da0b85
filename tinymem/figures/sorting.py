"""Priority sort (Graves et al. 2014, Figs. 16 to 18): the task, how it is learned, and where a machine writes and reads while it sorts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from matplotlib.ticker import MaxNLocator

from tinymem.figures.checks import Array, check_shares, checked
from tinymem.figures.panels import checked_runs, colour_bar, draw_runs, heat_map, median_run, plain, plain_ticks
from tinymem.figures.style import BLUE, GREY, ORANGE, PALE, PAPER, SLIDE, SYSTEMS, VERMILLION, colour_of, styled

__all__ = [
    "learning_shares",  # Fig. 18
    "sort_memory",  # Fig. 17
    "sort_task",  # Fig. 16
    "where_it_writes_and_reads",  # Fig. 17, over many sequences
]


@styled
def sort_task(vectors: Array, priorities: Array, answers: Array, title: str = "Priority sort: one sequence") -> Figure:
    """Graves et al. 2014, Fig. 16: vectors (n, Y) with their priorities (n,), and what is asked for, answers (k, Y).

    Time runs down.  Left a bar for each priority and the vector beside it; a line leads each vector to its place in the answer,
    which is found here from the priorities alone: `answers` that are not those vectors are refused.
    """
    vectors, priorities, answers = checked(vectors=(vectors, "n Y"), priorities=(priorities, "n"), answers=(answers, "k Y"))
    check_shares(vectors=vectors, answers=answers)
    order = numpy.argsort(-priorities, kind="stable")[: len(answers)]
    if len(answers) > len(vectors) or (vectors[order] != answers).any():
        raise ValueError("answers must be the vectors of highest priority, the highest first; these are not")

    figure = Figure(figsize=(SLIDE, 6.6), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    bars, said, asked = figure.subplots(1, 3, width_ratios=[1, 1, 1], gridspec_kw={"wspace": 0.12})
    colours = [VERMILLION if place in order else GREY for place in range(len(vectors))]
    bars.barh(numpy.arange(1, len(vectors) + 1), priorities, color=colours)
    bars.axvline(0, color=GREY, linewidth=0.8)
    bars.set(xlim=(-1.05, 1.05), ylim=(len(vectors) + 0.5, 0.5), xlabel="priority, uniform on −1 … 1", ylabel="step")
    bars.yaxis.set_major_locator(MaxNLocator(integer=True))
    bars.set_title("priorities")
    for axes, bits, name in (
        (said, vectors, "the vectors, as they come"),
        (asked, answers, f"asked for: the {len(answers)} highest, in order"),
    ):
        heat_map(axes, bits, first_row=1)
        axes.set(ylim=(len(vectors) + 0.5, 0.5), xlabel="bit", xticks=[0, vectors.shape[1] - 1])
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(name)
    asked.yaxis.tick_right()  # the lines come from the left
    asked.yaxis.set_label_position("right")
    asked.set_ylabel("place in the answer")
    if len(answers) < len(vectors):
        asked.axhspan(len(answers) + 0.5, len(vectors) + 0.5, color=PALE, linewidth=0)
        asked.text(vectors.shape[1] / 2 - 0.5, (len(answers) + len(vectors) + 1) / 2, "not asked for", ha="center", va="center", color=GREY)
    for place, step in enumerate(order.tolist(), start=1):
        line = ConnectionPatch(
            (vectors.shape[1] - 0.5, step + 1), (-0.5, place), said.transData, asked.transData, color=VERMILLION, linewidth=1.2, alpha=0.7
        )
        line.set_in_layout(False)
        figure.add_artist(line)
    return figure


@styled
def learning_shares(
    runs: Mapping[str, Sequence[Array]],
    paper: Mapping[str, Array],
    chance: float,
    paper_chance: float,
    title: str = "Priority sort: learning curves",
    *,
    sizes: tuple[str, str] = ("ours", "the paper's"),
) -> Figure:
    """Graves et al. 2014, Fig. 18, as shares of chance, for sequences of different sizes cost a different number of bits.

    runs {system: one array (n, 2) a seed} and paper {system: (n, 2)}: thousands of sequences, bits per sequence; chance and
    paper_chance: the bits of an ignorant model.  Thin: each seed; bold: their median; dashed: the paper.  sizes: the two
    tasks in words, ours and the paper's, for the axis.
    """
    if not runs:
        raise ValueError("learning_shares: no run to draw")
    if chance <= 0 or paper_chance <= 0:
        raise ValueError(f"learning_shares: chance is a number of bits above 0, got {chance} and {paper_chance}")
    for system in (*runs, *paper):
        colour_of(system)
    figure = Figure(figsize=(SLIDE, 6.6), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    axes = figure.add_subplot()
    axes.set_xscale("log")
    for system, colour in SYSTEMS.items():
        if system in paper:
            (points,) = checked_runs(f"paper[{system!r}]", [paper[system]])
            axes.plot(points[:, 0], points[:, 1] / paper_chance, "--", color=colour, linewidth=1.5, label=f"{system}, {PAPER}, {sizes[1]}")
        if system in runs:
            ours = [run / [1, chance] for run in checked_runs(f"runs[{system!r}]", runs[system])]
            seeds = "1 seed" if len(ours) == 1 else f"median of {len(ours)} seeds"
            draw_runs(axes, ours, colour, f"{system}, {sizes[0]}, {seeds}")
            middle = median_run(ours)
            axes.annotate(
                f"{plain(100 * middle[-1, 1])} %", middle[-1], (6, 6), textcoords="offset points", color=colour, fontweight="bold"
            )
    axes.axhline(1, color=GREY, linestyle=":", linewidth=1.5)
    axes.set(ylim=(0, 1.1), xlabel="thousands of training sequences", ylabel="bits per sequence, as a share of chance")
    axes.set_title(f"chance: {plain(chance)} bits for {sizes[0]}, {plain(paper_chance)} for {sizes[1]}", color=GREY)
    axes.grid(True)
    plain_ticks(axes)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, columnspacing=3.0)
    return figure


@styled
def where_it_writes_and_reads(
    priorities: Array,
    written: Array,
    read: Array,
    line: tuple[float, float],
    r_squared: float,
    title: str = "Where are the heads?",
    *,
    of: int | None = None,
) -> Figure:
    """Graves et al. 2014, Fig. 17, over many sequences: write location against priority, and read location against place.

    priorities and written (n, S): of the vectors of S sequences the priority and the centre of the weighting, as numbers on a line (so
    possibly negative, or beyond N).  read (k, S): the same of a read head at each answer.  line (slope, intercept) and r_squared:
    the linear fit, and its R² on `of` vectors, which may be more than are drawn.
    """
    priorities, written, read = checked(priorities=(priorities, "n S"), written=(written, "n S"), read=(read, "k S"))
    slope, intercept = checked(line=(line, "2"))[0]
    figure = Figure(figsize=(SLIDE, 6.4), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    left, right = figure.subplots(1, 2)
    left.plot(priorities.ravel(), written.ravel(), "o", color=ORANGE, alpha=0.35, markersize=5, markeredgewidth=0, label="a vector")
    ends = numpy.array([-1.0, 1.0])
    left.plot(
        ends,
        slope * ends + intercept,
        color="black",
        label=f"location = {plain(intercept)} {'−' if slope < 0 else '+'} {plain(abs(slope))} · priority",
    )
    left.set(xlim=(-1.05, 1.05), xlabel="priority", ylabel="centre of the write weighting (location)")
    left.set_title("writing", color=ORANGE, fontweight="bold")
    left.set_title(f"$R^2$ = {r_squared:.3f} on {of or priorities.size:,} vectors", loc="right")

    places = numpy.arange(1, len(read) + 1)
    right.plot(places, read, color=BLUE, alpha=0.12, linewidth=1.0)
    right.lines[0].set_label("a sequence")
    right.plot(places, numpy.median(read, axis=1), "o-", color="black", label="their median")
    right.set(xlabel="place in the answer (1: the highest priority)", ylabel="centre of the read weighting (location)", xticks=places)
    right.set_title("reading", color=BLUE, fontweight="bold")
    right.set_title(f"{read.shape[1]} sequences", loc="right")
    for axes in (left, right):
        axes.grid(True)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    lines = [handle for axes in (left, right) for handle in zip(*axes.get_legend_handles_labels(), strict=True)]
    figure.legend(*zip(*lines, strict=True), loc="outside lower center", ncols=4, columnspacing=3.0)
    return figure


def visited_arc(weightings: Array, margin: int = 2) -> Array:
    """The shortest arc of the circle of locations that has the largest weight of each weighting (k, N), and a margin at both ends."""
    count = weightings.shape[1]
    visited = numpy.unique(weightings.argmax(1))
    gaps = (numpy.roll(visited, -1) - visited - 1) % count  # unvisited locations after each visited one
    widest = int(gaps.argmax())
    length = count - int(gaps[widest]) + 2 * margin
    if length >= count:
        return numpy.arange(count)
    first = int(visited[(widest + 1) % len(visited)]) - margin
    arc: Array = (first + numpy.arange(length)) % count
    return arc


@styled
def sort_memory(
    fitted: Array, write_weightings: Array, read_weightings: Array, title: str = "What the memory is used for: one sequence"
) -> Figure:
    """Graves et al. 2014, Fig. 17: fitted write locations (n, N), write weightings (n, N), read weightings (k, N) of one head each.

    fitted: the locations that the linear function of the priorities gives, one-hot.  Time runs to the right; drawn is the shortest
    arc of locations, which lie on a circle, that has the largest weight of every column in it, and two more at its ends.
    """
    fitted, writing, reading = checked(
        fitted=(fitted, "n N"), write_weightings=(write_weightings, "n N"), read_weightings=(read_weightings, "k N")
    )
    check_shares(fitted=fitted, write_weightings=writing, read_weightings=reading)
    rows = visited_arc(numpy.concatenate([fitted, writing, reading]))
    figure = Figure(figsize=(SLIDE, 6.6), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    grid = figure.add_gridspec(1, 4, width_ratios=[1, 1, 1, 0.05])
    panels = (
        ("fitted write locations", fitted, "vector, in the order it came", ORANGE),
        ("observed write weightings", writing, "vector, in the order it came", ORANGE),
        ("read weightings", reading, "place in the answer", BLUE),
    )
    for column, (name, weights, what, colour) in enumerate(panels):
        axes = figure.add_subplot(grid[column])
        heat_map(axes, weights[:, rows].T, first_column=1)
        axes.set_title(name, color=colour, fontweight="bold")
        axes.set_xlabel(what)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        ticks = numpy.arange(0, len(rows), max(len(rows) // 8, 1))
        axes.set_yticks(ticks, [str(rows[tick]) for tick in ticks] if column == 0 else [""] * len(ticks))
        if column == 0:
            axes.set_ylabel(f"location, of {fitted.shape[1]}")
    colour_bar(figure, figure.add_subplot(grid[3]), "weight")
    return figure
