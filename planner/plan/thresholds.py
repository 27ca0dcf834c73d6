"""Thresholds on a plan: rules such as ``capital > 900M``, read strictly and judged without Python.

A rule is a metric, perhaps with a key in brackets, a comparison and a limit. It says when a plan
*fails*. A figure that a plan does not have fails every rule on it: what is not known is not proven.
"""

from __future__ import annotations

import math
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from planner.errors import InputError, Problem
from planner.infrastructure.loading import nearest
from planner.infrastructure.prices import PARTS
from planner.infrastructure.source import Document, parse_yaml, printable, read_bytes
from planner.plan.assembly import now
from planner.plan.records import CoolingLine, GpuLine, Plan, ScenarioLine
from planner.scenarios.components import SEVERITY_ORDER
from planner.scenarios.standard import subject_of

Unit = Literal["USD", "USD/year", "share", "minutes", "°C", "MW", "count", "days"]
#: Values by key; an empty table means that the plan has nothing to say.
Values = dict[str, float]

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
    }
)
#: Longest text of a rule.
MOST_SIGNS = 200
MOST_RULES = 1000
#: Two figures of a plan that are this close are the same: half a cent for each line that is added.
HALF_A_CENT = 0.005
#: Relative distance below which a figure counts as its limit.
SAME = 1e-12
_NUMBER = re.compile(r"[+-]?(\d[\d_]*\.?\d*|\.\d+)(e[+-]?\d{1,3})?", re.IGNORECASE | re.ASCII)
_METRIC = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_KEY = re.compile(r"\[([^\[\]]*)\]")
_SIGN = re.compile(r"[<>=!≤≥≠]+")
_FIELDS = ("name", "fail_on", "message")


@dataclass(frozen=True)
class Metric:
    """A figure of a plan that rules may speak of.

    Parameters
    ----------
    name
        Name in rules.
    unit
        Unit of its limits.
    meaning
        What it is.
    keys
        What may stand in brackets, in words; empty if nothing.
    values
        Figures by key; ``""`` is the figure without one. A key that a plan knows but has no figure
        for is NaN.
    """

    name: str
    unit: Unit
    meaning: str
    keys: str
    values: Callable[[Plan], Values]


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


@dataclass(frozen=True)
class RuleResult:
    """What a rule makes of a plan.

    Parameters
    ----------
    value
        Figure of the plan; None if it has none, infinite if a scenario never recovers.
    failed
        Whether the plan fails.
    """

    rule: Rule
    value: float | None
    failed: bool

    @property
    def reason(self) -> str:
        """Why it fails, or holds, with value and limit."""
        rule = self.rule
        if self.value is None:
            return f"{rule.subject} has no value in this plan, which fails every rule on it"
        unit = rule.metric.unit
        shown, limit = _apart(self.value, rule.limit, unit)
        return f"{rule.subject} is {shown}; fails if {rule.sign} {limit}"


# ----------------------------------------------------------------------------------------- metrics


def _by_category(plan: Plan, field: str) -> Values:
    found = {"": getattr(plan.cost, field)}
    for line in plan.cost.items:
        found[line.category] = found.get(line.category, 0.0) + getattr(line, field)
    # Servers, building and power together, as plans made before they were apart state them.
    found.setdefault("gpus", sum(found.get(part, 0.0) for part in PARTS))
    # What a plan may cost but does not.
    return dict.fromkeys(CATEGORIES, 0.0) | found


#: Categories of cost.
CATEGORIES = (
    "cooling",
    "gpus",
    *PARTS,
    "regions",
    "measures",
    "emergency",
    "energy",
    "transport",
    "recourse",
    "risk",
)


def _summed(entries: Iterable[tuple[tuple[str, ...], float]]) -> Values:
    """Sums by each of some keys and in all; a key that means two things has its first meaning."""
    found: Values = {"": 0.0}
    kinds: dict[str, int] = {}
    for keys, amount in entries:
        found[""] += amount
        for kind, key in enumerate(dict.fromkeys(keys)):
            if kinds.setdefault(key, kind) > kind:
                kinds[key], found[key] = kind, 0.0
            if kinds[key] == kind:
                found[key] = found.get(key, 0.0) + amount
    return found


