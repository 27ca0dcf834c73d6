"""Models without a plan: the planted cause is named, and what is suggested mends it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from optimization.drawing import drawn_model
from support import EXACT, solved

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import NodeLoss, Scenario
from planner.infrastructure.loading import load_model
from planner.optimization.formulation.algebra import Variable
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import Key, ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.formulation.simulated import Gain, SimulatedCut
from planner.optimization.infeasibility import relaxable_values
from planner.optimization.infeasibility.diagnosis import Diagnosis, diagnose
from planner.optimization.infeasibility.elastic import round_up, size
from planner.optimization.infeasibility.relaxation import RelaxationSet
from planner.optimization.infeasibility.wide_limits import with_wide_limits
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import run_solver
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
        [("feed_limit", "grid", "")],
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
        "fixed purchase beyond the power limit",
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
feeds: {grid: {region: west, capacity_mw: 12.0, generator_mw: 0.3}}
clusters: {east-gpus: {max_gpus: 500}}
generators: {feed: {severity: common}, region: null}
""",
        [("stage_feeds", "grid", "feed-grid")],
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
        "power lost on the way",
        """
regions: {east: {power_loss_share: 0.2, hall_mw_per_mw: 0.1, power_limit_mw: 2.8}}
clusters: {east-gpus: {max_gpus: 400}}
""",
        [("power_limit", "east", "")],
        ["regions.east.power_limit_mw"],
    ),
    planted(
        "design margin of cooling beyond what may be bought",
        """
policies: {cooling_margin: 0.5}
plants: {west-chillers: {redundancy: 0, options: []}}
clusters: {west-gpus: {max_gpus: 1000}}
scenarios: null
generators: {unit: null, units: null, heat_wave: null}
""",
        [("design_heat", "west-gpus", "")],
        ["policies.cooling_margin"],
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
        "latency leaves one region, which is lost",
        """
tiers: {business: {latency_limit_ms: 20.0}}
generators: {region: null}
scenarios: {gone: {severity: region, frequency_per_year: 0.01,
                   events: [{kind: region, name: west, repair_minutes: 600.0}]}}
""",
        [("served_floor", "business", "gone")],
        ["tiers.business.latency_limit_ms"],
        hopeless=True,
    ),
    planted(
        "a zone without a way to the region that is left",
        """
zones: {east-users: {latency_ms: {west: null}}}
generators: {region: null}
scenarios: {gone: {severity: region, frequency_per_year: 0.01,
                   events: [{kind: region, name: east, repair_minutes: 600.0}]}}
""",
        [("served_floor", "business", "gone")],
        ["zones.east-users.latency_ms.west"],
    ),
    planted(
        "spare block",
        """
clusters: {west-gpus: {max_gpus: 1000}, east-gpus: {max_gpus: 400}}
zones: {west-users: {demand_rps: 900.0}}
policies: {spare_block_per_region: true}
generators: {unit: null, units: null, region: null, provider: null, heat_wave: null, surge: null}
""",
        [("spare_block", "all customers", "")],
        ["policies.spare_block_per_region", "clusters.west-gpus.max_gpus",
         "clusters.east-gpus.max_gpus"],
    ),
    planted(
        "only whole blocks contradict",
        """
clusters: {west-gpus: {block_gpus: 300}, east-gpus: {block_gpus: 350}}
policies: {surviving_capacity_share: 0.5}
""",
        [("surviving_capacity_share", "west", ""), ("surviving_capacity_share", "east", "")],
        ["policies.surviving_capacity_share"],
    ),
    planted(
        "emergency budget of a class",
        """
finance: {emergency_budget_by_class_usd: {region: 1000.0}}
clusters: {east-gpus: {max_gpus: 900}}
""",
        [("emergency_budget", "budget", "region-west")],
        ["finance.emergency_budget_by_class_usd.region"],
    ),
    planted(
        "emergency cooling that hangs on the controls of the primary",
        """
services: {controls: {plane: control}}
plants:
  west-chillers: {depends_on: [controls]}
  west-air: {depends_on: [controls]}
  east-air: {region: east, cools: [east-gpus], role: emergency, options: [air-1], max_added: 12}
policies: {emergency_cooling_share: 0.2, independent_emergency_cooling: true}
""",
        [("independent_cooling", "west-air / west-chillers: service:controls", "")],
        ["policies.independent_emergency_cooling", "policies.emergency_cooling_share"],
        hopeless=True,
    ),
    planted(
        "measure forbidden that keeps a tier up",
        """
services: {login: {plane: control, replicas: {west: 1}}}
tiers: {business: {entry: login}}
measures: {second-login: {usd_per_year: 1000.0, replicas: {login: {east: 1}}}}
policies: {forbidden: {measures: [second-login]}}
""",
        [("forbidden", "second-login", ""), ("served_floor", "business", "region-west")],
        ["policies.forbidden.measures"],
    ),
    planted(
        "service too small",
        """
services: {login: {plane: control, capacity_rps: 500.0}}
tiers: {business: {entry: login}}
""",
        [("service_capacity", "login", "")],
        ["services.login.capacity_rps"],
    ),
]  # fmt: skip


