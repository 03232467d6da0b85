"""Learning to execute programs (Zaremba & Sutskever 2014): what the LSTM reads, how it is taught, what it then answers."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tinymem.figures.checks import Array, check_shares, checked
from tinymem.figures.panels import heat_map, name_ends, signed_limit
from tinymem.figures.programs import answer_probabilities, ink_on, percent, programs_seen
from tinymem.figures.style import BLACK, BLUE, GREEN, GREY, PALE, PURPLE, SLIDE, VERMILLION, styled

__all__ = [
    "CURRICULA",
    "FORMS",
    "answer_probabilities",
    "curricula",  # Figs. 3, 4
    "hardness_maps",  # Figs. 5, 6
    "levels",
    "memorisation",  # Figs. 7, 8
    "programs_seen",  # Figs. 1, 2
]

CURRICULA = {"baseline": BLACK, "naive": VERMILLION, "mix": GREEN, "combined": BLUE}
"""The colour of each curriculum, the same in every figure."""

FORMS = {"plain": BLACK, "inverted": PURPLE, "doubled": GREEN, "doubled + inverted": VERMILLION}
"""The colour of each form of the input of the memorisation task."""

EXAMPLES = "thousands of training examples"
GAP = 0.055  # of the axes' height, from name to name


# --- curves ---


@styled
def curricula(
    curves: Mapping[str, Sequence[Array]],
    chance: float,
    title: str = "Which curriculum teaches best?",
    *,
    exact: Mapping[str, Sequence[Array]] | None = None,
) -> Figure:
    """Zaremba & Sutskever 2014, Figs. 3 and 4: accuracy against thousands of training examples, a curve a curriculum.

    curves {curriculum: one array (n, 2) a seed: thousands of examples, accuracy of target characters in 0 … 1}: the mean
    of the seeds, over the stretch that all of them cover, in a band from the worst to the best; thin if there is but one.
    chance: the accuracy of an ignorant model, dotted.  exact: the same of whole answers, in a second panel.
    """
    panels = [("curves", curves, "target characters right (%)")]
    if exact is not None:
        panels.append(("exact", exact, "whole answers right (%)"))
    bands = [_bands(name, given, CURRICULA) for name, given, _ in panels]
    check_shares(chance=checked(chance=([chance], "1"))[0])

    figure = Figure(figsize=(SLIDE, 6.2), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    drawn = figure.subplots(1, len(panels), squeeze=False)[0]
    for number, (axes, found, (_, given, label)) in enumerate(zip(drawn, bands, panels, strict=True)):
        axes.set(xlabel=EXAMPLES, ylabel=label, xlim=(0, max(float(band[-1, 0]) for band in found.values())))
        axes.set_title(_told([len(given[name]) for name in found]), color=GREY)
        axes.xaxis.set_major_locator(_round_ticks())
        _draw_bands(axes, found, {name: len(given[name]) for name in found}, CURRICULA, chance if number == 0 else None)
    return figure


def _named(what: str, given: Mapping[str, Sequence[object]], colours: Mapping[str, str]) -> list[str]:
    """The names of the curves, in the order of their colours."""
    strange = [name for name in given if name not in colours]
    if strange:
        raise ValueError(f"{what}: no colour is fixed for {strange[0]!r}; there are {', '.join(colours)}")
    if not given:
        raise ValueError(f"{what}: no curve to draw")
    for name in given:
        if len(given[name]) == 0:
            raise ValueError(f"{what}[{name!r}]: no seed to draw")
    return [name for name in colours if name in given]


def _growing(name: str, run: object, columns: int) -> Array:
    (array,) = checked(**{name: (run, f"n {columns}")})
    if array[0, 0] < 0 or (numpy.diff(array[:, 0]) <= 0).any():
        raise ValueError(f"{name}: what the x axis counts must not be negative, and grow")
    return array


def mean_band(runs: Sequence[Array]) -> Array:
    """Points (n, 4): x, mean, least and most of several runs (n, 2), at every x of any run in the stretch that all cover."""
    first, last = max(run[0, 0] for run in runs), min(run[-1, 0] for run in runs)
    places = numpy.unique(numpy.concatenate([run[:, 0] for run in runs]))
    places = places[(places >= first) & (places <= last)]
    values = numpy.array([numpy.interp(places, run[:, 0], run[:, 1]) for run in runs])  # (runs, places)
    return numpy.column_stack([places, values.mean(0), values.min(0), values.max(0)])


def _bands(what: str, given: Mapping[str, Sequence[object]], colours: Mapping[str, str]) -> dict[str, Array]:
    """The band (n, 4) of each curve, after a look at the data of each seed."""
    bands = {}
    for name in _named(what, given, colours):
        runs = [_growing(f"{what}[{name!r}][{index}]", run, 2) for index, run in enumerate(given[name])]
        check_shares(**{f"{what}[{name!r}][{index}]": run[:, 1] for index, run in enumerate(runs)})
        bands[name] = mean_band(runs)
        if not len(bands[name]):
            raise ValueError(f"{what}[{name!r}]: its seeds share no stretch of the x axis, so there is no mean")
    if max(band[-1, 0] for band in bands.values()) <= 0:
        raise ValueError(f"{what}: nothing behind the start to draw")
    return bands


def _draw_bands(
    axes: Axes, bands: Mapping[str, Array], seeds: Mapping[str, int], colours: Mapping[str, str], chance: float | None, marker: str = "none"
) -> None:
    """Means, bands, chance on an axis of percents, and their names with the last number of each at the right."""
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}"))
    axes.grid(True, axis="y")
    ends = []
    if chance is not None:
        axes.axhline(chance, color=GREY, linestyle=":", linewidth=1.8, zorder=2, label="chance")
        ends.append((chance, f"chance  {percent(chance)} %", GREY))
    for name, band in bands.items():
        x, mean, least, most = band.T
        if seeds[name] > 1:
            axes.fill_between(x, least, most, color=colours[name], alpha=0.17, linewidth=0, zorder=3, label=f"_{name}")
        axes.plot(x, mean, marker=marker, color=colours[name], linewidth=2.8 if seeds[name] > 1 else 1.5, zorder=4,
                  markersize=7, clip_on=False, label=name)  # fmt: skip
        if x[-1] < axes.get_xlim()[1]:  # lead the eye from where a curve ends to its name
            axes.plot([x[-1], axes.get_xlim()[1]], [mean[-1]] * 2, color=colours[name], linewidth=0.8, alpha=0.5, label="_lead")
        ends.append((float(mean[-1]), f"{name}  {percent(mean[-1])} %", colours[name]))
    low, high = axes.get_ylim()
    spread = _spread([(y - low) / (high - low) for y, _, _ in ends], GAP)
    name_ends(axes, [(low + place * (high - low), text, colour) for place, (_, text, colour) in zip(spread, ends, strict=True)], gap=GAP)


def _spread(places: Sequence[float], gap: float) -> list[float]:
    """Places in 0 … 1 moved as little as needed to lie `gap` apart, the highest at most at 1."""
    order = sorted(range(len(places)), key=lambda index: (places[index], -index))
    moved = list(places)
    for lower, upper in itertools.pairwise(order):
        moved[upper] = max(moved[upper], moved[lower] + gap)
    bound = 1.0
    for index in reversed(order):
        moved[index] = min(moved[index], bound)
        bound = moved[index] - gap
    return moved


def _count(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds} seeds"


def _told(counts: Sequence[int]) -> str:
    least, most = min(counts), max(counts)
    return "1 seed" if most == 1 else f"mean of {_count(most) if least == most else f'{least} to {most} seeds'}; band: worst to best"


def _round_ticks() -> MaxNLocator:
    return MaxNLocator(8, integer=True, steps=[1, 2, 5, 10])


@styled
def memorisation(
    curves: Mapping[str, Sequence[tuple[Array, Array]]],
    chance: float,
    trained: tuple[int, int],
    title: str = "Memorisation: does it help to see the input inverted, or twice?",
) -> Figure:
    """Zaremba & Sutskever 2014, Figs. 7 and 8: accuracy against the number of digits to repeat, a curve a form of the input.

    curves {form: one (lengths (N,), accuracies (N,) in 0 … 1) a seed}: the mean of the seeds in a band from the worst to the
    best.  chance: the accuracy of an ignorant model, dotted.  trained: the least and the most digits of the training, shaded.
    """
    points: dict[str, list[Array]] = {}
    for name in _named("curves", curves, FORMS):
        points[name] = []
        for index, seed in enumerate(curves[name]):
            if len(seed) != 2:
                raise ValueError(f"curves[{name!r}][{index}] must be (lengths, accuracies)")
            points[name].append(numpy.column_stack(checked(lengths=(seed[0], "N"), accuracies=(seed[1], "N"))))
    bands = _bands("curves", points, FORMS)
    check_shares(chance=checked(chance=([chance], "1"))[0])
    if len(trained) != 2 or not 1 <= trained[0] <= trained[1]:
        raise ValueError(f"trained must be (least, most) digits with 1 <= least <= most, got {trained}")

    figure = Figure(figsize=(SLIDE, 6.2), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    axes = figure.add_subplot()
    longest = max(float(band[-1, 0]) for band in bands.values())
    axes.set(xlabel="digits to repeat", ylabel="target characters right (%)", xlim=(0, max(longest, trained[1]) * 1.01))
    axes.set_title(_told([len(points[name]) for name in bands]), color=GREY)
    axes.axvspan(trained[0], trained[1], color=PALE, linewidth=0, zorder=0, label="trained")
    told = f"trained on {trained[0]} to {trained[1]} digits"
    axes.text(sum(trained) / 2, 0.02, told, transform=axes.get_xaxis_transform(), ha="center", color=GREY)
    axes.xaxis.set_major_locator(_round_ticks())
    _draw_bands(axes, bands, {name: len(points[name]) for name in bands}, FORMS, chance, "o")
    return figure


@styled
def levels(
    curves: Mapping[str, Sequence[Array]], title: str = "How the level rises during training", *, until: float | None = None
) -> Figure:
    """The level of the growing curricula against thousands of training examples, a step line a seed; no figure of the paper.

    curves {curriculum: one array (n, 3) a seed: thousands of examples, length, nesting}: the level from that example on, the
    last one until the thousands of examples `until`; by default the last row ends its line.  Up go the levels in the order of
    the curriculum, all lengths of a nesting before the next nesting; the seeds are drawn a little apart.
    """
    runs = {}
    for name in _named("curves", curves, CURRICULA):
        runs[name] = [_growing(f"curves[{name!r}][{index}]", run, 3) for index, run in enumerate(curves[name])]
        for index, run in enumerate(runs[name]):
            if (run[:, 1:] < 1).any() or (run[:, 1:] % 1 != 0).any():
                raise ValueError(f"curves[{name!r}][{index}]: length and nesting must be whole numbers from 1")
    every = [(name, run) for name, several in runs.items() for run in several]
    last = max(float(run[-1, 0]) for _, run in every)
    if (until or last) <= 0 or (until or last) < last:
        raise ValueError(f"levels: until must lie behind the start and the last row, {last:g} thousand examples, got {until}")
    longest = max(int(run[:, 1].max()) for _, run in every)
    nestings = range(min(int(run[:, 2].min()) for _, run in every), max(int(run[:, 2].max()) for _, run in every) + 1)
    count = longest * len(nestings)

    figure = Figure(figsize=(SLIDE, 6.2), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    axes = figure.add_subplot()
    for number, (name, run) in enumerate(every):
        heights = (run[:, 2] - nestings[0]) * longest + run[:, 1] + ((len(every) - 1) / 2 - number) * min(0.09, 0.5 / len(every))
        label = "_seed" if number and every[number - 1][0] == name else f"{name}, {_count(len(runs[name]))}"
        places = numpy.append(run[:, 0], run[-1, 0] if until is None else until)
        axes.step(places, numpy.append(heights, heights[-1]), where="post", color=CURRICULA[name], linewidth=2, label=label)
    for place, nesting in enumerate(nestings) if len(nestings) > 1 else ():
        if place % 2 == 0:
            axes.axhspan(place * longest + 0.5, (place + 1) * longest + 0.5, color=PALE, linewidth=0, zorder=0)
        axes.annotate(
            f"nesting {nesting}", (1, (place + 0.5) * longest + 0.5), (9, 0), ("axes fraction", "data"), "offset points",
            va="center", annotation_clip=False,
        )  # fmt: skip
    ticks = [level for level in range(1, count + 1) if (level - 1) % longest % -(-count // 18) == 0]
    axes.set_yticks(ticks, [str((level - 1) % longest + 1) for level in ticks])
    axes.set(xlabel=EXAMPLES, ylabel="length", ylim=(0.5, count + 0.5), xlim=(0, until or last))
    axes.xaxis.set_major_locator(_round_ticks())
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside lower center", ncols=len(runs), columnspacing=3.0)
    return figure


# --- how hard ---


@styled
def hardness_maps(
    baseline: Array,
    combined: Array,
    lengths: Sequence[int],
    nestings: Sequence[int],
    title: str = "Programs: what a curriculum changes, by difficulty",
) -> Figure:
    """Zaremba & Sutskever 2014, Figs. 5 and 6: accuracy of the two strategies, and what the curriculum gains.

    baseline, combined (L, N): accuracies in 0 … 1 for each length (up) and nesting (across); lengths (L,), nestings (N,):
    growing whole numbers.  Every cell carries its percent; the difference, in percentage points, is that of the accuracies
    before they were rounded, on a scale symmetric about 0.
    """
    baseline, combined, tall, wide = checked(
        baseline=(baseline, "L N"), combined=(combined, "L N"), lengths=(lengths, "L"), nestings=(nestings, "N")
    )
    check_shares(baseline=baseline, combined=combined)
    for name, numbers in (("lengths", tall), ("nestings", wide)):
        if (numbers < 1).any() or (numbers % 1 != 0).any() or (numpy.diff(numbers) <= 0).any():
            raise ValueError(f"{name} must be whole numbers from 1 that grow, got {numbers.tolist()}")
    difference = combined - baseline

    figure = Figure(figsize=(SLIDE, 1.9 + min(max(0.85 * len(tall), 2.4), 5.6)), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    drawn = figure.subplots(1, 3, sharey=True)
    for axes, (name, values, limit) in zip(
        drawn,
        (
            ("baseline: characters right (%)", baseline, None),
            ("combined: characters right (%)", combined, None),
            ("combined − baseline (points)", difference, signed_limit(difference)),
        ),
        strict=True,
    ):
        image = heat_map(axes, values, limit)
        axes.set_title(name, fontweight="bold")
        axes.set_xticks(range(len(wide)), [f"{nesting:.0f}" for nesting in wide])
        axes.set_yticks(range(len(tall)), [f"{length:.0f}" for length in tall])
        axes.set_xlabel("nesting")
        axes.tick_params(length=0)
        for (row, column), value in numpy.ndenumerate(values):
            text = percent(value) if limit is None else f"{round(100 * value):+d}".replace("-", "−").replace("+0", "0")
            axes.text(column, row, text, color=ink_on(image, value), fontsize=16, ha="center", va="center")
    drawn[0].set_ylabel("length")
    return figure
