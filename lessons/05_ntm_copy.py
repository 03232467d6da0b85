# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Neural Turing Machines: the equations, and the copy task
#
# An LSTM keeps what it knows in a vector. A Neural Turing Machine keeps it in a *memory* of N rows, and learns where to
# write and where to read. Everything is differentiable, so plain gradient descent can find an algorithm: here, *copy*.
#
# Source: Graves, Wayne & Danihelka 2014, "Neural Turing Machines", arXiv 1410.5401. Slides "Neural Turing Machines" to
# "NTM: Copy task". The equations are in `tinymem/equations/ntm.py`, the machine in `tinymem/models/ntm.py`.
#
# Run it with `tinymem lesson ntm-copy` (shipped checkpoints), `--quick` (a small training of your own), `--train`
# (everything again from the seeds), or open this file as a notebook.

# %%
import numpy as np

import tinymem as tm
from tinymem.equations import ntm
from tinymem.figures import ntm as figures
from tinymem.figures import paper_curves
from tinymem.lesson import Lesson

# %%
from tinymem.models.lstm import LSTMConfig
from tinymem.models.ntm import NTMConfig
from tinymem.models.sequence import trace
from tinymem.tasks.algorithms import CopyTask
from tinymem.testing import check_grad
from tinymem.training.experiment import Experiment
from tinymem.training.loop import Schedule
from tinymem.training.objectives import predicted_bits, wrong_bits
from tinymem.training.optimisers import Adam, GravesRMSProp

np.set_printoptions(precision=3, suppress=True)
lesson = Lesson("ntm-copy")


def rows(*values):
    """A batch of one: (1, …)."""
    return tm.Tensor(np.array([values], dtype=np.float64))


# %% [markdown]
# ## 1. Reading
#
# $$ r_t \leftarrow \sum_i w_t(i)\, M_t(i) \qquad \sum_i w_t(i) = 1,\ 0 \le w_t(i) \le 1 $$
#
# A weighting says how much each of the N locations takes part. One-hot, it reads one row; blurred, a mean of rows.

# %%
memory = rows([1.0, 0.0], [0.0, 1.0], [4.0, 4.0])  # (1, N=3, M=2)
print("r_t, one-hot:", ntm.read(memory, rows(0.0, 0.0, 1.0)).data)
print("r_t, blurred:", ntm.read(memory, rows(0.5, 0.5, 0.0)).data)

# %% [markdown]
# ## 2. Writing: erase, then add
#
# $$ \tilde M_t(i) \leftarrow M_{t-1}(i)\,[1 - w_t(i)\, e_t] \qquad M_t(i) \leftarrow \tilde M_t(i) + w_t(i)\, a_t $$
#
# A cell is wiped only where weighting *and* erase vector are 1. Below, column 0 of row 2 is wiped and 7 is put there.

# %%
here, wipe_first_column = rows(0.0, 0.0, 1.0), rows(1.0, 0.0)
erased = ntm.erase(memory, here, wipe_first_column)
print("before\n", memory.data[0])
print("erased\n", erased.data[0])
print("added\n", ntm.add(erased, here, rows(7.0, 0.0)).data[0])

# %% [markdown]
# **Two errors of the slide "Input / Output".** It gives $r_t, e_t, a_t, k_t$ as vectors of length N, and the shift weighting
# as one of length M. With the slide's own memory of N locations $\times$ M wide it is the other way round: they are, or
# meet, rows, so they have length **M**, and $s_t$ runs over the allowed *shifts*. (The input $i_t$ is as long as the task
# makes it.) And only $e_t$ and the gate lie in (0, 1): $k_t$ and $a_t$ are free. Shapes are checked at every call, so the
# slide's version is refused:

# %%
try:
    ntm.erase(memory, here, rows(1.0, 0.0, 0.0))  # an erase vector of length N
except ValueError as error:
    print("refused:", error)

