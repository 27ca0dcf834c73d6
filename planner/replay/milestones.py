"""Reading out of a simulation what a record states: values at a moment, moments of events.

The first scenario of a simulation is read; T minutes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from planner.laws.queues import busy_seconds, response_seconds
from planner.simulation.history import History
from planner.simulation.system_states import Bools, Floats
from planner.simulation.world import World

#: Below this a requirement is met within rounding.
ROUNDING = 1e-9
Subject = tuple[str, ...]


def _cluster(world: World, subject: Subject) -> int:
    return world.clusters.names.index(subject[0])


def _plant(world: World, subject: Subject) -> int:
    return world.plants.names.index(subject[0])


def _service(world: World, subject: Subject) -> int:
    return world.services.names.index(subject[0])


def _temperature(world: World, history: History, subject: Subject) -> Floats:
    """Temperature of a cluster, °C."""
    values: Floats = history.temperature_c[:, 0, _cluster(world, subject)]
    return values


def _heat(world: World, history: History, subject: Subject) -> Floats:
    """Heat of a cluster, MW."""
    values: Floats = history.heat_mw[:, 0, _cluster(world, subject)]
    return values


def _cooling(world: World, history: History, subject: Subject) -> Floats:
    """Heat carried away from a cluster, MW."""
    values: Floats = history.cooling_mw[:, 0, _cluster(world, subject)]
    return values


def _cooling_capacity(world: World, history: History, subject: Subject) -> Floats:
    """Heat that a plant could carry away, MW."""
    values: Floats = history.cooling_capacity_mw[:, 0, _plant(world, subject)]
    return values


def _success_rate(world: World, history: History, subject: Subject) -> Floats:
    """Requests that succeed over new requests, at most 1, of some tiers (none named: of all)."""
    names = world.tiers.names
    tiers = [names.index(name) for name in subject or names]
    fresh = history.demand_rps[:, 0, tiers].sum(axis=1)
    served = history.served_rps[:, 0, tiers].sum(axis=1)
    rate = np.divide(served, fresh, out=np.ones_like(fresh), where=fresh > ROUNDING)
    return np.minimum(rate, 1.0)


def _traffic_ratio(world: World, history: History, subject: Subject) -> Floats:
    """Requests that want into a cluster over its load at minute 0; NaN if that was nothing."""
    cluster = _cluster(world, subject)
    usual = float(history.load_rps[0, 0, cluster])
    wanted: Floats = history.wanted_rps[:, 0, cluster]
    return wanted / usual if usual > ROUNDING else np.full_like(wanted, np.nan)


def _waiting(world: World, history: History, subject: Subject) -> Floats:  # noqa: ARG001
    """Requests in the queue."""
    values: Floats = history.waiting[:, 0]
    return values


def _pending(world: World, history: History, subject: Subject) -> Floats:  # noqa: ARG001
    """Requests in the queue, and those that clients who were turned away will send again."""
    values: Floats = history.waiting[:, 0] + history.retrying[:, 0]
    return values


def _response(world: World, history: History, subject: Subject) -> Floats:  # noqa: ARG001
    """Time that 99 of 100 requests stay below, queue and work, seconds."""
    clusters, load = world.clusters, history.load_rps[:, 0]
    busy = busy_seconds(
        load[:, : len(clusters.names)],
        history.powered_gpus[:, 0],
        history.clock[:, 0],
        clusters.rps,
        clusters.service_seconds,
    )
    values: Floats = response_seconds(
        busy.max(axis=1, initial=0.0), history.waiting[:, 0], load.sum(axis=1)
    )
    return values


#: Course of each quantity, shape (T,).
SERIES: dict[str, Callable[[World, History, Subject], Floats]] = {
    "temperature_c": _temperature,
    "success_rate": _success_rate,
    "traffic_ratio": _traffic_ratio,
    "waiting_requests": _waiting,
    "pending_requests": _pending,
    "response_seconds": _response,
    "heat_mw": _heat,
    "cooling_mw": _cooling,
    "cooling_capacity_mw": _cooling_capacity,
}


def value_at(
    world: World, history: History, quantity: str, subject: Subject, minute: int
) -> float | None:
    """Value of a quantity at a minute; None if it has none then."""
    value = float(SERIES[quantity](world, history, subject)[minute])
    return value if np.isfinite(value) else None


def _since(world: World, minute: float) -> Bools:
    """True from a minute on."""
    return np.arange(world.minutes) >= minute


def _cooling_short(world: World, history: History, subject: Subject) -> Bools:
    """Whether a cluster of a plant gets less cooling than it makes heat."""
    served = world.plants.serves[_plant(world, subject)]
    short = history.heat_mw[:, 0] > history.cooling_mw[:, 0] + ROUNDING
    flags: Bools = (short & served).any(axis=1)
    return flags


def _standby_cooling(world: World, history: History, subject: Subject) -> Bools:
    """Whether standby units of a plant have started, and there are any that work."""
    units = world.units
    mine = units.standby & (units.plant == _plant(world, subject))
    started = np.arange(world.minutes)[:, None] >= history.standby_since[0] + units.start_minutes
    working = world.system_states.units[world.interval[:, 0]] > 0
    flags: Bools = (started & working & mine).any(axis=1)
    return flags


def _utilisation(world: World, history: History, subject: Subject) -> Floats:
    """Load of a cluster over what it could serve with every powered GPU at its clock busy."""
    cluster = _cluster(world, subject)
    load: Floats = history.load_rps[:, 0, cluster]
    full = history.capacity_rps[:, 0, cluster] / world.clusters.utilisation[cluster]
    none = np.where(load > ROUNDING, np.inf, 0.0)
    share: Floats = np.divide(load, full, out=none, where=full > ROUNDING)
    return share


def _off(world: World, history: History, subject: Subject) -> Bools:
    """Whether a cluster is without power, by failure or by its own protection."""
    values: Bools = history.off[:, 0, _cluster(world, subject)]
    return values


def _restored(world: World, history: History, subject: Subject) -> Bools:
    """Whether a cluster that was off takes requests again."""
    off = _off(world, history, subject)
    was_off = np.concatenate([[False], np.logical_or.accumulate(off)[:-1]])
    takes = history.capacity_rps[:, 0, _cluster(world, subject)] > ROUNDING
    flags: Bools = was_off & ~off & takes
    return flags


def _powered(world: World, history: History, subject: Subject) -> Floats:
    """Share of the GPUs of a cluster that are powered, as halls go off and come back in part."""
    cluster = _cluster(world, subject)
    share: Floats = history.powered_gpus[:, 0, cluster] / max(world.clusters.gpus[cluster], 1.0)
    return share


def _reroute(world: World, history: History, subject: Subject) -> Bools:
    """Whether load balancers know of another capacity of a cluster than at minute 0.

    By more than what cold caches make of it.
    """
    known_capacity = history.known_capacity_rps[:, 0, _cluster(world, subject)]
    most = 1.0 - 1.0 / world.reaction.cold_most[0] + 1e-6
    flags: Bools = np.abs(known_capacity - known_capacity[0]) > most * known_capacity[0]
    return flags


def _pool(world: World, history: History, subject: Subject) -> Bools:
    flags: Bools = history.pool_use[:, 0, _service(world, subject)] >= 1.0 - ROUNDING
    return flags


def _overload(world: World, history: History, subject: Subject) -> Bools:
    flags: Bools = history.service_use[:, 0, _service(world, subject)] >= 1.0 - ROUNDING
    return flags


def _queue_full(world: World, history: History) -> Bools:
    flags: Bools = history.waiting[:, 0] >= world.reaction.queue_limit[0] * 0.999
    return flags & (history.waiting[:, 0] > 0)


def _emergency_capacity(world: World, history: History, subject: Subject) -> Bools:
    offer = len(world.clusters.names) + world.offers.names.index(subject[0])
    flags: Bools = history.capacity_rps[:, 0, offer] > ROUNDING
    return flags


def _alarm(world: World, history: History, after: float = 0.0) -> Bools:
    """Minutes so long after the alert, which comes after its time or at its temperature."""
    timeline, begins = world.timelines[0], world.timelines[0].failures[0]
    alert = begins + timeline.operations.detection_minutes
    hot = (history.temperature_c[:, 0] >= world.reaction.detection_c[0]) & (world.clusters.gpus > 0)
    minutes = np.flatnonzero(hot.any(axis=1))
    return _since(world, min([alert, *minutes[minutes >= begins][:1].tolist()]) + after)


def _first_action(world: World, history: History) -> Bools:
    return _alarm(world, history, float(world.reaction.act_after[0]))


#: What passes the threshold of an event, where that is a quantity of its own.
PASSING: dict[str, Callable[[World, History, Subject], Floats]] = {
    "temperature_above": _temperature,
    "temperature_below": _temperature,
    "traffic_ratio_above": _traffic_ratio,
    "success_below": _success_rate,
    "success_above": _success_rate,
    "queue_below": _waiting,
    "pending_below": _pending,
}
Flags = Callable[[World, History, Subject, float], Bools]
#: Whether each event is going on, minute by minute, shape (T,).
FLAGS: dict[str, Flags] = {
    "temperature_above": lambda w, h, s, x: _temperature(w, h, s) >= x,
    "temperature_below": lambda w, h, s, x: _temperature(w, h, s) <= x,
    "shutdown": lambda w, h, s, _: _off(w, h, s),
    "restored": lambda w, h, s, _: _restored(w, h, s),
    "powered_below": lambda w, h, s, x: _powered(w, h, s) <= x + ROUNDING,
    "powered_above": lambda w, h, s, x: _powered(w, h, s) >= x - ROUNDING,
    "cooling_short": lambda w, h, s, _: _cooling_short(w, h, s),
    "standby_cooling": lambda w, h, s, _: _standby_cooling(w, h, s),
    "utilisation_above": lambda w, h, s, x: _utilisation(w, h, s) >= x,
    "traffic_ratio_above": lambda w, h, s, x: _traffic_ratio(w, h, s) >= x,
    "reroute": lambda w, h, s, _: _reroute(w, h, s),
    "timeouts": lambda _w, h, _s, _x: h.timed_out[:, 0] >= 1.0,
    "success_below": lambda w, h, s, x: _success_rate(w, h, s) <= x + ROUNDING,
    "success_above": lambda w, h, s, x: _success_rate(w, h, s) >= x - ROUNDING,
    "pool_exhausted": lambda w, h, s, _: _pool(w, h, s),
    "service_overloaded": lambda w, h, s, _: _overload(w, h, s),
    "queue_full": lambda w, h, _s, _x: _queue_full(w, h),
    "queue_below": lambda _w, h, _s, x: h.waiting[:, 0] <= x,
    "pending_below": lambda w, h, s, x: _pending(w, h, s) <= x,
    "alarm": lambda w, h, _s, _x: _alarm(w, h),
    "first_action": lambda w, h, _s, _x: _first_action(w, h),
    "emergency_ordered": lambda w, h, _s, _x: _since(w, h.order_minute[0]),
    "emergency_capacity": lambda w, h, s, _: _emergency_capacity(w, h, s),
}


def event_minute(
    world: World,
    history: History,
    event: str,
    subject: Subject,
    threshold: float,
    after: int = 0,
    last: bool = False,
) -> int | None:
    """First (or last) minute from `after` on in which an event goes on; None if never.

    A cluster that is off from minute 0 on, and the like, counts from minute 0.
    """
    flags = FLAGS[event](world, history, subject, threshold)
    found = np.flatnonzero(flags[after:])
    return after + int(found[-1 if last else 0]) if len(found) else None


def event_moment(
    world: World,
    history: History,
    event: str,
    subject: Subject,
    threshold: float,
    after: int = 0,
    last: bool = False,
) -> float | None:
    """`event_minute` with the part of the minute in which a quantity passes the threshold."""
    found = event_minute(world, history, event, subject, threshold, after, last)
    if found is None or event not in PASSING or last or found <= after:
        return found
    before, now = PASSING[event](world, history, subject)[found - 1 : found + 1].tolist()
    return found - 1 + (threshold - before) / (now - before) if now != before else found
