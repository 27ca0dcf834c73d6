"""Served fraction of the demand of tiers and zones, by minute and at its minimum."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from planner.laws.preemption import lost_work
from planner.laws.traffic import served_fraction
from planner.scenarios.standard import ALL, Floor, counts_for, subject_of
from planner.simulation.history import History, by_part
from planner.simulation.system_states import Bools, Floats
from planner.simulation.world import World

#: Fraction of every tier that counts as recovered.
RECOVERED = 0.999


def served_fractions(world: World, history: History, index: int) -> dict[str, Floats]:
    """Served fraction of every tier and of all together, each of shape (T,).

    Where the standard has rules for zones, that of each zone too (`planner.scenarios.standard`).
    Retries that succeed count in the minute in which they do; no minute serves more than is wanted.
    """
    demand = by_part(history.demand_rps, index)
    served = np.minimum(by_part(history.served_rps, index), demand)
    fractions = dict(zip(world.tiers.names, served_fraction(served, demand), strict=True))
    fractions[ALL] = served_fraction(served.sum(axis=0), demand.sum(axis=0))
    zone_rps = world.zone_rps(index)
    for z, zone in enumerate(world.model.zones if world.by_zone else ()):
        wanted = zone_rps[:, z, None] * world.tiers.share
        here = history.zone_served_rps[:, index].reshape(len(wanted), -1, len(world.tiers.names))
        got = np.minimum(here[:, z], wanted)
        for k, tier in enumerate(world.tiers.names):
            fractions[subject_of(tier, zone)] = served_fraction(got[:, k], wanted[:, k])
        fractions[subject_of(ALL, zone)] = served_fraction(got.sum(axis=1), wanted.sum(axis=1))
    return fractions


def short_of_full(world: World, fractions: Mapping[str, Floats]) -> Bools:
    """Minutes in which any tier is served less than `RECOVERED`, shape (T,)."""
    least = np.min([fractions[tier] for tier in world.tiers.names], axis=0)
    short: Bools = least < RECOVERED
    return short


def wanted_rps(world: World, index: int, minute: int, subject: str) -> float:
    """Demand of a subject of the standard in a minute."""
    zone_rps = world.zone_rps(index)[minute]
    return sum(
        float(zone_rps[z] * world.tiers.share[k])
        for z, zone in enumerate(world.model.zones)
        for k, tier in enumerate(world.tiers.names)
        if counts_for(subject, zone, tier)
    )


def least_served(
    world: World, rules: tuple[Floor, ...], since: Floats, fractions: dict[str, Floats]
) -> dict[str, float]:
    """Minimum service level of every tier while the standard applies to it."""
    least: dict[str, float] = {}
    for tier in world.tiers.names:
        starts = [rule.from_minute for rule in rules if rule.tier in (tier, ALL)]
        asked = np.flatnonzero(since >= min(starts, default=0.0))
        least[tier] = float(fractions[tier][asked if len(asked) else -1].min())
    return least


def least_by_zone(
    rules: tuple[Floor, ...], since: Floats, fractions: dict[str, Floats]
) -> dict[str, dict[str, float]]:
    """The same by zone and tier, or `all`, for the rules of single zones."""
    least: dict[str, dict[str, float]] = {}
    for rule in rules:
        if rule.zone is not None and rule.tier not in least.get(rule.zone, {}):
            # Rules come in order of time.
            asked = np.flatnonzero(since >= rule.from_minute)
            value = fractions[rule.subject][asked if len(asked) else -1].min()
            least.setdefault(rule.zone, {})[rule.tier] = float(value)
    return least


def lost_work_of(world: World, history: History, index: int) -> Floats:
    """Preemptible work lost since its last checkpoint, in requests, shape (T, K)."""
    demand, served = history.demand_rps[:, index], history.served_rps[:, index]
    return lost_work(demand, served, world.tiers.checkpoint_minutes)
