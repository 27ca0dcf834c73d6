"""Recourse programmes solved in HiGHS directly: their value, and cuts from their duals.

From any multipliers y of the rows follows, by weak duality, ``v(x) ≥ y·(side − T·x) +
Σ_j min(0, cost_j − A_j·y)·high_j`` for all purchases x. So a cut holds whatever the tolerances of
the solver; at the optimum it is tight where it was made.
"""

from __future__ import annotations

import copyreg
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any
from weakref import WeakKeyDictionary

import highspy
import numpy as np

from planner.errors import SolverError
from planner.optimization.decomposition.blocks import Block, Floats, Form, Structure, Whole
from planner.optimization.formulation.algebra import AT_LEAST, AT_MOST, EQUAL, Expression, Variable
from planner.optimization.solution.deadline import OutOfTime
from planner.workers import workers

#: Price of missing a row, in units of the dearest column.
PRICE = 1e3
#: What is missed of a row, in its scaled unit, counts as zero up to here.
MISSED = 1e-7
#: Distances up to which recourse at other purchases is still feasible, and a cut tight.
STILL = 1e-9
#: Share of the largest slope of a cut below which a slope is rounding.
ROUNDING = 1e-12
#: Entries of the matrices whose instances of HiGHS are kept, one of which takes some hundred bytes,
#: and what an instance takes beside them.
MOST_IDLE, BESIDE = 1_000_000, 1000
#: Blocks in a batch: some hundredths of a second.
BATCH = 50
#: Purchases for which evaluations of a block are kept, and blocks up to which they are.
MOST_KNOWN, FEW_BLOCKS = 3, 200_000


@dataclass(frozen=True, eq=False, slots=True)
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

    def expression(self, variables: Sequence[Variable]) -> Expression:
        """The bound in terms of the variables of the master."""
        pairs = zip(self.columns.tolist(), self.slopes.tolist(), strict=True)
        return Expression({variables[j]: slope for j, slope in pairs}, self.constant)


@dataclass(frozen=True, eq=False, slots=True)
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
    room
        What its recourse leaves of the rows that purchases touch: the most that these may add to
        rows ≤, the least to rows ≥.
    """

    value: float
    cut: Cut
    impossible: Cut | None
    room: Floats

    def holds(self, form: Form, given: Floats, purchases: Floats) -> bool:
        """Whether it does at other purchases: its recourse is one there, and its cut is tight."""
        if self.impossible is not None:
            return False
        sense, more = form.structure.sense[form.touched], given - self.room
        return bool(
            (sense * more >= -STILL).all()
            and (np.abs(more[sense == EQUAL]) <= STILL).all()
            and self.value - self.cut.at(purchases) <= STILL * max(1.0, abs(self.value))
        )


Basis = Any  # highspy.HighsBasis, or one that is packed
STATES = [highspy.HighsBasisStatus(state) for state in range(5)]
#: Blocks of one form, with the basis to start from.
Run = tuple[Sequence[int], Basis | None]
#: Runs, and the purchases at which blocks are evaluated.
Batch = tuple[Sequence[Run], Floats]


@dataclass(frozen=True)
class PackedBasis:
    """A basis as it travels: the states of columns and rows.

    Who only passes it on does not unpack it, which takes a third of the time of solving a block.
    """

    columns: bytes
    rows: bytes

    def unpacked(self) -> Basis:
        """The basis for HiGHS."""
        made = highspy.HighsBasis()
        made.col_status = [STATES[state] for state in self.columns]
        made.row_status = [STATES[state] for state in self.rows]
        made.valid, made.alien, made.was_alien = True, False, False
        return made


def _packed(basis: Basis) -> Any:
    columns, rows = (
        bytes([state.value for state in states]) for states in (basis.col_status, basis.row_status)
    )
    return PackedBasis, (columns, rows)


copyreg.pickle(highspy.HighsBasis, _packed)


class _Idle:
    """Instances of HiGHS that wait for the next block of their structure; the last used are kept.

    Each has the matrix of its structure, and a column for what each row may be missed by. They go
    with their structure.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: WeakKeyDictionary[Structure, list[Any]] = WeakKeyDictionary()
        self._entries = 0  # at most: those that went with their structure are counted

    @contextmanager
    def lent(self, structure: Structure) -> Iterator[Any]:
        """An instance for a structure, which nobody else has meanwhile."""
        with self._lock:
            waiting = self._waiting.get(structure)
            highs = waiting.pop() if waiting else None
            self._entries -= _size(structure) if highs else 0
        highs = highs or _made(structure)
        yield highs
        with self._lock:
            self._waiting[structure] = [*self._waiting.pop(structure, ()), highs]
            self._entries += _size(structure)
            if self._entries > MOST_IDLE:
                self._forget()

    def _forget(self) -> None:
        """Drop instances that have not been used for longest."""
        sizes = [(one, len(idle) * _size(one)) for one, idle in self._waiting.items()]
        self._entries = sum(size for _, size in sizes)
        for one, size in sizes:
            if self._entries <= MOST_IDLE:
                break
            del self._waiting[one]
            self._entries -= size


