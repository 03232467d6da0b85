"""LibreOffice: what its description promises, and what is said of a file that is not whole."""

import gzip
from importlib import resources

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymem.tasks.translation.libreoffice import CorpusError, libreoffice, read_corpus, similar
from tinymem.tasks.translation.words import tokenise

DATA = resources.files("tinymem.tasks") / "data"
sentences = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=7)


def test_the_corpus_is_as_described():
    corpus = libreoffice()
    assert [len(part) for part in (corpus.train, corpus.validation, corpus.test)] == [11_358, 300, 1000]
    assert [len(vocabulary.words) for vocabulary in corpus.vocabularies] == [1337, 1492]
    everything = corpus.train + corpus.validation + corpus.test
    assert {len(pair.source) for pair in everything} == set(range(3, 17))
    assert max(len(pair.target) for pair in everything) == 20
    text = (DATA / "LIBREOFFICE.md").read_text("utf-8")
    assert all(number in text for number in ("12,658", "11,658", "1,000", "1,337", "1,492", "588", "11,358"))
    assert "Mozilla Public License Version 2.0" in (DATA / "LICENSE.MPL-2.0").read_text("utf-8")


def test_no_sentence_is_in_two_parts_and_no_word_unknown():
    corpus = libreoffice()
    parts = [{pair.source for pair in part} for part in (corpus.train, corpus.validation, corpus.test)]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 12_658
    english, french = corpus.vocabularies
    for pair in corpus.validation + corpus.test:
        assert not english.unknown(pair.source)
        assert not french.unknown(pair.target)


def test_588_test_sentences_resemble_none_that_is_trained_on():
    clean = libreoffice().clean
    assert clean.shape == (1000,)
    assert clean.sum() == 588


def test_a_sentence_that_is_typed_falls_into_the_words_of_the_corpus():
    corpus = libreoffice()
    for pair in corpus.train + corpus.validation + corpus.test:
        assert tokenise(" ".join(pair.source)) == pair.source


@given(st.lists(sentences, max_size=6), st.lists(sentences, max_size=6))
def test_similar_sentences_have_three_of_five_words_in_common(some, others):
    expected = [any(5 * len({*one} & {*other}) >= 3 * len({*one} | {*other}) for other in others) for one in some]
    assert similar(some, others).tolist() == expected


GOOD = "train\ta b\tc d\ntrain\te\tf g\ntest\ta\tc\n"


def packed(folder, text):
    path = folder / "corpus.tsv.gz"
    path.write_bytes(gzip.compress(text.encode("utf-8") if isinstance(text, str) else text))
    return path


def test_a_corpus_of_ones_own_can_be_read(tmp_path):
    corpus = read_corpus(packed(tmp_path, GOOD), validation=1)
    assert (corpus.validation[0].source, corpus.validation[0].target) == (("a", "b"), ("c", "d"))
    assert (corpus.train[0].source, corpus.test[0].target) == (("e",), ("c",))
    assert corpus.vocabularies[1].words == ("f", "g")  # of what is trained on, and nothing else
    assert np.array_equal(corpus.clean, [True])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "train\ta b\n", "line 4: expected train or test"),
        (GOOD + "dev\ta\tb\n", "line 4: expected train or test, .* got 'dev"),
        (GOOD + "train\t \tb\n", "line 4"),
        (GOOD + "\n", "line 4"),
        ("train\ta\tb\n", "1 training and 0 test pairs"),
        ("", "line 1"),
        (b"train\ta\t\xff\n", "cannot be read .*utf-8"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(tmp_path, text, message):
    path = packed(tmp_path, text)
    with pytest.raises(CorpusError, match=message) as error:
        read_corpus(path, validation=1)
    assert str(path) in str(error.value)
    assert "install tinymem again" in str(error.value)


def test_a_missing_or_damaged_file_is_said(tmp_path):
    with pytest.raises(CorpusError, match="no such corpus"):
        read_corpus(tmp_path / "none.gz")
    path = packed(tmp_path, GOOD * 50)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-6] ^= 1  # in the checksum
    for damaged in (whole[:-9], whole[: len(whole) // 2], bytes(flipped), b"no gzip at all", whole[:10] + b"\x07" * 20):
        path.write_bytes(damaged)
        with pytest.raises(CorpusError, match="cannot be read"):
            read_corpus(path, validation=1)
    with pytest.raises(CorpusError, match="cannot be read"):
        read_corpus(tmp_path)  # a folder
    for validation in (0, 2):
        with pytest.raises(CorpusError, match="at least one of each"):
            read_corpus(packed(tmp_path, GOOD), validation)
