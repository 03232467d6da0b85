"""Greedy and beam search on writers made by hand, whose best sentences are known, on a translator, and on a Transformer."""

import itertools

import numpy as np
import pytest

import tinymem as tm
from tinymem.engine.backend import use
from tinymem.engine.ops import log_softmax, take
from tinymem.models.transformer import TransformerConfig
from tinymem.models.translator import DecoderState, TranslatorConfig
from tinymem.tasks.translation.words import BEGIN, END
from tinymem.testing import strict
from tinymem.training.search import Search

V, LONGEST = 6, 4
SMALL = TranslatorConfig(9, 8, embedding=3, hidden=6, encoder_hidden=3)
TRANSFORMER = TransformerConfig(9, V, layers=2, width=6, heads=2, inner=5)  # its state grows with every word


class Chain:
    """A writer whose next word depends on the last one and on the sentence's first word; it looks at the place of the word before."""

    def __init__(self, tables):
        self.tables = tm.Tensor(np.log(tables))  # (first words, V, V)

    def encode(self, words, mask):
        return take(self.tables, words[0], 0)  # (B, V, V)

    def begin(self, encoded):
        nothing = tm.Tensor(np.zeros((len(encoded.data), 1)))
        return DecoderState(nothing, nothing)

    def word(self, encoded, state, previous):
        rows = take(encoded.reshape(-1, V), np.arange(len(previous)) * V + previous, 0)  # (B, V)
        return DecoderState(state.s + 1, state.fed, take(tm.Tensor(np.eye(V)), previous, 0)), rows


def tables(seed, count=1):
    """Probabilities of the next word, given the last; only <end> and the two words behind <unknown> are ever written."""
    found = np.random.default_rng(seed).dirichlet(np.full(V, 0.7), (count, V)) + 1e-3
    found[..., [0, BEGIN, 3]] = 1e-9
    return found / found.sum(-1, keepdims=True)


def searched(table, width, longest=LONGEST, firsts=(0,), length_penalty=0.0):
    words = np.array([firsts] * V)  # as many places as there are words to look at
    return Search(Chain(table), eager=True)(words, np.ones(words.shape, np.float32), longest, width, length_penalty)


def log_probability(table, numbers):
    return float(sum(np.log(table[a, b]) for a, b in itertools.pairwise((BEGIN, *numbers))))


def best_by_trying_all(table, longest, length_penalty=0.0):
    """All sentences of the three words that are ever written, ended or of the greatest length."""
    sentences = []
    for length in range(1, longest + 1):
        for words in itertools.product((4, 5), repeat=length - 1):
            sentences += [(*words, END)] + [(*words, last) for last in (4, 5) if length == longest]
    return max(sentences, key=lambda s: log_probability(table, s) / ((5 + len(s)) / 6) ** length_penalty)


def test_greedy_takes_the_most_probable_word_each_time():
    table = tables(0)
    (found,) = searched(table, width=1)
    expected, last = [], BEGIN
    while len(expected) < LONGEST and last != END:
        last = int(table[0, last].argmax())
        expected.append(last)
    assert found.numbers == tuple(expected)
    assert found.log_probability == pytest.approx(log_probability(table[0], expected))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 2.0])
def test_a_beam_as_wide_as_all_sentences_finds_the_best_of_all(seed, length_penalty):
    table = tables(seed)
    (found,) = searched(table, width=V**3, length_penalty=length_penalty)
    assert found.numbers == best_by_trying_all(table[0], LONGEST, length_penalty)


def test_a_beam_finds_what_greedy_misses():
    """The better sentence begins with the less probable word."""
    table = np.full((1, V, V), 1e-9)
    table[0, BEGIN, [4, 5]] = 0.6, 0.4
    table[0, 4, [4, 5, END]] = 0.3, 0.3, 0.4
    table[0, 5, END] = 1.0
    table /= table.sum(-1, keepdims=True)
    (greedy,), (beam,) = searched(table, 1), searched(table, 2)
    assert (greedy.numbers, beam.numbers) == ((4, END), (5, END))
    assert beam.log_probability == pytest.approx(np.log(0.4))
    np.testing.assert_array_equal(beam.weights, np.eye(V)[[BEGIN, 5]])  # the attention of the sentence chosen, not of the row it was in


