"""Running what somebody typed: Python itself executes it, once it is sure that it holds nothing but a small language.

The language is that of the programs of Learning to Execute (`tinymem.tasks.programs`), and a little more.
"""

from __future__ import annotations

import ast
import traceback
import warnings

from tinymem.tasks.characters import Alphabet, CharacterError
from tinymem.tasks.programs import ALPHABET

LONGEST_SOURCE = 1000  # characters
MOST_ROUNDS = 10_000  # of all loops of a program together
LARGEST_VALUE = 10**30

_FILE = "<program>"
_COMPARISONS = (ast.Lt, ast.Gt, ast.LtE, ast.GtE, ast.Eq)
_TYPED = Alphabet("".join(symbol for symbol in ALPHABET.symbols if symbol not in "#@.") + "\n")
_LANGUAGE = "write whole numbers, + - *, v=…, v+=…, v-=…, v*=…, (c if a<b else d), for x in range(3):… and one print(…) at the end"


class ProgramError(ValueError):
    """A program that cannot be run; the message says where, what, and what to do."""


def run_program(source: str) -> int:
    """What the program prints, by Python itself, once it is sure that it holds nothing but this small language.

    Only the kinds of statements and expressions listed in `_LANGUAGE` pass; there are no builtins, `range` counts the rounds and every
    variable checks its value. A program that runs can also be read by a model: it is written in the characters of the alphabet.
    """
    if len(source) > LONGEST_SOURCE:
        raise ProgramError(f"line 1: the program has {len(source)} characters, more than {LONGEST_SOURCE}; shorten it")
    try:
        if not source.isascii() or "\0" in source:
            _TYPED.encode(source)  # Python may not even parse it
        with warnings.catch_warnings(action="ignore"):  # Python warns about odd spellings, such as `1if`
            tree = ast.parse(source)
            _check_program(tree.body, source.count("\n") + 1)
            _TYPED.encode(source)  # after the constructs: a string is named as one, not by its quotation mark
            code = compile(tree, _FILE, "exec")
    except SyntaxError as error:
        raise ProgramError(f"line {error.lineno or 1}: this is not Python ({error.msg}); correct the spelling there") from None
    except (RecursionError, MemoryError):
        raise ProgramError("line 1: an expression is nested too deeply; split it over several variables") from None
    except CharacterError as error:
        raise ProgramError(str(error)) from None

    rounds = 0
    printed = _Variables()  # so that what is printed keeps to the bounds as well

    def limited_range(count: int) -> range:
        nonlocal rounds
        rounds += max(count, 0)
        if rounds > MOST_ROUNDS:
            raise ProgramError(f"the loops run more than {MOST_ROUNDS} rounds in all; make the range smaller")
        return range(count)

    def keep(value: int) -> None:
        printed["value"] = value

    try:
        exec(code, {"__builtins__": {}, "range": limited_range, "print": keep}, _Variables())
    except NameError as error:
        raise ProgramError(f"line {_line_of(error)}: the name {error.name!r} has no value yet; assign one before this line") from None
    except ProgramError as error:
        raise ProgramError(f"line {_line_of(error)}: {error}") from None
    return printed["value"]


def _line_of(error: Exception) -> int:
    """The line of the program in which the error arose."""
    return next(line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == _FILE)


class _Variables(dict[str, int]):
    """The variables of a running program; none may grow beyond all bounds."""

    def __setitem__(self, name: str, value: int) -> None:
        if abs(value) > LARGEST_VALUE:
            raise ProgramError(f"a value is beyond ±10^{len(str(LARGEST_VALUE)) - 1}; use smaller numbers or fewer rounds")
        super().__setitem__(name, value)


def _check_program(body: list[ast.stmt], last_line: int) -> None:
    """Statements, the last of which, and no other, is a print."""
    for statement in body:
        match statement:
            case ast.Expr(ast.Call(ast.Name("print"), arguments, keywords)):
                if statement is not body[-1]:
                    raise ProgramError(f"line {statement.lineno}: print(…) is not last; move it to the end and print only once")
                if len(arguments) != 1 or keywords:
                    raise ProgramError(f"line {statement.lineno}: print takes exactly one value here, as in print(a+1)")
                _check_expression(arguments[0])
                return
            case _:
                _check_statement(statement)
    raise ProgramError(f"line {last_line}: nothing is printed; end the program with print(…)")


def _check_statement(statement: ast.stmt) -> None:
    """An assignment or a loop of them."""
    match statement:
        case ast.Assign([ast.Name() as variable], value) | ast.AugAssign(ast.Name() as variable, ast.Add() | ast.Sub() | ast.Mult(), value):
            _check_expression(variable)
            _check_expression(value)
        case ast.For(ast.Name() as variable, ast.Call(ast.Name("range"), [count], []), body, []):
            _check_expression(variable)
            _check_expression(count)
            for inner in body:
                _check_statement(inner)
        case ast.Expr(ast.Call(ast.Name("print"))):
            raise ProgramError(f"line {statement.lineno}: print(…) is not last; move it out of the loop to the end and print only once")
        case _:
            raise _not_in_the_language(statement)


def _check_expression(expression: ast.expr) -> None:
    """Whole numbers, variables and what the language makes of them."""
    parts: list[ast.expr] = []
    match expression:
        case ast.Constant(int(value)) if not isinstance(value, bool):
            if value > LARGEST_VALUE:
                raise ProgramError(f"line {expression.lineno}: a number is beyond 10^{len(str(LARGEST_VALUE)) - 1}; use smaller numbers")
        case ast.Name(name) if name not in ("print", "range") and not name.startswith("_"):
            pass
        case ast.BinOp(left, ast.Add() | ast.Sub() | ast.Mult(), right):
            parts = [left, right]
        case ast.UnaryOp(ast.USub(), operand):
            parts = [operand]
        case ast.IfExp(ast.Compare(left, kinds, others), body, otherwise) if all(isinstance(kind, _COMPARISONS) for kind in kinds):
            parts = [left, *others, body, otherwise]
        case _:
            raise _not_in_the_language(expression)
    for part in parts:
        _check_expression(part)


def _not_in_the_language(node: ast.stmt | ast.expr) -> ProgramError:
    return ProgramError(f"line {node.lineno}: `{ast.unparse(node).splitlines()[0][:40]}` is not in the language; {_LANGUAGE}")
