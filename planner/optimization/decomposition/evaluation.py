"""Recourse programmes solved in HiGHS directly: their value, and cuts from their duals.

From any multipliers y of the rows follows, by weak duality, ``v(x) ≥ y·(side − T·x) +
Σ_j min(0, cost_j − A_j·y)·high_j`` for all purchases x. So a cut holds whatever the tolerances of
the solver; at the optimum it is tight where it was made.
"""

from __future__ import annotations

import copyreg
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray

from planner.errors import SolverError
from planner.optimization.decomposition.blocks import Block, Floats, Structure, Whole
from planner.optimization.formulation.algebra import AT_LEAST, AT_MOST
from planner.optimization.solution.deadline import OutOfTime
from planner.workers import workers

#: Price of missing a row, in units of the dearest column.
PRICE = 1e3
#: What is missed of a row, in its scaled unit, counts as zero up to here.
MISSED = 1e-7
#: Share of the largest slope of a cut below which a slope is rounding.
ROUNDING = 1e-12
#: Structures whose instances of HiGHS are kept: one takes some hundred KiB, and a millisecond.
MOST_INSTANCES = 1000
#: Blocks in a batch: some hundredths of a second.
BATCH = 50
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


Basis = Any  # highspy.HighsBasis
#: Blocks with the last basis of each, and the purchases at which they are evaluated.
Batch = tuple[Sequence[int], Sequence[Basis | None], Floats]


def _basis(columns: bytes, rows: bytes) -> Basis:
    """A basis from the digits of the states of its columns and rows."""
    made = highspy.HighsBasis()
    made.col_status = [highspy.HighsBasisStatus(digit - ord("0")) for digit in columns]
    made.row_status = [highspy.HighsBasisStatus(digit - ord("0")) for digit in rows]
    made.valid, made.alien, made.was_alien = True, False, False
    return made


def digits_of(basis: Basis) -> tuple[bytes, bytes]:
    """States of the columns and of the rows of a basis, a digit each."""
    columns, rows = (
        bytes(int(status) + ord("0") for status in states)
        for states in (basis.col_status, basis.row_status)
    )
    return columns, rows


copyreg.pickle(highspy.HighsBasis, lambda basis: (_basis, digits_of(basis)))


@dataclass
class _Instance:
    """HiGHS with the matrix of a structure, and a column for what each row may be missed by."""

    structure: Structure
    highs: Any
    block: Block | None = None