def _largest(of: Callable[[ScenarioLine], float]) -> Callable[[Plan], Values]:
    """Largest figure of a scenario: of all, of a class, or the one named."""

    def values(plan: Plan) -> Values:
        found: Values = dict.fromkeys(("", *SEVERITY_ORDER), math.nan)
        for line in plan.scenarios:
            for key in {"", line.severity}:
                before = found.get(key, math.nan)
                found[key] = of(line) if math.isnan(before) else max(before, of(line))
        return {line.name: of(line) for line in plan.scenarios} | found

    return values


def _survives(plan: Plan) -> Values:
    judged = [line for line in plan.scenarios if line.judged]
    found: Values = {
        line.name: float(line.survives) if line.judged else math.nan for line in plan.scenarios
    }
    for key in ("", *SEVERITY_ORDER, *{line.severity for line in plan.scenarios}):
        some = [line.survives for line in judged if key in ("", line.severity)]
        found[key] = sum(some) / len(some) if some else math.nan
    return found


def _scenarios(plan: Plan) -> Values:
    found: Values = dict.fromkeys(("", *SEVERITY_ORDER), 0.0)
    for line in plan.scenarios:
        if not line.judged:
            continue
        found[""] += 1
        found[line.severity] = found.get(line.severity, 0.0) + 1
    return found


def _served(plan: Plan) -> Values:
    found: Values = {"": math.nan}
    for line in plan.scenarios:
        zones = line.served_by_zone.items()
        by_zone = {subject_of(t, zone): part for zone, some in zones for t, part in some.items()}
        for tier, fraction in (line.served | by_zone).items():
            for key in ("", tier):
                before = found.get(key, math.nan)
                found[key] = fraction if math.isnan(before) else min(before, fraction)
    return found


def _recovery(line: ScenarioLine) -> float:
    return math.inf if line.recovery_minutes is None else line.recovery_minutes


def _expected_lost(plan: Plan) -> Values:
    lines = plan.scenarios
    return {"": sum(line.frequency_per_year * line.lost_requests for line in lines)}


def _age_days(plan: Plan) -> Values:
    try:
        made, today = (datetime.fromisoformat(text) for text in (plan.created, now()))
    except ValueError:
        return {"": math.nan}
    aware = [one if one.tzinfo else one.replace(tzinfo=UTC) for one in (made, today)]
    return {"": (aware[1] - aware[0]).total_seconds() / 86_400}


_ONE = "a class or scenario"
METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        one.name: one
        for one in (
            Metric(
                "capital",
                "USD",
                "paid once",
                "a category",
                lambda plan: _by_category(plan, "capital_usd"),
            ),
            Metric(
                "usd_per_year",
                "USD/year",
                "annualised capital, upkeep, running and expected cost",
                "a category",
                lambda plan: _by_category(plan, "usd_per_year"),
            ),
            Metric(
                "cost",
                "USD/year",
                "the same as usd_per_year",
                "a category",
                lambda plan: _by_category(plan, "usd_per_year"),
            ),
            Metric(
                "gap",
                "share",
                "how much cheaper a plan might still be",
                "",
                lambda plan: {"": plan.gap},
            ),
            Metric("survives", "share", "share of scenarios survived", _ONE, _survives),
            Metric("scenarios", "count", "scenarios judged", "a class", _scenarios),
            Metric("served", "share", "least served of a tier in any scenario", "a tier", _served),
            Metric(
                "recovery_minutes",
                "minutes",
                "longest until all is served again; never counts as infinite",
                _ONE,
                _largest(_recovery),
            ),
            Metric(
                "peak_temperature_c",
                "°C",
                "hottest cluster in any scenario",
                _ONE,
                _largest(lambda line: line.peak_temperature_c),
            ),
            Metric(
                "lost_requests",
                "count",
                "most requests lost in one scenario",
                _ONE,
                _largest(lambda line: line.lost_requests),
            ),
            Metric(
                "lost_requests_per_year",
                "count",
                "expected in a year",
                "",
                _expected_lost,
            ),
            Metric(
                "emergency_usd",
                "USD",
                "most emergency spend in one scenario",
                _ONE,
                _largest(lambda line: line.emergency_usd),
            ),
            Metric(
                "gpus",
                "count",
                "GPUs in the end",
                "a cluster or region",
                lambda plan: _summed(((g.cluster, g.region), float(g.total)) for g in plan.gpus),
            ),
            Metric(
                "cooling_mw",
                "MW",
                "all units at design ambient",
                "a plant or region",
                lambda plan: _summed(
                    ((c.plant, c.region), c.total * c.derated_mw_each) for c in plan.cooling
                ),
            ),
            Metric(
                "emergency_gpus",
                "count",
                "GPUs reserved in the cloud",
                "an offer or provider",
                lambda plan: _summed(
                    ((e.offer, e.provider), float(e.gpus_reserved)) for e in plan.emergency
                ),
            ),
            Metric(
                "rounds",
                "count",
                "rounds of optimising and simulating",
                "",
                lambda plan: {"": float(len(plan.verification.rounds))},
            ),
            Metric("age_days", "days", "since the plan was made", "", _age_days),
        )
    }
)


