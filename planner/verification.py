"""The loop: optimise, simulate, tighten, repeat, until a plan is proven cheapest and survives."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from planner.infrastructure.entities import Model, Scenario
from planner.infrastructure.loading import LoadedModel
from planner.optimization.audit import audit
from planner.optimization.case import Case
from planner.optimization.costs import CostItem
from planner.optimization.diagnosis import Diagnosis, diagnose
from planner.optimization.programme import Programme, build
from planner.optimization.solving import Solution, SolverSettings, solve
from planner.optimization.stages import NO_MARGIN, Margin
from planner.plan import Plan, RoundRecord, make_plan, margin_records
from planner.simulation.verdict import Breach, Verdict, judge

#: A breach that heals within so many minutes is put down to capacity that came late.
LATE_WITHIN_MINUTES = 30.0
#: Steps added to a measured shortfall, so that a margin always grows by something.
DEMAND_STEP = 0.005
HEAT_STEP = 0.02


@dataclass(frozen=True)
class Round:
    """One round of the loop.

    Parameters
    ----------
    number
        From 1.
    margins
        Margins that the programme was built with.
    programme, solution
        What was solved, and the result.
    items
        Cost of the plan of the round.
    verdicts
        Simulated outcome of every scenario on it.
    """

    number: int
    margins: Mapping[str, Margin]
    programme: Programme
    solution: Solution
    items: tuple[CostItem, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """Scenarios that do not survive."""
        return tuple(verdict.name for verdict in self.verdicts if not verdict.survives)

    def record(self) -> RoundRecord:
        """The round as a line of a plan."""
        return RoundRecord(
            round=self.number,
            objective_usd_per_year=round(self.solution.objective, 2),
            failed=self.failed,
            margins=margin_records(self.margins),
        )


@dataclass(frozen=True)
class Outcome:
    """Result of the loop.

    Parameters
    ----------
    rounds
        All rounds that led to a plan.
    diagnosis
        Why the last programme had no plan, if that is how the loop ended.
    timed_out
        Whether the time limit ended it.
    """

    rounds: tuple[Round, ...]
    diagnosis: Diagnosis | None = None
    timed_out: bool = False

    @property
    def best(self) -> Round | None:
        """The last plan, which no earlier one exceeds in scenarios survived."""
        return min(reversed(self.rounds), key=lambda r: len(r.failed)) if self.rounds else None

    @property
    def survives(self) -> bool:
        """Whether the best plan survives everything."""
        return self.best is not None and not self.best.failed

    def plan(self, loaded: LoadedModel, settings: SolverSettings) -> Plan:
        """The best plan with the record of all rounds.

        Raises
        ------
        ValueError
            If there is no plan.
        """
        best = self.best
        if best is None:
            raise ValueError("There is no plan.")
        seconds = sum(one.solution.seconds for one in self.rounds)
        records = tuple(one.record() for one in self.rounds)
        return make_plan(
            loaded, best.solution, best.items, best.verdicts, records, settings.name, seconds
        )


def optimise_and_verify(
    model: Model,
    scenarios: tuple[Scenario, ...],
    settings: SolverSettings,
    most_rounds: int = 12,
    report: Callable[[Round], None] = lambda _: None,
) -> Outcome:
    """Find the cheapest plan that the programme believes in and the simulation confirms.

    Each round solves the programme, audits the plan, simulates every scenario on it and, where one
    fails, tightens that scenario's margin. Margins only grow, so rounds end.

    Parameters
    ----------
    report
        Called after every round.
    """
    margins: dict[str, Margin] = {}
    rounds: list[Round] = []
    deadline = time.monotonic() + (settings.time_limit_seconds or math.inf)
    for number in range(1, most_rounds + 1):
        programme = build(Case(model, scenarios, dict(margins)))
        solution = solve(programme, _remaining(settings, deadline))
        if solution.status == "infeasible":
            return Outcome(tuple(rounds), diagnose(programme, settings))
        items = audit(programme, solution)
        verdicts = judge(model, solution.fleet, scenarios)
        rounds.append(Round(number, dict(margins), programme, solution, items, verdicts))
        report(rounds[-1])
        tighter = tighten(margins, verdicts)
        out_of_time = solution.status == "feasible" or time.monotonic() >= deadline
        if not rounds[-1].failed or tighter == margins or out_of_time:
            return Outcome(tuple(rounds), timed_out=out_of_time)
        margins = tighter
    return Outcome(tuple(rounds))


def _remaining(settings: SolverSettings, deadline: float) -> SolverSettings:
    if math.isinf(deadline):
        return settings
    return replace(settings, time_limit_seconds=max(0.1, deadline - time.monotonic()))


def tighten(margins: Mapping[str, Margin], verdicts: tuple[Verdict, ...]) -> dict[str, Margin]:
    """Margins for the next round: grown by what fell short, never shrunk."""
    grown = dict(margins)
    for verdict in verdicts:
        margin = grown.get(verdict.name, NO_MARGIN)
        overheated = any(breach.kind == "shutdown" for breach in verdict.breaches)
        for breach in verdict.breaches:
            margin = _grown(margin, breach, overheated or verdict.throttled)
        if margin != NO_MARGIN:
            grown[verdict.name] = margin
    return grown


def _grown(margin: Margin, breach: Breach, overheated: bool) -> Margin:
    """Margin after one breach, by its cause: heat, lateness or too little capacity."""
    if breach.kind == "shutdown" or (breach.kind == "served" and overheated):
        return replace(margin, heat=margin.heat + HEAT_STEP)
    if breach.kind != "served":
        return margin
    lasted = breach.until_minute - breach.minute + 1
    if lasted <= LATE_WITHIN_MINUTES and margin.late_minutes < lasted:
        return replace(margin, late_minutes=lasted)
    wanted = breach.shortfall / max(breach.required, DEMAND_STEP) + DEMAND_STEP
    return replace(margin, demand=margin.demand + min(wanted, 0.25))


__all__ = ["Outcome", "Round", "optimise_and_verify", "tighten"]
