# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Translation with attention
#
# An encoder reads a sentence, a decoder writes its translation. Without attention all that was read must pass through one
# vector of fixed length, and long sentences do not fit. With it the decoder looks back at the words of the sentence before each
# word it writes. Nobody tells it where to look; which word belongs to which comes out by itself, and can be seen, and scored.
#
# Sources: Bahdanau, Cho & Bengio 2014, arXiv 1409.0473; Luong, Pham & Manning 2015, arXiv 1508.04025. Slides "Translation with
# attention". The equations are in `tinymem/equations/attention.py`, the translator in `tinymem/models/translator.py`; the
# scores one by one in the lesson `attention-scores`.
#
# Run it with `tinymem lesson translation` (shipped checkpoints), `--quick` (a small training of your own), `--train`
# (everything again from the seeds), or open this file as a notebook. Your own sentence: `tinymem translate "do you want to save
# the changes now ?"`.

# %%
from datetime import date

import numpy as np

import tinymem as tm
from tinymem.equations import attention
from tinymem.figures import aligning as figures
from tinymem.lesson import Lesson

# %%
from tinymem.models.translator import TranslatorConfig
from tinymem.tasks.bleu import bleu
from tinymem.tasks.translation.alignment import agreement, alignment_error_rate, attended, learn_aligner
from tinymem.tasks.translation.batches import sources_of
from tinymem.tasks.translation.dates import DateTask, date_pair
from tinymem.tasks.translation.libreoffice import LibreOfficeTask, libreoffice
from tinymem.tasks.translation.numbers import NumberTask, number_pair
from tinymem.training.experiment import Experiment
from tinymem.training.loop import Schedule
from tinymem.training.optimisers import Adam
from tinymem.training.search import Search
from tinymem.training.translation import Translation, forced_attention, translations
from tinymem.translate import translate

np.set_printoptions(precision=3, suppress=True)
lesson = Lesson("translation")
numbers = NumberTask()
english, french = numbers.vocabularies

# %% [markdown]
# ## 1. The equations, one by one
#
# **The encoder** reads in both directions. The annotation $h_j$ of word j is both states there side by side, so it knows its
# neighbours:
#
# $$ h_j = [\overrightarrow{h}_j ; \overleftarrow{h}_j] $$
#
# Below a small translator with random weights reads "seventy one". `<end>` is read like a word.

# %%
words = (len(english), len(french))
model = TranslatorConfig(*words, "additive", embedding=6, hidden=5, encoder_hidden=4).build(np.random.default_rng(0), "float64")
pair = number_pair(71)
encoded = model.encode(*sources_of([pair.source], english, round_to=1))
print(*pair.source, "<end>  →  annotations", encoded.features.shape, "(batch, words, 2 x 4)")

# %% [markdown]
# **The decoder's state** $s_i$ comes from the one before, the word written before, and the context:
#
# $$ s_i = f(s_{i-1}, y_{i-1}, c_i) \qquad c_i = \sum_{j=1}^{T_x} \alpha_{ij} h_j \qquad
#    \alpha_{ij} = \frac{\exp(e_{ij})}{\sum_{k=1}^{T_x} \exp(e_{ik})} \qquad e_{ij} = a(s_{i-1}, h_j) $$
#
# Read them from right to left. The *previous* state asks (the current one does not exist yet: it needs the context first), the
# additive score a answers, softmax makes weights, the context is the weighted mean.

# %%
s_0 = model.begin(encoded).s
e_1 = attention.additive_score(s_0, encoded.features, model.W1, model.W2, model.w3)
alpha_1 = attention.attention_weights(e_1, encoded.mask)
c_1 = attention.soft_context(alpha_1, encoded.features)
print("e_1j", e_1.data[0], " α_1j", alpha_1.data[0], " c_1", c_1.shape)
state, _ = model.word(encoded, model.begin(encoded), np.array([1]))  # after <begin>
print("the model's own α_1j", state.weights.data[0], " s_1", state.s.data[0])

# %% [markdown]
# **Luong's order** is the other one: first $s_i = f(s_{i-1}, y_{i-1})$, and the *current* state asks. A matrix of attention
# looks the same in both, but row i belongs to another question; mixed up, the picture is off by one word. His **input feeding**
# gives the decoder its last readout, which knows where it looked; his **local-p** first predicts where to look, and lets
# nothing far from there count:
#
# $$ p_t = S \cdot \sigma(v_p^T \tanh(W_p h_t)) \qquad \alpha_t(s) \leftarrow \alpha_t(s) \exp\left(-\frac{(s - p_t)^2}{2 \sigma^2}\right),\
#    \sigma = D/2 $$

