"""Columns of words joined by lines as thick as the weights, matrices beside them, numbers of heads, and curves."""

import dataclasses

import matplotlib.colors
import numpy as np
import pytest

from tinymem.figures import save
from tinymem.figures.heads import THICKEST, Head, grid_of_heads, head_with_matrix, learning_to_look, numbers_of_heads
from tinymem.figures.style import BLUE, VERMILLION

WEIGHTS = np.array([[0.1, 0.9, 0.0], [0.5, 0.25, 0.25]])
HEAD = Head(("le", "document"), ("the", "document", "<end>"), WEIGHTS, links={(1, 1)}, told="layer 1, head 2")
CURVE = np.array([[25, 3.0], [50, 2.5], [75, 0.1]])
SCORE = CURVE / (1, 4)
LOSSES = {"2 layers": [CURVE], "1 layer": [CURVE * (1, 2)]}
TABLES = {"entropy": np.array([[0.2, 0.4], [0.6, 1.0]]), "on <end>": np.array([[0.0, 0.0], [0.1, 0.9]])}
DRAWINGS = {
    "head_with_matrix": lambda: head_with_matrix(HEAD, "One head"),
    "grid_of_heads": lambda: grid_of_heads([[HEAD, HEAD], [HEAD, HEAD]], "All heads"),
    "numbers_of_heads": lambda: numbers_of_heads(TABLES, "Every head"),
    "learning_to_look": lambda: learning_to_look(LOSSES, {"induction": [SCORE]}, {"induction": 0.9}),
}


def words(axes):
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("name", DRAWINGS)
def test_saving_twice_gives_the_same_bytes(name, tmp_path):
    first, second = ([path.read_bytes() for path in save(DRAWINGS[name](), tmp_path / str(time), name)] for time in range(2))
    assert first == second


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_text_leaves_the_figure(name):
    figure = DRAWINGS[name]()
    box = figure.bbox.padded(1)
    labels = list(figure.texts)
    for axes in figure.axes:
        labels += [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
        for axis, place in ((axes.xaxis, 0), (axes.yaxis, 1)):
            low, high = sorted(axis.get_view_interval())
            labels += [label for label in axis.get_ticklabels() if low <= label.get_position()[place] <= high]  # others are not drawn
    for text in labels:
        extent = text.get_window_extent()
        if text.get_text() and text.get_visible():
            assert box.x0 <= extent.x0 <= extent.x1 <= box.x1, text.get_text()
            assert box.y0 <= extent.y0 <= extent.y1 <= box.y1, text.get_text()


def lines(axes):
    """{(i, j): (width, colour)} of the lines between word i on the left and word j on the right."""
    (found,) = axes.collections
    segments = [tuple(map(tuple, segment)) for segment in found.get_segments()]
    assert {(a[0], b[0]) for a, b in segments} == {(0, 1)}
    return {
        (int(a[1]), int(b[1])): (width, colour)
        for (a, b), width, colour in zip(segments, found.get_linewidths(), found.get_colors(), strict=True)
    }


def test_a_line_is_as_thick_and_as_opaque_as_its_weight():
    (axes,) = grid_of_heads([[HEAD]], "All heads").axes
    found = lines(axes)
    assert found.keys() == {(i, j) for i, j in np.argwhere(WEIGHTS > 0)}  # no weight, no line
    for place, (width, colour) in found.items():
        assert width == pytest.approx(THICKEST * WEIGHTS[place])
        assert colour[3] == pytest.approx(WEIGHTS[place])
        assert matplotlib.colors.same_color(colour[:3], VERMILLION if place == (1, 1) else BLUE)
    assert words(axes) == [*HEAD.asking, *HEAD.seen]
    assert axes.get_title() == HEAD.told
    bottom, top = axes.get_ylim()
    assert bottom > top  # the first word is at the top


def test_beside_one_head_is_the_matrix_of_the_same_weights_with_its_links():
    columns, matrix = head_with_matrix(HEAD, "One head").axes
    assert words(columns) == [*HEAD.asking, *HEAD.seen]
    (image,) = matrix.images
    np.testing.assert_array_equal(image.get_array(), WEIGHTS)
    assert image.get_clim() == (0, 1)
    assert [label.get_text() for label in matrix.get_xticklabels()] == list(HEAD.seen)
    assert [label.get_text() for label in matrix.get_yticklabels()] == list(HEAD.asking)
    (dots,) = matrix.collections
    np.testing.assert_array_equal(dots.get_offsets(), [(1, 1)])


def test_a_head_without_links_has_no_dots():
    _, matrix = head_with_matrix(dataclasses.replace(HEAD, links=()), "One head").axes
    assert not matrix.collections


def test_every_head_has_its_number_in_its_place():
    figure = numbers_of_heads(TABLES, "Every head")
    shown = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title() for axes in shown] == list(TABLES)
    for axes, table in zip(shown, TABLES.values(), strict=True):
        assert {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in axes.texts} == {
            place: f"{value:.2f}" for place, value in np.ndenumerate(table)
        }


def test_every_seed_has_a_line_and_every_threshold_a_dotted_one():
    left, right = learning_to_look({"2 layers": [CURVE, CURVE]}, {"previous": [SCORE], "induction": [SCORE]}, {"previous": 0.75}).axes
    assert [len(axes.lines) for axes in (left, right)] == [2, 3]
    np.testing.assert_array_equal(left.lines[0].get_xydata(), CURVE)
    (dotted,) = [line for line in right.lines if line.get_linestyle() == ":"]
    assert set(dotted.get_ydata()) == {0.75}
    assert left.get_ylabel() == "bits per asked word"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": WEIGHTS.T}, "2 words that look at 3 words need weights of that shape"),
        ({"weights": WEIGHTS * 2}, "between 0 and 1"),
        ({"weights": WEIGHTS * np.nan}, "NaN or infinity"),
        ({"links": {(2, 0)}}, r"lead outside the weights \(2, 3\): \[\(2, 0\)\]"),
    ],
)
def test_a_head_that_fits_nothing_is_refused(changes, message):
    wrong = dataclasses.replace(HEAD, **changes)
    with pytest.raises(ValueError, match=message):
        head_with_matrix(wrong, "One head")
    with pytest.raises(ValueError, match=message):
        grid_of_heads([[HEAD, wrong]], "All heads")


@pytest.mark.parametrize("rows", [[], [[]], [[HEAD], [HEAD, HEAD]]])
def test_a_grid_needs_rows_of_equally_many_heads(rows):
    with pytest.raises(ValueError, match="rows of equally many heads"):
        grid_of_heads(rows, "All heads")


def test_tables_of_different_heads_and_no_curves_are_refused():
    with pytest.raises(ValueError, match="with layers = 2"):
        numbers_of_heads({**TABLES, "other": np.ones((1, 2))}, "Every head")
    with pytest.raises(ValueError, match="no table"):
        numbers_of_heads({}, "Every head")
    with pytest.raises(ValueError, match="draws 1 … 3"):
        learning_to_look({}, {"induction": [SCORE]}, {})
