"""From below: the cheapest plan of the loosened programme, until one survives.

No plan that survives costs less than the cheapest of the loosened programme
(`planner.optimization.formulation.loosening`). Where that fails its simulation, the programme gets
cuts for what was short (`planner.learning`) and is solved again. These rest on what single
purchases did near plans that failed, so what comes of them bounds nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from planner.amounts import counted
from planner.infrastructure.fleet import Fleet
from planner.learning import admitting, learn
from planner.optimization.decomposition.loop import decomposes, solve_in_parts
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.build import build
from planner.optimization.formulation.loosening import loosened
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.simulated import SimulatedCut
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.decisions import counts_of
from planner.optimization.solution.solving import Solution, solve
from planner.survivors import Counts, Judged

#: Most plans of the loosened programme that are simulated.
MOST_PLANS = 12
#: Simulated scenarios that may be spent on what purchases do about the breaches of one plan.
MOST_TRIES = 4000


@dataclass
class Below:
    """The loosened programme of a problem, with what the simulation adds to it.

    Attributes
    ----------
    judged
        Judges its plans.
    learned
        Cuts so far.
    known
        A programme in parts of the same model, whose blocks are used again.
    failing
        Scenarios that the last plan failed.
    """

    data: ProblemData
    judged: Judged
    deadline: Deadline
    progress: Callable[[str], None]
    learned: tuple[SimulatedCut, ...] = ()
    known: Decomposition | None = None
    failing: tuple[str, ...] = ()
    _parts: Decomposition | None = None
    _first: Solution | None = None
    _loose: ProblemData = field(init=False)

    def __post_init__(self) -> None:
        self._loose = loosened(self.data)

    def bound_usd(self, start: Fleet | None) -> float | None:
        """What a plan that survives costs a year at least; None if no plan survives."""
        self.progress("bounding what plans that survive cost")
        self._first = self._solved((), start)
        return None if self._first.status == "infeasible" else self._first.bound

    def fleet_that_survives(self) -> Counts:
        """The cheapest fleet with the cuts that its simulation needs, or the last that was tried.

        Raises
        ------
        ValueError
            If no plan survives, or `bound_usd` was not asked for.
        """
        if self._first is None or self._first.status == "infeasible":
            raise ValueError("There is no plan of the loosened programme.")
        solution = self._first
        if self.learned:
            solution = self._again(solution) or solution
        for number in range(1, MOST_PLANS + 1):
            counts = tuple(counts_of(self.judged.base, solution.fleet).values())
            self.judged.left = MOST_TRIES
            verdicts = self.judged.verdicts(counts, self.judged.scenarios)
            self.failing = tuple(verdict.name for verdict in verdicts if verdict.fails)
            count = counted(len(self.failing), "failing scenario")
            self.progress(f"plan {number} from below: {count}")
            if not self.failing:
                break
            cuts = learn(self.judged, counts, verdicts)
            self.learned += tuple(cut for cut in cuts if cut not in self.learned)
            better = self._again(solution) if cuts else None
            if better is None or better.fleet == solution.fleet:
                break
            solution = better
        return counts

    def admit(self, survivors: list[Counts]) -> bool:
        """Weaken the cuts that fleets which survive violate; whether there are any."""
        before = self.learned
        self.learned = admitting(self.judged, before, survivors)
        return self.learned != before

    def _again(self, before: Solution) -> Solution | None:
        """The cheapest plan with the cuts so far; None if there is none."""
        solution = self._solved(self.learned, before.fleet)
        return None if solution.status == "infeasible" else solution

    def _solved(self, learned: tuple[SimulatedCut, ...], start: Fleet | None) -> Solution:
        settings, data = self.deadline.settings(), self._loose.with_learned(learned)
        if not decomposes(data, settings):
            return solve(build(data), settings, start)
        if self._parts is not None:
            self._parts.change(data)
        elif self.known is not None:
            self._parts = self.known.branch(data)
        else:
            self._parts = Decomposition(data, settings)
        return solve_in_parts(self._parts, settings, start)[1]
