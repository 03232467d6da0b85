"""What a Neural Turing Machine did with one sequence: its answers, its memory, its heads (Graves et al. 2014, Figs. 4 to 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tinymem.figures.checks import Array, check_shares, checked, picked
from tinymem.figures.panels import axes_at, colour_bar, heat_map, signed_limit
from tinymem.figures.style import BLUE, GREY, ORANGE, SLIDE, VERMILLION, styled

WRITING, TURNING, READING = ORANGE, VERMILLION, BLUE  # the three phases of a copy

COPY_ALGORITHM = (
    (WRITING, ("initialise:", "    move head to start location", "while input delimiter not seen do", "    receive input vector",
               "    write input to head location", "    increment head location by 1", "end while")),
    (TURNING, ("return head to start location",)),
    (READING, ("while true do", "    read output vector", "        from head location", "    emit output",
               "    increment head location by 1", "end while")),
)  # fmt: skip
"""The algorithm that the copy task teaches, as the slide has it, by phase."""


@styled
def generalisation(
    episodes: Sequence[tuple[int, Array, Array, int, int]], title: str = "NTM: copies of sequences longer than any it was trained on"
) -> Figure:
    """Graves et al. 2014, Figs. 4 and 5: targets above outputs, the last episode on a row of its own (10, 20, 30, 50; 120).

    An episode is (length, targets (length, Y) of 0 and 1, outputs (length, Y) of probabilities, wrong, total); wrong of
    total bits stand in its title, and each wrong bit (output and target on different sides of ½) has a dot.  All panels
    have one time scale and the fixed grey scale 0 … 1.
    """
    if not episodes:
        raise ValueError("generalisation: no episode to draw")
    drawn = [_checked_episode(index, *episode) for index, episode in enumerate(episodes)]
    rows = [drawn[:-1], drawn[-1:]] if len(drawn) > 1 else [drawn]

    left, right, gap, bottom, panel, between, head, apart = 1.15, 1.3, 0.7, 0.8, 0.93, 0.1, 0.66, 0.42
    block = 2 * panel + between + head
    figure = Figure(figsize=(SLIDE, bottom + len(rows) * block + (len(rows) - 1) * apart + 0.65))
    figure.suptitle(title, x=0.13 / SLIDE, y=1 - 0.16 / figure.get_figheight(), ha="left", va="top")
    usable = SLIDE - left - right
    step = min((usable - (len(row) - 1) * gap) / sum(length for length, *_ in row) for row in rows)  # inches a time step
    for number, row in enumerate(reversed(rows)):
        low, x = bottom + number * (block + apart), left
        for length, targets, outputs, wrong, total in row:
            answers = axes_at(figure, x, low, length * step, panel)
            asked = axes_at(figure, x, low + panel + between, length * step, panel)
            for axes, bits in ((asked, targets), (answers, outputs)):
                heat_map(axes, bits.T, first_column=1)
                axes.set(xticks=[], yticks=[])
            missed = numpy.argwhere(_missed(targets, outputs))
            if len(missed):
                answers.plot(missed[:, 0] + 1, missed[:, 1], "o", color=VERMILLION, markersize=4.2, markeredgewidth=0)
            answers.set_xticks(sorted({1, *range(20, length - 4, 20), length}))
            asked.text(0, 1.37, f"length {length}", transform=asked.transAxes, fontweight="bold")
            asked.text(0, 1.09, f"{wrong} of {total} wrong", transform=asked.transAxes, color=VERMILLION if wrong else "black")
            if x == left:
                for axes, name in ((asked, "Targets"), (answers, "Outputs")):
                    axes.set_ylabel(name, rotation=0, ha="right", va="center")
            x += length * step + gap
    figure.text((left + usable / 2) / SLIDE, 0.12 / figure.get_figheight(), "time of the answer (steps)", ha="center", va="bottom")
    middle = bottom + (len(rows) * block + (len(rows) - 1) * apart - head) / 2
    colour_bar(figure, axes_at(figure, SLIDE - right + 0.3, middle - 1, 0.2, 2), "bit, or its probability")
    if any(wrong for *_, wrong, _ in drawn):
        figure.text((SLIDE - right + 0.28) / SLIDE, (middle - 1.5) / figure.get_figheight(), "● wrong", color=VERMILLION)
    return figure


def _missed(targets: Array, outputs: Array) -> Array:
    """Where an output lies on the other side of ½ than its target."""
    return numpy.not_equal(outputs > 0.5, targets > 0.5)


def _checked_episode(index: int, length: int, targets: Array, outputs: Array, wrong: int, total: int) -> tuple[int, Array, Array, int, int]:
    names = {"targets": f"targets of episode {index}", "outputs": f"outputs of episode {index}"}
    targets, outputs = checked(**{names["targets"]: (targets, "length Y"), names["outputs"]: (outputs, "length Y")})
    check_shares(**{names["targets"]: targets, names["outputs"]: outputs})
    if len(targets) != length:
        raise ValueError(f"episode {index} claims length {length}, but its targets have {len(targets)} steps")
    if not 0 <= wrong <= total or total < 1:
        raise ValueError(f"episode {index}: {wrong} wrong of {total} bits cannot be")
    missed = int(_missed(targets, outputs).sum())
    if total == targets.size and wrong != missed:
        raise ValueError(f"episode {index} claims {wrong} wrong bits, but {missed} of its outputs lie on the wrong side of 1/2")
    return length, targets, outputs, wrong, total


@styled
def memory_use(
    inputs: Array,
    outputs: Array,
    adds: Array,
    reads: Array,
    write_weightings: Array,
    read_weightings: Array,
    phase: int,
    locations: tuple[int, int] | None = None,
    title: str = "NTM: how it copies",
) -> Figure:
    """Graves et al. 2014, Fig. 6: what one sequence does to the memory, beside the algorithm of the slide.

    inputs (T, X), outputs (T, Y) as probabilities, adds and reads (T, M), weightings (T, N) of one head each; phase: the
    step (from 0) at which the delimiter is seen; locations (first, stop) drawn, by default those that are used.  Left the
    input is written, right the output is read; time runs to the right in both.  The phases have the colours of the text.
    """
    figure = Figure(figsize=(SLIDE, 7.5))
    figure.suptitle(title, x=0.13 / SLIDE, y=1 - 0.16 / 7.5, ha="left", va="top")
    memory_panels(figure, inputs, outputs, adds, reads, write_weightings, read_weightings, phase, locations)
    written_algorithm(figure, COPY_ALGORITHM)
    return figure


def memory_panels(
    figure: Figure,
    inputs: Array,
    outputs: Array,
    adds: Array,
    reads: Array,
    write_weightings: Array,
    read_weightings: Array,
    phase: int,
    locations: tuple[int, int] | None,
) -> dict[str, Axes]:
    """The six panels of a memory's use, by their titles, and their keys; the right third of the slide stays free above the keys."""
    inputs, outputs, adds, reads, writing, reading = checked(
        inputs=(inputs, "T X"), outputs=(outputs, "T Y"), adds=(adds, "T M"), reads=(reads, "T M"),
        write_weightings=(write_weightings, "T N"), read_weightings=(read_weightings, "T N"),
    )  # fmt: skip
    check_shares(inputs=inputs, outputs=outputs, write_weightings=writing, read_weightings=reading)
    steps, count = writing.shape
    if not 0 <= phase < steps:
        raise ValueError(f"phase is the step of the delimiter, 0 … {steps - 1}, got {phase}")
    first, stop = _used_locations(writing, reading) if locations is None else locations
    if not 0 <= first < stop <= count:
        raise ValueError(f"locations must be (first, stop) with 0 <= first < stop <= {count}, got {(first, stop)}")
    limit = signed_limit(adds, reads)

    panels = {}
    shown = f"locations {first} to {stop - 1} of {count}" if (first, stop) != (0, count) else f"all {count} locations"
    figure.text(0.13 / SLIDE, 6.83 / 7.5, shown, va="center", color=GREY)
    for x, column in (
        (0.95, (("Inputs", inputs, "channel"), ("Adds", adds, "element"), ("Write weightings", writing, "location"))),
        (5.25, (("Outputs", outputs, ""), ("Reads", reads, ""), ("Read weightings", reading, ""))),
    ):
        for (name, values, rows), low, height in zip(column, (5.3, 3.6, 0.75), (1.0, 1.25, 2.2), strict=True):
            axes = panels[name] = axes_at(figure, x, low, 3.75, height)
            weighting = name.endswith("weightings")
            if weighting:
                heat_map(axes, values[:, first:stop].T, first_row=first)
                axes.set_xlabel("time (steps)")
                _phase_strip(axes, phase, steps)
            else:
                heat_map(axes, values.T, limit if name in ("Adds", "Reads") else None)
                axes.tick_params(labelbottom=False)
            axes.set_title(name, fontweight="bold", pad=17 if weighting else 7)
            axes.set_ylabel(rows)
            if name == "Outputs":
                axes.set_title("asked for after the delimiter", loc="right", color=GREY, fontsize=12)
            if not rows:
                axes.tick_params(labelleft=False)
            for edge in (phase - 0.5, phase + 0.5):
                axes.axvline(edge, color=TURNING, linewidth=0.9)
    colour_bar(figure, axes_at(figure, 9.45, 1.85, 3.0, 0.16), "bit, probability, weight", horizontal=True)
    colour_bar(figure, axes_at(figure, 9.45, 0.85, 3.0, 0.16), "element of a vector", limit, horizontal=True)
    return panels


