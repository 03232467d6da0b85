"""Links: IBM model 1 against its own loops and against gold links, and the scores of attention."""

from collections import defaultdict
from itertools import pairwise
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymem.tasks.translation.alignment import agreement, alignment_error_rate, attended, learn_aligner, learn_word_table
from tinymem.tasks.translation.dates import DateTask
from tinymem.tasks.translation.libreoffice import libreoffice
from tinymem.tasks.translation.numbers import NumberTask
from tinymem.tasks.translation.pairs import Links, Pair

corpora = st.lists(
    st.tuples(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4), st.lists(st.sampled_from("wxyz"), min_size=1, max_size=4)),
    min_size=1,
    max_size=5,
)
links = st.frozensets(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=8)


def em(pairs, rounds):
    """Brown et al. 1993, model 1, word for word; "" is no word."""
    makes = {f for _, translation in pairs for f in translation}
    t = defaultdict(lambda: 1 / len(makes))
    likelihood = []
    for _ in range(rounds + 1):
        counts, totals, together = defaultdict(float), defaultdict(float), 0.0
        for sentence, translation in pairs:
            for f in translation:
                total = sum(t[f, e] for e in ["", *sentence])
                together += log(total / (len(sentence) + 1))
                for e in ["", *sentence]:
                    counts[f, e] += t[f, e] / total
                    totals[e] += t[f, e] / total
        likelihood.append(together)
        last, t = t, {(f, e): count / totals[e] for (f, e), count in counts.items()}
    return last, likelihood


