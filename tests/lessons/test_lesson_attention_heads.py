"""What was asked of the lesson on heads, in the numbers published with it."""

import math

import pytest

from tinymem.lesson import published

SEEDS = [0, 1, 2]


def rows(name):
    found = [row for row in published("attention-heads") if row.name == name]
    assert found, name
    return found


def values(name):
    """Of every seed."""
    assert [row.seed for row in rows(name)] == SEEDS
    return [row.value for row in rows(name)]


def value(name):
    (row,) = rows(name)
    return row.value


def test_every_seed_has_a_previous_token_head_and_an_induction_head():
    assert min(values("looking up, 2 layers: best previous-token head")) >= 0.75
    assert min(values("looking up, 2 layers: best induction head")) >= 0.95
    assert min(values("looking up, 2 layers: right after 1000 updates")) >= 99


def test_one_layer_only_guesses_among_the_values_it_has_seen():
    assert max(values("looking up, 1 layer: right after 1000 updates")) < 35
    assert max(values("looking up, 1 layer: best induction head")) < 0.3
    assert min(values("looking up, 1 layer: bits per asked word")) > 2.5 > 1000 * max(values("looking up, 2 layers: bits per asked word"))


def test_without_positions_there_is_no_previous_token_head_and_yet_it_learns():
    even = value("looking up, no positions: even weight on all keys so far")
    assert even == pytest.approx(sum(1 / n for n in range(1, 17)) / 16)
    assert all(math.isclose(found, even, abs_tol=0.05) for found in values("looking up, no positions: best previous-token head"))
    for right, with_positions in zip(
        values("looking up, no positions: right after 1000 updates"), values("looking up, 2 layers: right after 1000 updates"), strict=True
    ):
        assert 90 < right < with_positions


def test_without_its_previous_token_head_the_model_is_lost():
    without = [value(f"looking up, 2 layers without layer 1, head {head}: right") for head in (1, 2)]
    assert min(without) < 50 < max(values("looking up, 2 layers: right after 1000 updates"))


def best_head(of):
    found = [row for row in published("attention-heads") if row.name.startswith(f"{of}, best head")]
    assert found
    return found


def test_number_names_have_a_head_that_looks_at_the_linked_word():
    found = best_head("numbers")
    assert [row.seed for row in found] == SEEDS
    assert min(row.value for row in found) >= 0.8


def libreoffice(kind, layer, what):
    """Of every head."""
    return [value(f"LibreOffice, {kind}, layer {layer}, head {head}: {what}") for head in (1, 2, 3, 4)]


def test_the_encoders_heads_are_diffuse_and_rest_on_the_end():
    evenly = value("LibreOffice, encoder: entropy of even weights")
    for layer in (1, 2):
        assert all(evenly / 2 < found < evenly for found in libreoffice("encoder", layer, "entropy"))
    assert min(libreoffice("encoder", 1, "weight on <end>")) > 0.25  # even weights: about a tenth


def test_the_decoders_last_layer_looks_where_ibm_model_1_has_its_links():
    (best,) = best_head("LibreOffice")
    first, last = (value(f"LibreOffice, mean of layer {layer}: largest weight on the linked word") for layer in (1, 2))
    assert last >= best.value >= 0.7 > first
    assert max(libreoffice("cross", 2, "entropy")) < min(libreoffice("cross", 1, "entropy"))
