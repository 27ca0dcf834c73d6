"""The master: purchases and normal operation, some blocks whole, bounds on the cost of the rest.

Blocks belong to groups: to a few of them, or to one for each scenario where a risk policy needs the
cost of each. The cost of a group beyond what its blocks cost at least is a column θ ≥ 0, bounded by
the sum of the cuts of its blocks that are not in the master themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from planner.optimization.decomposition.blocks import Block, Floats, Piece, Whole
from planner.optimization.decomposition.evaluation import Cut, Evaluation
from planner.optimization.formulation.algebra import (
    AT_LEAST,
    AT_MOST,
    Constraint,
    Expression,
    Problem,
    sum_of,
)
from planner.optimization.formulation.labels import label
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.purchases import simulated_cuts
from planner.optimization.formulation.risk import MILLION, premium, risk_figures
from planner.optimization.formulation.variables import RiskVariables

#: Groups of blocks where no risk policy needs the cost of each scenario.
GROUPS = 24
#: Share of a constant up to which what is left of it is rounding.
RESIDUE = 1e-9


@dataclass(frozen=True, eq=False)
class Failure:
    """A scenario as the decomposition sees it.

    Parameters
    ----------
    pieces
        Its blocks.
    alone
        Its rows on purchases alone.
    constant_usd
        Cost of one occurrence with no recourse at all.
    """

    name: str
    frequency_per_year: float
    pieces: tuple[Piece, ...]
    alone: tuple[Constraint, ...]
    constant_usd: float


@dataclass
class Learned:
    """What is known of blocks.

    Attributes
    ----------
    whole
        Blocks that are in the master with all their columns and rows.
    cuts
        For each evaluation the cut of every block.
    impossible
        Bounds on what blocks miss, which have to be at most zero.
    """

    whole: dict[Block, None] = field(default_factory=dict)
    cuts: list[dict[Block, Cut]] = field(default_factory=list)
    impossible: list[tuple[Block, Cut]] = field(default_factory=list)

    def about(self, blocks: Collection[Block]) -> Learned:
        """What is known of some blocks."""
        return Learned(
            {block: None for block in self.whole if block in blocks},
            [{block: cut for block, cut in cuts.items() if block in blocks} for cuts in self.cuts],
            [(block, cut) for block, cut in self.impossible if block in blocks],
        )


@dataclass
class _Others:
    """Blocks of a group that are not in the master themselves.

    Attributes
    ----------
    weights
        Weight of each.
    sums
        Sums of their cuts by number of the evaluation, in millions, as far as they are known.
    """

    blocks: list[Block]
    weights: list[float]
    sums: dict[int, Cut] = field(default_factory=dict)

    @cached_property
    def least(self) -> float:
        """What they cost at least, whatever is bought, USD."""
        return sum(w * block.least for block, w in zip(self.blocks, self.weights, strict=True))

    @cached_property
    def span(self) -> float:
        """Most by which their cost can exceed that, USD."""
        return sum(w * block.span for block, w in zip(self.blocks, self.weights, strict=True))


@dataclass
class Master:
    """The master problem, rebuilt for every solve.

    Attributes
    ----------
    base
        Programme of purchases and normal operation.
    data
        All scenarios.
    groups
        Weight of each block in each group, USD a year, or of one occurrence under a risk policy.
    low, high
        Bounds on the variables of the base.
    learned
        What is known of blocks.
    """

    base: Programme
    data: ProblemData
    failures: tuple[Failure, ...]
    low: Floats
    high: Floats
    learned: Learned = field(default_factory=Learned)
    groups: dict[str, dict[Block, float]] = field(default_factory=dict)
    _known: dict[str, _Others] = field(default_factory=dict)

    def __post_init__(self) -> None:
        step = max(1, -(-len(self.failures) // GROUPS))
        for index, failure in enumerate(self.failures):
            name = failure.name if self.by_scenario else str(index // step)
            weight = 1.0 if self.by_scenario else failure.frequency_per_year
            group = self.groups.setdefault(name, {})
            for piece in failure.pieces:
                group[piece.block] = group.get(piece.block, 0.0) + weight * piece.factor

    @property
    def by_scenario(self) -> bool:
        """Whether a risk policy needs the cost of each scenario."""
        policy = self.data.model.policies.risk
        return policy.kind != "expected" and bool(policy.beta)

    @property
    def blocks(self) -> list[Block]:
        """All blocks, each once."""
        return list({block: None for group in self.groups.values() for block in group})

    def weights(self) -> dict[Block, float]:
        """Expected USD a year by block, for each unit of its value."""
        found: dict[Block, float] = {}
        for failure in self.failures:
            for piece in failure.pieces:
                more = failure.frequency_per_year * piece.factor
                found[piece.block] = found.get(piece.block, 0.0) + more
        return found

    def learn(self, found: Mapping[Block, Evaluation]) -> None:
        """Add the cuts of an evaluation; blocks that it left out keep those of the last."""
        last = self.learned.cuts[-1] if self.learned.cuts else {}
        self.learned.cuts.append(last | {block: made.cut for block, made in found.items()})
        self.learned.impossible += [
            (block, made.impossible) for block, made in found.items() if made.impossible
        ]

    def programme(self) -> Programme:
        """The master as it is now."""
        base = self.base
        problem = Problem()
        problem.variables = list(base.problem.variables)
        problem.constraints = list(base.problem.constraints)
        made = replace(
            base, data=self.data, problem=problem, risk=RiskVariables(),
            rows=dict(base.rows), constraints=dict(base.constraints),
        )  # fmt: skip
        alone = {
            (frozenset(row.items()), row.constant, row.sense): row
            for failure in self.failures
            for row in failure.alone
        }
        problem.constraints += alone.values()
        simulated_cuts(made)
        whole = enumerate(self.learned.whole)
        costs = {block: self._add_block(problem, index, block) for index, block in whole}
        for index, (block, cut) in enumerate(self.learned.impossible):
            if block not in self.learned.whole:
                row = Constraint(cut.expression(base.problem.variables), AT_MOST)
                problem.add(row, label("possible", str(index)))
        once = {name: self._cost(problem, name, costs) for name in self.groups if self.learned.cuts}
        self._set_objective(made, once)
        return made

    def _set_objective(self, made: Programme, groups: Mapping[str, Expression]) -> None:
        base = self.base.problem.objective
        if self.by_scenario and groups:
            once = {
                one.name: _settled(groups[one.name] + one.constant_usd, one.constant_usd)
                for one in self.failures
            }
            yearly = [one.frequency_per_year * once[one.name] for one in self.failures]
            cost = sum_of([base, *yearly, premium(made, once)])
        else:
            usd = sum(one.frequency_per_year * one.constant_usd for one in self.failures)
            cost = base + _settled(sum_of([*groups.values(), usd if groups else 0.0]), usd)
        if cost.constant:
            unity = made.problem.add_variable(label("one", "failures"), 1.0, 1.0)
            cost = cost - cost.constant + cost.constant * unity
        made.problem.objective = cost

    def _cost(self, problem: Problem, name: str, whole: Mapping[Block, Expression]) -> Expression:
        """Cost of a group: θ, blocks in the master, and what the others cost at least."""
        group = self.groups[name]
        cost = sum_of(group[block] * one for block, one in whole.items() if block in group)
        others = self._others(name, whole)
        if not any(others.weights):
            return cost + others.least
        # Solvers want every number near one, and a column without a bound has no size.
        theta = problem.add_variable(label("recourse", name), 0.0, others.span / MILLION)
        for index, cuts in enumerate(self.learned.cuts):
            if index not in others.sums:
                others.sums[index] = self._summed(others, cuts)
            summed = others.sums[index]
            if len(summed.columns) or summed.constant > 0:
                row = Constraint(theta - summed.expression(self.base.problem.variables), AT_LEAST)
                problem.add(row, label("recourse_cost", name, str(index)))
        return cost + MILLION * theta + others.least

    def _others(self, name: str, whole: Collection[Block]) -> _Others:
        """Blocks of a group that are not in the master, with what is known of them."""
        group = self.groups[name]
        count = sum(block not in whole for block in group)
        known = self._known.get(name)
        if known is None or len(known.blocks) != count:  # none of them ever leaves the master
            blocks = [block for block in group if block not in whole]
            known = self._known[name] = _Others(blocks, [group[block] for block in blocks])
        return known

    def _summed(self, others: _Others, cuts: Mapping[Block, Cut]) -> Cut:
        """Sum of the cuts of some blocks above what these cost at least, in millions.

        What is left of differences of large numbers, and slopes that change nothing, are dropped;
        the cut is lowered by as much as they could raise it.
        """
        known = [
            (cuts[b], w) for b, w in zip(others.blocks, others.weights, strict=True) if b in cuts
        ]
        missing = sum(
            w * b.least for b, w in zip(others.blocks, others.weights, strict=True) if b not in cuts
        )
        constant = missing - others.least + sum(weight * cut.constant for cut, weight in known)
        empty = np.zeros(0, dtype=np.int64)
        slopes = np.bincount(
            np.concatenate([empty, *(cut.columns for cut, _ in known)]),
            np.concatenate([np.zeros(0), *(weight * cut.slopes for cut, weight in known)]),
            minlength=len(self.base.problem.variables),
        )
        columns = np.flatnonzero(slopes)
        low, high = self.low[columns], self.high[columns]
        tiny = np.abs(slopes[columns]) * (high - low) <= RESIDUE * others.span
        ends = slopes[columns] * low, slopes[columns] * high
        constant += float(np.minimum(*ends)[tiny].sum())
        if abs(constant) <= RESIDUE * others.span:
            constant = min(0.0, constant)
        kept = columns[~tiny]
        return Cut(constant / MILLION, kept, slopes[kept] / MILLION)

    def _add_block(self, problem: Problem, index: int, block: Block) -> Expression:
        """Add columns and rows of a block; its cost."""
        structure, shared = block.structure, self.base.problem.variables
        columns = [
            problem.add_variable(label("block", str(index), str(j)), 0.0, high)
            for j, high in enumerate(block.high.tolist())
        ]
        rows = [Expression(constant=-side) for side in block.side.tolist()]
        for i, j, entry in _triples(structure.row, structure.column, structure.entry):
            rows[i].terms[columns[j]] = entry
        form = block.form
        for i, j, entry in _triples(form.link_row, form.link_column, form.link_entry):
            rows[i].terms[shared[j]] = entry
        for i, (row, sense) in enumerate(zip(rows, structure.sense.tolist(), strict=True)):
            problem.add(Constraint(row, sense), label("row", str(index), str(i)))
        pairs = zip(columns, block.cost.tolist(), strict=True)
        return Expression({column: cost for column, cost in pairs if cost})

    def once_usd(self, values: Mapping[Block, float]) -> dict[str, float]:
        """Cost of one occurrence of each scenario, from the values of blocks, USD."""
        return {
            one.name: max(
                0.0,
                one.constant_usd + sum(piece.factor * values[piece.block] for piece in one.pieces),
            )
            for one in self.failures
        }

    def recourse_usd(self, values: Mapping[Block, float]) -> float:
        """Expected cost of recourse with the premium of the risk policy, USD a year."""
        if not all(np.isfinite(list(values.values()))):
            return float("inf")
        once = self.once_usd(values)
        frequencies = {one.name: one.frequency_per_year for one in self.failures}
        figures = risk_figures(self.data.model, frequencies, once)
        return figures.expected_usd_per_year + figures.premium_usd_per_year


def _triples(row: Whole, column: Whole, entry: Floats) -> Iterator[tuple[int, int, float]]:
    return zip(row.tolist(), column.tolist(), entry.tolist(), strict=True)


def _settled(cost: Expression, of_size: float) -> Expression:
    """A cost whose constant is what differences of large numbers leave, without it."""
    if abs(cost.constant) <= RESIDUE * abs(of_size):
        cost.constant = 0.0
    return cost
