"""Measures in the programme: brute force over all subsets of them agrees on small random models.

The oracle buys each subset, changes the model accordingly and lists every other purchase; it knows
neither availability variables nor a choice among ways of reacting.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

import pytest
from optimization.drawing import draw, model_from
from optimization.enumeration import cheapest
from support import EXACT, model_of, often

from planner.infrastructure.entities import Measure, Model
from planner.infrastructure.failures import Surge
from planner.infrastructure.loading import load_model
from planner.infrastructure.measures import scenarios_with, with_measures
from planner.laws.money import annuity
from planner.optimization.formulation.build import build
from planner.optimization.formulation.loosening import loosened
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.stages import Stage
from planner.optimization.solution.audit import audit
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import solve
from planner.scenarios.generators import all_scenarios
from planner.simulation.verdict import judge
from planner.verification import optimize_and_verify

#: A few models take as long to enumerate as all others together: they are in thorough runs only.
AT_ONCE, FIRST_SEEDS = 8, often([16, 32], list(range(0, 320, 8)))
#: Most subsets of measures times purchases that an oracle lists.
MOST_MEASURES = 3

Data = dict[str, Any]


def measured_model(seed: int) -> Model:
    """A small random model with one to three measures."""
    rng, data = Random(f"measures {seed}"), draw(seed)
    makers = [_tank, _tank, _faster, _faster, _second_feed, _second_feed, _replica, _control]
    if any(not plant.get("automatic", True) for plant in data["plants"].values()):
        makers += [_automatic] * 3
    data["measures"] = {}
    for index in range(rng.choice([1, 2, 2, MOST_MEASURES])):
        effect = rng.choice(makers)(rng, data, f"m{index}")
        data["measures"][f"m{index}"] = effect | {
            "capital_usd": rng.choice([0.0, 5e3, 1e5]),
            "usd_per_year": rng.choice([10.0, 2e3]),
            "life_years": rng.choice([5.0, 20.0]),
        }
    for zone in data["zones"].values():
        # A measure can end a scenario earlier; its hours of transport would then differ.
        zone.pop("transport_usd_per_million_requests", None)
    return model_from(data)


def _tank(rng: Random, data: Data, _: str) -> Data:
    return {"buffer_mwh": {rng.choice(list(data["plants"])): rng.choice([0.02, 0.1, 0.5])}}


def _faster(rng: Random, data: Data, _: str) -> Data:
    times = {"detection_minutes": 5.0, "response_minutes": 10.0, "approval_minutes": 15.0}
    data["operations"] |= times | {"failover_minutes": 8.0}
    if "offers" in data:
        data["offers"]["cloud"]["retainer_usd_per_instance_year"] = 5e3
    some = rng.sample([*times, "failover_minutes"], rng.choice([1, 1, 2]))
    return {"operations": {name: rng.choice([0.0, 1.0, 4.0]) for name in some}}


def _second_feed(rng: Random, data: Data, name: str) -> Data:
    region = rng.choice(list(data["regions"]))
    feeds = data.setdefault("feeds", {})
    most = sum(
        cluster["max_gpus"] * data["gpus"][cluster["gpu"]]["power_mw"]
        for cluster in data["clusters"].values()
        if cluster["region"] == region
    )
    first = f"grid-{region}"
    if not any(feed["region"] == region for feed in feeds.values()):
        feeds[first] = {"region": region, "capacity_mw": round(1.3 * most + 0.1, 3)}
        feeds[first]["ups_minutes"] = rng.choice([0.0, 10.0])
    hit = next(key for key, feed in feeds.items() if feed["region"] == region)
    feeds[f"feed-{name}"] = {
        "region": region,
        "capacity_mw": round(most * rng.choice([0.4, 1.3]) + 0.1, 3),
        "ups_minutes": rng.choice([0.0, 10.0]),
    }
    for unit in data["cooling_units"].values():
        unit.setdefault("restart_minutes", rng.choice([0.0, 2.0, 8.0]))
    for feed in (hit, f"feed-{name}"):
        kind = (
            {"kind": "feed", "name": feed} if rng.random() < 0.6 else {"kind": "sag", "feed": feed}
        )
        repair = {"repair_minutes": rng.choice([3.0, 90.0])}
        data["scenarios"][f"lost-{feed}"] = _scenario(rng, kind | repair)
    return {"feeds": [f"feed-{name}"]}


def _scenario(rng: Random, event: Data) -> Data:
    return {
        "severity": rng.choice(["common", "region", "region", "extreme"]),
        "frequency_per_year": rng.choice([0.01, 0.5, 5.0]),
        "events": [event],
    }


def _replica(rng: Random, data: Data, name: str) -> Data:
    """A second replica elsewhere of a service that a tier needs, and a loss it helps against."""
    regions = list(data["regions"])
    services = data.setdefault("services", {})
    other = f"database-{name}"
    services[other] = {
        "plane": "state",
        "replicas": {regions[0]: rng.choice([1, 2])},
        "needs_replicas": 1,
    }
    entry = f"gate-{name}"
    services[entry] = {"plane": "edge", "depends_on": [other]}
    if rng.random() < 0.5:
        services[f"spare-{name}"] = {"plane": "state", "replicas": {regions[-1]: 1}}
        services[f"spare-{name}"]["needs_replicas"] = 1
        services[entry] = {"plane": "edge", "any_of": [other, f"spare-{name}"]}
    tier = rng.choice(list(data["tiers"]))
    data["tiers"][tier]["entry"] = entry
    demand = sum(zone["demand_rps"] for zone in data["zones"].values())
    if rng.random() < 0.4:
        services[other]["capacity_rps"] = round(demand * rng.choice([0.3, 0.7, 1.1]), 1)
    event = {"kind": "region", "name": regions[0], "repair_minutes": 300.0}
    if rng.random() < 0.5 and entry in services:
        event = {"kind": "service", "name": other, "repair_minutes": 300.0}
    data["scenarios"][f"lost-{name}"] = _scenario(rng, event)
    if rng.random() < 0.4:
        services[other] |= {"connections": round(demand * rng.choice([0.5, 1.5]), 1)}
        more = {"connections": {other: round(demand, 1)}}
        return more | ({} if rng.random() < 0.5 else {"replicas": {other: {regions[-1]: 1}}})
    return {"replicas": {other: {regions[-1]: rng.choice([1, 2])}}}


def _control(rng: Random, data: Data, name: str) -> Data:
    """Controls of its own for a plant that depends on a service."""
    plant = rng.choice(list(data["plants"]))
    control = f"control-{name}"
    region = data["plants"][plant]["region"]
    data.setdefault("services", {})[control] = {
        "plane": "control",
        "replicas": {region: 1},
        "needs_replicas": 1,
    }
    data["plants"][plant].setdefault("depends_on", []).append(control)
    event = {"kind": "service", "name": control, "repair_minutes": 300.0}
    data["scenarios"][f"lost-{name}"] = _scenario(rng, event)
    emergency = next((p for p, one in data["plants"].items() if one.get("role")), None)
    if emergency is not None and rng.random() < 0.7:
        data["policies"] |= {"independent_emergency_cooling": True, "emergency_cooling_share": 0.1}
        primary = "p" + emergency[1:]
        for one in {emergency, primary} - {plant}:
            data["plants"][one].setdefault("depends_on", []).append(control)
        plant = rng.choice([emergency, primary])
        if control not in data["plants"][plant]["depends_on"]:
            data["plants"][plant]["depends_on"].append(control)
    return {"independent": {plant: [control]}}


def _automatic(rng: Random, data: Data, _: str) -> Data:
    slow = [name for name, one in data["plants"].items() if not one.get("automatic", True)]
    return {"automatic": [rng.choice(slow)]}


def yearly_usd(model: Model, measure: Measure) -> float:
    """Yearly cost of a measure."""
    rate = model.finance.discount_rate
    return measure.capital_usd * annuity(rate, measure.life_years) + measure.usd_per_year


def cheapest_subset(data: ProblemData) -> tuple[float, frozenset[str]]:
    """Least yearly cost over all subsets of measures, each with all other purchases listed."""
    model, best = data.model, (math.inf, frozenset[str]())
    for size in range(len(model.measures) + 1):
        for some in combinations(sorted(model.measures), size):
            bought = frozenset(some)
            fixed = sum(yearly_usd(model, model.measures[name]) for name in some)
            budget = model.policies.capital_budget_usd
            changed = with_measures(model, bought)
            if budget is not None:
                left = budget - sum(model.measures[name].capital_usd for name in some)
                if left < 0:
                    continue
                changed = changed.replace(
                    policies=changed.policies.replace(capital_budget_usd=left)
                )
            scenarios = scenarios_with(model, data.scenarios, bought)
            cost, _ = cheapest(changed, scenarios)
            if fixed + cost < best[0]:
                best = fixed + cost, bought
    return best


@pytest.mark.parametrize("first", FIRST_SEEDS)
def test_measures_agree_with_enumeration_of_all_subsets(first: int) -> None:
    found = Counter[bool]()
    for seed in range(first, first + AT_ONCE):
        model = measured_model(seed)
        data = ProblemData(model, all_scenarios(model), {})
        cost, _ = cheapest_subset(data)
        programme = build(data)
        solution = solve(programme, EXACT)

        assert (solution.status == "optimal") == math.isfinite(cost), f"seed {seed}"
        if solution.status == "optimal":
            audit(programme, solution)
            assert solution.objective == pytest.approx(cost, rel=1e-6, abs=0.1), f"seed {seed}"
        found[math.isfinite(cost)] += 1
    assert found[True]


@pytest.mark.parametrize("late", [False, True], ids=["as drawn", "after another failure"])
@pytest.mark.parametrize("seed", [58])
def test_no_less_is_asked_than_once_measures_are_bought(seed: int, late: bool) -> None:
    """Also where what is lost is what a measure brings, and the bound asks for no more."""
    model = measured_model(seed)
    if late:
        surge = Surge(kind="surge", factor=1.1, repair_minutes=200.0)
        scenarios = {
            name: one.replace(events=(surge, *(e.replace(at_minute=30.0) for e in one.events)))
            for name, one in model.scenarios.items()
        }
        model = model.replace(scenarios=scenarios)
    data = ProblemData(model, all_scenarios(model))
    asked = 0
    for size in range(len(model.measures) + 1):
        for bought in map(frozenset, combinations(sorted(model.measures), size)):
            after, loose = data.with_bought(bought), loosened(data)
            number = data.reactions.index(bought & frozenset().union(*data.reactions))
            happen = {one.name for one in after.scenarios if one == data.by_name[one.name]}
            for one, less, then in zip(data.stages, loose.stages, after.stages, strict=True):
                for name, least in floors_of(then, 0).items():
                    asked += 1
                    assert floors_of(one, number).get(name, 0.0) >= least
                for name, least in floors_of(less, number).items():
                    assert then.scenario not in happen or floors_of(then, 0).get(name, 0.0) >= least
    assert asked


def test_a_larger_sign_in_is_the_one_measure_that_2023_buys() -> None:
    """With the GPUs and contracts of its plan, and the loss that needs it (README)."""
    fixed = {
        "gpus": {"us-west-primary": 0, "us-east-backup": 3250, "asia-pacific": 1500, "eu-west": 0},
        "emergency": {"aws-p4d": 250, "azure-nd-a100": 118, "gcp-a2-ultra": 0},
    }
    model = load_model("chatgpt-2023-measures", (f"policies.fixed={json.dumps(fixed)}",)).model
    lost = tuple(one for one in all_scenarios(model) if one.name == "region-us-west")
    best = optimize_and_verify(model, lost, SolverSettings(gap=1e-3)).best
    assert best is not None and not best.failed
    assert best.solution.fleet.measures == {"sign-in-capacity"}
    cost = sum(item.usd_per_year for item in best.items if item.category == "measures")
    assert cost == pytest.approx(0.23e6, abs=5e3)


def floors_of(stage: Stage, number: int) -> dict[str, float]:
    """What is asked in a stage in a reaction variant, at least as long as no cluster is down."""
    mine = next((one for numbers, one in stage.variants if number in numbers), stage)
    return {**mine.floors_if_up, **mine.floors}


#: A cluster of 1 MW on one feed and one plant, with cooling to buy; what is planned for differs.
BASE = """
regions: {r: {power_limit_mw: 9.0}, s: {power_limit_mw: 9.0}}
gpus: {g: {power_mw: 0.005, static_share: 0.5, rps: 1.0, capital_usd: 20000.0}}
clusters:
  c: {region: r, gpu: g, existing_gpus: 200, block_gpus: 50, max_gpus: 200,
      capacitance_mj_per_k_per_mw: 30.0}
