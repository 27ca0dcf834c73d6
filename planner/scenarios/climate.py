"""Outdoor air of each region by hour.

A climate is a hot week of the catalogue or a year of the model. A hot week is simulated week after
week. A year says how hot it is on each day: a failure on a day of it (`planner.laws.calendar`)
meets the air of its hours, and one at an hour of the week without a day the design ambient, since
it stands for all days that are no hotter. Cooling is planned for design ambient, and for what its
hours exceed it by.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from planner.infrastructure.catalogue import hot_week, hot_week_longitude
from planner.infrastructure.entities import Model
from planner.laws.calendar import DAYS_PER_YEAR, HOTTEST, HOURS_PER_WEEK, MONTH_DAYS, day_of
from planner.scenarios.timeline import Interval, Timeline

HOURS_PER_YEAR = 24 * DAYS_PER_YEAR
#: Excess over the design ambient is planned for in whole steps, so that nearly equal days are one.
EXCESS_STEP_C = 0.5
ROUNDING = 1e-9
Floats = NDArray[np.float64]


def ambient_at(model: Model, region: str, start_hour: float, minutes: Floats) -> Floats:
    """Ambient temperature of a region at minutes after a start hour.

    The air of its climate, interpolated between hours and repeated, or its design ambient where it
    names none. Hours of scenarios and demand are UTC, those of climates local unless the region
    says otherwise: they are moved by its longitude, a whole hour for each 15 degrees. A region that
    does not say where it lies lies where its hot week was measured, or a year's times are UTC.

    Parameters
    ----------
    start_hour
        Hour of the week at minute 0, UTC, and its day of the year (`planner.laws.calendar`).
    minutes
        Minutes after it, shape (n,).

    Returns
    -------
    numpy.ndarray
        Temperature in °C, shape (n,).

    Raises
    ------
    KeyError
        If the model has no such region.
    """
    place, day = model.regions[region], day_of(start_hour)
    at = np.asarray(minutes, dtype=float)
    if place.climate is None or (place.climate in model.climates and day is None):
        return np.full(at.shape, place.design_ambient_c)
    if place.climate in model.climates:
        course, start_hour = _course(model, region, start_hour)
        ahead = 0
    else:
        course, ahead = np.asarray(hot_week(place.climate)), _hours_ahead(model, region)
    found: Floats = np.interp(
        start_hour + ahead + at / 60, np.arange(len(course)), course, period=len(course)
    )
    return found


def _hours_ahead(model: Model, region: str) -> int:
    """Hours that the times of a region's climate are ahead of UTC."""
    place = model.regions[region]
    if place.climate_utc_offset_hours is not None:
        return place.climate_utc_offset_hours
    longitude = place.longitude
    if longitude is None and place.climate and place.climate not in model.climates:
        longitude = hot_week_longitude(place.climate)
    return round((longitude or 0.0) / 15.0)


def seasonal_regions(model: Model) -> tuple[str, ...]:
    """Regions whose climate is a year."""
    return tuple(name for name, place in model.regions.items() if place.climate in model.climates)


@cache
def _year(values: tuple[float, ...], ahead: int) -> Floats:
    """Temperature of each hour of a year in UTC, shape (8760,)."""
    year = np.asarray(values, dtype=float)
    if len(year) != HOURS_PER_YEAR:
        year = np.repeat(year.reshape(12, 24), list(MONTH_DAYS.values()), axis=0).ravel()
    moved: Floats = np.roll(year, -ahead)
    return moved


def ambient_year(model: Model, region: str) -> Floats:
    """Temperature of each hour of the year in UTC of a region whose climate is one, °C."""
    name = model.regions[region].climate
    assert name is not None
    return _year(tuple(model.climates[name]), _hours_ahead(model, region))


def _course(model: Model, region: str, start_hour: float) -> tuple[Floats, float]:
    """Temperatures that follow each other on a day of the year, and the hour among them."""
    year, day = ambient_year(model, region), day_of(start_hour)
    hour = start_hour % HOURS_PER_WEEK % 24
    if day != HOTTEST:
        return year, 24.0 * (day or 0) + hour
    hottest = year.reshape(DAYS_PER_YEAR, 24).max(axis=0)
    return np.maximum(hottest, model.regions[region].design_ambient_c), hour


def excess_c(
    model: Model, region: str, start_hour: float, from_minute: float, to_minute: float
) -> float:
    """Degrees by which a year is hotter than the design ambient at most, in an interval.

    Parameters
    ----------
    from_minute, to_minute
        From and until, minutes after the start hour; whole hours around them count.

    Returns
    -------
    float
        In steps of `EXCESS_STEP_C`, no less than it is; 0 where it never is hotter, on no day, and
        without a climate of a year.
    """
    if day_of(start_hour) is None or region not in seasonal_regions(model):
        return 0.0
    course, hour = _course(model, region, start_hour)
    first, last = _hours_around(hour, from_minute, to_minute)
    largest = course[np.arange(first, last + 1) % len(course)].max()
    return float(_in_steps(largest - model.regions[region].design_ambient_c))


def _in_steps(above_c: Floats | np.float64) -> Floats:
    steps: Floats = np.ceil(np.maximum(above_c, 0.0) / EXCESS_STEP_C - ROUNDING) * EXCESS_STEP_C
    return steps


def _hours_around(hour: float, from_minute: float, to_minute: float) -> tuple[int, int]:
    first = math.floor(hour + from_minute / 60)
    return first, min(math.ceil(hour + to_minute / 60), first + HOURS_PER_YEAR)


def excess_by_hour(model: Model, from_minute: float, to_minute: float) -> Floats:
    """`excess_c` from each hour of the year on, shape (8760, seasonal regions)."""
    regions = seasonal_regions(model)
    first, last = _hours_around(0.0, from_minute, to_minute)
    found = np.zeros((HOURS_PER_YEAR, len(regions)))
    for column, region in enumerate(regions):
        above = ambient_year(model, region) - model.regions[region].design_ambient_c
        ahead = np.resize(np.roll(above, -first), HOURS_PER_YEAR + last - first)
        windows = np.lib.stride_tricks.sliding_window_view(ahead, last - first + 1)
        found[:, column] = _in_steps(windows.max(axis=1))
    return found


def in_season(model: Model, timeline: Timeline) -> Timeline:
    """A timeline whose states are as hot above the design ambient as its hours are at most."""
    regions = seasonal_regions(model)
    if not regions or day_of(timeline.start_hour) is None:
        return timeline
    intervals = tuple(_hotter(model, regions, timeline, one) for one in timeline.intervals)
    return replace(timeline, intervals=intervals)


def _hotter(
    model: Model, regions: tuple[str, ...], timeline: Timeline, interval: Interval
) -> Interval:
    rises = dict(interval.state.ambient_rise_c)
    for region in regions:
        times = timeline.start_hour, interval.start_minute, interval.end_minute
        rise = rises.get(region, 0.0) + excess_c(model, region, *times)
        if rise:
            rises[region] = rise
    return replace(
        interval,
        state=replace(interval.state, ambient_rise_c=rises),
        at_best=replace(interval.at_best, ambient_rise_c=rises),
    )
