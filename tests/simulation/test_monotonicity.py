"""More cooling, and a shorter or a smaller failure, never lose more requests; and when they may.

For one failure of a platform that is cooled and powered well to begin with, they never do. The
last class shows, case by case, what makes the difference otherwise.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulation.random_worlds import single_failures
from simulation.worlds import changed, operating, run

from planner.infrastructure.entities import Feed, Model, Offer
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
from planner.simulation.cascade import simulate

PROPERTY = settings(
    derandomize=True,
    deadline=None,
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def unserved(model: Model, *scenarios: Scenario) -> list[float]:
    """Requests that are not served at once, by scenario."""
    _, history = simulate(model, Fleet.existing(model), scenarios)
    lost = (history.demand_rps - history.served_rps).sum(axis=(0, 2)) * 60
    return [float(one) for one in lost]


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


class TestOneFailure:
    @PROPERTY
    @given(data=st.data())
    def test_more_cooling_loses_no_more(self, data: st.DataObject, tiny: LoadedModel) -> None:
        case = data.draw(single_failures(tiny.model))
        plant = data.draw(st.sampled_from(list(case.model.plants)))
        unit = data.draw(st.sampled_from(["chiller-3", "chiller-1", "air-1"]))
        more = with_more(case.model, plant, unit, data.draw(st.integers(1, 4)))
        (before,) = unserved(case.model, *case.scenarios)
        (after,) = unserved(more, *case.scenarios)
        assert no_more(after, before)

    @PROPERTY
    @given(data=st.data(), share=st.sampled_from([0.1, 0.5, 0.9]))
    def test_shorter_failures_lose_no_more(
        self, data: st.DataObject, share: float, tiny: LoadedModel
    ) -> None:
        case = data.draw(single_failures(tiny.model))
        (scenario,) = case.scenarios
        (event,) = scenario.events
        if isinstance(event, Surge) and event.factor < 1:
            return
        shorter = event.replace(repair_minutes=event.repair_minutes * share)
        before, after = unserved(case.model, scenario, only(scenario, shorter))
        assert no_more(after, before)

    @PROPERTY
    @given(data=st.data())
    def test_smaller_failures_lose_no_more(self, data: st.DataObject, tiny: LoadedModel) -> None:
        case = data.draw(single_failures(tiny.model))
        (scenario,) = case.scenarios
        (event,) = scenario.events
        before, after = unserved(case.model, scenario, only(scenario, smaller(event)))
        assert no_more(after, before)


class TestExceptions:
    """What is no law, because something else follows from the first shortage."""

    @staticmethod
    def lost(model: Model, *events: Event) -> float:
        case = run(model, *events)
        return float((case.demand() - case.served()).sum() * 60)

    def test_being_short_early_has_the_cloud_there_for_a_second_failure(self, two: Model) -> None:
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
        lost = [
            float((case.demand() - case.served()).sum())
            for case in (run(model, event, start_hour=0) for event in (large, small))
        ]
        assert lost[1] > 1.5 * lost[0]

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
