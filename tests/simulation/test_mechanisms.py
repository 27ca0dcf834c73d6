"""Each mechanism of the cascade by itself, against figures worked out by hand.

In `one`, 1,000 GPUs at full load make 10 MW; a megawatt too little cooling is a degree a minute.
In `two`, all users prefer the first of two sites of 600 requests/s.
"""

from __future__ import annotations

import numpy as np
import pytest
from simulation.worlds import (
    changed,
    fluid_queue,
    hasty,
    lose,
    lose_chillers,
    operating,
    run,
    surge,
    unattended,
)

from planner.infrastructure.customers import Zone
from planner.infrastructure.entities import Feed, Model, Plant, Service
from planner.infrastructure.failures import Heat, LargestUnitsLoss, UnitLoss
from planner.infrastructure.operations import RestorationPhase


class TestStandbyCooling:
    @staticmethod
    def with_spare(model: Model, automatic: bool) -> Model:
        spare = Plant(
            name="spare",
            region="here",
            cools=("site",),
            role="emergency",
            automatic=automatic,
            existing={"fan": 5},
        )
        return model.replace(plants={**model.plants, "spare": spare})

    def test_standby_cooling_carries_heat_after_its_start_up_time(self, one: Model) -> None:
        case = run(self.with_spare(one, automatic=True), lose_chillers(1, at=10))
        assert case.plant("spare")[[0, 10, 16, 17, 119]].tolist() == [0, 0, 0, 5, 5]
        # Seven minutes of 1 MW too little, then 14 MW against 10 MW until all is carried away.
        expected = [65, 65, 66, 67, 68, 69, 70, 71, 72, 68, 65, 65]
        assert case.cluster("temperature_c", "site")[9:21] == pytest.approx(expected)

    def test_standby_cooling_waits_for_operators_where_they_start_it(self, one: Model) -> None:
        case = run(self.with_spare(one, automatic=False), lose_chillers(1, at=10))
        # Failure at 10, alert at 15, action at 25, seven minutes to start.
        assert case.plant("spare")[[10, 25, 31, 32]].tolist() == [0, 0, 0, 5]

    def test_standby_units_of_a_primary_plant_start_likewise(self, one: Model) -> None:
        model = changed(one, "plants", "chillers", existing={"chiller": 10, "fan": 5})
        case = run(model, lose_chillers(1, at=10))
        assert case.plant("chillers")[[0, 9, 10, 16, 17]].tolist() == [10, 10, 9, 9, 14]

    def test_standby_cooling_stays_off_while_running_units_suffice(self, one: Model) -> None:
        model = changed(self.with_spare(one, automatic=True), "plants", "chillers")
        model = changed(model, "plants", "chillers", existing={"chiller": 11})
        assert not run(model, lose_chillers(1, at=10)).plant("spare").any()

    def test_standby_cooling_starts_for_a_shortage_later_than_the_failure(self, one: Model) -> None:
        model = self.with_spare(one, automatic=True)
        model = changed(model, "zones", "users", demand_rps=500.0)
        # 7.5 MW fit on nine chillers; doubled demand at minute 30 does not.
        case = run(unattended(model), lose_chillers(1, at=10), surge(2, 30, 1000))
        assert case.plant("spare")[[36, 37]].tolist() == [0, 5]

    def test_operators_start_standby_cooling_rather_than_leave_gpus_off(self, one: Model) -> None:
        model = self.with_spare(one, automatic=False)
        model = changed(model, "zones", "users", demand_rps=500.0)
        case = run(model, lose_chillers(1, at=10), surge(2, 40, 1000))
        # From 25 on 900 GPUs fit their cooling; from 32 on all do, before anybody needs them.
        assert case.plant("spare")[[31, 32]].tolist() == [0, 5]
        powered = case.cluster("powered_gpus", "site")
        assert powered[[24, 25, 31, 32]] == pytest.approx([1000, 900, 900, 1000])
        assert case.served()[40:].tolist() == [1000] * 80


