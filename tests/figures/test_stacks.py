"""What the figures of the stack-augmented network draw: shares, tables of actions and tops, the chosen seeds; and what they refuse."""

from __future__ import annotations

import itertools
import subprocess
import sys

import matplotlib
import matplotlib._pylab_helpers
import matplotlib.text
import numpy
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from test_figures import require_readable

from tinymem.figures import save
from tinymem.figures.stack_traces import ACTIONS, tint
from tinymem.figures.stacks import accuracy_by_length, seed_search, solved_table, stack_depth, stack_tops, trace_table
from tinymem.figures.style import GREEN, GREY, PALE, SKY, SYSTEMS, VERMILLION, colour_of, line_of

TITLES = {
    "anbn": "$a^n b^n$",
    "anbncn": "$a^n b^n c^n$",
    "anbncndn": "$a^n b^n c^n d^n$",
    "anb2n": "$a^n b^{2n}$",
    "anbmcnm": "$a^n b^m c^{n+m}$",
}
STACKED = ("RNN", "LSTM", "List RNN", "List RNN + rounding", "Stack RNN", "Stack RNN + rounding")
N = numpy.arange(2, 60)


def falling(middle: float) -> tuple[numpy.ndarray, numpy.ndarray]:
    return N, 1 / (1 + numpy.exp((N - middle) / 2))


CURVES = {task: {system: falling(9.0 + 10 * place) for place, system in enumerate(STACKED)} for task in TITLES}
OURS = {system: dict.fromkeys(TITLES, 0.123 + 0.1 * place) for place, system in enumerate(STACKED)} | {
    "Stack RNN": {"anbn": 1.0, "anbncn": 0.9996, "anbncndn": 0.0001, "anb2n": None, "anbmcnm": 0.0}
}
PAPER = {"RNN": {"anbn": 0.25, "anbncn": 0.233}, "Stack RNN": dict.fromkeys(TITLES, 1.0)}
RUNS = {
    "anbn": (numpy.array([0.5, 0.0003, 0.2, 0.02]), numpy.array([0.1, 0.75, 1.0, 1.0])),
    "anbncn": (numpy.array([0.5, 0.3, 0.2, 0.2]), numpy.array([0.1, 0.2, 1.0, 0.3])),
}


def one_hot(choices: list, actions: int, probability: float = 0.8) -> numpy.ndarray:
    """Probabilities (…, A): the chosen action has this one, the others share the rest."""
    rest = (1 - probability) / (actions - 1)
    return rest + (probability - rest) * numpy.eye(actions)[choices]


def trace() -> dict:
    """a a b b b b, two stacks: the first pushes on a, pops on b and then rests; the prediction at step 3 is wrong."""
    actions = one_hot([[0, 0], [0, 0], [1, 0], [1, 0], [2, 1], [2, 1]], 3)
    tops = numpy.array([[0.93, 0.5], [0.94, 0.25], [0.95, -0.5], [-1, 0.75], [-1, 0.005], [-0.9999, -0.001]])[:, :, None]
    return {"characters": "aabbbb", "following": "abbbba", "predicted": list("bababa"), "probability": [0.4, 0.5, 0.97, 0.31, 0.98, 1.0],
            "certain": [False, False, True, True, True, True], "actions": actions, "tops": tops}  # fmt: skip


def addition() -> dict:
    steps, stacks = 10, 4
    rng = numpy.random.default_rng(0)
    return {"characters": "101+1=011.", "actions": rng.dirichlet(numpy.ones(3), (steps, stacks)),
            "tops": rng.integers(-1, 2, (steps, stacks)).astype(float), "answers": numpy.arange(steps) > 5,
            "meanings": ["the first number", "the second number", "the carry", "when to stop"]}  # fmt: skip


def counter(n: int = 6) -> dict:
    """A stack that holds as many entries as a's are open."""
    counts = [*range(1, n + 1), *range(n - 1, -1, -1)]
    contents = numpy.where(numpy.arange(2 * n + 5) < numpy.array(counts)[:, None], 0.9, -1.0)
    return {"contents": contents, "characters": "a" * n + "b" * n, "actions": one_hot([0] * n + [1] * n, 2, 0.95)}


