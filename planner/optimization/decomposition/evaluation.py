"""Recourse programmes solved in HiGHS directly: their value, and cuts from their duals.

From any multipliers y of the rows follows, by weak duality, ``v(x) ≥ y·(side − T·x) +
Σ_j min(0, cost_j − A_j·y)·high_j`` for all purchases x. So a cut holds whatever the tolerances of
the solver; at the optimum it is tight where it was made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray

from planner.errors import SolverError
from planner.optimization.decomposition.blocks import Block, Floats, Structure, Whole
from planner.optimization.formulation.algebra import AT_LEAST, AT_MOST

#: Price of missing a row, in units of the dearest column.
PRICE = 1e3
#: What is missed of a row, in its scaled unit, counts as zero up to here.
MISSED = 1e-7
#: Share of the largest slope of a cut below which a slope is rounding.
ROUNDING = 1e-12
#: Instances of HiGHS that are kept: each takes some hundred KiB, and a millisecond to make anew.
MOST_INSTANCES = 1000

#: Right-hand sides of a block whose evaluations are kept.
MOST_KNOWN = 3


@dataclass(frozen=True, eq=False)
class Cut:
    """A lower bound ``constant + Σ slope·x`` on the value of a block, or on what it misses.

    Parameters
    ----------
    columns, slopes
        Ids of variables of the master, with their coefficients.
    """

    constant: float
    columns: Whole
    slopes: Floats

    def at(self, purchases: Floats) -> float:
        """The bound at given values of the master's variables."""
        return self.constant + float(self.slopes @ purchases[self.columns])


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A block at given purchases.

    Parameters
    ----------
    value
        Least cost of recourse, in the unit of the block; infinite where there is none.
    cut
        Bound on its value everywhere.
    impossible
        Bound on what is missed, where something is: has to be at most zero.
    solution
        Values of its columns, scaled.
    """

    value: float
    cut: Cut
    impossible: Cut | None
    solution: Floats


@dataclass
class _Instance:
    """HiGHS with the matrix of a structure, and a column for what each row may be missed by."""

    structure: Structure
    highs: Any
    block: Block | None = None


@dataclass
class Evaluator:
    """Solves blocks; keeps an instance of HiGHS for a structure and a basis for each block.

    Purchases of one place change the right-hand sides of few blocks, so the last evaluations of
    each are kept.

    Parameters
    ----------
    threads
        Threads of the other solves: HiGHS wants the same number everywhere in a process.
    """

    threads: int | None = None
    _instances: dict[int, _Instance] = field(default_factory=dict)
    _bases: dict[Block, Any] = field(default_factory=dict)
    _known: dict[Block, dict[bytes, Evaluation]] = field(default_factory=dict)

    def evaluate(self, block: Block, purchases: Floats) -> Evaluation:
        """Least cost of recourse of a block, with cuts.

        Raises
        ------
        SolverError
            If HiGHS fails.
        """
        side = block.side_at(purchases)
        known = self._known.setdefault(block, {})
        key = side.tobytes()
        if key not in known:
            if len(known) >= MOST_KNOWN:
                del known[next(iter(known))]
            known[key] = self._evaluated(block, side)
        return known[key]

    def _evaluated(self, block: Block, side: Floats) -> Evaluation:
        instance = self._instance(block.structure)
        self._state(instance, block, side)
        value, duals, solution = self._run(instance.highs, block)
        count = len(block.high)
        cut = _cut(block, duals, block.cost)
        if solution[count:].sum() <= MISSED * max(1.0, float(len(side)) ** 0.5):
            return Evaluation(value, cut, None, solution[:count])
        return self._missed(instance, block, cut)

    def _missed(self, instance: _Instance, block: Block, cut: Cut) -> Evaluation:
        """Least that is missed; where that is nothing, the cost with nothing missed."""
        highs, count = instance.highs, len(block.high)
        extra = highs.getNumCol() - count
        slacks = np.arange(count, count + extra, dtype=np.int32)
        own = np.arange(count, dtype=np.int32)
        highs.changeColsCost(count, own, np.zeros(count))
        highs.changeColsCost(extra, slacks, np.ones(extra))
        instance.block = None
        missed, duals, solution = self._run(highs, block)
        highs.changeColsCost(extra, slacks, np.full(extra, PRICE))
        if missed > MISSED:
            impossible = _cut(block, duals, np.zeros(count))
            return Evaluation(np.inf, cut, impossible, solution[:count])
        highs.changeColsCost(count, own, block.cost)
        highs.changeColsBounds(extra, slacks, np.zeros(extra), np.full(extra, MISSED))
        value, duals, solution = self._run(highs, block)
        highs.changeColsBounds(extra, slacks, np.zeros(extra), np.full(extra, np.inf))
        return Evaluation(value, _cut(block, duals, block.cost), None, solution[:count])

    def _state(self, instance: _Instance, block: Block, side: Floats) -> None:
        """Give HiGHS the numbers of a block, and its last basis."""
        highs, structure = instance.highs, block.structure
        count, rows = len(block.high), np.arange(len(side), dtype=np.int32)
        lower = np.where(structure.sense >= 0, side, -np.inf)
        upper = np.where(structure.sense <= 0, side, np.inf)
        highs.changeRowsBounds(len(rows), rows, lower, upper)
        if instance.block is not block:
            own = np.arange(count, dtype=np.int32)
            highs.changeColsCost(count, own, block.cost)
            highs.changeColsBounds(count, own, np.zeros(count), block.high)
            instance.block = block
        basis = self._bases.get(block)
        if basis is not None:
            highs.setBasis(basis)

    def _run(self, highs: Any, block: Block) -> tuple[float, Floats, Floats]:
        highs.run()
        status = highs.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            highs.clearSolver()
            highs.run()
            status = highs.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise SolverError(f"HiGHS ended a recourse programme with {status.name}")
        self._bases[block] = highs.getBasis()
        found = highs.getSolution()
        value = float(highs.getInfo().objective_function_value)
        return value, np.array(found.row_dual), np.array(found.col_value)

    def _instance(self, structure: Structure) -> _Instance:
        if structure.number not in self._instances:
            if len(self._instances) >= MOST_INSTANCES:
                del self._instances[next(iter(self._instances))]
            self._instances[structure.number] = _Instance(structure, self._made(structure))
        return self._instances[structure.number]

    def _made(self, structure: Structure) -> Any:
        highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("presolve", "off")
        highs.setOptionValue("solver", "simplex")
        if self.threads is not None:
            highs.setOptionValue("threads", self.threads)
        count, rows = len(structure.column_size), len(structure.sense)
        nothing = np.zeros(0, dtype=np.int32)
        free = np.full(count, np.inf)
        highs.addCols(count, np.zeros(count), np.zeros(count), free, 0, nothing, nothing, free[:0])
        starts = np.searchsorted(structure.row, np.arange(rows)).astype(np.int32)
        column = structure.column.astype(np.int32)
        bound = np.full(rows, np.inf)
        highs.addRows(rows, -bound, bound, len(column), starts, column, structure.entry)
        row, sign = _slacks(structure)
        price, most = np.full(len(row), PRICE), np.full(len(row), np.inf)
        begin = np.arange(len(row), dtype=np.int32)
        highs.addCols(len(row), price, 0 * price, most, len(row), begin, row, sign)
        return highs


def _slacks(structure: Structure) -> tuple[NDArray[np.int32], Floats]:
    """Rows and signs of the columns by which rows may be missed."""
    sense = structure.sense[structure.short]
    up, down = structure.short[sense >= 0], structure.short[sense <= 0]
    row = np.concatenate([up, down]).astype(np.int32)
    return row, np.concatenate([np.ones(len(up)), -np.ones(len(down))])


def _cut(block: Block, duals: Floats, cost: Floats) -> Cut:
    """The cut that follows from multipliers of the rows, whatever they are."""
    structure = block.structure
    duals = np.where(structure.sense == AT_MOST, np.minimum(duals, 0.0), duals)
    duals = np.where(structure.sense == AT_LEAST, np.maximum(duals, 0.0), duals)
    given = structure.entry * duals[structure.row]
    reduced = cost - np.bincount(structure.column, given, minlength=len(cost))
    room = np.where(np.isfinite(block.high), block.high, 1.0)
    constant = float(duals @ block.side + np.minimum(reduced, 0.0) @ room)
    slope = -block.link_entry * duals[block.link_row]
    columns, place = np.unique(block.link_column, return_inverse=True)
    slopes = np.bincount(place, slope, minlength=len(columns))
    kept = np.abs(slopes) > ROUNDING * np.abs(slopes).max(initial=0.0)
    return Cut(constant, columns[kept], slopes[kept])
