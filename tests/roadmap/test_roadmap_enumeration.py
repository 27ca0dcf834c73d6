"""A roadmap costs what listing every fleet of every node finds, on small random models."""

from __future__ import annotations

import math
from itertools import product
from random import Random

import pytest
from optimization.enumeration import World, fleets
from support import EXACT, often

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.laws.money import annuity
from planner.roadmap.build import build_roadmap
from planner.roadmap.parts import RoadmapParts
from planner.roadmap.solving import solve_roadmap
from planner.scenarios.generators import all_scenarios

SEEDS = 8
RATE = 0.1


def small_model(rng: Random) -> dict[str, object]:
    """One of everything, with lead times, paths and falling prices."""
    fork = rng.random() < 0.6
    growth = {"per_year": rng.choice([0.0, 0.2, 0.5])}
    paths = {
        "low": {"probability": 0.4, "from_period": 2, "growth": {"demand": {"per_year": 0.05}}},
        "high": {"probability": 0.6, "from_period": 2, "growth": {"demand": {"per_year": 0.6}}},
    }
    return {
        "regions": {"r": {"power_limit_mw": 100.0, "electricity_usd_per_mwh": 50.0}},
        "gpus": {
            "g": {
                "power_mw": 0.01, "static_share": 0.5, "rps": 1.0,
                "capital_usd": rng.choice([2e4, 5e4]), "life_years": 10.0,
            }
        },
        "clusters": {
            "c": {"region": "r", "gpu": "g", "existing_gpus": 150, "block_gpus": 50,
                  "max_gpus": rng.choice([250, 300])},
        },
        "cooling_units": {
            "u": {"capacity_mw": 1.0, "capital_usd": 1e6, "power_mw_per_mw": 0.2,
                  "failures_per_year": 0.5, "maintenance_share_per_year": 0.03},
        },
        "plants": {
            "p": {"region": "r", "cools": ["c"], "redundancy": 1, "existing": {"u": 3},
                  "options": ["u"], "max_added": 3},
        },
        "tiers": {"t": {"priority": 1, "share": 1.0, "value_usd_per_1000_requests": 1.0}},
        "zones": {"z": {"demand_rps": 120.0, "latency_ms": {"r": 1.0}}},
        "offers": {
            "o": {"provider": "o", "gpus_per_instance": 20, "available_gpus": 40,
                  "lead_time_minutes": 5.0, "usd_per_instance_hour": 10.0, "rps_per_gpu": 1.0,
                  "retainer_usd_per_instance_year": rng.choice([5e4, 5e5])},
        },
        "finance": {"discount_rate": RATE, "emergency_budget_usd": 1e7},
        "standard": {"common": [{"tier": "t", "from_minute": 10.0, "least_served": 0.95}]},
        "generators": {"surge": {"severity": "common"}, "unit": {"severity": "single"}},
        "horizon": {
            "start": "2026-01", "period": "year", "periods": 2 if fork else rng.choice([2, 3]),
            "growth": {"demand": growth}, "paths": paths if fork else {},
            "prices": {"gpus": {"g": {"per_year": rng.choice([0.0, -0.3])}}},
            "order_months": {
                "gpus": rng.choice([0.0, 6.0, 12.0]), "cooling": rng.choice([0.0, 12.0]),
            },
        },
    }  # fmt: skip


def demand(model: Model, period: int, path: str) -> float:
    """Demand of a period, told by hand."""
    rates = [model.horizon.growth.demand.per_year] * (period - 1)
    if path and period > 1:
        rates = [model.horizon.paths[path].growth.demand.per_year] * (period - 1)
    return 120.0 * math.prod(1 + rate for rate in rates)


