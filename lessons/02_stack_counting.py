# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Stack-augmented networks: learning to count
#
# Read aaaaaabbbbbb and say how many b's are still to come: that takes a counter. A recurrent network has none; it has to make
# one out of its hidden vector, and what it makes works as far as it was trained. Here the network gets *stacks*: it learns
# when to push and when to pop, from nothing but the next symbol, and then counts further than it ever has.
#
# Source: Joulin & Mikolov 2015, "Inferring Algorithmic Patterns with Stack-Augmented Recurrent Nets", arXiv 1503.01007. Slides
# "Stack-Augmented Recurrent Nets". The equations are in `tinymem/equations/stack.py`, the network in `tinymem/models/stack_rnn.py`,
# the languages in `tinymem/tasks/languages.py`.
#
# Run it with `tinymem lesson stack-counting` (shipped checkpoints; half a minute, or a few without a C compiler), `--quick` (a small
# training of your own), `--train` (everything again from the seeds), or open this file as a notebook.

# %%
import numpy as np

import tinymem as tm
from tinymem.equations import stack
from tinymem.figures import stacks as figures
from tinymem.lesson import Lesson

# %%
from tinymem.models.lstm import LSTMConfig
from tinymem.models.rnn import RNNConfig
from tinymem.models.sequence import trace
from tinymem.models.stack_rnn import StackRNNConfig
from tinymem.tasks.languages import COUNTING, SMALLEST, StreamTask
from tinymem.training.experiment import Experiment
from tinymem.training.loop import Schedule
from tinymem.training.optimisers import Adam
from tinymem.training.streams import score

np.set_printoptions(precision=3, suppress=True)
lesson = Lesson("stack-counting")


def batch(*values):
    """A batch of one: (1, …)."""
    return tm.Tensor(np.array([values], dtype=np.float64))


# %% [markdown]
# ## 1. The controller sees the tops of the stacks
#
# $$ h_t = \sigma(U x_t + R h_{t-1} + P s_{t-1}^k) $$
#
# The hidden layer sees the input $x_t$ and the $k = 2$ topmost cells of every stack. In the paper's toy tasks $R = 0$: it does not even
# see itself, so whatever is remembered is remembered by the stacks. Below, one hidden unit, one stack and twice the same input.

# %%
U, R, P = tm.Tensor([[0.0, 1.0]]), tm.Tensor([[0.0]]), tm.Tensor([[4.0, 0.0]])
b, before = batch(0.0, 1.0), batch(0.0)  # "b" of the alphabet ab, and h_{t-1}
print("something on the stack:", stack.controller_hidden(b, before, batch(0.9, 0.9), U, R, P).data)
print("the stack is empty:    ", stack.controller_hidden(b, before, batch(-1.0, -1.0), U, R, P).data)

# %% [markdown]
# With $P = 0$ both would be the same number: without its stacks, this network answers each b as it answered the one before.

# %% [markdown]
# ## 2. Actions
#
# $$ a_t = f(A h_t) \qquad f = \mathrm{softmax} $$
#
# For each stack a share of PUSH, of POP and of NO-OP; together 1. (A machine without NO-OP has to push or pop at every step.)

# %%
A = tm.Tensor([[[4.0, 0.0], [0.0, 4.0], [0.0, 0.0]]])  # (K=1 stack, 3 actions, 2 hidden units)
for hidden in ([1.0, 0.0], [0.0, 1.0], [0.0, 0.0]):
    print("h =", hidden, " PUSH, POP, NO-OP =", stack.stack_actions(batch(*hidden), A).data[0, 0])

# %% [markdown]
# ## 3. The value that is pushed
#
# $$ \sigma(D h_t) $$
#
# A cell holds *one number*. Pushed values lie between 0 and 1 and an empty cell is -1, so the controller can tell "empty" from
# everything it ever pushed. If empty cells were 0, a stack that runs empty would look like one full of small numbers.

# %%
D = tm.Tensor([[0.0, 6.0]])
print("pushed:", stack.push_value(batch(1.0, 0.0), D).data, "or", stack.push_value(batch(0.0, 1.0), D).data, "- empty:", stack.EMPTY)

