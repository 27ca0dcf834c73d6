"""Rules on a plan, such as ``capital > 900M``: a metric, perhaps with a key, and a limit.

A rule says when a plan *fails*. Texts are read by a grammar of their own; nothing in them is run.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from planner.errors import Problem
from planner.infrastructure.horizon import MONTH_PATTERN, month_number
from planner.infrastructure.source import nearest, printable
from planner.plan.metrics import METRICS, Metric, Unit

OPERATORS: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {
        ">=": operator.ge,
        "<=": operator.le,
        "==": operator.eq,
        "!=": operator.ne,
        ">": operator.gt,
        "<": operator.lt,
    }
)
_POWERS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}
_USD = _POWERS | {f"{power}usd": factor for power, factor in _POWERS.items()}
#: What may stand behind a number, by unit of the metric, with its factor.
SUFFIXES: Mapping[Unit, Mapping[str, float]] = MappingProxyType(
    {
        "USD": _USD,
        "USD/year": _USD,
        "share": {"": 1.0, "%": 0.01},
        "minutes": {"": 1.0, "s": 1 / 60, "min": 1.0, "h": 60.0, "d": 1440.0},
        "°C": {"": 1.0, "c": 1.0, "°c": 1.0},
        "MW": {"": 1.0, "kw": 1e-3, "mw": 1.0, "gw": 1e3},
        "count": _POWERS,
        "days": {"": 1.0, "min": 1 / 1440, "h": 1 / 24, "d": 1.0},
        "month": {},
    }
)
#: Examples of limits by unit.
EXAMPLES: Mapping[Unit, str] = MappingProxyType(
    {
        "USD": "900M, 1.2B, 250k",
        "USD/year": "90M, 1.2B, 250k",
        "share": "0.99, 99%",
        "minutes": "90, 90min, 2h",
        "°C": "85, 85C",
        "MW": "40, 40MW, 500kW",
        "count": "1200, 12k, 3M",
        "days": "30, 30d, 12h",
        "month": "2027-03",
    }
)
#: Longest text of a rule.
MOST_CHARACTERS = 200
_NUMBER = re.compile(r"[+-]?(\d[\d_]*\.?\d*|\.\d+)(e[+-]?\d{1,3})?", re.IGNORECASE | re.ASCII)
_METRIC = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_KEY = re.compile(r"\[([^\[\]]*)\]")
_SIGN = re.compile(r"[<>=!≤≥≠]+")


@dataclass(frozen=True)
class Rule:
    """When a plan fails.

    Parameters
    ----------
    text
        The rule as it was written.
    metric, key, sign, limit
        Its parts; the limit in the unit of the metric, the key empty where none is given.
    name, message
        What it is called and what to tell whoever breaks it; empty if nobody said.
    origin
        File or option it stands in.
    line, column
        Position from 1; 0 for options.
    key_at
        Index of the key in the text.
    """

    text: str
    metric: Metric
    key: str
    sign: str
    limit: float
    name: str = ""
    message: str = ""
    origin: str = "--fail-on"
    line: int = 0
    column: int = 0
    key_at: int = 0

    @property
    def subject(self) -> str:
        """Metric with its key."""
        return f"{self.metric.name}[{self.key}]" if self.key else self.metric.name


class WrongRuleError(Exception):
    """What is wrong with the text of a rule, and where."""

    def __init__(self, message: str, at: int, length: int = 1) -> None:
        super().__init__(message)
        self.message, self.at, self.length = message, at, max(1, length)


def rule_problem(
    text: str, error: WrongRuleError, origin: str, line: int = 0, column: int = 0, where: str = ""
) -> Problem:
    """What is wrong with a rule, with its text and a mark below the place."""
    shown = printable(text)
    # What is written out takes more room than the character that it stands for.
    before = len(printable(text[: error.at]))
    if len(shown) > MOST_CHARACTERS:
        return Problem(origin, line, column, where, error.message)
    picture = f"\n      {shown}\n      {' ' * before}{'^' * error.length}"
    return Problem(origin, line, column, where, error.message + picture)


def parsed(text: str, origin: str, metrics: Mapping[str, Metric] = METRICS) -> Rule:
    """Read one rule on some metrics; `WrongRuleError` says what is wrong with it, and where."""
    if len(text) > MOST_CHARACTERS:
        raise WrongRuleError(
            f"a rule has at most {MOST_CHARACTERS} characters, not {len(text):,}", 0
        )
    at = len(text) - len(text.lstrip())
    found = _METRIC.match(text, at)
    if found is None:
        raise WrongRuleError("expected METRIC[KEY] > LIMIT, such as capital > 900M", at)
    metric = metrics.get(found[0])
    if metric is None:
        known = nearest(found[0].lower(), metrics) or f"; there are {', '.join(metrics)}"
        raise WrongRuleError(f"there is no metric `{found[0]}`{known}", at, len(found[0]))
    key, key_at, at = _key(text, found.end(), metric)
    sign, at = _sign(text, at)
    limit = _limit(text, at, metric)
    return Rule(text.strip(), metric, key, sign, limit, origin=origin, key_at=key_at)


def _skip(text: str, at: int) -> int:
    return len(text) - len(text[at:].lstrip())


def _key(text: str, at: int, metric: Metric) -> tuple[str, int, int]:
    """Key in brackets, where it stands, and where the text goes on."""
    at = _skip(text, at)
    if text[at : at + 1] != "[":
        return "", at, at
    found = _KEY.match(text, at)
    if found is None:
        raise WrongRuleError("the bracket is not closed", at)
    if not metric.keys:
        raise WrongRuleError(f"`{metric.name}` takes nothing in brackets", at, len(found[0]))
    key = found[1].strip()
    if not key:
        raise WrongRuleError(f"the brackets are empty; expected {metric.keys}", at, len(found[0]))
    return key, _skip(text, at + 1), found.end()


def _sign(text: str, at: int) -> tuple[str, int]:
    at = _skip(text, at)
    found = _SIGN.match(text, at)
    signs = ", ".join(OPERATORS)
    if found is None:
        raise WrongRuleError(f"expected one of {signs}", at)
    if found[0] not in OPERATORS:
        instead = {"=": "==", "=>": ">=", "=<": "<=", "≤": "<=", "≥": ">=", "≠": "!=", "<>": "!="}
        hint = f"; did you mean `{instead[found[0]]}`?" if found[0] in instead else ""
        message = f"`{found[0]}` is not a comparison{hint or '; expected one of ' + signs}"
        raise WrongRuleError(message, at, len(found[0]))
    return found[0], found.end()


def _limit(text: str, at: int, metric: Metric) -> float:
    at = _skip(text, at)
    rest = text[at:].rstrip()
    example = EXAMPLES[metric.unit]
    if metric.unit == "month":
        if not re.fullmatch(MONTH_PATTERN, rest):
            message = f"`{rest}` is not a month; expected a limit such as {example}"
            raise WrongRuleError(message, at, len(rest))
        return float(month_number(rest))
    dollars = rest.startswith("$") and metric.unit.startswith("USD")
    number = _NUMBER.match(text, at + dollars)
    if number is None:
        what = f"`{rest}` is not a number" if rest else "the limit is missing"
        message = f"{what}; expected a limit such as {example}"
        raise WrongRuleError(message, at, len(rest))
    behind = text[number.end() :].strip()
    factor = SUFFIXES[metric.unit].get(behind.lower())
    if factor is None:
        message = (
            f"`{behind}` is not a unit of {metric.name}; expected {metric.unit}, as in {example}"
        )
        raise WrongRuleError(message, _skip(text, number.end()), len(behind))
    value = float(number[0].replace("_", "")) * factor
    if not math.isfinite(value):
        raise WrongRuleError(f"`{rest}` is too large", at, len(rest))
    if metric.unit == "share" and not 0 <= value <= 1:
        whole = float(number[0].replace("_", ""))
        hint = f"; did you mean {whole:g}%?" if not behind and 1 < whole <= 100 else ""
        message = f"`{rest}` is not a share from 0 to 1, or 0% to 100%{hint}"
        raise WrongRuleError(message, at, len(rest))
    return value
