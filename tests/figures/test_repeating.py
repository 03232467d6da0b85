"""What the figures of the repeat copy draw: bits, markers, the first end, the jump back."""

from __future__ import annotations

import numpy
import pytest
from test_figures import image, panel, require_readable, words

from tinymem.figures import save
from tinymem.figures.repeating import end_markers, jumps_back, repeat_generalisation, repeat_memory_use
from tinymem.figures.style import SYSTEMS, VERMILLION


def answers(length: int = 4, repeats: int = 3, bits: int = 3, wrong: int = 0, ends: tuple[int, ...] | None = None) -> tuple:
    """(targets, outputs): the first `wrong` bits of the outputs are wrong, the end marker is raised at the steps `ends`."""
    rng = numpy.random.default_rng(length)
    targets = numpy.zeros((length * repeats + 1, bits + 1))
    targets[:-1, :-1] = numpy.tile(rng.integers(0, 2, (length, bits)), (repeats, 1))
    targets[-1, -1] = 1
    outputs = numpy.abs(targets - 0.1)
    flat = outputs[:, :-1].ravel()
    flat[:wrong] = 1 - flat[:wrong]
    outputs[:, :-1] = flat.reshape(-1, bits)
    if ends is not None:
        outputs[:, -1] = 0.2
        outputs[list(ends), -1] = 0.8
    return targets, outputs


def episodes() -> list:
    found = []
    for length, repeats in ((8, 3), (4, 6)):
        targets, right = answers(length, repeats)
        _, bad = answers(length, repeats, wrong=5, ends=(10, 12))
        found.append((length, repeats, targets, {"NTM-LSTM": right, "LSTM": bad}))
    return found


def one_jump(length: int = 4, repeats: int = 3, locations: int = 12, start: int = 2, way: int = 1) -> numpy.ndarray:
    """The read weightings of a head that goes `way` from `start`, a step ahead, and from the extra location back to the second."""
    at = [0] * length + [start]
    for _ in range(repeats):
        at += [start + way * step for step in range(1, length + 1)]
    return numpy.eye(locations)[numpy.array([*at, start + way * (length + 1)]) % locations]


def used(length: int = 4, repeats: int = 3) -> dict:
    rng = numpy.random.default_rng(0)
    steps = length + 1 + length * repeats + 1
    reading = one_jump(length, repeats)
    writing = numpy.eye(12)[numpy.minimum(numpy.arange(steps) + 2, length + 2)]
    return {
        "inputs": rng.uniform(0, 1, (steps, 5)), "outputs": rng.uniform(0, 1, (steps, 4)), "adds": rng.normal(size=(steps, 3)),
        "reads": rng.normal(size=(steps, 3)), "write_weightings": writing, "read_weightings": reading, "phase": length,
    }  # fmt: skip


def counts() -> dict:
    right = numpy.eye(7)[1:]
    early = numpy.eye(7)[[1, 2, 3, 4, 4, 4]]
    return {"NTM-LSTM": early, "LSTM": right * 0.5}


DRAWINGS = {
    "repeat_generalisation": lambda: repeat_generalisation(episodes()),
    "end_markers": lambda: end_markers(counts(), trained=3),
    "repeat_memory_use": lambda: repeat_memory_use(**used()),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_text_is_clipped_or_small_or_lies_on_another(name):
    require_readable(DRAWINGS[name](), 8)


@pytest.mark.parametrize("name", DRAWINGS)
def test_saving_twice_gives_the_same_bytes(name, tmp_path):
    first, second = (save(DRAWINGS[name](), tmp_path / folder, name) for folder in ("one", "two"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


# --- Fig. 8 ---


def images(figure) -> list:
    return [axes for axes in figure.axes if axes.images and axes.get_label() != "colour bar"]


def test_generalisation_draws_bits_and_marker_apart_on_one_time_scale():
    given = episodes()
    shown = images(repeat_generalisation(given))
    assert len(shown) == 2 * 3 * 2  # episodes × (targets, two systems) × (bits, end marker)
    for column, (_, _, targets, outputs) in enumerate(given):
        drawn = shown[6 * column : 6 * column + 6]
        for pair, values in zip((drawn[0:2], drawn[2:4], drawn[4:6]), (outputs["LSTM"], outputs["NTM-LSTM"], targets), strict=True):
            bits, end = pair
            assert image(bits) == pytest.approx(values[:, :-1].T)
            assert image(end) == pytest.approx(values[:, -1:].T)
            assert bits.images[0].get_clim() == end.images[0].get_clim() == (0, 1)
            assert end.get_position().y0 > bits.get_position().y1
    steps = {image(axes).shape[1]: axes.get_position().width for axes in shown}
    assert len({width / count for count, width in steps.items()}) == 1 or numpy.ptp([w / c for c, w in steps.items()]) < 1e-9


def test_generalisation_marks_every_end_marker_and_says_when_the_first_came():
    targets, outputs = answers(4, 3, wrong=5, ends=(8, 12))
    figure = repeat_generalisation([(4, 3, targets, {"NTM-FF": outputs})])
    triangles = [(line.get_color(), list(line.get_xdata())) for axes in figure.axes for line in axes.lines if line.get_marker() == "v"]
    assert [found for found in triangles if found[1]] == [("black", [13]), (VERMILLION, [9]), ("black", [13])]  # outputs, then targets
    text = words(figure)
    for said in (
        "length 4, repeated 3 times",
        "5 of 39 bits wrong",
        "2 end markers, the first after 2 repeats",
        "Targets",
        "NTM-FF",
        "end",
    ):
        assert said in text
    (label,) = [axes.yaxis.label for axes in figure.axes if axes.get_ylabel() == "NTM-FF"]
    assert label.get_color() == SYSTEMS["NTM-FF"]


@pytest.mark.parametrize(
    ("ends", "said"), [((), "no end marker"), ((12,), "end marker after 3 repeats"), ((7,), "end marker after 1.75 repeats")]
)
def test_generalisation_says_what_became_of_the_end(ends, said):
    targets, outputs = answers(4, 3, ends=ends)
    figure = repeat_generalisation([(4, 3, targets, {"LSTM": outputs})])
    (text,) = [text for text in figure.texts if text.get_text() == said]
    assert (text.get_color() == VERMILLION) == (ends != (12,))
    assert "0 of 39 bits wrong" in words(figure)


def test_generalisation_draws_the_share_of_wrong_bits_of_each_step():
    targets, outputs = answers(4, 3, wrong=5)
    figure = repeat_generalisation([(4, 3, targets, {"LSTM": outputs})])
    (shares,) = [axes for axes in figure.axes if axes.get_ylabel() == "wrong"]
    outline = shares.collections[0].get_paths()[0].vertices
    assert outline[:, 1].max() == 1
    assert set(numpy.round(outline[:, 1], 6)) == {0.0, round(2 / 3, 6), 1.0}  # three wrong bits in the first step, two in the second


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: (one[0], one[1] + 1, *one[2:]), "4 repeats of 8 vectors and an end have 33 steps, got 25"),
        (lambda one: (*one[:3], {}), "no system's outputs"),
        (lambda one: (*one[:3], {"GRU": one[3]["LSTM"], "LSTM": one[3]["LSTM"]}), "no colour is fixed for the system 'GRU'"),
        (lambda one: (*one[:3], {"LSTM": one[3]["LSTM"]}), "the outputs of the same systems"),
        (lambda one: (*one[:3], {name: values * 9 for name, values in one[3].items()}), "not logits"),
        (lambda one: (*one[:3], {name: values[:-1] for name, values in one[3].items()}), "outputs of NTM-LSTM in episode 0 must be"),
    ],
)
def test_generalisation_refuses_bad_episodes(change, message):
    first, second = episodes()
    with pytest.raises(ValueError, match=message):
        repeat_generalisation([change(first), second])
    with pytest.raises(ValueError, match="no episode"):
        repeat_generalisation([])


