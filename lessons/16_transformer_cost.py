# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # What attention costs
#
# The slide gives three reasons to replace LSTMs with a lot of attention: *all positions are connected, maximum path length is
# O(1), parallel computations*. And a table says that it takes much less computation to train. Nothing of this has to be
# believed: our engine writes down every operation it does, so path lengths can be measured on its graph, and operations counted.
#
# Source: [1] Vaswani et al. 2017, arXiv 1706.03762, Tables 1 and 2. Slides "Attention Is All You Need". Counted in
# `tinymem/engine/compile/operations.py`, measured on the tape in `tinymem/engine/paths.py`.
#
# Run it with `tinymem lesson transformer-cost`, or `--quick` (smaller sizes, without the translators). Nothing is trained here;
# the last section reads what the lessons `translation` and `transformer` have shipped.

# %%
import math
import statistics
import time

import numpy as np

import tinymem as tm
from tinymem.engine.paths import paths
from tinymem.engine.structure import flatten
from tinymem.equations.recurrent import rnn_step
from tinymem.equations.transformer import multi_head, scaled_dot_product
from tinymem.figures import cost as figures
from tinymem.lesson import Lesson, UsageError, published, shipped, shipped_in, table

# %%
from tinymem.training.checkpoints import load_checkpoint
from tinymem.training.configs import from_plain
from tinymem.training.experiment import course_of
from tinymem.training.loop import update_step

lesson = Lesson("transformer-cost")
if lesson.options.backend != "numpy":
    raise UsageError("the lesson transformer-cost measures the CPU: run it without --backend")

# %% [markdown]
# ## 1. What the paper says [1, Table 1]
#
# n positions, each a vector of length d; convolutions of k positions; restricted self-attention looks at r of them.
#
# | layer | operations | must wait for each other | longest path between two positions |
# |---|---|---|---|
# | self-attention | $O(n^2 d)$ | $O(1)$ | $O(1)$ |
# | recurrent | $O(n d^2)$ | $O(n)$ | $O(n)$ |
# | convolutional | $O(k n d^2)$ | $O(1)$ | $O(\log_k n)$ if dilated, else $O(n/k)$ |
# | self-attention, restricted | $O(r n d)$ | $O(1)$ | $O(n/r)$ |
#
# The path matters because a gradient has to walk it: the fewer steps between two words, the easier it is to learn that one
# depends on the other.

# %% [markdown]
# ## 2. Four layers, position by position
#
# $$ y_i = \sum_j \alpha_{ij} x_j \qquad h_i = \tanh(W x_i + U h_{i-1} + b) \qquad
#    y_i = \max(0, F\,[x_{i-2}; x_{i-1}; x_i]) \qquad y_i = \sum_{|j-i| \le r/2} \alpha_{ij} x_j $$
#
# Each takes n vectors and returns n vectors. They are kept apart here, one Tensor for each position, because the tape knows
# Tensors and not what is inside: in an array of all positions everything would seem to be connected. The convolution is
# *causal*, it looks back only.

# %%
K, R = 3, 17  # positions that a convolution looks at, and restricted attention


def weights(d):
    """Every layer's parameters, by the letters above."""
    shapes, rng = {"W": (d, d), "U": (d, d), "b": (d,), "F": (K * d, d)}, np.random.default_rng(0)
    return {name: tm.Tensor(rng.normal(size=shape) / shape[0] ** 0.5, dtype="float32") for name, shape in shapes.items()}


def self_attention(xs, p):
    everyone = tm.stack(xs, 1)  # (1, n, d)
    return [scaled_dot_product(x[:, None], everyone, everyone)[:, 0] for x in xs]


def recurrent(xs, p):
    hs = [tm.Tensor(np.zeros(xs[0].shape), dtype="float32")]
    for x in xs:
        hs.append(rnn_step(x, hs[-1], p["W"], p["U"], p["b"]))
    return hs[1:]


# %%
def convolutional(xs, p, apart=1):
    nothing = tm.Tensor(np.zeros(xs[0].shape), dtype="float32")
    windows = [[xs[j] if j >= 0 else nothing for j in range(i - apart * (K - 1), i + 1, apart)] for i in range(len(xs))]
    return [tm.relu(tm.concatenate(window, 1) @ p["F"]) for window in windows]


