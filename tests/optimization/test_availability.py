"""What is known of something before measures are chosen."""

from __future__ import annotations

from planner.optimization.formulation.algebra import Problem
from planner.optimization.formulation.availability import Availability, When


def test_a_constant_is_certain_or_impossible() -> None:
    up, down = Availability.known(True), Availability.known(False)
    assert (up.certain, up.impossible) == (True, False)
    assert (down.certain, down.impossible) == (False, True)


def test_an_expression_of_measures_is_neither() -> None:
    problem = Problem()
    bought = problem.add_variable("bought", 0, 1)
    for expression in (1 * bought, 1 - bought):
        open_one = Availability(expression)
        assert not open_one.certain
        assert not open_one.impossible


def test_a_condition_holds_in_all_in_none_or_in_some_variants() -> None:
    conditions = When(certain=True), When(certain=False), When(False, frozenset({1}))
    assert [condition.certain for condition in conditions] == [True, False, False]
    assert [condition.impossible for condition in conditions] == [False, True, False]
