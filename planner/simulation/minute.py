"""What one minute of a simulation computes.

Axes as in `planner.simulation.world`; A attempts of a request, the first included; B scenarios that
are not calm: those in which something is short, waits or comes back.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from planner.simulation.system_states import Bools, Floats, Ints, SystemStates
from planner.simulation.world import World


class Minute:
    """What one minute computes for all scenarios, in the order in which it is computed.

    Every step of the minute adds to it and reads what earlier steps have added. Attributes with
    the name of a record of `planner.simulation.history.History` are recorded at its end.

    Attributes
    ----------
    number
        Minutes since the start of the simulation.
    system
        System state in this minute, shapes with S in place of I.
    reaction_due
        Minute at which operators react to the last failure so far, infinite before the first, (S,).
    reacted
        Whether they have reacted to all that has failed by now, shape (S,).
    temperature_c
        GPU temperature at the start of the minute, shape (S, C).
    unit_mw
        Capacity of surviving units by type at the moment's ambient, started or not, shape (S, U).
    cooling_capacity_mw
        Capacity of plants, standby units included once started, shape (S, P).
    supplied_gpus
        GPUs that there is power for, shape (S, C).
    full_mw
        Heat of those at their utilisation limit, shape (S, C).
    powered_gpus
        Those of them that are powered, shape (S, C).
    clock
        Clock of GPUs over their nominal one, shape (S, C).
    capacity_rps, known_capacity_rps
        Capacity of targets as it is, and as load balancers know it, shape (S, N).
    demand_rps, attempts_rps, admitted_rps, entering_rps, served_rps
        New requests; all with those that come back; those of tiers that are up and admitted; those
        past services and pools; those that succeed, shape (S, K).
    zone_served_rps
        The last by zone and tier, shape (S, Z·K); (S, 0) where the standard speaks of no zones.
    admitted
        Whether a tier is up and admitted, shape (S, K).
    entering_share
        Share of a tier's requests that is admitted and gets past services and pools, shape (S, K).
    allowed
        Whether targets are cool enough for a tier, shape (K, S, N); None where all are.
    returning
        Requests that come back in scenarios in which anybody waits or backs off, by the attempt
        they are, shape (those scenarios, Z, K, A − 1).
    waiting_by_tier, wasted_by_tier
        Requests in the queue after the minute, and those served in vain in it, shape (S, K).
    load_rps
        Load of targets, shape (S, N).
    failing, unmet_rps
        Scenarios in which requests fail, and requests there that found no room, (failing, Z, K).
    wanted_rps
        Offered load of targets, shape (S, N): their load, and requests that found no room anywhere
        and could have come there; left out where nobody records it.
    service_use, pool_use
        Requests over capacity and connections wanted over those there are, shape (S, X).
    waiting, stale, retrying, shed, rejected, dropped, timed_out, wasted, purged, gave_up
        Requests and clients as in `History`, shape (S,).
    heat_mw, cooling_mw
        Heat of clusters and what is carried away, shape (S, C).
    emergency_usd
        Spend on emergency capacity, shape (S,).
    off, phase, cold_mj
        Those of `State` at the end of the minute.
    """

    number: int
    system: SystemStates
    reaction_due: Floats
    reacted: Bools
    temperature_c: Floats
    unit_mw: Floats
    cooling_capacity_mw: Floats
    supplied_gpus: Floats
    full_mw: Floats
    powered_gpus: Floats
    clock: Floats
    capacity_rps: Floats
    known_capacity_rps: Floats
    demand_rps: Floats
    attempts_rps: Floats
    admitted_rps: Floats
    entering_rps: Floats
    served_rps: Floats
    zone_served_rps: Floats
    admitted: Bools
    entering_share: Floats
    allowed: Bools | None
    returning: Floats
    waiting_by_tier: Floats
    wasted_by_tier: Floats
    load_rps: Floats
    failing: Ints
    unmet_rps: Floats
    wanted_rps: Floats
    heat_mw: Floats
    cooling_mw: Floats
    emergency_usd: Floats
    off: Bools
    phase: Ints
    cold_mj: Floats

    def __init__(
        self, world: World, number: int, system: SystemStates, temperature_c: Floats
    ) -> None:
        self.number, self.system, self.temperature_c = number, system, temperature_c
        self.reaction_due = world.reaction.failure[number] + world.reaction.reaction
        self.reacted = number >= self.reaction_due
        scenarios, services = len(world.timelines), len(world.services.names)
        self.waiting, self.stale, self.retrying, self.shed, self.rejected = (
            np.zeros(scenarios) for _ in range(5)
        )
        self.dropped, self.timed_out, self.wasted, self.purged, self.gave_up = (
            np.zeros(scenarios) for _ in range(5)
        )
        zones, tiers = len(world.model.zones), len(world.tiers.names)
        self.failing = np.zeros(0, dtype=np.int64)
        self.unmet_rps = np.zeros((0, zones, tiers))
        self.service_use, self.pool_use = (np.zeros((scenarios, services)) for _ in range(2))


@dataclass(frozen=True)
class Requests:
    """Requests of one minute in the scenarios that are not calm, shape (B, Z, K) unless said so.

    Parameters
    ----------
    scenarios
        Positions of these scenarios, shape (B,).
    shedding
        Whether priorities are in force, shape (B, 1, 1).
    fresh, total, entering
        New requests, all with those that come back, and those past services and pools.
    backlog, waiting
        Requests that waited before, and those of them whose tier is admitted.
    sent, granted
        Requests that were sent to a target, and those that found room there.
    drained
        Those from the queue that were served with the room left.
    spare
        Room of all targets over their load, at least 1, shape (B, 1, 1): how much faster the queue
        could have been served.
    """

    scenarios: Ints
    shedding: Bools
    fresh: Floats
    total: Floats
    entering: Floats
    backlog: Floats
    waiting: Floats
    sent: Floats
    granted: Floats
    drained: Floats
    spare: Floats

    def of(self, chosen: Bools) -> Self:
        """The same in some of these scenarios."""
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))
