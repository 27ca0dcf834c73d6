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

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations

from pulp import LpAffineExpression, LpVariable, lpSum

from planner.infrastructure.fleet import cooling_power_mw_per_mw
from planner.infrastructure.graph import node
from planner.laws.heat import capacitance_mj_per_k, heat_at_utilisation_mw, heat_mw
from planner.laws.money import emergency_usd
from planner.laws.traffic import serving_rps
from planner.optimization.case import Case, Group
from planner.optimization.measures import (
    bought_exactly,
    feed_power_mw,
    feeds_to_buy,
    ran_on,
    up,
)
from planner.optimization.programme import Chance, Programme, Row
from planner.optimization.purchases import surviving_capacity
from planner.optimization.stages import ALL, Stage, When
from planner.scenarios.standard import emergency_budget_usd

NORMAL = "normal"


def add_variables(programme: Programme) -> None:
    """Create flows, served requests, emergency use, powered GPUs and heat carried."""
    case = programme.case
    for group in case.groups:
        _add_flows(programme, NORMAL, group, group.clusters)
    for stage in case.stages:
        _add_traffic(programme, stage)
        for cluster in case.model.clusters:
            reacted = stage.when(lambda one: one.reacted)
            cooled = cooling_matters(case, stage, cluster)
            short = cooled and 0.0 not in whole_power(programme, stage, cluster)
            if (cooled and reacted) or short or may_be_down(stage, cluster):
                key = (stage.label, cluster)
                programme.active[key] = programme.variable("active", *key)
            if not cooled:
                continue
            for plant in case.plants_of(cluster):
                triple = (stage.label, cluster, plant)
                programme.carried[triple] = programme.variable("carried", *triple)


def _add_flows(programme: Programme, stage: str, group: Group, targets: Sequence[str]) -> None:
    source = group.label
    flows = programme.variables("flow", stage, source, last=targets)
    programme.flows_from[stage, source] = flows
    for target, flow in zip(targets, flows, strict=True):
        programme.flow[stage, source, target] = flow
        programme.flows_to.setdefault((stage, target), []).append(flow)


def _add_traffic(programme: Programme, stage: Stage) -> None:
    for offer in stage.offers_at_best:
        key = (stage.label, offer)
        programme.used[key] = programme.variable("used", *key)
    for group in programme.case.groups:
        _add_flows(programme, stage.label, group, _targets(group, stage))
        for tier in group.tiers:
            demand = stage.demand_rps[group.zone, tier]
            triple = (stage.label, group.zone, tier)
            programme.served[triple] = programme.variable("served", *triple, high=demand)


def _targets(group: Group, stage: Stage) -> list[str]:
    up = [cluster for cluster in group.clusters if cluster not in stage.at_best.clusters_down]
    return up + [offer for offer in group.offers if offer in stage.offers_at_best]


def may_be_down(stage: Stage, cluster: str) -> bool:
    """Whether measures decide if a cluster is up."""
    return cluster in stage.condition.clusters_down and cluster not in stage.at_best.clusters_down


def cluster_up(programme: Programme, stage: Stage, cluster: str) -> Chance:
    """Whether a cluster is up in a stage."""
    return up(programme, stage.outage, node("cluster", cluster))


def tiers_up(programme: Programme) -> None:
    """Tiers whose services are down get nothing: ``x[s,t,z,k] ≤ demand[s,t,z,k]·up[s,t,k]``."""
    for stage in programme.case.stages:
        for tier in sorted(stage.condition.tiers_down - stage.at_best.tiers_down):
            chance = up(programme, stage.outage, node("tier", tier))
            for zone in programme.case.model.zones:
                most = stage.demand_rps[zone, tier] * chance
                row = programme.served[stage.label, zone, tier] <= most
                programme.define(row, "tier_up", stage.label, zone, tier)


def cooling_matters(case: Case, stage: Stage, cluster: str) -> bool:
    """Whether cooling or power of a cluster differ from normal, where N+k carries the full heat.

    With any measures bought: rows that say nothing with those that are bought do no harm.
    """
    if cluster in stage.at_best.clusters_down or not case.gpu(cluster).power_mw:
        return False
    if may_be_down(stage, cluster):
        return True
    region = case.model.clusters[cluster].region
    if any(node("feed", feed) in stage.outage.failed for feed in feeds_to_buy(case.model, region)):
        return True
    condition = stage.condition
    touched = not stage.plants_touched.isdisjoint(case.plants_of(cluster, "primary"))
    less_power = condition.power_mw.get(region) != case.normal.power_mw.get(region)
    hotter = bool(condition.ambient_rise_c.get(region)) or case.margin(stage.scenario).heat > 0
    return touched or less_power or hotter


