"""``plan compare``: what sets two plans or models apart."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from support import restated

from planner.amounts import money
from planner.analysis.comparison import ScenarioChange, TierChange
from planner.commands import main
from planner.infrastructure.loading import load_model
from planner.infrastructure.model_difference import model_changes
from planner.plan.records import ScenarioLine

MORE = "zones.west-users.demand_rps=900"
#: Long enough for every rule of the standard.
SHORT = "simulation.horizon_minutes=130"


def optimised(folder: Path, *settings: str) -> Path:
    """Folder with a plan for the two-region model, not simulated for longer than it takes."""
    changes = [part for setting in (SHORT, *settings) for part in ("--set", setting)]
    with pytest.raises(SystemExit) as caught:
        main(["optimize", "tiny", *changes, "--quiet", "--json", "-o", str(folder)])
    assert caught.value.code == 0
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a plan."""
    return optimised(tmp_path_factory.mktemp("small") / "out")


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a plan for more demand."""
    return optimised(tmp_path_factory.mktemp("larger") / "out", MORE)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of the model of the plan."""
    path = tmp_path_factory.mktemp("model") / "small.yaml"
    path.write_text("extends: tiny\nsimulation: {horizon_minutes: 130.0}\n", encoding="utf-8")
    return path


def changed(folder: Path, target: Path, change: Any) -> Path:
    """A copy of a plan with its data changed in place."""
    shutil.copytree(folder, target)
    data = json.loads((target / "plan.json").read_bytes())
    made_for = data["model"]["sha256"]
    change(data)
    same = data["model"]["sha256"] == made_for
    text = json.dumps(restated(data) if same else restated(data, None))
    (target / "plan.json").write_text(text, encoding="utf-8")
    (target / "SHA256SUMS").unlink()  # as whoever means the change
    return target


def test_more_demand_is_shown_with_its_purchases_and_cost(plan, small, larger):
    ran = plan("compare", small, larger, "--explain")
    assert ran.code == 0
    text = " ".join(ran.out.split())
    was, now = (
        json.loads((folder / "plan.json").read_bytes())["cost"] for folder in (small, larger)
    )
    more = money(now["usd_per_year"] - was["usd_per_year"])
    assert f"B costs 5.60 M USD more capital and {more} a year more than A." in text
    assert "Both survive the same scenarios: all 10." in text
    assert "east-gpus GPUs 800 900 +100" in text
    assert "east-chillers/chiller-1 cooling units 6 7 +1" in text
    assert "cloud instances 30 44 +14" in text
    assert "zones.west-users.demand_rps 700 900" in text
    assert "free 40.0 % 28.1 % -11.9 region-west" in text
    # All of it is caused by the one value that differs.
    caused = re.search(r"zones\.west-users (\+\d\.\d\d)", text)
    assert caused is not None
    assert f"All together {caused[1]}" in text
    assert max(map(len, ran.out.splitlines())) <= 80


def test_json_holds_both_sides_and_their_differences(plan, small, larger):
    ran = plan("compare", small, larger / "plan.json", "--json", "-q")
    assert (ran.code, ran.err) == (0, "")
    data = ran.json
    assert not data["same"]
    assert data["bought"]["emergency"] == [
        {"kind": "emergency", "asset": "cloud", "before": 30, "after": 44, "more": 14}
    ]
    assert data["cost"]["capital_usd"] == 5_600_000
    categories = data["cost"]["categories"]
    assert sum(category["capital_usd"] for category in categories) == pytest.approx(5_600_000)
    assert {category["category"] for category in categories} >= {
        "servers",
        "building",
        "cooling",
        "emergency",
    }
    assert data["values"] == [
        {"path": "zones.west-users.demand_rps", "a": 700.0, "b": 900.0, "only_in": None}
    ]
    assert data["scenarios"]["lost"] == []
    assert [scenario["name"] for scenario in data["scenarios"]["differing"]] == [
        "region-west",
        "region-east",
    ]
    assert data["effects"] is None


def test_scenarios_whose_shown_figures_are_equal_are_not_listed(plan, small, tmp_path):
    def hotter(data: Any) -> None:
        for line in data["scenarios"]:
            line["peak_temperature_c"] += 1.0

    hot = changed(small, tmp_path / "hot", hotter)
    ran = plan("compare", small, hot)
    assert "Scenarios: the same verdicts, recovery and service on both sides." in ran.out
    assert "that differ" not in ran.out


