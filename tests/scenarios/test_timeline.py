"""The course of a scenario in time: what is up, how hot and how busy, interval by interval."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from scenarios.limits import limits_of

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.graph import build_graph, down_nodes
from planner.infrastructure.loading import load_model
from planner.scenarios.system_state import SystemState, normal_state
from planner.scenarios.timeline import Timeline, timeline_of

TINY = load_model("tiny").model
#: Tiny with a feed for each region: west with batteries and generator, east with two bare feeds.
POWERED = load_model(
    "tiny",
    (
        "feeds.w={region: west, capacity_mw: 11, ups_minutes: 15, generator_mw: 6,"
        " generator_start_minutes: 2, generator_hours: 1}",
        "feeds.e1={region: east, capacity_mw: 5}",
        "feeds.e2={region: east, capacity_mw: 6}",
        "offers.cloud.region=east",
    ),
).model


#: Loads of the two regions, and those of west that batteries do not carry.
WEST, EAST = "west-air west-chillers west-gpus", "east-chillers east-gpus"
WEST_PLANTS = "west-air west-chillers"


def scenario(*events: dict[str, Any], **fields: Any) -> Scenario:
    return Scenario.model_validate(
        {"name": "s", "severity": "single", "frequency_per_year": 1.0, "events": events} | fields
    )


def course_of(model: Model, *events: dict[str, Any], **fields: Any) -> Timeline:
    return timeline_of(model, build_graph(model), scenario(*events, **fields))


def lost(kind: str, name: str, minutes: float = 60.0, at: float = 0.0) -> dict[str, Any]:
    return {"kind": kind, "name": name, "repair_minutes": minutes, "at_minute": at}


def slices(timeline: Timeline, read: Any) -> list[tuple[float, float, Any]]:
    """Start, end and a reading of the condition of each interval."""
    return [(i.start_minute, i.end_minute, read(i.state)) for i in timeline.intervals]


class TestSingleEvents:
    def test_a_timeline_without_events_is_one_normal_interval(self):
        normal = normal_state(TINY, build_graph(TINY))
        assert normal == SystemState(
            frozenset(), frozenset(), frozenset(), frozenset(), {}, {}, {}, {}, normal.power
        )
        for region, loads in (("west", WEST), ("east", EAST)):
            assert limits_of(normal, region) == {loads: TINY.regions[region].power_limit_mw}
            powered = normal_state(POWERED, build_graph(POWERED))
            assert limits_of(powered, region) == {loads: 11.0}

    def test_a_lost_region_takes_down_what_stands_in_it(self):
        timeline = course_of(POWERED, lost("region", "west", 1440.0))
        (interval,) = timeline.intervals
        assert (interval.start_minute, interval.end_minute) == (0.0, 1440.0)
        state = interval.state
        assert state.clusters_down == {"west-gpus"}
        assert state.plants_down == {"west-chillers", "west-air"}
        assert state.offers_down == frozenset()
        assert limits_of(state, "west") == {WEST: 0.0}
        assert limits_of(state, "east") == {EAST: 11.0}
        assert timeline.end_minute == 1440.0

    def test_a_lost_plant_takes_its_cooling(self):
        """A cluster without cooling is not down: it heats up first."""
        model = load_model("tiny", ("plants.west-air=null",)).model
        (interval,) = course_of(model, lost("plant", "west-chillers")).intervals
        assert interval.state.plants_down == {"west-chillers"}
        assert interval.state.clusters_down == frozenset()

    def test_lost_clusters_and_providers_are_down(self):
        (interval,) = course_of(
            TINY, lost("cluster", "west-gpus"), lost("provider", "cloudy")
        ).intervals
        assert interval.state.clusters_down == {"west-gpus"}
        assert interval.state.plants_down == frozenset()
        assert interval.state.offers_down == {"cloud"}

    def test_lost_units_are_counted_by_plant(self):
        timeline = course_of(
            TINY,
            {"kind": "units", "plant": "west-chillers", "unit": "chiller-3", "repair_minutes": 90},
            {"kind": "largest-units", "plant": "east-chillers", "count": 2, "repair_minutes": 30},
        )
        assert slices(timeline, lambda c: (dict(c.lost_units), dict(c.lost_largest))) == [
            (0.0, 30.0, ({("west-chillers", "chiller-3"): 1}, {"east-chillers": 2})),
            (30.0, 90.0, ({("west-chillers", "chiller-3"): 1}, {})),
        ]

    def test_heat_and_surge_change_ambient_and_demand(self):
        timeline = course_of(
            TINY,
            {"kind": "heat", "region": "west", "rise_c": 4.0, "repair_minutes": 120},
            {"kind": "surge", "factor": 1.5, "repair_minutes": 60, "at_minute": 30},
        )
        both = {"west-users": 1.5, "east-users": 1.5}
        assert slices(timeline, lambda c: (dict(c.ambient_rise_c), dict(c.demand_factor))) == [
            (0.0, 30.0, ({"west": 4.0}, {})),
            (30.0, 90.0, ({"west": 4.0}, both)),
            (90.0, 120.0, ({"west": 4.0}, {})),
        ]

    def test_a_surge_of_one_zone_leaves_others_as_they_are(self):
        event = {"kind": "surge", "zones": ["east-users"], "factor": 2.0, "repair_minutes": 60}
        (interval,) = course_of(TINY, event).intervals
        assert interval.state.demand_factor == {"east-users": 2.0}

    def test_a_service_takes_its_plant_and_its_tiers(self, reference):
        (interval,) = course_of(
            reference.model, lost("service", "us-west-cooling-control")
        ).intervals
        assert interval.state.plants_down == {
            "us-west-loops",
            "us-west-chillers",
            "us-west-standby",
        }
        assert interval.state.tiers_down == frozenset()
        (interval,) = course_of(reference.model, lost("service", "session-store")).intervals
        assert interval.state.tiers_down == {"consumer_plus", "consumer_free"}

    def test_losing_all_regions_with_replicas_takes_the_tiers(self, reference):
        timeline = course_of(
            reference.model,
            lost("region", "us-west", 120.0),
            lost("region", "us-east", 60.0, at=30.0),
        )
        assert slices(timeline, lambda c: len(c.tiers_down)) == [
            (0.0, 30.0, 0),
            (30.0, 90.0, 5),
            (90.0, 120.0, 0),
        ]


class TestTime:
    def test_an_event_that_starts_later_begins_its_own_interval(self):
        timeline = course_of(TINY, lost("region", "west", 10.0, at=25.0))
        assert slices(timeline, lambda c: set(c.clusters_down)) == [
            (0.0, 25.0, set()),
            (25.0, 35.0, {"west-gpus"}),
        ]

    def test_a_gap_between_events_is_a_normal_interval(self):
        timeline = course_of(
            TINY, lost("region", "west", 10.0), lost("region", "east", 10.0, at=30.0)
        )
        assert slices(timeline, lambda c: set(c.clusters_down)) == [
            (0.0, 10.0, {"west-gpus"}),
            (10.0, 30.0, set()),
            (30.0, 40.0, {"east-gpus"}),
        ]

    def test_overlapping_events_of_one_kind_add_up(self):
        heat = {"kind": "heat", "region": "west", "rise_c": 3.0, "repair_minutes": 60}
        surge = {"kind": "surge", "factor": 1.5, "repair_minutes": 60}
        units = {"kind": "largest-units", "plant": "west-chillers", "repair_minutes": 60}
        later = {"at_minute": 20}
        timeline = course_of(TINY, heat, surge, units, heat | later, surge | later, units | later)
        assert slices(
            timeline,
            lambda c: (
                c.ambient_rise_c["west"],
                c.demand_factor["west-users"],
                c.lost_largest["west-chillers"],
            ),
        ) == [(0.0, 20.0, (3.0, 1.5, 1)), (20.0, 60.0, (6.0, 2.25, 2)), (60.0, 80.0, (3.0, 1.5, 1))]

    def test_a_repaired_node_is_down_while_another_event_holds_it(self):
        timeline = course_of(TINY, lost("region", "west", 60.0), lost("cluster", "west-gpus", 90.0))
        assert slices(timeline, lambda c: (set(c.clusters_down), len(c.plants_down))) == [
            (0.0, 60.0, ({"west-gpus"}, 2)),
            (60.0, 90.0, ({"west-gpus"}, 0)),
        ]

    def test_adjoining_events_of_the_same_effect_are_one_interval(self):
        timeline = course_of(
            TINY, lost("region", "west", 30.0), lost("region", "west", 30.0, at=30.0)
        )
        assert slices(timeline, lambda c: set(c.clusters_down)) == [(0.0, 60.0, {"west-gpus"})]

    def test_a_surge_of_factor_one_leaves_the_normal_state(self):
        timeline = course_of(TINY, {"kind": "surge", "factor": 1.0, "repair_minutes": 60})
        assert timeline.intervals[0].state == normal_state(TINY, build_graph(TINY))

    def test_timeline_starts_at_the_hour_of_the_scenario(self, reference):
        assert course_of(TINY, lost("region", "west")).start_hour == 0.0
        assert course_of(reference.model, lost("region", "us-west")).start_hour == 16.0
        assert course_of(TINY, lost("region", "west"), start_hour=70.5).start_hour == 70.5


class TestPower:
    def test_batteries_bridge_a_lost_feed_until_the_generator_runs(self):
        """Batteries carry the clusters, not the cooling, until the generator runs; fuel ends."""
        timeline = course_of(POWERED, lost("feed", "w", 120.0))
        read = slices(
            timeline,
            lambda c: (
                set(c.clusters_down),
                "west-chillers" in c.plants_down,
                limits_of(c, "west"),
            ),
        )
        assert read == [
            (0.0, 2.0, (set(), True, {WEST: 11.0, WEST_PLANTS: 0.0})),
            (2.0, 62.0, (set(), False, {WEST: 6.0})),
            (62.0, 120.0, ({"west-gpus"}, True, {WEST: 0.0})),
        ]

    def test_batteries_that_end_before_the_generator_runs_leave_a_gap(self):
        model = POWERED.replace(
            feeds=dict(POWERED.feeds)
            | {"w": POWERED.feeds["w"].replace(ups_minutes=5.0, generator_start_minutes=8.0)}
        )
        timeline = course_of(model, lost("feed", "w", 60.0, at=10.0))
        assert slices(timeline, lambda c: (set(c.clusters_down), "west-air" in c.plants_down)) == [
            (0.0, 10.0, (set(), False)),
            (10.0, 15.0, (set(), True)),
            (15.0, 18.0, ({"west-gpus"}, True)),
            (18.0, 70.0, (set(), False)),
        ]

    def test_batteries_without_a_generator_end_in_an_outage(self):
        model = POWERED.replace(
            feeds=dict(POWERED.feeds) | {"w": POWERED.feeds["w"].replace(generator_mw=0.0)}
        )
        timeline = course_of(model, lost("feed", "w", 60.0))
        assert slices(timeline, lambda c: (set(c.clusters_down), limits_of(c, "west"))) == [
            (0.0, 15.0, (set(), {WEST: 11.0, WEST_PLANTS: 0.0})),
            (15.0, 60.0, ({"west-gpus"}, {WEST: 0.0})),
        ]

    def test_a_short_failure_ends_before_the_batteries(self):
        timeline = course_of(POWERED, lost("feed", "w", 1.0))
        assert slices(timeline, lambda c: set(c.clusters_down)) == [(0.0, 1.0, set())]
        assert timeline.intervals[0].state.plants_down == {"west-chillers", "west-air"}

    def test_one_of_two_feeds_lost_leaves_loads_up(self):
        timeline = course_of(POWERED, lost("feed", "e1"))
        (interval,) = timeline.intervals
        assert interval.state.clusters_down == frozenset()
        assert interval.state.plants_down == frozenset()
        assert limits_of(interval.state, "west") == {WEST: 11.0}
        assert limits_of(interval.state, "east") == {EAST: 6.0}

    def test_both_feeds_lost_take_loads_down(self):
        (interval,) = course_of(POWERED, lost("feed", "e1"), lost("feed", "e2")).intervals
        assert interval.state.clusters_down == {"east-gpus"}
        assert interval.state.plants_down == {"east-chillers"}
        assert limits_of(interval.state, "east") == {EAST: 0.0}
        assert interval.state.clusters_down.isdisjoint({"west-gpus"})

    def test_a_feed_for_named_loads_takes_down_no_others(self):
        model = POWERED.replace(
            feeds={
                "a": POWERED.feeds["e1"].replace(region="west", powers=("west-gpus",)),
                "b": POWERED.feeds["e2"].replace(region="west", powers=("west-chillers",)),
            }
        )
        (interval,) = course_of(model, lost("feed", "b")).intervals
        assert interval.state.plants_down == {"west-chillers"}
        assert interval.state.clusters_down == frozenset()

    def test_power_is_capped_by_the_limit_of_the_region(self):
        limits = {"west": POWERED.regions["west"].replace(power_limit_mw=4.0)}
        model = POWERED.replace(regions=dict(POWERED.regions) | limits)
        assert limits_of(normal_state(model, build_graph(model)), "west") == {WEST: 4.0}


class TestReaction:
    def test_reaction_is_that_of_the_platform(self):
        timeline = course_of(TINY, lost("region", "west", at=10.0), lost("region", "east", at=40.0))
        assert TINY.operations.detection_minutes == 5.0
        assert timeline.failures == (10.0, 40.0)
        assert timeline.reaction_minutes == timeline.order_minutes == 5.0 + 10.0
        assert timeline.order_minute == 10.0 + 5.0 + 10.0

    def test_a_scenario_may_override_the_reaction(self):
        timeline = course_of(
            TINY,
            lost("region", "west"),
            operations={"detection_minutes": 50.0, "approval_minutes": 15.0},
        )
        assert timeline.reaction_minutes == 60.0
        assert timeline.order_minutes == timeline.order_minute == 75.0
        assert timeline.operations.failover_minutes == TINY.operations.failover_minutes

    def test_reaction_of_2023_is_that_of_its_model(self, reference):
        """Alerts at 16:55, emergency cooling at 18:05, procurement at 18:20 (minute 0 = 16:05)."""
        model = reference.model
        timeline = timeline_of(model, build_graph(model), model.scenarios["incident-2023"])
        assert timeline.operations.detection_minutes == 50.0
        assert timeline.failures == (0.0,)
        assert timeline.reaction_minutes == 120.0
        assert timeline.order_minute == 135.0
        (interval,) = timeline.intervals
        assert interval.state.lost_units == {("us-west-loops", "loop-36"): 1}


MINUTES = st.integers(0, 90)
LENGTHS = st.integers(1, 120)
EVENTS = st.one_of(
    st.builds(lost, st.just("region"), st.sampled_from(["west", "east"]), LENGTHS, MINUTES),
    st.builds(lost, st.just("feed"), st.sampled_from(["w", "e1", "e2"]), LENGTHS, MINUTES),
    st.builds(lost, st.just("plant"), st.just("east-chillers"), LENGTHS, MINUTES),
    st.builds(lost, st.just("provider"), st.just("cloudy"), LENGTHS, MINUTES),
    st.builds(
        lambda at, length, rise: {
            "kind": "heat", "region": "west", "rise_c": rise, "at_minute": at,
            "repair_minutes": length,
        },
        MINUTES, LENGTHS, st.integers(0, 5),
    ),
    st.builds(
        lambda at, length, count: {
            "kind": "largest-units", "plant": "west-chillers", "count": count, "at_minute": at,
            "repair_minutes": length,
        },
        MINUTES, LENGTHS, st.integers(1, 3),
    ),
)  # fmt: skip


def expected_at(events: list[dict[str, Any]], minute: float) -> tuple[Any, ...]:
    """What is down at a minute, worked out for that minute alone."""
    active = [e for e in events if e["at_minute"] <= minute < e["at_minute"] + e["repair_minutes"]]
    failed: set[str] = set()
    for event in (e for e in active if "name" in e):
        failed.add(f"{event['kind']}:{event['name']}")
        if event["kind"] == "feed" and event["name"] == "w":
            since = minute - event["at_minute"]
            failed |= {"ups:w"} if since >= 15 else set()
            failed |= set() if 2 <= since < 62 else {"generator:w"}
        elif event["kind"] == "feed":
            failed |= {f"ups:{event['name']}", f"generator:{event['name']}"}
    down = down_nodes(build_graph(POWERED), failed, frozenset({"cools"}))
    return (
        {n.removeprefix("cluster:") for n in down if n.startswith("cluster:")},
        {n.removeprefix("plant:") for n in down if n.startswith("plant:")},
        {n.removeprefix("offer:") for n in down if n.startswith("offer:")},
        sum(e["rise_c"] for e in active if e["kind"] == "heat"),
        sum(e["count"] for e in active if e["kind"] == "largest-units"),
    )


@given(st.lists(EVENTS, min_size=1, max_size=4))
def test_intervals_say_what_holds_at_every_minute(events):
    timeline = course_of(POWERED, *events)
    assert timeline.intervals[0].start_minute == 0.0
    assert timeline.end_minute == max(e["at_minute"] + e["repair_minutes"] for e in events)
    for one, other in pairwise(timeline.intervals):
        assert one.end_minute == other.start_minute
        assert one.state != other.state
    for interval in timeline.intervals:
        state = interval.state
        found = (
            state.clusters_down,
            state.plants_down,
            state.offers_down,
            state.ambient_rise_c.get("west", 0.0),
            state.lost_largest.get("west-chillers", 0),
        )
        assert interval.start_minute < interval.end_minute
        middle = (interval.start_minute + interval.end_minute) / 2
        for minute in (interval.start_minute, middle, interval.end_minute - 0.5):
            assert found == expected_at(events, minute), minute