#: Scenarios that no cause needs: without them programmes are a fraction as large.
SPARED = "generators: {heat_wave: null, surge: null, unit: null, units: null}\n"
#: Causes that are found among all scenarios of `tiny` too.
AMONG_ALL = {
    "power limit keeps a region from growing",
    "no money for the cloud that is needed",
    "emergency cooling starts too late",
    "70 % rule in two regions",
}


def written(folder: Path, planted: Planted) -> Path:
    path = folder / "model.yaml"
    spared = "" if "generators:" in planted.text or planted.name in AMONG_ALL else SPARED
    path.write_text(f"extends: tiny\n{planted.text}\n{spared}", encoding="utf-8")
    return path


def diagnosed(model: Model) -> Diagnosis:
    programme, solution = solved(model)
    assert solution.status == "infeasible"
    return diagnose(programme.data, EXACT)


@pytest.mark.parametrize("planted", MODELS, ids=lambda planted: planted.name)
def test_a_planted_cause_of_infeasibility_is_named_and_relaxed(
    planted: Planted, tmp_path: Path
) -> None:
    path = written(tmp_path, planted)
    model = load_model(path).model

    diagnosis = diagnosed(model)

    keys = {(group.family, group.subject, group.scenario) for group in diagnosis.conflict}
    assert planted.conflict <= keys, diagnosis.lines()
    assert diagnosis.complete
    assert diagnosis.irreducible
    assert_irreducible(model, keys)

    assert diagnosis.sets
    assert bool(diagnosis.hopeless) == planted.hopeless
    assert bool(diagnosis.limits) != planted.hopeless
    paths = {relaxation.path for way in diagnosis.sets for relaxation in way.relaxations}
    assert planted.mends <= paths, diagnosis.lines()
    for way in diagnosis.sets:
        assert_mends(path, way)
    lines = "\n".join(diagnosis.lines())
    for _, subject, scenario in planted.conflict:
        assert scenario in lines
        assert subject.split()[0] in lines or subject == "regions"


def assert_mends(path: Path, way: RelaxationSet) -> None:
    """Given as `--set`, a set leaves a plan, and there is none without any one of it."""
    assert way.verified
    assert way.minimal
    assert solved(load_model(path, way.overrides).model)[1].status == "optimal"
    for override in way.overrides if len(way.overrides) > 1 else ():
        others = tuple(kept for kept in way.overrides if kept != override)
        assert solved(load_model(path, others).model)[1].status == "infeasible", override


def assert_irreducible(model: Model, keys: set[Key]) -> None:
    """What is named cannot all hold, and can with any one of it left out."""
    data = ProblemData(model, all_scenarios(model), {})
    programme = build(ProblemData(with_wide_limits(model), data.scenarios, {}))
    gone = removable(programme)
    roomy = {
        variable.name: (variable.low, variable.high) for variable in programme.problem.variables
    }
    assert not can_hold(programme, gone, model, keys)
    for key in keys:
        for variable in programme.problem.variables:
            variable.low, variable.high = roomy[variable.name]
        assert can_hold(programme, gone, model, keys - {key}), key


