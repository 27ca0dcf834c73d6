"""The loop of the decomposition: solve the master, evaluate blocks, learn, repeat.

First the linear relaxation, where solves are cheap, until bounds meet; then whole numbers. The
lower bound is that of the master, which is a relaxation; the upper bound is the cost of purchases
and normal operation in its solution plus the least cost of recourse of every scenario.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial

import numpy as np

from planner.amounts import percent
from planner.errors import SolverError
from planner.infrastructure.fleet import Fleet
from planner.optimization.decomposition.blocks import Block, Floats
from planner.optimization.decomposition.evaluation import MISSED, Evaluation
from planner.optimization.decomposition.master import Failure, Learned, Master
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.algebra import Variable
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.risk import MILLION
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.optimization.solution.decisions import counts_of, limited, variables
from planner.optimization.solution.settings import SolverSettings, relative_gap
from planner.optimization.solution.solving import Solution, Start, Status, run_solver, solve

#: Relative gap at which the relaxation ends, as a share of the gap asked for, and at least.
RELAXED_SHARE, RELAXED_LEAST = 0.25, 1e-6
#: Share of the gap for the solver of the master, the rest is for what cuts leave open; and the
#: widest that it gets. HiGHS took six times as long to stop at twice that, on hyperscaler-12.
GAP_SHARE, WIDEST_GAP = 0.5, 1e-3
#: Blocks that a round adds to the master whole.
WHOLE_BLOCKS = 2
#: Blocks with which the relaxation begins, where there are more.
FEW_BLOCKS = 1500
#: Relative distance of a cut from the value of its block that counts as none.
TIGHT = 1e-7
#: Gap of a first plan where time is over, and how long it may take: a share of the time spent.
ROUGH_GAP, LATE_SHARE, LATE_LEAST_SECONDS = 0.1, 0.2, 10.0
#: Distance from a whole number that counts as rounding of the solver.
ROUNDED = 1e-6
#: How far from the last plan a later round looks first: so many of a kind, and a share of them.
NEAR, NEAR_SHARE, NEAR_ROUNDS = 2, 0.05, 3
#: How many scenarios are named in one line.
FEW_NAMES = 8
#: Flows in all stages from which on the decomposition is the faster way.
MANY_FLOWS = 4000
UNFINISHED = "time ended without a plan or a proof; allow more with --time-limit"


class Loop:
    """One solve by decomposition.

    Parameters
    ----------
    parts
        The programme.
    start
        Fleet of an earlier plan, from which the search for whole numbers starts.
    """

    def __init__(
        self, parts: Decomposition, settings: SolverSettings, start: Fleet | None = None
    ) -> None:
        self.parts, self.settings, self.start = parts, settings, start
        self.started, self.deadline = time.perf_counter(), Deadline(settings)
        self.lower, self.upper = parts.bound, math.inf
        self.best: Solution | None = None
        self.fractional: dict[Variable, float] = {}
        self.once_usd: Mapping[str, float] = {}

    def _prepare(self, learned: Learned | None = None) -> None:
        parts = self.parts
        parts.lay_out(self.deadline)
        learned = learned or parts.learned
        self.master = Master(parts.base, parts.data, parts.failures, *parts.bounds(), learned)
        self.weights, self.blocks = self.master.weights(), self.master.blocks
        step = max(1, len(self.blocks) // FEW_BLOCKS)
        chosen = (piece.block for one in parts.failures[::step] for piece in one.pieces)
        self.few = dict.fromkeys(chosen if step > 1 else self.blocks)
        known = {*self.blocks}
        self.few |= dict.fromkeys(block for block, _ in learned.impossible if block in known)
        self.least = {block: block.least for block in self.blocks if block not in self.few}

    def run(self) -> Solution:
        """Solve; values are those of purchases and normal operation, recourse is worked out anew.

        Raises
        ------
        SolverError
            If time ends before there is a plan, or the solver fails.
        """
        try:
            self._prepare()
            solution = self._relaxed() or self._whole()
        except (OutOfTime, SolverError) as error:
            if self.best is None and self.deadline.over:
                with suppress(OutOfTime, SolverError):
                    self._round_up()
            if self.best is None or not self.deadline.over:
                raise SolverError(UNFINISHED if isinstance(error, OutOfTime) else error) from None
            solution = self._ended("feasible")
        self.parts.bound = self.lower
        return self._sized(solution)

    def _sized(self, solution: Solution) -> Solution:
        rows, columns = self.parts.size
        seconds = time.perf_counter() - self.started
        return replace(solution, seconds=seconds, rows=rows, columns=columns)

    def settled(self) -> Solution:
        """Solve with all that recourse depends on fixed: each block once, without cuts.

        Raises
        ------
        SolverError
            If time ends before, or the solver fails.
        """
        self._prepare(Learned())
        solution = solve(self.master.programme(), self.deadline.settings())
        if solution.status == "infeasible":
            return solution
        upper, found = self._evaluated(self.blocks)
        if math.isinf(upper):
            return self._refused(self.parts.base, ())
        self.lower = upper - (solution.objective - solution.bound)
        self._improve(solution, upper, found)
        return self._sized(self._ended(solution.status))

    def _relaxed(self) -> Solution | None:
        """Solve the relaxation; a solution only if it is infeasible.

        Where blocks are many, first with few of them, to which those are added whose cuts were
        loose whenever all are evaluated.
        """
        before = -math.inf
        while True:
            solution = self._relaxed_with(list(self.few))
            if solution is not None or not self.least or self._is_enough(before):
                return solution
            before = self.lower
            upper, found = self._evaluated(self.blocks)
            alone = self._impossible(found)
            if alone:
                return self._refused(self.parts.base, alone)
            self._say("relaxation", upper)
            missing = self._missing(found)
            self._enlarge(missing)
            loose = [block for _, _, block in missing if block in self.least]
            if not loose or self._is_relaxed(upper, self.lower):
                return None
            self.few |= dict.fromkeys(loose)
            for block in loose:
                del self.least[block]

    def _is_enough(self, before: float) -> bool:  # noqa: ARG002
        """Whether whole numbers are sought before all blocks meet the relaxation."""
        return False

    def _relaxed_with(self, blocks: Sequence[Block]) -> Solution | None:
        """Solve the relaxation as far as some blocks tell; a solution only if it is infeasible."""
        least = -math.inf
        while True:
            programme, before = self.master.programme(), least
            run = run_solver(programme.problem, self.deadline.settings(), linear=True)
            if not run.stats.has_solution:
                solution = solve(programme, self.deadline.settings())
                if solution.status != "infeasible":
                    return None
                return replace(solution, conflict=self._conflict())
            least = programme.problem.objective.evaluated() - run.hidden
            self.lower = max(self.lower, least)
            upper, found = self._evaluated(blocks)
            if math.isfinite(upper):
                self.fractional = {one: one.value or 0.0 for one in self._decided()}
            alone = self._impossible(found)
            if alone:
                return self._refused(programme, alone)
            self._say("relaxation", upper if len(blocks) == len(self.blocks) else math.inf)
            if self._is_relaxed(upper, least):
                return None
            rose = math.isinf(before) or least - before > TIGHT * abs(least)
            if not self._enlarge(self._missing(found)) and not rose:
                return None

    def _is_relaxed(self, upper: float, least: float) -> bool:
        """Whether bounds on the relaxation are close enough."""
        relaxed = max(RELAXED_LEAST, RELAXED_SHARE * self.settings.gap)
        return relative_gap(upper, least) <= relaxed

    def _whole(self) -> Solution:
        """Solve for whole numbers of purchases."""
        share = GAP_SHARE
        if self.start and math.isfinite(self.parts.bound):
            chosen, counts = variables(self.parts.base), counts_of(self.parts.base, self.start)
            if self._nearby({chosen[key]: count for key, count in counts.items()}):
                return self._ended("optimal")
        while True:
            programme, before = self.master.programme(), (self.lower, self.upper)
            start = self._begin()
            gap = min(share * self.settings.gap, WIDEST_GAP)
            solution = solve(programme, self.deadline.settings(gap), start)
            if solution.status == "infeasible":
                return replace(solution, conflict=self._conflict())
            self.lower = max(self.lower, solution.bound)
            upper, found = self._evaluated(self.blocks, needed=self.best is None)
            if upper < self.upper:
                self._improve(solution, upper, found)
            self._say("whole numbers", self.upper)
            if self.best and self._proven():
                return self._ended("optimal")
            if self.best and not share:
                return self._ended("feasible")
            if not self._enlarge(self._missing(found)) and before == (self.lower, self.upper):
                share = 0.0  # cuts say all that there is: only the gap of the master is left

    def _decided(self) -> Iterable[Variable]:
        """Variables of what is bought."""
        return variables(self.parts.base).values()

    def _round_up(self) -> None:
        """Where time ends before there is a plan: as much as the relaxation rounded up."""
        if not self.fractional:
            return
        counts = {x: min(x.high, math.ceil(n - ROUNDED)) for x, n in self.fractional.items()}
        with limited({x: (count, x.high) for x, count in counts.items()}):
            solution = solve(self.master.programme(), self.late.settings(ROUGH_GAP))
        if solution.status != "infeasible":
            upper, found = self._evaluated(self.blocks, needed=True)
            if math.isfinite(upper):
                self._improve(solution, upper, found)

    @cached_property
    def late(self) -> Deadline:
        """Time for a first plan where time is over, from now on."""
        spent = LATE_SHARE * (time.perf_counter() - self.started)
        left = max(LATE_LEAST_SECONDS, spent)
        return Deadline(replace(self.deadline.endless, time_limit_seconds=left))

    def _begin(self) -> Start | None:
        """Where the search for whole numbers starts."""
        return self.best.fleet if self.best else self.start

    def _nearby(self, counts: Mapping[Variable, float]) -> bool:
        """Whether a plan near that of the last round is proven by the bound of the last round."""
        limits = {}
        for variable, count in counts.items():
            step = max(NEAR, round(NEAR_SHARE * count))
            limits[variable] = max(variable.low, count - step), min(variable.high, count + step)
        for _ in range(NEAR_ROUNDS):
            programme = self.master.programme()
            with limited(limits):
                gap = min(GAP_SHARE * self.settings.gap, WIDEST_GAP)
                solution = solve(programme, self.deadline.settings(gap))
            if solution.status == "infeasible":
                return False
            upper, found = self._evaluated(self.blocks)
            if upper < self.upper:
                self._improve(solution, upper, found)
            self._say("near the last plan", self.upper)
            if self.best and self._proven():
                return True
            if not self._is_within_gap(solution.bound):
                return False  # nothing near costs so little as the bound asks for
            self._enlarge(self._missing(found))
        return False

    def _conflict(self) -> tuple[str, ...]:
        """Scenarios without recourse whatever is bought, or all that leave no plan together."""
        learned, most = self.master.learned, self.parts.largest_purchases()
        found = self.parts.evaluator.evaluate_all(self.blocks, most)
        asked = {*learned.whole, *(block for block, _ in learned.impossible)}
        asked |= {block for block, made in found.items() if made.impossible is not None}
        together = [one for one in self.master.failures if asked & {p.block for p in one.pieces}]
        return self._alone(together) or tuple(one.name for one in together)

    def _impossible(self, found: Mapping[Block, Evaluation]) -> tuple[str, ...]:
        """Scenarios without recourse whatever is bought, as soon as a cut shows that of one."""
        most = self.parts.largest_purchases()
        cuts = (made.impossible for made in found.values())
        if not any(cut is not None and cut.at(most) > MISSED for cut in cuts):
            return ()
        at_most = self.parts.evaluator.evaluate_all(self.blocks, most)
        missed = {block for block, made in at_most.items() if made.impossible is not None}
        return self._alone(f for f in self.master.failures if missed & {p.block for p in f.pieces})

    def _alone(self, failures: Iterable[Failure]) -> tuple[str, ...]:
        """Those of some scenarios that leave no plan even without all others."""
        alone = tuple(failure.name for failure in failures if self._is_impossible(failure))
        if alone:
            few = ", ".join(alone[:FEW_NAMES]) + (" …" if len(alone) > FEW_NAMES else "")
            self.parts.progress(f"{len(alone):,} scenarios leave no plan even alone: {few}")
        return alone

    def _refused(self, programme: Programme, conflict: tuple[str, ...]) -> Solution:
        """No plan, for some scenarios."""
        none, fleet = math.inf, Fleet.existing(programme.data.model)
        return Solution("infeasible", none, none, {}, fleet, 0.0, 0, 0, conflict=conflict)

    def _is_impossible(self, failure: Failure) -> bool:
        """Whether a scenario leaves no plan, without any other."""
        most = self.parts.largest_purchases()
        blocks = {piece.block: None for piece in failure.pieces}
        found = self.parts.evaluator.evaluate_all(list(blocks), most)
        if all(made.impossible is None for made in found.values()):
            return False
        alone = Master(
            self.parts.base,
            self.parts.data.with_learned(()),
            (failure,),
            *self.parts.bounds(),
            Learned(whole=blocks),
        )
        run = run_solver(alone.programme().problem, self.deadline.settings(), linear=True)
        return not run.stats.has_solution

    def _proven(self) -> bool:
        return self._is_within_gap(self.upper)

    def _is_within_gap(self, usd: float) -> bool:
        return self.settings.proves(relative_gap(usd, self.lower))

    def _improve(self, solution: Solution, upper: float, found: Mapping[Block, Evaluation]) -> None:
        """Keep the purchases of the master as the best so far."""
        values = {x.name: solution.values[x.name] for x in self.parts.base.problem.variables}
        self.upper, self.best = upper, replace(solution, objective=upper, values=values)
        self.once_usd = self.master.once_usd({block: made.value for block, made in found.items()})

    def _ended(self, status: Status) -> Solution:
        """The best plan with its bound, recourse worked out when it is asked for."""
        if self.best is None:
            raise ValueError("There is no plan.")
        return replace(
            self.best,
            status=status,
            bound=min(self.lower, self.upper),
            start_used=self.best.start_used if self.start else None,
            recourse=partial(self.parts.recourse, self.parts.data, self.best),
            by_state=partial(self.parts.by_state, self.parts.data, self.best),
            once_usd=self.once_usd,
        )

    def _say(self, what: str, upper: float) -> None:
        left = self.deadline.left_seconds
        ends = "" if math.isinf(left) else f", {max(0.0, left):.0f} s left"
        between = f"at least {self.lower / MILLION:,.2f} {self.parts.unit}"
        if math.isfinite(upper) and upper >= self.lower:  # else only the relaxation costs so little
            gap = percent(relative_gap(upper, self.lower), 3)
            between += f", at most {upper / MILLION:,.2f} M, gap {gap}"
        whole = self.master.learned.whole
        active = {f.name for f in self.master.failures if any(p.block in whole for p in f.pieces)}
        count = f"{len(active):,} of {len(self.master.failures):,} scenarios in the master"
        self.parts.progress(f"{what}: {between}; {count}{ends}")

    def _evaluated(
        self, blocks: Sequence[Block], needed: bool = False
    ) -> tuple[float, dict[Block, Evaluation]]:
        """Cost of the master's purchases with the recourse of blocks; teaches it their cuts.

        Other blocks count with what they cost at least.

        Parameters
        ----------
        needed
            Whether there is no plan without it: then it may end late.

        Raises
        ------
        OutOfTime
            If time ends before the blocks are evaluated.
        """
        found = self.parts.evaluator.evaluate_all(
            blocks,
            self._purchases(),
            lambda: self.deadline.over and (not needed or self.late.over),
        )
        self.master.learn(found)
        fixed = self.parts.base.problem.objective.evaluated()
        values = self.least | {block: made.value for block, made in found.items()}
        return fixed + self.master.recourse_usd(values), found

    def _purchases(self) -> Floats:
        """Values of the variables of the master."""
        return np.array([variable.value or 0.0 for variable in self.parts.base.problem.variables])

    def _missing(self, found: Mapping[Block, Evaluation]) -> list[tuple[float, float, Block]]:
        """Blocks whose cuts were loose, the worst first: what each missed, and USD a year."""
        purchases, learned = self._purchases(), self.master.learned
        missing: list[tuple[float, float, Block]] = []
        least = TIGHT * abs(self.upper if math.isfinite(self.upper) else 1.0)
        for block, made in found.items():
            if block in learned.whole:
                continue
            if made.impossible is not None:
                missing.append((made.impossible.at(purchases), math.inf, block))
                continue
            weight = self.weights[block]
            if weight * (made.value - block.least) > least:
                earlier = {cuts[block]: None for cuts in learned.cuts[:-1] if block in cuts}
                known = max((cut.at(purchases) for cut in earlier), default=block.least)
                if weight * (made.value - known) > least:
                    missing.append((0.0, weight * (made.value - known), block))
        return sorted(missing, key=lambda one: one[:2], reverse=True)

    def _enlarge(self, missing: Sequence[tuple[float, float, Block]]) -> int:
        """Take the blocks into the master whose cuts were worst; how many."""
        chosen = self._chosen([block for _, _, block in missing])
        self.master.learned.whole |= dict.fromkeys(chosen)
        return len(chosen)

    def _chosen(self, worst: list[Block]) -> list[Block]:
        """Blocks that a round adds to the master whole, of those that need it, the worst first."""
        return worst[:WHOLE_BLOCKS]


def decomposes(data: ProblemData, settings: SolverSettings) -> bool:
    """Whether a programme is solved by decomposition: as asked for, or by its size."""
    if settings.method != "auto":
        return settings.method == "decomposed"
    flows = sum(len(group.clusters) + len(group.offers) for group in data.groups)
    return settings.name == "highs" and len(data.stages) * flows >= MANY_FLOWS


def solve_in_parts(
    parts: Decomposition, settings: SolverSettings, start: Fleet | None = None
) -> tuple[Programme, Solution]:
    """Solve a programme by decomposition.

    Parameters
    ----------
    start
        Fleet of an earlier plan to start from.

    Returns
    -------
    Programme, Solution
        Purchases and normal operation, with the data of all scenarios; the solution works the
        recourse of each scenario out when it is asked for (`solving.parts_of`).
    """
    solution = Loop(parts, settings, start).run()
    return replace(parts.base, data=parts.data), solution
