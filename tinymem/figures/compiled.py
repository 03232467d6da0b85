"""What compiling a training step buys: its time and its memory after each stage, from Python to native code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from tinymem.figures.checks import Array, checked
from tinymem.figures.panels import plain_ticks
from tinymem.figures.style import BLUE, SLIDE, VERMILLION, styled

COLOURS = (BLUE, VERMILLION)


@styled
def compiled_ladder(
    stages: Sequence[str],
    milliseconds: Mapping[int, Array | Sequence[float]],
    megabytes: Mapping[int, Array | Sequence[float]],
    title: str = "One training step, stage by stage",
) -> Figure:
    """Time (left) and memory (right) of one training step after each stage, top to bottom, on logarithmic axes.

    stages: their names, in order.  milliseconds, megabytes {batch: one number a stage}: one or two batches, the same in
    both.  Every point carries its number, so that no reader has to measure on a logarithmic axis.
    """
    if not stages:
        raise ValueError("compiled_ladder: no stage to draw")
    batches = sorted(milliseconds)
    if batches != sorted(megabytes) or not 1 <= len(batches) <= len(COLOURS):
        raise ValueError(f"one or two batches, the same for time and memory, got {batches} and {sorted(megabytes)}")
    panels = []
    for name, given in (("milliseconds", milliseconds), ("megabytes", megabytes)):
        rows = numpy.stack(checked(**{f"{name}[{batch}]": (given[batch], str(len(stages))) for batch in batches}))
        if rows.min() <= 0:
            raise ValueError(f"{name} must be positive, got {rows.min():g}; the axis is logarithmic")
        panels.append(rows)

    figure = Figure(figsize=(SLIDE, 1.9 + 0.42 * len(stages)), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    time, memory = figure.subplots(1, 2, sharey=True)
    _panel(time, panels[0], batches, "CPU milliseconds a step")
    _panel(memory, panels[1], batches, "megabytes, without parameters and data")
    time.set_yticks(range(len(stages)), stages)
    time.set_ylim(len(stages) - 0.5, -0.5)
    handles, labels = time.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), columnspacing=3.0)
    return figure


def _panel(axes: Axes, rows: Array, batches: Sequence[int], label: str) -> None:
    heights = numpy.arange(rows.shape[1])
    axes.set_xscale("log")
    axes.set_xlim(rows.min() / 2.6, rows.max() * 2.6)
    axes.set_xlabel(label)
    axes.grid(True, axis="x")
    axes.tick_params(axis="y", length=0)
    for row, batch, colour in zip(rows, batches, COLOURS, strict=False):
        axes.plot(row, heights, "o-", color=colour, markersize=8, linewidth=1.5, label=f"batch {batch}")
    for height in heights:
        order = numpy.argsort(rows[:, height], kind="stable")
        for place, index in enumerate(order):  # the smaller number stands left of its point, a larger one right
            right = place > 0
            axes.annotate(
                _three_digits(rows[index, height]), (rows[index, height], height), xytext=(9 if right else -9, 0),
                textcoords="offset points", ha="left" if right else "right", va="center", color=COLOURS[index], fontweight="bold",
                path_effects=[withStroke(linewidth=4, foreground="white")], zorder=5,
            )  # fmt: skip
    plain_ticks(axes)


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 99.5 else f"{value:#.3g}" if value >= 0.995 else f"{value:.2g}"
