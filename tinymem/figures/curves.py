"""Figures with a curve for each system: how it learns, how far it generalises, and why some never learn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from tinymem.figures.checks import Array, check_shares, checked
from tinymem.figures.panels import checked_runs, draw_runs, median_run, name_ends, plain, plain_ticks
from tinymem.figures.style import BLUE, GREY, PALE, PAPER, SLIDE, SYSTEMS, VERMILLION, colour_of, styled

FLOOR = 0.01  # bits: about the width of a line in the paper's figure, so the least that can be read from it
SEQUENCES = "thousands of training sequences"


@styled
def learning_curves(
    runs: Mapping[str, Sequence[Array]],
    paper: Mapping[str, Array],
    title: str = "Copy: learning curves",
    *,
    top: float = 10.0,
    chance: float | None = None,
) -> Figure:
    """Graves et al. 2014, Fig. 3 (and 7, 10, 13, 18): bits per sequence against thousands of sequences, two panels.

    runs {system: one array (n, 2) a seed}: thin lines (right only) and their bold median, over the stretch that all seeds cover;
    paper {system: (n, 2)} from `paper_curves`: dashed, behind.  Left the paper's linear axis 0 … top, from the decade in
    which the first curve enters it; right everything on a logarithmic axis, with 0.01 bits and less at the bottom.  Both x
    axes are logarithmic: our runs end where the paper's begin.  chance: the loss of an ignorant model, dotted, right.
    """
    for system in (*runs, *paper):
        colour_of(system)
    ours = {system: checked_runs(f"runs[{system!r}]", runs[system]) for system in SYSTEMS if system in runs}
    theirs = {system: checked_runs(f"paper[{system!r}]", [paper[system]])[0] for system in SYSTEMS if system in paper}
    if not ours and not theirs:
        raise ValueError("learning_curves: neither a run nor a curve of the paper")

    figure = Figure(figsize=(SLIDE, 6.6), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    linear, logarithmic = figure.subplots(1, 2)
    for axes, floor in ((linear, None), (logarithmic, FLOOR)):
        axes.set_xscale("log")
        axes.set_xlabel(SEQUENCES)
        axes.grid(True)
        for system in SYSTEMS:
            if system in theirs:
                points = theirs[system]
                heights = points[:, 1] if floor is None else numpy.maximum(points[:, 1], floor)
                axes.plot(points[:, 0], heights, "--", color=colour_of(system), linewidth=1.5, zorder=2, label=f"{system}, {PAPER}")
            if system in ours:
                draw_runs(axes, ours[system], colour_of(system), _seeds(system, len(ours[system])), floor=floor, each=axes is logarithmic)
    everything = [*theirs.values(), *(run for several in ours.values() for run in several)]
    entered = min((float(points[points[:, 1] <= top, 0].min(initial=math.inf)) for points in everything), default=math.inf)
    linear.set_xlim(left=10 ** math.floor(math.log10(min(entered, *(float(points[-1, 0]) for points in everything)))))
    linear.set_ylim(0, top)
    linear.set_ylabel("bits per sequence")
    linear.set_title(f"linear, 0 to {plain(top)} bits, as in the paper")
    logarithmic.set_yscale("log")
    logarithmic.set_ylim(bottom=FLOOR * 0.8)
    logarithmic.set_title("logarithmic, all of it" + ("; thin: each seed" if ours else ""))
    if chance is not None:
        _guessing(logarithmic, chance)
    for axes in (linear, logarithmic):
        plain_ticks(axes)
    logarithmic.yaxis.set_major_formatter(lambda value, position: f"≤ {plain(FLOOR)}" if math.isclose(value, FLOOR) else plain(value))
    _legend(figure, logarithmic)
    return figure


def _legend(figure: Figure, axes: Axes) -> None:
    """Below the panels, a column a system: ours above, the paper's below."""
    lines = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    blank = Line2D([], [], alpha=0)
    deep = 2 if any(not label.endswith(PAPER) for label in lines) else 1
    handles, labels = [], []
    for system in SYSTEMS:
        mine = [label for label in lines if label.startswith(f"{system},")]
        for label in sorted(mine, key=lambda label: label.endswith(PAPER)) + [""] * (deep - len(mine)) if mine else ():
            handles.append(lines.get(label, blank))
            labels.append(label)
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels) // deep, columnspacing=3.0)


def _guessing(axes: Axes, bits: float) -> None:
    axes.axhline(bits, color=GREY, linestyle=":", linewidth=1.5, zorder=1)
    axes.annotate(f"guessing: {plain(bits)} bits", (1, bits), (-2, 4), ("axes fraction", "data"), "offset points", ha="right", color=GREY)


def _seeds(system: str, count: int) -> str:
    return f"{system}, 1 seed" if count == 1 else f"{system}, median of {count} seeds"


