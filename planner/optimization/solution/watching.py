"""HiGHS in a thread of its own, left behind where it does not end when it is told to.

HiGHS calls back between nodes and iterations, and is stopped there. It does not while it presolves,
solves the first relaxation of a programme with integers or searches in a smaller one: that has
taken half a minute. So it is told to stop, and left behind a moment later. Its best solution and
its bound are recorded whenever it reports them, so nothing that it has found is lost. A solver left
behind ends at its next report, or with the process.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

#: Seconds between two checks whether to stop.
LOOK_SECONDS = 0.1
#: Seconds that a solver has to end by itself, once told to stop or after its time limit.
GRACE_SECONDS = 0.5
#: Name of the threads in which HiGHS works.
THREAD = "solver"

Cause = Literal["stopped", "time limit"]


class Patience:
    """How long to wait for a solver.

    Parameters
    ----------
    stop
        Set once somebody asks the solver to stop; None for never.
    limit_seconds
        Wall time that the solver has from now on; None for no limit.
    """

    def __init__(self, stop: threading.Event | None, limit_seconds: float | None) -> None:
        self._stop = stop
        self._cause: Cause | None = None
        self._end = time.monotonic() + (math.inf if limit_seconds is None else limit_seconds)

    def cause(self) -> Cause | None:
        """Why the solver should have ended by now; None as long as it need not."""
        if self._cause is None:
            now = time.monotonic()
            if self._stop is not None and self._stop.is_set():
                self._cause, self._end = "stopped", min(now, self._end)
            elif now >= self._end:
                self._cause = "time limit"
        return self._cause

    def over(self, grace_seconds: float) -> bool:
        """Whether it is that long since the solver should have ended."""
        return self._cause is not None and time.monotonic() >= self._end + grace_seconds


@dataclass
class Watch:
    """A run of HiGHS, and what it has reported.

    Parameters
    ----------
    highs
        A ``highspy.Highs`` that holds the programme and its options.
    stop
        Once it is set the run ends; None for never.
    limit_seconds
        Wall time for the run; None for no limit.

    Attributes
    ----------
    values
        The best solution reported, by column; None as long as there is none.
    bound
        Bound reported on the objective of a programme with integers.
    left_for
        Why HiGHS was left behind at its work; None where it ended by itself. Nothing may then be
        asked of ``highs``.
    """

    highs: Any
    stop: threading.Event | None = None
    limit_seconds: float | None = None
    values: NDArray[np.float64] | None = None
    bound: float = -math.inf
    left_for: Cause | None = None
    _failed: list[BaseException] = field(default_factory=list)
    _left: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Run HiGHS until it ends or is left behind.

        Raises
        ------
        BaseException
            What the run raised; `KeyboardInterrupt` where a signal came meanwhile.
        """
        highs = self.highs
        for moment in (highs.cbMipInterrupt, highs.cbSimplexInterrupt, highs.cbIpmInterrupt):
            moment.subscribe(self._look)
        highs.cbMipInterrupt.subscribe(self._note_bound)
        highs.cbMipImprovingSolution.subscribe(self._note_solution)
        work = threading.Thread(target=self._work, name=THREAD, daemon=True)
        try:
            work.start()
            self.left_for = self._wait(work)
        except BaseException:
            self._left.set()
            raise
        if self._failed:
            raise self._failed[0]

    def _work(self) -> None:
        try:
            self.highs.run()
        except BaseException as error:
            self._failed.append(error)

    def _wait(self, work: threading.Thread) -> Cause | None:
        """Wait until the work ends, or for as long as it may take; why it is left, if it is."""
        patience = Patience(self.stop, self.limit_seconds)
        while True:
            # Signals reach Python between two waits only.
            work.join(LOOK_SECONDS)
            if not work.is_alive():
                return None
            cause = patience.cause()
            if cause is not None and patience.over(GRACE_SECONDS):
                self._left.set()
                return cause

    def _look(self, event: Any) -> None:
        if self._left.is_set() or (self.stop is not None and self.stop.is_set()):
            event.interrupt()

    def _note_bound(self, event: Any) -> None:
        self.bound = max(self.bound, event.data_out.mip_dual_bound)

    def _note_solution(self, event: Any) -> None:
        self.values = np.array(event.data_out.mip_solution, dtype=np.float64)


def left_behind() -> bool:
    """Whether a solver is still at work that nobody waits for."""
    return any(thread.name == THREAD for thread in threading.enumerate())
