# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # What a compiler does to your gradient
#
# Until now every operation ran when Python met it, and its derivative was looked up on a tape. That is easy to read and slow:
# most of the time goes into Python, not into numbers. Here the same training step is *written down once* as a program, the
# program is improved, and what is left runs as C. No equation is written a second time.
#
# The step: the NTM of the lesson `ntm-copy` (memory 128 × 20, LSTM controller with 100 units), one update on a copy of 20
# vectors. The compiler is in `tinymem/engine/compile/`; its passes are one file each.
#
# Run it with `tinymem lesson compiled-step`, or `--quick` (batch 1 only). Nothing is trained, and all numbers are measured in
# this run.

# %%
import re
import statistics
import subprocess
import sys
import time
import tracemalloc
from ctypes import CDLL, c_float
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import tinymem as tm
from tinymem.engine.compile.passes import PROGRAM_PASSES, SWITCHES
from tinymem.equations import ntm
from tinymem.figures.compiled import compiled_ladder
from tinymem.lesson import Lesson, UsageError, table

# %%
from tinymem.models.ntm import NTMConfig
from tinymem.tasks.algorithms import CopyTask
from tinymem.training.loop import Schedule, collecting_rarely, update_step
from tinymem.training.objectives import bits_per_sequence
from tinymem.training.optimisers import GravesRMSProp

lesson = Lesson("compiled-step")
if lesson.options.backend != "numpy":
    raise UsageError("the lesson compiled-step measures the CPU: run it without --backend")
PASSES = [*PROGRAM_PASSES, *SWITCHES]
print("the passes:", ", ".join(PASSES))

# %% [markdown]
# ## 1. Eager: what Python does in one step
#
# The step is the training loop's own (`update_step` in `tinymem/training/loop.py`): forward, backward, clip, update; and where a
# number is not finite, nothing changes.

# %%
task = CopyTask()
config = NTMConfig(inputs=task.inputs, outputs=task.outputs, controller="lstm")


def training_step(dtype="float32"):
    """A step (batch, number of the update) -> report, and the state that it changes: parameters and the optimiser's slots."""
    model, optimiser = config.build(np.random.default_rng(0), dtype), GravesRMSProp(1e-4)
    slots = {n: {slot: tm.Tensor(a) for slot, a in optimiser.start(p.data).items()} for n, p in model.named_parameters()}
    return update_step(model, bits_per_sequence, optimiser, Schedule(1), slots), {"parameter": model, "slot": slots}


# %%
batch = task.batch(np.random.default_rng(0), 1, 20)
step, state = training_step()
found, waiting = set(), [bits_per_sequence(state["parameter"], batch).node]
while waiting:  # the tape: each row knows the rows it was computed from
    row = waiting.pop()
    if row is not None and row not in found:
        found.add(row)
        waiting += row.parents
print("rows on the tape after the forward pass:", len(found))

# %%
entered = 0


def count(frame, event, argument):
    global entered
    entered += event == "call"


step(batch, 1)
profiler = sys.getprofile()
sys.setprofile(count)
step(batch, 2)
sys.setprofile(profiler)
print("Python functions entered in one step:", entered)


# %%
fine = time.get_clock_info("process_time").resolution < 1e-4
clock = time.process_time if fine else time.perf_counter  # CPU time: other programs cannot add theirs


def cpu_ms(ways, batch, rounds):
    """Median CPU milliseconds of each way, measured in turn: A B C, A B C, …"""
    seen = {name: [] for name in ways}
    with collecting_rarely():
        for number in range(rounds):
            for name, way in ways.items():
                start = clock()
                way(batch, number + 2)
                seen[name].append(1000 * (clock() - start))
    return {name: statistics.median(times) for name, times in seen.items()}


print(f"eager: {cpu_ms({'eager': step}, batch, 5)['eager']:.1f} CPU ms a step")

# %% [markdown]
# **What you see.** Every row on the tape cost several Python calls on the way there and several on the way back. The numbers behind
# most rows are 128 floats or fewer, which a CPU handles in a fraction of a microsecond.
#
# ## 2. Recording: an array without numbers
#
# How do you find out what a function computes, without parsing it? Call it with something that *looks* like an array and only
# writes down what is asked of it. A dozen lines are enough for two operations:


# %%
written = []


