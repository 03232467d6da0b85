# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Differentiable Neural Computers: memory that is freed and used again
#
# An NTM moves its heads by shifts: what it writes lies side by side, and nothing is ever given back. A Differentiable Neural
# Computer keeps books instead. It knows which locations are *in use*, so it can write to a free one, wherever that is; it
# *frees* what it has read; and a *link matrix* remembers what was written after what. Here it copies one sequence after
# another through ten locations, many more vectors than its memory has rows.
#
# Source: Graves, Wayne, Reynolds et al. 2016, "Hybrid computing using a neural network with dynamic external memory", Nature 538
# (Methods; Extended Data Fig. 1). The lecture names it among its references. The equations are in
# `tinymem/equations/dnc.py`, the machine in `tinymem/models/dnc.py`; erasing, adding, reading and addressing by content are the NTM's.

# %%
import numpy as np

import tinymem as tm
from tinymem.equations import dnc
from tinymem.figures import allocation as figures
from tinymem.lesson import Lesson, table

# %%
from tinymem.models.dnc import DNCConfig
from tinymem.models.lstm import LSTMConfig
from tinymem.models.ntm import NTMConfig
from tinymem.models.sequence import trace
from tinymem.tasks.algorithms import CopySeriesTask
from tinymem.testing import check_grad
from tinymem.testing.check import NotDifferentiable
from tinymem.training.experiment import Experiment
from tinymem.training.loop import Schedule
from tinymem.training.objectives import predicted_bits
from tinymem.training.optimisers import Adam, GravesRMSProp

np.set_printoptions(precision=3, suppress=True, linewidth=120)
lesson = Lesson("dnc-copy")


def rows(*values):
    """A batch of one: (1, …)."""
    return tm.Tensor(np.array([values], dtype=np.float64))


# %% [markdown]
# ## 1. What is in use?
#
# $$ \psi_t = \prod_{r=1}^{R} (1 - f_t^r\, w_{t-1}^{r}) \qquad u_t = (u_{t-1} + w^w_{t-1} - u_{t-1} \circ w^w_{t-1}) \circ \psi_t $$
#
# Writing raises the usage of a location to 1 (the middle is "or" for probabilities). Reading alone changes nothing; reading with
# an open *free gate* $f$ gives the location back: its *retention* $\psi$ is 0.

# %%
used = rows(0.0, 0.0, 0.0, 0.0)
locations = [rows(*np.eye(4)[place]) for place in range(4)]
nothing_read = dnc.retention(rows(0.0), rows([0.25, 0.25, 0.25, 0.25]))
for place in (0, 1, 2):
    used = dnc.usage(used, locations[place], nothing_read)
print("written to 0, 1, 2:     ", used.data)
for gate in (0.0, 0.5, 1.0):
    retained = dnc.retention(rows(gate), rows([0.0, 1.0, 0.0, 0.0]))  # one read head, on location 1
    print(f"1 read, free gate {gate}:  ", dnc.usage(used, rows(0.0, 0.0, 0.0, 0.0), retained).data)

# %% [markdown]
# **Without a free gate** usage never falls: after N writes nothing is left to give away. Section 8 shows it on a trained machine.

# %% [markdown]
# ## 2. Where is room?
#
# $$ a_t[\phi_t[j]] = (1 - u_t[\phi_t[j]]) \prod_{i<j} u_t[\phi_t[i]] \qquad \phi_t:\ \text{locations in ascending order of usage} $$
#
# The freest location gets what is free of it, the next one what is left, and so on. Once all is in use, nothing is given away:
# the allocation sums to $1 - \prod_i u_t(i)$.

# %%
for used in ([1.0, 0.0, 1.0, 1.0], [0.9, 0.2, 0.6, 0.9], [1.0, 1.0, 1.0, 1.0]):
    share = dnc.allocation(rows(*used)).data
    print("usage", np.array(used), " allocation", share, " sum", round(float(share.sum()), 3))

# %% [markdown]
# **The sort has no gradient, and it jumps.** An order does not change a little. While no two usages are equal the formula is a smooth
# product and its gradient is exact; where two change places, the shares of the two are exchanged at once. At a tie, the location of
# the lower number comes first here. Watch location 1 overtake location 0:

# %%
for usage in (0.49, 0.499, 0.501, 0.51):
    print(f"u(0) = 0.5, u(1) = {usage:<5}  allocation", dnc.allocation(rows(0.5, usage, 0.9)).data)
