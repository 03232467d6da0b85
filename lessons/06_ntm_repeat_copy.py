# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Neural Turing Machines: repeat copy, a "for loop"
#
# Copying needs one loop. Copying *as often as asked* needs a loop in a loop, a way back to its start, and a counter. What does a
# Neural Turing Machine make of it, and where does its program break?
#
# Source: Graves, Wayne & Danihelka 2014, "Neural Turing Machines", arXiv 1410.5401, section 4.2. Slides "NTM: Repeat Copy task". The
# equations are those of the lesson `ntm-copy`; the machine is the same, only the task is new.
#
# Run it with `tinymem lesson ntm-repeat-copy` (shipped checkpoints), `--quick` (a small training of your own), `--train`
# (everything again from the seeds), or open this file as a notebook.

# %%
from dataclasses import replace

import numpy as np

import tinymem as tm
from tinymem.figures import ntm as figures
from tinymem.figures import paper_curves, repeating
from tinymem.lesson import Lesson
from tinymem.models.lstm import LSTMConfig
from tinymem.models.ntm import NTMConfig
from tinymem.models.sequence import trace

# %%
from tinymem.tasks.algorithms import RepeatCopyTask
from tinymem.training.experiment import Experiment
from tinymem.training.loop import Schedule
from tinymem.training.objectives import predicted_bits
from tinymem.training.optimisers import Adam, GravesRMSProp

np.set_printoptions(precision=2, suppress=True, linewidth=140)
lesson = Lesson("ntm-repeat-copy")

# %% [markdown]
# ## 1. The task
#
# Up to 10 random 8-bit vectors, then one step with a delimiter and, on a channel of its own, *how often* to write them: 1 … 10
# times. The number is normalised, as in the paper: over the training it has mean 0 and variance 1. After the last repeat the machine must
# raise an *end marker* on an output channel of its own, and not before. So it must count.

# %%
task = RepeatCopyTask(bits=4, longest=3, most=3) if lesson.quick else RepeatCopyTask()
episode = task.batch(np.random.default_rng(0), size=1, length=2, repeats=3)
print("inputs (time down; bits, delimiter, number of repeats)\n", episode.inputs[:, 0])
print("targets (bits, end marker)\n", episode.targets[:, 0].astype(int))

# %% [markdown]
# ## 2. Three machines
#
# The sizes of the paper (Tables 1 to 3), except that its LSTM has 3 × 512 cells where ours has one layer of 256. The NTMs see one
# sequence an update, as in the paper; the LSTM 16, with Adam, to get further in the time of a lesson. The paper's machines saw
# 500,000 sequences, ours a quarter of that or less. The learning rate of the feed-forward NTM falls through the second half of its run:
# with a constant one, as in the paper, machines that had learned the task fell back now and then, and one of three broke off after
# 88,725 sequences, its gradient no longer a finite number.

# %%
if lesson.quick:  # the same experiment, small enough for two minutes: 4 bits, up to 3 vectors, up to 3 times, 20 locations
    machine = {"inputs": task.inputs, "outputs": task.outputs}
    systems = {
        "NTM-FF": (NTMConfig(**machine, hidden=40, locations=20, width=8), GravesRMSProp(3e-4), Schedule(12_000)),
        "LSTM": (LSTMConfig(**machine, hidden=64), Adam(3e-3), Schedule(1000, batch=16, log_every=20, validate_every=20)),
    }
    seeds = (0, 1)

# %%
if not lesson.quick:
    machine = {"inputs": task.inputs, "outputs": task.outputs}
    often, seldom = {"log_every": 50, "validate_every": 100}, {"log_every": 500, "validate_every": 1000}
    systems = {
        "NTM-FF": (NTMConfig(**machine), GravesRMSProp(1e-4), Schedule(120_000, slows_down=True, **seldom)),
        "NTM-LSTM": (NTMConfig(**machine, controller="lstm"), GravesRMSProp(1e-4), Schedule(100_000, **seldom)),
        "LSTM": (LSTMConfig(**machine, hidden=256, layers=1), Adam(1e-3), Schedule(6000, batch=16, **often)),
    }
    seeds = (0, 1, 2)

# %%
in_paper = {} if lesson.quick else {"NTM-FF": 16_712, "NTM-LSTM": 66_111, "LSTM": 5_312_007}  # Tables 1 to 3
for name, (config, _, _) in systems.items():
    count = config.build(np.random.default_rng(0)).count_parameters()
    lesson.row(f"{name}: parameters", count, "numbers", in_paper.get(name), "Tables 1-3")

