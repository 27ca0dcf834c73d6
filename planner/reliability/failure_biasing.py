"""What should fail next, so that rare losses come up often enough to be measured."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from planner.reliability.estimates import Floats
from planner.reliability.sampling import Down


class Steering:
    """Failures that bring a loss nearer, known from what two failures at once may do.

    With a state in which nothing is lost, what may cost something together with one of its failures
    is favoured; if there is no such thing, or nothing has failed yet, what may do so with anything
    else. Where something may be
    lost already, nothing is favoured: rates decide. Losses that need three failures of which no two
    do harm are left to rates as well.

    Parameters
    ----------
    sources
        Number of sources.
    may_lose
        Whether anything may be lost in a state.
    """

    def __init__(self, sources: int, may_lose: Callable[[Down], bool]) -> None:
        self._sources, self._may_lose = sources, may_lose
        self._known: dict[Down, Floats | None] = {}
        self._rows: dict[int, Floats] = {}

    def __call__(self, down: Down) -> Floats | None:
        """1 for what is favoured, shape (sources,); None where nothing is."""
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
        """1 for what may cost anything together with a source, shape (sources,)."""
        if first not in self._rows:
            self._rows[first] = np.array(
                [float(self._together(first, other)) for other in range(self._sources)]
            )
        return self._rows[first]

    def _together(self, one: int, other: int) -> bool:
        for source in (one, other):
            if self._may_lose(((source, 1),)):
                return True
        if one == other:
            return self._may_lose(((one, 2),))
        return self._may_lose(tuple((source, 1) for source in sorted((one, other))))

    @cached_property
    def _partnered(self) -> Floats:
        """1 for what may cost anything together with some other failure, shape (sources,)."""
        return np.array([self._row(source).max() for source in range(self._sources)])
