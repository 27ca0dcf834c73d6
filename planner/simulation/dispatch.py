"""Where load balancers send requests, and what they find there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from planner.laws.queues import p99_wait_seconds
from planner.laws.ratios import ratio
from planner.laws.traffic import NEGLIGIBLE_RPS, deliver, ration
from planner.simulation.minute import Minute, Requests
from planner.simulation.state import State
from planner.simulation.system_states import Bools, Floats
from planner.simulation.world import SECONDS, World


def cool_enough(world: World, state: State, now: Minute) -> Bools | None:
    """Whether targets are cool enough for a tier, shape (K, S, N); None where all are."""
    limits, reaction = world.tiers.thermal_limit_c, world.reaction
    if state.temperature_c.max(initial=-np.inf) <= limits.min(initial=np.inf):
        state.left = None
        return None
    cool = state.temperature_c <= limits[:, None, None]
    acts = (reaction.migrates | reaction.operators_migrate & now.reacted)[:, None]
    # Work that operators have moved stays away from what is still too hot.
    cool |= ~acts if state.left is None else ~(acts | state.left)
    state.left = ~cool
    rented = np.ones((*cool.shape[:2], len(world.offers.names)), dtype=bool)
    return np.concatenate([cool, rented], axis=2)


def dispatch(world: World, now: Minute, requests: Requests) -> tuple[Requests, Floats]:
    """Send requests to targets and, under shedding, the queue to the room left.

    Returns
    -------
    Requests
        With what was sent, granted and drained.
    ndarray
        Load of targets, shape (B, N).
    """
    rows, shedding = requests.scenarios, requests.shedding[:, 0, 0]
    allowed = None if now.allowed is None else now.allowed[:, rows]
    capacity, known_capacity = now.capacity_rps[rows], now.known_capacity_rps[rows]
    sent, granted, load = _send(world, requests, known_capacity, capacity, allowed)
    drained = np.zeros_like(granted)
    late = np.where(requests.shedding, requests.waiting, 0.0) / SECONDS
    waits = late.reshape(len(late), -1).max(axis=1, initial=0.0) > 0
    room = np.minimum(capacity, known_capacity)
    if waits.any():
        free = np.maximum(room[waits] - load[waits], 0.0)
        may = None if allowed is None else allowed[:, waits]
        second = deliver(
            late[waits], free, free, world.routes, shedding[waits], may, world.compiled
        )
        drained[waits] = second[1] * SECONDS
        load[waits] += second[2]
    spare = np.maximum(1.0, room.sum(axis=1) / np.maximum(load.sum(axis=1), NEGLIGIBLE_RPS))
    went = replace(
        requests,
        sent=sent * SECONDS,
        granted=granted * SECONDS,
        drained=drained,
        spare=spare[:, None, None],
    )
    return went, load


def _send(
    world: World,
    requests: Requests,
    known_capacity: Floats,
    capacity: Floats,
    allowed: Bools | None,
) -> tuple[Floats, Floats, Floats]:
    """Requests sent and granted per second, and the load that targets take.

    Where operators ration, first what is set aside for each tier, then the rest.
    """
    rows, by_priority = requests.scenarios, requests.shedding[:, 0, 0]
    offered = requests.entering + np.where(requests.shedding, 0.0, requests.waiting)
    demand = offered / SECONDS
    how = (world.routes, by_priority, allowed, world.compiled)
    wanted, room = demand.sum(axis=(1, 2)), known_capacity.sum(axis=1)
    rationed = by_priority & world.reaction.rationing[rows] & (wanted > room)
    if not rationed.any():
        sent, granted, load = deliver(demand, known_capacity, capacity, *how)
        return sent, granted, np.minimum(load, capacity)
    share = ration(
        room / np.maximum(wanted, NEGLIGIBLE_RPS), world.tiers.allocation, world.routes.level
    )
    by_tier = np.maximum(demand.sum(axis=1), NEGLIGIBLE_RPS)
    share = np.where(rationed[:, None], share * wanted[:, None] / by_tier, 1.0)
    aside = demand * np.minimum(1.0, share)[:, None, :]
    first = deliver(aside, known_capacity, capacity, *how)
    known_left, left = (np.maximum(had - first[2], 0.0) for had in (known_capacity, capacity))
    second = deliver(demand - aside, known_left, left, *how)
    sent, granted, load = (part + rest for part, rest in zip(first, second, strict=True))
    return sent, granted, np.minimum(load, capacity)


def response_seconds(
    world: World, load: Floats, powered: Floats, clock: Floats, waiting: Floats
) -> Floats:
    """Time that 99 % of requests stay below at the busiest cluster, queue included.

    Service time over clock, plus the wait of an M/M/c queue of as many servers as the cluster works
    on requests at once, plus the time that the requests waiting take at the present rate (one hour
    at most).

    Parameters
    ----------
    load
        Requests per second by target, shape (..., N).
    powered, clock
        GPUs and their clock, shape (..., C).
    waiting
        Requests in the queue, shape (...).
    """
    clusters = world.clusters
    speed = np.maximum(clock, 1e-3)
    at_once = powered * clusters.rps * clusters.service_seconds
    own = load[..., : len(clusters.names)]
    full = powered * clusters.rps * speed
    use = ratio(own, full)
    seconds = clusters.service_seconds / speed
    waits = p99_wait_seconds(np.maximum(at_once, 1.0), np.minimum(use, 0.9999), seconds)
    busiest = np.where(own > NEGLIGIBLE_RPS, seconds + waits, 0.0).max(axis=-1, initial=0.0)
    total = load.sum(axis=-1)
    queue = np.where(waiting > 0, waiting / np.maximum(total, NEGLIGIBLE_RPS), 0.0)
    response: Floats = np.minimum(busiest + queue, 3600.0)
    return response
