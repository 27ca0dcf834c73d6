"""Rows stricter than the standard give way where they leave no plan, and the simulation judges."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from support import model_of

from planner.infrastructure.loading import LoadedModel
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import solve
from planner.plan.records import Plan
from planner.rounds import LoopResult
from planner.scenarios.generators import all_scenarios
from planner.simulation.verdict import judge
from planner.verification import optimize_and_verify

EXACT = SolverSettings(gap=0.0)

#: Three rooms of which any two serve everybody. Operators need six minutes, in which a room without
#: its chillers warms by 1 K in four seconds times its load: from 65 °C it throttles before they
#: come. The standard asks for nothing before minute 12.
ROOMS = """
regions: {a: {power_limit_mw: 9.0}, b: {power_limit_mw: 9.0}, c: {power_limit_mw: 9.0}}
gpus: {gpu: {power_mw: 0.002, static_share: 0.5, rps: 2.0, capital_usd: 9000.0}}
clusters:
  one: {region: a, gpu: gpu, existing_gpus: 300, block_gpus: 20, max_gpus: 900,
        capacitance_mj_per_k_per_mw: 16.0}
  two: {region: b, gpu: gpu, existing_gpus: 300, block_gpus: 20, max_gpus: 900,
        capacitance_mj_per_k_per_mw: 16.0}
  three: {region: c, gpu: gpu, existing_gpus: 300, block_gpus: 20, max_gpus: 900,
          capacitance_mj_per_k_per_mw: 16.0}
cooling_units: {chiller: {capacity_mw: 0.4, capital_usd: 90000.0}}
plants:
  first: {region: a, cools: [one], options: [chiller], max_added: 9}
  second: {region: b, cools: [two], options: [chiller], max_added: 9}
  third: {region: c, cools: [three], options: [chiller], max_added: 9}
tiers: {paid: {priority: 1, share: 0.5}, free: {priority: 2, share: 0.5}}
zones: {users: {demand_rps: 1000.0, latency_ms: {a: 5.0, b: 15.0, c: 25.0}}}
operations: {detection_minutes: 2.0, response_minutes: 4.0, failover_minutes: 1.0}
standard: {common: [{tier: each, from_minute: 12, least_served: 1.0}]}
generators: {plant: {severity: common, frequency_per_year: 0.1, repair_hours: 6.0}}
simulation: {horizon_minutes: 120}
"""
SOONER = ROOMS.replace("from_minute: 12", "from_minute: 3")

#: A third of the demand has no GPUs when the larger region is lost at the peak of the week, and
#: less and less of it an hour later, when the cloud is paid for by the minute.
EVENING = """
regions: {near: {power_limit_mw: 99.0}, far: {power_limit_mw: 99.0}}
gpus: {gpu: {power_mw: 0.0, static_share: 0.5, rps: 1.0, capital_usd: 30000.0}}
clusters:
  first: {region: near, gpu: gpu, existing_gpus: 600, max_gpus: 600, max_utilisation: 1.0}
  second: {region: far, gpu: gpu, existing_gpus: 600, max_gpus: 600, max_utilisation: 1.0}
tiers: {everyone: {priority: 1, share: 1.0, value_usd_per_1000_requests: 1.0}}
shapes: {evening: [1.0, 0.8, 0.62, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5,
                   0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.7, 0.9]}
zones: {users: {demand_rps: 900.0, shape: evening, latency_ms: {near: 1.0, far: 9.0}}}
offers:
  cloud: {provider: cloudy, gpus_per_instance: 10, available_gpus: 900, lead_time_minutes: 10.0,
          usd_per_instance_hour: 100.0, retainer_usd_per_instance_year: 1000.0, rps_per_gpu: 1.0}
operations: {detection_minutes: 2, response_minutes: 3, failover_minutes: 2}
finance: {emergency_budget_usd: %s}
standard: {region: [{tier: all, from_minute: 25, least_served: 0.95}]}
scenarios:
  loss: {severity: region, frequency_per_year: 0.01,
         events: [{kind: region, name: near, repair_minutes: 300}]}
simulation: {horizon_minutes: 400}
"""

#: One hall whose chillers all hang on a bus that takes two of them with it. Nothing can be bought
#: that keeps the hall below throttling; a fourth and fifth chiller keep it below shutdown.
BUS = """
regions: {here: {power_limit_mw: 99.0}}
gpus: {gpu: {power_mw: 0.01, static_share: 0.5, rps: 1.0}}
clusters:
  hall: {region: here, gpu: gpu, existing_gpus: 100, max_gpus: 100, max_utilisation: 1.0,
         capacitance_mj_per_k_per_mw: 8.0}
cooling_units: {chiller: {capacity_mw: 0.35, capital_usd: 500000.0}}
plants:
  chillers: {region: here, cools: [hall], existing: {chiller: 3}, options: [chiller], max_added: %s}
tiers: {everyone: {priority: 1, share: 1.0, value_usd_per_1000_requests: 1.0}}
zones: {users: {demand_rps: 100.0, latency_ms: {here: 1.0}}}
operations: {detection_minutes: 4, response_minutes: 11, failover_minutes: 1}
standard: {common: [{tier: all, from_minute: 70, least_served: 0.9}]}
scenarios:
  bus: {severity: common, frequency_per_year: 0.1,
        events: [{kind: units, plant: chillers, unit: chiller, count: 3, repair_minutes: 60}]}
