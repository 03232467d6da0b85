"""Learning to Execute, as drawn: programs as text, curves of curricula and input forms, heat maps, answers; and what is refused."""

from __future__ import annotations

import subprocess
import sys

import matplotlib
import matplotlib._pylab_helpers
import matplotlib.text
import numpy
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from test_figures import require_readable

from tinymem.figures import save
from tinymem.figures.executing import (
    CURRICULA,
    FORMS,
    answer_probabilities,
    curricula,
    hardness_maps,
    levels,
    mean_band,
    memorisation,
    programs_seen,
)
from tinymem.figures.programs import RIGHT, UNKNOWN, WRONG, percent
from tinymem.figures.style import style

LOOP = "j=8584\nfor x in range(8):j+=920\nb=(1500+j)\nprint((b+7567))"
CHOICE = "i=8827\nc=(i-5347)\nprint((c+8704) if 2641<8500 else 5308)"
PROGRAMS = [
    (LOOP, "25011.", "q$k<6\nwp#mn4a_z\nv{s5", "hkhpg."),
    (CHOICE, "12184.", "vqppkn\nsqdvfljmnc\ny2vxdddsepnimcbvubkomhrpliibtwztbljipcc", "e$1$."),
]
ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz ()+-*=<>:;#@."
MEANT = ["baseline", "naive", "mix", "combined"]


def curve(*accuracies: float, first: float = 10.0) -> numpy.ndarray:
    """A seed measured every ten thousand examples."""
    return numpy.column_stack([first + 10 * numpy.arange(len(accuracies)), accuracies])


def learned() -> dict[str, list]:
    """Three noisy seeds a curriculum, which end close to each other."""
    rng = numpy.random.default_rng(0)
    ends = dict(zip(MEANT, (0.93, 0.97, 0.95, 0.99), strict=True))
    return {name: [curve(*(0.12 + (end - 0.12) * numpy.linspace(0, 1, 12) ** rng.uniform(0.3, 1))) for _ in range(3)]
            for name, end in ends.items()}  # fmt: skip


def climbed(step: float = 10.0, nestings: int = 2, lengths: int = 3) -> numpy.ndarray:
    places = [(length, nesting) for nesting in range(1, nestings + 1) for length in range(1, lengths + 1)]
    return numpy.array([(step * number, *place) for number, place in enumerate(places)])


def remembered() -> dict[str, list]:
    lengths = numpy.array([2, 5, 10, 20, 30])
    return {form: [(lengths, numpy.clip(1 - lengths / (40.0 + 9 * place + seed), 0.1, 1)) for seed in (0, 3)]
            for place, form in enumerate(FORMS)}  # fmt: skip


def told(text: str, sure: float = 0.9) -> numpy.ndarray:
    """Probabilities (T, A) that give `sure` to each character of the text, and the rest to all others alike."""
    rows = numpy.full((len(text), len(ALPHABET)), (1 - sure) / (len(ALPHABET) - 1))
    rows[numpy.arange(len(text)), [ALPHABET.index(letter) for letter in text]] = sure
    return rows


BASELINE = numpy.array([[0.97, 0.624], [0.80, 0.45], [0.61, 0.40]])
COMBINED = numpy.array([[0.998, 0.82], [0.91, 0.66], [0.79, 0.37]])

DRAWINGS = {
    "programs_seen": lambda: programs_seen(PROGRAMS),
    "curricula": lambda: curricula(learned(), 0.12),
    "curricula, exact": lambda: curricula(learned(), 0.12, exact={name: runs[:1] for name, runs in learned().items()}),
    "levels": lambda: levels({"naive": [climbed(), climbed(12)], "combined": [climbed(20)]}),
    "levels, length": lambda: levels({"naive": [climbed(nestings=1)]}, until=90),
    "hardness_maps": lambda: hardness_maps(BASELINE, COMBINED, [1, 2, 3], [1, 2]),
    "memorisation": lambda: memorisation(remembered(), 0.1, (1, 20)),
    "answer_probabilities": lambda: answer_probabilities(ALPHABET, told("25311."), "25011.", "25311.", LOOP),
    "answer_probabilities, unknown": lambda: answer_probabilities(ALPHABET, told("-7."), None, "-7.", CHOICE),
    "answer_probabilities, long": lambda: answer_probabilities(
        ALPHABET, told("12345678901234567890.", 0.998), "12345678907234567890.", "12345678901234567890.", 2 * "12345678901234567890@"
    ),
}


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


