"""Time and memory of the loop on the model of twelve regions, part by part.

Run ``python tests/benchmarks/hyperscaler.py [--gap G] [--threads N] [--scenarios K] [MODEL]``.
MODEL may also be ``N:S``, the synthetic model of N regions and seed S. With ``--scenarios`` only
the first K of the model's are planned for: time and memory grow with their number.

The target is a plan that survives, proven to 0.5 %, on two cores within 15 minutes and 8 GiB, with
everything outside the solver taking at most half of the solver's time. Shares are of processor
seconds in this one run: other work on the machine disturbs them least. A part that the loop never
entered ends the run with an error, for then the loop calls something else.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

# Run as a script: the checkout is not on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import planner.verification
from planner.infrastructure.loading import LoadedModel, load_model
from planner.infrastructure.synthesis import model_text
from planner.optimization.decomposition import loop
from planner.optimization.decomposition.loop import Loop
from planner.optimization.decomposition.parts import Decomposition
from planner.optimization.solution import solving
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solvers import Highs
from planner.rounds import LoopResult, Round
from planner.scenarios.generators import all_scenarios
from planner.verification import optimize_and_verify

#: What the loop spends its time in, each with where its function is looked up. The solver runs
#: within "to the solver", which is what it takes to hand the programme over and to read the result.
PARTS: dict[str, tuple[tuple[Any, str], ...]] = {
    "layout": ((Decomposition, "lay_out"),),
    "recourse": ((Loop, "_evaluated"),),
    "to the solver": ((solving, "run_solver"), (loop, "run_solver")),
    "solver": ((Highs, "callSolver"),),
    "audit": ((planner.verification, "audit"),),
    "simulation": ((planner.verification, "judge"),),
}
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

    def take_out(self, inner: str, outer: str) -> None:
        """Take the time of a part out of that of another, within which it was spent."""
        for seconds in (self.clock, self.processor):
            seconds[outer] -= seconds[inner]


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
    with ExitStack() as patches:
        for part, places in PARTS.items():
            for owner, name in places:
                timed = watch.around(part, getattr(owner, name))
                patches.enter_context(mock.patch.object(owner, name, timed))
        return _timed_loop(loaded, settings, most, watch), watch


def _timed_loop(
    loaded: LoadedModel, settings: SolverSettings, most: int | None, watch: Watch
) -> LoopResult:
    scenarios = all_scenarios(loaded.model)[:most]
    print(f"{loaded.name}: {len(scenarios)} scenarios")
    whole = watch.around("in all", optimize_and_verify)
    outcome: LoopResult = whole(loaded.model, scenarios, settings, on_round=_report)
    never = [part for part in PARTS if part not in watch.clock]
    if never:
        sys.exit(f"the loop never entered {', '.join(never)}: these figures say nothing")
    watch.take_out("solver", "to the solver")
    return outcome


def _report(one: Round) -> None:
    solution, stages = one.solution, one.programme.data.stages
    print(
        f"round {one.number}: {solution.rows:,} rows, {solution.columns:,} columns, "
        f"{len({stage.scenario for stage in stages})} scenarios in {len(stages)} stages, "
        f"gap {solution.gap:.3%}, {len(one.failed)} fail"
    )


def show(outcome: LoopResult, watch: Watch) -> None:
    """Print the parts, and how the whole stands against its targets."""
    print(f"{'part':<16}{'clock s':>10}{'processor s':>14}{'share':>8}")
    every = watch.processor["in all"]
    for part in (*PARTS, "in all"):
        clock, processor = watch.clock[part], watch.processor[part]
        print(f"{part:<16}{clock:>10.1f}{processor:>14.1f}{processor / every:>8.0%}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    solver = watch.processor["solver"]
    end = "survives" if outcome.survives else "does not survive"
    print(f"{end} after {len(outcome.rounds)} rounds")
    for what, value, target, unit in (
        ("time", watch.clock["in all"], TARGET_SECONDS, "s"),
        ("memory", peak, TARGET_MIB, "MiB"),
        ("outside the solver", every / solver - 1.0, TARGET_SHARE, "of its time"),
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
    settings = SolverSettings(gap=options.gap, threads=options.threads, method="decomposed")
    show(*run(loaded_model(options.model), settings, options.scenarios))


if __name__ == "__main__":
    main()
