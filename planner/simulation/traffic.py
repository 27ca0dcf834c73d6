"""The requests of one minute: retries, services and pools, routing, shedding, the queue.

Requests are counted per minute; rates are per second. Axes as in `planner.simulation.world`, and B
the scenarios that are not calm: those in which something is short, waits or comes back. In calm
ones every request fits the nearest target, quick to see; only the others take the long way.
"""

from __future__ import annotations

import numpy as np

from planner.laws.queues import QueueOutcome, competing_queue
from planner.laws.retries import repeat
from planner.laws.traffic import NEGLIGIBLE_RPS, beyond_limit
from planner.simulation.conditions import Bools, Floats, Ints
from planner.simulation.dispatch import Minute, Sent, cool_enough, dispatch
from planner.simulation.restoration import admitted_tiers
from planner.simulation.services import Tally, past_services, run_pools
from planner.simulation.state import History, State
from planner.simulation.world import SECONDS, World

#: Requests waiting or backing off below this are rounding; their clients are counted as given up.
NEGLIGIBLE_REQUESTS = 1e-2


def serve(
    world: World,
    state: State,
    history: History,
    row: Ints,
    capacity: Floats,
    known_capacity: Floats,
    minute: int,
) -> Floats:
    """Requests of one minute: what is served, waits, fails and comes back; load of targets, (S, N).

    Where priorities are in force, what finds no room is turned away at once, and the queue (of
    requests sent to targets that were gone) is served with the room left and holds no request in
    vain. Otherwise everything waits its turn in random order, also requests whose clients are gone.
    """
    zone_rps = world.zone_rps[minute]
    state.shedding = _shedding(world, state, minute)
    fresh = zone_rps.sum(axis=1)[:, None] * world.tiers.share
    returning = state.retrying[state.busy] * world.tiers.retries.returning[:, None]
    attempts = fresh.copy()
    attempts[state.busy] += over_attempts(returning).sum(axis=1) / SECONDS
    admitted = state.conditions.tier_up[row] & admitted_tiers(world, state, minute)
    share = admitted * past_services(world, state, history, row, attempts * admitted, minute)
    allowed = cool_enough(world, state, minute)
    by_zone = zone_rps[:, :, None] * world.tiers.share if world.by_zone else None
    tally = Tally(
        attempts, attempts * admitted, attempts * share, fresh.copy(), 0.0 * fresh, by_zone
    )
    load: Floats = zone_rps @ world.first_choice
    calm = ~state.busy & (share >= 1).all(axis=1)
    calm &= (load <= np.minimum(capacity, known_capacity)).all(axis=1)
    # Demand that reaches no target at all is no load of any.
    calm &= load.sum(axis=1) >= fresh.sum(axis=1) * (1 - 1e-9)
    if allowed is not None:
        calm &= allowed.all(axis=(0, 2))
    state.error_share, state.short = np.zeros(len(calm)), np.zeros(len(calm), dtype=bool)
    history.record("wanted_rps", minute, load)
    if not calm.all():
        stressed = np.flatnonzero(~calm)
        one = _minute(world, state, stressed, zone_rps, returning, admitted, share)
        may = None if allowed is None else allowed[:, stressed]
        rooms = (capacity[stressed], known_capacity[stressed])
        load[stressed] = _stressed(world, state, history, tally, one, returning, rooms, may, minute)
    run_pools(world, state, history, row, tally, minute)
    history.record("demand_rps", minute, fresh)
    history.record("attempts_rps", minute, tally.attempts)
    history.record("served_rps", minute, tally.served)
    if by_zone is not None:
        history.record("zone_served_rps", minute, by_zone.reshape(len(by_zone), -1))
    return load


def _shedding(world: World, state: State, minute: int) -> Bools:
    """Whether priorities are in force, shape (S,).

    Where operators see to it, from their reaction to what failed last, and for as long as requests
    find no room where they did already.
    """
    reaction = world.reaction
    goes_on = state.shedding & state.short
    return reaction.sheds | reaction.operators_shed & (reaction.reacted(minute) | goes_on)


def _minute(
    world: World,
    state: State,
    stressed: Ints,
    zone_rps: Floats,
    returning: Floats,
    admitted: Bools,
    share: Floats,
) -> Minute:
    """New requests and those that come back or wait, in scenarios that are not calm."""
    fresh = zone_rps[stressed][:, :, None] * (world.tiers.share * SECONDS)
    total, backlog = fresh, np.zeros_like(fresh)
    busy = state.busy[stressed]
    if busy.any():
        waiting = stressed[busy]
        state.retrying[waiting] -= returning
        total = fresh.copy()
        total[busy] += over_attempts(returning)
        backlog[busy] = over_attempts(state.live[waiting]) + state.stale[waiting]
    return Minute(
        scenarios=stressed,
        fresh=fresh,
        total=total,
        entering=total * share[stressed][:, None, :],
        backlog=backlog,
        waiting=backlog * admitted[stressed][:, None, :],
        shedding=state.shedding[stressed, None, None],
    )


