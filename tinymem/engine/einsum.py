"""Einstein summation: parsing, lowering to a matrix product where one fits, and the VJP.

Subscripts are static, so all of this is worked out once per spelling and remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any


@cache
def parse(subscripts: str) -> tuple[tuple[str, ...], str]:
    """("bn,bnm->bm") -> (("bn", "bnm"), "bm"); ValueError with the remedy for forms we do not take."""
    left, arrow, result = subscripts.partition("->")
    terms = tuple(left.split(","))
    if not arrow or len(terms) > 2 or not (left.replace(",", "") + result or "a").isalpha():
        raise ValueError(f"einsum '{subscripts}': write one or two operands in letters and an explicit result, as in 'bn,bnm->bm'")
    for term in (*terms, result):
        if len(set(term)) != len(term):
            raise ValueError(
                f"einsum '{subscripts}': an index repeats within '{term}'; a diagonal is taken by multiplying with an identity"
            )
    if not set(result) <= set(left):
        raise ValueError(f"einsum '{subscripts}': the result has an index that no operand has")
    return terms, result


def contract(xp: Any, *operands: Any, subscripts: str) -> Any:
    """The array function of the einsum row."""
    return lowered(subscripts, tuple([x.shape for x in operands]))(xp, *operands)


def check_lengths(subscripts: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    """ValueError unless every index has one length: an axis of 1 beside a longer one would be repeated without a word."""
    lengths: dict[str, int] = {}
    for term, shape in zip(parse(subscripts)[0], shapes, strict=True):
        if len(term) != len(shape):
            raise ValueError(f"einsum '{subscripts}': '{term}' names {len(term)} axes, its operand has shape {shape}")
        for index, length in zip(term, shape, strict=True):
            if lengths.setdefault(index, length) != length:
                raise ValueError(f"einsum '{subscripts}': index {index} is {lengths[index]} and {length}")


@cache
def lowered(subscripts: str, shapes: tuple[tuple[int, ...], ...]) -> Callable[..., Any]:
    """The array function (xp, *operands) of these subscripts, for operands of these shapes.

    Two operands of which one has an index of its own are a batched matrix product, which BLAS does best; where nothing
    is summed, broadcasting does; the rest is left to the array library.
    """
    terms, result = parse(subscripts)
    if len(terms) != len(shapes):
        raise ValueError(f"einsum '{subscripts}': {len(terms)} terms, {len(shapes)} operands")
    check_lengths(subscripts, shapes)
    if len(terms) == 1:
        return lambda xp, x: xp.einsum(subscripts, x)
    x_term, y_term = terms
    batch = "".join(c for c in result if c in x_term and c in y_term)
    summed = "".join(c for c in x_term if c in y_term and c not in result)
    x_own, y_own = "".join(c for c in x_term if c not in y_term), "".join(c for c in y_term if c not in x_term)
    if not set(x_own + y_own) <= set(result) or len(summed) > 1 or max(len(x_own), len(y_own)) > 1:
        return lambda xp, x, y: xp.einsum(subscripts, x, y)
    if not summed:
        arrange_x, arrange_y = _arranger(x_term, result), _arranger(y_term, result)
        return lambda xp, x, y: arrange_x(x) * arrange_y(y)
    if not x_own and not y_own:
        return lambda xp, x, y: xp.einsum(subscripts, x, y)
    # x as (batch, own, summed), y as (batch, summed, own); an absent own index is an axis of length 1, dropped afterwards
    arrange_x = _arranger(x_term, batch + (x_own or "-") + summed)
    arrange_y = _arranger(y_term, batch + summed + (y_own or "-"))
    drop = (..., 0) if not y_own else (..., 0, slice(None)) if not x_own else ()
    product = batch + x_own + y_own
    order = None if product == result else [product.index(c) for c in result]

    def multiply(xp: Any, x: Any, y: Any) -> Any:
        out = arrange_x(x) @ arrange_y(y)
        if drop:
            out = out[drop]
        return out if order is None else out.transpose(order)

    return multiply


def _arranger(term: str, wanted: str) -> Callable[[Any], Any]:
    """The view that brings axes named `term` into the order `wanted`, with an axis of length 1 for each name `term` lacks."""
    order = [term.index(c) for c in wanted if c in term]
    index = tuple(slice(None) if c in term else None for c in wanted)
    if order == sorted(order):
        return (lambda x: x) if None not in index else (lambda x: x[index])
    return lambda x: x.transpose(order)[index]


@cache
def _vjp_subscripts(subscripts: str, position: int) -> tuple[str, str, str]:
    """Subscripts of the cotangent of one operand, the indices it can be computed over, and those it must have."""
    terms, result = parse(subscripts)
    others = [term for i, term in enumerate(terms) if i != position]
    reachable = "".join(c for c in terms[position] if c in result + "".join(others))
    return f"{','.join([result, *others])}->{reachable}", reachable, terms[position]


def einsum_vjp(einsum: Callable[..., Any], broadcast_to: Callable[..., Any], subscripts: str, position: int, g: Any, operands: Any) -> Any:
    """The cotangent of one operand: the same kind of sum, with the result in that operand's place."""
    pulled_subscripts, reachable, mine = _vjp_subscripts(subscripts, position)
    pulled = einsum(g, *operands[:position], *operands[position + 1 :], subscripts=pulled_subscripts)
    if reachable == mine:
        return pulled
    # an index that only this operand had was summed alone: its gradient is the same everywhere along it
    shape = operands[position].shape
    pulled = pulled.reshape(tuple(n if c in reachable else 1 for c, n in zip(mine, shape, strict=True)))
    return broadcast_to(pulled, shape)
