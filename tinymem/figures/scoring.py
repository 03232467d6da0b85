"""Score functions: what a large dot product does to a softmax, and which score learns at which size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinymem.figures.aligning import SCORES
from tinymem.figures.checks import Array, check_shares, checked
from tinymem.figures.panels import name_ends, plain_ticks
from tinymem.figures.style import GREY, SLIDE, styled


@styled
def softmax_saturation(
    sizes: Sequence[int],
    variance: Mapping[str, Array],
    largest: Mapping[str, Array],
    slope: Mapping[str, Array],
    title: str = "Why divide by √d: the softmax of a dot product saturates",
) -> Figure:
    """Three panels against d: the variance of the score, the largest weight, and how much the weights still move with the scores.

    variance, largest, slope: {"dot" or "scaled-dot": (n,)} at the sizes d (n,).
    """
    figure = Figure(figsize=(SLIDE, 5.4), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    panels = {"variance of the score": variance, "mean largest weight": largest, "mean slope, Σ |∂α/∂score|": slope}
    for axes, (name, curves) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        if not curves:
            raise ValueError(f"softmax_saturation: no curve for the {name}")
        ends = []
        for score, values in curves.items():
            (heights,) = checked(**{f"{name}, {score}": (values, str(len(sizes)))})
            axes.plot(sizes, heights, "o-", color=SCORES[score])
            ends.append((float(heights[-1]), score, SCORES[score]))
        _by_size(axes, sizes)
        axes.set_title(name)
        if curves is variance:
            axes.set_yscale("log")
        else:
            axes.set_ylim(0, None)
        plain_ticks(axes)
        name_ends(axes, ends)
    return figure


@styled
def accuracy_by_size(
    rows: Sequence[tuple[str, int, float]], title: str = "Number names: which score learns at which size", updates: int = 250
) -> Figure:
    """Whole translations right against d, a curve for each score; rows (score, d, share 0 … 1)."""
    if not rows:
        raise ValueError("accuracy_by_size: no row to draw")
    (shares,) = checked(shares=([share for _, _, share in rows], "n"))
    check_shares(shares=shares)
    figure = Figure(figsize=(SLIDE, 5.4), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    axes = figure.add_subplot()
    ends = []
    for score, colour in SCORES.items():
        mine = sorted((size, share) for name, size, share in rows if name == score)
        if mine:
            axes.plot(*zip(*mine, strict=True), "o-", color=colour, clip_on=False)
            ends.append((mine[-1][1], score, colour))
    _by_size(axes, sorted({size for _, size, _ in rows}))
    plain_ticks(axes)
    axes.set(ylim=(-0.02, 1.02), ylabel="translated without a mistake")
    axes.text(0.99, 0.04, f"after {updates} updates, 1 seed", transform=axes.transAxes, ha="right", color=GREY)
    name_ends(axes, ends)
    return figure


def _by_size(axes: Axes, sizes: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes)
    axes.minorticks_off()
    axes.set_xlabel("d")
    axes.grid(True, axis="y")
