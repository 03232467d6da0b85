"""What the figures draw: the numbers, the fixed scales, the words; and that drawing leaves nothing behind."""

from __future__ import annotations

import itertools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import matplotlib
import matplotlib._pylab_helpers
import matplotlib.text
import numpy
import pytest
from matplotlib.figure import Figure

from tinymem.figures import paper_curves, save
from tinymem.figures.flow import shown_locations
from tinymem.figures.ntm import (
    flow_diagram,
    generalisation,
    head_parameters,
    initial_weightings,
    learning_curves,
    memory_use,
    wrong_bits_by_length,
)
from tinymem.figures.style import PAPER, SYSTEMS, style


def words(figure: Figure) -> str:
    """Every text of the figure, in one string."""
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def panel(figure: Figure, title: str):
    """The axes of this title."""
    return next(axes for axes in figure.axes if axes.get_title(loc="left") == title)


def image(axes) -> numpy.ndarray:
    return numpy.asarray(axes.images[0].get_array())


def lines(axes, label: str) -> list:
    return [line for line in axes.lines if line.get_label() == label]


def stages(locations: int = 8, head: int = 2) -> tuple[dict, dict]:
    """One addressing step that moves a head from `head` to the next location."""
    one = numpy.eye(locations)
    content = numpy.full(locations, 1 / locations)
    gated = 0.25 * content + 0.75 * one[head]
    shifted = 0.9 * numpy.roll(gated, 1) + 0.1 * gated
    weights = shifted**5 / (shifted**5).sum()
    memory = numpy.linspace(-1.2, 0.9, locations * 3).reshape(locations, 3)
    drawn = {"memory": memory, "similarity": numpy.linspace(-1, 1, locations), "previous": one[head], "content": content}
    drawn |= {"gated": gated, "shifted": shifted, "sharpened": weights}
    return drawn, {"key": [0.1, -0.2, 0.3], "strength": numpy.array([1.5]), "gate": 0.25, "shift": [0.0, 0.1, 0.9], "sharpening": 5.0}


def episode(length: int, wrong: int = 0, width: int = 4, seed: int = 0) -> tuple:
    targets = numpy.random.default_rng(seed).integers(0, 2, (length, width)).astype(float)
    outputs = numpy.abs(targets - 0.1)
    outputs.ravel()[:wrong] = 1 - outputs.ravel()[:wrong]
    return length, targets, outputs, wrong, targets.size


def copy_trace(length: int = 4, locations: int = 10, width: int = 3) -> dict:
    """A perfect copy by hand: writes to 0 … L-1, reads from 0 … L-1, vector by vector."""
    rng = numpy.random.default_rng(1)
    steps = 2 * length + 1
    inputs, outputs = numpy.zeros((steps, 5)), numpy.full((steps, 4), 0.5)
    inputs[:length, :4] = outputs[length + 1 :] = rng.integers(0, 2, (length, 4))
    inputs[length, 4] = 1
    adds, reads = numpy.zeros((steps, width)), numpy.zeros((steps, width))
    adds[:length] = reads[length + 1 :] = rng.uniform(-0.8, 0.8, (length, width))
    at = numpy.concatenate([numpy.arange(length + 1), numpy.arange(length)])
    writing = numpy.eye(locations)[numpy.minimum(numpy.arange(steps), length)]
    return {"inputs": inputs, "outputs": outputs, "adds": adds, "reads": reads, "write_weightings": writing,
            "read_weightings": numpy.eye(locations)[at], "phase": length}  # fmt: skip


def told(steps: int = 6, shifts: int = 3) -> dict:
    values = {}
    for head, seed in (("read", 0), ("write", 1)):
        rng = numpy.random.default_rng(seed)
        values |= {f"{head}_gate": rng.uniform(0, 1, (steps, 1)), f"{head}_strength": rng.uniform(0, 9, (steps, 1))}
        values |= {f"{head}_sharpening": rng.uniform(1, 5, (steps, 1)), f"{head}_shift": rng.dirichlet(numpy.ones(shifts), steps)}
    return values