class Written:
    def __init__(self, name):
        self.name = name

    def wrote(self, op, other):
        written.append(f"v{len(written)} = {op}({self.name}, {other.name})")
        return Written(f"v{len(written) - 1}")

    def __mul__(self, other):
        return self.wrote("multiply", other)

    def __add__(self, other):
        return self.wrote("add", other)


def f(x, y):
    return x * y + y


# %%
f(Written("x"), Written("y"))
print("with numbers:     f(2, 3) =", f(2.0, 3.0))
print("without numbers: ", "; ".join(written))


# %%
def program_of(compiled, most=None):
    """The rows of a compiled step, without its inputs and without the lines of code they come from."""
    lines = [line.split(" | ")[0].rstrip() for line in compiled.program.splitlines() if "  input  " not in line]
    return "\n".join(lines[:most])


small = tm.compile(f, lowering="numpy")
print("compiled:         f(2, 3) =", small(tm.Tensor([2.0]), tm.Tensor([3.0])).data)
print(program_of(small))

# %% [markdown]
# `tm.compile` does just this, with the shapes, with the engine's own primitives *and their derivatives*, and with the optimiser.
# So the gradient is no special case: the walk back over the tape is recorded like everything else. For the training step it takes
# three lines.

# %%
step, state = training_step()
compiled = tm.compile(step, state)
report = compiled(batch, 1)  # the first call with these shapes: recorded, improved, compiled, run

# %%
first = compiled.stats()
native = first.lowering == "c"
print("first call:", ", ".join(f"{name} {value:.2f} s" for name, value in first.seconds.items()))
if not native:
    print("No C compiler was found here (set CC, or install one): below, compiled steps are replayed by NumPy.")

# %% [markdown]
# **Is it the same?** Loss and every gradient, compiled against eager: the largest difference, relative to the largest element. In
# float64 nothing but rounding may be left.


# %%
def gradient_step(dtype):
    """batch -> the loss and all gradients of a fresh model."""
    model = config.build(np.random.default_rng(0), dtype)

    def gradients(batch):
        for parameter in model.parameters().values():
            parameter.grad = None
        loss = bits_per_sequence(model, batch)
        loss.backward()
        return {"loss": loss.data, **{name: parameter.grad for name, parameter in model.parameters().items()}}

    return gradients, model


# %%
different = {}
for dtype in ("float32", "float64"):
    eager, model = gradient_step(dtype)
    expected, got = eager(batch), tm.compile(eager, model)(batch)
    gap = {name: float(abs(got[name] - expected[name]).max() / abs(expected[name]).max()) for name in expected}
    different[dtype] = max(gap.values())
    print(
        f"{dtype}: loss {float(got['loss']):.6f} and {float(expected['loss']):.6f} bits; largest relative difference {different[dtype]:.1e}"
    )
    print(f"         of {len(gap)} arrays, in {max(gap, key=gap.get)}")

# %% [markdown]
# ### What cannot be written down
#
# A recorded array has a shape and no numbers. Whatever needs a number *now* is refused, with the line that asked. Four ways to
# fail:


# %%
def a_branch(x):
    return x * 2 if x.sum() > 0 else x


def leaves_the_engine(x):
    return tm.Tensor(np.asarray(x.data) + 1)


def hidden_dice(x):
    return x + np.random.default_rng().normal(size=3)


def counts_outside(x):
    global calls
    calls += 1
    return x * calls


# %%
calls = 0
for function in (a_branch, leaves_the_engine, hidden_dice, counts_outside):
    try:
        tm.compile(function)(tm.Tensor([1.0, 2.0, 3.0]))
    except tm.RecordingError as error:
        print(f"{function.__name__}: {error}\n")

# %% [markdown]
# ## 3. The program
#
# $$ w_t^c(i) \leftarrow \frac{\exp(\beta_t K[k_t, M_t(i)])}{\sum_j \exp(\beta_t K[k_t, M_t(j)])}
#    \qquad K[u, v] = \frac{u \cdot v}{\|u\|\,\|v\|} $$
#
# Content addressing of the write head, as recorded. Right of the bar: the equation, and the line of the code.


# %%
def excerpt(program, wanted, most):
    """The first rows of a program that `wanted` is part of, narrowed."""
    lines = [re.sub(r" +\|", "  |", line) for line in program.splitlines() if re.search(wanted, line)]
    return "\n".join(lines[:most])


print(excerpt(compiled.program, "Cosine similarity|Content addressing", 17))

