# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Captions by soft and by hard attention
#
# A decoder writes a sentence about a picture. Before each word it looks at the picture, at 64 places of it, and it can do so in two ways.
# *Soft* attention looks everywhere at once, at some places more: a weighted mean, through which backprop goes. *Hard* attention looks at
# one place, drawn by chance; nothing can be differentiated through a draw, so it is trained with REINFORCE.
#
# Source: Xu et al. 2015, "Show, Attend and Tell", arXiv 1502.03044. Slides "Hard & soft attention", "Introspection via soft attention",
# "Soft vs. hard attention". The equations are in `tinymem/equations/attention.py`, the decoder in `tinymem/models/captioner.py`, its
# training in `tinymem/training/captioning.py`.
#
# Run it with `tinymem lesson captions` (shipped checkpoints), `--quick` (a small training of your own), `--train` (everything again from
# the seeds), or open this file as a notebook.

# %%
import numpy as np

import tinymem as tm
from tinymem.equations import attention
from tinymem.figures import captioning as figures
from tinymem.lesson import Lesson

# %%
from tinymem.models.captioner import WITHOUT_ATTENTION, CaptionerConfig
from tinymem.models.cnn import EncoderConfig
from tinymem.tasks.pointing import object_mask, score_attention
from tinymem.tasks.scenes import GRAMMAR, CropTask, Scene, SceneError, SceneTask, shown, vocabulary
from tinymem.training.caption_writing import Writer, attention_of, score_captions
from tinymem.training.captioning import (
    PRETRAINING,
    PRETRAINING_OPTIMISER,
    Captioning,
    Reinforce,
    annotated,
    classifier,
    crop_accuracy,
    looked_at,
)
from tinymem.training.experiment import Experiment
from tinymem.training.loop import Schedule
from tinymem.training.optimisers import Adam

np.set_printoptions(precision=3, suppress=True)
lesson = Lesson("captions")

# %% [markdown]
# ## 1. Two ways to look
#
# $$ \alpha_i = \frac{\exp(\mathrm{score}(h, f_i))}{\sum_{j=1}^L \exp(\mathrm{score}(h, f_j))} \qquad
#    \text{soft: } \hat z = \sum_{i=1}^L \alpha_i f_i \qquad \text{hard: } z \sim \mathrm{Discrete}(\alpha_1, \dots, \alpha_L) $$
#
# The weights are the same; what is done with them differs. Three places, whose features are one number each:

# %%
scores, places = tm.Tensor([[0.0, 1.0, 2.0]]), tm.Tensor([[[10.0], [20.0], [30.0]]])
alpha = attention.attention_weights(scores)
rng = np.random.default_rng(0)
print("α                 ", alpha.data[0])
print("soft              ", attention.soft_context(alpha, places).data[0])
draws = [attention.soft_context(attention.hard_sample(alpha, rng), places).item() for _ in range(10)]
print("hard, ten draws   ", *draws)

# %% [markdown]
# **Training what was drawn.** We want $\nabla E[R]$, where $R$ is what a place earns (below, ln p of the words told from it). The draw
# has no derivative, but its probability has:
#
# $$ \nabla E[R] \approx \frac{1}{N} \sum_{n=1}^N (R_n - b_n)\, \nabla \log p(z_n) $$
#
# It is right on average, and very noisy. How noisy can be computed for $L = 9$ places, where the sum over all places is the exact answer.
# One of the nine is where the word can be told from. Two baselines $b$: none, and the mean of what is earned.

# %%
toy = np.random.default_rng(3)
logits = toy.normal(size=(1, 9))
rewards = np.full(9, -4.0) + 0.3 * toy.normal(size=9)
rewards[4] = -0.2  # ln p of the word from the place where it is written, in nats