print(check_grad(dnc.allocation, np.array([[0.5, 0.51, 0.9]]), names=("used",)))
try:
    check_grad(dnc.allocation, np.array([[0.5, 0.5, 0.9]]), names=("used",))
except NotDifferentiable as error:
    print("at the tie:", str(error).splitlines()[0])

# %% [markdown]
# Yet at the start of a sequence *all* usages are equal, and the whole machine still passes the check of its gradient
# (`tests/models/test_dnc_model.py`). Locations that were never told apart are equal in everything, memory and links too; whichever of
# them comes first, the outputs are the same. Locations have no names.

# %% [markdown]
# ## 3. Write: to a free location, to a similar one, or nowhere
#
# $$ w^w_t = g^w_t\,[g^a_t\, a_t + (1 - g^a_t)\, c^w_t] $$
#
# The *allocation gate* $g^a$ chooses between the free location and the one that resembles the write key; the *write gate* $g^w$ lets
# nothing through at 0. So a write weighting may sum to less than 1: an NTM writes at every step, a DNC need not.

# %%
content, allocated = locations[0], locations[3]
for allocation_gate, write_gate in ((1.0, 1.0), (0.0, 1.0), (0.5, 1.0), (1.0, 0.0)):
    written = dnc.write_weighting(content, allocated, rows(allocation_gate), rows(write_gate))
    print(f"allocation gate {allocation_gate}, write gate {write_gate}:", written.data)

# %% [markdown]
# ## 4. What was written after what?
#
# $$ p_t = \Bigl(1 - \sum_i w^w_t[i]\Bigr) p_{t-1} + w^w_t \qquad
#    L_t[i,j] = (1 - w^w_t[i] - w^w_t[j])\, L_{t-1}[i,j] + w^w_t[i]\, p_{t-1}[j],\quad L_t[i,i] = 0 $$
#
# The *precedence* $p$ says which location was written last. The link $L[i,j]$ says that i was written right after j; whenever one of
# the two is written again, the old link goes. Steps without a write (all zero) change neither: that is how it skips them.

# %%
last, linked = rows(0.0, 0.0, 0.0, 0.0), tm.Tensor(np.zeros((1, 4, 4)))
for place in (2, 0, None, 3, 1):  # in this order, with a pause
    written = rows(0.0, 0.0, 0.0, 0.0) if place is None else locations[place]
    linked = dnc.link(linked, written, last)  # with the precedence before this write
    last = dnc.precedence(last, written)
    print("written to", place, " precedence", last.data)
print("L, row i: written right after column j\n", linked.data[0])

# %% [markdown]
# ## 5. Read: forwards, backwards, or by content
#
# $$ f_t = L_t\, w^r_{t-1} \qquad b_t = L_t^\top w^r_{t-1} \qquad w^r_t = \pi_t[1]\, b_t + \pi_t[2]\, c^r_t + \pi_t[3]\, f_t $$
#
# From wherever the head is, the link matrix leads to the location written next, or before. *Read modes* $\pi$ (a softmax of three)
# mix the ways. No shift is needed, and no neighbourhood.

# %%
head = locations[2]  # the first one written
for _ in range(3):
    head = dnc.forward_weighting(linked, head)
    print("forwards: ", head.data)
print("backwards:", dnc.backward_weighting(linked, head).data)
modes = rows(0.0, 0.3, 0.7)  # backward, content, forward
print("mixed:    ", dnc.read_weighting(locations[3], locations[0], locations[1], modes).data)

# %% [markdown]
# ## 6. The task, and four machines
#
# A series of 1 to 4 sequences. Each is 5 random vectors of 6 bits, a delimiter, and 5 silent steps in which the vectors are asked for;
# then the next one comes, into the memory as the last one left it. Ten locations, so from the third sequence on there is no fresh
# one. An ignorant model pays 30 bits a sequence, 75 a series on average.
#
# The DNC, and beside it an NTM with the same ten locations, optimiser and number of series, and an LSTM with no memory but its cells
# (Adam, 16 series an update, twice as many series). The fourth is the DNC once more, trained on series of up to 8: the paper's
# machine, with a feed-forward controller and ten locations as well, was shown series of 10 sequences.

# %%
task, longer = CopySeriesTask(), CopySeriesTask(most=8)
locations_of_memory, hidden, width, seeds = 10, 64, 16, range(10)
optimiser, schedule = GravesRMSProp(1e-4), Schedule(20_000, log_every=200, validate_every=500)
lstm, lstm_schedule = 256, Schedule(2500, batch=16, log_every=50, validate_every=250)