class TestLoadBalancers:
    def test_requests_fail_until_load_balancers_act_and_no_longer(self, two: Model) -> None:
        served = run(hasty(two), lose("region", "near")).served()
        assert served.tolist() == [500.0] * 10 + [0.0] * 4 + [500.0] * 106

    @pytest.mark.parametrize("minutes", [0, 1, 7])
    def test_failover_takes_as_long_as_the_model_says(self, two: Model, minutes: int) -> None:
        model = operating(hasty(two), failover_minutes=minutes)
        served = run(model, lose("region", "near")).served()
        assert (served == 0).sum() == minutes

    def test_failover_time_is_rounded_up_to_whole_minutes(self, two: Model) -> None:
        model = operating(hasty(two), failover_minutes=2.5)
        assert (run(model, lose("region", "near")).served() == 0).sum() == 3

    def test_failback_takes_as_long_as_failover(self, two: Model) -> None:
        case = run(hasty(two), lose("region", "near", 10, 60))
        # Repaired at 70, checked until 85, used from 89 on.
        assert case.target("capacity_rps", "first")[[9, 10, 84, 85]].tolist() == [600, 0, 0, 600]
        assert case.target("load_rps", "first")[[9, 10, 88, 89]].tolist() == [500, 0, 0, 500]
        assert case.target("load_rps", "second")[[10, 14, 88, 89]].tolist() == [0, 500, 500, 0]
        assert (case.served()[14:] == 500).all()

    def test_backups_take_no_more_than_their_capacity(self, two: Model) -> None:
        model = changed(two, "zones", "users", demand_rps=1000.0)
        case = run(model, lose("region", "near"))
        assert case.target("load_rps", "second")[[9, 14]].tolist() == [400, 600]

    def test_load_balancers_know_at_once_what_operators_switch_off(self, two: Model) -> None:
        model = changed(two, "cooling_units", "chiller", capacity_mw=3.0)
        model = changed(model, "plants", "second-plant", existing={"chiller": 2})
        model = changed(model, "plants", "first-plant", existing={"chiller": 2})
        model = changed(model, "clusters", "first", capacitance_mj_per_k_per_mw=100.0)
        loss = UnitLoss(
            kind="units",
            plant="first-plant",
            unit="chiller",
            count=1,
            at_minute=10,
            repair_minutes=1000,
        )
        case = run(model, loss)
        # Operators leave 300 of 600 GPUs on at 25, and have drained the others.
        assert case.target("load_rps", "first")[[24, 25]] == pytest.approx([500, 300])
        assert case.target("load_rps", "second")[[24, 25]] == pytest.approx([0, 200])
        assert (case.served() == 500).all()

    def test_load_balancers_only_reach_regions_within_the_latency_of_a_tier(
        self, two: Model
    ) -> None:
        model = changed(hasty(two), "tiers", "high", latency_limit_ms=20.0)
        case = run(model, lose("region", "near"))
        assert case.served("high")[[9, 14]].tolist() == [200, 0]
        assert case.served("low")[[9, 14]].tolist() == [300, 300]