# %% [markdown]
# ## 3. Training and the learning curves (Fig. 7)
#
# Without `--train` the curves below are the logs of the runs that made the shipped checkpoints.

# %%
experiments = [
    Experiment(f"repeat-copy-{name.lower()}", config, task, optimiser, schedule, seed)
    for name, (config, optimiser, schedule) in systems.items()
    for seed in (seeds if name != "LSTM" else seeds[:1])  # one LSTM: it is the long run, and only the baseline
]
runs: dict[str, list] = {name: [] for name in systems}
for run in lesson.runs(experiments):
    runs[next(name for name in systems if run.experiment.name == f"repeat-copy-{name.lower()}")].append(run)


# %%
def curve(run):
    """(thousand sequences, bits per sequence) of each window of a run's log."""
    return np.array([(line["sequences"] / 1000, line["loss"]) for line in run.history])


lengths, counts = range(task.shortest, task.longest + 1), range(task.fewest, task.most + 1)
chance = float(np.mean([length * repeats * task.bits for length in lengths for repeats in counts]))  # the marker can be known
ours = {name: [curve(run) for run in of] for name, of in runs.items()}
paper = {} if lesson.quick else paper_curves("fig7_repeat_copy")
lesson.show(figures.learning_curves(ours, paper, "Repeat copy: learning curves", chance=chance), "learning-curves")

# %%
for name, of in runs.items():
    theirs = round(1000 * next(x for x, bits in paper[name] if bits < 5)) if paper else None
    for run in of:
        until, seed = run.sequences_until(5.0), run.experiment.seed
        lesson.row(f"{name}: sequences until < 5 bits", until, "sequences", theirs, "Fig. 7", seed, 1)
        lesson.row(f"{name}: validation of the parameters kept", run.validation, "bits per sequence", seed=seed, n=64)
    reached = sum(run.validation < 5 for run in of)
    lesson.row(f"{name}: seeds with < 5 bits on validation", reached, f"of {len(of)} seeds", n=len(of))


# %%
def around(points, thousand):
    """The mean loss of the 10,000 sequences around a place of a curve: a point of the paper's."""
    return float(points[np.abs(points[:, 0] - thousand) <= 5, 1].mean())


for name, curves in ours.items() if paper else ():
    for thousand in (25, 55, 95):
        if thousand > curves[0][-1, 0]:
            continue  # this system was not trained so long
        bits, theirs = (around(np.array(points), thousand) for points in (np.concatenate(curves), paper[name]))
        label = f"{name}: loss at {thousand},000 sequences, mean of the seeds"
        lesson.row(label, bits, "bits per sequence", theirs, "Fig. 7", n=len(curves))

# %% [markdown]
# **What you see.** The feed-forward NTM falls first and relapses often; the parameters kept are those that did best on
# *validation* sequences, and those are used from here on. Test sequences chose nothing. With the LSTM controller only some seeds find the
# loop: the others are still on the plateau of a machine that has learned to end, and to guess, when their sequences are over.

# %% [markdown]
# ## 4. Longer, and more often (Fig. 8)
#
# Trained on up to 10 vectors, up to 10 times. Tested on 20 vectors 10 times: every part of the program is known, the loop is only
# longer. And on 10 vectors 20 times: now the *number* is one that was never seen.


# %%
def answer(model, length, repeats, size, stream=1):
    """(targets, outputs) of the answer steps of new sequences: (steps, size, bits and marker); the same for every model."""
    asked = task.batch(np.random.default_rng([stream, length, repeats]), size, length, repeats)
    return asked.targets[length + 1 :], predicted_bits(model, asked)[length + 1 :]


def wrong_share(targets, outputs):
    """The share of wrong bits of the vectors, in percent; the end marker is told apart."""
    return 100 * float(np.mean((outputs > 0.5) != (targets > 0.5), where=np.arange(targets.shape[2]) < task.bits))


# %%
L, R, size = task.longest, task.most, 40
for name, of in runs.items():
    for run in of:
        for length, repeats in ((L, R), (2 * L, R), (L, 2 * R)):
            targets, outputs = answer(run.model, length, repeats, size)
            label, seed = f"{name}: {length} vectors × {repeats}", run.experiment.seed
            lesson.row(f"{label}: wrong bits", wrong_share(targets, outputs), "%", None, "Fig. 8 (no number)", seed, size)
            if (length, repeats) != (L, R):
                said = outputs[:, :, task.bits] > 0.5
                right = 100 * float((said[-1] & ~said[:-1].any(0)).mean())
                lesson.row(f"{label}: end marker at the end and nowhere else", right, "%", None, "Fig. 8 (no number)", seed, size)

