"""Facility location with disruptions, on published data with optima worked out here.

After Snyder, L. V. and Daskin, M. S. (2005), "Reliability models for facility location: the
expected failure cost case", Transportation Science 39, 400-416: a facility that fails is out for a
while, its customers go to the next one, and what that costs counts with its probability. No
published instance of it with data and optimum was at hand, so *these optima are not published*:
sites, customers and costs are the first of instances of the OR-Library (``data/README.md``), one
site at a time is lost, and every set of sites is tried, apart from the planner.

Two questions: the least expected cost where a site without substitute loses its customers (capacity
never binds: cap71, cap74), and the least cost of sites that carry all demand whichever is lost
(capacity binds: cap41, cap44).
"""

from __future__ import annotations

import numpy as np
import pytest
from facility_location import SECONDS_PER_YEAR, Instance, read, stated
from scipy.optimize import linprog
from support import EXACT, solved

from planner.infrastructure.entities import Model
from planner.optimization.solution.audit import audit

RELATIVE = 1e-6
SITES, SECURE_SITES, CUSTOMERS = 16, 9, 20
NAMES = [f"warehouse-{number}" for number in range(1, SITES + 1)]
#: Failures of a site in a year, and hours that each lasts.
FAILURES_PER_YEAR = 0.5
REPAIR_HOURS = 876.0
SHARE_OF_YEAR = FAILURES_PER_YEAR * REPAIR_HOURS / 8760
#: Cost of not serving one unit of demand for a year, well above all transport.
PENALTY = 150.0


def shortened(instance: Instance, sites: int = SITES) -> Instance:
    """The first customers and sites of an instance, which keep solves short."""
    return Instance(
        instance.capacity[:sites],
        instance.fixed_cost[:sites],
        instance.demand[:CUSTOMERS],
        tuple(costs[:sites] for costs in instance.cost[:CUSTOMERS]),
    )


def disrupted(instance: Instance, severity: str) -> Model:
    """The planner model of an instance in which each site is lost once."""
    model = stated(instance)
    tier = {
        "priority": 1,
        "share": 1.0,
        "value_usd_per_1000_requests": PENALTY * 1000 / SECONDS_PER_YEAR,
    }
    scenarios = {
        f"loss-of-{site}": {
            "name": f"loss-of-{site}",
            "severity": severity,
            "frequency_per_year": FAILURES_PER_YEAR if severity == "extreme" else 0.0,
            "events": [{"kind": "region", "name": site, "repair_minutes": REPAIR_HOURS * 60}],
        }
        for site in model.regions
    }
    rules = [{"tier": "all", "from_minute": 0.0, "least_served": 1.0}]
    at_once = ("detection_minutes", "response_minutes", "failover_minutes")
    return model.replace(
        tiers={"goods": tier},
        operations=dict.fromkeys(at_once, 0.0),
        standard={"region": rules},
        scenarios=scenarios,
    )


def every_set(sites: int) -> np.ndarray:
    """Every set of sites but the empty one, shape (2^sites - 1, sites) of bool."""
    codes = np.arange(1, 2**sites)
    return (codes[:, None] >> np.arange(sites) & 1).astype(bool)


def expected_costs(instance: Instance, sets: np.ndarray) -> np.ndarray:
    """Expected cost of a year with each set of sites, of which each site carries all demand.

    A customer goes to the nearest site, and in the failure of that one to the next nearest or to
    nowhere, at the penalty. So of the 16 failures just one moves it.
    """
    cost, lost = np.array(instance.cost), PENALTY * np.array(instance.demand)
    assert (cost < lost[:, None]).all()
    total = sets @ np.array(instance.fixed_cost)
    for chunk in np.array_split(np.arange(len(sets)), 32):
        open_cost = np.where(sets[chunk][:, None, :], cost, np.inf)
        nearest, next_best = np.moveaxis(np.partition(open_cost, 1, axis=2)[:, :, :2], 2, 0)
        moved = (np.minimum(next_best, lost) - nearest).sum(axis=1)
        stays = nearest.sum(axis=1)
        total[chunk] += stays + SHARE_OF_YEAR * (SITES * stays + moved)
    return total


