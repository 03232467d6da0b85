# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Neural Turing Machines: dynamic N-grams
#
# A source writes bits. How probable a 1 is depends on the last five bits, by a table that is drawn anew for every sequence. So
# nothing can be learned by heart: a model must find out the table *while it reads*, by counting. And here the best possible is known:
# nobody can beat the Bayes estimator. How close does a machine with a memory come?
#
# Source: Graves, Wayne & Danihelka 2014, "Neural Turing Machines", arXiv 1410.5401, section 4.4, Figures 13 to 15 (not on the slides).
# The machine is the one of the lesson `ntm-copy`; the task and its optimum are in `tinymem/tasks/ngrams.py`.
#
# Run it with `tinymem lesson ntm-ngrams` (shipped checkpoints), `--quick` (a small training of your own), `--train` (everything again
# from the seeds), or open this file as a notebook.

# %%
import numpy as np

import tinymem as tm
from tinymem.figures import ngrams as figures
from tinymem.figures import paper_curves
from tinymem.lesson import Lesson

# %%
from tinymem.models.lstm import LSTMConfig
from tinymem.models.ntm import NTMConfig
from tinymem.models.sequence import run as outputs_of
from tinymem.models.sequence import trace
from tinymem.tasks.ngrams import NGramTask
from tinymem.training.experiment import VALIDATION_BATCH, VALIDATION_BATCHES, Experiment
from tinymem.training.loop import Schedule
from tinymem.training.objectives import LN2, predicted_bits
from tinymem.training.optimisers import Adam, GravesRMSProp

np.set_printoptions(precision=3, suppress=True)
lesson = Lesson("ntm-ngrams")

# %% [markdown]
# ## 1. The task
#
# 32 contexts of five bits, 32 probabilities, each from Beta(1/2, 1/2): mostly near 0 or 1, seldom near 1/2. A sequence has 200 bits;
# the first five are fair coins. At every step the machine sees the last bit and says how probable a 1 is. (`--quick`: contexts of 2
# bits, 40 bits a sequence.)

# %%
task = NGramTask(context=2, length=40) if lesson.quick else NGramTask()
episode = task.batch(np.random.default_rng(1), 1)
bits = episode.targets[:, 0, 0].astype(int)
print("".join(map(str, bits)))
contexts = task.contexts(bits[:, None])[:, 0]
often = np.bincount(contexts).argmax()
after = bits[task.context :][contexts == often]
print(f"most often seen: {often:0{task.context}b}, {len(after)} times; then came {''.join(map(str, after))}")

# %% [markdown]
# ## 2. The best that can be done
#
# $$ P(b = 1 \mid N_1, N_0, c) = \frac{N_1 + \frac12}{N_1 + N_0 + 1} $$
#
# where $N_1$ and $N_0$ count how often 1 and 0 came after this context $c$ so far (Murphy 2012). It is not a model that we train, it
# is a *theorem*: with a table from Beta(1/2, 1/2), no other function of the past pays fewer bits on average. And it is an algorithm,
# two counters for each context: find the counter of the context, read it, add the bit that came.

# %%
said = task.optimum(episode)[:, 0]
for t in np.flatnonzero(contexts == often)[:6] + task.context:
    print(f"bit {t:3}: p(1) = {said[t]:.3f}, and there came {bits[t]}")


# %%
def paid(probability, targets):
    """Bits paid for each sequence, (S,): -log₂ of what was said about each bit, (time, S), added up."""
    return -np.log2(np.where(targets[:, :, 0] > 0, probability, 1 - probability)).sum(0)


pieces = [task.batch(np.random.default_rng([4, piece]), 20_000) for piece in range(5)]
costs = np.concatenate([paid(task.optimum(piece), piece.targets) for piece in pieces])
optimum, error = float(costs.mean()), float(costs.std() / np.sqrt(len(costs)))
lesson.row("Bayes optimum", optimum, "bits per sequence", None if lesson.quick else 131.6, "Fig. 13", n=len(costs))
lesson.row("Bayes optimum, standard error", error, "bits per sequence", n=len(costs))
print(f"and of 1,000 sequences, as in the paper, the mean is uncertain by {costs.std() / np.sqrt(1000):.1f} bits")

# %% [markdown]
# **What goes wrong without care.** Sequences differ by 36 bits (their standard deviation), by luck of their tables. So the mean of a
# thousand is uncertain by more than a bit, and the paper's 131.6 does not disagree with ours. The gap of a good *model* is a matter of
# a few bits; on different sequences it would drown. So each model is compared with the optimum on the *same* sequences: what counts
# is the mean *difference*, whose error is ten times smaller.

