"""The tree of nodes: a period on the paths that are still the same in it, and the model of each.

The model of a node is that of the file with other demand, prices, limits and ages. It is stated as
settings too (``--set``), so that every other command can take it up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from planner.infrastructure.changes import changed
from planner.infrastructure.entities import Model
from planner.infrastructure.horizon import DemandGrowth, Horizon
from planner.infrastructure.horizon_checks import remaining_gpus, remaining_units
from planner.laws.money import annuity_years


@dataclass(frozen=True)
class Node:
    """A period on some paths.

    Parameters
    ----------
    name
        ``p2``, or ``p2-high`` from where a path is known on.
    period
        From 1.
    branch
        Path that gives its demand; empty before any is known.
    paths
        Paths that pass through it; none if the model has none.
    probability
        Probability of these paths.
    parent
        Node of the period before; None for the first.
    years
        Present value, at the start of the horizon, of one USD a year paid during the period.
    """

    name: str
    period: int
    branch: str
    paths: tuple[str, ...]
    probability: float
    parent: str | None
    years: float

    @property
    def weight(self) -> float:
        """What a yearly cost counts in the objective."""
        return self.probability * self.years


def branch_of(horizon: Horizon, path: str, period: int) -> str:
    """Path that gives the demand of a path in a period: itself, or one that it still follows."""
    while path and period < horizon.paths[path].from_period:
        path = horizon.paths[path].follows or ""
    return path


def tree(horizon: Horizon, rate: float) -> dict[str, Node]:
    """All nodes by name, period by period."""
    found: dict[str, Node] = {}
    for period in range(1, horizon.periods + 1):
        start, end = (period - 1) * horizon.years, period * horizon.years
        years = annuity_years(rate, end) - annuity_years(rate, start)
        branches: dict[str, list[str]] = {}
        for path in horizon.paths or ("",):
            branches.setdefault(branch_of(horizon, path, period), []).append(path)
        for branch, paths in branches.items():
            probability = sum(horizon.paths[path].probability for path in paths if path) or 1.0
            before = branch_of(horizon, paths[0], period - 1)
            parent = node_name(period - 1, before) if period > 1 else None
            name = node_name(period, branch)
            through = tuple(path for path in paths if path)
            found[name] = Node(name, period, branch, through, probability, parent, years)
    return found


def node_name(period: int, branch: str) -> str:
    """Name of the node of a period and a branch.

    >>> node_name(2, ""), node_name(3, "high")
    ('p2', 'p3-high')
    """
    return f"p{period}-{branch}" if branch else f"p{period}"


def line_of(nodes: Mapping[str, Node], node: Node) -> list[Node]:
    """A node and those before it, the first period first."""
    line = [node]
    while line[-1].parent is not None:
        line.append(nodes[line[-1].parent])
    return line[::-1]


def leaves(nodes: Mapping[str, Node]) -> list[Node]:
    """Nodes of the last period."""
    last = max(node.period for node in nodes.values())
    return [node for node in nodes.values() if node.period == last]


def demand_factor(horizon: Horizon, branch: str, period: int, section: str, name: str) -> float:
    """Factor on the demand of a zone, or on the share of a tier, over the first period."""
    if not branch:
        growth, before, elapsed, steps = horizon.growth, 1.0, period - 1, period - 1
    else:
        path = horizon.paths[branch]
        earlier = path.from_period - 1
        parent = branch_of(horizon, path.follows or "", earlier)
        before = demand_factor(horizon, parent, earlier, section, name)
        growth, elapsed, steps = path.growth, period - path.from_period, period - earlier
    course = _course(growth, section, name)
    return before if course is None else before * course.factor(elapsed, steps * horizon.years)


def _course(growth: DemandGrowth, section: str, name: str) -> Any:
    if section == "tiers":
        return growth.tiers.get(name)
    return growth.zones.get(name, growth.demand)


def changes_at(model: Model, node: Node) -> dict[str, Any]:
    """Values of the model of a node that differ from the file, by path.

    Power is firm power: what is promised at any time.
    """
    horizon = model.horizon
    if horizon is None:
        raise ValueError("The model has no horizon.")
    found = {
        **_demand(model, horizon, node),
        **_prices(model, horizon, node.period),
        **_ages(model, horizon, node.period),
        **{
            f"regions.{region}.power_limit_mw": firm
            for region, (firm, _) in power_at(horizon, node.period).items()
        },
    }
    if model.policies.capital_budget_usd is not None:
        found["policies.capital_budget_usd"] = None
    return {**found, "horizon": None}


def with_flexible(model: Model, horizon: Horizon, period: int) -> Model:
    """The model of a node with the power that the grid may withhold."""
    steps = power_at(horizon, period)
    more = {r: firm + flexible for r, (firm, flexible) in steps.items() if flexible}
    return changed(model, {f"regions.{r}.power_limit_mw": mw for r, mw in more.items()})


def power_at(horizon: Horizon, period: int) -> dict[str, tuple[float, float]]:
    """Firm and flexible power of regions that state it, MW."""
    steps = sorted(horizon.power, key=lambda step: step.from_period)
    return {s.region: (s.firm_mw, s.flexible_mw) for s in steps if s.from_period <= period}


def _demand(model: Model, horizon: Horizon, node: Node) -> dict[str, Any]:
    def factor(section: str, name: str) -> float:
        return demand_factor(horizon, node.branch, node.period, section, name)

    shares = {name: tier.share * factor("tiers", name) for name, tier in model.tiers.items()}
    total = sum(shares.values())
    found: dict[str, Any] = {}
    for name, zone in model.zones.items():
        demand = zone.demand_rps * factor("zones", name) * total
        if demand != zone.demand_rps:
            found[f"zones.{name}.demand_rps"] = demand
    for name, share in shares.items():
        if total and abs(share / total - model.tiers[name].share) > 1e-12:
            found[f"tiers.{name}.share"] = share / total
    return found


def _prices(model: Model, horizon: Horizon, period: int) -> dict[str, Any]:
    """Prices of the day of order; what exists keeps the price that it was bought at."""
    found: dict[str, Any] = {}
    for section in ("gpus", "cooling_units"):
        for name in getattr(horizon.prices, section):
            kind = getattr(model, section)[name]
            price = kind.capital_usd * price_factor(horizon, section, name, period)
            if price == kind.capital_usd:
                continue
            paid = kind.existing_capital_usd
            found[f"{section}.{name}.existing_capital_usd"] = (
                kind.capital_usd if paid is None else paid
            )
            if kind.salvage_usd > price:
                found[f"{section}.{name}.salvage_usd"] = price
            found[f"{section}.{name}.capital_usd"] = price
    for name, region in model.regions.items():
        factor = price_factor(horizon, "regions", name, period)
        if factor != 1:
            price = region.electricity_usd_per_mwh * factor
            found[f"regions.{name}.electricity_usd_per_mwh"] = price
    for name in horizon.prices.offers:
        offer, factor = model.offers[name], price_factor(horizon, "offers", name, period)
        if factor != 1:
            for field in ("usd_per_instance_hour", "retainer_usd_per_instance_year"):
                found[f"offers.{name}.{field}"] = getattr(offer, field) * factor
    return found


def price_factor(horizon: Horizon, section: str, name: str, period: int) -> float:
    """Factor on a price over that of the first period; of electricity for ``regions``."""
    course = getattr(horizon.prices, section, {}).get(name)
    if course is None:
        course = horizon.prices.electricity if section == "regions" else None
    elapsed = period - 1
    return 1.0 if course is None else float(course.factor(elapsed, elapsed * horizon.years))


def _ages(model: Model, horizon: Horizon, period: int) -> dict[str, Any]:
    """What exists until the end of its life: in a roadmap its replacement is an order."""
    found: dict[str, Any] = {}
    for name, cluster in model.clusters.items():
        left = remaining_gpus(model, horizon, name, period)
        if left != cluster.existing_gpus:
            found[f"clusters.{name}.existing_gpus"] = left
        for field in ("existing_age_years", "existing_facility_age_years"):
            if getattr(cluster, field) is not None:
                found[f"clusters.{name}.{field}"] = None
    for name, plant in model.plants.items():
        for unit, count in plant.existing.items():
            left = remaining_units(model, horizon, name, unit, period)
            if left != count:
                found[f"plants.{name}.existing.{unit}"] = left
        if plant.existing_age_years is not None:
            found[f"plants.{name}.existing_age_years"] = None
    return found
