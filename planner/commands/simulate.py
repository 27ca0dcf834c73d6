"""``plan simulate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from planner.commands.options import Output, examples, output_options, workers_options
from planner.commands.plan_options import SubjectOptions, subject_options
from planner.commands.progress import plan_line, settings_of
from planner.commands.scenario_options import announce, selection_options
from planner.errors import EXIT_DONE, EXIT_NOT_SURVIVED, InputError

if TYPE_CHECKING:
    from planner.selection import Wanted


@click.command(
    "simulate",
    epilog=examples(
        "plan simulate tiny",
        "plan simulate chatgpt-2023 --plan out",
        "plan simulate tiny --scenario region-west --json",
    ),
)
@subject_options("Simulate the fleet of a plan (its plan.json or folder) instead of what exists.")
@click.option(
    "--scenario",
    "names",
    multiple=True,
    metavar="NAME",
    help="Simulate only this scenario and tell its story; a failure means all its hours "
    "(repeatable).",
)
@output_options
@workers_options
@selection_options
def command(
    subject: SubjectOptions,
    names: tuple[str, ...],
    output: Output,
    wanted: Wanted | None,
) -> int:
    """Simulate the cascade of every failure on what exists in MODEL, or on a plan.

    A plan is simulated in the model that it was made for, with the --set it was made with, or in
    MODEL if that extends it.

    Exits with 4 if a scenario falls short of the survival standard.
    """
    from planner.reporting.scenarios import show_simulation
    from planner.selection import select
    from planner.simulation.verdict import judge

    found = subject.open(output)
    loaded, fleet = found.loaded, found.fleet
    selection = select(loaded.model, wanted or found.wanted)
    if names:
        selection = selection.named(loaded.model, names, "--scenario")
    if not selection.scenarios:
        raise InputError.single(loaded.name, "the model has no scenarios to simulate")
    announce(loaded, selection, output)
    progress = output.progress
    with progress.working():
        verdicts = judge(loaded.model, fleet, selection.scenarios, on_part=progress.reporter())
    told = selection.names if names else tuple(loaded.model.scenarios)
    show_simulation(loaded, fleet, verdicts, told, output.as_json, found.notes)
    failed = [verdict.name for verdict in verdicts if verdict.fails]
    suggestions = []
    if failed and not names:
        suggestions.append(f"the same with --scenario {failed[0]} tells its story")
    if subject.plan_file is None:
        settings = settings_of(subject.overrides)
        suggestions.append(plan_line("optimize", subject.name, *settings, "-o", "out"))
    output.suggest(*suggestions)
    return EXIT_NOT_SURVIVED if failed else EXIT_DONE
