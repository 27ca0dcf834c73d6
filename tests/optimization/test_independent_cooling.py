"""Emergency cooling that counts only where nothing takes the primary down with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import EXACT, model_of

from planner.infrastructure.entities import Model
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.infeasibility.diagnosis import diagnose
from planner.optimization.solution.audit_purchases import check_purchases
from planner.optimization.solution.solving import solve
from planner.scenarios.generators import all_scenarios

#: West has emergency cooling on the controls of its primary plant, and can get some without.
SHARED = """
extends: tiny
services:
  control: {plane: control, replicas: {west: 1}, needs_replicas: 1}
plants:
  west-chillers: {depends_on: [control]}
  west-air: {depends_on: [control], existing: {air-1: 9}}
  east-air: {region: east, cools: [east-gpus], role: emergency, existing: {air-1: 9}}
policies: {critical_tiers: [business], independent_emergency_cooling: true}
"""
OWN = """
plants.west-own={region: west, cools: [west-gpus], role: emergency, options: [air-1], max_added: 9}
"""


def problem_data_of(model: Model) -> ProblemData:
    return ProblemData(model, all_scenarios(model), {})


def test_share_of_critical_tiers(tmp_path: Path) -> None:
    model = model_of(tmp_path, SHARED)
    assert model.emergency_share == pytest.approx(0.6)
    more = model_of(tmp_path, SHARED, "policies.emergency_cooling_share=0.8")
    assert more.emergency_share == 0.8


def test_the_shared_ancestor_is_named(tmp_path: Path) -> None:
    programme = build(problem_data_of(model_of(tmp_path, SHARED)))
    assert solve(programme, EXACT).status == "infeasible"
    said = "\n".join(diagnose(programme.data, EXACT).lines())
    assert "west-air does not count where it shares service control with west-chillers" in said


def test_without_the_policy_shared_cooling_counts(tmp_path: Path) -> None:
    model = model_of(tmp_path, SHARED, "policies.independent_emergency_cooling=false")
    assert solve(build(problem_data_of(model)), EXACT).status == "optimal"


def test_a_plant_of_its_own_is_bought_instead(tmp_path: Path) -> None:
    data = problem_data_of(model_of(tmp_path, SHARED, OWN.strip()))
    solution = solve(build(data), EXACT)
    assert solution.status == "optimal"
    # 60 % of 5 MW and more, in units of 1 MW.
    assert solution.fleet.units["west-own"]["air-1"] >= 3
    assert not list(check_purchases(data, solution.fleet))


def test_the_audit_counts_only_independent_plants(tmp_path: Path) -> None:
    loose = model_of(tmp_path, SHARED, "policies.independent_emergency_cooling=false")
    plan = solve(build(problem_data_of(loose)), EXACT).fleet
    strict = problem_data_of(model_of(tmp_path, SHARED))
    found = list(check_purchases(strict, plan))
    assert len(found) == 1
    assert "emergency cooling of west-gpus" in found[0]


def test_independence_is_bought_as_a_measure(tmp_path: Path) -> None:
    measure = "measures.own={capital_usd: 1000.0, independent: {west-air: [control]}}"
    solution = solve(
        build(problem_data_of(model_of(tmp_path, SHARED, measure, OWN.strip()))), EXACT
    )
    assert solution.fleet.measures == {"own"}
    assert solution.fleet.units["west-own"]["air-1"] == 0
