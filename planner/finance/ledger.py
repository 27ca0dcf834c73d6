"""The ledger of a recorded incident: figures as printed, and recomputed from their own inputs.

An incident has a ledger if ``ledger.csv`` stands in its folder, beside ``figures.csv`` with its
printed figures by name. Nothing is corrected: what is printed and what the inputs give stand side
by side.
"""

from __future__ import annotations

import ast
import csv
import io
import math
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from planner.errors import InputError, Problem, refuse
from planner.files import read_bytes
from planner.infrastructure.source import printable
from planner.laws.returns import incidents_to_justify
from planner.replay.loading import find_incident

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


LEDGER, FIGURES = "ledger.csv", "figures.csv"
COLUMNS = ("item", "group", "printed", "formula", "unit", "role", "note")
FIGURE_COLUMNS = ("name", "printed")
#: What a line stands for in the break-even, and the unit it counts in then.
ROLES = {"incident": "USD", "capital": "USD", "yearly": "USD/year"}
#: Digits that a printed figure may have; those beyond are rounding of the binary number.
MOST_DIGITS = 12


@dataclass(frozen=True)
class LedgerLine:
    """A figure as printed and by its formula.

    Parameters
    ----------
    item, group, unit
        What it is, where it belongs, and in what it counts.
    printed
        As printed; None where nothing is printed.
    by_formula
        By the formula; None where no inputs are given.
    formula
        The formula over names of printed figures; empty where no inputs are given.
    inputs
        Names and printed values of what the formula takes.
    role
        What the line stands for in the break-even: ``incident``, ``capital``, ``yearly`` or empty.
    note
        What to know about it.
    """

    item: str
    group: str
    unit: str
    printed: float | None
    by_formula: float | None
    formula: str
    inputs: tuple[tuple[str, float], ...]
    role: str
    note: str

    @property
    def difference(self) -> float | None:
        """By formula less printed."""
        if self.printed is None or self.by_formula is None:
            return None
        return self.by_formula - self.printed

    @property
    def agrees(self) -> bool | None:
        """Whether the formula, rounded to the digits that are printed, gives what is printed.

        Trailing zeros do not count as digits: 1,700,000 has two.
        """
        if self.printed is None or self.by_formula is None:
            return None
        digits = significant_digits(self.printed)
        return f"{self.by_formula:.{digits - 1}e}" == f"{self.printed:.{digits - 1}e}"

    @property
    def is_money(self) -> bool:
        """Whether the line counts in USD, once or for each day, month or year."""
        return self.unit.split("/")[0] == "USD"

    @property
    def printed_usd(self) -> float | None:
        """As printed, USD; None for other units."""
        return self.printed if self.is_money else None

    @property
    def by_formula_usd(self) -> float | None:
        """By the formula, USD; None for other units."""
        return self.by_formula if self.is_money else None


@dataclass(frozen=True)
class IncidentBreakEven:
    """How many such incidents justify the prevention that the record proposes.

    Parameters
    ----------
    basis
        ``printed`` or ``by formula``.
    capital_usd, usd_per_year
        Prevention, USD once and USD per year.
    usd_per_incident
        Cost of one incident, USD.
    years
        Years that are looked at.
    incidents, incidents_discounted
        Incidents within these years at which prevention breaks even, undiscounted and discounted.
    """

    basis: str
    capital_usd: float
    usd_per_year: float
    usd_per_incident: float
    years: int
    incidents: float
    incidents_discounted: float


def significant_digits(value: float) -> int:
    """Digits of a number without leading and trailing zeros.

    >>> significant_digits(1_577_100_000.0), significant_digits(83.3), significant_digits(0.0)
    (5, 3, 1)
    """
    mantissa = f"{value:.{MOST_DIGITS - 1}e}".lstrip("-").split("e")[0]
    return max(1, len(mantissa.replace(".", "").rstrip("0")))


def read_ledger(incident: str | Path) -> tuple[LedgerLine, ...]:
    """Ledger of an incident; empty if it has none.

    Parameters
    ----------
    incident
        Name of a shipped incident, or path of an incident file.

    Raises
    ------
    InputError
        If there is no such incident, or with everything that is wrong with its ledger.
    """
    folder = find_incident(incident).resolve().parent
    if not (folder / LEDGER).is_file():
        return ()
    problems: list[Problem] = []
    figures = _figures(folder / FIGURES, problems)
    lines = list(_lines(folder / LEDGER, figures, problems))
    refuse(problems)
    return tuple(lines)


