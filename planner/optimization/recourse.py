"""Second stage: what is done in every stage of every scenario, and in normal operation.

========================  =====================================  ==============================
symbol                    attribute of the programme             meaning
========================  =====================================  ==============================
a[s,t,c]                  ``active`` (or all GPUs)               powered GPUs
f[s,t,g,c]                ``flow``                               requests/s from a group
x[s,t,z,k]                ``served``                             requests/s served
q[s,t,c,p]                ``carried``                            heat carried, MW
h[s,t,v]                  ``used``                               emergency GPUs in use
μ, ρ                      ``GpuType.rps, max_utilisation``       requests/s per GPU, utilisation
========================  =====================================  ==============================
"""

from __future__ import annotations

from pulp import LpAffineExpression, LpVariable, lpSum

from planner.infrastructure.fleet import cooling_power_mw_per_mw
from planner.laws.heat import capacitance_mj_per_k, heat_at_utilisation_mw, heat_mw
from planner.laws.money import emergency_usd
from planner.laws.traffic import serving_rps
from planner.optimization.case import Case, Group
from planner.optimization.programme import Programme, Row
from planner.optimization.purchases import surviving_capacity
from planner.optimization.stages import ALL, Stage

NORMAL = "normal"


def add_variables(programme: Programme) -> None:
    """Create flows, served requests, emergency use, powered GPUs and heat carried."""
    case = programme.case
    for group in case.groups:
        for cluster in group.clusters:
            _add_flow(programme, NORMAL, group, cluster)
    for stage in case.stages:
        _add_traffic(programme, stage)
        for cluster in case.model.clusters:
            if not cooling_matters(case, stage, cluster):
                continue
            if stage.reacted:
                key = (stage.label, cluster)
                programme.active[key] = programme.variable("active", *key)
            for plant in case.plants_of(cluster):
                triple = (stage.label, cluster, plant)
                programme.carried[triple] = programme.variable("carried", *triple)


def _add_flow(programme: Programme, stage: str, group: Group, target: str) -> None:
    key = (stage, group.label, target)
    programme.flow[key] = programme.variable("flow", *key)


def _add_traffic(programme: Programme, stage: Stage) -> None:
    for offer in stage.offers:
        key = (stage.label, offer)
        programme.used[key] = programme.variable("used", *key)
    for group in programme.case.groups:
        for target in _targets(group, stage):
            _add_flow(programme, stage.label, group, target)
        for tier in group.tiers:
            demand = stage.demand_rps[group.zone, tier]
            triple = (stage.label, group.zone, tier)
            programme.served[triple] = programme.variable("served", *triple, high=demand)


def _targets(group: Group, stage: Stage) -> list[str]:
    up = [cluster for cluster in group.clusters if cluster not in stage.condition.clusters_down]
    return up + [offer for offer in group.offers if offer in stage.offers]


def cooling_matters(case: Case, stage: Stage, cluster: str) -> bool:
    """Whether cooling or power of a cluster differ from normal, where N+k carries the full heat."""
    condition = stage.condition
    if cluster in condition.clusters_down or not case.gpu(cluster).power_mw:
        return False
    region = case.model.clusters[cluster].region
    plants = case.plants_of(cluster, "primary")
    touched = any(
        plant in condition.plants_down
        or condition.lost_largest.get(plant, 0)
        or any(hit == plant for hit, _ in (*condition.lost_units, *condition.restarting))
        for plant in plants
    )
    less_power = condition.power_mw.get(region) != case.normal.power_mw.get(region)
    hotter = bool(condition.ambient_rise_c.get(region)) or case.margin(stage.scenario).heat > 0
    return touched or less_power or hotter


