"""Alerts, thermal limits of tiers, ambient by hour, tanks of chilled water, sags, generators.

In `one`, 1,000 GPUs at full load make 10 MW; a megawatt too little cooling is a degree a minute.
"""

from __future__ import annotations

import csv

import numpy as np
import pytest
from simulation.worlds import (
    changed,
    hasty,
    judged,
    lasting,
    lose,
    lose_chillers,
    operating,
    run,
    surge,
    unattended,
)
from support import CHECKOUT

from planner.infrastructure.entities import Feed, Model, Plant
from planner.infrastructure.failures import Sag, UnitLoss


def static(model: Model) -> Model:
    """GPUs whose heat no throttling lowers; nobody comes."""
    return changed(unattended(model), "gpus", "gpu", static_share=1.0)


class TestAlerts:
    @staticmethod
    def of(model: Model, *events: object, **changes: object) -> list[tuple[int, str, str, float]]:
        found = judged(model, *events, **changes).alerts
        return [(one.minute, one.quantity, one.level, one.threshold) for one in found]

    def test_temperature_alerts_come_at_each_level(self, one: Model) -> None:
        model = changed(static(one), "zones", "users", demand_rps=500.0)
        # 65 °C and a degree a minute; at a clock of a half, 500 requests/s are all GPUs can do.
        assert self.of(model, lose_chillers(1, 10)) == [
            (21, "temperature", "warning", 75.0),
            # 85 °C at 30: clock 0.5, all busy; at 29 500 of 550 requests/s, below 95 %.
            (30, "utilisation", "high", 0.95),
            (31, "temperature", "critical", 85.0),
            (36, "temperature", "emergency", 90.0),
        ]

    def test_utilisation_alerts_come_at_the_level(self, one: Model) -> None:
        """Load balancers fill clusters up to a limit that often is the level itself."""
        for demand, raised in ((949.0, False), (950.0, True)):
            model = changed(one, "zones", "users", demand_rps=demand)
            alerts = self.of(model, surge(1.0, 0, 1))
            assert alerts == ([(0, "utilisation", "high", 0.95)] if raised else [])

    def test_utilisation_alerts_follow_a_surge(self, one: Model) -> None:
        model = changed(one, "zones", "users", demand_rps=500.0)
        assert self.of(model, surge(1.92, 30, 5)) == [(30, "utilisation", "high", 0.95)]

    def test_alerts_have_the_levels_of_the_model(self, one: Model) -> None:
        model = operating(
            changed(static(one), "zones", "users", demand_rps=100.0),
            alert_temperatures_c=(66.0, 67.0, 68.0, 69.0),
            alert_utilisation=1.0,
        )
        found = self.of(model, lose_chillers(1))
        # Throttled to less than what is wanted, it is busy to the last GPU.
        assert found[-1][1:] == ("utilisation", "high", 1.0)
        assert found[:-1] == [
            (2, "temperature", "warning", 66.0),
            (3, "temperature", "critical", 67.0),
            (4, "temperature", "emergency", 68.0),
            (5, "temperature", "emergency", 69.0),
        ]

    def test_empty_clusters_raise_no_alerts(self, two: Model) -> None:
        model = changed(two, "clusters", "second", existing_gpus=0)
        assert self.of(model, surge(1.0, 0, 1)) == []


