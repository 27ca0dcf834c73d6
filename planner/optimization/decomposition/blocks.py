"""Blocks: the small linear programmes into which recourse falls apart once purchases are fixed.

A block is a connected component of columns of recourse. In units in which every number is near one
(`solution.scaling.sizes`) it is

``v(x) = min cost·y   with   A·y (≤, =, ≥) side − T·x,  0 ≤ y ≤ high``

for purchases x. Cost is divided by its largest entry, the ``factor``. Blocks with the same numbers
are one block: only their factors, and the scenarios that they belong to, differ.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.optimization.formulation.algebra import Constraint, Problem
from planner.optimization.solution.scaling import Coefficients, most, numbers_of, sizes

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Structure:
    """What blocks share that differ in right-hand sides, bounds and costs only.

    Parameters
    ----------
    row, column, entry
        Coefficients of the matrix A, row by row.
    sense
        Sense of each row (`formulation.algebra`).
    short
        Rows that no recourse at all breaks for some purchases: recourse may miss them at a price.
    row_size, column_size
        Scale factors of rows and columns, as powers of two.
    number
        Position among the structures.
    """

    row: Whole
    column: Whole
    entry: Floats
    sense: Whole
    short: Whole
    row_size: Whole
    column_size: Whole
    number: int

    @property
    def slacks(self) -> tuple[Whole, Floats]:
        """Rows and signs of the columns by which rows may be missed."""
        sense = self.sense[self.short]
        up, down = self.short[sense >= 0], self.short[sense <= 0]
        return np.concatenate([up, down]), np.concatenate([np.ones(len(up)), -np.ones(len(down))])


@dataclass(frozen=True, eq=False)
class Form:
    """What blocks share that differ in what is asked of them only; its numbers are scaled.

    Parameters
    ----------
    side, high, cost
        Right-hand sides, upper bounds and costs.
    link_row, link_column, link_entry
        Coefficients of the matrix T; columns are ids of variables of the master.
    asked, limited
        Rows and columns whose right-hand sides and upper bounds a block has of its own.
    """

    structure: Structure
    side: Floats
    high: Floats
    cost: Floats
    link_row: Whole
    link_column: Whole
    link_entry: Floats
    asked: Whole
    limited: Whole

    @cached_property
    def linked(self) -> tuple[Whole, Whole]:
        """Ids of the master's variables in its rows, and the place of each coefficient there."""
        columns, place = np.unique(self.link_column, return_inverse=True)
        return columns, place

    @cached_property
    def touched(self) -> Whole:
        """Rows to which purchases add something."""
        return np.unique(self.link_row)

    @cached_property
    def _shared(self) -> Flags:
        """Columns with upper bounds that all blocks share."""
        found = np.ones(len(self.cost), dtype=bool)
        found[self.limited] = False
        return found

    def cost_at_most(self, prices: Floats, limits: Floats) -> float:
        """Cost of all columns at their upper bounds at some prices."""
        counted = self._shared & (prices != 0)
        mine = prices[self.limited]
        priced = mine != 0
        return float(prices[counted] @ self.high[counted] + mine[priced] @ limits[priced])

    def given_at(self, purchases: Floats) -> Floats:
        """What purchases add to the left sides of rows, at values of the master's variables."""
        given = self.link_entry * purchases[self.link_column]
        return np.bincount(self.link_row, given, minlength=len(self.side))


