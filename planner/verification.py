"""The loop: optimise, simulate, tighten, repeat, until a plan survives at every hour."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Literal

from planner.below import Below
from planner.errors import SolverError
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.margins import next_margins
from planner.optimization.decomposition.fixed import with_purchases
from planner.optimization.decomposition.loop import decomposes, solve_in_parts
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.decomposition.size import check_fits
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import Key, ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.simulated import SimulatedCut
from planner.optimization.formulation.stages import Margin
from planner.optimization.infeasibility.diagnosis import Diagnosis, diagnose
from planner.optimization.infeasibility.strictness import may_be_waived, waived, waived_less
from planner.optimization.infeasibility.trials import ANY_GAP, Verified
from planner.optimization.solution.audit import audit
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.optimization.solution.decisions import Decision, counts_of
from planner.optimization.solution.operation import billed
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve
from planner.other_hours import at_other_hours, joined
from planner.plan.records import best_round
from planner.rounds import LoopResult, Round, unanswered
from planner.selection import Selection
from planner.simulation.verdict import Verdict, judge
from planner.survivors import Judged, cheaper_fleets

#: What is found out where there is no plan: why and what would help, only why, or nothing.
Explain = Literal["all", "conflict", "nothing"]

#: Rounds with the same purchases after which more margins are no help where something is waived.
PATIENCE = 3
#: Most rounds in which a suggested change is verified.
VERIFIED_ROUNDS = 8
#: Distance of a plan from the bound, as a share, below which no cheaper one is looked for.
CLOSE_ENOUGH = 1e-3
#: Most plans from below from which the search begins.
MOST_TURNS = 4
#: Most fleets found that are priced by the programme.
MOST_PRICED = 2
#: Most of them that are tried for these.
MOST_TRIED = 8


def optimize_and_verify(
    model: Model,
    scenarios: tuple[Scenario, ...],
    settings: SolverSettings,
    rounds: int = 12,
    on_round: Callable[[Round], None] = lambda _: None,
    start: Fleet | None = None,
    progress: Callable[[str], None] = lambda _: None,
    explain: Explain = "all",
    selection: Selection | None = None,
) -> LoopResult:
    """Find the cheapest plan that meets the programme and survives the simulation.

    The programme is solved, the plan audited, and every scenario simulated on it. Where one fails,
    or the programme has no plan, one that survives is looked for from below (`planner.below`),
    unless ``explain`` is ``nothing``. Where none is found, rounds tighten the requirements of
    scenarios that fail (`planner.margins`). A margin that changes the plan and not what is short
    is taken out again, and all others only grow, so rounds end: with a plan that survives, a
    programme without a plan, breaches that no margin answers, or out of rounds or time. Where
    only requirements stricter than the survival standard leave no plan, these are waived
    (`planner.optimization.infeasibility.strictness`).

    A plan that survives all scenarios is simulated at the hours of the week that these leave out.
    Of each failure that it does not survive there, the hour that loses most requests joins the
    scenarios, with the margin that its breach asks for.

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
    selection
        Where the scenarios come from; None to simulate nothing else.

    Raises
    ------
    KeyboardInterrupt
        If it is told to stop (``settings.stop``) before there is a plan.
    SolverError
        If time ends before there is a plan or a proof that there is none.
    """
    loop = _Loop(model, scenarios, settings, Deadline(settings), progress, explain, selection)
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
            if not loop.rounds:
                loop.look_below(on_round)
            return loop.end()
        made = loop.simulate(number, programme, solution)
        on_round(made)
        limited = made.limited or loop.deadline.over
        if number == 1 and made.failed and not limited and loop.look_below(on_round):
            return loop.end()
        done = not made.failed or not loop.tighten()
        if made.limited or (loop.deadline.over and not done):
            return loop.cut_short()
        if done:
            break
    if not loop.rounds[-1].failed:
        loop.look_below(on_round)
    return loop.end()


@dataclass
class _Loop:
    """State of the loop.

    Attributes
    ----------
    margins, fallback
        Margins of the next round, and smaller ones to take where these leave no plan.
    hopeless
        Scenarios whose margins no purchase answered.
    waived
        Requirements stricter than the survival standard that are left to the simulation.
    stuck
        The first problem without a plan with all such requirements, its round, and scenarios that
        leave none.
    parts
        The programme in parts, with what earlier rounds have learned, where it is solved so.
    at_hours
        The selection with the hours that have joined.
    learned
        What purchases do about breaches, as the simulation of plans has shown.
    survivor_bound_usd
        What a plan that survives costs a year at least, once it is worked out.
    excluded
        Whether no plan survives, which the loosened programme proves; None if it was not solved.
    """

    model: Model
    scenarios: tuple[Scenario, ...]
    settings: SolverSettings
    deadline: Deadline
    progress: Callable[[str], None]
    explain: Explain
    selection: Selection | None = None
    rounds: list[Round] = field(default_factory=list)
    margins: dict[str, Margin] = field(default_factory=dict)
    fallback: dict[str, Margin] | None = None
    hopeless: frozenset[str] = frozenset()
    waived: Mapping[Key, float] = field(default_factory=dict)
    stuck: tuple[ProblemData, int, tuple[str, ...]] | None = None
    at_hours: Selection | None = None
    learned: tuple[SimulatedCut, ...] = ()
    survivor_bound_usd: float | None = None
    excluded: bool | None = None
    parts: Decomposition | None = None

    def __post_init__(self) -> None:
        self.at_hours = self.selection

    @property
    def left(self) -> SolverSettings:
        """Settings with the time that is left."""
        return self.deadline.settings(late=True)

    def optimize(self, number: int, start: Fleet | None) -> tuple[Programme, Solution]:
        """Solve the programme of a round, with stricter requirements waived if none is feasible."""
        margins = dict(self.margins)
        data = ProblemData(self.model, self.scenarios, margins, waived=self.waived)
        if self.rounds:
            earlier = self.rounds[-1].programme.data
            data = earlier.changed(self.scenarios, margins, self.waived)
        programme, solution = self._solved(data, number, start)
        if solution.status != "infeasible" or self.fallback is not None:
            return programme, solution
        self.stuck = self.stuck or (data, number, solution.conflict)
        found = waived(data, self.left)
        if not found:
            return programme, solution
        self.waived = found
        return self._solved(replace(data, waived=found), number, start)

    def _solved(
        self, data: ProblemData, number: int, start: Fleet | None
    ) -> tuple[Programme, Solution]:
        if not self.rounds and not data.waived:
            size = check_fits(data, self.settings)
            if size is not None:
                self.progress(str(size))
        in_parts = decomposes(data, self.settings)
        if self.rounds:
            start = self.rounds[-1].solution.fleet if in_parts else None
        if not self.rounds and not data.waived:
            self.progress(_counted(data))
        without = " without requirements stricter than the standard" if data.waived else ""
        self.progress(f"round {number}: solving{without}")
        if in_parts:
            if self.parts is None:
                self.parts = Decomposition(data, self.settings, self.progress)
            else:
                self.parts.change(data)
            return solve_in_parts(self.parts, self.left, start)
        programme = build(data)
        return programme, _solve(programme, self.left, start)

    def simulate(self, number: int, programme: Programme, solution: Solution) -> Round:
        """Audit and price a plan, simulate every scenario on it, and record the round."""
        solution, items = billed(self.model, solution, audit(programme, solution))
        known = (
            made
            for made in reversed(self.rounds)
            if made.solution.fleet == solution.fleet
            and made.programme.data.scenarios == self.scenarios
        )
        same = next(known, None)
        verdicts = (
            judge(self.model, solution.fleet, self.scenarios, stories=False)
            if same is None
            else same.verdicts
        )
        made = Round(number, self.margins, programme, solution, items, verdicts)
        if same is not None:
            made = replace(made, left_out=same.left_out, beyond=same.beyond)
        elif not made.failed:
            made = self._at_hours_left_out(made)
        self.rounds.append(made)
        return made

    def _at_hours_left_out(self, made: Round) -> Round:
        """Simulate a plan that survives its scenarios at the hours that these leave out."""
        if self.at_hours is None or self.deadline.over:
            return made
        left_out, beyond = at_other_hours(
            self.at_hours,
            self.model,
            made.solution.fleet,
            lambda text: self.progress(f"round {made.number}: {text}"),
        )
        return replace(made, left_out=left_out, beyond=beyond)

    def _join(self, beyond: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
        """Add failures at the hours at which most requests are lost; their outcomes."""
        if self.at_hours is None or not beyond:
            return ()
        self.at_hours, joining = joined(self.at_hours, self.model, beyond)
        self.scenarios = self.at_hours.scenarios
        return joining

    def tighten(self) -> bool:
        """Tighten by what failed in the last round; False if no purchase can help."""
        last = self.rounds[-1]
        before = (self.margins, self.waived)
        self.hopeless |= unanswered(self.rounds)
        simulated = (*last.verdicts, *self._join(last.beyond))
        outcomes = tuple(one for one in simulated if one.name not in self.hopeless)
        kept = {name: one for name, one in last.margins.items() if name not in self.hopeless}
        self.margins, self.fallback = next_margins(self.model, last.solution.fleet, kept, outcomes)
        if self.waived:
            self.waived = waived_less(last.programme.data, last.failed, self.left)
            fleets = [made.solution.fleet for made in self.rounds[-PATIENCE:]]
            if len(fleets) == PATIENCE and all(fleet == fleets[0] for fleet in fleets):
                return False  # what is waived grows with the margins, and nothing else changes
        return (self.margins, self.waived) != before

    def look_below(self, on_round: Callable[[Round], None]) -> bool:
        """Bound the cost of all plans that survive, and look for one below the best so far.

        Returns
        -------
        bool
            Whether there is a plan that survives.
        """
        before = len(self.rounds)
        try:
            while self.explain != "nothing" and self._look_below():
                self.progress("looking again, with the hours at which the plan found fails")
        except (OutOfTime, SolverError):
            if not self.deadline.over:
                raise
        if len(self.rounds) > before:
            on_round(self.rounds[-1])
        best = best_round(self.rounds)
        return best is not None and not best.failed

    def _look_below(self) -> bool:
        """Look below once; whether hours of the week have joined since."""
        data = ProblemData(self.model, self.scenarios, {})
        if not data.exact_crowds:
            return False  # normal operation asks for more than demand: that bounds no survivor
        best = best_round(self.rounds)
        survivor = None if best is None or best.failed else best
        base = build(data.part(()))
        judged = Judged(self.model, self.scenarios, base, self.settings, lambda: self.deadline.over)
        below = Below(data, judged, self.deadline, self.progress, self.learned, self.parts)
        cost = math.inf if survivor is None else survivor.solution.objective
        bound = below.bound_usd(None if best is None else best.solution.fleet)
        self.excluded = bound is None
        if bound is None:
            return False
        self.survivor_bound_usd = min(bound, cost)
        if survivor is not None and cost - bound <= CLOSE_ENOUGH * abs(cost):
            return False
        starts = []
        if survivor is not None:
            starts.append(tuple(counts_of(base, survivor.solution.fleet).values()))
        candidates = []
        for _ in range(MOST_TURNS):
            lowest, known = below.fleet_that_survives(), judged.survivors
            if lowest in known:
                break
            self.progress("looking for cheaper plans that survive")
            candidates, starts = cheaper_fleets(judged, [lowest, *starts]), []
            new = [one for one in judged.survivors if one not in known]
            if self.deadline.over or not below.admit(new):
                break
        self.learned = below.learned
        for found in islice(self._priced(data, candidates), MOST_PRICED):
            made = self._searched(*found, bound, judged.fleets)
            if made.beyond:
                self._join(made.beyond)
                return True
            enough = CLOSE_ENOUGH * abs(cost) if survivor else 0.0
            if not made.failed and made.solution.objective < cost - enough:
                self.rounds.append(made)
                cost = made.solution.objective
        return False

    def _priced(
        self, data: ProblemData, candidates: Iterable[Mapping[Decision, int]]
    ) -> Iterator[tuple[Programme, Solution]]:
        """Purchases as plans.

        Where the programme has no plan, of those that do without stricter rows only: without others
        it is said that there is none.
        """
        for counts in islice(candidates, MOST_TRIED):
            found = with_purchases(data, counts, self.deadline.settings(), self.parts)
            if found is None:
                continue
            if self.stuck is None or all(may_be_waived(data, key) for key in found[0].data.waived):
                yield found

    def _searched(
        self, programme: Programme, solution: Solution, bound: float, fleets: int
    ) -> Round:
        """A round for purchases that a search has found, which is not on record yet."""
        number = self.rounds[-1].number + 1 if self.rounds else 1
        before, self.margins = self.margins, {}
        made = self.simulate(number, programme, replace(solution, bound=bound))
        self.margins = before
        self.rounds.pop()
        return replace(made, searched=max(1, fleets))

    def fall_back(self) -> bool:
        """Take the smaller margins, if there are any."""
        if self.fallback is None:
            return False
        self.margins, self.fallback = self.fallback, None
        return True

    def cut_short(self) -> LoopResult:
        """The rounds so far, where time ended or somebody asked to stop."""
        stopped = self.settings.stopped
        return replace(self._result(self.rounds), timed_out=not stopped, interrupted=stopped)

    def _result(self, rounds: Iterable[Round]) -> LoopResult:
        """Rounds, with the selection that the best of them was made and simulated for."""
        outcome = LoopResult(tuple(rounds), survivor_bound_usd=self.survivor_bound_usd)
        if self.selection is None or outcome.best is None:
            return outcome
        names = {verdict.name for verdict in (*outcome.best.verdicts, *outcome.best.beyond)}
        more = names - {scenario.name for scenario in self.selection.scenarios}
        return replace(outcome, selection=self.selection.besides(self.model, more))

    def end(self) -> LoopResult:
        """The rounds, and why there is no plan where that is so."""
        outcome = self._result(self.rounds)
        if outcome.survives or self.stuck is None:
            return outcome
        data, number, suspects = self.stuck
        strict = tuple(made for made in self.rounds if not made.programme.data.waived)
        tried = self.rounds[-1] if len(strict) < len(self.rounds) else None
        if self.explain == "nothing":
            nothing = Diagnosis(round=number, complete=False)
            return replace(self._result(strict), diagnosis=nothing, margins=data.margins)
        if tried is not None:
            data = _still_stuck(data, tried, self.left)
        verify, why_only = partial(_verify, self.at_hours), self.explain == "conflict"
        diagnosis = diagnose(data, self.left, number, verify, why_only, suspects)
        failed = () if tried is None else tried.failed
        diagnosis = replace(diagnosis, tried=failed, excluded=self.excluded)
        return replace(self._result(strict), diagnosis=diagnosis)


def _still_stuck(data: ProblemData, tried: Round, settings: SolverSettings) -> ProblemData:
    """The problem, with stricter requirements waived where a plan without them survived."""
    waived = tried.programme.data.waived
    kept = {key: math.inf for key in waived if key[2] not in tried.failed}
    less = replace(data, waived=kept)
    if not kept or solve(build(less), replace(settings, gap=ANY_GAP)).status != "infeasible":
        return data
    return less


def _verify(
    selection: Selection | None, data: ProblemData, settings: SolverSettings
) -> Verified | None:
    """Run the loop on a changed problem from the beginning: its margins were those of another."""
    if selection is not None:
        selection = selection.of(data.model, data.scenarios)
    try:
        outcome = optimize_and_verify(
            data.model,
            data.scenarios,
            settings,
            VERIFIED_ROUNDS,
            explain="nothing",
            selection=selection,
        )
    except KeyboardInterrupt:
        raise OutOfTime from None
    best = outcome.best
    if outcome.stopped:
        raise OutOfTime
    if best is None:
        return None
    chosen = data if outcome.selection is None else outcome.selection
    return Verified(
        best.solution.objective,
        sum(item.capital_usd for item in best.items),
        best.failed,
        outcome.margins,
        (best.programme, best.solution),
        best.left_out,
        frozenset(scenario.name for scenario in chosen.scenarios),
    )


def _counted(data: ProblemData) -> str:
    """How many scenarios cannot bind."""
    total, implied = len(data.scenarios), len(data.scenarios) - len(data.stages_by_scenario)
    return f"{implied:,} of {total:,} scenarios cannot bind: normal operation and N+k imply them"


def _solve(programme: Programme, settings: SolverSettings, start: Fleet | None) -> Solution:
    if settings.stopped:
        raise SolverError("told to stop")
    return solve(programme, settings, start) if start else solve(programme, settings)
