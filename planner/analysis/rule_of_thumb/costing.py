"""Cost of a plan by rule of thumb, from the programme that also prices the optimum."""

from __future__ import annotations

from dataclasses import replace

from planner.analysis.rule_of_thumb.sizing import NOTHING
from planner.infrastructure.fleet import Fleet
from planner.optimization.formulation.build import build
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme, Row
from planner.optimization.infeasibility.shortfalls import add_slack
from planner.optimization.solution.audit import audit
from planner.optimization.solution.costs import cost_items
from planner.optimization.solution.decisions import bounded, counts_of, settled
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve

#: Penalty on violated requirements of purchases, USD per unit; not part of the stated cost.
PENALTY_USD = 1e6


def costed(
    data: ProblemData, fleet: Fleet, settings: SolverSettings
) -> tuple[Programme, Solution, tuple[str, ...]]:
    """Cost of a fleet by the programme with all its purchases fixed.

    The programme is infeasible for a plan that fails, and may be for one that survives, as it is
    stricter than the simulation (no throttling before operators react). Then requirements and
    limits get slacks: those of scenarios nearly free, so that recourse stays the cheapest and lost
    requests cost their value; those of purchases and normal operation at a penalty that is not part
    of the cost.
    """
    settings = replace(settings, time_limit_seconds=None, stop=None)
    programme = build(data)
    with bounded(programme, settled(counts_of(programme, fleet))):
        solution = solve(programme, settings)
        if solution.status != "infeasible":
            audit(programme, solution)
            return programme, _unproven(solution, solution.objective), ()
    programme = build(data)
    given = _add_slacks(programme)
    with bounded(programme, settled(counts_of(programme, fleet))):
        solution = solve(programme, settings)
    if solution.status == "infeasible":
        return programme, solution, ("normal operation is not possible",)
    cost = sum(item.usd_per_year for item in cost_items(programme, solution))
    loose = {
        (row.family, row.scenario)
        for name, row in given.items()
        if solution.values[name] > 1e-6 * max(1.0, row.amount)
    }
    by_family: dict[str, list[str]] = {}
    for family, scenario in sorted(loose):
        by_family.setdefault(family, []).append(scenario or "purchases")
    notes = [
        f"costed without rows `{family}` that the programme has in {', '.join(where)}"
        for family, where in by_family.items()
    ]
    return programme, _unproven(solution, cost), tuple(notes)


def _add_slacks(programme: Programme) -> dict[str, Row]:
    """Add slacks to requirements and limits; their rows by the name of the slack."""
    rows = {}
    for name, row in programme.rows.items():
        if row.kind == "definition" and row.family != Family.MEAN_DEMAND:
            continue
        price = NOTHING if row.scenario else PENALTY_USD
        add_slack(programme, name, f"lacks.{name}", usd=price)
        rows[f"lacks.{name}"] = row
    return rows


def _unproven(solution: Solution, cost: float) -> Solution:
    """The solution with its cost and no bound: nothing is proven of a rule of thumb."""
    return replace(solution, status="feasible", objective=cost, bound=0.0, hidden=0.0)
