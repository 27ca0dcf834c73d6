"""The objective: annualised capital, upkeep, energy, retainers, expected recourse."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pulp import LpAffineExpression, LpVariable, lpSum

from planner.laws.heat import heat_mw
from planner.laws.money import HOURS_PER_YEAR, annuity, energy_usd, lost_usd, transport_usd
from planner.optimization.programme import Programme
from planner.optimization.recourse import NORMAL, emergency_spend
from planner.optimization.risk import premium
from planner.optimization.stages import Stage


def normal_cooling(
    programme: Programme, uncooled: Mapping[str, LpVariable] = MappingProxyType({})
) -> None:
    """In normal operation the mean heat is spread over the running units of primary plants.

    ``Σ_p m[c,p] = φ_c·(σ_c·G[c] + (1 − σ_c)·load factor·Σ_g f[g,c]/μ_c)``,
    ``Σ_c m[c,p] = Σ_u l[p,u]``, ``l[p,u] ≤ q_u·n[p,u]``

    Parameters
    ----------
    uncooled
        Heat by cluster that nothing has to carry, where a fleet is taken as it is.
    """
    case = programme.case
    for plant in case.model.plants:
        for unit in case.running_units(plant):
            load = programme.variable("load", plant, unit)
            programme.load[plant, unit] = load
            most = case.unit_mw(plant, unit) * programme.unit_count(plant, unit)
            programme.define(load <= most, "unit_load", plant, unit)
    for cluster in case.model.clusters:
        plants = case.plants_of(cluster, "primary")
        for plant in plants:
            key = (NORMAL, cluster, plant)
            programme.carried[key] = programme.variable("carried", *key)
        if case.gpu(cluster).power_mw:
            carried = lpSum(programme.carried[NORMAL, cluster, plant] for plant in plants)
            if cluster in uncooled:
                carried = carried + uncooled[cluster]
            row = carried == mean_heat(programme, cluster)
            programme.define(row, "mean_heat", cluster)
    for plant, entry in case.model.plants.items():
        if entry.role == "primary":
            units = [programme.load[plant, unit] for unit in case.running_units(plant)]
            heats = [programme.carried[NORMAL, cluster, plant] for cluster in entry.cools]
            programme.define(lpSum(heats) == lpSum(units), "mean_load", plant)


def mean_heat(programme: Programme, cluster: str) -> LpAffineExpression:
    """Heat of a cluster in normal operation at the mean demand of the week, MW."""
    case, gpu = programme.case, programme.case.gpu(cluster)
    busy = (case.load_factor / gpu.rps) * programme.cluster_load(NORMAL, cluster)
    heat: LpAffineExpression = heat_mw(
        gpu.power_mw, gpu.static_share, programme.gpus(cluster), busy
    )
    return heat


def set_objective(programme: Programme) -> None:
    """Minimise the cost of a year: ``purchases + upkeep + energy + Σ_s frequency_s·recourse_s``.

    A risk policy adds its premium (`planner.optimization.risk`).

    The constant part is carried by a variable fixed at 1: some solvers drop constants, and a gap
    relative to what is left would prove nothing about the plan.
    """
    yearly = [capital_cost(programme), upkeep(programme), normal_operation(programme)]
    once: dict[str, LpAffineExpression] = {}
    expected = []
    for scenario, stages in programme.case.stages_by_scenario.items():
        once[scenario] = lpSum(recourse_cost(programme, stage) for stage in stages)
        expected.append(stages[0].course.scenario.frequency_per_year * once[scenario])
    cost = lpSum([*yearly, *expected, premium(programme, once)])
    if cost.constant:
        one = programme.variable("one", low=1.0, high=1.0)
        cost = cost - cost.constant + cost.constant * one
    programme.problem.setObjective(cost)


def capital_cost(programme: Programme) -> LpAffineExpression:
    """Annualised capital of all purchases less salvage of retirements, USD per year."""
    model = programme.case.model
    rate = model.finance.discount_rate
    terms = []
    for (_, unit), count in programme.units.items():
        kind = model.cooling_units[unit]
        terms.append(kind.capital_usd * annuity(rate, kind.life_years) * count)
    for cluster, blocks in programme.blocks.items():
        gpu, size = programme.case.gpu(cluster), model.clusters[cluster].block_gpus
        per_gpu = gpu.capital_usd * annuity(rate, gpu.life_years)
        per_gpu += gpu.facility_usd * annuity(rate, gpu.facility_life_years)
        terms.append(per_gpu * size * blocks)
    terms += _salvage(programme)
    for region, opened in programme.opened.items():
        place = model.regions[region]
        yearly = place.fixed_usd * annuity(rate, place.life_years) + place.fixed_usd_per_year
        terms.append(yearly * opened)
    for name, bought in programme.measures.items():
        measure = model.measures[name]
        yearly = measure.capital_usd * annuity(rate, measure.life_years) + measure.usd_per_year
        terms.append(yearly * bought)
    return lpSum(terms)


def _salvage(programme: Programme) -> list[LpAffineExpression]:
    """What retirements earn, spread over the life of the like as its price is."""
    model, rate = programme.case.model, programme.case.model.finance.discount_rate
    terms = []
    for (_, unit), count in programme.retired.items():
        kind = model.cooling_units[unit]
        terms.append(-kind.salvage_usd * annuity(rate, kind.life_years) * count)
    for cluster, blocks in programme.retired_blocks.items():
        gpu, size = programme.case.gpu(cluster), model.clusters[cluster].block_gpus
        terms.append(-gpu.salvage_usd * annuity(rate, gpu.life_years) * size * blocks)
    return terms


def upkeep(programme: Programme) -> LpAffineExpression:
    """Maintenance and repairs of everything in place and retainers, USD per year."""
    model = programme.case.model
    terms = []
    for plant, unit in programme.units:
        kind = model.cooling_units[unit]
        terms.append(kind.upkeep_usd_per_year * programme.unit_count(plant, unit))
    for cluster in programme.blocks:
        gpu = programme.case.gpu(cluster)
        yearly = (gpu.capital_usd + gpu.facility_usd) * gpu.maintenance_share_per_year
        terms.append(yearly * programme.gpus(cluster))
    for offer, terms_of in model.offers.items():
        yearly = terms_of.retainer_usd_per_instance_year
        terms.append(yearly * programme.instance_count(offer))
    return lpSum(terms)


def normal_operation(programme: Programme) -> LpAffineExpression:
    """Energy and transport of a year without failures, USD per year."""
    case = programme.case
    regions, kinds = case.model.regions, case.model.cooling_units
    terms = []
    for cluster, entry in case.model.clusters.items():
        price = regions[entry.region].electricity_usd_per_mwh
        terms.append(energy_usd(mean_heat(programme, cluster), HOURS_PER_YEAR, price))
    for (plant, unit), load in programme.load.items():
        price = regions[case.model.plants[plant].region].electricity_usd_per_mwh
        power = kinds[unit].power_mw_per_mw
        terms.append(energy_usd(power * load, HOURS_PER_YEAR, price))
    terms.append(_transport(programme, NORMAL, HOURS_PER_YEAR * case.load_factor))
    return lpSum(terms)


def _transport(programme: Programme, stage: str, hours: float) -> LpAffineExpression:
    prices = programme.case.transport_usd
    flows = programme.of_stage("flow", stage)
    priced = ((flow, prices[source, target]) for (source, target), flow in flows)
    return LpAffineExpression.from_list(
        [(flow, transport_usd(1.0, hours, price)) for flow, price in priced if price]
    )


def recourse_cost(programme: Programme, stage: Stage) -> LpAffineExpression:
    """Cost of one occurrence of a stage: emergency spend, requests lost, transport, USD."""
    terms = [emergency_spend(programme, stage), _transport(programme, stage.label, stage.hours)]
    # A margin asks for more to be carried; what it adds is nobody's loss.
    real = 1 / (1 + programme.case.margin(stage.scenario).demand)
    total, coefficients = 0.0, []
    for (zone, tier), demand in stage.demand_rps.items():
        entry = programme.case.model.tiers[tier]
        price = entry.value_usd_per_1000_requests + entry.sla_credit_usd_per_1000_requests
        if price:
            served = programme.served[stage.label, zone, tier]
            coefficients.append((served, -lost_usd(real, stage.hours, price)))
            total += lost_usd(real * demand, stage.hours, price)
            total += lost_usd(stage.down_rps.get((zone, tier), 0.0), stage.hours, price)
    return lpSum([*terms, LpAffineExpression.from_list(coefficients, total)])
