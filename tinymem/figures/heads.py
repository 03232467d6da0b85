"""What heads look at: two columns of words joined by lines, all heads side by side, their numbers, and how they come about."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from tinymem.figures.checks import Array, check_shares, checked
from tinymem.figures.panels import name_ends
from tinymem.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SHARES, SKY, SLIDE, VERMILLION, styled

THICKEST = 5.0  # points, the line of weight 1
LEAST_DRAWN = 0.01  # a line of a smaller weight could not be seen
LINE = 0.25  # inches, the height of a word
MODELS, KINDS = (BLUE, ORANGE, GREEN), (VERMILLION, PURPLE, SKY)


@dataclass(frozen=True)
class Head:
    """The weights of one head for given words."""

    asking: Sequence[str]
    """(T,) words of the left column: those that look"""
    seen: Sequence[str]
    """(L,) words of the right column: those that are looked at"""
    weights: Array
    """(T, L), row i is how word i looks"""
    links: Collection[tuple[int, int]] = field(default=())
    """(i, j) where the looking is known to be right: their lines and dots are in another colour"""
    told: str = ""
    """a line above"""


def _check(head: Head, name: str) -> Array:
    (weights,) = checked(**{f"{name}.weights": (head.weights, "T L")})
    check_shares(**{f"{name}.weights": weights})
    if weights.shape != (len(head.asking), len(head.seen)):
        raise ValueError(
            f"{name}: {len(head.asking)} words that look at {len(head.seen)} words need weights of that shape, got {weights.shape}"
        )
    outside = [(i, j) for i, j in head.links if not (0 <= i < weights.shape[0] and 0 <= j < weights.shape[1])]
    if outside:
        raise ValueError(f"{name}: these links (i, j) lead outside the weights {weights.shape}: {sorted(outside)}")
    return weights


def _columns(axes: Axes, head: Head, weights: Array, size: float) -> None:
    """Two columns of words; the line between two of them is as thick, and as opaque, as the weight is large."""
    drawn = [(i, j) for i, j in zip(*numpy.nonzero(weights >= LEAST_DRAWN), strict=True)]
    shares = numpy.array([min(weights[place], 1.0) for place in drawn])
    colours = [to_rgba(VERMILLION if place in set(head.links) else BLUE, share) for place, share in zip(drawn, shares, strict=True)]
    axes.add_collection(LineCollection([[(0, i), (1, j)] for i, j in drawn], colors=colours, linewidths=THICKEST * shares))
    for words, x, side in ((head.asking, -0.03, "right"), (head.seen, 1.03, "left")):
        for place, word in enumerate(words):
            axes.text(x, place, word, ha=side, va="center", fontsize=size)
    axes.set(xlim=(-0.75, 1.75), ylim=(max(weights.shape) - 0.5, -0.5), xticks=(), yticks=())
    axes.spines[:].set_visible(False)
    axes.set_title(head.told, loc="center", fontsize=size + 2, color=GREY)


@styled
def head_with_matrix(head: Head, title: str) -> Figure:
    """One head large: left the words joined by lines, right the same weights as a matrix, from white (0) to black (1)."""
    weights = _check(head, "head")
    figure = Figure(figsize=(SLIDE, max(4.5, 0.36 * max(weights.shape) + 1.8)), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    columns, matrix = figure.subplots(1, 2)
    _columns(columns, head, weights, 13)
    matrix.imshow(weights, cmap=SHARES, vmin=0, vmax=1, origin="upper", aspect="equal")
    matrix.spines[["top", "right"]].set_visible(True)
    matrix.set_xticks(range(len(head.seen)), head.seen, rotation=60, ha="left", rotation_mode="anchor")
    matrix.xaxis.tick_top()
    matrix.set_yticks(range(len(head.asking)), head.asking)
    matrix.tick_params(length=0, labelsize=12)
    if head.links:
        rows, places = zip(*head.links, strict=True)
        matrix.scatter(places, rows, s=42, color=VERMILLION, zorder=3)
    return figure


@styled
def grid_of_heads(rows: Sequence[Sequence[Head]], title: str) -> Figure:
    """Vaswani et al. 2017, Figs. 3-5: every head as two columns of words; a row of panels a layer, as a rule."""
    if not rows or not all(rows) or len({len(row) for row in rows}) > 1:
        raise ValueError(f"grid_of_heads: needs rows of equally many heads, at least one, got {[len(row) for row in rows]}")
    weights = [[_check(head, f"rows[{i}][{j}]") for j, head in enumerate(row)] for i, row in enumerate(rows)]
    heights = [LINE * max(max(of.shape) for of in row) + 0.5 for row in weights]
    figure = Figure(figsize=(SLIDE, sum(heights) + 0.7), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    for axes, row, arrays in zip(
        figure.subplots(len(rows), len(rows[0]), squeeze=False, height_ratios=heights), rows, weights, strict=True
    ):
        for panel, head, of in zip(axes, row, arrays, strict=True):
            _columns(panel, head, of, 11)
    return figure


@styled
def numbers_of_heads(tables: Mapping[str, Array], title: str) -> Figure:
    """A panel for each kind of number, with one number a head: tables {what: (layers, heads)}, shares of 1 as a rule."""
    if not tables:
        raise ValueError("numbers_of_heads: no table to draw")
    values = checked(**{what: (table, "layers heads") for what, table in tables.items()})
    across = min(3, len(values))
    down = -(-len(values) // across)
    figure = Figure(figsize=(SLIDE, down * (0.65 * len(values[0]) + 1.3) + 0.6), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes, what, table in zip(panels, tables, values, strict=False):
        axes.imshow(table, cmap=SHARES, vmin=min(0.0, table.min()), vmax=max(1.0, table.max()) * 1.2, origin="upper", aspect="auto")
        for (layer, head), value in numpy.ndenumerate(table):
            dark = value > 0.75 * max(1.0, table.max())
            axes.text(head, layer, f"{value:.2f}", ha="center", va="center", color="white" if dark else "black")
        axes.set_xticks(range(table.shape[1]), [f"head {head + 1}" for head in range(table.shape[1])])
        axes.set_yticks(range(table.shape[0]), [f"layer {layer + 1}" for layer in range(table.shape[0])])
        axes.tick_params(length=0, labelsize=12)
        axes.set_title(what, loc="center", fontsize=14)
    for axes in panels[len(values) :]:
        axes.axis("off")
    return figure


@styled
def learning_to_look(
    losses: Mapping[str, Sequence[Array]],
    scores: Mapping[str, Sequence[Array]],
    thresholds: Mapping[str, float],
    title: str = "Looking up: the loss falls when the heads have found where to look",
) -> Figure:
    """Left bits per asked word against updates, right the weight of the best head of each kind: a line a seed, (n, 2) of updates and value.

    losses {model: runs}, scores {kind of head: runs}, thresholds {kind: dotted line}.
    """
    if not losses or not scores or max(len(losses), len(scores)) > len(MODELS):
        raise ValueError(f"learning_to_look: draws 1 … {len(MODELS)} models and kinds of heads, got {len(losses)} and {len(scores)}")
    figure = Figure(figsize=(SLIDE, 5.6), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    left, right = figure.subplots(1, 2)
    for axes, curves, colours, label in (
        (left, losses, MODELS, "bits per asked word"),
        (right, scores, KINDS, "weight where it should look"),
    ):
        ends, last = [], 0.0
        for colour, (name, runs) in zip(colours, curves.items(), strict=False):
            arrays = [checked(**{f"{name}[{seed}]": (run, "n 2")})[0] for seed, run in enumerate(runs)]
            for points in arrays:
                axes.plot(points[:, 0], points[:, 1], color=colour, linewidth=1.8)
            last = max(last, *(float(points[-1, 0]) for points in arrays))
            ends.append((float(numpy.mean([points[-1, 1] for points in arrays])), name, colour))
            if axes is right and name in thresholds:
                axes.axhline(thresholds[name], color=colour, linestyle=":", linewidth=1.5)
        axes.set(xlabel="updates", ylabel=label, xlim=(0, last), ylim=(0, 1.02 if axes is right else None))
        axes.grid(True, axis="y")
        name_ends(axes, ends)
    return figure
