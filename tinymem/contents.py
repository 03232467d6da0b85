"""The lecture's table of contents: every system and figure, the paper's number, ours, and the command that makes it.

Our numbers are read from what was published with each lesson (its shipped results.json) and stand nowhere else: `tinymem lesson
list` prints the table, the README holds the same (`python -m tinymem.contents` writes it), and a test compares them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from tinymem.lesson import Row, lesson_files, published

if TYPE_CHECKING:
    from matplotlib.figure import Figure


PICTURES = {
    "learning-to-execute": "addition-curricula",
    "stack-counting": "trace-table",
    "stack-memorisation": "accuracy-by-length",
    "stack-addition": "stack-tops",
    "ntm-copy": "memory-use",
    "ntm-repeat-copy": "memory-use-ntm-ff",
    "ntm-recall": "bits-by-items",
    "ntm-sort": "memory-use",
    "ntm-ngrams": "predictions",
    "dnc-copy": "memory-management",
    "attention-scores": "softmax-saturation",
    "translation": "alignments-libreoffice",
    "captions": "words-stop-sign",
    "transformer": "depth",
    "attention-heads": "induction-heads",
    "transformer-cost": "path-lengths",
}
"""The picture of each lesson that stands on the contact sheet."""

NAMED = r"\{([^{}]+)\}"


@dataclass(frozen=True)
class Entry:
    """One row of the lecture.  In `paper` and `here` stand rows of the lesson's table in braces: the paper's number there, and ours."""

    what: str
    paper: str
    """the paper's figure or table, and its number"""
    here: str
    """our number; of several seeds all"""
    lesson: str

    def filled(self) -> tuple[str, str]:
        """`paper` and `here` with their numbers."""
        theirs = re.sub(NAMED, lambda found: _text(_rows(self.lesson, found[1])[0].paper), self.paper)
        ours = re.sub(NAMED, lambda found: " / ".join(_text(row.value) for row in _rows(self.lesson, found[1])), self.here)
        return theirs, ours


