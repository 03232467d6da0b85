"""Learning to Execute: Python itself says what the generated programs print."""

import ast
import contextlib
import io
import re
from collections import Counter
from itertools import cycle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymem.tasks import programs
from tinymem.tasks.characters import CharacterError
from tinymem.tasks.interpreter import run_program
from tinymem.tasks.programs import (
    ALPHABET,
    SPLITS,
    AdditionTask,
    ExecutionTask,
    MemorisationTask,
    draw_program,
    scrambled,
    split_of,
)

seeds = st.integers(0, 2**32 - 1)
SLIDE = [
    ("j=8584\nfor x in range(8):\n    j+=920\nb=(1500+j)\nprint((b+7567))", 25011),
    ("i=8827\nc=(i-5347)\nprint((c+8704) if 2641<8500 else 5308)", 12184),
]


def printed(source):
    """What Python prints, without any help from the library."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(source, {})
    return out.getvalue()


def operation(source):
    """Which operation a program of nesting 1 holds."""
    if "for" in source:
        return "small loop"
    if "if" in source:
        return "conditional"
    if "=" in source:
        return "assignment"
    if "*" in source:
        return "small multiplication"
    return "pair" if re.search("[+-]", source) else "equality"


def draws(count, hardness, seed=0):
    rng = np.random.default_rng(seed)
    return [draw_program(rng, hardness) for _ in range(count)]


# --- drawing programs ---


@given(length=st.integers(1, 4), nesting=st.integers(1, 4), seed=seeds)
def test_python_prints_the_value_of_every_program(length, nesting, seed):
    for program in draws(20, lambda: (length, nesting), seed):
        assert printed(program.source) == f"{program.value}\n"
        assert run_program(program.source) == program.value
        assert program.answer == f"{program.value}."
        assert program.text == program.source.replace("\n", "#") + "@"
        assert ALPHABET.decode(ALPHABET.encode(program.text + program.answer)) == program.text + program.answer


def test_the_largest_programs_print_their_values():
    for program in draws(50, lambda: (15, 10)):
        assert printed(program.source) == f"{program.value}\n"


@given(seed=seeds)
def test_hardness_is_asked_once_for_the_nesting_and_once_for_every_integer(seed):
    calls = []
    lengths = cycle([1, 4, 2, 3])

    def hardness():
        calls.append((next(lengths), 3))
        return calls[-1]

    program = draw_program(np.random.default_rng(seed), hardness)
    constants = [node for node in ast.walk(ast.parse(program.source)) if isinstance(node, ast.Constant)]
    assert len(calls) == 1 + len(constants)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_integers_are_uniform_up_to_ten_to_the_length_and_small_ones_up_to_four_times_it(length):
    sources = [program.source for program in draws(3000, lambda: (length, 1))]
    integers = [int(number) for source in sources if operation(source) == "pair" for number in re.findall(r"\d+", source)]
    assert min(integers) >= 1
    assert max(integers) <= 10**length
    if length == 1:
        assert set(integers) == set(range(1, 11))
    assert abs(np.mean(integers) / ((10**length + 1) / 2) - 1) < 0.1
    rounds = {int(number) for source in sources for number in re.findall(r"range\((\d+)\)", source)}
    assert rounds == set(range(1, 4 * length + 1))
    products = [sorted(map(int, re.findall(r"\d+", source))) for source in sources if operation(source) == "small multiplication"]
    assert max(small for small, _ in products) <= 4 * length
    assert {small for small, _ in products} >= set(range(1, 4 * length))
    assert max(large for _, large in products) <= max(10**length, 4 * length)


def test_a_program_mixes_the_lengths_that_hardness_gives_in_any_order():
    rng = np.random.default_rng(0)
    shorter_first = Counter()
    for _ in range(600):
        lengths = cycle([1, 1, 6])  # the first goes with the nesting, the other two with the integers of a pair
        program = draw_program(rng, lambda lengths=lengths: (next(lengths), 1))
        if operation(program.source) == "pair":
            a, b = map(int, re.findall(r"\d+", program.source))
            assert min(a, b) <= 10
            assert max(a, b) <= 10**6
            shorter_first[a < b] += 1
    assert shorter_first.total() > 50
    assert min(shorter_first.values()) > 0.3 * shorter_first.total()


def test_the_six_operations_are_equally_frequent_and_so_are_their_two_forms():
    sources = [program.source for program in draws(6000, lambda: (2, 1))]
    counts = Counter(map(operation, sources))
    assert set(counts) == {"pair", "small multiplication", "equality", "assignment", "small loop", "conditional"}
    assert all(850 < count < 1150 for count in counts.values()), counts  # 1000 expected, standard deviation 29
    forms = {
        "pair": ("+", "-"),
        "assignment": ("+", "-"),
        "small loop": ("+=", "-="),
        "conditional": ("<", ">"),
    }
    for name, (one, other) in forms.items():
        shown = [source for source in sources if operation(source) == name]
        assert sum(one in source for source in shown) + sum(other in source for source in shown) == len(shown)
        assert 0.4 < np.mean([one in source for source in shown]) < 0.6


def test_the_factor_stands_on_either_side():
    sources = [program.source for program in draws(3000, lambda: (4, 1)) if "*" in program.source]
    left = np.mean([int(a) < int(b) for a, b in (re.findall(r"\d+", source) for source in sources)])
    assert 0.4 < left < 0.6


def test_variables_are_drawn_from_a_to_j_and_never_twice():
    seen = Counter()
    for program in draws(1000, lambda: (1, 6)):
        names = re.findall(r"^(\w)=", program.source, re.MULTILINE)
        assert len(set(names)) == len(names)
        seen.update(names)
    assert set(seen) == set("abcdefghij")
    assert max(seen.values()) < 1.3 * min(seen.values())


@pytest.mark.parametrize("nesting", [1, 2, 3, 4])
def test_nesting_counts_the_operations(nesting):
    visible = []
    for program in draws(800, lambda: (2, nesting)):
        nodes = list(ast.walk(ast.parse(program.source)))
        visible.append(sum(isinstance(node, ast.BinOp | ast.AugAssign | ast.IfExp) for node in nodes))  # all but equality, once each
    assert max(visible) == nesting
    assert abs(np.mean(visible) - 5 / 6 * nesting) < 0.1


def test_an_operation_takes_up_the_expression_before_it_at_any_place():
    """A conditional has what was written before it at all four places."""
    places = Counter()
    for program in draws(4000, lambda: (1, 2)):
        match ast.parse(program.source).body[-1]:
            case ast.Expr(ast.Call(_, [ast.IfExp(ast.Compare(a, _, [b]), c, d)])):
                places[tuple(not isinstance(part, ast.Constant) for part in (a, b, c, d))] += 1
    places.pop((False,) * 4)  # an equality before or after it
    assert set(places) == {tuple(place == other for other in range(4)) for place in range(4)}
    assert max(places.values()) < 1.5 * min(places.values())


def test_programs_are_seeded():
    assert draws(5, lambda: (3, 3), seed=4) == draws(5, lambda: (3, 3), seed=4) != draws(5, lambda: (3, 3), seed=5)


@pytest.mark.parametrize(
    ("hardness", "message"), [((0, 1), "1 to 15 digits"), ((16, 1), "1 to 15"), ((1, 0), "nesting"), ((1, 11), "nesting")]
)
def test_impossible_hardness_is_refused(hardness, message):
    with pytest.raises(ValueError, match=message):
        draw_program(np.random.default_rng(0), lambda: hardness)


# --- splits ---


def test_the_split_of_a_text_never_changes():
    assert [split_of(text) for text in ("print(1+2)@", "12345", "7")] == ["train"] * 3
    assert split_of("print(12+34)@") == "validation"
    assert split_of("0") == "test"


@pytest.mark.parametrize("task", [AdditionTask(), ExecutionTask(), MemorisationTask(), MemorisationTask(shortest=1)])
@pytest.mark.parametrize("level", ["easiest", "hardest"])
def test_every_split_is_inhabited_and_shares_nothing_with_the_others(task, level):
    rng = np.random.default_rng(0)
    texts = {split: {task.example(rng, lambda: getattr(task, level), split).text for _ in range(60)} for split in SPLITS}
    assert all(texts.values())
    assert not texts["train"] & texts["validation"] | texts["train"] & texts["test"] | texts["validation"] & texts["test"]


def test_the_splits_are_about_as_large():
    sums = Counter(split_of(f"print({a}+{b})@") for a in range(1, 100) for b in range(1, 100))
    assert set(sums) == set(SPLITS)
    assert max(sums.values()) < 1.1 * min(sums.values())
    digits = Counter(split_of(f"{number:05}") for number in range(10**4))
    assert max(digits.values()) < 1.1 * min(digits.values())
    easiest = Counter(split_of(f"print({a}+{b})@") for a in range(1, 10) for b in range(1, 10))
    assert min(easiest[split] for split in SPLITS) > 15


def test_a_split_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="one of train, validation, test"):
        AdditionTask().example(np.random.default_rng(0), lambda: (1, 1), "exam")


def test_an_empty_split_ends_in_an_error(monkeypatch):
    monkeypatch.setattr(programs, "split_of", lambda text: "train")
    with pytest.raises(ValueError, match="none of 1000 examples of this hardness is in the split 'test'"):
        AdditionTask().example(np.random.default_rng(0), lambda: (1, 1), "test")


# --- the three tasks ---


@given(length=st.integers(1, 6), split=st.sampled_from(SPLITS), seed=seeds)
def test_addition_has_two_numbers_of_exactly_the_length(length, split, seed):
    calls = []

    def hardness():
        calls.append(length)
        return length, 1

    example = AdditionTask(digits=6).example(np.random.default_rng(seed), hardness, split)
    a, b = re.fullmatch(r"print\(([1-9]\d*)\+([1-9]\d*)\)@", example.text).groups()
    assert len(a) == len(b) == length
    assert example.answer == f"{int(a) + int(b)}."
    assert split_of(example.text) == split
    assert calls


def test_addition_asks_hardness_once_for_both_numbers():
    lengths = cycle([1, 5])
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = re.findall(r"\d+", AdditionTask(5).example(rng, lambda: (next(lengths), 1), "train").text)
        assert len(a) == len(b)


def test_addition_reaches_every_digit():
    rng = np.random.default_rng(0)
    texts = [AdditionTask(1).example(rng, lambda: (1, 1), split).text for split in SPLITS for _ in range(400)]
    assert set(texts) == {f"print({a}+{b})@" for a in range(1, 10) for b in range(1, 10)}


@given(split=st.sampled_from(SPLITS), seed=seeds)
def test_execution_is_a_program_and_what_it_prints(split, seed):
    task = ExecutionTask()
    example = task.example(np.random.default_rng(seed), lambda: task.hardest, split)
    assert split_of(example.text) == split
    assert example.answer == printed(example.text[:-1].replace("#", "\n"))[:-1] + "."


@given(length=st.integers(1, 20), inverted=st.booleans(), doubled=st.booleans(), split=st.sampled_from(SPLITS), seed=seeds)
def test_memorisation_asks_for_the_digits_in_the_order_of_their_first_form(length, inverted, doubled, split, seed):
    task = MemorisationTask(inverted=inverted, doubled=doubled)
    example = task.example(np.random.default_rng(seed), lambda: (length, 1), split)
    digits = example.answer[:-1]
    assert example.answer == digits + "."
    assert re.fullmatch(rf"\d{{{length}}}", digits)
    assert split_of(digits) == split  # of all four forms
    once = "".join(reversed(digits)) if inverted else digits
    assert example.text == (once + ";" + once + "@" if doubled else once + "@")


def test_memorisation_uses_all_digits_everywhere():
    rng = np.random.default_rng(0)
    answers = [MemorisationTask().example(rng, lambda: (5, 1), "train").answer for _ in range(500)]
    assert all({answer[place] for answer in answers} == set("0123456789") for place in range(5))


def test_where_a_curriculum_begins_and_ends():
    assert (AdditionTask(4).easiest, AdditionTask(4).hardest) == ((1, 1), (4, 1))
    assert (ExecutionTask(4, 3).easiest, ExecutionTask(4, 3).hardest) == ((1, 1), (4, 3))
    assert (MemorisationTask(6, 30).easiest, MemorisationTask(6, 30).hardest) == ((6, 1), (30, 1))
    assert {task.alphabet for task in (AdditionTask(), ExecutionTask(), MemorisationTask())} == {ALPHABET}


@pytest.mark.parametrize("digits", [0, 16, 2.0, True])
def test_impossible_additions_are_refused(digits):
    with pytest.raises(ValueError, match="addition needs"):
        AdditionTask(digits)


@pytest.mark.parametrize("sizes", [(0, 1), (16, 1), (1, 0), (1, 11), (True, 1), (1, 2.0)])
def test_impossible_executions_are_refused(sizes):
    with pytest.raises(ValueError, match="execution needs"):
        ExecutionTask(*sizes)


@pytest.mark.parametrize("sizes", [(0, 5), (6, 5), (True, 5), (1, 5.0)])
def test_impossible_memorisations_are_refused(sizes):
    with pytest.raises(ValueError, match="shortest <= longest"):
        MemorisationTask(*sizes)


def test_impossible_forms_of_memorisation_are_refused():
    for form in ({"inverted": 1}, {"doubled": "yes"}):
        with pytest.raises(ValueError, match="True or False"):
            MemorisationTask(**form)
    with pytest.raises(ValueError, match="at least one digit"):
        MemorisationTask().example(np.random.default_rng(0), lambda: (0, 1), "train")


# --- what a network sees ---


@given(seed=seeds)
def test_a_scrambled_program_keeps_its_lines_and_nothing_else(seed):
    rng = np.random.default_rng(seed)
    text = draw_program(rng, lambda: (4, 4)).text
    code = scrambled(text, rng)
    assert [len(line) for line in code.split("\n")] == [len(line) for line in text.split("#")]
    pairs = {(one, other) for one, other in zip(text, code, strict=True) if one != "#"}
    assert len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})  # one to one
    assert all(one != other and not other.isspace() for one, other in pairs)
    assert set(code) <= set(ALPHABET.symbols) - {" "} | {"\n"}


def test_scrambling_is_seeded_and_differs_between_seeds():
    one, again, other = (scrambled(SLIDE[1][0], np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert one == again != other
    assert one == scrambled(SLIDE[1][0].replace("\n", "#"), np.random.default_rng(0))


def test_what_is_not_in_the_alphabet_cannot_be_scrambled():
    with pytest.raises(CharacterError, match="line 2, column 2: the character 'B'"):
        scrambled("a\nbB", np.random.default_rng(0))


@pytest.mark.parametrize(
    "task",
    [
        AdditionTask(3),
        *[ExecutionTask(length, nesting) for length in (1, 2, 3) for nesting in (1, 2, 4)],
        MemorisationTask(5, 9),
        MemorisationTask(5, 9, doubled=True),
    ],
)
def test_no_text_is_longer_than_its_task_says(task):
    rng = np.random.default_rng(0)
    lengths = [len(task.example(rng, lambda: task.hardest, "train").text) for _ in range(3000)]
    assert max(lengths) <= task.longest_text
    assert max(lengths) >= 0.7 * task.longest_text
