"""Models without a plan: the planted cause is named, and what is suggested mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import EXACT, solved

from planner.infrastructure.entities import Model
from planner.infrastructure.loading import load_model
from planner.optimization.case import Case
from planner.optimization.diagnosis import Diagnosis, diagnose
from planner.optimization.elastic import Key, roomier, size
from planner.optimization.programme import Programme, build
from planner.optimization.relaxation import RelaxationSet
from planner.optimization.solving import run_solver
from planner.scenarios.generators import all_scenarios


@dataclass(frozen=True)
class Planted:
    """A change of `tiny` that leaves no plan.

    Parameters
    ----------
    name
        What is planted.
    text
        Model text laid over `tiny`.
    conflict
        Family, subject and scenario of what the conflict must name.
    mends
        Model paths: each set but those of the other kind must contain one of them.
    hopeless
        Whether no limit that can be raised helps.
    settings
        More settings, with paths as on the command line.
    """

    name: str
    text: str
    conflict: frozenset[Key]
    mends: frozenset[str]
    hopeless: bool = False


def planted(
    name: str, text: str, conflict: Iterable[Key], mends: Iterable[str], hopeless: bool = False
) -> Planted:
    return Planted(name, text, frozenset(conflict), frozenset(mends), hopeless)


#: East alone serves 95 % of business (570 requests/s) five minutes after west is lost, before
#: any cloud arrives, and everything (1,000) from minute 120.
PLANT_LOST = """
scenarios:
  plant-lost: {severity: common, frequency_per_year: 0.01,
               events: [{kind: plant, name: %s, repair_minutes: 600.0}]}
"""

MODELS = [
    planted(
        "power limit keeps a region from growing",
        "regions: {east: {power_limit_mw: 2.5}}",
        [("power_limit", "east", "")],
        ["regions.east.power_limit_mw"],
    ),
    planted(
        "power limit below what stands",
        "regions: {west: {power_limit_mw: 5.0}}",
        [("power_limit", "west", "")],
        ["regions.west.power_limit_mw"],
    ),
    planted(
        "feed below what stands",
        "feeds: {grid: {region: west, capacity_mw: 5.0, ups_minutes: 15.0, generator_mw: 9.0}}",
        [("power_limit", "west", "")],
        ["feeds.grid.capacity_mw"],
    ),
    planted(
        "too few GPUs can be held",
        "clusters: {east-gpus: {max_gpus: 400}}",
        [("most_gpus", "east-gpus", "")],
        ["clusters.east-gpus.max_gpus"],
    ),
    planted(
        "GPUs forbidden",
        "policies: {forbidden: {gpus: [east-gpus]}}",
        [("forbidden", "east-gpus", "")],
        ["policies.forbidden.gpus"],
    ),
    planted(
        "unit type forbidden",
        "policies: {forbidden: {cooling: [west-air, east-chillers]}}",
        [("forbidden", "east-chillers", "")],
        ["policies.forbidden.cooling"],
    ),
    planted(
        "too few units for N+4",
        "plants: {west-chillers: {redundancy: 4, max_added: 1}}",
        [("design_heat", "west-gpus", "")],
        ["plants.west-chillers.max_added", "plants.west-chillers.redundancy"],
    ),
    planted(
        "units that are not on offer",
        "plants: {east-chillers: {options: []}}",
        [("no_option", "east-chillers/chiller-1", "")],
        ["plants.east-chillers.options"],
    ),
    planted(
        "capital budget",
        "policies: {capital_budget_usd: 1000000.0}",
        [("capital_budget", "capital", "")],
        ["policies.capital_budget_usd"],
    ),
    planted(
        "no money for the cloud that is needed",
        "finance: {emergency_budget_usd: 0.0}\nclusters: {east-gpus: {max_gpus: 900}}",
        [("emergency_budget", "budget", "region-west"), ("most_gpus", "east-gpus", "")],
        ["finance.emergency_budget_usd"],
    ),
    planted(
        "too little cloud",
        "offers: {cloud: {available_gpus: 80}}\npolicies: {fixed: {gpus: {east-gpus: 400}}}",
        [("most_instances", "cloud", ""), ("fixed", "east-gpus", "")],
        ["offers.cloud.available_gpus", "policies.fixed.gpus.east-gpus"],
    ),
    planted(
        "cloud forbidden",
        "policies: {forbidden: {emergency: [cloud]}}\nclusters: {east-gpus: {max_gpus: 900}}",
        [("forbidden", "cloud", "")],
        ["policies.forbidden.emergency"],
    ),
    planted(
        "cloud arrives after the target",
        "offers: {cloud: {lead_time_minutes: 300.0}}\nclusters: {east-gpus: {max_gpus: 900}}",
        [("served_floor", "free", "region-west"), ("most_gpus", "east-gpus", "")],
        ["offers.cloud.lead_time_minutes"],
    ),
    planted(
        "settled purchase beyond the power limit",
        "policies: {fixed: {gpus: {east-gpus: 1600}}}\nregions: {east: {power_limit_mw: 8.0}}",
        [("fixed", "east-gpus", ""), ("power_limit", "east", "")],
        ["policies.fixed.gpus.east-gpus", "regions.east.power_limit_mw"],
    ),
    planted(
        "emergency cooling starts too late",
        "cooling_units: {air-1: {start_minutes: 60.0}}\noperations: {response_minutes: 90.0}\n"
        + PLANT_LOST % "west-chillers",
        [("ride_through", "west-gpus", "plant-lost")],
        ["cooling_units.air-1.start_minutes"],
    ),
    planted(
        "plant loss without emergency cooling",
        PLANT_LOST % "east-chillers",
        [("ride_through", "east-gpus", "plant-lost")],
        ["scenarios.plant-lost"],
        hopeless=True,
    ),
    planted(
        "feed loss without generator",
        """
