"""Arithmetic over named figures: numbers, names, ``+ − * /`` and brackets, nothing else."""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable, Mapping

LONGEST = 1_000
OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
SIGNS: dict[type[ast.unaryop], Callable[[float], float]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}


def evaluate(text: str, figures: Mapping[str, float]) -> float:
    """Value of a formula.

    Parameters
    ----------
    text
        For example ``customers * usd_per_month / 30``.
    figures
        Value of every name.

    Raises
    ------
    ValueError
        If the text is not such a formula, names a figure that does not exist, divides by zero, or
        comes to no finite number.

    >>> evaluate("(gpus - 200) * 2 / hours", {"gpus": 500.0, "hours": 6.0})
    100.0
    """
    tree = _parsed(text)
    unknown = [name for name in _names(tree) if name not in figures]
    if unknown:
        raise ValueError(f"there is no figure {' and no figure '.join(unknown)}")
    try:
        value = _value(tree, figures)
    except ZeroDivisionError:
        raise ValueError("divides by zero") from None
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ValueError("comes to no finite number")
    return value


def names(text: str) -> tuple[str, ...]:
    """Names of the figures in a formula, in the order they stand in it, each once.

    Raises
    ------
    ValueError
        If the text is not a formula.

    >>> names("b * (a + b)")
    ('b', 'a')
    """
    return _names(_parsed(text))


def _parsed(text: str) -> ast.expr:
    if len(text) > LONGEST:
        raise ValueError(f"is longer than {LONGEST:,} characters")
    try:
        # The reader warns of numbers that run into words; that is no formula either.
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tree = ast.parse(text.strip(), mode="eval").body
        _check(tree)
    except (SyntaxError, Warning, RecursionError, MemoryError):
        raise ValueError("is not a formula of names, numbers, + - * / and brackets") from None
    return tree


def _check(node: ast.expr) -> None:
    match node:
        case ast.BinOp(left, operation, right) if type(operation) in OPERATIONS:
            _check(left)
            _check(right)
        case ast.UnaryOp(sign, operand) if type(sign) in SIGNS:
            _check(operand)
        case ast.Constant(value) if type(value) in (int, float):
            pass
        case ast.Name():
            pass
        case _:
            raise SyntaxError


def _names(tree: ast.expr) -> tuple[str, ...]:
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    found.sort(key=lambda node: (node.lineno, node.col_offset))
    return tuple(dict.fromkeys(node.id for node in found))


def _value(node: ast.expr, figures: Mapping[str, float]) -> float:
    match node:
        case ast.BinOp(left, operation, right):
            return OPERATIONS[type(operation)](_value(left, figures), _value(right, figures))
        case ast.UnaryOp(sign, operand):
            return SIGNS[type(sign)](_value(operand, figures))
        case ast.Constant(int() | float() as value):
            return float(value)
        case ast.Name(name):
            return figures[name]
    raise AssertionError(node)
