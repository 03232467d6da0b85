"""The figures of captions: tiles word by word, the page of mistakes, hard attention beside its controls, the spread of REINFORCE."""

import matplotlib.text
import numpy
import pytest
from matplotlib.patches import Rectangle

from tinymem.figures import save
from tinymem.figures.captioning import (
    Looked,
    Mistake,
    attention_shares,
    beside_controls,
    estimator_spread,
    mistakes,
    validation_curves,
    word_by_word,
)

RNG = numpy.random.default_rng(0)
PICTURE = RNG.random((16, 16, 3))
WORDS = ("a", "bird", "above", "a", "wave", "<end>")


def one_place(places):
    weights = numpy.full((len(places), 16), 0.02)
    weights[numpy.arange(len(places)), places] = 0.7
    return weights


SOFT = Looked(WORDS, one_place([0, 1, 2, 3, 15, 5]))
HARD = Looked(WORDS, one_place([0, 1, 2, 3, 15, 5]), [0, 1, 2, 3, 15, 5])
MISTAKE = Mistake(PICTURE, WORDS[:-1], ("a", "fish", "above", "a", "wave"), one_place([9, 4, 4, 4, 4, 4]))
SETTINGS = {"warm-up": ([70.0, 75.0, 80.0], [20.0, 25.0, 30.0]), "from the start": ([15.0], [12.0])}
CURVE = numpy.array([[50, 2.0], [100, 1.0], [150, 0.5]])
DRAWINGS = {
    "word_by_word": lambda: word_by_word(PICTURE, {"soft": SOFT, "hard": HARD}, "a bird above a wave"),
    "mistakes": lambda: mistakes([MISTAKE] * 4, "Mistakes"),
    "beside_controls": lambda: beside_controls(SETTINGS, "Hard to train", goal=45),
    "validation_curves": lambda: validation_curves({"soft": [CURVE, CURVE * 1.1], "hard": [CURVE * 1.5]}, "Bits"),
    "estimator_spread": lambda: estimator_spread([1, 10, 100], {"none": [3, 1, 0.3], "mean": [1, 0.3, 0.1]}, 0.2, "Spread"),
    "attention_shares": lambda: attention_shares({"λ = 0": PICTURE[:4, :4, 0], "λ = 1": PICTURE[4:8, :4, 0] / 2}, "Shares"),
}


def words(figure):
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


def brightest(axes, cells=4):
    """The cell of a tile that is brightest."""
    shown = axes.images[0].get_array() / PICTURE
    size = len(PICTURE) // cells
    means = shown.mean(2).reshape(cells, size, cells, size).mean((1, 3))
    return int(means.argmax())


@pytest.mark.parametrize("name", DRAWINGS)
def test_saving_twice_gives_the_same_bytes(name, tmp_path):
    first, second = ([path.read_bytes() for path in save(DRAWINGS[name](), tmp_path / str(time), name)] for time in range(2))
    assert first == second


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_text_leaves_the_figure(name):
    figure = DRAWINGS[name]()
    box = figure.bbox.padded(1)
    texts = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    texts += [text for part in figure.subfigs for text in part.texts]
    for extent in (text.get_window_extent() for text in [*texts, *(axes.title for axes in figure.axes)]):
        assert box.x0 <= extent.x0 <= extent.x1 <= box.x1
        assert box.y0 <= extent.y0 <= extent.y1 <= box.y1


def test_each_word_has_a_tile_that_is_bright_where_it_looked():
    figure = DRAWINGS["word_by_word"]()
    soft, hard = (figure.axes[row * 7 : row * 7 + 7] for row in (0, 1))
    for line in (soft, hard):
        numpy.testing.assert_allclose(line[0].images[0].get_array(), PICTURE)
        assert [axes.get_title(loc="center") for axes in line[1:]] == list(WORDS)
        assert [brightest(axes) for axes in line[1:]] == [0, 1, 2, 3, 15, 5]
        assert all("0.70" in [text.get_text() for text in axes.texts] for axes in line[1:])
    assert not any(axes.patches for axes in soft)
    frames = [patch.get_xy() for axes in hard[1:] for patch in axes.patches if isinstance(patch, Rectangle)]
    assert frames[:2] == [(-0.5, -0.5), (3.5, -0.5)]
    assert frames[4] == (11.5, 11.5)


def test_a_mistake_shows_where_it_looked_before_the_first_wrong_word():
    figure = mistakes([MISTAKE], "Mistakes")
    assert any("written: a [fish] above a wave" in text and "true: a bird above a wave" in text for text in words(figure))
    assert brightest(figure.subfigs[0].axes[1]) == 4


def test_a_caption_that_stopped_too_soon_is_drawn_too():
    short = Mistake(PICTURE, WORDS[:-1], ("a", "bird"), one_place([9, 4, 4]))
    assert any("written: a bird" in text for text in words(mistakes([short], "Mistakes")))


def test_every_seed_is_a_dot_and_the_bar_their_mean():
    axes = DRAWINGS["beside_controls"]().axes[0]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([75, 25, 15, 12])
    dots = [line.get_xdata() for line in axes.lines if line.get_linestyle() == "None"]
    assert [list(dot) for dot in dots] == [[70, 75, 80], [20, 25, 30], [15], [12]]
    assert {text.get_text() for text in axes.texts} == {"75", "25", "15", "12"}


def test_shares_of_attention_have_one_scale():
    images = [axes.images[0] for axes in DRAWINGS["attention_shares"]().axes if axes.images]
    assert len({image.get_clim() for image in images[:2]}) == 1


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: word_by_word(PICTURE[:, :8], {"soft": SOFT}, ""), "picture must be an array"),
        (lambda: word_by_word(PICTURE * 2, {"soft": SOFT}, ""), "picture must lie between 0 and 1"),
        (lambda: word_by_word(PICTURE, {}, ""), "no caption"),
        (lambda: word_by_word(PICTURE, {"soft": Looked(WORDS[:2], SOFT.weights)}, ""), "a row for each of 2 words"),
        (lambda: word_by_word(PICTURE, {"soft": Looked(WORDS, SOFT.weights[:, :15])}, ""), "square grid"),
        (lambda: word_by_word(PICTURE, {"soft": Looked(WORDS, SOFT.weights * 2)}, ""), "between 0 and 1"),
        (lambda: mistakes([], ""), "none to draw"),
        (lambda: beside_controls({}, ""), "no setting"),
        (lambda: beside_controls({"x": ([130.0], [1.0])}, ""), "between 0 and 1"),
        (lambda: validation_curves({}, ""), "nothing to draw"),
        (lambda: validation_curves({"soft": [CURVE * numpy.nan]}, ""), "NaN"),
        (lambda: estimator_spread([1, 2], {"none": [1, 2, 3]}, 1.0, ""), "an error for each of 2"),
        (lambda: attention_shares({}, ""), "no map"),
    ],
)
def test_data_that_would_mislead_is_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