# %% [markdown]
# ## 4. The stack moves
#
# $$ s_t[0] = a_t[\mathrm{PUSH}]\,\sigma(D h_t) + a_t[\mathrm{POP}]\, s_{t-1}[1] + a_t[\mathrm{NO\text{-}OP}]\, s_{t-1}[0] $$
# $$ s_t[i] = a_t[\mathrm{PUSH}]\, s_{t-1}[i-1] + a_t[\mathrm{POP}]\, s_{t-1}[i+1] + a_t[\mathrm{NO\text{-}OP}]\, s_{t-1}[i] $$
#
# Every cell becomes a mean of what it would be after each action. If one action has all the share, this *is* a stack.

# %%
PUSH, POP, NO_OP = np.eye(3)
cells, value = batch([stack.EMPTY] * 4), batch(0.0)  # one stack of four cells, top first
for name, action, number in (
    ("PUSH .3", PUSH, 0.3),
    ("PUSH .8", PUSH, 0.8),
    ("NO-OP", NO_OP, 0),
    ("POP", POP, 0),
    ("POP", POP, 0),
    ("POP", POP, 0),
):
    cells = stack.stack_update(cells, batch(action), batch(number))
    print(f"{name:8}", cells.data[0, 0])

# %% [markdown]
# The last POP took from a stack that held nothing: at the bottom an empty cell, -1, is shifted in, and nothing breaks. Emptied below
# its bottom, a stack is just empty. **What you see** next is an action that cannot decide: half a push, half a pop.

# %%
cells = stack.stack_update(batch([0.3, stack.EMPTY, stack.EMPTY, stack.EMPTY]), batch((PUSH + POP) / 2), batch(0.8))
print("half pushed, half popped:", cells.data[0, 0])  # the top: the mean of 0.8 and of an empty cell

# %% [markdown]
# That is no stack that a program knows, but it has a gradient: a little more push, and the top would be a little higher.

# %%
share = tm.Tensor(np.array([[[0.5, 0.5, 0.0]]]), requires_grad=True)
stack.stack_update(batch([0.3, -1.0, -1.0, -1.0]), share, batch(0.8))[0, 0, 0].backward()
print("∂ top / ∂ (PUSH, POP, NO-OP):", share.grad[0, 0])  # what the top would be after each action alone

# %% [markdown]
# ## 5. Several stacks, side by side
#
# Ten of them in the experiments. Each has its own actions and its own value, and they do not touch each other; the controller sees all
# the tops. a^n b^n c^n takes two counters: one that the b's count down, and one that they count up for the c's.

# %%
two = batch([stack.EMPTY] * 3, [stack.EMPTY] * 3)
for symbol, actions in zip("aabbcc", [(PUSH, NO_OP)] * 2 + [(POP, PUSH)] * 2 + [(NO_OP, POP)] * 2, strict=True):
    two = stack.stack_update(two, batch(*actions), batch(0.9, 0.9))
    print(symbol, " stack 1:", two.data[0, 0], " stack 2:", two.data[0, 1])

# %% [markdown]
# ## 6. Doubly-linked lists
#
# $$ L_t[i] = a_t[\mathrm{RIGHT}]\, L_{t-1}[i+1] + a_t[\mathrm{LEFT}]\, L_{t-1}[i-1] + a_t[\mathrm{INSERT}] \cdot
#    \begin{cases} \sigma(D h_t) & i = \mathrm{HEAD} \\ L_{t-1}[i+1] & i < \mathrm{HEAD} \\ L_{t-1}[i] & i > \mathrm{HEAD} \end{cases} $$
#
# The head stands still and the list moves under it: what a stack pops is gone, a list only steps away from it.