# ----------------------------------------------------------------------------------------- reading


class _WrongRuleError(Exception):
    """What is wrong with the text of a rule, and where."""

    def __init__(self, message: str, at: int, length: int = 1) -> None:
        super().__init__(message)
        self.message, self.at, self.length = message, at, max(1, length)


def parse_rule(text: str, origin: str = "--fail-on") -> Rule:
    """Read one rule.

    Raises
    ------
    InputError
        If it is wrong; the message points at the place.
    """
    try:
        return _parse(text, origin)
    except _WrongRuleError as error:
        raise InputError([_problem(text, error, origin)]) from error


def parse_rules(texts: Iterable[str], origin: str = "--fail-on") -> tuple[Rule, ...]:
    """Read rules.

    Raises
    ------
    InputError
        With everything that is wrong with any of them.
    """
    rules, problems = [], []
    for text in texts:
        try:
            rules.append(_parse(text, origin))
        except _WrongRuleError as error:
            problems.append(_problem(text, error, origin))
    if problems:
        raise InputError(problems)
    return tuple(rules)


def _problem(
    text: str, error: _WrongRuleError, origin: str, line: int = 0, column: int = 0, where: str = ""
) -> Problem:
    """A problem of a rule with its text and a mark below the place."""
    shown = printable(text)
    # What is written out takes more room than the sign that it stands for.
    before = len(printable(text[: error.at]))
    if len(shown) > MOST_SIGNS:
        return Problem(origin, line, column, where, error.message)
    picture = f"\n      {shown}\n      {' ' * before}{'^' * error.length}"
    return Problem(origin, line, column, where, error.message + picture)


def _parse(text: str, origin: str) -> Rule:
    if len(text) > MOST_SIGNS:
        raise _WrongRuleError(f"a rule has at most {MOST_SIGNS} signs, not {len(text):,}", 0)
    at = len(text) - len(text.lstrip())
    found = _METRIC.match(text, at)
    if found is None:
        raise _WrongRuleError("expected METRIC[KEY] > LIMIT, such as capital > 900M", at)
    metric = METRICS.get(found[0])
    if metric is None:
        known = nearest(found[0].lower(), METRICS) or f"; there are {', '.join(METRICS)}"
        raise _WrongRuleError(f"there is no metric `{found[0]}`{known}", at, len(found[0]))
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
        raise _WrongRuleError("the bracket is not closed", at)
    if not metric.keys:
        raise _WrongRuleError(f"`{metric.name}` takes nothing in brackets", at, len(found[0]))
    key = found[1].strip()
    if not key:
        raise _WrongRuleError(f"the brackets are empty; expected {metric.keys}", at, len(found[0]))
    return key, _skip(text, at + 1), found.end()


def _sign(text: str, at: int) -> tuple[str, int]:
    at = _skip(text, at)
    found = _SIGN.match(text, at)
    signs = ", ".join(OPERATORS)
    if found is None:
        raise _WrongRuleError(f"expected one of {signs}", at)
    if found[0] not in OPERATORS:
        instead = {"=": "==", "=>": ">=", "=<": "<=", "≤": "<=", "≥": ">=", "≠": "!=", "<>": "!="}
        hint = f"; did you mean `{instead[found[0]]}`?" if found[0] in instead else ""
        message = f"`{found[0]}` is no comparison{hint or '; expected one of ' + signs}"
        raise _WrongRuleError(message, at, len(found[0]))
    return found[0], found.end()