def restricted(xs, p):
    windows = [tm.stack(xs[max(0, i - R // 2) : i + R // 2 + 1], 1) for i in range(len(xs))]
    return [scaled_dot_product(x[:, None], near, near)[:, 0] for x, near in zip(xs, windows, strict=True)]


# %% [markdown]
# ## 3. All positions are connected: paths on our own tape
#
# The tape has a row for each operation, and each row knows the rows it was computed from. Between the *first* word in and the
# *last* word out: what is the shortest path? And what is the longest chain of rows, of which each must wait for the one before?
# With as many processors as you like, a layer takes at least that long.


# %%
def tape(layers, n, d=4):
    """The tape between the first of n positions and the last, behind these layers."""
    xs = [tm.Tensor(np.ones((1, d)), dtype="float32", requires_grad=True) for _ in range(n)]
    ys = xs
    for layer in layers:
        ys = layer(ys, weights(d))
    return paths(ys[-1], xs[0])


LAYERS = {"self-attention": self_attention, "recurrent": recurrent, "convolutional": convolutional, "restricted": restricted}
for name, layer in LAYERS.items():
    print(f"{name:15}", *(f"n = {n}: {tape([layer], n)}" for n in (8, 32)), sep="  ")

# %% [markdown]
# **None** is what goes wrong: with 32 positions a single convolution, or a window of 17, does not connect the first word with
# the last at all, and no gradient can ever tell them about each other. Layers must be stacked until it does: each adds
# k - 1 positions of reach, or r/2. A *dilated* stack looks k times as far apart in each layer, and needs only $\log_k n$ layers.


# %%
def dilated(number):
    """A convolution that looks at every 3^number-th position."""
    return lambda xs, p: convolutional(xs, p, K**number)


def stack_that_connects(name, n):
    """As many layers as it takes until the first position reaches the last."""
    if name in ("self-attention", "recurrent"):
        return [LAYERS[name]]
    if name == "dilated":
        return [dilated(number) for number in range(n) if K**number < n]
    return [LAYERS[name]] * math.ceil((n - 1) / {"convolutional": K - 1, "restricted": R // 2}[name])


# %%
lengths = (4, 8, 16, 32) if lesson.quick else (4, 8, 16, 32, 64, 128)
longest = {name: [tape([layer], n).longest for n in lengths] for name, layer in LAYERS.items()}
kinds = (*LAYERS, "dilated")
shortest = {name: [tape(stack_that_connects(name, n), n).shortest for n in lengths] for name in kinds}
lesson.show(figures.path_lengths(lengths, longest, shortest), "path-lengths")
rows = [(name, *(str(len(stack_that_connects(name, n))) for n in lengths), *map(str, shortest[name])) for name in kinds]
print(table([("", *(f"layers, n={n}" for n in lengths), *(f"rows, n={n}" for n in lengths)), *rows]))

# %% [markdown]
# **What you see.** From any word to any other it is the same few rows in self-attention, for a sentence of 4 words or of 128.
# The recurrent layer needs four more for each word in between. The convolutions stand between: one more layer each time the
# sentence is three times as long, if dilated. Read the rows as what they are: a matrix product is one row, whatever its size.

# %% [markdown]
# ## 4. As arrays, so that the engine can count
#
# The same layers once more, for all positions at once, as one would train them: the sentence is one array (n, d), the recurrent
# layer a `scan`.


# %%
def recurrent_array(x, p):
    n, d = x.shape

    def step(h, x_i):
        h = rnn_step(x_i, h, p["W"], p["U"], p["b"])
        return h, h

    _, hs = tm.scan(step, tm.Tensor(np.zeros((1, d)), dtype="float32"), x.reshape(n, 1, d))
    return hs.reshape(n, d)


def shifted(x, before, after):
    """For each place of a window the array moved there (n, d), with zeros where there is nothing."""
    edges = [tm.Tensor(np.zeros((count, x.shape[1])), dtype="float32") for count in (before, after)]
    padded = tm.concatenate([edges[0], x, edges[1]], 0)
    return [padded[j : j + x.shape[0]] for j in range(before + after + 1)]


# %%
def self_attention_array(x, p):
    x = x.reshape(1, *x.shape)
    return scaled_dot_product(x, x, x)[0]


def convolutional_array(x, p):
    return tm.relu(tm.concatenate(shifted(x, K - 1, 0), 1) @ p["F"])


def restricted_array(x, p):
    n, d = x.shape
    near = tm.stack(shifted(x, R // 2, R // 2), 1)  # (n, R, d): for each position its window
    places = np.arange(n)[:, None] + np.arange(R) - R // 2
    there = (places >= 0) & (places < n)
    return scaled_dot_product(x.reshape(n, 1, d), near, near, there[:, None])[:, 0]


# %%
ARRAYS = {
    "self-attention": self_attention_array, "recurrent": recurrent_array,
    "convolutional": convolutional_array, "restricted": restricted_array,
}  # fmt: skip
x, p = tm.Tensor(np.random.default_rng(1).normal(size=(24, 8)), dtype="float32"), weights(8)
for name, layer in LAYERS.items():
    one_by_one = np.concatenate([y.data for y in layer([x[i : i + 1] for i in range(24)], p)])
    print(f"{name:15} differs from its array form by {np.abs(one_by_one - ARRAYS[name](x, p).data).max():.1e}")


# %% [markdown]
# A compiled step is a program of array operations of known shapes, so the engine can count what it takes: a product of (m, k)
# and (k, n) is 2mkn, a multiplication and an addition each; any other function one for each number; a loop's body once for each
# time step. Nothing is run for it.


# %%
def compiled(name, d):
    p = weights(d)
    return tm.compile(lambda x: ARRAYS[name](x, p), state=p, lowering="numpy")


def operations(name, n, d):
    """Floating-point operations of one layer, forward."""
    return compiled(name, d).operations(np.zeros((n, d), np.float32)).total


n, d = 100, 64
print("self-attention:", operations("self-attention", n, d), " by hand 4 n²d + 6 n²:", 4 * n * n * d + 6 * n * n)
print("recurrent:     ", operations("recurrent", n, d), " by hand n (4 d² + 3 d):", n * (4 * d * d + 3 * d))

# %% [markdown]
# ## 5. Table 1, ours
#
# A count that grows as $n^p$ is a straight line of slope p on logarithmic axes. The slopes, fitted to counts at large n (with
# d = 64) and at large d (with n = 64):

# %%
LARGE, OTHER = (512, 1024, 2048, 4096), 64
in_paper = {  # powers of n and of d, of what must wait, and what is said of the path
    "self-attention": (2, 1, 0, "O(1)"), "recurrent": (1, 2, 1, "O(n)"),
    "convolutional": (1, 2, 0, "O(n/k)"), "restricted": (1, 1, 0, "O(n/r)"),
}  # fmt: skip


def slope(sizes, counts):
    return round(float(np.polyfit(np.log(sizes), np.log(counts), 1)[0]), 3) + 0.0  # + 0.0: no minus before a zero


# %%
grows = {
    name: (
        slope(LARGE, [operations(name, n, OTHER) for n in LARGE]),
        slope(LARGE[:2], [operations(name, OTHER, d) for d in LARGE[:2]]),
        slope(lengths[-3:], longest[name][-3:]),
        slope(lengths[-3:], shortest[name][-3:]),
    )
    for name in LAYERS
}

# %%
rows = [("", "operations [1]", "here", "must wait [1]", "here", "path [1]", "here")]
for name, (by_n, by_d, waits, path) in grows.items():
    of_n, of_d, of_waiting, of_path = in_paper[name]
    rows.append((name, f"n^{of_n} d^{of_d}", f"n^{by_n:.2f} d^{by_d:.2f}", f"n^{of_waiting}", f"n^{waits:.2f}", of_path, f"n^{path:.2f}"))
print(table(rows))
added = np.diff([tape(stack_that_connects("dilated", n), n).shortest for n in (9, 27, 81)])
print("a dilated stack connects 9, 27 and 81 positions with", *added, "rows more each time")

# %%
for name, (by_n, by_d, waits, path) in grows.items():
    of_n, of_d, of_waiting, of_path = in_paper[name]
    lesson.row(f"{name}: operations grow as n to the power of", by_n, "", of_n, "Table 1")
    lesson.row(f"{name}: operations grow as d to the power of", by_d, "", of_d, "Table 1")
    lesson.row(f"{name}: what must wait grows as n to the power of", waits, "", of_waiting, "Table 1")
    lesson.row(f"{name}: the path grows as n to the power of", path, "", 0 if of_path == "O(1)" else 1, f"Table 1, {of_path}")
    lesson.row(f"{name}: shortest path at n = {lengths[-1]}", shortest[name][-1], "rows of the tape")
lesson.row("dilated: rows added where n is tripled", int(added.max()), "rows of the tape", "constant", "Table 1, O(log_k n)")
lesson.row(f"dilated: shortest path at n = {lengths[-1]}", shortest["dilated"][-1], "rows of the tape")

# %% [markdown]
# **Parallel computations** is the quotient of the two: how many operations could be done at the same time, if only what must
# wait does. For the recurrent layer it does not depend on n: a longer sentence keeps no more processors busy, it only takes
# longer.

# %%
for name in LAYERS:
    at_once = [operations(name, n, OTHER) / waits for n, waits in zip(lengths, longest[name], strict=True)]
    print(f"{name:15}", *(f"n = {n}: {share:,.0f}" for n, share in zip(lengths, at_once, strict=True)), sep="  ")
    lesson.row(f"{name}: operations for each row of the longest chain, n = {lengths[-1]}, d = {OTHER}", at_once[-1], "operations")

# %% [markdown]
# ## 6. Where they cross: n ≈ d
#
# $n^2 d < n d^2$ as long as $n < d$. Below, the smallest n at which self-attention takes more operations than the recurrent
# layer, found by counting.


# %%
def crossing(d):
    """The smallest n at which self-attention takes more operations than a recurrent layer."""
    low, high = 1, 4 * d
    while low < high:
        n = (low + high) // 2
        low, high = (low, n) if operations("self-attention", n, d) > operations("recurrent", n, d) else (n + 1, high)
    return low


for d in (32, 64, 128, 256):
    from_here = crossing(d)
    print(f"d = {d}: from n = {from_here}")
    lesson.row(f"d = {d}: self-attention takes more operations than recurrent from", from_here, "positions", d, "n = d, section 4")

# %% [markdown]
# **What the table leaves out.** It counts attention alone. A Transformer's layer also has the matrices $W^Q, W^K, W^V, W^O$ of
# its heads: $8 n d^2$ operations more, which is twice the whole recurrent layer, at any n. So per *layer* it is never the cheaper
# one. What it has is the short path, and work that need not wait.

# %%
d = 64
p = {name: tm.Tensor(np.zeros(shape), dtype="float32") for name, shape in zip("QKVO", [(4, 16, d)] * 3 + [(d, d)], strict=True)}
with_matrices = tm.compile(lambda x: multi_head(x, x, x, *p.values()), state=p, lowering="numpy")
ratio = with_matrices.operations(np.zeros((1, d, d), np.float32)).total / operations("recurrent", d, d)
lesson.row("multi-head attention with its matrices, n = d = 64: operations of a recurrent layer", ratio, "times")
print(f"4 heads with their matrices at n = d = 64: {ratio:.2f} times the operations of the recurrent layer")

# %% [markdown]
# ## 7. Seconds
#
# One sentence, forward, on this CPU: medians of process time, every layer as a compiled step that NumPy replays. Times are this
# machine's, so none is promised.

# %%
fine = time.get_clock_info("process_time").resolution < 1e-4
clock = time.process_time if fine else time.perf_counter  # CPU time: other programs cannot add theirs


def milliseconds(name, n, d, rounds):
    """Median CPU milliseconds of one layer; short ones are run several times in a round."""
    step, x = compiled(name, d), np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)
    step(x)
    often, seen = max(1, 200_000_000 // (operations(name, n, d) + 10_000_000)), []
    for _ in range(rounds):
        started = clock()
        for _ in range(often):
            step(x)
        seen.append(1000 * (clock() - started) / often)
    return statistics.median(seen)


# %%
sizes, rounds = ((16, 64, 256), 3) if lesson.quick else ((16, 32, 64, 128, 256, 512, 1024), 7)
cases = [[(n, OTHER) for n in sizes], [(OTHER, d) for d in sizes]]
counted = tuple({name: [operations(name, *case) for case in varied] for name in LAYERS} for varied in cases)
times = tuple({name: [milliseconds(name, *case, rounds) for case in varied] for name in LAYERS} for varied in cases)
lesson.show(figures.operations_and_seconds(sizes, counted, times, OTHER), "operations-and-seconds")

# %%
ratios = np.log(np.array(times[0]["self-attention"]) / np.array(times[0]["recurrent"]))
(above,) = np.nonzero(ratios > 0)
where = float("inf")
if len(above):
    around = slice(max(above[0] - 1, 0), above[0] + 1)  # the last size below and the first one above
    where = float(np.exp(np.interp(0, ratios[around], np.log(sizes[around]))))
lesson.row(f"d = {OTHER}: self-attention takes more CPU time than recurrent from about", where, "positions", OTHER, "n = d", n=rounds)
for name in LAYERS:
    n, of = sizes[-1], times[0][name][-1]
    speed = counted[0][name][-1] / of / 1e6
    print(f"{name:15} n = {n}, d = {OTHER}: {of:8.3f} ms, {speed:5.1f} operations a nanosecond")
    lesson.row(f"{name}: CPU time, n = {n}, d = {OTHER}", of, "ms", None, "measured here", n=rounds)
print(f"self-attention takes more CPU time than the recurrent layer from about n = {where:.0f}, at d = {OTHER}")

# %% [markdown]
# **What you see.** The slopes come near those of the counts where the layers are large. The crossing does not: one sentence at a
# time, the recurrent layer multiplies a matrix with one vector, n times, and gets far fewer operations done in a nanosecond than
# self-attention in its two large products. So self-attention stays the faster one well beyond n = d, on a single CPU, where
# nothing is done in parallel. A count is a poor clock.

# %% [markdown]
# ## 8. BLEU and FLOPs [1, Table 2]
#
# The slide's table. How the paper counted: hours × GPUs × what a GPU sustains, so an estimate from above. The one number of each
# Transformer stands for both pairs of languages. (The slide's 41.0 for Transformer (big) is of the arXiv versions 1 to 4; later ones
# print 41.8.)

# %%
SLIDE = [  # BLEU of EN-DE and EN-FR, FLOPs of training for both
    ("ByteNet", 23.75, None, None, None), ("Deep-Att + PosUnk", None, 39.2, None, 1.0e20), ("GNMT + RL", 24.6, 39.92, 2.3e19, 1.4e20),
    ("ConvS2S", 25.16, 40.46, 9.6e18, 1.5e20), ("MoE", 26.03, 40.56, 2.0e19, 1.2e20),
    ("Deep-Att + PosUnk Ensemble", None, 40.4, None, 8.0e20), ("GNMT + RL Ensemble", 26.30, 41.16, 1.8e20, 1.1e21),
    ("ConvS2S Ensemble", 26.36, 41.29, 7.7e19, 1.2e21), ("Transformer (base model)", 27.3, 38.1, 3.3e18, 3.3e18),
    ("Transformer (big)", 28.4, 41.0, 2.3e19, 2.3e19),
]  # fmt: skip


# %%
def written(number, form):
    return "" if number is None else format(number, form)


rows = [(name, *(written(score, "") for score in scores[:2]), *(written(f, ".1e") for f in scores[2:])) for name, *scores in SLIDE]
print(table([("Model", "BLEU EN-DE", "BLEU EN-FR", "FLOPs EN-DE", "FLOPs EN-FR"), *rows]))
panels = {
    pair: [(row[0], row[place + 2], row[place]) for row in SLIDE if row[place] and row[place + 2]]
    for pair, place in (("WMT 2014, EN-DE", 1), ("WMT 2014, EN-FR", 2))
}
lesson.show(figures.bleu_and_flops(panels), "bleu-and-flops")
print(f"Transformer (base): 12 hours x 8 GPUs x 9.5 TFLOPS = {12 * 3600 * 8 * 9.5e12:.1e}")

# %% [markdown]
# Ours: English to French on LibreOffice, all with the same number of updates of the same batches. FLOPs are *counted*: the whole
# step, forward, backward and update, for the shape of each batch that the run met; so the padding counts. The batches are drawn
# again here, from the run's seed. BLEU and seconds are the shipped ones.

# %%
SYSTEMS = {  # the name here: the lesson that trained it, its experiment, its name in the results of that lesson
    "RNNencdec": ("translation", "libreoffice-none", "without attention"),
    "RNNsearch": ("translation", "libreoffice-additive", "additive attention"),
    "Transformer": ("transformer", "libreoffice-post-norm", "Transformer, post-norm"),
}


def trained(of, name, told):
    """The shipped run of seed 0, and its BLEU (beam of 4, all test sentences)."""
    (path,) = shipped_in(of).glob(f"{name}-*.safetensors")
    (run,) = shipped(of, [from_plain(load_checkpoint(path)[1]["seeds"]["0"]["run"])])
    reached = {row.name: row.value for row in published(of)}
    return run, reached[f"LibreOffice, {told}, beam of 4: BLEU of all test sentences"]


# %%
def training_step(experiment):
    """What the run draws from, and its compiled step."""
    model = experiment.model.build(np.random.default_rng(0), experiment.dtype)
    course, optimiser = course_of(experiment, model), experiment.optimiser
    slots = {name: {slot: tm.Tensor(a) for slot, a in optimiser.start(p.data).items()} for name, p in model.named_parameters()}
    step = update_step(model, course.loss, optimiser, experiment.schedule, slots)
    return course, tm.compile(step, {"parameter": model, "slot": slots})


# %%
def flops_and_words(experiment):
    """FLOPs of each update, (updates,), and all target words it was asked for."""
    course, step = training_step(experiment)
    of_shape, flops, words, rng = {}, [], 0, np.random.default_rng([experiment.seed, 1])  # as the run drew
    for _ in range(experiment.schedule.updates):
        batch = course.draw(rng)
        shape = tuple(array.shape for array in flatten(batch)[0])
        if shape not in of_shape:
            of_shape[shape] = step.operations(batch, 1, 1.0).total
        flops.append(of_shape[shape])
        words += int(batch.target_mask.sum())
    return np.array(flops, float), words


# %%
measured, curves, REACHED = {}, {}, (20, 50)
for name, (of, *where) in SYSTEMS.items() if not lesson.quick else ():
    run, bleu = trained(of, *where)
    flops, words = flops_and_words(run.experiment)
    spent, seconds = np.cumsum(flops), sum(line["cpu_seconds"] for line in run.history)
    curves[name] = np.array([(spent[line["update"] - 1], line["bleu"]) for line in run.history if "bleu" in line])
    until = {bleu: next((float(so_far) for so_far, found in curves[name] if found >= bleu), math.inf) for bleu in REACHED}
    measured[name] = {
        ("", "BLEU"): bleu, ("training", "FLOPs"): float(spent[-1]), ("a target word", "FLOPs"): float(spent[-1]) / words,
        **{(f"until validation BLEU {level}", "FLOPs"): so_far for level, so_far in until.items()},
        ("training, as logged", "CPU seconds"): seconds,
        ("in a CPU second", "FLOPs"): float(spent[-1]) / seconds, ("asked for", "target words"): words,
    }  # fmt: skip

# %%
for name, of in measured.items():
    for (what, unit), value in of.items():
        lesson.row(f"LibreOffice, {name}: {what or unit}", value, unit, seed=0)
if measured:
    heads = [f"{unit} {what}".strip() for what, unit in next(iter(measured.values()))]
    print(table([("", *heads), *((name, *(f"{value:.3g}" for value in of.values())) for name, of in measured.items())]))
    lesson.show(figures.bleu_by_flops(curves, REACHED[-1]), "bleu-by-flops")

# %% [markdown]
# **What you see.** On the slide, for English-German, the lowest cost stands beside the highest BLEU; but every system there was
# trained as long as its authors liked. Here all see the same sentences equally often, so FLOPs differ by what one update takes.
# Attention makes an update of the recurrent translator half as dear again, and is cheaper all the same: it needs fewer FLOPs to
# reach a BLEU of 20. An update of the Transformer is dearer still, by a sixth; it takes more FLOPs to a BLEU of 20 and, by less, to 50,
# and ends higher. "Much less computation" does not come out as a count at this size. The slide's FLOPs are hours on GPUs, and
# there it also counts how many operations can be done at once. Compare no BLEU with the slide's: it is another corpus.

# %% [markdown]
# ## The numbers

# %%
lesson.finish()
