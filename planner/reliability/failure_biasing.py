"""Failure biasing: failures that lead towards a loss are drawn more often than they occur."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from planner.reliability.estimates import Floats
from planner.reliability.sampling import Down


class FailureBias:
    """Sources of failures to favour in a state, known from what pairs of failures may cost.

    In a loss-free state, sources that may cause a loss together with one already failed are
    favoured; if there are none, or nothing has failed yet, those that may do so with any other.
    Where a loss is possible already nothing is favoured: rates decide. So they do for losses that
    need three failures of which no two do harm.

    Parameters
    ----------
    may_lose
        Whether a state, given as sources with the number of failed copies, may cause a loss.
    """

    def __init__(self, sources: int, may_lose: Callable[[Down], bool]) -> None:
        self._sources, self._may_lose = sources, may_lose
        self._known: dict[Down, Floats | None] = {}
        self._rows: dict[int, Floats] = {}

    def __call__(self, down: Down) -> Floats | None:
        """1 for sources to favour in a state, shape (sources,); None where rates decide."""
        if down not in self._known:
            self._known[down] = self._work_out(down)
        return self._known[down]

    def _work_out(self, down: Down) -> Floats | None:
        if not down:
            return self._partnered if self._partnered.any() else None
        if self._may_lose(down):
            return None
        near = np.max([self._row(source) for source, _ in down], axis=0)
        if near.any():
            return np.asarray(near)
        return self._partnered if self._partnered.any() else None

    def _row(self, first: int) -> Floats:
        """1 for sources that may cause a loss together with a given one, shape (sources,)."""
        if first not in self._rows:
            self._rows[first] = np.array(
                [float(self._together(first, other)) for other in range(self._sources)]
            )
        return self._rows[first]

    def _together(self, first: int, second: int) -> bool:
        for source in (first, second):
            if self._may_lose(((source, 1),)):
                return True
        if first == second:
            return self._may_lose(((first, 2),))
        return self._may_lose(tuple((source, 1) for source in sorted((first, second))))

    @cached_property
    def _partnered(self) -> Floats:
        """1 for sources that may cause a loss together with any other, shape (sources,)."""
        return np.array([self._row(source).max() for source in range(self._sources)])