def demand_balance(programme: Programme) -> None:
    """Flows are what is served; in normal operation that is all demand at its peak.

    ``Σ_target f[s,t,g,·] = Σ_{k in g} x[s,t,z,k]``, normal: ``Σ_c f[g,c] = Σ_k peak[z,k]``
    """
    case = programme.case
    for group in case.groups:
        flows = lpSum(programme.flow[NORMAL, group.label, c] for c in group.clusters)
        peak = sum(case.peak_rps[group.zone, tier] for tier in group.tiers)
        row = Row("normal_demand", group.label, "", "requirement", "requests/s", peak)
        programme.require(flows == peak, row, group.label)
    for stage in case.stages:
        for group in case.groups:
            flows = lpSum(
                programme.flow[stage.label, group.label, target]
                for target in _targets(group, stage)
            )
            served = lpSum(programme.served[stage.label, group.zone, t] for t in group.tiers)
            programme.define(flows == served, "demand_balance", stage.label, group.label)


def powered(programme: Programme, stage: Stage, cluster: str) -> LpAffineExpression:
    """GPUs powered in a stage: all of them, or those that operators leave on."""
    key = (stage.label, cluster)
    if key in programme.active:
        return 1 * programme.active[key]
    return programme.gpus(cluster)


def cluster_capacity(programme: Programme) -> None:
    """Clusters serve at most what their powered GPUs carry.

    ``Σ_g f[s,t,g,c] ≤ μ_c·ρ_c·a[s,t,c]``, ``a[s,t,c] ≤ G[c]``
    """
    case = programme.case
    for cluster, entry in case.model.clusters.items():
        rps = case.gpu(cluster).rps
        room = serving_rps(programme.gpus(cluster), rps, entry.max_utilisation)
        load = programme.cluster_load(NORMAL, cluster)
        programme.define(load <= room, "cluster_capacity", NORMAL, cluster)
        for stage in case.stages:
            if cluster in stage.condition.clusters_down:
                continue
            on = powered(programme, stage, cluster)
            room = serving_rps(on, rps, entry.max_utilisation)
            load = programme.cluster_load(stage.label, cluster)
            programme.define(load <= room, "cluster_capacity", stage.label, cluster)
            if (stage.label, cluster) in programme.active:
                row = on <= programme.gpus(cluster)
                programme.define(row, "powered_gpus", stage.label, cluster)


def spare_block(programme: Programme) -> None:
    """Every region in use serves its normal peak with one GPU block less (N+1).

    ``Σ_c load[c] ≤ Σ_c μ_c·ρ_c·G[c] − max_c μ_c·ρ_c·block_c``
    """
    case = programme.case
    if not case.model.policies.spare_block_per_region:
        return
    for region in case.model.regions:
        clusters = case.clusters_in(region)
        for spare in clusters:
            room = lpSum(
                serving_rps(
                    programme.gpus(c), case.gpu(c).rps, case.model.clusters[c].max_utilisation
                )
                for c in clusters
            )
            entry = case.model.clusters[spare]
            block = serving_rps(entry.block_gpus, case.gpu(spare).rps, entry.max_utilisation)
            needed = block * programme.in_use(region)
            load = lpSum(programme.cluster_load(NORMAL, c) for c in clusters)
            row = Row("spare_block", region, "", "requirement", "requests/s", block)
            programme.require(load <= room - needed, row, region, spare)


def offer_capacity(programme: Programme) -> None:
    """Emergency instances serve what is in use, and no more than reserved is in use.

    ``Σ_g f[s,t,g,v] ≤ μ_v·h[s,t,v]``, ``h[s,t,v] ≤ gpus_v·e[v]``
    """
    case = programme.case
    for stage in case.stages:
        for offer in stage.offers:
            terms, used = case.model.offers[offer], programme.used[stage.label, offer]
            load = programme.cluster_load(stage.label, offer)
            room = serving_rps(used, terms.rps_per_gpu, 1.0)
            programme.define(load <= room, "offer_capacity", stage.label, offer)
            reserved = terms.gpus_per_instance * programme.instance_count(offer)
            programme.define(used <= reserved, "offer_reserved", stage.label, offer)


