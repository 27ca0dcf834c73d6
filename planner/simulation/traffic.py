"""The requests of one minute: retries, services and pools, routing, shedding, the queue.

Requests are counted per minute; rates are per second. Axes as in `planner.simulation.world`, and B
the scenarios that are not calm: those in which something is short, waits or comes back. In calm
ones every request fits the nearest target, quick to see; only the others take the long way.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from planner.laws.queues import QueueOutcome, competing_queue, p99_wait_seconds
from planner.laws.retries import (
    admitted_share,
    connections_in_use,
    pool_rate,
    repeat,
)
from planner.laws.traffic import NEGLIGIBLE_RPS, beyond_limit, deliver, ration
from planner.simulation.conditions import Bools, Floats, Ints
from planner.simulation.restoration import admitted_tiers
from planner.simulation.state import History, State
from planner.simulation.world import World

SECONDS = 60.0
#: Requests waiting or backing off below this are rounding; their clients are counted as given up.
NEGLIGIBLE_REQUESTS = 1e-2


@dataclass(frozen=True)
class Tally:
    """Rates of all scenarios by tier in a minute, each of shape (S, K).

    Parameters
    ----------
    attempts
        All requests, with those that came back.
    admitted
        Those of tiers that are up and admitted.
    entering
        Those past services and pools.
    served
        Those that succeed.
    waiting
        Requests (not a rate) in the queue after the minute.
    """

    attempts: Floats
    admitted: Floats
    entering: Floats
    served: Floats
    waiting: Floats


@dataclass(frozen=True)
class Minute:
    """Requests of one minute in scenarios that are not calm.

    Parameters
    ----------
    scenarios
        Their positions, shape (B,).
    attempts
        Requests by attempt, shape (B, Z, K, A).
    total, entering
        All of these, and those past services and pools, shape (B, Z, K).
    backlog, waiting
        Requests that waited before, and those of them whose tier is admitted, shape (B, Z, K).
    shedding
        Whether priorities are in force, shape (B, 1, 1).
    """

    scenarios: Ints
    attempts: Floats
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
    offered
        Requests for which load balancers looked for a target.
    sent, granted
        Those that were sent to one, and those that found room there.
    drained
        Those from the queue that were served with the room left.
    spare
        Room of all targets over their load, at least 1, shape (B, 1, 1): how much faster the queue
        could have been served.
    """

    offered: Floats
    sent: Floats
    granted: Floats
    drained: Floats
    spare: Floats

    def of(self, some: Bools) -> Self:
        """The same for some of these scenarios."""
        return type(self)(*(getattr(self, field.name)[some] for field in fields(self)))


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
    zone_rps = world.zone_rps[minute]
    fresh = zone_rps.sum(axis=1)[:, None] * world.tiers.share
    returning = state.retrying[state.busy] * world.tiers.retries.returning[:, None]
    attempts = fresh.copy()
    attempts[state.busy] += returning.sum(axis=(1, 3)) / SECONDS
    admitted = state.conditions.tier_up[row] & admitted_tiers(world, state, minute)
    share = admitted * _past_services(world, state, history, row, attempts * admitted, minute)
    allowed = _cool_enough(world, state, minute)
    tally = Tally(attempts, attempts * admitted, attempts * share, fresh.copy(), 0.0 * fresh)
    load: Floats = zone_rps @ world.first_choice
    calm = ~state.busy & (share >= 1).all(axis=1)
    calm &= (load <= np.minimum(capacity, believed)).all(axis=1)
    if allowed is not None:
        calm &= allowed.all(axis=(0, 2))
    state.error_share, state.short = np.zeros(len(calm)), np.zeros(len(calm), dtype=bool)
    _record_calm(history, minute, load)
    if not calm.all():
        stressed = np.flatnonzero(~calm)
        one = _minute(world, state, stressed, zone_rps, returning, admitted, share, minute)
        may = None if allowed is None else allowed[:, stressed]
        load[stressed] = _stressed(
            world, state, history, tally, one, capacity[stressed], believed[stressed], may, minute
        )
    _pools(world, state, history, row, tally, minute)
    history.record("demand_rps", minute, fresh)
    history.record("attempts_rps", minute, tally.attempts)
    history.record("served_rps", minute, tally.served)
    return load


