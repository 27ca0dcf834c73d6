"""Margins of the loop: what they ask for, and of whom."""

from __future__ import annotations

from pathlib import Path

from support import EXACT, model_of

from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.stages import Margin
from planner.optimization.solution.audit import audit
from planner.optimization.solution.solving import Solution, solve
from planner.scenarios.generators import all_scenarios

#: Two tiers in one region; a service of the first runs in another region, which is lost.
MODEL = """
regions: {r: {power_limit_mw: 9.0}, s: {power_limit_mw: 9.0}}
gpus: {g: {power_mw: 0.005, static_share: 0.5, rps: 1.0, capital_usd: 20000.0}}
clusters:
  c: {region: r, gpu: g, existing_gpus: 250, block_gpus: 50, max_gpus: 250,
      capacitance_mj_per_k_per_mw: 30.0}
cooling_units: {half: {capacity_mw: 0.5, capital_usd: 200000.0}}
plants: {p: {region: r, cools: [c], existing: {half: 4}}}
services: {store: {plane: state, replicas: {s: 1}, needs_replicas: 1}}
tiers:
  stored: {priority: 1, share: 0.5, value_usd_per_1000_requests: 1.0, entry: store}
  plain: {priority: 2, share: 0.5, value_usd_per_1000_requests: 1.0}
zones: {z: {demand_rps: 170.0, latency_ms: {r: 10.0}}}
scenarios:
  trouble: {severity: common, frequency_per_year: 0.001,
            events: [{kind: region, name: s, repair_minutes: 300.0}]}
"""
#: The service lets through what its tier asks for and no more, and all has to be served.
LIMITED = (
    "services.store={plane: state, replicas: {r: 1, s: 1}, needs_replicas: 1, capacity_rps: 85.0}",
    "standard.common=[{tier: all, from_minute: 0, least_served: 1.0}]",
)


def solved_with(folder: Path, margin: Margin, *overrides: str) -> Solution:
    """Audited solution of the model with a margin on its scenario."""
    model = model_of(folder, MODEL, *overrides)
    programme = build(ProblemData(model, all_scenarios(model), {"trouble": margin}))
    solution = solve(programme, EXACT)
    if solution.status != "infeasible":
        audit(programme, solution)
    return solution


def test_a_floor_asks_a_margin_of_tiers_that_are_up_alone(tmp_path: Path) -> None:
    """Of 85 + 1.2·85 requests/s without the measure, 54 % are 101: the other tier has 102."""
    solution = solved_with(
        tmp_path,
        Margin(demand=0.2),
        "standard.common=[{tier: all, from_minute: 0, least_served: 0.54}]",
        "measures.m={replicas: {store: {r: 1}}, capital_usd: 100000000.0}",
    )

    assert solution.status == "optimal"
    assert solution.fleet.measures == frozenset()


def test_services_let_real_demand_through_whatever_margin_clusters_carry(tmp_path: Path) -> None:
    solution = solved_with(
        tmp_path,
        Margin(demand=0.3),
        *LIMITED,
    )

    assert solution.status == "optimal"


def test_a_margin_of_services_is_asked_of_them(tmp_path: Path) -> None:
    solution = solved_with(
        tmp_path,
        Margin(services=0.1),
        *LIMITED,
    )

    assert solution.status == "infeasible"
