"""The rows of every constraint family on small variants of `tiny`, compared letter by letter.

`UPDATE_GOLDEN=1` writes the files anew; their difference is then to be read like code.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support import model_of

from planner.infrastructure.loading import LoadedModel
from planner.optimization.formulation.algebra import Constraint, Expression
from planner.optimization.formulation.build import build
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.simulated import Gain, SimulatedCut
from planner.scenarios.generators import all_scenarios

GOLDEN = Path(__file__).parent / "golden"
SENSES = {-1: "<=", 0: "=", 1: ">="}

#: What each variant adds to `tiny`, and the scenarios that it keeps.
VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "bare": ("", ()),
    "daily": (
        """
shapes:
  day: [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1]
zones: {west-users: {shape: day}, east-users: {shape: day}}
tiers: {free: {latency_limit_ms: 50.0}}
""",
        (),
    ),
    "region_lost": ("", ("region-west",)),
    "series": (
        """
cooling_units:
  loop-3: {capacity_mw: 3.0, power_mw_per_mw: 0.02, capital_usd: 300000.0}
plants:
  west-chillers: {cools: null, redundancy: 1}
  west-loops: {region: west, cools: [west-gpus], redundancy: 1, rejects_to: west-chillers,
               existing: {loop-3: 2}, options: [loop-3], max_added: 4}
generators: {plant: {severity: common}}
""",
        ("plant-west-loops",),
    ),
    "batch": (
        "tiers: {free: {checkpoint_minutes: 30.0}}",
        ("region-west", "surge"),
    ),
    "cloud_short": (
        """
generators: {provider_short: {severity: region}, provider_short_delivers: 0.25}
""",
        ("provider-short-west",),
    ),
    "hot_and_unit_lost": (
        "generators: {heat_wave_unit: {severity: common}}",
        ("heat-wave-unit-west-chillers",),
    ),
    "plant_lost": ("generators: {plant: {severity: common}}", ("plant-west-chillers",)),
    "feed_lost": (
        """
feeds:
  grid-a: {region: west, capacity_mw: 8.0, ups_minutes: 10.0, generator_mw: 2.5,
           generator_start_minutes: 2.0, generator_hours: 12.0}
  grid-b: {region: west, capacity_mw: 3.0}
generators: {feed: {severity: common}}
""",
        ("feed-grid-a",),
    ),
    "candidate": (
        """
regions:
  north: {design_ambient_c: 25.0, electricity_usd_per_mwh: 40.0, power_limit_mw: 9.0,
          candidate: true, fixed_usd: 5000000.0, fixed_usd_per_year: 100000.0}
clusters:
  north-gpus: {region: north, gpu: accelerator, block_gpus: 200, max_gpus: 1000}
plants:
  north-chillers: {region: north, cools: [north-gpus], redundancy: 1, options: [chiller-3],
                   max_added: 6}
zones:
  east-users: {latency_ms: {north: 40.0},
               transport_usd_per_million_requests: {east: 0.5, north: 2.0}}
policies: {capital_budget_usd: 90000000.0}
""",
        ("region-west",),
    ),
    "empty_region": (
        """
regions:
  south: {power_limit_mw: 9.0}
clusters:
  south-gpus: {region: south, gpu: accelerator, block_gpus: 50, max_gpus: 300}
plants:
  south-chillers: {region: south, cools: [south-gpus], options: [chiller-1], max_added: 4}
zones:
  east-users: {latency_ms: {south: 60.0}}
policies: {least_regions: 3, spare_block_per_region: true}
""",
        (),
    ),
    "routed": (
        """
regions:
  south: {power_limit_mw: 9.0}
clusters:
  west-more: {region: west, gpu: accelerator, block_gpus: 100, max_gpus: 400}
  south-gpus: {region: south, gpu: accelerator, block_gpus: 50, max_gpus: 300}
plants:
  west-more-chillers: {region: west, cools: [west-more], options: [chiller-1], max_added: 4}
  south-chillers: {region: south, cools: [south-gpus], options: [chiller-1], max_added: 4}
shapes:
  day: [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1]
zones:
  west-users: {demand_rps: 1100.0, shape: day}
  east-users: {latency_ms: {south: 5.0}}
""",
        (),
    ),
    "policies": (
        """
plants:
  east-air: {region: east, cools: [east-gpus], role: emergency, options: [air-1], max_added: 9}
  west-water: {region: west, cools: [west-gpus], role: emergency, redundancy: 1,
               existing: {chiller-1: 2}, options: [air-1], max_added: 3}
policies: {surviving_capacity_share: 0.4, emergency_cooling_share: 0.25, cooling_margin: 0.2,
           fixed: {gpus: {east-gpus: 300}},
           forbidden: {cooling: [chiller-3]}}
""",
        (),
    ),
    "dear": (
        """
