"""The requests of one minute: new ones and retries, the nearest targets, the queue.

Requests are counted per minute; rates are per second. Where every request fits the nearest target
and nobody waits, that is quick to see; all else takes the long way.
"""

from __future__ import annotations

from planner.laws.compiling import compilable
from planner.laws.queues import competing_queue
from planner.laws.retries import repeat
from planner.laws.traffic import NEGLIGIBLE_RPS, Network, drop_beyond_limit
from planner.simulation.arrays import Records
from planner.simulation.system_states import Floats, Ints
from planner.simulation.world import SECONDS

#: Requests waiting or backing off below this are rounding; their clients are counted as given up.
NEGLIGIBLE_REQUESTS = 1e-2


@compilable
def arrive(tiers: Records, zones: Records, attempts: Records, platform: Records) -> None:
    """New requests of tiers, and with them those that come back."""
    total = 0.0
    for z in range(len(zones)):
        total += zones[z].rps
    for k in range(len(tiers)):
        tier, returning = tiers[k], 0.0
        tier.demand_rps = total * tier.share
        if platform[0].busy:
            for z in range(len(zones)):
                for a in range(1, attempts.shape[2]):
                    attempt = attempts[z, k, a]
                    attempt.coming = attempt.retrying * tier.returning
                    returning += attempt.coming
        tier.attempts_rps = tier.demand_rps + returning / SECONDS
        tier.admitted_rps = tier.attempts_rps if tier.admitted else 0.0


@compilable
def go_to_nearest(
    tiers: Records,
    zones: Records,
    targets: Records,
    requests: Records,
    platform: Records,
    order: Ints,
) -> None:
    """What is served where nothing is short, and the load of targets then."""
    for n in range(len(targets)):
        targets[n].load_rps = 0.0
    for k in range(len(tiers)):
        tier = tiers[k]
        tier.served_rps, tier.waiting, tier.wasted = tier.demand_rps, 0.0, 0.0
        for z in range(len(zones)):
            fresh, nearest = zones[z].rps * tier.share, order[k, 0, z]
            requests[z, k].served = fresh
            if nearest >= 0:
                targets[nearest].load_rps += fresh
    now = platform[0]
    now.error_share, now.short, now.failing = 0.0, False, False
    now.waiting, now.stale, now.retrying = 0.0, 0.0, 0.0
    now.shed, now.rejected, now.dropped = 0.0, 0.0, 0.0
    now.timed_out, now.wasted, now.purged, now.gave_up = 0.0, 0.0, 0.0, 0.0


@compilable
def fits(tiers: Records, targets: Records, platform: Records) -> bool:
    """Whether nobody waits and every request fits the nearest target."""
    wanted, load = 0.0, 0.0
    if platform[0].busy:
        return False
    for k in range(len(tiers)):
        if tiers[k].entering_share < 1:
            return False
        wanted += tiers[k].demand_rps
    for n in range(len(targets)):
        target = targets[n]
        if target.load_rps > min(target.capacity_rps, target.known_rps):
            return False
        load += target.load_rps
    # Demand that reaches no target at all is no load of any.
    return bool(load >= wanted * (1 - 1e-9))


@compilable
def gather(
    tiers: Records, zones: Records, requests: Records, attempts: Records, platform: Records
) -> None:
    """New requests and those that come back or wait."""
    for z in range(len(zones)):
        for k in range(len(tiers)):
            request = requests[z, k]
            request.fresh = zones[z].rps * (tiers[k].share * SECONDS)
            request.total, request.backlog = request.fresh, 0.0
            attempts[z, k, 0].coming = request.fresh
            if platform[0].busy:
                request.backlog = request.stale + attempts[z, k, 0].live
            for a in range(1, attempts.shape[2]):
                attempt = attempts[z, k, a]
                if platform[0].busy:
                    request.backlog += attempt.live
                    attempt.retrying -= attempt.coming
                    request.total += attempt.coming
                else:
                    attempt.coming = 0.0
            request.entering = request.total * tiers[k].entering_share


@compilable
def _fails(requests: Records, platform: Records) -> bool:
    """Whether anybody waits or any request is not granted at once; whether anything is short."""
    now = platform[0]
    unmet, wanted, failing = 0.0, 0.0, now.busy
    for z in range(requests.shape[0]):
        for k in range(requests.shape[1]):
            request = requests[z, k]
            failing = failing or request.total - request.granted > NEGLIGIBLE_RPS
            unmet += max(request.entering - request.granted, 0.0)
            wanted += request.total
    now.failing = failing
    now.short = failing and unmet > 1e-6 * max(wanted, SECONDS)
    return bool(failing)


@compilable
def offer_load(targets: Records, requests: Records, platform: Records, order: Ints) -> None:
    """Offered load: that of targets and all requests without room that could come there."""
    for n in range(len(targets)):
        targets[n].wanted_rps = targets[n].load_rps
    if not platform[0].failing:
        return
    for z in range(requests.shape[0]):
        for k in range(requests.shape[1]):
            request = requests[z, k]
            unmet = max(request.entering - request.granted, 0.0) / SECONDS
            for rank in range(order.shape[1]):
                if order[k, rank, z] >= 0:
                    targets[order[k, rank, z]].wanted_rps += unmet