# %%
even = tm.Tensor(np.full((1, 8), 1 / 8))
print("around p = 2.5, D = 3:", attention.location_window(even, tm.Tensor([[2.5]]), 3.0).data[0])
print("gradient of Σ s α(s) with respect to p:", end=" ")
moved = tm.grad(lambda p: (attention.location_window(even, p, 3.0) * tm.Tensor(np.arange(8.0))).sum())
print(moved(tm.Tensor([[2.5]])))  # positive: a later p looks at later words, so p can be learned by backprop

# %% [markdown]
# ## 2. What is translated
#
# **Number names** have a grammar, so we know which word comes from which: French counts by twenties from 60 to 99. **Dates**
# turn month and day round. **LibreOffice** is real text, sentences of an office program and its help with their translations, 3
# to 16 words of a vocabulary closed before the split (so that minutes of training are enough).

# %%
for pair in (number_pair(97), number_pair(71), date_pair(date(1994, 3, 1))):
    print(" ".join(pair.source), "→", " ".join(pair.target), " sure links:", sorted(pair.links.sure))
corpus = libreoffice()
print(f"LibreOffice: {len(corpus.train)} pairs to learn from, {len(corpus.validation)} to choose by, {len(corpus.test)} to test;")
print(f"{corpus.clean.sum()} test sentences are clean: no training sentence shares 3 of 5 of their words. For example")
for pair in corpus.test[:3]:
    print("   ", " ".join(pair.source), "→", " ".join(pair.target))

# %% [markdown]
# ## 3. Number names: what does attention bring?
#
# The same translator without and with attention. Without, the context is the same for every word: the two last states of the
# encoder. 103,000 parameters without, 116,000 with it; 250 or 1000 updates of 64 numbers, 1 to 9 digits, and each length as likely.

# %%
lengths, every = {250: (0, 1, 2), 1000: (0, 1)}, 25  # seeds for each number of updates; updates in a line of the log
if lesson.quick:
    lengths, every = {250: (0,)}, 50


def schedule(updates):
    return Schedule(updates, batch=64, log_every=every, validate_every=50, checkpoint_every=updates, clip=1.0, clip_by="norm")


def number_experiment(name, config, updates, seed):
    return Experiment(f"numbers-{name}", config, Translation(numbers), Adam(3e-3), schedule(updates), seed)


def bahdanau(score):
    return TranslatorConfig(*words, score, embedding=32, hidden=64, encoder_hidden=64)


# %%
cases = [(score, updates, seed) for updates, of in lengths.items() for seed in of for score in ("none", "additive")]
experiments = [number_experiment(score, bahdanau(score), updates, seed) for score, updates, seed in cases]
runs = dict(zip(cases, lesson.runs(experiments), strict=True))
rng = np.random.default_rng(1)
tested = {digits: numbers.pairs(rng, "test", 100, digits) for digits in range(2, 10)}


def exact(run, pairs):
    """Share of translations without a mistake."""
    written = translations(Search(run.model), [pair.source for pair in pairs], numbers.vocabularies)
    return float(np.mean([found == pair.target for (found, _), pair in zip(written, pairs, strict=True)]))


# %%
rows = [(score, updates, digits, exact(run, pairs)) for (score, updates, _), run in runs.items() for digits, pairs in tested.items()]
lesson.show(figures.exact_by_digits(rows), "exact-by-digits")
for score, updates in dict.fromkeys((score, updates) for score, updates, _ in cases):
    for digits in (5, 7, 9):
        shares = [share for *of, share in rows if of == [score, updates, digits]]
        told = "without attention" if score == "none" else f"{score} attention"
        label = f"numbers, {updates} updates, {told}: right at {digits} digits"
        lesson.row(label, 100 * float(np.mean(shares)), "%", n=100 * len(shares))

# %% [markdown]
# **What you see.** After 250 updates attention has learned it; the plain decoder knows short numbers and loses the thread from
# five digits on. After 1000 it has caught up but for the longest. So part of the gap is *speed of learning*: a picture at 250
# updates alone would claim too much, and one at 1000 alone too little.

# %% [markdown]
# ## 4. Alignment matrices, with the links that are known
#
# Source across, output down, `<end>` in both: black is weight 1. Red dots are the links of the grammar, rings those that are
# only possible (`et` comes from ten and one together). Numbers and dates are of the test split.

