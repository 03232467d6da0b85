"""One page of the lecture's figures: pictures that lessons have made, side by side."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from tinymem.figures.checks import Array
from tinymem.figures.style import SLIDE, styled

ACROSS = 4


@styled
def contact_sheet(pictures: Mapping[str, Array], title: str) -> Figure:
    """Pictures (height, width, channels) in rows of four, each below its name."""
    if not pictures:
        raise ValueError("contact_sheet: no picture to show")
    down = -(-len(pictures) // ACROSS)
    figure = Figure(figsize=(SLIDE, 2.3 * down + 0.5), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    grid = figure.subplots(down, ACROSS, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (name, picture) in zip(grid.flat, pictures.items(), strict=False):
        if picture.ndim != 3 or 0 in picture.shape:
            raise ValueError(f"contact_sheet: {name} must be a picture (height, width, channels), got the shape {picture.shape}")
        axes.imshow(picture, origin="upper", interpolation="antialiased", interpolation_stage="rgba")
        axes.set_title(name, fontsize=10)
    return figure