def _size(structure: Structure) -> int:
    """Entries that an instance counts as."""
    return len(structure.entry) + BESIDE


#: Those of all programmes in parts together.
_IDLE = _Idle()


@dataclass(frozen=True)
class Recourse:
    """Blocks, and how they are solved.

    What comes of a block depends on the basis that its run starts from, on the blocks before it in
    the run, and on nothing else that was solved: so it is the same whoever solves it.
    """

    blocks: tuple[Block, ...] = ()

    def solve(
        self, blocks: Sequence[Block], basis: Basis | None, purchases: Floats
    ) -> tuple[list[Evaluation], Basis]:
        """Evaluations of blocks of one form, and the last basis.

        Raises
        ------
        SolverError
            If HiGHS fails.
        """
        form, given = blocks[0].form, blocks[0].form.given_at(purchases)
        with _IDLE.lent(form.structure) as highs:
            _begin(highs, form, basis)
            return [_evaluated(highs, block, given) for block in blocks], highs.getBasis()

    def columns(
        self, blocks: Sequence[Block], basis: Basis | None, purchases: Floats
    ) -> list[tuple[Floats, Floats]]:
        """Values of the columns of blocks of one form at least cost, and duals of rows, scaled."""
        form, found = blocks[0].form, []
        given = form.given_at(purchases)
        with _IDLE.lent(form.structure) as highs:
            _begin(highs, form, basis)
            for block in blocks:
                _evaluated(highs, block, given)
                made = highs.getSolution()
                found.append((np.array(made.col_value[: len(form.cost)]), np.array(made.row_dual)))
        return found


def _solved(recourse: Recourse, batch: Batch) -> list[tuple[list[Evaluation], Basis]]:
    """Evaluations of a batch, run by run."""
    runs, purchases = batch
    return [
        recourse.solve([recourse.blocks[number] for number in numbers], basis, purchases)
        for numbers, basis in runs
    ]


