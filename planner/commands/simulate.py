"""``plan simulate``."""

from __future__ import annotations

from pathlib import Path

import click

from planner.commands.options import Progress, model_argument, output_options
from planner.errors import EXIT_DONE, EXIT_NOT_SURVIVED, InputError


@click.command("simulate")
@model_argument
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Simulate the fleet of a plan instead of what exists.",
)
@click.option(
    "--scenario",
    "names",
    multiple=True,
    metavar="NAME",
    help="Simulate only this scenario and tell its story (repeatable).",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes to share the scenarios among; worth while from some hundreds on.",
)
@output_options
def command(
    model: str,
    overrides: tuple[str, ...],
    plan_file: Path | None,
    names: tuple[str, ...],
    jobs: int,
    as_json: bool,
    quiet: bool,
) -> int:
    """Simulate the cascade of every failure on what exists in MODEL, or on a plan.

    Exits with 4 if a scenario falls short of the survival standard.
    """
    from planner.infrastructure.fleet import Fleet
    from planner.infrastructure.loading import load_model, nearest
    from planner.planfile import read_plan
    from planner.reporting import terminal
    from planner.scenarios.generators import all_scenarios
    from planner.simulation.verdict import judge

    progress = Progress(quiet)
    loaded = load_model(model, overrides)
    scenarios = all_scenarios(loaded.model)
    known = [scenario.name for scenario in scenarios]
    unknown = [name for name in names if name not in known]
    if unknown:
        hints = ", ".join(f"`{name}`{nearest(name, known)}" for name in unknown)
        raise InputError.single("--scenario", f"{loaded.name} has no {hints}")
    if names:
        scenarios = tuple(scenario for scenario in scenarios if scenario.name in names)
    if not scenarios:
        raise InputError.single(loaded.name, "the model has no scenarios to simulate")
    fleet = Fleet.existing(loaded.model)
    if plan_file is not None:
        plan = read_plan(plan_file, loaded)
        if plan.model.sha256 != loaded.sha256:
            progress.say(f"note: {loaded.name} has changed since {plan_file} was made")
        fleet = plan.fleet(loaded.model)
    progress.say(f"{loaded.name}: {len(scenarios)} scenarios")
    verdicts = judge(loaded.model, fleet, scenarios, jobs)
    told = names or tuple(loaded.model.scenarios)
    terminal.show_simulation(loaded, fleet, verdicts, told, as_json)
    return EXIT_DONE if all(verdict.survives for verdict in verdicts) else EXIT_NOT_SURVIVED
