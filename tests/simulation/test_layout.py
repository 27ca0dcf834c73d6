"""What no plan changes is laid out once for all fleets that are judged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel, load_model
from planner.scenarios.generators import all_scenarios
from planner.scenarios.timeline import timeline_of
from planner.simulation import build
from planner.simulation.build import MOST_LAYOUTS, Layout
from planner.simulation.verdict import judge

SHORT = ("simulation.horizon_minutes=60",)


@pytest.fixture
def short() -> LoadedModel:
    return load_model("tiny", SHORT)


def test_timelines_are_laid_out_once_for_all_fleets(
    short: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, laid_out = short.model, []

    def counted(*arguments: object) -> object:
        laid_out.append(arguments)
        return timeline_of(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(build, "timeline_of", counted)
    scenarios, fleet = all_scenarios(model), Fleet.existing(model)
    larger = replace(fleet, gpus={name: count + 100 for name, count in fleet.gpus.items()})
    first = judge(model, fleet, scenarios, stories=False)
    other = judge(model, larger, scenarios, stories=False)
    assert len(laid_out) == len(scenarios)
    assert first != other
    # A model that says the same but is another object is laid out by itself, to the same end.
    again = judge(load_model("tiny", SHORT).model, larger, scenarios, stories=False)
    assert again == other
    assert len(laid_out) == 2 * len(scenarios)


def test_models_and_measures_are_kept_apart_and_few_of_them(reference: LoadedModel) -> None:
    measured = load_model("chatgpt-2023-measures").model
    bought = frozenset([next(iter(measured.measures))])
    one = Layout.of(measured, frozenset())
    assert Layout.of(measured, frozenset()) is one
    assert Layout.of(measured, bought) is not one
    assert Layout.of(reference.model, frozenset()) is not one
    for _ in range(MOST_LAYOUTS):
        Layout.of(load_model("tiny").model, frozenset())
    assert Layout.of(measured, frozenset()) is not one
