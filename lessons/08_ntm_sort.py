# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Neural Turing Machines: priority sort
#
# Vectors come in any order, each with a number: its *priority*. They must come out again with the highest priority first. Nobody tells
# the machine to compare numbers, let alone how to sort. What algorithm does gradient descent find?
#
# Source: Graves, Wayne & Danihelka 2014, "Neural Turing Machines", arXiv 1410.5401, section 4.5, Figures 16 to 18. Slides "NTM: Sort
# task". The machine is the one of the lesson `ntm-copy`; the task is `SortTask` in `tinymem/tasks/algorithms.py`.
#
# Run it with `tinymem lesson ntm-sort` (shipped checkpoints), `--quick` (a small training of your own), `--train` (everything again
# from the seeds), `--size paper` (the paper's 20 vectors and its large machine), or open this file as a notebook.

# %%
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import tinymem as tm
from tinymem.figures import paper_curves
from tinymem.figures import sorting as figures
from tinymem.lesson import Lesson

# %%
from tinymem.models.lstm import LSTMConfig
from tinymem.models.ntm import NTMConfig
from tinymem.models.sequence import trace
from tinymem.tasks.algorithms import SortTask
from tinymem.training.experiment import Experiment, run_experiment
from tinymem.training.loop import Schedule
from tinymem.training.objectives import bits_per_sequence, wrong_bits
from tinymem.training.optimisers import Adam, GravesRMSProp

np.set_printoptions(precision=1, suppress=True)
lesson = Lesson("ntm-sort", offers_paper_size=True)
at_paper_size = lesson.options.size == "paper"

# %% [markdown]
# ## 1. The task (Fig. 16)
#
# A vector has 8 random bits, and on a channel of its own a priority, uniform on −1 … 1. After a delimiter the vectors are asked for,
# highest priority first. *Whole vectors* are sorted, not their columns. The paper shows 20 vectors and asks for the 16 highest:

# %%
paper_task = SortTask()
one = paper_task.batch(np.random.default_rng(0), 1)
vectors, priorities = one.inputs[: paper_task.vectors, 0, :-2], one.inputs[: paper_task.vectors, 0, -2]
answers = one.targets[paper_task.vectors + 1 :, 0]
lesson.show(figures.sort_task(vectors, priorities, answers, "Priority sort: the paper's task"), "task")

# %% [markdown]
# **The size that trains here** is 8 vectors, all 8 of them asked for. An ignorant model pays one bit for each bit: 64 a sequence, where
# the paper's pays 128. So losses are compared below as *shares of chance*, never bit by bit.

# %%
task = SortTask(bits=8, vectors=8, asked=8)
if lesson.quick:
    task = SortTask(bits=4, vectors=4, asked=4)
if at_paper_size:
    task = paper_task
chance = task.bits * task.asked
print(f"{task.asked} of {task.vectors} vectors: {chance} bits a sequence for a model that knows nothing")

# %% [markdown]
# ## 2. An algorithm that needs no comparison
#
# A memory has an order: its locations. Whoever writes each vector to the location
#
# $$ i = a + b \cdot \text{priority} $$
#
# has sorted when the last one is written, and only needs to read in one direction. **What goes wrong:** two vectors whose priorities
# are close land on the same location, and between others there are gaps to be jumped over. The more locations are used, the fewer
# collisions, but the more gaps. How often do 8 vectors have 8 locations of their own?

# %%
drawn = np.random.default_rng(1).uniform(-1, 1, (20_000, 8))
for locations in (8, 16, 32, 64, 128):
    at = np.sort(np.floor((drawn + 1) / 2 * locations), axis=1)
    steps = np.diff(at, axis=1)
    apart, gap = (steps > 0).all(1).mean(), np.maximum(steps - 1, 0).sum(1).mean()
    print(f"{locations:4} locations: no collision in {apart:4.0%} of the sequences, {gap:5.1f} empty locations between them")

# %% [markdown]
# ## 3. The machines
#
# As in the lesson `ntm-copy`, with more heads: 4 that read and 4 that write, a controller of 256 units, 64 locations. (For its 20
# vectors the paper takes 8 heads, 512 units, 128 locations: `--size paper`.) The baseline is the paper's LSTM, 3 layers of 128.

# %%
sizes = {"inputs": task.inputs, "outputs": task.outputs}
ntm = NTMConfig(**sizes, hidden=256, read_heads=4, write_heads=4, locations=64)
lstm = LSTMConfig(**sizes, hidden=128, layers=3)
systems = {
    "NTM-FF": (ntm, GravesRMSProp(1e-4), Schedule(300_000, log_every=1000, validate_every=1000), (0, 1, 2)),
    "LSTM": (lstm, Adam(1e-3), Schedule(18_750, batch=16, log_every=100, validate_every=200), (0,)),
}

