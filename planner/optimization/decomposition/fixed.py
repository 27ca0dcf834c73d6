"""The programme with its purchases fixed: what a fleet costs, and which rows it does not meet."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from planner.infrastructure.fleet import Fleet
from planner.optimization.decomposition.loop import Loop, decomposes
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.build import build
from planner.optimization.formulation.families import STRICTER
from planner.optimization.formulation.loosening import stricter_rows
from planner.optimization.formulation.problem import Key, ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.decisions import Decision, bounded, counts_of, settled, variables
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve


def with_purchases(
    data: ProblemData, counts: Mapping[Decision, int], settings: SolverSettings
) -> tuple[Programme, Solution] | None:
    """The programme with some purchases, at least cost; None where they are no plan.

    Rows that are stricter than the standard are waived in scenarios in which they are not met.
    """
    strict = replace(data, waived={})
    found = _solved(strict, counts, settings)
    if found[1].status == "infeasible":
        found = _solved(replace(data, waived=stricter_rows(data)), counts, settings)
        if found[1].status == "infeasible":
            return None
        waived = _missed(strict, found[1], settings)
        fewer = _solved(replace(data, waived=waived), counts, settings)
        found = found if fewer[1].status == "infeasible" else fewer
    return found


def _solved(
    data: ProblemData, counts: Mapping[Decision, int], settings: SolverSettings
) -> tuple[Programme, Solution]:
    parts = Decomposition(data, settings) if decomposes(data, settings) else None
    programme = build(data) if parts is None else parts.base
    with bounded(programme, settled(counts)):
        if parts is None:
            return programme, solve(programme, settings)
        solution = Loop(parts, settings).run()
    return replace(programme, data=data), solution


def _missed(data: ProblemData, solution: Solution, settings: SolverSettings) -> dict[Key, float]:
    """Rows stricter than the standard in scenarios without recourse for a solution, waived."""
    parts = Decomposition(data, settings)
    parts.lay_out(Deadline(settings))
    # What only waived rows need has no value: too much is waived rather than too little.
    shared = parts.base.problem.variables
    purchases = np.array([solution.values.get(variable.name, 0.0) for variable in shared])
    found: dict[Key, float] = {}
    for failure in parts.failures:
        pieces = (parts.evaluator.evaluate(piece.block, purchases) for piece in failure.pieces)
        if any(made.impossible is not None for made in pieces):
            rows = parts.rows_of(failure.name)
            found |= {row.key: math.inf for row in rows if row.family in STRICTER}
    return found


def least_cost(data: ProblemData, fleet: Fleet, settings: SolverSettings) -> float | None:
    """Least yearly cost with a fleet, USD; None where it violates a requirement."""
    parts = Decomposition(data, settings) if decomposes(data, settings) else None
    programme = build(data) if parts is None else parts.base
    try:
        counts = counts_of(programme, fleet)
    except ValueError:
        return None
    for key, variable in variables(programme).items():
        if not variable.low <= counts[key] <= variable.high:
            return None
    with bounded(programme, settled(counts)):
        solution = Loop(parts, settings).run() if parts else solve(programme, settings)
    return None if solution.status == "infeasible" else solution.objective
