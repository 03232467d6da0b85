# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # What the heads look at
#
# A head of attention is a row of weights for every word: how much it looks at each of the others. So it can be drawn: two
# columns of words, and lines between them, thick where the weight is large. Such pictures are pretty, and prove little. Here
# is first a task in which it is known *where a head must look*, so that it can be scored; then the heads of a Transformer
# that translates, as they are.
#
# Sources: Vaswani et al. 2017, arXiv 1706.03762, Figs. 3 to 5; the heads of the first part are from Elhage et al. 2021, "A
# mathematical framework for Transformer circuits", and Olsson et al. 2022, arXiv 2209.11895. Slide "What do the heads look at".
# The task is in `tinymem/tasks/lookup.py`, the models in `tinymem/models/`; the equations are in the lesson `transformer`.
#
# Run it with `tinymem lesson attention-heads` (shipped checkpoints), `--quick` (a small training of your own), `--train`
# (everything again from the seeds), or open this file as a notebook. Your own sentence: `tinymem translate --model transformer
# --heads heads.png "do you want to save the changes now ?"`.

# %%
import string

import numpy as np

import tinymem as tm
from tinymem.figures import heads as figures
from tinymem.figures.heads import Head
from tinymem.lesson import Lesson

# %%
from tinymem.models.language_model import LanguageModelConfig
from tinymem.models.transformer import TransformerConfig
from tinymem.tasks.lookup import LookupTask, answers, weight_on, word_before
from tinymem.tasks.translation.alignment import agreement, learn_aligner
from tinymem.tasks.translation.libreoffice import LibreOfficeTask, libreoffice
from tinymem.tasks.translation.numbers import NumberTask
from tinymem.training.experiment import Experiment
from tinymem.training.heads import heads_of
from tinymem.training.looking_up import head_weights
from tinymem.training.loop import Schedule
from tinymem.training.optimisers import Adam
from tinymem.training.search import Search
from tinymem.training.translation import Translation, translations
from tinymem.translate import trained, translate

np.set_printoptions(precision=2, suppress=True)
lesson = Lesson("attention-heads")

# %% [markdown]
# ## 1. A task that says where to look
#
# A sequence of keys and values. Which value belongs to which key is drawn anew for every sequence; but a key that comes again
# has the value that it had before. So the value can be told from the sequence, and from nothing else: look for the same key
# earlier, and read the word *after* it. Only there is the model asked.

# %%
task = LookupTask()
names = [*string.ascii_uppercase[: task.keys], *map(str, range(task.values))]
test = task.batch(np.random.default_rng(1), 1024)
words = test.words[:, 0]
print(" ".join(names[word] for word in words))
print(" ".join("^" if asked else " " * len(names[word]) for word, asked in zip(words, test.mask[:, 0], strict=True)))

# %% [markdown]
# ## 2. Two layers of attention, and nothing else
#
# Embeddings and positional encoding, two layers of causal self-attention with two heads each (d = 64), logits; no per-word
# network. How can that be solved? A key does not see "the word after the same key": weights come from what two words *are*,
# and a value does not say whose it is. It takes two steps:
#
# - layer 1, a **previous-token head**: every value looks at the word before it, and so takes its key along;
# - layer 2, an **induction head**: a key looks for the value that has taken along the same key, and reads the value.
#
# $$ \text{previous} = \underset{\text{values } k}{\text{mean}}\ \alpha_{k,k-1} \qquad
#    \text{induction} = \underset{\text{asked keys } k}{\text{mean}}\ \sum_{j \le k:\ x_{j-1} = x_k} \alpha_{kj} $$
#
# The first is measured at *values*, as only they need it; the second at the keys that came before (several values may follow
# the same key: their weights are summed). Both on 1024 sequences that were never trained on.

# %%
before, after = word_before(test.words), answers(test.words)


def scores(run):
    """The previous-token score of every head and its induction score, (layers, heads) each."""
    layers = head_weights(run.model, test)
    kinds = (before, test.values), (after, test.mask)
    return [np.array([weight_on(layer, places, asked) for layer in layers]) for places, asked in kinds]


# %% [markdown]
# Beside it two models that ought to fail: one layer, which has no second step; and two layers without positional encoding,
# which cannot know what "before" is.

