"""Models without a plan: the planted conflict is named, and what is suggested mends it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support import EXACT, model_of, solved

from planner.commands import main
from planner.errors import EXIT_INFEASIBLE
from planner.infrastructure.entities import Model
from planner.optimization.diagnosis import Diagnosis, Relaxation
from planner.scenarios.generators import all_scenarios
from planner.verification import optimise_and_verify

#: Family, subject and scenario of something named.
Named = tuple[str, str, str]
#: Families of limits that are raised by whole units, blocks or instances.
WHOLE = frozenset({"most_units", "most_gpus", "most_instances"})


@dataclass(frozen=True)
class Conflict:
    """A change of `tiny` that leaves no plan.

    Parameters
    ----------
    name
        What is planted.
    text
        Model text laid over `tiny`.
    short
        Requirements that must be named; others may be.
    limits
        Exactly the limits that must be named; empty if none helps.
    change
        What text cannot say.
    """

    name: str
    text: str
    short: frozenset[Named]
    limits: frozenset[Named]
    change: Callable[[Model], Model] = lambda model: model


def conflict(
    name: str,
    text: str,
    short: list[Named],
    limits: list[Named],
    change: Callable[[Model], Model] = lambda model: model,
) -> Conflict:
    return Conflict(name, text, frozenset(short), frozenset(limits), change)


#: East alone serves 95 % of business (570 requests/s) five minutes after west is lost, before
#: any cloud arrives, and everything (1,000) from minute 120.
BUSINESS = ("served_floor", "business", "region-west")
PLANT_LOST = """
scenarios:
  plant-lost: {severity: common, frequency_per_year: 0.01,
               events: [{kind: plant, name: west-chillers, repair_minutes: 600.0}]}
"""

CONFLICTS = [
    conflict(
        "power limit keeps a region from growing",
        "regions: {east: {power_limit_mw: 2.5}}",
        [BUSINESS],
        [("power_limit", "east", "")],
    ),
    conflict(
        "power limit below what stands",
        "regions: {west: {power_limit_mw: 5.0}}",
        [],
        [("power_limit", "west", "")],
    ),
    conflict(
        "no room for GPUs",
        "clusters: {east-gpus: {max_gpus: 400}}",
        [BUSINESS],
        [("most_gpus", "east-gpus", "")],
    ),
    conflict(
        "GPUs forbidden",
        "policies: {forbidden: {gpus: [east-gpus]}}",
        [BUSINESS],
        [("most_gpus", "east-gpus", "")],
    ),
    conflict(
        "unit type forbidden",
        "policies: {forbidden: {cooling: [east-chillers]}}",
        [("design_heat", "east-gpus", "")],
        [("most_units", "east-chillers/chiller-3", "")],
    ),
    conflict(
        "too few units for N+4",
        "plants: {west-chillers: {redundancy: 4, max_added: 1}}",
        [("design_heat", "west-gpus", "")],
        [("most_units", "west-chillers/chiller-3", "")],
    ),
    conflict(
        "too few units for N+2",
        "plants: {east-chillers: {max_added: 0, options: [chiller-3]}}",
        [("design_heat", "east-gpus", "")],
        [("most_units", "east-chillers/chiller-3", "")],
    ),
    conflict(
        "capital budget",
        "policies: {capital_budget_usd: 1000000.0}",
        [("design_heat", "west-gpus", ""), BUSINESS],
        [("capital_budget", "capital", "")],
    ),
    conflict(
        "no money for the cloud that is needed",
        "finance: {emergency_budget_usd: 0.0}\nclusters: {east-gpus: {max_gpus: 900}}",
        [],
        [("emergency_budget", "budget", "region-west")],
    ),
    conflict(
        "no offers and a full region",
        "clusters: {east-gpus: {max_gpus: 900}}",
        [],
        [("most_gpus", "east-gpus", "")],
        lambda model: model.replace(offers={}, generators=model.generators.replace(provider=None)),
    ),
    conflict(
        "too little cloud",
        "offers: {cloud: {available_gpus: 80}}\npolicies: {fixed: {gpus: {east-gpus: 400}}}",
        [],
        [("most_instances", "cloud", "")],
    ),
    conflict(
        "too few emergency units for a plant loss",
        "plants: {west-air: {max_added: 2}}\nclusters: {east-gpus: {max_gpus: 800}}\n"
        "offers: {cloud: {available_gpus: 240}}\n"
        "policies: {forbidden: {gpus: [west-gpus]}}\n" + PLANT_LOST,
        [("ride_through", "west-gpus", "plant-lost")],
        [("most_units", "west-air/air-1", "")],
    ),
    conflict(
        "generators too small",
        """
