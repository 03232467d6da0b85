"""`tinymem predict`: which model is asked, what is printed, what is warned of, and one clear line for each thing that cannot be asked."""

import io
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import tinymem as tm
from tinymem import cli, predict
from tinymem.lesson import Run, UsageError, find_lesson
from tinymem.models.lstm import LSTMConfig
from tinymem.tasks.interpreter import ProgramError
from tinymem.tasks.programs import ALPHABET, VARIABLES, AdditionTask, ExecutionTask, draw_program
from tinymem.training import curricula
from tinymem.training.curricula import Curriculum
from tinymem.training.experiment import Experiment, run_experiment
from tinymem.training.loop import Schedule
from tinymem.training.optimisers import Adam
from tinymem.training.ship import ship
from tinymem.training.sweep import DESCRIPTION, dumps

LSTM = LSTMConfig(len(ALPHABET), len(ALPHABET), hidden=6, layers=1)
SHORT = Schedule(4, batch=4, log_every=2, validate_every=2, checkpoint_every=4, clip=5.0, clip_by="norm")


SUMS = "sums of two numbers of equal length, up to 2 digits"
PROGRAMS = "programs of up to 2 operations with numbers of up to 2 digits"


def experiment(task, strategy="combined", seed=0):
    return Experiment(f"{type(task).__name__[:-4].lower()}-{strategy}", LSTM, Curriculum(task, strategy), Adam(1e-2), SHORT, seed)


class Says:
    """A model that says the same whatever it read, a character a step once it has read `@`; each is four times as probable as any other."""

    config = SimpleNamespace(inputs=len(ALPHABET))
    out = SimpleNamespace(b=tm.Tensor([0.0]))

    def __init__(self, text):
        self.rows = np.log(1 + 3 * np.eye(len(ALPHABET))[ALPHABET.encode(text)])

    def initial_state(self, batch):
        return tm.Tensor([-1.0])

    def step(self, place, x):
        if place.item() >= 0 or x.data[0, ALPHABET.symbols.index("@")]:
            place = place + 1
        return place, tm.Tensor(self.rows[max(int(place.item()), 0)][None])


def reader(task, says="7.", strategy="combined", seed=0, validation=0.25):
    return Run(experiment(task, strategy, seed), Says(says), [], validation)


READERS = [reader(AdditionTask(3), "579."), reader(ExecutionTask(3, 2), "-12.")]


@pytest.fixture(scope="module")
def shipping(tmp_path_factory):
    """A project with shipped models that hardly learned anything: two seeds of one, two hardnesses of the other."""
    folder = tmp_path_factory.mktemp("shipping")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curricula, "CHECKED", 16)
        for one in (
            experiment(AdditionTask(2)),
            experiment(AdditionTask(2), seed=1),
            experiment(ExecutionTask(1, 1)),
            experiment(ExecutionTask(2, 2)),
        ):
            run_experiment(one, folder / "runs" / one.folder, progress=False, eager=True)
            (folder / "runs" / one.folder / DESCRIPTION).write_text(dumps(one))
    ship(folder / "runs", folder / "checkpoints" / predict.LESSON)
    return folder / "01_learning_to_execute.py"


@pytest.fixture
def tinymem(shipping, monkeypatch, capsys):
    """The command `tinymem predict` in that project: (exit code, output, errors)."""
    monkeypatch.setattr(predict, "find_lesson", lambda name: shipping)

    def command(*arguments):
        code = cli.main(["predict", *arguments])
        return code, *capsys.readouterr()

    return command


# --- the command ---


def test_a_sum_is_answered_digit_by_digit(tinymem):
    code, out, err = tinymem("print(12+34)")
    assert (code, err) == (0, "")
    assert re.search(r"^program:  print\(12\+34\)$", out, re.M)
    assert re.search(r"^read by:  addition-combined, seed [01]: an LSTM of 6 cells trained on "
                     rf"{SUMS}; \d+\.\d% of characters right in validation$", out, re.M)  # fmt: skip
    assert re.search(r"^Python:   46\.$", out, re.M)
    (written,) = re.findall(r"^LSTM:     (\S+)  wrong$", out, re.M)
    rows = re.findall(r"^(\d+) +(\S) +(\d+\.\d)% +(\S| )  (\d+\.\d)%", out, re.M)
    assert [row[0] for row in rows] == [str(place + 1) for place in range(len(written))]
    assert "".join(row[1] for row in rows) == written
    assert all(float(chosen) >= float(second) and one != other for _, one, chosen, other, second in rows)
    assert "beware" not in out


