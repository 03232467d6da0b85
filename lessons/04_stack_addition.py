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
from dataclasses import replace

import numpy as np

import tinymem as tm
from tinymem.equations.stack import EMPTY, stack_update
from tinymem.figures import stacks as figures
from tinymem.lesson import Lesson, table

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
language = StreamTask("binary addition")
for n in (3, 6, 12, 20):
    example = language.sequence(np.random.default_rng(n), n)
    print(f"n = {n:2}: {language.write(example.symbols)}    (counts: {language.write(example.symbols[example.counted])})")

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
# 100 hidden units and 10 stacks with NO-OP, as in the paper. Additions of *every* size, n = 2 … 20, from the first update on; each chunk
# of 50 symbols begins with empty stacks. Section 5 shows the same network trained otherwise.
#
# Where we differ from the paper: sizes do not grow with the training (there they do), the hidden layer sees itself ($R \neq 0$, a place
# for the carry), twenty chunks and Adam instead of one stream and SGD. Actions are *not* rounded when seeds are compared: a stack may
# hold more than a digit.

# %%
task = StreamTask("binary addition", first=20, longest=20, validated=20, grow_every=1, reset_every=1, chunk=50)
network = StackRNNConfig(task.inputs, task.outputs, hidden=100, stacks=10, depth=100, no_op=True, recurrence=True)
schedule = Schedule(20_000, batch=20, log_every=500, validate_every=500, checkpoint_every=2000, clip=1.0, clip_by="norm")
seeds = range(6)
if lesson.quick:
    network = replace(network, depth=40)
    schedule = replace(schedule, updates=4000, log_every=250, validate_every=250, checkpoint_every=1000)
    seeds = range(2)


def family(name, of, course=task, machine=network):
    return [Experiment(f"addition-stack-rnn{name}", machine, course, Adam(0.005), schedule, seed) for seed in of]


# %%
MAIN = "every size from the start"
plan = {MAIN: family("", seeds)}
if not lesson.quick:
    plan["sizes that grow"] = family("-growing", range(3), replace(task, first=3, grow_every=500))
    plan["ten additions a stream"] = family("-long-streams", range(3), replace(task, reset_every=10))
    plan["no recurrence (R = 0)"] = family("-no-recurrence", range(3), machine=replace(network, recurrence=False))
trained = iter(lesson.runs([one for of in plan.values() for one in of]))
runs = {way: [next(trained) for _ in of] for way, of in plan.items()}
best = {way: min(of, key=lambda one: one.validation) for way, of in runs.items()}  # on n up to 20, other additions than the test's
chosen = best[MAIN]
for way, of in runs.items():
    print(f"{way}: the share of wrong additions in validation, seed by seed:", np.array([one.validation for one in of]))

# %% [markdown]
# ## 4. Longer than any addition it was trained on (Fig. 2, right)
#
# For each n one stream of additions of that size, read from empty stacks; an addition is right if every digit of the sum and the `.`
# are. Thin: every seed; bold: the one that was chosen on validation. The paper's curve has "a large error bar": some runs find the
# algorithm, others find something that works as far as they were trained.

# %%
lengths = (2, 5, 10, 15, 20) if lesson.quick else (2, 5, 10, 15, 20, 25, 30, 40, 50, 60)
many, few = (50, 20) if lesson.quick else (200, 50)


def tested(model, additions):
    """The share of right additions for each length; every machine is asked the same ones."""
    return score(model, task, lengths, additions, np.random.default_rng(1), reader(model)).right


bold, thin = {}, {}
for way, of in runs.items():
    machines = {"Stack RNN": best[way].model, "Stack RNN + rounding": best[way].model.rounded()}
    bold[way] = {system: (np.array(lengths), tested(model, many)) for system, model in machines.items()}
    thin[way] = {"Stack RNN": [(np.array(lengths), tested(one.model, few)) for one in of]}

# %%
picture = figures.accuracy_by_length(
    {"binary addition": bold[MAIN]},
    (2, task.longest),
    f"Binary addition: trained on n up to {task.longest}",
    seeds={"binary addition": thin[MAIN]},
    label="n, digits of both numbers together",
)
lesson.show(picture, "accuracy-by-length")

# %%
seed = chosen.experiment.seed
shown = lengths if lesson.quick else (10, 20, 40, 60)
for system, (_, right) in bold[MAIN].items():
    for n in shown:
        lesson.row(
            f"{system}: right additions at n = {n}", 100 * float(right[lengths.index(n)]), "%", None, "Fig. 2, no number", seed, many
        )
at_limit = lengths.index(task.longest)
for way in runs:
    reached = [right[at_limit] for _, right in thin[way]["Stack RNN"]]
    good = sum(bool(share >= 0.9) for share in reached)
    lesson.row(f"{way}: seeds with at least 90 % right at n = {task.longest}", good, f"of {len(reached)} seeds", n=few)