class TestThermalLimits:
    """The first site of `two` warms by a degree a minute; the upper tier may run up to 70 °C."""

    LOSS = UnitLoss(
        kind="units", plant="first-plant", unit="chiller", at_minute=10, repair_minutes=1000
    )

    @staticmethod
    def warming(model: Model, migration: str) -> Model:
        model = changed(hasty(model), "gpus", "gpu", static_share=1.0)
        model = changed(model, "cooling_units", "chiller", capacity_mw=1.0)
        for plant, units in (("first-plant", 6), ("second-plant", 6)):
            model = changed(model, "plants", plant, existing={"chiller": units})
        model = changed(model, "clusters", "first", capacitance_mj_per_k_per_mw=10.0)
        model = changed(model, "tiers", "high", thermal_limit_c=70.0)
        return operating(model, failover_minutes=0, thermal_migration=migration)

    def test_a_thermal_limit_moves_work_to_a_cooler_site_at_once(self, two: Model) -> None:
        case = run(operating(self.warming(two, "automatic"), response_minutes=1000), self.LOSS)
        # 70 °C at 15 is not above the limit, 71 °C at 16 is.
        assert case.cluster("temperature_c", "first")[[10, 15, 16]] == pytest.approx([65, 70, 71])
        assert case.target("load_rps", "first")[[15, 16]].tolist() == pytest.approx([500, 300])
        assert case.target("load_rps", "second")[[15, 16]].tolist() == pytest.approx([0, 200])
        assert case.served("high")[:40].tolist() == pytest.approx([200] * 40)

    def test_a_thermal_limit_waits_for_operators(self, two: Model) -> None:
        model = operating(self.warming(two, "operator"), detection_minutes=8, response_minutes=2)
        case = run(model, self.LOSS)
        # Operators come at 20, to 75 °C. They also leave off what cannot be cooled.
        assert case.target("load_rps", "second")[[16, 19, 20]].tolist() == pytest.approx(
            [0, 0, 200]
        )

    def test_a_thermal_limit_does_nothing_without_migration(self, two: Model) -> None:
        model = operating(self.warming(two, "none"), response_minutes=1000)
        case = run(model, self.LOSS)
        hot = case.cluster("temperature_c", "first")
        assert hot[20] == 75
        assert case.target("load_rps", "second")[:21].tolist() == [0] * 21
        assert case.target("load_rps", "first")[20] == 500

    def test_a_thermal_limit_of_one_tier_leaves_others_where_they_are(self, two: Model) -> None:
        case = run(operating(self.warming(two, "automatic"), response_minutes=1000), self.LOSS)
        assert case.served("low")[:38].tolist() == pytest.approx([300] * 38)

    @pytest.mark.parametrize(
        ("migration", "at_16", "at_25"),
        [("automatic", 0, 0), ("operator", 400, 0), ("none", 400, 400)],
    )
    def test_a_thermal_limit_sheds_where_there_is_no_other_site(
        self, one: Model, migration: str, at_16: float, at_25: float
    ) -> None:
        model = changed(hasty(one), "tiers", "high", thermal_limit_c=70.0)
        model = changed(model, "clusters", "site", throttle_c=85.0)
        model = operating(changed(model, "gpus", "gpu", static_share=1.0), detection_minutes=5)
        model = operating(model, response_minutes=10, thermal_migration=migration)
        case = run(model, lose_chillers(1, 10))
        # Operators come at 25 with 80 °C, and leave 900 GPUs on.
        assert case.served("high")[[15, 16, 25]].tolist() == pytest.approx([400, at_16, at_25])
        assert case.served("low")[16] == 600
        assert case.total("shed")[16] == pytest.approx((400 - at_16) * 60)

    def test_work_returns_to_a_site_that_is_cool_again(self, two: Model) -> None:
        model = operating(self.warming(two, "automatic"), response_minutes=1000)
        model = changed(model, "plants", "first-plant", existing={"chiller": 8})
        loss = self.LOSS.replace(count=3, repair_minutes=8)
        case = run(model, loss)
        # Eight minutes of 1 MW too little, then 8 MW against 6: 73, 71, 69 °C.
        hot = case.cluster("temperature_c", "first")
        assert hot[[18, 19, 20, 21]] == pytest.approx([73, 71, 69, 67])
        assert case.target("load_rps", "first")[[15, 16, 19, 20]].tolist() == pytest.approx(
            [500, 300, 300, 500]
        )


class TestAmbientByHour:
    @staticmethod
    def week(name: str) -> np.ndarray:
        path = CHECKOUT / "datasets" / "hot_weeks.csv"
        with path.open(encoding="utf-8", newline="") as stream:
            return np.array([float(row[name]) for row in csv.DictReader(stream)])

    @pytest.mark.parametrize("start", [0, 30, 167])
    def test_ambient_derates_cooling_hour_by_hour(self, one: Model, start: int) -> None:
        model = changed(lasting(one, 300), "regions", "here", climate="us-west", longitude=0.0)
        model = changed(
            model, "cooling_units", "chiller", reference_ambient_c=20.0, derating_per_c=0.02
        )
        case = run(model, surge(1.0, 0, 1), start_hour=start)
        week = self.week("us-west")
        for minute in (0, 60, 120, 90, 150):
            hour, part = divmod(minute, 60)
            now, then = week[(start + hour) % 168], week[(start + hour + 1) % 168]
            ambient = now + (then - now) * part / 60
            share = 1 - 0.02 * max(0.0, ambient - 20.0)
            assert case.plant("chillers")[minute] == pytest.approx(10 * share)

    def test_a_heat_wave_adds_to_the_ambient_of_the_hour(self, one: Model) -> None:
        model = changed(lasting(one, 300), "regions", "here", climate="us-west", longitude=0.0)
        model = changed(
            model, "cooling_units", "chiller", reference_ambient_c=0.0, derating_per_c=0.01
        )
        heat = {"kind": "heat", "region": "here", "rise_c": 5.0, "at_minute": 60}
        case = run(model, heat | {"repair_minutes": 60}, start_hour=12)
        normal = run(model, surge(1.0, 0, 1), start_hour=12)
        difference = normal.plant("chillers") - case.plant("chillers")
        assert difference[60:120].tolist() == pytest.approx([10 * 0.05] * 60)
        assert not difference[:60].any()
        assert not difference[120:].any()

    def test_scenarios_of_different_hours_are_simulated_together(self, one: Model) -> None:
        """Each has the ambient of its own start hour."""
        model = changed(one, "regions", "here", climate="us-west", longitude=0.0)
        model = changed(
            model, "cooling_units", "chiller", reference_ambient_c=0.0, derating_per_c=0.01
        )
        cases = [run(model, surge(1.0, 0, 1), start_hour=hour) for hour in (3, 15)]
        week = self.week("us-west")
        for case, hour in zip(cases, (3, 15), strict=True):
            assert case.plant("chillers")[0] == pytest.approx(10 * (1 - 0.01 * week[hour]))


