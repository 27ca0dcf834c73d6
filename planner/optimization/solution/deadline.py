"""Time that is left for several solves together."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

from planner.optimization.solution.settings import SolverSettings

#: Remaining seconds below which the time counts as over, and which a solve gets at least.
LEAST_SECONDS = 0.1


class OutOfTime(Exception):  # noqa: N818
    """The time limit has passed: what is known so far has to do."""


class Deadline:
    """Solver settings whose time limit shrinks as time passes: the only place that counts it.

    Parameters
    ----------
    settings
        Settings whose time limit is that of everything together, from now on.
    """

    def __init__(self, settings: SolverSettings) -> None:
        self._settings = settings
        self._end = time.monotonic() + (settings.time_limit_seconds or math.inf)

    @property
    def left_seconds(self) -> float:
        """Time left: negative once it has passed, infinite without a limit."""
        return self._end - time.monotonic()

    @property
    def over(self) -> bool:
        """Whether there is no time for another solve, or somebody has asked to stop."""
        return self._settings.stopped or self.left_seconds < LEAST_SECONDS

    def check(self) -> None:
        """Raise `OutOfTime` if time is over."""
        if self.over:
            raise OutOfTime

    def watched[Thing](self, things: Iterable[Thing]) -> Iterator[Thing]:
        """Things one by one, as long as there is time (`check`)."""
        for thing in things:
            self.check()
            yield thing

    def settings(self, gap: float | None = None, late: bool = False) -> SolverSettings:
        """Settings for the next solve, with the time that is left.

        Parameters
        ----------
        gap
            Another relative gap than that of the settings.
        late
            Whether the solve is made when time is over too, as there is no result without it.

        Raises
        ------
        OutOfTime
            If time is over.
        """
        if not late:
            self.check()
        left = self.left_seconds
        limit = None if math.isinf(left) else max(LEAST_SECONDS, left)
        chosen = self._settings.gap if gap is None else gap
        return replace(self._settings, gap=chosen, time_limit_seconds=limit)

    @property
    def endless(self) -> SolverSettings:
        """Settings of a short solve without which there is no result: nothing ends it early."""
        return replace(self._settings, time_limit_seconds=None, stop=None)