CONTENTS = {
    "Learning to Execute (Zaremba & Sutskever 2014)": (
        Entry(
            "programs as characters",
            "Figs. 1, 2: examples",
            "a generator, 6 operations, every program executed by Python",
            "learning-to-execute",
        ),
        Entry(
            "sums of 3 digits, 384,000 examples: combined, naive, mix, baseline",
            "Figs. 3, 4: combined 99 % of characters at 9 digits, 2 × 400 cells",
            "{addition, combined: characters right, mean of the seeds}, {addition, naive: characters right, mean of the seeds}, "
            "{addition, mix: characters right, mean of the seeds}, "
            "{addition, baseline: characters right, mean of the seeds} % of characters",
            "learning-to-execute",
        ),
        Entry(
            "programs, length 3, nesting 2: baseline, combined",
            "Figs. 5, 6: combined best",
            "{programs of length 3, nesting 2, baseline: characters right}, "
            "{programs of length 3, nesting 2, combined: characters right} % of characters",
            "learning-to-execute",
        ),
        Entry(
            "20 digits remembered: plain; inverted; doubled; both",
            "Figs. 7, 8: both best",
            "{memorisation, plain: characters right at 20 digits}; {memorisation, inverted: characters right at 20 digits}; "
            "{memorisation, doubled: characters right at 20 digits}; {memorisation, doubled + inverted: characters right at 20 digits} %",
            "learning-to-execute",
        ),
    ),
    "Stack-augmented networks (Joulin & Mikolov 2015)": (
        Entry(
            "aⁿbⁿcⁿdⁿ, n ≤ 59: Stack RNN with rounding, LSTM, RNN",
            "Tables 1, 2: {a^n b^n c^n d^n: Stack RNN + rounding: n solved}, {a^n b^n c^n d^n: LSTM: n solved}, "
            "{a^n b^n c^n d^n: RNN: n solved} %",
            "{a^n b^n c^n d^n: Stack RNN + rounding: n solved}, {a^n b^n c^n d^n: LSTM: n solved}, {a^n b^n c^n d^n: RNN: n solved} %",
            "stack-counting",
        ),
        Entry(
            "what rounding brings, aⁿbᵐcⁿ⁺ᵐ, and a trace",
            "Tables 2, 3: {a^n b^m c^(n+m): gain from rounding} points",
            "{a^n b^m c^(n+m): gain from rounding} points",
            "stack-counting",
        ),
        Entry(
            "50 letters backwards: Stack RNN, RNN, LSTM",
            "Fig. 2: ≈ 100, fail, fail",
            "{Stack RNN: words right at n = 50}, {RNN: words right at n = 50}, {LSTM: words right at n = 50} %",
            "stack-memorisation",
        ),
        Entry(
            "binary addition, 20, 40, 60 digits: with rounding, without",
            "Figs. 2, 3: generalises beyond 20",
            "{Stack RNN + rounding: right additions at n = 20}, {Stack RNN + rounding: right additions at n = 40}, "
            "{Stack RNN + rounding: right additions at n = 60}; {Stack RNN: right additions at n = 20}, "
            "{Stack RNN: right additions at n = 40}, {Stack RNN: right additions at n = 60} %",
            "stack-addition",
        ),
    ),
    "Neural Turing Machines (Graves et al. 2014), DNC (2016)": (
        Entry(
            "copy: sequences until < 0.1 bit",
            "Fig. 3: {NTM-FF: sequences until < 0.1 bit}",
            "{NTM-FF: sequences until < 0.1 bit}",
            "ntm-copy",
        ),
        Entry(
            "copy, 120 vectors (trained on ≤ 20): NTM, LSTM",
            "Figs. 4, 5: a few vectors; fails after 20",
            "{NTM-FF: wrong bits at 120 vectors}; {LSTM: wrong bits at 120 vectors} % wrong bits",
            "ntm-copy",
        ),
        Entry(
            "copy: largest write weighting",
            "Fig. 6: sharp",
            "{NTM-FF: mean largest write weighting, writing}",
            "ntm-copy",
        ),
        Entry(
            "repeat copy, 20 vectors × 10 (trained on ≤ 10 × 10)",
            "Figs. 7–9: right",
            "{NTM-FF: 20 vectors × 10: wrong bits} % wrong bits",
            "ntm-repeat-copy",
        ),
        Entry(
            "associative recall at 6, 12, 20 items, best seed; LSTM at 10",
            "Figs. 10–12: {NTM-FF, best of the seeds: loss at 6 items}, –, {NTM-FF, best of the seeds: loss at 20 items}; "
            "{LSTM: loss at 10 items} bits",
            "{NTM-FF, best of the seeds: loss at 6 items}, {NTM-FF, best of the seeds: loss at 12 items}, "
            "{NTM-FF, best of the seeds: loss at 20 items}; {LSTM: loss at 10 items} bits",
            "ntm-recall",
        ),
        Entry(
            "priority sort, 8 of 8: NTM, LSTM",
            "Figs. 16–18, 16 of 20 vectors, at 300,000 sequences: 32; 85 of 128 bits",
            "{NTM-FF: loss, test}; {LSTM: loss, test} of 64 bits",
            "ntm-sort",
        ),
        Entry(
            "N-grams, above the Bayes optimum: NTM, LSTM",
            "Figs. 13–15: {NTM-LSTM: gap to the optimum}; {LSTM: gap to the optimum} bits",
            "{NTM-LSTM: gap to the optimum}; {LSTM: gap to the optimum} bits",
            "ntm-ngrams",
        ),
        Entry(
            "DNC, 10 locations used again: seeds that learn it, of 10",
            "Extended Data Fig. 1",
            "{DNC: seeds below 0.1 bit within 20000 series}",
            "dnc-copy",
        ),
    ),
    "Attention (Bahdanau et al. 2014, Luong et al. 2015, Xu et al. 2015)": (
        Entry(
            "scores at d = 64: additive, dot, scaled, general",
            "equations",
            "{number names, d = 64, additive: translated without a mistake}, {number names, d = 64, dot: translated without a mistake}, "
            "{number names, d = 64, scaled-dot: translated without a mistake}, "
            "{number names, d = 64, general: translated without a mistake} %",
            "attention-scores",
        ),
        Entry(
            "LibreOffice En–Fr, beam of 4: with, without attention",
            "Bahdanau Fig. 2, Table 1: {LibreOffice, additive attention, beam of 4: BLEU of all test sentences}, "
            "{LibreOffice, without attention, beam of 4: BLEU of all test sentences}, another corpus",
            "{LibreOffice, additive attention, beam of 4: BLEU of all test sentences}, "
            "{LibreOffice, without attention, beam of 4: BLEU of all test sentences} BLEU",
            "translation",
        ),
        Entry(
            "alignment: largest weight on the linked word, number names",
            "Bahdanau Fig. 3",
            "{numbers, 1000 updates: largest weight on the linked word}",
            "translation",
        ),
        Entry(
            "Luong, general, local-p, input feeding: alignment error rate",
            "Luong Table 6: {Luong, general, local-p, input feeding: alignment error rate}, another corpus",
            "{Luong, general, local-p, input feeding: alignment error rate}",
            "translation",
        ),
        Entry(
            "captions right: without attention (picture at the start, at every word), soft, hard",
            "Xu Table 1, Figs. 2, 3, 5: hard a little ahead",
            "{start: exact captions}; {none: exact captions}; {soft: exact captions}; {hard, by draws: exact captions} %",
            "captions",
        ),
        Entry(
            "hard attention minus its control without REINFORCE",
            "Xu section 4.1",
            "{hard - its control: exact captions by draws} points",
            "captions",
        ),
    ),
    "Transformer (Vaswani et al. 2017)": (
        Entry(
            "LibreOffice En–Fr, beam of 4: all, clean sentences",
            "Table 2: 38.1 En–Fr, another corpus",
            "{LibreOffice, Transformer, post-norm, beam of 4: BLEU of all test sentences}, "
            "{LibreOffice, Transformer, post-norm, beam of 4: BLEU of clean test sentences} BLEU",
            "transformer",
        ),
        Entry(
            "number names without the positional encoding",
            "section 3.5",
            "{number names, 300 updates, no positions: translated without a mistake} % right",
            "transformer",
        ),
        Entry(
            "number names, 1 head; 8 heads",
            "Table 3 A: 24.9; 25.8 BLEU",
            "{number names, 300 updates, 1 head: translated without a mistake}; "
            "{number names, 300 updates, 8 heads: translated without a mistake} % right",
            "transformer",
        ),
        Entry(
            "six layers with residual + norm; with neither, 600 updates",
            "slide",
            "{number names, 6 layers, residual + norm: translated without a mistake}; "
            "{number names, 6 layers, neither: translated without a mistake} % right",
            "transformer",
        ),
        Entry(
            "looking up, a two-layer decoder: best previous-token head; best induction head",
            "Figs. 3–5: what heads look at",
            "{looking up, 2 layers: best previous-token head}; {looking up, 2 layers: best induction head}",
            "attention-heads",
        ),
        Entry(
            "cross-attention against IBM model 1's links, mean of layer 2",
            "–",
            "{LibreOffice, mean of layer 2: largest weight on the linked word}",
            "attention-heads",
        ),
        Entry(
            "operations of self-attention, recurrent layer grow as n to the power of",
            "Table 1: {self-attention: operations grow as n to the power of}, {recurrent: operations grow as n to the power of}",
            "{self-attention: operations grow as n to the power of}, {recurrent: operations grow as n to the power of}",
            "transformer-cost",
        ),
        Entry(
            "shortest path through our own graph, n = 128: self-attention, dilated convolution, recurrent",
            "Table 1: O(1), O(log n), O(n)",
            "{self-attention: shortest path at n = 128}, {dilated: shortest path at n = 128}, {recurrent: shortest path at n = 128} rows",
            "transformer-cost",
        ),
        Entry(
            "FLOPs of training on LibreOffice: RNNsearch, Transformer (counted)",
            "Table 2: 3.3 · 10¹⁸ (base)",
            "{LibreOffice, RNNsearch: training}, {LibreOffice, Transformer: training}",
            "transformer-cost",
        ),
    ),
}