def _stressed(
    world: World,
    state: State,
    history: History,
    tally: Tally,
    one: Minute,
    returning: Floats,
    rooms: tuple[Floats, Floats],
    allowed: Bools | None,
    minute: int,
) -> Floats:
    """Load of targets in scenarios that are not calm, shape (B, N); rooms as they are and known."""
    sent, load = dispatch(world, one, *rooms, allowed)
    history.record("wanted_rps", minute, load, one.scenarios)
    failing = state.busy[one.scenarios].copy()
    failing |= (one.total - sent.granted).max(axis=(1, 2)) > NEGLIGIBLE_RPS
    if failing.any():
        part, went = one.of(failing), sent.of(failing)
        unmet = np.maximum(part.entering - went.granted, 0.0)
        if history.keeps("wanted_rps"):
            turned_away = np.einsum("bzk,kzn->bn", unmet / SECONDS, world.reach)
            history.record("wanted_rps", minute, load[failing] + turned_away, part.scenarios)
        wanted = np.maximum(in_all(part.total), SECONDS)
        state.short[part.scenarios] = in_all(unmet) > 1e-6 * wanted
        _settle(world, state, history, tally, part, went, returning, minute)
    return load


def _settle(
    world: World,
    state: State,
    history: History,
    tally: Tally,
    one: Minute,
    sent: Sent,
    returning: Floats,
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
        over_attempts(state.live[rows]),
        state.stale[rows],
        joined,
        # What was served in full could have been served faster.
        np.where(unserved > NEGLIGIBLE_RPS, taken, taken * sent.spare),
        world.reaction.patience[rows, None, None],
    )
    at_once = one.total - one.entering + refused + dropped
    gave_up = _come_back(world, state, one, returning, at_once, joined, queue)
    # Under shedding no request is kept in vain.
    state.stale[rows] = np.where(shedding, 0.0, queue.stale)
    purged = queue.stale - state.stale[rows]
    gave_up += _forget(state, rows)
    good = np.where(shedding, sent.granted, 0.0) + queue.good
    tally.served[rows] = good.sum(axis=1) / SECONDS
    if tally.by_zone is not None:
        tally.by_zone[rows] = good / SECONDS
    tally.waiting[rows] = (over_attempts(state.live[rows]) + state.stale[rows]).sum(axis=1)
    entering = np.maximum(in_all(one.entering), NEGLIGIBLE_RPS)
    state.error_share[rows] = np.minimum(1.0, in_all(queue.timed_out + dropped) / entering)
    not_admitted = (tally.attempts[rows] - tally.admitted[rows]) * SECONDS
    records = {
        "waiting": tally.waiting[rows],
        "stale": state.stale[rows],
        "retrying": state.retrying[rows],
        "shed": not_admitted + refused.sum(axis=1),
        "rejected": (tally.admitted[rows] - tally.entering[rows]) * SECONDS,
        "dropped": dropped,
        "timed_out": queue.timed_out,
        "wasted": queue.wasted,
        "purged": purged,
        "gave_up": gave_up,
    }
    for name, values in records.items():
        if history.keeps(name):
            history.record(name, minute, in_all(values), rows)


def _come_back(
    world: World,
    state: State,
    one: Minute,
    returning: Floats,
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
        attempts = np.zeros((*one.fresh.shape, world.tiers.retries.attempts))
        attempts[..., 0] = one.fresh
        # Wherever clients back off something fails, so all of those are here.
        attempts[state.busy[rows], :, :, 1:] = returning
        per_arrival = 1.0 / np.maximum(one.total, NEGLIGIBLE_RPS)
        waiting = state.live[rows] + attempts * (joined * per_arrival)[..., None]
        per_waiting = 1.0 / np.maximum(over_attempts(waiting), NEGLIGIBLE_RPS)
        failed = attempts * (at_once * per_arrival)[..., None]
        failed += waiting * (queue.timed_out * per_waiting)[..., None]
        state.live[rows] = waiting * (queue.live * per_waiting)[..., None]
    again, gave_up = repeat(failed, world.tiers.retries)
    state.retrying[rows] += again
    return in_all(gave_up)


def _forget(state: State, rows: Ints) -> Floats:
    """Clients forgotten where next to nobody waits or backs off any more, shape (B,)."""
    left = in_all(state.live[rows]) + in_all(state.retrying[rows])
    over = left + in_all(state.stale[rows]) < NEGLIGIBLE_REQUESTS
    state.busy[rows] = ~over
    for record in (state.live, state.retrying, state.stale):
        record[rows[over]] = 0.0
    return np.where(over, left, 0.0)


def over_attempts(requests: Floats) -> Floats:
    """Sum over the last, short axis, one slice after the other: several times as fast as a sum."""
    total = np.zeros(requests.shape[:-1])
    for attempt in range(requests.shape[-1]):
        total += requests[..., attempt]
    return total


def in_all(requests: Floats) -> Floats:
    """Sum over all axes but the first."""
    total: Floats = requests.sum(axis=tuple(range(1, requests.ndim)))
    return total