# %%
systems = {
    "2 layers": LanguageModelConfig(task.words),
    "1 layer": LanguageModelConfig(task.words, layers=1),
    "no positions": LanguageModelConfig(task.words, positions=False),
}
seeds, updates = ((0,), 500) if lesson.quick else ((0, 1, 2), 1000)
schedule = Schedule(updates, batch=64, log_every=25, validate_every=25, checkpoint_every=updates, clip=1.0, clip_by="norm", slows_down=True)
cases = [(name, seed) for name in systems for seed in seeds]
experiments = [
    Experiment(f"lookup-{name.replace(' ', '-')}", systems[name], task, Adam(3e-3, beta2=0.98), schedule, seed) for name, seed in cases
]
runs = dict(zip(cases, lesson.runs(experiments), strict=True))

# %% [markdown]
# ## 3. The loss falls off a cliff
#
# Left bits for each asked word. Right the best previous-token head and the best induction head of the two-layer model in
# validation, while it learns.


# %%
def curves(name, what):
    """(updates, value) of each seed."""
    return [np.array([(line["update"], line[what]) for line in runs[name, seed].history]) for seed in seeds]


lesson.show(
    figures.learning_to_look(
        {name: curves(name, "loss") for name in systems},
        {"previous": curves("2 layers", "previous_token"), "induction": curves("2 layers", "induction")},
        {"previous": 0.75, "induction": 0.95},
    ),
    "cliff",
)

# %%
for (name, seed), run in runs.items():
    with tm.no_grad():
        said = tm.to_host(run.model.logits(test.words)).argmax(2)
    right = float((said == test.targets)[test.mask > 0].mean())
    lesson.row(f"looking up, {name}: right after {updates} updates", 100 * right, "%", seed=seed, n=int(test.mask.sum()))
    lesson.row(f"looking up, {name}: bits per asked word", run.validation, "bits", seed=seed)
    previous, induction = scores(run)
    for layer, head in np.ndindex(previous.shape):
        print(
            f"{name}, seed {seed}, layer {layer + 1}, head {head + 1}: on the word before {previous[layer, head]:.2f}, "
            f"on the word after the same key {induction[layer, head]:.2f}"
        )
    lesson.row(f"looking up, {name}: best previous-token head", float(previous.max()), "0 … 1", seed=seed, n=int(test.values.sum()))
    lesson.row(f"looking up, {name}: best induction head", float(induction.max()), "0 … 1", seed=seed, n=int(test.mask.sum()))

# %% [markdown]
# **What you see.** A plateau, then a cliff, in every seed: half of the mechanism brings nothing. On the plateau the model has learned
# to prefer the values of *this sequence* (even over all values would be 4 bits; guessing each as often as it was seen: below), and
# there the one-layer model stays for good. At the cliff both heads appear within a hundred updates.

# %%
values, asked = test.words[1::2], test.mask[::2] > 0  # (pairs, batch)
often = np.array([(values[:pair] == values[pair]).mean(0) for pair in range(1, task.pairs)])
guess = float(-np.log2(often[asked[1:]]).mean())
lesson.row("looking up: guessing each value as often as it was seen", guess, "bits", source="by counting", n=int(asked.sum()))

# %% [markdown]
# ## 4. The two heads
#
# The best head of each kind on the sequence from above, in vermillion where it should look.

# %%
chosen = runs["2 layers", 0]
previous, induction = scores(chosen)
layers = head_weights(chosen.model, test)
sequence = [names[word] for word in words]
pictures = []
for kind, score, places, asked in (("previous token", previous, before, test.values), ("induction", induction, after, test.mask)):
    layer, head = np.unravel_index(score.argmax(), score.shape)
    links = {(i, j) for i, j in np.argwhere(places[0]).tolist() if asked[i, 0]}
    pictures.append(Head(sequence, sequence, layers[layer, 0, head], links, f"{kind}: layer {layer + 1}, head {head + 1}"))
lesson.show(figures.grid_of_heads([pictures], "Looking up: the word before, and the word after the same key"), "induction-heads")

# %% [markdown]
# The other lines are blue: most are of words of which nothing is asked there, and which look somewhere all the same, for weights
# have to sum to 1.
#
# A picture shows where a head looks, not whether it matters. So take it away: without the columns of $W^O$ that read it, how
# many answers are right?


