"""Dynamic N-grams, as drawn: bits and gaps in learning, one sequence bit by bit, the memory; and what is refused."""

from __future__ import annotations

import matplotlib.text
import numpy
import pytest
from test_figures import require_readable

from tinymem.figures import paper_curves, save
from tinymem.figures.ngrams import counters, learning_gaps, predictions
from tinymem.figures.style import PAPER
from tinymem.tasks.ngrams import NGramTask

TASK = NGramTask()
ONE = TASK.batch(numpy.random.default_rng(0), 1)
BITS, OPTIMUM = ONE.targets[:, 0, 0], TASK.optimum(ONE)[:, 0]


def run(*values: float) -> numpy.ndarray:
    """A run whose points lie a factor of two apart, so each is alone in its window."""
    return numpy.column_stack([2.0 ** numpy.arange(len(values)), values])


def learned() -> tuple:
    runs = {"NTM-FF": [run(200, 150, 136), run(190, 140, 135)], "LSTM": [run(200, 160, 138)]}
    return runs, {"NTM-FF": [run(67, 17, 3), run(57, 7, 2)], "LSTM": [run(67, 27, 5)]}


def counting_memory(count: int = 64) -> dict:
    """A machine by hand with a counter for each context: it reads when the context is seen, and writes one step later."""
    places = numpy.concatenate([numpy.zeros(5, int), TASK.contexts(ONE.targets[:, :, 0])[:, 0]])
    reading = numpy.eye(count)[places]
    adds = numpy.random.default_rng(0).uniform(-0.9, 0.9, (200, 20))
    return {"bits": ONE.inputs[:, 0, 0], "seen": places == places[-1], "read_weightings": reading,
            "write_weightings": 0.9 * numpy.roll(reading, 1, axis=0), "adds": adds}  # fmt: skip


DRAWINGS = {
    "learning_gaps": lambda: learning_gaps(*learned(), 133.1, paper_curves("fig13_ngram"), 131.6, top=160),
    "learning_gaps, alone": lambda: learning_gaps(*learned(), 133.1, {}),
    "predictions": lambda: predictions(BITS, OPTIMUM, {"NTM-FF": 0.9 * OPTIMUM + 0.05, "LSTM": 0.5 * OPTIMUM + 0.25}),
    "counters": lambda: counters(**counting_memory()),
}


def words(figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def line(axes, label: str):
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return found


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_text_is_clipped_or_small_or_lies_on_another(name):
    require_readable(DRAWINGS[name](), 8)


@pytest.mark.parametrize("name", DRAWINGS)
def test_equal_data_gives_equal_bytes(name, tmp_path):
    first, second = save(DRAWINGS[name](), tmp_path / "one", "same"), save(DRAWINGS[name](), tmp_path / "two", "same")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_learning_is_drawn_in_bits_and_as_the_gap_to_each_ones_own_optimum():
    paper = {"NTM-FF": numpy.array([[10.0, 141.6], [1000.0, 133.6]])}
    costs, above = learning_gaps(*learned(), 133.1, paper, 131.6).axes
    label = "NTM-FF, median of 2 seeds"
    assert line(costs, label).get_ydata() == pytest.approx([195, 145, 135.5])
    assert line(above, label).get_ydata() == pytest.approx([62, 12, 2.5])
    assert line(costs, f"NTM-FF, {PAPER}").get_ydata() == pytest.approx([141.6, 133.6])
    assert line(above, f"NTM-FF, {PAPER}").get_ydata() == pytest.approx([10, 2])
    assert line(costs, "Bayes optimum, 133.1").get_ydata() == [133.1, 133.1]
    assert line(costs, f"{PAPER}, 131.6").get_ydata() == [131.6, 131.6]
    assert (above.get_yscale(), costs.get_yscale()) == ("log", "linear")
    assert costs.get_ylim()[0] < 131.6  # the optimum is on the picture


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"runs": {}}, "must name the same systems, at least one"),
        ({"gaps": {"LSTM": [run(3, 2)]}}, "must name the same systems"),
        ({"paper_optimum": None}, "need the paper's own optimum"),
        ({"paper": {"GRU": run(3, 2)}}, "no colour is fixed for the system 'GRU'"),
    ],
)
def test_learning_that_cannot_be_drawn_is_refused(change, message):
    runs, gaps = learned()
    given = {"runs": runs, "gaps": gaps, "optimum": 133.1, "paper": paper_curves("fig13_ngram"), "paper_optimum": 131.6}
    with pytest.raises(ValueError, match=message):
        learning_gaps(**given | change)


def test_predictions_say_what_each_paid():
    said = 0.5 * OPTIMUM + 0.25
    (axes,) = predictions(BITS, OPTIMUM, {"LSTM": said}).axes
    best, theirs, dots = axes.lines
    assert best.get_ydata() == pytest.approx(OPTIMUM)
    assert theirs.get_ydata() == pytest.approx(said)
    assert ((dots.get_ydata() > 0.5) == (BITS > 0)).all()
    paid = [-numpy.log2(numpy.where(BITS > 0, p, 1 - p)).sum() for p in (said, OPTIMUM)]
    assert axes.get_title(loc="left") == f"LSTM: {paid[0]:.1f} bits"
    assert f"optimum, {paid[1]:.1f} bits" in axes.get_title(loc="right")
    assert paid[1] < paid[0]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({}, "no system to draw"),
        ({"LSTM": OPTIMUM[:9]}, r"said\['LSTM'\] must be .* with T = 200"),
        ({"LSTM": 3 * OPTIMUM}, "must lie between 0 and 1"),
    ],
)
def test_predictions_that_cannot_be_drawn_are_refused(said, message):
    with pytest.raises(ValueError, match=message):
        predictions(BITS, OPTIMUM, said)


def test_every_step_after_the_context_is_marked():
    given = counting_memory()
    figure = counters(**given)
    marked = (numpy.flatnonzero(given["seen"]) + 1).tolist()
    assert len(marked) > 3
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in panels] == ["input", "read weightings", "write weightings", "adds"]
    for axes in panels:
        assert [mark.get_xdata()[0] for mark in axes.lines] == marked
    for axes, name in zip(panels[1:3], ("read_weightings", "write_weightings"), strict=True):
        numpy.testing.assert_array_equal(axes.images[0].get_array(), given[name].T)
        assert axes.images[0].get_clim() == (0, 1)
    spread = counters(**given | {"read_weightings": given["read_weightings"] / 8}).axes[1]
    numpy.testing.assert_array_equal(spread.images[0].get_array(), given["read_weightings"].T)  # shares of the largest of each step
    with pytest.raises(ValueError, match=r"adds must be .* with T = 200"):
        counters(**given | {"adds": given["adds"][:7]})