def removable(programme: Programme) -> list[tuple[Key, Variable]]:
    """A column for each requirement and limit that takes its row out of the programme."""
    found = []
    for name, row in list(programme.rows.items()):
        if row.kind != "definition":
            constraint = programme.constraints[name]
            side = -1.0 if constraint.sense == -1 else 1.0
            column = programme.problem.add_variable(f"gone.{name}")
            constraint.set_coefficient(column, side * size(row))
            found.append((row.key, column))
    programme.problem.objective = programme.problem.variables[0] * 0
    return found


def can_hold(
    programme: Programme, gone: list[tuple[Key, Variable]], model: Model, keys: set[Key]
) -> bool:
    """Whether some requirements and limits can hold with all others gone."""
    for key, column in gone:
        column.high = 0.0 if key in keys else math.inf
    bound_purchases(programme, model, keys)
    return bool(run_solver(programme.problem, EXACT).stats.has_solution)


def bound_purchases(programme: Programme, model: Model, keys: set[Key]) -> None:
    fixed, forbidden = model.policies.fixed, model.policies.forbidden
    for family, subject, _ in keys:
        if family == "most_units":
            plant, unit = subject.split("/")
            programme.purchases.units[plant, unit].high = model.plants[plant].max_added
        elif family == "no_option":
            plant, unit = subject.split("/")
            programme.purchases.units[plant, unit].high = 0
        elif family == "most_gpus":
            one = model.clusters[subject]
            blocks = (one.max_gpus - one.existing_gpus) // one.block_gpus
            programme.purchases.blocks[subject].high = blocks
        elif family == "most_instances":
            offer = model.offers[subject]
            count = offer.available_gpus // offer.gpus_per_instance
            programme.purchases.instances[subject].high = count
        elif family == "fixed":
            count = fixed.gpus[subject] // model.clusters[subject].block_gpus
            blocks = programme.purchases.blocks[subject]
            blocks.low = blocks.high = count
        elif family == "forbidden":
            for names, variables in (
                (forbidden.gpus, programme.purchases.blocks),
                (forbidden.emergency, programme.purchases.instances),
            ):
                if subject in names:
                    variables[subject].high = 0
            if subject in forbidden.measures:
                programme.purchases.measures[subject].high = 0
            for key, variable in programme.purchases.units.items():
                if subject in forbidden.cooling and subject in key:
                    variable.high = 0


# ------------------------------------------------------------------------------- amounts and prices


def test_a_limit_is_raised_by_the_missing_amount_and_no_more(tmp_path: Path) -> None:
    """East has to serve 760 of 1,000 requests/s: 800 GPUs of 5 kW, and cooling that needs 16 %."""
    path = written(tmp_path, planted("", "regions: {east: {power_limit_mw: 2.5}}", [], []))
    diagnosis = diagnosed(load_model(path).model)
    (limit,) = diagnosis.limits
    assert limit.path == "regions.east.power_limit_mw"
    assert limit.before == 2.5
    assert limit.value == pytest.approx(800 * 0.005 * 1.16)
    assert limit.amount == pytest.approx(limit.value - 2.5)
    less = load_model(path, (f"{limit.path}={limit.value - 0.01}",)).model
    assert solved(less)[1].status == "infeasible"


def test_gpus_are_priced_and_come_in_whole_blocks(tmp_path: Path) -> None:
    path = written(tmp_path, planted("", "clusters: {east-gpus: {max_gpus: 430}}", [], []))
    model = load_model(path).model
    (limit,) = diagnosed(model).limits
    assert limit.path == "clusters.east-gpus.max_gpus"
    assert (limit.value - 400) % 100 == 0
    gpu = model.gpus["accelerator"]
    assert limit.usd == pytest.approx(limit.amount * (gpu.capital_usd + gpu.facility_usd))
    fewer = load_model(path, (f"{limit.path}={limit.value - 100}",)).model
    assert solved(fewer)[1].status == "infeasible"


