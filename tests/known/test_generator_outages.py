"""A published power expansion problem with generator outages, stated as a planner model.

Problem APL1P of Infanger, G. (1992), "Monte Carlo (importance) sampling within a Benders
decomposition algorithm for stochastic linear programs", Annals of Operations Research 39, 69-95:
two generators are sized before it is known how much of them will be available and how large three
demands will be; what they cannot serve is bought at a penalty. Availability and demands are
independent, 4 · 5 · 4³ = 1,280 states. Published optimum 24,642.32 with capacities 1,800 and
1,571.43. The data were compared with a public transcription (Pyomo/mpi-sppy, ``apl1p.py``); a
linear programme apart from ours, below, gives the published optimum.

==========================  ======================================================================
problem                     model
==========================  ======================================================================
generator                   cooling plant of its own region whose units are its capacity (a seventh
                            each, to make the optimum whole), for a cluster of free GPUs of which
                            one serves what one unit cools
cost of capacity            upkeep of the units, those in place included: the least capacity
availability                heat that takes a share of every unit's capacity
demand                      zone; surge from 100 requests/s, which are served from a site that
                            costs nothing and is down in every scenario
operating cost              transport from zone to region
penalty                     worth of requests lost
probability                 scenario of one hour, that often a year
==========================  ======================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from scipy.optimize import linprog
from scipy.sparse import coo_array
from support import solved

from planner.infrastructure.entities import Model
from planner.optimization.solution.audit import audit

OPTIMUM = 24_642.32
CAPACITY = {"first": 1800.0, "second": 1571.43}

CAPACITY_COST = {"first": 4.0, "second": 2.5}
LEAST_CAPACITY = 1000
AVAILABLE = {
    "first": {1.0: 0.2, 0.9: 0.3, 0.5: 0.4, 0.1: 0.1},
    "second": {1.0: 0.1, 0.9: 0.2, 0.7: 0.5, 0.1: 0.1, 0.0: 0.1},
}
OPERATING_COST = {"first": (4.3, 2.0, 0.5), "second": (8.7, 4.0, 1.0)}
DEMAND = {900.0: 0.15, 1000.0: 0.45, 1100.0: 0.25, 1200.0: 0.15}
PENALTY = 10.0

#: Units of one megawatt.
PARTS = 7
NORMAL_RPS = 100.0
#: Capacity lost per degree above the design ambient.
DERATING = 0.02
REQUESTS_PER_HOUR = 3600.0


def states() -> Iterator[tuple[float, tuple[float, float], tuple[float, float, float]]]:
    """Probability, availability of both generators and the three demands of every state."""
    for first, second, *demands in product(*AVAILABLE.values(), DEMAND, DEMAND, DEMAND):
        likely = AVAILABLE["first"][first] * AVAILABLE["second"][second]
        for demand in demands:
            likely *= DEMAND[demand]
        yield likely, (first, second), (demands[0], demands[1], demands[2])


def scenario(available: tuple[float, float], demands: tuple[float, float, float]) -> list[dict]:
    """Events of a state: the free site down, plants that carry less, demand as it is."""
    heat = [
        {"kind": "heat", "region": name, "rise_c": (1.0 - share) / DERATING}
        for name, share in zip(AVAILABLE, available, strict=True)
        if share < 1.0
    ]
    surges = [
        {"kind": "surge", "zones": [f"demand-{number}"], "factor": demand / NORMAL_RPS}
        for number, demand in enumerate(demands, start=1)
    ]
    events = [{"kind": "region", "name": "free"}, *heat, *surges]
    return [event | {"repair_minutes": 60.0} for event in events]


def units() -> dict[str, dict[str, float]]:
    """Capacity by the part, as units of cooling."""
    return {
        name: {
            "capacity_mw": 1.0 / PARTS,
            "derating_per_c": DERATING,
            "capital_usd": cost / PARTS,
            # Nothing is paid off, all is upkeep, so that what is in place costs as much.
            "life_years": 1e12,
            "maintenance_share_per_year": 1.0,
        }
        for name, cost in CAPACITY_COST.items()
    }


def plant(name: str) -> dict[str, object]:
    """The capacity of a generator."""
    return {
        "region": name,
        "cools": [name],
        "existing": {name: LEAST_CAPACITY * PARTS},
        "options": [name],
        "max_added": 4000 * PARTS,
    }


def zone(number: int) -> dict[str, object]:
    """One of the three demands."""
    return {
        "demand_rps": NORMAL_RPS,
        "latency_ms": dict.fromkeys((*AVAILABLE, "free"), 1.0),
        "transport_usd_per_million_requests": {
            name: costs[number - 1] * 1e6 / REQUESTS_PER_HOUR
            for name, costs in OPERATING_COST.items()
        },
    }


def stated() -> Model:
    """The planner model that says the same as APL1P."""
    names = list(AVAILABLE)
    regions = {name: {"power_limit_mw": 1e9} for name in (*names, "free")}
    generators = {
        name: {"region": name, "gpu": "gpu", "max_gpus": 5000 * PARTS, "max_utilisation": 1.0}
        for name in names
    }
    free = {"region": "free", "gpu": "free", "existing_gpus": 300, "max_gpus": 300}
    gpu = {"power_mw": 1.0 / PARTS, "static_share": 0.0, "rps": 1.0 / PARTS}
    scenarios = {
        f"state-{number}": {
            "name": f"state-{number}",
            "severity": "extreme",
            "frequency_per_year": likely,
            "events": scenario(available, demands),
        }
        for number, (likely, available, demands) in enumerate(states())
    }
    at_once = ("detection_minutes", "response_minutes", "failover_minutes")
    return Model.model_validate(
        {
            "regions": regions,
            "gpus": {"gpu": gpu, "free": {"power_mw": 0.0, "static_share": 0.0, "rps": 1.0}},
            "clusters": generators | {"free": free | {"max_utilisation": 1.0}},
            "cooling_units": units(),
            "plants": {name: plant(name) for name in names},
            "tiers": {
                "power": {
                    "priority": 1,
                    "share": 1.0,
                    "value_usd_per_1000_requests": PENALTY * 1000 / REQUESTS_PER_HOUR,
                }
            },
            "zones": {f"demand-{number}": zone(number) for number in (1, 2, 3)},
            "operations": dict.fromkeys(at_once, 0.0),
            "finance": {"discount_rate": 0.0},
            "scenarios": scenarios,
        }
    )


def solved_apart(reliable: bool = False) -> tuple[float, tuple[float, float]]:
    """Optimum of APL1P and its capacities, by a linear programme with all states side by side.

    With reliable generators all of them is available in every state.
    """
    cost, low = list(CAPACITY_COST.values()), [LEAST_CAPACITY] * 2
    rows: list[tuple[int, int, float]] = []
    right: list[float] = []
    for likely, available, demands in states():
        first = len(cost)
        prices = [*OPERATING_COST["first"], *OPERATING_COST["second"], *[PENALTY] * 3]
        cost += [likely * price for price in prices]
        for generator, share in enumerate(available):
            rows += [(len(right), first + 3 * generator + mode, 1.0) for mode in range(3)]
            rows += [(len(right), generator, -1.0 if reliable else -share)]
            right.append(0.0)
        for mode, demand in enumerate(demands):
            rows += [(len(right), first + mode + 3 * source, -1.0) for source in range(3)]
            right.append(-demand)
    line, column, value = zip(*rows, strict=True)
    matrix = coo_array((value, (line, column)), shape=(len(right), len(cost))).tocsr()
    bounds = [(least, None) for least in low] + [(0, None)] * (len(cost) - 2)
    found = linprog(cost, A_ub=matrix, b_ub=right, bounds=bounds, method="highs")
    return found.fun, (found.x[0], found.x[1])


def test_the_data_are_those_of_the_published_optimum() -> None:
    cost, capacity = solved_apart()

    assert cost == pytest.approx(OPTIMUM, abs=0.005)
    assert capacity == pytest.approx(tuple(CAPACITY.values()), abs=0.005)
    assert sum(likely for likely, *_ in states()) == pytest.approx(1.0)


def test_the_planner_finds_the_published_optimum() -> None:
    programme, solution = solved(stated())

    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(OPTIMUM, abs=0.005)
    assert solution.bound == pytest.approx(OPTIMUM, abs=0.005)
    built = {name: solution.fleet.units[name][name] / PARTS for name in CAPACITY}
    assert built == pytest.approx(CAPACITY, abs=0.005)
    items = audit(programme, solution)
    assert sum(item.usd_per_year for item in items) == pytest.approx(OPTIMUM, abs=0.005)


def test_generators_that_never_fail_are_worth_more() -> None:
    """What would go unnoticed if the planner left availability out."""
    cost, _ = solved_apart(reliable=True)
    model = stated()
    units = {name: unit.replace(derating_per_c=0.0) for name, unit in model.cooling_units.items()}

    _, solution = solved(model.replace(cooling_units=units))

    assert cost < 0.9 * OPTIMUM
    assert solution.objective == pytest.approx(cost, rel=1e-5)
