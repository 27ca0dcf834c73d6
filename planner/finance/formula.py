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
#: All that a formula may consist of.
KNOWN = (ast.BinOp, ast.UnaryOp, ast.UAdd, ast.USub, ast.Name, ast.Load, *OPERATIONS)
NO_FORMULA = "is not a formula of names, numbers, + - * / and brackets"


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
    unknown = [name for name in names(text) if name not in figures]
    if unknown:
        raise ValueError(f"there is no figure {' and no figure '.join(unknown)}")
    try:
        value = _value(_parsed(text), figures)
    except ZeroDivisionError:
        raise ValueError("divides by zero") from None
    except RecursionError:
        raise ValueError(NO_FORMULA) from None
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ValueError("comes to no finite number")
    return value


def names(text: str) -> tuple[str, ...]:
    """Names of the figures in a formula, in the order in which they occur, each once.

    Raises
    ------
    ValueError
        If the text is not a formula.

    >>> names("b * (a + b)")
    ('b', 'a')
    """
    found = [node for node in ast.walk(_parsed(text)) if isinstance(node, ast.Name)]
    found.sort(key=lambda node: (node.lineno, node.col_offset))
    return tuple(dict.fromkeys(node.id for node in found))


def _parsed(text: str) -> ast.expr:
    if len(text) > LONGEST:
        raise ValueError(f"is longer than {LONGEST:,} characters")
    try:
        # The reader warns of numbers that run into words; that is no formula either.
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, Warning, RecursionError, MemoryError):
        raise ValueError(NO_FORMULA) from None
    for node in ast.walk(tree):
        number = isinstance(node, ast.Constant) and type(node.value) in (int, float)
        if not number and not isinstance(node, KNOWN):
            raise ValueError(NO_FORMULA)
    return tree


def _value(node: ast.AST, figures: Mapping[str, float]) -> float:
    match node:
        case ast.BinOp(left, operation, right):
            return OPERATIONS[type(operation)](_value(left, figures), _value(right, figures))
        case ast.UnaryOp(sign, operand):
            value = _value(operand, figures)
            return -value if isinstance(sign, ast.USub) else value
        case ast.Constant(int() | float() as number):
            return float(number)
        case ast.Name(name):
            return figures[name]
    raise AssertionError(node)
