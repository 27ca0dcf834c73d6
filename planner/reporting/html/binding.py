"""What binds: limits with their headroom, SLOs with theirs, and what the simulation added."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from planner.amounts import listed, megawatts, millions, money, percent
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.plan.assembly import full_heat_mw
from planner.plan.records import Plan
from planner.reporting.html.scenarios import worst_hours
from planner.reporting.html.timelines import Simulated
from planner.reporting.tables import Table, figures, texts
from planner.scenarios.hours import hours_folded
from planner.scenarios.standard import emergency_budget_usd

#: Utilisation from which on a limit is shown at first sight.
CLOSE = 0.8
#: Scenarios shown that come near to missing an SLO.
MOST_NEAR = 8


class Limit(NamedTuple):
    """A limit of the model and how much of it the plan uses, in the unit named."""

    what: str
    used: float
    limit: float
    unit: str

    @property
    def utilisation(self) -> float:
        """Share of the limit that is used."""
        return self.used / self.limit

    def shown(self, amount: float) -> str:
        """An amount in the unit of this limit."""
        if self.unit == "MW":
            return megawatts(max(0.0, amount))
        return money(max(0.0, amount)) if self.unit == "USD" else f"{amount:,.0f} {self.unit}"


def limit_tables(plan: Plan, model: Model, simulated: Simulated) -> tuple[Table, Table]:
    """Limits with little headroom, least first, and all others."""
    limits = [limit for limit in _limits(plan, model) if limit.used > 0 and limit.limit > 0]
    limits += _spending(plan, model, [played.scenario for played in simulated.played])
    limits.sort(key=lambda limit: -limit.utilisation)
    close = [limit for limit in limits if limit.utilisation >= CLOSE]
    return (
        _table("Limits with the least headroom", close),
        _table("Limits with more headroom", limits[len(close) :]),
    )


def _table(title: str, limits: Sequence[Limit]) -> Table:
    rows = [
        (
            limit.what,
            limit.shown(limit.used),
            limit.shown(limit.limit),
            limit.shown(limit.limit - limit.used),
            percent(limit.utilisation),
        )
        for limit in limits
    ]
    columns = texts("limit") + figures("used", "of", "headroom", "utilisation")
    return Table(title, columns, rows)


def _limits(plan: Plan, model: Model) -> Iterator[Limit]:
    fleet = plan.fleet(model)
    for line in {line.plant: line for line in reversed(plan.cooling)}.values():
        what = f"{line.plant}: heat on its firm capacity (N+{line.redundancy})"
        yield Limit(what, line.design_heat_mw, line.firm_mw, "MW")
    for gpus in plan.gpus:
        if gpus.added:
            room = float(model.clusters[gpus.cluster].max_gpus)
            yield Limit(f"{gpus.cluster}: GPUs it can hold", float(gpus.total), room, "GPUs")
    for name, region in model.regions.items():
        heat = sum(
            full_heat_mw(model, fleet, cluster)
            for cluster, entry in model.clusters.items()
            if entry.region == name
        )
        yield Limit(f"{name}: power of the GPUs alone", heat, region.power_limit_mw, "MW")
    for offer in plan.emergency:
        available = float(model.offers[offer.offer].available_gpus)
        yield Limit(f"{offer.offer}: GPUs on offer", float(offer.gpus_reserved), available, "GPUs")
    if model.policies.capital_budget_usd:
        budget = model.policies.capital_budget_usd
        yield Limit("capital budget", plan.cost.capital_usd, budget, "USD")


def _spending(plan: Plan, model: Model, scenarios: Sequence[Scenario]) -> list[Limit]:
    """The emergency budget in the scenario that uses most of its own."""
    budgets = {scenario.name: emergency_budget_usd(model, scenario) for scenario in scenarios}
    found = [
        Limit(f"emergency budget, most in {line.name}", line.emergency_usd, budget, "USD")
        for line in plan.scenarios
        if line.emergency_usd and (budget := budgets.get(line.name))
    ]
    return sorted(found, key=lambda limit: limit.utilisation)[-1:]


def nearest_table(simulated: Simulated) -> Table:
    """Scenarios that serve less than all while an SLO applies, least headroom first."""
    found = sorted(
        (played for played in simulated.played if math.isfinite(played.slack)),
        key=lambda played: played.slack,
    )
    slack = {played.verdict.name: played.slack for played in found}
    worst = worst_hours(played.verdict for played in found)
    rows = [
        (
            verdict.name + (f" (worst of {hours} hours)" if hours > 1 else ""),
            f"{100 * slack[verdict.name]:.1f} points",
        )
        for verdict, hours in islice(worst, MOST_NEAR)
    ]
    return Table(
        "Scenarios that serve less than all demand, by headroom above their SLO",
        texts("scenario") + figures("least headroom, in points of demand"),
        rows,
    )


def rounds_table(plan: Plan) -> Table:
    """Rounds of optimising and simulating."""
    rows = [
        (
            f"{made.round}",
            made.objective_usd_per_year,
            listed(hours_folded(made.failed), 6) or "none",
            made.searched or None,
        )
        for made in plan.verification.rounds
    ]
    columns = texts("round") + figures("annual cost, M USD", show=millions)
    columns += (*texts("failed in simulation"), *figures("fleets searched"))
    return Table("Rounds of optimising and simulating", columns, rows)
