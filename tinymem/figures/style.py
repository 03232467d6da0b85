"""The look that all figures share: the style file, the palette, saving.

A figure is a `matplotlib.figure.Figure` made outside pyplot: no window, no list of open figures, no state left behind.
matplotlib's settings are global to the process, so `style()` applies ours under a lock and puts the old ones back.
"""

from __future__ import annotations

import functools
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Literal, ParamSpec

import matplotlib
import numpy
from matplotlib.figure import Figure, SubFigure

# Okabe & Ito's palette, distinguishable with every common colour blindness
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, PALE = "#6E6E6E", "#EDEDED"

SYSTEMS = {
    "NTM-FF": BLUE, "NTM-LSTM": GREEN, "LSTM": VERMILLION, "RNN": PURPLE,
    "List RNN": ORANGE, "List RNN + rounding": "#7A4F00", "Stack RNN": SKY, "Stack RNN + rounding": "#004B7F",
}  # fmt: skip
"""The colour of each system, the same in every figure; with rounding, a darker tone of the same hue."""

SHARES = "Greys"
"""The map of bits, probabilities and weightings; its scale is always 0 … 1."""
SIGNED = "PuOr_r"
"""The map of memory cells, keys and vectors; its scale is symmetric about 0, which is white."""

SLIDE = 13.333
"""Width of a figure in inches: one slide of 16:9."""

PAPER = "Graves et al. 2014"

DIGITS = 9
"""of a place in the figure, as a share of it: far less than a pixel, and far more than a rounding error"""

P = ParamSpec("P")
_lock = threading.RLock()


@contextmanager
def style() -> Iterator[None]:
    """Our settings inside the block, the former ones after it; one thread at a time."""
    with _lock, resources.as_file(resources.files("tinymem.figures") / "tinymem.mplstyle") as path:
        with matplotlib.rc_context(fname=path):
            yield


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in our style and lay out once: ticks, which matplotlib makes late, are made here and places no longer move."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with style():
            figure = draw(*args, **kwargs)
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
            _settle(figure)
            return figure

    return drawn


def _settle(figure: Figure | SubFigure) -> None:
    """Places without the last digits of the layout's solver: they differ from run to run, and with them the names in an SVG."""
    for axes in figure.axes:
        axes.set_position(numpy.round(axes.get_position(original=True).bounds, DIGITS), which="original")
    for part in figure.subfigs:
        part.bbox_relative.set_points(numpy.round(part.bbox_relative.get_points(), DIGITS))
        _settle(part)


def colour_of(system: str) -> str:
    """The fixed colour of a system."""
    if system not in SYSTEMS:
        raise ValueError(f"no colour is fixed for the system {system!r}; the systems are {', '.join(SYSTEMS)}")
    return SYSTEMS[system]


def line_of(system: str) -> Literal["solid"] | tuple[float, tuple[float, float]]:
    """The fixed line style of a system: with rounding dashed, so that a line under it, of the same values, is still seen."""
    colour_of(system)
    return (0.0, (2.2, 1.6)) if system.endswith("+ rounding") else "solid"


def save(figure: Figure, folder: Path | str, name: str) -> tuple[Path, Path]:
    """Write `name`.png (150 dpi) and `name`.svg into the folder, made if missing, and return both paths.

    Equal figures give equal bytes: no date, no version, fixed identifiers.  A file is written once it is complete.
    """
    if not name or Path(name).name != name:
        raise ValueError(f"the name of a figure is a file name without a folder, got {name!r}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    with style():
        for path, metadata in ((png, {"Software": None}), (svg, {"Date": None, "Creator": None})):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=path.suffix[1:], metadata=metadata)
            unfinished = path.with_name(path.name + ".part")
            unfinished.write_bytes(buffer.getvalue())
            unfinished.replace(path)
    return png, svg