feeds: {grid: {region: west, capacity_mw: 12.0, generator_mw: 1.0}}
generators: {feed: {severity: common}}
""",
        [],
        [("stage_power", "west", "feed-grid")],
    ),
    conflict(
        "plant loss without emergency cooling",
        PLANT_LOST.replace("west-chillers", "east-chillers"),
        [("ride_through", "east-gpus", "plant-lost")],
        [],
    ),
    conflict(
        "emergency cooling asked for where no plant gives it",
        "policies: {emergency_cooling_share: 0.5}",
        [("emergency_cover", "east-gpus", "")],
        [],
    ),
    conflict(
        "70 % rule in two regions",
        "policies: {surviving_capacity_share: 0.7}",
        [
            ("surviving_capacity_share", "east", ""),
            ("surviving_capacity_share", "west", ""),
        ],
        [],
    ),
    conflict(
        "more regions than there are",
        "policies: {least_regions: 3}",
        [("least_regions", "regions", "")],
        [],
    ),
    conflict(
        "service lost that a tier depends on",
        """
services: {login: {plane: control}}
tiers: {business: {entry: login}}
scenarios:
  login-lost: {severity: common, frequency_per_year: 1.0,
               events: [{kind: service, name: login, repair_minutes: 60.0}]}
""",
        [("served_floor", "business", "login-lost")],
        [],
    ),
    conflict(
        "spare block",
        """
