"""``plan explain`` as a command; what it says is tested elsewhere."""

from __future__ import annotations

import json
import shutil

import pytest


def scenario_names(folder):
    """Names of the scenarios of a plan."""
    return [
        scenario["name"] for scenario in json.loads((folder / "plan.json").read_text())["scenarios"]
    ]


@pytest.fixture(scope="module")
def explained(tiny_plan):
    """What the command prints, as text, as JSON and as progress."""
    from click.testing import CliRunner

    from planner.commands.explain import command

    plain = CliRunner(env={"COLUMNS": "80"}).invoke(command, [str(tiny_plan)])
    data = CliRunner().invoke(command, [str(tiny_plan / "plan.json"), "--json", "-q"])
    assert plain.exception is None
    return plain.stdout, json.loads(data.stdout), plain.stderr, data.stderr


def test_explanation_fits_80_columns(explained):
    out, *_ = explained
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80
    assert "…" not in out
    assert "fails: region-west:" in out
    assert "fewer without: region-west (-4)" in out
    assert "as it states" in out


def test_progress_counts_solves(explained):
    _, data, progress, quiet = explained
    assert f"solve {data['solves']} of at most 45" in progress
    assert quiet == ""


def test_json_has_the_documented_keys(explained):
    _, data, *_ = explained
    assert set(data) == {
        "model", "cost_usd", "bound_usd", "stated_usd", "agrees", "decisions", "scenarios",
        "all_together", "idle_together", "silent", "covered", "unasked", "requirements",
        "megawatt", "first_round", "binding", "solves", "solves_wanted", "notes",
    }  # fmt: skip
    assert data["agrees"] is True
    assert data["cost_usd"] == pytest.approx(data["stated_usd"], abs=1)
    (gpus,) = (note for note in data["decisions"] if note["asset"] == "east-gpus")
    assert gpus["bought"] == 4
    assert gpus["last"] == {"value": None, "reason": "indispensable"}
    assert {"scenario", "family", "text"} <= set(gpus["fails"][0])
    first = data["scenarios"][0]
    assert first["names"] == ["region-west"]
    assert first["saves"]["usd"] == pytest.approx(first["expected_usd"] + first["forces"]["usd"])


def test_quick_solves_fewer_questions(plan, tiny_plan):
    ran = plan("explain", tiny_plan, "--solves", "1", "--json", "-q")
    assert ran.code == 0
    assert ran.json["solves"] == 1
    told = [name for scenario in ran.json["scenarios"] for name in scenario["names"]]
    told += ran.json["silent"] + ran.json["covered"]
    assert ran.json["unasked"]
    assert sorted(told + ran.json["unasked"]) == sorted(scenario_names(tiny_plan))
    ran = plan("explain", tiny_plan, "--quick", "--json", "-q")
    assert ran.json["solves"] <= 16


def test_a_changed_model_is_noted(plan, tiny_plan):
    setting = "offers.cloud.retainer_usd_per_instance_year=30000"
    ran = plan("explain", tiny_plan, "--solves", "1", "--set", setting)
    assert ran.code == 0
    assert "note: tiny has changed since" in ran.err
    assert "but states" in ran.out


def test_a_plan_that_no_longer_fits_its_model_is_refused(plan, tiny_plan):
    ran = plan("explain", tiny_plan, "--set", "zones.west-users.demand_rps=1500", "-q")
    assert (ran.code, ran.out) == (3, "")
    assert "does not meet the programme" in ran.err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        ("{", "is not a plan in JSON"),
        ('{"model": {}}', "is missing"),
    ],
)
def test_a_file_that_is_not_a_plan_is_refused(plan, tmp_path, content, says):
    path = tmp_path / "plan.json"
    if content is not None:
        path.write_text(content)
    ran = plan("explain", path)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


def test_a_plan_of_another_model_is_refused(plan, tiny_plan, tmp_path):
    ran = plan("explain", tiny_plan, "chatgpt-2023")
    assert (ran.code, ran.out) == (2, "")
    assert "the plan is for model `tiny`, not `chatgpt-2023`" in ran.err
    data = json.loads((tiny_plan / "plan.json").read_text())
    data["model"]["name"] = "mine"
    (tmp_path / "plan.json").write_text(json.dumps(data))
    ran = plan("explain", tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "is not a shipped model; give its file as MODEL" in ran.err


def test_the_model_may_be_given_as_a_file_with_settings(plan, tmp_path):
    from planner.infrastructure.catalogue import shipped_models

    model = tmp_path / "mine.yaml"
    shutil.copy(shipped_models()["tiny"], model)
    setting = "zones.east-users.demand_rps=310"
    assert plan("optimize", model, "--set", setting, "-o", tmp_path / "out", "-q").code == 0
    ran = plan("explain", tmp_path / "out", model, "--solves", "0", "--json")
    assert ran.code == 0
    assert "has changed" not in ran.err
    assert ran.json["agrees"] is True
    assert ran.json["model"]["overrides"] == [setting]