def break_even(
    lines: Sequence[LedgerLine], rate: float, years: int = 10
) -> tuple[IncidentBreakEven, ...]:
    """Break-even of the prevention that a ledger states, as printed and by formula.

    Taken are the lines with a role: the cost of an incident, the capital of prevention, what it
    costs per year. A line without formula counts as printed. Empty if a role is missing.

    Parameters
    ----------
    rate
        Discount rate per year.
    years
        Years that are looked at.

    Raises
    ------
    ValueError
        If the rate, the years or an amount make no sense; see `incidents_to_justify`.
    """
    parts = {line.role: line for line in lines if line.role}
    if parts.keys() != ROLES.keys():
        return ()
    printed = {role: _either(line.printed, line.by_formula) for role, line in parts.items()}
    formula = {role: _either(line.by_formula, line.printed) for role, line in parts.items()}
    return (
        _break_even("printed", printed, rate, years),
        _break_even("by formula", formula, rate, years),
    )


def _either(first: float | None, second: float | None) -> float:
    value = second if first is None else first
    return math.nan if value is None else value


def _break_even(basis: str, usd: Mapping[str, float], rate: float, years: int) -> IncidentBreakEven:
    amounts = (usd["capital"], usd["yearly"], usd["incident"])
    return IncidentBreakEven(
        basis,
        *amounts,
        years,
        incidents_to_justify(*amounts, 0.0, years),
        incidents_to_justify(*amounts, rate, years),
    )


def _figures(path: Path, problems: list[Problem]) -> dict[str, float]:
    """Printed figures by name."""
    figures: dict[str, float] = {}
    for number, row in _rows(path, FIGURE_COLUMNS, problems):
        name = row["name"]
        try:
            value = float(row["printed"])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            _complain(problems, path, number, name, f"{row['printed']!r} is not a finite number")
        elif name in figures:
            _complain(problems, path, number, name, "is listed twice")
        figures[name] = value
    return figures


def _lines(
    path: Path, figures: Mapping[str, float], problems: list[Problem]
) -> Iterator[LedgerLine]:
    items: set[tuple[str, str]] = set()
    roles: set[str] = set()
    for number, row in _rows(path, COLUMNS, problems):
        wrong = [f"{column} is empty" for column in ("item", "group", "unit") if not row[column]]
        if (row["group"], row["item"]) in items:
            wrong.append("is listed twice in its group")
        wrong += _role_problems(row, roles)
        if not row["printed"] and not row["formula"]:
            wrong.append("has neither a printed figure nor a formula")
        items.add((row["group"], row["item"]))
        roles.add(row["role"])
        printed = _amount("printed", row["printed"], figures, wrong)
        by_formula = _amount("formula", row["formula"], figures, wrong)
        for message in wrong:
            _complain(problems, path, number, row["item"] or "item", message)
        if not wrong:
            yield _line(row, printed, by_formula, figures)


def _role_problems(row: Mapping[str, str], taken: set[str]) -> list[str]:
    role, unit = row["role"], row["unit"]
    if not role:
        return []
    if role not in ROLES:
        return [f"role: expected one of {', '.join(ROLES)}, not {role!r}"]
    wrong = [f"role {role} is taken"] if role in taken else []
    if unit != ROLES[role]:
        wrong.append(f"role {role} counts in {ROLES[role]}, not {unit}")
    return wrong


def _line(
    row: Mapping[str, str],
    printed: float | None,
    by_formula: float | None,
    figures: Mapping[str, float],
) -> LedgerLine:
    taken = names(row["formula"]) if row["formula"] else ()
    inputs = tuple((name, figures[name]) for name in taken)
    texts = {name: row[name] for name in ("item", "group", "unit", "formula", "role", "note")}
    return LedgerLine(printed=printed, by_formula=by_formula, inputs=inputs, **texts)


def _amount(column: str, text: str, figures: Mapping[str, float], wrong: list[str]) -> float | None:
    if not text:
        return None
    try:
        return evaluate(text, figures)
    except ValueError as error:
        wrong.append(f"{column} {error}")
        return None


def _rows(
    path: Path, columns: Sequence[str], problems: list[Problem]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a table with the number of their line; nothing if it cannot be read."""
    try:
        text = read_bytes(path, str(path)).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            _complain(problems, path, 1, "", f"lacks the columns {', '.join(missing)}")
            return
        for row in reader:
            if None in row or None in row.values():
                message = f"expected {len(reader.fieldnames or ())} values"
                _complain(problems, path, reader.line_num, "", message)
            else:
                yield reader.line_num, {name: value.strip() for name, value in row.items()}
    except InputError as error:
        problems.extend(error.problems)
    except (UnicodeDecodeError, csv.Error) as error:
        _complain(problems, path, 1, "", f"is not a table of text: {error}")


def _complain(problems: list[Problem], path: Path, line: int, where: str, message: str) -> None:
    problems.append(Problem(str(path), line, 1, printable(where), printable(message)))