clusters: {west-gpus: {max_gpus: 1000}, east-gpus: {max_gpus: 400}}
zones: {west-users: {demand_rps: 900.0}}
policies: {spare_block_per_region: true}
generators: {unit: null, units: null, region: null, provider: null, heat_wave: null, surge: null}
""",
        [],
        [("most_gpus", "west-gpus", "")],
    ),
]


def named(relaxations: tuple[Relaxation, ...]) -> set[Named]:
    return {(one.family, one.subject, one.scenario) for one in relaxations}


def diagnosed(model: Model) -> Diagnosis:
    outcome = optimise_and_verify(model, all_scenarios(model), EXACT)
    assert outcome.best is None
    assert not outcome.survives
    assert outcome.diagnosis is not None
    return outcome.diagnosis


def raised(model: Model, limits: tuple[Relaxation, ...]) -> Model:
    """The model with limits raised as suggested, and a thousandth more."""
    for limit in limits:
        model = _raised(model, limit)
    return model


def _raised(model: Model, limit: Relaxation) -> Model:
    enough = (limit.limit + limit.amount) * 1.001
    finance, policies = model.finance, model.policies
    match limit.family:
        case "power_limit":
            return _entry(model, "regions", limit.subject, power_limit_mw=enough)
        case "stage_power":
            (feed,) = (name for name, one in model.feeds.items() if one.region == limit.subject)
            return _entry(model, "feeds", feed, generator_mw=enough)
        case "emergency_budget":
            most = max(enough, finance.emergency_budget_usd)
            return model.replace(finance=finance.replace(emergency_budget_usd=most))
        case "capital_budget":
            return model.replace(policies=policies.replace(capital_budget_usd=enough))
    most = limit.limit + limit.amount - 1e-3
    names, forbidden = set(limit.subject.split("/")), policies.forbidden
    allowed = {
        kind: tuple(name for name in getattr(forbidden, kind) if name not in names)
        for kind in ("cooling", "gpus", "emergency")
    }
    model = model.replace(policies=policies.replace(forbidden=forbidden.replace(**allowed)))
    match limit.family:
        case "most_units":
            plant = limit.subject.split("/")[0]
            added = max(math.ceil(most), model.plants[plant].max_added)
            return _entry(model, "plants", plant, max_added=added)
        case "most_gpus":
            cluster = model.clusters[limit.subject]
            blocks = math.ceil((most - cluster.existing_gpus) / cluster.block_gpus)
            gpus = cluster.existing_gpus + blocks * cluster.block_gpus
            return _entry(model, "clusters", limit.subject, max_gpus=gpus)
        case "most_instances":
            offer = model.offers[limit.subject]
            gpus = offer.gpus_per_instance * (offer.existing_instances + math.ceil(most))
            return _entry(model, "offers", limit.subject, available_gpus=gpus)
    raise AssertionError(f"no limit is called {limit.family}")


def _entry(model: Model, section: str, name: str, **changes: object) -> Model:
    entries = getattr(model, section)
    return model.replace(**{section: {**entries, name: entries[name].replace(**changes)}})


@pytest.mark.parametrize("case", CONFLICTS, ids=lambda case: case.name)
def test_conflict_is_named_and_mended(case: Conflict, tmp_path: Path) -> None:
    model = case.change(model_of(tmp_path, f"extends: tiny\n{case.text}"))
    assert solved(model)[1].status == "infeasible"

    diagnosis = diagnosed(model)

    assert case.short <= named(diagnosis.shortfalls)
    assert named(diagnosis.limits) == case.limits
    assert diagnosis.shortfalls or diagnosis.limits
    assert all(one.amount > 0 for one in (*diagnosis.shortfalls, *diagnosis.limits))
    lines = "\n".join(diagnosis.lines())
    for one in (*diagnosis.shortfalls, *diagnosis.limits):
        assert one.subject in lines
        assert one.scenario in lines
    assert ("no raise of a limit mends" in lines) == (not case.limits)
    if diagnosis.limits:
        assert solved(raised(model, diagnosis.limits))[1].status == "optimal"


#: `max_added` binds each unit type of a plant: raised for one it is raised for the others too.
SINGLE = [
    one
    for one in CONFLICTS
    if len(one.limits) == 1 and not any("chillers/" in subject for _, subject, _ in one.limits)
]


@pytest.mark.parametrize("case", SINGLE, ids=lambda case: case.name)
def test_less_than_suggested_is_not_enough(case: Conflict, tmp_path: Path) -> None:
    """Raising a single limit by a block or a twentieth less leaves the conflict."""
    model = case.change(model_of(tmp_path, f"extends: tiny\n{case.text}"))
    (limit,) = diagnosed(model).limits
    less = 0.95 * limit.amount
    if limit.family in WHOLE:
        block = model.clusters[limit.subject].block_gpus if limit.family == "most_gpus" else 1
        less = limit.amount - block
    fewer = raised(model, (replace(limit, amount=less),))
    assert solved(fewer)[1].status == "infeasible"


OVERRIDES = ("policies.surviving_capacity_share=0.45", "clusters.east-gpus.max_gpus=400")


def run(
    capsys: pytest.CaptureFixture[str], *arguments: str, overrides: tuple[str, ...] = OVERRIDES
) -> tuple[str, str]:
    """Output and error of an infeasible `plan optimize tiny`."""
    settings = [part for override in overrides for part in ("--set", override)]
    with pytest.raises(SystemExit) as end:
        main(["optimize", "tiny", *settings, *arguments])
    assert end.value.code == EXIT_INFEASIBLE == 3
    output = capsys.readouterr()
    return output.out, output.err


def test_command_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    output, errors = run(capsys)
    text = " ".join(output.split())
    assert text.startswith("No plan meets every requirement.")
    assert "short by 230.0 GPUs: share of GPUs left without west" in text
    assert "service to business from minute 5 in scenario region-west" in text
    assert (
        "raise by 500.0 GPUs: GPUs that east-gpus can hold, from 400.0 GPUs to 900.0 GPUs" in text
    )
    assert "Traceback" not in output + errors
    assert max(map(len, output.splitlines())) <= 80


def test_command_says_when_nothing_helps(capsys: pytest.CaptureFixture[str]) -> None:
    output, _ = run(capsys, overrides=("policies.least_regions=3",))
    text = " ".join(output.split())
    assert "short by 1.000 regions: least number of regions in use" in text
    assert "no raise of a limit mends least number of regions in use" in text
    assert "raise by" not in text


def test_json_holds_the_diagnosis(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    output, _ = run(capsys, "--json")
    answer = json.loads(output)
    assert answer["status"] == "infeasible"
    (limit,) = answer["diagnosis"]["limits"]
    text = limit.pop("text")
    assert limit == {
        "family": "most_gpus",
        "subject": "east-gpus",
        "scenario": "",
        "amount": pytest.approx(500),
        "unit": "GPUs",
        "limit": 400,
        "from_minute": 0,
    }
    assert text == "500.0 GPUs: GPUs that east-gpus can hold"
    shortfalls = {
        (one["family"], one["subject"], one["scenario"])
        for one in answer["diagnosis"]["shortfalls"]
    }
    assert {("surviving_capacity_share", "west", ""), BUSINESS} <= shortfalls


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_earlier_plan_is_left_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, form: tuple[str, ...]
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text("an earlier plan", encoding="utf-8")
    before = plan.stat().st_mtime_ns
    run(capsys, "-o", str(tmp_path), *form)
    assert list(tmp_path.iterdir()) == [plan]
    assert plan.read_text(encoding="utf-8") == "an earlier plan"
    assert plan.stat().st_mtime_ns == before


def test_no_folder_is_made(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run(capsys, "-o", str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("region", "limit_mw"), [("west", 5.0), ("east", 2.5)])
def test_what_no_limit_mends_hides_no_limit(region: str, limit_mw: float, tmp_path: Path) -> None:
    """A requirement that nothing mends and a limit in the way of another are both named."""
    text = f"regions: {{{region}: {{power_limit_mw: {limit_mw}}}}}\npolicies: {{least_regions: 3}}"
    diagnosis = diagnosed(model_of(tmp_path, f"extends: tiny\n{text}"))
    assert ("least_regions", "regions", "") in named(diagnosis.shortfalls)
    assert ("power_limit", region, "") in named(diagnosis.limits)
