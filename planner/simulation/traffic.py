"""The requests of one minute: retries, services and pools, routing, shedding, the queue.

Requests are counted per minute; rates are per second. Axes as in `planner.simulation.world`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.laws.queues import competing_queue, p99_wait_seconds
from planner.laws.retries import (
    admitted_share,
    connections_in_use,
    pool_rate,
    repeat,
)
from planner.laws.traffic import NEGLIGIBLE_RPS, Routing, beyond_limit, ration, route
from planner.simulation.conditions import Bools, Floats, Ints
from planner.simulation.restoration import admitted_tiers
from planner.simulation.state import History, State
from planner.simulation.world import World

SECONDS = 60.0


@dataclass(frozen=True)
class Arrivals:
    """Requests that arrive in a minute.

    Parameters
    ----------
    attempts
        By attempt, shape (S, Z, K, A).
    total
        All attempts, shape (S, Z, K).
    admitted
        Tiers that are up and admitted, shape (S, K).
    entering
        Requests past services and pools, shape (S, Z, K).
    """

    attempts: Floats
    total: Floats
    admitted: Bools
    entering: Floats


@dataclass(frozen=True)
class Queued:
    """Requests that met the queue in a minute, each of shape (S, Z, K)."""

    joined: Floats
    good: Floats
    timed_out: Floats
    wasted: Floats
    dropped: Floats
    live: Floats
    stale: Floats


def serve(
    world: World,
    state: State,
    history: History,
    row: Ints,
    capacity: Floats,
    believed: Floats,
    minute: int,
) -> Floats:
    """Requests of one minute: what is served, waits, fails and comes back; load of targets, (S, N).

    Where priorities are in force, what finds no room is turned away at once, and the queue (of
    requests sent to targets that were gone) is served with the room left and holds no request in
    vain. Otherwise everything waits its turn in random order, also requests whose clients are gone.
    """
    arrivals = _arrive(world, state, history, row, minute)
    shedding = minute >= world.reaction.shedding
    by_priority = shedding[:, None, None]
    backlog = state.live.sum(axis=3) + state.stale
    waiting = backlog * arrivals.admitted[:, None, :]
    offered = arrivals.entering + np.where(by_priority, 0.0, waiting)
    allowed = _cool_enough(world, state, minute)
    routing = _send(world, offered / SECONDS, believed, shedding, allowed)
    fits = np.minimum(1.0, capacity / np.maximum(routing.load, NEGLIGIBLE_RPS))
    sent, granted = routing.sent * SECONDS, routing.served_at(fits, world.routes) * SECONDS
    load = np.minimum(routing.load, capacity)
    drained = np.zeros_like(granted)
    if (waiting[shedding] > 0).any():
        free = np.maximum(np.minimum(capacity, believed) - load, 0.0)
        late = np.where(by_priority, waiting, 0.0) / SECONDS
        second = route(late, free, world.routes, shedding, allowed)
        drained, load = second.sent * SECONDS, load + second.load
    refused = np.maximum(np.where(by_priority, arrivals.entering - sent, 0.0), 0.0)
    joining = np.where(by_priority, np.maximum(sent - granted, 0.0), arrivals.entering)
    taken = np.where(by_priority, drained, granted)
    prompt = np.where(by_priority, granted, 0.0)
    queued = _queue(world, state, backlog, joining, taken)
    _fail(world, state, history, arrivals, queued, refused, minute)
    _keep(world, state, history, queued, shedding, minute)
    good = prompt + queued.good
    _pools(world, state, history, row, arrivals, good, minute)
    unmet = np.maximum(arrivals.entering - granted, 0.0)
    _record(world, state, history, arrivals, queued, good, minute)
    state.short = unmet.sum(axis=(1, 2)) > 1e-6 * np.maximum(
        arrivals.total.sum(axis=(1, 2)), SECONDS
    )
    history.wanted_rps[minute] = load
    if state.short.any():
        history.wanted_rps[minute] += np.einsum("szk,kzn->sn", unmet / SECONDS, world.reach)
    return load


def _arrive(world: World, state: State, history: History, row: Ints, minute: int) -> Arrivals:
    """New requests and those that come back, past services and connection pools."""
    fresh = world.demand_at(minute) * SECONDS
    returning = state.retrying * world.tiers.retries.returning[:, None]
    state.retrying = state.retrying - returning
    attempts = np.concatenate([fresh[..., None], returning], axis=3)
    total = attempts.sum(axis=3)
    admitted = state.conditions.tier_up[row] & admitted_tiers(world, state, minute)
    share = admitted * _past_services(world, state, history, row, total, admitted, minute)
    entering = total * share[:, None, :]
    history.demand_rps[minute] = fresh.sum(axis=1) / SECONDS
    history.attempts_rps[minute] = total.sum(axis=1) / SECONDS
    history.shed[minute] = (total * ~admitted[:, None, :]).sum(axis=(1, 2))
    history.rejected[minute] = (total * (admitted - share)[:, None, :]).sum(axis=(1, 2))
    return Arrivals(attempts, total, admitted, entering)


def _past_services(
    world: World,
    state: State,
    history: History,
    row: Ints,
    total: Floats,
    admitted: Bools,
    minute: int,
) -> Floats:
    """Share of each tier's requests that services and connection pools let through, (S, K)."""
    if not world.services.names:
        return np.ones(admitted.shape)
    weights = state.conditions.weights[row]
    passing = ((total.sum(axis=1) / SECONDS * admitted)[:, :, None] * weights).sum(axis=1)
    capacity = state.conditions.service_rps[row]
    history.service_use[minute] = passing / np.maximum(capacity, NEGLIGIBLE_RPS)
    lets = np.minimum(capacity, state.pool_rps)
    return admitted_share(passing / np.maximum(lets, NEGLIGIBLE_RPS), weights)


