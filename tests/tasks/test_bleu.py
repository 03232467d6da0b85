"""BLEU: by hand, by its invariances, and against sacrebleu."""

from math import exp

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tinymem.tasks.bleu import bleu, ngrams

sentences = st.lists(st.sampled_from("abcde"), max_size=9)
corpora = st.lists(st.tuples(sentences, sentences), min_size=1, max_size=6)


def of(translations, references, **smoothing):
    return bleu([text.split() for text in translations], [text.split() for text in references], **smoothing)


def test_an_ngram_is_right_at_most_as_often_as_the_reference_has_it():
    """The example of the paper: p_1 is 2/7, not 7/7."""
    found = of(["the the the the the the the"], ["the cat is on the mat"])
    assert found.precisions == (2 / 7, 0.0, 0.0, 0.0)
    assert (found.score, found.brevity, found.written, found.expected) == (0.0, 1.0, 7, 6)


def test_one_corpus_by_hand():
    found = of(["a b c d x", "f g"], ["a b c d e", "f g h i"])
    assert found.precisions == (6 / 7, 4 / 5, 2 / 3, 1 / 2)
    assert found.brevity == pytest.approx(exp(1 - 9 / 7))
    assert found.score == pytest.approx(100 * exp(1 - 9 / 7) * (6 / 7 * 4 / 5 * 2 / 3 / 2) ** 0.25)


def test_smoothing_adds_to_all_but_single_words():
    found = of(["a b"], ["a b"], smoothing=1.0)
    assert found.precisions == (1.0, 1.0, 1.0, 1.0)  # 2/2, (1 + 1)/(1 + 1), (0 + 1)/(0 + 1) twice
    assert of(["a x"], ["a b"], smoothing=1.0).precisions == (1 / 2, 1 / 2, 1.0, 1.0)
    assert of(["x y"], ["a b"], smoothing=1.0).score == 0.0


@given(corpora)
def test_a_translation_like_its_reference_scores_100(corpus):
    references = [reference for _, reference in corpus]
    assume(max(map(len, references)) >= 4)
    assert bleu(references, references).score == pytest.approx(100)


@given(corpora, st.randoms(use_true_random=False), st.permutations("abcde"))
def test_neither_the_order_of_the_corpus_nor_the_names_of_the_words_count(corpus, random, names):
    found = bleu(*zip(*corpus, strict=True), smoothing=0.5)
    assert 0 <= found.score <= 100 + 1e-9
    renamed = [tuple([names["abcde".index(word)] for word in side] for side in pair) for pair in corpus]
    random.shuffle(renamed)
    assert bleu(*zip(*renamed, strict=True), smoothing=0.5) == found


@given(sentences, st.integers(1, 4))
def test_every_row_of_words_is_counted(words, n):
    counts = ngrams(words, n)
    assert counts.total() == max(len(words) - n + 1, 0)
    assert all(count == sum(tuple(words[at : at + n]) == some for at in range(len(words))) for some, count in counts.items())


@given(corpora, st.sampled_from([0.0, 1.0, 0.25]))
def test_it_is_what_sacrebleu_finds(corpus, smoothing):
    metrics = pytest.importorskip("sacrebleu.metrics", reason="sacrebleu is in the extra test")
    method = {"smooth_method": "add-k", "smooth_value": smoothing} if smoothing else {"smooth_method": "none"}
    theirs = metrics.BLEU(tokenize="none", force=True, **method).corpus_score(
        [" ".join(translation) for translation, _ in corpus], [[" ".join(reference) for _, reference in corpus]]
    )
    ours = bleu(*zip(*corpus, strict=True), smoothing=smoothing)
    assert ours.score == pytest.approx(theirs.score, abs=1e-9)
    assert (ours.written, ours.expected) == (theirs.sys_len, theirs.ref_len)
    assert ours.brevity == pytest.approx(theirs.bp)
    if ours.score:
        np.testing.assert_allclose(np.multiply(100, ours.precisions), theirs.precisions)


def test_impossible_corpora_are_refused():
    with pytest.raises(ValueError, match="got 1 and 0"):
        bleu([["a"]], [])
    with pytest.raises(ValueError, match="at least one"):
        bleu([], [])
    with pytest.raises(ValueError, match="split it first"):
        bleu(["a b"], ["a b"])
    with pytest.raises(ValueError, match="not negative"):
        bleu([["a"]], [["a"]], smoothing=-1.0)
