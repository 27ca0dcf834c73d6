"""Plans at every hour of the week: the loop learns of the hours that the programme leaves out."""

from __future__ import annotations

from math import fsum

import pytest
from scenarios.test_hours import DAY

from planner.infrastructure.loading import LoadedModel, load_model
from planner.optimization.solution.settings import SolverSettings
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
    return optimize_and_verify(
        small.model, selection.scenarios, ROUGH, explain="nothing", selection=selection
    )


def test_an_hour_left_out_that_fails_in_simulation_joins_the_scenarios(outcome, selection) -> None:
    first, *_, last = outcome.rounds
    planned = {scenario.name for scenario in selection.scenarios}
    assert first.beyond
    assert not planned & set(first.failed)
    joined = {scenario.name for scenario in last.programme.data.scenarios} - planned
    assert joined <= {name for made in outcome.rounds for name in made.failed}
    assert joined & set(last.margins)
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


def test_too_many_hours_are_not_simulated(small, selection, monkeypatch) -> None:
    monkeypatch.setattr("planner.other_hours.MOST_LEFT_OUT", 3)
    found = optimize_and_verify(small.model, selection.scenarios, ROUGH, selection=selection)
    assert [(made.left_out, made.beyond) for made in found.rounds] == [(None, ())]


def test_the_shipped_plan_survives_every_region_at_every_hour_of_the_week(reference) -> None:
    """Demand repeats every day and no ambient changes, so that 24 hours are all 168."""
    model = reference.model
    scenarios = select(model).scenarios
    outcome = optimize_and_verify(
        model, scenarios, ROUGH, explain="nothing", selection=select(model)
    )
    solution = outcome.best.solution
    alike = sorted(set(first_alike(model, model.simulation.horizon_minutes).tolist()))
    regions = select(model, Wanted(("regions",), hours="peak")).scenarios
    scenarios = tuple(at_hour(region, hour) for region in regions for hour in alike)
    assert (len(regions), len(alike)) == (4, 24)
    verdicts = judge(model, solution.fleet, scenarios, stories=False)
    # Where nothing is bought in a region, nothing of it fails.
    assert {verdict.status for verdict in verdicts} == {"survives", "not applicable"}
