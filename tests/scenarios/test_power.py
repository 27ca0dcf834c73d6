"""Voltage sags, lost power and restarts: what trips, what is down, and when it runs again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenarios.limits import limits_of

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.graph import build_graph
from planner.infrastructure.loading import load_model
from planner.scenarios.system_state import SystemState, normal_state
from planner.scenarios.timeline import Timeline, state_with, timeline_of

#: Tiny on power: west with batteries and generator, east with two bare feeds. Chillers restart.
MODEL = load_model(
    "tiny",
    (
        "feeds.w={region: west, capacity_mw: 11, ups_minutes: 15, generator_mw: 6,"
        " generator_start_minutes: 2, generator_hours: 1}",
        "feeds.e1={region: east, capacity_mw: 5}",
        "feeds.e2={region: east, capacity_mw: 6}",
        "cooling_units.chiller-3.restart_minutes=6",
        "cooling_units.chiller-1.restart_minutes=4",
        "services.db={plane: state, replicas: {west: 2, east: 3}, needs_replicas: 3}",
        "services.gpus={plane: control, runs_on: [west-gpus]}",
        "services.api={plane: service, depends_on: [db, gpus]}",
        "services.pumps={plane: control, depends_on: [gpus]}",
        "plants.west-air.depends_on=[pumps]",
        "tiers.free.entry=api",
    ),
).model
GRAPH = build_graph(MODEL)
WEST = {("west-chillers", "chiller-3"), ("west-chillers", "chiller-1")}
EAST = {("east-chillers", "chiller-3"), ("east-chillers", "chiller-1")}


def sag(feed: str, at: float = 0.0, **fields: Any) -> dict[str, Any]:
    return {"kind": "sag", "feed": feed, "at_minute": at, **fields}


def lost(kind: str, name: str, minutes: float, at: float = 0.0, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "name": name, "repair_minutes": minutes, "at_minute": at, **fields}


def laid_out(*events: dict[str, Any], model: Model = MODEL, **fields: Any) -> Timeline:
    scenario = Scenario.model_validate(
        {"name": "s", "severity": "single", "frequency_per_year": 1.0, "events": events} | fields
    )
    return timeline_of(model, GRAPH if model is MODEL else build_graph(model), scenario)


def slices(timeline: Timeline, read: Any) -> list[tuple[float, float, Any]]:
    return [(i.start_minute, i.end_minute, read(i.state)) for i in timeline.intervals]


def restarting(timeline: Timeline) -> list[tuple[float, float, set[tuple[str, str]]]]:
    """Units that restart from minute to minute, whatever else changes."""
    found: list[tuple[float, float, set[tuple[str, str]]]] = []
    for start, end, units in slices(timeline, lambda state: set(state.restarting)):
        if found and found[-1][2] == units:
            start = found.pop()[0]
        found.append((start, end, units))
    return found


def changed(section: str, name: str, **changes: Any) -> Model:
    entries = getattr(MODEL, section)
    return MODEL.replace(**{section: {**entries, name: entries[name].replace(**changes)}})


class TestSag:
    def test_running_units_stop_until_they_have_restarted(self):
        """A minute of sag; then 4 minutes for the small chillers, 6 for the large."""
        large = {("west-chillers", "chiller-3")}
        timeline = laid_out(sag("w"))
        assert restarting(timeline) == [(0.0, 5.0, WEST), (5.0, 7.0, large)]
        assert timeline.intervals[0].state.plants_down == frozenset()
        assert timeline.intervals[0].state.clusters_down == frozenset()
        assert timeline.intervals[0].state.power == normal_state(MODEL, GRAPH).power

    def test_a_long_sag_stops_units_for_its_length_and_their_restart(self):
        timeline = laid_out(sag("w", at=30.0, repair_minutes=210.0))
        assert [(start, end) for start, end, _ in restarting(timeline)] == [
            (0.0, 30.0),
            (30.0, 244.0),
            (244.0, 246.0),
        ]

    def test_units_that_restart_at_once_stop_for_the_sag(self):
        model = changed("cooling_units", "chiller-1", restart_minutes=0.0)
        first, second = restarting(laid_out(sag("w"), model=model))
        assert first == (0.0, 1.0, WEST)
        assert second == (1.0, 7.0, {("west-chillers", "chiller-3")})

    def test_standby_and_emergency_units_do_not_run_so_they_do_not_trip(self):
        units = {*WEST, ("west-chillers", "air-1"), ("west-air", "chiller-1")}
        plants = dict(MODEL.plants)
        plants["west-chillers"] = plants["west-chillers"].replace(
            options=("chiller-3", "chiller-1", "air-1")
        )
        plants["west-air"] = plants["west-air"].replace(options=("air-1", "chiller-1"))
        found = laid_out(sag("w"), model=MODEL.replace(plants=plants)).intervals[0].state
        assert found.restarting == WEST < units

    def test_a_second_feed_carries_units_through_a_sag(self):
        (interval,) = laid_out(sag("e1", repair_minutes=60.0)).intervals
        assert interval.state == normal_state(MODEL, GRAPH)

    def test_a_sag_of_both_feeds_at_once_stops_units(self):
        assert restarting(laid_out(sag("e1"), sag("e2")))[0] == (0.0, 5.0, EAST)
        later = laid_out(sag("e1"), sag("e2", at=1.0))
        assert restarting(later) == [(0.0, 2.0, set())]

    def test_a_lost_second_feed_does_not_carry_units_through(self):
        timeline = laid_out(lost("feed", "e1", 60.0), sag("e2", at=30.0))
        assert restarting(timeline)[:2] == [(0.0, 30.0, set()), (30.0, 35.0, EAST)]

    def test_clusters_without_batteries_and_other_feeds_are_down(self):
        timeline = laid_out(sag("e1", repair_minutes=3.0), sag("e2", repair_minutes=3.0))
        down = slices(timeline, lambda c: (set(c.clusters_down), set(c.plants_down)))
        assert down[0] == (0.0, 3.0, ({"east-gpus"}, set()))
        assert not any(clusters for _, _, (clusters, _) in down[1:])
        assert laid_out(sag("e1")).intervals[0].state.clusters_down == frozenset()

    def test_what_runs_on_a_cluster_that_is_down_is_down(self):
        model = changed("feeds", "w", ups_minutes=0.0)
        first, *rest = laid_out(sag("w"), model=model).intervals
        assert (first.start_minute, first.end_minute) == (0.0, 1.0)
        assert first.state.clusters_down == {"west-gpus"}
        assert first.state.services_down == {"gpus", "api", "pumps"}
        assert first.state.tiers_down == {"free"}
        assert first.state.plants_down == first.state.plants_lost == {"west-air"}
        assert not any(one.state.services_down for one in rest)


class TestReturnOfPower:
    def test_units_restart_when_the_generator_runs(self):
        """Nothing to restart when the feed is back: the generator carries over."""
        timeline = laid_out(lost("feed", "w", 50.0))
        found = slices(timeline, lambda c: ("west-chillers" in c.plants_down, set(c.restarting)))
        assert found == [
            (0.0, 2.0, (True, set())),
            (2.0, 6.0, (False, WEST)),
            (6.0, 8.0, (False, {("west-chillers", "chiller-3")})),
            (8.0, 50.0, (False, set())),
        ]

    def test_units_stop_when_generators_run_out_of_fuel(self):
        timeline = laid_out(lost("feed", "w", 90.0))
        found = slices(timeline, lambda c: ("west-chillers" in c.plants_down, len(c.restarting)))
        assert found[3:] == [
            (8.0, 62.0, (False, 0)),
            (62.0, 90.0, (True, 0)),
            (90.0, 94.0, (False, 2)),
            (94.0, 96.0, (False, 1)),
        ]
        assert timeline.end_minute == 96.0

    def test_without_restart_minutes_nothing_is_listed(self):
        units = {
            name: one.replace(restart_minutes=0.0) for name, one in MODEL.cooling_units.items()
        }
        timeline = laid_out(lost("feed", "w", 90.0), model=MODEL.replace(cooling_units=units))
        assert not any(found for _, _, found in restarting(timeline))
        assert timeline.end_minute == 90.0

    def test_units_restart_only_where_both_feeds_were_lost(self):
        assert restarting(laid_out(lost("feed", "e1", 60.0))) == [(0.0, 60.0, set())]
        timeline = laid_out(lost("feed", "e1", 60.0), lost("feed", "e2", 30.0))
        assert restarting(timeline)[:2] == [(0.0, 30.0, set()), (30.0, 34.0, EAST)]

    @pytest.mark.parametrize(("kind", "name"), [("region", "west"), ("plant", "west-chillers")])
    def test_repaired_units_need_no_restart(self, kind, name):
        assert restarting(laid_out(lost(kind, name, 60.0))) == [(0.0, 60.0, set())]

    def test_clusters_run_on_batteries_alone_where_generators_do_not_start(self):
        timeline = laid_out(lost("feed", "w", 60.0, generators_start=False))
        found = slices(
            timeline,
            lambda c: (
                set(c.clusters_down),
                "west-chillers" in c.plants_down,
                limits_of(c, "west"),
            ),
        )
        plants, loads = "west-air west-chillers", "west-air west-chillers west-gpus"
        assert found[:2] == [
            (0.0, 15.0, (set(), True, {loads: 11.0, plants: 0.0})),
            (15.0, 60.0, ({"west-gpus"}, True, {loads: 0.0})),
        ]
        assert restarting(timeline)[1:] == [
            (60.0, 64.0, WEST),
            (64.0, 66.0, {("west-chillers", "chiller-3")}),
        ]

    def test_restart_times_need_not_be_binary_fractions(self):
        """(0.7 + 0.1) − 0.7 is less than 0.1."""
        model = changed("feeds", "w", generator_start_minutes=0.1)
        timeline = laid_out(lost("feed", "w", 30.0, at=0.7), model=model)
        down = slices(timeline, lambda c: "west-chillers" in c.plants_down)
        assert [(start, end) for start, end, dark in down if dark] == [(0.0, 1.0)]


class TestWhy:
    def test_plants_without_power_are_not_lost(self):
        state = laid_out(lost("feed", "w", 60.0)).intervals[0].state
        assert state.plants_down == {"west-chillers", "west-air"}
        assert state.plants_lost == frozenset()

    @pytest.mark.parametrize(
        ("event", "plants"),
        [
            (lost("plant", "west-chillers", 60.0), {"west-chillers"}),
            (lost("region", "west", 60.0), {"west-chillers", "west-air"}),
            (lost("service", "pumps", 60.0), {"west-air"}),
            (lost("cluster", "west-gpus", 60.0), {"west-air"}),
        ],
    )
    def test_plants_that_failed_themselves_are_lost(self, event, plants):
        state = laid_out(event, lost("feed", "w", 60.0)).intervals[0].state
        assert state.plants_lost == plants <= state.plants_down

    def test_a_lost_region_takes_services_and_replicas(self):
        state = laid_out(lost("region", "west", 60.0)).intervals[0].state
        assert state.replicas_down == {"db": 2}
        assert state.services_down == {"gpus", "api", "pumps"}
        state = laid_out(lost("region", "east", 60.0)).intervals[0].state
        assert state.replicas_down == {"db": 3}
        assert state.services_down == {"db", "api"}
        assert normal_state(MODEL, GRAPH).replicas_down == {}

    def test_names_may_contain_the_separator(self):
        services = {"a@b": MODEL.services["db"].replace(name="a@b")}
        tiers = {name: tier.replace(entry=None) for name, tier in MODEL.tiers.items()}
        plants = {name: one.replace(depends_on=()) for name, one in MODEL.plants.items()}
        model = MODEL.replace(services=services, tiers=tiers, plants=plants)
        state = laid_out(lost("region", "east", 60.0), model=model).intervals[0].state
        assert state.replicas_down == {"a@b": 3}


class TestReaction:
    def test_escalation_comes_between_alert_and_response(self):
        timeline = laid_out(lost("region", "west", 60.0, at=7.0), operations={
            "detection_minutes": 3.0, "escalation_minutes": 20.0, "response_minutes": 10.0
        })  # fmt: skip
        assert timeline.failures == (7.0,)
        assert timeline.reaction_minutes == timeline.order_minutes == 33.0
        assert timeline.order_minute == 40.0


class TestConditionWith:
    COURSE = laid_out(
        lost("feed", "w", 50.0),
        {"kind": "heat", "region": "east", "rise_c": 3.0, "repair_minutes": 40.0},
        {"kind": "surge", "factor": 1.5, "repair_minutes": 40.0},
        {"kind": "units", "plant": "east-chillers", "unit": "chiller-1", "repair_minutes": 40.0},
        {"kind": "largest-units", "plant": "west-chillers", "repair_minutes": 40.0},
    )

    @pytest.mark.parametrize("minute", [0.0, 1.9, 2.0, 7.5, 39.0, 49.99, 50.0, 1e6])
    def test_state_without_lost_clusters_is_that_of_the_timeline(self, minute):
        found = state_with(MODEL, GRAPH, self.COURSE, minute, frozenset())
        at = [
            one.state
            for one in self.COURSE.intervals
            if one.start_minute <= minute < one.end_minute
        ]
        assert found == (at[0] if at else normal_state(MODEL, GRAPH))

    def test_lost_clusters_take_down_what_needs_them(self):
        before = state_with(MODEL, GRAPH, self.COURSE, 3.0, frozenset())
        after = state_with(MODEL, GRAPH, self.COURSE, 3.0, frozenset({"west-gpus"}))
        assert after.clusters_down == {"west-gpus"}
        assert after.services_down == {"gpus", "api", "pumps"}
        assert after.tiers_down == {"free"}
        assert after.plants_down == after.plants_lost == {"west-air"}
        for field in ("restarting", "lost_units", "lost_largest", "ambient_rise_c",
                      "demand_factor", "power", "replicas_down", "offers_down"):  # fmt: skip
            assert getattr(after, field) == getattr(before, field), field
        assert after.restarting == WEST
        assert after.demand_factor == {"west-users": 1.5, "east-users": 1.5}

    def test_state_after_the_end_has_only_the_lost_clusters_down(self):
        found = state_with(MODEL, GRAPH, self.COURSE, 60.0, frozenset({"east-gpus"}))
        assert found.clusters_down == {"east-gpus"}
        assert found.services_down == frozenset()
        assert found.demand_factor == {}

    def test_state_with_a_lost_cluster_is_that_of_its_loss_event(self):
        events = [lost("feed", "w", 50.0), sag("e1", at=10.0), sag("e2", at=10.0)]
        timeline = laid_out(*events)
        both = laid_out(*events, lost("cluster", "west-gpus", 1000.0))
        for one in both.intervals:
            found = state_with(MODEL, GRAPH, timeline, one.start_minute, frozenset({"west-gpus"}))
            assert found == one.state


def test_states_do_not_depend_on_earlier_queries(monkeypatch):
    """The same courses whether conditions are kept, forgotten, or worked out on a copy."""
    events = [
        [lost("region", "west", 30.0), sag("e1")],
        [lost("feed", "w", 90.0), lost("service", "db", 20.0, at=5.0)],
        [sag("w"), lost("region", "east", 30.0)],
    ]
    kept = [laid_out(*some).intervals for some in events]
    monkeypatch.setattr("planner.scenarios.system_state.MOST_STATES", 1)
    assert [laid_out(*some).intervals for some in reversed(events)][::-1] == kept
    loose = build_graph(MODEL).copy()
    scenarios = [
        Scenario.model_validate(
            {"name": "s", "severity": "single", "frequency_per_year": 1.0, "events": some}
        )
        for some in events
    ]
    assert [timeline_of(MODEL, loose, one).intervals for one in scenarios] == kept


def test_another_model_on_the_same_graph_is_not_mixed_up():
    other, loads = changed("feeds", "e1", capacity_mw=1.0), "east-chillers east-gpus"
    assert limits_of(normal_state(MODEL, GRAPH), "east") == {loads: 11.0}
    assert limits_of(normal_state(other, GRAPH), "east") == {loads: 7.0}
    assert limits_of(normal_state(MODEL, GRAPH), "east") == {loads: 11.0}


MINUTES = st.integers(0, 40)
LENGTHS = st.integers(1, 80)
FEEDS = st.sampled_from(["w", "e1", "e2"])
EVENTS = st.one_of(
    st.builds(lambda f, n, at: sag(f, at, repair_minutes=n), FEEDS, LENGTHS, MINUTES),
    st.builds(lost, st.just("feed"), FEEDS, LENGTHS, MINUTES),
    st.builds(
        lambda n, at: lost("feed", "w", n, at, generators_start=False), LENGTHS, MINUTES
    ),
    st.builds(lost, st.just("plant"), st.just("east-chillers"), LENGTHS, MINUTES),
)  # fmt: skip
PLANTS = {"west-chillers": ["w"], "east-chillers": ["e1", "e2"]}
WAITS = {"chiller-3": 6, "chiller-1": 4}


def dead(events: list[dict[str, Any]], feed: str, minute: int) -> bool:
    """Whether nothing but batteries carries on what hangs on a feed."""
    for event in events:
        since = minute - event["at_minute"]
        if event.get("name") == feed and 0 <= since < event["repair_minutes"]:
            generator = feed == "w" and event.get("generators_start", True)
            if not (generator and 2 <= since < 62):
                return True
    return False


def waiting(events: list[dict[str, Any]], minute: int) -> set[tuple[str, str]]:
    """Units that restart at a minute, by going through all minutes up to it, without a graph."""
    found: set[tuple[str, str]] = set()
    for plant, feeds in PLANTS.items():
        dark = [all(dead(events, feed, one) for feed in feeds) for one in range(minute + 1)]
        for unit, wait in WAITS.items():
            returns = [i for i in range(1, minute + 1) if dark[i - 1] and not dark[i]]
            ends = [i + wait for i in returns]
            for event in (one for one in events if one["kind"] == "sag"):
                at = event["at_minute"]
                sagging = {e["feed"] for e in events if e["kind"] == "sag" and e["at_minute"] == at}
                if at <= minute and all(f in sagging or dead(events, f, at) for f in feeds):
                    ends.append(at + event["repair_minutes"] + wait)
            if any(end > minute for end in ends):
                found.add((plant, unit))
    return found


@given(st.lists(EVENTS, min_size=1, max_size=4))
def test_restarts_at_every_minute(events):
    timeline = laid_out(*events)
    for interval in timeline.intervals:
        for minute in range(int(interval.start_minute), int(interval.end_minute)):
            assert interval.state.restarting == waiting(events, minute), minute
    assert not waiting(events, int(timeline.end_minute))
    assert isinstance(timeline.intervals[0].state, SystemState)
