"""From below: the cheapest plan of the loosened programme, until one survives.

No plan that survives costs less than the cheapest of the loosened programme
(`planner.optimization.formulation.loosening`). Where that fails its simulation, the programme gets
cuts for what was short (`planner.learning`) and is solved again. These rest on what single
purchases did near plans that failed, so what comes of them bounds nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from planner.amounts import counted
from planner.infrastructure.fleet import Fleet
from planner.judging import Counts, Judged
from planner.learning import admitting, learn
from planner.optimization.decomposition.fixed import with_purchases
from planner.optimization.decomposition.loop import decomposes, solve_in_parts
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.build import build
from planner.optimization.formulation.loosening import left_to_simulation
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.simulated import SimulatedCut
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.decisions import Decision, counts_of
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve

#: Simulated scenarios that may be spent on what purchases do about the breaches of one plan.
MOST_TRIES = 4000

#: How to solve a programme, whole or in parts, from a fleet.
Solve = Callable[[Programme | Decomposition, SolverSettings, Fleet | None], Solution]


def cheapest(
    question: Programme | Decomposition, settings: SolverSettings, start: Fleet | None
) -> Solution:
    """The cheapest plan of a programme."""
    if isinstance(question, Decomposition):
        return solve_in_parts(question, settings, start)[1]
    return solve(question, settings, start)


@dataclass
class Below:
    """A programme, with what the simulation adds to it.

    Attributes
    ----------
    data
        Loosened, for its bound to be one of plans that survive.
    judged
        Judges its plans.
    learned
        Cuts so far.
    known
        A programme in parts of the same model, whose blocks are used again.
    most
        Most plans that are simulated.
    solve
        How to solve a programme, whole or in parts.
    failing
        Scenarios that the last plan failed.
    cost_usd
        What the last plan costs a year in this programme.
    plans
        Plans simulated by the last search.
    conflict
        Scenarios that leave no plan with what the last search learned, as far as that is known;
        None if there was one.
    """

    data: ProblemData
    judged: Judged
    deadline: Deadline
    progress: Callable[[str], None]
    learned: tuple[SimulatedCut, ...] = ()
    known: Decomposition | None = None
    most: int = 11
    solve: Solve = cheapest
    failing: tuple[str, ...] = ()
    cost_usd: float = math.inf
    plans: int = 0
    conflict: tuple[str, ...] | None = None
    _parts: Decomposition | None = None
    _first: Solution | None = None

    def __post_init__(self) -> None:
        self._given = frozenset(self.learned)

    def bound_usd(self, start: Fleet | None) -> float | None:
        """What a plan that survives costs a year at least; None if no plan survives."""
        self.progress("bounding what plans that survive cost")
        self._first = self._solved((), start)
        return None if self._first.status == "infeasible" else self._first.bound

    def fleet_that_survives(self, most_usd: float = math.inf) -> Counts | None:
        """The cheapest fleet with the cuts that its simulation needs, or the last that was tried.

        None if the programme has no plan that costs less than an amount. A plan that fails what
        failed before is not simulated otherwise, unless it is the last.
        """
        solution, judged = None if self.learned else self._first, self.judged
        solution = solution or self._again(self._first) or self._first
        if solution is None or solution.status == "infeasible" or solution.objective >= most_usd:
            return None
        for number in range(1, self.most + 1):
            self.plans, self.cost_usd = number, solution.objective
            counts = tuple(counts_of(judged.base, solution.fleet).values())
            judged.left = MOST_TRIES
            verdicts = judged.verdicts(counts, judged.ever_failed)
            if not any(verdict.fails for verdict in verdicts):
                verdicts = judged.verdicts(counts, judged.scenarios)
            failing = [verdict.name for verdict in verdicts if verdict.fails]
            known = "" if len(verdicts) == len(judged.scenarios) else " of those that failed before"
            count = counted(len(failing), "failing scenario")
            self.progress(f"plan {number} from below: {count}{known}")
            if not failing:
                judged.admit(counts)
                break
            cuts = learn(judged, counts, verdicts)
            self.learned += tuple(cut for cut in cuts if cut not in self.learned)
            better = self._again(solution) if cuts else None
            if better is None or better.fleet == solution.fleet:
                break
            if better.objective >= most_usd:
                return None
            solution = better
        judged.left = MOST_TRIES
        verdicts = judged.verdicts(counts, judged.scenarios)
        self.failing = tuple(verdict.name for verdict in verdicts if verdict.fails)
        return counts

    def admit(self, survivors: list[Counts]) -> bool:
        """Weaken the cuts that fleets which survive violate; whether there are any."""
        before = self.learned
        self.learned = admitting(self.judged, before, survivors)
        return self.learned != before

    def _again(self, before: Solution | None) -> Solution | None:
        """The cheapest plan with the cuts so far; None if there is none.

        Cuts of another model that leave none are forgotten.
        """
        start = None if before is None else before.fleet
        solution = self._solved(self.learned, start)
        if solution.status == "infeasible" and self._given.intersection(self.learned):
            self.learned = tuple(cut for cut in self.learned if cut not in self._given)
            solution = self._solved(self.learned, start)
        self.conflict = solution.conflict if solution.status == "infeasible" else None
        return None if solution.status == "infeasible" else solution

    def _solved(self, learned: tuple[SimulatedCut, ...], start: Fleet | None) -> Solution:
        settings, data = self.deadline.settings(), self.data.with_learned(learned)
        if not decomposes(data, settings):
            return self.solve(build(data), settings, start)
        if self._parts is not None:
            self._parts.change(data)
        elif self.known is not None:
            self._parts = self.known.branch(data)
        else:
            self._parts = Decomposition(data, settings)
        return self.solve(self._parts, settings, start)


def priced(
    data: ProblemData,
    candidates: Iterable[Mapping[Decision, int]],
    settings: SolverSettings,
    parts: Decomposition | None = None,
    stuck: bool = False,
) -> Iterator[tuple[Programme, Solution] | None]:
    """Purchases as plans of a programme; None for those that it forbids.

    Parameters
    ----------
    stuck
        Whether the programme has no plan; then of those that do without rows left to the simulation
        only.
    """
    for counts in candidates:
        found = with_purchases(data, counts, settings, parts)
        waived = () if found is None or not stuck else found[0].data.waived
        yield found if all(left_to_simulation(data, key) for key in waived) else None