def _used_locations(*weightings: Array) -> tuple[int, int]:
    """The band of locations that ever hold a twentieth of the weight, and two more on each side."""
    count = weightings[0].shape[1]
    used = numpy.flatnonzero(numpy.max([weighting.max(0) for weighting in weightings], axis=0) > 0.05)
    return (max(int(used[0]) - 2, 0), min(int(used[-1]) + 3, count)) if len(used) else (0, count)


def _phase_strip(axes: Axes, phase: int, steps: int) -> None:
    """Three coloured bars over the time axis: input, delimiter, answer."""
    for start, end, colour in ((-0.5, phase - 0.5, WRITING), (phase - 0.5, phase + 0.5, TURNING), (phase + 0.5, steps - 0.5, READING)):
        axes.add_patch(
            Rectangle((start, 1.025), end - start, 0.045, transform=axes.get_xaxis_transform(), color=colour, linewidth=0, clip_on=False)
        )


def written_algorithm(figure: Figure, algorithm: Sequence[tuple[str, Sequence[str]]], x: float = 9.45, top: float = 6.3) -> None:
    """An algorithm, (colour, lines) a phase, in monospace right of the panels, a bar of the phase's colour at its left."""
    across, up = figure.get_size_inches()
    line = 0.222
    for colour, lines in algorithm:
        height = line * len(lines)
        figure.add_artist(Rectangle((x / across, (top - height) / up), 0.07 / across, height / up, color=colour, linewidth=0))
        for number, text in enumerate(lines):
            figure.text((x + 0.2) / across, (top - line * (number + 0.5)) / up, text, family="monospace", fontsize=12, va="center")
        top -= height + 0.13


