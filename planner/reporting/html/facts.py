"""What the plan decides, what it leaves little room in, and how each scenario ends."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.infrastructure.prices import PARTS
from planner.plan.assembly import full_heat_mw, scenario_line
from planner.plan.records import CostLine, MarginRecord, Plan
from planner.reporting.html.timelines import KINDS, Played
from planner.reporting.html.words import (
    FULL,
    counted,
    listed,
    millions,
    minutes,
    money,
    per_year,
    share,
)
from planner.scenarios.standard import (
    ALL,
    emergency_budget_usd,
    floors,
    in_words,
    subject_of,
    tier_and_zone,
)
from planner.simulation.verdict import Verdict

Row = dict[str, Any]

#: Limits shown, those used most.
MOST_LIMITS = 16
#: Scenarios shown that come near their requirement.
MOST_NEAR = 8
CATEGORIES = {
    "recourse": "failures (expected)",
    "emergency": "emergency retainers",
    "servers": "GPUs with servers",
    "power": "power provisioning",
    "risk": "risk premium",
}


#: Classes of cells, and what they say, by what came of a scenario.
OUTCOMES = {"survives": "yes", "fails": "no", "not judged": "none", "not applicable": "none"}
TOLD = {
    "survives": "✓ survives",
    "fails": "✗ fails",
    "not judged": "– not judged: the standard asks nothing",
    "not applicable": "– not applicable: it hits nothing that is there",
}


@dataclass(frozen=True, eq=False)
class Simulated:
    """What simulations of the plan and of what exists found.

    Parameters
    ----------
    played
        Every scenario on the plan, in the order of the plan.
    today
        Outcome of each on what exists.
    """

    played: tuple[Played, ...]
    today: tuple[Verdict, ...]

    @property
    def judged(self) -> int:
        """Scenarios that the plan survives or fails."""
        return sum(one.verdict.survives or one.verdict.fails for one in self.played)

    @property
    def survived(self) -> int:
        """Scenarios that the plan survives."""
        return sum(one.verdict.survives for one in self.played)

    @property
    def survived_today(self) -> int:
        """Scenarios that what exists survives."""
        return sum(one.survives for one in self.today)


# ---------------------------------------------------------------------------------------- decision


def decision(plan: Plan, loaded: LoadedModel, simulated: Simulated) -> list[str]:
    """The decision in sentences, to be read as one paragraph."""
    count = simulated.judged
    failing = [one.verdict.name for one in simulated.played if one.verdict.fails]
    cost = (
        f"It takes {money(plan.cost.capital_usd)} of capital and costs "
        f"{money(plan.objective_usd_per_year)} a year, with capital spread over its life, running "
        "costs and the expected cost of failures."
    )
    said = [
        f"Buy {listed(bought(plan, loaded.model), 9)}."
        if bought(plan, loaded.model)
        else "Buy nothing: what exists meets the standard.",
        cost,
    ]
    scenarios = counted(count, "failure scenario")
    before = f"{simulated.survived_today:,}" if simulated.survived_today else "none of them"
    if failing:
        said.append(
            f"It survives {simulated.survived:,} of {scenarios}; it does not survive "
            f"{listed(failing)}."
        )
    elif not count:
        said.append("No scenario is judged: nothing is asked of any.")
    else:
        said.append(
            f"With it the service survives {'all ' if count > 1 else ''}{scenarios} planned for; "
            f"what exists today survives {before}."
        )
    said.append(_proven(plan))
    return said


def bought(plan: Plan, model: Model) -> list[str]:
    """Everything bought, as parts of a sentence."""
    gpus = sum(line.added for line in plan.gpus)
    units = sum(line.added for line in plan.cooling)
    gone = sum(line.retired for line in plan.gpus), sum(line.retired for line in plan.cooling)
    reserved = [
        (line, line.instances_reserved - model.offers[line.offer].existing_instances)
        for line in plan.emergency
    ]
    instances = sum(max(0, more) for _, more in reserved)
    cloud = sum(
        max(0, more) * model.offers[line.offer].gpus_per_instance for line, more in reserved
    )
    opened = sorted(plan.fleet(model).opened)
    measures = [line.measure for line in plan.measures if line.bought]
    found = [
        (gpus, counted(gpus, "GPU")),
        (units, counted(units, "cooling unit")),
        (
            instances,
            f"the right to {counted(instances, 'emergency cloud instance')} "
            f"({counted(cloud, 'GPU')})",
        ),
        (len(opened), f"the opening of {listed(opened)}"),
        (
            len(measures),
            f"the {'measure' if len(measures) == 1 else 'measures'} {listed(measures)}",
        ),
    ]
    texts = [text for number, text in found if number]
    texts += [f"retire {counted(gone[0], 'GPU')}"] if gone[0] else []
    texts += [f"retire {counted(gone[1], 'cooling unit')}"] if gone[1] else []
    return texts


def _proven(plan: Plan) -> str:
    if plan.method == "rule-of-thumb":
        return "It was made by rule of thumb; nothing proves that it is the cheapest."
    if plan.status == "feasible":
        return f"It is the best plan found so far; none is more than {plan.gap:.3%} cheaper."
    if plan.gap < 5e-6:
        return "It is proven that no plan that the model allows is cheaper."
    return f"It is proven that no plan that the model allows is more than {plan.gap:.3%} cheaper."


def tiles(plan: Plan, simulated: Simulated) -> list[Row]:
    """Key figures."""
    count = simulated.judged
    gpus = sum(line.total for line in plan.gpus), sum(line.existing for line in plan.gpus)
    return [
        {
            "label": "scenarios survived",
            "value": f"{simulated.survived:,} of {count:,}",
            "note": f"what exists: {simulated.survived_today:,}",
        },
        {"label": "capital", "value": money(plan.cost.capital_usd), "note": "paid once"},
        {
            "label": "cost of a year",
            "value": money(plan.objective_usd_per_year),
            "note": "capital over its life, running, expected failures",
        },
        {"label": "GPUs", "value": f"{gpus[0]:,}", "note": f"today {gpus[1]:,}"},
    ]


# ----------------------------------------------------------------------------------------- to buy


def purchases(plan: Plan, model: Model) -> list[Row]:
    """Everything that changes, line by line."""
    costs = {(i.category, i.asset): i for i in plan.cost.items}
    rows = []
    for gpu in plan.gpus:
        if gpu.added or gpu.retired:
            item = _together(costs, gpu.cluster)
            named = f"{gpu.gpu} in {gpu.cluster}"
            rows.append(_line("GPUs", named, gpu.region, gpu, item))
    for unit in plan.cooling:
        if unit.added or unit.retired:
            item = costs.get(("cooling", f"{unit.plant}/{unit.unit}"))
            named = f"{unit.unit} ({unit.derated_mw_each:.2f} MW each) in {unit.plant}"
            rows.append(_line("cooling", named, unit.region, unit, item))
    for region in sorted(plan.fleet(model).opened):
        item = costs.get(("regions", region))
        rows.append(_row("region", "opening", region, ("", "", ""), item))
    for offer in plan.emergency:
        before = model.offers[offer.offer].existing_instances
        if offer.instances_reserved != before:
            item = costs.get(("emergency", offer.offer))
            after = offer.instances_reserved
            numbers = (f"{before:,}", f"{after - before:+,}", f"{after:,}")
            named = " ".join(filter(None, (offer.provider, offer.instance)))
            named += f", serving after {offer.lead_time_minutes:.0f} min"
            rows.append(_row("emergency cloud", named, "", numbers, item))
    for measure in plan.measures:
        if measure.bought:
            text = model.measures[measure.measure].description
            named = f"{measure.measure}: {text}" if text else measure.measure
            numbers = ("", "yes", "")
            rows.append(
                _row("measure", named, "", numbers, costs.get(("measures", measure.measure)))
            )
    return rows


def _together(costs: Mapping[tuple[str, str], CostLine], cluster: str) -> CostLine | None:
    """Cost of the GPUs of a cluster with building and power."""
    found = [costs[key] for part in (*PARTS, "gpus") if (key := (part, cluster)) in costs]
    if not found:
        return None
    capital, yearly = (
        sum(getattr(one, name) for one in found) for name in ("capital_usd", "usd_per_year")
    )
    return found[0].model_copy(update={"capital_usd": capital, "usd_per_year": yearly})


def _line(kind: str, named: str, region: str, line: Any, item: Any) -> Row:
    numbers = (f"{line.existing:,}", f"{line.added - line.retired:+,}", f"{line.total:,}")
    return _row(kind, named, region, numbers, item)


def _row(kind: str, what: str, region: str, numbers: tuple[str, str, str], item: Any) -> Row:
    return {
        "kind": kind,
        "what": what,
        "region": region,
        "has": numbers[0],
        "buy": numbers[1],
        "total": numbers[2],
        "capital": millions(item.capital_usd) if item else "",
        "yearly": millions(item.usd_per_year) if item else "",
    }


def cost_rows(plan: Plan) -> list[Row]:
    """Cost by category."""
    totals: dict[str, list[float]] = {}
    for item in plan.cost.items:
        sums = totals.setdefault(item.category, [0.0, 0.0])
        sums[0] += item.capital_usd
        sums[1] += item.usd_per_year
    return [
        {
            "category": CATEGORIES.get(name, name),
            "capital": millions(capital) if capital else "",
            "yearly": millions(yearly),
        }
        for name, (capital, yearly) in totals.items()
    ]


# --------------------------------------------------------------------------------------- scenarios


def matrix(model: Model, simulated: Simulated) -> list[Row]:
    """Scenarios by tier, in the order of the plan."""
    return [
        _scenario(model, index, one, before)
        for index, (one, before) in enumerate(zip(simulated.played, simulated.today, strict=True))
    ]


def _scenario(model: Model, index: int, one: Played, before: Verdict) -> Row:
    verdict = one.verdict
    short = {tier_and_zone(b.subject)[0] for b in verdict.breaches if b.kind == "served"}
    least = min(verdict.served.values(), default=1.0)
    return {
        "index": index,
        "name": verdict.name,
        "severity": verdict.severity,
        "often": per_year(verdict.frequency_per_year),
        "frequency": verdict.frequency_per_year,
        "survives": verdict.survives,
        "outcome": OUTCOMES[verdict.status],
        "told": TOLD[verdict.status],
        "today": OUTCOMES[before.status],
        "told_today": TOLD[before.status],
        "today_served": share(min(before.served.values(), default=1.0)),
        "least": least,
        "cells": [_cell(tier, fraction, short) for tier, fraction in verdict.served.items()],
        "recovery": minutes(verdict.recovery_minutes),
        "recovery_minutes": math.inf
        if verdict.recovery_minutes is None
        else verdict.recovery_minutes,
        "temperature": f"{verdict.peak_temperature_c:.0f}",
        "emergency": millions(verdict.emergency_usd) if verdict.emergency_usd else "0",
        "breaches": [str(breach) for breach in verdict.breaches],
        "before": [str(breach) for breach in before.breaches],
        "until": f"{one.until_minute:.0f}",
        "minutes": f"{one.minutes:,}" if one.until_minute < one.minutes - 1 else "",
        "facts": _facts(verdict),
        "rules": _rules(model, one),
        "story": _story(verdict),
        "charts": {kind: bool(one.charts.get(kind)) for kind in KINDS},
        "left_out": {kind: one.left_out.get(kind, 0) for kind in KINDS},
    }


def _story(verdict: Verdict) -> list[Row]:
    """Lines of the story; alerts of one kind in one minute share a line."""
    lines: dict[tuple[float, str, str], list[str]] = {}
    for line in verdict.story:
        alert = re.fullmatch(r"alert: (\S+) (.+)", line.text)
        key = (line.minute, line.clock, alert[2] if alert else line.text)
        lines.setdefault(key, []).extend([alert[1]] if alert else [])
    return [
        {
            "clock": clock,
            "minute": f"{minute:.0f}",
            "text": f"alert: {', '.join(names)} {text}" if names else text,
        }
        for (minute, clock, text), names in lines.items()
    ]


def _cell(tier: str, fraction: float, short: set[str]) -> Row:
    fails = tier in short or (ALL in short and fraction < FULL)
    steps = (FULL, 0.99, 0.9, 0.7)
    level = next((i for i, step in enumerate(steps) if fraction >= step), len(steps))
    return {"tier": tier, "text": share(fraction), "fails": fails, "level": level}


def _facts(verdict: Verdict) -> list[tuple[str, str]]:
    return [
        ("full service", minutes(verdict.recovery_minutes)),
        ("requests lost", f"{verdict.lost_requests:,.0f}"),
        ("hottest cluster", f"{verdict.peak_temperature_c:.1f} °C"),
        ("longest queue", f"{verdict.peak_queue_requests:,.0f} requests"),
        ("emergency spend", money(verdict.emergency_usd)),
        ("requests with retries", f"{verdict.retry_ratio:.2f} for each new one at most"),
        ("how often", per_year(verdict.frequency_per_year)),
    ]


def _rules(model: Model, one: Played) -> list[str]:
    """The standard that applies, in words."""
    found: dict[tuple[float, float], list[str]] = {}
    for rule in floors(model, one.scenario.severity):
        found.setdefault((rule.from_minute, rule.least_served), []).append(in_words(rule.subject))
    texts = [
        f"from minute {minute:.0f} at least {share(least)} of "
        + ("every tier" if set(subjects) == set(model.tiers) else listed(subjects, 4))
        for (minute, least), subjects in found.items()
    ]
    budget = emergency_budget_usd(model, one.scenario)
    return [*texts, f"emergency spend of at most {money(budget)}"]


def worst_first(played: Sequence[Played]) -> list[int]:
    """Positions of scenarios, those that go worst first."""

    def badness(index: int) -> tuple[bool, float, float, int]:
        verdict = played[index].verdict
        recovery = verdict.recovery_minutes
        late = math.inf if recovery is None else recovery
        return not verdict.fails, min(verdict.served.values(), default=1.0), -late, index

    return sorted(range(len(played)), key=badness)


# ------------------------------------------------------------------------------------------- binds


def limits(plan: Plan, model: Model) -> list[Row]:
    """Limits of the model by how much of each the plan uses, those used most first."""
    fleet = plan.fleet(model)
    found = [one for one in _limits(plan, model, fleet) if one[2] > 0 and one[1] > 0]
    ordered = sorted(found, key=lambda one: -one[1] / one[2])
    return [
        {
            "what": what,
            "used": _quantity(used, unit),
            "limit": _quantity(limit, unit),
            "share": f"{100 * used / limit:.1f} %",
            "width": round(min(100.0, 100 * used / limit), 1),
        }
        for what, used, limit, unit in ordered[:MOST_LIMITS]
    ]


def _quantity(value: float, unit: str) -> str:
    if unit == "GPUs":
        return f"{value:,.0f} {unit}"
    return f"{millions(value * 1e6)} {unit}" if unit == "M USD" else f"{value:,.1f} {unit}"


def _limits(plan: Plan, model: Model, fleet: Fleet) -> Iterator[tuple[str, float, float, str]]:
    seen = set()
    for line in plan.cooling:
        if line.plant not in seen:
            seen.add(line.plant)
            what = f"{line.plant}: heat on its firm capacity (N+{line.redundancy})"
            yield what, line.design_heat_mw, line.firm_mw, "MW"
    for gpus in plan.gpus:
        if gpus.added:
            what = f"{gpus.cluster}: GPUs it can hold"
            yield what, float(gpus.total), float(model.clusters[gpus.cluster].max_gpus), "GPUs"
    for name, region in model.regions.items():
        heat = sum(
            full_heat_mw(model, fleet, cluster)
            for cluster, entry in model.clusters.items()
            if entry.region == name
        )
        yield f"{name}: power of the GPUs alone", heat, region.power_limit_mw, "MW"
    for offer in plan.emergency:
        available = float(model.offers[offer.offer].available_gpus)
        yield f"{offer.offer}: GPUs on offer", float(offer.gpus_reserved), available, "GPUs"
    if model.policies.capital_budget_usd:
        budget = model.policies.capital_budget_usd / 1e6
        yield "capital budget", plan.cost.capital_usd / 1e6, budget, "M USD"
    yield from _spending(plan, model)


def _spending(plan: Plan, model: Model) -> Iterator[tuple[str, float, float, str]]:
    """The scenario that uses most of its emergency budget."""
    from planner.scenarios.generators import all_scenarios

    scenarios = {one.name: one for one in all_scenarios(model)}
    found = []
    for line in plan.scenarios:
        if line.name in scenarios and line.emergency_usd:
            budget = emergency_budget_usd(model, scenarios[line.name])
            if budget:
                found.append((line.emergency_usd / budget, line, budget))
    if found:
        _, line, budget = max(found, key=lambda one: (one[0], one[1].name))
        what = f"emergency budget, most in {line.name}"
        yield what, line.emergency_usd / 1e6, budget / 1e6, "M USD"


def nearest(simulated: Simulated) -> list[Row]:
    """Scenarios that come nearest to what was required, of those that do not serve all."""
    found = sorted(
        (one for one in simulated.played if math.isfinite(one.slack)), key=lambda one: one.slack
    )
    return [
        {"name": one.verdict.name, "room": f"{100 * one.slack:+.2f} points of demand"}
        for one in found[:MOST_NEAR]
    ]


def rounds(plan: Plan) -> list[Row]:
    """Rounds of the loop."""
    return [
        {
            "number": one.round,
            "cost": millions(one.objective_usd_per_year),
            "failed": listed(list(one.failed), 6) or "none",
            "count": len(one.failed),
            "margins": [f"{m.scenario}: {margin_text(m)}" for m in one.margins],
        }
        for one in plan.verification.rounds
    ]


def margin_text(margin: MarginRecord) -> str:
    """What a margin asks for."""
    parts = [
        f"{100 * value:+.1f} % {what}"
        for value, what in (
            (margin.demand, "demand"),
            (margin.heat, "heat"),
            (margin.services, "through services"),
            (margin.spend, "emergency spend"),
        )
        if value
    ]
    parts += [f"capacity {margin.late_minutes:.0f} min later"] if margin.late_minutes else []
    return ", ".join(parts)


def recheck(plan: Plan, simulated: Simulated) -> Row:
    """How today's simulation agrees with what the plan states."""
    stated = {line.name: line for line in plan.scenarios}
    found = {one.verdict.name: scenario_line(one.verdict) for one in simulated.played}
    both = stated.keys() & found.keys()
    other = sorted(name for name in both if stated[name].status != found[name].status)
    moved = sorted(
        name
        for name in both
        if any(
            abs(fraction - found[name].served.get(tier, fraction)) > 1e-4
            for tier, fraction in stated[name].served.items()
        )
    )
    return {
        "same": len(both) - len(set(other) | set(moved)),
        "count": len(both),
        "other": listed(other, 6),
        "moved": listed([name for name in moved if name not in other], 6),
        "missing": listed(sorted(stated.keys() ^ found.keys()), 6),
    }


def model_counts(model: Model) -> str:
    """What the model holds, in a phrase."""
    nouns = {
        "regions": "region",
        "clusters": "cluster",
        "plants": "cooling plant",
        "feeds": "feed",
        "services": "service",
        "tiers": "tier",
        "zones": "zone",
        "offers": "cloud offer",
        "measures": "measure",
    }
    return ", ".join(
        counted(len(getattr(model, section)), noun)
        for section, noun in nouns.items()
        if getattr(model, section)
    )


def standard_rows(model: Model, severities: Sequence[str]) -> list[Row]:
    """The survival standard by class."""
    return [
        {
            "severity": severity,
            "tier": in_words(subject_of(rule.tier, rule.zone)),
            "minute": f"{rule.from_minute:.0f}",
            "least": share(rule.least_served),
        }
        for severity, rules in model.standard.items()
        if severity in severities
        for rule in rules
    ]
