"""The figures of translation and of the scores: matrices with links over them, curves by length, digits, updates and size."""

import dataclasses

import matplotlib.colors
import matplotlib.text
import numpy as np
import pytest

from tinymem.figures import save
from tinymem.figures.aligning import (
    SCORES,
    Alignment,
    agreement_of_kinds,
    alignment_matrices,
    bleu_by_length,
    bleu_while_training,
    exact_by_digits,
)
from tinymem.figures.scoring import accuracy_by_size, softmax_saturation
from tinymem.figures.style import VERMILLION

WEIGHTS = np.array([[0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.0, 0.0, 1.0]])
ALIGNMENT = Alignment(
    ("march", "3", "<end>"), ("3", "mars", "<end>"), WEIGHTS, sure={(0, 1), (1, 0)}, possible={(0, 1), (1, 0), (1, 1)}, told="a date"
)
DIGITS = [(score, updates, digits, share / digits) for score in ("none", "additive") for updates in (250, 1000) for digits in (2, 5, 9)
          for share in (0.5, 1.0)]  # fmt: skip
BLEU = {"all": {"none": [40.0, 30.0], "additive": [55.0, 50.0]}, "clean": {"none": [30.0, 20.0], "additive": [45.0, 40.0]}}
COUNTS = {"all": [10, 20], "clean": [5, 8]}
LEARNING = {"none": np.array([[100, 5], [200, 15]]), "additive": np.array([[100, 10], [200, 25], [300, 45]])}
SIZES = (4, 16, 64)
SATURATION = [{"dot": np.array([4.0, 16, 64]) / scale, "scaled-dot": np.ones(3) / scale} for scale in (1, 64, 64)]
BY_SIZE = [(score, d, d / 300) for score in ("additive", "dot") for d in (16, 64, 256)]
DRAWINGS = {
    "alignment_matrices": lambda: alignment_matrices([ALIGNMENT, ALIGNMENT, ALIGNMENT]),
    "exact_by_digits": lambda: exact_by_digits(DIGITS),
    "bleu_by_length": lambda: bleu_by_length(BLEU, ["3-4", "5-6"], COUNTS),
    "bleu_while_training": lambda: bleu_while_training(LEARNING),
    "agreement_of_kinds": lambda: agreement_of_kinds([("dot", 0.9, 0.95, 0.1), ("location", 0.2, 0.3, 0.7)]),
    "softmax_saturation": lambda: softmax_saturation(SIZES, *SATURATION),
    "accuracy_by_size": lambda: accuracy_by_size(BY_SIZE),
}


def words(figure):
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


@pytest.mark.parametrize("name", DRAWINGS)
def test_saving_twice_gives_the_same_bytes(name, tmp_path):
    first, second = ([path.read_bytes() for path in save(DRAWINGS[name](), tmp_path / str(time), name)] for time in range(2))
    assert first == second


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_text_leaves_the_figure(name):
    figure = DRAWINGS[name]()
    box = figure.bbox.padded(1)
    labels = []
    for axes in figure.axes:
        labels += [axes.title, axes.xaxis.label, axes.yaxis.label]
        for axis, place in ((axes.xaxis, 0), (axes.yaxis, 1)):
            low, high = sorted(axis.get_view_interval())
            labels += [label for label in axis.get_ticklabels() if low <= label.get_position()[place] <= high]  # others are not drawn
    for text in (*figure.texts, *labels, *(text for axes in figure.axes for text in axes.texts)):
        extent = text.get_window_extent()
        if text.get_text() and text.get_visible():
            assert box.x0 <= extent.x0 <= extent.x1 <= box.x1, text.get_text()
            assert box.y0 <= extent.y0 <= extent.y1 <= box.y1, text.get_text()


# --- matrices ---


def test_the_source_is_across_the_output_down_and_the_weights_are_between():
    (axes,) = alignment_matrices([ALIGNMENT]).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == list(ALIGNMENT.source)
    assert [label.get_text() for label in axes.get_yticklabels()] == list(ALIGNMENT.written)
    (image,) = axes.images
    np.testing.assert_array_equal(image.get_array(), WEIGHTS)
    assert image.get_clim() == (0, 1)
    left, right, bottom, top = image.get_extent()
    assert (left, right) == (-0.5, 2.5)
    assert bottom > top  # the first written word is at the top
    assert axes.get_xlabel() == "a date"