# %% [markdown]
# How to read it:
#
# - A **value** (`v` and a number) is written once, by one row, and has a dtype and a shape. There is no "later, x changes".
# - A **view** (a value with brackets, as in `v[1x128 strides 1,0]`) reads a value in another shape: a slice, a transpose, or,
#   with a stride of 0, one number again and again. The strides count elements. Views cost no row and no copy, so broadcasting β
#   over all locations is free.
# - A **loop** is a row with rows inside. What it hands on from step to step, takes in and keeps is in section 4.
# - A **phase** (`-- forward --`, `-- backward --`, `-- update --`) says where the rows came from. The program itself does not care.
#
# The update is recorded too. Here are its rows for the eight numbers of the output's bias, Graves' RMSProp line by line:
#
# $$ n \leftarrow \rho n + (1-\rho) g^2 \quad \bar g \leftarrow \rho \bar g + (1-\rho) g \quad
#    \Delta \leftarrow \mu \Delta - \eta\, g / \sqrt{n - \bar g^2 + \epsilon} \quad \theta \leftarrow \theta + \Delta $$

# %%
print(excerpt(compiled.program, r" float32\[8\] = .*(optimisers|loop)\.py", 22))
print(excerpt(compiled.program, r"update  \S*\.out\.b[. ]", 4))

# %% [markdown]
# ## 4. Time is a loop, and its derivative is a loop backwards
#
# $$ s_t = \tanh(w\, s_{t-1} + x_t) \qquad
#    \bar s_{t-1} = w\, (1 - s_t^2)\, \bar s_t \qquad \bar w = \sum_t s_{t-1} (1 - s_t^2)\, \bar s_t $$
#
# `tm.scan` is the slide's loop over time. Eager, it puts every time step on the tape. Recorded, it is *one* row with a body, and
# its derivative is one more. The smallest recurrent network, loss: the sum of all states.

# %%
w = tm.Tensor([0.5], requires_grad=True)


def recurrent(x):
    w.grad = None

    def body(s, x_t):
        s = tm.tanh(w * s + x_t)
        return s, s

    _, states = tm.scan(body, tm.Tensor([0.0]), x)
    states.sum().backward()
    return w.grad


# %%
x = tm.Tensor(np.linspace(-1.0, 1.0, 6).reshape(6, 1))
loops = tm.compile(recurrent, {"w": w}, lowering="numpy", without=PASSES[1:])
print("dL/dw =", loops(x), "eager:", recurrent(x))
print(program_of(loops))

# %% [markdown]
# - **carry**: a state handed to the next step. Forward it is $s$; backward it is its cotangent $\bar s$, which starts at 0 at the
#   *end*.
# - **slice**: entry t of an array. **collect**: the way back will need this value, so all its time steps are kept.
# - **sum**: a gradient that every time step adds to. This is "backpropagation through time", in one word.
#
# So the program does not grow with the sequence. Only the arrays do:

# %%
for length in (20, 200):
    same, fresh = training_step()
    longer = tm.compile(same, fresh)
    longer(task.batch(np.random.default_rng(0), 1, length), 1)
    stats, steps = longer.stats(), ", ".join(re.findall(r"loop t = .*", longer.program))
    rows = f"{stats.passes[0].rows} rows recorded, {stats.passes[-1].rows} after the passes"
    print(f"{length:3d} vectors: {rows}, {stats.bytes / 1e6:.1f} MB; {steps}")

# %% [markdown]
# ## 5. The passes: what each does to your gradient
#
# A pass takes a program and returns one that computes the same in less time or less memory. Each is shown on a function small
# enough to read: the program without it, then with it.


# %%
def before_and_after(name, function, arguments, state=None):
    place = PASSES.index(name)
    for word, left_out in (("without", PASSES[place:]), ("with", PASSES[place + 1 :])):
        shown = tm.compile(function, state, lowering="numpy", without=left_out)
        shown(*arguments)
        print(f"{word} {name}\n{program_of(shown)}\n")
    return shown


def parameter(*shape):
    return tm.Tensor(np.random.default_rng(0).normal(size=shape), requires_grad=True)


# %% [markdown]
# ### fold: what nobody needs is not computed
#
# Reverse mode starts from a cotangent of 1 and adds to zeros: x·1, x+0. It computes a loss nobody may look at, and gradients of
# things nobody asked about. *What it does to your gradient: it drops the ones and zeros that the chain rule starts from.*

# %%
w = parameter(3)


def square(x):
    w.grad = None
    (x * w * w).sum().backward()
    return w.grad


