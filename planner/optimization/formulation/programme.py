"""The mixed-integer programme: its variables, its rows and what each row means."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from planner.infrastructure.supply import PowerLimit
from planner.optimization.formulation.algebra import (
    AT_MOST,
    Constraint,
    Expression,
    Problem,
    Variable,
    each,
    sum_of,
)
from planner.optimization.formulation.availability import Availability, When
from planner.optimization.formulation.families import Family, RowKind
from planner.optimization.formulation.labels import joined, label, part
from planner.optimization.formulation.problem import Key, ProblemData, offer_target
from planner.optimization.formulation.variables import (
    AvailabilityVariables,
    NormalVariables,
    Purchases,
    RiskVariables,
    StageVariables,
)

#: Plant, unit types, number lost, rise in °C, units lost by name.
SurvivorKey = tuple[str, frozenset[str], int, float, frozenset[tuple[str, int]]]


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
        """Rows that are reported as one requirement or limit."""
        return self.family, self.subject, self.scenario


@dataclass
class Programme:
    """A programme under construction, and the built one.

    Attributes
    ----------
    data
        What it is built from.
    problem
        What the solver is given.
    rows, constraints
        What each row means, and the row itself, by its name (`require`).
    limits
        Limit on power that a row states, by its name (`power.require_power`).
    purchases, normal, availability, risk
        Variables by what they describe; each group says who creates them.
    by_stage
        Recourse by stage label; that of normal operation under ``normal``.
    here_and_now
        The programme that has purchases and normal operation, where this one has the recourse of
        some scenarios alone (`build.build_part`); it gets rows on purchases alone.
    preempted
        Work that is interrupted, requests/s, by (scenario, preemptible tier).
    surviving
        Capacity of plants without their largest units, as far as `purchases.surviving_capacity`
        has worked it out: by plant, unit types, number lost, rise in °C and units lost by name.
    """

    data: ProblemData
    problem: Problem = field(default_factory=Problem)
    rows: dict[str, Row] = field(default_factory=dict)
    constraints: dict[str, Constraint] = field(default_factory=dict)
    limits: dict[str, PowerLimit] = field(default_factory=dict)
    purchases: Purchases = field(default_factory=Purchases)
    normal: NormalVariables = field(default_factory=NormalVariables)
    by_stage: dict[str, StageVariables] = field(default_factory=dict)
    availability: AvailabilityVariables = field(default_factory=AvailabilityVariables)
    risk: RiskVariables = field(default_factory=RiskVariables)
    surviving: dict[SurvivorKey, Expression] = field(default_factory=dict)
    preempted: dict[tuple[str, str], Variable] = field(default_factory=dict)
    here_and_now: Programme | None = None

    def copied(self) -> Programme:
        """The same programme with rows of its own, which may be relaxed; variables are shared."""
        problem, copies = Problem(self.problem.first_id), dict[int, Constraint]()
        problem.variables = list(self.problem.variables)
        for row in self.problem.constraints:
            copies[id(row)] = problem.add(Constraint(1 * row.expression, row.sense), row.name)
        problem.objective = 1 * self.problem.objective
        up = self.availability
        return replace(
            self,
            problem=problem,
            rows=dict(self.rows),
            constraints={name: copies[id(row)] for name, row in self.constraints.items()},
            availability=replace(up, nodes=dict(up.nodes), any_of=dict(up.any_of)),
            surviving=dict(self.surviving),
        )

    def until_now(self) -> Programme:
        """The same programme without columns and rows that recourse adds from here on."""
        problem = Problem(self.problem.first_id)
        problem.variables = list(self.problem.variables)
        problem.constraints = list(self.problem.constraints)
        problem.objective = self.problem.objective
        return replace(self, problem=problem)

    @property
    def first(self) -> Programme:
        """Where variables and rows go that are decided here and now."""
        return self.here_and_now or self

    def variable(
        self,
        family: str,
        *name: str,
        low: float = 0.0,
        high: float = math.inf,
        integer: bool = False,
    ) -> Variable:
        """Create a variable with a readable name."""
        return self.problem.add_variable(label(family, *name), low, high, integer)

    def variables(self, family: str, *name: str, last: Iterable[str]) -> list[Variable]:
        """Create variables from 0 upwards whose names differ in their last part only."""
        beginning = label(family, *name)
        return self.problem.add_variables([f"{beginning}.{part(text)}" for text in last])

    def require(self, relation: Constraint, row: Row, *name: str) -> str:
        """Add a row with its meaning, relaxed as far as it is waived (`ProblemData.waived`).

        Returns
        -------
        str
            Its name.
        """
        full, allowed = label(row.family, *name), self.data.waived.get(row.key, 0.0)
        if math.isinf(allowed):
            return full
        constraint = self.problem.add(relation, full)
        if allowed:
            constraint.constant -= allowed if constraint.sense == AT_MOST else -allowed
        self.constraints[full] = constraint
        self.rows[full] = row
        return full

    def define(self, relation: Constraint, family: Family, *name: str) -> None:
        """Add a row that defines something and is never relaxed."""
        self.require(relation, Row(family, joined(*name), "", 0.0), *name)

    def gpus(self, cluster: str) -> Expression:
        """GPUs of a cluster after purchases and retirements."""
        entry = self.data.model.clusters[cluster]
        count = entry.block_gpus * self.purchases.blocks[cluster] + entry.existing_gpus
        if cluster in self.purchases.retired_blocks:
            count = count - self.retired_gpus(cluster)
        return count

    def unit_count(self, plant: str, unit: str) -> Expression:
        """Units of a type in a plant after purchases and retirements."""
        existing = self.data.model.plants[plant].existing.get(unit, 0)
        count = 1 * self.purchases.units[plant, unit] + existing
        if (plant, unit) in self.purchases.retired:
            count = count - self.retired_units(plant, unit)
        return count

    def retired_gpus(self, cluster: str) -> Expression:
        """Existing GPUs of a cluster that are retired."""
        blocks = self.purchases.retired_blocks.get(cluster)
        size = self.data.model.clusters[cluster].block_gpus
        return Expression() if blocks is None else size * blocks

    def retired_units(self, plant: str, unit: str) -> Expression:
        """Existing units of a type that are retired from a plant."""
        units = self.purchases.retired.get((plant, unit))
        return Expression() if units is None else 1 * units

    def instance_count(self, offer: str) -> Expression:
        """Reserved instances of an offer after purchases."""
        return (
            1 * self.purchases.instances[offer] + self.data.model.offers[offer].existing_instances
        )

    def in_use(self, region: str) -> Expression:
        """Whether a region holds GPUs after purchases."""
        for binary in (self.purchases.opened.get(region), self.normal.holding.get(region)):
            if binary is not None:
                return 1 * binary
        clusters = [self.data.model.clusters[name] for name in self.data.clusters_in(region)]
        held = any(cluster.existing_gpus for cluster in clusters)
        return Expression(constant=float(held))

    def when(self, when: When) -> Availability:
        """Whether one of some reaction variants is in force."""
        if when.certain or when.impossible:
            return Availability.known(when.certain)
        reacting = self.availability.reacting
        return Availability(sum_of(reacting[number] for number in sorted(when.numbers)))

    def cluster_load(self, stage: str, cluster: str) -> Expression:
        """Requests per second served by a cluster in a stage."""
        return each(self.by_stage[stage].flows_to.get(cluster, ()))

    def offer_load(self, stage: str, offer: str) -> Expression:
        """Requests per second served by an offer in a stage."""
        return each(self.by_stage[stage].flows_to.get(offer_target(offer), ()))
