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
from planner.simulation.dispatch import cool_enough, dispatch
from planner.simulation.minute import Minute, Requests
from planner.simulation.restoration import admitted_tiers
from planner.simulation.services import past_services, run_pools
from planner.simulation.state import State
from planner.simulation.system_states import Bools, Floats, Ints
from planner.simulation.world import SECONDS, World

#: Requests waiting or backing off below this are rounding; their clients are counted as given up.
NEGLIGIBLE_REQUESTS = 1e-2


def serve(world: World, state: State, now: Minute) -> None:
    """Requests of one minute: what is served, waits, fails and comes back, and the load of targets.

    Where priorities are in force, what finds no room is turned away at once, and the queue (of
    requests sent to targets that were gone) is served with the room left and holds no request in
    vain. Otherwise everything waits its turn in random order, also requests whose clients are gone.
    """
    zone_rps = world.zone_rps[now.number]
    state.shedding = _shedding(world, state, now)
    fresh = zone_rps.sum(axis=1)[:, None] * world.tiers.share
    now.returning = state.retrying[state.busy] * world.tiers.retries.returning[:, None]
    attempts = fresh.copy()
    attempts[state.busy] += over_attempts(now.returning).sum(axis=1) / SECONDS
    now.admitted = now.system.tier_up & admitted_tiers(world, state, now)
    now.admitted_rps = attempts * now.admitted
    now.entering_share = now.admitted * past_services(world, state, now)
    now.entering_rps = attempts * now.entering_share
    now.allowed = cool_enough(world, state, now)
    # What is served where nothing is short; the others follow.
    now.demand_rps, now.attempts_rps, now.served_rps = fresh, attempts, fresh.copy()
    now.waiting_by_tier, now.wasted_by_tier = np.zeros_like(fresh), np.zeros_like(fresh)
    by_zone = zone_rps[:, :, None] * world.tiers.share if world.by_zone else zone_rps[:, :0]
    now.zone_served_rps = by_zone.reshape(len(by_zone), -1)
    now.load_rps = zone_rps @ world.first_choice
    calm = _calm(state, now)
    state.error_share, state.short = np.zeros(len(calm)), np.zeros(len(calm), dtype=bool)
    if not calm.all():
        _serve_stressed(world, state, now, np.flatnonzero(~calm))
    run_pools(world, state, now)


def offered_load(world: World, now: Minute) -> Floats:
    """Offered load: that of targets and all requests without room that could come there, (S, N)."""
    offered = now.load_rps.copy()
    offered[now.failing] += np.einsum("bzk,kzn->bn", now.unmet_rps, world.reach)
    return offered


def _shedding(world: World, state: State, now: Minute) -> Bools:
    """Whether priorities are in force, shape (S,).

    Where operators see to it, from their reaction to what failed last, and for as long as requests
    find no room where they did already.
    """
    reaction = world.reaction
    goes_on = state.shedding & state.short
    return reaction.sheds | reaction.operators_shed & (now.reacted | goes_on)


def _calm(state: State, now: Minute) -> Bools:
    """Scenarios in which nobody waits and every request fits the nearest target, shape (S,)."""
    load, room = now.load_rps, np.minimum(now.capacity_rps, now.known_capacity_rps)
    calm = ~state.busy & (now.entering_share >= 1).all(axis=1)
    calm &= (load <= room).all(axis=1)
    # Demand that reaches no target at all is no load of any.
    calm &= load.sum(axis=1) >= now.demand_rps.sum(axis=1) * (1 - 1e-9)
    if now.allowed is not None:
        calm &= now.allowed.all(axis=(0, 2))
    return calm


def _serve_stressed(world: World, state: State, now: Minute, scenarios: Ints) -> None:
    """Serve scenarios that are not calm."""
    requests, load = dispatch(world, now, _requests(world, state, now, scenarios))
    now.load_rps[scenarios] = load
    failing = state.busy[scenarios].copy()
    failing |= (requests.total - requests.granted).max(axis=(1, 2)) > NEGLIGIBLE_RPS
    if failing.any():
        requests = requests.of(failing)
        unmet = np.maximum(requests.entering - requests.granted, 0.0)
        wanted = np.maximum(in_all(requests.total), SECONDS)
        state.short[requests.scenarios] = in_all(unmet) > 1e-6 * wanted
        now.failing, now.unmet_rps = requests.scenarios, unmet / SECONDS
        _settle(world, state, now, requests)


