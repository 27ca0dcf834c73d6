"""Measures in the programme: brute force over all subsets of them agrees on small random models.

The oracle buys each subset, changes the model accordingly and lists every other purchase; it knows
neither availability variables nor a choice among ways of reacting.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations
from random import Random
from typing import Any

import pytest
from optimization.drawing import draw, model_from
from optimization.enumeration import cheapest
from support import EXACT

from planner.infrastructure.entities import Measure, Model, Reaction
from planner.infrastructure.measures import scenarios_with, with_measures
from planner.laws.money import annuity
from planner.optimization.audit import audit
from planner.optimization.case import Case
from planner.optimization.programme import build
from planner.optimization.solving import solve
from planner.optimization.stages import Margin
from planner.scenarios.generators import all_scenarios

MODELS = 120
AT_ONCE = 12
#: Most subsets of measures times purchases that an oracle lists.
MOST_MEASURES = 3

EFFECTS = ("feeds", "replicas", "independent", "buffer_mwh", "automatic")

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
        one["max_gpus"] * data["gpus"][one["gpu"]]["power_mw"]
        for one in data["clusters"].values()
        if one["region"] == region
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
        kind = {"kind": "feed", "name": feed} if rng.random() < 0.6 else {"kind": "sag", "feed": feed}
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
    event = {"kind": "region", "name": regions[0], "repair_minutes": 300.0}
    if rng.random() < 0.5 and entry in services:
        event = {"kind": "service", "name": other, "repair_minutes": 300.0}
    data["scenarios"][f"lost-{name}"] = _scenario(rng, event)
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
    return {"independent": {plant: [control]}}


def _automatic(rng: Random, data: Data, _: str) -> Data:
    slow = [name for name, one in data["plants"].items() if not one.get("automatic", True)]
    return {"automatic": [rng.choice(slow)]}


def yearly_usd(model: Model, measure: Measure) -> float:
    """Yearly cost of a measure."""
    rate = model.finance.discount_rate
    return measure.capital_usd * annuity(rate, measure.life_years) + measure.usd_per_year


def cheapest_subset(case: Case) -> tuple[float, frozenset[str]]:
    """Least yearly cost over all subsets of measures, each with all other purchases listed."""
    model, best = case.model, (math.inf, frozenset[str]())
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
            scenarios = scenarios_with(model, case.scenarios, bought)
            cost, _ = cheapest(changed, scenarios, case.margins)
            if fixed + cost < best[0]:
                best = fixed + cost, bought
    return best


def margins_of(seed: int, case: Case) -> dict[str, Margin]:
    """Margins on the scenarios of every fourth model."""
    if seed % 4:
        return {}
    rng = Random(f"margins {seed}")
    return {
        scenario.name: Margin(heat=rng.choice([0.0, 0.2]), late_minutes=rng.choice([0.0, 7.0]))
        for scenario in case.scenarios
    }


@pytest.mark.parametrize("first", range(0, MODELS, AT_ONCE))
def test_brute_force_over_all_subsets_agrees(first: int) -> None:
    found = Counter[bool]()
    for seed in range(first, first + AT_ONCE):
        model = measured_model(seed)
        case = Case(model, all_scenarios(model), {})
        case = Case(model, case.scenarios, margins_of(seed, case))
        cost, _ = cheapest_subset(case)
        programme = build(case)
        solution = solve(programme, EXACT)

        assert (solution.status == "optimal") == math.isfinite(cost), f"seed {seed}"
        if solution.status == "optimal":
            audit(programme, solution)
            assert solution.objective == pytest.approx(cost, rel=1e-6, abs=0.1), f"seed {seed}"
        found[math.isfinite(cost)] += 1
    assert found[True]


def test_every_kind_of_measure_is_bought_somewhere() -> None:
    bought = Counter[str]()
    for seed in range(MODELS):
        model = measured_model(seed)
        solution = solve(build(Case(model, all_scenarios(model), {})), EXACT)
        for name in solution.fleet.measures:
            measure = model.measures[name]
            bought.update(part for part in EFFECTS if getattr(measure, part))
            bought["operations"] += measure.operations != Reaction()
    assert min(bought[part] for part in (*EFFECTS, "operations")) > 0, bought
