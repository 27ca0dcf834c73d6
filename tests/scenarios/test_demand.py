"""Demand by hour of the week, between the hours, and the most of it in a while."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.infrastructure.catalogue import demand_shape
from planner.infrastructure.entities import Model
from planner.infrastructure.loading import load_model
from planner.scenarios.demand import (
    ModelKey,
    demand_at,
    demand_windows,
    peak_hour,
    undominated,
    weekly_demand,
    zone_shape,
)

DAY = [float(value) for value in range(1, 25)]
WEEK = [float(1 + (7 * hour) % 31) for hour in range(168)]


def shaped(shapes: str, west: str = "flat", east: str = "flat") -> Model:
    return load_model(
        "tiny",
        (f"shapes={shapes}", f"zones.west-users.shape={west}", f"zones.east-users.shape={east}"),
    ).model


MODELS = [
    shaped(f"{{day: {DAY}, week: {WEEK}}}", "day", "week"),
    shaped("{}", "conversation", "coding"),
    load_model("chatgpt-2023").model,
]


class TestShapes:
    def test_a_flat_shape_is_constant(self, tiny):
        assert zone_shape(tiny.model, "west-users").tolist() == [1.0] * 168

    def test_a_shape_of_a_day_repeats_seven_times(self):
        shape = zone_shape(shaped(f"{{day: {DAY}}}", "day"), "west-users")
        assert shape.shape == (168,)
        assert shape[:24] == pytest.approx(np.arange(1, 25) / 24)
        assert shape.reshape(7, 24) == pytest.approx(np.tile(shape[:24], (7, 1)))

    def test_a_shape_of_a_week_is_taken_as_it_is(self):
        shape = zone_shape(shaped(f"{{week: {WEEK}}}", "week"), "west-users")
        assert shape == pytest.approx(np.array(WEEK) / max(WEEK))

    def test_shapes_may_have_any_scale(self):
        tenfold = shaped(f"{{day: {[10 * v for v in DAY]}}}", "day")
        assert zone_shape(tenfold, "west-users") == pytest.approx(
            zone_shape(shaped(f"{{day: {DAY}}}", "day"), "west-users")
        )

    def test_a_shape_of_a_trace_follows_its_data(self):
        shape = zone_shape(MODELS[1], "west-users")
        trace = np.array(demand_shape("conversation"))
        assert shape == pytest.approx(trace / trace.max())

    @pytest.mark.parametrize("ahead", [-12, -8, 0, 1, 14])
    def test_a_shape_is_in_local_time_where_a_zone_has_an_offset(self, ahead):
        name = f"zones.west-users.utc_offset_hours={ahead}"
        model = load_model(
            "tiny", (f"shapes={{week: {WEEK}}}", "zones.west-users.shape=week", name)
        )
        shape = zone_shape(model.model, "west-users")
        for hour in range(168):
            assert shape[hour] == WEEK[(hour + ahead) % 168] / max(WEEK)

    def test_a_shape_of_the_model_wins_over_a_trace_of_the_same_name(self):
        model = shaped(f"{{conversation: {DAY}}}", "conversation")
        assert zone_shape(model, "west-users")[:24] == pytest.approx(np.array(DAY) / 24)


class TestWeek:
    def test_weekly_demand_peaks_at_the_stated_rate(self):
        model = MODELS[0]
        weekly = weekly_demand(model)
        assert weekly.shape == (2, 168)
        assert weekly.max(axis=1).tolist() == [700.0, 300.0]

    def test_peak_hour_is_that_of_the_largest_demand(self, tiny):
        assert peak_hour(tiny.model) == 0
        assert peak_hour(shaped(f"{{day: {DAY}}}", "day", "day")) == 23
        week = [1.0] * 168
        week[100] = 2.0
        assert peak_hour(shaped(f"{{week: {week}}}", "week", "week")) == 100


class TestUndominated:
    """Hours whose demand no other hour exceeds in every zone."""

    def test_undominated_hours_agree_with_those_found_by_hand(self):
        demands = np.array([[1.0, 1.0], [3.0, 0.0], [1.0, 1.0], [2.0, 2.0], [0.0, 3.0], [1.5, 2.0]])
        assert undominated(demands).tolist() == [3, 1, 4]

    def test_noise_does_not_tell_hours_apart(self):
        assert undominated(np.array([[0.1 + 0.2, 1.0], [0.3, 1.0]])).tolist() == [0]

    def test_one_place_has_one_hour_and_two_at_odds_have_two(self):
        week = np.stack([np.arange(24.0), np.arange(24.0)], axis=1)
        assert undominated(week).tolist() == [23]
        halves = np.stack([np.arange(24.0) < 12, np.arange(24.0) >= 12], axis=1).astype(float)
        assert len(undominated(halves)) == 2

    @given(
        st.lists(
            st.lists(st.integers(0, 4).map(float), min_size=3, max_size=3), min_size=1, max_size=12
        )
    )
    def test_every_demand_is_within_one_that_stays(self, rows):
        demands = np.array(rows)
        kept = demands[undominated(demands)]
        assert all((row <= kept).all(axis=1).any() for row in demands)
        for index, row in enumerate(kept):
            others = np.delete(kept, index, axis=0)
            assert not (row <= others).all(axis=1).any()


class TestBetweenHours:
    def test_demand_between_hours_is_interpolated(self):
        model = shaped(f"{{day: {DAY}}}", "day")
        demand = demand_at(model, 0.0, np.array([0.0, 30.0, 60.0, 90.0]))
        assert demand[0] == pytest.approx(700 / 24 * np.array([1.0, 1.5, 2.0, 2.5]))
        assert demand[1].tolist() == [300.0] * 4

    def test_demand_goes_on_from_the_start_hour_past_midnight(self):
        model = shaped(f"{{day: {DAY}}}", "day")
        demand = demand_at(model, 23.5, np.array([0.0, 30.0, 45.0]))
        assert demand[0] == pytest.approx(700 / 24 * np.array([12.5, 1.0, 1.25]))

    def test_demand_wraps_at_the_end_of_the_week(self):
        model = MODELS[0]
        minutes = np.array([0.0, 17.0, 300.0])
        week = 168 * 60.0
        assert demand_at(model, 167.5, minutes) == pytest.approx(
            demand_at(model, 167.5, minutes + week)
        )
        end = demand_at(model, 167.5, np.array([0.0]))[1, 0]
        assert end == pytest.approx((WEEK[-1] + WEEK[0]) / 2 / max(WEEK) * 300)


@given(
    st.sampled_from(range(len(MODELS))),
    st.integers(0, 167),
    st.floats(0, 20_000),
    st.floats(0, 15_000),
    st.sampled_from([0.0, 0.005, 0.1]),
)
def test_windows_of_demand_hold_the_peaks_of_all_zones_at_once(which, start, first, length, share):
    """In one minute of each, all zones are as busy as ever in it; none in between is left out."""
    model, last = MODELS[which], first + length
    groups = demand_windows(ModelKey(model), start, first, last, share)
    minutes = [minute for group in groups for minute in group]
    assert (minutes[0], minutes[-1]) == (first, last)
    corners = {60.0 * hour for hour in range(round(first // 60) + 1, round(last // 60) + 1)}
    assert {at for at in corners if first < at < min(last, first + 10_080)} <= set(minutes)
    most = demand_at(model, start, np.array(minutes)).sum(axis=0).max()
    for group in groups:
        demand = demand_at(model, start, np.array(group))
        missing = demand.max(axis=1).sum() - demand.sum(axis=0).max()
        assert len(group) == 1 or missing <= share * most * (1 + 1e-9) + 1e-9


def test_zones_that_are_busy_together_leave_one_window():
    model = shaped(f"{{day: {DAY}}}", "day", "day")
    assert len(demand_windows(ModelKey(model), 0.0, 0.0, 1440.0, 0.0)) == 1
    early, late = [1, 0] * 12, [0, 1] * 12
    apart = shaped(f"{{early: {early}, late: {late}}}", "early", "late")
    assert len(demand_windows(ModelKey(apart), 0.0, 0.0, 240.0, 0.0)) == 5
