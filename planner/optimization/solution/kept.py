"""What solvers found, as checkpoints keep it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from pulp import LpSolveStats
from pulp.constants import LpSolveStatus
from pydantic import TypeAdapter

from planner.errors import SolverError
from planner.optimization.formulation.algebra import Problem
from planner.optimization.solution.scaling import Coefficients, numbers_of
from planner.optimization.solution.settings import SolverSettings

#: Why a solver ended that would end so again, as time has not cut it short.
FINAL = frozenset(
    {
        LpSolveStatus.Optimal,
        LpSolveStatus.GapLimit,
        LpSolveStatus.Infeasible,
        LpSolveStatus.Undefined,
    }
)


@dataclass(frozen=True)
class KeptSolve:
    """The answer of a solver to a problem.

    Parameters
    ----------
    solver, status, has_solution, is_mip, solver_gap
        What is used of its statistics.
    bound, hidden
        Bound that it proved, and cost that its tolerances can hide.
    values, reduced_costs, duals
        Of columns and rows; None where there is none.
    """

    solver: str
    status: int
    has_solution: bool
    is_mip: bool
    solver_gap: float | None
    bound: float | None
    hidden: float
    values: list[float | None]
    reduced_costs: list[float | None]
    duals: list[float | None]

    @classmethod
    def of(
        cls, problem: Problem, stats: LpSolveStats, bound: float | None, hidden: float
    ) -> KeptSolve:
        """The answer that a solver has just written into a problem."""
        return cls(
            stats.solver,
            int(stats.status),
            stats.has_solution,
            stats.is_mip,
            stats.solver_gap,
            bound,
            hidden,
            [column.value for column in problem.variables],
            [column.reduced_cost for column in problem.variables],
            [row.dual for row in problem.constraints],
        )

    @property
    def final(self) -> bool:
        """Whether it is the same at every time."""
        return self.status in FINAL

    @property
    def stats(self) -> LpSolveStats:
        """Its statistics, as far as they are used."""
        return LpSolveStats(
            solver=self.solver,
            status=LpSolveStatus(self.status),
            has_solution=self.has_solution,
            is_mip=self.is_mip,
            logs=None if self.solver_gap is None else {"gap": self.solver_gap},
        )

    def bring_back(self, problem: Problem) -> None:
        """Write values, reduced costs and duals into the problem again.

        Raises
        ------
        SolverError
            If it is the answer to another problem.
        """
        sizes = {len(self.values), len(self.reduced_costs)}
        if sizes != {len(problem.variables)} or len(self.duals) != len(problem.constraints):
            raise SolverError("the checkpoint holds the answer to another programme")
        columns = zip(problem.variables, self.values, self.reduced_costs, strict=True)
        for variable, value, reduced_cost in columns:
            variable.value, variable.reduced_cost = value, reduced_cost
        for row, dual in zip(problem.constraints, self.duals, strict=True):
            row.dual = dual


KEPT_SOLVE = TypeAdapter(KeptSolve)


def asked_of_solver(
    problem: Problem, settings: SolverSettings, start: Mapping[str, float], linear: bool
) -> Iterator[bytes]:
    """Everything that the answer of a solver follows from but the time that it has."""
    what: tuple[Any, ...] = (settings.name, settings.gap, settings.threads, linear)
    yield repr((*what, sorted(start.items()))).encode()
    numbers = numbers_of(problem)
    for field in fields(Coefficients):
        yield np.asarray(getattr(numbers, field.name)).tobytes()