@pytest.mark.parametrize("form", [(), ("--markdown",), ("--json",)])
def test_equal_plans_are_reported_as_the_same(plan, small, form):
    ran = plan("compare", small, small, *form, "--fail-if-worse")
    assert ran.code == 0
    assert "Both buy, cost and survive the same." in ran.out
    if form == ("--json",):
        assert ran.json["same"]
        assert ran.json["values"] == ran.json["settings"] == []
    if not form:
        assert "Cost: the same in every category." in ran.out


def test_a_plan_is_compared_with_what_exists(plan, small, model):
    gained = plan("compare", model, small, "--json", "--fail-if-worse", "-q")
    lost = plan("compare", small, "tiny", "--set", SHORT, "--json", "-q")
    worse = plan("compare", small, model, "--fail-if-worse", "-q")
    assert (gained.code, lost.code, worse.code) == (0, 0, 4)
    names = gained.json["scenarios"]["gained"]
    assert len(names) == 5
    assert names == lost.json["scenarios"]["lost"]
    assert gained.json["a"]["capital_usd"] == 0
    assert gained.json["a"]["usd_per_year"] > 4e6
    assert "Why B loses them" in worse.out
    assert "business 63.3 % served at minute 5, 95.0 % required" in worse.out
    # What exists has the verdicts of `plan simulate`.
    simulated = plan("simulate", model, "--json", "-q").json["scenarios"]
    failing = [scenario["name"] for scenario in simulated if scenario["status"] == "fails"]
    assert names == failing


def test_two_models_are_compared_by_their_values(plan, model):
    ran = plan("compare", model, model, "--set", "regions.west.power_limit_mw=13", "--json")
    assert ran.code == 0
    assert ran.json["same"]
    paths = [change["path"] for change in ran.json["values"]]
    assert paths == ["regions.west.power_limit_mw"]


def test_explain_prices_each_group_of_differences(plan, model):
    changes = ["offers.cloud=null", "tiers.free.share=0.3", "tiers.business.share=0.7"]
    settings = [part for change in changes for part in ("--set", change)]
    effects = plan("compare", model, model, *settings, "--explain", "--json", "-q").json["effects"]
    groups = {group["title"]: group for group in effects["groups"]}
    # Shares of tiers add up to one, so tiers are taken back together.
    assert set(groups) == {"offers.cloud", "tiers"}
    assert groups["tiers"]["paths"] == ["tiers.business.share", "tiers.free.share"]
    # Without the cloud all has to be bought: that is what most of the difference comes from.
    assert groups["offers.cloud"]["usd_per_year"] > 1e6
    assert effects["together_usd_per_year"] > 1e6
    few = plan("compare", model, model, *settings, "--explain", "--solves", 1, "--json", "-q").json
    assert few["effects"]["unasked"] == ["offers.cloud"]


def test_explain_prices_nothing_where_one_side_has_no_plan(plan, model):
    poor = ("--set", "policies.capital_budget_usd=1")
    ran = plan("compare", model, model, *poor, "--explain", "-q")
    assert ran.code == 0
    assert "no plan meets the requirements of B" in " ".join(ran.out.split())
    same = plan("compare", model, model, "--explain", "--json", "-q").json["effects"]
    assert same["problem"] == "the models have the same values"


def test_a_scenario_no_longer_judged_is_lost(plan, small, tmp_path):
    def drop(data: Any) -> None:
        data["scenarios"] = [
            scenario for scenario in data["scenarios"] if scenario["name"] != "surge"
        ]

    fewer = changed(small, tmp_path / "fewer", drop)
    ran = plan("compare", small, fewer, "--json", "--fail-if-worse")
    assert ran.code == 4
    assert ran.json["scenarios"]["lost"] == ran.json["scenarios"]["dropped"] == ["surge"]
    assert plan("compare", fewer, small, "--fail-if-worse").code == 0


