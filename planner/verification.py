"""The loop: optimise, simulate, tighten, repeat, until a plan survives at every hour."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Literal

from planner.below import Below
from planner.errors import SolverError
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.margins import tighten
from planner.optimization.decomposition.fixed import with_purchases
from planner.optimization.decomposition.loop import decomposes, solve_in_parts
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.decomposition.size import check_fits
from planner.optimization.formulation.build import build
from planner.optimization.formulation.loosening import left_to_simulation, stricter_rows
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.simulated import SimulatedCut
from planner.optimization.formulation.stages import Margin
from planner.optimization.infeasibility.diagnosis import Diagnosis, diagnose
from planner.optimization.infeasibility.second_look import confirm_no_plan
from planner.optimization.infeasibility.trials import ANY_GAP, Verified
from planner.optimization.solution.audit import audit
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.optimization.solution.decisions import Decision, counts_of
from planner.optimization.solution.operation import billed
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve
from planner.other_hours import at_other_hours, joined
from planner.plan.best import best_round
from planner.rounds import LoopResult, Round
from planner.selection import Selection
from planner.simulation.verdict import Verdict, judge
from planner.survivors import Judged, cheaper_fleets

#: What is found out where there is no plan: why and what would help, only why, or nothing; then a
#: plan that survives is enough, and no cheaper one is looked for.
Explain = Literal["all", "conflict", "nothing"]

#: Most rounds in which a suggested change is verified.
VERIFIED_ROUNDS = 8
#: Least distance of a plan from the bound, as a share, from which a cheaper one is looked for.
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
    or the programme has no plan, one that survives is looked for from below (`planner.below`).
    Where none is found although the programme has plans, rounds tighten the requirements of
    scenarios that fail (`planner.margins`), until a plan survives, none is left, nothing that can
    be bought is short, or rounds or time are over.

    A plan that survives all scenarios is simulated at the hours of the week that these leave out.
    Of each failure that it does not survive there, the hour that loses most requests joins the
    scenarios.

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
    if not loop.rounds[-1].failed and explain != "nothing":
        loop.look_below(on_round)
    return loop.end()


@dataclass
class _Loop:
    """State of the loop.

    Attributes
    ----------
    margins
        Margins of the next round.
    stuck
        The problem without a plan, its round, and scenarios that leave none.
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
    tried
        Scenarios that the last plan from below failed.
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
    stuck: tuple[ProblemData, int, tuple[str, ...]] | None = None
    at_hours: Selection | None = None
    learned: tuple[SimulatedCut, ...] = ()
    survivor_bound_usd: float | None = None
    excluded: bool | None = None
    tried: tuple[str, ...] = ()
    parts: Decomposition | None = None

    def __post_init__(self) -> None:
        self.at_hours = self.selection

    @property
    def left(self) -> SolverSettings:
        """Settings with the time that is left."""
        return self.deadline.settings(late=True)

    def optimize(self, number: int, start: Fleet | None) -> tuple[Programme, Solution]:
        """Solve the programme of a round."""
        margins = dict(self.margins)
        data = ProblemData(self.model, self.scenarios, margins)
        if self.rounds:
            data = self.rounds[-1].programme.data.changed(self.scenarios, margins, {})
        programme, solution = self._solved(data, number, start)
        if solution.status == "infeasible":
            self.stuck = data, number, solution.conflict
        return programme, solution

    def _solved(
        self, data: ProblemData, number: int, start: Fleet | None
    ) -> tuple[Programme, Solution]:
        if not self.rounds:
            size = check_fits(data, self.settings)
            if size is not None:
                self.progress(str(size))
        in_parts = decomposes(data, self.settings)
        if self.rounds:
            start = self.rounds[-1].solution.fleet if in_parts else None
        if not self.rounds:
            self.progress(_counted(data))
        self.progress(f"round {number}: solving")
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
        last, before = self.rounds[-1], self.margins
        simulated = (*last.verdicts, *self._join(last.beyond))
        self.margins = tighten(before, simulated)
        return self.margins != before

    def look_below(self, on_round: Callable[[Round], None]) -> bool:
        """Bound the cost of all plans that survive, and look for one below the best so far.

        Returns
        -------
        bool
            Whether there is a plan that survives.
        """
        before = len(self.rounds)
        try:
            while self._look_below():
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
        if self.rounds:
            data = self.rounds[-1].programme.data.changed(self.scenarios, {}, {})
        best = best_round(self.rounds)
        survivor = None if best is None or best.failed else best
        if survivor is not None and not data.exact_crowds:
            return False  # normal operation asks for more than demand: that bounds no survivor
        base = build(data.part(()))
        judged = Judged(self.model, self.scenarios, base, self.settings, lambda: self.deadline.over)
        below = Below(data, judged, self.deadline, self.progress, self.learned, self.parts)
        cost = math.inf if survivor is None else survivor.solution.objective
        bound = below.bound_usd(None if best is None else best.solution.fleet)
        if data.exact_crowds:
            self.excluded = bound is None
            self.survivor_bound_usd = None if bound is None else min(bound, cost)
        if bound is None:
            return False
        close = max(CLOSE_ENOUGH, self.settings.gap)
        if survivor is not None and cost - bound <= close * abs(cost):
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
        self.learned, self.tried = below.learned, below.failing
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
        """Purchases as plans, without those that the loosened programme forbids.

        Where the programme has no plan, of those that do without rows left to the simulation only.
        """
        for counts in islice(candidates, MOST_TRIED):
            found = with_purchases(data, counts, self.deadline.settings(), self.parts)
            if found is None:
                continue
            if not self.stuck or all(left_to_simulation(data, key) for key in found[0].data.waived):
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

    def cut_short(self) -> LoopResult:
        """The rounds so far, where time ended or somebody asked to stop."""
        stopped = self.settings.stopped
        return replace(self._result(self.rounds), timed_out=not stopped, interrupted=stopped)

    def _result(self, rounds: Iterable[Round]) -> LoopResult:
        """Rounds, with the selection that the best of them was made and simulated for."""
        outcome = LoopResult(
            tuple(rounds), survivor_bound_usd=self.survivor_bound_usd, learned=self.learned
        )
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
        if self.explain == "nothing":
            nothing = Diagnosis(round=number, complete=False)
            return replace(outcome, diagnosis=nothing, margins=data.margins)
        confirm_no_plan(data, suspects, self.left)
        tried = () if self.rounds else self.tried
        if self.excluded or tried:
            data = _still_stuck(data, tried, self.left)
        verify, why_only = partial(_verify, self.at_hours), self.explain == "conflict"
        diagnosis = diagnose(data, self.left, number, verify, why_only, suspects)
        diagnosis = replace(diagnosis, tried=tried, excluded=self.excluded)
        return replace(outcome, diagnosis=diagnosis)


def _still_stuck(
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