# %%
if lesson.quick:
    ntm, lstm = NTMConfig(**sizes, hidden=64, read_heads=2, write_heads=2, locations=16, width=10), LSTMConfig(**sizes, hidden=64, layers=1)
    systems = {
        "NTM-FF": (ntm, GravesRMSProp(3e-4), Schedule(48_000, log_every=500), (0,)),
        "LSTM": (lstm, Adam(3e-3), Schedule(3000, batch=16, log_every=50, validate_every=50), (0,)),
    }
if at_paper_size:
    ntm = NTMConfig(**sizes, hidden=512, read_heads=8, write_heads=8)
    systems = {"NTM-FF": (ntm, GravesRMSProp(3e-5), Schedule(1_000_000, log_every=1000, validate_every=1000), (0,))}

# %%
in_paper = {"NTM-FF": 508_305, "LSTM": 384_424} if at_paper_size else {}  # Tables 1 and 3
for name, (config, *_) in systems.items():
    count = config.build(np.random.default_rng(0)).count_parameters()
    lesson.row(f"{name}: parameters", count, "numbers", in_paper.get(name), "Tables 1-3" if in_paper else "")

# %% [markdown]
# **The paper's size** takes a million sequences. With `--size paper --train` it begins (stop it with Ctrl-C, the same command goes on);
# with `--size paper` alone, what a step of training costs is measured here, and no result is claimed.

# %%
experiments = [
    Experiment(f"sort-{name.lower()}", config, task, optimiser, schedule, seed)
    for name, (config, optimiser, schedule, seeds) in systems.items()
    for seed in seeds
]
found = lesson.runs(experiments) if lesson.train or not at_paper_size else []
runs = {name: [run for run in found if run.experiment.name == f"sort-{name.lower()}"] for name in systems if found}

# %%
if not found:
    planned = experiments[0].schedule.updates
    measured = replace(experiments[0], schedule=Schedule(60, log_every=20))
    with tempfile.TemporaryDirectory() as folder:
        updates = run_experiment(measured, Path(folder), progress=False, eager=lesson.options.eager)
    seconds = min(line["cpu_seconds"] for line in updates[1:]) / 20  # after the step was recorded; all cores added up
    lesson.row("one update, one sequence", 1000 * seconds, "CPU ms")
    lesson.row(f"{planned:,} updates, as planned for --train", planned * seconds / 3600, "CPU hours")
    print("nothing was trained, so no result is claimed at the paper's size")

# %% [markdown]
# ## 4. Learning curves (Fig. 18)
#
# Without `--train` these are the logs of the runs that made the shipped checkpoints. Dashed is the paper, on its longer task.


# %%
def curve(run):
    """(thousand sequences, bits per sequence) of each window of a run's log."""
    return np.array([(line["sequences"] / 1000, line["loss"]) for line in run.history])


ours = {name: [curve(run) for run in of] for name, of in runs.items()}
paper = {} if lesson.quick else paper_curves("fig18_sort")
if found:
    words = f"{task.asked} of {task.vectors} vectors", "16 of 20 vectors"
    lesson.show(figures.learning_shares(ours, paper, chance, 128, sizes=words), "learning-curves")

# %% [markdown]
# At equal sequences: the mean training loss of the last tenth before the end of the shortest run.

# %%
until = min((of[-1, 0] for several in ours.values() for of in several), default=0.0)
for name, several in ours.items():
    in_paper = 100 * float(np.interp(until, *paper[name].T)) / 128 if name in paper else None
    for run, of in zip(runs[name], several, strict=True):
        at = of[(of[:, 0] > 0.9 * until) & (of[:, 0] <= until), 1].mean()
        label = f"{name}: loss at {1000 * until:,.0f} sequences"
        lesson.row(label, float(at), "bits per sequence", seed=run.experiment.seed)
        share, source = 100 * float(at) / chance, "Fig. 18, of its own chance"
        lesson.row(f"{label}, of chance", share, "%", in_paper, source if in_paper else "", run.experiment.seed)

# %% [markdown]
# And on *test* sequences, which chose nothing: the parameters of each run are those that did best on its validation sequences.

# %%
best = {name: min(of, key=lambda run: run.validation) for name, of in runs.items()}
tested = task.batch(np.random.default_rng([1, 0]), 1000)
for name, of in runs.items():
    for run in of:
        with tm.no_grad():
            bits, (wrong, asked) = bits_per_sequence(run.model, tested).item(), wrong_bits(run.model, tested)
        seed, chosen_one = run.experiment.seed, run is best[name] and len(of) > 1
        lesson.row(f"{name}: loss, test", bits, "bits per sequence", seed=seed, n=1000)
        lesson.row(f"{name}: wrong bits, test", 100 * wrong / asked, "%", seed=seed, n=1000)
        if chosen_one:
            lesson.row(f"{name}: loss, test, of the seed that is best on validation", bits, "bits per sequence", seed=seed, n=1000)