# %%
def right_without(model, layer, head):
    """The share of right answers when nobody reads this head."""
    other, state, name = model.config.build(np.random.default_rng(0)), model.state(), f"layers.{layer}.attention.W_O"
    columns = np.arange(model.config.width) // (model.config.width // model.config.heads)
    state[name] = np.where(columns == head, 0, state[name])
    other.load_state(state)
    with tm.no_grad():
        said = tm.to_host(other.logits(test.words)).argmax(2)
    return float((said == test.targets)[test.mask > 0].mean())


alone = np.array([[right_without(chosen.model, layer, head) for head in range(2)] for layer in range(2)])
for (layer, head), share in np.ndenumerate(alone):
    lesson.row(f"looking up, 2 layers without layer {layer + 1}, head {head + 1}: right", 100 * float(share), "%", seed=0)
tables = {"weight on the word before": previous, "on the word after the same key": induction, "right without this head": alone}
lesson.show(figures.numbers_of_heads(tables, "Looking up: every head"), "heads-looking-up")

# %% [markdown]
# **What you see.** Without the previous-token head the model is hardly better than that of one layer. Both heads of layer 2 have
# become induction heads, so one of them may go: what a head does and what is lost with it are two questions.

# %% [markdown]
# ## 5. Without positions it is slow, and another way
#
# Without positional encoding there is no cliff and no previous-token head, and yet the model learns, slowly. Its first layer
# cannot tell one key from another by its place. If it looks evenly at all keys so far, the weight on the key just before is
# $\text{mean}_n\ 1/n$:

# %%
even = float(np.mean(1 / np.arange(1, task.pairs + 1)))
found = [scores(runs["no positions", seed]) for seed in seeds]
print(f"even weight on the keys so far: {even:.3f}; found in layer 1:", *(previous[0] for previous, _ in found))
lesson.row("looking up, no positions: even weight on all keys so far", even, "0 … 1", source="by calculation")

# %% [markdown]
# And so it is. But the mean of all keys *so far* is another mean after every pair, for the causal mask lets through one key
# more: the mask is a clock. The share of a key is largest in the value that came right after it, as 1/n falls with n. Layer 2 can
# look for that, more bluntly. So "a Transformer without positions does not know the order" is true of an encoder; a causal
# decoder knows some of it.

# %% [markdown]
# ## 6. Heads that translate: number names
#
# A small Transformer (two layers, four heads, d = 64) translates number names. The attention of its decoder over the encoder
# outputs can be compared with the links of the grammar, which the model has never seen: which word does each French word come
# from? The decoder is told the right words before. For every head: the share of the words whose largest weight is on a linked
# word. The best head is *chosen on validation* numbers and scored on test numbers, or the choice would flatter it.

# %%
numbers = NumberTask()
number_updates = 300 if lesson.quick else 1000
number_schedule = Schedule(
    number_updates, batch=64, log_every=100, validate_every=100, checkpoint_every=number_updates, clip=1.0, clip_by="norm"
)
small = TransformerConfig(*map(len, numbers.vocabularies), width=64, inner=128)
number_runs = lesson.runs(
    [Experiment("numbers-heads", small, Translation(numbers), Adam(2e-3, beta2=0.98), number_schedule, seed) for seed in seeds]
)


# %%
def agreements(looked, links):
    """How each head of the decoder's attention to the sentence agrees with links: exact, (layers, heads), and of each layer's mean."""

    def exact(pick):
        return agreement([pick(one.cross)[:-1] for one in looked], links).exact  # <end> has no link

    layers, heads = looked[0].cross.shape[:2]
    each = np.array([[exact(lambda cross, at=(layer, head): cross[at]) for head in range(heads)] for layer in range(layers)])
    return each, np.array([exact(lambda cross, layer=layer: cross[layer].mean(0)) for layer in range(layers)])


def report(name, chosen_on, tested_on, n, seed):
    """The head that is best on (looked, links) of validation, and the mean of each layer's heads, on those of the test."""
    (choice, _), (each, means) = agreements(*chosen_on), agreements(*tested_on)
    layer, head = np.unravel_index(choice.argmax(), choice.shape)
    told = f"{name}, best head (layer {layer + 1}, head {head + 1}): largest weight on the linked word"
    lesson.row(told, float(each[layer, head]), "0 … 1", seed=seed, n=n)
    for number, mean in enumerate(means, 1):
        lesson.row(f"{name}, mean of layer {number}: largest weight on the linked word", float(mean), "0 … 1", seed=seed, n=n)
    return each, (layer, head)


