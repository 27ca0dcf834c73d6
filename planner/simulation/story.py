"""The story of a scenario in plain language, read out of its history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from planner.amounts import percent, requests, served
from planner.infrastructure.failures import Event, Scenario
from planner.laws.traffic import serving_rps
from planner.scenarios.event_grid import minute_before
from planner.simulation.alerts import alerts
from planner.simulation.causes import shut_down_in_part
from planner.simulation.history import History
from planner.simulation.served import lost_work_of, served_fractions, short_of_full
from planner.simulation.system_states import Bools, Floats
from planner.simulation.world import SECONDS, World

#: Minutes of full service up to which a shortage continues the one before.
MOMENT = 5
#: Shortages told before the last one.
MOST_DIPS = 5
#: Share of GPUs from which on rounding makes the difference to all.
ALL = 0.999
#: Share of load and capacity from which on caches are told of.
MOST_GAINED = 0.05
#: Requests per new request from which one speaks of a retry storm.
STORM = 1.5


@dataclass(frozen=True)
class StoryLine:
    """One line of a story.

    Parameters
    ----------
    minute
        Minutes since the failure.
    clock
        Time of day, ``16:05``.
    """

    minute: float
    clock: str
    text: str


def tell(world: World, history: History, index: int) -> tuple[StoryLine, ...]:
    """What happens in a scenario, in order of time."""
    lines = [
        *_failures(world.timelines[index].scenario),
        *_cooling(world, history, index),
        *_clusters(world, history, index),
        *_operators(world, history, index),
        *_traffic(world, history, index),
        *_restoration(world, history, index),
        *((float(alert.minute), str(alert)) for alert in alerts(world, history, index)),
    ]
    ordered = sorted(lines, key=lambda line: line[0])
    start = round(world.timelines[index].start_hour * 60)
    return tuple(StoryLine(minute, _clock(start + minute), text) for minute, text in ordered)


def _clock(minute: float) -> str:
    hours, minutes = divmod(int(minute) % (24 * 60), 60)
    return f"{hours:02d}:{minutes:02d}"


def describe(event: Event) -> str:
    """What an event is, as the subject of a sentence."""
    if event.kind == "units":
        return f"{event.plant} loses {event.count} × {event.unit}"
    if event.kind == "largest-units":
        units = "its largest unit" if event.count == 1 else f"its {event.count} largest units"
        verb = "has out for maintenance" if event.planned else "loses"
        return f"{event.plant} {verb} {units}"
    if event.kind == "sag":
        return f"the voltage of {event.feed} sags and cooling units trip"
    if event.kind == "heat":
        return f"{event.region} is {event.rise_c:g} °C above its design ambient"
    if event.kind == "surge":
        zones = ", ".join(event.zones) or "all zones"
        return f"demand of {zones} rises to {event.factor:g} times normal"
    if event.kind == "supply":
        share = f"only {event.delivers:.0%} of what is" if event.delivers else "nothing of what is"
        return f"{', '.join(event.providers) or 'every provider'} delivers {share} reserved"
    generators = event.kind == "feed" and not event.generators_start
    return f"{event.kind} {event.name} is lost" + (" and its generators fail" if generators else "")


def _failures(scenario: Scenario) -> Iterator[tuple[float, str]]:
    for event in scenario.events:
        yield minute_before(event.at_minute), describe(event)


def _first(flags: Bools) -> int | None:
    found = np.flatnonzero(flags)
    return int(found[0]) if len(found) else None


def _cooling(world: World, history: History, index: int) -> Iterator[tuple[float, str]]:
    # A signal given in one minute is obeyed in the next at the earliest.
    starts = history.standby_since[index] + np.maximum(world.units.start_minutes, 1.0)
    together: dict[tuple[int, float], list[str]] = {}
    for u, at in enumerate(starts.tolist()):
        if np.isfinite(at) and at < world.minutes:
            key = (int(world.units.plant[u]), at)
            together.setdefault(key, []).append(world.units.names[u][1])
    for (plant, at), units in together.items():
        before = history.cooling_capacity_mw[max(int(at) - 1, 0), index, plant]
        added = history.cooling_capacity_mw[int(np.ceil(at)), index, plant] - before
        if added > 0:
            names = ", ".join(units)
            yield (
                at,
                f"standby units of {world.plants.names[plant]} start: +{added:.3g} MW ({names})",
            )


def _clusters(world: World, history: History, index: int) -> Iterator[tuple[float, str]]:
    clusters = world.clusters
    up = world.system_states.cluster_up[world.interval[:, index]]
    for c, name in enumerate(clusters.names):
        if not clusters.gpus[c]:
            continue
        hot = history.temperature_c[:, index, c]
        minute = _first(hot > clusters.throttle_c[c])
        if minute is not None:
            yield minute, f"{name} throttles at {hot[minute]:.0f} °C"
        off = history.off[:, index, c]
        minute = _first(off & up[:, c])
        if minute is not None and _first(~up[:, c]) is None:
            yield minute, f"{name} shuts itself down at {clusters.shutdown_c[c]:.0f} °C"
        minute = _first(shut_down_in_part(world, history, index)[:, c])
        if minute is not None:
            most = history.stopped_gpus[:, index, c].max()
            racks = f"up to {most:,.0f} of {clusters.gpus[c]:,.0f} GPUs"
            yield minute, f"{name} shuts down rack by rack from {hot[minute]:.0f} °C on: {racks}"
        back = _first(~off[1:] & off[:-1])
        if back is not None:
            yield back + 1, f"{name} has cooled down, passed its checks and restarts in phases"
        stopped = history.stopped_gpus[:, index, c]
        whole = _first((stopped[1:] <= 0) & (stopped[:-1] > 0) & ~off[1:])
        if whole is not None:
            yield whole + 1, f"people have brought back all GPUs of {name}"
        parked = _first(
            (history.powered_gpus[:, index, c] < clusters.gpus[c] * ALL) & ~off & up[:, c]
        )
        if parked is not None:
            left = history.powered_gpus[parked, index, c]
            supplied = history.supplied_gpus[parked, index, c]
            running = f"{left:,.0f} of {clusters.gpus[c]:,.0f} GPUs"
            limited = _limits(left, supplied, clusters.gpus[c])
            yield parked, f"{name} runs only {running}: {limited} limited"


def _limits(powered: float, supplied: float, gpus: float) -> str:
    """What keeps GPUs off.

    >>> _limits(70.0, 70.0, 100.0), _limits(70.0, 100.0, 100.0), _limits(70.0, 80.0, 100.0)
    ('power is', 'cooling is', 'power and cooling are')
    """
    if supplied >= gpus * ALL:
        return "cooling is"
    return "power is" if powered >= supplied * ALL else "power and cooling are"


def _traffic(world: World, history: History, index: int) -> Iterator[tuple[float, str]]:
    demand = history.demand_rps[:, index].sum(axis=1)
    succeeding = np.minimum(history.served_rps[:, index], history.demand_rps[:, index]).sum(axis=1)
    missing = short_of_full(world, served_fractions(world, history, index))
    if not missing.any():
        return
    share = succeeding / np.maximum(demand, 1e-9)
    yield from _dips(missing, share)
    yield from _overloaded(world, history, index, missing)
    yield from _queue(world, history, index)
    yield from _retries(history, index)
    yield from _cold_caches(world, history, index)
    yield from _services(world, history, index)
    yield from _preempted(world, history, index)
    worst = int(np.argmin(share))
    yield worst, f"worst minute: {served(share[worst])} of demand served"


def _dips(missing: Bools, share: Floats) -> Iterator[tuple[float, str]]:
    """Periods with unserved demand; full service for `MOMENT` minutes or less is no recovery."""
    minutes = np.flatnonzero(missing)
    breaks = np.flatnonzero(np.diff(minutes) > MOMENT)
    starts, ends = minutes[np.r_[0, breaks + 1]], minutes[np.r_[breaks, len(minutes) - 1]] + 1
    for number, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        if MOST_DIPS <= number < len(starts) - 1:
            continue
        again = " again" if number else ""
        yield start, f"requests fail{again}: {served(share[start])} of demand served"
        if end < len(missing):
            yield end, "all demand is served again"
        else:
            yield len(missing) - 1, f"still only {served(share[-1])} of demand served"
    if len(starts) > MOST_DIPS + 1:
        between = len(starts) - MOST_DIPS - 1
        yield starts[MOST_DIPS], f"requests fail {between} more times before the last one"


def _overloaded(
    world: World, history: History, index: int, missing: Bools
) -> Iterator[tuple[float, str]]:
    """Healthy clusters that are full while their offered load is above normal."""
    for c, name in enumerate(world.clusters.names):
        wanted, room = history.wanted_rps[:, index, c], history.capacity_rps[:, index, c]
        usual = history.load_rps[0, index, c]
        full = (history.load_rps[:, index, c] >= room * 0.999) & (room > 0) & missing
        full &= history.clock[:, index, c] >= 1.0
        minute = _first(full & (wanted > 1.05 * usual))
        if minute is not None and usual > 0:
            peak = float((wanted * full).max()) / usual
            text = f"{name} is overloaded: offered load up to {peak:.1f} times normal"
            yield minute, text


def _queue(world: World, history: History, index: int) -> Iterator[tuple[float, str]]:
    limit = world.reaction.queue_limit[index]
    full = _first(history.waiting[:, index] >= limit * 0.999)
    if full is not None and limit > 0:
        yield full, f"the queue is full at {limit:,.0f} requests; more are dropped"
    done = history.load_rps[:, index].sum(axis=1) * SECONDS
    minute = _first(history.wasted[:, index] > 0.05 * np.maximum(done, 1.0))
    if minute is not None:
        worst = float((history.wasted[:, index] / np.maximum(done, 1.0)).max())
        yield minute, f"wasted work on timed-out requests: up to {percent(worst, 0)} of all work"


def _retries(history: History, index: int) -> Iterator[tuple[float, str]]:
    wanted = history.demand_rps[:, index].sum(axis=1)
    ratio = history.attempts_rps[:, index].sum(axis=1) / np.maximum(wanted, 1e-9)
    minute = _first(ratio > STORM)
    if minute is not None:
        yield minute, f"retry storm: up to {ratio.max():.1f} requests for each new one"


def _cold_caches(world: World, history: History, index: int) -> Iterator[tuple[float, str]]:
    """Clusters whose GPUs could serve more, if the requests of others found warm caches."""
    if world.reaction.cold_most[index] <= 1:
        return
    clusters = world.clusters
    for c, name in enumerate(clusters.names):
        able = serving_rps(
            history.powered_gpus[:, index, c], clusters.rps[c], clusters.utilisation[c]
        )
        cold = able * history.clock[:, index, c] - history.capacity_rps[:, index, c]
        gained = history.load_rps[:, index, c] > history.load_rps[0, index, c] * (1 + MOST_GAINED)
        minute = _first(gained & (cold > able * MOST_GAINED) & ~history.off[:, index, c])
        if minute is not None:
            yield minute, f"requests that {name} has gained find cold caches and take more work"


def _services(world: World, history: History, index: int) -> Iterator[tuple[float, str]]:
    for x, name in enumerate(world.services.names):
        minute = _first(history.pool_use[:, index, x] >= 1.0)
        if minute is not None:
            yield minute, f"{name}: connection pool exhausted, requests fail"
        minute = _first(history.service_use[:, index, x] > 1.0)
        if minute is not None:
            most = history.service_use[:, index, x].max()
            yield minute, f"{name} is overloaded: up to {most:.1f} times its capacity"


def _preempted(world: World, history: History, index: int) -> Iterator[tuple[float, str]]:
    if not world.tiers.checkpoint_minutes.any():
        return
    lost = lost_work_of(world, history, index)
    for k, name in enumerate(world.tiers.names):
        minute = _first(lost[:, k] >= 1.0)
        if minute is not None:
            work = requests(float(lost[:, k].sum())).removesuffix(" requests")
            yield minute, f"{name} yields its GPUs: work since its checkpoint is lost ({work})"


def _restoration(world: World, history: History, index: int) -> Iterator[tuple[float, str]]:
    """Phases of clusters that come back, and what rolled them back."""
    last = len(world.restoration.minutes)
    for c, name in enumerate(world.clusters.names):
        phase = history.phase[:, index, c]
        rolled = np.flatnonzero((np.diff(phase) < 0) & (phase[:-1] < last))
        if len(rolled):
            share = world.restoration.shares[phase[rolled[0] + 1]]
            yield (
                rolled[0] + 1,
                f"{name} is rolled back to {percent(share, 0)}: a restoration gate failed",
            )
        full = np.flatnonzero((np.diff(phase) > 0) & (phase[1:] == last))
        if len(full) and last:
            yield full[-1] + 1, f"{name} is back at full capacity"


def _operators(world: World, history: History, index: int) -> Iterator[tuple[float, str]]:
    order = history.order_minute[index]
    if not np.isfinite(order):
        return
    for v, name in enumerate(world.offers.names):
        load = history.load_rps[:, index, len(world.clusters.names) + v]
        gpus = load / world.offers.rps_per_gpu[v]
        minute = _first(gpus >= 1)
        if minute is not None:
            yield minute, f"emergency capacity of {name} in use: up to {gpus.max():,.0f} GPUs"