def run(*values: float, start: float = 1.0) -> numpy.ndarray:
    """A run whose points lie a factor of two apart, so each is alone in its window."""
    return numpy.column_stack([start * 2.0 ** numpy.arange(len(values)), values])


START = numpy.eye(16)[0], numpy.full(16, 1 / 16)
DRAWINGS = {
    "flow_diagram": lambda: flow_diagram(*stages()),
    "generalisation": lambda: generalisation([episode(10), episode(30, 2)]),
    "head_parameters": lambda: head_parameters(told(), phase=2),
    "initial_weightings": lambda: initial_weightings([run(80, 3, 0)], [run(80, 79, 78)], *START, chance=84),
    "learning_curves": lambda: learning_curves({"NTM-FF": [run(80, 3, 0)]}, paper_curves("fig3_copy"), chance=84),
    "memory_use": lambda: memory_use(**copy_trace()),
    "wrong_bits_by_length": lambda: wrong_bits_by_length([("NTM-FF", 10, 0, 80), ("LSTM", 120, 400, 960)]),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_saving_twice_gives_the_same_bytes_and_no_date(name, tmp_path):
    first = [path.read_bytes() for path in save(DRAWINGS[name](), tmp_path / "made" / "here", name)]
    figure = DRAWINGS[name]()
    paths = save(figure, tmp_path, name)
    assert [path.name for path in paths] == [f"{name}.png", f"{name}.svg"]
    assert [path.read_bytes() for path in paths] == first
    assert save(figure, str(tmp_path), name)[1].read_bytes() == first[1]
    assert b"<dc:date>" not in first[1]
    assert sorted(path.name for path in tmp_path.glob(f"{name}.*")) == [f"{name}.png", f"{name}.svg"]


def drawn_texts(figure: Figure) -> list:
    """The texts that are painted: not the tick labels that matplotlib keeps outside the view."""
    texts = list(figure.texts) + [text for legend in figure.legends for text in legend.get_texts()]
    if figure._suptitle is not None:
        texts.append(figure._suptitle)
    for axes in figure.axes:
        texts += axes.texts
        if axes.axison:
            texts += [axes.title, axes._left_title, axes._right_title, axes.xaxis.label, axes.yaxis.label]
            ticks = [tick for axis in (axes.xaxis, axes.yaxis) for tick in axis._update_ticks()]
            texts += [label for tick in ticks for label in (tick.label1, tick.label2)]
    return [text for text in dict.fromkeys(texts) if text.get_visible() and text.get_text()]


def require_readable(figure, texts_at_least):
    """No text is clipped, smaller than 12 points, or lies on another."""
    with style():
        figure.draw_without_rendering()
        texts = drawn_texts(figure)
        boxes = [text.get_window_extent() for text in texts]
    width, height = figure.bbox.size
    assert len(texts) > texts_at_least
    for text, box in zip(texts, boxes, strict=True):
        assert text.get_fontsize() >= 12, text
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
    for one, two in itertools.combinations(range(len(texts)), 2):
        a, b = boxes[one], boxes[two]
        apart = a.x1 <= b.x0 + 1 or b.x1 <= a.x0 + 1 or a.y1 <= b.y0 + 1 or b.y1 <= a.y0 + 1
        assert apart, (texts[one], texts[two])


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_text_is_clipped_or_small_or_lies_on_another(name):
    require_readable(DRAWINGS[name](), 10)


def test_drawing_leaves_no_state_behind(tmp_path):
    before = dict(matplotlib.rcParams)
    for draw in DRAWINGS.values():
        save(draw(), tmp_path, "any")
    assert matplotlib._pylab_helpers.Gcf.figs == {}
    assert dict(matplotlib.rcParams) == before
    code = "import sys, tinymem.figures.ntm; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_readers_own_settings_change_nothing(tmp_path):
    expected = save(DRAWINGS["wrong_bits_by_length"](), tmp_path, "plain")[1].read_bytes()
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True, "image.cmap": "jet", "svg.hashsalt": "other"}):
        figure = DRAWINGS["wrong_bits_by_length"]()
        assert save(figure, tmp_path, "own")[1].read_bytes() == expected