@dataclass
class Recourse:
    """Blocks, and instances of HiGHS that wait for the next of their structure.

    What comes of a block depends on its basis, or without one on the block before it, and on
    nothing else that was solved: so it is the same whoever solves it.
    """

    blocks: tuple[Block, ...] = ()
    _idle: dict[int, list[_Instance]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __reduce__(self) -> tuple[Any, ...]:
        return Recourse, (self.blocks,)

    def besides(self, more: Iterable[Block]) -> Recourse:
        """These blocks and others."""
        return Recourse((*self.blocks, *more), self._idle, self._lock)

    def solve(
        self, blocks: Iterable[Block], bases: Iterable[Basis | None], purchases: Floats
    ) -> Iterator[tuple[Evaluation, Basis]]:
        """Evaluations of blocks with their new bases.

        Raises
        ------
        SolverError
            If HiGHS fails.
        """
        instance: _Instance | None = None
        for block, basis in zip(blocks, bases, strict=True):
            known = instance is not None and instance.structure is block.structure
            if instance is None or not known:
                self._give_back(instance)
                instance = self._take(block.structure)
            if basis is not None or not known:
                instance.highs.clearSolver()
            yield self._evaluated(instance, block, basis, purchases)
        self._give_back(instance)

    def _evaluated(
        self, instance: _Instance, block: Block, basis: Basis | None, purchases: Floats
    ) -> tuple[Evaluation, Basis]:
        side = block.side_at(purchases)
        _state(instance, block, side, basis)
        value, duals, solution = _run(instance.highs)
        count = len(block.high)
        cut = _cut(block, duals, block.cost)
        if solution[count:].sum() <= MISSED * max(1.0, float(len(side)) ** 0.5):
            found = Evaluation(value, cut, None, solution[:count])
        else:
            found = _missed(instance, block, cut)
        return found, instance.highs.getBasis()

    def _take(self, structure: Structure) -> _Instance:
        with self._lock:
            idle = self._idle.get(structure.number)
            if idle:
                return idle.pop()
        return _Instance(structure, _made(structure))

    def _give_back(self, instance: _Instance | None) -> None:
        if instance is None:
            return
        with self._lock:
            self._idle.setdefault(instance.structure.number, []).append(instance)
            if len(self._idle) > MOST_INSTANCES:
                del self._idle[next(iter(self._idle))]


def _solved(recourse: Recourse, batch: Batch) -> list[tuple[Evaluation, Basis]]:
    """Evaluations of a batch."""
    numbers, bases, purchases = batch
    blocks = (recourse.blocks[number] for number in numbers)
    return list(recourse.solve(blocks, bases, purchases))


@dataclass
class Evaluator:
    """Evaluates blocks, shared among workers, and keeps a basis for each.

    Purchases of one place change the right-hand sides of few blocks, so the last evaluations of
    each are kept.
    """

    _recourse: Recourse = field(default_factory=Recourse)
    _numbers: dict[Block, int] = field(default_factory=dict)
    _bases: dict[Block, Basis] = field(default_factory=dict)
    _known: dict[Block, dict[bytes, Evaluation]] = field(default_factory=dict)

    def evaluate(self, block: Block, purchases: Floats) -> Evaluation:
        """Least cost of recourse of a block, with cuts.

        Raises
        ------
        SolverError
            If HiGHS fails.
        """
        side = block.side_at(purchases).tobytes()
        if side not in self._known.get(block, ()):
            (found,) = self._recourse.solve([block], [self._bases.get(block)], purchases)
            self._keep(block, side, *found)
        return self._known[block][side]

    def evaluate_all(
        self, blocks: Sequence[Block], purchases: Floats, over: Callable[[], bool] = lambda: False
    ) -> dict[Block, Evaluation]:
        """The same of many blocks.

        Parameters
        ----------
        blocks
            Those of a structure one after another.
        over
            Whether to stop.

        Raises
        ------
        OutOfTime
            If told to stop.
        SolverError
            If HiGHS fails.
        """
        sides = {block: block.side_at(purchases).tobytes() for block in blocks}
        new = [block for block, side in sides.items() if side not in self._known.get(block, ())]
        self._number(new)
        parts = workers(len(new)).map(_solved, self._recourse, self._batches(new, purchases, over))
        for block, (made, basis) in zip(new, chain.from_iterable(parts), strict=True):
            self._keep(block, sides[block], made, basis)
        return {block: self._known[block][side] for block, side in sides.items()}

    def _number(self, blocks: Sequence[Block]) -> None:
        """Give blocks that are new their places among those that workers have."""
        new = [block for block in blocks if block not in self._numbers]
        if new:
            self._numbers |= {block: i for i, block in enumerate(new, len(self._numbers))}
            self._recourse = self._recourse.besides(new)

    def _batches(
        self, blocks: Sequence[Block], purchases: Floats, over: Callable[[], bool]
    ) -> Iterator[Batch]:
        for first in range(0, len(blocks), BATCH):
            if over():
                raise OutOfTime
            some = blocks[first : first + BATCH]
            bases = [self._bases.get(block) for block in some]
            yield [self._numbers[block] for block in some], bases, purchases

    def _keep(self, block: Block, side: bytes, made: Evaluation, basis: Basis) -> None:
        known = self._known.setdefault(block, {})
        if len(known) >= MOST_KNOWN:
            del known[next(iter(known))]
        known[side], self._bases[block] = made, basis


def _missed(instance: _Instance, block: Block, cut: Cut) -> Evaluation:
    """Least that is missed; where that is nothing, the cost with nothing missed."""
    highs, count = instance.highs, len(block.high)
    extra = highs.getNumCol() - count
    slacks = np.arange(count, count + extra, dtype=np.int32)
    own = np.arange(count, dtype=np.int32)
    highs.changeColsCost(count, own, np.zeros(count))
    highs.changeColsCost(extra, slacks, np.ones(extra))
    instance.block = None
    missed, duals, solution = _run(highs)
    highs.changeColsCost(extra, slacks, np.full(extra, PRICE))
    if missed > MISSED:
        impossible = _cut(block, duals, np.zeros(count))
        return Evaluation(np.inf, cut, impossible, solution[:count])
    highs.changeColsCost(count, own, block.cost)
    highs.changeColsBounds(extra, slacks, np.zeros(extra), np.full(extra, MISSED))
    value, duals, solution = _run(highs)
    highs.changeColsBounds(extra, slacks, np.zeros(extra), np.full(extra, np.inf))
    return Evaluation(value, _cut(block, duals, block.cost), None, solution[:count])


def _state(instance: _Instance, block: Block, side: Floats, basis: Basis | None) -> None:
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
    if basis is not None:
        highs.setBasis(basis)


def _run(highs: Any) -> tuple[float, Floats, Floats]:
    highs.run()
    status = highs.getModelStatus()
    if status != highspy.HighsModelStatus.kOptimal:
        highs.clearSolver()
        highs.run()
        status = highs.getModelStatus()
    if status != highspy.HighsModelStatus.kOptimal:
        raise SolverError(f"HiGHS ended a recourse programme with {status.name}")
    found = highs.getSolution()
    value = float(highs.getInfo().objective_function_value)
    return value, np.array(found.row_dual), np.array(found.col_value)


def _made(structure: Structure) -> Any:
    highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("presolve", "off")
    highs.setOptionValue("solver", "simplex")
    # HiGHS wants the same number in all solves of a thread; those of masters have theirs.
    highs.setOptionValue("threads", 1)
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
