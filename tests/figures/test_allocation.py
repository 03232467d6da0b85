"""The figures of the DNC: what they draw, what they mark, and what they refuse."""

import matplotlib.colors
import numpy as np
import pytest
from test_figures import image, panel, require_readable, run, words

from tinymem.figures import save
from tinymem.figures.allocation import COLOURS, memory_management, order_of_writing, rewritten, series_copied
from tinymem.figures.style import VERMILLION

LENGTH, LOCATIONS, SEQUENCES = 2, 3, 3
STEPS = SEQUENCES * (2 * LENGTH + 1)
PLACES = (0, 1, 2, 0, 1, 2)  # where the vectors of the three sequences are written


def series():
    """A perfect series by hand: two vectors a sequence, three locations, freed as they are read."""
    rng = np.random.default_rng(0)
    inputs, outputs = np.zeros((STEPS, 5)), np.zeros((STEPS, 4))
    writing, reading, used = (np.zeros((STEPS, LOCATIONS)) for _ in range(3))
    gates = {name: np.zeros(STEPS) for name in ("free gate", "allocation gate", "write gate")}
    modes = np.tile([0.2, 0.5, 0.3], (STEPS, 1))
    for number in range(SEQUENCES):
        start = number * (2 * LENGTH + 1)
        inputs[start + LENGTH, 4] = 1
        for k in range(LENGTH):
            step, answer, place = start + k, start + LENGTH + 1 + k, PLACES[number * LENGTH + k]
            inputs[step, :4] = outputs[answer] = rng.integers(0, 2, 4)
            writing[step, place] = gates["allocation gate"][step] = gates["write gate"][step] = 1
            reading[answer, place] = gates["free gate"][answer] = 1
            used[step + 1 : answer + 1, place] = 1
    return {"inputs": inputs, "outputs": outputs, "write_weightings": writing, "usage": used, "read_weightings": reading, "gates": gates,
            "modes": modes, "length": LENGTH}  # fmt: skip


WRITING, ORDER = np.eye(5)[[3, 1, 4]], [0, 2, 3, 1, 4]
LINKED = np.zeros((5, 5))
LINKED[1, 3], LINKED[4, 1], LINKED[3, 2] = 1.0, 0.9, 0.4
RUNS = {"DNC": [run(80, 3, 0), run(70, 2, 1)], "LSTM": [run(90, 20, 4)]}
TESTS = [("DNC", 1, 0, 100), ("DNC", 2, 30, 100), ("DNC", 1, 0, 100), ("DNC", 2, 50, 100), ("LSTM", 1, 10, 100), ("LSTM", 2, 20, 100)]
DRAWINGS = {
    "memory_management": lambda: memory_management(**series()),
    "order_of_writing": lambda: order_of_writing(WRITING, LINKED, ORDER, 3),
    "series_copied": lambda: series_copied(RUNS, TESTS, chance=75),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_text_is_clipped_or_small_or_lies_on_another(name):
    require_readable(DRAWINGS[name](), 10)


@pytest.mark.parametrize("name", DRAWINGS)
def test_saving_twice_gives_the_same_bytes(name, tmp_path):
    first, second = ([path.read_bytes() for path in save(DRAWINGS[name](), tmp_path / folder, name)] for folder in "ab")
    assert first == second


# -- one series over time ------------------------------------------------------------------------------------------------
def heat_maps(figure):
    return [axes for axes in figure.axes if axes.images]


def test_every_quantity_is_drawn_over_one_time_axis():
    given = series()
    figure = memory_management(**given)
    maps = heat_maps(figure)
    for axes, name in zip(maps, ("inputs", "outputs", "write_weightings", "usage", "read_weightings", "modes"), strict=True):
        assert image(axes) == pytest.approx(given[name].T)
        assert axes.images[0].get_clim() == (0, 1)
    gates = [axes for axes in figure.axes if len(axes.patches) == STEPS]
    for axes, gate in zip(gates, given["gates"].values(), strict=True):
        assert [bar.get_height() for bar in axes.patches] == pytest.approx(list(gate))
        assert axes.get_ylim() == (0, 1)
    assert {axes.get_xlim() for axes in (*maps, *gates)} == {(-0.5, STEPS - 0.5)}
    assert len({round(axes.get_position().x0, 9) for axes in (*maps, *gates)}) == 1
    text = words(figure)
    for said in ("sequence 1", "sequence 2", "sequence 3", "free gate", "allocation gate", "write gate", "forward", "location 0"):
        assert said in text


def test_a_ring_marks_each_write_to_a_location_that_was_written_before():
    given = series()
    figure = memory_management(**given)
    rings = next(line for line in heat_maps(figure)[2].lines if line.get_marker() == "o")
    assert [(int(x), int(y)) for x, y in zip(*rings.get_data(), strict=True)] == [(6, 0), (10, 1), (11, 2)]
    assert rings.get_markeredgecolor() == VERMILLION
    first = {name: value[:5] if isinstance(value, np.ndarray) else value for name, value in given.items()}
    first["gates"] = {name: gate[:5] for name, gate in given["gates"].items()}
    assert not any(line.get_marker() == "o" for line in heat_maps(memory_management(**first))[2].lines)  # nothing was written twice


def test_a_write_that_lasts_two_steps_is_no_second_write():
    weights = np.eye(3)[[0, 0, 1, 1, 0]]
    assert rewritten(weights).tolist() == [[4, 0]]
    assert rewritten(0.5 * weights).tolist() == []  # half of the weight is nowhere in particular
    assert rewritten(np.eye(3)).shape == (0, 2)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"length": 3}, "sequences of 3 vectors take 7 steps each, but there are 15 steps"),
        ({"length": 0}, "sequences of 0 vectors take 1 steps each"),
        ({"usage": np.zeros((STEPS, 4))}, r"usage must be an array of numbers \(T, N\) with N = 3"),
        ({"usage": np.full((STEPS, LOCATIONS), 1.2)}, "usage must lie between 0 and 1"),
        ({"modes": np.zeros((STEPS, 2))}, "modes must be an array of numbers"),
        ({"gates": {"free gate": np.zeros(STEPS - 1)}}, "free gate must be an array of numbers"),
        ({"gates": {"free gate": np.full(STEPS, -2.0)}}, "free gate must lie between 0 and 1"),
    ],
)
def test_a_series_that_cannot_be(changes, says):
    with pytest.raises(ValueError, match=says):
        memory_management(**{**series(), **changes})


