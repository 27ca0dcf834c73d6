"""Rows stricter than the standard and the simulation, where they are in the way of a plan.

The programme asks for some things that neither the standard nor the simulator does, because what
they ask for is not linear (`families.STRICTER`). That makes a plan dearer at most, as long as
there is one. Where there is none, these rows give way and the simulation judges instead: first
those that have to are not asked for at all, which leaves the cheapest plan; where its simulation
falls short, they are broken as little as possible.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

from planner.optimization.formulation.families import STRICTER, Family
from planner.optimization.formulation.problem import Key, ProblemData
from planner.optimization.formulation.stages import ALL, Stage
from planner.optimization.infeasibility.elastic import ELASTIC_GAP
from planner.optimization.infeasibility.relaxable_values import elastic_programme
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.optimization.solution.solving import SolverSettings

#: More than what an elastic solve found, so that tolerances leave a plan.
ROUNDING = 1e-6


def waived(data: ProblemData, settings: SolverSettings) -> dict[Key, float]:
    """What is waived of a case without a plan so that it has one; empty if that alone does not.

    What may be broken by an amount already may be broken by more.
    """
    more = _least(data, settings)
    known = {key: data.waived[key] + by for key, by in more.items() if key in data.waived}
    return {**data.waived, **dict.fromkeys(more, math.inf), **known} if more else {}


def broken_less(
    data: ProblemData, failed: Collection[str], settings: SolverSettings
) -> Mapping[Key, float]:
    """What is waived, in scenarios that fail as little as leaves a plan."""
    whole = {key for key, by in data.waived.items() if math.isinf(by) and key[2] in failed}
    if not whole:
        return data.waived
    rest = {key: by for key, by in data.waived.items() if key not in whole}
    least = _least(replace(data, waived=rest), settings)
    more = {key: rest.get(key, 0.0) + by for key, by in least.items()}
    return {**rest, **more} if more else data.waived


def may_give_way(data: ProblemData, key: Key) -> bool:
    """Whether a row is stricter than the standard in its scenario.

    What keeps GPUs from throttling is not where the standard asks for all service in minutes in
    which nobody has reacted yet, unless a policy leaves that to the simulation too.
    """
    family, _, scenario = key
    if family not in STRICTER:
        return False
    if family != Family.RIDE_THROUGH or data.model.policies.throttling_simulated:
        return True
    stages = data.stages_by_scenario.get(scenario, ())
    ways = [one for stage in stages for one in (stage, *(other for _, other in stage.variants))]
    return not any(_asks_for_all(data, one) for one in ways if not one.reacted)


def _asks_for_all(data: ProblemData, stage: Stage) -> bool:
    floors = stage.floors or stage.floors_if_up
    tiers = [name for name, tier in data.model.tiers.items() if tier.share]
    return floors.get(ALL, 0.0) >= 1 or all(floors.get(tier, 0.0) >= 1 for tier in tiers)


def _least(data: ProblemData, settings: SolverSettings) -> dict[Key, float]:
    """Stricter rows that have to be broken for a plan, and by how much at least, in their unit."""
    elastic = elastic_programme(data)
    items = [item for item in elastic.items.values() if may_give_way(data, item.key)]
    try:
        if (
            not items
            or elastic.minimise((), items, Deadline(settings).settings(ELASTIC_GAP)) is None
        ):
            return {}
    except OutOfTime:
        return {}
    return {item.key: item.worst()[1] * (1 + ROUNDING) for item in items if item.used}


__all__ = ["broken_less", "may_give_way", "waived"]
