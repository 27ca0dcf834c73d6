"""Which rows on heat and power a stage needs, as normal operation does not imply them.

N+k covers the full heat, and feeds cover full load with its cooling. So rows are needed only where
plants are affected or the ambient is hotter, where less power is left, and where plants run that
draw more power per heat than those of normal operation: emergency cooling.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

from planner.infrastructure.graph import node
from planner.infrastructure.supply import PowerLimit, binding
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.stages import Stage, cannot_bind
from planner.scenarios.system_state import SystemState


def is_normal(data: ProblemData, stages: Sequence[Stage]) -> bool:
    """Whether nothing is lost but redundant units, offers and idle emergency plants.

    Emergency plants carry nothing as long as primary ones carry the design heat.
    """
    idle = frozenset(name for name, plant in data.model.plants.items() if plant.role == "emergency")

    def without(state: SystemState) -> SystemState:
        return replace(state, plants_down=state.plants_down - idle)

    timeline = stages[0].timeline
    intervals = tuple(
        replace(interval, state=without(interval.state), at_best=without(interval.at_best))
        for interval in timeline.intervals
    )
    normal, best = without(data.normal), without(data.normal_at_best)
    return cannot_bind(data.model, replace(timeline, intervals=intervals), normal, best)


def may_be_down(stage: Stage, cluster: str) -> bool:
    """Whether it depends on measures if a cluster is up."""
    return cluster in stage.state.clusters_down and cluster not in stage.at_best.clusters_down


def cooling_matters(data: ProblemData, stage: Stage, cluster: str) -> bool:
    """Whether heat of a cluster has to be followed in a stage.

    True if it can differ for some choice of measures; redundant rows are harmless.
    """
    key = (id(stage), cluster)
    if key not in data.followed:
        alike = key if stage.variants else _cooling_follows_from(stage, cluster)
        if alike not in data.followed:
            data.followed[alike] = stage, _cooling_matters(data, stage, cluster)
        data.followed[key] = stage, data.followed[alike][1]
    return data.followed[key][1]


def _cooling_follows_from(stage: Stage, cluster: str) -> Hashable:
    """What decides whether heat is followed: most stages share it with the one before."""
    states, started = (id(stage.state), id(stage.at_best)), tuple(stage.started.values())
    return states, stage.outage.failed, started, cluster


def _cooling_matters(data: ProblemData, stage: Stage, cluster: str) -> bool:
    if cluster in stage.at_best.clusters_down or not data.gpu(cluster).power_mw:
        return False
    if _touched(data, stage, cluster):
        return True
    loads = {node("cluster", cluster), *(node("plant", plant) for plant in data.chain_of(cluster))}
    limits = power_that_matters(data, stage, data.model.clusters[cluster].region)
    return any(not loads.isdisjoint(limit.loads) for limit in limits)


def _touched(data: ProblemData, stage: Stage, cluster: str) -> bool:
    """Whether cooling of a cluster differs from normal, or a feed that can be bought is lost."""
    if may_be_down(stage, cluster):
        return True
    region = data.model.clusters[cluster].region
    owned = data.supply.owners
    if owned and any(
        feed in owned and node("feed", feed) in stage.outage.failed
        for feed in data.supply.feeds[region]
    ):
        return True
    touched = not stage.plants_touched.isdisjoint(data.chain_of(cluster, "primary"))
    hotter = stage.state.ambient_rise_c.get(region, 0.0) > 0
    return touched or hotter


def normal_limits(data: ProblemData, region: str) -> tuple[PowerLimit, ...]:
    """Power limits in normal operation; some of them may depend on measures."""
    return _limits(data, region, frozenset(), data.normal.power[region])


def stage_limits(data: ProblemData, stage: Stage, region: str) -> tuple[PowerLimit, ...]:
    """Power limits in a stage; some of them may depend on measures."""
    return _limits(data, region, stage.outage.failed, stage.state.power[region])


def _limits(
    data: ProblemData, region: str, failed: frozenset[str], settled: tuple[PowerLimit, ...]
) -> tuple[PowerLimit, ...]:
    if data.supply.owners.keys().isdisjoint(data.supply.feeds[region]):
        return settled
    down = data.dependency_index.depends_at_best.down_with(failed)
    return binding(data.supply.every_limit(region, down, unsettled=True))


def power_as_usual(
    data: ProblemData, stage: Stage, cluster: str, bought: frozenset[str] = frozenset()
) -> bool:
    """Whether limits of normal operation imply those on a cluster, with some measures bought."""
    region, load = data.model.clusters[cluster].region, node("cluster", cluster)
    usual = [limit.at(bought) for limit in normal_limits(data, region)]
    limits = (
        limit.at(bought) for limit in stage_limits(data, stage, region) if load in limit.loads
    )
    return all(any(known.implies(limit) for known in usual) for limit in limits)


def power_that_matters(data: ProblemData, stage: Stage, region: str) -> tuple[PowerLimit, ...]:
    """Power limits in a stage that normal operation does not imply."""
    key = (id(stage), region)
    if key not in data.power_rows:
        found = tuple(_that_matter(data, stage, region))
        data.power_rows[key] = (stage, found)  # with the stage: so that nothing takes its id
    return data.power_rows[key][1]


def _that_matter(data: ProblemData, stage: Stage, region: str) -> list[PowerLimit]:
    usual, limits = normal_limits(data, region), stage_limits(data, stage, region)
    clusters = [
        cluster
        for cluster in data.clusters_in(region)
        if cluster not in stage.at_best.clusters_down and data.gpu(cluster).power_mw
    ]
    less = [limit for limit in limits if not any(known.implies(limit) for known in usual)]
    touched = [cluster for cluster in clusters if _touched(data, stage, cluster)]
    hungry = [(cluster, plant) for cluster in touched for plant in _carrying(data, stage, cluster)]
    return [
        limit
        for limit in limits
        if (limit in less or any(_hungrier(data, limit, *pair) for pair in hungry))
        and limit.sources
        and _most_mw(data, limit, clusters) > limit.mw
    ]


def _carrying(data: ProblemData, stage: Stage, cluster: str) -> list[str]:
    """Plants that may carry heat of a cluster in a stage, in some reaction variant."""
    stages = [variant for _, variant in stage.variants] or [stage]
    down = stage.at_best.plants_down
    return [
        plant
        for plant in data.plants_of(cluster)
        if plant not in down and any(variant.started[plant] for variant in stages)
    ]


def _hungrier(data: ProblemData, limit: PowerLimit, cluster: str, plant: str) -> bool:
    """Whether a plant draws more under a limit per heat of a cluster than in normal operation."""
    usual = (data.draw_per_heat(limit, primary) for primary in data.plants_of(cluster, "primary"))
    return data.draw_per_heat(limit, plant) > min(usual, default=0.0)


def _most_mw(data: ProblemData, limit: PowerLimit, clusters: list[str]) -> float:
    """Upper bound on what clusters and their cooling draw under a limit, MW."""
    total = 0.0
    for cluster in clusters:
        plants = (data.draw_per_heat(limit, plant) for plant in data.plants_of(cluster))
        own = data.draw_per_power(limit, cluster)
        total += data.largest_heat_mw(cluster) * (own + max(plants, default=0.0))
    return total