# %% [markdown]
# ## 3. Addressing by content
#
# $$ w_t^c(i) \leftarrow \frac{\exp(\beta_t K[k_t, M_t(i)])}{\sum_j \exp(\beta_t K[k_t, M_t(j)])}
#    \qquad K[u, v] = \frac{u \cdot v}{\|u\|\,\|v\|} $$
#
# The cosine lies in [-1, 1] whatever the lengths, so without the key strength $\beta$ the softmax could never be sharp.

# %%
key = rows(0.9, 0.1)
print("cosine  ", ntm.cosine_similarity(memory, key).data)
for strength in (1.0, 5.0, 50.0):
    print(f"β = {strength:4}", ntm.content_weighting(memory, key, rows(strength)).data)

# %% [markdown]
# ## 4. Addressing by location: gate, shift, sharpen
#
# $$ w_t^g \leftarrow g_t w_t^c + (1 - g_t) w_{t-1} \qquad
#    \tilde w_t(i) \leftarrow \sum_j w_t^g(j)\, s_t(i - j) \qquad
#    w_t(i) \leftarrow \tilde w_t(i)^{\gamma_t} / \sum_j \tilde w_t(j)^{\gamma_t} $$
#
# Gate 0 stays where the head was; a shift weighting that is one-hot at +1 moves it one location up, around the end.

# %%
head = rows(0.0, 0.0, 0.0, 1.0, 0.0)
content = rows(1.0, 0.0, 0.0, 0.0, 0.0)
print("gate 0   ", ntm.interpolate(content, head, rows(0.0)).data)
print("shift +1 ", ntm.shift(head, rows(0.0, 0.0, 1.0)).data)
blurred = head
for _ in range(3):  # a shift weighting that is almost, not quite, one-hot: the head blurs step by step …
    blurred = ntm.shift(blurred, rows(0.05, 0.1, 0.85))
print("3 shifts ", blurred.data)
print("γ = 10   ", ntm.sharpen(blurred, rows(10.0)).data)  # … and sharpening undoes it

# %% [markdown]
# **What goes wrong as written.** On paper $\tilde w^\gamma / \sum \tilde w^\gamma$; in float32 with a spread-out weighting and a large
# $\gamma$ every power underflows to 0, and 0/0 is not a number. `sharpen` computes the same in log space: softmax(γ ln w̃).

# %%
spread = np.full((1, 128), 1 / 128, dtype=np.float32)
with np.errstate(invalid="ignore"):
    powers = spread**30
    print("as written:", (powers / powers.sum())[0, :3])
print("log space: ", ntm.sharpen(tm.Tensor(spread), tm.Tensor([[30.0]], dtype="float32")).data[0, :3])

# %% [markdown]
# **Is the gradient right?** Every equation of this project is checked to second order by the complex step, which has no
# rounding error to hide in. You can check your own functions in the same way.

# %%
print(check_grad(ntm.sharpen, blurred.data, np.array([[2.5]]), names=("weighting", "sharpening")))

# %% [markdown]
# ## 5. The task
#
# Up to 20 random 8-bit vectors, a delimiter on a channel of its own, then silence, in which the vectors must come back in order. An
# ignorant model pays one bit for each: 8 L bits a sequence, 84 on average over lengths 1 … 20. That is the unit of every curve below.

# %%
task = CopyTask()
episode = task.batch(np.random.default_rng(0), size=1, length=4)
print("inputs (time down, 8 bits and the delimiter across)\n", episode.inputs[:, 0].astype(int))
print("targets\n", episode.targets[:, 0].astype(int))

# %% [markdown]
# ## 6. Three machines
#
# A controller reads the input and the last read vector, and tells each head its key, strength, gate, shift and
# sharpening. All is written first; then the *new* memory is read (the paper leaves the order open). What the paper does
# not say, and we chose: tanh for key and add vector, shifts -1, 0, +1, a constant memory of 1e-6 at the start, and
# *initial weightings that start on location 0* (section 10 shows why).
#
# The optimiser is the paper's: RMSProp in the form of Graves 2013, one sequence an update, gradients clipped to ±10. The
# LSTM baseline gets 16 sequences an update and Adam, to get further in the time of a lesson. (Our NTMs are a little
# smaller than the paper's: it does not say which initial states are learned, nor how far a head may shift.)

