"""Only names that NumPy and CuPy share: read from the source, against the list of CuPy's names, so no CuPy is needed here."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy
import pytest

import tinymem
from tinymem.testing import cupy_names

PACKAGE = Path(tinymem.__file__).parent
FLOORS = ("engine", "equations", "models", "training")
FILES = sorted(file for floor in FLOORS for file in (PACKAGE / floor).rglob("*.py"))
ON_DEVICE = [PACKAGE / "engine" / "ops.py", *sorted((PACKAGE / "equations").glob("*.py"))]  # here every array may be on a device
ASKS = frozenset({"namespace_of", "creation_namespace", "xp_of", "namespace_named", "_array_module"})


def identity(file):
    return str(file.relative_to(PACKAGE))


def is_array_module(node, names):
    """Is this expression an array module: a name that holds one, or a call that returns one?"""
    if isinstance(node, ast.Name):
        return node.id in names
    return isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", None)) in ASKS


def held_names(tree):
    """`xp`, and every name that is assigned an array module."""
    names = {"xp"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                several = isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                pairs = zip(target.elts, node.value.elts, strict=True) if several else [(target, node.value)]
                names |= {place.id for place, value in pairs if isinstance(place, ast.Name) and is_array_module(value, names)}
    return names


def names_asked_of_array_modules(source):
    """Dotted names taken from an array module, as ("add", "at") or ("exp",), each with its line."""
    tree = ast.parse(source)
    names = held_names(tree)
    outer = {id(node.value): node for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_array_module(node.value, names) and not node.attr.startswith("__"):
            further = outer.get(id(node))
            yield node.lineno, (node.attr,) if further is None else (node.attr, further.attr)


def problems_in(source):
    found = []
    for line, (name, *further) in names_asked_of_array_modules(source):
        if not hasattr(numpy, name):
            found.append(f"line {line}: NumPy has no '{name}'")
        elif name not in cupy_names.names_in_cupy():
            found.append(f"line {line}: CuPy has no '{name}'")
        elif isinstance(getattr(numpy, name), numpy.ufunc):
            found += [f"line {line}: a ufunc of CuPy has no '{method}'" for method in further if method not in UFUNC]
    return found


UFUNC = cupy_names.names_in_cupy("cupy.ufunc")


@pytest.mark.parametrize("file", FILES, ids=identity)
def test_array_modules_are_asked_only_for_names_both_have(file):
    assert problems_in(file.read_text(encoding="utf-8")) == []


def test_the_walk_sees_the_names_of_the_engine():
    seen = {name for file in FILES for _, name in names_asked_of_array_modules(file.read_text(encoding="utf-8"))}
    assert {("exp",), ("add", "at"), ("concatenate",), ("zeros",), ("sqrt",)} <= seen


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def f(xp, x): return xp.errstate(x)", "CuPy has no 'errstate'"),
        ("def f(xp, x): return xp.asnumpy(x)", "NumPy has no 'asnumpy'"),
        ("module = namespace_of(x)\nmodule.frompyfunc(1)", "CuPy has no 'frompyfunc'"),
        ("a, module = 1, backend.namespace_of(x)\nmodule.frompyfunc(1)", "CuPy has no 'frompyfunc'"),
        ("creation_namespace().nditer(x)", "CuPy has no 'nditer'"),
        ("xp.add.put(x)", "a ufunc of CuPy has no 'put'"),
    ],
)
def test_the_walk_can_fail(source, says):
    assert any(says in problem for problem in problems_in(source))


def test_the_walk_passes_what_both_have():
    assert problems_in("def f(xp, x): return xp.add.at(x) + xp.exp(x).errstate + xp.__name__ + other.errstate") == []


# -- no NumPy where arrays may be on a device ----------------------------------------------------------------------------
def uses_of_numpy(source):
    """Lines that take something from NumPy outside of annotations."""
    tree = ast.parse(source)
    annotations = set()
    for node in ast.walk(tree):
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(annotation, ast.AST):
                annotations |= {id(inner) for inner in ast.walk(annotation)}
    lines = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("numpy", "np")
        and id(node) not in annotations
    ]
    lines += [node.lineno for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "numpy"]
    return lines


@pytest.mark.parametrize("file", ON_DEVICE, ids=identity)
def test_no_numpy_where_arrays_may_be_on_a_device(file):
    assert uses_of_numpy(file.read_text(encoding="utf-8")) == []


def test_that_walk_can_fail_too():
    assert uses_of_numpy("import numpy\ny = numpy.exp(x)") == [2]
    assert uses_of_numpy("from numpy import exp") == [1]
    assert uses_of_numpy("import numpy\ndef f(rng: numpy.random.Generator) -> numpy.ndarray: ...") == []


# -- the list itself -----------------------------------------------------------------------------------------------------
def test_the_list_holds_what_is_known_of_cupy():
    assert {"exp", "einsum", "take_along_axis", "asnumpy", "add"} <= cupy_names.names_in_cupy()
    assert not {"errstate", "nditer", "frompyfunc", "vecdot"} & cupy_names.names_in_cupy()
    assert {"get", "sum", "item", "T"} <= cupy_names.names_in_cupy("cupy.ndarray")
    assert "setflags" not in cupy_names.names_in_cupy("cupy.ndarray")
    assert {"at", "reduce"} <= UFUNC
    assert cupy_names.cupy_version().split(".")[0].isdigit()


def test_the_list_agrees_with_an_installed_cupy():
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed here (it needs no GPU): pip install cupy-cuda12x")
    if cupy.__version__ != cupy_names.cupy_version():
        missing = {
            owner: sorted(names for names in cupy_names.names_in_cupy(owner) if not hasattr(place, names))
            for owner, place in (("cupy", cupy), ("cupy.ndarray", cupy.ndarray), ("cupy.ufunc", cupy.ufunc))
        }
        used = {name for file in FILES for _, (name, *_) in names_asked_of_array_modules(file.read_text(encoding="utf-8"))}
        assert not used & set(missing["cupy"]), f"CuPy {cupy.__version__} no longer has names that tinymem uses"
        return
    assert cupy_names.FILE.read_text(encoding="utf-8") == cupy_names.listing(cupy), "run: python -m tinymem.testing.cupy_names"