def _past_services(
    world: World, state: State, history: History, row: Ints, rps: Floats, minute: int
) -> Floats:
    """Share of each tier's requests that services and connection pools let through, (S, K)."""
    if not world.services.names:
        return np.ones(rps.shape)
    weights = state.conditions.weights[row]
    passing: Floats = np.matmul(rps[:, None, :], weights)[:, 0]
    capacity = state.conditions.service_rps[row]
    history.record("service_use", minute, passing / np.maximum(capacity, NEGLIGIBLE_RPS))
    lets = np.minimum(capacity, state.pool_rps)
    passed: Floats = admitted_share(passing / np.maximum(lets, NEGLIGIBLE_RPS), weights)
    return passed


def _cool_enough(world: World, state: State, minute: int) -> Bools | None:
    """Whether targets are cool enough for a tier, shape (K, S, N); None where all are."""
    limits = world.tiers.thermal_limit_c
    if state.temperature_c.max(initial=-np.inf) <= limits.min(initial=np.inf):
        return None
    cool = state.temperature_c <= limits[:, None, None]
    cool |= (minute < world.reaction.migration)[:, None]
    rented = np.ones((*cool.shape[:2], len(world.offers.names)), dtype=bool)
    return np.concatenate([cool, rented], axis=2)


def _record_calm(history: History, minute: int, load: Floats) -> None:
    """Nothing fails, waits or comes back."""
    history.record("wanted_rps", minute, load)
    for name in FAILURES:
        history.record(name, minute, 0.0)


#: Records of requests that fail, wait or come back.
FAILURES = (
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
)


def _minute(
    world: World,
    state: State,
    stressed: Ints,
    zone_rps: Floats,
    returning: Floats,
    admitted: Bools,
    share: Floats,
    minute: int,
) -> Minute:
    """New requests and those that come back or wait, in scenarios that are not calm."""
    retries, busy = world.tiers.retries, state.busy[stressed]
    fresh = zone_rps[stressed][:, :, None] * (world.tiers.share * SECONDS)
    attempts = np.zeros((*fresh.shape, retries.attempts))
    attempts[..., 0] = fresh
    attempts[busy, :, :, 1:] = returning
    total, backlog = fresh, np.zeros_like(fresh)
    if busy.any():
        state.retrying[stressed[busy]] -= returning
        total = attempts.sum(axis=3)
        waiting = stressed[busy]
        backlog[busy] = state.live[waiting].sum(axis=3) + state.stale[waiting]
    return Minute(
        scenarios=stressed,
        attempts=attempts,
        total=total,
        entering=total * share[stressed][:, None, :],
        backlog=backlog,
        waiting=backlog * admitted[stressed][:, None, :],
        shedding=(minute >= world.reaction.shedding[stressed])[:, None, None],
    )


def _stressed(
    world: World,
    state: State,
    history: History,
    tally: Tally,
    one: Minute,
    capacity: Floats,
    believed: Floats,
    allowed: Bools | None,
    minute: int,
) -> Floats:
    """Load of targets in scenarios that are not calm, shape (B, N)."""
    sent, load = _route(world, one, capacity, believed, allowed)
    history.record("wanted_rps", minute, load, one.scenarios)
    failing = state.busy[one.scenarios].copy()
    failing |= (one.total - sent.granted).max(axis=(1, 2)) > NEGLIGIBLE_RPS
    if failing.any():
        part, went = one.of(failing), sent.of(failing)
        unmet = np.maximum(part.entering - went.granted, 0.0)
        turned_away = np.einsum("bzk,kzn->bn", unmet / SECONDS, world.reach)
        history.record("wanted_rps", minute, load[failing] + turned_away, part.scenarios)
        wanted = np.maximum(part.total.sum(axis=(1, 2)), SECONDS)
        state.short[part.scenarios] = unmet.sum(axis=(1, 2)) > 1e-6 * wanted
        _settle(world, state, history, tally, part, went, minute)
    return load


