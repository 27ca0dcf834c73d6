"""Processor time of roadmaps by periods and paths, with the exponents of its growth.

Run ``python tests/benchmarks/roadmap.py [MODEL] [--periods 2 4] [--paths 1 2] [--gap G]``. Paths
branch in the second period, so that nodes are about periods times paths.
"""

from __future__ import annotations

import argparse
import math
import resource
import time
from collections.abc import Sequence

from planner.infrastructure.entities import Model
from planner.infrastructure.horizon import Horizon
from planner.infrastructure.loading import load_model
from planner.optimization.solution.settings import SolverSettings
from planner.roadmap.planning import plan_roadmap
from planner.selection import Wanted

GIB = 2**20  # ru_maxrss counts KiB
LOWEST, STEP = 0.02, 0.01


def with_horizon(model: Model, periods: int, paths: int) -> Model:
    """The model with so many years and paths, which grow by 2 % a year, 3 %, and so on."""
    courses = {
        f"path-{number}": {
            "probability": 1 / paths,
            "from_period": 2,
            "growth": {"demand": {"per_year": LOWEST + STEP * number}},
        }
        for number in range(paths)
    }
    horizon = Horizon(start="2026-01", periods=periods, paths=courses if paths > 1 else {},
                      growth={"demand": {"per_year": LOWEST}})  # fmt: skip
    return model.replace(horizon=horizon)


def measured(model: Model, periods: int, paths: int, gap: float, sets: Sequence[str]) -> float:
    """Processor seconds until a roadmap survives and is priced; prints them."""
    began = time.process_time()
    result = plan_roadmap(
        with_horizon(model, periods, paths),
        SolverSettings(gap=gap),
        Wanted(sets=tuple(sets)),
    )
    seconds = time.process_time() - began
    solution = result.solution
    if not result.survives:
        raise SystemExit(f"no roadmap of {periods} periods and {paths} paths survives")
    print(
        f"{periods} periods, {paths} paths: {len(result.roadmap.nodes)} nodes, {seconds:.1f} s, "
        f"{result.rounds} rounds, "
        f"{solution.rows:,} rows, {solution.columns:,} columns, gap {solution.gap:.4%}, "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIB:.2f} GiB at most so far",
        flush=True,
    )
    return seconds


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Slope between the first and the last measurement on logarithmic scales."""
    return math.log(seconds[-1] / seconds[0]) / math.log(sizes[-1] / sizes[0])


def main() -> None:
    """Measure growing numbers of periods, then of paths."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", nargs="?", default="tiny")
    parser.add_argument("--periods", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--paths", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--gap", type=float, default=0.01)
    parser.add_argument("--scenarios", nargs="+", default=["model"])
    given = parser.parse_args()
    model = load_model(given.model).model
    measured(model, 2, 1, given.gap, given.scenarios)  # compiles and loads
    by_period = [measured(model, p, 1, given.gap, given.scenarios) for p in given.periods]
    by_paths = [
        measured(model, given.periods[-1], p, given.gap, given.scenarios) for p in given.paths
    ]
    for what, sizes, seconds in (
        ("periods", given.periods, by_period),
        ("paths", given.paths, by_paths),
    ):
        if len(sizes) > 1:
            print(f"seconds grow with {what} to the power of {exponent(sizes, seconds):.2f}")


if __name__ == "__main__":
    main()
