"""Text as numbers and back, and what a batch asks for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymem.tasks.characters import Alphabet, CharacterError, Example, batch_of

LETTERS = Alphabet("abc@.")
words = st.text("abc@.", min_size=1, max_size=12)


@given(
    st.lists(st.characters(), unique=True, min_size=1).flatmap(
        lambda symbols: st.tuples(st.just(symbols), st.text(st.sampled_from(symbols)))
    )
)
def test_what_is_encoded_is_decoded(drawn):
    symbols, text = drawn
    alphabet = Alphabet("".join(symbols))
    numbers = alphabet.encode(text)
    assert numbers.dtype == np.int64
    assert numbers.tolist() == [symbols.index(character) for character in text]
    assert alphabet.decode(numbers) == alphabet.decode(numbers.tolist()) == text
    assert len(alphabet) == len(symbols)


@pytest.mark.parametrize(
    ("text", "line", "column", "character"), [("X", 1, 1, "X"), ("abX", 1, 3, "X"), ("a\nb\nc#X", 3, 2, "#"), ("\n\tX", 2, 1, "\t")]
)
def test_an_unknown_character_is_named_with_its_place(text, line, column, character):
    with pytest.raises(CharacterError) as error:
        Alphabet("abc\n").encode(text)
    assert str(error.value) == f"line {line}, column {column}: the character {character!r} is not in the alphabet; allowed are 'abc\\n'"


@pytest.mark.parametrize("number", [-1, 5])
def test_a_number_without_a_symbol_is_refused(number):
    with pytest.raises(ValueError, match="numbers 0 to 4"):
        LETTERS.decode([0, number])


@pytest.mark.parametrize("symbols", ["", "aba"])
def test_impossible_alphabets_are_refused(symbols):
    with pytest.raises(ValueError, match="each only once"):
        Alphabet(symbols)


@given(pairs=st.lists(st.tuples(words, words), min_size=1, max_size=5), round_to=st.integers(1, 9))
def test_each_step_asks_for_the_next_character_and_counts_exactly_the_answer(pairs, round_to):
    examples = [Example(text, answer) for text, answer in pairs]
    batch = batch_of(examples, LETTERS, round_to)
    longest = max(len(text) + len(answer) - 1 for text, answer in pairs)
    time = len(batch.inputs)
    assert time % round_to == 0
    assert 0 <= time - longest < round_to
    assert batch.inputs.shape == batch.targets.shape == batch.mask.shape == (time, len(pairs))
    assert (batch.inputs.dtype, batch.targets.dtype, batch.mask.dtype) == (np.int64, np.int64, np.float32)
    for column, (text, answer) in enumerate(pairs):
        length = len(text) + len(answer) - 1
        inputs, targets, mask = (array[:, column] for array in (batch.inputs, batch.targets, batch.mask))
        assert LETTERS.decode(inputs[:length]) == (text + answer)[:-1]
        assert LETTERS.decode(targets[:length]) == (text + answer)[1:]
        assert LETTERS.decode(targets[mask == 1.0]) == answer
        assert mask.sum() == len(answer)
        assert not mask[: len(text) - 1].any()  # the answer's characters, not others that read the same
        assert not any(array[length:].any() for array in (inputs, targets, mask))


def test_one_batch_by_hand():
    batch = batch_of([Example("ab@", "c."), Example("a@", ".")], LETTERS, round_to=3)
    assert batch.inputs.T.tolist() == [[0, 1, 3, 2, 0, 0], [0, 3, 0, 0, 0, 0]]
    assert batch.targets.T.tolist() == [[1, 3, 2, 4, 0, 0], [3, 4, 0, 0, 0, 0]]
    assert batch.mask.T.tolist() == [[0, 0, 1, 1, 0, 0], [0, 1, 0, 0, 0, 0]]
    assert len(batch_of([Example("a" * 8, "b")], LETTERS).inputs) == 8
    assert len(batch_of([Example("a" * 9, "b")], LETTERS).inputs) == 16


def test_impossible_batches_are_refused():
    with pytest.raises(ValueError, match="at least one example"):
        batch_of([], LETTERS)
    for round_to in (0, 2.0, True):
        with pytest.raises(ValueError, match="round_to"):
            batch_of([Example("a", "b")], LETTERS, round_to)
    for text, answer in (("", "b"), ("a", "")):
        with pytest.raises(ValueError, match="at least one character each"):
            Example(text, answer)
    with pytest.raises(CharacterError, match="'Z'"):
        batch_of([Example("a", "Z")], LETTERS)
