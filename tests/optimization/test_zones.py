"""A standard that asks per zone, in the programme."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from optimization.test_stages import scenario
from support import EXACT, model_of

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import ServedRule
from planner.infrastructure.graph import build_graph, single_points_by_zone
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.infeasibility.diagnosis import diagnose
from planner.rounds import LoopResult
from planner.verification import optimize_and_verify

#: Home is served from here or there; away from there or, at three times the price, from yonder.
PLACES = """
regions: {here: {power_limit_mw: 50}, there: {power_limit_mw: 50}, yonder: {power_limit_mw: 50}}
gpus:
  g: {power_mw: 0.001, static_share: 0.0, rps: 1.0, capital_usd: 10000}
  dear: {power_mw: 0.001, static_share: 0.0, rps: 1.0, capital_usd: 30000}
clusters:
  a: {region: here, gpu: g, max_gpus: 5000, max_utilisation: 1.0}
  b: {region: there, gpu: g, max_gpus: 5000, max_utilisation: 1.0}
  c: {region: yonder, gpu: dear, max_gpus: 5000, max_utilisation: 1.0}
cooling_units: {u: {capacity_mw: 1.0, capital_usd: 1000}}
plants:
  p: {region: here, cools: [a], options: [u]}
  q: {region: there, cools: [b], options: [u]}
  r: {region: yonder, cools: [c], options: [u]}
tiers:
  paid: {priority: 1, share: 0.5, latency_limit_ms: 20}
  free: {priority: 2, share: 0.5, latency_limit_ms: 20}
zones:
  home: {demand_rps: 900, latency_ms: {here: 1, there: 10, yonder: 90}}
  away: {demand_rps: 100, latency_ms: {here: 90, there: 1, yonder: 10}}
"""
LOSS = {"kind": "region", "name": "there", "repair_minutes": 300.0}


@pytest.fixture
def places(tmp_path: Path) -> Model:
    return model_of(tmp_path, PLACES)


def asking(model: Model, *rules: dict[str, Any]) -> Model:
    usual = {"tier": "all", "from_minute": 10, "least_served": 0.8}
    return model.replace(
        standard={"single": tuple(ServedRule.model_validate(usual | rule) for rule in rules)}
    )


def outcome(model: Model) -> LoopResult:
    return optimize_and_verify(model, (scenario(LOSS),), EXACT)


def gpus(model: Model) -> dict[str, int]:
    found = outcome(model)
    assert found.survives
    assert found.best is not None
    return dict(found.best.solution.fleet.gpus)


def test_a_floor_on_all_zones_together_may_leave_one_zone_unserved(places: Model) -> None:
    assert gpus(asking(places, {}))["c"] == 0


@pytest.mark.parametrize(
    ("rule", "least"),
    [
        ({"zone": "each"}, 80),
        ({"zone": "away"}, 80),
        ({"zone": "home"}, 0),
        ({"zone": "away", "tier": "paid", "least_served": 0.5}, 25),
        ({"zone": "each", "tier": "each", "least_served": 1.0}, 100),
    ],
    ids=str,
)
def test_a_floor_on_a_zone_is_met_in_that_zone(
    places: Model, rule: dict[str, Any], least: int
) -> None:
    """What remains of a plan is simulated and audited too."""
    assert gpus(asking(places, rule))["c"] == least


def test_no_plan_names_the_zone_and_the_rule(places: Model) -> None:
    far = places.replace(
        clusters={name: one for name, one in places.clusters.items() if name != "c"},
        plants={name: one for name, one in places.plants.items() if name != "r"},
    )
    model = asking(far, {}, {"zone": "each", "least_served": 0.3})
    programme = build(ProblemData(model, (scenario(LOSS),), {}))
    found = diagnose(programme.data, EXACT, 1)
    assert any("all tiers together in away get at least 30 %" in line for line in found.lines())
    paths = {change.path for one in found.sets for change in one.relaxations}
    assert "standard.single[1].least_served" in paths
    assert not any(path.startswith("standard.single[0]") for path in paths)


def test_single_points_of_failure_of_a_zone(places: Model) -> None:
    """Without the clusters yonder one region alone serves the zone that is away."""
    assert single_points_by_zone(places, build_graph(places)) == {
        zone: {"paid": (), "free": ()} for zone in ("home", "away")
    }
    clusters = dict(places.clusters) | {"c": places.clusters["c"].replace(max_gpus=0)}
    fewer = places.replace(clusters=clusters)
    found = single_points_by_zone(fewer, build_graph(fewer))
    alone = ("cluster:b", "plant:q", "region:there")
    assert found["away"] == {"paid": alone, "free": alone}
    assert found["home"] == {"paid": (), "free": ()}
