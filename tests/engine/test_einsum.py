"""Einstein summation: every spelling we take against NumPy's, forward and backward, and the spellings we refuse."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given

import tinymem as tm
from tinymem.engine.einsum import lowered, parse
from tinymem.testing.check import COMPLEX_STEP, check_grad

LETTERS = "bnmk"


@st.composite
def spellings(draw: Any) -> str:
    """One or two terms of distinct letters, and any part of their letters, in any order, as the result."""
    terms = draw(st.lists(st.lists(st.sampled_from(LETTERS), min_size=1, max_size=4, unique=True), min_size=1, max_size=2))
    letters = sorted(set().union(*terms))
    result = draw(st.permutations(letters))[: draw(st.integers(0, len(letters)))]
    return ",".join("".join(term) for term in terms) + "->" + "".join(result)


def operands_for(subscripts: str, lengths: tuple[int, ...], seed: int) -> list[np.ndarray]:
    size = dict(zip(LETTERS, lengths, strict=True))
    rng = np.random.default_rng(seed)
    return [rng.normal(size=tuple(size[c] for c in term)) for term in subscripts.split("->")[0].split(",")]


lengths = st.tuples(*[st.integers(1, 4)] * len(LETTERS))


@given(subscripts=spellings(), lengths=lengths, seed=st.integers(0, 100))
@example(subscripts="bn,bnm->bm", lengths=(2, 3, 4, 1), seed=0)  # read
@example(subscripts="bn,bm->bnm", lengths=(2, 3, 4, 1), seed=0)  # write
@example(subscripts="bnm,bm->bn", lengths=(2, 3, 4, 1), seed=0)  # similarity
@example(subscripts="bnm,bnm->bn", lengths=(2, 3, 4, 1), seed=0)  # squared norms
@example(subscripts="n,n->", lengths=(1, 3, 1, 1), seed=0)
@example(subscripts="b,nm->mbn", lengths=(2, 3, 4, 1), seed=0)
@example(subscripts="nm,k->n", lengths=(1, 2, 3, 4), seed=0)  # two letters summed alone
def test_every_spelling_is_numpys_and_its_gradient_is_right(subscripts: str, lengths: tuple[int, ...], seed: int) -> None:
    operands = operands_for(subscripts, lengths, seed)
    result = tm.einsum(subscripts, *map(tm.Tensor, operands))
    expected = np.einsum(subscripts, *operands)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result.data, expected, rtol=1e-12, atol=1e-13)
    report = check_grad(lambda *xs: tm.einsum(subscripts, *xs), *operands, title=subscripts)
    assert set(report.methods) == {COMPLEX_STEP}


@given(subscripts=spellings(), lengths=lengths)
def test_single_precision_stays_single(subscripts: str, lengths: tuple[int, ...]) -> None:
    xs = [tm.Tensor(x, requires_grad=True, dtype="float32") for x in operands_for(subscripts, lengths, 0)]
    result = tm.einsum(subscripts, *xs)
    assert result.dtype == np.float32
    assert all(g.dtype == np.float32 for g in tm.gradients(result, xs, np.ones(result.shape, "float32")))


@pytest.mark.parametrize("subscripts", ["bn,bnm->bm", "bn,bm->bnm", "bnm,bm->bn", "nm,mk->nk", "bnm->mb", "n,m->"])
def test_the_device_computes_them_too(backend: Any, subscripts: str) -> None:
    operands = operands_for(subscripts, (2, 3, 4, 2), 0)
    np.testing.assert_allclose(tm.to_host(tm.einsum(subscripts, *map(tm.Tensor, operands))), np.einsum(subscripts, *operands), rtol=1e-13)
    check_grad(lambda *xs: tm.einsum(subscripts, *xs), *operands)


def test_spaces_are_free() -> None:
    x, y = operands_for("nm,mk->nk", (1, 2, 3, 4), 0)
    np.testing.assert_array_equal(tm.einsum(" n m, m k -> n k ", x, y), tm.einsum("nm,mk->nk", x, y))


def test_the_same_operand_twice() -> None:
    assert check_grad(lambda x: tm.einsum("nm,nm->n", x, x), np.random.default_rng(0).normal(size=(2, 3))).largest_error < 1e-13


def test_a_matrix_product_is_left_to_blas() -> None:
    """np.einsum would be slower by orders of magnitude; that it is never called proves the lowering."""

    class NoEinsum:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"the array library's {name} was called")

    for subscripts in ("bn,bnm->bm", "bnm,bm->bn", "nm,mk->nk", "bnm,bmk->bnk", "bn,bm->bnm", "nm,km->nk"):
        x, y = operands_for(subscripts, (2, 3, 4, 2), 1)
        np.testing.assert_allclose(lowered(subscripts, (x.shape, y.shape))(NoEinsum(), x, y), np.einsum(subscripts, x, y), rtol=1e-13)


@pytest.mark.parametrize(
    ("subscripts", "message"),
    [
        ("ij,jk", "explicit result"),
        ("i,j,k->ijk", "one or two operands"),
        ("...i,i->...", "letters"),
        ("i1->i", "letters"),
        ("", "explicit result"),
        ("ii->i", "an index repeats within 'ii'"),
        ("ij,jj->i", "repeats within 'jj'"),
        ("ij->ii", "repeats within 'ii'"),
        ("ij->ik", "the result has an index that no operand has"),
    ],
)
def test_spellings_that_are_refused(subscripts: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        parse(subscripts)
    assert f"einsum '{subscripts}'" in str(error.value)


def test_as_many_operands_as_terms() -> None:
    with pytest.raises(tm.OperandError, match="2 terms, 1 operands"):
        tm.einsum("ij,jk->ik", np.zeros((2, 3)))
    with pytest.raises(tm.OperandError, match="1 terms, 2 operands"):
        tm.einsum("ij->ji", np.zeros((2, 3)), np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [("bn,bnm->bm", [(2, 3), (2, 4, 5)]), ("bn,bm->bnm", [(2, 3), (4, 5)]), ("nm,nm->n", [(2, 3), (2, 4)]), ("nm->n", [(2, 3, 4)])],
)
def test_lengths_that_do_not_fit(subscripts: str, shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(tm.OperandError) as error:
        tm.einsum(subscripts, *[np.zeros(shape) for shape in shapes])
    for position, shape in enumerate(shapes):
        assert f"operands[{position}] {shape}" in str(error.value)


@pytest.mark.parametrize(
    ("subscripts", "x", "y"),
    [("bn,bm->b", (1, 3), (2, 4)), ("bn,bn->b", (2, 3), (2, 1)), ("bn,bn->", (2, 3), (1, 3)), ("bn,bm->bnm", (2, 3), (1, 5))],
)
def test_an_axis_of_length_1_beside_a_longer_one(subscripts: str, x: tuple[int, ...], y: tuple[int, ...]) -> None:
    """To refuse it is well, to repeat it is well; to repeat it and then fail on the way back is not."""
    rng = np.random.default_rng(0)
    operands = rng.normal(size=x), rng.normal(size=y)
    try:
        tm.einsum(subscripts, *operands)
    except tm.OperandError:
        return
    check_grad(lambda *xs: tm.einsum(subscripts, *xs), *operands)
