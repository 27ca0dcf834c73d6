"""The programme of a roadmap solved in parts: every failure in every node is a block of its own."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from planner.errors import SolverError
from planner.optimization.decomposition.alike import Place
from planner.optimization.decomposition.blocks import Block
from planner.optimization.decomposition.changes import stricter, unchanged
from planner.optimization.decomposition.evaluation import MISSED, Cut, Evaluation
from planner.optimization.decomposition.loop import (
    LATE_SHARE,
    RELAXED_SHARE,
    ROUNDED,
    TIGHT,
    UNFINISHED,
    WIDEST_GAP,
    Loop,
)
from planner.optimization.decomposition.master import Failure, Learned, Master
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.algebra import AT_MOST, Constraint, Problem, Variable, sum_of
from planner.optimization.formulation.labels import joined, label, part
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.optimization.solution.decisions import limited
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, Start, run_solver, solve
from planner.roadmap.programme import RoadmapProgramme

#: Whole variables from which on a first roadmap is found period by period.
MANY_WHOLE = 1000
#: Price of missing a failure that the best orders fail, where missing one that they survive costs
#: 1: what is survived is not given up for what is not.
FAILING = 1e-3


def node_of(failure: str) -> str:
    """Node of a failure.

    >>> node_of("p2-high/region-west@14")
    'p2-high'
    """
    return failure.partition("/")[0]


@dataclass
class RoadmapParts(Decomposition):
    """The programme of a roadmap in parts.

    Attributes
    ----------
    roadmap
        All nodes.
    asked
        What is asked for in each node; without it, all of its data.
    left_out
        Failures without recourse at all, of which nothing is asked.
    failing
        Failures that the best orders so far do not survive.
    worth_usd
        What a GPU more in service is worth a year in the relaxation, by node and cluster.
    """

    roadmap: RoadmapProgramme = field(kw_only=True)
    asked: dict[str, ProblemData] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    failing: frozenset[str] = frozenset()
    worth_usd: dict[tuple[str, str], float] = field(default_factory=dict)
    unit: str = "M USD"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.asked = self.asked or {name: each.data for name, each in self.roadmap.nodes.items()}

    def _first_stage(self) -> Programme:
        return self.roadmap.base

    @property
    def whole_variables(self) -> list[Variable]:
        """Whole variables that are not fixed."""
        return [x for x in self.base.problem.variables if x.integer and x.low < x.high]

    @property
    def is_large(self) -> bool:
        """Whether whole orders are found period by period first."""
        return len(self.whole_variables) > MANY_WHOLE

    def names(self) -> tuple[str, ...]:
        """Failures that can bind, as ``node/scenario``."""
        return tuple(
            joined(name, scenario)
            for name, data in self.asked.items()
            for scenario in data.stages_by_scenario
            if joined(name, scenario) not in self.left_out
        )

    def _place_of(self, data: ProblemData, name: str) -> Place:  # noqa: ARG002
        """A failure in a node, weighted with the present value of a year there."""
        node, _, scenario = name.partition("/")
        each = self.roadmap.nodes[node]
        return Place(each.programme, self.asked[node], scenario, each.node.weight, node)

    def _retirements(self) -> list[int]:
        found = []
        for each in self.roadmap.nodes.values():
            purchases = each.programme.purchases
            gone = (*purchases.retired.values(), *purchases.retired_blocks.values())
            found += [variable.id for variable in gone]
        return found

    def note_worth(self) -> None:
        """Keep what GPUs are worth by the duals of the relaxation, which was solved last."""
        duals = {row.name: row.dual or 0.0 for row in self.base.problem.constraints}
        for name, each in self.roadmap.nodes.items():
            for cluster, entry in each.data.model.clusters.items():
                dual = duals.get(label("in_service", name, "gpus", cluster))
                if dual is not None:  # some order can be in service
                    block_years = each.node.weight * entry.block_gpus
                    self.worth_usd[name, cluster] = max(0.0, -dual / block_years)

    def waive(self, names: Iterable[str], families: Container[str] | None = None) -> set[str]:
        """Ask nothing of some failures, given as ``node/scenario``; those without rows to waive.

        What they cost still counts, so that cloud bridges them as far as it is worth it; those
        without recourse even then are left out.

        Parameters
        ----------
        families
            Rows that are waived; None for all requirements.
        """
        wider = {name: dict(data.waived) for name, data in self.asked.items()}
        stuck = set()
        for name in names:
            node = node_of(name)
            rows = [row for row in self.rows_of(name) if row.kind == "requirement"]
            keys = {row.key for row in rows if families is None or row.family in families}
            if keys <= wider[node].keys():
                stuck.add(name)
            wider[node] |= dict.fromkeys(keys, math.inf)
        if families is None:
            self.left_out |= stuck
        self.ask(
            {
                name: data.changed(data.scenarios, wider[name], data.learned)
                for name, data in self.asked.items()
            }
        )
        return stuck

    def recourse_of(
        self, values: Mapping[str, float], deadline: Deadline
    ) -> tuple[dict[str, float], set[str]]:
        """What each failure costs once at values of the base, and those without recourse.

        Raises
        ------
        OutOfTime
            If time ends before.
        """
        at = np.array([values[variable.name] for variable in self.base.problem.variables])
        blocks = {piece.block: None for failure in self.failures for piece in failure.pieces}
        found = self.evaluator.evaluate_all(list(blocks), at, lambda: deadline.over)
        master = Master(self.base, self.data, self.failures, *self.bounds())
        once = master.once_usd({block: made.value for block, made in found.items()})
        missed = {block for block, made in found.items() if made.impossible is not None}
        return once, {f.name for f in self.failures if any(p.block in missed for p in f.pieces)}

    def unmet(
        self, failures: Sequence[Failure], deadline: Deadline, whole: bool = False
    ) -> list[str]:
        """Those of some failures, or with cuts from the simulation, missed where least is missed.

        A programme of orders, in part or whole, in which the cuts of each failure may be missed at
        a price, is solved with more cuts until none is new.
        """
        blocks = list({piece.block: None for one in failures for piece in one.pieces})
        whose: dict[Block, list[str]] = {}
        for one in failures:
            for piece in one.pieces:
                whose.setdefault(piece.block, []).append(one.name)
        cuts = [(name, cut) for b, cut in self.learned.impossible for name in whose.get(b, ())]
        while True:
            problem, missed = self._elastic(failures, cuts)
            if not run_solver(problem, deadline.settings(), linear=not whole).stats.has_solution:
                return []
            at = np.array([variable.value or 0.0 for variable in self.base.problem.variables])
            found = self.evaluator.evaluate_all(blocks, at, lambda: deadline.over)
            new = [
                (name, cut)
                for block, made in found.items()
                for name in whose[block]
                if (cut := made.impossible)
                and cut.at(at) > MISSED + (1 + MISSED) * (missed[name].value or 0.0)
            ]
            if not new:
                return [name for name, much in missed.items() if (much.value or 0.0) > MISSED]
            cuts += new

    def _elastic(
        self, failures: Sequence[Failure], cuts: Iterable[tuple[str, Cut]]
    ) -> tuple[Problem, dict[str, Variable]]:
        """Orders that miss least of some cuts, and what each failure misses."""
        base, problem = self.base.problem, Problem()
        problem.variables = list(base.variables)
        problem.constraints = self.roadmap.built()
        missed: dict[str, Variable] = {}
        for index, failure in enumerate(failures):
            much = missed[failure.name] = problem.add_variable(label("missed", str(index)))
            for row in failure.alone:
                step = row.sense * max(map(abs, row.expression.terms.values()), default=1.0)
                problem.constraints.append(Constraint(row.expression + step * much, row.sense))
        for name, row in self.roadmap.learned():
            if name not in missed:
                missed[name] = problem.add_variable(label("missed", str(len(missed))))
            problem.constraints.append(Constraint(row.expression + missed[name], row.sense))
        for index, (name, cut) in enumerate(cuts):
            row = Constraint(cut.expression(base.variables) - missed[name], AT_MOST)
            problem.add(row, label("possible", str(index)))
        problem.objective = sum_of(
            (FAILING if name in self.failing else 1.0) * much for name, much in missed.items()
        )
        return problem, missed

    def ask(self, asked: Mapping[str, ProblemData]) -> None:
        """Go on with what else is asked for in the nodes: blocks that stay are kept."""
        same = {
            joined(name, scenario)
            for name, data in asked.items()
            for scenario in unchanged(self.asked[name], data)
        }
        if not all(stricter(self.asked[name], data) for name, data in asked.items()):
            self.bound = -math.inf
        self.asked = dict(asked)
        same &= set(self.names())
        self.failures = tuple(failure for failure in self.failures if failure.name in same)
        self.learned = self.learned.about({p.block for f in self.failures for p in f.pieces})

    def beside(self) -> RoadmapParts:
        """The same programme for a solve with tighter bounds, which learns with this one."""
        other = copy(self)
        other.progress = lambda _: None
        return other

    def asking(self, asked: Mapping[str, ProblemData]) -> RoadmapParts:
        """The same nodes with something else asked for: templates and bases are shared."""
        other = self.beside()
        other.asked, other.failures, other.learned = dict(asked), (), Learned()
        return other


class RoadmapLoop(Loop):
    """One solve of a roadmap by decomposition."""

    parts: RoadmapParts

    def __init__(
        self,
        parts: RoadmapParts,
        settings: SolverSettings,
        first: Mapping[str, float] | None,
        explain: bool,
        needed: bool = False,
        rough: bool = False,
    ) -> None:
        if needed and settings.time_limit_seconds:  # what is left finishes and simulates a roadmap
            seconds = (1 - LATE_SHARE) * settings.time_limit_seconds
            settings = replace(settings, time_limit_seconds=seconds)
        super().__init__(parts, settings)
        self.first, self.explain, self.needed, self.rough = first, explain, needed, rough
        self.risen_to, self.knows_blocks = -math.inf, bool(parts.learned.impossible)

    def _chosen(self, worst: list[Block]) -> list[Block]:
        """None as long as cuts raise the bound, then the worst of each node.

        A few of all would take as many rounds as there are nodes.
        """
        if self.lower > self.risen_to + TIGHT * abs(self.lower):
            self.risen_to = self.lower
            return []
        found: dict[str, list[Block]] = {}
        for block in worst:
            found.setdefault(self.node_by_block[block], []).append(block)
        few = super()._chosen
        return [block for blocks in found.values() for block in few(blocks)]

    def _round_up(self) -> None:
        """Where time ends and there is no other roadmap: orders of the relaxation rounded up."""
        if self.needed:
            super()._round_up()

    def _decided(self) -> Iterable[Variable]:
        return self.parts.roadmap.orders.values()

    def _relaxed(self) -> Solution | None:
        """Solve the relaxation, unless a roadmap near the last one is proven without.

        Where whole numbers are many, that takes longer than both.
        """
        if self.first and math.isfinite(self.parts.bound):
            whole = {
                x: self.first[x.name] for x in self.parts.whole_variables if x.name in self.first
            }
            if not self.parts.is_large and self._nearby(whole):
                return self._ended("optimal")
        return super()._relaxed()

    def _is_enough(self, before: float) -> bool:
        """Where orders are found period by period, which meets what is left.

        As soon as the bound hardly rises, or blocks are known that orders did not meet before.
        """
        little = self.lower - before <= RELAXED_SHARE * self.settings.gap * abs(self.lower)
        return self.parts.is_large and (little or self.knows_blocks)

    def _whole(self) -> Solution:
        """Solve for whole orders: where they are many, from a roadmap found period by period."""
        self.parts.note_worth()
        if self.parts.is_large and self._by_period(self.parts.whole_variables):
            if self._proven():
                return self._ended("optimal")
            if self.rough:
                return self._ended("feasible")
        return super()._whole()

    def _by_period(self, whole: Sequence[Variable]) -> bool:
        """Settle whole numbers of a period after the other, those of later ones in part.

        Relax and fix: a period is solved again, with the cuts of its failures, until it has
        recourse for all of them. Its orders are those in part, rounded down or up, if they can be.
        A finer gap than the widest is left to what comes after: this is the first roadmap there is.

        Parameters
        ----------
        whole
            Whole variables that are not settled.
        """
        solution = None
        with limited({x: (x.low, x.high) for x in whole}), _in_part(whole):
            for period, variables in sorted(self._by_arrival(whole).items()):
                for variable in variables:
                    variable.integer = True
                blocks = [b for b in self.blocks if self._period_of(b) == period]
                with limited(self._rounded(variables)):
                    solution = self._settled(blocks)
                solution = solution or self._settled(blocks)
                if solution is None:
                    return False
                for variable in variables:
                    variable.low = variable.high = solution.values[variable.name]
                self.parts.progress(f"period {period} in whole numbers")
            upper, found = self._evaluated(self.blocks, needed=True)
        if solution is not None and upper < self.upper:
            self._improve(solution, upper, found)
        self._say("period by period", self.upper)
        return math.isfinite(upper)

    def _rounded(self, variables: Iterable[Variable]) -> dict[Variable, tuple[float, float]]:
        """Bounds on the orders among some variables: their values in part, rounded down and up."""
        parts = {x: x.value or 0.0 for x in {*self._decided()}.intersection(variables)}
        return {
            x: (max(x.low, math.floor(n + ROUNDED)), min(x.high, math.ceil(n - ROUNDED)))
            for x, n in parts.items()
        }

    def _period_of(self, block: Block) -> int:
        return self.parts.roadmap.nodes[self.node_by_block[block]].node.period

    def _by_arrival(self, whole: Sequence[Variable]) -> dict[int, list[Variable]]:
        """Whole variables by period: orders by that in which they come into service."""
        roadmap = self.parts.roadmap
        periods = {
            variable: roadmap.nodes[key.node].node.period + roadmap.items[key[1:]].lead_periods
            for key, variable in roadmap.orders.items()
        }
        own = {part(name): each.node.period for name, each in roadmap.nodes.items()}
        found: dict[int, list[Variable]] = {}
        for variable in whole:
            period = periods.get(variable) or own[variable.name.partition(".")[0]]
            found.setdefault(period, []).append(variable)
        return found

    def _settled(self, blocks: Sequence[Block]) -> Solution | None:
        """The master as it is, until some blocks have recourse; None without a solution."""
        while True:
            solution = solve(self.master.programme(), self.deadline.settings(WIDEST_GAP))
            if solution.status == "infeasible":
                return None
            found = self.parts.evaluator.evaluate_all(
                blocks, self._purchases(), lambda: self.deadline.over
            )
            self.master.learn(found)
            if all(made.impossible is None for made in found.values()):
                return solution

    @cached_property
    def node_by_block(self) -> dict[Block, str]:
        """Node of each block: blocks of two nodes concern other purchases."""
        return {
            piece.block: node_of(failure.name)
            for failure in self.parts.failures
            for piece in failure.pieces
        }

    def _impossible(self, found: Mapping[Block, Evaluation]) -> tuple[str, ...]:  # noqa: ARG002
        """None: the master itself says so, and by which failures."""
        return ()

    def _conflict(self) -> tuple[str, ...]:
        if not self.explain:
            return ()
        asked = self.parts.failures, self.deadline
        return tuple(self.parts.unmet(*asked) or self.parts.unmet(*asked, whole=True))

    def _begin(self) -> Start | None:
        return self.best.values if self.best else self.first

    def relaxed(self) -> float | None:
        """Least cost with orders in part, USD; None where there is no roadmap even so.

        Where blocks are many, of those that some orders did not meet before, and of few others.

        Raises
        ------
        SolverError
            If time ends before.
        """
        self.lower = -math.inf
        try:
            self._prepare()
            ended = self._relaxed_with(list(self.few)) if self.least else self._relaxed()
        except OutOfTime:
            raise SolverError(UNFINISHED) from None
        return None if ended is not None else self.lower


@contextmanager
def _in_part(whole: Iterable[Variable]) -> Iterator[None]:
    """Let whole variables have values in part."""
    try:
        for variable in whole:
            variable.integer = False
        yield
    finally:
        for variable in whole:
            variable.integer = True


def relaxed_cost(parts: RoadmapParts, settings: SolverSettings) -> float | None:
    """Least cost of a roadmap with orders in part, USD; None where there is none even so.

    Raises
    ------
    SolverError
        If time ends before.
    """
    return RoadmapLoop(parts, settings, None, explain=False).relaxed()


def solve_roadmap(
    parts: RoadmapParts,
    settings: SolverSettings,
    start: Mapping[str, float] | None = None,
    explain: bool = True,
    needed: bool = True,
    rough: bool = False,
) -> Solution:
    """Solve the programme of a roadmap: in parts, or in one piece where that is asked for.

    Parameters
    ----------
    start
        Values of whole variables to start from.
    explain
        Whether to find the failures that leave no roadmap, where there is none.
    needed
        Whether there is no other roadmap: then orders are rounded up where time ends.
    rough
        Whether orders that are found period by period do, at whatever gap.

    Raises
    ------
    SolverError
        If the solver fails, or time ends before there is a roadmap.
    """
    if settings.name == "highs" and settings.method != "extensive":
        return RoadmapLoop(parts, settings, start, explain, needed, rough).run()
    deadline = Deadline(settings)
    parts.lay_out(deadline)
    blocks = {piece.block: None for failure in parts.failures for piece in failure.pieces}
    # A cut of nothing: with no cut at all the master leaves the cost of recourse out.
    everything = Learned(whole=blocks, cuts=[{}])
    whole = Master(parts.base, parts.data, parts.failures, *parts.bounds(), everything)
    run_solver(whole.programme().problem, settings, linear=True)
    parts.note_worth()
    solution = solve(whole.programme(), settings, start)
    if solution.status == "infeasible":
        return solution
    return replace(solution, once_usd=parts.recourse_of(solution.values, deadline)[0])
