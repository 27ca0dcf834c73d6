"""The clock of the standard, and events on whole minutes."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.graph import build_graph
from planner.infrastructure.loading import load_model
from planner.scenarios.standard import StandardClock
from planner.scenarios.timeline import Timeline, timeline_of

#: Tiny with a feed behind batteries and a generator, a plant that cannot have units, a region in
#: which nothing stands, and a service that nothing needs.
MODEL = load_model(
    "tiny",
    (
        "feeds.w={region: west, capacity_mw: 11, ups_minutes: 10, generator_mw: 6,"
        " generator_start_minutes: 15, generator_hours: 1}",
        "feeds.spare={region: west, capacity_mw: 11, powers: [west-air]}",
        "plants.none={region: west, cools: [west-gpus], options: [chiller-1], max_added: 0}",
        "regions.moon={power_limit_mw: 1.0}",
        "zones.west-users.latency_ms.moon=900",
        "zones.east-users.latency_ms.moon=900",
        "services.wiki={plane: control}",
    ),
).model
GRAPH = build_graph(MODEL)


def lost(kind: str, name: str, at: float = 0.0, repair: float = 60.0) -> dict[str, Any]:
    return {"kind": kind, "name": name, "repair_minutes": repair, "at_minute": at}


def surge(factor: float, at: float = 0.0, repair: float = 60.0) -> dict[str, Any]:
    return {"kind": "surge", "factor": factor, "repair_minutes": repair, "at_minute": at}


def heat(rise: float, at: float = 0.0, region: str = "west") -> dict[str, Any]:
    return {
        "kind": "heat", "region": region, "rise_c": rise, "repair_minutes": 60.0, "at_minute": at
    }  # fmt: skip


def units(plant: str, unit: str, at: float = 0.0) -> dict[str, Any]:
    return {"kind": "units", "plant": plant, "unit": unit, "repair_minutes": 60.0, "at_minute": at}


def laid_out(*events: dict[str, Any], model: Model = MODEL) -> Timeline:
    scenario = Scenario.model_validate(
        {"name": "s", "severity": "single", "frequency_per_year": 1.0, "events": events}
    )
    return timeline_of(model, GRAPH if model is MODEL else build_graph(model), scenario)


LOSS = lost("region", "west", 120.0)


class TestClock:
    @pytest.mark.parametrize(
        ("events", "starts"),
        [
            ([LOSS], (120.0,)),
            ([lost("region", "east"), LOSS], (0.0, 120.0)),
            ([units("west-chillers", "chiller-3"), LOSS], (0.0, 120.0)),
            # From what makes it worse only as long as nothing is taken down.
            ([surge(1.5, 30.0), LOSS], (30.0, 120.0)),
            ([lost("region", "east"), surge(1.5, 30.0)], (0.0,)),
            ([surge(1.5), heat(4.0, 30.0)], (0.0,)),
            ([heat(4.0, 7.0)], (7.0,)),
            # What follows from the loss of a feed later counts from the loss.
            ([lost("feed", "w", 5.0, 600.0)], (5.0,)),
        ],
    )
    def test_clock_starts_with_each_new_loss(self, events, starts):
        assert laid_out(*events).clock.starts == starts

    @pytest.mark.parametrize("at", [0.0, 180.0])
    @pytest.mark.parametrize(
        "harmless",
        [
            surge(1.0, repair=10.0),
            surge(0.5),
            heat(0.0),
            heat(3.0, region="moon"),
            units("none", "chiller-1"),
            {"kind": "largest-units", "plant": "none", "repair_minutes": 60.0},
            lost("region", "moon"),
            lost("service", "wiki"),
        ],
        ids=str,
    )
    def test_events_that_change_nothing_never_start_the_clock(self, harmless, at):
        timeline = laid_out(harmless | {"at_minute": at}, LOSS)
        assert timeline.clock.starts == (120.0,)
        assert timeline.failures == (120.0,)

    @pytest.mark.parametrize(
        "again",
        [
            lost("region", "west", 150.0, 600.0),
            lost("cluster", "west-gpus", 150.0),
            lost("plant", "west-chillers", 150.0),
            units("west-chillers", "chiller-3", 150.0),
            lost("feed", "w", 150.0),
        ],
        ids=str,
    )
    def test_losing_what_is_down_does_not_restart_the_clock(self, again):
        assert laid_out(LOSS, again).clock.starts == (120.0,)

    def test_simultaneous_events_start_the_clock_once(self):
        again = lost("cluster", "west-gpus", 120.0)
        assert laid_out(LOSS, again).clock.starts == (120.0,)

    def test_clock_never_starts_where_nothing_happens(self):
        timeline = laid_out(surge(1.0, 5.0))
        assert timeline.clock.starts == ()
        assert timeline.clock.since(1e4) == -math.inf
        assert timeline.failures == (5.0,)

    def test_rules_count_minutes_from_the_clock(self):
        minutes = StandardClock((2.0, 4.0)).minutes(6)
        assert minutes.tolist() == [-math.inf, -math.inf, 0.0, 1.0, 0.0, 1.0]

    def test_emergency_capacity_is_for_the_failure_that_leaves_too_little(self):
        spare = {"kind": "largest-units", "plant": "west-chillers", "repair_minutes": 60.0}
        assert laid_out(spare, LOSS).failures == (0.0, 120.0)
        assert laid_out(spare, LOSS).short_from == 120.0
        assert laid_out(lost("region", "east"), LOSS).short_from == 0.0


TIMES = st.floats(0, 200, allow_nan=False)


class TestWholeMinutes:
    @given(at=TIMES, repair=st.floats(1e-6, 100))
    def test_every_event_is_within_the_minutes_that_it_takes(self, at, repair):
        timeline = laid_out(lost("region", "west", at, repair))
        down = [one for one in timeline.intervals if "west-gpus" in one.state.clusters_down]
        assert down, "it has vanished"
        start, end = down[0].start_minute, down[-1].end_minute
        assert start == int(start) <= at + 1e-6 and at < start + 1
        assert end == int(end)
        assert max(start + 1, at + repair - 1e-6) <= end < max(start + 1, at + repair) + 1

    @given(
        at=TIMES,
        repair=st.floats(0.1, 100),
        ups=st.floats(0, 30),
        start=st.floats(0, 30),
        hours=st.floats(0, 1),
    )
    def test_power_is_gone_only_where_nothing_supplies_it(self, at, repair, ups, start, hours):
        """Dark if and only if neither batteries, generators nor the repair are there in time."""
        feed = MODEL.feeds["w"].replace(
            ups_minutes=ups, generator_start_minutes=start, generator_hours=hours
        )
        model = MODEL.replace(feeds={"w": feed})
        timeline = laid_out(lost("feed", "w", at, repair), model=model)
        dark = [one for one in timeline.intervals if "west-gpus" in one.state.clusters_down]
        gap = min(start, repair) - ups
        out = repair - max(start + 60 * hours, ups)
        longest = max(gap, out)
        if abs(gap) > 1e-3 and abs(out) > 1e-3:
            assert bool(dark) == (longest > 0)
        total = sum(one.end_minute - one.start_minute for one in dark)
        assert total >= max(0.0, gap) + max(0.0, out if start < repair else 0.0) - 1e-3

    def test_batteries_that_last_until_generators_run_leave_no_gap(self):
        """Empty at 20.5, generators at 20.3: both within minute 20, and nothing goes dark."""
        feed = MODEL.feeds["w"].replace(ups_minutes=10.25, generator_start_minutes=10.05)
        timeline = laid_out(lost("feed", "w", 10.25, 30.0), model=MODEL.replace(feeds={"w": feed}))
        assert not any("west-gpus" in one.state.clusters_down for one in timeline.intervals)

    @pytest.mark.parametrize(
        ("at", "repair", "wait", "until"), [(3.25, 2.0, 4.0, 10.0), (3.0, 2.0, 4.5, 10.0)]
    )
    def test_units_restart_with_the_minute_after(self, at, repair, wait, until):
        model = MODEL.replace(
            cooling_units={
                name: one.replace(restart_minutes=wait) for name, one in MODEL.cooling_units.items()
            }
        )
        timeline = laid_out(
            {"kind": "sag", "feed": "w", "at_minute": at, "repair_minutes": repair}, model=model
        )
        restarting = [one for one in timeline.intervals if one.state.restarting]
        assert restarting[0].start_minute == 3.0
        assert restarting[-1].end_minute == until

    def test_two_fractions_that_add_up_to_a_minute_end_with_it(self):
        (_, down) = laid_out(lost("region", "west", 10.1, 0.9)).intervals
        assert (down.start_minute, down.end_minute) == (10.0, 11.0)