HEAD_PARAMETERS = (
    ("gate", "gate g", "eq. 7"),
    ("strength", "strength β", "eq. 5"),
    ("sharpening", "sharpening γ", "eq. 9"),
    ("shift", "shift s", "eq. 8"),
)


@styled
def head_parameters(
    trace_of_head: Mapping[str, Array], phase: int | None = None, title: str = "What the controller tells its two heads"
) -> Figure:
    """Small multiples over time: gate, strength, sharpening and shift of a read and of a write head (paper: eqs. 5 to 9).

    trace_of_head: one sequence and one head of a trace, `{name: values[:, sequence, head]}`: read_gate, read_strength,
    read_sharpening (T, 1), read_shift (T, S), and the same with write_.  phase: the step of the delimiter, a line.
    """
    names = tuple(f"{head}_{name}" for head in ("write", "read") for name, _, _ in HEAD_PARAMETERS)
    given = dict(zip(names, picked("trace_of_head", trace_of_head, names), strict=True))
    sizes = {name: "T S" if name.endswith("shift") else "T 1" for name in names}
    trace = dict(zip(names, checked(**{name: (given[name], sizes[name]) for name in names}), strict=True))
    check_shares(**{name: values for name, values in trace.items() if name.endswith(("gate", "shift"))})
    steps, shifts = trace["read_shift"].shape
    if shifts % 2 == 0:
        raise ValueError(f"the shifts are -S//2 … S//2, an odd number of them, got {shifts}")
    if phase is not None and not 0 <= phase < steps:
        raise ValueError(f"phase is the step of the delimiter, 0 … {steps - 1}, got {phase}")

    figure = Figure(figsize=(SLIDE, 7.5), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    grid = figure.add_gridspec(4, 3, width_ratios=[1, 1, 0.018], hspace=0.06, wspace=0.03)
    for column, (head, colour) in enumerate((("write", ORANGE), ("read", BLUE))):
        for row, (name, label, number) in enumerate(HEAD_PARAMETERS):
            axes = figure.add_subplot(grid[row, column])
            values = trace[f"{head}_{name}"]
            if name == "shift":
                heat_map(axes, values.T, first_row=-(shifts // 2))
                axes.set_yticks(range(-(shifts // 2), shifts // 2 + 1))
                axes.set_xlabel("time (steps)")
            else:
                axes.step(numpy.arange(steps), values[:, 0], where="mid", color=colour)
                highest = max(float(trace[f"{either}_{name}"].max()) for either in ("write", "read"))
                axes.set_ylim(*((-0.03, 1.03) if name == "gate" else (0, 1.1 * highest)))
                axes.grid(True, axis="y")
                axes.tick_params(labelbottom=False)
            axes.set_xlim(-0.5, steps - 0.5)
            if phase is not None:
                axes.axvline(phase, color=VERMILLION, linestyle=":", linewidth=1.8)
            if column == 0:
                axes.set_ylabel(f"{label}\n{number}")
            else:
                axes.tick_params(labelleft=False)
            if row == 0:
                axes.set_title(f"{head} head", color=colour, fontweight="bold")
                if phase is not None:
                    axes.set_title("dotted: the delimiter", loc="right", color=VERMILLION, fontsize=12)
    colour_bar(figure, figure.add_subplot(grid[3, 2]), "weight")
    return figure