def _route(
    world: World, one: Minute, capacity: Floats, believed: Floats, allowed: Bools | None
) -> tuple[Sent, Floats]:
    """Send requests to targets and, under shedding, the queue to the room left."""
    shedding = one.shedding[:, 0, 0]
    offered = one.entering + np.where(one.shedding, 0.0, one.waiting)
    sent, granted, load = _send(
        world, one.scenarios, offered / SECONDS, (believed, capacity), shedding, allowed
    )
    drained = np.zeros_like(granted)
    late = np.where(one.shedding, one.waiting, 0.0) / SECONDS
    some = late.sum(axis=(1, 2)) > 0
    if some.any():
        free = np.maximum(np.minimum(capacity[some], believed[some]) - load[some], 0.0)
        may = None if allowed is None else allowed[:, some]
        second = deliver(late[some], free, free, world.routes, shedding[some], may, world.compiled)
        drained[some] = second[1] * SECONDS
        load[some] += second[2]
    room = np.minimum(capacity, believed).sum(axis=1)
    spare = np.maximum(1.0, room / np.maximum(load.sum(axis=1), NEGLIGIBLE_RPS))
    requests = (offered, sent * SECONDS, granted * SECONDS, drained)
    return Sent(*requests, spare[:, None, None]), load


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
    believed, capacity = rooms
    wanted, room = demand.sum(axis=(1, 2)), believed.sum(axis=1)
    rationed = by_priority & world.reaction.rationing[scenarios] & (wanted > room)
    how = (world.routes, by_priority, allowed, world.compiled)
    if not rationed.any():
        sent, granted, load = deliver(demand, believed, capacity, *how)
        return sent, granted, np.minimum(load, capacity)
    share = ration(room / np.maximum(wanted, NEGLIGIBLE_RPS), world.tiers.allocation)
    by_tier = np.maximum(demand.sum(axis=1), NEGLIGIBLE_RPS)
    share = np.where(rationed[:, None], share * wanted[:, None] / by_tier, 1.0)
    aside = demand * np.minimum(1.0, share)[:, None, :]
    first = deliver(aside, believed, capacity, *how)
    left = [np.maximum(each - first[2], 0.0) for each in rooms]
    second = deliver(demand - aside, left[0], left[1], *how)
    sent, granted, load = (one + other for one, other in zip(first, second, strict=True))
    return sent, granted, np.minimum(load, capacity)


def _settle(
    world: World,
    state: State,
    history: History,
    tally: Tally,
    one: Minute,
    sent: Sent,
    minute: int,
) -> None:
    """What was not granted at once waits, times out, comes back later or is given up."""
    rows, shedding = one.scenarios, one.shedding
    refused = np.where(shedding, np.maximum(one.entering - sent.sent, 0.0), 0.0)
    joining = np.where(shedding, np.maximum(sent.sent - sent.granted, 0.0), one.entering)
    taken = np.where(shedding, sent.drained, sent.granted)
    unserved = np.maximum(one.backlog + joining - taken, 0.0)
    dropped = beyond_limit(unserved, joining, world.reaction.queue_limit[rows])
    joined = joining - dropped
    queue = competing_queue(
        state.live[rows].sum(axis=3),
        state.stale[rows],
        joined,
        # What was served in full could have been served faster.
        np.where(unserved > NEGLIGIBLE_RPS, taken, taken * sent.spare),
        world.reaction.patience[rows, None, None],
    )
    at_once = one.total - one.entering + refused + dropped
    gave_up = _come_back(world, state, one, at_once, joined, queue)
    # Under shedding no request is kept in vain.
    stale = np.where(shedding, 0.0, queue.stale)
    purged = (queue.stale - stale).sum(axis=(1, 2))
    state.stale[rows] = stale
    gave_up += _forget(state, rows)
    good = np.where(shedding, sent.granted, 0.0) + queue.good
    tally.served[rows] = good.sum(axis=1) / SECONDS
    tally.waiting[rows] = (state.live[rows].sum(axis=3) + state.stale[rows]).sum(axis=1)
    failed = (queue.timed_out + dropped).sum(axis=(1, 2))
    entering = np.maximum(one.entering.sum(axis=(1, 2)), NEGLIGIBLE_RPS)
    state.error_share[rows] = np.minimum(1.0, failed / entering)
    admitted = (tally.attempts[rows] - tally.admitted[rows]).sum(axis=1) * SECONDS
    records = {
        "waiting": tally.waiting[rows].sum(axis=1),
        "stale": state.stale[rows].sum(axis=(1, 2)),
        "retrying": state.retrying[rows].sum(axis=(1, 2, 3)),
        "shed": admitted + refused.sum(axis=(1, 2)),
        "rejected": (tally.admitted[rows] - tally.entering[rows]).sum(axis=1) * SECONDS,
        "dropped": dropped.sum(axis=(1, 2)),
        "timed_out": queue.timed_out.sum(axis=(1, 2)),
        "wasted": queue.wasted.sum(axis=(1, 2)),
        "purged": purged,
        "gave_up": gave_up,
    }
    for name, values in records.items():
        history.record(name, minute, values, rows)