# -- the order of writing ------------------------------------------------------------------------------------------------
def test_the_links_are_drawn_as_kept_and_in_the_order_of_writing():
    figure = order_of_writing(WRITING, LINKED, ORDER, 3)
    assert image(panel(figure, "what was written last")) == pytest.approx(WRITING.T)
    assert image(panel(figure, "L, as it is kept")) == pytest.approx(LINKED)
    by_time = panel(figure, "L, in the order of writing")
    drawn = image(by_time)
    assert (drawn[2, 1], drawn[3, 2], drawn[4, 3]) == pytest.approx((0.4, 1.0, 0.9))  # 2 -> 3 -> 1 -> 4
    assert drawn.sum() == pytest.approx(LINKED.sum())
    assert [label.get_text() for label in by_time.get_xticklabels()] == [str(place) for place in ORDER]
    boxes = [patch for patch in by_time.patches if patch.get_edgecolor() == matplotlib.colors.to_rgba(VERMILLION)]
    assert [(box.get_x() + 0.5, box.get_y() + 0.5) for box in boxes] == [(2, 3), (3, 4)]  # of three writes, two links


@pytest.mark.parametrize("order", [[0, 0, 1], [0, 9, 1], [0], [0, 1]])
def test_an_order_names_different_locations_and_at_least_the_recent_ones(order):
    with pytest.raises(ValueError, match="order must name at least 3 different locations of 0 … 4"):
        order_of_writing(WRITING, LINKED, order, 3)


# -- learning and lasting ------------------------------------------------------------------------------------------------
def test_each_seed_is_a_dot_and_all_seeds_are_the_line():
    figure = series_copied(RUNS, TESTS, trained=(1, 4), chance=75)
    learning, lasting = figure.axes
    labels = [text.get_text() for text in learning.get_legend().get_texts()]
    assert labels == ["DNC, median of 2 seeds", "LSTM, 1 seed"]
    (line,) = (line for line in lasting.lines if line.get_label() == "DNC")
    assert line.get_color() == COLOURS["DNC"]
    assert line.get_xdata().tolist() == [1, 2]
    assert line.get_ydata() == pytest.approx([0, 0.4])
    dots = [line for line in lasting.lines if line.get_marker() == "o" and line.get_color() == COLOURS["DNC"]]
    assert sorted(dots[0].get_ydata()) == pytest.approx([0, 0, 0.3, 0.5])
    text = words(figure)
    for said in ("guessing: 75 bits", "trained: 1…4", "DNC\n40 %", "LSTM\n20 %"):
        assert said in text


@pytest.mark.parametrize(
    ("runs", "tests", "says"),
    [
        ({}, TESTS, "neither the runs nor the tests may be empty"),
        (RUNS, [], "neither the runs nor the tests may be empty"),
        ({"RNN": [run(3, 2)]}, TESTS, "no colour is fixed for the system 'RNN'"),
        (RUNS, [("RNN", 1, 0, 1)], "no colour is fixed for the system 'RNN'"),
        (RUNS, [("DNC", 0, 0, 1)], "a test is"),
        (RUNS, [("DNC", 1, 2, 1)], "a test is"),
    ],
)
def test_tests_that_cannot_be(runs, tests, says):
    with pytest.raises(ValueError, match=says):
        series_copied(runs, tests)
