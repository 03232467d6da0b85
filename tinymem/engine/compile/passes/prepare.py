"""Preparation for native code: operands of rows that are no loop nests are brought into a form that those can read."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy

from tinymem.engine.compile.maps import MAPS
from tinymem.engine.compile.program import AnyRow, Literal, Loop, Operand, Program, Row, Value, View, whole
from tinymem.engine.compile.statements import is_loop_nest

NESTS = {*MAPS, "where", "copy", "sum", "max", "min", "assemble", "add_at"}


def prepare(program: Program) -> tuple[Program, dict[Value, str]]:
    """The program with the copies that matrix products, gathers and sorts need; and which values must keep their form.

    "whole": contiguous; "rows": rows of adjacent elements.
    """
    rigid: dict[Value, str] = {}
    return replace(program, rows=_prepared(program.rows, rigid)), rigid


def _prepared(rows: tuple[AnyRow, ...], rigid: dict[Value, str]) -> tuple[AnyRow, ...]:
    found: list[AnyRow] = []
    for row in rows:
        if isinstance(row, Loop):
            found.append(replace(row, rows=_prepared(row.rows, rigid)))
            continue
        if row.op in NESTS or (row.op == "matmul" and is_loop_nest(row)):
            found.append(row)
            continue
        form = "rows" if row.op == "matmul" and sum(n > 1 for n in row.out.shape[:-2]) <= 2 else "whole"
        ins = []
        for position, operand in enumerate(row.ins):
            dtype = _wanted_dtype(row, position)
            if isinstance(operand, Literal) or operand.dtype != dtype or not (_fits_blas(operand) if row.op == "matmul" else operand.dense):
                copy = Value(operand.shape, dtype)
                found.append(Row("copy", (operand,), copy, {}, row.note))
                operand = whole(copy)
            rigid[operand.value] = _stricter(rigid.get(operand.value), form)
            ins.append(operand)
        rigid[row.out] = _stricter(rigid.get(row.out), form)
        found.append(replace(row, ins=tuple(ins)))
    return tuple(found)


def _stricter(a: str | None, b: str) -> str:
    return "whole" if "whole" in (a, b) else "rows"


def _wanted_dtype(row: Row, position: int) -> Any:
    """What the native function reads: indices in 64 bits, orders of floats or 64-bit integers, else the dtype of the result."""
    dtype = row.ins[position].dtype
    if position == 1 and row.op in ("take", "take_along", "put_taken", "put_along"):
        return numpy.dtype(numpy.int64)
    if row.op in ("argmax", "argsort"):
        return dtype if dtype.kind == "f" else numpy.dtype(numpy.int64)
    return row.out.dtype if row.op in ("matmul", "cumsum", "cumprod") else dtype


def _fits_blas(operand: Operand) -> bool:
    """Is each matrix stored by rows or by columns, and the batch in one stride or two?"""
    assert isinstance(operand, View)
    *batch, rows, columns = operand.shape
    *steps, down, across = operand.strides
    by_rows = (across == 1 or columns == 1) and (down >= columns or rows == 1)
    by_columns = (down == 1 or rows == 1) and (across >= rows or columns == 1)
    lead: list[Any] = [(n, s) for n, s in zip(batch, steps, strict=True) if n > 1]
    even = all(a[1] == b[1] * b[0] for a, b in pairwise(lead))
    return (by_rows or by_columns) and (even or len(lead) <= 2)
