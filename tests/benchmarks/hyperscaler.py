"""Time and memory of the loop on the model of twelve regions, part by part.

Run ``python -m tests.benchmarks.hyperscaler [--gap G] [--threads N] [--scenarios K] [MODEL]``.
MODEL may also be ``N:S``, the synthetic model of N regions and seed S. With ``--scenarios`` only
the first K of the model's are planned for: time and memory grow with their number.

The target is a plan that survives, proven to 0.5 %, on two cores within 15 minutes and 8 GiB, with
everything outside the solver taking at most half of the solver's time. Seconds of the processor say
more than seconds of the clock where the machine is shared.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import planner.verification
from planner.infrastructure.loading import LoadedModel, load_model
from planner.infrastructure.synthesis import model_text
from planner.optimization.solution.settings import SolverSettings
from planner.scenarios.generators import all_scenarios
from planner.verification import LoopResult, optimise_and_verify

PARTS = ("build", "solve", "audit", "judge")
TARGET_SECONDS, TARGET_MIB, TARGET_SHARE = 900.0, 8192.0, 0.5


@dataclass
class Watch:
    """Seconds of clock and processor by part of the loop."""

    clock: dict[str, float] = field(default_factory=dict)
    processor: dict[str, float] = field(default_factory=dict)

    def around(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time added to a part."""

        def timed(*arguments: Any, **options: Any) -> Any:
            clock, processor = time.perf_counter(), time.process_time()
            try:
                return function(*arguments, **options)
            finally:
                spent = time.perf_counter() - clock, time.process_time() - processor
                self.clock[part] = self.clock.get(part, 0.0) + spent[0]
                self.processor[part] = self.processor.get(part, 0.0) + spent[1]

        return timed


def loaded_model(name: str) -> LoadedModel:
    """A model by name or path, or a synthetic one by its two numbers."""
    regions, colon, seed = name.partition(":")
    if not (colon and regions.isdigit() and seed.isdigit()):
        return load_model(name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"synthetic-{regions}-{seed}.yaml"
        path.write_text(model_text(int(regions), int(seed)), encoding="utf-8")
        return load_model(path)


def run(
    loaded: LoadedModel, settings: SolverSettings, most: int | None
) -> tuple[LoopResult, Watch]:
    """Optimise and verify with a watch around each part of the loop."""
    watch = Watch()
    for part in PARTS:
        timed = watch.around(part, getattr(planner.verification, part))
        setattr(planner.verification, part, timed)
    scenarios = all_scenarios(loaded.model)[:most]
    print(f"{loaded.name}: {len(scenarios)} scenarios")
    whole = watch.around("in all", optimise_and_verify)
    return whole(loaded.model, scenarios, settings, on_round=_report), watch


def _report(one: planner.verification.Round) -> None:
    solution, stages = one.solution, one.programme.data.stages
    print(
        f"round {one.number}: {solution.rows:,} rows, {solution.columns:,} columns, "
        f"{len({stage.scenario for stage in stages})} scenarios in {len(stages)} stages, "
        f"gap {solution.gap:.3%}, {len(one.failed)} fail"
    )


def show(outcome: LoopResult, watch: Watch) -> None:
    """Print the parts, and how the whole stands against its targets."""
    print(f"{'part':<10}{'clock s':>10}{'processor s':>14}")
    for part in (*PARTS, "in all"):
        print(f"{part:<10}{watch.clock.get(part, 0):>10.1f}{watch.processor.get(part, 0):>14.1f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    solver = watch.processor.get("solve", 0.0)
    outside = watch.processor["in all"] - solver
    end = "survives" if outcome.survives else "does not survive"
    print(f"{end} after {len(outcome.rounds)} rounds")
    for what, value, target, unit in (
        ("time", watch.clock["in all"], TARGET_SECONDS, "s"),
        ("memory", peak, TARGET_MIB, "MiB"),
        ("outside the solver", outside / solver if solver else 0.0, TARGET_SHARE, "of its time"),
    ):
        met = "met" if value <= target else "not met"
        print(f"{what}: {value:,.2f} {unit}, target {target:,.1f}: {met}")


def main() -> None:
    """Measure the model named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", nargs="?", default="hyperscaler-12")
    parser.add_argument("--gap", type=float, default=0.005)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--scenarios", type=int, metavar="K")
    options = parser.parse_args()
    settings = SolverSettings(gap=options.gap, threads=options.threads)
    show(*run(loaded_model(options.model), settings, options.scenarios))


if __name__ == "__main__":
    main()