def reinforce(drawn, baseline):
    """The REINFORCE gradient (9,) from drawn places (N,), by backprop through the surrogate."""
    told = np.eye(9)[drawn]
    estimate = tm.grad(
        lambda s: attention.reinforce_surrogate(
            tm.log((attention.attention_weights(s) * tm.Tensor(told)).sum(1)),
            tm.Tensor(rewards[drawn]),
            tm.Tensor(np.full(len(drawn), baseline)),
        )
    )
    return tm.to_host(estimate(tm.Tensor(np.repeat(logits, len(drawn), 0)))).sum(0)


# %%
share = tm.to_host(attention.attention_weights(tm.Tensor(logits)))[0]
of_all = tm.grad(lambda s: (attention.attention_weights(s) * tm.Tensor(rewards[None])).sum())
exact = tm.to_host(of_all(tm.Tensor(logits)))[0]
baselines = {"no baseline": 0.0, "mean reward": float(share @ rewards)}
counts, errors = np.array([1, 4, 16, 64, 256, 1024]), {}
for name, baseline in baselines.items():
    every = np.array([reinforce(np.array([place]), baseline) for place in range(9)])  # (9, 9): each place that can be drawn
    assert np.allclose(share @ every, exact)  # the mean over all z is the exact gradient, whatever the baseline
    variance = float(share @ ((every - exact) ** 2).sum(1))
    draws = np.random.default_rng(0)
    drawn = [[reinforce(draws.choice(9, count, p=share), baseline) for _ in range(30)] for count in counts]
    errors[name] = np.sqrt([np.mean([((one - exact) ** 2).sum() for one in of]) for of in drawn])
    lesson.row(f"toy, L = 9, {name}: variance / |exact gradient|²", variance / float((exact**2).sum()), "one draw", n=9)
lesson.show(
    figures.estimator_spread(counts, errors, float(np.linalg.norm(exact)), "REINFORCE against the sum over all places"), "estimator"
)

# %% [markdown]
# **What you see.** The error falls as $1/\sqrt N$, and a baseline is worth many draws. A caption is harder than this toy: seven draws in
# a row from 64 places share one reward, and at first the decoder cannot tell a word from any place, so no place earns more than another.
#
# ## 2. Scenes, and what the decoder sees of them
#
# Emoji of two artists on a noisy ground, one sentence that says which and how they lie. Where the objects are is known, so attention is
# *scored*. No caption of the test was ever trained on. Build one yourself: `place(word, x, y)`, in pixels from the upper left corner.

# %%
mine = Scene(background=7).place("cat", 6, 30).place("umbrella", 38, 34)
print(mine.caption, mine.picture().shape)
for attempt in (lambda: mine.place("dog", 0, 0), lambda: Scene().place("cats", 0, 0), lambda: Scene().place("cat", 60, 0)):
    try:
        attempt()
    except SceneError as error:
        print("refused:", error)

# %% [markdown]
# The encoder is a small convolutional network, trained to name the object in pieces of scenes and then *frozen*, as the paper's VGG was.
# The pictures become 8 × 8 annotations of 64 numbers. A convolution sees the same everywhere and cannot tell left from right; so a place
# also says where it lies (two coordinates). Without them the decoders named the objects and guessed their relation.

# %%
if not lesson.quick:
    tasks = {"encoder": CropTask(), "encoder-noto": CropTask(SceneTask("noto"))}
    encoders = [Experiment(f"captions-{name}", EncoderConfig(), task, PRETRAINING_OPTIMISER, PRETRAINING) for name, task in tasks.items()]
    for run, artists in zip(lesson.runs(encoders), ("both artists", "Noto alone"), strict=True):
        crops = run.experiment.task.batch(np.random.default_rng(1), 1024, "test")
        named = 100 * crop_accuracy(classifier(run.model), crops)
        lesson.row(f"encoder, {artists}: crops of test scenes named", named, "%", seed=0, n=1024)

