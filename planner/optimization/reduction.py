"""Solving without the scenarios that are dominated, and proving that this changed nothing.

Leaving a dominated scenario out changes no requirement, but its expected cost of recourse is then
missing from the objective. That cost is never negative, so what the solver proves for the smaller
programme is a lower bound for the whole one. The purchases that it finds are then settled in the
whole programme, which is solved for the recourse of every scenario: that gives their true cost, and
shows that every scenario left out has recourse. If cost and bound are further apart than the gap
allows, the scenarios whose recourse costs most are taken back in, and so on. With none left out it
is the whole programme; so the gap that is stated is always that of the whole.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.optimization.case import Case
from planner.optimization.decisions import bounded, counts, settled
from planner.optimization.dominance import dominated
from planner.optimization.objective import recourse_cost
from planner.optimization.programme import Programme, build
from planner.optimization.solving import Solution, SolverSettings, solve

#: Share of the gap that is left to the solver; the rest is for recourse that it does not see.
GAP_SHARE = 0.75
#: Least time for a solve that follows another, in seconds.
LEAST_SECONDS = 0.1


@dataclass(frozen=True)
class Reduced:
    """A solution of a whole case, found without scenarios that cannot bind.

    Parameters
    ----------
    programme, solution
        The whole programme and its solution; the bound is that of the smaller one.
    dominated
        Scenarios left out in the last solve, each with one that dominates it.
    taken_back
        Scenarios that are dominated but whose recourse cost too much to be left out.
    implied
        Scenarios that normal operation and N+k imply.
    rows, columns
        Size of the smaller programme.
    """

    programme: Programme
    solution: Solution
    dominated: Mapping[str, str] = field(default_factory=dict)
    taken_back: tuple[str, ...] = ()
    implied: int = 0
    rows: int = 0
    columns: int = 0

    def __str__(self) -> str:
        """Counts for people."""
        total = len(self.programme.case.scenarios)
        text = f"{self.implied + len(self.dominated):,} of {total:,} scenarios cannot bind: "
        text += f"{self.implied:,} implied by normal operation and N+k, "
        text += f"{len(self.dominated):,} dominated by others"
        if self.taken_back:
            text += f" ({len(self.taken_back):,} more for all but their cost)"
        return text


def solve_reduced(case: Case, settings: SolverSettings, start: Fleet | None = None) -> Reduced:
    """Solve a case without scenarios that cannot bind; optimal within the gap for all of them.

    Raises
    ------
    SolverError
        As `solve` does.
    """
    watch = _Watch(settings)
    whole = build(case)
    implied = len(case.scenarios) - len(case.stages_by_scenario)
    found = dominated(case)
    left_out = dict(found)
    while left_out:
        small = build(replace(case, scenarios=_without(case, left_out)))
        first = solve(small, watch.settings(GAP_SHARE), start)
        watch.seconds += first.seconds
        if first.status == "infeasible":
            return Reduced(whole, _in_whole(first, whole), left_out, implied=implied)
        with bounded(whole, settled(counts(small, first.values))):
            second = solve(whole, replace(watch.settings(), gap=0.0))
        watch.seconds += second.seconds
        if second.status == "infeasible":
            # Not dominated after all: the whole programme decides.
            break
        solution = _joined(first, second, watch.seconds)
        limited = first.status == "feasible" or second.status == "feasible"
        if limited or solution.gap <= settings.gap:
            taken = tuple(sorted(set(found) - set(left_out)))
            return Reduced(whole, solution, left_out, taken, implied, first.rows, first.columns)
        for name in _costliest(whole, left_out, solution, settings.gap):
            del left_out[name]
        start = first.fleet
    solution = solve(whole, watch.settings(), start)
    solution = replace(solution, seconds=watch.seconds + solution.seconds)
    return Reduced(
        whole, solution, {}, tuple(sorted(found)), implied, solution.rows, solution.columns
    )


class _Watch:
    """Settings with the time that is left, and the time spent in the solver."""

    def __init__(self, settings: SolverSettings) -> None:
        self._settings = settings
        self._started = time.monotonic()
        self.seconds = 0.0

    def settings(self, gap_share: float = 1.0) -> SolverSettings:
        """Settings of the next solve."""
        limit = self._settings.time_limit_seconds
        if limit is not None:
            limit = max(LEAST_SECONDS, limit - (time.monotonic() - self._started))
        return replace(self._settings, gap=gap_share * self._settings.gap, time_limit_seconds=limit)


def _without(case: Case, left_out: Mapping[str, str]) -> tuple[Scenario, ...]:
    return tuple(one for one in case.scenarios if one.name not in left_out)


def _in_whole(first: Solution, whole: Programme) -> Solution:
    """An infeasible solution with the size of the whole programme."""
    rows, columns = whole.problem.numConstraints(), whole.problem.numVariables()
    return replace(first, rows=rows, columns=columns)


def _joined(first: Solution, second: Solution, seconds: float) -> Solution:
    """Cost and recourse of the whole programme with what was proven for the smaller one."""
    return replace(
        second,
        status=first.status,
        bound=min(first.bound, second.objective),
        seconds=seconds,
        start_used=first.start_used,
    )


def _costliest(
    whole: Programme, left_out: Mapping[str, str], solution: Solution, gap: float
) -> list[str]:
    """Scenarios to take back in: the fewest after which the rest fits into the gap."""
    costs = dict.fromkeys(left_out, 0.0)
    for stage in whole.case.stages:
        if stage.scenario in costs:
            cost = float(recourse_cost(whole, stage).value() or 0.0)
            costs[stage.scenario] += stage.course.scenario.frequency_per_year * cost
    rest, room = sum(costs.values()), (1 - GAP_SHARE) * gap * abs(solution.objective)
    chosen: list[str] = []
    for name in sorted(costs, key=lambda one: -costs[one]):
        if rest <= room and chosen:
            break
        chosen.append(name)
        rest -= costs[name]
    return chosen