# %%
if lesson.quick:  # the same experiment, small enough for two minutes: 4 bits, 3 vectors, 6 locations
    task, longer = CopySeriesTask(bits=4, length=3), CopySeriesTask(bits=4, length=3, most=8)
    locations_of_memory, hidden, width, seeds = 6, 40, 10, range(2)
    optimiser, schedule = GravesRMSProp(3e-4), Schedule(4000, log_every=200, validate_every=200)
    lstm, lstm_schedule = 64, Schedule(1000, batch=16, log_every=50, validate_every=50)

# %%
sizes = {"inputs": task.inputs, "outputs": task.outputs}
memory = {"hidden": hidden, "locations": locations_of_memory, "width": width}
systems = {  # model, task, optimiser, schedule, seeds
    "DNC": (DNCConfig(**sizes, **memory), task, optimiser, schedule, seeds),
    "NTM": (NTMConfig(**sizes, **memory), task, optimiser, schedule, seeds),
    "LSTM": (LSTMConfig(**sizes, hidden=lstm, layers=1), task, Adam(1e-3), lstm_schedule, seeds[:3]),
    "DNC, up to 8": (DNCConfig(**sizes, **memory), longer, optimiser, schedule, seeds[:5]),
}
for name, (config, *_) in systems.items():
    lesson.row(f"{name}: parameters", config.build(np.random.default_rng(0)).count_parameters(), "numbers")

# %% [markdown]
# ## 7. Training, and series longer than any in training
#
# The parameters used are those that did best on *validation* series. Then come test series of 20 sequences, 100 vectors through ten
# locations. What a machine answers in the fourth sequence does not depend on the fifth, so one long series tests all shorter ones.

# %%
labels = {"DNC": "series-dnc", "NTM": "series-ntm", "LSTM": "series-lstm", "DNC, up to 8": "series-dnc-up-to-8"}
experiments = [
    Experiment(labels[name], config, of, rule, plan, seed)
    for name, (config, of, rule, plan, numbers) in systems.items()
    for seed in numbers
]
runs: dict[str, list] = {name: [] for name in systems}
for run in lesson.runs(experiments):
    runs[next(name for name, label in labels.items() if run.experiment.name == label)].append(run)

# %%
for name, of in runs.items():
    count, series = len(of), of[0].experiment.schedule.updates * of[0].experiment.schedule.batch
    in_time = sum(run.sequences_until(0.1) < np.inf for run in of)
    under_one = float(np.median([run.sequences_until(1) for run in of]))
    lesson.row(f"{name}: seeds below 0.1 bit within {series} series", in_time, f"of {count} seeds", n=count)
    lesson.row(f"{name}: series until < 1 bit, median seed", under_one, "series", n=count)
    lesson.row(f"{name}: best validation, median seed", float(np.median([run.validation for run in of])), "bits per series", n=count)

