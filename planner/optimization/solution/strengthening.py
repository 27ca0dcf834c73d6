"""Rows of candidate regions that the relaxation violates, where stating them all would be too many.

The linear relaxation is solved, the rows of `served_if_open` that its solution violates are added,
and so on until they no longer raise the bound. Each round starts from the basis of the one before.
"""

from __future__ import annotations

from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray

from planner.optimization.formulation.candidates import FEW_PAIRS, Pair, pairs, state
from planner.optimization.formulation.programme import Programme
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.scaling import Scaled
from planner.optimization.solution.silence import silent
from planner.optimization.solution.solvers import load
from planner.optimization.solution.watching import Watch

#: Share of what a candidate serves of a group, beyond that of it which is open, that counts.
VIOLATED = 1e-6
#: The rounds end after two that each raise the bound by less than this part of it.
LEAST_GAIN = 1e-4
MOST_ROUNDS = 100


@silent()
def strengthen(programme: Programme, deadline: Deadline) -> int:
    """State the rows of candidate regions that the relaxation of a programme violates.

    Parameters
    ----------
    deadline
        Ends the rounds early; the rows found by then are stated.

    Returns
    -------
    int
        Number of rows added.
    """
    found = [one for one in pairs(programme) if one.row_name not in programme.constraints]
    if len(found) <= FEW_PAIRS:  # all of them are stated from the beginning
        return 0
    relaxation = _Relaxation(programme, found)
    violated = relaxation.rounds(deadline)
    for number in violated:
        state(programme, found[number])
    return len(violated)


class _Relaxation:
    """The linear relaxation of a programme, and the rows that may be added to it.

    Parameters
    ----------
    found
        Pairs whose rows are not stated.
    """

    def __init__(self, programme: Programme, found: list[Pair]) -> None:
        scaled = Scaled(programme.problem)
        self._highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
        self._highs.setOptionValue("log_to_console", False)
        load(self._highs, scaled.numbers, whole=False)
        self._pair = np.repeat(np.arange(len(found)), [len(one.flows) for one in found])
        self._flow = np.array([flow.id for one in found for flow in one.flows], dtype=np.int32)
        self._opened = np.array([one.opened.id for one in found], dtype=np.int32)
        mean = np.array([one.mean_rps for one in found])
        #: Share of a group that one of a flow is, in scaled units.
        self._share = np.ldexp(1.0, scaled.column_sizes[self._flow]) / mean[self._pair]

    def rounds(self, deadline: Deadline) -> list[int]:
        """Solve and add violated rows until that gains no more; numbers of the pairs added."""
        settings = deadline.settings(late=True)
        if settings.threads is not None:
            self._highs.setOptionValue("threads", settings.threads)
        watch, added = Watch(self._highs, settings.stop), np.zeros(len(self._opened), dtype=bool)
        bound, slow = -np.inf, 0
        for _ in range(MOST_ROUNDS):
            if deadline.over:
                break
            watch.limit_seconds = deadline.settings().time_limit_seconds
            watch.run()
            if watch.left_for or self._highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
                break
            before, bound = bound, self._highs.getObjectiveValue()
            slow = slow + 1 if bound - before < LEAST_GAIN * abs(bound) else 0
            violated = np.flatnonzero((self._excess() > VIOLATED) & ~added)
            if slow > 1 or not len(violated):
                break
            self._add(violated)
            added[violated] = True
        return [int(number) for number in np.flatnonzero(added)]

    def _excess(self) -> NDArray[np.float64]:
        """Share served of each group beyond the part that is open, by pair."""
        values = np.array(self._highs.getSolution().col_value)
        served = np.bincount(self._pair, self._share * values[self._flow])
        excess: NDArray[np.float64] = served - values[self._opened]
        return excess

    def _add(self, chosen: NDArray[np.int64]) -> None:
        """Add the rows of some pairs."""
        count, mine = len(chosen), np.isin(self._pair, chosen)
        row = np.concatenate([np.searchsorted(chosen, self._pair[mine]), np.arange(count)])
        order = np.argsort(row, kind="stable")
        column = np.concatenate([self._flow[mine], self._opened[chosen]])[order]
        entry = np.concatenate([self._share[mine], np.full(count, -1.0)])[order]
        starts = np.searchsorted(row[order], np.arange(count)).astype(np.int32)
        low, high = np.full(count, -np.inf), np.zeros(count)
        self._highs.addRows(count, low, high, len(column), starts, column, entry)
