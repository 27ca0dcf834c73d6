"""Where requests go: the order in which load balancers prefer targets, and what it comes to.

The simulator routes by this order at every minute; energy and transport of a year without failures
are billed by what it comes to at the 168 hours of the week (`normal_week`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.infrastructure.customers import Zone
from planner.infrastructure.entities import Model, Offer
from planner.infrastructure.fleet import Fleet, running_units
from planner.infrastructure.graph import offer_in_reach, reachable_regions
from planner.laws.heat import heat_mw
from planner.laws.money import HOURS_PER_YEAR, energy_usd, transport_usd
from planner.laws.traffic import Floats, Ints, Routes, route, serving_rps
from planner.scenarios.demand import weekly_demand


def preferred_clusters(model: Model, zone: str, tier: str) -> tuple[str, ...]:
    """Clusters within the latency limit of a tier in a zone, in order of preference.

    By nearness, of those equally near the one where a request costs least; with
    ``operations.routing: cheapest`` by that alone. Of equals the one that the model names first.
    """
    regions = reachable_regions(model, zone, tier)
    within = [name for name, cluster in model.clusters.items() if cluster.region in regions]
    cost = {name: request_usd(model, model.zones[zone], name) for name in within}
    if model.operations.routing == "cheapest":
        return tuple(sorted(within, key=lambda name: cost[name]))
    near = {name: nearness(model, zone, model.clusters[name].region) for name in within}
    return tuple(sorted(within, key=lambda name: (near[name], cost[name])))


def nearness(model: Model, zone: str, region: str) -> tuple[int, float]:
    """How near a region is to a zone, smaller is nearer: what it prefers, then latency."""
    entry = model.zones[zone]
    rank = entry.prefers.index(region) if region in entry.prefers else len(entry.prefers)
    return rank, entry.latency_ms[region]


def request_usd(model: Model, zone: Zone, cluster: str) -> float:
    """Energy and transport cost of serving one request per second for a year, USD.

    Cooling counts with the thriftiest units that run in the cluster's plants or may be bought.
    """
    entry = model.clusters[cluster]
    gpu, region = model.gpus[entry.gpu], model.regions[entry.region]
    cooling = [
        _thriftiest(model, name)
        + (0.0 if plant.rejects_to is None else _thriftiest(model, plant.rejects_to))
        for name, plant in model.plants.items()
        if plant.role == "primary" and cluster in plant.cools
    ]
    heat = heat_mw(gpu.power_mw, gpu.static_share, 0.0, 1.0 / gpu.rps)
    power = heat * (region.drawn_mw_per_mw + min(cooling, default=0.0))
    price = zone.transport_usd_per_million_requests.get(entry.region, 0.0)
    energy = energy_usd(power, HOURS_PER_YEAR, region.electricity_usd_per_mwh)
    return float(energy + transport_usd(1.0, HOURS_PER_YEAR, price))


def _thriftiest(model: Model, plant: str) -> float:
    """Least power per heat of the units that run in a plant."""
    units = running_units(model, plant)
    return min((model.cooling_units[unit].drawn_mw_per_mw for unit in units), default=0.0)


def target_order(model: Model) -> Ints:
    """All targets of each tier and zone: clusters as preferred, then offers by price, within reach.

    Returns
    -------
    numpy.ndarray
        Places among clusters and then offers, nearest first and -1 after the last, shape
        (tiers, targets, zones), tiers by priority.
    """
    clusters, offers = list(model.clusters), list(model.offers)
    tiers = tiers_by_priority(model)
    order = np.full((len(tiers), len(clusters) + len(offers), len(model.zones)), -1, dtype=np.int64)
    by_price = sorted(offers, key=lambda name: _gpu_hour_usd(model.offers[name]))
    for k, tier in enumerate(tiers):
        for z, zone in enumerate(model.zones):
            rented = [o for o in by_price if offer_in_reach(model, zone, o, model.tiers[tier])]
            targets = [clusters.index(c) for c in preferred_clusters(model, zone, tier)]
            targets += [len(clusters) + offers.index(o) for o in rented]
            order[k, : len(targets), z] = targets
    return order


def tiers_by_priority(model: Model) -> tuple[str, ...]:
    """Tiers in the order in which they are served where capacity is scarce."""
    return tuple(sorted(model.tiers, key=lambda tier: model.tiers[tier].priority))


def routes_of(model: Model, fleet: Fleet, order: Ints) -> Routes:
    """Targets of each zone and tier that a fleet has anything of.

    Parameters
    ----------
    order
        All targets (`target_order`).
    """
    counts = [*(fleet.gpus[name] for name in model.clusters)]
    counts += [fleet.instances[name] for name in model.offers]
    present = np.array([*counts, 0], dtype=np.int64)[order] > 0
    first = np.argsort(~present, axis=1, kind="stable")
    kept = np.take_along_axis(np.where(present, order, -1), first, axis=1)
    used = int(present.sum(axis=1).max(initial=0))
    priorities = [model.tiers[tier].priority for tier in tiers_by_priority(model)]
    level = np.unique(priorities, return_inverse=True)[1].astype(np.int64)
    return Routes.from_order(kept[:, : max(used, 1)], len(counts), level)


def _gpu_hour_usd(offer: Offer) -> float:
    return offer.usd_per_instance_hour * offer.price_factor / offer.gpus_per_instance


@dataclass(frozen=True, eq=False)
class NormalWeek:
    """Where requests of a week without failures go.

    Parameters
    ----------
    load_rps
        Requests per second that clusters serve, shape (168, clusters).
    mean_rps
        Mean of the week from zones to clusters, shape (zones, clusters).
    unserved_rps
        Requests per second that find no room, shape (168,).
    """

    load_rps: Floats
    mean_rps: Floats
    unserved_rps: Floats


def normal_week(model: Model, fleet: Fleet) -> NormalWeek:
    """Route each hour of the week as the simulator does when nothing fails.

    All GPUs are taken to be powered and cooled, and no service to turn requests away.
    """
    tiers, routes = tiers_by_priority(model), routes_of(model, fleet, target_order(model))
    shares = np.array([model.tiers[tier].share for tier in tiers])
    demand = weekly_demand(model).T[:, :, None] * shares
    room = [
        serving_rps(fleet.gpus[name], model.gpus[cluster.gpu].rps, cluster.max_utilisation)
        for name, cluster in model.clusters.items()
    ]
    capacity = np.zeros((len(demand), routes.targets))
    capacity[:, : len(room)] = room
    first = model.operations.priority_shedding == "automatic"
    routing = route(demand, capacity, routes, np.full(len(demand), first))
    flows = routing.by_zone[..., : len(room)]
    return NormalWeek(
        load_rps=routing.load[:, : len(room)],
        mean_rps=flows.mean(axis=0),
        unserved_rps=np.maximum(demand.sum(axis=(1, 2)) - routing.sent.sum(axis=(1, 2)), 0.0),
    )
