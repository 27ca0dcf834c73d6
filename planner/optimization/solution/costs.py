"""Cost of a plan, asset by asset, recomputed from the plan with the laws of money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from planner.infrastructure.fleet import Fleet
from planner.infrastructure.prices import gpu_assets, unit_asset
from planner.laws.assets import Asset
from planner.laws.heat import heat_mw
from planner.laws.money import (
    HOURS_PER_YEAR,
    annuity,
    emergency_usd,
    energy_usd,
    lost_usd,
    transport_usd,
)
from planner.laws.preemption import interrupted_rps
from planner.optimization.formulation.preemption import priced_tiers, running_rps
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.recourse import NORMAL
from planner.optimization.formulation.risk import RiskFigures, risk_figures
from planner.optimization.formulation.stages import Stage
from planner.optimization.solution.solving import Solution
from planner.optimization.solution.stage_values import StageValues, stage_values

#: Categories of what a year without failures costs beside ownership.
OPERATION = frozenset({"energy", "transport"})


@dataclass(frozen=True)
class CostItem:
    """One line of the cost of a plan.

    Parameters
    ----------
    category
        ``cooling``, ``servers`` (GPUs with their servers), ``building``, ``power`` (provisioning;
        in ``building`` where the model states no share of it), ``regions``, ``emergency``,
        ``measures``, ``energy``, ``transport``, ``recourse``, ``risk`` (what a risk policy adds to
        the expected recourse; negative where failures that recur within a year outweigh the
        costliest one).
    asset
        Plant and unit, cluster, region, offer or scenario.
    capital_usd
        Paid once.
    usd_per_year
        Annualised capital, upkeep and running cost.
    """

    category: str
    asset: str
    capital_usd: float
    usd_per_year: float


def cost_items(
    programme: Programme, solution: Solution, once: Mapping[str, float] | None = None
) -> tuple[CostItem, ...]:
    """All cost items of a solution; their yearly costs add up to its objective.

    Parameters
    ----------
    once
        Cost of one occurrence of each scenario, USD, if it is known already.
    """
    once = recourse_usd(programme, solution) if once is None else once
    items = [
        *purchase_items(programme.data, solution.fleet),
        *operation_items(programme, solution),
        *_recourse(programme.data, once),
        *_risk(programme.data, once),
    ]
    return tuple(item for item in items if item.capital_usd or item.usd_per_year)


def purchase_items(data: ProblemData, fleet: Fleet) -> tuple[CostItem, ...]:
    """Cost of owning a fleet: capital, upkeep, retainers."""
    return (
        *_cooling(data, fleet),
        *_gpus(data, fleet),
        *_regions(data, fleet),
        *_emergency(data, fleet),
        *_measures(data, fleet),
    )


def operation_items(programme: Programme, solution: Solution) -> tuple[CostItem, ...]:
    """Energy and transport of a year without failures."""
    return (*_energy(programme, solution), *_transport_items(programme, solution))


def _cooling(data: ProblemData, fleet: Fleet) -> list[CostItem]:
    return [
        _owned(
            data,
            CostItem("cooling", f"{plant}/{unit}", 0.0, 0.0),
            unit_asset(data.model, plant, unit),
            data.model.plants[plant].existing.get(unit, 0),
            total,
        )
        for plant, counts in fleet.units.items()
        for unit, total in counts.items()
    ]


def _gpus(data: ProblemData, fleet: Fleet) -> list[CostItem]:
    return [
        _owned(
            data,
            CostItem(part, cluster, 0.0, 0.0),
            asset,
            data.model.clusters[cluster].existing_gpus,
            total,
        )
        for cluster, total in fleet.gpus.items()
        for part, asset in gpu_assets(data.model, cluster).items()
    ]


def _owned(data: ProblemData, item: CostItem, asset: Asset, existing: int, total: int) -> CostItem:
    """Annualised cost of assets of a kind, bought, kept and retired (for salvage value)."""
    rate = data.model.finance.discount_rate
    bought, retired = max(0, total - existing), max(0, existing - total)
    yearly = bought * asset.bought_usd_per_year(rate)
    yearly += min(existing, total) * asset.kept_usd_per_year(rate)
    yearly += retired * asset.retired_usd_per_year(rate)
    capital = bought * asset.price_usd - retired * asset.salvage_usd
    return replace(item, capital_usd=capital, usd_per_year=yearly)


def _regions(data: ProblemData, fleet: Fleet) -> list[CostItem]:
    rate = data.model.finance.discount_rate
    items = []
    for region in sorted(fleet.opened):
        place = data.model.regions[region]
        yearly = place.fixed_usd * annuity(rate, place.life_years) + place.fixed_usd_per_year
        items.append(CostItem("regions", region, place.fixed_usd, yearly))
    return items


def _emergency(data: ProblemData, fleet: Fleet) -> list[CostItem]:
    return [
        CostItem("emergency", offer, 0.0, terms.retainer_usd_per_instance_year * count)
        for (offer, count), terms in zip(
            fleet.instances.items(), data.model.offers.values(), strict=True
        )
    ]


def _measures(data: ProblemData, fleet: Fleet) -> list[CostItem]:
    rate = data.model.finance.discount_rate
    items = []
    for name in sorted(fleet.measures):
        measure = data.model.measures[name]
        yearly = measure.capital_usd * annuity(rate, measure.life_years) + measure.usd_per_year
        items.append(CostItem("measures", name, measure.capital_usd, yearly))
    return items


def _energy(programme: Programme, solution: Solution) -> list[CostItem]:
    data, model = programme.data, programme.data.model
    normal = stage_values(programme, solution, None)
    items = []
    for cluster, entry in model.clusters.items():
        gpu, place = data.gpu(cluster), model.regions[entry.region]
        busy = normal.load_rps.get(cluster, 0.0) / gpu.rps
        heat = heat_mw(gpu.power_mw, gpu.static_share, solution.fleet.gpus[cluster], busy)
        drawn = place.drawn_mw_per_mw * heat
        yearly = energy_usd(drawn, HOURS_PER_YEAR, place.electricity_usd_per_mwh)
        items.append(CostItem("energy", cluster, 0.0, yearly))
    for (plant, unit), variable in programme.normal.load.items():
        price = model.regions[model.plants[plant].region].electricity_usd_per_mwh
        power = model.cooling_units[unit].drawn_mw_per_mw * solution.values[variable.name]
        yearly = energy_usd(power, HOURS_PER_YEAR, price)
        items.append(CostItem("energy", f"{plant}/{unit}", 0.0, yearly))
    return items


def _transport(programme: Programme, solution: Solution, stage: str, hours: float) -> float:
    prices = programme.data.transport_usd
    total = 0.0
    for (source, target), variable in programme.by_stage[stage].flow.items():
        price = prices[source, target]
        if price:
            total += transport_usd(solution.values[variable.name], hours, price)
    return total


def _transport_items(programme: Programme, solution: Solution) -> list[CostItem]:
    yearly = _transport(programme, solution, NORMAL, HOURS_PER_YEAR)
    return [CostItem("transport", "normal operation", 0.0, yearly)]


def recourse_usd(programme: Programme, solution: Solution) -> dict[str, float]:
    """Cost of one occurrence of each scenario in the programme, USD; others cost nothing."""
    if solution.once_usd is not None:
        return dict(solution.once_usd)
    data = programme.data.with_bought(solution.fleet.measures)
    return occurrence_usd(programme, solution, data)


def occurrence_usd(programme: Programme, solution: Solution, data: ProblemData) -> dict[str, float]:
    """Cost of one occurrence of each scenario of some data, USD.

    Parameters
    ----------
    data
        The data of the programme with the measures of the plan in place.
    """
    costs: dict[str, float] = {}
    for scenario, stages in data.stages_by_scenario.items():
        cost = 0.0
        for stage in stages:
            at_stage = stage_values(programme, solution, stage)
            cost += emergency_spend_usd(data, stage, at_stage)
            cost += _lost(data, stage, at_stage)
            cost += _transport(programme, solution, stage.label, stage.hours)
        for tier, usd in priced_tiers(data).items():
            cost += usd * max(_interrupted(programme, solution, one, tier) for one in stages)
        costs[scenario] = cost
    return costs


def risk_of(programme: Programme, solution: Solution) -> RiskFigures:
    """Cost of failures in an average and in a bad year, by sorting the costs of scenarios."""
    once = recourse_usd(programme, solution)
    return risk_figures(programme.data.model, _frequencies(programme.data), once)


def _frequencies(data: ProblemData) -> dict[str, float]:
    return {scenario.name: scenario.frequency_per_year for scenario in data.scenarios}


def _recourse(data: ProblemData, once: Mapping[str, float]) -> list[CostItem]:
    frequencies = _frequencies(data)
    return [
        CostItem("recourse", scenario, 0.0, frequencies[scenario] * cost)
        for scenario, cost in once.items()
    ]


def _risk(data: ProblemData, once: Mapping[str, float]) -> list[CostItem]:
    figures = risk_figures(data.model, _frequencies(data), once)
    policy = figures.policy
    asset = f"{policy.kind} {policy.alpha:g}" if policy.kind == "cvar" else policy.kind
    return [CostItem("risk", asset, 0.0, figures.premium_usd_per_year)]


def emergency_spend_usd(data: ProblemData, stage: Stage, at_stage: StageValues) -> float:
    """Emergency spend in one occurrence of a stage, USD."""
    total = 0.0
    for offer, gpus in at_stage.used_gpus.items():
        terms = data.model.offers[offer]
        total += emergency_usd(
            gpus,
            stage.hours,
            terms.usd_per_instance_hour,
            terms.gpus_per_instance,
            terms.price_factor,
        )
    return total


def _interrupted(programme: Programme, solution: Solution, stage: Stage, tier: str) -> float:
    """Work of a preemptible tier that is interrupted in a stage, requests/s."""
    served = stage_values(programme, solution, stage).served_rps
    kept = sum(rps for (_, name), rps in served.items() if name == tier)
    running = running_rps(stage, tier)
    return float(interrupted_rps(running, running, kept))


def _lost(data: ProblemData, stage: Stage, at_stage: StageValues) -> float:
    total = 0.0
    for (zone, tier), demand in stage.demand_rps.items():
        entry = data.model.tiers[tier]
        price = entry.value_usd_per_1000_requests + entry.sla_credit_usd_per_1000_requests
        rps = demand - at_stage.served_rps[zone, tier]
        rps += stage.down_rps.get((zone, tier), 0.0)
        total += lost_usd(rps, stage.hours, price)
    return total
