"""The true cheapest plan that survives, on small random models, against what the loop finds.

Every fleet of a model is tried, the simulation judging and the programme pricing, so the cheapest
that survives is known. With ``--around``, fleets drawn around the plan of the model of 2023 are
simulated instead; with ``--shipped``, plans of shipped models are compared with what no plan that
survives can cost less than.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from support import EXACT, model_of

from planner.infrastructure.entities import Model
from planner.infrastructure.loading import load_model
from planner.judging import Judged
from planner.optimization.decomposition.fixed import with_purchases
from planner.optimization.formulation.build import build
from planner.optimization.formulation.loosening import loosened
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.decisions import counts_of
from planner.optimization.solution.settings import SolverSettings
from planner.scenarios.generators import all_scenarios
from planner.selection import select
from planner.survivors import Search
from planner.verification import optimize_and_verify

#: Two or three sites and a cloud. Capacity is counted in blocks so that every fleet can be tried.
MODEL = """
regions: {{a: {{power_limit_mw: 20.0}}, b: {{power_limit_mw: 20.0}}}}
gpus: {{gpu: {{power_mw: 0.005, static_share: {static}, rps: 1.0, capital_usd: {gpu_usd}}}}}
clusters:
  a: {{region: a, gpu: gpu, existing_gpus: {at_a}, block_gpus: 50, max_gpus: {most_a},
       capacitance_mj_per_k_per_mw: {capacitance}}}
  b: {{region: b, gpu: gpu, existing_gpus: 100, block_gpus: 50, max_gpus: 450,
       capacitance_mj_per_k_per_mw: {capacitance}}}
cooling_units: {{unit: {{capacity_mw: 1.0, capital_usd: 600000.0}},
                 fan: {{capacity_mw: 0.8, mode: standby, start_minutes: {start},
                       capital_usd: 4.0e5}}}}
plants:
  a-p: {{region: a, cools: [a], existing: {{unit: 3}}, options: [unit], max_added: 1}}
  b-p: {{region: b, cools: [b], existing: {{unit: 3}}}}
  a-e: {{region: a, cools: [a], role: emergency, options: [fan], max_added: 3}}
offers:
  cloud: {{provider: p, gpus_per_instance: {instance}, available_gpus: 160,
           lead_time_minutes: {lead}, usd_per_instance_hour: 20.0,
           retainer_usd_per_instance_year: {retainer}, rps_per_gpu: 1.0}}
tiers: {{gold: {{priority: 1, share: {gold}, value_usd_per_1000_requests: 50.0{limit}}},
         free: {{priority: 2, share: {free}, value_usd_per_1000_requests: 5.0}}}}
zones: {{here: {{demand_rps: {here}, latency_ms: {{a: 5.0, b: 10.0}}}},
         there: {{demand_rps: {there}, latency_ms: {{a: 20.0, b: 5.0}}}}}}
operations: {{detection_minutes: {detection}, response_minutes: 6.0, failover_minutes: {failover},
              priority_shedding: {shedding}}}
finance: {{emergency_budget_usd: {budget}}}
generators: {{}}
standard:
  region: [{{tier: gold, from_minute: 10.0, least_served: {floor}}},
           {{tier: each, from_minute: {settled}, least_served: {all_floor}}}]
  single: [{{tier: gold, from_minute: 10.0, least_served: 0.95}},
           {{tier: all, from_minute: {settled}, least_served: 0.9}}]
scenarios:
  lose-a: {{severity: region, frequency_per_year: 0.05,
            events: [{{kind: region, name: a, repair_minutes: 200.0}}]}}
  cooling-a: {{severity: single, frequency_per_year: 0.5,
               events: [{{kind: plant, name: a-p, repair_minutes: 120.0}}]}}
