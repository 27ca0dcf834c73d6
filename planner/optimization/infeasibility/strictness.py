"""Waiving rows that are stricter than the standard, where they leave no plan.

Some rows of the programme are linear and stricter than what the standard and the simulator require
(`families.STRICTER`). As long as there is a plan, they can only make it more expensive. Where there
is none, they are waived and the simulation decides: first the rows that have to be violated are
dropped, which gives the cheapest plan; where that fails its simulation, they are violated as little
as possible.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

from planner.optimization.formulation.build import build
from planner.optimization.formulation.families import STRICTER, Family
from planner.optimization.formulation.problem import Key, ProblemData
from planner.optimization.formulation.stages import Stage
from planner.optimization.infeasibility.elastic import ELASTIC_GAP, solve_linear
from planner.optimization.infeasibility.relaxable_values import elastic_programme
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.optimization.solution.settings import SolverSettings
from planner.scenarios.standard import ALL

#: Relative margin on the violation that an elastic solve found, for the tolerances of the solver.
ROUNDING = 1e-6


def waived(data: ProblemData, settings: SolverSettings) -> dict[Key, float]:
    """Rows to waive for there to be a plan; empty if waiving does not suffice.

    Returns
    -------
    dict
        By how much rows may be violated, in their unit, by family, subject and scenario; infinite
        for those that are dropped. Rows that may be violated already may be violated by more.
    """
    more = _least(data, settings)
    known = {key: data.waived[key] + by for key, by in more.items() if key in data.waived}
    return {**data.waived, **dict.fromkeys(more, math.inf), **known} if more else {}


def waived_less(
    data: ProblemData, failed: Collection[str], settings: SolverSettings
) -> Mapping[Key, float]:
    """Waived rows, with as little violation as possible in scenarios that failed simulation."""
    whole = {key for key, by in data.waived.items() if math.isinf(by) and key[2] in failed}
    if not whole:
        return data.waived
    rest = {key: by for key, by in data.waived.items() if key not in whole}
    least = _least(replace(data, waived=rest), settings)
    more = {key: rest.get(key, 0.0) + by for key, by in least.items()}
    return {**rest, **more} if more else data.waived


def may_be_waived(data: ProblemData, key: Key) -> bool:
    """Whether a row is stricter than the standard in its scenario.

    Thermal ride-through is not where the standard requires full service before operators react,
    unless a policy leaves that to the simulation too.
    """
    family, _, scenario = key
    if family not in STRICTER:
        return False
    if family != Family.RIDE_THROUGH or data.model.policies.throttling_simulated:
        return True
    stages = data.stages_by_scenario.get(scenario, ())
    variants = [
        variant
        for stage in stages
        for variant in (stage, *(alternative for _, alternative in stage.variants))
    ]
    return not any(_full_service(data, variant) for variant in variants if not variant.reacted)


def _full_service(data: ProblemData, stage: Stage) -> bool:
    floors = stage.floors or stage.floors_if_up
    tiers = [name for name, tier in data.model.tiers.items() if tier.share]
    return floors.get(ALL, 0.0) >= 1 or all(floors.get(tier, 0.0) >= 1 for tier in tiers)


def _least(data: ProblemData, settings: SolverSettings) -> dict[Key, float]:
    """Stricter rows that have to be violated for a plan, and the least violation, in their unit."""
    try:
        if solve_linear(build(data.part(())), Deadline(settings).settings()) is None:
            return {}  # no plan even without scenarios, to which all such rows belong
    except OutOfTime:
        return {}
    elastic = elastic_programme(data)
    groups = [group for group in elastic.groups.values() if may_be_waived(data, group.key)]
    if not groups:
        return {}
    try:
        if elastic.minimize((), groups, Deadline(settings).settings(ELASTIC_GAP)) is None:
            return {}
    except OutOfTime:
        return {}
    return {group.key: group.worst()[1] * (1 + ROUNDING) for group in groups if group.used}
