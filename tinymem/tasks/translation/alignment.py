"""Which word comes from which: links learned without a model of ours (IBM model 1), and how well attention agrees with links.

IBM model 1 (Brown et al. 1993): every word of the translation was made from one word of the sentence, or from none, wherever it stands;
how probable a word is given another, t(f | e), is learned by EM.  Learned in both directions, links on which both agree are sure and
those of either are possible.  A link (i, j) is of word i of the translation and word j of the sentence, as in α_ij.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import numpy.typing

from tinymem.tasks.characters import Numbers
from tinymem.tasks.translation.pairs import Link, Links, Pair, Words

Doubles = numpy.typing.NDArray[numpy.float64]

ROUNDS = 10


# --- IBM model 1 ---


@dataclass(frozen=True)
class WordTable:
    """t(f | e) of the pairs of words that occur together."""

    made_from: dict[str, int]  # numbers of the words e, from 1; 0 is no word
    made: dict[str, int]  # numbers of the words f
    keys: Numbers  # (entries,), number of e · len(made) + number of f, rising
    shares: Doubles  # (entries,), t(f | e); those of one e sum to 1
    likelihoods: tuple[float, ...]
    """the log-likelihood of the pairs before each round and at the end, in nats, without the constant for their lengths; it never falls"""

    def probabilities(self, sentence: Words, translation: Words) -> Doubles:
        """t(f_i | e_j) with j = 0 for no word, (length of the translation, 1 + length of the sentence); 0 where a word is not known."""
        rows = numpy.array([[self.made.get(word, -1)] for word in translation])
        columns = numpy.array([0, *(self.made_from.get(word, -1) for word in sentence)])
        keys = columns * len(self.made) + rows
        places = numpy.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        known = (rows >= 0) & (columns >= 0) & (self.keys[places] == keys)
        return numpy.where(known, self.shares[places], 0.0)

    def links(self, sentence: Words, translation: Words) -> set[Link]:
        """Each word of the translation with the word it most probably comes from; none if no word is as probable.

        The model knows no places: where a word occurs twice, the one nearest to the diagonal is taken.
        """
        shares = self.probabilities(sentence, translation)  # (T, 1 + S)
        best = shares[:, 1:].max(1, keepdims=True)
        across = (numpy.arange(len(sentence)) + 0.5) / len(sentence)
        down = (numpy.arange(len(translation)) + 0.5) / len(translation)
        away = numpy.where(shares[:, 1:] == best, numpy.abs(across - down[:, None]), numpy.inf)
        return {(i, int(away[i].argmin())) for i in range(len(translation)) if best[i, 0] > shares[i, 0]}


def learn_word_table(pairs: Sequence[tuple[Words, Words]], rounds: int = ROUNDS) -> WordTable:
    """EM on sentences and their translations; no chance is in it: the model has one optimum and starts from equal shares."""
    if not pairs or type(rounds) is not int or rounds < 1:
        raise ValueError(f"IBM model 1 needs at least one pair and one round, got {len(pairs)} pairs and rounds {rounds!r}")
    made_from = {word: number for number, word in enumerate(dict.fromkeys(word for e, _ in pairs for word in e), 1)}
    made = {word: number for number, word in enumerate(dict.fromkeys(word for _, f in pairs for word in f))}
    keys, owners, count = [], [], 0  # of all (e, f) that meet in a pair: the key, and which word of all translations f is
    alternatives = []  # of each word of all translations: how many words it may come from
    for sentence, translation in pairs:
        e = numpy.array([0, *(made_from[word] for word in sentence)])
        f = numpy.array([made[word] for word in translation])
        keys.append((e * len(made) + f[:, None]).ravel())
        owners.append(numpy.repeat(numpy.arange(count, count + len(f)), len(e)))
        alternatives += [len(e)] * len(f)
        count += len(f)
    entries, entry = numpy.unique(numpy.concatenate(keys), return_inverse=True)
    owner, given = numpy.concatenate(owners), entries // len(made)
    shares = numpy.full(len(entries), 1 / len(made))
    constant, likelihoods = float(numpy.log(alternatives).sum()), []
    for _ in range(rounds):
        total = numpy.bincount(owner, shares[entry])  # Σ_j t(f_i | e_j)
        likelihoods.append(float(numpy.log(total).sum()) - constant)
        expected = numpy.bincount(entry, shares[entry] / total[owner])  # how often e made f
        shares = expected / numpy.bincount(given, expected)[given]
    likelihoods.append(float(numpy.log(numpy.bincount(owner, shares[entry])).sum()) - constant)
    return WordTable(made_from, made, entries, shares, tuple(likelihoods))


@dataclass(frozen=True)
class Aligner:
    """IBM model 1 in both directions."""

    forwards: WordTable
    backwards: WordTable

    def links(self, pair: Pair) -> Links:
        """Sure where both directions agree, possible where either says so."""
        one = self.forwards.links(pair.source, pair.target)
        other = {(i, j) for j, i in self.backwards.links(pair.target, pair.source)}
        return Links(frozenset(one & other), frozenset(one | other))


def learn_aligner(pairs: Sequence[Pair], rounds: int = ROUNDS) -> Aligner:
    """IBM model 1 in both directions, from sentences and their translations alone."""
    return Aligner(
        learn_word_table([(pair.source, pair.target) for pair in pairs], rounds),
        learn_word_table([(pair.target, pair.source) for pair in pairs], rounds),
    )


# --- how well attention agrees with links ---


def attended(weights: Any) -> set[Link]:
    """Each written word with the place its attention is largest on.  `weights` (T, S) holds α_ij of the written words, `<end>` not among
    them; the column of the sentence's `<end>` stays: a word that attends to it has a wrong link."""
    return {(i, int(j)) for i, j in enumerate(numpy.asarray(weights).argmax(1))}


