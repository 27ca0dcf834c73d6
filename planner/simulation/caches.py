"""Caches of targets: requests that failover brings find them cold, and cost more work at first."""

from __future__ import annotations

import numpy as np

from planner.laws.compiling import compilable
from planner.laws.ratios import ratio
from planner.laws.recovery import served_with_cold_caches, warm_share_after, work_with_cold_caches
from planner.simulation.arrays import Records


@compilable
def fill_caches(zones: Records, targets: Records) -> None:
    """Before the failure caches are warm for what targets serve."""
    demand = 0.0
    for z in range(len(zones)):
        demand += zones[z].rps
    for n in range(len(targets)):
        targets[n].warm_share = ratio(targets[n].load_rps, demand)


@compilable
def look_into_caches(zones: Records, tiers: Records, targets: Records, platform: Records) -> None:
    """Requests that targets can serve with caches as warm as they are, as load balancers know.

    Each target is taken to serve the tiers that are admitted in proportion to their demand.
    """
    now, share, work = platform[0], 0.0, 0.0
    if now.cold_most <= 1:
        return
    for k in range(len(tiers)):
        if tiers[k].admitted:
            own = tiers[k].cold_factor
            share += tiers[k].share
            work += tiers[k].share * (now.cold_factor if np.isnan(own) else own)
    now.cold_now = work / share if share > 0 else 1.0
    now.demand_rps = 0.0
    for z in range(len(zones)):
        now.demand_rps += zones[z].rps
    for n in range(len(targets)):
        target = targets[n]
        warm = target.warm_share * now.demand_rps
        target.capacity_rps = served_with_cold_caches(target.capacity_rps, warm, now.cold_now)
        target.known_rps = served_with_cold_caches(target.known_rps, warm, now.cold_now)


@compilable
def warm_caches(targets: Records, platform: Records) -> None:
    """Work that the load of targets takes, and caches a minute later."""
    now = platform[0]
    for n in range(len(targets)):
        target = targets[n]
        target.work_rps = target.load_rps
        if now.cold_most > 1 and now.demand_rps > 0:
            warm = target.warm_share * now.demand_rps
            target.work_rps = work_with_cold_caches(target.load_rps, warm, now.cold_now)
            target.warm_share = warm_share_after(
                target.warm_share, target.load_rps / now.demand_rps, now.cold_half_life
            )
