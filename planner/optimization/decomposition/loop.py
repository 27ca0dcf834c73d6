"""The loop of the decomposition: solve the master, evaluate blocks, learn, repeat.

First the linear relaxation, where solves are cheap, until bounds meet; then whole numbers. The
lower bound is that of the master, which is a relaxation; the upper bound is the cost of purchases
and normal operation in its solution plus the least cost of recourse of every scenario.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.optimization.decomposition.blocks import Block, Floats, Library
from planner.optimization.decomposition.evaluation import Evaluation, Evaluator
from planner.optimization.decomposition.master import Failure, Master
from planner.optimization.formulation.algebra import Constraint, sum_of
from planner.optimization.formulation.build import build, build_part
from planner.optimization.formulation.objective import recourse_cost
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.scaling import most, numbers_of
from planner.optimization.solution.settings import NOISE, SolverSettings
from planner.optimization.solution.solving import Solution, run_solver, solve

#: Relative gap at which the relaxation ends, as a share of the gap asked for, and at least.
RELAXED_SHARE, RELAXED_LEAST = 0.25, 1e-6
#: Share of the gap for the solver of the master; the rest is for what cuts leave open.
GAP_SHARE = 0.5
#: Blocks that a round adds to the master whole.
WHOLE_BLOCKS = 8
#: Relative distance of a cut from the value of its block that counts as none.
TIGHT = 1e-7


@dataclass
class Decomposition:
    """A programme in parts, with all that is known of it.

    Attributes
    ----------
    base
        Programme of purchases and normal operation.
    """

    data: ProblemData
    settings: SolverSettings
    progress: Callable[[str], None] = lambda _: None
    library: Library = field(default_factory=Library)

    def __post_init__(self) -> None:
        self.base: Programme = build(self.data.part(()))
        self.evaluator = Evaluator(self.settings.threads)
        self._bounds: tuple[int, Floats, Floats] = (-1, np.zeros(0), np.zeros(0))

    def bounds(self) -> tuple[Floats, Floats]:
        """Bounds on the variables of the master, with those that its rows imply."""
        size = len(self.base.problem.constraints) + len(self.base.problem.variables)
        if self._bounds[0] != size:
            numbers = numbers_of(self.base.problem)
            self._bounds = size, numbers.low, most(numbers)
        return self._bounds[1:]

    def present(self) -> list[Scenario]:
        """Scenarios that can bind."""
        known = self.data.stages_by_scenario
        return [scenario for scenario in self.data.scenarios if scenario.name in known]

    def part(self, scenario: Scenario) -> tuple[Programme, Failure]:
        """Recourse of a scenario as a programme and as blocks."""
        part = build_part(self.base, self.data.part((scenario,)))
        cost = sum_of(recourse_cost(part, stage) for stage in part.data.stages)
        pieces, alone = self.library.pieces(part.problem, cost.terms, *self.bounds())
        failure = Failure(scenario.name, scenario.frequency_per_year, tuple(pieces), cost.constant)
        for row in alone:
            self._on_purchases(row)
        return part, failure

    def _on_purchases(self, row: Constraint) -> None:
        known = self.base.constraints
        if row.name not in known:
            known[row.name] = row
            self.base.problem.add(row, row.name)


class Loop:
    """One solve by decomposition."""

    def __init__(
        self, parts: Decomposition, settings: SolverSettings, start: Fleet | None = None
    ) -> None:
        self.parts, self.settings, self.start = parts, settings, start
        self.deadline = Deadline(settings)
        failures = tuple(parts.part(scenario)[1] for scenario in parts.present())
        self.master = Master(parts.base, parts.data, failures)
        self.weights = self.master.weights()
        self.blocks = self.master.blocks
        self.lower, self.upper = -math.inf, math.inf

    def run(self) -> Solution:
        """Solve; the solution has values of purchases and normal operation."""
        relaxed = max(RELAXED_LEAST, RELAXED_SHARE * self.settings.gap)
        while True:
            programme, before = self.master.programme(), self.lower
            run = run_solver(programme.problem, self.deadline.settings(), linear=True)
            if not run.stats.has_solution:
                return solve(programme, self.deadline.settings(late=True))
            self.lower = max(self.lower, programme.problem.objective.evaluated())
            upper, found = self._evaluated()
            if math.isfinite(upper) and upper - self.lower <= relaxed * abs(upper):
                break
            if not self._enlarge(found) and not self._rose(before):
                break
        return self._whole_numbers()

    def _rose(self, before: float) -> bool:
        """Whether the lower bound has risen."""
        return math.isinf(before) or self.lower - before > TIGHT * abs(self.lower)

    def _whole_numbers(self) -> Solution:
        best, share = None, GAP_SHARE
        while True:
            programme, before = self.master.programme(), (self.lower, self.upper)
            start = best.fleet if best else self.start
            solution = solve(programme, self.deadline.settings(share * self.settings.gap), start)
            if solution.status == "infeasible":
                return solution
            self.lower = max(self.lower, solution.bound)
            upper, found = self._evaluated()
            if upper < self.upper:
                self.upper, best = upper, replace(solution, objective=upper)
            proven = self.upper - self.lower <= (self.settings.gap + NOISE) * abs(self.upper)
            if best and (proven or not share):
                return replace(
                    best,
                    bound=min(self.lower, self.upper),
                    status="optimal" if proven else "feasible",
                )
            enlarged = self._enlarge(found)
            if not enlarged and before == (self.lower, self.upper):
                share = 0.0  # cuts say all there is to say: only the master's own gap is left

    def _evaluated(self) -> tuple[float, dict[Block, Evaluation]]:
        """Cost of the master's purchases with all recourse; teaches the master its cuts."""
        purchases = self._purchases()
        found = {block: self.parts.evaluator.evaluate(block, purchases) for block in self.blocks}
        self.master.learn(found)
        fixed = self.parts.base.problem.objective.evaluated()
        recourse = self.master.recourse_usd({block: made.value for block, made in found.items()})
        return fixed + recourse, found

    def _purchases(self) -> Floats:
        """Values of the variables of the master."""
        return np.array([variable.value or 0.0 for variable in self.parts.base.problem.variables])

    def _enlarge(self, found: Mapping[Block, Evaluation]) -> int:
        """Take the blocks into the master whose cuts were worst; how many."""
        purchases = self._purchases()
        missing: list[tuple[float, float, int]] = []
        for index, block in enumerate(self.blocks):
            if block in self.master.whole:
                continue
            made = found[block]
            if made.impossible is not None:
                missing.append((made.impossible.at(purchases), math.inf, index))
                continue
            known = max((cuts[block].at(purchases) for cuts in self.master.cuts[:-1]), default=0.0)
            short = self.weights[block] * (made.value - known)
            if short > TIGHT * abs(self.upper if math.isfinite(self.upper) else 1.0):
                missing.append((0.0, short, index))
        chosen = sorted(missing, reverse=True)[:WHOLE_BLOCKS]
        self.master.whole |= {self.blocks[index]: None for _, _, index in chosen}
        return len(chosen)