# %%
LEFT, RIGHT, INSERT = np.eye(3)
cells, head = batch([stack.EMPTY] * 7), 3
steps = (
    ("INSERT .3", INSERT, 0.3),
    ("INSERT .8", INSERT, 0.8),
    ("LEFT", LEFT, 0),
    ("LEFT", LEFT, 0),
    ("RIGHT", RIGHT, 0),
    ("RIGHT", RIGHT, 0),
)
for name, action, number in steps:
    cells = stack.list_update(cells, batch(action), batch(number), head)
    print(f"{name:9}", cells.data[0, 0], " under the head:", cells.data[0, 0, head])

# %% [markdown]
# ## 7. Controllers like switches
#
# $$ a_t \leftarrow \mathrm{onehot}(\arg\max a_t) $$
#
# Softmax never gives quite 1. So every push is a little bit of a pop, and a long count gets blurred at its end. Below, 10 and then 60
# values of 0.9 are pushed with a share of 95 %, and popped again in the same way. The last pop should find the stack empty.

# %%
push, pop = batch([0.95, 0.025, 0.025]), batch([0.025, 0.95, 0.025])
for n, rounded in ((10, False), (60, False), (60, True)):
    cells, tops = batch([stack.EMPTY] * 200), []
    for action in [push] * n + [pop] * n:
        action = stack.discretize(action) if rounded else action
        cells = stack.stack_update(cells, action, batch(0.9))
        tops.append(cells[0, 0, 0].item())
    print(f"{n} pushes and pops, {'rounded' if rounded else 'blurred'}: the tops after the last five pops", np.array(tops[-5:]))

# %% [markdown]
# After 10, "empty" can still be told from "one left"; after 60 it is a matter of hundredths. Rounding, *at test time only* (its gradient
# is zero: nobody could learn with it), makes a push a push. It cannot help a controller whose largest share is the wrong action.

# %% [markdown]
# ## 8. The five counting tasks (Table 1)
#
# Below each example, `!` marks what can be known before it is seen. That a second or third a comes cannot; once the first b is there,
# everything up to the *first symbol of the next sequence* can. (Of a^n b^m c^(n+m), n below is how many a's and b's there are together.)

# %%
titles = dict(zip(COUNTING, ("$a^n b^n$", "$a^n b^n c^n$", "$a^n b^n c^n d^n$", "$a^n b^{2n}$", "$a^n b^m c^{n+m}$"), strict=True))
for language in COUNTING:
    task = StreamTask(language)
    one = task.sequence(np.random.default_rng(2), 3)
    print(f"{language:16}", task.write(one.symbols), "\n" + 16 * " ", "".join("!" if known else " " for known in one.determined))

# %% [markdown]
# The network gets no single sequence but an **endless stream**, aabbaaaaabbbbbabaaabbb…, without a mark where one ends; that it has to find
# out too. The stream comes in chunks of 50 symbols. From chunk to chunk the state, stacks and all, is *carried over*; gradients stop at
# the border. n is drawn from 2 … 3 at first, and after each 100 updates one more, up to 15.

# %% [markdown]
# ## 9. Four systems
#
# What differs from the paper, on purpose: our stacks may also do nothing (**NO-OP**); **Adam** on **minibatches of 10 streams**, not plain
# SGD with an update at every symbol; n up to **15** in training, runs compared on n up to 19 (the paper: "n < 20"); and streams that
# **begin anew**, with empty stacks, after 20 sequences. The List RNN has no published code: it is ours, after the paper's equations.


# %%
def systems_of(symbols):
    """The paper's sizes: 40 hidden units, with 10 stacks or 5 lists or nothing."""
    if lesson.quick:
        return {"Stack RNN": StackRNNConfig(symbols, symbols, depth=50, no_op=True), "RNN": RNNConfig(symbols, symbols)}
    return {
        "Stack RNN": StackRNNConfig(symbols, symbols, hidden=40, stacks=10, no_op=True),
        "List RNN": StackRNNConfig(symbols, symbols, memory="list", hidden=40, stacks=5, depth=100),
        "RNN": RNNConfig(symbols, symbols, hidden=40),
        "LSTM": LSTMConfig(symbols, symbols, hidden=40, layers=1),
    }