def demand_balance(programme: Programme) -> None:
    """Flows are what is served; in normal operation that is all demand at its peak.

    ``Σ_target f[s,t,g,·] = Σ_{k in g} x[s,t,z,k]``, normal: ``Σ_c f[g,c] = Σ_k peak[z,k]``
    """
    case = programme.case
    for group in case.groups:
        flows = lpSum(programme.flows_from[NORMAL, group.label])
        peak = sum(case.peak_rps[group.zone, tier] for tier in group.tiers)
        row = Row("normal_demand", group.label, "", "requirement", "requests/s", peak)
        programme.require(flows == peak, row, group.label)
    for stage in case.stages:
        for group in case.groups:
            flows = lpSum(programme.flows_from[stage.label, group.label])
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
            if cluster in stage.at_best.clusters_down:
                continue
            on = powered(programme, stage, cluster)
            room = serving_rps(on, rps, entry.max_utilisation)
            load = programme.cluster_load(stage.label, cluster)
            programme.define(load <= room, "cluster_capacity", stage.label, cluster)
            if (stage.label, cluster) in programme.active:
                row = on <= programme.gpus(cluster)
                programme.define(row, "powered_gpus", stage.label, cluster)
                _powered_if_up(programme, stage, cluster, on)


def _powered_if_up(
    programme: Programme, stage: Stage, cluster: str, on: LpAffineExpression
) -> None:
    """Nothing of a cluster that is down is powered, and all of one that nobody has acted on.

    ``a[s,t,c] ≤ max_c·up[s,t,c]``, ``a[s,t,c] ≥ G[c] − max_c·(1 − up[s,t,c] + reacted[s,t])``, the
    latter unless power is short: loads that it does not carry go off by themselves.
    """
    most = float(programme.case.model.clusters[cluster].max_gpus)
    chance: Chance = 1.0
    if may_be_down(stage, cluster):
        chance = cluster_up(programme, stage, cluster)
        programme.define(on <= most * chance, "powered_if_up", stage.label, cluster)
    reacted = stage.when(lambda one: one.reacted)
    if reacted is True:
        return
    for index, other in enumerate(whole_power(programme, stage, cluster)):
        left = programme.gpus(cluster) - most * (1 - chance + programme.when(reacted) + other)
        name = (stage.label, cluster, str(index)) if index else (stage.label, cluster)
        programme.define(on >= left, "powered_before", *name)


def whole_power(programme: Programme, stage: Stage, cluster: str) -> list[Chance]:
    """Chances that are 0 where the power of a cluster's region is as in normal operation."""
    region = programme.case.model.clusters[cluster].region
    if region not in stage.condition.power_mw:
        return [0.0]
    sets = list(_power_by_feeds(programme, stage, region))
    usual = [other for power, normal, other in sets if power == normal]
    return [0.0] if len(usual) == len(sets) else usual


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
        for offer in stage.offers_at_best:
            terms, used = case.model.offers[offer], programme.used[stage.label, offer]
            load = programme.cluster_load(stage.label, offer)
            room = serving_rps(used, terms.rps_per_gpu, 1.0)
            programme.define(load <= room, "offer_capacity", stage.label, offer)
            reserved = terms.gpus_per_instance * programme.instance_count(offer)
            programme.define(used <= reserved, "offer_reserved", stage.label, offer)
            arrived = stage.when(partial(_offers, offer))
            if arrived is not True:
                most = terms.available_gpus * programme.when(arrived)
                programme.define(used <= most, "offer_arrived", stage.label, offer)


def cooling_balance(programme: Programme) -> None:
    """Once operators have reacted, the heat of what is powered is carried away.

    ``φ_c·(σ_c·a[s,t,c] + (1 − σ_c)·Σ_g f[s,t,g,c]/μ_c)·(1 + margin) ≤ Σ_p q[s,t,c,p]``, where
    measures decide whether they have, up to ``φ_c·max_c·(1 + margin)·(1 − reacted[s,t])`` more
    """
    case = programme.case
    for stage in case.stages:
        reacted = stage.when(lambda one: one.reacted)
        for cluster in case.model.clusters:
            if not reacted or not cooling_matters(case, stage, cluster):
                continue
            heat = stage_heat(programme, stage, cluster)
            carried = _carried(programme, stage, cluster)
            margin = 1 + case.margin(stage.scenario).heat
            if reacted is not True:
                most = margin * case.gpu(cluster).power_mw * case.model.clusters[cluster].max_gpus
                carried = carried + most * (1 - programme.when(reacted))
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
            early = [
                stage
                for stage in stages
                if stage.when(lambda one: one.reacted) is not True
                and cooling_matters(case, stage, cluster)
            ]
            if early:
                _ride_through(programme, scenario, early, cluster)