class TestScarcity:
    """Demand doubles to 800 + 1,200 requests/s on capacity for 1,000 at minute 5."""

    EVENT = surge(2.0, 5, 1000)

    def test_priorities_shed_lower_tiers_at_once(self, one: Model) -> None:
        case = run(operating(one, priority_shedding="automatic"), self.EVENT)
        assert case.served("high")[[4, 5, 40]].tolist() == [400, 800, 800]
        assert case.served("low")[[4, 5, 40]].tolist() == [600, 200, 200]
        assert case.total("shed")[[4, 5, 40]].tolist() == [0, 60_000, 60_000]
        assert not case.total("waiting").any()

    def test_without_priorities_tiers_are_shed_in_equal_shares(self, one: Model) -> None:
        """Of every tier the same share is served, less and less of it for clients still there."""
        case = run(operating(one, priority_shedding="none"), self.EVENT)
        assert case.served("high")[4:] * 600 == pytest.approx(case.served("low")[4:] * 400)
        assert (case.target("load_rps", "site") == 1000).all()
        assert not case.total("shed").any()
        assert case.total("waiting")[[4, 5, 6]].tolist() == [0, 60_000, 120_000]
        live, stale = 0.0, 0.0
        for minute in range(5, 16):
            # The law errs by up to 4 % of the requests in a minute.
            within = 0.04 * (live + stale + 120e3)
            live, stale, good = fluid_queue(live, stale, 120e3, 60e3, 2.0)
            assert case.served()[minute] * 60 == pytest.approx(good, abs=within)
            assert case.total("stale")[minute] == pytest.approx(stale, abs=within)
        assert case.total("wasted")[15] > 2 * case.served()[15] * 60

    def test_operators_shed_load_and_end_wasted_work(self, one: Model) -> None:
        case = run(operating(one, priority_shedding="operator"), self.EVENT)
        # Surge at 5, operators at 5 + 5 + 10.
        assert case.served("high")[19] < 160
        assert case.total("wasted")[19] > 0.7 * 60_000
        assert case.served("high")[[20, 40]].tolist() == [800, 800]
        assert case.served("low")[[20, 40]].tolist() == [200, 200]
        assert not case.total("stale")[20:].any()
        assert not case.total("wasted")[22:].any()

    def test_a_scenario_can_override_operations(self, one: Model) -> None:
        model = operating(one, priority_shedding="automatic")
        changes = {"priority_shedding": "operator", "response_minutes": 20.0}
        case = run(model, self.EVENT, operations=changes)
        assert case.served("high")[29] < 400
        assert case.served("high")[30] == 800


class TestQueue:
    def test_queue_fills_overflows_and_drains(self, one: Model) -> None:
        model = changed(one, "zones", "users", demand_rps=700.0)
        model = operating(
            model, priority_shedding="none", queue_limit_requests=30_000.0, patience_minutes=2.0
        )
        case = run(model, surge(2.0, 5, 4))
        # 400 requests/s too many: 24,000 a minute join until 30,000 wait; clients who time out do
        # not make room. From minute 9 on 18,000 more are served than come.
        assert case.total("waiting")[4:12].tolist() == [0, 24e3, 30e3, 30e3, 30e3, 12e3, 0, 0]
        assert case.total("dropped")[4:12].tolist() == [0, 0, 18e3, 24e3, 24e3, 0, 0, 0]
        load = case.target("load_rps", "site")[4:12]
        assert load.tolist() == pytest.approx([700, *([1000] * 5), 900, 700])

    def test_clients_who_time_out_follow_the_law(self, one: Model) -> None:
        model = changed(one, "zones", "users", demand_rps=700.0)
        case = run(operating(model, priority_shedding="none", patience_minutes=3.0), surge(2, 5, 4))
        live = stale = timed_out = 0.0
        for minute in range(5, 17):
            arriving = 84e3 if minute < 9 else 42e3
            before = live
            live, stale, good = fluid_queue(live, stale, arriving, 60e3, 3.0)
            timed_out += before + arriving - live - good
            assert case.served()[minute] * 60 == pytest.approx(good, abs=0.03 * 84e3)
            assert case.total("stale")[minute] == pytest.approx(stale, abs=0.03 * 84e3)
        assert case.total("timed_out").sum() == pytest.approx(timed_out, rel=0.03)

    def test_requests_sent_to_a_lost_site_wait_for_room_elsewhere(self, two: Model) -> None:
        case = run(two, lose("region", "near"))
        # All 30,000 of minute 10 wait; two minutes of patience leave 2·(1 − e^(−1/2)) of one.
        assert case.total("waiting")[10] == pytest.approx(60e3 * (1 - np.exp(-0.5)), rel=0.04)
        # Under shedding nobody waits in vain, and there is room for all of them at the other site.
        assert case.total("purged")[10] == case.total("timed_out")[10] > 0
        assert case.target("load_rps", "second")[11] * 60 == pytest.approx(
            case.total("waiting")[10]
        )
        # In minute 14 it takes 30,000 new requests and has room for 6,000 of those that wait.
        assert case.target("load_rps", "second")[14] == 600
        assert 500 < case.served()[14] <= 600

    def test_queue_uses_no_capacity_that_load_balancers_do_not_know_of(self, two: Model) -> None:
        """Cloud that has arrived serves those that wait only once load balancers reckon with it."""
        model = changed(two, "clusters", "second", existing_gpus=100)
        model = changed(model, "offers", "cloud", lead_time_minutes=0)
        model = operating(model, detection_minutes=0, response_minutes=0, approval_minutes=0)
        case = run(model, lose("region", "near"))
        there, known, load = (
            case.target(record, "cloud")
            for record in ("capacity_rps", "known_capacity_rps", "load_rps")
        )
        unknown = (there > 0) & (known == 0)
        assert case.total("waiting")[unknown].all()
        assert np.flatnonzero(unknown).tolist() == [11, 12, 13, 14]
        assert not load[unknown].any()
        assert load[15] == 400

    def test_queued_requests_served_make_heat_like_all_work(self, one: Model) -> None:
        model = changed(one, "zones", "users", demand_rps=700.0)
        model = operating(model, priority_shedding="none", patience_minutes=1000.0)
        case = run(model, surge(2.0, 5, 4))
        # Busy to the last GPU while the queue drains: 5 MW static and 5 MW of work.
        assert case.target("load_rps", "site")[[4, 5, 9, 10]].tolist() == [700, 1000, 1000, 1000]
        assert case.cluster("heat_mw", "site")[[4, 9]] == pytest.approx([8.5, 10.0])