def alignment_error_rate(found: Sequence[Collection[Link]], gold: Sequence[Links]) -> float:
    """AER = 1 - (|A ∩ S| + |A ∩ P|) / (|A| + |S|) over all pairs together (Och & Ney 2003): 0 is the best, 1 the worst."""
    matched = asked = 0
    for some, links in zip(found, gold, strict=True):
        some = set(some)
        matched += len(some & links.sure) + len(some & links.possible)
        asked += len(some) + len(links.sure)
    if not asked:
        raise ValueError("an alignment error rate needs links, and there is none: neither found nor sure")
    return 1 - matched / asked


@dataclass(frozen=True)
class Agreement:
    """How attention lies on links, over all written words that have one."""

    exact: float
    """share of the words whose largest weight is on a linked word"""
    near: float
    """the same, or one word beside it: the states of a bidirectional encoder know their neighbours"""
    mass: float
    """mean weight on the linked words together"""
    words: int
    """how many words have a link"""


def agreement(weights: Sequence[Any], gold: Sequence[Collection[Link]]) -> Agreement:
    """Attention against links.  `weights` as in `attended`, one (T, S) a pair; `gold` the links of each, the sure or the possible ones."""
    exact = near = words = 0
    mass = 0.0
    for some, links in zip(weights, gold, strict=True):
        some = numpy.asarray(some)
        linked = numpy.zeros(some.shape, bool)
        for i, j in links:
            linked[i, j] = True
        asked = linked.any(1)
        largest = some.argmax(1)
        beside = numpy.abs(numpy.arange(some.shape[1]) - largest[:, None]) <= 1
        words += int(asked.sum())
        exact += int(linked[numpy.arange(len(some)), largest].sum())
        near += int((linked & beside).any(1).sum())
        mass += float(some[linked].sum())
    if not words:
        raise ValueError("attention can be compared with links only where there are some: no word has one")
    return Agreement(exact / words, near / words, mass / words, words)