# %% [markdown]
# (The decoders read the *shipped* encoder, with `--train` and `--quick` too.)
#
# ## 3. Four decoders
#
# An LSTM of 96 cells. Before word t the state $h_{t-1}$ asks; the gate $\beta_t$ says how much of what was seen counts:
#
# $$ \hat z_t = \beta_t\, \phi(\alpha_t, a) \qquad h_t = \mathrm{LSTM}([E y_{t-1}; \hat z_t], h_{t-1}) \qquad
#    p(y_t) \propto \exp(L_o (E y_{t-1} + L_h h_t + L_z \hat z_t)) $$
#
# Two decoders do without: *none* looks at the mean annotation before every word; *start* sees it before the first word alone, as in
# Vinyals et al. 2015, with which the paper compares. *Soft* and *hard* have the same parameters. Hard attention is trained by 500
# updates of soft attention, then by draws alone: **each place is credited with the word told from it, and compared with what the
# expectation would have told from the same state** (that costs one more LSTM step, and no second run over the sentence).

# %%
words, updates = len(vocabulary()), (3000, 1500)
seeds = (0, 1, 2)
how = {"scenes": 6000}
if lesson.quick:
    updates, seeds, how = (600, 900), (0,), {"scenes": 3000}
warm_up = 300 if lesson.quick else 500
own_word = {"factor": 1.0, "credit": "word", "baseline": "expectation"}


def experiment(name, kind, count, seed=0, **changes):
    schedule = Schedule(count, 64, log_every=50, validate_every=50 if lesson.quick else 250, checkpoint_every=500, clip=5.0, clip_by="norm")
    return Experiment(f"captions-{name}", CaptionerConfig(words, kind), Captioning(**how | changes), Adam(2e-3), schedule, seed)


def family(name, kind, count, of=seeds, **changes):
    return [experiment(name, kind, count, seed, **changes) for seed in of]


# %%
half, one_seed = {"soft_share": 0.5, "entropy": 0.002}, seeds[:1]
plan = {
    "soft": family("soft", "soft", updates[0]),
    "hard": family("hard-word", "hard", updates[1], reinforce=Reinforce(warm_up=warm_up, **own_word)),
}
if not lesson.quick:
    plan |= {
        "start": family("start", "start", updates[0]),
        "none": family("none", "none", updates[0]),
        "control": family("hard-control", "hard", updates[1], reinforce=Reinforce(factor=0.0, warm_up=warm_up)),
        "sentence": family("hard-sentence", "hard", updates[1], reinforce=Reinforce(warm_up=warm_up)),
        "half soft": family("hard-half-soft", "hard", updates[1], reinforce=Reinforce(**half)),
        "half soft, control": family("hard-half-soft-control", "hard", updates[1], reinforce=Reinforce(factor=0.0, **half)),
        "scratch, own word": family("hard-from-scratch-word", "hard", updates[1], one_seed, reinforce=Reinforce(**own_word)),
        "scratch, sentence": family("hard-from-scratch-sentence", "hard", updates[1], one_seed, reinforce=Reinforce()),
        "scratch, control": family("hard-from-scratch-control", "hard", updates[1], one_seed, reinforce=Reinforce(factor=0.0)),
        "spread": family("soft-doubly-stochastic", "soft", updates[0], one_seed, doubly_stochastic=1.0),
        "noto": family("soft-noto", "soft", 1500, one_seed, task=SceneTask("noto")),
    }

# %%
trained = iter(lesson.runs([one for of in plan.values() for one in of]))
runs = {name: [next(trained) for _ in of] for name, of in plan.items()}
main = [name for name in ("start", "none", "soft", "hard", "control") if name in runs]

# %% [markdown]
# ## 4. Soft and hard side by side, word by word
#
# The slide's own pictures, as scenes. Above soft, below hard attention (the framed place is the one it looked at; by its largest weight
# here, so that the picture does not depend on luck). The number under a tile is the largest weight.