simulation: {{horizon_minutes: 240}}
"""


def random_model(seed: int, folder: Path) -> Model:
    """A small model."""
    draw = random.Random(seed)
    at_a, gold = draw.choice([300, 400, 500]), draw.choice([0.3, 0.5, 0.7])
    demand = draw.uniform(0.55, 1.0) * (at_a + 100)
    share = draw.uniform(0.2, 0.8)
    text = MODEL.format(
        static=draw.choice([0.3, 0.5]),
        gpu_usd=draw.choice([20000.0, 40000.0]),
        at_a=at_a,
        most_a=at_a + 100,
        capacitance=draw.choice([10.0, 30.0, 60.0]),
        start=draw.choice([2.0, 5.0, 12.0]),
        instance=draw.choice([20, 40]),
        lead=draw.choice([10.0, 30.0, 60.0]),
        retainer=draw.choice([20000.0, 60000.0, 120000.0]),
        gold=gold,
        free=1 - gold,
        limit=draw.choice(["", "", ", latency_limit_ms: 15.0", ", thermal_limit_c: 70.0"]),
        here=round(demand * share, 1),
        there=round(demand * (1 - share), 1),
        detection=draw.choice([2.0, 6.0]),
        failover=draw.choice([1.0, 3.0, 6.0]),
        shedding=draw.choice(["automatic", "operator"]),
        budget=draw.choice([2e4, 1e6]),
        floor=draw.choice([0.5, 0.8, 0.95]),
        settled=draw.choice([40.0, 90.0]),
        all_floor=draw.choice([0.6, 0.8, 0.95]),
    )
    return model_of(folder, text, name=f"model-{seed}")


def cheapest_survivor(model: Model) -> float | None:
    """Cost of the cheapest of all fleets that survive, USD a year; None if none does."""
    data = ProblemData(model, all_scenarios(model), {})
    base = build(data.part(()))
    judged = Judged(model, data.scenarios, base, EXACT, lambda: False, left=10**9)
    search = Search.of(judged)
    ranges = [range(low, high + 1) for low, high in zip(search.least, search.most, strict=True)]
    loose, best = loosened(data), None
    for counts in sorted(product(*ranges), key=search.usd):
        if best is not None and search.usd(counts) >= best:
            break
        if judged.survives(counts):
            bought = dict(zip(judged.keys, counts, strict=True))
            priced = with_purchases(loose, bought, EXACT)
            assert priced is not None, "the loosened programme forbids a fleet that survives"
            best = min(priced[1].objective, best or priced[1].objective)
    return best


def compare(seed: int, folder: Path) -> str:
    """How the plan of the loop, and its bound, compare with the truth on a model."""
    model = random_model(seed, folder)
    outcome, truth = (
        optimize_and_verify(model, all_scenarios(model), EXACT, explain="conflict"),
        cheapest_survivor(model),
    )
    if truth is None or not outcome.survives or outcome.best is None:
        found = "the loop found one" if outcome.survives else "the loop found none"
        return f"no fleet survives; {found}" if truth is None else f"{found}, but one survives"
    above = 100 * (outcome.best.solution.objective / truth - 1)
    bound = outcome.survivor_bound_usd
    below = "none" if bound is None else f"{100 * (1 - bound / truth):.3f} % below the truth"
    return f"plan {above:.3f} % above the truth, bound {below}"


def around(count: int, seed: int = 0) -> Iterator[str]:
    """Survivors among fleets drawn around the plan of the model of 2023 that cost less."""
    loaded = load_model("chatgpt-2023")
    selection, settings = select(loaded.model), SolverSettings()
    outcome = optimize_and_verify(loaded.model, selection.scenarios, settings, selection=selection)
    assert outcome.best is not None
    data = ProblemData(loaded.model, selection.scenarios, {})
    judged = Judged(
        loaded.model, data.scenarios, build(data.part(())), settings, lambda: False, left=10**9
    )
    search, draw = Search.of(judged), random.Random(seed)
    best = tuple(counts_of(judged.base, outcome.best.solution.fleet).values())
    cost = outcome.best.solution.objective
    yield f"plan {cost:,.0f} USD a year, of which purchases {search.usd(best):,.0f}"
    cheaper = 0
    for _ in range(count):
        counts = list(best)
        for place in draw.sample(range(len(counts)), draw.choice([2, 3, 4, 5])):
            spread = max(2, round(0.1 * counts[place]))
            drawn = counts[place] + draw.randint(-spread, spread)
            counts[place] = min(max(drawn, search.least[place]), search.most[place])
        if search.usd(tuple(counts)) < search.usd(best):
            cheaper += 1
            if judged.survives(tuple(counts)):
                yield f"survives for {search.usd(tuple(counts)):,.0f} USD a year"
    yield f"{cheaper:,} of {count:,} fleets drawn cost less"


def shipped(names: Iterable[str]) -> Iterator[str]:
    """How far the plans of shipped models are at most from the cheapest that survives."""
    yield "| model | plan, M USD a year | no survivor below | distance | processor seconds |"
    yield "|---|---|---|---|---|"
    for name in names:
        model, before = load_model(name).model, time.process_time()
        selection, settings = select(model), SolverSettings()
        outcome = optimize_and_verify(model, selection.scenarios, settings, selection=selection)
        best, bound = outcome.best, outcome.survivor_bound_usd
        seconds = time.process_time() - before
        figures = "none survives | |"
        if best is not None and outcome.survives and bound is not None:
            cost = best.solution.objective
            figures = f"{cost / 1e6:.2f} | {bound / 1e6:.2f} | {100 * (cost / bound - 1):.2f} %"
        yield f"| {name} | {figures} | {seconds:.0f} |"


def main() -> None:
    """Print how far plans and bounds are from the truth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=200, help="random models")
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    parser.add_argument("--around", type=int, default=0, help="fleets around the plan of 2023")
    parser.add_argument("--shipped", nargs="+", default=[], metavar="MODEL", help="shipped models")
    asked = parser.parse_args()
    if asked.around or asked.shipped:
        for line in around(asked.around) if asked.around else shipped(asked.shipped):
            print(line, flush=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(asked.first, asked.first + asked.models):
            print(f"model {seed}: {compare(seed, Path(folder))}", flush=True)


if __name__ == "__main__":
    main()