@dataclass
class Evaluator:
    """Evaluates blocks, shared among workers, and keeps a basis for each form.

    Where blocks are few, the last evaluations of each are kept: purchases of one place change the
    right-hand sides of few.
    """

    _recourse: Recourse = field(default_factory=Recourse)
    _numbers: dict[Block, int] = field(default_factory=dict)
    _bases: dict[Form, Basis] = field(default_factory=dict)
    _known: dict[Block, dict[bytes, Evaluation]] = field(default_factory=dict)

    def columns(self, blocks: Sequence[Block], purchases: Floats) -> list[tuple[Floats, Floats]]:
        """Values of the columns of blocks of one form at least cost, and duals of rows, scaled.

        Raises
        ------
        SolverError
            If HiGHS fails.
        """
        return self._recourse.columns(blocks, self._bases.get(blocks[0].form), purchases)

    def evaluate_all(
        self, blocks: Sequence[Block], purchases: Floats, over: Callable[[], bool] = lambda: False
    ) -> dict[Block, Evaluation]:
        """Least cost of recourse of blocks, with cuts.

        Parameters
        ----------
        over
            Whether to stop.

        Raises
        ------
        OutOfTime
            If told to stop.
        SolverError
            If HiGHS fails.
        """
        by_form: dict[Form, list[Block]] = {}
        for block in blocks:
            by_form.setdefault(block.form, []).append(block)
        added = {form: form.given_at(purchases)[form.touched] for form in by_form}
        given = {form: amounts.tobytes() for form, amounts in added.items()}
        found = {
            block: self._still(block, added[block.form], given[block.form], purchases)
            for block in blocks
        }
        runs = [
            new[first : first + BATCH]
            for form in sorted(by_form, key=lambda form: form.structure.number)
            if (new := [block for block in by_form[form] if found[block] is None])
            for first in range(0, len(new), BATCH)
        ]
        self._number(runs)
        count = sum(map(len, runs))
        parts = workers(count).map(_solved, self._recourse, self._batches(runs, purchases, over))
        bases: dict[Form, Basis] = {}
        for run, (made, basis) in zip(runs, chain.from_iterable(parts), strict=True):
            form = run[0].form
            bases[form] = basis
            for block, one in zip(run, made, strict=True):
                found[block] = one
                self._keep(block, given[form], one)
        self._bases |= bases
        return {block: one for block, one in found.items() if one is not None}

    def _still(
        self, block: Block, added: Floats, given: bytes, purchases: Floats
    ) -> Evaluation | None:
        """An evaluation of a block at other purchases that holds at these."""
        known = self._known.get(block, {})
        if given in known:
            return known[given]
        return next((e for e in known.values() if e.holds(block.form, added, purchases)), None)

    def _number(self, runs: Iterable[Sequence[Block]]) -> None:
        """Give blocks that are new their places among those that workers have."""
        new = [block for run in runs for block in run if block not in self._numbers]
        if new:
            self._numbers |= {block: i for i, block in enumerate(new, len(self._numbers))}
            self._recourse = Recourse((*self._recourse.blocks, *new))

    def _batches(
        self, runs: Iterable[Sequence[Block]], purchases: Floats, over: Callable[[], bool]
    ) -> Iterator[Batch]:
        batch, count = list[Run](), 0
        for run in runs:
            batch.append(([self._numbers[block] for block in run], self._bases.get(run[0].form)))
            count += len(run)
            if count >= BATCH:
                if over():
                    raise OutOfTime
                yield batch, purchases
                batch, count = [], 0
        if over():
            raise OutOfTime
        if batch:
            yield batch, purchases

    def _keep(self, block: Block, given: bytes, made: Evaluation) -> None:
        if len(self._numbers) > FEW_BLOCKS:
            self._known.clear()
            return
        known = self._known.setdefault(block, {})
        if len(known) >= MOST_KNOWN:
            del known[next(iter(known))]
        known[given] = made


def _begin(highs: Any, form: Form, basis: Basis | None) -> None:
    """Give HiGHS the numbers that blocks of a form share, and a basis to start from."""
    highs.clearSolver()
    columns = np.arange(len(form.cost), dtype=np.int32)
    highs.changeColsCost(len(columns), columns, form.cost)
    highs.changeColsBounds(len(columns), columns, np.zeros(len(columns)), form.high)
    if basis is not None:
        highs.setBasis(basis.unpacked() if isinstance(basis, PackedBasis) else basis)


