"""Emoji scenes: captions against positions, pictures against objects, and disjoint splits."""

import zlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymem.tasks.scenes import (
    ARTISTS,
    END,
    FURTHEST,
    OBJECT,
    SIZE,
    CropTask,
    Scene,
    SceneError,
    SceneTask,
    background,
    captions_of,
    decode,
    emoji,
    encode,
    longest_caption,
    named,
    object_number,
    pictures_of,
    require_pictures,
    shown,
    split_of,
    vocabulary,
)

seeds = st.integers(0, 2**32 - 1)
splits = st.sampled_from(["train", "validation", "test"])


@st.composite
def drawn(draw, split=None):
    return SceneTask().scene(np.random.default_rng(draw(seeds)), split or draw(splits))


def owl_and_key(x, y, other_x, other_y):
    return Scene().place("owl", x, y).place("key", other_x, other_y)


# --- what is shipped ---


def test_there_are_48_objects_of_two_artists():
    assert len(set(emoji().words)) == 48
    for artist in ARTISTS:
        pictures = emoji().pictures[artist]
        assert pictures.shape == (48, OBJECT, OBJECT, 4)
        assert pictures.dtype == np.float32
        assert 0 <= pictures.min() < pictures.max() <= 1
        assert (pictures[..., 3].mean((1, 2)) > 0.1).all()  # none is blank
    flat = np.concatenate([emoji().pictures[artist].reshape(48, -1) for artist in ARTISTS])
    assert len(np.unique(flat, axis=0)) == 96  # nor do two artists share one


def test_the_lectures_four_pictures_are_held_out():
    assert [scene.caption for scene in shown().values()] == [
        "a stop sign left of a red car",
        "a mountain above a house",
        "a bird above a wave",
        "a man left of a phone",
    ]
    for scene in shown().values():
        assert split_of(scene.caption) == "test"
        assert scene.is_decisive


# --- captions ---


@given(drawn())
def test_the_caption_agrees_with_the_positions(scene):
    words = scene.caption.split()
    above = "above" in words
    place = words.index("above" if above else "left")
    first, second = (" ".join(part[1:]) for part in (words[:place], words[place + (1 if above else 2) :]))
    at = {placed.word: placed for placed in scene.objects}
    assert set(at) == {first, second}
    dx, dy = at[second].x - at[first].x, at[second].y - at[first].y
    assert dy > abs(dx) if above else dx > abs(dy)


@pytest.mark.parametrize(
    ("places", "caption"),
    [
        ((0, 0, 30, 0), "an owl left of a key"),
        ((30, 0, 0, 0), "a key left of an owl"),
        ((0, 0, 0, 30), "an owl above a key"),
        ((0, 30, 0, 0), "a key above an owl"),
        ((10, 0, 31, 20), "an owl left of a key"),  # 21 to the right, 20 down
        ((0, 0, 20, 21), "an owl above a key"),
        ((0, 30, 30, 0), "an owl left of a key"),  # equally far: left of
    ],
)
def test_the_rule_of_the_caption(places, caption):
    assert owl_and_key(*places).caption == caption


def test_the_article_is_that_of_the_word():
    assert [" ".join(named(word)) for word in ("red apple", "owl", "umbrella", "grapes", "stop sign")] == [
        "a red apple", "an owl", "an umbrella", "some grapes", "a stop sign",
    ]  # fmt: skip


@given(drawn())
def test_each_word_says_which_object_it_names(scene):
    for number, placed in enumerate(scene.objects):
        assert " ".join(word for word, about in zip(scene.words, scene.about, strict=True) if about == number) == placed.word


def test_every_word_has_one_number():
    words = vocabulary()
    assert len(set(words)) == len(words)
    assert words[0] == END
    assert decode(encode(words)) == list(words)
    used = {word for name in emoji().words for word in named(name)}
    assert used | {END, "above", "left", "of"} == set(words)
    with pytest.raises(SceneError, match="no caption has the word 'dragon'"):
        encode(["a", "dragon"])


@given(st.lists(drawn(), min_size=1, max_size=4))
def test_a_batch_of_captions_is_for_teacher_forcing(scenes):
    batch = captions_of(scenes)
    for lane, scene in enumerate(scenes):
        length = len(scene.words) + 1
        assert decode(batch.targets[:length, lane]) == [*scene.words, END]
        assert decode(batch.inputs[:length, lane]) == [END, *scene.words]
        assert batch.mask[:, lane].tolist() == [1] * length + [0] * (len(batch.mask) - length)
        assert length == batch.lengths[lane] <= longest_caption()
        assert not batch.targets[length:, lane].any()
    assert batch.mask[-1].any()
    assert captions_of(scenes, longest_caption()).targets.shape == (longest_caption(), len(scenes))


