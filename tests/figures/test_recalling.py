"""The figures of associative recall: bits by items, the memory's use with its boxes, how far look-ups lie from keys."""

import matplotlib.colors
import matplotlib.text
import numpy
import pytest
from matplotlib.patches import Rectangle

from tinymem.figures import paper_curves, save
from tinymem.figures.recalling import bits_by_items, lookup_offsets, recall_memory_use
from tinymem.figures.style import BLACK, GREEN, PAPER, SYSTEMS, VERMILLION

POINTS = [("LSTM", 6, 16.0), ("NTM-FF", 12, 3.0), ("NTM-FF", 6, 0.0), ("NTM-FF", 6, 2.0), ("NTM-FF", 12, 1.0)]
PAPERS = paper_curves("fig11_recall_generalisation")


def words(figure):
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def episode(locations=10, width=3, bits=4):
    """A recall by hand: two items of two vectors, keys on locations 2 and 3, the first item asked about."""
    rng = numpy.random.default_rng(0)
    steps = {"item": slice(1, 3), "next": slice(4, 6), "query": slice(7, 9), "answer": slice(10, 12)}
    inputs, outputs = numpy.zeros((12, bits + 2)), numpy.full((12, bits), 0.5)
    outputs[steps["answer"]] = inputs[steps["next"], :bits] = rng.integers(0, 2, (2, bits))
    writes, reads = numpy.zeros(12, int), numpy.zeros(12, int)
    writes[3], writes[6], reads[9] = 2, 3, 3
    vectors = rng.uniform(-0.8, 0.8, (12, width))
    return {"inputs": inputs, "outputs": outputs, "adds": vectors, "reads": vectors[::-1], "write_weightings": numpy.eye(locations)[writes],
            "read_weightings": numpy.eye(locations)[reads], "steps": steps, "lookup": 9}  # fmt: skip


OFFSETS = {
    "read head 0": (numpy.array([-1, -1, -1, 0]), numpy.array([3, -60, 2, 1])),
    "read head 1": (numpy.array([9, -9, 1, 0]), numpy.array([1, 1, 1, 1])),
}
DRAWINGS = {
    "bits_by_items": lambda: bits_by_items(POINTS, PAPERS, chance=18),
    "recall_memory_use": lambda: recall_memory_use(**episode()),
    "lookup_offsets": lambda: lookup_offsets(OFFSETS),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_saving_twice_gives_the_same_bytes(name, tmp_path):
    first, second = ([path.read_bytes() for path in save(DRAWINGS[name](), tmp_path / str(time), name)] for time in range(2))
    assert first == second


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_text_leaves_the_figure(name):
    figure = DRAWINGS[name]()
    box = figure.bbox.padded(1)
    texts = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for extent in (text.get_window_extent() for text in [*texts, *(axes.title for axes in figure.axes)]):
        assert box.x0 <= extent.x0 <= extent.x1 <= box.x1
        assert box.y0 <= extent.y0 <= extent.y1 <= box.y1


# --- Fig. 11 ---


def test_bits_are_the_mean_over_seeds_with_the_paper_behind():
    figure = bits_by_items(POINTS, PAPERS, chance=18)
    linear, logarithmic = figure.axes
    for axes, floor in ((linear, 0.0), (logarithmic, 0.01)):
        drawn = {line.get_label(): line for line in axes.lines}
        assert drawn["NTM-FF, mean of 2 seeds"].get_xydata().tolist() == [[6, 1], [12, 2]]
        assert drawn["LSTM, 1 seed"].get_xydata().tolist() == [[6, 16]]
        theirs = drawn[f"NTM-FF, {PAPER}"]
        assert theirs.get_linestyle() == "--"
        assert theirs.get_xydata() == pytest.approx(numpy.maximum(PAPERS["NTM-FF"], floor))
        dots = next(line for line in axes.lines if line.get_linestyle() == "None" and line.get_color() == SYSTEMS["NTM-FF"])
        assert dots.get_xydata().tolist() == [[6, floor], [6, 2], [12, 1], [12, 3]]
        (shade,) = axes.patches
        assert (shade.get_x(), shade.get_width()) == (2, 4)
    assert (linear.get_yscale(), logarithmic.get_yscale()) == ("linear", "log")
    assert "guessing: 18 bits" in words(figure)
    assert "trained:\n2…6" in words(figure)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "no point"),
        ([("GRU", 6, 1.0)], "no colour is fixed"),
        ([("LSTM", 1, 1.0)], "items >= 2"),
        ([("LSTM", 6, -1.0)], "bits >= 0"),
        ([("LSTM", 6, numpy.nan)], "bits >= 0"),
        ([("LSTM", 6, numpy.inf)], "bits >= 0"),
    ],
)
def test_bad_points_are_refused(points, message):
    with pytest.raises(ValueError, match=message):
        bits_by_items(points, {})


