"""The programme finds what listing every purchase finds, on hundreds of small random models."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import pytest
from optimization.drawing import MOST_COMBINATIONS, draw, drawn_model, purchases_of
from optimization.enumeration import World, cheapest
from support import EXACT, model_of, often

from planner.infrastructure.entities import Model
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.audit import audit
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, solve
from planner.scenarios.generators import all_scenarios

MODELS = 160
AT_ONCE = 20
#: Relative difference that the tolerances of a solver on rows make in the cost.
RELATIVE = 1e-6


def solved_case(data: ProblemData, settings: SolverSettings) -> Solution:
    """Audited solution of a case."""
    programme = build(data)
    solution = solve(programme, settings)
    if solution.status != "infeasible":
        audit(programme, solution)
    return solution


@pytest.mark.parametrize("first", range(0, often(2 * AT_ONCE, MODELS), AT_ONCE))
def test_cost_and_feasibility_are_those_of_enumeration(first: int) -> None:
    found = Counter[bool]()
    for seed in range(first, first + AT_ONCE):
        model = drawn_model(seed)
        data = ProblemData(model, all_scenarios(model))
        cost, fleet = cheapest(model, data.scenarios)
        solution = solved_case(data, EXACT)

        assert (solution.status == "optimal") == math.isfinite(cost), f"seed {seed}"
        found[math.isfinite(cost)] += 1
        if fleet is not None:
            assert solution.objective == pytest.approx(cost, rel=RELATIVE, abs=0.1), f"seed {seed}"
            world = World(model, data.scenarios)
            assert world.allows(solution.fleet), f"seed {seed}"
            bought = world.fixed_cost(solution.fleet) + world.running_cost(solution.fleet)
            assert bought == pytest.approx(cost, rel=RELATIVE, abs=0.1), f"seed {seed}"
    assert min(found[True], found[False]) >= AT_ONCE // 10, "all feasible or all infeasible"


def at_odds(seed: int) -> Model:
    """A random model whose zones are busy one after the other round the clock."""
    model = drawn_model(seed)
    names = list(model.zones)
    zones = {
        name: zone.replace(
            demand_rps=len(names) ** 0.5 * zone.demand_rps,
            shape="day",
            utc_offset_hours=24 * number // len(names),
        )
        for number, (name, zone) in enumerate(model.zones.items())
    }
    return model.replace(zones=zones)


def test_peaks_at_different_hours_agree_with_enumeration() -> None:
    found = 0
    for seed in range(40):
        model = at_odds(seed)
        if len(model.zones) < 2:
            continue
        cost, fleet = cheapest(model, ())
        solution = solved_case(ProblemData(model, (), {}), EXACT)
        assert (solution.status == "optimal") == math.isfinite(cost), f"seed {seed}"
        if fleet is not None:
            assert solution.objective == pytest.approx(cost, rel=RELATIVE, abs=0.1), f"seed {seed}"
            peaks = sum(zone.demand_rps for zone in model.zones.values())
            found += ProblemData(model, (), {}).peak_rps < 0.9 * peaks
    assert found >= 5


#: One region of 200 GPUs and 1 MW whose cooling is lost in scenario `trouble`.
BASE = """
regions: {r: {power_limit_mw: 9.0}}
gpus: {g: {power_mw: 0.005, static_share: 0.5, rps: 1.0, capital_usd: 20000.0}}
clusters: {c: {region: r, gpu: g, existing_gpus: 200, block_gpus: 50, max_gpus: 300,
               capacitance_mj_per_k_per_mw: 60.0}}
cooling_units:
  half: {capacity_mw: 0.5, capital_usd: 200000.0, derating_per_c: 0.01}
  tenth: {capacity_mw: 0.1, capital_usd: 50000.0}
  hot: {capacity_mw: 1.0, capital_usd: 1000.0, cutout_ambient_c: 30.0}
  air: {capacity_mw: 0.25, capital_usd: 60000.0, mode: standby, start_minutes: 5.0}
plants:
  p: {region: r, cools: [c], existing: {half: 2}, options: [half, tenth], max_added: 3}
  e: {region: r, cools: [c], role: emergency, options: [air], max_added: 4}
tiers: {t: {priority: 1, share: 1.0, value_usd_per_1000_requests: 1.0}}
zones: {z: {demand_rps: 170.0, latency_ms: {r: 10.0}}}
operations: {detection_minutes: 5.0, response_minutes: 5.0}
standard: {common: [{tier: each, from_minute: 20, least_served: 0.5}]}
scenarios:
  trouble: {severity: common, frequency_per_year: 1.0,
            events: [{kind: plant, name: p, repair_minutes: 300.0}]}