before_and_after("fold", square, [tm.Tensor([1.0, 2.0, 3.0])], {"w": w})
# %% [markdown]
# ### recompute: what is cheap to compute again is not kept
#
# $$ \tilde M_t(i) \leftarrow M_{t-1}(i)\,[1 - w_t(i)\, e_t] $$
#
# The derivative of this product needs its factor $1 - w e^\top$: as large as the whole memory, at every time step. But it follows
# from two short vectors. *What it does to your gradient: the loop backwards computes the factor again; nothing of that size is
# kept.* Look at `collect`. (Nobody asks for the loss here, so with no factor to keep the loop forward has nothing left to do.)

# %%
memory = parameter(1, 16, 8)


def erase_often(weightings, erases):
    memory.grad = None

    def body(m, told):
        m = ntm.erase(m, *told)
        return m, m.sum()

    _, sums = tm.scan(body, memory, (weightings, erases))
    sums.sum().backward()
    return memory.grad


told = tm.Tensor(np.full((5, 1, 16), 1 / 16)), tm.Tensor(np.full((5, 1, 8), 0.5))
before_and_after("recompute", erase_often, told, {"memory": memory})
# %% [markdown]
# ### defer: what the next step does not wait for leaves the loop
#
# $$ \bar W = \sum_t \bar a_t^\top s_{t-1} = [\bar a_1; \dots; \bar a_T]^\top [s_0; \dots; s_{T-1}] $$
#
# The weight's gradient is a sum of T thin products. The loop backwards does not need it in order to go on. *What it does to your
# gradient: T additions to a whole weight matrix become one product of two tall matrices.* Look at `sum`.

# %%
W = parameter(3, 3)


def recurrent_layer(x):
    W.grad = None

    def body(s, x_t):
        s = tm.tanh(s @ W + x_t)
        return s, s

    _, states = tm.scan(body, tm.Tensor(np.zeros((1, 3))), x)
    states.sum().backward()
    return W.grad


before_and_after("defer", recurrent_layer, [tm.Tensor(np.ones((5, 1, 3)))], {"W": W})
# %% [markdown]
# ### pieces: a gradient that comes in parts is put together once
#
# A head's parameters are cut from one vector. The gradient of a cut is a vector of zeros with one part filled in, and the parts
# are then added: each time the whole vector. *What it does to your gradient: parts that do not overlap are written where they
# belong.*

# %%
interface = parameter(6)


def cut(scale):
    interface.grad = None
    key, gate = tm.split(interface, [4, 2], 0)
    (scale * tm.tanh(key).sum() + tm.exp(gate).sum()).backward()
    return interface.grad


before_and_after("pieces", cut, [tm.Tensor(2.0)], {"interface": interface})

# %% [markdown]
# ### plan: memory is used again after its last read
#
# Eager reverse mode keeps an array until Python lets go of it. A program knows when each number is read for the last time. *What
# it does to your gradient: forward pass, gradients and update share one block of memory.* The rows stay the same; the memory does
# not.


# %%
def chain(x):
    return tm.sin(tm.exp(tm.cos(tm.tanh(tm.sin(tm.cos(x))))))


for left_out in (["plan"], []):
    planned = tm.compile(chain, lowering="numpy", without=left_out)
    planned(tm.Tensor(np.ones(100_000)))
    words = "without plan" if left_out else "with plan   "
    print(f"{words}: {planned.stats().passes[-1].rows} rows, {planned.stats().bytes / 8e5:.0f} arrays of 100,000 numbers in memory")

# %% [markdown]
# ### turn: rows too short for the CPU
#
# A CPU computes 8 or 16 numbers at once, if they lie side by side. The memory has 128 rows of 20: a loop along a row is over
# before it is up to speed. *What it does to your gradient: the memory and its cotangent are stored column after column, so each
# loop walks over 128 locations.* No value and no row changes, only the strides.
#
# ### fuse and stores: one loop instead of many, and numbers that never reach the memory
#
# One at a time, each operation reads its operands from memory and writes its result back, although the next one wants just that
# number. *Fuse*: operations over the same elements become one loop. *Stores*: what only that loop needs is not written at all; it
# lives in a register. *What they do to your gradient: a chain of derivatives is one walk over the array.* The derivative of tanh:


# %%
def c_text(compiled):
    """The C functions a step was lowered to."""
    return "\n".join(compiled.kernels.values()).rstrip()


def slope(x):
    return 1 - tm.tanh(x) ** 2


