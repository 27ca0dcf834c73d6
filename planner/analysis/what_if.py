"""Questions to the programme: what it would cost otherwise, and what would no longer hold."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from pulp import LpConstraint, LpInteger, const

from planner.infrastructure.fleet import Fleet
from planner.optimization.formulation.build import build
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme, Row
from planner.optimization.formulation.risk import risk_figures
from planner.optimization.infeasibility.shortfalls import NEGLIGIBLE, add_slack
from planner.optimization.solution.decisions import Decision, bounded, counts, settled, variables
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve


@dataclass(frozen=True)
class Answer:
    """Cheapest plan of a programme that was changed for a question.

    Parameters
    ----------
    cost, bound
        Cost of the plan found and proven lower bound, USD per year; infinite where there is none.
    bought
        Its purchases.
    fleet
        Capacities after them.
    """

    cost: float
    bound: float
    bought: Mapping[Decision, int]
    fleet: Fleet

    @property
    def found(self) -> bool:
        """Whether there is a plan."""
        return math.isfinite(self.cost)


@dataclass(frozen=True)
class Tightness:
    """How much room a requirement or a limit leaves.

    Parameters
    ----------
    row
        What the row means.
    room
        What is left before it binds, in the unit of the row.
    price
        What one unit of the row less would save, USD per year, in the linear programme that is left
        when all whole numbers are fixed.
    can_exceed
        Whether more than what is required is possible at all, and anything is used.
    """

    row: Row
    room: float
    price: float
    can_exceed: bool = True

    @property
    def tight(self) -> bool:
        """Whether nothing is left."""
        return self.room <= NEGLIGIBLE * max(1.0, abs(self.row.amount))


def ask(programme: Programme, settings: SolverSettings) -> Answer:
    """Cheapest plan of a programme."""
    solution = solve(programme, settings)
    bought = counts(programme, solution.values) if solution.values else {}
    proven = solution.bound - solution.hidden
    return Answer(solution.objective, proven, bought, solution.fleet)


def without_scenarios(data: ProblemData, names: Collection[str]) -> ProblemData:
    """The case without some scenarios, their requirements and their costs."""
    return replace(data, scenarios=tuple(one for one in data.scenarios if one.name not in names))


def without_family(data: ProblemData, family: Family) -> Programme:
    """The programme in which the rows of a family may be missed at no price."""
    programme = build(data)
    for name, row in list(programme.rows.items()):
        if row.family == family:
            add_slack(programme, name, f"free.{name}")
    return programme


def with_more_power(
    data: ProblemData, regions: Collection[str], megawatts: float = 1.0
) -> Programme:
    """The programme with more power in normal operation in some regions, at no price.

    More on the limit of the region and on all of its feeds.
    """
    programme = build(data)
    for name, limit in list(programme.limits.items()):
        if limit.region in regions and not programme.rows[name].scenario:
            add_slack(programme, name, f"more.{name}", megawatts)
    return programme


def with_less_redundancy(data: ProblemData, plants: Collection[str]) -> ProblemData:
    """The case in which some plants hold one unit less in reserve (N+k becomes N+(k−1))."""
    changed = {
        name: plant.replace(redundancy=plant.redundancy - 1)
        if name in plants and plant.redundancy
        else plant
        for name, plant in data.model.plants.items()
    }
    return replace(data, model=data.model.replace(plants=changed))


def with_room(data: ProblemData, key: Decision) -> ProblemData | None:
    """The case in which one more of a decision can be bought; None if nothing limits its number.

    A plant has one limit for all its unit types.
    """
    model = data.model
    if key.kind == "cooling":
        plant = key.asset.split("/")[0]
        entry = model.plants[plant]
        plants = {**model.plants, plant: entry.replace(max_added=entry.max_added + 1)}
        return replace(data, model=model.replace(plants=plants))
    if key.kind == "gpus":
        cluster = model.clusters[key.asset]
        larger = cluster.replace(max_gpus=cluster.max_gpus + cluster.block_gpus)
        return replace(data, model=model.replace(clusters={**model.clusters, key.asset: larger}))
    if key.kind == "emergency":
        offer = model.offers[key.asset]
        more = offer.replace(available_gpus=offer.available_gpus + offer.gpus_per_instance)
        return replace(data, model=model.replace(offers={**model.offers, key.asset: more}))
    return None


# ------------------------------------------------------------------------------------ a given fleet


def settle(
    programme: Programme, bought: Mapping[Decision, int], settings: SolverSettings
) -> Solution:
    """Best use of given purchases; infeasible if they do not meet the programme."""
    with bounded(programme, settled(bought)):
        return solve(programme, replace(settings, gap=0.0))


def expected_usd(
    data: ProblemData, once_usd: Mapping[str, float], without: Collection[str] = ()
) -> float:
    """What failures add to the objective, USD per year, with some scenarios left out.

    Parameters
    ----------
    once_usd
        Cost of one occurrence by scenario.
    """
    kept = {name: usd for name, usd in once_usd.items() if name not in without}
    frequencies = {one.name: one.frequency_per_year for one in data.scenarios}
    figures = risk_figures(data.model, frequencies, kept)
    return figures.expected_usd_per_year + figures.premium_usd_per_year


def tightness(
    data: ProblemData, solution: Solution, bought: Mapping[Decision, int], settings: SolverSettings
) -> tuple[tuple[Tightness, ...], dict[Decision, float]]:
    """Room and price of every requirement and limit, and the reduced cost of every decision.

    The programme with all whole numbers fixed is linear; its duals are the prices. The reduced cost
    is what one more of a decision adds to the cost in it, USD per year.
    """
    programme = build(data)
    for variable in programme.problem.variables():
        if variable.cat == LpInteger:
            variable.lowBound = variable.upBound = solution.values[variable.name]
            variable.cat = "Continuous"
    linear = solve(programme, settings)
    found = []
    for name, row in programme.rows.items():
        if row.kind == "definition":
            continue
        constraint = programme.constraints[name]
        terms = [factor * linear.values[one.name] for one, factor in constraint.items()]
        total = sum(terms) + constraint.constant
        room = abs(total) if constraint.sense == const.LpConstraintEQ else constraint.sense * total
        price = abs(float(constraint.pi or 0.0))
        free = _can_exceed(constraint) and any(terms)
        found.append(Tightness(row, max(0.0, float(room)), price, free))
    chosen = variables(programme)
    return tuple(found), {key: float(chosen[key].dj or 0.0) for key in bought}


def _can_exceed(constraint: LpConstraint) -> bool:
    """Whether the bounds of its variables allow a row ``≥`` to be more than met."""
    if constraint.sense != const.LpConstraintGE:
        return True
    ends = [(one.upBound if factor > 0 else one.lowBound, factor)
            for one, factor in constraint.items()]  # fmt: skip
    if any(end is None for end, _ in ends):
        return True
    most = sum(factor * (end or 0.0) for end, factor in ends) + constraint.constant
    return most > NEGLIGIBLE * max(1.0, abs(constraint.constant))
