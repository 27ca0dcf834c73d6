"""Time for several solves together."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from planner.errors import SolverError
from planner.infrastructure.failures import Scenario
from planner.infrastructure.loading import LoadedModel
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.stages import Stage
from planner.optimization.solution.deadline import LEAST_SECONDS, Deadline, OutOfTime
from planner.optimization.solution.settings import SolverSettings
from planner.scenarios.generators import all_scenarios
from planner.verification import optimize_and_verify


def test_a_solve_gets_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    deadline = Deadline(SolverSettings(gap=0.25, time_limit_seconds=100.0))
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 60.0)
    assert deadline.settings().time_limit_seconds == pytest.approx(40.0, abs=1.0)
    assert (deadline.settings().gap, deadline.settings(gap=0.5).gap) == (0.25, 0.5)


def test_a_passed_deadline_leaves_only_solves_that_have_to_be_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deadline = Deadline(SolverSettings(time_limit_seconds=1.0))
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 2.0)
    assert deadline.over
    with pytest.raises(OutOfTime):
        deadline.settings()
    assert deadline.settings(late=True).time_limit_seconds == LEAST_SECONDS
    assert deadline.endless.time_limit_seconds is None


def test_no_limit_is_never_over_unless_somebody_stops() -> None:
    stop = threading.Event()
    deadline = Deadline(SolverSettings(stop=stop))
    assert not deadline.over
    assert deadline.settings().time_limit_seconds is None
    stop.set()
    assert deadline.over


def test_time_may_end_while_scenarios_are_cut_into_stages(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, cut, real = time.monotonic, [], ProblemData.stages_of

    def slow(data: ProblemData, scenario: Scenario) -> Sequence[Stage]:
        cut.append(scenario.name)
        monkeypatch.setattr(time, "monotonic", lambda: clock() + 60.0)
        return real(data, scenario)

    monkeypatch.setattr(ProblemData, "stages_of", slow)
    with pytest.raises(SolverError, match="allow more with --time-limit"):
        optimize_and_verify(
            tiny.model, all_scenarios(tiny.model), SolverSettings(time_limit_seconds=30.0)
        )
    assert len(cut) == 1