# %% [markdown]
# ## 3. The machines
#
# NTMs as for copying: one head that reads, one that writes. With a feed-forward controller the machine remembers nothing by itself: it
# sees one bit and what was read, so *even which five bits came last* must go through the memory. An LSTM controller can keep them, and
# needs the memory for the counters alone. The baseline is the paper's LSTM, 3 layers of 128.

# %%
sizes = {"inputs": task.inputs, "outputs": task.outputs}
keeper, lstm = NTMConfig(**sizes, controller="lstm"), LSTMConfig(**sizes, hidden=128, layers=3)
systems = {
    "NTM-FF": (NTMConfig(**sizes), GravesRMSProp(3e-5), Schedule(100_000, log_every=500, validate_every=2000), (0,)),
    "NTM-LSTM": (keeper, GravesRMSProp(1e-4), Schedule(100_000, log_every=500, validate_every=2000, slows_down=True), (0, 1, 2)),
    "LSTM": (lstm, Adam(1e-3), Schedule(4000, batch=16, log_every=50, validate_every=100), (0,)),
}

# %%
if lesson.quick:
    small, lstm = NTMConfig(**sizes, hidden=40, locations=16, width=10), LSTMConfig(**sizes, hidden=40, layers=1)
    systems = {
        "NTM-FF": (small, GravesRMSProp(3e-4), Schedule(40_000, log_every=500), (0,)),
        "LSTM": (lstm, Adam(3e-3), Schedule(2500, batch=16, log_every=50, validate_every=50), (0,)),
    }

# %%
in_paper = {} if lesson.quick else {"NTM-FF": 14_656, "NTM-LSTM": 61_749, "LSTM": 331_905}
for name, (config, *_) in systems.items():
    count = config.build(np.random.default_rng(0)).count_parameters()
    lesson.row(f"{name}: parameters", count, "numbers", in_paper.get(name), "Tables 1-3" if in_paper else "")
experiments = [
    Experiment(f"ngrams-{name.lower()}", config, task, optimiser, schedule, seed)
    for name, (config, optimiser, schedule, seeds) in systems.items()
    for seed in seeds
]
found = lesson.runs(experiments)
runs = {name: [run for run in found if run.experiment.name == f"ngrams-{name.lower()}"] for name in systems}

# %% [markdown]
# ## 4. Learning curves (Fig. 13)
#
# Left the loss in training, as in the paper. Right the gap to the optimum on each run's *validation* sequences, which are the same at
# every validation, so that their luck is taken out.


# %%
def curve(run):
    """(thousand sequences, bits per sequence) of each window of a run's log."""
    return np.array([(line["sequences"] / 1000, line["loss"]) for line in run.history])


def gap_curve(run):
    """(thousand sequences, bits above the optimum of the validation sequences) at each validation."""
    rng, every = np.random.default_rng([run.experiment.seed, 2]), run.experiment.schedule.validate_every
    held_out = [task.batch(rng, VALIDATION_BATCH) for _ in range(VALIDATION_BATCHES)]
    best = np.mean([paid(task.optimum(batch), batch.targets) for batch in held_out])
    return np.array([(line["sequences"] / 1000, line["validation"] - best) for line in run.history if line["update"] % every == 0])


# %%
ours, gaps = ({name: [of(run) for run in several] for name, several in runs.items()} for of in (curve, gap_curve))
paper, its_optimum, top = ({}, None, 40) if lesson.quick else (paper_curves("fig13_ngram"), 131.6, 200)
lesson.show(figures.learning_gaps(ours, gaps, optimum, paper, its_optimum, top=top), "learning-curves")

# %% [markdown]
# ## 5. The gap to the optimum
#
# 1,024 sequences that chose nothing and were never trained on, the same for all; the parameters of each run are those that did best in
# validation.