# %% [markdown]
# **What you see** (of the shipped runs). From the first thousands of sequences on, the machines with a memory are ahead of the LSTM.
# But they end far apart, at 10, 24 and 29 bits, where the LSTM has 31; at the end the worst of the three is hardly better than the
# LSTM. And the best one did not become so little by little: its curve falls twice, between 100,000 and 170,000 sequences. What did it
# find?

# %% [markdown]
# ## 5. Where does it write? (Fig. 17)
#
# Where a head *is*, is the centre of its weighting. Locations lie on a circle (63 is beside 0), so it is the direction of the mean of
# the points on the circle, not the mean of numbers. To fit a line, the circle is cut open opposite to where the head is on average.


# %%
def centre(weightings):
    """Where on the circle weightings (…, N) lie: from -N/2 to N/2."""
    count = weightings.shape[-1]
    return np.angle(weightings @ np.exp(2j * np.pi * np.arange(count) / count)) * count / (2 * np.pi)


def cut_open(locations, count):
    """Locations on a circle as numbers on a line: each as its copy that is nearest to the mean direction of all of them."""
    middle = np.angle(np.exp(2j * np.pi * locations / count).mean()) * count / (2 * np.pi)
    return (locations - middle + count / 2) % count - count / 2 + middle


heads = np.eye(64)[[62, 63, 0, 1]]  # four sharp heads
print("centres", centre(heads), " mean of the numbers", np.mean([62, 63, 0, 1]), " on the circle", cut_open(centre(heads), 64).mean())


# %%
def watched(model, batch):
    """Of S sequences: what may decide a location {cause: (n, S)}, and the centres of each write (n, S) and read head (k, S)."""
    seen, n = trace(model, tm.Tensor(batch.inputs)), task.vectors
    priorities = batch.inputs[:n, :, -2]
    causes = {"priority": priorities, "order of arrival": np.broadcast_to(np.arange(1.0, n + 1)[:, None], priorities.shape)}
    writing, reading = centre(seen["write_weighting"][:n]), centre(seen["read_weighting"][n + 1 :])
    written, read = ([cut_open(of[..., head], model.config.locations) for head in range(of.shape[-1])] for of in (writing, reading))
    return causes, written, read


def explained(line, cause, written):
    """R²: the share of the variance of the locations that the line explains."""
    return float(1 - ((written - np.polyval(line, cause)) ** 2).sum() / ((written - written.mean()) ** 2).sum())


# %% [markdown]
# **Two ways to sort.** *When writing*: the location depends on the priority, as above, and the reads go in one direction. Or *when
# reading*: each vector is put beside the one before, so that the location depends on the order of *arrival*, and every read finds the
# next priority by its content. So each machine is asked for both. What does a line through the priorities explain of where it writes,
# what a line through the order of arrival? And of its reads, how many move on to lower priorities (half of them would by chance), how
# many stand where the vector that is asked for was written (one in eight would)?


# %%
def moves_on(read, slope, count):
    """Whether a read head moves, from one answer to the next (k - 1, S), towards where lower priorities are written."""
    return -slope * ((np.diff(read, axis=0) + count / 2) % count - count / 2) > 0


def finds(read, written, priorities, count):
    """Whether a read head stands, at each answer (k, S), on the location where the vector that is asked for was written."""
    order = np.argsort(-priorities, axis=0, kind="stable")[: task.asked]
    apart = (read - np.take_along_axis(written, order, 0) + count / 2) % count - count / 2
    return np.abs(apart) < 0.5


# %% [markdown]
# **Which head?** There are several, and not all of them need to sort. On *validation* sequences a line is fitted to each write head,
# and the head whose line has the largest $R^2$ is taken; of the read heads, the one that most often moves on, or finds. These heads
# and lines, as they are, then meet *test* sequences.


# %%
def sorting_heads(model):
    """Chosen on validation sequences, for each cause: (R², write head, its line, read head)."""
    causes, written, read = watched(model, task.batch(np.random.default_rng([3, 0]), 500))
    chosen, count = {}, model.config.locations
    for cause, values in causes.items():
        lines = [np.polyfit(values.ravel(), of.ravel(), 1) for of in written]
        fits = [explained(line, values, of) for line, of in zip(lines, written, strict=True)]
        writer = int(np.argmax(fits))
        by_priority = [moves_on(of, lines[writer][0], count) for of in read]
        by_content = [finds(of, written[writer], causes["priority"], count) for of in read]
        reader = int(np.argmax([of.mean() for of in (by_priority if cause == "priority" else by_content)]))
        chosen[cause] = fits[writer], writer, lines[writer], reader
    return chosen