@styled
def initial_weightings(
    runs_one_hot: Sequence[Array],
    runs_uniform: Sequence[Array],
    start_one_hot: Array,
    start_uniform: Array,
    title: str = "Why does my NTM not converge? Look where its heads start",
    *,
    chance: float | None = None,
) -> Figure:
    """The A/B of the initial weightings: left the two starts as bars on 0 … 1, right what each then learns.

    runs (one array (n, 2) a seed): thousands of sequences, bits per sequence; thin lines and their bold median.
    starts (N,): the weighting over all locations before the first step.  No figure of the paper: it only says "learned".
    """
    one_hot, uniform = checked_runs("runs_one_hot", runs_one_hot), checked_runs("runs_uniform", runs_uniform)
    starts = checked(start_one_hot=(start_one_hot, "N"), start_uniform=(start_uniform, "N"))
    check_shares(start_one_hot=starts[0], start_uniform=starts[1])

    figure = Figure(figsize=(SLIDE, 6.2), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    grid = figure.add_gridspec(2, 2, width_ratios=[1, 1.7], hspace=0.08, wspace=0.06)
    curves = figure.add_subplot(grid[:, 1])
    above: Axes | None = None
    for row, (name, start, colour) in enumerate((("one-hot", starts[0], BLUE), ("uniform", starts[1], VERMILLION))):
        axes = figure.add_subplot(grid[row, 0], sharex=above, sharey=above)
        axes.bar(numpy.arange(len(start)), start, width=1.0, color=colour)
        axes.set(ylim=(-0.015, 1), yticks=(0, 0.5, 1), xlim=(-1.5, len(start) - 0.5), ylabel="weight")
        axes.set_title(f"start: {name}", color=colour, fontweight="bold")
        peak = int(start.argmax())
        even = bool(numpy.ptp(start) < 1e-3)
        told = f"{start[peak]:.2g} on each of {len(start)}" if even else f"{start[peak]:.3f} on location {peak} of {len(start)}"
        axes.text(0.97, 0.86, told, transform=axes.transAxes, ha="right", va="top")
        above = axes
    assert above is not None
    above.set_xlabel("location")

    ends = []
    for name, runs, colour in (("one-hot", one_hot, BLUE), ("uniform", uniform, VERMILLION)):
        draw_runs(curves, runs, colour, _seeds(f"start {name}", len(runs)))
        middle = median_run(runs)
        if len(middle):
            ends.append((float(middle[-1, 1]), f"{name}\n{_count(len(runs))}", colour))
    highest = max(float(run[:, 1].max()) for run in (*one_hot, *uniform))
    if chance is not None:
        _guessing(curves, chance)
    curves.set(xlabel=SEQUENCES, ylabel="bits per sequence", ylim=(0, 1.1 * max(highest, chance or 0.0)))
    curves.set_xlim(0, max(float(run[-1, 0]) for run in (*one_hot, *uniform)))
    curves.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    curves.set_title("what it then learns")
    curves.grid(True, axis="y")
    name_ends(curves, ends, gap=0.15)
    return figure


def _count(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds} seeds"


@styled
def wrong_bits_by_length(
    rows: Sequence[tuple[str, int, int, int]],
    title: str = "Copy: trained on up to 20 vectors, tested on more",
    *,
    trained: tuple[int, int] = (1, 20),
) -> Figure:
    """The fraction of wrong bits against the length of the sequence: Graves et al. 2014, Figs. 4 and 5, in one number each.

    rows (system, length, wrong bits, all bits), one a test, in any order: a dot each; the line adds up the tests of equal
    length.  The lengths of the training are shaded; half wrong is guessing.
    """
    if not rows:
        raise ValueError("wrong_bits_by_length: no row to draw")
    for system, length, wrong, total in rows:
        colour_of(system)
        if length < 1 or total < 1 or not 0 <= wrong <= total:
            raise ValueError(f"a row is (system, length >= 1, 0 <= wrong <= total, total >= 1), got {(system, length, wrong, total)}")

    figure = Figure(figsize=(SLIDE, 6.2), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    axes = figure.add_subplot()
    longest = max(length for _, length, _, _ in rows)
    axes.axvspan(trained[0], trained[1], color=PALE, linewidth=0, zorder=0)
    axes.text(sum(trained) / 2, 0.985, f"trained: {trained[0]}…{trained[1]}", transform=axes.get_xaxis_transform(), ha="center", va="top")
    axes.axhline(0.5, color=GREY, linestyle=":", linewidth=1.5)
    axes.annotate("guessing", (longest, 0.5), (0, 4), textcoords="offset points", ha="right", color=GREY)
    ends = []
    for system, colour in SYSTEMS.items():
        tests = sorted((length, wrong, total) for name, length, wrong, total in rows if name == system)
        if not tests:
            continue
        length, wrong, total = numpy.array(tests).T
        axes.plot(length, wrong / total, "o", color=colour, alpha=0.45, markersize=6, clip_on=False)
        lengths = numpy.unique(length)
        fractions = [float(wrong[length == at].sum() / total[length == at].sum()) for at in lengths]
        axes.plot(lengths, fractions, color=colour, label=system, clip_on=False)
        ends.append((fractions[-1], f"{system}  {100 * fractions[-1]:.2g} %", colour))
    axes.set(xlim=(0, longest * 1.01), ylim=(-0.012, 0.56), xlabel="length of the sequence (vectors)", ylabel="fraction of wrong bits")
    axes.grid(True, axis="y")
    name_ends(axes, ends)
    return figure
