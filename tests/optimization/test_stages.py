"""Voltage sags, restarts, tanks of chilled water and load balancers in the programme.

One site: 1,000 GPUs of 10 kW on ten chillers of a megawatt. It stores 60 MJ a degree, so ten
degrees between set point and throttling take up 600 MJ: ten megawatts for one minute.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import EXACT, model_of

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.graph import build_graph
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.relevance import cooling_matters
from planner.optimization.formulation.stages import cannot_bind
from planner.optimization.solution.audit import audit
from planner.optimization.solution.solving import Solution, solve
from planner.scenarios.system_state import normal_state
from planner.scenarios.timeline import timeline_of
from planner.simulation.cascade import simulate

SITE = """
regions: {here: {power_limit_mw: 100.0}}
gpus: {gpu: {power_mw: 0.01, static_share: 0.5, rps: 1.0}}
clusters:
  site: {region: here, gpu: gpu, existing_gpus: 1000, max_gpus: 1000, max_utilisation: 1.0,
         capacitance_mj_per_k_per_mw: 6.0}
cooling_units:
  chiller: {capacity_mw: 1.0, restart_minutes: 6.0, capital_usd: 1000.0}
  small: {capacity_mw: 0.5, restart_minutes: 2.0, capital_usd: 1000.0}
  fan: {capacity_mw: 1.0, mode: standby, capital_usd: 3000.0}
plants:
  chillers: {region: here, cools: [site], existing: {chiller: 10}}
  fans: {region: here, cools: [site], role: emergency, options: [fan], max_added: 20}
feeds: {grid: {region: here, capacity_mw: 50.0, ups_minutes: 15.0}}
tiers: {all-users: {priority: 1, share: 1.0}}
zones: {users: {demand_rps: 1000.0, latency_ms: {here: 1.0}}}
operations: {detection_minutes: 5.0, response_minutes: 10.0, failover_minutes: 4.0}
standard: {single: [{tier: each, from_minute: 0, least_served: 1.0}]}
"""
#: Off for ten minutes: four of repair, six of restart.
SAG = {"kind": "sag", "feed": "grid", "repair_minutes": 4.0}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The site."""
    return model_of(tmp_path_factory.mktemp("stages"), SITE)


def changed(model: Model, section: str, name: str, **changes: object) -> Model:
    entries = getattr(model, section)
    return model.replace(**{section: {**entries, name: entries[name].replace(**changes)}})


def scenario(*events: dict[str, Any], **fields: Any) -> Scenario:
    return Scenario.model_validate(
        {"name": "case", "severity": "single", "frequency_per_year": 1.0, "events": events} | fields
    )


def problem_data_of(model: Model, *events: dict[str, Any], **fields: Any) -> ProblemData:
    return ProblemData(model, (scenario(*events, **fields),), {})


def plan(data: ProblemData) -> tuple[Programme, Solution]:
    programme = build(data)
    return programme, solve(programme, EXACT)


def binds(model: Model, *events: dict[str, Any]) -> bool:
    graph = build_graph(model)
    timeline = timeline_of(model, graph, scenario(*events))
    return not cannot_bind(model, timeline, normal_state(model, graph))