def _ride_through(programme: Programme, scenario: str, stages: list[Stage], cluster: str) -> None:
    case = programme.case
    entry, gpu = case.model.clusters[cluster], case.gpu(cluster)
    gpus = programme.gpus(cluster)
    margin = 1 + case.margin(scenario).heat
    stored: list[LpAffineExpression] = []
    for stage in stages:
        on = powered(programme, stage, cluster)
        full = heat_at_utilisation_mw(gpu.power_mw, gpu.static_share, on, entry.max_utilisation)
        short = programme.variable("uncooled", stage.label, cluster)
        left = margin * full - _carried(programme, stage, cluster)
        reacted = programme.when(stage.when(lambda one: one.reacted))
        if not isinstance(reacted, float):
            left = left - margin * gpu.power_mw * entry.max_gpus * reacted
        programme.define(short >= left, "uncooled", stage.label, cluster)
        stored.append(stage.hours * 3600 * short)
    allowed = (entry.throttle_c - entry.setpoint_c) * capacitance_mj_per_k(
        entry.capacitance_mj_per_k_per_mw, gpu.power_mw, gpus
    )
    allowed = allowed + tank_mj(programme, scenario, cluster)
    amount = gpu.power_mw * entry.max_gpus * stages[-1].end_minute * 60
    row_of = Row("ride_through", cluster, scenario, "requirement", "MJ", amount)
    programme.require(lpSum(stored) <= allowed, row_of, scenario, cluster)


def tank_mj(programme: Programme, scenario: str, cluster: str) -> LpAffineExpression:
    """Heat that tanks take up for a cluster before operators react, MJ.

    That of plants which are lost by then, and not for want of power, does not count:
    ``tank[s,p] ≤ share_c·(buffer_p + Σ_m added_m·y[m])``, ``tank[s,p] ≤ most·(up[s,t,p] +
    reacted[s,t])`` for every stage t in which measures decide whether it is lost.
    """
    case, model = programme.case, programme.case.model
    total = LpAffineExpression.empty()
    for plant in case.plants_of(cluster):
        added = {
            name: measure.buffer_mwh[plant]
            for name, measure in model.measures.items()
            if plant in measure.buffer_mwh
        }
        share = 3600 * case.tank_share(plant, cluster)
        buffer = lpSum(mwh * programme.measures[name] for name, mwh in added.items())
        buffer = share * (buffer + model.plants[plant].buffer_mwh)
        most = share * (sum(added.values()) + model.plants[plant].buffer_mwh)
        if not most:
            continue
        left = _tank_left(programme, scenario, plant)
        if left is None:
            total = total + buffer
        elif left:
            tank = programme.variable("tank", scenario, cluster, plant)
            programme.define(tank <= buffer, "tank", scenario, cluster, plant)
            for index, chance in enumerate(left):
                row = tank <= most * chance
                programme.define(row, "tank", scenario, cluster, plant, str(index))
            total = total + tank
    return total


def _tank_left(programme: Programme, scenario: str, plant: str) -> list[Chance] | None:
    """What has to come true for a tank to be left; None if nothing, empty if it cannot be."""
    found: list[Chance] = []
    for stage in programme.case.stages_by_scenario[scenario]:
        reacted = stage.when(lambda one: one.reacted)
        if reacted is True or plant not in stage.condition.plants_lost:
            continue
        chance = up(programme, stage.outage, node("plant", plant), powered=False)
        total = chance + programme.when(reacted)
        if isinstance(total, float) and not total:
            return []
        found.append(total)
    # Stages that differ in something else say the same.
    return list({str(one): one for one in found}.values()) or None


def plant_capacity(programme: Programme) -> None:
    """A plant carries at most what its surviving, started units can at the moment's ambient.

    ``Σ_c q[s,t,c,p] ≤ Σ_u q_u(ambient)·(n[p,u] − lost[s,t,p,u])``, with the thresholds of
    `surviving_capacity` where the largest of what is left are lost too. Where measures decide which
    units carry load there is a row for each set of units, loosened by ``most_p`` unless it counts.
    """
    case = programme.case
    for stage in case.stages:
        for plant, entry in case.model.plants.items():
            heats = [
                programme.carried[stage.label, c, plant]
                for c in entry.cools
                if (stage.label, c, plant) in programme.carried
            ]
            for index, capacity in enumerate(capacities(programme, stage, plant) if heats else ()):
                name = (stage.label, plant, str(index)) if index else (stage.label, plant)
                programme.define(lpSum(heats) <= capacity, "plant_capacity", *name)


