"""Words as numbers and back, and what a typed sentence consists of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymem.tasks.translation.words import BEGIN, END, PADDING, SPECIALS, UNKNOWN, Vocabulary, tokenise

words = st.lists(st.sampled_from("abcdefg"), max_size=12)


@given(st.lists(words, min_size=1).filter(any), words)
def test_what_is_encoded_is_decoded_and_what_is_unknown_is_said(sentences, sentence):
    vocabulary = Vocabulary.of(sentences)
    known = {word for some in sentences for word in some}
    numbers = vocabulary.encode(sentence)
    assert numbers.dtype == np.int64
    assert numbers.shape == (len(sentence),)
    assert vocabulary.decode(numbers) == tuple(word if word in known else "<unknown>" for word in sentence)
    assert set(vocabulary.unknown(sentence)) == set(sentence) - known
    assert len(vocabulary.unknown(sentence)) == len(set(sentence) - known)
    assert len(vocabulary) == len(known) + len(SPECIALS)
    assert all(number == UNKNOWN or number >= len(SPECIALS) for number in numbers)


@given(st.lists(words, min_size=1).filter(any), st.integers(1, 4), st.randoms(use_true_random=False))
def test_a_vocabulary_has_the_frequent_words_whatever_the_order_they_come_in(sentences, min_count, random):
    stream = [word for some in sentences for word in some]
    often = {word for word in stream if stream.count(word) >= min_count}
    if not often:
        with pytest.raises(ValueError, match="at least one word"):
            Vocabulary.of(sentences, min_count)
        return
    vocabulary = Vocabulary.of(sentences, min_count)
    assert set(vocabulary.words) == often
    counts = [stream.count(word) for word in vocabulary.words]
    assert counts == sorted(counts, reverse=True)
    random.shuffle(sentences)
    assert Vocabulary.of(sentences, min_count) == vocabulary


def test_a_sentence_ends_at_its_end_mark():
    vocabulary = Vocabulary(("chat", "noir"))
    assert vocabulary.decode([4, 5, END, 4, PADDING]) == ("chat", "noir")
    assert vocabulary.decode([BEGIN, 4]) == ("<begin>", "chat")
    assert vocabulary.unknown(["noir", "blanc", "<end>", "blanc"]) == ("blanc", "<end>")  # nobody can type an end mark
    assert vocabulary.encode(["<end>", "chat"]).tolist() == [UNKNOWN, 4]
    for number in (-1, 6):
        with pytest.raises(ValueError, match="numbers 0 to 5"):
            vocabulary.decode([number])


def test_impossible_vocabularies_are_refused():
    for some in ((), ("a", "a"), ("a", "<end>")):
        with pytest.raises(ValueError, match="each only once"):
            Vocabulary(some)
    for count in (0, 1.0, True):
        with pytest.raises(ValueError, match="min_count"):
            Vocabulary.of([["a"]], count)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("Double-click the “Default” style…", 'double-click the " default " style …'),
        ("Don't save the macro’s name.", "do n't save the macro 's name ."),
        ("Shift+F5 (or: Insert – Field)...", "shift + f5 ( or : insert - field ) …"),
        ("march 3, 1994", "march 3 , 1994"),
        ("the file ' ' exists", "the file ' ' exists"),
        ("  \n", ""),
    ],
)
def test_a_typed_sentence_falls_into_words(typed, expected):
    assert list(tokenise(typed)) == expected.split()
