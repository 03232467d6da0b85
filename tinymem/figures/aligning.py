"""Translation with attention: alignment matrices with the links that are known, and what attention brings for long sentences."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tinymem.figures.checks import Array, check_shares, checked
from tinymem.figures.panels import name_ends
from tinymem.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    PURPLE,
    SHARES,
    SKY,
    SLIDE,
    VERMILLION,
    styled,
)

SCORES = {
    "none": VERMILLION, "additive": BLUE, "dot": ORANGE, "scaled-dot": GREEN, "general": PURPLE, "location": SKY,
    "transformer": BLACK,
}  # fmt: skip
"""The colour of each translator by its score, the same in every figure; "none" is one without attention."""

LARGEST_SHOWN = 2  # matrices in a row


@dataclass(frozen=True)
class Alignment:
    """One sentence as a model translated it."""

    source: Sequence[str]
    """(S,) words across, `<end>` among them"""
    written: Sequence[str]
    """(T,) words down, as they were emitted"""
    weights: Array
    """α (T, S): row i is how the sentence was attended before word i was emitted"""
    sure: Collection[tuple[int, int]] = field(default=())
    """links (i, j) of word i of the translation and word j of the sentence: dots"""
    possible: Collection[tuple[int, int]] = field(default=())
    """links that are no mistake: rings; the sure ones may be among them"""
    told: str = ""
    """a line below the sentence's number"""


