"""HiGHS and CBC for PuLP, able to be stopped and to start from known values.

PuLP waits for a solver until it ends. Here the solver works beside the main thread (HiGHS in a
thread, CBC in its process), which regularly checks whether to stop it. A solver that is told to
stop ends as at a time limit: with its best solution and its bound. One that does not listen is
given up a moment after the limit or the word to stop: HiGHS is left behind with what it has
reported so far, CBC is ended with the solution that it started from, as it reports none before.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import highspy
import numpy as np
import pulp
from numpy.typing import NDArray
from pulp import LpSolveStats
from pulp.constants import LpSolveStatus

from planner.optimization.solution.scaling import Coefficients
from planner.optimization.solution.watching import (
    GRACE_SECONDS,
    LOOK_SECONDS,
    Cause,
    Patience,
    Watch,
)

#: Seconds after which CBC is told again: it does not listen while it reads and presolves.
AGAIN_SECONDS = 0.3
#: Seconds that CBC has to end with a plan, and to write it once it says that it is done.
PLAN_SECONDS, WRITING_SECONDS = 3.0, 10.0
#: Seconds without a moment of processor time after which CBC is hanging, limit or no limit.
IDLE_SECONDS = 120.0
#: What CBC prints when it has a plan, and when it is done.
PLAN = re.compile("Integer solution of|MIPStart provided solution")
DONE = "Result - "
#: Why a solver ended, by why it was given up.
STATUS = {"stopped": LpSolveStatus.Interrupted, "time limit": LpSolveStatus.TimeLimit}
#: CBC prints its bound with six digits.
PRINTED_DIGITS = 5e-6
#: What CBC prints when it was stopped.
ENDED_EARLY = re.compile("on time|ctrl-c")


@dataclass(frozen=True)
class SolverOutcome:
    """Result of a solver run.

    Parameters
    ----------
    stats
        Statistics of the solver, in the units that it was given.
    bound
        Bound that it proved, in the unit of the problem; None if it reports none.
    hidden
        Cost that its tolerances can hide.
    """

    stats: LpSolveStats
    bound: float | None
    hidden: float = 0.0


class Highs(pulp.HiGHS):
    """HiGHS, which may be told to stop and is left behind where it does not (`watching`).

    Attributes
    ----------
    numbers
        Numbers to solve with in place of those of the problem, which has the same rows and columns.
    watch
        The last run; None before it.
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
        self.watch: Watch | None = None

    def buildSolverModel(self, lp: pulp.LpProblem) -> None:  # noqa: N802
        """Hand over the problem and the values known of a first solution."""
        if self.numbers is None:
            super().buildSolverModel(lp)
        else:
            used = np.array([variable.id for variable in lp.exported_variables()], dtype=np.int32)
            load(lp.solverModel, self.numbers, self.mip, used)
        if not self.start:
            return
        columns = [
            (column, self.start[name])
            for column, variable in enumerate(lp.exported_variables())
            if (name := self._name(variable)) in self.start
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
        if self.watch is not None and self.watch.left_for is not None:
            return self._reported(lp, self.watch, self.watch.left_for)
        found: tuple[LpSolveStatus, bool] = super().findSolutionValues(lp)  # type: ignore[no-untyped-call]
        return found

    def _reported(
        self, lp: pulp.LpProblem, watch: Watch, cause: Cause
    ) -> tuple[LpSolveStatus, bool]:
        """The best solution known of a run that was left behind."""
        columns = lp.exported_variables()
        if watch.values is not None:
            values: Sequence[float] | None = watch.values.tolist()
        else:
            values = self._known(columns)
        if values is not None:
            for variable, value in zip(columns, values, strict=True):
                variable.varValue, variable.dj = value, 0.0
        return STATUS[cause], values is not None

    def _known(self, columns: Sequence[pulp.LpVariable]) -> list[float] | None:
        """Values of all columns where the start has them all."""
        found = [self.start.get(self._name(variable)) for variable in columns]
        whole = [value for value in found if value is not None]
        return whole if len(whole) == len(found) else None

    def _name(self, variable: pulp.LpVariable) -> str:
        return f"x{variable.id}" if self.numbers else variable.name

    def findBestBound(self, lp: pulp.LpProblem) -> float | None:  # noqa: N802
        """Bound that HiGHS has proved on a programme with integers; None without one."""
        if self.watch is not None and self.watch.left_for is not None:
            return self.watch.bound if math.isfinite(self.watch.bound) else None
        return super().findBestBound(lp)

    def callSolver(self, lp: pulp.LpProblem) -> None:  # noqa: N802
        """Run HiGHS to its end, or until it is left behind."""
        highs: Any = lp.solverModel
        if highs.getNumRow() != len(lp.constraints()):
            # All rows are refused together where one has a number that is too large.
            raise pulp.PulpSolverError("HiGHS does not take the rows of the programme")
        self.watch = Watch(highs, self.stop, self.timeLimit)
        try:
            self.watch.run()
        except Exception as error:
            raise pulp.PulpSolverError(str(error)) from error


def load(
    highs: Any, numbers: Coefficients, whole: bool, used: NDArray[np.int32] | None = None
) -> None:
    """Give HiGHS columns and rows as arrays.

    Parameters
    ----------
    highs
        A ``highspy.Highs`` without columns and rows.
    whole
        Whether integer columns are integers to it; without, it gets the linear relaxation.
    used
        Columns that it gets, in their order; None for all. Rows must not need others.
    """
    used = np.arange(len(numbers.cost), dtype=np.int32) if used is None else used
    place = np.zeros(len(numbers.cost), dtype=np.int32)
    place[used] = np.arange(len(used))
    nothing = np.zeros(0, dtype=np.int32)
    low, high = numbers.low[used], numbers.high[used]
    highs.addCols(len(used), numbers.cost[used], low, high, 0, nothing, nothing, np.zeros(0))
    highs.changeObjectiveOffset(numbers.offset)
    integers = np.flatnonzero(numbers.whole[used]).astype(np.int32)
    if whole and len(integers):
        kinds = np.full(len(integers), highspy.HighsVarType.kInteger)
        highs.changeColsIntegrality(len(integers), integers, kinds)
    count = len(numbers.side)
    starts = np.searchsorted(numbers.row, np.arange(count)).astype(np.int32)
    lower = np.where(numbers.sense >= 0, numbers.side, -np.inf)
    upper = np.where(numbers.sense <= 0, numbers.side, np.inf)
    columns = place[numbers.column]
    highs.addRows(count, lower, upper, len(columns), starts, columns, numbers.entry)


class Relaxation:
    """The linear relaxation of a scaled problem, asked again and again with some values fixed."""

    def __init__(self, numbers: Coefficients) -> None:
        self._highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
        for name, value in (("output_flag", False), ("presolve", "off"), ("threads", 1)):
            self._highs.setOptionValue(name, value)
        load(self._highs, replace(numbers, cost=np.zeros_like(numbers.cost)), whole=False)

    def excludes(self, columns: Sequence[int], values: Sequence[float]) -> bool:
        """Whether there is no solution with these values."""
        fixed = np.array(values, dtype=float)
        places = np.array(columns, dtype=np.int32)
        self._highs.changeColsBounds(len(fixed), places, fixed, fixed)
        self._highs.run()
        return bool(self._highs.getModelStatus() == highspy.HighsModelStatus.kInfeasible)


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
        if any(_bounds_cross(variable) for variable in lp.variables()):
            return LpSolveStatus.Infeasible, False  # it does not read such a column
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            problem, solution = folder / "problem.mps", folder / "solution.txt"
            columns, rows, _, names = lp.writeMPS(str(problem), rename=True)
            command = [*_ended_with_this_process(), self.path, str(problem)]
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
                command += ["-sec", str(self.timeLimit - min(1.0, self.timeLimit / 10))]
            for option in [*self.options, *self.getOptions()]:  # type: ignore[no-untyped-call]
                command += f"-{option}".split()
            command += ["-solve", "-printingOptions", "all", "-solution", str(solution)]
            log = Path(self.optionsDict.get("logPath") or folder / "log.txt")
            given_up = self._run(command, log)
            if given_up is not None:
                return self._only_start(lp, given_up)
            if not solution.exists():
                raise pulp.PulpSolverError(f"{self.path} wrote no solution file")
            status, values, costs, prices, slacks, found = self.readsol_MPS(
                str(solution), lp, columns, rows, pulp_names_in_column_order=names
            )
            if status == LpSolveStatus.Undefined:
                raise pulp.PulpSolverError(f"{self.path} does not say whether there is a plan")
            if found and len(values) < len(columns):
                left = f"{len(values):,} of {len(columns):,} columns"
                raise pulp.PulpSolverError(f"its solution file ends after {left}")
        lp.assignVarsVals(values)
        lp.assignVarsDj(costs)
        lp.assignConsPi(prices)
        lp.assignConsSlack(slacks, activity=True)
        return status, found

    def _only_start(self, lp: pulp.LpProblem, cause: Cause) -> tuple[LpSolveStatus, bool]:
        """The solution of the start, where CBC was ended before it wrote one."""
        values = [(variable, self.start.get(variable.name)) for variable in lp.variables()]
        known = all(value is not None for _, value in values)
        for variable, value in values if known else ():
            variable.varValue = value
        return STATUS[cause], known

    def _run(self, command: list[str], log: Path) -> Cause | None:
        with log.open("w", encoding="utf-8") as text:
            process = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stdout=text, stderr=subprocess.STDOUT
            )
            try:
                given_up = self._wait(process, log)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        if process.returncode and given_up is None:
            raise pulp.PulpSolverError(f"{self.path} ended with code {process.returncode}")
        return given_up

    def _wait(self, process: subprocess.Popen[bytes], log: Path) -> Cause | None:
        """Wait until CBC ends, or for as long as it may take; why it is given up, if it is."""
        told, idle = -AGAIN_SECONDS, 0.0
        worked: float | None = None
        cause: Cause | None = None
        patience = Patience(self.stop, self.timeLimit)
        while True:
            try:
                process.wait(LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                cause, spent = patience.cause(), _processor_seconds(process.pid)
                # Counted in looks, not by the clock, which goes on while all of this is suspended.
                idle = 0.0 if spent is None or spent != worked else idle + LOOK_SECONDS
                worked = spent
                if idle > IDLE_SECONDS:
                    message = f"{self.path} has done nothing for {IDLE_SECONDS:.0f} s"
                    raise pulp.PulpSolverError(message) from None
                if cause is None:
                    continue
                text = log.read_text(encoding="utf-8", errors="replace")
                if patience.over(_grace(text)):
                    return cause
                if time.monotonic() - told >= AGAIN_SECONDS and DONE not in text:
                    process.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)
                    told = time.monotonic()
            else:
                # Told to stop before it listens, it dies of that.
                return cause if process.returncode == -signal.SIGINT else None