class TestTank:
    """A tenth of a megawatt-hour: 360 MJ, six minutes of a megawatt."""

    @staticmethod
    def tanked(model: Model, mwh: float = 0.1, **units: int) -> Model:
        existing = units or {"chiller": 10}
        return changed(static(model), "plants", "chillers", buffer_mwh=mwh, existing=existing)

    @staticmethod
    def cold(case) -> np.ndarray:
        return case.history.cold_mj[:, 0, 0]

    @pytest.mark.parametrize(("mwh", "lost"), [(0.1, 1), (0.1, 2), (0.3, 3), (0.5, 6)])
    def test_a_tank_carries_the_cooling_shortfall_until_it_is_empty(
        self, one: Model, mwh: float, lost: int
    ) -> None:
        case = run(self.tanked(one, mwh), lose_chillers(lost, 10))
        minutes = int(mwh * 60 / lost)
        hot = case.cluster("temperature_c", "site")
        assert hot[: 10 + minutes + 1].tolist() == pytest.approx([65] * (11 + minutes))
        assert hot[10 + minutes + 1] == pytest.approx(65 + lost)
        expected = [mwh * 3600 - 60 * lost * n for n in range(1, minutes + 1)]
        assert self.cold(case)[10 : 10 + minutes] == pytest.approx(expected)
        assert self.cold(case)[10 + minutes : 14 + minutes].tolist() == pytest.approx([0] * 4)

    def test_a_tank_carries_part_of_a_minute_in_part(self, one: Model) -> None:
        case = run(self.tanked(one, 0.025), lose_chillers(1, 10))
        # 90 MJ: a minute and a half of a megawatt.
        hot = case.cluster("temperature_c", "site")
        assert hot[[11, 12, 13]] == pytest.approx([65, 65.5, 66.5])

    def test_a_tank_is_recharged_by_spare_units(self, one: Model) -> None:
        case = run(self.tanked(one, 0.1, chiller=12), lose_chillers(4, 10, 5))
        # Two megawatts short empty it in three minutes; then twelve units against 10 MW.
        cold = self.cold(case)
        assert cold[[9, 10, 11, 12, 14]] == pytest.approx([360, 240, 120, 0, 0])
        # Until 65 °C are reached again all cooling goes there: 4 K × 1 MW·min, two minutes.
        assert case.cluster("temperature_c", "site")[[15, 16, 17]] == pytest.approx([69, 67, 65])
        assert cold[15:22].tolist() == pytest.approx([0, 0, 120, 240, 360, 360, 360])

    def test_a_tank_in_a_lost_plant_carries_nothing(self, one: Model) -> None:
        case = run(self.tanked(one, 1.0), lose("plant", "chillers", 10, 2))
        assert case.cluster("temperature_c", "site")[[10, 11, 12]] == pytest.approx([65, 75, 85])
        assert self.cold(case)[[10, 11]] == pytest.approx([3600, 3600])

    def test_a_tank_works_without_power(self, one: Model) -> None:
        feed = Feed(name="grid", region="here", capacity_mw=20.0, ups_minutes=15.0)
        model = self.tanked(one, 1.0).replace(feeds={"grid": feed})
        case = run(model, lose("feed", "grid", 10, 6))
        # Ten megawatts of IT on batteries for six minutes are a whole megawatt-hour.
        assert case.plant("chillers")[[9, 10, 15, 16]].tolist() == [10, 0, 0, 10]
        assert (case.cluster("temperature_c", "site") == 65).all()
        assert self.cold(case)[[9, 10, 15]] == pytest.approx([3600, 3000, 0])

    def test_standby_units_start_although_a_tank_carries_the_shortfall(self, one: Model) -> None:
        """Units that start by themselves do so when running units fall short, tank or not."""
        model = self.tanked(one, 1.0, chiller=10, fan=5)
        case = run(model, lose_chillers(1, 10))
        assert case.plant("chillers")[[16, 17]].tolist() == [9, 14]
        assert (case.cluster("temperature_c", "site") == 65).all()


