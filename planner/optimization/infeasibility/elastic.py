"""The elastic programme: each requirement and limit can be relaxed, at a price.

A *relaxable value* is a value of the model that a user can change: a limit that can be raised or a
requirement that can be lowered. Its column enters every row in which the value occurs, so that one
solve says which values have to change, and by how much. A *constraint group* holds the rows of one
requirement or limit, such as the service to a tier in a scenario; its slack removes the whole group
from the programme.

Some values are multiplied by a variable in their rows, or change the structure of the programme
(redundancy, latency limits, shares of GPUs). Their column relaxes the rows by an amount that only
shows where they bind; the value itself is then searched among `RelaxableValue.choices`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from pulp import LpSolveStats
from pulp.constants import LpSolveStatus

from planner.infrastructure.changes import value_at
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.prices import gpu_assets
from planner.laws.money import annuity
from planner.optimization.formulation.algebra import (
    AT_MOST,
    EQUAL,
    Constraint,
    Expression,
    Problem,
    Variable,
    sum_of,
)
from planner.optimization.formulation.build import build
from planner.optimization.formulation.labels import label
from planner.optimization.formulation.problem import Key, ProblemData
from planner.optimization.formulation.programme import Programme, Row
from planner.optimization.formulation.stages import Stage
from planner.optimization.infeasibility.wide_limits import with_wide_limits
from planner.optimization.solution.deadline import Deadline, OutOfTime
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import run_solver
from planner.scenarios.generators import FAMILIES, family

Kind = Literal["limit", "requirement"]
#: Relaxations below this share of the size of a row are rounding errors.
NEGLIGIBLE = 1e-5
#: Optimality gap of elastic solves.
ELASTIC_GAP = 1e-3
#: Lowest price of a column relative to the reference cost: solvers round smaller ones to zero.
LEAST_PRICE = 1e-3


@dataclass(frozen=True)
class RelaxableValue:
    """A value of the model that can change.

    Parameters
    ----------
    path
        Dotted path in the model; empty for rows that no single value of the model determines.
    kind
        Whether a limit is raised or a requirement lowered.
    usd, usd_per_year
        Price of one unit, paid once, and its annualised cost; None where the model has no price.
    choices
        Values to search, smallest change first, where the needed amount cannot be computed.
    """

    path: str
    kind: Kind
    family: str
    subject: str
    unit: str
    new: Callable[[Model, float], Any]
    usd: float | None = None
    usd_per_year: float | None = None
    choices: tuple[Any, ...] = ()

    @classmethod
    def searched(
        cls, path: str, kind: Kind, family: str, subject: str, unit: str, choices: Iterable[Any]
    ) -> RelaxableValue:
        """A value to search among choices; until then it is the last of them."""
        values = tuple(choices)
        return cls(path, kind, family, subject, unit, lambda *_: values[-1], choices=values)


@dataclass(eq=False)
class ValueColumn:
    """The column of a relaxable value in the elastic programme.

    Parameters
    ----------
    scale
        Amount, in the unit of the value, of one unit of the column.
    weight
        Price of the column in the objective of elastic solves.
    uses
        Rows that it relaxes, by name, with its coefficient.
    """

    value: RelaxableValue
    scale: float
    column: Variable
    weight: float = 1.0
    uses: dict[str, tuple[Row, Constraint, float]] = field(default_factory=dict)

    @property
    def amount(self) -> float:
        """How far the last solve relaxed the value, in its unit."""
        return float(self.column.value or 0.0) * self.scale

    @property
    def used(self) -> bool:
        """Whether the last solve relaxed the value."""
        return float(self.column.value or 0.0) > NEGLIGIBLE

    def at_price(self, usd: float | None, usd_per_year: float | None) -> None:
        """Set the price of one unit of the value."""
        self.value = replace(self.value, usd=usd, usd_per_year=usd_per_year)


@dataclass(eq=False)
class ConstraintGroup:
    """The rows of one requirement or limit.

    Parameters
    ----------
    key
        Family, subject and scenario.
    column
        Slack that removes the group, in sizes of its rows.
    constraints
        Its rows, each with the coefficient of the slack.
    """

    key: Key
    kind: Kind
    column: Variable
    rows: list[Row] = field(default_factory=list)
    constraints: list[tuple[Constraint, float]] = field(default_factory=list)

    @property
    def used(self) -> bool:
        """Whether the last solve violated the group."""
        return float(self.column.value or 0.0) > NEGLIGIBLE

    def worst(self) -> tuple[Row, float]:
        """The row that the last solve violated most, and the violation in its unit."""
        slack = float(self.column.value or 0.0)
        violations = [
            (_violation(constraint, coefficient, slack), row)
            for row, (constraint, coefficient) in zip(self.rows, self.constraints, strict=True)
        ]
        largest, row = max(violations, key=lambda pair: pair[0])
        return row, largest


def _violation(constraint: Constraint, coefficient: float, slack: float) -> float:
    """By how much the last solve would violate a row without its slack."""
    spare = float(constraint.constant)
    spare += sum(factor * float(x.value or 0.0) for x, factor in constraint.items())
    if constraint.sense == AT_MOST:
        spare = -spare
    elif constraint.sense == EQUAL:
        spare = 0.0
    return abs(coefficient) * slack - max(spare, 0.0)


class ElasticProgramme:
    """An elastic programme, built once and solved with different values and groups relaxed.

    Attributes
    ----------
    columns
        Relaxable values, by path and by what else tells two columns of one path apart.
    groups
        Constraint groups by family, subject and scenario.
    lost_usd
        Expected value of the requests of each zone and tier, USD a year, by scenario, where known.
    """

    def __init__(self, data: ProblemData) -> None:
        self.data = data
        self.model = data.model
        self.programme: Programme = build(replace(data, model=with_wide_limits(data.model)))
        self.columns: dict[tuple[str, str], ValueColumn] = {}
        self.groups: dict[Key, ConstraintGroup] = {}
        self.lost_usd: dict[str, dict[tuple[str, str], float]] = {}

    def set_weights(self) -> None:
        """Price the columns, once all of them exist."""
        for column in self.columns.values():
            column.weight = _weight(column, self.reference_usd)

    @cached_property
    def _upper_bounds(self) -> dict[str, tuple[Variable, float]]:
        """Columns and slacks with their upper bounds, by name."""
        variables = [column.column for column in self.columns.values()]
        variables += [group.column for group in self.groups.values()]
        return {variable.name: (variable, variable.high) for variable in variables}

    @cached_property
    def reference_usd(self) -> float:
        """Cost of changing a value without a price by 100 %, USD a year.

        The annualised price of the GPUs in place, at least a million.
        """
        rate, total = self.model.finance.discount_rate, 1e6
        for name, cluster in self.model.clusters.items():
            for asset in gpu_assets(self.model, name).values():
                total += asset.price_usd * annuity(rate, asset.life_years) * cluster.existing_gpus
        return total

    @cached_property
    def stages(self) -> dict[tuple[str, float], Stage]:
        """Stages by scenario and first minute."""
        return {(stage.scenario, stage.start_minute): stage for stage in self.data.stages}

    @cached_property
    def scenarios(self) -> dict[str, Scenario]:
        """Scenarios by name."""
        return {scenario.name: scenario for scenario in self.data.scenarios}

    @cached_property
    def scenario_paths(self) -> dict[str, str]:
        """Path that removes one scenario alone: its entry, or the list of names left out.

        Scenarios that are both written by hand and generated have none: without the entry, the
        generated one would take its place.
        """
        generators = [name for name in FAMILIES if getattr(self.model.generators, name)]
        generated = {
            scenario.name: f"generators.{name}.without"
            for name in generators
            for scenario in family(self.model, name)
        }
        written = self.model.scenarios
        return {name: path for name, path in generated.items() if name not in written} | {
            name: f"scenarios.{name}" for name in written if name not in generated
        }

    def column(
        self,
        value: RelaxableValue,
        scale: float = 1.0,
        *,
        side: str = "",
        most: float = math.inf,
        whole: bool = False,
        weight: float = 1.0,
    ) -> ValueColumn:
        """The column of a value, added at first use.

        Parameters
        ----------
        scale
            Amount, in the unit of the value, of one unit of the column.
        side
            Tells two columns of one path apart.
        most
            Upper bound of the column.
        whole
            Whether the column is an integer.
        weight
            Price of the column where the value has none, relative to the reference cost.
        """
        key = (value.path, f"{value.family} {value.subject} {side}")
        if key not in self.columns:
            name = label(
                "relax", value.path or value.family, value.subject, side, str(len(self.columns))
            )
            variable = self.programme.variable(name, high=most, integer=whole)
            self.columns[key] = ValueColumn(value, scale, variable, weight)
        return self.columns[key]

    def relax(self, column: ValueColumn, row: Row, constraint: Constraint, per_unit: float) -> None:
        """Let a value relax a row by ``per_unit`` for each unit of the value."""
        before = column.uses.get(constraint.name, (row, constraint, 0.0))[2]
        coefficient = before + relaxing_sign(constraint) * per_unit * column.scale
        constraint.set_coefficient(column.column, coefficient)
        column.uses[constraint.name] = (row, constraint, coefficient)

    def group(self, row: Row, constraints: Iterable[Constraint]) -> ConstraintGroup:
        """Add rows to the group of their family, subject and scenario."""
        if row.key not in self.groups:
            slack = self.programme.variable("slack", *row.key, str(len(self.groups)))
            self.groups[row.key] = ConstraintGroup(row.key, kind_of(row), slack)
        group = self.groups[row.key]
        for constraint in constraints:
            coefficient = relaxing_sign(constraint) * size(row)
            constraint.set_coefficient(group.column, coefficient)
            group.rows.append(row)
            group.constraints.append((constraint, coefficient))
        return group

    def copy_of(self, constraint: Constraint, more: float) -> Constraint:
        """Add a copy of a row with a right-hand side that is larger by ``more``."""
        left = sum_of(factor * variable for variable, factor in constraint.items())
        right = more - float(constraint.constant)
        name = f"{constraint.name}.copy{len(self.programme.problem.constraints)}"
        row = left <= right if constraint.sense == AT_MOST else left >= right
        return self.programme.problem.add(row, name)

    def bound(self, relation: Constraint, *name: str) -> Constraint:
        """Add a row for what is a bound of a variable in the programme itself."""
        return self.programme.problem.add(relation, label("bound", *name))

    def minimize(
        self,
        columns: Iterable[ValueColumn],
        groups: Iterable[ConstraintGroup],
        settings: SolverSettings,
        *,
        linear: bool = False,
        priced: bool = True,
        unpriced: Iterable[ValueColumn] = (),
    ) -> float | None:
        """Solve with some values and groups relaxed, at the least total price.

        Parameters
        ----------
        columns, groups
            What may be relaxed.
        linear
            Whether to solve the linear relaxation: a bound, and a proof where it is infeasible.
        priced
            Whether relaxing has a price; otherwise any feasible solution will do.
        unpriced
            Values that may be relaxed at no price.

        Returns
        -------
        float or None
            Total price; None if the programme is still infeasible.

        Raises
        ------
        OutOfTime
            If the time limit comes first.
        """
        free_columns, free_groups = list(columns), list(groups)
        free = {column.column.name for column in (*free_columns, *unpriced)}
        free |= {group.column.name for group in free_groups}
        for name, (variable, most) in self._upper_bounds.items():
            variable.high = most if name in free else 0.0
        terms = [column.weight * column.column for column in free_columns]
        terms += [1.0 * group.column for group in free_groups]
        self.programme.problem.objective = sum_of(terms) if priced else Expression()
        if linear:
            return solve_linear(self.programme, settings)
        deadline = Deadline(settings)
        outcome = run_solver(self.programme.problem, settings)
        optimum = _optimum(self.programme.problem, outcome.stats)
        if optimum is None and (deadline.left_seconds <= 0 or settings.stopped):
            raise OutOfTime  # CBC calls a programme infeasible when its time ends early
        return optimum

    def scenarios_of(
        self, columns: list[ValueColumn], settings: SolverSettings
    ) -> dict[ValueColumn, str]:
        """Scenario that needs each of some values most, empty for normal operation.

        A value relaxes its rows in all scenarios, whether they need it or not. So the groups of
        the same rows are relaxed instead, each as little as possible.
        """
        names = {name for column in columns for name in column.uses}
        touched = [
            group
            for group in self.groups.values()
            if any(constraint.name in names for constraint, _ in group.constraints)
        ]
        self.minimize((), touched, settings)
        found: dict[ValueColumn, str] = {}
        for column in columns:
            needed = [
                (float(group.column.value or 0.0), group.key[2])
                for group in touched
                if any(constraint.name in column.uses for constraint, _ in group.constraints)
            ]
            most, scenario = max(needed, default=(0.0, ""))
            found[column] = scenario if most > NEGLIGIBLE else ""
        return found

    def of_kind(self, *kinds: Kind) -> list[ValueColumn]:
        """Columns of limits, requirements or both."""
        return [column for column in self.columns.values() if column.value.kind in kinds]


def solve_linear(programme: Programme, settings: SolverSettings) -> float | None:
    """Optimum of the linear relaxation; None if it is infeasible.

    Always solved by HiGHS: it is always installed, and returns dual values.

    Raises
    ------
    OutOfTime
        If the time limit comes first.
    """
    outcome = run_solver(programme.problem, replace(settings, name="highs"), linear=True)
    return _optimum(programme.problem, outcome.stats)


def _optimum(problem: Problem, stats: LpSolveStats) -> float | None:
    if stats.status in (LpSolveStatus.Infeasible, LpSolveStatus.Undefined):
        return None  # every price is positive, so no programme here is unbounded
    if not stats.has_solution:
        raise OutOfTime
    return problem.objective.evaluated()


def kind_of(row: Row) -> Kind:
    """Whether relaxing a row raises a limit or lowers a requirement."""
    return "requirement" if row.kind == "requirement" else "limit"


def size(row: Row) -> float:
    """Size of a row, by which relaxations of different rows are compared."""
    return max(row.amount, 1e6 if row.unit == "USD" else 1.0)


def relaxing_sign(constraint: Constraint) -> float:
    """Sign of the coefficient with which a column relaxes a row."""
    return -1.0 if constraint.sense == AT_MOST else 1.0


def _weight(column: ValueColumn, reference_usd: float) -> float:
    """Price of a column: annualised cost over the reference, or relative change of the value."""
    relative, usd_per_year = column.weight, column.value.usd_per_year
    if usd_per_year is None:
        return relative
    return max(usd_per_year * column.scale / reference_usd, LEAST_PRICE * relative)


def round_up(amount: float) -> float:
    """A number rounded up to three significant digits; numerical noise does not round up."""
    if amount <= 0:
        return 0.0
    places = 2 - math.floor(math.log10(amount))
    whole = math.ceil(amount * 10.0**places * (1 - 1e-7) - 1e-9)
    return round(whole / 10.0**places, max(places, 0))


def changed_number(path: str, sign: float) -> Callable[[Model, float], Any]:
    """A number of the model with an amount added or subtracted, which is rounded up."""

    def new(model: Model, amount: float) -> Any:
        now = value_at(model, path)
        if isinstance(now, int):
            return int(now + sign * round(amount))
        value = now + sign * round_up(amount)
        return max(0.0, float(f"{value:.12g}"))

    return new