gpus: {accelerator: {existing_capital_usd: 200000.0, existing_facility_usd: 20000.0,
                     facility_power_share: 0.4, maintenance_share_per_year: 0.05}}
cooling_units: {chiller-1: {existing_capital_usd: 500000.0, maintenance_share_per_year: 0.03,
                            salvage_usd: 20000.0}}
clusters: {west-gpus: {may_retire: true, existing_age_years: 4.5}}
plants: {east-chillers: {may_retire: true, existing_age_years: 12.0}}
""",
        (),
    ),
    "measured": (
        """
feeds:
  grid-a: {region: west, capacity_mw: 9.0, ups_minutes: 4.0}
  grid-b: {region: west, capacity_mw: 6.0}
services:
  control: {plane: control, replicas: {west: 1}, needs_replicas: 1}
  store: {plane: state, replicas: {west: 1, east: 1}, needs_replicas: 2, connections: 1500.0}
  desk: {plane: edge, depends_on: [store], capacity_rps: 1200.0}
tiers: {business: {entry: desk}}
cooling_units: {chiller-3: {restart_minutes: 10.0}, chiller-1: {restart_minutes: 8.0}}
plants:
  west-chillers: {depends_on: [control]}
  west-air: {depends_on: [control], automatic: false}
operations: {detection_minutes: 5.0, approval_minutes: 20.0, failover_minutes: 8.0}
standard: {common: [{tier: business, from_minute: 0, least_served: 0.5}]}
policies: {emergency_cooling_share: 0.2, independent_emergency_cooling: true}
measures:
  second-feed: {capital_usd: 3000000.0, feeds: [grid-b]}
  tank: {capital_usd: 200000.0, buffer_mwh: {west-chillers: 1.5}}
  alarms: {usd_per_year: 50000.0, operations: {detection_minutes: 1.0, approval_minutes: 0.0}}
  starter: {capital_usd: 40000.0, automatic: [west-air]}
  replicas: {usd_per_year: 9000.0, replicas: {store: {east: 2}}, connections: {store: 500.0}}
  controls: {capital_usd: 80000.0, independent: {west-air: [control], west-chillers: [control]}}
scenarios:
  dark: {severity: common, frequency_per_year: 1.0,
         events: [{kind: feed, name: grid-a, repair_minutes: 60.0}]}
  dip: {severity: common, frequency_per_year: 2.0,
        events: [{kind: sag, feed: grid-a, repair_minutes: 3.0}]}
  mute: {severity: common, frequency_per_year: 0.5,
         events: [{kind: service, name: control, repair_minutes: 90.0}]}
