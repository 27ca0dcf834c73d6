"""Below the plans of the programme: survivors, and the bound that none of them undercuts."""

from __future__ import annotations

import dataclasses
import math
import re
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from support import EXACT, benchmark_module, model_of

import planner.verification
from planner.infrastructure.entities import Model
from planner.infrastructure.loading import LoadedModel
from planner.judging import Judged
from planner.learning import admitting
from planner.optimization.formulation import loosening
from planner.optimization.formulation.build import build
from planner.optimization.formulation.loosening import loosened
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.simulated import Gain, SimulatedCut
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import solve
from planner.rounds import LoopResult
from planner.scenarios.generators import all_scenarios
from planner.survivors import Search, cheaper_fleets, cheapest_first
from planner.verification import optimize_and_verify

BENCHMARK = benchmark_module("survivors")
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
        # The programme has no plan, as it is stricter than the simulation.
        (12.0, 60.0, 90000.0, 430.0, 90.0),
    )
]


@pytest.fixture(scope="module", params=range(len(CASES)))
def solved(request, tmp_path_factory) -> tuple[Model, LoopResult]:
    folder = tmp_path_factory.mktemp("survivors")
    model = model_of(folder, SITES.format(**CASES[request.param]))
    return model, optimize_and_verify(model, all_scenarios(model), EXACT)


def test_no_survivor_is_cheaper_than_the_bound_nor_much_cheaper_than_the_plan(solved) -> None:
    model, outcome = solved
    truth = BENCHMARK.cheapest_survivor(model)
    assert outcome.survives and truth is not None
    assert outcome.survivor_bound_usd <= truth * (1 + 1e-6)
    assert outcome.best.solution.objective <= truth * 1.005


def test_a_search_ends_where_a_fleet_costs_little_enough(tmp_path: Path) -> None:
    model = model_of(tmp_path, SITES.format(**CASES[0]))
    data = ProblemData(model, all_scenarios(model))

    def found(promise_usd: float) -> tuple[Judged, list[float]]:
        judged = Judged(model, data.scenarios, build(data.part(())), EXACT, lambda: False)
        start = judged.fullest()
        assert start is not None and judged.survives(start)
        cheaper_fleets(judged, [start], promise_usd)
        usd = Search.of(judged).usd
        return judged, sorted(usd(start) - usd(counts) for counts in judged.survivors)

    every, saved = found(math.inf)
    judged, enough = found(saved[-1] / 2)
    assert saved[-1] / 2 <= enough[-1] <= saved[-1]
    assert judged.fleets < every.fleets
    assert found(0.0)[1] == [0.0]
    usd = [Search.of(every).usd(tuple(bought.values())) for bought in cheapest_first(every)]
    assert usd == sorted(usd) and len(usd) == len(saved)


@pytest.mark.parametrize("moment", ["in the search", "between plans"])
def test_what_a_search_found_is_a_plan_where_it_is_stopped(
    moment: str, monkeypatch, tmp_path: Path
) -> None:
    model, stop = model_of(tmp_path, SITES.format(**CASES[0])), threading.Event()
    settings = dataclasses.replace(EXACT, stop=stop)
    search = planner.verification.cheaper_fleets

    def stopped(judged: Judged, *rest: object) -> None:
        if moment == "between plans":
            search(judged, *rest)
        stop.set()

    monkeypatch.setattr(planner.verification, "cheaper_fleets", stopped)
    outcome = optimize_and_verify(model, all_scenarios(model), settings)
    assert stop.is_set() and outcome.rounds[0].failed
    assert outcome.survives and outcome.best.searched


#: Racks that last longer, doors that let heat out, operators who switch off late.
STEP_BY_STEP = (
    *(f"clusters.{name}.shutdown_spread_c=8" for name in "ab"),
    *(f"clusters.{name}.envelope_mw_per_k=0.05" for name in "ab"),
    "operations.switch_off_minutes=60",
    "operations.restart_gpus_per_hour=600",
    "operations.cold_cache_factor=1.2",
)
#: Air that is cooler than what cooling is sized for, in most hours cooler than units are rated at.
COOLER_AIR = (
    *(f"regions.{name}.climate=us-west" for name in "ab"),
    *(f"regions.{name}.design_ambient_c=42" for name in "ab"),
    *(f"cooling_units.{unit}.derating_per_c=0.03" for unit in ("unit", "fan")),
    "plants.b-p.existing={unit: 4}",
)


#: Alerts that only heat raises in time.
BY_HEAT = (
    "operations.detection_minutes=80",
    "operations.detection_c=68",
    "operations.standby_start_c=67",
    "offers.cloud.lead_time_minutes=20",
)


