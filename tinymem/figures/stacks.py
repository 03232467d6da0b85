"""The figures of the stack-augmented network's part of the lecture (Joulin & Mikolov 2015): who solves what, and the search over seeds.

What a network did with one sequence is drawn in `tinymem.figures.stack_traces` and found here too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, PercentFormatter

from tinymem.figures.checks import Array, check_shares, checked, picked
from tinymem.figures.panels import plain_ticks
from tinymem.figures.stack_traces import MARGIN, Board, stack_depth, stack_tops, tint, trace_table
from tinymem.figures.style import BLUE, GREY, PALE, SKY, SLIDE, SYSTEMS, VERMILLION, colour_of, line_of, styled

__all__ = [
    "accuracy_by_length",  # Fig. 2
    "seed_search",
    "solved_table",  # Table 2
    "stack_depth",
    "stack_tops",  # Fig. 3
    "trace_table",  # Table 3
]

Curve = tuple[Array, Array]


@styled
def accuracy_by_length(
    curves: Mapping[str, Mapping[str, Curve]],
    trained: tuple[int, int] | Mapping[str, tuple[int, int]],
    title: str = "Trained on short sequences, tested on longer ones",
    *,
    titles: Mapping[str, str] | None = None,
    seeds: Mapping[str, Mapping[str, Sequence[Curve]]] | None = None,
    label: str = "n",
) -> Figure:
    """Joulin & Mikolov 2015, Fig. 2: the share of sequences predicted right against their length n, a panel a task.

    curves {task: {system: (n (N,), share (N,))}}: one line a system.  Lines that coincide stay visible: the later a system
    stands in `SYSTEMS`, the thinner its line.  seeds {task: {system: several (n, share)}}: thin lines, beside the chosen one
    of `curves`.  trained: the first and last n of the training, shaded, for all tasks or {task: …}.  titles {task: title}.
    """
    if not curves:
        raise ValueError("accuracy_by_length: no task to draw")
    seeds = seeds or {}
    lone = sorted({*seeds} - {*curves})
    if lone:
        raise ValueError(f"seeds of tasks without a curve: {', '.join(lone)}")
    drawn = {task: {system: _curve(f"curves[{task!r}]", system, of[system]) for system in of} for task, of in curves.items()}
    thin = {
        task: {system: [_curve(f"seeds[{task!r}]", system, curve) for curve in several] for system, several in of.items()}
        for task, of in seeds.items()
    }
    given = picked("trained", trained, tuple(curves)) if isinstance(trained, Mapping) else [trained] * len(curves)
    ranges = {task: checked(trained=(bounds, "2"))[0] for task, bounds in zip(curves, given, strict=True)}
    for task, (first, last) in ranges.items():
        if not drawn[task]:
            raise ValueError(f"curves[{task!r}]: no system to draw")
        if first > last:
            raise ValueError(f"trained must be the first and the last n of the training, got {first:g} and {last:g}")
    present = {system for of in drawn.values() for system in of} | {system for of in thin.values() for system in of}
    systems = [system for system in SYSTEMS if system in present]
    widths = dict(zip(systems, numpy.linspace(2.6 + min(len(systems) - 1, 3), 2.6, len(systems)), strict=True))

    columns = 2 if len(curves) == 4 else min(len(curves), 3)
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(SLIDE, 6.2 if rows == 1 else 3.5 * rows), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    grid = figure.add_gridspec(rows, columns, hspace=0.06, wspace=0.04)
    longest = max(float(n[-1]) for of in drawn.values() for n, _ in of.values())
    for place, task in enumerate(curves):
        axes = figure.add_subplot(grid[divmod(place, columns)])
        axes.axvspan(*ranges[task], color=PALE, linewidth=0, zorder=0)
        axes.annotate("trained", (ranges[task][0], 0.06), (4, 0), ("data", "axes fraction"), "offset points", color=GREY, zorder=5,
                      path_effects=[withStroke(linewidth=4, foreground=PALE)])  # fmt: skip
        for system in systems:
            colour, line = colour_of(system), line_of(system)
            for n, share in thin.get(task, {}).get(system, ()):
                axes.plot(n, share, color=colour, linestyle=line, linewidth=1.1, alpha=0.6, zorder=2, label="_one seed")
            if system in drawn[task]:
                axes.plot(*drawn[task][system], color=colour, linestyle=line, linewidth=widths[system], solid_capstyle="butt", label=system)
        axes.set_title((titles or {}).get(task, task))
        axes.set(ylim=(-0.03, 1.05), yticks=(0, 0.5, 1), xlim=(0, longest + 1))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.grid(True, axis="y")
        if place % columns:
            axes.tick_params(labelleft=False)
        else:
            axes.set_ylabel("sequences right")
        if place + columns >= len(curves):
            axes.set_xlabel(label)
    free = figure.add_subplot(grid[rows - 1, columns - 1]) if columns * rows > len(curves) else None
    _key(figure, free, systems, widths, any(several for of in thin.values() for several in of.values()))
    return figure


def _curve(name: str, system: str, curve: Curve) -> Curve:
    """(n (N,), share (N,)), n growing."""
    colour_of(system)
    if not isinstance(curve, tuple | list) or len(curve) != 2:
        raise ValueError(f"{name}[{system!r}] must be a pair (n, share), got {type(curve).__name__}")
    n, share = checked(**{f"n of {name}[{system!r}]": (curve[0], "N"), f"share of {name}[{system!r}]": (curve[1], "N")})
    check_shares(**{f"share of {name}[{system!r}]": share})
    if (numpy.diff(n) <= 0).any():
        raise ValueError(f"n of {name}[{system!r}] must grow")
    return n, share


def _key(figure: Figure, axes: Axes | None, systems: Sequence[str], widths: Mapping[str, float], seeds: bool) -> None:
    """One legend for all panels: in the axes that no task needs, else below."""
    lines = [Line2D([], [], color=colour_of(system), linestyle=line_of(system), linewidth=widths[system]) for system in systems]
    several = len(systems) > 2  # too many to repeat it for each
    labels = [f"{system}, the chosen seed" for system in systems] if seeds and not several else list(systems)
    if seeds:
        lines.append(Line2D([], [], color=GREY, linewidth=1.1))
        labels.append("thin: each seed" + "; thick: the chosen one" * several)
    if axes is None:
        figure.legend(
            lines, labels, loc="outside lower center", ncols=len(labels) if len(labels) <= 4 else -(-len(labels) // 2), columnspacing=3.0
        )
    else:
        axes.set_axis_off()
        axes.legend(lines, labels, loc="center", fontsize=14, labelspacing=0.7)


@styled
def solved_table(
    ours: Mapping[str, Mapping[str, float | None]],
    paper: Mapping[str, Mapping[str, float | None]],
    title: str = "How many of the lengths are solved?",
    *,
    titles: Mapping[str, str] | None = None,
    source: str = "Joulin & Mikolov 2015",
) -> Figure:
    """Joulin & Mikolov 2015, Table 2: a row a system, a column a task; large our share of the n solved, small the paper's.

    ours, paper {system: {task: share in 0 … 1, or None}}: a dash where there is no number.  The ground of a cell is the
    bluer, the more we solve.  Columns in the order in which `ours` names the tasks first.  titles {task: title}.
    """
    systems = list(dict.fromkeys((*ours, *paper)))
    tasks = list(dict.fromkeys(task for of in ours.values() for task in of))
    if not tasks:
        raise ValueError("solved_table: no system, or no task, in ours")
    foreign = sorted({task for of in paper.values() for task in of} - {*tasks})
    if foreign:
        raise ValueError(f"paper has tasks that ours lacks: {', '.join(foreign)}")
    for name, given in (("ours", ours), ("paper", paper)):
        for system, of in given.items():
            for task, share in of.items():
                if share is not None:
                    check_shares(**{f"{name}[{system!r}][{task!r}]": checked(share=([share], "1"))[0]})

    left = MARGIN + 0.35 + 0.118 * max(len(system) for system in systems)
    width = (SLIDE - left - MARGIN) / len(tasks)
    if width < 1.2:
        raise ValueError(f"{len(tasks)} tasks are too many for a slide beside these systems")
    width, height, top = min(width, 2.3), 0.78, 1.2
    board = Board(top + height * len(systems) + 0.6, title)
    for column, task in enumerate(tasks):
        board.word(left + width * (column + 0.5), top - 0.28, (titles or {}).get(task, task), size=15, bold=True, mathematics=True)
    for row, system in enumerate(systems):
        y = top + height * row
        board.word(left - 0.2, y + height / 2, system, align="right", size=14, bold=True)
        for column, task in enumerate(tasks):
            x = left + width * column
            mine, theirs = (given.get(system, {}).get(task) for given in (ours, paper))
            board.cell(x + 0.02, y + 0.02, width - 0.04, height - 0.04, PALE if mine is None else tint(SKY, mine), f"{system}, {task}")
            board.word(x + width / 2, y + 0.28, _percent(mine), size=18, bold=True)
            board.word(x + width / 2, y + 0.58, f"paper: {_percent(theirs)}", colour="#333333")
    board.word(MARGIN, top + height * len(systems) + 0.32, f"large: ours; small: {source}; –: no number", align="left", colour=GREY)
    return board.figure


def _percent(share: float | None) -> str:
    """At most one digit behind the point; a dash for no number; 100 only where all is solved, 0 only where nothing is."""
    if share is None:
        return "–"
    tenths = round(1000 * share)
    tenths = min(tenths, 999) if share < 1 else tenths
    tenths = max(tenths, 1) if share > 0 else tenths
    return f"{tenths / 10:.1f}".removesuffix(".0") + " %"


@styled
def seed_search(
    runs: Mapping[str, tuple[Array, Array]],
    title: str = "The search over seeds: the best on validation is chosen",
    *,
    titles: Mapping[str, str] | None = None,
    measure: str = "validation loss",
    lower_is_better: bool = True,
    success: float = 1.0,
    shown: str = "n solved on the test",
) -> Figure:
    """How much luck there is in a seed: a panel a task (or system), a dot a seed, the chosen one ringed.

    runs {name: (validation (S,), solved (S,))}: of each seed the measure on which one is chosen, and the share of the n
    solved on the test.  Chosen is the lowest (or the highest) validation, the first of equals: the test never chooses.
    `success` is the share of n from which a seed counts as one.  The measure's axis is logarithmic if it spans decades.
    titles {name: title}; shown: what the share is one of.  No figure of the paper, which only says that it picked the best of
    its runs on validation.
    """
    if not runs:
        raise ValueError("seed_search: no run to draw")
    columns = 2 if len(runs) == 4 else min(len(runs), 3)
    rows = -(-len(runs) // columns)
    figure = Figure(figsize=(SLIDE, 5.6 if rows == 1 else 3.5 * rows), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    grid = figure.add_gridspec(rows, columns, hspace=0.06, wspace=0.04)
    for place, (name, (given, share)) in enumerate(runs.items()):
        validation, solved = checked(**{f"validation of {name}": (given, "S"), f"solved of {name}": (share, "S")})
        check_shares(**{f"solved of {name}": solved})
        chosen = int(validation.argmin() if lower_is_better else validation.argmax())
        successes = int((solved >= success - 1e-6).sum())
        axes = figure.add_subplot(grid[divmod(place, columns)])
        if validation.min() > 0 and validation.max() > 30 * validation.min():
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(numticks=5))
            axes.xaxis.set_minor_locator(NullLocator())
        axes.plot(validation, solved, "o", color=BLUE, alpha=0.6, markersize=9, markeredgewidth=0, clip_on=False, label="a seed")
        axes.plot(validation[chosen], solved[chosen], "o", color="none", markeredgecolor=VERMILLION, markersize=17, markeredgewidth=2.4,
                  clip_on=False, label="the chosen seed: best on validation")  # fmt: skip
        axes.margins(x=0.1)
        axes.set(ylim=(-0.06, 1.06), yticks=(0, 0.5, 1))
        axes.set_title((titles or {}).get(name, name))
        axes.set_title(f"{successes} of {len(solved)} succeed", loc="right", color=GREY)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        axes.grid(True)
        plain_ticks(axes)
        if place % columns:
            axes.tick_params(labelleft=False)
        else:
            axes.set_ylabel(shown)
        if place + columns >= len(runs):
            axes.set_xlabel(measure)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, columnspacing=3.0)
    return figure