# %%
short = dict(zip(COUNTING, ("ab", "abc", "abcd", "abb", "sum"), strict=True))  # for the names of the runs
tasks = {language: StreamTask(language) for language in COUNTING}
schedule = Schedule(3000, batch=10, log_every=250, validate_every=25, checkpoint_every=1000, clip=1.0, clip_by="norm")
seeds, tested, many, few = range(10), range(SMALLEST, 60), 200, 5
if lesson.quick:  # the same experiment, small enough for two minutes: two tasks, two seeds, n up to 8
    tasks = {language: StreamTask(language, longest=8, validated=10, grow_every=60) for language in COUNTING[:2]}
    schedule = Schedule(2000, batch=10, log_every=25, validate_every=25, checkpoint_every=1000, clip=1.0, clip_by="norm")
    seeds, tested, many, few = range(2), range(SMALLEST, 20), 20, 5

# %% [markdown]
# ## 10. Training with restarts
#
# Some seeds find the algorithm, others something that works for short sequences. So the paper trains several and takes the one that does
# best on *validation*: here, sequences of the training lengths that were never trained on, read with rounding. The test, n from 2 to
# 59, chooses nothing. Below a dot a seed: to the left the better on validation, above the better on the test.

# %%
experiments = [
    Experiment(f"{short[language]}-{system.lower().replace(' ', '-')}", config, task, Adam(0.01), schedule, seed)
    for language, task in tasks.items()
    for system, config in systems_of(task.inputs).items()
    for seed in seeds
]
names = [(language, system) for language, task in tasks.items() for system in systems_of(task.inputs) for _ in seeds]
runs: dict[tuple[str, str], list] = {}
for name, run in zip(names, lesson.runs(experiments), strict=True):
    runs.setdefault(name, []).append(run)
chosen = {name: min(of, key=lambda run: run.validation) for name, of in runs.items()}  # of equals the first


# %% [markdown]
# The score is the paper's: for each n one stream of sequences of that length, read from empty stacks. A sequence is right if every symbol
# of it that can be known is predicted, the first one of the next sequence included. n is *solved* if all its sequences are right.
# Every seed is tested with 5 sequences of each n; the chosen ones, below, with 200 as in the paper.


# %%
def machines(system, model):
    """The machine as it was trained, and with rounding if there is something to round."""
    return {system: model, f"{system} + rounding": model.rounded()} if hasattr(model, "rounded") else {system: model}


def test(model, language, sequences):
    """Every machine is asked the same sequences."""
    return score(model, tasks[language], tested, sequences, np.random.default_rng(1))


of_seeds = {}  # (task, system): the share of n solved of every seed, with rounding if there is any
for (language, system), of in runs.items():
    best_reading = [list(machines(system, run.model).values())[-1] for run in of]
    of_seeds[language, system] = [test(model, language, few).solved for model in best_reading]

# %%
search = {
    language: (np.array([run.validation for run in runs[language, "Stack RNN"]]), np.array(of_seeds[language, "Stack RNN"]))
    for language in tasks
}
title, measure = "Stack RNN + rounding: the search over seeds", "validation: share wrong, then bits"
lesson.show(figures.seed_search(search, title, titles=titles, measure=measure), "seed-search")
for (language, system), solved in of_seeds.items():
    reading = system + " + rounding" * hasattr(chosen[language, system].model, "rounded")
    name, wins = f"{language}: {reading}: seeds that solve every n", sum(share == 1 for share in solved)
    lesson.row(name, wins, f"of {len(seeds)} seeds", n=few * len(tested))
    print(f"{language:16} {reading:21} n solved by each seed: " + " ".join(f"{100 * share:.0f}" for share in solved) + " %")

# %% [markdown]
# ## 11. Longer than any training sequence (Table 2)
#
# Trained on n up to 15, asked for n up to 59. Who has learned to *count* does not care; who has learned the training lengths by heart
# ends where they end. Large in the table: the chosen seed of ours; small: the paper's.