# %%
most = max(lengths)
attending = runs["additive", most, 0]


def drawn(run, pair, vocabularies, told=""):
    """One test sentence as the model itself translates it, with links if it wrote the known translation."""
    ((found, sentence),) = translations(Search(run.model, eager=True), [pair.source], vocabularies, size=1)
    ended = len(sentence.numbers) > len(found)
    links = pair.links if found == pair.target and pair.links else None
    sure, possible = (links.sure, links.possible) if links else ((), ())
    written = (*found, "<end>") if ended else found
    return figures.Alignment((*pair.source, "<end>"), written, sentence.weights, sure, possible, told)


# %%
crossing = sorted(tested[6], key=lambda pair: (-len(set(pair.target) & {"dix", "et", "vingt"}), pair.source))[:2]
pictures = [drawn(attending, pair, numbers.vocabularies, f"{most} updates") for pair in crossing]
if not lesson.quick:
    dates = DateTask()
    dated = TranslatorConfig(*map(len, dates.vocabularies), "additive", embedding=32, hidden=64, encoder_hidden=64)
    (date_run,) = lesson.runs([Experiment("dates-additive", dated, Translation(dates), Adam(3e-3), schedule(500), seed=0)])
    test_dates = dates.pairs(np.random.default_rng(1), "test", 200)
    pictures += [drawn(date_run, pair, dates.vocabularies, "dates, 500 updates") for pair in test_dates[:2]]
lesson.show(figures.alignment_matrices(pictures, "Numbers and dates: attention, and the links of the grammar"), "alignments-with-links")

# %% [markdown]
# A picture convinces too easily. So every word of 800 test numbers is asked: is the largest weight on the word it comes from?
# For this the decoder is told the right words before (*forced*), so that every model is asked about the same. Beside it the
# share within one word, as the states of a bidirectional encoder know their neighbours, and the alignment error rate (AER: 0 is
# best).


# %%
def aligned(run, pairs, vocabularies, links):
    """How forced attention agrees with links: (Agreement with the sure ones, alignment error rate)."""
    weights = [rows[:-1] for rows in forced_attention(run.model, pairs, vocabularies)]  # <end> has no link
    of = agreement(weights, [some.sure for some in links])
    return of, alignment_error_rate([attended(rows) for rows in weights], links)


def report(name, found, n, seed=0):
    of, error = found
    lesson.row(f"{name}: largest weight on the linked word", of.exact, "0 … 1", seed=seed, n=of.words)
    lesson.row(f"{name}: the same, or a word beside it", of.near, "0 … 1", seed=seed, n=of.words)
    lesson.row(f"{name}: weight on the linked words", of.mass, "0 … 1", seed=seed, n=of.words)
    lesson.row(f"{name}: alignment error rate", error, "0 … 1", seed=seed, n=n)


everything = [pair for pairs in tested.values() for pair in pairs]
known = [pair.links for pair in everything]
for (score, updates, seed), run in runs.items():
    if score != "none":
        report(f"numbers, {updates} updates", aligned(run, everything, numbers.vocabularies, known), len(everything), seed)
if not lesson.quick:
    report("dates", aligned(date_run, test_dates, dates.vocabularies, [pair.links for pair in test_dates]), len(test_dates))

# %% [markdown]
# ## 5. Luong's kinds of attention
#
# The same task with Luong's order, 250 updates, mean of two seeds. *Concat* is the additive score. Local-p has D = 3 words. The
# alignment error rates of the paper are of another corpus, and of models with input feeding.

# %%
kinds = {
    "location": {}, "dot": {}, "general": {}, "additive": {}, "general-feeding": {"input_feeding": True},
    "general-local": {"half_width": 3.0}, "general-local-feeding": {"half_width": 3.0, "input_feeding": True},
}  # fmt: skip
names = {
    "additive": "concat (additive)", "general-feeding": "general, input feeding", "general-local": "general, local-p",
    "general-local-feeding": "general, local-p, input feeding",
}  # fmt: skip
in_paper = {"location": 0.39, "general-local-feeding": 0.36}  # Table 6
luong_order = {"order": "luong", "embedding": 32, "hidden": 64, "encoder_hidden": 32}


def luong_experiment(kind, updates, seed):
    config = TranslatorConfig(*words, kind.partition("-")[0], **luong_order, **kinds[kind])
    return number_experiment(f"luong-{kind}", config, updates, seed)