"""
LOSSES = (
    "scenarios.trouble.events=["
    "{kind: units, plant: p, unit: half, count: 2, repair_minutes: 300.0}, "
    "{kind: largest-units, plant: p, count: 1, repair_minutes: 300.0}]"
)
SAG = (
    "feeds.f={region: r, capacity_mw: 9.0, ups_minutes: 10.0}",
    "cooling_units.half.restart_minutes=8.0",
    "cooling_units.tenth.restart_minutes=3.0",
    "clusters.c.capacitance_mj_per_k_per_mw=45.0",
    "scenarios.trouble.events=[{kind: sag, feed: f, repair_minutes: 1.0}]",
)
#: Settings in which a rule binds that random models seldom meet.
CORNERS: dict[str, tuple[str, ...]] = {
    "nothing left to lose": ((LOSSES,)),
    "emergency units": (()),
    "rooms that warm up quickly": (("clusters.c.capacitance_mj_per_k_per_mw=40.0",)),
    "emergency units that people start": (("plants.e.automatic=false",)),
    "units in place that stop at the design ambient": (
        (
            "plants.q={region: r, cools: [c], redundancy: 2, existing: {hot: 2}, options: [half], "
            "max_added: 1}",
        )
    ),
    "cooling that trips and restarts by type": (SAG),
    "cooling that people restart": (
        (*SAG, "scenarios.trouble.events=[{kind: sag, feed: f, repair_minutes: 210.0}]")
    ),
    "a tank that bridges a restart": (
        (
            *SAG,
            "plants.p.buffer_mwh=0.05",
            "plants.e.buffer_mwh=0.02",
            "clusters.c.capacitance_mj_per_k_per_mw=10.0",
        )
    ),
    "a spare block in a region that stays empty": (
        (
            "regions.s={power_limit_mw: 9.0}",
            "clusters.d={region: s, gpu: g, block_gpus: 50, max_gpus: 50}",
            "plants.d={region: s, cools: [d], options: [half], max_added: 1}",
            "policies.spare_block_per_region=true",
        )
    ),
}


@pytest.mark.parametrize("corner", CORNERS)
def test_edge_cases_agree_with_enumeration(corner: str, tmp_path: Path) -> None:
    model = model_of(tmp_path, BASE, *CORNERS[corner])
    data = ProblemData(model, all_scenarios(model))
    cost, _ = cheapest(model, data.scenarios)

    assert solved_case(data, EXACT).objective == pytest.approx(cost, rel=RELATIVE)
    assert math.isfinite(cost)


@pytest.mark.parametrize("first", range(0, often(AT_ONCE, 400), AT_ONCE))
def test_solvers_agree(first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        model = drawn_model(seed)
        data = ProblemData(model, all_scenarios(model), {})
        one, other = (solved_case(data, SolverSettings(name, gap=0.0)) for name in ("highs", "cbc"))

        assert one.status == other.status, f"seed {seed}"
        if one.status == "optimal":
            assert one.objective == pytest.approx(other.objective, rel=RELATIVE, abs=0.1)
            assert other.bound <= one.objective * (1 + RELATIVE) + 0.1
            assert one.bound <= other.objective * (1 + RELATIVE) + 0.1


@pytest.mark.parametrize("seed", range(8))
def test_drawn_models_are_valid_files(seed: int, tmp_path: Path) -> None:
    loaded = model_of(tmp_path, json.dumps(draw(seed)), name="unnamed")

    assert loaded == drawn_model(seed)


def test_models_are_small_and_varied() -> None:
    drawn = [draw(seed) for seed in range(MODELS)]
    seen = Counter[str]()
    for data in drawn:
        assert purchases_of(data) <= MOST_COMBINATIONS
        events = [one for scenario in data["scenarios"].values() for one in scenario["events"]]
        seen.update({event["kind"] for event in events})
        seen.update(name for name, value in data["policies"].items() if value)
        seen.update(f"{len(data[section])} {section}" for section in ("regions", "zones", "tiers"))
        seen.update({plant.get("role", "primary") for plant in data["plants"].values()})
        seen.update(f"k = {plant['redundancy']}" for plant in data["plants"].values())
        seen["candidate"] += any(one.get("candidate") for one in data["regions"].values())
        seen["mixed sizes"] += any(len(one["options"]) > 1 for one in data["plants"].values())
        seen["tanks"] += any(one.get("buffer_mwh") for one in data["plants"].values())
        seen.update(section for section in ("offers", "feeds", "services") if section in data)

    kinds = (
        "largest-units units plant region heat surge provider feed sag candidate emergency offers"
    )
    kinds += " feeds tanks services fixed forbidden capital_budget_usd least_regions"
    kinds += " spare_block_per_region surviving_capacity_share emergency_cooling_share"
    rare = [kind for kind in kinds.split() if seen[kind] < 8]
    rare += [kind for kind in ("k = 0", "k = 1", "k = 2", "mixed sizes") if seen[kind] < 20]
    rare += [f"{n} {s}" for s in ("zones", "tiers") for n in (1, 2) if seen[f"{n} {s}"] < 20]
    rare += [f"{n} regions" for n in (1, 2, 3) if seen[f"{n} regions"] < 20]
    assert not rare
