"""Speed and memory of the simulator on 12 regions and random failures, 12 hours in minutes.

Run ``python tests/benchmarks/simulation.py [--quick] [--section NAME …] [--plan DIR]``. Sections:

speed
    Scenario-hours simulated and judged per second.
process
    The same clusters as SimPy processes, in steps of a minute and request by request, over the
    simulator.
scaling
    Seconds and peak memory by number of scenarios and threads, each in a fresh process.
stress
    Every set of failures of shipped models, on what exists or on a plan (``--plan DIR``).
first
    The first simulation of an environment, which compiles, and that of a later process.
profile
    Where the time of one batch goes.

The machine may be shared and noisy: read the ratios, not the seconds.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

#: Scenarios in the sections that time one batch.
BATCH = 250
#: Plans of shipped models, whose fleets `stress` takes.
PLANS: list[str] = []
CHECKOUT = Path(__file__).resolve().parents[2]
# Run as a script: neither the checkout nor the references of the tests are on the path.
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests")]

from reference.large_model import (  # noqa: E402
    HORIZON_MINUTES,
    large_model,
    platform_of,
    random_scenarios,
    two_failures,
)
from reference.minute_model import Failure, simulate_minutes  # noqa: E402
from reference.process_model import Setting, simulate_requests  # noqa: E402

from planner.analysis.stress.failure_sets import FailureSets  # noqa: E402
from planner.analysis.stress.search import stress  # noqa: E402
from planner.infrastructure.entities import Model  # noqa: E402
from planner.infrastructure.failures import Scenario  # noqa: E402
from planner.infrastructure.fleet import Fleet  # noqa: E402
from planner.infrastructure.loading import load_model  # noqa: E402
from planner.plan.reopening import reopen  # noqa: E402
from planner.scenarios.demand import weekly_demand  # noqa: E402
from planner.simulation.cascade import simulate  # noqa: E402
from planner.simulation.verdict import Verdict, judge  # noqa: E402
from planner.workers import Threads, shared_by  # noqa: E402

HOURS = HORIZON_MINUTES / 60
SIZES = (10, 100, 1_000, 10_000, 100_000)
QUICK_SIZES = (10, 100)
#: Limits for the largest size: seconds, MiB.
TARGET = (150.0, 2048.0)


@cache
def model() -> Model:
    """The generated platform."""
    return large_model()


def judged(scenarios: tuple[Scenario, ...], threads: int = 1) -> tuple[Verdict, ...]:
    """Verdicts on what exists, without stories."""
    with shared_by(Threads(threads)):
        return judge(model(), Fleet.existing(model()), scenarios, stories=False)


def best_of(times: int, act: Callable[[], object]) -> float:
    """Least seconds of a processor of some calls."""
    found = []
    for _ in range(times):
        started = time.process_time()
        act()
        found.append(time.process_time() - started)
    return min(found)


def speed(quick: bool) -> float:
    """Print the rate of the simulator; seconds per scenario."""
    count = 50 if quick else 4 * BATCH
    scenarios = random_scenarios(model(), count)
    judged(scenarios[:BATCH])
    seconds = best_of(2 if quick else 3, lambda: judged(scenarios))
    print(
        f"{count} scenarios of {HOURS:.0f} h: {seconds:.2f} s in one process, "
        f"{count * HOURS / seconds:,.0f} scenario-hours/s, {seconds / count * 1e3:.2f} ms each"
    )
    return seconds / count


def process(quick: bool) -> None:
    """Print how much longer SimPy takes for a scenario of the same clusters."""
    own = speed(quick)
    one = two_failures(model())
    platform = platform_of(model(), reaction_minute=25.0)
    failures = (Failure(10, 0, True), Failure(40, 3, False))
    by_minute = best_of(3, lambda: simulate_minutes(platform, failures))
    _, history = simulate(model(), Fleet.existing(model()), (one,))
    served = np.array(simulate_minutes(platform, failures).served).sum()
    share = served / history.served_rps.sum()
    print(
        f"SimPy, a process per cluster, steps of a minute: {by_minute:.3f} s a scenario, "
        f"{by_minute / own:,.0f} × the simulator (serves {share:.4f} of what it serves)"
    )
    rps, minutes = 100.0, 2 if quick else 10
    setting = Setting(minutes, ((0.0, rps),), ((0.0, 1.2 * rps),), 1.0, 120.0)
    one_request = best_of(2, lambda: simulate_requests(setting, seed=1)) / (rps * minutes * 60)
    demand = weekly_demand(model()).sum(axis=0).mean() * HORIZON_MINUTES * 60
    by_request = one_request * demand
    print(
        f"SimPy, a process per request: {one_request * 1e6:.0f} µs each without overload; "
        f"{demand / 1e6:,.0f} M requests a scenario make {by_request:,.0f} s (extrapolated), "
        f"{by_request / own:,.0f} × the simulator"
    )


def scaling(quick: bool) -> None:
    """Print seconds and memory of every size."""
    heads = ("scenarios", "threads", "seconds", "of processors", "ms each", "MiB in all")
    print("".join(f"{head:>14}" for head in heads))
    for count in QUICK_SIZES if quick else SIZES:
        for threads in (1, 2):
            command = [sys.executable, __file__, "--child", str(count), str(threads)]
            output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
            run = json.loads(output)
            seconds, mib = run["seconds"], run["mib"]
            each = seconds / count * 1e3
            cells = [f"{count:,}", f"{threads}", f"{seconds:.2f}", f"{run['cpu']:.2f}"]
            cells += [f"{each:.2f}", f"{mib:.0f}"]
            print("".join(f"{cell:>14}" for cell in cells), flush=True)
    if not quick:
        kept = seconds < TARGET[0] and mib < TARGET[1]
        target = f"{count:,} scenarios in {TARGET[0]:.0f} s and {TARGET[1]:.0f} MiB"
        print(f"{target}: {'kept' if kept else 'missed'} with two threads")


def child(count: int, threads: int) -> None:
    """Run one size; print seconds, seconds of processors and MiB as JSON."""
    scenarios = random_scenarios(model(), count)
    before, started = time.process_time(), time.perf_counter()
    judged(scenarios, threads)
    seconds, cpu = time.perf_counter() - started, time.process_time() - before
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "mib": mib}))


def stressed(quick: bool) -> None:
    """Print how long it takes to settle all pairs of the largest model, and triples."""
    sizes = (("tiny", 2),) if quick else (("chatgpt-2023", 3), ("hyperscaler-12", 2))
    opened = [reopen(plan) for plan in PLANS]
    asked = [(found.loaded, found.fleet) for found in opened]
    for name, size in sizes:
        found = [pair for pair in asked if pair[0].name == name]
        loaded = found[0][0] if found else load_model(name)
        fleet = found[0][1] if found else Fleet.existing(loaded.model)
        sets = FailureSets.of(loaded.model)
        started, before = time.perf_counter(), time.process_time()
        with shared_by(Threads()):
            result = stress(fleet, sets, size)
        cpu, seconds = time.process_time() - before, time.perf_counter() - started
        which = "its plan" if found else "what exists"
        print(f"{name} on {which}: {cpu:.1f} s of processors, {seconds:.1f} s")
        for one in result.sizes:
            print(
                f"  {one.size} at once: {one.sets:,} sets, {one.by_proof:,} by proof, "
                f"{one.simulated:,} simulated, {one.failing:,} fail"
            )


def first(quick: bool) -> None:  # noqa: ARG001
    """Print what the first simulation costs, with nothing compiled and with what another left."""
    code = (
        "import time\n"
        "from planner.infrastructure.fleet import Fleet\n"
        "from planner.infrastructure.loading import load_model\n"
        "from planner.scenarios.generators import all_scenarios\n"
        "from planner.simulation.verdict import judge\n"
        "model = load_model('tiny').model\n"
        "for _ in range(2):\n"
        "    started = time.process_time()\n"
        "    judge(model, Fleet.existing(model), all_scenarios(model))\n"
        "    print(time.process_time() - started)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder, "PYTHONPATH": str(CHECKOUT)}
        for who in ("nothing compiled", "compiled by another process"):
            command = [sys.executable, "-c", code]
            run = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)
            call, again = (float(line) for line in run.stdout.split())
            print(f"tiny, {who}: {call:.2f} s of a processor, {again * 1e3:.0f} ms the second time")


def profile(quick: bool) -> None:
    """Print the functions that one batch spends most time in."""
    scenarios = random_scenarios(model(), 50 if quick else BATCH)
    judged(scenarios)
    profiler = cProfile.Profile()
    profiler.runcall(judged, scenarios)
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(25)


SECTIONS: dict[str, Callable[[bool], object]] = {
    "speed": speed,
    "process": process,
    "scaling": scaling,
    "stress": stressed,
    "first": first,
    "profile": profile,
}


def main() -> None:
    """Run the sections asked for, or all."""
    parser = argparse.ArgumentParser(description="Benchmark of the simulator.")
    parser.add_argument("--quick", action="store_true", help="small sizes only")
    parser.add_argument("--section", action="append", choices=sorted(SECTIONS), help="default: all")
    parser.add_argument("--plan", action="append", default=[], help="plan for `stress`")
    parser.add_argument("--child", nargs=2, type=int, metavar="N", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    PLANS.extend(options.plan)
    for name, section in SECTIONS.items():
        if name in (options.section or SECTIONS):
            print(f"── {name}")
            started = time.perf_counter()
            section(options.quick)
            print(f"({time.perf_counter() - started:.1f} s)\n", flush=True)


if __name__ == "__main__":
    main()