# %%
results = {
    (language, reading): test(model, language, many)
    for (language, system), run in chosen.items()
    for reading, model in machines(system, run.model).items()
}
order = [
    name
    for name in ("RNN", "LSTM", "List RNN", "List RNN + rounding", "Stack RNN", "Stack RNN + rounding")
    if (COUNTING[0], name) in results
]
in_paper = {  # Table 2, %
    "RNN": (25, 23.3, 13.3, 23.3, 33.3),
    "LSTM": (100, 100, 68.3, 75, 100),
    "List RNN": (100, 33.3, 100, 100, 100),
    "Stack RNN": (100, 100, 100, 100, 43.3),
    "Stack RNN + rounding": (100, 100, 100, 100, 100),
}
papers = {} if lesson.quick else {name: dict(zip(COUNTING, numbers, strict=True)) for name, numbers in in_paper.items()}

# %%
ours = {reading: {language: results[language, reading].solved for language in tasks} for reading in order}
theirs = {reading: {language: percent / 100 for language, percent in of.items()} for reading, of in papers.items()}
lesson.show(figures.solved_table(ours, theirs, f"How many of n = {tested[0]} … {tested[-1]} are solved?", titles=titles), "solved-table")
for language in tasks:
    for reading in order:
        seed = chosen[language, reading.removesuffix(" + rounding")].experiment.seed
        paper = papers.get(reading, {}).get(language)
        lesson.row(f"{language}: {reading}: n solved", 100 * ours[reading][language], "%", paper, "Table 2", seed, many * len(tested))

# %%
curves = {language: {reading: (np.array(tested), results[language, reading].right) for reading in order} for language in tasks}
longest = next(iter(tasks.values())).longest
picture = figures.accuracy_by_length(
    curves, (SMALLEST, longest), f"Trained on n up to {longest}, tested on n up to {tested[-1]}", titles=titles
)
lesson.show(picture, "accuracy-by-length")

# %% [markdown]
# **What you see.** With stacks and rounding every n is solved on every task, as in the paper, if the seed is searched for. The lists solve
# four tasks, with rounding; on a^n b^n c^n d^n none of our ten seeds found the algorithm. The RNNs know the training lengths and a little
# more, as in the paper (n = 2 … 15 are 24 % of the 58). Our LSTMs end there too, where the paper's go on: 31 to 34 % beside its 68 to
# 100 %. (The paper's see longer sequences and get an update at every symbol. We did not look further for the reason.)
#
# **Does rounding matter?** More than in the paper. There, only a^n b^m c^(n+m) needs it: 43 % of the n are solved without, all of them
# with. Our machines, chosen for how they do *with* rounding and trained on shorter sequences, need it on every task: as they are, their
# shares are good enough for the training lengths and a little beyond.

# %%
rounded_task = list(tasks)[-1]
as_it_is, rounded = (ours[reading][rounded_task] for reading in ("Stack RNN", "Stack RNN + rounding"))
seed, gain = chosen[rounded_task, "Stack RNN"].experiment.seed, None if lesson.quick else 100 - 43.3
lesson.row(f"{rounded_task}: gain from rounding", 100 * (rounded - as_it_is), "%", gain, "Table 2", seed, many * len(tested))
print(f"{rounded_task}: {100 * as_it_is:.1f} % of the n solved as it is, {100 * rounded:.1f} % rounded")

# %% [markdown]
# **What goes wrong if streams never begin anew.** A test reads from *empty* stacks. In an endless training stream that happens once, and
# what the machine learns is how its stacks look *between* two sequences, whatever is left there. We tried it on a^n b^m c^(n+m)
# (`reset_every=1_000_000`, three seeds): one machine then predicted every sequence of every n right, except the first of each stream
# with n > 9, and so "solved" 14 % of them. (The paper's code empties the stacks every 1000 sequences of its single stream.)

# %% [markdown]
# ## 12. Symbol by symbol
#
# What a machine says after each symbol it has read. `!`: this could be known, and is right; `✗`: it could be known, and is wrong.


