"""The story of a scenario in plain language, told from the record of its minutes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from planner.infrastructure.failures import Event, Scenario
from planner.simulation.cascade import SECONDS, History
from planner.simulation.world import Bools, Floats, World

#: A shortage below this share of demand is not worth a line.
WORTH_TELLING = 0.005


@dataclass(frozen=True)
class Line:
    """One line of a story.

    Parameters
    ----------
    minute
        Minutes since the failure.
    clock
        Time of day, ``16:05``.
    text
        What happened.
    """

    minute: float
    clock: str
    text: str


def tell(world: World, history: History, index: int) -> tuple[Line, ...]:
    """Events of a scenario in order of time."""
    lines = [
        *_failures(world.courses[index].scenario),
        *_cooling(world, history, index),
        *_clusters(world, history, index),
        *_operators(world, history, index),
        *_traffic(world, history, index),
    ]
    ordered = sorted(lines, key=lambda line: line[0])
    start = round(world.courses[index].start_hour * 60)
    return tuple(Line(minute, _clock(start + minute), text) for minute, text in ordered)


def _clock(minute: float) -> str:
    hours, minutes = divmod(int(minute) % (24 * 60), 60)
    return f"{hours:02d}:{minutes:02d}"


def describe(event: Event) -> str:
    """What an event is, as the subject of a sentence."""
    if event.kind == "units":
        return f"{event.plant} loses {event.count} × {event.unit}"
    if event.kind == "largest-units":
        units = "its largest unit" if event.count == 1 else f"its {event.count} largest units"
        return f"{event.plant} loses {units}"
    if event.kind == "heat":
        return f"{event.region} is {event.rise_c:g} °C hotter than designed for"
    if event.kind == "surge":
        return f"demand of {', '.join(event.zones) or 'all zones'} rises to {event.factor:g} times"
    return f"{event.kind} {event.name} is lost"


def _failures(scenario: Scenario) -> Iterator[tuple[float, str]]:
    for event in scenario.events:
        yield event.at_minute, describe(event)


def _first(flags: Bools) -> int | None:
    found = np.flatnonzero(flags)
    return int(found[0]) if len(found) else None


def _cooling(world: World, history: History, index: int) -> Iterator[tuple[float, str]]:
    plants = list(world.model.plants)
    for j, one in enumerate(world.standby):
        since = history.standby_since[index, j]
        at = since + one.start_minutes
        i = world.interval[min(int(at), world.minutes - 1), index] if np.isfinite(at) else 0
        capacity = world.conditions.standby_mw[i, j]
        if np.isfinite(at) and at < world.minutes and capacity > 0:
            text = f"standby cooling of {plants[one.plant]} carries up to {capacity:.0f} MW"
            yield at, text


def _clusters(world: World, history: History, index: int) -> Iterator[tuple[float, str]]:
    clusters = world.clusters
    up = world.conditions.cluster_up[world.interval[:, index]]
    for c, name in enumerate(clusters.names):
        if not clusters.gpus[c]:
            continue
        hot = history.temperature_c[:, index, c]
        for limit, what in ((clusters.throttle_c[c], "throttles"), (85.0, "is critical")):
            minute = _first(hot > limit)
            if minute is not None and limit < clusters.shutdown_c[c]:
                yield minute, f"{name} {what} at {hot[minute]:.0f} °C"
        off = history.off[:, index, c]
        minute = _first(off & up[:, c])
        if minute is not None and _first(~up[:, c]) is None:
            yield minute, f"{name} shuts itself down at {clusters.shutdown_c[c]:.0f} °C"
        back = _first(~off[1:] & off[:-1])
        if back is not None:
            yield back + 1, f"{name} comes back, cool and checked, in phases"
        parked = _first(
            (history.powered_gpus[:, index, c] < clusters.gpus[c] * 0.999) & ~off & up[:, c]
        )
        if parked is not None:
            left = history.powered_gpus[parked, index, c]
            yield (
                parked,
                f"{name} runs {left:,.0f} of {clusters.gpus[c]:,.0f} GPUs to fit its cooling",
            )


def _traffic(world: World, history: History, index: int) -> Iterator[tuple[float, str]]:
    demand = history.demand_rps[:, index].sum(axis=1)
    served = history.served_rps[:, index].sum(axis=1)
    missing = demand - served > WORTH_TELLING * demand
    minute = _first(missing)
    if minute is None:
        return
    share = served[minute] / demand[minute]
    yield minute, f"requests fail: {share:.0%} of demand served"
    yield from _overwhelmed(world, history, index, demand, missing)
    worst = int(np.argmin(served / np.maximum(demand, 1e-9)))
    yield worst, f"worst moment: {served[worst] / max(demand[worst], 1e-9):.0%} of demand served"
    limit = world.reaction.queue_limit[index]
    full = _first(history.waiting[:, index] >= limit * 0.999)
    if full is not None:
        yield full, f"the queue is full at {limit:,.0f} requests; more are dropped"
    last = int(np.flatnonzero(missing)[-1])
    if last + 1 < world.minutes:
        yield last + 1, "all demand is served again"
    else:
        yield world.minutes - 1, f"still only {served[-1] / max(demand[-1], 1e-9):.0%} served"


def _overwhelmed(
    world: World, history: History, index: int, demand: Floats, missing: Bools
) -> Iterator[tuple[float, str]]:
    """Clusters that are full of fresh requests while more are turned away."""
    served = history.served_rps[:, index].sum(axis=1)
    lost, late = demand - served, history.queue_served[:, index] / SECONDS
    for c, name in enumerate(world.clusters.names):
        load, room = history.load_rps[:, index, c] - late, history.capacity_rps[:, index, c]
        healthy = history.clock[:, index, c] >= 1.0
        usual = load[0]
        full = (load >= room * 0.999) & (room > 0) & healthy & missing
        minute = _first(full & (lost > 0.05 * demand))
        if minute is None or usual <= 0:
            continue
        peak = float(((load + lost) * full).max()) / usual
        if peak < 1.05:
            continue
        yield minute, f"{name} is overwhelmed: up to {peak:.1f} times its usual traffic wants in"


def _operators(world: World, history: History, index: int) -> Iterator[tuple[float, str]]:
    order = history.order_minute[index]
    if not np.isfinite(order):
        return
    for v, name in enumerate(world.offers.names):
        load = history.load_rps[:, index, len(world.clusters.names) + v]
        gpus = load / world.offers.rps_per_gpu[v]
        minute = _first(gpus >= 1)
        if minute is not None:
            yield minute, f"{name} serves with up to {gpus.max():,.0f} emergency GPUs"