# %%
PIECE = 64  # sequences side by side
test = [task.batch(np.random.default_rng([1, piece]), PIECE) for piece in range(1024 // PIECE)]
best_possible = np.concatenate([paid(task.optimum(batch), batch.targets) for batch in test])


def bits_of_each(model):
    """What a model pays for each test sequence, (1024,)."""

    def cost(batch):
        with tm.no_grad():
            return tm.bernoulli_loss(outputs_of(model, tm.Tensor(batch.inputs)), tm.Tensor(batch.targets)).sum((0, 2)) / LN2

    measure = cost if lesson.options.eager else tm.compile(cost, state=model)
    return np.concatenate([tm.to_host(measure(batch)) for batch in test])


# %%
its_gaps = {name: float(of[of[:, 0] > 500, 1].mean() - its_optimum) for name, of in paper.items()}  # after half of its million sequences
measured = {}
for name, several in runs.items():
    for run in several:
        seed, above = run.experiment.seed, bits_of_each(run.model) - best_possible
        measured[name, seed] = float(above.mean())
        source = "Fig. 13, from 500,000 sequences on" if name in its_gaps else ""
        lesson.row(f"{name}: gap to the optimum", measured[name, seed], "bits per sequence", its_gaps.get(name), source, seed, 1024)
        lesson.row(f"{name}: gap, standard error", float(above.std() / np.sqrt(len(above))), "bits per sequence", None, "", seed, 1024)
lesson.row("optimum of these sequences", float(best_possible.mean()), "bits per sequence", n=1024)

# %% [markdown]
# **What you see** (of the shipped runs). Of three NTMs with an LSTM controller two come within two bits of the optimum, one of them nearer
# than the paper's, and faster; the third stays six bits above. (Their learning rate falls through the second half of the run.)
# With a feed-forward controller the machine has hardly begun after 100,000 sequences, at the paper's learning rate, where the paper's
# is as good as the other: we report what came out. Our LSTM is not at its end either, after 64,000 sequences: it falls, as the paper's
# does, later than the machine with a memory.
#
# How much is a gap? Whoever never looks at the past pays one bit for each. Whoever knows the *last* bits but keeps no count cannot do
# better: over all tables, after any context 0 and 1 are equally probable. All that is paid less was found out while reading.

# %%
nothing = float(task.length - best_possible.mean())
for (name, seed), above in measured.items():
    lesson.row(f"{name}: share of what can be found out", 100 * (1 - above / nothing), "%", seed=seed, n=1024)

# %% [markdown]
# ## 6. Bit by bit (Fig. 14)
#
# One test sequence; of each system the run with the smallest gap on *validation* sequences. (The gap, not the loss: runs of
# different seeds have different validation sequences, and their luck would choose.)


# %%
def validation_gap(run):
    """The smallest gap on validation sequences: that of the parameters that were kept."""
    return gap_curve(run)[:, 1].min()


chosen = {name: min(several, key=validation_gap) for name, several in runs.items()}
best = min((run for name, run in chosen.items() if name != "LSTM"), key=validation_gap)  # of the machines with a memory
name_of_best = next(name for name, run in chosen.items() if run is best)
one = task.batch(np.random.default_rng(7), 1)
said = {name: predicted_bits(run.model, one)[:, 0, 0] for name, run in chosen.items()}
lesson.show(figures.predictions(one.targets[:, 0, 0], task.optimum(one)[:, 0], said), "predictions")

# %% [markdown]
# ## 7. Are there counters? (Fig. 15)
#
# The optimum needs a place for each context. If the memory is used so, then whenever a context comes *again*, the read head should be
# where it was at its last visit; and one step later, when the bit that followed is known, the write head should be where it then was.
# Where a head is: the location with the largest weight. A head that never moves comes back always, too, so it says nothing without
# *chance*: the same locations, with the contexts of each sequence shuffled. Looked into is the machine with a memory whose gap is the
# smallest on *validation* sequences.


# %%
def returns(contexts, locations):
    """The share (%) of the visits of a context, but its first in a sequence, that find the head where the last one left it."""
    last, lanes, hits, visits = np.full((contexts.shape[1], 2**task.context), -1), np.arange(contexts.shape[1]), 0, 0
    for context, here in zip(contexts, locations, strict=True):  # (S,) each, step by step
        before = last[lanes, context]
        visits += int((before >= 0).sum())
        hits += int((before == here).sum())
        last[lanes, context] = here
    return 100 * hits / visits


def shuffled(contexts):
    return np.random.default_rng(0).permuted(contexts, axis=0)


contexts = task.contexts(test[0].targets[:, :, 0])
for name, places in (("a place for each context", contexts), ("a head that never moves", 0 * contexts)):
    print(f"{name}: comes back {returns(contexts, places):.0f} %, by chance {returns(shuffled(contexts), places):.0f} %")


# %%
def heads_after_contexts(model, batch):
    """Contexts (T', S), and at the steps at which they are seen the read weightings and the locations written most."""
    seen, first = trace(model, tm.Tensor(batch.inputs)), task.context
    reading, writing = (seen[f"{head}_weighting"][first:, :, 0] for head in ("read", "write"))
    return task.contexts(batch.targets[:, :, 0]), reading, writing.argmax(-1)


looked_into = {run.experiment.seed: heads_after_contexts(run.model, test[0]) for run in runs[name_of_best]}
for seed, (contexts, reading, written) in looked_into.items():
    seen_again = {"read": (contexts, reading.argmax(-1)), "write": (contexts[:-1], written[1:])}  # the writing, one step later
    for head, (of, at) in seen_again.items():
        label = f"{name_of_best}: a context comes again, the {head} head too"
        lesson.row(label, returns(of, at), "%", "always", "Fig. 15", seed, at.size)
        lesson.row(f"{label}, by chance", returns(shuffled(of), at), "%", seed=seed, n=at.size)

# %% [markdown]
# **Counters, or a log?** A counter is a place that is written again and again. One can also write *every* bit to a new place, with its
# context, as into a log, and read all entries of a context at once, by content. Then the write head only ever moves on, and the weight
# of the read head lies on what was written after *earlier visits of the same context*. How many steps after the context it is
# written, the machine may choose; of 0 to 4 we take the number that fits best on validation sequences.


# %%
def weight_on_entries(contexts, reading, written, later):
    """The share (%) of the read weight on the locations last written `later` steps after the present context was seen."""
    lanes, shares = np.arange(contexts.shape[1]), []
    entries = np.zeros((len(lanes), 2**task.context, reading.shape[-1]), bool)
    for t in range(later, len(contexts)):
        entries[lanes, :, written[t]] = False  # overwritten
        entries[lanes, contexts[t - later], written[t]] = True
        own = entries[lanes, contexts[t]]  # (S, N)
        shares.append((reading[t] * own).sum(-1)[own.any(-1)])
    return 100 * float(np.concatenate(shares).mean())


def onwards(written, count):
    """The share (%) of the steps in which a head stays or goes one location on, in the direction that it takes more often."""
    steps = (np.diff(written, axis=0) + count // 2) % count - count // 2
    return 100 * max(float(np.isin(steps, (0, way)).mean()) for way in (-1, 1))


# %%
validation = task.batch(np.random.default_rng([3, 0]), PIECE)
for run in runs[name_of_best]:
    seed, known = run.experiment.seed, heads_after_contexts(run.model, validation)
    later = max(range(5), key=lambda later: weight_on_entries(*known, later))
    contexts, reading, written = looked_into[seed]
    lesson.row(f"{name_of_best}: the write head stays or goes one on", onwards(written, reading.shape[-1]), "%", seed=seed, n=written.size)
    share, label = weight_on_entries(contexts, reading, written, later), f"{name_of_best}: read weight on entries of the same context"
    lesson.row(label, share, "%", seed=seed, n=written.size)
    lesson.row(f"{label}, by chance", weight_on_entries(shuffled(contexts), reading, written, later), "%", seed=seed, n=written.size)
    print(f"seed {seed}: entries are written {later} steps after the context was seen")

# %%
seen, now = trace(best.model, tm.Tensor(one.inputs)), task.contexts(one.targets[:, :, 0])[:, 0]
counts = np.bincount(now, minlength=2**task.context)
shown = int(np.abs(counts - 8).argmin())  # a context that came about eight times: enough to see, few enough to see apart
marked = np.concatenate([np.zeros(task.context, bool), now == shown])
heads = {f"{head}_weightings": seen[f"{head}_weighting"][:, 0, 0] for head in ("read", "write")}
title = f"{name_of_best}, seed {best.experiment.seed}: the context {shown:0{task.context}b} comes {counts[shown]} times"
lesson.show(figures.counters(one.inputs[:, 0, 0], marked, adds=seen["add_vector"][:, 0, 0], title=title, **heads), "memory-use")

# %% [markdown]
# **What you see** (of the shipped runs). It is a log, in all three, and the better the log is kept, the smaller the gap. In the
# best one the write head walks through the memory and never turns back: it keeps no counter. Nine tenths of the weight of the read
# head lie on the entries of the present context, nine times chance: it reads them all at once, by content, and their mean is what a
# counter would have said. In the worst one a sixth of the steps of the write head are jumps, and a seventh of the reading is on
# entries of the context. In the picture, the grey columns are contexts that are new: they are looked for in the empty part of the memory.
#
# The paper's Figure 15 shows a machine that writes where it has read, a counter. Ours found the other algorithm, which later became
# better known: attention over all that has been seen.

# %% [markdown]
# ## The numbers

# %%
lesson.finish()
