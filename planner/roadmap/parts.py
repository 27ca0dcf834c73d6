"""The programme of a roadmap solved in parts: every failure in every node is a block of its own."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field

import numpy as np

from planner.optimization.decomposition.alike import Place
from planner.optimization.decomposition.blocks import Block
from planner.optimization.decomposition.changes import stricter, unchanged
from planner.optimization.decomposition.evaluation import MISSED, Cut
from planner.optimization.decomposition.master import Failure, Learned, Master
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.algebra import AT_MOST, Constraint, Problem, Variable, sum_of
from planner.optimization.formulation.labels import joined, label
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.solving import run_solver
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
    def by_period(self) -> bool:
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
