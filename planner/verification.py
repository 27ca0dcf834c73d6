"""The loop: optimise, simulate, tighten, repeat, until a plan survives."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from planner.errors import SolverError
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.margins import next_margins
from planner.optimization.decomposition.loop import decomposes, solve_in_parts
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import Key, ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.stages import Margin
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
from planner.simulation.verdict import Verdict, judge

#: What is found out where there is no plan: why and what would help, only why, or nothing.
Explain = Literal["all", "conflict", "nothing"]

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
    def limited(self) -> bool:
        """Whether time ended before the solver proved its gap."""
        return self.solution.status == "feasible"

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
        Whether somebody interrupted it.
    margins
        Margins with which there is no plan, where that ended it.
    """

    rounds: tuple[Round, ...]
    diagnosis: Diagnosis | None = None
    timed_out: bool = False
    interrupted: bool = False
    margins: Mapping[str, Margin] = field(default_factory=dict)

    @property
    def stopped(self) -> Stopped | None:
        """What ended the loop early; None if nothing did."""
        if self.interrupted:
            return "interrupted"
        return "time limit" if self.timed_out else None

    @property
    def best(self) -> Round | None:
        """The round whose plan fails in the fewest scenarios, the last of several."""
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


def optimize_and_verify(
    model: Model,
    scenarios: tuple[Scenario, ...],
    settings: SolverSettings,
    rounds: int = 12,
    on_round: Callable[[Round], None] = lambda _: None,
    start: Fleet | None = None,
    progress: Callable[[str], None] = lambda _: None,
    explain: Explain = "all",
) -> LoopResult:
    """Find the cheapest plan that meets the programme and survives the simulation.

    Each round solves the programme, audits the plan, simulates every scenario on it and, where one
    fails, tightens the requirements of that scenario (`planner.margins`). Margins only grow, so
    rounds end: with a plan that survives, a programme without a plan, breaches that no margin
    answers, or out of rounds or time. Where only requirements stricter than the survival standard
    leave no plan, these are waived (`planner.optimization.infeasibility.strictness`).

    Parameters
    ----------
    rounds
        Most rounds.
    on_round
        Called after every round.
    start
        Fleet of an earlier plan, from which the search for the first plan starts.
    progress
        Told before the first solve how many scenarios cannot bind, and what is solved.
    explain
        What to find out where there is no plan.

    Raises
    ------
    KeyboardInterrupt
        If it is told to stop (``settings.stop``) before there is a plan.
    SolverError
        If time ends before there is a plan or a proof that there is none.
    """
    loop = _Loop(model, scenarios, settings, Deadline(settings), progress, explain)
    for number in range(1, rounds + 1):
        try:
            programme, solution = loop.optimize(number, start)
        except SolverError:
            if loop.rounds and loop.deadline.over:
                return loop.cut_short()
            if settings.stopped:
                raise KeyboardInterrupt from None
            raise
        if solution.status == "infeasible":
            if loop.fall_back():
                continue
            return loop.end()
        made = loop.simulate(number, programme, solution)
        on_round(made)
        done = not made.failed or not loop.tighten()
        if made.limited or (loop.deadline.over and not done):
            return loop.cut_short()
        if done:
            break
    return loop.end()


