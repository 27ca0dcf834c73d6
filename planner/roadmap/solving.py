"""Solves of the programme of a roadmap, in parts or in one piece."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property

from planner.errors import SolverError
from planner.optimization.decomposition.blocks import Block
from planner.optimization.decomposition.evaluation import Evaluation
from planner.optimization.decomposition.loop import (
    LATE_SHARE,
    RELAXED_SHARE,
    ROUNDED,
    TIGHT,
    UNFINISHED,
    WIDEST_GAP,
    Loop,
)
from planner.optimization.decomposition.master import Learned, Master
from planner.optimization.formulation.algebra import Variable
from planner.optimization.formulation.labels import part
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.optimization.solution.decisions import limited
from planner.optimization.solution.settings import SolverSettings, relative_gap
from planner.optimization.solution.solving import Solution, Start, run_solver, solve
from planner.roadmap.parts import RoadmapParts, node_of


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
            if not self.parts.by_period and self._nearby(whole):
                return self._ended("optimal")
        return super()._relaxed()

    def _is_enough(self, before: float) -> bool:
        """Where orders are found period by period, which meets what is left.

        As soon as the bound hardly rises, or blocks are known that orders did not meet before.
        """
        little = relative_gap(self.lower, before) <= RELAXED_SHARE * self.settings.gap
        return self.parts.by_period and (little or self.knows_blocks)

    def _whole(self) -> Solution:
        """Solve for whole orders: where they are many, from a roadmap found period by period."""
        self.parts.note_worth()
        if self.parts.by_period and self._by_period(self.parts.whole_variables):
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
