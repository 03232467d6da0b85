"""The command `tinymem`.

Exit codes: 0 done, 1 failed, 2 asked for something that does not exist, 130 stopped with Ctrl-C (the state was saved).
No traceback reaches a user without --debug.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tinymem.lesson import Options, UsageError, lesson_files, lesson_title, run_lesson, table
from tinymem.training.loop import Stopped
from tinymem.version import __version__


def lesson(
    name: Annotated[str, tyro.conf.Positional],
    train: bool = False,
    quick: bool = False,
    size: Literal["lesson", "paper"] = "lesson",
    backend: Literal["numpy", "cupy"] = "numpy",
    eager: bool = False,
    out: Path = Path("tinymem-out"),
    debug: bool = False,
) -> None:
    """Run a lesson, or list them all: tinymem lesson list, tinymem lesson ntm-copy.

    Args:
        name: the lesson, or 'list'
        train: train every model of the lesson from its seed (up to about an hour on two cores; stop with Ctrl-C, the same command goes on)
        quick: a small real training run of under two minutes
        size: the size that trains here, or the paper's full size, where a lesson offers it
        backend: numpy or cupy
        eager: train operation by operation instead of by compiled steps
        out: folder for figures, results.json and runs
        debug: show the traceback of an error
    """
    if name == "list":
        from tinymem.contents import rows

        print(table([("lesson", "about")] + [(name, lesson_title(path)) for name, path in lesson_files().items()]))
        print("\n" + table([("what was reached", "here (each seed)", "paper", "lesson"), *rows()]))
        return
    run_lesson(name, Options(train=train, quick=quick, size=size, backend=backend, eager=eager, out=out))


def predict(program: Annotated[str, tyro.conf.Positional], debug: bool = False) -> None:
    r"""Ask a trained LSTM what a program prints: tinymem predict "print(123+456)".

    Args:
        program: the program, its lines parted by \n or by line breaks; - reads it from the standard input
        debug: show the traceback of an error
    """
    from tinymem import predict

    print(predict.predict(sys.stdin.read() if program == "-" else program))


def translate(
    sentence: Annotated[str, tyro.conf.Positional],
    model: Literal["recurrent", "transformer"] = "recurrent",
    beam: int = 1,
    picture: Path | None = None,
    heads: Path | None = None,
    debug: bool = False,
) -> None:
    """Translate an English sentence of an office program into French: tinymem translate "do you want to save the changes now ?".

    Args:
        sentence: the sentence; - reads it from the standard input
        model: the recurrent translator with attention, or the Transformer
        beam: sentences that are kept side by side while searching; 1 takes the most probable word each time
        picture: also save the matrix of attention as a picture, as in --picture matrix.png (a .svg is written beside it)
        heads: with --model transformer, save what every head looks at, as in --heads heads.png (a .svg is written beside it)
        debug: show the traceback of an error
    """
    from tinymem.figures.style import save
    from tinymem.translate import translate

    for option, path in (("--picture", picture), ("--heads", heads)):
        if path is not None and path.suffix != ".png":
            raise UsageError(f"{option} {path}: give a file that ends in .png; a .svg is written beside it")
    if heads is not None and model != "transformer":
        raise UsageError(f"--heads {heads}: the recurrent translator has no heads; ask the other one: --model transformer")
    translated = translate(sys.stdin.read() if sentence == "-" else sentence, width=beam, kind=model)
    print(translated)
    if picture is not None:
        path, _ = save(translated.figure, picture.parent, picture.stem)
        print(f"\npicture: {path}")
    if heads is not None:
        path, _ = save(translated.heads_figure, heads.parent, heads.stem)
        print(f"\nheads: {path}")


def doctor(debug: bool = False) -> None:
    """Say what this machine can do: Python, NumPy and its BLAS, threads, CuPy and why it is or is not usable."""
    from tinymem.doctor import report

    print(report())


def hw(debug: bool = False) -> None:
    """Homework: write the equations yourself, and be told the smallest input that proves you wrong; tinymem hw --help says more.

    Args:
        debug: show the traceback of an error
    """
    # only the line in `tinymem --help`: main hands what follows `hw` to the commands of the homework kit


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--version"]:
        print(f"tinymem {__version__}")
        return 0
    debug = "--debug" in given
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console that lacks γ or ── shows ? instead of failing
    try:
        if given[:1] == ["hw"]:
            from tinymem.homework.commands import main as homework

            return homework(given[1:])
        tyro.extras.subcommand_cli_from_dict(
            {"lesson": lesson, "predict": predict, "translate": translate, "hw": hw, "doctor": doctor},
            prog="tinymem",
            description="A lecture on memory and attention that runs.",
            args=given,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
    except UsageError as error:
        return _complain(error, 2, debug)
    except (Stopped, KeyboardInterrupt) as error:
        return _complain(error if str(error) else Stopped("stopped"), 130, debug)
    except BrokenPipeError:
        return 1
    except Exception as error:
        return _complain(error, 1, debug)
    return 0


def _complain(error: BaseException, code: int, debug: bool) -> int:
    if debug:
        raise error
    expected = type(error).__module__.partition(".")[0] == "tinymem" or isinstance(error, OSError)
    prefix = "" if expected else f"{type(error).__name__}: "
    hint = "" if expected else " (run again with --debug for the traceback)"
    print(f"tinymem: {prefix}{error}{hint}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
