"""Second stage: which GPUs are powered, their heat, and what feeds and generators carry.

========================  =====================================  ==============================
symbol                    attribute of the programme             meaning
========================  =====================================  ==============================
a[s,t,c]                  ``active`` (or all GPUs)               powered GPUs
up[s,t,c]                 ``available``                          cluster up
φ, σ                      ``GpuType.power_mw, static_share``     heat per GPU, static share of it
========================  =====================================  ==============================
"""

from __future__ import annotations

from collections.abc import Iterator

from pulp import LpAffineExpression, lpSum

from planner.infrastructure.fleet import cooling_power_mw_per_mw
from planner.infrastructure.graph import node
from planner.laws.heat import heat_mw
from planner.optimization.measures import bought_exactly, feed_power_mw, feeds_to_buy, up
from planner.optimization.programme import Chance, Programme, Row
from planner.optimization.stages import Stage


def may_be_down(stage: Stage, cluster: str) -> bool:
    """Whether measures decide if a cluster is up."""
    return cluster in stage.condition.clusters_down and cluster not in stage.at_best.clusters_down


def cluster_up(programme: Programme, stage: Stage, cluster: str) -> Chance:
    """Whether a cluster is up in a stage."""
    return up(programme, stage.outage, node("cluster", cluster))


def powered(programme: Programme, stage: Stage, cluster: str) -> LpAffineExpression:
    """GPUs powered in a stage: all of them, or those that operators leave on."""
    key = (stage.label, cluster)
    if key in programme.active:
        return 1 * programme.active[key]
    return programme.gpus(cluster)


def stage_heat(programme: Programme, stage: Stage, cluster: str) -> LpAffineExpression:
    """Heat of the powered GPUs of a cluster in a stage, MW."""
    gpu = programme.case.gpu(cluster)
    busy = (1 / gpu.rps) * programme.cluster_load(stage.label, cluster)
    on = powered(programme, stage, cluster)
    heat: LpAffineExpression = heat_mw(gpu.power_mw, gpu.static_share, on, busy)
    return heat


def whole_power(programme: Programme, stage: Stage, cluster: str) -> list[Chance]:
    """Chances that are 0 where the power of a cluster's region is as in normal operation."""
    region = programme.case.model.clusters[cluster].region
    if region not in stage.condition.power_mw:
        return [0.0]
    sets = list(_power_by_feeds(programme, stage, region))
    usual = [other for power, normal, other in sets if power == normal]
    return [0.0] if len(usual) == len(sets) else usual


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
