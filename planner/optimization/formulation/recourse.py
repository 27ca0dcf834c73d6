"""Recourse: what is done in every stage of every scenario, and in normal operation.

==========  ================================  ===============================
symbol      attribute                         meaning
==========  ================================  ===============================
a[s,t,c]    ``StageVariables.active`` or all  powered GPUs
f[s,t,g,c]  ``StageVariables.flow``           requests/s from a group
x[s,t,z,k]  ``StageVariables.served``         requests/s served
h[s,t,v]    ``StageVariables.used``           emergency GPUs in use
μ, ρ        ``GpuType.rps, max_utilisation``  requests/s per GPU, utilisation
==========  ================================  ===============================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

from planner.infrastructure.graph import node
from planner.laws.money import emergency_usd
from planner.laws.traffic import serving_rps
from planner.optimization.formulation.algebra import AT_MOST, Expression, Variable, each, sum_of
from planner.optimization.formulation.availability import Availability, When
from planner.optimization.formulation.crowds import Group
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.measures import up
from planner.optimization.formulation.power import cluster_up, may_lack_power, powered, whole_power
from planner.optimization.formulation.problem import ProblemData, offer_target, region_target
from planner.optimization.formulation.programme import Programme, Row
from planner.optimization.formulation.relevance import cooling_matters, may_be_down
from planner.optimization.formulation.stages import Stage
from planner.optimization.formulation.variables import StageVariables
from planner.scenarios.standard import counts_for, emergency_budget_usd, tier_and_zone

NORMAL = "normal"


def add_variables(programme: Programme) -> None:
    """Create flows, served requests, emergency use, powered GPUs and heat carried."""
    data = programme.data
    for group in data.groups if programme.here_and_now is None else ():
        _add_flows(programme, NORMAL, group, group.clusters)
    for stage in data.stages:
        here = _add_traffic(programme, stage)
        for cluster in data.model.clusters:
            cooled = cooling_matters(data, stage, cluster)
            short = cooled and may_lack_power(programme, stage, cluster)
            reacted = not stage.when_reacted.impossible or stage.label in data.resumed
            if (cooled and reacted) or short or may_be_down(stage, cluster):
                here.active[cluster] = programme.variable("active", stage.label, cluster)
            for plant in data.plants_of(cluster) if cooled else ():
                carried = programme.variable("carried", stage.label, cluster, plant)
                here.carried[cluster, plant] = carried


def _add_flows(programme: Programme, stage: str, group: Group, targets: Sequence[str]) -> None:
    here, source = programme.by_stage.setdefault(stage, StageVariables()), group.label
    here.flows_from[source] = programme.variables("flow", stage, source, last=targets)
    for target, flow in zip(targets, here.flows_from[source], strict=True):
        here.flow[source, target] = flow
        here.flows_to.setdefault(target, []).append(flow)


def _add_traffic(programme: Programme, stage: Stage) -> StageVariables:
    here = programme.by_stage[stage.label] = StageVariables()
    for offer in stage.offers_at_best:
        here.used[offer] = programme.variable("used", stage.label, offer)
    halls = _halls(programme, stage)
    known: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for group in programme.data.groups:
        reach = (group.clusters, group.offers)
        if reach not in known:
            targets = (halls.get(target, target) for target in _targets(group, stage))
            known[reach] = list(dict.fromkeys(targets))
        _add_flows(programme, stage.label, group, known[reach])
        for tier in group.tiers:
            whose = (group.zone, tier)
            most = stage.demand_rps[whose]
            here.served[whose] = programme.variable("served", stage.label, *whose, high=most)
    for cluster, region in halls.items():
        if region in here.flows_to:
            here.pooled[region] = here.flows_to.pop(region), []
        if region in here.pooled:
            here.flows_to[cluster] = [programme.variable("hall", stage.label, cluster)]
            here.pooled[region][1].extend(here.flows_to[cluster])
    return here


def _halls(programme: Programme, stage: Stage) -> dict[str, str]:
    """Region as a target for clusters that share theirs, where recourse is apart from purchases.

    Clusters of a region have the same reach and the same price of transport, so that who is served
    by which does not matter.
    """
    if programme.here_and_now is None:
        return {}
    clusters = programme.data.model.clusters
    up = [cluster for cluster in clusters if cluster not in stage.at_best.clusters_down]
    count = Counter(clusters[cluster].region for cluster in up)
    return {c: region_target(r) for c in up if count[r := clusters[c].region] > 1}


def _targets(group: Group, stage: Stage) -> list[str]:
    up = [cluster for cluster in group.clusters if cluster not in stage.at_best.clusters_down]
    arrived = (offer for offer in group.offers if offer in stage.offers_at_best)
    return [*up, *map(offer_target, arrived)]


def tiers_up(programme: Programme) -> None:
    """Tiers whose services are down are not served: ``x[s,t,z,k] ≤ demand[s,t,z,k]·up[s,t,k]``."""
    for stage in programme.data.stages:
        for tier in sorted(stage.state.tiers_down - stage.at_best.tiers_down):
            is_up = up(programme, stage.outage, node("tier", tier)).expression
            for zone in programme.data.model.zones:
                served = programme.by_stage[stage.label].served[zone, tier]
                row = served <= stage.demand_rps[zone, tier] * is_up
                programme.define(row, Family.TIER_UP, stage.label, zone, tier)


def normal_demand(programme: Programme) -> None:
    """Clusters can serve all demand at every hour of the week (`crowds`).

    ``Σ_{c within reach of Q} μ_c·ρ_c·G[c] ≥ max_h Σ_{g in Q} demand[h,g]`` for every crowd Q
    """
    data = programme.data
    for number, crowd in enumerate(data.crowds):
        room = sum_of(room_rps(programme, cluster) for cluster in crowd.clusters)
        name = crowd.name
        row = Row(Family.NORMAL_DEMAND, name, "", crowd.peak_rps)
        programme.require(room >= crowd.peak_rps, row, str(number))
    if not data.exact_crowds:
        crowds_apart(programme)


def crowds_apart(programme: Programme) -> None:
    """Every crowd is served at its own busiest hour, all at once, where crowds are too many.

    ``Σ_r p[Q,r] ≥ max_h Σ_{g in Q} demand[h,g]``, ``Σ_Q p[Q,r] ≤ Σ_{c in r} μ_c·ρ_c·G[c]``
    """
    data = programme.data
    for number, crowd in enumerate(data.crowds):
        regions = dict.fromkeys(data.model.clusters[cluster].region for cluster in crowd.clusters)
        flows = programme.variables("apart", str(number), last=regions)
        for region, flow in zip(regions, flows, strict=True):
            programme.normal.apart.setdefault(region, []).append(flow)
        row = Row(Family.NORMAL_DEMAND, crowd.name, "", crowd.peak_rps)
        programme.require(sum_of(flows) >= crowd.peak_rps, row, str(number), "apart")
    for region, load in programme.normal.apart.items():
        room = sum_of(room_rps(programme, cluster) for cluster in data.clusters_in(region))
        programme.define(sum_of(load) <= room, Family.CLUSTER_CAPACITY, "apart", region)


def room_rps(programme: Programme, cluster: str) -> Expression:
    """Requests per second that all GPUs of a cluster serve."""
    utilisation = programme.data.model.clusters[cluster].max_utilisation
    rps = programme.data.gpu(cluster).rps
    room: Expression = serving_rps(programme.gpus(cluster), rps, utilisation)
    return room


def demand_balance(programme: Programme) -> None:
    """Flows add up to the requests served; in normal operation to the mean demand of the week.

    ``Σ_target f[s,t,g,·] = Σ_{k in g} x[s,t,z,k]``, normal: ``Σ_c f[g,c] = mean[g]``

    Where flows to a region are not told apart by cluster, they add up to the loads of these.
    """
    data = programme.data
    for group in data.groups if programme.here_and_now is None else ():
        # `normal_demand` already forbids groups that reach nothing.
        if group.clusters:
            flows = sum_of(programme.by_stage[NORMAL].flows_from[group.label])
            mean = data.mean_rps[group.label]
            programme.define(flows == mean, Family.MEAN_DEMAND, group.label)
    for stage in data.stages:
        here = programme.by_stage[stage.label]
        for group in data.groups:
            flows = each(here.flows_from[group.label])
            served = each(here.served[group.zone, tier] for tier in group.tiers)
            programme.define(flows == served, Family.DEMAND_BALANCE, stage.label, group.label)
        for region, (flows_there, loads) in here.pooled.items():
            row = each(flows_there) == each(loads)
            programme.define(row, Family.DEMAND_BALANCE, stage.label, region, "halls")


def may_turn_away(programme: Programme) -> None:
    """Let flows of normal operation fall short of the mean demand of the week.

    For programmes in which requirements give way: demand that exceeds capacity at its busiest hour
    need not be served in the mean of the week either.
    """
    for name, row in programme.rows.items():
        if row.family == Family.MEAN_DEMAND:
            programme.constraints[name].sense = AT_MOST


def cluster_capacity(programme: Programme) -> None:
    """Clusters serve at most what their powered GPUs can.

    ``Σ_g f[s,t,g,c] ≤ μ_c·ρ_c·a[s,t,c]``, ``a[s,t,c] ≤ G[c]``
    """
    data = programme.data
    for cluster, entry in data.model.clusters.items():
        rps = data.gpu(cluster).rps
        if programme.here_and_now is None:
            load, room = programme.cluster_load(NORMAL, cluster), room_rps(programme, cluster)
            programme.define(load <= room, Family.CLUSTER_CAPACITY, NORMAL, cluster)
        for stage in data.stages:
            if cluster in stage.at_best.clusters_down:
                continue
            on = powered(programme, stage, cluster)
            room = serving_rps(on, rps, entry.max_utilisation)
            load = programme.cluster_load(stage.label, cluster)
            programme.define(load <= room, Family.CLUSTER_CAPACITY, stage.label, cluster)
            if cluster in programme.by_stage[stage.label].active:
                row = on <= programme.gpus(cluster)
                programme.define(row, Family.POWERED_GPUS, stage.label, cluster)
                _powered_if_up(programme, stage, cluster, on)


def _powered_if_up(programme: Programme, stage: Stage, cluster: str, on: Expression) -> None:
    """GPUs of a cluster that is down are off, and those of others on until operators react.

    ``a[s,t,c] ≤ max_c·up[s,t,c]``, ``a[s,t,c] ≥ G[c] − max_c·(1 − up[s,t,c] + reacted[s,t])``, the
    latter unless power is short: then loads go off by themselves. Once operators have reacted to an
    earlier failure, ``a[s,t−1,c]`` takes the place of ``G[c]``.
    """
    most = float(programme.data.model.clusters[cluster].max_gpus)
    is_up = Availability.known(True).expression
    if may_be_down(stage, cluster):
        is_up = cluster_up(programme, stage, cluster).expression
        programme.define(on <= most * is_up, Family.POWERED_IF_UP, stage.label, cluster)
    if stage.when_reacted.certain:
        return
    before = _powered_before(programme, stage, cluster)
    if before is None:
        return
    reacted = programme.when(stage.when_reacted).expression
    for index, shortage in enumerate(whole_power(programme, stage, cluster)):
        left = before - most * (1 - is_up + reacted + shortage)
        name = (stage.label, cluster, str(index)) if index else (stage.label, cluster)
        programme.define(on >= left, Family.POWERED_BEFORE, *name)


def _powered_before(programme: Programme, stage: Stage, cluster: str) -> Expression | None:
    """GPUs powered when what a stage reacts to happened; None if the cluster was down."""
    data = programme.data
    if stage.label not in data.resumed:
        return programme.gpus(cluster)
    last = data.stages_by_scenario[stage.scenario][stage.index - 1]
    down = cluster in last.at_best.clusters_down
    return None if down else powered(programme, last, cluster)


def spare_block(programme: Programme) -> None:
    """Clusters can serve all demand with one GPU block less in every region in use (N+1).

    ``Σ_{r within reach of Q} left[r] ≥ max_h Σ_{g in Q} demand[h,g]`` for every crowd Q,
    ``left[r] = Σ_{c in r} μ_c·ρ_c·G[c] − max_{c in r} μ_c·ρ_c·block_c·u[r] ≥ 0``
    """
    data = programme.data
    if not data.model.policies.spare_block_per_region:
        return
    left: dict[str, Expression] = {}
    blocks: dict[str, float] = {}
    for region in data.model.regions:
        clusters = data.clusters_in(region)
        if not clusters:
            continue
        blocks[region] = max(data.block_rps(cluster) for cluster in clusters)
        room = sum_of(room_rps(programme, cluster) for cluster in clusters)
        left[region] = room - blocks[region] * programme.in_use(region)
        load = sum_of(programme.normal.apart.get(region, ()))
        row = Row(Family.SPARE_BLOCK, region, "", blocks[region])
        programme.require(left[region] >= load, row, region)
    for number, crowd in enumerate(data.crowds):
        regions = {data.model.clusters[cluster].region for cluster in crowd.clusters}
        block = sum(blocks[region] for region in regions)
        if block:
            row = Row(Family.SPARE_BLOCK, crowd.name, "", block)
            total = sum_of(left[region] for region in sorted(regions))
            programme.require(total >= crowd.peak_rps, row, "crowd", str(number))


def offer_capacity(programme: Programme) -> None:
    """Emergency GPUs in use limit what is served there, and reserved instances those in use.

    ``Σ_g f[s,t,g,v] ≤ μ_v·h[s,t,v]``, ``h[s,t,v] ≤ delivered[s,t,v]·gpus_v·e[v]``, where it
    depends on measures whether they have arrived, ``h[s,t,v] ≤ available_v·arrived[s,t,v]``
    """
    data = programme.data
    for stage in data.stages:
        for offer in stage.offers_at_best:
            terms, used = data.model.offers[offer], programme.by_stage[stage.label].used[offer]
            load = programme.offer_load(stage.label, offer)
            room = serving_rps(used, terms.rps_per_gpu, 1.0)
            programme.define(load <= room, Family.OFFER_CAPACITY, stage.label, offer)
            reserved = terms.gpus_per_instance * programme.instance_count(offer)
            for share, applies in _shares(stage, offer):
                loose = terms.available_gpus * (1 - programme.when(applies).expression)
                name = (stage.label, offer) if applies.certain else (stage.label, offer, f"{share}")
                programme.define(used <= share * reserved + loose, Family.OFFER_RESERVED, *name)
            arrived = stage.when(partial(_offers, offer))
            if not arrived.certain:
                most = terms.available_gpus * programme.when(arrived).expression
                programme.define(used <= most, Family.OFFER_ARRIVED, stage.label, offer)


def _shares(stage: Stage, offer: str) -> list[tuple[float, When]]:
    """Shares of an offer that are delivered, and the reaction variants in which each is."""
    variants = [variant for _, variant in stage.variants] or [stage]
    shares = sorted({variant.delivered.get(offer, 1.0) for variant in variants})
    return [(share, stage.when(partial(_delivers, offer, share))) for share in shares]


def _delivers(offer: str, share: float, stage: Stage) -> bool:
    return stage.delivered.get(offer, 1.0) == share


def _offers(offer: str, stage: Stage) -> bool:
    return offer in stage.offers


def served_floors(programme: Programme) -> None:
    """Every tier, and all tiers together, get at least the fraction that the standard asks for.

    ``Σ_z x[s,t,z,k] ≥ floor[k]·Σ_z demand[s,t,z,k]``, summed over one zone where the rule names it.
    Where it depends on measures when load balancers act, or whether they have to, the right-hand
    side is multiplied by ``force[s,t]``: whether the standard is in force.
    """
    for stage in programme.data.stages:
        floors = stage.floors_if_up
        for _, variant in stage.variants or ((frozenset(), stage),):
            floors = floors or variant.floors
        if not any(floors.values()):
            continue
        in_force = _in_force(programme, stage)
        for name, least in floors.items():
            if least <= 0:
                continue
            served, demand = _of_tier(programme, stage, name)
            amount = sum(demand) + sum(
                rps for key, rps in stage.down_rps.items() if counts_for(name, *key)
            )
            if not amount:
                continue
            needed = least * amount * in_force.expression
            row = Row(
                Family.SERVED_FLOOR,
                name,
                stage.scenario,
                amount,
                stage.start_minute,
            )
            whose, where = tier_and_zone(name)
            names = (whose,) if where is None else (whose, where)
            programme.require(sum_of(served) >= needed, row, stage.label, *names)


def _in_force(programme: Programme, stage: Stage) -> Availability:
    """Whether the standard is in force: load balancers have acted, or no cluster is down.

    ``force[s,t] ≥ settled[s,t]``, ``force[s,t] ≥ 1 − Σ_c (1 − up[s,t,c])``
    """
    settled = stage.when(lambda variant: bool(variant.floors))
    if settled.certain or not stage.floors_if_up:
        return programme.when(settled)
    names = sorted(stage.state.clusters_down)
    all_up = sum_of(cluster_up(programme, stage, name).expression for name in names)
    force = programme.variable("in_force", stage.label, high=1)
    row = force >= programme.when(settled).expression
    programme.define(row, Family.IN_FORCE, stage.label)
    row = force >= all_up - (len(names) - 1)
    programme.define(row, Family.IN_FORCE, stage.label, "up")
    return Availability(1 * force)


def _of_tier(programme: Programme, stage: Stage, name: str) -> tuple[list[Variable], list[float]]:
    keys = [key for key in stage.demand_rps if counts_for(name, *key)]
    served = [programme.by_stage[stage.label].served[key] for key in keys]
    return served, [stage.demand_rps[key] for key in keys]


def emergency_budget(programme: Programme) -> None:
    """Emergency spend in every scenario stays within the budget approved for it.

    ``Σ_t hours_t·price_v·surge_v·h[s,t,v] ≤ budget``
    """
    data = programme.data
    for scenario, stages in data.stages_by_scenario.items():
        budget = emergency_budget_usd(data.model, stages[0].timeline.scenario)
        spend = sum_of(emergency_spend(programme, stage) for stage in stages)
        if spend.items():
            row = Row(Family.EMERGENCY_BUDGET, "budget", scenario, budget)
            if programme.here_and_now and not may_exceed_budget(programme, data, stages):
                continue  # it would tie stages together that have nothing to do with each other
            programme.require(spend <= budget, row, scenario)


def may_exceed_budget(programme: Programme, data: ProblemData, stages: Sequence[Stage]) -> bool:
    """Whether emergency spend exceeds its budget with all in use that may be reserved.

    Parameters
    ----------
    programme
        One with the purchases.
    data, stages
        All stages of a scenario.
    """
    hours, total = Counter[str](), 0.0
    for stage in stages:
        hours.update(dict.fromkeys(stage.offers_at_best, stage.hours))
    for offer, how_long in hours.items():
        terms = data.model.offers[offer]
        instances = terms.existing_instances + programme.purchases.instances[offer].high
        gpus = instances * terms.gpus_per_instance
        total += emergency_usd(
            gpus, how_long, terms.usd_per_instance_hour, terms.gpus_per_instance,
            terms.price_factor,
        )  # fmt: skip
    return bool(total > emergency_budget_usd(data.model, stages[0].timeline.scenario))


def emergency_spend(programme: Programme, stage: Stage) -> Expression:
    """Emergency spend in a stage, USD."""
    offers = programme.data.model.offers
    return sum_of(
        emergency_usd(
            programme.by_stage[stage.label].used[offer],
            stage.hours,
            offers[offer].usd_per_instance_hour,
            offers[offer].gpus_per_instance,
            offers[offer].price_factor,
        )
        for offer in stage.offers_at_best
    )
