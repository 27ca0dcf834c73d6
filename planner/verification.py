"""The loop: optimise, simulate, tighten, repeat, until a plan is proven cheapest and survives."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from planner.errors import SolverError
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import Key, ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.stages import NO_MARGIN, Margin
from planner.optimization.infeasibility.diagnosis import Diagnosis, diagnose
from planner.optimization.infeasibility.strictness import waived, waived_less
from planner.optimization.infeasibility.trials import ANY_GAP, Verified
from planner.optimization.solution.audit import audit
from planner.optimization.solution.costs import CostItem, risk_of
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.optimization.solution.dominance import dominated
from planner.optimization.solution.operation import billed
from planner.optimization.solution.reduction import counted, solve_reduced
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve
from planner.plan.assembly import Origin, make_plan, margin_records, waived_records
from planner.plan.records import Method, Plan, RoundRecord, Stopped, best_round
from planner.simulation.verdict import Breach, Verdict, judge

#: Least growth of a margin in one round.
DEMAND_STEP = 0.005
HEAT_STEP = 0.02
#: Most growth in one round: a plan should not pay for more than it needs.
DEMAND_STRIDE = 0.25
#: Replicas are few and cheap beside GPUs, and retries swamp what only just suffices.
SERVICES_STEP = 0.25
SERVICES_STRIDE = 1.0
SPEND_STEP = 0.01
SPEND_STRIDE = 0.5
HEAT_STRIDE = 0.05
#: Rounds with the same purchases after which more margins are no help where something is waived.
PATIENCE = 3
#: Most rounds in which a suggested change is verified.
VERIFIED_ROUNDS = 8


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
        return tuple(verdict.name for verdict in self.verdicts if verdict.fails)

    def record(self) -> RoundRecord:
        """The round as a line of a plan."""
        return RoundRecord(
            round=self.number,
            objective_usd_per_year=round(self.solution.objective, 2),
            failed=self.failed,
            margins=margin_records(self.margins),
            waived=waived_records(self.programme.data),
        )


@dataclass(frozen=True)
class LoopResult:
    """Result of the loop.

    Parameters
    ----------
    rounds
        All rounds that led to a plan.
    diagnosis
        Why the last programme had no plan, if that is how the loop ended.
    timed_out
        Whether the time limit ended it.
    interrupted
        Whether somebody did.
    margins
        Those with which there is no plan, where that ended it.
    """

    rounds: tuple[Round, ...]
    diagnosis: Diagnosis | None = None
    timed_out: bool = False
    interrupted: bool = False
    margins: Mapping[str, Margin] = field(default_factory=dict)

    @property
    def stopped(self) -> Stopped | None:
        """What ended the loop before its own end."""
        if self.interrupted:
            return "interrupted"
        return "time limit" if self.timed_out else None

    @property
    def best(self) -> Round | None:
        """The last plan, which no earlier one exceeds in scenarios survived."""
        return best_round(self.rounds)

    @property
    def survives(self) -> bool:
        """Whether the best plan survives everything."""
        return self.best is not None and not self.best.failed

    def plan(
        self,
        loaded: LoadedModel,
        settings: SolverSettings,
        method: Method = "optimum",
        repairs: tuple[str, ...] = (),
    ) -> Plan:
        """The best plan with the record of all rounds.

        Raises
        ------
        ValueError
            If there is no plan.
        """
        best = self.best
        if best is None:
            raise ValueError("There is no plan.")
        origin = Origin(
            solver=settings.name,
            seconds=sum(made.solution.seconds for made in self.rounds),
            rounds=tuple(made.record() for made in self.rounds),
            made_in=best.number,
            method=method,
            repairs=repairs,
            stopped=self.stopped,
        )
        risk = risk_of(best.programme, best.solution)
        return make_plan(loaded, best.solution, best.items, best.verdicts, origin, risk)


def optimise_and_verify(
    model: Model,
    scenarios: tuple[Scenario, ...],
    settings: SolverSettings,
    rounds: int = 12,
    on_round: Callable[[Round], None] = lambda _: None,
    start: Fleet | None = None,
    progress: Callable[[str], None] = lambda _: None,
    explain: bool = True,
) -> LoopResult:
    """Find the cheapest plan that the programme believes in and the simulation confirms.

    Each round solves the programme, audits the plan, simulates every scenario on it and, where one
    fails, tightens that scenario's margin. Margins only grow, so rounds end: with a plan that
    survives, a programme without a plan, breaches that no margin answers, or out of rounds or time.
    Where only rows stricter than the standard leave no plan, these give way
    (`planner.optimization.infeasibility.strictness`).

    Parameters
    ----------
    on_round
        Called after every round.
    start
        Fleet of an earlier plan, from which the search for the first plan starts.
    progress
        Told before the first solve how many scenarios cannot bind.
    explain
        Whether to find out why, where there is no plan.

    Raises
    ------
    KeyboardInterrupt
        If it is told to stop (``settings.stop``) before there is a plan.
    SolverError
        If time ends before there is a plan or a proof that there is none.
    """
    deadline = Deadline(settings)
    loop = _Loop(model, scenarios, settings, deadline, progress, explain)
    made = loop.rounds
    for number in range(1, rounds + 1):
        try:
            programme, solution = loop.solve(number, None if made else start)
        except SolverError:
            if settings.stopped and not made:
                raise KeyboardInterrupt from None
            if made and deadline.over:
                return _cut(made, settings)
            raise
        if solution.status == "infeasible":
            if loop.instead is not None:
                loop.margins, loop.instead = loop.instead, None
                continue
            return loop.end()
        solution, items = billed(model, solution, audit(programme, solution))
        verdicts = loop.judged(solution.fleet)
        made.append(Round(number, loop.margins, programme, solution, items, verdicts))
        on_round(made[-1])
        limited = solution.status == "feasible"
        if not made[-1].failed or not loop.learn():
            return _cut(made, settings) if limited else loop.end()
        if limited or deadline.over:
            return _cut(made, settings)
    return loop.end()


@dataclass
class _Loop:
    """What the loop knows.

    Attributes
    ----------
    rounds
        All rounds with a plan.
    margins, instead
        Those of the next round, and others to take where these leave no plan.
    waived
        Rows stricter than the standard that are left to the simulation.
    stuck
        The first case that has no plan with all such rows, and its round.
    """

    model: Model
    scenarios: tuple[Scenario, ...]
    settings: SolverSettings
    deadline: Deadline
    progress: Callable[[str], None]
    explain: bool
    rounds: list[Round] = field(default_factory=list)
    margins: dict[str, Margin] = field(default_factory=dict)
    instead: dict[str, Margin] | None = None
    waived: Mapping[Key, float] = field(default_factory=dict)
    stuck: tuple[ProblemData, int] | None = None

    @property
    def left(self) -> SolverSettings:
        """Settings with the time that is left."""
        return self.deadline.settings(late=True)

    def solve(self, number: int, start: Fleet | None) -> tuple[Programme, Solution]:
        """Solve the programme of a round, without what is stricter where that leaves no plan."""
        data = ProblemData(self.model, self.scenarios, dict(self.margins), waived=self.waived)
        programme, solution = self._solved(data, number, start)
        if solution.status != "infeasible" or self.instead is not None:
            return programme, solution
        self.stuck = self.stuck or (data, number)
        found = waived(data, self.left)
        if not found:
            return programme, solution
        self.waived = found
        return self._solved(replace(data, waived=found), number, start)

    def _solved(
        self, data: ProblemData, number: int, start: Fleet | None
    ) -> tuple[Programme, Solution]:
        programme = build(data)
        left_out = dominated(data)
        if not self.rounds and not data.waived:
            self.progress(counted(data, left_out))
        again = ", what is stricter than the standard left to the simulation" if data.waived else ""
        self.progress(f"round {number}: solving{again}")
        return programme, _solve(programme, self.left, start, left_out)

    def judged(self, fleet: Fleet) -> tuple[Verdict, ...]:
        """What the simulation says of a fleet; of one that it has seen it says the same again."""
        for one in reversed(self.rounds):
            if one.solution.fleet == fleet:
                return one.verdicts
        return judge(self.model, fleet, self.scenarios, stories=False)

    def learn(self) -> bool:
        """Tighten by what failed in the last round; False if nothing that can be bought helps."""
        last = self.rounds[-1]
        before = (self.margins, self.waived)
        self.margins, self.instead = _next_margins(self.model, last)
        if self.waived:
            self.waived = waived_less(last.programme.data, last.failed, self.left)
            fleets = [one.solution.fleet for one in self.rounds[-PATIENCE:]]
            if len(fleets) == PATIENCE and all(one == fleets[0] for one in fleets):
                return False  # what is waived grows with the margins, and nothing else changes
        return (self.margins, self.waived) != before

    def end(self) -> LoopResult:
        """What the rounds came to, and why there is no plan where that is so."""
        outcome = LoopResult(tuple(self.rounds))
        if outcome.survives or self.stuck is None:
            return outcome
        data, number = self.stuck
        strict = tuple(one for one in self.rounds if not one.programme.data.waived)
        tried = self.rounds[-1] if len(strict) < len(self.rounds) else None
        if not self.explain:
            nothing = Diagnosis(round=number, complete=False)
            return LoopResult(strict, nothing, margins=data.margins)
        if tried is not None:
            data = _still_stuck(data, tried, self.left)
        diagnosis = diagnose(build(data), self.left, number, _verify)
        failed = () if tried is None else tried.failed
        return LoopResult(strict, replace(diagnosis, tried=failed))


def _still_stuck(data: ProblemData, tried: Round, settings: SolverSettings) -> ProblemData:
    """The case with what is stricter waived where the simulation of a plan without it survived."""
    waived = tried.programme.data.waived
    kept = {key: math.inf for key in waived if key[2] not in tried.failed}
    less = replace(data, waived=kept)
    if not kept or solve(build(less), replace(settings, gap=ANY_GAP)).status != "infeasible":
        return data
    return less


def _verify(data: ProblemData, settings: SolverSettings) -> Verified | None:
    """What the loop comes to in a case, from the beginning: its margins were those of another."""
    try:
        outcome = optimise_and_verify(
            data.model, data.scenarios, settings, VERIFIED_ROUNDS, explain=False
        )
    except KeyboardInterrupt:
        raise OutOfTime from None
    best = outcome.best
    if outcome.stopped:
        raise OutOfTime
    if best is None:
        return None
    capital = sum(item.capital_usd for item in best.items)
    return Verified(best.solution.objective, capital, best.failed, outcome.margins)


def _next_margins(model: Model, last: Round) -> tuple[dict[str, Margin], dict[str, Margin] | None]:
    """Margins for the next round, and others to take where these leave no plan.

    Services that turn requests away should let more through as long as replicas or connections are
    left to buy; what these do not give has to come from GPUs.
    """
    by_demand = tighten(last.margins, last.verdicts)
    policies, bought = model.policies, last.solution.fleet.measures
    left = [
        name
        for name, measure in model.measures.items()
        if (measure.replicas or measure.connections)
        and name not in bought
        and name not in policies.forbidden.measures
        and policies.fixed.measures.get(name, True)
    ]
    by_services = tighten(last.margins, last.verdicts, services_grow=True) if left else by_demand
    return by_services, None if by_services == by_demand else by_demand


def _solve(
    programme: Programme,
    settings: SolverSettings,
    start: Fleet | None,
    left_out: Mapping[str, str],
) -> Solution:
    if settings.stopped:
        raise SolverError("told to stop")
    if left_out:
        return solve_reduced(programme, settings, start, left_out).solution
    return solve(programme, settings, start) if start else solve(programme, settings)


def _cut(rounds: list[Round], settings: SolverSettings) -> LoopResult:
    """What there is when time or patience ended."""
    stopped = settings.stopped
    return LoopResult(tuple(rounds), timed_out=not stopped, interrupted=stopped)


def tighten(
    margins: Mapping[str, Margin], verdicts: tuple[Verdict, ...], services_grow: bool = False
) -> dict[str, Margin]:
    """Margins for the next round: grown by what fell short, never shrunk.

    The breaches of a scenario have causes of their own; each cause grows its margin once, by the
    largest of its breaches. Breaches that no purchase changes grow nothing.

    Parameters
    ----------
    services_grow
        Whether replicas or connections can be bought; otherwise only more GPUs help where services
        turn requests away.
    """
    grown = dict(margins)
    for verdict in verdicts:
        before = grown.get(verdict.name, NO_MARGIN)
        steps = [_step(breach, before, services_grow) for breach in verdict.breaches]
        margin = Margin(
            demand=before.demand + max((step.demand for step in steps), default=0.0),
            heat=before.heat + max((step.heat for step in steps), default=0.0),
            late_minutes=max([before.late_minutes, *(step.late_minutes for step in steps)]),
            services=before.services + max((step.services for step in steps), default=0.0),
            spend=before.spend + max((step.spend for step in steps), default=0.0),
        )
        if margin != NO_MARGIN:
            grown[verdict.name] = margin
    return grown


def _step(breach: Breach, margin: Margin, services_grow: bool) -> Margin:
    """What one breach adds to demand and heat, and the lateness that it measured."""
    if breach.kind == "shutdown":
        return Margin(heat=HEAT_STRIDE)
    if breach.kind == "budget" and breach.required:
        over = breach.shortfall / breach.required
        return Margin(spend=min(over + SPEND_STEP, SPEND_STRIDE))
    if breach.cause in (None, "routing"):
        return NO_MARGIN
    share = breach.shortfall / max(breach.required, DEMAND_STEP)
    if breach.cause == "heat":
        return Margin(heat=min(HEAT_STEP + 0.1 * share, HEAT_STRIDE))
    if breach.cause == "services" and services_grow:
        return Margin(services=min(share + SERVICES_STEP, SERVICES_STRIDE))
    if breach.cause == "late" and breach.late_minutes > margin.late_minutes:
        return Margin(late_minutes=breach.late_minutes)
    return Margin(demand=min(share + DEMAND_STEP, DEMAND_STRIDE))


__all__ = ["LoopResult", "Round", "optimise_and_verify", "tighten"]