# %%
rng = np.random.default_rng(1)
parts = {part: [pair for digits in range(2, 10) for pair in numbers.pairs(rng, part, 50, digits)] for part in ("validation", "test")}
gold = {part: [pair.links.sure for pair in pairs] for part, pairs in parts.items()}
for run in number_runs:
    looked = {part: heads_of(run.model, pairs, numbers.vocabularies) for part, pairs in parts.items()}
    seed = run.experiment.seed
    chosen_on, tested_on = ((looked[part], gold[part]) for part in parts)
    each, (layer, head) = report("numbers", chosen_on, tested_on, len(parts["test"]), seed)
    print(f"seed {seed}: largest weight on the linked word\n{each}")

# %% [markdown]
# The best head of the last seed, large, on a test number for which French counts by twenties: lines and matrix are the same
# weights. Vermillion are the links.

# %%
by_twenties = [len({"quatre", "vingt", "dix"} & set(pair.target)) - len(pair.target) / 100 for pair in parts["test"]]
place = int(np.argmax(by_twenties))
pair = parts["test"][place]
weights, links = looked["test"][place].cross[layer, head], pair.links.sure
picture = Head((*pair.target, "<end>"), (*pair.source, "<end>"), weights, links, f"layer {layer + 1}, head {head + 1}")
lesson.show(figures.head_with_matrix(picture, "Number names: one head of the decoder over the sentence"), "head-of-numbers")

# %% [markdown]
# **What you see.** Every seed translates almost everything, and yet no head *is* the alignment. What one head does not see another
# does, so heads need not be right one by one, and the mean of a layer's heads may be a better alignment than any of them, or a
# worse one. And a word may be read beside its place: what the encoder puts there has looked at its neighbours.

# %% [markdown]
# ## 7. LibreOffice: the heads as they are
#
# The Transformer of the lesson `transformer`, of those trained on real sentences the one that did best in validation. One held-out
# sentence that it translates exactly, with all heads; a row is a layer. First the encoder: every word of the sentence (left) looks
# at the words of the same sentence. Then the decoder's attention over the sentence ("cross": from the translation to the sentence).

# %%
english, french = LibreOfficeTask().vocabularies
if not lesson.quick:
    corpus = libreoffice()
    office = trained("transformer")
    aligner = learn_aligner(corpus.train)
    office_links = {"validation": [aligner.links(pair).sure for pair in corpus.validation]}
    office_links["test"] = [aligner.links(pair).sure for pair in corpus.test]
    crossings = [aligner.links(pair).crossings if 8 <= len(pair.source) <= 11 else -1 for pair in corpus.test]
    candidates = np.argsort(crossings, kind="stable")[::-1][:40].tolist()
    written = translations(Search(office.model), [corpus.test[place].source for place in candidates], (english, french))
    shown = next(place for place, (said, _) in zip(candidates, written, strict=True) if said == corpus.test[place].target)
    pair = corpus.test[shown]
    print(f"{office.experiment.name}, seed {office.experiment.seed}:", " ".join(pair.source), "→", " ".join(pair.target))


# %%
def drawn(kind, asking, seen, layers, links=frozenset()):
    """A row of heads for each layer."""
    return [
        [Head(asking, seen, head, links, f"{kind}, layer {layer}, head {number}") for number, head in enumerate(heads, 1)]
        for layer, heads in enumerate(layers, 1)
    ]


if not lesson.quick:
    (one,) = heads_of(office.model, [pair], (english, french))
    read, said = (*pair.source, "<end>"), (*pair.target, "<end>")
    rows = drawn("encoder", read, read, one.encoder)
    lesson.show(figures.grid_of_heads(rows, "LibreOffice: self-attention of the encoder"), "heads-encoder")
    rows = drawn("cross", said, read, one.cross, office_links["test"][shown])
    lesson.show(figures.grid_of_heads(rows, "LibreOffice: the decoder over the sentence (vermillion: links of IBM model 1)"), "heads-cross")

