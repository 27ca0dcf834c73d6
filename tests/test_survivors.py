"""Below the plans of the programme: survivors, and the bound that none of them undercuts."""

from __future__ import annotations

from itertools import product

import pytest
from support import EXACT, model_of

from planner.infrastructure.entities import Model
from planner.infrastructure.loading import LoadedModel
from planner.optimization.decomposition.fixed import with_purchases
from planner.optimization.formulation.build import build
from planner.optimization.formulation.loosening import loosened
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.decisions import variables
from planner.optimization.solution.solving import solve
from planner.rounds import LoopResult
from planner.scenarios.generators import all_scenarios
from planner.survivors import Judged
from planner.verification import optimize_and_verify

#: Two sites and a cloud. Capacity is counted in small blocks, so that every fleet can be tried.
SITES = """
regions: {{a: {{power_limit_mw: 20.0}}, b: {{power_limit_mw: 20.0}}}}
gpus: {{gpu: {{power_mw: 0.005, static_share: 0.4, rps: 1.0, capital_usd: 20000.0}}}}
clusters:
  a: {{region: a, gpu: gpu, existing_gpus: 500, block_gpus: 100, max_gpus: 600,
       capacitance_mj_per_k_per_mw: 30.0}}
  b: {{region: b, gpu: gpu, existing_gpus: 100, block_gpus: 100, max_gpus: 400,
       capacitance_mj_per_k_per_mw: 30.0}}
cooling_units: {{unit: {{capacity_mw: 2.0, capital_usd: 900000.0}},
                 fan: {{capacity_mw: 1.0, mode: standby, start_minutes: {start},
                       capital_usd: 4.0e5}}}}
plants:
  a-p: {{region: a, cools: [a], existing: {{unit: 3}}}}
  b-p: {{region: b, cools: [b], existing: {{unit: 3}}}}
  a-e: {{region: a, cools: [a], role: emergency, options: [fan], max_added: 2}}
offers:
  cloud: {{provider: p, gpus_per_instance: 40, available_gpus: 160, lead_time_minutes: {lead},
           usd_per_instance_hour: 20.0, retainer_usd_per_instance_year: {retainer},
           rps_per_gpu: 1.0}}
tiers: {{gold: {{priority: 1, share: 0.5, value_usd_per_1000_requests: 50.0}},
         free: {{priority: 2, share: 0.5, value_usd_per_1000_requests: 5.0}}}}
zones: {{here: {{demand_rps: {demand}, latency_ms: {{a: 5.0, b: 10.0}}}}}}
operations: {{detection_minutes: 3.0, response_minutes: 6.0, failover_minutes: 2.0}}
finance: {{emergency_budget_usd: 1e6}}
generators: {{}}
standard:
  region: [{{tier: gold, from_minute: 10.0, least_served: 0.6}},
           {{tier: each, from_minute: {settled}, least_served: 0.9}}]
  single: [{{tier: gold, from_minute: 10.0, least_served: 0.95}}]
scenarios:
  lose-a: {{severity: region, frequency_per_year: 0.05,
            events: [{{kind: region, name: a, repair_minutes: 300.0}}]}}
  cooling-a: {{severity: single, frequency_per_year: 0.5,
               events: [{{kind: plant, name: a-p, repair_minutes: 120.0}}]}}
simulation: {{horizon_minutes: 360}}
"""
CASES = [
    dict(zip(("start", "lead", "retainer", "demand", "settled"), values, strict=True))
    for values in (
        (3.0, 45.0, 30000.0, 400.0, 90.0),
        (6.0, 80.0, 60000.0, 410.0, 100.0),
    )
]


def cheapest_survivor(model: Model) -> float:
    """Cost of the cheapest fleet that survives, all of them tried, USD a year."""
    data = ProblemData(model, all_scenarios(model), {})
    base = build(data.part(()))
    judged = Judged(model, data.scenarios, base, EXACT, lambda: False, left=10**6)
    ranges = [range(round(x.low), round(x.high) + 1) for x in variables(base).values()]
    found = []
    for counts in product(*ranges):
        if judged.survives(counts):
            bought = dict(zip(judged.keys, counts, strict=True))
            programme = with_purchases(loosened(data), bought, EXACT)
            assert programme is not None, "the loosened programme has a plan that it does not hold"
            found.append(programme[1].objective)
    return min(found)


@pytest.fixture(scope="module", params=range(len(CASES)))
def solved(request, tmp_path_factory) -> tuple[Model, LoopResult]:
    folder = tmp_path_factory.mktemp("survivors")
    model = model_of(folder, SITES.format(**CASES[request.param]))
    return model, optimize_and_verify(model, all_scenarios(model), EXACT)


def test_no_survivor_is_cheaper_than_the_bound_nor_much_cheaper_than_the_plan(solved) -> None:
    model, outcome = solved
    truth = cheapest_survivor(model)
    assert outcome.survives
    assert outcome.survivor_bound_usd <= truth * (1 + 1e-6)
    assert outcome.best.solution.objective <= truth * 1.005


def test_the_loosened_programme_costs_no_more_than_the_strict_one(solved) -> None:
    data = ProblemData(solved[0], all_scenarios(solved[0]), {})
    strict, loose = solve(build(data), EXACT), solve(build(loosened(data)), EXACT)
    assert loose.objective <= strict.objective * (1 + 1e-6)


def test_no_bound_is_stated_where_normal_operation_asks_for_more_than_demand(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where customers are too many to have a row each, as on models of many zones."""
    scenarios = all_scenarios(tiny.model)[:1]
    stated = optimize_and_verify(tiny.model, scenarios, EXACT)
    monkeypatch.setattr(ProblemData, "exact_crowds", False)
    withheld = optimize_and_verify(tiny.model, scenarios, EXACT)
    assert stated.survives and stated.survivor_bound_usd is not None
    assert withheld.survives and withheld.survivor_bound_usd is None
