"""Capacity of services that requests pass on their way.

The programme limits the served requests of all tiers together. The simulator is stricter, as
services there refuse all tiers alike and clients retry; the loop adds what is missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from planner.infrastructure.graph import node
from planner.optimization.formulation.algebra import Expression, sum_of
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.measures import bought_exactly, up
from planner.optimization.formulation.programme import Programme, Row
from planner.scenarios.services import degradation, limited_services, service_rps
from planner.scenarios.system_state import SystemState
from planner.scenarios.timeline import Outage


@dataclass(frozen=True)
class Moment:
    """A stage or normal operation: what has failed, offered load and served requests by tier."""

    label: str
    scenario: str
    from_minute: float
    state: SystemState
    outage: Outage
    asked_rps: Mapping[str, float]
    served_rps: Mapping[str, Expression]


def service_capacity(programme: Programme) -> None:
    """Served requests stay within the capacity of services, in normal operation and in stages.

    ``Σ_k w[k,x]·Σ_z x[s,t,z,k] ≤ replicas up[s,t,x]·min(capacity_x, connections_x / seconds_x)``, w
    being the share of a tier's requests that pass service x. Where measures add connections there
    is a row for each set of them, relaxed unless exactly that set is bought. Limits above the
    offered load have no row.
    """
    limited = limited_services(programme.data.model)
    for moment in _moments(programme) if limited else ():
        shares = programme.data.passing_shares(moment.state.services_down)
        for name in limited:
            weights = {tier: passed.get(name, 0.0) for tier, passed in shares.items()}
            _limit(programme, moment, name, weights)


def _moments(programme: Programme) -> Iterator[Moment]:
    data = programme.data
    peaks = {tier: data.peak_rps * entry.share for tier, entry in data.model.tiers.items()}
    all_of_it = {tier: Expression(constant=rps) for tier, rps in peaks.items()}
    if programme.here_and_now is None:
        yield Moment("normal", "", 0.0, data.normal, Outage(), peaks, all_of_it)
    for stage in data.stages:
        requests = programme.by_stage[stage.label].served
        served = {
            tier: sum_of(requests[zone, tier] for zone in data.model.zones)
            for tier in data.model.tiers
        }
        yield Moment(
            stage.label,
            stage.scenario,
            stage.start_minute,
            stage.state,
            stage.outage,
            _by_tier(stage.demand_rps),
            served,
        )


def _by_tier(rps: Mapping[tuple[str, str], float]) -> dict[str, float]:
    total: dict[str, float] = {}
    for (_, tier), tier_rps in rps.items():
        total[tier] = total.get(tier, 0.0) + tier_rps
    return total


def _limit(programme: Programme, moment: Moment, name: str, weights: Mapping[str, float]) -> None:
    model = programme.data.model
    asked = sum(weight * moment.asked_rps[tier] for tier, weight in weights.items())
    if not asked:
        return
    through = sum_of(weight * moment.served_rps[tier] for tier, weight in weights.items() if weight)
    replicas = _replicas(programme, moment.outage, name)
    settled = not replicas.items()
    left = degradation(model, name, moment.state, itself_up=True)
    adding = [m for m, measure in model.measures.items() if name in measure.connections]
    for index, (bought, excess) in enumerate(bought_exactly(programme, adding)):
        more = sum(model.measures[measure].connections[name] for measure in bought)
        rate = left * service_rps(model, name, more)
        if math.isinf(rate) or (settled and rate * replicas.constant >= asked):
            continue
        row = Row(
            Family.SERVICE_CAPACITY,
            name,
            moment.scenario,
            rate * (replicas.constant if settled else 1.0),
            moment.from_minute,
        )
        tag = (moment.label, name, str(index)) if index else (moment.label, name)
        programme.require(through <= rate * replicas + asked * excess, row, *tag)


def _replicas(programme: Programme, outage: Outage, name: str) -> Expression:
    """Replicas that are up; 1 for a service that is not tied to regions."""
    graph = programme.data.graph
    sources = graph.predecessors(node("service", name))
    replicas = [source for source in sources if graph.nodes[source]["kind"] == "replica"]
    if not replicas:
        return Expression(constant=1.0)
    return sum_of(up(programme, outage, replica).expression for replica in replicas)