class TestSag:
    """Ten chillers on one feed; batteries carry 10 MW of IT for a quarter of an hour."""

    @staticmethod
    def fed(model: Model, restart: float = 4.0, **feed: object) -> Model:
        fields = {"name": "grid", "region": "here", "capacity_mw": 20.0, "ups_minutes": 15.0}
        model = changed(static(model), "cooling_units", "chiller", restart_minutes=restart)
        model = changed(model, "clusters", "site", capacitance_mj_per_k_per_mw=60.0)
        return model.replace(feeds={"grid": Feed.model_validate(fields | feed)})

    def test_a_sag_stops_running_units_for_its_length_and_their_restart(self, one: Model) -> None:
        case = run(self.fed(one), Sag(kind="sag", feed="grid", at_minute=10, repair_minutes=2))
        assert case.plant("chillers")[[9, 10, 15, 16]].tolist() == [10, 0, 0, 10]
        # Ten megawatts on 600 MJ/K: a degree a minute, for six minutes.
        hot = case.cluster("temperature_c", "site")
        assert hot[[10, 13, 16]] == pytest.approx([65, 68, 71])
        assert not case.cluster("off", "site").any()
        assert (case.served()[:16] == 1000).all()

    def test_a_sag_switches_off_clusters_without_batteries(self, one: Model) -> None:
        model = self.fed(one, ups_minutes=0.0)
        case = run(model, Sag(kind="sag", feed="grid", at_minute=10, repair_minutes=2))
        assert case.cluster("off", "site")[[9, 10, 11]].tolist() == [False, True, True]
        assert case.served()[10] == 0

    def test_a_sag_has_no_effect_with_a_second_feed(self, one: Model) -> None:
        model = self.fed(one)
        other = model.feeds["grid"].replace(name="other")
        model = model.replace(feeds={**model.feeds, "other": other})
        case = run(model, Sag(kind="sag", feed="grid", at_minute=10, repair_minutes=2))
        assert (case.plant("chillers") == 10).all()

    def test_a_sag_leaves_standby_units_alone(self, one: Model) -> None:
        spare = Plant(
            name="spare", region="here", cools=("site",), role="emergency", existing={"fan": 10}
        )
        model = self.fed(one, restart=60.0)
        model = model.replace(plants={**model.plants, "spare": spare})
        case = run(model, Sag(kind="sag", feed="grid", at_minute=10, repair_minutes=2))
        # Signal at 10, seven minutes to start.
        assert case.plant("spare")[[16, 17]].tolist() == [0, 10]
        assert case.cluster("temperature_c", "site").max() == pytest.approx(72)

    def test_a_sag_with_failed_restarts_overheats_the_site(self, one: Model) -> None:
        case = run(
            lasting(self.fed(one), 60),
            Sag(kind="sag", feed="grid", at_minute=10, repair_minutes=480),
        )
        # A degree a minute from 65 °C: 95 °C thirty minutes later.
        assert np.flatnonzero(case.cluster("off", "site"))[0] == 39
        assert not case.plant("chillers")[10:].any()


class TestGenerators:
    @staticmethod
    def fed(model: Model) -> Model:
        feed = Feed(
            name="grid",
            region="here",
            capacity_mw=20.0,
            ups_minutes=15.0,
            generator_mw=20.0,
            generator_start_minutes=1.0,
        )
        model = changed(model, "clusters", "site", capacitance_mj_per_k_per_mw=60.0)
        return lasting(model, 200).replace(feeds={"grid": feed})

    def test_generators_that_start_carry_all(self, one: Model) -> None:
        case = run(self.fed(one), lose("feed", "grid", 0, 100))
        assert not case.cluster("off", "site").any()
        assert case.plant("chillers")[[0, 1]].tolist() == [0, 10]

    def test_generators_that_do_not_start_leave_the_site_to_its_batteries(self, one: Model) -> None:
        loss = lose("feed", "grid", 0, 100).replace(generators_start=False)
        case = run(self.fed(one), loss)
        off = np.flatnonzero(case.cluster("off", "site"))
        # Batteries are empty at 15 and it is 80 °C; power is back at 100, and ten minutes later it
        # is below 70 °C; checks until 125.
        assert off.tolist() == list(range(15, 125))
        assert not case.plant("chillers")[:100].any()
        # Cooling stood still from the beginning: a degree a minute on batteries.
        assert case.cluster("temperature_c", "site")[[10, 15]] == pytest.approx([75, 80], abs=1.0)
        assert not case.served()[15:125].any()

    def test_cooling_units_carry_heat_only_after_their_restart(self, one: Model) -> None:
        model = changed(self.fed(one), "cooling_units", "chiller", restart_minutes=10.0)
        case = run(model, lose("feed", "grid", 5, 100))
        # Without power at 5, back with the generators at 6, carrying heat at 16.
        assert case.plant("chillers")[[4, 5, 6, 15, 16]].tolist() == [10, 0, 0, 0, 10]