class Listing:
    """Every combination of fleets of the nodes of a model."""

    def __init__(self, model: Model) -> None:
        self.model, horizon = model, model.horizon
        self.leads = {
            "gpus": math.ceil(horizon.order_months.gpus / 12),
            "cooling": math.ceil(horizon.order_months.cooling / 12),
        }
        chances = {name: path.probability for name, path in horizon.paths.items()} or {"": 1.0}
        self.nodes = [
            (1, "", 1.0),
            *((p, path, c) for p in range(2, horizon.periods + 1) for path, c in chances.items()),
        ]

    def choices(self, period: int, path: str, chance: float) -> list[tuple[float, Fleet]]:
        """Fleets that a node allows, with the present value of their cost in it."""
        zones = {"z": self.model.zones["z"].replace(demand_rps=demand(self.model, period, path))}
        here = self.model.replace(zones=zones, horizon=None)
        world = World(here, all_scenarios(here))
        weight = chance * (1 + RATE) ** -period
        return [
            (weight * (world.fixed_cost(fleet) + world.running_cost(fleet)), fleet)
            for fleet in fleets(here)
            if not self.too_early(period, fleet) and world.allows(fleet)
        ]

    def too_early(self, period: int, fleet: Fleet) -> bool:
        """Whether something would have been ordered before the start."""
        bought = {"gpus": fleet.gpus["c"] - 150, "cooling": fleet.units["p"]["u"] - 3}
        return any(bought[kind] and period <= lead for kind, lead in self.leads.items())

    def cheapest(self) -> float:
        """Least expected present value; infinite if there is none."""
        best = math.inf
        for chosen in product(*(self.choices(*node) for node in self.nodes)):
            cost = sum(usd for usd, _ in chosen)
            if cost < best + 1e9:
                best = min(best, cost + self.cheaper([fleet for _, fleet in chosen]))
        return best

    def cheaper(self, chosen: list[Fleet]) -> float:
        """What falling prices take off; infinite if fleets shrink or know the future."""
        saved, horizon = 0.0, self.model.horizon
        gpu = self.model.gpus["g"]
        rate = 1 + (horizon.prices.gpus["g"].per_year if horizon.prices.gpus else 0.0)
        by_node = {node[:2]: fleet for node, fleet in zip(self.nodes, chosen, strict=True)}
        for (period, path, chance), fleet in zip(self.nodes, chosen, strict=True):
            before = self.before(by_node, period, path)
            gpus = fleet.gpus["c"] - (before.gpus["c"] if before else 150)
            units = fleet.units["p"]["u"] - (before.units["p"]["u"] if before else 3)
            if gpus < 0 or units < 0:
                return math.inf
            for other in horizon.paths if path else ():
                twin = by_node[period, other]
                if period - self.leads["gpus"] < 2 and twin.gpus["c"] != fleet.gpus["c"]:
                    return math.inf
                if period - self.leads["cooling"] < 2 and twin.units["p"] != fleet.units["p"]:
                    return math.inf
            held = chance * sum(
                (1 + RATE) ** -later for later in range(period, horizon.periods + 1)
            )
            factor = rate ** (period - self.leads["gpus"] - 1)
            saved += (factor - 1) * gpus * gpu.capital_usd * annuity(RATE, 10.0) * held
        return saved

    def before(self, by_node: dict[tuple[int, str], Fleet], period: int, path: str) -> Fleet | None:
        """Fleet of the node before."""
        if period == 1:
            return None
        return by_node[(1, "") if period == 2 else (period - 1, path)]


@pytest.mark.parametrize("seed", range(often(SEEDS, 200)))
def test_cost_is_that_of_listing_everything(seed: int) -> None:
    model = Model.model_validate(
        {"name": "small", **{k: _named(v) for k, v in small_model(Random(seed)).items()}}
    )
    expected = Listing(model).cheapest()
    made = build_roadmap(model, all_scenarios)
    parts = RoadmapParts(made.base.data, EXACT, roadmap=made)
    solution = solve_roadmap(parts, EXACT)

    assert (solution.status == "infeasible") == math.isinf(expected)
    if math.isfinite(expected):
        assert solution.objective == pytest.approx(expected, rel=1e-6)


def _named(section: object) -> object:
    """Entities with their keys as names."""
    if not isinstance(section, dict):
        return section
    return {
        key: {"name": key, **entry} if isinstance(entry, dict) and key in "rgcuptzo" else entry
        for key, entry in section.items()
    }
