"""Dynamic N-grams (Graves et al. 2014, Figs. 13 to 15): learning towards the Bayes optimum, one sequence bit by bit, the memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from tinymem.figures.checks import Array, check_shares, checked
from tinymem.figures.panels import axes_at, checked_runs, colour_bar, draw_runs, heat_map, plain_ticks, signed_limit
from tinymem.figures.style import BLACK, BLUE, GREY, ORANGE, PAPER, SLIDE, SYSTEMS, VERMILLION, colour_of, styled

__all__ = [
    "counters",  # Fig. 15
    "learning_gaps",  # Fig. 13
    "predictions",  # Fig. 14
]

SEQUENCES = "thousands of training sequences"
FLOOR = 0.1  # bits above the optimum: on a logarithm, the least that is drawn


@styled
def learning_gaps(
    runs: Mapping[str, Sequence[Array]],
    gaps: Mapping[str, Sequence[Array]],
    optimum: float,
    paper: Mapping[str, Array],
    paper_optimum: float | None = None,
    title: str = "Dynamic N-grams: learning curves",
    *,
    top: float | None = None,
) -> Figure:
    """Graves et al. 2014, Fig. 13: left bits per sequence in training, right the gap to the Bayes optimum in validation.

    runs {system: one array (n, 2) a seed}: thousands of sequences, bits per sequence; gaps the same with the bits above the
    optimum of the same sequences.  optimum: the mean cost of the Bayes estimator, a line.  paper {system: (n, 2)} with
    paper_optimum, its own: dashed, right as the difference of the two.  top: the highest number of bits of the left axis.
    """
    if not runs or list(runs) != list(gaps):
        raise ValueError(f"learning_gaps: runs and gaps must name the same systems, at least one; got {[*runs]} and {[*gaps]}")
    if paper and paper_optimum is None:
        raise ValueError("learning_gaps: the paper's curves need the paper's own optimum beside them")
    for system in (*runs, *paper):
        colour_of(system)
    figure = Figure(figsize=(SLIDE, 6.8), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    costs, above = figure.subplots(1, 2)
    for system, colour in SYSTEMS.items():
        if system in paper and paper_optimum is not None:
            (points,) = checked_runs(f"paper[{system!r}]", [paper[system]])
            for axes, heights in ((costs, points[:, 1]), (above, points[:, 1] - paper_optimum)):
                axes.plot(points[:, 0], numpy.maximum(heights, FLOOR), "--", color=colour, linewidth=1.5, label=f"{system}, {PAPER}")
        if system in runs:
            seeds = len(runs[system])
            label = f"{system}, " + ("1 seed" if seeds == 1 else f"median of {seeds} seeds")
            draw_runs(costs, checked_runs(f"runs[{system!r}]", runs[system]), colour, label)
            draw_runs(above, checked_runs(f"gaps[{system!r}]", gaps[system]), colour, label, floor=FLOOR)
    costs.axhline(optimum, color=BLACK, linewidth=1.5, label=f"Bayes optimum, {optimum:.1f}")
    if paper_optimum is not None:
        costs.axhline(paper_optimum, color=BLACK, linewidth=1.5, linestyle="--", label=f"{PAPER}, {paper_optimum:.1f}")
    costs.set(ylim=(min(optimum, paper_optimum or optimum) - 2, top), ylabel="bits per sequence")
    costs.set_title("in training")
    above.set_yscale("log")
    above.set(ylabel="bits above the optimum")
    above.set_title("in validation: the gap to the optimum of the same sequences")
    for axes in (costs, above):
        axes.set_xscale("log")
        axes.set_xlabel(SEQUENCES)
        axes.grid(True)
        plain_ticks(axes)
    above.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    figure.legend(*costs.get_legend_handles_labels(), loc="outside lower center", ncols=3, columnspacing=2.5)
    return figure


@styled
def predictions(bits: Array, optimum: Array, said: Mapping[str, Array], title: str = "Dynamic N-grams: one sequence, bit by bit") -> Figure:
    """Graves et al. 2014, Fig. 14: the probability of a 1 at each step, of the Bayes optimum and of each system, a panel a system.

    bits (T,) of 0 and 1, optimum (T,), said {system: (T,)}.  Dots: the bits; in the corner: what each paid for them.
    """
    bits, optimum = checked(bits=(bits, "T"), optimum=(optimum, "T"))
    if not said:
        raise ValueError("predictions: no system to draw")
    drawn = {system: checked(bits=(bits, "T"), **{f"said[{system!r}]": (said[system], "T")})[1] for system in said}
    check_shares(bits=bits, optimum=optimum, **{f"said[{system!r}]": values for system, values in drawn.items()})

    def paid(probability: Array) -> float:
        return float(-numpy.log2(numpy.where(bits > 0.5, probability, 1 - probability).clip(1e-7)).sum())

    figure = Figure(figsize=(SLIDE, 1.3 + 2.8 * len(said)), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    steps = numpy.arange(1, len(bits) + 1)
    column = figure.subplots(len(said), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (system, probability) in zip(column, drawn.items(), strict=True):
        colour = colour_of(system)
        axes.step(steps, optimum, where="mid", color=BLACK, linewidth=1.3)
        axes.step(steps, probability, where="mid", color=colour, linewidth=1.7, alpha=0.85)
        axes.plot(steps, numpy.where(bits > 0.5, 1.1, -0.1), ".", color=GREY, markersize=4)
        axes.set(ylim=(-0.17, 1.17), yticks=(0, 0.5, 1), ylabel="p(1)", xlim=(0.5, len(bits) + 0.5))
        axes.set_title(f"{system}: {paid(probability):.1f} bits", color=colour, fontweight="bold")
        axes.set_title(f"black: the Bayes optimum, {paid(optimum):.1f} bits; dots: the bits", loc="right", color=GREY)
        axes.grid(True, axis="y")
    column[-1].set_xlabel("bit of the sequence")
    return figure


@styled
def counters(
    bits: Array,
    seen: Array,
    read_weightings: Array,
    write_weightings: Array,
    adds: Array,
    title: str = "Dynamic N-grams: what the heads do when a context comes again",
) -> Figure:
    """Graves et al. 2014, Fig. 15: what the heads do, step by step, and every step that follows one context marked.

    bits (T,): what each step shows; seen (T,): true at the steps at which the last bits are the chosen context;
    weightings (T, N) of one head each, adds (T, M).  A read may be spread over many locations, so each of its columns is drawn as
    shares of its largest weight.
    """
    bits, reading, writing, adds, marked = checked(
        bits=(bits, "T"), read_weightings=(read_weightings, "T N"), write_weightings=(write_weightings, "T N"),
        adds=(adds, "T M"), seen=(seen, "T"),
    )  # fmt: skip
    check_shares(bits=bits, read_weightings=reading, write_weightings=writing, seen=marked)
    limit = signed_limit(adds)
    figure = Figure(figsize=(SLIDE, 7.5))
    figure.suptitle(title, x=0.13 / SLIDE, y=1 - 0.16 / 7.5, ha="left", va="top")
    panels = (  # name, rows, bound of the colours, colour of the name, bottom and height in inches
        ("input", bits[:, None], None, GREY, 6.3, 0.25),
        ("read weightings", reading / reading.max(1, keepdims=True), None, BLUE, 4.05, 1.8),
        ("write weightings", writing, None, ORANGE, 2.0, 1.6),
        ("adds", adds, limit, GREY, 0.7, 0.85),
    )
    for name, values, bound, colour, low, height in panels:
        axes = axes_at(figure, 0.9, low, 11.2, height)
        heat_map(axes, values.T, bound, first_column=1)
        axes.set_title(name, color=colour, fontweight="bold")
        axes.tick_params(labelbottom=name == "adds")
        for step in numpy.flatnonzero(marked).tolist():
            axes.axvline(step + 1, color=VERMILLION, linewidth=0.9, alpha=0.6)
        if name == "input":
            axes.set_yticks([])
            axes.set_title("lines: the last bits are the same context", loc="right", color=VERMILLION)
        elif name == "adds":
            axes.set(ylabel="element", xlabel="step")
        else:
            axes.set_ylabel("location")
        if name == "read weightings":
            axes.set_title("each step as a share of its largest weight", loc="right", color=GREY)
    colour_bar(figure, axes_at(figure, 12.3, 4.05, 0.16, 1.8), "share")
    colour_bar(figure, axes_at(figure, 12.3, 2.0, 0.16, 1.6), "weight")
    colour_bar(figure, axes_at(figure, 12.3, 0.7, 0.16, 0.85), "element", limit)
    return figure