class TestOverheating:
    def test_a_cluster_throttles_from_its_throttle_temperature(self, one: Model) -> None:
        case = run(unattended(one), lose_chillers(1))
        hot, clock = case.cluster("temperature_c", "site"), case.cluster("clock", "site")
        assert hot[:12] == pytest.approx([65 + minute for minute in range(12)])
        assert (clock[:11] == 1).all()
        # 76 °C: a twentieth of the way to 95 °C, so 5 + 5·0.95 MW against 9 MW.
        assert clock[11] == pytest.approx(0.95)
        assert case.served()[10:12] == pytest.approx([1000, 950])
        assert hot[12] == pytest.approx(76.75)

    def test_temperature_settles_where_throttled_heat_equals_the_cooling(self, one: Model) -> None:
        case = run(unattended(one), lose_chillers(1))
        # 5 + 5·clock = 9 at clock 0.8, which is 79 °C.
        assert case.cluster("temperature_c", "site")[-1] == pytest.approx(79.0, abs=1e-3)
        assert case.served()[-1] == pytest.approx(800.0, abs=0.1)
        assert not case.cluster("off", "site").any()

    def test_operators_switch_off_gpus_that_cannot_be_cooled(self, one: Model) -> None:
        case = run(one, lose_chillers(3, at=10))
        assert case.cluster("powered_gpus", "site")[[9, 24, 25, 119]].tolist() == pytest.approx(
            [1000, 1000, 700, 700]
        )
        assert case.served()[-1] == pytest.approx(700, rel=1e-3)

    @staticmethod
    def all_static(model: Model, **operations: object) -> Model:
        """The model with GPUs whose heat no throttling lowers, and a long simulation."""
        model = changed(model, "gpus", "gpu", static_share=1.0)
        model = model.replace(simulation=model.simulation.replace(horizon_minutes=250.0))
        return operating(model, **operations)

    def test_a_cluster_shuts_down_at_its_shutdown_temperature(self, one: Model) -> None:
        case = run(self.all_static(unattended(one)), lose_chillers(1))
        # 65 °C and a degree a minute: 95 °C at the end of minute 29.
        off = case.cluster("off", "site")
        assert off[[28, 29, 249]].tolist() == [False, True, True]
        assert case.cluster("powered_gpus", "site")[[29, 30]].tolist() == [1000, 0]
        assert case.cluster("heat_mw", "site")[[29, 30]].tolist() == [10, 0]
        assert case.served()[[30, 249]].tolist() == [0, 0]

    @pytest.mark.parametrize(
        ("reaction", "back"),
        [
            # Off from 30 on, 9 degrees a minute colder: 68 °C, below 70 °C, at 33; checks of 15.
            (30.0, 48),
            # Cool long since when operators come.
            (60.0, 75),
        ],
    )
    def test_a_cluster_restarts_when_cool_attended_and_checked(
        self, one: Model, reaction: float, back: int
    ) -> None:
        model = self.all_static(one, detection_minutes=reaction, response_minutes=0)
        case = run(model, lose_chillers(1))
        off = case.cluster("off", "site")
        assert np.flatnonzero(off).tolist() == list(range(29, back))
        assert case.cluster("temperature_c", "site")[30:34] == pytest.approx([95, 86, 77, 68])
        assert case.target("capacity_rps", "site")[back - 1 : back + 1] == pytest.approx([0, 900])

    def test_checks_begin_anew_when_power_is_lost_during_them(self, one: Model) -> None:
        """Power fails again at 30, five minutes before checks of a quarter of an hour are over."""
        model = operating(one, detection_minutes=0, response_minutes=0)
        case = run(model, lose("region", "here", 10, 10), lose("region", "here", 30, 10))
        assert np.flatnonzero(case.cluster("off", "site")).tolist() == list(range(10, 55))

    def test_gpus_under_checks_are_powered_and_hot_but_serve_nothing(self, one: Model) -> None:
        model = self.all_static(one, detection_minutes=30, response_minutes=0)
        case = run(model, lose_chillers(1))
        assert case.cluster("powered_gpus", "site")[[32, 33, 47]] == pytest.approx([0, 900, 900])
        assert case.cluster("heat_mw", "site")[[32, 33, 47]] == pytest.approx([0, 9, 9])
        assert case.served()[33:48].tolist() == [0] * 15

    def test_a_cluster_comes_back_in_phases(self, one: Model) -> None:
        phases = tuple(
            RestorationPhase(capacity=capacity, minutes=minutes)
            for capacity, minutes in ((0.25, 30), (0.5, 45), (0.75, 60))
        )
        model = self.all_static(one, detection_minutes=30, response_minutes=0, restoration=phases)
        capacity = run(model, lose_chillers(1)).target("capacity_rps", "site")
        # Back at 48 with 900 GPUs that can be cooled; phases end at 78, 123 and 183.
        minutes = [47, 48, 77, 78, 122, 123, 182, 183, 249]
        shares = [0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1, 1]
        assert capacity[minutes] == pytest.approx([900 * share for share in shares])


