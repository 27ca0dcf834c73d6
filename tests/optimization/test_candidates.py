"""Strong rows of candidate regions: they exclude no plan, and are found where they are many."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import numpy as np
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
from planner.optimization.solution import solving, strengthening
from planner.optimization.solution.audit import audit
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.decisions import limited
from planner.optimization.solution.scaling import Scaled
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import run_solver, solve
from planner.optimization.solution.strengthening import rounded, strengthen
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

    added = strengthen(found, Deadline(EXACT)).added

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
    first = strengthen(programme, Deadline(EXACT)).added

    again = strengthen(programme, Deadline(EXACT)).added

    assert again < first
    names = [row.name for row in programme.problem.constraints]
    assert len(names) == len(set(names))


def test_without_time_no_rows_are_sought(few) -> None:
    few(0)
    stop = threading.Event()
    stop.set()
    programme = programme_of(stated(read("cap41")))

    assert strengthen(programme, Deadline(SolverSettings(stop=stop))).added == 0


class TestNarrowing:
    """First without the candidates that the relaxation does not open, and what proves the rest."""

    @pytest.mark.parametrize("gap", [1e-9, 1e-3, 0.02])
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_cost_and_bound_enclose_the_optimum(
        self, seed: int, gap: float, few, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        few(0)
        monkeypatch.setattr(strengthening, "NEAREST", 3)
        instance = drawn(seed, 12, 30, 300, (1e4, 9e4))
        best = optimum(instance)

        solution = solve(programme_of(stated(instance)), replace(EXACT, gap=gap))

        assert solution.status == "optimal"
        assert solution.bound <= best * (1 + 1e-6)
        assert best * (1 - 1e-6) <= solution.objective <= best * (1 + gap + 1e-6)
        assert solution.gap <= gap + 1e-6

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_opening_another_adds_what_the_relaxation_says_at_least(self, seed: int, few) -> None:
        few(0)
        programme = programme_of(stated(drawn(seed, 12, 30, 300, (1e4, 9e4))))
        found = strengthen(programme, Deadline(EXACT))

        assert found.unopened
        assert max(found.unopened.values()) > 0.001 * found.bound_usd
        for variable, more in found.unopened.items():
            with limited({variable: (1.0, 1.0)}):
                run_solver(programme.problem, EXACT)
            cost = programme.problem.objective.evaluated()
            assert cost >= (found.bound_usd + more) * (1 - 1e-7)

    def test_candidates_that_the_relaxation_wrongly_leaves_out_are_found(
        self, few, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        few(0)
        instance = drawn(1, 12, 30, 300, (1e4, 9e4))
        programme = programme_of(stated(instance))
        found = strengthen(programme, Deadline(EXACT))
        openings = programme.purchases.opened.values()
        wrong = replace(found, unopened=dict.fromkeys(list(openings)[::2], 0.0))
        monkeypatch.setattr(solving, "strengthen", lambda *_: wrong)

        solution = solve(programme, EXACT)

        assert solution.objective == pytest.approx(optimum(instance), rel=1e-6)

    def test_sides_are_rounded_to_sums_of_whole_numbers(self) -> None:
        programme = programme_of(stated(MANY))
        numbers = Scaled(programme.problem).numbers
        changed = np.flatnonzero(rounded(numbers).side != numbers.side)
        (row,) = changed.tolist()
        named = programme.problem.constraints[row]

        assert named.name.startswith(Family.NORMAL_DEMAND)
        assert rounded(numbers).side[row] / numbers.entry[numbers.row == row][0] == math.ceil(
            sum(MANY.demand) / MANY.capacity[0]
        )