for left_out in (["fuse", "stores"], ["stores"], []) if native else ():
    fused = tm.compile(slope, lowering="c", without=left_out)
    fused(tm.Tensor(np.ones((1, 128)), dtype="float32"))
    loops = re.findall(r" {4}for .*?\n {4}}", c_text(fused).replace("(float)", ""), re.DOTALL)  # casts and declarations left out
    print(f"without {' and '.join(left_out)}:" if left_out else "with both:", *loops, "", sep="\n")

# %% [markdown]
# ## 6. Lowering: from rows to C
#
# $$ w_t(i) \leftarrow \tilde w_t(i)^{\gamma_t} / \sum_j \tilde w_t(j)^{\gamma_t} $$
#
# Sharpening, computed as softmax(γ ln w̃). Eight rows become one C function: a loop for logarithm, product and maximum, one for
# exponential and sum, one for the division. (The maximum is found in 16 lanes, so that the CPU can do 16 numbers at once.)

# %%
sharp = tm.compile(ntm.sharpen)
sharp(tm.Tensor(np.full((1, 128), 1 / 128), dtype="float32"), tm.Tensor([[5.0]], dtype="float32"))
print(program_of(sharp))
print(c_text(sharp) if native else "(no C here: without a compiler each row is a NumPy call into planned memory)")

# %% [markdown]
# Each function is compiled once and kept on disk under a hash of its text, the compiler and the CPU; the next process finds it.
# Matrix products are not compiled: they call the BLAS that NumPy brings. Without a compiler the same program is *replayed* by
# NumPy: each row one call, into memory that was planned beforehand. It saves the tape and the allocation, not the calls.
#
# The whole training step, pass by pass, in numbers:

# %%
print(compiled.stats())

# %% [markdown]
# ## 7. How fast, and how small
#
# From eager to compiled, one stage at a time. All ways are measured in turn in this process: medians of CPU time, the BLAS
# threads included. Memory is what a step needs beside parameters, slots and data: for eager the peak of what Python and NumPy
# allocate.


# %%
def ladder():
    """One step a stage, each with a model of its own: {stage: step}, and the same program replayed by NumPy."""
    usable = PASSES if native else [*PROGRAM_PASSES, "plan"]
    stages = {"eager": training_step()[0], "recorded, by NumPy": tm.compile(*training_step(), lowering="numpy", without=PASSES)}
    if native:
        stages["recorded, in C"] = tm.compile(*training_step(), lowering="c", without=PASSES)
    for place, name in enumerate(usable):
        left_out = [*usable[place + 1 :], *[switch for switch in PASSES if switch not in usable]]
        stages[f"+ {name}"] = tm.compile(*training_step(), lowering="c" if native else "numpy", without=left_out)
    return stages


# %%
def eager_megabytes(step, batch):
    tracemalloc.start()
    step(batch, 1)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return peak


# %%
batches, rounds = ((1,), 7) if lesson.quick else ((1, 16), 11)
times, megabytes, counted = {}, {}, {}

# %%
for size in batches:
    data = task.batch(np.random.default_rng(0), size, 20)
    stages = ladder()
    megabytes[size] = {"eager": eager_megabytes(stages["eager"], data)}
    for way in stages.values():
        way(data, 1)
    counted[size] = {name: way.stats() for name, way in stages.items() if name != "eager"}
    megabytes[size] |= {name: stats.bytes / 1e6 for name, stats in counted[size].items()}
    replay = {} if not native else {"all passes, by NumPy": tm.compile(*training_step(), lowering="numpy")}
    times[size] = cpu_ms(stages | replay, data, rounds)

# %%
names = list(stages)
last = names[-1]
firsts = {size: counted[size][last] for size in batches} | {1: first}  # batch 1 was compiled in section 2

# %%
for size in batches:
    rows = [("", "rows", "calls a run", "memory, MB", "CPU ms")]
    for name, ms in times[size].items():
        stats = counted[size].get(name)
        numbers = (stats.passes[-1].rows, stats.calls) if stats else ("–", "–")
        rows.append((name, *map(str, numbers), f"{megabytes[size][name]:.2f}" if name in names else "–", f"{ms:.2f}"))
    print(f"batch {size}\n{table(rows)}\n")