def test_threads_draw_the_same_as_one_after_another(tmp_path):
    def written(name: str, folder: str) -> bytes:
        return save(DRAWINGS[name](), tmp_path / folder, name)[1].read_bytes()

    names = ("generalisation", "wrong_bits_by_length", "memory_use")
    one = [written(name, "one") for name in names]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda name: written(name, "many"), names)) == one


def test_save_refuses_a_name_with_a_folder(tmp_path):
    with pytest.raises(ValueError, match="without a folder"):
        save(Figure(), tmp_path, "../escaped")


def test_the_papers_curves():
    curves = paper_curves("fig3_copy")
    assert list(curves) == ["LSTM", "NTM-LSTM", "NTM-FF"]
    assert all(points.ndim == 2 and points.shape[1] == 2 for points in curves.values())
    assert curves["NTM-FF"][1].tolist() == [35.4, 2.401]
    assert paper_curves("fig11_recall_generalisation")["LSTM"][0].tolist() == [6.0, 2.255]
    with pytest.raises(ValueError, match="fig3_copy, fig7_repeat_copy"):
        paper_curves("fig99")


# --- Fig. 2 ---


def test_flow_diagram_draws_every_stage_on_fixed_axes():
    drawn, parameters = stages()
    figure = flow_diagram(drawn, parameters, "a step")
    panels = [axes for axes in figure.axes if len(axes.patches) == 8 and axes.get_label() == ""]
    order = ("similarity", "content", "previous", "gated", "shifted", "sharpened")
    assert len(panels) == len(order)
    for axes, name in zip(panels, order, strict=True):
        assert [bar.get_width() for bar in axes.patches] == pytest.approx(list(drawn[name]))
        assert axes.get_xlim() == ((-1, 1) if name == "similarity" else (0, 1))
    assert image(figure.axes[0]) == pytest.approx(drawn["memory"])
    assert figure.axes[0].images[0].get_clim() == (-1.2, 1.2)
    key, shift = (next(axes for axes in figure.axes if axes.get_label() == name) for name in ("key", "shift"))
    assert image(key) == pytest.approx(numpy.array([[0.1, -0.2, 0.3]]))
    assert key.images[0].get_clim() == (-1.2, 1.2)
    assert [bar.get_height() for bar in shift.patches] == pytest.approx([0, 0.1, 0.9])
    assert [label.get_text() for label in shift.get_xticklabels()] == ["−1", "0", "+1"]


def test_flow_diagram_says_equations_parameters_and_maxima():
    text = words(flow_diagram(*stages()))
    for said in ("eq. 5", "eq. 6", "eq. 7", "eq. 8", "eq. 9", r"$\beta_t = 1.50$", "$g_t = 0.25$", r"$\gamma_t = 5.00$", "all 8 locations"):
        assert said in text
    assert "max 1.00\nat 2" in text  # where the head was
    assert "max 1.00\nat 3" in text  # where it is


def test_flow_diagram_shows_the_locations_that_matter():
    drawn, parameters = stages(128, head=100)
    figure = flow_diagram(drawn, parameters)
    assert "locations 84 to 115 of 128, which hold 100.0 %" in words(figure)
    assert image(figure.axes[0]) == pytest.approx(drawn["memory"][84:116])
    assert figure.axes[0].get_yticklabels()[0].get_text() == "84"