""",
        ("dark", "dip", "mute", "region-west"),
    ),
    "tail": (
        "policies: {risk: {kind: cvar, alpha: 0.9, beta: 0.4}}",
        ("region-west", "region-east", "surge"),
    ),
    "worst": ("policies: {risk: {kind: worst}}", ("region-west", "region-east")),
}

#: The variant on which each family is shown.
FAMILIES = {
    "open_region": "candidate",
    "bought_or_retired": "dear",
    "holds_gpus": "empty_region",
    "one_threshold": "hot_and_unit_lost",
    "threshold": "hot_and_unit_lost",
    "design_heat": "policies",
    "design_heat_firm": "series",
    "emergency_cover": "policies",
    "emergency_cover_firm": "policies",
    "power_limit": "bare",
    "feed_limit": "measured",
    "surviving_capacity_share": "policies",
    "least_regions": "empty_region",
    "capital_budget": "candidate",
    "normal_demand": "daily",
    "mean_demand": "daily",
    "served_if_open": "candidate",
    "nearest_first": "routed",
    "first_served": "routed",
    "served_beside": "routed",
    "runs_full": "routed",
    "stands": "routed",
    "demand_balance": "region_lost",
    "cluster_capacity": "region_lost",
    "powered_gpus": "plant_lost",
    "spare_block": "empty_region",
    "offer_capacity": "region_lost",
    "offer_reserved": "cloud_short",
    "cooling_balance": "plant_lost",
    "uncooled": "plant_lost",
    "ride_through": "plant_lost",
    "plant_capacity": "hot_and_unit_lost",
    "stage_power": "plant_lost",
    "stage_feeds": "feed_lost",
    "served_floor": "region_lost",
    "emergency_budget": "region_lost",
    "preempted": "batch",
    "unit_load": "bare",
    "mean_heat": "daily",
    "mean_load": "series",
    "one_way_of_reacting": "measured",
    "availability": "measured",
    "tier_up": "measured",
    "powered_if_up": "measured",
    "powered_before": "measured",
    "offer_arrived": "measured",
    "in_force": "measured",
    "tank": "measured",
    "service_capacity": "measured",
    "independent_cooling": "measured",
    "scenario_cost": "worst",
    "tail_cost": "tail",
    "worst_cost": "worst",
    "simulated_cut": "dear",
    "objective": "candidate",
}
#: What the simulation of earlier plans might have been short of in a variant.
LEARNED = {
    "dear": (
        SimulatedCut(
            "region-west",
            "served",
            "all",
            0.25,
            (
                Gain("cooling", "east-chillers/chiller-1", 2, 0.125),
                Gain("gpus", "west-gpus", -1, 0.25),
                Gain("emergency", "cloud", 3, 0.0625),
            ),
        ),
    )
}

Programmes = Callable[[str], Programme]


@pytest.fixture(scope="module")
def programme_of(tmp_path_factory: pytest.TempPathFactory) -> Programmes:
    """Programme of a variant, built once."""
    folder, built = tmp_path_factory.mktemp("golden"), dict[str, Programme]()

    def programme(variant: str) -> Programme:
        if variant not in built:
            text, kept = VARIANTS[variant]
            model = model_of(folder, f"extends: tiny\n{text}", name=variant)
            scenarios = {one.name: one for one in all_scenarios(model)}
            data = ProblemData(
                model,
                tuple(scenarios[name] for name in kept),
                learned=LEARNED.get(variant, ()),
            )
            built[variant] = build(data)
        return built[variant]

    return programme


def number(value: float) -> str:
    """Ten digits, zero without a sign."""
    return f"{value + 0.0:.10g}"


def terms(expression: Expression | Constraint) -> str:
    """Terms sorted by the name of their variable, each with its sign."""
    pairs = sorted((variable.name, factor) for variable, factor in expression.items() if factor)
    return " ".join(f"{factor:+.10g} {name}" for name, factor in pairs) or "0"


def shown(programme: Programme, family: str) -> str:
    """Rows of a family, one a line."""
    if family == "objective":
        objective = programme.problem.objective
        assert objective is not None
        assert objective.constant == 0
        return f"objective: {terms(objective)}\n"
    lines = []
    for name, row in programme.rows.items():
        if row.family == family:
            constraint = programme.constraints[name]
            right = number(-constraint.constant)
            lines.append(f"{name}: {terms(constraint)} {SENSES[constraint.sense]} {right}\n")
    return "".join(lines)


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_are_golden(family: str, programme_of: Programmes) -> None:
    path, now = GOLDEN / f"{family}.lp", shown(programme_of(FAMILIES[family]), family)
    assert now, f"no row of {family} in variant {FAMILIES[family]}"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_text(now, encoding="utf-8")
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    difference = "".join(
        difflib.unified_diff(
            before.splitlines(keepends=True), now.splitlines(keepends=True), path.name, "now"
        )
    )
    assert not difference, f"\n{difference}"


#: Bounds of purchases, which are rows only where a diagnosis looks for what is in the way.
BOUNDS = {
    Family.MOST_UNITS,
    Family.MOST_GPUS,
    Family.MOST_INSTANCES,
    Family.NO_OPTION,
    Family.FIXED,
    Family.FIXED_CHOICE,
    Family.FORBIDDEN,
}


def test_every_family_has_a_golden(programme_of: Programmes, reference: LoadedModel) -> None:
    programmes = [programme_of(variant) for variant in VARIANTS]
    platform = ProblemData(reference.model, all_scenarios(reference.model), {})
    found = {row.family for one in [*programmes, build(platform)] for row in one.rows.values()}
    files = {path.stem for path in GOLDEN.iterdir()}
    assert files == set(FAMILIES) == found | {"objective"}
    assert found == set(Family) - BOUNDS


def test_the_text_stands_for_all_that_is_solved(programme_of: Programmes) -> None:
    """Rows with a meaning are the rows of the problem: nothing is added beside them."""
    for variant in VARIANTS:
        programme = programme_of(variant)
        assert set(programme.rows) == set(programme.constraints)
        assert len(programme.rows) == len(programme.problem.constraints)


def test_settled_and_barred_purchases_are_bounds(programme_of: Programmes) -> None:
    programme = programme_of("policies")
    purchases = programme.purchases
    bounds = {
        variable.name: (variable.low, variable.high, variable.integer)
        for table in (purchases.units, purchases.blocks, purchases.instances)
        for variable in table.values()
    }
    assert bounds == {
        "units.west_chillers.chiller_3": (0, 0, True),
        "units.west_chillers.chiller_1": (0, 12, True),
        "units.east_chillers.chiller_3": (0, 0, True),
        "units.east_chillers.chiller_1": (0, 12, True),
        "units.west_air.air_1": (0, 12, True),
        "units.east_air.air_1": (0, 9, True),
        "units.west_water.chiller_1": (0, 0, True),
        "units.west_water.air_1": (0, 3, True),
        "blocks.west_gpus": (0, 10, True),
        "blocks.east_gpus": (3, 3, True),
        "instances.cloud": (0, 60, True),
    }