@given(corpora, st.integers(1, 4))
def test_em_is_em(pairs, rounds):
    table = learn_word_table(pairs, rounds)
    expected, likelihood = em(pairs, rounds)
    np.testing.assert_allclose(table.likelihoods, likelihood)
    assert all(before <= after + 1e-9 for before, after in pairwise(table.likelihoods))
    for sentence, translation in pairs:
        found = table.probabilities(tuple(sentence), tuple(translation))
        np.testing.assert_allclose(found, [[expected[f, e] for e in ["", *sentence]] for f in translation])
    sums = np.bincount(table.keys // len(table.made), table.shares)
    np.testing.assert_allclose(sums, 1)


def test_a_word_that_is_not_known_has_no_link():
    table = learn_word_table([(("a", "b"), ("x", "y")), (("a",), ("x",)), (("b",), ("y",))])
    assert not table.probabilities(("c", "a"), ("z", "x"))[0].any()
    assert not table.probabilities(("c", "a"), ("z", "x"))[:, 1].any()
    assert table.links(("c", "a"), ("z", "x")) == {(1, 1)}


def test_words_that_occur_twice_are_linked_along_the_diagonal():
    table = learn_word_table([(("a", "b"), ("x", "y")), (("a",), ("x",)), (("b",), ("y",))] * 3)
    assert table.links(("a", "b", "a", "b"), ("x", "y", "x", "y")) == {(0, 0), (1, 1), (2, 2), (3, 3)}


def test_a_dictionary_is_found_in_shuffled_sentences():
    """Word w17 is always translated as v17, at any place: 30 words, 400 sentences."""
    rng = np.random.default_rng(0)
    pairs, gold = [], []
    for _ in range(400):
        numbers = rng.choice(30, 6, replace=False)
        order = rng.permutation(6)
        pairs.append(Pair(tuple(f"w{number}" for number in numbers), tuple(f"v{number}" for number in numbers[order])))
        gold.append(frozenset(enumerate(order.tolist())))
    aligner = learn_aligner(pairs)
    assert [aligner.links(pair).sure for pair in pairs] == gold


def test_gold_links_of_dates_are_found_and_most_of_those_of_numbers():
    for task, most in ((DateTask(), 0.0), (NumberTask(), 0.1)):
        pairs = task.pairs(np.random.default_rng(0), "train", 1000)
        aligner = learn_aligner(pairs)
        assert alignment_error_rate([aligner.links(pair).sure for pair in pairs], [pair.links for pair in pairs]) <= most


def test_links_of_libreoffice_agree_on_what_everybody_knows():
    corpus = libreoffice()
    aligner = learn_aligner(corpus.train)
    found = [aligner.links(pair) for pair in corpus.test]
    words = {(pair.source[j], pair.target[i]) for pair, some in zip(corpus.test, found, strict=True) for i, j in some.sure}
    assert {("file", "fichier"), ("the", "le"), ("table", "table"), (".", "."), ("opens", "ouvre"), ("select", "sélectionnez")} <= words
    assert sum(some.crossings > 0 for some in found) > 500
    assert sum(len(some.sure) for some in found) > 0.7 * sum(len(pair.target) for pair in corpus.test)
    likelihoods = aligner.forwards.likelihoods
    assert all(before < after for before, after in pairwise(likelihoods))


@given(st.lists(st.tuples(links, links, links), min_size=1, max_size=4))
def test_an_error_rate_is_between_0_and_1(drawn):
    found = [some for some, _, _ in drawn]
    gold = [Links(sure, sure | more) for _, sure, more in drawn]
    if not any(some or links.sure for some, links in zip(found, gold, strict=True)):
        with pytest.raises(ValueError, match="there is none"):
            alignment_error_rate(found, gold)
        return
    assert 0 <= alignment_error_rate(found, gold) <= 1
    if any(links.sure for links in gold):
        assert alignment_error_rate([links.sure for links in gold], gold) == 0
        assert alignment_error_rate([links.possible for links in gold], gold) == 0
        assert alignment_error_rate([set() for _ in gold], gold) == 1


def test_one_error_rate_by_hand():
    gold = Links(frozenset({(0, 0), (1, 1)}), frozenset({(0, 0), (1, 1), (1, 2)}))
    assert alignment_error_rate([{(0, 0), (1, 2), (2, 2)}], [gold]) == pytest.approx(1 - (1 + 2) / (3 + 2))


def test_one_agreement_by_hand():
    weights = np.array([[0.7, 0.2, 0.1, 0.0], [0.1, 0.5, 0.4, 0.0], [0.0, 0.1, 0.2, 0.7], [0.0, 0.0, 0.0, 1.0]])
    found = agreement([weights], [{(0, 0), (1, 2), (2, 1), (2, 0)}])
    assert (found.exact, found.near, found.words) == (1 / 3, 2 / 3, 3)  # the last word has no link, so nothing is asked of it
    assert found.mass == pytest.approx((0.7 + 0.4 + 0.1) / 3)
    assert attended(weights) == {(0, 0), (1, 1), (2, 3), (3, 3)}
    with pytest.raises(ValueError, match="no word has one"):
        agreement([weights], [set()])


@given(st.integers(0, 2**32 - 1))
def test_attention_on_the_links_agrees_with_them(seed):
    rng = np.random.default_rng(seed)
    pairs = NumberTask().pairs(rng, "test", 5)
    weights = []
    for pair in pairs:
        on = np.zeros((len(pair.target), len(pair.source) + 1))
        on[tuple(np.transpose(sorted(pair.links.possible)))] = 1.0
        weights.append(on / on.sum(1, keepdims=True))
    gold = [pair.links.possible for pair in pairs]
    found = agreement(weights, gold)
    assert (found.exact, found.near, found.words) == (1, 1, sum(len(pair.target) for pair in pairs))
    assert found.mass == pytest.approx(1)
    beside = agreement([np.roll(some, 1, 1) for some in weights], gold)
    assert beside.exact < 1
    assert beside.near == 1


def test_impossible_corpora_are_refused():
    with pytest.raises(ValueError, match="at least one pair"):
        learn_word_table([])
    with pytest.raises(ValueError, match="rounds 0"):
        learn_word_table([(("a",), ("x",))], 0)
