"""The loop: optimise, simulate, learn, repeat, until a plan survives at every hour."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal

from planner.below import Below, priced
from planner.errors import SolverError
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.judging import Counts, Judged
from planner.optimization.decomposition.loop import UNFINISHED, decomposes, solve_in_parts
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.decomposition.size import check_fits
from planner.optimization.formulation.build import build
from planner.optimization.formulation.loosening import loosened, stricter_rows
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.simulated import SimulatedCut
from planner.optimization.infeasibility.diagnosis import Diagnosis, diagnose
from planner.optimization.infeasibility.second_look import confirm_no_plan, still_stuck
from planner.optimization.infeasibility.trials import Verified
from planner.optimization.solution.audit import audit
from planner.optimization.solution.costs import OPERATION, CostItem, operation_items
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.optimization.solution.decisions import counts_of
from planner.optimization.solution.operation import billed
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve
from planner.other_hours import at_other_hours, joined
from planner.plan.best import best_round
from planner.rounds import LoopResult, Round
from planner.selection import Selection
from planner.simulation.verdict import Verdict, judge
from planner.survivors import cheaper_fleets, cheapest_first

#: What is found out where there is no plan: why and what would help, only why, or nothing.
Explain = Literal["all", "conflict", "nothing"]

#: Least distance of a plan from the bound, as a share, from which a cheaper one is looked for.
CLOSE_ENOUGH = 1e-3
#: Most plans from below from which the search begins.
MOST_TURNS = 4
#: Most of the cheapest fleets that are tried as plans.
MOST_TRIED = 8
#: Most fleets found that are priced by the programme.
MOST_PRICED = 2
#: Share of the gap asked for that another plan from below has to save.
WORTH = 0.5


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
    learned: tuple[SimulatedCut, ...] = (),
) -> LoopResult:
    """Find the cheapest plan that meets the programme and survives the simulation.

    The programme is solved, the plan audited, and every scenario simulated on it. Where one fails,
    the programme has no plan, or the plan costs more than the bound on all that survive, a cheaper
    one that survives is looked for from below (`planner.below`).

    A plan that survives all scenarios is simulated at the hours of the week that these leave out.
    Of each failure that it does not survive there, the hour that loses most requests joins the
    scenarios.

    Parameters
    ----------
    rounds
        Most plans of a programme that are simulated; with 1 none is looked for from below.
    on_round
        Called after every round, and after the first before it is simulated at other hours.
    start
        Fleet of an earlier plan, from which the search for the first plan starts.
    progress
        Told before the first solve how many scenarios cannot bind, and what is solved.
    explain
        What to find out where there is no plan.
    selection
        Where the scenarios come from; None to simulate nothing else.
    learned
        What the loop on a similar model has learned.

    Raises
    ------
    KeyboardInterrupt
        If it is told to stop (``settings.stop``) before there is a plan.
    SolverError
        If time ends before there is a plan or a proof that there is none.
    """
    loop = _Loop(
        model, scenarios, settings, Deadline(settings), progress, explain, selection, learned
    )
    try:
        programme, solution = loop.optimize(start)
    except SolverError:
        if settings.stopped:
            raise KeyboardInterrupt from None
        raise
    if solution.status != "infeasible":
        made = loop.simulate(1, programme, solution)
        on_round(made)
        made = loop.simulate_at_hours_left_out(made)
        if made.limited:
            return loop.cut_short()
        loop.join(made.beyond)
    if rounds > 1:
        loop.look_below(rounds - 1, on_round)
    if loop.search_is_over() and loop.rounds and all(made.failed for made in loop.rounds):
        return loop.cut_short()
    return loop.end()


@dataclass
class _Loop:
    """State of the loop.

    Attributes
    ----------
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
    pricing_seconds
        How long it took to audit, price and simulate a plan.
    """

    model: Model
    scenarios: tuple[Scenario, ...]
    settings: SolverSettings
    deadline: Deadline
    progress: Callable[[str], None]
    explain: Explain
    selection: Selection | None = None
    learned: tuple[SimulatedCut, ...] = ()
    rounds: list[Round] = field(default_factory=list)
    stuck: tuple[ProblemData, int, tuple[str, ...]] | None = None
    at_hours: Selection | None = None
    survivor_bound_usd: float | None = None
    excluded: bool | None = None
    tried: tuple[str, ...] = ()
    pricing_seconds: float = 0.0
    parts: Decomposition | None = None

    def __post_init__(self) -> None:
        self.at_hours = self.selection

    @property
    def left(self) -> SolverSettings:
        """Settings with the time that is left."""
        return self.deadline.settings(late=True)

    @property
    def survivor(self) -> Round | None:
        """The best plan so far, if it survives."""
        best = best_round(self.rounds)
        return None if best is None or best.failed else best

    def optimize(self, start: Fleet | None) -> tuple[Programme, Solution]:
        """Solve the programme."""
        data = ProblemData(self.model, self.scenarios)
        size = check_fits(data, self.settings)
        if size is not None:
            self.progress(str(size))
        try:
            data.cut(self.deadline.watched)
        except OutOfTime:
            raise SolverError(UNFINISHED) from None
        self.progress(_counted(data))
        self.progress("round 1: solving")
        if decomposes(data, self.settings):
            self.parts = Decomposition(data, self.settings, self.progress)
            programme, solution = solve_in_parts(self.parts, self.left, start)
        else:
            programme = build(data)
            solution = _solve(programme, self.left, start)
        if solution.status == "infeasible":
            self.stuck = data, 1, solution.conflict
        return programme, solution

    def simulate(self, number: int, programme: Programme, solution: Solution) -> Round:
        """Price a plan, simulate every scenario on it, and record the round."""
        started = time.monotonic()
        verdicts = judge(self.model, solution.fleet, self.scenarios, stories=False)
        made = self._round(number, programme, solution, verdicts)
        if math.isfinite(self.deadline.left_seconds):
            made.costs()  # what is found last needs as long
        self.pricing_seconds = time.monotonic() - started
        self.rounds.append(made)
        return made

    def _round(
        self,
        number: int,
        programme: Programme,
        solution: Solution,
        verdicts: tuple[Verdict, ...],
    ) -> Round:
        """A round whose plan is priced; it is audited as soon as its cost is asked for."""
        stated = operation_items(programme, solution)
        whole, bill = billed(self.model, solution, stated)
        solved = programme.until_now()

        @cache
        def costs() -> tuple[CostItem, ...]:
            items = audit(solved, solution)
            return (*(item for item in items if item.category not in OPERATION), *bill)

        return Round(number, programme, whole, costs, verdicts)

    def simulate_at_hours_left_out(self, made: Round) -> Round:
        """Simulate the last plan, where it survives, at the hours that its scenarios leave out."""
        if made.failed or self.at_hours is None or self.deadline.over:
            return made
        left_out, beyond = at_other_hours(
            self.at_hours,
            self.model,
            made.solution.fleet,
            lambda text: self.progress(f"round {made.number}: {text}"),
            lambda: self.deadline.over,
        )
        self.rounds[-1] = replace(made, left_out=left_out, beyond=beyond)
        return self.rounds[-1]

    def join(self, beyond: tuple[Verdict, ...]) -> None:
        """Add failures at the hours at which most requests are lost."""
        if self.at_hours is not None and beyond:
            self.at_hours = joined(self.at_hours, self.model, beyond)
            self.scenarios = self.at_hours.scenarios

    def look_below(self, most: int, on_round: Callable[[Round], None]) -> None:
        """Bound the cost of all plans that survive, and look for one below the best so far.

        Parameters
        ----------
        most
            Most plans from below that are simulated before the search among fleets.
        """
        before = len(self.rounds)
        try:
            while self._look_below(most):
                self.progress("looking again, with the hours at which the plan found fails")
        except (OutOfTime, SolverError):
            if not self.search_is_over():
                raise
        if len(self.rounds) > before:
            on_round(self.rounds[-1])

    def search_is_over(self) -> bool:
        """Whether no more time is left than it takes to price and simulate what is found."""
        return self.deadline.over or self.deadline.left_seconds < self.pricing_seconds

    def _look_below(self, most: int) -> bool:
        """Look below once; whether hours of the week have joined since."""
        data = ProblemData(self.model, self.scenarios)
        if self.rounds:
            data = self.rounds[-1].programme.data.changed(self.scenarios, {})
        best, survivor = best_round(self.rounds), self.survivor
        if survivor is not None and not data.exact_crowds:
            return False  # normal operation asks for more than demand: that bounds no survivor
        base, start = build(data.part(())), None if best is None else best.solution.fleet
        judged = Judged(self.model, self.scenarios, base, self.settings, self.search_is_over)
        starts = list[Counts]()
        if best is not None:
            counts = tuple(counts_of(base, best.solution.fleet).values())
            judged.note(counts, (*best.verdicts, *best.beyond))
            starts += [] if best.failed else [counts]

        def below(programme: ProblemData) -> Below:
            known = self.learned, self.parts
            return Below(programme, judged, self.deadline, self.progress, *known, most)

        loose, cost = below(loosened(data, watched=self.deadline.watched)), math.inf
        bound = loose.bound_usd(start)
        if survivor is not None:
            cost = survivor.objective_usd_per_year
        if data.exact_crowds:
            self.excluded = bound is None
            self.survivor_bound_usd = None if bound is None else min(bound, cost)
        if bound is None:
            return False
        near = bound + max(CLOSE_ENOUGH, self.settings.gap) * abs(bound)
        # No purchase changes how load balancers route.
        if survivor is not None and cost - survivor.solution.routing_usd_per_year <= near:
            return False
        near = near if data.exact_crowds else -math.inf
        refused = self._found(data, loose, starts, (bound, near))
        if refused is None or not refused:
            return refused is None
        # Fleets that survive break rows that are not left to the simulation: plans do not.
        strict = below(data.changed(self.scenarios, stricter_rows(data)))
        return self._found(data, strict, [], (bound, near)) is None

    def _found(
        self, data: ProblemData, below: Below, starts: list[Counts], bounds: tuple[float, float]
    ) -> bool | None:
        """Put the cheapest that survive on record.

        Parameters
        ----------
        bounds
            What a plan that survives costs a year at least, and what is near enough.

        Returns
        -------
        bool or None
            Whether the programme forbids some that cost less; None if hours have joined.
        """
        judged, stuck, refused = below.judged, self.stuck is not None, False
        lowest = self._search(below, starts, bounds[1])
        self.learned, self.tried = below.learned, below.failing
        candidates, settings, left = cheapest_first(judged), self.deadline.endless, MOST_PRICED
        if below.conflict is not None and not candidates and not stuck:
            self.stuck = data.with_learned(below.learned), len(self.rounds) + 1, below.conflict
        if lowest is not None and lowest in judged.survivors:
            candidates = [*candidates[:MOST_TRIED], judged.named(lowest)]
        if self.search_is_over():
            candidates = candidates[:1]  # the last word is what the cheapest costs
        else:
            settings = self.deadline.settings()
        plans = priced(data, candidates, settings, self.parts, stuck)
        for counts, found in zip(candidates, plans, strict=False):
            if found is None:
                refused = refused or left == MOST_PRICED
                continue
            verdicts = judged.verdicts(tuple(counts.values()), self.scenarios)
            made = self._searched(*found, bounds[0], verdicts)
            before, left = self.survivor, left - 1
            if made.beyond:
                self.join(made.beyond)
                return None
            most = math.inf if before is None else before.solution.objective
            if before is not None and not before.searched:
                most *= 1 - CLOSE_ENOUGH
            if not made.failed and made.solution.objective < most:
                self.rounds.append(replace(made, searched=max(1, judged.fleets)))
            if not left:
                break
        return refused

    def _search(self, below: Below, starts: list[Counts], near: float) -> Counts | None:
        """Look for cheaper fleets that survive, from the cheapest of a programme in turn.

        Returns
        -------
        tuple of int or None
            The last of these; None if the programme has no plan.
        """
        judged, lowest, most_usd = below.judged, None, math.inf
        try:
            for _ in range(MOST_TURNS):
                known, found = judged.survivors, below.fleet_that_survives(most_usd)
                lowest = found or lowest
                if found is None or found in known:
                    break
                self.progress("looking for cheaper plans that survive")
                saved_usd = cheaper_fleets(judged, [found, *starts], below.cost_usd - near)
                starts, new = [], [one for one in judged.survivors if one not in known]
                if self.search_is_over() or not below.admit(new):
                    break
                # Another plan from below is only of use where it saves more than that.
                most_usd = below.cost_usd - saved_usd - WORTH * self.settings.gap * below.cost_usd
        except (OutOfTime, SolverError):
            if not judged.survivors or not self.search_is_over():
                raise
        return lowest

    def _searched(
        self,
        programme: Programme,
        solution: Solution,
        bound: float,
        verdicts: tuple[Verdict, ...],
    ) -> Round:
        """A round for purchases that a search has found, which is not on record yet."""
        number = self.rounds[-1].number + 1 if self.rounds else 1
        self.rounds.append(self._round(number, programme, replace(solution, bound=bound), verdicts))
        self.simulate_at_hours_left_out(self.rounds[-1])
        return self.rounds.pop()

    def cut_short(self) -> LoopResult:
        """The rounds so far, where time ended or somebody asked to stop."""
        stopped = self.settings.stopped
        return replace(self._result(self.rounds), timed_out=not stopped, interrupted=stopped)

    def _result(self, rounds: Iterable[Round]) -> LoopResult:
        """Rounds, with the selection that the best of them was made and simulated for."""
        outcome = LoopResult(
            tuple(rounds), survivor_bound_usd=self.survivor_bound_usd, learned=self.learned
        )
        if outcome.best is not None:
            outcome.best.costs()  # audited before anyone relies on it
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
            return replace(outcome, diagnosis=nothing)
        confirm_no_plan(data, suspects, self.left)
        tried = () if self.rounds else self.tried
        if self.excluded or tried:
            data = still_stuck(data, tried, self.left)
        verify = _Verifying(self.at_hours, self.learned)
        why_only = self.explain == "conflict"
        diagnosis = diagnose(data, self.left, number, verify, why_only, suspects)
        diagnosis = replace(diagnosis, tried=tried, excluded=self.excluded)
        return replace(outcome, diagnosis=diagnosis)


@dataclass
class _Verifying:
    """The loop on changed problems, each with what it learned on the one before."""

    selection: Selection | None
    learned: tuple[SimulatedCut, ...]

    def __call__(self, data: ProblemData, settings: SolverSettings) -> Verified | None:
        """What comes of a changed problem; None if it has no plan."""
        selection = self.selection
        if selection is not None:
            selection = selection.of(data.model, data.scenarios)
        names = {scenario.name for scenario in data.scenarios}
        known = tuple(cut for cut in self.learned if cut.scenario in names)
        try:
            outcome = optimize_and_verify(
                data.model, data.scenarios, settings,
                explain="nothing", selection=selection, learned=known,
            )  # fmt: skip
        except KeyboardInterrupt:
            raise OutOfTime from None
        if outcome.stopped:
            raise OutOfTime
        self.learned, best = outcome.learned, outcome.best
        if best is None:
            return None
        chosen = data if outcome.selection is None else outcome.selection
        return Verified(
            best.solution.objective,
            sum(item.capital_usd for item in best.items),
            best.failed,
            outcome.learned if outcome.diagnosis else (),
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
