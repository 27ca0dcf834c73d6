"""The timeline of a scenario: the system state interval by interval.

Everything here follows from the model and the scenario alone, not from the plan, and is worked out
on the graph. The programme cuts its stages along these intervals, the simulator steps through them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import pairwise

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.graph import Graph, node
from planner.infrastructure.operations import Operations
from planner.laws.calendar import DATES, on_day
from planner.scenarios.event_grid import Timed, events_on_grid, minute_after
from planner.scenarios.onset import clock_of, leaves_enough, offers_short
from planner.scenarios.power import (
    Restart,
    feed_steps,
    node_losses,
    restarts,
    sagging_clusters,
    sags_at,
)
from planner.scenarios.standard import StandardClock
from planner.scenarios.system_state import (
    DependencyIndex,
    SystemState,
    dependency_index,
    normal_state,
)


@dataclass(frozen=True)
class Interval:
    """A system state from one minute to another.

    Parameters
    ----------
    start_minute, end_minute
        From and until.
    state
        What is up, with no measure bought.
    at_best
        The same with all measures bought.
    outage
        What has failed; the system state with some of the measures bought follows from it.
    """

    start_minute: float
    end_minute: float
    state: SystemState
    at_best: SystemState
    outage: Outage


@dataclass(frozen=True)
class Outage:
    """What has failed, before anything that depends on it.

    Parameters
    ----------
    failed
        Nodes that are lost.
    sags
        Sources that supplied nothing when a sag came that is not repaired, one set for each sag:
        clusters that hung on these alone are off.
    restarts
        Units that do not run again yet, where they stopped.
    """

    failed: frozenset[str] = frozenset()
    sags: frozenset[frozenset[str]] = frozenset()
    restarts: tuple[Restart, ...] = ()


@dataclass(frozen=True)
class Timeline:
    """The timeline of a scenario.

    Parameters
    ----------
    scenario
        The scenario.
    operations
        Reaction of the platform, with what the scenario changes about it.
    start_hour
        Hour at minute 0, with its day of the year if any (`planner.laws.calendar`).
    intervals
        System states from minute 0 until everything is repaired and runs again.
    events
        Events on whole minutes.
    clock
        Minutes from which the survival standard counts.
    short_from
        Minute of the first failure that may leave too little, so that emergency capacity is
        ordered: one that normal operation and N+k do not cover for every plan.
    """

    scenario: Scenario
    operations: Operations
    start_hour: float
    intervals: tuple[Interval, ...]
    events: tuple[Timed, ...]
    clock: StandardClock
    short_from: float

    @property
    def end_minute(self) -> float:
        """Minute at which everything is repaired and runs again."""
        return self.intervals[-1].end_minute

    @property
    def failures(self) -> tuple[float, ...]:
        """Minutes of the failures that operators and load balancers react to, in order.

        Where no event counts, that of the first one.
        """
        return _failures(self.clock, self.events)

    def failure_at(self, minute: float) -> float:
        """Minute of the latest failure to react to at a minute, infinite before the first."""
        return StandardClock(self.failures).start(minute)

    @property
    def reaction_minutes(self) -> float:
        """Minutes from a failure to the first action of operators on it."""
        operations = self.operations
        known = operations.detection_minutes + operations.escalation_minutes
        return known + operations.response_minutes

    @property
    def standby_minutes(self) -> float:
        """Minutes from a failure to the start of standby cooling that operators start."""
        return self.reaction_minutes + self.operations.standby_start_minutes

    @property
    def switch_off_minutes(self) -> float:
        """Minutes from a failure until operators switch off GPUs that cannot be cooled."""
        return self.reaction_minutes + self.operations.switch_off_minutes

    @property
    def order_minutes(self) -> float:
        """Minutes from a failure to the order of emergency capacity."""
        return self.reaction_minutes + self.operations.approval_minutes

    @property
    def order_minute(self) -> float:
        """Earliest minute at which emergency capacity is ordered, whatever the plan."""
        return self.short_from + self.order_minutes


def timeline_of(model: Model, graph: Graph, scenario: Scenario, sampled: bool = False) -> Timeline:
    """Timeline of a scenario.

    Parameters
    ----------
    sampled
        Whether its times are drawn at random (`planner.scenarios.event_grid.Timed`).
    """
    index, events = dependency_index(model, graph), events_on_grid(scenario.events, sampled)
    waits = restarts(index, events)
    merged: list[Interval] = []
    for start, end in pairwise(sorted(_cuts(model, events, waits))):
        interval = _interval(index, events, waits, start, end)
        if merged and _alike(merged[-1], interval):
            interval = replace(interval, start_minute=merged.pop().start_minute)
        merged.append(interval)
    hour = index.peak_hour if scenario.start_hour is None else scenario.start_hour
    if scenario.start_date is not None:
        hour = on_day(hour, DATES.index(scenario.start_date))
    operations, clock = _operations(model, scenario), clock_of(index, events)
    short = _short_from(index, merged, _failures(clock, events))
    return Timeline(scenario, operations, hour, tuple(merged), events, clock, short)


def _failures(clock: StandardClock, events: tuple[Timed, ...]) -> tuple[float, ...]:
    return clock.starts or (min(timed.begins for timed in events),)


def _short_from(
    index: DependencyIndex, intervals: list[Interval], failures: tuple[float, ...]
) -> float:
    """Minute of the first failure after which, until the next one, anything may be short."""
    normal, best = index.state(frozenset()), index.state(frozenset(), all_measures=True)
    for start, end in pairwise((*failures, math.inf)):
        for interval in intervals:
            meanwhile = interval.start_minute < end and start < interval.end_minute
            if meanwhile and not (
                leaves_enough(index.model, interval.state, normal)
                and leaves_enough(index.model, interval.at_best, best)
            ):
                return start
    return failures[0]


def state_with(
    model: Model, graph: Graph, timeline: Timeline, minute: float, lost_clusters: frozenset[str]
) -> SystemState:
    """System state of a scenario at a minute in which clusters have shut themselves down as well.

    They count as failed: they are among ``clusters_down``, and with them goes what depends on them
    (services that run on their GPUs, plants and tiers that need those services).
    """
    index = dependency_index(model, graph)
    place = bisect_right(timeline.intervals, minute, key=lambda interval: interval.start_minute) - 1
    place = max(0, place)
    ended = minute >= timeline.end_minute
    now = normal_state(model, graph) if ended else timeline.intervals[place].state
    if not lost_clusters:
        return now
    events = timeline.events
    failed = node_losses(index.model, events, minute) | sagging_clusters(index, events, minute)
    failed |= {node("cluster", name) for name in lost_clusters} | _recovering(index, events, minute)
    return replace(
        index.state(failed),
        restarting=now.restarting,
        lost_units=now.lost_units,
        lost_largest=now.lost_largest,
        ambient_rise_c=now.ambient_rise_c,
        demand_factor=now.demand_factor,
        offer_share=now.offer_share,
    )


def _operations(model: Model, scenario: Scenario) -> Operations:
    changes = {name: value for name, value in scenario.operations if value is not None}
    return model.operations.replace(**changes) if changes else model.operations


def _cuts(model: Model, events: tuple[Timed, ...], waits: tuple[Restart, ...]) -> set[float]:
    cuts = {0.0}
    for timed in events:
        cuts |= {timed.begins, timed.ends}
        if timed.event.kind == "feed":
            cuts |= feed_steps(model, timed)
        if timed.event.kind == "region":
            cuts |= {_recovered(model, name, timed) for name in model.services}
    for wait in waits:
        cuts |= {wait.from_minute, wait.to_minute}
    return cuts


def _recovered(model: Model, service: str, timed: Timed) -> float:
    """Minute from which replicas of a service in a region that was lost serve again."""
    return minute_after(timed.ends + model.services[service].state_recovery_minutes)


def _recovering(index: DependencyIndex, events: tuple[Timed, ...], minute: float) -> frozenset[str]:
    """Replicas whose region is back while their service still recovers."""
    found: set[str] = set()
    for timed in events:
        if timed.event.kind == "region" and timed.ends <= minute:
            region = node("region", timed.event.name)
            for place, _ in index.depends_at_best.supports.get(region, ()):
                kind, name = index.places[place]
                if kind == "replica" and minute < _recovered(index.model, name, timed):
                    found.add(place)
    return frozenset(found)


def _interval(
    index: DependencyIndex,
    events: tuple[Timed, ...],
    waits: tuple[Restart, ...],
    minute: float,
    end: float,
) -> Interval:
    outage = Outage(
        node_losses(index.model, events, minute) | _recovering(index, events, minute),
        sags_at(index, events, minute),
        tuple(restart for restart in waits if restart.from_minute <= minute < restart.to_minute),
    )
    state = _state(index, events, outage, minute)
    if not index.model.measures:
        return Interval(minute, end, state, state, outage)
    best = _state(index, events, outage, minute, all_measures=True)
    return Interval(minute, end, state, best, outage)


def _alike(one: Interval, other: Interval) -> bool:
    """Whether two intervals have the same state, whatever measures are bought."""
    if one.state != other.state or one.at_best != other.at_best:
        return False
    return one.state == one.at_best or one.outage == other.outage


def _state(
    index: DependencyIndex,
    events: tuple[Timed, ...],
    outage: Outage,
    minute: float,
    all_measures: bool = False,
) -> SystemState:
    """System state at a minute; events on the same thing add up, surges multiply.

    Of shares of emergency capacity the least counts.
    """
    lost_units: dict[tuple[str, str], int] = {}
    lost_largest: dict[str, int] = {}
    rise: dict[str, float] = {}
    factor: dict[str, float] = {}
    delivered: dict[str, float] = {}
    for event in (timed.event for timed in events if timed.active(minute)):
        if event.kind == "units":
            key = (event.plant, event.unit)
            lost_units[key] = lost_units.get(key, 0) + event.count
        elif event.kind == "largest-units":
            lost_largest[event.plant] = lost_largest.get(event.plant, 0) + event.count
        elif event.kind == "heat":
            rise[event.region] = rise.get(event.region, 0.0) + event.rise_c
        elif event.kind == "surge":
            for zone in event.zones or index.model.zones:
                factor[zone] = factor.get(zone, 1.0) * event.factor
        elif event.kind == "supply":
            for offer in offers_short(index.model, event):
                delivered[offer] = min(delivered.get(offer, 1.0), event.delivers)
    depends = index.depends_at_best if all_measures else index.depends
    tripped = (hit for dark in outage.sags for hit in depends.without_power(dark))
    off = frozenset(hit for hit in tripped if index.places[hit][0] == "cluster")
    return replace(
        index.state(outage.failed | off, all_measures),
        restarting=frozenset(
            (restart.plant, restart.unit)
            for restart in outage.restarts
            if node("plant", restart.plant) in depends.without_power(restart.dark)
        ),
        lost_units=lost_units,
        lost_largest=lost_largest,
        ambient_rise_c={region: value for region, value in rise.items() if value},
        demand_factor={zone: value for zone, value in factor.items() if value != 1},
        offer_share={offer: share for offer, share in delivered.items() if share < 1},
    )
