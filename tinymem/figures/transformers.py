"""The Transformer: what the positional encoding looks like, how variants of the model learn, what a further word costs.

What single heads look at is drawn in `heads`, the complexity of whole layers in `cost`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinymem.figures.checks import Array, check_shares, checked
from tinymem.figures.panels import colour_bar, heat_map, name_ends, plain_ticks
from tinymem.figures.style import BLUE, GREEN, ORANGE, PURPLE, SKY, SLIDE, VERMILLION, styled

COLOURS = BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY


@styled
def positional_encoding(
    encoding: Array, products: Mapping[int, Array], title: str = "The positional encoding, and what it says of an offset"
) -> Figure:
    """Left PE (positions, d) as a picture; right PE(pos)ᵀ PE(pos + k) against k; products {pos: (n, 2) of k and product}."""
    (rows,) = checked(encoding=(encoding, "T D"))
    if not products:
        raise ValueError("positional_encoding: no product to draw")
    figure = Figure(figsize=(SLIDE, 5.6), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    grid = figure.add_gridspec(1, 3, width_ratios=(1.25, 0.04, 1))
    picture, key, curves = (figure.add_subplot(grid[0, place]) for place in range(3))
    heat_map(picture, rows, 1.0)
    picture.set(xlabel="feature", ylabel="position", aspect="auto")
    colour_bar(figure, key, "PE", 1.0)
    for colour, (place, points) in zip(COLOURS, products.items(), strict=False):
        (points,) = checked(**{f"products[{place}]": (points, "n 2")})
        curves.plot(points[:, 0], points[:, 1], color=colour, label=f"pos = {place}", linewidth=5 - 1.6 * len(curves.lines))
    curves.set(xlabel="offset k", ylabel="PE(pos) · PE(pos + k)")
    curves.grid(True, axis="y")
    curves.legend(loc="upper right", frameon=False)
    return figure


@styled
def learning_of_variants(panels: Mapping[str, Mapping[str, Sequence[Array]]], title: str, unit: str = "bits per word, held out") -> Figure:
    """Loss against updates: a thin line a seed, the median bold; panels {its title: {variant: (n, 2) of updates and loss, one a seed}}."""
    if not panels:
        raise ValueError("learning_of_variants: no panel to draw")
    figure = Figure(figsize=(SLIDE, 5.4), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    for axes, (name, variants) in zip(numpy.atleast_1d(figure.subplots(1, len(panels), sharey=True)), panels.items(), strict=True):
        _learning(axes, variants, unit)
        axes.set_title(name)
    return figure


def _learning(axes: Axes, variants: Mapping[str, Sequence[Array]], unit: str) -> None:
    if not variants or not all(variants.values()):
        raise ValueError("there must be a variant to draw, and a run of each")
    ends = []
    for colour, (name, runs) in zip(COLOURS, variants.items(), strict=False):
        curves = [checked(**{f"variants[{name!r}][{place}]": (run, "n 2")})[0] for place, run in enumerate(runs)]
        for curve in curves:
            axes.plot(curve[:, 0], curve[:, 1], color=colour, linewidth=0.8, alpha=0.4)
        middle = numpy.median([curve[:, 1] for curve in curves], axis=0)
        axes.plot(curves[0][:, 0], middle, color=colour)
        ends.append((float(middle[-1]), name, colour))
    axes.set(xlabel="updates", ylabel=unit, yscale="log")
    low, high = axes.get_ylim()
    axes.set_yticks([2.0**power for power in range(-9, 10) if low <= 2.0**power <= high])
    axes.grid(True, axis="y")
    plain_ticks(axes)
    name_ends(axes, ends)


@styled
def depth(
    reached: Mapping[str, Sequence[tuple[int, float]]],
    gradients: Mapping[str, Sequence[Array]],
    title: str = "Depth, with and without residual connections and layer normalisation",
) -> Figure:
    """Left the share of whole translations right against the number of layers; right the gradient's norm in each layer before training.

    reached {kind: (layers, share 0 … 1), one a run}: a dot each, the line is the mean; gradients {kind: (layers,) a seed}, from the first
    layer that reads to the last one that writes; a norm of 0, which has no logarithm, is left out.
    """
    if not reached or not gradients:
        raise ValueError("depth: needs at least one kind on either side")
    figure = Figure(figsize=(SLIDE, 5.6), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    left, right = figure.subplots(1, 2)
    colours = dict(zip(dict.fromkeys([*reached, *gradients]), COLOURS, strict=False))
    ends = []
    for kind, points in reached.items():
        layers, shares = numpy.array(sorted(points)).T
        check_shares(**{f"reached[{kind!r}]": shares})
        left.plot(layers, shares, "o", color=colours[kind], alpha=0.45, markersize=5, clip_on=False)
        means = [float(shares[layers == n].mean()) for n in numpy.unique(layers)]
        left.plot(numpy.unique(layers), means, color=colours[kind], clip_on=False)
        ends.append((means[-1], kind, colours[kind]))
    left.set(xlabel="layers of encoder and decoder", ylabel="translated without a mistake", ylim=(-0.02, 1.02))
    name_ends(left, ends)
    ends = []
    for kind, runs in gradients.items():
        norms = numpy.array([checked(**{f"gradients[{kind!r}]": (run, "n")})[0] for run in runs])  # (seeds, layers)
        norms = numpy.where(norms > 0, norms, numpy.nan)
        places = numpy.arange(1, norms.shape[1] + 1)
        right.plot(places, norms.T, color=colours[kind], linewidth=0.8, alpha=0.4)
        right.plot(places, numpy.median(norms, axis=0), "o-", color=colours[kind])
        ends.append((float(numpy.median(norms, axis=0)[-1]), kind, colours[kind]))
    right.set(xlabel="layer: first of the encoder … last of the decoder", ylabel="norm of the gradient before training", yscale="log")
    name_ends(right, ends)
    for axes in (left, right):
        axes.grid(True, axis="y")
    return figure


@styled
def learning_rates(curves: Mapping[str, Array], title: str = "The learning rate rises, then falls as 1/√n") -> Figure:
    """Learning rate against updates; curves {name: (n, 2)}."""
    figure, axes = _named_curves(curves, title, "-")
    axes.set(xlabel="update n", ylabel="learning rate")
    return figure


@styled
def cost_of_a_word(
    curves: Mapping[str, Array], title: str = "What one more word costs: with the keys and values of the words before, and without"
) -> Figure:
    """Operations for the next word against the words written before, both logarithmic; curves {name: (n, 2)}."""
    figure, axes = _named_curves(curves, title, "o-", "log")
    axes.set(xlabel="words written before", ylabel="operations for the next word")
    return figure


def _named_curves(curves: Mapping[str, Array], title: str, line: str, scale: str = "linear") -> tuple[Figure, Axes]:
    """One panel with each curve's name at its end."""
    if not curves:
        raise ValueError("there must be a curve to draw, and there is no curve")
    figure = Figure(figsize=(SLIDE, 4.6), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    axes = figure.add_subplot(xscale=scale, yscale=scale)
    ends = []
    for colour, (name, curve) in zip(COLOURS, curves.items(), strict=False):
        (points,) = checked(**{f"curves[{name!r}]": (curve, "n 2")})
        axes.plot(points[:, 0], points[:, 1], line, color=colour)
        ends.append((float(points[-1, 1]), name, colour))
    axes.grid(True, axis="y")
    if scale == "linear":
        axes.set_ylim(0, None)
    name_ends(axes, ends)
    return figure, axes
