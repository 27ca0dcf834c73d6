"""Everything about a simulation that does not change while it runs, as arrays.

Axes: S scenarios, I intervals of all scenarios one after another, C clusters, P plants, J sets of
standby units, Z zones, K tiers by priority, V offers, N targets (clusters, then offers), T minutes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import (
    Fleet,
    cooling_power_mw_per_mw,
    plant_units,
    unit_mw,
)
from planner.infrastructure.graph import Graph, offer_in_reach, reachable_regions
from planner.laws.heat import capacitance_mj_per_k
from planner.laws.traffic import Routes
from planner.scenarios.course import Condition, Course, normal_condition
from planner.scenarios.demand import demand_at

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Clusters:
    """Clusters, each array of shape (C,)."""

    names: tuple[str, ...]
    gpus: Floats
    power_mw: Floats
    static_share: Floats
    rps: Floats
    utilisation: Floats
    capacitance: Floats
    setpoint_c: Floats
    throttle_c: Floats
    shutdown_c: Floats
    restart_c: Floats
    region: Ints


@dataclass(frozen=True)
class StandbySet:
    """Units of one type in one plant that start when they are needed."""

    plant: int
    start_minutes: float
    automatic: bool


@dataclass(frozen=True)
class Offers:
    """Emergency offers, each array of shape (V,)."""

    names: tuple[str, ...]
    rps: Floats
    rps_per_gpu: Floats
    lead_minutes: Floats
    usd_per_gpu_minute: Floats


@dataclass(frozen=True)
class Conditions:
    """What holds in each interval.

    Parameters
    ----------
    cluster_up
        Shape (I, C).
    running_mw
        Capacity of running units, shape (I, P).
    standby_mw
        Capacity of standby sets once started, shape (I, J).
    offer_up
        Shape (I, V).
    tier_up
        Shape (I, K).
    power_share
        Share of the full heat of a region that its power allows, shape (I, C).
    """

    cluster_up: Bools
    running_mw: Floats
    standby_mw: Floats
    offer_up: Bools
    tier_up: Bools
    power_share: Floats


@dataclass(frozen=True)
class Reaction:
    """How each scenario is reacted to, arrays of shape (S,) in minutes."""

    reaction: Floats
    order: Floats
    shedding: Floats
    failover: Ints
    restart_check: Floats
    queue_limit: Floats
    patience: Floats


@dataclass(frozen=True)
class World:
    """All static data of a simulation.

    Parameters
    ----------
    interval
        Interval of each scenario at each minute, shape (T, S).
    demand
        Requests per second, shape (T, S, Z, K).
    """

    model: Model
    courses: tuple[Course, ...]
    tiers: tuple[str, ...]
    clusters: Clusters
    standby: tuple[StandbySet, ...]
    serves: Bools
    primary: Bools
    offers: Offers
    routes: Routes
    conditions: Conditions
    reaction: Reaction
    interval: Ints
    demand: Floats
    phase_ends: Floats
    phase_shares: Floats

    @property
    def minutes(self) -> int:
        """Length of the simulation."""
        return len(self.interval)


def build_world(model: Model, graph: Graph, fleet: Fleet, courses: tuple[Course, ...]) -> World:
    """Turn a model, a fleet and scenarios into arrays."""
    tiers = tuple(sorted(model.tiers, key=lambda tier: model.tiers[tier].priority))
    clusters = _clusters(model, fleet)
    standby = _standby(model)
    horizon = round(model.simulation.horizon_minutes)
    conditions, interval = _conditions(model, graph, courses, horizon)
    phases = model.operations.restoration
    return World(
        model=model,
        courses=courses,
        tiers=tiers,
        clusters=clusters,
        standby=tuple(one for one, _ in standby),
        serves=np.array(
            [[c in plant.cools for c in model.clusters] for plant in model.plants.values()]
        ).reshape(len(model.plants), len(model.clusters)),
        primary=np.array([plant.role == "primary" for plant in model.plants.values()], dtype=bool),
        offers=_offers(model, fleet),
        routes=_routes(model, tiers),
        conditions=_stack(model, fleet, conditions, standby, tiers, clusters),
        reaction=_reaction(courses),
        interval=interval,
        demand=_demand(model, courses, conditions, interval, tiers),
        phase_ends=np.cumsum([phase.minutes for phase in phases], dtype=float),
        phase_shares=np.array([*(phase.capacity for phase in phases), 1.0]),
    )


def _clusters(model: Model, fleet: Fleet) -> Clusters:
    entries = list(model.clusters.values())
    kinds = [model.gpus[entry.gpu] for entry in entries]
    regions = list(model.regions)

    def column(values: list[float]) -> Floats:
        return np.array(values, dtype=float)

    gpus = column([fleet.gpus[entry.name] for entry in entries])
    power = column([kind.power_mw for kind in kinds])
    per_mw = column([entry.capacitance_mj_per_k_per_mw for entry in entries])
    return Clusters(
        names=tuple(model.clusters),
        gpus=gpus,
        power_mw=power,
        static_share=column([kind.static_share for kind in kinds]),
        rps=column([kind.rps for kind in kinds]),
        utilisation=column([entry.max_utilisation for entry in entries]),
        capacitance=capacitance_mj_per_k(per_mw, power, gpus),
        setpoint_c=column([entry.setpoint_c for entry in entries]),
        throttle_c=column([entry.throttle_c for entry in entries]),
        shutdown_c=column([entry.shutdown_c for entry in entries]),
        restart_c=column([entry.restart_c for entry in entries]),
        region=np.array([regions.index(entry.region) for entry in entries], dtype=np.int64),
    )


def _standby(model: Model) -> list[tuple[StandbySet, tuple[str, str]]]:
    sets = []
    for index, (name, plant) in enumerate(model.plants.items()):
        for unit in plant_units(model, name):
            kind = model.cooling_units[unit]
            if plant.role == "emergency" or kind.mode == "standby":
                one = StandbySet(index, kind.start_minutes, plant.automatic)
                sets.append((one, (name, unit)))
    return sets


def _offers(model: Model, fleet: Fleet) -> Offers:
    entries = list(model.offers.values())
    gpus = np.array([fleet.instances[o.name] * o.gpus_per_instance for o in entries], dtype=float)
    rps_per_gpu = np.array([offer.rps_per_gpu for offer in entries], dtype=float)
    price = [o.usd_per_instance_hour * o.surge_multiplier / o.gpus_per_instance for o in entries]
    return Offers(
        names=tuple(model.offers),
        rps=gpus * rps_per_gpu,
        rps_per_gpu=rps_per_gpu,
        lead_minutes=np.array([offer.lead_time_minutes for offer in entries], dtype=float),
        usd_per_gpu_minute=np.array(price, dtype=float) / 60,
    )


def _routes(model: Model, tiers: tuple[str, ...]) -> Routes:
    """Clusters by preference and latency, then offers by price, within the limit of the tier."""
    clusters, offers = list(model.clusters), list(model.offers)
    ranks = len(clusters) + len(offers)
    order = np.full((len(tiers), ranks, len(model.zones)), -1, dtype=np.int64)
    by_price = sorted(
        offers,
        key=lambda o: (
            model.offers[o].usd_per_instance_hour
            * model.offers[o].surge_multiplier
            / model.offers[o].gpus_per_instance
        ),
    )
    for k, tier in enumerate(tiers):
        for z, (zone, entry) in enumerate(model.zones.items()):
            regions = reachable_regions(model, zone, tier)
            near = sorted(
                (c for c in clusters if model.clusters[c].region in regions),
                key=lambda c: _nearness(entry.prefers, entry.latency_ms, model.clusters[c].region),
            )
            limits = model.tiers[tier]
            rented = [o for o in by_price if offer_in_reach(model, zone, o, limits)]
            targets = [clusters.index(c) for c in near]
            targets += [len(clusters) + offers.index(o) for o in rented]
            order[k, : len(targets), z] = targets
    used = int((order >= 0).any(axis=(0, 2)).sum())
    return Routes.from_order(order[:, : max(used, 1)], ranks)


def _nearness(
    prefers: tuple[str, ...], latency: Mapping[str, float], region: str
) -> tuple[int, float]:
    rank = prefers.index(region) if region in prefers else len(prefers)
    return rank, latency[region]


def _conditions(
    model: Model, graph: Graph, courses: tuple[Course, ...], horizon: int
) -> tuple[list[Condition], Ints]:
    """Conditions of all intervals, and the interval of each scenario at each minute."""
    normal = normal_condition(model, graph)
    conditions = [normal]
    interval = np.zeros((horizon, len(courses)), dtype=np.int64)
    minutes = np.arange(horizon)
    for s, course in enumerate(courses):
        for one in course.intervals:
            inside = (minutes >= one.start_minute) & (minutes < one.end_minute)
            interval[inside, s] = len(conditions)
            conditions.append(one.condition)
    return conditions, interval


def _stack(
    model: Model,
    fleet: Fleet,
    conditions: list[Condition],
    standby: list[tuple[StandbySet, tuple[str, str]]],
    tiers: tuple[str, ...],
    clusters: Clusters,
) -> Conditions:
    plants = list(model.plants)
    running = np.zeros((len(conditions), len(plants)))
    started = np.zeros((len(conditions), len(standby)))
    places = {key: index for index, (_, key) in enumerate(standby)}
    for i, condition in enumerate(conditions):
        for p, plant in enumerate(plants):
            for unit, capacity in surviving_units_mw(model, fleet, condition, plant).items():
                if (plant, unit) in places:
                    started[i, places[plant, unit]] = capacity
                else:
                    running[i, p] += capacity
    return Conditions(
        cluster_up=np.array(
            [[c not in x.clusters_down for c in model.clusters] for x in conditions]
        ),
        running_mw=running,
        standby_mw=started,
        offer_up=np.array(
            [[o not in x.offers_down for o in model.offers] for x in conditions], dtype=bool
        ).reshape(len(conditions), len(model.offers)),
        tier_up=np.array([[k not in x.tiers_down for k in tiers] for x in conditions]),
        power_share=np.array(
            [_power_share(model, one, conditions[0], clusters) for one in conditions]
        ),
    )


def surviving_units_mw(
    model: Model, fleet: Fleet, condition: Condition, plant: str
) -> dict[str, float]:
    """Capacity of each unit type of a plant with what a condition takes away, MW.

    Named units go first, then the largest of those left; among equals running units go first.
    """
    if plant in condition.plants_down:
        return {}
    counts = dict(fleet.units[plant])
    for (hit, unit), lost in condition.lost_units.items():
        if hit == plant:
            counts[unit] = max(0, counts[unit] - lost)
    rise = condition.ambient_rise_c.get(model.plants[plant].region, 0.0)
    sizes = {unit: unit_mw(model, plant, unit, rise) for unit in counts}
    remaining = condition.lost_largest.get(plant, 0)

    def rank(unit: str) -> tuple[float, bool]:
        return -sizes[unit], model.cooling_units[unit].mode == "standby"

    for unit in sorted(counts, key=rank):
        gone = min(remaining, counts[unit])
        counts[unit] -= gone
        remaining -= gone
    return {unit: sizes[unit] * count for unit, count in counts.items()}


def _power_share(
    model: Model, condition: Condition, normal: Condition, clusters: Clusters
) -> Floats:
    """Share of a cluster's heat at its utilisation limit that the power of its region allows."""
    share = np.ones(len(clusters.names))
    heat = clusters.power_mw * clusters.gpus
    heat = heat * (clusters.static_share + (1 - clusters.static_share) * clusters.utilisation)
    for index, region in enumerate(model.regions):
        power = condition.power_mw.get(region)
        here = clusters.region == index
        total = heat[here].sum()
        if power is None or power == normal.power_mw.get(region) or total <= 0:
            continue
        factor = 1 + cooling_power_mw_per_mw(model, region, ("primary", "emergency"))
        share[here] = min(1.0, power / (factor * total))
    return share


