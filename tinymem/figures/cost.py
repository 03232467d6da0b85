"""What a layer costs: how far apart its positions are, how its operations and seconds grow; and what a BLEU costs to learn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from matplotlib.transforms import Bbox

from tinymem.figures.checks import Array, checked
from tinymem.figures.panels import name_ends, plain_ticks
from tinymem.figures.style import BLUE, GREEN, GREY, PURPLE, SKY, SLIDE, VERMILLION, styled

LAYERS = {
    "self-attention": BLUE, "recurrent": VERMILLION, "convolutional": GREEN, "dilated": PURPLE, "restricted": SKY,
}  # fmt: skip
"""The colour of each kind of layer; "dilated" is a convolutional stack, "restricted" self-attention within a window."""

SYSTEMS = {"RNNencdec": GREEN, "RNNsearch": VERMILLION, "Transformer": BLUE}
"""The colour of each of our translators."""

Curves = Mapping[str, Array | Sequence[float]]


@styled
def path_lengths(
    sizes: Sequence[int], longest: Curves, shortest: Curves, title: str = "On our own tape: from the first word in to the last word out"
) -> Figure:
    """Two panels against the length n, both in rows of the tape: the longest chain of one layer, and the shortest path of a stack.

    longest, shortest: {layer: one number a size}.
    """
    figure = Figure(figsize=(SLIDE, 5.8), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    panels = {
        "longest chain of one layer: what must wait": longest,
        "shortest path, in as many layers as connect": shortest,
    }
    for axes, (name, curves) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        _growth(axes, sizes, curves, "n, positions", "rows of the tape")
        axes.set_title(name)
    return figure


@styled
def operations_and_seconds(
    sizes: Sequence[int],
    operations: tuple[Curves, Curves],
    milliseconds: tuple[Curves, Curves],
    other: int,
    title: str = "What one layer costs: self-attention is cheap where n < d",
) -> Figure:
    """Four panels: operations (above) and CPU milliseconds (below), against n with d = `other` (left), against d with n = `other`.

    Each of operations and milliseconds is ({layer: one number a size} against n, the same against d).
    """
    figure = Figure(figsize=(SLIDE, 9.6), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    millions = [{name: numpy.asarray(curve) / 1e6 for name, curve in curves.items()} for curves in operations]
    rows = ("million operations", millions), ("CPU milliseconds", milliseconds)
    for row, (label, both) in zip(figure.subplots(2, 2), rows, strict=True):
        for axes, curves, varied, fixed in zip(row, both, ("n, positions", "d, width"), (f"d = {other}", f"n = {other}"), strict=True):
            _growth(axes, sizes, curves, varied, label)
            axes.set_title(f"{label}, {fixed}")
            axes.axvline(other, color=GREY, linewidth=1, linestyle=":")
            axes.annotate(
                "n = d", (other, 1), xycoords=("data", "axes fraction"), xytext=(4, -4), textcoords="offset points",
                va="top", color=GREY,
            )  # fmt: skip
    return figure


@styled
def bleu_and_flops(
    panels: Mapping[str, Sequence[tuple[str, float, float]]], title: str = "Vaswani et al. 2017, Table 2: BLEU, and what it took to learn"
) -> Figure:
    """A panel for each pair of languages: systems (name, FLOPs of training, BLEU) on a logarithmic axis; the Transformer's are blue."""
    if not panels or not all(panels.values()):
        raise ValueError("bleu_and_flops: no system to draw")
    figure = Figure(figsize=(SLIDE, 6.8), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    for axes, (name, systems) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        flops, scores = checked(flops=([x for _, x, _ in systems], "n"), bleu=([y for _, _, y in systems], "n"))
        if flops.min() <= 0:
            raise ValueError(f"the FLOPs of a system must be positive, got {flops.min():g}; the axis is logarithmic")
        low, high = math.floor(math.log10(flops.min()) - 0.1), math.ceil(math.log10(flops.max()) + 0.1)
        room = max(0.15 * float(scores.max() - scores.min()), 1.0)
        axes.set(xscale="log", xlim=(10.0**low, 10.0**high), ylim=(scores.min() - room, scores.max() + room))
        axes.set(title=name, xlabel="FLOPs of training", ylabel="BLEU")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(True)
        for system, x, y in systems:
            axes.plot(x, y, "o", color=_colour(system), zorder=4)
    figure.draw_without_rendering()  # places are known from here on
    for axes, systems in zip(figure.axes, panels.values(), strict=True):
        _name_points(axes, systems)
    return figure


@styled
def bleu_by_flops(
    curves: Mapping[str, Array], reached: float, title: str = "LibreOffice: BLEU of the validation sentences, and what it has cost so far"
) -> Figure:
    """BLEU against the FLOPs spent; curves {system: (n, 2) of FLOPs and BLEU}.  A dotted line at `reached`, a dot where each gets there."""
    unknown = [system for system in curves if system not in SYSTEMS]
    if unknown or not curves:
        raise ValueError(f"curves of the systems {', '.join(SYSTEMS)} are drawn, got {', '.join(curves) or 'none'}")
    figure = Figure(figsize=(SLIDE, 5.4), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    axes = figure.add_subplot()
    axes.axhline(reached, color=GREY, linestyle=":", linewidth=1.5)
    ends = []
    for system, curve in curves.items():
        points = checked(**{f"curves[{system!r}]": (curve, "n 2")})[0] / (1e12, 1)
        axes.plot(*points.T, color=SYSTEMS[system])
        above = points[points[:, 1] >= reached]
        if len(above):
            axes.plot(*above[0], "o", color=SYSTEMS[system])
        ends.append((float(points[-1, 1]), system, SYSTEMS[system]))
    axes.set(xlabel="FLOPs of training so far, in millions of millions", ylabel="BLEU", xlim=(0, None), ylim=(0, None))
    axes.grid(True, axis="y")
    name_ends(axes, ends)
    return figure


def _colour(system: str) -> str:
    return BLUE if system.startswith("Transformer") else GREY


PLACES = ((9, 0), (-9, 0), (0, 15), (0, -15), (9, 12), (-9, 12), (9, -12), (-9, -12))
"""Where a name may stand, in points from its own point; the first that is free."""


def _name_points(axes: Axes, systems: Sequence[tuple[str, float, float]]) -> None:
    """Each system's name beside its point, where it meets no other name, no point and no border."""
    inside, taken = axes.get_window_extent(), []
    for _, x, y in systems:
        centre = axes.transData.transform((x, y))
        taken.append(Bbox([centre - 8, centre + 8]))
    for system, x, y in sorted(systems, key=lambda point: -point[1]):  # from the right, where the border is near
        for side, up in PLACES:
            name = axes.annotate(
                system, (x, y), xytext=(side, up), textcoords="offset points", color=_colour(system), fontsize=12,
                ha={9: "left", 0: "center", -9: "right"}[side], va="center", zorder=5,
            )  # fmt: skip
            box = name.get_window_extent().padded(2)
            if inside.x0 <= box.x0 and box.x1 <= inside.x1 and not any(box.overlaps(other) for other in taken):
                break
            name.remove()
        else:
            raise ValueError(f"there is no room for the name {system!r} beside its point")
        taken.append(box)


def _growth(axes: Axes, sizes: Sequence[int], curves: Curves, label: str, unit: str) -> None:
    """Curves against a size, both logarithmic: n^p is a straight line of slope p."""
    unknown = [name for name in curves if name not in LAYERS]
    if unknown or not curves:
        raise ValueError(f"curves of the layers {', '.join(LAYERS)} are drawn, got {', '.join(curves) or 'none'}")
    values = {name: checked(**{f"{unit}, {name}": (curve, str(len(sizes)))})[0] for name, curve in curves.items()}
    lowest = min(float(heights.min()) for heights in values.values())
    if lowest <= 0:
        raise ValueError(f"{unit} must be positive, got {lowest:g}; the axis is logarithmic")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    for name, heights in values.items():
        axes.plot(sizes, heights, "o--" if name == "restricted" else "o-", color=LAYERS[name])  # a line under it is still seen
    axes.set_xticks(sizes)
    axes.minorticks_off()
    axes.set(xlabel=label, ylabel=unit)
    axes.grid(True, axis="y")
    plain_ticks(axes)
    name_ends(axes, [(float(heights[-1]), name, LAYERS[name]) for name, heights in values.items()])