def _come_back(
    world: World,
    state: State,
    one: Minute,
    at_once: Floats,
    joined: Floats,
    queue: QueueOutcome,
) -> Floats:
    """What failed backs off or is given up (returned, shape (B,)); what waits stays what it is."""
    rows = one.scenarios
    if world.tiers.retries.attempts == 1:
        failed = (at_once + queue.timed_out)[..., None]
        state.live[rows] = queue.live[..., None]
    else:
        per_arrival = 1.0 / np.maximum(one.total, NEGLIGIBLE_RPS)
        waiting = state.live[rows] + one.attempts * (joined * per_arrival)[..., None]
        per_waiting = 1.0 / np.maximum(waiting.sum(axis=3), NEGLIGIBLE_RPS)
        failed = one.attempts * (at_once * per_arrival)[..., None]
        failed += waiting * (queue.timed_out * per_waiting)[..., None]
        state.live[rows] = waiting * (queue.live * per_waiting)[..., None]
    again, gave_up = repeat(failed, world.tiers.retries)
    state.retrying[rows] += again
    given_up: Floats = gave_up.sum(axis=(1, 2))
    return given_up


def _forget(state: State, rows: Ints) -> Floats:
    """Clients forgotten where next to nobody waits or backs off any more, shape (B,)."""
    live, retrying = (x[rows].sum(axis=(1, 2, 3)) for x in (state.live, state.retrying))
    left = live + retrying
    over = left + state.stale[rows].sum(axis=(1, 2)) < NEGLIGIBLE_REQUESTS
    state.busy[rows] = ~over
    for record in (state.live, state.retrying, state.stale):
        record[rows[over]] = 0.0
    return np.where(over, left, 0.0)


def _pools(
    world: World, state: State, history: History, row: Ints, tally: Tally, minute: int
) -> None:
    """Connections in use, and what the pools let through in the next minute."""
    services = world.services
    if not services.names:
        return
    weights = state.conditions.weights[row]
    connections = state.conditions.connections[row]
    by_tier = np.stack([tally.entering, tally.admitted, tally.served, tally.waiting], axis=1)
    entered, wanted, served, waiting = np.matmul(by_tier, weights).transpose(1, 0, 2)
    working = np.where(services.holds_while_waiting, served, entered)
    in_use = connections_in_use(working, services.seconds, waiting, services.holds_while_waiting)
    state.pool_rps = pool_rate(
        entered, in_use, connections, services.seconds, world.reaction.patience[:, None] * SECONDS
    )
    turned_away = np.maximum(1.0, wanted / np.maximum(entered, NEGLIGIBLE_RPS))
    use = in_use / np.maximum(connections, NEGLIGIBLE_RPS) * turned_away
    history.record("pool_use", minute, use)


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