def test_shown_locations_run_over_the_end_only_where_they_must():
    assert shown_locations(numpy.eye(128)[[0, 1]]).tolist() == list(range(32))
    assert shown_locations(numpy.eye(128)[[126, 127]]).tolist() == list(range(96, 128))
    both = shown_locations(numpy.eye(128)[[127, 0]]).tolist()
    assert {127, 0} < set(both)
    assert len(both) == 32
    assert both[both.index(127) + 1] == 0
    assert shown_locations(numpy.ones((1, 20)) / 20).tolist() == list(range(20))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"content": numpy.ones(7) / 7}, r"content must be an array of numbers \(N,\) with N = 8 \(as in memory\), got the shape \(7,\)"),
        ({"sharpened": numpy.full(8, 2.0)}, "sharpened must lie between 0 and 1"),
        ({"memory": numpy.full((8, 3), numpy.nan)}, "memory holds NaN"),
        ({"memory": numpy.zeros((0, 3))}, "memory must be .* empty shape"),
        ({"memory": "rows"}, "memory must be an array of numbers .* got str"),
    ],
)
def test_flow_diagram_refuses_bad_stages(change, message):
    drawn, parameters = stages()
    with pytest.raises(ValueError, match=message):
        flow_diagram(drawn | change, parameters)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": [1.0]}, "key must be .* with M = 3"),
        ({"shift": [0.5, 0.5]}, "an odd number"),
        ({"gate": 1.5}, "gate must lie between 0 and 1"),
        ({"strength": [1.0, 2.0]}, "strength must be one finite number"),
    ],
)
def test_flow_diagram_refuses_bad_parameters(change, message):
    drawn, parameters = stages()
    with pytest.raises(ValueError, match=message):
        flow_diagram(drawn, parameters | change)


def test_flow_diagram_names_what_is_missing():
    drawn, parameters = stages()
    with pytest.raises(ValueError, match="stages lacks gated"):
        flow_diagram({name: value for name, value in drawn.items() if name != "gated"}, parameters)


# --- Fig. 3 ---


def test_learning_curves_draw_seeds_median_and_the_paper():
    runs = [run(80, 8, 0), run(60, 2, 0.5), run(70, 5, 1)]
    paper = {"NTM-FF": numpy.array([[30.0, 9.0], [40.0, 0.0]])}
    figure = learning_curves({"NTM-FF": runs}, paper, "copy")
    linear, logarithmic = figure.axes
    for axes, floor in ((linear, 0.0), (logarithmic, 0.01)):
        thin = lines(axes, "_one seed")
        assert len(thin) == (3 if axes is logarithmic else 0)  # relapses of single runs would hatch the linear panel
        for line, points in zip(thin, runs, strict=False):
            assert list(line.get_ydata()) == list(numpy.maximum(points[:, 1], floor))
        (bold,) = lines(axes, "NTM-FF, median of 3 seeds")
        assert bold.get_xydata() == pytest.approx(numpy.array([[1, 70], [2, 5], [4, 0.5]]))
        assert all(bold.get_linewidth() > 2 * line.get_linewidth() for line in thin)
        (theirs,) = lines(axes, f"NTM-FF, {PAPER}")
        assert list(theirs.get_ydata()) == [9.0, floor]
        assert theirs.get_linestyle() == "--"
        assert theirs.get_zorder() < bold.get_zorder()
        assert theirs.get_color() == bold.get_color() == SYSTEMS["NTM-FF"]
        assert axes.get_xlabel() == "thousands of training sequences"
    assert linear.get_ylim() == (0, 10)
    assert linear.get_ylabel() == "bits per sequence"
    assert (linear.get_xscale(), linear.get_yscale(), logarithmic.get_yscale()) == ("log", "linear", "log")
    assert linear.get_xlim()[0] == 1
    assert "≤ 0.01" in words(figure)


