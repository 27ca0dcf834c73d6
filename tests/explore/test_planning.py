"""Planning in the background: the newest request counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from planner.errors import InputError
from planner.explore import planning, results
from planner.explore.planning import Answer, Planning, reopened
from planner.infrastructure.catalogue import shipped_models
from planner.infrastructure.loading import load_model
from planner.optimization.solution.settings import SolverSettings
from planner.plan.files import write_plan


def until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "never"
        time.sleep(0.02)


def answered(plans: Planning, texts: tuple[str, ...]) -> Answer:
    plans.ask(texts)
    until(
        lambda: plans.answer is not None and plans.answer.settings == texts and plans.answer.final
    )
    assert plans.answer is not None
    return plans.answer


@pytest.fixture(scope="module")
def plans() -> Planning:
    return Planning("tiny", None, SolverSettings(), Path())


@pytest.fixture(scope="module")
def first(plans: Planning) -> Answer:
    return answered(plans, ())


def test_an_answer_is_the_plan_of_these_settings(plans: Planning, first: Answer) -> None:
    more = answered(plans, ("zones.*.demand_rps=*1.2",))
    assert first.plan is not None and more.plan is not None
    assert first.plan.verification.survives and more.plan.verification.survives
    assert more.plan.model.overrides == ("zones.*.demand_rps=*1.2",)
    assert more.plan.objective_usd_per_year > first.plan.objective_usd_per_year
    assert "more capital" in results.compared(more, first)
    assert "This is the baseline." in results.compared(first, first)
    assert answered(plans, ()) is first, "what is known is not planned again"


def test_what_is_wrong_with_settings_is_the_answer(plans: Planning) -> None:
    answer = answered(plans, ("zones.*.demand=*2", "finance.discount_rate=*2"))
    assert answer.plan is None
    assert any("demand" in line for line in answer.problems)
    assert "command" in results.summary(answer, None, "tiny")


def test_no_plan_says_why(plans: Planning) -> None:
    answer = answered(plans, ("zones.*.demand_rps=*40",))
    assert answer.plan is None
    assert answer.problems[0] == "No plan meets every requirement."
    assert len(answer.problems) > 1


def test_a_newer_request_stops_an_older_one(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, seen = threading.Event(), []

    def endless(_model, _scenarios, settings, **_) -> None:
        seen.append(settings.stop)
        begun.set()
        assert settings.stop.wait(60), "nobody told it to stop"
        raise KeyboardInterrupt

    plans = Planning("tiny", None, SolverSettings(), Path())
    monkeypatch.setattr(planning, "optimize_and_verify", endless)
    plans.ask(("finance.discount_rate=0.1",))
    assert begun.wait(60)
    plans.ask(("no.such=1",))
    until(lambda: plans.answer is not None)
    assert plans.answer is not None and plans.answer.settings == ("no.such=1",)
    assert seen[0].is_set()
    assert len(seen) == 1


def test_the_plan_of_a_round_is_shown_while_the_search_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plans, seen = Planning("tiny", None, SolverSettings(), Path()), []
    search = planning.optimize_and_verify

    def observed(*arguments, on_round, **others):
        def after(made) -> None:
            on_round(made)
            seen.append(plans.answer)

        return search(*arguments, on_round=after, **others)

    monkeypatch.setattr(planning, "optimize_and_verify", observed)
    texts = ("zones.*.demand_rps=*1.3",)
    final = answered(plans, texts)
    assert [(answer.settings, answer.final) for answer in seen] == [(texts, False)] * len(seen)
    assert seen and final.final
    first, last = seen[0].plan, final.plan
    assert last is not None and last.verification.survives
    assert first.verification.survives <= last.verification.survives
    assert "still being looked for" in results.summary(seen[0], None, "tiny")
    assert "still being looked for" not in results.summary(final, None, "tiny")


def test_a_plan_on_disk_is_an_answer_with_its_stories(plans: Planning, tmp_path: Path) -> None:
    more = answered(plans, ("zones.*.demand_rps=*1.2",))
    assert more.plan is not None
    write_plan(more.plan, tmp_path)
    again, notes = reopened(tmp_path)
    assert again.settings == more.settings
    assert again.plan is not None
    assert again.plan.objective_usd_per_year == more.plan.objective_usd_per_year
    assert any("was made with" in note for note in notes)
    assert results.story(again, "region-west").count("<polyline") >= 2
    assert results.story(again, "no-such-scenario") == ""


@pytest.mark.parametrize("base", ["tiny", "mine.yaml"])
def test_a_model_file_changes_the_model_as_settings_do(tmp_path: Path, base: str) -> None:
    (tmp_path / "mine.yaml").write_bytes(shipped_models()["tiny"].read_bytes())
    model = base if base == "tiny" else str(tmp_path / base)
    settings = (
        *("zones.*.demand_rps=*1.2", "standard.region[1].least_served=0.65", "regions.west.city=X"),
        *("generators.surge=null", "plants.west-chillers.existing.chiller-3=3"),
    )
    file = tmp_path / "variant.yaml"
    file.write_text(results.extending_file(model, settings, file), encoding="utf-8")
    name = {"name": "variant"}
    assert load_model(file).model == load_model(model, settings).model.replace(**name)
    assert file.read_text(encoding="utf-8").startswith(f'extends: "{base}"\nregions: {{west:')
    elsewhere = tmp_path / "below" / "variant.yaml"
    elsewhere.parent.mkdir()
    if base != "tiny":
        with pytest.raises(InputError, match="is outside of the folder of the model"):
            results.extending_file(model, settings, elsewhere)


def test_names_in_the_model_are_no_markup() -> None:
    answer = Answer(("<b>=1",), problems=("<script>alert(1)</script>",))
    shown = results.summary(answer, None, "<i>")
    assert "<script>" not in shown and "<b>" not in shown and "<i>" not in shown