@pytest.mark.parametrize("typed", ["a=5\\nprint((a+3))", "a=5\nprint((a+3))", "a=5\r\nprint((a+3))\r\n", "\na=5\nprint((a+3))\n"])
def test_lines_are_parted_as_one_likes(tinymem, monkeypatch, typed):
    for argument in (typed, "-"):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        code, out, err = tinymem(argument)
        assert (code, err) == (0, "")
        assert out.startswith(
            "program:  a=5\n          print((a+3))\nread by:  execution-combined, seed 0: an LSTM of 6 cells trained on prog"
        )
        assert "Python:   8.\n" in out
        assert "beware" not in out


@pytest.mark.parametrize(
    ("program", "code", "message"),
    [
        ("", 2, 'the program is empty; give one as in tinymem predict "print(123+456)", or - to read it from the standard input'),
        (" \\n \n", 2, "the program is empty"),
        ("print(1+2", 1, "line 1: this is not Python ('(' was never closed); correct the spelling there"),
        ("a=1\\nb=2", 1, "line 2: nothing is printed; end the program with print(…)"),
        ("import os\nprint(1)", 1, "line 1: `import os` is not in the language"),
        ("print(A)", 1, "line 1, column 7: the character 'A' is not in the alphabet; allowed are '0123456789abc"),
        ("print(123+456)", 2, f"the program has 15 characters, its end mark included, and the model for {SUMS} was trained on at "
                              "most 13; write a shorter one"),
        ("print(1" + 49 * "+1" + ")", 2, f"the program has 107 characters, its end mark included, and the model for {PROGRAMS} was "
                                         f"trained on at most {ExecutionTask(2, 2).longest_text}; write a shorter one"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_one_clear_line(tinymem, program, code, message):
    found, out, err = tinymem(program)
    assert (found, out) == (code, "")
    assert err.startswith(f"tinymem: {message}")
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_a_program_of_exactly_the_longest_text_is_read(tinymem):
    longest = ExecutionTask(2, 2).longest_text
    program = "print(" + "1+" * ((longest - 9) // 2) + f"{'1' * (1 + (longest - 9) % 2)})"
    assert len(program) + 1 == longest
    assert tinymem(program)[0] == 0
    assert tinymem(program.replace("(", "(1", 1))[0] == 2


def test_an_empty_standard_input_is_an_empty_program(tinymem, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert tinymem("-")[0] == 2


def test_without_shipped_models_one_is_told_how_to_train_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(predict, "find_lesson", lambda name: tmp_path / "01.py")
    assert cli.main(["predict", "print(1+2)"]) == 1
    err = capsys.readouterr().err
    assert "no such checkpoint; train one first" in err
    assert err.count("\n") == 1


def test_a_program_error_shows_its_traceback_with_debug(tinymem):
    with pytest.raises(ProgramError):
        tinymem("print(", "--debug")


# --- which model ---


@pytest.mark.parametrize("program", ["print(1+2)", "print(123+456)", "print(999+999)"])
def test_a_sum_of_two_numbers_of_equal_length_goes_to_the_addition_model(program):
    assert predict.predict(program, READERS).reader.startswith("addition-combined, seed 0: an LSTM of 6 cells trained on sums")


@pytest.mark.parametrize(
    "program", ["print(1+23)", "print((1+2))", "print(1-2)", "print(1+2+3)", "a=1\nprint(a+1)", "print(0+0)", "print(-1+2)"]
)
def test_all_else_goes_to_the_program_model(program):
    assert predict.predict(program, READERS).reader.startswith("execution-combined, seed 0: an LSTM of 6 cells trained on programs")


@pytest.mark.parametrize(
    ("program", "hardness"),
    [
        ("print(5)", (1, 1)),
        ("print(0)", (1, 1)),
        ("print((10+1))", (1, 1)),
        ("print((11+1))", (2, 1)),
        ("print((1000*12))", (3, 1)),
        ("a=5\nprint((a+(3*4)))", (1, 2)),
        ("a=5\nfor x in range(5):a+=2\nprint((7 if a<8 else 9))", (2, 2)),  # of length 1 are four rounds at most
        ("a=5\nfor x in range(12):a+=2\nprint(a)", (3, 1)),
        ("print((1 if 2<3 else (4*(5+6))))", (1, 3)),
    ],
)
def test_how_hard_a_program_is(program, hardness):
    assert predict._hardness(program) == hardness


@pytest.mark.parametrize(
    ("program", "asked"),
    [
        ("print(5)", "1x1-combined, seed 0"),
        ("print((5+3))", "1x1-combined, seed 0"),
        ("print((50+3))", "2x1-combined, seed 2"),  # of two seeds the better one
        ("print((500+3))", "3x1-baseline, seed 0"),  # trained on just that
        ("a=5\nprint((a+(3*4)))", "3x2-combined, seed 0"),  # the baseline saw nothing so easy
        ("a=500\nprint((a+(3*4)))", "3x2-baseline, seed 0"),
        ("print((1 if 2<3 else (4*(5+6))))", "3x2-combined, seed 0"),  # harder than all: the hardest, beware
        ("a=1\nb=1\nc=1\nd=1\ne=1\nf=1\nb=10\nprint(10)", "2x1-combined, seed 2"),  # longer than any of the easiest
    ],
)
def test_the_model_for_the_least_hardness_that_covers_a_program_is_asked(program, asked):
    readers = [reader(AdditionTask(3), validation=0.0)]
    for length, nesting, strategy, seed, validation in (
        (3, 2, "baseline", 0, 0.1),
        (3, 2, "combined", 0, 0.4),
        (3, 1, "baseline", 0, 0.2),
        (3, 1, "combined", 0, 0.3),
        (2, 1, "combined", 1, 0.15),
        (2, 1, "combined", 2, 0.12),
        (1, 1, "combined", 0, 0.5),
    ):
        run = reader(ExecutionTask(length, nesting), strategy=strategy, seed=seed, validation=validation)
        readers.append(replace(run, experiment=replace(run.experiment, name=f"{length}x{nesting}-{strategy}")))
    assert predict.predict(program, readers).reader.startswith(
        f"{asked}: an LSTM of 6 cells trained on programs of up to {asked[2]} operation"
    )


def test_a_baseline_that_added_long_numbers_only_is_not_asked_about_short_ones():
    readers = [reader(AdditionTask(3), strategy="baseline", validation=0.01), reader(AdditionTask(3), strategy="mix", validation=0.2)]
    assert predict.predict("print(123+456)", readers).reader.startswith("addition-baseline")
    assert predict.predict("print(12+34)", readers).reader.startswith("addition-mix")
    assert predict.predict("print(1+3)", readers[:1]).reader.startswith("addition-baseline")  # the only one


def test_a_kind_of_program_that_no_model_reads_is_refused():
    with pytest.raises(
        UsageError, match="there is no model for programs here; ask for something else, or train one: tinymem lesson learning-to"
    ):
        predict.predict("print(5)", READERS[:1])
    with pytest.raises(UsageError, match="no model for sums of two numbers of equal length here"):
        predict.predict("print(5+6)", READERS[1:])


def test_the_shipped_models_are_all_found(shipping, monkeypatch):
    monkeypatch.setattr(predict, "find_lesson", lambda name: shipping)
    assert [run.experiment.seed for run in predict._shipped(AdditionTask)] == [0, 1]
    assert {run.experiment.task.task for run in predict._shipped(ExecutionTask)} == {ExecutionTask(1, 1), ExecutionTask(2, 2)}


# --- what is said of an answer ---


@pytest.mark.parametrize(
    ("says", "right", "told"),
    [
        ("579.", True, ["", "", "", ""]),
        ("589.", False, ["", "wrong: 7 is right", "", ""]),
        ("57.", False, ["", "", "wrong: 9 is right"]),
        ("5791.", False, ["", "", "", "wrong: . is right", "wrong: the answer is over"]),
    ],
)
def test_an_answer_is_right_if_every_character_is(says, right, told):
    said = predict.predict("print(123+456)", [reader(AdditionTask(3), says)])
    assert (said.source, said.answer, said.written.text, said.right) == ("print(123+456)", "579.", says, right)
    lines = str(said).splitlines()
    rows = lines[lines.index(next(line for line in lines if line.startswith("─"))) + 1 :][: len(says)]
    share = 100 * 4 / (len(ALPHABET) + 3)
    for place, (row, character, note) in enumerate(zip(rows, says, told, strict=True), 1):
        assert re.fullmatch(rf"{place} +{re.escape(character)} +{share:.1f}% +\S  {share / 4:.1f}% *{re.escape(note)}", row)
    assert f"LSTM:     {says}  {'right' if right else 'wrong'}" in lines
    assert "Python:   579." in lines


@pytest.mark.parametrize(
    ("program", "warnings"),
    [
        ("a=12\nprint((a+3))", []),
        ("a=(5*3)\nprint((a-1000))", ["operations: 2, trained on at most 1"]),
        ("print((1001+3))", ["numbers up to 1001, trained on at most 1000"]),
        ("for x in range(13):a=x\nprint(a)", ["rounds of a loop: 13, trained on at most 12", "no program of the training"]),
        ("a=5\nfor x in range(13):a+=2\nprint(a)", ["rounds of a loop: 13, trained on at most 12"]),
        ("print(12+345)", ["spelled otherwise, like print((12+345))"]),
        ("a=1;print(a)", ["spelled otherwise, like a=1\\nprint(a)"]),
        ("a=5\nfor x in range(3):\n  a+=2\nprint(a)", ["spelled otherwise, like a=5\\nfor x in range(3):a+=2\\nprint(a)"]),
        ("print(3 if 1<2 else 4)", ["spelled otherwise, like print((3 if 1<2 else 4))"]),
        ("print((3 if 1<=2 else 4))", ["no program of the training"]),
        ("print((3 if 1<2<3 else 4))", ["no program of the training"]),
        ("print(-4)", ["no program of the training"]),
        ("z=1\nprint(z)", ["no program of the training"]),
        ("a=1\na+=1\nprint(a)", ["no program of the training"]),
        ("a=1\nfor x in range(2):a*=1\nprint(a)", ["no program of the training"]),
        ("a=2\nfor x in range(a):a+=1\nprint(a)", ["no program of the training"]),
    ],
)
def test_what_is_unlike_the_training_is_said(program, warnings):
    said = predict.predict(program, [reader(ExecutionTask(3, 1))])
    assert len(said.warnings) == len(warnings)
    for warning, expected in zip(said.warnings, warnings, strict=True):
        assert expected in warning
        assert f"beware:   {warning}" in str(said).splitlines()


@pytest.mark.parametrize(("length", "nesting"), [(1, 1), (2, 2), (3, 2), (2, 4)])
def test_no_program_of_the_training_is_warned_of(length, nesting):
    rng = np.random.default_rng(0)
    for _ in range(300):
        source = draw_program(rng, lambda: (length, nesting)).source
        assert predict._unlike_the_training(source, ExecutionTask(length, nesting)) == []
    assert set(VARIABLES) < set(ALPHABET.symbols)


# --- the models that the project ships ---

SHIPPED = sorted((find_lesson(predict.LESSON).parent / "checkpoints" / predict.LESSON).glob("*.safetensors"))
with_shipped = pytest.mark.skipif(not SHIPPED, reason="the models of Learning to Execute are not shipped yet")


@with_shipped
def test_the_shipped_addition_model_adds(capsys):
    right = 0
    for program in ("print(123+456)", "print(700+205)", "print(12+34)", "print(482+351)", "print(61+27)", "print(318+240)"):
        assert cli.main(["predict", program]) == 0
        out = capsys.readouterr().out
        assert "trained on sums of two numbers of equal length, up to 3 digits" in out
        right += "  right\n" in out
    assert right >= 2


@with_shipped
def test_the_shipped_program_model_reads_programs(capsys):
    assert cli.main(["predict", "a=5\\nprint((a+3))"]) == 0
    out = capsys.readouterr().out
    assert "trained on programs of up to 1 operation with numbers of up to 1 digit;" in out
    assert "Python:   8." in out