def test_the_median_runs_over_windows_and_what_all_seeds_cover():
    noisy = numpy.column_stack([numpy.linspace(10.1, 11.0, 9), [1, 1, 1, 90, 1, 1, 1, 1, 1]])
    figure = learning_curves({"LSTM": [noisy]}, {})
    (bold,) = lines(figure.axes[0], "LSTM, 1 seed")
    assert list(bold.get_ydata()) == [1]
    figure = learning_curves({"LSTM": [run(8, 6, 4, 2), run(4, 2, start=2.0)]}, {})
    (bold,) = lines(figure.axes[0], "LSTM, median of 2 seeds")
    assert bold.get_xydata() == pytest.approx(numpy.array([[2, 5], [4, 3]]))


def test_the_legend_has_a_column_a_system_and_lies_below_the_data():
    figure = learning_curves({"LSTM": [run(9, 8)]}, paper_curves("fig3_copy"))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        f"NTM-FF, {PAPER}", "", f"NTM-LSTM, {PAPER}", "", "LSTM, 1 seed", f"LSTM, {PAPER}"
    ]  # fmt: skip
    assert legend.get_window_extent().y1 < min(axes.get_tightbbox().y0 for axes in figure.axes)


@pytest.mark.parametrize(
    ("runs", "paper", "message"),
    [
        ({}, {}, "neither a run nor a curve"),
        ({"NTM-FF": []}, {}, "no run to draw"),
        ({"GRU": [run(1, 2)]}, {}, "no colour is fixed for the system 'GRU'; the systems are NTM-FF, NTM-LSTM, LSTM"),
        ({"LSTM": [numpy.ones((3, 3))]}, {}, r"runs\['LSTM'\]\[0\] must be an array of numbers \(n, 2\), got the shape \(3, 3\)"),
        ({"LSTM": [numpy.ones(3)]}, {}, r"\(n, 2\), got the shape \(3,\)"),
        ({"LSTM": [[[0.0, 1.0], [1.0, 1.0]]]}, {}, "must be positive and grow"),
        ({}, {"LSTM": [[2.0, 1.0], [1.0, 1.0]]}, "must be positive and grow"),
        ({"LSTM": [[[1.0, numpy.nan]]]}, {}, "NaN"),
    ],
)
def test_learning_curves_refuse_bad_runs(runs, paper, message):
    with pytest.raises(ValueError, match=message):
        learning_curves(runs, paper)


# --- Figs. 4 and 5 ---


def test_generalisation_draws_bits_on_a_fixed_scale_and_counts_the_wrong_ones():
    episodes = [episode(10), episode(20, 3), episode(120, 1)]
    figure = generalisation(episodes, "copies")
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == 6
    drawn = [(image(answers), image(asked)) for answers, asked in zip(shown[::2], shown[1::2], strict=True)]
    for (outputs, targets), (_, asked, answered, *_) in zip(drawn, [episodes[2], *episodes[:2]], strict=True):
        assert outputs == pytest.approx(answered.T)
        assert targets == pytest.approx(asked.T)
    assert all(axes.images[0].get_clim() == (0, 1) for axes in shown)
    marks = [axes.lines[0].get_xydata().tolist() for axes in shown if axes.lines]
    assert marks == [[[1, 0]], [[1, 0], [1, 1], [1, 2]]]
    text = words(figure)
    for said in (
        "length 10",
        "0 of 40 wrong",
        "3 of 80 wrong",
        "1 of 480 wrong",
        "Targets",
        "Outputs",
        "bit, or its probability",
        "● wrong",
    ):
        assert said in text
    widths = {len(image(axes)[0]): axes.get_position().width for axes in shown}
    assert widths[120] / widths[10] == pytest.approx(12)  # one time scale


def test_a_bit_is_wrong_on_the_other_side_of_one_half():
    targets, outputs = numpy.array([[0.0, 1.0], [0.0, 1.0]]), numpy.array([[0.49, 0.51], [0.51, 0.49]])
    figure = generalisation([(2, targets, outputs, 2, 4)])
    assert [axes.lines[0].get_xydata().tolist() for axes in figure.axes if axes.lines] == [[[2, 0], [2, 1]]]