cooling_units:
  half: {capacity_mw: 0.5, capital_usd: 200000.0, restart_minutes: 8.0}
  air: {capacity_mw: 0.25, capital_usd: 60000.0, mode: standby, start_minutes: 1.0}
plants:
  p: {region: r, cools: [c], existing: {half: 2}, options: [half], max_added: 3}
  e: {region: r, cools: [c], role: emergency, automatic: false, options: [air], max_added: 4}
feeds:
  f: {region: r, capacity_mw: 9.0}
services:
  control: {plane: control, replicas: {r: 1}, needs_replicas: 1}
  store: {plane: state, replicas: {s: 1}, needs_replicas: 1}
tiers: {t: {priority: 1, share: 1.0, value_usd_per_1000_requests: 1.0}}
zones: {z: {demand_rps: 170.0, latency_ms: {r: 10.0}}}
offers:
  cloud: {provider: p, gpus_per_instance: 30, available_gpus: 300, lead_time_minutes: 30.0,
          usd_per_instance_hour: 1.0, retainer_usd_per_instance_year: 100.0, rps_per_gpu: 1.0}
operations: {detection_minutes: 5.0, response_minutes: 10.0, approval_minutes: 60.0}
finance: {emergency_budget_usd: 1.0e+6}
standard: {common: [{tier: each, from_minute: 20, least_served: 0.5}],
           region: [{tier: each, from_minute: 60, least_served: 0.5}]}
