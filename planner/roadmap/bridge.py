"""Periods before the first deliveries: what exists has to bridge them, with cloud.

What no order can meet in time is not asked for in these periods; it is reported as the risk that it
is, and judged by the simulation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from pulp.constants import LpSolveStatus

from planner.errors import SolverError
from planner.infrastructure.entities import Model
from planner.infrastructure.horizon import Horizon
from planner.optimization.decomposition.loop import UNFINISHED
from planner.optimization.formulation.algebra import sum_of
from planner.optimization.formulation.problem import Key
from planner.optimization.formulation.recourse import may_turn_away
from planner.optimization.infeasibility.elastic import size
from planner.optimization.infeasibility.shortfalls import NEGLIGIBLE, Shortfall, add_slack
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import run_solver
from planner.roadmap.build import build_roadmap
from planner.roadmap.items import items_of
from planner.roadmap.programme import RoadmapProgramme

#: Gap at which the least shortfall of bridging periods counts as found.
ROUGH_GAP = 0.01
#: Rows that may be missed, by node.
Waived = Mapping[str, Mapping[Key, float]]


def last_bridging_period(model: Model, horizon: Horizon) -> int:
    """Last period in which no new GPUs, or no new units of some plant, can be in service.

    0 if there is none. Candidate regions, and types that come later, are not waited for.
    """
    by_place: dict[tuple[str, str], list[int]] = {}
    for item in items_of(model, horizon).values():
        place = item.asset.partition("/")[0]
        if item.kind in ("gpus", "halls") or (
            item.kind == "cooling" and not model.regions[item.region].candidate
        ):
            last = item.first_period + item.lead_periods - 1
            by_place.setdefault((item.kind, place), []).append(last)
    plants = [min(found) for (kind, _), found in by_place.items() if kind == "cooling"]
    clusters = [
        max(*found, *by_place.get(("halls", name), found))
        for (kind, name), found in by_place.items()
        if kind == "gpus"
    ]
    return max([min(clusters, default=0), *plants], default=0)


def bridging(roadmap: RoadmapProgramme) -> frozenset[str]:
    """Nodes in which no order can be in service yet, of GPUs or for some plant."""
    last = last_bridging_period(roadmap.model, roadmap.horizon)
    return frozenset(name for name, each in roadmap.nodes.items() if each.node.period <= last)


def normal_shortfalls(model: Model, settings: SolverSettings) -> dict[str, tuple[Shortfall, ...]]:
    """What normal operation and the rules of design miss at least in bridging periods, by node.

    Raises
    ------
    SolverError
        If time ends before.
    """
    roadmap = build_roadmap(model, lambda _: ())
    slacks = []
    for name in sorted(bridging(roadmap)):
        programme = roadmap.nodes[name].programme
        may_turn_away(programme)
        for full, row in list(programme.rows.items()):
            if row.kind != "definition":
                slacks.append((name, add_slack(programme, full, f"slack.{full}"), row))
    if not slacks:
        return {}
    roadmap.base.problem.objective = sum_of(slack / size(row) for _, slack, row in slacks)
    stats = run_solver(roadmap.base.problem, replace(settings, gap=ROUGH_GAP)).stats
    if not stats.has_solution and stats.status != LpSolveStatus.Infeasible:
        raise SolverError(UNFINISHED)
    found: dict[str, tuple[Shortfall, ...]] = {}
    for name, slack, row in slacks if stats.has_solution else ():
        amount = float(slack.value or 0.0)
        if amount > NEGLIGIBLE * size(row):
            found[name] = (*found.get(name, ()), Shortfall.of(row, amount))
    return found


def waivers(shortfalls: Mapping[str, Iterable[Shortfall]]) -> Waived:
    """The rows of shortfalls, not asked for at all."""
    return {
        name: {(one.family, one.subject, one.scenario): math.inf for one in found}
        for name, found in shortfalls.items()
    }
