"""The programme with its purchases fixed: what a fleet costs, and which rows it does not meet."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from planner.infrastructure.fleet import Fleet
from planner.laws.heat import threshold_capacity_mw
from planner.optimization.decomposition.loop import Loop, decomposes
from planner.optimization.decomposition.parts import FAR, Decomposition
from planner.optimization.formulation.algebra import Variable
from planner.optimization.formulation.build import build
from planner.optimization.formulation.cooling import ridden_through
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.loosening import stricter_rows
from planner.optimization.formulation.problem import Key, ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.recourse import may_exceed_budget
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.decisions import (
    Decision,
    bounded,
    counts_of,
    limited,
    settled,
    variables,
)
from planner.optimization.solution.scaling import most, numbers_of
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve


def with_purchases(
    data: ProblemData,
    counts: Mapping[Decision, int],
    settings: SolverSettings,
    known: Decomposition | None = None,
) -> tuple[Programme, Solution] | None:
    """The programme with some purchases, at least cost; None where they are no plan.

    Rows that are stricter than the standard are waived in scenarios in which they are not met.

    Parameters
    ----------
    known
        A programme in parts of the same model, whose blocks are used again.
    """
    strict = _in_parts(_waiving(data, {}), settings, known)
    strict.lay_out(Deadline(settings))
    # What is missed with as much of all else as these purchases allow is missed for sure.
    missed = _missed(strict, _at_most(strict, counts))
    found = (
        _without(strict, missed, counts, settings) if missed else _solved(strict, counts, settings)
    )
    if found[1].status != "infeasible":
        return found
    found = _without(strict, stricter_rows(data), counts, settings)
    if found[1].status == "infeasible":
        return None
    fewer = _without(strict, _missed(strict, found[1].values), counts, settings)
    return found if fewer[1].status == "infeasible" else fewer


def _at_most(parts: Decomposition, counts: Mapping[Decision, int]) -> dict[str, float]:
    """Purchases, and the most of what else recourse depends on."""
    with bounded(parts.base, settled(counts)):
        high = most(numbers_of(parts.base.problem))
    names = (variable.name for variable in parts.base.problem.variables)
    return dict(zip(names, np.where(np.isfinite(high), high, FAR).tolist(), strict=True))


def _without(
    strict: Decomposition,
    waived: Mapping[Key, float],
    counts: Mapping[Decision, int],
    settings: SolverSettings,
) -> tuple[Programme, Solution]:
    return _solved(_in_parts(_waiving(strict.data, waived), settings, strict), counts, settings)


def _waiving(data: ProblemData, waived: Mapping[Key, float]) -> ProblemData:
    return data.changed(data.scenarios, waived, data.learned)


def at_purchases(
    data: ProblemData, counts: Mapping[Decision, int], settings: SolverSettings
) -> tuple[Programme, Solution]:
    """The programme with some purchases, at least cost, with no other row waived than in the data.

    The solution is infeasible where they are no plan.
    """
    return _solved(_in_parts(data, settings, None), counts, settings)


def _in_parts(
    data: ProblemData, settings: SolverSettings, known: Decomposition | None
) -> Decomposition:
    parts = Decomposition(data, settings) if known is None else known.branch(data)
    if decomposes(data, settings):
        parts.lay_out(Deadline(settings))  # blocks rest on the bounds of purchases that are free
    return parts


def _solved(
    parts: Decomposition, counts: Mapping[Decision, int], settings: SolverSettings
) -> tuple[Programme, Solution]:
    apart = decomposes(parts.data, settings)
    programme = parts.base if apart else build(parts.data)
    with bounded(programme, settled(counts)):
        if not apart:
            solution = solve(programme, settings)
        else:
            parts.lay_out(Deadline(settings))
            with limited(_capacities(programme, counts)):
                loop = Loop(parts, settings)
                solution = loop.settled() if parts.settled else loop.run()
    return replace(programme, data=parts.data), solution


def _capacities(
    programme: Programme, counts: Mapping[Decision, int]
) -> dict[Variable, tuple[float, float]]:
    """Capacities without the largest units as purchases fix them, which only bound from above."""
    chosen, found = variables(programme), dict[Variable, tuple[float, float]]()
    values = {variable.name: float(counts[key]) for key, variable in chosen.items()}
    for (plant, units, lost, rise_c, named), left in programme.surviving.items():
        sizes = {unit: programme.data.unit_mw(plant, unit, rise_c) for unit in units}
        gone = dict(named)
        kept = {u: programme.unit_count(plant, u).at(values) - gone.get(u, 0) for u in units}
        most_mw = max(
            sum(share * count for share, count in threshold_capacity_mw(sizes, kept, lost, size))
            for size in {0.0, *sizes.values()}
        )
        found |= {x: (most_mw, most_mw) for x in left.terms if x.name not in values}
    return found


def _missed(parts: Decomposition, values: Mapping[str, float]) -> dict[Key, float]:
    """Rows stricter than the standard in scenarios without recourse at some values, waived."""
    # What only waived rows need has no value: too much is waived rather than too little.
    data, missed = parts.data, dict[Key, float]()
    for name in parts.missing(values):
        stages = data.stages_by_scenario[name]
        subjects = [
            (Family.RIDE_THROUGH, cluster)
            for cluster in data.model.clusters
            if any(ridden_through(data, stages, cluster))
        ]
        if may_exceed_budget(parts.base, data, stages):
            subjects.append((Family.EMERGENCY_BUDGET, "budget"))
        missed |= {(*subject, name): math.inf for subject in subjects}
    return missed


def least_cost(data: ProblemData, fleet: Fleet, settings: SolverSettings) -> float | None:
    """Least yearly cost with a fleet, USD; None where it violates a requirement."""
    parts = _in_parts(data, settings, None)
    try:
        counts = counts_of(parts.base, fleet)
    except ValueError:
        return None
    known = variables(parts.base)
    if any(not known[key].low <= count <= known[key].high for key, count in counts.items()):
        return None
    solution = _solved(parts, counts, settings)[1]
    return None if solution.status == "infeasible" else solution.objective
