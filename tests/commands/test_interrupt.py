"""Ctrl-C and time limits: the best plan so far with its gap, whole files, or nothing at all.

Every moment is made certain: the solver itself sends the signal when it has found a plan, and waits
until it has arrived.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from support import CHECKOUT, EXACT

import planner.verification
from planner.commands.interruption import all_interrupts, interruptible
from planner.infrastructure.loading import LoadedModel, load_model
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import solve
from planner.optimization.solution.watching import THREAD, Watch
from planner.plan.files import read_plan
from planner.scenarios.generators import all_scenarios
from planner.verification import optimize_and_verify

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

DRIVER = """
import os, re, signal, sys, threading, time
sys.path.insert(0, {checkout!r})
import planner.verification
from planner.commands import main
from planner.optimization.solution import solvers, watching

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)

def at_first_plan(act):
    real, plans = watching.Watch._work, []
    def work(self):
        def found(event):
            plans.append(event)
            if len(plans) == 1:
                act(self.stop)
        self.highs.cbMipImprovingSolution.subscribe(found)
        real(self)
    watching.Watch._work = work

{hook}
main(sys.argv[1:])
"""
ONCE = """
def act(stop):
    interrupt()
    stop.wait(60)
at_first_plan(act)
"""
TWICE = """
def act(stop):
    interrupt()
    stop.wait(60)
    interrupt()
    time.sleep(600)
at_first_plan(act)
"""
DEAF_BEYOND_THE_LIMIT = """
def act(stop):
    clock = time.monotonic
    time.monotonic = lambda: clock() + 600
    time.sleep(600)
at_first_plan(act)
"""
DEAF_AND_INTERRUPTED = """
def act(stop):
    interrupt()
    time.sleep(600)
at_first_plan(act)
"""
CBC = """
real = solvers.Cbc._wait
def wait(self, process, log):
    solvers.Cbc._wait = real
    def watch():
        while not re.search("Integer solution of", log.read_text()):
            time.sleep(0.01)
        interrupt()
    threading.Thread(target=watch, daemon=True).start()
    real(self, process, log)
solvers.Cbc._wait = wait
"""
BUILDING = """
import planner.optimization.decomposition.parts
real = planner.verification.build
def build(case):
    interrupt()
    return real(case)
planner.verification.build = planner.optimization.decomposition.parts.build = build
"""
KILLED = """
import pathlib
def replace(self, target):
    os.kill(os.getpid(), signal.SIGKILL)