def least_transport(instance: Instance, sites: tuple[int, ...]) -> float:
    """Least cost of serving all demand from some sites within their capacities."""
    share_cost = np.array(instance.cost)[:, sites]
    customers, count = share_cost.shape
    whole = np.kron(np.eye(customers), np.ones((1, count)))
    carried = np.kron(np.array([instance.demand]), np.eye(count))
    found = linprog(
        share_cost.ravel(),
        A_ub=carried,
        b_ub=np.array(instance.capacity)[list(sites)],
        A_eq=whole,
        b_eq=np.ones(customers),
        method="highs",
    )
    return float(found.fun) if found.success else np.inf


def secure_cost(instance: Instance) -> tuple[float, int]:
    """Least cost of sites that carry all demand whichever is lost, and how many they are.

    Sets are tried in the order of what they cost at least: rent and the nearest site for everyone.
    """
    cost, fixed = np.array(instance.cost), np.array(instance.fixed_cost)
    capacity, demand = np.array(instance.capacity), sum(instance.demand)
    sets = every_set(len(capacity))
    sets = sets[sets @ capacity - (sets * capacity).max(axis=1) >= demand]
    nearest = [np.where(one, cost, np.inf).min(axis=1).sum() for one in sets]
    bound = sets @ fixed + np.array(nearest)
    best, size = np.inf, 0
    for index in np.argsort(bound):
        if bound[index] >= best:
            break
        sites = tuple(np.flatnonzero(sets[index]).tolist())
        total = float(fixed[list(sites)].sum()) + least_transport(instance, sites)
        if total < best:
            best, size = total, len(sites)
    return best, size


@pytest.mark.parametrize("name", ["cap71", "cap74"])
def test_least_expected_cost_is_that_of_the_best_of_all_sets(name: str) -> None:
    instance = shortened(read(name))
    sets = every_set(SITES)
    costs = expected_costs(instance, sets)
    best = sets[costs.argmin()]

    programme, solution = solved(disrupted(instance, "extreme"), EXACT)

    assert solution.objective == pytest.approx(costs.min(), rel=RELATIVE)
    assert solution.bound == pytest.approx(costs.min(), rel=RELATIVE)
    assert sorted(solution.fleet.opened) == sorted(np.array(NAMES)[best].tolist())
    items = audit(programme, solution)
    assert sum(item.usd_per_year for item in items) == pytest.approx(costs.min(), rel=RELATIVE)


@pytest.mark.parametrize("name", ["cap71", "cap74"])
def test_disruptions_move_the_plan(name: str) -> None:
    """More sites than the cheapest plan without failures has, which is no longer the cheapest."""
    instance = shortened(read(name))

    _, careless = solved(stated(instance), EXACT)
    _, careful = solved(disrupted(instance, "extreme"), EXACT)

    chosen = np.array([[name in careless.fleet.opened for name in NAMES]])
    assert len(careful.fleet.opened) > len(careless.fleet.opened)
    assert careful.objective < expected_costs(instance, chosen)[0] * (1 - 1e-3)


@pytest.mark.parametrize("name", ["cap44", "cap64"])
def test_least_secure_cost_is_that_of_the_best_of_all_sets(name: str) -> None:
    instance = shortened(read(name), SECURE_SITES)
    cost, size = secure_cost(instance)

    _, careless = solved(stated(instance), EXACT)
    _, secure = solved(disrupted(instance, "region"), EXACT)

    assert secure.objective == pytest.approx(cost, rel=RELATIVE)
    assert secure.bound == pytest.approx(cost, rel=RELATIVE)
    assert len(secure.fleet.opened) == size
    assert secure.objective > careless.objective * (1 + 1e-3)


def test_two_sites_that_each_carry_all_are_the_least_that_is_secure() -> None:
    instance = shortened(read("cap74"), SECURE_SITES)

    _, secure = solved(disrupted(instance, "region"), EXACT)

    assert len(secure.fleet.opened) == 2
    assert secure.objective == pytest.approx(secure_cost(instance)[0], rel=RELATIVE)