# %%
ratios = [times[size]["eager"] / times[size][last] for size in batches]
faster = " and ".join(f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}" for ratio in ratios)
title = f"One training step of the NTM: {faster} times faster (batch {' and '.join(map(str, batches))})"
shown = [{size: [values[size][name] for name in names] for size in batches} for values in (times, megabytes)]
lesson.show(compiled_ladder(names, *shown, title), "compiled-ladder")

# %% [markdown]
# **What you see.** Two stages are large. Replay leaves out Python's dispatch and the tape; C leaves out a call of NumPy for each
# of thousands of rows. The passes then do the rest. At batch 16 all gains are smaller: the arrays are larger, so more of the time
# was arithmetic from the start.
#
# A pass alone need not pay. *recompute* does more arithmetic to keep less; *fuse* without *stores* makes one loop write many
# arrays at once. And a program without a plan needs *more* memory than eager mode: Python lets go of an array with its last name;
# a program has to be told. What no pass can take away is what the way back needs of the way there.

# %% [markdown]
# ## 8. What goes wrong
#
# **-ffast-math.** It makes C faster by promising the compiler, among other things, that no number is ever NaN or infinite. Then a
# test for NaN is "always true", and is compiled away. The training loop asks just this question in every step, before it changes a
# parameter. So the kernels are compiled without that promise; only the order of additions and the rounding in between are left to
# the compiler. The same question, compiled without and with that part of -ffast-math:

# %%
QUESTION = "int is_number(float x) { return x - x == 0; }"


def ask(flag):
    """What the compiled question says about NaN."""
    from tinymem.engine.compile.cache import compiler

    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        source, built = Path(folder, "question.c"), Path(folder, "question.so")
        source.write_text(QUESTION, encoding="utf-8")
        subprocess.run([*compiler(), "-O2", "-shared", "-fPIC", *flag, "-o", str(built), str(source)], check=True)
        return bool(CDLL(str(built)).is_number(c_float(np.nan)))


for flag in ([], ["-ffinite-math-only"]) if native else ():
    print(f"is NaN a finite number?  {ask(flag)!s:5}  {' '.join(flag)}")

# %% [markdown]
# And ours: NaN in the data, and nothing has changed after the step.

# %%
poisoned = task.batch(np.random.default_rng(0), 1, 20)
poisoned.inputs[3, 0, 0] = np.nan
before = {name: p.data.copy() for name, p in state["parameter"].named_parameters()}
report = compiled(poisoned, 2)
kept = all((p.data == before[name]).all() for name, p in state["parameter"].named_parameters())
print("loss:", report[0], " parameters unchanged:", kept)

# %% [markdown]
# **A stale closure.** A number that a step finds outside of itself was written down when the step was recorded. Change it, and a
# recorded program would go on with the old one, silently. So it is refused:

# %%
rate = 0.1


def descend(w, g):
    return w - rate * g


descending = tm.compile(descend)
print(descending(tm.Tensor([1.0]), tm.Tensor([1.0])).data)
rate = 0.01
try:
    descending(tm.Tensor([1.0]), tm.Tensor([1.0]))
except tm.RecordingError as error:
    print("refused:", error)

# %% [markdown]
# ## The numbers
#
# No paper column here: these are this machine's.

# %%
HERE = "measured here"
lesson.row("lowered to", compiled.stats().lowering, "", None, HERE)
for dtype, value in different.items():
    lesson.row(f"compiled and eager gradients differ by, {dtype}", value, "relative", None, HERE)
for size in batches:
    stats, at = counted[size][last], f"batch {size}: "
    lesson.row(at + "eager", times[size]["eager"], "CPU ms a step", None, HERE, n=rounds)
    lesson.row(at + "compiled", times[size][last], "CPU ms a step", None, HERE, n=rounds)
    lesson.row(at + "eager / compiled", times[size]["eager"] / times[size][last], "times", None, HERE, n=rounds)
    lesson.row(at + "first call", sum(firsts[size].seconds.values()), "seconds", None, HERE, n=1)
    lesson.row(at + "kernels compiled in it (the others were on disk)", firsts[size].compiled, f"of {firsts[size].kernels}", None, HERE)
    lesson.row(at + "memory, eager", megabytes[size]["eager"], "MB", None, HERE, n=1)
    lesson.row(at + "memory, compiled", megabytes[size][last], "MB", None, HERE, n=1)
    lesson.row(at + "rows recorded", stats.passes[0].rows, "rows", None, HERE)
    lesson.row(at + "rows after the passes", stats.passes[-1].rows, "rows", None, HERE)

# %%
lesson.finish()
