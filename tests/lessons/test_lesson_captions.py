"""What was asked of the lesson on captions, in the numbers published with it."""

import json
import math

import pytest

from tinymem.lesson import lesson_files

PUBLISHED = lesson_files()["captions"].parent / "checkpoints" / "captions" / "results.json"
SEEDS = [0, 1, 2]


def rows(name):
    found = [row for row in json.loads(PUBLISHED.read_text())["rows"] if row["name"] == name]
    assert found, name
    return found


def of_three_seeds(name):
    found = rows(name)
    assert [row["seed"] for row in found] == SEEDS
    return [row["value"] for row in found]


def one(name):
    (row,) = rows(name)
    return row["value"]


def test_soft_attention_writes_most_captions_word_for_word():
    assert min(of_three_seeds("soft: exact captions")) >= 70
    assert {row["n"] for row in rows("soft: exact captions")} == {500}


def test_without_attention_few_captions_are_right():
    """One caption of four is a guess for whoever knows both objects, and the place of neither."""
    assert one("start: exact captions, mean of the seeds") < 15
    for name in ("start", "none"):
        assert max(of_three_seeds(f"{name}: exact captions")) < 20
        assert max(of_three_seeds(f"{name}: both objects named")) < 60
    assert max(of_three_seeds("none: BLEU")) < min(of_three_seeds("soft: BLEU")) - 30


@pytest.mark.xfail(
    strict=True, reason="the mean annotation at every word names more objects than in the first state alone: one caption of six"
)
def test_the_mean_annotation_at_every_word_makes_fewer_than_fifteen_of_a_hundred_right():
    assert max(of_three_seeds("none: exact captions")) < 15


def test_soft_attention_points_at_what_it_names():
    pointing = of_three_seeds("soft: pointing")
    assert sum(pointing) / 3 >= 85
    assert min(pointing) > 3 * one("chance: attention on the object, pointing")
    assert 10 < one("chance: attention on the object, pointing") < 25


@pytest.mark.xfail(strict=True, reason="seed 2 writes as well as the others, and often looks beside the object: 78 %")
def test_every_soft_decoder_points_at_what_it_names():
    assert min(of_three_seeds("soft: pointing")) >= 85


def test_soft_attention_is_ahead_and_hard_attention_is_surer_with_the_expectation():
    hard = {way: of_three_seeds(f"hard, by {way}: exact captions") for way in ("draws", "expectation")}
    assert min(of_three_seeds("soft: exact captions")) > max(hard["expectation"])
    assert all(few < more for few, more in zip(hard["draws"], hard["expectation"], strict=True))
    assert max(of_three_seeds("soft: held-out bits after 1500 updates")) < min(of_three_seeds("hard: held-out bits after 1500 updates"))


def test_hard_attention_by_draws_alone_beats_its_control_in_every_seed():
    hard, control = of_three_seeds("hard, by draws: exact captions"), of_three_seeds("control, by draws: exact captions")
    assert min(hard) >= 45
    gains = of_three_seeds("hard - its control: exact captions by draws")
    assert min(gains) >= 10
    for with_term, without, gain in zip(hard, control, gains, strict=True):
        assert math.isclose(with_term - without, gain)


def test_half_soft_minibatches_owe_little_to_reinforce():
    """The published recipe's success is its soft half's: without the REINFORCE term it is as good, but for a few captions."""
    assert max(map(abs, of_three_seeds("half soft - its control: exact captions by draws"))) < 10


def test_credit_for_the_own_word_brings_more_than_the_sentences_and_both_beat_the_control():
    assert min(of_three_seeds("hard, by draws: exact captions")) > max(of_three_seeds("hard to train, sentence: exact captions by draws"))
    assert min(of_three_seeds("sentence - its control: exact captions by draws")) >= 10
    assert one("own word - sentence: exact captions by draws, mean of the seeds") > 5


def test_from_scratch_reinforce_does_not_get_far():
    for name in ("scratch, own word", "scratch, sentence", "scratch, control"):
        assert one(f"hard to train, {name}: exact captions by draws") < 45


def test_a_baseline_makes_the_toys_estimate_vary_less():
    with_baseline, without = (one(f"toy, L = 9, {name}: variance / |exact gradient|²") for name in ("mean reward", "no baseline"))
    assert 0 < with_baseline < without / 2


def test_the_penalty_takes_attention_from_the_objects():
    assert one("soft, λ = 1: attention on the object") < one("chance: attention on the object, pointing")
    assert min(of_three_seeds("soft: attention on the object")) > 50


def test_an_artist_never_seen_is_harder():
    known, unknown = (one(f"trained on Noto, tested on {artist}: exact captions") for artist in ("noto", "twemoji"))
    assert unknown < known


@pytest.mark.parametrize("artists", ["both artists", "Noto alone"])
def test_the_encoders_name_the_objects(artists):
    assert one(f"encoder, {artists}: crops of test scenes named") > 95
