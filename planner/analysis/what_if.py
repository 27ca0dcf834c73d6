"""Changed programmes: without scenarios or requirements, with more room or other purchases."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from planner.infrastructure.fleet import Fleet
from planner.optimization.decomposition.loop import solve_in_parts
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.formulation.algebra import AT_LEAST, EQUAL, Constraint
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
    """Cheapest plan of a changed programme.

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
    """Slack and price of a requirement or a limit.

    Parameters
    ----------
    room
        Slack, in the unit of the row.
    price
        Dual value: saving per unit by which the row is relaxed, USD per year, in the programme with
        all integer variables fixed.
    can_exceed
        Whether the row can have slack at all, and any of its variables is in use.
    """

    row: Row
    room: float
    price: float
    can_exceed: bool = True

    @property
    def tight(self) -> bool:
        """Whether there is no slack."""
        return self.room <= NEGLIGIBLE * max(1.0, abs(self.row.amount))


def ask(
    question: Programme | Decomposition, settings: SolverSettings, start: Fleet | None = None
) -> Answer:
    """Cheapest plan of a programme, searched from the fleet of another where it is in parts."""
    if isinstance(question, Decomposition):
        programme, solution = solve_in_parts(question, settings, start)
    else:
        programme, solution = question, solve(question, settings)
    bought = counts(programme, solution.values) if solution.values else {}
    proven = solution.bound - solution.hidden
    return Answer(solution.objective, proven, bought, solution.fleet)


def without_scenarios(data: ProblemData, names: Collection[str]) -> ProblemData:
    """The data without some scenarios, hence without their requirements and costs."""
    kept = tuple(scenario for scenario in data.scenarios if scenario.name not in names)
    return data.changed(kept, data.waived)


def free_family(programme: Programme, family: Family) -> None:
    """Let the rows of a family be violated at no cost."""
    for name, row in list(programme.rows.items()):
        if row.family == family:
            add_slack(programme, name, f"free.{name}")


def add_power(programme: Programme, regions: Collection[str]) -> None:
    """Add a megawatt in normal operation in some regions, at no cost.

    The limit of the region and the capacity of all its feeds are raised.
    """
    for name, limit in list(programme.limits.items()):
        if limit.region in regions and not programme.rows[name].scenario:
            add_slack(programme, name, f"more.{name}", 1.0)


def with_less_redundancy(data: ProblemData, plants: Collection[str]) -> ProblemData:
    """The data with one redundant unit less in some plants (N+k becomes N+(k−1))."""
    changed = {
        name: plant.replace(redundancy=plant.redundancy - 1)
        if name in plants and plant.redundancy
        else plant
        for name, plant in data.model.plants.items()
    }
    return replace(data, model=data.model.replace(plants=changed))


def with_room(data: ProblemData, key: Decision) -> ProblemData | None:
    """The data in which one more of a decision can be bought; None if its number has no limit.

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


def settle(
    question: Programme | Decomposition, bought: Mapping[Decision, int], settings: SolverSettings
) -> tuple[Programme, Solution]:
    """A programme solved with given purchases; infeasible if they violate it."""
    settings = replace(settings, gap=0.0)
    if isinstance(question, Programme):
        with bounded(question, settled(bought)):
            return question, solve(question, settings)
    with bounded(question.base, settled(bought)):
        return solve_in_parts(question.branch(question.data), settings)


def expected_usd(
    data: ProblemData, once_usd: Mapping[str, float], without: Collection[str] = ()
) -> float:
    """Cost of failures in the objective, USD per year, with some scenarios left out.

    Parameters
    ----------
    once_usd
        Cost of one occurrence by scenario.
    """
    kept = {name: usd for name, usd in once_usd.items() if name not in without}
    frequencies = {scenario.name: scenario.frequency_per_year for scenario in data.scenarios}
    figures = risk_figures(data.model, frequencies, kept)
    return figures.expected_usd_per_year + figures.premium_usd_per_year


def tightness(
    programme: Programme, values: Mapping[str, float], settings: SolverSettings
) -> tuple[tuple[Tightness, ...], dict[Decision, float]]:
    """Slack and price of every requirement and limit, and the reduced cost of every decision.

    The programme with all integer variables fixed is linear; its duals are the prices. The reduced
    cost is what one more of a decision adds to the cost there, USD per year.

    Parameters
    ----------
    values
        Values of at least the integer variables, by name.
    """
    whole = [variable for variable in programme.problem.variables if variable.integer]
    before = [(variable.low, variable.high) for variable in whole]
    try:
        for variable in whole:
            variable.low = variable.high = values[variable.name]
            variable.integer = False
        linear = solve(programme, settings)
    finally:
        for variable, (low, high) in zip(whole, before, strict=True):
            variable.low, variable.high, variable.integer = low, high, True
    chosen = variables(programme)
    found = tuple(_tight_rows(programme, linear.values))
    return found, {key: float(x.reduced_cost or 0.0) for key, x in chosen.items()}


def tightness_in_parts(
    parts: Decomposition, solution: Solution, settings: SolverSettings
) -> tuple[tuple[Tightness, ...], dict[Decision, float]]:
    """The same scenario by scenario, where these have nothing in common (`Decomposition.apart`)."""
    found, reduced = tightness(parts.base, solution.values, settings)
    slopes, more = parts.slopes(solution.values), list(found)
    for part, solved in parts.recourse(parts.data, solution):
        (scenario,) = part.data.scenarios
        more += _tight_rows(part, solved.values, scenario.frequency_per_year)
    chosen = variables(parts.base)
    return tuple(more), {key: usd + slopes[chosen[key].id] for key, usd in reduced.items()}


def _tight_rows(
    programme: Programme, values: Mapping[str, float], times: float = 1.0
) -> Iterator[Tightness]:
    """Slack and price of the rows of a programme, whose costs count so many times."""
    for name, row in programme.rows.items():
        if row.kind == "definition":
            continue
        constraint = programme.constraints[name]
        terms = [factor * values[variable.name] for variable, factor in constraint.items()]
        total = sum(terms) + constraint.constant
        room = abs(total) if constraint.sense == EQUAL else constraint.sense * total
        price = times * abs(float(constraint.dual or 0.0))
        free = _can_exceed(constraint) and any(terms)
        yield Tightness(row, max(0.0, float(room)), price, free)


def _can_exceed(constraint: Constraint) -> bool:
    """Whether the bounds of its variables allow a row ``≥`` to have slack."""
    if constraint.sense != AT_LEAST:
        return True
    ends = [(variable.high if factor > 0 else variable.low, factor)
            for variable, factor in constraint.items()]  # fmt: skip
    if any(end is None for end, _ in ends):
        return True
    most = sum(factor * (end or 0.0) for end, factor in ends) + constraint.constant
    return most > NEGLIGIBLE * max(1.0, abs(constraint.constant))
