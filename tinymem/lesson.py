"""What a lesson script holds on to: its options, its runs, its figures and its table of numbers.

A script says `lesson = Lesson("ntm-copy")` and works the same under `tinymem lesson`, as a plain script and as a notebook.
"""

from __future__ import annotations

import difflib
import json
import math
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tinymem.engine.backend import use
from tinymem.training.checkpoints import write_atomically
from tinymem.training.experiment import Experiment, load_trained
from tinymem.training.runfolder import BEST, read_log
from tinymem.training.ship import load_shipped
from tinymem.training.sweep import sweep
from tinymem.version import __version__

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class UsageError(ValueError):
    """The command was asked something that does not exist; exit code 2."""


@dataclass(frozen=True)
class Options:
    """How a lesson is run."""

    train: bool = False
    """train every model of the lesson from its seed, instead of evaluating the shipped checkpoints (up to an hour on two cores)"""
    quick: bool = False
    """a small real training run of under two minutes, instead of the shipped checkpoints"""
    size: Literal["lesson", "paper"] = "lesson"
    """the size that trains here, or the paper's full size, where a lesson offers it"""
    backend: Literal["numpy", "cupy"] = "numpy"
    """numpy or cupy"""
    eager: bool = False
    """train operation by operation instead of by compiled steps: slower, and readable in a debugger"""
    out: Path = Path("tinymem-out")
    """folder for figures, results.json and runs"""

    def __post_init__(self) -> None:
        if self.train and self.quick:
            raise UsageError(
                "--train and --quick exclude each other: --train reproduces the shipped runs, --quick is a small run of its own"
            )
        if self.quick and self.size == "paper":
            raise UsageError("--quick and --size paper exclude each other: nothing of the paper's size is quick")


_for_the_whole_script = ExitStack()  # held here: a context that nobody holds ends at once
_options: ContextVar[Options | None] = ContextVar("tinymem_lesson_options", default=None)


def lesson_files() -> dict[str, Path]:
    """The lessons by name, in lecture order: {"ntm-copy": …/05_ntm_copy.py}."""
    folder = Path(str(resources.files("tinymem.lessons")))
    return {path.stem.partition("_")[2].replace("_", "-"): path for path in sorted(folder.glob("[0-9][0-9]_*.py"))}


def find_lesson(name: str) -> Path:
    """The script of one lesson; UsageError with the nearest name if there is none."""
    files = lesson_files()
    if name in files:
        return files[name]
    near = difflib.get_close_matches(name.lower().replace("_", "-"), files, n=1, cutoff=0.4)
    hint = f"Did you mean '{near[0]}'? " if near else ""
    raise UsageError(f"there is no lesson {name!r}. {hint}The lessons are: {', '.join(files)}")


def lesson_title(path: Path) -> str:
    """The first heading of a lesson script."""
    return next(
        (line.removeprefix("# # ").strip() for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# # ")), path.stem
    )


@dataclass(frozen=True)
class Row:
    """One number of a lesson beside the paper's."""

    name: str
    value: float | int | str
    unit: str
    paper: float | int | str | None
    source: str
    seed: int | None
    n: int | None


def published(name: str) -> list[Row]:
    """The numbers that were published with a lesson: its shipped results.json."""
    path = shipped_in(name) / "results.json"
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))["rows"]]


@dataclass(frozen=True)
class Run:
    """One trained model with its log: `history` has a dictionary per window of updates."""

    experiment: Experiment
    model: Any
    history: list[dict[str, Any]]
    validation: float

    def sequences_until(self, bits: float) -> float:
        """Sequences seen when the mean training loss of a window first fell below `bits`; infinite if it never did."""
        return next((line["sequences"] for line in self.history if line["loss"] < bits), math.inf)


def shipped_in(name: str) -> Path:
    """The folder of a lesson's shipped checkpoints."""
    return find_lesson(name).parent / "checkpoints" / name


def shipped(name: str, experiments: Sequence[Experiment]) -> list[Run]:
    """Models as the lesson of this name ships them, for itself and for whoever shows more of them."""
    found = load_shipped(shipped_in(name), experiments)
    return [Run(experiment, model, log, note["validation"]) for experiment, (model, log, note) in zip(experiments, found, strict=True)]