@styled
def alignment_matrices(alignments: Sequence[Alignment], title: str = "Where the decoder looked") -> Figure:
    """Bahdanau et al. 2015, Fig. 3: the source across, the output down, the weight of each pair of words from white (0) to black (1).

    Known links lie over it, in colour: a dot where a word surely comes from, a ring where it possibly does.
    """
    if not alignments:
        raise ValueError("alignment_matrices: no sentence to draw")
    for number, alignment in enumerate(alignments):
        _check(alignment, f"alignments[{number}]")
    across = min(len(alignments), LARGEST_SHOWN)
    down = -(-len(alignments) // across)
    deepest = [
        max(len(alignment.written) for alignment in alignments[first : first + across]) for first in range(0, len(alignments), across)
    ]
    heights = [0.34 * rows + 2.3 for rows in deepest]
    figure = Figure(figsize=(SLIDE, sum(heights) + 0.8), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    grid = figure.add_gridspec(down, across, height_ratios=heights)
    for number, alignment in enumerate(alignments):
        _matrix(figure.add_subplot(grid[number // across, number % across]), alignment)
    return figure


def _check(alignment: Alignment, name: str) -> None:
    (weights,) = checked(**{f"{name}.weights": (alignment.weights, "T S")})
    check_shares(**{f"{name}.weights": weights})
    if weights.shape != (len(alignment.written), len(alignment.source)):
        raise ValueError(
            f"{name}: {len(alignment.written)} written and {len(alignment.source)} read words need weights of that shape, "
            f"got {weights.shape}"
        )
    outside = [(i, j) for i, j in (*alignment.sure, *alignment.possible) if not (0 <= i < weights.shape[0] and 0 <= j < weights.shape[1])]
    if outside:
        raise ValueError(f"{name}: these links (i, j) lead outside the weights {weights.shape}: {sorted(outside)}")


def _matrix(axes: Axes, alignment: Alignment) -> None:
    weights = numpy.asarray(alignment.weights, dtype=float)
    axes.imshow(weights, cmap=SHARES, vmin=0, vmax=1, origin="upper", aspect="auto" if weights.shape[1] > 3 * weights.shape[0] else "equal")
    axes.spines[["top", "right"]].set_visible(True)
    axes.set_xticks(range(len(alignment.source)), alignment.source, rotation=60, ha="left", rotation_mode="anchor")
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(alignment.written)), alignment.written)
    axes.tick_params(length=0, labelsize=12)
    for links, inside in ((alignment.possible, "none"), (alignment.sure, VERMILLION)):
        points = [link for link in links if links is alignment.sure or link not in alignment.sure]
        if points:
            rows, columns = zip(*points, strict=True)
            axes.scatter(columns, rows, s=42, edgecolors=VERMILLION, linewidths=1.6, zorder=3, facecolors=inside)
    if alignment.told:
        axes.set_xlabel(alignment.told, color=GREY)


@styled
def exact_by_digits(
    rows: Sequence[tuple[str, int, int, float]], title: str = "Number names: whole translations right, with and without attention"
) -> Figure:
    """Exact match against the number of digits, a panel for each length of the training.

    rows (score, updates, digits, share 0 … 1), one a seed: a dot each, the line is the mean over seeds.
    """
    if not rows:
        raise ValueError("exact_by_digits: no row to draw")
    for score, _, digits, share in rows:
        _check_score(score)
        if digits < 1 or not 0 <= share <= 1:
            raise ValueError(f"a row is (score, updates, digits >= 1, share in 0 … 1), got digits {digits} and share {share}")
    lengths = sorted({updates for _, updates, _, _ in rows})
    figure = Figure(figsize=(SLIDE, 5.8), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    for axes, updates in zip(numpy.atleast_1d(figure.subplots(1, len(lengths), sharey=True)), lengths, strict=True):
        ends = []
        for score in SCORES:
            mine = [(digits, share) for name, of, digits, share in rows if (name, of) == (score, updates)]
            if mine:
                last = _dots_and_mean(axes, mine, SCORES[score])
                ends.append((last, "without" if score == "none" else score, SCORES[score]))
        axes.set(title=f"after {updates} updates", xlabel="digits of the number", ylim=(-0.02, 1.02))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(True, axis="y")
        name_ends(axes, ends)
    figure.axes[0].set_ylabel("translated without a mistake")
    return figure


def _dots_and_mean(axes: Axes, points: Sequence[tuple[float, float]], colour: str) -> float:
    """A dot a point and a line through the means of equal x; returns the line's last height."""
    x, y = numpy.array(sorted(points)).T
    axes.plot(x, y, "o", color=colour, alpha=0.45, markersize=5, clip_on=False)
    at = numpy.unique(x)
    means = [float(y[x == place].mean()) for place in at]
    axes.plot(at, means, color=colour, clip_on=False)
    return means[-1]


def _check_score(score: str) -> None:
    if score not in SCORES:
        raise ValueError(f"no colour is fixed for the score {score!r}; the scores are {', '.join(SCORES)}")


@styled
def bleu_by_length(
    curves: Mapping[str, Mapping[str, Sequence[float]]],
    lengths: Sequence[str],
    counts: Mapping[str, Sequence[int]],
    title: str = "LibreOffice: BLEU against the length of the sentence",
) -> Figure:
    """Bahdanau et al. 2015, Fig. 2: BLEU of test sentences of each length, a panel for all of them and one for the clean ones.

    curves {which sentences: {score: BLEU of each length}}; lengths: their names, as "5-6" words; counts {which: sentences of each}.
    """
    if not curves or curves.keys() != counts.keys():
        raise ValueError(f"bleu_by_length: curves and counts are of the same sentences, got {list(curves)} and {list(counts)}")
    for which, of in curves.items():
        for score, values in of.items():
            _check_score(score)
            checked(**{f"curves[{which!r}][{score!r}]": (values, str(len(lengths)))})
        checked(**{f"counts[{which!r}]": (counts[which], str(len(lengths)))})
    figure = Figure(figsize=(SLIDE, 5.8), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    for axes, (which, of) in zip(numpy.atleast_1d(figure.subplots(1, len(curves), sharey=True)), curves.items(), strict=True):
        places = range(len(lengths))
        ends = []
        for score, values in of.items():
            axes.plot(places, values, "o-", color=SCORES[score])
            ends.append((float(values[-1]), "without" if score == "none" else score, SCORES[score]))
        named = [f"{length}\n({count})" for length, count in zip(lengths, counts[which], strict=True)]
        axes.set_xticks(places, named)
        axes.set(title=which, xlabel="words of the sentence (how many sentences)", ylim=(0, None))
        axes.grid(True, axis="y")
        name_ends(axes, ends)
    figure.axes[0].set_ylabel("BLEU")
    return figure


@styled
def bleu_while_training(
    curves: Mapping[str, Array], reached: float = 20.0, title: str = "LibreOffice: BLEU of the validation sentences while training"
) -> Figure:
    """BLEU against updates; curves {score: (n, 2) of updates and BLEU}.  A dotted line at `reached`, and where each crosses it first."""
    if not curves:
        raise ValueError("bleu_while_training: no curve to draw")
    figure = Figure(figsize=(SLIDE, 5.4), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    axes = figure.add_subplot()
    axes.axhline(reached, color=GREY, linestyle=":", linewidth=1.5)
    ends = []
    for score, curve in curves.items():
        _check_score(score)
        (points,) = checked(**{f"curves[{score!r}]": (curve, "n 2")})
        axes.plot(points[:, 0], points[:, 1], color=SCORES[score])
        above = points[points[:, 1] >= reached]
        if len(above):
            axes.plot(*above[0], "o", color=SCORES[score])
            axes.annotate(f"{above[0, 0]:.0f}", above[0], (6, -16), textcoords="offset points", color=SCORES[score])
        ends.append((float(points[-1, 1]), "without" if score == "none" else score, SCORES[score]))
    axes.set(xlabel="updates", ylabel="BLEU", xlim=(0, max(curve[-1, 0] for curve in map(numpy.asarray, curves.values()))), ylim=(0, None))
    axes.grid(True, axis="y")
    name_ends(axes, ends)
    return figure


@styled
def agreement_of_kinds(
    rows: Sequence[tuple[str, float, float, float]], title: str = "Luong's kinds of attention: how well does each align?"
) -> Figure:
    """A row of bars for each kind of attention; rows (name, exact match, largest weight on a link, alignment error rate), all 0 … 1."""
    if not rows:
        raise ValueError("agreement_of_kinds: no row to draw")
    (values,) = checked(values=([row[1:] for row in rows], "n 3"))
    check_shares(values=values)
    figure = Figure(figsize=(SLIDE, 0.52 * len(rows) + 1.9), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    names = ("translated without a mistake", "largest weight on a link", "alignment error rate (0 is best)")
    for axes, name, column in zip(figure.subplots(1, 3, sharey=True), names, values.T, strict=True):
        axes.barh(range(len(rows)), numpy.ones(len(rows)), color=PALE)
        axes.barh(range(len(rows)), column, color=BLUE)
        for place, value in enumerate(column):
            axes.text(1.02, place, f"{value:.2f}", va="center")
        axes.set(title=name, xlim=(0, 1.16), xticks=(0, 0.5, 1))
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_yticks(range(len(rows)), [row[0] for row in rows])
    figure.axes[0].invert_yaxis()
    return figure