def _requests(world: World, state: State, now: Minute, scenarios: Ints) -> Requests:
    """New requests and those that come back or wait, in scenarios that are not calm."""
    zone_rps = world.zone_rps[now.number][scenarios]
    fresh = zone_rps[:, :, None] * (world.tiers.share * SECONDS)
    nothing = np.zeros_like(fresh)
    total, backlog = fresh, nothing
    busy = state.busy[scenarios]
    if busy.any():
        waiting = scenarios[busy]
        state.retrying[waiting] -= now.returning
        total, backlog = fresh.copy(), nothing.copy()
        total[busy] += over_attempts(now.returning)
        backlog[busy] = over_attempts(state.live[waiting]) + state.stale[waiting]
    return Requests(
        scenarios=scenarios,
        shedding=state.shedding[scenarios, None, None],
        fresh=fresh,
        total=total,
        entering=total * now.entering_share[scenarios][:, None, :],
        backlog=backlog,
        waiting=backlog * now.admitted[scenarios][:, None, :],
        sent=nothing,
        granted=nothing,
        drained=nothing,
        spare=np.ones((len(scenarios), 1, 1)),
    )


def _settle(world: World, state: State, now: Minute, requests: Requests) -> None:
    """What was not granted at once waits, times out, comes back later or is given up."""
    rows, shedding = requests.scenarios, requests.shedding
    entering, sent, granted = requests.entering, requests.sent, requests.granted
    refused = np.where(shedding, np.maximum(entering - sent, 0.0), 0.0)
    joining = np.where(shedding, np.maximum(sent - granted, 0.0), entering)
    taken = np.where(shedding, requests.drained, granted)
    unserved = np.maximum(requests.backlog + joining - taken, 0.0)
    dropped = beyond_limit(unserved, joining, world.reaction.queue_limit[rows])
    queue = competing_queue(
        over_attempts(state.live[rows]),
        state.stale[rows],
        joining - dropped,
        # What was served in full could have been served faster.
        np.where(unserved > NEGLIGIBLE_RPS, taken, taken * requests.spare),
        world.reaction.patience[rows, None, None],
    )
    at_once = requests.total - entering + refused + dropped
    gave_up = _come_back(world, state, now, requests, at_once, joining - dropped, queue)
    # Under shedding no request is kept in vain.
    state.stale[rows] = np.where(shedding, 0.0, queue.stale)
    purged = queue.stale - state.stale[rows]
    now.gave_up[rows] = gave_up + _forget(state, rows)
    good = np.where(shedding, granted, 0.0) + queue.good
    now.served_rps[rows] = good.sum(axis=1) / SECONDS
    if world.by_zone:
        now.zone_served_rps[rows] = good.reshape(len(good), -1) / SECONDS
    waiting = (over_attempts(state.live[rows]) + state.stale[rows]).sum(axis=1)
    now.waiting_by_tier[rows] = waiting
    not_admitted = (now.attempts_rps[rows] - now.admitted_rps[rows]) * SECONDS
    now.waiting[rows] = in_all(waiting)
    now.stale[rows] = in_all(state.stale[rows])
    now.retrying[rows] = in_all(state.retrying[rows])
    now.shed[rows] = in_all(not_admitted + refused.sum(axis=1))
    now.rejected[rows] = in_all((now.admitted_rps[rows] - now.entering_rps[rows]) * SECONDS)
    now.dropped[rows] = in_all(dropped)
    now.timed_out[rows] = in_all(queue.timed_out)
    now.wasted_by_tier[rows] = queue.wasted.sum(axis=1)
    now.wasted[rows] = in_all(queue.wasted)
    now.purged[rows] = in_all(purged)
    failed = in_all(queue.timed_out + dropped)
    state.error_share[rows] = np.minimum(1.0, failed / np.maximum(in_all(entering), NEGLIGIBLE_RPS))


def _come_back(
    world: World,
    state: State,
    now: Minute,
    requests: Requests,
    at_once: Floats,
    joined: Floats,
    queue: QueueOutcome,
) -> Floats:
    """What failed backs off or is given up (returned, shape (B,)); what waits stays what it is."""
    rows = requests.scenarios
    if world.tiers.retries.attempts == 1:
        failed = (at_once + queue.timed_out)[..., None]
        state.live[rows] = queue.live[..., None]
    else:
        attempts = np.zeros((*requests.fresh.shape, world.tiers.retries.attempts))
        attempts[..., 0] = requests.fresh
        # Wherever clients back off something fails, so all of those are here.
        attempts[state.busy[rows], :, :, 1:] = now.returning
        per_arrival = 1.0 / np.maximum(requests.total, NEGLIGIBLE_RPS)
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