DRAWINGS = {
    "accuracy_by_length": lambda: accuracy_by_length(CURVES, (2, 19), titles=TITLES),
    "accuracy of one task": lambda: accuracy_by_length(
        {"addition": {"Stack RNN": falling(40)}}, (2, 19), seeds={"addition": {"Stack RNN": [falling(20), falling(50)]}}
    ),
    "accuracy of four tasks": lambda: accuracy_by_length({task: CURVES[task] for task in list(TITLES)[:4]}, (2, 19)),
    "accuracy of every seed": lambda: accuracy_by_length(
        {system: {system: falling(40)} for system in STACKED[2:]}, (2, 15), seeds={s: {s: [falling(20), falling(50)]} for s in STACKED[2:]}
    ),
    "accuracy of six systems": lambda: accuracy_by_length({"words": {system: falling(40) for system in STACKED}}, (2, 15)),
    "seed_search": lambda: seed_search(RUNS, titles=TITLES),
    "seed_search of six systems": lambda: seed_search(dict.fromkeys(STACKED, RUNS["anbn"])),
    "seed_search over decades": lambda: seed_search(
        {task: (numpy.geomspace(10.0**-lowest, 1, 10), numpy.linspace(1, 0, 10)) for lowest, task in enumerate(TITLES, 4)}, titles=TITLES
    ),
    "solved_table": lambda: solved_table(OURS, PAPER, titles=TITLES),
    "stack_depth": lambda: stack_depth(**counter()),
    "stack_depth, long": lambda: stack_depth(**counter(60)),
    "stack_tops": lambda: stack_tops(**addition()),
    "trace_table": lambda: trace_table(**trace()),
}


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


def cells(figure: Figure, name: str) -> list[Rectangle]:
    """The cells of this name, from the top down and from left to right."""
    found = [patch for patch in figure.axes[0].patches if patch.get_label() == name]
    return sorted(found, key=lambda patch: (patch.get_y(), patch.get_x()))


def text_in(figure: Figure, cell: Rectangle) -> list[str]:
    """What stands in a cell, from the top down."""
    axes = figure.axes[0]
    found = [text for text in axes.texts if cell.get_bbox().contains(*text.get_position())]
    return [text.get_text() for text in sorted(found, key=lambda text: text.get_position()[1])]


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_text_is_clipped_or_small_or_lies_on_another(name):
    require_readable(DRAWINGS[name](), 10)


@pytest.mark.parametrize("name", DRAWINGS)
def test_equal_data_give_equal_bytes(name, tmp_path):
    first, second = save(DRAWINGS[name](), tmp_path / "one", "drawn"), save(DRAWINGS[name](), tmp_path / "two", "drawn")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_drawing_leaves_no_state_behind():
    before = dict(matplotlib.rcParams)
    for draw in DRAWINGS.values():
        draw()
    assert matplotlib._pylab_helpers.Gcf.figs == {}
    assert dict(matplotlib.rcParams) == before
    code = "import sys, tinymem.figures.stacks; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_system_has_its_own_colour_and_rounding_its_dashes():
    assert len({*SYSTEMS.values()}) == len(SYSTEMS)
    assert {system for system in SYSTEMS if line_of(system) != "solid"} == {"List RNN + rounding", "Stack RNN + rounding"}
    for system in ("List RNN", "Stack RNN"):  # the tone with rounding is darker, to be seen on the one without
        assert sum(to_rgb(colour_of(f"{system} + rounding"))) < sum(to_rgb(colour_of(system)))
    with pytest.raises(ValueError, match="no colour is fixed for the system 'GRU'"):
        line_of("GRU")


def test_a_tint_lies_between_white_and_the_colour():
    assert tint(GREEN, 1.0) == pytest.approx(to_rgb(GREEN))
    assert tint(GREEN, 0.0) == (1, 1, 1)
    assert tint("#000000", 0.25) == (0.75, 0.75, 0.75)


# --- Fig. 2 ---


