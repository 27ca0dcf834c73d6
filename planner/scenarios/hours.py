"""Failures at hours of the week: their names, their share of a year, and hours that are alike."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

import numpy as np
from numpy.typing import NDArray

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.scenarios.climate import ambient_at
from planner.scenarios.demand import HOURS_PER_WEEK, weekly_demand

#: Days of the week, which begins on Monday at 0 h UTC.
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
#: What stands between the name of a failure and its hour.
AT = "@"


def hour_name(hour: int) -> str:
    """Day and hour in UTC of an hour of the week.

    >>> hour_name(0), hour_name(167)
    ('Mon-00', 'Sun-23')
    """
    return f"{DAYS[hour // 24]}-{hour % 24:02d}"


#: Hours of the week by name.
HOURS = {hour_name(hour): hour for hour in range(HOURS_PER_WEEK)}


def name_at(failure: str, hour: int) -> str:
    """Name of a failure at an hour of the week.

    >>> name_at("region-us-west", 6)
    'region-us-west@Mon-06'
    """
    return f"{failure}{AT}{hour_name(hour)}"


def failure_and_hour(name: str) -> tuple[str, int | None]:
    """Failure and hour of the week of a scenario; no hour where its name says none.

    >>> failure_and_hour("region-us-west@Mon-06"), failure_and_hour("surge")
    (('region-us-west', 6), ('surge', None))
    """
    failure, _, hour = name.rpartition(AT)
    return (failure, HOURS[hour]) if failure and hour in HOURS else (name, None)


def at_hour(failure: Scenario, hour: int, hours: int = 1) -> Scenario:
    """A failure at an hour of the week, standing for so many of its hours.

    Failures are as frequent at one hour as at another: it has their share of its frequency.
    """
    return failure.model_copy(
        update={
            "name": name_at(failure.name, hour),
            "frequency_per_year": failure.frequency_per_year * hours / HOURS_PER_WEEK,
            "start_hour": float(hour),
            "hours": "peak",
        }
    )


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
    kept = {"name": scenario.name, "start_hour": scenario.start_hour, "hours": scenario.hours}
    return after.model_copy(update={**kept, "frequency_per_year": often})


def failures_behind(scenarios: Iterable[Scenario]) -> tuple[Scenario, ...]:
    """Failures whose hours are among some scenarios, each once, with the frequency of them all."""
    found: dict[str, Scenario] = {}
    for scenario in scenarios:
        failure, hour = failure_and_hour(scenario.name)
        known = found.get(failure)
        often = scenario.frequency_per_year + (known.frequency_per_year if known else 0.0)
        start = scenario.start_hour if hour is None else None
        found[failure] = scenario.model_copy(
            update={"name": failure, "frequency_per_year": often, "start_hour": start}
        )
    return tuple(found.values())


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
