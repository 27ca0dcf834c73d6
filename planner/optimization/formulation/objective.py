"""The objective: annualised capital, upkeep, retainers, energy, expected cost of recourse."""

from __future__ import annotations

from planner.infrastructure.fleet import heat_of
from planner.infrastructure.prices import gpu_assets, unit_asset
from planner.laws.assets import Asset
from planner.laws.heat import heat_mw
from planner.laws.money import HOURS_PER_YEAR, annuity, energy_usd, lost_usd, transport_usd
from planner.optimization.formulation.algebra import Expression, Variable, sum_of
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.preemption import preemption_usd
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.recourse import NORMAL, emergency_spend
from planner.optimization.formulation.risk import premium
from planner.optimization.formulation.stages import Stage


def normal_cooling(programme: Programme) -> None:
    """The mean heat of normal operation is spread over the running units of primary plants.

    ``Σ_p m[c,p] = φ_c·(σ_c·G[c] + (1 − σ_c)·Σ_g f[g,c]/μ_c)``,
    ``Σ_c m[c,p] = Σ_u l[p,u]``, ``l[p,u] ≤ q_u·n[p,u]``
    """
    data = programme.data
    for plant in data.model.plants:
        for unit in data.running_units(plant):
            load = programme.variable("load", plant, unit)
            programme.normal.load[plant, unit] = load
            most = data.unit_mw(plant, unit) * programme.unit_count(plant, unit)
            programme.define(load <= most, Family.UNIT_LOAD, plant, unit)
    carried = programme.by_stage[NORMAL].carried
    for cluster in data.model.clusters:
        plants = data.plants_of(cluster, "primary")
        for plant in plants:
            carried[cluster, plant] = programme.variable("carried", NORMAL, cluster, plant)
        if data.gpu(cluster).power_mw:
            total = sum_of(carried[cluster, plant] for plant in plants)
            row = total == mean_heat(programme, cluster)
            programme.define(row, Family.MEAN_HEAT, cluster)
    for plant, entry in data.model.plants.items():
        if entry.role == "primary":
            units = [programme.normal.load[plant, unit] for unit in data.running_units(plant)]
            heats = [carried[pair] for pair in heat_of(data.model, plant)]
            programme.define(sum_of(heats) == sum_of(units), Family.MEAN_LOAD, plant)


def mean_heat(programme: Programme, cluster: str) -> Expression:
    """Heat of a cluster in normal operation at the mean demand of the week, MW."""
    gpu = programme.data.gpu(cluster)
    busy = (1.0 / gpu.rps) * programme.cluster_load(NORMAL, cluster)
    heat: Expression = heat_mw(gpu.power_mw, gpu.static_share, programme.gpus(cluster), busy)
    return heat


def set_objective(programme: Programme) -> None:
    """Minimise the cost of a year: ``purchases + upkeep + energy + Σ_s frequency_s·recourse_s``.

    A risk policy adds its premium (`planner.optimization.formulation.risk`).

    The constant part is carried by a variable fixed at 1: some solvers drop constants, and a gap
    relative to what is left would prove nothing about the plan.
    """
    yearly = [equipment(programme), openings(programme), normal_operation(programme)]
    once: dict[str, Expression] = {}
    expected = []
    for scenario, stages in programme.data.stages_by_scenario.items():
        costs = [recourse_cost(programme, stage) for stage in stages]
        once[scenario] = sum_of([*costs, preemption_usd(programme, scenario)])
        expected.append(stages[0].timeline.scenario.frequency_per_year * once[scenario])
    cost = sum_of([*yearly, *expected, premium(programme, once)])
    if cost.constant:
        unity = programme.variable("one", low=1.0, high=1.0)
        cost = cost - cost.constant + cost.constant * unity
    programme.problem.objective = cost


