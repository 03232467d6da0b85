"""BLEU: how much of a translation is also in the reference (Papineni et al. 2002).

    BLEU = 100 · BP · exp( mean over n = 1 … 4 of log p_n ),    BP = min(1, exp(1 - r / c))

p_n is the share of the n-grams written that the reference has too, each counted at most as often as there, over the whole corpus; c and
r are the words written and those of the references.  On words as they are given; compare it with no BLEU that splits words otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

ORDER = 4


@dataclass(frozen=True)
class Bleu:
    """The score and what it is made of."""

    score: float
    """0 … 100"""
    precisions: tuple[float, ...]
    """p_1 … p_4, 0 … 1"""
    brevity: float
    """the brevity penalty BP"""
    written: int
    """c, words written"""
    expected: int
    """r, words of the references"""


def ngrams(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    """How often each n words in a row occur."""
    return Counter(zip(*(words[start:] for start in range(n)), strict=False))


def bleu(translations: Sequence[Sequence[str]], references: Sequence[Sequence[str]], smoothing: float = 0.0) -> Bleu:
    """Corpus BLEU of translations, one reference each, `<end>` not among the words.

    Without `smoothing` the score is 0 as soon as nothing of some length is right.  With it, so much is added to both counts of p_2, p_3 and
    p_4 (Lin & Och 2004): for a single sentence; say so beside the number.
    """
    if not references or len(translations) != len(references):
        raise ValueError(f"BLEU needs one reference for each translation, at least one: got {len(translations)} and {len(references)}")
    if isinstance(translations[0], str) or isinstance(references[0], str):
        raise ValueError(f"BLEU compares lists of words, got the text {(translations[0], references[0])}; split it first")
    if smoothing < 0:
        raise ValueError(f"smoothing adds to counts, so it is not negative: got {smoothing}")
    written, expected = sum(map(len, translations)), sum(map(len, references))
    precisions, right_at_all = [], 0
    for n in range(1, ORDER + 1):
        right = total = 0
        for translation, reference in zip(translations, references, strict=True):
            right += (ngrams(translation, n) & ngrams(reference, n)).total()
            total += max(len(translation) - n + 1, 0)
        right_at_all += right
        added = smoothing if n > 1 else 0.0
        precisions.append((right + added) / (total + added) if total + added else 0.0)
    brevity = 1.0 if written >= expected else exp(1 - expected / written) if written else 0.0
    score = 100 * brevity * exp(sum(map(log, precisions)) / ORDER) if right_at_all and all(precisions) else 0.0
    return Bleu(score, tuple(precisions), brevity, written, expected)