def _cool_enough(world: World, state: State, minute: int) -> Bools | None:
    """Whether targets are cool enough for a tier, shape (K, S, N); None where all are."""
    limits = world.tiers.thermal_limit_c
    if state.temperature_c.max(initial=-np.inf) <= limits.min(initial=np.inf):
        return None
    cool = state.temperature_c <= limits[:, None, None]
    cool |= (minute < world.reaction.migration)[:, None]
    rented = np.ones((*cool.shape[:2], len(world.offers.names)), dtype=bool)
    return np.concatenate([cool, rented], axis=2)


def _send(
    world: World, demand: Floats, believed: Floats, by_priority: Bools, allowed: Bools | None
) -> Routing:
    """Route; where operators ration, first what is set aside for each tier, then the rest."""
    wanted = demand.sum(axis=(1, 2))
    room = believed.sum(axis=1)
    rationed = by_priority & world.reaction.rationing & (wanted > room)
    if not rationed.any():
        return route(demand, believed, world.routes, by_priority, allowed)
    granted = ration(room / np.maximum(wanted, NEGLIGIBLE_RPS), world.tiers.allocation)
    by_tier = np.maximum(demand.sum(axis=1), NEGLIGIBLE_RPS)
    share = np.where(rationed[:, None], granted * wanted[:, None] / by_tier, 1.0)
    aside = demand * np.minimum(1.0, share)[:, None, :]
    first = route(aside, believed, world.routes, by_priority, allowed)
    left = np.maximum(believed - first.load, 0.0)
    second = route(demand - aside, left, world.routes, by_priority, allowed)
    return Routing(
        first.pieces + second.pieces, first.sent + second.sent, first.load + second.load
    )


def _queue(
    world: World, state: State, backlog: Floats, joining: Floats, taken: Floats
) -> Queued:
    """The queue over one minute; scenarios in which nobody waits pass it by."""
    unserved = np.maximum(backlog + joining - taken, 0.0)
    busy = np.flatnonzero((unserved + backlog).sum(axis=(1, 2)) > NEGLIGIBLE_RPS)
    none = np.zeros_like(joining)
    queued = Queued(
        joined=joining.copy(),
        good=joining.copy(),
        timed_out=none,
        wasted=none.copy(),
        dropped=none.copy(),
        live=none.copy(),
        stale=none.copy(),
    )
    if len(busy):
        limit = world.reaction.queue_limit[busy]
        queued.dropped[busy] = beyond_limit(unserved[busy], joining[busy], limit)
        queued.joined[busy] -= queued.dropped[busy]
        outcome = competing_queue(
            state.live[busy].sum(axis=3),
            state.stale[busy],
            queued.joined[busy],
            np.minimum(taken[busy], backlog[busy] + queued.joined[busy]),
            world.reaction.patience[busy, None, None],
        )
        for name in ("good", "timed_out", "wasted", "live", "stale"):
            getattr(queued, name)[busy] = getattr(outcome, name)
    return queued