@dataclass
class _Loop:
    """State of the loop.

    Attributes
    ----------
    margins, fallback
        Margins of the next round, and smaller ones to take where these leave no plan.
    waived
        Requirements stricter than the survival standard that are left to the simulation.
    stuck
        The first problem without a plan with all such requirements, and its round.
    """

    model: Model
    scenarios: tuple[Scenario, ...]
    settings: SolverSettings
    deadline: Deadline
    progress: Callable[[str], None]
    explain: Explain
    rounds: list[Round] = field(default_factory=list)
    margins: dict[str, Margin] = field(default_factory=dict)
    fallback: dict[str, Margin] | None = None
    waived: Mapping[Key, float] = field(default_factory=dict)
    stuck: tuple[ProblemData, int] | None = None

    @property
    def left(self) -> SolverSettings:
        """Settings with the time that is left."""
        return self.deadline.settings(late=True)

    def optimize(self, number: int, start: Fleet | None) -> tuple[Programme, Solution]:
        """Solve the programme of a round, with stricter requirements waived if none is feasible."""
        data = ProblemData(self.model, self.scenarios, dict(self.margins), waived=self.waived)
        programme, solution = self._solved(data, number, start)
        if solution.status != "infeasible" or self.fallback is not None:
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
        start = None if self.rounds else start
        in_parts = decomposes(data, self.settings)
        left_out = {} if in_parts else dominated(data)
        if not self.rounds and not data.waived:
            self.progress(counted(data, left_out))
        without = " without requirements stricter than the standard" if data.waived else ""
        self.progress(f"round {number}: solving{without}")
        if in_parts:
            return solve_in_parts(data, self.left, start, self.progress)
        programme = build(data)
        return programme, _solve(programme, self.left, start, left_out)

    def simulate(self, number: int, programme: Programme, solution: Solution) -> Round:
        """Audit and price a plan, simulate every scenario on it, and record the round."""
        solution, items = billed(self.model, solution, audit(programme, solution))
        known = (made for made in reversed(self.rounds) if made.solution.fleet == solution.fleet)
        same = next(known, None)
        verdicts = (
            judge(self.model, solution.fleet, self.scenarios, stories=False)
            if same is None
            else same.verdicts
        )
        made = Round(number, self.margins, programme, solution, items, verdicts)
        self.rounds.append(made)
        return made

    def tighten(self) -> bool:
        """Tighten by what failed in the last round; False if no purchase can help."""
        last = self.rounds[-1]
        before = (self.margins, self.waived)
        self.margins, self.fallback = next_margins(
            self.model, last.solution.fleet, last.margins, last.verdicts
        )
        if self.waived:
            self.waived = waived_less(last.programme.data, last.failed, self.left)
            fleets = [made.solution.fleet for made in self.rounds[-PATIENCE:]]
            if len(fleets) == PATIENCE and all(fleet == fleets[0] for fleet in fleets):
                return False  # what is waived grows with the margins, and nothing else changes
        return (self.margins, self.waived) != before

    def fall_back(self) -> bool:
        """Take the smaller margins, if there are any."""
        if self.fallback is None:
            return False
        self.margins, self.fallback = self.fallback, None
        return True

    def cut_short(self) -> LoopResult:
        """The rounds so far, where time ended or somebody asked to stop."""
        stopped = self.settings.stopped
        return LoopResult(tuple(self.rounds), timed_out=not stopped, interrupted=stopped)

    def end(self) -> LoopResult:
        """The rounds, and why there is no plan where that is so."""
        outcome = LoopResult(tuple(self.rounds))
        if outcome.survives or self.stuck is None:
            return outcome
        data, number = self.stuck
        strict = tuple(made for made in self.rounds if not made.programme.data.waived)
        tried = self.rounds[-1] if len(strict) < len(self.rounds) else None
        if self.explain == "nothing":
            nothing = Diagnosis(round=number, complete=False)
            return LoopResult(strict, nothing, margins=data.margins)
        if tried is not None:
            data = _still_stuck(data, tried, self.left)
        diagnosis = diagnose(build(data), self.left, number, _verify, self.explain == "conflict")
        failed = () if tried is None else tried.failed
        return LoopResult(strict, replace(diagnosis, tried=failed))


def _still_stuck(data: ProblemData, tried: Round, settings: SolverSettings) -> ProblemData:
    """The problem, with stricter requirements waived where a plan without them survived."""
    waived = tried.programme.data.waived
    kept = {key: math.inf for key in waived if key[2] not in tried.failed}
    less = replace(data, waived=kept)
    if not kept or solve(build(less), replace(settings, gap=ANY_GAP)).status != "infeasible":
        return data
    return less


def _verify(data: ProblemData, settings: SolverSettings) -> Verified | None:
    """Run the loop on a changed problem from the beginning: its margins were those of another."""
    try:
        outcome = optimize_and_verify(
            data.model, data.scenarios, settings, VERIFIED_ROUNDS, explain="nothing"
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
