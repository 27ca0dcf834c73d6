"""Programmes in their natural size: the units of a model change nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pulp import LpInteger
from support import often, solved

from planner.infrastructure.loading import LoadedModel
from planner.optimization.formulation.algebra import Problem
from planner.optimization.solution.audit import AuditError, audit
from planner.optimization.solution.scaling import Scaled, Tolerances, most, numbers_of, sizes
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution, run_solver
from tests.optimization.units import in_units

SOLVERS = ("highs", "cbc")
EXACT = {name: SolverSettings(name, gap=0.0) for name in SOLVERS}
#: Factors that are no powers of two, so that every number changes.
FACTORS = st.sampled_from([1e-6, 1e-3, 0.1, 1.0, 7.0, 1e3])


@pytest.fixture(scope="module")
def plain(tiny: LoadedModel) -> Solution:
    """The small model in its own units."""
    return solved(tiny.model, EXACT["highs"])[1]


class TestUnits:
    @pytest.mark.parametrize("name", SOLVERS)
    @settings(
        max_examples=often(4, 60),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(money=FACTORS, requests=FACTORS, power=FACTORS)
    def test_other_units_give_the_same_plan(
        self, tiny, plain, name, money, requests, power
    ) -> None:
        programme, solution = solved(in_units(tiny.model, money, requests, power), EXACT[name])

        assert solution.status == "optimal"
        assert solution.fleet == plain.fleet
        assert solution.objective == pytest.approx(money * plain.objective, rel=1e-6)
        assert solution.gap < 1e-5
        audit(programme, solution)

    @pytest.mark.parametrize("name", SOLVERS)
    @pytest.mark.parametrize(
        ("money", "requests", "power"), [(1e-3, 1e5, 1.0), (1e-9, 1e9, 1e-9), (1e4, 1e-4, 1e4)]
    )
    def test_units_far_from_one_give_the_same_plan(
        self, tiny, plain, name, money, requests, power
    ) -> None:
        _, solution = solved(in_units(tiny.model, money, requests, power), EXACT[name])

        assert solution.fleet == plain.fleet
        assert solution.objective == pytest.approx(money * plain.objective, rel=1e-6)

    def test_a_solver_sees_the_same_whatever_the_unit(self, tiny) -> None:
        """With powers of two as factors it is the same to the last bit."""
        seen = []
        for money, requests, power in ((1.0, 1.0, 1.0), (2.0**-20, 2.0**17, 2.0**-9)):
            programme, _ = solved(in_units(tiny.model, money, requests, power))
            numbers = Scaled(programme.problem).numbers
            seen.append((numbers.entry, numbers.side, numbers.high, numbers.cost))
        for one, other in zip(*seen, strict=True):
            assert one == pytest.approx(other, rel=1e-9)

    def test_every_solver_is_given_the_same_numbers(self, tiny) -> None:
        """HiGHS takes them as arrays, other solvers as a problem of PuLP's."""
        scaled = Scaled(solved(tiny.model)[0].problem)
        numbers, written = scaled.numbers, scaled.problem

        columns, rows = written.variables(), written.constraints()
        entries = [(i, x.id, factor) for i, row in enumerate(rows) for x, factor in row.items()]
        assert entries == list(zip(numbers.row, numbers.column, numbers.entry, strict=True))
        assert [(row.sense, -row.constant) for row in rows] == list(
            zip(numbers.sense, numbers.side, strict=True)
        )
        assert [(x.lowBound, x.upBound, x.cat == LpInteger) for x in columns] == list(
            zip(numbers.low, numbers.high, numbers.whole, strict=True)
        )
        assert written.objective is not None
        assert {x.id: factor for x, factor in written.objective.items()} == {
            j: cost for j, cost in enumerate(numbers.cost) if cost
        }

    def test_columns_that_no_row_and_no_price_has_are_zero(self) -> None:
        problem = Problem()
        unused, used = problem.add_variable("unused", 2.0, 3.0), problem.add_variable("used", 0)
        unused.value = 2.5
        problem.objective = 3 * used
        problem.add(used >= 4.0, "need")

        run_solver(problem, EXACT["highs"])

        assert (unused.value, used.value) == (0.0, 4.0)

    def test_numbers_are_near_one(self, tiny) -> None:
        programme, _ = solved(in_units(tiny.model, 1e-4, 1e6, 1e-6))

        numbers = Scaled(programme.problem).numbers

        assert np.abs(numbers.entry).min() > 1e-4
        assert np.abs(numbers.entry).max() <= 2.0**11
        price = np.abs(numbers.cost[(numbers.low < numbers.high) & (numbers.cost != 0)])
        assert 2.0**8 < price.max() <= 2.0**10


def linear(unit: float) -> Problem:
    """Two sources with limits for a demand, dear and cheap; one may be missed for a price."""
    problem = Problem()
    cheap = problem.add_variable("cheap", 0, 3 * unit)
    dear = problem.add_variable("dear", 0)
    missed = problem.add_variable("missed", 0)
    problem.objective = 2 * cheap + 5 * dear + 100 * missed
    problem.add(cheap + dear + missed >= 4 * unit, "demand")
    problem.add(dear <= 0.5 * unit, "limit")
    return problem