def test_lost_service_is_priced_by_its_requests(tmp_path: Path) -> None:
    """A tier that is down for an hour, once a year: 600 requests/s of 1 USD for a thousand."""
    (lost,) = (planted for planted in MODELS if planted.name.startswith("service lost"))
    text = lost.text.replace("entry: login", "entry: login, value_usd_per_1000_requests: 1.0")
    text = text.replace("entry: login", "entry: login, sla_credit_usd_per_1000_requests: 0.0")
    text = text.replace("repair_minutes: 60.0", "repair_minutes: 65.0")
    diagnosis = diagnosed(load_model(written(tmp_path, planted("", text, [], []))).model)
    (lowered,) = diagnosis.sets[0].relaxations
    assert lowered.path == "standard.common[0].least_served"
    # The rule holds from minute 5 and asks for 99 %.
    assert lowered.usd_per_year == pytest.approx(0.99 * 600 * 3600 / 1000)
    assert "business is down with service login" in diagnosis.lines()[1]


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [(0.0, 0.0), (12.34, 12.4), (570.0000001, 570.0), (0.0123401, 0.0124), (1234567.0, 1240000.0)],
)
def test_amounts_are_rounded_up_to_three_digits(amount: float, rounded: float) -> None:
    assert round_up(amount) == pytest.approx(rounded)


# ----------------------------------------------------------------------------- families, simulation


def test_rows_without_a_model_value_get_a_plain_slack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A family without relaxable values is named, and its set is verified with a plain slack."""
    monkeypatch.delitem(relaxable_values.FAMILIES, "least_regions")
    text = "policies: {least_regions: 3}"
    diagnosis = diagnosed(load_model(written(tmp_path, planted("", text, [], []))).model)
    (way,) = diagnosis.sets
    (relaxation,) = way.relaxations
    assert way.verified
    assert (relaxation.family, relaxation.path, relaxation.override) == ("least_regions", "", "")
    assert relaxation.amount == pytest.approx(1)
    assert way.overrides == ()
    assert "loosen" not in diagnosis.lines()[0]
    assert "by 1 region" in "\n".join(diagnosis.lines())


def test_scenario_that_is_not_in_the_model_is_left_out_by_name() -> None:
    """One that was asked for on the command line has no path in the model."""
    model = load_model("tiny").model
    lost = NodeLoss(kind="plant", name="east-chillers", repair_minutes=600.0)
    pair = Scenario(name="pair", severity="common", frequency_per_year=0.1, events=(lost,))
    data = ProblemData(model, (*all_scenarios(model), pair), {})
    diagnosis = diagnose(data, EXACT)
    assert [group.scenario for group in diagnosis.conflict] == ["pair"]
    (way,) = diagnosis.sets
    assert way.verified
    assert way.overrides == ()
    assert "remove scenario pair" in diagnosis.lines()


FAMILY = """
cooling_units:
  tank-1: {capacity_mw: 1.0, mode: standby, start_minutes: 1.0}
