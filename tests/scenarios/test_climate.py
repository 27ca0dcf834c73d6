"""Outdoor air by hour: the hot week of a climate in local time, or the design ambient."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.infrastructure.catalogue import hot_week, hot_week_longitude, hot_week_names
from planner.infrastructure.entities import Model
from planner.infrastructure.loading import load_model
from planner.laws.calendar import on_day
from planner.scenarios.climate import ambient_at, ambient_year, excess_by_hour, excess_c


def with_climate(*settings: str) -> Model:
    return load_model("tiny", ("regions.west.climate=us-west", *settings)).model


MODEL = with_climate("regions.west.longitude=0.0")
WEEK = np.array(hot_week("us-west"))


def test_ambient_without_a_climate_is_the_design_ambient():
    model = with_climate("regions.east.design_ambient_c=31.5")
    assert ambient_at(model, "east", 5.0, np.array([0.0, 60.0, 1e4])).tolist() == [31.5] * 3
    assert ambient_at(model, "east", 5.0, np.array([])).shape == (0,)


def test_ambient_between_hours_is_interpolated():
    found = ambient_at(MODEL, "west", 2.0, np.array([0.0, 60.0, 15.0]))
    assert found[:2].tolist() == WEEK[2:4].tolist()
    assert found[2] == pytest.approx(0.75 * WEEK[2] + 0.25 * WEEK[3])


def test_ambient_repeats_every_week():
    found = ambient_at(MODEL, "west", 167.0, np.array([0.0, 30.0, 60.0, 60.0 * 169]))
    assert found[[0, 2]].tolist() == WEEK[[167, 0]].tolist()
    assert found[1] == pytest.approx((WEEK[167] + WEEK[0]) / 2)
    assert found[3] == pytest.approx(WEEK[(167 + 169) % 168])


@pytest.mark.parametrize(
    ("longitude", "hours"), [(-121.0, -8), (139.7, 9), (7.4, 0), (-180.0, -12)]
)
def test_local_time_follows_longitude(longitude, hours):
    """Midday in the west of America is evening in UTC."""
    model = with_climate(f"regions.west.longitude={longitude}")
    found = ambient_at(model, "west", 20.0, np.array([0.0]))
    assert found[0] == pytest.approx(WEEK[(20 + hours) % 168])


@pytest.mark.parametrize(("climate", "hours"), [("ap-northeast", 9), ("us-west", -8)])
def test_a_climate_says_where_it_was_measured(climate, hours):
    """A region of Tokyo that does not say where it lies is hottest early in the day in UTC."""
    model = load_model("tiny", (f"regions.west.climate={climate}",)).model
    week = ambient_at(model, "west", 0.0, np.arange(168) * 60.0)
    assert week == pytest.approx(np.roll(hot_week(climate), -hours))
    stated = load_model("tiny", (f"regions.west.climate={climate}", "regions.west.longitude=0"))
    assert ambient_at(stated.model, "west", 0.0, np.array([0.0]))[0] == hot_week(climate)[0]


def test_every_hot_week_has_a_place():
    assert all(-180 <= hot_week_longitude(name) <= 180 for name in hot_week_names())


def test_the_afternoon_is_hotter_than_the_night():
    """In local time; 22:00 UTC is 14:00 in Oregon, 12:00 UTC is 4:00."""
    model = with_climate("regions.west.longitude=-121")
    days = np.arange(7) * 24 * 60.0
    afternoon, night = (ambient_at(model, "west", hour, days) for hour in (22.0, 12.0))
    assert (afternoon > night + 3).all()


@given(st.floats(0, 167.9), st.floats(0, 20_000))
def test_ambient_stays_within_the_week_whatever_the_start_hour(hour, minute):
    found = ambient_at(MODEL, "west", hour, np.array([minute]))[0]
    assert WEEK.min() <= found <= WEEK.max()
    again = ambient_at(MODEL, "west", 0.0, np.array([minute + 60 * hour]))[0]
    assert found == pytest.approx(again, abs=1e-6)


def test_hot_weeks_of_the_catalogue():
    assert "us-west" in hot_week_names()
    for name in hot_week_names():
        week = hot_week(name)
        assert len(week) == 168
        assert -10 < min(week) < max(week) < 55
    with pytest.raises(KeyError):
        hot_week("moon")


def year_of(hours: int, **fields: object) -> Model:
    values = tuple(float(hour % 97) for hour in range(hours))
    model = load_model("tiny").model
    west = model.regions["west"].replace(climate="year", **fields)
    return model.replace(climates={"year": values}, regions={**model.regions, "west": west})


@pytest.mark.parametrize(
    ("fields", "ahead"),
    [({}, 0), ({"longitude": 150.0}, 10), ({"longitude": 150.0, "climate_utc_offset_hours": 0}, 0)],
)
def test_a_year_is_local_unless_the_region_says_otherwise(fields, ahead) -> None:
    model, minutes = year_of(8760, **fields), np.array([0.0, 60.0, 24 * 60.0])
    found = ambient_at(model, "west", on_day(100, 364), minutes)
    first = 364 * 24 + 100 % 24 + ahead
    assert found.tolist() == [(hour % 8760) % 97 for hour in (first, first + 1, first + 24)]
    assert ambient_at(model, "west", 100.0, minutes).tolist() == [35.0] * 3


def test_mean_days_of_months_are_repeated() -> None:
    year = ambient_year(year_of(288), "west")
    assert year.shape == (8760,)
    assert year[:24].tolist() == year[30 * 24 : 31 * 24].tolist() == list(range(24))
    assert year[31 * 24] == 24
    assert year[-1] == 287 % 97


@given(st.integers(0, 167), st.integers(0, 364), st.integers(0, 9000), st.integers(0, 9000))
def test_the_excess_of_an_interval_is_that_of_its_hottest_hour(hour, day, one, other) -> None:
    model, (first, last) = year_of(8760, longitude=-50.0), sorted((one, other))
    at = np.linspace(first, last, 30)
    most = ambient_at(model, "west", on_day(hour, day), at).max() - 35.0
    found = excess_c(model, "west", on_day(hour, day), first, last)
    assert found >= max(0.0, most)
    by_hour = excess_by_hour(model, first, last)
    assert by_hour[24 * day + hour % 24].tolist() == [found]
    assert excess_c(model, "west", float(hour), first, last) == 0.0