@pytest.mark.parametrize(
    "ways", [STEP_BY_STEP, COOLER_AIR, BY_HEAT], ids=["step by step", "cooler air", "by heat"]
)
def test_no_survivor_is_cheaper_than_the_bound_whatever_helps_survivors(
    ways: tuple[str, ...], tmp_path: Path
) -> None:
    model = model_of(tmp_path, SITES.format(**CASES[0]), *ways)
    outcome, truth = (
        optimize_and_verify(model, all_scenarios(model), EXACT),
        BENCHMARK.cheapest_survivor(model),
    )
    assert outcome.survives and truth is not None
    assert outcome.survivor_bound_usd <= truth * (1 + 1e-6)


#: Operators who need long, unless measures alert and drill them; a late cloud that they reserve.
SLOW_OPERATORS = (
    "operations.detection_minutes=10",
    "operations.response_minutes=40",
    "measures={drills: {usd_per_year: 1000.0, operations: {response_minutes: 0.0}}, "
    "watch: {usd_per_year: 1000.0, operations: {detection_minutes: 0.0}}}",
)
LATE = {"start": 12.0, "lead": 60.0, "retainer": 60000.0, "demand": 420.0, "settled": 100.0}


def test_the_bound_counts_on_the_faster_reactions_that_measures_bring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the longer times a fleet that survives would cost less than the bound."""
    model = model_of(tmp_path, SITES.format(**LATE), *SLOW_OPERATORS)
    data, truth = ProblemData(model, all_scenarios(model)), BENCHMARK.cheapest_survivor(model)
    assert truth is not None
    assert solve(build(loosened(data)), EXACT).bound <= truth * (1 + 1e-6)
    monkeypatch.setattr(loosening, "capped", lambda operations, _: operations)
    assert solve(build(loosened(data)), EXACT).bound > truth * (1 + 1e-4)


def test_air_cooler_than_units_are_rated_at_makes_no_stage_of_its_own(tmp_path: Path) -> None:
    model = model_of(tmp_path, SITES.format(**CASES[0]), *COOLER_AIR)
    data = ProblemData(model, all_scenarios(model), {})
    rated = min(unit.reference_ambient_c for unit in model.cooling_units.values())
    rises = [s.state.ambient_rise_c.get("a", 0.0) for s in loosened(data).stages]
    assert min(rises) == rated - model.regions["a"].design_ambient_c


def test_no_survivor_is_looked_for_within_the_gap_asked_for(tiny: LoadedModel) -> None:
    """None is cheaper by more than the gap then, and the plan is that of the programme."""
    gap = 0.05
    best = optimize_and_verify(tiny.model, all_scenarios(tiny.model), SolverSettings(gap=gap)).best
    exact = optimize_and_verify(tiny.model, all_scenarios(tiny.model), EXACT).best
    assert best is not None
    assert exact is not None
    assert best.searched == 0
    assert not best.failed
    assert best.solution.objective * (1 - gap) <= exact.solution.objective


def test_the_loosened_programme_costs_no_more_than_the_strict_one(solved) -> None:
    data = ProblemData(solved[0], all_scenarios(solved[0]), {})
    strict, loose = solve(build(data), EXACT), solve(build(loosened(data)), EXACT)
    if strict.status == "infeasible":
        assert loose.status == "optimal"
        return
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


@pytest.mark.parametrize("seed", [4, 120, 129, 2023, 4193])
def test_the_cheapest_survivor_of_random_models_is_found(seed: int, tmp_path: Path) -> None:
    said = BENCHMARK.compare(seed, tmp_path)
    above, below = (float(number) for number in re.findall(r"([-\d.]+) % (?:above|below)", said))
    assert above <= 0.5
    assert below >= -1e-6


def test_a_measure_that_is_not_needed_is_left_out(tmp_path: Path) -> None:
    measure = "measures: {drills: {usd_per_year: 1.0e6, operations: {response_minutes: 1.0}}}"
    model = model_of(tmp_path, SITES.format(**CASES[0]) + measure)
    data = ProblemData(model, all_scenarios(model))
    judged = Judged(model, data.scenarios, build(data.part(())), EXACT, lambda: False)
    most = judged.fullest()
    assert most is not None and judged.survives(most)
    cheaper_fleets(judged, [most])
    bought = [
        {key.asset for key, count in fleet.items() if count} for fleet in cheapest_first(judged)
    ]
    assert "drills" in bought[-1] and "drills" not in bought[0]


def test_fleets_that_survive_weaken_the_cuts_that_forbid_them() -> None:
    gains = (Gain("gpus", "a", 2, 0.5), Gain("emergency", "cloud", 0, 0.25))
    cut = SimulatedCut("lose-a", "served", "gold", 0.1, gains)
    judged = SimpleNamespace(
        net=lambda counts: {("gpus", "a"): counts[0], ("emergency", "cloud"): counts[1]}
    )
    assert admitting(judged, [cut], [(4, 0), (2, 5)]) == (cut,)
    (weaker,) = admitting(judged, [cut], [(3, 1)])
    assert [gain.share for gain in weaker.gains] == pytest.approx([0.5 / 0.75, 0.25 / 0.75])
    assert admitting(judged, [cut], [(2, 0)]) == ()
