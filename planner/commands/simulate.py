"""``plan simulate``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.commands.options import (
    DEFAULT_MODEL,
    Progress,
    complete_models,
    examples,
    jobs_option,
    output_options,
    setting_option,
)
from planner.commands.plan_arguments import planned
from planner.commands.progress import plan_line, settings_of
from planner.commands.scenario_options import announce, selection_options
from planner.errors import EXIT_DONE, EXIT_NOT_SURVIVED, InputError

if TYPE_CHECKING:
    from planner.scenarios.selection import Wanted


@click.command(
    "simulate",
    epilog=examples(
        "plan simulate tiny",
        "plan simulate chatgpt-2023 --plan out",
        "plan simulate tiny --scenario region-west --json",
    ),
)
@click.argument("model", required=False, shell_complete=complete_models)
@setting_option
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Simulate the fleet of a plan (its plan.json or folder) instead of what exists.",
)
@click.option(
    "--scenario",
    "names",
    multiple=True,
    metavar="NAME",
    help="Simulate only this scenario and tell its story (repeatable).",
)
@jobs_option("Processes to share the scenarios among; worth while from some hundreds on.")
@output_options
@selection_options
def command(
    model: str | None,
    overrides: tuple[str, ...],
    plan_file: Path | None,
    names: tuple[str, ...],
    jobs: int,
    as_json: bool,
    quiet: bool,
    wanted: Wanted | None,
) -> int:
    """Simulate the cascade of every failure on what exists in MODEL, or on a plan.

    A plan is simulated in the model that it was made for, with the --set it was made with, or in
    MODEL if that extends it.

    Exits with 4 if a scenario falls short of the survival standard.
    """
    from planner.infrastructure.fleet import Fleet
    from planner.infrastructure.loading import load_model, nearest
    from planner.reporting.scenarios import show_simulation
    from planner.scenarios.selection import select
    from planner.simulation.verdict import judge

    progress = Progress(quiet)
    if plan_file is not None:
        opened = planned(plan_file, model, overrides, progress)
        loaded, fleet, notes = opened.loaded, opened.fleet, opened.notes
        wanted = wanted or opened.wanted
    else:
        loaded, notes = load_model(model or DEFAULT_MODEL, overrides), ()
        fleet = Fleet.existing(loaded.model)
    selection = select(loaded.model, wanted)
    known = [scenario.name for scenario in selection.scenarios]
    unknown = [name for name in names if name not in known]
    if unknown:
        hints = ", ".join(f"`{name}`{nearest(name, known)}" for name in unknown)
        raise InputError.single("--scenario", f"{loaded.name} has no {hints}")
    if names:
        named = tuple(one for one in selection.scenarios if one.name in names)
        selection = replace(selection, scenarios=named)
    if not selection.scenarios:
        raise InputError.single(loaded.name, "the model has no scenarios to simulate")
    announce(loaded, selection, progress)
    with progress.working():
        verdicts = judge(
            loaded.model, fleet, selection.scenarios, jobs, on_part=progress.reporter()
        )
    told = names or tuple(loaded.model.scenarios)
    show_simulation(loaded, fleet, verdicts, told, as_json, notes)
    failed = [verdict.name for verdict in verdicts if verdict.fails]
    suggestions = []
    if failed and not names:
        suggestions.append(f"the same with --scenario {failed[0]} tells its story")
    if plan_file is None:
        asked = settings_of(overrides)
        suggestions.append(plan_line("optimize", model or DEFAULT_MODEL, *asked, "-o", "out"))
    progress.next(*suggestions, silent=as_json)
    return EXIT_NOT_SURVIVED if failed else EXIT_DONE
