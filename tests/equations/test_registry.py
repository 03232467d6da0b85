"""The walk: whatever is registered as an equation of the lecture is found and proven here, without being listed by hand.

A new equation brings its declaration, a transcription in `transcriptions.py`, and its row in LECTURE below.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
from importlib import import_module
from pathlib import Path

import numpy
import pytest
import transcriptions
from hypothesis import assume, given
from hypothesis import strategies as st

import tinymem as tm
import tinymem.equations
from tinymem.equations.contracts import ContractError, Domain, parse_domain
from tinymem.equations.registry import MODULES, Equation, equation, equations
from tinymem.testing import strict
from tinymem.testing.check import check_grad
from tinymem.testing.strategies import in_domain, inputs_of, shapes_that_do_not_fit

LESSONS = Path(__file__).parents[2] / "lessons"
NAMES = list(equations())
every_equation = pytest.mark.parametrize("name", NAMES)
# The positional encoding is a table of constants: there is no operand to differentiate, to narrow, or to give a wrong shape.
every_equation_with_operands = pytest.mark.parametrize("name", [name for name in NAMES if equations()[name].domains])

# What the lecture's table asks for: arguments in this order, with these axes.
LECTURE = {
    "recurrent": {
        "rnn_step": {"x": "B X", "h": "B H", "W": "H X", "U": "H H", "b": "H"},
        "lstm_step": {"x": "B X", "h": "B H", "c": "B H", "W": "4*H X", "U": "4*H H", "b": "4*H"},
        "gru_step": {"x": "B X", "h": "B H", "W": "3*H X", "U": "3*H H", "b": "3*H"},
    },
    "stack": {
        "controller_hidden": {"x": "B X", "h": "B H", "tops": "B S", "U": "H X", "R": "H H", "P": "H S"},
        "stack_actions": {"h": "B H", "A": "K C H"},
        "push_value": {"h": "B H", "D": "K H"},
        "stack_update": {"stack": "B K D", "action": "B K 3", "pushed": "B K"},
        "list_update": {"cells": "B K D", "action": "B K 3", "inserted": "B K"},
        "discretize": {"action": "B K C"},
    },
    "ntm": {
        "read": {"memory": "B N M", "weighting": "B N"},
        "erase": {"memory": "B N M", "weighting": "B N", "erase_vector": "B M"},
        "add": {"memory": "B N M", "weighting": "B N", "add_vector": "B M"},
        "cosine_similarity": {"memory": "B N M", "key": "B M"},
        "content_weighting": {"memory": "B N M", "key": "B M", "strength": "B 1"},
        "interpolate": {"content": "B N", "previous": "B N", "gate": "B 1"},
        "shift": {"weighting": "B N", "shift_weighting": "B 2*R+1"},
        "sharpen": {"weighting": "B N", "sharpening": "B 1"},
        "address": {
            "memory": "B N M",
            "previous": "B N",
            "key": "B M",
            "strength": "B 1",
            "gate": "B 1",
            "shift_weighting": "B 2*R+1",
            "sharpening": "B 1",
        },
    },
    "dnc": {
        "retention": {"free_gates": "B R", "read_weightings": "B R N"},
        "usage": {"previous": "B N", "weighting": "B N", "retained": "B N"},
        "allocation": {"used": "B N"},
        "write_weighting": {"content": "B N", "allocated": "B N", "allocation_gate": "B 1", "write_gate": "B 1"},
        "precedence": {"previous": "B N", "weighting": "B N"},
        "link": {"previous": "B N N", "weighting": "B N", "preceding": "B N"},
        "forward_weighting": {"linked": "B N N", "weighting": "B N"},
        "backward_weighting": {"linked": "B N N", "weighting": "B N"},
        "read_weighting": {"backward": "B N", "content": "B N", "forward": "B N", "modes": "B 3"},
    },
    "attention": {
        "additive_score": {"query": "B H", "features": "B L F", "W1": "A H", "W2": "A F", "w3": "A"},
        "dot_score": {"query": "B F", "features": "B L F"},
        "scaled_dot_score": {"query": "B F", "features": "B L F"},
        "general_score": {"query": "B H", "features": "B L F", "W": "H F"},
        "location_score": {"query": "B H", "W": "L H"},
        "attention_weights": {"scores": "B L"},
        "soft_context": {"weights": "B L", "features": "B L F"},
        "predicted_position": {"query": "B H", "W": "P H", "v": "P", "lengths": "B 1"},
        "location_window": {"weights": "B L", "position": "B 1"},
        "chosen_place": {"weights": "B L", "point": "B 1"},
        "hard_sample": {"weights": "B L"},
        "reinforce_surrogate": {"log_prob": "B", "reward": "B", "baseline": "B"},
        "entropy": {"weights": "B L"},
        "doubly_stochastic_penalty": {"weights": "T B L"},
    },
    "transformer": {
        "positional_encoding": {},
        "scaled_dot_weights": {"Q": "B T D", "K": "B L D"},
        "scaled_dot_product": {"Q": "B T D", "K": "B L D", "V": "B L E"},
        "multi_head": {
            "Q": "B T D",
            "K": "B L D",
            "V": "B L D",
            "W_Q": "H A D",
            "W_K": "H A D",
            "W_V": "H E D",
            "W_O": "O H * E",
        },
        "feed_forward": {"x": "B T D", "W1": "F D", "b1": "F", "W2": "O F", "b2": "O"},
        "layer_norm": {"x": "B T D", "gain": "D", "bias": "D"},
        "residual": {"x": "B T D", "change": "B T D"},
    },
}
PIECEWISE_CONSTANT = {"discretize", "chosen_place", "hard_sample", "positional_encoding"}  # the gradient is 0 where there is one: no record
HELD_CONSTANT = {"reinforce_surrogate": {"reward", "baseline"}}  # operands that must get no gradient, by what the equation means
KINKS = {"feed_forward": lambda x, W1, b1, **_: x @ W1.T + b1}  # where one of these is 0 there is no derivative to compare with
PLANNED_LESSONS = set()  # not written yet; a name leaves this list when its lesson comes
REQUIRED = [(module, name) for module, functions in LECTURE.items() for name in functions]


def call(name, inputs, convert=lambda array: array):
    """The results of an equation, always as a tuple, for inputs by name that `convert` makes into operands."""
    entry = equations()[name]
    function = getattr(import_module(entry.function.__module__), name)
    result = function(*(convert(array) for array in inputs.values()), **static_of(entry))
    return result if isinstance(result, tuple) else (result,)


def static_of(entry):
    """The examples of arguments that are no operands; a generator is made anew from its seed, so that every call draws the same."""
    return {name: numpy.random.default_rng(example) if name == "rng" else example for name, example in entry.static.items()}


def backward_if_tracked(name, result, cotangent):
    """Differentiate a result; that of a piecewise constant equation must be one that says it has no gradient."""
    if name in PIECEWISE_CONSTANT:
        assert not result.requires_grad
    else:
        result.backward(cotangent)


def gradients_of(name, tracked):
    """What `backward` left, by operand; one that the equation holds constant must have got nothing."""
    constant = HELD_CONSTANT.get(name, set())
    assert all(tracked[operand].grad is None for operand in constant), f"{name} hands a gradient on to what it should hold constant"
    return {} if name in PIECEWISE_CONSTANT else {operand: tensor.grad for operand, tensor in tracked.items() if operand not in constant}


# -- nothing is missing --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("module", "name"), REQUIRED)
def test_the_lecture_is_complete(module, name):
    entry = equations().get(name)
    assert entry is not None, f"the lecture's equation {module}.{name} is not registered"
    assert entry.module == module
    declared = {argument: " ".join(domain.lengths).replace("batch", "B").replace(" + ", "+") for argument, domain in entry.domains.items()}
    assert declared == LECTURE[module][name]
    assert list(declared) == list(LECTURE[module][name]), "the arguments are in another order than in the lecture's table"


def test_every_module_of_equations_is_walked():
    files = {module.name for module in pkgutil.iter_modules(tinymem.equations.__path__)} - {"contracts", "registry"}
    assert set(MODULES) == files


@pytest.mark.parametrize("module", MODULES)
def test_every_public_function_is_an_equation(module):
    found = import_module(f"tinymem.equations.{module}")
    public = [
        name
        for name, function in inspect.getmembers(found, inspect.isfunction)
        if not name.startswith("_") and function.__module__ == found.__name__
    ]
    assert public, f"{module} has no functions"
    unregistered = [name for name in public if equations().get(name) is None or equations()[name].module != module]
    assert not unregistered, f"public functions without @equation in {module}.py: {unregistered}"


def test_modules_come_in_lecture_order():
    order = [entry.module for entry in equations().values()]
    assert order == sorted(order, key=MODULES.index)


@every_equation
def test_every_equation_says_what_it_is(name):
    entry = equations()[name]
    text = entry.function.__doc__ or ""
    assert entry.title
    assert entry.paper
    assert entry.latex.strip()
    assert "Source:" in text, f"{name}: the docstring names no source"
    assert re.search(r"\d{4}", entry.paper), f"{name}: 'paper' has no year"
    assert "returns" in text.lower(), f"{name}: the docstring does not say what is returned"
    assert re.search(r"\((batch|time|length|B\b)", text), f"{name}: the docstring has no shapes"
    assert set(entry.symbols) == set(entry.domains), f"{name}: symbols and operands differ"


@every_equation
def test_every_equation_belongs_to_a_lesson(name):
    lesson = equations()[name].lesson
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", lesson)
    files = {path.stem.partition("_")[2] for path in LESSONS.glob("[0-9][0-9]_*.py")}
    if lesson in PLANNED_LESSONS:
        assert lesson.replace("-", "_") not in files, f"the lesson {lesson} is there: take it off PLANNED_LESSONS"
        return
    assert lesson.replace("-", "_") in files, f"{name} is shown in lesson {lesson!r}, but the lessons are {sorted(files)}"


@every_equation
def test_every_equation_has_a_transcription(name):
    witness = getattr(transcriptions, name, None)
    assert witness is not None, f"write {name} from the slide, in loops, in tests/equations/transcriptions.py"
    assert list(inspect.signature(witness).parameters) == list(inspect.signature(equations()[name].function).parameters)


# -- everything is right -------------------------------------------------------------------------------------------------
@every_equation
@given(data=st.data())
def test_values_are_those_of_the_slide(name, data):
    inputs = data.draw(inputs_of(equations()[name], boundary=data.draw(st.booleans())))
    expected = getattr(transcriptions, name)(*inputs.values(), **static_of(equations()[name]))
    for ours, theirs in zip(call(name, inputs, tm.Tensor), expected if isinstance(expected, tuple) else (expected,), strict=True):
        numpy.testing.assert_allclose(ours.data, theirs, rtol=1e-10, atol=1e-12)


@every_equation_with_operands
@given(data=st.data())
def test_gradients_of_both_orders_are_right(name, data):
    entry = equations()[name]
    inputs = data.draw(inputs_of(entry, max_length=4))
    if name in KINKS:
        assume(numpy.all(abs(KINKS[name](**inputs)) > 1e-3))  # else no witness could tell right from wrong there

    varied = [operand for operand in inputs if operand not in HELD_CONSTANT.get(name, set())]

    def function(*operands):
        return call(name, inputs | dict(zip(varied, operands, strict=True)))

    report = check_grad(function, *(inputs[operand] for operand in varied), names=varied, title=name)
    assert set(report.methods) == {"complex step"}, "only finite differences could vouch for this gradient"


@every_equation
@pytest.mark.parametrize("boundary", [False, True], ids=["inside", "boundary"])
@given(data=st.data())
def test_results_lie_in_the_declared_domain(name, boundary, data):
    entry = equations()[name]
    results = call(name, data.draw(inputs_of(entry, boundary=boundary)), tm.Tensor)
    assert len(results) == len(entry.returns)
    for result, domain in zip(results, entry.returns, strict=True):
        assert in_domain(result.data, domain), f"{name} returned {result.data}, which is not {domain}"


@every_equation
@given(data=st.data())
def test_operands_are_left_alone(name, data):
    inputs = data.draw(inputs_of(equations()[name], boundary=data.draw(st.booleans())))
    before = {operand: array.copy() for operand, array in inputs.items()}
    tracked = {operand: tm.Tensor(array, requires_grad=True) for operand, array in inputs.items()}
    call(name, inputs)  # on arrays, which no copy protects
    for result in call(name, tracked):
        backward_if_tracked(name, result, numpy.ones(result.shape))
    for operand, array in before.items():
        numpy.testing.assert_array_equal(inputs[operand], array, err_msg=operand)
        numpy.testing.assert_array_equal(tracked[operand].data, array, err_msg=operand)


@every_equation_with_operands
@given(data=st.data())
def test_float32_stays_float32(name, data):
    inputs = data.draw(inputs_of(equations()[name], boundary=data.draw(st.booleans())))
    tracked = {operand: tm.Tensor(array, requires_grad=True, dtype="float32") for operand, array in inputs.items()}
    for single, double in zip(call(name, tracked), call(name, inputs, tm.Tensor), strict=True):
        assert single.dtype == numpy.float32
        numpy.testing.assert_allclose(single.data, double.data, rtol=1e-3, atol=1e-4)
        backward_if_tracked(name, single, numpy.ones(single.shape, numpy.float32))
    assert {str(gradient.dtype) for gradient in gradients_of(name, tracked).values()} <= {"float32"}


@every_equation
@given(data=st.data())
def test_on_a_device_the_numbers_are_the_same_and_nothing_waits(name, data):
    inputs = data.draw(inputs_of(equations()[name], boundary=data.draw(st.booleans())))

    def everything():
        tracked = {operand: tm.Tensor(array, requires_grad=True) for operand, array in inputs.items()}
        results = call(name, tracked)
        for result in results:
            backward_if_tracked(name, result, tm.asarray(numpy.linspace(-1.0, 1.0, result.size).reshape(result.shape)))
        return [*(result.data for result in results), *gradients_of(name, tracked).values()]

    on_host = everything()
    with tm.use(strict.namespace), strict.synchronisations() as seen:
        on_device = everything()
    assert seen.reasons == []
    assert all(type(array) is strict.StrictArray for array in on_device)
    for ours, theirs in zip(on_device, on_host, strict=True):
        numpy.testing.assert_array_equal(ours.get(), theirs)


@every_equation_with_operands
@given(data=st.data())
def test_shapes_that_do_not_fit_are_refused(name, data):
    entry = equations()[name]
    operand, shapes = data.draw(shapes_that_do_not_fit(entry))
    with pytest.raises(ContractError, match=re.escape(entry.title)) as caught:
        call(name, {name: numpy.ones(shape) for name, shape in shapes.items()}, tm.Tensor)
    assert "shape" in str(caught.value), operand


# -- the walk can fail ---------------------------------------------------------------------------------------------------
def test_a_declaration_must_name_the_arguments_in_order():
    with pytest.raises(TypeError, match=r"Backwards.*declared.*b.*a.*takes.*a.*b"):

        @equation("Backwards", paper="", latex="", lesson="", b="(batch)", a="(batch)", returns="(batch)")
        def backwards(a, b):
            return a

    assert "backwards" not in equations()


@pytest.mark.parametrize(
    ("declaration", "good", "bad"),
    [
        ("unit (3)", [0.0, 0.5, 1.0], [0.0, 0.5, 1.1]),
        ("positive (3)", [1.0, 2.0, 3.0], [1.0, 0.0, 3.0]),
        (">=1 (3)", [1.0, 2.0, 3.0], [1.0, 0.9, 3.0]),
        ("simplex (3)", [0.25, 0.25, 0.5], [0.5, 0.5, 0.5]),
        ("simplex (3)", [0.0, 0.0, 1.0], [-0.5, 0.5, 1.0]),
        ("subsimplex (3)", [0.25, 0.25, 0.25], [0.5, 0.5, 0.5]),
        ("subsimplex (3)", [0.0, 0.0, 0.0], [-0.5, 0.5, 0.5]),
        ("unequal (3)", [0.0, 0.5, 1.0], [0.0, 0.5, 1.1]),
        ("one-hot (3)", [0.0, 0.0, 1.0], [0.0, 0.5, 0.5]),
        ("(3)", [-1.0, 0.0, 1.0], [0.0, numpy.inf, 0.0]),
        ("(3)", [-1.0, 0.0, 1.0], [0.0, numpy.nan, 0.0]),
        ("(3)", [-1.0, 0.0, 1.0], [[0.0, 0.0, 0.0]]),
    ],
)
def test_domains_are_told_apart(declaration, good, bad):
    assert in_domain(numpy.array(good), parse_domain(declaration))
    assert not in_domain(numpy.array(bad), parse_domain(declaration))


@given(data=st.data())
def test_drawn_inputs_keep_their_promises(data):
    entry = equations()["address"]
    inputs = data.draw(inputs_of(entry, boundary=data.draw(st.booleans())))
    assert list(inputs) == list(entry.domains)
    for operand, array in inputs.items():
        assert array.dtype == numpy.float64
        assert in_domain(array, entry.domains[operand]), operand
    assert inputs["shift_weighting"].shape[1] in (1, 3, 5)
    assert len({array.shape[0] for array in inputs.values()}) == 1


def test_what_others_register_never_hides_an_equation_of_the_lecture():
    lectures = equations()["read"]

    @equation("Mine", paper="", latex="", lesson="", memory="(batch)", returns="(batch)")
    def read(memory):
        return memory

    assert read(numpy.ones(2)).shape == (2,)
    assert equations()["read"] is lectures


def test_the_registry_is_read_only():
    with pytest.raises(TypeError):
        equations()["read"] = Equation  # type: ignore[index]
    assert isinstance(equations()["read"].returns[0], Domain)