class TestCloud:
    @staticmethod
    def busy(model: Model) -> Model:
        return changed(model, "zones", "users", demand_rps=1000.0)

    def test_cloud_serves_after_order_lead_time_and_failover(self, two: Model) -> None:
        case = run(self.busy(two), lose("region", "near"))
        # Failure at 10, operators at 25, order at 30, running at 50, used from 54 on.
        assert case.history.order_minute.tolist() == [30]
        assert case.target("capacity_rps", "cloud")[[49, 50]].tolist() == [0, 400]
        assert case.target("load_rps", "cloud")[[53, 54, 119]].tolist() == [0, 400, 400]
        assert case.served()[[53, 54]].tolist() == [600, 1000]

    def test_cloud_serves_the_queue_no_sooner_than_new_requests(self, two: Model) -> None:
        model = operating(self.busy(two), priority_shedding="none")
        case = run(model, lose("region", "near"))
        assert (case.total("waiting")[40:54] > 0).all()
        assert case.target("load_rps", "cloud")[[50, 53, 54]].tolist() == [0, 0, 400]

    def test_cloud_costs_its_surge_price_while_it_is_used(self, two: Model) -> None:
        spend = run(self.busy(two), lose("region", "near")).total("emergency_usd")
        # 400 GPUs at 60 USD an hour for ten, doubled: 4,800 USD an hour.
        assert spend[[53, 54, 119]] == pytest.approx([0, 80, 80])

    def test_cloud_paid_by_its_retainer_costs_nothing_more(self, two: Model) -> None:
        model = changed(self.busy(two), "offers", "cloud", prepaid=True)
        case = run(model, lose("region", "near"))
        assert case.served()[[53, 54]].tolist() == [600, 1000]
        assert not case.total("emergency_usd").any()

    def test_cloud_is_not_ordered_while_nothing_is_short(self, two: Model) -> None:
        case = run(two, lose("region", "near"))
        assert np.isinf(case.history.order_minute).all()
        assert not case.target("capacity_rps", "cloud").any()

    def test_cloud_is_ordered_when_capacity_becomes_short(self, two: Model) -> None:
        case = run(two, lose("region", "near"), surge(2.0, 60, 1000))
        # Short in minute 60, seen and ordered in the next, there after 20, used after 4 more.
        assert case.history.order_minute.tolist() == [61]
        assert case.target("load_rps", "cloud")[[84, 85]].tolist() == [0, 400]

    def test_cloud_serves_no_tier_beyond_its_latency(self, two: Model) -> None:
        model = changed(self.busy(two), "offers", "cloud", region="far")
        model = changed(model, "tiers", "high", latency_limit_ms=20.0)
        case = run(model, lose("region", "near"))
        assert case.served("high")[-1] == 0
        assert case.served("low")[-1] == 600

    def test_cloud_is_absent_while_its_provider_is_lost(self, two: Model) -> None:
        case = run(self.busy(two), lose("region", "near"), lose("provider", "cloudy", 70, 20))
        capacity = case.target("capacity_rps", "cloud")
        assert capacity[[69, 70, 89, 90]].tolist() == [400, 0, 0, 400]
        # Requests fail for the minutes in which load balancers still send them there.
        assert case.served()[[69, 70, 73, 74]].tolist() == [1000, 600, 600, 600]
        assert case.target("load_rps", "cloud")[[93, 94]].tolist() == [0, 400]

    def test_the_cheapest_offer_is_used_first(self, two: Model) -> None:
        cloud = two.offers["cloud"]
        dear = cloud.replace(name="dear", usd_per_instance_hour=600.0)
        model = self.busy(two).replace(offers={"dear": dear, "cloud": cloud})
        case = run(model, lose("region", "near"))
        assert case.target("load_rps", "cloud")[-1] == 400
        assert case.target("load_rps", "dear")[-1] == 0


