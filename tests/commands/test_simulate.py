"""``plan simulate`` as a command; what it simulates is tested elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands.conftest import Runs
from support import CHECKOUT

from planner.scenarios.generators import all_scenarios


def test_the_existing_fleet_of_tiny_does_not_survive(plan):
    ran = plan("simulate", "tiny", "-q")
    assert ran.code == 4
    assert ran.err == ""
    assert "region-west" in ran.out
    assert max(len(line.rstrip()) for line in ran.out.splitlines()) <= 80


def test_the_plan_of_tiny_survives(plan, tiny_plan):
    ran = plan("simulate", "tiny", "--plan", tiny_plan / "plan.json", "-q")
    assert ran.code == 0
    assert "10 of 10 scenarios survived" in ran.out


def test_progress_goes_to_standard_error(plan):
    ran = plan("simulate", "tiny", "--scenario", "surge")
    assert "tiny: 1 scenario: 1 common" in ran.err
    assert "s] tiny" not in ran.out


def test_simulate_json_holds_every_scenario(plan, tiny):
    ran = plan("simulate", "tiny", "--json", "-q")
    assert ran.code == 4
    assert ran.err == ""
    names = [scenario["name"] for scenario in ran.json["scenarios"]]
    assert names == [scenario.name for scenario in all_scenarios(tiny.model)]
    lost = next(scenario for scenario in ran.json["scenarios"] if scenario["name"] == "region-west")
    assert lost["survives"] is False
    assert lost["first_breach"]["subject"] in {"business", "free", "all"}
    assert ran.json["model"]["sha256"] == tiny.sha256


def test_simulate_takes_a_single_scenario(plan):
    ran = plan("simulate", "tiny", "--scenario", "provider-cloudy", "--json", "-q")
    assert ran.code == 0
    assert [scenario["name"] for scenario in ran.json["scenarios"]] == ["provider-cloudy"]


def test_scenarios_in_the_order_of_the_model_whatever_is_asked_for(plan):
    ran = plan(
        "simulate", "tiny", "--scenario", "surge", "--scenario", "region-west", "--json", "-q"
    )
    assert [scenario["name"] for scenario in ran.json["scenarios"]] == ["region-west", "surge"]


@pytest.mark.parametrize(
    ("names", "fragments"),
    [
        (["region-wst"], ["`region-wst`; did you mean `region-west`?"]),
        (["surge", "srge", "zzz"], ["`srge`; did you mean `surge`?", "`zzz`"]),
    ],
)
def test_an_unknown_scenario_is_reported_with_the_nearest(plan, names, fragments):
    options = [part for name in names for part in ("--scenario", name)]
    ran = plan("simulate", "tiny", *options)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("1 problem in the input:\n  --scenario: tiny has no ")
    for fragment in fragments:
        assert fragment in ran.err


def test_a_model_without_scenarios_is_refused(plan):
    ran = plan("simulate", "tiny", "--set", "generators=null")
    assert ran.code == 2
    assert "the model has no scenarios to simulate" in ran.err


def test_a_changed_model_is_noted(plan, tiny_plan):
    ran = plan(
        "simulate",
        "tiny",
        "--plan",
        tiny_plan / "plan.json",
        "--set",
        "finance.emergency_budget_usd=3e6",
    )
    assert ran.code == 0
    assert "note: tiny has changed since" in ran.err


def test_what_is_lost_is_told_before_anything_is_priced(plan):
    ran = plan("simulate", "tiny", "--lose", "west-chillers,west-air", "--at", "Mon-18")
    assert ran.code == 4
    assert "If plant:west-chillers and plant:west-air are lost" in ran.out
    assert "capacity lost: 1,000 GPUs (71 %; 1,000 requests/s)" in ran.out
    assert "The story of loss-plant-west-chillers-and-1-more@Mon-18" in ran.out


def test_what_is_lost_as_json(plan):
    ran = plan("simulate", "tiny", "--lose", "west", "--json", "-q")
    assert (ran.code, ran.err) == (4, "")
    assert ran.json["blast"]["gpus"] == 1000
    assert ran.json["scenarios"][0]["name"] == "loss-region-west"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--lose", "west", "--scenario", "surge"), "--lose is a failure of its own"),
        (("--lose", "west", "--only", "surge"), "--lose is a failure of its own"),
        (("--at", "3"), "--at needs --lose"),
        (("--lose", "west", "--at", "168"), "'168' is not an hour of the week"),
        (("--lose", "west", "--at", "Mon-18-Jul-15"), "is not an hour of the week"),
        (("--lose", "wst"), "--lose: no node `wst`; did you mean `west`"),
    ],
)
def test_losses_that_make_no_sense_are_refused(plan, arguments, said):
    ran = plan("simulate", "tiny", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_cold_caches_make_survivors_need_what_readme_says(
    plan: Runs, tiny_plan: Path, tmp_path: Path
) -> None:
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    cold = ("--set", "operations.cold_cache_factor=1.5")
    planned = json.loads((tiny_plan / "plan.json").read_text(encoding="utf-8"))
    assert plan("simulate", "tiny", "--plan", tiny_plan).code == 0
    assert plan("simulate", "tiny", "--plan", tiny_plan, *cold).code == 4
    found = plan("optimize", "tiny", *cold, "-o", tmp_path / "cold", "--json").json
    assert found["verification"]["survives"]
    there, before = ({one["cluster"]: one["total"] for one in p["gpus"]} for p in (found, planned))
    cost, usual = (p["objective_usd_per_year"] / 1e6 for p in (found, planned))
    assert f"needs {there['east-gpus']} GPUs in the east instead of {before['east-gpus']}" in text
    assert f"costs {cost:.2f} M USD a year instead of {usual:.2f}" in text
