"""``plan simulate``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.commands.options import Progress, examples, jobs_option, model_argument, output_options
from planner.commands.progress import plan_line, settings_of
from planner.commands.selecting import announce, selection_options, wanted_by
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
@model_argument
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
    model: str,
    overrides: tuple[str, ...],
    plan_file: Path | None,
    names: tuple[str, ...],
    jobs: int,
    as_json: bool,
    quiet: bool,
    wanted: Wanted | None,
) -> int:
    """Simulate the cascade of every failure on what exists in MODEL, or on a plan.

    Exits with 4 if a scenario falls short of the survival standard.
    """
    from planner.infrastructure.fleet import Fleet
    from planner.infrastructure.loading import load_model, nearest
    from planner.planfile import read_plan
    from planner.reporting import terminal
    from planner.scenarios.selection import select
    from planner.simulation.verdict import judge

    progress = Progress(quiet)
    loaded = load_model(model, overrides)
    fleet = Fleet.existing(loaded.model)
    if plan_file is not None:
        plan = read_plan(plan_file, loaded)
        if plan.model.sha256 != loaded.sha256:
            progress.say(f"note: {loaded.name} has changed since {plan_file} was made")
        fleet, wanted = plan.fleet(loaded.model), wanted or wanted_by(plan)
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
        verdicts = judge(loaded.model, fleet, selection.scenarios, jobs, report=progress.reporter())
    told = names or tuple(loaded.model.scenarios)
    terminal.show_simulation(loaded, fleet, verdicts, told, as_json)
    failed = [verdict.name for verdict in verdicts if not verdict.survives]
    suggestions = []
    if failed and not names:
        suggestions.append(f"the same with --scenario {failed[0]} tells its story")
    if plan_file is None:
        asked = settings_of(overrides)
        suggestions.append(plan_line("optimize", model, *asked, "-o", "out"))
    progress.next(*suggestions, silent=as_json)
    return EXIT_NOT_SURVIVED if failed else EXIT_DONE
