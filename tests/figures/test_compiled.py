"""The stages of a compiled step, as drawn: its numbers, its scales, its words, and what it refuses."""

from __future__ import annotations

import matplotlib.text
import numpy
import pytest
from matplotlib.figure import Figure
from test_figures import require_readable

from tinymem.figures import save
from tinymem.figures.compiled import compiled_ladder

STAGES = ["eager", "recorded, by NumPy", "recorded, in C", "+ fold", "+ stores"]
TIMES = {1: [43.6, 15.9, 2.07, 1.984, 0.9], 16: [169.8, 45.1, 15.2, 14.8, 9.93]}
MEMORY = {1: [5.54, 7.88, 7.88, 1.19, 1.19], 16: [27.2, 35.4, 35.4, 18.9, 0.5]}


def draw() -> Figure:
    return compiled_ladder(STAGES, TIMES, MEMORY, "a step")


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


def test_it_draws_each_stage_top_to_bottom_on_logarithmic_axes():
    figure = draw()
    for axes, values in zip(figure.axes, (TIMES, MEMORY), strict=True):
        assert axes.get_xscale() == "log"
        assert axes.get_ylim() == (4.5, -0.5)
        for line, (batch, row) in zip(axes.lines, values.items(), strict=True):
            assert line.get_label() == f"batch {batch}"
            assert line.get_xdata() == pytest.approx(row)
            assert list(line.get_ydata()) == [0, 1, 2, 3, 4]
        low, high = axes.get_xlim()
        assert low < numpy.min(list(values.values()))
        assert high > numpy.max(list(values.values()))
    assert figure.axes[0].get_xlabel() == "CPU milliseconds a step"
    assert figure.axes[1].get_xlabel() == "megabytes, without parameters and data"
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == STAGES


def test_every_point_carries_its_number_with_three_digits():
    said = words(draw())
    for number in ("43.6", "15.9", "2.07", "1.98", "0.9", "170", "9.93", "0.5"):
        assert number in said
    sides = {text.get_text(): text.get_ha() for text in draw().axes[1].texts}
    assert sides["5.54"] == "right"  # left of its point, the larger one's right of its own
    assert sides["27.2"] == "left"
    assert sides["0.5"] == "right"


def test_one_batch_is_enough():
    figure = compiled_ladder(STAGES, {1: TIMES[1]}, {1: MEMORY[1]})
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["batch 1"]
    assert all(text.get_ha() == "right" for axes in figure.axes for text in axes.texts)


def test_no_text_is_clipped_or_small_or_lies_on_another():
    require_readable(draw(), 25)


def test_saving_twice_gives_the_same_bytes(tmp_path):
    first, second = save(draw(), tmp_path / "one", "ladder"), save(draw(), tmp_path / "two", "ladder")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.parametrize(
    ("stages", "times", "memory", "message"),
    [
        ([], {}, {}, "no stage to draw"),
        (STAGES, {}, {}, "one or two batches"),
        (STAGES, TIMES, {1: MEMORY[1]}, r"the same for time and memory, got \[1, 16\] and \[1\]"),
        (STAGES, dict.fromkeys((1, 2, 3), TIMES[1]), dict.fromkeys((1, 2, 3), MEMORY[1]), "one or two batches"),
        (STAGES[:4], TIMES, MEMORY, r"milliseconds\[1\] must be an array of numbers \(4,\), got the shape \(5,\)"),
        (STAGES, TIMES, {1: [1, 2, 3, 4, 0], 16: MEMORY[16]}, "megabytes must be positive, got 0; the axis is logarithmic"),
        (STAGES, {1: [1, 2, 3, 4, numpy.nan], 16: TIMES[16]}, MEMORY, "NaN"),
    ],
)
def test_it_refuses_bad_input(stages, times, memory, message):
    with pytest.raises(ValueError, match=message):
        compiled_ladder(stages, times, memory)