def _evaluated(highs: Any, block: Block, given: Floats) -> Evaluation:
    """Least cost of a block of the form that HiGHS has."""
    side, high, form = block.side, block.high, block.form
    rows, sense = np.arange(len(side), dtype=np.int32), form.structure.sense
    lower = np.where(sense >= 0, side - given, -np.inf)
    upper = np.where(sense <= 0, side - given, np.inf)
    highs.changeRowsBounds(len(rows), rows, lower, upper)
    limited = form.limited.astype(np.int32)
    highs.changeColsBounds(len(limited), limited, np.zeros(len(limited)), block.limits)
    value, duals, missed, used = _run(highs, len(high))
    cut = _cut(form, duals, form.cost, (side, high))
    if missed <= MISSED * max(1.0, float(len(side)) ** 0.5):
        return Evaluation(value, cut, None, (side - used)[form.touched])
    return _missed(highs, form, cut, (side, high))


def _missed(highs: Any, form: Form, cut: Cut, limits: tuple[Floats, Floats]) -> Evaluation:
    """Least that is missed; where that is nothing, the cost with nothing missed."""
    count = len(form.cost)
    extra = highs.getNumCol() - count
    slacks = np.arange(count, count + extra, dtype=np.int32)
    own = np.arange(count, dtype=np.int32)
    highs.changeColsCost(count, own, np.zeros(count))
    highs.changeColsCost(extra, slacks, np.ones(extra))
    missed, duals, *_ = _run(highs, count)
    highs.changeColsCost(extra, slacks, np.full(extra, PRICE))
    highs.changeColsCost(count, own, form.cost)
    if missed > MISSED:
        return Evaluation(np.inf, cut, _cut(form, duals, np.zeros(count), limits), np.zeros(0))
    highs.changeColsBounds(extra, slacks, np.zeros(extra), np.full(extra, MISSED))
    value, duals, _, used = _run(highs, count)
    highs.changeColsBounds(extra, slacks, np.zeros(extra), np.full(extra, np.inf))
    cut = _cut(form, duals, form.cost, limits)
    return Evaluation(value, cut, None, (limits[0] - used)[form.touched])


def _run(highs: Any, count: int) -> tuple[float, Floats, float, Floats]:
    """Value, multipliers of rows, what is missed, and the left sides of rows."""
    highs.run()
    status = highs.getModelStatus()
    if status != highspy.HighsModelStatus.kOptimal:
        highs.clearSolver()
        highs.run()
        status = highs.getModelStatus()
    if status != highspy.HighsModelStatus.kOptimal:
        raise SolverError(f"HiGHS ended a recourse programme with {status.name}")
    found = highs.getSolution()
    value = float(highs.getObjectiveValue())
    return (
        value, np.array(found.row_dual), sum(found.col_value[count:]), np.array(found.row_value)
    )  # fmt: skip


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
    row, sign = structure.slacks
    price, most = np.full(len(row), PRICE), np.full(len(row), np.inf)
    begin = np.arange(len(row), dtype=np.int32)
    highs.addCols(len(row), price, 0 * price, most, len(row), begin, row.astype(np.int32), sign)
    return highs


def _cut(form: Form, duals: Floats, cost: Floats, limits: tuple[Floats, Floats]) -> Cut:
    """The cut that follows from multipliers of the rows, whatever they are.

    Parameters
    ----------
    limits
        Right-hand sides with nothing bought, and upper bounds.
    """
    structure, (side, high) = form.structure, limits
    duals = np.where(structure.sense == AT_MOST, np.minimum(duals, 0.0), duals)
    duals = np.where(structure.sense == AT_LEAST, np.maximum(duals, 0.0), duals)
    given = structure.entry * duals[structure.row]
    reduced = cost - np.bincount(structure.column, given, minlength=len(cost))
    room = np.where(np.isfinite(high), high, 1.0)
    constant = float(duals @ side + np.minimum(reduced, 0.0) @ room)
    columns, place = form.linked
    slopes = np.bincount(place, -form.link_entry * duals[form.link_row], minlength=len(columns))
    kept = np.abs(slopes) > ROUNDING * np.abs(slopes).max(initial=0.0)
    return Cut(constant, columns[kept], slopes[kept])
