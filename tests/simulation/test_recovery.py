"""Halls that shut down in part and come back step by step, against figures worked out by hand.

In `one`, 1,000 GPUs at full load make 10 MW; a megawatt too little cooling is a degree a minute.
`steady` is `one` with GPUs that draw the same whatever they do.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from simulation.worlds import (
    Run,
    changed,
    hasty,
    judged,
    lasting,
    lose,
    lose_chillers,
    operating,
    run,
    scenario,
    surge,
    unattended,
)

from planner.infrastructure.entities import Measure, Model, Plant, Service
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.operations import Reaction
from planner.optimization.formulation.problem import ProblemData


@pytest.fixture(scope="module")
def steady(one: Model) -> Model:
    """One site whose GPUs draw full power whenever they are on."""
    return changed(one, "gpus", "gpu", static_share=1.0)


def spreading(model: Model, **changes: object) -> Model:
    """The model with racks that shut down from 90 to 100 °C."""
    return changed(model, "clusters", "site", shutdown_spread_c=5.0, **changes)


class TestShutdownInPart:
    def test_racks_shut_down_until_the_others_can_be_cooled(self, steady: Model) -> None:
        case = run(unattended(spreading(steady)), lose_chillers(5))
        # Five degrees a minute to 95 °C, where half of the racks are off and 5 MW left.
        assert case.cluster("temperature_c", "site")[:9].tolist() == [
            65, 70, 75, 80, 85, 90, 95, 95, 95,
        ]  # fmt: skip
        assert case.cluster("stopped_gpus", "site")[[4, 5, 119]].tolist() == [0, 500, 500]
        assert case.cluster("powered_gpus", "site")[[5, 6, 119]].tolist() == [1000, 500, 500]
        assert not case.cluster("off", "site").any()

    def test_the_last_rack_takes_the_cluster_with_it(self, steady: Model) -> None:
        case = run(unattended(spreading(steady)), lose_chillers(10))
        stopped, off = case.cluster("stopped_gpus", "site"), case.cluster("off", "site")
        # Ten degrees a minute past 95 °C, where half are off, five more to 100 °C.
        assert stopped[[1, 2, 3]].tolist() == [0, 500, 0]
        assert off[[2, 3]].tolist() == [False, True]

    def test_what_has_shut_down_stays_off_when_it_cools(self, steady: Model) -> None:
        case = run(unattended(spreading(steady)), lose_chillers(5, minutes=20))
        assert case.cluster("temperature_c", "site")[-1] == 65
        assert case.cluster("stopped_gpus", "site")[-1] == 500

    def test_it_is_a_breach_with_heat_as_its_cause(self, steady: Model) -> None:
        verdict = judged(unattended(spreading(steady)), lose_chillers(5, minutes=20))
        breach = next(breach for breach in verdict.breaches if breach.kind == "shutdown")
        assert (breach.subject, breach.minute, breach.value) == ("site", 5, 90)
        assert any("shuts down rack by rack" in line.text for line in verdict.story)

    def test_clocks_fall_to_the_last_shutdown(self, steady: Model) -> None:
        case = run(unattended(spreading(steady)), lose_chillers(5))
        assert case.cluster("clock", "site")[[2, 4, 6]] == pytest.approx([1, 15 / 25, 5 / 25])


class TestRestart:
    def back(self, model: Model, **operations: object) -> Run:
        return run(operating(spreading(model), **operations), lose_chillers(5, minutes=14))

    def test_racks_come_back_after_a_while_below_the_restart_temperature(
        self, steady: Model
    ) -> None:
        case = self.back(steady, restart_hold_minutes=10, restart_check_minutes=5)
        # Cooled from minute 14 on, at 70 °C at minute 19, held to 29, checked to 34.
        assert case.cluster("temperature_c", "site")[[14, 19, 20]].tolist() == [95, 70, 65]
        assert case.cluster("stopped_gpus", "site")[[33, 34]].tolist() == [500, 0]

    def test_people_bring_back_so_many_an_hour(self, steady: Model) -> None:
        case = self.back(steady, restart_check_minutes=5, restart_gpus_per_hour=600)
        stopped = case.cluster("stopped_gpus", "site")
        assert stopped[[23, 24, 25, 73, 74]].tolist() == [500, 490, 480, 0, 0]
        assert case.cluster("powered_gpus", "site")[[23, 24, 73]].tolist() == [500, 510, 1000]

    def test_the_story_says_when_all_are_back(self, steady: Model) -> None:
        model = operating(spreading(steady), restart_check_minutes=5, restart_gpus_per_hour=600)
        told = {
            line.text: line.minute for line in judged(model, lose_chillers(5, minutes=14)).story
        }
        assert told["people have brought back all GPUs of site"] == 73

    def test_a_whole_cluster_comes_back_so_many_an_hour(self, one: Model) -> None:
        model = operating(lasting(one, 300), restart_gpus_per_hour=600)
        case = run(model, lose("cluster", "site", 10, 20))
        # Repaired at 30, checked to 45, full 100 minutes later.
        powered = case.cluster("powered_gpus", "site")
        assert powered[[44, 45, 46, 143, 144]].tolist() == [0, 10, 20, 990, 1000]
        assert case.target("capacity_rps", "site")[[44, 45]].tolist() == [0, 10]

    def test_what_operators_switched_off_comes_back_likewise(self, steady: Model) -> None:
        model = changed(steady, "clusters", "site", capacitance_mj_per_k_per_mw=600.0)
        model = operating(model, restart_gpus_per_hour=600)
        powered = run(model, lose_chillers(5, minutes=30)).cluster("powered_gpus", "site")
        # They act at 15; chillers are back at 30.
        assert powered[[14, 15, 29, 30, 79, 80]].tolist() == [1000, 500, 500, 510, 1000, 1000]

    def test_it_waits_for_enough_units_of_the_plant(self, one: Model) -> None:
        model = changed(one, "plants", "chillers", restart_units=10)
        events = lose("cluster", "site", 10, 20), lose_chillers(1, at=10, minutes=50)
        assert not run(model, *events).cluster("off", "site")[74:].all()
        # Units are counted at the end of minute 60, checks begin with the next.
        off = run(model, *events).cluster("off", "site")
        assert off[[75, 76]].tolist() == [True, False]

    def test_requests_stay_away_until_automation_is_corrected(self, two: Model) -> None:
        model = operating(hasty(two), failback_minutes=20)
        case = run(model, lose("region", "near", 10, 10))
        # Operators react at 25, checks end at 40, capacity is known at 44, used from 60 on.
        assert case.target("capacity_rps", "first")[[39, 40]].tolist() == [0, 600]
        assert case.target("load_rps", "first")[[59, 60]].tolist() == [0, 500]

    def test_operators_may_take_longer_to_restart(self, one: Model) -> None:
        for minutes, back in ((0, 40), (12, 52)):
            case = run(operating(one, restart_minutes=minutes), lose("cluster", "site", 10, 5))
            # Power is back at 15, operators react at 25, checks take 15 minutes.
            assert np.flatnonzero(~case.cluster("off", "site")[11:])[0] + 11 == back

    def test_services_recover_after_their_clusters(self, two: Model) -> None:
        store = Service(
            name="store",
            plane="state",
            runs_on=("first", "second"),
            recovery_minutes=10.0,
            recovery_tb=2.0,
            recovery_tb_per_hour=6.0,
        )
        alone = Service(name="alone", plane="state", runs_on=("first",), recovery_minutes=30.0)
        tiers = {
            name: tier.replace(entry="alone" if name == "high" else "store")
            for name, tier in two.tiers.items()
        }
        model = hasty(two).replace(services={"store": store, "alone": alone}, tiers=tiers)
        case = run(model, lose("cluster", "first", 10, 10))
        # The cluster is back at 20, restarts at 40 after the reaction, its service at 70.
        high, low = case.served("high"), case.served("low")
        assert (high[[9, 10, 69, 70]] > 0).tolist() == [True, False, False, True]
        assert (low[14:] > 0).all()

    @pytest.mark.parametrize("minutes", [0, 25])
    def test_replicas_recover_after_their_region(self, two: Model, minutes: float) -> None:
        store = Service(
            name="store",
            plane="state",
            replicas={"near": 1},
            needs_replicas=1,
            recovery_minutes=minutes,
        )
        tiers = {name: tier.replace(entry="store") for name, tier in two.tiers.items()}
        model = hasty(two).replace(services={"store": store}, tiers=tiers)
        case = run(model, lose("region", "near", 10, 10))
        assert np.flatnonzero(case.served()[11:] > 0)[0] + 11 == 20 + minutes
        assert case.world.timelines[0].end_minute == 20 + minutes


class TestCoolingDown:
    @staticmethod
    def hot(model: Model, share: float) -> Run:
        model = changed(model, "clusters", "site", capacitance_mj_per_k_per_mw=12.0)
        return run(operating(model, cooldown_share=share), lose_chillers(2))

    def test_without_a_reserve_a_hall_stays_hot(self, steady: Model) -> None:
        hot = self.hot(steady, 0.0).cluster("temperature_c", "site")
        # A degree a minute until operators act at 15, then heat equals cooling.
        assert hot[[15, 119]].tolist() == [80, 80]

    def test_a_reserve_cools_it_down_and_is_used_afterwards(self, steady: Model) -> None:
        case = self.hot(steady, 0.25)
        # 6 of 8 MW are used: a degree a minute down to 70 °C, then all 8 MW.
        assert case.cluster("temperature_c", "site")[[15, 20, 25, 119]].tolist() == [80, 75, 70, 70]
        powered = case.cluster("powered_gpus", "site")
        assert powered[[14, 15, 24, 25]] == pytest.approx([1000, 600, 600, 800])

    def test_operators_may_switch_off_later_than_they_start_cooling(self, steady: Model) -> None:
        model = changed(steady, "clusters", "site", capacitance_mj_per_k_per_mw=600.0)
        spare = Plant(
            name="spare",
            region="here",
            cools=("site",),
            role="emergency",
            automatic=False,
            existing={"fan": 1},
        )
        model = model.replace(plants={**model.plants, "spare": spare})
        model = operating(model, standby_start_minutes=3, switch_off_minutes=20)
        case = run(model, lose_chillers(5))
        # They act at 15: fans are told at 18 and carry from 25 on; GPUs go off at 35.
        assert case.plant("spare")[[24, 25]].tolist() == [0, 1]
        powered = case.cluster("powered_gpus", "site")
        assert powered[[34, 35]] == pytest.approx([1000, 600])

    def test_a_measure_shortens_one_action(self, steady: Model) -> None:
        model = changed(steady, "clusters", "site", capacitance_mj_per_k_per_mw=600.0)
        measure = Measure(name="script", operations=Reaction(switch_off_minutes=3))
        model = operating(model, switch_off_minutes=20).replace(measures={"script": measure})
        for bought, minute in ((frozenset[str](), 35), (frozenset({"script"}), 18)):
            fleet = replace(Fleet.existing(model), measures=bought)
            powered = run(model, lose_chillers(5), fleet=fleet).cluster("powered_gpus", "site")
            assert np.flatnonzero(powered < 1000)[0] == minute

    def test_the_programme_switches_off_when_the_simulator_does(self, steady: Model) -> None:
        model = operating(steady, switch_off_minutes=20, standby_start_minutes=4)
        data = ProblemData(model, (scenario(lose_chillers(5, at=10)),), {})
        acted = [stage for stage in data.stages if not stage.when_reacted.impossible]
        assert acted[0].start_minute == 10 + 15 + 20

    def test_operators_may_shed_later_than_they_act(self, one: Model) -> None:
        model = operating(hasty(one), priority_shedding="operator", shedding_minutes=10)
        served = run(model, surge(2, 10, 1000)).served("high")
        # All alike until 35, then the tier with priority in full.
        assert served[[34, 35]] == pytest.approx([400, 800])


class TestTemperatures:
    """A chiller of ten is lost at minute 0 in `steady`: a degree a minute from 65 °C on."""

    @staticmethod
    def slow(model: Model, **operations: object) -> Model:
        """The model with an alert that comes after an hour, unless a temperature raises it."""
        return operating(hasty(model), detection_minutes=60, **operations)

    @pytest.mark.parametrize(
        ("operations", "minute"),
        [
            ({"detection_c": 70.0}, 5 + 10),
            ({"detection_c": 70.0, "escalation_minutes": 2, "switch_off_minutes": 3}, 5 + 15),
            ({"switch_off_c": 68.0}, 3),
            # The earlier of both counts.
            ({"detection_c": 94.0, "detection_minutes": 4}, 4 + 10),
            ({"switch_off_c": 94.0, "detection_minutes": 4}, 4 + 10),
        ],
    )
    def test_what_cannot_be_cooled_goes_off_at_a_temperature(
        self, steady: Model, operations: dict[str, float], minute: int
    ) -> None:
        model = operating(self.slow(steady), **operations)
        powered = run(model, lose_chillers(1)).cluster("powered_gpus", "site")
        assert powered[[minute - 1, minute]] == pytest.approx([1000, 900])

    def test_a_later_failure_is_detected_anew(self, steady: Model) -> None:
        model = self.slow(steady, detection_c=70.0)
        # It is above 70 °C when the second chiller goes: the alert comes at once.
        powered = run(model, lose_chillers(1), lose_chillers(1, at=40))
        assert powered.cluster("powered_gpus", "site")[[49, 50]] == pytest.approx([900, 800])

    def test_a_scenario_or_a_measure_may_bring_a_temperature(self, steady: Model) -> None:
        case = run(self.slow(steady), lose_chillers(1), operations={"switch_off_c": 68.0})
        assert case.cluster("powered_gpus", "site")[[2, 3]] == pytest.approx([1000, 900])
        measure = Measure(name="sensors", operations=Reaction(switch_off_c=68.0))
        model = self.slow(steady).replace(measures={"sensors": measure})
        fleet = replace(Fleet.existing(model), measures=frozenset({"sensors"}))
        powered = run(model, lose_chillers(1), fleet=fleet).cluster("powered_gpus", "site")
        assert powered[[2, 3]] == pytest.approx([1000, 900])

    def test_standby_cooling_starts_at_a_temperature(self, steady: Model) -> None:
        spare = Plant(
            name="spare",
            region="here",
            cools=("site",),
            role="emergency",
            existing={"fan": 1},
            automatic=False,
        )
        model = steady.replace(plants={**steady.plants, "spare": spare})
        model = self.slow(model, standby_start_c=68.0)
        carried = run(model, lose_chillers(1)).plant("spare")
        # Told at minute 3; fans need seven.
        assert np.flatnonzero(carried)[0] == 10

    def test_priorities_are_in_force_from_a_temperature_on(self, steady: Model) -> None:
        model = self.slow(steady, priority_shedding="operator", shedding_c=68.0)
        served = run(model, lose_chillers(1), surge(2, 0, 1000)).served("high")
        assert served[[2, 3]] == pytest.approx([400, 800])

    def test_emergency_capacity_is_ordered_after_an_alert_by_temperature(self, two: Model) -> None:
        model = self.slow(two, detection_c=72.0)
        case = run(model, lose("plant", "first-plant"), surge(4, 10, 1000))
        alert = int(np.flatnonzero(case.cluster("temperature_c", "first") >= 72)[0])
        assert 10 < alert < 70
        assert case.history.order_minute[0] == alert + 10 + 5


class TestUnits:
    def test_units_start_one_after_the_other(self, one: Model) -> None:
        model = changed(one, "plants", "chillers", start_interval_minutes=4)
        carried = run(model, lose_chillers(3, at=10, minutes=20)).plant("chillers")
        assert carried[[9, 10, 29, 30, 33, 34, 37, 38, 42]].tolist() == [
            10, 7, 7, 8, 8, 9, 9, 10, 10,
        ]  # fmt: skip

    def test_they_do_not_start_while_it_is_too_hot(self, steady: Model) -> None:
        model = changed(steady, "cooling_units", "chiller", start_below_c=80)
        model = changed(model, "clusters", "site", capacitance_mj_per_k_per_mw=12.0)
        model = operating(model, cooldown_share=0.25)
        case = run(model, lose_chillers(4, minutes=5))
        # Two degrees a minute to 75 °C at 5, when they start; half an hour later they would not.
        assert case.plant("chillers")[[4, 5]].tolist() == [6, 10]
        case = run(model, lose_chillers(4, minutes=12))
        hot, carried = case.cluster("temperature_c", "site"), case.plant("chillers")
        first = int(np.flatnonzero(carried[12:] == 10)[0]) + 12
        assert hot[12] == 89
        assert hot[first] <= 80 < hot[first - 1]

    def test_halls_cool_no_faster_than_their_limit(self, steady: Model) -> None:
        model = changed(steady, "clusters", "site", pull_down_c_per_minute=2.0)
        model = changed(model, "plants", "chillers", existing={"chiller": 20})
        hot = run(unattended(model), lose_chillers(12, minutes=10)).cluster("temperature_c", "site")
        assert hot[[10, 11, 12, 20]].tolist() == [85, 83, 81, 65]


class TestEnvelope:
    def test_temperature_follows_the_closed_form(self, steady: Model) -> None:
        """Towards ambient + heat/UA with the time constant C/UA, within half a degree."""
        model = changed(
            steady,
            "clusters",
            "site",
            capacitance_mj_per_k_per_mw=60.0,
            envelope_mw_per_k=0.2,
            throttle_c=140.0,
            shutdown_c=150.0,
        )
        hot = run(unattended(model), lose_chillers(10)).cluster("temperature_c", "site")
        for minute in (10, 60, 119):
            exact = 85.0 - 20.0 * math.exp(-minute * 60 * 0.2 / 600.0)
            assert hot[minute] == pytest.approx(exact, abs=0.5)

    def test_units_carry_what_comes_in_from_outside(self, steady: Model) -> None:
        model = changed(steady, "regions", "here", design_ambient_c=35.0)
        model = changed(model, "clusters", "site", setpoint_c=25.0, envelope_mw_per_k=0.1)
        case = run(model, lose_chillers(1, at=60))
        # 1 MW comes in at 25 °C, which eleven chillers would carry: ten leave it warming.
        assert case.cluster("envelope_mw", "site")[0] == pytest.approx(-1.0, rel=0.06)
        assert case.cluster("temperature_c", "site")[59] > 26

    def test_doors_are_opened_once_operators_act_and_only_to_cooler_air(
        self, steady: Model
    ) -> None:
        model = changed(
            steady, "clusters", "site", capacitance_mj_per_k_per_mw=60.0, ventilation_mw_per_k=0.1
        )
        model = operating(model, ventilation_minutes=5, switch_off_minutes=500)
        lost = run(model, lose_chillers(5)).cluster("envelope_mw", "site")
        assert lost[[19, 20]] == pytest.approx([0.0, 0.1 * 40.0], abs=0.2)
        model = changed(model, "regions", "here", design_ambient_c=99.0)
        assert not run(model, lose_chillers(5)).cluster("envelope_mw", "site").any()

    def test_what_goes_outside_leaves_power_to_cool_a_hot_hall(self, steady: Model) -> None:
        """30 MW: 20 of GPUs, 3.5 for what walls leave of one hall, 6 for chillers of the other.

        These carry 2 MW more than its heat, which cools it by two degrees a minute; with power for
        the full heat of both there would be none to cool down.
        """
        site, plant = steady.clusters["site"], steady.plants["chillers"]
        open_ = site.replace(name="open", envelope_mw_per_k=0.1)
        other = plant.replace(name="other", cools=("open",))
        model = steady.replace(
            clusters={"site": site, "open": open_}, plants={"chillers": plant, "other": other}
        )
        model = changed(model, "plants", "chillers", existing={"chiller": 12})
        model = changed(model, "clusters", "open", capacitance_mj_per_k_per_mw=600.0)
        model = changed(model, "cooling_units", "chiller", power_mw_per_mw=0.5)
        model = changed(model, "regions", "here", power_limit_mw=30.0)
        case = run(unattended(model), lose_chillers(3, minutes=10))
        assert np.diff(case.cluster("temperature_c", "site"))[10:14] == pytest.approx(-2.0)

    def test_energy_balances_in_every_minute(self, steady: Model) -> None:
        model = changed(steady, "clusters", "site", envelope_mw_per_k=0.05, shutdown_spread_c=4.0)
        case = run(model, lose_chillers(5, minutes=40))
        hot = case.cluster("temperature_c", "site")
        net = sum(
            sign * case.cluster(name, "site")[:-1]
            for name, sign in (("heat_mw", 1), ("cooling_mw", -1), ("envelope_mw", -1))
        )
        assert np.diff(hot) * 60.0 / 60.0 == pytest.approx(net, abs=1e-9)


class TestColdCaches:
    @staticmethod
    def moved(model: Model, factor: float) -> Run:
        model = operating(hasty(model), cold_cache_factor=factor, cold_cache_half_life_minutes=10.0)
        return run(model, lose("region", "near"))

    def test_survivors_serve_less_at_first(self, two: Model) -> None:
        served = self.moved(two, 1.5).served()
        # 600 requests/s of capacity serve 400 cold ones; caches warm up with what is served.
        warm, expected = 0.0, []
        for _ in range(14, 60):
            load = min(500.0, (600.0 + 0.5 * warm) / 1.5)
            expected.append(load)
            warm = load + (warm - load) * 0.5 ** (1 / 10)
        assert expected[0] == 400.0
        assert expected[-1] == 500.0
        assert served[14:60] == pytest.approx(expected)

    def test_tiers_may_state_their_own_factor(self, two: Model) -> None:
        """High (two fifths) 2, low the 1.5 of the operations; or none where both say 1."""
        for high, low, capacity in ((2.0, None, 600 / (0.4 * 2 + 0.6 * 1.5)), (1.0, 1.0, 500.0)):
            model = changed(two, "tiers", "high", cold_cache_factor=high)
            model = changed(model, "tiers", "low", cold_cache_factor=low)
            assert self.moved(model, 1.5).served()[14] == pytest.approx(capacity)

    def test_the_work_of_a_step_halves_in_the_half_life(self, two: Model) -> None:
        model = changed(two, "clusters", "second", existing_gpus=1000, max_gpus=1000)
        model = changed(model, "cooling_units", "chiller", capacity_mw=20.0)
        case = self.moved(model, 1.5)
        heat = case.cluster("heat_mw", "second")
        usual = 10.0 * 0.5 + 500.0 * 0.005
        # 250 requests/s of work more, 125 ten minutes later.
        assert heat[[14, 24]] == pytest.approx([usual + 250 * 0.005, usual + 125 * 0.005])

    def test_the_story_tells_of_them(self, two: Model) -> None:
        for factor, times in ((1.0, 0), (1.5, 1)):
            model = operating(two, cold_cache_factor=factor)
            told = [line.text for line in judged(model, lose("region", "near")).story]
            assert sum("second has gained find cold caches" in text for text in told) == times

    def test_growing_demand_finds_warm_caches(self, two: Model) -> None:
        model = operating(hasty(two), cold_cache_factor=2.0)
        assert (run(model, surge(1.2, 10, 1000)).served()[10:] == 600).all()
