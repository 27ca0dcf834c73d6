"""The planner from Python."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support import CHECKOUT

import planner
from planner import (
    Sampling,
    SolverSettings,
    Threads,
    alternatives,
    appraise,
    check,
    compare,
    explain,
    frontier,
    load_model,
    optimize,
    read_plan,
    replay_incident,
    simulate,
)
from planner.api import notebook
from planner.commands import progress
from planner.infrastructure.entities import Model
from planner.infrastructure.field_types import SECTIONS
from planner.reporting import characters, frames

SHORT = {"simulation.horizon_minutes": 180}


@pytest.fixture(scope="module")
def model():
    return load_model("tiny", SHORT)


@pytest.fixture(scope="module")
def best(model):
    return optimize(model)


@pytest.fixture(scope="module")
def today(model):
    return simulate(model, only=["region-*", "surge"])


# ------------------------------------------------------------------------------------------ import


def test_every_name_can_be_imported_and_is_listed():
    for name in planner._PLACES:
        assert getattr(planner, name).__name__ == name
        assert name in dir(planner)
    assert planner.InputError.exit_code == 2
    with pytest.raises(AttributeError, match="no attribute `optimise`"):
        _ = planner.optimise


def test_every_function_of_the_api_takes_the_same_words():
    words = {"report", "note", "processes", "most_rounds", "solver", "gap", "time_limit_seconds"}
    for name in planner._PLACES:
        found = getattr(planner, name)
        if inspect.isfunction(found):
            assert not words & set(inspect.signature(found).parameters)


def test_import_is_light_until_something_is_asked_for():
    code = (
        "import sys, planner; heavy = {'numpy', 'pandas', 'pydantic', 'pulp', 'networkx'}; "
        "assert not heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=True, timeout=60)


API = [import_module(name) for name in planner._MODULES if name.startswith("planner.api")]


@pytest.mark.parametrize("module", [*API, notebook, planner.api, frames, characters, progress])
def test_examples_hold(module, each_simulation_once):  # noqa: ARG001
    names = {name: getattr(planner, name) for name in planner._PLACES}
    assert doctest.testmod(module, extraglobs=names).failed == 0


# ------------------------------------------------------------------------------------------ models


def test_model_as_tables(model):
    assert model.tables.regions.loc["west", "power_limit_mw"] == 12.0
    assert model.tables.clusters.loc["west-gpus", "existing_gpus"] == 1000
    assert dir(model.tables) == sorted(SECTIONS)
    assert list(model.scenarios.columns) == ["severity", "frequency_per_year", "events"]
    assert len(model.scenarios) == 10
    assert model.overrides == ("simulation.horizon_minutes=180",)
    assert load_model("tiny", ["simulation.horizon_minutes=180"]).sha256 == model.sha256
    with pytest.raises(AttributeError, match="did you mean `clusters`"):
        _ = model.tables.cluster


def test_sections_of_a_model_are_its_attributes(model):
    for section in set(Model.model_fields) - {"name", "scenarios", "source"}:
        assert getattr(model, section) is getattr(model.model, section)


def test_lists_and_texts_as_overrides():
    changed = load_model(
        "tiny", {"policies.risk.kind": "worst", "plants.west-air.cools": ["west-gpus"]}
    )
    assert changed.policies.risk.kind == "worst"
    assert load_model("tiny", "finance.discount_rate=0.2").finance.discount_rate == 0.2


def test_all_problems_at_once():
    with pytest.raises(planner.InputError) as caught:
        load_model("tiny", {"regions.west.power_limit_mw": -1, "finance.discount_rate": "much"})
    assert len(caught.value.problems) == 2


def test_numbers_of_numpy_as_overrides():
    changed = load_model("tiny", {"plants.west-chillers.max_added": np.int64(5)})
    assert changed.plants["west-chillers"].max_added == 5
    with pytest.raises(planner.InputError, match="is not a value"):
        load_model("tiny", {"finance.discount_rate": object()})


def test_wrong_arguments_are_input_errors_before_work(best, model):
    wrong = [
        (lambda: simulate(model, 3), "expected a plan or its file, not 3"),
        (lambda: simulate(), "needs a model or a plan"),
        (lambda: simulate("chatgpt-2023", best), "the plan is for model `tiny`"),
        (lambda: optimize(model, rounds=0), "rounds: expected at least 1"),
        (lambda: optimize(model, settings=SolverSettings("none")), "`none` is not available"),
        (lambda: appraise(model, {"none": None}), "none: expected a plan"),
        (lambda: read_plan("x" * 300), "File name too long"),
        (lambda: check(best), "rules: expected a rule such as"),
        (lambda: check(best, "capitl > 3"), "did you mean `capital`"),
        (lambda: compare(best, "nowhere"), "no such plan, file or shipped"),
        (lambda: alternatives(best, within=[0]), "expected shares above 0"),
        (lambda: frontier(model, at=[2]), "expected shares above 0 and up to 1"),
        (lambda: replay_incident("nowhere"), "no such file or shipped incident"),
    ]
    for call, message in wrong:
        with pytest.raises(planner.InputError, match=message):
            call()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SolverSettings(gap=-1), "Expected gap in"),
        (lambda: SolverSettings(time_limit_seconds=0), "Expected time limit > 0"),
        (lambda: Sampling(0), "Expected samples ≥ 1, got 0"),
        (lambda: Sampling(alpha=2), "Expected alpha in"),
        (lambda: Sampling(seed=-1), "Expected seed ≥ 0"),
        (lambda: Threads(0), "Expected count ≥ 1"),
    ],
)
def test_settings_state_what_they_accept(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# ------------------------------------------------------------------------------------- simulations


def test_verdicts_as_tables(today):
    frame = today.scenarios
    assert list(frame.index) == ["region-west", "region-east", "surge"]
    assert frame["survives"].tolist() == [one.survives for one in today.verdicts]
    assert today.failed == tuple(frame.index[~frame["survives"]])
    assert not today.survives
    worst = frame.loc["region-west"]
    assert worst["served[business]"] == pytest.approx(today["region-west"].served["business"], 1e-5)
    assert "required" in worst["first_breach"]
    assert today.story("region-west")["text"].iloc[0] == "region west is lost"


def test_timeline_is_what_was_judged(today):
    minutes = today.timeline("region-west")
    verdict = today["region-west"]
    assert minutes.index.name == "minute"
    assert len(minutes) == 180
    temperatures = minutes.filter(like="temperature_c[").to_numpy()
    assert temperatures.max() == pytest.approx(verdict.peak_temperature_c)
    assert minutes["waiting"].max() == pytest.approx(verdict.peak_queue_requests)
    assert minutes["served[business]"].iloc[5:].min() == pytest.approx(verdict.served["business"])
    assert (minutes["gpus[west-gpus]"].iloc[1:] == 0).all()
    assert minutes.filter(like="served[").to_numpy().max() <= 1.0


def test_unknown_names_are_answered_with_the_nearest(model, today):
    with pytest.raises(planner.InputError, match="did you mean `region-west`"):
        today.timeline("region-wset")
    with pytest.raises(planner.InputError, match="region-nowhere"):
        simulate(model, only="region-nowhere")
    with pytest.raises(planner.InputError, match="n-9"):
        simulate(model, scenarios="n-9")


# ------------------------------------------------------------------------------------------- plans


def test_plan_as_tables(best):
    assert best.survives
    bought = best.purchases.set_index(["kind", "asset", "item"])
    assert bought.loc[("gpus", "east-gpus", "accelerator"), "bought"] == 400
    assert bought.loc[("emergency", "cloud", ""), ["bought", "total"]].tolist() == [30, 30]
    assert not bought[["existing", "bought", "retired", "total"]].isna().any(axis=None)
    for line in best.plan.cooling:
        assert bought.loc[("cooling", line.plant, line.unit), "total"] == line.total
    assert best.costs["usd_per_year"].sum() == pytest.approx(best.usd_per_year)
    assert best.costs["capital_usd"].sum() == pytest.approx(best.capital_usd)
    assert best.scenarios["survives"].all()
    for kind in ("cooling", "gpus", "emergency", "measures"):
        assert len(getattr(best, kind)) == len(getattr(best.plan, kind))
    assert best.gpus.set_index("cluster").loc["east-gpus", "added"] == 400


def test_scenarios_are_a_table_everywhere(best, today, model):
    for result in (best, today, model):
        assert result.scenarios.index.name == "name"
        assert "frequency_per_year" in result.scenarios


def test_plan_survives_what_today_does_not(best):
    again = best.simulate(only="region-*")
    assert again.survives
    assert len(again.verdicts) == 2


def test_plan_is_saved_and_read(best, model, tmp_path):
    path = best.save(tmp_path / "out")
    assert path == tmp_path / "out" / "plan.json"
    assert read_plan(path.parent, model) == read_plan(path)
    assert read_plan(path).model_dump() == best.plan.model_dump()
    assert simulate(model, path, only="surge").survives
    with pytest.raises(planner.InputError, match="the plan is for model `tiny`"):
        read_plan(path, "chatgpt-2023")


def test_selection_is_kept_with_the_plan(model):
    some = optimize(model, only="unit-*")
    assert some.plan.model.scenarios.only == ("unit-*",)
    assert len(some.simulate().verdicts) == len(some.scenarios) == 2


def test_infeasible_says_why():
    impossible = load_model("tiny", {**SHORT, "regions.west.power_limit_mw": 1})
    with pytest.raises(planner.InfeasibleError) as caught:
        optimize(impossible, only="surge")
    assert caught.value.exit_code == 3
    assert caught.value.diagnosis.conflict
    assert "power" in str(caught.value)


def test_appraisal_hands_on_what_was_asked(best, model, monkeypatch):
    """Builds and sampling as given; sampling itself is tested with `plan finance`."""
    asked = []
    monkeypatch.setattr("planner.api.appraisals.study_of", lambda *given: asked.append(given))
    appraise(model, {"cheap": best}, sampling=Sampling(10, seed=3))
    ((loaded, builds, _, sampling, other, _),) = asked
    assert loaded is model
    assert [one.name for one in builds] == ["as it was", "cheap"]
    assert builds[1].plan == best.plan
    assert builds[1].fleet == best.plan.fleet(model.model)
    assert (sampling.samples, sampling.seed, other) == (10, 3, None)


# --------------------------------------------------------------------------------------- questions


def test_comparison_as_tables(best, model):
    found = compare(model, best)
    assert not found.same
    assert not found.lost
    assert found.purchases.set_index("asset").loc["east-gpus", "more"] == 400
    assert found.figures.loc["capital", "after"] == best.capital_usd
    assert found.scenarios.loc["region-west", "outcome"] == "gained"
    assert found.values.empty
    assert found.effects.empty
    assert repr(found).startswith("<comparison of tiny and plan for tiny: ")


def test_comparison_says_what_a_value_costs(model):
    dearer = load_model("tiny", {**SHORT, "finance.discount_rate": 0.12})
    found = compare(model, dearer, solves=5)
    assert len(found.values) == 1
    assert found.effects["usd_per_year"].iloc[0] > 0


def test_explanation_as_tables(best):
    found = explain(best, solves=3)
    bought = found.purchases.set_index(["kind", "asset"])
    assert bought.loc[("gpus", "east-gpus"), "bought"] > 0
    assert found.explanation.solves == 3
    assert {"family", "subject", "room", "usd_per_unit"} <= set(found.binding)
    assert repr(found).startswith("<explanation of the plan for tiny: 3 of ")


def test_alternatives_start_from_the_plan_found(best):
    found = alternatives(best, within=[0.05], most=1)
    assert len(found.plans) == len(found.to_frame()) == 1
    assert found.to_frame()["usd_per_year"].iloc[0] <= 1.05 * best.usd_per_year
    assert found.optimum is best


def test_frontier_costs_more_where_more_is_asked(model):
    said = []
    found = frontier(model, at=[0.5, 1.0], only="region-*", progress=said.append)
    costs = found.to_frame()["usd_per_year"]
    assert costs.loc["0.5"] <= costs.loc["1"]
    assert said == ["0.5: survives", "1: survives"]


def test_check_says_what_fails(best, model):
    found = check(best, ["capital > 900M", "rounds < 2"])
    assert not found.passes
    assert found.failed == ("rounds is 1; fails if < 2",)
    assert found.to_frame()["failed"].tolist() == [False, True]
    assert check(best, "survives < 1", simulate=True).passes
    assert check(best, "survives < 1", model=model).passes


def test_replay_as_a_table():
    found = replay_incident()
    assert len(found.milestones) == found.replay.counts()["milestones"]
    assert {"observed", "simulated", "within"} <= set(found.milestones)


# --------------------------------------------------------------------------------------- notebooks


def test_notebooks_show_tables_without_markup_of_names(best, today, model):
    for shown in (best, today, model):
        assert "<h4>" in shown._repr_html_()
    assert "<table" in best._repr_html_()
    assert "never" in today._repr_html_()
    assert "None" not in best._repr_html_() + today._repr_html_()
    evil = pd.DataFrame({"<i>": ["<script>alert(1)</script>"]}, index=["a&b"])
    html = frames.as_html("<b>", ['"quoted" & <i>'], {"<u>": evil})
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    for tag in ("<b>", "<i>", "<u>"):
        assert tag not in html


def test_short_names_in_a_console(best, today, model):
    assert repr(model).startswith("<model tiny: 2 regions, 1 gpu,")
    assert repr(today) == (
        "<simulation of tiny: 1 of 3 scenarios survived; not region-west, region-east>"
    )
    assert repr(best).startswith(
        "<plan for tiny: 9.53 M USD a year; capital 24.6 M USD; optimality"
    )


def test_typed():
    assert (Path(planner.__file__).parent / "py.typed").exists()
