"""Of the plans within a cost limit that go furthest in a direction the cheapest, in parts."""

from __future__ import annotations

from collections.abc import Callable

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

    def within(self, direction: Direction, most_usd: float, gap: float) -> Solution | None:
        """The first purchases of a master that keep the limit; None if there are none.

        Each master asks for no more than the whole programme, so no plan goes further.

        Raises
        ------
        SolverError
            If time ends before, or the solver fails.
        """
        self._prepare()
        for _ in range(MOST_TRIES):
            programme = self.master.programme()
            cost, problem = programme.problem.objective, programme.problem
            problem.add((1 / MILLION) * cost <= most_usd / MILLION, "most_cost")
            problem.objective = direction(programme)
            solution = solve(programme, self.deadline.settings(gap))
            if solution.status == "infeasible":
                return None
            usd, found = self._evaluated(self.blocks)
            if usd <= most_usd * (1 + ROUNDING):
                return solution
            self._enlarge(self._missing(found))
        return None


def furthest_in_parts(
    parts: Decomposition,
    direction: Direction,
    most_usd: float,
    settings: SolverSettings,
    allowed: Callable[[float], float],
    gap: float,
) -> tuple[Programme, Solution] | None:
    """The cheapest of the plans that go furthest in a direction; None if there is none.

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
        If time ends before, or the solver fails.
    """
    first = _Furthest(parts.branch(parts.data), settings).within(direction, most_usd, gap)
    if first is None:
        return None
    second, most = parts.branch(parts.data), allowed(first.objective)
    second.relax(lambda base: _add(base, direction, most))
    programme, solution = solve_in_parts(second, settings, first.fleet)
    return None if solution.status == "infeasible" else (programme, solution)


def _add(base: Programme, direction: Direction, most: float) -> None:
    base.problem.add(direction(base) <= most, "direction")
