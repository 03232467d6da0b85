"""Parts that several figures share: heat maps with their colour bars, curves of many seeds, names at the ends of curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, NullFormatter

from tinymem.figures.checks import Array, checked
from tinymem.figures.style import SHARES, SIGNED

WINDOWS = 20


def axes_at(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place given in inches from the lower left corner."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def heat_map(axes: Axes, rows: Array, limit: float | None = None, *, first_row: int = 0, first_column: int = 0) -> AxesImage:
    """An image of (rows, columns), row 0 at the bottom, framed: shares on 0 … 1, or signed values on -limit … limit."""
    height, width = rows.shape
    image = axes.imshow(
        rows,
        cmap=SHARES if limit is None else SIGNED,
        vmin=0.0 if limit is None else -limit,
        vmax=1.0 if limit is None else limit,
        extent=(first_column - 0.5, first_column + width - 0.5, first_row - 0.5, first_row + height - 0.5),
    )
    axes.spines[["top", "right"]].set_visible(True)
    return image


def colour_bar(figure: Figure, axes: Axes, label: str, limit: float | None = None, *, horizontal: bool = False) -> None:
    """The key of a heat map in axes of its own."""
    low, high = (0.0, 1.0) if limit is None else (-limit, limit)
    scale = ScalarMappable(Normalize(low, high), SHARES if limit is None else SIGNED)
    bar = figure.colorbar(scale, cax=axes, label=label, orientation="horizontal" if horizontal else "vertical")
    bar.set_ticks([low, (low + high) / 2, high])
    bar.ax.set_label("colour bar")
    (bar.ax.xaxis if horizontal else bar.ax.yaxis).set_major_formatter(FuncFormatter(plain))


def plain(value: float, _position: int | None = None) -> str:
    """A number as one would write it on a board."""
    return f"{value:.2g}".replace("-", "−") if abs(value) < 100 else f"{value:.0f}".replace("-", "−")


def plain_ticks(axes: Axes) -> None:
    """Logarithmic axes whose ticks read 0.1, 1, 10, not powers of ten."""
    for axis, scale in ((axes.xaxis, axes.get_xscale()), (axes.yaxis, axes.get_yscale())):
        if scale == "log":
            axis.set_major_formatter(FuncFormatter(plain))
            axis.set_minor_formatter(NullFormatter())


def signed_limit(*arrays: Array) -> float:
    """A round number that bounds all absolute values."""
    largest = max(float(numpy.abs(array).max()) for array in arrays)
    return float(numpy.ceil(largest * 10) / 10) if largest > 0 else 1.0


def checked_runs(name: str, runs: Sequence[object]) -> list[Array]:
    """Each run as points (n, 2) whose first column, thousands of sequences, is positive and grows."""
    if len(runs) == 0:
        raise ValueError(f"{name}: no run to draw")
    arrays = [checked(**{f"{name}[{index}]": (run, "n 2")})[0] for index, run in enumerate(runs)]
    for index, array in enumerate(arrays):
        if array[0, 0] <= 0 or (numpy.diff(array[:, 0]) <= 0).any():
            raise ValueError(f"{name}[{index}]: the first column, thousands of sequences, must be positive and grow")
    return arrays


def median_run(runs: Sequence[Array]) -> Array:
    """Points (n, 2) of the median of several runs, over the stretch that all of them cover.

    The loss of single sequences jumps, so it is also the median over windows of x, 20 of them in a factor of 10.
    """
    first, last = max(run[0, 0] for run in runs), min(run[-1, 0] for run in runs)
    places = numpy.unique(numpy.concatenate([run[:, 0] for run in runs]))
    places = places[(places >= first) & (places <= last)]
    values = numpy.array([numpy.interp(places, run[:, 0], run[:, 1]) for run in runs])  # (runs, places)
    windows = numpy.floor(WINDOWS * numpy.log10(places))
    return numpy.array(
        [(places[windows == window].mean(), numpy.median(values[:, windows == window])) for window in numpy.unique(windows)]
    ).reshape(-1, 2)


def draw_runs(axes: Axes, runs: Sequence[Array], colour: str, label: str, *, floor: float | None = None, each: bool = True) -> None:
    """One thin line a run (unless `each` is off), their median bold; values below the floor are drawn on it (a logarithm has no 0)."""

    def lifted(values: Array) -> Array:
        return values if floor is None else numpy.maximum(values, floor)

    for run in runs if each else ():
        axes.plot(run[:, 0], lifted(run[:, 1]), color=colour, linewidth=0.8, alpha=0.35, zorder=3, label="_one seed")
    middle = median_run(runs)
    axes.plot(middle[:, 0], lifted(middle[:, 1]), color=colour, zorder=4, label=label)


def name_ends(axes: Axes, ends: Sequence[tuple[float, str, str]], *, gap: float = 0.075) -> None:
    """Names (y, text, colour) right of the axes, each at its height, pushed apart to at least `gap` of the axes' height."""
    to_fraction = axes.transData + axes.transAxes.inverted()
    x = axes.get_xlim()[1]
    wanted = [min(max(float(to_fraction.transform((x, y))[1]), 0.0), 1.0) for y, _, _ in ends]
    place = -gap
    for index in sorted(range(len(ends)), key=wanted.__getitem__):
        place = max(wanted[index], place + gap)
        _, text, colour = ends[index]
        axes.annotate(
            text, (1, place), xycoords="axes fraction", xytext=(9, 0), textcoords="offset points",
            color=colour, va="center", fontweight="bold", annotation_clip=False,
        )  # fmt: skip
