"""``plan optimize`` from what there is: --from, --fix, --keep-existing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands.conftest import Runs

#: What is looked at is what is bought: the hours after cloud has come need no simulation.
SHORT = ("--set", "simulation.horizon_minutes=150")
LEAN = (*SHORT, "--set", "generators.heat_wave=null", "--set", "generators.surge=null")
MORE = ("--set", "zones.west-users.demand_rps=720")


def numbers(data: dict, part: str) -> list[int]:
    """Totals of a part of a plan."""
    field = "instances_reserved" if part == "emergency" else "total"
    return [line[field] for line in data[part]]


def test_an_earlier_plan_changes_nothing_but_the_start(plan: Runs, tiny_plan: Path) -> None:
    before = json.loads((tiny_plan / "plan.json").read_text(encoding="utf-8"))

    ran = plan("optimize", "tiny", *SHORT, "--from", tiny_plan / "plan.json", "--json")

    assert ran.code == 0
    assert ran.json["objective_usd_per_year"] == before["objective_usd_per_year"]
    assert "began without it" not in ran.err
    other = plan(
        "optimize", "tiny", *SHORT, "--warm-start", tiny_plan / "plan.json", *MORE, "--json"
    )
    assert other.code == 0
    said = "the earlier plan is not feasible for this model; the search began without it"
    assert said in other.err


@pytest.mark.parametrize("part", ["cooling", "gpus", "emergency"])
def test_parts_are_held_as_in_the_plan(plan: Runs, tiny_plan: Path, part: str) -> None:
    before = json.loads((tiny_plan / "plan.json").read_text(encoding="utf-8"))
    cheaper = ("--set", "zones.west-users.demand_rps=500")
    free = plan("optimize", "tiny", *SHORT, *cheaper, "--json").json

    held = ("--from", tiny_plan / "plan.json", "--fix", part)
    ran = plan("optimize", "tiny", *SHORT, *held, *cheaper, "--json")

    assert ran.code == 0
    assert numbers(ran.json, part) == numbers(before, part)
    assert numbers(free, part) != numbers(before, part)
    assert ran.json["objective_usd_per_year"] > free["objective_usd_per_year"]
    assert any(
        override.startswith(f"policies.fixed.{part}=")
        for override in ran.json["model"]["overrides"]
    )


def test_without_a_plan_parts_are_held_as_they_are(plan: Runs) -> None:
    ran = plan("optimize", "tiny", *LEAN, "--fix", "east-chillers", "--fix", "east-gpus", "--json")

    assert ran.code == 3
    assert "held by --fix: east-chillers, east-gpus; without it there may be a plan" in ran.err


def test_a_set_loosens_what_an_option_holds(plan: Runs, tiny_plan: Path) -> None:
    """`plan optimize` suggests changes as --set; they have to work beside the options given."""
    held = ("--from", tiny_plan, "--fix", "cooling", "--quiet", "--json")

    ran = plan(
        "optimize", "tiny", *SHORT, *held, "--set", "policies.fixed.cooling.west-air.air-1=2"
    )

    assert ran.code == 0
    added = {(line["plant"], line["unit"]): line["added"] for line in ran.json["cooling"]}
    assert added["west-air", "air-1"] == 2
    assert added["east-chillers", "chiller-1"] == 3
    budget = ("--capital-budget", "400k", "--set", "policies.capital_budget_usd=1e9")
    assert plan("optimize", "tiny", *SHORT, "--quiet", *budget).code == 0


def test_a_plan_may_be_given_as_its_folder(plan: Runs, tiny_plan: Path) -> None:
    assert plan("optimize", "tiny", *SHORT, "--from", tiny_plan, "--quiet", "--json").code == 0
    assert plan("simulate", "tiny", "--plan", tiny_plan, "--quiet", "--json").code == 0


def test_keep_existing_forbids_retirement(plan: Runs) -> None:
    may = (
        "--set",
        "clusters.west-gpus.may_retire=true",
        "--set",
        "gpus.accelerator.salvage_usd=2e4",
    )
    free = plan("optimize", "tiny", *SHORT, *may, "--json")
    kept = plan("optimize", "tiny", *SHORT, *may, "--keep-existing", "--json")

    assert free.json["gpus"][0]["retired"] > 0
    assert kept.json["gpus"][0]["retired"] == 0
    assert kept.json["objective_usd_per_year"] > free.json["objective_usd_per_year"]
    shown = plan("optimize", "tiny", *SHORT, *may)
    assert f"-{free.json['gpus'][0]['retired']}" in shown.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--fix", "coolings"), "--fix: `coolings` is not one of cooling, gpus"),
        (("--from", "nowhere.json"), "nowhere.json"),
        (("--from", "planner"), "planner/plan.json"),
    ],
)
def test_bad_input_is_reported(plan: Runs, arguments: tuple[str, ...], message: str) -> None:
    ran = plan("optimize", "tiny", *SHORT, *arguments)

    assert ran.code == 2
    assert message in ran.err