def lines(axes, label: str) -> list:
    return [line for line in axes.lines if line.get_label() == label]


def line(axes, label: str):
    (found,) = lines(axes, label)
    return found


def band(axes, name: str):
    (found,) = [collection for collection in axes.collections if collection.get_label() == f"_{name}"]
    return found


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_text_is_clipped_or_small_or_lies_on_another(name):
    require_readable(DRAWINGS[name](), 8)


@pytest.mark.parametrize("name", DRAWINGS)
def test_equal_data_gives_equal_bytes(name, tmp_path):
    first, second = save(DRAWINGS[name](), tmp_path / "one", "same"), save(DRAWINGS[name](), tmp_path / "two", "same")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_drawing_leaves_no_state_behind():
    before = dict(matplotlib.rcParams)
    for draw in DRAWINGS.values():
        draw()
    assert matplotlib._pylab_helpers.Gcf.figs == {}
    assert dict(matplotlib.rcParams) == before
    code = "import sys, tinymem.figures.executing; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("share", "said"),
    [(0, "0"), (1e-4, "0.1"), (0.0042, "0.4"), (0.006, "1"), (0.734, "73"), (0.994, "99"), (0.9956, "99.5"), (0.99999, "99.9"), (1, "100")],
)
def test_a_percent_falls_short_of_all_and_exceeds_nothing(share, said):
    assert percent(share) == said


# --- programs as text (Figs. 1, 2) ---


def monospace(figure: Figure) -> list:
    return [text for text in figure.texts if text.get_family() == ["monospace"]]


def boxes(figure: Figure) -> list:
    return [artist for artist in figure.artists if isinstance(artist, Rectangle)]


def require_inside(figure: Figure, count: int) -> None:
    """Every line of a program lies in a box, at the resolution of the screen and at that of the saved picture."""
    for dpi in (100, 150, 200):
        figure.set_dpi(dpi)
        with style():
            figure.draw_without_rendering()
            inside = [
                any(box.x0 <= text.x0 and text.x1 <= box.x1 and box.y0 <= text.y0 and text.y1 <= box.y1
                    for box in (box.get_window_extent() for box in boxes(figure)))
                for text in (text.get_window_extent() for text in monospace(figure))
            ]  # fmt: skip
        assert sum(inside) == count


def test_programs_seen_writes_every_line_as_it_is():
    figure = programs_seen(PROGRAMS)
    said = [text.get_text() for text in monospace(figure)]
    assert sorted(said) == sorted(line for program in PROGRAMS for text in program for line in text.split("\n"))
    assert words(figure).count("target") == 4
    assert len({text.get_fontsize() for text in monospace(figure)}) == 1
    assert len(boxes(figure)) == 4
    require_inside(figure, 13)
    left = [text for text in monospace(figure) if text.get_text() in LOOP.split("\n")]
    assert len({text.get_position()[0] for text in left}) == 1
    heights = [text.get_position()[1] for text in left]
    assert heights == sorted(heights, reverse=True)


def test_the_longest_line_decides_the_size_of_the_letters():
    def size(line: str) -> float:
        figure = programs_seen([(line, "1.", "x", "y"), PROGRAMS[0]])
        require_inside(figure, 5 + len(PROGRAMS[0][2].split("\n")) + 1)
        return monospace(figure)[0].get_fontsize()

    assert size("print(1)") == 20
    assert 12 < size("print(" + "1+" * 20 + "1)") < 20
    assert size("print(" + "1+" * 22 + "1)") < size("print(" + "1+" * 20 + "1)")


