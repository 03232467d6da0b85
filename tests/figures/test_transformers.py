"""The figures of the Transformer: the encoding, the variants, the depth, the rates, the cost of a word."""

import matplotlib.text
import numpy as np
import pytest

from tinymem.figures import save
from tinymem.figures.transformers import cost_of_a_word, depth, learning_of_variants, learning_rates, positional_encoding

ENCODING = np.sin(np.arange(48).reshape(6, 8))
PRODUCTS = {pos: np.array([[-1, 2.0], [0, 4.0], [1, 2.0]]) for pos in (5, 9)}
RUN = np.array([[50, 4.0], [100, 1.0], [150, 0.25]])
VARIANTS = {"heads": {"1 head": [RUN, RUN * [1, 3], RUN * [1, 2]], "8 heads": [RUN * [1, 4]]}, "positions": {"none": [RUN]}}
REACHED = {"with": [(1, 0.5), (1, 0.7), (2, 0.9)], "without": [(1, 0.2), (2, 0.0)]}
GRADIENTS = {"with": [np.array([1.0, 2, 4]), np.array([1.0, 4, 4]), np.array([3.0, 3, 4])], "without": [np.array([0.01, 0.1, 1])]}
RATES = {"w = 2": np.array([[1, 0.5], [2, 1.0], [3, 0.8]])}
COSTS = {"kept": np.array([[8, 100.0], [64, 200.0]]), "from the start": np.array([[8, 800.0], [64, 9000.0]])}
DRAWINGS = {
    "positional_encoding": lambda: positional_encoding(ENCODING, PRODUCTS),
    "learning_of_variants": lambda: learning_of_variants(VARIANTS, "variants"),
    "depth": lambda: depth(REACHED, GRADIENTS),
    "learning_rates": lambda: learning_rates(RATES),
    "cost_of_a_word": lambda: cost_of_a_word(COSTS),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_saving_twice_gives_the_same_bytes(name, tmp_path):
    first, second = ([path.read_bytes() for path in save(DRAWINGS[name](), tmp_path / str(time), name)] for time in range(2))
    assert first == second


def test_the_encoding_is_drawn_on_a_signed_scale_and_every_position_has_a_curve():
    picture, _, curves = positional_encoding(ENCODING, PRODUCTS).axes
    (image,) = picture.images
    np.testing.assert_array_equal(image.get_array(), ENCODING)
    assert image.get_clim() == (-1, 1)
    assert [line.get_xydata().tolist() for line in curves.lines] == [points.tolist() for points in PRODUCTS.values()]
    assert [text.get_text() for text in curves.get_legend().get_texts()] == ["pos = 5", "pos = 9"]


def test_each_variant_has_a_thin_line_a_seed_and_a_bold_median():
    heads, positions = learning_of_variants(VARIANTS, "variants").axes
    assert (heads.get_title("left"), positions.get_title("left")) == ("heads", "positions")
    one, eight = (line.get_color() for line in (heads.lines[0], heads.lines[-1]))
    assert [line.get_color() for line in heads.lines] == [one] * 4 + [eight] * 2
    np.testing.assert_allclose(heads.lines[3].get_ydata(), 2 * RUN[:, 1])  # of 1, 3 and 2 times the run
    assert heads.lines[3].get_linewidth() > heads.lines[0].get_linewidth()
    assert {text.get_text() for text in heads.texts} == {"1 head", "8 heads"}


def test_depth_draws_the_mean_over_seeds_and_the_median_gradient():
    left, right = depth(REACHED, GRADIENTS).axes
    dots, mean, _, without = left.lines
    assert sorted(map(tuple, dots.get_xydata())) == sorted(REACHED["with"])
    np.testing.assert_allclose(mean.get_xydata(), [[1, 0.6], [2, 0.9]])
    np.testing.assert_allclose(without.get_xydata(), [[1, 0.2], [2, 0.0]])
    np.testing.assert_allclose(right.lines[3].get_xydata(), [[1, 1], [2, 3], [3, 4]])
    assert right.get_yscale() == "log"
    silent = {"without": [np.array([0.0, 0.1, 1])]}
    np.testing.assert_array_equal(depth(REACHED, silent).axes[1].lines[-1].get_ydata(), [np.nan, 0.1, 1])


def test_costs_are_drawn_as_they_are():
    (axes,) = cost_of_a_word(COSTS).axes
    for line, points in zip(axes.lines, COSTS.values(), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), points)
    (axes,) = learning_rates(RATES).axes
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), RATES["w = 2"])


def test_names_stand_at_the_ends_of_the_curves():
    for name in ("learning_rates", "cost_of_a_word", "depth"):
        figure = DRAWINGS[name]()
        told = {text.get_text() for text in figure.findobj(matplotlib.text.Text)}
        assert told >= {"learning_rates": set(RATES), "cost_of_a_word": set(COSTS), "depth": set(REACHED)}[name]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: positional_encoding(ENCODING, {}), "no product"),
        (lambda: positional_encoding(ENCODING[0], PRODUCTS), "encoding must be an array"),
        (lambda: learning_of_variants({}, ""), "no panel"),
        (lambda: learning_of_variants({"heads": {"1 head": []}}, ""), "a run of each"),
        (lambda: depth({}, GRADIENTS), "at least one kind"),
        (lambda: depth({"with": [(1, 1.5)]}, GRADIENTS), "between 0 and 1"),
        (lambda: learning_rates({}), "no curve"),
        (lambda: cost_of_a_word({"kept": np.full((2, 2), np.nan)}), "NaN or infinity"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
