"""Time that is left for several solves together."""

from __future__ import annotations

import math
import time
from dataclasses import replace

from planner.optimization.solution.solving import SolverSettings

#: Less time than this is none.
LEAST_SECONDS = 0.05


class OutOfTime(Exception):  # noqa: N818
    """The time for a diagnosis has run out: what is known so far has to do."""


class Deadline:
    """Settings whose time limit shrinks as time passes.

    Parameters
    ----------
    settings
        Settings with the time for everything together.
    """

    def __init__(self, settings: SolverSettings) -> None:
        self._settings = settings
        self._end = time.monotonic() + (settings.time_limit_seconds or math.inf)

    @property
    def over(self) -> bool:
        """Whether time has run out, or somebody has asked to stop."""
        return self._settings.stopped or self._end - time.monotonic() < LEAST_SECONDS

    def settings(self, gap: float | None = None) -> SolverSettings:
        """Settings for the next solve.

        Raises
        ------
        OutOfTime
            If there is no time left for one.
        """
        left = self._end - time.monotonic()
        if self._settings.stopped or left < LEAST_SECONDS:
            raise OutOfTime
        chosen = self._settings.gap if gap is None else gap
        limit = None if math.isinf(left) else left
        return replace(self._settings, gap=chosen, time_limit_seconds=limit)
