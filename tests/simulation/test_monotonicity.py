"""More cooling, and a shorter or a smaller failure, never lose more requests; and when they may.

For one failure of a platform that is cooled and powered well they never do, whatever its retries,
services, gates and tanks, provided that it has room for its demand to begin with or turns away at
once, by priority, what it has no room for. A platform that is overloaded and lets everybody wait
works in vain, and then whatever keeps requests away from it may help. The last class shows, case by
case, what makes the difference otherwise. Lost requests are those given up and those that still
have no answer at the end.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from simulation.random_worlds import returning, single_failures
from simulation.worlds import changed, hasty, lose, operating, run, surge, unattended
from support import often

from planner.infrastructure.entities import Feed, Model, Offer, Service
from planner.infrastructure.failures import (
    Event,
    LargestUnitsLoss,
    NodeLoss,
    Scenario,
    Surge,
    UnitLoss,
)
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.infrastructure.operations import RestorationGates, RestorationPhase
from planner.simulation.cascade import simulate

PROPERTY = settings(
    derandomize=True,
    deadline=None,
    max_examples=often(5, 100),
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
    ],
)


def lost(model: Model, *scenarios: Scenario) -> list[float]:
    """Requests given up or without an answer at the end, by scenario."""
    _, history = simulate(model, Fleet.existing(model), scenarios)
    left = (history.waiting - history.stale + history.retrying)[-1]
    return (history.gave_up.sum(axis=0) + left).tolist()


def sound(model: Model, lost_of_nothing: float) -> bool:
    """Whether a platform loses nothing without the failure, or sheds by priority at once."""
    return model.operations.priority_shedding == "automatic" or lost_of_nothing < 1


def no_more(after: float, before: float) -> bool:
    return after <= before * (1 + 1e-9) + 1.0


def with_more(model: Model, plant: str, unit: str, count: int) -> Model:
    """The model with more units in a plant."""
    existing = dict(model.plants[plant].existing)
    existing[unit] = existing.get(unit, 0) + count
    return changed(model, "plants", plant, existing=existing)


def smaller(event: Event) -> Event:
    """The event, half as bad in what has a size."""
    if isinstance(event, UnitLoss | LargestUnitsLoss):
        return event.replace(count=max(1, event.count // 2))
    if event.kind == "heat":
        return event.replace(rise_c=event.rise_c / 2)
    if isinstance(event, Surge) and event.factor > 1:
        return event.replace(factor=1 + (event.factor - 1) / 2)
    return event


def only(scenario: Scenario, event: Event) -> Scenario:
    return scenario.replace(events=(event,))


#: An event that changes nothing.
NOTHING = surge(1.0, 0, 1)


class TestOneFailure:
    @PROPERTY
    @given(data=st.data())
    def test_more_cooling_loses_no_more(self, data: st.DataObject, tiny: LoadedModel) -> None:
        case = data.draw(single_failures(tiny.model))
        (scenario,) = case.scenarios
        plant = data.draw(st.sampled_from(list(case.model.plants)))
        unit = data.draw(st.sampled_from(["chiller-3", "chiller-1", "air-1"]))
        more = with_more(case.model, plant, unit, data.draw(st.integers(1, 4)))
        before, nothing = lost(case.model, scenario, only(scenario, NOTHING))
        assume(sound(case.model, nothing))
        (after,) = lost(more, scenario)
        assert no_more(after, before)

    @settings(PROPERTY, max_examples=often(6, 100))
    @given(data=st.data(), share=st.sampled_from([0.1, 0.5, 0.9]))
    def test_shorter_smaller_and_no_failures_lose_no_more(
        self, data: st.DataObject, share: float, tiny: LoadedModel
    ) -> None:
        """All simulated together: none knows of the others (`test_vectorisation`)."""
        case = data.draw(single_failures(tiny.model))
        (scenario,) = case.scenarios
        (event,) = scenario.events
        milder = {
            "none": NOTHING,
            "shorter": event.replace(repair_minutes=event.repair_minutes * share),
            "smaller": smaller(event),
        }
        before, *after = lost(
            case.model, scenario, *(only(scenario, one) for one in milder.values())
        )
        assume(sound(case.model, after[0]))
        less = isinstance(event, Surge) and event.factor < 1
        for (name, one), usual in zip(milder.items(), after, strict=True):
            # Fewer requests than usual are no failure to be without.
            if one == event or (less and name != "smaller"):
                continue
            assert no_more(usual, before), name

    @PROPERTY
    @given(data=st.data())
    def test_slower_restarts_and_colder_caches_lose_no_less(
        self, data: st.DataObject, tiny: LoadedModel
    ) -> None:
        case = data.draw(single_failures(tiny.model))
        (scenario,) = case.scenarios
        usual, nothing = lost(case.model, scenario, only(scenario, NOTHING))
        assume(sound(case.model, nothing))
        (slower,) = lost(data.draw(returning(case.model)), scenario)
        assert no_more(usual, slower)


class TestExceptions:
    """What is no law, because something else follows from the first shortage."""

    @staticmethod
    def lost(model: Model, *events: Event) -> float:
        return run(model, *events).lost()

    def test_an_early_shortage_orders_cloud_in_time_for_a_second_failure(self, two: Model) -> None:
        """More cooling, and so no shortage until the region is lost and cloud is 24 minutes off."""
        model = changed(two, "cooling_units", "chiller", capacity_mw=3.0)
        model = changed(model, "plants", "second-plant", existing={"chiller": 2})
        model = changed(model, "zones", "users", demand_rps=1000.0)
        events = (
            UnitLoss(
                kind="units", plant="first-plant", unit="chiller", count=1, repair_minutes=1000
            ),
            NodeLoss(kind="region", name="near", at_minute=60, repair_minutes=1000),
        )
        little = changed(model, "plants", "first-plant", existing={"chiller": 2})
        ample = changed(model, "plants", "first-plant", existing={"chiller": 3})
        assert self.lost(ample, *events) > 1.5 * self.lost(little, *events)

    def test_a_larger_surge_orders_the_cloud_before_the_peak(self, one: Model) -> None:
        cloud = Offer(
            name="cloud",
            provider="cloudy",
            gpus_per_instance=10,
            available_gpus=500,
            existing_instances=50,
            lead_time_minutes=20,
            usd_per_instance_hour=1.0,
            rps_per_gpu=1.0,
        )
        model = changed(one, "zones", "users", shape="rising").replace(
            shapes={"rising": (0.81, 0.81, *([1.0] * 22))}, offers={"cloud": cloud}
        )
        model = model.replace(simulation=model.simulation.replace(horizon_minutes=240.0))
        # 1,012 requests/s at once, order at 15; or 980 at first and 1,210 after two hours.
        large, small = (
            Surge(kind="surge", factor=factor, repair_minutes=1000) for factor in (1.25, 1.21)
        )
        assert run(model, large, start_hour=0).history.order_minute == [15]
        assert run(model, small, start_hour=0).history.order_minute > [60]
        many, few = (run(model, event, start_hour=0).lost() for event in (large, small))
        assert few > 1.5 * many

    def test_lost_power_spares_a_site_that_is_cooled_too_little(self, one: Model) -> None:
        """Six megawatts of generators hold its heat down; with all power back it overheats."""
        model = changed(one, "gpus", "gpu", static_share=1.0)
        model = changed(model, "plants", "chillers", existing={"chiller": 8})
        model = operating(model, detection_minutes=10_000)
        grid = Feed(
            name="grid",
            region="here",
            capacity_mw=20.0,
            ups_minutes=5.0,
            generator_mw=6.0,
        )
        model = model.replace(feeds={"grid": grid})
        short, long = (
            NodeLoss(kind="feed", name="grid", repair_minutes=minutes) for minutes in (10, 60)
        )
        assert self.lost(model, short) > 1.3 * self.lost(model, long)

    def test_more_gpus_lose_more_where_cooling_is_not_raised_with_them(self, one: Model) -> None:
        """Every powered GPU makes half of its heat without working.

        1,000 GPUs at full load make the 10 MW that can be carried. 500 more make 2.5 MW besides,
        and before operators leave some off all throttle until 7.5 MW of static heat and 2.5 MW of
        work are left: half of the requests.
        """
        model = unattended(one)
        more = changed(model, "clusters", "site", existing_gpus=1500, max_gpus=1500)
        nothing = surge(1.0, 0, 1)
        assert self.lost(model, nothing) == 0
        case = run(more, nothing)
        assert case.served()[-1] == pytest.approx(500, rel=0.01)
        assert case.lost() > 0.2 * 120 * 60_000
        # Operators leave 1,000 on, and everything is served again.
        attended = run(operating(more, detection_minutes=5), nothing)
        assert attended.served()[-1] == pytest.approx(1000)
        # With as much cooling as GPUs nothing is lost.
        cooled = changed(more, "plants", "chillers", existing={"chiller": 15})
        assert self.lost(cooled, nothing) == 0

    def test_a_lost_service_relieves_a_platform_of_wasted_work(self, one: Model) -> None:
        """One of two doors for 750 requests/s each, before GPUs for 1,000."""
        doors = {
            name: Service(name=name, plane="edge", capacity_rps=750.0) for name in ("left", "right")
        }
        front = Service(name="front", plane="edge", any_of=("left", "right"))
        model = changed(one, "zones", "users", demand_rps=1500.0)
        model = model.replace(services={**doors, "front": front})
        for tier in one.tiers:
            model = changed(model, "tiers", tier, entry="front")
        short, long = (lose("service", "right", 0, minutes) for minutes in (5, 1000))
        queueing = operating(model, priority_shedding="none")
        assert run(queueing, long).served() == pytest.approx(750)
        assert self.lost(queueing, short) > 1.2 * self.lost(queueing, long)
        # Where what does not fit is turned away at once, nothing is done in vain.
        shedding = operating(model, priority_shedding="automatic")
        assert self.lost(shedding, short) < self.lost(shedding, long)

    def test_a_gate_checked_at_a_bad_moment_delays_restoration(self, one: Model) -> None:
        """Gates are asked when a phase has lasted its time, and so hang on when it began.

        250 requests/s, 975 from 28 to 32, 475 from 48 to 98; a first phase for 300 and a second for
        500 requests/s, of 20 minutes each. Back at 10, the site is asked in the peaks at 30 and 50
        and stays in its first phase; back at 26, it is asked between them and passes.
        """
        phases = (
            RestorationPhase(capacity=0.3, minutes=20),
            RestorationPhase(capacity=0.5, minutes=20),
        )
        model = changed(hasty(one), "zones", "users", demand_rps=250.0)
        model = operating(
            model,
            detection_minutes=0,
            response_minutes=0,
            failover_minutes=0,
            restart_check_minutes=0,
            priority_shedding="none",
            restoration=phases,
            gates=RestorationGates(error_share=0.05),
        )
        peaks = surge(3.9, 28, 4), surge(1.9, 48, 50)
        early, late = (
            run(model, lose("region", "here", 0, minutes), *peaks).lost() for minutes in (10, 26)
        )
        first_peak, second_peak = 4 * 60 * (975 - 300), 50 * 60 * (475 - 300)
        assert early == pytest.approx(10 * 60 * 250 + first_peak + second_peak)
        assert late == pytest.approx(26 * 60 * 250 + first_peak)
        assert early > late