@dataclass(frozen=True, eq=False, slots=True)
class Block:
    """A block; its numbers are scaled.

    Parameters
    ----------
    needs, limits
        Right-hand sides of the rows of its form that ask, upper bounds of its limited columns.
    least
        What it costs at least, whatever is bought.
    """

    form: Form
    needs: Floats
    limits: Floats
    least: float = field(init=False)

    def __post_init__(self) -> None:
        least = self.form.cost_at_most(np.minimum(self.form.cost, 0.0), self.limits)
        object.__setattr__(self, "least", least)

    @property
    def structure(self) -> Structure:
        """Its structure."""
        return self.form.structure

    @property
    def cost(self) -> Floats:
        """Cost by column."""
        return self.form.cost

    @property
    def span(self) -> float:
        """Most by which its cost can exceed what it costs at least."""
        return self.form.cost_at_most(np.abs(self.form.cost), self.limits)

    @property
    def side(self) -> Floats:
        """Right-hand sides with nothing bought."""
        found = self.form.side.copy()
        found[self.form.asked] = self.needs
        return found

    @property
    def high(self) -> Floats:
        """Upper bounds of columns."""
        found = self.form.high.copy()
        found[self.form.limited] = self.limits
        return found


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """A block as part of one scenario.

    Parameters
    ----------
    factor
        USD of one occurrence for each unit of the block's cost.
    """

    block: Block
    factor: float


@dataclass(frozen=True, eq=False)
class Component:
    """A block of a programme, with its place there.

    Parameters
    ----------
    factor
        USD of one occurrence for each unit of its cost.
    columns, rows
        Positions of its columns and rows in the programme.
    """

    form: Form
    factor: float
    columns: Whole
    rows: Whole


@dataclass(frozen=True)
class _Numbers:
    """The numbers of a part: its own columns first, then those of the master in its rows.

    Parameters
    ----------
    all
        Columns of the master are the last.
    """

    all: Coefficients

    @property
    def linked(self) -> Whole:
        """Ids of columns of the master."""
        return self.all.linked

    @property
    def own(self) -> int:
        """How many columns are its own."""
        return len(self.all.cost) - len(self.all.linked)

    @cached_property
    def sizes(self) -> tuple[Whole, Whole]:
        """Scale factors of rows and columns, as powers of two."""
        rows, columns, _ = sizes(self.all)
        return rows, columns

    @cached_property
    def most(self) -> Floats:
        """Upper bounds on its own columns that rows imply."""
        return most(self.all)[: self.own]

    @cached_property
    def components(self) -> tuple[Whole, Whole]:
        """Component of each column of its own and of each row; -1 where a row has no such column.

        A component is named after the first of its columns.
        """
        inside = self.all.column < self.own
        row, column = self.all.row[inside], self.all.column[inside]
        of_column = np.arange(self.own)
        of_row = np.full(len(self.all.side), self.own)
        while True:
            before = of_column.copy()
            np.minimum.at(of_row, row, of_column[column])
            np.minimum.at(of_column, column, of_row[row])
            if np.array_equal(before, of_column):
                break
        return of_column, np.where(of_row == self.own, -1, of_row)

    @cached_property
    def may_be_broken(self) -> Flags:
        """Rows that no recourse at all breaks for some purchases."""
        numbers, others = self.all, self.all.column >= self.own
        row, column, entry = numbers.row[others], numbers.column[others], numbers.entry[others]
        ends = entry * numbers.low[column], entry * numbers.high[column]
        count = len(numbers.side)
        least = np.bincount(row, np.minimum(*ends), minlength=count) - numbers.side
        largest = np.bincount(row, np.maximum(*ends), minlength=count) - numbers.side
        found: Flags = ((numbers.sense <= 0) & (largest > 0)) | ((numbers.sense >= 0) & (least < 0))
        return found