def test_a_line_longer_than_the_box_goes_on_below():
    long = "print(" + "+".join(map(str, range(60))) + ")"
    figure = programs_seen([(long, "1770.", "x", "y"), PROGRAMS[0]])
    parts = [text.get_text() for text in monospace(figure)][:5]
    more = [part for part in parts if part.startswith("↪ ")]
    assert parts[0] + "".join(part[2:] for part in more) == long
    assert len(more) == 3
    assert {text.get_fontsize() for text in monospace(figure)} == {12}
    require_inside(figure, 4 + 1 + 4 + 3)
    require_readable(figure, 10)


def test_one_program_and_three():
    for count in (1, 3):
        figure = programs_seen([*PROGRAMS, PROGRAMS[0]][:count])
        assert len(boxes(figure)) == 2 * count
        require_readable(figure, 8)
    assert "    b" in words(programs_seen([("a\n\tb\n", "1.", "x", "y")]))


def test_a_long_answer_goes_on_below_as_well():
    digits = 13 * "1234567890"
    figure = programs_seen([(LOOP, digits + ".", "x", digits), *PROGRAMS])
    require_readable(figure, 20)
    across = figure.bbox.width
    parts = [text for text in monospace(figure) if text.get_fontweight() == "bold" and len(text.get_text()) > 10]
    with style():
        assert all(text.get_window_extent().x1 < across / 3 for text in parts)
    assert len(parts) > 4


@pytest.mark.parametrize(
    ("programs", "message"),
    [
        ([], "one to three programs, got 0"),
        (PROGRAMS * 2, "got 4"),
        ([PROGRAMS[0][:3]], r"programs\[0\] must be \(source, answer, scrambled source, scrambled answer\)"),
        (["abcd"], r"programs\[0\] must be"),
        ([(LOOP, 25011, "x", "y")], r"programs\[0\] must be text, got int"),
        ([PROGRAMS[0], (LOOP, " \n", "x", "y")], r"programs\[1\] holds an empty text"),
        ([(LOOP, "1.", "a\x07b", "y")], "cannot be printed: 'a.x07b'"),
    ],
)
def test_programs_seen_refuses_what_is_no_text(programs, message):
    with pytest.raises(ValueError, match=message):
        programs_seen(programs)


# --- curricula (Figs. 3, 4) ---


def test_mean_band_covers_every_seed_where_all_were_measured():
    seeds = [curve(0.1, 0.5, 0.9), numpy.array([[15, 0.2], [18, 0.8], [40, 0.6]]), curve(0.3, 0.4, 0.5, first=5)]
    found = mean_band(seeds)
    assert found[:, 0].tolist() == [15, 18, 20, 25]  # from where the last begins to where the first ends
    assert found[0] == pytest.approx([15, (0.3 + 0.2 + 0.4) / 3, 0.2, 0.4])
    for seed in seeds:
        drawn = numpy.interp(found[:, 0], seed[:, 0], seed[:, 1])
        assert (found[:, 2] <= drawn).all()
        assert (drawn <= found[:, 3]).all()
    assert (found[:, 2] <= found[:, 1]).all()
    assert (found[:, 1] <= found[:, 3]).all()


def test_curricula_draw_mean_band_and_chance():
    curves = learned()
    figure = curricula(curves, 0.12, "adding")
    (axes,) = figure.axes
    for name in MEANT:
        mean = line(axes, name)
        assert mean.get_color() == CURRICULA[name]
        assert mean.get_xdata() == pytest.approx(curves[name][0][:, 0])
        assert mean.get_ydata() == pytest.approx(numpy.mean([run[:, 1] for run in curves[name]], 0))
        outline = band(axes, name).get_paths()[0]
        heights = {x: (outline.vertices[outline.vertices[:, 0] == x, 1].min(), outline.vertices[outline.vertices[:, 0] == x, 1].max())
                   for x in curves[name][0][:, 0]}  # fmt: skip
        for run in curves[name]:
            for x, accuracy in run:
                assert heights[x][0] - 1e-12 <= accuracy <= heights[x][1] + 1e-12
        assert to_rgba(band(axes, name).get_facecolor()[0])[:3] == to_rgba(CURRICULA[name])[:3]
        assert f"{name}  {percent(mean.get_ydata()[-1])} %" in words(figure)
    chance = line(axes, "chance")
    assert (list(chance.get_ydata()), chance.get_linestyle()) == ([0.12, 0.12], ":")
    assert "chance  12 %" in words(figure)
    assert "mean of 3 seeds; band: worst to best" in words(figure)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "20", "40", "60", "80", "100"]
    assert axes.get_xlabel() == "thousands of training examples"