# %%
best = {name: min(runs[name], key=lambda run: run.validation) for name in ("soft", "hard")}
writers = {"soft": Writer(best["soft"].model), "hard": Writer(best["hard"].model, "argmax")}


def both(scene):
    """How each kind of attention tells a scene, for a figure."""
    rows = {}
    for name in ("soft", "hard"):
        (told,) = writers[name](looked_at(scene.picture()))
        at = None if name == "soft" else told.places.argmax(1)
        rows[name] = figures.Looked([*told.words, "<end>"][: len(told.weights)], told.weights, at)
        right = "right" if told.words == scene.words else f"wrong, it is {scene.caption}"
        print(f"{name:5} {told.text} ({right})")
    return figures.word_by_word(scene.picture(), rows, scene.caption)


# %%
for name, scene in shown().items():
    lesson.show(both(scene), f"words-{name.replace(' ', '-')}")

# %% [markdown]
# **A scene of your own.** Change the words and places and run the cell again; `look` also takes any picture of 64 × 64 × 3 in 0 … 1.

# %%
lesson.show(both(Scene(background=7).place("cat", 6, 30).place("umbrella", 38, 34)), "words-yours")
try:
    looked_at(np.zeros((32, 32, 3)))
except SceneError as error:
    print("refused:", error)

# %% [markdown]
# ## 5. The table
#
# 500 scenes with captions never trained on. *Exact*: the whole caption, word for word. *Mass*: share of the attention that lies on the
# object a word names; *pointing*: is the most attended place on it? Chance is the share of places that lie on an object. Hard attention
# writes in three ways: by draws (as it was trained), by its most probable place, and by the expectation (as soft attention would).

# %%
count = 200 if lesson.quick else 500
test = annotated(SceneTask().scenes(np.random.default_rng(1), count, "test"))
ways = {"draws": "sample", "largest weight": "argmax", "expectation": "expectation"}
written = {}  # (system, seed, way): captions
for name in main:
    for run in runs[name]:
        seed = run.experiment.seed
        for way, pick in ways.items() if run.model.config.attention == "hard" else {"": None}.items():
            told = written[name, seed, way] = Writer(run.model, pick)(test.annotations)
            found, label = score_captions(told, test.scenes), f"{name}, by {way}" if way else name
            lesson.row(f"{label}: exact captions", 100 * found.exact, "%", seed=seed, n=count)
            lesson.row(f"{label}: BLEU", found.bleu, "BLEU", seed=seed, n=count)
        if name in WITHOUT_ATTENTION:
            pairs = [[{*words} - {*GRAMMAR} for words in (one.words, scene.words)] for one, scene in zip(told, test.scenes, strict=True)]
            lesson.row(f"{name}: both objects named", 100 * np.mean([one == other for one, other in pairs]), "%", seed=seed, n=count)


# %%
def exact_of(system, way=""):
    """Exact captions in percent, seed by seed."""
    return [100 * score_captions(written[system, run.experiment.seed, way], test.scenes).exact for run in runs[system]]


for name in main:
    if len(seeds) > 1 and runs[name][0].model.config.attention != "hard":
        lesson.row(f"{name}: exact captions, mean of the seeds", np.mean(exact_of(name)), "%", n=count)
    for run in runs[name] if name not in WITHOUT_ATTENTION else []:
        at = score_attention(test.scenes, attention_of(run.model, test))
        lesson.row(f"{name}: attention on the object", 100 * at.mass, "%", seed=run.experiment.seed, n=at.words)
        lesson.row(f"{name}: pointing", 100 * at.pointing, "%", seed=run.experiment.seed, n=at.words)
lesson.row("chance: attention on the object, pointing", 100 * at.chance, "%", n=at.words)


# %%
def curve(run):
    every = run.experiment.schedule.validate_every
    return np.array([(line["update"], line["validation"]) for line in run.history if line["update"] % every == 0])