def _reaction(courses: tuple[Course, ...]) -> Reaction:
    def column(values: list[float]) -> Floats:
        return np.array(values, dtype=float)

    return Reaction(
        reaction=column([course.reaction_minute for course in courses]),
        order=column([course.order_minute for course in courses]),
        shedding=column(
            [np.inf if c.shedding_minute is None else c.shedding_minute for c in courses]
        ),
        failover=np.array(
            [math.ceil(c.operations.failover_minutes) for c in courses], dtype=np.int64
        ),
        restart_check=column([c.operations.restart_check_minutes for c in courses]),
        queue_limit=column([c.operations.queue_limit_requests for c in courses]),
        patience=column([max(1.0, c.operations.patience_minutes) for c in courses]),
    )


def _demand(
    model: Model,
    courses: tuple[Course, ...],
    conditions: list[Condition],
    interval: Ints,
    tiers: tuple[str, ...],
) -> Floats:
    horizon = len(interval)
    minutes = np.arange(horizon, dtype=float)
    zones = list(model.zones)
    base = np.array([demand_at(model, course.start_hour, minutes) for course in courses])
    base = base.reshape(len(courses), len(zones), horizon)
    factor = np.array([[x.demand_factor.get(z, 1.0) for z in zones] for x in conditions])
    by_zone = base.transpose(2, 0, 1) * factor[interval]
    shares = np.array([model.tiers[tier].share for tier in tiers])
    demand: Floats = by_zone[..., None] * shares
    return demand
