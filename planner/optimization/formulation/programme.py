"""The programme: its variables, its rows and what each row means."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from pulp import LpAffineExpression, LpConstraint, LpMinimize, LpProblem, LpVariable, const, lpSum

from planner.infrastructure.supply import PowerLimit
from planner.optimization.formulation.families import Family, RowKind
from planner.optimization.formulation.labels import joined, label, part
from planner.optimization.formulation.problem import Key, ProblemData, offer_target
from planner.optimization.formulation.stages import When

#: Whether something is so: certainly (1), certainly not (0), or as measures are bought.
Availability = float | LpAffineExpression

#: Variables by stage, each with the rest of its key.
StageTable = dict[str, list[tuple[tuple[str, ...], LpVariable]]]


@dataclass(frozen=True)
class Row:
    """Meaning of a row.

    Parameters
    ----------
    family
        Constraint family.
    subject
        Region, plant, cluster, tier, offer or policy it speaks of.
    scenario
        Scenario, empty for normal operation and purchases.
    amount
        Size of the right-hand side in the row's unit, to price a relaxation.
    from_minute
        Start of the stage.
    counted_in
        Unit, where the family has none of its own.
    """

    family: Family
    subject: str
    scenario: str
    amount: float
    from_minute: float = 0.0
    counted_in: str = ""

    @property
    def kind(self) -> RowKind:
        """Whether it is a definition, a requirement or a limit."""
        return self.family.kind

    @property
    def unit(self) -> str:
        """Unit of both sides."""
        return self.family.unit or self.counted_in

    @property
    def key(self) -> Key:
        """What people speak of as one requirement or limit."""
        return self.family, self.subject, self.scenario


@dataclass
class Programme:
    """A programme under construction, and the built one.

    Attributes
    ----------
    units, blocks, instances
        Purchases: cooling units by (plant, unit), GPU blocks by cluster, instances by offer.
    retired, retired_blocks
        Existing cooling units and GPU blocks that go, like ``units`` and ``blocks``, where the
        model lets them.
    opened
        Binary by candidate region.
    holding
        Binary by region that has no GPUs yet, where a policy asks whether it gets some.
    measures
        Binary by measure.
    reacting
        Whether a combination of measures is bought, by its number, for those that change the
        reaction.
    available
        Whether a node is up, by what has failed and the node, where measures decide it.
    flow
        Requests per second by (stage label, group label, target); normal operation is ``normal``,
        the mean of the week.
    flows_to, flows_from
        The same by (stage label, target) and by (stage label, group label).
    served
        Requests per second by (stage label, zone, tier).
    active
        Powered GPUs by (stage label, cluster) where operators may switch some off.
    carried
        Heat in MW by (stage label, cluster, plant).
    used
        Emergency GPUs in use by (stage label, offer).
    load
        Mean heat in MW carried in normal operation by (plant, unit).
    design
        Design heat in MW by (cluster, primary plant).
    limits
        Limit on power that a row states, by its name.
    known
        Nodes that are down, by what has failed.
    stands
        Binary by cluster that may be empty, where it matters for who is asked first.
    apart
        Requests per second of crowds by region, where these are too many to put together.
    risk
        Costs in M USD that a risk measure needs, by (what, scenario).
    """

    data: ProblemData
    problem: LpProblem = field(default_factory=lambda: LpProblem("resilience", LpMinimize))
    rows: dict[str, Row] = field(default_factory=dict)
    constraints: dict[str, LpConstraint] = field(default_factory=dict)
    units: dict[tuple[str, str], LpVariable] = field(default_factory=dict)
    blocks: dict[str, LpVariable] = field(default_factory=dict)
    instances: dict[str, LpVariable] = field(default_factory=dict)
    retired: dict[tuple[str, str], LpVariable] = field(default_factory=dict)
    retired_blocks: dict[str, LpVariable] = field(default_factory=dict)
    opened: dict[str, LpVariable] = field(default_factory=dict)
    holding: dict[str, LpVariable] = field(default_factory=dict)
    measures: dict[str, LpVariable] = field(default_factory=dict)
    reacting: dict[int, LpVariable] = field(default_factory=dict)
    available: dict[object, Availability | None] = field(default_factory=dict)
    known: dict[object, frozenset[str]] = field(default_factory=dict)
    flow: dict[tuple[str, str, str], LpVariable] = field(default_factory=dict)
    flows_to: dict[tuple[str, str], list[LpVariable]] = field(default_factory=dict)
    flows_from: dict[tuple[str, str], list[LpVariable]] = field(default_factory=dict)
    served: dict[tuple[str, str, str], LpVariable] = field(default_factory=dict)
    active: dict[tuple[str, str], LpVariable] = field(default_factory=dict)
    carried: dict[tuple[str, str, str], LpVariable] = field(default_factory=dict)
    used: dict[tuple[str, str], LpVariable] = field(default_factory=dict)
    load: dict[tuple[str, str], LpVariable] = field(default_factory=dict)
    stands: dict[str, LpVariable] = field(default_factory=dict)
    apart: dict[str, list[LpVariable]] = field(default_factory=dict)
    risk: dict[tuple[str, str], LpVariable] = field(default_factory=dict)
    design: dict[tuple[str, str], LpVariable] = field(default_factory=dict)
    limits: dict[str, PowerLimit] = field(default_factory=dict)
    surviving: dict[object, LpAffineExpression] = field(default_factory=dict)
    _by_stage: dict[str, tuple[int, StageTable]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def variable(
        self,
        family: str,
        *name: str,
        low: float = 0.0,
        high: float | None = None,
        integer: bool = False,
    ) -> LpVariable:
        """Create a variable with a readable name."""
        category: Literal["Integer", "Continuous"] = "Integer" if integer else "Continuous"
        return self.problem.add_variable(label(family, *name), low, high, category)

    def variables(self, family: str, *name: str, last: Iterable[str]) -> list[LpVariable]:
        """Create variables from 0 upwards whose names differ in their last part only."""
        names = [part(one) for one in last]
        return self.problem.add_variable_matrix(f"{label(family, *name)}.%s", names, 0.0)

    def of_stage(
        self, what: Literal["flow", "served", "carried", "used"], stage: str
    ) -> list[tuple[tuple[str, ...], LpVariable]]:
        """Variables of a stage with what follows the stage in their keys.

        They are sorted by stage once: looking through all of them for each stage takes longer than
        everything else together where stages are many.
        """
        table: dict[tuple[str, ...], LpVariable] = getattr(self, what)
        size, found = self._by_stage.get(what, (-1, {}))
        if size != len(table):
            found = {}
            for (one, *rest), variable in table.items():
                found.setdefault(one, []).append((tuple(rest), variable))
            self._by_stage[what] = (len(table), found)
        return found.get(stage, [])

    def require(self, expression: LpAffineExpression, row: Row, *name: str) -> str:
        """Add a row that must hold, with what it means; one that is waived as far as it is not.

        Returns
        -------
        str
            Its name.
        """
        full, allowed = label(row.family, *name), self.data.waived.get(row.key, 0.0)
        if math.isinf(allowed):
            return full
        constraint = self.problem.addConstraint(expression, full)
        if allowed:
            side = 1.0 if constraint.sense == const.LpConstraintLE else -1.0
            constraint.changeRHS(side * allowed - float(constraint.constant))
        self.constraints[full] = constraint
        self.rows[full] = row
        return full

    def define(self, expression: LpAffineExpression, family: Family, *name: str) -> None:
        """Add a row that defines something and is never relaxed."""
        self.require(expression, Row(family, joined(*name), "", 0.0), *name)

    def gpus(self, cluster: str) -> LpAffineExpression:
        """GPUs of a cluster after purchases and retirements."""
        entry = self.data.model.clusters[cluster]
        count = entry.block_gpus * self.blocks[cluster] + entry.existing_gpus
        if cluster in self.retired_blocks:
            count = count - self.retired_gpus(cluster)
        return count

    def unit_count(self, plant: str, unit: str) -> LpAffineExpression:
        """Units of a type in a plant after purchases and retirements."""
        existing = self.data.model.plants[plant].existing.get(unit, 0)
        count = 1 * self.units[plant, unit] + existing
        if (plant, unit) in self.retired:
            count = count - self.retired_units(plant, unit)
        return count

    def retired_gpus(self, cluster: str) -> LpAffineExpression:
        """Existing GPUs of a cluster that go."""
        blocks = self.retired_blocks.get(cluster)
        size = self.data.model.clusters[cluster].block_gpus
        return lpSum([]) if blocks is None else size * blocks

    def retired_units(self, plant: str, unit: str) -> LpAffineExpression:
        """Existing units of a type that go from a plant."""
        units = self.retired.get((plant, unit))
        return lpSum([]) if units is None else 1 * units

    def instance_count(self, offer: str) -> LpAffineExpression:
        """Reserved instances of an offer after purchases."""
        return 1 * self.instances[offer] + self.data.model.offers[offer].existing_instances

    def in_use(self, region: str) -> LpAffineExpression:
        """Whether a region holds GPUs after purchases."""
        for binary in (self.opened.get(region), self.holding.get(region)):
            if binary is not None:
                return 1 * binary
        clusters = [self.data.model.clusters[name] for name in self.data.clusters_in(region)]
        held = any(cluster.existing_gpus for cluster in clusters)
        return LpAffineExpression.from_constant(float(held))

    def when(self, ways: When) -> Availability:
        """Whether the platform reacts in one of some ways: 0, 1 or an expression of measures."""
        if isinstance(ways, bool):
            return float(ways)
        return lpSum(self.reacting[number] for number in sorted(ways))

    def cluster_load(self, stage: str, cluster: str) -> LpAffineExpression:
        """Requests per second served by a cluster in a stage."""
        return lpSum(self.flows_to.get((stage, cluster), ()))

    def offer_load(self, stage: str, offer: str) -> LpAffineExpression:
        """Requests per second served by an offer in a stage."""
        return lpSum(self.flows_to.get((stage, offer_target(offer)), ()))
