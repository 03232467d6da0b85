"""Priority sort, as drawn: the task, the shares of chance, the locations of writing and reading; and what is refused."""

from __future__ import annotations

import matplotlib.text
import numpy
import pytest
from test_figures import require_readable

from tinymem.figures import paper_curves, save
from tinymem.figures.sorting import learning_shares, sort_memory, sort_task, visited_arc, where_it_writes_and_reads
from tinymem.figures.style import PAPER
from tinymem.tasks.algorithms import SortTask


def sequence(vectors: int = 20, asked: int = 16) -> tuple:
    task = SortTask(8, vectors, asked)
    one = task.batch(numpy.random.default_rng(0), 1)
    return one.inputs[:vectors, 0, :8], one.inputs[:vectors, 0, 8], one.targets[vectors + 1 :, 0]


def run(*values: float) -> numpy.ndarray:
    """A run whose points lie a factor of two apart, so each is alone in its window."""
    return numpy.column_stack([2.0 ** numpy.arange(len(values)), values])


def sorted_memory(slope: float = 5.0, count: int = 64) -> tuple:
    """A machine by hand that writes to 0 + slope · priority and reads downwards: priorities, written, read (…, 9 sequences)."""
    priorities = numpy.random.default_rng(1).uniform(-1, 1, (8, 9))
    written = slope * priorities
    return priorities, written, -numpy.sort(-written, axis=0)


def weightings(locations: numpy.ndarray, count: int = 64) -> numpy.ndarray:
    return numpy.eye(count)[numpy.round(locations).astype(int) % count]


def memory_of_one() -> tuple:
    _, written, read = sorted_memory()
    return weightings(written[:, 0]), weightings(written[:, 0]), weightings(read[:, 0])


DRAWINGS = {
    "sort_task": lambda: sort_task(*sequence()),
    "sort_task, all": lambda: sort_task(*sequence(8, 8)),
    "learning_shares": lambda: learning_shares(
        {"NTM-FF": [run(60, 30, 6), run(50, 20, 4)], "LSTM": [run(64, 60, 50)]}, paper_curves("fig18_sort"), 64, 128
    ),
    "where_it_writes_and_reads": lambda: where_it_writes_and_reads(*sorted_memory(), (5.0, 0.0), 1.0),
    "sort_memory": lambda: sort_memory(*memory_of_one()),
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


def test_the_task_shows_vectors_priorities_and_where_each_goes():
    vectors, priorities, answers = sequence()
    figure = sort_task(vectors, priorities, answers)
    bars, said, asked = figure.axes
    assert [bar.get_width() for bar in bars.patches] == pytest.approx(priorities.tolist())
    numpy.testing.assert_array_equal(said.images[0].get_array(), vectors)
    numpy.testing.assert_array_equal(asked.images[0].get_array(), answers)
    ends = [(patch.xy1[1], patch.xy2[1]) for patch in figure.artists]
    assert [place for _, place in ends] == list(range(1, 17))
    steps = [int(step) - 1 for step, _ in ends]
    assert (numpy.diff(priorities[steps]) < 0).all()
    numpy.testing.assert_array_equal(vectors[steps], answers)
    assert "the 16 highest" in words(figure)
    assert "not asked for" in words(figure)
    assert "not asked for" not in words(sort_task(*sequence(8, 8)))


def test_answers_that_are_not_sorted_are_refused():
    vectors, priorities, answers = sequence()
    with pytest.raises(ValueError, match="the highest first; these are not"):
        sort_task(vectors, priorities, answers[::-1])
    with pytest.raises(ValueError, match=r"priorities must be an array of numbers \(n,\) with n = 20"):
        sort_task(vectors, priorities[:3], answers)


def test_curves_are_shares_of_each_ones_own_chance():
    paper = {"LSTM": numpy.array([[5.0, 128.0], [1000.0, 56.0]])}
    figure = learning_shares({"NTM-FF": [run(64, 32, 8)]}, paper, 64, 128, sizes=("8 of 8", "16 of 20"))
    (axes,) = figure.axes
    assert line(axes, "NTM-FF, 8 of 8, 1 seed").get_ydata() == pytest.approx([1, 0.5, 0.125])
    theirs = line(axes, f"LSTM, {PAPER}, 16 of 20")
    assert theirs.get_ydata() == pytest.approx([1, 0.4375])
    assert theirs.get_linestyle() == "--"
    assert "chance: 64 bits for 8 of 8, 128 for 16 of 20" in words(figure)
    assert "12 %" in words(figure)  # how far ours came


@pytest.mark.parametrize(
    ("runs", "chance", "message"),
    [
        ({}, 64, "no run to draw"),
        ({"LSTM": []}, 64, r"runs\['LSTM'\]: no run to draw"),
        ({"GRU": [run(1, 2)]}, 64, "no colour is fixed for the system 'GRU'"),
        ({"LSTM": [run(1, 2)]}, 0, "chance is a number of bits above 0"),
    ],
)
def test_curves_that_cannot_be_drawn_are_refused(runs, chance, message):
    with pytest.raises(ValueError, match=message):
        learning_shares(runs, {}, chance, 128)


def test_locations_are_drawn_with_their_line_and_every_sequence():
    priorities, written, read = sorted_memory()
    figure = where_it_writes_and_reads(priorities, written, read, (-4.2, 1.3), 0.716, of=4000)
    left, right = figure.axes
    dots = line(left, "a vector")
    numpy.testing.assert_array_equal(dots.get_data(), [priorities.ravel(), written.ravel()])
    assert line(left, "location = 1.3 − 4.2 · priority").get_ydata() == pytest.approx([5.5, -2.9])
    assert "$R^2$ = 0.716 on 4,000 vectors" in words(figure)
    assert line(right, "their median").get_ydata() == pytest.approx(numpy.median(read, axis=1))
    assert len(right.lines) == 9 + 1
    with pytest.raises(ValueError, match=r"written must be .* with S = 9"):
        where_it_writes_and_reads(priorities, written[:, :3], read, (1, 0), 1)


def test_the_memory_is_drawn_over_the_end_of_the_circle():
    fitted, writing, reading = memory_of_one()
    figure = sort_memory(fitted, writing, reading)
    rows = visited_arc(numpy.concatenate([fitted, writing, reading]))
    assert len(rows) < 20
    assert {0, 63} < set(rows.tolist())  # around 0
    assert rows[rows.tolist().index(63) + 1] == 0
    for axes, weights in zip(figure.axes, (fitted, writing, reading), strict=False):
        numpy.testing.assert_array_equal(axes.images[0].get_array(), weights[:, rows].T)
        assert axes.images[0].get_clim() == (0, 1)
    with pytest.raises(ValueError, match="read_weightings must lie between 0 and 1"):
        sort_memory(fitted, writing, 2 * reading)


def test_the_arc_is_the_shortest_that_holds_every_peak():
    assert visited_arc(numpy.eye(64)[[10, 12]]).tolist() == [8, 9, 10, 11, 12, 13, 14]
    assert visited_arc(numpy.eye(64)[[1, 62]]).tolist() == [60, 61, 62, 63, 0, 1, 2, 3]
    assert visited_arc(numpy.eye(64)[[5]]).tolist() == [3, 4, 5, 6, 7]
    assert visited_arc(numpy.eye(8)[[0, 3, 5]]).tolist() == list(range(8))
