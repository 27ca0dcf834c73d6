"""Solving without dominated scenarios, and proving that this changes nothing.

Without a dominated scenario no requirement changes, but its expected cost of recourse is missing
from the objective. That cost is never negative, so a bound for the smaller programme is a bound for
the whole one. Its purchases are then fixed in the whole programme, which is solved for the recourse
of every scenario: that gives their true cost, and proves that the scenarios left out have recourse.
If cost and bound are further apart than the gap allows, the scenarios whose recourse costs most are
added again, and so on until none is left out. So the stated gap is always that of the whole
programme.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from planner.errors import SolverError
from planner.infrastructure.fleet import Fleet
from planner.optimization.formulation.build import build
from planner.optimization.formulation.objective import recourse_cost
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.decisions import bounded, counts, settled
from planner.optimization.solution.dominance import NORMAL, dominated
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve

#: Share of the gap for the solver; the rest is for the recourse of scenarios left out.
GAP_SHARE = 0.75
#: Relative gap that the tolerances of a solver leave.
NOISE = 1e-6


@dataclass(frozen=True)
class Reduced:
    """A solution of a whole programme, found without scenarios that cannot bind.

    Parameters
    ----------
    programme, solution
        The whole programme and its solution; the bound is that of the smaller one.
    dominated
        Scenarios left out in the last solve, each with one that dominates it.
    taken_back
        Dominated scenarios that were added again because their recourse costs too much.
    rows, columns
        Size of the smaller programme.
    """

    programme: Programme
    solution: Solution
    dominated: Mapping[str, str] = field(default_factory=dict)
    taken_back: tuple[str, ...] = ()
    rows: int = 0
    columns: int = 0


def solve_reduced(
    whole: Programme,
    settings: SolverSettings,
    start: Fleet | None = None,
    left_out: Mapping[str, str] | None = None,
) -> Reduced:
    """Solve a programme without scenarios that cannot bind; optimal within the gap for all of them.

    Parameters
    ----------
    whole
        Programme with all scenarios.
    start
        Fleet of an earlier plan to start from.
    left_out
        Scenarios that are dominated, if that is known already.

    Raises
    ------
    SolverError
        As `solve` does, where there is no solution yet.
    """
    found = dominated(whole.data) if left_out is None else left_out
    deadline, left, best = Deadline(settings), dict(found), None
    seconds = 0.0
    while True:
        try:
            reduced = _solve_without(whole, left, deadline, start)
        except SolverError:
            if best is None:
                raise
            return best
        if reduced is None:
            left = {}
            continue
        seconds += reduced.solution.seconds
        solution = replace(reduced.solution, seconds=seconds)
        taken_back = tuple(sorted(set(found) - set(left)))
        best = replace(reduced, solution=solution, taken_back=taken_back)
        if not left or solution.status != "feasible" or deadline.over:
            return best
        for name in _costliest(whole, left, solution, settings.gap):
            del left[name]
        start = solution.fleet


def counted(data: ProblemData, left_out: Mapping[str, str]) -> str:
    """How many scenarios are left out of the programme that is solved, and why."""
    total, present = len(data.scenarios), len(data.stages_by_scenario)
    implied = total - present + sum(dominator == NORMAL for dominator in left_out.values())
    others = total - implied - (present - len(left_out))
    return (
        f"{implied + others:,} of {total:,} scenarios cannot bind: {implied:,} implied by normal "
        f"operation and N+k, {others:,} dominated by another"
    )


def _solve_without(
    whole: Programme, left_out: Mapping[str, str], deadline: Deadline, start: Fleet | None
) -> Reduced | None:
    """Solve without some scenarios; None if one of them turns out to have no recourse."""
    if not left_out:
        solution = solve(whole, deadline.settings(late=True), start)
        return Reduced(whole, solution, rows=solution.rows, columns=solution.columns)
    kept = tuple(scenario for scenario in whole.data.scenarios if scenario.name not in left_out)
    small = build(replace(whole.data, scenarios=kept))
    gap = deadline.endless.gap
    first = solve(small, deadline.settings(GAP_SHARE * gap, late=True), start)
    names, size = dict(left_out), (first.rows, first.columns)
    if first.status == "infeasible":
        rows, columns = len(whole.problem.constraints), len(whole.problem.variables)
        return Reduced(whole, replace(first, rows=rows, columns=columns), names, (), *size)
    with bounded(whole, settled(counts(small, first.values))):
        second = solve(whole, replace(deadline.endless, gap=0.0))
    if second.status == "infeasible":
        return None
    solution = replace(
        second,
        bound=min(first.bound, second.objective),
        start_used=first.start_used,
        hidden=first.hidden,
        seconds=first.seconds + second.seconds,
    )
    distance = solution.objective - solution.bound
    proven = distance <= (gap + NOISE) * abs(solution.objective)
    solution = replace(solution, status="optimal" if proven else "feasible")
    return Reduced(whole, solution, names, (), *size)


def _costliest(
    whole: Programme, left_out: Mapping[str, str], solution: Solution, gap: float
) -> list[str]:
    """Scenarios to add again: the fewest after which the cost of the rest fits into the gap."""
    costs = dict.fromkeys(left_out, 0.0)
    for stage in whole.data.stages:
        if stage.scenario in costs:
            cost = recourse_cost(whole, stage).evaluated()
            costs[stage.scenario] += stage.timeline.scenario.frequency_per_year * cost
    rest, room = sum(costs.values()), (1 - GAP_SHARE) * gap * abs(solution.objective)
    chosen: list[str] = []
    for name in sorted(costs, key=lambda scenario: -costs[scenario]):
        if rest <= room and chosen:
            break
        chosen.append(name)
        rest -= costs[name]
    return chosen