def test_accuracy_has_a_panel_a_task_and_a_line_a_system():
    figure = accuracy_by_length(
        CURVES, {task: (2, 10 + place) for place, task in enumerate(TITLES)}, "right", titles=TITLES, label="length"
    )
    *panels, key = figure.axes
    assert [axes.get_title(loc="left") for axes in panels] == list(TITLES.values())
    for place, (axes, task) in enumerate(zip(panels, TITLES, strict=True)):
        assert {line.get_label() for line in axes.lines} == {*STACKED}
        for line in axes.lines:
            n, share = CURVES[task][line.get_label()]
            assert list(line.get_xdata()) == list(n)
            assert list(line.get_ydata()) == list(share)
            assert line.get_color() == SYSTEMS[line.get_label()]
            assert line.is_dashed() == line.get_label().endswith("rounding")
        widths = [line.get_linewidth() for line in axes.lines]
        assert all(below > above for below, above in itertools.pairwise(widths))  # what coincides stays visible
        (shade,) = axes.patches
        assert (shade.get_x(), shade.get_width()) == (2, 8 + place)
        assert axes.get_ylim()[0] < 0 < 1 < axes.get_ylim()[1]
    assert [text.get_text() for text in key.get_legend().get_texts()] == [system for system in SYSTEMS if system in STACKED]
    assert {"0 %", "50 %", "100 %"} <= {label.get_text() for label in panels[0].get_yticklabels()}
    assert [axes.get_xlabel() for axes in panels] == ["", "", "length", "length", "length"]  # where nothing lies below


def test_accuracy_draws_the_other_seeds_thin_below_the_chosen_one():
    (axes,) = DRAWINGS["accuracy of one task"]().axes
    *others, chosen = sorted(axes.lines, key=lambda line: line.get_zorder())
    assert chosen.get_label() == "Stack RNN"
    assert list(chosen.get_ydata()) == list(falling(40)[1])
    assert [list(line.get_ydata()) for line in others] == [list(falling(20)[1]), list(falling(50)[1])]
    assert all(line.get_linewidth() < chosen.get_linewidth() / 2 and line.get_color() == chosen.get_color() for line in others)
    (legend,) = axes.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["Stack RNN, the chosen seed", "thin: each seed"]


@pytest.mark.parametrize(
    ("curves", "more", "message"),
    [
        ({}, {}, "no task"),
        ({"a": {}}, {}, r"curves\['a'\]: no system"),
        ({"a": {"GRU": falling(9)}}, {}, "no colour is fixed for the system 'GRU'"),
        ({"a": {"RNN": (N, N[1:] / 99)}}, {}, r"share of curves\['a'\]\['RNN'\] must be .* with N = 58"),
        ({"a": {"RNN": (N, 100 * falling(9)[1])}}, {}, r"share of curves\['a'\]\['RNN'\] must lie between 0 and 1"),
        ({"a": {"RNN": (N[::-1], falling(9)[1])}}, {}, r"n of curves\['a'\]\['RNN'\] must grow"),
        ({"a": {"RNN": N}}, {}, r"curves\['a'\]\['RNN'\] must be a pair \(n, share\), got ndarray"),
        ({"a": {"RNN": falling(9)}}, {"trained": (19, 2)}, "the first and the last n of the training, got 19 and 2"),
        ({"a": {"RNN": falling(9)}}, {"trained": {"b": (2, 19)}}, "trained lacks a"),
        ({"a": {"RNN": falling(9)}}, {"seeds": {"b": {}}}, "seeds of tasks without a curve: b"),
        ({"a": {"RNN": falling(9)}}, {"seeds": {"a": {"RNN": [(N, N)]}}}, r"share of seeds\['a'\]\['RNN'\] must lie"),
    ],
)
def test_accuracy_refuses_bad_curves(curves, more, message):
    with pytest.raises(ValueError, match=message):
        accuracy_by_length(curves, **{"trained": (2, 19)} | more)


# --- Table 2 ---


