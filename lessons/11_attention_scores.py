# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Attention: the score functions
#
# A model has L annotated places in front of it, the words of a sentence or the regions of a picture, and a state that wants to
# know something. How well does each place answer? That is the *score*. A softmax makes weights of the scores, and then the
# model looks: softly, at a weighted mean of all places, or hard, at one place drawn by its weight.
#
# Sources: [1] Bahdanau et al. 2014, arXiv 1409.0473; [2] Luong et al. 2015, arXiv 1508.04025; [3] Vaswani et al. 2017, arXiv
# 1706.03762. Slide "Hard & soft attention". The equations are in `tinymem/equations/attention.py`.
#
# Run it with `tinymem lesson attention-scores` (shipped checkpoints), `--quick` (a small training of your own), `--train`
# (everything again from the seeds), or open this file as a notebook.

# %%
import math

import numpy as np

import tinymem as tm
from tinymem.equations import attention
from tinymem.figures import scoring as figures
from tinymem.lesson import Lesson

# %%
from tinymem.models.translator import TranslatorConfig
from tinymem.tasks.translation.numbers import NumberTask
from tinymem.testing import check_grad
from tinymem.training.experiment import Experiment
from tinymem.training.loop import Schedule
from tinymem.training.optimisers import Adam
from tinymem.training.search import Search
from tinymem.training.translation import Translation, translations

np.set_printoptions(precision=3, suppress=True)
lesson = Lesson("attention-scores")


def tensor(values):
    """A batch of one."""
    return tm.Tensor(np.array([values], dtype=np.float64))


# %% [markdown]
# ## 1. A query and three places
#
# The state h asks; f_1 … f_3 are what is at the places. Here f_1 points where h points, f_2 to the side, f_3 the other way, and
# twice as far. Every score below is of this shape: a number for each place.

# %%
h = tensor([1.0, 0.5])  # (batch, d)
f = tensor([[1.0, 0.5], [-0.5, 1.0], [-2.0, -1.0]])  # (batch, L, d)
print("h", h.data[0], " f_1, f_2, f_3", *f.data[0])

# %% [markdown]
# ## 2. Additive attention [1]
#
# $$ \text{score}(h, f) = w_3^T \tanh(W_1 h + W_2 f) $$
#
# A small network looks at both, so h and f may be of different length, and what counts as an answer is learned. Luong's
# "concat" score, one matrix for [h; f], is the same with $W_1$ and $W_2$ side by side. Below a query of 2 numbers asks places
# of 3.

# %%
rng = np.random.default_rng(0)
W1, W2, w3 = (tm.Tensor(rng.normal(size=shape)) for shape in ((4, 2), (4, 3), (4,)))
wider = tm.Tensor(rng.normal(size=(1, 3, 3)))
print("additive:", attention.additive_score(h, wider, W1, W2, w3).data[0])
print(check_grad(attention.additive_score, *(t.data for t in (h, wider, W1, W2, w3)), names=("h", "f", "W_1", "W_2", "w_3")))

# %% [markdown]
# ## 3. Dot product [2], and scaled [3]
#
# $$ \text{score}(h, f) = h^T f \qquad \text{score}(h, f) = h^T f / \sqrt d,\quad d = \dim(h) $$
#
# Nothing to learn here: h and f must learn to agree. They must be of the same length, and if they are not, that is said:

# %%
print("dot:       ", attention.dot_score(h, f).data[0])
print("scaled dot:", attention.scaled_dot_score(h, f).data[0])
try:
    attention.dot_score(h, wider)
except ValueError as error:
    print("refused:", error)

# %% [markdown]
# ## 4. General, and location [2]
#
# $$ \text{score}(h, f) = h^T W f \qquad \text{score}_s(h) = (W h)_s $$
#
# W brings h among the f, so lengths may differ again; with W = I it is the dot product. The location score does not look at the
# places at all: it chooses by their number, which is enough to read from left to right, and for nothing else.