def _limit(text: str, at: int, metric: Metric) -> float:
    at = _skip(text, at)
    rest = text[at:].rstrip()
    example = EXAMPLES[metric.unit]
    dollars = rest.startswith("$") and metric.unit.startswith("USD")
    number = _NUMBER.match(text, at + dollars)
    if number is None:
        what = f"`{rest}` is no number" if rest else "the limit is missing"
        message = f"{what}; expected a limit such as {example}"
        raise _WrongRuleError(message, at, len(rest))
    behind = text[number.end() :].strip()
    factor = SUFFIXES[metric.unit].get(behind.lower())
    if factor is None:
        message = f"`{behind}` is no unit of {metric.name}; expected {metric.unit}, as in {example}"
        raise _WrongRuleError(message, _skip(text, number.end()), len(behind))
    value = float(number[0].replace("_", "")) * factor
    if not math.isfinite(value):
        raise _WrongRuleError(f"`{rest}` is too large", at, len(rest))
    if metric.unit == "share" and not 0 <= value <= 1:
        whole = float(number[0].replace("_", ""))
        hint = f"; did you mean {whole:g}%?" if not behind and 1 < whole <= 100 else ""
        message = f"`{rest}` is no share from 0 to 1, or 0% to 100%{hint}"
        raise _WrongRuleError(message, at, len(rest))
    return value


# --------------------------------------------------------------------------------------- policies


def read_policy(path: Path) -> tuple[Rule, ...]:
    """Read a policy file: a list ``rules`` of texts or of entries with name, fail_on and message.

    Raises
    ------
    InputError
        With every problem, each with its line.
    """
    shown = str(path)
    document = parse_yaml(read_bytes(path, shown), shown, expected="`rules:`")
    data = document.data
    for field in data:
        if field != "rules":
            document.complain((field,), f"is not a field of a policy{nearest(field, ['rules'])}")
    entries = data.get("rules")
    rules: list[Rule] = []
    if not isinstance(entries, list) or not entries:
        document.complain(("rules",), "expected `rules:` with a list of at least one rule")
    elif len(entries) > MOST_RULES:
        document.complain(("rules",), f"has more than {MOST_RULES:,} rules")
    else:
        found = [_entry(document, number, entry) for number, entry in enumerate(entries)]
        rules = [rule for rule in found if rule is not None]
        _complain_of_twins(document, entries)
    if document.problems:
        raise InputError(document.problems)
    return tuple(rules)


def _entry(document: Document, number: int, entry: Any) -> Rule | None:
    """One rule of a policy; None if something is wrong with it, which is then complained about."""
    path: tuple[str | int, ...] = ("rules", number)
    fields = {"fail_on": entry} if isinstance(entry, str) else entry
    if not isinstance(fields, dict):
        document.complain(path, "expected a rule such as `capital > 900M`, or name and fail_on")
        return None
    before = len(document.problems)
    for field, value in fields.items():
        if field not in _FIELDS:
            hint = nearest(field, _FIELDS) or f" (accepted: {', '.join(_FIELDS)})"
            document.complain((*path, field), f"is not a field of a rule{hint}")
        elif not isinstance(value, str):
            document.complain((*path, field), "expected text")
    text = fields.get("fail_on")
    if text is None and "fail_on" not in fields:
        document.complain(path, "has no `fail_on`, such as `fail_on: capital > 900M`")
    if not isinstance(text, str):
        return None
    place = document.place((*path, "fail_on"))
    try:
        rule = _parse(text, place.file)
    except _WrongRuleError as error:
        where = ".".join(map(str, path))
        problem = _problem(text, error, place.file, place.line, place.column, where)
        document.problems.append(problem)
        return None
    if len(document.problems) > before:
        return None
    return replace(
        rule,
        name=printable(fields.get("name", "")),
        message=printable(fields.get("message", "").strip()),
        line=place.line,
        column=place.column,
    )


def _complain_of_twins(document: Document, entries: Iterable[Any]) -> None:
    seen: set[str] = set()
    for number, entry in enumerate(entries):
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str) and name in seen:
            document.complain(("rules", number, "name"), f"`{name}` stands twice")
        elif isinstance(name, str):
            seen.add(name)


# ----------------------------------------------------------------------------------------- judging


def judge_rules(plan: Plan, rules: Iterable[Rule]) -> tuple[RuleResult, ...]:
    """Hold a plan against rules.

    Raises
    ------
    InputError
        With every key that the plan does not know.
    """
    outcomes, problems = [], []
    for rule in rules:
        values = rule.metric.values(plan)
        if rule.key in values:
            outcomes.append(_outcome(rule, values[rule.key]))
        else:
            problems.append(_unknown_key(rule, values))
    if problems:
        raise InputError(problems)
    return tuple(outcomes)