# %%
if lesson.quick:  # the same experiment, small enough for two minutes: 4 bits, up to 5 vectors, 20 locations
    task = CopyTask(bits=4, longest=5)
    machine = {"inputs": task.inputs, "outputs": task.outputs, "hidden": 40, "locations": 20, "width": 8}
    systems = {"NTM-FF": (NTMConfig(**machine), GravesRMSProp(3e-4), Schedule(2000))}
    seeds = (0, 1)

# %%
if not lesson.quick:  # the paper's sizes
    machine = {"inputs": task.inputs, "outputs": task.outputs}
    systems = {
        "NTM-FF": (NTMConfig(**machine), GravesRMSProp(1e-4), Schedule(20_000)),
        "NTM-LSTM": (NTMConfig(**machine, controller="lstm"), GravesRMSProp(1e-4), Schedule(20_000)),
        "LSTM": (LSTMConfig(**machine, hidden=256, layers=3), Adam(1e-3), Schedule(12_000, batch=16)),
    }
    seeds = (0, 1, 2)

# %%
in_paper = {} if lesson.quick else {"NTM-FF": 17_162, "NTM-LSTM": 67_561, "LSTM": 1_352_969}  # Tables 1 to 3
for name, (config, _, _) in systems.items():
    count = config.build(np.random.default_rng(0)).count_parameters()
    lesson.row(f"{name}: parameters", count, "numbers", in_paper.get(name), "Tables 1-3")

# %% [markdown]
# ## 7. Training and the learning curves (Fig. 3)
#
# Without `--train` the curves below are the logs of the runs that made the shipped checkpoints. They were trained operation by
# operation (`--train --eager`, about an hour); `--train` alone does it by compiled steps, each NTM in half a minute. The
# numbers then differ: training is chaotic, and the order of a sum decides which seed learns when. Of eight seeds trained so,
# six were under 0.1 bit within 12,000 sequences (after 2,900 to 11,700), one was at 8 bits, and one at 69, where it stayed.

# %%
experiments = [
    Experiment(f"copy-{name.lower()}", config, task, optimiser, schedule, seed)
    for name, (config, optimiser, schedule) in systems.items()
    for seed in (seeds if name != "LSTM" else seeds[:1])  # one LSTM: it is the long run, and only the baseline
]
runs: dict[str, list] = {name: [] for name in systems}
for run in lesson.runs(experiments):
    runs[next(name for name in systems if run.experiment.name == f"copy-{name.lower()}")].append(run)


# %%
def curve(run):
    """(thousand sequences, bits per sequence) of each window of a run's log."""
    return np.array([(line["sequences"] / 1000, line["loss"]) for line in run.history])


chance = task.bits * (task.shortest + task.longest) / 2
ours = {name: [curve(run) for run in of] for name, of in runs.items()}
paper = {} if lesson.quick else paper_curves("fig3_copy")
lesson.show(figures.learning_curves(ours, paper, chance=chance), "learning-curves")

# %%
in_paper = {} if lesson.quick else {"NTM-FF": 55_000, "NTM-LSTM": 25_000, "LSTM": "not in 1 M"}  # read off the curves
for name, of in runs.items():
    for run in of:
        until, seed = run.sequences_until(0.1), run.experiment.seed
        lesson.row(f"{name}: sequences until < 0.1 bit", until, "sequences", in_paper.get(name), "Fig. 3", seed, 1)
        lesson.row(f"{name}: loss at the end", run.history[-1]["loss"], "bits per sequence", seed=seed, n=1)
ff = runs["NTM-FF"]
in_time = sum(run.sequences_until(0.1) <= 20_000 for run in ff)
lesson.row("NTM-FF: seeds below 0.1 bit within 20k sequences", in_time, f"of {len(ff)} seeds", n=len(ff))