def equipment(programme: Programme) -> Expression:
    """Annualised cost of what is bought, kept and retired, USD per year (`laws.assets.Asset`).

    ``Σ bought·(price·a + upkeep) + kept·(own upkeep + replacement) − retired·salvage·a``
    """
    model, rate = programme.data.model, programme.data.model.finance.discount_rate
    terms: list[Expression] = []
    for (plant, unit), count in programme.purchases.units.items():
        terms.append(unit_asset(model, plant, unit).bought_usd_per_year(rate) * count)
    for cluster, blocks in programme.purchases.blocks.items():
        size = model.clusters[cluster].block_gpus
        for asset in gpu_assets(model, cluster).values():
            terms.append(asset.bought_usd_per_year(rate) * (size * blocks))
    return sum_of([*terms, kept(programme)])


def kept(programme: Programme) -> Expression:
    """The part of what is kept and retired in the cost of `equipment`, USD per year."""
    model, rate = programme.data.model, programme.data.model.finance.discount_rate
    terms = []

    def own(asset: Asset, there: int, gone: Expression) -> None:
        terms.append(asset.kept_usd_per_year(rate) * (there - gone))
        terms.append(asset.retired_usd_per_year(rate) * gone)

    for plant, unit in programme.purchases.units:
        existing = model.plants[plant].existing.get(unit, 0)
        own(unit_asset(model, plant, unit), existing, programme.retired_units(plant, unit))
    for cluster in programme.purchases.blocks:
        gone = programme.retired_gpus(cluster)
        for asset in gpu_assets(model, cluster).values():
            own(asset, model.clusters[cluster].existing_gpus, gone)
    return sum_of(terms)


def openings(programme: Programme) -> Expression:
    """Opened regions, measures and retainers of emergency instances, USD per year."""
    model, rate = programme.data.model, programme.data.model.finance.discount_rate
    terms = []
    for region, opened in programme.purchases.opened.items():
        place = model.regions[region]
        yearly = place.fixed_usd * annuity(rate, place.life_years) + place.fixed_usd_per_year
        terms.append(yearly * opened)
    for name, bought in programme.purchases.measures.items():
        measure = model.measures[name]
        yearly = measure.capital_usd * annuity(rate, measure.life_years) + measure.usd_per_year
        terms.append(yearly * bought)
    for offer, terms_of in model.offers.items():
        yearly = terms_of.retainer_usd_per_instance_year
        terms.append(yearly * programme.instance_count(offer))
    return sum_of(terms)


def normal_operation(programme: Programme) -> Expression:
    """Energy and transport of a year without failures, USD per year."""
    data = programme.data
    regions, kinds = data.model.regions, data.model.cooling_units
    terms = []
    for cluster, entry in data.model.clusters.items():
        place = regions[entry.region]
        drawn = place.drawn_mw_per_mw * mean_heat(programme, cluster)
        terms.append(energy_usd(drawn, HOURS_PER_YEAR, place.electricity_usd_per_mwh))
    for (plant, unit), load in programme.normal.load.items():
        price = regions[data.model.plants[plant].region].electricity_usd_per_mwh
        power = kinds[unit].drawn_mw_per_mw
        terms.append(energy_usd(power * load, HOURS_PER_YEAR, price))
    terms.append(_transport(programme, NORMAL, HOURS_PER_YEAR))
    return sum_of(terms)


def _transport(programme: Programme, stage: str, hours: float) -> Expression:
    prices = programme.data.transport_usd
    flows = programme.by_stage[stage].flow.items()
    priced = ((flow, prices[source, target]) for (source, target), flow in flows)
    return Expression({flow: transport_usd(1.0, hours, price) for flow, price in priced if price})


def recourse_cost(programme: Programme, stage: Stage) -> Expression:
    """Cost of one occurrence of a stage: emergency spend, lost requests, transport, USD."""
    terms = [emergency_spend(programme, stage), _transport(programme, stage.label, stage.hours)]
    total, coefficients = 0.0, dict[Variable, float]()
    for (zone, tier), demand in stage.demand_rps.items():
        entry = programme.data.model.tiers[tier]
        price = entry.value_usd_per_1000_requests + entry.sla_credit_usd_per_1000_requests
        if price:
            served = programme.by_stage[stage.label].served[zone, tier]
            coefficients[served] = -lost_usd(1.0, stage.hours, price)
            total += lost_usd(demand, stage.hours, price)
            total += lost_usd(stage.down_rps.get((zone, tier), 0.0), stage.hours, price)
    return sum_of([*terms, Expression(coefficients, total)])
