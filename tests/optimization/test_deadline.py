"""Time for several solves together."""

from __future__ import annotations

import threading
import time

import pytest

from planner.optimization.solution.deadline import LEAST_SECONDS, Deadline, OutOfTime
from planner.optimization.solution.settings import SolverSettings


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
