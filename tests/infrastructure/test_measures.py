"""What measures change, and what is wrong with a measure."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import model_of

from planner.errors import InputError
from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.graph import blast_radius, build_graph, independent_plants
from planner.infrastructure.measures import scenario_with, with_measures
from planner.scenarios.generators import all_scenarios
from planner.scenarios.system_state import dependency_index

MODEL = """
extends: tiny
feeds:
  first: {region: west, capacity_mw: 12.0}
  second: {region: west, capacity_mw: 12.0}
services:
  control: {plane: control, replicas: {west: 1}, needs_replicas: 1}
  store: {plane: state, replicas: {west: 1}, needs_replicas: 1, connections: 100.0}
  desk: {plane: edge, depends_on: [store]}
tiers: {business: {entry: desk}}
plants: {west-chillers: {depends_on: [control], buffer_mwh: 1.0},
         west-air: {depends_on: [control], automatic: false}}
operations: {detection_minutes: 5.0, response_minutes: 10.0, approval_minutes: 20.0}
generators: {feed: {severity: common}}
measures:
  feed: {feeds: [second]}
  replica: {replicas: {store: {east: 1}}, connections: {store: 50.0}}
  controls: {independent: {west-chillers: [control]}}
  tank: {buffer_mwh: {west-chillers: 2.0}}
  starter: {automatic: [west-air]}
  alarms: {operations: {detection_minutes: 1.0}}
  drills: {operations: {detection_minutes: 2.0, response_minutes: 3.0}}
scenarios:
  slow:
    severity: common
    frequency_per_year: 1.0
    operations: {detection_minutes: 50.0, response_minutes: 2.0}
    events: [{kind: feed, name: second, repair_minutes: 60.0}]
"""


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return model_of(tmp_path, MODEL)


def bought(*names: str) -> frozenset[str]:
    return frozenset(names)


def test_nothing_bought_takes_away_what_measures_bring(model: Model) -> None:
    plain = with_measures(model, bought())
    assert set(plain.feeds) == {"first"}
    assert not plain.measures
    assert plain.operations == model.operations
    assert plain.services == model.services


def test_each_measure_changes_its_part(model: Model) -> None:
    everything = with_measures(model, frozenset(model.measures))
    assert set(everything.feeds) == {"first", "second"}
    assert everything.services["store"].replicas == {"west": 1, "east": 1}
    assert everything.services["store"].connections == 150.0
    assert everything.plants["west-chillers"].depends_on == ()
    assert everything.plants["west-chillers"].buffer_mwh == 3.0
    assert everything.plants["west-air"].automatic
    assert everything.plants["west-air"].depends_on == ("control",)


def test_the_fastest_of_the_measures_counts(model: Model) -> None:
    fast = with_measures(model, bought("alarms", "drills")).operations
    assert (fast.detection_minutes, fast.response_minutes) == (1.0, 3.0)
    assert with_measures(model, bought("drills")).operations.detection_minutes == 2.0


def test_reaction_that_a_scenario_prescribes_is_brought_down_too(model: Model) -> None:
    slow = scenario_with(model, model.scenarios["slow"], bought("drills"))
    assert slow.operations.detection_minutes == 2.0
    assert slow.operations.response_minutes == 2.0
    assert slow.operations.approval_minutes is None


def test_a_feed_of_a_measure_not_bought_cannot_fail(model: Model) -> None:
    scenario = scenario_with(model, model.scenarios["slow"], bought())
    assert [event.kind for event in scenario.events] == ["surge"]
    assert scenario.events[0].factor == 1.0
    assert scenario_with(model, model.scenarios["slow"], bought("feed")).events[0].kind == "feed"


def test_nodes_of_measures_not_bought_are_down(model: Model) -> None:
    graph = build_graph(model)
    index = dependency_index(model, graph)
    lost = frozenset({"feed:first"})
    assert index.state(lost).clusters_down == {"west-gpus"}
    assert not index.state(lost, all_measures=True).clusters_down
    assert "feed:second" not in blast_radius(graph, "region:east")
    assert blast_radius(graph, "replica:store@west#1") >= {"service:store", "tier:business"}


def test_graph_at_best_is_that_of_the_changed_model(model: Model) -> None:
    index = dependency_index(model, build_graph(model))
    changed = with_measures(model, frozenset(model.measures))
    other = dependency_index(changed, build_graph(changed))
    for failed in ("feed:first", "region:west", "service:control", "service:store"):
        one = index.state(frozenset({failed}), all_measures=True)
        assert one == other.state(frozenset({failed})), failed


def test_independence_can_be_bought(model: Model) -> None:
    plain = with_measures(model, bought("feed"))
    assert independent_plants(plain, build_graph(plain), "west-gpus") == ()
    changed = with_measures(model, bought("feed", "controls"))
    assert independent_plants(changed, build_graph(changed), "west-gpus") == ("west-air",)


def test_scenarios_do_not_depend_on_what_is_bought(model: Model) -> None:
    names = [scenario.name for scenario in all_scenarios(model)]
    assert {"feed-first", "feed-second", "slow"} <= set(names)


def test_a_fleet_remembers_its_measures(model: Model) -> None:
    assert Fleet.existing(model).measures == frozenset()
    fleet = Fleet.after(model, {}, {}, {}, frozenset(), bought("tank"))
    assert fleet.measures == {"tank"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("measures.tank={capital_usd: 5.0}", "changes nothing"),
        ("measures.alarms.operations.detection_minutes=60.0", "are not less than 5 without it"),
        ("measures.alarms.operations.detection_c=65.0", "above 65, the highest set point"),
        ("scenarios.slow.operations={shedding_c: 120.0}", "where the last cluster is off, not 120"),
        ("measures.tank.feeds=[second]", "belongs to measure `feed` already"),
        ("measures.starter.automatic=[west-chillers]", "already start automatically"),
        ("measures.controls.independent={east-chillers: [control]}", "does not depend on"),
        ("measures.replica.replicas={desk: {east: 1}}", "it has no replicas"),
        ("measures.replica.connections={control: 5.0}", "has no pool of connections"),
        ("policies={fixed: {measures: {tank: true}}, forbidden: {measures: [tank]}}", "forbidden"),
    ],
)
def test_measures_without_effect_are_refused(change: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        model_of(tmp_path, MODEL, change)
    assert any(complaint in str(problem) for problem in caught.value.problems)


def test_too_many_measures_that_change_reaction_are_refused(tmp_path: Path) -> None:
    many = ", ".join(f"m{i}: {{operations: {{response_minutes: {i}.0}}}}" for i in range(9))
    with pytest.raises(InputError, match="at most 8 can"):
        model_of(tmp_path, MODEL, f"measures={{{many}}}")