drawn = {name: [curve(run) for run in runs[name]] for name in main if name != "control"}
lesson.show(figures.validation_curves(drawn, "Bits per word of held-out scenes"), "validation")
level = min(updates)  # so many updates each
for name in drawn:
    for run, points in zip(runs[name], drawn[name], strict=True):
        bits = float(points[points[:, 0] == level][0, 1])
        lesson.row(f"{name}: held-out bits after {level} updates", bits, "bits per word", seed=run.experiment.seed, n=256)
soft, hard = np.mean(exact_of("soft")), {way: np.mean(exact_of("hard", way)) for way in ways}
lesson.row("soft - hard by draws: exact captions, mean of the seeds", soft - hard["draws"], "points", n=count)
lesson.row("soft - hard by expectation: exact captions, mean of the seeds", soft - hard["expectation"], "points", n=count)

# %% [markdown]
# **The slide's "Better results (sometimes?)".** Not here. Soft attention is ahead in every seed, and so it is after equally many updates.
# Hard attention is best when its weights are used as soft attention would use them; draws at test time cost some points, for now and then
# a place of small weight is drawn. (In the paper's Table 1 hard is ahead by about a point of BLEU on COCO, after days on photographs.)
#
# **What a picture tells without a look at its places.** A mean annotation says *what* there is: in about half of the scenes the decoders
# without attention name both objects. It does not say where. Two objects make four captions (left of, above, and who is named first),
# and one of four is a guess: it comes to one caption of six or seven, and a decoder that named all objects would be right in one of four.
#
# **A number that is not as one would wish.** Of three soft decoders, all as good at writing, one points at the object less often than the
# others: an annotation sees 30 pixels, more than its own 8, so the place beside an object will do. Right captions do not prove that
# attention is where we would look.
#
# ## 6. A page of mistakes
#
# Left the picture, right where soft attention looked before its first wrong word (in brackets).

# %%
told = writers["soft"](test.annotations)
wrong = [place for place, (one, scene) in enumerate(zip(told, test.scenes, strict=True)) if one.words != scene.words]
page = [figures.Mistake(test.scenes[w].picture(), test.scenes[w].words, told[w].words, told[w].weights) for w in wrong[:9]]
if page:
    lesson.show(figures.mistakes(page, f"Soft attention's mistakes: the first {len(page)} of {len(wrong)} in {count}"), "mistakes")

# %% [markdown]
# ## 7. Hard to train
#
# Each way to train hard attention beside its **control**: the same run with $\lambda_r = 0$, in which places are drawn and nothing says
# which were good. Without the control one is easily fooled: the original code's recipe takes the expectation in half of its minibatches,
# and that half trains the attention by backprop. (From the start, one seed each; all else three. "Sentence": the reward is the mean ln p
# of the caption's words, the baseline a moving average, $\lambda_r$ = 0.1, as in the original code. "Own word": as in section 3,
# $\lambda_r$ = 1.)

# %%
if not lesson.quick:
    reached = {"hard": exact_of("hard", "draws"), "control": exact_of("control", "draws")}
    for name in ("sentence", "half soft", "half soft, control", "scratch, own word", "scratch, sentence", "scratch, control"):
        reached[name] = []
        for run in runs[name]:
            found = score_captions(Writer(run.model, "sample")(test.annotations), test.scenes)
            reached[name].append(100 * found.exact)
            lesson.row(f"hard to train, {name}: exact captions by draws", 100 * found.exact, "%", seed=run.experiment.seed, n=count)

