"""Threads of this process against worker processes of a Dask cluster, by the amount of work.

Run ``python tests/benchmarks/workers.py [--workers N] [--blocks N …] [SCENARIOS …]``. Scenarios of
a platform of 12 regions are simulated and judged; recourse programmes of hyperscaler-12 are
evaluated, at purchases that change. For one thread, several threads and as many Dask workers on
this machine it prints the seconds of the clock, those of a processor in this process, and those in
the workers. What this process does for workers (packing, sending, putting together) does not get
shorter with more of them: work pays to be sent where that is little beside the work.

The machine may be shared and noisy: read the ratios, not the seconds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
# Run as a script: neither the checkout nor the references of the tests are on the path.
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests")]

from reference.large_model import large_model, random_scenarios  # noqa: E402

from planner.cluster import DaskWorkers, cluster_at  # noqa: E402
from planner.infrastructure.fleet import Fleet  # noqa: E402
from planner.infrastructure.loading import load_model  # noqa: E402
from planner.optimization.decomposition.evaluation import Evaluator  # noqa: E402
from planner.optimization.decomposition.parts import Decomposition  # noqa: E402
from planner.optimization.formulation.problem import ProblemData  # noqa: E402
from planner.optimization.solution.deadline import Deadline  # noqa: E402
from planner.optimization.solution.settings import SolverSettings  # noqa: E402
from planner.selection import select  # noqa: E402
from planner.simulation.verdict import judge  # noqa: E402
from planner.workers import Threads, Workers, shared_by  # noqa: E402

#: Purchases at which recourse is evaluated, as shares of the largest.
SHARES = (0.3, 0.6, 0.32, 0.58)

Team = Callable[[], AbstractContextManager[Workers]]
Job = Callable[[int], object]


def simulation() -> Job:
    """Simulate and judge some scenarios on what exists."""
    model = large_model()
    scenarios = random_scenarios(model, 10_000)
    fleet = Fleet.existing(model)
    return lambda count: judge(model, fleet, scenarios[:count], stories=False)


def recourse() -> Job:
    """Evaluate some recourse programmes at one place after the other."""
    model = load_model("hyperscaler-12").model
    settings = SolverSettings(gap=1e-3)
    parts = Decomposition(ProblemData(model, select(model, None).scenarios, {}), settings)
    parts.lay_out(Deadline(settings))
    found = {piece.block: None for failure in parts.failures for piece in failure.pieces}
    blocks = sorted(found, key=lambda block: block.structure.number)
    most = np.minimum(parts.largest_purchases(), 1e9)

    def evaluate(count: int) -> None:
        evaluator = Evaluator()
        for share in SHARES:
            evaluator.evaluate_all(blocks[:count], share * most)

    return evaluate


def processor_seconds(team: Workers) -> float:
    """Of all Dask workers so far; none where there are none."""
    if not isinstance(team, DaskWorkers):
        return 0.0
    return sum(team.client.run(time.process_time).values())


def measure(job: Job, count: int, team: Team) -> tuple[float, float, float]:
    """Seconds of the clock, of this process and of workers, for a second call."""
    with team() as those:
        job(count)
        there, here, clock = processor_seconds(those), time.process_time(), time.perf_counter()
        job(count)
        seconds = time.perf_counter() - clock, time.process_time() - here
        return *seconds, processor_seconds(those) - there


@contextmanager
def teams(workers: int) -> Iterator[dict[str, Team]]:
    """Who shares the work."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0"
    ) as local:
        yield {
            "1 thread": lambda: shared_by(Threads(1)),
            f"{workers} threads": lambda: shared_by(Threads(workers)),
            f"{workers} Dask workers": lambda: cluster_at(local.scheduler_address),
        }


def show(name: str, job: Job, counts: list[int], those: dict[str, Any]) -> None:
    """Print a line for each amount of work and each team."""
    print(f"{name:30} {'by':16} {'clock':>8} {'here':>8} {'workers':>8}")
    for count in counts:
        for who, team in those.items():
            clock, here, there = measure(job, count, team)
            print(f"{count:30,} {who:16} {clock:8.3f} {here:8.3f} {there:8.3f}", flush=True)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2, help="threads, and worker processes")
    parser.add_argument("--blocks", type=int, nargs="*", default=[100, 500, 2000])
    parser.add_argument("scenarios", type=int, nargs="*", default=[100, 300, 1000, 3000])
    options = parser.parse_args()
    with teams(options.workers) as those:
        if options.scenarios:
            show("scenarios simulated", simulation(), options.scenarios, those)
        if options.blocks:
            show("recourse programmes, 4 times", recourse(), options.blocks, those)


if __name__ == "__main__":
    main()