# %%
identity = tm.Tensor(np.eye(2))
turned = tm.Tensor([[0.0, 1.0], [-1.0, 0.0]])  # W: a quarter turn
print("general, W = I:           ", attention.general_score(h, f, identity).data[0])
print("general, a quarter turn:  ", attention.general_score(h, f, turned).data[0])  # now the place to the side answers
print("location, whatever is there:", attention.location_score(h, tm.Tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]])).data[0])

# %% [markdown]
# ## 5. From scores to weights, and the padding
#
# $$ \alpha_i = \frac{\exp(\text{score}(h, f_i))}{\sum_{j=1}^L \exp(\text{score}(h, f_j))} $$
#
# Sentences of a batch are filled up to one length. Padding must get a weight of exactly 0 *whatever its score is*, and no
# gradient. So the scores are masked before the softmax. **What goes wrong without it:** below, padding of score 3 takes most of
# the attention.

# %%
scores, there = tensor([1.0, 2.0, 3.0]), tm.asarray([[True, True, False]])
print("without a mask:", attention.attention_weights(scores).data[0])
print("with a mask:   ", attention.attention_weights(scores, there).data[0])
slope = tm.grad(lambda s: (attention.attention_weights(s, there) * tensor([1.0, -2.0, 5.0])).sum())(scores)
print("gradient:      ", tm.to_host(slope)[0])

# %% [markdown]
# ## 6. Why divide by √d
#
# Let h and f be of independent numbers of mean 0 and variance 1. Then $h^T f$ is a sum of d products, of variance **d**: the
# larger the model, the larger its scores, and the softmax of large scores is almost one-hot. Such a softmax *is* a decision,
# taken at random before anything was learned, and its slope is almost 0: no gradient arrives that could correct it. Of the
# Jacobian $\alpha_i (\delta_{ij} - \alpha_j)$ the absolute values sum to $2 (1 - \sum_i \alpha_i^2)$; that is drawn on the
# right.

# %%
sizes, places, draws = (4, 16, 64, 256, 1024), 10, 2000
variance, largest, slope = ({"dot": [], "scaled-dot": []} for _ in range(3))
for d in sizes:
    rng = np.random.default_rng(d)
    query, features = tm.Tensor(rng.normal(size=(draws, d))), tm.Tensor(rng.normal(size=(draws, places, d)))
    for name, score in (("dot", attention.dot_score), ("scaled-dot", attention.scaled_dot_score)):
        found = score(query, features)
        weights = tm.to_host(attention.attention_weights(found))
        variance[name].append(float(tm.to_host(found).var()))
        largest[name].append(float(weights.max(1).mean()))
        slope[name].append(float(2 * (1 - (weights**2).sum(1)).mean()))
lesson.show(figures.softmax_saturation(sizes, variance, largest, slope), "softmax-saturation")

# %%
for name, d in (("dot", 256), ("scaled-dot", 256)):
    at, expected = sizes.index(d), (d if name == "dot" else 1, "by calculation")
    lesson.row(f"random h and f, d = {d}, {name}: variance of the score", variance[name][at], "", *expected, n=draws)
    lesson.row(f"random h and f, d = {d}, {name}: mean largest of {places} weights", largest[name][at], "0 … 1", n=draws)
    lesson.row(f"random h and f, d = {d}, {name}: slope of the weights", slope[name][at], "0 … 2", n=draws)

# %% [markdown]
# ## 7. Which score learns at which size?
#
# The experiment: number names into French, "seventy one" to "soixante et onze" (the lesson `translation` has more of them), by
# a bidirectional GRU encoder and a GRU decoder in Luong's order: the state $h_t$ of this very word asks. A dot product needs
# dim(h) = dim(f), so the decoder has d units and the encoder d/2 in each direction. 250 updates are little on purpose: whoever
# learns fast is ahead. One seed each: read differences of a few percent as none.

