"""Strong rows of candidate regions: they exclude no plan, and are found where they are many."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from facility_location import drawn, optimum, read, stated
from optimization.drawing import drawn_model
from support import EXACT

from planner.infrastructure.entities import Model
from planner.optimization.formulation import candidates
from planner.optimization.formulation.build import build
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme
from planner.optimization.solution import strengthening
from planner.optimization.solution.audit import audit
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import run_solver, solve
from planner.optimization.solution.strengthening import strengthen
from planner.scenarios.generators import all_scenarios

#: 25 warehouses and 90 customers: more pairs than are stated at once.
MANY = drawn(3, 25, 90, 900, (3e4, 6e4))


def programme_of(model: Model) -> Programme:
    """Programme with all scenarios."""
    return build(ProblemData(model, all_scenarios(model), {}))


def relaxed(programme: Programme) -> float:
    """Bound of the linear relaxation."""
    run_solver(programme.problem, EXACT, linear=True)
    return programme.problem.objective.evaluated()


def rows(programme: Programme) -> int:
    """Number of strong rows stated."""
    return sum(row.family is Family.SERVED_IF_OPEN for row in programme.rows.values())


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch):
    """Sets the number of pairs up to which all rows are stated."""

    def change(pairs: int) -> None:
        for module in (candidates, strengthening):
            monkeypatch.setattr(module, "FEW_PAIRS", pairs)

    return change


@pytest.mark.parametrize("seed", [1, 5, 10, 14, 16, 17, 22, 29, 31, 34])
def test_the_rows_exclude_no_plan(seed: int, few, monkeypatch: pytest.MonkeyPatch) -> None:
    model = drawn_model(seed)
    assert any(region.candidate for region in model.regions.values())
    strong = solve(programme_of(model), EXACT)
    few(-1)
    monkeypatch.setattr(strengthening, "pairs", lambda _: [])
    weak = solve(programme_of(model), EXACT)

    assert strong.status == weak.status
    assert strong.objective == pytest.approx(weak.objective, rel=1e-6)


@pytest.mark.parametrize("name", ["cap41", "cap63", "cap74"])
def test_the_relaxation_with_the_rows_found_is_that_with_all(name: str, few) -> None:
    model = stated(read(name))
    everything = programme_of(model)
    few(0)
    weak, found = programme_of(model), programme_of(model)

    added = strengthen(found, Deadline(EXACT))

    assert rows(everything) == 800
    assert rows(weak) == 0
    assert 0 < added == rows(found) < 400
    bounds = [relaxed(one) for one in (weak, found, everything)]
    assert bounds[1] == pytest.approx(bounds[2], rel=5e-4)
    assert bounds[0] < bounds[1] * (1 - 0.01)


def test_many_candidates_are_solved_to_the_optimum_of_another_formulation() -> None:
    best = optimum(MANY)
    programme = programme_of(stated(MANY))
    assert rows(programme) == 0

    solution = solve(programme, replace(EXACT, gap=1e-4))

    assert 0 < rows(programme) < 25 * 90
    assert solution.objective == pytest.approx(best, rel=1.1e-4)
    assert solution.bound <= best * (1 + 1e-6)
    assert sum(item.usd_per_year for item in audit(programme, solution)) == pytest.approx(
        solution.objective, rel=1e-6
    )


def test_rows_are_stated_once(few) -> None:
    few(0)
    programme = programme_of(stated(read("cap41")))
    first = strengthen(programme, Deadline(EXACT))

    again = strengthen(programme, Deadline(EXACT))

    assert again < first
    names = [row.name for row in programme.problem.constraints]
    assert len(names) == len(set(names))


def test_without_time_no_rows_are_sought(few) -> None:
    few(0)
    stop = threading.Event()
    stop.set()
    programme = programme_of(stated(read("cap41")))

    assert strengthen(programme, Deadline(SolverSettings(stop=stop))) == 0