# %% [markdown]
# Which of three seeds is shown? Within the training's lengths they are alike. Which has learned the loop, and not its lengths, is
# asked of other sequences than those of the table: half as long again as the longest of the training, 15 vectors × 10.


# %%
def beyond(run):
    """Wrong bits in percent on sequences that only choose: half as long again as those of the training."""
    return wrong_share(*answer(run.model, 3 * L // 2, R, size, stream=3))


best = {}
for name, of in runs.items():
    fewest, best[name] = min(((beyond(run), run) for run in of), key=lambda found: found[0])
    label, seed = f"{name}: wrong bits of the machine shown, {3 * L // 2} vectors × {R}", best[name].experiment.seed
    lesson.row(label, fewest, "%", None, "it chose the machine", seed, size)
ntms = [name for name in best if name.startswith("NTM")]
for ntm in ntms:
    drawn = []
    for length, repeats in ((2 * L, R), (L, 2 * R)):
        answers = {name: answer(best[name].model, length, repeats, 1) for name in (ntm, "LSTM")}
        targets = answers[ntm][0][:, 0]
        drawn.append((length, repeats, targets, {name: outputs[:, 0] for name, (_, outputs) in answers.items()}))
    title = f"Repeat copy, trained on up to {L} vectors, up to {R} times"
    lesson.show(repeating.repeat_generalisation(drawn, title), f"generalisation-{ntm.lower()}")

# %%
for name in best:  # where in the answer do the errors begin?
    targets, outputs = answer(best[name].model, 2 * L, R, size)
    wrong = ((outputs > 0.5) != (targets > 0.5))[:-1, :, : task.bits].reshape(R, -1).mean(1)
    print(f"{name}: wrong bits (%) of each repeat of {2 * L} vectors:", 100 * wrong)

# %% [markdown]
# **What you see.** The longest answer of the training has 101 steps; here 201 are asked for. One of three feed-forward machines copies 20
# vectors to the end with hardly an error, as the paper's does; the others lose the thread on the way, and so does the one with an
# LSTM controller. With 20 repeats asked for the *number* is a value the machine has never seen: even early repeats can have wrong
# bits, while the paper's copies on and is wrong in the end marker alone. The LSTM is far from knowing the task after its 96,000 sequences.

# %% [markdown]
# ## 5. "Unable to keep count"
#
# When does the end marker come first, if the machine is asked for 1, 2, … repeats and then listened to in silence? If it could
# count, every row of the picture would be black on the diagonal.


# %%
def first_markers(model, length, asked, listened, size):
    """(asked, 1 + listened): the share of sequences whose first end marker came after so many repeats; rounded up."""
    sequences = task.batch(np.random.default_rng(2), len(asked) * size, length, listened)
    sequences.inputs[length, :, -1] = np.repeat([task.normalised(repeats) for repeats in asked], size)
    said = predicted_bits(model, sequences)[length + 1 :, :, task.bits] > 0.5  # (steps, asked × size)
    first = np.where(said.any(0), -(-said.argmax(0) // length), listened + 1).reshape(len(asked), size)
    return np.array([np.bincount(row, minlength=listened + 2)[:-1] / size for row in first])


asked = range(1, 2 * R + 1)
marked = {name: first_markers(run.model, L, asked, 2 * R + 2, 20) for name, run in best.items()}
lesson.show(repeating.end_markers(marked, trained=R), "end-markers")

# %%
for name, grid in marked.items():
    for low, high in ((1, R), (R + 1, 2 * R)):
        right = float(np.mean([grid[repeats - 1, repeats] for repeats in range(low, high + 1)]))
        label = f"{name}: first end marker in time, {low} to {high} repeats asked for"
        lesson.row(label, 100 * right, "%", None, "Fig. 8", best[name].experiment.seed, 20 * R)
    told = grid[-1]
    usual = f"{told.argmax()} repeats ({100 * told.max():.0f} % of sequences)" if told.any() else "never"
    print(f"{name}: asked for {2 * R} repeats, it most often first says that it is done after: {usual}")

# %% [markdown]
# **What you see.** Inside the training range the NTMs count. Beyond it they do not fail by one or two: asked for 20, the one with an LSTM
# controller ends after its eleventh repeat, as the paper's machine did, which put out an end marker after every repeat from there on; the
# feed-forward one ends after the fourth. Whatever keeps the count was never asked to go further, and nothing taught it how.

# %% [markdown]
# ## 6. The way back: a "goto" in memory (Fig. 9)
#
# The slide: *use another memory location to help switch back the pointer to the start.* Below, the head's usual move is the one
# it makes most often; a *jump* is any other move, and the location it leaves is ringed. (`repeating.jumps_back` is this rule.)


# %%
def memory_use(model, length, repeats):
    """What a machine does with one sequence: the quantities of its trace, of its one read head and its one write head."""
    sequence = task.batch(np.random.default_rng(7), 1, length, repeats)
    seen = trace(model, tm.Tensor(sequence.inputs))
    head = {name: values[:, 0, 0] for name, values in seen.items() if name.startswith(("read_", "write_", "add_"))}
    inputs = sequence.inputs[:, 0]
    inputs[length, -1] = repeats / task.most  # drawn as a share of the most
    return {"inputs": inputs, "outputs": predicted_bits(model, sequence)[:, 0] * sequence.mask, **head}


length, repeats = (3, 3) if lesson.quick else (8, 4)
used = {name: memory_use(best[name].model, length, repeats) for name in ntms}
jumps = {name: repeating.jumps_back(seen["read_weighting"], length) for name, seen in used.items()}

# %%
for name, seen in used.items():
    places = np.append(seen["write_weighting"][: length + 1].argmax(1), [place for _, place in jumps[name]])
    picture = repeating.repeat_memory_use(
        inputs=seen["inputs"],
        outputs=seen["outputs"],
        adds=seen["add_vector"],
        reads=seen["read_vector"],
        write_weightings=seen["write_weighting"],
        read_weightings=seen["read_weighting"],
        phase=length,
        locations=(max(places.min() - 2, 0), min(places.max() + 3, seen["read_weighting"].shape[1])),
        title=f"{name}: how it copies again and again (seed {best[name].experiment.seed})",
    )
    lesson.show(picture, f"memory-use-{name.lower()}")

# %%
shown = min(ntms, key=lambda name: best[name].validation)
lesson.show(figures.head_parameters(used[shown], length, f"{shown}: the gate opens for the jump"), "head-parameters")
for name, seen in used.items():
    seed, places = best[name].experiment.seed, sorted({place for _, place in jumps[name]})
    lesson.row(f"{name}: jumps back in {repeats} repeats", len(jumps[name]), "jumps", None, "Fig. 9", seed, 1)
    lesson.row(f"{name}: different locations they leave", len(places), "locations", "one", "Fig. 9", seed, 1)
    at_delimiter = float(seen["write_weighting"][length, places].sum())
    lesson.row(f"{name}: write weighting there at the delimiter", at_delimiter, "0 … 1", None, "Fig. 9", seed, 1)
    print(f"{name}: leaves location {places} at the steps {[step for step, _ in jumps[name]]}; the last vector was written to", end=" ")
    print(seen["write_weighting"][length - 1].argmax())

# %% [markdown]
# **What you see.** At the delimiter the write head does not rest: it writes once more, and where that is read the gate opens,
# the key finds the start by its content, and the head jumps. The slide speaks of *another* location. In the shipped machines the
# mark lies *on top of* the last vector, one location for both. (A machine that reads one step ahead of what it puts out jumps as
# often as it repeats, one that does not once less: after the last repeat there is nothing to go back for.)
#
# **What goes wrong without it.** Put what the location before holds in the place of the mark, right after the delimiter, and watch.


# %%
def without_the_mark(model, place):
    """The read weightings of the same sequence if, after the delimiter, location `place` holds what the one before it holds."""
    sequence = task.batch(np.random.default_rng(7), 1, length, repeats)
    state, weightings = model.initial_state(1), []
    here = tm.Tensor(np.eye(model.config.locations, dtype=np.float32)[None, :, [place]])  # (1, N, 1)
    with tm.no_grad():
        for step, x in enumerate(tm.Tensor(sequence.inputs)):
            state, _ = model.step(state, x)
            if step == length:
                before = state.memory[:, place - 1 : place] if place else state.memory[:, -1:]
                state = replace(state, memory=state.memory + here * (before - state.memory))
            weightings.append(tm.to_host(state.read_weightings[0])[0])
    return np.array(weightings)


# %%
for name, found in jumps.items():
    if found:
        unmarked = without_the_mark(best[name].model, found[0][1])
        left = [place for _, place in repeating.jumps_back(unmarked, length)]
        print(f"{name}: with the mark it jumps from {[place for _, place in found]}, without it from {left}")
        print("    read from", unmarked[length + 1 :].argmax(1))

# %% [markdown]
# **What you see.** The head runs on, past the last vector, and turns one location later: what it finds there is no vector either.
# From then on its loop and the sequence are out of step. The number of vectors is kept nowhere but in this mark.

# %% [markdown]
# ## The numbers

# %%
lesson.finish()