def test_a_model_is_judged_on_the_scenarios_of_the_plan(plan, small, tmp_path):
    def single_only(data: Any) -> None:
        wanted = {
            "sets": ["unit"],
            "only": [],
            "excluded": [],
            "severities": [],
            "least_per_year": 0,
        }
        data["model"]["scenarios"] = wanted
        data["scenarios"] = [
            scenario for scenario in data["scenarios"] if scenario["severity"] == "single"
        ]

    few = changed(small, tmp_path / "few", single_only)
    data = plan("compare", few, "tiny", "--set", SHORT, "--json").json
    assert data["a"]["scenarios"] == 3
    assert data["b"]["scenarios"] == 2
    assert data["scenarios"]["dropped"] == ["provider-cloudy"]


def test_a_plan_is_compared_with_the_given_file_of_its_model(plan, small, tmp_path):
    mine, theirs = tmp_path / "mine.yaml", tmp_path / "old" / "mine.yaml"
    theirs.parent.mkdir()
    theirs.write_text("extends: tiny\n", encoding="utf-8")
    text = "extends: tiny\nzones: {west-users: {demand_rps: 710.0}}\n"
    mine.write_text(text, encoding="utf-8")

    def rename(path: Path) -> Any:
        def change(data: Any) -> None:
            data["model"] |= {
                "name": "mine",
                "sha256": load_model(path).sha256,
                "overrides": [],
            }

        return change

    before = changed(small, tmp_path / "before", rename(theirs))
    after = changed(small, tmp_path / "after", rename(mine))
    unknown = plan("compare", before, after, "--json")
    assert unknown.json["values"] is None
    assert "its model is not known; --model FILE names it" in unknown.err
    # Two files of one name, as of two branches: each plan gets its own.
    known = plan("compare", before, after, "--model", mine, "--model", theirs, "--json")
    assert known.err == ""
    assert [(change["a"], change["b"]) for change in known.json["values"]] == [(700.0, 710.0)]


def spoil(data: Any) -> None:
    """Names and texts that Markdown, HTML, rich or a terminal would take for their own."""
    data["gpus"][1]["cluster"] = "ea|st`<img src=x>[bold]@octocat #12\x1b[31m"
    line = data["scenarios"][5]
    line["name"] = "re|gion <script>alert(1)</script> @octocat"
    line["served"] = {"**b**|us": 0.5}
    other = data["scenarios"][4]
    other |= {"survives": False, "status": "fails"}
    other["first_breach"] = {
        "kind": "served",
        "subject": "x",
        "minute": 1,
        "shortfall": 0.1,
        "text": "a|b <b>x</b> @octocat #12 https://evil.example `c` *d* [l](u) \n# h",
    }


def test_hostile_names_do_not_disturb_the_output(plan, small, tmp_path):
    hostile = changed(small, tmp_path / "hostile", spoil)
    ran = plan("compare", small, hostile)
    assert ran.code == 0
    assert "\x1b" not in ran.out
    assert "[bold]@octocat" in ran.out.replace("\n", "")

    text = plan("compare", small, hostile, "--markdown", "-q").out
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    raw = [token.content.strip() for token in tokens if token.type == "html_block"]
    inside = [part for token in tokens for part in token.children or ()]
    raw += [part.content for part in inside if part.type == "html_inline"]
    assert raw
    assert all(block.startswith(("<details><summary>", "</details>")) for block in raw)
    assert not [part for part in inside if part.type in ("link_open", "image")]
    spoken = "".join(part.content for part in inside if part.type == "text")
    assert "@octocat" not in spoken
    assert "#12" not in spoken
    headings = [token for token in tokens if token.type == "heading_open"]
    assert len(headings) == 1
    # Every row of a table has as many cells as its head.
    width = 0
    for number, token in enumerate(tokens):
        if token.type != "tr_open":
            continue
        end = next(n for n in range(number, len(tokens)) if tokens[n].type == "tr_close")
        kinds = [token.type for token in tokens[number:end]]
        if "th_open" in kinds:
            width = kinds.count("th_open")
        else:
            assert kinds.count("td_open") == width


def test_markdown_is_short_and_folds_the_rest(plan, small, larger):
    text = plan("compare", small, larger, "--markdown", "-q").out
    assert text.startswith("### :white_check_mark: Resilience plan\n\n**B costs 5.60 M USD more")
    assert text.count("<details>") == text.count("</details>") == 6
    assert "| `east-gpus` | GPUs | 800 | 900 | +100 |" in text
    assert "| `zones.west-users.demand_rps` | `700` | `900` |" in text