# %% [markdown]
# **What you see.** The machines with a memory find the algorithm suddenly: a plateau, a fall, some relapses, and then no
# error at all. The LSTM only gets better bit by bit. And not every run arrives in time: of the three shipped runs with an
# LSTM controller, seed 1 was still on its way down, at 46 bits, when its 20,000 sequences were over.
#
# The parameters used from here on are those that did best on *validation* sequences; test sequences chose nothing.

# %% [markdown]
# ## 8. Longer than any training sequence (Figs. 4 and 5)
#
# Trained on up to 20 vectors, tested on 10, 20, 30, 50 and 120. A machine that has learned *to copy* does not care how long.
# (120 vectors need 120 of the 128 locations: beyond 128 the head would run into its own tail.)

# %%
lengths = (3, 5, 8, 12, 16) if lesson.quick else (10, 20, 30, 50, 120)
tested = {}  # (system, seed, length): wrong bits, bits asked for
for name, of in runs.items():
    for run in of:
        rng = np.random.default_rng([1, run.experiment.seed])  # test sequences: a stream of their own
        for length in lengths:
            tested[name, run.experiment.seed, length] = wrong_bits(run.model, task.batch(rng, 100, length))
points = [(name, length, *counts) for (name, _, length), counts in tested.items()]
lesson.show(figures.wrong_bits_by_length(points, trained=(task.shortest, task.longest)), "wrong-bits-by-length")

# %%
short, long, longest = lengths[:2], lengths[2:4], lengths[4]
for name, seed in dict.fromkeys((name, seed) for name, seed, _ in tested):
    for these in (short, long, (longest,)):
        wrong, asked = np.sum([tested[name, seed, length] for length in these], axis=0).tolist()
        label = f"{name}: wrong bits at {' and '.join(map(str, these))} vectors"
        lesson.row(label, 100 * wrong / asked, "%", None, "Figs. 4, 5 (no number)", seed, 100 * len(these))
shares = [tested["NTM-FF", run.experiment.seed, longest] for run in ff]
good = sum(wrong <= 0.02 * asked for wrong, asked in shares)
lesson.row(f"NTM-FF: seeds with at most 2 % wrong at {longest} vectors", good, f"of {len(ff)} seeds", n=len(ff))


# %%
def one_of_each(model):
    """One test sequence of each length, for the picture: (length, targets, outputs, wrong bits, bits)."""
    drawn = []
    for length in lengths:
        one = task.batch(np.random.default_rng(length), 1, length)
        drawn.append((length, one.targets[length + 1 :, 0], predicted_bits(model, one)[length + 1 :, 0], *wrong_bits(model, one)))
    return drawn


best = {name: min(of, key=lambda run: run.validation) for name, of in runs.items()}
for name, run in best.items():
    title = f"{name}, trained on up to {task.longest} vectors (seed {run.experiment.seed})"
    lesson.show(figures.generalisation(one_of_each(run.model), title), f"generalisation-{name.lower()}")

# %% [markdown]
# ## 9. What the memory is used for (Fig. 6)
#
# The slide says what an NTM *should* have learned: write each input to the next location; at the delimiter jump back; read
# on from there. Below is what it does. (Up or down is the same to it, so the heads may count downwards. And a controller
# sees a read vector one step after it was read, so the read head may run one location ahead of what is put out.)

# %%
length, machine_shown = (5 if lesson.quick else 20), best["NTM-FF"].model
example = task.batch(np.random.default_rng(7), 1, length)
seen = trace(machine_shown, tm.Tensor(example.inputs))
head = {name: values[:, 0, 0] for name, values in seen.items() if name.startswith(("read_", "write_"))}
visited = head["write_weighting"][:length].argmax(1)