def test_bad_curves_of_the_paper_are_refused():
    with pytest.raises(ValueError, match=r"paper\['LSTM'\] must be an array of numbers \(n, 2\)"):
        bits_by_items(POINTS, {"LSTM": numpy.ones((2, 3))})


# --- Fig. 12 ---


def boxes(axes):
    """(colour, first step, steps, first row, rows) of each frame."""
    frames = [patch for patch in axes.patches if isinstance(patch, Rectangle) and not patch.get_fill()]
    return [
        (
            matplotlib.colors.to_hex(frame.get_edgecolor()).upper(),
            frame.get_x() + 0.5,
            frame.get_width(),
            frame.get_y() + 0.5,
            frame.get_height(),
        )
        for frame in frames
    ]


def panels(figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_title(loc="left")}


def test_query_answer_and_key_are_in_boxes_of_their_colours():
    drawn = panels(recall_memory_use(**episode()))
    assert boxes(drawn["Inputs"]) == [(GREEN, 1, 2, 0, 4), (GREEN, 7, 2, 0, 4), (VERMILLION, 4, 2, 0, 4)]
    assert boxes(drawn["Outputs"]) == [(VERMILLION, 10, 2, 0, 4)]
    assert boxes(drawn["Reads"]) == [(VERMILLION, 10, 2, 0, 3)]
    assert boxes(drawn["Adds"]) == [(BLACK, 3, 1, 0, 3), (BLACK, 9, 1, 0, 3)]  # at the delimiters after the item and the query
    assert boxes(drawn["Write weightings"]) == [(BLACK, 3, 1, 2, 1)]
    assert boxes(drawn["Read weightings"]) == [(VERMILLION, 9, 1, 3, 1)]
    assert {tuple(line.get_ydata()) for line in drawn["Read weightings"].lines} == {(2, 2)}  # where the key was written


def test_the_panels_hold_the_values_and_outputs_only_where_asked():
    given = episode()
    drawn = panels(recall_memory_use(**given))
    for title, name in (("Inputs", "inputs"), ("Adds", "adds"), ("Reads", "reads"), ("Write weightings", "write_weightings")):
        assert numpy.asarray(drawn[title].images[0].get_array()) == pytest.approx(given[name].T)
    outputs = numpy.asarray(drawn["Outputs"].images[0].get_array()).T
    assert not outputs[:10].any()
    assert outputs[10:] == pytest.approx(given["outputs"][10:])


def test_locations_are_named_where_they_run_over_the_end():
    given = episode(locations=128)
    for name in ("write_weightings", "read_weightings"):
        given[name] = numpy.roll(given[name], -3, axis=1)
    figure = recall_memory_use(**given)
    drawn = panels(figure)
    assert "32 of 128 locations" in words(figure)
    weights = numpy.asarray(drawn["Write weightings"].images[0].get_array())
    assert weights.shape == (32, 12)
    ((_, step, _, row, _),) = boxes(drawn["Write weightings"])
    assert weights[int(row), int(step)] == 1
    ticks = dict(zip(drawn["Write weightings"].get_yticks(), drawn["Write weightings"].get_yticklabels(), strict=True))
    assert all((int(label.get_text()) - int(ticks[0].get_text())) % 128 == place for place, label in ticks.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outputs": numpy.full((12, 4), -2.0)}, "not logits"),
        ({"reads": numpy.zeros((12, 5))}, "reads must be .* with M = 3"),
        ({"lookup": 12}, "lookup is a step of the sequence, 0 … 11, got 12"),
        ({"steps": {"item": slice(1, 3)}}, "steps lacks next, query, answer"),
        ({"steps": episode()["steps"] | {"query": slice(7, 12)}}, "must lie within the 12 steps"),
        ({"steps": episode()["steps"] | {"item": slice(None, 3)}}, "a slice with a start and a stop"),
    ],
)
def test_bad_episodes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        recall_memory_use(**episode() | change)


# --- the explanation ---


def test_offsets_are_shares_of_the_episodes_beside_chance():
    figure = lookup_offsets(OFFSETS)
    first, second = figure.axes
    bars = {bar.get_x() + bar.get_width() / 2: bar.get_height() for bar in first.patches}
    assert bars == pytest.approx({-4: 0, -3: 0, -2: 0, -1: 0.75, 0: 0.25, 1: 0, 2: 0, 3: 0, 4: 0, 5: 0})
    assert list(first.lines[0].get_ydata()) == [0, 0, 0, 0, 0, 0.25, 0.25, 0.25, 0, 0.25]
    assert second.patches[-1].get_height() == 0.5  # farther, either way
    assert "share of 4 episodes" in words(figure)


@pytest.mark.parametrize(
    ("offsets", "message"), [({}, "no head"), ({"read head 0": (numpy.ones((2, 2)), numpy.ones(2))}, "must be an array")]
)
def test_bad_offsets_are_refused(offsets, message):
    with pytest.raises(ValueError, match=message):
        lookup_offsets(offsets)