class TestPower:
    """A feed is lost from minute 10 to 110."""

    EVENT = lose("feed", "grid", 10, 100)

    @staticmethod
    def fed(model: Model, **feed: object) -> Model:
        """The model on one feed, its rooms ten times as slow to warm: a degree per 10 MW."""
        fields = {"name": "grid", "region": "here", "capacity_mw": 20.0} | feed
        model = changed(model, "clusters", "site", capacitance_mj_per_k_per_mw=60.0)
        model = model.replace(simulation=model.simulation.replace(horizon_minutes=150.0))
        return model.replace(feeds={"grid": Feed.model_validate(fields)})

    def test_a_lost_feed_without_batteries_or_generators_switches_all_off(self, one: Model) -> None:
        case = run(self.fed(one), self.EVENT)
        # Power is back at 110, checks last until 125.
        assert np.flatnonzero(case.cluster("off", "site")).tolist() == list(range(10, 125))
        assert case.plant("chillers")[[9, 10, 109, 110]].tolist() == [10, 0, 0, 10]

    def test_batteries_carry_clusters_but_not_cooling(self, one: Model) -> None:
        case = run(self.fed(one, ups_minutes=5.0), self.EVENT)
        assert case.cluster("off", "site")[[9, 10, 14, 15]].tolist() == [False, False, False, True]
        assert case.plant("chillers")[[9, 10]].tolist() == [10, 0]
        assert case.cluster("temperature_c", "site")[10:17] == pytest.approx(
            [65, 66, 67, 68, 69, 70, 70]
        )

    def test_batteries_bridge_the_start_of_generators(self, one: Model) -> None:
        feed = {"ups_minutes": 5.0, "generator_mw": 20.0, "generator_start_minutes": 2.0}
        case = run(self.fed(one, **feed), self.EVENT)
        assert not case.cluster("off", "site").any()
        assert case.plant("chillers")[[9, 10, 11, 12]].tolist() == [10, 0, 0, 10]
        assert (case.served() == 1000).all()

    def test_generators_that_start_too_late_do_not_help_at_once(self, one: Model) -> None:
        feed = {"ups_minutes": 1.0, "generator_mw": 20.0, "generator_start_minutes": 4.0}
        case = run(self.fed(one, **feed), self.EVENT)
        # Off at 11, power at 14, operators at 25, checks until 40.
        assert np.flatnonzero(case.cluster("off", "site")).tolist() == list(range(11, 40))

    def test_generators_run_out_of_fuel(self, one: Model) -> None:
        feed = {"ups_minutes": 5.0, "generator_mw": 20.0, "generator_hours": 1.0}
        case = run(self.fed(one, **feed), self.EVENT)
        # They start at 11 and stop at 71; utility power is back at 110, checks last until 125.
        assert np.flatnonzero(case.cluster("off", "site")).tolist() == list(range(71, 125))

    def test_small_generators_power_a_part(self, one: Model) -> None:
        model = changed(one, "cooling_units", "chiller", power_mw_per_mw=0.2)
        case = run(self.fed(model, ups_minutes=5.0, generator_mw=6.0), self.EVENT)
        # 6 MW are 5 MW of IT and 1 MW of cooling: half of the GPUs.
        assert case.cluster("powered_gpus", "site")[[10, 11, 109, 110]] == pytest.approx(
            [1000, 500, 500, 1000]
        )

    def test_losses_fans_and_pumps_take_power_too(self, one: Model) -> None:
        kind = {"power_mw_per_mw": 0.15, "auxiliary_mw_per_mw": 0.05}
        model = changed(one, "cooling_units", "chiller", **kind)
        model = changed(model, "regions", "here", power_loss_share=0.07, hall_mw_per_mw=0.03)
        case = run(self.fed(model, ups_minutes=5.0, generator_mw=6.5), self.EVENT)
        # 6.5 MW are 5 MW of IT, 0.5 MW of losses and fans and 1 MW of cooling.
        assert case.cluster("powered_gpus", "site")[[10, 11, 109, 110]] == pytest.approx(
            [1000, 500, 500, 1000]
        )

    def test_a_second_feed_takes_over(self, one: Model) -> None:
        model = self.fed(one)
        other = model.feeds["grid"].replace(name="other", capacity_mw=10.0)
        case = run(model.replace(feeds={**model.feeds, "other": other}), self.EVENT)
        assert not case.cluster("off", "site").any()
        assert (case.cluster("powered_gpus", "site") == 1000).all()