def test_the_table_tells_our_share_large_and_the_papers_small():
    figure = DRAWINGS["solved_table"]()
    expected = {
        ("RNN", "anbn"): ("12.3 %", "paper: 25 %"),
        ("RNN", "anbncn"): ("12.3 %", "paper: 23.3 %"),
        ("RNN", "anb2n"): ("12.3 %", "paper: –"),
        ("LSTM", "anbn"): ("22.3 %", "paper: –"),
        ("Stack RNN", "anbn"): ("100 %", "paper: 100 %"),
        ("Stack RNN", "anbncn"): ("99.9 %", "paper: 100 %"),  # not all of them
        ("Stack RNN", "anbncndn"): ("0.1 %", "paper: 100 %"),  # not none
        ("Stack RNN", "anb2n"): ("–", "paper: 100 %"),
        ("Stack RNN", "anbmcnm"): ("0 %", "paper: 100 %"),
    }
    for (system, task), said in expected.items():
        (cell,) = cells(figure, f"{system}, {task}")
        assert tuple(text_in(figure, cell)) == said
        share = OURS[system][task]
        assert cell.get_facecolor()[:3] == pytest.approx(to_rgb(PALE) if share is None else tint(SKY, share))
    large, small = ([text for text in figure.axes[0].texts if text.get_text() == said] for said in ("12.3 %", "paper: 25 %"))
    assert large[0].get_fontsize() > small[0].get_fontsize()


def test_the_table_has_a_row_a_system_and_a_column_a_task():
    figure = solved_table({"RNN": {"one": 0.5, "two": 0.25}}, {"LSTM": {"two": 1.0}})
    left, right = (cells(figure, f"RNN, {task}")[0] for task in ("one", "two"))
    assert left.get_y() == right.get_y()
    assert left.get_x() < right.get_x()
    (below,) = cells(figure, "LSTM, two")
    assert below.get_x() == right.get_x()
    assert below.get_y() > right.get_y()
    assert text_in(figure, below) == ["–", "paper: 100 %"]


@pytest.mark.parametrize(
    ("ours", "paper", "message"),
    [
        ({}, {}, "no system, or no task"),
        ({"RNN": {}}, {}, "no system, or no task"),
        ({"RNN": {"a": 25.0}}, {}, r"ours\['RNN'\]\['a'\] must lie between 0 and 1, got 25"),
        ({"RNN": {"a": 0.25}}, {"RNN": {"a": -1.0}}, r"paper\['RNN'\]\['a'\] must lie between 0 and 1"),
        ({"RNN": {"a": numpy.nan}}, {}, "NaN"),
        ({"RNN": {"a": 0.25}}, {"RNN": {"b": 0.1}}, "paper has tasks that ours lacks: b"),
        ({"RNN": dict.fromkeys("abcdefghijkl", 0.5)}, {}, "12 tasks are too many"),
    ],
)
def test_the_table_refuses_bad_shares(ours, paper, message):
    with pytest.raises(ValueError, match=message):
        solved_table(ours, paper)


# --- Table 3 ---


def test_the_trace_has_a_coloured_word_for_each_action():
    given = trace()
    figure = trace_table(**given)
    for name, stack, steps in (
        ("PUSH", 0, [0, 1]), ("POP", 0, [2, 3]), ("NO-OP", 0, [4, 5]), ("PUSH", 1, [0, 1, 2, 3]), ("POP", 1, [4, 5]),
    ):  # fmt: skip
        edges = sorted({round(cell.get_x(), 6) for action in ACTIONS for cell in cells(figure, action)})
        assert len(edges) == 2  # one column a stack
        drawn = [cell for cell in cells(figure, name) if round(cell.get_x(), 6) == edges[stack]]
        assert len(drawn) == len(steps)
        for cell in drawn:
            assert text_in(figure, cell) == [name]
            assert cell.get_facecolor()[:3] == pytest.approx(tint(ACTIONS[name], 0.8))
    assert (ACTIONS["PUSH"], ACTIONS["POP"]) == (GREEN, VERMILLION)