def _ended_with_this_process() -> tuple[str, ...]:
    """How to begin a command that is to end when this process is killed, where that can be said."""
    found = shutil.which("setpriv") if sys.platform == "linux" else None
    return (found, "--pdeathsig", "KILL") if found else ()


def _processor_seconds(pid: int) -> float | None:
    """What a process has worked so far, with its children; None where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _grace(log: str) -> float:
    """Seconds that CBC has to end once it should, by what it has printed.

    It tells nobody the plan that it has before it ends, so this is worth some waiting.
    """
    if DONE in log:
        return WRITING_SECONDS
    return PLAN_SECONDS if PLAN.search(log) else GRACE_SECONDS


def _first_solution(values: Mapping[str, float]) -> str:
    """Values of some columns as CBC reads them."""
    lines = [f"{i} {name} {value:.15g} 0" for i, (name, value) in enumerate(values.items())]
    return "\n".join(["Stopped on time - objective value 0", *lines, ""])


def logged_bound(log: Path) -> float | None:
    """Bound in a CBC log, where PuLP reports the objective instead; rounded down as printed.

    A time limit that ends the search before its first node leaves the objective of a half-solved
    relaxation in the place of the bound, above the optimum or far below. Then only the first
    relaxation counts.
    """
    if not log.exists():
        return None
    text = log.read_text(errors="replace")
    found = re.findall(r"^Lower bound:\s+(\S+)", text, re.MULTILINE)
    if not found:
        return None
    bound = float(found[-1])
    if re.search(r"^Enumerated nodes:\s+0$", text, re.MULTILINE) and ENDED_EARLY.search(text):
        relaxed = re.findall(r"^Continuous objective value is (\S+)", text, re.MULTILINE)
        bound = float(relaxed[-1]) if relaxed else -math.inf
    return bound - PRINTED_DIGITS * abs(bound)


def _bounds_cross(variable: pulp.LpVariable) -> bool:
    low, high = variable.lowBound, variable.upBound
    return low is not None and high is not None and low > high