generators: {plant: {severity: double, frequency_per_year: 0.02, repair_hours: 12.0}}
"""


def test_one_scenario_of_a_family_is_left_out_and_no_other(tmp_path: Path) -> None:
    """West has emergency cooling, east has none: only the loss of its plant has to go."""
    path = written(tmp_path, planted("", FAMILY, [], []))
    model = load_model(path).model
    diagnosis = diagnosed(model)
    (way,) = diagnosis.sets
    (relaxation,) = way.relaxations
    assert (relaxation.family, relaxation.subject) == ("scenario", "plant-east-chillers")
    assert way.options == ("--set generators.plant.without=[plant-east-chillers]",)
    changed = load_model(path, way.overrides).model
    kept = [scenario for scenario in all_scenarios(model) if scenario.name != "plant-east-chillers"]
    assert list(all_scenarios(changed)) == kept
    json.dumps([vars(relaxation) for relaxation in way.relaxations])


def test_an_entry_that_a_family_has_too_is_left_out_by_name(tmp_path: Path) -> None:
    """Without its entry the one of the family would come back."""
    text = (
        f"{FAMILY}scenarios:\n  plant-east-chillers: {{severity: double, frequency_per_year: 0.1, "
    )
    text += "events: [{kind: plant, name: east-chillers, repair_minutes: 900.0}]}\n"
    diagnosis = diagnosed(load_model(written(tmp_path, planted("", text, [], []))).model)
    (way,) = diagnosis.sets
    assert way.overrides == ()
    assert way.options == ("--except plant-east-chillers",)


SHORT_TEXT = """
clusters: {east-gpus: {max_gpus: 1200}}
offers: {cloud: {available_gpus: 0}}
"""


def test_what_was_short_in_simulation_is_part_of_the_conflict(tmp_path: Path) -> None:
    """More GPUs than may be had would make up for it, or a standard that asks for less."""
    model = load_model(written(tmp_path, planted("", SHORT_TEXT, [], []))).model
    assert solved(model)[1].status == "optimal"
    gain = Gain("gpus", "east-gpus", 8, 0.5)
    cut = SimulatedCut("region-west", "served", "all", 0.02, (gain,))
    data = ProblemData(model, all_scenarios(model), {}, learned=(cut,))

    diagnosis = diagnose(data, EXACT, round_number=2)

    text = "\n".join(diagnosis.lines())
    assert "make up for what all tiers together were short of in simulation" in text
    changed = {change.path: change for way in diagnosis.sets for change in way.relaxations}
    assert changed["clusters.east-gpus.max_gpus"].value == 1400
    assert any(path.endswith(".least_served") for path in changed)
    raised = load_model(tmp_path / "model.yaml", ("clusters.east-gpus.max_gpus=1400",)).model
    assert _status(replace(data, model=raised)) == "optimal"
    # Each scenario can be looked at by itself, with what was short in it alone.
    parts = {name: data.part((name,)) for name in data.stages_by_scenario}
    assert {n: p.learned for n, p in parts.items() if p.learned} == {"region-west": (cut,)}
    for part in parts.values():
        relaxable_values.elastic_programme(part)


def _status(data: ProblemData) -> str:
    from planner.optimization.solution.solving import solve

    return solve(build(data), EXACT).status


# -------------------------------------------------------------------------------------------- time


class Ticks:
    """A clock that moves on by a second whenever it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now


@pytest.mark.parametrize("seconds", [3.0, 20.0, 50.0])
def test_a_diagnosis_out_of_time_reports_what_it_found(
    seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, planted("", "clusters: {east-gpus: {max_gpus: 400}}", [], []))
    programme, _ = solved(load_model(path).model)
    ticks = Ticks()
    monkeypatch.setattr("planner.optimization.solution.deadline.time", ticks)

    diagnosis = diagnose(programme.data, SolverSettings(gap=0.0, time_limit_seconds=seconds))

    assert not diagnosis.complete
    assert ticks.now <= seconds + 5, "it went on after its time"
    for way in diagnosis.sets:
        assert way.verified
        assert solved(load_model(path, way.overrides).model)[1].status == "optimal"
    if seconds == 50.0:
        assert diagnosis.irreducible
        assert diagnosis.sets


def test_a_diagnosis_without_time_is_not_an_error(tmp_path: Path) -> None:
    path = written(tmp_path, planted("", "clusters: {east-gpus: {max_gpus: 400}}", [], []))
    programme, _ = solved(load_model(path).model)
    diagnosis = diagnose(programme.data, SolverSettings(time_limit_seconds=1e-6))
    assert not diagnosis.complete
    assert diagnosis.conflict == ()
    assert diagnosis.sets == ()


@pytest.mark.parametrize("seed", [9, 30])
def test_least_that_is_missed_is_the_same_in_parts(seed: int) -> None:
    """Only one scenario is asked at first: others join that its purchases do not meet."""
    drawn = drawn_model(seed)
    zones = {name: z.replace(demand_rps=1.6 * z.demand_rps) for name, z in drawn.zones.items()}
    model = drawn.replace(zones=zones)
    data = ProblemData(model, all_scenarios(model), {})
    one = (data.scenarios[0].name,)
    whole, parts = (
        diagnose(data, replace(EXACT, method=method), suspects=one).shortfalls
        for method in ("extensive", "decomposed")
    )
    assert {missed.scenario for missed in whole} != {""}
    least = [
        sum(missed.amount / max(missed.limit, 1.0) for missed in found) for found in (whole, parts)
    ]
    assert least[1] == pytest.approx(least[0], rel=1e-6)
