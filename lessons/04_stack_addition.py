# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Stack-augmented networks: adding binary numbers
#
# Counting needs one stack as a counter. Adding needs to *store* two numbers and to take them apart again, digit by digit, with a
# carry. Nobody tells the network how: it reads `101+1=` and has to write `011.`, the sum with its lowest digit first.
#
# Source: Joulin & Mikolov 2015, "Inferring Algorithmic Patterns with Stack-Augmented Recurrent Nets", Figs. 2 (right) and 3. Slide
# "Predict result in reverse". The equations are in `tinymem/equations/stack.py` (lesson `stack-counting` goes through them), the
# language in `tinymem/tasks/languages.py`.
#
# Run it with `tinymem lesson stack-addition` (shipped checkpoints), `--quick` (a small training of your own), `--train` (everything
# again from the seeds), or open this file as a notebook.

# %%
import numpy as np

import tinymem as tm
from tinymem.equations.stack import EMPTY, stack_update
from tinymem.figures import stacks as figures
from tinymem.lesson import Lesson

# %%
from tinymem.models.sequence import run, trace
from tinymem.models.stack_rnn import StackRNNConfig
from tinymem.tasks.languages import StreamTask
from tinymem.training.experiment import Experiment
from tinymem.training.loop import Schedule
from tinymem.training.objectives import one_hot
from tinymem.training.optimisers import Adam
from tinymem.training.streams import reader, score

np.set_printoptions(precision=2, suppress=True)
lesson = Lesson("stack-addition")

# %% [markdown]
# ## 1. The task
#
# Both numbers have n digits *together*, and each begins with 1. Only what comes after `=` can be known, so only that counts, in the
# loss and in the score: every digit of the sum, and the `.` at its end. There is no mark between two additions but that `.`; the stream
# goes on, and so does the memory.

# %%
task = StreamTask("binary addition", first=3, longest=20, validated=20, grow_every=800, reset_every=10, chunk=100)
for n in (3, 6, 12, 20):
    example = task.sequence(np.random.default_rng(n), n)
    print(f"n = {n:2}: {task.write(example.symbols)}    (counts: {task.write(example.symbols[example.counted])})")

# %% [markdown]
# ## 2. Why in reverse?
#
# A stack gives back last what it got first. Numbers are read from their highest digit on, so the *lowest* digits lie on top, and that
# is where adding begins. Below, the stack update of the slide is told by hand what to do: PUSH the digits of one number on one stack,
# those of the other on another one, then POP both and add what comes, with a carry. This is the algorithm that has to be found.

# %%
PUSH, POP, NO_OP = np.eye(3)
stacks = tm.Tensor(np.full((1, 2, 6), EMPTY))  # two stacks of six cells
for symbol, actions in zip("101", [(PUSH, NO_OP)] * 3, strict=True):
    stacks = stack_update(stacks, tm.Tensor(np.array([actions])), tm.Tensor([[float(symbol), 0.0]]))
stacks = stack_update(stacks, tm.Tensor(np.array([(NO_OP, PUSH)])), tm.Tensor([[0.0, 1.0]]))  # the 1 after the +
print("after 101+1 (top first)\n", stacks.data[0])

# %%
carry, written = 0, ""
while ((top := tm.to_host(stacks)[0, :, 0]) != EMPTY).any() or carry:
    tops = np.maximum(top, 0)  # below the bottom of a number there are zeros
    carry, digit = divmod(int(tops.sum()) + carry, 2)
    written += str(digit)
    stacks = stack_update(stacks, tm.Tensor(np.array([(POP, POP)])), tm.Tensor([[0.0, 0.0]]))
print("101+1=" + written + ".")

# %% [markdown]
# What goes wrong the other way round: the first digit of 111+1 = 1000 depends on *every* digit of both numbers. To write it first,
# the whole sum would have to be done before the first symbol of the answer.

# %% [markdown]
# ## 3. The network and its training
#
# 100 hidden units and 10 stacks with NO-OP, as in the paper. Sizes grow with the training: n up to 3 at first, up to 20 at the end.
# Streams begin anew, with empty stacks, every 10 additions (the paper empties its stacks as often).
#
# Where we differ from the paper: the hidden layer sees itself ($R \neq 0$, a place for the carry), gradients go back through chunks of
# 100 symbols instead of 50 (an addition of n = 20 has about 33, and a chunk's border cuts whatever crosses it), ten streams and Adam
# instead of one stream and SGD, and only two restarts, for each takes ten minutes. Actions are *not* rounded when seeds are compared: a
# stack may hold more than a digit.

# %%
network = StackRNNConfig(task.inputs, task.outputs, hidden=100, stacks=10, depth=100, no_op=True, recurrence=True)
schedule = Schedule(110_000, batch=10, log_every=1000, validate_every=500, checkpoint_every=2000, clip=1.0, clip_by="norm")
seeds = range(2)
if lesson.quick:
    task = StreamTask("binary addition", first=3, longest=6, validated=6, grow_every=300, reset_every=10)
    network = StackRNNConfig(task.inputs, task.outputs, hidden=60, stacks=6, depth=40, no_op=True, recurrence=True)
    schedule = Schedule(4000, batch=10, log_every=250, validate_every=250, checkpoint_every=1000, clip=1.0, clip_by="norm")
    seeds = range(2)
