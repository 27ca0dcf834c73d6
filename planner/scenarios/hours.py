"""Failures at hours: their names, their share of a year, and hours that are alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from itertools import chain
from math import ceil

import numpy as np
from numpy.typing import NDArray

from planner.amounts import counted
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.laws.calendar import (
    DATES,
    DAYS_PER_YEAR,
    HOTTEST,
    HOURS,
    HOURS_PER_WEEK,
    day_of,
    hour_name,
    hour_named,
    on_day,
)
from planner.scenarios.climate import ambient_at, ambient_year, seasonal_regions
from planner.scenarios.demand import undominated, weekly_demand

#: What stands between the name of a failure and its hour.
AT = "@"
#: Fields of a scenario that say when it begins.
WHEN = ("start_hour", "start_date")


def name_at(failure: str, hour: int) -> str:
    """Name of a failure at an hour (`planner.laws.calendar`).

    >>> name_at("region-us-west", 6)
    'region-us-west@Mon-06'
    """
    return f"{failure}{AT}{hour_name(hour)}"


def failure_and_hour(name: str) -> tuple[str, int | None]:
    """Failure and hour of a scenario; no hour where its name says none.

    >>> failure_and_hour("region-us-west@Mon-06"), failure_and_hour("surge")
    (('region-us-west', 6), ('surge', None))
    """
    failure, _, named = name.rpartition(AT)
    hour = hour_named(named) if failure else None
    return (name, None) if hour is None else (failure, hour)


def hours_folded(names: Iterable[str]) -> list[str]:
    """The first hour of each failure, and how many more there are.

    >>> hours_folded(["surge@Mon-06", "unit", "surge@Tue-06"])
    ['surge@Mon-06 (and at 1 more hour)', 'unit']
    """
    hours: dict[str, list[str]] = {}
    for name in names:
        hours.setdefault(failure_and_hour(name)[0], []).append(name)
    return [
        first + (f" (and at {counted(len(more), 'more hour')})" if more else "")
        for first, *more in hours.values()
    ]


def at_hour(
    failure: Scenario, hour: int, hours: int = 1, of_hours: int = HOURS_PER_WEEK
) -> Scenario:
    """A failure at an hour, standing for so many of all hours.

    Failures are as frequent at one hour as at another: it has their share of its frequency.
    """
    day = day_of(hour)
    return failure.model_copy(
        update={
            "name": name_at(failure.name, hour),
            "frequency_per_year": failure.frequency_per_year * hours / of_hours,
            "start_hour": float(hour % HOURS_PER_WEEK),
            "start_date": None if day is None else DATES[day],
            "hours": "peak",
        }
    )


def hours_counted(
    stand_in: Sequence[int],
    on_days: Mapping[int, Mapping[int, int]],
    also: Collection[int],
    days: int,
) -> Counter[int | None]:
    """How many hours of the week on so many days each hour planned for stands for; None for none.

    Parameters
    ----------
    stand_in
        Hour planned for that stands for each hour of the week, empty where none has to.
    on_days
        Hours on days of the year planned for, and on how many days each stands for which hours.
    also
        Hours planned for besides, each for itself.
    """
    asked: Sequence[int | None] = stand_in or [None] * HOURS_PER_WEEK
    usual = [hour if hour in also else asked[hour] for hour in range(HOURS_PER_WEEK)]
    counts = Counter({hour: days * times for hour, times in Counter(usual).items()})
    taken: dict[int, Mapping[int, int]] = dict(on_days)
    for hour in set(also) - set(on_days):
        if (day := day_of(hour)) is not None:
            taken[hour] = {} if day == HOTTEST or days == 1 else {hour % HOURS_PER_WEEK: 1}
    for hour, hours in taken.items():
        counts[hour] = sum(hours.values())
        for of_week, times in hours.items():
            # Of days asked for by name some may be counted already.
            counts[usual[of_week]] = max(0, counts[usual[of_week]] - times)
    return counts


def as_before(scenario: Scenario, before: Scenario, after: Scenario) -> Scenario:
    """A failure that has changed, at the hour and with the share of a scenario.

    Parameters
    ----------
    scenario
        One of the failure before it changed.
    """
    if scenario.name == before.name and scenario.frequency_per_year == before.frequency_per_year:
        return after
    share = 1.0
    if before.frequency_per_year:
        share = scenario.frequency_per_year / before.frequency_per_year
    often = after.frequency_per_year * share
    kept = {name: getattr(scenario, name) for name in ("name", "hours", *WHEN)}
    return after.model_copy(update={**kept, "frequency_per_year": often})


def failures_behind(scenarios: Iterable[Scenario]) -> tuple[Scenario, ...]:
    """Failures whose hours are among some scenarios, each once, with the frequency of them all."""
    found: dict[str, Scenario] = {}
    for scenario in scenarios:
        failure, hour = failure_and_hour(scenario.name)
        known = found.get(failure)
        often = scenario.frequency_per_year + (known.frequency_per_year if known else 0.0)
        when = {} if hour is None else dict.fromkeys(WHEN)
        found[failure] = scenario.model_copy(
            update={"name": failure, "frequency_per_year": often, **when}
        )
    return tuple(found.values())


def hottest_days(model: Model, hour: int, minutes: float) -> tuple[int, ...]:
    """Days of the year on which it is hotter than the design ambient from an hour of the week on.

    Days on which it is as hot or hotter on another one at every hour and in every region are left
    out.

    Parameters
    ----------
    minutes
        Time from the start that counts.
    """
    regions = seasonal_regions(model)
    if not regions:
        return ()
    hours = hour % 24 + np.arange(ceil(minutes / 60) + 1)
    design = [model.regions[region].design_ambient_c for region in regions]
    above = np.array([ambient_year(model, region) for region in regions]).T - design
    at = (24 * np.arange(DAYS_PER_YEAR)[:, None] + hours) % len(above)
    courses = np.maximum(above, 0.0)[at].reshape(DAYS_PER_YEAR, -1)
    return tuple(day for day in sorted(undominated(courses).tolist()) if courses[day].any())


def first_alike(model: Model, minutes: float) -> NDArray[np.int64]:
    """First hour of the week from which demand and ambient run as from each hour, shape (168,).

    Parameters
    ----------
    minutes
        Time from the start during which they have to be the same.
    """
    week = np.arange(HOURS_PER_WEEK)
    on_the_hour = 60.0 * np.arange(HOURS_PER_WEEK, dtype=np.float64)
    ambient = [ambient_at(model, region, 0.0, on_the_hour) for region in model.regions]
    values = np.concatenate([weekly_demand(model), np.array(ambient)])
    length = min(ceil(minutes / 60) + 1, HOURS_PER_WEEK)
    courses = values[:, (week[:, None] + np.arange(length)) % HOURS_PER_WEEK]
    courses = np.ascontiguousarray(courses.transpose(1, 0, 2).reshape(HOURS_PER_WEEK, -1))
    first: dict[bytes, int] = {}
    found = [first.setdefault(course.tobytes(), hour) for hour, course in enumerate(courses)]
    return np.array(found, dtype=np.int64)


@cache
def pattern_parts(pattern: str) -> tuple[str, str | None]:
    """Patterns of a failure and of its hours; None for all of them, and for no hour.

    >>> pattern_parts("region-*"), pattern_parts("region-us-west@*-06")
    (('region-*', None), ('region-us-west', '*-06'))
    """
    failure, _, hours = pattern.rpartition(AT)
    on_days = (f"{hour}-{date}" for date in DATES for hour in HOURS)
    if failure and any(fnmatchcase(hour, hours) for hour in chain(HOURS, on_days)):
        return failure, hours
    return pattern, None


@cache
def hours_on_days(pattern: str) -> tuple[int, ...]:
    """Hours on days of the year that a pattern of hours means, if it means none without a day.

    >>> [hour_name(hour) for hour in hours_on_days("Wed-14-Jul-3?")], hours_on_days("Wed-*")
    (['Wed-14-Jul-30', 'Wed-14-Jul-31'], ())
    """
    if any(fnmatchcase(hour, pattern) for hour in HOURS):
        return ()
    every = (on_day(hour, day) for day in range(DAYS_PER_YEAR) for hour in HOURS.values())
    return tuple(hour for hour in every if fnmatchcase(hour_name(hour), pattern))


def matches(pattern: str, name: str) -> bool:
    """Whether a scenario has a name of a pattern; without an hour it means a failure at any.

    >>> matches("region-*", "region-us-west@Mon-06"), matches("surge@Mon-*", "surge@Tue-06")
    (True, False)
    """
    wanted_failure, wanted_hours = pattern_parts(pattern)
    failure, hour = failure_and_hour(name)
    if wanted_hours is None:
        return fnmatchcase(failure, wanted_failure) or fnmatchcase(name, pattern)
    at = hour is not None and fnmatchcase(hour_name(hour), wanted_hours)
    return at and fnmatchcase(failure, wanted_failure)
