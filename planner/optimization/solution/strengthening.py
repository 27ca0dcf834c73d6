"""Rows of candidate regions that the relaxation violates, where stating them all would be too many.

The linear relaxation is solved with the rows of those candidates that serve a group at the least
cost, and without the flows from others. Flows that would lower its cost and rows that its solution
violates are added until there are none. Only rows that bind are stated in the programme.

What the relaxation costs, and how much more with a candidate that it does not open, says which
candidates no cheap plan opens (`narrowing`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import highspy
import numpy as np

from planner.optimization.formulation.algebra import Variable
from planner.optimization.formulation.candidates import FEW_PAIRS, Pair, pairs, state
from planner.optimization.formulation.programme import Programme
from planner.optimization.solution.deadline import Deadline
from planner.optimization.solution.scaling import Coefficients, Flags, Floats, Scaled, Tolerances
from planner.optimization.solution.silence import silent
from planner.optimization.solution.solvers import load
from planner.optimization.solution.watching import Watch

#: Share of what a candidate serves of a group, beyond that of it which is open, that counts.
VIOLATED = 1e-6
#: Candidates of a group with which the relaxation begins.
NEAREST = 30
#: The rounds end after two that each raise the bound by less than this part of it.
LEAST_GAIN = 1e-4
MOST_ROUNDS = 100
#: Tolerances of the relaxation: those that HiGHS has by default.
LEFT = Tolerances(feasible=1e-7, whole=1e-7, optimal=1e-7)
#: Rounding of a quotient that should be whole.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Relaxed:
    """What the relaxation of a programme says of its candidate regions.

    Parameters
    ----------
    added
        Number of rows stated.
    bound_usd
        Cost of the relaxation less what tolerances can hide, USD per year; minus infinity where it
        was not solved to its end.
    unopened
        Candidates that it does not open, with what opening each would add at least, USD per year.
    """

    added: int = 0
    bound_usd: float = -math.inf
    unopened: Mapping[Variable, float] = field(default_factory=dict)


@silent()
def strengthen(programme: Programme, deadline: Deadline) -> Relaxed:
    """State the rows of candidate regions that bind in the relaxation of a programme.

    Parameters
    ----------
    deadline
        Where it comes first, nothing is stated: there is no time left to use it.
    """
    found = [one for one in pairs(programme) if one.row_name not in programme.constraints]
    if len(found) <= FEW_PAIRS:  # all of them are stated from the beginning
        return Relaxed()
    relaxation = _Relaxation(programme, found)
    if not relaxation.run(deadline):
        return Relaxed()
    binding = relaxation.binding()
    for number in binding:
        state(programme, found[number])
    return Relaxed(len(binding), relaxation.bound_usd, relaxation.unopened())


def rounded(numbers: Coefficients) -> Coefficients:
    """The same with sides of rows rounded to what whole numbers can sum to.

    ``a·Σ_j x[j] ≥ b`` with whole x[j] says ``a·Σ_j x[j] ≥ a·⌈b/a⌉``.
    """
    size, count = np.abs(numbers.entry), len(numbers.side)
    least, most = np.full(count, np.inf), np.zeros(count)
    np.minimum.at(least, numbers.row, np.where(numbers.whole[numbers.column], size, 0.0))
    np.maximum.at(most, numbers.row, size)
    chosen = (least == most) & (most > 0) & (numbers.sense != 0)
    sense, step, side = numbers.sense[chosen], most[chosen], numbers.side.copy()
    side[chosen] = sense * step * np.ceil(sense * side[chosen] / step - ROUNDING)
    return replace(numbers, side=side)


class _Relaxation:
    """The linear relaxation of a programme, and the rows that may be added to it.

    Parameters
    ----------
    found
        Pairs whose rows are not stated.

    Attributes
    ----------
    bound_usd
        As in `Relaxed`.
    """

    def __init__(self, programme: Programme, found: list[Pair]) -> None:
        self._scaled = Scaled(programme.problem)
        self._numbers, self._found = rounded(self._scaled.numbers), found
        self._highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
        self._highs.setOptionValue("log_to_console", False)
        load(self._highs, self._numbers, whole=False)
        self._pair = np.repeat(np.arange(len(found)), [len(one.flows) for one in found])
        self._flow = np.array([flow.id for one in found for flow in one.flows], dtype=np.int32)
        self._opened = np.array([one.opened.id for one in found], dtype=np.int32)
        mean = np.array([one.mean_rps for one in found])
        #: Share of a group that one of a flow is, in scaled units.
        self._share = np.ldexp(1.0, self._scaled.column_sizes[self._flow]) / mean[self._pair]
        self._row = np.full(len(found), -1)  # of each pair, -1 where it is not stated
        self._held = ~self._nearest()  # pairs without flow
        self.bound_usd = -math.inf

    def _nearest(self) -> Flags:
        """Pairs that serve their group at the least cost."""
        cost = self._least(self._numbers.cost[self._flow] / self._share)
        groups = np.array([one.group for one in self._found])
        order = np.lexsort((cost, groups))
        place = np.arange(len(order)) - np.searchsorted(groups[order], groups[order])
        nearest = np.zeros(len(order), dtype=np.bool_)
        nearest[order] = place < NEAREST
        return nearest

    def run(self, deadline: Deadline) -> bool:
        """Solve, and add flows and rows until that gains no more; whether it came to that."""
        settings = deadline.settings(late=True)
        if settings.threads is not None:
            self._highs.setOptionValue("threads", settings.threads)
        # All these rows are far from the first basis: work for an interior point method.
        self._highs.setOptionValue("solver", "ipm")
        self._bound(self._held, np.zeros_like(self._numbers.high))
        self._add(~self._held)
        watch, least, slow = Watch(self._highs, settings.stop), -math.inf, 0
        for _ in range(MOST_ROUNDS):
            if deadline.over:
                return False
            watch.limit_seconds = deadline.settings().time_limit_seconds
            watch.run()
            if watch.left_for:
                return False
            self._highs.setOptionValue("solver", "simplex")
            solved = self._highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
            if not solved and not self._held.any():
                return False
            if not solved:
                self._release(self._held.copy())
                continue
            before, least = least, self._highs.getObjectiveValue()
            slow = slow + 1 if least - before < LEAST_GAIN * abs(least) else 0
            reduced = self._reduced_cost()
            wanted = self._held & (reduced < -LEFT.optimal)
            violated = (self._row < 0) & (self._excess() > VIOLATED)
            if slow > 1 or not (wanted.any() or violated.any()):
                # All of a group is the most that a flow left out could serve at its reduced cost.
                least += float(np.minimum(reduced[self._held], 0.0).sum())
                self.bound_usd = self._scaled.cost(least) - self._scaled.hidden(LEFT)
                return True
            self._release(wanted)
            self._add(violated | (wanted & (self._row < 0)))
        return False

    def binding(self) -> list[int]:
        """Numbers of the pairs whose rows bind."""
        used = (self._excess() > -VIOLATED) & (self._served() > VIOLATED)
        binding = (self._row >= 0) & (used | (self._duals() < -LEFT.optimal))
        return [int(number) for number in np.flatnonzero(binding)]

    def unopened(self) -> dict[Variable, float]:
        """Candidates that are not opened, with what opening one adds at least, USD per year.

        That is the reduced cost, where duals of rows are no larger than unused flows need them to
        be: the solver may leave them larger, at the same bound.
        """
        solution = self._highs.getSolution()
        values, more = np.array(solution.col_value), np.array(solution.col_dual)
        spare = np.clip(np.minimum(-self._duals(), self._reduced_cost()), 0.0, None)
        np.add.at(more, self._opened, spare)
        return {
            one.opened: self._scaled.cost(float(more[column]))
            for one, column in zip(self._found, self._opened.tolist(), strict=True)
            if values[column] < VIOLATED and self._numbers.low[column] == 0.0
        }

    def _served(self) -> Floats:
        """Share served of each group, by pair."""
        values = np.array(self._highs.getSolution().col_value)
        served: Floats = np.bincount(self._pair, self._share * values[self._flow])
        return served

    def _excess(self) -> Floats:
        """Share served of each group beyond the part that is open, by pair."""
        excess: Floats = (
            self._served() - np.array(self._highs.getSolution().col_value)[self._opened]
        )
        return excess

    def _reduced_cost(self) -> Floats:
        """Least reduced cost of serving all of a group, by pair."""
        return self._least(np.array(self._highs.getSolution().col_dual)[self._flow] / self._share)

    def _duals(self) -> Floats:
        """Duals of the rows, by pair."""
        duals = np.append(np.array(self._highs.getSolution().row_dual), 0.0)
        chosen: Floats = duals[self._row]  # that of no row stands last
        return chosen

    def _least(self, values: Floats) -> Floats:
        """Least of the values of flows, by pair."""
        least = np.full(len(self._found), np.inf)
        np.minimum.at(least, self._pair, values)
        return least

    def _release(self, chosen: Flags) -> None:
        """Let the flows of some pairs be used."""
        self._bound(chosen, self._numbers.high)
        self._held &= ~chosen

    def _bound(self, chosen: Flags, high: Floats) -> None:
        """Set upper bounds on the flows of some pairs."""
        flows = self._flow[chosen[self._pair]]
        self._highs.changeColsBounds(len(flows), flows, self._numbers.low[flows], high[flows])

    def _add(self, chosen: Flags) -> None:
        """Add the rows of some pairs."""
        numbers, mine = np.flatnonzero(chosen), chosen[self._pair]
        count = len(numbers)
        self._row[numbers] = self._highs.getNumRow() + np.arange(count)
        row = np.concatenate([np.searchsorted(numbers, self._pair[mine]), np.arange(count)])
        order = np.argsort(row, kind="stable")
        column = np.concatenate([self._flow[mine], self._opened[numbers]])[order]
        entry = np.concatenate([self._share[mine], np.full(count, -1.0)])[order]
        starts = np.searchsorted(row[order], np.arange(count)).astype(np.int32)
        low, high = np.full(count, -np.inf), np.zeros(count)
        self._highs.addRows(count, low, high, len(column), starts, column, entry)