class TestRegion:
    def test_lost_region_is_dark_until_repaired_and_checked(self, one: Model) -> None:
        case = run(one, lose("region", "here", 10, 50))
        off = case.cluster("off", "site")
        assert np.flatnonzero(off).tolist() == list(range(10, 75))
        assert not case.cluster("heat_mw", "site")[10:60].any()
        assert case.plant("chillers")[[9, 10, 59, 60]].tolist() == [10, 0, 0, 10]
        # Checked at 75, used by load balancers from 79 on.
        assert case.served()[[9, 10, 78, 79]].tolist() == [1000, 0, 0, 1000]

    def test_second_region_lost_later_fails_again(self, two: Model) -> None:
        case = run(hasty(two), lose("region", "near", 10), lose("region", "far", 40))
        assert case.served()[[9, 10, 14, 39, 40, 83]].tolist() == [500, 0, 500, 500, 0, 0]
        # Short since 40, cloud ordered 20 minutes later, there at 80, used from 84 on.
        assert case.served()[[84, 119]].tolist() == [400, 400]


class TestClimate:
    @staticmethod
    def heat(rise: float) -> Heat:
        return Heat(kind="heat", region="here", rise_c=rise, at_minute=10, repair_minutes=20)

    def test_heat_wave_derates_cooling(self, one: Model) -> None:
        case = run(one, self.heat(20.0))
        # A hundredth per degree above 35 °C.
        assert case.plant("chillers")[[9, 10, 29, 30]] == pytest.approx([10, 8, 8, 10])
        assert case.cluster("temperature_c", "site")[[10, 11, 12]] == pytest.approx([65, 67, 69])

    def test_units_stop_above_their_cut_out(self, one: Model) -> None:
        model = changed(one, "cooling_units", "chiller", cutout_ambient_c=50.0)
        assert run(model, self.heat(20.0)).plant("chillers")[[9, 10]].tolist() == [10, 0]

    def test_heat_and_loss_of_the_largest_units_add_up(self, one: Model) -> None:
        loss = LargestUnitsLoss(
            kind="largest-units", plant="chillers", count=2, at_minute=15, repair_minutes=100
        )
        case = run(one, self.heat(20.0), loss)
        assert case.plant("chillers")[[10, 15, 30]] == pytest.approx([8, 6.4, 8])


