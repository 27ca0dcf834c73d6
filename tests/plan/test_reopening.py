"""Plans taken up again: found with their model, wherever both were moved to."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import planner
from planner.analysis.comparison import ComparedPlan, compare
from planner.analysis.effects import effects
from planner.analysis.what_if import settle
from planner.commands import main
from planner.errors import InputError
from planner.infrastructure.loading import LoadedModel, load_model
from planner.optimization.formulation.build import build
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.costs import cost_items
from planner.optimization.solution.decisions import counts_of
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import solve
from planner.plan.files import parse_plan, write_plan
from planner.plan.records import Plan
from planner.plan.reopening import UnknownModelError, planned_scenarios, problem_data_of, reopen
from planner.rounds import LoopResult, Round
from planner.scenarios.generators import all_scenarios
from planner.scenarios.standard import emergency_budget_usd
from planner.simulation.verdict import Breach, judge

OWN = """extends: tiny
description: A model of somebody's own.
zones: {west-users: {demand_rps: 610}}
"""
BREACHED = (Breach("served", "all", 5.0, 6.0, 0.5, 1.0, 0.5),)
SETTINGS = ("finance.emergency_budget_usd=7e6", "zones.east-users.demand_rps=333")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and, in another one beside, its plan."""
    home = tmp_path_factory.mktemp("home")
    (home / "models").mkdir()
    (home / "models" / "own.yaml").write_text(OWN, encoding="utf-8")
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    with pytest.raises(SystemExit) as caught:
        out = str(home / "plans" / "first")
        main(["optimize", str(home / "models" / "own.yaml"), *words, "-q", "--json", "-o", out])
    assert caught.value.code == 0
    return home


@pytest.fixture
def moved(home: Path, tmp_path: Path) -> Path:
    """The same, moved elsewhere as a whole."""
    shutil.copytree(home, tmp_path / "else")
    return tmp_path / "else"


def change(folder: Path, function: Callable[[dict[str, Any]], Any]) -> Path:
    """Change a plan on disk."""
    data = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    function(data)
    (folder / "plan.json").write_text(json.dumps(data), encoding="utf-8")
    (folder / "SHA256SUMS").unlink(missing_ok=True)  # as whoever means the change
    return folder


