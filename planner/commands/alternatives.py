"""``plan alternatives``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.amounts import money
from planner.commands.frontier import NumberList
from planner.commands.options import (
    Progress,
    examples,
    model_argument,
    output_options,
    solver_options,
)
from planner.commands.scenario_options import choose, selection_options
from planner.errors import EXIT_DONE, EXIT_INFEASIBLE, EXIT_NOT_SURVIVED, InputError

if TYPE_CHECKING:
    from planner.scenarios.selection import Wanted


@click.command(
    "alternatives",
    epilog=examples(
        "plan alternatives tiny --within 5 --most 1",
        "plan alternatives chatgpt-2023 --within 1,5 -o plans.csv",
    ),
)
@model_argument
@click.option(
    "--within",
    type=NumberList(),
    default="1,5",
    show_default=True,
    metavar="N,N,...",
    help="Percent by which they may cost more than the cheapest plan.",
)
@click.option(
    "--most",
    default=3,
    show_default=True,
    type=click.IntRange(1, 100),
    metavar="N",
    help="Alternatives for each of them.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the table (.csv).",
)
@solver_options(
    gap="Relative gap of the cheapest plan and of every alternative.",
    time_limit="Time for one solve.",
)
@output_options
@selection_options
def command(
    model: str,
    overrides: tuple[str, ...],
    within: tuple[float, ...],
    most: int,
    output: Path | None,
    solver: str,
    gap: float,
    time_limit: float | None,
    threads: int | None,
    as_json: bool,
    quiet: bool,
    wanted: Wanted | None,
) -> int:
    """Find plans for MODEL that cost little more than the cheapest and differ most from it.

    Each has as little as possible of one thing: a kind of purchase, a region, capital. All are
    audited and simulated; one that fails is tightened, or shown as failing.
    """
    from planner.analysis.alternatives import CheapestPlan, alternatives
    from planner.commands.interruption import interruptible
    from planner.files import check_file
    from planner.infrastructure.loading import load_model
    from planner.optimization.solution.solving import SolverSettings, make_solver
    from planner.reporting.alternatives import show_alternatives, write_table
    from planner.reporting.infeasible import show_infeasible
    from planner.verification import optimise_and_verify

    progress = Progress(quiet)
    make_solver(SolverSettings(solver, gap, time_limit, threads))
    if not all(0 < percent <= 1000 for percent in within):
        raise InputError.single("--within", "expected percents above 0 and up to 1000")
    if output is not None:
        if output.suffix.lower() != ".csv":
            raise InputError.single(str(output), "expected a name that ends in .csv")
        check_file(output)
    loaded = load_model(model, overrides)
    scenarios = choose(loaded, wanted, progress).scenarios
    with progress.working(), interruptible(quiet) as stop:
        settings = SolverSettings(solver, gap, time_limit, threads, stop)
        outcome = optimise_and_verify(loaded.model, scenarios, settings)
        best = outcome.best
        if best is None:
            show_infeasible(outcome, as_json)
            return EXIT_INFEASIBLE
        progress.say(f"cheapest plan: {money(best.solution.objective, 3)} a year")
        optimum = CheapestPlan.of(best.programme, best.solution)
        slacks = [percent / 100 for percent in sorted(set(within))]
        found = alternatives(optimum, slacks, most, settings, progress.say)
    if output is not None:
        write_table(found, output)
        progress.say(f"wrote {output}")
    show_alternatives(optimum, found, loaded, as_json)
    return EXIT_DONE if outcome.survives else EXIT_NOT_SURVIVED