def test_the_trace_tells_characters_probabilities_and_tops():
    figure = trace_table(**trace())
    said = words(figure)
    for number in ("0.40", "0.50", "0.97", "0.31", "0.98", "1.00", "0.93", "−0.50", "0.75"):
        assert number in said
    assert said.count("−1") == 3  # with -0.9999
    assert "0.00" in said  # -0.001 without a minus
    assert said.count("stack 1") == said.count("stack 2") == 1
    assert "bold: the next character is determined" in " ".join(said)
    texts = [text for text in figure.axes[0].texts if text.get_family() == ["monospace"]]
    rows = sorted({round(text.get_position()[1], 3) for text in texts})
    read = [sorted((t for t in texts if round(t.get_position()[1], 3) == row), key=lambda t: t.get_position()[0]) for row in rows]
    given = trace()
    assert ["".join(text.get_text() for text in row) for row in read] == [
        "".join(row) for row in zip(given["characters"], given["following"], given["predicted"], strict=True)
    ]
    assert [row[1].get_fontweight() == "bold" for row in read] == given["certain"]
    # step 0 cannot be known, step 2 is right, step 3 is wrong
    assert [read[step][2].get_color() for step in (0, 1, 2, 3, 4, 5)] == [GREY, GREY, "black", VERMILLION, "black", "black"]
    crosses = [text.get_position()[1] for text in figure.axes[0].texts if text.get_text() == "✗"]
    assert crosses == [pytest.approx(read[3][2].get_position()[1])]


def test_the_trace_draws_probability_as_a_bar():
    bars = cells(trace_table(**trace()), "p(next)")
    widths = numpy.array([bar.get_width() for bar in bars])
    assert widths / widths[-1] == pytest.approx(numpy.array(trace()["probability"]))


def test_the_trace_with_two_actions_and_two_values_of_each_stack():
    given = trace() | {"actions": one_hot([[1, 0]] * 6, 2, 0.6), "tops": numpy.repeat(trace()["tops"], 2, axis=2)}
    figure = trace_table(**given)
    assert "NO-OP" not in words(figure)
    assert words(figure).count("top 2") == 2
    assert [text_in(figure, cell) for cell in cells(figure, "POP")] == [["POP"]] * 6
    swapped = trace_table(**given, names=("POP", "PUSH"))
    assert cells(swapped, "PUSH")[0].get_x() == cells(figure, "POP")[0].get_x()
    require_readable(figure, 50)


def test_the_stacks_of_a_trace_may_be_called_by_their_names():
    said = words(trace_table(**trace(), labels=("stack 4", "stack 9")))
    assert said.count("stack 4") == said.count("stack 9") == 1
    assert "stack 1" not in said
    with pytest.raises(ValueError, match="labels must be 2 texts, one a stack, got 1"):
        trace_table(**trace(), labels=("stack 4",))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tops": numpy.zeros((5, 2, 1))}, r"tops must be .* with T = 6 \(as in actions\), got the shape \(5, 2, 1\)"),
        ({"tops": numpy.zeros((6, 3, 1))}, "tops must be .* with K = 2"),
        ({"tops": numpy.zeros((6, 2))}, r"tops must be an array of numbers \(T, K, k\), got the shape \(6, 2\)"),
        ({"actions": numpy.zeros((6, 2))}, r"actions must be an array of numbers \(T, K, A\)"),
        ({"actions": numpy.full((6, 2, 4), 0.25)}, "actions must have one probability for each of PUSH, POP, NO-OP"),
        ({"actions": numpy.full((6, 2, 3), 0.5)}, "must sum to 1, got 1.5 … 1.5"),
        ({"actions": numpy.full((6, 2, 3), -2.0)}, "actions must lie between 0 and 1"),
        ({"names": ("PUSH", "LEFT", "POP")}, "names must be different actions out of PUSH, POP, NO-OP, got PUSH, LEFT, POP"),
        ({"names": ("PUSH", "PUSH", "POP")}, "names must be different"),
        ({"names": ("PUSH", "POP")}, "one probability for each of PUSH, POP, got"),
        ({"probability": numpy.zeros(7)}, "probability must be .* with T = 6"),
        ({"probability": numpy.full(6, 1.5)}, "probability must lie between 0 and 1"),
        ({"certain": [True] * 5}, r"certain must be an array of numbers \(6,\), got the shape \(5,\)"),
        ({"certain": [0, 0, 0, 0, 0, 2]}, "certain must be true or false"),
        ({"predicted": "babab"}, "predicted must be 6 texts, one a time step, got 5 of str"),
        ({"following": [1, 2, 3, 4, 5, 6]}, "following must be 6 texts"),
        ({"actions": numpy.full((6, 9, 2), 0.5), "tops": numpy.zeros((6, 9, 1))}, "9 stacks with 1 values each are too many"),
    ],
)
def test_the_trace_refuses_bad_input(change, message):
    with pytest.raises(ValueError, match=message):
        trace_table(**trace() | change)