def test_every_sentence_of_a_batch_is_searched_as_if_it_were_alone():
    table = tables(3, count=5)
    together = searched(table, 3, firsts=range(5))
    for place, found in enumerate(together):
        (alone,) = searched(table[place : place + 1], 3)
        assert (found.numbers, found.log_probability) == (alone.numbers, pytest.approx(alone.log_probability))
        np.testing.assert_array_equal(found.weights, np.eye(V)[[BEGIN, *found.numbers[:-1]]])


def test_a_sentence_that_does_not_end_is_cut_and_one_that_has_ended_stays():
    table = np.full((2, V, V), 1e-9)
    table[0, :, 4] = 1.0
    table[1, :, END] = 1.0
    cut, ended = searched(table, 1, firsts=(0, 1))
    assert cut.numbers == (4,) * LONGEST
    assert ended.numbers == (END,)
    assert cut.weights.shape == (LONGEST, V)
    assert ended.weights.shape == (1, V)


def test_a_length_penalty_favours_longer_sentences():
    table = np.full((1, V, V), 1e-9)
    table[0, BEGIN, [END, 4]] = 0.5, 0.45
    table[0, 4, END] = 0.9
    table /= table.sum(-1, keepdims=True)
    assert searched(table, 3)[0].numbers == (END,)
    assert searched(table, 3, length_penalty=3.0)[0].numbers == (4, END)


def sources(rng):
    """Three sentences, one of them shorter."""
    words, mask = rng.integers(4, 9, (5, 3)), np.ones((5, 3), np.float32)
    mask[3:, 1] = 0
    return words, mask


@pytest.mark.parametrize("config", [SMALL, TRANSFORMER], ids=["translator", "transformer"])
def test_compiled_eager_and_on_the_device_it_is_the_same_search(config):
    rng = np.random.default_rng(0)
    words, mask = sources(rng)
    model = config.build(rng, "float64")
    for width in (1, 3):
        eager = Search(model, eager=True)(words, mask, 7, width)
        compiled = Search(model)(words, mask, 7, width)
        with use(strict.namespace):
            device_model = config.build(np.random.default_rng(0), "float64")
            device_model.load_state(model.state())
            device = Search(device_model, eager=True)(words, mask, 7, width)
        for one, *others in zip(eager, compiled, device, strict=True):
            for other in others:
                assert one.numbers == other.numbers
                assert one.log_probability == pytest.approx(other.log_probability)
                np.testing.assert_allclose(one.weights, other.weights, rtol=1e-5)


def told(model, words, mask, sentences):
    """ln p (sentence, word, V) of each next word for one source sentence (S,), computed from the start without anything kept."""
    target = np.array([[BEGIN, *numbers[:-1]] for numbers in sentences]).T
    source, present = (np.repeat(array[:, None], len(sentences), 1) for array in (words, mask))
    return log_softmax(model.logits(source, present, target), 2).data.swapaxes(0, 1)


@pytest.mark.parametrize("seed", range(4))
def test_greedy_with_kept_words_writes_what_is_most_probable_after_all_words_so_far(seed):
    rng = np.random.default_rng(seed)
    words, mask = sources(rng)
    model = TRANSFORMER.build(rng, "float64")
    for place, found in enumerate(Search(model)(words, mask, 6)):
        (logs,) = told(model, words[:, place], mask[:, place], [found.numbers])
        assert found.numbers == tuple(logs.argmax(1))
        assert found.log_probability == pytest.approx(logs.max(1).sum())


@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_with_kept_words_finds_the_best_of_all_sentences(seed):
    rng = np.random.default_rng(seed)
    words, mask = sources(rng)
    model, longest = TRANSFORMER.build(rng, "float64"), 3
    sentences = list(itertools.product(range(V), repeat=longest))  # what follows an <end> is cut
    lengths = [s.index(END) + 1 if END in s else longest for s in sentences]
    for place, found in enumerate(Search(model)(words, mask, longest, width=V**2)):
        logs = told(model, words[:, place], mask[:, place], sentences)
        total = [row[range(n), s[:n]].sum() for row, s, n in zip(logs, sentences, lengths, strict=True)]
        best = int(np.argmax(total))
        assert found.numbers == sentences[best][: lengths[best]]
        assert found.log_probability == pytest.approx(total[best])


@pytest.mark.parametrize(("longest", "width"), [(0, 1), (3, 0)])
def test_a_search_for_nothing_is_refused(longest, width):
    with pytest.raises(ValueError, match="at least one word and keeps at least one sentence"):
        searched(tables(0), width, longest)
