"""How a Neural Turing Machine recalls by association: more items than in training, and how it finds the answer (Figs. 11, 12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from tinymem.figures.checks import Array, check_shares, checked, picked
from tinymem.figures.curves import FLOOR
from tinymem.figures.flow import shown_locations
from tinymem.figures.panels import axes_at, colour_bar, heat_map, plain, plain_ticks, signed_limit
from tinymem.figures.style import BLACK, BLUE, GREEN, GREY, PALE, PAPER, SLIDE, SYSTEMS, VERMILLION, colour_of, styled

QUERY, ANSWER, KEY = GREEN, VERMILLION, BLACK  # the boxes of the paper's Fig. 12
FARTHEST = 4  # shifts that have a bar of their own

RECALL_ALGORITHM = (
    (QUERY, "query, and the item it repeats", ()),
    (ANSWER, "the item after it, and the answer", ()),
    (KEY, "the key", ("at the delimiter after an item:", "    write a key made from the item", "at the delimiter after the query:",
                      "    make the same key again", "    find it by its content", "    shift by one: the next item")),
)  # fmt: skip
"""What the boxes mean, and how the slide explains the recall."""


@styled
def bits_by_items(
    points: Sequence[tuple[str, int, float]],
    paper: Mapping[str, Array],
    title: str = "Associative recall: more items than in training",
    *,
    trained: tuple[int, int] = (2, 6),
    chance: float | None = None,
) -> Figure:
    """Graves et al. 2014, Fig. 11: bits per sequence against the number of items, linear as in the paper and logarithmic.

    points (system, items, bits per sequence), one a seed and number of items: a dot each, the line is the mean over seeds;
    paper {system: (n, 2)} from `paper_curves`: dashed.  The numbers of items of the training are shaded; chance: the loss of
    an ignorant model, dotted.
    """
    if not points:
        raise ValueError("bits_by_items: no point to draw")
    for system, items, bits in points:
        colour_of(system)
        if items < 2 or not 0 <= bits < float("inf"):
            raise ValueError(f"a point is (system, items >= 2, bits >= 0), got {(system, items, bits)}")
    theirs = {system: checked(**{f"paper[{system!r}]": (curve, "n 2")})[0] for system, curve in paper.items() if colour_of(system)}

    figure = Figure(figsize=(SLIDE, 6.6), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    linear, logarithmic = figure.subplots(1, 2)
    fewest, most = min(items for _, items, _ in points), max(items for _, items, _ in points)
    for axes, floor in ((linear, 0.0), (logarithmic, FLOOR)):
        axes.axvspan(*trained, color=PALE, linewidth=0, zorder=0)
        for system, colour in SYSTEMS.items():
            if system in theirs:
                curve = theirs[system]
                label = f"{system}, {PAPER}"
                axes.plot(curve[:, 0], numpy.maximum(curve[:, 1], floor), "s--", color=colour, linewidth=1.5, markersize=5, label=label)
            mine = sorted((items, bits) for name, items, bits in points if name == system)
            if mine:
                items, bits = numpy.array(mine).T
                axes.plot(items, numpy.maximum(bits, floor), "o", color=colour, alpha=0.45, markersize=6)
                at = numpy.unique(items)
                means = numpy.array([bits[items == number].mean() for number in at])
                seeds = int((items == at[0]).sum())
                label = f"{system}, 1 seed" if seeds == 1 else f"{system}, mean of {seeds} seeds"
                axes.plot(at, numpy.maximum(means, floor), color=colour, label=label)
        if chance is not None:
            axes.axhline(chance, color=GREY, linestyle=":", linewidth=1.5)
        axes.set(xlabel="items of a sequence", xlim=(fewest - 0.3, most + 0.3))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(True, axis="y")
    if chance is not None:
        linear.annotate(f"guessing: {plain(chance)} bits", (fewest, chance), (2, 4), textcoords="offset points", color=GREY)
    linear.set_ylim(bottom=0)
    linear.set_ylabel("bits per sequence")
    linear.set_title("linear, as in the paper")
    linear.text(
        sum(trained) / 2, 0.98, f"trained:\n{trained[0]}…{trained[1]}", transform=linear.get_xaxis_transform(), ha="center", va="top"
    )
    logarithmic.set_yscale("log")
    logarithmic.set_ylim(bottom=FLOOR * 0.8)
    logarithmic.set_title("logarithmic")
    plain_ticks(logarithmic)
    figure.legend(*linear.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


@styled
def recall_memory_use(
    inputs: Array,
    outputs: Array,
    adds: Array,
    reads: Array,
    write_weightings: Array,
    read_weightings: Array,
    steps: Mapping[str, slice],
    lookup: int,
    title: str = "NTM: how it recalls",
) -> Figure:
    """Graves et al. 2014, Fig. 12: what one sequence does to the memory, with query, answer and compressed key in boxes.

    inputs (T, X), outputs (T, Y) as probabilities, adds and reads (T, M), weightings (T, N) of one head each; steps: where the
    vectors of the "item" asked about, of the "next" item, of the "query" and of the "answer" stand; lookup: the step at which the
    answer is looked for.  The slide expects the key at the delimiters after the item and after the query.
    """
    inputs, outputs, adds, reads, writing, reading = checked(
        inputs=(inputs, "T X"), outputs=(outputs, "T Y"), adds=(adds, "T M"), reads=(reads, "T M"),
        write_weightings=(write_weightings, "T N"), read_weightings=(read_weightings, "T N"),
    )  # fmt: skip
    check_shares(inputs=inputs, outputs=outputs, write_weightings=writing, read_weightings=reading)
    item, following, query, answer = _checked_steps(steps, len(inputs))
    if not 0 <= lookup < len(inputs):
        raise ValueError(f"lookup is a step of the sequence, 0 … {len(inputs) - 1}, got {lookup}")
    limit = signed_limit(adds, reads)
    bits = outputs.shape[1]
    asked_for = numpy.zeros(len(inputs), bool)
    asked_for[answer] = True
    shown = shown_locations(numpy.concatenate([writing[: query.start], reading[[lookup]], reading[answer]]))

    figure = Figure(figsize=(SLIDE, 7.5))
    figure.suptitle(title, x=0.13 / SLIDE, y=1 - 0.16 / 7.5, ha="left", va="top")
    told = f"{len(shown)} of {writing.shape[1]} locations" if len(shown) < writing.shape[1] else f"all {len(shown)} locations"
    figure.text(0.13 / SLIDE, 6.83 / 7.5, told, va="center", color=GREY)
    drawn = {}
    for x, column in (
        (0.95, (("Inputs", inputs, "channel"), ("Adds", adds, "element"), ("Write weightings", writing, "location"))),
        (5.25, (("Outputs", outputs * asked_for[:, None], ""), ("Reads", reads, ""), ("Read weightings", reading, ""))),
    ):
        for (name, values, rows), low, height in zip(column, (5.3, 3.6, 0.75), (1.0, 1.25, 2.2), strict=True):
            axes = drawn[name] = axes_at(figure, x, low, 3.75, height)
            if name.endswith("weightings"):
                heat_map(axes, values[:, shown].T)
                axes.set_yticks(range(0, len(shown), 8), [str(shown[place]) for place in range(0, len(shown), 8)])
                axes.set_xlabel("time (steps)")
            else:
                heat_map(axes, values.T, limit if name in ("Adds", "Reads") else None)
                axes.tick_params(labelbottom=False)
            axes.set_aspect("auto")
            axes.set_title(name, fontweight="bold")
            axes.set_ylabel(rows)
            if not rows:
                axes.tick_params(labelleft=False)
    drawn["Outputs"].set_title("asked for at the end only", loc="right", color=GREY, fontsize=12)
    for steps_of, colour in ((item, QUERY), (query, QUERY), (following, ANSWER)):
        _box(drawn["Inputs"], steps_of, (0, bits), colour)
    _box(drawn["Outputs"], answer, (0, bits), ANSWER)
    _box(drawn["Reads"], answer, (0, reads.shape[1]), ANSWER)
    for step in (item.stop, query.stop):
        _box(drawn["Adds"], slice(step, step + 1), (0, adds.shape[1]), KEY)
    key, found = (numpy.flatnonzero(shown == weights.argmax()) for weights in (writing[item.stop], reading[lookup]))
    for name, step, place, colour in (("Write weightings", item.stop, key, KEY), ("Read weightings", lookup, found, ANSWER)):
        if len(place):
            _box(drawn[name], slice(step, step + 1), (int(place[0]), int(place[0]) + 1), colour)
    if len(key):
        drawn["Read weightings"].axhline(key[0], color=KEY, linestyle=":", linewidth=1.2)
    _algorithm(figure, 9.45, 6.3)
    colour_bar(figure, axes_at(figure, 9.45, 1.85, 3.0, 0.16), "bit, probability, weight", horizontal=True)
    colour_bar(figure, axes_at(figure, 9.45, 0.85, 3.0, 0.16), "element of a vector", limit, horizontal=True)
    return figure


NAMES = ("item", "next", "query", "answer")


def _checked_steps(steps: Mapping[str, slice], time: int) -> list[slice]:
    found = []
    for name, value in zip(NAMES, picked("steps", steps, NAMES), strict=True):
        if not isinstance(value, slice) or not (isinstance(value.start, int) and isinstance(value.stop, int)):
            raise ValueError(f"steps[{name!r}] must be a slice with a start and a stop, got {value!r}")
        if not 0 <= value.start < value.stop <= (time if name == "answer" else time - 1):
            raise ValueError(f"steps[{name!r}] must lie within the {time} steps of the sequence, got {value.start} to {value.stop}")
        found.append(value)
    return found


def _box(axes: Axes, steps: slice, rows: tuple[int, int], colour: str) -> None:
    """A frame around whole cells of a heat map."""
    corner, width, height = (steps.start - 0.5, rows[0] - 0.5), steps.stop - steps.start, rows[1] - rows[0]
    axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=colour, linewidth=2.2, clip_on=False, zorder=5))


def _algorithm(figure: Figure, x: float, top: float) -> None:
    """The meaning of the boxes, and the slide's explanation in monospace below the key's."""
    across, up = figure.get_size_inches()
    line = 0.25
    for colour, meaning, lines in RECALL_ALGORITHM:
        size = 0.16
        corner = (x / across, (top - line / 2 - size / 2) / up)
        figure.add_artist(Rectangle(corner, size / across, size / up, fill=False, edgecolor=colour, linewidth=2.2))
        figure.text((x + 0.3) / across, (top - line / 2) / up, meaning, va="center", fontsize=13)
        top -= line + 0.08
        for text in lines:
            figure.text((x + 0.3) / across, (top - line / 2) / up, text, family="monospace", fontsize=11, va="center")
            top -= line
    figure.text((x + 0.3) / across, (top - line) / up, "dotted: where the key was written", va="center", fontsize=12, color=GREY)


@styled
def lookup_offsets(offsets: Mapping[str, tuple[Array, Array]], title: str = "How far from the key of the queried item is read?") -> Figure:
    """A panel for each read head: by how many locations its look-up lies from where a key was written, over many episodes.

    offsets {name of the head: (offsets from the queried item's key, from the key of another item)}, whole numbers (episodes,)
    each: bars and, as chance, a line.  The slide says: all at one shift.
    """
    if not offsets:
        raise ValueError("lookup_offsets: no head to draw")
    given = {name: checked(**{f"offsets[{name!r}]": (own, "B"), "of another item": (other, "B")}) for name, (own, other) in offsets.items()}
    figure = Figure(figsize=(SLIDE, 4.6), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    places = numpy.arange(-FARTHEST, FARTHEST + 2)
    labels = [f"{place:+d}".replace("-", "−") if place else "0" for place in places[:-1]] + ["farther"]
    for axes, (name, (own, other)) in zip(figure.subplots(1, len(given), sharey=True, squeeze=False)[0], given.items(), strict=True):
        near, chance = (
            [*((values == place).mean() for place in places[:-1]), (numpy.abs(values) > FARTHEST).mean()] for values in (own, other)
        )
        axes.bar(places, near, color=[BLUE if abs(place) == 1 else GREY for place in places], width=0.8)
        axes.step(places, chance, where="mid", color=BLACK, linewidth=1.5, label="another item")
        axes.set_xticks(places[::2] if len(given) > 2 else places, labels[::2] if len(given) > 2 else labels)
        axes.set(ylim=(0, 1), xlabel="locations from the key")
        axes.set_title(name)
        axes.grid(True, axis="y")
    figure.axes[0].set_ylabel(f"share of {len(own)} episodes")
    figure.axes[0].legend(loc="upper left")
    return figure
