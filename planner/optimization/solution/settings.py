"""How programmes are solved."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from typing import Literal, get_args

from planner.amounts import NOTHING

#: Relative gap that the tolerances of a solver and the digits that it prints leave.
NOISE = 1e-5

Method = Literal["extensive", "decomposed", "auto"]


def relative_gap(cost: float, bound: float) -> float:
    """Distance of a cost from a bound as a share of the cost; 0 where both are less than a cent.

    Examples
    --------
    >>> relative_gap(100.0, 99.0), relative_gap(0.0, -1e-6), relative_gap(0.0, -1.0)
    (0.01, 0.0, 200.0)
    """
    distance = cost - bound
    if math.isnan(distance) or max(abs(cost), abs(distance)) < NOTHING:  # NaN: there is no plan
        return 0.0
    return distance / max(abs(cost), NOTHING)


@dataclass(frozen=True)
class SolverSettings:
    """How to solve.

    Parameters
    ----------
    name
        ``highs``, ``cbc`` or a name that PuLP knows.
    gap
        Relative gap at which a solution counts as optimal.
    time_limit_seconds
        Wall time for one solve; None for no limit.
    threads
        Threads of the solver; None for its own choice.
    method
        ``extensive``: all scenarios in one programme; ``decomposed``: purchases in one, the
        recourse of each scenario in small ones; ``auto``: what is faster for the size.
    stop
        Once it is set, HiGHS and CBC end with what they have; None for never.

    Raises
    ------
    ValueError
        If a value is outside its accepted set.
    """

    name: str = "highs"
    gap: float = 1e-4
    time_limit_seconds: float | None = None
    threads: int | None = None
    method: Method = "auto"
    stop: threading.Event | None = field(default=None, repr=False, compare=False)

    @property
    def stopped(self) -> bool:
        """Whether solvers are told to stop."""
        return self.stop is not None and self.stop.is_set()

    def proves(self, gap: float) -> bool:
        """Whether a relative gap is what was asked for, but for what tolerances leave."""
        return gap <= self.gap + NOISE

    def __post_init__(self) -> None:
        if not 0 <= self.gap < 1:
            raise ValueError(f"Expected gap in [0, 1), got {self.gap}.")
        if self.time_limit_seconds is not None and not self.time_limit_seconds > 0:
            raise ValueError(f"Expected time limit > 0, got {self.time_limit_seconds}.")
        if self.method not in get_args(Method):
            accepted = ", ".join(get_args(Method))
            raise ValueError(f"Expected method in {accepted}, got {self.method}.")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"Expected threads ≥ 1, got {self.threads}.")
