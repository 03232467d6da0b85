"""The strategies draw what they promise, and shapes that truly do not fit."""

from __future__ import annotations

import subprocess
import sys

import numpy
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

import tinymem.testing
from tinymem.equations.contracts import DOMAINS, ContractError, check_shapes, parse_domain
from tinymem.equations.registry import equations
from tinymem.testing.strategies import in_domain, inputs_of, shapes_of_sizes, shapes_that_do_not_fit, sizes_of, values_in

EQUATIONS = equations()
every_equation = pytest.mark.parametrize("name", [name for name, entry in EQUATIONS.items() if entry.domains])  # one has no operands
every_domain = pytest.mark.parametrize("kind", list(DOMAINS))


@every_domain
@given(data=st.data())
def test_values_lie_in_their_domain(kind, data):
    domain = parse_domain(f"{kind} (batch, N)")
    boundary = data.draw(st.booleans())
    array = data.draw(values_in(domain, (data.draw(st.integers(1, 3)), data.draw(st.integers(1, 5))), boundary))
    assert array.dtype == numpy.float64
    assert in_domain(array, domain)
    if not boundary and kind in ("unit", "simplex"):
        assert numpy.all((array > 0) & ((array < 1) | (array.shape[-1] == 1))), "inside the domain is not on its edge"
    if not boundary and kind == "":
        assert numpy.all(numpy.abs(array) >= 0.1)


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("simplex", lambda a: numpy.any(a == 0) and numpy.any((a > 0) & (a < 1))),
        ("simplex", lambda a: numpy.all((a == 0) | (a == 1))),
        ("unit", lambda a: numpy.any(a == 0) and numpy.any(a == 1)),
        (">=1", lambda a: numpy.any(a == 1)),
        ("", lambda a: numpy.any(a == 0) and numpy.any(a < 0)),
    ],
)
def test_the_edges_are_reached(kind, wanted):
    assert wanted(find(values_in(parse_domain(f"{kind} (batch, N)"), (2, 3), boundary=True), wanted))


def test_inside_a_domain_no_edge_is_found():
    with pytest.raises(NoSuchExample):
        find(values_in(parse_domain("simplex (batch, N)"), (2, 3)), lambda a: numpy.any(a == 0), settings=settings(max_examples=100))


def test_a_counterexample_shrinks_to_numbers_for_the_blackboard():
    smallest = find(inputs_of(EQUATIONS["interpolate"]), lambda inputs: numpy.any(inputs["gate"] > 0.5))
    assert {name: array.tolist() for name, array in smallest.items()} == {"content": [[1.0]], "previous": [[1.0]], "gate": [[0.501]]}


@every_equation
@given(data=st.data())
def test_drawn_shapes_fit_and_stay_small(name, data):
    equation = EQUATIONS[name]
    sizes = data.draw(sizes_of(equation, max_length=4))
    shapes = shapes_of_sizes(equation, sizes)
    check_shapes(equation.title, equation.symbols, equation.domains, shapes)
    assert all(length >= 1 for shape in shapes.values() for length in shape)
    assert max(sizes.values()) <= 4


@every_equation
@given(data=st.data())
def test_shapes_that_do_not_fit_differ_in_the_named_operand(name, data):
    equation = EQUATIONS[name]
    operand, shapes = data.draw(shapes_that_do_not_fit(equation))
    assert list(shapes) == list(equation.domains)
    with pytest.raises(ContractError):
        check_shapes(equation.title, equation.symbols, equation.domains, shapes)
    assert operand in shapes


def test_every_kind_of_mistake_is_drawn():
    wrong = shapes_that_do_not_fit(EQUATIONS["shift"])
    assert find(wrong, lambda case: case[0] == "shift_weighting" and len(case[1][case[0]]) == 2 and case[1][case[0]][1] % 2 == 0)
    assert find(wrong, lambda case: len(case[1][case[0]]) == 1)
    assert find(wrong, lambda case: len(case[1][case[0]]) == 3)
    assert find(wrong, lambda case: len({shape[0] for shape in case[1].values()}) == 2)


def test_the_tools_need_hypothesis_only_for_the_strategies():
    program = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import tinymem.testing as t\n"
        "from tinymem.testing import check_grad, strict\n"
        "assert 'check_grad' in t.__all__\n"
        "try: t.inputs_of\n"
        "except ImportError: print('asked')\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.stdout == "asked\n", result.stderr


def test_every_public_name_is_there():
    for name in tinymem.testing.__all__:
        assert getattr(tinymem.testing, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = tinymem.testing.no_such_name
