"""Demand of each zone by hour of the week."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from planner.infrastructure.catalogue import demand_shape
from planner.infrastructure.entities import Model
from planner.laws.calendar import HOURS_PER_WEEK

#: Relative difference up to which two demands are the same.
SAME = 1e-12
#: Minutes after which demand has been through all its values: after a week it repeats itself.
LONGEST = 60.0 * (HOURS_PER_WEEK + 1)
Floats = NDArray[np.float64]


@cache
def _shape(values: tuple[float, ...], ahead: int) -> Floats:
    week = np.resize(np.asarray(values, dtype=float), HOURS_PER_WEEK)
    relative: Floats = np.roll(week / week.max(), -ahead)
    return relative


def zone_shape(model: Model, zone: str) -> Floats:
    """Demand of a zone over its peak by hour of the week in UTC, 168 values with the largest 1."""
    name, ahead = model.zones[zone].shape, model.zones[zone].utc_offset_hours
    if name in model.shapes:
        return _shape(tuple(model.shapes[name]), ahead)
    if name == "flat":
        return np.ones(HOURS_PER_WEEK)
    return _shape(demand_shape(name), ahead)


class ModelKey:
    """A model as a key: models are frozen, but hold mappings, so their values have no hash."""

    __slots__ = ("model",)

    def __init__(self, model: Model) -> None:
        self.model = model

    def __hash__(self) -> int:
        return id(self.model)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelKey) and self.model is other.model


def weekly_demand(model: Model) -> Floats:
    """Demand of all zones, requests per second, shape (zones, 168); read-only."""
    return _weekly_demand(ModelKey(model))


@lru_cache(maxsize=16)
def _weekly_demand(key: ModelKey) -> Floats:
    model = key.model
    week = np.array([model.zones[z].demand_rps * zone_shape(model, z) for z in model.zones])
    week.flags.writeable = False
    return week


def peak_hour(model: Model) -> int:
    """Hour of the week with the largest demand."""
    return int(weekly_demand(model).sum(axis=0).argmax())


def demand_at(model: Model, start_hour: float, minutes: Floats) -> Floats:
    """Demand at minutes after a start hour, interpolated between hours.

    Parameters
    ----------
    start_hour
        Hour of the week at minute 0.
    minutes
        Minutes after it, shape (n,).

    Returns
    -------
    numpy.ndarray
        Requests per second, shape (zones, n).
    """
    hours = (start_hour + np.asarray(minutes, dtype=float) / 60) % HOURS_PER_WEEK
    week = weekly_demand(model)
    before = np.floor(hours).astype(int) % HOURS_PER_WEEK
    earlier, later = week[:, before], week[:, (before + 1) % HOURS_PER_WEEK]
    found: Floats = (later - earlier) * (hours - before) + earlier
    return found


@lru_cache(maxsize=10_000)
def demand_windows(
    key: ModelKey, start_hour: float, from_minute: float, to_minute: float, tolerance: float
) -> list[tuple[float, ...]]:
    """Minutes between which demand is a straight line, in groups in which peaks nearly coincide.

    These are whole hours and both ends. Demand of any other minute is a mix of that of the two next
    to it, and who can serve these can serve it. In one minute of each group every zone has its
    largest demand of the group, but for a tolerance over all zones together.

    Parameters
    ----------
    tolerance
        Demand that may be missing, as a share of the largest of all zones together.

    Returns
    -------
    list of tuple of float
        Minutes in order, by group.
    """
    first = math.floor(start_hour + from_minute / 60) + 1
    last = math.ceil(start_hour + min(to_minute, from_minute + LONGEST) / 60)
    hours = (60 * (hour - start_hour) for hour in range(first, last))
    minutes = np.array([from_minute, *hours, to_minute])
    demand = demand_at(key.model, start_hour, minutes).T
    totals = demand.sum(axis=1)
    allowed = tolerance * totals.max()
    groups: list[tuple[float, ...]] = []
    begin, largest = 0, demand[0]
    for end in range(1, len(minutes)):
        largest = np.maximum(largest, demand[end])
        if largest.sum() - totals[begin : end + 1].max() > allowed:
            groups.append(tuple(minutes[begin:end].tolist()))
            begin, largest = end, demand[end]
    return [*groups, tuple(minutes[begin:].tolist())]


def demand_by_hour(model: Model, minute: float) -> Floats:
    """Demand of each zone at a minute after each hour of the week, shape (168, zones)."""
    week, whole = weekly_demand(model), int(minute // 60)
    part = minute / 60 - whole
    now, then = np.roll(week, -whole, axis=1), np.roll(week, -whole - 1, axis=1)
    demand: Floats = np.asarray(now * (1 - part) + then * part, dtype=float).T
    return demand


def hours_between(from_minute: float, to_minute: float) -> list[float]:
    """Whole hours between two minutes, in minutes, at which demand has its corners; one week."""
    first = int(np.ceil(from_minute / 60))
    last = min(int(to_minute // 60), first + HOURS_PER_WEEK - 1)
    return [60.0 * hour for hour in range(first, last + 1)]


def largest_demand_by_hour(model: Model, minutes: Sequence[float]) -> Floats:
    """Largest demand of each zone in some minutes after each hour, shape (168, zones)."""
    largest: Floats = np.array([demand_by_hour(model, at) for at in minutes]).max(axis=0)
    return largest


def undominated(demands: Floats) -> NDArray[np.int64]:
    """Demands that no other dominates in every part, the largest first, equal ones once.

    Whoever can serve these can serve all: less in every part is served by the same means, and so is
    what lies between two of them.

    Parameters
    ----------
    demands
        Requests per second, shape (demands, parts).

    Returns
    -------
    numpy.ndarray
        Positions among the demands.
    """
    order = np.argsort(-demands.sum(axis=1), kind="stable")
    sorted_ = demands[order]
    within = (sorted_[:, None, :] <= sorted_[None, :, :] * (1 + SAME)).all(axis=2)
    # What comes later is no larger in all, so only what comes earlier can dominate it.
    dominated = np.tril(within, k=-1).any(axis=1)
    return order[~dominated]
