"""Cost against survivability: the cheapest surviving plan for each of several requirements."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from planner.analysis.axes import Axis, Setting
from planner.errors import SolverError
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.graph import build_graph
from planner.optimization.decomposition.fixed import with_purchases
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.simulated import SimulatedCut
from planner.optimization.solution.audit import audit
from planner.optimization.solution.decisions import counts_of
from planner.optimization.solution.operation import billed
from planner.optimization.solution.settings import SolverSettings
from planner.other_hours import at_other_hours
from planner.rounds import LoopResult, Round
from planner.scenarios.timeline import timeline_of
from planner.selection import Selection
from planner.simulation.verdict import Verdict, judge
from planner.verification import optimize_and_verify

Status = Literal["survives", "fails", "unproven", "infeasible", "no plan in time"]

#: Costs that differ by a smaller share differ by the rounding of solvers.
ROUNDING = 1e-7


@dataclass(frozen=True)
class FrontierPoint:
    """One point of the frontier: the cheapest plan and its simulation.

    Parameters
    ----------
    label, value
        Position on the axis.
    status
        ``survives``; ``fails`` if the simulation does not confirm the best plan; ``unproven`` if
        time ended before the gap was closed; or why there is no plan.
    cost_usd, bound_usd, capital_usd
        Cost per year, its proven lower bound, and what is paid once; infinite without a plan.
    fleet
        Capacities; None without a plan.
    scenarios
        Number of scenarios that the plan has to survive.
    survived
        Number of all scenarios that its plan survives by the full standard.
    rounds
        Rounds of the loop.
    reason
        Why there is no plan, or what fails.
    recovery_minutes
        Longest time to full service that the simulator found; None without a plan or if never.
    judged
        Number of all scenarios that the full standard applies to on its plan.
    left_out
        Failures simulated on its plan at hours that are not planned for; None where there are too
        many.
    plan_of
        Label of the stricter point whose plan this is, where that costs less than the cheapest
        found for this one alone.
    """

    label: str
    value: float
    status: Status
    cost_usd: float
    bound_usd: float
    capital_usd: float
    fleet: Fleet | None
    scenarios: int
    survived: int
    rounds: int
    reason: str = ""
    recovery_minutes: float | None = None
    judged: int = 0
    left_out: int | None = 0
    plan_of: str = ""

    @property
    def planned(self) -> bool:
        """Whether there is a plan."""
        return math.isfinite(self.cost_usd)


@dataclass(frozen=True)
class Frontier:
    """All points, from the least strict to the strictest.

    Parameters
    ----------
    axis
        Requirement that is varied.
    scenarios
        Scenarios by which `FrontierPoint.survived` counts.
    """

    axis: Axis
    points: tuple[FrontierPoint, ...]
    scenarios: int


def trace(
    axis: Axis,
    settings: Sequence[Setting],
    model: Model,
    scenarios: tuple[Scenario, ...],
    solver: SolverSettings,
    on_point: Callable[[FrontierPoint], None] = lambda _: None,
    selection: Selection | None = None,
) -> Frontier:
    """Optimise and simulate every setting, from the least strict to the strictest.

    Where the plan of a stricter point costs less and survives, it is the plan of both.

    Parameters
    ----------
    model, scenarios
        Full standard and all scenarios, by which every plan is judged too.
    solver
        Settings of every solve; the time limit is that of one point.
    on_point
        Called after every point.
    selection
        Where the scenarios come from; None to simulate nothing at the hours that it leaves out.

    Raises
    ------
    KeyboardInterrupt
        If it is told to stop before the first point; later it returns the points found so far.
    """
    points: list[FrontierPoint] = []
    start: Fleet | None = None
    learned: tuple[SimulatedCut, ...] = ()
    for setting in settings:
        try:
            outcome = _optimized(setting, solver, start, selection, learned)
        except KeyboardInterrupt:
            if not points:
                raise
            break
        point = _point(axis, setting, outcome, model, scenarios, solver)
        if isinstance(outcome, LoopResult):
            learned = outcome.learned  # whoever asks for more is short of more
        start = point.fleet or start
        points.append(point)
        on_point(point)
        if solver.stopped:
            break

    def survivor(index: int, fleet: Fleet) -> FrontierPoint | None:
        made = _survivor(settings[index], fleet, solver, selection)
        return None if made is None else _planned(axis, settings[index], made, model, scenarios)

    if not solver.stopped:
        points = _with_stricter_plans(points, survivor)
    return Frontier(axis, tuple(points), len(scenarios))


def _optimized(
    setting: Setting,
    solver: SolverSettings,
    start: Fleet | None,
    selection: Selection | None,
    learned: tuple[SimulatedCut, ...],
) -> LoopResult | str:
    """What comes of a setting, or why there was no time for a plan."""
    if selection is not None:
        selection = selection.of(setting.model, setting.scenarios)
    try:
        # Of a point without a plan the conflict is all that is told.
        return optimize_and_verify(
            setting.model,
            setting.scenarios,
            solver,
            start=start,
            explain="conflict",
            selection=selection,
            learned=learned,
        )
    except SolverError as error:
        if solver.time_limit_seconds is None:
            raise
        return str(error)


def _point(
    axis: Axis,
    setting: Setting,
    outcome: LoopResult | str,
    model: Model,
    scenarios: tuple[Scenario, ...],
    solver: SolverSettings,
) -> FrontierPoint:
    if isinstance(outcome, str):
        return _unplanned(setting, "no plan in time", outcome)
    best = outcome.best
    if best is None:
        lines = outcome.diagnosis.lines() if outcome.diagnosis is not None else []
        return _unplanned(setting, "infeasible", " ".join(lines[:2]))
    if outcome.selection is not None:
        setting = replace(setting, scenarios=outcome.selection.scenarios)
    point = _planned(axis, setting, best, model, scenarios)
    status, reason = _status(outcome, solver), _failure(outcome)
    return replace(point, status=status, rounds=len(outcome.rounds), reason=reason)


def _planned(
    axis: Axis, setting: Setting, best: Round, model: Model, scenarios: tuple[Scenario, ...]
) -> FrontierPoint:
    """A point with a plan that survives."""
    found = _recovered(setting, best.verdicts)
    full = _by_full_standard(setting, best, model, scenarios)
    return FrontierPoint(
        _minutes(found) if axis == "recovery" else setting.label,
        setting.value,
        "survives",
        best.solution.objective,
        best.solution.bound,
        sum(item.capital_usd for item in best.items),
        best.solution.fleet,
        len(setting.scenarios),
        sum(line.survives for line in full),
        1,
        recovery_minutes=found if math.isfinite(found) else None,
        judged=sum(line.survives or line.fails for line in full),
        left_out=best.left_out,
    )


def _with_stricter_plans(
    points: Sequence[FrontierPoint], survivor: Callable[[int, Fleet], FrontierPoint | None]
) -> list[FrontierPoint]:
    """Points, each with the plan of a stricter one where that costs less and survives there too.

    Parameters
    ----------
    survivor
        The point of a number with a plan, where that survives; otherwise None.
    """
    found = list(points)
    for index in reversed(range(len(points))):
        point = found[index]
        stricter = [one for one in found[index + 1 :] if one.status in ("survives", "unproven")]
        best = min(stricter, key=lambda one: one.cost_usd, default=None)
        survives = point.status in ("survives", "unproven")
        most = point.cost_usd * (1 - ROUNDING) if survives else math.inf
        if best is None or best.fleet is None or best.cost_usd >= most:
            continue
        made = survivor(index, best.fleet)
        if made is not None and made.cost_usd < most:
            bound = point.bound_usd if point.planned else -math.inf
            found[index] = replace(
                made,
                status="unproven" if point.status == "unproven" else "survives",
                bound_usd=min(bound, made.cost_usd),
                rounds=point.rounds,
                plan_of=best.plan_of or best.label,
            )
    return found


def _survivor(
    setting: Setting, fleet: Fleet, solver: SolverSettings, selection: Selection | None
) -> Round | None:
    """A plan with its least cost for a setting, if it survives that; otherwise None."""
    model, scenarios = setting.model, setting.scenarios
    data = ProblemData(model, scenarios)
    try:
        bought = counts_of(build(data.part(())), fleet)
        priced = with_purchases(data, bought, solver)
    except (ValueError, SolverError):
        return None
    if priced is None:
        return None
    verdicts = judge(model, fleet, scenarios, stories=False)
    hours = None if selection is None else selection.of(model, scenarios)
    left_out, beyond = at_other_hours(hours, model, fleet)
    programme, solution = priced
    solution, items = billed(model, solution, audit(programme, solution))
    made = Round(1, programme, solution, lambda: items, verdicts, left_out, beyond)
    return None if made.failed else made


def _recovered(setting: Setting, verdicts: Iterable[Verdict]) -> float:
    """Longest time to full service in the simulation, where the standard asks for it, minutes.

    From the failure at which the standard's clock starts; infinite if service is never full.
    """
    model, longest = setting.model, 0.0
    graph = build_graph(model)
    known = {scenario.name: scenario for scenario in setting.scenarios}
    for verdict in verdicts:
        rules = model.standard.get(known[verdict.name].severity, ())
        if not (verdict.survives or verdict.fails) or all(rule.least_served < 1 for rule in rules):
            continue
        if verdict.recovery_minutes is None:
            return math.inf
        clock = timeline_of(model, graph, known[verdict.name]).clock
        longest = max(longest, clock.since(verdict.recovery_minutes))
    return longest


def _minutes(minutes: float) -> str:
    return f"{minutes:.0f} min" if math.isfinite(minutes) else "never"


def _by_full_standard(
    setting: Setting, best: Round, model: Model, scenarios: tuple[Scenario, ...]
) -> list[Verdict]:
    """Verdicts on the best plan by the full standard, reusing simulations of the loop."""
    same = setting.model.standard == model.standard
    known = {verdict.name: verdict for verdict in best.verdicts} if same else {}
    rest = tuple(scenario for scenario in scenarios if scenario.name not in known)
    more = judge(model, best.solution.fleet, rest, stories=False) if rest else ()
    return [*known.values(), *more]


def _unplanned(setting: Setting, status: Status, reason: str) -> FrontierPoint:
    none = math.inf
    count = len(setting.scenarios)
    return FrontierPoint(
        setting.label, setting.value, status, none, none, none, None, count, 0, 0, reason
    )


def _status(outcome: LoopResult, solver: SolverSettings) -> Status:
    best = outcome.best
    if best is None or not outcome.survives:
        return "fails"
    limited = best.solution.status == "feasible" and best.solution.gap > solver.gap
    return "unproven" if limited else "survives"


def _failure(outcome: LoopResult) -> str:
    """Scenario that fails first in the simulation, or why the loop ended early."""
    if outcome.survives or outcome.best is None:
        return ""
    if outcome.stopped is not None:
        return f"{outcome.stopped} before a plan that survives"
    if outcome.diagnosis is not None:
        return "no plan makes up for what was short in simulation"
    judged = (*outcome.best.verdicts, *outcome.best.beyond)
    failing = next(verdict for verdict in judged if verdict.fails)
    return f"{failing.name}: {failing.first_breach}"