feeds: {grid: {region: east, capacity_mw: 12.0, powers: [east-gpus], ups_minutes: 10.0,
               repair_hours: 6.0}}
generators: {feed: {severity: single}}
offers: {cloud: {available_gpus: 0}}
clusters: {west-gpus: {max_gpus: 1000}, east-gpus: {max_gpus: 1400}}
standard: {region: [{tier: business, from_minute: 5, least_served: 0.5}]}
""",
        [("served_floor", "free", "feed-grid")],
        ["feeds.grid.generator_mw"],
    ),
    planted(
        "generators too small",
        """
feeds: {grid: {region: west, capacity_mw: 12.0, generator_mw: 1.0}}
generators: {feed: {severity: common}}
""",
        [("stage_power", "west", "feed-grid")],
        ["feeds.grid.generator_mw"],
    ),
    planted(
        "emergency cooling asked for where no plant gives it",
        "policies: {emergency_cooling_share: 0.5}",
        [("emergency_cover", "east-gpus", "")],
        ["policies.emergency_cooling_share"],
        hopeless=True,
    ),
    planted(
        "70 % rule in two regions",
        "policies: {surviving_capacity_share: 0.7}",
        [("surviving_capacity_share", "west", ""), ("surviving_capacity_share", "east", "")],
        ["policies.surviving_capacity_share"],
        hopeless=True,
    ),
    planted(
        "more regions than there are",
        "policies: {least_regions: 3}",
        [("least_regions", "regions", "")],
        ["policies.least_regions"],
        hopeless=True,
    ),
    planted(
        "service lost that a tier depends on",
        """
services: {login: {plane: control}}
tiers: {business: {entry: login}}
scenarios:
  login-lost: {severity: common, frequency_per_year: 1.0,
               events: [{kind: service, name: login, repair_minutes: 60.0}]}
""",
        [("served_floor", "business", "login-lost")],
        ["standard.common[0].least_served"],
        hopeless=True,
    ),
    planted(
        "latency leaves no region",
        "tiers: {business: {latency_limit_ms: 5.0}}",
        [("normal_demand", "west-users.business", "")],
        ["tiers.business.latency_limit_ms"],
        hopeless=True,
    ),
    planted(
        "spare block",
        """
