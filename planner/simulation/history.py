"""What a simulation records of every minute. Axes as in `planner.simulation.world`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.infrastructure.entities import Model
from planner.scenarios.services import limited_services
from planner.scenarios.standard import asks_by_zone
from planner.simulation.minute import Minute
from planner.simulation.system_states import Bools, Floats, Ints
from planner.simulation.world import World


@dataclass
class History:
    """Records of every minute; first axis minutes, second scenarios.

    Attributes
    ----------
    demand_rps, attempts_rps, served_rps
        New requests, requests with retries, and requests that succeed, by tier, shape (T, S, K).
    zone_served_rps
        The last by zone and tier, one after the other, shape (T, S, Z·K); where the standard speaks
        of zones.
    temperature_c, clock, off, heat_mw, cooling_mw, powered_gpus
        By cluster, shape (T, S, C).
    load_rps, capacity_rps, known_capacity_rps, wanted_rps
        By target, shape (T, S, N). Load balancers act on the known capacity. Wanted is the offered
        load: what is served, and requests that found no room anywhere and could have come here.
    cooling_capacity_mw
        By plant, standby units included once started, shape (T, S, P).
    service_use, pool_use
        Requests over capacity and connections wanted over those there are, shape (T, S, X).
    waiting, stale, retrying
        Requests in the queue, those of them in vain, and clients backing off, shape (T, S).
    shed, rejected, dropped, timed_out
        Requests turned away by operators or for want of a service or room, by services and pools,
        by a full queue, and those that timed out in it, shape (T, S).
    wasted, purged
        Requests served in vain, and those in vain taken out of the queue unserved, shape (T, S).
    gave_up
        Requests whose clients gave up for good, shape (T, S).
    cold_mj
        Cold in chilled-water tanks, shape (T, S, P).
    emergency_usd
        Spend, shape (T, S).
    phase
        Phase of restoration, the number of phases in normal operation, shape (T, S, C).
    order_minute, standby_since
        Final values of the state.
    """

    demand_rps: Floats
    attempts_rps: Floats
    served_rps: Floats
    zone_served_rps: Floats
    temperature_c: Floats
    clock: Floats
    off: Bools
    heat_mw: Floats
    cooling_mw: Floats
    powered_gpus: Floats
    load_rps: Floats
    capacity_rps: Floats
    known_capacity_rps: Floats
    wanted_rps: Floats
    cooling_capacity_mw: Floats
    service_use: Floats
    pool_use: Floats
    waiting: Floats
    stale: Floats
    retrying: Floats
    shed: Floats
    rejected: Floats
    dropped: Floats
    timed_out: Floats
    wasted: Floats
    purged: Floats
    gave_up: Floats
    cold_mj: Floats
    emergency_usd: Floats
    phase: Ints
    order_minute: Floats
    standby_since: Floats

    def keeps(self, name: str) -> bool:
        """Whether a record is kept."""
        return len(getattr(self, name)) > 0

    def record(self, now: Minute) -> None:
        """Record a minute that is over."""
        for names in AXES.values():
            for name in names:
                record = getattr(self, name)
                if len(record):
                    record[now.number] = getattr(now, name)

    @classmethod
    def empty(
        cls, world: World, only: frozenset[str] | None = None, reuse: History | None = None
    ) -> History:
        """Room for the records of all minutes; names left out of `only` have room for none."""
        minutes, scenarios = world.minutes, len(world.timelines)
        widths = _widths(world.model)
        records = {}
        for axis, names in AXES.items():
            shape = (scenarios, widths[axis]) if axis else (scenarios,)
            for name in names:
                kept = minutes if only is None or name in only else 0
                old = None if reuse is None else getattr(reuse, name)
                if old is not None and old.shape == (kept, *shape):
                    records[name] = old
                else:
                    records[name] = np.zeros((kept, *shape), dtype=TYPES.get(name, float))
        return cls(**records, order_minute=np.empty(0), standby_since=np.empty(0))


def _widths(model: Model) -> dict[str, int]:
    """Lengths of the axes of records."""
    return {
        "K": len(model.tiers),
        "ZK": len(model.zones) * len(model.tiers) * asks_by_zone(model),
        "C": len(model.clusters),
        "N": len(model.clusters) + len(model.offers),
        "P": len(model.plants),
        "X": len(limited_services(model)),
        "": 1,
    }


def bytes_per_scenario(model: Model, only: frozenset[str] | None) -> float:
    """Memory that the records of one scenario take."""
    widths = _widths(model)
    numbers = sum(
        widths[axis]
        for axis, names in AXES.items()
        for name in names
        if only is None or name in only
    )
    return 8.0 * numbers * model.simulation.horizon_minutes


#: Records by their axis after minutes and scenarios.
AXES: dict[str, tuple[str, ...]] = {
    "K": ("demand_rps", "attempts_rps", "served_rps"),
    "ZK": ("zone_served_rps",),
    "C": ("temperature_c", "clock", "off", "heat_mw", "cooling_mw", "powered_gpus", "phase"),
    "N": ("load_rps", "capacity_rps", "known_capacity_rps", "wanted_rps"),
    "P": ("cooling_capacity_mw", "cold_mj"),
    "X": ("service_use", "pool_use"),
    "": (
        "waiting",
        "stale",
        "retrying",
        "shed",
        "rejected",
        "dropped",
        "timed_out",
        "wasted",
        "purged",
        "gave_up",
        "emergency_usd",
    ),
}
TYPES: dict[str, type] = {"off": bool, "phase": int}
