"""What was asked of the lesson on the Transformer, in the numbers published with it."""

import pytest

from tinymem.lesson import published

ALL, CLEAN = "all test sentences", "clean test sentences"
SEEDS = [0, 1, 2]


def rows(name):
    found = [row for row in published("transformer") if row.name == name]
    assert found, name
    return found


def of_three_seeds(name):
    found = rows(name)
    assert [row.seed for row in found] == SEEDS
    return [row.value for row in found]


def one(name):
    (row,) = rows(name)
    return row.value


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("how", ["greedy", "beam of 4"])
def test_libreoffice_is_translated_better_than_asked_and_than_by_the_recurrent_translator(norm, how):
    for which, asked, count in ((ALL, 51, 1000), (CLEAN, 43, 588)):
        (row,) = rows(f"LibreOffice, Transformer, {norm}-norm, {how}: BLEU of {which}")
        assert row.value >= asked
        assert row.n == count
        recurrent = {row.name: row.value for row in published("translation")}
        assert row.paper == recurrent[f"LibreOffice, additive attention, {how}: BLEU of {which}"]
        assert row.value > row.paper


def test_without_positions_most_numbers_are_wrong():
    with_them = of_three_seeds("number names, 300 updates, 4 heads: translated without a mistake")
    without = of_three_seeds("number names, 300 updates, no positions: translated without a mistake")
    assert max(without) < 25 < 75 < min(with_them)


def test_the_number_of_heads_decides_little():
    means = {
        heads: sum(of_three_seeds(f"number names, 300 updates, {heads}: translated without a mistake")) / 3
        for heads in ("1 head", "2 heads", "4 heads", "8 heads")
    }
    assert max(means.values()) - min(means.values()) < 15
    assert min(means, key=means.get) == "8 heads"  # four features each are few


def test_two_layers_learn_with_residual_and_norm_alone():
    for layers in range(1, 7):
        name = f"{layers} layer{'s' * (layers > 1)}"
        both = of_three_seeds(f"number names, {name}, residual + norm: translated without a mistake")
        neither = of_three_seeds(f"number names, {name}, neither: translated without a mistake")
        assert min(both) > 40
        assert min(both) > max(neither) + 25
        assert layers == 1 or max(neither) < 1


def test_without_residual_and_norm_no_gradient_reaches_the_decoders_first_layer():
    assert one("six layers, before training, neither: gradient of the decoder's first layer / of its last") < 1e-9
    assert one("six layers, before training, residual + norm: gradient of the decoder's first layer / of its last") > 0.05


def test_a_further_word_costs_little_more_after_a_thousand_if_keys_and_values_are_kept():
    kept, again = ([one(f"the next word after {n}, {told}") for n in (8, 1024)] for told in ("keys and values kept", "from the start"))
    assert kept[1] < 2.5 * kept[0]
    assert again[1] > 100 * again[0]


def test_the_product_of_two_encodings_depends_on_their_offset_alone():
    assert one("PE(pos) · PE(pos + k): largest difference between three pos, |k| <= 50") < 1e-9