def test_a_dollar_is_a_character():
    figure = trace_table(**trace() | {"characters": "$a$bbb"})
    require_readable(figure, 50)
    assert words(figure).count("$") == 2


# --- Fig. 3 ---


def test_the_tops_have_a_column_a_character_and_a_row_a_stack():
    given = addition()
    figure = stack_tops(**given)
    drawn = sorted((cell for name in ACTIONS for cell in cells(figure, name)), key=lambda cell: (cell.get_y(), cell.get_x()))
    assert len(drawn) == 40
    for place, cell in enumerate(drawn):
        stack, step = divmod(place, 10)
        likeliest = given["actions"][step, stack].argmax()
        assert cell.get_label() == ("PUSH", "POP", "NO-OP")[likeliest]
        colour = (GREEN, VERMILLION, ACTIONS["NO-OP"])[likeliest]
        assert cell.get_facecolor()[:3] == pytest.approx(tint(colour, given["actions"][step, stack, likeliest]))
        assert text_in(figure, cell) == [{-1.0: "−1", 0.0: "0.00", 1.0: "1.00"}[given["tops"][step, stack]]]
    said = words(figure)
    for text in ("stack 1", "stack 4", *given["meanings"]):
        assert text in said
    above = [text for text in figure.axes[0].texts if text.get_family() == ["monospace"]]
    assert "".join(text.get_text() for text in above) == given["characters"]
    assert [text.get_fontweight() == "bold" for text in above] == list(given["answers"])
    assert len(figure.axes[0].lines) == given["answers"].sum()  # the underlines
    assert "underlined: to be predicted" in " ".join(said)


def test_ten_stacks_and_a_long_addition_fit_with_one_digit():
    actions, tops = numpy.full((24, 10, 2), 0.5), numpy.full((24, 10), -0.97)
    figure = stack_tops("11010010+1101=10111011..."[:24], actions, tops)
    require_readable(figure, 200)
    assert words(figure).count("−1.0") == 240
    assert not figure.axes[0].lines
    assert "underlined" not in " ".join(words(figure))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tops": numpy.zeros((10, 3))}, r"tops must be an array of numbers \(T, K\) with K = 4 \(as in actions\)"),
        ({"tops": numpy.zeros((10, 4, 1))}, r"tops must be an array of numbers \(T, K\), got the shape"),
        ({"answers": [True]}, r"answers must be an array of numbers \(10,\)"),
        ({"meanings": ["one"]}, "meanings must be 4 texts, one a stack, got 1"),
        ({"meanings": ["one", "two", "three", "so much to say " * 8]}, "10 characters are too many for a slide with these meanings"),
        ({"characters": "101+1=01"}, "characters must be 10 texts"),
    ],
)
def test_the_tops_refuse_bad_input(change, message):
    with pytest.raises(ValueError, match=message):
        stack_tops(**addition() | change)


def test_too_many_characters_are_refused():
    with pytest.raises(ValueError, match=r"50 characters are too many for a slide$"):
        stack_tops("1" * 50, numpy.full((50, 2, 2), 0.5), numpy.zeros((50, 2)))


# --- the search over seeds ---


def test_the_best_on_validation_is_ringed_whatever_the_test_says():
    figure = DRAWINGS["seed_search"]()
    for axes, (name, (validation, solved)), chosen, scale, successes in zip(
        figure.axes, RUNS.items(), (1, 2), ("log", "linear"), (2, 1), strict=True
    ):
        seeds, ring = axes.lines
        assert seeds.get_xdata() == pytest.approx(validation)
        assert seeds.get_ydata() == pytest.approx(solved)
        assert ring.get_xydata().tolist() == [[validation[chosen], solved[chosen]]]
        assert ring.get_markersize() > seeds.get_markersize()
        assert ring.get_color() == "none"  # the seed stays visible
        assert axes.get_xscale() == scale
        assert axes.get_title(loc="left") == TITLES[name]
        assert axes.get_title(loc="right") == f"{successes} of 4 succeed"
        assert axes.get_xlabel() == "validation loss"


