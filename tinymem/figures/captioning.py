"""Captions: where a decoder looked word by word, its mistakes, what hard attention learns and how much its gradient varies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tinymem.figures.checks import Array, check_shares, checked
from tinymem.figures.panels import name_ends, plain_ticks
from tinymem.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SLIDE, VERMILLION, styled

ATTENTIONS = {"start": PURPLE, "none": GREY, "soft": BLUE, "hard": VERMILLION}
"""The colour of each kind of attention, the same in every figure."""

DIMMED = 0.3  # brightness of what is not looked at
LONGEST = 9  # words in a row of tiles


@dataclass(frozen=True)
class Looked:
    """A caption, and where the decoder looked before each of its words."""

    words: Sequence[str]
    """T words"""
    weights: Array
    """(T, L) on a square grid, rows from above: shares of attention, or the one place that was looked at"""
    places: Sequence[int] | None = None
    """(T,) the places chosen, framed: hard attention's"""


@styled
def word_by_word(picture: object, rows: Mapping[str, Looked], title: str) -> Figure:
    """Xu et al. 2015, Fig. 2: the picture, then a tile for each word, bright where the decoder looked; a row for each system.

    picture (side, side, 3) in 0 … 1.  The brightest location of a tile has the full brightness of the picture; the share of attention it
    gets is written below.
    """
    (image,) = checked(picture=(picture, "S S 3"))
    check_shares(picture=image)
    if not rows:
        raise ValueError("word_by_word: no caption to draw")
    looked = {name: _checked(name, row) for name, row in rows.items()}
    columns = max(len(row.words) for row in rows.values()) + 1
    height = 0.75 + (SLIDE / (LONGEST + 1) + 0.5) * len(rows)
    figure = Figure(figsize=(SLIDE * columns / (LONGEST + 1), height), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    figure.suptitle(title)
    for line, (name, row) in zip(grid, rows.items(), strict=True):
        for axes in line:
            axes.set_axis_off()
        line[0].imshow(image, origin="upper", aspect="equal")
        line[0].set_title(name, color=ATTENTIONS.get(name.split()[0], BLACK), fontweight="bold")
        for time, (axes, word) in enumerate(zip(line[1:], row.words, strict=False)):
            place = None if row.places is None else row.places[time]
            _tile(axes, image, looked[name][time], place)
            axes.set_title(word, loc="center")
            axes.text(
                0.5, -0.04, f"{looked[name][time].max():.2f}", transform=axes.transAxes, ha="center", va="top", color=GREY, fontsize=10
            )
    return figure


def _checked(name: str, row: Looked) -> Array:
    (weights,) = checked(**{f"weights of {name}": (row.weights, "T L")})
    check_shares(**{f"weights of {name}": weights})
    side = round(weights.shape[1] ** 0.5)
    if side**2 != weights.shape[1] or len(row.words) != len(weights) or (row.places is not None and len(row.places) != len(weights)):
        raise ValueError(
            f"{name}: weights must have a row for each of {len(row.words)} words, over the places of a square grid, got {weights.shape}"
        )
    return weights.reshape(len(weights), side, side)


def _tile(axes: Axes, image: Array, weights: Array, place: int | None = None) -> None:
    """The picture, bright where the weights are large; a chosen place is framed."""
    cell = image.shape[0] / weights.shape[0]
    shown = _smooth(weights, image.shape[0])[:, :, None]
    brightness = DIMMED + (1 - DIMMED) * shown / shown.max()
    axes.imshow(image * brightness, origin="upper", aspect="equal")
    if place is not None:
        row, column = divmod(place, weights.shape[1])
        axes.add_patch(Rectangle((column * cell - 0.5, row * cell - 0.5), cell, cell, fill=False, edgecolor=VERMILLION, linewidth=2.2))


def _smooth(weights: Array, size: int) -> Array:
    """A grid of weights at the size of the picture, linear between the centres of its cells."""
    side = len(weights)
    centres = (numpy.arange(side) + 0.5) * (size / side) - 0.5
    pixels = numpy.arange(size)
    wide = numpy.array([numpy.interp(pixels, centres, row) for row in weights])  # (side, size)
    return numpy.array([numpy.interp(pixels, centres, column) for column in wide.T]).T


@dataclass(frozen=True)
class Mistake:
    """A scene, and a caption that is not its own."""

    picture: Array
    """(side, side, 3) in 0 … 1"""
    truth: Sequence[str]
    written: Sequence[str]
    weights: Array
    """(T, L), for each word written"""


@styled
def mistakes(found: Sequence[Mistake], title: str) -> Figure:
    """Xu et al. 2015, Fig. 5: a page of mistakes.  Left the picture, right where the decoder looked before the first wrong word."""
    if not found:
        raise ValueError("mistakes: none to draw")
    columns = min(3, len(found))
    lines = -(-len(found) // columns)
    figure = Figure(figsize=(SLIDE, 0.8 + 2.75 * lines), layout="constrained")
    figure.suptitle(title)
    parts = numpy.ravel(figure.subfigures(lines, columns, squeeze=False))
    for part, one in zip(parts, found, strict=False):
        image = checked(picture=(one.picture, "S S 3"))[0]
        weights = _checked("mistakes", Looked(one.written, numpy.asarray(one.weights)[: len(one.written)]))
        wrong = _first_difference(one.truth, one.written)
        left, right = part.subplots(1, 2)
        left.imshow(image, origin="upper", aspect="equal")
        _tile(right, image, weights[min(wrong, len(weights) - 1)])
        for axes in (left, right):
            axes.set_axis_off()
        part.suptitle(
            f"true: {' '.join(one.truth)}\nwritten: {_marked(one.written, wrong)}", fontsize=11.5, fontweight="normal", x=0.03, ha="left"
        )
    return figure


def _first_difference(truth: Sequence[str], written: Sequence[str]) -> int:
    """The number of the first word that is not the true one."""
    return next((place for place, (a, b) in enumerate(zip(truth, written, strict=False)) if a != b), min(len(truth), len(written)))


def _marked(words: Sequence[str], wrong: int) -> str:
    return " ".join(f"[{word}]" if place == wrong else word for place, word in enumerate(words))


@styled
def beside_controls(
    settings: Mapping[str, tuple[Sequence[float], Sequence[float]]], title: str, label: str = "exact captions, %", goal: float | None = None
) -> Figure:
    """What each way to train hard attention reached, beside the same with the REINFORCE term off; a dot a seed, a bar their mean.

    settings {name: (with the term, without it)}, in percent.
    """
    if not settings:
        raise ValueError("beside_controls: no setting to draw")
    figure = Figure(figsize=(SLIDE, 1.6 + 0.95 * len(settings)), layout="constrained")
    axes = figure.subplots()
    figure.suptitle(title)
    for number, (name, pair) in enumerate(settings.items()):
        drawn = zip((-0.2, 0.2), pair, (VERMILLION, GREY), ("with REINFORCE", r"control: $\lambda_r$ = 0"), strict=True)
        for offset, values, colour, told in drawn:
            (seeds,) = checked(**{name: (values, "n")})
            check_shares(**{name: seeds / 100})
            height = number + offset
            axes.barh(height, seeds.mean(), 0.34, color=colour, alpha=0.45, label=told if number == 0 else "_more")
            axes.plot(seeds, [height] * len(seeds), "o", color=colour, markersize=6, zorder=3, label="_seeds")
            axes.text(max(seeds.max(), seeds.mean()) + 1.5, height, f"{seeds.mean():.0f}", va="center", fontsize=11, color="#222222")
    if goal is not None:
        axes.axvline(goal, color=BLACK, linewidth=1, linestyle=":", zorder=1)
    axes.set_yticks(range(len(settings)), list(settings))
    axes.invert_yaxis()
    axes.set(xlim=(0, 108), xlabel=label)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower right", ncols=2)
    return figure


@styled
def validation_curves(curves: Mapping[str, Sequence[object]], title: str, colours: Mapping[str, str] | None = None) -> Figure:
    """Bits per word of held-out scenes against updates; curves {name: (updates, bits) (n, 2) of each seed}, thin, the first one bold."""
    if not curves:
        raise ValueError("validation_curves: nothing to draw")
    figure = Figure(figsize=(SLIDE, 5.2), layout="constrained")
    axes = figure.subplots()
    figure.suptitle(title)
    palette = {**dict(zip(curves, (GREEN, ORANGE, BLACK, GREY) * len(curves), strict=False)), **ATTENTIONS, **(colours or {})}
    ends = []
    for name, seeds in curves.items():
        for number, seed in enumerate(seeds):
            (points,) = checked(**{name: (seed, "n 2")})
            axes.plot(*points.T, color=palette[name], linewidth=2.6 if number == 0 else 0.9, alpha=1 if number == 0 else 0.5)
            if number == 0:
                ends.append((float(points[-1, 1]), name, palette[name]))
    axes.set(xlabel="updates of 64 captions", ylabel="bits per word", ylim=(0, None))
    axes.set_xlim(0, None)
    name_ends(axes, ends)
    return figure


@styled
def estimator_spread(samples: object, errors: Mapping[str, object], exact: float, title: str) -> Figure:
    """How far the mean of N REINFORCE gradients is from the exact one, the sum over all places.

    samples (n,) numbers N; errors {baseline: (n,) root mean square length of the difference}; exact: the exact gradient's length, a line.
    """
    (counts,) = checked(samples=(samples, "n"))
    figure = Figure(figsize=(SLIDE, 5.2), layout="constrained")
    axes = figure.subplots()
    figure.suptitle(title)
    ends = []
    for colour, (name, values) in zip((VERMILLION, ORANGE, BLUE, GREEN), errors.items(), strict=False):
        (found,) = checked(**{name: (values, "n")})
        if found.shape != counts.shape:
            raise ValueError(f"{name}: there must be an error for each of {len(counts)} numbers of samples, got {len(found)}")
        axes.plot(counts, found, "o-", color=colour, markersize=5)
        ends.append((float(found[-1]), name, colour))
    axes.axhline(exact, color=BLACK, linewidth=1.2, linestyle=":")
    axes.text(counts[0], exact * 1.08, "length of the exact gradient", color=BLACK, va="bottom", fontsize=11)
    axes.set(xscale="log", yscale="log", xlabel="places drawn, N", ylabel="error of the mean gradient")
    plain_ticks(axes)
    name_ends(axes, ends)
    return figure


@styled
def attention_shares(maps: Mapping[str, object], title: str, top: float | None = None) -> Figure:
    """Σ_t α_ti of each place: how much attention it gets over a whole caption; maps {name: (rows, columns)}, on one scale."""
    if not maps:
        raise ValueError("attention_shares: no map to draw")
    arrays = {name: checked(**{name: (values, "H W")})[0] for name, values in maps.items()}
    top = max(float(values.max()) for values in arrays.values()) if top is None else top
    figure = Figure(figsize=(SLIDE, 4.6), layout="constrained")
    panels = figure.subplots(1, len(arrays), squeeze=False)[0]
    figure.suptitle(title)
    for axes, (name, values) in zip(panels, arrays.items(), strict=True):
        image = axes.imshow(values, vmin=0, vmax=top, cmap="Greys", origin="upper", aspect="equal")
        axes.set_title(name)
        axes.set(xticks=[], yticks=[])
        axes.spines[["top", "right"]].set_visible(True)
    figure.colorbar(image, ax=panels.tolist(), label="attention over a caption", shrink=0.8)
    return figure
