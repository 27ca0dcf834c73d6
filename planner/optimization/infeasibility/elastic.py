"""The programme made elastic: what may give way, by which value of the model, at what price.

A *lever* is one value of the model that a user can change: a limit that can be raised or a
requirement that can be lowered. Its column enters every row that the value stands in, so that one
solve says by how much which values have to change. An *item* is one requirement or limit as people
speak of it (the service to a tier in a scenario); its slack takes the item out of the programme.

Some values enter rows as a product with a variable, or change the shape of the programme
(redundancy, latency limits, shares of GPUs). Their column loosens their rows by an amount that only
shows where they matter, and the value is searched afterwards among `Lever.choices`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from pulp import (
    LpAffineExpression,
    LpConstraint,
    LpProblem,
    LpSolveStats,
    LpVariable,
    const,
    lpSum,
)
from pulp.constants import LpSolveStatus

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import plant_units, unit_mw
from planner.infrastructure.policies import FixedPurchases, ForbiddenPurchases
from planner.infrastructure.prices import gpu_assets
from planner.laws.money import annuity
from planner.laws.traffic import serving_rps
from planner.optimization.formulation.build import build
from planner.optimization.formulation.labels import label
from planner.optimization.formulation.problem import Key, ProblemData
from planner.optimization.formulation.programme import Programme, Row
from planner.optimization.formulation.stages import Stage
from planner.optimization.solution.deadline import OutOfTime
from planner.optimization.solution.solving import SolverSettings, run_solver
from planner.scenarios.generators import FAMILIES, family

Kind = Literal["limit", "requirement"]
#: Relaxations below this share of a row are rounding.
NEGLIGIBLE = 1e-5
#: Gap of the elastic solves.
ELASTIC_GAP = 1e-3
#: Least price of a column against the reference: solvers take smaller ones for zero.
LEAST_PRICE = 1e-3
#: Room of purchases while their bounds are rows that can give way: at least, and at most where all
#: that is asked for takes more, in times of what they have; in all at most a count of a model.
ROOM = 10
MOST_ROOM = 1000
MOST_COUNT = 10_000_000


@dataclass(eq=False, kw_only=True)
class Value:
    """One value of the model that can change.

    Parameters
    ----------
    path
        Where it stands in the model; empty where a row has no value behind it.
    kind
        Whether a limit is raised or a requirement lowered.
    family, subject, unit
        What it is, for words.
    new
        New value from the model and an amount.
    usd, usd_per_year
        What one unit costs once, and in a year with the price spread over its life; None where
        the model has no price.
    choices
        Values to search, mildest first, where no amount says what is needed.
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


@dataclass(eq=False, kw_only=True)
class Lever(Value):
    """A value with its column in the elastic programme.

    Parameters
    ----------
    scale
        Amount, in the unit, that one unit of the column stands for.
    column
        How much of it is used.
    weight
        Price of the column in the search for the cheapest relaxations.
    uses
        Rows by name, with the coefficient of the column.
    """

    scale: float
    column: LpVariable
    weight: float = 1.0
    uses: dict[str, tuple[Row, LpConstraint, float]] = field(default_factory=dict)

    @property
    def amount(self) -> float:
        """How much of it the last solve used, in its unit."""
        return float(self.column.varValue or 0.0) * self.scale

    @property
    def used(self) -> bool:
        """Whether the last solve used it."""
        return float(self.column.varValue or 0.0) > NEGLIGIBLE


@dataclass(eq=False)
class ConstraintGroup:
    """One requirement or limit as people speak of it.

    Parameters
    ----------
    key
        Family, subject and scenario.
    kind
        Requirement or limit.
    rows
        What its rows mean.
    column
        Slack that takes it out, in sizes of its rows.
    constraints
        Its rows with the coefficient of the slack.
    """

    key: Key
    kind: Kind
    column: LpVariable
    rows: list[Row] = field(default_factory=list)
    constraints: list[tuple[LpConstraint, float]] = field(default_factory=list)

    @property
    def used(self) -> bool:
        """Whether the last solve took it out."""
        return float(self.column.varValue or 0.0) > NEGLIGIBLE

    def worst(self) -> tuple[Row, float]:
        """The row that the last solve fell shortest of, and by how much in its unit."""
        amount = float(self.column.varValue or 0.0)
        row = max(self.rows, key=size)
        short = [
            (excess(constraint, coefficient, amount), one)
            for one, (constraint, coefficient) in zip(self.rows, self.constraints, strict=True)
        ]
        most, found = max(short, key=lambda pair: pair[0], default=(0.0, row))
        return found, most


