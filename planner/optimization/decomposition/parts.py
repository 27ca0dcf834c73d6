"""A programme in parts: purchases and normal operation, and the blocks of every scenario."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, replace

import numpy as np

from planner.optimization.decomposition.alike import Place, distinct
from planner.optimization.decomposition.blocks import Floats, Library
from planner.optimization.decomposition.changes import stricter, unchanged
from planner.optimization.decomposition.evaluation import Evaluator
from planner.optimization.decomposition.master import Failure, Learned
from planner.optimization.decomposition.templates import NOTHING, Templates
from planner.optimization.formulation.algebra import Problem, Variable
from planner.optimization.formulation.build import build, without_collection
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme, Row
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.scaling import most, numbers_of
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Cases, Part, Solution

#: What counts as much of a variable that has no bound.
FAR = 1e12


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
    #: What costs are counted in, in messages.
    unit: str = "M USD a year"

    learned: Learned = field(default_factory=Learned)
    failures: tuple[Failure, ...] = ()
    bound: float = -math.inf

    def __post_init__(self) -> None:
        self.base: Programme = self._first_stage()
        self.templates = Templates(self.library)
        self.evaluator = Evaluator()
        self._bounds = np.zeros(0), np.zeros(0)
        self._bounded_rows = 0

    def _first_stage(self) -> Programme:
        return build(self.data.part(()))

    def names(self) -> tuple[str, ...]:
        """Scenarios that can bind."""
        return tuple(self.data.stages_by_scenario)

    def _place_of(self, data: ProblemData, name: str) -> Place:
        """Where a scenario happens."""
        return Place(self.base, data, name)

    def bounds(self) -> tuple[Floats, Floats]:
        """Bounds on the variables of the master, with those that its rows imply.

        Rows that recourse adds define variables of their own: what is known of others is kept.
        """
        problem, high = self.base.problem, self._bounds[1]
        known, rows = self._bounded_rows, len(problem.constraints)
        if rows != known or len(problem.variables) != len(high):
            added = Problem()
            added.variables = problem.variables
            added.constraints = problem.constraints[known if known <= rows else 0 :]
            numbers = numbers_of(added)
            if 0 < known <= rows:
                numbers.high[: len(high)] = np.minimum(numbers.high[: len(high)], high)
            self._bounds, self._bounded_rows = (numbers.low, most(numbers)), rows
        return self._bounds

    def _failure(self, name: str) -> Failure:
        """A scenario as blocks."""
        place = self._place_of(self.data, name)
        return Failure(name, place.frequency_per_year, *self.templates.recourse(place, self.bounds))

    def lay_out(self, deadline: Deadline) -> None:
        """Turn all scenarios that can bind into blocks, as far as they are not yet.

        Raises
        ------
        OutOfTime
            If time ends before.
        """
        known = {failure.name: failure for failure in self.failures}
        with without_collection():
            for name in deadline.watched(self.names()):
                if name not in known:
                    known[name] = self._failure(name)
        self.failures = tuple(known[name] for name in self.names())

    def rows_of(self, name: str) -> list[Row]:
        """What the rows of a scenario mean, those that differ in nothing but minutes once."""
        place = self._place_of(self.data, name)
        return list(place.programme(distinct(place)).rows.values())

    def change(self, data: ProblemData) -> None:
        """Go on with other scenarios, cuts or waived rows: blocks that stay are kept.

        The lower bound is kept only where requirements have but grown.
        """
        same = unchanged(self.data, data)
        if not stricter(self.data, data):
            self.bound = -math.inf
        self.data = data
        self.failures = tuple(failure for failure in self.failures if failure.name in same)
        blocks = {piece.block for failure in self.failures for piece in failure.pieces}
        self.learned = self.learned.about(blocks)

    def branch(self, data: ProblemData) -> Decomposition:
        """The same programme with other scenarios or bounds, solved without a change to this one.

        It begins with the blocks and cuts of this one, without its lower bound, and says nothing.
        """
        other = copy(self)
        other.progress = lambda _: None
        other.learned = self.learned.about({p.block for f in self.failures for p in f.pieces})
        other.change(data)
        other.bound = -math.inf
        return other

    def relax(self, relax: Callable[[Programme], None]) -> bool:
        """Relax rows of normal operation; whether what is known of blocks still holds.

        It does where variables have no wider bounds for it: blocks rest on these.
        """
        low, high = self.bounds()
        self.base, self._bounded_rows = self.base.copied(), 0
        relax(self.base)
        wider_low, wider_high = (bound[: len(low)] for bound in self.bounds())
        return bool((wider_low >= low).all() and (wider_high <= high).all())

    def missing(self, values: Mapping[str, float]) -> tuple[str, ...]:
        """Scenarios of which a block misses a requirement at values of the base."""
        at = np.array([values.get(x.name, 0.0) for x in self.base.problem.variables])
        blocks = {piece.block: None for failure in self.failures for piece in failure.pieces}
        found = self.evaluator.evaluate_all(list(blocks), at)
        missed = {block for block, made in found.items() if made.impossible is not None}
        return tuple(f.name for f in self.failures if any(p.block in missed for p in f.pieces))

    def may_miss(self, values: Mapping[str, float]) -> tuple[str, ...]:
        """Scenarios that may miss a requirement at values of the base; others meet theirs."""
        missing = set(self.missing(values))
        return tuple(f.name for f in self.failures if f.alone or f.name in missing)

    @property
    def apart(self) -> bool:
        """Whether scenarios have nothing in common once purchases are whole and fixed."""
        policy = self.data.model.policies.risk
        expected = policy.kind == "expected" or not policy.beta
        return expected and all(variable.integer for variable in self._linked())

    @property
    def settled(self) -> bool:
        """Whether all that recourse depends on is fixed: then each block has one cost."""
        return all(variable.low == variable.high for variable in self._linked())

    def _linked(self) -> list[Variable]:
        """Variables of the base that blocks depend on."""
        forms = {piece.block.form for failure in self.failures for piece in failure.pieces}
        numbers = {number for form in forms for number in form.link_column.tolist()}
        return [self.base.problem.variables[number] for number in numbers]

    def slopes(self, values: Mapping[str, float]) -> Floats:
        """What one more of each variable of the base adds to the cost of recourse, USD a year."""
        at = np.array([values[x.name] for x in self.base.problem.variables])
        blocks = {piece.block: None for failure in self.failures for piece in failure.pieces}
        found, slopes = self.evaluator.evaluate_all(list(blocks), at), np.zeros(len(at))
        for failure in self.failures:
            for piece in failure.pieces:
                cut, weight = found[piece.block].cut, failure.frequency_per_year * piece.factor
                np.add.at(slopes, cut.columns, weight * cut.slopes)
        return slopes

    def largest_purchases(self) -> Floats:
        """Values of the variables of the master with as much as may be had of everything."""
        _, high = self.bounds()
        purchases = np.where(np.isfinite(high), high, FAR)
        purchases[self._retirements()] = 0.0
        return purchases

    def _retirements(self) -> list[int]:
        """Ids of variables of the master of which more leaves less capacity."""
        purchases = self.base.purchases
        gone = (*purchases.retired.values(), *purchases.retired_blocks.values())
        return [variable.id for variable in gone]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the whole programme."""
        pieces = [piece for failure in self.failures for piece in failure.pieces]
        rows = sum(len(piece.block.form.side) for piece in pieces)
        columns = sum(len(piece.block.form.high) for piece in pieces)
        problem = self.base.problem
        return rows + len(problem.constraints), columns + len(problem.variables)

    def _purchases(self, solution: Solution) -> Floats:
        """Columns of the master in a plan; NaN where failures of other plans added them."""
        shared = self.base.problem.variables
        return np.array([solution.values.get(variable.name, np.nan) for variable in shared])

    def by_state(self, data: ProblemData, solution: Solution) -> Iterator[Cases]:
        """Least costly recourse for a plan, stages of the same template together."""
        purchases = self._purchases(solution)
        places = (self._place_of(data, name) for name in data.stages_by_scenario)
        gathered, others = self.templates.gathered(places, self.bounds, solution.fleet.measures)
        for one in gathered:
            yield one.cases(solution, lambda blocks: self.evaluator.columns(blocks, purchases))
        alone = data.part(tuple(place.scenario for place in others))
        for programme, found in self.recourse(alone, solution):
            yield Cases(programme, found)

    def recourse(self, data: ProblemData, solution: Solution) -> Iterator[Part]:
        """The programme of each scenario with its least costly recourse for a plan.

        Duals of its rows are those of the cost of one occurrence.
        """
        purchases = self._purchases(solution)
        library = Library(structures=self.library.structures)
        for name in data.stages_by_scenario:
            part = self._place_of(data, name).programme()
            values = dict(solution.values)
            found, _ = library.components(part.problem, self.bounds(), NOTHING, NOTHING)
            for one in found:
                block = library.block(one.form, np.zeros(0), np.zeros(0))
                ((amounts, duals),) = self.evaluator.columns([block], purchases)
                structure = one.form.structure
                unscaled = np.ldexp(amounts, structure.column_size).tolist()
                for place, amount in zip(one.columns.tolist(), unscaled, strict=True):
                    values[part.problem.variables[place].name] = amount
                prices = (one.factor * np.ldexp(duals, -structure.row_size)).tolist()
                for place, price in zip(one.rows.tolist(), prices, strict=True):
                    part.problem.constraints[place].dual = price
            for variable in part.problem.variables:
                values.setdefault(variable.name, 0.0)
            yield (
                part,
                replace(solution, values=values, recourse=None, by_state=None, once_usd=None),
            )