def test_names_of_close_curves_stay_beside_the_axes_in_their_order():
    figure = curricula({name: [curve(0.1, 1 - place / 1000)] for place, name in enumerate(MEANT)}, 0.12)
    (axes,) = figure.axes
    heights = [text.get_position() for text in axes.texts]
    places = {text.get_text().split("  ")[0]: text.xy[1] for text in axes.texts}
    assert len(heights) == 5
    assert [places[name] for name in MEANT] == sorted((places[name] for name in MEANT), reverse=True)
    assert places["baseline"] <= 1
    require_readable(figure, 10)


def test_one_seed_is_a_thin_line_without_a_band():
    (axes,) = curricula({"naive": [curve(0.1, 0.2)], "mix": learned()["mix"]}, 0.12).axes
    assert line(axes, "naive").get_linewidth() < line(axes, "mix").get_linewidth()
    assert [collection.get_label() for collection in axes.collections] == ["_mix"]
    assert axes.get_title(loc="left") == "mean of 1 to 3 seeds; band: worst to best"
    assert line(axes, "_lead").get_xdata()[0] == 20  # the shorter curve is led to its name
    assert "1 seed" in words(curricula({"naive": [curve(0.1, 0.2)]}, 0.12))


def test_whole_answers_have_a_panel_of_their_own():
    figure = curricula(learned(), 0.12, exact={"combined": [curve(0, 0.5), curve(0, 0.7)]})
    characters, answers = figure.axes
    assert line(answers, "combined").get_ydata() == pytest.approx([0, 0.6])
    assert characters.get_ylabel() == "target characters right (%)"
    assert answers.get_ylabel() == "whole answers right (%)"
    assert characters.get_ylim() == answers.get_ylim()
    assert not lines(answers, "chance")


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        ({}, "curves: no curve to draw"),
        ({"boring": [curve(0.1)]}, "no colour is fixed for 'boring'; there are baseline, naive, mix, combined"),
        ({"mix": []}, r"curves\['mix'\]: no seed"),
        ({"mix": [curve(0.1), numpy.ones((4, 3))]}, r"curves\['mix'\]\[1\] must be an array of numbers \(n, 2\), got the shape \(4, 3\)"),
        ({"mix": [curve(0.1, numpy.nan)]}, "NaN"),
        ({"mix": [curve(0.1, 50)]}, r"curves\['mix'\]\[0\] must lie between 0 and 1, got 0.1 … 50"),
        ({"mix": [curve(0.1, 0.2)[::-1]]}, "must not be negative, and grow"),
        ({"mix": [curve(0.1, 0.2, first=-5)]}, "must not be negative, and grow"),
        ({"mix": [curve(0.1), curve(0.1, first=20)]}, "share no stretch"),
        ({"mix": [curve(0.1, first=0)]}, "nothing behind the start"),
    ],
)
def test_curricula_refuse_bad_curves(curves, message):
    with pytest.raises(ValueError, match=message):
        curricula(curves, 0.12)
    with pytest.raises(ValueError, match=message.replace("curves", "exact")):
        curricula(learned(), 0.12, exact=curves)


@pytest.mark.parametrize(("chance", "message"), [(12, "chance must lie between 0 and 1"), (numpy.nan, "chance holds NaN")])
def test_chance_is_a_share(chance, message):
    with pytest.raises(ValueError, match=message):
        curricula(learned(), chance)
    with pytest.raises(ValueError, match=message):
        memorisation(remembered(), chance, (1, 20))