def test_a_caption_that_does_not_fit_is_refused():
    with pytest.raises(SceneError, match="has 9 words with its <end>, more than time = 8"):
        captions_of([Scene().place("red car", 0, 0).place("blue car", 30, 0)], 8)
    with pytest.raises(ValueError, match="at least one"):
        captions_of([])


# --- pictures ---


@given(drawn())
def test_both_objects_are_inside_and_apart(scene):
    first, second = scene.objects
    assert first.word != second.word
    for placed in scene.objects:
        assert 0 <= placed.x <= SIZE - OBJECT
        assert 0 <= placed.y <= SIZE - OBJECT
    assert max(abs(first.x - second.x), abs(first.y - second.y)) >= OBJECT
    assert scene.is_decisive


@given(drawn())
def test_a_picture_is_its_background_but_for_the_objects(scene):
    picture, empty = scene.picture(), Scene(background=scene.background).picture()
    assert picture.shape == (SIZE, SIZE, 3)
    assert picture.dtype == np.float32
    assert 0 <= picture.min() <= picture.max() <= 1
    bare = np.ones((SIZE, SIZE), bool)
    for placed in scene.objects:
        box = slice(placed.y, placed.y + OBJECT), slice(placed.x, placed.x + OBJECT)
        bare[box] = False
        painted = emoji().pictures[placed.artist][object_number(placed.word)]
        opaque = painted[..., 3] == 1
        np.testing.assert_allclose(picture[box][opaque], painted[opaque][:, :3], atol=1 / 255)
        np.testing.assert_array_equal(picture[box][painted[..., 3] == 0], empty[box][painted[..., 3] == 0])
    np.testing.assert_array_equal(picture[bare], empty[bare])


@given(drawn())
def test_a_picture_survives_eight_bits(scene):
    picture = scene.picture()
    np.testing.assert_array_equal((picture * 255).round().astype(np.uint8) / np.float32(255), picture)


@given(seeds)
def test_a_background_follows_from_its_seed_and_is_no_plain_colour(seed):
    np.testing.assert_array_equal(background(seed), background(seed))
    assert background(seed).std() > 0.02


def test_pictures_are_checked_before_a_model_sees_them():
    picture = owl_and_key(0, 0, 30, 0).picture()
    np.testing.assert_array_equal(require_pictures(picture), picture[None])
    assert require_pictures(picture.astype(float)).dtype == np.float32
    with pytest.raises(SceneError, match=r"64 × 64 pixels of 3 colours, shape \(64, 64, 3\); got shape \(32, 64, 3\)"):
        require_pictures(picture[:32])
    with pytest.raises(SceneError, match="got uint8; write picture / 255"):
        require_pictures((picture * 255).astype(np.uint8))
    for wrong in (-0.1, 1.1, np.nan):
        with pytest.raises(SceneError, match="lie in 0 … 1, got"):
            require_pictures(np.full_like(picture, wrong))


# --- splits and draws ---


@given(seeds, splits)
def test_a_drawn_scene_belongs_to_the_split_asked_for(seed, split):
    scene = SceneTask().scene(np.random.default_rng(seed), split)
    assert split_of(scene.caption) == split


def test_no_caption_is_in_two_splits_and_all_splits_have_some():
    rng = np.random.default_rng(0)
    found = {split: {scene.caption for scene in SceneTask().scenes(rng, 60, split)} for split in ("train", "validation", "test")}
    assert not found["train"] & found["test"]
    assert not found["train"] & found["validation"]
    assert not found["validation"] & found["test"]


def test_a_split_is_for_ever():
    """Written down once: a change would let trained captions into the test of a shipped checkpoint."""
    captions = [
        f"{' '.join(named(first))} {relation} {' '.join(named(second))}"
        for relation in ("above", "left of")
        for first in emoji().words
        for second in emoji().words
        if first != second
    ]
    splits = [split_of(caption) for caption in captions]
    assert Counter(splits) == {"train": 3642, "validation": 440, "test": 430}
    assert zlib.crc32(" ".join(splits).encode()) == 3160771410


def test_the_same_generator_gives_the_same_scenes():
    draws = [SceneTask().scenes(np.random.default_rng(5), 4) for _ in range(2)]
    assert draws[0] == draws[1]
    np.testing.assert_array_equal(pictures_of(draws[0]), pictures_of(draws[1]))