class TestRestarting:
    def test_units_that_restart_carry_nothing(self, site: Model) -> None:
        two = changed(site, "plants", "chillers", options=("small",))
        programme = build(problem_data_of(two, SAG))
        stages = [s for s in programme.data.stages if s.end_minute <= 10]
        assert [(s.start_minute, s.end_minute, set(s.started["chillers"])) for s in stages] == [
            (0.0, 1.0, set()),
            (1.0, 6.0, set()),
            (6.0, 10.0, {"small"}),
        ]
        # The first minute shows that cooling is short: fans that need no time help from the next.
        assert [bool(s.started["fans"]) for s in stages] == [False, True, True]
        assert all(cooling_matters(programme.data, s, "site") for s in stages)
        rows = {
            name: constraint
            for name, constraint in programme.constraints.items()
            if name.startswith("plant_capacity") and name.endswith("chillers")
        }
        first, second = (rows[f"plant_capacity.case.{i}.chillers"] for i in (1, 2))
        assert {v.name: c for v, c in first.items()} == {"carried.case.1.site.chillers": 1}
        assert {v.name: c for v, c in second.items()} == {
            "carried.case.2.site.chillers": 1,
            "units.chillers.small": -0.5,
        }
        assert first.constant == second.constant == 0

    def test_standby_units_bridge_it(self, site: Model) -> None:
        """10 MW for a minute fill 600 MJ; from then on ten fans carry all of it."""
        programme, solution = plan(problem_data_of(site, SAG))
        assert solution.status == "optimal"
        audit(programme, solution)
        assert solution.fleet.units["fans"] == {"fan": 10}
        roomy = changed(site, "clusters", "site", capacitance_mj_per_k_per_mw=11.4)
        # (10 − n) MW for 540 s must fit 540 MJ.
        assert plan(problem_data_of(roomy, SAG))[1].fleet.units["fans"] == {"fan": 9}

    def test_they_carry_from_the_minute_in_which_they_do_in_simulation(self, site: Model) -> None:
        fleet = replace(
            Fleet.existing(site), units={"chillers": {"chiller": 10}, "fans": {"fan": 9}}
        )
        data = problem_data_of(site, SAG)
        world, history = simulate(site, fleet, data.scenarios)
        fans = history.cooling_capacity_mw[:, 0, world.plants.names.index("fans")]
        for stage in data.stages:
            assert bool(fans[int(stage.start_minute)]) == bool(stage.started["fans"])

    def test_after_the_response_all_heat_must_be_carried(self, site: Model) -> None:
        """A restart that fails: 3.5 hours with all users to serve need all ten."""
        _, solution = plan(problem_data_of(site, SAG | {"repair_minutes": 210.0}))
        assert solution.fleet.units["fans"] == {"fan": 10}

    def test_units_that_restart_sooner_bridge_it_with_fewer(self, site: Model) -> None:
        """A minute and a half is two whole ones: 1,200 MJ, 300 too many, and n·60 ≥ 300."""
        quick = changed(site, "cooling_units", "chiller", restart_minutes=0.5)
        quick = changed(quick, "clusters", "site", capacitance_mj_per_k_per_mw=9.0)
        _, solution = plan(problem_data_of(quick, SAG | {"repair_minutes": 1.0}))
        assert solution.fleet.units["fans"] == {"fan": 5}

    def test_units_bought_are_of_the_type_that_restarts_soonest(self, site: Model) -> None:
        """Small ones run again after 5 minutes, large ones after 20."""
        model = changed(site, "cooling_units", "chiller", restart_minutes=19.0)
        model = changed(model, "cooling_units", "small", restart_minutes=4.0)
        model = changed(model, "plants", "chillers", options=("small",))
        model = changed(model, "plants", "fans", max_added=0)
        model = changed(model, "clusters", "site", capacitance_mj_per_k_per_mw=30.0)
        _, solution = plan(problem_data_of(model, SAG | {"repair_minutes": 1.0}))
        assert solution.fleet.units["chillers"]["small"] == 20
        none = changed(model, "plants", "chillers", options=())
        assert plan(problem_data_of(none, SAG | {"repair_minutes": 1.0}))[1].status == "infeasible"

    def test_a_sag_starts_units_that_need_time(self, site: Model) -> None:
        late = changed(site, "cooling_units", "fan", start_minutes=3.0)
        stages = {
            s.start_minute: s for s in problem_data_of(late, SAG | {"at_minute": 20.0}).stages
        }
        assert stages[20.0].end_minute == 23.0
        assert stages[20.0].started["fans"] == frozenset()
        assert stages[23.0].started["fans"] == {"fan"}

    def test_lost_units_count_among_those_that_carry(self, site: Model) -> None:
        """Small units are back first; a large one lost with them costs nothing until it is due."""
        two = changed(site, "plants", "chillers", existing={"chiller": 10, "small": 4})
        loss = {"kind": "largest-units", "plant": "chillers", "repair_minutes": 60.0}
        programme = build(problem_data_of(two, SAG, loss))
        capacity = [
            (name, constraint.constant)
            for name, constraint in programme.constraints.items()
            if name.startswith("plant_capacity") and name.endswith(("1.chillers", "2.chillers"))
        ]
        assert capacity == [
            ("plant_capacity.case.1.chillers", 0.0),
            ("plant_capacity.case.2.chillers", -1.5),
        ]

    def test_units_restart_when_power_returns(self, site: Model) -> None:
        """A minute without generators, six of restart: seven minutes less what the site stores."""
        feed = site.feeds["grid"].replace(generator_mw=50.0, generator_start_minutes=1.0)
        model = site.replace(feeds={"grid": feed})
        loss = {"kind": "feed", "name": "grid", "repair_minutes": 60.0}
        stages = problem_data_of(model, loss).stages
        dark = [s for s in stages if s.end_minute <= 7]
        assert [(s.start_minute, s.end_minute) for s in dark] == [(0.0, 1.0), (1.0, 7.0)]
        _, solution = plan(problem_data_of(model, loss))
        # 600 MJ are gone after the first minute, in which fans have no power either.
        assert solution.fleet.units["fans"] == {"fan": 10}
        instant = changed(model, "cooling_units", "chiller", restart_minutes=0.0)
        assert plan(problem_data_of(instant, loss))[1].fleet.units["fans"] == {"fan": 0}

    def test_sags_that_trip_nothing_cannot_bind(self, site: Model) -> None:
        assert binds(site, SAG)
        second = site.feeds["grid"].replace(name="second")
        assert not binds(site.replace(feeds={**site.feeds, "second": second}), SAG)

    def test_services_that_nothing_needs_make_no_stages(self, tmp_path: Path) -> None:
        text = SITE + "services: {log: {plane: state}, db: {plane: state}}\n"
        model = changed(model_of(tmp_path, text), "plants", "fans", options=())
        hot = {"kind": "heat", "region": "here", "rise_c": 1.0, "repair_minutes": 60.0}
        loss = {"kind": "service", "name": "log", "repair_minutes": 5.0, "at_minute": 30.0}
        spans = [(s.start_minute, s.end_minute) for s in problem_data_of(model, hot, loss).stages]
        assert spans == [(0.0, 15.0), (15.0, 60.0)]


