"""Fleets that are only looked at, and what that lets a search find."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from support import EXACT, benchmark_module, model_of

from planner.infrastructure.entities import Model
from planner.judging import Judged
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.scenarios.generators import all_scenarios
from planner.survivors import Search, cheaper_fleets

BENCHMARK = benchmark_module("survivors")
#: Two zones, each with a site of its own, and a third site that both reach.
THREE_SITES = """
regions: {a: {power_limit_mw: 9.0}, b: {power_limit_mw: 9.0}, c: {power_limit_mw: 9.0}}
gpus: {gpu: {power_mw: 0.005, rps: 1.0, capital_usd: 20000.0, static_share: 0.5}}
clusters:
  a: {region: a, gpu: gpu, existing_gpus: 100, block_gpus: 10, max_gpus: 200, max_utilisation: 1.0}
  b: {region: b, gpu: gpu, existing_gpus: 100, block_gpus: 10, max_gpus: 200, max_utilisation: 1.0}
  c: {region: c, gpu: gpu, existing_gpus: 0, block_gpus: 20, max_gpus: 100, max_utilisation: 1.0}
cooling_units: {unit: {capacity_mw: 2.0, capital_usd: 900000.0}}
plants:
  a-p: {region: a, cools: [a], existing: {unit: 1}, redundancy: 0}
  b-p: {region: b, cools: [b], existing: {unit: 1}, redundancy: 0}
  c-p: {region: c, cools: [c], existing: {unit: 1}, redundancy: 0}
tiers: {gold: {priority: 1, share: 1.0, latency_limit_ms: 50.0}}
zones: {here: {demand_rps: 100.0, latency_ms: {a: 5.0, b: 90.0, c: 10.0}},
        there: {demand_rps: 100.0, latency_ms: {a: 90.0, b: 5.0, c: 10.0}}}
generators: {}
standard: {common: [{tier: each, from_minute: 20.0, least_served: 1.0}]}
scenarios:
  surge: {severity: common, frequency_per_year: 1.0,
          events: [{kind: surge, factor: 1.165, zones: [here], repair_minutes: 60.0},
                   {kind: surge, factor: 1.025, zones: [there], repair_minutes: 60.0}]}
simulation: {horizon_minutes: 90}
"""


def judged_of(model: Model) -> Judged:
    data = ProblemData(model, all_scenarios(model), {})
    return Judged(model, data.scenarios, build(data.part(())), EXACT, lambda: False, left=10**9)


@pytest.mark.parametrize("seed", [3, 11, 2023, 4193])
def test_what_is_only_looked_at_fails_in_simulation(seed: int, tmp_path: Path) -> None:
    model = BENCHMARK.random_model(seed, tmp_path)
    judged = judged_of(model)
    every = list(product(*(range(n + 1) for n in judged.most)))
    judged.verdicts(every[0], judged.scenarios)
    looked_at = [
        (counts, scenario)
        for counts in every[:: max(1, len(every) // 200)]
        for scenario in judged.scenarios
        if judged.screen.rules_out(counts, scenario)
    ]
    assert looked_at
    assert all(judged.failing(counts, (scenario,)) for counts, scenario in looked_at)


def test_what_two_places_serve_is_moved_to_a_third(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two blocks here and one there, or one as large as two where both reach."""

    def cheapest() -> dict[str, int]:
        judged = judged_of(model_of(tmp_path, THREE_SITES))
        blocks = {"a": 2, "b": 1}
        start = tuple(blocks.get(key.asset, 0) * (key.kind == "gpus") for key in judged.keys)
        assert judged.survives(start)
        cheaper_fleets(judged, [start])
        best = judged.named(min(judged.survivors, key=Search.of(judged).usd))
        return {key.asset: count for key, count in best.items() if count}

    assert cheapest() == {"c": 1}
    monkeypatch.setattr(Search, "_less_of_two", lambda *_: iter(()))
    assert cheapest() == {"a": 2, "b": 1}


def test_an_offer_may_bear_the_name_of_a_cluster(tmp_path: Path) -> None:
    offer = (
        "{provider: cloud, gpus_per_instance: 8, available_gpus: 240, lead_time_minutes: 15.0, "
        "usd_per_instance_hour: 24.0, rps_per_gpu: 1.0}"
    )
    judged = judged_of(model_of(tmp_path, f"{THREE_SITES}offers: {{a: {offer}}}\n"))
    short = tuple(0 for _ in judged.keys)
    assert judged.failing(short, judged.scenarios)
    assert judged.screen.rules_out(short, judged.scenarios[0])
    enough = {"gpus": {"a": 0}, "emergency": {"a": 30}}
    rented = tuple(enough.get(key.kind, {}).get(key.asset, 0) for key in judged.keys)
    assert not judged.screen.rules_out(rented, judged.scenarios[0])