def capacities(programme: Programme, stage: Stage, plant: str) -> list[LpAffineExpression]:
    """Bounds on what a plant carries in a stage, all of which hold, MW."""
    condition = stage.condition
    if plant in stage.at_best.plants_down:
        return [LpAffineExpression.empty()]
    found: list[LpAffineExpression] = []
    most = _most_mw(programme, stage, plant)
    if plant in condition.plants_down:
        chance = up(programme, stage.outage, node("plant", plant))
        found.append(most * chance + LpAffineExpression.empty())
    for units, counts in _standing(stage, plant):
        loose = most * (1 - programme.when(counts))
        found.append(_capacity(programme, stage, plant, units) + loose)
        for left, ran in _restarting(programme, stage, plant, units):
            found.append(_capacity(programme, stage, plant, left) + loose + most * ran)
    return found


def _standing(stage: Stage, plant: str) -> list[tuple[frozenset[str], When]]:
    """Sets of units that may carry load but for those restarting, and when each does."""
    stages = [one for _, one in stage.variants] or [stage]
    sets = dict.fromkeys(one.standing[plant] for one in stages)
    return [(units, stage.when(partial(_stands, plant, units))) for units in sets]


def _stands(plant: str, units: frozenset[str], stage: Stage) -> bool:
    return stage.standing[plant] == units


def _offers(offer: str, stage: Stage) -> bool:
    return offer in stage.offers


def _restarting(
    programme: Programme, stage: Stage, plant: str, units: frozenset[str]
) -> Iterator[tuple[frozenset[str], Chance]]:
    """Units left when those restart that stopped for want of power, and whether they ran on."""
    stopped: dict[frozenset[str], set[str]] = {}
    for one in stage.outage.restarts:
        if one.plant == plant and (plant, one.unit) in stage.condition.restarting:
            stopped.setdefault(one.dark, set()).add(one.unit)
    chances = {dark: ran_on(programme, plant, dark) for dark in stopped}
    for size in range(1, len(stopped) + 1):
        for some in combinations(stopped, size):
            left = units.difference(*(stopped[dark] for dark in some))
            if left != units:
                yield left, sum((chances[dark] for dark in some), start=0.0)


def _capacity(
    programme: Programme, stage: Stage, plant: str, units: frozenset[str]
) -> LpAffineExpression:
    rise = stage.condition.ambient_rise_c.get(programme.case.model.plants[plant].region, 0.0)
    lost = stage.condition.lost_largest.get(plant, 0)
    named = stage.named_losses(plant, units)
    return surviving_capacity(programme, plant, units, lost, rise, named)


def _most_mw(programme: Programme, stage: Stage, plant: str) -> float:
    """More than a plant can ever carry in a stage, MW."""
    case = programme.case
    entry = case.model.plants[plant]
    rise = stage.condition.ambient_rise_c.get(entry.region, 0.0)
    lost = max((q for q in (case.unit_mw(plant, u, rise) for u in case.units(plant))), default=0.0)
    named = sum(n for (hit, _), n in stage.condition.lost_units.items() if hit == plant)
    spare = lost * (stage.condition.lost_largest.get(plant, 0) + named)
    return spare + sum(
        case.unit_mw(plant, unit, rise)
        * (entry.existing.get(unit, 0) + (programme.units[plant, unit].upBound or 0.0))
        for unit in case.units(plant)
    )


def stage_power(programme: Programme) -> None:
    """IT and cooling stay within what the surviving feeds and generators of a region carry.

    ``(1 + cooling power per heat)·Σ_c heat[s,t,c] ≤ power[s,t,r]``; where feeds can be bought, a
    row for each set of them, loosened unless exactly that set is.
    """
    case = programme.case
    for stage in case.stages:
        for region in stage.condition.power_mw:
            limits = list(_power_limits(programme, stage, region))
            if not limits:
                continue
            heat = lpSum(
                stage_heat(programme, stage, cluster)
                for cluster in case.clusters_in(region)
                if cluster not in stage.at_best.clusters_down and case.gpu(cluster).power_mw
            )
            if not heat.items():
                continue
            factor = 1 + cooling_power_mw_per_mw(case.model, region, ("primary", "emergency"))
            most = factor * sum(
                case.gpu(cluster).power_mw * case.model.clusters[cluster].max_gpus
                for cluster in case.clusters_in(region)
            )
            for index, (power, other) in enumerate(limits):
                row = Row(
                    "stage_power", region, stage.scenario, "limit", "MW", power, stage.start_minute
                )
                name = (stage.label, region, str(index)) if index else (stage.label, region)
                programme.require(factor * heat <= power + most * other, row, *name)


