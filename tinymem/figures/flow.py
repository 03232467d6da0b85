"""The flow diagram of the addressing mechanism with the live values of one step (Graves et al. 2014, Fig. 2)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from tinymem.figures.checks import Array, check_shares, checked, picked
from tinymem.figures.panels import axes_at, colour_bar, heat_map, signed_limit
from tinymem.figures.style import BLACK, BLUE, GREY, ORANGE, PALE, SLIDE, styled

STAGES = ("memory", "similarity", "previous", "content", "gated", "shifted", "sharpened")
PARAMETERS = ("key", "strength", "gate", "shift", "sharpening")
WINDOW = 32  # locations that one can still tell apart from the back row

HEIGHT, LEFT, PITCH, WIDE = 7.5, 0.95, 1.78, 1.1  # inches
FLOOR, TALL = 2.95, 3.0  # the panels
BOX_LOW, BOX_TALL = 1.75, 0.74
PANELS = (  # in the order of the flow
    ("memory", r"memory $M_t$"),
    ("similarity", r"similarity $K$"),
    ("content", r"content $w^c_t$"),
    ("previous", r"previous $w_{t-1}$"),
    ("gated", r"gated $w^g_t$"),
    ("shifted", r"shifted $\tilde w_t$"),
    ("sharpened", r"sharpened $w_t$"),
)
COLOURS = {"similarity": ORANGE, "sharpened": BLUE}
BOXES = (  # operation, formula, equation, panels it reads, panel it fills
    ("Similarity", r"$\cos(k_t, M_t(i))$", "eq. 6", (0,), 1),
    ("Content", r"$\mathrm{softmax}(\beta_t K)$", "eq. 5", (1,), 2),
    ("Interpolation", r"$g_t\,w^c_t + (1 - g_t)\,w_{t-1}$", "eq. 7", (2, 3), 4),
    ("Circular shift", r"$\Sigma_j\,w^g_t(j)\,s_t(i-j)$", "eq. 8", (4,), 5),
    ("Sharpening", r"$\tilde w_t^{\,\gamma_t}\,/\,\Sigma_j\,\tilde w_t(j)^{\gamma_t}$", "eq. 9", (5,), 6),
)


@styled
def flow_diagram(stages: Mapping[str, object], parameters: Mapping[str, object], title: str = "NTM: where does the head look?") -> Figure:
    """Graves et al. 2014, Fig. 2, drawn with the values of one addressing step of one head.

    stages: memory (N, M); similarity (N,), the K of eq. 6; previous, content, gated, shifted, sharpened (N,), the
    weightings w_{t-1}, w^c, w^g, w̃, w in 0 … 1.  parameters: key (M,), shift (S,), and strength, gate, sharpening, each a
    number, () or (1,).  All panels share the locations as rows, so a location is one level across the figure; weightings
    have the axis 0 … 1.  Of more than 32 locations, the 32 about most of the weight are drawn.
    """
    given = dict(zip(STAGES, picked("stages", stages, STAGES), strict=True))
    told = dict(zip(PARAMETERS, picked("parameters", parameters, PARAMETERS), strict=True))
    numbers = {name: _number(name, told[name]) for name in ("strength", "gate", "sharpening")}
    memory, key, shift = checked(memory=(given["memory"], "N M"), key=(told["key"], "M"), shift=(told["shift"], "S"))
    drawn = dict(zip(STAGES, checked(**{name: (given[name], "N M" if name == "memory" else "N") for name in STAGES}), strict=True))
    check_shares(shift=shift, gate=numpy.array([numbers["gate"]]), **{name: drawn[name] for name in STAGES[2:]})
    if len(shift) % 2 == 0:
        raise ValueError(f"the shifts are -S//2 … S//2, an odd number of them, got {len(shift)}")

    rows = shown_locations(numpy.array([drawn[name] for name in STAGES[2:]]))
    limit = signed_limit(memory, key)
    figure = Figure(figsize=(SLIDE, HEIGHT))
    figure.suptitle(title, x=0.13 / SLIDE, y=1 - 0.16 / HEIGHT, ha="left", va="top")
    _text(figure, 0.13, 6.87, _told_rows(rows, drawn["sharpened"]), ha="left", color=GREY)
    for place, (name, heading) in enumerate(PANELS):
        axes = axes_at(figure, LEFT + place * PITCH, FLOOR, WIDE, TALL)
        if name == "memory":
            heat_map(axes, memory[rows], limit)
            axes.set_xticks([])
            colour_bar(figure, axes_at(figure, LEFT, FLOOR + TALL + 0.08, WIDE, 0.1), "", limit, horizontal=True)
            figure.axes[-1].tick_params(top=True, bottom=False, labeltop=True, labelbottom=False, pad=1)
        else:
            _bars(axes, drawn[name][rows], rows, COLOURS.get(name, GREY), signed=name == "similarity")
        ticks = numpy.arange(0, len(rows), 4 if len(rows) > 8 else 1)
        axes.set_yticks(ticks, [str(rows[tick]) for tick in ticks] if place == 0 else [""] * len(ticks))
        axes.set_ylim(len(rows) - 0.5, -0.5)
        if place == 0:
            axes.set_ylabel("location")
        _text(figure, _centre(place), 6.5, heading)
    arrows = axes_at(figure, 0, 0, SLIDE, HEIGHT)
    arrows.set(xlim=(0, SLIDE), ylim=(0, HEIGHT), label="flow")
    arrows.axis("off")
    for box, name in zip(BOXES, PARAMETERS, strict=True):
        _box(arrows, *box, parameter=name, value=numbers.get(name))
    _text(figure, 0.13, 0.85, "from the\ncontroller", ha="left", color=GREY)
    _key_and_shift(figure, key, shift, limit)
    return figure


def shown_locations(weightings: Array) -> Array:
    """The indices of the locations to draw, for weightings (k, N): all up to 32, else the 32 that hold most of the weight.

    Locations lie on a circle, so the 32 may run over the end to 0; they do only where that shows more.
    """
    count = weightings.shape[1]
    if count <= WINDOW:
        return numpy.arange(count)
    total = weightings.sum(0)
    held = numpy.convolve(numpy.concatenate([total, total[: WINDOW - 1]]), numpy.ones(WINDOW), "valid")  # held[i] = Σ total[i … i+31]
    good = numpy.flatnonzero(held >= 0.99 * held.max())
    heaviest = int(total.argmax())
    start = min(good.tolist(), key=lambda first: (first + WINDOW > count, abs(first + WINDOW // 2 - heaviest)))
    shown: Array = numpy.arange(start, start + WINDOW) % count
    return shown


def _told_rows(rows: Array, weights: Array) -> str:
    if len(rows) == len(weights):
        return f"all {len(rows)} locations"
    share = weights[rows].sum() / weights.sum()
    return f"locations {rows[0]} to {rows[-1]} of {len(weights)}, which hold {100 * share:.1f} % of $w_t$"


def _number(name: str, value: object) -> float:
    array = numpy.asarray(value, dtype=float)
    if array.size != 1 or not numpy.isfinite(array).all():
        raise ValueError(f"{name} must be one finite number, (), or (1,), got the shape {array.shape}")
    return float(array.reshape(()))


def _bars(axes: Axes, values: Array, rows: Array, colour: str, *, signed: bool) -> None:
    """Horizontal bars, one a location, on the fixed axis 0 … 1 (a similarity: -1 … 1), its ticks on top, the largest named."""
    axes.barh(numpy.arange(len(values)), values, height=0.82, color=colour)
    if not signed:
        largest = int(values.argmax())
        low = 2 * largest < len(values)  # where the bars are not
        told = f"max {values[largest]:.2f}\nat {rows[largest]}"
        axes.text(0.99, 0.02 if low else 0.98, told, transform=axes.transAxes, ha="right", va="bottom" if low else "top", color=colour)
    axes.set_xlim(-1.0 if signed else 0.0, 1.0)
    axes.set_xticks([-1, 0, 1] if signed else [0, 0.5, 1], ["−1", "0", "1"] if signed else ["0", "½", "1"])
    axes.tick_params(top=True, bottom=False, labeltop=True, labelbottom=False, left=not signed)
    axes.spines["top"].set_visible(True)
    axes.spines["bottom"].set_visible(False)
    if signed:
        axes.spines["left"].set_position(("data", 0))


def _centre(place: int) -> float:
    return LEFT + place * PITCH + WIDE / 2


def _text(figure: Figure, x: float, y: float, text: str, *, ha: str = "center", color: str = BLACK) -> None:
    figure.text(x / SLIDE, y / HEIGHT, text, ha=ha, va="center", color=color)


def _box(
    axes: Axes, name: str, formula: str, equation: str, reads: tuple[int, ...], fills: int, *, parameter: str, value: float | None
) -> None:
    """One operation: arrows down from the panels it reads, up to the panel it fills, and up from the controller's parameter."""
    left, right = _centre(reads[0]) + 0.13, _centre(fills) - 0.13
    axes.add_patch(
        FancyBboxPatch((left, BOX_LOW), right - left, BOX_TALL, boxstyle="round,pad=0,rounding_size=0.1", facecolor=PALE, edgecolor=GREY)
    )
    middle, top = (left + right) / 2, BOX_LOW + BOX_TALL
    axes.text(middle, BOX_LOW + 0.52, name, ha="center", va="center", fontweight="bold", fontsize=12.5)
    axes.text(middle, BOX_LOW + 0.21, formula, ha="center", va="center", fontsize=12)
    for panel in reads:
        x = left + 0.2 if panel == reads[0] else _centre(panel)
        _arrow(axes, (x, FLOOR - 0.05), (x, top + 0.02), GREY)
    _arrow(axes, (right - 0.2, top + 0.02), (right - 0.2, FLOOR - 0.05), BLACK)
    axes.text(right - 0.3, (top + FLOOR) / 2, equation, ha="right", va="center", fontsize=12)
    _arrow(axes, (middle, 1.3), (middle, BOX_LOW - 0.02), BLACK)
    if value is not None:
        letter = {"strength": r"\beta", "gate": "g", "sharpening": r"\gamma"}[parameter]
        axes.text(middle, 0.99, rf"${letter}_t = {_written(value)}$", ha="center", va="center", fontsize=15)
        axes.text(middle, 0.36, parameter, ha="center", va="center", color=GREY)
    else:
        axes.text(middle, 0.36, rf"{parameter} ${parameter[0]}_t$", ha="center", va="center", color=GREY)


def _written(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    look = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 15}
    axes.annotate("", end, start, arrowprops=look)


def _key_and_shift(figure: Figure, key: Array, shift: Array, limit: float) -> None:
    """The two parameters that are vectors: the key in the colours of the memory, the shift as bars on 0 … 1."""
    key_axes = axes_at(figure, (_centre(0) + _centre(1) - WIDE) / 2, 0.86, WIDE, 0.26)
    heat_map(key_axes, key[None], limit)
    key_axes.set(xticks=[], yticks=[], label="key")
    shift_axes = axes_at(figure, (_centre(4) + _centre(5) - 0.9) / 2, 0.86, 0.9, 0.4)
    reach = len(shift) // 2
    offsets = numpy.arange(-reach, reach + 1)
    shift_axes.bar(offsets, shift, width=0.8, color=GREY)
    shift_axes.set(ylim=(0, 1), yticks=(0, 1), label="shift")
    named = sorted({-reach, 0, reach})
    shift_axes.set_xticks(named, [f"{offset:+d}".replace("-", "−") if offset else "0" for offset in named])
    shift_axes.tick_params(pad=1, length=2)
