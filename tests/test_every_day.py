"""Plans on every day of a year of climate: what is planned for, and what is only simulated."""

from __future__ import annotations

from math import fsum
from random import Random

import numpy as np
import pytest
from scenarios.test_hours import DAY

from planner.infrastructure.entities import Model
from planner.infrastructure.graph import build_graph
from planner.infrastructure.loading import load_model
from planner.laws.calendar import HOTTEST, day_of, on_day
from planner.optimization.solution.settings import SolverSettings
from planner.reliability.sampling import Process, SourceRate
from planner.reliability.screening import Screen
from planner.rounds import LoopResult
from planner.scenarios.climate import ambient_at, ambient_year
from planner.scenarios.hours import at_hour, failure_and_hour, hottest_days
from planner.selection import Selection, Wanted, select
from planner.simulation.verdict import judge
from planner.verification import optimize_and_verify


@pytest.fixture(scope="module")
def model() -> Model:
    """The two-region model, its west dry and hot on some afternoons of summer."""
    cooling = ("cooling_units.chiller-3.derating_per_c=0.15", "plants.west-chillers.redundancy=0")
    small, hours = load_model("tiny", (*DAY, *cooling)).model, np.arange(8760)
    year = 16 + 13 * np.sin((hours / 24 - 110) / 365 * 2 * np.pi)
    year += 7 * np.sin((hours % 24 - 9) / 24 * 2 * np.pi)
    year += np.repeat(np.random.default_rng(4).normal(0, 2.5, 365), 24)
    west = small.regions["west"].replace(climate="dry", longitude=135.0, design_ambient_c=36.0)
    regions = {**small.regions, "west": west}
    return small.replace(climates={"dry": tuple(year.round(1).tolist())}, regions=regions)


@pytest.fixture(scope="module")
def selection(model) -> Selection:
    return select(model, Wanted(only=("region-east", "unit-west-chillers")))


@pytest.fixture(scope="module")
def outcome(model, selection) -> LoopResult:
    settings = SolverSettings(gap=0.01)
    return optimize_and_verify(
        model, selection.scenarios, settings, explain="nothing", selection=selection
    )


def test_failures_are_planned_for_on_hot_days_at_a_share_of_their_frequency(
    model, selection
) -> None:
    year = ambient_year(model, "west")
    for hours in selection.failures:
        name = hours.failure.name
        mine = [one for one in selection.scenarios if failure_and_hour(one.name)[0] == name]
        often = fsum(one.frequency_per_year for one in mine)
        assert often == pytest.approx(hours.failure.frequency_per_year)
        days = [day_of(hour) for hour in hours.planned]
        assert None in days
        assert len(set(days)) > 1
        for day in set(days) - {None}:
            # A failure is over, or its day is, two days later.
            assert max(year[np.arange(24 * day, 24 * day + 72) % 8760]) > 36
        hot = fsum(one.frequency_per_year for one in mine if one.start_date)
        assert 0 < hot < 0.2 * often
    assert "on 365 days = 122,640 scenarios" in selection.lines()[-1]


def test_the_plan_survives_on_all_days(model, selection, outcome) -> None:
    """A sample of all hours of the year, half of it of the hottest days."""
    assert outcome.survives
    assert outcome.best.left_out == 2 * 24
    rng = Random(1)
    hot = [day for hour in range(24) for day in hottest_days(model, hour, 1440.0)]
    days = [*rng.choices(hot, k=30), *rng.choices(range(365), k=30)]
    failures = [hours.failure for hours in selection.failures]
    scenarios = [
        at_hour(failure, on_day(rng.randrange(168), day)) for failure in failures for day in days
    ]
    verdicts = judge(model, outcome.best.solution.fleet, tuple(scenarios), stories=False)
    assert not [verdict.name for verdict in verdicts if verdict.fails]


def test_a_plan_for_the_design_ambient_fails_on_days_by_name(model, selection, outcome) -> None:
    """Hours that fail on the hottest of all days are looked at day by day."""
    peak = select(model, Wanted(only=selection.wanted.only, hours="peak")).scenarios
    settings = SolverSettings(gap=0.01)
    found = optimize_and_verify(model, peak, settings, explain="nothing", selection=selection)
    first = next(made for made in found.rounds if made.beyond)
    days = [day_of(failure_and_hour(verdict.name)[1]) for verdict in first.beyond]
    assert set(days) - {None}
    assert HOTTEST not in days
    assert first.solution.objective < outcome.best.solution.objective
    assert found.survives


@pytest.mark.parametrize("minute", [0.0, 90.0, 6000.0])
def test_the_hottest_day_is_no_cooler_than_any(model, minute) -> None:
    at = np.array([minute])
    hottest = ambient_at(model, "west", on_day(30, HOTTEST), at)
    days = [ambient_at(model, "west", on_day(30, day), at) for day in range(365)]
    assert hottest >= max(*days, ambient_at(model, "west", 30.0, at))


def test_a_pattern_of_days_means_each_of_them(model) -> None:
    wanted = Wanted(only=("unit-west-*@Wed-14-Jul-3?",), hours="all")
    names = select(model, wanted).names
    assert names == ("unit-west-chillers@Wed-14-Jul-30", "unit-west-chillers@Wed-14-Jul-31")
    every = select(model, Wanted(only=("unit-west-*@Wed-14-*",), hours="all")).scenarios
    assert len(every) == 365
    assert min(scenario.frequency_per_year for scenario in every) > 0


def test_samples_of_a_year_begin_on_its_days(model, outcome) -> None:
    """And none that is hot is screened out as harmless because usual days are."""
    rates = [SourceRate(name, 1, 2.0, 600.0) for name in ("one", "two")]
    process = Process.of(rates, 365)
    stratum = process.strata()[0]
    hours = [process.draw(stratum, number, 1).start_hour for number in range(200)]
    days = {day_of(hour) for hour in hours}
    assert len(days) > 100
    assert days <= set(range(365))
    assert max(hour % 168 for hour in hours) > 150
    screen = Screen(model, build_graph(model), outcome.best.solution.fleet, (), True, model)
    assert screen._hottest_c[0] == ambient_year(model, "west").max()
