"""HiGHS and CBC for PuLP, able to be stopped and to start from known values.

PuLP waits for a solver until it ends. Here the solver works beside the main thread (HiGHS in a
thread, CBC in its process), which regularly checks whether to stop it. A solver that is told to
stop ends as at a time limit: with its best solution and its bound.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import highspy
import numpy as np
import pulp
from pulp.constants import LpSolveStatus

from planner.optimization.solution.scaling import Coefficients

#: Seconds between two checks whether to stop.
LOOK_SECONDS = 0.1
#: Seconds after which CBC is told again: it does not listen while it reads and presolves.
AGAIN_SECONDS = 2.0


class Highs(pulp.HiGHS):
    """HiGHS in a thread of its own, which may be told to stop.

    Attributes
    ----------
    numbers
        Numbers to solve with in place of those of the problem, which has the same rows and columns.
    """

    def __init__(
        self,
        stop: threading.Event | None = None,
        start: Mapping[str, float] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.stop, self.start = stop, dict(start or {})
        self.numbers: Coefficients | None = None
        self.left = threading.Event()
        self.failed: list[BaseException] = []

    def buildSolverModel(self, lp: pulp.LpProblem) -> None:  # noqa: N802
        """Hand over the problem and the values known of a first solution."""
        if self.numbers is None:
            super().buildSolverModel(lp)
        else:
            _hand_over(lp, self.numbers, self.mip)
        if not self.start:
            return
        columns = [
            (column, self.start[name])
            for column, variable in enumerate(lp.exported_variables())
            if (name := f"x{variable.id}" if self.numbers else variable.name) in self.start
        ]
        if columns:
            indices, values = zip(*columns, strict=True)
            highs: Any = lp.solverModel
            highs.setSolution(len(indices), list(indices), list(values))

    def findSolutionValues(self, lp: pulp.LpProblem) -> tuple[LpSolveStatus, bool]:  # noqa: N802
        """Write what was found into the problem; columns that HiGHS was not given are zero."""
        given = {variable.id for variable in lp.exported_variables()}
        for variable in lp.variables():
            if variable.id not in given:
                variable.varValue = variable.dj = 0.0
        found: tuple[LpSolveStatus, bool] = super().findSolutionValues(lp)  # type: ignore[no-untyped-call]
        return found

    def callSolver(self, lp: pulp.LpProblem) -> None:  # noqa: N802
        """Run HiGHS to its end, or until told to stop."""
        highs: Any = lp.solverModel
        if highs.getNumRow() != len(lp.constraints()):
            # All rows are refused together where one has a number that is too large.
            raise pulp.PulpSolverError("HiGHS does not take the rows of the programme")
        for moment in (highs.cbMipInterrupt, highs.cbSimplexInterrupt, highs.cbIpmInterrupt):
            moment.subscribe(self._look)
        work = threading.Thread(target=self._run, args=(highs,), name="solver", daemon=True)
        try:
            work.start()
            while work.is_alive():
                # Signals reach Python between two waits only.
                work.join(LOOK_SECONDS)
        except BaseException:
            self.left.set()
            raise
        if self.failed:
            raise pulp.PulpSolverError(str(self.failed[0])) from self.failed[0]

    def _run(self, highs: Any) -> None:
        try:
            highs.run()
        except BaseException as error:
            self.failed.append(error)

    def _look(self, event: Any) -> None:
        if self.left.is_set() or (self.stop is not None and self.stop.is_set()):
            event.interrupt()


def _hand_over(lp: pulp.LpProblem, numbers: Coefficients, mip: bool) -> None:
    """Give HiGHS columns and rows as arrays; of columns only those that are used."""
    highs: Any = lp.solverModel
    used = np.array([variable.id for variable in lp.exported_variables()], dtype=np.int32)
    place = np.zeros(len(numbers.cost), dtype=np.int32)
    place[used] = np.arange(len(used))
    nothing = np.zeros(0, dtype=np.int32)
    low, high = numbers.low[used], numbers.high[used]
    highs.addCols(len(used), numbers.cost[used], low, high, 0, nothing, nothing, np.zeros(0))
    highs.changeObjectiveOffset(numbers.offset)
    whole = np.flatnonzero(numbers.whole[used]).astype(np.int32)
    if mip and len(whole):
        kinds = np.full(len(whole), highspy.HighsVarType.kInteger)
        highs.changeColsIntegrality(len(whole), whole, kinds)
    count = len(numbers.side)
    starts = np.searchsorted(numbers.row, np.arange(count)).astype(np.int32)
    lower = np.where(numbers.sense >= 0, numbers.side, -np.inf)
    upper = np.where(numbers.sense <= 0, numbers.side, np.inf)
    columns = place[numbers.column]
    highs.addRows(count, lower, upper, len(columns), starts, columns, numbers.entry)


class Cbc(pulp.COIN_CMD):
    """CBC in a process of its own, which may be told to stop."""

    def __init__(
        self,
        stop: threading.Event | None = None,
        start: Mapping[str, float] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self.stop, self.start = stop, dict(start or {})

    def solve_CBC(  # noqa: N802
        self,
        lp: pulp.LpProblem,
        use_mps: bool = True,  # noqa: ARG002
    ) -> tuple[LpSolveStatus, bool]:
        """Run CBC to its end, or until told to stop; why it stopped, whether it has a solution."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            problem, solution = folder / "problem.mps", folder / "solution.txt"
            columns, rows, _, names = lp.writeMPS(str(problem), rename=True)
            command = [self.path, str(problem)]
            if self.start:
                first = folder / "start.txt"
                known = {
                    column: self.start[name]
                    for column, name in zip(columns, names, strict=True)
                    if name in self.start
                }
                first.write_text(_first_solution(known), encoding="utf-8")
                command += ["-mips", str(first)]
            if self.timeLimit is not None:
                command += ["-sec", str(self.timeLimit)]
            for option in [*self.options, *self.getOptions()]:  # type: ignore[no-untyped-call]
                command += f"-{option}".split()
            command += ["-solve", "-printingOptions", "all", "-solution", str(solution)]
            log = Path(self.optionsDict.get("logPath") or folder / "log.txt")
            self._run(command, log)
            if not solution.exists():
                raise pulp.PulpSolverError(f"{self.path} wrote no solution file")
            status, values, costs, prices, slacks, found = self.readsol_MPS(
                str(solution), lp, columns, rows, pulp_names_in_column_order=names
            )
        lp.assignVarsVals(values)
        lp.assignVarsDj(costs)
        lp.assignConsPi(prices)
        lp.assignConsSlack(slacks, activity=True)
        return status, found

    def _run(self, command: list[str], log: Path) -> None:
        with log.open("w", encoding="utf-8") as text:
            process = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stdout=text, stderr=subprocess.STDOUT
            )
            try:
                self._wait(process, log)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        if process.returncode:
            raise pulp.PulpSolverError(f"{self.path} ended with code {process.returncode}")

    def _wait(self, process: subprocess.Popen[bytes], log: Path) -> None:
        told = -AGAIN_SECONDS
        while True:
            try:
                process.wait(LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                now = time.monotonic()
                if self.stop is not None and self.stop.is_set() and now - told >= AGAIN_SECONDS:
                    _tell(process, log)
                    told = now
            else:
                return


def _tell(process: subprocess.Popen[bytes], log: Path) -> None:
    """Tell CBC to stop, unless it is done and only writes its solution."""
    if "Result - " in log.read_text(encoding="utf-8", errors="replace"):
        return
    process.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)


def _first_solution(values: Mapping[str, float]) -> str:
    """Values of some columns as CBC reads them."""
    lines = [f"{i} {name} {value:.15g} 0" for i, (name, value) in enumerate(values.items())]
    return "\n".join(["Stopped on time - objective value 0", *lines, ""])