def excess(constraint: LpConstraint, coefficient: float, amount: float) -> float:
    """By how much a row would be broken without its slack: what of it is really needed."""
    spare = float(constraint.constant)
    spare += sum(factor * float(one.varValue or 0.0) for one, factor in constraint.items())
    if constraint.sense == const.LpConstraintLE:
        spare = -spare
    elif constraint.sense == const.LpConstraintEQ:
        spare = 0.0
    return abs(coefficient) * amount - max(spare, 0.0)


class ElasticProgramme:
    """An elastic programme: built once, then solved with different things free to give way."""

    def __init__(self, data: ProblemData) -> None:
        self.data = data
        self.model = data.model
        self.programme: Programme = build(replace(data, model=roomier(data.model)))
        self.levers: dict[tuple[str, str], Lever] = {}
        self.items: dict[Key, ConstraintGroup] = {}

    def weigh(self) -> None:
        """Weigh what may give way by what it costs, once all of it is attached."""
        for lever in self.levers.values():
            lever.weight = _weight(lever, self.reference_usd)

    @cached_property
    def _columns(self) -> dict[str, tuple[LpVariable, float | None]]:
        """What may give way, and how far, by name of its variable."""
        columns = [one.column for one in self.levers.values()]
        columns += [one.column for one in self.items.values()]
        return {column.name: (column, column.upBound) for column in columns}

    @cached_property
    def reference_usd(self) -> float:
        """What changing an unpriced value by all of itself counts as, USD a year.

        The annualised price of the GPUs in place, at least a million.
        """
        rate, total = self.model.finance.discount_rate, 1e6
        for name, cluster in self.model.clusters.items():
            for one in gpu_assets(self.model, name).values():
                total += one.price_usd * annuity(rate, one.life_years) * cluster.existing_gpus
        return total

    @cached_property
    def stages(self) -> dict[tuple[str, float], Stage]:
        """Stages by scenario and first minute."""
        return {(one.scenario, one.start_minute): one for one in self.data.stages}

    @cached_property
    def scenarios(self) -> dict[str, Scenario]:
        """Scenarios by name."""
        return {one.name: one for one in self.data.scenarios}

    @cached_property
    def scenario_paths(self) -> dict[str, str]:
        """What takes a scenario, and no other, out of the model: its entry, or a list of names.

        None for one that stands in the model and in a family: without its entry, that of the family
        would come back.
        """
        asked = [name for name in FAMILIES if getattr(self.model.generators, name)]
        found = {
            one.name: f"generators.{name}.without"
            for name in asked
            for one in family(self.model, name)
        }
        written = self.model.scenarios
        return {name: path for name, path in found.items() if name not in written} | {
            name: f"scenarios.{name}" for name in written if name not in found
        }

    def lever(
        self,
        path: str,
        kind: Kind,
        family: str,
        subject: str,
        unit: str,
        scale: float,
        new: Callable[[Model, float], Any],
        *,
        side: str = "",
        most: float | None = None,
        whole: bool = False,
        **terms: Any,
    ) -> Lever:
        """The lever of a path, made when it is first asked for.

        Parameters
        ----------
        side
            Tells two levers of one path apart.
        most
            Most that its column may be.
        whole
            Whether the column is whole.
        """
        key = (path, f"{family} {subject} {side}")
        if key not in self.levers:
            name = label("lever", path or family, subject, side, str(len(self.levers)))
            column = self.programme.variable(name, high=most, integer=whole)
            self.levers[key] = Lever(
                path=path,
                kind=kind,
                family=family,
                subject=subject,
                unit=unit,
                scale=scale,
                column=column,
                new=new,
                **terms,
            )
        return self.levers[key]

    def use(self, lever: Lever, row: Row, constraint: LpConstraint, per_unit: float) -> None:
        """Let a lever loosen a row by ``per_unit`` for each unit of the lever."""
        before = lever.uses.get(constraint.name, (row, constraint, 0.0))[2]
        coefficient = before + _side(constraint) * per_unit * lever.scale
        constraint.set_coefficient(lever.column, coefficient)
        lever.uses[constraint.name] = (row, constraint, coefficient)

    def item(self, row: Row, kind: Kind, constraints: Iterable[LpConstraint]) -> ConstraintGroup:
        """Count rows to the item of their family, subject and scenario."""
        if row.key not in self.items:
            column = self.programme.variable("slack", *row.key, str(len(self.items)))
            self.items[row.key] = ConstraintGroup(row.key, kind, column)
        item = self.items[row.key]
        for constraint in constraints:
            coefficient = _side(constraint) * size(row)
            constraint.set_coefficient(item.column, coefficient)
            item.rows.append(row)
            item.constraints.append((constraint, coefficient))
        return item

    def twin(self, constraint: LpConstraint, more: float) -> LpConstraint:
        """A second row like one that stands, with another right-hand side."""
        left = lpSum(factor * one for one, factor in constraint.items())
        right = more - float(constraint.constant)
        name = f"{constraint.name}.twin{self.programme.problem.numConstraints()}"
        row = left <= right if constraint.sense == const.LpConstraintLE else left >= right
        return self.programme.problem.addConstraint(row, name)

    def bound(self, expression: LpAffineExpression, *name: str) -> LpConstraint:
        """A row for what is a bound of a purchase in the programme itself."""
        return self.programme.problem.addConstraint(expression, label("bound", *name))

    # -------------------------------------------------------------------------------------- solves

    def minimise(
        self,
        levers: Iterable[Lever],
        items: Iterable[ConstraintGroup],
        settings: SolverSettings,
        relaxed: bool = False,
        counted: bool = True,
        unpriced: Iterable[Lever] = (),
    ) -> float | None:
        """Solve with some levers and items free to give way, as little as possible.

        Parameters
        ----------
        relaxed
            Whether whole numbers may be broken: a bound, and a proof where there is no solution.
        counted
            Whether giving way has a price; otherwise any solution will do.
        unpriced
            Levers that are free and cost nothing.

        Returns
        -------
        float or None
            Price of what gave way, weighted; None if even so there is no solution.
        """
        free_levers, free_items = list(levers), list(items)
        free = {one.column.name for one in (*free_levers, *unpriced)}
        free |= {one.column.name for one in free_items}
        for name, (column, most) in self._columns.items():
            column.upBound = most if name in free else 0.0
        terms = [one.weight * one.column for one in free_levers]
        terms += [1.0 * one.column for one in free_items]
        self.programme.problem.setObjective(
            lpSum(terms) if counted and terms else LpAffineExpression.empty()
        )
        if relaxed:
            return solve_relaxed(self.programme, settings)
        started, limit = time.monotonic(), settings.time_limit_seconds
        outcome = run_solver(self.programme.problem, settings)
        optimum = _optimum(self.programme.problem, outcome.stats)
        late = limit is not None and time.monotonic() - started >= limit
        if optimum is None and (late or settings.stopped):
            raise OutOfTime  # CBC calls a programme infeasible when its time ends early
        return optimum

    def scenarios_of(self, levers: list[Lever], settings: SolverSettings) -> dict[Lever, str]:
        """Scenario that needs each of some levers most, empty for normal operation.

        A lever that is used loosens its rows in all scenarios at once, whether they need it or not.
        So the same rows are loosened scenario by scenario instead, as little as possible.
        """
        names = {name for lever in levers for name in lever.uses}
        touched = [
            item
            for item in self.items.values()
            if any(constraint.name in names for constraint, _ in item.constraints)
        ]
        self.minimise((), touched, settings)
        found: dict[Lever, str] = {}
        for lever in levers:
            needed = [
                (float(item.column.varValue or 0.0), item.key[2])
                for item in touched
                if any(constraint.name in lever.uses for constraint, _ in item.constraints)
            ]
            most, scenario = max(needed, default=(0.0, ""))
            found[lever] = scenario if most > NEGLIGIBLE else ""
        return found

    def of_kind(self, *kinds: Kind) -> list[Lever]:
        """Levers of some kinds."""
        return [lever for lever in self.levers.values() if lever.kind in kinds]


