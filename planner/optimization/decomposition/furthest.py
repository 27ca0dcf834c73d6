"""Of the plans within a cost limit that go furthest in a direction the cheapest, in parts."""

from __future__ import annotations

from collections.abc import Callable

from planner.errors import SolverError
from planner.optimization.decomposition.loop import Loop, solve_in_parts
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.algebra import Expression
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.risk import MILLION
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve

#: Most masters solved until one keeps the cost limit.
MOST_TRIES = 20
#: Share of the cost limit that is rounding.
ROUNDING = 1e-6

#: What to minimise, in terms of the variables of a programme.
Direction = Callable[[Programme], Expression]


class _Furthest(Loop):
    """The least of something within a cost limit: a master after the other, with more cuts."""

    def within(self, direction: Direction, most_usd: float, gap: float) -> Solution:
        """The first purchases of a master that keep the limit.

        Each master asks for no more than the whole programme, so no plan goes further.

        Raises
        ------
        SolverError
            If time ends before, the solver fails, or no master keeps the limit.
        """
        self._prepare()
        for _ in range(MOST_TRIES):
            programme = self.master.programme()
            cost, problem = programme.problem.objective, programme.problem
            problem.add((1 / MILLION) * cost <= most_usd / MILLION, "most_cost")
            problem.objective = direction(programme)
            solution = solve(programme, self.deadline.settings(gap))
            if solution.status == "infeasible":
                return solution
            usd, found = self._evaluated(self.blocks)
            if usd <= most_usd * (1 + ROUNDING):
                return solution
            self._enlarge(self._missing(found))
        raise SolverError("no purchases found that keep the limit of cost")


def furthest_in_parts(
    parts: Decomposition,
    direction: Direction,
    most_usd: float,
    settings: SolverSettings,
    allowed: Callable[[float], float],
    gap: float,
) -> Solution:
    """The cheapest of the plans that go furthest in a direction.

    Parameters
    ----------
    parts
        The programme; it stays as it is.
    most_usd
        What a plan may cost a year.
    allowed
        How large the least may be in the end.
    gap
        Relative gap of the search in the direction.

    Raises
    ------
    SolverError
        If time ends before, the solver fails, or no master keeps the limit.
    """
    first = _Furthest(parts.branch(parts.data), settings).within(direction, most_usd, gap)
    if first.status == "infeasible":
        return first
    second, most = parts.branch(parts.data), allowed(first.objective)
    second.relax(lambda base: _add(base, direction, most))
    return solve_in_parts(second, settings, first.fleet)[1]


def _add(base: Programme, direction: Direction, most: float) -> None:
    base.problem.add(direction(base) <= most, "direction")