# %%
if not lesson.quick:
    compared = []
    found = lesson.runs([luong_experiment(kind, 250, seed) for seed in (0, 1) for kind in kinds])
    for kind in kinds:
        own = [run for run in found if run.experiment.name == f"numbers-luong-{kind}"]
        right = float(np.mean([exact(run, everything) for run in own]))
        alignments = [aligned(run, everything, numbers.vocabularies, known) for run in own]
        measured = np.mean([(of.exact, of.near, error) for of, error in alignments], axis=0)
        largest, near, error = map(float, measured)
        name = names.get(kind, kind)
        compared.append((name, right, largest, error))
        lesson.row(f"Luong, {name}: translated without a mistake", 100 * right, "%", n=len(everything))
        lesson.row(f"Luong, {name}: largest weight on the linked word", largest, "0 … 1", n=len(everything))
        lesson.row(f"Luong, {name}: the same, or a word beside it", near, "0 … 1", n=len(everything))
        paper = (in_paper[kind], "Table 6, another corpus") if kind in in_paper else (None, "")
        lesson.row(f"Luong, {name}: alignment error rate", error, "0 … 1", *paper, n=len(everything))
    lesson.show(figures.agreement_of_kinds(compared), "luong")

# %%
if not lesson.quick:
    for run in lesson.runs([luong_experiment("general", 1000, seed) for seed in (0, 1)]):
        seed = run.experiment.seed
        lesson.row("Luong, general, 1000 updates: right at 9 digits", 100 * exact(run, tested[9]), "%", seed=seed, n=len(tested[9]))
        report("Luong, general, 1000 updates", aligned(run, everything, numbers.vocabularies, known), len(everything), seed)

# %% [markdown]
# **What you see.** All but the location score translate about as well; they do not *look* alike. The scores that multiply rest on
# the word itself. The additive score, in either order, translates from a word beside it: the annotation there has read its
# neighbours and will do. (The share within one word, above, is near 1.) So an attention that is no alignment may still be a good
# attention. The location score knows only how many words were written, and must guess where an `and` has shifted the rest.

# %% [markdown]
# ## 6. LibreOffice: real sentences
#
# Embeddings and states of 128, 4000 updates of 64 pairs, Adam with the rate falling linearly from 0.002, dropout 0.1, smoothed
# labels (0.1), all alike without and with attention. One seed each; a difference of one or two BLEU is none. BLEU is computed
# on the words as they stand here, so compare it with no paper's; the paper's 13.9 and 21.5 (Table 1, sentences up to 30 words)
# are of another corpus and thousands of times the data, but of the same comparison.

# %%
task = LibreOfficeTask()
systems = {"none": "without attention", "additive": "additive attention"}
if not lesson.quick:
    office = Schedule(4000, batch=64, log_every=100, validate_every=100, checkpoint_every=200, clip=1.0, clip_by="norm")
    experiments = [
        Experiment(
            f"libreoffice-{score}",
            TranslatorConfig(*map(len, task.vocabularies), score, dropout=0.1),
            Translation(task, smoothing=0.1),
            Adam(2e-3, beta2=0.98),
            office,
            seed=0,
        )
        for score in systems
    ]
    translators = dict(zip(systems, lesson.runs(experiments), strict=True))
    curves = {score: np.array([(line["update"], line["bleu"]) for line in run.history]) for score, run in translators.items()}
    lesson.show(figures.bleu_while_training(curves), "bleu-while-training")
    for score, curve in curves.items():
        above = curve[curve[:, 1] >= 20, 0]
        lesson.row(f"LibreOffice, {systems[score]}: updates until BLEU 20", float(above[0]) if len(above) else np.inf, "updates", seed=0)

# %% [markdown]
# BLEU of the 1000 test sentences, of the clean ones among them, and by length (Bahdanau's Fig. 2). *Greedy* takes the most
# probable word each time; a *beam* keeps the four best beginnings.


# %%
def score_of(written, which):
    """BLEU of some of the test sentences."""
    return bleu([written[place][0] for place in which], [corpus.test[place].target for place in which]).score