def test_levels_rise_through_the_lengths_of_each_nesting():
    figure = levels({"combined": [climbed(20)], "naive": [climbed()]}, until=150)
    (axes,) = figure.axes
    naive, combined = line(axes, "naive, 1 seed"), line(axes, "combined, 1 seed")
    for drawn, step in ((naive, 10), (combined, 20)):
        assert drawn.get_xdata().tolist() == [0, step, 2 * step, 3 * step, 4 * step, 5 * step, 150]
        assert numpy.round(drawn.get_ydata()).tolist() == [1, 2, 3, 4, 5, 6, 6]
        assert drawn.get_drawstyle() == "steps-post"
    assert numpy.ptp(naive.get_ydata() - combined.get_ydata()) == pytest.approx(0)
    assert 0 < naive.get_ydata()[0] - combined.get_ydata()[0] < 0.5  # a little apart
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1", "2", "3"] * 2
    assert [text.get_text() for text in axes.texts] == ["nesting 1", "nesting 2"]
    assert [text.xy[1] for text in axes.texts] == [2, 5]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["naive, 1 seed", "combined, 1 seed"]


def test_levels_without_nesting_and_of_many_lengths():
    figure = levels({"naive": [climbed(nestings=1)] * 2})
    assert not any(text.startswith("nesting") for text in words(figure))
    assert line(figure.axes[0], "naive, 2 seeds").get_xdata()[-1] == 20
    many = levels({"naive": [climbed(nestings=4, lengths=12)]})
    require_readable(many, 20)
    assert [label.get_text() for label in many.axes[0].get_yticklabels()] == ["1", "4", "7", "10"] * 4


@pytest.mark.parametrize(
    ("curves", "until", "message"),
    [
        ({"naive": [climbed()[:, :2]]}, None, r"curves\['naive'\]\[0\] must be an array of numbers \(n, 3\), got the shape \(6, 2\)"),
        ({"naive": [climbed() * [1, 0.5, 1]]}, None, "whole numbers from 1"),
        ({"naive": [climbed() * [1, 1, 0]]}, None, "whole numbers from 1"),
        ({"naive": [climbed()]}, 40, "until must lie behind the start and the last row, 50 thousand examples, got 40"),
        ({"naive": [climbed()[:1]]}, None, "until must lie behind the start"),
        ({}, None, "no curve"),
    ],
)
def test_levels_refuse_bad_curves(curves, until, message):
    with pytest.raises(ValueError, match=message):
        levels(curves, until=until)


# --- hardness (Figs. 5, 6) ---


def test_hardness_maps_write_the_percent_in_each_cell():
    figure = hardness_maps(BASELINE, COMBINED, [1, 2, 4], [1, 3])
    baseline, combined, difference = figure.axes
    said = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert said[0] == ["97", "62", "80", "45", "61", "40"]
    assert said[1] == ["99.8", "82", "91", "66", "79", "37"]
    assert said[2] == ["+3", "+20", "+11", "+21", "+18", "−3"]
    for axes, values in ((baseline, BASELINE), (combined, COMBINED), (difference, COMBINED - BASELINE)):
        assert numpy.asarray(axes.images[0].get_array()) == pytest.approx(values)
        assert [text.get_position() for text in axes.texts] == [(column, row) for row in range(3) for column in range(2)]
        assert axes.images[0].origin == "lower"
        assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "3"]
        assert axes.get_xlabel() == "nesting"
    assert [label.get_text() for label in baseline.get_yticklabels()] == ["1", "2", "4"]
    assert baseline.images[0].get_clim() == combined.images[0].get_clim() == (0, 1)
    assert difference.images[0].get_clim() == (-0.3, 0.3)


