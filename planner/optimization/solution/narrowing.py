"""Many candidate regions: solve with those that the relaxation opens, and prove that they do.

Opening another one costs at least what the relaxation costs plus its reduced cost. Where that is no
less than the plan found less the gap, no plan with it is cheaper by more than the gap. With those
of which that cannot be said the programme is solved again, from the plan found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from planner.optimization.formulation.algebra import Problem
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.decisions import limited
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solvers import SolverOutcome
from planner.optimization.solution.strengthening import Relaxed

Run = Callable[[Problem, SolverSettings, Mapping[str, float] | None], SolverOutcome]


def run_narrowed(run: Run, problem: Problem, relaxed: Relaxed, deadline: Deadline) -> SolverOutcome:
    """Solve a problem, at first without the candidates that its relaxation does not open.

    Parameters
    ----------
    run
        Solves a problem from known values (`solving.run_solver`).

    Returns
    -------
    SolverOutcome
        Its bound is one on the cost of all plans.
    """
    settings = deadline.settings(late=True)
    closed = dict.fromkeys(relaxed.unopened, (0.0, 0.0))
    with limited(closed):
        outcome = run(problem, settings, None)
    if not outcome.stats.has_solution:
        return run(problem, deadline.settings(late=True), None)
    cost = problem.objective.evaluated()
    cutoff = cost - settings.gap * abs(cost)
    excluded = {
        variable: closed[variable]
        for variable, more in relaxed.unopened.items()
        if relaxed.bound_usd + more >= cutoff
    }
    if len(excluded) < len(closed):
        if deadline.over:
            return replace(outcome, bound=relaxed.bound_usd)
        values = {x.name: x.value or 0.0 for x in problem.variables}
        with limited(excluded):
            outcome = run(problem, deadline.settings(late=True), values)
    bound = relaxed.bound_usd if outcome.bound is None else outcome.bound
    return replace(outcome, bound=min(bound, cutoff) if excluded else bound)