runs = lesson.runs([Experiment("addition-stack-rnn", network, task, Adam(0.005), schedule, seed) for seed in seeds])
chosen = min(runs, key=lambda trained: trained.validation)  # on validation: n up to 20, other additions than the test's
print("validation, the share of wrong additions of each seed:", np.array([trained.validation for trained in runs]))

# %% [markdown]
# ## 4. Longer than any addition it was trained on (Fig. 2, right)
#
# For each n one stream of additions of that size, read from empty stacks; an addition is right if every digit of the sum and the `.`
# are. Thin: every seed; bold: the one that was chosen on validation. The paper's curve has "a large error bar" as well: some runs find
# the algorithm, others find something that works as far as they were trained.

# %%
lengths = (2, 4, 6, 8, 10, 12) if lesson.quick else (2, 5, 10, 15, 20, 25, 30, 40, 50, 60)
many, few = (50, 20) if lesson.quick else (200, 50)


def tested(model, additions):
    """The share of right additions for each length; every machine is asked the same ones."""
    return score(model, task, lengths, additions, np.random.default_rng(1), reader(model)).right


machines = {"Stack RNN": chosen.model, "Stack RNN + rounding": chosen.model.rounded()}
accuracy = {system: tested(model, many) for system, model in machines.items()}
of_seeds = [tested(trained.model, few) for trained in runs]
curves = {system: (np.array(lengths), right) for system, right in accuracy.items()}
thin = {"Stack RNN": [(np.array(lengths), right) for right in of_seeds]}

# %%
picture = figures.accuracy_by_length(
    {"binary addition": curves},
    (task.first - 1, task.longest),
    "Binary addition: trained on n up to " + str(task.longest),
    seeds={"binary addition": thin},
    label="n, digits of both numbers together",
)
lesson.show(picture, "accuracy-by-length")

# %%
seed = chosen.experiment.seed
shown = lengths if lesson.quick else (10, 20, 40, 60)
for system, right in accuracy.items():
    for n in shown:
        lesson.row(
            f"{system}: right additions at n = {n}", 100 * float(right[lengths.index(n)]), "%", None, "Fig. 2, no number", seed, many
        )
at_limit = lengths.index(task.longest)
good = sum(bool(right[at_limit] >= 0.9) for right in of_seeds)
lesson.row(f"Stack RNN: seeds with at least 90 % right at n = {task.longest}", good, f"of {len(runs)} seeds", n=few)

# %% [markdown]
# **Where does it fail?** Below, additions of the largest n it was trained on, by the digits of the *shorter* number. A machine with the
# algorithm of section 2 would not care. One that keeps one number on a stack, and the other some other way, does: as far as it was
# trained, most of the shorter numbers are very short.


# %%
def by_shorter(model, n, count):
    """Share of right additions for each number of digits of the shorter number; every addition is read from empty stacks."""
    drawn = [task.sequence(np.random.default_rng([2, place]), n) for place in range(count)]
    symbols = np.zeros((max(len(one.symbols) for one in drawn), count), int)
    for place, one in enumerate(drawn):
        symbols[: len(one.symbols), place] = one.symbols
    with tm.no_grad():
        said = tm.to_host(run(model, one_hot(tm.asarray(symbols), task.inputs, "float32"))).argmax(2)
    found: dict[int, list] = {}
    for place, one in enumerate(drawn):
        first, asked = int((one.symbols == task.symbols.index("+")).argmax()), np.flatnonzero(one.counted)
        found.setdefault(min(first, n - first), []).append((said[asked - 1, place] == one.symbols[asked]).all())
    return {digits: np.mean(found[digits]) for digits in sorted(found)}


for digits, share in by_shorter(chosen.model, task.longest, 100 if lesson.quick else 400).items():
    print(f"n = {task.longest}, the shorter number has {digits:2} digits: {100 * share:3.0f} % right")

# %% [markdown]
# ## 5. One addition, from the inside (Fig. 3)
#
# The top of each stack at every symbol of one addition, green where it was pushed, red where it was popped, grey where it was left.
# A stack's value at a symbol is what it holds *after* reading it; it is seen at the next one.

# %%
n = 5 if lesson.quick else 12
rng = np.random.default_rng(4)
example = task.sequence(rng, n)
symbols = example.symbols[:, None]
seen = trace(chosen.model, one_hot(tm.asarray(symbols), task.inputs, "float32"))
predicted = seen["output"][:-1, 0].argmax(1)
print("asked     ", task.write(symbols[:, 0]))
print("predicted ", " " + task.write(predicted), " (before the = nothing can be known)")

# %%
picture = figures.stack_tops(
    list(task.write(symbols[:, 0])),
    seen["action"][:, 0],
    seen["cells"][:, 0, :, 0],
    f"Stack RNN: the tops of its stacks during one addition (seed {seed})",
    answers=example.counted,
)
lesson.show(picture, "stack-tops")

# %% [markdown]
# **What you see.** Stacks that are pushed while numbers are read and popped while the answer is written hold the digits. Others carry
# what else has to be known: which number is being read, and the carry. Not every stack has a job, and the jobs differ from seed to seed.

# %%
writing = example.counted
popped = seen["action"][:, 0, :, 1]
busy = [k for k in range(popped.shape[1]) if popped[writing, k].mean() > 0.5 > popped[: writing.argmax() - 1, k].mean()]
print("stacks pushed (or left) while reading and popped while writing:", [k + 1 for k in busy])

# %% [markdown]
# ## The numbers

# %%
lesson.finish()
