"""Solving a programme, and reading back what the solver really found and proved."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pulp
from pulp import LpSolveStats
from pulp.constants import LpSolveStatus

from planner.checkpoint import checkpoint
from planner.errors import InputError, SolverError
from planner.infrastructure.fleet import Fleet
from planner.optimization.formulation.algebra import Problem, Variable
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.risk import settle
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.decisions import purchases_for
from planner.optimization.solution.kept import KEPT_SOLVE, KeptSolve, asked_of_solver
from planner.optimization.solution.narrowing import run_narrowed
from planner.optimization.solution.scaling import Floats, Scaled, Tolerances
from planner.optimization.solution.settings import SolverSettings, relative_gap
from planner.optimization.solution.silence import silent
from planner.optimization.solution.solvers import (
    PRINTED_DIGITS,
    Cbc,
    Highs,
    SolverOutcome,
    logged_bound,
)
from planner.optimization.solution.strengthening import strengthen

#: Short names beside those that PuLP knows.
SOLVERS = {"highs": "HiGHS", "cbc": "COIN_CMD"}
#: Classes of those that can be stopped and started from a known solution.
OURS: dict[str, Any] = {"HiGHS": Highs, "COIN_CMD": Cbc}
#: Tolerances given to these for a scaled programme; other solvers use their own.
STRICT = Tolerances(feasible=1e-9, whole=1e-9, optimal=1e-9)
INTEGRALITY = 1e-5


Status = Literal["optimal", "feasible", "infeasible"]


@dataclass(frozen=True)
class Solution:
    """What the solver found.

    Parameters
    ----------
    status
        ``optimal`` within the gap, ``feasible`` when a limit came first, ``infeasible``.
    objective, bound
        Cost of the plan and proven lower bound, USD per year; infinite when infeasible.
    routing_usd_per_year
        Part of the objective that is not in the programme: extra cost of the simulator's routing in
        a year without failures (`operation.billed`).
    values
        Value of every variable by name, integers rounded.
    fleet
        Capacities after the purchases.
    rows, columns
        Size of the programme.
    start_used
        Whether the earlier plan given is feasible here and was the start of the search; None
        without one.
    hidden
        Cost that the tolerances of the solver can hide, USD per year.
    recourse
        Where it is not among the values: the programme of each scenario with its solution, worked
        out anew (`parts_of`).
    by_state
        The same for the audit, with stages together that ask of the same state of the
        infrastructure.
    once_usd
        Cost of one occurrence of each scenario, where recourse is not among the values.
    conflict
        Where there is no plan: scenarios that leave none, each of them alone or all together;
        empty where that is not known.
    """

    status: Status
    objective: float
    bound: float
    values: Mapping[str, float]
    fleet: Fleet
    seconds: float
    rows: int
    columns: int
    start_used: bool | None = None
    routing_usd_per_year: float = 0.0
    hidden: float = 0.0
    recourse: Callable[[], Iterator[Part]] | None = field(default=None, repr=False, compare=False)
    by_state: Callable[[], Iterator[Cases]] | None = field(default=None, repr=False, compare=False)
    once_usd: Mapping[str, float] | None = field(default=None, repr=False, compare=False)
    conflict: tuple[str, ...] = ()

    @property
    def gap(self) -> float:
        """Relative distance between objective and bound, and what tolerances can hide."""
        return relative_gap(self.objective, self.bound - self.hidden)


#: A programme, or the recourse of a scenario as one, with its solution.
Part = tuple[Programme, Solution]


@dataclass(frozen=True)
class Cases:
    """Recourse of stages in the same state of the infrastructure: a programme, solved many times.

    Values of the solution and numbers of the stages are arrays where the cases differ.

    Parameters
    ----------
    sides, highs
        Right-hand sides of rows and upper bounds of columns by position, where the cases have
        their own, shape (cases,).
    uses
        Scenarios with the number of a case that is part of them, and how many times as long it
        takes there as in the programme; empty where the programme is of whole scenarios.
    """

    programme: Programme
    solution: Solution
    sides: Mapping[int, Floats] = field(default_factory=dict)
    highs: Mapping[int, Floats] = field(default_factory=dict)
    uses: tuple[tuple[str, int, float], ...] = ()


def parts_of(programme: Programme, solution: Solution) -> Iterator[Part]:
    """A solved programme: in one piece, or purchases and normal operation, then each scenario."""
    yield programme, solution
    if solution.recourse is not None:
        yield from solution.recourse()


@silent()
def make_solver(
    settings: SolverSettings,
    log: Path | None = None,
    start: Mapping[str, float] | None = None,
    linear: bool = False,
    left: Tolerances = STRICT,
) -> Any:
    """Make the PuLP solver of some settings, to start from a known solution.

    Raises
    ------
    InputError
        If PuLP does not know the solver, or it is not installed.
    """
    known = SOLVERS.get(settings.name.lower(), settings.name)
    if not _is_installed(known):
        available = pulp.listSolvers(onlyAvailable=True)
        names = ", ".join([short for short, full in SOLVERS.items() if full in available])
        others = ", ".join(name for name in available if name not in SOLVERS.values())
        accepted = names + (f", {others}" if others else "")
        raise InputError.single(
            "--solver", f"`{settings.name}` is not available; found: {accepted}"
        )
    options: dict[str, Any] = {"msg": False, "mip": not linear, "gapRel": settings.gap}
    if settings.time_limit_seconds is not None:
        options["timeLimit"] = settings.time_limit_seconds
    if settings.threads is not None:
        options["threads"] = settings.threads
    options |= {"logPath": str(log)} if log and known == "COIN_CMD" else {}
    if known == "HiGHS":
        options |= {
            "random_seed": 1,
            "primal_feasibility_tolerance": left.feasible,
            "dual_feasibility_tolerance": left.optimal,
            "mip_feasibility_tolerance": left.whole,
        }
    if known == "COIN_CMD":
        said = f"primalT {left.feasible}", f"dualT {left.optimal}", f"integerT {left.whole}"
        # Its preprocessing returned plans beyond their bounds at a wrong cost, called optimal.
        options |= {"randomSeed": 1, "options": ["preprocess off", *said]}
    if known in OURS:
        return OURS[known](settings.stop, start, **options)
    return pulp.getSolver(known, **options)


def _is_installed(known: str) -> bool:
    """Whether PuLP can run a solver; asks PuLP only if it is neither HiGHS nor CBC."""
    if known in OURS:
        return bool(OURS[known](msg=False).available())
    return known in pulp.listSolvers() and known in pulp.listSolvers(onlyAvailable=True)


#: Where a search starts: the fleet of an earlier plan, or values of whole variables by name.
Start = Fleet | Mapping[str, float]


def solve(programme: Programme, settings: SolverSettings, start: Start | None = None) -> Solution:
    """Solve a programme, from the purchases of an earlier plan if there is one.

    Raises
    ------
    SolverError
        If the solver fails, or ends with neither a solution nor a proof that there is none.
    """
    started, deadline = time.perf_counter(), Deadline(settings)
    first = completed(programme, start, settings) if start else None
    relaxed = strengthen(programme, deadline)
    left = deadline.settings(late=True) if relaxed.added or first is not None else settings
    if relaxed.unopened and first is None and settings.name == "highs":
        outcome = run_narrowed(run_solver, programme.problem, relaxed, deadline)
    else:
        outcome = run_solver(programme.problem, left, first)
    stats = outcome.stats
    seconds = time.perf_counter() - started
    status = _status(stats)
    early = settings.stopped or deadline.left_seconds <= 0
    if status == "infeasible" and early:
        # CBC calls a programme infeasible when its time ends in preprocessing.
        raise _unfinished(stats)
    size = (len(programme.problem.constraints), len(programme.problem.variables))
    model = programme.data.model
    if status == "infeasible":
        fleet = Fleet.existing(model)
        return Solution(status, float("inf"), float("inf"), {}, fleet, seconds, *size)
    settle(programme)
    values = _values(programme.problem, _unfinished(stats) if early else None)
    _cancel(programme, values)
    cost = programme.problem.objective.evaluated()
    bound = _proven(outcome, cost, programme.problem, settings)
    if status == "optimal" and not settings.proves(relative_gap(cost, bound)):
        status = "feasible"
    fleet = fleet_of(programme, values)
    used = None if start is None else first is not None
    hidden = outcome.hidden
    return Solution(status, cost, bound, values, fleet, seconds, *size, used, hidden=hidden)


def _unfinished(stats: LpSolveStats) -> SolverError:
    reason = f"{stats.solver} ran out of time without a plan or a proof"
    return SolverError(f"{reason}; allow more time with --time-limit")


def _proven(
    outcome: SolverOutcome, cost: float, problem: Problem, settings: SolverSettings
) -> float:
    """Bound on the cost of every plan, at most that of the plan that was found.

    Raises
    ------
    SolverError
        If the solver claims a bound above the cost of a plan that it found.
    """
    bound, stats = outcome.bound, outcome.stats
    if bound is None:
        bound = cost if not stats.is_mip else _bound_from_gap(cost, stats, settings)
    if math.isnan(bound) or bound - cost > outcome.hidden + PRINTED_DIGITS * abs(cost):
        raise SolverError(
            f"{stats.solver} claims that no plan costs less than {bound:,.6g} USD a year, and "
            f"found one for {cost:,.6g}: its answer cannot be trusted"
        )
    # No plan costs less than the bounds of its variables allow, whatever the solver reports.
    return min(cost, max(bound, _least_objective(problem)))


def _cancel(programme: Programme, values: dict[str, float]) -> None:
    """Cancel purchases against retirements of the same kind: that never costs more.

    As far as neither is asked for, by a purchase that is fixed or by a question of an explanation.
    """
    purchases = programme.purchases
    pairs = [(purchases.units[key], gone) for key, gone in purchases.retired.items()]
    pairs += [(purchases.blocks[key], gone) for key, gone in purchases.retired_blocks.items()]
    for bought, gone in pairs:
        both = min(values[one.name] - (one.low or 0.0) for one in (bought, gone))
        for variable in (bought, gone):
            values[variable.name] -= both
            variable.value = values[variable.name]


def completed(
    programme: Programme, start: Start, settings: SolverSettings
) -> dict[str, float] | None:
    """Values of all variables with the purchases of a start; None if that is infeasible."""
    if isinstance(start, Fleet):
        wanted = purchases_for(programme, start)
    else:
        whole = (x for x in programme.problem.variables if x.integer and x.name in start)
        wanted = [(variable, start[variable.name]) for variable in whole]
    bounds = [(variable, variable.low, variable.high) for variable, _ in wanted]
    values = [value for _, value in wanted]
    within = zip(bounds, values, strict=True)
    if not all(low <= value <= high for (_, low, high), value in within):
        return None
    try:
        for variable, value in wanted:
            variable.low = variable.high = value
        stats = run_solver(programme.problem, settings).stats
    finally:
        for variable, low, high in bounds:
            variable.low, variable.high = low, high
    if not stats.has_solution or stats.status == LpSolveStatus.Infeasible:
        return None
    return _values(programme.problem)


@silent()
def run_solver(
    problem: Problem,
    settings: SolverSettings,
    start: Mapping[str, float] | None = None,
    linear: bool = False,
) -> SolverOutcome:
    """Solve a problem after scaling it: the only place that runs a solver.

    Parameters
    ----------
    start
        Values of variables by name, as far as a first solution is known.
    linear
        Whether to solve the linear relaxation.

    Raises
    ------
    SolverError
        If the solver fails.
    """
    run = checkpoint()
    if run is None:
        return _run_solver(problem, settings, start, linear)

    def answer() -> KeptSolve:
        found = _run_solver(problem, settings, start, linear)
        return KeptSolve.of(problem, found.stats, found.bound, found.hidden)

    kept = run.recall(
        (b"programme", *asked_of_solver(problem, settings, start or {}, linear)),
        KEPT_SOLVE,
        answer,
        lambda found: found.final,
    )
    kept.bring_back(problem)
    return SolverOutcome(kept.stats, kept.bound, kept.hidden)


def _run_solver(
    problem: Problem, settings: SolverSettings, start: Mapping[str, float] | None, linear: bool
) -> SolverOutcome:
    try:
        scaled = Scaled(problem)
        solved = scaled.problem
        # HiGHS calls programmes infeasible that rounding keeps from being met to its limit.
        refusal: LpSolveStats | None = None
        for left in (STRICT, Tolerances()):
            with tempfile.TemporaryDirectory() as folder:
                log = Path(folder) / "solver.log"
                solver = make_solver(settings, log, scaled.start(start or {}), linear, left)
                if isinstance(solver, Highs):
                    solver.numbers = scaled.numbers
                    stats = solver.actualSolve(solved)
                else:
                    stats = solved.solve(solver)
                logged = logged_bound(log)
            refused = stats.status == LpSolveStatus.Infeasible and not settings.stopped
            if not (refused and isinstance(solver, Highs)):
                break
            refusal = refusal or stats
        scaled.bring_back(solved)
        if refusal and stats.has_solution and not (linear or _rules_hold(problem)):
            stats = refusal
    except (pulp.PulpError, pulp.PulpSolverError, OSError, ArithmeticError) as error:
        raise SolverError(f"solver {settings.name} failed: {error}") from error
    except (LookupError, ValueError) as error:
        raise SolverError(
            f"the answer of solver {settings.name} cannot be read: {error}"
        ) from error
    bound = stats.best_bound if logged is None else logged
    left = left if solver.name in OURS else Tolerances()
    return SolverOutcome(stats, None if bound is None else scaled.cost(bound), scaled.hidden(left))


def _rules_hold(problem: Problem) -> bool:
    """Whether rows of whole numbers alone are met by them: nothing is rounded in these."""
    for row in problem.constraints:
        if all(variable.integer for variable, _ in row.items()):
            terms = [row.constant, *(by * round(one.value or 0.0) for one, by in row.items())]
            over, size = math.fsum(terms), max(map(abs, terms))
            if (row.sense <= 0 and over > STRICT.feasible * size) or (
                row.sense >= 0 and over < -STRICT.feasible * size
            ):
                return False
    return True


def _status(stats: LpSolveStats) -> Status:
    if stats.status == LpSolveStatus.Infeasible:
        return "infeasible"
    if stats.status in (LpSolveStatus.Optimal, LpSolveStatus.GapLimit) and stats.has_solution:
        return "optimal"
    if stats.has_solution:
        return "feasible"
    if stats.status == LpSolveStatus.Undefined:
        # All variables with a cost are bounded from below, so the programme is never unbounded.
        return "infeasible"
    reason = f"{stats.solver} stopped ({stats.status_str}) without a plan or a proof"
    raise SolverError(f"{reason}; allow more time with --time-limit")


def _bound_from_gap(cost: float, stats: LpSolveStats, settings: SolverSettings) -> float:
    gap = stats.solver_gap
    if gap is None and stats.status == LpSolveStatus.Optimal:
        # CBC prints no bound where its preprocessing solves it all.
        gap = settings.gap
    if gap is not None:
        return cost - abs(cost) * gap
    if stats.solver in (Highs.name, Cbc.name):
        # Stopped before the first relaxation was solved.
        return -math.inf
    raise SolverError(f"{stats.solver} reports neither bound nor gap; the plan is unproven")


def _least_objective(problem: Problem) -> float:
    """Least value of the objective within the bounds of the variables alone."""
    total = problem.objective.constant
    for variable, coefficient in problem.objective.items():
        if coefficient:
            total += coefficient * (variable.low if coefficient > 0 else variable.high)
    return total


def _values(problem: Problem, unfinished: SolverError | None = None) -> dict[str, float]:
    """Values by name, purchases whole.

    Parameters
    ----------
    problem
        Problem that a solver has solved.
    unfinished
        Error to raise if they are not whole: a CBC that was stopped may report its last relaxation
        as a plan.
    """
    values: dict[str, float] = {}
    for variable in problem.variables:
        value = variable.value or 0.0
        if not math.isfinite(value):
            raise SolverError(f"the solver returned {variable.name} = {value}")
        if variable.integer:
            if abs(value - round(value)) > INTEGRALITY * max(1.0, abs(value)):
                wrong = SolverError(f"the solver returned {variable.name} = {value}, not whole")
                raise unfinished or wrong
            value = float(round(value))
            variable.value = value
        values[variable.name] = value
    return values


def fleet_of(programme: Programme, values: Mapping[str, float]) -> Fleet:
    """Capacities that the values of the purchases lead to."""
    model = programme.data.model

    def count(name: str) -> int:
        return int(values[name])

    def change(bought: Variable, gone: Variable | None) -> int:
        return count(bought.name) - (0 if gone is None else count(gone.name))

    return Fleet.after(
        model,
        {
            key: change(variable, programme.purchases.retired.get(key))
            for key, variable in programme.purchases.units.items()
        },
        {
            cluster: change(variable, programme.purchases.retired_blocks.get(cluster))
            * model.clusters[cluster].block_gpus
            for cluster, variable in programme.purchases.blocks.items()
        },
        {offer: count(variable.name) for offer, variable in programme.purchases.instances.items()},
        frozenset(r for r, variable in programme.purchases.opened.items() if count(variable.name)),
        frozenset(
            m for m, variable in programme.purchases.measures.items() if count(variable.name)
        ),
    )