def solve_relaxed(programme: Programme, settings: SolverSettings) -> float | None:
    """Optimum with whole numbers broken; None if there is no solution.

    By HiGHS whatever the solver of the programme: it is always there, and gives dual values.
    """
    outcome = run_solver(programme.problem, replace(settings, name="highs"), linear=True)
    return _optimum(programme.problem, outcome.stats)


def _optimum(problem: LpProblem, stats: LpSolveStats) -> float | None:
    if stats.status in (LpSolveStatus.Infeasible, LpSolveStatus.Undefined):
        return None  # every price is positive, so no programme here is unbounded
    if not stats.has_solution:
        raise OutOfTime
    objective = problem.objective
    return float(objective.value() or 0.0) if objective is not None else 0.0


def size(row: Row) -> float:
    """Size of a row that makes one relaxation comparable with another."""
    return max(row.amount, 1e6 if row.unit == "USD" else 1.0)


def _side(constraint: LpConstraint) -> float:
    return -1.0 if constraint.sense == const.LpConstraintLE else 1.0


def _weight(lever: Lever, reference_usd: float) -> float:
    """Price of a column: yearly money over the reference, or how many times itself it changes."""
    own = lever.weight
    if lever.usd_per_year is None:
        return own
    return max(lever.usd_per_year * lever.scale / reference_usd, LEAST_PRICE * own)