simulation: {horizon_minutes: 200}
"""
LOST_PLANT = "[{kind: plant, name: p, repair_minutes: 300.0}]"
#: What is planned for, and the measure without which there is no plan or a dearer one.
KINDS = {
    "second feed": (
        "common",
        "[{kind: feed, name: f, repair_minutes: 300.0}]",
        "{feeds: [g]}",
        ("feeds.g={region: r, capacity_mw: 9.0}", "offers.cloud.available_gpus=0"),
    ),
    "tank": (
        "common",
        "[{kind: sag, feed: f, repair_minutes: 1.0}]",
        "{buffer_mwh: {p: 0.2}}",
        (
            "feeds.f.ups_minutes=5.0",
            "clusters.c.capacitance_mj_per_k_per_mw=5.0",
            "standard.common=[{tier: each, from_minute: 5, least_served: 0.5}]",
        ),
    ),
    "replica": (
        "common",
        "[{kind: region, name: s, repair_minutes: 300.0}]",
        "{replicas: {store: {r: 1}}}",
        ("tiers.t.entry=store",),
    ),
    "controls": (
        "common",
        "[{kind: service, name: control, repair_minutes: 300.0}]",
        "{independent: {p: [control]}}",
        ("plants.p.depends_on=[control]",),
    ),
    "automatic start": ("common", LOST_PLANT, "{automatic: [e]}", ()),
    "earlier detection": (
        "common",
        LOST_PLANT,
        "{operations: {detection_minutes: 0.0, response_minutes: 1.0}}",
        (),
    ),
    "pre-approved procurement": (
        "region",
        "[{kind: region, name: r, repair_minutes: 300.0}]",
        "{operations: {approval_minutes: 0.0}}",
        (),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_measure_removes_the_failure_it_is_for(kind: str, tmp_path: Path) -> None:
    severity, events, effect, overrides = KINDS[kind]
    scenario = f"{{severity: {severity}, frequency_per_year: 1.0, events: {events}}}"
    measure = f"measures.m={effect[:-1]}, capital_usd: 1000.0}}"
    model = model_of(tmp_path, BASE, *overrides, f"scenarios.trouble={scenario}", measure)
    data = ProblemData(model, all_scenarios(model), {})
    cost, bought = cheapest_subset(data)
    programme = build(data)
    solution = solve(programme, EXACT)

    assert solution.fleet.measures == bought == {"m"}
    assert solution.objective == pytest.approx(cost, rel=1e-6)
    audit(programme, solution)
    verdicts = judge(model, solution.fleet, data.scenarios)
    assert [verdict.name for verdict in verdicts if verdict.survives] == ["trouble"]
    without = replace(solution.fleet, measures=frozenset())
    assert not judge(model, without, data.scenarios)[0].survives


def test_each_of_two_extensions_of_a_service_is_counted_as_what_it_adds(tmp_path: Path) -> None:
    """Of 170 requests/s the store lets 120 through; a adds 200, b, which is cheaper, only 10."""
    ample = "measures.a={connections: {store: 200.0}, capital_usd: 5000.0}"
    small = "measures.b={connections: {store: 10.0}, capital_usd: 1000.0}"
    store = ("services.store.connections=120.0", "services.store.connection_seconds=1.0")
    model = model_of(tmp_path, BASE, *store, "tiers.t.entry=store", ample, small)
    data = ProblemData(model, all_scenarios(model), {})
    cost, bought = cheapest_subset(data)
    solution = solve(build(data), EXACT)
    assert solution.fleet.measures == bought == {"a"}
    assert solution.objective == pytest.approx(cost, rel=1e-6)