class TestTanks:
    @pytest.mark.parametrize(("megawatt_hours", "enough"), [(1.5, True), (1.499, False)])
    def test_a_tank_of_the_right_size_bridges_a_sag(
        self, site: Model, megawatt_hours: float, enough: bool
    ) -> None:
        """Ten megawatts for ten minutes are 6,000 MJ; 600 are stored, 5,400 are 1.5 MWh."""
        model = changed(site, "plants", "fans", max_added=0)
        model = changed(model, "plants", "chillers", buffer_mwh=megawatt_hours)
        assert plan(problem_data_of(model, SAG))[1].status == (
            "optimal" if enough else "infeasible"
        )

    def test_a_tank_saves_standby_units(self, site: Model) -> None:
        """(10 − n)·600 ≤ 600 + 3,600·0.75: n ≥ 4.5."""
        model = changed(site, "plants", "chillers", buffer_mwh=0.75)
        programme, solution = plan(problem_data_of(model, SAG))
        assert solution.fleet.units["fans"] == {"fan": 5}
        audit(programme, solution)

    def test_a_tank_works_without_power_but_not_in_a_lost_plant(self, site: Model) -> None:
        model = changed(site, "plants", "chillers", buffer_mwh=1.0)
        model = changed(model, "plants", "fans", buffer_mwh=0.25)

        def right_side(*events: dict[str, Any]) -> float:
            programme = build(problem_data_of(model, *events))
            row = programme.constraints["ride_through.case.site"]
            fleet = {v.name: c for v, c in row.items() if v.name.startswith("blocks")}
            assert set(fleet) <= {"blocks.site"}
            return -row.constant

        dark = {"kind": "feed", "name": "grid", "repair_minutes": 5.0}
        lost = {"kind": "plant", "name": "chillers", "repair_minutes": 5.0}
        later = {"kind": "plant", "name": "chillers", "repair_minutes": 5.0, "at_minute": 2.0}
        assert right_side(SAG) == pytest.approx(600 + 3600 * 1.25)
        assert right_side(dark) == pytest.approx(600 + 3600 * 1.25)
        assert right_side(lost) == pytest.approx(600 + 3600 * 0.25)
        assert right_side(SAG, later) == pytest.approx(600 + 3600 * 0.25)

    def test_clusters_share_a_tank_by_the_heat_they_may_give(self, site: Model) -> None:
        first = site.clusters["site"]
        cold = site.gpus["gpu"].replace(name="cold", power_mw=0.0)
        clusters = {
            "site": first,
            "big": first.replace(name="big", existing_gpus=0, max_gpus=3000),
            "cold": first.replace(name="cold", gpu="cold"),
        }
        plants = {
            "chillers": site.plants["chillers"].replace(cools=tuple(clusters), buffer_mwh=2.0),
            "fans": site.plants["fans"].replace(cools=("site",), buffer_mwh=1.0),
        }
        model = site.replace(gpus={**site.gpus, "cold": cold}, clusters=clusters, plants=plants)
        data = ProblemData(model, (), {})
        assert data.buffer_mj("case", "site") == pytest.approx(3600 * (2.0 / 4 + 1.0))
        assert data.buffer_mj("case", "big") == pytest.approx(3600 * 2.0 * 3 / 4)
        assert data.buffer_mj("case", "cold") == 0.0


class TestLoadBalancers:
    @pytest.mark.parametrize(
        ("failover", "earliest", "at", "from_minute"),
        [
            (4.0, 0.0, 0.0, 4.0),
            (4.0, 25.0, 0.0, 25.0),
            (30.0, 25.0, 0.0, 30.0),
            (4.0, 25.0, 7.0, 32.0),
        ],
    )
    def test_floors_apply_once_load_balancers_act(
        self, site: Model, failover: float, earliest: float, at: float, from_minute: float
    ) -> None:
        loss = {"kind": "cluster", "name": "site", "repair_minutes": 90.0, "at_minute": at}
        data = problem_data_of(
            site,
            loss,
            operations={"failover_minutes": failover, "earliest_reroute_minutes": earliest},
        )
        for stage in data.stages:
            blind = stage.start_minute < from_minute
            assert stage.floors == ({} if blind else {"all-users": 1.0})
        assert any(stage.start_minute == from_minute for stage in data.stages)

    def test_where_no_cluster_is_down_there_is_nothing_to_reroute(self, site: Model) -> None:
        assert all(stage.floors for stage in problem_data_of(site, SAG).stages)
