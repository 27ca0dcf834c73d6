"""``plan check-plan``: a gate on cost and survivability."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support import restated

from planner.commands import main
from planner.plan.metrics import CATEGORIES, METRICS
from planner.roadmap.metrics import ROADMAP_METRICS
from planner.scenarios.components import SEVERITY_ORDER

POLICY = """\
rules:
  - capital > 900M
  - name: business first
    fail_on: served[business] < 99%
  - name: quick
    fail_on: recovery_minutes[region] > 0.5h
    message: Regions <are> back within half an hour.
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a plan, not simulated for longer than the rules of its standard last."""
    folder = tmp_path_factory.mktemp("small") / "out"
    short = ["--set", "simulation.horizon_minutes=130"]
    with pytest.raises(SystemExit) as caught:
        main(["optimize", "tiny", *short, "--quiet", "--json", "-o", str(folder)])
    assert caught.value.code == 0
    return folder


def changed(folder: Path, target: Path, **parts: object) -> Path:
    """A copy of a plan with some parts replaced."""
    shutil.copytree(folder, target)
    data = json.loads((target / "plan.json").read_text(encoding="utf-8"))
    (target / "plan.json").write_text(json.dumps(data | parts), encoding="utf-8")
    (target / "SHA256SUMS").unlink()  # as whoever means the change
    return target


def scenarios_of(folder: Path) -> list[dict[str, object]]:
    data: dict[str, list[dict[str, object]]] = json.loads((folder / "plan.json").read_bytes())
    return data["scenarios"]


def test_check_plan_succeeds_where_no_rule_fails(plan, small):
    ran = plan("check-plan", small, "--fail-on", "capital > 900M", "--fail-on", "survives < 1.0")
    assert ran.code == 0
    setting = "simulation.horizon_minutes=130"
    (note,) = ran.err.splitlines()
    assert note.endswith(f"note: the plan was made with --set {setting}; applied here too")
    assert "ok    capital is 24.65 M USD; fails if > 900 M USD" in ran.out
    assert ran.out.strip().endswith("All 2 rules hold (plan for tiny).")


def test_every_rule_that_fails_is_shown_first(plan, small):
    rules = ["survives < 1", "capital > 20M", "served[free] < 50%"]
    ran = plan("check-plan", small, *(part for rule in rules for part in ("--fail-on", rule)))
    assert ran.code == 4
    assert [line[:4].strip() for line in ran.out.splitlines()[:3]] == ["FAIL", "FAIL", "ok"]
    assert "capital is 24.65 M USD; fails if > 20 M USD" in ran.out
    assert "served[free] is 40 %; fails if < 50 %" in ran.out
    assert "2 of 3 rules failed" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


def test_a_policy_is_judged_and_written_as_json_and_junit(plan, small, tmp_path):
    policy, junit = tmp_path / "policy.yaml", tmp_path / "rules.xml"
    policy.write_text(POLICY, encoding="utf-8")
    ran = plan("check-plan", small, "--policy", policy, "--junit", junit, "--json")
    assert ran.code == 4
    assert (ran.json["passed"], ran.json["simulated"]) == (False, False)
    quick = ran.json["rules"][2]
    assert quick["name"] == "quick"
    assert (quick["metric"], quick["key"], quick["comparison"]) == (
        "recovery_minutes",
        "region",
        ">",
    )
    assert (quick["value"], quick["limit"], quick["unit"], quick["failed"]) == (
        49.0,
        30.0,
        "minutes",
        True,
    )
    suite = ElementTree.parse(junit).getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    failures = suite.findall("testcase/failure")
    assert [failure.text for failure in failures] == ["Regions <are> back within half an hour."]
    assert "49 min" in (failures[0].get("message") or "")


def test_no_recovery_is_null_in_json(plan, small, tmp_path):
    scenarios = scenarios_of(small)
    scenarios[4]["recovery_minutes"] = None
    folder = changed(small, tmp_path / "never", scenarios=scenarios)
    ran = plan("check-plan", folder, "--fail-on", "recovery_minutes > 30d", "--json")
    assert ran.code == 4
    assert ran.json["rules"][0]["value"] == "never"


def test_a_falsified_plan_is_detected_by_simulation(plan, small, tmp_path):
    scenarios = [line | {"survives": True, "first_breach": None} for line in scenarios_of(small)]
    data = json.loads((small / "plan.json").read_bytes())
    # Half the cloud and all the cooling that was bought are gone, and so is their price.
    cooling = [line | {"added": 0, "total": line["existing"]} for line in data["cooling"]]
    cost = data["cost"]
    items = [item for item in cost["items"] if item["category"] == "servers"]
    cheap = {"items": [items[0] | {"capital_usd": 1.0}]}
    lies = restated(data | {"scenarios": scenarios, "cooling": cooling, "cost": cost | cheap})
    folder = changed(small, tmp_path / "lies", **lies)
    rules = ("--fail-on", "survives < 1", "--fail-on", "capital > 1k")

    assert plan("check-plan", folder, *rules).code == 0
    ran = plan("check-plan", folder, "--simulate", *rules)
    assert ran.code == 4
    assert "verdicts differ from those of the file" in ran.err
    assert "capital is 20 M USD" in ran.out
    assert "2 of 2 rules failed (plan for tiny, simulated again)." in ran.out


def test_simulating_again_confirms_the_file(plan, small):
    rules = ("--fail-on", "survives < 1", "--fail-on", "capital > 24.65M")
    told = plan("check-plan", small, *rules, "--json").json
    again = plan("check-plan", small, *rules, "--json", "--simulate").json
    assert again["rules"] == told["rules"]
    assert again["passed"]


def test_simulation_takes_settings_of_the_model(plan, small):
    rule = ("--fail-on", "survives < 1", "-q")
    more = "zones.west-users.demand_rps=900"
    assert plan("check-plan", small, "--simulate", "--set", more, *rule).code == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give a rule"),
        (["--fail-on", "capital > 1", "--set", "a=b"], "--set needs --simulate"),
        (["--fail-on", "captal > 1"], "did you mean `capital`?"),
        (["--fail-on", "gpus[wst-gpus] > 1"], "did you mean `west-gpus`?"),
        (["--policy", "/nowhere/at.yaml"], "cannot be read"),
        (["--fail-on", "gap > 1", "--junit", "/nowhere/at/all.xml"], "cannot be written"),
        (["chatgpt-2023", "--fail-on", "gap > 1%"], "the plan is for model `tiny`"),
    ],
)
def test_bad_input_is_reported(plan, small, arguments, message):
    ran = plan("check-plan", small, *arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert message in ran.err


def test_all_problems_of_rules_and_files_are_reported_at_once(plan, small, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules:\n  - gap > 5\n", encoding="utf-8")
    ran = plan("check-plan", small, "--fail-on", "captal > 1", "--policy", policy)
    assert ran.code == 2
    assert "2 problems in the input" in ran.err
    assert f"{policy}:2:" in ran.err


def test_a_plan_that_contradicts_itself_is_refused(plan, small, tmp_path):
    cost = json.loads((small / "plan.json").read_bytes())["cost"]
    folder = changed(small, tmp_path / "cheap", cost=cost | {"capital_usd": 1.0})
    ran = plan("check-plan", folder, "--fail-on", "capital > 900M")
    assert ran.code == 2
    assert "contradicts itself: cost.capital_usd is 1.00" in ran.err


def test_help_describes_every_metric(plan):
    text = plan("check-plan", "--help").out
    of_plans, of_roadmaps = text.split("Metrics of a roadmap")
    for name, metric in METRICS.items():
        assert f"  {name} [{metric.keys}]" in of_plans if metric.keys else f"  {name} " in of_plans
    assert all(f"  {name} " in of_roadmaps for name in ROADMAP_METRICS)
    assert all(word in of_roadmaps for word in (*CATEGORIES, *SEVERITY_ORDER))
    assert max(map(len, text.splitlines())) <= 80
