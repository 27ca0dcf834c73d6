"""Recourse: which GPUs are powered, their heat, and what feeds and generators carry.

==========  ==================================  ================================
symbol      attribute                           meaning
==========  ==================================  ================================
a[s,t,c]    ``StageVariables.active`` or all    powered GPUs
up[s,t,c]   ``AvailabilityVariables.nodes``     cluster up
φ, σ        ``GpuType.power_mw, static_share``  heat per GPU, static share of it
q[s,t,c,p]  ``StageVariables.carried``          heat carried, MW
v_c         ``ProblemData.draw_per_power``      MW drawn per MW of GPUs
w_p         ``ProblemData.draw_per_heat``       MW drawn per MW of heat
==========  ==================================  ================================
"""

from __future__ import annotations

from planner.infrastructure.graph import node
from planner.infrastructure.supply import PowerLimit
from planner.laws.heat import heat_at_utilisation_mw, heat_mw
from planner.optimization.formulation.algebra import Expression, sum_of
from planner.optimization.formulation.availability import Availability
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.measures import bought_exactly, up
from planner.optimization.formulation.programme import Programme, Row
from planner.optimization.formulation.relevance import (
    power_as_usual,
    power_that_matters,
    stage_limits,
)
from planner.optimization.formulation.stages import Stage


def cluster_up(programme: Programme, stage: Stage, cluster: str) -> Availability:
    """Whether a cluster is up in a stage."""
    return up(programme, stage.outage, node("cluster", cluster))


def powered(programme: Programme, stage: Stage, cluster: str) -> Expression:
    """GPUs powered in a stage: all of them, or those that operators leave on."""
    active = programme.by_stage[stage.label].active.get(cluster)
    return programme.gpus(cluster) if active is None else 1 * active


def stage_heat(programme: Programme, stage: Stage, cluster: str) -> Expression:
    """Heat of the powered GPUs of a cluster in a stage, MW."""
    gpu = programme.data.gpu(cluster)
    busy = (1 / gpu.rps) * programme.cluster_load(stage.label, cluster)
    on = powered(programme, stage, cluster)
    heat: Expression = heat_mw(gpu.power_mw, gpu.static_share, on, busy)
    return heat


def whole_power(programme: Programme, stage: Stage, cluster: str) -> list[Expression]:
    """Expressions of measures: one is 0 exactly where a cluster has its full power."""
    data = programme.data
    limits = stage_limits(data, stage, data.model.clusters[cluster].region)
    sets = list(bought_exactly(programme, {name for limit in limits for name, _ in limit.brought}))
    whole = [excess for bought, excess in sets if power_as_usual(data, stage, cluster, bought)]
    return [Expression()] if len(whole) == len(sets) else whole


def may_lack_power(programme: Programme, stage: Stage, cluster: str) -> bool:
    """Whether a cluster has less power than in normal operation, with some measures bought."""
    whole = whole_power(programme, stage, cluster)
    return not whole or any(loose.items() for loose in whole)


def stage_power(programme: Programme) -> None:
    """Loads stay within the power of the region, of surviving feeds and of generators.

    ``Σ_{c in l} v_c·heat[s,t,c] + Σ_{p in l} w_p·Σ_c q[s,t,c,p] ≤ power[s,t,l] +
    Σ_m brought[s,t,l,m]·y[m]`` for every set of loads l that share all their sources, unless the
    rows of normal operation imply it.
    """
    data = programme.data
    for stage in data.stages:
        for region in data.model.regions:
            for limit in power_that_matters(data, stage, region):
                drawn = [
                    data.draw_per_power(limit, cluster) * _drawn(programme, stage, cluster)
                    for cluster in data.clusters_in(region)
                    if node("cluster", cluster) in limit.loads
                    and cluster not in stage.at_best.clusters_down
                    and data.gpu(cluster).power_mw
                ]
                drawn += [
                    data.draw_per_heat(limit, plant) * heat
                    for (_, plant), heat in programme.by_stage[stage.label].carried.items()
                    if data.draw_per_heat(limit, plant)
                ]
                require_power(programme, limit, sum_of(drawn), stage)


def _drawn(programme: Programme, stage: Stage, cluster: str) -> Expression:
    """Power of GPUs, MW: before operators react at their utilisation limit (`ride_through`)."""
    if not stage.when_reacted.impossible:
        return stage_heat(programme, stage, cluster)
    gpu, on = programme.data.gpu(cluster), powered(programme, stage, cluster)
    utilisation = programme.data.model.clusters[cluster].max_utilisation
    heat: Expression = heat_at_utilisation_mw(gpu.power_mw, gpu.static_share, on, utilisation)
    return heat


def require_power(
    programme: Programme, limit: PowerLimit, drawn: Expression, stage: Stage | None = None
) -> None:
    """Add the row of a limit, in normal operation or in a stage."""
    if not drawn.items():
        return
    family = Family.FEED_LIMIT if limit.feeds else Family.POWER_LIMIT
    scenario, minute, names = "", 0.0, limit.feeds or (limit.region,)
    if stage is not None:
        family = Family.STAGE_FEEDS if limit.feeds else Family.STAGE_POWER
        scenario, minute = stage.scenario, stage.start_minute
        names = (stage.label, *names)
    subject = ", ".join(limit.feeds) or limit.region
    row = Row(family, subject, scenario, limit.most_mw, minute)
    more = sum_of(mw * programme.purchases.measures[name] for name, mw in limit.brought)
    name = programme.require(drawn <= limit.mw + more, row, *names)
    if name in programme.rows:
        programme.limits[name] = limit
