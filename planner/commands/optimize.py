"""``plan optimize``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.amounts import percent
from planner.commands.options import (
    Output,
    chosen_method,
    file_option,
    output_options,
    policy_options,
    solver_options,
    workers_options,
)
from planner.commands.progress import plan_line
from planner.commands.scenario_options import choose, selection_options
from planner.commands.start_options import (
    CheckpointOptions,
    StartOptions,
    checkpoint_options,
    start_options,
)
from planner.errors import EXIT_DONE, EXIT_INFEASIBLE, EXIT_NOT_SURVIVED, EXIT_TIME_LIMIT

if TYPE_CHECKING:
    from planner.infrastructure.entities import Model
    from planner.infrastructure.fleet import Fleet
    from planner.infrastructure.loading import LoadedModel
    from planner.optimization.solution.settings import SolverSettings
    from planner.plan.records import Plan
    from planner.rounds import LoopResult, Round
    from planner.selection import Selection, Wanted


@click.command("optimize")
@start_options
@file_option("DIR", "folder", file_okay=False)
@solver_options(rule_of_thumb="rule-of-thumb: the plan of a spreadsheet, to compare with")
@click.option("--rounds", default=12, type=click.IntRange(1, 100))
@checkpoint_options
@output_options
@workers_options
@selection_options
@policy_options
def command(
    start: StartOptions,
    folder: Path | None,
    settings: SolverSettings,
    rounds: int,
    checkpoint: CheckpointOptions,
    output: Output,
    wanted: Wanted | None,
    policies: tuple[str, ...],
) -> int:
    """Find the cheapest plan that survives every scenario of MODEL, and prove it.

    Sizes cooling with N+k redundancy, GPUs by region and emergency cloud with a mixed-integer
    programme, simulates the cascade of every failure on the result, and tightens the programme
    until nothing fails.
    """
    from planner.files import check_folder
    from planner.plan.reopening import recorded
    from planner.reporting import infeasible

    by_rule = chosen_method() == "rule-of-thumb"
    if by_rule and (start.earlier or start.fix):
        raise click.UsageError("a rule of thumb starts from the model: no --from and no --fix.")
    loaded, fleet = start.load(policies, output)
    if folder is not None:
        check_folder(folder)
    click.get_current_context().with_resource(checkpoint.opened(loaded, fleet, output))
    selection = choose(loaded, wanted, output, None if by_rule else settings)
    if by_rule:
        return _by_rule_of_thumb(loaded, selection, settings, folder, output)
    outcome = _searched(loaded, selection, settings, rounds, fleet, output)
    if outcome.best is None:
        infeasible.show_infeasible(outcome, output.as_json)
        if start.fix:
            output.say(f"held by --fix: {', '.join(start.fix)}; without it there may be a plan")
        return EXIT_INFEASIBLE
    planned = outcome.selection or selection
    plan = recorded(outcome.plan(loaded, settings), planned.wanted)
    _hand_out(plan, loaded.model, outcome, folder, output)
    _suggest(output, folder)
    return _exit_code(outcome, settings)


def _searched(
    loaded: LoadedModel,
    selection: Selection,
    settings: SolverSettings,
    rounds: int,
    start: Fleet | None,
    output: Output,
) -> LoopResult:
    """Optimise and verify, with progress and Ctrl-C."""
    from planner.commands.interruption import interruptible
    from planner.verification import optimize_and_verify

    limit = settings.time_limit_seconds
    with output.progress.working(limit), interruptible(output.quiet) as stop:
        outcome = optimize_and_verify(
            loaded.model,
            selection.scenarios,
            replace(settings, stop=stop),
            rounds,
            lambda made: output.say(_round_line(made)),
            start,
            lambda text: output.say(f"  {text}"),
            selection=selection,
        )
    if outcome.rounds and outcome.rounds[0].solution.start_used is False:
        output.say("the earlier plan is not feasible for this model; the search began without it")
    return outcome


def _by_rule_of_thumb(
    loaded: LoadedModel,
    selection: Selection,
    settings: SolverSettings,
    folder: Path | None,
    output: Output,
) -> int:
    from planner.analysis.rule_of_thumb.rule import plan_by_rule_of_thumb
    from planner.commands.interruption import interruptible
    from planner.plan.reopening import recorded
    from planner.reporting import plans

    limit = settings.time_limit_seconds
    with output.progress.working(limit), interruptible(output.quiet) as stop:
        thumb = plan_by_rule_of_thumb(
            loaded.model, selection.scenarios, replace(settings, stop=stop), output.say
        )
    if thumb.outcome.best is None:
        plans.show_no_thumb_plan(thumb.lacks, output.as_json)
        return EXIT_INFEASIBLE
    plan = recorded(thumb.plan(loaded, settings), selection.wanted)
    _hand_out(plan, loaded.model, thumb.outcome, folder, output)
    if thumb.survives:
        return EXIT_DONE
    return EXIT_TIME_LIMIT if thumb.outcome.stopped else EXIT_NOT_SURVIVED


def _hand_out(
    plan: Plan, model: Model, outcome: LoopResult, folder: Path | None, output: Output
) -> None:
    """Write a plan where a folder is given, and show it."""
    from planner.plan.files import placed, write_plan
    from planner.reporting.plans import show_plan

    shown = placed(plan, folder or Path())
    with output.shown_whether_written(lambda: show_plan(shown, model, outcome, output.as_json)):
        if folder is not None:
            written = write_plan(plan, folder)
            output.say(f"wrote {written[-1]} and {len(written) - 1} tables")


def _suggest(output: Output, folder: Path | None) -> None:
    """What to do with a plan."""
    if folder is None:
        output.suggest("the same with -o DIR keeps the plan for the other commands")
        return
    output.suggest(
        plan_line("explain", folder),
        plan_line("report", folder, "-o", "report.html"),
        plan_line("finance", "--plan", folder),
    )


def _round_line(made: Round) -> str:
    from planner.scenarios.hours import hours_folded

    solution, failed = made.solution, made.failed
    first = ", ".join(hours_folded(failed)[:3])
    survived = f"{len(failed)} fail: {first}" if failed else "all survive"
    return (
        f"round {made.number}: {solution.rows:,} rows, {solution.columns:,} columns, "
        f"solved in {solution.seconds:.1f} s, optimality gap {percent(solution.gap, 3)}; {survived}"
    )


def _exit_code(outcome: LoopResult, settings: SolverSettings) -> int:
    best = outcome.best
    if best is None or (not outcome.survives and not outcome.stopped):
        return EXIT_NOT_SURVIVED
    if not outcome.survives:
        return EXIT_TIME_LIMIT
    limited = best.solution.status == "feasible" and best.solution.gap > settings.gap
    return EXIT_TIME_LIMIT if limited else EXIT_DONE