def test_a_flawless_copy_has_no_marks():
    figure = generalisation([episode(5)])
    assert "● wrong" not in words(figure)
    assert not any(axes.lines for axes in figure.axes if axes.images)


@pytest.mark.parametrize(
    ("episodes", "message"),
    [
        ([], "no episode"),
        ([(9, *episode(10)[1:])], "claims length 9, but its targets have 10 steps"),
        ([(10, episode(10)[1], episode(9)[2], 0, 40)], "outputs of episode 0 must be .* length = 10"),
        ([(10, episode(10)[1], episode(10)[2] * 9, 0, 40)], "not logits"),
        ([(10, episode(10)[1], episode(10)[2], 2, 40)], "claims 2 wrong bits, but 0 of its outputs"),
        ([(10, episode(10)[1], episode(10)[2], 50, 40)], "50 wrong of 40"),
    ],
)
def test_generalisation_refuses_bad_episodes(episodes, message):
    with pytest.raises(ValueError, match=message):
        generalisation(episodes)


# --- Fig. 6 ---


def test_memory_use_draws_six_panels_time_to_the_right():
    trace = copy_trace()
    figure = memory_use(**trace, locations=(0, 8))
    for title, name in (("Inputs", "inputs"), ("Outputs", "outputs"), ("Adds", "adds"), ("Reads", "reads"),
                        ("Write weightings", "write_weightings"), ("Read weightings", "read_weightings")):  # fmt: skip
        axes = panel(figure, title)
        values = trace[name][:, :8] if "weighting" in name else trace[name]
        assert image(axes) == pytest.approx(values.T)
        low, high = axes.images[0].get_clim()
        assert (low, high) == (0, 1) if name not in ("adds", "reads") else (low == -high and high >= numpy.abs(values).max())
        assert [line.get_xdata()[0] for line in axes.lines] == [3.5, 4.5]  # the delimiter's step is 4
    assert panel(figure, "Adds").images[0].get_clim() == panel(figure, "Reads").images[0].get_clim()
    assert panel(figure, "Write weightings").get_ylabel() == "location"
    assert panel(figure, "Read weightings").get_xlabel() == "time (steps)"


def test_memory_use_tells_the_algorithm_and_the_locations():
    text = words(memory_use(**copy_trace()))
    for line in (
        "while input delimiter not seen do",
        "    write input to head location",
        "return head to start location",
        "    emit output",
    ):
        assert line in text
    assert "locations 0 to 6 of 10" in text  # 0 … 4 are used, two more are shown
    assert "all 10 locations" in words(memory_use(**copy_trace(), locations=(0, 10)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reads": numpy.zeros((9, 4))}, "reads must be .* with M = 3"),
        ({"outputs": numpy.zeros((8, 4))}, "outputs must be .* with T = 9"),
        ({"outputs": numpy.full((9, 4), -3.0)}, "not logits"),
        ({"phase": 9}, "phase is the step of the delimiter, 0 … 8, got 9"),
        ({"locations": (3, 11)}, "stop <= 10"),
    ],
)
def test_memory_use_refuses_bad_input(change, message):
    with pytest.raises(ValueError, match=message):
        memory_use(**copy_trace() | change)


