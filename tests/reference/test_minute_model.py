"""The minute model of the benchmark does the same work as the simulator."""

from __future__ import annotations

import numpy as np
import pytest
from reference.large_model import large_model, platform_of, random_scenarios, two_failures
from reference.minute_model import Failure, simulate_minutes

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.simulation.cascade import simulate


@pytest.fixture(scope="module")
def model() -> Model:
    return large_model()


def test_the_minute_model_serves_what_the_simulator_serves(model: Model) -> None:
    """To a thousandth in all; within 5 % in minutes of failover, where requests may wait."""
    _, history = simulate(model, Fleet.existing(model), (two_failures(model),))
    platform = platform_of(model, reaction_minute=25.0)
    run = simulate_minutes(platform, (Failure(10, 0, True), Failure(40, 3, False)))
    served, wanted = np.array(run.served), history.demand_rps[:, 0]
    assert served.sum() == pytest.approx(history.served_rps[:, 0].sum(), rel=0.001)
    gap = np.abs(served.sum(axis=1) - history.served_rps[:, 0].sum(axis=1)) / wanted.sum(axis=1)
    assert gap.max() < 0.05
    assert gap.mean() < 0.002
    # Minute 10 has the first failure; what does not fit the nearest cluster goes to others before.
    assert history.waiting[:10].max() == 0


def test_scenarios_are_reproducible_and_of_all_kinds(model: Model) -> None:
    scenarios = random_scenarios(model, 200)
    assert scenarios == random_scenarios(model, 200)
    kinds = {event.kind for scenario in scenarios for event in scenario.events}
    assert len(kinds) == 11
    assert {len(scenario.events) for scenario in scenarios} == {1, 2, 3}
