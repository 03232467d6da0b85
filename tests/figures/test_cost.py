"""What a layer costs, as drawn: its numbers and scales, its words, and what it refuses."""

from __future__ import annotations

import matplotlib.text
import numpy
import pytest
from matplotlib.figure import Figure
from test_figures import require_readable

from tinymem.figures import save
from tinymem.figures.cost import LAYERS, SYSTEMS, bleu_and_flops, bleu_by_flops, operations_and_seconds, path_lengths

SIZES = (4, 8, 16, 32)
LONGEST = {"self-attention": [9, 9, 9, 9], "recurrent": [16, 32, 64, 128], "restricted": [9, 9, 9, 9]}
SHORTEST = {"self-attention": [3, 3, 3, 3], "recurrent": [16, 32, 64, 128], "dilated": [6, 6, 9, 12]}
COUNTS = {"self-attention": [1e4, 4e4, 2e5, 6e5], "recurrent": [1e5, 2e5, 4e5, 8e5]}
TIMES = {"self-attention": [0.02, 0.03, 0.08, 0.2], "recurrent": [0.1, 0.2, 0.4, 0.8]}
PANELS = {
    "EN-DE": [("GNMT", 2.3e19, 24.6), ("Transformer (base)", 3.3e18, 27.3), ("ConvS2S Ensemble", 7.7e19, 26.36), ("MoE", 8e19, 26.34)],
    "ours": [("RNNsearch", 1.8e13, 53.3)],
}


def paths_drawn() -> Figure:
    return path_lengths(SIZES, LONGEST, SHORTEST)


def costs_drawn() -> Figure:
    return operations_and_seconds(SIZES, (COUNTS, COUNTS), (TIMES, TIMES), 16)


def systems_drawn() -> Figure:
    return bleu_and_flops(PANELS)


CURVES = {"RNNsearch": [[1e12, 5], [2e12, 21], [8e12, 50]], "Transformer": [[1e12, 8], [2e12, 18], [6e12, 52]]}


def curves_drawn() -> Figure:
    return bleu_by_flops(CURVES, 20)


def words(axes) -> list[str]:
    return [text.get_text() for text in axes.findobj(matplotlib.text.Text)]


def test_paths_are_lines_on_logarithmic_axes_with_their_names():
    figure = paths_drawn()
    for axes, curves in zip(figure.axes, (LONGEST, SHORTEST), strict=True):
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        for line, (name, heights) in zip(axes.lines, curves.items(), strict=True):
            assert line.get_color() == LAYERS[name]
            assert list(line.get_xdata()) == list(SIZES)
            assert list(line.get_ydata()) == heights
        assert set(curves) <= set(words(axes))


def test_operations_are_drawn_in_millions_and_n_equals_d_is_marked():
    figure = costs_drawn()
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "million operations, d = 16", "million operations, n = 16", "CPU milliseconds, d = 16", "CPU milliseconds, n = 16",
    ]  # fmt: skip
    for axes, curves, unit in zip(figure.axes, (COUNTS, COUNTS, TIMES, TIMES), (1e6, 1e6, 1, 1), strict=True):
        *lines, mark = axes.lines
        for line, heights in zip(lines, curves.values(), strict=True):
            assert line.get_ydata() == pytest.approx(numpy.array(heights) / unit)
        assert list(mark.get_xdata()) == [16, 16]


def test_every_system_has_a_point_and_its_name_on_no_other():
    figure = systems_drawn()
    for axes, (name, systems) in zip(figure.axes, PANELS.items(), strict=True):
        assert axes.get_title(loc="left") == name
        assert [(*line.get_xdata(), *line.get_ydata()) for line in axes.lines] == [(x, y) for _, x, y in systems]
        assert {text.get_text(): text.xy for text in axes.texts} == {system: (x, y) for system, x, y in systems}
        boxes = [text.get_window_extent() for text in axes.texts]
        points = [axes.transData.transform((x, y)) for _, x, y in systems]
        for place, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[place + 1 :])
            assert not any(box.contains(*point) for point in points)
    assert len({text.get_color() for text in figure.axes[0].texts}) == 2  # the Transformer's has a colour of its own


def test_curves_have_a_dot_where_they_get_there_first():
    (axes,) = curves_drawn().axes
    line, *others = axes.lines
    assert list(line.get_ydata()) == [20, 20]
    for (system, points), curve, dot in zip(CURVES.items(), others[::2], others[1::2], strict=True):
        assert curve.get_color() == dot.get_color() == SYSTEMS[system]
        drawn = [[flops / 1e12, bleu] for flops, bleu in points]
        assert curve.get_xydata().tolist() == drawn
        assert dot.get_xydata().tolist() == [next(point for point in drawn if point[1] >= 20)]
    with pytest.raises(ValueError, match="RNNencdec, RNNsearch, Transformer are drawn, got none"):
        bleu_by_flops({}, 20)
    with pytest.raises(ValueError, match="got GNMT"):
        bleu_by_flops({"GNMT": [[1, 2]]}, 20)


@pytest.mark.parametrize("draw", [paths_drawn, costs_drawn, systems_drawn, curves_drawn])
def test_no_text_is_clipped_or_small_or_lies_on_another(draw):
    require_readable(draw(), 10)


@pytest.mark.parametrize("draw", [paths_drawn, costs_drawn, systems_drawn, curves_drawn])
def test_saving_twice_gives_the_same_bytes(draw, tmp_path):
    first, second = save(draw(), tmp_path / "one", "cost"), save(draw(), tmp_path / "two", "cost")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.parametrize(
    ("longest", "message"),
    [
        ({}, "curves of the layers self-attention, .* are drawn, got none"),
        ({"pooling": [1, 1, 1, 1]}, "got pooling"),
        ({"recurrent": [1, 2, 3]}, r"recurrent must be an array of numbers \(4,\), got the shape \(3,\)"),
        ({"recurrent": [1, 2, 3, None]}, "recurrent holds NaN"),
        ({"recurrent": [0, 2, 3, 4]}, "must be positive, got 0; the axis is logarithmic"),
    ],
)
def test_curves_refuse_bad_input(longest, message):
    with pytest.raises(ValueError, match=message):
        path_lengths(SIZES, longest, SHORTEST)


@pytest.mark.parametrize(
    ("panels", "message"),
    [
        ({}, "no system to draw"),
        ({"EN-DE": []}, "no system to draw"),
        ({"EN-DE": [("GNMT", 0.0, 24.6)]}, "FLOPs of a system must be positive, got 0"),
        ({"EN-DE": [("GNMT", 2e19, float("nan"))]}, "bleu holds NaN"),
        ({"EN-DE": [("a name " * 40, 2e19, 24.6)]}, "no room for the name"),
    ],
)
def test_systems_refuse_bad_input(panels, message):
    with pytest.raises(ValueError, match=message):
        bleu_and_flops(panels)