def test_head_parameters_draw_each_parameter_of_each_head():
    trace = told()
    figure = head_parameters(trace, phase=2)
    axes = figure.axes
    for column, head in enumerate(("write", "read")):
        for row, name in enumerate(("gate", "strength", "sharpening")):
            assert list(axes[4 * column + row].lines[0].get_ydata()) == list(trace[f"{head}_{name}"][:, 0])
        shift = axes[4 * column + 3]
        assert image(shift) == pytest.approx(trace[f"{head}_shift"].T)
        assert shift.images[0].get_clim() == (0, 1)
        assert axes[4 * column].get_title(loc="left") == f"{head} head"
    assert [label.get_text() for label in axes[3].get_yticklabels()] == ["−1", "0", "1"]
    for row in range(3):
        assert axes[row].get_ylim() == axes[4 + row].get_ylim()  # two heads, one scale
    assert {"gate g\neq. 7", "strength β\neq. 5", "sharpening γ\neq. 9", "shift s\neq. 8"} == {a.get_ylabel() for a in axes[:4]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"read_gate": numpy.zeros((5, 1))}, "read_gate must be .* with T = 6"),
        ({"write_gate": numpy.full((6, 1), 2.0)}, "write_gate must lie between 0 and 1"),
        ({"read_shift": numpy.zeros((6, 5))}, "read_shift must be .* with S = 3"),
    ],
)
def test_head_parameters_refuse_bad_traces(change, message):
    with pytest.raises(ValueError, match=message):
        head_parameters(told() | change)
    with pytest.raises(ValueError, match="lacks write_gate"):
        head_parameters({"read_gate": numpy.zeros((6, 1))})
    with pytest.raises(ValueError, match="phase"):
        head_parameters(told(), phase=6)


# --- ours ---


def test_initial_weightings_draw_both_starts_and_what_they_learn():
    figure = initial_weightings([run(80, 3, 0), run(70, 1, 0)], [run(80, 79, 78)], *START, chance=84)
    curves, one_hot, uniform = figure.axes
    for axes, start in ((one_hot, START[0]), (uniform, START[1])):
        assert [bar.get_height() for bar in axes.patches] == pytest.approx(list(start))
        assert axes.get_ylim()[1] == 1
    assert list(lines(curves, "start one-hot, median of 2 seeds")[0].get_ydata()) == [75, 2, 0]
    assert list(lines(curves, "start uniform, 1 seed")[0].get_ydata()) == [80, 79, 78]
    text = words(figure)
    for said in ("1.000 on location 0 of 16", "0.062 on each of 16", "one-hot\n2 seeds", "uniform\n1 seed", "guessing: 84 bits"):
        assert said in text


def test_initial_weightings_refuse_bad_input():
    with pytest.raises(ValueError, match=r"start_uniform must be .* with N = 16"):
        initial_weightings([run(1, 2)], [run(1, 2)], START[0], numpy.ones(3) / 3)
    with pytest.raises(ValueError, match="runs_uniform: no run"):
        initial_weightings([run(1, 2)], [], *START)


def test_wrong_bits_add_up_tests_of_equal_length():
    figure = wrong_bits_by_length(
        [("LSTM", 50, 100, 400), ("NTM-FF", 10, 0, 80), ("LSTM", 50, 60, 400), ("LSTM", 10, 0, 80)], trained=(1, 20)
    )
    (axes,) = figure.axes
    (line,) = lines(axes, "LSTM")
    assert line.get_xydata().tolist() == [[10, 0], [50, 0.2]]
    dots = next(dots for dots in axes.lines if dots.get_marker() == "o" and dots.get_color() == SYSTEMS["LSTM"])
    assert dots.get_xydata().tolist() == [[10, 0], [50, 0.15], [50, 0.25]]
    (shade,) = axes.patches
    assert (shade.get_x(), shade.get_width()) == (1, 19)
    for said in ("trained: 1…20", "LSTM  20 %", "NTM-FF  0 %", "guessing"):
        assert said in words(figure)
    assert axes.get_xlabel() == "length of the sequence (vectors)"


@pytest.mark.parametrize("row", [("LSTM", 0, 1, 8), ("LSTM", 5, 9, 8), ("LSTM", 5, 0, 0), ("LSTM", 5, -1, 8)])
def test_wrong_bits_refuse_bad_rows(row):
    with pytest.raises(ValueError, match="a row is"):
        wrong_bits_by_length([row])
    with pytest.raises(ValueError, match="no row"):
        wrong_bits_by_length([])