def _outcome(rule: Rule, value: float) -> RuleResult:
    if math.isnan(value):
        return RuleResult(rule, None, failed=True)
    if math.isclose(value, rule.limit, rel_tol=SAME):
        value = rule.limit  # 0.1 + 0.2 is 0.3
    return RuleResult(rule, value, OPERATORS[rule.sign](value, rule.limit))


def _unknown_key(rule: Rule, values: Values) -> Problem:
    known = sorted(key for key in values if key)
    close = get_close_matches(rule.key, known, n=1, cutoff=0.5)
    shown = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
    hint = f"; did you mean `{close[0]}`?" if close else f"; there are {shown or 'none'}"
    message = f"`{rule.key}` is not {rule.metric.keys} of this plan{hint}"
    error = _WrongRuleError(printable(message), rule.key_at, len(rule.key))
    return _problem(rule.text, error, rule.origin, rule.line, rule.column)


def contradictions(plan: Plan) -> list[str]:
    """Where a plan contradicts itself: totals that are not sums of their lines, lines twice."""
    found = []
    for field in ("capital_usd", "usd_per_year"):
        total, lines = getattr(plan.cost, field), [getattr(one, field) for one in plan.cost.items]
        # Lines are rounded to the cent, the total from the lines.
        if abs(total - sum(lines)) > HALF_A_CENT * (len(lines) + 2) + SAME * abs(total):
            found.append(f"cost.{field} is {total:,.2f}, its lines add up to {sum(lines):,.2f}")
    named: list[tuple[str, str, GpuLine | CoolingLine]] = [
        ("gpus", one.cluster, one) for one in plan.gpus
    ]
    counted = [*named, *(("cooling", f"{one.plant}/{one.unit}", one) for one in plan.cooling)]
    for part, name, line in counted:
        if line.total != line.existing + line.added - line.retired:
            found.append(
                f"{part}: {name} has {line.total:,}, which is not what exists and is added"
            )
    names = {
        "gpus": [one.cluster for one in plan.gpus],
        "cooling": [f"{one.plant}/{one.unit}" for one in plan.cooling],
        "emergency": [one.offer for one in plan.emergency],
        "measures": [one.measure for one in plan.measures],
        "scenarios": [one.name for one in plan.scenarios],
    }
    for part, listed in names.items():
        twice = [name for name, times in Counter(listed).items() if times > 1]
        found += [f"{part}: {name} stands twice" for name in twice]
    if plan.verification.survives == any(line.fails for line in plan.scenarios):
        found.append("verification.survives contradicts the scenarios")
    for scenario in plan.scenarios:
        if not scenario.fails and scenario.first_breach is not None:
            found.append(f"scenarios: {scenario.name} {scenario.status} with a breach")
    return found


# ------------------------------------------------------------------------------------------ wording


def shown_value(value: float | None, unit: Unit, digits: int = 4) -> str:
    """A figure with its unit, short.

    >>> shown_value(912_500_000.0, "USD"), shown_value(0.975, "share"), shown_value(90.0, "minutes")
    ('912.5 M USD', '97.5 %', '90 min')
    >>> shown_value(float("inf"), "minutes"), shown_value(None, "share")
    ('never', 'no value')
    """
    if value is None:
        return "no value"
    if math.isinf(value):
        return "never" if unit == "minutes" else "infinite"
    if unit == "share":
        return f"{100 * value:.{digits}g} %"
    if unit in ("USD", "USD/year"):
        year = " a year" if unit == "USD/year" else ""
        power, letter = next(
            ((p, s) for p, s in ((1e9, "B "), (1e6, "M "), (1e3, "k ")) if abs(value) >= p),
            (1.0, ""),
        )
        return f"{value / power:,.{digits}g} {letter}USD{year}"
    text = f"{value:,.{digits}g}"
    if "e" in text:
        text = f"{value:,.0f}"
    names = {"minutes": " min", "°C": " °C", "MW": " MW", "count": "", "days": " days"}
    return text + names[unit]


def _apart(value: float, limit: float, unit: Unit) -> tuple[str, str]:
    """A figure and its limit with as many digits as tell them apart."""
    texts = shown_value(value, unit), shown_value(limit, unit)
    for digits in range(5, 16):
        if texts[0] != texts[1] or value == limit:
            break
        texts = shown_value(value, unit, digits), shown_value(limit, unit, digits)
    return texts


__all__ = [
    "METRICS",
    "Metric",
    "Rule",
    "RuleResult",
    "contradictions",
    "judge_rules",
    "parse_rule",
    "parse_rules",
    "read_policy",
    "shown_value",
]