def cooling_balance(programme: Programme) -> None:
    """Once operators have reacted, the heat of what is powered is carried away.

    ``φ_c·(σ_c·a[s,t,c] + (1 − σ_c)·Σ_g f[s,t,g,c]/μ_c)·(1 + margin) ≤ Σ_p q[s,t,c,p]``
    """
    case = programme.case
    for stage in case.stages:
        for cluster in case.model.clusters:
            if (stage.label, cluster) not in programme.active:
                continue
            heat = stage_heat(programme, stage, cluster)
            carried = _carried(programme, stage, cluster)
            margin = 1 + case.margin(stage.scenario).heat
            programme.define(margin * heat <= carried, "cooling_balance", stage.label, cluster)


def stage_heat(programme: Programme, stage: Stage, cluster: str) -> LpAffineExpression:
    """Heat of the powered GPUs of a cluster in a stage, MW."""
    gpu = programme.case.gpu(cluster)
    busy = (1 / gpu.rps) * programme.cluster_load(stage.label, cluster)
    on = powered(programme, stage, cluster)
    heat: LpAffineExpression = heat_mw(gpu.power_mw, gpu.static_share, on, busy)
    return heat


def _carried(programme: Programme, stage: Stage, cluster: str) -> LpAffineExpression:
    return lpSum(
        programme.carried[stage.label, cluster, plant]
        for plant in programme.case.plants_of(cluster)
    )


def ride_through(programme: Programme) -> None:
    """Before operators react, rooms, coolant and tanks take up what cooling does not carry.

    ``Σ_t seconds_t·(heat[c] − Σ_p q[s,t,c,p])⁺ ≤ (throttle − set point)·capacitance·G[c] +
    tank[c]``, the heat being that of all GPUs at the utilisation limit, the tank the cluster's part
    of the buffers of its plants. Temperatures then stay below throttling.
    """
    case = programme.case
    for scenario, stages in case.stages_by_scenario.items():
        for cluster in case.model.clusters:
            early = [s for s in stages if not s.reacted and cooling_matters(case, s, cluster)]
            if early:
                _ride_through(programme, scenario, early, cluster)


def _ride_through(programme: Programme, scenario: str, stages: list[Stage], cluster: str) -> None:
    case = programme.case
    entry, gpu = case.model.clusters[cluster], case.gpu(cluster)
    gpus = programme.gpus(cluster)
    full = heat_at_utilisation_mw(gpu.power_mw, gpu.static_share, gpus, entry.max_utilisation)
    heat = (1 + case.margin(scenario).heat) * full
    stored: list[LpAffineExpression] = []
    for stage in stages:
        short = programme.variable("uncooled", stage.label, cluster)
        row = short >= heat - _carried(programme, stage, cluster)
        programme.define(row, "uncooled", stage.label, cluster)
        stored.append(stage.hours * 3600 * short)
    allowed = (entry.throttle_c - entry.setpoint_c) * capacitance_mj_per_k(
        entry.capacitance_mj_per_k_per_mw, gpu.power_mw, gpus
    )
    tank = case.buffer_mj(scenario, cluster)
    if tank:
        allowed = allowed + tank
    amount = gpu.power_mw * entry.max_gpus * stages[-1].end_minute * 60
    row_of = Row("ride_through", cluster, scenario, "requirement", "MJ", amount)
    programme.require(lpSum(stored) <= allowed, row_of, scenario, cluster)


def plant_capacity(programme: Programme) -> None:
    """A plant carries at most what its surviving, started units can at the moment's ambient.

    ``Σ_c q[s,t,c,p] ≤ Σ_u q_u(ambient)·(n[p,u] − lost[s,t,p,u])``, with the thresholds of
    `surviving_capacity` where the largest of what is left are lost too
    """
    case = programme.case
    for stage in case.stages:
        for plant, entry in case.model.plants.items():
            heats = [
                programme.carried[stage.label, c, plant]
                for c in entry.cools
                if (stage.label, c, plant) in programme.carried
            ]
            if heats:
                capacity = stage_capacity(programme, stage, plant)
                row = lpSum(heats) <= capacity
                programme.define(row, "plant_capacity", stage.label, plant)