# %% [markdown]
# **All or nothing** (of the shipped runs). Three of six seeds add with hardly a mistake up to n = 20, and two of them far beyond. The
# chosen one, with its actions rounded to switches, makes none at n = 60, three times as long as any addition it was trained on; without
# rounding no action is quite a switch, and what is lost with each adds up.
#
# ## 5. Why not begin with short additions?
#
# That is what the paper does, and what one would do with a child. Four ways of training, all else equal, 20,000 updates each: sizes that
# *grow* (n up to 3, one more every 500 updates); streams that go on for ten additions, so that most chunks begin with what the one before
# has left; and no recurrence, as in the paper.


# %%
if not lesson.quick:
    picture = figures.accuracy_by_length(bold, (2, task.longest), "Binary addition: four ways of training", seeds=thin, label="n")
    lesson.show(picture, "ways-of-training")
    for way in list(runs)[1:]:
        right = float(bold[way]["Stack RNN"][1][at_limit])
        lesson.row(f"{way}: right additions at n = {task.longest}", 100 * right, "%", None, "", best[way].experiment.seed, many)

# %% [markdown]
# Below, additions of the largest n, by the digits of the *shorter* number. A machine with the algorithm of section 2 does not care. One
# that keeps one number on a stack and the other some other way does.


# %%
def side_by_side(seed, n, count):
    """So many additions, and their symbols (time, count), each from the first step on and padded with zeros."""
    additions = [task.sequence(np.random.default_rng([seed, place]), n) for place in range(count)]
    symbols = np.zeros((max(len(one.symbols) for one in additions), count), int)
    for place, one in enumerate(additions):
        symbols[: len(one.symbols), place] = one.symbols
    return additions, symbols


def by_shorter(model, n, count):
    """Share of right additions for each number of digits of the shorter number; every addition is read from empty stacks."""
    additions, symbols = side_by_side(2, n, count)
    with tm.no_grad():
        said = tm.to_host(run(model, one_hot(tm.asarray(symbols), task.inputs, "float32"))).argmax(2)
    found: dict[int, list] = {}
    for place, one in enumerate(additions):
        first, asked = task.write(one.symbols).index("+"), np.flatnonzero(one.counted)
        found.setdefault(min(first, n - first), []).append((said[asked - 1, place] == one.symbols[asked]).all())
    return {digits: np.mean(found[digits]) for digits in sorted(found)}


# %%
count = 100 if lesson.quick else 400
shares = {f"{way}, seed {one.experiment.seed}": by_shorter(one.model, task.longest, count) for way, of in runs.items() for one in of}
head = ("right additions (%) by the shorter number's digits", *map(str, range(1, task.longest // 2 + 1)))
print(table([head, *((name, *(f"{100 * share:.0f}" for share in of.values())) for name, of in shares.items())]))

# %% [markdown]
# **What you see** (of the shipped runs). A seed adds everything, or it adds as long as the shorter number has four digits: so many can be
# kept without a stack. Many additions of twenty digits are of this kind, and nearly all short ones. With sizes that grow *no* seed gets
# beyond. Our reading: short additions can be known by heart, and nothing pulls a network that knows them by heart towards two stacks;
# where long numbers come at once, knowing by heart is no way out. Streams of ten additions do as well, by one seed of three. Without
# recurrence, the paper's setting, no seed of three was there when the 20,000 updates were over, and the best one's errors were still
# falling.

# %% [markdown]
# ## 6. One addition, from the inside (Fig. 3)
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
# **What is on which stack?** One addition may mislead. So we look at a hundred: what each stack does, most of the time, while the first
# number is read, the second, and while the answer is written; and with which value it is pushed for a 0 and for a 1.

# %%
additions, symbols = side_by_side(3, task.longest, 100)
part = np.full(symbols.shape, "")
for place, one in enumerate(additions):
    text = task.write(one.symbols)
    plus, equals = text.index("+"), text.index("=")
    part[:plus, place], part[plus + 1 : equals, place], part[equals : len(text), place] = "1", "2", "="
seen = trace(chosen.model, one_hot(tm.asarray(symbols), task.inputs, "float32"))


def job(stack, which):
    """What a stack does while that part is read, in words."""
    action = seen["action"][part == which][:, stack]  # (steps, 3)
    pushed, digit = seen["pushed"][part == which][:, stack], symbols[part == which]
    usual = action.mean(0).argmax()
    said = f"{('PUSH', 'POP', 'NO-OP')[usual]} {100 * action.mean(0)[usual]:.0f} %"
    return said if usual or which == "=" else said + ", 0 as {:.1f}, 1 as {:.1f}".format(*(pushed[digit == d].mean() for d in (0, 1)))


# %%
parts = {"first number": "1", "second number": "2", "answer": "="}
print(table([("stack", *parts), *((str(k + 1), *(job(k, which) for which in parts.values())) for k in range(network.stacks))]))

# %% [markdown]
# **What you see** (of the shipped run). Stack 4 is pushed with each digit of the first number, stack 7 with most of the second's, upside
# down; both are popped while the answer is written. That is the algorithm of section 2, found by nobody's hand. Other stacks are pushed
# with the same value whatever the digit: those can tell how long a number is, and which one is being read. It is not all as tidy (stack 4
# is pushed and popped during the second number too), and which stack has which job differs from seed to seed. The carry is on no stack
# that we can read: with $R \neq 0$ the hidden layer can pass it on.

# %% [markdown]
# ## The numbers

# %%
lesson.finish()
