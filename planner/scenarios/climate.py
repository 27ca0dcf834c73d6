"""Outdoor air of each region by hour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.infrastructure.catalogue import hot_week, hot_week_longitude
from planner.infrastructure.entities import Model
from planner.scenarios.demand import HOURS_PER_WEEK

Floats = NDArray[np.float64]


def ambient_at(model: Model, region: str, start_hour: float, minutes: Floats) -> Floats:
    """Ambient temperature of a region at minutes after a start hour.

    The hot week of its climate, interpolated between hours and repeated, or its design ambient
    where it names none. Hours of scenarios and demand are UTC, those of hot weeks local: they are
    moved by the region's longitude, a whole hour for each 15 degrees. A region that does not say
    where it lies lies where its climate was measured.

    Parameters
    ----------
    start_hour
        Hour of the week at minute 0, UTC.
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
    place = model.regions[region]
    at = np.asarray(minutes, dtype=float)
    if place.climate is None:
        return np.full(at.shape, place.design_ambient_c)
    longitude = place.longitude
    if longitude is None:
        longitude = hot_week_longitude(place.climate)
    hours = start_hour + round(longitude / 15.0) + at / 60
    week: Floats = np.interp(
        hours, np.arange(HOURS_PER_WEEK), hot_week(place.climate), period=HOURS_PER_WEEK
    )
    return week
