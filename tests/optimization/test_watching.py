"""Solvers that do not listen: given up a moment after they should have ended, with what is known.

What takes time is real: stages that never call back, and a CBC that ignores signals. Each would go
on for a minute, so that a test which waited for it would be noticed.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from facility_location import read, stated
from support import EXACT

from planner.errors import SolverError
from planner.infrastructure.loading import LoadedModel
from planner.optimization.formulation import candidates
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.solution import solving
from planner.optimization.solution.audit import audit
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solvers import Cbc, Highs
from planner.optimization.solution.solving import completed, run_solver, solve
from planner.optimization.solution.strengthening import Relaxed
from planner.optimization.solution.watching import THREAD, Watch, left_behind
from planner.scenarios.generators import all_scenarios

LONG_SECONDS = 60.0
#: Far below what a solver would go on for, far above the grace that it gets.
SOON_SECONDS = 20.0
CAP41 = 1040444.375


class Deaf:
    """A stage of a solver that never calls back and does not end before it is let go."""

    def __init__(self) -> None:
        self.reached, self.go = threading.Event(), threading.Event()

    def __call__(self, *_: object) -> None:
        self.reached.set()
        self.go.wait(LONG_SECONDS)


@pytest.fixture
def deaf():
    """A deaf stage, which ends with the test."""
    stage = Deaf()
    yield stage
    stage.go.set()
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join(SOON_SECONDS)
    assert not left_behind()


@pytest.fixture
def soon():
    """Fails a test that waited for a solver."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < SOON_SECONDS


def at_start(monkeypatch: pytest.MonkeyPatch, act: Callable[..., None]) -> None:
    """Let something happen in the thread of HiGHS in place of its work."""
    monkeypatch.setattr(Watch, "_work", lambda _: act())


def after_first_plan(monkeypatch: pytest.MonkeyPatch, act: Callable[..., None]) -> None:
    """Let something happen in the thread of HiGHS once it has reported a plan and a bound."""
    real = Watch._work

    def work(self: Watch) -> None:
        self.highs.cbMipInterrupt.subscribe(
            lambda _: act() if self.values is not None and self.bound > 0 else None
        )
        real(self)

    monkeypatch.setattr(Watch, "_work", work)


def facilities() -> Programme:
    """A facility location problem with a published optimum, of which solvers make plans."""
    return build(ProblemData(stated(read("cap41")), (), {}))


@pytest.mark.usefixtures("soon")
class TestHighs:
    def test_a_time_limit_ends_a_stage_that_never_calls_back(
        self, tiny: LoadedModel, deaf: Deaf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at_start(monkeypatch, deaf)
        programme = build(ProblemData(tiny.model, all_scenarios(tiny.model), {}))

        with pytest.raises(SolverError, match="--time-limit"):
            solve(programme, SolverSettings(time_limit_seconds=0.2))

        assert deaf.reached.is_set()
        assert left_behind()

    def test_a_word_to_stop_ends_it_too(
        self, tiny: LoadedModel, deaf: Deaf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stop = threading.Event()
        at_start(monkeypatch, lambda: (stop.set(), deaf()))
        programme = build(ProblemData(tiny.model, all_scenarios(tiny.model), {}))

        with pytest.raises(SolverError):
            solve(programme, SolverSettings(stop=stop))

    def test_the_plan_and_the_bound_reported_before_it_are_kept(
        self, deaf: Deaf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        after_first_plan(monkeypatch, deaf)
        # Without the rows that would prove it at once.
        monkeypatch.setattr(candidates, "FEW_PAIRS", 0)
        monkeypatch.setattr(solving, "strengthen", lambda *_: Relaxed())
        programme = facilities()

        solution = solve(programme, replace(EXACT, time_limit_seconds=2.0))

        assert left_behind()
        assert solution.status == "feasible"
        assert 0 < solution.bound <= CAP41 * (1 + 1e-6)
        assert solution.objective >= CAP41 * (1 - 1e-6)
        assert sum(item.usd_per_year for item in audit(programme, solution)) == pytest.approx(
            solution.objective, rel=1e-6
        )

    def test_a_start_is_the_plan_where_none_is_reported(
        self, deaf: Deaf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        programme = facilities()
        best = solve(programme, EXACT)
        known = completed(programme, best.fleet, EXACT)
        assert known is not None
        at_start(monkeypatch, deaf)

        outcome = run_solver(programme.problem, SolverSettings(time_limit_seconds=0.2), known)

        assert outcome.stats.has_solution
        assert outcome.bound is None
        assert programme.problem.objective.evaluated() == pytest.approx(CAP41, rel=1e-6)

    def test_part_of_a_start_is_no_plan(self, deaf: Deaf, monkeypatch: pytest.MonkeyPatch) -> None:
        programme = facilities()
        some = {programme.problem.variables[0].name: 0.0}
        at_start(monkeypatch, deaf)

        outcome = run_solver(programme.problem, SolverSettings(time_limit_seconds=0.2), some)

        assert not outcome.stats.has_solution

    def test_one_that_ends_by_itself_is_not_left_behind(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[Highs] = []

        class Kept(Highs):
            def __init__(self, *arguments, **options) -> None:
                super().__init__(*arguments, **options)
                made.append(self)

        monkeypatch.setitem(solving.OURS, "HiGHS", Kept)

        solution = solve(facilities(), replace(EXACT, time_limit_seconds=LONG_SECONDS))

        assert solution.objective == pytest.approx(CAP41, rel=1e-6)
        assert made[-1].watch is not None
        assert made[-1].watch.left_for is None
        assert not left_behind()


@pytest.mark.skipif(os.name != "posix", reason="a shell script in place of CBC")
@pytest.mark.usefixtures("soon")
class TestCbc:
    @pytest.fixture(autouse=True, params=["trap '' INT TERM\n", ""], ids=["deaf", "dying"])
    def early_cbc(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
    ) -> None:
        """A CBC that ignores signals, or dies of them as it does before it listens."""
        script = tmp_path / "cbc"
        script.write_text(f"#!/bin/sh\n{request.param}exec sleep 60\n", encoding="ascii")
        script.chmod(0o755)

        def made(*arguments, **options) -> Cbc:
            return Cbc(*arguments, **(options | {"path": str(script)}))

        monkeypatch.setitem(solving.OURS, "COIN_CMD", made)

    def test_a_time_limit_ends_it(self) -> None:
        with pytest.raises(SolverError, match="--time-limit"):
            solve(facilities(), SolverSettings("cbc", time_limit_seconds=0.2))

    def test_a_word_to_stop_ends_it(self) -> None:
        stop = threading.Event()
        threading.Timer(0.2, stop.set).start()

        with pytest.raises(SolverError):
            solve(facilities(), SolverSettings("cbc", stop=stop))

    def test_a_start_is_the_plan(self) -> None:
        programme = facilities()
        best = solve(programme, EXACT)
        known = completed(programme, best.fleet, EXACT)

        settings = SolverSettings("cbc", time_limit_seconds=0.2)
        outcome = run_solver(programme.problem, settings, known)

        assert outcome.stats.has_solution
        assert programme.problem.objective.evaluated() == pytest.approx(CAP41, rel=1e-6)
