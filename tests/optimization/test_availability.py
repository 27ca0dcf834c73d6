"""Availability variables: what a measure keeps up counts as up."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import EXACT, model_of

from planner.optimization.formulation.build import build
from planner.optimization.formulation.measures import up
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.solving import solve
from planner.scenarios.generators import all_scenarios
from planner.scenarios.timeline import Outage

TWO_SPARE_FEEDS = """
extends: tiny
feeds:
  first: {region: west, capacity_mw: 50.0}
  second: {region: west, capacity_mw: 50.0}
  third: {region: west, capacity_mw: 50.0}
generators: {feed: {severity: common}}
measures: {second: {feeds: [second]}, third: {feeds: [third]}}
"""


@pytest.mark.parametrize(("bought", "least"), [((), 0), (("second",), 1), (("second", "third"), 1)])
def test_a_cluster_with_power_cannot_be_declared_down(
    tmp_path: Path, bought: tuple[str, ...], least: float
) -> None:
    """Declared down it would need no cooling, so its variable is bounded from below too."""
    model = model_of(tmp_path, TWO_SPARE_FEEDS)
    programme = build(ProblemData(model, all_scenarios(model), {}))
    availability = up(programme, Outage(failed=frozenset({"feed:first"})), "cluster:west-gpus")
    for name, variable in programme.purchases.measures.items():
        variable.lowBound = variable.upBound = int(name in bought)
    programme.problem.setObjective(availability.expression)
    solution = solve(programme, EXACT)
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(least)
