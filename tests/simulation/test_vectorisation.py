"""Scenarios simulated together do not know of each other, nor of the end of the simulation."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulation.random_worlds import cases
from support import often

from planner.infrastructure.entities import Model, SimulationSettings
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.scenarios.generators import all_scenarios
from planner.simulation import verdict
from planner.simulation.cascade import simulate
from planner.simulation.history import History, bytes_per_scenario
from planner.simulation.verdict import Verdict, batch_size, judge
from planner.workers import Threads, shared_by

#: Records that are final values of the state, without an axis of minutes.
FINAL = ("order_minute", "standby_since")
#: Where the others stand.
ROOM = ("rows", "places")
PROPERTY = settings(
    derandomize=True,
    deadline=None,
    max_examples=often(3, 60),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def history_of(model: Model, scenarios: tuple[Scenario, ...]) -> History:
    return simulate(model, Fleet.existing(model), scenarios)[1]


def assert_same(one: History, other: History, left: slice, right: slice) -> None:
    """Records of some scenarios of one run equal those of another."""
    for field in (field for field in fields(History) if field.name not in ROOM):
        first, second = getattr(one, field.name), getattr(other, field.name)
        if field.name in FINAL:
            first, second = first[left], second[right]
        else:
            first, second = first[:, left], second[:, right]
        assert np.allclose(first, second, rtol=1e-9, atol=1e-9), field.name


@PROPERTY
@given(data=st.data())
def test_scenarios_simulated_together_equal_each_alone(
    data: st.DataObject, tiny: LoadedModel
) -> None:
    case = data.draw(cases(tiny.model))
    together = history_of(case.model, case.scenarios)
    for index, scenario in enumerate(case.scenarios):
        alone = history_of(case.model, (scenario,))
        assert_same(together, alone, slice(index, index + 1), slice(0, 1))


@PROPERTY
@given(data=st.data())
def test_order_of_scenarios_does_not_matter(data: st.DataObject, tiny: LoadedModel) -> None:
    case = data.draw(cases(tiny.model, most=4))
    forward = history_of(case.model, case.scenarios)
    backward = history_of(case.model, case.scenarios[::-1])
    count = len(case.scenarios)
    for index in range(count):
        mirrored = count - 1 - index
        assert_same(forward, backward, slice(index, index + 1), slice(mirrored, mirrored + 1))


@PROPERTY
@given(data=st.data(), horizon=st.integers(1, 100))
def test_outcome_does_not_depend_on_the_horizon(
    data: st.DataObject, horizon: int, tiny: LoadedModel
) -> None:
    case = data.draw(cases(tiny.model))
    short = case.model.replace(simulation=SimulationSettings(horizon_minutes=float(horizon)))
    whole, part = history_of(case.model, case.scenarios), history_of(short, case.scenarios)
    for field in fields(History):
        if field.name not in FINAL + ROOM:
            first, second = getattr(whole, field.name)[:horizon], getattr(part, field.name)
            assert np.allclose(first, second, rtol=1e-12, atol=1e-12), field.name


def test_nothing_to_simulate_is_no_error(tiny: LoadedModel) -> None:
    assert judge(tiny.model, Fleet.existing(tiny.model), ()) == ()


@pytest.fixture(scope="module")
def model(tiny: LoadedModel) -> Model:
    """The shipped two-region model for as long as it takes until cloud is there."""
    return tiny.model.replace(simulation=SimulationSettings(horizon_minutes=180.0))


@pytest.fixture(scope="module")
def told(model: Model) -> tuple[Verdict, ...]:
    """Verdicts of all scenarios of what exists, simulated at once."""
    return judge(model, Fleet.existing(model), all_scenarios(model))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_batches_and_threads_change_nothing(
    threads: int, model: Model, told: tuple[Verdict, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    scenarios = all_scenarios(model)
    # Room for the records of three scenarios.
    monkeypatch.setattr(verdict, "BATCH_BYTES", 3.5 * bytes_per_scenario(model, None))
    assert batch_size(model, len(scenarios), threads, stories=True) <= 3
    assert {one.survives for one in told} == {True, False}
    with shared_by(Threads(threads, fewest=1)):
        assert judge(model, Fleet.existing(model), scenarios) == told


def test_verdicts_without_stories_are_the_same_but_for_them(
    model: Model, told: tuple[Verdict, ...]
) -> None:
    untold = judge(model, Fleet.existing(model), all_scenarios(model), stories=False)
    assert all(one.story for one in told)
    assert [replace(one, story=()) for one in told] == list(untold)


def test_any_two_records_are_kept_alone_as_they_are_with_all_others(tiny: LoadedModel) -> None:
    model = tiny.model.replace(simulation=SimulationSettings(horizon_minutes=90))
    fleet, scenarios = Fleet.existing(model), all_scenarios(model)
    every = simulate(model, fleet, scenarios)[1]
    names = [field.name for field in fields(History) if field.name not in (*ROOM, *FINAL)]
    for pair in zip(names, (*names[1:], names[0]), strict=True):
        kept = simulate(model, fleet, scenarios, frozenset(pair))[1]
        for name in pair:
            assert np.array_equal(getattr(kept, name), getattr(every, name)), (pair, name)