def test_the_highest_may_be_best_and_less_than_all_a_success():
    figure = seed_search({"sums": RUNS["anbn"]}, lower_is_better=False, success=0.7, measure="accuracy on validation", shown="sums right")
    (axes,) = figure.axes
    assert axes.lines[1].get_xydata().tolist() == [[0.5, 0.1]]
    assert axes.get_title(loc="right") == "3 of 4 succeed"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("accuracy on validation", "sums right")
    require_readable(figure, 10)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({}, "no run"),
        ({"a": ([0.1, 0.2], [1.0])}, r"solved of a must be .* with S = 2 \(as in validation of a\)"),
        ({"a": ([0.1, numpy.inf], [1.0, 1.0])}, "validation of a holds NaN or infinity"),
        ({"a": ([0.1, 0.2], [100.0, 50.0])}, "solved of a must lie between 0 and 1"),
        ({"a": ([], [])}, "empty shape"),
    ],
)
def test_the_search_refuses_bad_runs(runs, message):
    with pytest.raises(ValueError, match=message):
        seed_search(runs)


# --- the whole stack ---


def test_the_depth_shows_the_stack_as_a_counter():
    given = counter()
    figure = stack_depth(**given)
    above, below, _ = figure.axes
    image = numpy.asarray(below.images[0].get_array())
    assert image == pytest.approx(given["contents"][:, :7].T)  # 6 are used, one more is shown
    assert below.images[0].get_clim() == (-1, 1)
    assert below.images[0].cmap(below.images[0].norm(-1.0)) == (1, 1, 1, 1)
    assert below.images[0].origin == "lower"
    assert [label.get_text() for label in below.get_xticklabels()] == list(given["characters"])
    for name, index in (("PUSH", 0), ("POP", 1)):
        (line,) = (line for line in above.lines if line.get_label() == name)
        assert list(line.get_ydata()) == list(given["actions"][:, index])
        assert line.get_color() == ACTIONS[name]
    assert above.get_xlim() == below.get_xlim()
    box, other = above.get_position(), below.get_position()
    assert (box.x0, box.x1) == pytest.approx((other.x0, other.x1))  # one time axis
    assert "−1 empty" in words(figure)


def test_long_runs_of_a_character_are_counted_where_letters_do_not_fit():
    figure = stack_depth(**counter(60))
    below = figure.axes[1]
    assert [label.get_text() for label in below.get_xticklabels(minor=True)] == ["a×60", "b×60"]
    assert list(below.get_xticks(minor=True)) == [29.5, 89.5]
    assert list(below.get_xticks()) == [59.5]
    short = stack_depth(**counter(60) | {"characters": "a" * 59 + "ba" + "b" * 59})
    assert [label.get_text() for label in short.axes[1].get_xticklabels(minor=True)] == ["a×59", "b×59"]
    require_readable(short, 10)


def test_the_depth_drawn_may_be_chosen_and_actions_be_three():
    given = counter() | {"actions": one_hot([0] * 6 + [2] * 6, 3)}
    figure = stack_depth(**given, deepest=3)
    assert figure.axes[1].images[0].get_array().shape == (3, 12)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["PUSH", "POP", "NO-OP"]
    empty = stack_depth(**counter() | {"contents": numpy.full((12, 9), -1.0)})
    assert empty.axes[1].images[0].get_array().shape == (2, 12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contents": numpy.zeros((11, 9))}, r"contents must be .* with T = 12 \(as in actions\)"),
        ({"contents": numpy.full((12, 9), 2.0)}, "contents must lie between -1"),
        ({"actions": numpy.full((12, 2, 2), 0.5)}, r"actions must be an array of numbers \(T, A\)"),
        ({"characters": "ab"}, "characters must be 12 texts"),
        ({"deepest": 18}, "deepest must be 1 … 17, got 18"),
        ({"deepest": 0}, "deepest must be 1 … 17, got 0"),
    ],
)
def test_the_depth_refuses_bad_input(change, message):
    with pytest.raises(ValueError, match=message):
        stack_depth(**counter() | change)
