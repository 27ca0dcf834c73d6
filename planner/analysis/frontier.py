"""Cost against survivability: the cheapest surviving plan for each of several requirements."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from planner.errors import InputError, SolverError
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario, ServedRule, Severity
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.graph import build_graph
from planner.optimization.solution.settings import SolverSettings
from planner.rounds import LoopResult, Round
from planner.scenarios.timeline import timeline_of
from planner.selection import Selection
from planner.simulation.verdict import Verdict, judge
from planner.verification import optimize_and_verify

Axis = Literal["standard", "failures", "classes", "recovery"]
Status = Literal["survives", "fails", "unproven", "infeasible", "no plan in time"]

#: Severity classes in the order in which they are added.
CLASSES: tuple[Severity, ...] = ("single", "double", "common", "region", "extreme")
LEAST_SHARE = 0.7
LEAST_MINUTES = 5.0
#: Costs that differ by a smaller share differ by the rounding of solvers.
ROUNDING = 1e-7


@dataclass(frozen=True)
class Setting:
    """Requirements of one point.

    Parameters
    ----------
    label
        Name on the axis.
    value
        Position on the axis: share, number or minutes.
    model, scenarios
        Model and scenarios that the plan has to survive.
    """

    label: str
    value: float
    model: Model
    scenarios: tuple[Scenario, ...]


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
    cheaper_at
        Label of a stricter point whose plan costs less, and which is feasible here too.
    within_gap
        Whether the optimality gaps explain that difference.
    left_out
        Failures simulated on its plan at hours that are not planned for; None where there are too
        many.
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
    cheaper_at: str = ""
    within_gap: bool = False
    left_out: int | None = 0

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
    for setting in settings:
        try:
            point = _point(axis, setting, model, scenarios, solver, start, selection)
        except KeyboardInterrupt:
            if not points:
                raise
            break
        start = point.fleet or start
        points.append(point)
        on_point(point)
        if solver.stopped:
            break
    return Frontier(axis, _compared(points), len(scenarios))


def _point(
    axis: Axis,
    setting: Setting,
    model: Model,
    scenarios: tuple[Scenario, ...],
    solver: SolverSettings,
    start: Fleet | None,
    selection: Selection | None,
) -> FrontierPoint:
    if selection is not None:
        selection = selection.of(setting.model, setting.scenarios)
    try:
        # Of a point without a plan the conflict is all that is told.
        outcome = optimize_and_verify(
            setting.model,
            setting.scenarios,
            solver,
            start=start,
            explain="conflict",
            selection=selection,
        )
    except SolverError as error:
        if solver.time_limit_seconds is None:
            raise
        return _unplanned(setting, "no plan in time", str(error))
    best = outcome.best
    if best is None:
        lines = outcome.diagnosis.lines() if outcome.diagnosis is not None else []
        return _unplanned(setting, "infeasible", " ".join(lines[:2]))
    if outcome.selection is not None:
        setting = replace(setting, scenarios=outcome.selection.scenarios)
    found = _recovered(setting, best.verdicts)
    full = _by_full_standard(setting, best, model, scenarios)
    return FrontierPoint(
        _minutes(found) if axis == "recovery" else setting.label,
        setting.value,
        _status(outcome, solver),
        best.solution.objective,
        best.solution.bound,
        sum(item.capital_usd for item in best.items),
        best.solution.fleet,
        len(setting.scenarios),
        sum(line.survives for line in full),
        len(outcome.rounds),
        _failure(outcome),
        recovery_minutes=found if math.isfinite(found) else None,
        judged=sum(line.survives or line.fails for line in full),
        left_out=0 if selection is None else best.left_out,
    )


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
        return "no plan meets the margins that the simulation asks for"
    judged = (*outcome.best.verdicts, *outcome.best.beyond)
    failing = next(verdict for verdict in judged if verdict.fails)
    return f"{failing.name}: {failing.first_breach}"


def _compared(points: Sequence[FrontierPoint]) -> tuple[FrontierPoint, ...]:
    """Points, each with a stricter one whose plan costs less, if there is one."""
    found = []
    for index, point in enumerate(points):
        stricter = [
            later
            for later in points[index + 1 :]
            if later.status in ("survives", "unproven") and later.label != point.label
        ]
        best = min(stricter, key=lambda later: later.cost_usd, default=None)
        if best is not None and point.planned and best.cost_usd < point.cost_usd * (1 - ROUNDING):
            within = best.cost_usd >= point.bound_usd
            point = replace(point, cheaper_at=best.label, within_gap=within)
        found.append(point)
    return tuple(found)


def settings_of(
    axis: Axis,
    model: Model,
    scenarios: tuple[Scenario, ...],
    count: int,
    values: Sequence[float] = (),
) -> tuple[Setting, ...]:
    """Settings of an axis, from the least strict to the strictest.

    Parameters
    ----------
    count
        Points, where the axis does not have points of its own.
    values
        Points to take instead.

    Raises
    ------
    InputError
        If a value is not on the axis, or the standard has nothing to vary.
    """
    if axis == "standard":
        return _shares(model, scenarios, values or np.linspace(LEAST_SHARE, 1.0, count).tolist())
    if axis == "recovery":
        return _recoveries(model, scenarios, count, values)
    levels = _failure_levels(model, scenarios) if axis == "failures" else _classes(model, scenarios)
    if values:
        wrong = [value for value in values if value not in [level.value for level in levels]]
        if wrong:
            known = ", ".join(f"{level.value:g}" for level in levels)
            raise InputError.single("--at", f"there is no {wrong[0]:g} on this axis, only {known}")
        return tuple(level for level in levels if level.value in values)
    return tuple(levels)


def _shares(
    model: Model, scenarios: tuple[Scenario, ...], shares: Iterable[float]
) -> tuple[Setting, ...]:
    """The standard with every floor multiplied by a share."""
    found = []
    for share in sorted(set(shares)):
        if not 0 < share <= 1:
            raise InputError.single("--at", f"expected shares above 0 and up to 1, not {share:g}")
        standard = {
            severity: tuple(rule.replace(least_served=rule.least_served * share) for rule in rules)
            for severity, rules in model.standard.items()
        }
        scaled = model.replace(standard=standard)
        found.append(Setting(f"{share:.4g}", share, scaled, scenarios))
    return tuple(found)


def failures_of(scenario: Scenario) -> int:
    """Number of components that fail together in a scenario; a region or plant counts as one."""
    return sum(
        event.count if event.kind in ("units", "largest-units") else 1 for event in scenario.events
    )


def _with_redundancy(model: Model, most: float) -> Model:
    """The model with a redundancy of at most so many units in every plant."""
    plants = {
        name: plant.replace(redundancy=int(min(plant.redundancy, most)))
        for name, plant in model.plants.items()
    }
    return model.replace(plants=plants)


def _failure_levels(model: Model, scenarios: tuple[Scenario, ...]) -> list[Setting]:
    """0, 1, 2, … components lost together, with a redundancy of at most as many cooling units."""
    redundancy = max((plant.redundancy for plant in model.plants.values()), default=0)
    most = max([redundancy, *(failures_of(scenario) for scenario in scenarios)])
    found: list[Setting] = []
    for count in range(most + 1):
        selected = tuple(scenario for scenario in scenarios if failures_of(scenario) <= count)
        new = not found or len(selected) > len(found[-1].scenarios) or count <= redundancy
        if new:
            smaller = _with_redundancy(model, count)
            found.append(Setting(str(count), float(count), smaller, selected))
    return found


def _classes(model: Model, scenarios: tuple[Scenario, ...]) -> list[Setting]:
    """Severity classes added one by one; N+1 with single failures, the full N+k from then on."""
    found = [Setting("none", 0.0, _with_redundancy(model, 0), ())]
    for place, severity in enumerate(CLASSES, start=1):
        if not any(scenario.severity == severity for scenario in scenarios):
            continue
        selected = tuple(
            scenario for scenario in scenarios if CLASSES.index(scenario.severity) < place
        )
        changed = _with_redundancy(model, 1) if severity == "single" else model
        found.append(Setting(f"+ {severity}", float(place), changed, selected))
    return found


def recovery_minutes(model: Model) -> float | None:
    """Minute from which the standard asks for full service at the latest; None if it never does."""
    full = [
        rule.from_minute
        for rules in model.standard.values()
        for rule in rules
        if rule.least_served >= 1
    ]
    return max(full, default=None)


def _recoveries(
    model: Model, scenarios: tuple[Scenario, ...], count: int, values: Sequence[float]
) -> tuple[Setting, ...]:
    """Recovery targets from longest to shortest; by default twice today's, halved each time."""
    today = recovery_minutes(model)
    if today is None:
        raise InputError.single("--by recovery", "the standard asks for full service in no class")
    if not values:
        halved = [2 * max(today, LEAST_MINUTES) / 2**step for step in range(count)]
        values = [minutes for minutes in halved if minutes >= LEAST_MINUTES]
    found = []
    for minutes in sorted(set(values), reverse=True):
        if minutes < 0:
            raise InputError.single("--at", f"expected minutes of at least 0, not {minutes:g}")
        standard = {
            severity: tuple(_recovering(rule, today, minutes) for rule in rules)
            for severity, rules in model.standard.items()
        }
        changed = model.replace(standard=standard)
        found.append(Setting(f"{minutes:g} min", minutes, changed, scenarios))
    return tuple(found)


def _recovering(rule: ServedRule, today: float, minutes: float) -> ServedRule:
    """The standard with full service required at the target; rules due earlier stay if earlier."""
    if rule.least_served < 1:
        return rule
    moved = minutes if rule.from_minute == today else min(rule.from_minute, minutes)
    return rule.replace(from_minute=moved)