# %%
picture = figures.memory_use(
    inputs=seen["input"][:, 0],
    outputs=predicted_bits(machine_shown, example)[:, 0] * example.mask,
    adds=seen["add_vector"][:, 0, 0],
    reads=head["read_vector"],
    write_weightings=head["write_weighting"],
    read_weightings=head["read_weighting"],
    phase=length,
    locations=(max(visited.min() - 3, 0), min(visited.max() + 4, seen["memory"].shape[2])),
)
lesson.show(picture, "memory-use")
lesson.show(figures.head_parameters(head, phase=length), "head-parameters")

# %%
writing, reading = head["write_weighting"][:length], head["read_weighting"][length + 1 :]
seed = best["NTM-FF"].experiment.seed
lesson.row("NTM-FF: mean largest write weighting, writing", float(writing.max(1).mean()), "0 … 1", "sharp", "Fig. 6", seed, length)
lesson.row("NTM-FF: mean largest read weighting, reading", float(reading.max(1).mean()), "0 … 1", "sharp", "Fig. 6", seed, length)
print("written to", writing.argmax(1), "\nread from ", reading.argmax(1))
locations = writing.shape[1]
apart = (reading.argmax(1) - writing.argmax(1) + locations // 2) % locations - locations // 2  # circular, signed
offset = int(apart[len(apart) // 2])
lesson.row(
    f"NTM-FF: reads that follow the writes ({offset:+d} location)", float((apart == offset).mean()), "share", "all", "Fig. 6", seed, length
)

# %% [markdown]
# ### One step of addressing, from the inside (Fig. 2)
#
# The read head in the middle of its work: every arrow of the flow diagram carries the value it has at this step of the
# trained machine.

# %%
t = length + 1 + length // 2
told = {name: tm.Tensor(head[f"read_{name}"][t : t + 1]) for name in ("key", "strength", "gate", "shift", "sharpening")}
now, previous = tm.Tensor(seen["memory"][t]), tm.Tensor(head["read_weighting"][t - 1 : t])
content = ntm.content_weighting(now, told["key"], told["strength"])
gated = ntm.interpolate(content, previous, told["gate"])
shifted = ntm.shift(gated, told["shift"])
stages = {
    "memory": now,
    "similarity": ntm.cosine_similarity(now, told["key"]),
    "previous": previous,
    "content": content,
    "gated": gated,
    "shifted": shifted,
    "sharpened": ntm.sharpen(shifted, told["sharpening"]),
}

# %%
title = f"Addressing: the read head at step {t}, in the middle of its answer"
drawn, parameters = ({name: tm.to_host(value)[0] for name, value in of.items()} for of in (stages, told))
lesson.show(figures.flow_diagram(drawn, parameters, title), "flow-diagram")
assert np.allclose(drawn["sharpened"], head["read_weighting"][t], atol=1e-4)  # what the machine itself did at that step

# %% [markdown]
# ## 10. Why does my NTM not converge?
#
# The most asked question about NTMs. One line of difference, same seeds: where the learned *initial weightings* start. If
# every location gets the same weight, every write goes everywhere and every location stays like every other; nothing
# breaks the symmetry, no gradient says where to go. Started on one location (a softmax of logits 10, 0, 0, …; still
# learned), the very first write goes *somewhere*, and the head can learn to move on.

# %%
config, optimiser, schedule = systems["NTM-FF"]
everywhere = NTMConfig(**machine, initial_weighting="uniform")
shorter = schedule if lesson.quick else Schedule(10_000)
uniform = lesson.runs([Experiment("copy-ntm-ff-uniform", everywhere, task, optimiser, shorter, seed) for seed in seeds[:2]])
starts = [tm.to_host(c.build(np.random.default_rng(0)).initial_state(1).write_weightings[0])[0] for c in (config, everywhere)]
curves = [curve(run) for run in ff], [curve(run) for run in uniform]
lesson.show(figures.initial_weightings(*curves, *starts, chance=chance), "initial-weightings")
for run in uniform:
    end = run.history[-1]
    name = f"NTM-FF, uniform start: loss after {end['sequences']} sequences"
    lesson.row(name, end["loss"], "bits per sequence", seed=run.experiment.seed, n=1)

# %% [markdown]
# ## The numbers

# %%
lesson.finish()
