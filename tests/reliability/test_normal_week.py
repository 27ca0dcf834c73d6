"""Normal operation by hour of the week."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from simulation.worlds import ONE, TWO, changed, operating
from support import model_of

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.laws.heat import heat_mw
from planner.reliability.normal_week import normal_hours, requests_per_year
from planner.scenarios.climate import ambient_at
from planner.scenarios.demand import demand_at, weekly_demand
from planner.simulation.cascade import simulate

RAMP = "shapes.ramp=[" + ", ".join(str(hour) for hour in range(1, 25)) + "]"


def fleet_of(model: Model, **gpus: int) -> Fleet:
    """What exists, with GPUs added to clusters (below 0: retired)."""
    return Fleet.after(model, {}, gpus, {}, frozenset())


@pytest.fixture
def one(tmp_path: Path) -> Model:
    return model_of(tmp_path, ONE, RAMP, "zones.users.shape=ramp")


class TestOneSite:
    def test_normal_week_serves_the_demand_of_each_hour(self, one: Model) -> None:
        hours = normal_hours(one, Fleet.existing(one))
        demand = 1000 * np.tile(np.arange(1, 25) / 24, 7)
        assert hours.tiers == ("high", "low")
        assert hours.demand_rps == pytest.approx(np.outer(demand, [0.4, 0.6]))
        assert hours.served_rps == pytest.approx(hours.demand_rps)
        assert hours.load_rps[:, 0] == pytest.approx(demand)

    def test_heat_is_that_of_powered_and_busy_gpus(self, one: Model) -> None:
        hours = normal_hours(one, Fleet.existing(one))
        assert hours.heat_mw == pytest.approx(heat_mw(0.01, 0.5, 1000, hours.load_rps))
        assert hours.heat_mw[[0, 23], 0] == pytest.approx([5 + 5 / 24, 10.0])

    def test_too_few_gpus_serve_the_first_tier_first(self, one: Model) -> None:
        hours = normal_hours(one, fleet_of(one, site=-700))
        assert hours.served_rps[23] == pytest.approx([300.0, 0.0])
        assert hours.served_rps[11] == pytest.approx([200.0, 100.0])
        assert hours.heat_mw[23, 0] == pytest.approx(3.0)

    def test_empty_fleet_serves_nothing(self, one: Model) -> None:
        hours = normal_hours(one, fleet_of(one, site=-1000))
        assert hours.demand_rps.sum() > 0
        assert not hours.served_rps.any()
        assert not hours.heat_mw.any()
        assert requests_per_year(hours) == 0

    @pytest.mark.parametrize(
        "reaction",
        [
            {"detection_minutes": 0, "response_minutes": 0},
            {"earliest_reroute_minutes": 30},
            {"failover_minutes": 0, "priority_shedding": "automatic"},
            {"priority_shedding": "none", "patience_minutes": 0.1},
        ],
    )
    def test_reaction_to_failures_is_irrelevant(
        self, one: Model, reaction: dict[str, object]
    ) -> None:
        fleet = fleet_of(one, site=-700)
        hours, other = normal_hours(one, fleet), normal_hours(operating(one, **reaction), fleet)
        assert other.served_rps.tolist() == hours.served_rps.tolist()
        assert other.heat_mw.tolist() == hours.heat_mw.tolist()

    def test_cooling_is_assumed_to_suffice(self, one: Model) -> None:
        none = Fleet.after(one, {("chillers", "chiller"): -10}, {}, {}, frozenset())
        at_once = operating(one, detection_minutes=0, response_minutes=0)
        hours = normal_hours(at_once, none)
        assert hours.heat_mw.max() == pytest.approx(10.0)
        assert hours.served_rps == pytest.approx(hours.demand_rps)

    def test_requests_of_a_year_add_up_the_week(self, one: Model) -> None:
        hours = normal_hours(one, Fleet.existing(one))
        # Mean of the ramp 12.5/24 of 1,000 requests/s.
        assert requests_per_year(hours) == pytest.approx(1000 * 12.5 / 24 * 3600 * 8760)


class TestTwoSites:
    def test_nearer_site_is_filled_first(self, tmp_path: Path) -> None:
        model = model_of(tmp_path, TWO, "zones.users.demand_rps=700.0")
        hours = normal_hours(model, Fleet.existing(model))
        assert hours.load_rps == pytest.approx(np.tile([600.0, 100.0], (168, 1)))

    def test_zone_out_of_reach_of_what_is_left_is_not_served(self, tmp_path: Path) -> None:
        limit = "tiers.high.latency_limit_ms=10.0"
        model = model_of(tmp_path, TWO, limit)
        hours = normal_hours(model, fleet_of(model, first=-600))
        assert hours.served_rps == pytest.approx(np.tile([0.0, 300.0], (168, 1)))
        assert hours.load_rps == pytest.approx(np.tile([0.0, 300.0], (168, 1)))


class TestShippedModels:
    def test_normal_hour_equals_the_first_minute_of_a_simulation(
        self, reference: LoadedModel
    ) -> None:
        """At hour 40, with a failure of which nothing is felt before minute 30."""
        model, fleet = reference.model, Fleet.existing(reference.model)
        event = {"kind": "provider", "name": "aws", "at_minute": 30.0, "repair_minutes": 1.0}
        fields = {"name": "late", "severity": "single", "frequency_per_year": 0.0}
        scenario = Scenario.model_validate(fields | {"start_hour": 40.0, "events": [event]})
        world, history = simulate(model, fleet, (scenario,))
        hours = normal_hours(model, fleet)
        assert world.tiers.names == hours.tiers
        assert history.served_rps[0, 0] == pytest.approx(hours.served_rps[40])
        assert history.heat_mw[0, 0] == pytest.approx(hours.heat_mw[40])

    def test_demand_and_ambient_are_those_of_the_model(self, reference: LoadedModel) -> None:
        model = reference.model
        model = changed(model, "regions", "us-west", climate="us-west")
        hours = normal_hours(model, Fleet.existing(model))
        at = 60.0 * np.arange(168)
        assert hours.demand_rps.sum(axis=1) == pytest.approx(weekly_demand(model).sum(axis=0))
        assert hours.demand_rps.sum(axis=1) == pytest.approx(demand_at(model, 0.0, at).sum(axis=0))
        for column, region in enumerate(hours.regions):
            assert hours.ambient_c[:, column] == pytest.approx(ambient_at(model, region, 0.0, at))

    def test_load_of_targets_adds_up_to_requests_served(self, reference: LoadedModel) -> None:
        hours = normal_hours(reference.model, Fleet.existing(reference.model))
        assert hours.load_rps.sum(axis=1) == pytest.approx(hours.served_rps.sum(axis=1))