class TestTheWayBack:
    @pytest.mark.parametrize("name", SOLVERS)
    @pytest.mark.parametrize("unit", [1.0, 1e-7, 3e8])
    def test_values_duals_and_reduced_costs_are_in_units_of_the_problem(self, name, unit) -> None:
        problem = linear(unit)

        outcome = run_solver(problem, SolverSettings(name, gap=0.0))

        cheap, dear, missed = problem.variables
        assert [cheap.value, dear.value, missed.value] == pytest.approx(
            [3 * unit, 0.5 * unit, 0.5 * unit]
        )
        demand, limit = problem.constraints
        assert (demand.dual, limit.dual) == pytest.approx((100.0, -95.0))
        assert cheap.reduced_cost == pytest.approx(-98.0)
        assert problem.objective.evaluated() == pytest.approx(58.5 * unit)
        assert outcome.hidden <= 1e-5 * 58.5 * unit

    def test_integer_columns_are_not_scaled(self) -> None:
        problem = Problem()
        count = problem.add_variable("count", 0, 900, integer=True)
        room = problem.add_variable("room", 0)
        problem.objective = 3e7 * count
        problem.add(room <= 1e9 * count, "room")
        problem.add(room >= 4.2e11, "need")

        scaled = Scaled(problem)

        one, other = scaled.problem.variables()
        assert (one.upBound, one.cat, other.cat) == (900, "Integer", "Continuous")
        run_solver(problem, EXACT["highs"])
        assert count.value == 420
        assert scaled.start({"count": 7.0, "room": 4.2e11})["x0"] == 7.0

    @pytest.mark.parametrize("bound", [-2e9, 0.0, 3e-9])
    def test_a_bound_of_a_solver_is_in_the_unit_of_the_problem(self, bound) -> None:
        problem = Problem()
        count = problem.add_variable("count", 1, 3, integer=True)
        problem.objective = bound * count

        found = run_solver(problem, EXACT["highs"]).bound

        assert found == pytest.approx(bound if bound > 0 else 3 * bound)


class TestSizes:
    def test_bounds_are_passed_on_through_rows(self) -> None:
        problem = Problem()
        first = problem.add_variable("first", 0, 8.0)
        second, third = (problem.add_variable(name, 0) for name in ("second", "third"))
        problem.add(second <= 4 * first, "one")
        problem.add(2 * third == second, "two")

        assert most(numbers_of(problem)).tolist() == [8.0, 32.0, 16.0]

    def test_a_column_without_a_bound_is_scaled_like_its_neighbours(self) -> None:
        problem = Problem()
        limited = problem.add_variable("limited", 0, 2.0**30)
        slack = problem.add_variable("slack", 0)
        problem.objective = 1 * slack
        problem.add(limited + slack >= 2.0**30, "need")

        _, columns, _ = sizes(numbers_of(problem))

        assert columns.tolist() == [30, 30]

    def test_a_row_is_no_larger_than_a_step_of_a_purchase(self) -> None:
        """A tolerance relative to a thousand blocks would hide some of them."""
        problem = Problem()
        served = problem.add_variable("served", 0, 2.0**20)
        blocks = problem.add_variable("blocks", 0, 5000, integer=True)
        problem.add(served <= 2.0**12 * blocks, "room")

        rows, _, _ = sizes(numbers_of(problem))

        assert rows.tolist() == [12]

    @pytest.mark.parametrize("value", [1e-150, 1e150])
    def test_extreme_numbers_raise_no_error(self, value) -> None:
        problem = Problem()
        one, other = problem.add_variable("one", 0, value), problem.add_variable("other", 0)
        problem.objective = value * one + other
        problem.add(one + value * other >= 1.0, "row")
        problem.add(0 * one >= 0.0, "empty")

        scaled = Scaled(problem)

        assert all(
            math.isfinite(factor) for row in scaled.problem.constraints() for factor in row.values()
        )
        assert not math.isnan(scaled.hidden(Tolerances()))

    def test_a_problem_without_anything_is_scaled(self) -> None:
        assert Scaled(Problem()).hidden(Tolerances()) == 0.0


@pytest.mark.parametrize("requests", [1.0, 1e-6])
def test_the_audit_finds_what_is_off_in_any_unit(tiny, requests) -> None:
    """A part in a thousand of the demand of a group is a nanorequest in the smaller unit."""
    programme, solution = solved(in_units(tiny.model, requests=requests), EXACT["highs"])
    requests = (one for stage in programme.by_stage.values() for one in stage.served.values())
    served = max(requests, key=lambda one: solution.values[one.name])
    off = {**solution.values, served.name: 1.001 * solution.values[served.name]}

    with pytest.raises(AuditError, match=r"demand_balance\.|at most"):
        audit(programme, replace(solution, values=off))


def test_rounding_left_of_a_sum_is_not_a_scale() -> None:
    """A side of 1e-16 once made a row 1e16 times larger, and HiGHS took none of the rows."""
    problem = Problem()
    held = problem.add_variable("held", 0, 0, integer=True)
    choice = problem.add_variable("choice", 0, 1, integer=True)
    left = problem.add_variable("left", 0)
    problem.objective = -1 * left + 1 * choice
    problem.add(left + 0.4 * choice - 0.8 * held <= 1.1e-16, "most")
    problem.add(left + 2 * choice >= -1e-17, "least")

    scaled = Scaled(problem).problem

    entries = [abs(factor) for row in scaled.constraints() for _, factor in row.items() if factor]
    assert max(entries) < 2.0**20


def test_no_entry_is_too_large_for_a_solver() -> None:
    """A held column beside one that stays near zero; HiGHS refuses all rows for one of 1e15."""
    problem = Problem()
    held = problem.add_variable("held", 0, 0, integer=True)
    small = problem.add_variable("small", 0, 1e-18)
    problem.objective = -1 * small
    problem.add(small - 0.8 * held <= 0.0, "most")

    assert np.abs(Scaled(problem).numbers.entry).max() < 2.0**49
    assert run_solver(problem, SolverSettings()).stats.has_solution
