"""A published unit commitment with spinning reserve, stated as planner models.

Three-bus example of MOST, the optimal scheduling tool of MATPOWER (R. D. Zimmerman and C. E.
Murillo-Sánchez, PSERC): case ``ex_case3b``, tests ``t_most_spuc``, single period, no network. Three
generators and a wind farm of 100 MW carry 499 MW. Printed there: objective -488,030 with dispatch
200, 199, 0 MW; with 150 MW of spinning reserve -486,802 with dispatch 200, 139, 60 MW and reserve
0, 61, 89 MW. Load is worth 1,000 a MWh, so generation and reserve cost 10,970 and 12,198.

==============================  ==================================================================
problem                         model
==============================  ==================================================================
generator                       region with a cluster of GPUs of 1 request/s, one for a megawatt
energy and reserve together     GPUs bought, at most the largest output
price of reserve                upkeep of a GPU, whether it works or waits
price of energy                 that and the rest as transport
reserve of 150 MW               an infeed of 150 MW that serves as much more demand; the scenario
                                that loses it has to serve all
least output of a running unit  demand that no other region can reach
units that run                  listed: all eight choices, one model each
==============================  ==================================================================

The most reserve that one unit may hold (100, 100, 200 MW) is left out: the published optimum keeps
it, and without it no plan may be cheaper than that, which is tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import inf

import pytest
from support import solved

from planner.infrastructure.entities import Model

SECONDS_PER_YEAR = 8760 * 3600

LOAD_MW, WIND_MW, RESERVE_MW = 499, 100, 150
UNITS = ("one", "two", "three")
LEAST_MW = {"one": 60, "two": 65, "three": 60}
MOST_MW = {"one": 200, "two": 200, "three": 500}
ENERGY_PRICE = {"one": 25.0, "two": 30.0, "three": 40.0}
RESERVE_PRICE = {"one": 1.0, "two": 3.0, "three": 5.0}
MOST_RESERVE_MW = {"one": 100, "two": 100, "three": 200}

VALUE_OF_LOAD = 1000.0
PRINTED = -488_030.0
PRINTED_WITH_RESERVE = -486_802.0


def stated(running: tuple[str, ...], reserve_mw: int) -> Model:
    """The planner model of the problem with some units running."""
    regions = (*UNITS, "wind", "infeed")
    # A price of reserve counts only where there is some; else all of energy is transport.
    upkeep = {unit: RESERVE_PRICE[unit] if reserve_mw else 0.0 for unit in UNITS}
    transport = {
        unit: (ENERGY_PRICE[unit] - upkeep[unit]) * 1e6 / SECONDS_PER_YEAR for unit in UNITS
    }
    gpu = {"power_mw": 0.0, "static_share": 0.0, "rps": 1.0, "maintenance_share_per_year": 1.0}
    in_place = {"wind": WIND_MW, "infeed": reserve_mw}
    clusters = {
        unit: {"region": unit, "gpu": unit, "max_gpus": MOST_MW[unit] if unit in running else 0}
        for unit in UNITS
    } | {
        name: {"region": name, "gpu": "free", "existing_gpus": mw, "max_gpus": mw}
        for name, mw in in_place.items()
    }
    demand = {unit: LEAST_MW[unit] for unit in running}
    demand["rest"] = LOAD_MW + reserve_mw - sum(demand.values())
    model = {
        "regions": {name: {"power_limit_mw": 0.0} for name in regions},
        "gpus": {unit: gpu | {"capital_usd": upkeep[unit], "life_years": 1e12} for unit in UNITS}
        | {"free": gpu},
        "clusters": {name: one | {"max_utilisation": 1.0} for name, one in clusters.items()},
        "tiers": {"load": {"priority": 1, "share": 1.0}},
        "zones": {
            name: {
                "demand_rps": float(mw),
                "latency_ms": dict.fromkeys(regions if name == "rest" else [name], 1.0),
                "transport_usd_per_million_requests": transport,
            }
            for name, mw in demand.items()
        },
        "operations": {"failover_minutes": 0.0},
        "finance": {"discount_rate": 0.0},
        "standard": {
            "single": [{"tier": "all", "from_minute": 0.0, "least_served": 1.0}],
        },
        "scenarios": {
            "loss-of-infeed": {
                "name": "loss-of-infeed",
                "severity": "single",
                "frequency_per_year": 0.0,
                "events": [{"kind": "region", "name": "infeed", "repair_minutes": 60.0}],
            }
        },
    }
    return Model.model_validate(model)


@dataclass(frozen=True)
class Schedule:
    """Units that run, and their cheapest plan.

    Parameters
    ----------
    cost
        Of energy and reserve in an hour, USD; infinite where no plan will do.
    running
        Units that run.
    energy_mw, reserve_mw
        Output in normal operation, and capacity beyond it, by unit.
    """

    cost: float
    running: tuple[str, ...]
    energy_mw: dict[str, float]
    reserve_mw: dict[str, float]


def schedule(running: tuple[str, ...], reserve_mw: int) -> Schedule:
    """Plan of the planner for some running units."""
    programme, solution = solved(stated(running, reserve_mw))
    if solution.status == "infeasible":
        return Schedule(inf, running, {}, {})
    energy = dict.fromkeys(UNITS, 0.0)
    for (_, target), variable in programme.by_stage["normal"].flow.items():
        if target in energy:
            energy[target] += solution.values[variable.name]
    spare = {unit: solution.fleet.gpus[unit] - energy[unit] for unit in UNITS}
    return Schedule(solution.objective, running, energy, spare)


def schedules(reserve_mw: int) -> list[Schedule]:
    """Plans for all choices of running units, cheapest first."""
    choices = [choice for count in range(4) for choice in combinations(UNITS, count)]
    return sorted((schedule(one, reserve_mw) for one in choices), key=lambda plan: plan.cost)


def test_without_reserve_the_published_dispatch_is_the_cheapest() -> None:
    best, *others = schedules(reserve_mw=0)

    assert best.cost - VALUE_OF_LOAD * LOAD_MW == pytest.approx(PRINTED, abs=1e-3)
    assert best.running == ("one", "two")
    assert best.energy_mw == pytest.approx({"one": 200, "two": 199, "three": 0})
    assert others[0].cost > best.cost + 1


def test_with_reserve_the_published_schedule_is_the_cheapest() -> None:
    best, *others = schedules(RESERVE_MW)

    assert best.cost - VALUE_OF_LOAD * LOAD_MW == pytest.approx(PRINTED_WITH_RESERVE, abs=1e-3)
    assert best.running == UNITS
    assert best.energy_mw == pytest.approx({"one": 200, "two": 139, "three": 60})
    assert best.reserve_mw == pytest.approx({"one": 0, "two": 61, "three": 89})
    assert others[0].cost > best.cost + 1


def test_the_published_schedule_keeps_the_limits_left_out() -> None:
    best = schedules(RESERVE_MW)[0]

    for unit in UNITS:
        assert best.reserve_mw[unit] <= MOST_RESERVE_MW[unit]
        assert LEAST_MW[unit] <= best.energy_mw[unit]


def test_a_megawatt_of_reserve_costs_its_published_price() -> None:
    """Published price of reserve: 5 a megawatt."""
    more = schedule(UNITS, RESERVE_MW + 1)

    assert more.cost - schedule(UNITS, RESERVE_MW).cost == pytest.approx(5.0)


def test_without_the_scenario_no_reserve_is_held() -> None:
    model = stated(UNITS, RESERVE_MW)

    _, solution = solved(model.replace(scenarios={}))

    assert sum(solution.fleet.gpus[unit] for unit in UNITS) == LOAD_MW - WIND_MW