def test_markdown_fits_a_comment(plan, small, tmp_path):
    def many(data: Any) -> None:
        line = data["scenarios"][0]
        data["scenarios"] = [line | {"name": f"n{i}-" + "x" * 90} for i in range(3000)]
        item = data["cost"]["items"][0]
        data["cost"]["items"] = [item | {"category": f"c{i}" + "y" * 90} for i in range(3000)]

    text = plan("compare", small, changed(small, tmp_path / "many", many), "--markdown").out
    assert len(text) < 65_536
    assert "and 2," in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tiny", "tinny"], "no such plan, file or shipped model"),
        (["tiny", "tiny", "--set", "zones.west=3"], "zones.west"),
        (["tiny", "tiny", "--json", "--markdown"], "not both"),
        (["tiny", "tiny", "--model", "x.yaml"], "is not the model of a plan"),
    ],
)
def test_bad_input_is_reported(plan, arguments, message):
    ran = plan("compare", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_problems_of_both_sides_are_reported_at_once(plan, small, tmp_path):
    broken = tmp_path / "plan.json"
    broken.write_text("{}", encoding="utf-8")
    ran = plan("compare", "nosuch", broken)
    assert ran.code == 2
    assert "nosuch" in ran.err
    assert f"{broken}: gpus: is missing" in ran.err
    ran = plan("compare", "tiny", small, "--set", MORE)
    assert ran.code == 2
    assert "changes a model, and B" in ran.err


# ------------------------------------------------------------------------------------------- parts


def test_differing_values_are_listed_by_path():
    a = load_model("tiny").model
    b = load_model(
        "tiny",
        (
            "standard.region[1].least_served=0.8",
            "finance.discount_rate=0.1",
            "offers.cloud=null",
            "policies.capital_budget_usd=5e6",
        ),
    ).model
    found = {change.path: change for change in model_changes(a, b)}
    assert list(found) == [
        "standard.region[1].least_served",
        "policies.capital_budget_usd",
        "finance.discount_rate",
        "offers.cloud",
    ]
    assert found["offers.cloud"].only_in == "a"
    assert found["policies.capital_budget_usd"].only_in == ""
    assert [change.asked for change in found.values()] == [True, True, True, False]
    back = model_changes(b, a)
    assert [(change.path, change.before, change.after) for change in back] == [
        (change.path, change.after, change.before) for change in found.values()
    ]
    assert model_changes(a, a) == ()


def line(**more: Any) -> ScenarioLine:
    usual = {
        "name": "one",
        "severity": "single",
        "frequency_per_year": 1.0,
        "survives": True,
        "first_breach": None,
        "recovery_minutes": 10.0,
        "lost_requests": 0.0,
        "peak_temperature_c": 65.0,
        "emergency_usd": 0.0,
        "served": {"free": 1.0},
    }
    status = "survives" if more.get("survives", True) else "fails"
    return ScenarioLine.model_validate(usual | {"status": status} | more)


@pytest.mark.parametrize(
    ("before", "after", "outcome", "lost", "later"),
    [
        ({}, {}, "survived", False, 0),
        ({}, {"survives": False}, "lost", True, 0),
        ({"survives": False}, {}, "gained", False, 0),
        ({"survives": False}, {"survives": False}, "failed", False, 0),
        ({}, None, "dropped", True, 0),
        ({"survives": False}, None, "dropped", False, 0),
        (None, {"survives": False}, "new", False, 0),
        ({}, {"recovery_minutes": None}, "survived", False, 1),
        ({"recovery_minutes": None}, {"recovery_minutes": None}, "survived", False, 0),
        ({"recovery_minutes": None}, {}, "survived", False, -1),
    ],
)
def test_the_change_of_a_scenario_is_classified(before, after, outcome, lost, later):
    was, now = (None if one is None else line(**one) for one in (before, after))
    found = ScenarioChange("one", was, now)
    assert (found.outcome, found.no_longer_proven, found.later) == (outcome, lost, later)
    assert found.differs == (was != now)


def test_served_shares_are_rounded_as_in_the_reason():
    """91.1538 % was 91.2 in the table and 91.1 in the reason below it."""
    from planner.reporting.comparison import tier_table

    change = TierChange("free", 0.911538, "a", 0.99999, "b")
    assert tier_table([change]).rows[0][1:3] == ("91.1 %", "99.9 %")