# %%
if not lesson.quick:
    settings = {
        "500 soft updates, then\nREINFORCE, own word": (reached["hard"], reached["control"]),
        "500 soft updates, then\nREINFORCE, sentence": (reached["sentence"], reached["control"]),
        "half of the minibatches soft\n(the original code)": (reached["half soft"], reached["half soft, control"]),
        "REINFORCE from the start,\nown word": (reached["scratch, own word"], reached["scratch, control"]),
        "REINFORCE from the start,\nsentence": (reached["scratch, sentence"], reached["scratch, control"]),
    }
    lesson.show(figures.beside_controls(settings, "Hard attention, written by draws: with REINFORCE, and without it"), "hard-to-train")
    for name, control in (("hard", "control"), ("sentence", "control"), ("half soft", "half soft, control")):
        for seed, gain in zip(seeds, np.subtract(reached[name], reached[control]).tolist(), strict=True):
            lesson.row(f"{name} - its control: exact captions by draws", gain, "points", seed=seed, n=count)
    gain = float(np.mean(reached["hard"]) - np.mean(reached["sentence"]))
    lesson.row("own word - sentence: exact captions by draws, mean of the seeds", gain, "points", n=count)

# %% [markdown]
# **What you see.** After a soft warm-up REINFORCE does real work: in every seed it is far above its control. Credit for the own word,
# compared with the expectation, brings more than the sentence's reward and a moving average. The half-soft recipe works as well *without*
# its REINFORCE term: there it proves nothing. And from the start nothing works: while the decoder cannot tell a word from any place, no
# place earns more than another.
#
# ## 8. The doubly stochastic penalty
#
# $$ \lambda \sum_{i=1}^L \Big(1 - \sum_{t=1}^T \alpha_{ti}\Big)^2 $$
#
# It asks every place to get its share, about 1, over a caption. With 64 places and seven words that cannot be: the sum over all places is
# about seven, not 64. What comes of it (λ = 1, one seed): attention is spread over the whole picture, less of it on the object than
# chance would put there, and the captions are still mostly right. The mean of everything *but* an object seems to tell the object too. As
# a picture of what the decoder means, such attention is worthless.

# %%
if not lesson.quick:
    (spread,) = runs["spread"]
    told = Writer(spread.model)(test.annotations)
    found, at = score_captions(told, test.scenes), score_attention(test.scenes, attention_of(spread.model, test))
    lesson.row("soft, λ = 1: exact captions", 100 * found.exact, "%", seed=0, n=count)
    lesson.row("soft, λ = 1: attention on the object", 100 * at.mass, "%", seed=0, n=at.words)
    lesson.row("soft, λ = 1: pointing", 100 * at.pointing, "%", seed=0, n=at.words)
    one = shown()["bird"]
    maps = {"the picture's two objects": sum(object_mask(one, number) for number in (0, 1)).astype(float)}
    for name, model in (("λ = 0", runs["soft"][0].model), ("λ = 1", spread.model)):
        maps[name] = Writer(model)(looked_at(one.picture()))[0].weights.sum(0).reshape(8, 8)
    lesson.show(figures.attention_shares(maps, f"Where attention went over a whole caption: {one.caption}"), "doubly-stochastic")

# %% [markdown]
# ## 9. An artist never seen
#
# The same 48 objects, drawn by the other artist. Encoder and decoder saw scenes of Noto alone (1500 updates); the test is Twemoji's.
# Attention finds most of the unknown drawings, and the words for them are wrong: it is the encoder that does not know them.

# %%
if not lesson.quick:
    (of_one,) = runs["noto"]
    for artist in ("noto", "twemoji"):
        scenes = SceneTask(artist).scenes(np.random.default_rng(2), count, "test")
        seen = annotated(scenes, "noto")  # by the encoder that saw Noto alone
        found = score_captions(Writer(of_one.model)(seen.annotations), scenes)
        pointing = score_attention(scenes, attention_of(of_one.model, seen)).pointing
        lesson.row(f"trained on Noto, tested on {artist}: exact captions", 100 * found.exact, "%", seed=0, n=count)
        lesson.row(f"trained on Noto, tested on {artist}: BLEU", found.bleu, "BLEU", seed=0, n=count)
        lesson.row(f"trained on Noto, tested on {artist}: pointing", 100 * pointing, "%", seed=0, n=count)

# %% [markdown]
# ## The numbers

# %%
lesson.finish()
