"""Purchases of a plan are checked against all requirements, from the plan and the laws alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from numbers import Rational
from typing import Any

import numpy as np

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet, retirable_blocks, retirable_units
from planner.infrastructure.graph import independent_plants
from planner.laws.heat import heat_at_utilisation_mw
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.costs import CostItem, purchase_items
from planner.optimization.solution.stage_values import firm_mw

#: Feasibility tolerance of solvers (1e-6 on rows) with room for sums of a few terms.
RELATIVE = 1e-5
ABSOLUTE = 1e-4
#: Part of it that floating-point sums may have taken: a sum of n amounts, none of them negative, is
#: right to (n + 2)·2⁻⁵³ of itself, there are fewer than a million, and two sides.
ROUNDED = 3e-10


def exceeds(left: float | Rational, right: float | Rational, size: float = 1.0) -> bool:
    """Whether one side may exceed the other by more than the tolerance of solvers, or is no number.

    Fractions and whole numbers have no tolerance: they are compared as they are.

    Parameters
    ----------
    size
        Scale of the quantity (`ProblemData.size_rps`, `size_mw`): in units in which all of a model
        is small, so is the tolerance.
    """
    if isinstance(left, Rational) and isinstance(right, Rational):
        return bool(left > right)
    left, right = float(left), float(right)
    room = ABSOLUTE * min(1.0, size) + (RELATIVE - ROUNDED) * max(abs(left), abs(right))
    return not left - right <= room


def worst(left: Any, right: Any, size: float = 1.0) -> tuple[float, float] | None:
    """Both sides where one exceeds the other by most (`exceeds`); None where it nowhere does.

    Parameters
    ----------
    left, right
        Numbers, or arrays with one for each case.
    """
    if not (isinstance(left, np.ndarray) or isinstance(right, np.ndarray)):
        return (float(left), float(right)) if exceeds(float(left), float(right), size) else None
    sides = np.broadcast_arrays(np.atleast_1d(left), right)
    room = ABSOLUTE * min(1.0, size) + (RELATIVE - ROUNDED) * np.maximum(*map(np.abs, sides))
    beyond = sides[0] - sides[1] - room
    at = int(beyond.argmax())  # that of a NaN, which is beyond everything
    return None if beyond[at] <= 0 else (float(sides[0][at]), float(sides[1][at]))


def broken_rules(model: Model, fleet: Fleet) -> list[str]:
    """Rules on purchases that a fleet breaks, the budget of capital among them."""
    data = ProblemData(model, ())
    return [*check_purchases(data, fleet), *check_money(data, purchase_items(data, fleet))]


def check_purchases(data: ProblemData, fleet: Fleet) -> Iterator[str]:
    """Requirements that a fleet violates: counts, N+k by enumeration, power, policies."""
    yield from _check_gpus(data, fleet)
    yield from _check_units(data, fleet)
    yield from _check_instances(data, fleet)
    yield from _check_measures(data, fleet)
    for role in ("primary", "emergency"):
        yield from _check_cover(data, fleet, role)
    yield from _check_power(data, fleet)
    yield from _check_regions(data, fleet)


def check_money(data: ProblemData, items: Iterable[CostItem]) -> Iterator[str]:
    """Capital within its budget."""
    budget = data.model.policies.capital_budget_usd
    capital = sum(item.capital_usd for item in items if item.capital_usd)
    if budget is not None and exceeds(capital, budget):
        yield f"capital of {capital:,.0f} USD exceeds {budget:,.0f}"


def _check_gpus(data: ProblemData, fleet: Fleet) -> Iterator[str]:
    model, policies = data.model, data.model.policies
    for cluster, entry in model.clusters.items():
        total = fleet.gpus[cluster]
        added = total - entry.existing_gpus
        least = entry.existing_gpus - retirable_blocks(model, cluster) * entry.block_gpus
        if not least <= total <= entry.max_gpus:
            yield f"{cluster}: {total} GPUs, {least} to {entry.max_gpus} allowed"
        if added % entry.block_gpus:
            yield f"{cluster}: {added} GPUs added are not whole blocks of {entry.block_gpus}"
        if added > 0 and cluster in policies.forbidden.gpus:
            yield f"{cluster}: GPUs added although forbidden"
        if added != policies.fixed.gpus.get(cluster, added):
            yield f"{cluster}: {added} GPUs added, {policies.fixed.gpus[cluster]} settled"
        if total and _closed(data, fleet, entry.region):
            yield f"{cluster}: GPUs in a region that is not opened"


def _check_units(data: ProblemData, fleet: Fleet) -> Iterator[str]:
    policies = data.model.policies
    for plant, entry in data.model.plants.items():
        for unit, total in fleet.units[plant].items():
            added = total - entry.existing.get(unit, 0)
            settled = policies.fixed.cooling.get(plant, {}).get(unit)
            most = entry.max_added if unit in entry.options else 0
            least = -retirable_units(data.model, plant, unit)
            if settled is None and added > most:
                yield f"{plant}: {added} {unit} added, at most {most} allowed"
            if added < least:
                yield f"{plant}: {-added} {unit} retired, at most {-least} allowed"
            if added > 0 and {plant, unit} & set(policies.forbidden.cooling):
                yield f"{plant}: {unit} added although forbidden"
            if settled is not None and added != settled:
                yield f"{plant}: {added} {unit} added, {settled} settled"
            if total and _closed(data, fleet, entry.region):
                yield f"{plant}: units in a region that is not opened"


def _check_instances(data: ProblemData, fleet: Fleet) -> Iterator[str]:
    policies = data.model.policies
    for offer, terms in data.model.offers.items():
        total = fleet.instances[offer]
        added = total - terms.existing_instances
        supply = terms.available_gpus // terms.gpus_per_instance
        if added < 0 or (added and total > supply):
            yield f"{offer}: {total} instances reserved, {supply} can be supplied"
        if added and offer in policies.forbidden.emergency:
            yield f"{offer}: instances reserved although forbidden"
        if added != policies.fixed.emergency.get(offer, added):
            yield f"{offer}: {added} instances added, {policies.fixed.emergency[offer]} settled"


def _check_measures(data: ProblemData, fleet: Fleet) -> Iterator[str]:
    policies = data.model.policies
    for name in sorted(fleet.measures & set(policies.forbidden.measures)):
        yield f"{name}: bought although forbidden"
    for name, bought in policies.fixed.measures.items():
        if bought != (name in fleet.measures):
            yield f"{name}: {'not bought' if bought else 'bought'} although settled otherwise"


def _closed(data: ProblemData, fleet: Fleet, region: str) -> bool:
    return data.model.regions[region].candidate and region not in fleet.opened


def _full_heat(data: ProblemData, fleet: Fleet, cluster: str) -> float:
    gpu, gpus = data.gpu(cluster), fleet.gpus[cluster]
    heat: float = heat_at_utilisation_mw(gpu.power_mw, gpu.static_share, gpus, 1)
    return heat


def _check_power(data: ProblemData, fleet: Fleet) -> Iterator[str]:
    """Full load and its cooling, by the plants that draw least, are within every power limit."""
    for region, limits in data.normal.power.items():
        for limit in limits:
            power: float = 0
            for cluster in data.clusters_in(region):
                plants = data.plants_of(cluster, "primary")
                mw_per_mw = data.draw_per_power(limit, cluster)
                mw_per_mw += min((data.draw_per_heat(limit, plant) for plant in plants), default=0)
                power += mw_per_mw * _full_heat(data, fleet, cluster)
            if exceeds(power, limit.mw, data.size_mw):
                what = ", ".join(limit.feeds) or region
                yield f"{what}: {power:.3f} MW at full load, {limit.mw:.3f} allowed"


def _check_regions(data: ProblemData, fleet: Fleet) -> Iterator[str]:
    model = data.model
    total = sum(fleet.gpus.values())
    for region in model.regions:
        left = total - sum(fleet.gpus[cluster] for cluster in data.clusters_in(region))
        if exceeds(model.policies.surviving_capacity_share * total, left):
            yield f"{region}: only {left} of {total} GPUs left without it"
    for region, opened in model.policies.fixed.regions.items():
        if opened != (region in fleet.opened):
            yield f"{region}: {'not opened' if opened else 'opened'} although settled otherwise"
    used = {model.clusters[cluster].region for cluster, gpus in fleet.gpus.items() if gpus}
    if len(used) < model.policies.least_regions:
        yield f"{len(used)} regions in use, policy asks for {model.policies.least_regions}"


def _check_cover(data: ProblemData, fleet: Fleet, role: str) -> Iterator[str]:
    """Plants carry the design heat of each independent set of clusters."""
    share = data.model.cooled_share(role)
    if not share:
        return
    parts = components(data, role)
    parts += [part for part in components(data, role, chillers=True) if part not in parts]
    for clusters, plants in parts:
        heat = share * sum(_full_heat(data, fleet, cluster) for cluster in clusters)
        firm = sum(firm_mw(data, fleet, plant) for plant in plants)
        if exceeds(heat, firm, data.size_mw):
            names = ", ".join(sorted(clusters))
            yield f"{role} cooling of {names}: {firm:.3f} MW firm for {heat:.3f} MW of heat"


def components(
    data: ProblemData, role: str, chillers: bool = False
) -> list[tuple[set[str], set[str]]]:
    """Sets of clusters that share plants of a role, with these plants.

    With chillers, those that carry on the heat of other plants in their place.
    """
    found: list[tuple[set[str], set[str]]] = []
    for cluster in data.model.clusters:
        if not data.gpu(cluster).power_mw:
            continue
        clusters, plants = {cluster}, set(data.plants_of(cluster, role))
        if role == "emergency" and data.model.policies.independent_emergency_cooling:
            plants &= set(independent_plants(data.model, data.graph, cluster))
        if chillers:
            plants = {data.model.plants[plant].rejects_to or plant for plant in plants}
        for other in [pair for pair in found if pair[1] & plants]:
            found.remove(other)
            clusters |= other[0]
            plants |= other[1]
        found.append((clusters, plants))
    return found
