"""Random programs over the public operations, and the comparison of a step with its compiled self."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tinymem as tm

Choose = Callable[[int], int]  # n -> one of 0 … n - 1: Hypothesis's choice, or a seed's


@dataclass
class Leaf:
    """An array a program starts from: a parameter (with a gradient), an argument, or a constant from outside."""

    value: Any
    kind: str


@dataclass
class Expression:
    """Leaves, then instructions that each make one more tensor: (function of the operands, positions, what it is)."""

    leaves: list[Leaf] = field(default_factory=list)
    instructions: list[tuple[Callable[..., Any], tuple[int, ...], str]] = field(default_factory=list)
    results: tuple[int, ...] = ()

    def evaluate(self, leaves: list[Any]) -> list[Any]:
        values = list(leaves)
        for function, positions, _ in self.instructions:
            values += [function(*[values[i] for i in positions])]
        return values

    def __repr__(self) -> str:
        lines = [f"x{i} = {leaf.kind} {leaf.value.shape}" for i, leaf in enumerate(self.leaves)]
        lines += [
            f"x{i + len(self.leaves)} = {text} of {', '.join(f'x{p}' for p in positions)}"
            for i, (_, positions, text) in enumerate(self.instructions)
        ]
        return "\n".join([*lines, f"results {self.results}"])


class Builder:
    """Grows an expression by choices; every value is computed at once, so that no choice is impossible or near a kink."""

    def __init__(self, choose: Choose, dtype: str, exact: bool = False, empty: bool = False) -> None:
        self.choose, self.dtype = choose, dtype
        self.rng = np.random.default_rng(choose(1 << 16))
        self.lengths = [1, 2, 3, 5, 4, 7] + ([0] if empty else [])
        self.expression = Expression()
        self.values: list[Any] = []
        self.exact = exact
        self.kinks = True  # may there be functions with a kink?  Not where the numbers change after they were looked at

    def pick(self, options: Any) -> Any:
        return options[self.choose(len(options))]

    def shape(self, most: int = 4) -> tuple[int, ...]:
        return tuple(self.pick(self.lengths) for _ in range(self.choose(most)))

    def leaf(self, shape: tuple[int, ...], kind: str | None = None) -> int:
        """The position of a new leaf; only before the first instruction."""
        value = np.asarray(self.rng.uniform(-1.5, 1.5, shape), self.dtype)
        self.expression.leaves.append(Leaf(value, kind or self.pick(["parameter", "parameter", "argument", "constant"])))
        self.values.append(value)
        return len(self.values) - 1

    def constant(self, shape: tuple[int, ...]) -> Any:
        return np.asarray(self.rng.uniform(-1.5, 1.5, shape), self.dtype)

    def apply(self, text: str, function: Callable[..., Any], *positions: int) -> int | None:
        with np.errstate(all="ignore"):
            value = tm.to_host(function(*[self.values[p] for p in positions]))
        if value.size > 4000 or value.ndim > 6 or not np.isfinite(value).all() or (value.size and abs(value).max() > 1e3):
            return None
        self.expression.instructions.append((function, positions, text))
        self.values.append(value)
        if value.size and abs(value).max() > 4 and not self.exact:
            return self.apply("tanh", tm.tanh, len(self.values) - 1)
        return len(self.values) - 1

    # -- one random instruction ------------------------------------------------------------------------------------------------
    def grow(self) -> None:
        names = ELEMENTWISE if self.exact else EVERYTHING
        x = len(self.values) - 1 - (self.choose(min(4, len(self.values))) if self.choose(2) else 0)
        if not self.kinks:
            names = [name for name in names if name not in ("kinked", "larger")]
        getattr(self, self.pick(names))(x)

    def unary(self, x: int) -> None:
        name = self.pick(sorted(UNARY))
        self.apply(name, UNARY[name], x)

    def kinked(self, x: int) -> None:
        value = self.values[x]
        if not value.size or abs(value).min() < 1e-4:
            return
        name = self.pick(sorted(KINKED))
        self.apply(name, KINKED[name], x)

    def with_number(self, x: int) -> None:
        name = self.pick(sorted(NUMBERS))
        self.apply(name, NUMBERS[name], x)

    def _partner(self, x: int) -> int:
        """Another value that broadcasts with x."""
        y = self.choose(len(self.values))
        try:
            np.broadcast_shapes(self.values[x].shape, self.values[y].shape)
        except ValueError:
            return x
        return y

    def binary(self, x: int) -> None:
        y = self._partner(x)
        name = self.pick(sorted(BINARY))
        self.apply(name, BINARY[name], x, y)

    def larger(self, x: int) -> None:
        y = self._partner(x)
        gap = self.values[x] - self.values[y]
        if gap.size and abs(gap).min() < 1e-4:
            return
        name, f = self.pick([("maximum", tm.maximum), ("minimum", tm.minimum), ("where", lambda a, b: tm.where(a > b, a * 2, tm.sin(b)))])
        self.apply(name, f, x, y)

    def masked(self, x: int) -> None:
        y = self._partner(x)
        mask = self.rng.uniform(size=np.broadcast_shapes(self.values[x].shape, self.values[y].shape)) < 0.5
        self.apply("where(mask)", lambda a, b: tm.where(mask, a, b), x, y)

    def _axis(self, x: int) -> int | None:
        ndim = self.values[x].ndim
        return self.choose(2 * ndim) - ndim if ndim else None

    def reduce(self, x: int) -> None:
        value = self.values[x]
        axes = tuple(k for k in range(value.ndim) if self.choose(2)) if self.choose(4) else None
        keep = bool(self.choose(2))
        count = np.prod([value.shape[k] for k in (range(value.ndim) if axes is None else axes)])
        name, f = self.pick([("sum", tm.sum), ("mean", tm.mean), *([("max", tm.max), ("min", tm.min)] if self.kinks else [])])
        if name != "sum" and count == 0:
            return
        if name in ("max", "min"):
            if value.ndim == 0:
                return
            reduced = tuple(range(value.ndim)) if axes is None else axes
            moved = np.moveaxis(value, reduced, range(len(reduced)))
            flat = np.sort(moved.reshape(int(count), -1), axis=0)
            if flat.size and len(flat) > 1 and np.diff(flat, axis=0).min() < 1e-4:
                return
        scale = 0.3 if name == "sum" else 1.0
        self.apply(f"{name} {axes} {keep}", lambda a: f(a, axes, keep) * scale, x)

    def along(self, x: int) -> None:
        axis = self._axis(x)
        value = self.values[x]
        if axis is None or value.shape[axis] == 0:
            return
        name, f = self.pick(
            [
                ("softmax", tm.softmax),
                ("logsumexp", tm.logsumexp),
                ("log_softmax", tm.log_softmax),
                ("cumsum", tm.cumsum),
                ("cumprod", tm.cumprod),
                *([("sort", tm.sort)] if self.kinks else []),
                ("flip", tm.flip),
                ("roll", lambda a, k: tm.roll(a, 2, k)),
            ]
        )
        if name == "sort" and value.shape[axis] > 1 and value.size and np.diff(np.sort(value, axis), axis=axis).min() < 1e-4:
            return
        self.apply(f"{name} {axis}", lambda a: f(a, axis), x)

    def move(self, x: int) -> None:
        """Views: transposes, reshapes, slices of every kind."""
        value = self.values[x]
        kind = self.choose(5)
        if kind == 0 and value.ndim:
            order = list(range(value.ndim))
            for i in range(value.ndim - 1):
                j = i + self.choose(value.ndim - i)
                order[i], order[j] = order[j], order[i]
            self.apply(f"transpose {order}", lambda a: tm.transpose(a, order), x)
        elif kind == 1:
            shape = self.pick([(-1,), (1, *value.shape), (*value.shape, 1), value.shape[::-1], (value.size, 1)])
            if -1 in shape and value.size == 0:
                return
            self.apply(f"reshape {shape}", lambda a: a.reshape(shape) if isinstance(a, tm.Tensor) else tm.reshape(a, shape), x)
        elif kind == 2:
            index: list[Any] = []
            for n in value.shape:
                options = [slice(None), slice(None, None, -1), slice(1, None), slice(None, -1), slice(None, None, 2), slice(None, None, -2)]
                if n:
                    options += [0, n - 1, -1]
                index.append(self.pick(options))
                if self.choose(5) == 0:
                    index.append(None)
            if self.choose(3) == 0:
                index = [..., *index[-1:]] if index else [...]
            found = tuple(index)
            self.apply(f"[{found}]", lambda a: tm.getitem(a, found), x)
        elif kind == 3:
            wide = (*self.shape(2), *[self.pick(self.lengths) if n == 1 else n for n in value.shape])
            self.apply(f"broadcast_to {wide}", lambda a: tm.broadcast_to(a, wide), x)
        elif value.ndim >= 2:
            self.apply("swapaxes", lambda a: tm.swapaxes(a, 0, -1), x)

    def join(self, x: int) -> None:
        value = self.values[x]
        same = [i for i, v in enumerate(self.values) if v.shape == value.shape]
        y = self.pick(same)
        if value.ndim and self.choose(3):
            axis = self._axis(x)
            self.apply(f"concatenate {axis}", lambda a, b: tm.concatenate([a, b, a][: 2 + (axis == 0)], axis), x, y)
        else:
            axis = self.choose(value.ndim + 1)
            self.apply(f"stack {axis}", lambda a, b: tm.stack([a, b], axis), x, y)

    def cut(self, x: int) -> None:
        axis, value = self._axis(x), self.values[x]
        if axis is None or value.shape[axis] < 2:
            return
        n = value.shape[axis]
        first = 1 + self.choose(n - 1)
        kind = self.choose(3)

        def f(a: Any) -> Any:
            p, q = tm.split(a, [first, n - first], axis)
            if kind == 0:
                return tm.concatenate([tm.tanh(q), p * 2], axis)
            if kind == 1:
                return p * tm.sum(q, axis, True)
            return tm.concatenate([q, a, tm.sin(p)], axis)

        self.apply(f"split {first} {axis} {kind}", f, x)

    def pieces(self, x: int) -> None:
        """Parts of one array that overlap, or do not, or are read one by one."""
        value = self.values[x]
        if not value.ndim or value.shape[0] < 2:
            return
        n = value.shape[0]
        kind = self.choose(3)

        def f(a: Any) -> Any:
            if kind == 0:
                return a[: n - 1] * tm.sin(a[1:])
            if kind == 1:
                return tm.stack([a[i] * (i + 1) for i in range(n)], 0)
            return a[::2].sum(0) - a[1::2].sum(0) * 0.5 + a[0]

        self.apply(f"pieces {kind}", f, x)

    def gather(self, x: int) -> None:
        axis, value = self._axis(x), self.values[x]
        if axis is None or value.shape[axis] == 0:
            return
        n = value.shape[axis]
        kind = self.choose(3)
        if kind == 0:
            index = self.rng.integers(-n, n, self.pick([(3,), (2, 2), (1,)]))
            self.apply(f"take {axis}", lambda a: tm.take(a, index, axis), x)
        elif kind == 1:
            shape = list(value.shape)
            shape[axis] = 1 + self.choose(3)
            along = self.rng.integers(0, n, shape)
            self.apply(f"take_along_axis {axis}", lambda a: tm.take_along_axis(a, along, axis), x)
        else:
            rows = self.rng.integers(0, value.shape[0], 3) if value.shape[0] else None
            if rows is not None:
                self.apply("[integers]", lambda a: a[rows], x)

    def product(self, x: int) -> None:
        value = self.values[x]
        if value.ndim < 2:
            return
        kind = self.choose(4)
        k = value.shape[-1]
        if kind == 0:
            w = self.constant((self.pick([1, 3, 6, 9]), k))
            self.apply(f"@ {w.shape}.T", lambda a: (a @ w.T if isinstance(a, tm.Tensor) else tm.matmul(a, w.T)) * 0.4, x)
        elif kind == 1:
            self.apply("x @ x.T", lambda a: tm.matmul(a, tm.swapaxes(a, -1, -2)) * 0.3, x)
        elif kind == 2:
            same = [i for i, v in enumerate(self.values) if v.ndim >= 2 and v.shape[-2] == k and v.shape[:-2] in ((), value.shape[:-2])]
            if same:
                self.apply("matmul", lambda a, b: tm.matmul(a, b) * 0.4, x, self.pick(same))
        else:
            same = [i for i, v in enumerate(self.values) if v.shape == (k,)]
            if same:
                self.apply("matvec", lambda a, b: tm.matmul(a, b) * 0.4, x, self.pick(same))

    def einsum(self, x: int) -> None:
        value = self.values[x]
        letters = "abcd"[: value.ndim]
        if not 1 <= value.ndim <= 3:
            return
        sizes = dict(zip(letters, value.shape, strict=True)) | {"m": self.pick([1, 2, 5])}
        other = "".join(c for c in letters if self.choose(2)) + ("m" if self.choose(2) else "")
        if self.choose(2):
            other = other[::-1]
        result = "".join(c for c in dict.fromkeys(letters + other) if self.choose(3))
        subscripts = f"{letters},{other}->{result}" if other else f"{letters}->{result}"
        if not other:
            self.apply(subscripts, lambda a: tm.einsum(subscripts, a) * 0.3, x)
            return
        y = self.constant(tuple(sizes[c] for c in other))
        same = [i for i, v in enumerate(self.values) if v.shape == y.shape]
        if same and self.choose(2):
            self.apply(subscripts, lambda a, b: tm.einsum(subscripts, a, b) * 0.3, x, self.pick(same))
        else:
            self.apply(subscripts, lambda a: tm.einsum(subscripts, a, y) * 0.3, x)


UNARY: dict[str, Callable[[Any], Any]] = {
    "exp": lambda a: tm.exp(tm.tanh(a)),
    "tanh": tm.tanh,
    "sigmoid": tm.sigmoid,
    "softplus": tm.softplus,
    "sin": tm.sin,
    "cos": tm.cos,
    "log": lambda a: tm.log(a * a + 0.5),
    "log1p": lambda a: tm.log1p(a * a),
    "sqrt": lambda a: tm.sqrt(a * a + 0.5),
    "power": lambda a: (a * a + 0.5) ** 1.5,
    "square": lambda a: a * a,
    "negative": lambda a: -a,
    "softmax of all": lambda a: tm.softmax(tm.reshape(a, a.size), 0) if a.size else a * 1,
}
KINKED: dict[str, Callable[[Any], Any]] = {"absolute": tm.absolute, "relu": tm.relu, "positive": lambda a: tm.where(a > 0, a, 0)}
NUMBERS: dict[str, Callable[[Any], Any]] = {
    "2 x": lambda a: 2 * a,
    "x - 1": lambda a: a - 1,
    "1 / (x² + 1)": lambda a: 1 / (a * a + 1),
    "x 1": lambda a: a * 1,
    "x + 0": lambda a: a + 0,
    "0 x": lambda a: a * 0.0,
    "0.5^x": lambda a: tm.exp(a * 0) * 0.5**a,
    "x / 3": lambda a: a / 3,
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / (b * b + 0.5),
    "power": lambda a, b: (a * a + 0.5) ** b,
}
ELEMENTWISE = ["unary", "unary", "binary", "binary", "with_number", "move", "move", "masked", "kinked", "larger", "join", "cut", "gather"]
EVERYTHING = [*ELEMENTWISE, "reduce", "reduce", "along", "along", "product", "product", "einsum", "pieces", "move"]


def expression(choose: Choose, dtype: str = "float64", length: int = 10, exact: bool = False, empty: bool = False) -> Expression:
    """A random expression of about `length` instructions."""
    builder = Builder(choose, dtype, exact=exact, empty=empty)
    builder.leaf(builder.shape(), "parameter")
    for _ in range(1 + choose(3)):
        builder.leaf(builder.shape())
    for _ in range(length):
        builder.grow()
    last = len(builder.values) - 1
    found = builder.expression
    found.results = tuple(dict.fromkeys([last, *[last - choose(min(3, last + 1)) for _ in range(2)]]))
    return found


def step_of(found: Expression) -> tuple[Callable[..., Any], dict[str, Any], list[Any]]:
    """A training step around an expression: loss, backward, update; its state, and its arguments."""
    state = {f"p{i}": tm.Tensor(leaf.value, requires_grad=True) for i, leaf in enumerate(found.leaves) if leaf.kind == "parameter"}
    arguments = [np.array(leaf.value) for leaf in found.leaves if leaf.kind == "argument"]
    constants = [np.array(leaf.value) for leaf in found.leaves if leaf.kind == "constant"]
    rng = np.random.default_rng(7)
    weights: dict[int, Any] = {}

    def step(*given: Any) -> Any:
        handed, fixed, own = iter(given), iter(constants), iter(state.values())
        kinds = {"parameter": lambda: next(own), "argument": lambda: tm.Tensor(next(handed)), "constant": lambda: tm.Tensor(next(fixed))}
        for parameter in state.values():
            parameter.grad = None
        values = found.evaluate([kinds[leaf.kind]() for leaf in found.leaves])
        loss = 0
        for position in found.results:
            value = values[position]
            if position not in weights:
                weights[position] = rng.uniform(-1, 1, value.shape).astype(value.dtype)
            loss = loss + (value * weights[position]).sum()
        if isinstance(loss, tm.Tensor) and loss.node is not None:
            loss.backward()
        gradients = {name: p.grad for name, p in state.items() if p.grad is not None}
        for name, gradient in gradients.items():
            state[name].data = state[name].data - 0.125 * gradient
        return loss, [values[position] for position in found.results], gradients

    return step, state, arguments


def flat(result: Any) -> list[Any]:
    loss, values, gradients = result
    return [tm.to_host(loss), *[tm.to_host(v) for v in values], *[np.asarray(g) for g in gradients.values()]]


def compare(found: Expression, lowering: str, without: Any = (), tolerance: float = 1e-12, calls: int = 2) -> None:
    """The compiled step against the step itself: results, gradients and state after `calls` calls."""
    step, state, arguments = step_of(found)
    before = {name: p.data for name, p in state.items()}

    def eager() -> Any:
        return [np.array(x) for x in flat(step(*arguments))], {name: np.array(p.data) for name, p in state.items()}

    with np.errstate(all="ignore"):
        expected = [eager() for _ in range(calls)]
    for name, p in state.items():
        p.data = before[name].copy()
    compiled = tm.compile(step, state, lowering=lowering, without=without)
    kept = [np.array(a) for a in arguments]
    for results, after in expected:
        if not all(np.isfinite(x).all() for x in [*results, *after.values()]):
            break  # an update that overflows: no digit to compare
        got = flat(compiled(*arguments))
        close(results, got, tolerance)
        close(list(after.values()), [p.data for p in state.values()], tolerance)
    assert all(np.array_equal(a, b) for a, b in zip(kept, arguments, strict=True)), "an argument was changed"


def close(expected: list[Any], got: list[Any], tolerance: float) -> None:
    assert len(expected) == len(got)
    for position, (e, g) in enumerate(zip(expected, got, strict=True)):
        assert e.shape == g.shape, (position, e.shape, g.shape)
        assert e.dtype == g.dtype, (position, e.dtype, g.dtype)
        if tolerance == 0:
            assert np.array_equal(e, g), (position, np.abs(e - g).max())
        elif e.size:
            scale = 1 + np.abs(e).max()
            assert np.abs(e - g).max() <= tolerance * scale, (position, np.abs(e - g).max(), scale)


@dataclass
class Scanned:
    """A scan whose body is a random expression of the states, an entry of the inputs, and tensors from outside."""

    body: Expression
    states: int
    length: int
    outside: int
    outputs: tuple[int, ...]
    nexts: tuple[int, ...]

    def parameters(self) -> dict[str, Any]:
        rng = np.random.default_rng(3)
        leaves = [leaf.value for leaf in self.body.leaves]
        found = {f"s{i}": leaves[i] for i in range(self.states)}
        found["x"] = rng.uniform(-1, 1, (self.length, *leaves[self.states].shape)).astype(leaves[0].dtype)
        return found | {f"w{i}": value for i, value in enumerate(leaves[self.states + 1 :])}

    def __call__(self, given: dict[str, Any]) -> Any:
        outside = [given[f"w{i}"] for i in range(self.outside)]
        outside = [tm.tanh(w) if i % 2 else w for i, w in enumerate(outside)]

        def step(state: Any, x: Any) -> Any:
            values = self.body.evaluate([*state, x, *outside])
            after = tuple(
                tm.tanh(0.5 * old + fitted(values[position], old.shape)) if position >= 0 else state[-1 - position]
                for position, old in zip(self.nexts, state, strict=True)
            )
            return after, [values[position] for position in self.outputs]

        return tm.scan(step, tuple(given[f"s{i}"] for i in range(self.states)), given["x"])


def fitted(value: Any, shape: tuple[int, ...]) -> Any:
    """The value where it broadcasts to `shape`, else the mean of it."""
    try:
        fits = np.broadcast_shapes(value.shape, shape) == shape
    except ValueError:
        fits = False
    return value if fits else tm.mean(value) if value.size else 0.1


def scanned(choose: Choose, dtype: str = "float64", length: int = 8) -> Scanned:
    """A random scan: one or two states, a handful of tensors from outside, a body of about `length` instructions."""
    builder = Builder(choose, dtype)
    builder.kinks = False
    batch, hidden = builder.pick([1, 2, 3]), builder.pick([1, 3, 5, 6])
    states = 1 + choose(2)
    for _ in range(states):
        builder.leaf((batch, hidden), "parameter")
    builder.leaf((batch, builder.pick([hidden, 4])), "parameter")
    outside = 1 + choose(3)
    for _ in range(outside):
        builder.leaf(builder.pick([(hidden,), (hidden, hidden), (batch, hidden), (batch, 4, hidden), ()]), "parameter")
    for _ in range(length):
        builder.grow()
    last = len(builder.values) - 1
    outputs = tuple(dict.fromkeys([last, *[choose(last + 1) for _ in range(2)]]))
    twins = {i for i in range(states) if states == 2 and choose(6) == 0}
    nexts = tuple(-1 - (1 - i) if i in twins else (last - choose(min(3, last))) for i in range(states))
    return Scanned(builder.expression, states, builder.pick([1, 2, 4]), outside, outputs, nexts)