@cache
def _published(lesson: str) -> tuple[Row, ...]:
    return tuple(published(lesson))


def _rows(lesson: str, name: str) -> list[Row]:
    found = [row for row in _published(lesson) if row.name == name]
    if not found:
        raise KeyError(f"the lesson {lesson} has published no row {name!r}")
    return found


def _text(value: float | int | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or "–"
    return f"{value:,.0f}" if 100 <= abs(value) < 1e9 else f"{value:.3g}"


def rows() -> list[tuple[str, str, str, str]]:
    """(what, here, paper, lesson) of every entry."""
    return [(entry.what, *entry.filled()[::-1], entry.lesson) for entries in CONTENTS.values() for entry in entries]


def markdown() -> str:
    """The table as the README has it."""
    lines = ["| | here (each seed) | paper | `tinymem lesson …` |", "|---|---|---|---|"]
    for part, entries in CONTENTS.items():
        lines.append(f"| **{part}** | | | |")
        for entry in entries:
            theirs, ours = entry.filled()
            lines.append(f"| {entry.what} | {ours} | {theirs} | `{entry.lesson}` |")
    return "\n".join(lines)


def sheet() -> Figure:
    """One telling picture of each lesson, as shipped."""
    from matplotlib.image import imread

    from tinymem.figures.sheet import contact_sheet

    pictures = {lesson: imread(lesson_files()[lesson].parent / "checkpoints" / lesson / f"{name}.png") for lesson, name in PICTURES.items()}
    return contact_sheet(pictures, "The lecture's figures, made here")


if __name__ == "__main__":
    from tinymem.figures.style import save

    print(markdown())
    _, svg = save(sheet(), lesson_files()["ntm-copy"].parent / "checkpoints", "contact-sheet")
    svg.unlink()  # pictures of pictures are no drawing