clusters: {west-gpus: {max_gpus: 1000}, east-gpus: {max_gpus: 400}}
zones: {west-users: {demand_rps: 900.0}}
policies: {spare_block_per_region: true}
generators: {unit: null, units: null, region: null, provider: null, heat_wave: null, surge: null}
""",
        [("spare_block", "west", ""), ("spare_block", "east", "")],
        ["policies.spare_block_per_region", "clusters.west-gpus.max_gpus",
         "clusters.east-gpus.max_gpus"],
    ),
]  # fmt: skip


def written(folder: Path, case: Planted) -> Path:
    path = folder / "model.yaml"
    path.write_text(f"extends: tiny\n{case.text}", encoding="utf-8")
    return path


def diagnosed(model: Model) -> Diagnosis:
    programme, solution = solved(model)
    assert solution.status == "infeasible"
    return diagnose(programme, EXACT)


@pytest.mark.parametrize("case", MODELS, ids=lambda case: case.name)
def test_planted_cause_is_named_and_mended(case: Planted, tmp_path: Path) -> None:
    path = written(tmp_path, case)
    model = load_model(path).model

    diagnosis = diagnosed(model)

    keys = {(one.family, one.subject, one.scenario) for one in diagnosis.conflict}
    assert case.conflict <= keys, diagnosis.lines()
    assert diagnosis.complete
    assert diagnosis.irreducible
    assert_irreducible(model, keys)

    assert diagnosis.sets
    assert bool(diagnosis.hopeless) == case.hopeless
    assert bool(diagnosis.limits) != case.hopeless
    paths = {one.path for way in diagnosis.sets for one in way.relaxations}
    assert case.mends <= paths, diagnosis.lines()
    for way in diagnosis.sets:
        assert_mends(path, way)
    lines = "\n".join(diagnosis.lines())
    for _, subject, scenario in case.conflict:
        assert scenario in lines
        assert subject in lines or subject == "regions"


def assert_mends(path: Path, way: RelaxationSet) -> None:
    """Given as `--set`, a set leaves a plan, and there is none without any one of it."""
    assert way.verified
    assert way.minimal
    assert solved(load_model(path, way.overrides).model)[1].status == "optimal"
    for override in way.overrides if len(way.overrides) > 1 else ():
        others = tuple(one for one in way.overrides if one != override)
        assert solved(load_model(path, others).model)[1].status == "infeasible", override


def assert_irreducible(model: Model, keys: set[Key]) -> None:
    """What is named cannot all hold, and can with any one of it left out."""
    assert not can_hold(model, keys)
    for key in keys:
        assert can_hold(model, keys - {key}), key


def can_hold(model: Model, keys: set[Key]) -> bool:
    """Whether some requirements and limits can hold with all others gone."""
    case = Case(model, all_scenarios(model), {})
    programme = build(Case(roomier(model), case.scenarios, {}))
    for name, row in list(programme.rows.items()):
        if row.kind != "definition" and (row.family, row.subject, row.scenario) not in keys:
            constraint = programme.constraints[name]
            side = -1.0 if constraint.sense == -1 else 1.0
            programme.problem.add_column(
                f"gone.{name}", 0.0, None, coefficients={constraint: side * size(row)}
            )
    bound_purchases(programme, model, keys)
    programme.problem.setObjective(programme.problem.variables()[0] * 0)
    stats, _ = run_solver(programme.problem, EXACT)
    return bool(stats.has_solution)


def bound_purchases(programme: Programme, model: Model, keys: set[Key]) -> None:
    fixed, forbidden = model.policies.fixed, model.policies.forbidden
    for family, subject, _ in keys:
        if family == "most_units":
            plant, unit = subject.split("/")
            programme.units[plant, unit].upBound = model.plants[plant].max_added
        elif family == "no_option":
            plant, unit = subject.split("/")
            programme.units[plant, unit].upBound = 0
        elif family == "most_gpus":
            one = model.clusters[subject]
            blocks = (one.max_gpus - one.existing_gpus) // one.block_gpus
            programme.blocks[subject].upBound = blocks
        elif family == "most_instances":
            offer = model.offers[subject]
            count = offer.available_gpus // offer.gpus_per_instance
            programme.instances[subject].upBound = count
        elif family == "fixed":
            count = fixed.gpus[subject] // model.clusters[subject].block_gpus
            programme.blocks[subject].lowBound = programme.blocks[subject].upBound = count
        elif family == "forbidden":
            for names, variables in (
                (forbidden.gpus, programme.blocks),
                (forbidden.emergency, programme.instances),
            ):
                if subject in names:
                    variables[subject].upBound = 0
            for key, variable in programme.units.items():
                if subject in forbidden.cooling and subject in key:
                    variable.upBound = 0