def roomier(model: Model) -> Model:
    """The model with room for all that is asked, at least ten times what each purchase has.

    Nothing is settled or forbidden.
    """
    policies = model.policies
    fixed = policies.fixed
    settled = [count for units in fixed.cooling.values() for count in units.values()]
    units = max([0, *settled, *(plant.max_added for plant in model.plants.values())])
    clusters = {
        name: one.replace(
            max_gpus=_room(one.max_gpus or one.block_gpus, _gpus_for_all(model, name))
        )
        for name, one in model.clusters.items()
    }
    larger = model.replace(clusters=clusters)
    return larger.replace(
        plants={
            name: plant.replace(
                max_added=_room(units + 1, _units_for_all(larger, name)),
                options=tuple(dict.fromkeys((*plant.options, *plant.existing))),
            )
            for name, plant in model.plants.items()
        },
        offers={
            name: offer.replace(
                available_gpus=_room(
                    offer.available_gpus + offer.gpus_per_instance,
                    _most_rps(model) / offer.rps_per_gpu if offer.rps_per_gpu else 0.0,
                )
            )
            for name, offer in model.offers.items()
        },
        policies=policies.replace(
            fixed=FixedPurchases(),
            forbidden=ForbiddenPurchases(),
        ),
    )


def _room(count: int, needed: float) -> int:
    most = min(MOST_ROOM * max(count, 1), MOST_COUNT)
    return min(max(ROOM * count, math.ceil(min(needed, most))), MOST_COUNT)


def _most_rps(model: Model) -> float:
    """Demand of all zones in the largest surge that the model states, twice over."""
    events = (event for one in model.scenarios.values() for event in one.events)
    factors = [event.factor for event in events if event.kind == "surge"]
    factor = max([1.0, model.generators.surge_factor, *factors])
    return 2 * factor * sum(zone.demand_rps for zone in model.zones.values())


def _gpus_for_all(model: Model, cluster: str) -> float:
    """GPUs with which a cluster alone serves everybody."""
    entry = model.clusters[cluster]
    each = serving_rps(1.0, model.gpus[entry.gpu].rps, entry.max_utilisation)
    return float(_most_rps(model) / each) if each else 0.0


def _units_for_all(model: Model, plant: str) -> float:
    """Units of the smallest type with which a plant alone cools all GPUs that its clusters hold."""
    sizes = [unit_mw(model, plant, unit) for unit in plant_units(model, plant)]
    clusters = [model.clusters[name] for name in model.plants[plant].cools]
    heat = sum(model.gpus[one.gpu].power_mw * one.max_gpus for one in clusters)
    return heat / min((size for size in sizes if size), default=math.inf)


def round_up(amount: float, digits: int = 3) -> float:
    """The number rounded up to some digits; what is a rounding error above one is that one."""
    if amount <= 0:
        return 0.0
    places = digits - 1 - math.floor(math.log10(amount))
    whole = math.ceil(amount * 10.0**places * (1 - 1e-7) - 1e-9)
    return round(whole / 10.0**places, max(places, 0))
