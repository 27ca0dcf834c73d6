"""``plan explain``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.commands.options import (
    Progress,
    complete_models,
    examples,
    output_options,
    solver_options,
)
from planner.commands.plan_arguments import planned, with_scenarios
from planner.errors import EXIT_DONE

if TYPE_CHECKING:
    pass

QUICK_SOLVES = 16


@click.command(
    "explain",
    epilog=examples(
        "plan explain out --quick",
        "plan explain out --solves 100 --time-limit 600",
        "plan explain out my-model.yaml --json",
    ),
)
@click.argument("plan_file", metavar="PLAN", type=click.Path(path_type=Path))
@click.argument("model", required=False, shell_complete=complete_models)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="Change a value of the model beyond what the plan was made with (repeatable).",
)
@click.option(
    "--solves",
    default=45,
    show_default=True,
    type=click.IntRange(0, 100_000),
    metavar="N",
    help="Most programmes to solve.",
)
@click.option("--quick", is_flag=True, help=f"At most {QUICK_SOLVES} programmes.")
@solver_options(
    gap="Relative gap of every solve; smaller differences cannot be told.",
    time_limit="Time after which no more are solved.",
)
@output_options
def command(
    plan_file: Path,
    model: str | None,
    overrides: tuple[str, ...],
    solves: int,
    quick: bool,
    time_limit: float | None,
    solver: str,
    gap: float,
    threads: int | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Say why PLAN (a plan.json or its folder) buys what it buys.

    Solves the programme of the plan again and again, each time without one scenario or
    requirement, or with one unit, block, instance or megawatt less or more: which scenario binds
    which decision, what each costs, what the next one would be worth, and what the margins bought.
    MODEL is only needed where the plan's model has moved, or to take one that extends it.
    """
    import math
    import time

    from planner.analysis.explanation import explain
    from planner.analysis.marginal import Questions
    from planner.optimization.solution.solving import SolverSettings, make_solver
    from planner.reporting.explanation import show_explanation

    progress = Progress(quiet)
    settings = SolverSettings(solver, gap, None, threads)
    make_solver(settings)
    opened = planned(plan_file, model, overrides, progress)
    opened, scenarios = with_scenarios(opened, progress)
    plan, loaded = opened.plan, opened.loaded
    progress.say(f"{loaded.name}: {len(scenarios)} scenarios")
    most = min(solves, QUICK_SOLVES) if quick else solves
    questions = Questions(
        settings,
        most,
        math.inf if time_limit is None else time.monotonic() + time_limit,
        progress.say,
    )

    def report(text: str) -> None:
        progress.say(text)
        if questions.made:
            progress.part(questions.made - 1, most)

    questions.progress = report
    with progress.working(time_limit):
        explanation = explain(plan, loaded, scenarios, questions)
    show_explanation(explanation, plan, as_json, opened.notes)
    return EXIT_DONE