@dataclass
class Library:
    """All structures, forms and blocks met so far, each of them once."""

    structures: dict[bytes, Structure] = field(default_factory=dict)
    forms: dict[bytes, Form] = field(default_factory=dict)
    blocks: dict[tuple[Form, bytes], Block] = field(default_factory=dict)

    def components(
        self, problem: Problem, bounds: tuple[Floats, Floats], asked: Whole, limited: Whole
    ) -> tuple[list[Component], list[Constraint]]:
        """The blocks of a programme of recourse, and its rows on purchases alone.

        Parameters
        ----------
        problem
            Recourse (`build_part`); its objective is the cost of one occurrence.
        bounds
            Lower and upper bounds on the variables of the master, by id.
        asked, limited
            Rows and columns whose right-hand sides and upper bounds each block has of its own;
            those of the problem are the largest.
        """
        every = numbers_of(problem)
        own = len(problem.variables)
        every.low[own:], every.high[own:] = (bound[every.linked] for bound in bounds)
        every.whole[own:] = False
        numbers = _Numbers(every)
        of_column, of_row = numbers.components
        columns, rows = _by_component(of_column), _by_component(of_row)
        entries = _by_component(of_row[numbers.all.row])
        nothing = np.zeros(0, dtype=np.int64)
        alone = [problem.constraints[i] for i in rows.pop(-1, nothing).tolist()]
        found = []
        for name, mine in columns.items():
            if name in rows or numbers.all.cost[mine].any():
                place = mine, rows.get(name, nothing)
                varying = np.isin(place[1], asked), np.isin(mine, limited)
                made = self._component(numbers, place, entries.get(name, nothing), varying)
                found.append(made)
        return found, alone

    def _component(
        self,
        numbers: _Numbers,
        place: tuple[Whole, Whole],
        entries: Whole,
        varying: tuple[Flags, Flags],
    ) -> Component:
        every, (columns, rows) = numbers.all, place
        row = np.searchsorted(rows, every.row[entries])
        column, entry = every.column[entries], every.entry[entries]
        own = column < numbers.own
        local, linked = np.searchsorted(columns, column[own]), ~own
        structure = self._structure(numbers, columns, rows, (row[own], local, entry[own]))
        row_size, column_size = structure.row_size, structure.column_size
        cost = np.ldexp(every.cost[columns], column_size)
        factor = float(np.abs(cost).max(initial=0.0))
        asked, limited = (np.flatnonzero(flags) for flags in varying)
        form = Form(
            structure,
            np.ldexp(every.side[rows], -row_size),
            np.ldexp(numbers.most[columns], -column_size),
            cost / factor if factor else cost,
            row[linked],
            numbers.linked[column[linked] - numbers.own],
            np.ldexp(entry[linked], -row_size[row[linked]]),
            asked,
            limited,
        )
        return Component(self._once(form), factor, columns, rows)

    def _structure(
        self, numbers: _Numbers, columns: Whole, rows: Whole, matrix: tuple[Whole, Whole, Floats]
    ) -> Structure:
        sense, short = numbers.all.sense[rows], np.flatnonzero(numbers.may_be_broken[rows])
        key = _digest(*matrix, sense, short, np.array([len(columns)]))
        if key not in self.structures:
            row_size, column_size = numbers.sizes[0][rows], numbers.sizes[1][columns]
            row, column, entry = matrix
            scaled = np.ldexp(entry, column_size[column] - row_size[row])
            self.structures[key] = Structure(
                row, column, scaled, sense, short, row_size, column_size, len(self.structures)
            )
        return self.structures[key]

    def _once(self, form: Form) -> Form:
        # Costs divided by their largest entry differ in their last digits.
        parts = (form.side, form.high, np.round(form.cost, 12), form.link_entry)
        places = (form.link_row, form.link_column, form.asked, form.limited)
        whose = np.array([form.structure.number])
        return self.forms.setdefault(_digest(*parts, *places, whose), form)

    def block(self, form: Form, needs: Floats, limits: Floats) -> Block:
        """The block of a form that asks for something."""
        key = form, _digest(needs, limits)
        found = self.blocks.get(key)
        if found is None:
            found = self.blocks[key] = Block(form, needs, limits)
        return found


def _digest(*arrays: NDArray[Any]) -> bytes:
    """What tells arrays from others, in few bytes."""
    found = blake2b(digest_size=16)
    for array in arrays:
        found.update(array.tobytes())
        found.update(b"|")
    return found.digest()


def _by_component(labels: Whole) -> dict[int, Whole]:
    """Positions of each label, in order."""
    order = np.argsort(labels, kind="stable")
    names, starts = np.unique(labels[order], return_index=True)
    ends = np.append(starts, len(order))
    return {name: order[i:j] for name, (i, j) in zip(names.tolist(), pairwise(ends), strict=True)}