# %%
task = NumberTask()
words = tuple(map(len, task.vocabularies))
scores_compared = ("additive", "dot", "scaled-dot", "general")
models = (32, 64) if lesson.quick else (16, 32, 64, 128, 256)
every = 50 if lesson.quick else 25
schedule = Schedule(250, batch=64, log_every=every, validate_every=50, checkpoint_every=250, clip=1.0, clip_by="norm")


def model_of(score, d):
    return TranslatorConfig(*words, score, order="luong", embedding=32, hidden=d, encoder_hidden=d // 2)


# %%
cases = [(score, d) for d in models for score in scores_compared]
experiments = [
    Experiment(f"numbers-{score}-d{d}", model_of(score, d), Translation(task), Adam(3e-3), schedule, seed=0) for score, d in cases
]
runs = dict(zip(cases, lesson.runs(experiments), strict=True))

# %% [markdown]
# Tested on 100 numbers of each length from 2 to 9 digits that nobody was trained on. A translation counts if every word of it
# is right.

# %%
rng = np.random.default_rng(1)
tested = [pair for digits in range(2, 10) for pair in task.pairs(rng, "test", 100, digits)]
right, sharpness = {}, {}
for case, run in runs.items():
    written = translations(Search(run.model), [pair.source for pair in tested], task.vocabularies)
    right[case] = float(np.mean([found == pair.target for (found, _), pair in zip(written, tested, strict=True)]))
    sharpness[case] = float(np.mean(np.concatenate([sentence.weights.max(1) for _, sentence in written])))
lesson.show(figures.accuracy_by_size([(score, d, share) for (score, d), share in right.items()]), "accuracy-by-size")

# %%
for (score, d), share in right.items():
    lesson.row(f"number names, d = {d}, {score}: translated without a mistake", 100 * share, "%", seed=0, n=len(tested))
for (score, d), share in sharpness.items():
    lesson.row(f"number names, d = {d}, {score}: mean largest weight", share, "0 … 1", seed=0, n=len(tested))

# %% [markdown]
# **Does the plain dot product fail at d = 256 here?** Look before you believe the √d: the numbers of section 6 are of
# *independent standard* numbers, and the states of a GRU are neither. They lie within ±1 and are small before training. So let
# the models tell: how the scores of an untrained model spread, over the words of the same sentences.

# %%
sources = [pair.source for pair in tested[-64:]]


def spread_at_start(score, d):
    """The standard deviation of the scores h^T f of the first written word before training, mean over sentences."""
    model = model_of(score, d).build(np.random.default_rng(0))
    logs = [np.log(sentence.weights[0]) for _, sentence in translations(Search(model, eager=True), sources, task.vocabularies)]
    return float(np.mean([log.std() for log in logs]))  # weights are exp(score) but for a factor, which a deviation does not see


for d in models:
    own, scaled = spread_at_start("dot", d), spread_at_start("scaled-dot", d)
    print(f"d = {d:3}: deviation of the scores before training: {own:.3f}, over √d {scaled:.3f}, independent numbers {math.sqrt(d):.1f}")
    lesson.row(f"before training, d = {d}, dot: deviation of the scores", own, "", n=len(sources))

# %% [markdown]
# **What you see.** At d = 256 every score has learned it, the plain dot product too. Where the model is small and time short,
# dividing by √d does not help, it *delays*: at every size the scores of the untrained GRU deviate by less than 1, where the
# slide's scores are only after the division. Divided once more, the attention starts almost even, and 250 updates later it is
# still much blurred (mean largest weight). The general score learns how large it has to be. In a Transformer, whose layer
# normalisation makes the numbers standard, section 6 is what happens: there the division decides. So the rule is not "divide
# by √d" but "let the scores start with a variance near 1", and what that takes depends on what h and f are.

# %% [markdown]
# ## The numbers

# %%
lesson.finish()