def test_numbers_stand_out_from_their_cells():
    def luminance(colour) -> float:
        channels = numpy.array(to_rgba(colour)[:3])
        return float(numpy.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722))

    shades = numpy.linspace(0, 1, 64).reshape(8, 8)
    for axes in hardness_maps(shades, shades[::-1, ::-1], range(1, 9), range(1, 9)).axes:
        image = axes.images[0]
        for text, value in zip(axes.texts, numpy.asarray(image.get_array()).ravel(), strict=True):
            light, dark = sorted((luminance(text.get_color()), luminance(image.cmap(image.norm(value)))), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_no_difference_is_zero_without_a_sign():
    assert [text.get_text() for text in hardness_maps(BASELINE, BASELINE + 1e-5, [1, 2, 3], [1, 2]).axes[2].texts] == ["0"] * 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"combined": COMBINED.T}, r"combined must be .* with L = 3 \(as in baseline\), got the shape \(2, 3\)"),
        ({"lengths": [1, 2]}, r"lengths must be .* with L = 3"),
        ({"nestings": [1, 2, 3]}, r"nestings must be .* with N = 2"),
        ({"nestings": [2, 1]}, "nestings must be whole numbers from 1 that grow"),
        ({"lengths": [0, 1, 2]}, "lengths must be whole numbers"),
        ({"lengths": [1, 1.5, 2]}, "lengths must be whole numbers"),
        ({"baseline": 100 * BASELINE}, "baseline must lie between 0 and 1"),
        ({"baseline": numpy.where(BASELINE > 0.9, numpy.nan, BASELINE)}, "baseline holds NaN"),
    ],
)
def test_hardness_maps_refuse_bad_tables(change, message):
    with pytest.raises(ValueError, match=message):
        hardness_maps(**{"baseline": BASELINE, "combined": COMBINED, "lengths": [1, 2, 3], "nestings": [1, 2]} | change)


# --- memorisation (Figs. 7, 8) ---


def test_memorisation_draws_a_curve_a_form():
    curves = remembered()
    figure = memorisation(curves, 0.1, (1, 20))
    (axes,) = figure.axes
    for form, seeds in curves.items():
        mean = line(axes, form)
        assert mean.get_xdata().tolist() == [2, 5, 10, 20, 30]
        assert mean.get_ydata() == pytest.approx((seeds[0][1] + seeds[1][1]) / 2)
        assert (mean.get_color(), mean.get_marker()) == (FORMS[form], "o")
        heights = band(axes, form).get_paths()[0].vertices
        assert heights[:, 1].min() == pytest.approx(min(seed[1].min() for seed in seeds))
        assert heights[:, 1].max() == pytest.approx(max(seed[1].max() for seed in seeds))
    (shade,) = [patch for patch in axes.patches if patch.get_label() == "trained"]
    assert (shade.get_x(), shade.get_width()) == (1, 19)
    assert {"trained on 1 to 20 digits", "chance  10 %", "mean of 2 seeds; band: worst to best"} <= set(words(figure))


@pytest.mark.parametrize(
    ("curves", "trained", "message"),
    [
        ({"reversed": remembered()["plain"]}, (1, 20), "no colour is fixed for 'reversed'; there are plain, inverted, doubled, doubled"),
        ({"plain": [([1, 2], [0.5])]}, (1, 20), r"accuracies must be .* with N = 2 \(as in lengths\)"),
        ({"plain": [[0.5, 0.6, 0.7]]}, (1, 20), r"curves\['plain'\]\[0\] must be \(lengths, accuracies\)"),
        ({"plain": [([2, 1], [0.5, 0.6])]}, (1, 20), "must not be negative, and grow"),
        ({"plain": [([1, 2], [0.5, 60])]}, (1, 20), "must lie between 0 and 1"),
        (remembered(), (20, 1), "trained must be .* got"),
    ],
)
def test_memorisation_refuses_bad_curves(curves, trained, message):
    with pytest.raises(ValueError, match=message):
        memorisation(curves, 0.1, trained)


# --- answers ---


def marks(axes) -> list:
    """Rings (place, row, colour) of the characters chosen."""
    return [(*map(float, ring.get_xydata()[0]), ring.get_markeredgecolor()) for ring in lines(axes, "chosen")]


def test_answer_probabilities_draw_what_was_chosen_and_what_was_right():
    probabilities = told("25311.")
    figure = answer_probabilities(ALPHABET, probabilities, "25011.", "25311.", LOOP)
    axes = figure.axes[0] if figure.axes[0].images else next(axes for axes in figure.axes if axes.images)
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["others", ".", "-", *"0123456789"]
    shown = numpy.asarray(axes.images[0].get_array())
    assert shown[1:] == pytest.approx(probabilities[:, [ALPHABET.index(name) for name in names[1:]]].T)
    assert shown.sum(0) == pytest.approx(1)
    assert axes.images[0].get_clim() == (0, 1)
    rows = [names.index(letter) for letter in "25311."]
    assert marks(axes) == [(place + 1, row, WRONG if place == 2 else RIGHT) for place, row in enumerate(rows)]
    (frame,) = [patch for patch in axes.patches if patch.get_label() == "right"]
    assert (frame.get_x(), frame.get_y() + 0.5) == (2.5, names.index("0"))
    said = [text.get_text() for text in axes.texts]
    assert [text for text in said if text in "25311."] == list("25311.")
    assert said.count("90") == 6
    assert "0.2" in said  # the right character's, in its frame
    assert {"25011.", "25311.", *LOOP.split("\n"), "chosen, wrong"} <= set(words(figure))


