"""Whatever a solver prints, and however: standard output belongs to the planner."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from pathlib import Path

import pulp
import pytest
from support import EXACT

from planner.errors import SolverError
from planner.optimization.formulation.algebra import Problem
from planner.optimization.solution import solving
from planner.optimization.solution.silence import silent
from planner.optimization.solution.solvers import Highs
from planner.optimization.solution.solving import run_solver

C = ctypes.CDLL(None) if os.name == "posix" else None
needs_c = pytest.mark.skipif(C is None, reason="needs the C library of the process")


def problem() -> Problem:
    """The least whole number of two and a half and more."""
    found = Problem()
    count = found.add_variable("count", 0, 9, integer=True)
    found.objective = 5 * count
    found.add(2 * count >= 5, "enough")
    return found


def by_descriptor() -> None:
    os.write(1, b"descriptor\n")


def by_python() -> None:
    print("python")


def by_c() -> None:
    assert C is not None
    C.puts(b"buffered by C")


def by_child() -> None:
    subprocess.run([sys.executable, "-c", "print('child')"], check=True)


def by_thread() -> None:
    thread = threading.Thread(target=by_descriptor)
    thread.start()
    thread.join()


WAYS = [by_descriptor, by_python, pytest.param(by_c, marks=needs_c), by_child, by_thread]


def printed(capfd: pytest.CaptureFixture[str]) -> str:
    """All of standard output, also what C kept back."""
    if C is not None:
        C.fflush(None)
    return capfd.readouterr().out


class Chatty(Highs):
    """HiGHS that prints as it is made, as it reads, as it solves and as it is asked."""

    def __init__(self, *arguments, **options) -> None:
        by_descriptor()
        super().__init__(*arguments, **options)

    def buildSolverModel(self, lp) -> None:  # noqa: N802
        by_python()
        super().buildSolverModel(lp)

    def callSolver(self, lp) -> None:  # noqa: N802
        by_descriptor()
        if C is not None:
            by_c()
        super().callSolver(lp)

    def findSolutionValues(self, lp):  # noqa: N802
        by_child()
        return super().findSolutionValues(lp)


class Failing(Highs):
    """HiGHS that prints and fails."""

    def callSolver(self, lp) -> None:  # noqa: ARG002, N802
        by_descriptor()
        raise pulp.PulpSolverError("out of memory")


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_printed_within_and_all_that_is_printed_around(way, capfd) -> None:
    print("before")
    with silent():
        way()
        with silent():
            way()
        way()
    print("after")

    assert printed(capfd) == "before\nafter\n"


def test_standard_output_comes_back_after_an_error(capfd) -> None:
    with pytest.raises(ZeroDivisionError), silent():
        by_descriptor()
        raise ZeroDivisionError
    by_descriptor()

    assert printed(capfd) == "descriptor\n"


def test_the_last_of_several_threads_brings_standard_output_back(capfd) -> None:
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with silent():
            entered.set()
            leave.wait(10)
            by_descriptor()

    thread = threading.Thread(target=other)
    with silent():
        thread.start()
        entered.wait(10)
    by_descriptor()
    leave.set()
    thread.join()
    by_python()

    assert printed(capfd) == "python\n"


@pytest.mark.parametrize("standard", ["os.close(1)", "sys.stdout = None", "sys.stdout.close()"])
def test_without_standard_output_solvers_do_not_write_into_files_of_ours(
    tmp_path, standard
) -> None:
    """A file that is opened without standard output takes its number."""
    code = f"""
import os, sys
from planner.optimization.solution.silence import silent
{standard}
with silent():
    os.write(1, b"nonsense")
    with open({str(tmp_path / "ours")!r}, "w") as ours:
        os.write(1, b"nonsense")
        ours.write("ours")
assert ours.name and open({str(tmp_path / "ours")!r}).read() == "ours"
try:
    os.dup(1)
    closed = False
except OSError:
    closed = True
os._exit(40 + closed)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)

    assert ran.stderr == b""
    assert ran.stdout == b""
    assert ran.returncode == 40 + (standard == "os.close(1)")


def test_descriptors_are_given_back() -> None:
    with silent():
        pass
    with Path(os.devnull).open() as first:
        before = first.fileno()
    for _ in range(3):
        with silent():
            pass
    with Path(os.devnull).open() as last:
        assert last.fileno() == before


@pytest.mark.parametrize("name", ["highs", "cbc"])
def test_solvers_print_nothing(name, monkeypatch, capfd) -> None:
    monkeypatch.setitem(solving.OURS, "HiGHS", Chatty)
    stated = problem()

    run_solver(stated, solving.SolverSettings(name))

    assert stated.variables[0].value == 3
    assert printed(capfd) == ""


def test_a_solver_that_fails_prints_nothing(monkeypatch, capfd) -> None:
    monkeypatch.setitem(solving.OURS, "HiGHS", Failing)

    with pytest.raises(SolverError, match="out of memory"):
        run_solver(problem(), EXACT)

    assert printed(capfd) == ""