class TestDemand:
    def test_surge_multiplies_the_zones_it_names(self, one: Model) -> None:
        model = changed(one, "zones", "users", demand_rps=100.0)
        others = Zone(name="others", demand_rps=50.0, latency_ms={"here": 1.0})
        model = model.replace(zones={**model.zones, "others": others})
        demand = run(model, surge(3.0, 10, 20, "others")).demand()
        assert demand[[9, 10, 29, 30]] == pytest.approx([150, 250, 250, 150])

    def test_surges_multiply_each_other(self, one: Model) -> None:
        model = changed(one, "zones", "users", demand_rps=100.0)
        demand = run(model, surge(2.0, 10, 20), surge(1.5, 20, 20)).demand()
        assert demand[[10, 20, 30, 40]] == pytest.approx([200, 300, 150, 100])

    def test_demand_follows_the_hours_of_the_week_from_the_start_hour(self, one: Model) -> None:
        shapes = {"two-hours": (1.0, 0.5) * 12}
        model = changed(one, "zones", "users", shape="two-hours").replace(shapes=shapes)
        demand = run(model, surge(1.0, 0, 1), start_hour=0.5).demand()
        # Half past midnight is half-way from 1,000 to 500; one o'clock is minute 30.
        assert demand[[0, 15, 30, 60, 90]] == pytest.approx([750, 625, 500, 750, 1000])


class TestServices:
    def test_tiers_whose_service_is_lost_are_shed_whatever_room_there_is(self, one: Model) -> None:
        model = one.replace(services={"auth": Service(name="auth", plane="service")})
        model = changed(model, "tiers", "low", entry="auth")
        case = run(model, lose("service", "auth", 10, 20))
        assert case.served("high").tolist() == [400] * 120
        assert case.served("low")[[9, 10, 29, 30]].tolist() == [600, 0, 0, 600]
        assert case.total("shed")[[9, 10, 29, 30]].tolist() == [0, 36_000, 36_000, 0]

    def test_lost_controls_take_their_plant_down(self, one: Model) -> None:
        model = one.replace(services={"controls": Service(name="controls", plane="control")})
        model = changed(model, "plants", "chillers", depends_on=("controls",))
        case = run(model, lose("service", "controls", 10, 20))
        assert case.plant("chillers")[[9, 10, 29, 30]].tolist() == [10, 0, 0, 10]