pathlib.Path.replace = replace
"""


def run(hook: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run ``plan`` with something that happens on the way."""
    return subprocess.run(
        [
            sys.executable,
            "-c",
            DRIVER.format(checkout=str(CHECKOUT), hook=hook),
            *map(str, arguments),
        ],
        env=os.environ | {"COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


#: What is looked at is the search; the simulation after it need not last a day.
SHORT = "simulation.horizon_minutes=360"


@pytest.fixture(scope="module")
def shorter() -> LoadedModel:
    """The platform of 2023 with a short simulation."""
    return load_model("chatgpt-2023", (SHORT,))


def optimize(hook: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Optimise the platform of 2023 without a gap, which takes longer than a first plan does."""
    model = ("chatgpt-2023", "--set", SHORT, "--hours", "peak", "--only", "region-*")
    return run(hook, "optimize", *model, "--gap", "0", "-o", folder, *arguments)


@pytest.mark.parametrize("solver", ["highs", "cbc"])
def test_an_interrupt_returns_the_best_plan_so_far_with_its_gap(
    tmp_path: Path, shorter: LoadedModel, solver: str
) -> None:
    ran = optimize(ONCE if solver == "highs" else CBC, tmp_path, "--solver", solver)

    assert ran.returncode == 5, ran.stderr
    assert "Interrupted: ending with the best plan so far" in ran.stderr
    assert "Best plan found so far, gap not closed: " in " ".join(ran.stdout.split())
    assert "You ended the search in round 1." in ran.stdout
    plan = read_plan(tmp_path / "plan.json", shorter)
    assert plan.status == "feasible"
    assert plan.gap > 1e-4
    assert plan.verification.stopped == "interrupted"
    regions = [one for one in all_scenarios(shorter.model) if one.name.startswith("region-")]
    assert len(plan.scenarios) == len(regions)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".csv", ""}


@pytest.mark.parametrize(
    ("hook", "stopped"),
    [(DEAF_BEYOND_THE_LIMIT, "time limit"), (DEAF_AND_INTERRUPTED, "interrupted")],
)
def test_a_solver_that_does_not_listen_is_left_behind_and_its_best_plan_returned(
    tmp_path: Path, shorter: LoadedModel, hook: str, stopped: str
) -> None:
    ran = optimize(hook, tmp_path, "--time-limit", "600", "--json")

    assert ran.returncode == 5, ran.stderr
    data = json.loads(ran.stdout)
    assert data["status"] == "feasible"
    assert data["gap"] > 0
    assert data["verification"]["stopped"] == stopped
    assert json.loads((tmp_path / "timing.json").read_bytes())["solver_seconds"] < 60
    assert read_plan(tmp_path / "plan.json", shorter).gap == data["gap"]


@pytest.mark.parametrize("hook", [TWICE, BUILDING])
def test_no_file_is_written_without_a_plan_or_after_a_second_signal(
    tmp_path: Path, hook: str
) -> None:
    earlier = tmp_path / "plan.json"
    earlier.write_text("earlier", encoding="utf-8")
    started = time.monotonic()

    ran = optimize(hook, tmp_path)

    assert ran.returncode == 130, ran.stderr
    assert time.monotonic() - started < 120
    assert "Interrupted; nothing was written." in ran.stderr
    assert not ran.stdout
    assert "Traceback" not in ran.stderr
    assert earlier.read_text(encoding="utf-8") == "earlier"
    assert list(tmp_path.iterdir()) == [earlier]


def test_a_kill_while_writing_leaves_the_earlier_plan(tmp_path: Path) -> None:
    earlier = tmp_path / "plan.json"
    earlier.write_text("earlier", encoding="utf-8")

    ran = run(KILLED, "optimize", "tiny", "-o", tmp_path)

    assert ran.returncode == -signal.SIGKILL
    assert earlier.read_text(encoding="utf-8") == "earlier"


def test_a_solver_stopped_before_its_start_has_no_solution(
    tiny: LoadedModel, capfd: pytest.CaptureFixture[str]
) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(KeyboardInterrupt):
        optimize_and_verify(tiny.model, all_scenarios(tiny.model), SolverSettings(stop=stop))
    assert capfd.readouterr() == ("", "")


def test_an_interrupt_after_the_first_plan_keeps_it(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that fails, and nothing from below any more."""
    verdict = SimpleNamespace(name="surge", fails=True, status="fails", breaches=())
    monkeypatch.setattr(planner.verification, "judge", lambda *_, **__: (verdict,))
    stop = threading.Event()

    outcome = optimize_and_verify(
        tiny.model,
        all_scenarios(tiny.model),
        SolverSettings(stop=stop),
        on_round=lambda _: stop.set(),
    )

    assert len(outcome.rounds) == 1
    assert outcome.stopped == "interrupted"
    assert outcome.interrupted
    assert not outcome.timed_out


def test_a_signal_during_simulation_keeps_a_surviving_plan(
    tiny: LoadedModel,
) -> None:
    stop = threading.Event()

    outcome = optimize_and_verify(
        tiny.model,
        all_scenarios(tiny.model),
        SolverSettings(gap=EXACT.gap, stop=stop),
        on_round=lambda _: stop.set(),
    )

    assert outcome.survives
    assert outcome.stopped is None


@pytest.mark.parametrize("quiet", [False, True])
def test_the_first_signal_requests_a_stop_and_the_second_quits(
    quiet: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), interruptible(quiet) as stop:
        assert not stop.is_set()
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    assert bool(capfd.readouterr().err) is not quiet


def test_a_signal_ends_the_solver_outside_interruptible_commands(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[bool] = []

    def interrupted(self: Watch) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        left.append(self._left.wait(30))

    monkeypatch.setattr(Watch, "_work", interrupted)
    programme = build(ProblemData(tiny.model, all_scenarios(tiny.model), {}))
    # Shells start background jobs with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            solve(programme, SolverSettings())
    finally:
        signal.signal(signal.SIGINT, before)
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join(30)
    assert left == [True]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_every_signal_that_asks_to_end_is_an_interrupt(
    name: str, request: pytest.FixtureRequest
) -> None:
    wanted = getattr(signal, name)
    # Shells and `nohup` start jobs with signals ignored.
    outside = signal.signal(wanted, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(wanted, outside))
    before = signal.getsignal(wanted)
    with interruptible(quiet=True) as stop:
        os.kill(os.getpid(), wanted)
        assert stop.wait(5)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), wanted)
            time.sleep(5)
    with pytest.raises(KeyboardInterrupt), all_interrupts():
        os.kill(os.getpid(), wanted)
        time.sleep(5)
    assert signal.getsignal(wanted) is before


def test_a_signal_that_is_ignored_stays_so() -> None:
    """As with `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with all_interrupts():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="Linux with setpriv")
def test_cbc_ends_with_a_planner_that_is_killed(tmp_path: Path) -> None:
    deaf = tmp_path / "cbc"
    deaf.write_text("#!/bin/sh\necho $$ > $(dirname $0)/pid\nexec sleep 600\n")
    deaf.chmod(0o755)
    hook = f"""
solvers.Cbc.available = lambda self: True
made = solvers.Cbc.__init__
def init(self, *args, **options):
    made(self, *args, **options)
    self.path = {str(deaf)!r}
solvers.Cbc.__init__ = init
def kill():
    while not os.path.exists({str(tmp_path / "pid")!r}):
        time.sleep(0.01)
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)
threading.Thread(target=kill, daemon=True).start()
"""
    ran = run(hook, "optimize", "tiny", "--solver", "cbc", "--method", "extensive")
    assert ran.returncode == -signal.SIGKILL
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("CBC is still there")