# %%
machines = runs.get("NTM-FF", [])
chosen = {run.experiment.seed: sorting_heads(run.model) for run in machines}
test = task.batch(np.random.default_rng([1, 1]), 500)
for run in machines:
    seed, count = run.experiment.seed, run.model.config.locations
    causes, written, read = watched(run.model, test)
    for cause, (_, writer, line, _) in chosen[seed].items():
        fit, paper_says = explained(line, causes[cause], written[writer]), "linear" if cause == "priority" else None
        source = "Fig. 17" if paper_says else ""
        lesson.row(f"NTM-FF: R² of write location against {cause}", fit, "0 … 1", paper_says, source, seed, test.inputs.shape[1])
    (_, _, line, reader), (_, writer, _, finder) = chosen[seed].values()
    onwards = moves_on(read[reader], line[0], count)
    found_it = finds(read[finder], written[writer], causes["priority"], count)
    lesson.row("NTM-FF: reads that move on to lower priorities", 100 * float(onwards.mean()), "%", "all", "Fig. 17", seed, onwards.size)
    lesson.row("NTM-FF: reads that stand where the vector was written", 100 * float(found_it.mean()), "%", seed=seed, n=found_it.size)

# %% [markdown]
# ### Sorting when writing
#
# The machine whose writing, on *validation* sequences, depends most on the priority: many test sequences, and then one, vector by
# vector.

# %%
by_priority = max(machines, key=lambda run: chosen[run.experiment.seed]["priority"][0], default=None)
if by_priority:
    seed = by_priority.experiment.seed
    _, writer, line, reader = chosen[seed]["priority"]
    causes, written, read = watched(by_priority.model, test)
    fit, shown = explained(line, causes["priority"], written[writer]), slice(60)  # sequences: enough to see, few enough to see through
    points = (of[:, shown] for of in (causes["priority"], written[writer], read[reader]))
    title = f"NTM-FF, seed {seed}: where write head {writer} and read head {reader} are"
    picture = figures.where_it_writes_and_reads(*points, tuple(line), fit, title, of=written[writer].size)
    lesson.show(picture, "locations")


# %%
def one_sequence(run, cause, title):
    """Where the heads are in one test sequence, beside the locations that the line through this cause gives."""
    one, n, count = task.batch(np.random.default_rng(7), 1), task.vectors, run.model.config.locations
    _, writer, line, reader = chosen[run.experiment.seed][cause]
    causes, _, _ = watched(run.model, one)
    seen = trace(run.model, tm.Tensor(one.inputs))
    fitted = np.eye(count)[np.round(np.polyval(line, causes[cause][:, 0])).astype(int) % count]
    writing, reading = seen["write_weighting"][:n, 0, writer], seen["read_weighting"][n + 1 :, 0, reader]
    print("highest priority first, the vectors came as number", 1 + np.argsort(-causes["priority"][:, 0])[: task.asked])
    return figures.sort_memory(fitted, writing, reading, f"NTM-FF, seed {run.experiment.seed}: {title}")


if by_priority:
    lesson.show(one_sequence(by_priority, "priority", "write locations from the priority"), "memory-use")

# %% [markdown]
# ### The best machine
#
# The one with the smallest loss on *validation* sequences, and the line that explains more of its writing.

# %%
if machines:
    fits = {cause: of[0] for cause, of in chosen[best["NTM-FF"].experiment.seed].items()}
    cause = max(fits, key=lambda cause: fits[cause])
    lesson.show(one_sequence(best["NTM-FF"], cause, f"write locations from the {cause}"), "memory-use-of-the-best")

# %% [markdown]
# **What you see** (of the shipped runs). Seed 0 is the machine of the paper's Figure 17: the higher the priority, the lower the
# location, over eight of them; then it reads upwards. It sorts by writing, and pays for it as section 2 said: vectors that come to
# lie on top of each other. Seed 1 is a blurred mixture: neither line explains much. Seed 2, by far the best, does something else. Two
# of its heads write together, one location further with every vector, as for copying: priority has no say in it. Its read head has a
# gate of 1, so it goes by content alone, and jumps to where the next vector in order lies: four in five times exactly. Vector 7 had
# the highest priority: it reads location 7 first. So there is a second algorithm, *selection sort*, which needs no free locations in
# between; gradient descent found it once in three times.
#
# (The paper shows one machine, and does not say how many were trained. At eight vectors each algorithm has its chance; we do not know
# how often which one is found at twenty.)

# %% [markdown]
# ## The numbers

# %%
lesson.finish()
