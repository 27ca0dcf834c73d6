"""Scaling of programmes, so that the units of a model do not matter to solvers.

Solvers keep rows, whole numbers and reduced costs to tolerances (1e-6, 1e-7) in whatever unit they
come in: with requests in billions they see no difference between plans, with prices in millions of
a dollar they see no cost. So a solver is given each row divided by the size of its terms, each
continuous column divided by its largest value, and costs such that the dearest step costs about a
thousand. All scale factors follow from the numbers of the problem and are powers of two, so that
scaling and its inverse round nothing. Integer columns are not scaled.

========================  =====================================  ==============================
symbol                    attribute                              meaning
========================  =====================================  ==============================
x'[j] = x[j] / s[j]       ``columns`` (log2 of s)                value of a column
r[i]                      ``rows`` (log2 of r)                   size of a row
a'[i,j]                                                          ``a[i,j]·s[j]/r[i]``
c'[j]                     ``money`` (log2 of m)                  ``c[j]·s[j]/m``
========================  =====================================  ==============================
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pulp import (
    LpAffineExpression,
    LpContinuous,
    LpInteger,
    LpMinimize,
    LpProblem,
    lpSum_vars_coefs,
)

from planner.optimization.formulation.algebra import AT_MOST, EQUAL, Problem

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]

#: Rounds in which bounds of columns are passed on through rows; chains are not longer.
ROUNDS = 8
#: The dearest step costs two to this.
DEAREST = 10
#: A row is not divided by less than this part of what is in it: two to minus this.
FINEST = 10
#: A side of a row below this part of the other is what sums left of a zero.
RESIDUE = 2.0**-46
#: Entries of a scaled row stay below two to this: HiGHS refuses all rows where one is 1e15.
LARGEST = 48
#: Sizes stay within two to plus and minus this.
EXTREME = 400


@dataclass(frozen=True)
class Tolerances:
    """Tolerances of a solver.

    Parameters
    ----------
    feasible
        Share of its size by which a row or a value may be off.
    whole
        Largest distance of an integer column from a whole number.
    optimal
        Largest reduced cost of the wrong sign.
    """

    feasible: float = 1e-6
    whole: float = 1e-5
    optimal: float = 1e-6


@dataclass(frozen=True)
class Coefficients:
    """The numbers of a problem: entries by row and column, right-hand sides, bounds, costs.

    Parameters
    ----------
    row, column, entry
        Coefficients that are not zero.
    sense, side
        Sense (-1, 0, 1 as PuLP has it) and right-hand side by row.
    low, high, whole, cost
        Bounds, whether it is an integer, and cost by column.
    offset
        Constant term of the objective.
    linked
        Ids of the last columns, where these are of another problem.
    """

    row: Whole
    column: Whole
    entry: Floats
    sense: Whole
    side: Floats
    low: Floats
    high: Floats
    whole: Flags
    cost: Floats
    offset: float = 0.0
    linked: Whole = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


def numbers_of(problem: Problem) -> Coefficients:
    """Read the numbers of a problem; columns of another one in its rows come behind its own."""
    rows = problem.constraints
    terms = [row.items() for row in rows]
    row = np.repeat(np.arange(len(rows)), np.array([len(row) for row in terms], dtype=np.int64))
    variables = [variable for row in terms for variable, _ in row]
    entry = np.array([factor for row in terms for _, factor in row], dtype=np.float64)
    ids = np.array([variable.id for variable in variables], dtype=np.int64) - problem.first_id
    given, own = entry != 0, len(problem.variables)
    others = {variables[k].id: variables[k] for k in np.flatnonzero((ids < 0) & given).tolist()}
    linked = np.array(sorted(others), dtype=np.int64)
    place = np.searchsorted(linked, ids + problem.first_id)
    columns = [*problem.variables, *(others[number] for number in linked.tolist())]
    cost = np.zeros(len(columns))
    for variable, factor in problem.objective.items():
        cost[variable.id - problem.first_id] = factor
    return Coefficients(
        row[given],
        np.where(ids < 0, own + place, ids)[given],
        entry[given],
        np.array([row.sense for row in rows], dtype=np.int64),
        np.array([-row.constant for row in rows], dtype=np.float64),
        np.array([variable.low for variable in columns], dtype=np.float64),
        np.array([variable.high for variable in columns], dtype=np.float64),
        np.array([variable.integer for variable in columns], dtype=np.bool_),
        cost,
        float(problem.objective.constant),
        linked,
    )


def most(numbers: Coefficients) -> Floats:
    """Upper bounds on columns implied by rows and by the bounds of other columns.

    From ``Σ_j a[j]·x[j] ≤ b`` follows ``x[k] ≤ (b + Σ_{a[j] < 0} |a[j]|·most[j]) / a[k]``, with no
    x below zero. Only scale factors depend on it, so columns that may be negative do no harm.
    """
    at_most, at_least = numbers.sense[numbers.row] <= 0, numbers.sense[numbers.row] >= 0
    count = len(numbers.side)
    row = np.concatenate([numbers.row[at_most], numbers.row[at_least] + count])
    column = np.concatenate([numbers.column[at_most], numbers.column[at_least]])
    entry = np.concatenate([numbers.entry[at_most], -numbers.entry[at_least]])
    side = np.concatenate([numbers.side, -numbers.side])
    limited = (entry > 0) & ~numbers.whole[column]
    found = numbers.high.copy()
    for _ in range(ROUNDS):
        given = np.where(entry < 0, -entry * found[column], 0.0)
        room = side + np.bincount(row, given, minlength=2 * count)
        tighter = found.copy()
        np.minimum.at(tighter, column[limited], (room[row] / entry)[limited])
        tighter = np.maximum(tighter, 0.0)
        if np.array_equal(tighter, found):
            break
        found = tighter
    return found


def sizes(numbers: Coefficients) -> tuple[Whole, Whole, int]:
    """Scale factors of rows, columns and money, as powers of two.

    A column is scaled by its upper bound, a row by the smaller of its two sides at these bounds,
    but by no more than one step of its largest integer term: then no tolerance hides a purchase. A
    column without an implied upper bound is scaled like the terms beside it.
    """
    with np.errstate(all="ignore"):
        largest = most(numbers)
        known = np.isfinite(largest) & (largest > 0) & ~numbers.whole
        amount = np.where(known, largest, np.where(np.isfinite(numbers.high), numbers.high, 1.0))
        rows = _row_sizes(numbers, np.where(known | numbers.whole, amount, 0.0))
        beside = np.log2(rows)[numbers.row] - np.log2(np.abs(numbers.entry))
        mean = _mean(numbers.column, beside, len(numbers.cost))
        columns = _power(np.where(known, np.log2(amount), np.where(numbers.whole, 0.0, mean)))
        terms = np.log2(np.abs(numbers.entry)) + columns[numbers.column].astype(np.float64)
        left = _mean(numbers.row, terms, len(numbers.side))
        price = np.log2(np.abs(numbers.cost)) + columns
    free = (numbers.low < numbers.high) & (numbers.cost != 0)
    dearest = float(price[free].max()) if free.any() else float(DEAREST)
    largest_term = np.full(len(numbers.side), -math.inf)
    np.maximum.at(largest_term, numbers.row, terms)
    rows = np.maximum(np.where(np.isnan(rows), left, np.log2(rows)), largest_term - LARGEST)
    return _power(rows), columns, math.ceil(dearest) - DEAREST


def _row_sizes(numbers: Coefficients, amount: Floats) -> Floats:
    """Scale of every row; NaN where no term has a known scale."""
    count = len(numbers.side)
    term = np.abs(numbers.entry) * amount[numbers.column]
    sides = [
        np.bincount(numbers.row, np.where(sign * numbers.entry > 0, term, 0.0), minlength=count)
        + np.maximum(-sign * numbers.side, 0.0)
        for sign in (1, -1)
    ]
    rounding = RESIDUE * np.max(sides, axis=0, initial=0.0)
    counted = [np.where(side > rounding, side, math.inf) for side in sides]
    smaller = np.min(counted, axis=0, initial=math.inf)
    decided = numbers.whole & (numbers.low < numbers.high)
    step = np.zeros(count)
    np.maximum.at(step, numbers.row, np.where(decided[numbers.column], np.abs(numbers.entry), 0.0))
    finest = np.where(step > 0, np.maximum(step, smaller * 2.0**-FINEST), math.inf)
    size = np.minimum(smaller, finest)
    return np.where(np.isfinite(size) & (size > 0), size, math.nan)


def _mean(place: Whole, values: Floats, count: int) -> Floats:
    """Mean of the values of each place that are known; 0 where none is."""
    known = np.isfinite(values)
    times = np.bincount(place[known], minlength=count)
    mean: Floats = np.bincount(place[known], values[known], minlength=count) / np.maximum(times, 1)
    return mean


def _power(exponents: Floats) -> Whole:
    return np.clip(np.rint(exponents), -EXTREME, EXTREME).astype(np.int64)


class Scaled:
    """A scaled problem, and the way back to the original.

    Parameters
    ----------
    original
        Problem in the units of the model.
    """

    def __init__(self, original: Problem) -> None:
        self._original, self._numbers = original, numbers_of(original)
        rows, columns, money = sizes(self._numbers)
        self._rows, self._columns, self._money = rows.tolist(), columns.tolist(), money

    @property
    def column_sizes(self) -> Whole:
        """Scale of every column, as a power of two."""
        return np.array(self._columns, dtype=np.int64)

    @cached_property
    def numbers(self) -> Coefficients:
        """The numbers that a solver is given."""
        numbers = self._numbers
        rows, columns = np.array(self._rows, dtype=int), np.array(self._columns, dtype=int)
        return replace(
            numbers,
            entry=np.ldexp(numbers.entry, columns[numbers.column] - rows[numbers.row]),
            side=np.ldexp(numbers.side, -rows),
            low=np.ldexp(numbers.low, -columns),
            high=np.ldexp(numbers.high, -columns),
            cost=np.ldexp(numbers.cost, columns - self._money),
            offset=math.ldexp(numbers.offset, -self._money),
        )

    @cached_property
    def problem(self) -> LpProblem:
        """The scaled problem for PuLP; its columns and rows have numbers for names."""
        numbers, problem = self.numbers, LpProblem("scaled", LpMinimize)
        kinds = np.where(numbers.whole, LpInteger, LpContinuous).tolist()
        bounds = zip(numbers.low.tolist(), numbers.high.tolist(), kinds, strict=True)
        variables = [
            problem.add_variable(f"x{index}", _finite(low), _finite(high), kind)
            for index, (low, high, kind) in enumerate(bounds)
        ]
        ends = np.searchsorted(numbers.row, np.arange(len(numbers.side) + 1)).tolist()
        columns, entries = numbers.column.tolist(), numbers.entry.tolist()
        rows = zip(pairwise(ends), numbers.sense.tolist(), numbers.side.tolist(), strict=True)
        for index, ((start, end), sense, side) in enumerate(rows):
            terms = ((variables[columns[k]], entries[k]) for k in range(start, end))
            problem.addConstraint(_compared(lpSum_vars_coefs(terms), sense, side), f"c{index}")
        cost = enumerate(numbers.cost.tolist())
        objective = LpAffineExpression.from_list([(variables[j], c) for j, c in cost if c])
        problem.setObjective(objective + numbers.offset)
        return problem

    def start(self, values: Mapping[str, float]) -> dict[str, float]:
        """A known solution in scaled units, from values by name."""
        known = zip(self._original.variables, self._columns, strict=True)
        return {
            f"x{variable.id}": math.ldexp(values[variable.name], -size)
            for variable, size in known
            if variable.name in values
        }

    def cost(self, objective: float) -> float:
        """An objective or bound in the unit of the original."""
        return math.ldexp(objective, self._money)

    def hidden(self, left: Tolerances) -> float:
        """Cost that the tolerances of a solver can hide, in the unit of the original objective."""
        numbers, size = self._numbers, np.exp2(self._columns)
        free = numbers.low < numbers.high
        with np.errstate(all="ignore"):
            price = np.abs(numbers.cost) * size * np.where(numbers.whole, left.whole, left.feasible)
            reach = most(numbers) / size
        changes = float(np.where(np.isfinite(reach), reach, 1.0)[free].sum())
        return float(price[free].sum()) + self.cost(left.optimal * changes)

    def bring_back(self, solved: LpProblem) -> None:
        """Write values, reduced costs and duals that a solver found into the original.

        Parameters
        ----------
        solved
            `problem`, where the solver wrote its values.
        """
        # PuLP leaves a column of its own behind the others where nothing has a price.
        given = solved.variables()[: len(self._columns)]
        for variable, found, size in zip(
            self._original.variables, given, self._columns, strict=True
        ):
            variable.value = math.ldexp(found.varValue or 0.0, size)
            variable.reduced_cost = math.ldexp(found.dj or 0.0, self._money - size)
        rows = zip(self._original.constraints, solved.constraints(), self._rows, strict=True)
        for row, found_row, size in rows:
            row.dual = math.ldexp(found_row.pi or 0.0, self._money - size)


def _finite(bound: float) -> float | None:
    return None if math.isinf(bound) else bound


def _compared(left: LpAffineExpression, sense: int, side: float) -> LpAffineExpression:
    """An expression at most, at least or equal to its side."""
    if sense == EQUAL:
        return left == side
    return left <= side if sense == AT_MOST else left >= side