class Lesson:
    """Options in, figures and `results.json` out."""

    def __init__(self, name: str, *, offers_paper_size: bool = False) -> None:
        self.name = name
        self.options = _options.get() or _options_of_script()
        if self.options.size == "paper" and not offers_paper_size:
            raise UsageError(f"--size paper: the lesson {name} has one size only; leave --size out")
        self.folder = self.options.out / name
        self.rows: list[Row] = []
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / ".writable").touch()
            (self.folder / ".writable").unlink()
        except OSError as error:
            raise UsageError(
                f"--out {self.options.out}: cannot write there ({error.strerror}); choose a folder you may write to, "
                "as in --out ~/tinymem-out"
            ) from None

    @property
    def train(self) -> bool:
        return self.options.train

    @property
    def quick(self) -> bool:
        return self.options.quick

    def runs(self, experiments: Sequence[Experiment]) -> list[Run]:
        """The trained models: shipped ones, or trained here now with --train or --quick (resumed if begun before)."""
        if self.train or self.quick:
            folders = sweep(experiments, self.folder / "runs", backend=self.options.backend, eager=self.options.eager)
            found = []
            for experiment, folder in zip(experiments, folders, strict=True):
                model, _, note = load_trained(folder / BEST)
                found.append(Run(experiment, model, read_log(folder), note["validation"]))
            return found
        return shipped(self.name, experiments)

    def show(self, figure: Figure, name: str) -> None:
        """Write a figure as PNG and SVG into the lesson's folder and say where; a notebook shows it too."""
        from tinymem.figures.style import save

        png, _ = save(figure, self.folder, name)
        print(f"figure: {png}")
        ipython = sys.modules.get("IPython")  # there only if we run in it
        if ipython is not None and ipython.get_ipython() is not None:
            ipython.display.display(ipython.display.Image(filename=str(png)))

    def row(
        self,
        name: str,
        value: float | int | str,
        unit: str,
        paper: float | int | str | None = None,
        source: str = "",
        seed: int | None = None,
        n: int | None = None,
    ) -> None:
        """Add one number to the table: what, ours, unit, the paper's, where the paper says so, our seed, how many it is a mean of."""
        if isinstance(value, float) and not math.isfinite(value):
            value = "not reached"
        self.rows.append(Row(name, value, unit, paper, source, seed, n))

    def finish(self) -> None:
        """Write results.json and print the same table."""
        results = {"lesson": self.name, "version": __version__, "rows": [vars(row) for row in self.rows]}
        path = self.folder / "results.json"
        write_atomically(path, json.dumps(results, indent=1, ensure_ascii=False).encode())
        print()
        print(table([("", "here", "paper", "unit", "seed", "source")] + [_cells(row) for row in self.rows]))
        print(f"\nresults: {path}")


def _cells(row: Row) -> tuple[str, ...]:
    def text(value: Any) -> str:
        return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)

    return row.name, text(row.value), text(row.paper), row.unit, text(row.seed), row.source


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text in aligned columns; the first row is the head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("─" * width for width in widths), *lines[1:]])


def _options_of_script() -> Options:
    """Options when no command set them: those of `python lessons/NN_name.py …`; the defaults in a notebook."""
    if Path(sys.argv[0]).resolve() in {path.resolve() for path in lesson_files().values()}:
        import tyro

        options = tyro.cli(Options, config=(tyro.conf.FlagCreatePairsOff,))
        _for_the_whole_script.enter_context(use(options.backend))
        return options
    return Options()


def cells(script: str) -> list[tuple[str, int, str]]:
    """A percent script as (kind, number of its first line, text) for each cell: kind is "markdown" or "code"."""
    found: list[tuple[str, int, list[str]]] = []
    for number, line in enumerate(script.splitlines()):
        if line.startswith("# %%"):
            found.append(("markdown" if "[markdown]" in line else "code", number + 1, []))
        elif found:
            found[-1][2].append(line)
    return [(kind, start, "\n".join(lines)) for kind, start, lines in found]


def run_lesson(name: str, options: Options) -> None:
    """Run one lesson from top to bottom, cell by cell, under the headings of its text."""
    path = find_lesson(name)
    names: dict[str, Any] = {"__name__": "tinymem_lesson", "__file__": str(path)}
    with use(options.backend):
        token = _options.set(options)
        try:
            for kind, start, text in cells(path.read_text(encoding="utf-8")):
                if kind == "markdown":
                    for line in text.splitlines():
                        if line.startswith(("# # ", "# ## ", "# ### ")):
                            print(f"\n── {line.lstrip('# ')} ──", flush=True)
                else:
                    exec(compile("\n" * start + text, str(path), "exec"), names)  # the lesson is ours; lines keep their numbers
        finally:
            _options.reset(token)