class TestFinding:
    def test_a_plan_states_the_path_of_its_model_relative_to_itself(self, home: Path) -> None:
        data = json.loads((home / "plans" / "first" / "plan.json").read_text("utf-8"))
        assert data["model"]["path"] == "../../models/own.yaml"
        assert data["model"]["overrides"] == list(SETTINGS)

    def test_a_plan_finds_its_model_after_both_moved_together(
        self, moved: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(moved / "plans")
        opened = reopen("first")
        assert opened.loaded.file == moved / "models" / "own.yaml"
        assert opened.fresh
        assert opened.loaded.overrides == SETTINGS

    def test_a_plan_written_to_another_folder_finds_its_model(self, moved: Path) -> None:
        plan = parse_plan(moved / "plans" / "first")
        write_plan(plan, moved / "deep" / "er" / "copy")
        data = json.loads((moved / "deep" / "er" / "copy" / "plan.json").read_text("utf-8"))
        assert data["model"]["path"] == "../../../models/own.yaml"
        assert parse_plan(moved / "deep" / "er" / "copy") == plan

    @pytest.mark.skipif(os.name == "nt", reason="links need rights there")
    def test_a_plan_in_a_folder_behind_a_symbolic_link_finds_its_model(
        self, moved: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "far" / "away").mkdir(parents=True)
        (tmp_path / "link").symlink_to(tmp_path / "far" / "away")
        write_plan(parse_plan(moved / "plans" / "first"), tmp_path / "link")
        assert reopen(tmp_path / "link").fresh
        assert reopen(tmp_path / "far" / "away").fresh

    def test_a_missing_model_is_asked_for_and_taken_where_given(self, moved: Path) -> None:
        (moved / "models" / "own.yaml").rename(moved / "mine.yaml")
        with pytest.raises(UnknownModelError, match=r"own\.yaml no longer exists; give its file"):
            reopen(moved / "plans" / "first")
        opened = reopen(moved / "plans" / "first", moved / "mine.yaml")
        assert opened.fresh
        assert opened.notes[0] == "mine was called own when the plan was made"

    def test_a_plan_without_a_path_needs_its_model_given(self, moved: Path) -> None:
        folder = change(moved / "plans" / "first", lambda plan: plan["model"].pop("path"))
        with pytest.raises(UnknownModelError, match="`own`, which is not a shipped model"):
            reopen(folder)
        assert reopen(folder, moved / "models" / "own.yaml").fresh

    def test_of_several_candidates_the_model_of_equal_content_is_taken(self, moved: Path) -> None:
        for branch in ("a", "b"):
            (moved / branch).mkdir()
            shutil.copy(moved / "models" / "own.yaml", moved / branch)
        (moved / "a" / "own.yaml").write_text(OWN + "source: elsewhere\n", "utf-8")
        shutil.rmtree(moved / "models")
        files = [moved / "a" / "own.yaml", moved / "b" / "own.yaml"]
        opened = reopen(moved / "plans" / "first", among=files)
        assert opened.loaded.file == files[1]
        assert reopen(moved / "plans" / "first", among=files[:1]).fresh is False

    @pytest.mark.parametrize("path", ["\0", "x" * 5000, "..", "/dev/null", "", "~/own.yaml"])
    def test_an_impossible_path_of_the_model_is_an_input_error(
        self, moved: Path, path: str
    ) -> None:
        folder = change(moved / "plans" / "first", lambda plan: plan["model"].update(path=path))
        with pytest.raises(InputError):
            reopen(folder)

    def test_a_path_to_a_file_that_is_not_a_model_is_an_input_error(self, moved: Path) -> None:
        folder = change(
            moved / "plans" / "first", lambda plan: plan["model"].update(path="plan.json")
        )
        with pytest.raises(InputError):
            reopen(folder)


class TestSettings:
    def test_settings_of_the_plan_apply_and_are_reported(self, home: Path) -> None:
        opened = reopen(home / "plans" / "first")
        assert opened.loaded.model.zones["east-users"].demand_rps == 333
        assert emergency_budget_usd(opened.loaded.model, planned(opened.plan)[0]) == 7e6
        assert opened.notes == (
            f"the plan was made with --set {SETTINGS[0]} --set {SETTINGS[1]}; applied here too",
        )

    def test_settings_given_override_those_of_the_plan_and_are_reported(self, home: Path) -> None:
        opened = reopen(home / "plans" / "first", overrides=("zones.east-users.demand_rps=300",))
        assert opened.loaded.model.zones["east-users"].demand_rps == 300
        assert opened.loaded.model.finance.emergency_budget_usd == 7e6
        assert not opened.fresh
        assert "by --set zones.east-users.demand_rps=300, over what it" in opened.notes[-1]

    def test_settings_of_a_loaded_model_override_those_of_the_plan(self, home: Path) -> None:
        file = home / "models" / "own.yaml"
        bare, same, more = (
            load_model(file, one) for one in ((), SETTINGS, ("zones.east-users.demand_rps=300",))
        )
        folder = home / "plans" / "first"
        assert reopen(folder, bare).loaded.overrides == SETTINGS
        assert reopen(folder, same).fresh
        assert reopen(folder, same).loaded is same
        found = reopen(folder, more).loaded
        assert found.overrides == (*SETTINGS, "zones.east-users.demand_rps=300")
        assert found.model.zones["east-users"].demand_rps == 300

    def test_long_settings_are_reported_without_their_value(self, moved: Path) -> None:
        long = f"policies.fixed.cooling={{{', '.join(f'plant-{i}: 1' for i in range(40))}}}"
        folder = change(
            moved / "plans" / "first", lambda plan: plan["model"].update(overrides=[long])
        )
        with pytest.raises(InputError):
            reopen(folder)


def planned(plan: Plan) -> tuple[Any, ...]:
    """Scenarios of a plan in its own model."""
    return planned_scenarios(plan, reopen(plan).loaded.model)[0]


class TestWhatIf:
    """A model that extends the one that a plan was made for."""

    @pytest.fixture
    def harder(self, moved: Path) -> Path:
        text = "extends: models/own.yaml\nzones: {east-users: {demand_rps: 350}}\n"
        (moved / "harder.yaml").write_text(text, encoding="utf-8")
        return moved / "harder.yaml"

    def test_values_of_an_extending_model_override_settings_of_the_plan(
        self, moved: Path, harder: Path
    ) -> None:
        opened = reopen(moved / "plans" / "first", harder)
        model = opened.loaded.model
        assert model.zones["east-users"].demand_rps == 350
        assert model.finance.emergency_budget_usd == 7e6
        assert not opened.fresh
        assert "made for own, which harder extends" in opened.notes[0]

    def test_a_model_two_extensions_away_is_accepted(self, moved: Path, harder: Path) -> None:
        (moved / "last.yaml").write_text(f"extends: {harder.name}\n", encoding="utf-8")
        opened = reopen(moved / "plans" / "first", moved / "last.yaml")
        assert opened.loaded.extends == ("harder", "own", "tiny")
        assert opened.loaded.model.zones["east-users"].demand_rps == 350

    def test_an_extending_model_with_other_assets_is_refused(self, moved: Path) -> None:
        text = "extends: models/own.yaml\nclusters: {west-gpus: {existing_gpus: 900}}\n"
        (moved / "other.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match="the model has 900"):
            reopen(moved / "plans" / "first", moved / "other.yaml")

    def test_the_model_that_was_extended_is_refused(self, moved: Path) -> None:
        with pytest.raises(InputError, match="for model `own`, not `tiny`; give that model, or"):
            reopen(moved / "plans" / "first", "tiny")

    def test_a_setting_wrong_in_the_given_model_is_reported_once(
        self, moved: Path, harder: Path
    ) -> None:
        change(
            moved / "plans" / "first",
            lambda plan: plan["model"].update(overrides=["zones.nowhere.demand_rps=1"]),
        )
        with pytest.raises(InputError) as caught:
            reopen(moved / "plans" / "first", harder)
        (problem,) = caught.value.problems
        assert problem.file == "--set zones.nowhere.demand_rps=1"


def test_purchases_of_a_plan_are_an_optimum_of_its_recorded_programme(
    tiny: LoadedModel, tmp_path: Path
) -> None:
    """They are an optimum of what was asked of them, with all digits of what was waived."""
    scenarios, settings = all_scenarios(tiny.model), SolverSettings(gap=0.0)
    waived = {
        (Family.RIDE_THROUGH, "west-gpus", "heat-wave-west"): math.inf,
        (Family.EMERGENCY_BUDGET, "budget", "region-west"): 0.0312345678912345,
    }
    rounds = []
    for number, one in enumerate(({}, waived, {}), 1):
        programme = build(ProblemData(tiny.model, scenarios, one))
        solution = solve(programme, settings)
        items = cost_items(programme, solution)
        verdicts = judge(tiny.model, solution.fleet, scenarios, stories=False)
        # The second is the best, whatever the simulation says.
        fails = {"status": "fails", "breaches": BREACHED}
        failed = verdicts if number == 2 else tuple(replace(v, **fails) for v in verdicts)
        rounds.append(Round(number, programme, solution, partial(tuple, items), failed))
    write_plan(LoopResult(tuple(rounds)).plan(tiny, settings), tmp_path)

    opened = reopen(tmp_path)
    asked = problem_data_of(opened.plan, opened.loaded.model, scenarios)
    programme = build(asked)
    _, settled = settle(programme, counts_of(programme, opened.fleet), settings)

    assert opened.plan.round == 2
    assert asked.waived == waived
    assert settled.objective == pytest.approx(rounds[1].solution.objective, rel=1e-9)


def test_compare_and_explain_price_in_the_same_programme(
    moved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the model has got a scenario since, on which the plan was never judged."""
    (moved / "models" / "own.yaml").write_text(
        OWN + "scenarios:\n  flood: {severity: region, frequency_per_year: 0.01, "
        "events: [{kind: region, name: west, repair_minutes: 60}]}\n",
        encoding="utf-8",
    )
    asked: list[tuple[str, ...]] = []

    def noted(data: Any) -> Any:
        asked.append(tuple(scenario.name for scenario in data.scenarios))
        return build(data)

    monkeypatch.setattr("planner.analysis.effects.build", noted)
    opened = reopen(moved / "plans" / "first")
    other = reopen(moved / "plans" / "first", overrides=("zones.east-users.demand_rps=300",))
    sides = [ComparedPlan("plan", "plan", one.plan, one.loaded) for one in (other, opened)]
    effects(compare(*sides), SolverSettings(gap=0.01))

    scenarios, notes = planned_scenarios(opened.plan, opened.loaded.model)
    assert notes == ("1 scenario is new and left out: flood",)
    assert asked == [tuple(scenario.name for scenario in scenarios)] * 3


def test_functions_of_the_python_api_reopen_plans(home: Path) -> None:
    found = planner.simulate(plan=home / "plans" / "first", only="region-west")
    assert found.model.overrides == SETTINGS
    assert "was made with --set" in found.notes[0]
    with pytest.raises(InputError, match="needs a model or a plan"):
        planner.simulate()


@pytest.mark.parametrize(
    "words",
    [
        ("simulate", "--plan", "PLAN", "--scenario", "surge"),
        ("explain", "PLAN", "--solves", "0"),
        ("report", "PLAN", "--no-finance", "-o", "DIR/report.html"),
        ("check-plan", "PLAN", "--simulate", "--fail-on", "capital > 1e12"),
        ("check-plan", "PLAN", "--fail-on", "capital > 1e12"),
        ("graph", "--plan", "PLAN"),
        ("finance", "--plan", "PLAN", "--samples", "10", "--only", "region-west"),
        ("compare", "PLAN", "PLAN"),
    ],
    ids=lambda words: words[0],
)
def test_every_command_reopens_the_model_and_reports_the_settings(
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:
    places = {"PLAN": str(home / "plans" / "first"), "DIR/report.html": str(tmp_path / "a.html")}
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main([*(places.get(word, word) for word in words), "--json"])

    out, err = capsys.readouterr()
    assert caught.value.code == 0
    said = f"the plan was made with --set {SETTINGS[0]} --set {SETTINGS[1]}; applied here too"
    said = said.replace("the plan", "first") if words[0] == "finance" else said
    assert any(said in note for note in json.loads(out)["notes"])
    assert said in err
