"""Periods of failure as scenarios that the cascade can be simulated for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Event, Heat, OperationsOverride, Scenario
from planner.infrastructure.graph import Graph
from planner.laws.calendar import DATES, HOURS_PER_WEEK, day_of
from planner.reliability.failure_sources import Source
from planner.reliability.sampling import Failure, Period
from planner.scenarios.event_grid import Timed
from planner.scenarios.power import feed_steps
from planner.scenarios.timeline import Timeline, timeline_of

DAY = 1440.0
#: Longest simulation of a period.
CUT = 3 * DAY
#: Minutes after which nothing but the hour of the day matters in a stretch without change.
SETTLED = DAY / 2
#: Shortest event that the simulator knows, in minutes; longest, as in a model file.
SHORTEST, LONGEST = 1e-3, DAY * 366
#: Minutes after the last repair that are simulated beside those that operations prescribe.
AFTER = 45.0


@dataclass(frozen=True)
class Repeat:
    """Minutes of a simulation that are counted several times.

    Parameters
    ----------
    from_minute, to_minute
        First minute and minute after the last.
    times
        How many additional times they count.
    """

    from_minute: float
    to_minute: float
    times: float


@dataclass(frozen=True)
class PreparedPeriod:
    """A period ready to be simulated.

    Parameters
    ----------
    timeline
        What happens when.
    repeats
        Minutes that count more than once.
    minutes
        Length of the simulation, with the time to recover.
    cut
        Whether it ends before the period does.
    """

    timeline: Timeline
    repeats: tuple[Repeat, ...]
    minutes: float
    cut: bool = False


def scenario_of(period: Period, sources: Sequence[Source]) -> Scenario:
    """The scenario of a period; it begins within the first minute."""
    start, day = period.phase_minutes, day_of(period.start_hour)
    events = [
        event
        for failure in period.failures
        for event in _events(failure, sources[failure.source], start)
    ]
    return Scenario(
        name=f"period-{period.number}",
        severity="extreme",
        frequency_per_year=0.0,
        # On whole minutes, so that hours are shared; the phase stands for what is between.
        start_hour=math.floor(period.start_hour % HOURS_PER_WEEK * 60) / 60,
        start_date=None if day is None else DATES[day],
        operations=_operations([sources[failure.source].scenario for failure in period.failures]),
        events=tuple(without_repeated_heat(events)),
    )


def _events(failure: Failure, source: Source, start: float) -> Iterable[Event]:
    """Events of a scenario whose length is scaled to that of a failure."""
    scale = failure.minutes / source.rate.mean_minutes
    for event in source.scenario.events:
        yield event.model_copy(
            update={
                "at_minute": min(LONGEST, start + failure.at_minute + event.at_minute * scale),
                "repair_minutes": min(LONGEST, max(SHORTEST, event.repair_minutes * scale)),
            }
        )


def _operations(scenarios: Sequence[Scenario]) -> OperationsOverride:
    """Reaction times that the scenarios prescribe; of several the first counts."""
    changes: dict[str, object] = {}
    for scenario in scenarios:
        for name, value in scenario.operations:
            if value is not None:
                changes.setdefault(name, value)
    return OperationsOverride.model_validate(changes) if changes else OperationsOverride()


def without_repeated_heat(events: Sequence[Event]) -> list[Event]:
    """Events with the hottest of several heat waves in a region only, where they overlap."""
    kept: list[Event] = [event for event in events if event.kind != "heat"]
    waves = sorted(
        (event for event in events if event.kind == "heat"), key=lambda wave: -wave.rise_c
    )
    hot: dict[str, list[Heat]] = {}
    for wave in waves:
        pieces = [wave]
        for hotter in hot.get(wave.region, []):
            pieces = [left for piece in pieces for left in _outside(piece, hotter)]
        hot.setdefault(wave.region, []).extend(pieces)
    kept.extend(wave for region in hot.values() for wave in region)
    return kept


def _outside(wave: Heat, other: Heat) -> Iterable[Heat]:
    """Parts of a heat wave outside another."""
    begin, end = wave.at_minute, wave.at_minute + wave.repair_minutes
    from_minute, to_minute = other.at_minute, other.at_minute + other.repair_minutes
    for first, last in ((begin, min(end, from_minute)), (max(begin, to_minute), end)):
        if last - first > SHORTEST:
            yield wave.model_copy(update={"at_minute": first, "repair_minutes": last - first})


def case_of(model: Model, graph: Graph, scenario: Scenario) -> PreparedPeriod:
    """Timeline of a sampled period, long stretches without change shortened by whole days.

    A stretch of more than two and a half days keeps at least its first half day and its last day,
    which counts for the days taken out: by then everything has settled into the rhythm of the day.
    What still lasts more than three days ends there, its last day counting for the rest.
    """
    timeline = timeline_of(model, graph, scenario, sampled=True)
    full_end = timeline.end_minute
    repeats: list[Repeat] = []
    at = 0
    while at < len(timeline.intervals):
        interval = timeline.intervals[at]
        days = math.floor((interval.end_minute - interval.start_minute - SETTLED - DAY) / DAY)
        if days > 0 and not _steps_later(model, scenario, interval.end_minute):
            scenario = _shortened(scenario, interval.start_minute + SETTLED, days * DAY)
            timeline = timeline_of(model, graph, scenario, sampled=True)
            end = interval.end_minute - days * DAY
            repeats.append(Repeat(end - DAY, end, float(days)))
        at += 1
    if timeline.end_minute <= CUT:
        return PreparedPeriod(
            timeline, tuple(repeats), timeline.end_minute + _recovery_minutes(model, timeline)
        )
    repeats = [repeat for repeat in repeats if repeat.to_minute <= CUT]
    counted = CUT + DAY * sum(repeat.times for repeat in repeats)
    repeats.append(Repeat(CUT - DAY, CUT, (full_end - counted) / DAY))
    return PreparedPeriod(timeline, tuple(repeats), CUT, cut=True)


def _recovery_minutes(model: Model, timeline: Timeline) -> float:
    """Minutes of recovery that operations prescribe, and a reserve."""
    operations = timeline.operations
    most = max(cluster.max_gpus for cluster in model.clusters.values())
    checks = operations.restart_hold_minutes + operations.restart_check_minutes
    return (
        sum(phase.minutes for phase in operations.restoration)
        + operations.restart_minutes
        + checks
        + most / (operations.restart_gpus_per_hour or math.inf) * 60
        + max((service.state_recovery_minutes for service in model.services.values()), default=0.0)
        + operations.failback_minutes
        + operations.failover_minutes
        + AFTER
    )


def _steps_later(model: Model, scenario: Scenario, minute: float) -> bool:
    """Whether batteries or generators of a feed lost before a minute change something from then."""
    return any(
        step >= minute - SHORTEST and event.at_minute < minute
        for event in scenario.events
        if event.kind == "feed"
        for step in feed_steps(model, Timed(event, sampled=True))
    )


def _shortened(scenario: Scenario, from_minute: float, minutes: float) -> Scenario:
    """A scenario with some minutes taken out, in which nothing begins or ends."""

    def moved(minute: float) -> float:
        return minute if minute <= from_minute else max(from_minute, minute - minutes)

    events = []
    for event in scenario.events:
        begin = moved(event.at_minute)
        end = moved(event.at_minute + event.repair_minutes)
        changes = {"at_minute": begin, "repair_minutes": max(SHORTEST, end - begin)}
        events.append(event.model_copy(update=changes))
    return scenario.model_copy(update={"events": tuple(events)})