def test_an_unknown_answer_marks_nothing_right():
    figure = answer_probabilities(list(ALPHABET), told("-7."), None, "-7.", CHOICE)
    axes = next(axes for axes in figure.axes if axes.images)
    assert [colour for *_, colour in marks(axes)] == [UNKNOWN] * 3
    assert not [patch for patch in axes.patches if patch.get_label() == "right"]
    assert "right answer" not in words(figure)


@pytest.mark.parametrize(("answer", "wrong"), [("17.", 2), ("7", 1), ("7.", 0), ("7.1", 0)])
def test_answers_of_another_length_are_compared_place_by_place(answer, wrong):
    figure = answer_probabilities(ALPHABET, told("7."), answer, "7.", "print(7)")
    axes = next(axes for axes in figure.axes if axes.images)
    assert [colour for *_, colour in marks(axes)].count(WRONG) == wrong
    (said,) = [text for text in figure.texts if text.get_text() == "7." and text.get_color() != "#000000"]
    assert said.get_color() == (RIGHT if answer == "7." else WRONG)
    require_readable(figure, 10)


def test_others_are_drawn_only_where_they_matter_and_a_chosen_one_by_name():
    digits = "0123456789-. "
    sure = numpy.eye(len(digits))[[digits.index(letter) for letter in "1 ."]]
    figure = answer_probabilities(digits, sure, "12.", "1 .", "$x$=12\nprint(x)")
    axes = next(axes for axes in figure.axes if axes.images)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["␣", ".", "-", *"0123456789"]
    assert "1␣." in words(figure)
    assert "$x$=12" in words(figure)


def test_a_long_answer_and_a_long_program_still_fit():
    predicted, answer = "123456789012345678901234", "123456789012345678901235"
    program = "\n".join(f"v={number}" for number in range(15))
    figure = answer_probabilities(ALPHABET, told(predicted, 1.0), answer, predicted, program)
    require_readable(figure, 60)
    require_inside(figure, 15)
    axes = next(axes for axes in figure.axes if axes.images)
    assert [text.get_text() for text in axes.texts].count("100") == 24
    require_readable(answer_probabilities(ALPHABET, told(predicted, 0.998), answer, predicted, program), 60)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probabilities": told("25311.")[:5]}, r"probabilities must be an array of numbers \(6, 50\), got the shape \(5, 50\)"),
        ({"alphabet": ALPHABET[:-1]}, r"\(6, 49\), got the shape \(6, 50\)"),
        ({"alphabet": ALPHABET[:-1] + "0"}, "different single characters"),
        ({"alphabet": ["ab", "c"]}, "different single characters"),
        ({"probabilities": 2 * told("25311.")}, "not logits"),
        ({"probabilities": told("25311.") / 2}, "must add up to 1, got 0.5 … 0.5"),
        ({"answer": "25 €"}, "answer must be made of characters of the alphabet, got '25 €'"),
        ({"answer": ""}, "answer must be made of"),
        ({"predicted": "2531!."}, "predicted must be made of"),
        ({"predicted": 25 * "1", "probabilities": told(25 * "1")}, "25 characters; 24 places"),
        ({"program": ""}, "program holds an empty text"),
        ({"program": "a=1\n" * 40}, "program takes 40 lines"),
    ],
)
def test_answer_probabilities_refuse_bad_data(change, message):
    given = {"alphabet": ALPHABET, "probabilities": told("25311."), "answer": "25011.", "predicted": "25311.", "program": LOOP}
    with pytest.raises(ValueError, match=message):
        answer_probabilities(**given | change)
