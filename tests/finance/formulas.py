"""A small calculator for the formulas of cash flows in a workbook, where no office is at hand.

It knows what those sheets use: arithmetic on cells and ranges, and a dozen functions. Everything is
worked out from inputs and formulas; the values written beside formulas are not looked at.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import openpyxl
from finance.recalculation import cash_flow_row
from openpyxl.formula import Tokenizer
from openpyxl.utils import range_boundaries

Cells = tuple[str, int, int, int, int]


class Calculator:
    """Values of a book under other inputs."""

    def __init__(self, book: openpyxl.Workbook, inputs: Mapping[str, Any]) -> None:
        self.book = book
        self._names = {}
        for name, one in book.defined_names.items():
            ((sheet, place),) = one.destinations
            self._names[name] = self._cells(sheet.replace("''", "'"), place)
        self._values: dict[tuple[str, int, int], Any] = {}
        for name, value in inputs.items():
            sheet, left, top, _, _ = self._names[name]
            rows = value if isinstance(value, list) else [(0, value)]
            for offset, one in rows:
                self._values[sheet, top + offset, left] = one
        self._code: dict[tuple[str, str], Any] = {}

    def row(self, build: str, label: str) -> list[float]:
        """Values by year of the row with a label in the cash flow of a build."""
        row = cash_flow_row(self.book, build, label)
        columns = range(4, self.book["Cash flow"].max_column + 1)
        return [float(self._value("Cash flow", row, column)) for column in columns]

    def named(self, name: str) -> Any:
        """Value of a named cell."""
        sheet, left, top, _, _ = self._names[name]
        return self._value(sheet, top, left)

    @staticmethod
    def _cells(sheet: str, place: str) -> Cells:
        left, top, right, bottom = range_boundaries(place.replace("$", ""))
        return sheet, left, top, right, bottom

    def _value(self, sheet: str, row: int, column: int) -> Any:
        key = (sheet, row, column)
        if key not in self._values:
            cell = self.book[sheet].cell(row, column)
            value = cell.value if cell.value is not None else 0.0
            if cell.data_type == "f":
                value = self._evaluate(sheet, str(cell.value))
            self._values[key] = value
        return self._values[key]

    def _range(self, cells: Cells) -> Any:
        sheet, left, top, right, bottom = cells
        if (left, top) == (right, bottom):
            return self._value(sheet, top, left)
        rows = [
            [self._value(sheet, row, column) for column in range(left, right + 1)]
            for row in range(top, bottom + 1)
        ]
        return np.array(rows)

    def _evaluate(self, sheet: str, formula: str) -> Any:
        code = self._code.get((sheet, formula))
        if code is None:
            code = compile(self._translated(sheet, formula), formula, "eval")
        scope = {"of": self._range, **FUNCTIONS}
        return eval(code, scope)

    def _translated(self, sheet: str, formula: str) -> str:
        """A formula in Python."""
        words, open_ifs = [], []
        for token in Tokenizer(formula).items:
            text = token.value
            if token.type == "OPERAND" and token.subtype == "RANGE":
                words.append(f"of({self._named(sheet, text)!r})")
            elif token.type == "FUNC" and token.subtype == "OPEN":
                open_ifs.append(text == "IF(")
                words.append("IF(lambda: " if text == "IF(" else f"{text[:-1]}_(")
            elif token.type == "SEP":
                words.append(", lambda: " if open_ifs and open_ifs[-1] else ", ")
            elif token.type == "PAREN":
                open_ifs = [*open_ifs, False] if token.subtype == "OPEN" else open_ifs[:-1]
                words.append(text)
            else:
                if token.type == "FUNC":
                    open_ifs.pop()
                words.append({"^": "**", "=": "==", "<>": "!="}.get(text, text))
        return "".join(words).strip()

    def _named(self, sheet: str, text: str) -> Cells:
        if text in self._names:
            return self._names[text]
        where, _, place = text.rpartition("!")
        where = where.strip("'").replace("''", "'") if where else sheet
        return self._cells(where, place)


def _sum_ifs(amounts: Any, *conditions: Any) -> float:
    amounts = _table(amounts)
    kept = np.ones(np.shape(amounts), dtype=bool)
    for values, wanted in zip(conditions[::2], conditions[1::2], strict=True):
        sign, text = re.match(r"(<>)?(.*)", str(wanted)).groups()  # type: ignore[union-attr]
        same = np.array([[str(one) == text for one in row] for row in _table(values)])
        kept &= ~same if sign else same
    return float(sum(float(one) for one in amounts[kept]))


def _table(values: Any) -> Any:
    """A range, also of a single cell."""
    return values if isinstance(values, np.ndarray) else np.array([[values]])


def _index(values: Any, row: float, column: float | None = None) -> Any:
    if column is None:
        return np.ravel(values)[int(row) - 1]
    if row == 0:
        return values[:, int(column) - 1 : int(column)]
    return values[int(row) - 1, int(column) - 1]


def _total(*values: Any) -> float:
    return float(sum(np.sum(np.asarray(one, dtype=float)) for one in values))


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "IF": lambda test, yes, no: yes() if test() else no(),
    "SUM_": _total,
    "SUMPRODUCT_": _total,
    "SUMIFS_": _sum_ifs,
    "INDEX_": _index,
    "MATCH_": lambda value, values, _: int(np.flatnonzero(np.ravel(values) == value)[0]) + 1,
    "INT_": np.floor,
    "ABS_": np.abs,
    "SIGN_": np.sign,
    "MIN_": min,
    "MAX_": max,
    "AND_": lambda *tests: all(tests),
    "OR_": lambda *tests: any(tests),
    "ROUND_": lambda value, places: math.floor(value * 10**places + 0.5) / 10**places,
}
