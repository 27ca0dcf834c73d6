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
    share = admitted * past_services(world, state, history, row, attempts * admitted, minute)
    allowed = cool_enough(world, state, minute)
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
    run_pools(world, state, history, row, tally, minute)
    history.record("demand_rps", minute, fresh)
    history.record("attempts_rps", minute, tally.attempts)
    history.record("served_rps", minute, tally.served)
    return load


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
    sent, load = dispatch(world, one, capacity, believed, allowed)
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