# --- the count ---


def test_end_markers_frame_the_diagonal_and_say_what_was_trained():
    given = counts()
    figure = end_markers(given, trained=3)
    for name in given:
        axes = panel(figure, name)
        assert image(axes) == pytest.approx(given[name])
        assert axes.images[0].get_clim() == (0, 1)
        assert axes.images[0].get_extent() == [-0.5, 6.5, 0.5, 6.5]  # columns from 0 repeats, rows from 1 asked for
        assert [(frame.get_x(), frame.get_y()) for frame in axes.patches] == [(asked - 0.5, asked - 0.5) for asked in range(1, 7)]
        assert [line.get_ydata()[0] for line in axes.lines] == [3.5]
    assert "trained up to 3" in words(figure)


def test_end_markers_refuse_what_is_no_share():
    with pytest.raises(ValueError, match=r"the sum of a row of counts\['LSTM'\] must lie between 0 and 1"):
        end_markers({"LSTM": numpy.full((3, 4), 0.5)}, trained=2)
    with pytest.raises(ValueError, match=r"counts\['LSTM'\] must be .* \(asked, listened\)"):
        end_markers({"LSTM": numpy.zeros(3)}, trained=2)
    with pytest.raises(ValueError, match="no machine"):
        end_markers({}, trained=2)


# --- Fig. 9 ---


@pytest.mark.parametrize("way", [1, -1])
@pytest.mark.parametrize("repeats", [1, 2, 5])
def test_a_jump_is_where_the_head_leaves_its_usual_way(way, repeats):
    length, start, locations = 4, 2, 12
    found = jumps_back(one_jump(length, repeats, locations, start, way), length)
    assert found == [(length + length * repeat, (start + way * length) % locations) for repeat in range(1, repeats)]


def test_a_jump_over_a_step_without_a_place_begins_at_the_last_place():
    reading = one_jump(repeats=3)
    blurred = numpy.insert(reading, [9, 13], numpy.full(12, 1 / 12), axis=0)  # nowhere, then back
    assert [place for _, place in jumps_back(blurred, 4)] == [6, 6]
    assert jumps_back(blurred, 4)[0] == (8, 6)


def test_a_head_that_goes_on_never_jumps():
    assert jumps_back(numpy.eye(20)[numpy.arange(18)], 4) == []
    with pytest.raises(ValueError, match="read_weightings must be"):
        jumps_back(numpy.zeros(4), 1)


def test_memory_use_rings_the_goto_where_it_is_read_and_where_it_was_written():
    given = used()
    figure = repeat_memory_use(**given, locations=(0, 9))
    rings = {name: [tuple(line.get_xydata()[0]) for line in panel(figure, name).lines if line.get_marker() == "o"]
             for name in ("Read weightings", "Write weightings")}  # fmt: skip
    assert rings == {"Read weightings": [(8, 6), (12, 6)], "Write weightings": [(4, 6)]}
    assert image(panel(figure, "Read weightings")) == pytest.approx(given["read_weightings"][:, :9].T)
    text = words(figure)
    for said in ("for each repeat do", "    return head to start location", "emit end marker", "○ goto: read before a jump back"):
        assert said in text


def test_memory_use_rings_nothing_where_there_is_no_jump():
    given = used(repeats=1)
    figure = repeat_memory_use(**given)
    assert "goto" not in words(figure)
    elsewhere = used() | {"write_weightings": numpy.eye(12)[[0] * 18]}
    assert [line for line in panel(repeat_memory_use(**elsewhere), "Write weightings").lines if line.get_marker() == "o"] == []
