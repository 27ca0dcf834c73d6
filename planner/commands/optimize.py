"""``plan optimize``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.commands.baseline_options import Earlier, earlier_options, load_with
from planner.commands.options import (
    Progress,
    examples,
    model_argument,
    output_options,
    risk_options,
    solver_options,
)
from planner.commands.progress import plan_line
from planner.commands.scenario_options import choose, selection_options
from planner.errors import (
    EXIT_DONE,
    EXIT_INFEASIBLE,
    EXIT_NOT_SURVIVED,
    EXIT_TIME_LIMIT,
)

if TYPE_CHECKING:
    from planner.infrastructure.loading import LoadedModel
    from planner.optimization.solution.solving import SolverSettings
    from planner.scenarios.selection import Selection, Wanted
    from planner.verification import LoopResult, Round


@click.command(
    "optimize",
    epilog=examples(
        "plan optimize tiny -o out",
        "plan optimize my-model.yaml --only 'region-*' --time-limit 60",
        "plan optimize tiny --set finance.emergency_budget_usd=20e6 --json",
    ),
)
@model_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write DIR/plan.json and its tables.",
)
@solver_options(
    gap="Relative gap at which a plan counts as proven.",
    time_limit="Time for all rounds together.",
)
@click.option(
    "--rounds",
    default=12,
    show_default=True,
    type=click.IntRange(1, 100),
    help="Most rounds of optimising and simulating.",
)
@click.option(
    "--method",
    default="optimum",
    show_default=True,
    type=click.Choice(["optimum", "rule-of-thumb"]),
    help="Prove the cheapest plan, or make the one of a spreadsheet to compare it with.",
)
@earlier_options
@output_options
@selection_options
@risk_options
def command(
    model: str,
    overrides: tuple[str, ...],
    output: Path | None,
    solver: str,
    gap: float,
    time_limit: float | None,
    threads: int | None,
    rounds: int,
    method: str,
    as_json: bool,
    quiet: bool,
    wanted: Wanted | None,
    earlier: Earlier,
) -> int:
    """Find the cheapest plan that survives every scenario of MODEL, and prove it.

    Sizes cooling with N+k redundancy, GPUs by region and emergency cloud with a mixed-integer
    programme, simulates the cascade of every failure on the result, and tightens the programme
    until nothing fails.
    """
    from planner.commands.interruption import interruptible
    from planner.optimization.solution.solving import SolverSettings, make_solver
    from planner.plan.files import check_writable, placed, write_plan
    from planner.plan.reopening import recorded
    from planner.reporting import infeasible, plans
    from planner.verification import optimise_and_verify

    if method == "rule-of-thumb" and (earlier.path or earlier.fix):
        raise click.UsageError("a rule of thumb starts from the model: no --from and no --fix.")
    progress = Progress(quiet)
    make_solver(SolverSettings(solver, gap, time_limit, threads))
    loaded, start = load_with(model, overrides, earlier, progress)
    if output is not None:
        check_writable(output)
    selection = choose(loaded, wanted, progress)
    if method == "rule-of-thumb":
        settings = SolverSettings(solver, gap, time_limit, threads)
        return _by_rule_of_thumb(loaded, selection, settings, output, progress, as_json)
    with progress.working(time_limit), interruptible(quiet) as stop:
        settings = SolverSettings(solver, gap, time_limit, threads, stop)
        outcome = optimise_and_verify(
            loaded.model,
            selection.scenarios,
            settings,
            rounds,
            lambda one: progress.say(_round_line(one)),
            start,
            lambda text: progress.say(f"  {text}"),
        )
    if outcome.rounds and outcome.rounds[0].solution.start_used is False:
        progress.say("the earlier plan is no plan here; the search began without it")
    if outcome.best is None:
        infeasible.show_infeasible(outcome, as_json)
        if earlier.fix:
            progress.say(f"held by --fix: {', '.join(earlier.fix)}; without it there may be a plan")
        return EXIT_INFEASIBLE
    plan = recorded(outcome.plan(loaded, settings), selection.wanted)
    if output is not None:
        written = write_plan(plan, output)
        progress.say(f"wrote {written[-1]} and {len(written) - 1} tables")
    plans.show_plan(placed(plan, output or Path()), loaded.model, outcome, as_json)
    _suggest(progress, output, as_json)
    return _exit_code(outcome, settings)


def _by_rule_of_thumb(
    loaded: LoadedModel,
    selection: Selection,
    settings: SolverSettings,
    output: Path | None,
    progress: Progress,
    as_json: bool,
) -> int:
    from planner.analysis.rule_of_thumb.rule import plan_by_rule_of_thumb
    from planner.commands.interruption import interruptible
    from planner.plan.files import placed, write_plan
    from planner.plan.reopening import recorded
    from planner.reporting import plans

    with progress.working(settings.time_limit_seconds), interruptible(progress.quiet) as stop:
        thumb = plan_by_rule_of_thumb(
            loaded.model, selection.scenarios, replace(settings, stop=stop), progress.say
        )
    if thumb.outcome.best is None:
        plans.show_no_thumb_plan(thumb.lacks, as_json)
        return EXIT_INFEASIBLE
    plan = recorded(thumb.plan(loaded, settings), selection.wanted)
    if output is not None:
        written = write_plan(plan, output)
        progress.say(f"wrote {written[-1]} and {len(written) - 1} tables")
    plans.show_plan(placed(plan, output or Path()), loaded.model, thumb.outcome, as_json)
    if thumb.survives:
        return EXIT_DONE
    return EXIT_TIME_LIMIT if thumb.outcome.stopped else EXIT_NOT_SURVIVED


def _suggest(progress: Progress, output: Path | None, as_json: bool) -> None:
    """What to do with a plan."""
    if output is None:
        progress.next("the same with -o DIR keeps the plan for the other commands", silent=as_json)
        return
    progress.next(
        plan_line("explain", output),
        plan_line("report", output, "-o", "report.html"),
        plan_line("finance", "--plan", output),
        silent=as_json,
    )


def _round_line(one: Round) -> str:
    solution, failed = one.solution, one.failed
    survived = f"{len(failed)} fail: {', '.join(failed[:3])}" if failed else "all survive"
    return (
        f"round {one.number}: {solution.rows:,} rows, {solution.columns:,} columns, "
        f"solved in {solution.seconds:.1f} s to {solution.gap:.3%}; {survived}"
    )


def _exit_code(outcome: LoopResult, settings: SolverSettings) -> int:
    best = outcome.best
    if best is None or (not outcome.survives and not outcome.stopped):
        return EXIT_NOT_SURVIVED
    if not outcome.survives:
        return EXIT_TIME_LIMIT
    limited = best.solution.status == "feasible" and best.solution.gap > settings.gap
    return EXIT_TIME_LIMIT if limited else EXIT_DONE