simulation: {horizon_minutes: 150}
"""


def looped(folder: Path, text: str, *overrides: str) -> LoopResult:
    model = model_of(folder, text, *overrides)
    return optimize_and_verify(model, all_scenarios(model), EXACT)


def problem_data_of(folder: Path, text: str, **rest: object) -> ProblemData:
    model = model_of(folder, text)
    return ProblemData(model, all_scenarios(model), {}, **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize("solver", ["highs", "cbc"])
def test_throttling_that_the_standard_allows_is_left_to_the_simulation(
    tmp_path: Path, solver: str
) -> None:
    model = model_of(tmp_path, ROOMS)
    scenarios = all_scenarios(model)
    assert solve(build(ProblemData(model, scenarios, {})), EXACT).status == "infeasible"

    outcome = optimize_and_verify(model, scenarios, SolverSettings(solver, gap=0.0))

    assert outcome.survives
    (last,) = outcome.rounds
    assert set(last.programme.data.waived) == {
        ("ride_through", "one", "plant-first"),
        ("ride_through", "two", "plant-second"),
        ("ride_through", "three", "plant-third"),
    }
    assert all(verdict.throttled_minutes for verdict in last.verdicts)
    # Without the rule there is no cheaper plan, so nothing was bought against it.
    free = optimize_and_verify(model.replace(generators={}), (), EXACT).best
    assert free is not None
    assert last.solution.objective == pytest.approx(free.solution.objective)


def test_a_plan_records_the_rows_left_to_the_simulation(tmp_path: Path) -> None:
    model = model_of(tmp_path, ROOMS)
    outcome = optimize_and_verify(model, all_scenarios(model), EXACT)
    plan = outcome.plan(LoadedModel(model, "model", ""), EXACT)
    again = Plan.model_validate(json.loads(plan.to_json()))
    (record,) = again.verification.rounds
    assert record.waived_by_row == dict(outcome.rounds[-1].programme.data.waived)
    assert "one in scenario plant-first" in record.waived[0].text
    assert all(line.throttled_minutes > 0 for line in again.scenarios)


def test_no_plan_throttles_where_full_service_is_asked_for_at_once(tmp_path: Path) -> None:
    """Where the programme has no plan: what others serve does not make up for a hall uncooled."""
    outcome = looped(tmp_path, SOONER)
    assert outcome.best is None
    assert outcome.diagnosis is not None
    assert {group.family for group in outcome.diagnosis.conflict} == {"ride_through"}
    cheapest = outcome.diagnosis.sets[0]
    assert cheapest.options == (
        "--set generators.plant.without=[plant-first, plant-second, plant-third]",
    )
    assert cheapest.survives
    assert cheapest.failed == ()


def test_ride_through_is_kept_where_a_plan_meets_it(tmp_path: Path) -> None:
    """With operators at once nothing throttles, and nothing is waived."""
    outcome = looped(tmp_path, ROOMS, "operations.response_minutes=0.0")
    assert outcome.survives
    assert all(not round_.programme.data.waived for round_ in outcome.rounds)


def test_a_waived_budget_is_judged_by_simulated_spend(tmp_path: Path) -> None:
    """The programme pays for the largest minute of each stage, the simulator for every minute."""
    generous = looped(tmp_path, EVENING % "9.0e+6")
    assert generous.best is not None
    (verdict,) = generous.best.verdicts
    budget = math.ceil(verdict.emergency_usd)
    outcome = looped(tmp_path, EVENING % f"{budget}.0")
    assert outcome.survives
    assert outcome.best is not None
    assert set(outcome.best.programme.data.waived) == {("emergency_budget", "budget", "loss")}
    assert outcome.best.verdicts[0].emergency_usd <= budget
    assert not looped(tmp_path, EVENING % f"{0.9 * budget:.1f}").survives


def test_what_keeps_a_hall_from_shutting_down_is_bought(tmp_path: Path) -> None:
    """Nothing keeps it from throttling; with two more chillers it does not shut itself down."""
    data = problem_data_of(tmp_path, BUS % 2)
    free = replace(data, waived={("ride_through", "hall", "bus"): math.inf})
    first = solve(build(free), EXACT)
    assert not judge(data.model, first.fleet, data.scenarios)[0].survives

    outcome = looped(tmp_path, BUS % 2)
    assert outcome.survives
    assert outcome.best is not None
    assert outcome.best.solution.fleet.units["chillers"]["chiller"] == 5
    assert dict(outcome.best.programme.data.waived) == free.waived


def test_a_scenario_that_fails_with_the_row_waived_has_no_plan(tmp_path: Path) -> None:
    outcome = looped(tmp_path, BUS % 0)
    assert outcome.best is None
    assert outcome.diagnosis is not None
    assert outcome.diagnosis.tried == ("bus",)
    text = "\n".join(outcome.diagnosis.lines())
    assert "without it bus still fails in simulation" in text
    assert outcome.diagnosis.sets
    assert outcome.diagnosis.sets[0].survives