# %% [markdown]
# One sentence is an anecdote, so every head is asked about all 1000 test sentences: how spread its weights are (entropy, as a share
# of that of even weights), and how much lies on `<end>`, which says nothing.


# %%
def entropy(weights):
    """-Σ α log₂ α of each word, bits."""
    return -(weights * np.log2(np.maximum(weights, 1e-12))).sum(3)


def of_each_head(looked, kind, number):
    """A number of each word's weights, the mean over all words of all sentences, (layers, heads)."""
    return np.concatenate([number(getattr(one, kind)) for one in looked], axis=2).mean(2)


# %%
if not lesson.quick:
    office_looked = {part: heads_of(office.model, getattr(corpus, part), (english, french)) for part in ("validation", "test")}
    everyone = office_looked["test"]
    tables = {}
    for kind in ("encoder", "cross"):
        evenly = float(of_each_head(everyone, kind, lambda weights: np.full(weights.shape[:3], np.log2(weights.shape[3]))).mean())
        bits = of_each_head(everyone, kind, entropy)
        on_end = of_each_head(everyone, kind, lambda weights: weights[..., -1])
        rests = of_each_head(everyone, kind, lambda weights: weights.argmax(3) == weights.shape[3] - 1)
        tables |= {f"{kind}: entropy / even weights'": bits / evenly, f"{kind}: weight on <end>": on_end}
        lesson.row(f"LibreOffice, {kind}: entropy of even weights", evenly, "bits", n=1000)
        for at in np.ndindex(bits.shape):
            name = f"LibreOffice, {kind}, layer {at[0] + 1}, head {at[1] + 1}"
            lesson.row(f"{name}: entropy", float(bits[at]), "bits", seed=0, n=1000)
            lesson.row(f"{name}: weight on <end>", float(on_end[at]), "0 … 1", seed=0, n=1000)
            lesson.row(f"{name}: largest weight on <end>", float(rests[at]), "0 … 1", seed=0, n=1000)

# %% [markdown]
# **What you see** (the picture of these numbers comes below). The heads of the encoder are diffuse: they have half to four fifths of
# the entropy of even weights, and neither a sentence nor the means tell what such a head is for. In layer 1 a third of the weight
# lies on `<end>`, three times what even weights would give it: weights must sum to 1, and it is a place to rest. The paper's Figs.
# 3 to 5 are a few well chosen heads, of a model trained on hundreds of times as many sentences. The decoder's attention over the
# sentence is as diffuse in layer 1, and sharper in layer 2.

# %% [markdown]
# ## 8. Attention over the sentence against alignments
#
# Sharper, but in the right places? Nobody has marked here which word comes from which. The links are those of IBM model 1, as in the
# lesson `translation`: from which words meet how often, and nothing else.

# %%
if not lesson.quick:
    chosen_on, tested_on = ((office_looked[part], office_links[part]) for part in ("validation", "test"))
    each, best = report("LibreOffice", chosen_on, tested_on, 1000, 0)
    tables["cross: largest on the linked word"] = each
    lesson.show(figures.numbers_of_heads(tables, "LibreOffice: every head, mean of 1000 sentences"), "heads-in-numbers")
    picture = Head(said, read, one.cross[best], office_links["test"][shown], f"layer {best[0] + 1}, head {best[1] + 1}")
    lesson.show(figures.head_with_matrix(picture, "LibreOffice: the head that is most of an alignment"), "head-of-libreoffice")

# %% [markdown]
# **What you see.** In layer 2 the heads look at the linked words, the mean of all four more often than the best of them, and more
# often than the attention of the recurrent translator in the lesson `translation` (0.66 of these words). In layer 1 they mostly do
# not. And a head that looks elsewhere is not wrong: in *l'onglet* the article depends on the noun, so the noun has to be looked at,
# and the link says nothing of that.

# %% [markdown]
# ## 9. Your own sentence
#
# `tinymem translate --model transformer --heads heads.png "…"` prints the translation and draws every head of encoder and decoder.

# %%
if not lesson.quick:
    translated = translate("do you want to save the changes now ?", office)
    print(translated)
    lesson.show(translated.heads_figure, "your-sentence")

# %% [markdown]
# ## The numbers

# %%
lesson.finish()
