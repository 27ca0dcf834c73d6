"""A second look where a solver says that there is no plan, before anybody is told why.

Every row of the programme gets a column for what it is missed by, and the least sum of these is
worked out by HiGHS from the numbers alone, whatever solver has spoken. Where nothing need be
missed, the solver was wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import highspy
import numpy as np

from planner.errors import SolverError
from planner.optimization.decomposition.loop import decomposes
from planner.optimization.formulation.algebra import Problem
from planner.optimization.formulation.build import build
from planner.optimization.formulation.loosening import left_to_simulation, stricter_rows
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.infeasibility.trials import ANY_GAP
from planner.optimization.solution.scaling import Scaled
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.silence import silent
from planner.optimization.solution.solvers import load
from planner.optimization.solution.solving import STRICT, solve
from planner.optimization.solution.watching import Watch

#: What has to be missed in all, in sizes of rows; tolerances leave less than this of nothing.
MISSED = 1e-7
#: Seconds after which the word of the solver is taken.
MOST_SECONDS = 30.0


def confirm_no_plan(data: ProblemData, suspects: Sequence[str], settings: SolverSettings) -> None:
    """Make sure that a problem has no plan, as far as time allows.

    Parameters
    ----------
    suspects
        Scenarios that leave none, each alone or all together; empty where that is not known.

    Raises
    ------
    SolverError
        If nothing need be missed.
    """
    # In parts, where no scenario is to blame, purchases alone leave none.
    apart = bool(suspects) or decomposes(data, settings)
    for names in dict.fromkeys((tuple(suspects[:1]), tuple(suspects))):
        problem = build(data.part(names).with_learned(data.learned) if apart else data).problem
        for whole in (False, True):
            missed = least_missed(problem, settings, whole)
            if missed is None or missed > MISSED:
                return
    raise SolverError(
        f"{settings.name} says that there is no plan, and no requirement need be missed: its "
        "answer cannot be trusted; try another --solver"
    )


def still_stuck(
    data: ProblemData, failed: Collection[str], settings: SolverSettings
) -> ProblemData:
    """The problem without rows left to the simulation, but for those of some scenarios.

    As it is, where it has a plan then.
    """
    rows = stricter_rows(data).items()
    waived = {key: by for key, by in rows if key[2] not in failed and left_to_simulation(data, key)}
    less = replace(data, waived=waived)
    feasible = solve(build(less), replace(settings, gap=ANY_GAP)).status != "infeasible"
    return data if feasible else less


@silent()
def least_missed(problem: Problem, settings: SolverSettings, whole: bool) -> float | None:
    """Least sum of what rows are missed by, in sizes of rows, or a bound on it; None if unknown.

    Parameters
    ----------
    whole
        Whether integers are to be whole.
    """
    numbers = Scaled(problem).numbers
    highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("primal_feasibility_tolerance", STRICT.feasible)
    highs.setOptionValue("mip_feasibility_tolerance", STRICT.whole)
    seconds = min(MOST_SECONDS, settings.time_limit_seconds or MOST_SECONDS)
    highs.setOptionValue("time_limit", seconds)
    load(highs, replace(numbers, cost=np.zeros_like(numbers.cost), offset=0.0), whole)
    over, under = np.flatnonzero(numbers.sense <= 0), np.flatnonzero(numbers.sense >= 0)
    rows = np.concatenate([over, under]).astype(np.int32)
    signs = np.concatenate([-np.ones(len(over)), np.ones(len(under))])
    count = len(rows)
    starts, price = np.arange(count, dtype=np.int32), np.ones(count)
    highs.addCols(count, price, 0 * price, np.full(count, np.inf), count, starts, rows, signs)
    watch = Watch(highs, settings.stop, seconds)
    watch.run()
    if watch.left_for or highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return watch.bound if watch.bound > MISSED else None
    return float(highs.getInfo().objective_function_value)