# %%
def tell(model, task, *sizes):
    """Read some sequences, one after the other, and print what is said."""
    drawn = [task.sequence(np.random.default_rng(0), n) for n in sizes]
    symbols, known = (np.concatenate([getattr(one, part) for one in drawn]) for part in ("symbols", "determined"))
    outputs = trace(model, tm.Tensor(np.eye(task.inputs)[symbols[:-1]][:, None], dtype="float32"))["output"]
    said = outputs[:, 0].argmax(1)
    marks = np.where(known[1:], np.where(said == symbols[1:], "!", "✗"), " ")
    for name, line in (("reads", symbols[:-1]), ("follows", symbols[1:]), ("says", said)):
        print(f"{name:8}", task.write(line))
    print(9 * " " + "".join(marks))


language, longer = COUNTING[0], 12 if lesson.quick else 30
tell(chosen[language, "Stack RNN"].model, tasks[language], 3, 5, 2, 4, 2)

# %% [markdown]
# Now n beyond all training: a plain RNN, the machine with stacks as it was trained, and the same with rounding. (The first two say b
# from the 15th a on. Nobody can know whether one more a comes, but in training it never did.)

# %%
counting = chosen[language, "Stack RNN"].model
for name, model in (("RNN", chosen[language, "RNN"].model), *machines("Stack RNN", counting).items()):
    print(name)
    tell(model, tasks[language], longer, 2)

# %% [markdown]
# ## 13. How does it count? (Table 3)
#
# The paper shows a^6 b^12, read by a machine trained on a^n b^2n: for each a, two b's. Of our ten stacks the two are shown whose actions
# vary most: what they do, and their two topmost cells, as it was trained and without rounding.

# %%
language = "a^n b^2n" if "a^n b^2n" in tasks else COUNTING[0]
task, run = tasks[language], chosen[language, "Stack RNN"]


def watched(n):
    """(symbols, known, what every quantity was) of one sequence and the first symbol after it."""
    one = task.sequence(np.random.default_rng(0), n)
    symbols, known = np.append(one.symbols, 0), np.append(one.determined, True)
    seen = trace(run.model, tm.Tensor(np.eye(task.inputs)[symbols[:-1]][:, None], dtype="float32"))
    return symbols, known, {name: values[:, 0] for name, values in seen.items()}


# %%
symbols, known, seen = watched(6)
shares = np.exp(seen["output"] - seen["output"].max(1, keepdims=True))
shares /= shares.sum(1, keepdims=True)
busiest = np.argsort(-seen["action"].var(0).sum(-1), kind="stable")[:2]
picture = figures.trace_table(
    characters=task.write(symbols[:-1]),
    following=task.write(symbols[1:]),
    predicted=task.write(shares.argmax(1)),
    probability=shares[np.arange(len(shares)), symbols[1:]],
    certain=known[1:],
    actions=seen["action"][:, busiest],
    tops=seen["cells"][:, busiest, :2],
    labels=[f"stack {place + 1}" for place in busiest],
    title=f"One sequence of {titles[language]}, step by step (seed {run.experiment.seed})",
)
lesson.show(picture, "trace-table")

# %% [markdown]
# **What you see.** A stack cannot pop half a cell, so how does one count to 2n? The machine that is shipped fills several stacks with the
# a's. One of them is emptied by the first n of the b's; stack 9, above, waits for that and is emptied by the others. When it is empty
# too, the next symbol is an a. (In the paper's Table 3 two stacks share the work as well.)
#
# Below, all that one of the stacks holds, for n = 20, which no training sequence had: how high the grey reaches is the count. Its edges
# are blurred, and more so from b to b. That is what rounding takes away.

# %%
n = 10 if lesson.quick else 20
symbols, _, seen = watched(n)
depths = (seen["cells"] > stack.EMPTY + 0.05).sum(-1)  # (time, stack)
counter = int((depths.max(0) - depths[-1]).argmax())  # the one that was filled and emptied again
title = f"Stack {counter + 1} as a counter: {titles[language]} with n = {n} (seed {run.experiment.seed})"
lesson.show(figures.stack_depth(seen["cells"][:, counter], task.write(symbols[:-1]), seen["action"][:, counter], title), "stack-depth")

# %% [markdown]
# ## The numbers

# %%
lesson.finish()
