"""What a simulation carries over from minute to minute.

Axes as in `planner.simulation.world`; A attempts of a request, the first included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.laws.traffic import route, serving_rps
from planner.simulation.system_states import Bools, Floats, Ints, SystemStates
from planner.simulation.world import World

#: Capacity over all demand that no retry storm fills, yet small enough to keep the digits of loads.
BOUNDLESS = 1e3


@dataclass
class State:
    """State at the start of a minute; the first axis is scenarios unless said otherwise.

    Attributes
    ----------
    system_states
        Those of the world, and those added where clusters have shut themselves down.
    extra
        Row of `system_states` by (row of the world, clusters that have shut themselves down).
    temperature_c
        GPU temperature, shape (S, C).
    off, tripped
        Clusters that are off, by a failure or by thermal shutdown; clusters after a thermal
        shutdown, until they have gone through all phases of restoration, shape (S, C).
    phase, phase_minutes
        Phase of restoration (past the last one in normal operation) and minutes in it, (S, C).
    checking
        Minutes of checks passed by clusters being brought back, NaN otherwise, shape (S, C).
    cold_mj
        Cold left in chilled-water tanks, shape (S, P).
    up
        Whether region and power of a cluster were there in the minute before, shape (S, C).
    back_from
        Minute from which operators may bring a cluster back that is off, shape (S, C).
    left_on
        GPUs that operators have left powered, infinite before they act, shape (S, C).
    restoring
        Whether operators hold back tiers while clusters come back, shape (S,).
    cooling_short
        Whether running units have ever fallen short of the heat a plant serves, shape (S, P).
    standby_since
        Minute at which the start signal was given, infinite before it, shape (S, U).
    start_due
        Minute from which operators start the standby units of a plant, shape (S, P).
    order_due
        Minute at which operators order emergency capacity if it is still short, shape (S,).
    order_minute
        Minute at which emergency capacity was ordered, infinite before it, shape (S,).
    live
        Waiting requests whose clients still wait, by attempt, shape (S, Z, K, A).
    stale
        Waiting requests whose clients have timed out, shape (S, Z, K).
    retrying
        Clients that back off, by their next attempt, shape (S, Z, K, A − 1).
    pool_rps, held
        Requests per second that connection pools let through, and connections that waiting requests
        hold, shape (S, X).
    busy
        Whether any client waits or backs off, shape (S,).
    error_share
        Share of admitted requests that failed in the minute before, shape (S,).
    load_rps, powered_gpus, clock
        Load of targets, shape (S, N), GPUs powered and their clock, (S, C), in the minute before.
    shedding
        Whether priorities were in force in the minute before, shape (S,).
    left
        Whether work has left a cluster too hot for its tier, shape (K, S, C); None for nowhere.
    short
        Whether requests found no room in the minute before, shape (S,).
    known_capacity
        Capacity of targets in recent minutes, shape (delay + 1, S, N), a minute at its remainder.
    known
        Capacity that load balancers went by in the minute before, shape (S, N).
    frozen
        Capacity that load balancers go by from a failure until they first reroute, shape (S, N).
    """

    system_states: SystemStates
    extra: dict[tuple[int, frozenset[str]], int]
    temperature_c: Floats
    off: Bools
    tripped: Bools
    phase: Ints
    phase_minutes: Floats
    checking: Floats
    cold_mj: Floats
    up: Bools
    back_from: Floats
    left_on: Floats
    restoring: Bools
    cooling_short: Bools
    start_due: Floats
    order_due: Floats
    standby_since: Floats
    order_minute: Floats
    live: Floats
    stale: Floats
    retrying: Floats
    pool_rps: Floats
    held: Floats
    busy: Bools
    error_share: Floats
    load_rps: Floats
    powered_gpus: Floats
    clock: Floats
    shedding: Bools
    left: Bools | None
    short: Bools
    known_capacity: Floats
    known: Floats
    frozen: Floats

    def waiting(self) -> Floats:
        """Requests in the queue, shape (S,)."""
        waiting: Floats = self.live.sum(axis=(1, 2, 3)) + self.stale.sum(axis=(1, 2))
        return waiting


def initial_state(world: World) -> State:
    """State before the failure: everything up at its set point, no request waits."""
    scenarios, clusters = len(world.timelines), len(world.clusters.names)
    shape = (scenarios, clusters)
    queue = (scenarios, len(world.model.zones), len(world.tiers.names))
    attempts = world.tiers.retries.attempts
    delay = int(world.reaction.failover.max(initial=0))
    normal = serving_rps(world.clusters.gpus, world.clusters.rps, world.clusters.utilisation)
    everything = np.concatenate([normal, np.zeros(len(world.offers.names))])
    targets = (scenarios, len(everything))
    return State(
        system_states=world.system_states,
        extra={},
        temperature_c=np.broadcast_to(world.clusters.setpoint_c, shape).copy(),
        off=np.zeros(shape, dtype=bool),
        tripped=np.zeros(shape, dtype=bool),
        phase=np.full(shape, len(world.restoration.minutes)),
        phase_minutes=np.zeros(shape),
        checking=np.full(shape, np.nan),
        cold_mj=np.broadcast_to(
            world.plants.buffer_mj, (scenarios, len(world.plants.names))
        ).copy(),
        up=np.ones(shape, dtype=bool),
        back_from=np.zeros(shape),
        left_on=np.full(shape, np.inf),
        restoring=np.zeros(scenarios, dtype=bool),
        cooling_short=np.zeros((scenarios, len(world.plants.names)), dtype=bool),
        start_due=np.full((scenarios, len(world.plants.names)), np.inf),
        order_due=np.full(scenarios, np.inf),
        standby_since=np.full((scenarios, len(world.units.names)), np.inf),
        order_minute=np.full(scenarios, np.inf),
        live=np.zeros((*queue, attempts)),
        stale=np.zeros(queue),
        retrying=np.zeros((*queue, attempts - 1)),
        pool_rps=np.full((scenarios, len(world.services.names)), np.inf),
        busy=np.zeros(scenarios, dtype=bool),
        held=np.zeros((scenarios, len(world.services.names))),
        error_share=np.zeros(scenarios),
        load_rps=np.zeros(targets),
        powered_gpus=np.broadcast_to(world.clusters.gpus, shape).copy(),
        clock=np.ones(shape),
        shedding=world.reaction.sheds,
        left=None,
        short=np.zeros(scenarios, dtype=bool),
        known_capacity=np.broadcast_to(everything, (delay + 1, *targets)).copy(),
        known=np.broadcast_to(everything, targets).copy(),
        frozen=_before_rerouting(world, everything),
    )


def _before_rerouting(world: World, normal: Floats) -> Floats:
    """Capacity that load balancers assume from the failure until they first reroute, shape (S, N).

    Until then the traffic of a target stays with it, whatever becomes of the target: one that is
    not full before the failure counts as boundless, one that gets nothing keeps its capacity.
    """
    scenarios = len(world.timelines)
    room = np.broadcast_to(normal, (scenarios, len(normal))).copy()
    if not world.reaction.reroute.any() or not world.minutes:
        return room
    demand = world.zone_rps[0][:, :, None] * world.tiers.share
    usual = route(demand, room, world.routes, np.zeros(scenarios, dtype=bool)).load
    return frozen_room(world, usual, room)


def frozen_room(world: World, usual: Floats, room: Floats) -> Floats:
    """Capacity that sends to targets what they had, given their load and capacity, (S, N)."""
    boundless = BOUNDLESS * max(1.0, float(world.zone_rps.sum(axis=2).max()))
    frozen: Floats = np.where((usual < room * (1 - 1e-9)) & (usual > 0), boundless, room)
    return frozen
