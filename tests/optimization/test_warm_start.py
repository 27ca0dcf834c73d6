"""Starting from an earlier plan: the same optimum, and a plan from the first moment."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from pathlib import Path

import pulp
import pytest
from optimization.drawing import drawn_model
from support import EXACT

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel
from planner.optimization.formulation.algebra import Problem
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.solution import solving
from planner.optimization.solution.audit import audit
from planner.optimization.solution.decisions import purchases_for
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solvers import Cbc, Highs
from planner.optimization.solution.solving import completed, run_solver, solve
from planner.scenarios.generators import all_scenarios
from planner.verification import optimize_and_verify

SOLVERS = ("highs", "cbc")
RELATIVE = 1e-6


def programme_of(model: Model) -> Programme:
    """Programme with all scenarios."""
    return build(ProblemData(model, all_scenarios(model), {}))


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("seed", range(6))
def test_the_optimum_does_not_depend_on_the_start(name: str, seed: int) -> None:
    model, settings = drawn_model(seed), replace(EXACT, name=name)
    cold = solve(programme_of(model), settings)
    assert cold.start_used is None

    for start in (Fleet.existing(model), cold.fleet):
        programme = programme_of(model)
        warm = solve(programme, settings, start)

        assert warm.status == cold.status
        if cold.status != "infeasible":
            assert warm.objective == pytest.approx(cold.objective, rel=RELATIVE, abs=0.1)
            audit(programme, warm)
            assert warm.start_used or start is not cold.fleet


@pytest.mark.parametrize("name", SOLVERS)
def test_a_start_gives_a_plan_at_once(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A solver that is stopped at once returns the earlier plan, if it is one."""
    model = tiny.model
    costly = Fleet.after(
        model,
        {("west-chillers", "chiller-3"): 4, ("east-chillers", "chiller-3"): 6},
        {"west-gpus": 500, "east-gpus": 1100},
        {"cloud": 40},
        frozenset(),
    )
    settings = replace(EXACT, name=name, stop=threading.Event())
    first = completed(programme_of(model), costly, settings)
    assert first is not None

    def stop_early(problem, settings, start=None):
        if start is not None:
            settings.stop.set()
        return run_solver(problem, settings, start)

    monkeypatch.setattr(solving, "run_solver", stop_early)
    programme = programme_of(model)
    solution = solve(programme, settings, costly)

    objective = programme.problem.objective
    assert objective is not None
    cost = sum(price * first[variable.name] for variable, price in objective.items())
    assert solution.status in ("feasible", "optimal")
    assert solution.objective <= cost * (1 + RELATIVE)
    assert solution.start_used


class TestStart:
    def test_a_fleet_beyond_the_bounds_is_no_start(self, tiny: LoadedModel) -> None:
        model, programme = tiny.model, programme_of(tiny.model)
        for fleet in (
            Fleet.after(model, {}, {"west-gpus": 1100}, {}, frozenset()),
            Fleet.after(model, {}, {"west-gpus": -100}, {}, frozenset()),
            Fleet.after(model, {("west-air", "air-1"): 13}, {}, {}, frozenset()),
        ):
            assert completed(programme, fleet, EXACT) is None

    def test_a_fleet_that_is_too_small_is_no_start_and_changes_no_bounds(
        self, tiny: LoadedModel
    ) -> None:
        programme = programme_of(tiny.model)
        before = {v.name: (v.low, v.high) for v in programme.problem.variables}

        assert completed(programme, Fleet.existing(tiny.model), EXACT) is None

        after = {v.name: (v.low, v.high) for v in programme.problem.variables}
        assert after == before
        fresh = solve(programme_of(tiny.model), EXACT)
        assert solve(programme, EXACT).objective == pytest.approx(fresh.objective)

    def test_every_purchase_has_its_value(self, tiny: LoadedModel) -> None:
        programme = programme_of(tiny.model)
        solution = solve(programme, EXACT)

        values = {one.name: value for one, value in purchases_for(programme, solution.fleet)}

        assert values == {name: solution.values[name] for name in values}
        whole = {v.name for v in programme.problem.variables if v.integer}
        assert set(values) == {name for name in whole if not name.startswith("threshold")}

    def test_the_loop_starts_from_it_and_says_whether_it_could(self, tiny: LoadedModel) -> None:
        model = tiny.model
        scenarios = all_scenarios(model)
        settings = SolverSettings()
        cold = optimize_and_verify(model, scenarios, settings)
        assert cold.best is not None

        for start, used in ((cold.best.solution.fleet, True), (Fleet.existing(model), False)):
            warm = optimize_and_verify(model, scenarios, settings, start=start)
            assert warm.best is not None
            assert warm.rounds[0].solution.start_used is used
            assert warm.best.solution.fleet == cold.best.solution.fleet


def knapsack() -> tuple[pulp.LpProblem, dict[str, float]]:
    """A programme whose optimum is -13 and a solution that has it."""
    problem = pulp.LpProblem("knapsack", pulp.LpMinimize)
    sizes, worth = (5, 4, 3, 2, 1), (8, 6, 5, 3, 1)
    taken = [problem.add_variable(f"take.{i}", 0, 1, "Integer") for i in range(5)]
    problem.setObjective(pulp.lpSum(-w * one for w, one in zip(worth, taken, strict=True)))
    room = pulp.lpSum(s * one for s, one in zip(sizes, taken, strict=True))
    problem.addConstraint(room <= 8, "room")
    return problem, {"take.0": 1.0, "take.1": 0.0, "take.2": 1.0, "take.3": 0.0, "take.4": 0.0}


class TestSolvers:
    def test_cbc_reads_the_start(self, tmp_path: Path) -> None:
        problem, start = knapsack()
        log = tmp_path / "cbc.log"
        stats = problem.solve(Cbc(None, start, msg=False, logPath=str(log)))

        assert stats.objective == -13.0
        assert "MIPStart values read for 5 variables" in log.read_text(encoding="utf-8")
        assert "-mips" in log.read_text(encoding="utf-8")

    def test_highs_reads_the_start(self, tmp_path: Path) -> None:
        problem, start = knapsack()
        log = tmp_path / "highs.log"
        stats = problem.solve(Highs(None, start, msg=False, logPath=str(log)))

        assert stats.objective == -13.0
        assert "MIP start solution is feasible" in log.read_text(encoding="utf-8")

    @pytest.mark.parametrize("solver", [Highs, Cbc])
    def test_an_error_of_a_solver_is_one_of_pulp(
        self, solver: type, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        problem, _ = knapsack()

        def broken(*_: object) -> None:
            raise RuntimeError("no memory")

        if solver is Highs:
            monkeypatch.setattr("highspy.Highs.run", broken)
            made = Highs(threading.Event(), None, msg=False)
        else:
            made = Cbc(None, None, msg=False, options=["-no-such-option"], path="/bin/false")
        with pytest.raises(pulp.PulpSolverError):
            problem.solve(made)

    @pytest.mark.parametrize(
        ("low", "high", "expected"), [(1.0, 3.0, 5 - 6.0), (0.0, 1.0, -2.0), (1.0, math.inf, None)]
    )
    def test_without_any_bound_the_box_of_the_variables_is_one(
        self, low: float, high: float, expected: float | None
    ) -> None:
        problem = Problem()
        costs, earns = problem.add_variable("costs", low, 9), problem.add_variable("earns", 0, high)
        problem.objective = 5 * costs - 2 * earns

        bound = solving._least_objective(problem)

        assert bound == (float("-inf") if expected is None else expected)