@pytest.mark.parametrize("artist", ARTISTS)
def test_one_artist_alone_can_be_asked_for(artist):
    scenes = SceneTask(artist).scenes(np.random.default_rng(0), 20)
    assert {placed.artist for scene in scenes for placed in scene.objects} == {artist}


def test_objects_relations_and_places_are_drawn_evenly():
    scenes = SceneTask().scenes(np.random.default_rng(0), 1500)
    words = [placed.word for scene in scenes for placed in scene.objects]
    assert {words.count(word) > 30 for word in emoji().words} == {True}  # 62.5 expected of each
    assert abs(np.mean([scene.is_above for scene in scenes]) - 0.5) < 0.05
    assert abs(np.mean([scene.in_order[0] for scene in scenes]) - 0.5) < 0.05  # nor does the first placed come first
    places = {(placed.x, placed.y) for scene in scenes for placed in scene.objects}
    assert {min(place[axis] for place in places) for axis in (0, 1)} == {0}
    assert {max(place[axis] for place in places) for axis in (0, 1)} == {FURTHEST}
    assert abs(np.mean([placed.artist == "noto" for scene in scenes for placed in scene.objects]) - 0.5) < 0.05


# --- crops ---


@given(seeds, splits, st.sampled_from([20, 32, 39]))
def test_a_crop_is_a_piece_of_a_scene_with_its_object_inside(seed, split, side):
    crops = CropTask(side=side).batch(np.random.default_rng(seed), 3, split)
    assert crops.pictures.shape == (3, side, side, 3)
    assert crops.pictures.dtype == np.float32
    for picture, number in zip(crops.pictures, crops.classes, strict=True):
        found = []
        for artist in ARTISTS:
            painted = emoji().pictures[artist][number]
            opaque = painted[..., 3] == 1
            for y, x in np.ndindex(side - OBJECT + 1, side - OBJECT + 1):
                found.append(np.abs(picture[y : y + OBJECT, x : x + OBJECT][opaque] - painted[opaque][:, :3]).max() < 1.1 / 255)
        assert any(found)


def test_a_crop_is_nowhere_in_particular():
    task = CropTask()
    assert task.classes == 48
    crops = task.batch(np.random.default_rng(0), 500)
    assert len(set(crops.classes.tolist())) == 48


# --- scenes built by hand ---


def test_placing_makes_a_new_scene():
    empty = Scene()
    one = empty.place("owl", 0, 0)
    assert (len(empty.objects), len(one.objects)) == (0, 1)
    assert one.place("key", 40, 0, artist="twemoji").objects[1].artist == "twemoji"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Scene().place("apple", 0, 0), "no object 'apple'; did you mean 'red apple' or 'green apple'"),
        (lambda: Scene().place("moutain", 0, 0), "no object 'moutain'; did you mean 'mountain'"),
        (lambda: Scene().place("xyzq", 0, 0), "no object 'xyzq'; the objects are: stop sign, mountain"),
        (lambda: Scene().place("owl", 45, 0), r"owl at x = 45, y = 0 does not lie inside the picture.* whole numbers in 0 … 44"),
        (lambda: Scene().place("owl", 0, -1), "does not lie inside the picture"),
        (lambda: Scene().place("owl", 1.5, 0), "whole numbers"),
        (lambda: Scene().place("owl", 0, 0, artist="apple"), "the artists are noto and twemoji, got 'apple'"),
        (lambda: owl_and_key(0, 0, 19, 19), "key at x = 19, y = 19 overlaps owl at x = 0, y = 0: move one of them until they are 20"),
        (lambda: owl_and_key(0, 0, 20, 0).place("bee", 40, 40), "two objects, and this one has its: an owl left of a key"),
        (lambda: Scene().place("owl", 0, 0).caption, "a caption needs two objects, this scene has 1"),
        (lambda: Scene().words, "this scene has 0"),
        (lambda: Scene().is_above, "this scene has 0"),
        (lambda: Scene().place("owl", 0, 0).is_decisive, "this scene has 1"),
        (lambda: SceneTask("picasso"), "artist must be 'both', 'noto' or 'twemoji', got 'picasso'"),
        (lambda: SceneTask().scene(np.random.default_rng(0), "dev"), "the splits are train, validation, test, got 'dev'"),
        (lambda: CropTask(side=40), "a side of 20 … 39 pixels, got 40"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_what_would_do(build, message):
    with pytest.raises(SceneError, match=message):
        build()


def test_objects_that_touch_do_not_overlap():
    assert owl_and_key(0, 0, 20, 19).caption == "an owl left of a key"
    assert owl_and_key(19, 0, 0, 20).caption == "an owl above a key"
