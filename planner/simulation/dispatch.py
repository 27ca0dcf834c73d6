"""Where load balancers send requests, and what they find there."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from planner.laws.queues import p99_wait_seconds
from planner.laws.ratios import ratio
from planner.laws.traffic import NEGLIGIBLE_RPS, deliver, ration
from planner.simulation.conditions import Bools, Floats, Ints
from planner.simulation.state import State
from planner.simulation.world import SECONDS, World


@dataclass(frozen=True)
class Minute:
    """Requests of one minute in scenarios that are not calm.

    Parameters
    ----------
    scenarios
        Their positions, shape (B,).
    fresh, total, entering
        New requests, all with those that came back, and those past services and pools, (B, Z, K).
    backlog, waiting
        Requests that waited before, and those of them whose tier is admitted, shape (B, Z, K).
    shedding
        Whether priorities are in force, shape (B, 1, 1).
    """

    scenarios: Ints
    fresh: Floats
    total: Floats
    entering: Floats
    backlog: Floats
    waiting: Floats
    shedding: Bools

    def of(self, some: Bools) -> Self:
        """The same for some of these scenarios."""
        return type(self)(*(getattr(self, field.name)[some] for field in fields(self)))


@dataclass(frozen=True)
class Sent:
    """Where the requests of a minute went, each of shape (B, Z, K) unless said otherwise.

    Parameters
    ----------
    sent, granted
        Requests that were sent to a target, and those that found room there.
    drained
        Those from the queue that were served with the room left.
    spare
        Room of all targets over their load, at least 1, shape (B, 1, 1): how much faster the queue
        could have been served.
    """

    sent: Floats
    granted: Floats
    drained: Floats
    spare: Floats

    def of(self, some: Bools) -> Self:
        """The same for some of these scenarios."""
        return type(self)(*(getattr(self, field.name)[some] for field in fields(self)))


def cool_enough(world: World, state: State, minute: int) -> Bools | None:
    """Whether targets are cool enough for a tier, shape (K, S, N); None where all are."""
    limits, reaction = world.tiers.thermal_limit_c, world.reaction
    if state.temperature_c.max(initial=-np.inf) <= limits.min(initial=np.inf):
        state.left = None
        return None
    cool = state.temperature_c <= limits[:, None, None]
    acts = (reaction.migrates | reaction.operators_migrate & reaction.reacted(minute))[:, None]
    # Work that operators have moved stays away from what is still too hot.
    cool |= ~acts if state.left is None else ~(acts | state.left)
    state.left = ~cool
    rented = np.ones((*cool.shape[:2], len(world.offers.names)), dtype=bool)
    return np.concatenate([cool, rented], axis=2)


def dispatch(
    world: World, one: Minute, capacity: Floats, known_capacity: Floats, allowed: Bools | None
) -> tuple[Sent, Floats]:
    """Send requests to targets and, under shedding, the queue to the room left."""
    shedding = one.shedding[:, 0, 0]
    offered = one.entering + np.where(one.shedding, 0.0, one.waiting)
    sent, granted, load = _send(
        world, one.scenarios, offered / SECONDS, (known_capacity, capacity), shedding, allowed
    )
    drained = np.zeros_like(granted)
    late = np.where(one.shedding, one.waiting, 0.0) / SECONDS
    some = late.reshape(len(late), -1).max(axis=1, initial=0.0) > 0
    if some.any():
        free = np.maximum(np.minimum(capacity[some], known_capacity[some]) - load[some], 0.0)
        may = None if allowed is None else allowed[:, some]
        second = deliver(late[some], free, free, world.routes, shedding[some], may, world.compiled)
        drained[some] = second[1] * SECONDS
        load[some] += second[2]
    room = np.minimum(capacity, known_capacity).sum(axis=1)
    spare = np.maximum(1.0, room / np.maximum(load.sum(axis=1), NEGLIGIBLE_RPS))
    return Sent(sent * SECONDS, granted * SECONDS, drained, spare[:, None, None]), load


def _send(
    world: World,
    scenarios: Ints,
    demand: Floats,
    rooms: tuple[Floats, Floats],
    by_priority: Bools,
    allowed: Bools | None,
) -> tuple[Floats, Floats, Floats]:
    """Requests sent and granted, and the load that targets take.

    Where operators ration, first what is set aside for each tier, then the rest.
    """
    known_capacity, capacity = rooms
    how = (world.routes, by_priority, allowed, world.compiled)
    wanted, room = demand.sum(axis=(1, 2)), known_capacity.sum(axis=1)
    rationed = by_priority & world.reaction.rationing[scenarios] & (wanted > room)
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
    left = [np.maximum(each - first[2], 0.0) for each in rooms]
    second = deliver(demand - aside, left[0], left[1], *how)
    sent, granted, load = (one + other for one, other in zip(first, second, strict=True))
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