def _power_limits(
    programme: Programme, stage: Stage, region: str
) -> Iterator[tuple[float, Chance]]:
    """Power of a region where it differs from normal, MW, each with 0 where it counts."""
    for power, normal, other in _power_by_feeds(programme, stage, region):
        if power != normal:
            yield power, other


def _power_by_feeds(
    programme: Programme, stage: Stage, region: str
) -> Iterator[tuple[float, float, Chance]]:
    """Power of a region now and in normal operation, MW, by the feeds that are bought."""
    case = programme.case
    owners = feeds_to_buy(case.model, region)
    if not owners:
        yield stage.condition.power_mw[region], case.normal.power_mw[region], 0.0
        return
    limit = case.model.regions[region].power_limit_mw
    for some, other in bought_exactly(programme, owners.values()):
        power, normal = (
            min(limit, feed_power_mw(programme, region, failed, some))
            for failed in (stage.outage.failed, frozenset[str]())
        )
        yield power, normal, other


def served_floors(programme: Programme) -> None:
    """Every tier, and all tiers together, get at least the fraction the standard asks for.

    ``Σ_z x[s,t,z,k] ≥ floor[k]·Σ_z demand[s,t,z,k]``, where measures decide when load balancers act
    or whether they have to, times whether the standard is in force.
    """
    for stage in programme.case.stages:
        floors = stage.floors_if_up
        for _, one in stage.variants or ((frozenset(), stage),):
            floors = floors or one.floors
        in_force = _in_force(programme, stage) if any(floors.values()) else 0.0
        for name, least in floors.items():
            if least <= 0:
                continue
            served, demand = _of_tier(programme, stage, name)
            amount = sum(demand) + sum(
                rps for (_, tier), rps in stage.down_rps.items() if name in (ALL, tier)
            )
            if not amount:
                continue
            needed = least * _counted(programme, stage, name, amount, in_force) * in_force
            row = Row(
                "served_floor",
                name,
                stage.scenario,
                "requirement",
                "requests/s",
                amount,
                stage.start_minute,
            )
            programme.require(lpSum(served) >= needed, row, stage.label, name)


def _counted(
    programme: Programme, stage: Stage, name: str, amount: float, in_force: Chance
) -> Chance:
    """Demand that a floor is a share of; a margin is asked only of tiers that are up."""
    margin = programme.case.margin(stage.scenario).demand
    maybe = stage.condition.tiers_down - stage.at_best.tiers_down
    total: Chance = amount
    if margin and isinstance(in_force, float):
        for (_, tier), rps in stage.demand_rps.items():
            if tier in maybe and name in (ALL, tier):
                chance = up(programme, stage.outage, node("tier", tier))
                total -= rps * margin / (1 + margin) * (1 - chance)
    return total


def _in_force(programme: Programme, stage: Stage) -> Chance:
    """Whether the standard holds in a stage: load balancers have acted or no cluster is down."""
    settled = stage.when(lambda one: bool(one.floors))
    if settled is True or not stage.floors_if_up:
        return programme.when(settled)
    names = sorted(stage.condition.clusters_down)
    chances = [cluster_up(programme, stage, name) for name in names]
    force = programme.variable("in_force", stage.label, high=1)
    programme.define(force >= programme.when(settled), "in_force", stage.label)
    row = force >= lpSum(chances) - (len(chances) - 1)
    programme.define(row, "in_force", stage.label, "up")
    return 1 * force


def _of_tier(programme: Programme, stage: Stage, name: str) -> tuple[list[LpVariable], list[float]]:
    keys = [(zone, tier) for zone, tier in stage.demand_rps if name in (ALL, tier)]
    served = [programme.served[stage.label, zone, tier] for zone, tier in keys]
    return served, [stage.demand_rps[key] for key in keys]


def emergency_budget(programme: Programme) -> None:
    """Emergency spend of every scenario stays within the budget approved for it.

    ``Σ_t hours_t·price_v·surge_v·h[s,t,v] ≤ budget``
    """
    case = programme.case
    for scenario, stages in case.stages_by_scenario.items():
        budget = emergency_budget_usd(case.model, stages[0].course.scenario)
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
        for offer in stage.offers_at_best
    )
