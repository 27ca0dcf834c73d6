"""Price of a lower requirement: the expected value of the requests that are lost by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from planner.infrastructure.changes import value_at
from planner.laws.money import lost_usd
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.stages import Stage
from planner.optimization.infeasibility.relaxable_values import request_value
from planner.optimization.infeasibility.relaxation import Relaxation
from planner.optimization.solution.solving import Solution, parts_of
from planner.scenarios.standard import counts_for, subject_of, tier_and_zone


def priced(
    change: Relaxation, data: ProblemData, programme: Programme, solution: Solution
) -> Relaxation:
    """A change of the standard at the expected value of the requests that are lost by it.

    The value of the requests that the solved programme serves less than the standard required,
    weighted with the frequency of each scenario, USD a year. Other changes keep their price.
    """
    if change.family != "least_served":
        return change
    severity = change.path.split(".")[1].partition("[")[0]
    minute = value_at(data.model, f"{change.path.rpartition('.')[0]}.from_minute")
    total = 0.0
    for part, found in parts_of(programme, solution):
        for stage in part.data.stages:
            scenario = stage.timeline.scenario
            if (
                stage.label in part.by_stage
                and scenario.severity == severity
                and stage.timeline.clock.since(stage.start_minute) >= minute
            ):
                lost = _lost_usd(change, stage, part, found.values)
                total += scenario.frequency_per_year * lost
    return replace(change, usd_per_year=total)


def _lost_usd(
    change: Relaxation, stage: Stage, programme: Programme, values: Mapping[str, float]
) -> float:
    """Value of the requests that a stage serves less than the standard required, USD."""
    model = programme.data.model
    whose, where = tier_and_zone(change.subject)
    tiers = list(model.tiers) if whose == "each" else [whose]
    zones = list(model.zones) if where == "each" else [where]
    total = 0.0
    for subject in (subject_of(tier, zone) for zone in zones for tier in tiers):
        demand_rps = {
            key: rps + stage.down_rps.get(key, 0.0)
            for key, rps in stage.demand_rps.items()
            if counts_for(subject, *key)
        }
        served = sum(values[programme.by_stage[stage.label].served[key].name] for key in demand_rps)
        demand = sum(demand_rps.values())
        short = max(0.0, change.before * demand - served)
        value = sum(rps * request_value(model, tier) for (_, tier), rps in demand_rps.items())
        total += lost_usd(short, stage.hours, value / (demand or 1.0))
    return total
