"""Cost of a year without failures: energy and transport as the simulator routes requests.

The programme has valid rows on routing (`routing`); the simulator follows the preferences of load
balancers minute by minute. Plans are billed by the latter, as are the existing fleet and other
recommendations; the difference to the cost in the programme is reported with the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet, running_units, unit_mw
from planner.infrastructure.measures import with_measures
from planner.laws.flows import merit_order
from planner.laws.heat import heat_mw
from planner.laws.money import HOURS_PER_YEAR, energy_usd, transport_usd
from planner.optimization.solution.costs import OPERATION, CostItem
from planner.optimization.solution.solving import Solution
from planner.scenarios.routing import normal_week

#: Part of a cost that is rounding.
SAME = 1e-9


def billed(
    model: Model, solution: Solution, items: tuple[CostItem, ...]
) -> tuple[Solution, tuple[CostItem, ...]]:
    """A solution whose operation is billed by the simulator's routing instead of the programme's.

    Parameters
    ----------
    items
        Cost of the solution, which adds up to its objective.

    Returns
    -------
    Solution, tuple of CostItem
        With the whole cost as objective, and the items that add up to it. The bound stays valid:
        routing in the programme is a relaxation of the simulator's.
    """
    stated = [item for item in items if item.category in OPERATION]
    bill = operation_of(model, solution.fleet)
    kept = tuple(item for item in items if item.category not in OPERATION)
    more = sum(item.usd_per_year for item in bill) - sum(item.usd_per_year for item in stated)
    cost = solution.objective + more
    if abs(more) < SAME * abs(cost):
        more = 0.0
    whole = replace(
        solution, objective=cost, bound=min(solution.bound, cost), routing_usd_per_year=more
    )
    return whole, (*kept, *bill)


def operation_of(model: Model, fleet: Fleet) -> tuple[CostItem, ...]:
    """Energy and transport of a fleet in a year without failures.

    Requests go where the simulator sends them at each hour of the week (`normal_week`). Energy is
    billed by the mean heat of each cluster, carried by running units of primary plants, the
    thriftiest first. What finds no room is not served, heat beyond the cooling stays where it is;
    neither costs anything here.

    Parameters
    ----------
    model
        The infrastructure; measures of the fleet take effect.
    """
    model = with_measures(model, fleet.measures)
    week = normal_week(model, fleet)
    heats: dict[str, float] = {}
    items = []
    for cluster, load in zip(model.clusters, week.load_rps.mean(axis=0).tolist(), strict=True):
        gpu = model.gpus[model.clusters[cluster].gpu]
        busy = load / gpu.rps
        heats[cluster] = heat_mw(gpu.power_mw, gpu.static_share, fleet.gpus[cluster], busy)
        place = model.regions[model.clusters[cluster].region]
        drawn = place.drawn_mw_per_mw * heats[cluster]
        usd = energy_usd(drawn, HOURS_PER_YEAR, place.electricity_usd_per_mwh)
        items.append(CostItem("energy", cluster, 0.0, usd))
    items += _cooling(model, fleet, heats)
    usd = 0.0
    for zone, flows in zip(model.zones.values(), week.mean_rps.tolist(), strict=True):
        for target, rps in zip(model.clusters.values(), flows, strict=True):
            price = zone.transport_usd_per_million_requests.get(target.region, 0.0)
            usd += transport_usd(rps, HOURS_PER_YEAR, price)
    items.append(CostItem("transport", "normal operation", 0.0, usd))
    return tuple(item for item in items if item.usd_per_year)


def _cooling(model: Model, fleet: Fleet, heats: dict[str, float]) -> list[CostItem]:
    """Energy of cooling units that carry the mean heat at least cost."""

    def price(machine: tuple[str, str]) -> float:
        region = model.regions[model.plants[machine[0]].region]
        power = model.cooling_units[machine[1]].drawn_mw_per_mw
        return float(energy_usd(power, HOURS_PER_YEAR, region.electricity_usd_per_mwh))

    def room(plants: Iterable[str]) -> list[tuple[tuple[str, str], float]]:
        machines = [(plant, unit) for plant in plants for unit in running_units(model, plant)]
        machines.sort(key=lambda machine: price(machine) + _cheapest(model, machine[0], price))
        return [(one, unit_mw(model, *one) * fleet.units[one[0]][one[1]]) for one in machines]

    primary = {name: plant for name, plant in model.plants.items() if plant.role == "primary"}
    reach = {
        cluster: tuple(name for name, plant in primary.items() if cluster in plant.cools)
        for cluster in heats
    }
    loads = _loads(heats, reach, room(name for name, plant in primary.items() if plant.cools))
    behind: dict[str, tuple[str, ...]] = {}
    for name, plant in primary.items():
        if plant.rejects_to is not None:
            behind[name] = (plant.rejects_to,)
    on = {name: sum(mw for (p, _), mw in loads.items() if p == name) for name in behind}
    loads |= _loads(on, behind, room(dict.fromkeys(name for (name,) in behind.values())))
    return [
        CostItem("energy", "/".join(machine), 0.0, load * price(machine))
        for machine, load in loads.items()
    ]


def _loads(
    supply: Mapping[str, float],
    reach: Mapping[str, Sequence[str]],
    room: Sequence[tuple[tuple[str, str], float]],
) -> dict[tuple[str, str], float]:
    """Load of machines, the first of them first (`merit_order`)."""
    loads = merit_order(supply, reach, [(plant, mw) for (plant, _), mw in room])
    return {machine: load for (machine, _), load in zip(room, loads, strict=True)}


def _cheapest(model: Model, plant: str, price: Callable[[tuple[str, str]], float]) -> float:
    """Least price of carrying on the heat of a plant."""
    behind = model.plants[plant].rejects_to
    units = () if behind is None else running_units(model, behind)
    return min((price((behind, unit)) for unit in units if behind), default=0.0)
