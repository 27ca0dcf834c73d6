"""Cash flows that a user states beside those of a plan: revenue of new capacity, grants, staff."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from planner.errors import InputError, Problem, refuse
from planner.files import read_bytes
from planner.finance.cashflow import Floats
from planner.infrastructure.source import printable

COLUMNS = ("year", "usd")
#: No amount of a cash flow is larger.
MOST_USD = 1e15


def read_flows(path: Path, last_year: int, first_year: int = 0) -> Floats:
    """Read cash flows from a CSV file with the columns `year` and `usd`; other columns are ignored.

    Several lines of one year add up; income is positive.

    Parameters
    ----------
    last_year, first_year
        Years that may be stated: of the horizon of an appraisal from 0 on, or of a calendar.

    Returns
    -------
    ndarray
        USD by year, shape (last - first + 1,).

    Raises
    ------
    InputError
        With every problem: unreadable file, missing columns, no lines, invalid years or amounts.
    """
    try:
        text = read_bytes(path, str(path)).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError.single(str(path), "is not text in UTF-8") from error
    try:
        return _read(
            path, csv.DictReader(io.StringIO(text, newline="")), range(first_year, last_year + 1)
        )
    except csv.Error as error:
        raise InputError.single(str(path), f"is not a CSV file: {error}") from error


def _read(path: Path, rows: csv.DictReader[str], years: range) -> Floats:
    """Flows by year of the rows of a table."""
    _check_columns(path, rows.fieldnames or ())
    flows = np.zeros(len(years))
    problems: list[Problem] = []
    lines = 0
    for row in rows:
        lines += 1
        year = _year(row["year"], years)
        usd = _usd(row["usd"])
        for name, value in (("year", year), ("usd", usd)):
            if isinstance(value, str):
                problems.append(Problem(str(path), rows.line_num, 1, name, value))
        if isinstance(year, int) and isinstance(usd, float):
            flows[year - years[0]] += usd
    if not lines:
        problems.append(Problem(str(path), 0, 0, "", "contains no cash flow"))
    refuse(problems)
    return flows


def _check_columns(path: Path, names: Sequence[str]) -> None:
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        message = f"lacks the column {' and '.join(missing)} (columns are separated by commas)"
        raise InputError.single(str(path), message, 1, 1)
    doubled = [name for name in COLUMNS if names.count(name) > 1]
    if doubled:
        message = f"has the column {' and '.join(doubled)} more than once"
        raise InputError.single(str(path), message, 1, 1)


def _year(text: str | None, years: range) -> int | str:
    """A year, or what is wrong with it."""
    shown = printable((text or "").strip())
    if not (shown.isascii() and shown.isdigit() and len(shown) < 9) or int(shown) not in years:
        last = f"{years[-1]}" if years[0] else f"the horizon of {years[-1]}"
        return f"expected a whole year from {years[0]} to {last}, got `{shown}`"
    return int(shown)


def _usd(text: str | None) -> float | str:
    """An amount, or what is wrong with it."""
    shown = printable((text or "").strip())
    try:
        # Python also reads 1_000 and digits of other scripts.
        usd = float(shown) if shown.isascii() and "_" not in shown else math.nan
    except ValueError:
        usd = math.nan
    if not abs(usd) <= MOST_USD:
        return f"expected an amount in USD without separators, got `{shown}`"
    return usd
