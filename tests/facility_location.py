"""Instances of capacitated facility location from the OR-Library, stated as planner models.

They are small, and solvers branch on them. Source and reading: ``known/data/README.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from planner.infrastructure.entities import Model

DATA = Path(__file__).parent / "known" / "data"
SECONDS_PER_YEAR = 8760 * 3600


@dataclass(frozen=True)
class Instance:
    """A capacitated facility location instance.

    Parameters
    ----------
    capacity, fixed_cost
        By warehouse.
    demand
        By customer.
    cost
        Cost of serving all of a customer from a warehouse, by customer and warehouse.
    """

    capacity: tuple[int, ...]
    fixed_cost: tuple[float, ...]
    demand: tuple[float, ...]
    cost: tuple[tuple[float, ...], ...]


def read(name: str) -> Instance:
    """Instance of a file; rows wrap, so tokens count and lines do not."""
    tokens = iter((DATA / f"{name}.txt").read_text(encoding="ascii").split())
    warehouses, customers = int(next(tokens)), int(next(tokens))
    sites = [(float(next(tokens)), float(next(tokens))) for _ in range(warehouses)]
    demand, cost = [], []
    for _ in range(customers):
        demand.append(float(next(tokens)))
        cost.append(tuple(float(next(tokens)) for _ in range(warehouses)))
    assert next(tokens, None) is None
    assert all(capacity.is_integer() for capacity, _ in sites)
    return Instance(
        tuple(int(capacity) for capacity, _ in sites),
        tuple(fixed for _, fixed in sites),
        tuple(demand),
        tuple(cost),
    )


def stated(instance: Instance, in_one_block: bool = True) -> Model:
    """The planner model that says the same as an instance."""
    sites = [f"warehouse-{number}" for number in range(1, len(instance.capacity) + 1)]
    regions = {
        site: {"power_limit_mw": 0.0, "candidate": True, "fixed_usd_per_year": fixed}
        for site, fixed in zip(sites, instance.fixed_cost, strict=True)
    }
    clusters = {
        site: {
            "region": site,
            "gpu": "unit",
            "block_gpus": capacity if in_one_block else 1,
            "max_gpus": capacity,
            "max_utilisation": 1.0,
        }
        for site, capacity in zip(sites, instance.capacity, strict=True)
    }
    zones = {
        f"customer-{number}": {
            "demand_rps": demand,
            "latency_ms": dict.fromkeys(sites, 1.0),
            "transport_usd_per_million_requests": {
                site: all_of_it * 1e6 / (demand * SECONDS_PER_YEAR)
                for site, all_of_it in zip(sites, costs, strict=True)
            },
        }
        for number, (demand, costs) in enumerate(
            zip(instance.demand, instance.cost, strict=True), start=1
        )
    }
    return Model.model_validate(
        {
            "regions": regions,
            "gpus": {"unit": {"power_mw": 0.0, "static_share": 0.0, "rps": 1.0}},
            "clusters": clusters,
            "tiers": {"goods": {"priority": 1, "share": 1.0}},
            "zones": zones,
        }
    )
