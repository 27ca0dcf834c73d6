"""``plan alternatives``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.amounts import money
from planner.commands.options import (
    ModelArgument,
    Output,
    file_option,
    model_argument,
    output_options,
    solver_options,
    workers_options,
)
from planner.commands.parameter_types import NumberList
from planner.commands.scenario_options import choose, selection_options
from planner.errors import EXIT_DONE, EXIT_INFEASIBLE, EXIT_NOT_SURVIVED, InputError

if TYPE_CHECKING:
    from planner.optimization.solution.settings import SolverSettings
    from planner.selection import Wanted


@click.command("alternatives")
@model_argument
@click.option("--within", type=NumberList(), default="1,5", metavar="N,N,...")
@click.option("--most", default=3, type=click.IntRange(1, 100), metavar="N")
@file_option("FILE")
@solver_options()
@output_options
@workers_options
@selection_options
def command(
    model: ModelArgument,
    within: tuple[float, ...],
    most: int,
    file: Path | None,
    settings: SolverSettings,
    output: Output,
    wanted: Wanted | None,
) -> int:
    """Find plans for MODEL that cost little more than the cheapest and differ most from it.

    Each has as little as possible of one thing: a kind of purchase, a region, capital. All are
    audited and simulated: plans that survive, or that fail in the fewest scenarios.
    """
    from planner.analysis.alternatives import CheapestPlan, alternatives
    from planner.commands.interruption import interruptible
    from planner.files import check_file
    from planner.reporting.alternatives import show_alternatives, write_table
    from planner.reporting.infeasible import show_infeasible
    from planner.verification import optimize_and_verify

    if not all(0 < percent <= 1000 for percent in within):
        raise InputError.single("--within", "expected percents above 0 and up to 1000")
    if file is not None:
        check_file(file, ".csv")
    loaded = model.load()
    selection = choose(loaded, wanted, output, settings)
    with output.progress.working(), interruptible(output.quiet) as stop:
        settings = replace(settings, stop=stop)
        outcome = optimize_and_verify(
            loaded.model, selection.scenarios, settings, selection=selection
        )
        best = outcome.best
        if best is None:
            show_infeasible(outcome, output.as_json)
            return EXIT_INFEASIBLE
        output.say(f"cheapest plan: {money(best.solution.objective, 3)} a year")
        optimum = CheapestPlan.of(best.programme, best.solution, outcome.selection, outcome.learned)
        slacks = [percent / 100 for percent in sorted(set(within))]
        found = alternatives(optimum, slacks, most, settings, output.say)
    if file is not None:
        write_table(found, file)
        output.say(f"wrote {file}")
    show_alternatives(optimum, found, loaded, output.as_json)
    return EXIT_DONE if outcome.survives else EXIT_NOT_SURVIVED
