"""``--scenarios`` and its filters on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

#: Single failures that the two-region model has an answer to.
ANSWERABLE = ("--scenarios", "n-1,heat", "--except", "plant-east-*", "--except", "plant-west-c*")


@pytest.fixture(scope="module")
def selected(tmp_path_factory) -> Path:
    """Plan of the two-region model for single failures and heat waves."""
    from planner.commands import main

    folder = tmp_path_factory.mktemp("selected") / "out"
    with pytest.raises(SystemExit) as caught:
        main(["optimize", "tiny", "-q", "--json", "-o", str(folder), *ANSWERABLE])
    assert caught.value.code == 0
    return folder / "plan.json"


def test_the_number_of_scenarios_is_reported_before_solving(plan):
    ran = plan("optimize", "tiny", *ANSWERABLE)
    assert ran.code == 0
    first, second, third, fourth, fifth, *_ = ran.err.splitlines()
    assert first.endswith("tiny: 12 scenarios: 3 single, 2 double, 5 common, 2 region")
    assert second.endswith("  from n-1 10, heat 4; 2 filtered out")
    assert third.endswith("  12 failures at 168 hours = 2,016 scenarios; 12 kept")
    assert fourth.endswith("  3 of 12 scenarios cannot bind: normal operation and N+k imply them")
    assert "round 1" in fifth


def test_a_plan_records_its_scenario_selection(selected):
    data = json.loads(selected.read_text(encoding="utf-8"))
    assert data["model"]["scenarios"] == {
        "sets": ["n-1", "heat"],
        "only": [],
        "excluded": ["plant-east-*", "plant-west-c*"],
        "severities": [],
        "least_per_year": 0.0,
        "hours": None,
        "also": [],
    }
    assert len(data["scenarios"]) == 12
    assert {"cluster-west-gpus", "heat-wave-unit-east-chillers"} <= {
        scenario["name"] for scenario in data["scenarios"]
    }


def test_a_plan_of_the_default_scenarios_records_no_selection(tiny_plan):
    data = json.loads((tiny_plan / "plan.json").read_text(encoding="utf-8"))
    assert data["model"]["scenarios"] is None


def test_simulate_uses_the_scenarios_of_the_plan(plan, selected):
    ran = plan("simulate", "tiny", "--plan", selected, "--json")
    assert ran.code == 0
    assert "tiny: 12 scenarios" in ran.err
    assert len(ran.json["scenarios"]) == 12


def test_simulate_uses_given_scenarios_instead_of_those_of_the_plan(plan, selected):
    ran = plan("simulate", "tiny", "--plan", selected, "--json", "-q", "--scenarios", "surge")
    assert [scenario["name"] for scenario in ran.json["scenarios"]] == ["surge"]


def test_simulate_takes_a_scenario_set(plan):
    ran = plan("simulate", "tiny", "--scenarios", "regions,n-1", "--severity", "region", "--json")
    assert ran.code == 4
    assert [scenario["name"] for scenario in ran.json["scenarios"]] == [
        "region-west",
        "region-east",
    ]
    assert "tiny: 2 scenarios: 2 region" in ran.err


def test_simulate_takes_one_scenario_of_a_set(plan):
    ran = plan("simulate", "tiny", "--scenarios", "n-1", "--scenario", "cluster-east-gpus")
    assert "tiny: 1 scenario: 1 common" in ran.err
    assert "The story of cluster-east-gpus" in ran.out
    ran = plan("simulate", "tiny", "--scenario", "cluster-east-gpus")
    assert ran.code == 2


def test_samples_depend_on_their_seed_alone(plan):
    options = ("simulate", "tiny", "--json", "-q", "--least-per-year", "0.5", "--scenarios")
    one, same, other = (plan(*options, mc) for mc in ("mc:90:5", "mc:90:5", "mc:90:6"))
    assert one.out == same.out
    assert one.out != other.out


def test_scenarios_without_requirements_are_reported_even_if_quiet(plan):
    ran = plan("simulate", "tiny", "-q", "--scenarios", "n-2", "--only", "region-*-region-*")
    assert ran.code == 0
    assert ran.err == (
        "Warning: the standard has no rules for `extreme`: nothing is required of 1 scenario "
        "(region-west-and-region-east)\n"
    )


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        (("--scenarios", "n1,regions"), ("--scenarios: no set of scenarios is `n1`", "`n-1`?")),
        (("--scenarios", "nonsense"), ("There are model, written, n-1, n-2, common, regions",)),
        (("--scenarios", ""), ("no set of scenarios is ``",)),
        (("--scenarios", "mc:"), ("a sample is mc:YEARS or mc:YEARS:SEED",)),
        (("--only", "serge"), ("--only: `serge` matches none", "`surge`?")),
        (("--severity", "extreme"), ("no scenario is left of 10",)),
        (("--least-per-year", "-1"), ("--least-per-year",)),
        (("--severity", "triple"), ("'triple'", "double")),
    ],
)
@pytest.mark.parametrize("command", ["optimize", "simulate"])
def test_bad_selections_are_refused(plan, command, options, fragments):
    ran = plan(command, "tiny", *options)
    assert (ran.code, ran.out) == (2, "")
    for fragment in fragments:
        assert fragment in ran.err
