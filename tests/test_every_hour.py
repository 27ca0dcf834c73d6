"""Plans at every hour of the week: the loop learns of the hours that the programme leaves out."""

from __future__ import annotations

from dataclasses import replace
from math import fsum

import pytest
from scenarios.test_hours import DAY
from support import SHIPPED, remembered

from planner.analysis.alternatives import CheapestPlan, alternatives
from planner.analysis.axes import settings_of
from planner.analysis.frontier import trace
from planner.finance.replanning import PLAN_INPUTS, replan
from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel, load_model
from planner.optimization.solution.settings import SolverSettings
from planner.plan.records import Plan
from planner.plan.reopening import planned_scenarios, recorded
from planner.rounds import LoopResult
from planner.scenarios.hours import at_hour, failure_and_hour, first_alike
from planner.selection import Selection, Wanted, select
from planner.simulation.verdict import judge
from planner.verification import optimize_and_verify

#: Close enough for what is to be seen here.
ROUGH = SolverSettings(gap=0.01)


@pytest.fixture(scope="module")
def small() -> LoadedModel:
    """The two-region model with zones that are busy at different hours."""
    return load_model("tiny", DAY)


@pytest.fixture(scope="module")
def selection(small) -> Selection:
    return select(small.model, Wanted(only=("region-west", "surge")))


@pytest.fixture(scope="module")
def outcome(small, selection) -> LoopResult:
    """Queues left over from busy hours fail a plan at hours at which less is asked for."""
    return optimize_and_verify(small.model, selection.scenarios, ROUGH, selection=selection)


def test_an_hour_left_out_that_fails_in_simulation_joins_the_scenarios(outcome, selection) -> None:
    first, *_, last = outcome.rounds
    planned = {scenario.name for scenario in selection.scenarios}
    assert first.beyond
    assert not planned & set(first.failed)
    joined = {scenario.name for scenario in last.programme.data.scenarios} - planned
    assert joined & {verdict.name for verdict in first.beyond}
    assert outcome.survives
    assert last.left_out == 2 * 24 - len(planned) - len(joined)


def test_the_plan_survives_at_all_hours(small, outcome) -> None:
    """Days are alike, and every seventh hour of a week comes to every hour of the day."""
    everything = select(small.model, Wanted(only=("region-west", "surge"), hours="all"))
    verdicts = judge(small.model, outcome.best.solution.fleet, everything.scenarios[::7])
    assert len(verdicts) == 2 * 24
    assert not [verdict.name for verdict in verdicts if verdict.fails]


def test_a_plan_records_the_hours_that_joined(small, outcome) -> None:
    plan = recorded(outcome.plan(small, ROUGH), outcome.selection.wanted)
    assert plan.verification.left_out == outcome.best.left_out
    assert plan.model.scenarios.also
    scenarios, notes = planned_scenarios(plan, small.model)
    assert notes == ()
    assert {scenario.name for scenario in scenarios} == {line.name for line in plan.scenarios}
    behind = {failure_and_hour(line.name)[0] for line in plan.scenarios}
    assert behind == {"region-west", "surge"}
    often = fsum(line.frequency_per_year for line in plan.scenarios)
    assert often == pytest.approx(0.05 + 1.0)


def fails_somewhere(model: Model, fleet: Fleet) -> bool:
    """Whether a fleet fails at an hour of the day."""
    everything = select(model, Wanted(only=("region-west", "surge"), hours="all"))
    return any(verdict.fails for verdict in judge(model, fleet, everything.scenarios[::7]))


def test_a_point_of_the_frontier_survives_at_hours_left_out(small, selection, outcome) -> None:
    settings = settings_of("standard", small.model, selection.scenarios, 2, (1.0,))
    (point,) = trace(
        "standard", settings, small.model, selection.scenarios, ROUGH, selection=selection
    ).points
    assert point.status == "survives"
    assert point.left_out == outcome.best.left_out
    assert point.rounds >= len(outcome.rounds) > 1
    assert not fails_somewhere(small.model, point.fleet)


def test_alternatives_survive_at_hours_left_out_or_are_said_to_fail(small, outcome) -> None:
    first = outcome.rounds[0]  # whose plan fails there
    optimum = CheapestPlan.of(first.programme, first.solution, outcome.selection)
    found = alternatives(optimum, (0.4,), 2, ROUGH)
    assert any(plan.left_out for plan in found)
    assert all(bool(plan.failed) == fails_somewhere(small.model, plan.fleet) for plan in found)


def test_keeping_a_plan_is_judged_at_hours_left_out(small, selection, outcome) -> None:
    first = LoopResult(outcome.rounds[:1]).plan(small, ROUGH)
    price = next(one for one in PLAN_INPUTS if one.attribute == "gpu_price")
    dearer = replace(price, low=1.0, high=1.01)
    *_, replanned = replan(small, recorded(first, selection.wanted), [dearer], ROUGH)
    assert not replanned.kept_survives
    assert replanned.survives
    assert replanned.regret_usd_per_year is None


def test_suggested_changes_survive_at_hours_left_out() -> None:
    """700 GPUs in the east suffice for the hour that is planned for, and for no other."""
    overrides = ("clusters.west-gpus.max_gpus=1000", "clusters.east-gpus.max_gpus=400")
    wanted = Wanted(only=("region-west",))
    model = load_model("tiny", (*DAY, *overrides)).model
    found = optimize_and_verify(
        model, select(model, wanted).scenarios, ROUGH, selection=select(model, wanted)
    )
    assert found.best is None
    ways = [way for way in found.diagnosis.sets if way.survives]
    assert ways and all(way.left_out for way in ways)
    changes = {change.path: change.value for way in ways for change in way.relaxations}
    assert changes["clusters.east-gpus.max_gpus"] > 700


def test_too_many_hours_are_not_simulated(small, selection, monkeypatch) -> None:
    monkeypatch.setattr("planner.other_hours.MOST_LEFT_OUT", 3)
    found = optimize_and_verify(small.model, selection.scenarios, ROUGH, selection=selection)
    assert {(made.left_out, made.beyond) for made in found.rounds} == {(None, ())}


def _shipped_fleet(model: Model) -> Fleet:
    """Of the plan of README where a test of this run made it, else of one made here."""
    text: str | None = remembered(SHIPPED)
    if text is not None:
        return Plan.model_validate_json(text).fleet(model)
    chosen = select(model)
    made = optimize_and_verify(model, chosen.scenarios, ROUGH, explain="nothing", selection=chosen)
    return made.best.solution.fleet


def test_the_shipped_plan_survives_every_region_at_every_hour_of_the_week(reference) -> None:
    """Demand repeats every day and no ambient changes, so that 24 hours are all 168."""
    model = reference.model
    fleet = _shipped_fleet(model)
    alike = sorted(set(first_alike(model, model.simulation.horizon_minutes).tolist()))
    regions = select(model, Wanted(("regions",), hours="peak")).scenarios
    scenarios = tuple(at_hour(region, hour) for region in regions for hour in alike)
    assert (len(regions), len(alike)) == (4, 24)
    verdicts = judge(model, fleet, scenarios, stories=False)
    # Where nothing is bought in a region, nothing of it fails.
    assert {verdict.status for verdict in verdicts} == {"survives", "not applicable"}
