"""Instances of capacitated facility location, stated as planner models.

Those of the OR-Library are small, and solvers branch on them: ``known/data/README.md``. Large ones
are drawn, and solved without the planner by a formulation of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import highspy
import numpy as np

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


def drawn(
    seed: int, warehouses: int, customers: int, capacity: int, fixed_cost: tuple[float, float]
) -> Instance:
    """An instance of the kind of capa, capb and capc, which are too long to transcribe.

    Places in a square of 1,000, demands from 1 to 100; all of a customer costs its demand times the
    distance times a number from 1 to 1.25.
    """
    draw = np.random.default_rng(seed)
    here, there = draw.uniform(0, 1000, (customers, 1, 2)), draw.uniform(0, 1000, (warehouses, 2))
    demand = draw.integers(1, 101, customers).astype(float)
    distance = np.hypot(*np.moveaxis(here - there, 2, 0))
    cost = distance * demand[:, None] * draw.uniform(1, 1.25, (customers, warehouses))
    return Instance(
        (capacity,) * warehouses,
        tuple(draw.uniform(*fixed_cost, warehouses).round().tolist()),
        tuple(demand.tolist()),
        tuple(map(tuple, cost.round(5).tolist())),
    )


def optimum(instance: Instance, gap: float = 0.0) -> float:
    """Least cost of an instance, by the formulation with shares of customers and all strong rows.

    ``Σ_i s[j,i] = 1``, ``Σ_j d[j]·s[j,i] ≤ K[i]·y[i]``, ``s[j,i] ≤ y[i]``
    """
    highs = highspy.Highs()
    highs.setOptionValue("log_to_console", False)
    highs.setOptionValue("mip_rel_gap", gap)
    cost, demand = np.array(instance.cost), np.array(instance.demand)
    customers, sites = cost.shape
    prices = np.concatenate([instance.fixed_cost, cost.ravel()])
    none, zero = np.zeros(0, dtype=np.int32), np.zeros(0)
    highs.addCols(len(prices), prices, 0 * prices, 1 + 0 * prices, 0, none, none, zero)
    whole = np.full(sites, highspy.HighsVarType.kInteger)
    highs.changeColsIntegrality(sites, np.arange(sites, dtype=np.int32), whole)
    share = sites + np.arange(customers * sites, dtype=np.int32).reshape(customers, sites)
    for j in range(customers):
        highs.addRow(1.0, 1.0, sites, share[j], np.ones(sites))
    for i in range(sites):
        entries = np.append(demand, -instance.capacity[i])
        highs.addRow(-np.inf, 0.0, customers + 1, np.append(share[:, i], i), entries)
        for j in range(customers):
            highs.addRow(-np.inf, 0.0, 2, np.array([share[j, i], i]), np.array([1.0, -1.0]))
    highs.run()
    return float(highs.getObjectiveValue())


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