def stage_capacity(programme: Programme, stage: Stage, plant: str) -> LpAffineExpression:
    """Capacity of a plant in a stage, MW."""
    case, condition = programme.case, stage.condition
    if plant in condition.plants_down:
        return LpAffineExpression.empty()
    rise = condition.ambient_rise_c.get(case.model.plants[plant].region, 0.0)
    lost = condition.lost_largest.get(plant, 0)
    named = stage.named_losses(plant)
    return surviving_capacity(programme, plant, stage.started[plant], lost, rise, named)


def stage_power(programme: Programme) -> None:
    """IT and cooling stay within what the surviving feeds and generators of a region carry.

    ``(1 + cooling power per heat)·Σ_c heat[s,t,c] ≤ power[s,t,r]``
    """
    case = programme.case
    for stage in case.stages:
        for region, power in stage.condition.power_mw.items():
            if power == case.normal.power_mw.get(region):
                continue
            heat = lpSum(
                stage_heat(programme, stage, cluster)
                for cluster in case.clusters_in(region)
                if cluster not in stage.condition.clusters_down and case.gpu(cluster).power_mw
            )
            if not heat.items():
                continue
            factor = 1 + cooling_power_mw_per_mw(case.model, region, ("primary", "emergency"))
            row = Row(
                "stage_power", region, stage.scenario, "limit", "MW", power, stage.start_minute
            )
            programme.require(factor * heat <= power, row, stage.label, region)


def served_floors(programme: Programme) -> None:
    """Every tier, and all tiers together, get at least the fraction the standard asks for.

    ``Σ_z x[s,t,z,k] ≥ floor[k]·Σ_z demand[s,t,z,k]``
    """
    for stage in programme.case.stages:
        for name, least in stage.floors.items():
            if least <= 0:
                continue
            served, demand = _of_tier(programme, stage, name)
            amount = sum(demand) + sum(
                rps for (_, tier), rps in stage.down_rps.items() if name in (ALL, tier)
            )
            if not amount:
                continue
            row = Row(
                "served_floor",
                name,
                stage.scenario,
                "requirement",
                "requests/s",
                amount,
                stage.start_minute,
            )
            programme.require(lpSum(served) >= least * amount, row, stage.label, name)


def _of_tier(programme: Programme, stage: Stage, name: str) -> tuple[list[LpVariable], list[float]]:
    keys = [(zone, tier) for zone, tier in stage.demand_rps if name in (ALL, tier)]
    served = [programme.served[stage.label, zone, tier] for zone, tier in keys]
    return served, [stage.demand_rps[key] for key in keys]


def emergency_budget(programme: Programme) -> None:
    """Emergency spend of every scenario stays within the approved budget.

    ``Σ_t hours_t·price_v·surge_v·h[s,t,v] ≤ budget``
    """
    case = programme.case
    budget = case.model.finance.emergency_budget_usd
    for scenario, stages in case.stages_by_scenario.items():
        spend = lpSum(emergency_spend(programme, stage) for stage in stages)
        if spend.items():
            row = Row("emergency_budget", "budget", scenario, "limit", "USD", budget)
            programme.require(spend <= budget, row, scenario)


def emergency_spend(programme: Programme, stage: Stage) -> LpAffineExpression:
    """Emergency spend in a stage, USD."""
    offers = programme.case.model.offers
    return lpSum(
        emergency_usd(
            programme.used[stage.label, offer],
            stage.hours,
            offers[offer].usd_per_instance_hour,
            offers[offer].gpus_per_instance,
            offers[offer].surge_multiplier,
        )
        for offer in stage.offers
    )
