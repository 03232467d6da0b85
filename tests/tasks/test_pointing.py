"""Scores of attention on scenes, for attention whose score is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymem.tasks.pointing import object_mask, score_attention
from tinymem.tasks.scenes import OBJECT, Scene, SceneError, SceneTask, longest_caption

scenes_drawn = st.integers(0, 2**32 - 1).map(lambda seed: SceneTask().scene(np.random.default_rng(seed)))


def owl_and_key(x, y, other_x, other_y):
    return Scene().place("owl", x, y).place("key", other_x, other_y)


@given(scenes_drawn, st.integers(0, 1))
def test_the_mask_is_the_cells_that_the_object_touches(scene, number):
    mask, placed = object_mask(scene, number), scene.objects[number]
    touched = np.zeros((8, 8), bool)
    for y in range(placed.y, placed.y + OBJECT):
        for x in range(placed.x, placed.x + OBJECT):
            touched[y // 8, x // 8] = True
    np.testing.assert_array_equal(mask, touched)
    assert 9 <= mask.sum() <= 16


@given(scenes_drawn)
def test_a_wider_margin_holds_the_narrower_mask(scene):
    narrow, wide = object_mask(scene, 0, margin=4), object_mask(scene, 0, margin=12)
    assert (wide >= narrow).all()
    assert wide.sum() > narrow.sum()


def weights_on(scenes, chosen):
    """All attention on one location for each word: chosen(scene, object named) -> (row, column)."""
    weights = np.zeros((longest_caption(), len(scenes), 64))
    for lane, scene in enumerate(scenes):
        for time, number in enumerate(scene.about):
            row, column = chosen(scene, number)
            weights[time, lane, row * 8 + column] = 1
    return weights


def centre(scene, number):
    placed = scene.objects[max(number, 0)]
    return (placed.y + OBJECT // 2) // 8, (placed.x + OBJECT // 2) // 8


def test_attention_on_the_right_and_on_the_other_object_scores_1_and_0():
    scenes = [owl_and_key(0, 0, 40, 0), owl_and_key(0, 40, 3, 0)]
    right = score_attention(scenes, weights_on(scenes, centre))
    assert (right.mass, right.pointing, right.words) == (1, 1, 4)
    wrong = score_attention(scenes, weights_on(scenes, lambda scene, number: centre(scene, 1 - max(number, 0))))
    assert (wrong.mass, wrong.pointing) == (0, 0)
    half = score_attention(scenes, 0.25 * weights_on(scenes, centre) + 0.75 * weights_on(scenes, lambda *_: (7, 7)))
    assert (half.mass, half.pointing) == (0.25, 0)


def test_words_that_name_no_object_do_not_count():
    scenes = [owl_and_key(0, 0, 40, 0)]
    weights = weights_on(scenes, centre)
    for time, number in enumerate(scenes[0].about):
        if number < 0:
            weights[time] = np.nan
    assert score_attention(scenes, weights).mass == 1


def test_even_attention_and_random_pointing_have_the_stated_chance():
    scenes, rng = SceneTask().scenes(np.random.default_rng(0), 400), np.random.default_rng(1)
    even = score_attention(scenes, np.full((longest_caption(), 400, 64), 1 / 64))
    assert even.mass == pytest.approx(even.chance, rel=1e-12)
    assert 0.14 < even.chance < 0.2
    random = score_attention(scenes, rng.random((longest_caption(), 400, 64)))
    error = (even.chance * (1 - even.chance) / random.words) ** 0.5
    assert abs(random.pointing - random.chance) < 3 * error
    assert random.chance == even.chance


@pytest.mark.parametrize("shape", [(8, 2, 60), (8, 3, 64), (5, 2, 64), (8, 64), (8, 2, 8, 8)])
def test_weights_that_do_not_belong_to_the_scenes_are_refused(shape):
    with pytest.raises(SceneError, match=r"weights must be \(time, batch, locations of a square grid\)"):
        score_attention([owl_and_key(0, 0, 40, 0)] * 2, np.zeros(shape))


def test_there_is_no_third_object():
    with pytest.raises(SceneError, match="the objects 0 … 1, got 2"):
        object_mask(owl_and_key(0, 0, 20, 0), 2)
