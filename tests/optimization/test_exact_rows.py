"""Rows and bounds held against fractions: rounding hides nothing beyond the tolerance."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from fractions import Fraction
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from planner.optimization.formulation.algebra import (
    AT_LEAST,
    AT_MOST,
    EQUAL,
    Constraint,
    Expression,
    Problem,
)
from planner.optimization.solution import audit
from planner.optimization.solution.audit_purchases import RELATIVE
from planner.optimization.solution.scaling import numbers_of

#: Factors with values of columns, sense, side, and the size of the row as a power of two.
Row = tuple[list[tuple[float, float]], int, float, int]


def cases_of(problem: Problem) -> Any:
    return SimpleNamespace(programme=SimpleNamespace(problem=problem), sides={}, highs={})


def refused_of(rows: Sequence[Row]) -> set[int]:
    """Numbers of the rows that the audit names; each has columns of its own."""
    problem, values = Problem(), list[float]()
    for number, (terms, sense, side, _) in enumerate(rows):
        left = Expression({}, -side)
        for factor, value in terms:
            left.add(problem.add_variable(f"x{len(values)}", -math.inf, math.inf, False), factor)
            values.append(value)
        problem.add(Constraint(left, sense), str(number))
    size = np.array([size for *_, size in rows], dtype=np.int64)
    found = np.array(values)[:, None]
    named = audit._check_rows(cases_of(problem), numbers_of(problem), found, size)
    return {int(one.split()[1]) for one in named}


def excess_and_room(row: Row) -> tuple[Fraction, Fraction]:
    """By how much a row is broken, and may be, in fractions."""
    terms, sense, side, size = row
    amounts = [Fraction(factor) * Fraction(value) for factor, value in terms]
    off = sum(amounts) - Fraction(side)
    excess = {AT_MOST: off, AT_LEAST: -off, EQUAL: abs(off)}[sense]
    largest = max(Fraction(2) ** size, abs(Fraction(side)), *map(abs, amounts))
    return excess, Fraction(RELATIVE) * largest


def drawn_row(rng: Random) -> Row:
    """A row that is broken by its tolerance, but for what the last digits of its side make of it.

    Terms cancel, so that sums round much beside what is left of them.
    """
    terms = list[tuple[float, float]]()
    for _ in range(rng.choice((1, 2, 3, 30))):
        factor, value = rng.uniform(-1, 1) * 10.0 ** rng.randint(-3, 6), rng.uniform(0, 1e3)
        again = value * (1 + rng.choice((0, 1e-9, 1e-6)))
        terms += [(factor, value), (-factor, again)]
    sense, size = rng.choice((AT_MOST, AT_LEAST, EQUAL)), rng.randint(-20, 30)
    left = sum(Fraction(factor) * Fraction(value) for factor, value in terms)
    side = float(left)
    for _ in range(3):  # the side may be what the tolerance is measured by
        room = excess_and_room((terms, sense, side, size))[1]
        side = float(left + room if sense == AT_LEAST else left - room)
    for _ in range(rng.randrange(3)):
        side = math.nextafter(side, rng.choice((-math.inf, math.inf)))
    return terms, sense, side, size


def test_no_rounding_hides_a_row_that_is_broken_by_more_than_the_tolerance(monkeypatch) -> None:
    """Down to the last digit of the side."""
    rows = [drawn_row(Random(number)) for number in range(3000)]
    broken = {number for number, row in enumerate(rows) if operator.gt(*excess_and_room(row))}
    assert 1000 < len(broken) < 2500
    assert broken <= refused_of(rows)
    monkeypatch.setattr(audit, "UNIT_ROUNDOFF", 0.0)
    monkeypatch.setattr(audit, "ROUNDED", 0.0)
    assert broken - refused_of(rows)  # the sums as they come hide some


def test_a_row_well_within_its_tolerance_is_kept() -> None:
    rows = [drawn_row(Random(number)) for number in range(1000)]
    rows = [(terms, sense, side, size + 60) for terms, sense, side, size in rows]
    assert not any(operator.gt(*excess_and_room(row)) for row in rows)
    assert not refused_of(rows)


@pytest.mark.parametrize("up", [False, True])
def test_no_rounding_hides_a_value_beyond_its_bound(up: bool) -> None:
    """A value beyond the tolerance by one digit is refused, one well within it is kept."""
    for number in range(300):
        rng = Random(number)
        bound, size = rng.uniform(-1e3, 1e3), rng.randint(-10, 20)
        sign = 1 if up else -1
        least = 2.0**size
        value = bound
        for _ in range(9):
            value = bound + sign * RELATIVE * max(least, abs(value))
        while abs(Fraction(value) - Fraction(bound)) <= Fraction(RELATIVE) * max(
            Fraction(least), abs(Fraction(value))
        ):
            value = math.nextafter(value, sign * math.inf)
        for tried, wrong in ((value, True), (bound + sign * 0.9 * RELATIVE * least, False)):
            problem = Problem()
            problem.add_variable("x", *((-1e9, bound) if up else (bound, 1e9)), False)
            found, sizes = np.array([[tried]]), np.array([size], dtype=np.int64)
            named = audit._check_bounds(cases_of(problem), numbers_of(problem), found, sizes)
            assert bool(list(named)) == wrong, (number, bound, tried)
