"""The programme of a roadmap: that of a plan in every node, coupled by what is ordered when.

==========  ==========================  =====================================================
symbol      attribute                   meaning
==========  ==========================  =====================================================
x[m,i]      ``RoadmapProgramme.orders``  ordered in node m: blocks, units, instances, 0 or 1
b[n,i]      `decisions.variables`       in service in node n beyond what exists
h[n,c]      existing halls              GPU places of cluster c whose life is not over
L_i, T_i    ``Item.lead_periods``, ..   periods until it is in service, and in service
w[n]        ``Node.weight``             probability times present value of 1 USD a year
==========  ==========================  =====================================================

Decisions are the same on all paths that are still the same because they are one variable of one
node (non-anticipativity by the shape of the tree).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from planner.infrastructure.entities import Model
from planner.infrastructure.horizon import Horizon
from planner.optimization.formulation.algebra import Constraint, Problem, Variable
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.labels import joined, label, part
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.purchases import simulated_cuts
from planner.roadmap.items import Item, Kind
from planner.roadmap.tree import Node, line_of


class OrderKey(NamedTuple):
    """What is ordered, and in which node."""

    node: str
    kind: Kind
    asset: str


class Section(Problem):
    """The part of a problem that belongs to a node: its names begin with that of the node."""

    def __init__(self, whole: Problem, name: str) -> None:
        super().__init__()
        self.variables, self.constraints, self.prefix = (
            whole.variables,
            whole.constraints,
            part(name),
        )

    def add_variable(
        self, name: str, low: float = 0.0, high: float = float("inf"), integer: bool = False
    ) -> Variable:
        """Add a column."""
        return super().add_variable(f"{self.prefix}.{name}", low, high, integer)

    def add_variables(self, names: Iterable[str]) -> list[Variable]:
        """Add columns from 0 upwards."""
        return super().add_variables(f"{self.prefix}.{name}" for name in names)

    def add(self, constraint: Constraint, name: str) -> Constraint:
        """Add a row and name it."""
        return super().add(constraint, f"{self.prefix}.{name}")


@dataclass
class NodeProgramme:
    """A node with its model, its scenarios and its part of the programme.

    Attributes
    ----------
    settings
        Values of the model that differ from the file, by path.
    data
        The model with all its scenarios.
    programme
        Purchases and normal operation: its purchases are what is in service.
    """

    node: Node
    settings: Mapping[str, object]
    data: ProblemData
    programme: Programme


@dataclass
class RoadmapProgramme:
    """All nodes in one problem, with the orders that couple them.

    Attributes
    ----------
    base
        The problem as a programme: purchases are in those of the nodes.
    orders
        Variable of everything that can be ordered, by node, kind and asset.
    """

    model: Model
    horizon: Horizon
    nodes: dict[str, NodeProgramme]
    items: dict[tuple[Kind, str], Item]
    base: Programme
    orders: dict[OrderKey, Variable] = field(default_factory=dict)

    @contextmanager
    def as_built(self) -> Iterator[None]:
        """Temporarily leave out the rows that were learned."""
        learned = self._forget()
        try:
            yield
        finally:
            self.base.problem.constraints += learned

    def built(self) -> list[Constraint]:
        """Rows that were not learned: also those that recourse has added since."""
        return [row for row in self.base.problem.constraints if not _is_learned(row)]

    def _forget(self) -> list[Constraint]:
        """Take out the rows that were learned; nodes share the list."""
        rows = self.base.problem.constraints
        learned = [row for row in rows if _is_learned(row)]
        rows[:] = self.built()
        return learned

    def learned(self) -> Iterator[tuple[str, Constraint]]:
        """Rows of cuts from the simulation, each with its failure as ``node/scenario``."""
        for name, each in self.nodes.items():
            for number, cut in enumerate(each.data.learned):
                row = label(Family.SIMULATED_CUT, cut.scenario, cut.subject, str(number))
                yield joined(name, cut.scenario), each.programme.constraints[row]

    def learn_anew(self) -> None:
        """Cuts from the simulation as they are in the data of the nodes, and no others."""
        self._forget()
        for each in self.nodes.values():
            simulated_cuts(replace(each.programme, data=each.data))

    @property
    def rate(self) -> float:
        """Discount rate."""
        return self.model.finance.discount_rate

    @property
    def tree(self) -> dict[str, Node]:
        """Nodes by name."""
        return {name: each.node for name, each in self.nodes.items()}

    def arrivals(self, node: Node, item: Item) -> Iterator[tuple[Variable, OrderKey]]:
        """Orders of an item that are in service in a node."""
        for earlier in line_of(self.tree, node):
            since = node.period - earlier.period - item.lead_periods
            key = OrderKey(earlier.name, *item.key)
            if 0 <= since < item.life_periods and key in self.orders:
                yield self.orders[key], key

    def starting(self, node: Node, item: Item) -> tuple[Variable, OrderKey] | None:
        """The order of an item that comes into service in a node."""
        for variable, key in self.arrivals(node, item):
            if self.nodes[key.node].node.period + item.lead_periods == node.period:
                return variable, key
        return None


def _is_learned(row: Constraint) -> bool:
    _, _, name = row.name.partition(".")  # after the node
    return name.startswith(f"{Family.SIMULATED_CUT}.")


def orders_in(
    made: RoadmapProgramme, values: Mapping[str, float]
) -> Iterable[tuple[OrderKey, int]]:
    """Orders of a solution."""
    for key, variable in made.orders.items():
        count = round(values[variable.name])
        if count:
            yield key, count


def fix_orders(made: RoadmapProgramme, decided: Mapping[OrderKey, int], periods: int) -> None:
    """Fix the orders of the first periods: these and no others."""
    for key, variable in made.orders.items():
        if made.nodes[key.node].node.period <= periods:
            variable.low = variable.high = float(decided.get(key, 0))