@compilable
def settle(
    tiers: Records,
    requests: Records,
    attempts: Records,
    platform: Records,
    network: Network,
    repeats: Floats,
) -> None:
    """What was not granted at once waits, times out, comes back later or is given up.

    Where priorities are in force, what finds no room is turned away at once, and the queue (of
    requests sent to targets that were gone) is served with the room left and holds no request in
    vain. Otherwise everything waits its turn in random order, also requests whose clients are gone.
    """
    if not _fails(requests, platform):
        return
    now, entering = platform[0], 0.0
    _join_queue(requests, platform, network)
    for k in range(len(tiers)):
        tiers[k].served_rps = 0.0
    for z in range(requests.shape[0]):
        for k in range(len(tiers)):
            entering += requests[z, k].entering
            _queue(tiers[k], requests[z, k], attempts[z, k], now, repeats[k], network, z, k)
    _forget(requests, attempts, platform)
    for z in range(requests.shape[0]):
        for k in range(len(tiers)):
            waiting = requests[z, k].stale
            now.stale += requests[z, k].stale
            for a in range(attempts.shape[2]):
                waiting += attempts[z, k, a].live
                now.retrying += attempts[z, k, a].retrying
            tiers[k].waiting += waiting
            now.waiting += waiting
    for k in range(len(tiers)):
        now.shed += (tiers[k].attempts_rps - tiers[k].admitted_rps) * SECONDS
        now.rejected += (tiers[k].admitted_rps - tiers[k].entering_rps) * SECONDS
        now.wasted += tiers[k].wasted
    now.error_share = min(1.0, (now.timed_out + now.dropped) / max(entering, NEGLIGIBLE_RPS))


@compilable
def _join_queue(requests: Records, platform: Records, network: Network) -> None:
    """Requests that join the queue, those served from it, those left over, and those dropped."""
    unserved, arriving = network.demand, network.sent
    for z in range(requests.shape[0]):
        for k in range(requests.shape[1]):
            request = requests[z, k]
            request.joining, request.taken = request.entering, request.granted
            if platform[0].shedding:
                request.joining = max(request.sent - request.granted, 0.0)
                request.taken = request.drained
            unserved[z, k] = max(request.backlog + request.joining - request.taken, 0.0)
            arriving[z, k] = request.joining
    drop_beyond_limit(unserved, arriving, platform[0].queue_limit, network.granted)


@compilable
def _queue(
    tier: Records,
    request: Records,
    attempts: Records,
    now: Records,
    repeats: Floats,
    network: Network,
    z: int,
    k: int,
) -> None:
    """One step of the queue of a zone and tier, and what becomes of those who fail in it."""
    unserved, dropped = network.demand[z, k], network.granted[z, k]
    joined, live = request.joining - dropped, 0.0
    for a in range(len(attempts)):
        live += attempts[a].live
    # What was served in full could have been served faster.
    taken = request.taken if unserved > NEGLIGIBLE_RPS else request.taken * now.spare
    queue = competing_queue(live, request.stale, joined, taken, now.patience)
    refused = max(request.entering - request.sent, 0.0) if now.shedding else 0.0
    at_once = request.total - request.entering + refused + dropped
    per_arrival = 1.0 / max(request.total, NEGLIGIBLE_RPS)
    per_waiting = 1.0 / max(live + joined, NEGLIGIBLE_RPS)
    for a in range(len(attempts)):
        attempt = attempts[a]
        waiting = attempt.live + attempt.coming * (joined * per_arrival)
        failed = attempt.coming * (at_once * per_arrival)
        failed += waiting * (queue.timed_out * per_waiting)
        attempt.live = waiting * (queue.live * per_waiting)
        again, gave_up = repeat(failed, repeats[a])
        now.gave_up += gave_up
        if a + 1 < len(attempts):
            attempts[a + 1].retrying += again
    # Under shedding no request is kept in vain.
    request.stale = 0.0 if now.shedding else queue.stale
    now.purged += queue.stale - request.stale
    good = queue.good + (request.granted if now.shedding else 0.0)
    request.served = good / SECONDS
    tier.served_rps += request.served
    tier.wasted += queue.wasted
    now.shed += refused
    now.dropped += dropped
    now.timed_out += queue.timed_out


@compilable
def _forget(requests: Records, attempts: Records, platform: Records) -> None:
    """Clients are forgotten where next to nobody waits or backs off any more."""
    left, stale = 0.0, 0.0
    for z in range(attempts.shape[0]):
        for k in range(attempts.shape[1]):
            stale += requests[z, k].stale
            for a in range(attempts.shape[2]):
                left += attempts[z, k, a].live + attempts[z, k, a].retrying
    platform[0].busy = left + stale >= NEGLIGIBLE_REQUESTS
    if platform[0].busy:
        return
    platform[0].gave_up += left
    for z in range(attempts.shape[0]):
        for k in range(attempts.shape[1]):
            requests[z, k].stale = 0.0
            for a in range(attempts.shape[2]):
                attempts[z, k, a].live, attempts[z, k, a].retrying = 0.0, 0.0