everyone, clean = np.arange(len(corpus.test)), np.flatnonzero(corpus.clean)
asked = [pair.source for pair in corpus.test]
if not lesson.quick:
    searches = {"greedy": {"width": 1}, "beam of 4": {"width": 4, "length_penalty": 0.6}}
    both = ("all test sentences", everyone), ("clean test sentences", clean)
    in_paper = {"none": 13.93, "additive": 21.50}
    found = {
        (score, how): translations(Search(run.model), asked, task.vocabularies, **options)
        for how, options in searches.items()
        for score, run in translators.items()
    }
    written = {score: found[score, "greedy"] for score in systems}
    for how in searches:
        for told, which in both:
            reached = {score: score_of(found[score, how], which) for score in systems}
            for score, value in reached.items():
                paper = (in_paper[score], "Table 1, another corpus") if (how, which is everyone) == ("beam of 4", True) else (None, "")
                lesson.row(f"LibreOffice, {systems[score]}, {how}: BLEU of {told}", value, "BLEU", *paper, seed=0, n=len(which))
            gain = reached["additive"] - reached["none"]
            lesson.row(f"LibreOffice, gain from attention, {how}: {told}", gain, "BLEU", seed=0, n=len(which))

# %%
if not lesson.quick:
    ranges = ((3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 16))
    sizes = np.array([len(pair.source) for pair in corpus.test])
    curves, counts = {}, {}
    for told, which in (("all test sentences", everyone), (f"the {len(clean)} clean ones", clean)):
        parts = [which[(sizes[which] >= low) & (sizes[which] <= high)] for low, high in ranges]
        curves[told] = {score: [score_of(found, part) for part in parts] for score, found in written.items()}
        counts[told] = [len(part) for part in parts]
    lesson.show(figures.bleu_by_length(curves, [f"{low}-{high}" for low, high in ranges], counts), "bleu-by-length")
    for score in systems:
        for place in (0, -1):
            low, high = ranges[place]
            value, n = curves["all test sentences"][score][place], counts["all test sentences"][place]
            lesson.row(f"LibreOffice, {systems[score]}: BLEU at {low}-{high} words", value, "BLEU", seed=0, n=n)

# %% [markdown]
# **What you see.** Attention learns faster and gets further, and the gap is as wide on the clean sentences: it is not what was
# remembered of similar ones. Without attention the longest sentences lose most. The beam helps too: one word that is a little
# less probable may open a much better sentence.

# %% [markdown]
# ## 7. Alignment matrices on held-out sentences
#
# Bahdanau's Fig. 3. Nobody has marked which word belongs to which here, so links are learned by another model: IBM model 1,
# which sees nothing but which words meet how often (both directions agree: sure, red dots). Shown are the test sentences that
# were translated *exactly* and whose links cross most, one of each kind of sentence. That choice flatters; the numbers below
# are over all 1000.

# %%
if not lesson.quick:
    aligner = learn_aligner(corpus.train)
    links = [aligner.links(pair) for pair in corpus.test]
    exactly = [place for place in everyone if written["additive"][place][0] == corpus.test[place].target and sizes[place] <= 11]
    lesson.row("LibreOffice: test sentences translated exactly", sum(f == p.target for (f, _), p in zip(written["additive"], corpus.test,
               strict=True)), "of 1000 sentences", seed=0, n=1000)  # fmt: skip
    shown, openings = [], set()
    for place in sorted(exactly, key=lambda place: -links[place].crossings):
        opening = corpus.test[place].source[:2]
        if len(shown) < 4 and opening not in openings:
            shown.append(place)
            openings.add(opening)
    pictures = []
    for place in shown:
        picture = drawn(translators["additive"], corpus.test[place], task.vocabularies)
        sure, told = links[place].sure, f"{links[place].crossings} pairs of links cross"
        pictures.append(figures.Alignment(picture.source, picture.written, picture.weights, sure, (), told))
    lesson.show(figures.alignment_matrices(pictures, "LibreOffice: held-out sentences, translated exactly"), "alignments-libreoffice")
    report("LibreOffice, against IBM model 1", aligned(translators["additive"], corpus.test, task.vocabularies, links), 1000)

# %% [markdown]
# **What you see.** The matrices are no diagonals: where French turns words round, so does the attention. And they are no
# alignments either: attention is free to look one word beside, as the states there know their neighbours, and to rest on
# `<end>` when it needs nothing. That is why the shares are printed exactly *and* within a word. Nor is IBM model 1 the truth:
# it knows no places, and mixes up the hyphens, for one.

# %% [markdown]
# ## 8. Your own sentence
#
# `tinymem translate "…"` prints translation and matrix (`--picture matrix.png` saves it). Words the model has never seen are
# named.

# %%
if not lesson.quick:
    reader = translators["additive"]
    print(translate("do you want to save the changes now ?", reader), "\n")
    print(translate("do you want to save the giraffe now ?", reader))

# %% [markdown]
# ## The numbers

# %%
lesson.finish()