def test_sure_links_are_dots_and_only_possible_ones_rings():
    (axes,) = alignment_matrices([ALIGNMENT]).axes
    rings, dots = axes.collections
    assert {tuple(point) for point in dots.get_offsets()} == {(1, 0), (0, 1)}  # (source, output)
    assert {tuple(point) for point in rings.get_offsets()} == {(1, 1)}
    assert len(rings.get_facecolors()) == 0
    assert matplotlib.colors.same_color(dots.get_facecolors()[0], VERMILLION)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": WEIGHTS[:2]}, "3 written and 3 read words need weights of that shape"),
        ({"weights": WEIGHTS * 2}, "between 0 and 1"),
        ({"weights": WEIGHTS * np.nan}, "NaN or infinity"),
        ({"sure": {(3, 0)}}, r"lead outside the weights \(3, 3\): \[\(3, 0\)\]"),
    ],
)
def test_a_matrix_that_fits_nothing_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        alignment_matrices([dataclasses.replace(ALIGNMENT, **changes)])


# --- curves ---


def test_each_length_of_training_has_a_panel_with_dots_and_their_mean():
    short, long = exact_by_digits(DIGITS).axes
    assert (short.get_title("left"), long.get_title("left")) == ("after 250 updates", "after 1000 updates")
    for axes in (short, long):
        for score in ("none", "additive"):
            dots, mean = (line for line in axes.lines if line.get_color() == SCORES[score])
            assert len(dots.get_xdata()) == 6
            np.testing.assert_allclose(mean.get_xydata(), [[2, 0.375], [5, 0.15], [9, 0.75 / 9]])
    assert "without" in words(short.figure)


def test_bleu_by_length_says_how_many_sentences_there_are():
    figure = bleu_by_length(BLEU, ["3-4", "5-6"], COUNTS)
    every, clean = figure.axes
    assert [label.get_text() for label in clean.get_xticklabels()] == ["3-4\n(5)", "5-6\n(8)"]
    assert {tuple(line.get_ydata()) for line in every.lines} == {(40, 30), (55, 50)}
    assert (every.get_title("left"), clean.get_title("left")) == ("all", "clean")


def test_the_first_update_that_reaches_twenty_is_marked():
    (axes,) = bleu_while_training(LEARNING).axes
    (mark,) = [line for line in axes.lines if line.get_marker() == "o"]
    assert mark.get_xydata().tolist() == [[200, 25]]
    assert mark.get_color() == SCORES["additive"]
    assert "200" in [text.get_text() for text in axes.texts]


def test_kinds_stand_in_order_with_their_three_numbers():
    figure = agreement_of_kinds([("dot", 0.9, 0.95, 0.1), ("location", 0.2, 0.3, 0.7)])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["dot", "location"]
    assert [[text.get_text() for text in axes.texts] for axes in figure.axes] == [["0.90", "0.20"], ["0.95", "0.30"], ["0.10", "0.70"]]


def test_saturation_has_a_panel_for_variance_weight_and_slope():
    figure = softmax_saturation(SIZES, *SATURATION)
    for axes, curves in zip(figure.axes, SATURATION, strict=True):
        for line, values in zip(axes.lines, curves.values(), strict=True):
            np.testing.assert_array_equal(line.get_xydata(), np.stack([SIZES, values], 1))
    assert figure.axes[0].get_yscale() == "log"


def test_accuracy_has_a_curve_for_each_score_that_was_run():
    (axes,) = accuracy_by_size(BY_SIZE).axes
    assert {line.get_color() for line in axes.lines} == {SCORES["additive"], SCORES["dot"]}
    for line in axes.lines:
        np.testing.assert_allclose(line.get_xydata(), [[16, 16 / 300], [64, 64 / 300], [256, 256 / 300]])


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: alignment_matrices([]), "no sentence"),
        (lambda: exact_by_digits([]), "no row"),
        (lambda: exact_by_digits([("cosine", 250, 2, 0.5)]), "no colour is fixed for the score 'cosine'"),
        (lambda: exact_by_digits([("dot", 250, 2, 1.5)]), "share 1.5"),
        (lambda: bleu_by_length(BLEU, ["3-4"], COUNTS), "must be an array of numbers"),
        (lambda: bleu_by_length(BLEU, ["3-4", "5-6"], {"all": [1, 2]}), "are of the same sentences"),
        (lambda: bleu_while_training({}), "no curve"),
        (lambda: agreement_of_kinds([("dot", 1.2, 0.5, 0.5)]), "between 0 and 1"),
        (lambda: softmax_saturation(SIZES, {}, *SATURATION[1:]), "no curve for the variance"),
        (lambda: softmax_saturation((4, 16), *SATURATION), "must be an array of numbers"),
        (lambda: accuracy_by_size([]), "no row"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