# %%
sequences, tried, step_of_one = 20, 20, 2 * task.length + 1
tests = []  # (system, which sequence, wrong bits, bits asked for), for each seed and sequence
for name, of in runs.items():
    for run in of:
        series = task.batch(np.random.default_rng([1, run.experiment.seed]), tried, sequences)  # test series: a stream of their own
        wrong = ((predicted_bits(run.model, series) > 0.5) != (series.targets > 0.5)) * series.mask[:, :, None]
        each = wrong.reshape(sequences, -1).sum(1).astype(int).tolist()
        tests += [(name, place + 1, count, series.target_bits // sequences * tried) for place, count in enumerate(each)]

# %%
curves = {name: [np.array([(line["sequences"] / 1000, line["loss"]) for line in run.history]) for run in runs[name]] for name in systems}
chance = task.bits * task.length * (task.fewest + task.most) / 2
drawn = {name: curves[name] for name in ("DNC", "NTM", "LSTM")}  # the fourth learns from longer series: other bits
lesson.show(figures.series_copied(drawn, tests, trained=(task.fewest, task.most), chance=chance), "series-copied")
for name in systems:
    for first, stop in ((1, 4), (5, 8), (9, 20)):
        wrong, asked = np.sum([(wrong, asked) for of, place, wrong, asked in tests if of == name and first <= place <= stop], axis=0)
        lesson.row(f"{name}: wrong bits in sequences {first} to {stop}", float(100 * wrong / asked), "%", n=len(runs[name]) * tried)

# %% [markdown]
# **What you see.** The DNC learns first, and nearly every seed. But it learns to manage its memory *for four sequences*: from the sixth on
# it fails, with every seed. Longer series in training help, and are harder to learn: not half of the seeds get there in time. The NTM
# needs longer, and then mostly goes on and on. So does the LSTM, which has forty times as many parameters and needs most series.

# %% [markdown]
# ## 8. What the memory is used for (Extended Data Fig. 1)
#
# One series of 4 through the DNC that did best on validation. A ring marks a write to a location that was written to before.

# %%
best = {name: min(of, key=lambda run: run.validation) for name, of in runs.items()}
example = task.batch(np.random.default_rng(7), 1, task.most)
machine, seed = best["DNC"].model, best["DNC"].experiment.seed
seen = {name: values[:, 0] for name, values in trace(machine, tm.Tensor(example.inputs)).items()}
picture = figures.memory_management(
    inputs=seen["input"],
    outputs=predicted_bits(machine, example)[:, 0] * example.mask,
    write_weightings=seen["write_weighting"],
    usage=seen["usage"],
    read_weightings=seen["read_weighting"][:, 0],
    gates={"free gate": seen["free_gates"][:, 0], "allocation gate": seen["allocation_gate"][:, 0], "write gate": seen["write_gate"][:, 0]},
    modes=seen["read_modes"][:, 0],
    length=task.length,
    title=f"DNC: a series of copies through {locations_of_memory} locations (seed {seed})",
)
lesson.show(picture, "memory-management")

# %%
length, one, source = task.length, 2 * task.length + 1, "Ext. Data Fig. 1"
writing = np.concatenate([np.arange(start, start + length) for start in range(0, len(seen["usage"]), one)])  # steps with a vector
answering = writing + length + 1  # steps in which it is asked for
written_to = seen["write_weighting"][writing].argmax(1)
print("written to", written_to.reshape(-1, length).tolist())
again = int((np.bincount(written_to) > 1).sum())  # a write at the delimiter is not counted
lesson.row("DNC: locations written to more than once", again, f"of {locations_of_memory}", "re-used", source, seed, 1)
largest = float(seen["write_weighting"][writing].max(1).mean())
lesson.row("DNC: mean largest write weighting, writing", largest, "0 … 1", None, "", seed, len(writing))

# %%
in_paper = {("allocation_gate", "writing"): "active", ("free_gates", "answering"): "active"}
for name, label in (("allocation_gate", "allocation gate"), ("write_gate", "write gate"), ("free_gates", "free gate")):
    for steps, when in ((writing, "writing"), (answering, "answering")):
        told, mean = in_paper.get((name, when)), float(seen[name][steps].mean())
        lesson.row(f"DNC: mean {label}, {when}", mean, "0 … 1", told, source if told else "", seed, len(steps))

# %% [markdown]
# **What follows the order of writing?** At the delimiter the head finds the first vector by content; from then on it goes forwards along
# the links. (A controller sees a read vector one step after it was read, so the head may run one location ahead of the answer.)

# %%
modes, reads = seen["read_modes"][:, 0], seen["read_weighting"][:, 0].argmax(1)
shares = {ahead: float((reads[answering - ahead] == written_to).mean()) for ahead in (0, 1)}
ahead = max(shares, key=shares.__getitem__)
lesson.row("DNC: reads in the order of writing", shares[ahead], "share", None, "", seed, len(answering))
print(f"the head is {ahead} step ahead of the answer; read from", reads[answering - ahead].reshape(-1, length).tolist())
delimiters = writing[length - 1 :: length] + 1
for steps, when in ((delimiters, "at the delimiter"), (answering, "answering")):
    for number, name in enumerate(("backward", "content", "forward")):
        lesson.row(f"DNC: read mode {name}, {when}", float(modes[steps, number].mean()), "0 … 1", None, "", seed, len(steps))

# %% [markdown]
# ### Does usage come back?
#
# The same writes, with the usage computed once more and the free gate shut ($\psi = 1$): by the third sequence nothing is left to be
# allocated.

# %%
writes = [tm.Tensor(weighting[None].astype(np.float64)) for weighting in seen["write_weighting"]]
shut, kept = [rows(*np.zeros(locations_of_memory))], rows(*np.ones(locations_of_memory))
for written in writes:
    shut.append(dnc.usage(shut[-1], written, kept))
without = np.concatenate([tm.to_host(used) for used in shut]).sum(1)  # before the first step, and after each
total = seen["usage"].sum(1)
ends = np.append(delimiters[1:] - length, len(total)) - 1  # the last step of each answer
lines = [
    (str(n + 1), f"{total[a]:.2f}", f"{total[b]:.2f}", f"{without[a]:.2f}") for n, (a, b) in enumerate(zip(delimiters, ends, strict=True))
]
print("sum of usage, of", locations_of_memory)
print(table([("sequence", "all written", "all answered", "all written, free gate shut"), *lines]))

# %%
lesson.row("DNC: largest sum of usage", float(total.max()), f"of {locations_of_memory}", None, "", seed, 1)
lesson.row("DNC: sum of usage after the first answer", float(total[ends[0]]), f"of {locations_of_memory}", None, "", seed, 1)
lesson.row(f"DNC: sum of usage after answer {task.most}", float(total[ends[-1]]), f"of {locations_of_memory}", None, "", seed, 1)
lesson.row("DNC: the same, free gate shut", float(without[-2]), f"of {locations_of_memory}", None, "", seed, 1)

# %% [markdown]
# **What you see, and what the paper does not tell.** Allocation while vectors come, freeing while they are read, the same locations
# again and again: as in the paper. But the free gate is open all the time, also while nothing is to be freed; the head then rests on
# nothing much, so it does little harm. And usage does not come all the way back. While it answers, the machine lets its write gate ajar,
# and what it writes where it has just read is not read again, hence not freed. A location that is not quite free gets a weaker write,
# a weaker link, a blurred read, and is freed even less. Four sequences do not feel it; in longer series it grows until no room is left:

# %%
long = task.batch(np.random.default_rng(8), tried, sequences)
for name in ("DNC", "DNC, up to 8"):
    followed = trace(best[name].model, tm.Tensor(long.inputs))
    parts = {kind: followed[kind].reshape(sequences, one, tried, -1) for kind in ("usage", "write_weighting")}
    left = parts["usage"][:, 0].sum(-1).mean(1)  # before the first vector of each sequence
    sharp = parts["write_weighting"][:, :length].max(-1).mean((1, 2))
    print(f"{name}\n  sum of usage when a sequence begins", left, "\n  mean largest write weighting      ", sharp)
    for place in (4, 10, 20):
        lesson.row(f"{name}: usage left at sequence {place}", float(left[place - 1]), f"of {locations_of_memory}", n=tried)
        lesson.row(f"{name}: largest write weighting in sequence {place}", float(sharp[place - 1]), "0 … 1", n=tried * length)

# %% [markdown]
# ## 9. The link matrix follows the order of writing
#
# Right after the last sequence was written, by the number of the location and sorted by the time of writing. Sorted, each link of
# the last sequence lies right above the diagonal: i was written one step after j.

# %%
step = int(writing[-1])
when_written = {int(seen["write_weighting"][t].argmax()): t for t in writing}  # the last time counts
order = sorted(when_written, key=when_written.__getitem__)
linked = seen["link"][step]
title = f"The link matrix follows the order of writing (sequence {task.most} of the series)"
lesson.show(figures.order_of_writing(seen["write_weighting"][writing[-length:]], linked, order, length, title), "order-of-writing")
recent = order[-length:]
print("order of writing, the last sequence:", recent)

# %%
for number, at in ((1, writing[length - 1]), (task.most, step)):
    places = [int(seen["write_weighting"][t].argmax()) for t in range(at - length + 1, at + 1)]
    among = seen["link"][at][np.ix_(places, places)]
    above = float(np.trace(among[1:, :-1]))
    lesson.row(f"DNC: mean link from one write to the next, sequence {number}", above / (length - 1), "0 … 1", None, "", seed, length - 1)
    lesson.row(
        f"DNC: share of its links right above the diagonal, sequence {number}", above / float(among.sum()), "share", None, "", seed, 1
    )

# %% [markdown]
# ## 10. And the NTM?
#
# It has no idea of what is free. With twice as many locations as a sequence has vectors it does not need one: its write head goes
# round in a circle, and by the time it comes back, what it overwrites was read long ago.

# %%
turned, seed = trace(best["NTM"].model, tm.Tensor(example.inputs)), best["NTM"].experiment.seed
at = turned["write_weighting"][:, 0, 0].argmax(1)
moves = (np.diff(at) + locations_of_memory // 2) % locations_of_memory - locations_of_memory // 2  # signed, around the end
steps, counts = np.unique(moves, return_counts=True)
usual = int(steps[counts.argmax()])
print(f"the NTM's write head usually moves by {usual:+d}; it is at", at.tolist())
lesson.row("NTM: steps in which its write head makes the usual move", float((moves == usual).mean()), "share", None, "", seed, len(moves))
lesson.row("NTM: times around the memory in one series", abs(int(moves.sum())) / locations_of_memory, "times", None, "", seed, 1)

# %% [markdown]
# ## The numbers

# %%
lesson.finish()
