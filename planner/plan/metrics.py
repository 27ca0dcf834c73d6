"""Figures of a plan that rules may speak of: cost, survival, service, purchases, age."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal, cast

from planner.amounts import MILLION, number
from planner.files import now, package_table
from planner.infrastructure.horizon import month_text
from planner.infrastructure.prices import PARTS
from planner.plan.records import Plan, ScenarioLine
from planner.scenarios.components import SEVERITY_ORDER
from planner.scenarios.standard import subject_of

Unit = Literal["USD", "USD/year", "share", "minutes", "°C", "MW", "count", "days", "month"]
#: Figures by key; the key ``""`` is the plan as a whole.
Values = dict[str, float]


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
        Figures of a plan, or of a roadmap, by key; ``""`` is the figure without one. A key that it
        knows but has no figure for is NaN.
    """

    name: str
    unit: Unit
    meaning: str
    keys: str
    values: Callable[[Any], Values]


def _by_category(field: str) -> Callable[[Plan], Values]:
    """Capital or yearly cost: of all, or of a category."""

    def values(plan: Plan) -> Values:
        found = {"": getattr(plan.cost, field)}
        for line in plan.cost.items:
            found[line.category] = found.get(line.category, 0.0) + getattr(line, field)
        # Servers, building and power together.
        found.setdefault("gpus", sum(found.get(part, 0.0) for part in PARTS))
        # Categories that the plan spends nothing on.
        return dict.fromkeys(CATEGORIES, 0.0) | found

    return values


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


def _keep(found: Values, key: str, value: float, pick: Callable[[float, float], float]) -> None:
    """Keep the larger or smaller of a value and what is there so far, if anything."""
    before = found.get(key, math.nan)
    found[key] = value if math.isnan(before) else pick(before, value)


def _largest(figure: Callable[[ScenarioLine], float]) -> Callable[[Plan], Values]:
    """Largest figure of a scenario: of all, of a class, or the one named."""

    def values(plan: Plan) -> Values:
        found: Values = dict.fromkeys(("", *SEVERITY_ORDER), math.nan)
        for line in plan.scenarios:
            for key in ("", line.severity):
                _keep(found, key, figure(line), max)
        return {line.name: figure(line) for line in plan.scenarios} | found

    return values


def _survives(plan: Plan) -> Values:
    judged = [line for line in plan.scenarios if line.judged]
    found: Values = {
        line.name: float(line.survives) if line.judged else math.nan for line in plan.scenarios
    }
    for key in ("", *SEVERITY_ORDER, *{line.severity for line in plan.scenarios}):
        survivals = [line.survives for line in judged if key in ("", line.severity)]
        found[key] = sum(survivals) / len(survivals) if survivals else math.nan
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
        by_zone = {
            subject_of(tier, zone): fraction
            for zone, tiers in line.served_by_zone.items()
            for tier, fraction in tiers.items()
        }
        for tier, fraction in (line.served | by_zone).items():
            for key in ("", tier):
                _keep(found, key, fraction, min)
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
    made, today = (time if time.tzinfo else time.replace(tzinfo=UTC) for time in (made, today))
    return {"": (today - made).total_seconds() / 86_400}


#: Figures of a plan, by the name of their metric.
_VALUES: Mapping[str, Callable[[Plan], Values]] = {
    "capital": _by_category("capital_usd"),
    "usd_per_year": _by_category("usd_per_year"),
    "cost": _by_category("usd_per_year"),
    "gap": lambda plan: {"": plan.gap},
    "survives": _survives,
    "scenarios": _scenarios,
    "served": _served,
    "recovery_minutes": _largest(_recovery),
    "peak_temperature_c": _largest(lambda line: line.peak_temperature_c),
    "lost_requests": _largest(lambda line: line.lost_requests),
    "lost_requests_per_year": _expected_lost,
    "emergency_usd": _largest(lambda line: line.emergency_usd),
    "gpus": lambda plan: _summed(((g.cluster, g.region), float(g.total)) for g in plan.gpus),
    "cooling_mw": lambda plan: _summed(
        ((line.plant, line.region), line.total * line.derated_mw_each) for line in plan.cooling
    ),
    "emergency_gpus": lambda plan: _summed(
        ((line.offer, line.provider), float(line.gpus_reserved)) for line in plan.emergency
    ),
    "rounds": lambda plan: {"": float(len(plan.verification.rounds))},
    "age_days": _age_days,
}
METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        row["name"]: Metric(**cast(Any, row), values=_VALUES[row["name"]])
        for row in package_table("planner.plan", "metrics.csv")
    }
)


def shown_value(value: float | None, unit: Unit, digits: int = 4) -> str:
    """A figure with its unit, short.

    >>> shown_value(912_500_000.0, "USD"), shown_value(0.975, "share"), shown_value(90.0, "minutes")
    ('912.5 M USD', '97.5 %', '90 min')
    >>> shown_value(float("inf"), "minutes"), shown_value(None, "share")
    ('never', 'no value')
    """
    if value is None:
        return "no value"
    if unit == "month":
        return month_text(value)
    if math.isinf(value):
        return "never" if unit == "minutes" else "infinite"
    if unit == "share":
        return f"{number(100 * value, digits)} %"
    if unit in ("USD", "USD/year"):
        year = " a year" if unit == "USD/year" else ""
        many = abs(value) >= MILLION
        amount = number(value / MILLION if many else value, digits)
        return f"{amount} {'M ' if many else ''}USD{year}"
    names = {"minutes": " min", "°C": " °C", "MW": " MW", "count": "", "days": " days"}
    return number(value, digits) + names[unit]


def distinct_texts(value: float, limit: float, unit: Unit) -> tuple[str, str]:
    """A figure and its limit with as many digits as distinguish them."""
    texts = shown_value(value, unit), shown_value(limit, unit)
    for digits in range(5, 16):
        if texts[0] != texts[1] or value == limit:
            break
        texts = shown_value(value, unit, digits), shown_value(limit, unit, digits)
    return texts