def _fail(
    world: World,
    state: State,
    history: History,
    arrivals: Arrivals,
    queued: Queued,
    refused: Floats,
    minute: int,
) -> None:
    """What failed comes back later or is given up; what waits keeps the attempt it is."""
    at_once = arrivals.total - arrivals.entering + refused + queued.dropped
    history.shed[minute] += refused.sum(axis=(1, 2))
    if world.tiers.retries.attempts == 1:
        failed = (at_once + queued.timed_out)[..., None]
        state.live = queued.live[..., None]
    else:
        per_arrival = 1.0 / np.maximum(arrivals.total, NEGLIGIBLE_RPS)
        waiting = state.live + arrivals.attempts * (queued.joined * per_arrival)[..., None]
        per_waiting = 1.0 / np.maximum(waiting.sum(axis=3), NEGLIGIBLE_RPS)
        failed = arrivals.attempts * (at_once * per_arrival)[..., None]
        failed += waiting * (queued.timed_out * per_waiting)[..., None]
        state.live = waiting * (queued.live * per_waiting)[..., None]
    again, gave_up = repeat(failed, world.tiers.retries)
    state.retrying = state.retrying + again
    history.gave_up[minute] = gave_up.sum(axis=(1, 2))
    history.retrying[minute] = state.retrying.sum(axis=(1, 2, 3))


def _keep(
    world: World, state: State, history: History, queued: Queued, shedding: Bools, minute: int
) -> None:
    """Who waits into the next minute: under shedding no request is kept in vain."""
    state.stale = np.where(shedding[:, None, None], 0.0, queued.stale)
    history.purged[minute] = (queued.stale - state.stale).sum(axis=(1, 2))
    history.stale[minute] = state.stale.sum(axis=(1, 2))
    history.waiting[minute] = queued.live.sum(axis=(1, 2)) + history.stale[minute]


def _pools(
    world: World,
    state: State,
    history: History,
    row: Ints,
    arrivals: Arrivals,
    good: Floats,
    minute: int,
) -> None:
    """Connections in use, and what the pools let through in the next minute."""
    services = world.services
    if not services.names:
        return
    weights = state.conditions.weights[row]
    connections = state.conditions.connections[row]

    def passing(requests: Floats) -> Floats:
        through: Floats = (requests.sum(axis=1)[:, :, None] * weights).sum(axis=1)
        return through

    entered = passing(arrivals.entering) / SECONDS
    wanted = passing(arrivals.total * arrivals.admitted[:, None, :]) / SECONDS
    working = np.where(services.holds_while_waiting, passing(good) / SECONDS, entered)
    waiting = passing(state.live.sum(axis=3) + state.stale)
    in_use = connections_in_use(working, services.seconds, waiting, services.holds_while_waiting)
    state.pool_rps = pool_rate(
        entered, in_use, connections, services.seconds, world.reaction.patience[:, None] * SECONDS
    )
    turned_away = np.maximum(1.0, wanted / np.maximum(entered, NEGLIGIBLE_RPS))
    history.pool_use[minute] = in_use / np.maximum(connections, NEGLIGIBLE_RPS) * turned_away


def _record(
    world: World,
    state: State,
    history: History,
    arrivals: Arrivals,
    queued: Queued,
    good: Floats,
    minute: int,
) -> None:
    timed_out, dropped = (part.sum(axis=(1, 2)) for part in (queued.timed_out, queued.dropped))
    history.served_rps[minute] = good.sum(axis=1) / SECONDS
    history.timed_out[minute] = timed_out
    history.dropped[minute] = dropped
    history.wasted[minute] = queued.wasted.sum(axis=(1, 2))
    entering = np.maximum(arrivals.entering.sum(axis=(1, 2)), NEGLIGIBLE_RPS)
    state.error_share = np.minimum(1.0, (timed_out + dropped) / entering)


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
    use = np.divide(own, full, out=np.zeros_like(own), where=full > 0)
    seconds = clusters.service_seconds / speed
    waits = p99_wait_seconds(np.maximum(at_once, 1.0), np.minimum(use, 0.9999), seconds)
    busiest = np.where(own > NEGLIGIBLE_RPS, seconds + waits, 0.0).max(axis=-1, initial=0.0)
    total = load.sum(axis=-1)
    queue = np.where(waiting > 0, waiting / np.maximum(total, NEGLIGIBLE_RPS), 0.0)
    response: Floats = np.minimum(busiest + queue, 3600.0)
    return response
